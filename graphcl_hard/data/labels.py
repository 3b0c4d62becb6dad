"""The labels of graphs: classes with names, or measured targets, and what is missing."""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graphcl_hard.exceptions import InputError, short_repr
from graphcl_hard.io.text_tables import is_missing

Class = int | str
_INTEGER = re.compile(r"[+-]?\d{1,18}(\.0*)?")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?inf(inity)?", re.IGNORECASE)


class Labels(NamedTuple):
    """Labels of G graphs, as in `GraphData`."""

    y: Tensor
    """(G,) int64, the position of each class in `classes`, -1 where it is missing; or (G,) float64 measured targets."""
    classes: tuple[Class, ...] = ()
    """The classes in ascending order; empty for measured targets and without labels."""


def without_labels(graphs: int) -> Labels:
    """Return the labels of graphs that have none."""
    return Labels(torch.full((graphs,), -1))


def read_labels(values: Iterable[Any], what: str, row: str = "row", first: int = 0) -> Labels:
    """Return labels, given one by one, as classes or as measured targets.

    Labels that are all integers, also if written as ``1.0``, are classes, and so are names. Numbers of which one is no
    integer are measured targets. None, NaN and the texts of `is_missing` are missing.

    Args:
        values: the label of each graph: a number, a string, a bool or None.
        what: name of the labels in an error message.
        row: name of a row in an error message.
        first: number of the first row.

    Raises:
        InputError: some labels are names and others numbers, or a label is infinite or no plain value.

    Examples:
        >>> from graphcl_hard.data.labels import read_labels
        >>> labels = read_labels(["toxic", None, "harmless"], "the column 'kind'")
        >>> labels.y.tolist(), labels.classes
        ([1, -1, 0], ('harmless', 'toxic'))
    """
    texts = [
        _text(value, f"{what} is {short_repr(value)} in {row} {number}")
        for number, value in enumerate(values, first)
    ]
    numeric = [None if text is None else _NUMBER.fullmatch(text) is not None for text in texts]
    if True in numeric and False in numeric:
        name, number = numeric.index(False), numeric.index(True)
        raise InputError(
            f"{what} is {short_repr(texts[name])} in {row} {first + name} and {short_repr(texts[number])} in {row} "
            f"{first + number}, must be a name in every {row} or a number in every {row}; correct one of them."
        )
    if False in numeric:
        return _number(texts)
    whole = [text is None or _INTEGER.fullmatch(text) is not None for text in texts]
    if all(whole):
        return _number([None if text is None else int(text.partition(".")[0]) for text in texts])
    targets = [math.nan if text is None else float(text) for text in texts]
    infinite = next((place for place, target in enumerate(targets) if math.isinf(target)), None)
    if infinite is not None:
        raise InputError(
            f"{what} is {texts[infinite]} in {row} {first + infinite}, must be finite; correct it or leave it empty."
        )
    return Labels(torch.tensor(targets, dtype=torch.float64))


def _text(value: Any, where: str) -> str | None:
    """Return a label as a stripped text, or None if it is missing."""
    value = value.item() if isinstance(value, (np.generic, Tensor)) else value
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if not isinstance(value, (str, int, float)):
        raise InputError(f"{where}, must be a number or a name; convert it.")
    text = repr(value) if isinstance(value, float) else str(value).strip()
    return None if is_missing(text) else text


def _number(found: Sequence[Class | None]) -> Labels:
    """Return class names, None where missing, as numbers in ascending order of the names."""
    classes = tuple(sorted({name for name in found if name is not None}))
    place = {name: number for number, name in enumerate(classes)}
    return Labels(torch.tensor([-1 if name is None else place[name] for name in found]), classes)


def number_integers(y: Tensor) -> Labels:
    """Return (G,) integer classes as labels whose names are these integers; negative ones are missing."""
    classes = y[y >= 0].unique()
    return Labels(torch.searchsorted(classes, y).where(y >= 0, -1), tuple(classes.tolist()))


def own_labels(y: Tensor, classes: Sequence[Class]) -> NDArray[Any] | None:
    """Return labels (G,) as they were given: integers, strings or measured targets; None if there are none.

    A missing label is NaN, so that integers become float64, or the empty string.
    """
    places: NDArray[Any] = y.numpy()
    if y.is_floating_point():
        return places
    if not classes:
        return None
    values: NDArray[Any]
    if isinstance(classes[0], str):
        values = np.array([*classes, ""], dtype=str)
    elif (places < 0).any():
        values = np.array([*classes, math.nan], dtype=np.float64)
    else:
        values = np.array(classes, dtype=np.int64)
    found: NDArray[Any] = values[places]
    return found


def with_classes(labels: Labels, classes: Sequence[Class], name: str) -> Labels:
    """Return labels numbered by the classes of another data set.

    Raises:
        InputError: the labels have a class that is not among them, or are no classes; the message lists both.
    """
    wanted = tuple(classes)
    if labels.y.is_floating_point() or not set(labels.classes) <= set(wanted):
        held = "measured targets" if labels.y.is_floating_point() else _listed(labels.classes)
        raise InputError(
            f"The classes of {name} are {held}, must be among {_listed(wanted)}; correct the labels, or name "
            "all classes."
        )
    place = torch.tensor([*(wanted.index(one) for one in labels.classes), -1])
    return Labels(place[labels.y], wanted)


def _listed(classes: Sequence[Class]) -> str:
    shown = ", ".join(repr(one) for one in classes[:10])
    return (shown or "none") + (", ..." if len(classes) > 10 else "")
