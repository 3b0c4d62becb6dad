"""Finding 5: which variants of GraphCL are above a control that learns nothing, and how many tests were printed.

Everything is computed from the first study's records and the CSV files of its tables.
"""

from typing import Any

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests

from experiments.hardness.review.old_study import RECORDS, old_scores
from experiments.tu.families import SETS
from experiments.tu.two_views import CONTROL, FAMILY, HARD, UNIFORM
from graphcl_hard.sweeps.report.analysis import at_epoch, paired, signed_rank
from graphcl_hard.sweeps.report.paired_tests import OVER
from graphcl_hard.sweeps.report.table import Table, shown_seeds

TABLES = RECORDS.parent / "tables"
CONTROLS = {CONTROL: "GraphCL's own control", "bn-only": "batch norm only (InfoGraph's batches)"}
CORRECTED_FOR = 5
"""Tests that the first study's page corrected the smallest p for: those of one table."""


def variants() -> list[str]:
    """Return the methods of GraphCL that learn, uniform and hard first."""
    scores = old_scores()
    found = dict.fromkeys(scores.loc[scores["family"] == FAMILY, "method"])
    return [UNIFORM, HARD, *(name for name in found if name not in (UNIFORM, HARD, CONTROL))]


def graphcl_table() -> Table:
    """Return each variant of GraphCL minus each control: on how many data sets it is above, mean, signed-rank p."""
    scores = old_scores()
    shown, values = [], []
    for control, name in CONTROLS.items():
        base = at_epoch(scores, control)
        for variant in variants():
            tests = paired(at_epoch(scores, variant), base)
            gaps = 100 * tests["difference"]
            above, p = int((gaps > 0).sum()), signed_rank(gaps)
            below = [dataset for dataset in SETS if dataset in gaps.index and gaps[dataset] <= 0]
            shown.append(
                {
                    "variant": variant,
                    "control": name,
                    "above on": f"{above} of {len(gaps)}",
                    "not above on": ", ".join(below),
                    "mean": f"{gaps.mean():+.2f}",
                    "median": f"{gaps.median():+.2f}",
                    "signed-rank p": f"{p:.3f}",
                    "seeds": shown_seeds(int(one) for one in tests["seeds"]),
                }
            )
            facts: dict[str, Any] = {"variant": variant, "control": control, "sets": len(gaps)}
            facts |= {"above": above, "mean": gaps.mean(), "median": gaps.median(), "p": p}
            values.append(facts)
    note = (
        "Differences of mean accuracies in points over the data sets, at the last epoch, on the seeds that both have. "
        "The signed-rank p is over the data sets and not corrected. GraphCL's own control sees its views, and so other "
        "batch statistics than the control of InfoGraph, whose batches hold whole graphs."
    )
    return Table(
        "review_graphcl",
        "GraphCL against what no weight has learnt",
        note,
        pd.DataFrame(shown),
        pd.DataFrame(values),
    )


def printed_tests() -> pd.DataFrame:
    """Return the signed-rank tests in the first study's tables: table, first, second, p; the smallest p first."""
    rows = []
    for path in sorted(TABLES.glob("*.csv")):
        frame = pd.read_csv(path)
        if {"first", "second", "dataset", "p"} <= set(frame.columns):
            found = frame[frame["dataset"] == OVER].assign(table=path.stem)
            rows.append(found[["table", "first", "second", "difference", "p"]])
    return pd.concat(rows, ignore_index=True).sort_values("p", kind="stable", ignore_index=True)


def signed_rank_table() -> Table:
    """Return the smallest p of the printed signed-rank tests, corrected for five of them and for all."""
    tests = printed_tests()
    count = len(tests)
    tests["p_holm"] = multipletests(tests["p"], method="holm")[1]
    tests["p_five"] = np.minimum(1.0, CORRECTED_FOR * tests["p"])
    smallest = tests.head(5)
    shown = smallest[["table", "first", "second"]].copy()
    shown["median"] = [f"{one:+.1f}" for one in smallest["difference"]]
    for column, title in (
        ("p", "p"),
        ("p_five", f"times {CORRECTED_FOR}"),
        ("p_holm", f"Holm over all {count}"),
    ):
        shown[title] = [f"{one:.3f}" for one in smallest[column]]
    note = (
        f"The five smallest p of the {count} signed-rank tests over data sets that the first study printed, in "
        f"{tests['table'].nunique()} tables; its text corrected for {CORRECTED_FOR}."
    )
    return Table(
        "review_signed_rank",
        "Signed-rank tests that were printed",
        note,
        shown,
        tests,
    )
