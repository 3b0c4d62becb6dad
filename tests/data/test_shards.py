"""Data sets on disk: any range of graphs is read as it was written."""

import dataclasses
import json
import math
import shutil

import networkx as nx
import numpy as np
import pytest
import torch
from filelock import FileLock
from helpers.fuzz import CHANCE, campaign, damaged, outcome
from helpers.graphs import random_graphs, with_attributes
from hypothesis import strategies as st
from torch_geometric.data import Data

from graphcl_hard import GraphShards, InputError, load_graphs, to_chunks, write_shards
from graphcl_hard.data.collate import to_graph_data
from graphcl_hard.data.graph_data import GraphData
from graphcl_hard.data.tu.names import SHARDS_INDEX
from graphcl_hard.io.checksum import with_checksum
from graphcl_hard.loader.features import FeatureMap

NAMES = {
    "node_label": "kind",
    "node_attr": ("size",),
    "edge_label": "bond",
    "edge_attr": ("length",),
}
COLUMNS = ("node_label", "node_attr", "edge_label", "edge_attr")


def named_graphs(count=40):
    """Return graphs with labels that appear late and out of order, some without nodes and some without edges."""
    return with_attributes(
        random_graphs([i % 7 for i in range(count)], directed=range(0, count, 3)),
        {
            "kind": lambda i, node: "zyxwvu"[(i // 9 + node) % 6],
            "size": lambda i, node: [float(node), i / 3],
        },
        {"bond": lambda i, _: i * 7 % 5 - 2, "length": lambda i, _: float(i)},
    )


def same(first, second):
    for field in dataclasses.fields(GraphData):
        one, other = getattr(first, field.name), getattr(second, field.name)
        if isinstance(one, torch.Tensor):
            assert one.dtype == other.dtype, field.name
            assert torch.equal(one, other), field.name
        elif isinstance(one, np.ndarray):
            assert one.tolist() == other.tolist(), field.name
        elif field.name != "name":
            assert one == other, field.name


def joined(whole, runs):
    """Return the graphs of some ranges, joined one by one."""
    parts = [whole[graph : graph + 1] for start, stop in runs for graph in range(start, stop)]
    shifts = np.cumsum([0] + [part.num_nodes for part in parts])
    columns = {name: torch.cat([getattr(part, name) for part in parts]) for name in COLUMNS}
    return dataclasses.replace(
        whole,
        node_ptr=torch.tensor(shifts),
        edge_index=torch.cat(
            [part.edge_index + int(at) for part, at in zip(parts, shifts, strict=False)], dim=1
        ),
        edge_ptr=torch.tensor(np.cumsum([0] + [part.num_edges for part in parts])),
        y=torch.cat([part.y for part in parts]),
        ids=np.concatenate([part.ids for part in parts]),
        **columns,
    )


@pytest.mark.parametrize("size", [1, 7, 16, 100])
def test_every_run_of_graphs_is_what_was_written(tmp_path, size):
    """Label values are in the same order as in memory, whatever the chunks."""
    graphs = named_graphs()
    shards = write_shards(tmp_path / "set", to_chunks(graphs, size=size, **NAMES))
    whole = to_graph_data(graphs, **NAMES)
    same(shards.whole(), whole)
    assert (shards.num_graphs, shards.num_nodes, shards.num_edges) == (
        40,
        whole.num_nodes,
        whole.num_edges,
    )
    assert shards.columns == set(COLUMNS)
    for runs in ([(3, 21)], [(30, 40), (0, 5), (7, 8)], [(39, 40)], [(5, 6), (5, 6)]):
        same(shards.read(runs), joined(whole, runs))
    assert sum(chunk.num_graphs for chunk in GraphShards(tmp_path / "set").chunks()) == 40
    same(load_graphs(str(tmp_path / "set")), whole)


@pytest.mark.parametrize(
    "index",
    [
        slice(3, 15),
        slice(None),
        slice(-4, None),
        slice(5, 5),
        slice(9, 2),
        slice(20, 2, -3),
        [],
        [7, 3, 3, -1],
        np.array([22, 11, 12, 10], dtype=np.int32),
        torch.tensor([5, 0]),
        np.arange(24) % 5 == 0,
        (np.array([23, 5, 22]), ...),
    ],
    ids=str,
)
def test_graphs_are_selected_in_memory_and_on_disk(tmp_path, index):
    """Slices, positions and bools select what a list of the graphs gives, with labels, ids and columns."""
    whole = to_graph_data(named_graphs(24), **NAMES)
    whole = dataclasses.replace(whole, y=torch.arange(24) % 4 - 1, classes=("a", "b", "c"))
    whole = dataclasses.replace(whole, ids=np.array([f"g{n * n}" for n in range(24)]))
    shards = write_shards(tmp_path / "set", (whole[at : at + 10] for at in range(0, 24, 10)))
    chosen = np.arange(24)[index[0] if isinstance(index, tuple) else index].tolist()
    for source in (whole, shards):
        found = source[index]
        assert found.ids.tolist() == [f"g{n * n}" for n in chosen]
        if chosen:
            same(found, joined(whole, [(n, n + 1) for n in chosen]))


def test_single_graphs_are_data(tmp_path, toy):
    shards = write_shards(tmp_path / "set", (toy[at : at + 10] for at in range(0, 24, 10)))
    assert len(toy) == len(shards) == 24
    assert toy.shape == shards.shape == (24,)
    for source in (toy, shards):
        for index in (0, 11, -1, np.int64(5), torch.tensor(3)):
            assert isinstance(source[index], Data)
            assert source[index].id == int(index) % 24
            assert source[index].y == toy.y[index]
        for index in (24, -25, [24]):
            with pytest.raises(IndexError, match="has 24 graphs, got the index"):
                source[index]
        for index in ("a", 1.5, None, [True], [0.5], [[1]]):
            with pytest.raises(InputError, match="must be an int, a slice"):
                source[index]
        assert [graph.num_nodes for graph in source] == toy.node_ptr.diff().tolist()


def test_data_of_a_set_are_read_back_as_the_set(tmp_path):
    """Labels that are integers, attributes, ids and labels of graphs survive the way to PyG and back."""
    graphs = named_graphs()
    for number, graph in enumerate(graphs):
        graph.graph.update(y=[1.5, float("nan"), -2.0][number % 3], id=f"g{number}")
    whole = to_graph_data(graphs, edge_label="bond", node_attr="size", edge_attr="length")
    again = to_graph_data(whole.to_pyg(), **whole.names._asdict())
    assert again.y.isnan().tolist() == whole.y.isnan().tolist()
    for one in (whole, again):
        assert one.labels[0] == 1.5
    same(*(dataclasses.replace(one, y=torch.arange(40)) for one in (whole, again)))


def test_parts_with_the_same_positions_count_on_and_other_repeated_ids_are_refused(tmp_path):
    parts = [to_graph_data(named_graphs(5), **NAMES) for _ in range(2)]
    assert write_shards(tmp_path / "set", parts).ids.tolist() == list(range(10))
    mutag = load_graphs("MUTAG")
    with pytest.raises(InputError, match=r"ids of the graphs for .* must be different"):
        write_shards(tmp_path / "twice", [mutag[:5], mutag[3:9]])
    assert not (tmp_path / "twice").exists()


def test_ids_of_any_length_are_read_by_range(tmp_path):
    ids = ["é" * number + str(number) for number in range(24)]
    graphs = named_graphs(24)
    for graph, one in zip(graphs, ids, strict=True):
        graph.graph["id"] = one
    shards = write_shards(tmp_path / "set", to_chunks(graphs, size=7, **NAMES))
    assert shards.ids.tolist() == ids
    assert shards.read([(3, 9), (20, 24)]).ids.tolist() == [*ids[3:9], *ids[20:24]]
    assert repr(shards).startswith("GraphShards('graphs', 24 graphs, ")


def test_classes_are_numbered_as_in_another_set(tmp_path, toy):
    shards = write_shards(tmp_path / "set", dataclasses.replace(toy, classes=("a", "c")))
    for source in (shards, shards.whole()):
        other = source.with_classes(("a", "b", "c"))
        assert other.y.tolist() == (2 * toy.y).tolist()
        assert other[:3].labels.tolist() == shards.labels[:3].tolist()
        with pytest.raises(InputError, match="are 'a', 'c', must be among 'a', 'b'"):
            source.with_classes(("a", "b"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ids": np.arange(3)}, "one entry for each of 24 graphs, got 24 and 3"),
        ({"y": torch.zeros(3, dtype=torch.int64)}, "one entry for each of 24 graphs, got 3 and 24"),
        ({"classes": ("a", "a")}, "classes must be different"),
        ({"y": torch.full((24,), 2)}, r"y must lie in \[-1, 1\]"),
    ],
)
def test_flat_tensors_that_do_not_fit_together_are_refused(toy, change, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(toy, **change)


def test_columns_can_be_left_unread(tmp_path):
    shards = write_shards(tmp_path / "set", to_chunks(named_graphs(), size=9, **NAMES))
    found = shards.without("node_attr", "edge_label").read([(3, 30)])
    assert found.columns == {"node_label", "edge_attr"}
    assert found.edge_label_values is None
    assert shards.columns == set(COLUMNS)


def test_classes_are_numbered_by_their_order(tmp_path, toy):
    chunks = [
        dataclasses.replace(toy, y=toy.y * 5 + 3, classes=()),
        dataclasses.replace(toy, y=toy.y, classes=(-1, 4)),
    ]
    shards = write_shards(tmp_path / "set", chunks, "twice")
    assert shards.classes == (-1, 3, 4, 8)
    assert shards.labels.tolist() == [*(toy.y * 5 + 3).tolist(), *(toy.y * 5 - 1).tolist()]
    assert (shards.name, shards.num_classes) == ("twice", 4)


@pytest.mark.parametrize("keep_binary", [False, True])
def test_features_are_those_of_the_set_in_memory(tmp_path, keep_binary):
    """Attributes agree up to rounding, as their moments are combined from those of the chunks."""
    graphs = named_graphs()
    for graph in graphs:
        nx.set_node_attributes(graph, {v: [v % 2, 1e4 + v, 0.1] for v in graph}, "size")
    shards = write_shards(tmp_path / "set", to_chunks(graphs, size=9, **NAMES))
    whole = shards.whole()
    found, right = (
        FeatureMap.fit(x, True, keep_binary=keep_binary, with_edges=True) for x in (shards, whole)
    )
    assert found.label_values == right.label_values
    assert found.edges.label_values == right.edges.label_values
    exact = whole.node_attr.double()
    if keep_binary:
        exact = exact[:, 1:]
        assert (found.mean[0], found.std[0]) == (0, 1)
    np.testing.assert_allclose(found.mean[-exact.size(1) :], exact.mean(dim=0), rtol=1e-6)
    std = exact.std(dim=0, correction=0)
    np.testing.assert_allclose(
        found.std[-exact.size(1) :], torch.where(std > 1e-6, std, 1.0), rtol=1e-6
    )
    np.testing.assert_allclose(found.edges.mean, right.edges.mean, rtol=1e-6)
    assert FeatureMap.fit(shards) == FeatureMap.fit(whole)
    bare = ("node_label", "node_attr")
    degrees = (
        FeatureMap.fit(shards.without(*bare)),
        FeatureMap.fit(dataclasses.replace(whole, **dict.fromkeys(bare))),
    )
    assert degrees[0] == degrees[1]
    assert degrees[0].largest_degree is not None


def refused(action, message):
    with pytest.raises(InputError, match=message) as caught:
        action()
    assert "\n" not in str(caught.value)


def test_complaints_number_the_graphs_of_the_whole_iterable(tmp_path):
    graphs = named_graphs()
    del graphs[33].nodes[0]["kind"]
    refused(
        lambda: list(to_chunks(iter(graphs), size=8, **NAMES)), "Graph 33 has no attribute 'kind'"
    )
    mixed = [*named_graphs(10), Data(num_nodes=1)]
    refused(
        lambda: list(to_chunks(mixed, size=3)),
        "networkx for graph 0 and PyTorch Geometric for graph 10",
    )
    odd = [Data(x=torch.zeros(2, 3)) for _ in range(5)] + [Data(x=torch.zeros(2, 4))]
    refused(
        lambda: write_shards(tmp_path / "odd", to_chunks(odd, size=3)),
        "3 columns in graph 3 and 4 in graph 5",
    )
    refused(lambda: write_shards(tmp_path / "odd", to_chunks(odd, size=5)), "of graphs 5 to 5, 4")
    refused(lambda: write_shards(tmp_path / "odd", []), "at least one graph, got none")
    tuples = nx.path_graph(2)
    nx.set_node_attributes(tuples, (1, 2), "kind")
    refused(
        lambda: write_shards(tmp_path / "odd", to_chunks([tuples], node_label="kind")),
        r"got \(1, 2\); convert it",
    )
    assert not (tmp_path / "odd").exists()


def test_what_fails_leaves_nothing_and_what_was_killed_is_replaced(tmp_path, toy):
    def ends():
        yield toy
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shards(tmp_path / "new" / "set", ends())
    assert not (tmp_path / "new" / "set").exists()
    (tmp_path / "kept").mkdir()
    with pytest.raises(KeyboardInterrupt):
        write_shards(tmp_path / "kept", ends())
    assert not list((tmp_path / "kept").iterdir())
    # As kill -9 leaves it: shards, half a file, and no index.
    killed = tmp_path / "killed"
    write_shards(killed, [toy, toy, toy])
    (killed / SHARDS_INDEX).unlink()
    (killed / ".part-abc_1.safetensors").write_bytes(b"half")
    refused(lambda: GraphShards(killed), "the folder has no complete data set")
    same(
        write_shards(killed, [toy]).whole(),
        dataclasses.replace(toy, node_label_values=((0, 1, 2),)),
    )
    assert len(list(killed.glob("*.safetensors"))) == 1


def test_nothing_else_is_ever_replaced(tmp_path, toy):
    write_shards(tmp_path / "set", [toy])
    refused(
        lambda: write_shards(tmp_path / "set", [toy]),
        f"contains {SHARDS_INDEX}, but must be new or empty",
    )
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "encoder.safetensors").write_bytes(b"")
    refused(lambda: write_shards(tmp_path / "other", [toy]), "contains encoder.safetensors")
    (tmp_path / "mine").mkdir()
    for name in (
        "000001.json",
        "000000.safetensors",
    ):  # a name that shards have, and one that they do not
        (tmp_path / "mine" / name).write_bytes(b"mine")
        refused(lambda: write_shards(tmp_path / "mine", [toy]), f"contains 00000[01].{name[7:]}")
        assert (tmp_path / "mine" / name).read_bytes() == b"mine"
        (tmp_path / "mine" / name).unlink()
    refused(lambda: write_shards(tmp_path / "set" / SHARDS_INDEX, [toy]), "is a file")

    def a_second_run_at_once():
        yield toy
        refused(lambda: write_shards(tmp_path / "busy", [toy]), "Another process is writing")
        yield toy

    assert write_shards(tmp_path / "busy", a_second_run_at_once()).num_graphs == 48
    assert FileLock(tmp_path / "busy" / ".graphcl_hard.lock").acquire(timeout=0)


def test_a_flipped_bit_is_found_before_a_graph_is_used(tmp_path, toy):
    folder = tmp_path / "set"
    write_shards(folder, [toy, toy])
    content = bytearray((folder / "000001.safetensors").read_bytes())
    content[-3] ^= 1
    (folder / "000001.safetensors").write_bytes(content)
    shards = GraphShards(folder)
    assert shards.read([(0, 24)]).num_graphs == 24
    refused(
        lambda: shards.read([(20, 30)]),
        "000001.safetensors was changed or damaged .* write the data set again",
    )
    (folder / "000001.safetensors").unlink()
    refused(lambda: GraphShards(folder), "000001.safetensors cannot be read")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", 4),
        ("shards", [["../000000.safetensors", ""]]),
        ("shards", ["000000.safetensors"]),
        ("columns", ["node_label", "x"]),
        ("places", {"node_label": [[0, 0, 1]], "edge_label": []}),
        ("values", {}),
        ("shards", None),
    ],
)
def test_an_index_that_is_none_is_refused(tmp_path, toy, key, value):
    folder = tmp_path / "set"
    write_shards(folder, [toy])
    index = json.loads((folder / SHARDS_INDEX).read_text())
    index |= {key: value}
    (folder / SHARDS_INDEX).write_text(json.dumps(with_checksum(index)))
    refused(lambda: GraphShards(folder), str(folder))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards") / "set"
    write_shards(folder, to_chunks(named_graphs(20), size=7, **NAMES))
    return folder


