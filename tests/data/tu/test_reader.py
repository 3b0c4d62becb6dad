"""The TU reader: round trips, corner cases, damaged files, and the file and line of each error."""

import random
from unittest import mock

import numpy as np
import pytest
from helpers.fuzz import campaign
from hypothesis import strategies as st

from graphcl_hard.data.tu import reader as tu_format
from graphcl_hard.data.tu.reader import TuArrays, one_hot_columns, read_tu_folder, tu_digest
from graphcl_hard.exceptions import InputError

# Two triangles-and-a-tail graphs: nodes 1-3 and 4-6.
SMALL = {
    "A": "1, 2\n2, 1\n2, 3\n3, 2\n4, 5\n5, 4\n",
    "graph_indicator": "1\n1\n1\n2\n2\n2\n",
    "graph_labels": "-1\n1\n",
    "node_labels": "0\n3\n0\n7\n7\n3\n",
    "node_attributes": "0.5, 1\n1, 2\n2, 3\n3, 4\n4, 5\n5, 6.25\n",
    "edge_labels": "0\n0\n2\n2\n1\n1\n",
}


def write(folder, files, prefix="DS"):
    folder.mkdir(exist_ok=True, parents=True)
    for path in folder.iterdir():
        path.unlink()
    for kind, content in files.items():
        (folder / f"{prefix}_{kind}.txt").write_bytes(
            content if isinstance(content, bytes) else content.encode()
        )
    return folder


def assert_same(left, right):
    for name, one, other in zip(TuArrays._fields, left, right, strict=True):
        if one is None or other is None:
            assert one is other, name
        else:
            np.testing.assert_array_equal(one, other, err_msg=name)


