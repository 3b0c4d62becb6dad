r"""Local-global objectives: every node against every graph of a batch.

Notation, here and in the docstrings of all objectives: a batch holds G graphs and N nodes; :math:`b(i)` is the graph
of node i. :math:`h_i` is the local vector of node i and :math:`s_g` the summary of graph g. The critic gives the scores
:math:`q_{ig} = \langle h_i, s_g\rangle` ("dot") or :math:`\cos(h_i, s_g)/t` ("cosine", t the temperature).
:math:`p_i = q_{i,b(i)}` is the positive. The negatives are the scores of the :math:`n = G - 1` other graphs, and sums
over g run over these. A model with a queue of negatives adds its K summaries of graphs from earlier batches, constants
for the gradient, and :math:`n = G - 1 + K`. :math:`\mathrm{sp}(x) = \log(1 + e^x)`. The weights of the negatives are
(see `hard_negative_weights`)

.. math:: \bar w_{ig} = n\, e^{\beta c\, q_{ig}} / \sum_{g' \ne b(i)} e^{\beta c\, q_{ig'}}

with c = 1 for the cosine critic. For the dot critic, which is not bounded, :math:`c = 2 / \max |q|` over all negatives
of the batch's nodes (`score_scale="max"`, from the authors' released graph code; a constant for the gradient) or c = 1
(`score_scale="none"`). With `effective_negatives`, :math:`\beta c` is found in each batch (see `beta_for_share`), from
up to 256 of its nodes, the same ones in every call, and the score scale plays no part.

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

from graphcl_hard._tensor import full_precision, unit_rows
from graphcl_hard.losses.anchor_losses import AnchorLossFunction, info_nce, jsd
from graphcl_hard.losses.blockwise import Contrast, Outcome, contrast, with_queue
from graphcl_hard.losses.checks import (
    Critic,
    Debias,
    Mode,
    Reduction,
    ScoreScale,
    check_choices,
    check_pairs,
    check_queue,
    check_range,
    check_released,
)
from graphcl_hard.losses.context import NO_CONTEXT, Context, Parts
from graphcl_hard.losses.released import released_jsd
from graphcl_hard.losses.weights import DEFAULT_BETA, Diagnostics


class _Pairs(NamedTuple):
    """Checked nodes and summaries that an objective contrasts."""

    local: Tensor
    """(N, D); the nodes of this part, if there are parts."""
    summary: Tensor
    """(G, D); the graphs of all parts."""
    batch: Tensor
    """(N,) int64."""
    context: Context

    @classmethod
    def of(cls, local: Tensor, summary: Tensor, batch: Tensor, context: Context) -> "_Pairs":
        """Return the pairs of an objective's tensors; for one part of a batch, gather the summaries of all parts."""
        if context.parts is not None:
            summary, batch = context.parts.gather(summary), batch + context.parts.start
        check_pairs(local, summary, batch, context.node_weight, whole=context.parts is None)
        check_queue(context.queue, summary)
        return cls(local, summary, batch, context)

    def contrast(
        self,
        loss: AnchorLossFunction,
        beta: float,
        share: float | None,
        critic: Critic,
        temperature: float,
        score_scale: ScoreScale,
        reduction: Reduction,
    ) -> tuple[Tensor, Diagnostics]:
        """Return the loss, () or (N,), and the diagnostics of its weights."""
        _, head, parts, queue = self.context
        by_largest = critic == "dot" and score_scale == "max" and beta > 0
        setting = Contrast(
            loss,
            positive=self.batch,
            excluded=self.batch.unsqueeze(1),
            beta=float(beta),
            by_largest=by_largest,
            share=share,
            weight=self.context.node_weight,
            mean=reduction == "mean",
            parts=parts,
            position=None if parts is None or share is None else self._positions(parts),
            constants=0 if queue is None else queue.size(0),
        )
        block_map = None if head is None or critic == "cosine" else head.block_map()
        local = self.local if block_map is not None else self._mapped()
        with torch.autocast(local.device.type, enabled=False):
            local, summary = full_precision(local), with_queue(full_precision(self.summary), queue)
            if critic == "cosine":
                local, summary = unit_rows(local), unit_rows(summary) / temperature
            return _with_diagnostics(
                contrast(setting, local, summary, block_map), summary.size(0) - 1
            )

    def _positions(self, parts: Parts) -> Tensor:
        """Return the places (N,) of this part's nodes among those of all parts."""
        # Not torch.tensor, which copies from the host, so that a GPU is synchronised.
        device, nodes = self.batch.device, self.batch.numel()
        own = torch.cat([torch.full((1,), x, device=device) for x in (parts.start, nodes)])
        start, counts = parts.collect(own).unbind(dim=1)
        # An empty part may have the same start as the one after it; it has no nodes.
        before = counts.where(start < parts.start, 0).sum()
        return before + torch.arange(nodes, device=device)

    def released(self, beta: float, reduction: Reduction) -> tuple[Tensor, Diagnostics]:
        """Return the loss and diagnostics of the authors' code."""
        local = self._mapped()
        with torch.autocast(local.device.type, enabled=False):
            local, summary = full_precision(local), full_precision(self.summary)
            outcome = released_jsd(
                local, summary, self.batch, beta, self.context, mean=reduction == "mean"
            )
            return _with_diagnostics(outcome, summary.size(0) - 1)

    def _mapped(self) -> Tensor:
        """Return the vectors of the nodes, (N, D), after the local head, if there is one."""
        head = self.context.local_head
        return self.local if head is None else head(self.local)


