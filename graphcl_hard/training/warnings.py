"""Warnings about a training that did not fail."""

from collections.abc import Iterable
from typing import Protocol

FEW_GRAPHS = 16


class _Epoch(Protocol):
    """The attributes of `training.state.Epoch` that are used."""

    @property
    def beta(self) -> float: ...

    @property
    def effective_negatives(self) -> float: ...


def caution(
    graphs: int,
    batch_size: int,
    method: str,
    epochs: Iterable[_Epoch],
    queue: int = 0,
    target: float | None = None,
) -> str | None:
    """Return a sentence about what makes a training pointless without making it fail, or None.

    The first condition that holds counts:

    - a batch has fewer than 16 graphs, and no queue makes up for it, so that there are few negatives;
    - a queue is used and the whole data set is one batch, so that the queue is empty;
    - the weights leave fewer than 2 effective negatives;
    - the weights are all alike although beta is not 0, or although a share below 1 was to stay effective;
    - more than 5 points above the share that was to stay effective are.

    The weights are those of the epoch with the largest beta, or of the last of these; those of a found beta are those
    of the last epoch.

    Args:
        graphs: number of graphs in the data set.
        batch_size: number of graphs in a batch.
        method: "infograph", whose negatives are the other graphs of the batch, or "graphcl": two views of each.
        epochs: the epochs of the training; without any there is no warning.
        queue: largest number of summaries of earlier batches that serve as additional negatives.
        target: the share of the negatives for which beta was found; None: beta was given.
    """
    latest = list(epochs)[::-1]
    if not latest:
        return None
    views = 2 if method == "graphcl" else 1
    if queue and graphs <= batch_size:
        return f"A batch holds all {graphs} graphs, so a queue of negatives is empty; use smaller batches or no queue."
    queued = min(queue, max(0, graphs - batch_size) * views)
    graphs = min(batch_size, graphs)
    negatives = (graphs - 1) * views + queued
    if graphs < FEW_GRAPHS and negatives < (FEW_GRAPHS - 1) * views:
        return f"A batch has {graphs} graphs, so {negatives} negatives; 128 graphs are usual."
    if target is not None:
        return _share_caution(latest[0].effective_negatives, target, negatives)
    return _weights_caution(max(latest, key=lambda epoch: epoch.beta), negatives)


def _share_caution(share: float, target: float, negatives: int) -> str | None:
    if target < 1 and share > 1 - 1e-4:
        return (
            f"All negatives stayed effective instead of {100 * target:g}%, since the scores of a node or view do not "
            "differ; the encoder may have collapsed."
        )
    if share > max(target, 2 / negatives) + 0.05:
        return (
            f"{100 * share:.0f}% of the negatives are effective, the target is {100 * target:g}%: too many negatives "
            "have equal scores, as duplicate graphs do; remove these, or raise `effective_negatives`."
        )
    return None


def _weights_caution(hardest: _Epoch, negatives: int) -> str | None:
    share = hardest.effective_negatives
    if hardest.beta > 0 and share * negatives < 2:
        return f"The weights leave {share * negatives:.2g} of {negatives} negatives effective; lower `beta`."
    if hardest.beta > 0 and share > 1 - 1e-4:
        return "The weights of the negatives are all alike; a larger `beta` would distinguish them."
    return None
