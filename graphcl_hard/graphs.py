"""Anyone's graphs, from PyTorch Geometric, networkx or SciPy, as one set of flat tensors."""

import contextlib
import dataclasses
import math
import warnings
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, NamedTuple

import networkx as nx
import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import Batch, Data

from graphcl_hard.data_tensors import column_of, count, is_plain
from graphcl_hard.errors import InputError, shown
from graphcl_hard.graph_data import GraphData
from graphcl_hard.tu_format import clean_edges

INTEGERS = (torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64)
KINDS = "torch_geometric.data.Data, networkx graphs or square SciPy sparse matrices"


class _Graph(NamedTuple):
    """One graph with n nodes and e directed edges."""

    num_nodes: int
    edge_index: NDArray[np.int64]
    """(2, e), source above target."""
    labels: Sequence[tuple[Hashable, ...]] | None = None
    """A tuple of K labels for each node."""
    attributes: NDArray[np.float32] | None = None
    """(n, A)."""


def to_graph_data(
    graphs: Iterable[Any] | GraphData, *, node_label: str | None = None, node_attr: str | Sequence[str] | None = None
) -> GraphData:
    """Graphs of one kind, in a list, a dataset or any iterable, as flat tensors.

    What is read, for each kind:

    - PyTorch Geometric's `Data`: `edge_index`, as it stands; `x` (n, A) as numeric attributes.
    - networkx: nodes in the order of the graph; an undirected edge in both directions, a directed one in its own.
    - SciPy sparse matrices and arrays: entry (i, j) other than 0 is an edge from i to j; its value is not used.

    Messages flow along the edges. Self-loops are dropped, since GIN adds a node to its neighbours anyway, and parallel
    edges merged, as in the TU sets. A graph may have no edges, or no nodes.

    Args:
        graphs: the graphs. Of `GraphData` all is kept, but its attributes only with `node_attr="node_attr"`.
        node_label: name of the nodes' categorical attribute: of networkx nodes, any hashable value; of `Data`, a
            tensor (n,) or (n, K) of integers. None: no labels.
        node_attr: name, or names, of the nodes' numeric attributes, each a number or a vector a node. None: the
            `x` of `Data`, and nothing of the other kinds. `()`: no attributes.

    Returns:
        `GraphData` named "graphs", whose `y` is 0 for every graph.

    Raises:
        InputError: the graphs are of several kinds, or of another; one of them lacks an attribute that others have or
            that was named, has a value that is not finite, or edges that name no node; by its number, from 0.
    """
    names = _names(node_attr)
    if isinstance(graphs, GraphData):
        if node_label is not None or names not in (None, (), ("node_attr",)):
            raise InputError(
                f"Of {graphs.name}, a set in flat tensors, node_label must be None and node_attr None or 'node_attr', "
                f"got {node_label!r} and {node_attr!r}; its labels are used anyway."
            )
        return graphs if names else dataclasses.replace(graphs, node_attr=None)
    parts = _read_all(graphs, node_label, names)
    sizes = np.array([part.num_nodes for part in parts], dtype=np.int64)
    node_ptr = np.append(0, np.cumsum(sizes))
    edges = [part.edge_index + start for part, start in zip(parts, node_ptr, strict=False)]
    # Sorted by source, and with it by graph.
    edge_index, _, _ = clean_edges(np.concatenate(edges, axis=1), None, None, int(node_ptr[-1]))
    edge_ptr = np.searchsorted(edge_index[0], node_ptr)
    attributes = _stack_attributes(parts)
    label, values = _number_labels(parts)
    return GraphData(
        name="graphs",
        node_ptr=torch.from_numpy(node_ptr),
        edge_index=torch.from_numpy(edge_index),
        edge_ptr=torch.from_numpy(edge_ptr.astype(np.int64)),
        y=torch.zeros(len(parts), dtype=torch.int64),
        node_label=label,
        node_attr=None if attributes is None else torch.from_numpy(attributes),
        node_label_values=values,
    )


def _names(node_attr: Any) -> tuple[str, ...] | None:
    if node_attr is None:
        return None
    names = (node_attr,) if isinstance(node_attr, str) else node_attr
    if not isinstance(names, (tuple, list)) or not all(isinstance(name, str) for name in names):
        raise InputError(f"node_attr must be a name, a tuple of names or None, got {node_attr!r}; mend it.")
    return tuple(names)


