"""The objective of the paper's released graph code, kept for those who must compare with it."""

import math

import torch
from torch import Tensor

from graphcl_hard.losses.anchor_losses import RowLoss, aten, softplus
from graphcl_hard.losses.weights import effective_negatives

TAU_PLUS = 0.5  # the released code fixes it, whatever the user sets


def released_jsd(
    scores: Tensor, positive: Tensor, excluded: Tensor, hardness: Tensor | float, weight: Tensor | None
) -> RowLoss:
    r"""The objective of the paper's released graph code; arguments and result as in `row_losses.RowLossFunction`.

    With :math:`\tilde q_{ig} = q_{ig}` for :math:`g \ne b(i)` and 0 for the own graph, :math:`\tilde p` the reverse,
    :math:`\tau = 0.5` and :math:`m = \max(\max \tilde q, |\min \tilde q|)`; `hardness` is :math:`-2\beta/m`:

    .. math::
        \bar r_{ig} &= e^{-2\beta \tilde q_{ig}/m} \big/ \tfrac1G \textstyle\sum_g e^{-2\beta \tilde q_{ig}/m} \\
        E_- &= \textstyle\sum_{ig} [\bar r_{ig}\, \mathrm{sp}(\tilde q_{ig}) / (1 - \tau) - \log(2)] / (N (G - 1))
               \quad (\beta > 0) \\
        E_- &= \textstyle\sum_{ig} [\mathrm{sp}(\tilde q_{ig}) - \log(2)] / (1 - \tau) / (N (G - 1))
               \quad (\beta = 0) \\
        E_+ &= \textstyle\sum_{ig} [\log(2) - \mathrm{sp}(-\tilde p_{ig})
               - \tfrac{\tau}{1 - \tau} \mathrm{sp}(\tilde p_{ig})] / N, \qquad L = E_- - E_+

    It differs from the paper: the minus sign weights the easiest negatives; the prior's term is added where
    debiasing subtracts it; the own graph's zero enters the normaliser; the weights carry gradients, through
    :math:`m` too, which is why the derivative by the hardness is returned.
    """
    tau, graphs, log2 = TAU_PLUS, scores.size(1), math.log(2)
    masked = scores.scatter_(1, excluded, 0.0)
    weights = (masked * hardness).softmax(dim=1)  # rows sum to one
    uniform = isinstance(hardness, float) and hardness == 0
    minus_scores = masked.neg_()
    minus_softplus, buffer = aten.log_sigmoid_forward(minus_scores)
    mean = -torch.linalg.vecdot(weights, minus_softplus)
    scale = graphs / ((1 - tau) * (graphs - 1))
    negative = scale * mean - graphs * log2 / ((1 - tau if uniform else 1) * (graphs - 1))
    # The G - 1 zeros of p~ in each row add a constant, which the released code's value contains.
    expectation = log2 - softplus(-positive) - tau / (1 - tau) * (softplus(positive) + (graphs - 1) * log2)
    others = weights.scatter_(1, excluded, 0.0)
    effective = effective_negatives(others)
    if weight is None:
        return RowLoss(negative - expectation, effective, None, None)
    grad = aten.log_sigmoid_backward(others, minus_scores, buffer)  # r sigmoid(q)
    through = minus_softplus.add_(mean.unsqueeze(1)).mul_(others).mul_(-hardness)  # h r (sp(q) - mean), by the weights
    log_hardness_grad = -scale * (torch.linalg.vecdot(through, minus_scores) @ weight)
    grad.add_(through).mul_((scale * weight).unsqueeze(1))
    positive_grad = (-torch.sigmoid(-positive) + tau / (1 - tau) * torch.sigmoid(positive)) * weight
    return RowLoss(negative - expectation, effective, positive_grad, grad, log_hardness_grad)
