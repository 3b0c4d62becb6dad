"""Vectors of graphs that are computed and not learned: what a probe can read off them is a baseline.

Each function maps G graphs to (G, D) float64, and its name is a family of sweeps
(`graphcl_hard.sweeps.cell.DESCRIPTORS`). The entries of a graph depend on this graph only; the whole data set only
decides which columns there are. Classes are not read. A `GraphData` holds no self-loops, and its edges have no weights.
"""

import numpy as np
import numpy.typing as npt

from graphcl_hard.data.graph_data import GraphData

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

EXACT_DEGREES = 16
"""Degrees up to this one have a bin each; above, a bin is twice as wide as the one before."""


def size(graphs: GraphData) -> Floats:
    """Return the numbers of nodes and of edges of each graph, (G, 2) float64.

    An edge that is stored in both directions counts once, and so does one that is stored in one direction only.

    Examples:
        >>> from graphcl_hard import load_graphs
        >>> from graphcl_hard.sweeps.descriptors import size
        >>> size(load_graphs("MUTAG"))[0].tolist()
        [17.0, 19.0]
    """
    edges = _sums(_graph_of_edge(graphs), _edge_shares(graphs), graphs.num_graphs)
    return np.column_stack([np.diff(graphs.node_ptr.numpy()), edges]).astype(np.float64)


def histograms(graphs: GraphData) -> Floats:
    """Return `size`, then how many nodes have each degree and each label, and how many edges each label.

    The columns, as far as the data set needs them:

    - degrees: one column for each degree from 0 to 16, then 17-32, 33-64 and so on, doubling;
    - node labels, then edge labels: one column for each value of each label column. Edges count as in `size`; of one
      stored in both directions, each direction counts half.

    The degree of a node is its number of outgoing edges. Attributes are not read.

    Returns:
        (G, D) float64 counts.
    """
    nodes = np.repeat(np.arange(graphs.num_graphs), np.diff(graphs.node_ptr.numpy()))
    ones = np.ones(graphs.num_nodes)
    parts = [size(graphs), _counts(nodes, degree_bins(degrees(graphs)), ones, graphs.num_graphs)]
    if graphs.node_label is not None:
        for labels in graphs.node_label.numpy().T:
            parts.append(_counts(nodes, labels, ones, graphs.num_graphs))
    if graphs.edge_label is not None:
        shares, edges = _edge_shares(graphs), _graph_of_edge(graphs)
        for labels in graphs.edge_label.numpy().T:
            parts.append(_counts(edges, labels, shares, graphs.num_graphs))
    return np.hstack(parts)


def degrees(graphs: GraphData) -> Ints:
    """Return the number of outgoing edges of each node, (N,)."""
    return np.bincount(graphs.edge_index[0].numpy(), minlength=graphs.num_nodes)


def degree_bins(degree: Ints) -> Ints:
    """Return the bin of each degree, (N,): d for d <= 16, and 16 + ceil(log2(d / 16)) above."""
    exponents = np.ceil(np.log2(np.maximum(degree, EXACT_DEGREES) / EXACT_DEGREES))
    return np.minimum(degree, EXACT_DEGREES) + exponents.astype(np.int64)


def _counts(graph: Ints, values: Ints, weights: Floats, graphs: int) -> Floats:
    """Return the weight of each value 0..V-1 in each graph, (G, V)."""
    columns = int(values.max(initial=-1)) + 1
    return _sums(graph * columns + values, weights, graphs * columns).reshape(graphs, columns)


def _sums(keys: Ints, weights: Floats, length: int) -> Floats:
    return np.bincount(keys, weights, length).astype(np.float64)


def _graph_of_edge(graphs: GraphData) -> Ints:
    return np.repeat(np.arange(graphs.num_graphs), np.diff(graphs.edge_ptr.numpy()))


def _edge_shares(graphs: GraphData) -> Floats:
    """Return for each stored edge 1/2 if it is stored in the other direction too, else 1, (E,)."""
    source, target = graphs.edge_index.numpy()
    there, back = source * graphs.num_nodes + target, target * graphs.num_nodes + source
    return np.where(np.isin(there, back), 0.5, 1.0)
