"""The training loop: it learns, is reproducible from a seed, and stops when it diverges."""

import dataclasses

import networkx as nx
import numpy as np
import pytest
import torch
from helpers.graphs import graph_data, with_attributes

from graphcl_hard.config import Config
from graphcl_hard.data.load import load_graphs
from graphcl_hard.exceptions import InputError, StopTraining
from graphcl_hard.loader.features import node_features
from graphcl_hard.loader.in_memory import GraphBatches
from graphcl_hard.training.build import build_model
from graphcl_hard.training.devices import place, training_device
from graphcl_hard.training.loop import TrainingDiverged, embed, epoch_batches, train
from graphcl_hard.training.state import TrainingState

SMALL = Config(hidden_channels=8, num_layers=2, epochs=3, batch_size=8, accelerator="cpu")


def trained(toy, config):
    """Return the values of the epochs, the embedding and the weights after training."""
    features = node_features(toy)
    model = build_model(config, features.channels)
    epochs = []
    with training_device(config) as fabric:
        device, dtype = place(fabric, config)
        batches = GraphBatches(toy, features.x, device, dtype)
        model.to(device, dtype)
        train(TrainingState(model, config), batches, config, fabric, epochs.append)
        return epochs, embed(model.encoder, batches, 7), model.state_dict()


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [{}, {"objective": "info-nce"}, {"method": "graphcl"}, {"nodes_per_graph": 4}],
    ids=str,
)
@pytest.mark.parametrize(("share", "error"), [(0.5, 0.025), (0.2, 0.02), (0.05, 0.007)])
def test_every_epoch_has_the_share_of_negatives(change, share, error):
    """The share of all nodes is that of the sample, up to an error: 2.4, 1.9 and 0.6 points with three seeds."""
    config = Config(effective_negatives=share, epochs=6, accelerator="cpu", **change)
    epochs = trained(load_graphs("MUTAG"), config)[0]
    exact = config.method == "graphcl"  # up to 256 anchors, which are all of them
    for epoch in epochs:
        assert epoch.effective_negatives == pytest.approx(share, abs=1e-5 if exact else error)
        assert epoch.beta > 0
    assert len({epoch.beta for epoch in epochs}) == 6


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"effective_negatives": 0.3},
        {"deterministic": True},
        {"precision": "64-true"},
        {"precision": "bf16-mixed"},
        {"method": "graphcl"},
    ],
)
def test_a_seed_repeats_bit_for_bit(toy, change):
    config = dataclasses.replace(SMALL, **change)
    (epochs, first, weights), (again, second, _) = trained(toy, config), trained(toy, config)
    assert np.array_equal(first, second)
    assert [e._replace(seconds=0) for e in epochs] == [e._replace(seconds=0) for e in again]
    assert not np.array_equal(first, trained(toy, dataclasses.replace(config, seed=1))[1])
    double = change.get("precision") == "64-true"
    assert first.dtype == (np.float64 if double else np.float32)
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())


def test_the_switches_reach_pytorch(toy):
    with training_device(dataclasses.replace(SMALL, deterministic=True)):
        assert torch.are_deterministic_algorithms_enabled()
    with training_device(SMALL):
        assert not torch.are_deterministic_algorithms_enabled()
    full, half = (
        trained(toy, dataclasses.replace(SMALL, precision=p))[1] for p in ("32-true", "bf16-mixed")
    )
    assert not np.array_equal(full, half)
    assert np.corrcoef(full.ravel(), half.ravel())[0, 1] > 0.99


def test_the_callers_random_numbers_and_switches_stay_as_they_were(toy):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    trained(toy, dataclasses.replace(SMALL, deterministic=True))
    assert torch.equal(torch.rand(3), expected)
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize(
    ("change", "share"),
    [
        ({}, 0.8),
        ({"mode": "released", "beta": 1.0}, 0.8),
        ({"objective": "info-nce"}, 0.95),
    ],
)
def test_the_loss_falls(toy, change, share):
    epochs, embedding, _ = trained(toy, dataclasses.replace(SMALL, epochs=25, lr=0.01, **change))
    assert epochs[-1].loss < share * epochs[0].loss
    assert [e.epoch for e in epochs] == list(range(1, 26))
    assert embedding.shape == (24, 16)


