"""Labels and attributes of edges to the inputs of an encoder that reads them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from graphcl_hard.columns import (
    Values,
    check_attributes,
    check_plain,
    check_saved,
    describe,
    finite_attributes,
    label_columns,
    labels_of,
    moments,
    one_hot,
    standardise,
)
from graphcl_hard.errors import InputError
from graphcl_hard.graph_data import GraphData
from graphcl_hard.graph_shards import GraphShards


@dataclass(frozen=True)
class EdgeFeatureMap:
    """How edges become inputs. Attributes come first, then one-hot labels.

    Attributes:
        label_values: for each label column the values that have a column of the input, in its order.
        mean: (A) of the attributes.
        std: (A) what the differences from the mean are divided by.
    """

    label_values: Values = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @classmethod
    def fit(cls, graphs: GraphData | GraphShards, keep_binary: bool = False) -> "EdgeFeatureMap":
        """The map for a set of graphs, of its edges' attributes and labels, both where it has both.

        Attributes are standardised over the set, column by column; with `keep_binary`, columns of nothing but 0 and 1
        stay as they are.

        Raises:
            InputError: the edges have neither, or an attribute that is not finite.
        """
        mean = std = torch.zeros(0)
        if "edge_attr" in graphs.columns and graphs.num_edges:
            mean, std = moments((finite_attributes(chunk, "edge") for chunk in graphs.chunks()), keep_binary)
        labels = labels_of(graphs, "edge")
        if not labels and not mean.numel():
            raise InputError(
                f"{graphs.name} has no edges with labels or attributes, which the encoder gine needs; choose another, "
                "such as gin."
            )
        return cls(labels, tuple(mean.tolist()), tuple(std.tolist()))

    @property
    def channels(self) -> int:
        """D, the width of the input, `edge_channels` of the encoder."""
        return len(self.mean) + sum(map(len, self.label_values))

    @property
    def description(self) -> str:
        """What the columns are, for people."""
        return describe(len(self.mean), self.label_values, "edge")

    def apply(self, graphs: GraphData, warn: bool = True) -> Tensor:
        """The encoder's input for the edges of any set: (E, D) float32, in the order of the set's `edge_index`.

        A label that the map does not know has no column: its edge has zeros there, and with `warn` a warning says so.

        Raises:
            InputError: the set's edges have other attributes, or another number of label columns, than the map.
        """
        if graphs.num_edges == 0:  # which have no attributes to compare either
            return torch.zeros(0, self.channels)
        parts = []
        if self.mean or graphs.edge_attr is not None:
            parts.append(standardise(check_attributes(graphs, "edge", len(self.mean)), self.mean, self.std))
        if self.label_values or graphs.edge_label is not None:
            labels = label_columns(graphs, "edge", self.label_values, warn=warn)
            parts.append(one_hot(labels, sum(map(len, self.label_values))))
        return torch.cat(parts, dim=1)

    def check_saved(self) -> None:
        """Raise `InputError` where a label is neither a string nor a number."""
        check_saved(self.label_values, "edge")

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "EdgeFeatureMap":
        """The map of the dictionary that `dataclasses.asdict` gave, which may have gone through JSON.

        Raises:
            ValueError: no map has these values.
        """
        check_plain(plain["label_values"], plain["mean"], plain["std"])
        labels = tuple(tuple(values) for values in plain["label_values"])
        return cls(labels, tuple(plain["mean"]), tuple(plain["std"]))
