"""Tables of SMILES, folders of OGB and TU sets become the same graphs as a set on the disk."""

import csv
import gzip
import io
import math
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch_geometric.utils import from_smiles

from graphcl_hard import GraphShards, InputError, load_graphs
from graphcl_hard import convert as convert_module
from graphcl_hard.convert import main
from graphcl_hard.data.collate import to_graph_data
from graphcl_hard.data.molecules.vocabulary import MOLECULES, WITHOUT_STEREO

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
    assert main([str(path), "--labels", "active", "--out", str(tmp_path / "set")]) == 0
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
                "--labels",
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
        f"error: Row 1 of {path} (from 0) holds 'C1CC', but RDKit cannot read it as SMILES; correct it, or leave such "
        "rows out with --skip-invalid.\n"
    )
    assert not (tmp_path / "set").exists()
    assert main([str(path), "--skip-invalid", "--out", str(tmp_path / "set")]) == 0
    out, err = capfd.readouterr()
    assert "2 graphs, 5 nodes, 6 directed edges; no labels, so train with --no-evaluate" in out
    assert err.startswith("warning: 2 of 4 rows are left out and listed in ")
    assert "; the first is row 1 (from 0), 'C1CC': RDKit cannot read it as SMILES." in err
    assert (tmp_path / "set" / "left-out.csv").read_text() == (
        "row,id,smiles,reason\n1,1,C1CC,RDKit cannot read it as SMILES\n2,2,,it is empty\n"
    )
    assert GraphShards(tmp_path / "set").ids.tolist() == [0, 3]
    path.write_text("smiles\nC1CC\n")
    assert main([str(path), "--skip-invalid", "--out", str(tmp_path / "none")]) == 2
    assert capfd.readouterr().err == (
        f"error: None of the 1 rows of {path} is a molecule; the first, 'C1CC', is left out because RDKit cannot "
        "read it as SMILES; name the column of the SMILES with --smiles, or correct it.\n"
    )
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_values_outside_of_the_vocabulary_are_other(tmp_path, suffix):
    path = tmp_path / f"ions{suffix}"
    table = pd.DataFrame({"smiles": ["CCO", "[Mn+7]", "[W-8]", "N[Pt@SP1](N)(Cl)Cl"]})
    table.to_csv(path, index=False) if suffix == ".csv" else table.to_parquet(path)
    assert main([str(path), "--out", str(tmp_path / "set")]) == 0
    found = GraphShards(tmp_path / "set").whole()
    charge, hybridization = found.node_label[:, 3], found.node_label[:, 6]
    assert charge.tolist() == [5, 5, 5, 12, 12, 5, 5, 5, 5, 5]  # 5 is no charge, 12 is other
    assert hybridization[6] == 8  # SP2D
    assert found.node_label_values == MOLECULES.atom_values


def test_molecules_are_converted_without_stereo_and_by_several_processes(tmp_path):
    text = "smiles\n" + "C[C@H](N)O\nC[C@@H](N)O\nF/C=C/F\nC1CC\n" * 700
    words = ["--skip-invalid", "--no-stereo", "--jobs", "2"]
    _, found = converted(tmp_path, text, *words)
    graphs = found.whole()
    assert found.ids.tolist() == [row for row in range(2800) if row % 4 != 3]
    assert graphs.node_label_values == WITHOUT_STEREO.atom_values
    assert graphs.edge_label_values == WITHOUT_STEREO.bond_values
    assert torch.equal(graphs[0:1].node_label, graphs[1:2].node_label)
    by_one = converted(tmp_path, text, *words[:2], name="again.csv")[1]
    assert by_one.checksum == found.checksum


def converted(tmp_path, text, *words, name="m.csv"):
    """Convert a table, given as its text or bytes, and return the status and the data set, if there is one."""
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    out = tmp_path / f"set of {name}"
    status = main([str(tmp_path / name), *words, "--out", str(out)])
    return status, GraphShards(out) if status == 0 else None


