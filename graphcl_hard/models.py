"""Encoder, heads and objective together: a loss from a batch."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import Linear, Module, ReLU, Sequential

from graphcl_hard.batching import GraphBatch
from graphcl_hard.contrast import Parts
from graphcl_hard.errors import InputError
from graphcl_hard.graph_encoder import Encoder
from graphcl_hard.hardness import full_precision, unit_rows
from graphcl_hard.heads import ResidualHead, reset_linear_layers
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

    Raises:
        InputError: the encoder is no module, or does not say its width.

    Source: Sun, Hoffmann, Verma, Tang, "InfoGraph", ICLR 2020.
    """

    def __init__(self, encoder: Encoder, objective: Objective) -> None:
        super().__init__()
        _check_encoder(encoder)
        self.encoder = encoder
        self.local_head = ResidualHead(encoder.out_channels)
        self.global_head = ResidualHead(encoder.out_channels)
        self.objective = objective
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
        embedding = self.encoder(*batch.encoder_inputs)
        summary = self.global_head(embedding.graph_embedding)  # (G, L*H)
        nodes, owner, weight = embedding.node_embedding, batch.batch, None  # (N, L*H), (N,)
        if batch.sample is not None:
            nodes, owner, weight = nodes[batch.sample.node], owner[batch.sample.node], batch.sample.weight
        options: dict[str, Any] = {"beta": beta, "return_diagnostics": True, "node_weight": weight}
        if parts is not None:
            options["parts"] = parts
        head = self.local_head
        plain = type(head) is not ResidualHead or head._forward_hooks or head._forward_pre_hooks
        if plain or torch.is_autocast_enabled(nodes.device.type):
            # Inside of the objective another head's forward, and hooks, would not be called; nor would the head run in
            # half precision there.
            return self.objective(self.local_head(nodes), summary, owner, **options)
        return self.objective(nodes, summary, owner, local_head=self.local_head, **options)


class GraphCL(Module):
    """GraphCL: two views of a graph are told from the views of other graphs.

    Between encoder and objective lies the projection head, (G, D) to rows of length 1.

    Args:
        encoder: the encoder of nodes and graphs, as in `InfoGraph`.
        objective: `nt_xent` with its settings bound, say by `functools.partial`.

    Raises:
        InputError: the encoder is no module, or does not say its width.

    Source: You, Chen, Sui, Chen, Wang, Shen, "Graph Contrastive Learning with Augmentations", NeurIPS 2020, sec. 3.2.
    """

    def __init__(self, encoder: Encoder, objective: Objective) -> None:
        super().__init__()
        _check_encoder(encoder)
        self.encoder = encoder
        channels = encoder.out_channels
        self.projection_head = Sequential(Linear(channels, channels), ReLU(), Linear(channels, channels))
        self.objective = objective
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
        options = {} if parts is None else {"parts": parts}
        return self.objective(first, second, beta=beta, return_diagnostics=True, **options)

    def _project(self, view: GraphBatch) -> Tensor:
        """(G, L*H), rows of length 1."""
        embedding = self.encoder(*view.encoder_inputs)
        rows = full_precision(self.projection_head(embedding.graph_embedding))
        # A narrow head may have no ReLU alive for a graph, and zeros no direction: the first axis stands in.
        axis = torch.zeros_like(rows[:1]).index_fill_(1, torch.zeros(1, dtype=torch.int64, device=rows.device), 1.0)
        return unit_rows(torch.where((rows == 0).all(dim=1, keepdim=True), axis, rows))


def _check_encoder(encoder: Encoder) -> None:
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
