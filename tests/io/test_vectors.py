"""Files of vectors and labels are read as they were written, and invalid ones are refused in one sentence."""

import os
import sys
import tracemalloc

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from graphcl_hard.exceptions import InputError
from graphcl_hard.io.columns import read_column
from graphcl_hard.io.vector_writer import ROWS, write_vectors
from graphcl_hard.io.vectors import numbers_rows, read_vectors

VECTORS = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
Y = np.arange(12) % 3
IDS = np.arange(12) + 100


@pytest.mark.parametrize("suffix", [".npz", ".csv", ".parquet"])
def test_what_was_written_is_read(tmp_path, suffix):
    write_vectors(tmp_path / f"v{suffix}", [VECTORS], ids=IDS, labels=Y)
    vectors, labels = read_vectors(tmp_path / f"v{suffix}")[:2]
    (name,) = vectors
    assert name == ("vectors" if suffix == ".npz" else "v")
    assert np.array_equal(vectors[name].astype(np.float32), VECTORS)
    assert np.array_equal(labels, Y)
    assert suffix == ".csv" or np.array_equal(vectors[name], VECTORS)  # a CSV has nine digits


@pytest.mark.parametrize("suffix", [".npz", ".csv", ".parquet"])
@pytest.mark.parametrize("sizes", [(1,), (ROWS - 1, 1, 5), (ROWS,), (3, ROWS, ROWS, 2)])
def test_parts_are_written_one_after_the_other(tmp_path, suffix, sizes):
    parts = [
        np.random.default_rng(n).normal(size=(size, 2)).astype(np.float32)
        for n, size in enumerate(sizes)
    ]
    y = np.arange(sum(sizes))
    assert write_vectors(tmp_path / f"v{suffix}", iter(parts), ids=y, labels=y) == 2
    vectors, labels = read_vectors(tmp_path / f"v{suffix}")[:2]
    (found,) = vectors.values()
    assert np.array_equal(found.astype(np.float32), np.concatenate(parts))
    assert np.array_equal(labels, y)


@pytest.mark.parametrize(
    "suffix", [".npz", pytest.param(".csv", marks=pytest.mark.slow), ".parquet"]
)
def test_parts_need_not_fit_in_memory_together(tmp_path, suffix):
    def peak(count):
        parts = (np.ones((ROWS, 16), dtype=np.float32) for _ in range(count))
        y = np.zeros(count * ROWS, dtype=np.int64)
        tracemalloc.start()
        write_vectors(tmp_path / f"v{suffix}", parts, ids=y, labels=y)
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(1)  # imports
    assert peak(12) - peak(3) < 2 * ROWS * 16 * 4  # of the nine that are more, two


def test_float64_is_written_whole(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(5, 3))
    for suffix in (".npz", ".csv", ".parquet"):
        write_vectors(tmp_path / f"v{suffix}", [vectors], ids=np.arange(5), labels=np.arange(5))
        assert np.array_equal(*read_vectors(tmp_path / f"v{suffix}")[0].values(), vectors)


def written(path, **options):
    """Write vectors to a file and return its table, or its arrays, as pandas and NumPy read them."""
    write_vectors(path, [VECTORS[:3]], **options)
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return {name: arrays[name].tolist() for name in arrays}
    read = pd.read_csv if path.suffix == ".csv" else pd.read_parquet
    return read(path).astype(object).replace({np.nan: None}).to_dict("list")


STRINGS = ["one, two", 'a "quoted" ß', "two\nlines"]


@pytest.mark.parametrize("suffix", [".npz", ".csv", ".parquet"])
@pytest.mark.parametrize(
    ("ids", "labels", "missing"),
    [
        ([7, 5, 6], [2, 0, -1], None),
        (STRINGS, STRINGS[::-1], None),
        (["a", "b", "c"], ["x", "", "z"], ["x", None, "z"]),
        ([1, 2, 3], [0.5, np.nan, 1 / 3], [0.5, None, 1 / 3]),
        ([1, 2, 3], [5.0, np.nan, -2.0], [5, None, -2]),
        ([1, 2, 3], [5.0, 1.0, -2.0], [5, 1, -2]),
        ([1, 2, 3], None, None),
    ],
)
def test_graphs_keep_their_ids_and_labels(tmp_path, suffix, ids, labels, missing):
    given = None if labels is None else np.array(labels)
    found = written(tmp_path / f"v{suffix}", ids=np.array(ids), labels=given)
    assert found["id"] == ids
    if labels is None:
        assert "y" not in found
    else:
        expected = labels if suffix == ".npz" or missing is None else missing
        np.testing.assert_array_equal(found["y"], expected)
    names = list(found)
    assert names == [
        *(["vectors", "id"] if suffix == ".npz" else ["id", "v0", "v1", "v2"]),
        *([] if labels is None else ["y"]),
    ]


