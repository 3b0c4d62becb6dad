"""The command of sweeps: what it refuses, what it needs, and the page on adding a method."""

import os
import re
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from helpers.paths import DOCS

from graphcl_hard import sweep
from graphcl_hard.sweeps import extras
from graphcl_hard.sweeps.records import read_records

FAST = "{folds: 3, repeats: 1, epochs: 1, score_epochs: [1], hidden_channels: 4, num_layers: 2}"


def write_page(folder):
    """The files that the page on adding a method shows, with quick settings; returns the plan."""
    text = (DOCS / "add_a_method.md").read_text(encoding="utf-8")
    for name, content in re.findall(r"```\w+\n(?:# (\w+\.\w+)\n)(.*?)```", text, re.DOTALL):
        (folder / name).write_text(content)
    plan = folder / "plan.yaml"
    plan.write_text(plan.read_text().replace("{repeats: 1}", FAST))
    return plan


@pytest.fixture
def page(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield write_page(tmp_path)
    sys.modules.pop("mine", None)


@pytest.mark.slow
def test_the_class_of_the_page_stands_in_the_report_beside_the_controls(page, tmp_path):
    out = tmp_path / "out"
    assert len(page.with_name("mine.py").read_text().splitlines()) < 20
    assert sweep.main([str(page), "--out", str(out), "--jobs", "1"]) == 0
    main = pd.read_csv(out / "tables" / "main.csv").set_index("method")
    assert list(main.index) == ["majority", "wl", "untrained", "bn-only", "Degrees"]
    assert main.loc["Degrees", "accuracy"] > main.loc["majority", "accuracy"] + 5
    for control in ("majority", "wl", "untrained", "bn-only"):
        table = pd.read_csv(out / "tables" / f"effects_{control}.csv")
        assert "Degrees" in table["method"].tolist()
    assert "Degrees" in (out / "report.html").read_text(encoding="utf-8")
    sizes = {str(record["test_sizes"]) for record in read_records(out / "records")}
    assert len(sizes) == 1  # the folds have the same sizes


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the plan must hold keys with values, such as 'beta: 2', got {}"),
        ("[1, 2]", "the plan must hold keys with values"),
        ("datasets: [MUTAG]\nmethods: [wl", "cannot be read: "),
        ("datasets: [MUTAG]\ndatasets: [DD]\n", "cannot be read: 'datasets' occurs twice"),
        ("datasets: [MUTAG]\nmethods: [1999-99-99]\n", "cannot be read: month must be in 1..12"),
        ("datasets: [MUTAG]\n", "methods must be a list of methods"),
        ("datasets: []\n", "datasets must be a list of names"),
    ],
)
def test_a_broken_plan_is_one_sentence(tmp_path, capsys, text, sentence):
    (tmp_path / "plan.yaml").write_text(text)
    assert sweep.main([str(tmp_path / "plan.yaml"), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert sentence in error or (not text and "datasets must be a list" in error)
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("gone", "names"),
    [
        ({"grakel"}, "GraKeL, which is"),
        ({"pandas", "jinja2"}, "pandas and Jinja2, which are"),
    ],
)
def test_a_missing_package_is_one_sentence_with_the_extra(
    page, tmp_path, monkeypatch, capsys, gone, names
):
    real = extras.find_spec
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name in gone else real(name))
    words = [str(page), "--out", str(tmp_path / "out")]
    assert sweep.main(words) == 2
    assert capsys.readouterr().err == (
        f"error: A sweep needs {names} not installed; pip install 'graphcl_hard[sweep]'.\n"
    )
    assert sweep.main([*words, "--dry-run"]) == 0


@pytest.mark.parametrize("words", ["--seeds 0", "--few-labels", "--no-report", "--jobs 2"])
def test_what_no_report_needs_is_refused_with_report_only(capsys, words):
    assert sweep.main(["plan.yaml", "--report-only", *words.split()]) == 2
    error = capsys.readouterr().err
    assert f"{words.split()[0]} must be left out with --report-only, which runs no cell" in error
    assert error.count("\n") == 1


def test_an_interrupt_with_words_is_130(tmp_path, monkeypatch, capsys):
    def interrupted(_):
        raise KeyboardInterrupt("x")

    monkeypatch.setattr(sweep, "_sweep", interrupted)
    assert sweep.main([str(tmp_path / "plan.yaml")]) == 130
    assert capsys.readouterr().err == "stopped; the same command resumes from here.\n"


def test_a_dry_run_loads_no_pytorch(tmp_path):
    plan = tmp_path / "plan.yaml"
    plan.write_text("datasets: [MUTAG]\nmethods: [majority, wl, untrained, bn-only]\n")
    code = (
        "import sys\nfrom graphcl_hard.sweep import main\nassert main(sys.argv[1:]) == 0\n"
        "print({'torch', 'sklearn', 'pandas', 'pyarrow'} & set(sys.modules), file=sys.stderr)"
    )
    words = [str(plan), "--out", str(tmp_path / "out"), "--dry-run"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
    )
    assert done.stderr == "set()\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_method_that_ends_its_process_or_never_returns_harms_no_other(tmp_path):
    """One ends the process, one sleeps until Ctrl-C; the records of the others stay, and the sweep goes on."""
    (tmp_path / "bad_methods.py").write_text(
        "import os, time\n\n\nclass Ends:\n    def fit_transform(self, graphs):\n        os._exit(7)\n\n\n"
        "class Sleeps:\n    def fit_transform(self, graphs):\n        time.sleep(1000)\n"
    )
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        f"datasets: [MUTAG]\nsettings: {FAST}\n"
        "methods: [majority, 'bad_methods:Ends', untrained, 'bad_methods:Sleeps']\n"
    )
    words = [sys.executable, "-m", "graphcl_hard.sweep", str(plan), "--jobs", "1"]
    process = subprocess.Popen(
        [*words, "--out", str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    lines = []
    while not (lines and lines[-1].endswith("(1 to do)\n")):
        lines.append(process.stdout.readline())
        assert lines[-1], process.stderr.read()
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "stopped; the same command resumes from here.\n")
    found = {record["method"]: record for record in read_records(tmp_path / "out" / "records")}
    assert {name: record["status"] for name, record in found.items()} == {
        "majority": "finished",
        "Ends": "failed",
        "untrained": "finished",
    }
    assert re.search(r"2 workers died on this cell \(.*7.*\)", found["Ends"]["error"])
