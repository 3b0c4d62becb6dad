r"""The objectives: pure functions from tensors to a scalar, for graphs, images or sentences alike.

Notation, here and in every docstring below. A batch holds G graphs and N nodes; :math:`b(i)` is the graph of node i.
:math:`h_i` is the local vector of node i and :math:`s_g` the summary of graph g. The critic gives the scores
:math:`q_{ig} = \langle h_i, s_g\rangle` ("dot") or :math:`\cos(h_i, s_g)/t` ("cosine", t the temperature).
:math:`p_i = q_{i,b(i)}` is the positive. The negatives are those of the G - 1 other graphs and, with a queue, those of
its K summaries :math:`s_G, \dots, s_{G+K-1}` of other graphs, in earlier batches, which are constants for the gradient:
:math:`n = G - 1 + K`, K = 0 without, and sums over g run over all n of them.
:math:`\mathrm{sp}(x) = \log(1 + e^x)`. The negatives weigh (see `hard_negative_weights`)

.. math:: \bar w_{ig} = n\, e^{\beta c\, q_{ig}} / \sum_{g' \ne b(i)} e^{\beta c\, q_{ig'}}

with c = 1 for the cosine critic and, for the unbounded dot critic, :math:`c = 2 / \max |q|` over all negatives of the
batch's nodes (`score_scale="max"`, the paper's pseudocode; a constant for the gradient) or c = 1
(`score_scale="none"`).

Sources: Robinson, Chuang, Sra, Jegelka, "Contrastive Learning with Hard Negative Samples", ICLR 2021 (hardness);
Chuang, Robinson, Lin, Torralba, Jegelka, "Debiased Contrastive Learning", NeurIPS 2020 (tau_plus); Sun, Hoffmann,
Verma, Tang, "InfoGraph", ICLR 2020 (local-global pairs); Nowozin, Cseke, Tomioka, "f-GAN", NeurIPS 2016 (the
Jensen-Shannon estimator); He, Fan, Wu, Xie, Girshick, "Momentum Contrast", CVPR 2020 (the queue).
"""

import math
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from graphcl_hard._tensor import full_precision
from graphcl_hard.exceptions import InputError

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


class Diagnostics(NamedTuple):
    """What the weights do to a batch; no gradient flows through it."""

    effective_negatives: Tensor
    """(): mean over the anchors of the effective number of negatives as a share of n, in [0, 1]; 0 in `released` mode
    alone, where the own graph may take all the weight."""
    positive_score: Tensor
    """(): mean score of the positives."""
    negative_score: Tensor
    """(): unweighted mean score of the negatives."""
