"""The tables of molecules: what is read, what is left out, and which molecules each split may show."""

import os
from pathlib import Path

import numpy as np
import pytest

from experiments.molecules.datasets import (
    DATASETS,
    FOLDER,
    Dataset,
    data_folder,
    random_scaffolds,
    read,
)
from graphcl_hard.evaluation.splitters import murcko_scaffolds
from graphcl_hard.exceptions import InputError

TABLE = """mol_id,smiles,first,second
a,CCO,1,0
b,c1ccccc,0,1
c,c1ccccc1O,,1
d,C[Si](C)(C)(C)(C)C,1,
e,CC(=O)N,0,
"""
TINY = Dataset("Tiny", "classification", 5)
RINGS = tuple(f"C1{'C' * size}C1" for size in range(1, 19))
UNREADABLE = {"BBBP": 11, "ClinTox": 4, "Tox21": 8}


def molecules(folder, count=80):
    """Molecules of 18 scaffolds, of which one is frequent."""
    rings = [RINGS[min(number % 25, 17)] for number in range(count)]
    lines = [f"{'C' * (1 + number % 9)}{ring},{number % 2}" for number, ring in enumerate(rings)]
    (folder / "rings.csv").write_text("\n".join(["smiles,y", *lines]) + "\n")
    return read(Dataset("Rings", "classification", count), folder)


def test_unreadable_rows_are_left_out_and_counted(tmp_path):
    (tmp_path / "tiny.csv").write_text(TABLE)
    found = read(TINY, tmp_path)
    assert found.rows.tolist() == [0, 2, 4]
    assert found.smiles == ("CCO", "c1ccccc1O", "CC(=O)N")
    assert found.unreadable == 2
    assert found.targets == ("first", "second")
    nan = np.nan
    np.testing.assert_array_equal(found.y, [[1, 0], [nan, 1], [0, nan]])


def test_a_row_without_smiles_is_unreadable(tmp_path):
    (tmp_path / "tiny.csv").write_text("smiles,y\nCCO,1\n,0\nCC,0\n  ,1\nCN,1\n")
    found = read(TINY, tmp_path)
    assert found.rows.tolist() == [0, 2, 4]
    assert found.unreadable == 2
    np.testing.assert_array_equal(found.y, [[1], [0], [1]])


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (Dataset("Tiny", "classification", 6), "must have 6 rows, got 5"),
        (Dataset("Tiny", "classification", 5, ("third",)), "must have the columns third"),
        (Dataset("Other", "classification", 5), r"other\.csv does not exist"),
    ],
)
def test_another_table_is_refused(tmp_path, dataset, message):
    (tmp_path / "tiny.csv").write_text(TABLE)
    with pytest.raises(InputError, match=message):
        read(dataset, tmp_path)


def test_the_folder_is_the_given_one_or_that_of_the_environment(monkeypatch):
    monkeypatch.setenv(FOLDER, "there")
    assert data_folder(None) == Path("there")
    assert data_folder(Path("here")) == Path("here")
    monkeypatch.delenv(FOLDER)
    with pytest.raises(InputError, match="give `data`"):
        data_folder(None)


def test_an_inner_split_has_no_molecule_of_the_test_part(tmp_path):
    found = molecules(tmp_path)
    outside = set(range(80)) - set(found.ogb_split.test.tolist())
    seen = set()
    for name in ("inner-0", "inner-1"):
        split = found.split(name)
        assert set(split.train.tolist()) | set(split.valid.tolist()) == outside
        assert not set(split.train.tolist()) & set(split.valid.tolist())
        assert len(split.valid) > 0
        assert len(split.test) == 0
        seen.add(tuple(split.valid.tolist()))
    assert len(seen) == 2


def test_a_random_split_has_all_molecules_and_ogbs_is_one_of_its_own(tmp_path):
    found = molecules(tmp_path)
    for name in ("ogb", "random-0", "random-7"):
        assert sorted(np.concatenate(found.split(name)).tolist()) == list(range(80))
    assert found.split("random-0").test.tolist() != found.split("random-7").test.tolist()
    for name in ("random", "inner-x", "scaffold"):
        with pytest.raises(InputError, match="must be ogb, random-N or inner-N"):
            found.split(name)


def test_random_scaffolds_are_different_where_most_molecules_have_no_ring():
    """As in FreeSolv: a scaffold of its own for each of these, and the large scaffold is never held out."""
    chains = [f"{'C' * (1 + n % 20)}{'O' * (n // 20 % 2)}{'N' * (n // 40)}" for n in range(60)]
    rings = [f"{'C' * (1 + n)}c1ccccc1" for n in range(25)] + [f"C{ring}" for ring in RINGS[:15]]
    scaffolds = murcko_scaffolds(chains + rings)
    held_out = set()
    for seed in range(10):
        split = random_scaffolds(scaffolds, (0.1, 0.1), seed)
        assert sorted(np.concatenate(split).tolist()) == list(range(100))
        assert (len(split.valid), len(split.test)) == (10, 10)
        assert set(range(60, 85)) <= set(split.train.tolist())
        held_out.add(tuple(split.test.tolist()))
    assert len(held_out) == 10
    again = random_scaffolds(scaffolds, (0.1, 0.1), 9)
    assert tuple(again.test.tolist()) in held_out
    whole = random_scaffolds(scaffolds, (0.2, 0), 0)
    assert (len(whole.train), len(whole.valid), len(whole.test)) == (80, 20, 0)
    with pytest.raises(
        InputError, match="The test part must have a scaffold, got none: each of 1 "
    ):
        random_scaffolds(murcko_scaffolds(["Cc1ccccc1"] * 30), (0.0, 0.1), 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", DATASETS)
@pytest.mark.skipif(not os.environ.get(FOLDER), reason=f"set {FOLDER} to the folder of the tables")
def test_the_tables_have_the_molecules_that_are_known(name):
    found = read(DATASETS[name], data_folder(None))
    assert found.unreadable == UNREADABLE.get(name, 0)
    assert len(found.targets) == {"ClinTox": 2, "SIDER": 27, "Tox21": 12}.get(name, 1)
    sizes = [len(part) for part in found.ogb_split]
    assert sizes[0] == int(0.8 * len(found.rows))
    assert sum(sizes) == len(found.rows)
    assert np.isnan(found.y).any() == (name == "Tox21")
    for kind, share in (("inner", 0.2 * 0.9), ("random", 0.1)):
        splits = [found.split(f"{kind}-{seed}") for seed in range(10)]
        held_out = [split.valid if kind == "inner" else split.test for split in splits]
        assert len({tuple(rows.tolist()) for rows in held_out}) == 10
        assert all(0.9 * share < len(rows) / len(found.rows) <= share for rows in held_out)
