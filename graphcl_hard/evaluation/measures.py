"""The own scores of predictions, for many weightings of the rows at a time.

A measure takes the true labels (M,), the answers for these rows, and counts (B, M): how often each of B resamples has
each row. It returns the score of each resample, (B,), NaN where it is undefined; with counts of 1, the plain score.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from graphcl_hard.evaluation.answers import Answers

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Measure = Callable[[Array, Answers, Floats], Floats]


def accuracy(truth: Array, answers: Answers, counts: Floats) -> Floats:
    """Return the share of correct predictions."""
    found: Floats = counts @ (answers.predicted() == truth) / counts.sum(axis=1)
    return found


def macro_f1(truth: Array, answers: Answers, counts: Floats) -> Floats:
    """Return the mean of the F1 scores of the classes that are true or predicted."""
    true, predicted, both = _confusion(truth, answers, counts)
    return _mean_where(true + predicted > 0, 2 * both / (true + predicted))


def balanced_accuracy(truth: Array, answers: Answers, counts: Floats) -> Floats:
    """Return the mean over the true classes of the share of correct predictions."""
    true, _, both = _confusion(truth, answers, counts)
    return _mean_where(true > 0, both / true)


def mcc(truth: Array, answers: Answers, counts: Floats) -> Floats:
    """Return Matthews' correlation coefficient of several classes (Gorodkin, 2004), 0 if it is undefined."""
    true, predicted, both = _confusion(truth, answers, counts)
    total = counts.sum(axis=1)
    covariance = both.sum(axis=1) * total - (true * predicted).sum(axis=1)
    spread = (total**2 - (true**2).sum(axis=1)) * (total**2 - (predicted**2).sum(axis=1))
    return np.where(spread > 0, covariance / np.sqrt(spread), np.where(total > 0, 0.0, np.nan))


def _confusion(truth: Array, answers: Answers, counts: Floats) -> tuple[Floats, Floats, Floats]:
    """Return for each resample and class, (B, C), the rows of the class, those predicted as it, and those of both."""
    predicted = answers.predicted()
    classes = np.unique(np.concatenate([truth, predicted]))
    is_true, is_predicted = truth[:, None] == classes, predicted[:, None] == classes
    return counts @ is_true, counts @ is_predicted, counts @ (is_true & is_predicted)


def roc_auc(truth: Array, answers: Answers, counts: Floats) -> Floats:
    """Return the area under the ROC curve of the second of two classes, or the mean over the classes, each against the
    rest: the share of pairs of a positive and a negative row that are in order, ties counting half."""

    def of_counts(positive: Floats, negative: Floats) -> Floats:
        below = np.cumsum(negative, axis=1) - negative
        pairs = positive.sum(axis=1) * negative.sum(axis=1)
        found: Floats = (positive * (below + negative / 2)).sum(axis=1) / pairs
        return found

    return _one_vs_rest(of_counts, truth, answers, counts)


def average_precision(truth: Array, answers: Answers, counts: Floats) -> Floats:
    """Return the mean over the positive rows of the precision at their decision value, for the classes as `roc_auc`."""

    def of_counts(positive: Floats, negative: Floats) -> Floats:
        above = np.cumsum(positive[:, ::-1], axis=1)
        rows = above + np.cumsum(negative[:, ::-1], axis=1)
        precision = np.where(rows > 0, above / rows, 0.0)
        found: Floats = (positive[:, ::-1] * precision).sum(axis=1) / positive.sum(axis=1)
        return found

    return _one_vs_rest(of_counts, truth, answers, counts)


def _one_vs_rest(
    of_counts: Callable[[Floats, Floats], Floats], truth: Array, answers: Answers, counts: Floats
) -> Floats:
    """Return the mean over the classes of a score of the counts (B, V) of positive and negative rows with each of the V
    decision values, in ascending order; undefined for a class without positive or without negative rows."""
    classes = answers.classes[1:] if len(answers.classes) == 2 else np.unique(truth)
    found, defined = [], []
    for label in classes:
        values = answers.decision(label)
        positive = _by_value(values, counts * (truth == label))
        negative = _by_value(values, counts * (truth != label))
        found.append(of_counts(positive, negative))
        defined.append((positive.sum(axis=1) > 0) & (negative.sum(axis=1) > 0))
    return _mean_where(np.array(defined).T, np.array(found).T)


def _by_value(values: Array, counts: Floats) -> Floats:
    """Return the counts (B, V) of the V different values, in ascending order, from those of the rows, (B, M)."""
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.diff(values[order], prepend=np.nan) != 0)
    found: Floats = np.add.reduceat(counts[:, order], starts, axis=1)
    return found


def _mean_where(where: npt.NDArray[np.bool_], values: Floats) -> Floats:
    found: Floats = np.where(where, values, 0.0).sum(axis=1) / where.sum(axis=1)
    return found


def r2(truth: Array, answers: Answers, counts: Floats) -> Floats:
    """Return the coefficient of determination; for equal true values, as in scikit-learn, 1 if they are met, else 0."""
    total = counts.sum(axis=1)
    error = counts @ (truth - answers.predicted()) ** 2
    means = counts @ truth / total
    spread = (counts * (truth - means[:, None]) ** 2).sum(axis=1)
    is_constant = (_by_value(truth, counts) > 0).sum(axis=1) < 2
    found = np.where(is_constant, np.where(error == 0, 1.0, 0.0), 1 - error / spread)
    return np.where(total > 1, found, np.nan)


def rmse(truth: Array, answers: Answers, counts: Floats) -> Floats:
    """Return the root of the mean squared error."""
    found: Floats = np.sqrt(counts @ (truth - answers.predicted()) ** 2 / counts.sum(axis=1))
    return found


def mae(truth: Array, answers: Answers, counts: Floats) -> Floats:
    """Return the mean absolute error."""
    found: Floats = counts @ np.abs(truth - answers.predicted()) / counts.sum(axis=1)
    return found


def spearman(truth: Array, answers: Answers, counts: Floats) -> Floats:
    """Return the correlation of the ranks, ties having their mean; undefined for equal values."""
    first, second = (_centred_ranks(v, counts) for v in (truth, answers.predicted()))
    spread = (counts * first**2).sum(axis=1) * (counts * second**2).sum(axis=1)
    covariance = (counts * first * second).sum(axis=1)
    return np.where(spread > 0, covariance / np.sqrt(spread), np.nan)


def _centred_ranks(values: Array, counts: Floats) -> Floats:
    """Return the mean ranks (B, M) of the rows in each resample, minus the mean of all ranks."""
    _, place = np.unique(values, return_inverse=True)
    by_value = _by_value(values, counts)
    ranks = np.cumsum(by_value, axis=1) - (by_value - 1) / 2
    found: Floats = ranks[:, place] - (counts.sum(axis=1, keepdims=True) + 1) / 2
    return found
