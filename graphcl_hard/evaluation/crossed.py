r"""Effects over seeds and graphs: two questions, two intervals, and what a study could have found.

A method is trained with seeds s = 1..S, and by k-fold cross-validation every seed predicts each of the graphs
g = 1..G once. Hits are 1 where a prediction is right and 0 where it is wrong, or the share of several repeats. Two
methods that share seeds, folds and graphs have the differences :math:`d_{sg}` of their hits, in [-1, 1], with the mean
m, the difference of their accuracies.

*Would other seeds give the same answer on these graphs?* The graphs are given, seeds are drawn. `seed_effect` is
Student's t over the seeds' means, with S - 1 degrees of freedom.

*Would new graphs of the same kind and new seeds?* `crossed_effect` uses the crossed random effects
:math:`d_{sg} = \mu + a_g + b_s + e_{sg}`, with uncorrelated terms, for which

.. math::
    \operatorname{Var}(m) = \frac{\sigma_a^2}{G} + \frac{\sigma_b^2}{S} + \frac{\sigma_e^2}{GS} .

The two-way analysis of variance without replication has the mean squares

.. math::
    M_g = \frac{S}{G-1} \sum_g (d_{\cdot g} - m)^2, \quad
    M_s = \frac{G}{S-1} \sum_s (d_{s \cdot} - m)^2, \quad
    M_e = \frac{\sum_{sg} (d_{sg} - d_{\cdot g} - d_{s \cdot} + m)^2}{(G-1)(S-1)}

with the expectations :math:`S \sigma_a^2 + \sigma_e^2`, :math:`G \sigma_b^2 + \sigma_e^2` and :math:`\sigma_e^2`, so
:math:`(M_g + M_s - M_e) / (GS)` is an unbiased estimate of Var(m) (Searle, Casella and McCulloch, "Variance
Components", 1992, chapter 4). For other ways to the variance of a mean over two crossed factors see Cameron, Gelbach
and Miller ("Robust Inference with Multiway Clustering", J. Business & Economic Statistics 29, 2011) and Owen ("The
Pigeonhole Bootstrap", Annals of Applied Statistics 1, 2007).

The second interval rests on graphs that are independent of each other given the seed. Predictions of one seed share
training graphs, so they are not quite. A shift that all graphs of a seed, or of one of its folds, have in common is
part of :math:`M_s`. Bayle, Bayle, Janson and Mackey ("Cross-validation Confidence Intervals for Test Error", NeurIPS
2020) show when the error of k-fold cross-validation obeys a central limit theorem with the variance of single
examples: when the learner is stable, i.e. one training example more or less hardly changes its loss. Even then the
interval is about the accuracy of models trained on these graphs. How much another *training* sample would change them
is not covered, since all seeds have the same one.
"""

import math
from collections.abc import Iterable
from numbers import Real
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from graphcl_hard.exceptions import InputError, short_repr


class Effect(NamedTuple):
    """An accuracy, or a difference of two, with its interval and test; all in shares of 1, none is clipped."""

    mean: float
    """The estimate."""
    se: float
    """Its standard error."""
    df: float
    """Degrees of freedom of the standard error."""
    low: float
    """Lower end of the confidence interval."""
    high: float
    """Upper end of the confidence interval."""
    p: float
    """Two-sided p-value of mean 0. If the standard error is 0, it is 1 for the mean 0 and 0 for any other."""


class Equivalence(NamedTuple):
    """Two one-sided tests of whether an effect is smaller than a bound, either way."""

    bound: float
    """The bound, in shares of 1."""
    p: float
    """The larger of the two one-sided p-values."""
    low: float
    """Lower end of the interval of level 1 - 2 alpha."""
    high: float
    """Upper end of the interval of level 1 - 2 alpha."""
    equivalent: bool
    """Whether p is below alpha: the interval lies within the bound on both sides."""