def test_small_set(tmp_path):
    arrays = read_tu_folder(write(tmp_path / "s", SMALL), "DS")
    np.testing.assert_array_equal(arrays.node_graph, [0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(arrays.graph_label, [-1, 1])
    np.testing.assert_array_equal(arrays.edge_index, [[0, 1, 1, 2, 3, 4], [1, 0, 2, 1, 4, 3]])
    np.testing.assert_array_equal(arrays.node_label, [[0], [3], [0], [7], [7], [3]])
    np.testing.assert_array_equal(arrays.node_attr[-1], np.float32([5, 6.25]))
    np.testing.assert_array_equal(arrays.edge_attr.argmax(1), [0, 0, 2, 2, 1, 1])
    np.testing.assert_array_equal(arrays.edge_label, [[0], [0], [2], [2], [1], [1]])
    assert arrays.num_edge_attributes == 0
    assert (arrays.edge_index.dtype, arrays.node_attr.dtype) == (np.int64, np.float32)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.rstrip("\n"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: text.replace(", ", ","),
        lambda text: text.replace("\n", "  \n").replace(",", " ,\t"),
        lambda text: text + "\n \n",
    ],
    ids=[
        "no last newline",
        "windows",
        "old mac",
        "no spaces",
        "more spaces",
        "blank lines at the end",
    ],
)
def test_other_ways_to_write_the_same(tmp_path, change):
    expected = read_tu_folder(write(tmp_path / "s", SMALL), "DS")
    changed = {kind: change(text) for kind, text in SMALL.items()}
    assert_same(read_tu_folder(write(tmp_path / "c", changed), "DS"), expected)


def test_one_node_no_edges(tmp_path):
    files = {
        "A": "",
        "graph_indicator": "1",
        "graph_labels": "5",
        "node_labels": "2,3",
        "edge_labels": "",
    }
    arrays = read_tu_folder(write(tmp_path / "s", files), "DS")
    assert arrays.edge_index.shape == (2, 0)
    assert arrays.node_label.shape == (1, 2)
    assert arrays.edge_attr is None


def test_empty_graphs_in_the_middle_and_at_the_end(tmp_path):
    files = {"A": "1,2\n2,1\n", "graph_indicator": "1\n1\n3\n", "graph_labels": "0\n1\n0\n1\n"}
    arrays = read_tu_folder(write(tmp_path / "s", files), "DS")
    np.testing.assert_array_equal(arrays.node_graph, [0, 0, 2])
    assert len(arrays.graph_label) == 4


def test_self_loops_go_and_duplicates_merge_with_summed_attributes(tmp_path):
    files = {
        "A": "2,1\n1,2\n1,1\n1,2\n2,1\n1,2\n",
        "graph_indicator": "1\n1\n",
        "graph_labels": "1\n",
        "edge_labels": "5\n5\n5\n6\n5\n5\n",
        "edge_attributes": "1\n10\n100\n1000\n10000\n0.5\n",
    }
    arrays = read_tu_folder(write(tmp_path / "s", files), "DS")
    np.testing.assert_array_equal(arrays.edge_index, [[0, 1], [1, 0]])
    np.testing.assert_array_equal(arrays.edge_attr, [[1010.5, 2, 1], [10001, 2, 0]])
    np.testing.assert_array_equal(arrays.edge_label, [[5], [5]])
    files["edge_labels"] = "5\n6\n5\n5\n5\n5\n"  # the first of an edge's lines counts
    np.testing.assert_array_equal(
        read_tu_folder(write(tmp_path / "s", files), "DS").edge_label, [[6], [5]]
    )
    assert arrays.num_edge_attributes == 1


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("A", None, r"DS_A\.txt is missing"),
        ("graph_indicator", None, r"DS_graph_indicator\.txt is missing"),
        (
            "graph_labels",
            None,
            r"DS_graph_labels\.txt is missing, and evaluation needs a class label",
        ),
        ("graph_indicator", " \n", r"DS_graph_indicator\.txt is empty"),
        ("graph_labels", "", r"DS_graph_labels\.txt is empty"),
        ("A", "1, 2\n2; 1\n", r"DS_A\.txt, line 2: '2; 1' is not an integer"),
        ("A", "1, 2\n2, x\n", r"DS_A\.txt, line 2: 'x' is not an integer"),
        ("A", "1, 2\n2, 1, 1\n", r"DS_A\.txt, line 2: 3 comma-separated values, must be 2"),
        ("A", "1\n2\n", r"DS_A\.txt, line 1: 1 comma-separated values, must be 2"),
        ("A", "1, 2\n\n2, 1\n", r"DS_A\.txt, line 2 is blank"),
        (
            "A",
            "\r1, 2\n2, 1\n",
            r"DS_A\.txt, line 1 is blank",
        ),  # which has as many lines as numbers
        ("A", "1, 2\n2, 7\n", r"DS_A\.txt, line 2: node id 7 is outside 1\.\.6"),
        ("A", "0, 1\n", r"DS_A\.txt, line 1: node id 0 is outside 1\.\.6"),
        ("A", "1, 2\n3, 4\n", r"DS_A\.txt, line 2: the edge 3, 4 joins graphs 1 and 2"),
        ("A", b"\xef\xbb\xbf1, 2\n", r"DS_A\.txt, line 1: a byte order mark"),
        ("A", b"1, 2\n2, \xe9\n", r"DS_A\.txt, line 2: byte 0xe9"),
        (
            "A",
            "1, 2\n2, 99999999999999999999\n",
            r"DS_A\.txt, line 2: '99999999999999999999' is not an integer",
        ),
        ("A", b"1, 2\n2, 1\x00\n", r"DS_A\.txt, line 2"),
        ("graph_indicator", "0\n0\n0\n1\n1\n1\n", r"line 1: the first graph id is 0, must be 1"),
        (
            "graph_indicator",
            "1\n1\n2\n1\n2\n2\n",
            r"line 4: graph id 1 comes after 2, must not decrease",
        ),
        (
            "graph_indicator",
            "1\n1\n1\n2\n2\n3\n",
            r"line 6: graph id 3 is above 2, the number of lines in DS_graph_l",
        ),
        (
            "graph_indicator",
            "1,1\n",
            r"DS_graph_indicator\.txt, line 1: 2 comma-separated values, must be 1",
        ),
        ("graph_labels", "1\n", r"DS_graph_indicator\.txt, line 4: graph id 2 is above 1"),
        ("graph_labels", "1\n1.0\n", r"DS_graph_labels\.txt, line 2: '1.0' is not an integer"),
        ("graph_labels", "1\n2#x\n", r"DS_graph_labels\.txt, line 2: '2#x' is not an integer"),
        (
            "node_labels",
            "0\n1\n",
            r"DS_node_labels\.txt has 2 lines, must have 6 like DS_graph_indicator\.txt",
        ),
        (
            "node_labels",
            "0\n1\n1\n1\n1\n1_0\n",
            r"DS_node_labels\.txt, line 6: '1_0' is not an integer",
        ),
        ("node_attributes", "0,1\n" * 5, r"DS_node_attributes\.txt has 5 lines, must have 6"),
        (
            "node_attributes",
            "0\n0\n0\nnan\n0\n0\n",
            r"DS_node_attributes\.txt, line 4: a value is not a finite",
        ),
        (
            "node_attributes",
            "0\n0\n0\n0\n1e39\n0\n",
            r"DS_node_attributes\.txt, line 5: a value is not a finite",
        ),
        (
            "node_attributes",
            "0\n0\n0\n0\n0\nabc\n",
            r"DS_node_attributes\.txt, line 6: 'abc' is not a number",
        ),
        (
            "node_attributes",
            "0\n0\n0\n0\n0\n1_0\n",
            r"DS_node_attributes\.txt, line 6: '1_0' is not a number",
        ),
        ("edge_labels", "0\n0\n", r"DS_edge_labels\.txt has 2 lines, must have 6 like DS_A\.txt"),
        (
            "edge_labels",
            "0\n0\n0\n0\n0\n900000000000\n",
            r"DS_edge_labels\.txt: labels from 0 to 900000000000",
        ),
        ("edge_attributes", "0\n0\n", r"DS_edge_attributes\.txt has 2 lines, must have 6"),
    ],
)
def test_errors_name_file_and_line(tmp_path, kind, content, message):
    files = {**SMALL, kind: content}
    folder = write(
        tmp_path / "s", {kind: content for kind, content in files.items() if content is not None}
    )
    with pytest.raises(InputError, match=message) as caught:
        read_tu_folder(folder, "DS")
    assert "\n" not in str(caught.value)


