"""Names, sources and caches of data sets, and agreement with PyG's own TUDataset."""

import dataclasses
import hashlib
import os
import shutil
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import pytest
import torch
import torch_geometric.datasets
from helpers.paths import MUTAG, ROOT

from graphcl_hard.data import load as data
from graphcl_hard.data.load import load_graphs
from graphcl_hard.data.tu import cache as tu_cache
from graphcl_hard.data.tu import download
from graphcl_hard.data.tu import names as sources
from graphcl_hard.data.tu.dataset import TUDataset
from graphcl_hard.data.tu.names import (
    KNOWN_NAMES,
    check_name,
    default_data_dir,
    embedded_folder,
    suggest,
    writable_folder,
)
from graphcl_hard.exceptions import InputError
from graphcl_hard.io.checksum import read_checksummed, write_checksummed

# The graphs of TINY that have no nodes are warned of, see tests/data/tu.
pytestmark = pytest.mark.filterwarnings("ignore:.* are read as graphs without nodes:UserWarning")

MIRROR = os.environ.get("GRAPHCL_HARD_MIRROR")
# Graphs, classes, mean nodes, mean undirected edges, node labels, node attributes.
EIGHT = {
    "MUTAG": (188, 2, 17.93, 19.79, 7, 0),
    "PTC_MR": (344, 2, 14.29, 14.69, 18, 0),
    "ENZYMES": (600, 6, 32.63, 62.14, 3, 18),
    "PROTEINS": (1113, 2, 39.06, 72.82, 3, 1),
    "IMDB-BINARY": (1000, 2, 19.77, 96.53, 0, 0),
    "IMDB-MULTI": (1500, 3, 13.00, 65.94, 0, 0),
    "DD": (1178, 2, 284.32, 715.66, 82, 0),
    "REDDIT-BINARY": (2000, 2, 429.63, 497.75, 0, 0),
}
TINY = {
    "A": "1, 2\n2, 1\n4, 5\n5, 4\n5, 6\n6, 5\n",
    "graph_indicator": "1\n1\n1\n3\n3\n3\n",
    "graph_labels": "7\n-2\n7\n-2\n",
    "node_labels": "4,0\n9,0\n4,0\n1,1\n4,0\n9,0\n",
    "node_attributes": "1\n2\n3\n4\n5\n6\n",
}


@pytest.fixture(autouse=True)
def _no_network(monkeypatch, tmp_path):
    """Keep every test off the web, and from writing to the checkout or the user's cache."""
    monkeypatch.delenv(sources.MIRROR_VARIABLE, raising=False)
    monkeypatch.setattr(torch_geometric.datasets.TUDataset, "url", "http://127.0.0.1:9")
    monkeypatch.setattr(download, "BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr(data, "default_data_dir", lambda: tmp_path / "default")
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(variable, "127.0.0.1")


@pytest.fixture
def mirror(monkeypatch):
    """Return the folder of the eight data sets."""
    monkeypatch.setenv(sources.MIRROR_VARIABLE, MIRROR)
    return MIRROR


def write(folder, files=TINY, prefix="TINY"):
    folder.mkdir(parents=True, exist_ok=True)
    for kind, text in files.items():
        (folder / f"{prefix}_{kind}.txt").write_text(text)
    return folder


def write_zip(folder, name="TINY", files=TINY):
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}.zip", "w") as zipped:
        for kind, text in files.items():
            zipped.writestr(f"{name}//{name}_{kind}.txt", text)
    return folder


