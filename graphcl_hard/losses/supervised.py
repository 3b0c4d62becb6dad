"""Losses of supervised training: means over the known entries of the targets."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class MaskedSum(NamedTuple):
    """A weighted sum of losses over the known entries, and the sum of their weights."""

    total: Tensor
    """() float, the sum of weight times loss."""
    weight: Tensor
    """() float, the sum of the weights; 0 where no entry is known."""

    @property
    def mean(self) -> Tensor:
        """() float, the weighted mean; 0, with a gradient of 0, where no entry is known."""
        return self.total / self.weight.clamp_min(torch.finfo(self.weight.dtype).tiny)


def masked_cross_entropy(logits: Tensor, y: Tensor, weight: Tensor | None = None) -> MaskedSum:
    r"""Return the cross-entropy of one target with C classes, summed over the graphs whose class is known.

    .. math:: \ell = \frac{\sum_{g \in K} w_{y_g} \left(\log \sum_c e^{z_{gc}} - z_{g y_g}\right)}
                          {\sum_{g \in K} w_{y_g}}

    Args:
        logits: (B, C) float, the scores z.
        y: (B,) int64, the class of each graph, -1 where it is missing; K are the others.
        weight: (C,) float, the weights w of the classes; None: 1 each.

    Examples:
        >>> import torch
        >>> from graphcl_hard.losses.supervised import masked_cross_entropy
        >>> masked_cross_entropy(torch.zeros(3, 2), torch.tensor([0, -1, 1])).mean
        tensor(0.6931)
    """
    known = y >= 0
    place = y.where(known, 0)
    of_graph = known.to(logits.dtype) if weight is None else weight[place] * known  # (B,)
    entries = F.cross_entropy(logits, place, reduction="none")  # (B,)
    return MaskedSum((of_graph * entries).sum(), of_graph.sum())


def masked_binary_cross_entropy(
    logits: Tensor, y: Tensor, weight: Tensor | None = None
) -> MaskedSum:
    r"""Return the binary cross-entropy of T targets, summed over the known entries of the table.

    .. math:: \ell = \frac{\sum_{(g, t) \in K} w_{t y_{gt}} \log\left(1 + e^{-(2 y_{gt} - 1) z_{gt}}\right)}
                          {\sum_{(g, t) \in K} w_{t y_{gt}}}

    Each known entry counts alike, and not each target, so that the few entries of a rare target are not weighted up in
    every batch. The loss is that of the baselines of the Open Graph Benchmark (Hu et al., NeurIPS 2020).

    Args:
        logits: (B, T) float, the scores z.
        y: (B, T) float, 0 or 1, NaN where it is missing; K are the other entries.
        weight: (T, 2) float, the weights w of the classes 0 and 1 of each target; None: 1 each.

    Examples:
        >>> import torch
        >>> from graphcl_hard.losses.supervised import masked_binary_cross_entropy
        >>> y = torch.tensor([[0.0, torch.nan], [torch.nan, 1.0]])
        >>> masked_binary_cross_entropy(torch.zeros(2, 2), y).mean
        tensor(0.6931)
    """
    known = ~y.isnan()
    value = y.where(known, 0).to(logits.dtype)
    of_entry = known.to(logits.dtype)  # (B, T)
    if weight is not None:
        of_entry = of_entry * torch.lerp(weight[:, 0], weight[:, 1], value)
    entries = F.binary_cross_entropy_with_logits(logits, value, reduction="none")  # (B, T)
    return MaskedSum((of_entry * entries).sum(), of_entry.sum())


def masked_squared_error(outputs: Tensor, y: Tensor) -> MaskedSum:
    r"""Return the squared error of T targets, summed over the known entries of the table.

    .. math:: \ell = \frac{1}{|K|} \sum_{(g, t) \in K} (z_{gt} - y_{gt})^2

    Each known entry counts alike, see `masked_binary_cross_entropy`.

    Args:
        outputs: (B, T) float, the predictions z.
        y: (B, T) float, the standardised targets, NaN where they are missing; K are the other entries.

    Examples:
        >>> import torch
        >>> from graphcl_hard.losses.supervised import masked_squared_error
        >>> masked_squared_error(torch.zeros(2, 1), torch.tensor([[3.0], [torch.nan]])).mean
        tensor(9.)
    """
    known = ~y.isnan()
    entries = (outputs - y.where(known, 0).to(outputs.dtype)).square() * known  # (B, T)
    return MaskedSum(entries.sum(), known.sum().to(outputs.dtype))
