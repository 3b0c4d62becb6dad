"""The local-global objectives with dense scores and autograd: the plain way, against which the blocks are tested."""

import math

import torch
import torch.nn.functional as F


def softplus(x):
    return -F.logsigmoid(-x)


def local_global(
    local,
    summary,
    batch,
    *,
    objective="jsd",
    beta=10.0,
    tau_plus=0.1,
    debias="paper",
    critic="dot",
    temperature=0.5,
    score_scale="max",
    detach_weights=True,
    reduction="mean",
    node_weight=None,
    local_head=None,
):
    """The same arguments as `graphcl_hard.losses.local_global`; `objective` is "jsd", "info_nce" or "released"."""
    local = local if local_head is None else local_head(local)
    if critic == "cosine":
        q = F.normalize(local, dim=1) @ F.normalize(summary, dim=1).T / temperature
    else:
        q = local @ summary.T
    own, n = batch.unsqueeze(1), summary.size(0) - 1
    p = q.gather(1, own).squeeze(1)
    loss = released(q, p, own, beta) if objective == "released" else None
    if loss is None:
        negatives = q.scatter(1, own, -math.inf)
        exponent = beta * (q.detach() if detach_weights else q)
        if critic == "dot" and score_scale == "max":
            exponent = exponent * (2 / q.detach().scatter(1, own, 0.0).abs().max())
        f = softplus if objective == "jsd" else torch.exp
        weights = torch.softmax(exponent.scatter(1, own, -math.inf), dim=1)
        mean, false = (weights * f(negatives)).sum(dim=1), f(p)
        lower = (
            f(torch.tensor(-1 / temperature, dtype=q.dtype)).item() if critic == "cosine" else 0.0
        )
        if debias == "paper":
            rest = (mean - tau_plus * false) / (1 - tau_plus)
        else:
            u = exponent.exp()
            r = tau_plus * u.gather(1, own).squeeze(1) / (u.scatter(1, own, 0.0).sum(dim=1) / n)
            rest = (mean - r * false) / (1 - r).clamp_min(0.1 * (1 - tau_plus))
        rest = rest.clamp_min(lower)
        loss = softplus(-p) + rest if objective == "jsd" else torch.log(p.exp() + n * rest) - p
    if reduction == "none":
        return loss
    weight = torch.ones_like(loss) if node_weight is None else node_weight.to(loss.dtype)
    return (loss * weight).sum() / weight.sum()


def released(q, p, own, beta):
    graphs, log2, tau = q.size(1), math.log(2), 0.5
    masked = q.scatter(1, own, 0.0)
    largest = torch.maximum(masked.max(), masked.min().abs())
    if beta > 0:
        weights = torch.softmax(-2 * beta * masked / largest, dim=1) * graphs
        negative = (weights * softplus(masked) / (1 - tau) - log2).sum(dim=1)
    else:
        negative = ((softplus(masked) - log2) / (1 - tau)).sum(dim=1)
    expectation = log2 - softplus(-p) - tau / (1 - tau) * (softplus(p) + (graphs - 1) * log2)
    return negative / (graphs - 1) - expectation
