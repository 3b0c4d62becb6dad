"""The report of a sweep: its numbers against plain computations, what it leaves out, and its page."""

import numpy as np
import pytest
from helpers.synthetic import FOLDS, Synthetic
from scipy import stats

from graphcl_hard.sweeps.cell import CONTROLS, Cell
from graphcl_hard.sweeps.records import read_records
from graphcl_hard.sweeps.report import analysis, tables
from graphcl_hard.sweeps.report.files import write_report
from graphcl_hard.sweeps.report.sections import sweep_page
from graphcl_hard.sweeps.report.table import words_of

SETS = ("A", "B", "C")
MINE = {"class": "mine:Degrees", "parameters": {"largest": 8}, "source": "0123456789abcdef"}
LEVELS = {"majority": 0.5, "wl": 0.72, "untrained": 0.7, "bn-only": 0.7, "Degrees": 0.8}


def records_of(folder, sets=SETS, seeds=2):
    cells = Synthetic(folder)
    for dataset in sets:
        for seed in range(seeds):
            for name, level in LEVELS.items():
                more = {"embedder": MINE} if name == "Degrees" else {}
                epochs = (0, 1, 5) if name == "bn-only" else (0,)
                settings = CONTROLS.get(name, {})
                cells.cell(dataset, name, name, seed, (level, level), settings, epochs, **more)
    return cells


def plan_of(sets=SETS, methods=(*LEVELS, "never"), seeds=2):
    return [
        Cell(a, m, m, {}, seed, {}, "", None, m in CONTROLS)
        for a in sets
        for seed in range(seeds)
        for m in methods
    ]


def page_of(folder, out, **plan):
    return sweep_page(read_records(folder), plan_of(**plan), out)


def parts_of(page):
    return {part.name: part for section in page.sections for part in section.parts}


@pytest.mark.slow
def test_the_method_stands_beside_its_controls(tmp_path):
    records_of(tmp_path)
    parts = parts_of(page_of(tmp_path, tmp_path / "none"))
    main = parts["main"].shown.set_index("method")
    assert list(main.index) == ["majority", "WL kernel", "untrained", "batch norm only", "Degrees"]
    assert main.loc["Degrees", "rank"] == "1.00"
    assert list(main.columns) == [*SETS, "seeds", "rank"]
    for control in ("untrained", "bn-only", "wl", "majority"):
        table = parts[f"against_{control}"]
        assert (table.values.query("first == 'Degrees'")["p_holm"] < 0.05).all()
    assert list(parts["against_untrained"].shown["method"]) == ["WL kernel", "Degrees"]
    methods = parts["methods"].shown.set_index("method")
    assert methods.loc["Degrees", "class"] == "mine:Degrees"
    assert methods.loc["Degrees", "settings"] == "largest 8"
    assert {"intervals", "critical_difference", "score_epochs", "loss"} <= parts.keys()


def test_a_difference_is_the_corrected_resampled_t_with_holm_over_the_data_sets(tmp_path):
    records_of(tmp_path)
    scores = analysis.score_frame(read_records(tmp_path))
    lines = tables.lines_of(scores, list(LEVELS))
    table = tables.control_table("wl", lines, SETS, words_of(scores)).values.query(
        "first == 'Degrees'"
    )
    p = []
    for dataset in SETS:
        ours, theirs = (
            np.concatenate([lines[name][dataset][seed].ravel() for seed in range(2)])
            for name in ("Degrees", "wl")
        )
        d = ours - theirs
        t = d.mean() / np.sqrt((1 / len(d) + 1 / (FOLDS - 1)) * d.var(ddof=1))
        p.append(2 * stats.t.sf(abs(t), len(d) - 1))
    np.testing.assert_allclose(table["p"], p)
    order = np.argsort(p)
    corrected = np.maximum.accumulate(np.sort(p) * np.arange(len(p), 0, -1)).clip(max=1)
    np.testing.assert_allclose(table["p_holm"].to_numpy()[order], corrected)


@pytest.mark.slow
def test_only_what_the_plan_has_is_reported_and_what_failed_is_listed(tmp_path):
    cells = records_of(tmp_path)
    cells.cell("A", "other", "other", 0, (0.9, 0.9), epochs=(0,))
    cells.cell("D", "wl", "wl", 0, (0.9, 0.9), epochs=(0,))
    failed = {"status": "failed", "error": "ValueError: no", "scores": {}, "test_sizes": []}
    cells.cell("B", "never", "never", 1, (0, 0), epochs=(0,), embedder=MINE, **failed)
    parts = parts_of(page_of(tmp_path, tmp_path / "none", sets=("C", "A", "B")))
    assert list(parts["main"].shown.columns[1:4]) == ["C", "A", "B"]
    assert "other" not in parts["main"].shown["method"].tolist()
    assert parts["failures"].shown["error"].tolist() == ["ValueError: no"]


def test_one_method_on_one_data_set_has_a_report(tmp_path):
    Synthetic(tmp_path / "records").cell("A", "wl", "wl", 0, (0.7, 0.7), epochs=(0,))
    page = page_of(tmp_path / "records", tmp_path, sets=("A",))
    assert [section.name for section in page.sections] == ["scores", "cells"]
    paths = write_report(page, tmp_path)
    assert {path.name for path in paths} >= {"main.csv", "main.md", "main.tex", "report.html"}
    text = paths[-1].read_text(encoding="utf-8")
    assert "Paired tests" not in text


@pytest.mark.slow
def test_the_page_says_nothing_of_the_study(tmp_path):
    records_of(tmp_path / "records")
    text = write_report(page_of(tmp_path / "records", tmp_path), tmp_path)[-1].read_text("utf-8")
    words = text.partition("</style>")[2]
    for word in ("TU data", "study", "GraphCL", "InfoGraph", "released", "MUTAG", " eight "):
        assert word not in words.replace("https://", "")


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_its_window(browser, tmp_path, width):
    records_of(tmp_path / "records")
    paths = write_report(page_of(tmp_path / "records", tmp_path), tmp_path)
    tab = browser.new_page(viewport={"width": width, "height": 900})
    heard = []
    tab.on("console", lambda message: heard.append(message.text))
    tab.on("pageerror", lambda error: heard.append(str(error)))
    tab.goto(paths[-1].as_uri())
    assert heard == []
    assert tab.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )
    for path in paths:
        if path.suffix == ".csv":
            assert tab.locator(f"figure#{path.stem} table").is_visible(), path.stem
    for link in tab.locator("nav a, footer a").all():
        assert tab.locator(link.get_attribute("href")).is_visible()
    tab.close()
