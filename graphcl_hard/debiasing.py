r"""The correction for negatives that are really positives.

With the class prior :math:`\tau^+`, the distribution of true negatives is
:math:`p^- = (p - \tau^+ p^+) / (1 - \tau^+)`; so a mean over negatives loses its share of positives and is bounded
below by the least value that its function can take.

Source: Chuang, Robinson, Lin, Torralba, Jegelka, "Debiased Contrastive Learning", NeurIPS 2020, eq. 7 and 8.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def softplus(x: Tensor) -> Tensor:
    """log(1 + e^x), elementwise; 0 at -inf."""
    # Not F.softplus, which returns x itself above 20 and is then off by up to 2e-9 in float64.
    return -F.logsigmoid(-x)


def debiased_mean(mean: Tensor, mean_positive: Tensor, tau_plus: float) -> Tensor:
    """The mean over true negatives, bounded below by softplus's 0; (R,), (R,) -> (R,)."""
    if tau_plus == 0:
        return mean
    return ((mean - tau_plus * mean_positive) / (1 - tau_plus)).clamp_min(0.0)


def info_nce(positive: Tensor, negatives: Tensor, weights: Tensor, n: int, tau_plus: float, log_lower: float) -> Tensor:
    """log(e^p + n max(lower, (mean_w e^q - tau e^p) / (1 - tau))) - p for each row, all in the log domain.

    `weights` (R, C) are logarithms that sum to one in each row; `negatives` (R, C) holds -inf where there is none.
    """
    log_mean = torch.logsumexp(weights + negatives, dim=1)
    if tau_plus > 0:
        ratio = math.log(tau_plus) + positive - log_mean  # log of what is subtracted over what it is subtracted from
        left = ratio < 0
        # Rows where nothing is left take a harmless value before the where, so that their gradient is 0, not nan.
        difference = torch.log(-torch.expm1(torch.where(left, ratio, -1.0)))
        log_mean = torch.where(left, log_mean + difference - math.log1p(-tau_plus), -math.inf).clamp_min(log_lower)
    # Not logaddexp(p, N) - p, which cancels to 0 in float32 where p is large.
    return softplus(log_mean + math.log(n) - positive)
