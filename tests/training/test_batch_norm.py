"""Exact statistics of batch norm: those of the whole data set as one batch, in functions, runs and estimators."""

import copy
import csv
import dataclasses
import json

import networkx as nx
import numpy as np
import pytest
import torch
from helpers.graphs import graph_data
from helpers.runs import without_times
from torch.nn import BatchNorm1d, Linear, Module, SyncBatchNorm
from torch.optim.swa_utils import update_bn

from graphcl_hard import Embedding, GINEncoder, HardInfoGraph, load_graphs, write_shards
from graphcl_hard.config import Config
from graphcl_hard.data.shards import GraphShards
from graphcl_hard.exceptions import InputError, StopTraining
from graphcl_hard.loader import streaming
from graphcl_hard.loader.features import FeatureMap
from graphcl_hard.loader.in_memory import GraphBatches
from graphcl_hard.loader.streaming import StreamedBatches, make_batches
from graphcl_hard.nn.synced_batch_norm import synchronised
from graphcl_hard.run import main
from graphcl_hard.runs import experiment
from graphcl_hard.runs.display import Display
from graphcl_hard.training.batch_norm import recalibrate
from graphcl_hard.training.build import build_model
from graphcl_hard.training.loop import embed

SMALL = Config(
    hidden_channels=8,
    num_layers=3,
    epochs=3,
    batch_size=8,
    folds=2,
    repeats=1,
    pictures=False,
    probes=("knn",),
    accelerator="cpu",
    recalibrate=True,
)
EXACT = {"rtol": 1e-10, "atol": 1e-10}


@pytest.fixture
def bonds(toy):
    """The toy set with labels of edges, alike in both directions."""
    low, high = toy.edge_index.sort(dim=0).values
    return dataclasses.replace(toy, edge_label=((low + high) % 3).unsqueeze(1))


def prepared(graphs, config=SMALL, dtype=torch.float64):
    """An encoder whose batch norm has weights and statistics of its own, and the batches."""
    features = FeatureMap.fit(graphs, with_edges=config.encoder == "gine")
    batches = make_batches(graphs, features, "cpu", dtype)
    encoder = build_model(config, features.channels, batches).encoder.to(dtype)
    generator = torch.Generator().manual_seed(3)
    for norm in encoder.bns:
        for tensor in (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
            tensor.add_(torch.rand(tensor.shape, generator=generator, dtype=dtype))
    return encoder, batches


def one_pass(encoder, batches):
    """The encoder after one forward pass in training mode over all graphs as one batch, at momentum 1."""
    encoder = copy.deepcopy(encoder).train()
    for norm in encoder.modules():
        if isinstance(norm, BatchNorm1d):
            norm.momentum = 1.0
    (batch,) = batches.in_order(batches.num_graphs)
    with torch.no_grad():
        encoder(*batch.encoder_inputs)
    return encoder


def statistics(encoder):
    return {
        name: tensor
        for name, tensor in encoder.state_dict().items()
        if name.endswith(("running_mean", "running_var"))
    }


def assert_same_statistics(encoder, expected, **tolerance):
    found, wanted = statistics(encoder), statistics(expected)
    assert list(found) == list(wanted)
    for name, tensor in wanted.items():
        torch.testing.assert_close(found[name], tensor, msg=name, **(tolerance or EXACT))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ["gin", "gine", "gcn", "sage", "gat", "pna"])
def test_they_are_those_of_one_pass_over_a_single_batch(bonds, name, training):
    encoder, batches = prepared(bonds, dataclasses.replace(SMALL, encoder=name))
    encoder.train(training)
    before = copy.deepcopy(encoder.state_dict())
    expected = one_pass(encoder, batches)
    for batch_size in (1, 5, 24):
        recalibrate(encoder, batches, batch_size)
        assert_same_statistics(encoder, expected)
        assert encoder.training == training
    moved = statistics(encoder)
    for tensor_name, tensor in encoder.state_dict().items():
        assert (tensor_name in moved) != torch.equal(tensor, before[tensor_name]), tensor_name
    assert not any(norm._forward_pre_hooks for norm in encoder.bns)


