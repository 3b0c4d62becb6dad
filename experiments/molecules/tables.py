"""The tables of the study, from its records."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.molecules.datasets import CLASSIFICATION, REGRESSION
from experiments.molecules.effects import COMPARISONS, effect_rows, rank_rows
from experiments.molecules.fine_tuning import HEAD
from experiments.molecules.heads import HEADS
from experiments.molecules.protocol import Part
from experiments.molecules.published import OURS, published
from graphcl_hard.evaluation.statistics import corrected_interval
from graphcl_hard.sweeps.records import Record

Rows = list[dict[str, Any]]
MEAN = "mean of the five"
LEAST = 2
"""Splits that an interval needs."""
PUBLISHED_NOTE = (
    "Rows marked as published are those of Praski, Adamczyk and Czech, arXiv 2508.06199."
)


def chosen_records(
    records: Sequence[Record], part: Part, split: str
) -> dict[tuple[str, str], dict[str, list[Record]]]:
    """Return (representation, head) -> data set -> records of a part, in the order of the first and of the heads.

    Args:
        records: of any cells.
        part: "valid" or "test".
        split: "ogb", or the kind of a numbered one, "random" or "inner".
    """
    found: dict[tuple[str, str], dict[str, list[Record]]] = {}
    own = [one for one in records if one["part"] == part and one["split"].split("-")[0] == split]
    for name in dict.fromkeys(one["representation"] for one in own):
        for head in (*HEADS, HEAD):
            for one in own:
                if (one["representation"], one["head"]) == (name, head):
                    by_set = found.setdefault((name, head), {})
                    by_set.setdefault(one["dataset"], []).append(one)
    return found


def mean_of(records: Sequence[Record], name: str = "score") -> float:
    """Return the mean over the records, which are of several seeds or splits."""
    return float(np.mean([one[name] for one in records]))


def shown(value: float | None) -> str:
    """Return a score as text, empty if there is none."""
    return "" if value is None else f"{value:.3f}"


def classification_rows(records: Sequence[Record], part: Part, split: str = "ogb") -> Rows:
    """Return ROC AUC for each representation and head, with the published rows below those of OGB's test part."""
    rows: Rows = []

    def add(name: str, head: str, scores: Mapping[str, float]) -> None:
        whole = np.mean(list(scores.values())) if len(scores) == len(CLASSIFICATION) else None
        cells = {dataset: shown(scores.get(dataset)) for dataset in CLASSIFICATION}
        rows.append({"representation": name, "head": head, **cells, MEAN: shown(whole)})

    for (name, head), by_set in chosen_records(records, part, split).items():
        scores = {one: mean_of(by_set[one]) for one in CLASSIFICATION if one in by_set}
        if scores:
            add(name, head, scores)
    if rows and part == "test" and split == "ogb":
        others: dict[tuple[str, str], dict[str, float]] = {}
        for (name, dataset, head), value in published().items():
            others.setdefault((name, head), {})[dataset] = value
        for (name, head), scores in others.items():
            add(f"{name} (published)", head, scores)
    return rows


def regression_rows(records: Sequence[Record], part: Part, split: str = "ogb") -> Rows:
    """Return R2 and the root mean squared error for each representation and head."""
    rows: Rows = []
    for (name, head), by_set in chosen_records(records, part, split).items():
        if not by_set.keys() & set(REGRESSION):
            continue
        cells = {}
        for dataset in REGRESSION:
            for column, key in (("R2", "score"), ("RMSE", "rmse")):
                found = by_set.get(dataset)
                cells[f"{dataset} {column}"] = shown(mean_of(found, key) if found else None)
        rows.append({"representation": name, "head": head, **cells})
    return rows


