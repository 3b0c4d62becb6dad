"""Checks of the evaluation's inputs, and the rescaling of vectors."""

import warnings
from numbers import Integral, Real
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from graphcl_hard.config import RULES, Scale
from graphcl_hard.evaluation.targets import (
    NAME,
    Target,
    as_array,
    known_labels,
    read_target,
)
from graphcl_hard.exceptions import InputError, first_line, short_repr, user_stacklevel
from graphcl_hard.io.columns import IDS, LABELS
from graphcl_hard.io.text_tables import is_missing_value
from graphcl_hard.io.vectors import TARGET, table_columns

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def check_folds(labels: object, folds: int) -> Ints:
    """Return the labels (G,) as class indices after checking that they can be split into nested folds.

    Raises:
        InputError: a label is missing or no class (see `known_labels`); there are fewer than 2 classes, a class has
            fewer than 3 graphs, or there are more folds than graphs in a class.
    """
    check_whole("folds", folds, "10 is usual")
    given, known = known_labels(labels)
    if not known.all():
        raise InputError(
            f"labels are missing for {(~known).sum()} of {len(known)} graphs, first for graph {known.argmin()} "
            "(counted from 0); leave unlabelled graphs out."
        )
    target = read_target(NAME, given, "classification")
    check_target_folds(target, folds, "folds")
    return target.y


def check_target_folds(target: Target, folds: int, name: str = "cv") -> None:
    """Raise `InputError` if the target cannot be split into this number of nested folds."""
    check_whole(name, folds, "10 is usual")
    if target.task == "regression":
        count = len(target.y)
        if count < 4 or not 2 <= folds <= count // 2:
            raise InputError(
                f"`{name}` must lie in [2, {count // 2}], so that every fold has 2 of the {count} values, got {folds}; "
                f"change {name} or give at least 4 values."
            )
        return
    counts = np.bincount(target.y)
    smallest = int(counts.argmin())
    of = "" if target.name == NAME else f" of {target.what}"
    who, count = f"class {target.classes[smallest]}{of}", int(counts[smallest])
    graphs = "1 graph" if count == 1 else f"{count} graphs"
    if count < 3:
        raise InputError(
            f"{who} has {graphs}, but nested folds need at least 3 of each; leave that class out."
        )
    # With 2 folds, 3 graphs could leave only 1 for training, but the inner folds need 2.
    fewest = 2 if count > 3 else 3
    if not fewest <= folds <= count:
        raise InputError(
            f"`{name}` must lie in [{fewest}, {count}], got {folds}: {who} has {graphs} and every fold needs one; "
            f"change {name} or leave that class out."
        )


def check_vectors(name: str, value: Any, graphs: int) -> Floats:
    """Return the vectors as a (G, D) float64 array after checking that they are finite.

    Of a table of pandas, the columns `id`, `y` and `y.NAME` and row numbers are left out, as they are of a file of
    vectors.

    Raises:
        InputError: the value is not a finite two-dimensional array of numbers with a row for each graph.
    """
    what = "vectors" if name == "vectors" else f"vectors {name!r}"
    array = _table(what, value) if hasattr(value, "iloc") else _numbers(what, value)
    if array.ndim != 2 or array.shape[1] == 0:
        raise InputError(
            f"{what} must have shape (G, D) with D >= 1, got {array.shape}; give one row for each graph."
        )
    if len(array) != graphs:
        raise InputError(
            f"{what} must have one row for each label, got {len(array)} for {graphs}; add or remove some."
        )
    bad = ~np.isfinite(array)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise InputError(
            f"{what} must be finite, got NaN or infinity in {bad.any(axis=1).sum()} of {graphs} rows, first in row "
            f"{row}, column {column}; leave such rows out, or check whether training diverged."
        )
    return array


def _numbers(what: str, value: Any) -> Floats:
    try:
        if isinstance(value, (list, tuple)):  # of rows, which may be tensors that require gradients
            value = [as_array(row) if hasattr(row, "detach") else row for row in value]
        array = as_array(value)
        if array.dtype.kind == "O":
            entries = array.ravel().tolist()
            if any(isinstance(entry, (str, bytes)) for entry in entries):
                raise TypeError("it holds strings")
            entries = [np.nan if is_missing_value(entry) else entry for entry in entries]
            array = np.array(entries, dtype=np.float64).reshape(array.shape)
        if array.dtype.kind not in "biuf":
            raise TypeError(f"it holds {array.dtype}")
        return np.asarray(array, dtype=np.float64, order="C")
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{what} must be a (G, D) array of numbers, got {type(value).__name__}: {first_line(error).rstrip('.')}."
        ) from error


def _table(what: str, frame: Any) -> Floats:
    if frame.ndim != 2:
        return _numbers(what, frame)
    names = [str(name) for name in frame.columns]
    columns = {name: frame.iloc[:, place].to_numpy() for place, name in enumerate(names)}
    if len(columns) < len(names):
        raise InputError(f"{what} must have different column names, got {', '.join(names[:6])}.")
    columns.pop(IDS, None)
    for name in [one for one in columns if one == LABELS or one.startswith(TARGET)]:
        del columns[name]
        warnings.warn(
            f"The column {name!r} of {what} is left out, since files of vectors have the labels there; rename it if "
            "it is a feature.",
            stacklevel=user_stacklevel(),
        )
    numbers = table_columns(what, columns, remedy="give the array of the columns to use")
    return np.column_stack(list(numbers.values())) if numbers else np.empty((len(frame), 0))


def check_settings(repeats: int, seed: int, n_jobs: int, max_c: float) -> None:
    """Raise `InputError` if a setting of `cross_validate` is out of range."""
    check_whole("repeats", repeats, "5 or 10 are usual")
    check_whole("seed", seed, "use a small one")
    check_whole("n_jobs", n_jobs, "use -1 for all cores")
    if repeats < 1:
        raise InputError(f"`repeats` must be at least 1, got {repeats}; 5 or 10 are usual.")
    if not 0 <= seed < 2**32:
        raise InputError(
            f"`seed` must lie in [0, 2**32 - 1], got {seed}; use a small whole number."
        )
    rule = RULES["max_c"]
    if not isinstance(max_c, Real) or not rule.allows(float(max_c)):
        raise InputError(
            f"`max_c` must lie in {rule.range()}, got {short_repr(max_c)}; {rule.advice}."
        )
    if n_jobs == 0:
        raise InputError(
            "`n_jobs` must be at least 1, or negative to count back from all cores, got 0; use -1 for all."
        )


def check_whole(name: str, value: object, advice: str) -> None:
    """Raise `InputError` if the value is no whole number."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise InputError(f"`{name}` must be a whole number, got {short_repr(value)}; {advice}.")


def rescale(embedding: npt.NDArray[Any], scale: Scale) -> npt.NDArray[Any]:
    """Return the embedding (G, D) unchanged ("linear"), or sign(x) log(1 + |x|) of it ("log").

    Raises:
        InputError: the scale is unknown.
    """
    if not isinstance(scale, str) or scale not in get_args(Scale):
        raise InputError(
            f"`scale` must be one of {', '.join(get_args(Scale))}, got {short_repr(scale)}; linear changes nothing."
        )
    return embedding if scale == "linear" else np.sign(embedding) * np.log1p(np.abs(embedding))
