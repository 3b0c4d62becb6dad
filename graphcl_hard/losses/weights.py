r"""Weights of the negatives, their effective number, and schedules of the hardness.

Sources: Robinson, Chuang, Sra, Jegelka, "Contrastive Learning with Hard Negative Samples", ICLR 2021; Kish, "Survey
Sampling", 1965 (the effective number).
"""

import math
from numbers import Real
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from graphcl_hard._tensor import full_precision
from graphcl_hard.exceptions import InputError, short_repr

MAX_BETA = 1e6
BetaSchedule = Literal["constant", "linear-up", "linear-down", "cosine-up", "cosine-down"]


def check_beta(beta: float) -> None:
    """Raise `InputError` unless `beta` lies in [0, 1e6]; above, scores in float32 could overflow."""
    if not is_number(beta) or not 0 <= beta <= MAX_BETA:
        raise InputError(
            f"beta must lie in [0, {MAX_BETA:g}] (0 weights all negatives alike), got {short_repr(beta)}; "
            "values between 0.5 and 10 are usual."
        )


def is_number(value: object) -> bool:
    """Return whether a value is a real number, of Python, NumPy or PyTorch."""
    return isinstance(value, (Real, Tensor))


def check_floating(**tensors: object) -> None:
    """Raise `InputError` unless all values are floating-point tensors on one device; the keywords are their names."""
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            found = tensor.dtype if isinstance(tensor, Tensor) else f"a {type(tensor).__name__}"
            raise InputError(
                f"{name} must be a floating-point tensor, got {found}; convert it by torch.as_tensor and float()."
            )
    devices = {
        name: tensor.device for name, tensor in tensors.items() if isinstance(tensor, Tensor)
    }
    if len(set(devices.values())) > 1:
        found = " and ".join(str(device) for device in devices.values())
        raise InputError(f"{' and '.join(devices)} must be on one device, got {found}; move one.")


def _check_matrix(name: str, matrix: Tensor, mask: Tensor | None) -> None:
    """Raise `InputError` unless a matrix is (N, G) floating-point, with a mask that fits."""
    check_floating(**{name: matrix})
    if matrix.dim() != 2:
        raise InputError(
            f"{name} must be (N, G), a row for each anchor, got {tuple(matrix.shape)}; for one anchor give "
            f"{name}.unsqueeze(0)."
        )
    if mask is not None and (
        not isinstance(mask, Tensor) or mask.shape != matrix.shape or mask.dtype != torch.bool
    ):
        shape = tuple(matrix.shape)
        found = (
            f"{tuple(mask.shape)} {mask.dtype}" if isinstance(mask, Tensor) else short_repr(mask)
        )
        raise InputError(f"mask must be {shape} bool, like {name}, got {found}; convert it.")


def hard_negative_weights(scores: Tensor, beta: float, mask: Tensor | None = None) -> Tensor:
    r"""Return importance weights of the negatives, with mean 1 over the negatives of each row.

    .. math::
        w_{ig} = e^{\beta q_{ig}}, \qquad \bar w_{ig} = w_{ig} \, n_i / \sum_{g'} w_{ig'}

    `beta` = 0 weights all negatives alike. As `beta` grows, all weight moves to the hardest negative of a row.

    Args:
        scores: (N, G) scores of anchors against candidates, float. Half precision is computed in float32.
        beta: hardness, in [0, 1e6].
        mask: (N, G) bool, True where the candidate is a negative of the anchor; None: everywhere.

    Returns:
        (N, G) weights, 0 outside the mask; a row without negatives holds zeros. Gradients flow to `scores`: detach the
        result to use it as an importance weight.

    Raises:
        InputError: `beta` is outside its range, or the tensors do not fit together.

    Source: Robinson et al. (ICLR 2021), section 3: negatives are drawn from
    :math:`q_\beta(x^-) \propto e^{\beta f(x)^\top f(x^-)} p(x^-)`.

    Examples:
        >>> import torch
        >>> from graphcl_hard import hard_negative_weights
        >>> scores = torch.tensor([[0.0, 1.0, 2.0]])
        >>> hard_negative_weights(scores, beta=0.0)
        tensor([[1., 1., 1.]])
        >>> hard_negative_weights(scores, beta=1.0)
        tensor([[0.2701, 0.7342, 1.9957]])
    """
    check_beta(beta)
    _check_matrix("scores", scores, mask)
    scores = full_precision(scores)
    exponent = torch.where(torch.isneginf(scores), scores, scores * beta)  # 0 * -inf would be nan
    if mask is None:
        return exponent.softmax(dim=1) * scores.size(1)
    n = mask.sum(dim=1, keepdim=True)
    # A row without negatives stays finite inside the softmax, so that its gradient is 0 and not nan.
    exponent = exponent.masked_fill(~mask & (n > 0), -math.inf)
    return (exponent.softmax(dim=1) * n).masked_fill(~mask, 0.0)


