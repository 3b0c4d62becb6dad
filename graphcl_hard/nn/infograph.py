"""InfoGraph: encoder, two heads and a local-global objective."""

from torch import Tensor

from graphcl_hard.data.batch import GraphBatch
from graphcl_hard.losses.context import Context, Parts
from graphcl_hard.losses.weights import Diagnostics
from graphcl_hard.nn.contrastive import ContrastiveModel, Objective, check_nodes
from graphcl_hard.nn.encoders.base import Encoder
from graphcl_hard.nn.heads import ResidualHead, reset_linear_layers


class InfoGraph(ContrastiveModel):
    """InfoGraph, which maximises agreement between node and graph embeddings.

    A node should fit its own graph and no other graph of the batch. Between encoder and objective are a local head,
    (N, D) to (N, D), and a global head, (G, D) to (G, D).

    Args:
        encoder: encoder of nodes and graphs: `GINEncoder`, `MessagePassingEncoder`, or any module that is called like
            an `Encoder` and has `out_channels`.
        objective: `local_global_jsd` or `local_global_info_nce`, its settings bound by `functools.partial`; or a
            function of your own that is called as objective(local, summary, batch, beta=..., return_diagnostics=True)
            and returns (loss, `Diagnostics`).
        negative_queue: K, number of summaries of earlier batches, made by the global head, that are additional
            negatives of every node; 0: none. See `NegativeQueue`. Batches then need their `graph_ids`.

    Raises:
        InputError: the encoder is not a module, or has no `out_channels`; or `negative_queue` is below 0.

    Source: Sun, Hoffmann, Verma, Tang, "InfoGraph", ICLR 2020.

    Examples:
        >>> import functools
        >>> import torch
        >>> from graphcl_hard import GINEncoder, InfoGraph, load_graphs, local_global_jsd
        >>> from graphcl_hard.loader.features import node_features
        >>> from graphcl_hard.loader.in_memory import GraphBatches
        >>> graphs = load_graphs("MUTAG")
        >>> features = node_features(graphs)
        >>> batch = GraphBatches(graphs, features.x).select(torch.arange(32))
        >>> model = InfoGraph(GINEncoder(features.channels), functools.partial(local_global_jsd, tau_plus=0.1))
        >>> loss, diagnostics = model(batch, beta=1.0)
        >>> loss.backward()
        >>> loss.shape, model.encoder.out_channels
        (torch.Size([]), 96)
    """

    def __init__(self, encoder: Encoder, objective: Objective, *, negative_queue: int = 0) -> None:
        super().__init__(encoder, objective, negative_queue)
        self.local_head = ResidualHead(encoder.out_channels)
        self.global_head = ResidualHead(encoder.out_channels)
        reset_linear_layers(self)

    def check(self, batch: GraphBatch) -> None:
        """Raise `InputError` unless the model can train on the batch."""
        check_nodes(batch)

    def forward(
        self, batch: GraphBatch, beta: float, parts: Parts | None = None
    ) -> tuple[Tensor, Diagnostics]:
        """Return the loss () of a batch and the diagnostics of its weights.

        Args:
            batch: G graphs with N nodes.
            beta: hardness, at least 0.
            parts: set if the batch is one part of many; loss and diagnostics are then its addends, and the whole batch
                has passed `check`.

        Raises:
            InputError: the batch has fewer than 2 nodes or 2 graphs, or the objective refuses a setting.
        """
        if parts is None:
            self.check(batch)
        graphs, nodes = self.encoder(*batch.encoder_inputs)  # (G, L*H), (N, L*H)
        summary = self.global_head(graphs)  # (G, L*H)
        owner, context = batch.batch, Context(parts=parts)  # (N,)
        if batch.sample is not None:
            nodes, owner = nodes[batch.sample.node], owner[batch.sample.node]  # (M, L*H), (M,)
            context = context._replace(node_weight=batch.sample.weight)
        if self._takes_context and isinstance(self.local_head, ResidualHead):
            context = context._replace(local_head=self.local_head)
        else:
            nodes = self.local_head(nodes)
        return self._contrast(batch, (nodes, summary, owner), [summary], beta, context)
