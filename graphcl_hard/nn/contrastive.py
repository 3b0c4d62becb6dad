"""The base class of the models: an encoder, an objective, and a queue of negatives."""

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
"""A function of the tensors, `beta` and `return_diagnostics`, as those of `graphcl_hard.losses`, settings bound."""


class ContrastiveModel(Module):
    """What `InfoGraph` and `GraphCL` share.

    Args:
        encoder: see `InfoGraph`, as for the next two.
        objective: function of the pairs; one of the package's is also told a `Context`.
        negative_queue: K, rows of the queue; 0: there is none.

    Raises:
        InputError: the encoder is no module, or does not say its width; `negative_queue` is below 0; or the objective
            is not one of the package's, which alone take a queue.
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
            raise InputError(f"negative_queue must be at least 0, got {negative_queue}; 0 switches it off.")
        self.encoder = encoder
        self.objective = objective
        self.queue = NegativeQueue(negative_queue, width) if negative_queue else None
        self._takes_context = "_context" in inspect.signature(objective).parameters

    def _contrast(
        self, batch: GraphBatch, tensors: tuple[Tensor, ...], rows: list[Tensor], beta: float, context: Context
    ) -> tuple[Tensor, Diagnostics]:
        """Return the objective's loss () and diagnostics; in training, put the batch's rows into the queue after it.

        Args:
            batch: G graphs.
            tensors: what the objective contrasts.
            rows: (G, D) each, what the queue takes of the batch.
            beta: hardness, at least 0.
            context: what the objective is told beside; its queue is added here.

        Raises:
            InputError: there is a queue, and the batch has no `graph_ids`; or the objective is not one of the
                package's, and has to be told more than its tensors.
        """
        if self.queue is None:
            return self._call(tensors, beta, context)
        if batch.graph_ids is None:
            raise InputError("A queue of negatives knows graphs by their numbers, got a batch without; give graph_ids.")
        ids = batch.graph_ids
        if context.parts is not None:
            rows = [context.parts.gather(one.detach()) for one in rows]
            ids = context.parts.gather(ids.to(rows[0].device).unsqueeze(1)).squeeze(1)
        outcome = self._call(tensors, beta, context._replace(queue=self.queue.others(ids)))
        if self.training:
            self.queue.push(torch.cat(rows), ids.repeat(len(rows)))
        return outcome

    def _call(self, tensors: tuple[Tensor, ...], beta: float, context: Context) -> tuple[Tensor, Diagnostics]:
        options: dict[str, Any] = {"_context": context} if self._takes_context else {}
        if not self._takes_context and any(given is not None for given in context):
            raise InputError(
                f"The objective must be one of graphcl_hard's to take sampled nodes, a queue of negatives, or a batch "
                f"that processes share, got {self.objective}; leave these out."
            )
        outcome: tuple[Tensor, Diagnostics] = self.objective(*tensors, beta=beta, return_diagnostics=True, **options)
        return outcome


def check_nodes(batch: GraphBatch) -> None:
    """Raise `InputError` where a batch has fewer than 2 nodes."""
    if batch.x.size(0) < 2:
        raise InputError(
            f"A batch needs at least 2 nodes to train on, got {batch.x.size(0)} in {batch.num_graphs} graphs; "
            "leave graphs without nodes out, or use larger batches."
        )