def seed_effect(
    hits: npt.ArrayLike, other: npt.ArrayLike | None = None, confidence: float = 0.95
) -> Effect:
    """Return the effect on these graphs, for other seeds: Student's t over the means of the seeds.

    Args:
        hits: (S, G) for S >= 2 seeds and G graphs: 1 where a prediction is right, 0 where it is wrong, or the share of
            several repeats. Leave graphs without a label out.
        other: (S, G) hits of the method to subtract, of the same seeds and graphs in the same order. None: the effect
            is the accuracy of one method, whose p-value is of no use.
        confidence: confidence level of the interval, in (0, 1).

    Returns:
        The effect, with S - 1 degrees of freedom.

    Raises:
        InputError: the arrays are not (S, G) shares of the same shape, there are fewer than 2 seeds, or the confidence
            is out of range.

    Examples:
        >>> from graphcl_hard.evaluation.crossed import seed_effect
        >>> found = seed_effect([[1, 1, 0, 1], [1, 1, 1, 1]], [[1, 0, 0, 1], [0, 1, 1, 0]])
        >>> found.mean, found.se, found.df
        (0.375, 0.125, 1.0)
    """
    differences = _differences(hits, other)
    by_seed = differences.mean(axis=1)
    error = math.sqrt(_variance(by_seed) / len(by_seed))
    return _effect(float(differences.mean()), error, len(by_seed) - 1, confidence)


def crossed_effect(
    hits: npt.ArrayLike, other: npt.ArrayLike | None = None, confidence: float = 0.95
) -> Effect:
    r"""Return the effect for new graphs of the same kind and new seeds: crossed random effects.

    With the mean squares of graphs, seeds and the rest (see the module), the standard error is

    .. math::
        \mathit{se}^2 = \frac{\max(M_g + M_s - M_e,\; M_g,\; M_s)}{GS} .

    Without the bound, the estimate can be 0 or negative where neither graphs nor seeds matter. The degrees of freedom
    are the harmonic mean of S - 1 and G - 1, weighted by the share w of the seeds (of the graphs, if they are fewer):

    .. math::
        \frac{1}{\nu} = \frac{w}{S - 1} + \frac{1 - w}{G - 1}, \qquad w = \frac{M_s}{GS \, \mathit{se}^2} .

    Since t's quantiles are nearly linear in :math:`1 / \nu`, this is the weighted mean of the critical values of
    Cochran and Cox ("Experimental Designs", 1957, section 4.14). Satterthwaite's degrees of freedom, with
    :math:`w^2` for :math:`w`, reject too often where seeds are few and matter: up to 5.8% for 5 seeds, 7.9% for 3.

    Its own rates at a nominal 5%, for normal effects of 64 ratios of their variances, are at most 5.2% for 5 and more
    seeds, but up to 5.8% for 3 and 8.9% for 2. The test is conservative with few seeds where these have no effect: if
    graphs have none either it rejects in 1.3% (5 seeds), 2.2% (10) or 3.1% (20), and for hits of 5 seeds that differ by
    graphs only in 3%. With nearest-centroid learners and new training graphs in each replicate, it rejects a true
    equality of two kinds of features in 3.2% (5 seeds) and 4.9% (20), where `seed_effect`, which answers the other
    question, does so in 22% and 52%.

    Args:
        hits: as in `seed_effect`, of at least 2 graphs.
        other: as in `seed_effect`.
        confidence: as in `seed_effect`.

    Returns:
        The effect, whose degrees of freedom are between the smaller and the larger of S - 1 and G - 1.

    Raises:
        InputError: as `seed_effect`, or there are fewer than 2 graphs.

    Examples:
        >>> import numpy as np
        >>> from graphcl_hard.evaluation.crossed import crossed_effect, seed_effect
        >>> generator = np.random.default_rng(0)
        >>> hard_graphs = generator.random(200)  # some graphs are hard for all seeds
        >>> hits = generator.random((20, 200)) > hard_graphs
        >>> round(crossed_effect(hits).se / seed_effect(hits).se)
        3
    """
    differences = _differences(hits, other)
    seeds, graphs = differences.shape
    if graphs < 2:
        raise InputError(
            f"hits must have at least 2 graphs for an effect over graphs, got {graphs}; use `seed_effect`."
        )
    mean = float(differences.mean())
    by_seed, by_graph = differences.mean(axis=1), differences.mean(axis=0)
    of_seeds, of_graphs = graphs * _variance(by_seed), seeds * _variance(by_graph)
    rest = differences - by_seed[:, None] - by_graph + mean
    of_rest = float(np.square(rest).sum()) / ((seeds - 1) * (graphs - 1))
    total = max(of_graphs + of_seeds - of_rest, of_graphs, of_seeds)
    (fewest, of_fewest), (most, _) = sorted([(seeds - 1, of_seeds), (graphs - 1, of_graphs)])
    share = of_fewest / total if total > 0 else 1.0
    freedom = 1 / (share / fewest + (1 - share) / most)
    return _effect(mean, math.sqrt(total / (seeds * graphs)), freedom, confidence)


