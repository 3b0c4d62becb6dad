"""The heads and the model, against what they are written to be."""

import functools

import networkx as nx
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.graphs import graph_data
from torch.nn import Linear, ReLU, Sequential
from torch_geometric.nn import GINConv

from graphcl_hard import (
    Embedding,
    GINEncoder,
    GraphCL,
    InfoGraph,
    InputError,
    local_global_jsd,
    nt_xent,
)
from graphcl_hard._tensor import one_hot
from graphcl_hard.config import Config
from graphcl_hard.loader.augment import with_views
from graphcl_hard.loader.features import node_features
from graphcl_hard.loader.in_memory import GraphBatches
from graphcl_hard.losses.weights import Diagnostics
from graphcl_hard.nn.heads import ResidualHead, reset_linear_layers
from graphcl_hard.training.build import build_model
from graphcl_hard.training.devices import training_device
from graphcl_hard.training.loop import embed, train
from graphcl_hard.training.state import TrainingState

OBJECTIVE = functools.partial(local_global_jsd, tau_plus=0.1)
VIEW_OBJECTIVE = functools.partial(nt_xent, tau_plus=0.1, temperature=0.4)


def test_a_dead_projection_has_a_direction(toy):
    batches = GraphBatches(toy, node_features(toy).x)
    batch = with_views(batches.select(torch.arange(8)), ("none", "none"), (0.2, 0.2))
    model = GraphCL(GINEncoder(node_features(toy).channels, 4, 1), VIEW_OBJECTIVE)
    with torch.no_grad():
        model.projection_head[0].weight.zero_()
    loss, _ = model(batch, 1.0)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_a_head_is_three_layers_beside_a_shortcut():
    head = ResidualHead(5).double()
    x = torch.randn(7, 5, dtype=torch.float64)
    expected = x
    for layer in (head.block[0], head.block[2], head.block[4]):
        expected = (expected @ layer.weight.T + layer.bias).clamp_min(0)
    expected = expected + x @ head.linear_shortcut.weight.T + head.linear_shortcut.bias
    torch.testing.assert_close(head(x), expected)


def test_the_model_starts_as_infograph_does():
    model = InfoGraph(GINEncoder(4, 64, 2), OBJECTIVE)
    linear = [layer for layer in model.modules() if isinstance(layer, torch.nn.Linear)]
    assert len(linear) == 2 * 2 + 2 * 4
    for layer in linear:
        assert (layer.bias == 0).all()
        bound = (6 / sum(layer.weight.shape)) ** 0.5  # Xavier, uniform
        assert layer.weight.abs().max() <= bound
        assert layer.weight.abs().max() > 0.9 * bound


def test_the_loss_is_the_objective_of_the_two_heads(toy):
    model = InfoGraph(GINEncoder(3, 8, 2), OBJECTIVE).train()
    batch = GraphBatches(toy, node_features(toy).x).select(torch.arange(10))
    loss, _ = model(batch, 2.0)
    embedding = model.encoder(batch.x, batch.adjacency.edge_index, batch.batch, 10)
    local, summary = (
        model.local_head(embedding.node_embedding),
        model.global_head(embedding.graph_embedding),
    )
    torch.testing.assert_close(
        loss, local_global_jsd(local, summary, batch.batch, beta=2.0, tau_plus=0.1)
    )
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("autocast", [False, True])
def test_sampled_nodes_stand_for_all(toy, autocast):
    model = InfoGraph(GINEncoder(3, 8, 2), OBJECTIVE).train()
    batches = GraphBatches(toy, node_features(toy).x)
    batch = batches.select(torch.arange(10), 2, torch.Generator().manual_seed(0))
    node, weight = batch.sample
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        loss, _ = model(batch, 2.0)
        embedding = model.encoder(batch.x, batch.adjacency, batch.batch, 10)
        local, summary = (
            model.local_head(embedding.node_embedding),
            model.global_head(embedding.graph_embedding),
        )
    assert node.numel() < batch.batch.numel()
    one_by_one = local_global_jsd(
        local[node], summary, batch.batch[node], beta=2.0, tau_plus=0.1, reduction="none"
    )
    tolerance = {"rtol": 1e-2, "atol": 1e-2} if autocast else {}
    torch.testing.assert_close(loss, (one_by_one * weight).sum() / batch.batch.numel(), **tolerance)


