"""The masked losses against loops in float64, and scikit-learn's and PyTorch's where nothing is missing."""

import math

import pytest
import torch
import torch.nn.functional as F

from graphcl_hard.losses.supervised import (
    masked_binary_cross_entropy,
    masked_cross_entropy,
    masked_squared_error,
)


def table(kind, seed=0):
    """Outputs and targets of 7 graphs and 3 targets, about half of which are missing."""
    generator = torch.Generator().manual_seed(seed)
    outputs = torch.randn(7, 3, dtype=torch.float64, generator=generator)
    y = torch.randn(7, 3, dtype=torch.float64, generator=generator)
    y = (y > 0).double() if kind == "binary" else y
    missing = torch.rand(7, 3, generator=generator) < 0.5
    return outputs.requires_grad_(), y.masked_fill(missing, math.nan)


@pytest.mark.parametrize("weight", [None, (0.3, 1.0, 2.5)])
def test_cross_entropy_is_that_of_a_loop(weight):
    outputs, _ = table("regression")
    y = torch.tensor([2, -1, 0, 1, 1, -1, 2])
    total = weights = 0.0
    for graph in range(7):
        if y[graph] < 0:
            continue
        exponentials = [math.exp(score) for score in outputs[graph].tolist()]
        share = exponentials[y[graph]] / sum(exponentials)
        one = 1.0 if weight is None else weight[y[graph]]
        total, weights = total - one * math.log(share), weights + one
    given = None if weight is None else torch.tensor(weight, dtype=torch.float64)
    assert masked_cross_entropy(outputs, y, given).mean.item() == pytest.approx(total / weights)


@pytest.mark.parametrize("weight", [None, ((0.3, 1.0), (2.0, 0.5), (1.0, 7.0))])
def test_binary_cross_entropy_is_that_of_a_loop(weight):
    outputs, y = table("binary")
    total = weights = 0.0
    for graph in range(7):
        for target in range(3):
            value = y[graph, target].item()
            if math.isnan(value):
                continue
            share = 1 / (1 + math.exp(-outputs[graph, target].item()))
            one = 1.0 if weight is None else weight[target][int(value)]
            total -= one * math.log(share if value else 1 - share)
            weights += one
    given = None if weight is None else torch.tensor(weight, dtype=torch.float64)
    found = masked_binary_cross_entropy(outputs, y, given)
    assert found.mean.item() == pytest.approx(total / weights)


def test_squared_error_is_that_of_a_loop():
    outputs, y = table("regression")
    errors = [
        (outputs[graph, target] - y[graph, target]).item() ** 2
        for graph in range(7)
        for target in range(3)
        if not y[graph, target].isnan()
    ]
    found = masked_squared_error(outputs, y)
    assert found.mean.item() == pytest.approx(sum(errors) / len(errors))
    assert found.weight == len(errors)


def test_losses_are_those_of_pytorch_where_nothing_is_missing():
    outputs, y = table("regression")
    y, binary, classes = y.nan_to_num(0.3), (y.nan_to_num() > 0).double(), torch.arange(7) % 3
    weight = torch.tensor([1.0, 2.0, 0.1], dtype=torch.float64)
    for found, expected in (
        (masked_squared_error(outputs, y), F.mse_loss(outputs, y)),
        (
            masked_binary_cross_entropy(outputs, binary),
            F.binary_cross_entropy_with_logits(outputs, binary),
        ),
        (
            masked_cross_entropy(outputs, classes, weight),
            F.cross_entropy(outputs, classes, weight),
        ),
    ):
        torch.testing.assert_close(found.mean, expected)


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_missing_entries_have_no_gradient(kind):
    outputs, y = table(kind)
    loss = masked_binary_cross_entropy if kind == "binary" else masked_squared_error
    loss(outputs, y).mean.backward()
    assert torch.equal(outputs.grad == 0, y.isnan())


def test_a_batch_without_known_entries_has_the_loss_0():
    outputs = torch.randn(4, 3, requires_grad=True)
    y = torch.full((4, 3), math.nan)
    for found in (
        masked_binary_cross_entropy(outputs, y),
        masked_squared_error(outputs, y),
        masked_cross_entropy(outputs, torch.full((4,), -1)),
    ):
        assert found.mean == 0
        (gradient,) = torch.autograd.grad(found.mean, outputs)
        assert not gradient.any()
