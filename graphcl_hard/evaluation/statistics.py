"""Intervals and tests for scores: over cross-validation folds, whose training parts overlap, and over seeds.

The corrected resampled t (Nadeau & Bengio, "Inference for the Generalization Error", Machine Learning 52, 2003; for k
folds repeated r times Bouckaert & Frank, "Evaluating the Replicability of Significance Tests for Comparing Learning
Algorithms", PAKDD 2004): with the J = k r scores' mean m and variance s^2 (ddof=1),

    t = m / sqrt((1 / J + n_test / n_train) s^2),    J - 1 degrees of freedom.

The plain t test leaves n_test / n_train out, as if the J trainings shared no data, and finds differences that are not
there.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from graphcl_hard.exceptions import InputError


class PairedDifference(NamedTuple):
    """The mean of first - second over the folds, and how sure it is."""

    difference: float
    """The mean."""
    low: float
    """Of its interval."""
    high: float
    """Its other end."""
    t: float
    """0 where all differences are 0, +-inf where they are all the same and not 0."""
    p: float
    """Two-sided."""
    degrees_of_freedom: int
    """Folds of all repeats, less one."""


def corrected_interval(scores: npt.ArrayLike, test_train_ratio: float, confidence: float = 0.95) -> tuple[float, float]:
    r"""Interval of the mean :math:`m` of J scores of repeated cross-validation, with the variance :math:`s^2`.

    .. math::
        m \;\pm\; t_{J-1} \sqrt{(1 / J + n_\mathrm{test} / n_\mathrm{train}) \, s^2}

    Args:
        scores: finite, at least 2, of any shape (such as (repeats, folds)).
        test_train_ratio: n_test / n_train of one split, 1 / (k - 1) for k folds.
        confidence: in (0, 1).

    Returns:
        (low, high); not cut to the range of the score.

    Raises:
        InputError: for fewer than 2 scores, scores that are not finite, a ratio <= 0, a confidence out of (0, 1).
    """
    values = _check_values("scores", scores, least=2)
    error = _corrected_error(values, test_train_ratio)
    return _around_mean(values, error, confidence)


def paired_difference(
    first: npt.ArrayLike, second: npt.ArrayLike, test_train_ratio: float, confidence: float = 0.95
) -> PairedDifference:
    """Corrected resampled t test of first - second, two arrays of scores on the same folds in the same order.

    Args:
        first: finite, at least 2, of any shape; for instance the trained embeddings' accuracies.
        second: of the same shape; for instance the untrained embeddings' accuracies.
        test_train_ratio: n_test / n_train of one split, 1 / (k - 1) for k folds.
        confidence: of the interval, in (0, 1).

    Returns:
        The mean difference, its interval, t, the two-sided p and the degrees of freedom. Without any variance, p is 1
        where all differences are 0, and 0 with t = +-inf where they are all the same other number.

    Raises:
        InputError: as `corrected_interval`, and for shapes that differ.
    """
    if np.shape(first) != np.shape(second):
        raise InputError(
            f"first and second must have the same shape, got {np.shape(first)} and {np.shape(second)}; score both on "
            "the same folds."
        )
    differences = _check_values("first", first, least=2) - _check_values("second", second, least=2)
    error = _corrected_error(differences, test_train_ratio)
    low, high = _around_mean(differences, error, confidence)
    mean = float(differences.mean())
    freedom = differences.size - 1
    without_variance = math.copysign(math.inf, mean) if mean else 0.0
    t = mean / error if error > 0 else without_variance
    return PairedDifference(mean, low, high, t, float(2 * stats.t.sf(abs(t), freedom)), freedom)


def t_interval(values: npt.ArrayLike, confidence: float = 0.95) -> tuple[float, float] | None:
    """Student's interval of the mean of independent values, such as one score for each training seed.

    Args:
        values: finite, at least 1, of any shape.
        confidence: in (0, 1).

    Returns:
        (low, high), or None with one value, which says nothing about its own spread.

    Raises:
        InputError: for no values, values that are not finite, a confidence out of (0, 1).
    """
    checked = _check_values("values", values, least=1)
    if checked.size == 1:
        return None
    return _around_mean(checked, _standard_deviation(checked) / math.sqrt(checked.size), confidence)


def _corrected_error(values: npt.NDArray[np.float64], test_train_ratio: float) -> float:
    if not 0 < test_train_ratio < math.inf:
        raise InputError(
            f"test_train_ratio must be above 0 and finite, got {test_train_ratio}; it is n_test / n_train, 1 / (k - 1) "
            "for k folds."
        )
    return math.sqrt(1 / values.size + test_train_ratio) * _standard_deviation(values)


def _standard_deviation(values: npt.NDArray[np.float64]) -> float:
    # equal values differ from their own rounded mean by an ulp or so, which would make a huge t out of nothing
    return float(values.std(ddof=1)) if np.ptp(values) > 0 else 0.0


def _around_mean(values: npt.NDArray[np.float64], error: float, confidence: float) -> tuple[float, float]:
    if not 0 < confidence < 1:
        raise InputError(f"confidence must lie in (0, 1), got {confidence}; 0.95 is usual.")
    mean = float(values.mean())
    half_width = float(stats.t.ppf((1 + confidence) / 2, values.size - 1)) * error
    return mean - half_width, mean + half_width


def _check_values(name: str, values: npt.ArrayLike, least: int) -> npt.NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64).ravel()
    if array.size < least:
        raise InputError(f"{name} must hold at least {least} number(s), got {array.size}; give every fold's score.")
    if not np.isfinite(array).all():
        position = int(np.flatnonzero(~np.isfinite(array))[0])
        raise InputError(f"{name} must be finite, got {array[position]} at position {position}; leave failed runs out.")
    return array