@campaign(
    "shards, damaged",
    CHANCE,
    st.sampled_from([SHARDS_INDEX, "000000.safetensors", "000002.safetensors"]),
)
def test_any_bytes_in_a_folder_of_shards(written, tmp_path_factory, chance, name):
    """A damaged index is either read correctly or refused in one sentence."""
    folder = tmp_path_factory.getbasetemp() / "damaged-shards"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(written, folder)
    (folder / name).write_bytes(damaged((folder / name).read_bytes(), chance))
    found = outcome(lambda: GraphShards(folder).whole())
    if found is not None:
        same(found, GraphShards(written).whole())


@pytest.mark.parametrize("step", [31, pytest.param(1, marks=pytest.mark.slow)])
def test_every_flipped_bit_of_an_index_is_found(written, tmp_path, step):
    """A changed byte in the name of a shard repeats another shard; one in a label gives another label."""
    shutil.copytree(written, tmp_path / "set")
    content, right = (written / SHARDS_INDEX).read_bytes(), GraphShards(written)
    for bit in range(0, 8 * len(content), step):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        (tmp_path / "set" / SHARDS_INDEX).write_bytes(flipped)
        found = outcome(lambda: GraphShards(tmp_path / "set"))
        if found is not None:  # the case of an escape's letter
            assert vars(found)["_shards"] == vars(right)["_shards"], bit
            same(found.whole(), right.whole())


