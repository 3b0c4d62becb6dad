"""Nodes against graphs, and the summaries of earlier batches: what the local-global objectives have in common."""

from typing import NamedTuple

import torch
from torch import Tensor

from graphcl_hard.contrast import Contrast, LocalHead, Parts, contrast
from graphcl_hard.hardness import full_precision, unit_rows
from graphcl_hard.objective_arguments import Critic, Reduction, ScoreScale, check_choices
from graphcl_hard.row_losses import RowLossFunction


class Pairs(NamedTuple):
    """The arguments of `objectives.local_global_jsd` that say which pairs are scored, and how; checked by then."""

    local: Tensor
    summary: Tensor
    batch: Tensor
    critic: Critic
    temperature: float
    node_weight: Tensor | None
    local_head: LocalHead | None
    parts: Parts | None
    queue: Tensor | None

    def contrast(
        self,
        loss: RowLossFunction,
        beta: float,
        score_scale: ScoreScale,
        reduction: Reduction,
        released: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The loss, () or (N,), and the three numbers () of `objectives.Diagnostics`."""
        check_choices(reduction=(reduction, Reduction))
        by_largest = self.critic == "dot" and (score_scale == "max" or released) and beta > 0
        queued = 0 if self.queue is None else self.queue.size(0)
        setting = Contrast(
            loss,
            positive=self.batch,
            excluded=self.batch.unsqueeze(1),
            hardness=float(beta) * (2 if by_largest else 1) * (-1 if released else 1),
            by_largest=by_largest,
            largest_has_grad=released,
            weight=self.node_weight,
            mean=reduction == "mean",
            parts=self.parts,
            constants=queued,
        )
        with torch.autocast(self.local.device.type, enabled=False):
            local, summary = full_precision(self.local), with_queue(full_precision(self.summary), self.queue)
            block_map = None
            if self.critic == "cosine":
                local = unit_rows(local if self.local_head is None else self.local_head(local))
                summary = unit_rows(summary) / self.temperature
            elif self.local_head is not None:
                block_map = self.local_head.block_map()
            outcome = contrast(setting, local, summary, block_map)
        n = summary.size(0) - 1
        negative = (outcome.total - outcome.positive) / n
        return outcome.loss, outcome.effective / n, outcome.positive, negative


def with_queue(rows: Tensor, queue: Tensor | None) -> Tensor:
    """(C, D) candidates, and after them the queue's (K, D), which has no gradient; None: there is none."""
    return rows if queue is None else torch.cat([rows, queue.detach().to(rows.dtype)])
