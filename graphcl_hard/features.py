"""Labels, attributes and degrees of nodes and edges to the encoder's inputs."""

from typing import NamedTuple

import torch
from torch import Tensor

from graphcl_hard.data import GraphData
from graphcl_hard.errors import InputError

MAX_ONE_HOT_DEGREE = 1000


class NodeFeatures(NamedTuple):
    """The inputs of the encoder."""

    x: Tensor
    """(N, F) float32; or, where every column is one-hot, (N, K) int64: the K columns that hold a 1, rising."""
    channels: int
    """F, `in_channels` of the encoder."""
    description: str
    """What the columns are, for people."""


class EdgeFeatures(NamedTuple):
    """The inputs of an encoder that reads edges."""

    edge_attr: Tensor
    """(E, D) float32, in the order of the set's `edge_index`."""
    description: str
    """What the columns are, for people."""


def node_features(graphs: GraphData, use_node_attr: bool = False) -> NodeFeatures:
    """The nodes' features: attributes on request, then one-hot labels; degrees where there are no labels.

    Degrees are one-hot up to the set's largest, or, where that is 1000 or more, one column standardised over the
    set. Attributes are standardised over the set, column by column, since their units differ.

    Raises:
        InputError: attributes are asked for where the set has none, or are not finite.
    """
    if not use_node_attr:
        return _degrees(graphs) if graphs.node_label is None else _labels(graphs.node_label)
    if graphs.node_attr is None:
        raise InputError(f"{graphs.name} has no node attributes; leave --use-node-attr out.")
    _check_finite(graphs, graphs.node_attr)
    x = _standardise(graphs.node_attr)
    description = f"{x.size(1)} node attributes, standardised"
    if graphs.node_label is not None:
        labels = _labels(graphs.node_label)
        x = torch.cat([x, one_hot(labels.x, labels.channels)], dim=1)
        description += f"; {labels.description}"
    return NodeFeatures(x, x.size(1), description)


def edge_features(graphs: GraphData) -> EdgeFeatures:
    """The edges' features: attributes, standardised over the set column by column, then one-hot labels.

    Raises:
        InputError: the edges have neither, or an attribute that is not finite.
    """
    parts, words = [], []
    if graphs.edge_attr is not None and graphs.num_edges:
        _check_finite(graphs, graphs.edge_attr, "edge")
        parts.append(_standardise(graphs.edge_attr))
        words.append(f"{parts[0].size(1)} edge attributes, standardised")
    if graphs.edge_label is not None and graphs.num_edges:
        columns, channels = _columns(graphs.edge_label)
        parts.append(one_hot(columns, channels))
        words.append(f"{channels} edge labels, one-hot")
    if not parts:
        raise InputError(
            f"{graphs.name} has no edges with labels or attributes, which --encoder gine needs; choose another, such "
            "as gin."
        )
    return EdgeFeatures(torch.cat(parts, dim=1), "; ".join(words))


def _labels(label: Tensor) -> NodeFeatures:
    columns, channels = _columns(label)
    return NodeFeatures(columns, channels, f"{channels} node labels, one-hot")


def _columns(label: Tensor) -> tuple[Tensor, int]:
    """(R, K) labels to the columns of a one-hot table in which each label column has its own, and their number."""
    sizes = label.amax(dim=0) + 1  # (K,)
    return label + (sizes.cumsum(0) - sizes), int(sizes.sum())


def _degrees(graphs: GraphData) -> NodeFeatures:
    degree = torch.bincount(graphs.edge_index[0], minlength=graphs.num_nodes).unsqueeze(1)  # (N, 1)
    largest = int(degree.max())
    if largest < MAX_ONE_HOT_DEGREE:
        return NodeFeatures(degree, largest + 1, f"degrees 0 to {largest}, one-hot")
    x = _standardise(degree.double()).float()
    return NodeFeatures(x, 1, f"degree, standardised (the largest is {largest})")


def one_hot(index: Tensor, channels: int) -> Tensor:
    """(N, K) int64 columns to (N, `channels`) float32 with a 1 in each."""
    return torch.zeros(index.size(0), channels, device=index.device).scatter_(1, index, 1.0)


def _standardise(columns: Tensor) -> Tensor:
    std, mean = torch.std_mean(columns, dim=0, correction=0)
    return (columns - mean) / torch.where(std > 0, std, 1.0)


def _check_finite(graphs: GraphData, attributes: Tensor, what: str = "node") -> None:
    bad = (~torch.isfinite(attributes)).any(dim=1).nonzero()
    if bad.numel():
        row, ptr = int(bad[0]), graphs.node_ptr if what == "node" else graphs.edge_ptr
        graph = int(torch.searchsorted(ptr, row, right=True)) - 1
        raise InputError(
            f"{graphs.name} has an attribute that is not finite at {what} {row - int(ptr[graph])} of graph {graph} "
            "(counted from 0); mend the value or leave the graph out."
        )
