"""The table of scores of saved vectors."""

import numpy as np
import pytest
from rich.console import Console

from graphcl_hard import cross_validate
from graphcl_hard.evaluation.statistics import PairedDifference
from graphcl_hard.runs.score_table import comparison_table, number, score_table


def lines(table):
    console = Console(width=200, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return [line.split() for line in capture.get().splitlines() if line.strip()]


@pytest.fixture(scope="module")
def found():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(60, 3))
    y = {"[a]": x[:, 0], "b": np.where(np.arange(60) < 40, x[:, 1] + 0.1, np.nan)}
    options = {"probe": "ridge", "cv": 3, "repeats": 2, "scoring": ["r2", "rmse", "mae"]}
    return cross_validate({"x": x, "half": x[:, 1:]}, y, **options)


def test_every_target_has_a_row_and_its_number_of_graphs(found):
    rows = lines(score_table("title", {"ridge": found}, 60, {"ridge": "ridge regression"}))
    assert rows[1] == ["target", "graphs", "R2", "RMSE", "MAE"]
    assert rows[3] == ["x,", "ridge", "regression"]
    names = [row[0] for row in rows[4:7]]
    assert names == ["[a]", "b", "mean"]
    assert (rows[4][1], rows[5][1]) == ("60", "40")
    summary = found["x"].summary("r2", "b")
    interval = [f"[{summary.low:.3f},", f"{summary.high:.3f}]"]
    assert rows[5][2:5] == [f"{summary.mean:.3f}", *interval]
    assert rows[5][5] == number("rmse", found["x"].summary("rmse", "b").mean)
    assert rows[6][1] == f"{found['x'].summary('r2').mean:.3f}"


def test_one_target_has_standard_deviations(found):
    x = np.random.default_rng(0).normal(size=(60, 3))
    own = cross_validate(x, x[:, 0] > 0, probe="knn", cv=3, repeats=2)
    rows = lines(score_table("title", {"m:K": own}, 60, {}))
    assert rows[1] == ["vectors", "accuracy", "%", "macro-F1", "%"]
    assert rows[3] == ["K"]
    summary = own["vectors"].summary("accuracy")
    assert rows[4][1:4] == [f"{100 * summary.mean:.1f}", "±", f"{100 * summary.std:.1f}"]


def test_differences_have_signs_and_p_values():
    pair = PairedDifference(0.0123, -0.01, 0.04, 1.0, 0.25, 9)
    rows = lines(
        comparison_table(
            "t", {"svm": ({"roc_auc": pair}, {"a": pair})}, "roc_auc", {}, several=False
        )
    )
    assert rows[-1] == ["ROC-AUC", "%", "+1.2", "[-1.0,", "+4.0]", "0.25"]


@pytest.mark.parametrize(
    ("score", "value", "text"),
    [
        ("accuracy", 0.5, "50.0"),
        ("r2", -0.12345, "-0.123"),
        ("rmse", 1234.56, "1235"),
        ("neg_log_loss", 0.5, "0.500"),
        ("rmse", 1.234e-4, "0.000123"),
        ("r2", 1.234e-4, "0.000"),
        ("r2", float("nan"), "-"),
        ("r2", None, "-"),
    ],
)
def test_numbers(score, value, text):
    assert number(score, value) == text