class NeighbourMeans(torch.nn.Module):
    """An encoder that a user wrote, with other widths than the package's."""

    out_channels = 5

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(3, 5)

    def forward(self, x, edge_index, batch, batch_size, edge_attr=None):
        source, target = edge_index.edge_index
        weight = 1 if edge_attr is None else edge_attr
        rows = self.linear(one_hot(x, 3))
        nodes = rows.index_add(0, target, weight * rows[source])
        return Embedding(nodes.new_zeros(batch_size, 5).index_add(0, batch, nodes), nodes)


def test_a_module_of_the_users_own_trains_as_an_encoder(toy):
    config = Config(epochs=2, batch_size=8, accelerator="cpu")
    x, results = node_features(toy).x, []
    for edge_attr in (None, torch.rand(toy.num_edges, 1)):
        torch.manual_seed(0)
        model, batches = (
            InfoGraph(NeighbourMeans(), OBJECTIVE),
            GraphBatches(toy, x, edge_attr=edge_attr),
        )
        before = embed(model.encoder, batches, 24)
        with training_device(config) as fabric:
            train(TrainingState(model, config), batches, config, fabric, lambda epoch: None)
        results += [before, embed(model.encoder, batches, 5)]
    assert results[0].shape == (24, 5)
    for i, one in enumerate(results):
        assert all(not np.allclose(one, other, rtol=1e-3) for other in results[:i])


def margin(local, summary, batch, *, beta, return_diagnostics):
    """An objective that a user wrote: it takes what the package's public ones take."""
    loss = (1 - (local * summary[batch]).sum(dim=1)).clamp_min(0).mean() + beta
    zero = loss.new_zeros(())
    return loss, Diagnostics(zero, zero, zero)


def test_an_objective_of_the_users_own_trains_a_model_where_it_need_not_know_more(toy):
    model, batches = InfoGraph(GINEncoder(3, 8, 2), margin), GraphBatches(toy, node_features(toy).x)
    batch = batches.select(torch.arange(10))
    loss, found = model(batch, 2.0)
    assert torch.stack([loss.detach(), *found]).isnan().tolist() == [False] * 4 + [True, False]
    embedding = model.encoder(*batch.encoder_inputs)
    local, summary = (
        model.local_head(embedding.node_embedding),
        model.global_head(embedding.graph_embedding),
    )
    expected, _ = margin(local, summary, batch.batch, beta=2.0, return_diagnostics=True)
    torch.testing.assert_close(loss, expected)
    with pytest.raises(
        InputError,
        match=r"Sampled nodes, .* need an objective of graphcl_hard, got <function margin",
    ):
        model(batches.select(torch.arange(10), 2, torch.Generator()), 2.0)
    with pytest.raises(
        InputError,
        match=r"Sampled nodes, a queue of negatives .* need an objective of graphcl_hard",
    ):
        InfoGraph(GINEncoder(3, 8, 2), margin, negative_queue=5)(batch, 2.0)


class DoubledHead(ResidualHead):
    def forward(self, x):
        return 2 * super().forward(x)


@pytest.mark.parametrize("head", [DoubledHead(16), Linear(16, 16)])
def test_another_head_is_called(toy, head):
    model = InfoGraph(GINEncoder(3, 8, 2), OBJECTIVE)
    model.local_head = head
    batch = GraphBatches(toy, node_features(toy).x).select(torch.arange(10))
    embedding = model.encoder(*batch.encoder_inputs)
    local, summary = head(embedding.node_embedding), model.global_head(embedding.graph_embedding)
    expected = local_global_jsd(local, summary, batch.batch, beta=2.0, tau_plus=0.1)
    torch.testing.assert_close(model(batch, 2.0)[0], expected)


def test_an_encoder_without_a_width_is_refused():
    with pytest.raises(
        InputError,
        match=r"encoder must be a torch.nn.Module with out_channels, .* got Linear with None",
    ):
        InfoGraph(torch.nn.Linear(2, 2), OBJECTIVE)
    with pytest.raises(InputError, match=r"got function with None; see graphcl_hard.Encoder"):
        InfoGraph(one_hot, OBJECTIVE)


def test_a_gin_starts_with_the_weights_that_it_always_had():
    """A seed's numbers are drawn by the encoder's layers, the heads, and Xavier's rule for all, in this order."""
    model = build_model(Config(seed=3, hidden_channels=8, num_layers=2), 4)
    torch.manual_seed(3)
    layers = [GINConv(Sequential(Linear(width, 8), ReLU(), Linear(8, 8))) for width in (4, 8)]
    heads = [ResidualHead(16), ResidualHead(16)]
    for module in (*layers, *heads):
        reset_linear_layers(module)
    expected = [tensor for module in (*layers, *heads) for tensor in module.parameters()]
    found = [tensor for name, tensor in model.named_parameters() if ".bns." not in name]
    assert len(found) == len(expected)
    assert all(map(torch.equal, found, expected))


