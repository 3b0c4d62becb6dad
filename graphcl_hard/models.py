"""Encoder, heads and objective together: a loss from a batch."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module

from graphcl_hard.batching import GraphBatch
from graphcl_hard.errors import InputError
from graphcl_hard.graph_encoder import Encoder
from graphcl_hard.heads import ResidualHead, reset_linear_layers
from graphcl_hard.objectives import Diagnostics

LocalGlobalObjective = Callable[..., Any]
"""A local-global objective of `graphcl_hard.objectives` with all but the tensors and beta bound to it."""


class InfoGraph(Module):
    """InfoGraph: the parts of a graph are told from the parts of other graphs by the whole.

    Args:
        encoder: the encoder of nodes and graphs: `GINEncoder`, `MessagePassingEncoder`, or any module with the call of
            `Encoder` and its `out_channels`.
        objective: `local_global_jsd` or `local_global_info_nce` with its settings bound, say by `functools.partial`.

    Raises:
        InputError: the encoder is no module, or does not say its width.

    Source: Sun, Hoffmann, Verma, Tang, "InfoGraph", ICLR 2020.
    """

    def __init__(self, encoder: Encoder, objective: LocalGlobalObjective) -> None:
        super().__init__()
        width = getattr(encoder, "out_channels", None)
        if not isinstance(encoder, Module) or not isinstance(width, int):
            raise InputError(
                "encoder must be a torch.nn.Module with out_channels, the width of its embeddings, a whole number, got "
                f"{type(encoder).__name__} with {width}; see graphcl_hard.Encoder."
            )
        self.encoder = encoder
        self.local_head = ResidualHead(encoder.out_channels)
        self.global_head = ResidualHead(encoder.out_channels)
        self.objective = objective
        reset_linear_layers(self)

    def forward(self, batch: GraphBatch, beta: float) -> tuple[Tensor, Diagnostics]:
        """The loss () of a batch at hardness `beta`, and the diagnostics of its weights."""
        if batch.x.size(0) < 2:
            raise InputError(
                f"A batch needs at least 2 nodes to train on, got {batch.x.size(0)} in {batch.num_graphs} graphs; "
                "leave graphs without nodes out, or use larger batches."
            )
        embedding = self.encoder(*batch.encoder_inputs)
        summary = self.global_head(embedding.graph_embedding)  # (G, L*H)
        nodes, owner, weight = embedding.node_embedding, batch.batch, None  # (N, L*H), (N,)
        if batch.sample is not None:
            nodes, owner, weight = nodes[batch.sample.node], owner[batch.sample.node], batch.sample.weight
        options = {"beta": beta, "return_diagnostics": True, "node_weight": weight}
        head = self.local_head
        plain = type(head) is not ResidualHead or head._forward_hooks or head._forward_pre_hooks
        if plain or torch.is_autocast_enabled(nodes.device.type):
            # Inside of the objective another head's forward, and hooks, would not be called; nor would the head run in
            # half precision there.
            return self.objective(self.local_head(nodes), summary, owner, **options)
        return self.objective(nodes, summary, owner, local_head=self.local_head, **options)
