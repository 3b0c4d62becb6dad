"""Rounds of work in one process leave no memory, file, thread or process behind; `make test-long` has an hour."""

import json
import os
import subprocess
import sys

import pytest
from helpers.paths import ROOT


def soaked(kind, out, *words):
    """The record of so much work in a process of its own, with one thread."""
    command = [sys.executable, "-m", "benchmarks.soak", "--kind", kind, "--out", str(out), *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )  # 1 where it is not flat
    assert (out / f"{kind}.json").exists(), done.stderr
    return json.loads((out / f"{kind}.json").read_text())


@pytest.mark.alone
@pytest.mark.parametrize(("kind", "rounds", "blocks"), [("estimator", 60, 30), ("sweep", 7, 1000)])
def test_rounds_of_work_leave_nothing_open_and_nothing_in_memory(kind, rounds, blocks, tmp_path):
    """`blocks`: of Python's allocator, a round, a few times what was measured; it counts without noise.

    A round of the sweep is four runs. Two blocks for each tensor that is loaded, as safe_open keeps, are past it.
    """
    record = soaked(kind, tmp_path, "--rounds", str(rounds), "--datasets", "MUTAG")
    before, after = record["before"], record["after"]
    for name in ("files", "threads", "children"):
        assert after[name] <= before[name], record
    assert after["blocks"] - before["blocks"] < blocks * (rounds - record["warm_up_rounds"])
