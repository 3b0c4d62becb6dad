"""Batches cut from the flat set against PyG's collation."""

import networkx as nx
import pytest
import torch
from conftest import graph_data
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Batch, Data

from graphcl_hard.batching import GraphBatches
from graphcl_hard.errors import InputError


def pyg_graph(graphs, x, g):
    nodes = slice(graphs.node_ptr[g], graphs.node_ptr[g + 1])
    edges = slice(graphs.edge_ptr[g], graphs.edge_ptr[g + 1])
    return Data(x=x[nodes], edge_index=graphs.edge_index[:, edges] - graphs.node_ptr[g])


@settings(deadline=None, max_examples=60)
@given(
    sizes=st.lists(st.integers(0, 6), min_size=1, max_size=8),
    seed=st.integers(0, 1000),
    data=st.data(),
)
def test_a_batch_equals_pygs(sizes, seed, data):
    graphs = graph_data([nx.gnp_random_graph(n, 0.5, seed=seed) for n in sizes], [0] * len(sizes))
    x = torch.randn(graphs.num_nodes, 3)
    ids = data.draw(st.lists(st.integers(0, len(sizes) - 1), min_size=1, max_size=10))
    found = GraphBatches(graphs, x).select(torch.tensor(ids))
    expected = Batch.from_data_list([pyg_graph(graphs, x, g) for g in ids])
    assert torch.equal(found.x, expected.x)
    assert torch.equal(found.edge_index, expected.edge_index)
    assert torch.equal(found.batch, expected.batch)
    assert found.num_graphs == len(ids)


@pytest.mark.parametrize(
    ("batch_size", "expected"), [(24, [24]), (100, [24]), (10, [10, 10, 4]), (23, [24]), (2, [2] * 12)]
)
def test_an_epoch_holds_every_graph_once_and_no_batch_of_one(toy, batch_size, expected):
    x = torch.arange(toy.num_nodes).double().unsqueeze(1)
    batches = list(GraphBatches(toy, x, dtype=torch.float64).shuffled(batch_size, torch.Generator().manual_seed(0)))
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


def test_in_order_keeps_the_order(toy):
    x = torch.arange(toy.num_nodes).float().unsqueeze(1)
    batches = list(GraphBatches(toy, x).in_order(7))
    assert [batch.num_graphs for batch in batches] == [7, 7, 7, 3]
    assert torch.equal(torch.cat([batch.x for batch in batches]), x)


def test_a_set_of_one_graph_cannot_train():
    graphs = graph_data([nx.path_graph(3)], [0])
    with pytest.raises(InputError, match="Training needs at least 2 graphs, got 1"):
        next(GraphBatches(graphs, torch.zeros(3, 1)).shuffled(2, torch.Generator()))
