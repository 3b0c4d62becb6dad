"""The objective of the paper's released graph code, kept for comparison with it."""

import math

import torch
from torch import Tensor

from graphcl_hard.losses.anchor_losses import softplus
from graphcl_hard.losses.blockwise import Outcome, anchor_weights
from graphcl_hard.losses.context import NO_CONTEXT, Context
from graphcl_hard.losses.weights import effective_negatives

TAU_PLUS = 0.5  # fixed in the released code, whatever the user sets


def released_jsd(
    local: Tensor,
    summary: Tensor,
    batch: Tensor,
    beta: float,
    context: Context = NO_CONTEXT,
    mean: bool = True,
) -> Outcome:
    r"""Return the objective of the released code, computed densely and differentiated by autograd.

    With the scores :math:`q_{ig} = \langle h_i, s_g\rangle`, :math:`\tilde q_{ig} = q_{ig}` for :math:`g \ne b(i)` and
    0 for the own graph, :math:`\tilde p` the reverse, :math:`\tau = 0.5` and
    :math:`m = \max(\max \tilde q, |\min \tilde q|)`:

    .. math::
        \bar r_{ig} &= e^{-2\beta \tilde q_{ig}/m} \big/ \tfrac1G \textstyle\sum_g e^{-2\beta \tilde q_{ig}/m} \\
        E_- &= \textstyle\sum_{ig} [\bar r_{ig}\, \mathrm{sp}(\tilde q_{ig}) / (1 - \tau) - \log(2)] / (N (G - 1))
               \quad (\beta > 0) \\
        E_- &= \textstyle\sum_{ig} [\mathrm{sp}(\tilde q_{ig}) - \log(2)] / (1 - \tau) / (N (G - 1))
               \quad (\beta = 0) \\
        E_+ &= \textstyle\sum_{ig} [\log(2) - \mathrm{sp}(-\tilde p_{ig})
               - \tfrac{\tau}{1 - \tau} \mathrm{sp}(\tilde p_{ig})] / N, \qquad L = E_- - E_+

    It differs from the paper: the minus sign weights the easiest negatives; the term of the prior is added where
    debiasing subtracts it; the zero of the own graph enters the normaliser; and the weights have gradients, also
    through :math:`m`.

    Args:
        local: (N, D) float32 or float64, vectors of the nodes (of this part, if there are parts).
        summary: (G, D), vectors of all graphs.
        batch: (N,) int64, the graph of each node.
        beta: hardness, at least 0.
        context: weights of the nodes, and parts of the batch.
        mean: whether the loss is the mean, or one value per node.

    Returns:
        Loss and means. Several tensors of size N x G are kept for the gradient.
    """
    tau, graphs, log2, parts = TAU_PLUS, summary.size(0), math.log(2), context.parts
    own = batch.unsqueeze(1)  # (N, 1)
    scores = local @ summary.T  # (N, G)
    positive = scores.gather(1, own).squeeze(1)  # (N,)
    masked = scores.scatter(1, own, 0.0)  # (N, G)

    largest = masked.sum()  # (), 0 where a part is empty
    if masked.numel():
        low, high = masked.amin(), masked.amax()  # PyTorch 2.11 cannot differentiate aminmax
        largest = torch.where(
            high >= -low, high, -low
        )  # as in max(max, |min|), the first takes the gradient of a tie
    if parts is not None:
        # `gather` takes a row for each graph of the part, and returns the gradient of every part's loss to the largest.
        largest = parts.gather(largest.expand(parts.stop - parts.start, 1)).amax()
    # The bound keeps the quotients finite if all scores are 0.
    largest = largest.clamp_min(torch.finfo(masked.dtype).tiny * max(1.0, 2 * beta))
    weights = (masked / largest * (-2 * beta)).softmax(dim=1)  # (N, G), rows sum to 1

    hard = graphs * (weights * softplus(masked)).sum(dim=1) / (1 - tau)  # (N,)
    constant = graphs * log2 / (1 - tau if beta == 0 else 1)
    negative = (hard - constant) / (graphs - 1)
    # The G - 1 zeros of p~ in each row add a constant, which the value of the released code contains.
    expectation = (
        log2 - softplus(-positive) - tau / (1 - tau) * (softplus(positive) + (graphs - 1) * log2)
    )
    loss = negative - expectation  # (N,)

    share = anchor_weights(local, context.node_weight, parts)
    effective = effective_negatives(weights.detach().scatter(1, own, 0.0))
    clamped = torch.zeros_like(effective)  # there is no bound
    means = [share @ value.detach() for value in (effective, clamped, positive, scores.sum(dim=1))]
    whole = 1.0 if parts is None else share.sum()
    means.append(share.new_ones(()) * beta * whole)
    return Outcome(loss @ share if mean else loss, *means)
