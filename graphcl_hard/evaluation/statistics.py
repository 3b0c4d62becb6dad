"""Confidence intervals and tests for scores over cross-validation folds, whose training parts overlap, or over seeds.

The corrected resampled t-test (Nadeau & Bengio, "Inference for the Generalization Error", Machine Learning 52, 2003;
for k folds repeated r times Bouckaert & Frank, "Evaluating the Replicability of Significance Tests for Comparing
Learning Algorithms", PAKDD 2004) uses the mean m and the variance s^2 (ddof=1) of the J = k r scores:

    t = m / sqrt((1 / J + n_test / n_train) s^2),    J - 1 degrees of freedom.

The ordinary t-test omits n_test / n_train, as if the J training parts were independent, and so reports too many
significant differences.
"""

import math
from numbers import Real
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from graphcl_hard.exceptions import InputError, short_repr


class PairedDifference(NamedTuple):
    """The mean difference of paired scores with its confidence interval and test."""

    difference: float
    """Mean of first - second over the folds; for a score such as rmse, where lower is better, good ones are below 0."""
    low: float
    """Lower end of the confidence interval."""
    high: float
    """Upper end of the confidence interval."""
    t: float | None
    """t statistic; 0 if all differences are 0, +-inf if all are equal and not 0; None for a bootstrap."""
    p: float
    """Two-sided p-value."""
    degrees_of_freedom: int | None
    """Number of folds of all repeats, minus 1; None for a bootstrap."""


def corrected_interval(
    scores: npt.ArrayLike, test_train_ratio: float, confidence: float = 0.95
) -> tuple[float, float]:
    r"""Return the confidence interval of the mean of J scores of repeated cross-validation.

    .. math::
        m \;\pm\; t_{J-1} \sqrt{(1 / J + n_\mathrm{test} / n_\mathrm{train}) \, s^2}

    where :math:`m` is the mean and :math:`s^2` the variance of the scores.

    Args:
        scores: at least 2 finite scores, of any shape, such as (repeats, folds).
        test_train_ratio: n_test / n_train of one split, 1 / (k - 1) for k folds.
        confidence: confidence level in (0, 1).

    Returns:
        (low, high), not clipped to the range of the score.

    Raises:
        InputError: there are fewer than 2 scores, a score is not finite, or the ratio or confidence is out of range.
    """
    values = _check_values("scores", scores, least=2)
    error = _corrected_error(values, test_train_ratio)
    return _around_mean(values, error, confidence)


def paired_difference(
    first: npt.ArrayLike, second: npt.ArrayLike, test_train_ratio: float, confidence: float = 0.95
) -> PairedDifference:
    """Return the corrected resampled t-test of first - second, two arrays of scores on the same folds.

    Args:
        first: at least 2 finite scores, of any shape; for example accuracies of trained embeddings.
        second: scores of the same shape and order; for example accuracies of untrained embeddings.
        test_train_ratio: n_test / n_train of one split, 1 / (k - 1) for k folds.
        confidence: confidence level of the interval, in (0, 1).

    Returns:
        The mean difference, its interval, t, the two-sided p-value and the degrees of freedom. If all differences are
        0, p is 1; if all are equal and not 0, p is 0 and t is +-inf.

    Raises:
        InputError: the shapes differ, or `corrected_interval` raises it.
    """
    shapes = (_numbers("first", first).shape, _numbers("second", second).shape)
    if shapes[0] != shapes[1]:
        raise InputError(
            f"first and second must have the same shape, got {shapes[0]} and {shapes[1]}; score both on the same folds."
        )
    differences = _check_values("first", first, least=2) - _check_values("second", second, least=2)
    error = _corrected_error(differences, test_train_ratio)
    low, high = _around_mean(differences, error, confidence)
    mean = float(differences.mean())
    freedom = differences.size - 1
    without_variance = math.copysign(math.inf, mean) if mean else 0.0
    t = mean / error if error > 0 else without_variance
    return PairedDifference(mean, low, high, t, float(2 * stats.t.sf(abs(t), freedom)), freedom)