def _with_diagnostics(outcome: Outcome, n: int) -> tuple[Tensor, Diagnostics]:
    negative = (outcome.total - outcome.positive) / n
    return outcome.loss, Diagnostics(
        outcome.effective / n, outcome.positive, negative, outcome.beta, outcome.clamped
    )


def local_global_jsd(
    local: Tensor,
    summary: Tensor,
    batch: Tensor,
    *,
    beta: float = DEFAULT_BETA,
    effective_negatives: float | None = None,
    tau_plus: float = 0.1,
    debias: Debias = "paper",
    critic: Critic = "dot",
    temperature: float = 0.5,
    score_scale: ScoreScale = "max",
    detach_weights: bool = True,
    mode: Mode = "paper",
    reduction: Reduction = "mean",
    return_diagnostics: bool = False,
    _context: Context = NO_CONTEXT,
) -> Tensor | tuple[Tensor, Diagnostics]:
    r"""Return the local-global Jensen-Shannon objective with hard, debiased negatives.

    .. math::
        L &= \frac1N \sum_i \big[ \mathrm{sp}(-p_i) + R_i \big] \\
        R_i &= \max\Big(\text{lower}, \frac{\frac1n \sum_g \bar w_{ig}\,\mathrm{sp}(q_{ig}) - \tau^+\,\mathrm{sp}(p_i)}
                                {1 - \tau^+}\Big)

    The lower bound is the least value of a softplus: 0 for the dot critic, :math:`\mathrm{sp}(-1/t)` for the cosine
    critic. With `debias="consistent"`, where :math:`u = e^{\beta c\, q}` and :math:`u_{i+} = e^{\beta c\, p_i}`,

    .. math::
        R_i = \max\Big(\text{lower}, \frac{\frac1n \sum_g u_{ig}\,\mathrm{sp}(q_{ig}) - \tau^+ u_{i+}\,\mathrm{sp}(p_i)}
                                {\frac1n \sum_g u_{ig} - \tau^+ u_{i+}}\Big)

    whose denominator is at least :math:`0.1\,(1 - \tau^+)\,\frac1n \sum_g u_{ig}`. It converges to the weighted
    mean over true negatives if the anchor's positive is representative; with one positive for each anchor a part of the
    bias stays, at large `beta` most of it. Both forms are equal at `beta` = 0; see `docs/theory.md`.

    With `beta` = 0 and `tau_plus` = 0 it is the objective of InfoGraph up to the constant 2 log 2.

    Args:
        local: (N, D) float, a vector for each node.
        summary: (G, D) float, a vector for each graph, G at least 2. A row to which no node belongs is an additional
            negative of every node.
        batch: (N,) int64, the graph of each node, in [0, G).
        beta: hardness, at least 0; 0 weights all negatives alike.
        effective_negatives: share of the negatives that the weights leave effective, in [1e-6, 1], for example 0.2;
            beta is found for it in each call, and must be left at 10. None: `beta` holds.
        tau_plus: class prior in [0, 1): probability that a random graph has the class of the anchor.
        debias: "paper" subtracts the share tau_plus of positives from the weighted mean, "consistent" their share among
            the weighted negatives.
        critic: "dot" (as in InfoGraph) or "cosine".
        temperature: t of the cosine critic, above 0; not used by the dot critic.
        score_scale: c of the dot critic, "max" or "none".
        detach_weights: whether the weights are constants for the gradient. This is the default and this package's
            choice; in the authors' code for images they have gradients, as with False.
        mode: "paper", or "released" to reproduce the authors' graph code, which weights the easiest negatives; see
            `graphcl_hard.losses.released`. It has its own tau_plus (0.5), scaling and gradient, and only supports the
            dot critic.
        reduction: "mean" for a scalar (), "none" for one value per node (N,).
        return_diagnostics: whether to return (loss, `Diagnostics`), computed from the same scores.

    Returns:
        The loss, or (loss, diagnostics). Scores of half-precision inputs, and under autocast, are computed in float32.
        No tensor of size N x G is kept beyond `blockwise.KEPT_SCORES`, and second derivatives are refused. Neither
        holds for `mode="released"`, which is computed densely by autograd.

    Raises:
        InputError: an argument is outside its range, the tensors do not fit together, or there is only one graph.

    Source: Robinson et al. (ICLR 2021), section 3 and eq. 4; the Jensen-Shannon form after InfoGraph, eq. 5. The
    consistent form is this package's, see `graphcl_hard.losses.anchor_losses`.

    Examples:
        >>> import torch
        >>> from graphcl_hard import local_global_jsd
        >>> nodes = torch.tensor([[1.0, 0.0], [0.8, 0.2], [0.0, 1.0]])
        >>> graphs = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
        >>> loss = local_global_jsd(nodes, graphs, torch.tensor([0, 0, 1]), beta=1.0, tau_plus=0.1)
        >>> round(loss.item(), 3)
        0.965
    """
    check_range(beta, tau_plus, temperature, effective_negatives)
    check_choices(
        debias=(debias, Debias),
        critic=(critic, Critic),
        score_scale=(score_scale, ScoreScale),
        mode=(mode, Mode),
        reduction=(reduction, Reduction),
    )
    pairs = _Pairs.of(local, summary, batch, _context)
    if mode == "released":
        check_released(critic, _context.queue, debias, effective_negatives)
        value, diagnostics = pairs.released(beta, reduction)
    else:
        bounded = critic == "cosine" and tau_plus > 0  # a plain mean needs no bound
        loss = functools.partial(
            jsd,
            tau_plus=tau_plus,
            debias=debias,
            detach_weights=detach_weights,
            lower=math.log1p(math.exp(-1 / temperature)) if bounded else 0.0,
        )
        value, diagnostics = pairs.contrast(
            loss, beta, effective_negatives, critic, temperature, score_scale, reduction
        )
    return (value, diagnostics) if return_diagnostics else value


