"""The objective of the paper's released graph code, kept for those who must compare with it."""

import math

import torch
from torch import Tensor

from graphcl_hard.debiasing import softplus

TAU_PLUS = 0.5  # the released code fixes it, whatever the user sets


def released_jsd(scores: Tensor, positive: Tensor, own: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    r"""The objective of the paper's released graph code, one value a node, and its weights (N, G).

    With :math:`\tilde q_{ig} = q_{ig}` for :math:`g \ne b(i)` and 0 for the own graph, :math:`\tilde p` the reverse,
    :math:`\tau = 0.5` and :math:`m = \max(\max \tilde q, |\min \tilde q|)`:

    .. math::
        \bar r_{ig} &= e^{-2\beta \tilde q_{ig}/m} \big/ \tfrac1G \textstyle\sum_g e^{-2\beta \tilde q_{ig}/m} \\
        E_- &= \textstyle\sum_{ig} [\bar r_{ig}\, \mathrm{sp}(\tilde q_{ig}) / (1 - \tau) - \log 2] / (N (G - 1))
               \quad (\beta > 0) \\
        E_- &= \textstyle\sum_{ig} [\mathrm{sp}(\tilde q_{ig}) - \log 2] / (1 - \tau) / (N (G - 1))
               \quad (\beta = 0) \\
        E_+ &= \textstyle\sum_{ig} [\log 2 - \mathrm{sp}(-\tilde p_{ig})
               - \tfrac{\tau}{1 - \tau} \mathrm{sp}(\tilde p_{ig})] / N, \qquad L = E_- - E_+

    It differs from the paper: the minus sign weights the easiest negatives; the prior's term is added where
    debiasing subtracts it; the own graph's zero enters the normaliser; the weights carry gradients.
    """
    tau, graphs, log2 = TAU_PLUS, scores.size(1), math.log(2)
    masked = scores.scatter(1, own, 0.0)
    largest = torch.maximum(masked.max(), masked.min().abs()).clamp_min(torch.finfo(scores.dtype).tiny)
    weights = torch.softmax(masked / largest * (-2 * beta), dim=1) * graphs
    if beta > 0:
        negative = (weights * softplus(masked)).sum(dim=1) / (1 - tau) - graphs * log2
    else:
        negative = (softplus(masked).sum(dim=1) - graphs * log2) / (1 - tau)
    # The G - 1 zeros of p~ in each row add a constant, which the released code's value contains.
    expectation = log2 - softplus(-positive) - tau / (1 - tau) * (softplus(positive) + (graphs - 1) * log2)
    return negative / (graphs - 1) - expectation, weights.scatter(1, own, 0.0)
