"""Several targets for each graph: names, gaps, and every way from the data to `GraphData` and back."""

import dataclasses
import json
import math

import networkx as nx
import numpy as np
import pytest
import torch
from torch_geometric.data import Data

from graphcl_hard import GraphShards, HardInfoGraph, InputError, to_chunks, write_shards
from graphcl_hard.data.collate import to_graph_data
from graphcl_hard.data.graph_data import GraphData
from graphcl_hard.data.labels import read_targets
from graphcl_hard.data.tu.names import SHARDS_INDEX
from graphcl_hard.io.checksum import with_checksum

NAN = math.nan
TABLE = np.array([[row / 4, row % 2, NAN if row % 3 else row] for row in range(12)])
NAMES = ("logP", "toxic", "pIC50")


def equal(found, expected):
    np.testing.assert_array_equal(np.asarray(found), expected)


def ring(nodes, y=None):
    source = torch.arange(nodes)
    return Data(edge_index=torch.stack([source, (source + 1) % nodes]), num_nodes=nodes, y=y)


def rings(table=TABLE):
    return [ring(3 + number, torch.tensor(row)[None]) for number, row in enumerate(table)]


@pytest.fixture
def graphs():
    data = to_graph_data(rings())
    return GraphData("rings", data.node_ptr, data.edge_index, data.edge_ptr, data.y, targets=NAMES)


def test_texts_numbers_and_gaps_are_targets():
    columns = {
        "a": ["1", "2.50", "", "NA"],
        "b": [True, False, None, 7],
        "c": [NAN, "1e-3", np.float32(0.5), np.int8(-1)],
    }
    found = read_targets(columns, "The column")
    equal(found.y, [[1, 1, NAN], [2.5, 0, 1e-3], [NAN, NAN, 0.5], [NAN, 7, -1]])
    assert (found.targets, found.classes, found.y.dtype) == (("a", "b", "c"), (), torch.float64)
    assert read_targets({"a": [], "b": []}, "The column").y.shape == (0, 2)


@pytest.mark.parametrize(
    ("value", "shown"), [("x", "'x'"), (math.inf, "inf"), ("1e999", "'1e999'"), ([1], r"\[1\]")]
)
def test_what_is_no_number_is_refused_with_its_column_and_row(value, shown):
    with pytest.raises(
        InputError, match=rf"The column 'b' is {shown} in row 6, must be a finite number"
    ):
        read_targets({"a": [1, 2], "b": [1, value]}, "The column", first=5)


def test_a_list_of_data_as_moleculenet_has_them():
    """Its y is (1, T) float32, with NaN for gaps."""
    given = [ring(4, torch.tensor(row, dtype=torch.float32)[None]) for row in TABLE]
    found = to_graph_data(given)
    equal(found.y, TABLE)
    assert (found.y.dtype, found.targets) == (torch.float64, ("0", "1", "2"))
    given[2].y = None
    equal(to_graph_data(given).y[2], [NAN] * 3)


def test_networkx_graphs_hold_a_list():
    given = [nx.cycle_graph(4), nx.path_graph(3), nx.path_graph(2)]
    given[0].graph["y"], given[1].graph["y"] = [0.5, None], (1, 0)
    equal(to_graph_data(given).y, [[0.5, NAN], [1, 0], [NAN, NAN]])


def test_labels_of_nodes_are_still_not_read():
    for ys in (
        [torch.rand(4), torch.rand(5)],
        [torch.rand(4, 2), torch.rand(5, 2)],
        [torch.rand(1, 2), torch.rand(5, 2)],
        [["a", "b"], ["c", "d"]],
    ):
        found = to_graph_data([ring(4, ys[0]), ring(5, ys[1])])
        assert found.labels is None
        assert found.targets == ()
    single = to_graph_data([ring(4, torch.tensor([[0.5]])), ring(5, torch.tensor([[1.0]]))])
    assert (single.y.tolist(), single.targets) == ([0.5, 1.0], ())


@pytest.mark.parametrize(
    ("ys", "message"),
    [
        ([torch.rand(1, 2), torch.rand(1, 3)], "got a y of 2 for graph 0 and of 3 for graph 1"),
        ([torch.rand(1, 2), torch.tensor([[0, math.inf]])], "inf as target 1 of graph 1"),
        ([torch.rand(1, 2), torch.tensor([0.5])], "Graph 0 has the y tensor"),
    ],
)
def test_targets_that_do_not_fit_are_refused(ys, message):
    with pytest.raises(InputError, match=message):
        to_graph_data([ring(4, y) for y in ys])


