"""Collate graphs of PyTorch Geometric, networkx, SciPy or RDKit into flat tensors."""

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import networkx as nx
import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import Batch, Data, HeteroData
from torch_geometric.data.data import BaseData

from graphcl_hard._tensor import initial_state
from graphcl_hard.data.adjacency import clean_edges
from graphcl_hard.data.graph_data import GraphData, GraphSource, Names
from graphcl_hard.data.labels import without_labels
from graphcl_hard.data.molecules.featurize import (
    NAMES,
    REMEDY,
    LeftOut,
    converted,
    describe_invalid,
    is_molecule,
    join,
)
from graphcl_hard.data.molecules.vocabulary import MOLECULES, Vocabulary
from graphcl_hard.data.readers import (
    WEIGHT,
    OneGraph,
    check_graph,
    ids_of,
    labels_of,
    names_in,
    read_data,
    read_matrix,
    read_networkx,
)
from graphcl_hard.data.shards import SHARD_GRAPHS, GraphShards
from graphcl_hard.exceptions import InputError, short_repr

KINDS = "torch_geometric.data.Data, networkx graphs, square adjacency matrices or molecules (SMILES strings, RDKit's)"
MOLECULE = "RDKit"
READERS: dict[str, Callable[..., OneGraph]] = {
    "PyTorch Geometric": read_data,
    "networkx": read_networkx,
    "SciPy": read_matrix,
}


def to_graph_data(
    graphs: Iterable[Any] | GraphSource,
    *,
    node_label: str | None = None,
    node_attr: str | Sequence[str] | None = None,
    edge_label: str | None = None,
    edge_attr: str | Sequence[str] | None = None,
) -> GraphData:
    """Collate graphs, all of one kind, into flat tensors.

    The kinds of graphs are:

    - `torch_geometric.data.Data`: reads `edge_index` as it is, and `x`, (n, A), and `edge_attr`, (e, A), as numeric
      attributes; if they are integers, as PyG's `from_smiles` makes them, as labels.
    - networkx graphs: nodes keep the order of the graph. Undirected edges are read in both directions, directed edges
      in their own.
    - square adjacency matrices: SciPy's sparse ones, NumPy arrays or PyTorch tensors. Each nonzero entry (i, j) is an
      edge from i to j. Its value is read only with `edge_attr="weight"`, the name that networkx gives it, as the only
      attribute of the edge.
    - molecules: SMILES strings or RDKit molecules, see `molecule_graphs`. Their labels are named "x" and "edge_attr",
      as in PyG's `from_smiles`.

    Messages flow along the edges. Self-loops are dropped, as GIN adds a node to its neighbours anyway. Parallel edges
    are merged, as in TU data sets: their attributes are summed, and the labels of the first one are kept. A graph may
    have no edges or no nodes.

    Args:
        graphs: the graphs, in a list, a dataset or any iterable, such as a `Batch` of PyG, a column of a table, or a
            stack of adjacency matrices (G, n, n). `GraphData` and `GraphShards` keep everything except
            node attributes, which they keep only with `node_attr="node_attr"`.
        node_label: name of the categorical attribute of the nodes: any hashable value in networkx, an integer tensor
            (n,) or (n, K) in `Data`. None: no labels.
        node_attr: name or names of the numeric attributes of the nodes, each a number or a vector per node. None: the
            `x` of `Data`, unless `node_label` names it or it is integer, and nothing for the other kinds. `()`: no
            attributes.
        edge_label: as `node_label`, for edges; in `Data`, (e,) or (e, K) in the order of `edge_index`.
        edge_attr: as `node_attr`, for edges. None: the `edge_attr` of `Data`, unless `edge_label` names it or it is
            integer, and that of `GraphData`. `()`: no attributes.

    Returns:
        `GraphData` named "graphs". Its labels are the `y` of `Data`, or of the dictionary `graph` of networkx: a single
        number or name of each, or several targets, (1, T) in `Data`, T numbers in networkx, with NaN where one is
        missing. Its ids are the `id` of each graph, or else the positions from 0.

    Raises:
        InputError: the graphs are of several kinds or of an unknown kind; or a graph lacks an attribute that others
            have or that was named, has a value that is not finite, or has an edge to a node that does not exist. The
            message gives the index of the graph, from 0.

    Examples:
        >>> import networkx as nx
        >>> from graphcl_hard.data.collate import to_graph_data
        >>> graphs = to_graph_data([nx.cycle_graph(3), nx.path_graph(4)])
        >>> graphs.num_graphs, graphs.num_nodes, graphs.num_edges
        (2, 7, 12)
    """
    names = attribute_names(node_label, node_attr, edge_label, edge_attr)
    if isinstance(graphs, (GraphData, GraphShards)):
        return graphs.without(*unused_columns(graphs, names)).whole()
    return collate(graphs, names)


