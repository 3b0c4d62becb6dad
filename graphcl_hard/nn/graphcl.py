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
    """GraphCL, which maximises agreement between two views of a graph.

    The negatives are the views of the other graphs of the batch. Between encoder and objective is a projection head,
    (G, D) to rows of length 1.

    Args:
        encoder: encoder of nodes and graphs, as in `InfoGraph`.
        objective: `nt_xent`, its settings bound by `functools.partial`; or a function of your own that is called as
            objective(view1, view2, beta=..., return_diagnostics=True) and returns (loss, `Diagnostics`).
        negative_queue: K, number of projections of earlier batches, two for each graph, that are additional negatives;
            as in `InfoGraph`.

    Raises:
        InputError: the encoder is not a module, or has no `out_channels`; or `negative_queue` is below 0.

    Source: You, Chen, Sui, Chen, Wang, Shen, "Graph Contrastive Learning with Augmentations", NeurIPS 2020, sec. 3.2.

    Examples:
        >>> import functools
        >>> import torch
        >>> from graphcl_hard import GINEncoder, GraphCL, load_graphs, nt_xent
        >>> from graphcl_hard.loader.augment import with_views
        >>> from graphcl_hard.loader.features import node_features
        >>> from graphcl_hard.loader.in_memory import GraphBatches
        >>> graphs = load_graphs("MUTAG")
        >>> features = node_features(graphs)
        >>> batch = GraphBatches(graphs, features.x).select(torch.arange(32))
        >>> batch = with_views(batch, ("node-drop", "subgraph"), (0.2, 0.2))
        >>> model = GraphCL(GINEncoder(features.channels), functools.partial(nt_xent, tau_plus=0.1))
        >>> loss, diagnostics = model(batch, beta=1.0)
        >>> loss.backward()
        >>> loss.shape
        torch.Size([])
    """

    def __init__(self, encoder: Encoder, objective: Objective, *, negative_queue: int = 0) -> None:
        super().__init__(encoder, objective, negative_queue)
        channels = encoder.out_channels
        self.projection_head = Sequential(
            Linear(channels, channels), ReLU(), Linear(channels, channels)
        )
        reset_linear_layers(self)

    def check(self, batch: GraphBatch) -> None:
        """Raise `InputError` unless the model can train on the batch."""
        if batch.views is None:
            raise InputError(
                "GraphCL contrasts two views of a batch, got a batch without; add them by with_views."
            )
        if batch.num_graphs < 2:
            raise InputError(
                f"GraphCL needs at least 2 graphs in a batch, got {batch.num_graphs}: the other graphs of the batch "
                "are the negatives; use larger batches."
            )
        for view in batch.views:
            check_nodes(view)
            # A graph without nodes has an embedding of zeros, which has no direction. A GPU is not synchronised for it.
            empty = (
                view.num_graphs - view.batch.unique_consecutive().numel()
                if view.x.device.type == "cpu"
                else 0
            )
            if empty:
                raise InputError(
                    f"GraphCL needs a node in every graph, got {empty} graphs without nodes in a batch; leave them out."
                )

    def forward(
        self, batch: GraphBatch, beta: float, parts: Parts | None = None
    ) -> tuple[Tensor, Diagnostics]:
        """Return the loss () of the two views of a batch and the diagnostics of its weights.

        Args:
            batch: G graphs with two views.
            beta: hardness, at least 0.
            parts: set if the batch is one part of many, as in `InfoGraph`.

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
        """Return the projections of a view's graphs, (G, L*H), rows of length 1."""
        graphs, _ = self.encoder(*view.encoder_inputs)
        rows = full_precision(self.projection_head(graphs))
        # All ReLUs of a narrow head may be 0 for a graph. Zeros have no direction, so the first axis replaces them.
        axis = torch.zeros_like(rows[:1]).index_fill_(
            1, torch.zeros(1, dtype=torch.int64, device=rows.device), 1.0
        )
        return unit_rows(torch.where((rows == 0).all(dim=1, keepdim=True), axis, rows))
