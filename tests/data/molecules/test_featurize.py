"""Molecules become the graphs of PyTorch Geometric's `from_rdmol`, with a fixed vocabulary."""

import numpy as np
import pytest
import torch
from torch_geometric.utils import from_rdmol, smiles

from graphcl_hard import InputError, molecule_graphs
from graphcl_hard.data.collate import to_graph_data
from graphcl_hard.data.molecules import featurize
from graphcl_hard.data.molecules.vocabulary import (
    ATOM_LABELS,
    BOND_LABELS,
    MOLECULES,
    WITHOUT_STEREO,
    vocabulary_of,
)

Chem = pytest.importorskip("rdkit.Chem", reason="RDKit is not installed (the extra [molecules])")

SMILES = [
    "CCO",
    "c1ccccc1C(=O)O",
    "F/C=C/F",
    "F/C=C\\F",
    "C[C@H](N)C(=O)O",
    "C[C@@H](N)C(=O)O",
    "[Na+].[Cl-]",
    "[O-][N+](=O)c1ccc[nH]1",
    "[CH3]",
    "[He]",
    "C#N",
    "FS(F)(F)(F)(F)F",
    "N->[Cu+2]",
    "[2H]C",
    "O=P(O)(O)O",
    "C1CC12CC2",
]


def by_pyg(molecules):
    """(N, 9) and (E, 3) labels, edges and sizes from `from_rdmol`, one molecule after another."""
    graphs, start = [from_rdmol(one) for one in molecules], 0
    edges = []
    for one in graphs:
        edges.append(one.edge_index + start)
        start += one.num_nodes
    return (
        torch.cat([one.x for one in graphs]),
        torch.cat([one.edge_attr for one in graphs]),
        torch.cat(edges, dim=1),
        [one.num_nodes for one in graphs],
    )


def test_the_vocabulary_has_the_values_of_pyg():
    for labels, known in ((ATOM_LABELS, smiles.x_map), (BOND_LABELS, smiles.e_map)):
        assert {label.name: list(label.values) for label in labels} == known
    assert [len(values) for values in MOLECULES.atom_values] == [120, 10, 12, 13, 10, 6, 9, 2, 2]
    assert [len(values) for values in MOLECULES.bond_values] == [23, 7, 2]


def test_a_vocabulary_is_recognised_by_its_values():
    for one in (MOLECULES, WITHOUT_STEREO):
        assert vocabulary_of(one.atom_values) is one
        assert vocabulary_of(one.atom_values, one.bond_values) is one
    assert vocabulary_of(MOLECULES.atom_values, WITHOUT_STEREO.bond_values) is None
    assert vocabulary_of(MOLECULES.atom_values[:-1]) is None


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_graphs_are_those_of_pyg(jobs, monkeypatch):
    monkeypatch.setattr(featurize, "PART", 5)
    molecules = [Chem.MolFromSmiles(one) for one in SMILES]
    x, edge_attr, edge_index, sizes = by_pyg(molecules)
    for given in (SMILES, molecules):
        found = molecule_graphs(given, jobs=jobs)
        assert torch.equal(found.node_label, x)
        assert torch.equal(found.edge_label, edge_attr)
        assert torch.equal(found.edge_index, edge_index)
        assert found.node_ptr.diff().tolist() == sizes
        assert found.ids.tolist() == list(range(len(SMILES)))


def test_molecules_are_collated_like_the_graphs_of_pyg():
    collated = to_graph_data([from_rdmol(Chem.MolFromSmiles(one)) for one in SMILES])
    found = to_graph_data(SMILES)
    for one, other in zip(found.to_pyg(), collated.to_pyg(), strict=True):
        assert torch.equal(one.x, other.x)
        assert torch.equal(one.edge_attr, other.edge_attr)
        assert torch.equal(one.edge_index, other.edge_index)
    assert to_graph_data(SMILES, edge_attr=()).edge_label is None


def test_without_stereo_isomers_are_equal():
    found = molecule_graphs(SMILES, stereo=False)
    both = molecule_graphs(SMILES)
    assert torch.equal(found.node_label, both.node_label[:, [0, 2, 3, 4, 5, 6, 7, 8]])
    assert torch.equal(found.edge_label, both.edge_label[:, [0, 2]])
    assert found.node_label_values == WITHOUT_STEREO.atom_values


def test_values_that_pyg_refuses_are_other():
    found = molecule_graphs(["[Mn+7]", "[W-8]", "N[Pt@SP1](N)(Cl)Cl", "[C]"]).node_label
    other = [len(label.values) for label in ATOM_LABELS]
    assert found[0, 3] == found[1, 3] == other[3]
    assert found[3, 6] == other[6]  # SP2D
    with pytest.raises(ValueError, match="not in list"):
        from_rdmol(Chem.MolFromSmiles("[Mn+7]"))


