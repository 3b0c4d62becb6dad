"""Batches sliced from flat tensors against PyG's collation."""

import dataclasses

import networkx as nx
import pytest
import torch
from helpers.epochs import same_continued_epochs
from helpers.graphs import graph_data
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Batch, Data

from graphcl_hard.data.adjacency import Adjacency
from graphcl_hard.exceptions import InputError
from graphcl_hard.loader.augment import with_views
from graphcl_hard.loader.in_memory import GraphBatches


def pyg_graph(graphs, x, edge_attr, g):
    nodes = slice(graphs.node_ptr[g], graphs.node_ptr[g + 1])
    edges = slice(graphs.edge_ptr[g], graphs.edge_ptr[g + 1])
    return Data(
        x=x[nodes],
        edge_index=graphs.edge_index[:, edges] - graphs.node_ptr[g],
        edge_attr=edge_attr[edges],
    )


def without_some_edges(graphs, generator):
    """Return the data set with about half of its directed edges."""
    keep = torch.rand(graphs.num_edges, generator=generator) < 0.5
    edge_ptr = torch.cat([torch.zeros(1, dtype=torch.int64), keep.long().cumsum(0)])[
        graphs.edge_ptr
    ]
    return dataclasses.replace(graphs, edge_index=graphs.edge_index[:, keep], edge_ptr=edge_ptr)


@settings(deadline=None, max_examples=60)
@given(
    sizes=st.lists(st.integers(0, 6), min_size=1, max_size=8),
    seed=st.integers(0, 1000),
    directed=st.booleans(),
    data=st.data(),
)
def test_a_batch_equals_pygs(sizes, seed, directed, data):
    graphs = graph_data([nx.gnp_random_graph(n, 0.5, seed=seed) for n in sizes], [0] * len(sizes))
    if directed:
        graphs = without_some_edges(graphs, torch.Generator().manual_seed(seed))
    x, edge_attr = torch.randn(graphs.num_nodes, 3), torch.randn(graphs.num_edges, 2)
    ids = data.draw(st.lists(st.integers(0, len(sizes) - 1), min_size=1, max_size=10))
    found = GraphBatches(graphs, x, edge_attr=edge_attr).select(torch.tensor(ids))
    expected = Batch.from_data_list([pyg_graph(graphs, x, edge_attr, g) for g in ids])
    assert torch.equal(found.x, expected.x)
    assert torch.equal(found.adjacency.edge_index, expected.edge_index)
    assert torch.equal(found.edge_attr, expected.edge_attr)
    assert torch.equal(found.batch, expected.batch)
    assert found.num_graphs == len(ids)


@settings(deadline=None, max_examples=40)
@given(
    sizes=st.lists(st.integers(0, 6), min_size=1, max_size=8),
    bounds=st.tuples(st.integers(0, 8), st.integers(0, 8)),
    directed=st.booleans(),
)
def test_a_part_is_the_batch_of_its_graphs(sizes, bounds, directed):
    """A part has its share of the sampled nodes and of the views of the whole batch."""
    start, stop = sorted(min(bound, len(sizes)) for bound in bounds)
    graphs = graph_data([nx.gnp_random_graph(n, 0.5, seed=n) for n in sizes], [0] * len(sizes))
    if directed:
        graphs = without_some_edges(graphs, torch.Generator().manual_seed(0))
    batches = GraphBatches(
        graphs, torch.randn(graphs.num_nodes, 3), edge_attr=torch.randn(graphs.num_edges, 2)
    )
    whole = batches.select(torch.arange(len(sizes)), 2, torch.Generator().manual_seed(1))
    whole = with_views(
        whole, ("node-drop", "subgraph"), (0.3, 0.3), torch.Generator().manual_seed(2)
    )
    part = whole.part(start, stop)
    expected = batches.select(torch.arange(start, stop))
    assert torch.equal(part.x, expected.x)
    assert torch.equal(part.edge_attr, expected.edge_attr)
    assert torch.equal(part.batch, expected.batch)
    assert all(map(torch.equal, part.adjacency, expected.adjacency))
    assert part.adjacency.is_symmetric == whole.adjacency.is_symmetric
    assert part.num_graphs == stop - start
    before = int(graphs.node_ptr[start])
    inside = (whole.batch[whole.sample.node] >= start) & (whole.batch[whole.sample.node] < stop)
    assert torch.equal(part.sample.node + before, whole.sample.node[inside])
    assert torch.equal(part.sample.weight, whole.sample.weight[inside])
    for view, seen in zip(part.views, whole.views, strict=True):
        inside = (seen.batch >= start) & (seen.batch < stop)
        assert torch.equal(view.x, seen.x[inside])
        assert torch.equal(view.batch + start, seen.batch[inside])
        shift = int((seen.batch < start).sum())
        edges = seen.adjacency.edge_index
        assert torch.equal(view.adjacency.edge_index + shift, edges[:, inside[edges[0]]])


def test_a_batch_of_directed_graphs_equals_the_sorted_edges():
    """Every node has an edge to the one before it, and no edge back."""
    graphs = graph_data([nx.path_graph(4), nx.empty_graph(2), nx.path_graph(3)], [0, 1, 0])
    back = graphs.edge_index[0] > graphs.edge_index[1]
    directed = dataclasses.replace(
        graphs, edge_index=graphs.edge_index[:, back], edge_ptr=torch.tensor([0, 3, 3, 5])
    )
    batch = GraphBatches(directed, torch.randn(9, 2)).select(torch.tensor([2, 0, 2]))
    edges = torch.tensor([[1, 2, 4, 5, 6, 8, 9], [0, 1, 3, 4, 5, 7, 8]])
    expected = Adjacency.from_edge_index(edges, 10)
    assert all(map(torch.equal, batch.adjacency, expected))
    assert torch.equal(batch.adjacency.edge_index, edges)


