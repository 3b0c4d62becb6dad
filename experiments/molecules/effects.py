"""Differences between representations, paired over data sets, splits and seeds, and mean ranks."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from experiments.molecules.datasets import CLASSIFICATION, REGRESSION
from experiments.molecules.heads import HEADS
from graphcl_hard.evaluation.statistics import corrected_interval, t_interval
from graphcl_hard.sweeps.records import Record

Rows = list[dict[str, Any]]
GROUPS = {"ROC AUC, five sets": CLASSIFICATION, "R2, three sets": REGRESSION}


class Comparison(NamedTuple):
    """A representation, and the one that it is compared with."""

    name: str
    reference: str


COMPARISONS = (
    # Does hardness help?
    Comparison("infograph-hard", "infograph-uniform"),
    Comparison("infograph-similar-16", "infograph-uniform"),
    Comparison("graphcl-hard", "graphcl-uniform"),
    Comparison("similar-16", "graphcl-uniform"),
    Comparison("similar-128", "graphcl-uniform"),
    # Does training add to the encoder with initial weights, and exact batch-norm statistics as well?
    Comparison("infograph-uniform", "initial-128"),
    Comparison("graphcl-uniform", "initial-128"),
    Comparison("channels-256", "initial-256"),
    Comparison("graphcl-uniform", "infograph-uniform"),
    # Does another recipe help?
    *(
        Comparison(name, "graphcl-uniform")
        for name in (
            "temperature-0.1",
            "temperature-0.5",
            "lr-0.0003",
            "lr-0.003",
            "strength-0.1",
            "strength-0.4",
            "subgraphs",
            "masks",
            "batch-512",
            "molecules-100000",
            "epochs-20",
            "two-changes",
            "channels-256",
        )
    ),
    # Is it worth more than a fingerprint?
    Comparison("untrained-512", "ecfp"),
    Comparison("channels-256", "ecfp"),
)


def paired(
    records: Sequence[Record], comparison: Comparison, datasets: Sequence[str]
) -> tuple[npt.NDArray[np.float64], float]:
    """Return the differences of scores, (S, R) for seeds and splits, each the mean over the data sets.

    Args:
        records: of one head and part.
        comparison: two representations. One that has no random numbers is compared with each seed of the other one.
        datasets: names. A seed that has no whole split is left out, and then a split that is not whole for each seed.

    Returns:
        The differences, and the ratio of the sizes of the scored and the fitted part, summed over the data sets.
    """
    own = [
        one for one in records if one["representation"] in comparison and one["dataset"] in datasets
    ]
    scores = {
        (one["representation"], one["dataset"], one["seed"], one["split"]): one["score"]
        for one in own
    }
    sizes = [
        (one["held_out_size"], one["train_size"])
        for one in own
        if one["representation"] == comparison.name
    ]
    first, second = (
        sorted({one["seed"] for one in own if one["representation"] == name}) for name in comparison
    )
    pairs = [(seed, seed) for seed in first if seed in second]
    if not all(one["seeded"] for one in own):
        pairs = [(one, other) for one in first for other in second]
    splits = sorted({split for *_, split in scores})
    table = np.full((len(pairs), len(splits)), np.nan)
    for row, pair in enumerate(pairs):
        for column, split in enumerate(splits):
            found = [
                [scores.get((name, dataset, seed, split), np.nan) for dataset in datasets]
                for name, seed in zip(comparison, pair, strict=True)
            ]
            table[row, column] = np.mean(np.subtract(*found))
    table = table[~np.isnan(table).all(axis=1)]
    table = table[:, ~np.isnan(table).any(axis=0)]
    scored, fitted = np.sum(sizes, axis=0) if sizes else (0, 1)
    return table, float(scored / fitted)


def effect_rows(
    records: Sequence[Record], comparisons: Sequence[Comparison], part: str, kind: str
) -> Rows:
    """Return the mean difference of each comparison and head, with two intervals.

    Args:
        records: of the study.
        comparisons: pairs of representations.
        part: "valid" or "test".
        kind: of the splits: "ogb", "random" or "inner".
    """
    own = [one for one in records if one["part"] == part and one["split"].split("-")[0] == kind]
    rows: Rows = []
    for comparison in comparisons:
        for head in HEADS:
            of_head = [one for one in own if one["head"] == head]
            for score, datasets in GROUPS.items():
                table, ratio = paired(of_head, comparison, datasets)
                if not table.size:
                    continue
                seeds = t_interval(table.mean(axis=1)) if len(table) > 1 else None
                by_split = table.mean(axis=0)
                splits = corrected_interval(by_split, ratio) if len(by_split) > 1 else None
                rows.append(
                    {
                        "difference": f"{comparison.name} - {comparison.reference}",
                        "head": head,
                        "score": score,
                        "mean": f"{table.mean():+.4f}",
                        "95%, other seeds": _interval(seeds),
                        "95%, other splits": _interval(splits),
                        "seeds": len(table),
                        "splits": table.shape[1],
                    }
                )
    return rows


def _interval(ends: tuple[float, float] | None) -> str:
    return "" if ends is None else f"[{ends[0]:+.4f}, {ends[1]:+.4f}]"


def rank_rows(records: Sequence[Record], part: str, kind: str) -> Rows:
    """Return the mean rank of each representation over the eight data sets, by head; 1 is the best.

    Seeds and splits are averaged before. A representation that lacks a data set or a split has no rank.
    """
    own = [one for one in records if one["part"] == part and one["split"].split("-")[0] == kind]
    datasets = (*CLASSIFICATION, *REGRESSION)
    rows: dict[str, dict[str, Any]] = {}
    for head in HEADS:
        of_head = [one for one in own if one["head"] == head]
        cells = {(dataset, one["split"]) for one in of_head for dataset in datasets}
        found: dict[str, dict[tuple[str, str], list[float]]] = {}
        for one in of_head:
            by_cell = found.setdefault(one["representation"], {})
            by_cell.setdefault((one["dataset"], one["split"]), []).append(one["score"])
        complete = {name: by_cell for name, by_cell in found.items() if by_cell.keys() == cells}
        if len(complete) < 2:
            continue
        scores = [
            [
                np.mean([np.mean(each) for (one, _), each in by_cell.items() if one == dataset])
                for dataset in datasets
            ]
            for by_cell in complete.values()
        ]
        ranks = rankdata(-np.array(scores), axis=0).mean(axis=1)
        for name, rank in zip(complete, ranks.tolist(), strict=True):
            rows.setdefault(name, {"representation": name})[head] = f"{rank:.2f}"
    return list(rows.values())