def collate(
    graphs: Iterable[Any],
    names: Names,
    identified: bool = True,
    vocabulary: Vocabulary = MOLECULES,
) -> GraphData:
    """Collate single graphs as `to_graph_data` does, without labels and ids unless `identified`.

    Molecules have the labels of `vocabulary`.
    """
    given = list(iterate_graphs(graphs))
    if not given:
        raise InputError("graphs must have at least one graph, got none; give a list of graphs.")
    return _Reader(names, identified, vocabulary).read(given)


def to_chunks(
    graphs: Iterable[Any],
    *,
    node_label: str | None = None,
    node_attr: str | Sequence[str] | None = None,
    edge_label: str | None = None,
    edge_attr: str | Sequence[str] | None = None,
    size: int = SHARD_GRAPHS,
) -> Iterator[GraphData]:
    """Yield graphs as flat tensors, `size` graphs at a time, from an iterable of any length.

    `write_shards` takes these chunks.

    Args:
        graphs: the graphs, all of one kind, as in `to_graph_data`; they are consumed one by one.
        node_label: as in `to_graph_data`, as are the next three.
        node_attr: name or names of the numeric attributes of the nodes.
        edge_label: name of the categorical attribute of the edges.
        edge_attr: name or names of the numeric attributes of the edges.
        size: number of graphs in a chunk, at least 1; the last chunk may have fewer.

    Yields:
        `GraphData`, with labels and ids as in `to_graph_data`.

    Raises:
        InputError: as in `to_graph_data`, when the graph is reached.

    Examples:
        >>> import networkx as nx
        >>> from graphcl_hard import to_chunks
        >>> rings = (nx.cycle_graph(nodes) for nodes in range(3, 8))
        >>> [chunk.num_graphs for chunk in to_chunks(rings, size=2)]
        [2, 2, 1]
    """
    names = attribute_names(node_label, node_attr, edge_label, edge_attr)
    return collate_chunks(iterate_graphs(graphs), names, size)


def collate_chunks(
    graphs: Iterator[Any],
    names: Names,
    size: int = SHARD_GRAPHS,
    identified: bool = True,
    vocabulary: Vocabulary = MOLECULES,
) -> Iterator[GraphData]:
    """Yield single graphs as `to_chunks` does, with `identified` and `vocabulary` as in `collate`."""
    reader = _Reader(names, identified, vocabulary)
    while given := list(itertools.islice(graphs, size)):
        yield reader.read(given)


