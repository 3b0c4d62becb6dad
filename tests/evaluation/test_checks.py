"""Embeddings are read in any form, and what is no finite number is found."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from graphcl_hard.evaluation.checks import check_vectors
from graphcl_hard.exceptions import InputError

X = np.array([[1.0, 2.5], [3.0, 0.0], [5.0, 6.0]])


@pytest.mark.parametrize(
    "value",
    [
        X.tolist(),
        X.astype(object),
        X.astype(np.float16),
        torch.tensor(X, requires_grad=True),
        torch.tensor(X, dtype=torch.bfloat16),
        torch.tensor(X).to_sparse(),
        list(torch.tensor(X, requires_grad=True)),
        sparse.csr_matrix(X),
        sparse.coo_array(X),
        np.ma.array(X),
        pd.DataFrame(X, index=[7, 8, 9]),
        pd.DataFrame(X).astype("Float64"),
        pd.DataFrame({"id": ["b", "a", "c"], "v0": X[:, 0], "v1": X[:, 1]}),
    ],
)
def test_embeddings_in_any_form(value):
    assert np.array_equal(check_vectors("vectors", value, 3), X)


def masked():
    return np.ma.array(X, mask=[[0, 0], [0, 1], [0, 0]])


def with_entry(entry):
    array = X.astype(object)
    array[1, 1] = entry
    return array


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (masked(), "NaN or infinity in 1 of 3 rows, first in row 1, column 1; leave such rows out"),
        (with_entry(None), "NaN or infinity in 1 of 3 rows, first in row 1, column 1"),
        (with_entry(pd.NA), "NaN or infinity in 1 of 3 rows, first in row 1, column 1"),
        (with_entry(-np.inf), "NaN or infinity in 1 of 3 rows, first in row 1, column 1"),
        (with_entry("0"), "must be a (G, D) array of numbers, got ndarray: it holds strings."),
        (with_entry([0]), "must be a (G, D) array of numbers, got ndarray: "),
        (X * 1j, "must be a (G, D) array of numbers, got ndarray: it holds complex128."),
        (X.astype(str), "must be a (G, D) array of numbers, got ndarray: it holds <U"),
        (X.astype("M8[s]"), "must be a (G, D) array of numbers, got ndarray: it holds datetime64"),
        ([[1], [1, 2], [3]], "must be a (G, D) array of numbers, got list: "),
        (None, "must have shape (G, D) with D >= 1, got ()"),
        (pd.Series([1, 2, 3]), "must have shape (G, D) with D >= 1, got (3,)"),
        (
            pd.DataFrame({"a": [1, 2, 3], "b": [1, None, 3]}),
            "vectors has 'nan' at row 1 (counted from 0) of the column 'b', which is not finite",
        ),
        (
            pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]}),
            "vectors has 'x' at row 0 (counted from 0) of the column 'b', which is not a number",
        ),
        (pd.DataFrame(X, columns=["a", "a"]), "must have different column names, got a, a."),
        (pd.DataFrame({"id": [1, 2, 3]}), "must have shape (G, D) with D >= 1, got (3, 0)"),
    ],
)
def test_what_is_no_embedding_is_one_sentence(value, sentence):
    with pytest.raises(InputError) as error:
        check_vectors("vectors", value, 3)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_labels_and_row_numbers_of_a_table_are_left_out():
    rows = np.arange(30)
    frame = pd.DataFrame({"a": rows % 7, "y": rows // 15, "Unnamed: 0": rows, "row": rows})
    with pytest.warns(UserWarning, match="vectors 'trained'") as caught:
        found = check_vectors("trained", frame, 30)
    assert np.array_equal(found, rows[:, None] % 7)
    told = [str(warning.message) for warning in caught]
    assert len(told) == 3
    assert "The column 'y' of vectors 'trained' is left out" in told[0]
    assert "vectors 'trained' has a column without a name (Unnamed: 0)" in told[1]
    assert "The column 'row' of vectors 'trained' is left out" in told[2]
    assert told[2].endswith("; give the array of the columns to use if it is a feature.")


def test_several_targets_in_a_table_are_left_out():
    """As `graphcl_hard.embed` writes them."""
    frame = pd.DataFrame({"a": np.arange(30) % 7, "y.toxic": np.arange(30) // 15})
    with pytest.warns(UserWarning, match=r"The column 'y\.toxic' of vectors is left out"):
        found = check_vectors("vectors", frame, 30)
    assert np.array_equal(found, np.arange(30)[:, None] % 7)
