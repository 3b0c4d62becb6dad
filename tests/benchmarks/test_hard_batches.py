"""The benchmark of hard batches measures each setting, and its committed table is that of its record."""

import json

import pytest
import torch
from helpers.paths import RESULTS

from benchmarks import hard_batches
from graphcl_hard.config import Config
from graphcl_hard.loader.augment import with_views
from graphcl_hard.loader.features import node_features
from graphcl_hard.loader.in_memory import GraphBatches
from graphcl_hard.training.build import build_model


def test_the_table_is_that_of_the_record():
    record = json.loads((RESULTS / "hard_batches.json").read_text())
    assert hard_batches.table(record) == (RESULTS / "hard_batches.md").read_text()


def test_random_batches_are_the_unit_and_similar_graphs_are_closer(toy):
    config = Config(hidden_channels=4, num_layers=2, batch_size=8, accelerator="cpu")
    random, hard = hard_batches.measure(toy, config, (0, 8), 2)
    assert random["cost"] == pytest.approx([1, 1, 1])
    assert len(hard["seconds"]) == 2
    assert hard["cosine"] > random["cosine"]


def test_scores_in_groups_are_those_of_pairs_of_their_graphs(toy):
    """The groups of 3 of 8 graphs are 0 to 2, 3 to 5 and 6 to 7."""
    features = node_features(toy)
    batch = GraphBatches(toy, features.x).select(torch.arange(8))
    batch = with_views(batch, ("node-drop", "subgraph"), (0.2, 0.2), torch.Generator())
    config = Config(method="graphcl", hidden_channels=4, num_layers=2)
    model = build_model(config, features.channels).eval()
    with torch.no_grad():
        views = [model._project(view) for view in batch.views]
        found = hard_batches.score_in_groups(model, batch, 3, 0.5)
    scores = [
        float(one[a] @ other[b]) / 0.5
        for one in views
        for other in views
        for group in (range(3), range(3, 6), range(6, 8))
        for a in group
        for b in group
        if a != b
    ]
    assert found == pytest.approx(sum(scores) / len(scores))