class _Reader:
    """Reads graphs, all of one kind, part by part.

    Args:
        names: the names of labels and attributes that the caller gave.
        identified: whether to read the labels and ids of the graphs.
        vocabulary: the labels of molecules.
    """

    def __init__(self, names: Names, identified: bool, vocabulary: Vocabulary) -> None:
        self._names, self._identified, self._vocabulary = names, identified, vocabulary
        self._with_ids: bool | None = None
        self._kinds: dict[str, int] = {}
        """The index of the first graph of each kind."""
        self._done = 0

    @initial_state()
    def read(self, given: Sequence[Any]) -> GraphData:
        """Return the next graphs in flat tensors."""
        done = self._done
        for index, graph in enumerate(given, done):
            self._kinds.setdefault(_kind(graph, index), index)
        if len(self._kinds) > 1:
            (first, one), (second, other) = sorted(self._kinds.items(), key=lambda kind: kind[1])[
                :2
            ]
            raise InputError(
                f"graphs must all be of one kind, got {first} for graph {one} and {second} for graph {other}; convert "
                "them to one kind."
            )
        kind = next(iter(self._kinds))
        if kind == MOLECULE:
            return self._molecules(given)
        if kind == "SciPy":
            _check_matrix_names(self._names)
        if kind == "PyTorch Geometric":
            self._names = names_in(given, done, self._names)  # the first part settles the defaults
        else:
            self._names = self._names._replace(
                node_attr=self._names.node_attr or (), edge_attr=self._names.edge_attr or ()
            )
        parts = []
        for index, graph in enumerate(given, done):
            part = READERS[kind](graph, index, self._names)
            check_graph(part, index)
            parts.append(part)
        labels = labels_of(given, done) if self._identified else without_labels(len(given))
        ids = ids_of(given, done) if self._identified else None
        if self._with_ids not in (None, ids is not None):
            raise InputError(
                f"Graph {done} has {'no id, while' if ids is None else 'an id, but'} those before it have "
                f"{'one' if ids is None else 'none'}; give each graph an id, or none."
            )
        self._with_ids = ids is not None
        self._done += len(given)
        return dataclasses.replace(
            _concatenate(parts, done),
            **labels._asdict(),
            ids=np.arange(done, self._done) if ids is None else ids,
            names=self._names,
        )

    def _molecules(self, given: Sequence[Any]) -> GraphData:
        """Return the next molecules in flat tensors, numbered from 0 over all of them."""
        with_bonds = _reads_bonds(self._names)
        parts = []
        for done, part in converted(given, self._vocabulary):
            for position, text, reason in part.invalid:
                at = self._done + done + position
                raise InputError(f"{describe_invalid(LeftOut(at, at, text, reason))}; {REMEDY}.")
            parts.append(part)
        ids = np.arange(self._done, self._done + len(given))
        self._done += len(given)
        return join(parts, ids=ids, bonds=with_bonds)


def _reads_bonds(names: Names) -> bool:
    """Return whether the names ask for the labels of bonds, of molecules, which have no other names."""
    given = [
        f"{what} {found!r}"
        for what, found, known in zip(names._fields, names, NAMES, strict=True)
        if found not in (None, known)
    ]
    if given:
        raise InputError(
            f"Molecules have the labels of a fixed vocabulary, but {', '.join(given)} is wanted, by a parameter or as "
            "in the graphs of `fit`; leave the parameter out, and fit on molecules."
        )
    return names.edge_label is not None or names.edge_attr is None