def test_indexing_and_single_graphs(graphs):
    equal(graphs[2:5].y, TABLE[2:5])
    equal(graphs[[7, 1]].y, TABLE[[7, 1]])
    equal(graphs[np.arange(12) % 2 == 0].labels, TABLE[::2])
    assert graphs[[7, 1]].targets == graphs[2:5].targets == graphs.targets == NAMES
    equal(graphs[3].y, TABLE[3:4])
    assert "graph_label" not in graphs[3]
    again = to_graph_data(graphs.to_pyg())
    equal(again.y, TABLE)
    assert torch.equal(again.edge_index, graphs.edge_index)


def test_names_and_values_are_in_the_checksum(graphs):
    plain = dataclasses.replace(graphs, targets=())
    assert plain.targets == ("0", "1", "2")
    assert plain.checksum != graphs.checksum
    assert dataclasses.replace(graphs, y=graphs.y + 1).checksum != graphs.checksum
    assert dataclasses.replace(graphs, name="other").checksum == graphs.checksum


@pytest.mark.parametrize(
    ("y", "targets", "message"),
    [
        (torch.zeros(12, 3), ("a", "b"), r"must be 3 different names, .*got \('a', 'b'\)"),
        (torch.zeros(12, 2), ("a", "a"), "must be 2 different names"),
        (torch.zeros(12), ("a",), "must be 0 different names"),
        (torch.zeros(12, 2, dtype=torch.int64), (), "must be float64 .*got torch.int64"),
        (torch.zeros(11, 2), (), "one entry for each of 12 graphs, got 11"),
    ],
)
def test_targets_and_names_must_fit(graphs, y, targets, message):
    with pytest.raises(InputError, match=message):
        GraphData("r", graphs.node_ptr, graphs.edge_index, graphs.edge_ptr, y, targets=targets)


@pytest.mark.parametrize("size", [1, 5, 12])
def test_shards_give_every_range_back(tmp_path, graphs, size):
    chunks = (graphs[start : start + size] for start in range(0, 12, size))
    shards = write_shards(tmp_path / "set", chunks)
    assert (shards.targets, shards.num_classes) == (NAMES, 0)
    equal(shards.y, TABLE)
    equal(shards.labels, TABLE)
    for start in range(12):
        for stop in range(start, 13):
            found = shards.read([(start, stop)])
            equal(found.y, TABLE[start:stop])
            assert found.targets == NAMES
    equal(shards[[9, 0, 4]].y, TABLE[[9, 0, 4]])
    equal(shards[7].y, TABLE[7:8])
    assert shards.without("node_label").targets == NAMES
    assert shards.whole().checksum == graphs.checksum


def test_single_graphs_are_written_too(tmp_path):
    found = write_shards(tmp_path / "set", to_chunks(rings(), size=5))
    equal(found.y, TABLE)
    assert found.targets == ("0", "1", "2")


@pytest.mark.parametrize("without", [range(5), range(5, 10), range(10, 12)])
def test_a_part_without_labels_has_gaps(tmp_path, without):
    given = [
        ring(4, None if row in without else torch.tensor(TABLE[row])[None]) for row in range(12)
    ]
    expected = TABLE.copy()
    expected[list(without)] = NAN
    found = write_shards(tmp_path / "set", to_chunks(given, size=5))
    equal(found.y, expected)
    assert found.y.dtype == torch.float64
    equal(found.whole().y, expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"targets": ("logP", "pIC50", "toxic")},
            r"same targets, got \('logP', 'toxic', 'pIC50'\)",
        ),
        ({"targets": (), "y": torch.rand(12)}, "for graphs 12 to 23, a single label"),
        ({"targets": (), "y": torch.zeros(12, dtype=torch.int64)}, "a single label"),
    ],
)
def test_parts_with_other_targets_are_refused(tmp_path, graphs, change, message):
    with pytest.raises(InputError, match=message):
        write_shards(tmp_path / "set", [graphs, dataclasses.replace(graphs, **change)])


def test_shards_of_the_format_before_are_read(tmp_path):
    one = [ring(4 + row % 3, torch.tensor([row / 4])) for row in range(12)]
    folder = tmp_path / "set"
    written = write_shards(folder, one)
    index = json.loads((folder / SHARDS_INDEX).read_text())
    del index["sum"], index["targets"]
    (folder / SHARDS_INDEX).write_text(json.dumps(with_checksum({**index, "format": 2})))
    found = GraphShards(folder)
    assert found.targets == ()
    equal(found.y, written.y)
    equal(found.y, np.arange(12) / 4)


@pytest.mark.filterwarnings("ignore:A batch has 12 graphs:UserWarning")
def test_fit_does_not_read_them(graphs):
    model = HardInfoGraph(hidden_channels=4, num_layers=2, epochs=1, random_state=0)
    unlabelled = [ring(3 + number) for number in range(12)]
    equal(model.fit_transform(graphs), model.fit_transform(unlabelled))
