"""README's code runs, and its figures are those of the committed records."""

import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
RESULTS = ROOT / "experiments" / "results" / "main_table"


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", README, re.DOTALL))
def test_the_code_runs(code, tmp_path):
    (tmp_path / "example.py").write_text(code)
    names = runpy.run_path(str(tmp_path / "example.py"))
    assert names["embedding"].graph_embedding.shape == (2, 96)
    assert np.isfinite(names["loss"].item())  # the inputs are random, and a debiased loss may well be 0
    assert names["loss"].requires_grad


@pytest.mark.parametrize("name", ["main_table/table.md", "main_table/times.md", "speed/epochs.md", "speed/scores.md"])
def test_the_tables_are_the_committed_ones(name):
    text = (RESULTS.parent / name).read_text()
    table = "".join(line + "\n" for line in text.splitlines() if line.startswith("|"))
    assert table in README + "\n"


def test_the_table_is_made_from_the_committed_records():
    row = next(line for line in (RESULTS / "table.md").read_text().splitlines() if line.startswith("| PROTEINS"))
    for column, method in ((4, "uniform"), (5, "hard"), (6, "released")):
        runs = [json.loads((RESULTS / "records" / f"PROTEINS-{method}-seed{s}.json").read_text()) for s in range(5)]
        means = [100 * np.mean(run["scores"]["svm"]["trained"]["accuracy"]) for run in runs]
        assert row.split("|")[column].strip() == f"{np.mean(means):.1f} ± {np.std(means, ddof=1):.1f}"
