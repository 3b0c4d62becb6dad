"""Tables of SMILES, folders of OGB and TU sets become the same graphs as a set on the disk."""

import csv
import gzip
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch_geometric.utils import from_smiles

from graphcl_hard import GraphShards, load_graphs
from graphcl_hard import convert as convert_module
from graphcl_hard.convert import main
from graphcl_hard.data.collate import to_graph_data

pytest.importorskip("rdkit", reason="RDKit is not installed (the extra [molecules])")
pd = pytest.importorskip("pandas", reason="pandas is not installed (the extra [molecules])")
pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed (the extra [parquet])")
pq = pytest.importorskip("pyarrow.parquet")

SMILES = ["CCO", "c1ccccc1", "CC(=O)O", "F/C=C/F", "O", "[Na+].[Cl-]", "C#N", "C[C@H](N)C(=O)O"]


def values(numbers, known):
    """Labels by their values."""
    return [
        [column[place] for column, place in zip(known, row, strict=True)]
        for row in numbers.tolist()
    ]


@pytest.fixture
def table(tmp_path):
    """40 molecules with a class by name, and one by number, and an activity."""
    with (tmp_path / "m.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "smiles", "active", "task", "pIC50"])
        writer.writerows([i, SMILES[i % 8], "ny"[i % 2], (i % 3) * 2, i / 7] for i in range(40))
    return tmp_path / "m.csv"


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_a_table_of_smiles(table, suffix, tmp_path, capsys):
    """The atoms and bonds are those of PyG's from_smiles; a class is a name or a number."""
    path = table.with_name(f"m{suffix}")
    if suffix == ".csv.gz":
        path.write_bytes(gzip.compress(table.read_bytes()))
    elif suffix == ".parquet":
        pd.read_csv(table).to_parquet(path)
    assert main([str(path), "--label", "active", "--out", str(tmp_path / "set")]) == 0
    assert "40 graphs" in capsys.readouterr().out
    found = GraphShards(tmp_path / "set").whole()
    right = [from_smiles(SMILES[i % 8]) for i in range(40)]
    assert found.name == "m"
    assert found.y.tolist() == [0, 1] * 20
    assert (
        values(found.node_label, found.node_label_values)
        == torch.cat([data.x for data in right]).tolist()
    )
    whole = to_graph_data(right, node_label="x", node_attr=(), edge_label="edge_attr", edge_attr=())
    assert torch.equal(found.edge_index, whole.edge_index)
    assert values(found.edge_label, found.edge_label_values) == values(
        whole.edge_label, whole.edge_label_values
    )
    assert found.node_attr is found.edge_attr is None
    assert (
        main(
            [
                str(path),
                "--label",
                "task",
                "--name",
                "other",
                "--quiet",
                "--out",
                str(tmp_path / "two"),
            ]
        )
        == 0
    )
    assert capsys.readouterr().out == f"{tmp_path / 'two'}\n"
    assert GraphShards(tmp_path / "two").y.tolist() == [i % 3 for i in range(40)]
    assert GraphShards(tmp_path / "two").name == "other"


def test_rows_that_are_no_molecule(tmp_path, capfd):
    path = tmp_path / "bad.csv"
    path.write_text('smiles\nCCO\nC1CC\n""\nCN\n')
    assert main([str(path), "--out", str(tmp_path / "set")]) == 2
    assert capfd.readouterr().err == (
        f"error: Row 2 of {path} (from 1) holds 'C1CC', which RDKit cannot read as SMILES; correct it, or skip such "
        "rows with --skip-invalid.\n"
    )
    assert not (tmp_path / "set").exists()
    assert main([str(path), "--skip-invalid", "--out", str(tmp_path / "set")]) == 0
    out, err = capfd.readouterr()
    assert "2 graphs, 5 nodes, 6 directed edges; 1 classes, so train with --no-evaluate" in out
    assert err.startswith("warning: 2 rows could not be read; the first: Row 2 of ")
    path.write_text("smiles\nC1CC\n")
    assert main([str(path), "--skip-invalid", "--out", str(tmp_path / "none")]) == 2
    assert "at least one graph, got none" in capfd.readouterr().err


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_charge_that_has_no_label_is_an_invalid_row(tmp_path, capsys, suffix):
    path = tmp_path / f"ions{suffix}"
    table = pd.DataFrame({"smiles": ["CCO", "[Mn+7]", "[W-8]"]})
    table.to_csv(path, index=False) if suffix == ".csv" else table.to_parquet(path)
    assert main([str(path), "--out", str(tmp_path / "set")]) == 2
    found = capsys.readouterr().err
    assert re.search(
        r"^error: Row 2 of .* holds '\[Mn\+7\]', with an atom that has no such labels, .*\n$", found
    ), found
    assert main([str(path), "--skip-invalid", "--out", str(tmp_path / "set")]) == 0
    found = capsys.readouterr()
    assert "1 graphs, 3 nodes" in found.out
    assert "2 rows could not be read; the first: Row 2 of" in found.err


def test_a_name_that_no_set_may_have(tmp_path):
    (tmp_path / "my table (2).csv").write_text("smiles\nCCO\n")
    assert main([str(tmp_path / "my table (2).csv"), "--out", str(tmp_path / "set")]) == 0
    assert GraphShards(tmp_path / "set").name == "my-table-2"


def gz(path, rows):
    path.write_bytes(
        gzip.compress("".join(",".join(map(str, row)) + "\n" for row in rows).encode())
    )


@pytest.fixture
def ogb(tmp_path):
    """Four graphs: a path, a single node, a cycle with an edge given twice, an edge; two tasks, one with gaps."""
    raw = tmp_path / "ogbg_toy" / "raw"
    raw.mkdir(parents=True)
    random = np.random.default_rng(0)
    gz(raw / "num-node-list.csv.gz", [[3], [1], [4], [2]])
    gz(raw / "num-edge-list.csv.gz", [[2], [0], [5], [1]])
    gz(raw / "edge.csv.gz", [[0, 1], [2, 1], [0, 1], [1, 2], [2, 3], [3, 0], [1, 0], [0, 1]])
    gz(raw / "node-feat.csv.gz", random.integers(0, 5, (10, 3)).tolist())
    gz(raw / "edge-feat.csv.gz", random.integers(0, 3, (8, 2)).tolist())
    gz(raw / "graph-label.csv.gz", [[0, "nan"], [1, 0], [0, ""], [1, 1]])
    return raw


def read(path):
    return pd.read_csv(path, header=None).to_numpy()


@pytest.mark.parametrize("chunk", [1, 3, 8192])
def test_a_folder_of_ogb(ogb, chunk, tmp_path, monkeypatch):
    """By a plain reading of its files; edges count in both directions, and those given twice once."""
    monkeypatch.setattr("graphcl_hard.data.shards.SHARD_GRAPHS", chunk)
    assert main([str(ogb.parent), "--label", "0", "--out", str(tmp_path / "set")]) == 0
    found = GraphShards(tmp_path / "set").whole()
    assert (found.name, found.y.tolist(), found.node_ptr.tolist()) == (
        "ogbg_toy",
        [0, 1, 0, 1],
        [0, 3, 4, 8, 10],
    )
    edges, features = read(ogb / "edge.csv.gz"), read(ogb / "edge-feat.csv.gz").tolist()
    right = {}
    for row, start in enumerate([0, 0, 4, 4, 4, 4, 4, 8]):
        for u, v in (edges[row], edges[row][::-1]):
            right.setdefault((start + u, start + v), features[row])
    assert list(map(tuple, found.edge_index.T.tolist())) == sorted(right)
    assert values(found.edge_label, found.edge_label_values) == [
        right[edge] for edge in sorted(right)
    ]
    assert (
        values(found.node_label, found.node_label_values) == read(ogb / "node-feat.csv.gz").tolist()
    )


@pytest.mark.parametrize("chunk", [1, 3, 8192])
def test_numbers_that_are_not_whole_are_attributes(ogb, tmp_path, monkeypatch, chunk):
    """Whichever chunk they are in."""
    monkeypatch.setattr("graphcl_hard.data.shards.SHARD_GRAPHS", chunk)
    gz(ogb / "node-feat.csv.gz", [[i // 5 * i / 3, 1] for i in range(10)])
    (ogb / "edge-feat.csv.gz").unlink()
    assert main([str(ogb), "--out", str(tmp_path / "set"), "--name", "toy"]) == 0
    found = GraphShards(tmp_path / "set").whole()
    assert found.columns == {"node_attr"}
    np.testing.assert_allclose(found.node_attr, read(ogb / "node-feat.csv.gz"), rtol=1e-6)
    assert found.y.tolist() == [0] * 4


@pytest.mark.parametrize(
    ("name", "rows", "words", "message"),
    [
        ("edge", [[0, 1]] * 7, [], "edge.csv.gz ends 1 rows too early"),
        ("edge", [[0, 1]] * 9, [], "edge.csv.gz has more lines than"),
        ("edge", [[0, 3]] * 8, [], r"Graph 0 of .* between nodes \[0, 3\], must lie in \[0, 2\]"),
        ("edge", [[0, 1, 1]] * 8, [], "must have two columns, the ends of an edge, got 3"),
        ("edge", [[0, 0.5]] * 8, [], "must contain only integers of at least 0"),
        ("edge", [[0, "x"]] * 8, [], "must contain only numbers"),
        ("num-node-list", [[3], [1]], [], "2 and 4 lines left in num-node-list and num-edge-list"),
        ("num-edge-list", [[2], [-1], [5], [1]], [], "must contain only integers of at least 0"),
        ("node-feat", [[1]] * 9, [], "node-feat.csv.gz ends 1 rows too early"),
        ("graph-label", [[1]] * 3, ["--label", "0"], "graph-label.csv.gz ends 1 rows too early"),
        (
            "graph-label",
            [[1]] * 4,
            ["--label", "1"],
            "must be the number of a column of .* 0 to 0, got '1'",
        ),
        (
            "graph-label",
            [[0.5]] * 4,
            ["--label", "0"],
            "Graph 0 of .* has the label 0 0.5, must be a class",
        ),
        (
            "graph-label",
            [[1], [""], [0], [1]],
            ["--label", "0"],
            "Graph 1 of .* has the label 0 nan, must be a class",
        ),
        ("num-edge-list", None, [], "num-edge-list.csv.gz is missing"),
        (
            "node-feat",
            [[1, 2]] * 6 + [[8, ""]] + [[1, 2]] * 3,
            [],
            r"Row 7 of .*node-feat.csv.gz \(from 1\) lacks",
        ),
        (
            "edge-feat",
            [[0.5, 1]] * 7 + [["1e300", 1]],
            [],
            r"Row 8 of .*edge-feat.csv.gz \(from 1\) .* not a finite 32-bit",
        ),
    ],
)
def test_a_wrong_file_of_ogb_is_one_sentence(ogb, tmp_path, capsys, name, rows, words, message):
    path = ogb / f"{name}.csv.gz"
    path.unlink() if rows is None else gz(path, rows)
    assert main([str(ogb.parent), *words, "--out", str(tmp_path / "set")]) == 2
    found = capsys.readouterr().err
    assert found.count("\n") == 1
    assert re.search(message, found), found
    assert not (tmp_path / "set").exists()


def test_a_gzip_file_that_is_damaged(ogb, tmp_path, capsys):
    content = (ogb / "edge.csv.gz").read_bytes()
    for damaged in (content[: len(content) // 2], content[:12] + b"\xff" * 8 + content[20:]):
        (ogb / "edge.csv.gz").write_bytes(damaged)
        assert main([str(ogb.parent), "--out", str(tmp_path / "set")]) == 2
        assert "edge.csv.gz cannot be read" in capsys.readouterr().err


def test_a_tu_set(tmp_path):
    assert main(["MUTAG", "--out", str(tmp_path / "set")]) == 0
    found, right = load_graphs(str(tmp_path / "set")), load_graphs("MUTAG")
    for name in ("node_ptr", "edge_index", "edge_ptr", "y", "node_label", "edge_label"):
        assert torch.equal(getattr(found, name), getattr(right, name)), name
    assert found.node_label_values == right.node_label_values


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing.csv"], "The file nothing.csv does not exist"),
        (
            ["m.csv", "--smiles", "smile"],
            "has no column 'smile', it has id, smiles, active, task, pIC50; name one with",
        ),
        (["m.csv", "--label", "act"], "has no column 'act'"),
        (
            ["m.csv", "--label", "pIC50"],
            r"Row 2 of m.csv \(from 1\) has the pIC50 '0.14.*', must be a class",
        ),
        (["m.txt"], "m.txt must end in .csv, .csv.gz, .parquet"),
        (["set"], "set is already a folder of shards"),
        (["MUTAG", "--label", "0"], "--label must be left out for a TU data set"),
        (["MUTAG", "--out", "m.csv"], "The folder m.csv is a file, must be new or empty"),
        (["MUTAG", "--out", "."], r"The folder \. contains"),
        (["m.csv", "--name", "../x"], "The data set name '../x' must be"),
        (["empty.csv"], "has no column 'smiles', it has none"),
        (["bad.parquet"], "bad.parquet cannot be read"),
        (["bad.csv.gz"], "bad.csv.gz cannot be read"),
        (["torn.csv.gz"], "torn.csv.gz cannot be read"),
        (["quote.csv"], "quote.csv cannot be read: unexpected end of data"),
        (
            ["comma.csv", "--label", "active"],
            r"Row 2 of comma.csv \(from 1\) has 4 values, must have 3; correct it",
        ),
        (
            ["short.csv", "--label", "active"],
            r"Row 1 of short.csv \(from 1\) has 2 values, must have 3; correct it",
        ),
        (["twice.csv"], "twice.csv has 2 columns 'smiles'; rename all but one"),
        (["twice.parquet"], "twice.parquet has 2 columns 'smiles'; rename all but one"),
        (["m.csv", "--lable", "x"], "--label"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_written(
    table, tmp_path, monkeypatch, capsys, words, message
):
    monkeypatch.chdir(tmp_path)
    assert main(["MUTAG", "--out", "set", "--quiet"]) == 0
    for name in ("m.txt", "empty.csv", "bad.parquet", "bad.csv.gz"):
        (tmp_path / name).write_text("" if name == "empty.csv" else "no table")
    torn = gzip.compress(b"smiles\n" + b"CCO\nCN\n" * 99)
    (tmp_path / "torn.csv.gz").write_bytes(torn[:14] + b"\xff" * 8 + torn[22:])
    (tmp_path / "quote.csv").write_text('smiles,name\nC,x\nCCO,"ethanol\n' + "CN,y\n" * 99)
    (tmp_path / "comma.csv").write_text("smiles,mass,active\nC,1,0\nCN,31,06,0\n")
    (tmp_path / "short.csv").write_text("smiles,mass,active\nC,1\n")
    (tmp_path / "twice.csv").write_text("smiles,smiles\nC,C\n")
    pq.write_table(pa.table([["C"], ["C"]], names=["smiles", "smiles"]), tmp_path / "twice.parquet")
    before = sorted(path.name for path in tmp_path.iterdir())
    capsys.readouterr()
    assert main([*words, *([] if "--out" in words else ["--out", "new"])]) == 2
    found = capsys.readouterr().err
    assert found.count("\n") == 1
    assert re.search(message, found), found
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_ctrl_c_leaves_nothing(table, tmp_path, monkeypatch, capsys):
    def interrupted(*_):
        yield load_graphs("MUTAG")
        raise KeyboardInterrupt

    monkeypatch.setattr(convert_module, "_chunks", interrupted)
    assert main([str(table), "--out", str(tmp_path / "set")]) == 130
    assert capsys.readouterr().err == "interrupted: nothing was written.\n"
    assert not (tmp_path / "set").exists()


def test_help_teaches():
    command = [sys.executable, "-m", "graphcl_hard.convert", "--help"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for word in ("SMILES", "ogbg_molhiv", "--skip-invalid", "python -m graphcl_hard.run --dataset"):
        assert word in found
