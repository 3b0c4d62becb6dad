"""README's code runs, and its figures are those of the committed records."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
RESULTS = ROOT / "experiments" / "results"


def run(code, folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "example.py").write_text(code)
    return runpy.run_path(str(folder / "example.py"))


QUICK_START, OBJECTIVE, GRID_SEARCH = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_quick_start_gives_vectors(tmp_path, monkeypatch):
    vectors = run(QUICK_START, tmp_path, monkeypatch)["vectors"]
    assert vectors.shape == (188, 96)
    assert np.isfinite(vectors).all()


def test_encoder_and_objective_run(tmp_path, monkeypatch):
    names = run(OBJECTIVE, tmp_path, monkeypatch)
    assert names["embedding"].graph_embedding.shape == (2, 96)
    assert np.isfinite(names["loss"].item())  # the inputs are random, and a debiased loss may well be 0
    assert names["loss"].requires_grad


def test_the_grid_search_runs(tmp_path, monkeypatch):
    search = run(GRID_SEARCH, tmp_path, monkeypatch)["search"]
    assert search.best_score_ > 0.75  # the majority class has 66%
    assert set(search.best_params_) == {"hardinfograph__beta", "svc__C"}


@pytest.mark.parametrize("name", ["main_table/times.md", "speed/epochs.md", "speed/scores.md"])
def test_the_tables_are_the_committed_ones(name):
    text = (RESULTS / name).read_text()
    table = "".join(line + "\n" for line in text.splitlines() if line.startswith("|"))
    assert table in README + "\n"
