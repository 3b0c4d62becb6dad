"""How the rows of a file of vectors get their splits."""

import gzip

import numpy as np
import pytest

from graphcl_hard.exceptions import InputError
from graphcl_hard.io.vectors import VectorFile
from graphcl_hard.runs.splits import read_protocol


def vectors(rows, ids=None, **aside):
    columns = {name: np.array(values, dtype=object) for name, values in aside.items()}
    own = None if ids is None else np.array(ids)
    return VectorFile({"v": np.zeros((rows, 2))}, np.zeros(rows), own, columns)


def ogb(folder, **parts):
    path = folder / "split" / "scaffold"
    path.mkdir(parents=True)
    for name, numbers in parts.items():
        with gzip.open(path / f"{name}.csv.gz", "wt") as file:
            file.write("".join(f"{number}\n" for number in numbers))
    return str(folder)


def lists(split):
    return [part.tolist() for part in split]


def test_numbered_folds_are_the_default():
    assert read_protocol(vectors(4), 7) == (7, None, "", None)


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (None, [[0, 4, 1], [3], [2, 5]]),  # by position
        ([5, 4, 3, 2, 1, 0], [[1, 4, 5], [2], [0, 3]]),  # by number of the graph
        (["2", "0", "9", "4"], [[1, 3], [], [0]]),  # of some graphs
    ],
)
def test_a_folder_of_ogb_names_graphs_by_their_numbers(tmp_path, ids, expected):
    folder = ogb(tmp_path, train=[0, 4, 1], valid=[3], test=[2, 5])
    found = read_protocol(vectors(6 if ids is None else len(ids), ids), 10, [folder])
    assert lists(found.cv) == [sorted(part) for part in expected]
    left = len(ids or range(6)) - sum(map(len, expected))
    assert (found.note is not None) == (left > 0)
    assert read_protocol(vectors(8), 10, [f"{folder}/split/scaffold"]).note is not None


def test_several_splits_are_like_folds(tmp_path):
    (tmp_path / "b.tsv").write_text("split\tfold\ntest\ttrain\ntrain\ttest\ntrain\ttrain\n")
    file = vectors(3, part=["train", "train", "test"])
    splits = ["part", f"{tmp_path / 'b.tsv'}", f"{tmp_path / 'b.tsv'}:fold"]
    found = read_protocol(file, 10, splits)
    assert [lists(split) for split in found.cv] == [
        [[0, 1], [], [2]],
        [[1, 2], [], [0]],
        [[0, 2], [], [1]],
    ]
    assert "3 given splits" in found.text


def test_graphs_without_a_label_are_not_counted():
    parts = ["train", "train", "valid", "test", "test"]
    one = vectors(5, part=parts)._replace(labels=np.array([1.0, np.nan, 2.0, np.nan, 3.0]))
    assert "1 graphs to train on, 1 to choose parameters, 1 to test on." in (
        read_protocol(one, 10, ["part"]).text
    )
    two = one._replace(labels={"a": one.labels, "b": np.array([1, 2, None, None, 3], dtype=object)})
    assert "2 graphs to train on, 1 to choose parameters, 1 to test on, fewer for a target" in (
        read_protocol(two, 10, ["part"]).text
    )


def test_a_missing_smiles_is_named(tmp_path):
    pytest.importorskip("rdkit", reason="RDKit is not installed (the extra [molecules])")
    (tmp_path / "m.csv").write_text("id,smiles\na,CC\nb,\nc,CO\n")
    with pytest.raises(InputError, match="no SMILES for 1 of 2 graphs, first for row 1"):
        read_protocol(vectors(2, ["a", "x"]), 10, scaffold=f"{tmp_path / 'm.csv'}")
    with pytest.raises(InputError, match="The column 'smiles' has no SMILES for 1 of 2"):
        read_protocol(vectors(2, smiles=["", "C"]), 10, scaffold="smiles")
