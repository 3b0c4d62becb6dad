r"""The three heads that predict from frozen vectors, with the published grids, and a fast one for choosing recipes.

Models, grids and preparation are those of Praski, Adamczyk and Czech, "Benchmarking Pretrained Molecular Embedding
Models For Molecular Representation Learning", arXiv 2508.06199, as their published code has them:

- `ridge`: standardised vectors; logistic regression of each task with an L2 penalty, C in 10 values from 1e-3 to 100,
  or ridge regression with alpha = 1 / C.
- `rf`: one random forest for all tasks, 500 trees, entropy, `min_samples_split` in 2, 4, ..., 10.
- `knn`: standardised vectors; the mean of the k nearest molecules, k in 1, 3, ..., 9, by the Tanimoto distance of
  counts (vectors of integers), else by the cosine.

Like theirs, a gap in the training part counts as inactive. This differs, mostly to save time:

- The value of the grid is chosen with forests of 100 trees. One forest gives all values: a tree grown with
  `min_samples_split=2` and cut at the nodes with fewer than s samples is a tree grown with s. The final forest has 500.
- `ridge` goes from the strongest penalty on, starts each fit at the last solution, as `LogisticRegressionCV` does, and
  leaves the grid after three values without a better mean score.
- Inner scores are of known values only, where theirs count gaps as inactive.
- Predictions of measured values are clipped to the range of the training part: a linear model of few molecules can
  extrapolate by orders of magnitude to scaffolds that it has not seen. Their study has no measured values.
- A forest for measured values tries the root of the number of columns at a node, not all columns.

`gcv` is not theirs. It is a ridge regression of every target, also of classes, whose penalty minimises generalised
cross-validation, so that all targets and penalties share one decomposition. Only validation parts are scored by it.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.metrics.pairwise import cosine_distances
from sklearn.model_selection import check_cv
from sklearn.preprocessing import StandardScaler

from experiments.molecules.datasets import Molecules, Task
from graphcl_hard.evaluation.probes import ridge as ridge_regressions
from graphcl_hard.evaluation.rounding import flatten_constants, float32_columns
from graphcl_hard.exceptions import InputError
from graphcl_hard.sweeps.records import Record

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]
TREES, INNER_TREES = 500, 100
INNER_FOLDS = 5
PATIENCE = 3
"""How many values of a grid in order may be worse than the best one before the rest is left out."""
PENALTIES = tuple(np.logspace(3, -2, 10).tolist())
"""Of `ridge`, from the strongest to the weakest; C is 1 / penalty."""
GCV_PENALTIES = tuple(np.logspace(-1, 6, 22).tolist())
SPLITS = (2, 4, 6, 8, 10)
NEIGHBOURS = (1, 3, 5, 7, 9)

Predictions = Iterator[Floats]
"""(n, T) for each value of a grid in turn: scores of class 1, or measured values."""


class Head(NamedTuple):
    """A head, with the parameter that the inner folds choose."""

    name: str
    parameter: str
    grid: tuple[float, ...]
    predict: Callable[
        [Task, npt.NDArray[Any], Floats, npt.NDArray[Any], Sequence[float], int], Predictions
    ]
    """Takes the task, training vectors (N, D) and targets without gaps (N, T), new vectors (n, D), values of the grid
    and the number of trees."""
    in_order: bool = False
    """Whether the grid is left after `PATIENCE` values without a better score."""


class Chosen(NamedTuple):
    """What the inner folds chose."""

    value: float
    score: float | None
    """Mean over the inner folds: ROC AUC or R2; None where there is nothing to choose."""
    tried: int
    """How many values of the grid have a score."""


def _standardised(x: npt.NDArray[Any], new: npt.NDArray[Any]) -> tuple[Floats, Floats]:
    """Return both in float32 with the mean 0 and the standard deviation 1 that the first has."""
    single = float32_columns(x)
    x, new = x.astype(np.float32), new.astype(np.float32)
    flatten_constants(x, new, single)
    scaler = StandardScaler().fit(x)
    return scaler.transform(x), scaler.transform(new)


def _linear(
    task: Task,
    x: npt.NDArray[Any],
    y: Floats,
    new: npt.NDArray[Any],
    grid: Sequence[float],
    trees: int,
) -> Predictions:
    fitted, new = _standardised(x, new)
    if task == "regression":
        means, scales = y.mean(axis=0), y.std(axis=0)
        columns = [
            ridge_regressions(fitted.astype(np.float64), column, new.astype(np.float64), grid)
            for column in ((y - means) / scales).T
        ]
        for models in zip(*columns, strict=True):
            found = np.stack([model.predict(rows) for model, rows in models], axis=1)
            yield np.clip(found * scales + means, y.min(axis=0), y.max(axis=0))
        return
    if (
        len(fitted) < fitted.shape[1]
    ):  # the penalty does not change by a rotation into the span of the rows
        _, _, basis = np.linalg.svd(fitted, full_matrices=False)
        fitted, new = fitted @ basis.T, new @ basis.T
    models = [LogisticRegression(warm_start=True, max_iter=5000) for _ in y.T]
    for penalty in grid:
        found = np.zeros((len(new), y.shape[1]))
        for task_number, (model, labels) in enumerate(zip(models, y.T, strict=True)):
            if np.ptp(labels) > 0:  # of one class there is nothing to learn
                model.set_params(C=1 / penalty).fit(fitted, labels)
                found[:, task_number] = model.decision_function(new)
        yield found


def _gcv(
    task: Task,
    x: npt.NDArray[Any],
    y: Floats,
    new: npt.NDArray[Any],
    grid: Sequence[float],
    trees: int,
) -> Predictions:
    r"""Yield the predictions of ridge regressions, one penalty for each target by generalised cross-validation.

    With standardised vectors :math:`X = U S V^\top` of N molecules and a centred target y, the penalty
    :math:`\alpha` minimises

    .. math:: \frac{\|y - H_\alpha y\|^2}{(N - 1 - \mathrm{tr} H_\alpha)^2}, \quad
        H_\alpha = U \, \mathrm{diag}\!\left(\frac{s_i^2}{s_i^2 + \alpha}\right) U^\top ;

    the mean takes one degree of freedom.

    Source: Golub, Heath and Wahba, "Generalized Cross-Validation as a Method for Choosing a Good Ridge Parameter",
    Technometrics 21, 1979.
    """
    fitted, new = _standardised(x, new)
    right, singular = _right_vectors(fitted.astype(np.float64))
    means = y.mean(axis=0)
    projected = (fitted @ right / singular).T @ (y - means)  # (R, T)
    shrinkage = singular**2 / (singular**2 + np.asarray(GCV_PENALTIES)[:, None])  # (A, R)
    # |y - Hy|^2 = |y|^2 - sum of (2 h - h^2) (u^T y)^2
    errors = ((y - means) ** 2).sum(axis=0) - (2 * shrinkage - shrinkage**2) @ projected**2
    freedom = len(y) - 1 - shrinkage.sum(axis=1)
    chosen = np.argmin(errors / freedom[:, None] ** 2, axis=0)  # (T,)
    found = means + new @ right @ (shrinkage[chosen].T / singular[:, None] * projected)
    yield np.clip(found, y.min(axis=0), y.max(axis=0)) if task == "regression" else found


def _right_vectors(x: Floats) -> tuple[Floats, Floats]:
    """Return the right singular vectors (D, R) of (N, D) rows, and the singular values (R,) that are not 0.

    They come from the smaller one of the two matrices of products, which is several times as fast as `svd`. That
    squares the condition number, and the penalties are far above what it loses.
    """
    wide = x.shape[0] < x.shape[1]
    values, vectors = np.linalg.eigh(x @ x.T if wide else x.T @ x)
    kept = values > values.max() * len(values) * np.finfo(np.float64).eps
    singular, vectors = np.sqrt(values[kept]), vectors[:, kept]
    return (x.T @ vectors / singular if wide else vectors), singular


def _forest(
    task: Task,
    x: npt.NDArray[Any],
    y: Floats,
    new: npt.NDArray[Any],
    grid: Sequence[float],
    trees: int,
) -> Predictions:
    x, new = x.astype(np.float32), new.astype(np.float32)
    kind = RandomForestClassifier if task == "classification" else RandomForestRegressor
    criterion = "entropy" if task == "classification" else "squared_error"
    model = kind(
        trees,
        criterion=criterion,
        min_samples_split=int(grid[0]),
        max_features="sqrt",
        random_state=0,
    ).fit(x, y if y.shape[1] > 1 else y[:, 0])
    for least in grid:
        for tree in model.estimators_:
            cut_tree(tree, int(least))
        if task == "regression":
            yield model.predict(new).reshape(len(new), -1)
            continue
        found = model.predict_proba(new)
        found = found if y.shape[1] > 1 else [found]
        yield np.stack(
            [one[:, 1] if one.shape[1] > 1 else np.zeros(len(new)) for one in found], axis=1
        )


def cut_tree(tree: Any, least: int) -> None:
    """Turn the nodes of a fitted tree that have fewer than `least` samples into leaves.

    Growing asks of a node only whether it has `min_samples_split` samples, and its value is that of its samples, so
    the tree is then one grown with `min_samples_split=least`.
    """
    nodes = tree.tree_
    small = nodes.n_node_samples < least
    nodes.children_left[small] = nodes.children_right[small] = -1


def _neighbours(
    task: Task,
    x: npt.NDArray[Any],
    y: Floats,
    new: npt.NDArray[Any],
    grid: Sequence[float],
    trees: int,
) -> Predictions:
    counts = x.dtype.kind in "iu"
    fitted, new = _standardised(x, new)
    distances = (tanimoto_distances if counts else cosine_distances)(new, fitted)
    near = np.argsort(distances, axis=1, kind="stable")
    for k in grid:
        yield y[near[:, : int(k)]].mean(axis=1)


def tanimoto_distances(rows: Floats, columns: Floats) -> Floats:
    r"""Return the Tanimoto distances between vectors of counts, (R, C).

    .. math:: 1 - \frac{a \cdot b}{a \cdot a + b \cdot b - a \cdot b}

    That of two vectors of zeros is 0.

    Source: Bajusz, Racz and Heberger, J. Cheminformatics 7, 2015.
    """
    both = rows @ columns.T
    either = (rows**2).sum(axis=1)[:, None] + (columns**2).sum(axis=1) - both
    return 1 - np.divide(both, either, out=np.ones_like(both), where=either > 1e-8)


HEADS = {
    one.name: one
    for one in (
        Head("ridge", "penalty", PENALTIES, _linear, in_order=True),
        Head("rf", "min_samples_split", SPLITS, _forest),
        Head("knn", "k", NEIGHBOURS, _neighbours),
        Head("gcv", "", (0.0,), _gcv),
    )
}
PUBLISHED = ("ridge", "rf", "knn")
"""The heads of the published study."""


def filled(y: Floats) -> Floats:
    """Return targets whose gaps are 0, as in the published study."""
    return np.nan_to_num(y, nan=0.0)


def scores_of(task: Task, y: Floats, predicted: Floats) -> list[float]:
    """Return the score of each target on its known rows: ROC AUC or R2; NaN where it is undefined.

    Args:
        task: of the targets.
        y: (n, T), NaN where there is no value.
        predicted: (n, T).
    """
    found = []
    for truth, values in zip(y.T, predicted.T, strict=True):
        known = ~np.isnan(truth)
        if known.sum() < 2 or np.ptp(truth[known]) == 0:
            found.append(np.nan)
        else:
            score = roc_auc_score if task == "classification" else r2_score
            found.append(float(score(truth[known], values[known])))
    return found


def mean_score(scores: Sequence[float]) -> float:
    """Return the mean over the targets whose score is defined; NaN if there is none."""
    defined = [score for score in scores if not np.isnan(score)]
    return float(np.mean(defined)) if defined else np.nan


def scores_on(molecules: Molecules, rows: Ints, predicted: Floats) -> Record:
    """Return what a record says of predictions (n, T) for some rows (n,) of a data set.

    "scores" are ROC AUC or R2 of each target, None where it is undefined, "score" is their mean, and for measured
    values "rmse" the root mean squared error.
    """
    task, y = molecules.dataset.task, molecules.y[rows]
    scores = scores_of(task, y, predicted)
    record: Record = {
        "scores": {
            name: None if np.isnan(one) else one
            for name, one in zip(molecules.targets, scores, strict=True)
        },
        "score": mean_score(scores),
    }
    if task == "regression":
        record["rmse"] = float(np.sqrt(np.nanmean((predicted - y) ** 2)))
    return record


def choose(head: Head, task: Task, x: npt.NDArray[Any], y: Floats) -> Chosen:
    """Return the value of the grid with the best mean score over 5 folds, the first one on ties, or the only one.

    The folds are scikit-learn's for `cv=5`, as in the published study: stratified for a single task, in the order of
    the rows.

    Args:
        head: whose parameter it is.
        task: of the targets.
        x: (N, D) vectors of the training part; no other molecule is looked at.
        y: (N, T), NaN where there is no value.
    """
    if len(head.grid) == 1:
        return Chosen(head.grid[0], None, 0)
    known = filled(y)
    single = known[:, 0] if known.shape[1] == 1 else known
    cv = check_cv(INNER_FOLDS, single, classifier=task == "classification")
    folds = list(cv.split(x, single))
    each = [
        head.predict(task, x[fit], known[fit], x[out], head.grid, INNER_TREES) for fit, out in folds
    ]
    means: list[float] = []
    for found in zip(*each, strict=True):  # one value of the grid on all folds
        scores = [
            mean_score(scores_of(task, y[out], predicted))
            for (_, out), predicted in zip(folds, found, strict=True)
        ]
        means.append(mean_score(scores))
        best = int(np.argmax(np.where(np.isnan(means), -np.inf, means)))
        if head.in_order and len(means) - 1 - best >= PATIENCE:
            break
    if np.isnan(means[best]):
        raise InputError(
            f"The score must be defined on an inner fold, got {len(x)} training molecules of one class in each; give "
            "more molecules."
        )
    return Chosen(head.grid[best], means[best], len(means))


def predict(
    head: Head, task: Task, x: npt.NDArray[Any], y: Floats, new: npt.NDArray[Any], value: float
) -> Floats:
    """Return the predictions (n, T) for new vectors of the head fitted on all of the training part."""
    return next(head.predict(task, x, filled(y), new, (value,), TREES))
