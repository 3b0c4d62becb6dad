import math

import numpy as np
import pytest
from scipy import stats

from graphcl_hard.evaluation.statistics import (
    bootstrap_difference,
    corrected_interval,
    holm,
    paired_difference,
    percentile_interval,
    t_interval,
)
from graphcl_hard.exceptions import InputError


def paired_by_loops(first, second, ratio):
    """Return Nadeau & Bengio's statistic written out, with the t distribution from SciPy's one-sample test."""
    differences = [
        a - b
        for row_a, row_b in zip(first, second, strict=True)
        for a, b in zip(row_a, row_b, strict=True)
    ]
    count = len(differences)
    mean = sum(differences) / count
    variance = sum((d - mean) ** 2 for d in differences) / (count - 1)
    t = mean / math.sqrt((1 / count + ratio) * variance)
    return mean, t, count - 1


def test_paired_difference_matches_values_worked_out_by_hand():
    # differences 1, 2, 3: mean 2, s^2 1; (1/3 + 1/2) = 5/6; t = 2 sqrt(6/5); t_{0.975, 2} = 4.302653
    result = paired_difference([3.0, 5.0, 7.0], [2.0, 3.0, 4.0], test_train_ratio=0.5)
    assert result.difference == pytest.approx(2)
    assert result.degrees_of_freedom == 2
    assert result.t == pytest.approx(2 * math.sqrt(6 / 5))
    assert (result.low, result.high) == pytest.approx(
        (2 - 4.302653 * math.sqrt(5 / 6), 2 + 4.302653 * math.sqrt(5 / 6))
    )
    # with 2 degrees of freedom the t distribution has a closed form: p = 1 - t / sqrt(t^2 + 2)
    assert result.p == pytest.approx(1 - result.t / math.sqrt(result.t**2 + 2))


def test_paired_difference_matches_the_formula_in_loops():
    rng = np.random.default_rng(0)
    first, second = rng.normal(0.75, 0.03, (2, 5, 10))
    result = paired_difference(first, second, test_train_ratio=1 / 9)
    mean, t, freedom = paired_by_loops(first, second, 1 / 9)
    assert (result.difference, result.t, result.degrees_of_freedom) == pytest.approx(
        (mean, t, freedom)
    )
    assert result.p == pytest.approx(2 * stats.t.cdf(-abs(t), freedom))
    swapped = paired_difference(second, first, test_train_ratio=1 / 9)
    assert (swapped.difference, swapped.t, swapped.p) == pytest.approx((-mean, -t, result.p))


def test_interval_and_p_value_agree():
    """The interval ends at 0 where p is exactly 1 - confidence."""
    rng = np.random.default_rng(1)
    first, second = rng.normal(0.7, 0.03, (2, 30))
    p = paired_difference(first, second, 1 / 9).p
    touching = paired_difference(first, second, 1 / 9, confidence=1 - p)
    assert min(abs(touching.low), abs(touching.high)) == pytest.approx(0, abs=1e-12)


def test_correction_holds_the_level_where_the_plain_test_does_not():
    """Simulated folds share part of their noise, as overlapping training parts do, with correlation 1 / k."""
    rng = np.random.default_rng(2)
    runs, folds, repeats = 2000, 10, 10
    correlation = 1 / folds
    shared = rng.normal(size=(runs, 1)) * math.sqrt(correlation)
    noise = shared + rng.normal(size=(runs, folds * repeats)) * math.sqrt(1 - correlation)
    zeros = np.zeros(folds * repeats)
    corrected = np.mean([paired_difference(row, zeros, 1 / (folds - 1)).p < 0.05 for row in noise])
    plain = np.mean(stats.ttest_1samp(noise, 0, axis=1).pvalue < 0.05)
    assert 0.03 < corrected < 0.07
    assert plain > 0.3


@pytest.mark.parametrize(
    ("shift", "t", "p"),
    [(0.0, 0.0, 1.0), (0.25, math.inf, 0.0), (-0.25, -math.inf, 0.0), (0.1, math.inf, 0.0)],
)
def test_differences_without_variance(shift, t, p):
    # The rounded mean of thirty times 0.1 is not 0.1; a spread of one ulp must not count as variance.
    result = paired_difference(np.full(30, shift), np.zeros(30), 1 / 9)
    assert (result.t, result.p) == (t, p)
    assert result.difference == result.low == result.high == pytest.approx(shift)


