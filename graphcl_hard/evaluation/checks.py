"""Checks of the evaluation's inputs, and the rescaling of embeddings."""

from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from graphcl_hard.config import Scale
from graphcl_hard.exceptions import InputError, short_repr

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def check_folds(labels: npt.ArrayLike, folds: int) -> Ints:
    """Return the labels (G,) as class indices after checking that they can be split into nested folds.

    Raises:
        InputError: there are fewer than 2 classes, a class has fewer than 3 graphs, or there are more folds than graphs
            in a class.
    """
    given = np.asarray(labels)
    if given.ndim != 1:
        raise InputError(
            f"labels must have shape (G,), got {given.shape}; give one class for each graph."
        )
    if given.dtype.kind == "f" and not np.isfinite(given).all():
        row = int(np.isfinite(given).argmin())
        raise InputError(
            f"labels must be finite, got {given[row]} at graph {row}; leave unlabelled graphs out."
        )
    classes, y = np.unique(given, return_inverse=True)
    if len(classes) < 2:
        found = f"only {classes[0]}" if len(classes) else "none"
        raise InputError(
            f"labels must contain at least 2 classes, got {found}; add graphs of another class."
        )
    counts = np.bincount(y)
    smallest = int(counts.argmin())
    who, count = f"class {classes[smallest]}", int(counts[smallest])
    if count < 3:
        raise InputError(
            f"{who} has {count} graph(s), but nested folds need at least 3 of each; leave that class out."
        )
    fewest = (
        2 if count > 3 else 3
    )  # with 2 folds, 3 graphs could leave only 1 for training, but the inner folds need 2
    if not fewest <= folds <= count:
        raise InputError(
            f"`folds` must lie in [{fewest}, {count}], got {folds}: {who} has {count} graphs and every fold needs one; "
            "change folds or leave that class out."
        )
    return y.astype(np.int64)


def check_embeddings(name: str, value: npt.ArrayLike, graphs: int) -> Floats:
    """Return the embeddings as a (G, D) float64 array after checking that they are finite.

    Raises:
        InputError: the value is not a finite two-dimensional array of numbers with a row for each graph.
    """
    what = "embeddings" if name == "embeddings" else f"embeddings {name!r}"
    try:
        array = np.asarray(value, dtype=np.float64, order="C")
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{what} must be a (G, D) array of numbers, got {type(value).__name__}: {error}."
        ) from error
    if array.ndim != 2 or array.shape[1] == 0:
        raise InputError(
            f"{what} must have shape (G, D) with D >= 1, got {array.shape}; give one row for each graph."
        )
    if len(array) != graphs:
        raise InputError(
            f"{what} have {len(array)} rows for {graphs} labels; give one row for each label."
        )
    bad_rows = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if len(bad_rows):
        found = f"NaN or infinity in {len(bad_rows)} of {graphs} rows, first in row {bad_rows[0]}"
        raise InputError(f"{what} must be finite, got {found}; check whether training diverged.")
    return array


def check_settings(repeats: int, seed: int, n_jobs: int) -> None:
    """Raise `InputError` if a setting of `cross_validate` is out of range."""
    if repeats < 1:
        raise InputError(f"`repeats` must be at least 1, got {repeats}; 5 or 10 are usual.")
    if not 0 <= seed < 2**32:
        raise InputError(
            f"`seed` must lie in [0, 2**32 - 1], got {seed}; use a small whole number."
        )
    if n_jobs == 0:
        raise InputError(
            "`n_jobs` must be at least 1, or negative to count back from all cores, got 0; use -1 for all."
        )


def rescale(embedding: npt.NDArray[Any], scale: Scale) -> npt.NDArray[Any]:
    """Return the embedding (G, D) unchanged ("linear"), or sign(x) log(1 + |x|) of it ("log").

    Raises:
        InputError: the scale is unknown.
    """
    if scale not in get_args(Scale):
        raise InputError(
            f"`scale` must be one of {', '.join(get_args(Scale))}, got {short_repr(scale)}; linear changes nothing."
        )
    return embedding if scale == "linear" else np.sign(embedding) * np.log1p(np.abs(embedding))
