"""Effects over seeds and graphs: the formulas in loops, other programs' results, and simulations of a known truth."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.api import stats as sm
from statsmodels.formula.api import ols
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import DescrStatsW

from graphcl_hard.evaluation.crossed import (
    Effect,
    crossed_effect,
    detectable_difference,
    equivalence,
    pool,
    seed_effect,
    smallest_bound,
)
from graphcl_hard.evaluation.statistics import paired_difference
from graphcl_hard.exceptions import InputError

REPLICATES = 4000


@pytest.fixture
def arms():
    generator = np.random.default_rng(3)
    chance = generator.random(40)
    return (
        (generator.random((6, 40)) < chance).astype(int),
        (generator.random((6, 40)) < chance ** np.arange(1, 7)[:, None]).astype(int),
    )


def crossed_by_loops(first, second):
    """Return the mean, its standard error and the degrees of freedom, written out."""
    seeds, graphs = len(first), len(first[0])
    d = [[first[s][g] - second[s][g] for g in range(graphs)] for s in range(seeds)]
    mean = sum(map(sum, d)) / (seeds * graphs)
    of_seed = [sum(d[s]) / graphs for s in range(seeds)]
    of_graph = [sum(d[s][g] for s in range(seeds)) / seeds for g in range(graphs)]
    m_s = graphs * sum((one - mean) ** 2 for one in of_seed) / (seeds - 1)
    m_g = seeds * sum((one - mean) ** 2 for one in of_graph) / (graphs - 1)
    m_e = 0.0
    for s in range(seeds):
        for g in range(graphs):
            m_e += (d[s][g] - of_seed[s] - of_graph[g] + mean) ** 2
    m_e /= (seeds - 1) * (graphs - 1)
    total = max(m_g + m_s - m_e, m_g, m_s)
    w = m_s / total
    freedom = 1 / (w / (seeds - 1) + (1 - w) / (graphs - 1))
    return mean, math.sqrt(total / (seeds * graphs)), freedom


def test_the_effect_over_seeds_is_students_t_of_their_means(arms):
    found = seed_effect(*arms)
    test = stats.ttest_rel(arms[0].mean(axis=1), arms[1].mean(axis=1))
    interval = test.confidence_interval()
    assert (found.p, found.df) == pytest.approx((test.pvalue, 5))
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.mean / found.se == pytest.approx(test.statistic)
    narrow = seed_effect(*arms, confidence=0.9)
    assert (narrow.low, narrow.high) == pytest.approx(tuple(test.confidence_interval(0.9)))


def test_the_crossed_effect_matches_the_formula_in_loops(arms):
    found = crossed_effect(*arms)
    mean, error, freedom = crossed_by_loops(*(one.tolist() for one in arms))
    assert (found.mean, found.se, found.df) == pytest.approx((mean, error, freedom))
    assert found.p == pytest.approx(2 * stats.t.sf(abs(mean) / error, freedom))
    half_width = stats.t.ppf(0.975, freedom) * error
    assert (found.low, found.high) == pytest.approx((mean - half_width, mean + half_width))


def test_the_mean_squares_are_those_of_an_analysis_of_variance(arms):
    d = arms[0] - arms[1]
    seed, graph = np.indices(d.shape)
    rows = pd.DataFrame({"d": d.ravel(), "s": seed.ravel(), "g": graph.ravel()})
    table = sm.anova_lm(ols("d ~ C(s) + C(g)", rows).fit())
    squares = table["sum_sq"] / table["df"]
    total = squares["C(g)"] + squares["C(s)"] - squares["Residual"]
    assert total > max(squares["C(g)"], squares["C(s)"])
    assert crossed_effect(*arms).se ** 2 == pytest.approx(total / d.size)


def test_the_factor_with_fewer_levels_gives_the_degrees_of_freedom():
    """Which of the two are called seeds does not matter."""
    hits = (np.random.default_rng(1).random((5, 30)) < 0.7).astype(float)
    assert crossed_effect(hits) == pytest.approx(crossed_effect(hits.T))
    assert 4 <= crossed_effect(hits).df <= 29


def test_one_method_has_the_effect_of_its_accuracy(arms):
    hits = arms[0]
    for effect in (seed_effect, crossed_effect):
        found = effect(hits)
        assert found.mean == pytest.approx(hits.mean())
        assert found == pytest.approx(effect(hits, np.zeros_like(hits)))
    booleans = crossed_effect(hits.astype(bool), arms[1].astype(bool))
    assert booleans == crossed_effect(*arms)


def test_swapping_the_methods_turns_the_sign(arms):
    for effect in (seed_effect, crossed_effect):
        there, back = effect(*arms), effect(*arms[::-1])
        assert (back.mean, back.low, back.high) == pytest.approx(
            (-there.mean, -there.high, -there.low)
        )
        assert (back.se, back.df, back.p) == pytest.approx((there.se, there.df, there.p))


def test_effects_without_variance_have_no_error():
    same = np.tile([1, 0, 1, 1], (3, 1))
    for effect in (seed_effect, crossed_effect):
        assert effect(same, same)[:3] == (0, 0, 2)
        assert effect(same, same).p == 1
        assert effect(np.ones((3, 4)), np.full((3, 4), 0.7)).p == 0
    tenths = np.tile([0.1, 0.7, 0.3], (3, 1))  # all seeds agree, up to the rounding of means
    assert seed_effect(tenths).se == 0
    assert crossed_effect(tenths).df == pytest.approx(2)
    certain = Effect(0.2, 0.0, 3.0, 0.2, 0.2, 0.0)
    assert equivalence(certain, 0.3).p == 0
    assert equivalence(certain, 0.1).p == 1
    assert detectable_difference(certain) == 0
    assert smallest_bound(certain) == 0.2
    assert pool([certain, certain._replace(mean=-0.2, df=2.0)])[:3] == (0, 0, 2)


def test_pooling_matches_satterthwaites_formula():
    effects = [
        Effect(0.01, 0.02, 4, 0, 0, 1),
        Effect(0.04, 0.01, 19, 0, 0, 1),
        Effect(-0.02, 0.03, 7, 0, 0, 1),
    ]
    found = pool(effects)
    variance = 0.0
    fourth = 0.0
    for one in effects:
        variance += one.se**2
        fourth += one.se**4 / one.df
    assert (found.mean, found.se) == pytest.approx((0.01, math.sqrt(variance) / 3))
    assert found.df == pytest.approx(variance**2 / fourth)
    assert found.p == pytest.approx(2 * stats.t.sf(0.01 / found.se, found.df))
    single = seed_effect([[1, 0, 1], [1, 1, 1], [0, 1, 1]])
    assert pool([single]) == pytest.approx(single)


def test_pooling_two_seeds_effects_is_welchs_test():
    """The mean of m1 and -m2 is half of m1 - m2."""
    generator = np.random.default_rng(5)
    first, second = generator.random((5, 30)), generator.random((9, 30))
    two = seed_effect(second)
    found = pool([seed_effect(first), two._replace(mean=-two.mean)])
    welch = stats.ttest_ind(first.mean(axis=1), second.mean(axis=1), equal_var=False)
    assert (found.df, found.p) == pytest.approx((welch.df, welch.pvalue))


def test_equivalence_matches_two_one_sided_tests_of_statsmodels(arms):
    means = arms[0].mean(axis=1) - arms[1].mean(axis=1)
    effect = seed_effect(*arms)
    for bound in (0.05, 0.15, 0.4):
        p, *_ = DescrStatsW(means).ttost_mean(-bound, bound)
        found = equivalence(effect, bound)
        assert found.p == pytest.approx(p)
        assert found.equivalent == (p < 0.05)
        assert found.equivalent == (-bound < found.low and found.high < bound)
    assert (found.low, found.high) == pytest.approx(seed_effect(*arms, confidence=0.9)[3:5])


def test_the_smallest_bound_is_where_equivalence_begins(arms):
    for alpha in (0.05, 0.01):
        effect = crossed_effect(*arms)
        bound = smallest_bound(effect, alpha)
        assert equivalence(effect, bound, alpha).p == pytest.approx(alpha)
        assert smallest_bound(effect._replace(mean=-effect.mean), alpha) == pytest.approx(bound)


@pytest.mark.parametrize(
    ("seeds", "power", "alpha"), [(3, 0.8, 0.05), (20, 0.8, 0.05), (5, 0.5, 0.01)]
)
def test_the_detectable_difference_matches_statsmodels(seeds, power, alpha):
    effect = Effect(0.3, 0.02, seeds - 1, 0, 0, 1)
    size = TTestPower().solve_power(nobs=seeds, alpha=alpha, power=power)
    expected = size * math.sqrt(seeds) * effect.se
    assert detectable_difference(effect, power, alpha) == pytest.approx(expected, rel=1e-6)


@pytest.mark.slow
def test_a_test_finds_the_detectable_difference_with_its_power():
    truth = Effect(0.0, 0.01 / math.sqrt(5), 4, 0, 0, 1)
    difference = detectable_difference(truth)
    means = 0.5 + np.random.default_rng(0).normal(difference, 0.01, (REPLICATES, 5, 1))
    found = sum(seed_effect(one, np.full((5, 1), 0.5)).p < 0.05 for one in means) / REPLICATES
    assert abs(found - 0.8) < 4 * math.sqrt(0.8 * 0.2 / REPLICATES)


def test_more_power_and_fewer_degrees_of_freedom_need_a_larger_difference():
    by_power = [
        detectable_difference(Effect(0, 1, 10, 0, 0, 1), power) for power in (0.3, 0.8, 0.99)
    ]
    by_freedom = [detectable_difference(Effect(0, 1, df, 0, 0, 1)) for df in (1e6, 20, 2.5, 1)]
    for values in (by_power, by_freedom):
        assert all(a < b for a, b in itertools.pairwise(values))
    assert by_freedom[0] == pytest.approx(1.959964 + 0.841621, rel=1e-4)


@pytest.mark.parametrize(
    ("hits", "other", "message"),
    [
        (
            [[1, 0]],
            None,
            r"hits must have the shape \(seeds, graphs\) with at least 2 seeds, got \(1, 2\)",
        ),
        ([1, 0], None, r"hits must have the shape .* got \(2,\)"),
        ([[1, 0], [1]], None, "hits must be an array of numbers"),
        ([["a"], ["b"]], None, "hits must be an array of numbers"),
        ([[1, 2], [0, 1]], None, r"hits must lie in \[0, 1\], got 2.0"),
        ([[1, math.nan], [0, 1]], None, r"hits must lie in \[0, 1\], got nan"),
        ([[1, 0], [0, 1]], [[1, 0, 1], [0, 1, 1]], r"same shape, got \(2, 2\) and \(2, 3\)"),
        ([[1, 0], [0, 1]], [[-1, 0], [0, 1]], r"other must lie in \[0, 1\], got -1.0"),
    ],
)
def test_wrong_hits_are_refused(hits, other, message):
    for effect in (seed_effect, crossed_effect):
        with pytest.raises(InputError, match=message):
            effect(hits, other)


def test_other_wrong_arguments_are_refused(arms):
    effect = seed_effect(*arms)
    for call, message in [
        (lambda: crossed_effect([[1], [0]]), "at least 2 graphs .* got 1"),
        (lambda: seed_effect(*arms, confidence=1), r"confidence must lie in \(0, 1\), got 1"),
        (lambda: crossed_effect(*arms, confidence="a"), "confidence must be a number"),
        (lambda: pool([]), "effects must contain at least 1 effect, got 0"),
        (lambda: pool([effect], confidence=0), r"confidence must lie in \(0, 1\), got 0"),
        (lambda: equivalence(effect, 0), "bound must be above 0 and finite, got 0"),
        (lambda: equivalence(effect, "x"), "bound must be a number"),
        (lambda: equivalence(effect, 0.1, alpha=0.5), r"alpha must lie in \(0, 0.5\), got 0.5"),
        (lambda: smallest_bound(effect, alpha=0), r"alpha must lie in \(0, 0.5\), got 0"),
        (lambda: detectable_difference(effect, power=1), r"power must lie in \(0, 1\), got 1"),
        (lambda: detectable_difference(effect, 0.04), "power must be above alpha = 0.05, got 0.04"),
    ]:
        with pytest.raises(InputError, match=message):
            call()


# Simulations. A draw is a function of a generator that returns the hits of two methods whose true difference is 0.


def crossed_normal(seeds, graphs, of_graphs, of_seeds, drawn=None):
    """Differences with normal effects; `drawn` (G,) are the effects of given graphs, which are not drawn again."""

    def draw(generator):
        graph = generator.normal(size=graphs) if drawn is None else drawn - drawn.mean()
        seed = of_seeds * generator.normal(size=(seeds, 1))
        d = of_graphs * graph + seed + generator.normal(size=(seeds, graphs))
        return 0.5 + 0.01 * d, np.full(d.shape, 0.5)

    return draw


def probit(seeds, graphs, common, own, of_seeds, drawn=None):
    """Binary hits of two methods: 1 where a latent normal is above 0.

    Graphs are hard for both (`common`) or for one (`own`); seeds differ by `of_seeds`; the rest has variance 1. For
    given graphs, `drawn` (2, G), the second method has the first one's effects in another order, so both have the same
    accuracy on these graphs.
    """

    def draw(generator):
        if drawn is None:
            shared = common * generator.normal(size=graphs)
            level = shared + own * generator.normal(size=(2, graphs))
        else:
            level = common * drawn[0] + own * drawn[1]
            level = np.stack([level, np.roll(level, graphs // 2)])
        seed = of_seeds * generator.normal(size=(2, seeds, 1))
        rest = generator.standard_normal((2, seeds, graphs), dtype=np.float32)
        return 0.8 + level[:, None] + seed + rest > 0

    return draw


def learners(seeds, graphs):
    """Hits of nearest centroids on two kinds of features with the same distribution; all is drawn again each time.

    A seed keeps 4 of 8 features and has its own 10 folds. The training graphs are drawn again too, a variation that the
    crossed model does not have.
    """

    def draw(generator):
        y = np.arange(graphs) % 2
        fold = generator.permuted(np.tile(np.arange(graphs) % 10, (seeds, 1)), axis=1)
        inside = (fold[:, :, None] == np.arange(10)).astype(float)  # (seeds, graphs, folds)
        return [hits_of(generator, y, inside) for _ in range(2)]

    def hits_of(generator, y, inside):
        features = generator.normal(size=(graphs, 8)) + y[:, None] / 2
        kept = generator.permuted(np.tile(np.arange(8), (seeds, 1)), axis=1)[:, :4]
        x = features[:, kept].transpose(1, 0, 2)  # (seeds, graphs, 4)
        distances = []
        for label in (0, 1):
            of_label = inside * (y == label)[:, None]
            sums, counts = of_label.transpose(0, 2, 1) @ x, of_label.sum(axis=1)[:, :, None]
            others = [one.sum(axis=1, keepdims=True) - one for one in (sums, counts)]
            centre = inside @ (others[0] / others[1])  # of the training part of each graph's fold
            distances.append(np.square(x - centre).sum(axis=2))
        return (distances[1] < distances[0]) == y

    return draw


def rate(effect, draw, replicates=REPLICATES):
    """Return the share of replicates with p < 0.05."""
    generator = np.random.default_rng(16)
    return sum(effect(*draw(generator)).p < 0.05 for _ in range(replicates)) / replicates


GIVEN = np.random.default_rng(2).normal(size=(2, 1000))  # graphs that are drawn once
FEW = GIVEN[:, :188]
SEED_DRAWS = {
    "graphs dominate": crossed_normal(5, 188, 3.0, 0.0, drawn=FEW[0]),
    "seeds dominate": crossed_normal(5, 188, 0.0, 3.0, drawn=FEW[0]),
    "neither": crossed_normal(20, 188, 0.0, 0.0, drawn=FEW[0]),
    "binary, 5 x 188": probit(5, 188, 1.0, 0.5, 0.1, drawn=FEW),
    "binary, 20 x 188": probit(20, 188, 1.0, 0.5, 0.1, drawn=FEW),
    "binary, 5 x 1000": probit(5, 1000, 1.0, 0.5, 0.1, drawn=GIVEN),
    "binary, 20 x 1000": probit(20, 1000, 1.0, 0.5, 0.1, drawn=GIVEN),
}
NOMINAL = (0.05, 0.05)
BOTH_DRAWS = {  # with the range of the true rate, which is below 5% where the test is known to be conservative
    "graphs dominate, 5 x 188": (crossed_normal(5, 188, 3.0, 0.0), NOMINAL),
    "graphs dominate, 20 x 188": (crossed_normal(20, 188, 3.0, 0.0), NOMINAL),
    "seeds dominate, 5 x 188": (crossed_normal(5, 188, 0.0, 3.0), NOMINAL),
    "both, 5 x 188": (crossed_normal(5, 188, 3.0, 0.5), (0.03, 0.05)),
    "both, 20 x 188": (crossed_normal(20, 188, 1.0, 0.3), NOMINAL),
    "neither, 5 x 188": (crossed_normal(5, 188, 0.0, 0.0), (0.01, 0.02)),
    "neither, 20 x 188": (crossed_normal(20, 188, 0.0, 0.0), (0.025, 0.04)),
    "binary, 5 x 188": (probit(5, 188, 1.0, 0.5, 0.1), (0.03, 0.04)),
    "binary, 20 x 188": (probit(20, 188, 1.0, 0.5, 0.1), NOMINAL),
    "binary, 5 x 1000": (probit(5, 1000, 1.0, 0.5, 0.1), NOMINAL),
    "binary, 20 x 1000": (probit(20, 1000, 1.0, 0.5, 0.1), NOMINAL),
    "binary, graphs dominate, 5 x 188": (probit(5, 188, 1.0, 1.0, 0.0), (0.02, 0.035)),
    "binary, seeds dominate, 5 x 188": (probit(5, 188, 1.0, 0.0, 1.0), NOMINAL),
    "binary, neither, 5 x 188": (probit(5, 188, 1.0, 0.0, 0.0), (0.01, 0.02)),
    "learners, 5 x 188": (learners(5, 188), (0.025, 0.05)),
}


def error_of(rate, replicates=REPLICATES):
    """Return the standard error of a simulated rate."""
    return math.sqrt(rate * (1 - rate) / replicates)


def assert_between(found, low, high):
    """Assert that a rate is within 4 standard errors of its range; a test that never rejects is outside."""
    least = low - 4 * error_of(low)
    assert 0 < least < found < high + 4 * error_of(high)


@pytest.mark.slow
@pytest.mark.parametrize("name", SEED_DRAWS)
def test_the_test_over_seeds_keeps_its_level_on_given_graphs(name):
    assert_between(rate(seed_effect, SEED_DRAWS[name]), *NOMINAL)


@pytest.mark.slow
@pytest.mark.parametrize("name", BOTH_DRAWS)
def test_the_test_over_graphs_and_seeds_keeps_its_level(name):
    draw, true_rate = BOTH_DRAWS[name]
    assert_between(rate(crossed_effect, draw), *true_rate)


@pytest.mark.parametrize(("seeds", "narrower"), [(2, True), (3, True), (5, False), (20, False)])
def test_the_interval_for_new_graphs_is_the_wider_one_from_five_seeds_on(seeds, narrower):
    generator = np.random.default_rng(5)
    ratios = []
    for of_graphs, of_seeds in itertools.product((0.0, 0.3, 1.0), repeat=2):
        for _ in range(20):
            hits = crossed_normal(seeds, 50, of_graphs, of_seeds)(generator)
            new, given = (one.high - one.low for one in (crossed_effect(*hits), seed_effect(*hits)))
            ratios.append(new / given)
    assert (min(ratios) < 1 - 1e-9) == narrower  # equal where graphs have no effect


@pytest.mark.slow
def test_the_level_is_kept_for_all_ratios_of_the_variances():
    """Normal effects: the mean and the mean squares are independent, and drawn directly. 20,000 replicates each."""
    generator = np.random.default_rng(0)
    error = math.sqrt(0.05 * 0.95 / 20_000)
    for seeds, most in [(3, 0.058), (5, 0.0505), (20, 0.0505)]:
        found = [
            rate_of_mean_squares(generator, seeds, 188, of_graphs, of_seeds)
            for of_graphs in (0, 1, 10, 100)
            for of_seeds in (0, 1, 10, 100)
        ]
        assert max(found) < most + 4 * error


def rate_of_mean_squares(generator, seeds, graphs, of_graphs, of_seeds):
    """Return the rate for mean squares with the expectations 1 + of_graphs, 1 + of_seeds and 1."""
    freedoms = np.array([graphs - 1, seeds - 1, (graphs - 1) * (seeds - 1)])
    expected = np.array([1 + of_graphs, 1 + of_seeds, 1])
    m_g, m_s, m_e = (generator.chisquare(freedoms, (20_000, 3)) / freedoms * expected).T
    mean = generator.normal(0, math.sqrt(1 + of_graphs + of_seeds), 20_000)
    total = np.maximum(m_g + m_s - m_e, np.maximum(m_g, m_s))
    w = m_s / total
    freedom = 1 / (w / (seeds - 1) + (1 - w) / (graphs - 1))
    return np.mean(2 * stats.t.sf(np.abs(mean) / np.sqrt(total), freedom) < 0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("effect", "seeds", "true_rate"),
    [
        (seed_effect, 5, NOMINAL),
        (seed_effect, 20, NOMINAL),
        (crossed_effect, 3, (0.03, 0.035)),
        (crossed_effect, 5, (0.043, 0.05)),
        (crossed_effect, 20, (0.03, 0.05)),
    ],
)
def test_the_pooled_test_keeps_its_level(effect, seeds, true_rate):
    given = {} if effect is crossed_effect else {"drawn": FEW}
    draws = [probit(seeds, 188, 1.0, own, of_seeds, **given) for own, of_seeds in SIX_SETS]

    def pooled(*sets):
        return pool(effect(*one) for one in sets)

    found = rate(pooled, lambda generator: [draw(generator) for draw in draws])
    assert_between(found, *true_rate)


SIX_SETS = [(0.0, 0.0), (0.5, 0.1), (1.0, 0.1), (0.5, 0.3), (0.2, 0.05), (0.0, 0.2)]


@pytest.mark.slow
@pytest.mark.parametrize("effect", [seed_effect, crossed_effect])
def test_the_equivalence_test_rejects_at_its_bound_at_the_level(effect):
    """The true difference is the bound, many standard errors from 0."""
    given = {} if effect is crossed_effect else {"drawn": FEW[0]}
    draw = crossed_normal(20, 188, 1.0, 0.5, **given)

    def shifted(hits, other):
        return equivalence(effect(hits + 0.1, other), 0.1)

    assert_between(rate(shifted, draw), *NOMINAL)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["binary, 5 x 188", "binary, 20 x 188"])
def test_the_corrected_resampled_test_over_folds_of_all_seeds_never_rejects(name):
    """It takes the disagreement of folds for one between graphs, as if other seeds had no other folds."""
    generator = np.random.default_rng(1)

    def over_folds(*hits):
        order = generator.permuted(np.tile(np.arange(180), (len(hits[0]), 1)), axis=1)
        first, second = (
            np.take_along_axis(one, order, axis=1).reshape(len(order), 10, 18).mean(axis=2)
            for one in hits
        )
        return paired_difference(first, second, 1 / 9)

    assert rate(over_folds, SEED_DRAWS[name], replicates=1000) == 0
