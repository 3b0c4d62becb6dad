"""README's code runs, and its figures are those of the committed records."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
RESULTS = ROOT / "experiments" / "results"


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", README, re.DOTALL))
def test_the_code_runs(code, tmp_path):
    (tmp_path / "example.py").write_text(code)
    names = runpy.run_path(str(tmp_path / "example.py"))
    assert names["embedding"].graph_embedding.shape == (2, 96)
    assert np.isfinite(names["loss"].item())  # the inputs are random, and a debiased loss may well be 0
    assert names["loss"].requires_grad


@pytest.mark.parametrize("name", ["main_table/times.md", "speed/epochs.md", "speed/scores.md"])
def test_the_tables_are_the_committed_ones(name):
    text = (RESULTS / name).read_text()
    table = "".join(line + "\n" for line in text.splitlines() if line.startswith("|"))
    assert table in README + "\n"
