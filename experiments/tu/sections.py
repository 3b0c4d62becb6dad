"""The sections of the study's report, in the order of its page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.tu import comparisons, curves, figures, inner_search, tables, two_views
from experiments.tu.families import FAMILIES, SETS, study_frame, style
from graphcl_hard.sweeps.report import coverage
from graphcl_hard.sweeps.report.canvas import Picture
from graphcl_hard.sweeps.report.label_shares import (
    label_shares_figure,
    label_shares_table,
    read_label_shares,
)
from graphcl_hard.sweeps.report.page import STATISTICS, Page, with_content
from graphcl_hard.sweeps.report.table import Table

FEW_LABELS = "few_labels"
TITLE = "Hard negatives on graphs: the study"
HEADING = "Do hard negatives help on graphs?"
INTRODUCTION = (
    "A GIN encoder trained without labels under local-global contrast, with uniform, hard and the released code's "
    "negatives, beside the untrained encoder, GraphCL's two views, a Weisfeiler-Lehman kernel and the majority class. "
    "All are evaluated by an SVM on the same folds of the same data sets. One command makes this page from the records "
    "of the runs."
)
FIXED = (
    "The settings are the same on all data sets, and the epoch is the last one. Epochs and scale were chosen before "
    "the study, by labelled accuracy on MUTAG, PTC_MR, ENZYMES and IMDB-BINARY with other seeds, so these four are not "
    "unseen; they are marked dev."
)
SELECTED = (
    "Here each outer fold has its own setting and epoch, chosen by cross-validation inside its training part, so the "
    "test fold has no influence. These figures must not be mixed with those at fixed settings."
)
OPTIMISTIC = (
    "The best epoch is chosen on the test folds. It is optimistic, and shown only to measure how much of a published "
    "figure this practice may explain."
)


def study_page(records: Sequence[Mapping[str, Any]], out: Path) -> Page:
    """Return the page of the study; sections without content are left out.

    Args:
        records: of the cells.
        out: the report's folder, whose few_labels/*.json are read.
    """
    scores = study_frame(records)
    few = read_label_shares(out / FEW_LABELS, SETS, FAMILIES)
    probes = list(dict.fromkeys(few["probe"])) if len(few) else []
    ranks, beta, gains = (
        figures.critical_difference(scores),
        figures.accuracy_beta(scores),
        figures.gains(scores),
    )
    tests, coverage_tables = (
        comparisons.tests_tables(scores),
        [coverage.coverage_table(records, SETS)],
    )
    drafts: list[tuple[str, str, str, list[Table | Picture | None]]] = [
        ("aim", "The aim", "", [comparisons.aim_table(scores)]),
        ("fixed", "Fixed settings", FIXED, [tables.main_table(scores), gains, ranks]),
        ("tests", "Paired tests at fixed settings", STATISTICS, [*tests]),
        ("beta", "Hardness at fixed settings", "", [beta, tables.fixed_table(scores)]),
        (
            "selected",
            "Selected settings",
            SELECTED,
            [
                tables.selected_table(scores),
                comparisons.selected_tests(scores),
                tables.choices_table(scores),
            ],
        ),
        (
            "epochs",
            "Over the epochs",
            "",
            [
                curves.accuracy_epochs(scores),
                tables.epochs_table(scores),
                curves.effective_negatives(records, scores),
                curves.effective_rank(records, scores),
            ],
        ),
        (
            "optimistic",
            "Best epoch (optimistic) and published figures",
            OPTIMISTIC,
            [tables.best_epoch_table(scores)],
        ),
        (
            "few-labels",
            "Few labels",
            "",
            [
                *(
                    label_shares_figure(few, probe, lambda _, family, number: style(family, number))
                    for probe in probes
                ),
                label_shares_table(few) if probes else None,
            ],
        ),
        ("graphcl", "Two views of a graph: GraphCL", "", [*two_views.two_views_tables(scores)]),
        (
            "other",
            "Other settings, one factor at a time",
            "",
            [comparisons.other_table(scores), comparisons.partners_table(scores)],
        ),
        (
            "searched",
            "Chosen among all settings",
            SELECTED,
            [*inner_search.inner_search_tables(scores)],
        ),
        (
            "cells",
            "Cells and versions",
            "",
            [
                *coverage_tables,
                coverage.failures_table(records),
                coverage.provenance_table(records),
            ],
        ),
    ]
    return Page(TITLE, HEADING, INTRODUCTION, with_content(drafts))
