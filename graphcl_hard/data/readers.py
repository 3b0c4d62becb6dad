"""Read and check single graphs of PyTorch Geometric, networkx or SciPy."""

import math
import warnings
from collections.abc import Hashable, Iterable, Sequence
from typing import Any, NamedTuple

import networkx as nx
import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import Data

from graphcl_hard.data.graph_data import Names
from graphcl_hard.data.labels import Labels, numbered_targets, read_labels, without_labels
from graphcl_hard.exceptions import InputError, first_line, short_repr

INTEGERS = (torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64)
WEIGHT = "weight"
"""The name that networkx gives the entries of a matrix."""


class Rows(NamedTuple):
    """Labels and attributes of the n nodes, or the e edges, of a graph."""

    labels: Sequence[tuple[Hashable, ...]] | None = None
    """A tuple of K labels for each node or edge."""
    attributes: NDArray[np.float32] | None = None
    """(n, A) or (e, A) float32."""


class OneGraph(NamedTuple):
    """One graph with n nodes and e directed edges."""

    num_nodes: int
    edge_index: NDArray[np.int64]
    """(2, e) int64, sources in row 0 and targets in row 1."""
    nodes: Rows = Rows()
    edges: Rows = Rows()


def names_in(graphs: Sequence[Data], first: int, names: Names) -> Names:
    """Return the names to read from `Data` objects, with the defaults in place of None.

    A float `x` holds attributes. An integer one holds labels, such as the atoms of PyG's `from_smiles`, unless it is
    named as an attribute. Without `x`, `node_label` is read if it is there. The same holds for `edge_attr` and
    `edge_label`.

    Args:
        graphs: the graphs.
        first: index of the first one, for error messages.
        names: the names that the caller gave.

    Raises:
        InputError: an attribute is an integer in some graphs only, or beside other labels.
    """
    found: dict[str, Any] = {}
    for what, default in (("node", "x"), ("edge", "edge_attr")):
        label, attributes = getattr(names, f"{what}_label"), getattr(names, f"{what}_attr")
        for index, graph in enumerate(graphs, first):
            # A graph without edges needs no attributes of edges.
            if what == "node" or (
                isinstance(graph.edge_index, Tensor) and graph.edge_index.numel()
            ):
                _check_named(graph, index, f"{what}_attr", attributes or ())
        if what == "edge" and label is not None and label == found["node_label"]:
            # One `Data` cannot have both under one name, so those of a data set have edge_label.
            label = "edge_label" if any("edge_label" in graph for graph in graphs) else label
        if attributes is None:
            is_label = None if label == default else _is_integer(graphs, first, default)
            if is_label is None:
                attributes = ()
                if label is None and any(f"{what}_label" in graph for graph in graphs):
                    label = f"{what}_label"
            elif not is_label:
                attributes = (default,)
            elif label is None:
                attributes, label = (), default
            else:
                raise InputError(
                    f"The graphs have integers as {default!r}, which may be categories or numbers, beside the labels "
                    f"{label!r}; give {what}_attr={default!r} to read them as numbers, or {what}_attr=() to leave them "
                    "out."
                )
        found |= {f"{what}_label": label, f"{what}_attr": attributes}
    return Names(**found)


def _is_integer(graphs: Sequence[Data], first: int, name: str) -> bool | None:
    """Return whether an attribute is an integer tensor in all graphs; None if no graph has it."""
    kinds: dict[bool, int] = {}
    for index, graph in enumerate(graphs, first):
        value = graph.get(name)
        if isinstance(value, Tensor) and value.numel():
            kinds.setdefault(value.dtype in INTEGERS, index)
    if len(kinds) > 1:
        raise InputError(
            f"All graphs must have {name!r} of one kind, got integers in graph {kinds[True]} and others in graph "
            f"{kinds[False]}; convert one of them."
        )
    held = any(name in graph and graph[name] is not None for graph in graphs)
    return next(iter(kinds), False if held else None)


