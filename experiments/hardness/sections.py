"""The sections of the study's report, in the order of its page."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.hardness import figures, tables
from experiments.hardness.arms import (
    AGAINST_CONTROLS,
    ARMS,
    BOUND,
    CLAIMS,
    FEWEST,
    FURTHER,
    LARGE_SETS,
    SETS,
    WIDE,
)
from experiments.hardness.review.__main__ import tables as review_tables
from graphcl_hard.sweeps.cell import Cell
from graphcl_hard.sweeps.records import Record
from graphcl_hard.sweeps.report import coverage
from graphcl_hard.sweeps.report.canvas import Picture
from graphcl_hard.sweeps.report.effects import (
    EXPLAINED,
    POOLED,
    effects_frame,
    effects_table,
    forest_plot,
)
from graphcl_hard.sweeps.report.page import Page, with_content
from graphcl_hard.sweeps.report.sections import of_plan
from graphcl_hard.sweeps.report.table import Table

TITLE = "Hardness on graphs: the study"
HEADING = "Does hardness help when it is really there?"
INTRODUCTION = (
    "A GIN encoder is trained without labels for 100 epochs, with the hardness set by the share of negatives that stay "
    "effective, so that it means the same on every data set. All arms of a seed share initial weights and folds, and "
    "batch norm has the exact statistics of the data set. One command makes this page from the records of the runs."
)
QUESTIONS = (
    f"{EXPLAINED} The bound of equivalence, {100 * BOUND:g} points, was set before the runs."
)
HARD_PAIRS = tuple(
    (one.method, one.control)
    for one in CLAIMS
    if one.method.removeprefix("graphcl-") in ("hard-50", "hard-20", "hard-5")
)
ALL_SETS = (*SETS, *LARGE_SETS)
BY_SET = "Every claim on each data set. These p-values are a family of their own, apart from the page's claims."
CONTROLS = (
    "Methods that learn nothing, on the folds of the arms; untrained encoders of other widths; trained ones with the "
    "running averages of batch norm; and a grid of C up to 1e5. Their p-values are a family of their own."
)
WIDER = "The arms of 256 channels; InfoGraph contrasts 8 nodes of each graph. Their p-values are a family of their own."
LARGER = (
    "Three seeds of 30 epochs; InfoGraph contrasts 16 nodes of each graph. So few seeds give no answer: the interval "
    "for new graphs may be too narrow. Their p-values are a family of their own."
)


def _effects(
    name: str, title: str, records: Sequence[Mapping[str, Any]], pairs: Sequence[tuple[str, str]]
) -> Table | None:
    """Return the differences of pairs on each data set and pooled; None without a pair that has records."""
    frame = effects_frame(records, pairs)
    return effects_table(name, title, frame, ALL_SETS) if len(frame) else None


def study_page(records: Sequence[Record], cells: Sequence[Cell]) -> Page:
    """Return the page of the study; sections without content are left out.

    Args:
        records: of cells, also of other plans; those of other settings than the plans' are only listed.
        cells: of the plans.
    """
    held, other = of_plan(records, cells)
    held.sort(key=lambda one: (ALL_SETS.index(one["dataset"]), one["method"], one["seed"]))
    small = [one for one in held if one["dataset"] in SETS]
    ordered = [one for one in small if one["method"] in ARMS]
    wide = [one for one in small if one["method"] in WIDE]
    large = [one for one in held if one["dataset"] in LARGE_SETS]
    controls = [one for one in small if one["method"] not in (*ARMS, *WIDE)]
    pairs = [(one.method, one.control) for one in CLAIMS]
    effects = effects_frame(ordered, pairs)
    answers = tables.answers_frame(effects)
    by_set = effects[(effects["dataset"] != POOLED) & (effects["seeds"] >= FEWEST)]
    enough = effects[effects["seeds"] >= FEWEST]
    hard = enough[
        [pair in HARD_PAIRS for pair in zip(enough["method"], enough["control"], strict=True)]
    ]
    drafts: list[tuple[str, str, str, Sequence[Table | Picture | None]]] = [
        (
            "answers",
            "The answers",
            QUESTIONS,
            [figures.claims_figure(answers), tables.answers_table(answers)],
        ),
        (
            "sets",
            "On each data set",
            BY_SET,
            [
                forest_plot("sets", "Hard against uniform", hard, SETS, BOUND)
                if len(hard)
                else None,
                effects_table("effects", "Every claim on each data set", by_set, SETS)
                if len(by_set)
                else None,
            ],
        ),
        (
            "arms",
            "What each arm was given, and what it scored",
            "",
            [
                tables.accuracies_table(ordered),
                tables.arms_table(ordered),
                figures.training_figure(ordered, "loss", "loss"),
                figures.training_figure(ordered, "effective_negatives", "effective negatives"),
            ],
        ),
        (
            "controls",
            "Baselines and other controls",
            CONTROLS,
            [
                tables.accuracies_table(
                    controls, "controls", "Baselines, and encoders of other widths"
                )
                if controls
                else None,
                _effects("against_controls", "Pairs with these", small, AGAINST_CONTROLS),
            ],
        ),
        (
            "wide",
            "Encoders of 256 channels",
            WIDER,
            [
                _effects("wide_effects", "Differences at 256 channels", wide, FURTHER),
                tables.arms_table(wide, "wide_arms", "Encoders of 256 channels") if wide else None,
            ],
        ),
        (
            "large",
            "Large graphs",
            LARGER,
            [
                _effects("large_effects", "Differences on large graphs", large, FURTHER),
                tables.arms_table(large, "large_arms", "Arms on large graphs") if large else None,
            ],
        ),
        ("review", "What the first study got wrong", "", review_tables()),
        (
            "cells",
            "Cells and versions",
            "",
            [
                coverage.coverage_table(held, ALL_SETS) if held else None,
                coverage.failures_table(held),
                coverage.other_settings_table(other),
                coverage.provenance_table(held) if held else None,
            ],
        ),
    ]
    return Page(TITLE, HEADING, INTRODUCTION, with_content(drafts))
