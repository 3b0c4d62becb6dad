"""GraphCL: encoder, projection head and NT-Xent of two views."""

import torch
from torch import Tensor
from torch.nn import Linear, ReLU, Sequential

from graphcl_hard._tensor import full_precision, unit_rows
from graphcl_hard.data.batch import GraphBatch
from graphcl_hard.exceptions import InputError
from graphcl_hard.losses.context import Context, Parts
from graphcl_hard.losses.weights import Diagnostics
from graphcl_hard.nn.contrastive import ContrastiveModel, Objective, check_nodes
from graphcl_hard.nn.encoders.base import Encoder
from graphcl_hard.nn.heads import reset_linear_layers


class GraphCL(ContrastiveModel):
    """GraphCL: two views of a graph are told from the views of other graphs.

    Between encoder and objective lies the projection head, (G, D) to rows of length 1.

    Args:
        encoder: the encoder of nodes and graphs, as in `InfoGraph`.
        objective: `nt_xent` with its settings bound, say by `functools.partial`.
        negative_queue: K, how many projections of earlier batches, two for each graph, are more negatives; as in
            `InfoGraph`.

    Raises:
        InputError: the encoder is no module, or does not say its width; or `negative_queue` is below 0.

    Source: You, Chen, Sui, Chen, Wang, Shen, "Graph Contrastive Learning with Augmentations", NeurIPS 2020, sec. 3.2.
    """

    def __init__(self, encoder: Encoder, objective: Objective, *, negative_queue: int = 0) -> None:
        super().__init__(encoder, objective, negative_queue)
        channels = encoder.out_channels
        self.projection_head = Sequential(Linear(channels, channels), ReLU(), Linear(channels, channels))
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
            check_nodes(view)
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
        return self._contrast(batch, (first, second), [first, second], beta, Context(parts=parts))

    def _project(self, view: GraphBatch) -> Tensor:
        """(G, L*H), rows of length 1."""
        graphs, _ = self.encoder(*view.encoder_inputs)
        rows = full_precision(self.projection_head(graphs))
        # A narrow head may have no ReLU alive for a graph, and zeros no direction: the first axis stands in.
        axis = torch.zeros_like(rows[:1]).index_fill_(1, torch.zeros(1, dtype=torch.int64, device=rows.device), 1.0)
        return unit_rows(torch.where((rows == 0).all(dim=1, keepdim=True), axis, rows))
