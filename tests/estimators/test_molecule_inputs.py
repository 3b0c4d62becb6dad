"""Estimators read molecules: SMILES strings, RDKit's objects, PyG's graphs and converted tables alike."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from torch_geometric.utils import from_smiles

from graphcl_hard import (
    GraphShards,
    HardInfoGraph,
    HardInfoGraphClassifier,
    InputError,
    load_graphs,
    molecule_graphs,
    write_shards,
)
from graphcl_hard.convert import main as convert
from graphcl_hard.data.graph_data import STANDARD_NAMES
from graphcl_hard.embed import main as embed
from graphcl_hard.io.checksum import with_checksum

Chem = pytest.importorskip("rdkit.Chem", reason="RDKit is not installed (the extra [molecules])")

SMILES = ["CCO", "c1ccccc1", "CC(=O)O", "CN", "C#N", "O=C=O", "C1CC1", "CCl"] * 3


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("molecules")
    (folder / "table.csv").write_text("smiles\n" + "\n".join(SMILES) + "\n")
    assert convert([str(folder / "table.csv"), "--out", str(folder / "set")]) == 0
    return GraphShards(folder / "set")


def sources(shards):
    return {
        "strings": SMILES,
        "array": np.array(SMILES),
        "objects": np.array(SMILES, dtype=object),
        "iterator": iter(SMILES),
        "rdkit": [Chem.MolFromSmiles(one) for one in SMILES],
        "graphs": [from_smiles(one) for one in SMILES],
        "shards": shards,
    }


@pytest.mark.parametrize("fitted_on", ["strings", "rdkit", "shards", "iterator"])
@pytest.mark.parametrize("encoder", ["gin", "gine"])
def test_all_kinds_of_molecules_are_read_alike(shards, encoder, fitted_on, tmp_path):
    model = HardInfoGraph(epochs=1, random_state=0, encoder=encoder)
    expected = model.fit(SMILES).transform(SMILES)
    model.fit(sources(shards)[fitted_on])
    assert model.features_.vocabulary.name == "molecules-1"
    model.save(tmp_path / "saved")
    model.save_pretrained(tmp_path / "encoder")
    for one in (
        model,
        HardInfoGraph.load(tmp_path / "saved"),
        HardInfoGraph.from_pretrained(tmp_path / "encoder"),
    ):
        for name, source in sources(shards).items():
            assert np.array_equal(one.transform(source), expected), name


@pytest.mark.parametrize("encoder", ["gin", "gine"])
def test_an_encoder_of_graphs_from_smiles_reads_molecules_too(shards, encoder):
    graphs = [from_smiles(one) for one in SMILES]
    model = HardInfoGraph(epochs=1, random_state=0, encoder=encoder).fit(graphs)
    assert len(model.features_.label_values) == 9
    assert model.features_.vocabulary is None  # it has the values of these molecules only
    if encoder == "gine":
        assert len(model.features_.edges.label_values) == 3
    expected = model.transform(graphs)
    for name, source in sources(shards).items():
        assert np.array_equal(model.transform(source), expected), name
    with pytest.warns(UserWarning, match=r"has 1 node labels that .* \(35\)"):
        model.transform(["CBr"])


def test_an_encoder_without_stereo_reads_molecules_without_it():
    isomers = ["C[C@H](N)O", "C[C@@H](N)O"]
    model = HardInfoGraph(epochs=0, random_state=0, encoder="gine")
    model.fit(molecule_graphs(isomers, stereo=False))
    one, other = model.transform(isomers)
    assert np.array_equal(one, other)
    assert np.array_equal(model.transform(molecule_graphs(isomers)), [one, one])
    one, other = model.fit(isomers).transform(isomers)
    assert not np.array_equal(one, other)


def test_a_vocabulary_of_another_version_is_refused(tmp_path):
    HardInfoGraph(epochs=0).fit(["CCO", "CN"]).save_pretrained(tmp_path)
    path = tmp_path / "features.json"
    content = json.loads(path.read_text())
    assert content["vocabulary"] == "molecules-1"
    path.write_text(json.dumps(with_checksum({**content, "vocabulary": "molecules-2"})))
    with pytest.raises(
        InputError, match=r"has the vocabularies molecules-1 and .*, not 'molecules-2'"
    ):
        HardInfoGraph.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("molecules", "message"),
    [
        (
            ["CCO", "C("],
            r"Molecule 1 \(from 0\) is 'C\(', but RDKit cannot read it as SMILES; correct",
        ),
        (["CCO", " "], "Molecule 1 .* but it is empty"),
        (["CCO", None], "Graph 1 must be one of .*, got NoneType; leave it out"),
        ("CCO", "must be a list of graphs, got 'CCO'; put a molecule in a list"),
        ([], "at least one graph"),
    ],
)
def test_what_is_no_molecule_is_refused_by_position(molecules, message):
    with pytest.raises(InputError, match=message):
        HardInfoGraph(epochs=0).fit(molecules)


def test_names_of_columns_are_refused_for_molecules():
    message = "a fixed vocabulary, but node_label '{}' is wanted, .*fit on molecules"
    with pytest.raises(InputError, match=message.format("element")):
        HardInfoGraph(epochs=0, node_label="element").fit(SMILES)
    with pytest.raises(InputError, match=message.format("node_label")):
        HardInfoGraph(epochs=0).fit(load_graphs("MUTAG")).transform(SMILES)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    model = HardInfoGraph(epochs=0, random_state=0, encoder="gine", scale="linear").fit(SMILES)
    model.save_pretrained(folder)
    return folder, model


def test_a_file_of_molecules_is_embedded_with_its_ids_and_labels(encoder, tmp_path, capsys):
    folder, model = encoder
    pd.DataFrame(
        {
            "key": [f"m{i}" for i in range(24)],
            "SMILES": SMILES,
            "active": [i % 2 for i in range(24)],
        }
    ).to_csv(tmp_path / "table.csv", index=False)
    (tmp_path / "list.smi").write_text("".join(f"{one} m{i}\n" for i, one in enumerate(SMILES)))
    words = {
        "table.csv": ["--smiles", "SMILES", "--id", "key", "--labels", "active"],
        "list.smi": ["--id", "name"],
    }
    for name, given in words.items():
        out = tmp_path / f"{name}.parquet"
        assert embed([str(folder), "--data", str(tmp_path / name), "--out", str(out), *given]) == 0
        found = pd.read_parquet(out)
        assert found["id"].tolist() == [f"m{i}" for i in range(24)]
        assert np.array_equal(found.filter(regex=r"^v\d").to_numpy(), model.transform(SMILES))
        if "--labels" in given:
            assert found["y"].tolist() == [i % 2 for i in range(24)]
    capsys.readouterr()
    words = ["--data", str(tmp_path / "table.csv"), "--out", str(out), "--overwrite"]
    assert embed([str(folder), *words]) == 2
    assert "it has key, SMILES, active; name one with --smiles" in capsys.readouterr().err


def test_unreadable_rows_of_an_embedded_file_are_refused_or_listed(encoder, tmp_path, capsys):
    folder, model = encoder
    (tmp_path / "bad.smi").write_text("CCO\nC(\nCN\n")
    words = [str(folder), "--data", str(tmp_path / "bad.smi"), "--out", str(tmp_path / "v.npz")]
    assert embed(words) == 2
    assert "holds 'C(', but RDKit cannot read it as SMILES; correct it" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [tmp_path / "bad.smi"]
    assert embed([*words, "--skip-invalid"]) == 0
    found = np.load(tmp_path / "v.npz")
    assert found["id"].tolist() == [0, 2]
    assert np.array_equal(found["vectors"], model.transform(["CCO", "CN"]))
    assert "1 of 3 rows are left out and listed in" in capsys.readouterr().err
    assert (tmp_path / "v.left-out.csv").read_text().startswith("row,id,smiles,reason\n1,1,C(,")
    (tmp_path / "v.npz").unlink()
    assert embed([*words, "--skip-invalid"]) == 2
    assert "v.left-out.csv exists, where rows that are left out" in capsys.readouterr().err
    (tmp_path / "bad.smi").write_text("CCO\nCN\n")
    assert embed([*words, "--skip-invalid", "--overwrite"]) == 0
    assert not (tmp_path / "v.left-out.csv").exists()
    for text, message in (("C(\n", "None of the 1 rows"), ("smiles\n", "has no molecules")):
        (tmp_path / "bad.smi").write_text(text)
        assert embed([*words, "--skip-invalid", "--overwrite"]) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "none.sdf"], "none.sdf does not exist"),
        (["--data", "MUTAG", "--id", "key"], "--id must be left out for MUTAG"),
        (["--data", "MUTAG", "--smiles", "s"], "--smiles must be left out for MUTAG"),
        (["--data", "MUTAG", "--skip-invalid"], "--skip-invalid must be left out for MUTAG"),
        (["--data", "MUTAG", "--jobs", "2"], "--jobs must be left out for MUTAG, which is no file"),
        (["--data", "none.sdf", "--smiles", "s"], "--smiles must be left out for none.sdf"),
        (["--data", "MUTAG"], "labels of the data set 'MUTAG' are not those of molecules"),
    ],
)
def test_data_that_do_not_fit_are_refused_in_one_sentence(
    encoder, tmp_path, capsys, monkeypatch, words, message
):
    monkeypatch.chdir(tmp_path)
    assert embed([str(encoder[0]), *words, "--out", "v.npz"]) == 2
    found = capsys.readouterr().err
    assert message in found
    assert found.count("\n") == 1


def test_other_numbers_of_atoms_are_not_mixed_with_the_vocabulary(encoder, tmp_path):
    _, model = encoder
    plain = molecule_graphs(SMILES)
    # As OGB's files: the same columns without a name, and carbon is 5.
    ogb = dataclasses.replace(
        plain,
        node_label=(plain.node_label - 1).clamp(min=0),
        node_label_values=tuple(tuple(range(119)) for _ in range(9)),
        edge_label_values=tuple(tuple(range(22)) for _ in range(3)),
        names=STANDARD_NAMES,
    )
    with pytest.raises(InputError, match="are not those of molecules that this package converted"):
        model.transform(ogb)
    with pytest.raises(
        InputError,
        match="have no labels of stereochemistry, but those that",
    ):
        model.transform(molecule_graphs(SMILES, stereo=False))
    on_ogb = HardInfoGraph(epochs=0, random_state=0, encoder="gine").fit(ogb)
    with pytest.raises(InputError, match="are those of molecules that this package converted"):
        on_ogb.transform(plain)
    with pytest.raises(InputError, match="a fixed vocabulary, but node_label"):
        on_ogb.transform(SMILES)


def test_unknown_labels_of_any_part_of_a_streamed_set_warn(tmp_path, monkeypatch):
    monkeypatch.setattr("graphcl_hard.data.load.WINDOW", 4)
    monkeypatch.setattr("graphcl_hard.loader.streaming.WINDOW", 4)
    model = HardInfoGraph(epochs=0, encoder="gine").fit([from_smiles(one) for one in SMILES])
    parts = [molecule_graphs(SMILES[:6]), molecule_graphs(["CBr", "CCO"])]
    shards = write_shards(tmp_path / "set", parts)
    with pytest.warns(UserWarning, match=r"has 1 node labels that .* \(35\)"):
        model.transform(shards)


def test_files_of_more_molecules_than_a_window_are_read_from_disk(encoder, tmp_path, monkeypatch):
    folder, model = encoder
    monkeypatch.setattr("graphcl_hard.data.load.WINDOW", 8)
    monkeypatch.setattr("graphcl_hard.data.molecules.tables.SHARD_GRAPHS", 4)
    monkeypatch.setattr("graphcl_hard.data.molecules.featurize.PART", 4)
    (tmp_path / "list.smi").write_text("\n".join(SMILES))
    out = tmp_path / "v.npz"
    assert embed([str(folder), "--data", str(tmp_path / "list.smi"), "--out", str(out)]) == 0
    assert np.array_equal(np.load(out)["vectors"], model.transform(SMILES))


def test_a_pretrained_name_is_fine_tuned_on_molecules(tmp_path):
    y = {"ring": [float("1" in one) for one in SMILES], "gaps": [1.0, np.nan, 0.0] * 8}
    model = HardInfoGraphClassifier(init="molecules-random", epochs=1, random_state=0)
    model.fit(SMILES, y)
    assert model.encoder_.hidden_channels == 512
    shares = model.predict_proba(["CCO", "OCC"])
    assert shares.shape == (2, 2)
    np.testing.assert_allclose(shares[0], shares[1], rtol=1e-5)  # no atom order, no stereo
    model.save_pretrained(tmp_path)
    loaded = HardInfoGraphClassifier.from_pretrained(tmp_path)
    assert loaded.init == "molecules-random"
    np.testing.assert_array_equal(loaded.predict_proba(["CCO", "OCC"]), shares)
