"""The labels of graphs: classes with names, or one or several measured targets, and what is missing."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graphcl_hard.exceptions import InputError, short_repr
from graphcl_hard.io.text_tables import is_code, is_missing, is_missing_value

Class = int | str
LARGEST = 2**53
"""Up to here every integer is a float64."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?inf(inity)?", re.IGNORECASE)


class Labels(NamedTuple):
    """Labels of G graphs, as in `GraphData`."""

    y: Tensor
    """(G,) int64, the position of each class in `classes`, -1 where it is missing; or measured targets, (G,) or (G, T)
    float64."""
    classes: tuple[Class, ...] = ()
    """The classes in ascending order; empty for measured targets and without labels."""
    targets: tuple[str, ...] = ()
    """The names of T targets (G, T); empty for (G,)."""


def without_labels(graphs: int) -> Labels:
    """Return the labels of graphs that have none."""
    return Labels(torch.full((graphs,), -1))


def read_labels(
    values: Iterable[Any], what: str, row: str = "row", first: int = 0, from_file: bool = False
) -> Labels:
    """Return labels, given one by one, as classes or as measured targets.

    Labels that are all integers, also if written as ``1.0``, are classes, and so are names. Numbers of which one is no
    integer are measured targets. Codes with leading zeros, such as ``007``, and integers beyond 2**53 are names, and
    all other labels beside them too.

    Args:
        values: the label of each graph: a number, a string, a bool, or None, NaN or an empty string where it is
            missing.
        what: name of the labels in an error message.
        row: name of a row in an error message.
        first: number of the first row.
        from_file: whether texts such as ``NA`` stand for a missing label, as in `is_missing`.

    Raises:
        InputError: some labels are names and others numbers, or a label is infinite or no plain value.

    Examples:
        >>> from graphcl_hard.data.labels import read_labels
        >>> labels = read_labels(["toxic", None, "harmless"], "the column 'kind'")
        >>> labels.y.tolist(), labels.classes
        ([1, -1, 0], ('harmless', 'toxic'))
    """
    texts: list[str | None] = []
    for number, value in enumerate(values, first):
        text = _text(value)
        if text is None and not is_missing_value(value):
            raise InputError(
                f"{what} is {short_repr(value)} in {row} {number}, must be a number or a name; convert it."
            )
        texts.append(None if text is not None and from_file and is_missing(text) else text)
    known = [text for text in texts if text is not None]
    if any(map(is_code, known)):
        return _number(texts)
    numbers = sum(_NUMBER.fullmatch(text) is not None for text in known)
    if 0 < numbers < len(known):
        is_name = [text is not None and not _NUMBER.fullmatch(text) for text in texts]
        is_number = [
            text is not None and not name for text, name in zip(texts, is_name, strict=True)
        ]
        name, number = is_name.index(True), is_number.index(True)
        raise InputError(
            f"{what} is {short_repr(texts[name])} in {row} {first + name} and {short_repr(texts[number])} in {row} "
            f"{first + number}, must be a name in every {row} or a number in every {row}; correct one of them."
        )
    if numbers < len(known):
        return _number(texts)
    targets = [math.nan if text is None else float(text) for text in texts]
    infinite = next((place for place, target in enumerate(targets) if math.isinf(target)), None)
    if infinite is not None:
        raise InputError(
            f"{what} is {texts[infinite]} in {row} {first + infinite}, must be finite; correct it or leave it empty."
        )
    if all(target.is_integer() or math.isnan(target) for target in targets):
        return _number([None if math.isnan(target) else int(target) for target in targets])
    return Labels(torch.tensor(targets, dtype=torch.float64))


def read_targets(
    columns: Mapping[str, Iterable[Any]], what: str, row: str = "row", first: int = 0
) -> Labels:
    """Return several targets for each graph, (G, T) float64 with NaN where a value is missing.

    Classes of 0 and 1 are such numbers too, as in OGB.

    Args:
        columns: name -> the values of all graphs: numbers, their texts or bools, or what `read_labels` takes as missing
            in a file.
        what: what precedes the name of a column in an error message.
        row: name of a row in an error message.
        first: number of the first row.

    Raises:
        InputError: a value is no finite number.

    Examples:
        >>> from graphcl_hard.data.labels import read_targets
        >>> labels = read_targets({"toxic": ["1", "", "0"], "logP": [2.5, 1, None]}, "the column")
        >>> labels.y.tolist(), labels.targets
        ([[1.0, 2.5], [nan, 1.0], [0.0, nan]], ('toxic', 'logP'))
    """
    found = []
    for name, values in columns.items():
        numbers = []
        for place, value in enumerate(values, first):
            text = _text(value)
            missing = is_missing_value(value) if text is None else is_missing(text)
            text = str(int(value)) if isinstance(value, (bool, np.bool_)) else text
            is_number = text is not None and _NUMBER.fullmatch(text) is not None
            number = float(text) if text is not None and is_number else math.nan
            if not missing and not math.isfinite(number):
                raise InputError(
                    f"{what} {name!r} is {short_repr(value)} in {row} {place}, must be a finite number where there are "
                    "several labels; correct it or leave it empty, or give a label of names by itself."
                )
            numbers.append(number)
        found.append(numbers)
    return Labels(torch.tensor(found, dtype=torch.float64).T.contiguous(), targets=tuple(columns))


def numbered_targets(y: Tensor) -> tuple[str, ...]:
    """Return names for unnamed targets (G, T), the numbers of their columns from 0."""
    return tuple(map(str, range(y.size(1))))


def _text(value: Any) -> str | None:
    """Return a label as a stripped text; None if it is missing or no plain value."""
    value = value.item() if isinstance(value, (np.generic, Tensor)) else value
    if is_missing_value(value) or not isinstance(value, (str, int, float)):
        return None
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() and abs(value) <= LARGEST else repr(value)
    return str(value).strip()


def _number(found: Sequence[Class | None]) -> Labels:
    """Return class names, None where missing, as numbers in ascending order of the names."""
    classes = tuple(sorted({name for name in found if name is not None}))
    place = {name: number for number, name in enumerate(classes)}
    return Labels(torch.tensor([-1 if name is None else place[name] for name in found]), classes)


def number_integers(y: Tensor) -> Labels:
    """Return (G,) integer classes as labels whose names are these integers; negative ones are missing."""
    y = y.long()
    classes = y[y >= 0].unique()
    return Labels(torch.searchsorted(classes, y).where(y >= 0, -1), tuple(classes.tolist()))


def own_labels(y: Tensor, classes: Sequence[Class]) -> NDArray[Any] | None:
    """Return labels as they were given: (G,) integers or strings, or measured targets, (G,) or (G, T); None without.

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