def test_molecules_that_cannot_be_read_are_left_out_on_request(monkeypatch):
    monkeypatch.setattr(featurize, "PART", 3)
    raw = Chem.MolFromSmiles("CCC(=O)O", sanitize=False)
    given = ["C(", "CCO", None, "", float("nan"), raw, "CN", 7, Chem.Mol(), "C#N"]
    left_out = []
    found = molecule_graphs(given, on_invalid=left_out.append)
    assert found.ids.tolist() == [1, 6, 9]
    assert found.node_ptr.diff().tolist() == [3, 2, 2]
    assert [(one.row, one.smiles, one.reason) for one in left_out] == [
        (0, "C(", "RDKit cannot read it as SMILES"),
        (2, "", "it is empty"),
        (3, "", "it is empty"),
        (4, "", "it is empty"),
        (5, "CCC(=O)O", "it is not sanitised by Chem.SanitizeMol"),
        (7, "7", "it is of type int, and not a SMILES string"),
        (8, "", "it has no atoms"),
    ]
    with pytest.raises(InputError, match=r"Molecule 0 \(from 0\) is 'C\(', but RDKit cannot read"):
        molecule_graphs(given)
    with pytest.raises(InputError, match="at least one that can be read, got 2 that cannot"):
        molecule_graphs(["C(", None], on_invalid=left_out.append)
    for single in ("CCO", Chem.MolFromSmiles("CCO"), 3):
        with pytest.raises(InputError, match="must be a list of SMILES strings"):
            molecule_graphs(single)


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_molecules_without_computed_properties_are_refused(jobs):
    raw = Chem.MolFromSmiles("C1=CC=CC=C1", sanitize=False)
    some = Chem.Mol(raw)
    some.UpdatePropertyCache()
    Chem.FastFindRings(some)  # rings and hydrogens, but no hybridisation
    left_out = []
    found = molecule_graphs([raw, "C", some, "*C"], on_invalid=left_out.append, jobs=jobs)
    assert found.ids.tolist() == [1, 3]
    assert [one.reason for one in left_out] == ["it is not sanitised by Chem.SanitizeMol"] * 2


def test_explicit_hydrogens_are_no_nodes():
    molecule = Chem.MolFromSmiles("C[C@H](N)C(=O)O")
    found = molecule_graphs([molecule, Chem.AddHs(molecule)])
    assert torch.equal(found[:1].node_label, found[1:].node_label)
    assert torch.equal(found[:1].edge_label, found[1:].edge_label)
    assert molecule_graphs(["[H][H]", "[H+]"]).num_nodes == 3  # hydrogens without heavy atoms


@pytest.mark.parametrize("jobs", [0, -2, 1.5, True])
def test_jobs_are_a_number_of_processes(jobs):
    with pytest.raises(InputError, match=r"jobs must be a number of processes, or -1 .*, got"):
        molecule_graphs(["C"], jobs=jobs)


def test_texts_that_are_none_are_left_out():
    left_out = []
    molecule_graphs(["C\ud800", "CC", 1.5], on_invalid=left_out.append)
    assert [(one.row, one.reason) for one in left_out] == [
        (0, "RDKit cannot read it as SMILES"),
        (2, "it is of type float, and not a SMILES string"),
    ]


def test_nothing_is_printed_for_a_molecule_that_cannot_be_read(capfd):
    molecule_graphs(["C(", "CCO"], on_invalid=lambda _: None)
    assert capfd.readouterr() == ("", "")


def test_any_order_of_parts_gives_the_same_graphs(monkeypatch):
    whole = molecule_graphs(SMILES * 3)
    for size in (1, 2, 7):
        monkeypatch.setattr(featurize, "PART", size)
        assert molecule_graphs(SMILES * 3).checksum == whole.checksum


def test_random_molecules_of_the_set_agree():
    """All pairs of a few fragments, joined: rings, charges, hydrogens, double bonds and stereo."""
    fragments = [
        "C",
        "c1ccc(O)cc1",
        "[C@H](F)Cl",
        "/C=C/",
        "N(C)C",
        "S(=O)(=O)",
        "[N+](C)(C)C",
        "C#C",
    ]
    joined = [a + b for a in fragments for b in fragments]
    molecules = [one for one in map(Chem.MolFromSmiles, joined) if one is not None]
    assert len(molecules) > 40
    x, edge_attr, edge_index, sizes = by_pyg(molecules)
    found = molecule_graphs(molecules)
    assert torch.equal(found.node_label, x)
    assert torch.equal(found.edge_label, edge_attr)
    assert torch.equal(found.edge_index, edge_index)
    assert np.array_equal(found.node_ptr.diff(), sizes)
