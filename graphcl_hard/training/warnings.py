"""What a person should know of a training that did not fail, and whose line of code a warning points at."""

from collections.abc import Iterable
from typing import Protocol

FEW_GRAPHS = 16


class _Epoch(Protocol):
    """What is looked at of a `training.Epoch`."""

    @property
    def beta(self) -> float: ...

    @property
    def effective_negatives(self) -> float: ...


def caution(graphs: int, batch_size: int, method: str, epochs: Iterable[_Epoch], queue: int = 0) -> str | None:
    """A sentence on what makes a training pointless without making it fail, or None; the first that holds of:

    - a batch has fewer than 16 graphs, and no queue as many others, so that there are few negatives;
    - a queue was asked for, and the whole set is one batch, so that there is nothing to keep;
    - the weights leave fewer than 2 negatives effective;
    - the weights are all alike though beta is not 0.

    What concerns the weights is of the epoch with the largest beta, of several the last.

    Args:
        graphs: in the set.
        batch_size: graphs in a batch.
        method: "infograph", whose negatives are the other graphs of the batch, or "graphcl", their two views each.
        epochs: those of the training; without any there is nothing to be cautious of.
        queue: how many summaries of earlier batches are more negatives at most.
    """
    hardest = max(reversed(list(epochs)), key=lambda epoch: epoch.beta, default=None)
    if hardest is None:
        return None
    views = 2 if method == "graphcl" else 1
    if queue and graphs <= batch_size:
        return f"A batch holds all {graphs} graphs, so a queue of negatives is empty; use smaller batches or no queue."
    queued = min(queue, max(0, graphs - batch_size) * views)
    graphs = min(batch_size, graphs)
    negatives = (graphs - 1) * views + queued
    if graphs < FEW_GRAPHS and negatives < (FEW_GRAPHS - 1) * views:
        return f"A batch has {graphs} graphs, so {negatives} negatives; 128 graphs are usual."
    share = hardest.effective_negatives
    if hardest.beta > 0 and share * negatives < 2:
        return f"The weights leave {share * negatives:.2g} of {negatives} negatives effective; lower beta."
    if hardest.beta > 0 and share > 1 - 1e-4:
        return "The weights of the negatives are all alike; a larger beta would tell them apart."
    return None
