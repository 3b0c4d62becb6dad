"""Anyone's graphs, from PyTorch Geometric, networkx or SciPy, as one set of flat tensors."""

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any

import networkx as nx
import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import Batch, Data

from graphcl_hard.data.adjacency import clean_edges
from graphcl_hard.data.graph_data import GraphData
from graphcl_hard.data.readers import WEIGHT, Names, OneGraph, check_graph, read_data, read_matrix, read_networkx
from graphcl_hard.data.shards import SHARD_GRAPHS, GraphShards
from graphcl_hard.exceptions import InputError, short_repr

KINDS = "torch_geometric.data.Data, networkx graphs or square SciPy sparse matrices"
READERS: dict[str, Callable[..., OneGraph]] = {
    "PyTorch Geometric": read_data,
    "networkx": read_networkx,
    "SciPy": read_matrix,
}


def to_graph_data(
    graphs: Iterable[Any] | GraphData | GraphShards,
    *,
    node_label: str | None = None,
    node_attr: str | Sequence[str] | None = None,
    edge_label: str | None = None,
    edge_attr: str | Sequence[str] | None = None,
) -> GraphData:
    """Graphs of one kind, in a list, a dataset or any iterable, as flat tensors.

    What is read, for each kind:

    - PyTorch Geometric's `Data`: `edge_index`, as it stands; `x` (n, A) and `edge_attr` (e, A) as numeric attributes.
    - networkx: nodes in the order of the graph; an undirected edge in both directions, a directed one in its own.
    - SciPy sparse matrices and arrays: entry (i, j) other than 0 is an edge from i to j. Its value is a number and so
      no label; it is not used, but with `edge_attr="weight"`, networkx's name for it, as the edge's one attribute.

    Messages flow along the edges. Self-loops are dropped, since GIN adds a node to its neighbours anyway, and parallel
    edges merged, as in the TU sets: their attributes are summed, and the first one's labels stay. A graph may have no
    edges, or no nodes.

    Args:
        graphs: the graphs. Of `GraphData` and `GraphShards` all is kept, but its nodes' attributes only with
            `node_attr="node_attr"`.
        node_label: name of the nodes' categorical attribute: of networkx nodes, any hashable value; of `Data`, a
            tensor (n,) or (n, K) of integers. None: no labels.
        node_attr: name, or names, of the nodes' numeric attributes, each a number or a vector a node. None: the
            `x` of `Data`, and nothing of the other kinds. `()`: no attributes.
        edge_label: as `node_label`, of the edges; tensors (e,) or (e, K) in the order of `edge_index`.
        edge_attr: as `node_attr`, of the edges. None: the `edge_attr` of `Data`, unless `edge_label` names it, and of
            `GraphData`. `()`: none.

    Returns:
        `GraphData` named "graphs", whose `y` is 0 for every graph.

    Raises:
        InputError: the graphs are of several kinds, or of another; one of them lacks an attribute that others have or
            that was named, has a value that is not finite, or edges that name no node; by its number, from 0.
    """
    names = attribute_names(node_label, node_attr, edge_label, edge_attr)
    if isinstance(graphs, (GraphData, GraphShards)):
        columns = unused_columns(graphs, names)
        if isinstance(graphs, GraphShards):
            return graphs.without(*columns).whole()
        without: dict[str, Any] = dict.fromkeys(columns)
        return dataclasses.replace(graphs, **without) if columns else graphs
    given = list(iterate_graphs(graphs))
    if not given:
        raise InputError("graphs must hold at least one graph, got none; give a list with graphs in it.")
    return _concatenate(_read(given, names, {}, 0), 0)


def to_chunks(
    graphs: Iterable[Any],
    *,
    node_label: str | None = None,
    node_attr: str | Sequence[str] | None = None,
    edge_label: str | None = None,
    edge_attr: str | Sequence[str] | None = None,
    size: int = SHARD_GRAPHS,
) -> Iterator[GraphData]:
    """The same, `size` graphs at a time: what `shard_writing.write_shards` takes, of an iterable of any length.

    Raises:
        InputError: as `to_graph_data` does, when it comes to the graph.
    """
    names = attribute_names(node_label, node_attr, edge_label, edge_attr)
    each, kinds, done = iterate_graphs(graphs), dict[str, int](), 0
    while given := list(itertools.islice(each, size)):
        yield _concatenate(_read(given, names, kinds, done), done)
        done += len(given)


