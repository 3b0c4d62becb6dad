"""Operations of the encoders with hand-written gradients, since those of PyTorch are slow on a CPU."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn import BatchNorm1d, Module

from graphcl_hard._tensor import full_precision, refuse_second_derivatives
from graphcl_hard.data.adjacency import Adjacency

aten = torch.ops.aten


def look_up(index: Tensor, weight: Tensor) -> Tensor:
    """Return the product of a one-hot input with the weight of a linear layer, without building the input.

    Args:
        index: (N, K) int64, the columns of the input that hold a 1; -1: none.
        weight: (C, F) float, weight of a layer from F to C channels.

    Returns:
        (N, C): for each row, the sum of the K columns of the weight.
    """
    result: Tensor = _LookUp.apply(index, weight)
    return result


class _LookUp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, index: Tensor, weight: Tensor) -> Tensor:
        index = index.where(index >= 0, weight.size(1))  # the row of zeros after the last
        ctx.save_for_backward(index)
        ctx.shape = weight.shape
        rows = F.embedding(index, F.pad(weight.T, (0, 0, 0, 1)))  # (N, K, C)
        return rows.squeeze(1) if index.size(1) == 1 else rows.sum(dim=1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor]:
        refuse_second_derivatives("a look-up")
        (index,) = ctx.saved_tensors
        by_row = grad.new_zeros(ctx.shape[1] + 1, ctx.shape[0])
        for column in index.unbind(dim=1):
            by_row.index_add_(0, column, grad)
        return None, by_row[:-1].T


def relu_batch_norm(x: Tensor, norm: Module) -> Tensor:
    """Return `norm(F.relu(x, inplace=True))`; `x` (N, C) is overwritten, and `norm` updates its statistics.

    In training on a CPU, where the backward pass of PyTorch is slow, the gradient is computed here, and second
    derivatives are refused.
    """
    here = x.device.type == "cpu" and x.size(0) > 1 and not torch.compiler.is_compiling()
    usual = type(norm) is BatchNorm1d and norm.training and norm.affine and norm.track_running_stats
    if here and usual and norm.momentum and x.dtype == norm.weight.dtype:
        assert isinstance(norm, BatchNorm1d)
        assert norm.num_batches_tracked is not None
        norm.num_batches_tracked.add_(1)
        fast: Tensor = _ReluBatchNorm.apply(x, norm.weight, norm.bias, norm)
        return fast
    plain: Tensor = norm(F.relu(x, inplace=True))
    return plain


class _ReluBatchNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, norm: BatchNorm1d) -> Tensor:
        active = x.detach().relu_()
        moving = norm.running_mean, norm.running_var, True, norm.momentum or 0.0
        out, mean, inverse_std = torch.native_batch_norm(active, weight, bias, *moving, norm.eps)
        ctx.save_for_backward(active, weight, mean, inverse_std)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        refuse_second_derivatives("batch norm")
        # With y = (a - mean) / std * w + b over N rows: da = w / std * (g - sum(g) / N - y^ * sum(g y^) / N), where y^
        # is y before w and b. This is linear in g and in a, so two multiplications and additions per number suffice.
        active, weight, mean, inverse_std = ctx.saved_tensors
        rows = active.size(0)
        grad_bias = grad.sum(dim=0)
        grad_weight = ((grad * active).sum(dim=0) - mean * grad_bias) * inverse_std
        by_grad = weight * inverse_std
        by_active = -by_grad * inverse_std * grad_weight / rows
        constant = -by_grad * grad_bias / rows - by_active * mean
        grad_active = torch.addcmul(constant, active, by_active).addcmul_(grad, by_grad)
        aten.threshold_backward.grad_input(grad_active, active, 0, grad_input=grad_active)
        return grad_active, grad_weight, grad_bias, None


def neighbour_sum(
    x: Tensor, adjacency: Adjacency, own_weight: Tensor | None = None, bias: Tensor | None = None
) -> Tensor:
    r"""Return the sum of x over the neighbours of each node.

    .. math:: y_i = \sum_{j \to i} x_j + w\, x_i + b, \qquad Y = (A + w I) X + \mathbf 1 b^\top

    Args:
        x: (N, D) float. Half precision is summed and returned in float32.
        adjacency: edges of the N nodes.
        own_weight: w, one number of the dtype of `x`, a constant for the gradient; None: 0.
        bias: b, (D,); None: 0.

    Returns:
        (N, D) of the same dtype. The gradient is a sum over the transposed adjacency, which is not computed for it;
        second derivatives are refused. Sums are in the order of the edges, so they repeat bit for bit on every device.
    """
    result: Tensor = _NeighbourSum.apply(full_precision(x), adjacency, own_weight, bias)
    return result


class _NeighbourSum(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, adjacency: Adjacency, own_weight: Tensor | None, bias: Tensor | None
    ) -> Tensor:
        ctx.adjacency, ctx.own_weight = adjacency, own_weight
        out = _sum_rows(x, adjacency.ptr, adjacency.source)
        if own_weight is not None:
            out.addcmul_(x, own_weight)
        if bias is not None:
            out.add_(bias)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, None, Tensor | None]:
        refuse_second_derivatives("a sum over neighbours")
        grad, grad_x = grad.contiguous(), None
        if ctx.needs_input_grad[0]:
            grad_x = _sum_rows(grad, ctx.adjacency.transposed_ptr, ctx.adjacency.target)
            if ctx.own_weight is not None:
                grad_x.addcmul_(grad, ctx.own_weight)
        return grad_x, None, None, grad.sum(dim=0) if ctx.needs_input_grad[3] else None


def _sum_rows(x: Tensor, ptr: Tensor, index: Tensor) -> Tensor:
    # An embedding bag computes a row of a CSR product whose values are all 1, faster than PyTorch's product, which
    # reads these ones (benchmarks/speed compares them).
    return F.embedding_bag(index, x, ptr, mode="sum", include_last_offset=True)
