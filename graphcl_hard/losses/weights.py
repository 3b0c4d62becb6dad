r"""Weights of the negatives, their effective number, and the hardness: for a share of them, and over a training.

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
DEFAULT_BETA = 10.0
MIN_SHARE = 1e-6
# Evaluations of the search for a share. On scores of many shapes in float32 (`tests/losses/test_beta_for_share.py`),
# most are found in seven; where a few negatives stand out, 8 missed the share by up to 92 points, 16 by up to 0.2
# points and 18 by 0.001.
SEARCH_STEPS = 18
BetaSchedule = Literal["constant", "linear-up", "linear-down", "cosine-up", "cosine-down"]


def check_beta(beta: float) -> None:
    """Raise `InputError` unless `beta` lies in [0, 1e6]; above, scores in float32 could overflow."""
    if not is_number(beta) or not 0 <= beta <= MAX_BETA:
        raise InputError(
            f"beta must lie in [0, {MAX_BETA:g}] (0 weights all negatives alike), got {short_repr(beta)}; "
            "values between 0.5 and 10 are usual."
        )


def check_share(share: float) -> None:
    """Raise `InputError` unless a share of effective negatives lies in [1e-6, 1]."""
    if not is_number(share) or not MIN_SHARE <= share <= 1:
        raise InputError(
            f"effective_negatives must lie in [{MIN_SHARE:g}, 1], got {short_repr(share)}; 0.2 leaves a fifth of the "
            "negatives, and None gives beta instead."
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


def beta_for_share(
    scores: Tensor, share: float, mask: Tensor | None = None, weight: Tensor | None = None
) -> Tensor:
    r"""Return the hardness at which a share of the negatives stays effective, on average over the rows.

    With the weights :math:`w_{ig} = e^{\beta q_{ig}}`, their effective number :math:`\mathrm{ESS}_i(\beta)`
    (`effective_negatives`) and the :math:`n_i` negatives of row i, it is the solution of

    .. math:: \sum_i a_i\, \mathrm{ESS}_i(\beta) / n_i = \max\Big(s, \sum_i a_i \min(1, 2/n_i)\Big),
              \qquad \sum_i a_i = 1

    So two negatives stay effective at least, however small the share s. The left side falls from 1 as beta rises: with
    :math:`K(\beta) = \log\sum_g e^{\beta q_g}`, :math:`\log \mathrm{ESS} = 2K(\beta) - K(2\beta)` has the derivative
    :math:`2(K'(\beta) - K'(2\beta)) \le 0`, since K is convex. For scores of a normal distribution with standard
    deviation :math:`\sigma` it is about :math:`e^{-\beta^2\sigma^2}`. There, the logarithm of its negative logarithm is
    linear in :math:`\log\beta`, so that the secant method on these two, kept in a bracket, needs few evaluations; their
    number is fixed.

    Args:
        scores: (N, G) scores of anchors against candidates, float, finite. Half precision is computed in float32.
        share: s, in [1e-6, 1].
        mask: (N, G) bool, True where the candidate is a negative of the anchor; None: everywhere.
        weight: (N,) float, at least 0, weights of the rows in the mean, a up to a factor; None: all alike. Rows without
            negatives do not count.

    Returns:
        () the hardness, a constant for the gradient, in [0, 1e6]. 0 if the scores of each row are all alike, since no
        hardness changes their weights then, and if no row counts. If equal scores leave more than the share at every
        hardness, it is large.

    Raises:
        InputError: `share` is outside its range, a weight is negative, or the tensors do not fit together.

    Source: Kish, "Survey Sampling", 1965, section 11.7 (the effective number). That its share is prescribed, and beta
    found, is this package's choice.

    Examples:
        >>> import torch
        >>> from graphcl_hard import beta_for_share, effective_negatives, hard_negative_weights
        >>> scores = torch.tensor([[0.0, 1.0, 2.0, 3.0, 4.0]])
        >>> beta = beta_for_share(scores, 0.5)
        >>> beta
        tensor(0.8158)
        >>> effective_negatives(hard_negative_weights(scores, beta.item())) / 5
        tensor([0.5000])
        >>> beta_for_share(100 * scores, 0.5)
        tensor(0.0082)
    """
    check_share(share)
    _check_matrix("scores", scores, mask)
    if weight is not None:
        check_floating(scores=scores, weight=weight)
        if weight.shape != scores.shape[:1]:
            raise InputError(
                f"weight must be ({scores.size(0)},), a number for each row of scores, got {tuple(weight.shape)}; "
                "None weights all rows alike."
            )
        if not ((weight >= 0) & weight.isfinite()).all():
            raise InputError(
                f"weight must be finite and at least 0, got {weight.min().item():g} to {weight.max().item():g}; give "
                "rows that must not count 0."
            )
    if scores.numel() == 0:
        raise InputError(
            f"scores must have a row and a column, got {tuple(scores.shape)}; give at least one anchor and negative."
        )
    scores = full_precision(scores.detach())
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    return find_beta(scores, share, weight)


@torch.no_grad()
def find_beta(scores: Tensor, share: float, weight: Tensor | None) -> Tensor:
    """Return what `beta_for_share` does, of scores in float32 or float64 that are -inf where there is no negative.

    No number is read from the device, so that a GPU is not synchronised.
    """
    excluded = scores.isneginf()
    outside = excluded.sum(dim=1).clamp_max(scores.size(1) - 1).to(scores.dtype)  # (N,)
    n = scores.size(1) - outside
    top = scores.amax(dim=1)
    rows = torch.ones_like(top) if weight is None else weight.to(scores.dtype)
    rows = rows.masked_fill(top.isneginf(), 0.0)
    total_weight = rows.sum()
    rows = rows / total_weight
    # At most 0, and 0 outside: each such entry adds e^0 = 1 to a sum, which is subtracted again.
    gaps = (scores - top.unsqueeze(1)).masked_fill_(excluded, 0.0)
    widest, size = -gaps.amin(), top.masked_fill(top.isneginf(), 0.0).abs().amax()
    gaps /= widest  # else the squares of large scores overflow; x is the logarithm of beta * widest

    target = (rows @ (2 / n).clamp_max(1.0)).clamp_min(share)
    goal = target.log().neg().log()
    variance = gaps.square().sum(dim=1) / n - (gaps.sum(dim=1) / n).square()
    spread = variance.clamp_min(0.0).sqrt().clamp_min(1e-6).log() @ rows
    low, high = torch.full_like(spread, math.log(1e-4)), math.log(MAX_BETA) - spread
    share_of = rows / n
    x = goal / 2 - spread
    last_x = last_y = torch.full_like(x, math.nan)
    for _ in range(SEARCH_STEPS):
        weights = (gaps * x.exp()).exp_()
        total = weights.sum(dim=1) - outside
        found = share_of @ (total.square() / (weights.square_().sum(dim=1) - outside))
        y = found.log().neg().log()
        # The slope is 2 for a normal distribution; so it is set at the first step, and at 0 / 0, once the search has
        # converged. The bounds keep rounding errors of y from causing a large step.
        slope = ((y - last_y) / (x - last_x)).nan_to_num(2.0).clamp(0.02, 4.0)
        low, high = torch.where(found > target, x, low), torch.where(found > target, high, x)
        last_x, last_y = x, y
        x = x - (y - goal) / slope
        inside = (x > low - 1e-5) & (x < high + 1e-5)  # a step of rounding errors may cross a bound
        x = torch.where(inside, x, (low + high) / 2)
    alike = widest <= 8 * torch.finfo(scores.dtype).eps * size
    no_hardness = alike | (target >= 1) | (total_weight == 0)
    return torch.where(no_hardness, 0.0, (x.exp() / widest).clamp_max(MAX_BETA))


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
    beta: Tensor = torch.tensor(math.nan)
    """(): the hardness in use: the one given, or, with a share of effective negatives, the one found, on the scores as
    they are; nan if an objective of your own does not say it."""
    clamped: Tensor = torch.tensor(0.0)
    """(): share of the anchors whose debiased mean over negatives is at its lower bound, where it has no gradient, in
    [0, 1]; 0 without a class prior, and in `released` mode."""
