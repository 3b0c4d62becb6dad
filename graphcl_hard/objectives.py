r"""The objectives: pure functions from tensors to a scalar, for graphs, images or sentences alike.

Notation, here and in every docstring below. A batch holds G graphs and N nodes; :math:`b(i)` is the graph of node i.
:math:`h_i` is the local vector of node i and :math:`s_g` the summary of graph g. The critic gives the scores
:math:`q_{ig} = \langle h_i, s_g\rangle` ("dot") or :math:`\cos(h_i, s_g)/t` ("cosine", t the temperature).
:math:`p_i = q_{i,b(i)}` is the positive; the :math:`n = G - 1` other graphs give the negatives.
:math:`\mathrm{sp}(x) = \log(1 + e^x)`. The negatives weigh (see `hard_negative_weights`)

.. math:: \bar w_{ig} = n\, e^{\beta c\, q_{ig}} / \sum_{g' \ne b(i)} e^{\beta c\, q_{ig'}}

with c = 1 for the cosine critic and, for the unbounded dot critic, :math:`c = 2 / \max |q|` over the negatives of the
batch (`score_scale="max"`, the paper's pseudocode; a constant for the gradient) or c = 1 (`score_scale="none"`).

Sources: Robinson, Chuang, Sra, Jegelka, "Contrastive Learning with Hard Negative Samples", ICLR 2021 (hardness);
Chuang, Robinson, Lin, Torralba, Jegelka, "Debiased Contrastive Learning", NeurIPS 2020 (tau_plus); Sun, Hoffmann,
Verma, Tang, "InfoGraph", ICLR 2020 (local-global pairs); Nowozin, Cseke, Tomioka, "f-GAN", NeurIPS 2016 (the
Jensen-Shannon estimator).
"""

import math
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from graphcl_hard.debiasing import debiased_mean, info_nce, softplus
from graphcl_hard.errors import InputError
from graphcl_hard.hardness import (
    beta_schedule,
    check_beta,
    effective_negatives,
    full_precision,
    hard_negative_weights,
    log_weights,
    unit_rows,
)
from graphcl_hard.released import released_jsd

__all__ = [
    "Diagnostics",
    "beta_schedule",
    "effective_negatives",
    "hard_negative_weights",
    "local_global_info_nce",
    "local_global_jsd",
    "nt_xent",
]

Critic = Literal["dot", "cosine"]
ScoreScale = Literal["max", "none"]
Mode = Literal["paper", "released"]
Reduction = Literal["mean", "none"]