def test_a_folder_in_place_of_a_file(tmp_path):
    folder = write(tmp_path / "s", SMALL)
    (folder / "DS_A.txt").unlink()
    (folder / "DS_A.txt").mkdir()
    with pytest.raises(InputError, match=r"DS_A\.txt cannot be read"):
        read_tu_folder(folder, "DS")


def test_one_hot_columns_span_the_range_of_each_column():
    out = one_hot_columns(np.array([[2, -1], [4, -1]]), "labels")
    np.testing.assert_array_equal(out, [[1, 0, 0, 1], [0, 0, 1, 1]])
    with pytest.raises(InputError, match="renumber the labels"):
        one_hot_columns(np.array([[-(2**63)], [2**63 - 1]]), "labels")


def test_digest_follows_content_and_presence_of_files(tmp_path):
    digests = {tu_digest(write(tmp_path / "s", SMALL), "DS")}
    assert digests == {tu_digest(write(tmp_path / "t", SMALL), "DS")}
    digests.add(
        tu_digest(
            write(tmp_path / "s", {**SMALL, "node_labels": SMALL["node_labels"][:-2] + "4\n"}), "DS"
        )
    )
    digests.add(
        tu_digest(
            write(tmp_path / "s", {k: v for k, v in SMALL.items() if k != "edge_labels"}), "DS"
        )
    )
    digests.add(
        tu_digest(write(tmp_path / "s", {**SMALL, "edge_attributes": SMALL["edge_labels"]}), "DS")
    )
    assert len(digests) == 4


def test_slow_path_reads_the_same_numbers(tmp_path):
    folder = write(tmp_path / "s", SMALL)
    expected = read_tu_folder(folder, "DS")
    with mock.patch.object(tu_format.np, "loadtxt", side_effect=ValueError):
        assert_same(read_tu_folder(folder, "DS"), expected)