def _concatenate(parts: Sequence[OneGraph], done: int) -> GraphData:
    """Graphs as flat tensors; `done` is the number of the first, for complaints."""
    sizes = np.array([part.num_nodes for part in parts], dtype=np.int64)
    node_ptr = np.append(0, np.cumsum(sizes))
    edges = [part.edge_index + start for part, start in zip(parts, node_ptr, strict=False)]
    edge_labels = [row for part in parts for row in part.edges.labels or ()]
    # Sorted by source, and with it by graph. Labels stay apart from the edges that are dropped, by their places.
    edge_index, attributes, places = clean_edges(
        np.concatenate(edges, axis=1),
        _stack([(part.edge_index.shape[1], part.edges.attributes) for part in parts], " of edges", done),
        np.arange(len(edge_labels)) if edge_labels else None,
        int(node_ptr[-1]),
    )
    label, values = _number([row for part in parts for row in part.nodes.labels or ()], "nodes")
    kept = [] if places is None else [edge_labels[place] for place in places.tolist()]
    edge_number, edge_values = _number(kept, "edges")
    node_attributes = _stack([(part.num_nodes, part.nodes.attributes) for part in parts], "", done)
    return GraphData(
        name="graphs",
        node_ptr=torch.from_numpy(node_ptr),
        edge_index=torch.from_numpy(edge_index),
        edge_ptr=torch.from_numpy(np.searchsorted(edge_index[0], node_ptr).astype(np.int64)),
        y=torch.zeros(len(parts), dtype=torch.int64),
        node_label=label,
        node_attr=None if node_attributes is None else torch.from_numpy(node_attributes),
        node_label_values=values,
        edge_label=edge_number,
        edge_attr=None if attributes is None else torch.from_numpy(attributes),
        edge_label_values=edge_values,
    )


def attribute_names(
    node_label: Any = None, node_attr: Any = None, edge_label: Any = None, edge_attr: Any = None
) -> Names:
    """The arguments of `to_graph_data`, of which any may be left out, checked.

    Raises:
        InputError: one is no name.
    """
    for what, name in (("node_label", node_label), ("edge_label", edge_label)):
        if not isinstance(name, (str, type(None))):
            raise InputError(f"{what} must be a name or None, got {short_repr(name)}; mend it.")
    return Names(node_label, _names(node_attr, "node_attr"), edge_label, _names(edge_attr, "edge_attr"))


def _names(given: Any, what: str) -> tuple[str, ...] | None:
    if given is None:
        return None
    names = (given,) if isinstance(given, str) else given
    if not isinstance(names, (tuple, list)) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{what} must be a name, a tuple of names or None, got {short_repr(given)}; mend it.")
    return tuple(names)


def unused_columns(graphs: GraphData | GraphShards, names: Names) -> list[str]:
    """The columns of a set in flat tensors that are not asked for.

    Raises:
        InputError: names that it cannot have.
    """
    for what in ("node", "edge"):
        label, attributes = getattr(names, f"{what}_label"), getattr(names, f"{what}_attr")
        if label is not None or attributes not in (None, (), (f"{what}_attr",)):
            raise InputError(
                f"Of {graphs.name}, a set in flat tensors, {what}_label must be None and {what}_attr None or "
                f"'{what}_attr', got {label!r} and {attributes!r}; its labels are used anyway."
            )
    nodes = [] if names.node_attr else ["node_attr"]
    return [*nodes, *(["edge_attr"] if names.edge_attr == () else [])]


def iterate_graphs(graphs: Iterable[Any]) -> Iterator[Any]:
    """The graphs of a list, a dataset or any iterable.

    Raises:
        InputError: it is none.
    """
    given: Any = graphs
    if hasattr(given, "__len__") and hasattr(given, "__getitem__") and not hasattr(given, "__iter__"):
        # A dataset of PyTorch, which need not raise the IndexError that ends an iteration.
        return (given[index] for index in range(len(given)))
    if isinstance(graphs, (Data, nx.Graph)) or scipy.sparse.issparse(graphs):
        raise InputError(f"graphs must be a list of graphs, got a single {type(graphs).__name__}; put it into a list.")
    try:
        return iter(graphs)
    except TypeError:
        raise InputError(f"graphs must be a list of {KINDS}, got {type(graphs).__name__}; give such a list.") from None