class Diagnostics(NamedTuple):
    """What the weights do to a batch; no gradient flows through it."""

    effective_negatives: Tensor
    """(): mean over the nodes of the effective number of negatives as a share of n, in [0, 1]; 0 in `released` mode
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

    Returns:
        The loss, or (loss, diagnostics). Half-precision inputs, and autocast, are scored in float32.

    Raises:
        InputError: an argument outside its range, tensors that do not fit together, or one graph in the batch.

    Source: Robinson et al. (ICLR 2021), section 3 and eq. 4; the Jensen-Shannon form after InfoGraph, eq. 5.
    """
    _check(local, summary, batch, beta, tau_plus, temperature)
    _check_choices(critic=(critic, Critic), score_scale=(score_scale, ScoreScale), mode=(mode, Mode))
    scores = _scores(local, summary, critic, temperature)  # (N, G)
    own = batch.unsqueeze(1)  # (N, 1)
    positive = scores.gather(1, own).squeeze(1)  # (N,)
    if mode == "released":
        if critic != "dot":
            raise InputError(
                f"mode='released' is defined for critic='dot' alone, got critic={critic!r}; drop one of them."
            )
        loss, weights = released_jsd(scores, positive, own, beta)
    else:
        negatives = scores.scatter(1, own, -math.inf)
        weights = _log_weights(negatives, own, beta, critic, score_scale, detach_weights).exp()  # rows sum to one
        mean = (weights * softplus(negatives)).sum(dim=1)
        loss = softplus(-positive) + debiased_mean(mean, softplus(positive), tau_plus)
    return _finish(loss, reduction, return_diagnostics, scores, positive, weights)


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
) -> Tensor | tuple[Tensor, Diagnostics]:
    r"""Local-global InfoNCE objective with hard, debiased negatives.

    .. math::
        L &= \frac1N \sum_i \log(e^{p_i} + N^g_i) - p_i \\
        N^g_i &= n \max\Big(e^{-1/t}, \frac{\frac1n \sum_g \bar w_{ig}\, e^{q_{ig}} - \tau^+ e^{p_i}}{1 - \tau^+}\Big)

    Under the dot critic, whose exponential has no least value but 0, the bound is 0 in place of
    :math:`e^{-1/t}`. Everything is computed in the log domain. Arguments, returns and errors as in
    `local_global_jsd`.

    Source: Robinson et al. (ICLR 2021), eq. 4; Chuang et al. (NeurIPS 2020), eq. 7 and 8.
    """
    _check(local, summary, batch, beta, tau_plus, temperature)
    _check_choices(critic=(critic, Critic), score_scale=(score_scale, ScoreScale))
    scores = _scores(local, summary, critic, temperature)  # (N, G)
    own = batch.unsqueeze(1)  # (N, 1)
    positive = scores.gather(1, own).squeeze(1)  # (N,)
    negatives = scores.scatter(1, own, -math.inf)
    weights = _log_weights(negatives, own, beta, critic, score_scale, detach_weights)
    log_lower = -1 / temperature if critic == "cosine" else -math.inf
    loss = info_nce(positive, negatives, weights, scores.size(1) - 1, tau_plus, log_lower)
    return _finish(loss, reduction, return_diagnostics, scores, positive, weights.exp())


def nt_xent(
    view1: Tensor,
    view2: Tensor,
    *,
    beta: float = 10.0,
    tau_plus: float = 0.1,
    temperature: float = 0.5,
    detach_weights: bool = True,
) -> Tensor:
    r"""NT-Xent objective of two views with hard, debiased negatives.

    The rows of both views are the 2B anchors. An anchor's positive is the other view of its item; its n = 2B - 2
    negatives are all rows of other items. With scores :math:`z^\top z'/t` and weights
    :math:`\bar w \propto e^{\beta z^\top z'/t}` of mean one, the loss is that of `local_global_info_nce`,
    averaged over the 2B anchors.

    Args:
        view1: (B, D), float, rows of unit length (`torch.nn.functional.normalize`), B at least 2.
        view2: (B, D), float, rows of unit length; row i is the other view of row i of `view1`.
        beta: hardness, at least 0.
        tau_plus: class prior in [0, 1).
        temperature: t, above 0.
        detach_weights: whether the weights are constants for the gradient.

    Returns:
        (): the mean loss. It takes any two tensors: graphs, images, sentences.

    Raises:
        InputError: an argument outside its range, shapes that differ, a single item, or rows that are not of
            unit length (looked at on the CPU only, as the look would stall a GPU).

    Source: Robinson et al. (ICLR 2021), eq. 4 and its pseudocode; Chen et al., "SimCLR", ICML 2020, eq. 1.
    """
    _check_range(beta, tau_plus, temperature)
    if view1.dim() != 2 or view1.shape != view2.shape:
        raise InputError(f"view1 and view2 must both be (B, D), got {tuple(view1.shape)} and {tuple(view2.shape)}.")
    items = view1.size(0)
    if items < 2:
        raise InputError(f"nt_xent needs at least 2 items, got {items}: the other items are the negatives.")
    views = torch.cat([full_precision(view1), full_precision(view2)])  # (2B, D)
    if views.device.type == "cpu" and not torch.compiler.is_compiling():
        worst = (views.detach().norm(dim=1) - 1).abs().max().item()
        if not worst < 0.02:  # rows rounded to bfloat16 pass
            raise InputError(
                f"The rows must have length 1, one is off by {worst:.3g}; pass them through "
                "torch.nn.functional.normalize first."
            )
    with torch.autocast(views.device.type, enabled=False):
        scores = views @ views.T / temperature  # (2B, 2B)
    anchor = torch.arange(2 * items, device=views.device)
    other = (anchor + items) % (2 * items)
    positive = scores.gather(1, other.unsqueeze(1)).squeeze(1)
    negatives = scores.scatter(1, torch.stack([anchor, other], dim=1), -math.inf)
    weights = log_weights(negatives.detach() if detach_weights else negatives, beta)
    return info_nce(positive, negatives, weights, 2 * items - 2, tau_plus, -1 / temperature).mean()


