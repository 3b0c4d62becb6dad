"""Folders and files as data sets: by pathlib.Path, with any characters, and what is said where there is no data set."""

from pathlib import Path

import pytest
import torch_geometric.datasets

from graphcl_hard import HardInfoGraph
from graphcl_hard.data.load import load_graphs, open_dataset
from graphcl_hard.data.tu import download
from graphcl_hard.data.tu.dataset import TUDataset
from graphcl_hard.data.tu.names import MIRROR_VARIABLE, safe_name
from graphcl_hard.exceptions import InputError


@pytest.fixture(autouse=True)
def _no_network(monkeypatch, tmp_path):
    """Fail where the network would be asked, and work in an empty folder that is also the home folder."""

    def refuse(*_args, **_options):
        pytest.fail("a source was asked")

    monkeypatch.setattr(download, "_download", refuse)
    monkeypatch.setattr(torch_geometric.datasets.TUDataset, "url", "http://127.0.0.1:9")
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def write(folder, prefix="DS"):
    folder.mkdir(parents=True)
    files = {
        "A": "1, 2\n2, 1\n3, 4\n4, 3\n",
        "graph_indicator": "1\n1\n2\n2\n",
        "graph_labels": "1\n0\n",
    }
    for kind, text in files.items():
        (folder / f"{prefix}_{kind}.txt").write_text(text)
    return folder


@pytest.mark.parametrize("folder", ["mine", "my graphs", "größe 図", "a'b$(c)"])
@pytest.mark.parametrize("prefix", ["DS", "my set", "größe 図"])
def test_a_folder_and_its_files_may_have_any_name(tmp_path, folder, prefix):
    write(tmp_path / folder, prefix)
    for given in (folder, f"./{folder}", f"~/{folder}", Path(folder), Path("~") / folder):
        graphs = load_graphs(given)
        assert graphs.num_graphs == 2
        assert graphs.name == safe_name(prefix)
        assert open_dataset(given).num_graphs == 2


def test_a_name_that_is_not_safe_is_made_so():
    assert [safe_name(name) for name in ("MUTAG", "my set", "größe", "図", "../x", "a" * 200)] == [
        *("MUTAG", "my_set", "gr_e", "data", "x"),
        "a" * 100,
    ]


def test_the_data_folder_and_the_mirror_may_be_paths_and_begin_with_a_tilde(tmp_path, monkeypatch):
    write(tmp_path / "größe 図" / "TINY" / "raw", "TINY")
    for data_dir in ("~/größe 図", Path("~/größe 図"), tmp_path / "größe 図"):
        assert load_graphs("TINY", data_dir=data_dir).num_graphs == 2
        assert len(TUDataset(data_dir, "TINY")) == 2
    monkeypatch.setenv(MIRROR_VARIABLE, "~/größe 図")
    assert load_graphs("TINY", data_dir=tmp_path / "copy").num_graphs == 2


@pytest.mark.parametrize("name", ["table.csv", "my table.csv", "table"])
def test_a_file_is_not_looked_up_as_a_data_set(tmp_path, name):
    (tmp_path / name).write_text("smiles,y\n")
    for given in (name, f"./{name}", Path(name)):
        with pytest.raises(
            InputError, match=rf"^'[^ ]*{name}' is a file; give a folder in TU format"
        ):
            load_graphs(given)


def test_a_folder_without_a_data_set_is_not_looked_up(tmp_path):
    write(tmp_path / "layout" / "raw")
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "A.txt").write_text("1, 2\n")
    for name, message in {
        "empty": r"'empty' is empty; give a folder in TU format, with one \*_graph_indicator\.txt",
        "other": r"'other' contains 0 files \*_graph_indicator\.txt, must contain exactly 1; give",
        "layout": r"has its data set in the folder raw; give 'layout.raw'",
    }.items():
        for given in (name, f"./{name}", Path(name)):
            with pytest.raises(InputError, match=message):
                load_graphs(given)


def test_a_known_name_and_the_folder_of_a_data_set_are_looked_up(tmp_path, monkeypatch):
    (tmp_path / "PROTEINS").mkdir()
    write(tmp_path / "TINY" / "raw", "TINY")
    assert load_graphs("TINY", data_dir=".").num_graphs == 2
    (tmp_path / "NEW").mkdir()  # as a killed process leaves it
    asked = []
    monkeypatch.setattr(download, "fetch", lambda name, *_args, **_options: asked.append(name))
    for name in ("PROTEINS", "NEW"):
        with pytest.raises(InputError, match="is missing"):
            load_graphs(name, data_dir="." if name == "NEW" else "elsewhere")
    assert asked == ["PROTEINS", "NEW"]


@pytest.mark.parametrize("given", [5, None, b"mine", ["MUTAG"]])
def test_what_cannot_be_a_path_is_refused(given):
    with pytest.raises(InputError, match=r"name_or_path must be a string or a pathlib\.Path"):
        load_graphs(given)
    if given is not None:
        with pytest.raises(InputError, match=r"The data set name .* must be 1 to 100 letters"):
            TUDataset(".", given)
        with pytest.raises(InputError, match=r"data_dir must be a string or a pathlib\.Path"):
            load_graphs("TINY", data_dir=given)


@pytest.mark.filterwarnings("ignore:A batch has 2 graphs:UserWarning")
def test_the_pyg_class_is_a_list_of_graphs_for_the_estimator(tmp_path):
    write(tmp_path / "TINY", "TINY")
    dataset = TUDataset(tmp_path, "TINY")
    assert [int(graph.y) for graph in dataset] == [1, 0]
    model = HardInfoGraph(epochs=1, batch_size=2, random_state=0).fit(dataset)
    assert (model.transform(list(dataset)) == model.transform(load_graphs(tmp_path / "TINY"))).all()
    (tmp_path / "TINY" / "TINY_graph_labels.txt").unlink()
    unlabelled = TUDataset(tmp_path, "TINY")
    assert all(graph.y is None for graph in unlabelled)
    assert (
        HardInfoGraph(epochs=1, batch_size=2, random_state=0).fit_transform(unlabelled)
        == model.transform(dataset)
    ).all()
