"""The sections of the study's report, in the order of its page."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.hardness import figures, tables
from experiments.hardness.arms import BOUND, CLAIMS, SETS
from experiments.hardness.review.__main__ import tables as review_tables
from graphcl_hard.sweeps.report import coverage
from graphcl_hard.sweeps.report.canvas import Picture
from graphcl_hard.sweeps.report.effects import EXPLAINED, effects_frame, effects_table, forest_plot
from graphcl_hard.sweeps.report.page import Page, with_content
from graphcl_hard.sweeps.report.table import Table

TITLE = "Hardness on graphs: the study"
HEADING = "Does hardness help when it is really there?"
INTRODUCTION = (
    "A GIN encoder is trained without labels to the plateau of its loss, with the hardness set by the share of "
    "negatives that stay effective, so that it means the same on every data set. Arms differ only in the negatives: "
    "they share initial weights, batches and folds. One command makes this page from the records of the runs."
)
QUESTIONS = (
    f"{EXPLAINED} The bound of equivalence, {100 * BOUND:g} points, was set before the runs."
)
HARD_PAIRS = tuple((one.method, one.control) for one in CLAIMS if one.control.endswith("uniform"))


def study_page(records: Sequence[Mapping[str, Any]]) -> Page:
    """Return the page of the study from the records of its cells; sections without content are left out."""
    ordered = sorted(records, key=lambda one: SETS.index(one["dataset"]))
    effects = effects_frame(ordered, [(one.method, one.control) for one in CLAIMS])
    by_set = effects[
        [pair in HARD_PAIRS for pair in zip(effects["method"], effects["control"], strict=True)]
    ]
    drafts: list[tuple[str, str, str, Sequence[Table | Picture | None]]] = [
        (
            "answers",
            "The answers",
            QUESTIONS,
            [figures.claims_figure(effects), tables.answers_table(effects)],
        ),
        (
            "sets",
            "On each data set",
            "",
            [
                forest_plot("sets", "On each data set", by_set, SETS, BOUND)
                if len(by_set)
                else None,
                effects_table("effects", "Every claim on each data set", effects, SETS)
                if len(effects)
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
        ("review", "What the first study got wrong", "", review_tables()),
        (
            "cells",
            "Cells and versions",
            "",
            [
                coverage.coverage_table(records, SETS),
                coverage.failures_table(records),
                coverage.provenance_table(records),
            ],
        ),
    ]
    return Page(TITLE, HEADING, INTRODUCTION, with_content(drafts))
