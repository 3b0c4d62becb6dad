"""Graphs keep ids, labels and class names from the files of a data set to the vectors, and changed data are seen."""

import json

import networkx as nx
import numpy as np
import pandas as pd
import pytest

from graphcl_hard import GraphShards, InputError, load_graphs, write_shards
from graphcl_hard.data.collate import to_graph_data
from graphcl_hard.embed import main as embed
from graphcl_hard.evaluate import main as evaluate
from graphcl_hard.io.checksum import read_checksummed
from graphcl_hard.run import main as run
from graphcl_hard.runs import experiment
from graphcl_hard.runs.resume import check_same_data, environment_change

SMALL = [
    *("--hidden-channels", "4", "--num-layers", "2", "--epochs", "1", "--folds", "3"),
    *("--repeats", "1", "--no-pictures", "--quiet"),
]


def rings(count=24, labels=("b", "a"), start=0):
    """Return cycles and paths with a label, an id and an attribute."""
    graphs = []
    for number in range(start, start + count):
        graph = (nx.cycle_graph, nx.path_graph)[number % 2](4 + number // 2 % 6)
        nx.set_node_attributes(graph, number % 3, "kind")
        graph.graph.update(id=f"g{number}", y=labels[number % len(labels)])
        graphs.append(graph)
    return graphs


def written(folder, graphs):
    return write_shards(folder, graphs, node_label="kind")


def save_tu(folder, graphs, labels):
    """Write graphs and their labels as a folder in TU format."""
    folder.mkdir(exist_ok=True)
    edges, indicator = [], []
    for number, graph in enumerate(graphs, 1):
        first = len(indicator) + 1
        indicator += [number] * len(graph)
        for u, v in graph.edges:
            edges += [f"{first + u}, {first + v}", f"{first + v}, {first + u}"]
    for kind, rows in (("A", edges), ("graph_indicator", indicator), ("graph_labels", labels)):
        (folder / f"DS_{kind}.txt").write_text("".join(f"{row}\n" for row in rows))
    return folder


def test_ids_and_names_of_classes_reach_every_file(tmp_path, capsys):
    """The run's embeddings and the vectors of other graphs with fewer classes have the labels of the data."""
    written(tmp_path / "old", rings(labels=("c", "a", "b")))
    new = [graph for graph in rings(labels=("c", "a", "b")) if graph.graph["y"] != "a"]
    written(tmp_path / "new", new)
    assert run(["--dataset", str(tmp_path / "old"), *SMALL, "--out", str(tmp_path / "run")]) == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text())["dataset"]
    assert (result["classes"], result["class_names"]) == (3, ["a", "b", "c"])
    assert result["unlabelled"] == 0
    assert result["sha256"] == load_graphs(str(tmp_path / "old")).checksum
    with np.load(tmp_path / "run" / "embeddings.npz") as arrays:
        assert arrays["id"].tolist() == [f"g{number}" for number in range(24)]
        assert arrays["y"].tolist() == ["c", "a", "b"] * 8
        assert str(arrays["data_sha256"]) == result["sha256"]
    for suffix in (".csv", ".parquet", ".npz"):
        out = tmp_path / f"new{suffix}"
        assert (
            embed([str(tmp_path / "run"), "--data", str(tmp_path / "new"), "--out", str(out)]) == 0
        )
        if suffix == ".npz":
            with np.load(out) as arrays:
                table = {"id": arrays["id"], "y": arrays["y"]}
        else:
            table = (pd.read_csv if suffix == ".csv" else pd.read_parquet)(out)
        assert list(table["id"]) == [graph.graph["id"] for graph in new]
        assert list(table["y"]) == ["c", "b"] * 8
        assert evaluate([str(out), "--folds", "3", "--repeats", "1"]) == 0
    assert "has the classes" not in capsys.readouterr().err


def test_the_labels_of_a_tu_folder_reach_every_file(tmp_path):
    labels = [(1, 2, 5)[number % 3] for number in range(24)]
    new = [number for number in range(24) if labels[number] != 1]
    graphs = rings()
    save_tu(tmp_path / "old", graphs, labels)
    save_tu(tmp_path / "new", [graphs[n] for n in new], [labels[n] for n in new])
    assert run(["--dataset", str(tmp_path / "old"), *SMALL, "--out", str(tmp_path / "run")]) == 0
    out = tmp_path / "new.csv"
    assert embed([str(tmp_path / "run"), "--data", str(tmp_path / "new"), "--out", str(out)]) == 0
    with np.load(tmp_path / "run" / "embeddings.npz") as arrays:
        assert arrays["y"][new].tolist() == [labels[n] for n in new]
        assert arrays["id"].tolist() == list(range(1, 25))
    table = pd.read_csv(out)
    assert table["y"].tolist() == [labels[n] for n in new]
    assert table["id"].tolist() == list(range(1, 17))