def read_data(data: Data, index: int, names: Names) -> OneGraph:
    """Read a `Data` object by the names of `names_in`; `index` is its index, for error messages."""
    nodes = _tensors(data, index, "node", names.node_label, names.node_attr or ())
    rows = {len(found) for found in nodes if found is not None}
    if isinstance(data.x, Tensor) and data.x.dim():
        rows.add(len(data.x))
    if "num_nodes" in data:
        rows.add(count(data["num_nodes"], index))
    if len(rows) != 1:
        # PyG would infer it from the edges, and lose trailing nodes without edges.
        found = " and ".join(map(str, sorted(rows)))
        raise InputError(
            f"Graph {index} must have one number of nodes, got {found or 'no x and no num_nodes'}; set num_nodes."
        )
    if data.edge_index is None and "adj_t" in data:
        raise InputError(
            f"Graph {index} has adj_t instead of edge_index; leave out the transform ToSparseTensor."
        )
    edge_index = (
        torch.empty(2, 0, dtype=torch.int64) if data.edge_index is None else data.edge_index
    )
    if not isinstance(edge_index, Tensor):
        raise InputError(
            f"Graph {index} has an edge_index that is a {type(edge_index).__name__}, must be a tensor."
        )
    if not is_dense(edge_index):
        raise InputError(
            f"Graph {index} has an edge_index that is sparse or on the meta device; convert it."
        )
    if edge_index.shape == (2, 0):  # torch.tensor([[], []]) has floats
        edge_index = edge_index.long()
    if edge_index.dim() != 2 or edge_index.size(0) != 2 or edge_index.dtype not in INTEGERS:
        raise InputError(
            f"Graph {index} has an edge_index {tuple(edge_index.shape)} of {edge_index.dtype}, must be (2, E) int64; "
            "transpose or convert it."
        )
    return OneGraph(
        rows.pop(),
        edge_index.cpu().numpy().astype(np.int64),
        nodes,
        _edge_tensors(data, index, names, edge_index),
    )


def _edge_tensors(data: Data, index: int, names: Names, edge_index: Tensor) -> Rows:
    num_edges = edge_index.size(1)
    if num_edges == 0:  # a graph without edges need not have the attributes of others
        return Rows()
    wanted = names.edge_attr or ()
    for name in (*wanted, *((names.edge_label,) if names.edge_label else ())):
        rows = column_of(data, name, index).size(0) if name in data else num_edges
        if rows != num_edges:
            raise InputError(
                f"Graph {index} has a {name!r} of {rows} rows, must have one for each of its {num_edges} edges; "
                "correct it."
            )
    return _tensors(data, index, "edge", names.edge_label, wanted)


def _tensors(
    data: Data, index: int, what: str, label: str | None, attributes: Iterable[str]
) -> Rows:
    """Read the labels, and those of the attributes that exist."""
    columns = [column_of(data, name, index).float() for name in attributes if name in data]
    if len({len(column) for column in columns}) > 1:
        found = " and ".join(str(rows) for rows in sorted({len(column) for column in columns}))
        raise InputError(
            f"Graph {index} must have one number of {what}s, got {found}; correct its attributes."
        )
    labels = None
    if label is not None:
        _check_named(data, index, f"{what}_label", (label,))
        column = column_of(data, label, index)
        if column.is_floating_point():
            raise InputError(
                f"Graph {index} has a {label!r} of {column.dtype}, must be integers; convert it."
            )
        labels = [tuple(row) for row in column.tolist()]
    return Rows(labels, torch.cat(columns, dim=1).numpy() if columns else None)


def _check_named(data: Data, index: int, what: str, names: Iterable[str]) -> None:
    for name in names:
        if name not in data:
            raise InputError(
                f"Graph {index} has no {name!r}, which is to be read as {what}; it has "
                f"{', '.join(sorted(data.keys()))}."
            )


