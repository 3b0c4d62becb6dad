r"""Losses of a block of anchors, with hand-written derivatives.

Each loss maps the scores of B anchors against C candidates, :math:`q` (B, C), and the scores of the positives,
:math:`p` (B,), to one value per anchor and its derivatives :math:`\partial\ell/\partial p` and
:math:`\partial\ell/\partial q`. The derivatives are written by hand instead of left to autograd, so that a block is
finished while it is in the cache and no tensor of size anchors x candidates outlives it. The tests compare them with
those of autograd.

With the class prior :math:`\tau^+`, the distribution of true negatives is
:math:`p^- = (p - \tau^+ p^+)/(1 - \tau^+)`. A mean over negatives therefore loses its share of positives, and is
bounded below by the least value that its function can take. The weights :math:`w_{ig} = \bar w_{ig} / n` sum to 1 over
a row.

Source: Chuang, Robinson, Lin, Torralba, Jegelka, "Debiased Contrastive Learning", NeurIPS 2020, eq. 7 and 8.
"""

import math
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

aten = torch.ops.aten

# On a CPU PyTorch computes exp and log with Intel's MKL, which is initialised at the first call of a process. Two
# threads that make this call at the same time may get results that are off in the sixth digit, so one thread makes it
# here.
torch.ones(1, dtype=torch.float32, device="cpu").exp()


class AnchorLoss(NamedTuple):
    """Losses of a block of anchors, and their gradients."""

    loss: Tensor
    """(B,)."""
    effective: Tensor
    """(B,): effective number of negatives, see `effective_negatives`."""
    positive_grad: Tensor | None
    """(B,): gradient of the weighted losses with respect to the scores of the positives."""
    grad: Tensor | None
    """(B, C): gradient of the weighted losses with respect to all scores; 0 where a candidate is not a negative."""


class AnchorLossFunction(Protocol):
    """A loss whose settings are bound."""

    def __call__(
        self,
        scores: Tensor,
        positive: Tensor,
        excluded: Tensor,
        hardness: Tensor | float,
        weight: Tensor | None,
    ) -> AnchorLoss:
        """Return the losses of a block.

        Args:
            scores: (B, C), float32 or float64; overwritten.
            positive: (B,), scores of the positives.
            excluded: (B, K) int64, the candidates that are not negatives of each anchor.
            hardness: factor of the scores in the exponent of the weights.
            weight: (B,), gradient of the result with respect to each loss; None: no derivatives are computed.
        """


def jsd(
    scores: Tensor,
    positive: Tensor,
    excluded: Tensor,
    hardness: Tensor | float,
    weight: Tensor | None,
    *,
    tau_plus: float,
    detach_weights: bool,
) -> AnchorLoss:
    r"""Return the Jensen-Shannon losses :math:`\mathrm{sp}(-p) + \max(0, (m - \tau^+\mathrm{sp}(p))/(1 - \tau^+))`.

    :math:`m = \sum_g w_g\,\mathrm{sp}(q_g)` with :math:`w = \mathrm{softmax}(\beta c\, q)` over the negatives;
    :math:`\partial m/\partial q_g = w_g\,\sigma(q_g)`, and through the weights additionally
    :math:`\beta c\, w_g (\mathrm{sp}(q_g) - m)`.
    """
    weights = _log_weights(scores, excluded, hardness).softmax(dim=1)
    minus_scores = scores.neg_()
    minus_softplus, buffer = aten.log_sigmoid_forward(minus_scores)  # -sp(q)
    mean = -torch.linalg.vecdot(weights, minus_softplus)
    rest = (mean - tau_plus * softplus(positive)) / (1 - tau_plus)
    left = (rest > 0).to(rest.dtype) / (
        1 - tau_plus
    )  # derivative of the clamped rest with respect to the mean
    loss = softplus(-positive) + rest.clamp_min(0.0)
    effective = 1 / torch.linalg.vecdot(weights, weights)
    if weight is None:
        return AnchorLoss(loss, effective, None, None)
    grad = aten.log_sigmoid_backward(weights, minus_scores, buffer)  # w sigmoid(q)
    if not detach_weights:
        grad.sub_(weights.mul_(minus_softplus.add_(mean.unsqueeze(1))).mul_(hardness))
    positive_grad = -torch.sigmoid(-positive) - tau_plus * left * torch.sigmoid(positive)
    return AnchorLoss(
        loss, effective, positive_grad * weight, grad.mul_((left * weight).unsqueeze(1))
    )


