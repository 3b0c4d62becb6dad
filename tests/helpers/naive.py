"""The objectives as loops straight from the formulas, in Python floats: slow, plain, and the reference."""

import math


def softplus(x):
    return math.log1p(math.exp(-abs(x))) + max(x, 0.0)


def dot(a, b):
    return sum(float(x) * float(y) for x, y in zip(a, b, strict=True))


def scores(local, summary, critic, temperature):
    rows = []
    for h in local:
        if critic == "dot":
            rows.append([dot(h, s) for s in summary])
        else:
            rows.append(
                [dot(h, s) / math.sqrt(dot(h, h) * dot(s, s)) / temperature for s in summary]
            )
    return rows


def weights_of(q, own, beta, c):
    n = len(q) - 1
    w = [math.exp(beta * c * x) if g != own else 0.0 for g, x in enumerate(q)]
    return [x * n / sum(w) for x in w]


def scale_of(rows, batch, critic, score_scale):
    if critic == "cosine" or score_scale == "none":
        return 1.0
    return 2 / max(abs(x) for i, q in enumerate(rows) for g, x in enumerate(q) if g != batch[i])


def debiased(f, p, negatives, exponent, tau_plus, debias, lower):
    """The debiased mean of f over the negatives; `exponent` is the factor of the scores in the weights."""
    n, u = len(negatives), [math.exp(exponent * q) for q in negatives]
    if debias == "paper":
        mean = sum(w * n / sum(u) * f(q) for w, q in zip(u, negatives, strict=True)) / n
        return max(lower, (mean - tau_plus * f(p)) / (1 - tau_plus))
    u_plus = math.exp(exponent * p)
    a = sum(w * f(q) for w, q in zip(u, negatives, strict=True)) / n - tau_plus * u_plus * f(p)
    b = sum(u) / n - tau_plus * u_plus
    return max(lower, a / max(b, 0.1 * (1 - tau_plus) * sum(u) / n))


def local_global_jsd(
    local, summary, batch, beta, tau_plus, critic, temperature, score_scale, debias="paper"
):
    rows, batch = scores(local, summary, critic, temperature), [int(b) for b in batch]
    c, losses = scale_of(rows, batch, critic, score_scale), []
    lower = softplus(-1 / temperature) if critic == "cosine" else 0.0
    for i, q in enumerate(rows):
        p, negatives = q[batch[i]], [x for g, x in enumerate(q) if g != batch[i]]
        rest = debiased(softplus, p, negatives, beta * c, tau_plus, debias, lower)
        losses.append(softplus(-p) + rest)
    return losses


def local_global_info_nce(
    local, summary, batch, beta, tau_plus, critic, temperature, score_scale, debias="paper"
):
    rows, batch = scores(local, summary, critic, temperature), [int(b) for b in batch]
    c, losses = scale_of(rows, batch, critic, score_scale), []
    lower = math.exp(-1 / temperature) if critic == "cosine" else 0.0
    for i, q in enumerate(rows):
        p, negatives = q[batch[i]], [x for g, x in enumerate(q) if g != batch[i]]
        rest = debiased(math.exp, p, negatives, beta * c, tau_plus, debias, lower)
        losses.append(math.log(math.exp(p) + len(negatives) * rest) - p)
    return losses


def nt_xent(view1, view2, beta, tau_plus, temperature, queue=(), debias="paper"):
    rows, items, losses = [*view1, *view2], len(view1), []
    lower = math.exp(-1 / temperature)
    for i, z in enumerate(rows):
        q = [dot(z, other) / temperature for other in [*rows, *queue]]
        p = q[(i + items) % (2 * items)]
        negatives = [x for j, x in enumerate(q) if j >= 2 * items or j % items != i % items]
        rest = debiased(math.exp, p, negatives, beta, tau_plus, debias, lower)
        losses.append(math.log(math.exp(p) + len(negatives) * rest) - p)
    return sum(losses) / len(losses)


def released(local, summary, batch, beta):
    rows, batch = scores(local, summary, "dot", 1.0), [int(b) for b in batch]
    nodes, graphs, tau, log2 = len(rows), len(summary), 0.5, math.log(2)
    qt = [[0.0 if g == batch[i] else x for g, x in enumerate(q)] for i, q in enumerate(rows)]
    pt = [[x if g == batch[i] else 0.0 for g, x in enumerate(q)] for i, q in enumerate(rows)]
    m = max(*map(max, qt), abs(min(map(min, qt))))
    negative = positive = 0.0
    for i in range(nodes):
        r = [math.exp(-2 * beta * x / m) for x in qt[i]]
        for g in range(graphs):
            if beta > 0:
                negative += r[g] / (sum(r) / graphs) * softplus(qt[i][g]) / (1 - tau) - log2
            else:
                negative += (softplus(qt[i][g]) - log2) / (1 - tau)
            positive += log2 - softplus(-pt[i][g]) - tau / (1 - tau) * softplus(pt[i][g])
    return negative / (nodes * (graphs - 1)) - positive / nodes
