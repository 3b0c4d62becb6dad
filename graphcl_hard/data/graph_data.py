"""A data set of graphs as flat tensors, the form that the rest of the package works with."""

import dataclasses
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graphcl_hard.exceptions import InputError


class GraphSource(Protocol):
    """A data set of G graphs with N nodes and E directed edges, in memory (`GraphData`) or on disk (`GraphShards`).

    This is what everything after loading needs of a data set. Its attributes are described in `GraphData`.
    """

    @property
    def name(self) -> str:
        """Name of the data set."""

    @property
    def node_ptr(self) -> Tensor:
        """(G + 1,) int64, offsets of the nodes of each graph."""

    @property
    def edge_ptr(self) -> Tensor:
        """(G + 1,) int64, offsets of the edges of each graph."""

    @property
    def y(self) -> Tensor:
        """(G,) int64, class of each graph."""

    @property
    def columns(self) -> frozenset[str]:
        """Which of node_label, node_attr, edge_label and edge_attr the graphs have."""

    @property
    def num_graphs(self) -> int:
        """Number of graphs G."""

    @property
    def num_nodes(self) -> int:
        """Number of nodes N in all graphs."""

    @property
    def num_edges(self) -> int:
        """Number of directed edges E in all graphs."""

    @property
    def num_classes(self) -> int:
        """Number of classes C."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int | slice) -> "GraphData":
        """Return a graph, or the graphs of a slice, in memory."""

    def chunks(self) -> "Iterator[GraphData]":
        """Yield the graphs in order, as many at a time as are in memory at a time."""

    def whole(self) -> "GraphData":
        """Return the data set in memory."""

    def without(self, *columns: str) -> "GraphSource":
        """Return the same data set without these columns."""


def bounds(index: int | slice, size: int) -> tuple[int, int]:
    """Return the range [start, stop) that an index or a slice of a data set of `size` graphs selects.

    Raises:
        IndexError: there is no such graph.
        InputError: the slice has a step.
    """
    if isinstance(index, slice):
        start, stop, step = index.indices(size)
        if step != 1:
            raise InputError(
                f"A slice of a data set must have the step 1, got {step}; select the graphs one by one."
            )
        return start, max(start, stop)
    start = index + size if index < 0 else index
    if not 0 <= start < size:
        raise IndexError(f"The data set has {size} graphs, got the index {index}.")
    return start, start + 1


@dataclass(frozen=True, eq=False, repr=False)
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

    def __repr__(self) -> str:
        graphs, nodes = f"{self.num_graphs} graphs", f"{self.num_nodes} nodes"
        return f"GraphData({self.name!r}, {graphs}, {nodes}, {self.num_edges} directed edges)"

    def __len__(self) -> int:
        return self.num_graphs

    def __getitem__(self, index: int | slice) -> "GraphData":
        """Return a graph, or the graphs of a slice, with the label values of the whole data set."""
        start, stop = bounds(index, self.num_graphs)
        nodes, edges = (
            slice(int(ptr[start]), int(ptr[stop])) for ptr in (self.node_ptr, self.edge_ptr)
        )
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

    def without(self, *columns: str) -> "GraphData":
        """Return the same data set without these columns."""
        removed: dict[str, Any] = dict.fromkeys(columns)
        return dataclasses.replace(self, **removed) if columns else self

    def whole(self) -> "GraphData":
        """Return the data set itself, which is in memory."""
        return self

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
