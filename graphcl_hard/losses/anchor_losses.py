r"""Losses of a block of anchors, with hand-written derivatives.

Each loss maps the scores of B anchors against C candidates, :math:`q` (B, C), and the scores of the positives,
:math:`p` (B,), to one value per anchor and its derivatives :math:`\partial\ell/\partial p` and
:math:`\partial\ell/\partial q`. The derivatives are written by hand instead of left to autograd, so that a block is
finished while it is in the cache and no tensor of size anchors x candidates outlives it. The tests compare them with
those of autograd.

With the class prior :math:`\tau^+`, the distribution of true negatives is
:math:`p^- = (p - \tau^+ p^+)/(1 - \tau^+)`. A mean over negatives therefore loses its share of positives, and is
bounded below by the least value that its function can take. The weights :math:`w_{ig} = \bar w_{ig} / n` sum to 1 over
a row. For a function f of the scores, with :math:`m = \sum_g w_g f(q_g)`, the mean over true negatives is

.. math:: \max\Big(\text{lower}, \frac{m - r f(p)}{\max(1 - r, 0.1\,(1 - \tau^+))}\Big)

where r is the share of positives that is subtracted. The paper's form (`debias="paper"`) has :math:`r = \tau^+`, which
is their share among unweighted negatives. Weights :math:`u = e^{\beta c\, q}` change it: positives are a share
:math:`\tau^+ E_{p^+}[u] / E_p[u]` of the weighted negatives. `debias="consistent"` estimates it by

.. math:: r = \tau^+ u_+ \Big/ \frac1n \sum_g u_g, \qquad u_+ = e^{\beta c\, p}

so that, below the bounds, the mean is :math:`A / B` with :math:`A = \frac1n \sum_g u_g f(q_g) - \tau^+ u_+ f(p)` and
:math:`B = \frac1n \sum_g u_g - \tau^+ u_+`. It converges to :math:`E_{p^-}[u f] / E_{p^-}[u]` if the anchor's positive
is representative; with one positive for each anchor a part of the bias stays, at large :math:`\beta` most of it. Both
forms are equal at :math:`\beta = 0`. The floor of the denominator, 0.1 of its value there, bounds the variance of a
single positive.

Sources: Chuang, Robinson, Lin, Torralba, Jegelka, "Debiased Contrastive Learning", NeurIPS 2020, eq. 7 and 8 (the
paper's form at :math:`\beta = 0`); Robinson, Chuang, Sra, Jegelka, "Contrastive Learning with Hard Negative Samples",
ICLR 2021, eq. 4 (under hardness). The consistent form is this package's: the same decomposition of
:math:`E_p[u f]` and :math:`E_p[u]`, instead of their quotient.
"""

import math
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from graphcl_hard.losses.checks import Debias

aten = torch.ops.aten

FLOOR = 0.1  # least denominator of the consistent form, as a share of that at beta 0

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
    clamped: Tensor
    """(B,): 1 where the debiased mean is at its lower bound, and has no gradient; else 0, and 0 without a prior."""
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


class _Share(NamedTuple):
    """The share r of positives among the weighted negatives of each anchor."""

    log: Tensor
    """(B,): log r."""
    denominator: Tensor
    """(B,): 1 - r, or its floor."""
    free: Tensor
    """(B,) bool: whether the denominator is above its floor."""


