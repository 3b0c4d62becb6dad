"""The encoder's steps with a backward of their own, against PyTorch's."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch.nn import BatchNorm1d

from graphcl_hard._tensor import one_hot
from graphcl_hard.nn.functional import look_up, relu_batch_norm


def norms(channels=3, **options):
    norm = BatchNorm1d(channels, **options).double()
    torch.nn.init.uniform_(norm.weight, -1, 2)
    torch.nn.init.normal_(norm.bias)
    return norm, copy.deepcopy(norm)


@pytest.mark.parametrize("rows", [2, 50])
@pytest.mark.parametrize("options", [{}, {"momentum": 0.3, "eps": 0.1}])
def test_training_equals_pytorchs_in_value_gradient_and_statistics(rows, options):
    torch.manual_seed(rows)
    ours, theirs = norms(**options)
    x, upstream = torch.randn(2, rows, 3, dtype=torch.float64)
    x.requires_grad_()
    for _ in range(2):
        found = relu_batch_norm(x.clone(), ours)
        expected = theirs(F.relu(x))
        torch.testing.assert_close(found, expected)
        gradients = torch.autograd.grad(found, [x, ours.weight, ours.bias], upstream)
        torch.testing.assert_close(
            gradients,
            torch.autograd.grad(expected, [x, theirs.weight, theirs.bias], upstream),
            rtol=1e-9,
            atol=1e-9,
        )
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())
    assert ours.num_batches_tracked == 2


def test_a_large_mean_loses_no_more_than_pytorch_does():
    torch.manual_seed(0)
    x = 100 + torch.randn(1000, 3, dtype=torch.float64)
    upstream = torch.randn(1000, 3, dtype=torch.float64)
    errors = []
    exact = torch.autograd.grad(
        F.batch_norm(x.requires_grad_(), None, None, training=True), x, upstream
    )[0]
    for function in (relu_batch_norm, lambda rows, norm: norm(F.relu(rows))):
        single = x.detach().float().requires_grad_()
        norm = BatchNorm1d(3)
        errors.append(
            (
                torch.autograd.grad(function(single.clone(), norm), single, upstream.float())[0]
                - exact
            ).norm()
        )
    assert errors[0] < 3 * errors[1]
    assert errors[0] < 1e-3 * exact.norm()


def test_evaluation_and_other_norms_are_pytorchs():
    ours, theirs = norms()
    x = torch.randn(5, 3, dtype=torch.float64)
    ours.eval(), theirs.eval()
    assert torch.equal(relu_batch_norm(x.clone(), ours), theirs(F.relu(x)))
    assert ours.num_batches_tracked == 0
    for options in ({"affine": False}, {"track_running_stats": False}, {"momentum": None}):
        norm = BatchNorm1d(3, **options).double()
        torch.testing.assert_close(relu_batch_norm(x.clone(), norm), copy.deepcopy(norm)(F.relu(x)))
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        relu_batch_norm(x[:1], ours.train())


@pytest.mark.parametrize("columns", [1, 3])
def test_a_look_up_is_the_product_with_the_one_hot_input(columns):
    index = torch.randint(4, (20, columns)) + 4 * torch.arange(columns)
    weight = torch.randn(5, 4 * columns, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(20, 5, dtype=torch.float64)
    dense = one_hot(index, 4 * columns).double()
    index[7], dense[7] = -1, 0
    found, expected = look_up(index, weight), F.linear(dense, weight)
    torch.testing.assert_close(found, expected)
    if columns == 1:
        assert torch.equal(found, expected)  # a sum of one weight and zeros
    torch.testing.assert_close(
        torch.autograd.grad(found, weight, upstream),
        torch.autograd.grad(expected, weight, upstream),
    )
