"""The effective rank of an embedding."""

import math

import numpy as np
import pytest

from graphcl_hard.evaluation.effective_rank import effective_rank


def test_equal_directions_count_whole():
    """Orthogonal columns have as many dimensions as columns, whatever their scales and means."""
    columns, _ = np.linalg.qr(
        np.concatenate([np.ones((40, 1)), np.random.default_rng(0).normal(size=(40, 5))], axis=1)
    )
    scaled = columns[:, 1:] * [1, 10, 1e-3, 7, 2] + [5, 0, 1, -3, 2]
    assert effective_rank(scaled) == pytest.approx(5)
    # The direction of a repeated column has twice the variance, so the singular values are sqrt(2), 1, 1, 1, 1.
    share = np.array([math.sqrt(2), 1, 1, 1, 1]) / (math.sqrt(2) + 4)
    twice = np.concatenate([scaled, scaled[:, :1] * 3], axis=1)
    assert effective_rank(twice) == pytest.approx(math.exp(-sum(p * math.log(p) for p in share)))


def test_constant_columns_do_not_count():
    one = np.random.default_rng(1).normal(size=(30, 1)).astype(np.float32)
    assert effective_rank(
        np.concatenate([one, np.full((30, 4), 0.1, np.float32), 2 * one], axis=1)
    ) == pytest.approx(1)
    assert effective_rank(np.full((30, 4), 0.1)) == 0