@st.composite
def tu_sets(draw):
    """Draw data sets as (arrays, files): undirected graphs of 0 to 5 nodes, the first of them not empty."""
    sizes = [draw(st.integers(1, 5)), *draw(st.lists(st.integers(0, 5), max_size=4))]
    labels = [draw(st.integers(-3, 3)) for _ in sizes]
    num_nodes, first, edges = sum(sizes), 0, []
    for size in sizes:
        pairs = [(i, j) for i in range(first, first + size) for j in range(first, i)]
        chosen = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
        edges += sorted(chosen + [pair[::-1] for pair in chosen])
        first += size
    node_graph = np.repeat(np.arange(len(sizes)), sizes)
    edge_index = np.array(edges, dtype=np.int64).reshape(-1, 2).T
    integers, reals = (
        st.integers(-(2**40), 2**40),
        st.floats(width=32, allow_nan=False, allow_infinity=False),
    )

    def table(values, rows, dtype):
        if not draw(st.booleans()):
            return None
        columns = draw(st.integers(1, 3))
        return np.array([[draw(values) for _ in range(columns)] for _ in range(rows)], dtype=dtype)

    node_label = table(integers, num_nodes, np.int64)
    node_attr = table(reals, num_nodes, np.float32)
    edge_attr = table(reals, len(edges), np.float32) if edges else None
    num_edge_attributes = 0 if edge_attr is None else edge_attr.shape[1]
    arrays = TuArrays(
        node_graph,
        np.array(labels),
        edge_index,
        node_label,
        node_attr,
        edge_attr,
        num_edge_attributes,
    )
    comma, newline = (
        draw(st.sampled_from([",", ", ", " , "])),
        draw(st.sampled_from(["\n", "\r\n"])),
    )

    def text(rows):
        return newline.join(comma.join(repr(value) for value in row) for row in rows) + draw(
            st.sampled_from(["", "\n"])
        )

    files = {
        "A": text((edge_index.T + 1).tolist()),
        "graph_indicator": text((node_graph[:, None] + 1).tolist()),
        "graph_labels": text([[label] for label in labels]),
        "node_labels": None if node_label is None else text(node_label.tolist()),
        "node_attributes": None if node_attr is None else text(node_attr.tolist()),
        "edge_attributes": None if edge_attr is None else text(edge_attr.tolist()),
    }
    return arrays, {kind: content for kind, content in files.items() if content is not None}


@pytest.mark.slow
@campaign("TU folders, written and read", tu_sets())
def test_written_sets_are_read_back_equal(tmp_path, drawn):
    arrays, files = drawn
    assert_same(read_tu_folder(write(tmp_path / "s", files), "DS"), arrays)


@pytest.mark.slow
@campaign(
    "TU folders, damaged",
    tu_sets(),
    st.randoms(use_true_random=False),
    st.sampled_from(["line", "bytes", "token", "byte", "file"]),
)
def test_damage_gives_a_sound_set_or_an_error_that_names_a_file(
    tmp_path, drawn, chance: random.Random, damage
):
    _, files = drawn
    kind = chance.choice(sorted(files))
    content = files[kind].encode()
    if damage == "line":
        lines = content.splitlines(keepends=True)
        gone = chance.randrange(len(lines) or 1)
        files[kind] = b"".join(lines[:gone] + lines[gone + 1 :])
    elif damage == "bytes":
        files[kind] = content[: chance.randint(0, len(content))]
    elif damage == "token":
        token = chance.choice(
            [
                "",
                "x",
                "nan",
                "-1",
                "0",
                "1e5",
                "7",
                "99999999999999999999",
                "\x00",
                "1 2",
                "#",
                '"1"',
            ]
        )
        parts = files[kind].split(",")
        parts[chance.randrange(len(parts))] = token
        files[kind] = ",".join(parts)
    elif damage == "byte" and content:
        position = chance.randrange(len(content))
        files[kind] = content[:position] + bytes([chance.randrange(256)]) + content[position + 1 :]
    elif damage == "file":
        del files[kind]
    folder = write(tmp_path / "s", files)
    try:
        arrays = read_tu_folder(folder, "DS")
    except InputError as error:
        assert "DS_" in str(error)  # noqa: PT017 - either outcome is right
        return
    with mock.patch.object(tu_format.np, "loadtxt", side_effect=ValueError):
        assert_same(
            read_tu_folder(folder, "DS"), arrays
        )  # the fast parser lets nothing through that the slow one would
    num_nodes, num_graphs = len(arrays.node_graph), len(arrays.graph_label)
    assert arrays.node_graph[0] == 0
    assert arrays.node_graph[-1] < num_graphs
    assert (np.diff(arrays.node_graph) >= 0).all()
    assert ((arrays.edge_index >= 0) & (arrays.edge_index < num_nodes)).all()
    assert (
        arrays.node_graph[arrays.edge_index[0]] == arrays.node_graph[arrays.edge_index[1]]
    ).all()
    for table, rows in [(arrays.node_label, num_nodes), (arrays.node_attr, num_nodes)]:
        assert table is None or len(table) == rows
    assert arrays.edge_attr is None or len(arrays.edge_attr) == arrays.edge_index.shape[1]
    assert arrays.node_attr is None or np.isfinite(arrays.node_attr).all()
