"""The map from edges to inputs: standardised attributes and one-hot labels of the data set that it was fitted on."""

import dataclasses
import json

import networkx as nx
import pytest
import torch
from helpers.graphs import graph_data

from graphcl_hard._tensor import one_hot
from graphcl_hard.data.collate import to_graph_data
from graphcl_hard.data.load import load_graphs
from graphcl_hard.exceptions import InputError
from graphcl_hard.loader.features import EdgeFeatureMap


@pytest.fixture
def both(toy):
    """Return the toy data set with two label columns and one attribute of the edges."""
    number = torch.arange(toy.num_edges)
    label = torch.stack([number % 3, number % 2], dim=1)
    return dataclasses.replace(toy, edge_label=label, edge_attr=number.float().unsqueeze(1) * 1000)


def bonds(*labels):
    """Return a path whose edges have these labels."""
    graph = nx.path_graph(len(labels) + 1)
    nx.set_edge_attributes(graph, {(i, i + 1): label for i, label in enumerate(labels)}, "bond")
    return to_graph_data([graph], edge_label="bond")


def test_edges_have_their_attributes_and_then_their_labels(both):
    features = EdgeFeatureMap.fit(both)
    edge_attr, label = features.apply(both), both.edge_label
    assert features.description == "1 edge attributes, standardised; 5 edge labels, one-hot"
    assert edge_attr.dtype == torch.float32
    assert features.channels == edge_attr.size(1) == 6
    assert edge_attr[:, 0].std(correction=0).item() == pytest.approx(1, abs=1e-4)
    assert torch.equal(edge_attr[:, 1:4], one_hot(label[:, :1], 3))
    assert torch.equal(edge_attr[:, 4:], one_hot(label[:, 1:], 2))
    without = dataclasses.replace(both, edge_attr=None)
    alone = EdgeFeatureMap.fit(without)
    assert torch.equal(alone.apply(without), edge_attr[:, 1:])
    assert alone.description == "5 edge labels, one-hot"
    without = dataclasses.replace(both, edge_label=None)
    assert torch.equal(EdgeFeatureMap.fit(without).apply(without), edge_attr[:, :1])


def test_mutag_has_four_labels_of_edges():
    graphs = load_graphs("MUTAG")
    features = EdgeFeatureMap.fit(graphs)
    assert features.label_values == ((0, 1, 2, 3),)
    edge_attr = features.apply(graphs)
    assert edge_attr.shape == (7442, 4)
    assert edge_attr.sum(dim=0).tolist() == torch.bincount(graphs.edge_label[:, 0]).tolist()


def test_edges_without_features_and_bad_ones_are_refused(toy):
    message = "TOY' has no edge labels or attributes, but the encoder gine needs them; choose another, such as gin"
    no_edges = graph_data([nx.empty_graph(2)], [0], name="TOY")
    for graphs in (toy, dataclasses.replace(no_edges, edge_label=torch.zeros(0, 1).long())):
        with pytest.raises(InputError, match=message):
            EdgeFeatureMap.fit(graphs)
    attributes = torch.zeros(toy.num_edges, 1)
    features = EdgeFeatureMap.fit(dataclasses.replace(toy, edge_attr=attributes.clone()))
    attributes[int(toy.edge_ptr[2]) + 1] = float("inf")
    bad = dataclasses.replace(toy, edge_attr=attributes)
    for use in (EdgeFeatureMap.fit, features.apply):
        with pytest.raises(InputError, match="not finite at edge 1 of graph 2"):
            use(bad)


def test_another_sets_labels_have_the_columns_of_the_map():
    features = EdgeFeatureMap.fit(bonds("a", "c", "d"))
    assert features.label_values == (("a", "c", "d"),)
    one, other = features.apply(bonds("d", "a")).tolist()[::3]  # 0 to 1, and 2 to 1
    assert (one, other) == ([0, 0, 1], [1, 0, 0])
    with pytest.warns(
        UserWarning, match=r"1 edge labels that .* not fitted on \('b'\); edges .* get zeros"
    ):
        rows = features.apply(bonds("b", "c"))
    assert rows[0].tolist() == [0, 0, 0]
    assert rows[3].tolist() == [0, 1, 0]


def test_attributes_are_standardised_by_the_set_of_the_map(toy):
    first = dataclasses.replace(toy, edge_attr=torch.rand(toy.num_edges, 3) * 5)
    features = EdgeFeatureMap.fit(first)
    other = dataclasses.replace(first, edge_attr=first.edge_attr + 1)
    std, mean = torch.std_mean(first.edge_attr, dim=0, correction=0)
    assert torch.equal(features.apply(other), (other.edge_attr - mean) / std)
    binary = torch.stack(
        [torch.arange(toy.num_edges) % 2, torch.arange(toy.num_edges)], dim=1
    ).float()
    graphs = dataclasses.replace(toy, edge_attr=binary)
    kept = EdgeFeatureMap.fit(graphs, keep_binary=True).apply(graphs)
    assert torch.equal(kept[:, 0], binary[:, 0])
    assert kept[:, 1].mean().item() == pytest.approx(0, abs=1e-5)


def test_other_features_than_those_of_the_map_are_refused(both):
    features = EdgeFeatureMap.fit(both)
    labels = EdgeFeatureMap.fit(dataclasses.replace(both, edge_attr=None))
    assert EdgeFeatureMap.fit(both.without("edge_label")).label_values == ()
    with pytest.raises(InputError, match="has no edge label columns, but must have 2"):
        labels.apply(both.without("edge_label", "edge_attr"))
    cases = [
        (
            features,
            {"edge_attr": both.edge_attr.repeat(1, 2)},
            "The data set 'TOY' has 2 edge attributes, but must have 1",
        ),
        (
            features,
            {"edge_attr": None},
            "The data set 'TOY' has no edge attributes, but must have 1",
        ),
        (
            features,
            {"edge_label": None},
            "The data set 'TOY' has no edge label columns, but must have 2 like",
        ),
        (
            features,
            {"edge_label": both.edge_label[:, :1]},
            "The data set 'TOY' has 1 edge label columns, but must have 2 like",
        ),
        (
            labels,
            {},
            "TOY' has 1 edge attributes, but must have none like the graphs that the features were fitted on",
        ),
    ]
    for features_, change, message in cases:
        with pytest.raises(InputError, match=message):
            features_.apply(dataclasses.replace(both, **change))
    nothing = graph_data([nx.empty_graph(2)], [0])
    assert features.apply(nothing).shape == (0, 6)


def test_a_map_survives_json(both):
    for graphs in (both, dataclasses.replace(both, edge_attr=None), bonds("a", 1)):
        features = EdgeFeatureMap.fit(graphs)
        features.check_serialisable()
        assert (
            EdgeFeatureMap.from_dict(json.loads(json.dumps(dataclasses.asdict(features))))
            == features
        )
    with pytest.raises(
        InputError, match=r"Edge labels must be strings or numbers to be saved, got \(1, 2\)"
    ):
        EdgeFeatureMap.fit(bonds((1, 2))).check_serialisable()
