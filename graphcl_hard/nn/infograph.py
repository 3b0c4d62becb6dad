"""InfoGraph: encoder, two heads and a local-global objective."""

from torch import Tensor

from graphcl_hard.data.batch import GraphBatch
from graphcl_hard.losses.context import Context, Parts
from graphcl_hard.losses.weights import Diagnostics
from graphcl_hard.nn.contrastive import ContrastiveModel, Objective, check_nodes
from graphcl_hard.nn.encoders.base import Encoder
from graphcl_hard.nn.heads import ResidualHead, reset_linear_layers


class InfoGraph(ContrastiveModel):
    """InfoGraph: the parts of a graph are told from the parts of other graphs by the whole.

    Between encoder and objective lie the local head, (N, D) to (N, D), and the global head, (G, D) to (G, D).

    Args:
        encoder: the encoder of nodes and graphs: `GINEncoder`, `MessagePassingEncoder`, or any module with the call of
            `Encoder` and its `out_channels`.
        objective: `local_global_jsd` or `local_global_info_nce` with its settings bound, say by `functools.partial`.
        negative_queue: K, how many summaries of earlier batches, as the global head made them, are more negatives of
            every node; 0: none. See `NegativeQueue`; batches need their `graph_ids`.

    Raises:
        InputError: the encoder is no module, or does not say its width; or `negative_queue` is below 0.

    Source: Sun, Hoffmann, Verma, Tang, "InfoGraph", ICLR 2020.
    """

    def __init__(self, encoder: Encoder, objective: Objective, *, negative_queue: int = 0) -> None:
        super().__init__(encoder, objective, negative_queue)
        self.local_head = ResidualHead(encoder.out_channels)
        self.global_head = ResidualHead(encoder.out_channels)
        reset_linear_layers(self)

    def check(self, batch: GraphBatch) -> None:
        """Raise `InputError` where the whole batch is none to train on."""
        check_nodes(batch)

    def forward(self, batch: GraphBatch, beta: float, parts: Parts | None = None) -> tuple[Tensor, Diagnostics]:
        """The loss () of a batch at hardness `beta`, at least 0, and the diagnostics of its weights.

        With `parts` the batch is one part of many, and the result its addend; the whole has passed `check`.

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