def test_graphcls_loss_falls():
    """The graphs differ here; those of the other tests differ only in size."""
    graphs = [nx.gnp_random_graph(8 + i, 0.1 + 0.02 * (i % 7), seed=i) for i in range(24)]
    with_attributes(graphs, {"label": lambda i, node: (node * (i % 5) + i) % 4})
    config = dataclasses.replace(SMALL, method="graphcl", beta=1.0, epochs=25, lr=0.01)
    epochs, _, _ = trained(graph_data(graphs, [0, 1] * 12), config)
    assert epochs[-1].loss < 0.8 * epochs[0].loss
    assert epochs[-1].positive_score > epochs[-1].negative_score + 1


def test_without_a_learning_rate_only_the_statistics_of_batch_norm_move(toy):
    config = dataclasses.replace(SMALL, lr=0.0)
    _, embedding, weights = trained(toy, config)
    before = build_model(config, node_features(toy).channels).state_dict()
    moved = {
        name.rsplit(".", 1)[1] for name in weights if not torch.equal(weights[name], before[name])
    }
    assert moved == {"running_mean", "running_var", "num_batches_tracked"}
    assert not np.array_equal(embedding, trained(toy, dataclasses.replace(config, epochs=0))[1])


def test_the_settings_reach_the_objective(toy):
    base = trained(toy, SMALL)[1]
    graphcl = {"method": "graphcl"}
    changes = [
        {"beta": 0.0},
        {"tau_plus": 0.4},
        {"mode": "released"},
        {"objective": "info-nce"},
        {"critic": "cosine"},
        {"critic": "cosine", "temperature": 0.1},
        {"score_scale": "none"},
        {"detach_weights": False},
        {"beta_schedule": "linear-up"},
        {"beta": 10.0, "effective_negatives": 0.5},
        {"lr": 0.01},
        {"batch_size": 12},
        {"nodes_per_graph": 2},
        {"readout": "mean"},
        {"readout": "attention"},
        {"encoder": "gcn"},
        {"encoder": "sage"},
        {"encoder": "gat"},
        graphcl,
        {**graphcl, "beta": 0.0},
        {**graphcl, "tau_plus": 0.4},
        {**graphcl, "temperature": 0.1},
        {**graphcl, "detach_weights": False},
        {**graphcl, "beta": 10.0, "effective_negatives": 0.5},
        {**graphcl, "views": ("none", "subgraph")},
        {**graphcl, "view_strength": 0.4},
        {**graphcl, "second_view_strength": 0.4},
        {**graphcl, "views": ("random2", "random3")},
    ]
    embeddings = [
        base,
        *(trained(toy, dataclasses.replace(SMALL, **change))[1] for change in changes),
    ]
    for i, one in enumerate(embeddings):
        for other in embeddings[:i]:
            assert not np.array_equal(one, other)


def test_the_schedule_moves_beta_over_the_epochs(toy):
    config = dataclasses.replace(SMALL, beta=4.0, beta_schedule="linear-up")
    assert [e.beta for e in trained(toy, config)[0]] == [0.0, 2.0, 4.0]
    epochs = trained(toy, dataclasses.replace(config, beta=0.0))[0]
    assert [e.effective_negatives for e in epochs] == pytest.approx([1.0, 1.0, 1.0])


def test_an_epochs_loss_is_the_mean_over_its_nodes(toy):
    """With constant weights and statistics, the loss is the node-weighted mean of the objective over batches."""
    config = dataclasses.replace(SMALL, lr=1e-300, epochs=1, batch_size=24, precision="64-true")
    features = node_features(toy)
    model = build_model(config, features.channels).double().train()
    batches = GraphBatches(toy, features.x, dtype=torch.float64)
    expected = model(batches.select(torch.arange(24)), config.beta)[0].item()
    assert trained(toy, config)[0][0].loss == pytest.approx(expected)
    one_batch = dataclasses.replace(config, batch_size=23)  # the single last graph joins the batch
    assert trained(toy, one_batch)[0][0].loss == pytest.approx(expected)


def test_graphcls_epoch_is_the_mean_over_its_graphs(toy):
    """The batches have 10, 10 and 4 graphs and the views drawn from the seed; no weight changes."""
    config = dataclasses.replace(
        SMALL,
        method="graphcl",
        views=("random", "random"),
        lr=1e-300,
        epochs=1,
        batch_size=10,
        precision="64-true",
    )
    features = node_features(toy)
    model = build_model(config, features.channels).double().train()
    batches = GraphBatches(toy, features.x, dtype=torch.float64)
    losses, graphs = [], []
    for batch in epoch_batches(batches, config, torch.Generator().manual_seed(config.seed)):
        losses.append(model(batch, config.beta)[0].item())
        graphs.append(batch.num_graphs)
    assert graphs == [10, 10, 4]
    epoch = trained(toy, config)[0][0]
    assert epoch.loss == pytest.approx(np.average(losses, weights=graphs))
    assert epoch.loss != pytest.approx(np.mean(losses), rel=1e-3)


