"""Batch norm over the rows of all processes, forward and backward."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import BatchNorm1d, Module

from graphcl_hard._tensor import full_precision, refuse_second_derivatives


@contextmanager
def synchronised(module: Module) -> Iterator[None]:
    """Make every `BatchNorm1d` of a module a `SyncedBatchNorm1d` inside the block; parameters and state are kept."""
    norms = [child for child in module.modules() if type(child) is BatchNorm1d]
    try:
        for norm in norms:
            norm.__class__ = SyncedBatchNorm1d
        yield
    finally:
        for norm in norms:
            norm.__class__ = BatchNorm1d


class SyncedBatchNorm1d(BatchNorm1d):
    r"""`BatchNorm1d` whose mean and variance in training are those of the rows (N, C) of all processes together.

    Each process contributes the mean :math:`\mu_r` and the sum of squared deviations :math:`M_r` of its :math:`n_r`
    rows; with :math:`n = \sum_r n_r`

    .. math:: \mu = \tfrac1n \textstyle\sum_r n_r \mu_r, \qquad
              \sigma^2 = \tfrac1n \textstyle\sum_r \big(M_r + n_r (\mu_r - \mu)^2\big)

    A process may have one row, or none. PyTorch's `SyncBatchNorm` does the same on GPUs, but does not run on a CPU. In
    evaluation nothing is exchanged.

    Source: Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (N, C) to (N, C)."""
        if not self.training:
            return super().forward(input)
        result: Tensor = _SyncedBatchNorm.apply(input, self.weight, self.bias, self)
        return result


class _SyncedBatchNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, norm: BatchNorm1d) -> Tensor:
        rows = full_precision(x)
        mean, squares, count = merge(collect(moments(rows)))
        inverse_std = (squares / count + norm.eps).rsqrt()
        move_statistics(norm, mean, squares / (count - 1))
        normalised = (rows - mean) * inverse_std
        ctx.save_for_backward(normalised, weight, inverse_std, count)
        ctx.dtype = x.dtype
        return torch.addcmul(bias, normalised, weight).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        refuse_second_derivatives("batch norm")
        # With y = y^ w + b over n rows: dx = w / std * (g - sum(g) / n - y^ * sum(g y^) / n), with sums over all
        # processes. The gradients of the parameters are those of this process only: DDP sums them up.
        normalised, weight, inverse_std, count = ctx.saved_tensors
        grad = full_precision(grad)
        own = torch.stack([grad.sum(dim=0), (grad * normalised).sum(dim=0)])  # (2, C)
        total = own.clone()
        dist.all_reduce(total)
        grad_rows = (grad - total[0] / count - normalised * (total[1] / count)) * (
            weight * inverse_std
        )
        return grad_rows.to(ctx.dtype), own[1], own[0], None


def moments(rows: Tensor) -> Tensor:
    """Return mean, sum of squared deviations and number of rows (R, C), as (2C + 1,); R may be 0."""
    mean = rows.sum(dim=0) / max(1, rows.size(0))
    return torch.cat([mean, (rows - mean).square().sum(dim=0), rows.new_tensor([rows.size(0)])])


def merge(each: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Merge the `moments` of parts, (P, 2C + 1), into mean (C,), squared deviations (C,) and number () of all rows."""
    channels = each.size(1) // 2
    means, squares, counts = each.split([channels, channels, 1], dim=1)
    # If no part has a row, everything is 0, including the numerator.
    count = counts.sum()
    mean = (counts * means).sum(dim=0) / count.clamp_min(1)
    return mean, (squares + counts * (means - mean).square()).sum(dim=0), count


def move_statistics(norm: BatchNorm1d, mean: Tensor, variance: Tensor) -> None:
    """Update the running statistics of a norm by those of a batch (C,), as a training step does."""
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    norm.num_batches_tracked.add_(1)
    step = 1 / norm.num_batches_tracked.item() if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), step)
    norm.running_var.lerp_(variance.to(norm.running_var.dtype), step)


def collect(value: Tensor) -> Tensor:
    """Return the `value` of every process, (processes, *S) for one shape S and dtype; a constant for the gradient."""
    value = value.detach().contiguous()
    found = [torch.empty_like(value) for _ in range(dist.get_world_size())]
    dist.all_gather(found, value)
    return torch.stack(found)