def test_corrected_interval_is_the_paired_interval_against_zero():
    scores = np.random.default_rng(3).normal(0.8, 0.02, (3, 10))
    against_zero = paired_difference(scores, np.zeros_like(scores), 1 / 9)
    assert corrected_interval(scores, 1 / 9) == (against_zero.low, against_zero.high)
    low, high = corrected_interval([0.7, 0.8, 0.9], 0.5)
    assert (low, high) == pytest.approx(
        (0.8 - 4.302653 * 0.1 * math.sqrt(5 / 6), 0.8 + 4.302653 * 0.1 * math.sqrt(5 / 6))
    )


def test_t_interval_matches_scipy_and_says_nothing_about_one_value():
    values = [0.71, 0.74, 0.69, 0.73, 0.72]
    reference = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert t_interval(values, confidence=0.9) == pytest.approx((reference.low, reference.high))
    assert t_interval([0.7]) is None
    assert t_interval([0.7, 0.7, 0.7]) == pytest.approx((0.7, 0.7))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: paired_difference([1, 2], [1, 2, 3], 0.1), r"same shape, got \(2,\) and \(3,\)"),
        (
            lambda: paired_difference([1], [2], 0.1),
            r"first must contain at least 2 numbers, got 1",
        ),
        (
            lambda: paired_difference([1, 2], [math.nan, 2], 0.1),
            "second must be finite, got nan at position 0",
        ),
        (
            lambda: corrected_interval([1, 2], 0),
            "test_train_ratio must be above 0 and finite, got 0",
        ),
        (
            lambda: corrected_interval([1, 2], math.inf),
            "test_train_ratio must be above 0 and finite, got inf",
        ),
        (
            lambda: corrected_interval([1, 2], 0.1, confidence=95),
            r"confidence must lie in \(0, 1\), got 95",
        ),
        (lambda: corrected_interval([1, 2], "0.1"), "test_train_ratio must be a number, got '0.1'"),
        (
            lambda: t_interval([1, 2], confidence=None),
            "confidence must be a number, got None; 0.95 is usual",
        ),
        (lambda: t_interval([1, None]), r"values must be an array of numbers, got \[1, None\]"),
        (lambda: t_interval(["1", "2"]), "values must be an array of numbers"),
        (lambda: t_interval([1 + 2j, 2]), "values must be an array of numbers"),
        (
            lambda: paired_difference([[1], [1, 2]], [1, 2], 0.1),
            "first must be an array of numbers",
        ),
        (lambda: t_interval([]), r"values must contain at least 1 number, got 0"),
    ],
)
def test_bad_input_is_one_clear_sentence(call, message):
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_holm_is_statsmodels(count):
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    rng = np.random.default_rng(count)
    values = np.round(rng.random(count) ** 3, 2)  # with ties
    np.testing.assert_allclose(holm(values), multitest.multipletests(values, method="holm")[1])


def test_holm_by_hand():
    # sorted 0.01, 0.03, 0.04: 3 x 0.01, 2 x 0.03, and 0.04, which may not be below the one before
    np.testing.assert_allclose(holm([0.04, 0.01, 0.03]), [0.06, 0.03, 0.06])
    assert holm([0.9, 0.8]).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("values", [[], [0.5, 1.5], [-0.1], [np.nan], ["a"]])
def test_what_is_no_probability_is_refused(values):
    with pytest.raises(InputError, match="p_values must"):
        holm(values)


def test_bootstrap_difference_by_hand():
    resampled = np.arange(-1.0, 18.0)  # 19 values, of which 2 are not above 0
    found = bootstrap_difference(8.5, resampled, confidence=0.5)
    assert (found.low, found.high) == (3.5, 12.5)
    assert found.p == pytest.approx(2 * (1 + 2) / (19 + 1))
    assert (found.difference, found.t, found.degrees_of_freedom) == (8.5, None, None)
    assert bootstrap_difference(0.0, np.zeros(10)).p == 1.0


def test_percentile_interval_holds_its_level():
    """The mean of 40 normal values is inside the interval of its resamples about as often as it should be."""
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(400):
        values = rng.normal(size=40)
        means = values[rng.integers(40, size=(400, 40))].mean(axis=1)
        low, high = percentile_interval(means, 0.9)
        inside += low < 0 < high
    assert 0.84 < inside / 400 < 0.93