def test_the_order_of_the_graphs_does_not_matter(toy):
    class Shuffled(GraphBatches):
        def in_order(self, batch_size):
            order = torch.randperm(24, generator=torch.Generator().manual_seed(1))
            yield from map(self.select, order.split(batch_size))

    encoder, batches = prepared(toy)
    recalibrate(encoder, Shuffled(toy, FeatureMap.fit(toy).apply(toy), "cpu", torch.float64), 7)
    assert_same_statistics(encoder, one_pass(encoder, batches))


def test_a_data_set_on_disk_has_the_same(bonds, tmp_path, monkeypatch):
    monkeypatch.setattr(streaming, "WINDOW", 10)
    write_shards(tmp_path / "set", [bonds], "toy")
    encoder, batches = prepared(bonds, dataclasses.replace(SMALL, encoder="gine"))
    shards = GraphShards(tmp_path / "set")
    features = FeatureMap.fit(bonds, with_edges=True)
    recalibrate(encoder, StreamedBatches(shards, features, "cpu", torch.float64), 4)
    assert_same_statistics(encoder, one_pass(encoder, batches))


def test_large_means_cost_no_digits_in_single_precision(toy):
    encoder, batches = prepared(toy, dtype=torch.float32)
    encoder.convs[0].nn[2].bias.data.fill_(1e4)
    expected = one_pass(encoder.double(), prepared(toy)[1])
    recalibrate(encoder.float(), batches, 5)
    first = encoder.bns[0]
    torch.testing.assert_close(first.running_mean, expected.bns[0].running_mean.float())
    # Inputs of 1e4 are rounded to 1e-3, which is all that is lost.
    torch.testing.assert_close(
        first.running_var, expected.bns[0].running_var.float(), rtol=0, atol=1e-3
    )


def test_pytorchs_update_is_not_exact(toy):
    """Even with the batches weighted alike, which `update_bn` does, since they have as many nodes."""
    encoder, batches = prepared(toy)
    expected = one_pass(encoder, batches)
    other = copy.deepcopy(encoder)

    class Wrapped(Module):
        def __init__(self):
            super().__init__()
            self.encoder = other

        def forward(self, batch):
            return self.encoder(*batch.encoder_inputs)

    update_bn([[batch] for batch in batches.in_order(8)], Wrapped())
    for norm, exact in zip(other.bns, expected.bns, strict=True):
        assert not torch.allclose(norm.running_var, exact.running_var, rtol=1e-2)
    update_bn([[batch] for batch in batches.in_order(24)], Wrapped())
    assert_same_statistics(other, expected)  # of a single batch it is


class Reversed(Module):
    """An encoder that calls its layers of batch norm in another order than it lists them, and one of them never."""

    out_channels = 4

    def __init__(self, channels, norm=BatchNorm1d):
        super().__init__()
        self.second, self.unused, self.first = norm(4), norm(4), norm(4)
        self.without = norm(4, track_running_stats=False)
        self.lift, self.linear = Linear(channels, 4), Linear(4, 4)

    def forward(self, x, edge_index, batch, batch_size):
        nodes = self.first(self.lift(torch.nn.functional.one_hot(x[:, 0], 3).double()))
        nodes = self.without(self.second(self.linear(nodes.relu())))
        return Embedding(nodes.new_zeros(batch_size, 4).index_add(0, batch, nodes), nodes)


@pytest.mark.parametrize("norm", [BatchNorm1d, SyncBatchNorm])
def test_layers_are_set_in_the_order_of_their_calls(toy, norm):
    _, batches = prepared(toy)
    torch.manual_seed(0)
    encoder = Reversed(3, norm).double()
    plain = Reversed(3).double()
    plain.load_state_dict(encoder.state_dict())
    # In training, the layer without running statistics has those of the batch, as always.
    expected = one_pass(plain, batches)
    recalibrate(encoder, batches, 5)
    assert_same_statistics(encoder, expected)
    assert torch.equal(encoder.unused.running_var, torch.ones(4).double())


