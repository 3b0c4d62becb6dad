"""The tables of scores of saved vectors: of one target, or of several with their mean."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:  # the commands show their help without scikit-learn
    from graphcl_hard.evaluation.scores import CrossValidation, Summary
    from graphcl_hard.evaluation.statistics import PairedDifference

PERCENT = {
    "accuracy": "accuracy %",
    "macro_f1": "macro-F1 %",
    "balanced_accuracy": "balanced accuracy %",
    "roc_auc": "ROC-AUC %",
    "average_precision": "average precision %",
}
"""The scores that are shown in percent."""
HEADINGS = {
    **PERCENT,
    "mcc": "MCC",
    "r2": "R2",
    "rmse": "RMSE",
    "mae": "MAE",
    "spearman": "Spearman",
}
Results = Mapping[str, Mapping[str, "CrossValidation"]]
"""Probe -> name of the vectors -> scores."""


def score_table(title: str, results: Results, graphs: int, probe_names: Mapping[str, str]) -> Table:
    """Return the table of the scores, which fits into 80 columns with short names.

    Of up to two scores all have their intervals, of more only the first one. With several targets each has a row, and
    their mean has the last one.
    """
    first = next(iter(next(iter(results.values())).values()))
    scores, several = list(first.scores), len(first.targets) > 1
    table = _table(title, "target" if several else "vectors")
    if several:
        table.add_column("graphs", justify="right", no_wrap=True)
    for score in scores:
        table.add_column(heading(score), justify="right", no_wrap=True)
    for probe, by_name in results.items():
        if not several:
            table.add_section()
            table.add_row(escape(_called(probe, probe_names)), style="dim")
        for name, found in by_name.items():
            if not several:
                table.add_row(escape(name), *_cells(found, scores, None))
                continue
            table.add_section()
            title = escape(_called(probe, probe_names))
            table.add_row(title if len(by_name) == 1 else f"{escape(name)}, {title}", style="dim")
            for target in found.targets:
                table.add_row(
                    escape(target),
                    str(graphs - found.targets[target].unlabelled),
                    *_cells(found, scores, target),
                )
            table.add_row("mean", "", *_cells(found, scores, None), style="bold")
    return table


def comparison_table(
    title: str,
    results: Mapping[str, "tuple[Mapping[str, PairedDifference], Mapping[str, PairedDifference]]"],
    score: str,
    probe_names: Mapping[str, str],
    *,
    several: bool,
) -> Table:
    """Return the table of paired differences: of each target in one score, and of the mean in all scores.

    Args:
        title: of the table.
        results: probe -> (score -> difference of the mean over the targets, target -> difference in `score`).
        score: the score of the targets.
        probe_names: how probes are called.
        several: whether there are several targets.
    """
    table = _table(title, "difference")
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("p", justify="right", no_wrap=True)
    for probe, (means, targets) in results.items():
        table.add_section()
        table.add_row(escape(_called(probe, probe_names)), style="dim")
        for target, pair in targets.items() if several else ():
            table.add_row(f"{heading(score)}, {escape(target)}", *_difference(score, pair))
        for name, pair in means.items():
            mean = ", mean" if several else ""
            table.add_row(f"{heading(name)}{mean}", *_difference(name, pair), style="bold")
    return table


def heading(score: str) -> str:
    """Return how a score is called in a table."""
    return HEADINGS.get(score, score)


def number(score: str, value: float | None, sign: str = "") -> str:
    """Return a score as text: in percent, or with three decimals or significant digits.

    Small errors, whose unit may be anything, have significant digits; R2 and correlations, which are at most 1, do not.
    """
    if value is None or math.isnan(value):
        return "-"
    if score in PERCENT:
        return f"{100 * value:{sign}.1f}"
    if 0 < abs(value) < 0.1 and score not in ("r2", "spearman", "mcc"):
        return f"{value:{sign}.3g}"
    return f"{value:{sign}.3f}" if abs(value) < 10 else f"{value:{sign}.4g}"


def interval(score: str, low: float | None, high: float | None, sign: str = "") -> str:
    """Return an interval as text, empty if there is none."""
    # The backslash keeps rich from parsing the bracket as markup.
    if low is None or high is None:
        return ""
    return f" \\[{number(score, low, sign)}, {number(score, high, sign)}]"


def _called(probe: str, probe_names: Mapping[str, str]) -> str:
    return probe_names.get(probe, probe.rpartition(":")[2])


def _table(title: str, rows: str) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False
    )
    table.add_column(rows, overflow="fold")
    return table


def _cells(found: "CrossValidation", scores: Sequence[str], target: str | None) -> list[str]:
    several, whole = len(found.targets) > 1, len(scores) <= 2
    return [
        _cell(score, found.summary(score, target), not several, whole or place == 0)
        for place, score in enumerate(scores)
    ]


def _cell(score: str, summary: "Summary", with_std: bool, with_interval: bool) -> str:
    text = number(score, summary.mean)
    if with_interval and with_std and summary.std is not None:
        text += f" ± {number(score, summary.std)}"
    return text + (interval(score, summary.low, summary.high) if with_interval else "")


def _difference(score: str, pair: "PairedDifference") -> tuple[str, str]:
    text = number(score, pair.difference, "+")
    return text + interval(score, pair.low, pair.high, "+"), f"{pair.p:.2g}"
