"""Read targets in any form: which values are known, and whether they are classes or measured values."""

from collections.abc import Mapping
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from graphcl_hard.exceptions import InputError, short_repr
from graphcl_hard.io.text_tables import is_missing_value

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]
Task = Literal["classification", "regression"]
NAME = "y"
"""Name of a single target without a name."""


class Target(NamedTuple):
    """One target of G rows, K of which have a value."""

    name: str
    task: Task
    rows: Ints
    """(K,) int64, positions of the rows with a value, ascending."""
    y: Array
    """(K,) int64, positions of the classes in `classes`; or float64 measured values."""
    classes: Array
    """(C,) sorted classes as they were given; empty for measured values."""
    what: str
    """Name in an error message."""

    @property
    def own(self) -> Array:
        """(K,) values as they were given."""
        return self.classes[self.y] if self.task == "classification" else self.y


def is_measured(y: Array) -> bool:
    """Return whether the y of a data set, (G,) or (G, T), is floats of which every column has others than 0 and 1."""
    if y.dtype.kind != "f":
        return False
    columns = y.reshape(len(y), -1).T
    return all(not np.isin(column[~np.isnan(column)], (0, 1)).all() for column in columns)


def as_array(value: Any) -> Array:
    """Return a value as an array: a list, PyTorch tensor, SciPy or masked array, or anything else that NumPy reads.

    Masked entries become None.
    """
    if hasattr(value, "detach"):  # a tensor
        value = value.detach().to_dense()
        value = value.float() if str(value.dtype) == "torch.bfloat16" else value
        return np.asarray(value.numpy(force=True))
    if isinstance(value, np.ma.MaskedArray):
        objects = np.array(value.data, dtype=object)
        objects[np.ma.getmaskarray(value)] = None
        return objects
    return np.asarray(value.toarray() if hasattr(value, "toarray") else value)


def target_columns(y: Any) -> dict[str, Any]:
    """Return name -> values (G,) of each target, not yet checked, after checking that all have the same G.

    Args:
        y: (G,) one target, which is called "y"; (G, T) array, whose targets are called "0", "1" and so on; table of
            pandas; or name -> (G,).

    Raises:
        InputError: y has another shape, or names of targets are equal.
    """
    if isinstance(y, Mapping) or (hasattr(y, "iloc") and y.ndim == 2):
        names = [str(name) for name in (y if isinstance(y, Mapping) else y.columns)]
        values = list(y.values()) if isinstance(y, Mapping) else []
        values = values or [y.iloc[:, place] for place in range(len(names))]
        if len(set(names)) < len(names):
            raise InputError(f"Targets must have different names, got {', '.join(names[:6])}.")
        columns = {
            name: _objects_or_array(column, f"target {name!r}")
            for name, column in zip(names, values, strict=True)
        }
    else:
        array = _objects_or_array(y, "labels")
        if array.ndim == 2:
            columns = {str(number): array[:, number] for number in range(array.shape[1])}
        else:
            columns = {NAME: array}
    for name, column in columns.items():
        if column.ndim != 1:
            shapes = "(G,)" if isinstance(y, Mapping) else "(G,) or (G, T)"
            raise InputError(
                f"{_called(name)} must have shape {shapes}, got {column.shape}; give one value for each graph."
            )
    if not columns:
        raise InputError("y has no target, but needs at least one; give (G,) or (G, T).")
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(
            f"Targets must have the same length, got {', '.join(f'{n}: {c}' for n, c in lengths.items())}; correct y."
        )
    return columns


def read_target(name: str, column: Array, task: Task | None = None) -> Target:
    """Return one target after checking its values.

    Args:
        name: of the target.
        column: (G,) integers, strings, booleans or floats, in any form that `as_array` reads; or None, NaN, pandas' NA,
            masked, or the empty string, where the value is missing.
        task: None: "regression" if a number is not whole, else "classification".

    Raises:
        InputError: the values are of different types or infinite; measured values are to be classes, or strings are to
            be measured values; or there is no value.
    """
    what = _called(name)
    values, known = _known(column, what)
    rows = np.flatnonzero(known)
    if not len(rows):
        raise InputError(f"{what} must have values, got none; give some for at least 2 graphs.")
    is_number = values.dtype.kind in "biuf"
    if task is None:
        measured = values.dtype.kind == "f" and bool((values != np.rint(values)).any())
        task = "regression" if measured else "classification"
    if task == "regression":
        if not is_number:
            raise InputError(
                f"{what} must be numbers for regression, got {short_repr(values[0])}; convert them."
            )
        _check_finite(values.astype(np.float64), rows, what)
        return Target(name, task, rows, values.astype(np.float64), np.empty(0), what)
    classes, y = np.unique(
        _whole(values, rows, what) if values.dtype.kind == "f" else values, return_inverse=True
    )
    if len(classes) < 2:
        raise InputError(
            f"{what} must contain at least 2 classes, got only {classes[0]}; add graphs of another class."
        )
    if len(classes) > 2 and np.median(np.bincount(y)) < 3:  # names, or counts of something
        remedy = ', or give task="regression"' if is_number else ""
        raise InputError(
            f"{what} must be classes with several graphs each, got {len(classes)} different values for {len(y)} "
            f"graphs, such as {classes[np.bincount(y).argmin()]}; group them into classes first{remedy}."
        )
    return Target(name, task, rows, y.astype(np.int64), classes, what)


