"""Splits of molecules by their scaffolds, and OGB's own."""

import gzip
import random

import numpy as np
import pytest
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from graphcl_hard.evaluation.splitters import (
    ScaffoldKFold,
    murcko_scaffolds,
    named_split,
    read_ogb_split,
    scaffold_split,
)
from graphcl_hard.exceptions import InputError

Chem = pytest.importorskip("rdkit.Chem", reason="RDKit is not installed (the extra [molecules])")
MurckoScaffold = pytest.importorskip("rdkit.Chem.Scaffolds.MurckoScaffold")

CORES = (
    *(
        "c1ccccc1",
        "c1ccncc1",
        "c1ccc2ccccc2c1",
        "C1CCCCC1",
        "C1CC1",
        "c1ccsc1",
        "C1CCNCC1",
        "c1ccoc1",
    ),
    *(
        "c1ccc(-c2ccccc2)cc1",
        "c1ccc2[nH]ccc2c1",
        "C1CCOC1",
        "c1cncnc1",
        "C1CCC(=O)N1",
        "C1CCC1",
        "c1cc[nH]c1",
    ),
)
CHAINS = ("C", "CC", "OC", "NC", "CCC", "FC", "ClC", "CC(C)", "OCC", "OC(=O)C", "N#CC", "C[C@H](O)")


def molecules(seed, count=90):
    """SMILES in which some scaffolds are frequent, others rare, and one in ten has no ring."""
    generator = random.Random(seed)
    found = []
    for _ in range(count):
        core = CORES[min(int(generator.expovariate(0.35)), len(CORES) - 1)]
        chain = generator.choice(CHAINS)
        found.append(chain if generator.random() < 0.1 else f"{chain}{core}")
    return found


def scaffolds_by_rdkit(smiles):
    return [
        Chem.MolToSmiles(
            MurckoScaffold.GetScaffoldForMol(Chem.MolFromSmiles(one)), isomericSmiles=False
        )
        for one in smiles
    ]


def slow_split(smiles, sizes, order=None):
    """The definition written out: groups are searched for again and again, and parts hold molecules one by one."""
    scaffolds = scaffolds_by_rdkit(smiles)
    groups = [
        [row for row, other in enumerate(scaffolds) if other == scaffold]
        for place, scaffold in enumerate(scaffolds)
        if scaffold not in scaffolds[:place]
    ]
    if order is None:
        ordered = []
        while groups:
            best = groups[0]
            for group in groups:
                if len(group) > len(best) or (len(group) == len(best) and group[0] > best[0]):
                    best = group
            ordered.append(best)
            groups.remove(best)
    else:
        ordered = order(groups)
    parts = [[], [], []]
    for group in ordered:
        before = sum(map(len, parts[:2])) if order is None else len(parts[1])
        most = (sizes[0] + sizes[1] if order is None else sizes[1]) * len(smiles)
        if len(parts[0]) + len(group) <= sizes[0] * len(smiles):
            parts[0] += group
        elif before + len(group) <= most:
            parts[1] += group
        else:
            parts[2] += group
    return [sorted(part) for part in parts]


def test_scaffolds_are_rdkits_without_chirality():
    smiles = ["C[C@H]1CC[C@@H](N)C1", "C[C@@H]1CC[C@@H](N)C1", "OCc1ccc(-c2ccccc2)cc1", "CCO"]
    assert murcko_scaffolds(smiles).tolist() == ["C1CCCC1", "C1CCCC1", "c1ccc(-c2ccccc2)cc1", ""]
    assert murcko_scaffolds(molecules(0)).tolist() == scaffolds_by_rdkit(molecules(0))


def test_with_chirality_stereoisomers_have_scaffolds_of_their_own():
    decalins = ["C1CC[C@H]2CCCC[C@@H]2C1", "C1CC[C@H]2CCCC[C@H]2C1"]
    smiles = [f"C{decalins[number % 2]}" for number in range(4)] + ["Cc1ccccc1"] * 6
    assert len(set(murcko_scaffolds(smiles).tolist())) == 2
    expected = [Chem.CanonSmiles(one) for one in decalins]
    assert murcko_scaffolds(smiles, chirality=True).tolist()[:2] == expected
    sizes = (0.6, 0.2, 0.2)
    rows = [list(range(4, 10)), [1, 3], [0, 2]]
    split = scaffold_split(smiles, sizes, chirality=True)
    assert [part.tolist() for part in split] == rows
    assert scaffold_split(smiles, (0.6, 0.0, 0.4)).test.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("sizes", [(0.8, 0.1, 0.1), (0.6, 0.2, 0.2), (0.7, 0.0, 0.3)])
@pytest.mark.parametrize("seed", range(4))
def test_the_deterministic_split_is_its_definition(seed, sizes):
    smiles = molecules(seed)
    split = scaffold_split(smiles, sizes)
    assert [part.tolist() for part in split] == slow_split(smiles, sizes)
    assert [part.dtype for part in split] == [np.int64] * 3
    assert len(split.valid) > 0 or sizes[1] == 0
    again = scaffold_split(smiles, sizes, seed=7)
    assert all(map(np.array_equal, split, again))


@pytest.mark.parametrize("seed", range(4))
def test_the_balanced_split_is_its_definition(seed):
    smiles, sizes = molecules(seed, 120), (0.6, 0.2, 0.2)

    def order(groups):
        generator = random.Random(seed)
        large = [group for group in groups if len(group) > 12]  # half of a fifth of 120
        small = [group for group in groups if len(group) <= 12]
        assert large
        assert small
        generator.shuffle(large)
        generator.shuffle(small)
        return large + small

    split = scaffold_split(smiles, sizes, balanced=True, seed=seed)
    assert [part.tolist() for part in split] == slow_split(smiles, sizes, order)
    other = scaffold_split(smiles, sizes, balanced=True, seed=seed + 10)
    assert not all(map(np.array_equal, split, other))


