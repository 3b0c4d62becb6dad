"""The classifiers that score an embedding, and an SVM that computes its kernel once for all values of C."""

import difflib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn import config_context
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC, LinearSVC

from graphcl_hard.evaluation.checks import Floats, Ints
from graphcl_hard.exceptions import InputError, short_repr, short_str


def svm_predictions(
    train: Floats, labels: Ints, test: Floats, grid: Sequence[float]
) -> Iterator[Ints]:
    """Yield the predictions of SVC(C, kernel="rbf", gamma="scale") for each C of the grid.

    libsvm would compute the kernel again for every C, in fit and in predict. It rounds the kernel to float32 for
    training, so the optimisation takes the same steps with this kernel as with its own.

    Args:
        train: (N, D), standardised.
        labels: (N,), any integers, at least two classes.
        test: (M, D), standardised with the mean and standard deviation of train.
        grid: values of C, above 0.

    Yields:
        (M,) labels, one array for each C. As a generator, the function lets the caller stop between two fits.

    Raises:
        InputError: a value is NaN or infinite, as finite features become if they overflow when standardised.
    """
    if not (np.isfinite(train).all() and np.isfinite(test).all()):  # libsvm would never end
        raise InputError(
            "vectors overflow when they are standardised, but must stay finite; scale them down."
        )
    variance = train.var()
    gamma = (
        1.0 / (train.shape[1] * variance) if variance != 0 else 1.0
    )  # as SVC does for gamma="scale"
    # libsvm processes the points class by class; in this order it reads the kernel contiguously.
    order = np.argsort(labels, kind="stable")
    train, labels = train[order], labels[order]
    kernel = _rbf(train, train, gamma)  # (N, N)
    np.fill_diagonal(kernel, 1.0)
    cross_kernel = _rbf(test, train, gamma)  # (M, N)
    for value in grid:
        # The kernel is known to be finite; checking it again for every C would slow short fits down.
        with config_context(assume_finite=True, skip_parameter_validation=True):
            model = SVC(C=value, kernel="precomputed", random_state=0)
            predicted = model.fit(kernel, labels).predict(cross_kernel)
        yield predicted


def _rbf(rows: Floats, columns: Floats, gamma: float) -> Floats:
    """Return exp(-gamma |r - c|^2), (R, C), computed in place, since allocating a second array is slow."""
    kernel = rows @ columns.T
    kernel *= 2 * gamma
    kernel -= gamma * np.einsum("ij,ij->i", rows, rows)[:, None]
    kernel -= gamma * np.einsum("ij,ij->i", columns, columns)
    np.minimum(kernel, 0, out=kernel)
    return np.exp(kernel, out=kernel)


C_GRID = (1e-3, 1e-2, 1e-1, 1e0, 1e1, 1e2, 1e3)
NEIGHBOURS_GRID = (1, 3, 5, 7, 11, 15, 21, 31)


# Takes standardised train (N, D), labels (N,), standardised test (M, D) and the grid; yields predictions (M,) for each
# value of the grid. As a generator, it lets the caller stop between two fits.
Predictor = Callable[[Floats, Ints, Floats, Sequence[float]], Iterator[Ints]]


def _one_by_one(make: Callable[[float], Any]) -> Predictor:
    def predictor(
        train: Floats, labels: Ints, test: Floats, grid: Sequence[float]
    ) -> Iterator[Ints]:
        for value in grid:
            yield make(value).fit(train, labels).predict(test)

    return predictor


class Probe(NamedTuple):
    """A classifier that scores an embedding, with the parameter that the inner folds choose and its grid."""

    parameter: str
    grid: Sequence[float]
    predictor: Predictor


# No result depends on a `random_state`, but without one some draw from NumPy's random numbers of the whole process.
# LinearSVC solves the primal; many iterations are allowed so that C=1e3 converges without a warning.
PROBES: dict[str, Probe] = {
    "svm": Probe("C", C_GRID, svm_predictions),
    "linear-svm": Probe(
        "C",
        C_GRID,
        _one_by_one(lambda c: LinearSVC(C=c, dual=False, max_iter=100_000, random_state=0)),
    ),
    "logistic": Probe(
        "C",
        C_GRID,
        _one_by_one(lambda c: LogisticRegression(C=c, max_iter=100_000, random_state=0)),
    ),
    "knn": Probe(
        "n_neighbors", NEIGHBOURS_GRID, _one_by_one(lambda k: KNeighborsClassifier(int(k)))
    ),
}


def find_probe(name: str) -> Probe:
    """Return the classifier with this name.

    Raises:
        InputError: the name is unknown.
    """
    if not isinstance(name, str) or name not in PROBES:
        close = difflib.get_close_matches(short_str(name), PROBES, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "choose one of these."
        raise InputError(
            f"probe must be one of {', '.join(PROBES)}, got {short_repr(name)}; {hint}"
        )
    return PROBES[name]
