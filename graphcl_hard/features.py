"""Node labels, attributes and degrees to the encoder's inputs."""

from typing import NamedTuple

import torch
from torch import Tensor

from graphcl_hard.data import GraphData
from graphcl_hard.errors import InputError

MAX_ONE_HOT_DEGREE = 1000


class NodeFeatures(NamedTuple):
    """The inputs of the encoder."""

    x: Tensor
    """(N, F) float32."""
    description: str
    """What the columns are, for people."""


def node_features(graphs: GraphData, use_node_attr: bool = False) -> NodeFeatures:
    """The nodes' features: attributes on request, then one-hot labels; degrees where there are no labels.

    Degrees are one-hot up to the set's largest, or, where that is 1000 or more, one column standardised over the
    set. Attributes are standardised over the set, column by column, since their units differ.

    Raises:
        InputError: attributes are asked for where the set has none, or are not finite.
    """
    blocks, parts = [], []
    if use_node_attr:
        if graphs.node_attr is None:
            raise InputError(f"{graphs.name} has no node attributes; leave --use-node-attr out.")
        _check_finite(graphs)
        blocks.append(_standardise(graphs.node_attr))
        parts.append(f"{graphs.node_attr.size(1)} node attributes, standardised")
    if graphs.node_label is not None:
        sizes = graphs.node_label.amax(dim=0) + 1
        blocks += [_one_hot(column, int(n)) for column, n in zip(graphs.node_label.T, sizes, strict=True)]
        parts.append(f"{int(sizes.sum())} node labels, one-hot")
    elif not use_node_attr:
        degree = torch.bincount(graphs.edge_index[0], minlength=graphs.num_nodes)  # (N,)
        largest = int(degree.max())
        if largest < MAX_ONE_HOT_DEGREE:
            blocks.append(_one_hot(degree, largest + 1))
            parts.append(f"degrees 0 to {largest}, one-hot")
        else:
            blocks.append(_standardise(degree.unsqueeze(1).double()).float())
            parts.append(f"degree, standardised (the largest is {largest})")
    return NodeFeatures(torch.cat(blocks, dim=1), "; ".join(parts))


def _one_hot(index: Tensor, size: int) -> Tensor:
    return torch.zeros(index.size(0), size).scatter_(1, index.unsqueeze(1), 1.0)


def _standardise(columns: Tensor) -> Tensor:
    std, mean = torch.std_mean(columns, dim=0, correction=0)
    return (columns - mean) / torch.where(std > 0, std, 1.0)


def _check_finite(graphs: GraphData) -> None:
    assert graphs.node_attr is not None
    bad = (~torch.isfinite(graphs.node_attr)).any(dim=1).nonzero()
    if bad.numel():
        node = int(bad[0])
        graph = int(torch.searchsorted(graphs.node_ptr, node, right=True)) - 1
        raise InputError(
            f"{graphs.name} has an attribute that is not finite at node {node - int(graphs.node_ptr[graph])} of graph "
            f"{graph} (counted from 0); mend the value or leave the graph out."
        )