def _concatenate(parts: Sequence[OneGraph], done: int) -> GraphData:
    """Concatenate graphs into flat tensors; `done` is the index of the first one, for error messages."""
    sizes = np.array([part.num_nodes for part in parts], dtype=np.int64)
    node_ptr = np.append(0, np.cumsum(sizes))
    edges = [part.edge_index + start for part, start in zip(parts, node_ptr, strict=False)]
    edge_labels = [row for part in parts for row in part.edges.labels or ()]
    # The edges are then sorted by source, hence by graph. Labels can be any objects, so their positions are sorted.
    edge_index, attributes, places = clean_edges(
        np.concatenate(edges, axis=1),
        _stack(
            [(part.edge_index.shape[1], part.edges.attributes) for part in parts], " of edges", done
        ),
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
        y=torch.full((len(parts),), -1),
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
    """Check and return the names of labels and attributes that `to_graph_data` takes.

    Raises:
        InputError: an argument is neither a name nor None, nor a tuple of names where these are allowed.
    """
    for what, name in (("node_label", node_label), ("edge_label", edge_label)):
        if not isinstance(name, (str, type(None))):
            raise InputError(
                f"{what} must be a name or None, got {short_repr(name)}; pass a string."
            )
    return Names(
        node_label, _names(node_attr, "node_attr"), edge_label, _names(edge_attr, "edge_attr")
    )


def _names(given: Any, what: str) -> tuple[str, ...] | None:
    if given is None:
        return None
    names = (given,) if isinstance(given, str) else given
    if not isinstance(names, (tuple, list)) or not all(isinstance(name, str) for name in names):
        raise InputError(
            f"{what} must be a name, a tuple of names or None, got {short_repr(given)}; pass one."
        )
    if len(set(names)) < len(names):
        raise InputError(
            f"{what} must have each name once, got {short_repr(given)}; leave the repeated one out."
        )
    return tuple(names)


def unused_columns(graphs: GraphSource, names: Names) -> list[str]:
    """Return the columns of a data set in flat tensors that were not requested.

    Raises:
        InputError: a requested name is none that such a data set can have.
    """
    for column, given in names._asdict().items():
        is_there = column in graphs.columns
        held = getattr(graphs.names, column) if is_there else None
        accepted = [held, (column,)] if is_there and column.endswith("attr") else [held]
        if given not in (None, (), *accepted):
            named = "".join(
                f" or {name!r}" for name in dict.fromkeys(map(_short, accepted)) if name is not None
            )
            raise InputError(
                f"{column} must be None{named} for {graphs.name}, a data set in flat tensors"
                f"{'' if is_there else f' without {column}'}, got {_short(given)!r}; leave it out."
            )
    nodes = [] if names.node_attr else ["node_attr"]
    return [*nodes, *(["edge_attr"] if names.edge_attr == () else [])]


def _short(names: Any) -> Any:
    """Return the name itself if there is only one."""
    return names[0] if isinstance(names, tuple) and len(names) == 1 else names


def iterate_graphs(graphs: Iterable[Any] | GraphSource) -> Iterator[Any]:
    """Return an iterator over the graphs of a list, a dataset or any iterable.

    Raises:
        InputError: `graphs` is not iterable, or is a single graph.
    """
    given: Any = graphs
    if isinstance(given, Batch):
        try:
            return iter(given.to_data_list())
        except (AttributeError, RuntimeError, ValueError):
            raise InputError(
                "graphs is a Batch that was not made by `Batch.from_data_list`, so that its graphs cannot be "
                "separated; give them in a list."
            ) from None
    if hasattr(given, "columns") and hasattr(given, "to_numpy"):  # a DataFrame
        given = given.to_numpy()
    if isinstance(given, (np.ndarray, Tensor)):
        return _rows(given)
    if (
        hasattr(given, "__len__")
        and hasattr(given, "__getitem__")
        and not hasattr(given, "__iter__")
    ):
        # A PyTorch dataset need not raise the IndexError that would end an iteration.
        return (given[index] for index in range(len(given)))
    if isinstance(graphs, (Data, nx.Graph)) or scipy.sparse.issparse(graphs):
        raise InputError(
            f"graphs must be a list of graphs, got a single {type(graphs).__name__}; put it in a list."
        )
    if isinstance(graphs, Mapping):
        raise InputError(
            f"graphs must be a list of graphs, got a {type(graphs).__name__}; give list(graphs.values())."
        )
    if isinstance(graphs, str) or is_molecule(graphs):
        raise InputError(
            f"graphs must be a list of graphs, got {short_repr(graphs)}; put a molecule in a list, or load a data set "
            "with load_graphs."
        )
    try:
        if isinstance(graphs, BaseData):  # iterates over its attributes
            raise TypeError
        return iter(graphs)
    except TypeError:
        raise InputError(
            f"graphs must be a list of {KINDS}, got {type(graphs).__name__}; give such a list."
        ) from None


def _rows(array: Any) -> Iterator[Any]:
    """Return an iterator over the graphs in an array: objects or strings (G,) or (G, 1), or matrices (G, n, n)."""
    if array.dtype != object and getattr(array.dtype, "kind", "") != "U":
        if array.ndim == 3 or array.shape[:1] == (0,):
            return iter(array)
    elif array.ndim == 1 or array.shape[1:] == (1,):
        return iter(array.reshape(-1).tolist())
    raise InputError(
        "graphs must be one column of graphs, or adjacency matrices (G, n, n), got an array of the shape "
        f"{tuple(array.shape)}; select a column, or put a single matrix in a list."
    )


def _check_matrix_names(names: Names) -> None:
    if names.node_label is not None or names.node_attr or names.edge_label is not None:
        raise InputError(
            "node_label, node_attr and edge_label must be None for matrices, which have only numeric edges, got "
            f"{names.node_label!r}, {names.node_attr!r} and {names.edge_label!r}; give networkx graphs instead."
        )
    if names.edge_attr not in (None, (), (WEIGHT,)):
        raise InputError(
            f"edge_attr must be None or {WEIGHT!r} for matrices, the value of an entry, got {names.edge_attr!r}; "
            "give networkx graphs instead."
        )


def _kind(graph: Any, index: int) -> str:
    if isinstance(graph, Batch):
        raise InputError(
            f"Graph {index} is a Batch, which has graphs of its own; pass it instead of a list, or put the graphs of "
            "its to_data_list() into the list."
        )
    if isinstance(graph, GraphData):
        raise InputError(
            f"Graph {index} is a GraphData, which is a data set of its own; pass it instead of a list, or put the "
            "graphs of its to_pyg() into the list."
        )
    if isinstance(graph, Data):
        return "PyTorch Geometric"
    if isinstance(graph, nx.Graph):
        return "networkx"
    if scipy.sparse.issparse(graph) or isinstance(graph, (np.ndarray, Tensor)):
        return "SciPy"
    if isinstance(graph, str) or is_molecule(graph):
        return MOLECULE
    remedy = "convert it"
    if graph is None:
        remedy = "leave it out"
    elif isinstance(graph, (HeteroData, list, tuple)):
        remedy = (
            "give its to_homogeneous()"
            if isinstance(graph, HeteroData)
            else "give one flat list of graphs"
        )
    raise InputError(f"Graph {index} must be one of {KINDS}, got {type(graph).__name__}; {remedy}.")


def _stack(
    parts: Sequence[tuple[int, NDArray[np.float32] | None]], of: str, done: int
) -> NDArray[np.float32] | None:
    """Concatenate attributes, given as the number of nodes or edges of each graph and their attributes (or None)."""
    # A graph without nodes (or edges) need not have the columns of the others.
    held = {
        None if attributes is None else attributes.shape[1]: index
        for index, (count, attributes) in reversed(list(enumerate(parts, done)))
        if count
    }
    if len(held) > 1:
        (first, one), (second, other) = sorted(held.items(), key=lambda item: item[1])[:2]
        raise InputError(
            f"All graphs must have the same attributes{of}, got {first or 'no'} columns in graph {one} and "
            f"{second or 'none'} in graph {other}; correct one of them."
        )
    if next(iter(held), None) is None:
        return None
    return np.concatenate(
        [attributes for count, attributes in parts if attributes is not None and count]
    )


def _number(
    rows: Sequence[tuple[Hashable, ...]], things: str
) -> tuple[Tensor | None, tuple[tuple[Hashable, ...], ...] | None]:
    """Return labels as (N, K) int64 numbers, and the values of the K columns in the order of their numbers."""
    if not rows:
        return None, None
    widths = {len(row) for row in rows}
    if len(widths) > 1:
        found = f"{min(widths)} and {max(widths)}"
        raise InputError(
            f"All {things} must have the same number of labels, got {found}; add the missing labels."
        )
    values, numbers = [], []
    for column in zip(*rows, strict=True):
        distinct = list(dict.fromkeys(column))
        with contextlib.suppress(
            TypeError
        ):  # values without an order stay in the order of the graphs
            distinct.sort(key=lambda value: (type(value).__name__, value))
        number = {value: position for position, value in enumerate(distinct)}
        values.append(tuple(distinct))
        numbers.append([number[value] for value in column])
    return torch.tensor(numbers).T.contiguous(), tuple(values)