@pytest.mark.parametrize("balanced", [False, True])
def test_no_scaffold_is_in_two_parts(balanced):
    smiles = molecules(5)
    split = scaffold_split(smiles, (0.6, 0.2, 0.2), balanced=balanced, seed=1)
    assert sorted(np.concatenate(split).tolist()) == list(range(len(smiles)))
    scaffolds = murcko_scaffolds(smiles)
    parts = [set(scaffolds[part].tolist()) for part in split]
    assert sum(map(len, parts)) == len(set.union(*parts))


@pytest.mark.parametrize("settings", [{}, {"shuffle": True, "random_state": 3}])
def test_folds_are_those_of_group_k_fold(settings):
    smiles = molecules(1)
    x = np.zeros((len(smiles), 1))
    found = list(ScaffoldKFold(4, **settings).split(x, groups=smiles))
    expected = list(GroupKFold(4, **settings).split(x, groups=scaffolds_by_rdkit(smiles)))
    for (train, test), (others, held_out) in zip(found, expected, strict=True):
        assert np.array_equal(train, others)
        assert np.array_equal(test, held_out)


def test_scikit_learn_takes_the_folds():
    smiles = molecules(2)
    y = np.arange(len(smiles)) % 2
    folds = ScaffoldKFold(n_splits=3)
    x = np.random.default_rng(0).normal(size=(len(smiles), 2))
    assert folds.get_n_splits() == 3
    assert len(cross_val_score(KNeighborsClassifier(), x, y, cv=folds, groups=smiles)) == 3


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: murcko_scaffolds(["CCO", "c1ccc"]),
            r"'c1ccc' in row 1 \(from 0\).*leave the row out",
        ),
        (lambda: murcko_scaffolds(["CCO", None]), "None in row 1"),
        (lambda: murcko_scaffolds(["", "C"]), "'' in row 0"),
        (lambda: murcko_scaffolds("CCO"), "must be a list of SMILES, got 'CCO'"),
        (
            lambda: scaffold_split(["C"] * 9),
            "train part .* stays empty.*share of 9 molecules is 0.8.*1 sc.* has 9",
        ),
        (lambda: scaffold_split([]), "train part .* stays empty"),
        (lambda: scaffold_split(["C"], (0.8, 0.1)), r"shares of train.*got \(0.8, 0.1\)"),
        (lambda: scaffold_split(["C"], (0.8, 0.3, 0.1)), "sum to 1"),
        (lambda: scaffold_split(["C"], (1.0, 0.0, 0.0)), "only that of valid may be 0"),
        (lambda: scaffold_split(["C"], "0.8"), "shares"),
        (lambda: list(ScaffoldKFold(2).split([0, 0])), "give them as groups"),
        (
            lambda: list(ScaffoldKFold(2).split([0, 0], groups=["C", "CC"])),
            "at most 1, the number of scaffolds, got 2",
        ),
    ],
)
def test_errors(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()


def test_parts_by_their_names():
    names = ["train", "TEST", None, "Validation", "training", float("nan"), " val ", "NA", "test"]
    split = named_split(names)
    assert [part.tolist() for part in split] == [[0, 4], [3, 6], [1, 8]]
    assert [part.dtype for part in named_split(["train", "test"])] == [np.int64] * 3


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["train", "dev", "test"], "s has 'dev' in row 1 .*must be one of train, valid, test"),
        (["train", "valid"], "s has no row of the part test"),
        ([], "s has no row of the part train"),
    ],
)
def test_wrong_parts_are_refused(names, sentence):
    with pytest.raises(InputError, match=sentence):
        named_split(names, "s")


def write_split(folder, **parts):
    folder.mkdir(parents=True)
    for name, numbers in parts.items():
        with gzip.open(folder / f"{name}.csv.gz", "wt") as file:
            file.write("".join(f"{number}\n" for number in numbers))


def test_an_ogb_split_is_read(tmp_path):
    write_split(tmp_path / "split" / "scaffold", train=[0, 3, 1], valid=[4], test=[2, 5])
    expected = [[0, 3, 1], [4], [2, 5]]
    for words in ([tmp_path], [tmp_path, "scaffold"], [str(tmp_path / "split" / "scaffold")]):
        split = read_ogb_split(*words)
        assert [part.tolist() for part in split] == expected
        assert split.train.dtype == np.int64
    with pytest.raises(InputError, match="no split 'random', it has scaffold"):
        read_ogb_split(tmp_path, "random")
    write_split(tmp_path / "split" / "species", train=[0], valid=[], test=[1])
    with pytest.raises(InputError, match="the splits scaffold, species; name one"):
        read_ogb_split(tmp_path)
    assert not len(read_ogb_split(tmp_path, "species").valid)


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"train": [0], "valid": [1], "test": [1]}, "the graph 1 in its parts twice"),
        (
            {"train": [0], "valid": ["x"], "test": [1]},
            "valid.csv.gz cannot be read.*number of a graph",
        ),
        ({"train": [-1], "valid": [], "test": [1]}, "has the number -1, must be at least 0"),
        ({"train": [0], "valid": [1]}, "test.csv.gz cannot be read"),
    ],
)
def test_a_wrong_ogb_split_is_refused(tmp_path, parts, sentence):
    write_split(tmp_path / "split" / "s", **parts)
    with pytest.raises(InputError, match=sentence):
        read_ogb_split(tmp_path)


def test_a_folder_without_a_split_is_refused(tmp_path):
    with pytest.raises(InputError, match="has no split/NAME"):
        read_ogb_split(tmp_path)
