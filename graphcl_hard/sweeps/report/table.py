"""The type of the report's tables, and the format of their cells."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import pandas as pd

from graphcl_hard.sweeps.report.analysis import NAMES, Estimate, Results, estimate, ordered

INTERVAL = "Mean accuracy in % [95% interval]."


class Words(NamedTuple):
    """How the scores of a sweep are called."""

    score: str
    """"accuracy", or "score" where data sets have others."""
    interval: str
    """The beginning of a note: what is in the cells of a table."""
    probes: str
    """What made the scores, such as "an RBF SVM"; for single methods where they differ."""
    alike: bool
    """Whether all data sets have the same score, so that it can be averaged over them."""


PROBES = {
    "svm": "an RBF SVM",
    "linear-svm": "a linear SVM",
    "logistic": "logistic regression",
    "ridge": "ridge regression",
    "knn": "nearest neighbours",
}


def words_of(scores: pd.DataFrame) -> Words:
    """Return the words for the scores of a `score_frame`."""
    names = dict(zip(scores["dataset"], scores["score"], strict=True))
    probes = _probes_of(scores)
    if set(names.values()) == {"accuracy"}:
        return Words("accuracy", INTERVAL, probes, True)
    each = ", ".join(f"{score} on {dataset}" for dataset, score in names.items())
    interval = f"Mean score in % [95% interval]: {each}."
    return Words("score", interval, probes, len(set(names.values())) == 1)


def _probes_of(scores: pd.DataFrame) -> str:
    """Return the probe of the methods, and those of methods that have another; majority needs none."""
    rows = scores[scores["probe"] != "majority"].drop_duplicates(["method", "probe"])
    if rows.empty:
        return "no probe"
    usual = str(rows["probe"].mode()[0])
    others = rows[rows["probe"] != usual]
    text: str = PROBES.get(usual, usual)
    for probe, group in others.groupby("probe", sort=False):
        named = ", ".join(NAMES.get(name, name) for name in group["method"])
        text += f" ({PROBES.get(str(probe), probe)} for {named})"
    return text


@dataclass(frozen=True)
class Table:
    """A table under a name that is also its files' stem.

    Attributes:
        name: of the files.
        title: a few words.
        note: an explanation for the reader.
        shown: strings, the first column names the row.
        values: numbers, one fact a row, for the CSV file.
        summary_rows: how many of the last rows sum up those above.
    """

    name: str
    title: str
    note: str
    shown: pd.DataFrame
    values: pd.DataFrame
    summary_rows: int = field(default=0)


def shown_estimate(found: Estimate | None) -> str:
    """Return text such as "87.8 [82.5, 93.1]", in per cent."""
    if found is None:
        return ""
    return f"{100 * found.mean:.1f} [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def shown_seeds(counts: Iterable[int]) -> str:
    """Return text such as "5", or "3 to 5"."""
    values = sorted(set(counts))
    return (
        "" if not values else str(values[0]) if len(values) == 1 else f"{values[0]} to {values[-1]}"
    )


def value_row(found: Estimate | None) -> dict[str, float]:
    """Return an estimate as the columns of a CSV file, in per cent; empty if there is none."""
    if found is None:
        return {}
    return {
        "accuracy": 100 * found.mean,
        "low": 100 * found.low,
        "high": 100 * found.high,
        "seeds": found.seeds,
    }


def estimates(results: Results) -> dict[str, Estimate]:
    """Return the estimate of each data set."""
    return {dataset: estimate(folds) for dataset, folds in results.items()}


def by_set(
    name: str,
    title: str,
    note: str,
    labels: pd.DataFrame,
    lines: list[Results],
    order: Sequence[str] = (),
) -> Table:
    """Return a table with one row for each of several results, and a column for each data set.

    Args:
        name: as in `Table`.
        title: as in `Table`.
        note: as in `Table`.
        labels: the leading columns, a row for each of the lines.
        lines: the results.
        order: of the data sets.
    """
    datasets = ordered({dataset for results in lines for dataset in results}, order)
    shown, values = [], []
    for label, results in zip(labels.to_dict("records"), lines, strict=True):
        found = estimates(results)
        shown.append(
            {**label, **{dataset: shown_estimate(found.get(dataset)) for dataset in datasets}}
        )
        values += [
            {**label, "dataset": dataset, **value_row(found[dataset])}
            for dataset in datasets
            if dataset in found
        ]
    columns = [*labels.columns, "dataset", "accuracy", "low", "high", "seeds"]
    return Table(
        name, title, note, pd.DataFrame(shown), pd.DataFrame(values).reindex(columns=columns)
    )