def jsd(
    scores: Tensor,
    positive: Tensor,
    excluded: Tensor,
    hardness: Tensor | float,
    weight: Tensor | None,
    *,
    tau_plus: float,
    debias: Debias,
    detach_weights: bool,
    lower: float,
) -> AnchorLoss:
    r"""Return the Jensen-Shannon losses :math:`\mathrm{sp}(-p) + R`; R is the debiased mean of :math:`f = \mathrm{sp}`.

    :math:`m = \sum_g w_g\,\mathrm{sp}(q_g)` with :math:`w = \mathrm{softmax}(\beta c\, q)` over the negatives;
    :math:`\partial m/\partial q_g = w_g\,\sigma(q_g)`, and through the weights additionally
    :math:`\beta c\, w_g (\mathrm{sp}(q_g) - m)`.

    In the consistent form r depends on the weights: :math:`\partial r/\partial p = \beta c\, r`,
    :math:`\partial r/\partial q_g = -\beta c\, r w_g` and :math:`\partial R/\partial r = (R - \mathrm{sp}(p))/(1 - r)`,
    without the R where the denominator is at its floor.
    """
    exponents = _log_weights(scores, excluded, hardness)
    share = _share(exponents, positive, excluded, hardness, tau_plus, debias)
    r, denominator = (
        (tau_plus, 1 - tau_plus) if share is None else (share.log.exp(), share.denominator)
    )
    weights = exponents.softmax(dim=1)
    minus_scores = scores.neg_()
    minus_softplus, buffer = aten.log_sigmoid_forward(minus_scores)  # -sp(q)
    mean = -torch.linalg.vecdot(weights, minus_softplus)
    false = softplus(positive)
    rest = (mean - r * false) / denominator
    left = rest > lower
    loss = softplus(-positive) + rest.clamp_min(lower)
    effective = 1 / torch.linalg.vecdot(weights, weights)
    clamped = (~left).to(rest.dtype) if tau_plus else torch.zeros_like(rest)
    if weight is None:
        return AnchorLoss(loss, effective, clamped, None, None)
    by_mean = left.to(rest.dtype) / denominator  # derivative of the bounded R with respect to m
    positive_grad = -torch.sigmoid(-positive) - r * by_mean * torch.sigmoid(positive)
    grad = aten.log_sigmoid_backward(weights, minus_scores, buffer)  # w sigmoid(q)
    if not detach_weights:
        centre = mean
        if share is not None:
            through = r * (torch.where(share.free, rest, 0.0) - false)
            # Selected, not multiplied by 0: where nothing is left, the factors may overflow.
            centre = torch.where(left, mean + through, mean)
            positive_grad += torch.where(left, through / denominator * hardness, 0.0)
        grad.sub_(weights.mul_(minus_softplus.add_(centre.unsqueeze(1))).mul_(hardness))
    grad.mul_((by_mean * weight).unsqueeze(1))
    return AnchorLoss(loss, effective, clamped, positive_grad * weight, grad)


def info_nce(
    scores: Tensor,
    positive: Tensor,
    excluded: Tensor,
    hardness: Tensor | float,
    weight: Tensor | None,
    *,
    tau_plus: float,
    debias: Debias,
    detach_weights: bool,
    log_lower: float,
) -> AnchorLoss:
    r"""Return the InfoNCE losses :math:`\log(e^p + n R) - p`; R is the debiased mean of :math:`f = \exp`.

    :math:`m = \log \sum_g w_g e^{q_g}`; :math:`\partial m/\partial q_g = v_g` with
    :math:`v = \mathrm{softmax}(\log w + q)`, and through the weights additionally :math:`\beta c\,(v_g - w_g)`.
    Everything is computed in the log domain: :math:`\log R = m + \log(1 - e^k) - \log D` with
    :math:`k = \log r + p - m` and the denominator D.

    In the consistent form r depends on the weights: :math:`\partial \log r/\partial p = \beta c`,
    :math:`\partial \log r/\partial q_g = -\beta c\, w_g` and
    :math:`\partial \log R/\partial \log r = -e^k/(1 - e^k) + r/(1 - r)`, without the last term where D is at its floor.
    """
    num_negatives = scores.size(1) - excluded.size(1)
    exponents = _log_weights(scores, excluded, hardness)
    share = _share(exponents, positive, excluded, hardness, tau_plus, debias)
    log_weights = exponents.log_softmax(dim=1)
    tilted = scores.add_(log_weights)
    log_mean = tilted.logsumexp(dim=1)
    log_negative, left, removed = _debias_log(log_mean, positive, tau_plus, share, log_lower)
    # Not logaddexp(p, N) - p, which cancels to 0 in float32 if p is large.
    margin = log_negative + math.log(num_negatives) - positive
    loss = softplus(margin)
    weights = log_weights.exp_()
    effective = 1 / torch.linalg.vecdot(weights, weights)
    clamped = (~left).to(loss.dtype)
    if weight is None:
        return AnchorLoss(loss, effective, clamped, None, None)
    slope = torch.sigmoid(margin) * weight
    by_mean = torch.where(left, 1 / removed, 0.0)
    by_positive = torch.where(left, 1 - by_mean, 0.0)
    grad = tilted.sub_(log_mean.unsqueeze(1)).exp_()
    if not detach_weights:
        if share is not None:
            inverse = torch.where(share.free, 1 / share.denominator, 1.0)  # 1 + r / (1 - r)
            # Selected, not multiplied by 0: where nothing is left, the factors may overflow.
            weights.mul_(torch.where(left, inverse * removed, 1.0).unsqueeze(1))
            by_positive += torch.where(left, (inverse - by_mean) * hardness, 0.0)
        grad.add_(grad.sub(weights).mul_(hardness))
    grad.mul_((slope * by_mean).unsqueeze(1))
    return AnchorLoss(loss, effective, clamped, slope * (by_positive - 1), grad)


