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


def local_global_jsd(local, summary, batch, beta, tau_plus, critic, temperature, score_scale):
    rows, batch = scores(local, summary, critic, temperature), [int(b) for b in batch]
    c, n, losses = scale_of(rows, batch, critic, score_scale), len(summary) - 1, []
    for i, q in enumerate(rows):
        w, p = weights_of(q, batch[i], beta, c), q[batch[i]]
        mean = sum(w[g] * softplus(q[g]) for g in range(len(q)) if g != batch[i]) / n
        losses.append(softplus(-p) + max(0.0, (mean - tau_plus * softplus(p)) / (1 - tau_plus)))
    return losses


def local_global_info_nce(local, summary, batch, beta, tau_plus, critic, temperature, score_scale):
    rows, batch = scores(local, summary, critic, temperature), [int(b) for b in batch]
    c, n, losses = scale_of(rows, batch, critic, score_scale), len(summary) - 1, []
    lower = math.exp(-1 / temperature) if critic == "cosine" else 0.0
    for i, q in enumerate(rows):
        w, p = weights_of(q, batch[i], beta, c), q[batch[i]]
        mean = sum(w[g] * math.exp(q[g]) for g in range(len(q)) if g != batch[i]) / n
        ng = n * max(lower, (mean - tau_plus * math.exp(p)) / (1 - tau_plus))
        losses.append(math.log(math.exp(p) + ng) - p)
    return losses


def nt_xent(view1, view2, beta, tau_plus, temperature, queue=()):
    rows, items = [*view1, *view2], len(view1)
    n, losses = 2 * items - 2 + len(queue), []
    for i, z in enumerate(rows):
        q = [dot(z, other) / temperature for other in [*rows, *queue]]
        negatives = [j for j in range(len(q)) if j >= 2 * items or j % items != i % items]
        w = {j: math.exp(beta * q[j]) for j in negatives}
        mean = sum(w[j] * n / sum(w.values()) * math.exp(q[j]) for j in negatives) / n
        p = q[(i + items) % (2 * items)]
        ng = n * max(math.exp(-1 / temperature), (mean - tau_plus * math.exp(p)) / (1 - tau_plus))
        losses.append(math.log(math.exp(p) + ng) - p)
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