def _read_all(graphs: Iterable[Any], node_label: str | None, node_attr: tuple[str, ...] | None) -> list[_Graph]:
    if isinstance(graphs, (Data, nx.Graph)) or scipy.sparse.issparse(graphs):
        raise InputError(f"graphs must be a list of graphs, got a single {type(graphs).__name__}; put it into a list.")
    try:
        given = list(graphs)
    except TypeError:
        raise InputError(f"graphs must be a list of {KINDS}, got {type(graphs).__name__}; give such a list.") from None
    if not given:
        raise InputError("graphs must hold at least one graph, got none; give a list with graphs in it.")
    kinds = {_kind(graph, index): index for index, graph in reversed(list(enumerate(given)))}
    if len(kinds) > 1:
        (first, one), (second, other) = sorted(kinds.items(), key=lambda item: item[1])[:2]
        raise InputError(
            f"graphs must all be of one kind, got {first} for graph {one} and {second} for graph {other}; convert "
            "one of them."
        )
    kind = next(iter(kinds))
    if kind == "SciPy" and (node_label is not None or node_attr):
        raise InputError(
            f"node_label and node_attr must be None for SciPy matrices, which have no attributes, got {node_label!r} "
            f"and {node_attr!r}; give networkx graphs instead."
        )
    readers: dict[str, Callable[..., _Graph]] = {
        "PyTorch Geometric": _read_data,
        "networkx": _read_networkx,
        "SciPy": _read_matrix,
    }
    read = readers[kind]
    parts = []
    for index, graph in enumerate(given):
        part = read(graph, index, node_label, node_attr)
        _check_edges(part, index)
        parts.append(part)
    return parts


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


def _read_data(data: Data, index: int, node_label: str | None, node_attr: tuple[str, ...] | None) -> _Graph:
    for what, names in (
        ("node_label", (node_label,) if node_label is not None else ()),
        ("node_attr", node_attr or ()),
    ):
        for name in names:
            if name not in data:
                raise InputError(f"Graph {index} has no {name!r}, which {what} names; it has {', '.join(data.keys())}.")
    labels = None
    wanted = [name for name in (("x",) if node_attr is None else node_attr) if name in data]
    columns = [column_of(data, name, index).float() for name in wanted]
    if node_label is not None:
        column = column_of(data, node_label, index)
        if column.is_floating_point():
            raise InputError(f"Graph {index} has a {node_label!r} of {column.dtype}, must be integers; convert it.")
        labels = [tuple(row) for row in column.tolist()]
    rows = {len(found) for found in (labels, *columns) if found is not None}
    if "x" not in wanted and isinstance(data.x, Tensor) and data.x.dim():
        rows.add(len(data.x))
    if "num_nodes" in data:
        rows.add(count(data["num_nodes"], index))
    if len(rows) != 1:
        # PyG would guess it from the edges, and lose nodes without edges at the end.
        found = " and ".join(map(str, sorted(rows)))
        raise InputError(
            f"Graph {index} must have one number of nodes, got {found or 'no x and no num_nodes'}; set num_nodes."
        )
    if data.edge_index is None and "adj_t" in data:
        raise InputError(f"Graph {index} has adj_t in place of edge_index; leave the transform ToSparseTensor out.")
    edge_index = torch.empty(2, 0, dtype=torch.int64) if data.edge_index is None else data.edge_index
    if not isinstance(edge_index, Tensor):
        raise InputError(f"Graph {index} has an edge_index that is a {type(edge_index).__name__}, must be a tensor.")
    if not is_plain(edge_index):
        raise InputError(f"Graph {index} has an edge_index without numbers in memory, or a sparse one; convert it.")
    if edge_index.dim() != 2 or edge_index.size(0) != 2 or edge_index.dtype not in INTEGERS:
        raise InputError(
            f"Graph {index} has an edge_index {tuple(edge_index.shape)} of {edge_index.dtype}, must be (2, E) int64; "
            "transpose or convert it."
        )
    attributes = torch.cat(columns, dim=1).numpy() if columns else None
    return _Graph(rows.pop(), edge_index.cpu().numpy().astype(np.int64), labels, attributes)