def interval_rows(records: Sequence[Record]) -> Rows:
    """Return the mean over the random splits, with its interval by the corrected resampled t."""
    rows: Rows = []
    for (name, head), by_set in chosen_records(records, "test", "random").items():
        for dataset in (*CLASSIFICATION, *REGRESSION):
            found = by_set.get(dataset, [])
            by_split: dict[str, list[Record]] = {}
            for one in found:
                by_split.setdefault(one["split"], []).append(one)
            scores = [mean_of(each) for each in by_split.values()]
            if len(scores) < LEAST:
                continue
            ratio = sum(one["held_out_size"] for one in found) / sum(
                one["train_size"] for one in found
            )
            low, high = corrected_interval(scores, ratio)
            rows.append(
                {
                    "representation": name,
                    "head": head,
                    "data set": dataset,
                    "score": "ROC AUC" if dataset in CLASSIFICATION else "R2",
                    "mean [95% interval]": f"{np.mean(scores):.3f} [{low:.3f}, {high:.3f}]",
                    "splits": len(scores),
                }
            )
    return rows


def difference_rows(records: Sequence[Record]) -> Rows:
    """Return our test scores beside the published ones of the same representation and head."""
    rows: Rows = []
    others = published()
    for (name, head), by_set in chosen_records(records, "test", "ogb").items():
        for dataset, found in by_set.items():
            theirs = others.get((OURS.get(name, ""), dataset, head))
            if theirs is None:
                continue
            ours = mean_of(found)
            rows.append(
                {
                    "representation": name,
                    "data set": dataset,
                    "head": head,
                    "here": shown(ours),
                    "published": shown(theirs),
                    "difference": f"{ours - theirs:+.3f}",
                    "chosen here": " ".join(
                        f"{parameter} {value:g}" for parameter, value in found[0]["chosen"].items()
                    ),
                }
            )
    return rows


def tables(records: Sequence[Record], calls: int) -> dict[str, tuple[Rows, list[str]]]:
    """Return name -> rows and notes of each table that has rows.

    Args:
        records: all of the study.
        calls: how often a test part was scored.
    """
    often = f"Test parts were scored in {calls} calls."
    heads = "Heads are tuned inside the training part; several seeds or splits are averaged."
    found = {
        "ogb_test": (
            classification_rows(records, "test"),
            [
                f"Test ROC AUC on OGB's scaffold split, mean over tasks. {heads}",
                PUBLISHED_NOTE,
                often,
            ],
        ),
        "ogb_test_measured": (
            regression_rows(records, "test"),
            [f"Test scores on the scaffold split 80 / 10 / 10. {heads}", often],
        ),
        "published_differences": (
            difference_rows(records),
            [
                "Test ROC AUC on OGB's scaffold split, and what the published study has.",
                PUBLISHED_NOTE,
            ],
        ),
        "random_splits": (
            interval_rows(records),
            [
                "Test scores on random scaffold splits; intervals by the corrected resampled t (Nadeau and Bengio, "
                "2003). Recipes were chosen with labels of most of these molecules.",
                often,
            ],
        ),
        "valid": (
            classification_rows(records, "valid"),
            [f"ROC AUC on the validation part of OGB's scaffold split. {heads}"],
        ),
        "valid_measured": (
            regression_rows(records, "valid"),
            [f"Scores on the validation part of the scaffold split 80 / 10 / 10. {heads}"],
        ),
        "inner": (
            classification_rows(records, "valid", "inner"),
            [
                f"ROC AUC on random scaffold splits without the molecules of OGB's test part. {heads}"
            ],
        ),
        "inner_measured": (
            regression_rows(records, "valid", "inner"),
            [f"Scores on random scaffold splits without the molecules of the test part. {heads}"],
        ),
    }
    intervals = (
        "Differences are paired over seeds and splits. Intervals: Student's t over seeds of pretraining, and the "
        "corrected resampled t over splits (Nadeau and Bengio, 2003). No interval is corrected for the number of rows."
    )
    for part, kind, name in (
        ("test", "ogb", "ogb_test"),
        ("test", "random", "random_splits"),
        ("valid", "inner", "inner"),
    ):
        notes = [intervals] if part == "valid" else [intervals, often]
        found[f"{name}_effects"] = effect_rows(records, COMPARISONS, part, kind), notes
        ranks = ["Mean rank over the eight data sets; 1 is the best of the rows of a head."]
        found[f"{name}_ranks"] = rank_rows(records, part, kind), ranks
    return {name: (rows, notes) for name, (rows, notes) in found.items() if rows}