def read_networkx(graph: nx.Graph, index: int, names: Names) -> OneGraph:
    """Read a networkx graph; `index` is its index, for error messages."""
    number = {node: position for position, node in enumerate(graph)}
    # Self-loops are dropped anyway and need no attributes.
    found = [(u, v, values) for u, v, values in graph.edges(data=True) if u != v]
    edge_index = (
        np.array([(number[u], number[v]) for u, v, _ in found], dtype=np.int64).reshape(-1, 2).T
    )
    nodes = _values(
        [(node, graph.nodes[node]) for node in graph],
        index,
        "node",
        names.node_label,
        names.node_attr,
    )
    edges = _values(
        [((u, v), values) for u, v, values in found],
        index,
        "edge",
        names.edge_label,
        names.edge_attr,
    )
    if not graph.is_directed():
        edge_index = np.concatenate([edge_index, edge_index[::-1]], axis=1)
        edges = Rows(
            None if edges.labels is None else [*edges.labels, *edges.labels],
            None
            if edges.attributes is None
            else np.concatenate([edges.attributes, edges.attributes]),
        )
    return OneGraph(len(number), edge_index, nodes, edges)


def _values(
    things: Sequence[tuple[Hashable, dict[str, Any]]],
    index: int,
    what: str,
    label: str | None,
    attributes: tuple[str, ...] | None,
) -> Rows:
    """Read the named values of nodes or edges, each given as its name in the graph and its dictionary."""

    def value(thing: Hashable, values: dict[str, Any], name: str) -> Any:
        try:
            return values[name]
        except KeyError:
            raise InputError(
                f"Graph {index} has no attribute {name!r} at its {what} {thing!r}; add it."
            ) from None

    labels = None
    if label is not None:
        labels = [
            (_label(value(thing, values, label), f"{what} {thing!r}", index),)
            for thing, values in things
        ]
    if not attributes or not things:
        return Rows(labels)
    rows = [[value(thing, values, name) for name in attributes] for thing, values in things]
    try:
        # hstack takes numbers and vectors. NumPy only warns of complex numbers and of numbers beyond float32.
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            flat = [np.hstack([np.asarray(v, dtype=np.float32) for v in row]) for row in rows]
        stacked = np.stack(flat).reshape(len(flat), -1)
        if flat[0].ndim != 1:
            raise ValueError(f"of {flat[0].ndim} dimensions")
    except (ArithmeticError, RuntimeError, TypeError, ValueError, Warning) as error:
        raise InputError(
            f"Graph {index} has attributes {', '.join(attributes)} that are not numbers, or not the same number of "
            f"them at each {what} ({first_line(error)}); name categories with {what}_label instead."
        ) from error
    return Rows(labels, stacked)


def _label(value: Any, where: str, index: int) -> Hashable:
    """Return a networkx label, with NumPy scalars converted to Python's, which are equal and can be saved."""
    value = value.item() if isinstance(value, np.generic) else value
    if (
        value is None
        or not isinstance(value, Hashable)
        or isinstance(value, Tensor)
        or (isinstance(value, float) and math.isnan(value))
    ):
        raise InputError(
            f"Graph {index} has the label {short_repr(value)} at its {where}, which cannot be compared with others; "
            "give a string or a number."
        )
    return value


def read_matrix(matrix: Any, index: int, names: Names) -> OneGraph:
    """Read an adjacency matrix, of SciPy, NumPy or PyTorch; `index` is its index, for error messages."""
    if isinstance(matrix, Tensor):
        matrix = _of_tensor(matrix, index)
    elif isinstance(matrix, np.ma.MaskedArray):
        matrix = matrix.filled(0)  # no edge, as in SciPy's csgraph
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise InputError(
            f"Graph {index} is a matrix {matrix.shape}, must be square; give an adjacency matrix."
        )
    if matrix.dtype.kind not in "biufc":
        raise InputError(
            f"Graph {index} is a matrix of {matrix.dtype}, must be of numbers; convert it."
        )
    entries = scipy.sparse.coo_array(matrix)
    bad = ~np.isfinite(entries.data)
    if bad.any():
        row, column = (int(places[bad][0]) for places in (entries.row, entries.col))
        raise InputError(
            f"Graph {index} is a matrix with a value that is not finite in row {row} and column {column} (counted from "
            "0); replace it, by 0 if there is no edge."
        )
    there = entries.data != 0
    edge_index = np.stack([entries.row[there], entries.col[there]]).astype(np.int64)
    if not names.edge_attr:
        return OneGraph(matrix.shape[0], edge_index)
    if np.iscomplexobj(entries.data):
        raise InputError(
            f"Graph {index} is a matrix of {entries.data.dtype}, must be real; convert it."
        )
    return OneGraph(
        matrix.shape[0],
        edge_index,
        edges=Rows(attributes=entries.data[there].astype(np.float32).reshape(-1, 1)),
    )


