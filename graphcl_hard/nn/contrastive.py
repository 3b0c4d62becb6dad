"""Base class of the models: an encoder, an objective, and a queue of negatives."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module

from graphcl_hard.data.batch import GraphBatch
from graphcl_hard.exceptions import InputError
from graphcl_hard.losses.context import Context
from graphcl_hard.losses.weights import Diagnostics
from graphcl_hard.nn.encoders.base import Encoder
from graphcl_hard.nn.negative_queue import NegativeQueue

Objective = Callable[..., Any]
"""A function of tensors, `beta` and `return_diagnostics` that returns (loss, `Diagnostics`), its settings bound."""


class ContrastiveModel(Module):
    """Common parts of `InfoGraph` and `GraphCL`.

    Args:
        encoder: see `InfoGraph`.
        objective: see `InfoGraph`. An objective of the package also receives a `Context`.
        negative_queue: K, number of rows of the queue; 0: no queue.

    Raises:
        InputError: the encoder is not a module, or has no `out_channels`; or `negative_queue` is below 0.
    """

    def __init__(self, encoder: Encoder, objective: Objective, negative_queue: int) -> None:
        super().__init__()
        width = getattr(encoder, "out_channels", None)
        if not isinstance(encoder, Module) or not isinstance(width, int):
            raise InputError(
                "encoder must be a torch.nn.Module with out_channels, the width of its embeddings, a whole number, got "
                f"{type(encoder).__name__} with {width}; see graphcl_hard.Encoder."
            )
        if negative_queue < 0:
            raise InputError(
                f"negative_queue must be at least 0, got {negative_queue}; 0 switches it off."
            )
        self.encoder = encoder
        self.objective = objective
        self.queue = NegativeQueue(negative_queue, width) if negative_queue else None
        self._takes_context = "_context" in inspect.signature(objective).parameters

    def _contrast(
        self,
        batch: GraphBatch,
        tensors: tuple[Tensor, ...],
        rows: list[Tensor],
        beta: float,
        context: Context,
    ) -> tuple[Tensor, Diagnostics]:
        """Return the loss () and diagnostics of the objective, and, in training, push the batch's rows to the queue.

        Args:
            batch: G graphs.
            tensors: arguments of the objective.
            rows: (G, D) each, the rows of the batch that the queue takes.
            beta: hardness, at least 0.
            context: without a queue, which is added here.

        Raises:
            InputError: there is a queue and the batch has no `graph_ids`; or the context is not empty and the objective
                is not one of the package.
        """
        if self.queue is None:
            return self._call(tensors, beta, context)
        if batch.graph_ids is None:
            raise InputError(
                "A queue of negatives needs the graph_ids of a batch, got None; pass them to GraphBatch."
            )
        ids = batch.graph_ids
        if context.parts is not None:
            rows = [context.parts.gather(one.detach()) for one in rows]
            ids = context.parts.gather(ids.to(rows[0].device).unsqueeze(1)).squeeze(1)
        outcome = self._call(tensors, beta, context._replace(queue=self.queue.others(ids)))
        if self.training:
            self.queue.push(torch.cat(rows), ids.repeat(len(rows)))
        return outcome

    def _call(
        self, tensors: tuple[Tensor, ...], beta: float, context: Context
    ) -> tuple[Tensor, Diagnostics]:
        options: dict[str, Any] = {"_context": context} if self._takes_context else {}
        if not self._takes_context and any(given is not None for given in context):
            raise InputError(
                f"Sampled nodes, a queue of negatives and several processes need an objective of graphcl_hard, got "
                f"{self.objective}; leave them out."
            )
        outcome: tuple[Tensor, Diagnostics] = self.objective(
            *tensors, beta=beta, return_diagnostics=True, **options
        )
        return outcome


def check_nodes(batch: GraphBatch) -> None:
    """Raise `InputError` if a batch has fewer than 2 nodes."""
    if batch.x.size(0) < 2:
        raise InputError(
            f"A batch needs at least 2 nodes to train on, got {batch.x.size(0)} in {batch.num_graphs} graphs; "
            "leave out graphs without nodes, or use larger batches."
        )