def effective_negatives(weights: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""Return the effective number of negatives of each anchor (Kish's effective sample size).

    .. math:: \mathrm{ESS}_i = \left(\sum_g w_{ig}\right)^2 / \sum_g w_{ig}^2

    Args:
        weights: (N, G) weights, float, at least 0, of any scale.
        mask: (N, G) bool, True where the candidate is a negative of the anchor; None: everywhere.

    Returns:
        (N,) numbers between 1 (one negative has all the weight) and the number of negatives of the row (all weights are
        equal); 0 for a row whose weights are all 0.

    Raises:
        InputError: the tensors do not fit together.

    Source: Kish, "Survey Sampling", 1965, section 11.7.

    Examples:
        >>> import torch
        >>> from graphcl_hard import effective_negatives
        >>> effective_negatives(torch.tensor([[1.0, 1.0, 1.0, 1.0], [4.0, 0.0, 0.0, 0.0], [2.0, 1.0, 1.0, 0.0]]))
        tensor([4.0000, 1.0000, 2.6667])
    """
    _check_matrix("weights", weights, mask)
    if mask is not None:
        weights = weights.masked_fill(~mask, 0.0)
    # Dividing by the maximum of a row keeps the squares of very small weights from vanishing.
    largest = weights.amax(dim=1, keepdim=True)
    weights = weights / torch.where(largest > 0, largest, 1.0)
    squares = weights.square().sum(dim=1)
    return weights.sum(dim=1).square() / torch.where(squares > 0, squares, 1.0)


def beta_schedule(step: int, total: int, beta: float, kind: BetaSchedule = "constant") -> float:
    """Return the hardness at one step of a training.

    Args:
        step: the step, from 0 to `total` - 1.
        total: number of steps, at least 1.
        beta: largest hardness, at least 0.
        kind: "constant"; "linear-up" or "cosine-up", from 0 at the first step to `beta` at the last; "linear-down" or
            "cosine-down", from `beta` to 0.

    Returns:
        The hardness at `step`; `beta` if there is only one step.

    Raises:
        InputError: the kind is unknown, the step outside its range, or `beta` negative.

    Examples:
        >>> from graphcl_hard import beta_schedule
        >>> [beta_schedule(step, total=5, beta=2.0, kind="linear-up") for step in range(5)]
        [0.0, 0.5, 1.0, 1.5, 2.0]
    """
    check_beta(beta)
    if kind not in get_args(BetaSchedule):
        raise InputError(
            f"Unknown beta schedule {kind!r}; choose one of {', '.join(get_args(BetaSchedule))}."
        )
    if not (is_number(step) and is_number(total)) or not 0 <= step < total:
        raise InputError(
            f"step must lie in [0, total - 1] with total = {total}, got {short_repr(step)}; count steps from 0."
        )
    if kind == "constant" or total == 1:
        return beta
    shape, _, direction = kind.partition("-")
    fraction = step / (total - 1)
    if direction == "down":
        fraction = 1 - fraction
    return beta * (fraction if shape == "linear" else (1 - math.cos(math.pi * fraction)) / 2)


class Diagnostics(NamedTuple):
    """Statistics of the weights and scores of a batch; constants for the gradient."""

    effective_negatives: Tensor
    """(): mean over the anchors of the effective number of negatives as a share of n, in [0, 1]; 0 only in `released`
    mode, where the own graph may take all the weight."""
    positive_score: Tensor
    """(): mean score of the positives."""
    negative_score: Tensor
    """(): mean score of the negatives, unweighted."""
    clamped: Tensor
    """(): share of the anchors whose debiased mean over negatives is at its lower bound, where it has no gradient, in
    [0, 1]; 0 without a class prior, and in `released` mode."""
