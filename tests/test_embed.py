"""The command that embeds graphs by a run's encoder."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from helpers.paths import MUTAG

from graphcl_hard.data.load import load_graphs
from graphcl_hard.embed import main
from graphcl_hard.evaluation.checks import rescale
from graphcl_hard.exceptions import InputError
from graphcl_hard.io.checksum import with_checksum
from graphcl_hard.loader.features import node_features, read_features
from graphcl_hard.run import main as run


def test_the_runs_own_set_has_the_runs_vectors(finished, tmp_path, capsys):
    out = tmp_path / "vectors.npz"
    assert main([str(finished), "--data", "MUTAG", "--out", str(out), "--quiet"]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    arrays, kept = np.load(out), np.load(finished / "embeddings.npz")
    assert np.array_equal(arrays["vectors"], kept["trained"])
    assert np.array_equal(arrays["y"], kept["y"])
    flags = [
        "--data",
        "MUTAG",
        "--out",
        str(out),
        "--scale",
        "log",
        "--batch-size",
        "7",
        "--overwrite",
    ]
    assert main([str(finished), *flags]) == 0
    assert "188 graphs, 16 numbers each" in capsys.readouterr().out.replace("\n", " ")
    np.testing.assert_allclose(
        np.load(out)["vectors"], rescale(kept["trained"], "log"), rtol=1e-4, atol=1e-5
    )


def test_csv_gives_every_number_back(finished, tmp_path):
    assert main([str(finished), "--data", "MUTAG", "--out", str(tmp_path / "v.csv")]) == 0
    frame = pd.read_csv(tmp_path / "v.csv")
    assert list(frame.columns) == ["id", *(f"v{column}" for column in range(16)), "y"]
    kept = np.load(finished / "embeddings.npz")
    assert np.array_equal(frame.iloc[:, 1:-1].to_numpy().astype(np.float32), kept["trained"])
    assert np.array_equal(frame["y"], kept["y"])


def test_a_new_folder_with_a_label_that_the_run_lacks(finished, tmp_path, capsys):
    folder = tmp_path / "NEW"
    folder.mkdir()
    for path in MUTAG.glob("MUTAG_*.txt"):
        shutil.copy(path, folder / path.name.replace("MUTAG", "NEW"))
    labels = folder / "NEW_node_labels.txt"
    lines = labels.read_text().splitlines()
    labels.write_text("\n".join(["99", *lines[1:]]) + "\n")
    out = tmp_path / "vectors.npz"
    assert main([str(finished), "--data", str(folder), "--out", str(out)]) == 0
    assert (
        "warning: The data set 'NEW' has 1 node labels that the features were not fitted on (99)"
        in capsys.readouterr().err
    )
    vectors, kept = np.load(out)["vectors"], np.load(finished / "embeddings.npz")["trained"]
    assert not np.allclose(vectors[0], kept[0])
    np.testing.assert_allclose(vectors[1:], kept[1:], rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def gine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "gine"
    flags = "--dataset MUTAG --encoder gine --method graphcl --epochs 1 --folds 2 --repeats 1 --no-pictures --quiet"
    assert run([*flags.split(), "--out", str(folder)]) == 0
    return folder


def test_a_gine_reads_the_edges_as_its_run_did(gine, tmp_path, capsys):
    kept = np.load(gine / "embeddings.npz")["trained"]
    assert main([str(gine), "--data", "MUTAG", "--out", str(tmp_path / "v.npz")]) == 0
    assert np.array_equal(np.load(tmp_path / "v.npz")["vectors"], kept)
    folder = tmp_path / "NEW"
    folder.mkdir()
    for path in MUTAG.glob("MUTAG_*.txt"):
        shutil.copy(path, folder / path.name.replace("MUTAG", "NEW"))
    labels = folder / "NEW_edge_labels.txt"
    lines = labels.read_text().splitlines()
    labels.write_text("\n".join(["99", *lines[1:]]) + "\n")
    assert main([str(gine), "--data", str(folder), "--out", str(tmp_path / "w.npz")]) == 0
    assert (
        "warning: The data set 'NEW' has 1 edge labels that the features were not fitted on (99)"
        in capsys.readouterr().err
    )
    vectors = np.load(tmp_path / "w.npz")["vectors"]
    assert not np.allclose(vectors[0], kept[0])
    np.testing.assert_allclose(vectors[1:], kept[1:], rtol=1e-5, atol=1e-5)
    labels.unlink()
    assert main([str(gine), "--data", str(folder), "--out", str(tmp_path / "x.npz")]) == 2
    assert (
        "The data set 'NEW' has no edge label columns, but must have 1 like the graphs that the features"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "x.npz").exists()


def test_a_gine_of_an_earlier_version_is_refused(gine, tmp_path, capsys):
    folder = shutil.copytree(gine, tmp_path / "old")
    features = json.loads((folder / "features.json").read_text())
    del features["edges"]
    (folder / "features.json").write_text(json.dumps(with_checksum(features)))
    assert main([str(folder), "--data", "MUTAG", "--out", str(tmp_path / "v.npz")]) == 2
    assert "has the encoder gine but no map of the edge features" in capsys.readouterr().err
    assert not (tmp_path / "v.npz").exists()


def test_the_features_of_a_run_are_its_sets(finished):
    graphs = load_graphs("MUTAG")
    assert read_features(finished).apply(graphs).equal(node_features(graphs).x)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (
            ["RUN", "--out", "v.txt"],
            "--out must end in .npz, .csv, .parquet, got 'v.txt'; choose one of them.",
        ),
        (["RUN", "--out", "there.npz"], "there.npz exists; give --overwrite to replace it"),
        (["RUN", "--out", "no/v.npz"], "The folder no for --out does not exist"),
        (["RUN", "--batch-size", "0"], "--batch-size must be at least 1, got 0"),
        (["RUN", "--data", "MUTAGG"], "did you mean MUTAG?"),
        (["nothing"], "There is no folder and no encoder 'nothing'"),
        (["RUN", "--scales", "log"], "did you mean --scale?"),
        ([], "RUN"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_written(
    flags, sentence, finished, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.npz").write_text("mine")
    words = [str(finished) if word == "RUN" else word for word in flags]
    assert main([*words, *([] if "--data" in words else ["--data", "MUTAG"])]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert len(error.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["there.npz"]
    assert (tmp_path / "there.npz").read_text() == "mine"


def test_a_digit_of_the_features_that_changed_is_found(finished, tmp_path, capsys):
    folder = shutil.copytree(finished, tmp_path / "run")
    text = (folder / "features.json").read_text()
    (folder / "features.json").write_text(text.replace("0", "1", 1))
    assert main([str(folder), "--data", "MUTAG", "--out", str(tmp_path / "v.npz")]) == 2
    assert (
        "features.json cannot be read (ValueError: its checksum does not match)"
        in capsys.readouterr().err
    )


def test_a_run_without_its_features_is_refused(finished, tmp_path, capsys):
    folder = shutil.copytree(finished, tmp_path / "old")
    (folder / "features.json").write_text("{}")
    assert main([str(folder), "--data", "MUTAG", "--out", str(tmp_path / "v.npz")]) == 2
    assert (
        "features.json cannot be read (ValueError: it has no checksum); give the folder of a run"
        in capsys.readouterr().err
    )
    (folder / "features.json").unlink()
    with pytest.raises(InputError, match=r"cannot be read \(No such file"):
        read_features(folder)


def test_help_teaches():
    done = subprocess.run(
        [sys.executable, "-m", "graphcl_hard.embed", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "python -m graphcl_hard.embed runs/mine --data ./new_graphs" in done.stdout
    assert "--scale" in done.stdout
