"""The sections of a sweep's report, in the order of its page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from graphcl_hard.sweeps.cell import Cell
from graphcl_hard.sweeps.report import coverage, curves, figures, tables
from graphcl_hard.sweeps.report.analysis import NAMES, score_frame
from graphcl_hard.sweeps.report.canvas import PALETTE, line_style
from graphcl_hard.sweeps.report.label_shares import (
    label_curves_figure,
    label_shares_figure,
    label_shares_table,
    read_label_shares,
)
from graphcl_hard.sweeps.report.page import STATISTICS, Draft, Page, with_content
from graphcl_hard.sweeps.report.ranks import rank_diagram
from graphcl_hard.sweeps.report.table import words_of

FEW_LABELS = "few_labels"
TITLE = "Embeddings of graphs, compared"
INTRODUCTION = (
    "{methods} on {datasets}: embeddings that are computed without labels, and controls, evaluated on the same folds "
    "of each data set. This page is made from the records of a sweep."
)
CHOSEN = (
    "Here each outer fold has its own setting and epoch, chosen by cross-validation inside its training part, so the "
    "test fold has no influence."
)


def sweep_page(records: Sequence[Mapping[str, Any]], cells: Sequence[Cell], out: Path) -> Page:
    """Return the page of a sweep; sections without content are left out.

    Args:
        records: of the cells; those of methods and data sets that the plan does not have are left out.
        cells: of the plan, whose data sets and methods come in the order of the plan.
        out: folder of the sweep, whose few_labels/*.json are read.
    """
    datasets = list(dict.fromkeys(cell.dataset for cell in cells))
    methods = list(dict.fromkeys(cell.method for cell in cells))
    controls = list(dict.fromkeys(cell.method for cell in cells if cell.control))
    keys = {cell.key for cell in cells}
    records = [
        record
        for record in records
        if (record["dataset"], record["method"], record["seed"]) in keys
    ]
    scores = score_frame(records, datasets, list(dict.fromkeys(cell.family for cell in cells)))
    lines, words = tables.lines_of(scores, methods), words_of(scores)
    colours = {name: PALETTE[place % len(PALETTE)] for place, name in enumerate(lines)}
    labels = {name: NAMES.get(name, name) for name in lines}
    few = read_label_shares(out / FEW_LABELS, datasets)
    few = few[few["dataset"].isin(datasets)] if len(few) else few
    probes = list(dict.fromkeys(few["probe"])) if len(few) else []
    places = {family: place for place, family in enumerate(dict.fromkeys(few.get("family", ())))}
    drafts: list[Draft] = [
        (
            "scores",
            "Scores",
            "",
            [
                tables.main_table(lines, datasets, words),
                figures.intervals(lines, datasets, words),
                rank_diagram(lines, labels, colours),
            ],
        ),
        (
            "tests",
            "Differences from the controls",
            STATISTICS,
            tables.control_tables(controls, lines, datasets, words),
        ),
        ("chosen", "Chosen settings", CHOSEN, [tables.chosen_table(scores, datasets, words)]),
        (
            "epochs",
            "Over the epochs",
            "",
            [
                curves.score_epochs(scores, methods, datasets, words),
                curves.training_curve("loss", "Loss", records, methods, datasets),
                curves.training_curve(
                    *("effective_negatives", "Effective share of negatives"),
                    records,
                    methods,
                    datasets,
                    share=True,
                ),
            ],
        ),
        (
            "few-labels",
            "Few labels",
            "",
            [
                label_curves_figure(few) if probes else None,
                *(
                    label_shares_figure(few, probe, lambda family, _: line_style(places[family]))
                    for probe in probes
                ),
                label_shares_table(few) if probes else None,
            ],
        ),
        (
            "cells",
            "Methods, cells and versions",
            "",
            [
                tables.methods_table(records, methods),
                coverage.coverage_table(records, datasets),
                coverage.failures_table(records),
                coverage.provenance_table(records),
            ],
        ),
    ]
    counts = {
        "methods": _counted(len(lines), "method"),
        "datasets": _counted(len(datasets), "data set"),
    }
    return Page(TITLE, TITLE, INTRODUCTION.format(**counts), with_content(drafts))


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
