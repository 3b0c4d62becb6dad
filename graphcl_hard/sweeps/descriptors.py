"""Vectors of graphs that are computed and not learned: what a probe can read off them is a baseline.

Each function maps G graphs to (G, D) float64, and its name is a family of sweeps
(`graphcl_hard.sweeps.cell.DESCRIPTORS`). The entries of a graph depend on this graph only; the whole data set only
decides which columns there are. Classes are not read. A `GraphData` holds no self-loops, and its edges have no weights.
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from graphcl_hard.data.graph_data import GraphData
from graphcl_hard.sweeps.cell import DESCRIPTORS
from graphcl_hard.sweeps.data import graphs_of

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

EXACT_DEGREES = 16
"""Degrees up to this one have a bin each; above, a bin is twice as wide as the one before."""
TIMES = np.logspace(-2, 2, 250)
"""Of the heat traces."""
DISTANCE_BINS, BIN_WIDTH = 200, 0.1
"""Of the histograms of distances."""


@lru_cache(maxsize=len(DESCRIPTORS))  # all seeds of a data set share them
def vectors_of(family: str, source: str, data_dir: str | Path | None) -> Floats:
    """Return the vectors of a family, the name of a function of this module, for the graphs of `graphs_of`."""
    vectors: Floats = globals()[family](graphs_of(source, data_dir))
    return vectors


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


def netlsd(graphs: GraphData) -> Floats:
    r"""Return the heat trace of each graph at 250 times, (G, 250) float64.

    With the eigenvalues :math:`\lambda_j` of the normalised Laplacian of a graph of n nodes, it is

    .. math:: h(t) = \frac{1}{n} \sum_{j=1}^{n} e^{-t \lambda_j}, \qquad t = 10^{-2}, \dots, 10^{2},

    with times equidistant on a logarithmic scale. The division by n, the heat trace of n nodes without edges, makes it
    independent of size; times and division are the defaults of the authors' package. All eigenvalues are computed, none
    is approximated. Labels are not read. A graph without nodes has zeros.

    Source: Tsitsulin et al., "NetLSD: Hearing the Shape of a Graph", KDD 2018. The package netlsd 1.0.2 has the same
    numbers to 1e-14.
    """
    traces = np.zeros((graphs.num_graphs, len(TIMES)))
    for number, adjacency in _adjacencies(graphs):
        eigenvalues = np.linalg.eigvalsh(_laplacian(adjacency))
        traces[number] = np.exp(-np.outer(TIMES, eigenvalues)).mean(axis=1)
    return traces


def fgsd(graphs: GraphData) -> Floats:
    r"""Return the histogram of harmonic distances between the nodes of each graph, (G, 200) float64.

    The distance of the nodes x and y, with the eigenvalues :math:`\lambda_k` and eigenvectors :math:`\phi_k` of the
    normalised Laplacian and its pseudo-inverse :math:`L^+`, is

    .. math:: S(x, y) = \sum_{k: \lambda_k > 0} \frac{(\phi_k(x) - \phi_k(y))^2}{\lambda_k}
                      = L^+_{xx} + L^+_{yy} - 2 L^+_{xy}.

    Each unordered pair of different nodes counts in one of 200 bins of width 0.1; those from 20 on count in the last
    one. Karate Club's `FGSD` has the same bins and Laplacian; it counts ordered pairs and each node with itself, and
    leaves out what is above 20. Distances are rounded to 1e-7, since many lie on the border of a bin (that of two nodes
    with one edge is 1). Labels are not read.

    Source: Verma and Zhang, "Hunt for the Unique, Stable, Sparse and Fast Feature Learning on Graphs", NeurIPS 2017,
    definition 1 with f(lambda) = 1 / lambda.
    """
    counts = np.zeros((graphs.num_graphs, DISTANCE_BINS))
    for number, adjacency in _adjacencies(graphs):
        inverse = _pseudo_inverse(adjacency)
        own = np.diagonal(inverse)
        above = np.triu_indices(len(own), 1)
        distances = own[above[0]] + own[above[1]] - 2 * inverse[above]
        bins = np.floor(np.round(distances / BIN_WIDTH, 6)).astype(np.int64)
        counts[number] = np.bincount(np.clip(bins, 0, DISTANCE_BINS - 1), minlength=DISTANCE_BINS)
    return counts


def _adjacencies(graphs: GraphData) -> Iterator[tuple[int, Floats]]:
    """Yield the number and the symmetric adjacency matrix (n, n) of each graph that has nodes."""
    for number in range(graphs.num_graphs):
        first, end = graphs.node_ptr[number : number + 2].tolist()
        source, target = graphs.edge_index[:, slice(*graphs.edge_ptr[number : number + 2])].numpy()
        adjacency = np.zeros((end - first, end - first))
        adjacency[source - first, target - first] = adjacency[target - first, source - first] = 1.0
        if end > first:
            yield number, adjacency


def _laplacian(adjacency: Floats) -> Floats:
    """Return the normalised Laplacian, whose row is zero for an isolated node (Chung, 1997)."""
    degree = adjacency.sum(axis=0)
    root = np.sqrt(np.maximum(degree, 1.0))
    return np.diag((degree > 0).astype(np.float64)) - adjacency / np.outer(root, root)


def _pseudo_inverse(adjacency: Floats) -> Floats:
    """Return the pseudo-inverse of the normalised Laplacian L, as (L + P)^-1 - P.

    P projects on the null space of L, which has one dimension for each component: there, the vector of the roots of the
    degrees, or 1 for an isolated node. L + P has the eigenvalue 1 on this space, and those of L elsewhere.
    """
    components, component = connected_components(csr_matrix(adjacency), directed=False)
    null = np.zeros((len(adjacency), components))
    null[np.arange(len(adjacency)), component] = np.sqrt(np.maximum(adjacency.sum(axis=0), 1.0))
    null /= np.linalg.norm(null, axis=0)
    projector = null @ null.T
    inverse: Floats = np.linalg.inv(_laplacian(adjacency) + projector) - projector
    return inverse


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