def test_features_of_edges_follow_their_edges_where_the_set_is_not_sorted():
    graphs = graph_data([nx.path_graph(3), nx.cycle_graph(3)], [0, 1])
    back = torch.cat([torch.arange(4).flip(0), torch.arange(4, 10).flip(0)])  # within each graph
    moved = dataclasses.replace(graphs, edge_index=graphs.edge_index[:, back])
    name = graphs.edge_index[0] * 10 + graphs.edge_index[1]
    batch = GraphBatches(
        moved, torch.zeros(6, 1), dtype=torch.float64, edge_attr=name[back].unsqueeze(1)
    )
    batch = batch.select(torch.tensor([1, 0]))
    source, target = batch.adjacency.edge_index
    whole = torch.tensor([3, 4, 5, 0, 1, 2])  # indices in the data set of the batch's nodes
    assert torch.equal(batch.edge_attr[:, 0], (whole[source] * 10 + whole[target]).double())
    assert batch.encoder_inputs[-1] is batch.edge_attr


def test_a_directed_cycle_is_not_taken_for_undirected():
    """Every node has one edge in each direction, so the degrees do not show that edges are directed."""
    graphs = graph_data([nx.cycle_graph(3), nx.path_graph(2)], [0, 1])
    edge_index = torch.tensor([[0, 1, 2], [1, 2, 0]])
    directed = dataclasses.replace(graphs, edge_index=edge_index, edge_ptr=torch.tensor([0, 3, 3]))
    batch = GraphBatches(directed, torch.zeros(5, 1)).select(torch.tensor([1, 0]))
    assert all(map(torch.equal, batch.adjacency, Adjacency.from_edge_index(edge_index + 2, 5)))


def test_columns_of_a_one_hot_input_stay_integers(toy):
    columns = torch.arange(toy.num_nodes).unsqueeze(1)
    batch = GraphBatches(toy, columns, dtype=torch.float64).select(torch.tensor([1, 0]))
    assert batch.x.dtype == torch.int64
    first, second = toy.node_ptr[1:3].tolist()
    assert batch.x[:, 0].tolist() == [*range(first, second), *range(first)]


def test_a_sample_goes_with_the_batch(toy):
    batches = GraphBatches(toy, torch.zeros(toy.num_nodes, 1))
    assert batches.select(torch.arange(3)).sample is None
    assert batches.select(torch.arange(3)).edge_attr is None
    assert len(batches.select(torch.arange(3)).encoder_inputs) == 4
    batch = batches.select(torch.tensor([5, 2, 3]), 2, torch.Generator().manual_seed(0))
    assert torch.bincount(batch.batch[batch.sample.node], minlength=3).tolist() == [2, 2, 2]
    assert batch.sample.weight.sum().item() == pytest.approx(batch.batch.numel())

    def indices(seed):
        shuffled = batches.shuffled(8, torch.Generator().manual_seed(seed), 2)
        return torch.cat([batch.sample.node for batch in shuffled]).tolist()

    assert indices(0) == indices(0) != indices(1)


@pytest.mark.parametrize(
    ("batch_size", "expected"),
    [(24, [24]), (100, [24]), (10, [10, 10, 4]), (23, [24]), (2, [2] * 12)],
)
def test_an_epoch_holds_every_graph_once_and_no_batch_of_one(toy, batch_size, expected):
    x = torch.arange(toy.num_nodes).double().unsqueeze(1)
    batches = list(
        GraphBatches(toy, x, dtype=torch.float64).shuffled(
            batch_size, torch.Generator().manual_seed(0)
        )
    )
    assert [batch.num_graphs for batch in batches] == expected
    seen = torch.cat([batch.x.squeeze(1) for batch in batches]).sort().values
    assert torch.equal(seen, torch.arange(toy.num_nodes).double())


def test_epochs_differ_and_a_seed_repeats(toy):
    batches = GraphBatches(toy, torch.arange(toy.num_nodes).float().unsqueeze(1))

    def epochs(seed):
        generator = torch.Generator().manual_seed(seed)
        return [torch.cat([b.x for b in batches.shuffled(8, generator)]) for _ in range(2)]

    first, second = epochs(1)
    assert not torch.equal(first, second)
    assert torch.equal(first, epochs(1)[0])
    assert not torch.equal(first, epochs(2)[0])


def test_an_epoch_continues_after_any_of_its_batches(toy):
    batches = GraphBatches(toy, torch.arange(toy.num_nodes).float().unsqueeze(1))
    same_continued_epochs(batches, 5)


def test_in_order_keeps_the_order(toy):
    x = torch.arange(toy.num_nodes).float().unsqueeze(1)
    batches = list(GraphBatches(toy, x).in_order(7))
    assert [batch.num_graphs for batch in batches] == [7, 7, 7, 3]
    assert torch.equal(torch.cat([batch.x for batch in batches]), x)


def test_a_set_of_one_graph_cannot_train():
    graphs = graph_data([nx.path_graph(3)], [0])
    with pytest.raises(InputError, match="Training needs at least 2 graphs, got 1"):
        next(GraphBatches(graphs, torch.zeros(3, 1)).shuffled(2, torch.Generator()))
