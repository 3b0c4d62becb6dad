"""The HTML page of the report: its sections in order, in one self-contained file."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from experiments.records import whole_files
from experiments.tu import comparisons, coverage, curves, figures, inner_search, tables, two_views
from experiments.tu.analysis import score_frame
from experiments.tu.figures import Picture
from experiments.tu.label_shares import label_shares_table, read_label_shares
from experiments.tu.table import Table

TEMPLATE = Path(__file__).with_name("page.html.j2")
MAPS, FEW_LABELS = "maps", "few_labels"
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
STATISTICS = (
    "Each seed draws new initial weights and new folds, but all seeds share the same graphs, and any two training "
    "parts overlap, so the fold scores are not independent and a plain t test would find differences that do not "
    "exist. Intervals and tests are therefore the corrected resampled t of Nadeau and Bengio (Machine Learning 52, "
    "2003): with J = seeds x repeats x folds scores of variance s^2, the variance of their mean is taken as (1/J + "
    "n_test/n_train) s^2 instead of s^2/J, which does not vanish with more seeds."
)


@dataclass(frozen=True)
class Section:
    """A part of the page: a heading, a few sentences, then tables and pictures in this order."""

    name: str
    title: str
    text: str
    parts: Sequence[Table | Picture]


def build_sections(records: Sequence[Mapping[str, Any]], out: Path) -> list[Section]:
    """Return the sections of the report, in the order of the page; those without content are left out.

    Args:
        records: of the cells.
        out: the report's folder, whose few_labels/*.json are read.
    """
    scores = score_frame(records)
    few = read_label_shares(out / FEW_LABELS)
    probes = list(dict.fromkeys(few["probe"])) if len(few) else []
    ranks, beta, gains = (
        figures.critical_difference(scores),
        figures.accuracy_beta(scores),
        figures.gains(scores),
    )
    tests, coverage_tables = comparisons.tests_tables(scores), [coverage.coverage_table(records)]
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
                *(curves.label_shares(few, probe) for probe in probes),
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
    sections = [
        Section(
            name, title, text, [part for part in parts if part is not None and _has_content(part)]
        )
        for name, title, text, parts in drafts
    ]
    return [section for section in sections if section.parts]


def _has_content(part: Table | Picture) -> bool:
    return not isinstance(part, Table) or len(part.shown) > 0


def render(sections: Sequence[Section], images: Mapping[str, Path], maps: Path) -> str:
    """Return the page as HTML, with style, script and images inside.

    Args:
        sections: its parts.
        images: name of each picture -> its PNG file.
        maps: a folder of PNG files that are shown as maps of embeddings; it need not exist.
    """
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.tests["table"] = lambda part: isinstance(part, Table)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        sections=sections,
        images={name: _data_uri(path) for name, path in images.items()},
        maps={path.stem: _data_uri(path) for path in whole_files(maps, "*.png")},
    )


def _data_uri(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