def _debias_log(
    log_mean: Tensor, positive: Tensor, tau_plus: float, share: _Share | None, log_lower: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return log R, whether it is above its lower bound, and 1 - e^k where it is; all (B,)."""
    if tau_plus == 0:
        return log_mean, torch.ones_like(log_mean, dtype=torch.bool), torch.ones_like(log_mean)
    log_r, log_denominator = (
        (math.log(tau_plus), math.log1p(-tau_plus))
        if share is None
        else (share.log, share.denominator.log())
    )
    ratio = log_r + positive - log_mean  # k: log of the fraction that is subtracted
    left = ratio < 0
    removed = -torch.expm1(torch.where(left, ratio, -1.0))  # any finite value where nothing is left
    debiased = log_mean + torch.log(removed) - log_denominator
    left &= debiased > log_lower
    return torch.where(left, debiased, log_lower), left, removed


def _share(
    exponents: Tensor,
    positive: Tensor,
    excluded: Tensor,
    hardness: Tensor | float,
    tau_plus: float,
    debias: Debias,
) -> _Share | None:
    """Return the share of the consistent form, given the exponents (B, C) of the weights.

    None: it is the constant `tau_plus`, in the paper's form or without a prior.
    """
    if debias == "paper" or tau_plus == 0:
        return None
    num_negatives = exponents.size(1) - excluded.size(1)
    # Differences of large numbers first: with tau_plus near 1, 1 - r is small, and float32 would lose its digits.
    top = exponents.amax(dim=1)
    mean = (exponents - top.unsqueeze(1)).exp_().sum(dim=1) / num_negatives
    log_share = math.log(tau_plus) + ((hardness * positive - top) - mean.log())
    # Above n * tau_plus the positive has the highest score, and nothing is left of a mean over the negatives: the bound
    # changes nothing but that r stays finite.
    log_share = log_share.clamp_max(math.log(num_negatives) + 1)
    rest = -torch.expm1(log_share)  # 1 - r
    floor = FLOOR * (1 - tau_plus)
    return _Share(log_share, rest.clamp_min(floor), rest > floor)


def softplus(x: Tensor) -> Tensor:
    """Return log(1 + e^x), elementwise; 0 at -inf."""
    # Not F.softplus, which returns x itself above 20 and is off by up to 2e-9 there in float64.
    return -F.logsigmoid(-x)


def _log_weights(scores: Tensor, excluded: Tensor, hardness: Tensor | float) -> Tensor:
    """Return the exponents of the weights, (B, C), -inf where a candidate is not a negative."""
    return (scores * hardness).scatter_(1, excluded, -math.inf)