def test_synchronised_layers_and_encoders_without_batch_norm(toy):
    encoder, batches = prepared(toy)
    expected = one_pass(encoder, batches)
    with synchronised(encoder):
        recalibrate(encoder, batches, 5)
    assert_same_statistics(encoder, expected)

    class Failing(Module):
        def forward(self, *_):
            raise AssertionError("it is not called")

    recalibrate(Failing(), batches, 5)


def test_a_single_node_has_no_variance():
    one = graph_data([nx.empty_graph(1), nx.empty_graph(0)], [0, 1])
    with pytest.raises(InputError, match="`recalibrate=True` needs at least 2 nodes, got 1; give"):
        recalibrate(GINEncoder(1), GraphBatches(one, torch.ones(1, 1)), 2)


def run(toy, config, on_epoch=None):
    features = FeatureMap.fit(toy)
    experiment.run_seeds(config, toy, features, Display(quiet=True), on_epoch=on_epoch)
    return json.loads((config.out / "result.json").read_text())


def stop_at(last):
    def stop(epoch):
        if epoch.epoch == last:
            raise StopTraining

    return stop


def is_exact(encoder, toy):
    batches = make_batches(toy, FeatureMap.fit(toy), "cpu", next(encoder.parameters()).dtype)
    expected = one_pass(encoder, batches)
    found = statistics(encoder)
    return all(
        torch.allclose(found[name], tensor, rtol=1e-4, atol=1e-5)
        for name, tensor in statistics(expected).items()
    )


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"method": "graphcl"},
        {"protocol": "best-epoch", "lr": 0.01},
        {"evaluate": False},
        {"epochs": 0},
        {"precision": "bf16-mixed"},
    ],
)
def test_a_run_trains_as_without_and_saves_the_exact_ones(toy, tmp_path, change):
    config = dataclasses.replace(SMALL, **change)
    if config.evaluate and config.epochs and config.protocol == "last-epoch":
        config = dataclasses.replace(config, score_epochs=(0, 2))
    result = run(toy, dataclasses.replace(config, out=tmp_path / "exact"))
    run(toy, dataclasses.replace(config, recalibrate=False, out=tmp_path / "moving"))
    if config.epochs:
        losses = [
            [
                row["loss"]
                for row in csv.DictReader(
                    (tmp_path / name / "metrics.csv").read_text().splitlines()
                )
            ]
            for name in ("exact", "moving")
        ]
        assert losses[0] == losses[1]
    exact, moving = (GINEncoder.from_pretrained(tmp_path / name) for name in ("exact", "moving"))
    if config.protocol == "last-epoch":
        for name, tensor in moving.state_dict().items():
            assert torch.equal(exact.state_dict()[name], tensor) != (name in statistics(moving))
    assert is_exact(exact, toy)
    assert not is_exact(moving, toy)
    if not config.evaluate:
        return
    arrays = np.load(tmp_path / "exact" / "embeddings.npz")
    assert "batch_norm" not in arrays
    assert "batch_norm" not in result["scores"]["knn"]
    batches = make_batches(toy, FeatureMap.fit(toy))
    last = "trained" if result["epoch"] else "untrained"
    assert np.array_equal(arrays[last], embed(exact, batches, 8))
    untrained = build_model(config, FeatureMap.fit(toy).channels).encoder
    recalibrate(untrained, batches, 8)
    assert np.array_equal(arrays["untrained"], embed(untrained, batches, 8))


