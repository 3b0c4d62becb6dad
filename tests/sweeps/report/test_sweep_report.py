"""The report of a sweep: its numbers against plain computations, what it leaves out, and its page."""

import json

import numpy as np
import pytest
from helpers.synthetic import FOLDS, Synthetic
from scipy import stats

from graphcl_hard.sweeps.cell import CONTROLS, Cell
from graphcl_hard.sweeps.embedder import Embedder
from graphcl_hard.sweeps.few_labels import FINE_TUNED
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


def given_of(method):
    if method in ("majority", "wl"):
        return {"folds": FOLDS, "repeats": 2}
    return {**CONTROLS.get(method, {}), **({"epochs": 5} if method == "bn-only" else {})}


def embedder_of(method):
    return Embedder(*MINE.values(), ()) if method in ("Degrees", "never") else None


def plan_of(sets=SETS, methods=(*LEVELS, "never"), seeds=2):
    return [
        Cell(a, m, m, CONTROLS.get(m, {}), seed, given_of(m), "", embedder_of(m), m in CONTROLS)
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


def with_predictions(records, graphs=40):
    labels = np.arange(graphs) % 2
    generator = np.random.default_rng(0)
    for record in records:
        hits = generator.random((2, graphs)) < LEVELS[record["method"]]
        record["labels"] = labels.tolist()
        for scored in record["scores"]["svm"].values():
            scored["predicted"] = np.where(hits, labels, 1 - labels).tolist()
    return records


@pytest.mark.slow
def test_predictions_replace_the_tests_over_folds(tmp_path):
    records_of(tmp_path)
    records = with_predictions(read_records(tmp_path))
    parts = parts_of(sweep_page(records, plan_of(), tmp_path / "none"))
    for control in ("majority", "wl", "untrained", "bn-only"):
        assert f"against_{control}" not in parts
        assert f"forest_{control}" in parts
        frame = parts[f"effects_{control}"].values
        assert set(frame["method"]) == {"wl", "Degrees"} - {control}
        assert list(dict.fromkeys(frame["dataset"])) == [*SETS, "pooled"]
    for record in records:
        if record["method"] == "wl":
            del record["labels"]
    parts = parts_of(sweep_page(records, plan_of(), tmp_path / "none"))
    assert "effects_wl" not in parts
    assert "forest_untrained" in parts
    assert "WL kernel on A, WL kernel on B" in parts["effects_untrained"].note
    assert {"against_wl", "against_untrained"} <= parts.keys()
    assert parts["effects_untrained"].title == "Graph by graph against untrained"


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


def test_records_of_other_settings_are_listed_and_in_no_table(tmp_path):
    cells = Synthetic(tmp_path)
    for seed in (0, 1):
        cells.cell("A", "wl", "wl", seed, (0.7, 0.7), epochs=(0,))
    cells.cell("A", "wl", "wl", 1, (0.9, 0.9), {"iterations": [1]}, epochs=(0,))
    parts = parts_of(page_of(tmp_path, tmp_path / "none", sets=("A",), methods=("wl",)))
    assert parts["main"].values["seeds"].tolist() == [1]
    other = parts["other_settings"].shown
    assert other["seed"].tolist() == ["1"]
    assert other["difference"].tolist() == ["settings {'iterations': [1]}, now {}"]


def test_a_sweep_in_which_all_failed_has_a_page_with_the_reasons(tmp_path):
    failed = {"status": "failed", "error": "ValueError: no", "scores": {}, "test_sizes": []}
    Synthetic(tmp_path / "records").cell("A", "wl", "wl", 0, (0, 0), epochs=(0,), **failed)
    page = page_of(tmp_path / "records", tmp_path, sets=("A",))
    assert [section.name for section in page.sections] == ["cells"]
    assert "ValueError: no" in write_report(page, tmp_path)[-1].read_text("utf-8")


def test_the_probe_is_named_for_methods_that_have_another(tmp_path):
    cells = Synthetic(tmp_path)
    cells.cell("A", "wl", "wl", 0, (0.7, 0.7), epochs=(0,))
    for method in ("untrained", "Degrees"):
        cells.cell("A", method, method, 0, (0.7, 0.7), CONTROLS.get(method, {}), (0,))
    records = read_records(tmp_path)
    for record in records:
        if record["method"] != "wl":
            record["scores"] = {"knn": record["scores"]["svm"]}
    scores = analysis.score_frame(records)
    words = words_of(scores)
    assert words.probes == "nearest neighbours (an RBF SVM for WL kernel)"
    main = tables.main_table(tables.lines_of(scores, list(LEVELS)), ["A"], words)
    assert f"by {words.probes}." in main.note


def test_other_scores_than_accuracy_are_not_called_so_nor_averaged(tmp_path):
    sets = [f"S{number}" for number in range(6)]
    cells = Synthetic(tmp_path)
    for dataset in sets:
        for method in ("untrained", "Degrees"):
            cells.cell(dataset, method, method, 0, (0.7, 0.7), CONTROLS.get(method, {}), (0,))
    scores = analysis.score_frame(read_records(tmp_path))
    lines = tables.lines_of(scores, list(LEVELS))
    same = tables.control_table("untrained", lines, sets, words_of(scores))
    assert "over the data sets" in same.shown
    scores.loc[scores["dataset"] == "S0", "score"] = "r2"
    words = words_of(scores)
    table = tables.control_table("untrained", lines, sets, words)
    assert "over the data sets" not in table.shown
    assert list(tables.main_table(lines, sets, words).values) == [
        *("method", "dataset", "score", "low", "high", "seeds", "rank")
    ]


def few_entries(method, family, seed, settings, level):
    fixed = {"dataset": "A", "method": method, "family": family, "settings": settings, "seed": seed}
    accuracy = (np.full((2, FOLDS), level) + np.eye(2, FOLDS) / 50).tolist()
    return [
        {
            **fixed,
            "epoch": 0,
            "probe": probe,
            "fraction": share,
            "accuracy": accuracy,
            "defaulted": 0,
        }
        for probe in ("svm", FINE_TUNED)
        for share in (0.1, 1.0)
    ]


def test_few_labels_are_those_of_the_plans_cells_and_the_legend_fits(tmp_path):
    cells, plan = Synthetic(tmp_path / "records"), []
    names = [f"a-method-of-some-length-{number}" for number in range(4)]
    entries = []
    for name in names:
        cells.cell("A", name, "untrained", 0, (0.7, 0.7), {"epochs": 0}, (0,))
        plan.append(Cell("A", name, "untrained", {"epochs": 0}, 0, {"epochs": 0}))
        entries += few_entries(name, "untrained", 0, {"epochs": 0}, 0.7)
    entries += few_entries(names[0], "untrained", 7, {"epochs": 0}, 0.1)  # not of the plan
    entries += few_entries(names[0], "untrained", 0, {"epochs": 3}, 0.1)  # of other settings
    entries += few_entries("gone", "untrained", 0, {"epochs": 0}, 0.1)
    (tmp_path / "few_labels").mkdir()
    (tmp_path / "few_labels" / "A.json").write_text(json.dumps(entries))
    parts = parts_of(sweep_page(read_records(tmp_path / "records"), plan, tmp_path))
    values = parts["few_labels"].values
    assert set(values["line"]) == set(names)
    assert set(values["seeds"]) == {1}
    assert values["accuracy"].min() > 60
    figure = parts["label_curves"].figure
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.x1
    styles = {}
    for name in ("intervals", "few_labels_svm"):
        for line in parts[name].figure.axes[0].lines:
            styles.setdefault(name, {})[line.get_color(), line.get_marker()] = None
    drawn = [{style for style in one if style[1] in "os^D"} for one in styles.values()]
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == len(names)


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