def test_rows_keep_their_ids_where_others_are_left_out(tmp_path):
    text = "key;smiles\nb7;CCO\nb2;C1CC\nc1;CN\n"
    words = ["--id", "key", "--skip-invalid"]
    _, found = converted(tmp_path, text, *words)
    assert found.ids.tolist() == found.whole().ids.tolist() == ["b7", "c1"]
    assert found[1].id == "c1"
    left_out = pd.read_csv(tmp_path / "set of m.csv" / "left-out.csv")
    assert left_out.values.tolist() == [[1, "b2", "C1CC", "RDKit cannot read it as SMILES"]]
    _, numbered = converted(
        tmp_path, text.replace("b", "4").replace("c", "3"), *words, name="n.csv"
    )
    assert numbered.ids.tolist() == [47, 31]
    _, padded = converted(tmp_path, text.replace("b", "0").replace("c", "3"), *words, name="o.csv")
    assert padded.ids.tolist() == ["07", "31"]


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (("a", ""), "has no id in row 1 \\(from 0\\); add it, or leave --id out"),
        (("a", "a"), "has the id 'a' in rows 0 and 1 \\(from 0\\), must have each id once"),
    ],
)
def test_ids_that_identify_nothing_are_refused(tmp_path, capsys, ids, message):
    text = "key,smiles\n" + "".join(f"{one},CC\n" for one in ids)
    assert converted(tmp_path, text, "--id", "key")[0] == 2
    assert re.search(message, capsys.readouterr().err)


def test_class_names_are_sorted_and_kept(tmp_path, capsys):
    """Two tables that begin with different classes number them alike, and have their names."""
    one = converted(tmp_path, "smiles,kind\nCC,b\nCCC,a\n", "--labels", "kind")[1]
    assert "2 classes: a, b" in capsys.readouterr().out
    other = converted(tmp_path, "smiles,kind\nCN,a\nCCN,b\n", "--labels", "kind", name="n.csv")[1]
    assert (one.classes, one.y.tolist(), one.labels.tolist()) == (("a", "b"), [1, 0], ["b", "a"])
    assert (other.classes, other.y.tolist()) == (("a", "b"), [0, 1])
    fewer = converted(tmp_path, "smiles,kind\nCN,b\n", "--labels", "kind", name="o.csv")[1].whole()
    assert fewer.y.tolist() == [0]
    assert fewer.with_classes(one.classes).y.tolist() == [1]
    with pytest.raises(
        InputError, match=r"The classes of m are 'a', 'b', must be among 'b'; correct"
    ):
        one.whole().with_classes(fewer.classes)


