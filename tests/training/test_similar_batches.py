"""Batches of similar graphs: by the present embedding, in memory and from disk; the encoder stays as it was."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
import yaml

from graphcl_hard import HardInfoGraph, write_shards
from graphcl_hard.config import Config
from graphcl_hard.data import load
from graphcl_hard.data.load import load_graphs
from graphcl_hard.exceptions import InputError
from graphcl_hard.loader import streaming
from graphcl_hard.loader.features import FeatureMap
from graphcl_hard.loader.in_memory import in_batches
from graphcl_hard.loader.similar import similar_groups
from graphcl_hard.runs.display import Display
from graphcl_hard.runs.experiment import run_seeds
from graphcl_hard.training.build import prepare
from graphcl_hard.training.devices import training_device
from graphcl_hard.training.loop import calibrate, embed, epoch_batches, grouping, train

SMALL = Config(
    hidden_channels=8,
    num_layers=2,
    epochs=2,
    batch_size=8,
    similar_graphs=4,
    accelerator="cpu",
    precision="64-true",
)


def prepared(config, graphs):
    with training_device(config) as fabric:
        return (*prepare(config, graphs, FeatureMap.fit(graphs), fabric), fabric)


def scaled(vectors):
    return torch.from_numpy(np.sign(vectors) * np.log1p(np.abs(vectors)))


def drawn(batches, config, generator, group):
    return [
        batch.graph_ids.tolist() for batch in epoch_batches(batches, config, generator, None, group)
    ]


def test_by_default_batches_are_drawn_as_ever(toy):
    config = dataclasses.replace(SMALL, similar_graphs=0)
    batches, state, _ = prepared(config, toy)
    assert grouping(state.model.encoder, config) is None
    generator = torch.Generator().manual_seed(3)
    found = drawn(batches, config, generator, None)
    again = torch.Generator().manual_seed(3)
    expected = in_batches(torch.randperm(toy.num_graphs, generator=again), 8)
    assert found == [rows.tolist() for rows in expected]
    assert torch.equal(generator.get_state(), again.get_state())


def test_an_epoch_follows_the_embedding_and_leaves_the_encoder_as_it_was(toy):
    batches, state, _ = prepared(SMALL, toy)
    encoder = state.model.encoder.train()
    group = grouping(encoder, SMALL)
    orders = []
    for _ in range(2):
        before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
        generator, again = (torch.Generator().manual_seed(3) for _ in range(2))
        found = drawn(batches, SMALL, generator, group)
        assert encoder.training
        assert all(torch.equal(before[name], t) for name, t in encoder.state_dict().items())
        assert all(parameter.grad is None for parameter in encoder.parameters())
        vectors = scaled(embed(encoder, batches, 8))
        assert found == [r.tolist() for r in in_batches(similar_groups(vectors, 4, again), 8)]
        assert torch.equal(generator.get_state(), again.get_state())
        orders.append(found)
        with torch.no_grad():  # other weights, as after a step
            for parameter in encoder.parameters():
                parameter.add_(torch.randn(parameter.shape, dtype=parameter.dtype))
    assert orders[0] != orders[1]


def test_from_disk_each_window_follows_the_embedding(toy, tmp_path, monkeypatch):
    """There are 48 graphs in blocks of 5 and windows of 16."""
    for module in (streaming, load):
        monkeypatch.setattr(module, "WINDOW", 16)
    monkeypatch.setattr(streaming, "BLOCK", 5)
    shards = write_shards(tmp_path / "set", [toy, toy], "twice")
    batches, state, _ = prepared(SMALL, shards)
    found = drawn(
        batches,
        SMALL,
        torch.Generator().manual_seed(3),
        grouping(state.model.encoder, SMALL),
    )
    vectors = scaled(embed(state.model.encoder, batches, 8))
    generator = torch.Generator().manual_seed(3)
    blocks = torch.arange(48).split(5)
    order = torch.cat([blocks[i] for i in torch.randperm(len(blocks), generator=generator)])
    expected = []
    for window in order.split(16):
        similar = window[similar_groups(vectors[window], 4, generator)]
        expected += [rows.tolist() for rows in in_batches(similar, 8)]
    assert found == expected
    assert sorted(itertools.chain(*found)) == list(range(48))


def test_graphs_of_a_real_batch_are_closer_than_at_random():
    graphs = load_graphs("MUTAG")
    config = Config(batch_size=16, similar_graphs=16, accelerator="cpu")
    batches, state, _ = prepared(config, graphs)
    vectors = scaled(embed(state.model.encoder, batches, 64))
    vectors = (vectors - vectors.mean(0)) / vectors.std(0).clamp_min(1e-6)

    def distance(group):
        generator = torch.Generator().manual_seed(0)
        means = [
            torch.pdist(vectors[batch.graph_ids]).mean()
            for batch in epoch_batches(batches, config, generator, None, group)
        ]
        return float(torch.stack(means).mean())

    assert distance(grouping(state.model.encoder, config)) < 0.7 * distance(None)


def trained(config, graphs):
    batches, state, fabric = prepared(config, graphs)
    epochs = []
    train(state, batches, config, fabric, epochs.append)
    return [epoch._replace(seconds=0) for epoch in epochs], state.to_tensors()


@pytest.mark.parametrize("change", [{}, {"method": "graphcl"}], ids=str)
def test_a_training_repeats_and_is_another_than_at_random(toy, change):
    config = dataclasses.replace(SMALL, **change)
    one, other, random = (
        trained(dataclasses.replace(config, similar_graphs=size), toy) for size in (4, 4, 0)
    )
    assert one[0] == other[0] != random[0]
    assert all(torch.equal(other[1][name], tensor) for name, tensor in one[1].items())


def test_the_control_equals_a_training_with_learning_rate_0(toy):
    config = dataclasses.replace(SMALL, lr=0.0)
    batches, state, fabric = prepared(config, toy)
    calibrate(state.model.encoder, batches, config, fabric)
    _, tensors = trained(config, toy)
    for name, tensor in state.model.encoder.state_dict().items():
        assert torch.equal(tensors[f"model.encoder.{name}"], tensor), name


def run(graphs, config):
    run_seeds(config, graphs, FeatureMap.fit(graphs), Display(quiet=True))


def test_a_run_from_before_the_setting_resumes_without_it_only(toy, tmp_path):
    config = dataclasses.replace(
        SMALL, similar_graphs=0, evaluate=False, pictures=False, quiet=True, out=tmp_path / "run"
    )
    run(toy, config)
    path = tmp_path / "run" / "config.yaml"
    settings = yaml.safe_load(path.read_text())
    assert settings.pop("similar_graphs") == 0
    path.write_text(yaml.safe_dump(settings))
    run(toy, dataclasses.replace(config, resume=True))
    with pytest.raises(InputError, match="has `similar_graphs=0`, got `similar_graphs=4`"):
        run(toy, dataclasses.replace(config, resume=True, similar_graphs=4))


@pytest.mark.filterwarnings("ignore:A batch has 8")
def test_an_estimator_may_change_it_between_fits(toy, tmp_path):
    model = HardInfoGraph(
        hidden_channels=8, epochs=1, batch_size=8, random_state=0, similar_graphs=4, warm_start=True
    ).fit(toy)
    model.save(tmp_path / "estimator")
    loaded = HardInfoGraph.load(tmp_path / "estimator")
    assert loaded.similar_graphs == 4
    same = model.partial_fit(toy).transform(toy)
    assert np.array_equal(loaded.partial_fit(toy).transform(toy), same)
    again = HardInfoGraph.load(tmp_path / "estimator").set_params(similar_graphs=0).fit(toy)
    assert len(again.history_) == 2
    assert not np.array_equal(again.transform(toy), same)
    with pytest.raises(InputError, match="`similar_graphs` must be at most `batch_size=8`"):
        model.set_params(similar_graphs=9).fit(toy)
