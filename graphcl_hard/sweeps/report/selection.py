"""Settings and epochs chosen inside the training folds, and epochs chosen on the test folds, which is optimistic."""

import numpy as np
import pandas as pd

from graphcl_hard.sweeps.report.analysis import Results, results_of

CANDIDATE = ["beta", "tau_plus", "others", "method", "epoch"]


def selected(scores: pd.DataFrame, family: str) -> tuple[Results, pd.DataFrame]:
    """Return a family's results where each outer fold has its own setting and epoch (after 0); see `chosen`."""
    return chosen(scores[(scores["family"] == family) & (scores["epoch"] > 0)])


def chosen(rows: pd.DataFrame) -> tuple[Results, pd.DataFrame]:
    """Return results where each outer fold has its own candidate, chosen inside its training part.

    For each (seed, repeat, fold), the candidates are all of the rows with this data set and seed, a method at an
    epoch each. The one with the largest inner_accuracy is taken, and its test accuracy reported. Ties go to
    the smallest beta, then the smallest tau_plus, the fewest other settings, the name, and the earliest epoch.

    Returns:
        The results, and the choices: dataset, method, epoch, share (of the outer folds, most frequent first) and
        candidates (the least number that a seed had).
    """
    results: Results = {}
    choices = []
    for (dataset, seed), group in rows.groupby(["dataset", "seed"], sort=False):
        candidates = group.sort_values(CANDIDATE, kind="stable")
        inner, accuracy = (
            np.stack(candidates[name].tolist()) for name in ("inner_accuracy", "accuracy")
        )
        best = inner.argmax(axis=0)  # (repeats, folds); the first of equals
        results.setdefault(dataset, {})[int(seed)] = np.take_along_axis(
            accuracy, best[None], axis=0
        )[0]
        taken = candidates.iloc[best.ravel()][["dataset", "method", "epoch"]]
        choices.append(taken.assign(candidates=len(candidates)))
    return results, _frequencies(pd.concat(choices)) if choices else pd.DataFrame()


def _frequencies(choices: pd.DataFrame) -> pd.DataFrame:
    least = choices.groupby("dataset", sort=False)["candidates"].min()
    counts = (
        choices.groupby(["dataset", "method", "epoch"], sort=False)
        .size()
        .rename("folds")
        .reset_index()
    )
    counts["share"] = counts["folds"] / counts.groupby("dataset")["folds"].transform("sum")
    counts["candidates"] = counts["dataset"].map(least)
    place = {dataset: number for number, dataset in enumerate(least.index)}
    counts = counts.assign(place=counts["dataset"].map(place), rarity=-counts["folds"])
    counts = counts.sort_values(
        ["place", "rarity", "method", "epoch"], kind="stable", ignore_index=True
    )
    return counts[["dataset", "method", "epoch", "share", "candidates"]]


def best_epoch(scores: pd.DataFrame, method: str) -> Results:
    """Return a method's results at the epoch, after 0, that is best on the test folds: optimistic.

    Each seed takes the scored epoch with the largest mean test accuracy, the earliest of equals, as `--protocol
    best-epoch` of the package does over all epochs.
    """
    rows = scores[(scores["method"] == method) & (scores["epoch"] > 0)]
    means = rows["accuracy"].map(np.mean).round(10)
    best = means.groupby([rows["dataset"], rows["seed"]], sort=False).idxmax()
    return results_of(rows.loc[best])