@pytest.mark.parametrize(
    ("labels", "y", "classes"),
    [
        (["0", "", "1"], [0, -1, 1], (0, 1)),
        (["5", "NA", "-2"], [1, -1, 0], (-2, 5)),
        (["acid", "nan", "base"], [0, -1, 1], ("acid", "base")),
        (["2.0", "1", "2"], [1, 0, 1], (1, 2)),
        (["", "", ""], [-1, -1, -1], ()),
        (["0.37", "", "2"], [0.37, None, 2.0], ()),
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_labels_that_are_missing_stay_missing(tmp_path, labels, y, classes, suffix):
    path, out = tmp_path / f"m{suffix}", tmp_path / "set"
    table = pd.DataFrame({"smiles": ["CC", "CCC", "CN"], "label": labels})
    if suffix == ".csv":
        table.to_csv(path, index=False)
    else:
        table.replace({"label": ["", "NA", "nan"]}, None).to_parquet(path)
    assert main([str(path), "--labels", "label", "--out", str(out)]) == 0
    found = GraphShards(out)
    assert [None if math.isnan(one) else one for one in found.y.tolist()] == y
    assert found.classes == classes


TOX = "smiles,a,b,c\nCC,1,0.5,\nCCC,,1.5,\nCN,0,,2\nCCN,0,NA,3\n"


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
@pytest.mark.parametrize("chunk", [1, 8192])
def test_several_columns_are_several_targets(tmp_path, monkeypatch, capsys, suffix, chunk):
    monkeypatch.setattr("graphcl_hard.data.shards.SHARD_GRAPHS", chunk)
    path = tmp_path / f"tox{suffix}"
    if suffix == ".parquet":
        pd.read_csv(io.StringIO(TOX)).to_parquet(path)
    else:
        path.write_bytes(gzip.compress(TOX.encode()) if suffix == ".csv.gz" else TOX.encode())
    out = tmp_path / "set"
    assert main([str(path), "--labels", "a", "c", "b", "--out", str(out)]) == 0
    shown = capsys.readouterr().out.replace("\n", " ")
    assert "3 targets, each known for 2 to 3 graphs" in shown
    found = GraphShards(out)
    assert found.targets == ("a", "c", "b")
    nan = math.nan
    right = [[1, nan, 0.5], [nan, nan, 1.5], [0, 2, nan], [0, 3, nan]]
    np.testing.assert_array_equal(found.y, right)
    np.testing.assert_array_equal(found.whole().labels, right)


def test_several_columns_of_names_are_refused(tmp_path, capsys):
    text = "smiles,a,kind\nCC,1,x\nCCC,0,y\n"
    assert converted(tmp_path, text, "--labels", "a", "kind")[0] == 2
    assert re.search(
        "the column 'kind' is 'x' in row 0, must be a finite number where there are several labels",
        capsys.readouterr().err,
    )
    assert converted(tmp_path, text, "--labels", "a", "a")[0] == 2
    assert "--labels must name each column once, got a a" in capsys.readouterr().err


def test_missing_and_measured_labels_are_reported(tmp_path, capsys):
    converted(tmp_path, "smiles,y\nCC,0\nCCC,\nCN,1\n", "--labels", "y")
    assert "; 2 of 3 graphs have one of 2 classes: 0, 1\n" in capsys.readouterr().out
    converted(tmp_path, "smiles,y\nCC,0.5\nCCC,\nCN,1\n", "--labels", "y", name="n.csv")
    found = capsys.readouterr().out.replace("\n", " ")
    assert "2 of 3 graphs have measured targets" in found
    converted(tmp_path, "smiles,y\nCC,a\nCCC,\nCN,a\n", "--labels", "y", name="o.csv")
    found = capsys.readouterr().out.replace("\n", " ")
    assert "2 of 3 graphs have a single class, a, so train with --no-evaluate" in found


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("smiles\ty\nCC\t0\nCN\t1\n", "tabs"),
        ("smiles;y\nCC;0\nCN;1\n", "semicolons"),
        ("\ufeffsmiles,y\nCC,0\nCN,1\n", "mark"),
        ("smiles,y\nCC,0\nCN,1\n".encode("utf-16"), "utf-16"),
        ("smiles,y\r\n\r\nCC,0\r\nCN,1\r\n", "windows"),
        ("sep=;\nsmiles;y\nCC;0\nCN;1\n", "excel"),
    ],
)
def test_separators_and_encodings_are_recognised(tmp_path, text, name):
    _, found = converted(tmp_path, text, "--labels", "y", name=f"{name}.csv")
    assert found.y.tolist() == [0, 1]
    assert found.ids.tolist() == [0, 1]


def test_text_in_another_encoding_is_named(tmp_path, capsys):
    text = "smiles,name\nCC,naïve\n".encode("latin-1")
    assert converted(tmp_path, text)[0] == 2
    assert (
        "m.csv is not text in UTF-8, see line 2; save it in this encoding"
        in capsys.readouterr().err
    )
    gz_text = gzip.compress(text)
    assert converted(tmp_path, gz_text, name="m.csv.gz")[0] == 2
    assert "m.csv.gz is not text in UTF-8, see line 2" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["smiles\nCC\n\n \nCN\n", "smiles,y\nCC,0\n\n\nCN,1\n"])
def test_rows_are_those_of_pandas_where_lines_are_blank(tmp_path, text):
    _, found = converted(tmp_path, text)
    frame = pd.read_csv(tmp_path / "m.csv")
    assert found.ids.tolist() == frame.index.tolist() == [0, 1]


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
    assert main([str(ogb.parent), "--labels", "0", "--out", str(tmp_path / "set")]) == 0
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


