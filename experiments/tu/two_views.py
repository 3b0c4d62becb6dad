"""GraphCL beside InfoGraph: two views of a graph under NT-Xent, on the same folds and from the same initial weights."""

import pandas as pd

from experiments.tu.families import SETS, sets_of
from experiments.tu.tables import main_lines
from graphcl_hard.sweeps.report.analysis import NAMES, Results, at_epoch
from graphcl_hard.sweeps.report.paired_tests import TESTED, paired_table
from graphcl_hard.sweeps.report.table import (
    INTERVAL,
    Table,
    estimates,
    shown_estimate,
    shown_seeds,
    value_row,
)

FAMILY = "graphcl"
CONTROL, UNIFORM, HARD = (f"{FAMILY}-{name}" for name in ("bn-only", "uniform", "hard"))
LABELS = {
    "untrained": "untrained",
    "bn-only": NAMES["bn-only"],
    "uniform": "InfoGraph, uniform",
    "hard": "InfoGraph, hard",
    CONTROL: f"{NAMES['bn-only']}, views",
    UNIFORM: "GraphCL, uniform",
    HARD: "GraphCL, hard",
}
PAIRS = [
    (HARD, UNIFORM),
    (HARD, CONTROL),
    (HARD, "untrained"),
    (UNIFORM, "untrained"),
    (HARD, "hard"),
]


def two_views_tables(scores: pd.DataFrame) -> list[Table]:
    """Return accuracies of both methods and GraphCL's paired tests; empty if no cell of GraphCL has finished."""
    lines = _lines(scores)
    if not {UNIFORM, HARD} & lines.keys():
        return []
    named = {LABELS[name]: results for name, results in lines.items()}
    pairs = [(LABELS[first], LABELS[second]) for first, second in PAIRS]
    title = "Tests of GraphCL"
    tables = [
        _accuracies(scores, lines),
        paired_table("graphcl_tests", title, f"Last epoch. {TESTED}", named, pairs, SETS),
    ]
    others = [
        name
        for name in dict.fromkeys(scores.loc[scores["family"] == FAMILY, "method"])
        if name not in LABELS
    ]
    if not others:
        return tables
    lines |= {name: at_epoch(scores, name) for name in others}
    pairs = [(name, UNIFORM) for name in [*others, HARD]]
    title = "GraphCL's hardness and its correction, one by one"
    return [
        *tables,
        paired_table("graphcl_beta", title, f"Last epoch. {TESTED}", lines, pairs, SETS),
    ]


def _lines(scores: pd.DataFrame) -> dict[str, Results]:
    main = main_lines(scores)
    lines = {name: main[name] if name in main else at_epoch(scores, name) for name in LABELS}
    return {name: results for name, results in lines.items() if results}


def _accuracies(scores: pd.DataFrame, lines: dict[str, Results]) -> Table:
    found = {name: estimates(results) for name, results in lines.items()}
    shown, values = [], []
    for dataset in [name for name in sets_of(scores) if any(name in one for one in found.values())]:
        each = {name: one.get(dataset) for name, one in found.items()}
        row = {LABELS[name]: shown_estimate(one) or "absent" for name, one in each.items()}
        seeds = shown_seeds(each[name].seeds for name in (CONTROL, UNIFORM, HARD) if each.get(name))
        shown.append({"data set": dataset, **row, "seeds of GraphCL": seeds})
        values += [
            {"dataset": dataset, "method": name, **value_row(one)} for name, one in each.items()
        ]
    note = (
        f"{INTERVAL} Last epoch. GraphCL's views are the package's defaults. InfoGraph may have more seeds than "
        "GraphCL; the paired tests use those that both have."
    )
    columns = ["dataset", "method", "accuracy", "low", "high", "seeds"]
    return Table(
        FAMILY, "GraphCL beside InfoGraph", note, pd.DataFrame(shown), pd.DataFrame(values)[columns]
    )
