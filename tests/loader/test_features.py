"""Encoder inputs from labels, degrees and attributes."""

import dataclasses
import json

import networkx as nx
import pytest
import torch
from helpers.graphs import graph_data

from graphcl_hard._tensor import one_hot
from graphcl_hard.data.collate import to_graph_data
from graphcl_hard.data.graph_data import Names
from graphcl_hard.data.load import load_graphs
from graphcl_hard.exceptions import InputError
from graphcl_hard.loader.columns import moments
from graphcl_hard.loader.features import EdgeFeatureMap, FeatureMap, node_features


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
    graphs = graph_data(
        [nx.star_graph(3), nx.path_graph(2), nx.empty_graph(1)], [0, 1, 0], node_labels=False
    )
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
    attributes = torch.stack(
        [torch.arange(toy.num_nodes).float() * 1000, torch.full((toy.num_nodes,), 7.0)], dim=1
    )
    with_attributes = dataclasses.replace(toy, node_attr=attributes)
    labels = node_features(with_attributes)
    assert torch.equal(labels.x, toy.node_label)
    x, channels, description = node_features(with_attributes, use_node_attr=True)
    assert channels == x.size(1) == 2 + labels.channels
    assert x[:, 0].std(correction=0).item() == pytest.approx(1, abs=1e-4)
    assert (x[:, 1] == 0).all()
    assert torch.equal(x[:, 2:], one_hot(labels.x, labels.channels))
    assert description.startswith("2 node attributes, standardised; ")
    alone, channels, _ = node_features(
        dataclasses.replace(with_attributes, node_label=None), use_node_attr=True
    )
    assert channels == 2
    assert torch.equal(alone, x[:, :2])


@pytest.mark.parametrize("chunks", [1, 7])
def test_attributes_that_are_constant_up_to_rounding_are_not_scaled(chunks):
    steps = torch.arange(70) % 3
    exact, rounded = torch.full((70,), 0.1), 0.1 * (1 + 1.2e-7 * steps)
    columns = torch.stack([exact, rounded, 2000.0 + steps], dim=1)
    assert len(rounded.unique()) == 3
    for given in (columns, columns.double()):
        mean, std = moments(given.chunk(chunks))
        torch.testing.assert_close(mean, given.mean(dim=0))
        assert std[0] == 1
        assert (std[1] == 1) == (given.dtype == torch.float32)
        torch.testing.assert_close(std[2], given[:, 2].std(correction=0))


def test_bad_attributes_are_refused(toy):
    with pytest.raises(
        InputError,
        match="The data set 'TOY' has no node attributes; leave `use_node_attr=True` out",
    ):
        node_features(toy, use_node_attr=True)
    attributes = torch.zeros(toy.num_nodes, 1)
    attributes[int(toy.node_ptr[2]) + 1] = float("nan")
    with pytest.raises(InputError, match="not finite at node 1 of graph 2"):
        node_features(dataclasses.replace(toy, node_attr=attributes), use_node_attr=True)


def test_mutag_has_seven_labels_of_nodes():
    features = node_features(load_graphs("MUTAG"))
    assert features.x.shape == (3371, 1)
    assert features.channels == 7


def labelled(*labels):
    graph = nx.path_graph(len(labels))
    nx.set_node_attributes(graph, dict(enumerate(labels)), "kind")
    return to_graph_data([graph], node_label="kind")


def test_a_map_gives_another_sets_labels_the_columns_of_its_own():
    features = FeatureMap.fit(labelled("a", "c", "d"))
    assert features.apply(labelled("d", "a")).tolist() == [[2], [0]]
    with pytest.warns(
        UserWarning, match=r"1 node labels that the features were not fitted on \('b'\)"
    ):
        x = features.apply(labelled("b", "c"))
    assert one_hot(x, 3).tolist() == [[0, 0, 0], [0, 1, 0]]
    with pytest.raises(InputError, match="has no node label columns, but must have 1 like"):
        features.apply(to_graph_data([nx.path_graph(2)]))


def test_a_map_of_what_graphs_lack_refuses_graphs_that_have_it(toy):
    degrees = FeatureMap.fit(to_graph_data([nx.star_graph(3)]))
    with pytest.raises(
        InputError, match="The data set 'graphs' has node labels, but must have none like the"
    ):
        degrees.apply(labelled("a", "b"))
    sized = dataclasses.replace(toy, node_attr=torch.rand(toy.num_nodes, 2))
    with pytest.raises(
        InputError, match="The data set 'TOY' has node attributes, but must have none like the"
    ):
        FeatureMap.fit(toy, left_out=()).apply(sized)
    # Of what was left out, or is not known to have been missing, others may have some.
    for features in (FeatureMap.fit(toy), dataclasses.replace(FeatureMap.fit(toy), names=None)):
        assert torch.equal(features.apply(sized), features.apply(toy))
    assert FeatureMap.fit(sized).names == Names("node_label", (), None, None)
    both = FeatureMap.fit(dataclasses.replace(sized, names=Names("kind", ("x", "pos"))), True)
    assert both.names == Names("kind", ("x", "pos"), None, None)


