"""The data sets and the families of the study, in the order of its tables, and the method of each in the main table."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from graphcl_hard.config import Config
from graphcl_hard.sweeps.report.analysis import ordered, score_frame

SETS = (
    "MUTAG",
    "PTC_MR",
    "ENZYMES",
    "IMDB-BINARY",
    "PROTEINS",
    "IMDB-MULTI",
    "DD",
    "REDDIT-BINARY",
)
FAMILIES = ("majority", "untrained", "bn-only", "wl", "uniform", "hard", "released")
TRAINED = ("uniform", "hard", "released")
OVER_EPOCHS = ("bn-only", *TRAINED)
# Okabe and Ito's colours, which colour-blind readers can distinguish; markers repeat the distinction
COLOURS = dict(
    zip(
        FAMILIES,
        ("#8c8c8c", "#000000", "#56B4E9", "#CC79A7", "#0072B2", "#D55E00", "#009E73"),
        strict=True,
    )
)
MARKERS = dict(zip(FAMILIES, ("x", "v", "<", "D", "s", "o", "^"), strict=True))


def study_frame(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the `score_frame` in the order of the study."""
    return score_frame(records, SETS, FAMILIES)


def without_others(scores: pd.DataFrame, *families: str) -> pd.DataFrame:
    """Return the rows of these families whose methods have the fewest settings besides beta and tau_plus."""
    rows = scores[scores["family"].isin(families)]
    return rows[rows["others"] == rows.groupby("family")["others"].transform("min")]


def default_methods(scores: pd.DataFrame) -> dict[str, str]:
    """Return the method of each family in the main table, for those of `FAMILIES` that have records.

    hard stands at the package's default beta and tau_plus, released at the same beta (it fixes tau_plus itself).
    Where several methods are left, it is the one with the fewest other settings.
    """
    defaults = Config()
    chosen = {}
    for family in FAMILIES:
        rows = scores[scores["family"] == family]
        if family in ("hard", "released"):
            rows = rows[rows["beta"] == defaults.beta]
        if family == "hard":
            rows = rows[rows["tau_plus"] == defaults.tau_plus]
        if len(rows):
            chosen[family] = str(
                rows.sort_values(["others", "method"], kind="stable")["method"].iloc[0]
            )
    return chosen


def sets_of(scores: pd.DataFrame) -> list[str]:
    """Return the data sets to show: all eight of the study if any of them has a record, and others with one."""
    found = set(scores["dataset"])
    return ordered(found | set(SETS) if found & set(SETS) else found, SETS)


def style(family: str, number: int = 0) -> dict[str, Any]:
    """Return colour and marker of a family; families outside the main ones share one colour and differ by marker."""
    return {
        "color": COLOURS.get(family, "#E69F00"),
        "marker": MARKERS.get(family, "PXdph*"[number % 6]),
    }
