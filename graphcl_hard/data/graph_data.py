"""The one form in which the package holds graphs: flat tensors over the whole set."""

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
    """A whole set of G graphs as flat tensors on the CPU: N nodes and E directed edges, graph after graph.

    Graph ``g`` owns the nodes ``node_ptr[g]:node_ptr[g + 1]`` and the edges ``edge_ptr[g]:edge_ptr[g + 1]``.

    Attributes:
        name: the set's name, safe as the name of a folder.
        node_ptr: (G + 1,) int64, from 0 to N; a graph without nodes has two equal entries.
        edge_index: (2, E) int64, source and target of each edge, nodes numbered over the whole set; sorted by source
            then target, hence by graph; no self-loops, no duplicates. An undirected edge is there in both directions.
        edge_ptr: (G + 1,) int64, from 0 to E.
        y: (G,) int64, the class of each graph, 0..C-1 in the order of the file's labels; 0 where there are none.
        node_label: (N, K) int64, or None: K label columns, each 0..V-1 where V counts the values that occur in it,
            in the order of the file's values.
        node_attr: (N, A) float32, finite, or None.
        node_label_values: for each label column the V values themselves; None: the numbers are the values.
        edge_label: (E, K) int64, or None: like node_label, in the order of edge_index. An edge that the file repeats
            has the labels of its first line.
        edge_attr: (E, A) float32, finite, or None, in the order of edge_index. An edge that the file repeats has the
            sum over its lines, as in PyG.
        edge_label_values: for each column of edge_label the V values themselves; None: the numbers are the values.
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
        """Which of node_label, node_attr, edge_label and edge_attr the graphs have."""
        names = ("node_label", "node_attr", "edge_label", "edge_attr")
        return frozenset(name for name in names if getattr(self, name) is not None)

    def part(self, start: int, stop: int) -> "GraphData":
        """The graphs in [`start`, `stop`), whose labels have the values of the whole set."""
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
        """The set in the parts that are in memory at a time: one."""
        yield self

    @property
    def num_graphs(self) -> int:
        """Number of graphs G."""
        return self.node_ptr.numel() - 1

    @property
    def num_nodes(self) -> int:
        """Number of nodes N in the whole set."""
        return int(self.node_ptr[-1])

    @property
    def num_edges(self) -> int:
        """Number of directed edges E in the whole set: two for each undirected edge."""
        return self.edge_index.size(1)

    @property
    def num_classes(self) -> int:
        """Number of classes C."""
        return int(self.y.max()) + 1


def renumbered(
    labels: NDArray[np.int64] | None,
) -> tuple[Tensor | None, tuple[tuple[Hashable, ...], ...] | None]:
    """Each column's values by their places, 0..V-1, among those that occur in it; and these values."""
    if labels is None:
        return None, None
    columns = [np.unique(column, return_inverse=True) for column in labels.T]
    places = torch.from_numpy(np.stack([place for _, place in columns], axis=1))
    return places, tuple(tuple(values.tolist()) for values, _ in columns)