TARGETS = np.array([[0.5, 1], [np.nan, 0], [2, np.nan]])


def test_several_targets_are_columns_of_a_table_and_an_array_with_names(tmp_path):
    options = {"ids": np.arange(3), "labels": TARGETS, "targets": ("logP", "toxic")}
    found = written(tmp_path / "v.npz", **options)
    np.testing.assert_array_equal(found["y"], TARGETS)
    assert found["targets"] == ["logP", "toxic"]
    for suffix in (".csv", ".parquet"):
        table = written(tmp_path / f"v{suffix}", **options)
        assert list(table) == ["id", "v0", "v1", "v2", "y.logP", "y.toxic"]
        assert table["y.logP"] == [0.5, None, 2.0]
        assert table["y.toxic"] == [1, 0, None]
    assert str(pq.read_schema(tmp_path / "v.parquet").field("y.toxic").type) == "int64"


def test_whole_labels_of_a_table_are_integers_beside_missing_ones(tmp_path):
    labels = np.array([5, np.nan, -2])
    write_vectors(tmp_path / "v.csv", [VECTORS[:3]], ids=np.arange(3), labels=labels)
    lines = (tmp_path / "v.csv").read_text().splitlines()
    assert [line.rpartition(",")[2] for line in lines] == ["y", "5", "", "-2"]
    write_vectors(tmp_path / "v.parquet", [VECTORS[:3]], ids=np.arange(3), labels=labels)
    table = pq.read_table(tmp_path / "v.parquet")
    assert str(table.schema.field("y").type) == "int64"
    assert table["y"].to_pylist() == [5, None, -2]


def test_files_name_the_data_that_the_vectors_are_of(tmp_path):
    found = written(tmp_path / "v.npz", ids=np.arange(3), checksum="12ab")
    assert found["data_sha256"] == "12ab"
    written(tmp_path / "v.parquet", ids=np.arange(3), checksum="12ab")
    assert pq.read_schema(tmp_path / "v.parquet").metadata[b"data_sha256"] == b"12ab"
    assert list(written(tmp_path / "v.csv", ids=np.arange(3), checksum="12ab")) == [
        *("id", "v0", "v1", "v2")
    ]


@pytest.mark.parametrize("suffix", [".npz", ".csv", ".parquet"])
def test_ids_are_neither_vectors_nor_labels(tmp_path, suffix):
    path = tmp_path / f"v{suffix}"
    write_vectors(path, [VECTORS], ids=IDS, checksum="12ab")
    with pytest.raises(InputError, match="has no labels 'y'"):
        read_vectors(path)
    pd.DataFrame({"id": IDS, "class": Y}).to_csv(tmp_path / "l.csv", index=False)
    vectors, labels = read_vectors(path, str(tmp_path / "l.csv"))[:2]
    assert [array.shape for array in vectors.values()] == [(12, 3)]
    assert np.array_equal(labels, Y)


def test_parquet_without_its_packages(tmp_path, monkeypatch):
    write_vectors(tmp_path / "v.parquet", [VECTORS], ids=IDS, labels=Y)

    def without_pyarrow(*_, **__):
        raise ImportError("Missing optional dependency 'pyarrow'")

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setattr(pd, "read_parquet", without_pyarrow)
    with pytest.raises(
        InputError,
        match=r"parquet files need pandas and pyarrow; install them, or write .npz or .csv",
    ):
        write_vectors(tmp_path / "w.parquet", [VECTORS], ids=IDS, labels=Y)
    with pytest.raises(
        InputError,
        match=r"parquet files need pandas and pyarrow; install them, or give .npz or .csv",
    ):
        read_vectors(tmp_path / "v.parquet")
    assert os.listdir(tmp_path) == ["v.parquet"]


def test_an_npz_of_somebody_else_is_read_by_its_shapes(tmp_path):
    np.savez(tmp_path / "a.npz", emb=VECTORS, cls=Y)
    vectors, labels = read_vectors(tmp_path / "a.npz")[:2]
    assert list(vectors) == ["emb"]
    assert np.array_equal(labels, Y)
    np.savez(
        tmp_path / "b.npz",
        one=VECTORS,
        two=2 * VECTORS,
        y=Y,
        other=Y[::-1],
        ids=np.arange(12),
        names=VECTORS > 9,
    )
    assert list(read_vectors(tmp_path / "b.npz")[0]) == ["one", "two", "names"]
    vectors, labels = read_vectors(tmp_path / "b.npz", "other", ["two"])[:2]
    assert list(vectors) == ["two"]
    assert np.array_equal(labels, Y[::-1])


