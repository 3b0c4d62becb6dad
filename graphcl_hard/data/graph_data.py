"""A data set of graphs as flat tensors, the form that the rest of the package works with."""

import dataclasses
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, eq=False)
class GraphData:
    """A data set of G graphs as flat tensors on the CPU, with N nodes and E directed edges in all.

    Graph ``g`` has the nodes ``node_ptr[g]:node_ptr[g + 1]`` and the edges ``edge_ptr[g]:edge_ptr[g + 1]``.

    Attributes:
        name: name of the data set, safe as the name of a folder.
        node_ptr: (G + 1,) int64, from 0 to N; two equal entries for a graph without nodes.
        edge_index: (2, E) int64, source and target of each edge, with nodes numbered over the whole data set; sorted by
            source and then target, hence by graph. There are no self-loops and no duplicates; an undirected edge is
            stored in both directions.
        edge_ptr: (G + 1,) int64, from 0 to E.
        y: (G,) int64, the class of each graph, 0..C-1 in the order of the file's labels; 0 if there are no labels.
        node_label: (N, K) int64, or None. Each of the K columns numbers its V distinct values 0..V-1, in the order of
            node_label_values; a file's values are in ascending order.
        node_attr: (N, A) float32, finite, or None.
        node_label_values: the V values of each label column; None: the numbers themselves are the values.
        edge_label: (E, K) int64, or None; as node_label, in the order of edge_index. An edge that the file repeats has
            the labels of its first line.
        edge_attr: (E, A) float32, finite, or None, in the order of edge_index. An edge that the file repeats has the
            sum over its lines, as in PyG.
        edge_label_values: as node_label_values, for edge_label.
    """

    name: str
    node_ptr: Tensor
    edge_index: Tensor
    edge_ptr: Tensor
    y: Tensor
    node_label: Tensor | None = None
    node_attr: Tensor | None = None
    node_label_values: tuple[tuple[Hashable, ...], ...] | None = None
    edge_label: Tensor | None = None
    edge_attr: Tensor | None = None
    edge_label_values: tuple[tuple[Hashable, ...], ...] | None = None

    @property
    def columns(self) -> frozenset[str]:
        """Those of node_label, node_attr, edge_label and edge_attr that are not None."""
        names = ("node_label", "node_attr", "edge_label", "edge_attr")
        return frozenset(name for name in names if getattr(self, name) is not None)

    def part(self, start: int, stop: int) -> "GraphData":
        """Return the graphs in [`start`, `stop`), with the label values of the whole data set."""
        nodes, edges = (slice(int(ptr[start]), int(ptr[stop])) for ptr in (self.node_ptr, self.edge_ptr))
        rows = {"node_label": nodes, "node_attr": nodes, "edge_label": edges, "edge_attr": edges}
        columns: dict[str, Any] = {name: getattr(self, name)[rows[name]] for name in self.columns}
        return dataclasses.replace(
            self,
            node_ptr=self.node_ptr[start : stop + 1] - nodes.start,
            edge_index=self.edge_index[:, edges] - nodes.start,
            edge_ptr=self.edge_ptr[start : stop + 1] - edges.start,
            y=self.y[start:stop],
            **columns,
        )

    def chunks(self) -> Iterator["GraphData"]:
        """Yield the data set itself, as one chunk."""
        yield self

    @property
    def num_graphs(self) -> int:
        """Number of graphs G."""
        return self.node_ptr.numel() - 1

    @property
    def num_nodes(self) -> int:
        """Number of nodes N in all graphs."""
        return int(self.node_ptr[-1])

    @property
    def num_edges(self) -> int:
        """Number of directed edges E in all graphs: two for each undirected edge."""
        return self.edge_index.size(1)

    @property
    def num_classes(self) -> int:
        """Number of classes C."""
        return int(self.y.max()) + 1


def renumbered(
    labels: NDArray[np.int64] | None,
) -> tuple[Tensor | None, tuple[tuple[Hashable, ...], ...] | None]:
    """Return (N, K) labels renumbered to 0..V-1 per column, and the V distinct values of each column, ascending."""
    if labels is None:
        return None, None
    columns = [np.unique(column, return_inverse=True) for column in labels.T]
    places = torch.from_numpy(np.stack([place for _, place in columns], axis=1))
    return places, tuple(tuple(values.tolist()) for values, _ in columns)