@pytest.mark.parametrize("stop", [2, 3])
@pytest.mark.parametrize("change", [{}, {"evaluate": False}])
def test_a_stopped_run_is_a_run_of_fewer_epochs(toy, tmp_path, change, stop):
    config = dataclasses.replace(SMALL, **change)
    if config.evaluate:
        config = dataclasses.replace(config, score_epochs=(0, 2))
    run(toy, dataclasses.replace(config, epochs=stop, out=tmp_path / "short"))
    run(toy, dataclasses.replace(config, epochs=6, out=tmp_path / "stopped"), stop_at(stop))
    short, stopped = (GINEncoder.from_pretrained(tmp_path / name) for name in ("short", "stopped"))
    for name, tensor in short.state_dict().items():
        assert torch.equal(stopped.state_dict()[name], tensor), name
    if config.evaluate:
        found, wanted = (without_times(tmp_path / name) for name in ("stopped", "short"))
        assert found[1:] == wanted[1:]


@pytest.mark.parametrize(
    ("killed_after", "change"), [(1, {}), (2, {}), (3, {}), (2, {"similar_graphs": 4})]
)
def test_a_killed_run_resumes_bit_for_bit(toy, tmp_path, monkeypatch, killed_after, change):
    config = dataclasses.replace(SMALL, score_epochs=(0, 2), checkpoint_seconds=0, **change)
    run(toy, dataclasses.replace(config, out=tmp_path / "whole"))
    killed = dataclasses.replace(config, out=tmp_path / "killed")
    wrote = experiment.write_checkpoint

    def kill(folder, state, progress):
        wrote(folder, state, progress)
        if state.epoch == killed_after:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(experiment, "write_checkpoint", kill)
        with pytest.raises(KeyboardInterrupt):
            run(toy, killed)
    run(toy, dataclasses.replace(killed, resume=True))
    assert without_times(killed.out) == without_times(tmp_path / "whole")


def test_a_run_without_it_does_not_resume_with_it(toy, tmp_path):
    config = dataclasses.replace(SMALL, out=tmp_path / "run", recalibrate=False)
    run(toy, config)
    with pytest.raises(InputError, match="has `recalibrate=False`, got `recalibrate=True`"):
        run(toy, dataclasses.replace(config, recalibrate=True, resume=True))


def test_the_flag(tmp_path):
    words = ["--epochs", "1", "--hidden-channels", "4", "--folds", "2", "--repeats", "1"]
    out = tmp_path / "run"
    assert main([*words, "--recalibrate", "--no-pictures", "--quiet", "--out", str(out)]) == 0
    assert is_exact(GINEncoder.from_pretrained(out), load_graphs("MUTAG"))
    assert json.loads((out / "result.json").read_text())["config"]["recalibrate"] is True


def estimator(**params):
    return HardInfoGraph(
        hidden_channels=8, epochs=2, batch_size=8, random_state=0, accelerator="cpu", **params
    )


@pytest.mark.filterwarnings("ignore:A batch has")
def test_an_estimator_ends_with_the_exact_ones(toy, tmp_path):
    exact, moving = estimator(recalibrate=True).fit(toy), estimator().fit(toy)
    for name, tensor in moving.encoder_.state_dict().items():
        same = torch.equal(exact.encoder_.state_dict()[name], tensor)
        assert same != (name in statistics(moving.encoder_)), name
    assert is_exact(exact.encoder_, toy)
    exact.save(tmp_path / "estimator")
    loaded = HardInfoGraph.load(tmp_path / "estimator")
    assert loaded.recalibrate
    assert np.array_equal(loaded.transform(toy), exact.transform(toy))
    exact.save_pretrained(tmp_path / "folder")
    assert np.array_equal(
        HardInfoGraph.from_pretrained(tmp_path / "folder").transform(toy), exact.transform(toy)
    )
    assert is_exact(exact.partial_fit(toy).encoder_, toy)
    assert is_exact(estimator(recalibrate=True, on_epoch=stop_at(1)).fit(toy).encoder_, toy)
    assert is_exact(estimator(recalibrate=True).set_params(epochs=0).fit(toy).encoder_, toy)
    moving.set_params(warm_start=True, recalibrate=True, epochs=0)
    assert is_exact(moving.fit(toy).encoder_, toy)