def test_a_table_of_somebody_else(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(
        '\ufeffname,"a, b",c,target\nx1,1,2.5,"good, or so"\nx2,-1e-3,4,bad\n\n', encoding="utf-8"
    )
    vectors, labels = read_vectors(path, "target", ["c", "a, b"])[:2]
    assert vectors["t"].tolist() == [[2.5, 1], [4, -1e-3]]
    assert labels.tolist() == ["good, or so", "bad"]
    with pytest.raises(
        InputError,
        match=r"t.csv has 'x1' at row 0 .* of the column 'name', which is not a number; correct",
    ):
        read_vectors(path, "target")


def test_labels_of_numbers_in_a_table_are_numbers(tmp_path):
    (tmp_path / "t.csv").write_text("a,y\n1,10\n2,9\n3,-1\n")
    assert read_vectors(tmp_path / "t.csv")[1].tolist() == [10, 9, -1]
    (tmp_path / "t.csv").write_text(
        "a,y\n1,2020_01\n2,202001\n"
    )  # two classes, though Python takes both for a number
    assert read_vectors(tmp_path / "t.csv")[1].tolist() == ["2020_01", "202001"]


@pytest.mark.parametrize("codes", [["007", "7", "07"], ["00", "0"]])
@pytest.mark.parametrize("suffix", [".csv", ".txt"])
def test_codes_as_labels_stay_distinct(tmp_path, codes, suffix):
    """Whether they are in the table or in a file of their own."""
    rows = "".join(f"0.{row}5,{code}\n" for row, code in enumerate(codes, 1))
    (tmp_path / "t.csv").write_text("a,y\n" + rows)
    (tmp_path / "l.txt").write_text("\n".join(codes) + "\n")
    labels = str(tmp_path / "l.txt") if suffix == ".txt" else None
    assert read_vectors(tmp_path / "t.csv", labels, ["a"])[1].tolist() == codes


def test_names_that_look_like_missing_values_are_labels(tmp_path):
    (tmp_path / "t.csv").write_text("a,y\n0.5,Na\n0.7,none\n0.1,NA\n")
    assert read_vectors(tmp_path / "t.csv")[1].tolist() == ["Na", "none", None]


def test_labels_from_a_file_of_their_own(tmp_path):
    np.save(tmp_path / "v.npy", VECTORS)
    np.save(tmp_path / "l.npy", Y)
    np.savez(tmp_path / "l.npz", anything=Y)
    (tmp_path / "l.txt").write_text("\n".join(map(str, Y)))
    pd.DataFrame({"class": Y}).to_csv(tmp_path / "l.csv", index=False)
    pd.DataFrame({"class": Y}).to_parquet(tmp_path / "l.parquet")
    for suffix in (".npy", ".npz", ".txt", ".csv", ".parquet"):
        vectors, labels = read_vectors(tmp_path / "v.npy", str(tmp_path / f"l{suffix}"))[:2]
        assert np.array_equal(vectors["v"], VECTORS)
        assert np.array_equal(labels, Y)


@pytest.mark.parametrize("labels", ["target", "l.txt"])
def test_other_labels_never_become_a_vector(tmp_path, monkeypatch, labels):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "l.txt").write_text("a\nb\n")
    (tmp_path / "t.csv").write_text("c,y,target\n1,0,0\n2,1,1\n")
    vectors, _ = read_vectors(tmp_path / "t.csv", labels)[:2]
    assert vectors["t"].tolist() == ([[1], [2]] if labels == "target" else [[1, 0], [2, 1]])


