"""The review of the control for batch norm: its share of data, and the table from the committed records."""

import numpy as np
import pytest
import torch

from experiments.hardness.review import batch_norm
from experiments.hardness.review.old_study import HARD, records_of
from experiments.tu.families import SETS
from graphcl_hard.evaluation.statistics import paired_difference
from graphcl_hard.sweeps.records import read_records


@pytest.mark.parametrize("updates", [1, 10, 50])
def test_the_share_of_data_is_that_of_pytorchs_batch_norm(updates):
    norm = torch.nn.BatchNorm1d(1).double()
    for _ in range(updates):
        norm(torch.tensor([[0.0], [2.0]]).double())  # mean 1, variance 2
    share = batch_norm.data_share(updates)
    assert norm.running_mean.item() == pytest.approx(share)
    assert norm.running_var.item() == pytest.approx(share * 2 + (1 - share))


def accuracies(records):
    return np.concatenate(
        [
            np.divide(one["scores"]["svm"][str(one["last_epoch"])]["correct"], one["test_sizes"])
            for one in records
        ]
    )


def test_the_table_pairs_the_folds_of_both_studies():
    table = batch_norm.batch_norm_table()
    assert list(table.values["dataset"]) == list(table.shown["data set"])
    row = table.values.set_index("dataset").loc["DD"]
    exact = [one for one in read_records(batch_norm.RECORDS) if one["dataset"] == "DD"]
    hard = records_of("DD", HARD)
    assert [one["seed"] for one in hard] == [one["seed"] for one in exact] == [0, 1, 2]
    for one, other in zip(hard, exact, strict=True):
        assert one["data"]["directed_edges"] == other["data"]["directed_edges"]
        assert one["test_sizes"] == other["test_sizes"]
    expected = paired_difference(accuracies(hard), accuracies(exact), 1 / 9)
    found = row[["hard - exact", "hard - exact low", "hard - exact high"]].astype(float)
    np.testing.assert_allclose(
        found, 100 * np.array([expected.difference, expected.low, expected.high])
    )
    assert row["updates"] == 50
    assert exact[0]["config"]["recalibrate"] is True


def test_the_statistics_were_computed_by_committed_code():
    found = batch_norm.computed()
    assert set(found) == set(SETS)
    for one in found.values():
        assert one["git_commit"]
        assert not one["git_commit"].endswith("-dirty"), one["dataset"]
