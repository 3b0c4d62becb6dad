"""Targets of graphs as the supervised estimators take them: classes, a table of 0 and 1, or measured values."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graphcl_hard.evaluation.targets import NAME, known_labels, target_columns
from graphcl_hard.exceptions import InputError, first_line
from graphcl_hard.io.text_tables import is_missing_value


class Targets(NamedTuple):
    """Targets of G graphs."""

    y: Tensor
    """(G,) int64, the position of each class in `classes`, -1 where missing; or (G, T) float64, NaN where missing."""
    classes: NDArray[Any] | None = None
    """(C,) the classes of one target, ascending; None for a table and for measured values."""
    names: tuple[str, ...] = ()
    """The names of the T targets; empty without names."""
    single: bool = False
    """Whether the targets were given as (G,)."""

    @property
    def known(self) -> Tensor:
        """(G,) bool, which graphs have a known target."""
        return (~self.y.isnan()).any(dim=1) if self.y.is_floating_point() else self.y >= 0


def class_targets(
    given: Any, names: tuple[str, ...] = (), classes: NDArray[Any] | None = None
) -> Targets:
    """Return classes (G,), or a table (G, T) of 0 and 1, as targets.

    Args:
        given: (G,) integers, strings, booleans or whole floats; or (G, T) of 0, 1 and missing entries, as an array, a
            table of pandas, or a dictionary of columns. An entry is missing that is None, NaN or the empty string.
        names: names of the columns of an array.
        classes: the classes that there are; None: those that are found.

    Raises:
        InputError: the values are not classes, or a class is not among `classes`.
    """
    array, names = _array(given, names)
    if array.ndim == 2:
        table = _numbers(array)
        wrong = ~np.isnan(table) & (table != 0) & (table != 1)
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise InputError(
                f"y must hold 0, 1 and missing entries if it has several targets, got {table[row, column]:g} in row "
                f"{row}, column {_column(names, column)}; give one target of classes, or use HardInfoGraphRegressor."
            )
        return Targets(torch.from_numpy(table), names=names)
    if array.dtype.kind == "f":
        measured = np.isfinite(array) & (array != np.rint(array))
        if measured.any():
            row = int(measured.argmax())
            raise InputError(
                f"y must be classes, got measured values, such as {array[row]} for graph {row}; use "
                "HardInfoGraphRegressor, or group them into classes."
            )
    labels, known = known_labels(array if array.dtype.kind in "biuf" else array.tolist())
    if classes is None:
        classes = np.unique(labels)
    check_same_kind(labels, classes)
    place = np.searchsorted(classes, labels).clip(max=max(len(classes) - 1, 0))
    unknown = classes[place] != labels if len(classes) else np.zeros(0, dtype=np.bool_)
    if np.any(unknown):
        found = labels[np.argmax(unknown)]
        raise InputError(
            f"y must have the classes of the training, {_listed(classes)}, got "
            f"{np.asarray(found).item()!r}; leave such graphs out."
        )
    y = np.full(len(known), -1)
    y[known] = place
    return Targets(torch.from_numpy(y), classes, single=True)


def check_same_kind(labels: NDArray[Any], classes: NDArray[Any]) -> None:
    """Raise `InputError` if labels are strings and the classes of the training are not, or the other way round."""
    if len(labels) and (labels.dtype.kind in "biuf") != (classes.dtype.kind in "biuf"):
        raise InputError(
            f"y must have the classes of the training, {_listed(classes)}, got {labels[:1].tolist()[0]!r}, which is of "
            "another type; convert it."
        )


def as_trained(found: Targets, single: bool, names: tuple[str, ...], outputs: int) -> Targets:
    """Return targets in the order of those of the training, by their names where both have names.

    Args:
        found: the targets.
        single: whether those of the training were (G,).
        names: their names.
        outputs: their number T.

    Raises:
        InputError: the names or the shape are not those of the training.
    """
    if found.names and names and set(found.names) != set(names):
        raise InputError(
            f"y must have the targets of `fit`, {', '.join(map(repr, names[:10]))}, got "
            f"{', '.join(map(repr, found.names[:10]))}; give the same targets, in any order."
        )
    if found.single != single or (not single and found.y.shape[1] != outputs):
        wanted = "(G,)" if single else f"(G, {outputs})"
        shape = "(G,)" if found.single else f"(G, {found.y.shape[1]})"
        raise InputError(f"y must be {wanted} as in `fit`, got {shape}; give the same targets.")
    if found.names in ((), names) or not names:
        return found
    return found._replace(y=found.y[:, [found.names.index(name) for name in names]], names=names)


def measured_targets(given: Any, names: tuple[str, ...] = ()) -> Targets:
    """Return numbers (G,) or (G, T) as targets; missing entries are None or NaN, see `class_targets`.

    Raises:
        InputError: an entry is infinite or no number.
    """
    array, names = _array(given, names)
    table = _numbers(array[:, None] if array.ndim == 1 else array)
    if np.isinf(table).any():
        row, column = np.argwhere(np.isinf(table))[0]
        raise InputError(
            f"y must be finite, got {table[row, column]} in row {row}, column {_column(names, column)}; correct it, or "
            "give NaN for a missing entry."
        )
    return Targets(torch.from_numpy(table), names=names, single=array.ndim == 1)


def _array(given: Any, names: tuple[str, ...]) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Return (G,) or (G, T) values, and the names of the columns."""
    columns = target_columns(given)
    if list(columns) == [NAME] and not isinstance(given, Mapping) and np.ndim(given) == 1:
        return columns[NAME], names
    if isinstance(given, Mapping) or hasattr(given, "iloc"):
        names = tuple(columns)
    return np.stack([_numbers(column) for column in columns.values()], axis=1), names


def _numbers(array: NDArray[Any]) -> NDArray[np.float64]:
    if array.dtype.kind in "biuf":
        return array.astype(np.float64)
    try:
        entries = [
            np.nan if is_missing_value(entry) else float(entry) for entry in array.ravel().tolist()
        ]
    except (TypeError, ValueError) as error:
        raise InputError(
            f"y must be a table of numbers and missing entries, got one that is none: {first_line(error)}; convert it."
        ) from error
    return np.array(entries, dtype=np.float64).reshape(array.shape)


def _column(names: tuple[str, ...], column: int) -> str:
    return repr(names[column]) if names else str(column)


def _listed(classes: NDArray[Any]) -> str:
    shown = ", ".join(map(repr, classes[:10].tolist()))
    return shown + (", ..." if len(classes) > 10 else "")
