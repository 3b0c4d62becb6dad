"""Summaries of earlier batches, kept as additional negatives."""

import torch
from torch import Tensor
from torch.nn import Module

from graphcl_hard.exceptions import InputError


class NegativeQueue(Module):
    """The last K summaries that a model made in training, each with the number of its graph.

    Every graph of the data set is in the queue at most once, in its newest version (with two views, once for each
    view). A batch receives only the rows of graphs outside the batch: earlier versions of its own graphs would be
    negatives of themselves, and the hardest ones. So it receives at most K rows, or as many as there are graphs outside
    the batch.

    The rows are constants for the gradient, and stale: they come from the weights of earlier steps. MoCo makes them
    with a second encoder, whose weights change slowly; here there is no such encoder. The queue is empty at first,
    changes only in training, and is part of the state dict of the model.

    Args:
        size: K, at least 1.
        channels: D, width of a summary.

    Raises:
        InputError: an argument is outside its range.

    Source: He, Fan, Wu, Xie, Girshick, "Momentum Contrast for Unsupervised Visual Representation Learning", CVPR 2020,
    section 3.2; one row per item after Wu, Xiong, Yu, Lin, "Unsupervised Feature Learning via Non-Parametric Instance
    Discrimination", CVPR 2018.
    """

    rows: Tensor
    """(K, D) float, newest first."""
    owners: Tensor
    """(K,) int64, the graph of each row; -1: this row and all after it are free."""

    def __init__(self, size: int, channels: int) -> None:
        super().__init__()
        for name, value in {"size": size, "channels": channels}.items():
            if value < 1:
                raise InputError(
                    f"{name} of a queue must be at least 1, got {value}; use no queue instead."
                )
        self.register_buffer("rows", torch.zeros(size, channels))
        self.register_buffer("owners", torch.full((size,), -1))

    def others(self, graph_ids: Tensor) -> Tensor:
        """Return the rows (M, D), M at most K, of graphs that are not among `graph_ids`, (G,) int64."""
        return self.rows[self._is_other(graph_ids)]

    @torch.no_grad()
    def push(self, summary: Tensor, graph_ids: Tensor) -> None:
        """Add the summaries (R, D) of the graphs `graph_ids`, (R,) int64, and remove earlier rows of these graphs."""
        kept = self._is_other(graph_ids)
        rows = torch.cat([summary.to(self.rows.dtype), self.rows[kept]])[: self.rows.size(0)]
        owners = torch.cat([graph_ids.to(self.owners.device), self.owners[kept]])[
            : self.rows.size(0)
        ]
        # In place, since DistributedDataParallel holds on to the buffers that existed at its start.
        self.rows[: rows.size(0)] = rows
        self.owners[: rows.size(0)] = owners
        self.owners[rows.size(0) :] = -1

    def clear(self) -> None:
        """Remove all rows, for example before training on another data set, whose numbers refer to other graphs."""
        self.owners.fill_(-1)

    def _is_other(self, graph_ids: Tensor) -> Tensor:
        return (self.owners >= 0) & ~torch.isin(self.owners, graph_ids.to(self.owners.device))