def content(folder):
    return {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def assert_same(left, right):
    for field in (field.name for field in dataclasses.fields(data.GraphData)):
        one, other = getattr(left, field), getattr(right, field)
        if isinstance(one, (torch.Tensor, np.ndarray)):
            one, other = one.tolist(), other.tolist()
        assert one == other, field


def test_flat_tensors_of_a_set_with_empty_graphs(tmp_path):
    graphs = load_graphs(str(write(tmp_path / "s")))
    assert graphs.name == "TINY"
    assert (graphs.num_graphs, graphs.num_nodes, graphs.num_edges, graphs.num_classes) == (
        4,
        6,
        6,
        2,
    )
    assert graphs.node_ptr.tolist() == [0, 3, 3, 6, 6]
    assert graphs.edge_ptr.tolist() == [0, 2, 2, 6, 6]
    assert graphs.edge_index.tolist() == [[0, 1, 3, 4, 4, 5], [1, 0, 4, 3, 5, 4]]
    assert graphs.y.tolist() == [1, 0, 1, 0]
    assert graphs.node_label.tolist() == [[1, 0], [2, 0], [1, 0], [0, 1], [1, 0], [2, 0]]
    assert graphs.node_attr.tolist() == [[1], [2], [3], [4], [5], [6]]
    tensors = (graphs.node_ptr, graphs.edge_index, graphs.edge_ptr, graphs.y, graphs.node_label)
    assert {tensor.dtype for tensor in tensors} == {torch.int64}
    assert graphs.node_attr.dtype == torch.float32


def test_sets_without_labels_attributes_or_edges(tmp_path):
    graphs = load_graphs(
        str(write(tmp_path / "s", {"A": "", "graph_indicator": "1\n", "graph_labels": "0\n"}))
    )
    assert graphs.edge_index.shape == (2, 0)
    assert graphs.edge_ptr.tolist() == [0, 0]
    assert graphs.node_label is None
    assert graphs.node_attr is None


def test_embedded_mutag_needs_nothing_and_writes_nothing(tmp_path):
    before = content(embedded_folder("MUTAG"))
    graphs = load_graphs("MUTAG")
    assert (graphs.num_graphs, graphs.num_nodes, graphs.num_edges) == (188, 3371, 7442)
    assert graphs.node_label.amax(0).tolist() == [6]
    assert content(embedded_folder("MUTAG")) == before
    assert not (tmp_path / "default").exists()


def test_embedded_files_have_the_sums_that_their_readme_gives():
    readme = (ROOT / "datasets" / "README.md").read_text()
    for name, file in content(embedded_folder("MUTAG")).items():
        assert f"| `MUTAG/{name}` | `{hashlib.sha256(file).hexdigest()}` |" in readme


def test_default_folder(monkeypatch, tmp_path):
    if not (MUTAG / "MUTAG_A.txt").is_file():
        pytest.skip("the package does not run from a checkout")
    assert default_data_dir() == ROOT / "datasets"
    monkeypatch.setattr(sources.os, "access", lambda *_args: False)
    monkeypatch.setattr(sources, "user_cache_path", lambda name: tmp_path / name)
    assert default_data_dir() == tmp_path / "graphcl_hard"


def test_wheel_layout_of_the_embedded_set(monkeypatch, tmp_path):
    write(tmp_path / "graphcl_hard" / "datasets" / "MUTAG", prefix="MUTAG")
    monkeypatch.setattr(
        sources, "__file__", str(tmp_path / "graphcl_hard" / "data" / "tu" / "names.py")
    )
    assert embedded_folder("MUTAG") == tmp_path / "graphcl_hard" / "datasets" / "MUTAG"
    assert embedded_folder("TINY") is None


@pytest.mark.parametrize("place", ["TINY", "TINY/raw", "zip"])
def test_places_in_the_data_folder(tmp_path, place):
    root = (
        write_zip(tmp_path / "d")
        if place == "zip"
        else write(tmp_path / "d" / place).parents[place.count("/")]
    )
    assert root == tmp_path / "d"
    before = content(root)
    expected = load_graphs(str(write(tmp_path / "s")))
    assert_same(load_graphs("TINY", data_dir=root), expected)
    assert_same(load_graphs("TINY", data_dir=str(root)), expected)
    if place == "TINY":
        assert content(root) == before
    else:
        assert (root / "TINY" / "processed" / "tu_arrays.safetensors").is_file()


def test_data_folder_comes_before_embedded_copy(tmp_path):
    write(tmp_path / "flat" / "MUTAG", prefix="MUTAG")
    write(tmp_path / "pyg" / "MUTAG" / "raw", prefix="MUTAG")
    for root in ("flat", "pyg"):
        assert load_graphs("MUTAG", data_dir=tmp_path / root).num_graphs == 4
    assert load_graphs("MUTAG", data_dir=tmp_path / "none").num_graphs == 188


def test_data_folder_zip_of_mutag_is_checked_against_the_known_sum(tmp_path):
    write_zip(tmp_path / "d", "MUTAG")
    with pytest.raises(InputError, match=f"must have {download.KNOWN_SHA256['MUTAG']}"):
        load_graphs("MUTAG", data_dir=tmp_path / "d")


def test_mirror_variable(tmp_path, monkeypatch):
    monkeypatch.setenv(sources.MIRROR_VARIABLE, str(write_zip(tmp_path / "m")))
    assert load_graphs("TINY").num_graphs == 4
    assert (tmp_path / "default" / "TINY" / "raw" / "TINY_A.txt").is_file()
    monkeypatch.delenv(sources.MIRROR_VARIABLE)
    assert load_graphs("TINY").num_graphs == 4  # it stays


def test_damaged_user_folder_is_reported_not_replaced(tmp_path, monkeypatch):
    monkeypatch.setenv(sources.MIRROR_VARIABLE, str(write_zip(tmp_path / "m")))
    (write(tmp_path / "d" / "TINY") / "TINY_A.txt").unlink()
    with pytest.raises(InputError, match=r"TINY_A\.txt is missing"):
        load_graphs("TINY", data_dir=tmp_path / "d")


def test_path_of_a_folder(tmp_path, monkeypatch):
    write(tmp_path / "any name!", prefix="My-Set")
    before = content(tmp_path)
    assert load_graphs(str(tmp_path / "any name!")).name == "My-Set"
    monkeypatch.chdir(tmp_path)
    assert load_graphs("any name!").name == "My-Set"
    assert load_graphs("./any name!").name == "My-Set"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_graphs("~/any name!").name == "My-Set"
    assert content(tmp_path) == before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "/no/such/folder",
            "'/no/such/folder' cannot be read .*; give a folder in TU format, with one .*, or the name of a",
        ),
        ("a/\0b", "name_or_path must be the path of a file or folder"),
        ("x/" * 5000, "cannot be read"),
        ("", "The data set name '' must be 1 to 100 letters"),
        (
            "..",
            r"The data folder '\.\.' contains 0 files \*_graph_indicator.txt, must contain exactly 1",
        ),
        ("a b", "The data set name 'a b' must be"),
        ("a\0b", "The data set name .* must be"),
        ("x" * 5000, "The data set name 'x{100}' must be"),
        ("naïve", "The data set name 'naïve' must be"),
        ("MUTAG.", "The data set name 'MUTAG.' must be"),
        ("mutag", "There is no data set 'mutag'; did you mean MUTAG?"),
        ("IMDB_BINARY", "There is no data set 'IMDB_BINARY'; did you mean IMDB-BINARY?"),
        ("ptc-mr", "did you mean PTC_MR?"),
    ],
)
def test_wrong_names_fail_before_any_place_is_tried(name, message, monkeypatch, tmp_path):
    monkeypatch.setattr(
        download, "fetch", lambda *_args, **_options: pytest.fail("a place was tried")
    )
    with pytest.raises(InputError, match=message) as caught:
        load_graphs(name)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_unknown_names_are_tried_and_then_get_a_suggestion(tmp_path):
    with pytest.raises(
        InputError, match=r"PROTEIN could not be fetched: .*; did you mean PROTEINS\?$"
    ):
        load_graphs("PROTEIN", data_dir=tmp_path)
    with pytest.raises(InputError, match=r"to a folder that holds Qqq\.$"):
        load_graphs("Qqq", data_dir=tmp_path)
    with pytest.raises(InputError, match=r"to a folder that holds ENZYMES\.$"):
        load_graphs("ENZYMES", data_dir=tmp_path)
    assert [
        path for path in tmp_path.rglob("*") if path.is_file() and path.parent.name != ".locks"
    ] == []