def test_other_classes_than_those_of_the_run_are_named(tmp_path, capsys):
    written(tmp_path / "old", rings())
    written(tmp_path / "new", rings(labels=("x", "a")))
    words = ["--dataset", str(tmp_path / "old"), *SMALL, "--no-evaluate"]
    assert run([*words, "--out", str(tmp_path / "run")]) == 0
    words = [
        str(tmp_path / "run"),
        "--data",
        str(tmp_path / "new"),
        "--out",
        str(tmp_path / "v.csv"),
    ]
    assert embed(words) == 0
    assert "graphs has the classes 'a', 'x', and the data of the run 'a', 'b'" in " ".join(
        capsys.readouterr().err.split()
    )


def test_graphs_without_a_class_are_embedded_and_not_scored(tmp_path, capsys):
    graphs = rings()
    for number in (4, 9):
        graphs[number].graph["y"] = None
    written(tmp_path / "set", graphs)
    assert run(["--dataset", str(tmp_path / "set"), *SMALL, "--out", str(tmp_path / "run")]) == 0
    assert "2 of 24 graphs have no class" in capsys.readouterr().err
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["dataset"]["unlabelled"] == 2
    assert sum(result["scores"]["svm"]["trained"]["test_sizes"][0]) == 22
    with np.load(tmp_path / "run" / "embeddings.npz") as arrays:
        assert arrays["trained"].shape[0] == 24
        assert arrays["y"][[3, 4, 9]].tolist() == ["a", "", ""]
    assert (
        evaluate([str(tmp_path / "run" / "embeddings.npz"), "--folds", "3", "--repeats", "1"]) == 0
    )


@pytest.mark.parametrize("labels", [(None,), (0.5, 1.5, -2.0)])
def test_sets_without_classes_train_without_an_evaluation(tmp_path, capsys, labels):
    written(tmp_path / "set", rings(labels=labels))
    words = [
        "--dataset",
        str(tmp_path / "set"),
        *SMALL,
        "--pictures",
        "--out",
        str(tmp_path / "run"),
    ]
    if labels[0] is None:
        assert run(words) == 2
        assert "graphs has no classes to evaluate with; give --no-eval" in capsys.readouterr().err
    assert run([*words, "--no-evaluate"]) == 0
    out = tmp_path / "v.csv"
    assert embed([str(tmp_path / "run"), "--data", str(tmp_path / "set"), "--out", str(out)]) == 0
    table = pd.read_csv(out)
    assert ("y" in table) == (labels[0] is not None)
    if "y" in table:
        assert table["y"].tolist() == [0.5, 1.5, -2.0] * 8


def test_measured_targets_are_no_missing_labels(tmp_path):
    written(tmp_path / "set", rings(labels=(0.5, None, -2.0)))
    words = ["--dataset", str(tmp_path / "set"), *SMALL, "--no-evaluate"]
    assert run([*words, "--out", str(tmp_path / "run")]) == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["dataset"]["unlabelled"] == 8


def test_several_targets_reach_every_file(tmp_path):
    written(tmp_path / "set", rings(labels=([0.5, 1], None, [None, 0], [0.25, None])))
    nan = np.nan
    right = np.array([[0.5, 1], [nan, nan], [nan, 0], [0.25, nan]] * 6)
    words = ["--dataset", str(tmp_path / "set"), *SMALL, "--pictures", "--no-evaluate"]
    assert run([*words, "--out", str(tmp_path / "run")]) == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text())["dataset"]
    assert (result["targets"], result["unlabelled"]) == (["0", "1"], 6)
    words = [str(tmp_path / "run"), "--data", str(tmp_path / "set"), "--quiet", "--out"]
    assert embed([*words, str(tmp_path / "v.npz")]) == 0
    assert embed([*words, str(tmp_path / "v.csv")]) == 0
    with np.load(tmp_path / "v.npz") as arrays:
        np.testing.assert_array_equal(arrays["y"], right)
        assert arrays["targets"].tolist() == ["0", "1"]
    np.testing.assert_array_equal(pd.read_csv(tmp_path / "v.csv")[["y.0", "y.1"]], right)


def test_a_single_class_is_named(tmp_path, capsys):
    written(tmp_path / "set", rings(labels=("b",)))
    assert run(["--dataset", str(tmp_path / "set"), *SMALL, "--out", str(tmp_path / "run")]) == 2
    assert "All labelled graphs of graphs have the class b" in capsys.readouterr().err


def test_a_class_that_is_too_small_is_named_as_in_the_data(tmp_path, capsys):
    graphs = rings()
    for number in (3, 8):
        graphs[number].graph["y"] = "rare"
    written(tmp_path / "set", graphs)
    assert run(["--dataset", str(tmp_path / "set"), *SMALL, "--out", str(tmp_path / "run")]) == 2
    assert "class rare has 2 graphs" in capsys.readouterr().err