def test_a_batch_of_one_node_is_refused():
    graphs = graph_data([nx.empty_graph(1), nx.empty_graph(0)], [0, 1])
    batch = GraphBatches(graphs, torch.ones(1, 3)).select(torch.arange(2))
    with pytest.raises(InputError, match="at least 2 nodes to train on, got 1 in 2 graphs"):
        InfoGraph(GINEncoder(3, 8, 2), OBJECTIVE)(batch, 1.0)


def test_under_autocast_the_head_runs_in_half_precision_and_hooks_are_called(toy):
    model = InfoGraph(GINEncoder(3, 8, 2), OBJECTIVE).train()
    batch = GraphBatches(toy, node_features(toy).x).select(torch.arange(10))
    expected, seen = model(batch, 2.0)[0], []
    model.local_head.register_forward_hook(lambda _, __, output: seen.append(output.dtype))
    torch.testing.assert_close(model(batch, 2.0)[0], expected)
    with torch.autocast("cpu", torch.bfloat16):
        model(batch, 2.0)
    model.local_head._forward_hooks.clear()
    model.local_head.linear_shortcut.register_forward_hook(
        lambda _, __, output: seen.append(output.dtype)
    )
    with torch.autocast("cpu", torch.bfloat16):
        model(batch, 2.0)
    assert seen == [torch.float32, torch.bfloat16, torch.bfloat16]


def with_two_views(batch):
    return with_views(
        batch, ("attribute-mask", "subgraph"), (0.3, 0.3), torch.Generator().manual_seed(0)
    )


@pytest.mark.parametrize("integers", [True, False])
def test_graphcls_loss_is_nt_xent_of_its_projections(toy, integers):
    """Each view by itself, with statistics of its own, from PyG's form of its edges."""
    model = GraphCL(GINEncoder(3, 8, 2), VIEW_OBJECTIVE).double().train()
    features = node_features(toy).x
    x = features if integers else one_hot(features, 3)
    batch = with_two_views(GraphBatches(toy, x, dtype=torch.float64).select(torch.arange(10)))
    loss, found = model(batch, 2.0)
    first, _, second = model.projection_head
    assert (first.in_features, first.out_features, second.out_features) == (16, 16, 16)
    rows = []
    for view in batch.views:
        dense = F.one_hot(view.x.clamp_min(0), 3).squeeze(1) * (view.x >= 0) if integers else view.x
        graphs = model.encoder(
            dense.double(), view.adjacency.edge_index, view.batch, 10
        ).graph_embedding
        hidden = (graphs @ first.weight.T + first.bias).clamp_min(0)
        rows.append(F.normalize(hidden @ second.weight.T + second.bias, dim=1))
    expected, diagnostics = nt_xent(
        *rows, beta=2.0, tau_plus=0.1, temperature=0.4, return_diagnostics=True
    )
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(found, diagnostics)
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_under_autocast_graphcl_scores_in_float32(toy):
    model = GraphCL(GINEncoder(3, 8, 2), VIEW_OBJECTIVE).train()
    batch = with_two_views(GraphBatches(toy, node_features(toy).x).select(torch.arange(10)))
    expected = model(batch, 2.0)[0]
    with torch.autocast("cpu", torch.bfloat16):
        found = model(batch, 2.0)[0]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=2e-2, atol=2e-2)


def test_batches_that_graphcl_cannot_contrast_are_refused(toy):
    model = GraphCL(GINEncoder(3, 8, 2), VIEW_OBJECTIVE)
    batches = GraphBatches(toy, node_features(toy).x)
    with pytest.raises(InputError, match=r"got a batch without; add them by with_views"):
        model(batches.select(torch.arange(3)), 1.0)
    with pytest.raises(InputError, match="at least 2 graphs in a batch, got 1: the other graphs"):
        model(with_two_views(batches.select(torch.arange(1))), 1.0)
    graphs = graph_data([nx.path_graph(3), nx.empty_graph(0), nx.path_graph(2)], [0, 1, 0])
    with pytest.raises(
        InputError, match="a node in every graph, got 1 graphs without nodes in a batch"
    ):
        model(with_two_views(GraphBatches(graphs, torch.ones(5, 3)).select(torch.arange(3))), 1.0)
    with pytest.raises(InputError, match="at least 2 nodes to train on, got 0 in 2 graphs"):
        model(
            with_two_views(GraphBatches(graphs, torch.ones(5, 3)).select(torch.tensor([1, 1]))), 1.0
        )