@pytest.mark.parametrize(("labels", "names"), [(["all"], ("0", "1")), (["1", "0"], ("1", "0"))])
def test_several_tasks_of_ogb(ogb, tmp_path, monkeypatch, labels, names):
    monkeypatch.setattr("graphcl_hard.data.shards.SHARD_GRAPHS", 3)
    words = [str(ogb.parent), "--labels", *labels, "--out", str(tmp_path / "set")]
    assert main(words) == 0
    found = GraphShards(tmp_path / "set")
    right = read(ogb / "graph-label.csv.gz")  # with NaN for gaps
    assert found.targets == names
    np.testing.assert_array_equal(found.y, right[:, list(map(int, names))])
    assert found.y[:, names.index("1")].isnan().sum() == 2


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
    assert found.y.tolist() == [-1] * 4


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
        (
            "graph-label",
            [[1]] * 3,
            ["--labels", "0"],
            "graph-label.csv.gz has 3 rows, must have one for each graph",
        ),
        (
            "graph-label",
            [[1]] * 4,
            ["--labels", "1"],
            "must be numbers of columns of .* 0 to 0, got '1'",
        ),
        (
            "graph-label",
            [[1]] * 5,
            ["--labels", "0"],
            "graph-label.csv.gz has 5 rows, must have 4, one for each graph",
        ),
        (
            "graph-label",
            [[1], ["x"], [0], [1]],
            ["--labels", "0"],
            "Label 0 of .*raw is 'x' in graph 1 and '1' in graph 0, must be a name in every graph or a number",
        ),
        ("num-edge-list", None, [], "num-edge-list.csv.gz is missing"),
        (
            "node-feat",
            [[1, 2]] * 6 + [[8, ""]] + [[1, 2]] * 3,
            [],
            r"Row 6 of .*node-feat.csv.gz \(from 0\) lacks",
        ),
        (
            "edge-feat",
            [[0.5, 1]] * 7 + [["1e300", 1]],
            [],
            r"Row 7 of .*edge-feat.csv.gz \(from 0\) .* not a finite 32-bit",
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
        (["m.csv", "--labels", "act"], "has no column 'act'"),
        (
            ["MUTAG", "--id", "id"],
            "--id must be left out for MUTAG, which is no file of molecules, got 'id'",
        ),
        (["m.txt"], "m.txt must end in .csv, .csv.gz, .parquet"),
        (["set"], "set is already a folder of shards"),
        (["MUTAG", "--smiles", "s"], "--smiles must be left out for MUTAG, which is no file"),
        (
            ["MUTAG", "--skip-invalid"],
            "--skip-invalid must be left out for MUTAG, which is no file",
        ),
        (["MUTAG", "--no-stereo"], "--no-stereo must be left out for MUTAG, which is no file"),
        (["MUTAG", "--jobs", "2"], "--jobs must be left out for MUTAG, which is no file"),
        (["m.smi", "--smiles", "s"], "--smiles must be left out for m.smi, which has no columns"),
        (["MUTAG", "--labels", "0"], "--labels must be left out for a TU data set"),
        (["MUTAG", "--out", "m.csv"], "The folder m.csv is a file, but must be new or empty"),
        (["MUTAG", "--out", "."], r"The folder \. contains"),
        (["m.csv", "--name", "../x"], "The data set name '../x' must be"),
        (["empty.csv"], "has no column 'smiles', it has none"),
        (["bad.parquet"], "bad.parquet cannot be read"),
        (["bad.csv.gz"], "bad.csv.gz cannot be read"),
        (["torn.csv.gz"], "torn.csv.gz cannot be read"),
        (["quote.csv"], "quote.csv cannot be read: unexpected end of data"),
        (
            ["comma.csv", "--labels", "active"],
            r"Row 1 of comma.csv \(from 0\) has 4 values, must have 3; correct line 3, quote",
        ),
        (
            ["short.csv", "--labels", "active"],
            r"Row 0 of short.csv \(from 0\) has 2 values, must have 3; correct line 2, quote",
        ),
        (["twice.csv"], "twice.csv has 2 columns 'smiles'; rename all but one"),
        (["twice.parquet"], "twice.parquet has 2 columns 'smiles'; rename all but one"),
        (["m.csv", "--lable", "x"], r"--lable, x; did you mean --labels\?"),
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