def _read(given: Sequence[Any], names: Names, kinds: dict[str, int], done: int) -> list[OneGraph]:
    """What is read of some graphs; `kinds` has the first graph of each kind, `done` is the number of the first here."""
    for index, graph in enumerate(given, done):
        kinds.setdefault(_kind(graph, index), index)
    if len(kinds) > 1:
        (first, one), (second, other) = sorted(kinds.items(), key=lambda item: item[1])[:2]
        raise InputError(
            f"graphs must all be of one kind, got {first} for graph {one} and {second} for graph {other}; convert "
            "one of them."
        )
    kind = next(iter(kinds))
    if kind == "SciPy":
        _check_matrix_names(names)
    parts = []
    for index, graph in enumerate(given, done):
        part = READERS[kind](graph, index, names)
        check_graph(part, index)
        parts.append(part)
    return parts


def _check_matrix_names(names: Names) -> None:
    if names.node_label is not None or names.node_attr or names.edge_label is not None:
        raise InputError(
            "node_label, node_attr and edge_label must be None for SciPy matrices, which have numbers for edges alone, "
            f"got {names.node_label!r}, {names.node_attr!r} and {names.edge_label!r}; give networkx graphs instead."
        )
    if names.edge_attr not in (None, (), (WEIGHT,)):
        raise InputError(
            f"edge_attr must be None or {WEIGHT!r} for SciPy matrices, the value of an entry, got {names.edge_attr!r}; "
            "give networkx graphs instead."
        )


def _kind(graph: Any, index: int) -> str:
    if isinstance(graph, Batch):
        raise InputError(f"Graph {index} is a Batch of {graph.num_graphs} graphs; give its to_data_list() instead.")
    if isinstance(graph, Data):
        return "PyTorch Geometric"
    if isinstance(graph, nx.Graph):
        return "networkx"
    if scipy.sparse.issparse(graph):
        return "SciPy"
    raise InputError(f"Graph {index} must be one of {KINDS}, got {type(graph).__name__}; convert it.")


def _stack(parts: Sequence[tuple[int, NDArray[np.float32] | None]], of: str, done: int) -> NDArray[np.float32] | None:
    """The attributes of all graphs; of each the number of its nodes, or edges, is given, and their attributes."""
    # A graph without nodes, or edges, has no say in how many columns there are.
    held = {
        None if attributes is None else attributes.shape[1]: index
        for index, (count, attributes) in reversed(list(enumerate(parts, done)))
        if count
    }
    if len(held) > 1:
        (first, one), (second, other) = sorted(held.items(), key=lambda item: item[1])[:2]
        raise InputError(
            f"All graphs must have the same attributes{of}, got {first or 'no'} columns in graph {one} and "
            f"{second or 'none'} in graph {other}; mend one of them."
        )
    if next(iter(held), None) is None:
        return None
    return np.concatenate([attributes for count, attributes in parts if attributes is not None and count])


def _number(
    rows: Sequence[tuple[Hashable, ...]], things: str
) -> tuple[Tensor | None, tuple[tuple[Hashable, ...], ...] | None]:
    """(N, K) int64 numbers of the labels, and the K columns' values in the order of their numbers."""
    if not rows:
        return None, None
    widths = {len(row) for row in rows}
    if len(widths) > 1:
        raise InputError(f"All {things} must have as many labels, got {min(widths)} and {max(widths)}; mend them.")
    values, numbers = [], []
    for column in zip(*rows, strict=True):
        distinct = list(dict.fromkeys(column))
        with contextlib.suppress(TypeError):  # where values have an order, the order of the graphs gives none
            distinct.sort(key=lambda value: (type(value).__name__, value))
        number = {value: position for position, value in enumerate(distinct)}
        values.append(tuple(distinct))
        numbers.append([number[value] for value in column])
    return torch.tensor(numbers).T.contiguous(), tuple(values)
