"""Encoder inputs from labels, degrees and attributes."""

import dataclasses

import networkx as nx
import pytest
import torch
from conftest import graph_data

from graphcl_hard.data import load_graphs
from graphcl_hard.errors import InputError
from graphcl_hard.features import edge_features, node_features, one_hot


def test_labels_are_the_columns_of_a_one_hot_input(toy):
    x, channels, description = node_features(toy)
    assert torch.equal(x, toy.node_label)
    assert channels == int(toy.node_label.max()) + 1
    assert description == f"{channels} node labels, one-hot"
    dense = one_hot(x, channels)
    assert dense.dtype == torch.float32
    assert torch.equal(dense.argmax(dim=1), toy.node_label[:, 0])
    assert (dense.sum(dim=1) == 1).all()


def test_two_label_columns_stand_side_by_side(toy):
    second = 1 - toy.node_label.clamp(max=1)
    two = dataclasses.replace(toy, node_label=torch.cat([toy.node_label, second], dim=1))
    x, channels, _ = node_features(two)
    first = int(toy.node_label.max()) + 1
    assert channels == first + 2
    assert torch.equal(x[:, 1], second[:, 0] + first)
    assert torch.equal(one_hot(x, channels)[:, first:], one_hot(second, 2))


def test_without_labels_degrees_are_one_hot():
    graphs = graph_data([nx.star_graph(3), nx.path_graph(2), nx.empty_graph(1)], [0, 1, 0], node_labels=False)
    x, channels, description = node_features(graphs)
    assert x.tolist() == [[3], [1], [1], [1], [1], [1], [0]]
    assert channels == 4
    assert description == "degrees 0 to 3, one-hot"


@pytest.mark.parametrize(("leaves", "channels"), [(999, 1000), (1000, 1)])
def test_degrees_of_1000_or_more_are_standardised(leaves, channels):
    graphs = graph_data([nx.star_graph(leaves)], [0], node_labels=False)
    features = node_features(graphs)
    x = features.x
    assert features.channels == channels
    assert x.shape[1] == 1
    assert x.is_floating_point() == (channels == 1)
    if channels == 1:
        assert x.mean().item() == pytest.approx(0, abs=1e-5)
        assert x.std(correction=0).item() == pytest.approx(1, abs=1e-5)
        assert x[0, 0] > x[1, 0]


def test_attributes_on_request_are_standardised_and_stand_first(toy):
    attributes = torch.stack([torch.arange(toy.num_nodes).float() * 1000, torch.full((toy.num_nodes,), 7.0)], dim=1)
    with_attributes = dataclasses.replace(toy, node_attr=attributes)
    labels = node_features(with_attributes)
    assert torch.equal(labels.x, toy.node_label)
    x, channels, description = node_features(with_attributes, use_node_attr=True)
    assert channels == x.size(1) == 2 + labels.channels
    assert x[:, 0].std(correction=0).item() == pytest.approx(1, abs=1e-4)
    assert (x[:, 1] == 0).all()
    assert torch.equal(x[:, 2:], one_hot(labels.x, labels.channels))
    assert description.startswith("2 node attributes, standardised; ")
    alone, channels, _ = node_features(dataclasses.replace(with_attributes, node_label=None), use_node_attr=True)
    assert channels == 2
    assert torch.equal(alone, x[:, :2])


def test_bad_attributes_are_refused(toy):
    with pytest.raises(InputError, match="TOY has no node attributes; leave --use-node-attr out"):
        node_features(toy, use_node_attr=True)
    attributes = torch.zeros(toy.num_nodes, 1)
    attributes[int(toy.node_ptr[2]) + 1] = float("nan")
    with pytest.raises(InputError, match="not finite at node 1 of graph 2"):
        node_features(dataclasses.replace(toy, node_attr=attributes), use_node_attr=True)


def test_edges_have_their_attributes_and_then_their_labels(toy):
    label = torch.stack([torch.arange(toy.num_edges) % 3, torch.arange(toy.num_edges) % 2], dim=1)
    attributes = torch.arange(toy.num_edges).float().unsqueeze(1) * 1000
    both = dataclasses.replace(toy, edge_label=label, edge_attr=attributes)
    edge_attr, description = edge_features(both)
    assert description == "1 edge attributes, standardised; 5 edge labels, one-hot"
    assert edge_attr.dtype == torch.float32
    assert edge_attr[:, 0].std(correction=0).item() == pytest.approx(1, abs=1e-4)
    assert torch.equal(edge_attr[:, 1:4], one_hot(label[:, :1], 3))
    assert torch.equal(edge_attr[:, 4:], one_hot(label[:, 1:], 2))
    alone, description = edge_features(dataclasses.replace(both, edge_attr=None))
    assert torch.equal(alone, edge_attr[:, 1:])
    assert description == "5 edge labels, one-hot"
    assert torch.equal(edge_features(dataclasses.replace(both, edge_label=None)).edge_attr, edge_attr[:, :1])


def test_edges_without_features_and_bad_ones_are_refused(toy):
    message = "TOY has no edges with labels or attributes, which --encoder gine needs; choose another, such as gin"
    no_edges = graph_data([nx.empty_graph(2)], [0], name="TOY")
    for graphs in (toy, dataclasses.replace(no_edges, edge_label=torch.zeros(0, 1).long())):
        with pytest.raises(InputError, match=message):
            edge_features(graphs)
    attributes = torch.zeros(toy.num_edges, 1)
    attributes[int(toy.edge_ptr[2]) + 1] = float("inf")
    with pytest.raises(InputError, match="not finite at edge 1 of graph 2"):
        edge_features(dataclasses.replace(toy, edge_attr=attributes))


def test_mutag_has_seven_labels_of_nodes_and_four_of_edges():
    graphs = load_graphs("MUTAG")
    features = node_features(graphs)
    assert features.x.shape == (3371, 1)
    assert features.channels == 7
    edges = edge_features(graphs)
    assert edges.edge_attr.shape == (7442, 4)
    assert edges.edge_attr.sum(dim=0).tolist() == torch.bincount(graphs.edge_label[:, 0]).tolist()
