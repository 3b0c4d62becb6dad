"""Finding 2: which question the first study's test answers, and what it could have found.

The corrected resampled t adds n_test / n_train of the variance of the folds' scores to the variance of their mean: the
training parts of folds overlap, so a share of the folds' disagreement is taken to be common to all repeats. But the
weights, batches and folds of the first study were drawn again with each seed, and the means of the seeds vary as if its
folds were independent. Whether hardness helps on these graphs, whatever the seed, is what Student's t over the means of
the seeds answers, with few degrees of freedom here. The records have no predictions of single graphs, so the two
questions cannot be separated further.
"""

import math

import numpy as np
import pandas as pd
from scipy import stats

from experiments.hardness.review.old_study import HARD, UNIFORM, old_scores
from experiments.tu.families import SETS
from graphcl_hard.evaluation.crossed import (
    Effect,
    detectable_difference,
    equivalence,
    pool,
    seed_effect,
    smallest_bound,
)
from graphcl_hard.evaluation.statistics import paired_difference
from graphcl_hard.sweeps.report.analysis import at_epoch, stacked
from graphcl_hard.sweeps.report.table import Table

POINT = 0.01
"""The bound of the equivalence tests: one point of accuracy."""
Effects = dict[str, Effect]


def old_effects(first: str = HARD, second: str = UNIFORM) -> Effects:
    """Return first - second on each data set by the first study's test, over the folds of all seeds."""
    found = {}
    for dataset, (ours, theirs) in _folds(first, second).items():
        test = paired_difference(ours, theirs, 1 / (ours.shape[1] - 1))
        variance = (1 / ours.size + 1 / (ours.shape[1] - 1)) * np.var(ours - theirs, ddof=1)
        numbers = (math.sqrt(variance), ours.size - 1, test.low, test.high, test.p)
        found[dataset] = Effect(test.difference, *numbers)
    return found


def seed_effects(first: str = HARD, second: str = UNIFORM) -> Effects:
    """Return first - second on each data set by Student's t over the means of the seeds."""
    # folds differ in size by a graph, so that their mean is not quite that of the graphs; it is the published one
    return {
        dataset: seed_effect(ours, theirs)
        for dataset, (ours, theirs) in _folds(first, second).items()
    }


def independent_errors(first: str = HARD, second: str = UNIFORM) -> dict[str, float]:
    """Return the standard errors of first - second as if all folds of all seeds were independent."""
    return {
        dataset: float(np.std(ours - theirs, ddof=1) / math.sqrt(ours.size))
        for dataset, (ours, theirs) in _folds(first, second).items()
    }


def root_mean_square_t(effects: Effects) -> float:
    """Return the root mean square of the t statistics over the data sets, near 1 where the truth is 0."""
    return math.sqrt(np.mean([(one.mean / one.se) ** 2 for one in effects.values()]))


def tests_table() -> Table:
    """Return hard - uniform by both tests, with what the old test could have found, and pooled over the data sets."""
    old, seeds, plain = old_effects(), seed_effects(), independent_errors()
    shown, values = [], []
    for dataset in SETS:
        row = {"data set": dataset, "hard - uniform": f"{100 * old[dataset].mean:+.2f}"}
        row |= _shown(old[dataset], "old test")
        found = 100 * detectable_difference(old[dataset])
        row["detectable, 80% power"] = f"{found:.1f}"
        row |= _shown(seeds[dataset], "over seeds")
        errors = (old[dataset].se, plain[dataset], seeds[dataset].se)
        row["standard errors"] = ", ".join(f"{100 * one:.2f}" for one in errors)
        row["seeds"] = f"{seeds[dataset].df + 1:.0f}"
        shown.append(row)
        values += [
            {"dataset": dataset, "test": "old", **_values(old[dataset]), "detectable": found},
            {"dataset": dataset, "test": "independent", "se": 100 * plain[dataset]},
            {"dataset": dataset, "test": "seeds", **_values(seeds[dataset])},
        ]
    both = {"old": pool(old.values()), "seeds": pool(seeds.values())}
    row = {
        "data set": "mean over the data sets",
        "hard - uniform": f"{100 * both['old'].mean:+.2f}",
    }
    row |= _shown(both["old"], "old test")
    row["detectable, 80% power"] = f"{100 * detectable_difference(both['old']):.1f}"
    shown.append(row | _shown(both["seeds"], "over seeds") | {"standard errors": "", "seeds": ""})
    values += [
        {
            "dataset": "pooled",
            "test": name,
            **_values(effect),
            "detectable": 100 * detectable_difference(effect),
            "bound": 100 * smallest_bound(effect),
            "p_equivalence": equivalence(effect, POINT).p,
        }
        for name, effect in both.items()
    ]
    sizes = {"old": root_mean_square_t(old), "seeds": root_mean_square_t(seeds)}
    values += [
        {"dataset": "root mean square", "test": name, "t": size} for name, size in sizes.items()
    ]
    chance = stats.chi2.cdf(len(SETS) * sizes["old"] ** 2, len(SETS))
    note = (
        "Points [95% interval], at the last epoch of the main table. Old test: corrected resampled t over the folds of "
        "all seeds; over seeds: Student's t over their means. Detectable: the true difference that the old test "
        "finds with 80% probability. Standard errors: of the old test, as if folds were independent, over seeds. The "
        f"root mean square of the old test's t over the data sets is {sizes['old']:.2f}. About 1 is expected where "
        f"nothing differs, and as little as this with {_p(chance)} (chi-square). Pooled with equal weights, "
        f"equivalence within one point has {_p(equivalence(both['old'], POINT).p)} by the old test and "
        f"{_p(equivalence(both['seeds'], POINT).p)} over seeds; the smallest bound at the 5% level is "
        f"{100 * smallest_bound(both['old']):.2f} and {100 * smallest_bound(both['seeds']):.2f} points."
    )
    return Table(
        "review_tests",
        "What the first study's test could find",
        note,
        pd.DataFrame(shown),
        pd.DataFrame(values),
        1,
    )


def _folds(first: str, second: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the accuracies of both methods on each data set, (seeds, folds), of the seeds that both have."""
    ours, theirs = (at_epoch(old_scores(), method) for method in (first, second))
    found = {}
    for dataset in [name for name in SETS if name in ours and name in theirs]:
        seeds = sorted(ours[dataset].keys() & theirs[dataset].keys())
        found[dataset] = (stacked(ours[dataset], seeds), stacked(theirs[dataset], seeds))
    return found


def _shown(effect: Effect, test: str) -> dict[str, str]:
    low, high = 100 * effect.low, 100 * effect.high
    return {
        f"{test}: interval": f"[{low:+.2f}, {high:+.2f}]",
        f"{test}: t": f"{effect.mean / effect.se:+.2f}",
    }


def _values(effect: Effect) -> dict[str, float]:
    points = {"difference": effect.mean, "se": effect.se, "low": effect.low, "high": effect.high}
    return {name: 100 * value for name, value in points.items()} | {
        "df": effect.df,
        "t": effect.mean / effect.se,
        "p": effect.p,
    }


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