def test_folders_with_no_set_or_two(tmp_path):
    (tmp_path / "none").mkdir()
    write(write(tmp_path / "two"), prefix="OTHER")
    (tmp_path / "none" / "notes.txt").write_text("")
    for folder, count in (("none", 0), ("two", 2)):
        with pytest.raises(
            InputError,
            match=f"contains {count} files \\*_graph_indicator.txt, must contain exactly 1",
        ):
            load_graphs(str(tmp_path / folder))


def test_data_folder_that_is_a_file(tmp_path):
    (tmp_path / "f").write_text("")
    with pytest.raises(InputError, match="is a file, must be a folder"):
        load_graphs("TINY", data_dir=tmp_path / "f")


def test_known_names_are_distinct_and_valid():
    assert all(check_name(name) == name and suggest(name) == (name, True) for name in KNOWN_NAMES)
    assert len(set(KNOWN_NAMES)) == len(KNOWN_NAMES)


def test_data_folder_that_cannot_be_written(tmp_path, monkeypatch):
    root = write_zip(tmp_path / "d")
    before = content(root)

    def refuse(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(
            sources.Path, "mkdir", refuse
        )  # root may write anywhere, so permissions cannot be tested
        with writable_folder(root / "TINY") as folder:
            assert folder.is_dir()
            assert root not in folder.parents
    assert not folder.exists()

    monkeypatch.setattr(sources.tempfile, "TemporaryFile", refuse)
    monkeypatch.setattr(data, "default_data_dir", lambda: tmp_path)
    assert load_graphs("TINY", data_dir=root).num_graphs == 4
    assert content(root) == before


class TestCache:
    @pytest.fixture
    def root(self, tmp_path):
        write(tmp_path / "d" / "TINY" / "raw")
        load_graphs("TINY", data_dir=tmp_path / "d")
        return tmp_path / "d"

    @pytest.fixture
    def reads(self, monkeypatch):
        """Collect the folders whose text files are read."""
        seen = []
        read = tu_cache.read_tu_folder
        monkeypatch.setattr(
            tu_cache, "read_tu_folder", lambda *args: (seen.append(args), read(*args))[1]
        )
        return seen

    def test_second_load_reads_the_cache_and_is_equal(self, root, reads):
        cached = load_graphs("TINY", data_dir=root)
        assert reads == []
        assert_same(cached, load_graphs(str(root / "TINY" / "raw")))

    def test_edited_file_is_noticed(self, root, reads):
        (root / "TINY" / "raw" / "TINY_graph_labels.txt").write_text("0\n1\n2\n3\n")
        assert load_graphs("TINY", data_dir=root).y.tolist() == [0, 1, 2, 3]
        assert len(reads) == 1
        load_graphs("TINY", data_dir=root)
        assert len(reads) == 1

    @pytest.mark.parametrize(
        "damage",
        [
            lambda c: b"",
            lambda c: c[: len(c) // 2],
            lambda c: b"junk" * 99,
            lambda c: c[:-1] + b"~",
        ],
    )
    def test_damaged_cache_is_rebuilt(self, root, reads, damage):
        path = root / "TINY" / "processed" / "tu_arrays.safetensors"
        good = path.read_bytes()
        path.write_bytes(damage(good))
        assert load_graphs("TINY", data_dir=root).num_graphs == 4
        assert len(reads) == 1
        load_graphs("TINY", data_dir=root)
        assert len(reads) == 1

    def test_cache_never_runs_code(self, root, tmp_path):
        class Evil:
            def __reduce__(self):
                return os.system, (f"touch {tmp_path / 'evil'}",)

        torch.save(Evil(), root / "TINY" / "processed" / "tu_arrays.safetensors")
        assert load_graphs("TINY", data_dir=root).num_graphs == 4
        assert TUDataset(str(root), "TINY").len() == 4
        assert not (tmp_path / "evil").exists()

    def test_no_cache_where_it_cannot_be_written(self, root):
        shutil.rmtree(root / "TINY" / "processed")
        (root / "TINY" / "processed").write_text("in the way")
        assert load_graphs("TINY", data_dir=root).num_graphs == 4
        assert (root / "TINY" / "processed").read_text() == "in the way"

    def test_nothing_temporary_is_left(self, root):
        assert {path.name for path in (root / "TINY" / "processed").iterdir()} <= {
            "tu_arrays.safetensors",
            ".lock",
        }


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_two_processes_ask_for_one_set_at_once(tmp_path):
    write_zip(tmp_path / "m")
    # In a process of its own, since forking the one that runs the tests copies its threads' locks.
    code = f"""
import os
from graphcl_hard.data.load import load_graphs
child = os.fork()
graphs = load_graphs("TINY", data_dir={str(tmp_path / "d")!r})
os.write(1, f"{{graphs.y.tolist()}}\\n".encode())
if child:
    assert os.waitpid(child, 0)[1] == 0
"""
    environment = {
        **os.environ,
        sources.MIRROR_VARIABLE: str(tmp_path / "m"),
        "PYTHONWARNINGS": "ignore",
    }
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert run.stdout == "[1, 0, 1, 0]\n" * 2
    assert run.stderr == ""


def assert_like_pyg(name, root, source, **options):
    """This package's data set and PyG's own, over a copy of the same files, have the same data."""
    shutil.copytree(source, root / "pyg" / name / "raw")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = torch_geometric.datasets.TUDataset(str(root / "pyg"), name, **options)
    ours = TUDataset(str(root / "ours"), name, **options)
    assert ours.sizes == theirs.sizes
    assert ours.num_node_labels == theirs.num_node_labels
    for attribute in ("num_classes", "num_features", "num_node_features", "num_edge_features"):
        assert getattr(ours, attribute) == getattr(theirs, attribute)
    assert list(ours.slices) == list(theirs.slices)
    assert all(torch.equal(ours.slices[key], theirs.slices[key]) for key in theirs.slices)
    mines = ours._data.to_dict()
    assert set(mines) == set(theirs._data.to_dict())
    for key, value in theirs._data.to_dict().items():
        mine = mines[key]
        if isinstance(value, torch.Tensor):
            assert mine.dtype == value.dtype
            assert torch.equal(mine, value), key
        else:
            assert mine == value, key
    assert len(ours) == len(theirs)
    for index in range(0, len(theirs), 7):
        assert ours[index].num_nodes == theirs[index].num_nodes
        assert torch.equal(ours[index].edge_index, theirs[index].edge_index)
        assert str(ours[index]) == str(theirs[index])


@pytest.mark.parametrize("options", [{}, {"use_node_attr": True, "use_edge_attr": True}])
def test_same_data_as_pyg_on_mutag(tmp_path, options, capfd):
    assert_like_pyg("MUTAG", tmp_path, embedded_folder("MUTAG"), **options)
    capfd.readouterr()
    TUDataset(str(tmp_path / "again"), "MUTAG")
    assert capfd.readouterr() == ("", "")


@pytest.mark.filterwarnings("ignore:.*TINY_:UserWarning")  # edges at random
@pytest.mark.filterwarnings("ignore:Found floating-point labels:UserWarning")  # PyG's
def test_same_data_as_pyg_with_edge_attributes_self_loops_and_duplicates(tmp_path):
    rng = np.random.default_rng(0)
    edges = rng.integers(1, 9, size=(60, 2)) + 8 * rng.integers(0, 3, size=(60, 1))
    files = {
        "A": "".join(f"{i}, {j}\n" for i, j in edges),
        "graph_indicator": "1\n" * 8 + "2\n" * 8 + "3\n" * 8,
        "graph_labels": "3\n1\n3\n",
        "node_labels": "".join(f"{i % 3}, {5 - i % 2}\n" for i in range(24)),
        "node_attributes": "".join(f"{value:.6f}\n" for value in rng.normal(size=24)),
        "edge_labels": "".join(f"{value}\n" for value in rng.integers(2, 5, size=60)),
        "edge_attributes": "".join(f"{a}, {b}\n" for a, b in rng.integers(-4, 5, size=(60, 2))),
    }
    plain = {kind: files[kind] for kind in ("A", "graph_indicator", "graph_labels")}
    targets = "".join(f"{value:.6f}\n" for value in rng.normal(size=3))
    several = "".join(f"{value:.6f}, 1\n" for value in rng.normal(size=3))
    unlabelled = {kind: text for kind, text in files.items() if kind != "graph_labels"}
    cases = [
        (files, {}),
        (files, {"use_edge_attr": True}),
        (files, {"use_node_attr": True}),
        (plain, {}),
        (unlabelled, {}),
        ({**unlabelled, "graph_attributes": targets}, {}),
        ({**files, "graph_attributes": several}, {}),
    ]
    for number, (case, options) in enumerate(cases):
        root = tmp_path / str(number)
        write(root / "ours" / "TINY" / "raw", case)
        assert_like_pyg("TINY", root, write(root / "source", case), **options)


@pytest.mark.filterwarnings("ignore:.* than their reverse:UserWarning")
def test_labels_and_attributes_of_edges_follow_the_sorted_edges(tmp_path):
    files = {
        **TINY,
        "A": "5, 6\n2, 1\n1, 2\n4, 5\n6, 5\n5, 4\n",
        "edge_labels": "7, 0\n-3, 1\n-3, 0\n9, 0\n7, 1\n9, 1\n",
        "edge_attributes": "56\n21\n12\n45\n65\n54\n",
    }
    write(tmp_path / "d" / "TINY" / "raw", files)
    graphs = load_graphs("TINY", data_dir=tmp_path / "d")
    assert graphs.edge_index.tolist() == [[0, 1, 3, 4, 4, 5], [1, 0, 4, 3, 5, 4]]
    assert graphs.edge_attr.tolist() == [[12], [21], [45], [54], [56], [65]]
    assert graphs.edge_label.tolist() == [[0, 0], [0, 1], [2, 0], [2, 1], [1, 0], [1, 1]]
    assert_same(load_graphs("TINY", data_dir=tmp_path / "d"), graphs)  # out of the cache
    labels = load_graphs(
        str(write(tmp_path / "l", {k: v for k, v in files.items() if k != "edge_attributes"}))
    )
    assert labels.edge_attr is None
    assert torch.equal(labels.edge_label, graphs.edge_label)
    assert load_graphs(str(write(tmp_path / "n"))).edge_label is None


@pytest.mark.mirror
def test_two_of_the_eight_sets_have_labels_of_edges(mirror, tmp_path):
    found = {
        name: load_graphs(name, data_dir=tmp_path).edge_label
        for name in EIGHT
        if name not in ("DD", "REDDIT-BINARY")
    }
    assert [name for name, label in found.items() if label is not None] == ["MUTAG", "PTC_MR"]
    assert all(
        label.unique().tolist() == [0, 1, 2, 3] for label in found.values() if label is not None
    )


def test_a_cache_of_an_earlier_format_is_read_anew(tmp_path):
    write(tmp_path / "TINY" / "raw", {**TINY, "edge_labels": "0\n0\n1\n1\n2\n2\n"})
    load_graphs("TINY", data_dir=tmp_path)
    path = tmp_path / "TINY" / "processed" / "tu_arrays.safetensors"
    tensors, text = read_checksummed(path, "set")
    del tensors["edge_label"]
    write_checksummed(path, tensors, "set", text.replace(f"{tu_cache.CACHE_FORMAT} ", "1 ", 1))
    assert load_graphs("TINY", data_dir=tmp_path).edge_label.tolist() == [
        [0],
        [0],
        [1],
        [1],
        [2],
        [2],
    ]


@pytest.mark.parametrize("text", ["{", "[]", "null", "{}", '{"digest": 3}'])
def test_a_cache_with_a_right_sum_and_a_wrong_text_is_made_anew_and_was_a_traceback(tmp_path, text):
    write(tmp_path / "TINY" / "raw", TINY)
    expected = load_graphs("TINY", data_dir=tmp_path)
    path = tmp_path / "TINY" / "processed" / "tu_arrays.safetensors"
    tensors, whole = read_checksummed(path, "set")
    write_checksummed(path, tensors, "set", text)
    assert_same(load_graphs("TINY", data_dir=tmp_path), expected)
    assert read_checksummed(path, "set")[1] == whole


def test_pre_transform_and_pre_filter_as_in_pyg_but_never_stale(tmp_path):
    def mark(graph):
        graph.mark = graph.num_nodes
        return graph

    def small(graph):
        return graph.num_nodes < 15

    root = str(tmp_path)
    filtered = TUDataset(root, "MUTAG", pre_transform=mark, pre_filter=small)
    assert 0 < len(filtered) < 188
    assert all(graph.mark == graph.num_nodes < 15 for graph in filtered)
    assert len(TUDataset(root, "MUTAG")) == 188
    assert "mark" not in TUDataset(root, "MUTAG")[0]


def test_pyg_class_reads_a_flat_user_folder_and_writes_nothing(tmp_path):
    write(tmp_path / "TINY")
    before = content(tmp_path)
    dataset = TUDataset(str(tmp_path), "TINY", use_node_attr=True)
    assert [graph.num_nodes for graph in dataset] == [3, 0, 3, 0]
    assert dataset[2].x.tolist()[0] == [
        4,
        1,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        1,
    ]  # attribute, labels 1-9, labels 0-1
    assert content(tmp_path) == before


def test_pyg_class_leaves_nothing_when_nothing_is_reachable(tmp_path):
    with pytest.raises(InputError, match="ENZYMES could not be fetched"):
        TUDataset(str(tmp_path), "ENZYMES")
    assert [path for path in tmp_path.rglob("*") if ".locks" not in path.parts] == []


def test_cleaned_sets_never_come_from_a_mirror(tmp_path, monkeypatch):
    monkeypatch.setenv(sources.MIRROR_VARIABLE, str(write_zip(tmp_path / "m")))
    monkeypatch.setattr(
        torch_geometric.datasets.TUDataset, "cleaned_url", "http://127.0.0.1:9/cleaned"
    )
    with pytest.raises(InputError, match=r"tried http://127\.0\.0\.1:9/cleaned \("):
        TUDataset(str(tmp_path / "d"), "TINY", cleaned=True)


@pytest.mark.mirror
@pytest.mark.parametrize(
    ("name", "options"), [("ENZYMES", {"use_node_attr": True}), ("IMDB-BINARY", {})]
)
def test_same_data_as_pyg_on_sets_of_the_mirror(tmp_path, mirror, name, options):
    ours = TUDataset(str(tmp_path / "ours"), name, **options)
    assert_like_pyg(name, tmp_path, ours.raw_dir, **options)


@pytest.mark.mirror
@pytest.mark.parametrize("name", EIGHT)
def test_the_eight_sets(tmp_path, mirror, name):
    graphs = load_graphs(name, data_dir=tmp_path)
    num_graphs, num_classes, mean_nodes, mean_edges, num_labels, num_attributes = EIGHT[name]
    assert (graphs.num_graphs, graphs.num_classes) == (num_graphs, num_classes)
    assert round(graphs.num_nodes / num_graphs, 2) == mean_nodes
    assert round(graphs.num_edges / 2 / num_graphs, 2) == mean_edges
    assert (0 if graphs.node_label is None else int(graphs.node_label.amax()) + 1) == num_labels
    assert (0 if graphs.node_attr is None else graphs.node_attr.size(1)) == num_attributes
    assert graphs.node_label is None or graphs.node_label.unique().numel() == num_labels
    source, target = graphs.edge_index
    graph = torch.searchsorted(graphs.node_ptr, source, right=True) - 1
    assert torch.equal(graph, torch.searchsorted(graphs.node_ptr, target, right=True) - 1)
    assert torch.equal(graphs.edge_ptr.diff(), torch.bincount(graph, minlength=num_graphs))
    key, reverse = source * graphs.num_nodes + target, target * graphs.num_nodes + source
    assert torch.equal(key, reverse.sort()[0])  # sorted, and every edge in both directions
    assert_same(load_graphs(name, data_dir=tmp_path), graphs)