def test_a_shard_of_another_set_is_refused(tmp_path, toy):
    for name, graphs in (
        ("one", [toy, toy]),
        ("two", [toy, dataclasses.replace(toy, y=1 - toy.y)]),
    ):
        write_shards(tmp_path / name, graphs)
    shutil.copy(tmp_path / "two" / "000001.safetensors", tmp_path / "one")
    refused(
        lambda: GraphShards(tmp_path / "one"),
        "000001.safetensors cannot be read: it belongs to another data set",
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_attributes_are_written_in_float32(tmp_path, toy, dtype):
    attributes = torch.arange(toy.num_nodes, dtype=dtype)[:, None] / 8
    found = (
        write_shards(tmp_path / "set", [dataclasses.replace(toy, node_attr=attributes)])
        .whole()
        .node_attr
    )
    assert found.dtype == torch.float32
    assert torch.equal(found, attributes.float())
    attributes[3] = math.inf
    bad = dataclasses.replace(toy, node_attr=attributes)
    refused(lambda: write_shards(tmp_path / "bad", [toy, bad]), "of graphs")
    refused(
        lambda: write_shards(tmp_path / "bad", [bad]),
        "node_attr of graphs 0 to 23 must be finite 32-bit numbers",
    )
    assert not (tmp_path / "bad").exists()
