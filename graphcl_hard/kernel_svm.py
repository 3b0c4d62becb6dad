"""An RBF SVM at several values of C, with what they share computed once."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from sklearn import config_context
from sklearn.svm import SVC

from graphcl_hard.errors import InputError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def predictions(train: Floats, labels: Ints, test: Floats, grid: Sequence[float]) -> Iterator[Ints]:
    """What SVC(C, kernel="rbf", gamma="scale") predicts, for each C of the grid.

    libsvm would compute the kernel anew for every C, in fit and in predict. It trains on the kernel rounded to float32,
    so it walks the same path over this one as over its own.

    Args:
        train: (N, D), standardised.
        labels: (N,), at least two classes; any integers.
        test: (M, D), standardised as train.
        grid: values of C, above 0.

    Yields:
        (M,) labels, one array for each C. A generator, so that the caller can stop between two fits.

    Raises:
        InputError: NaN or infinity, which finite features become where their squares overflow.
    """
    if not (np.isfinite(train).all() and np.isfinite(test).all()):  # libsvm would look for the optimum for ever
        raise InputError("embeddings overflow when they are standardised, but must not; scale them down.")
    variance = train.var()
    gamma = 1.0 / (train.shape[1] * variance) if variance != 0 else 1.0  # what SVC takes for gamma="scale"
    # libsvm takes the points class by class; in that order it reads the kernel as it lies in memory.
    order = np.argsort(labels, kind="stable")
    train, labels = train[order], labels[order]
    kernel = _rbf(train, train, gamma)  # (N, N)
    np.fill_diagonal(kernel, 1.0)
    cross_kernel = _rbf(test, train, gamma)  # (M, N)
    for value in grid:
        # The kernel has been looked at, and looking again at every C would take time from short fits.
        with config_context(assume_finite=True, skip_parameter_validation=True):
            predicted = SVC(C=value, kernel="precomputed").fit(kernel, labels).predict(cross_kernel)
        yield predicted


def _rbf(rows: Floats, columns: Floats, gamma: float) -> Floats:
    """exp(-gamma |r - c|^2), (R, C); in place, since a second array of that size takes longer to get than to fill."""
    kernel = rows @ columns.T
    kernel *= 2 * gamma
    kernel -= gamma * np.einsum("ij,ij->i", rows, rows)[:, None]
    kernel -= gamma * np.einsum("ij,ij->i", columns, columns)
    np.minimum(kernel, 0, out=kernel)
    return np.exp(kernel, out=kernel)
