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

import functools
import math
from typing import NamedTuple

import torch
from torch import Tensor

from graphcl_hard.contrast import Contrast, LocalHead, Parts, contrast
from graphcl_hard.hardness import beta_schedule, effective_negatives, full_precision, hard_negative_weights
from graphcl_hard.objective_arguments import (
    Critic,
    Mode,
    Reduction,
    ScoreScale,
    check_choices,
    check_pairs,
    check_queue,
    check_range,
    check_released,
    check_views,
)
from graphcl_hard.pairs import Pairs, with_queue
from graphcl_hard.released import released_jsd
from graphcl_hard.row_losses import RowLossFunction, info_nce, jsd

__all__ = [
    "Diagnostics",
    "beta_schedule",
    "effective_negatives",
    "hard_negative_weights",
    "local_global_info_nce",
    "local_global_jsd",
    "nt_xent",
]


class Diagnostics(NamedTuple):
    """What the weights do to a batch; no gradient flows through it."""

    effective_negatives: Tensor
    """(): mean over the anchors of the effective number of negatives as a share of n, in [0, 1]; 0 in `released` mode
    alone, where the own graph may take all the weight."""
    positive_score: Tensor
    """(): mean score of the positives."""
    negative_score: Tensor
    """(): unweighted mean score of the negatives."""


def local_global_jsd(
    local: Tensor,
    summary: Tensor,
    batch: Tensor,
    *,
    beta: float = 10.0,
    tau_plus: float = 0.1,
    critic: Critic = "dot",
    temperature: float = 0.5,
    score_scale: ScoreScale = "max",
    detach_weights: bool = True,
    mode: Mode = "paper",
    reduction: Reduction = "mean",
    return_diagnostics: bool = False,
    node_weight: Tensor | None = None,
    local_head: LocalHead | None = None,
    parts: Parts | None = None,
    queue: Tensor | None = None,
) -> Tensor | tuple[Tensor, Diagnostics]:
    r"""Local-global Jensen-Shannon objective with hard, debiased negatives.

    .. math::
        L &= \frac1N \sum_i \big[ \mathrm{sp}(-p_i) + R_i \big] \\
        R_i &= \max\Big(0, \frac{\frac1n \sum_g \bar w_{ig}\,\mathrm{sp}(q_{ig}) - \tau^+\,\mathrm{sp}(p_i)}
                                {1 - \tau^+}\Big)

    `beta` = 0 and `tau_plus` = 0 is InfoGraph's objective up to the constant 2 log 2.

    Args:
        local: (N, D) a vector for each node, float.
        summary: (G, D) a vector for each graph, float, G at least 2.
        batch: (N,) int64, the graph of each node, in [0, G).
        beta: hardness, at least 0; 0 weights all negatives alike.
        tau_plus: class prior in [0, 1): the chance that a random graph is of the anchor's class.
        critic: "dot" (InfoGraph's) or "cosine".
        temperature: t of the cosine critic, above 0; the dot critic has none.
        score_scale: c for the dot critic, "max" or "none".
        detach_weights: whether the weights are constants for the gradient (importance weights, the default).
        mode: "released" reproduces the authors' graph code, which weights the easiest negatives; see
            `graphcl_hard.released`. It has its own tau_plus (0.5), scaling and gradient, and takes the dot critic only.
        reduction: "mean" gives (), "none" one value a node, (N,).
        return_diagnostics: whether to return (loss, `Diagnostics`), computed from the same scores.
        node_weight: (N,) float, at least 0: how many nodes each row of `local` stands for, in the mean over nodes;
            None: one. Constants for the gradient. See `sampling.sample_nodes`.
        local_head: a `ResidualHead` that maps `local` to the nodes' vectors, run inside the objective.
        parts: where the tensors are one part of a batch, say a process's: the summaries of all parts are gathered, and
            the result is this part's addend of the loss and of the diagnostics. None: they are the whole batch.
        queue: (K, D) float, summaries of other graphs than the batch's, K more negatives for every node, constants for
            the gradient; of all parts the same. None: none. Not with `mode="released"`. See `NegativeQueue`.

    Returns:
        The loss, or (loss, diagnostics). Half-precision inputs, and autocast, are scored in float32. Nothing of size
        N x G is kept (`contrast.KEPT_SCORES` bounds what is); a second derivative is refused.

    Raises:
        InputError: an argument outside its range, tensors that do not fit together, or one graph in the batch.

    Source: Robinson et al. (ICLR 2021), section 3 and eq. 4; the Jensen-Shannon form after InfoGraph, eq. 5.
    """
    if parts is not None:
        summary, batch = parts.gather(summary), batch + parts.start
    check_pairs(local, summary, batch, node_weight, beta, tau_plus, temperature, whole=parts is None)
    check_queue(queue, summary)
    check_choices(critic=(critic, Critic), score_scale=(score_scale, ScoreScale), mode=(mode, Mode))
    loss: RowLossFunction = functools.partial(jsd, tau_plus=tau_plus, detach_weights=detach_weights)
    if mode == "released":
        check_released(critic, queue)
        loss = released_jsd
    pairs = Pairs(local, summary, batch, critic, temperature, node_weight, local_head, parts, queue)
    value, *means = pairs.contrast(loss, beta, score_scale, reduction, released=mode == "released")
    return (value, Diagnostics(*means)) if return_diagnostics else value


