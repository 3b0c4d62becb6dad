"""What the evaluation takes: labels that can be split, embeddings that are whole, on the scale that is asked for."""

from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from graphcl_hard.config import Scale
from graphcl_hard.exceptions import InputError, short_repr

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def check_folds(labels: npt.ArrayLike, folds: int) -> Ints:
    """The labels (G,) as class indices, once it is sure that they can be split into that many nested folds.

    Raises:
        InputError: fewer than 2 classes, a class with fewer than 3 graphs, or more folds than its graphs.
    """
    given = np.asarray(labels)
    if given.ndim != 1:
        raise InputError(f"labels must have the shape (G,), got {given.shape}; give one class for each graph.")
    if given.dtype.kind == "f" and not np.isfinite(given).all():
        row = int(np.isfinite(given).argmin())
        raise InputError(f"labels hold {given[row]} at graph {row}, but must be finite; leave unlabelled graphs out.")
    classes, y = np.unique(given, return_inverse=True)
    if len(classes) < 2:
        found = f"only {classes[0]}" if len(classes) else "none"
        raise InputError(f"labels must hold at least 2 classes, got {found}; nothing can be told apart.")
    counts = np.bincount(y)
    smallest = int(counts.argmin())
    who, count = f"class {classes[smallest]}", int(counts[smallest])
    if count < 3:
        raise InputError(f"{who} has {count} graph(s), but nested folds need at least 3 of each; leave that class out.")
    fewest = 2 if count > 3 else 3  # 2 folds of 3 graphs would leave 1 of them to train on, and the inner folds need 2
    if not fewest <= folds <= count:
        raise InputError(
            f"folds must lie in [{fewest}, {count}], got {folds}: {who} has {count} graphs and every fold needs one; "
            "change folds or leave that class out."
        )
    return y.astype(np.int64)


def check_embeddings(name: str, value: npt.ArrayLike, graphs: int) -> Floats:
    """The embeddings as a finite (G, D) float64 array.

    Raises:
        InputError: they are none, or are not of so many graphs.
    """
    what = "embeddings" if name == "embeddings" else f"embeddings {name!r}"
    try:
        array = np.asarray(value, dtype=np.float64, order="C")
    except (TypeError, ValueError) as error:
        raise InputError(f"{what} must be a (G, D) array of numbers, got {type(value).__name__}: {error}.") from error
    if array.ndim != 2 or array.shape[1] == 0:
        raise InputError(f"{what} must have the shape (G, D) with D >= 1, got {array.shape}; give a row a graph.")
    if len(array) != graphs:
        raise InputError(f"{what} have {len(array)} rows for {graphs} labels; give one row for each label.")
    bad_rows = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if len(bad_rows):
        found = f"NaN or infinity in {len(bad_rows)} of {graphs} rows, the first is row {bad_rows[0]}"
        raise InputError(f"{what} hold {found}, but every value must be finite; look for a training that diverged.")
    return array


def check_settings(repeats: int, seed: int, n_jobs: int) -> None:
    """Raise `InputError` on a setting of `evaluation.cross_validate` that is out of range."""
    if repeats < 1:
        raise InputError(f"repeats must be at least 1, got {repeats}; 5 or 10 are usual.")
    if not 0 <= seed < 2**32:
        raise InputError(f"seed must lie in [0, 2**32 - 1], got {seed}; take a small whole number.")
    if n_jobs == 0:
        raise InputError("n_jobs must be at least 1, or negative to count back from all cores, got 0; take -1 for all.")


def rescale(embedding: npt.NDArray[Any], scale: Scale) -> npt.NDArray[Any]:
    """The embedding (G, D) as it is, or sign(x) log(1 + |x|) of it.

    Raises:
        InputError: another scale.
    """
    if scale not in get_args(Scale):
        raise InputError(
            f"scale must be one of {', '.join(get_args(Scale))}, got {short_repr(scale)}; linear changes nothing."
        )
    return embedding if scale == "linear" else np.sign(embedding) * np.log1p(np.abs(embedding))