def _read_networkx(graph: nx.Graph, index: int, node_label: str | None, node_attr: tuple[str, ...] | None) -> _Graph:
    number = {node: position for position, node in enumerate(graph)}
    edges = np.array([(number[u], number[v]) for u, v in graph.edges()], dtype=np.int64).reshape(-1, 2).T
    if not graph.is_directed():
        edges = np.concatenate([edges, edges[::-1]], axis=1)

    def value(node: Hashable, name: str) -> Any:
        try:
            return graph.nodes[node][name]
        except KeyError:
            raise InputError(f"Graph {index} has no attribute {name!r} at its node {node!r}; add it.") from None

    labels = None
    if node_label is not None:
        labels = [(_label(value(node, node_label), node, index),) for node in graph]
    attributes = None
    if node_attr:
        rows = [[value(node, name) for name in node_attr] for node in graph]
        try:
            # hstack takes numbers and vectors. Of a complex number, or one beyond float32, NumPy only warns.
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                flat = [np.hstack([np.asarray(v, dtype=np.float32) for v in row]) for row in rows]
            attributes = np.stack(flat).reshape(len(flat), -1) if flat else None
            if flat and flat[0].ndim != 1:
                raise ValueError(f"of {flat[0].ndim} dimensions")
        except (ArithmeticError, RuntimeError, TypeError, ValueError, Warning) as error:
            raise InputError(
                f"Graph {index} has attributes {', '.join(node_attr)} that are not numbers, or not as many at each "
                f"node ({error}); name categories by node_label instead."
            ) from error
    return _Graph(len(number), edges, labels, attributes)


def _label(value: Any, node: Hashable, index: int) -> Hashable:
    """A label as it is kept: NumPy's numbers as Python's, which are equal and can be saved."""
    value = value.item() if isinstance(value, np.generic) else value
    if not isinstance(value, Hashable) or isinstance(value, Tensor) or (isinstance(value, float) and math.isnan(value)):
        raise InputError(
            f"Graph {index} has the label {shown(value)} at its node {node!r}, which cannot be told from others; give "
            "a string or a number."
        )
    return value


def _read_matrix(matrix: Any, index: int, *_: object) -> _Graph:
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise InputError(f"Graph {index} is a matrix {matrix.shape}, must be square, node by node; mend it.")
    source, target = matrix.nonzero()
    return _Graph(matrix.shape[0], np.stack([source, target]).astype(np.int64))


def _check_edges(graph: _Graph, index: int) -> None:
    if graph.edge_index.size:
        low, high = graph.edge_index.min(), graph.edge_index.max()
        if low < 0 or high >= graph.num_nodes:
            raise InputError(
                f"Graph {index} has edges that name nodes {low} to {high}, must lie in [0, {graph.num_nodes - 1}]; "
                "number the nodes of each graph from 0."
            )
    if graph.attributes is not None:
        bad = ~np.isfinite(graph.attributes).all(axis=1)
        if bad.any():
            raise InputError(
                f"Graph {index} has an attribute that is not finite at its node {int(bad.argmax())}; mend the value or "
                "leave the graph out."
            )


def _stack_attributes(parts: Sequence[_Graph]) -> NDArray[np.float32] | None:
    # A graph without nodes has no say in how many columns there are.
    held = {
        None if part.attributes is None else part.attributes.shape[1]: index
        for index, part in reversed(list(enumerate(parts)))
        if part.num_nodes
    }
    if len(held) > 1:
        (first, one), (second, other) = sorted(held.items(), key=lambda item: item[1])[:2]
        raise InputError(
            f"All graphs must have the same attributes, got {first or 'no'} columns in graph {one} and "
            f"{second or 'none'} in graph {other}; mend one of them."
        )
    width = next(iter(held), None)
    if width is None:
        return None
    return np.concatenate([part.attributes for part in parts if part.attributes is not None and part.num_nodes])


def _number_labels(parts: Sequence[_Graph]) -> tuple[Tensor | None, tuple[tuple[Hashable, ...], ...] | None]:
    """(N, K) int64 numbers of the labels, and the K columns' values in the order of their numbers."""
    rows = [row for part in parts for row in part.labels or ()]
    if not rows:
        return None, None
    widths = {len(row) for row in rows}
    if len(widths) > 1:
        raise InputError(f"All nodes must have as many labels, got {min(widths)} and {max(widths)}; mend them.")
    values, numbers = [], []
    for column in zip(*rows, strict=True):
        distinct = list(dict.fromkeys(column))
        with contextlib.suppress(TypeError):  # where values have an order, the order of the graphs gives none
            distinct.sort(key=lambda value: (type(value).__name__, value))
        number = {value: position for position, value in enumerate(distinct)}
        values.append(tuple(distinct))
        numbers.append([number[value] for value in column])
    return torch.tensor(numbers).T.contiguous(), tuple(values)
