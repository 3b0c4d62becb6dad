"""Summaries of earlier batches, kept as more negatives than a batch has."""

import torch
from torch import Tensor
from torch.nn import Module

from graphcl_hard.exceptions import InputError


class NegativeQueue(Module):
    """The last K summaries that a model has made in training, each with the number of its graph.

    Every graph of the set is in it at most once, in its newest version (under two views, once for each view). What it
    gives to a batch leaves out the graphs of that batch, whose earlier versions would be negatives of themselves, and
    under hard weights the hardest. So it fills up to K, or to the number of graphs outside of the batch.

    Its rows are constants for the gradient, and stale: they come from the weights of earlier steps. MoCo has a second
    encoder for them, whose weights move slowly; here there is none. It is empty at first, moves in training alone, and
    is part of the model's state dict.

    Args:
        size: K, at least 1.
        channels: D, width of a summary.

    Raises:
        InputError: an argument outside its range.

    Source: He, Fan, Wu, Xie, Girshick, "Momentum Contrast for Unsupervised Visual Representation Learning", CVPR 2020,
    section 3.2; one row an item after Wu, Xiong, Yu, Lin, "Unsupervised Feature Learning via Non-Parametric Instance
    Discrimination", CVPR 2018.
    """

    rows: Tensor
    """(K, D) float, newest first."""
    owners: Tensor
    """(K,) int64, the graph of each row; -1: the row is free, as are all after it."""

    def __init__(self, size: int, channels: int) -> None:
        super().__init__()
        for name, value in {"size": size, "channels": channels}.items():
            if value < 1:
                raise InputError(f"{name} of a queue must be at least 1, got {value}; leave the queue out for none.")
        self.register_buffer("rows", torch.zeros(size, channels))
        self.register_buffer("owners", torch.full((size,), -1))

    def others(self, graph_ids: Tensor) -> Tensor:
        """(M, D): the rows, M at most K, of graphs that are not among `graph_ids`, (G,) int64."""
        return self.rows[self._is_other(graph_ids)]

    @torch.no_grad()
    def push(self, summary: Tensor, graph_ids: Tensor) -> None:
        """Take the summaries (R, D) of the graphs `graph_ids`, (R,) int64, in place of what was there of them."""
        kept = self._is_other(graph_ids)
        rows = torch.cat([summary.to(self.rows.dtype), self.rows[kept]])[: self.rows.size(0)]
        owners = torch.cat([graph_ids.to(self.owners.device), self.owners[kept]])[: self.rows.size(0)]
        # In place, since DistributedDataParallel holds the buffers that there were at its start.
        self.rows[: rows.size(0)] = rows
        self.owners[: rows.size(0)] = owners
        self.owners[rows.size(0) :] = -1

    def clear(self) -> None:
        """Forget all rows, as where another set of graphs begins, whose numbers mean other graphs."""
        self.owners.fill_(-1)

    def _is_other(self, graph_ids: Tensor) -> Tensor:
        return (self.owners >= 0) & ~torch.isin(self.owners, graph_ids.to(self.owners.device))
