"""Accuracies of the records fold by fold, with intervals, paired tests and ranks.

Everything else works on `Results`: data set -> seed -> accuracies (repeats, folds), for one method at one
epoch, or for one way of choosing both. Two results are compared on the seeds that both have, fold by fold: the folds
of a (data set, seed) are the same for all methods.

Seeds are further repeats of the cross-validation, with other weights and other folds but the same graphs, so all
intervals and tests are the corrected resampled t over (seeds x repeats, folds) (`graphcl_hard.evaluation.statistics`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests

from graphcl_hard.evaluation.statistics import corrected_interval, paired_difference
from graphcl_hard.exceptions import InputError

PROBE = "svm"
LEVEL = 0.05
NAMES = {
    "wl": "WL kernel",
    "wl-oa": "WL-OA kernel",
    "bn-only": "batch norm only",
    "bn-exact": "batch norm only, exact",
}
"""Names in tables, where they are not the method's own."""

Folds = dict[int, npt.NDArray[np.float64]]
Results = dict[str, Folds]


class Estimate(NamedTuple):
    """A mean accuracy in [0, 1], its 95% interval and the number of seeds behind it."""

    mean: float
    low: float
    high: float
    seeds: int


def score_frame(
    records: Iterable[Mapping[str, Any]],
    datasets: Sequence[str] = (),
    families: Sequence[str] = (),
) -> pd.DataFrame:
    """Return a row for each scored epoch of each finished cell, by data set, family and settings.

    Columns: dataset, method, family, beta, tau_plus (nan where nothing is trained), others (how many settings there are
    beside these two), seed, epoch, last (whether it is the run's last epoch), probe, and the arrays accuracy and
    inner_accuracy, both (repeats, folds), and score, the name of what they are, which is another first score where the
    targets are measured. Where a record holds several probes, the RBF SVM's scores are taken.

    Args:
        records: of the cells.
        datasets: that come first, in this order; the others follow in alphabetical order.
        families: that come first within a data set, likewise.

    Raises:
        InputError: no record has scores.
    """
    rows = [row for record in records for row in _rows(record)]
    if not rows:
        raise InputError(
            "The records must hold at least one finished cell, got none; run the sweep first."
        )
    frame = pd.DataFrame(rows)
    for name, first in (("dataset", datasets), ("family", families)):
        places = {one: place for place, one in enumerate(ordered(frame[name], first))}
        frame[f"{name}_place"] = frame[name].map(places)
    keys = [
        "dataset_place",
        "family_place",
        "beta",
        "tau_plus",
        "others",
        "method",
        "seed",
        "epoch",
    ]
    return frame.sort_values(keys, kind="stable", ignore_index=True).drop(
        columns=["dataset_place", "family_place"]
    )