def local_global_info_nce(
    local: Tensor,
    summary: Tensor,
    batch: Tensor,
    *,
    beta: float = 10.0,
    tau_plus: float = 0.1,
    critic: Critic = "cosine",
    temperature: float = 0.5,
    score_scale: ScoreScale = "max",
    detach_weights: bool = True,
    reduction: Reduction = "mean",
    return_diagnostics: bool = False,
    node_weight: Tensor | None = None,
    local_head: LocalHead | None = None,
    parts: Parts | None = None,
    queue: Tensor | None = None,
) -> Tensor | tuple[Tensor, Diagnostics]:
    r"""Local-global InfoNCE objective with hard, debiased negatives.

    .. math::
        L &= \frac1N \sum_i \big[\log(e^{p_i} + N^g_i) - p_i\big] \\
        N^g_i &= n \max\Big(e^{-1/t}, \frac{\frac1n \sum_g \bar w_{ig}\, e^{q_{ig}} - \tau^+ e^{p_i}}{1 - \tau^+}\Big)

    Under the dot critic, whose exponential has no least value but 0, the bound is 0 in place of
    :math:`e^{-1/t}`. Everything is computed in the log domain. Arguments, with their shapes and
    ranges, and returns are those of `local_global_jsd`.

    Raises:
        InputError: as `local_global_jsd` does.

    Source: Robinson et al. (ICLR 2021), eq. 4; Chuang et al. (NeurIPS 2020), eq. 7 and 8.
    """
    if parts is not None:
        summary, batch = parts.gather(summary), batch + parts.start
    check_pairs(local, summary, batch, node_weight, beta, tau_plus, temperature, whole=parts is None)
    check_queue(queue, summary)
    check_choices(critic=(critic, Critic), score_scale=(score_scale, ScoreScale))
    loss = functools.partial(
        info_nce,
        tau_plus=tau_plus,
        detach_weights=detach_weights,
        num_negatives=summary.size(0) - 1 + (0 if queue is None else queue.size(0)),
        log_lower=-1 / temperature if critic == "cosine" else -math.inf,
    )
    pairs = Pairs(local, summary, batch, critic, temperature, node_weight, local_head, parts, queue)
    value, *means = pairs.contrast(loss, beta, score_scale, reduction)
    return (value, Diagnostics(*means)) if return_diagnostics else value


def nt_xent(
    view1: Tensor,
    view2: Tensor,
    *,
    beta: float = 10.0,
    tau_plus: float = 0.1,
    temperature: float = 0.5,
    detach_weights: bool = True,
    return_diagnostics: bool = False,
    parts: Parts | None = None,
    queue: Tensor | None = None,
) -> Tensor | tuple[Tensor, Diagnostics]:
    r"""NT-Xent objective of two views with hard, debiased negatives.

    The rows of both views are the 2B anchors. An anchor's positive is the other view of its item; its n = 2B - 2
    negatives are all rows of other items. With scores :math:`z^\top z'/t` and weights
    :math:`\bar w \propto e^{\beta z^\top z'/t}` of mean one, the loss is that of `local_global_info_nce`,
    averaged over the 2B anchors.

    A queue gives each anchor K more: n = 2B - 2 + K.

    Args:
        view1: (B, D), float, rows of unit length (`torch.nn.functional.normalize`), B at least 2.
        view2: (B, D), float, rows of unit length; row i is the other view of row i of `view1`.
        beta: hardness, at least 0.
        tau_plus: class prior in [0, 1).
        temperature: t, above 0.
        detach_weights: whether the weights are constants for the gradient.
        return_diagnostics: whether to return (loss, `Diagnostics`), means over the 2B anchors.
        parts: where the views are one part of a batch, as in `local_global_jsd`.
        queue: (K, D), float, rows of unit length of other items than the batch's, as in `local_global_jsd`.

    Returns:
        (): the mean loss, or (loss, diagnostics). It takes any two tensors: graphs, images, sentences.

    Raises:
        InputError: an argument outside its range, shapes that differ, a single item, or rows that are not of
            unit length (looked at on the CPU only, as the look would stall a GPU).

    Source: Robinson et al. (ICLR 2021), eq. 4 and its pseudocode; Chen et al., "SimCLR", ICML 2020, eq. 1.
    """
    check_range(beta, tau_plus, temperature)
    if parts is not None:
        own_items, view1, view2 = view1.size(0), parts.gather(view1), parts.gather(view2)
    check_views(view1, view2)
    check_queue(queue, view1, unit=True)
    items, queued = view1.size(0), 0 if queue is None else queue.size(0)
    n = 2 * items - 2 + queued
    anchors = views = torch.cat([full_precision(view1), full_precision(view2)])  # (2B, D)
    anchor = torch.arange(2 * items, device=views.device)
    if parts is not None:
        anchor = anchor.view(2, items)[:, parts.start :][:, :own_items].flatten()
        anchors = views[anchor]
    other = (anchor + items) % (2 * items)
    loss = functools.partial(
        info_nce,
        tau_plus=tau_plus,
        detach_weights=detach_weights,
        num_negatives=n,
        log_lower=-1 / temperature,
    )
    excluded = torch.stack([anchor, other], dim=1)
    setting = Contrast(loss, other, excluded, hardness=float(beta), parts=parts, constants=queued)
    with torch.autocast(views.device.type, enabled=False):
        outcome = contrast(setting, anchors, with_queue(views, queue) / temperature)
        if not return_diagnostics:
            return outcome.loss
        own = anchors.detach().square().sum() / (2 * items * temperature)  # the score of an anchor against itself
    negative = (outcome.total - outcome.positive - own) / n
    return outcome.loss, Diagnostics(outcome.effective / n, outcome.positive, negative)
