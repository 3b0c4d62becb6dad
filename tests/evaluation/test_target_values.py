"""Labels are read in any form, and what is missing or no class is found."""

import math
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from graphcl_hard.evaluation.targets import known_labels
from graphcl_hard.exceptions import InputError


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([1, 0, 1], [1, 0, 1]),
        ((True, False, True), [True, False, True]),
        (np.array([1.0, 0.0, 1.0]), [1, 0, 1]),
        ([1, 0.0, np.int8(1)], [1, 0, 1]),
        ([Decimal(1), 0, True], [1, 0, 1]),
        ([2**70, 0, 1], [2**70, 0, 1]),
        (np.array([2**63, 1], dtype=np.uint64), [2**63, 1]),
        ([1e300, 0, 1], [1e300, 0, 1]),
        (["a", "b"], ["a", "b"]),
        (np.array([b"a", b"b"]), ["a", "b"]),
        (["5.1", "5.4"], ["5.1", "5.4"]),  # strings are names
        (torch.tensor([1, 0]), [1, 0]),
        (torch.tensor([1.0, 0.0], requires_grad=True), [1, 0]),
        (torch.tensor([1.0, 0.0], dtype=torch.bfloat16), [1, 0]),
        ([torch.tensor(1), torch.tensor(0)], [1, 0]),
        (pd.Series([1, 0], index=[7, 9]), [1, 0]),
        (pd.Categorical(["b", "a"]), ["b", "a"]),
        (pd.Series(["b", "a"], dtype="category"), ["b", "a"]),
        (pd.Series([True, False], dtype="boolean"), [True, False]),
        (pd.Index([3, 4]), [3, 4]),
        (["Na", "none", "None", "NA", "nan"], ["Na", "none", "None", "NA", "nan"]),
        ([], []),
    ],
)
def test_labels_in_any_form(labels, expected):
    found, known = known_labels(labels)
    assert found.tolist() == expected
    assert known.tolist() == [True] * len(expected)


@pytest.mark.parametrize(
    "labels",
    [
        [1, None, 0],
        [1, math.nan, 0],
        [1, np.float32("nan"), 0],
        [1, Decimal("nan"), 0],
        [1, pd.NA, 0],
        [1, pd.NaT, 0],
        np.array([1, np.nan, 0]),
        np.ma.array([1, 5, 0], mask=[False, True, False]),
        np.ma.array([1.0, 5.5, 0.0], mask=[False, True, False]),
        torch.tensor([1, torch.nan, 0]),
        pd.Series([1, None, 0]),
        pd.Series([1, None, 0], dtype="Int64"),
        pd.Series([1, None, 0], dtype="Float64"),
        pd.Series([1, None, 0], dtype="category"),
        pd.Series([1, None, 0], dtype=object),
    ],
)
def test_missing_numbers(labels):
    found, known = known_labels(labels)
    assert found.tolist() == [1, 0]
    assert known.tolist() == [True, False, True]


@pytest.mark.parametrize(
    "labels",
    [
        ["a", None, "b"],
        ["a", math.nan, "b"],
        ["a", "", "b"],
        np.array(["a", "", "b"]),
        pd.Series(["a", None, "b"]),
        pd.Series(["a", None, "b"], dtype="string"),
    ],
)
def test_missing_names(labels):
    found, known = known_labels(labels)
    assert found.tolist() == ["a", "b"]
    assert known.tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (None, r"labels must have shape \(G,\), got \(\)"),
        ("abc", r"labels must have shape \(G,\), got \(\)"),
        ({1: 0}, r"labels must have shape \(G,\), got \(\)"),
        ([[1], [0]], r"labels must have shape \(G,\), got \(2, 1\)"),
        (sparse.csr_matrix([[1, 0]]), r"labels must have shape \(G,\), got \(1, 2\)"),
        ([[1], [0, 1]], r"must be integers, strings or booleans, got \[1\] for graph 0"),
        ([np.zeros((2, 2)), np.zeros((2, 3))], r"labels must be an array \(G,\)"),
        ([1j, 2], r"must be integers, strings or booleans, got 1j for graph 0"),
        (np.array(["2020-01-01"], dtype="M8[D]"), "must be integers, .* for graph 0; convert"),
        (["a", 1], "all be strings or all be numbers, got 'a' for graph 0 and 1 for graph 1"),
        ([None, 1, "1"], "got 1 for graph 1 and '1' for graph 2; convert them"),
        ([None, 1.5, 2], "got measured values, such as 1.5 for graph 1; group them"),
        (np.array([np.nan, 1, 2.25]), "got measured values, such as 2.25 for graph 2"),
        ([1, math.inf], "labels must be finite, got inf for graph 1"),
        (np.array([np.nan, -np.inf]), "labels must be finite, got -inf for graph 1"),
    ],
)
def test_what_is_no_class_is_one_sentence(labels, sentence):
    with pytest.raises(InputError, match=sentence) as error:
        known_labels(labels)
    assert "\n" not in str(error.value)
