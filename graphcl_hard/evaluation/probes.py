"""The probes that score vectors, and an SVM and a ridge regression that share their work over the whole grid."""

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn import config_context
from sklearn.base import is_classifier, is_regressor
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC

from graphcl_hard.evaluation.targets import Task
from graphcl_hard.exceptions import InputError, short_repr, short_str

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Array = npt.NDArray[Any]
Fitted = tuple[Any, Floats]
"""A fitted model, and the rows to predict in the form that its `predict` takes."""
Fitter = Callable[[Floats, Array, Floats, Sequence[float]], Iterator[Fitted]]
"""Takes standardised train (N, D), its values (N,), standardised test (M, D) and the grid; yields one `Fitted` for each
value of the grid. As a generator, it lets the caller stop between two fits."""


def shared_kernel(make: Callable[[float], Any]) -> Fitter:
    """Return the fitter of an SVM with kernel="rbf" and gamma="scale" that computes its kernel only once.

    libsvm would compute the kernel again for every C, in fit and in predict. It rounds the kernel to float32 for
    training, so the optimisation takes the same steps with this kernel as with its own.

    Args:
        make: takes C, returns the `SVC` or `SVR` with kernel="precomputed".

    Returns:
        The fitter. It raises `InputError` if a feature is NaN or infinite, as finite ones become if they overflow when
        standardised.
    """

    def fitter(
        train: Floats, values: Array, test: Floats, grid: Sequence[float]
    ) -> Iterator[Fitted]:
        if not (np.isfinite(train).all() and np.isfinite(test).all()):  # libsvm would never end
            raise InputError(
                "vectors overflow when they are standardised, but must stay finite; scale them down."
            )
        variance = train.var()
        gamma = 1.0 / (train.shape[1] * variance) if variance != 0 else 1.0  # as gamma="scale"
        if values.dtype.kind != "f":
            # libsvm processes the points class by class; in this order it reads the kernel contiguously.
            order = np.argsort(values, kind="stable")
            train, values = train[order], values[order]
        kernel = _rbf(train, train, gamma)  # (N, N)
        np.fill_diagonal(kernel, 1.0)
        cross_kernel = _rbf(test, train, gamma)  # (M, N)
        for value in grid:
            # The kernel is known to be finite; checking it again for every C would slow short fits down.
            with config_context(assume_finite=True, skip_parameter_validation=True):
                model = make(value).fit(kernel, values)
            yield model, cross_kernel

    return fitter


def _rbf(rows: Floats, columns: Floats, gamma: float) -> Floats:
    """Return exp(-gamma |r - c|^2), (R, C), computed in place, since allocating a second array is slow."""
    kernel = rows @ columns.T
    kernel *= 2 * gamma
    kernel -= gamma * np.einsum("ij,ij->i", rows, rows)[:, None]
    kernel -= gamma * np.einsum("ij,ij->i", columns, columns)
    np.minimum(kernel, 0, out=kernel)
    return np.exp(kernel, out=kernel)


class _Predicted(NamedTuple):
    """The predictions of a model that is no longer needed."""

    values: Floats

    def predict(self, _: Floats) -> Floats:
        return self.values


def ridge(train: Floats, values: Array, test: Floats, grid: Sequence[float]) -> Iterator[Fitted]:
    r"""Yield the ridge regression for each penalty, from one singular value decomposition.

    With centred features :math:`X = U S V^\top` and centred values y, the predictions for the rows Z are

    .. math:: Z V \, \mathrm{diag}\!\left(\frac{s_i}{s_i^2 + \alpha}\right) U^\top y .

    Source: Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning", 2009, equation 3.47.
    """
    left, singular, right = np.linalg.svd(train, full_matrices=False)
    rows, projected = test @ right.T, left.T @ values
    for alpha in grid:
        yield _Predicted(rows @ (singular / (singular**2 + alpha) * projected)), test


def _one_by_one(make: Callable[[float], Any]) -> Fitter:
    def fitter(
        train: Floats, values: Array, test: Floats, grid: Sequence[float]
    ) -> Iterator[Fitted]:
        for value in grid:
            yield make(value).fit(train, values), test

    return fitter


class Probe(NamedTuple):
    """A model that scores vectors, with the parameter that the inner folds choose and its grid."""

    name: str
    parameter: str
    grid: Sequence[float]
    make: Mapping[Task, Callable[[float], Any]]
    """Task -> function that takes a value of the parameter and returns the model of scikit-learn."""
    fitters: Mapping[Task, Fitter]
    """Task -> how all values of the grid are fitted."""

    def pipeline(self, task: Task, value: float) -> Any:
        """Return the model of scikit-learn, with its standardised features and measured values."""
        model = make_pipeline(StandardScaler(), self.make[task](value))
        if task == "classification":
            return model
        return TransformedTargetRegressor(model, transformer=StandardScaler())


