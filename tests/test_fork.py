"""Work in a process that was forked after work of several threads."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import multiprocessing
import warnings

import numpy as np
import torch

from graphcl_hard import HardInfoGraph, load_graphs

warnings.simplefilter("ignore")
graphs = load_graphs("MUTAG")


def fit(n_jobs):
    return HardInfoGraph(random_state=0, epochs=1, n_jobs=n_jobs).fit_transform(graphs)


def fit_in_fork(n_jobs):
    return fit(n_jobs), torch.get_num_threads()


if __name__ == "__main__":
    assert torch.get_num_threads() == 2
    fit(None)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        found = pool.map_async(fit_in_fork, [None, 2]).get(60)
    alone = fit(1)
    for vectors, threads in found:
        assert threads == 2  # after the call, as before
        assert np.array_equal(vectors, alone)
    assert torch.get_num_threads() == 2
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_after_fit_does_not_hang(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, env=environment, timeout=90, check=True
    )
