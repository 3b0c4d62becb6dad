"""The benchmark of the conversion compares all of a graph, and measures both ways."""

import dataclasses

import pytest

pytest.importorskip("rdkit", reason="RDKit is not installed (the extra [molecules])")

from benchmarks import conversion
from graphcl_hard import molecule_graphs

SMILES = ["CCO", "c1ccccc1C(=O)O", "C[C@H](N)C(=O)O", "F/C=C/F", "[Na+].[Cl-]"]


def test_equal_graphs_are_equal_and_others_are_not(monkeypatch):
    assert conversion.are_equal(SMILES)
    for column in ("node_label", "edge_label", "edge_index", "node_ptr"):

        def changed(smiles, column=column):
            graphs = molecule_graphs(smiles)
            other = getattr(graphs, column).clone()
            other.view(-1)[-1] -= 1
            return dataclasses.replace(graphs, **{column: other})

        monkeypatch.setattr(conversion, "molecule_graphs", changed)
        assert not conversion.are_equal(SMILES), column


def test_molecules_that_pyg_refuses_are_known():
    assert [conversion.is_known(one) for one in ("CCO", "[Mn+7]")] == [True, False]


@pytest.mark.slow
def test_rates_are_measured_in_turns():
    found = conversion.rates(SMILES, rounds=2, jobs=2)
    assert set(found["molecules_a_second"]) == {"before", "now", "parsing", "now, 2 processes"}
    assert len(found["now / before"]) == 3
