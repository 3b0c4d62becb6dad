"""The committed tables are those that the committed records give."""

import shutil
import sys

import pytest
from helpers.paths import EXPERIMENTS, RESULTS

from benchmarks import runs
from benchmarks.speed import report
from experiments.more_negatives import __main__ as more_negatives


def same_files(made, committed):
    paths = [path for path in made.iterdir() if path.suffix in (".md", ".csv")]
    assert {path.suffix for path in paths} == {".md", ".csv"}
    return all(path.read_bytes() == (committed / path.name).read_bytes() for path in paths)


@pytest.mark.parametrize(
    ("script", "committed"),
    [(runs, RESULTS / "runs"), (more_negatives, EXPERIMENTS / "more_negatives" / "results")],
)
def test_tables_of_runs(script, committed, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "RESULTS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["script", "--table-only"])
    assert script.main() == 0
    assert same_files(tmp_path, committed)


def test_tables_of_the_speed_benchmark(tmp_path):
    shutil.copy(RESULTS / "speed" / report.RECORD, tmp_path)
    report.write(tmp_path)
    assert same_files(tmp_path, RESULTS / "speed")
