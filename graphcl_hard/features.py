"""Labels, attributes and degrees of nodes and edges to the encoder's inputs."""

import dataclasses
import math
import warnings
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from graphcl_hard.errors import InputError
from graphcl_hard.graph_data import GraphData

MAX_ONE_HOT_DEGREE = 1000


class NodeFeatures(NamedTuple):
    """The inputs of the encoder."""

    x: Tensor
    """(N, F) float32; or, where every column is one-hot, (N, K) int64: the K columns that hold a 1, rising, or -1."""
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


@dataclass(frozen=True)
class FeatureMap:
    """How nodes become inputs. Attributes come first, then one-hot labels; where there are neither, degrees.

    Attributes:
        label_values: for each label column the values that have a column of the input, in its order.
        mean: (A) of the attributes, or of the degree where `standardised_degree` is set.
        std: (A) what the differences from the mean are divided by.
        largest_degree: degrees from 0 to this one are one-hot; None: they are not used so.
        standardised_degree: whether the input is the degree alone, standardised.
    """

    label_values: tuple[tuple[Hashable, ...], ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    largest_degree: int | None = None
    standardised_degree: bool = False

    @classmethod
    def fit(cls, graphs: GraphData, use_node_attr: bool = False, keep_binary: bool = False) -> "FeatureMap":
        """The map for a set of graphs, of its attributes on request, and its labels, or its degrees.

        Degrees are one-hot up to the set's largest, or, where that is 1000 or more, one column standardised over the
        set. Attributes are standardised over the set, column by column, since their units differ; with `keep_binary`,
        columns of nothing but 0 and 1 stay as they are.

        Raises:
            InputError: attributes are asked for where the set has none, or are not finite.
        """
        if use_node_attr:
            if graphs.node_attr is None:
                raise InputError(f"{graphs.name} has no node attributes; leave --use-node-attr out.")
            _check_finite(graphs, graphs.node_attr)
            mean, std = _moments(graphs.node_attr)
            if keep_binary:
                binary = ((graphs.node_attr == 0) | (graphs.node_attr == 1)).all(dim=0)
                mean, std = mean.masked_fill(binary, 0.0), std.masked_fill(binary, 1.0)
            return cls(_label_values(graphs), tuple(mean.tolist()), tuple(std.tolist()))
        if graphs.node_label is not None:
            return cls(_label_values(graphs))
        degree = _degree(graphs)
        largest = int(degree.max()) if degree.numel() else 0
        if largest < MAX_ONE_HOT_DEGREE:
            return cls(largest_degree=largest)
        mean, std = _moments(degree.double())
        return cls((), tuple(mean.tolist()), tuple(std.tolist()), largest, standardised_degree=True)

    @property
    def channels(self) -> int:
        """F, the width of the encoder's input."""
        if self.largest_degree is not None and not self.standardised_degree:
            return self.largest_degree + 1
        return len(self.mean) + sum(len(values) for values in self.label_values)

    @property
    def description(self) -> str:
        """What the columns are, for people."""
        if self.standardised_degree:
            return f"degree, standardised (the largest is {self.largest_degree})"
        if self.largest_degree is not None:
            return f"degrees 0 to {self.largest_degree}, one-hot"
        parts = [f"{len(self.mean)} node attributes, standardised"] if self.mean else []
        if self.label_values:
            parts.append(f"{sum(map(len, self.label_values))} node labels, one-hot")
        return "; ".join(parts)

    def apply(self, graphs: GraphData) -> Tensor:
        """The encoder's input for the nodes of any set: (N, F) float32, or (N, K) int64, see `NodeFeatures.x`.

        A label that the map does not know has no column: its node has zeros there, and a warning says so. A degree
        above the largest known counts as the largest.

        Raises:
            InputError: the set has other attributes, or another number of label columns, than the map.
        """
        if graphs.num_nodes == 0:  # which has no attributes to compare either
            return torch.zeros(0, self.channels)
        if self.largest_degree is not None:
            degree = _degree(graphs)
            if self.standardised_degree:
                return self._standardise(degree.double()).float()
            return degree.clamp(max=self.largest_degree)
        labels = self._label_columns(graphs) if self.label_values else None
        if not self.mean:
            assert labels is not None
            return labels
        width = 0 if graphs.node_attr is None else graphs.node_attr.size(1)
        if width != len(self.mean):
            raise InputError(
                f"{graphs.name} has {width or 'no'} node attributes, must have the {len(self.mean)} of the graphs that "
                "the features were made for; give the same attributes."
            )
        assert graphs.node_attr is not None
        _check_finite(graphs, graphs.node_attr)
        if labels is None:
            return self._one_hot_columns(graphs.node_attr)
        # Attributes come first, so the labels' columns move behind them.
        return torch.cat([self._standardise(graphs.node_attr), one_hot(labels, self.channels)[:, width:]], dim=1)

    def _one_hot_columns(self, attributes: Tensor) -> Tensor:
        """Attributes that are one-hot as they stand, a 1 in each row, as (N, 1) int64, which is faster."""
        plain = not any(self.mean) and all(value == 1 for value in self.std)
        is_one_hot = (
            plain and bool(((attributes != 0).sum(dim=1) == 1).all()) and bool((attributes.sum(dim=1) == 1).all())
        )
        return attributes.argmax(dim=1, keepdim=True) if is_one_hot else self._standardise(attributes)

    def _standardise(self, columns: Tensor) -> Tensor:
        mean, std = (torch.tensor(values, dtype=columns.dtype) for values in (self.mean, self.std))
        return (columns - mean) / std

    def _label_columns(self, graphs: GraphData) -> Tensor:
        """(N, K) int64 columns of the input, -1 for a label that the map does not know."""
        found = _label_values(graphs)
        if len(found) != len(self.label_values) or graphs.node_label is None:
            raise InputError(
                f"{graphs.name} has {len(found) or 'no'} node labels, must have the {len(self.label_values)} of the "
                "graphs that the features were made for; give the same labels."
            )
        columns, start, unknown = [], len(self.mean), set()
        for known, values, number in zip(self.label_values, found, graphs.node_label.unbind(dim=1), strict=True):
            column = {value: start + position for position, value in enumerate(known)}
            unknown |= {value for value in values if value not in column}
            columns.append(torch.tensor([column.get(value, -1) for value in values])[number])
            start += len(known)
        if unknown:
            shown = ", ".join(sorted(map(repr, unknown))[:5])
            warnings.warn(
                f"{graphs.name} has {len(unknown)} node labels that the features were not made for ({shown}); their "
                "nodes have zeros in place of a 1.",
                stacklevel=2,
            )
        return torch.stack(columns, dim=1)

    def to_plain(self) -> dict[str, Any]:
        """The map as dictionaries, lists, strings and numbers, for JSON.

        Raises:
            InputError: a label is neither a string nor a number.
        """
        for value in (value for values in self.label_values for value in values):
            if not isinstance(value, (str, int, float, bool)):
                raise InputError(f"Node labels must be strings or numbers to be saved, got {value!r}; rename them.")
        return dataclasses.asdict(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "FeatureMap":
        """The map that `to_plain` gave.

        Raises:
            ValueError: no map has these values.
        """
        values, mean, std = plain["label_values"], plain["mean"], plain["std"]
        largest, standardised = plain["largest_degree"], plain["standardised_degree"]
        if not all(isinstance(column, (list, tuple)) for column in (values, mean, std, *values)):
            raise ValueError("label_values, mean and std must be lists")
        if not all(isinstance(value, (str, int, float, bool)) for column in values for value in column):
            raise ValueError("a label must be a string or a number")
        if any(len(set(column)) < len(column) or not column for column in values):
            raise ValueError("a column of labels must hold each value once")
        if len(mean) != len(std) or not all(_is_finite(number) for number in (*mean, *std)) or min(std, default=1) <= 0:
            raise ValueError("mean and std must be as many finite numbers, those of std above 0")
        if largest is not None and (isinstance(largest, bool) or not isinstance(largest, int) or largest < 0):
            raise ValueError("largest_degree must be a whole number or null")
        by_degree = largest is not None and not values and len(mean) == (1 if standardised else 0)
        by_content = largest is None and not standardised and (values or mean)
        if not isinstance(standardised, bool) or not (by_degree or by_content):
            raise ValueError("it must be a map of degrees, or of labels and attributes")
        return cls(tuple(map(tuple, values)), tuple(mean), tuple(std), largest, standardised)


def _is_finite(number: Any) -> bool:
    return isinstance(number, (int, float)) and not isinstance(number, bool) and math.isfinite(number)


def node_features(graphs: GraphData, use_node_attr: bool = False) -> NodeFeatures:
    """The nodes' features by the map that `FeatureMap.fit` makes of the same set.

    Raises:
        InputError: attributes are asked for where the set has none, or are not finite.
    """
    features = FeatureMap.fit(graphs, use_node_attr)
    return NodeFeatures(features.apply(graphs), features.channels, features.description)


def edge_features(graphs: GraphData) -> EdgeFeatures:
    """The edges' features: attributes, standardised over the set column by column, then one-hot labels.

    Raises:
        InputError: the edges have neither, or an attribute that is not finite.
    """
    parts, words = [], []
    if graphs.edge_attr is not None and graphs.num_edges:
        _check_finite(graphs, graphs.edge_attr, "edge")
        mean, std = _moments(graphs.edge_attr)
        parts.append((graphs.edge_attr - mean) / std)
        words.append(f"{parts[0].size(1)} edge attributes, standardised")
    if graphs.edge_label is not None and graphs.num_edges:
        sizes = graphs.edge_label.amax(dim=0) + 1  # (K,)
        channels = int(sizes.sum())
        parts.append(one_hot(graphs.edge_label + (sizes.cumsum(0) - sizes), channels))
        words.append(f"{channels} edge labels, one-hot")
    if not parts:
        raise InputError(
            f"{graphs.name} has no edges with labels or attributes, which --encoder gine needs; choose another, such "
            "as gin."
        )
    return EdgeFeatures(torch.cat(parts, dim=1), "; ".join(words))


def one_hot(index: Tensor, channels: int) -> Tensor:
    """(N, K) int64 columns to (N, `channels`) float32 with a 1 in each; a column of -1 has none."""
    rows = torch.zeros(index.size(0), channels + 1, device=index.device)  # the last column takes what has none
    return rows.scatter_(1, index.where(index >= 0, channels), 1.0)[:, :channels]


def _label_values(graphs: GraphData) -> tuple[tuple[Hashable, ...], ...]:
    if graphs.node_label is None or graphs.node_label_values is not None:
        return graphs.node_label_values or ()
    return tuple(tuple(range(largest + 1)) for largest in graphs.node_label.amax(dim=0).tolist())


def _degree(graphs: GraphData) -> Tensor:
    """(N, 1) int64."""
    return torch.bincount(graphs.edge_index[0], minlength=graphs.num_nodes).unsqueeze(1)


def _moments(columns: Tensor) -> tuple[Tensor, Tensor]:
    std, mean = torch.std_mean(columns, dim=0, correction=0)
    return mean, torch.where(std > 0, std, 1.0)


def _check_finite(graphs: GraphData, attributes: Tensor, what: str = "node") -> None:
    bad = (~torch.isfinite(attributes)).any(dim=1).nonzero()
    if bad.numel():
        row, ptr = int(bad[0]), graphs.node_ptr if what == "node" else graphs.edge_ptr
        graph = int(torch.searchsorted(ptr, row, right=True)) - 1
        raise InputError(
            f"{graphs.name} has an attribute that is not finite at {what} {row - int(ptr[graph])} of graph {graph} "
            "(counted from 0); mend the value or leave the graph out."
        )