def test_a_seed_has_one_untrained_encoder(toy):
    first, second = (
        build_model(dataclasses.replace(SMALL, method=m), 3) for m in ("infograph", "graphcl")
    )
    for name, tensor in first.encoder.state_dict().items():
        assert torch.equal(second.encoder.state_dict()[name], tensor)
    third = build_model(dataclasses.replace(SMALL, method="graphcl", objective="info-nce"), 3)
    for name, tensor in second.state_dict().items():
        assert torch.equal(third.state_dict()[name], tensor)


def test_more_sampled_nodes_than_a_graph_has_are_all_nodes(toy):
    config = dataclasses.replace(SMALL, epochs=1, batch_size=24, precision="64-true")
    every, sampled = (
        trained(toy, dataclasses.replace(config, nodes_per_graph=k)) for k in (0, 100)
    )
    np.testing.assert_allclose(sampled[1], every[1], rtol=1e-9)
    assert sampled[0][0].loss == pytest.approx(every[0][0].loss)


def test_a_loss_that_is_not_finite_names_epoch_and_step(toy):
    features = node_features(toy)
    config = dataclasses.replace(SMALL, epochs=5)
    model = build_model(config, features.channels)
    objective, calls = model.objective, []

    def failing(*tensors, **options):
        calls.append(1)
        loss, diagnostics = objective(*tensors, **options)
        return (loss * float("nan"), diagnostics) if len(calls) == 5 else (loss, diagnostics)

    model.objective = failing
    epochs = []
    with (
        training_device(config) as fabric,
        pytest.raises(TrainingDiverged, match="loss is nan at step 2 of epoch 2"),
    ):
        train(
            TrainingState(model, config),
            GraphBatches(toy, features.x),
            config,
            fabric,
            epochs.append,
        )
    assert [e.epoch for e in epochs] == [1]


def test_a_callback_stops_after_a_whole_epoch(toy):
    config = dataclasses.replace(SMALL, beta_schedule="linear-up")
    features = node_features(toy)
    model = build_model(config, features.channels)
    state, epochs, weights = TrainingState(model, config), [], []

    def stop(epoch):
        epochs.append(epoch)
        weights.append({name: value.clone() for name, value in state.to_tensors().items()})
        if epoch.epoch == 2:
            raise StopTraining

    with training_device(config) as fabric:
        train(state, GraphBatches(toy, features.x), config, fabric, stop)
        assert [epoch.beta for epoch in epochs] == [0.0, 5.0]
        assert state.epoch == 2
        for name, value in state.to_tensors().items():
            assert torch.equal(value, weights[1][name]), name
        train(state, GraphBatches(toy, features.x), config, fabric, epochs.append)
    assert epochs[2]._replace(seconds=0) == trained(toy, config)[0][2]._replace(seconds=0)


def test_a_weight_that_is_not_finite_is_noticed(toy):
    with pytest.raises(TrainingDiverged, match="epoch"):
        trained(toy, dataclasses.replace(SMALL, lr=1e30, epochs=4))


def test_an_accelerator_that_is_not_there_is_refused():
    message = "`accelerator=mps` needs such a device, but PyTorch finds none"
    with (
        pytest.raises(InputError, match=message),
        training_device(dataclasses.replace(SMALL, accelerator="mps")),
    ):
        pass


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is there")
@pytest.mark.parametrize(
    ("built", "remedy"), [(None, "install a PyTorch for CUDA"), ("12.8", "check the driver")]
)
def test_the_remedy_depends_on_the_build(monkeypatch, built, remedy):
    monkeypatch.setattr("torch.version.cuda", built)
    monkeypatch.setattr("torch.version.hip", None)
    with (
        pytest.raises(InputError, match=remedy),
        training_device(dataclasses.replace(SMALL, accelerator="cuda")),
    ):
        pass


def test_embedding_leaves_the_model_in_its_mode(toy):
    features = node_features(toy)
    encoder = build_model(SMALL, features.channels).encoder
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    encoder.train()
    whole = embed(encoder, GraphBatches(toy, features.x), 24)
    parts = embed(encoder, GraphBatches(toy, features.x), 5)
    assert encoder.training
    np.testing.assert_allclose(whole, parts, rtol=1e-5, atol=1e-6)
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(tensor, before[name])


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_trains_deterministically(toy):
    config = dataclasses.replace(SMALL, accelerator="cuda", deterministic=True)
    assert np.array_equal(trained(toy, config)[1], trained(toy, config)[1])
