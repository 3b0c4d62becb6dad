"""The sections of a sweep's report, in the order of its page."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from graphcl_hard.sweeps.cell import Cell
from graphcl_hard.sweeps.report.analysis import NAMES, at_epoch, score_frame
from graphcl_hard.sweeps.report.coverage import coverage_table, failures_table, provenance_table
from graphcl_hard.sweeps.report.page import STATISTICS, Draft, Page, with_content
from graphcl_hard.sweeps.report.table import INTERVAL, Table, by_set

TITLE = "Report of a sweep"
INTRODUCTION = (
    "Methods that embed graphs without their labels, evaluated by the same probe on the same folds of the same data "
    "sets. One command makes this page from the records of the runs."
)


def sweep_page(records: Sequence[Mapping[str, Any]], cells: Sequence[Cell]) -> Page:
    """Return the page of a sweep; sections without content are left out.

    Args:
        records: of the cells.
        cells: of the plan, whose data sets and methods come first, in the order of the plan.
    """
    datasets = list(dict.fromkeys(cell.dataset for cell in cells))
    methods = list(dict.fromkeys(cell.method for cell in cells))
    scores = score_frame(records, datasets)
    drafts: list[Draft] = [
        ("scores", "Scores", STATISTICS, [main_table(scores, methods, datasets)]),
        (
            "cells",
            "Cells and versions",
            "",
            [
                coverage_table(records, datasets),
                failures_table(records),
                provenance_table(records),
            ],
        ),
    ]
    return Page(TITLE, TITLE, INTRODUCTION, with_content(drafts))


def main_table(scores: pd.DataFrame, methods: Sequence[str], datasets: Sequence[str]) -> Table:
    """Return methods x data sets at the last epoch, in the order of the plan."""
    found = [name for name in methods if (scores["method"] == name).any()]
    labels = pd.DataFrame({"method": [NAMES.get(name, name) for name in found]})
    lines = [at_epoch(scores, name) for name in found]
    return by_set("main", "Accuracy", f"{INTERVAL} At the last epoch.", labels, lines, datasets)