def percentile_interval(values: npt.ArrayLike, confidence: float = 0.95) -> tuple[float, float]:
    """Return the bootstrap's percentile interval: the quantiles of the scores of resamples.

    Args:
        values: (B,) scores of B resamples, all finite.
        confidence: confidence level in (0, 1).

    Returns:
        (low, high).

    Raises:
        InputError: there is no value, a value is not finite, or the confidence is out of range.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    """
    checked = _check_values("values", values, least=1)
    _check_confidence(confidence)
    low, high = np.quantile(checked, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def bootstrap_difference(
    difference: float, resampled: npt.ArrayLike, confidence: float = 0.95
) -> PairedDifference:
    r"""Return the paired bootstrap of a difference of two scores of the same rows.

    With the differences :math:`d_b` of B resamples the two-sided p-value is

    .. math::
        p = \min\left(1,\; 2 \,
        \frac{1 + \min(\#\{d_b \le 0\}, \#\{d_b \ge 0\})}{B + 1}\right).

    Args:
        difference: first - second on all rows.
        resampled: (B,) first - second on each resample, all finite.
        confidence: confidence level in (0, 1).

    Returns:
        The difference, its percentile interval and p; t and the degrees of freedom are None.

    Raises:
        InputError: there is no value, a value is not finite, or the confidence is out of range.

    Source: Davison and Hinkley, "Bootstrap Methods and their Application", 1997, chapter 4.
    """
    values = _check_values("resampled", resampled, least=1)
    low, high = percentile_interval(values, confidence)
    tail = min(int((values <= 0).sum()), int((values >= 0).sum()))
    p = min(1.0, 2 * (1 + tail) / (len(values) + 1))
    return PairedDifference(float(difference), low, high, None, p, None)


def holm(p_values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    r"""Return p-values with Holm's correction for their number, in the order given.

    With m p-values sorted ascending, the corrected ones are

    .. math::
        \tilde p_{(i)} = \max_{j \le i} \min(1, (m - j + 1) \, p_{(j)}) .

    Args:
        p_values: (m,) in [0, 1], at least one.

    Returns:
        (m,) float64.

    Raises:
        InputError: a value is no probability, or there is none.

    Examples:
        >>> from graphcl_hard.evaluation.statistics import holm
        >>> holm([0.01, 0.04, 0.03]).tolist()
        [0.03, 0.06, 0.06]

    Source: Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scand. J. Statistics 6, 1979.
    """
    values = _check_values("p_values", p_values, least=1)
    if values.min() < 0 or values.max() > 1:
        raise InputError(
            f"p_values must lie in [0, 1], got {values.min()} to {values.max()}; give probabilities."
        )
    order = np.argsort(values, kind="stable")
    factors = np.arange(len(values), 0, -1)
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(1, np.maximum.accumulate(factors * values[order]))
    return corrected


def t_interval(values: npt.ArrayLike, confidence: float = 0.95) -> tuple[float, float] | None:
    """Return Student's confidence interval of the mean of independent values, such as one score for each seed.

    Args:
        values: at least 1 finite value, of any shape.
        confidence: confidence level in (0, 1).

    Returns:
        (low, high), or None for a single value, which has no standard deviation.

    Raises:
        InputError: there is no value, a value is not finite, or the confidence is out of range.
    """
    checked = _check_values("values", values, least=1)
    if checked.size == 1:
        return None
    return _around_mean(checked, _standard_deviation(checked) / math.sqrt(checked.size), confidence)


def _corrected_error(values: npt.NDArray[np.float64], test_train_ratio: float) -> float:
    _check_number("test_train_ratio", test_train_ratio, "it is n_test / n_train")
    if not 0 < test_train_ratio < math.inf:
        raise InputError(
            f"test_train_ratio must be above 0 and finite, got {test_train_ratio}; it is n_test / n_train, 1 / (k - 1) "
            "for k folds."
        )
    return math.sqrt(1 / values.size + test_train_ratio) * _standard_deviation(values)


def _standard_deviation(values: npt.NDArray[np.float64]) -> float:
    # Equal values may differ from their rounded mean in the last bit, which would give a huge t.
    return float(values.std(ddof=1)) if np.ptp(values) > 0 else 0.0


def _around_mean(
    values: npt.NDArray[np.float64], error: float, confidence: float
) -> tuple[float, float]:
    _check_confidence(confidence)
    mean = float(values.mean())
    half_width = float(stats.t.ppf((1 + confidence) / 2, values.size - 1)) * error
    return mean - half_width, mean + half_width


def _check_confidence(confidence: float) -> None:
    _check_number("confidence", confidence, "0.95 is usual")
    if not 0 < confidence < 1:
        raise InputError(f"confidence must lie in (0, 1), got {confidence}; 0.95 is usual.")


def _numbers(name: str, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "biuf":
            raise TypeError
        return array.astype(np.float64)
    except (RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"{name} must be an array of numbers, got {short_repr(values)}; give the score of every fold."
        ) from error


def _check_number(name: str, value: object, advice: str) -> None:
    if not isinstance(value, Real) or isinstance(value, bool):
        raise InputError(f"{name} must be a number, got {short_repr(value)}; {advice}.")


def _check_values(name: str, values: npt.ArrayLike, least: int) -> npt.NDArray[np.float64]:
    array = _numbers(name, values).ravel()
    if array.size < least:
        numbers = "number" if least == 1 else "numbers"
        raise InputError(
            f"{name} must contain at least {least} {numbers}, got {array.size}; give the score of every fold."
        )
    if not np.isfinite(array).all():
        position = int(np.flatnonzero(~np.isfinite(array))[0])
        raise InputError(
            f"{name} must be finite, got {array[position]} at position {position}; leave failed runs out."
        )
    return array