def info_nce(
    scores: Tensor,
    positive: Tensor,
    excluded: Tensor,
    hardness: Tensor | float,
    weight: Tensor | None,
    *,
    tau_plus: float,
    detach_weights: bool,
    log_lower: float,
) -> AnchorLoss:
    r"""Return the InfoNCE losses :math:`\log(e^p + n \max(\text{lower}, (e^m - \tau^+ e^p)/(1 - \tau^+))) - p`.

    :math:`m = \log \sum_g w_g e^{q_g}`; :math:`\partial m/\partial q_g = v_g` with
    :math:`v = \mathrm{softmax}(\log w + q)`, and through the weights additionally :math:`\beta c\,(v_g - w_g)`.
    Everything is computed in the log domain.
    """
    num_negatives = scores.size(1) - excluded.size(1)
    log_weights = _log_weights(scores, excluded, hardness).log_softmax(dim=1)
    tilted = scores.add_(log_weights)
    log_mean = tilted.logsumexp(dim=1)
    log_negative, by_mean, by_positive = _debias_log(log_mean, positive, tau_plus, log_lower)
    # Not logaddexp(p, N) - p, which cancels to 0 in float32 if p is large.
    margin = log_negative + math.log(num_negatives) - positive
    loss = softplus(margin)
    weights = log_weights.exp_()
    effective = 1 / torch.linalg.vecdot(weights, weights)
    if weight is None:
        return AnchorLoss(loss, effective, None, None)
    slope = torch.sigmoid(margin) * weight
    grad = tilted.sub_(log_mean.unsqueeze(1)).exp_()
    if not detach_weights:
        grad.add_(grad.sub(weights).mul_(hardness))
    return AnchorLoss(
        loss, effective, slope * (by_positive - 1), grad.mul_((slope * by_mean).unsqueeze(1))
    )


def _debias_log(
    log_mean: Tensor, positive: Tensor, tau_plus: float, log_lower: float
) -> tuple[Tensor, Tensor | float, Tensor | float]:
    """Return log max(lower, (e^m - tau e^p) / (1 - tau)) and its derivatives with respect to m and p; all (B,)."""
    if tau_plus == 0:
        return log_mean, 1.0, 0.0
    ratio = math.log(tau_plus) + positive - log_mean  # log of the fraction that is subtracted
    left = ratio < 0
    share = torch.where(left, ratio, -1.0)  # any finite value where nothing is left
    debiased = log_mean + torch.log(-torch.expm1(share)) - math.log1p(-tau_plus)
    left &= debiased > log_lower
    debiased = torch.where(left, debiased, log_lower)
    by_mean = torch.where(left, -1 / torch.expm1(share), 0.0)  # 1 / (1 - e^ratio)
    return debiased, by_mean, torch.where(left, 1 - by_mean, 0.0)


def softplus(x: Tensor) -> Tensor:
    """Return log(1 + e^x), elementwise; 0 at -inf."""
    # Not F.softplus, which returns x itself above 20 and is off by up to 2e-9 there in float64.
    return -F.logsigmoid(-x)


def _log_weights(scores: Tensor, excluded: Tensor, hardness: Tensor | float) -> Tensor:
    """Return the exponents of the weights, (B, C), -inf where a candidate is not a negative."""
    return (scores * hardness).scatter_(1, excluded, -math.inf)