def test_a_map_clips_degrees_at_the_largest_it_knows():
    features = FeatureMap.fit(to_graph_data([nx.star_graph(3)]))
    assert features.apply(to_graph_data([nx.star_graph(5)])).tolist() == [
        [3],
        [1],
        [1],
        [1],
        [1],
        [1],
    ]


def test_a_map_standardises_by_the_set_it_was_made_for(toy):
    first = dataclasses.replace(toy, node_label=None, node_attr=torch.rand(toy.num_nodes, 3) * 5)
    features = FeatureMap.fit(first, use_node_attr=True)
    other = dataclasses.replace(first, node_attr=first.node_attr + 1)
    std, mean = torch.std_mean(first.node_attr, dim=0, correction=0)
    assert torch.equal(features.apply(other), (other.node_attr - mean) / std)
    with pytest.raises(InputError, match="has 2 node attributes, but must have 3"):
        features.apply(dataclasses.replace(first, node_attr=first.node_attr[:, :2]))


def test_binary_columns_stay_as_they_are_on_request(toy):
    attributes = torch.stack(
        [torch.arange(toy.num_nodes) % 2, torch.arange(toy.num_nodes)], dim=1
    ).float()
    graphs = dataclasses.replace(toy, node_label=None, node_attr=attributes)
    x = FeatureMap.fit(graphs, use_node_attr=True, keep_binary=True).apply(graphs)
    assert torch.equal(x[:, 0], attributes[:, 0])
    assert x[:, 1].mean().item() == pytest.approx(0, abs=1e-5)


def test_attributes_that_are_one_hot_become_their_column(toy):
    dense = one_hot(toy.node_label, 9)
    graphs = dataclasses.replace(toy, node_label=None, node_attr=dense)
    features = FeatureMap.fit(graphs, use_node_attr=True, keep_binary=True)
    assert features.channels == 9
    assert torch.equal(features.apply(graphs), toy.node_label)
    dense[0] = 0  # one node without a 1, and the numbers are used unchanged
    assert torch.equal(features.apply(dataclasses.replace(graphs, node_attr=dense)), dense)


def test_a_map_survives_json(toy):
    labels = dataclasses.replace(toy, node_attr=torch.rand(toy.num_nodes, 2))
    large = graph_data([nx.star_graph(1000)], [0], node_labels=False)
    for graphs, use_node_attr in (
        (toy, False),
        (labels, True),
        (large, False),
        (labelled("a", 1), False),
    ):
        features = FeatureMap.fit(graphs, use_node_attr)
        assert FeatureMap.from_dict(json.loads(json.dumps(features.to_dict()))) == features
        earlier = {
            name: value
            for name, value in features.to_dict().items()
            if name not in ("edges", "names")
        }
        assert FeatureMap.from_dict(earlier) == dataclasses.replace(features, names=None)
    with pytest.raises(
        InputError, match=r"Node labels must be strings or numbers to be saved, got \(1, 2\)"
    ):
        FeatureMap.fit(labelled((1, 2))).to_dict()


def test_a_map_has_a_map_of_edges_on_request(toy):
    graphs = dataclasses.replace(toy, edge_label=torch.arange(toy.num_edges).unsqueeze(1) % 3)
    features = FeatureMap.fit(graphs, with_edges=True)
    assert features.edges == EdgeFeatureMap.fit(graphs)
    assert torch.equal(features.apply_edges(graphs), features.edges.apply(graphs))
    assert torch.equal(features.apply(graphs), FeatureMap.fit(graphs).apply(graphs))
    assert FeatureMap.from_dict(json.loads(json.dumps(features.to_dict()))) == features
    assert FeatureMap.fit(graphs).apply_edges(graphs) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label_values": ["abc"]}, "must be lists"),  # it was three labels, a, b and c
        ({"label_values": [["a", "a"]]}, "each value once"),
        ({"mean": [float("nan")], "std": [1.0]}, "finite numbers"),  # vectors were nan
        ({"mean": [0.0], "std": [0.0]}, "above 0"),
        ({"mean": ["1"], "std": [1.0]}, "finite numbers"),
        ({"label_values": []}, "must map either degrees, or labels and attributes"),
        ({"largest_degree": -1}, "largest_degree must be a whole number or null"),
        ({"largest_degree": 3}, "must map either degrees, or labels and attributes"),
    ],
)
def test_what_no_map_can_be_is_refused_and_was_read(changes, message):
    plain = FeatureMap((("a", "b"),)).to_dict()
    assert FeatureMap.from_dict(json.loads(json.dumps(plain))) == FeatureMap((("a", "b"),))
    with pytest.raises(ValueError, match=message):
        FeatureMap.from_dict({**json.loads(json.dumps(plain)), **changes})
