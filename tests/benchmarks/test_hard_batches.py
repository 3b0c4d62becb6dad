"""The benchmark of hard batches measures each setting, and its committed table is that of its record."""

import json

import pytest
from helpers.paths import RESULTS

from benchmarks import hard_batches
from graphcl_hard.config import Config


def test_the_table_is_that_of_the_record():
    record = json.loads((RESULTS / "hard_batches.json").read_text())
    assert hard_batches.table(record) == (RESULTS / "hard_batches.md").read_text()


def test_random_batches_are_the_unit_and_similar_graphs_are_closer(toy):
    config = Config(hidden_channels=4, num_layers=2, batch_size=8, accelerator="cpu")
    random, hard = hard_batches.measure(toy, config, (0, 8), 2)
    assert random["cost"] == pytest.approx([1, 1, 1])
    assert len(hard["seconds"]) == 2
    assert hard["cosine"] > random["cosine"]
