"""Values of other files in the order of the rows of a file of vectors."""

from pathlib import Path

import numpy as np
import pytest

from graphcl_hard.exceptions import InputError
from graphcl_hard.io.columns import aligned, split_column

FILE = Path("s.csv")
VALUES = np.array(["a", "b", "c"])


@pytest.mark.parametrize(
    ("ids", "own_ids", "rows", "found"),
    [
        (None, None, 3, ["a", "b", "c"]),
        (None, [1, 2, 3], 3, ["a", "b", "c"]),
        ([7, 5, 6], None, 3, ["a", "b", "c"]),
        ([7, 5, 6], ["5", "6", "7"], 3, ["b", "c", "a"]),
        (["x", "y", "z"], ["z", "w"], 2, ["c", None]),
        (None, [2, 0], 2, ["c", "a"]),
        (None, ["1", "3", "0", "2"], 4, ["b", None, "a", "c"]),
    ],
)
def test_values_follow_the_rows(ids, own_ids, rows, found):
    ids, own_ids = (None if one is None else np.array(one) for one in (ids, own_ids))
    assert aligned(FILE, VALUES, ids, own_ids, rows).tolist() == found


def test_values_without_ids_are_taken_in_order_with_a_warning():
    with pytest.warns(UserWarning, match="s.csv has no column 'id', .* first id is '7'"):
        found = aligned(FILE, VALUES, None, np.array([7, 5, 6]), 3)
    assert found.tolist() == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("ids", "own_ids", "rows", "sentence"),
    [
        (None, None, 2, "s.csv must have one value for each of 2 rows of vectors, got 3"),
        (None, ["x", "y"], 2, "must have one value for each of 2 rows"),
        (["x", "y", "x"], ["x"], 1, "s.csv has the id 'x' twice"),
        (
            ["x", "y", "z"],
            ["w"],
            1,
            "s.csv has none of the ids of the vectors, such as 'w', but 'x'",
        ),
    ],
)
def test_an_unknown_order_is_refused(ids, own_ids, rows, sentence):
    ids, own_ids = (None if one is None else np.array(one) for one in (ids, own_ids))
    with pytest.raises(InputError, match=sentence):
        aligned(FILE, VALUES, ids, own_ids, rows)


def test_a_colon_separates_the_column_unless_the_file_has_it_in_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert split_column("a.csv:b", "it") == (Path("a.csv"), "b")
    assert split_column("a.csv", "it") == (Path("a.csv"), None)
    assert split_column("c:d", "it") == (Path("c:d"), None)
    (tmp_path / "a.csv:b").write_text("")
    assert split_column("a.csv:b", "it") == (Path("a.csv:b"), None)
