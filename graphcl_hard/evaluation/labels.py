"""Read labels in any form: which are known, and whether they are classes."""

from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt

from graphcl_hard.exceptions import InputError, short_repr
from graphcl_hard.io.text_tables import is_missing_value

Array = npt.NDArray[Any]


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
    try:
        # NumPy would turn a list of numbers and strings, or of strings and NaN, into strings.
        as_objects = isinstance(labels, (list, tuple))
        array = np.array(labels, dtype=object) if as_objects else as_array(labels)
    except (TypeError, ValueError) as error:
        raise InputError(f"labels must be an array (G,), got {short_repr(labels)}.") from error
    if array.ndim != 1:
        raise InputError(
            f"labels must have shape (G,), got {array.shape}; give one class for each graph."
        )
    if array.dtype.kind in "biu":
        return array, np.ones(len(array), dtype=np.bool_)
    if array.dtype.kind == "f":
        known = ~np.isnan(array)
        return _whole(array[known], np.flatnonzero(known)), known
    values = [_plain(value) for value in array.tolist()]
    known = np.array([not is_missing_value(value) for value in values], dtype=np.bool_)
    rows = np.flatnonzero(known)
    values = [values[row] for row in rows]
    _check_types(values, rows)
    types = {type(value) for value in values}
    if float in types:
        return _whole(np.array(values, dtype=np.float64), rows), known
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


def _check_types(values: list[Any], rows: npt.NDArray[np.intp]) -> None:
    for value, row in zip(values, rows, strict=True):
        if not isinstance(value, (str, int, float)):
            raise InputError(
                f"labels must be integers, strings or booleans, got {short_repr(value)} for graph {row}; convert them."
            )
        if isinstance(value, str) != isinstance(values[0], str):
            raise InputError(
                f"labels must all be strings or all be numbers, got {short_repr(values[0])} for graph {rows[0]} and "
                f"{short_repr(value)} for graph {row}; convert them."
            )


def _whole(numbers: Array, rows: npt.NDArray[np.intp]) -> Array:
    """Return floats as integers after checking that they are whole."""
    for bad, what in (
        (~np.isfinite(numbers), "must be finite, got {} for graph {}; correct it."),
        (
            numbers != np.rint(numbers),
            "must be classes, got measured values, such as {} for graph {}; group them into classes first, as "
            "regression is not evaluated yet.",
        ),
    ):
        if bad.any():
            first = int(bad.argmax())
            raise InputError("labels " + what.format(numbers[first], rows[first]))
    return numbers.astype(np.int64) if (np.abs(numbers) < 2**53).all() else numbers
