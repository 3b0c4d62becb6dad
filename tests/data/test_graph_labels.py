"""Labels as classes with names, or as measured targets, and what is missing."""

import math

import numpy as np
import pytest
import torch

from graphcl_hard.data.labels import number_integers, own_labels, read_labels
from graphcl_hard.exceptions import InputError


@pytest.mark.parametrize(
    ("values", "y", "classes"),
    [
        ([1, 2.0, "1"], [0, 1, 0], (1, 2)),
        (["1e0", "2", "1.0"], [0, 1, 0], (1, 2)),
        (["007", "7", "07"], [0, 2, 1], ("007", "07", "7")),
        ([2**60, 2**60 + 1, 5], [0, 1, 2], (str(2**60), str(2**60 + 1), "5")),
        (["Na", "K", "none"], [1, 0, 2], ("K", "Na", "none")),
        ([np.int8(3), torch.tensor(2), np.float32(3)], [1, 0, 1], (2, 3)),
        ([None, "", math.nan, "b"], [-1, -1, -1, 0], ("b",)),
        ([True, False], [1, 0], ("False", "True")),
        ([], [], ()),
    ],
)
def test_classes(values, y, classes):
    found = read_labels(values, "The y")
    assert (found.y.tolist(), found.classes) == (y, classes)


def test_texts_of_files_may_stand_for_missing_labels():
    values = ["NA", "Na", "K", "nan"]
    assert read_labels(values, "The y").y.tolist() == [1, 2, 0, 3]
    assert read_labels(values, "The y", from_file=True).y.tolist()[0::3] == [-1, -1]


def test_measured_targets():
    found = read_labels([0.5, None, "2"], "The y")
    assert found.classes == ()
    assert found.y.dtype == torch.float64
    assert found.y[[0, 2]].tolist() == [0.5, 2.0]
    assert found.y[1].isnan()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            ["a", 1],
            "The y is 'a' in row 0 and '1' in row 1, must be a name in every row or a number",
        ),
        ([0.5, math.inf], "The y is inf in row 1, must be finite"),
        ([1, [2]], r"The y is \[2\] in row 1, must be a number or a name"),
    ],
)
def test_labels_of_no_kind_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        read_labels(values, "The y")


def test_own_labels_are_those_that_were_given():
    for values in ([5, 2, 5], ["b", "a", "b"], [0.5, 0.25, 0.5]):
        assert own_labels(*read_labels(values, "The y")[:2]).tolist() == values
    assert own_labels(*read_labels(["b", None], "The y")[:2]).tolist() == ["b", ""]
    assert own_labels(*read_labels([None], "The y")[:2]) is None
    assert number_integers(torch.tensor([True, False])).y.tolist() == [1, 0]