def npz(path, **arrays):
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize(
    ("name", "text", "labels", "sentence"),
    [
        (
            "a.csv",
            "a,label\n1,2\n",
            "lable",
            "a.csv has no column 'lable' for the labels; did you mean 'label'?",
        ),
        (
            "a.csv",
            "a,label\n1,2\n",
            None,
            "a.csv has no labels 'y'; name them, or a file of them, with `labels`: it has",
        ),
        ("a.csv", "a,y\n1,2\n", "no.txt", "The file no.txt does not exist"),
        (
            "a.csv",
            "a,y\n1,2\n,1\n",
            None,
            "has '' at row 1 (counted from 0) of the column 'a', which is not a number",
        ),
        (
            "a.csv",
            "a,b,y\n1,2,0\n3,nan,1\n",
            None,
            "has 'nan' at row 1 (counted from 0) of the column 'b', which is not finite; correct",
        ),
        (
            "a.csv",
            "a;b;y\n1;2;0\n3;0,5;1\n",
            None,
            "has '0,5' at row 1 (counted from 0) of the column 'b', which has a decimal comma",
        ),
        (
            "a.csv",
            "a;y\n1;1,5\n3;1,7\n",
            None,
            "a.csv has labels with a decimal comma, such as '1,5'; write them with a decimal point",
        ),
        (
            "a.csv",
            "a,y\n1,2\n2020_01,1\n",
            None,
            "has '2020_01' at row 1 (counted from 0) of the column 'a'",
        ),
        (
            "a.csv",
            "a,b,y\n1,2,0\n3,4",
            None,
            "a.csv (from 0) has 2 values, must have 3; correct line 3, quote values that contain ',', or",
        ),
        (
            "a.csv",
            'a,y\n1,"2',
            None,
            "a.csv cannot be read: unexpected end of data; create the file again",
        ),
        ("a.csv", "1,2\n3,4\n", None, "a.csv must begin with a line of column names, got '1,2'"),
        ("a.csv", "", None, "a.csv must begin with a line of column names, got ''"),
        ("a.csv", "a,y\n", None, "a.csv has a line of names but no values"),
        ("a.csv", "a,a,y\n1,2,3\n", None, "more than one column 'a'; rename all but one"),
        ("a.csv", "y\n1\n", None, "a.csv has no vectors besides the labels"),
        (
            "a.csv",
            "a\udce9,y\n",
            None,
            "a.csv is not text in UTF-8, see line 1; save it in this encoding.",
        ),
        (
            "a.txt",
            "1\n",
            None,
            "a.txt must end in .npz, .npy, .csv, .tsv, .parquet; save it as one of them.",
        ),
        (
            "a.npz",
            "",
            None,
            "a.npz cannot be read: it is not a .npz file, or is truncated; create the file again.",
        ),
        ("a.npz", "garbage", None, "a.npz cannot be read: it is not a .npz file, or is truncated"),
        ("a.npy", "", None, "a.npy cannot be read: No data left in file; create the file again."),
        ("a.parquet", "garbage", None, "a.parquet cannot be read: "),
    ],
)
def test_what_cannot_be_used_is_one_sentence(tmp_path, monkeypatch, name, text, labels, sentence):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(InputError) as error:
        read_vectors(path, labels)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(InputError, match=r"The file .*nothing.npz does not exist"):
        read_vectors(tmp_path / "nothing.npz")
    with pytest.raises(
        InputError, match=r"is a folder; give a file, such as the embeddings.npz of a run"
    ):
        read_vectors(tmp_path)