def _scores(local: Tensor, summary: Tensor, critic: Critic, temperature: float) -> Tensor:
    with torch.autocast(local.device.type, enabled=False):
        local, summary = full_precision(local), full_precision(summary)
        if critic == "dot":
            return local @ summary.T
        return unit_rows(local) @ unit_rows(summary).T / temperature


def _log_weights(
    negatives: Tensor, own: Tensor, beta: float, critic: Critic, score_scale: ScoreScale, detach_weights: bool
) -> Tensor:
    source = negatives.detach() if detach_weights else negatives
    if critic == "dot" and score_scale == "max" and beta > 0:
        largest = negatives.detach().scatter(1, own, 0.0).abs().amax()
        # All scores 0 gives equal weights; the bound keeps 0 / 0 out.
        source = source / largest.clamp_min(torch.finfo(source.dtype).tiny) * 2
    return log_weights(source, beta)


def _finish(
    loss: Tensor, reduction: Reduction, return_diagnostics: bool, scores: Tensor, positive: Tensor, weights: Tensor
) -> Tensor | tuple[Tensor, Diagnostics]:
    _check_choices(reduction=(reduction, Reduction))
    reduced = loss.mean() if reduction == "mean" else loss
    if not return_diagnostics:
        return reduced
    with torch.no_grad():
        n = scores.size(1) - 1
        share = effective_negatives(weights).mean() / n
        negative = (scores.sum() - positive.sum()) / (n * scores.size(0))
        return reduced, Diagnostics(share, positive.mean(), negative)


def _check(local: Tensor, summary: Tensor, batch: Tensor, beta: float, tau_plus: float, temperature: float) -> None:
    _check_range(beta, tau_plus, temperature)
    if local.dim() != 2 or summary.dim() != 2 or local.size(1) != summary.size(1):
        raise InputError(
            f"local must be (N, D) and summary (G, D) with one D, got {tuple(local.shape)} and {tuple(summary.shape)}."
        )
    if batch.shape != local.shape[:1] or batch.dtype != torch.int64:
        raise InputError(
            f"batch must be ({local.size(0)},) int64, one graph a node, got {tuple(batch.shape)} {batch.dtype}."
        )
    if not (local.is_floating_point() and summary.is_floating_point()):
        raise InputError(f"local and summary must be floating-point, got {local.dtype} and {summary.dtype}.")
    if summary.size(0) < 2:
        raise InputError(
            f"A local-global objective needs at least 2 graphs in a batch, got {summary.size(0)}: the other graphs of "
            "the batch are a node's negatives; use larger batches."
        )
    if local.size(0) == 0:
        raise InputError("A local-global objective needs at least 1 node in a batch, got 0; leave such a batch out.")
    if batch.device.type == "cpu" and not torch.compiler.is_compiling():  # the look would stall a GPU
        low, high = (int(bound) for bound in batch.aminmax())
        if low < 0 or high >= summary.size(0):
            raise InputError(
                f"batch must lie in [0, {summary.size(0) - 1}], one of G graphs a node, got {low} to {high}."
            )


def _check_range(beta: float, tau_plus: float, temperature: float) -> None:
    check_beta(beta)
    if not 0 <= tau_plus < 1:
        raise InputError(f"tau_plus must lie in [0, 1), got {tau_plus}; 0 switches the correction off.")
    if not 1e-6 <= temperature <= 1e6:
        raise InputError(f"temperature must lie in [1e-6, 1e6], got {temperature}; 0.5 is usual.")


def _check_choices(**choices: tuple[str, object]) -> None:
    for name, (value, kind) in choices.items():
        if value not in get_args(kind):
            raise InputError(f"{name} must be one of {', '.join(get_args(kind))}, got {value!r}.")
