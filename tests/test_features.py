"""Encoder inputs from labels, degrees and attributes."""

import dataclasses

import networkx as nx
import pytest
import torch
from conftest import graph_data

from graphcl_hard.data import load_graphs
from graphcl_hard.errors import InputError
from graphcl_hard.features import node_features


def test_labels_become_one_hot(toy):
    x, description = node_features(toy)
    assert x.dtype == torch.float32
    assert torch.equal(x.argmax(dim=1), toy.node_label[:, 0])
    assert (x.sum(dim=1) == 1).all()
    assert description == f"{int(toy.node_label.max()) + 1} node labels, one-hot"


def test_two_label_columns_stand_side_by_side(toy):
    two = dataclasses.replace(toy, node_label=torch.cat([toy.node_label, 1 - toy.node_label.clamp(max=1)], dim=1))
    assert node_features(two).x.shape == (toy.num_nodes, int(toy.node_label.max()) + 3)


def test_without_labels_degrees_are_one_hot():
    graphs = graph_data([nx.star_graph(3), nx.path_graph(2), nx.empty_graph(1)], [0, 1, 0], node_labels=False)
    x, description = node_features(graphs)
    assert x.argmax(dim=1).tolist() == [3, 1, 1, 1, 1, 1, 0]
    assert x.shape == (7, 4)
    assert description == "degrees 0 to 3, one-hot"


@pytest.mark.parametrize(("leaves", "columns"), [(999, 1000), (1000, 1)])
def test_degrees_of_1000_or_more_are_standardised(leaves, columns):
    graphs = graph_data([nx.star_graph(leaves)], [0], node_labels=False)
    x, _ = node_features(graphs)
    assert x.shape[1] == columns
    if columns == 1:
        assert x.mean().item() == pytest.approx(0, abs=1e-5)
        assert x.std(correction=0).item() == pytest.approx(1, abs=1e-5)
        assert x[0, 0] > x[1, 0]


def test_attributes_on_request_are_standardised_and_stand_first(toy):
    attributes = torch.stack([torch.arange(toy.num_nodes).float() * 1000, torch.full((toy.num_nodes,), 7.0)], dim=1)
    with_attributes = dataclasses.replace(toy, node_attr=attributes)
    assert torch.equal(node_features(with_attributes).x, node_features(toy).x)
    x, description = node_features(with_attributes, use_node_attr=True)
    assert x[:, 0].std(correction=0).item() == pytest.approx(1, abs=1e-4)
    assert (x[:, 1] == 0).all()
    assert torch.equal(x[:, 2:], node_features(toy).x)
    assert description.startswith("2 node attributes, standardised; ")


def test_bad_attributes_are_refused(toy):
    with pytest.raises(InputError, match="TOY has no node attributes; leave --use-node-attr out"):
        node_features(toy, use_node_attr=True)
    attributes = torch.zeros(toy.num_nodes, 1)
    attributes[int(toy.node_ptr[2]) + 1] = float("nan")
    with pytest.raises(InputError, match="not finite at node 1 of graph 2"):
        node_features(dataclasses.replace(toy, node_attr=attributes), use_node_attr=True)


def test_mutag_has_seven_labels():
    assert node_features(load_graphs("MUTAG")).x.shape == (3371, 7)