class Trap:
    """Creates a file if it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("unpickled",)


@pytest.mark.parametrize("where", ["vectors", "labels", "npy"])
def test_pickled_objects_are_never_unpickled(tmp_path, monkeypatch, where):
    monkeypatch.chdir(tmp_path)
    trap = np.array([Trap()] * 12, dtype=object)
    path = tmp_path / ("a.npy" if where == "npy" else "a.npz")
    if where == "npy":
        np.save(path, trap, allow_pickle=True)
    else:
        np.savez(
            path, vectors=VECTORS if where == "labels" else trap, y=trap if where == "labels" else Y
        )
    with pytest.raises(
        InputError,
        match="contains pickled objects, which are never loaded as they can run arbitrary",
    ):
        read_vectors(path)
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("name", ["a.npz", "a.npy", "a.parquet"])
def test_a_file_that_was_cut_short(tmp_path, name):
    path = tmp_path / name
    if name == "a.npy":
        np.save(path, VECTORS)
    else:
        write_vectors(path, [VECTORS], ids=IDS, labels=Y)
    whole = path.read_bytes()
    for share in (0.2, 0.5, 0.9):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(InputError, match=r"a\.\w+ cannot be read: ") as error:
            read_vectors(path)
        assert "\n" not in str(error.value)


def test_a_damaged_array_in_a_whole_archive(tmp_path):
    path = npz(tmp_path / "a.npz", vectors=VECTORS, y=Y)
    whole = bytearray(path.read_bytes())
    whole[200] ^= 255
    path.write_bytes(whole)
    with pytest.raises(InputError, match=r"a.npz cannot be read: .*; create the file again"):
        read_vectors(path)


def test_names_to_take_that_are_not_there(tmp_path):
    path = npz(tmp_path / "a.npz", trained=VECTORS, y=Y)
    with pytest.raises(
        InputError, match=r"a.npz has no array 'traned' of vectors; did you mean 'trained'"
    ):
        read_vectors(path, only=["traned"])
    path = npz(tmp_path / "b.npz", words=np.array([["a"]] * 12), y=Y)
    with pytest.raises(InputError, match=r"b.npz has no vectors besides the labels"):
        read_vectors(path)


def test_labels_in_a_file_of_many_columns(tmp_path):
    np.save(tmp_path / "v.npy", VECTORS)
    (tmp_path / "l.csv").write_text("name,kind\na,b\n")
    with pytest.raises(InputError, match=r"l.csv has no labels 'y'; .*it has name, kind\."):
        read_vectors(tmp_path / "v.npy", str(tmp_path / "l.csv"))


NOISE = np.random.default_rng(1).normal(size=(30, 2))


@pytest.mark.parametrize(
    ("numbers", "name"),
    [
        (np.arange(30), "a"),
        (np.arange(1, 31), "a"),
        (100 - 7 * np.arange(30), "a"),
        (np.linspace(0, 1, 30), "a"),
        (np.cumsum(1 + np.arange(30) % 4), "a"),  # a table from which rows were left out
        (np.random.default_rng(0).permutation(30) + 5, "a"),  # a shuffled table
        (np.random.default_rng(0).permutation(90)[:30], "index"),  # part of a shuffled table
        (np.random.default_rng(0).permutation(90)[:30], "ID"),
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_column_that_numbers_the_rows_is_left_out_and_named(tmp_path, numbers, name, suffix):
    path = tmp_path / f"t{suffix}"
    frame = pd.DataFrame({name: numbers, "b": NOISE[:, 0], "y": np.arange(30) // 15})
    frame.to_csv(path, index=False) if suffix == ".csv" else frame.to_parquet(path)
    with pytest.warns(
        UserWarning, match=rf"The column '{name}' of .*t\{suffix} is left out, .*with `only` if it"
    ):
        vectors, _ = read_vectors(path)[:2]
    np.testing.assert_allclose(vectors["t"], NOISE[:, :1])
    vectors, _ = read_vectors(path, only=[name, "b"])[:2]
    np.testing.assert_allclose(vectors["t"], np.column_stack([numbers, NOISE[:, 0]]))


@pytest.mark.parametrize(
    "numbers",
    [
        np.full(30, 7),
        np.arange(30) // 2,  # sorted, not all different
        np.sort(NOISE[:, 0]),
        np.random.default_rng(0).permutation(90)[:30],
        np.random.default_rng(0).poisson(4, 30),
        2.0 ** np.arange(30) + 0.5,
    ],
)
def test_other_columns_are_features(numbers):
    assert not numbers_rows(numbers, "graph_size")


def test_a_short_column_is_a_feature():
    assert numbers_rows(np.arange(10))
    assert not numbers_rows(np.arange(9))


@pytest.mark.parametrize("heading", ["", '""', "Unnamed: 0", " ", "__index_level_0__"])
def test_a_column_without_a_name_is_left_out_and_named(tmp_path, heading):
    path = tmp_path / "t.csv"
    path.write_text(f"{heading},a,y\n5,0.5,0\n3,0.25,1\n")
    with pytest.warns(UserWarning, match=r"t.csv has a column without a name.*, which is left out"):
        vectors, _ = read_vectors(path)[:2]
    assert vectors["t"].tolist() == [[0.5], [0.25]]


@pytest.mark.parametrize("index", [None, "molecule", "id"])
def test_an_index_of_pandas_is_left_out(tmp_path, recwarn, index):
    rows = pd.Index([5, 3, 9], name=index)
    frame = pd.DataFrame({"a": [0.5, 0.25, 0.75], "y": [0, 1, 1]}, index=rows)
    frame.to_parquet(tmp_path / "t.parquet")
    vectors, _ = read_vectors(tmp_path / "t.parquet")[:2]
    assert vectors["t"].tolist() == [[0.5], [0.25], [0.75]]
    assert len(recwarn) == (index != "id")
    assert all("has a column without a name" in str(warning.message) for warning in recwarn)
    recwarn.clear()


def test_a_column_of_an_array_that_numbers_the_rows_is_left_out_and_named(tmp_path):
    path = npz(tmp_path / "a.npz", both=np.c_[np.arange(30), NOISE], y=np.arange(30) // 15)
    with pytest.warns(UserWarning, match=r"Column 0 of the array 'both' of .* is left out"):
        vectors, _ = read_vectors(path)[:2]
    assert np.array_equal(vectors["both"], NOISE)
    assert read_vectors(path, only=["both"])[0]["both"].shape == (30, 3)
    path = npz(tmp_path / "b.npz", rows=np.arange(60).reshape(30, 2), y=np.arange(30))
    with pytest.raises(InputError, match=r"b.npz has only row numbers in the array 'rows'"):
        read_vectors(path)


@pytest.mark.parametrize(
    "missing", ["", "NA", "NaN", "nan", "<NA>", "None", "null", "NULL", "n/a", " "]
)
def test_missing_labels_of_a_text_file(tmp_path, missing):
    (tmp_path / "t.csv").write_text(f"a,y\n0.5,2\n0.7,{missing}\n0.1,10\n")
    assert read_vectors(tmp_path / "t.csv")[1].tolist() == [2, None, 10]
    (tmp_path / "l.txt").write_text(f"good\n{missing}\nNone of them\n")
    labels = read_vectors(tmp_path / "t.csv", str(tmp_path / "l.txt"))[1]
    assert labels.tolist() == ["good", None, "None of them"]


@pytest.mark.parametrize(
    "labels",
    [
        pd.array([2, None, 10], dtype="Int64"),
        pd.array([2.0, None, 10.0], dtype="Float64"),
        pd.array(["2", None, "10"], dtype="string"),
        pd.Categorical(["2", None, "10"]),
        pd.array([True, None, False], dtype="boolean"),
        [2, np.nan, 10],
        ["2", "", "10"],
    ],
)
def test_missing_labels_of_parquet(tmp_path, labels):
    frame = pd.DataFrame({"a": [0.5, 0.7, 0.1], "y": labels})
    frame.to_parquet(tmp_path / "t.parquet")
    found = read_vectors(tmp_path / "t.parquet")[1]
    assert pd.isna(found).tolist() == [False, True, False]
    assert found[2] == labels[2]


CODES = ["7", "3", "5"]


def test_a_column_that_holds_the_labels_is_named(tmp_path, recwarn):
    codes, names = np.array(CODES)[Y], np.array(["b", "c", "a"])[Y]
    pd.DataFrame({"a": VECTORS[:, 0], "code": codes, "y": names}).to_csv(tmp_path / "t.csv")
    with pytest.warns(UserWarning, match="without a name") as caught:
        vectors, _ = read_vectors(tmp_path / "t.csv")[:2]
    assert vectors["t"].shape == (12, 2)
    sentence = "The column 'code' of {} has one value for each class, as labels have; name the others with `only` "
    assert str(caught[-1].message).startswith(sentence.format(tmp_path / "t.csv"))
    read_vectors(tmp_path / "t.csv", only=["code", "a"])  # somebody wants it
    both = np.column_stack([VECTORS, codes.astype(float)])
    path = npz(tmp_path / "a.npz", both=both, y=np.where(np.arange(12) < 11, names, ""))
    with pytest.warns(UserWarning, match=r"Column 3 of the array 'both' of .*a.npz has one value"):
        assert read_vectors(path)[0]["both"].shape == (12, 4)
    both[4, 3] += 1  # no longer one value for each class
    path = npz(tmp_path / "b.npz", both=both, y=names)
    recwarn.clear()
    read_vectors(path)
    assert not recwarn


def test_labels_that_are_large_integers_stay_different(tmp_path):
    (tmp_path / "t.csv").write_text(f"a,y\n0.5,{2**60}\n0.7,{2**60 + 1}\n")
    assert read_vectors(tmp_path / "t.csv")[1].tolist() == [str(2**60), str(2**60 + 1)]


def test_labels_with_a_heading_or_empty_lines(tmp_path):
    np.save(tmp_path / "v.npy", VECTORS)
    path = tmp_path / "l.txt"
    for text in (
        "label\n" + "\n".join(map(str, Y)),
        "\ufefflabel\n" + "\n".join(map(str, Y)) + "\n\n",
        "\r\n".join(map(str, Y)) + "\r\n \r\n",
    ):
        path.write_text(text, encoding="utf-8", newline="")
        assert read_vectors(tmp_path / "v.npy", str(path))[1].tolist() == Y.tolist()
    path.write_text("\n".join(["0"] * 11) + "\n\n")  # the last label is missing
    assert read_vectors(tmp_path / "v.npy", str(path))[1].tolist() == [0] * 11 + [None]


@pytest.mark.parametrize(
    ("name", "lines", "hint"),
    [
        ("l.txt", ["class", *"abcabcabcabc"], "remove the first line, 'class', if it is a heading"),
        ("l.csv", list("abcabcabcabc"), "begin the file with a line of column names"),
        ("l.csv", ["class", *"abc"], "add or remove some"),
    ],
)
def test_labels_for_another_number_of_rows(tmp_path, name, lines, hint):
    np.save(tmp_path / "v.npy", VECTORS)
    (tmp_path / name).write_text("\n".join(lines))
    with pytest.raises(
        InputError, match=rf"one label for each row of .*v.npy, got \d+ for 12; {hint}"
    ):
        read_vectors(tmp_path / "v.npy", str(tmp_path / name))


def test_labels_of_other_graphs_are_refused(tmp_path):
    write_vectors(tmp_path / "v.parquet", [VECTORS], ids=IDS)
    labels = pd.DataFrame({"id": IDS, "class": Y})
    for ids, refused in ((IDS, False), (IDS[::-1], True)):
        labels.assign(id=ids).to_csv(tmp_path / "l.csv", index=False)
        if refused:
            with pytest.raises(
                InputError,
                match=r"l.csv has the id '111' at row 0 .*, where .*v.parquet has 100; put both",
            ):
                read_vectors(tmp_path / "v.parquet", str(tmp_path / "l.csv"))
        else:
            read_vectors(tmp_path / "v.parquet", str(tmp_path / "l.csv"))


def test_paths_begin_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    np.save(tmp_path / "v ü.npy", VECTORS)
    np.save(tmp_path / "l.npy", Y)
    vectors, labels = read_vectors("~/v ü.npy", "~/l.npy")[:2]
    assert np.array_equal(vectors["v ü"], VECTORS)
    assert np.array_equal(labels, Y)


def test_complex_vectors_are_not_overlooked(tmp_path):
    path = npz(tmp_path / "a.npz", vectors=VECTORS, other=1j * VECTORS, y=Y)
    assert list(read_vectors(path)[0]) == ["vectors", "other"]


def test_a_parquet_file_without_rows(tmp_path):
    pd.DataFrame({"a": [], "y": []}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(InputError, match=r"t.parquet has columns but no rows; create the file"):
        read_vectors(tmp_path / "t.parquet")


# Several labels, patterns and files of columns


def test_several_targets_are_read_as_they_were_written(tmp_path):
    for suffix in (".npz", ".csv", ".parquet"):
        path = tmp_path / f"v{suffix}"
        options = {"ids": np.arange(3), "labels": TARGETS, "targets": ("logP", "toxic")}
        write_vectors(path, [VECTORS[:3]], **options)
        found = read_vectors(path)
        assert [array.shape for array in found.vectors.values()] == [(3, 3)]
        assert list(found.labels) == ["logP", "toxic"]
        for name, column in zip(found.labels, TARGETS.T, strict=True):
            values = [np.nan if one is None else one for one in found.labels[name].tolist()]
            np.testing.assert_array_equal(values, column)


def test_labels_are_named_one_by_one_by_patterns_or_in_a_file(tmp_path):
    columns = {"a": VECTORS[:, 0], "y.one": Y, "y.two": Y[::-1], "z": Y * 2}
    path = tmp_path / "t.csv"
    pd.DataFrame(columns).to_csv(path, index=False)
    pd.DataFrame({"id": IDS, "k": Y, "m": Y + 5}).to_csv(tmp_path / "l.tsv", index=False, sep="\t")

    def names(*labels):
        found = read_vectors(path, labels, ["a"])
        assert found.vectors["t"].shape == (12, 1)
        return found.labels

    assert names("one").tolist() == Y.tolist()
    assert names("y.two").tolist() == Y[::-1].tolist()
    assert list(names("y.*")) == ["one", "two"]
    assert list(names("z", "one")) == ["z", "one"]
    assert names(f"{tmp_path / 'l.tsv'}:m").tolist() == (Y + 5).tolist()
    assert list(names("two", f"{tmp_path / 'l.tsv'}:k", "one")) == ["two", "k", "one"]
    with pytest.raises(InputError, match=r"l.tsv has no column 'kk' of labels; did you mean 'k'"):
        names(f"{tmp_path / 'l.tsv'}:kk")
    with pytest.raises(InputError, match="must name each label once, got 'one' twice"):
        names("one", "y.*")


def test_other_targets_never_become_a_vector(tmp_path):
    pd.DataFrame({"a": VECTORS[:, 0], "y.one": Y, "y.two": Y[::-1]}).to_csv(tmp_path / "t.csv")
    with pytest.warns(UserWarning, match="without a name"):
        assert read_vectors(tmp_path / "t.csv", "one").vectors["t"].shape == (12, 1)
    path = npz(tmp_path / "a.npz", vectors=VECTORS, y=np.stack([Y, Y], axis=1), other=Y)
    assert list(read_vectors(path, "other").vectors) == ["vectors"]
    assert list(read_vectors(path).labels) == ["0", "1"]
    assert read_vectors(npz(tmp_path / "b.npz", v=VECTORS, y=Y[:, None])).labels.shape == (12,)


def test_columns_are_chosen_and_left_out_by_patterns(tmp_path):
    path = tmp_path / "t.tsv"
    frame = {f"emb_{column}": VECTORS[:, column] for column in range(3)}
    frame |= {"emb_note": ["x"] * 12, "mass": VECTORS[:, 0], "y": Y}
    pd.DataFrame(frame).to_csv(path, index=False, sep="\t")
    shape = read_vectors(path, only=["emb_?"]).vectors["t"].shape
    assert shape == (12, 3)
    found = read_vectors(path, only=["emb_?", "mass"], ignore=["emb_1"]).vectors["t"]
    np.testing.assert_allclose(found, VECTORS[:, [0, 2, 0]])
    assert read_vectors(path, ignore=["emb_n*"]).vectors["t"].shape == (12, 4)
    with pytest.raises(InputError, match=r"no column 'emb_x\*' of vectors"):
        read_vectors(path, ignore=["emb_x*"])
    path = npz(tmp_path / "a.npz", one=VECTORS, two=VECTORS, y=Y)
    assert list(read_vectors(path, ignore=["two"]).vectors) == ["one"]
    assert list(read_vectors(path, only=["t*"]).vectors) == ["two"]


def test_columns_are_set_aside(tmp_path):
    smiles = np.array(["C"] * 12)
    pd.DataFrame({"id": IDS, "a": VECTORS[:, 0], "smiles": smiles, "y": Y}).to_csv(
        tmp_path / "t.csv", index=False
    )
    found = read_vectors(tmp_path / "t.csv", aside=["smiles", "none"])
    assert list(found.aside) == ["smiles"]
    assert found.aside["smiles"].tolist() == smiles.tolist()
    assert found.ids.tolist() == list(map(str, IDS))
    assert found.vectors["t"].shape == (12, 1)
    file, values, ids = read_column(f"{tmp_path / 't.csv'}:smiles", ["split"], "--split")
    assert (file, values.tolist(), len(ids)) == (tmp_path / "t.csv", smiles.tolist(), 12)
    assert (
        read_column(str(tmp_path / "t.csv"), ["SMILES", "smiles"], "it")[1].tolist() == ["C"] * 12
    )
    with pytest.raises(
        InputError, match=r"no column 'split', which --split needs; give FILE:COLUMN"
    ):
        read_column(str(tmp_path / "t.csv"), ["split"], "--split")


def test_another_number_of_labels_is_reported_before_anything_else(tmp_path):
    path = npz(tmp_path / "a.npz", vectors=VECTORS, y=np.full(11, np.nan))
    with pytest.raises(InputError, match=r"one label for each row of 'vectors', got 11 labels 'y'"):
        read_vectors(path)


def test_labels_of_another_file_without_ids_are_taken_in_order_with_a_warning(tmp_path):
    """A shuffled file would give wrong scores without a word."""
    names = [f"m{row}" for row in range(12)]
    np.savez(tmp_path / "v.npz", emb=np.random.default_rng(0).normal(size=(12, 2)), id=names)
    (tmp_path / "l.csv").write_text("name,kind\n" + "".join(f"m{r},{r % 2}\n" for r in range(12)))
    with pytest.warns(UserWarning, match=r"l.csv has no column 'id', .* first id is 'm0'; name"):
        read_vectors(tmp_path / "v.npz", f"{tmp_path / 'l.csv'}:kind")
    np.savez(tmp_path / "numbered.npz", emb=np.ones((12, 2)), id=np.arange(12))
    read_vectors(tmp_path / "numbered.npz", f"{tmp_path / 'l.csv'}:kind")  # no warning