def local_global_info_nce(
    local: Tensor,
    summary: Tensor,
    batch: Tensor,
    *,
    beta: float = DEFAULT_BETA,
    effective_negatives: float | None = None,
    tau_plus: float = 0.1,
    debias: Debias = "paper",
    critic: Critic = "cosine",
    temperature: float = 0.5,
    score_scale: ScoreScale = "max",
    detach_weights: bool = True,
    reduction: Reduction = "mean",
    return_diagnostics: bool = False,
    _context: Context = NO_CONTEXT,
) -> Tensor | tuple[Tensor, Diagnostics]:
    r"""Return the local-global InfoNCE objective with hard, debiased negatives.

    .. math::
        L &= \frac1N \sum_i \big[\log(e^{p_i} + N^g_i) - p_i\big] \\
        N^g_i &= n \max\Big(e^{-1/t}, \frac{\frac1n \sum_g \bar w_{ig}\, e^{q_{ig}} - \tau^+ e^{p_i}}{1 - \tau^+}\Big)

    With the dot critic, which has no least score, the bound is 0 instead of :math:`e^{-1/t}`. `debias="consistent"`
    replaces the fraction as in `local_global_jsd`, with :math:`e^q` for :math:`\mathrm{sp}(q)`. Everything is
    computed in the log domain. Arguments, with their shapes and ranges, and return values are those of
    `local_global_jsd`.

    Raises:
        InputError: as in `local_global_jsd`.

    Source: Robinson et al. (ICLR 2021), eq. 4; Chuang et al. (NeurIPS 2020), eq. 7 and 8.

    Examples:
        >>> import torch
        >>> from graphcl_hard import local_global_info_nce
        >>> nodes = torch.tensor([[1.0, 0.0], [0.8, 0.2], [0.0, 1.0]])
        >>> graphs = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
        >>> batch = torch.tensor([0, 0, 1])
        >>> loss, found = local_global_info_nce(nodes, graphs, batch, beta=1.0, return_diagnostics=True)
        >>> round(loss.item(), 3)
        0.117
        >>> round(found.positive_score.item(), 3), round(found.effective_negatives.item(), 3)
        (1.98, 0.74)
    """
    check_range(beta, tau_plus, temperature, effective_negatives)
    check_choices(
        debias=(debias, Debias),
        critic=(critic, Critic),
        score_scale=(score_scale, ScoreScale),
        reduction=(reduction, Reduction),
    )
    log_lower = -1 / temperature if critic == "cosine" else -math.inf
    loss = functools.partial(
        info_nce,
        tau_plus=tau_plus,
        debias=debias,
        detach_weights=detach_weights,
        log_lower=log_lower,
    )
    pairs = _Pairs.of(local, summary, batch, _context)
    value, diagnostics = pairs.contrast(
        loss, beta, effective_negatives, critic, temperature, score_scale, reduction
    )
    return (value, diagnostics) if return_diagnostics else value
