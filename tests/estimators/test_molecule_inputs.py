"""Estimators read molecules: SMILES strings, RDKit's objects, PyG's graphs and converted tables alike."""

import json

import numpy as np
import pytest
from torch_geometric.utils import from_smiles

from graphcl_hard import GraphShards, HardInfoGraph, InputError, molecule_graphs
from graphcl_hard.convert import main as convert
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
    with pytest.raises(
        InputError, match=r"must be left out for molecules.*got node_label 'element'"
    ):
        HardInfoGraph(epochs=0, node_label="element").fit(SMILES)
