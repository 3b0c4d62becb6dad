"""The weights, the effective number of negatives and the schedule of beta."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphcl_hard.exceptions import InputError
from graphcl_hard.losses.weights import beta_schedule, effective_negatives, hard_negative_weights


def test_weights_are_the_formula_with_mean_one_over_the_negatives():
    scores = torch.tensor([[0.0, 1.0, 2.0], [3.0, -1.0, 0.5]], dtype=torch.float64)
    mask = torch.tensor([[False, True, True], [True, True, False]])
    weights = hard_negative_weights(scores, 0.7, mask)
    for i in range(2):
        w = [math.exp(0.7 * scores[i, g].item()) if mask[i, g] else 0.0 for g in range(3)]
        assert weights[i].tolist() == pytest.approx([2 * x / sum(w) for x in w])


@settings(deadline=None, max_examples=60)
@given(
    rows=st.integers(1, 6),
    columns=st.integers(1, 6),
    beta=st.floats(0, 1e6),
    size=st.sampled_from([0.0, 1.0, 1e4]),
)
def test_weights_are_finite_and_average_one(rows, columns, beta, size):
    generator = torch.Generator().manual_seed(rows * 7 + columns)
    scores = torch.randn(rows, columns, generator=generator) * size
    mask = torch.rand(rows, columns, generator=generator) < 0.7
    weights = hard_negative_weights(scores, beta, mask)
    assert torch.isfinite(weights).all()
    assert (weights[~mask] == 0).all()
    torch.testing.assert_close(weights.sum(1), mask.sum(1).float())
    negatives = effective_negatives(weights, mask)
    assert (negatives <= mask.sum(1) * (1 + 1e-5)).all()
    assert (negatives[mask.any(1)] >= 1 - 1e-5).all()
    assert (negatives[~mask.any(1)] == 0).all()


def test_beta_zero_is_uniform_and_large_beta_leaves_the_hardest():
    scores = torch.tensor([[0.1, 0.9, -2.0]])
    assert hard_negative_weights(scores, 0.0)[0].tolist() == pytest.approx([1.0, 1.0, 1.0])
    assert hard_negative_weights(scores, 1e4)[0].tolist() == pytest.approx([0.0, 3.0, 0.0])


def test_gradients_flow_and_rows_without_negatives_have_none():
    scores = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, False, True], [False] * 4, [True] * 4])
    hard_negative_weights(scores, 2.0, mask)[:, 0].sum().backward()
    assert torch.isfinite(scores.grad).all()
    assert (scores.grad[1] == 0).all()
    assert (scores.grad[0] != 0).any()


def test_effective_negatives_of_known_weights():
    weights = torch.tensor([[1.0, 1.0, 1.0, 1.0], [0.0, 5.0, 0.0, 0.0], [3.0, 1.0, 0.0, 0.0]])
    assert effective_negatives(weights).tolist() == pytest.approx([4.0, 1.0, 16 / 10])
    assert effective_negatives(weights * 1e-30).tolist() == pytest.approx([4.0, 1.0, 16 / 10])
    mask = torch.tensor([[True, True, False, False]] * 3)
    assert effective_negatives(weights, mask).tolist() == pytest.approx([2.0, 1.0, 1.6])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("constant", [2.0, 2.0, 2.0, 2.0, 2.0]),
        ("linear-up", [0.0, 0.5, 1.0, 1.5, 2.0]),
        ("linear-down", [2.0, 1.5, 1.0, 0.5, 0.0]),
        ("cosine-up", [0.0, 1 - math.sqrt(0.5), 1.0, 1 + math.sqrt(0.5), 2.0]),
        ("cosine-down", [2.0, 1 + math.sqrt(0.5), 1.0, 1 - math.sqrt(0.5), 0.0]),
    ],
)
def test_beta_schedule(kind, expected):
    assert [beta_schedule(step, 5, 2.0, kind) for step in range(5)] == pytest.approx(expected)
    assert beta_schedule(0, 1, 2.0, kind) == 2.0


def test_bad_arguments_are_refused():
    with pytest.raises(InputError, match="beta must lie in"):
        hard_negative_weights(torch.zeros(2, 2), -0.1)
    with pytest.raises(
        InputError, match="Unknown beta schedule 'sine'; choose one of constant, linear-up"
    ):
        beta_schedule(0, 2, 1.0, "sine")
    with pytest.raises(
        InputError, match=r"step must lie in \[0, total - 1\] with total = 2, got 2"
    ):
        beta_schedule(2, 2, 1.0)


@pytest.mark.parametrize("beta", [0.0, 1e-320, 2.0])
def test_a_score_of_minus_infinity_has_no_weight(beta):
    scores = torch.tensor([[1.0, -torch.inf, 1.0]], requires_grad=True)
    weights = hard_negative_weights(scores, beta)
    assert weights.tolist() == [[1.5, 0.0, 1.5]]
    weights[0, 0].backward()
    assert torch.isfinite(scores.grad).all()