def _probe(
    name: str,
    parameter: str,
    grid: Sequence[float],
    *,
    classifier: Callable[[float], Any] | None = None,
    regressor: Callable[[float], Any] | None = None,
    **fitters: Fitter,
) -> Probe:
    makers: dict[Task, Callable[[float], Any]] = {}
    if classifier is not None:
        makers["classification"] = classifier
    if regressor is not None:
        makers["regression"] = regressor
    fast: dict[Task, Fitter] = {
        task: fitters.get(task) or _one_by_one(make) for task, make in makers.items()
    }
    return Probe(name, parameter, grid, makers, fast)


C_GRID = (1e-3, 1e-2, 1e-1, 1e0, 1e1, 1e2, 1e3)
NEIGHBOURS_GRID = (1, 3, 5, 7, 11, 15, 21, 31)
ALPHA_GRID = (1e-3, 1e-2, 1e-1, 1e0, 1e1, 1e2, 1e3, 1e4, 1e5)

# No result depends on a `random_state`, but without one some draw from NumPy's random numbers of the whole process.
# LinearSVC solves the primal; many iterations are allowed so that C=1e3 converges without a warning.
_ALL = (
    _probe(
        "svm",
        "C",
        C_GRID,
        classifier=lambda c: SVC(C=c, random_state=0),
        regressor=lambda c: SVR(C=c),
        classification=shared_kernel(lambda c: SVC(C=c, kernel="precomputed", random_state=0)),
        regression=shared_kernel(lambda c: SVR(C=c, kernel="precomputed")),
    ),
    _probe(
        "linear-svm",
        "C",
        C_GRID,
        classifier=lambda c: LinearSVC(C=c, dual=False, max_iter=100_000, random_state=0),
    ),
    _probe(
        "logistic",
        "C",
        C_GRID,
        classifier=lambda c: LogisticRegression(C=c, max_iter=100_000, random_state=0),
    ),
    _probe("ridge", "alpha", ALPHA_GRID, regressor=Ridge, regression=ridge),
    _probe(
        "knn",
        "n_neighbors",
        NEIGHBOURS_GRID,
        classifier=lambda k: KNeighborsClassifier(int(k)),
        regressor=lambda k: KNeighborsRegressor(int(k)),
    ),
)
PROBES: dict[str, Probe] = {probe.name: probe for probe in _ALL}


def c_grid(max_c: float) -> tuple[float, ...]:
    """Return the powers of ten from 1e-3 to `max_c`, which lies in [1e-3, 1e9]."""
    powers = (float(f"1e{power}") for power in range(-3, 10))
    return tuple(c for c in powers if c <= max_c)


def find_probe(name: str, task: Task, max_c: float = C_GRID[-1]) -> Probe:
    """Return the probe with this name; a grid of C ends at `max_c`.

    Raises:
        InputError: the name is unknown, or the probe has no model for the task.
    """
    fitting = [probe.name for probe in PROBES.values() if task in probe.make]
    if not isinstance(name, str) or name not in PROBES:
        close = difflib.get_close_matches(short_str(name), PROBES, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "choose one of these."
        raise InputError(
            f"probe must be an estimator of scikit-learn or one of {', '.join(PROBES)}, got {short_repr(name)}; {hint}"
        )
    if name not in fitting:
        raise InputError(
            f"probe must be one of {', '.join(fitting)} for {task}, got {name!r}; choose one of these."
        )
    probe = PROBES[name]
    return probe._replace(grid=c_grid(max_c)) if probe.parameter == "C" else probe


def is_estimator(probe: object) -> bool:
    """Return whether the probe is an estimator of scikit-learn, and not its class."""
    methods = ("fit", "predict", "get_params")
    return not isinstance(probe, type) and all(hasattr(probe, method) for method in methods)


def check_estimator_task(probe: Any, task: Task) -> None:
    """Raise `InputError` if an estimator is known to be for the other task."""
    other, kind = (
        (is_regressor, "classifier") if task == "classification" else (is_classifier, "regressor")
    )
    if other(probe):
        raise InputError(
            f"probe must be a {kind} for {task}, got {short_repr(probe)}; give a {kind} or another task."
        )