@pytest.fixture
def stopped(tmp_path, monkeypatch):
    """Return a folder with a run that was stopped after its first epoch, and the words that continue it."""
    written(tmp_path / "set", rings())
    words = [
        "--dataset",
        str(tmp_path / "set"),
        *SMALL,
        "--epochs",
        "3",
        "--checkpoint-seconds",
        "0",
    ]
    words += ["--out", str(tmp_path / "run")]
    real = experiment.write_checkpoint

    def stop(*args):
        real(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(experiment, "write_checkpoint", stop)
    assert run(words) == 130
    monkeypatch.setattr(experiment, "write_checkpoint", real)
    return tmp_path, [*words, "--resume"]


def rewritten(folder, graphs):
    for path in folder.iterdir():
        path.unlink()
    written(folder, graphs)


def changed(what):
    """Return the graphs of `rings` with one change."""
    graphs = rings()
    if what == "an edge":
        graphs[3].add_edge(0, 2)
    elif what == "a node label":
        graphs[3].nodes[0]["kind"] = 2
    elif what == "a class":
        graphs[3].graph["y"] = "b"
    elif what == "an id":
        graphs[3].graph["id"] = "other"
    return graphs


@pytest.mark.parametrize("what", ["an edge", "a node label", "a class", "an id"])
def test_a_run_does_not_go_on_with_changed_data(stopped, capsys, what):
    folder, words = stopped
    before = (folder / "run" / "result.json").read_bytes()
    assert "data" in json.loads(
        read_checksummed(folder / "run" / "checkpoint.safetensors", "epochs")[1]
    )
    rewritten(folder / "set", changed(what))
    capsys.readouterr()
    assert run(words) == 2
    found = capsys.readouterr().err
    assert f"The data set graphs has changed since {folder / 'run'} was written" in found
    assert (folder / "run" / "result.json").read_bytes() == before
    rewritten(folder / "set", rings())
    assert run(words) == 0
    # The finished run, too, is of other data.
    rewritten(folder / "set", changed(what))
    assert run(words) == 2


def test_a_checkpoint_of_other_data_is_refused_where_the_result_is_lost(stopped, capsys):
    folder, words = stopped
    (folder / "run" / "result.json").unlink()
    rewritten(folder / "set", changed("an edge"))
    before = (folder / "run" / "features.json").read_bytes()
    for _ in range(2):  # the refusal itself changes nothing
        assert run(words) == 2
        assert "has changed since" in capsys.readouterr().err
    assert (folder / "run" / "features.json").read_bytes() == before
    rewritten(folder / "set", rings())
    assert run(words) == 0


def test_the_runs_own_data_must_not_have_changed_for_embed(stopped, capsys):
    folder, words = stopped
    assert run(words) == 0
    capsys.readouterr()
    rewritten(folder / "set", changed("an edge"))
    flags = ["--data", str(folder / "set"), "--out", str(folder / "v.csv")]
    assert embed([str(folder / "run"), *flags]) == 2
    assert "The data set graphs has changed since" in capsys.readouterr().err
    assert not (folder / "v.csv").exists()
    written(folder / "other", changed("an edge"))
    flags[1] = str(folder / "other")
    assert embed([str(folder / "run"), *flags]) == 0


def test_the_runs_own_data_are_recognised_by_a_path_with_a_tilde(stopped, capsys, monkeypatch):
    folder = stopped[0]
    monkeypatch.setenv("HOME", str(folder))
    rewritten(folder / "set", changed("an edge"))
    assert embed([str(folder / "run"), "--data", "~/set", "--out", str(folder / "v.csv")]) == 2
    found = " ".join(capsys.readouterr().err.split())
    assert "has not finished; its encoder is that of 1 of 3 epochs" in found
    assert "has changed since" in found
    assert "copy the new data to another folder" in found


def test_another_environment_is_reported(stopped, capsys, monkeypatch):
    folder, words = stopped
    path = folder / "run" / "result.json"
    result = json.loads(path.read_text())
    result["versions"]["torch"] = "1.0.0"
    result["threads"] += 1
    path.write_text(json.dumps(result))
    capsys.readouterr()
    assert run(words) == 0
    found = " ".join(capsys.readouterr().err.split())
    assert "The run was made with torch 1.0.0 instead of" in found
    assert f"threads {result['threads']} instead of {result['threads'] - 1}" in found
    assert environment_change(result, result) is None
    assert environment_change({}, result) is None
    more = {**result, "processes": 2}
    assert "processes 2 instead of 1" in environment_change(more, result)


def test_checksums_depend_on_content_and_not_on_names_or_chunks(tmp_path):
    whole = to_graph_data(rings(), node_label="kind")
    assert whole.checksum == to_graph_data(rings(), node_label="kind").checksum
    sums = {
        to_graph_data(changed(what), node_label="kind").checksum
        for what in ("an edge", "a node label", "a class", "an id")
    }
    assert len({whole.checksum, *sums}) == 5
    shards = write_shards(tmp_path / "set", (whole[at : at + 5] for at in range(0, 24, 5)), "other")
    assert shards.whole().checksum == whole.checksum
    assert GraphShards(tmp_path / "set").checksum == shards.checksum
    check_same_data(tmp_path, None, whole, "restore it")
    with pytest.raises(InputError, match=rf"expected {'0' * 12}\); restore it\.$"):
        check_same_data(tmp_path, "0" * 64, whole, "restore it")
    renamed = write_shards(
        tmp_path / "renamed", (whole[at : at + 5] for at in range(0, 24, 5)), "x"
    )
    assert renamed.checksum == shards.checksum
