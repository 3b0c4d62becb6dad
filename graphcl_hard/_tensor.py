"""Small operations on tensors that several packages share."""

import torch
import torch.nn.functional as F
from torch import Tensor


def refuse_second_derivatives(what: str) -> None:
    """Raise RuntimeError in a backward that shall itself be differentiated (`create_graph=True`).

    Without this a hand-written gradient would count as a constant, and a second derivative as 0, without a word.
    """
    if torch.is_grad_enabled():
        raise RuntimeError(f"The gradient of {what} cannot be differentiated again; leave create_graph=True out.")


def full_precision(tensor: Tensor) -> Tensor:
    """The tensor in float32 where it is in half precision; float32 and float64 stay as they are."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def unit_rows(x: Tensor) -> Tensor:
    """(R, D) rows scaled to length 1; rows of zeros stay."""
    # The square of a small or large row would leave float32's range; its scale is a constant for the gradient.
    scale = x.detach().abs().amax(dim=1, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)
    return F.normalize(x / scale, dim=1)


def one_hot(index: Tensor, channels: int) -> Tensor:
    """(N, K) int64 columns to (N, `channels`) float32 with a 1 in each; a column of -1 has none."""
    rows = torch.zeros(index.size(0), channels + 1, device=index.device)  # the last column takes what has none
    return rows.scatter_(1, index.where(index >= 0, channels), 1.0)[:, :channels]


def offsets(length: Tensor) -> Tensor:
    """(M,) lengths to (M + 1,) offsets."""
    return torch.cat([length.new_zeros(1), length.cumsum(0)])
