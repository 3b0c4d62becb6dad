"""Encoder, heads and objective together: a loss from a batch."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import Linear, Module, ReLU, Sequential

from graphcl_hard.batching import GraphBatch
from graphcl_hard.contrast import Parts
from graphcl_hard.errors import InputError
from graphcl_hard.gradient_cache import encode
from graphcl_hard.graph_encoder import Encoder
from graphcl_hard.hardness import full_precision, unit_rows
from graphcl_hard.heads import ResidualHead, reset_linear_layers
from graphcl_hard.negative_queue import NegativeQueue
from graphcl_hard.objectives import Diagnostics

Objective = Callable[..., Any]
"""An objective of `graphcl_hard.objectives` with all but the tensors and beta bound to it."""


class InfoGraph(Module):
    """InfoGraph: the parts of a graph are told from the parts of other graphs by the whole.

    Between encoder and objective lie the local head, (N, D) to (N, D), and the global head, (G, D) to (G, D).

    Args:
        encoder: the encoder of nodes and graphs: `GINEncoder`, `MessagePassingEncoder`, or any module with the call of
            `Encoder` and its `out_channels`.
        objective: `local_global_jsd` or `local_global_info_nce` with its settings bound, say by `functools.partial`.
        negative_queue: K, how many summaries of earlier batches, as the global head made them, are more negatives of
            every node; 0: none. See `NegativeQueue`; batches need their `graph_ids`.
        gradient_cache: how many graphs of a batch are encoded at a time in training, so that memory does not grow with
            what an encoder needs of the whole batch; 0: all. See `gradient_cache.encode`.

    Raises:
        InputError: the encoder is no module, or does not say its width; or a number is below 0.

    Source: Sun, Hoffmann, Verma, Tang, "InfoGraph", ICLR 2020.
    """

    def __init__(
        self, encoder: Encoder, objective: Objective, *, negative_queue: int = 0, gradient_cache: int = 0
    ) -> None:
        super().__init__()
        _check(encoder, negative_queue, gradient_cache)
        self.encoder = encoder
        self.local_head = ResidualHead(encoder.out_channels)
        self.global_head = ResidualHead(encoder.out_channels)
        self.objective = objective
        self.queue = NegativeQueue(negative_queue, encoder.out_channels) if negative_queue else None
        self.gradient_cache = gradient_cache
        reset_linear_layers(self)

    def check(self, batch: GraphBatch) -> None:
        """Raise `InputError` where the whole batch is none to train on."""
        _check_nodes(batch)

    def forward(self, batch: GraphBatch, beta: float, parts: Parts | None = None) -> tuple[Tensor, Diagnostics]:
        """The loss () of a batch at hardness `beta`, at least 0, and the diagnostics of its weights.

        With `parts` the batch is one part of many, and the result its addend; the whole has passed `check`.

        Raises:
            InputError: the batch has fewer than 2 nodes or 2 graphs, or the objective refuses a setting.
        """
        if parts is None:
            self.check(batch)
        graphs, nodes = encode(self.encoder, batch, self.gradient_cache)  # (G, L*H), (N, L*H) or the sample's
        summary = self.global_head(graphs)  # (G, L*H)
        owner, weight = batch.batch, None  # (N,)
        if batch.sample is not None:
            owner, weight = owner[batch.sample.node], batch.sample.weight
        head = self.local_head
        plain = type(head) is not ResidualHead or head._forward_hooks or head._forward_pre_hooks
        options: dict[str, Any] = {"beta": beta, "return_diagnostics": True, "node_weight": weight}
        if plain or torch.is_autocast_enabled(nodes.device.type):
            # Inside of the objective another head's forward, and hooks, would not be called; nor would the head run in
            # half precision there.
            nodes = self.local_head(nodes)
        else:
            options["local_head"] = self.local_head
        with _more_negatives(self, batch, [summary], parts) as more:
            return self.objective(nodes, summary, owner, **options, **more)


class GraphCL(Module):
    """GraphCL: two views of a graph are told from the views of other graphs.

    Between encoder and objective lies the projection head, (G, D) to rows of length 1.

    Args:
        encoder: the encoder of nodes and graphs, as in `InfoGraph`.
        objective: `nt_xent` with its settings bound, say by `functools.partial`.
        negative_queue: K, how many projections of earlier batches, two for each graph, are more negatives; as in
            `InfoGraph`.
        gradient_cache: how many graphs of a view are encoded at a time, as in `InfoGraph`.

    Raises:
        InputError: the encoder is no module, or does not say its width; or a number is below 0.

    Source: You, Chen, Sui, Chen, Wang, Shen, "Graph Contrastive Learning with Augmentations", NeurIPS 2020, sec. 3.2.
    """

    def __init__(
        self, encoder: Encoder, objective: Objective, *, negative_queue: int = 0, gradient_cache: int = 0
    ) -> None:
        super().__init__()
        _check(encoder, negative_queue, gradient_cache)
        self.encoder = encoder
        channels = encoder.out_channels
        self.projection_head = Sequential(Linear(channels, channels), ReLU(), Linear(channels, channels))
        self.objective = objective
        self.queue = NegativeQueue(negative_queue, encoder.out_channels) if negative_queue else None
        self.gradient_cache = gradient_cache
        reset_linear_layers(self)

    def check(self, batch: GraphBatch) -> None:
        """Raise `InputError` where the whole batch is none to train on."""
        if batch.views is None:
            raise InputError("GraphCL contrasts two views of a batch, got a batch without; add augment.with_views.")
        if batch.num_graphs < 2:
            raise InputError(
                f"GraphCL needs at least 2 graphs in a batch, got {batch.num_graphs}: the other graphs of the batch "
                "are the negatives; use larger batches."
            )
        for view in batch.views:
            _check_nodes(view)
            # A graph without nodes has an embedding of zeros, which has no direction. The look would stall a GPU.
            empty = view.num_graphs - view.batch.unique_consecutive().numel() if view.x.device.type == "cpu" else 0
            if empty:
                raise InputError(
                    f"GraphCL needs a node in every graph, got a batch with {empty} graphs without; leave them out."
                )

    def forward(self, batch: GraphBatch, beta: float, parts: Parts | None = None) -> tuple[Tensor, Diagnostics]:
        """The loss () of the two views of a batch at hardness `beta`, at least 0, and the diagnostics of its weights.

        With `parts` the batch is one part of many, as for `InfoGraph`.

        Raises:
            InputError: the batch has no views, fewer than 2 graphs, or a graph without nodes; or the objective refuses
                a setting.
        """
        if parts is None:
            self.check(batch)
        assert batch.views is not None
        first, second = (self._project(view) for view in batch.views)
        with _more_negatives(self, batch, [first, second], parts) as more:
            return self.objective(first, second, beta=beta, return_diagnostics=True, **more)

    def _project(self, view: GraphBatch) -> Tensor:
        """(G, L*H), rows of length 1."""
        graphs, _ = encode(self.encoder, view, self.gradient_cache, with_nodes=False)
        rows = full_precision(self.projection_head(graphs))
        # A narrow head may have no ReLU alive for a graph, and zeros no direction: the first axis stands in.
        axis = torch.zeros_like(rows[:1]).index_fill_(1, torch.zeros(1, dtype=torch.int64, device=rows.device), 1.0)
        return unit_rows(torch.where((rows == 0).all(dim=1, keepdim=True), axis, rows))


@contextmanager
def _more_negatives(
    model: InfoGraph | GraphCL, batch: GraphBatch, rows: list[Tensor], parts: Parts | None
) -> Iterator[dict[str, Any]]:
    """What an objective is told beside the batch, where there is more; after it the queue takes the batch's `rows`."""
    options: dict[str, Any] = {} if parts is None else {"parts": parts}
    if model.queue is None:
        yield options
        return
    if batch.graph_ids is None:
        raise InputError("A queue of negatives knows graphs by their numbers, got a batch without; give graph_ids.")
    ids = batch.graph_ids
    if parts is not None:
        rows = [parts.gather(one.detach()) for one in rows]
        ids = parts.gather(ids.to(rows[0].device).unsqueeze(1)).squeeze(1)
    yield {**options, "queue": model.queue.others(ids)}
    if model.training:
        model.queue.push(torch.cat(rows), ids.repeat(len(rows)))


def _check(encoder: Encoder, negative_queue: int, gradient_cache: int) -> None:
    for name, value in {"negative_queue": negative_queue, "gradient_cache": gradient_cache}.items():
        if value < 0:
            raise InputError(f"{name} must be at least 0, got {value}; 0 switches it off.")
    width = getattr(encoder, "out_channels", None)
    if not isinstance(encoder, Module) or not isinstance(width, int):
        raise InputError(
            "encoder must be a torch.nn.Module with out_channels, the width of its embeddings, a whole number, got "
            f"{type(encoder).__name__} with {width}; see graphcl_hard.Encoder."
        )


def _check_nodes(batch: GraphBatch) -> None:
    if batch.x.size(0) < 2:
        raise InputError(
            f"A batch needs at least 2 nodes to train on, got {batch.x.size(0)} in {batch.num_graphs} graphs; "
            "leave graphs without nodes out, or use larger batches."
        )