def _of_tensor(matrix: Tensor, index: int) -> Any:
    """Return a tensor as a matrix of NumPy, or of SciPy if it is sparse."""
    if matrix.device.type == "meta":
        raise InputError(f"Graph {index} is a tensor on the meta device, which has no values.")
    matrix = matrix.detach().cpu()
    if matrix.dtype == torch.bfloat16:
        matrix = matrix.float()
    if matrix.layout is torch.strided:
        return matrix.numpy()
    found = matrix.to_sparse_coo().coalesce()
    if found.dense_dim() or found.dim() != 2:
        return np.empty(tuple(found.shape))  # whose shape is refused
    return scipy.sparse.coo_array(
        (found.values().numpy(), tuple(found.indices().numpy())), shape=tuple(found.shape)
    )


def check_graph(graph: OneGraph, index: int) -> None:
    """Raise `InputError` if an edge refers to a node that does not exist, or an attribute is not finite."""
    if graph.edge_index.size:
        low, high = graph.edge_index.min(), graph.edge_index.max()
        if low < 0 or high >= graph.num_nodes:
            raise InputError(
                f"Graph {index} has edges between nodes {low} to {high}, must lie in [0, {graph.num_nodes - 1}]; "
                "number the nodes of each graph from 0."
            )
    for what, rows in (("node", graph.nodes), ("edge", graph.edges)):
        if rows.attributes is not None:
            bad = ~np.isfinite(rows.attributes).all(axis=1)
            if bad.any():
                raise InputError(
                    f"Graph {index} has an attribute that is not finite at its {what} {int(bad.argmax())}; "
                    "replace the value or leave the graph out."
                )


def labels_of(graphs: Sequence[Any], first: int) -> Labels:
    """Return the labels of graphs: `graph_label`, which the `Data` of a data set have, or else `y`.

    A `y` (1, T) of each `Data`, as PyG's MoleculeNet has it, or T numbers in each networkx graph, are several targets.

    Args:
        graphs: the graphs.
        first: index of the first one, for error messages.

    Raises:
        InputError: some graphs have a single number or name as their label and others something else; the numbers of
            targets differ; a target is infinite; or as in `read_labels`.
    """
    name = "graph_label" if any(_value(one, "graph_label") is not None for one in graphs) else "y"
    values = [_value(graph, name) for graph in graphs]
    several = [_several(graph, value) for graph, value in zip(graphs, values, strict=True)]
    if any(row is not None for row in several) and all(
        row is not None or value is None for row, value in zip(several, values, strict=True)
    ):
        return _targets(several, name, first)
    others = [index for index, value in enumerate(values) if not _is_plain(value)]
    if others and len(others) < len(values):
        found = short_repr(values[others[0]])
        raise InputError(
            f"Graph {first + others[0]} has the {name} {found}, must be a single number or a name as in the other "
            "graphs; convert it, or set it to None."
        )
    if others:  # labels of nodes are not read
        return without_labels(len(values))
    return read_labels(values, f"The {name}", "graph", first)


def _several(graph: Any, value: Any) -> NDArray[np.float64] | None:
    """Return a `y` that has several targets of one graph as (T,) float64, and None for any other."""
    if isinstance(value, Tensor):
        if not is_dense(value) or value.is_complex():
            return None
        value = value.detach().cpu().double().numpy()
    if not isinstance(value, (np.ndarray, list, tuple)):
        return None
    try:
        row = np.array(value, dtype=np.float64)  # with NaN for None
    except (TypeError, ValueError):
        return None
    # A y (T,) of `Data` has the labels of its nodes.
    of_graph = (
        row.shape[:1] == (1,) if row.ndim == 2 else row.ndim == 1 and isinstance(graph, nx.Graph)
    )
    return row.reshape(-1) if of_graph and row.size > 1 else None


