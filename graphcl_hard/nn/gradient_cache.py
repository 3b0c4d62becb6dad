r"""Encode a large batch in chunks of graphs, with the embeddings, gradients and running statistics of the whole.

The embeddings of all chunks are computed without keeping what the encoder's gradients need. The objective sees them
all and gives the gradient of each; then every chunk is encoded again, and its share of that gradient flows back. So
far this is gradient caching. Batch norm ties the chunks together, as its mean and variance are those of all nodes of
the batch. Here these statistics :math:`v_k` of the k-th norm are variables between the chunks, as the embeddings are:

- forward, chunks are encoded up to each norm in turn, and its statistics are taken from all of them;
- backward, once for the embeddings and then for each norm from the last to the first, chunks are encoded up to there
  and the gradient :math:`\partial L / \partial v_k`, by then complete, flows on through
  :math:`\partial v_k / \partial a_i` of each node's input :math:`a_i` of that norm: for the mean
  :math:`1 / N`, for the variance :math:`2 (a_i - \mu) / N`.

An encoder with L norms is run L + 1 times forward and L + 1 times forward and back, of which all but one of each stop
at a norm. What is kept is the embeddings, and their gradients.

Source: Gao, Zhang, Han, Callan, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup", RepL4NLP
2021 (gradient caching, for encoders without batch norm).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import BatchNorm1d, Module

from graphcl_hard._tensor import full_precision, refuse_second_derivatives
from graphcl_hard.data.batch import GraphBatch
from graphcl_hard.nn.encoders.base import Encoder
from graphcl_hard.nn.synced_batch_norm import SyncedBatchNorm1d, collect, merge, moments, move_statistics


def encode(encoder: Encoder, batch: GraphBatch, chunk: int, with_nodes: bool = True) -> tuple[Tensor, Tensor]:
    """The embeddings of a batch, in training in chunks of `chunk` graphs; 0: all at once.

    The encoder must do in every run what it did in the first: it has no dropout. Nothing but `BatchNorm1d` may mix the
    graphs of a batch. In evaluation all graphs are encoded at once.

    Args:
        encoder: a module; its own, or a wrapping module's, hooks are called in each run.
        batch: G graphs with N nodes, of which a sample may be taken.
        chunk: graphs that are encoded at a time, at least 0.
        with_nodes: whether the nodes are wanted.

    Returns:
        The graphs' embeddings (G, D), and those of the nodes (N, D), or of the sample's (M, D); or of none (0, D).
    """
    assert isinstance(encoder, Module)
    if chunk and encoder.training:
        parameters = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
        found = _Chunks.apply(_Walk(encoder, batch, chunk, with_nodes), *parameters)
    else:
        found = _take(encoder, batch, with_nodes)
    return found if with_nodes else (found[0], found[0][:0])


def _take(encoder: Module, batch: GraphBatch, with_nodes: bool) -> tuple[Tensor, ...]:
    """The embeddings of the graphs, and of the nodes that are wanted."""
    graphs, nodes = encoder(*batch.encoder_inputs)
    if not with_nodes:
        return (graphs,)
    return graphs, nodes if batch.sample is None else nodes[batch.sample.node]


class _Chunks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, walk: "_Walk", *parameters: Tensor) -> tuple[Tensor, ...]:
        ctx.walk = walk
        ctx.save_for_backward(*parameters)  # which may not have changed until the second runs
        return walk.forward()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivatives("gradient caching")
        return None, *ctx.walk.backward(grads, ctx.saved_tensors)


class _Walk:
    """The runs of an encoder over the chunks of one batch."""

    def __init__(self, encoder: Module, batch: GraphBatch, chunk: int, with_nodes: bool) -> None:
        self.encoder, self.with_nodes = encoder, with_nodes
        starts = range(0, max(1, batch.num_graphs), chunk)  # a process's share may be empty
        self.chunks = [batch.part(start, min(start + chunk, batch.num_graphs)) for start in starts]
        self.sizes = [[part.num_graphs for part in self.chunks]]
        """Rows of each chunk, for each of the embeddings that are wanted."""
        if with_nodes:
            nodes = [part.batch if part.sample is None else part.sample.node for part in self.chunks]
            self.sizes.append([one.numel() for one in nodes])
        self.statistics: list[Tensor] = []
        """(2, C) for each norm so far, in the order in which they run: mean and biased variance over all nodes."""
        self.counts: list[Tensor] = []
        """(): over how many nodes."""
        self.norms: list[BatchNorm1d] = []
        kind = batch.x.device.type
        self.precision = kind, torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind)

    def forward(self) -> tuple[Tensor, ...]:
        whole: tuple[Tensor, ...] = ()
        with self._running():
            while not whole:
                found: list[Tensor] = []
                for number, chunk in enumerate(self.chunks):
                    outcome = self._run(chunk, len(self.statistics))
                    if isinstance(outcome, _Reached):
                        found.append(moments(full_precision(outcome.rows)))
                        norm = outcome.norm
                        continue
                    if number == 0:  # filled, and not joined at the end, so that nothing is there twice
                        whole = tuple(
                            one.new_empty(sum(sizes), one.size(1))
                            for one, sizes in zip(outcome, self.sizes, strict=True)
                        )
                    for one, place in zip(outcome, self._split(whole)[number], strict=True):
                        place.copy_(one)
                if found:
                    self._add_norm(norm, torch.stack(found))
        return whole

    def backward(self, grads: tuple[Tensor, ...], parameters: tuple[Tensor, ...]) -> list[Tensor | None]:
        """The gradients of the parameters."""
        leaves = self.statistics = [one.detach().requires_grad_() for one in self.statistics]
        totals: list[Tensor | None] = [None] * (len(leaves) + len(parameters))
        with self._running():
            for stop in range(len(leaves), -1, -1):
                # The norms before this one, and the parameters; those after it have all that is theirs.
                places = [*range(stop), *range(len(leaves), len(totals))]
                inputs = [*leaves[:stop], *parameters]
                by_norm = self._total(totals[stop], stop) / self.counts[stop] if stop < len(leaves) else None
                for chunk, by_outcome in zip(self.chunks, self._split(grads), strict=True):
                    found = self._gradients(chunk, stop, by_outcome, by_norm, inputs)
                    for place, grad in zip(places, found, strict=True):
                        if grad is not None:
                            before = totals[place]
                            totals[place] = grad if before is None else before + grad
        return totals[len(leaves) :]

    @torch.enable_grad()
    def _gradients(
        self,
        chunk: GraphBatch,
        stop: int,
        by_outcome: tuple[Tensor, ...],
        by_norm: Tensor | None,
        inputs: list[Tensor],
    ) -> tuple[Tensor | None, ...]:
        """What flows from a chunk's embeddings, or from its rows at the norm `stop`, to the inputs."""
        outcome = self._run(chunk, stop)
        if not isinstance(outcome, _Reached):
            return torch.autograd.grad(outcome, inputs, by_outcome, allow_unused=True)
        assert by_norm is not None
        deviation = full_precision(outcome.rows.detach()) - self.statistics[stop][0].detach()
        by_rows = torch.addcmul(by_norm[0], deviation, by_norm[1], value=2).to(outcome.rows.dtype)
        return torch.autograd.grad(outcome.rows, inputs, by_rows, allow_unused=True)

    def _split(self, whole: tuple[Tensor, ...]) -> list[tuple[Tensor, ...]]:
        """For each chunk its rows of each of these."""
        each = [one.split(sizes) for one, sizes in zip(whole, self.sizes, strict=True)]
        return list(zip(*each, strict=True))

    def _add_norm(self, norm: BatchNorm1d, each: Tensor) -> None:
        mean, deviation, count = merge(each)
        if type(norm) is _Synced:
            mean, deviation, count = merge(collect(torch.cat([mean, deviation, count.unsqueeze(0)])))
        move_statistics(norm, mean, deviation / (count - 1))
        self.statistics.append(torch.stack([mean, deviation / count]))
        self.counts.append(count)
        self.norms.append(norm)

    def _total(self, grad: Tensor | None, number: int) -> Tensor:
        """The gradient by a norm's statistics, (2, C), of all chunks, and of all processes where they share them."""
        total = torch.zeros_like(self.statistics[number]) if grad is None else grad
        if type(self.norms[number]) is _Synced:
            dist.all_reduce(total)
        return total

    def _run(self, chunk: GraphBatch, stop: int) -> "tuple[Tensor, ...] | _Reached":
        """A chunk's embeddings, or the input of the norm that is number `stop`, from 0."""
        self.stop, self.number = stop, 0
        kind, dtype, enabled = self.precision
        try:
            # Casts of weights that were made without gradients may not be taken for those with.
            with torch.autocast(kind, dtype, enabled, cache_enabled=False):
                return _take(self.encoder, chunk, self.with_nodes)
        except _Reached as reached:
            return reached.with_traceback(None)

    def normalise(self, norm: BatchNorm1d, x: Tensor) -> Tensor:
        """What a norm does inside of a run."""
        number = self.number
        self.number += 1
        if number == self.stop:
            raise _Reached(norm, x)
        mean, variance = self.statistics[number]
        out = (full_precision(x) - mean) * (variance + norm.eps).rsqrt()
        return (out if norm.weight is None else torch.addcmul(norm.bias, out, norm.weight)).to(x.dtype)

    @contextmanager
    def _running(self) -> Iterator[None]:
        """While the block lasts, the encoder's norms ask `normalise`; parameters and state stay theirs."""
        norms = [norm for norm in self.encoder.modules() if type(norm) in (BatchNorm1d, SyncedBatchNorm1d)]
        kinds = [type(norm) for norm in norms]
        try:
            for norm, kind in zip(norms, kinds, strict=True):
                norm.__class__ = _Synced if kind is SyncedBatchNorm1d else _Single
                # Of its class of a moment ago, as mypy sees it, every attribute is a tensor or a module.
                norm.walk = self  # type: ignore[assignment]
            yield
        finally:
            for norm, kind in zip(norms, kinds, strict=True):
                norm.__class__ = kind
                del norm.walk


class _Reached(Exception):
    """A run has come to the norm at which it stops."""

    def __init__(self, norm: BatchNorm1d, rows: Tensor) -> None:
        super().__init__()
        self.norm, self.rows = norm, rows


class _Single(BatchNorm1d):
    walk: _Walk

    def forward(self, input: Tensor) -> Tensor:
        return self.walk.normalise(self, input) if self.training else super().forward(input)


class _Synced(_Single):
    """One whose statistics are those of all processes."""