def pool(effects: Iterable[Effect], confidence: float = 0.95) -> Effect:
    r"""Return the equally weighted mean of independent effects, such as one for each data set.

    .. math::
        m = \frac{1}{K} \sum_k m_k, \qquad \mathit{se}^2 = \frac{1}{K^2} \sum_k \mathit{se}_k^2, \qquad
        \nu = \frac{(\sum_k \mathit{se}_k^2)^2}{\sum_k \mathit{se}_k^4 / \nu_k}

    The answer is about these data sets, which are not a sample of others. A seed of the same number on another data set
    counts as another seed.

    Args:
        effects: at least one.
        confidence: confidence level of the interval, in (0, 1).

    Returns:
        The pooled effect.

    Raises:
        InputError: there is no effect, or the confidence is out of range.

    Source: Satterthwaite, "An Approximate Distribution of Estimates of Variance Components", Biometrics Bulletin 2,
    1946.
    """
    found = list(effects)
    if not found:
        raise InputError(
            "effects must contain at least 1 effect, got 0; give one for each data set."
        )
    squares = np.square([one.se for one in found])
    freedoms = np.array([one.df for one in found])
    total = float(squares.sum())
    freedom = total**2 / float((squares**2 / freedoms).sum()) if total > 0 else freedoms.min()
    mean = math.fsum(one.mean for one in found) / len(found)
    return _effect(mean, math.sqrt(total) / len(found), float(freedom), confidence)


def equivalence(effect: Effect, bound: float, alpha: float = 0.05) -> Equivalence:
    r"""Return two one-sided tests of whether an effect lies within a bound that was chosen beforehand.

    .. math::
        p = \max\left(P\left(T_\nu > \frac{m + \Delta}{\mathit{se}}\right),\;
        P\left(T_\nu > \frac{\Delta - m}{\mathit{se}}\right)\right)

    Args:
        effect: of `seed_effect`, `crossed_effect` or `pool`.
        bound: the bound, above 0, in shares of 1: 0.01 is one point.
        alpha: level of the test, in (0, 0.5).

    Returns:
        p, and the interval of level 1 - 2 alpha, which lies within the bound on both sides if p is below alpha.

    Raises:
        InputError: the bound or alpha is out of range.

    Examples:
        >>> from graphcl_hard.evaluation.crossed import equivalence, seed_effect
        >>> effect = seed_effect([[1, 1, 0, 1], [1, 0, 1, 1], [1, 1, 1, 0]])
        >>> equivalence(effect, bound=0.8).equivalent
        True

    Source: Schuirmann, "A Comparison of the Two One-Sided Tests Procedure and the Power Approach", J. Pharmacokinetics
    and Biopharmaceutics 15, 1987.
    """
    _check_share("alpha", alpha, 0.5, "0.05 is usual")
    _check_number("bound", bound, "it is a difference in shares of 1")
    if not 0 < bound < math.inf:
        raise InputError(
            f"bound must be above 0 and finite, got {bound}; it is a difference in shares of 1."
        )
    p = _tail(bound - abs(effect.mean), effect.se, effect.df)
    low, high = _interval(effect, 1 - 2 * alpha)
    return Equivalence(float(bound), p, low, high, p < alpha)


def smallest_bound(effect: Effect, alpha: float = 0.05) -> float:
    """Return the smallest bound within which an effect is equivalent to 0.

    It is the larger absolute end of the interval of level 1 - 2 alpha: the largest effect, either way, that is
    compatible with the data. A bound found from the data is a description; a test needs one that was chosen beforehand.

    Args:
        effect: of `seed_effect`, `crossed_effect` or `pool`.
        alpha: level of the test, in (0, 0.5).

    Raises:
        InputError: alpha is out of range.
    """
    _check_share("alpha", alpha, 0.5, "0.05 is usual")
    return max(abs(end) for end in _interval(effect, 1 - 2 * alpha))


