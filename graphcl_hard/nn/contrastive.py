"""What the models share: the checks of an encoder and a batch, and the queue of negatives."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import Module

from graphcl_hard.data.batch import GraphBatch
from graphcl_hard.exceptions import InputError
from graphcl_hard.losses.blockwise import Parts
from graphcl_hard.nn.encoders.base import Encoder

if TYPE_CHECKING:
    from graphcl_hard.nn.graphcl import GraphCL
    from graphcl_hard.nn.infograph import InfoGraph

Objective = Callable[..., Any]
"""An objective of `graphcl_hard.losses.local_global` with all but the tensors and beta bound to it."""


@contextmanager
def more_negatives(
    model: "InfoGraph | GraphCL", batch: GraphBatch, rows: list[Tensor], parts: Parts | None
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


def check_model(encoder: Encoder, negative_queue: int) -> None:
    """Raise `InputError` where a model cannot have this encoder or a queue of this size."""
    if negative_queue < 0:
        raise InputError(f"negative_queue must be at least 0, got {negative_queue}; 0 switches it off.")
    width = getattr(encoder, "out_channels", None)
    if not isinstance(encoder, Module) or not isinstance(width, int):
        raise InputError(
            "encoder must be a torch.nn.Module with out_channels, the width of its embeddings, a whole number, got "
            f"{type(encoder).__name__} with {width}; see graphcl_hard.Encoder."
        )


def check_nodes(batch: GraphBatch) -> None:
    """Raise `InputError` where a batch has fewer than 2 nodes."""
    if batch.x.size(0) < 2:
        raise InputError(
            f"A batch needs at least 2 nodes to train on, got {batch.x.size(0)} in {batch.num_graphs} graphs; "
            "leave graphs without nodes out, or use larger batches."
        )