def _rows(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    scores = record["scores"]
    if not scores:
        return []
    untrained = record["last_epoch"] == 0
    probe = PROBE if PROBE in scores else next(iter(scores))
    settings = {**record["config"], **record["settings"]}
    values = {name: np.nan if untrained else float(settings[name]) for name in ("beta", "tau_plus")}
    fixed = {name: record[name] for name in ("dataset", "method", "family", "seed")} | values
    fixed["others"] = len(record["settings"].keys() - values.keys())
    return [
        {
            **fixed,
            "epoch": int(epoch),
            "last": int(epoch) == record["last_epoch"],
            "probe": probe,
            **_folds(scored, record["test_sizes"]),
        }
        for epoch, scored in scores[probe].items()
    ]


def _folds(scored: Mapping[str, Any], test_sizes: Any) -> dict[str, Any]:
    """Return the first score on every fold and on the inner folds; that of measured targets is in the same columns."""
    if "score" in scored:
        values, inner, name = (
            scored["folds"][scored["score"]],
            scored["inner_score"],
            scored["score"],
        )
    else:
        values, name = np.divide(scored["correct"], test_sizes), "accuracy"
        inner = scored["inner_accuracy"]
    found = {"accuracy": values, "inner_accuracy": inner}
    return {key: np.asarray(one, dtype=np.float64) for key, one in found.items()} | {"score": name}


def ordered(names: Iterable[str], first: Sequence[str]) -> list[str]:
    """Return the distinct names: those of `first` in its order, then the others in alphabetical order."""
    found = set(names)
    return [name for name in first if name in found] + sorted(found - set(first))


def results_of(rows: pd.DataFrame) -> Results:
    """Return the results of rows of `score_frame`; one row for each (data set, seed)."""
    results: Results = {}
    for dataset, seed, accuracy in zip(
        rows["dataset"], rows["seed"], rows["accuracy"], strict=True
    ):
        results.setdefault(dataset, {})[int(seed)] = accuracy
    return results


def at_epoch(scores: pd.DataFrame, method: str, epoch: int | None = None) -> Results:
    """Return the results of a method at an epoch, by default the last one."""
    rows = scores[scores["method"] == method]
    return results_of(rows[rows["last"] if epoch is None else rows["epoch"] == epoch])


def stacked(folds: Folds, seeds: Iterable[int] | None = None) -> npt.NDArray[np.float64]:
    """Return the accuracies of several seeds as one array, (seeds x repeats, folds).

    Raises:
        InputError: the seeds have different folds.
    """
    arrays = [folds[seed] for seed in (sorted(folds) if seeds is None else seeds)]
    if len({array.shape for array in arrays}) > 1:
        shapes = ", ".join(str(array.shape) for array in arrays)
        raise InputError(
            f"All seeds must have the same (repeats, folds), got {shapes}; run them with the same folds."
        )
    return np.concatenate(arrays)


def estimate(folds: Folds) -> Estimate:
    """Return the mean accuracy with the corrected 95% interval."""
    values = stacked(folds)
    return Estimate(
        float(values.mean()), *corrected_interval(values, 1 / (values.shape[1] - 1)), len(folds)
    )


def paired(first: Results, second: Results) -> pd.DataFrame:
    """Return paired tests of first - second on each data set, with Holm's correction over the data sets.

    Returns:
        Indexed by data set, those where both have a seed in common, in the order of `first`: difference, low, high
        (accuracy in [0, 1]), p (corrected resampled t, two-sided), p_holm, seeds (that both have).
    """
    rows = {}
    for dataset in [name for name in first if name in second]:
        seeds = sorted(first[dataset].keys() & second[dataset].keys())
        if seeds:
            ours, theirs = stacked(first[dataset], seeds), stacked(second[dataset], seeds)
            found = paired_difference(ours, theirs, 1 / (ours.shape[1] - 1))
            rows[dataset] = (found.difference, found.low, found.high, found.p, len(seeds))
    frame = pd.DataFrame.from_dict(
        rows, orient="index", columns=["difference", "low", "high", "p", "seeds"]
    )
    frame.insert(
        4, "p_holm", multipletests(frame["p"], method="holm")[1] if len(frame) else frame["p"]
    )
    return frame


def signed_rank(differences: npt.ArrayLike) -> float:
    """Return the two-sided p of Wilcoxon's signed-rank test over the data sets; 1 if all differences are 0."""
    values = np.asarray(differences, dtype=np.float64)
    values = values[values != 0]
    return float(stats.wilcoxon(values).pvalue) if len(values) else 1.0


def rank_table(lines: Mapping[str, Results]) -> pd.DataFrame:
    """Return the ranks of several results on each data set (1 is the best, ties get their mean rank).

    Only data sets where all of them have a seed in common count, with the mean accuracies over those seeds.

    Returns:
        Data sets (rows) x the lines' names (columns).
    """
    rows = {}
    shared = set.intersection(*(set(results) for results in lines.values()))
    for dataset in [name for name in next(iter(lines.values())) if name in shared]:
        seeds = sorted(set.intersection(*(set(results[dataset]) for results in lines.values())))
        if seeds:
            means = [stacked(results[dataset], seeds).mean() for results in lines.values()]
            # equal counts of correct graphs are a tie, whatever the order in which their folds were added up
            rows[dataset] = stats.rankdata(-np.round(means, 10))
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(lines))