def detectable_difference(effect: Effect, power: float = 0.8, alpha: float = 0.05) -> float:
    r"""Return the true difference that a test with this standard error finds with the given probability.

    It is the :math:`\delta` for which a noncentral t variable with :math:`\nu` degrees of freedom and noncentrality
    :math:`\delta / \mathit{se}` lies beyond the critical values of a two-sided test with probability `power`. The
    standard error is taken as the true one.

    Args:
        effect: of `seed_effect`, `crossed_effect` or `pool`; its mean plays no part.
        power: probability of a p-value below alpha, above alpha and below 1.
        alpha: level of the test, in (0, 1).

    Returns:
        The difference in shares of 1; 0 if the standard error is 0.

    Raises:
        InputError: power or alpha is out of range.

    Source: Cohen, "Statistical Power Analysis for the Behavioral Sciences", 1988, chapter 2.
    """
    _check_share("alpha", alpha, 1, "0.05 is usual")
    _check_share("power", power, 1, "0.8 is usual")
    if power <= alpha:
        raise InputError(f"power must be above alpha = {alpha}, got {power}; 0.8 is usual.")
    critical = _quantile(1 - alpha / 2, effect.df)

    def missing(shift: float) -> float:
        # a squared noncentral t variable has a noncentral F distribution
        return power - 1 + float(special.ncfdtr(1, effect.df, shift**2, critical**2))

    most = critical
    while missing(most) > 0:
        most *= 2
    return float(optimize.brentq(missing, 0.0, most)) * effect.se


def _effect(mean: float, error: float, freedom: float, confidence: float) -> Effect:
    _check_share("confidence", confidence, 1, "0.95 is usual")
    p = 2 * _tail(abs(mean), error, freedom)
    without_interval = Effect(mean, error, float(freedom), mean, mean, p)
    low, high = _interval(without_interval, confidence)
    return without_interval._replace(low=low, high=high)


def _interval(effect: Effect, confidence: float) -> tuple[float, float]:
    half_width = _quantile((1 + confidence) / 2, effect.df) * effect.se
    return effect.mean - half_width, effect.mean + half_width


# SciPy's functions for one number are a hundred times as fast as its distributions.
def _tail(distance: float, error: float, freedom: float) -> float:
    without_error = math.copysign(math.inf, distance) if distance else 0.0
    return float(special.stdtr(freedom, -(distance / error if error > 0 else without_error)))


def _quantile(share: float, freedom: float) -> float:
    return float(special.stdtrit(freedom, share))


def _variance(values: npt.NDArray[np.float64]) -> float:
    # Equal values may differ from their rounded mean in the last bit.
    return float(values.var(ddof=1)) if np.ptp(values) > 0 else 0.0


def _differences(hits: npt.ArrayLike, other: npt.ArrayLike | None) -> npt.NDArray[np.float64]:
    first = _shares("hits", hits)
    if other is None:
        return first
    second = _shares("other", other)
    if first.shape != second.shape:
        raise InputError(
            f"hits and other must have the same shape, got {first.shape} and {second.shape}; give the seeds and graphs "
            "that both have."
        )
    return first - second


def _shares(name: str, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    try:
        array = np.asarray(values)
    except (RuntimeError, ValueError):
        array = np.empty(0, dtype=object)
    if array.dtype.kind not in "biuf":
        raise InputError(
            f"{name} must be an array of numbers, got {short_repr(values)}; give 1 for each right prediction and 0 for "
            "each wrong one."
        )
    if array.ndim != 2 or array.shape[0] < 2 or array.shape[1] < 1:
        raise InputError(
            f"{name} must have the shape (seeds, graphs) with at least 2 seeds, got {array.shape}; run more seeds."
        )
    array = array.astype(np.float64)
    if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
        wrong = array[~((array >= 0) & (array <= 1))][0]
        raise InputError(
            f"{name} must lie in [0, 1], got {wrong}; give hits, not predictions, and leave graphs without a label out."
        )
    return array


def _check_share(name: str, value: object, below: float, advice: str) -> None:
    _check_number(name, value, advice)
    if not 0 < value < below:  # type: ignore[operator]
        raise InputError(f"{name} must lie in (0, {below:g}), got {value}; {advice}.")


def _check_number(name: str, value: object, advice: str) -> None:
    if not isinstance(value, Real) or isinstance(value, bool):
        raise InputError(f"{name} must be a number, got {short_repr(value)}; {advice}.")
