"""Small tensor operations shared by several packages."""

import torch
import torch.nn.functional as F
from torch import Tensor


def refuse_second_derivatives(what: str) -> None:
    """Raise RuntimeError in a backward pass that is itself to be differentiated (`create_graph=True`).

    Autograd would otherwise treat a hand-written gradient as a constant and silently return a second derivative of 0.
    """
    if torch.is_grad_enabled():
        raise RuntimeError(
            f"The gradient of {what} cannot be differentiated again; omit create_graph=True."
        )


def full_precision(tensor: Tensor) -> Tensor:
    """Return the tensor in float32 if it is in half precision, else unchanged (float32 and float64)."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def unit_rows(x: Tensor) -> Tensor:
    """Return (R, D) rows scaled to length 1; rows of zeros are unchanged."""
    # Squaring a very small or large row would leave the range of float32; the gradient treats its scale as a constant.
    scale = x.detach().abs().amax(dim=1, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)
    return F.normalize(x / scale, dim=1)


def one_hot(index: Tensor, channels: int) -> Tensor:
    """Return (N, `channels`) float32 with a 1 at each column that `index`, (N, K) int64, names; -1 names none."""
    rows = torch.zeros(
        index.size(0), channels + 1, device=index.device
    )  # entries of -1 go to the last column
    return rows.scatter_(1, index.where(index >= 0, channels), 1.0)[:, :channels]


def offsets(length: Tensor) -> Tensor:
    """Return the (M + 1,) offsets, from 0, of (M,) lengths."""
    return torch.cat([length.new_zeros(1), length.cumsum(0)])
