"""A data set of graphs as flat tensors, the form that the rest of the package works with."""

import dataclasses
import json
import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, Protocol, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import Data

from graphcl_hard._tensor import initial_state, offsets
from graphcl_hard.data.labels import (
    Class,
    Labels,
    number_integers,
    numbered_targets,
    own_labels,
    with_classes,
)
from graphcl_hard.exceptions import InputError, short_repr
from graphcl_hard.io.checksum import tensors_checksum

Values = tuple[tuple[Hashable, ...], ...]
Index = slice | Sequence[int] | NDArray[Any] | Tensor
"""What selects several graphs: a slice, positions, or one bool for each graph."""


class Names(NamedTuple):
    """Names by which single graphs hold the labels and attributes of a data set.

    As an argument of a reader, None selects the default attributes of a kind of graphs.
    """

    node_label: str | None = None
    node_attr: tuple[str, ...] | None = None
    edge_label: str | None = None
    edge_attr: tuple[str, ...] | None = None


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
        """(G,) int64, class of each graph, -1 where it is missing; or float64, measured targets, (G,) or (G, T)."""

    @property
    def classes(self) -> tuple[Class, ...]:
        """Names of the classes, in ascending order."""

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of T targets (G, T)."""

    @property
    def ids(self) -> NDArray[Any]:
        """(G,) int64 or str, identity of each graph."""

    @property
    def names(self) -> Names:
        """Names by which single graphs hold the columns."""

    @property
    def labels(self) -> NDArray[Any] | None:
        """(G,) or (G, T), the graphs' labels as they were given; None if they have none."""

    @property
    def checksum(self) -> str:
        """SHA-256, in hexadecimal, of the graphs with their columns, labels and ids."""

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

    @property
    def shape(self) -> tuple[int]:
        """(G,), by which scikit-learn recognises what it may index with arrays."""

    def __len__(self) -> int: ...

    @overload
    def __getitem__(self, index: int) -> Data: ...
    @overload
    def __getitem__(self, index: Index) -> "GraphData":
        """Return a graph as `Data`, or several graphs, in memory."""

    def __iter__(self) -> Iterator[Data]: ...

    def to_pyg(self) -> list[Data]:
        """Return the graphs as `Data`."""

    def chunks(self) -> "Iterator[GraphData]":
        """Yield the graphs in order, as many at a time as are in memory at a time."""

    def whole(self) -> "GraphData":
        """Return the data set in memory."""

    def without(self, *columns: str) -> "GraphSource":
        """Return the same data set without these columns."""


STANDARD_NAMES = Names("node_label", ("node_attr",), "edge_label", ("edge_attr",))


RESERVED = ("edge_index", "graph_label", "id", "num_nodes", "y")
"""What the `Data` of a data set have beside its columns."""


def positions(index: Any, size: int) -> Tensor:
    """Return the positions, (n,) int64 from 0, that an index of a data set of `size` graphs selects.

    Args:
        index: an int, a slice, integers, or one bool for each graph.
        size: number of graphs.

    Raises:
        IndexError: there is no such graph.
        InputError: the index is of another kind.
    """
    if isinstance(index, slice):
        return torch.from_numpy(np.arange(*index.indices(size)))
    # scikit-learn indexes what has a shape by (indices, ...).
    index = index[0] if isinstance(index, tuple) and index[1:] == (...,) else index
    try:
        found = np.atleast_1d(np.asarray(index.tolist() if isinstance(index, Tensor) else index))
    except (TypeError, ValueError):
        found = np.array(["?"])
    if found.dtype.kind == "b" and found.shape == (size,):
        return torch.from_numpy(np.flatnonzero(found))
    if found.ndim == 1 and not len(found):
        found = found.astype(np.int64)
    if found.ndim != 1 or found.dtype.kind not in "iu":
        raise InputError(
            f"An index of a data set must be an int, a slice, an array of ints, or {size} bools, got "
            f"{short_repr(index)}; give one of these."
        )
    outside = (found < -size) | (found >= size)
    if outside.any():
        raise IndexError(f"The data set has {size} graphs, got the index {found[outside][0]}.")
    return torch.from_numpy(found.astype(np.int64) % max(size, 1))