def read_targets(columns: Mapping[str, Any], task: Task | None = None) -> list[Target]:
    """Return all targets after checking them (`read_target`) and that they are of one task.

    Raises:
        InputError: some cannot be read, or they are of two tasks.
    """
    targets, refused = [], {}
    for name, column in columns.items():
        try:
            targets.append(read_target(name, column, task))
        except InputError as error:
            refused[name] = error
    refuse(refused)
    tasks = {target.task: target.name for target in targets}
    if len(tasks) > 1:
        raise InputError(
            f"Targets must be of one task, got {' and '.join(f'{v!r} for {k}' for k, v in tasks.items())}; evaluate "
            'them in two calls, or give task="regression".'
        )
    return targets


def refuse(refused: Mapping[str, InputError]) -> None:
    """Raise the error of the first of the refused targets, if there is one, and name the others."""
    if refused:
        first, *others = refused
        more = f"; {len(others)} more targets are refused, {', '.join(others[:10])}"
        message = str(refused[first])
        raise InputError(f"{message.removesuffix('.')}{more}." if others else message)


def known_labels(labels: object) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Return the labels that are not missing, and where they are, after checking that they are classes.

    Args:
        labels: (G,) integers, strings, booleans or whole floats in any form that `as_array` reads. A label is missing
            that is None, NaN, pandas' NA, masked, or the empty string.

    Returns:
        (K,) array of the known labels, with integers for whole floats; and (G,) bool, where they are known.

    Raises:
        InputError: the labels have another shape, different types, or are not classes but measured values.
    """
    array = _objects_or_array(labels, "labels")
    if array.ndim != 1:
        raise InputError(
            f"labels must have shape (G,), got {array.shape}; give one class for each graph."
        )
    values, known = _known(array, "labels")
    if values.dtype.kind == "f":
        values = _whole(values, np.flatnonzero(known), "labels")
    return values, known


def check_task(task: object) -> None:
    """Raise `InputError` if the task is unknown."""
    if task is not None and task not in get_args(Task):
        raise InputError(
            f"`task` must be one of {', '.join(get_args(Task))}, got {short_repr(task)}; omit it to infer the task."
        )


def _called(name: str) -> str:
    return "labels" if name == NAME else f"target {name!r}"


def _objects_or_array(values: Any, what: str) -> Array:
    try:
        # NumPy would turn a list of numbers and strings, or of strings and NaN, into strings.
        as_objects = isinstance(values, (list, tuple))
        return np.array(values, dtype=object) if as_objects else as_array(values)
    except (TypeError, ValueError) as error:
        raise InputError(f"{what} must be an array (G,), got {short_repr(values)}.") from error


def _known(array: Array, what: str) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Return the known values, (K,) integers, floats, booleans or strings, and where they are, (G,) bool."""
    if array.dtype.kind in "biu":
        return array, np.ones(len(array), dtype=np.bool_)
    if array.dtype.kind == "f":
        known = ~np.isnan(array)
        return array[known], known
    values = [_plain(value) for value in array.tolist()]
    known = np.array([not is_missing_value(value) for value in values], dtype=np.bool_)
    rows = np.flatnonzero(known)
    values = [values[row] for row in rows]
    _check_types(values, rows, what)
    types = {type(value) for value in values}
    if float in types:
        return np.array(values, dtype=np.float64), known
    huge = int in types and any(abs(value) >= 2**63 for value in values)
    return np.array(values, dtype=object if huge else None), known


def _plain(value: Any) -> Any:
    """Return a string or a Python number for those of other types, and anything else unchanged."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, (Real, Decimal)) else value


def _check_types(values: list[Any], rows: Ints, what: str) -> None:
    for value, row in zip(values, rows, strict=True):
        if not isinstance(value, (str, int, float)):
            raise InputError(
                f"{what} must be integers, strings or booleans, got {short_repr(value)} for graph {row}; convert them."
            )
        if isinstance(value, str) != isinstance(values[0], str):
            raise InputError(
                f"{what} must all be strings or all be numbers, got {short_repr(values[0])} for graph {rows[0]} and "
                f"{short_repr(value)} for graph {row}; convert them."
            )


def _check_finite(numbers: Array, rows: Ints, what: str) -> None:
    infinite = ~np.isfinite(numbers)
    if infinite.any():
        first = int(infinite.argmax())
        raise InputError(
            f"{what} must be finite, got {numbers[first]} for graph {rows[first]}; correct it."
        )


def _whole(numbers: Array, rows: Ints, what: str) -> Array:
    """Return floats as integers after checking that they are whole."""
    _check_finite(numbers, rows, what)
    measured = numbers != np.rint(numbers)
    if measured.any():
        first = int(measured.argmax())
        raise InputError(
            f"{what} must be classes, got measured values, such as {numbers[first]} for graph {rows[first]}; group "
            "them into classes first, or evaluate them by regression."
        )
    return numbers.astype(np.int64) if (np.abs(numbers) < 2**53).all() else numbers
