"""The weights that move the negatives of a contrastive objective towards the hard ones.

Source: Robinson, Chuang, Sra, Jegelka, "Contrastive Learning with Hard Negative Samples", ICLR 2021, section 3.
"""

import math
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from graphcl_hard.errors import InputError

MAX_BETA = 1e6
BetaSchedule = Literal["constant", "linear-up", "linear-down", "cosine-up", "cosine-down"]


def check_beta(beta: float) -> None:
    """Raise `InputError` unless `beta` lies in [0, 1e6], beyond which float32 scores could overflow."""
    if not 0 <= beta <= MAX_BETA:
        raise InputError(
            f"beta must lie in [0, {MAX_BETA:g}] (0 weights all negatives alike), got {beta}; "
            "values between 0.5 and 10 are usual."
        )


def hard_negative_weights(scores: Tensor, beta: float, mask: Tensor | None = None) -> Tensor:
    r"""Importance weights of the negatives, with mean one over each row's negatives.

    .. math::
        w_{ig} = e^{\beta q_{ig}}, \qquad \bar w_{ig} = w_{ig} \, n_i / \sum_{g'} w_{ig'}

    `beta` = 0 weights all negatives alike; as it grows, the hardest negative of a row is left alone.

    Args:
        scores: (N, G) scores of anchors against candidates, float. Half precision is computed in float32.
        beta: hardness, in [0, 1e6].
        mask: (N, G) bool, True where the candidate is a negative of the anchor; None: all of them.

    Returns:
        (N, G) weights, 0 outside the mask; a row without negatives holds zeros. Gradients flow to `scores`:
        detach the result to use it as an importance weight.

    Raises:
        InputError: `beta` is outside its range.

    Source: Robinson et al. (ICLR 2021), section 3: negatives are drawn from
    :math:`q_\beta(x^-) \propto e^{\beta f(x)^\top f(x^-)} p(x^-)`.
    """
    check_beta(beta)
    scores = full_precision(scores)
    exponent = torch.where(torch.isneginf(scores), scores, scores * beta)  # 0 * -inf would be nan
    if mask is None:
        return exponent.softmax(dim=1) * scores.size(1)
    n = mask.sum(dim=1, keepdim=True)
    # A row without negatives stays finite inside the softmax, so that its gradient is 0 and not nan.
    exponent = exponent.masked_fill(~mask & (n > 0), -math.inf)
    return (exponent.softmax(dim=1) * n).masked_fill(~mask, 0.0)


def effective_negatives(weights: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""The effective number of negatives of each anchor (Kish's effective sample size).

    .. math:: \mathrm{ESS}_i = \left(\sum_g w_{ig}\right)^2 / \sum_g w_{ig}^2

    Args:
        weights: (N, G) weights, float, at least 0; any scale.
        mask: (N, G) bool, True where the candidate is a negative of the anchor; None: all of them.

    Returns:
        (N,) numbers between 1 (one negative has all the weight) and the row's number of negatives (all
        alike); 0 for a row whose weights are all 0.

    Source: Kish, "Survey Sampling", 1965, section 11.7.
    """
    if mask is not None:
        weights = weights.masked_fill(~mask, 0.0)
    # Dividing by the row's maximum keeps the squares of very small weights from vanishing.
    largest = weights.amax(dim=1, keepdim=True)
    weights = weights / torch.where(largest > 0, largest, 1.0)
    squares = weights.square().sum(dim=1)
    return weights.sum(dim=1).square() / torch.where(squares > 0, squares, 1.0)


def beta_schedule(step: int, total: int, beta: float, kind: BetaSchedule = "constant") -> float:
    """The hardness at one step of a training.

    Args:
        step: the step, 0 to `total` - 1.
        total: the number of steps, at least 1.
        beta: the largest hardness, at least 0.
        kind: "constant"; "linear-up" and "cosine-up" rise from 0 at the first step to `beta` at the last;
            "linear-down" and "cosine-down" fall from `beta` to 0.

    Returns:
        The hardness at `step`. A training of one step uses `beta`.

    Raises:
        InputError: an unknown kind, a step outside the range, or a negative beta.
    """
    check_beta(beta)
    if kind not in get_args(BetaSchedule):
        raise InputError(f"Unknown beta schedule {kind!r}; choose one of {', '.join(get_args(BetaSchedule))}.")
    if not 0 <= step < total:
        raise InputError(f"step must lie in [0, total - 1] with total = {total}, got {step}.")
    if kind == "constant" or total == 1:
        return beta
    shape, _, direction = kind.partition("-")
    fraction = step / (total - 1)
    if direction == "down":
        fraction = 1 - fraction
    return beta * (fraction if shape == "linear" else (1 - math.cos(math.pi * fraction)) / 2)


def full_precision(tensor: Tensor) -> Tensor:
    """The tensor in float32 where it is in half precision; float32 and float64 stay as they are."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def unit_rows(x: Tensor) -> Tensor:
    """(R, D) rows scaled to length 1; rows of zeros stay."""
    # The square of a small or large row would leave float32's range; its scale is a constant for the gradient.
    scale = x.detach().abs().amax(dim=1, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)
    return F.normalize(x / scale, dim=1)
