"""The sections of a sweep's report, in the order of its page."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from graphcl_hard.sweeps.cell import Cell
from graphcl_hard.sweeps.report import coverage, curves, figures, tables
from graphcl_hard.sweeps.report.analysis import NAMES, score_frame
from graphcl_hard.sweeps.report.canvas import line_style
from graphcl_hard.sweeps.report.effects import EXPLAINED, effect_parts
from graphcl_hard.sweeps.report.label_shares import (
    label_curves_figure,
    label_shares_figure,
    label_shares_table,
    read_label_shares,
)
from graphcl_hard.sweeps.report.page import STATISTICS, Draft, Page, with_content
from graphcl_hard.sweeps.report.ranks import rank_diagram
from graphcl_hard.sweeps.report.table import words_of

Record = Mapping[str, Any]
FEW_LABELS = "few_labels"
TITLE = "Embeddings of graphs, compared"
INTRODUCTION = (
    "{methods} on {datasets}: embeddings that are computed without labels, and controls, evaluated by {probes} on the "
    "same folds of each data set. This page is made from the records of a sweep."
)
NOTHING = "No cell of the plan has scores yet."
CHOSEN = (
    "Here each outer fold has its own setting and epoch, chosen by cross-validation inside its training part, so the "
    "test fold has no influence."
)


def sweep_page(records: Sequence[Mapping[str, Any]], cells: Sequence[Cell], out: Path) -> Page:
    """Return the page of a sweep; sections without content are left out.

    Args:
        records: of the cells; those that the plan does not have are left out, and those of other settings are only
            listed.
        cells: of the plan, whose data sets and methods come in the order of the plan.
        out: folder of the sweep, whose few_labels/*.json are read.
    """
    datasets = list(dict.fromkeys(cell.dataset for cell in cells))
    methods = list(dict.fromkeys(cell.method for cell in cells))
    controls = list(dict.fromkeys(cell.method for cell in cells if cell.control))
    records, other = of_plan(records, cells)
    counts = {
        "methods": _counted(len({one["method"] for one in records if one["scores"]}), "method"),
        "datasets": _counted(len(datasets), "data set"),
    }
    listed = [coverage.failures_table(records), coverage.other_settings_table(other)]
    if not any(record["scores"] for record in records):
        return Page(TITLE, TITLE, NOTHING, with_content([("cells", "Cells", "", listed)]))
    scores = score_frame(records, datasets, list(dict.fromkeys(cell.family for cell in cells)))
    lines, words = tables.lines_of(scores, methods), words_of(scores)
    colours = {name: line_style(methods.index(name))["color"] for name in lines}
    labels = {name: NAMES.get(name, name) for name in lines}
    few = read_label_shares(out / FEW_LABELS, datasets, keep=_like(records))
    probes = list(dict.fromkeys(few["probe"])) if len(few) else []
    effects = {
        control: effect_parts(records, control, others, datasets)
        for control, others in tables.compared(controls, lines).items()
    }
    by_folds = [control for control, (_, complete) in effects.items() if not complete]
    drafts: list[Draft] = [
        (
            "scores",
            "Scores",
            "",
            [
                tables.main_table(lines, datasets, words),
                figures.intervals(lines, methods, datasets, words),
                rank_diagram(lines, labels, colours),
            ],
        ),
        (
            "effects",
            "Differences from the controls, graph by graph",
            EXPLAINED,
            [part for parts, _ in effects.values() for part in parts],
        ),
        (
            "tests",
            "Differences from the controls",
            STATISTICS,
            tables.control_tables(by_folds, lines, datasets, words),
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
                label_curves_figure(few, methods) if probes else None,
                *(
                    label_shares_figure(
                        few, probe, lambda line, *_: line_style(methods.index(line))
                    )
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
                *listed,
                coverage.provenance_table(records),
            ],
        ),
    ]
    introduction = INTRODUCTION.format(**counts, probes=words.probes)
    return Page(TITLE, TITLE, introduction, with_content(drafts))


def of_plan(records: Sequence[Record], cells: Sequence[Cell]) -> tuple[list[Record], list[Record]]:
    """Return the records of the plan's cells, and those of other settings, with "difference", which says which."""
    by_key = {cell.key: cell for cell in cells}
    found: list[Record] = []
    other: list[Record] = []
    for record in records:
        cell = by_key.get((record["dataset"], record["method"], record["seed"]))
        if cell is not None:
            difference = cell.difference(record)
            if difference is None:
                found.append(record)
            else:
                other.append({**record, "difference": difference})
    return found, other


def _like(records: Sequence[Record]) -> Callable[[Record], bool]:
    """Return whether scores with few labels are of one of the records: of its settings, epoch and folds."""

    def described(one: Record, shape: Any) -> tuple[Any, ...]:
        names = ("dataset", "method", "seed", "family", "settings")
        return (*(one[name] for name in names), np.shape(shape))

    known = {
        (record["dataset"], record["method"], record["seed"]): (
            *described(record, record["test_sizes"]),
            record["last_epoch"],
        )
        for record in records
        if record["scores"]
    }

    def keep(entry: Record) -> bool:
        key = (entry["dataset"], entry["method"], entry["seed"])
        return known.get(key) == (*described(entry, entry["accuracy"]), entry["epoch"])

    return keep


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