def _targets(rows: Sequence[NDArray[np.float64] | None], name: str, first: int) -> Labels:
    """Return several targets as labels; None is a graph that has none of them."""
    widths = {
        len(row): index for index, row in reversed(list(enumerate(rows, first))) if row is not None
    }
    if len(widths) > 1:
        (width, one), (other, second) = sorted(widths.items(), key=lambda item: item[1])[:2]
        raise InputError(
            f"All graphs must have the same number of targets, got a {name} of {width} for graph {one} and of {other} "
            f"for graph {second}; give each graph all of them, NaN where one is missing."
        )
    (width,) = widths
    table = np.stack([np.full(width, math.nan) if row is None else row for row in rows])
    infinite = np.argwhere(np.isinf(table))
    if len(infinite):
        graph, target = infinite[0]
        raise InputError(
            f"The {name} has {table[graph, target]} as target {target} of graph {first + graph}, must be finite; "
            "correct it, or set it to NaN."
        )
    y = torch.from_numpy(table)
    return Labels(y, targets=numbered_targets(y))


def ids_of(graphs: Sequence[Any], first: int) -> NDArray[Any] | None:
    """Return the ids of graphs, (G,) int64 or str; None if no graph has an int or a string as its id.

    Raises:
        InputError: some graphs have an id and others none, or one of another kind.
    """
    ids = [_value(graph, "id") for graph in graphs]
    kinds = [type(one) if type(one) in (int, str) else None for one in ids]
    if not any(kinds):
        return None
    other = next((place for place, kind in enumerate(kinds) if kind is not kinds[0]), None)
    if other is not None:
        raise InputError(
            f"Graph {first} has the id {short_repr(ids[0])}, and graph {first + other} {short_repr(ids[other])}; give "
            "each graph an int, or each a string, or none an id."
        )
    # Integers beyond 64 bits keep their digits as strings.
    large = kinds[0] is int and not all(-(2**63) <= one < 2**63 for one in ids)
    return np.array([str(one) for one in ids] if large else ids)


def _value(graph: Any, name: str) -> Any:
    """Return what a graph has under a name, as a Python value if it is a single number; None if it has nothing."""
    if isinstance(graph, Data):
        value = graph.get(name)
    else:
        value = graph.graph.get(name) if isinstance(graph, nx.Graph) else None
    if isinstance(value, Tensor) and (not is_dense(value) or value.is_complex()):
        return value
    if isinstance(value, (Tensor, np.ndarray, np.generic)):
        size = value.numel() if isinstance(value, Tensor) else value.size
        return value.item() if size == 1 else value
    return value


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float))


def is_dense(value: Tensor) -> bool:
    """Return whether a tensor is dense and has its values in memory (not on the meta device)."""
    return value.layout is torch.strided and value.device.type != "meta"


def count(value: Any, index: int) -> int:
    """Return the `num_nodes` of the graph with this index as an int.

    Raises:
        InputError: it is not an integer from 0 to 2**31 - 1.
    """
    value = (
        value.item()
        if isinstance(value, Tensor) and value.numel() == 1 and is_dense(value)
        else value
    )
    if (
        not isinstance(value, (int, np.integer))
        or isinstance(value, bool)
        or not 0 <= value < 2**31
    ):
        raise InputError(
            f"Graph {index} has num_nodes {short_repr(value)}, must be an int from 0 to 2**31 - 1; set it again."
        )
    return int(value)


def column_of(data: Data, name: str, index: int) -> Tensor:
    """Return an attribute of the graph with this index as (n, K) on the CPU, in its own dtype.

    Raises:
        InputError: it is not a dense tensor of real numbers with one or two dimensions.
    """
    value = data[name]
    if (
        not isinstance(value, Tensor)
        or value.dim() not in (1, 2)
        or value.is_complex()
        or not is_dense(value)
    ):
        raise InputError(
            f"Graph {index} has a {name!r} that is not a tensor (n, K) of numbers; convert it."
        )
    return (value.unsqueeze(1) if value.dim() == 1 else value).detach().cpu()