def is_single(index: Any) -> bool:
    """Return whether an index selects one graph: an int of Python, NumPy or PyTorch."""
    if isinstance(index, (Tensor, np.ndarray)):
        return index.ndim == 0 and index.dtype not in (torch.bool, np.bool_)
    return isinstance(index, (int, np.integer)) and not isinstance(index, bool)


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
        y: (G,) int64, the position of each graph's class in `classes`, -1 where it is missing; or float64, measured
            targets, (G,) for one or (G, T) for several, NaN where they are missing. Several classes of 0 and 1 for each
            graph are such targets, as in OGB.
        node_label: (N, K) int64, or None. Each of the K columns numbers its V distinct values 0..V-1, in the order of
            node_label_values; a file's values are in ascending order.
        node_attr: (N, A) float32, finite, or None.
        node_label_values: the V values of each label column; None: the numbers themselves are the values.
        edge_label: (E, K) int64, or None; as node_label, in the order of edge_index. An edge that the file repeats has
            the labels of its first line.
        edge_attr: (E, A) float32, finite, or None, in the order of edge_index. An edge that the file repeats has the
            sum over its lines, as in PyG.
        edge_label_values: as node_label_values, for edge_label.
        classes: the C classes as they were given, integers or strings, in ascending order; empty without labels and
            with measured targets. Without this argument, the integers of `y` from 0 on are the classes.
        ids: (G,) int64 or str, the identity of each graph: its row in a table, the number that a TU folder gives it, or
            an id of the user's. Without this argument, the positions from 0.
        names: the names by which single graphs hold the columns.
        targets: the names of the T targets in `y` (G, T), by default the numbers of its columns from 0; empty for (G,).

    Examples:
        >>> from graphcl_hard import load_graphs
        >>> graphs = load_graphs("MUTAG")
        >>> graphs[0]
        Data(edge_index=[2, 38], y=[1], id=1, num_nodes=17, node_label=[17, 1], edge_label=[38, 1], graph_label=1)
        >>> graphs[[3, 5]], graphs.labels[[3, 5]], graphs.ids[[3, 5]]
        (GraphData('MUTAG', 2 graphs, 47 nodes, 106 directed edges), array([1, 1]), array([4, 6]))
    """

    name: str
    node_ptr: Tensor
    edge_index: Tensor
    edge_ptr: Tensor
    y: Tensor
    node_label: Tensor | None = None
    node_attr: Tensor | None = None
    node_label_values: Values | None = None
    edge_label: Tensor | None = None
    edge_attr: Tensor | None = None
    edge_label_values: Values | None = None
    classes: tuple[Class, ...] = ()
    ids: NDArray[Any] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    names: Names = STANDARD_NAMES
    targets: tuple[str, ...] = ()

    @initial_state()
    def __post_init__(self) -> None:
        entries = self.y.size(0) if self.y.dim() == 2 else self.y.numel()
        if entries != self.num_graphs or len(self.ids) not in (0, self.num_graphs):
            raise InputError(
                f"y and ids must have one entry for each of {self.num_graphs} graphs, got {entries} and "
                f"{len(self.ids)}; give as many."
            )
        self._check_targets()
        if len(set(self.classes)) < len(self.classes):
            raise InputError(
                f"classes must be different, got {short_repr(self.classes)}; give each once."
            )
        if not self.classes and not self.y.is_floating_point():
            self._set(**number_integers(self.y)._asdict())
        elif not self.y.is_floating_point() and self.y.numel():
            low, high = (int(end) for end in self.y.aminmax())
            if low < -1 or high >= len(self.classes):
                raise InputError(
                    f"y must lie in [-1, {len(self.classes) - 1}], the positions of the {len(self.classes)} classes, "
                    f"got {low} to {high}; give the classes too."
                )
        if not len(self.ids):
            self._set(ids=np.arange(self.num_graphs))
        elif self.ids.dtype != np.int64 and self.ids.dtype.kind != "U":
            whole = self.ids.dtype.kind in "iu" and int(self.ids.max()) < 2**63
            self._set(ids=self.ids.astype(np.int64 if whole else str))

    def _check_targets(self) -> None:
        if self.y.dim() == 2:
            if not self.y.is_floating_point():
                raise InputError(
                    f"y of several targets must be float64 (G, T), NaN where a value is missing, got {self.y.dtype}; "
                    "convert it."
                )
            self._set(y=self.y.double(), targets=self.targets or numbered_targets(self.y))
        width = self.y.size(1) if self.y.dim() == 2 else 0
        if len(self.targets) != width or len(set(self.targets)) < width:
            raise InputError(
                f"targets must be {width} different names, one for each column of y {tuple(self.y.shape)}, got "
                f"{short_repr(self.targets)}; correct them."
            )

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)  # as dataclasses do where they are frozen

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

    @property
    def shape(self) -> tuple[int]:
        """(G,), by which scikit-learn recognises what it may index with arrays."""
        return (self.num_graphs,)

    @overload
    def __getitem__(self, index: int) -> Data: ...
    @overload
    def __getitem__(self, index: Index) -> "GraphData": ...
    @initial_state()
    def __getitem__(self, index: int | Index) -> "Data | GraphData":
        """Return a graph as `Data`, see `to_pyg`; or the graphs of a slice or of an array of positions or bools.

        Raises:
            IndexError: there is no such graph.
            InputError: the index is of another kind.
        """
        if is_single(index):
            return self._data(int(positions(index, self.num_graphs)))
        if isinstance(index, slice) and index.indices(self.num_graphs)[2] == 1:
            start, stop, _ = index.indices(self.num_graphs)
            return self._part(start, max(start, stop))
        return self._take(positions(index, self.num_graphs))

    def __iter__(self) -> Iterator[Data]:
        return map(self._data, range(self.num_graphs))

    def to_pyg(self) -> list["Data"]:
        """Return the graphs as `torch_geometric.data.Data`.

        They have `edge_index`, `num_nodes`, `id`, and, if the data set does, `y` and the columns under their `names`:
        by default node_label, (n, K) int64, node_attr, (n, A) float32, edge_label, (e, K) int64, and edge_attr, (e, A)
        float32; also where one of the `names` stands for something else already. Labels are the values of the file if
        these are integers, else their numbers. `y` is the number of the class, or NaN if it is missing, and
        `graph_label` the class itself; measured targets are (1,) or (1, T) float64.
        """
        return list(self)

    @initial_state()
    def _data(self, graph: int) -> Data:
        nodes, edges = (
            slice(int(ptr[graph]), int(ptr[graph + 1])) for ptr in (self.node_ptr, self.edge_ptr)
        )
        values: dict[str, Any] = {"num_nodes": nodes.stop - nodes.start}
        for what, rows in (("node", nodes), ("edge", edges)):
            label, attr = getattr(self, f"{what}_label"), getattr(self, f"{what}_attr")
            names = self.names.node_label, self.names.node_attr
            if what == "edge":
                names = self.names.edge_label, self.names.edge_attr
            if label is not None:
                name = _free(names[0], values, f"{what}_label")
                values[name] = _restored(label[rows], getattr(self, f"{what}_label_values"))
            if attr is not None:
                held = names[1] or ()
                values[_free(held[0] if len(held) == 1 else None, values, f"{what}_attr")] = attr[
                    rows
                ]
        y = self.y[graph : graph + 1]
        if y.is_floating_point():
            values["y"] = y
        elif self.classes:
            is_known = int(y) >= 0
            values["y"] = y if is_known else torch.tensor([math.nan])
            values["graph_label"] = self.classes[int(y)] if is_known else None
        edge_index = self.edge_index[:, edges] - nodes.start
        return Data(edge_index=edge_index, id=self.ids[graph].item(), **values)

    def _part(self, start: int, stop: int) -> "GraphData":
        """Return the graphs from `start` to `stop`, without copying."""
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
            ids=self.ids[start:stop],
            **columns,
        )

    def _take(self, graphs: Tensor) -> "GraphData":
        """Return the graphs at these positions, (n,) int64, in this order."""
        (node_ptr, nodes), (edge_ptr, edges) = (
            _selected(ptr, graphs) for ptr in (self.node_ptr, self.edge_ptr)
        )
        moved = (node_ptr[:-1] - self.node_ptr[graphs]).repeat_interleave(edge_ptr.diff())
        rows = {"node_label": nodes, "node_attr": nodes, "edge_label": edges, "edge_attr": edges}
        columns: dict[str, Any] = {name: getattr(self, name)[rows[name]] for name in self.columns}
        return dataclasses.replace(
            self,
            node_ptr=node_ptr,
            edge_index=self.edge_index[:, edges] + moved,
            edge_ptr=edge_ptr,
            y=self.y[graphs],
            ids=self.ids[graphs.numpy()],
            **columns,
        )

    @property
    def labels(self) -> NDArray[Any] | None:
        """(G,) integers or strings, or measured targets, (G,) or (G, T): the labels as they were given; None without.

        A missing label is NaN, so that integers become float64, or the empty string.
        """
        return own_labels(self.y, self.classes)

    @initial_state()
    def with_classes(self, classes: Sequence[Class]) -> "GraphData":
        """Return the same data set with its classes numbered as in another one, whose `classes` these are.

        Raises:
            InputError: the graphs have a class that is not among them.
        """
        labels = with_classes(Labels(self.y, self.classes), classes, self.name)
        return dataclasses.replace(self, **labels._asdict())

    @cached_property
    def checksum(self) -> str:
        """SHA-256, in hexadecimal, of the graphs with their columns, labels and ids; the name does not count."""
        tensors = {"node_ptr": self.node_ptr, "edge_index": self.edge_index, "y": self.y}
        tensors |= {name: getattr(self, name) for name in self.columns}
        values = {
            "node": self.node_label_values,
            "edge": self.edge_label_values,
            "classes": self.classes,
            "ids": self.ids.tolist(),
            **({"targets": self.targets} if self.targets else {}),
        }
        return tensors_checksum(tensors, json.dumps(values, default=repr))

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
        """Number of classes C; 0 without labels and with measured targets."""
        return len(self.classes)


def _selected(ptr: Tensor, graphs: Tensor) -> tuple[Tensor, Tensor]:
    """Return the offsets of the selected graphs' rows, (n + 1,), and which rows of the data set these are."""
    new = offsets(ptr.diff()[graphs])
    moved = (ptr[graphs] - new[:-1]).repeat_interleave(new.diff())
    return new, torch.arange(int(new[-1])) + moved


def _free(name: str | None, values: Mapping[str, Any], standard: str) -> str:
    """Return a name for a column of `Data`, or the standard one if the name stands for something else there."""
    return standard if name is None or name in values or name in RESERVED else name


def _restored(labels: Tensor, values: Values | None) -> Tensor:
    """Return labels (n, K) as the values that they number, if all of these are integers, else the numbers."""
    whole = [type(value) is int for column in values or () for value in column]
    if values is None or not all(whole):
        return labels
    columns = zip(values, labels.unbind(1), strict=True)
    return torch.stack([torch.tensor(column)[label] for column, label in columns], dim=1)


def renumbered(
    labels: NDArray[np.int64] | None,
) -> tuple[Tensor | None, Values | None]:
    """Return (N, K) labels renumbered to 0..V-1 per column, and the V distinct values of each column, ascending."""
    if labels is None:
        return None, None
    columns = [np.unique(column, return_inverse=True) for column in labels.T]
    places = torch.from_numpy(np.stack([place for _, place in columns], axis=1))
    return places, tuple(tuple(values.tolist()) for values, _ in columns)
