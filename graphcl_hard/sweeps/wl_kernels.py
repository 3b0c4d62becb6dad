"""The Weisfeiler-Lehman subtree kernel and the Weisfeiler-Lehman optimal assignment kernel.

Both compare how many nodes of two graphs have each label, after 0, 1, 2, ... rounds of giving each node a new label for
its own and those of its neighbours. GraKeL finds the labels; all numbers of rounds come out of one fit.
"""

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from graphcl_hard.data.graph_data import GraphData
from graphcl_hard.sweeps.descriptors import degrees
from graphcl_hard.sweeps.extras import require
from graphcl_hard.sweeps.plan_checks import check_kernel

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def wl_kernels(graphs: GraphData, iterations: int, labels: str = "given") -> Floats:
    """Return the normalised Weisfeiler-Lehman subtree kernels with 0 to `iterations` iterations.

    k_h(a, b) = sum over i <= h of <f_i(a), f_i(b)>, where f_i(a) counts the labels of a's nodes after i rounds of
    giving each node a new label for its own and those of its neighbours; divided by sqrt(k_h(a, a) k_h(b, b))
    (Shervashidze et al., JMLR 2011). As in GraKeL's `WeisfeilerLehman(n_iter=h, normalize=True)`, but all h out of one
    fit. Edge labels are not used. No class is seen, and an entry depends only on its two graphs, so the kernel of all
    graphs holds those of every training part.

    Args:
        graphs: G graphs; one without nodes is unlike all others (0).
        iterations: H - 1.
        labels: the first labels, see `first_labels`.

    Returns:
        (H, G, G) float64 in [0, 1].
    """
    return _normalised(graphs, wl_counts(graphs, iterations, labels))


def wl_oa_kernels(graphs: GraphData, iterations: int, labels: str = "given") -> Floats:
    """Return the normalised Weisfeiler-Lehman optimal assignment kernels with 0 to `iterations` iterations.

    k_h(a, b) is the largest sum of similarities over the one-to-one assignments of a's nodes to b's, where two nodes
    are as similar as their labels agree in rounds 0 to h. It equals the intersection of histograms,

        k_h(a, b) = sum over i <= h and labels l of min(f_i(a)_l, f_i(b)_l),

    with f_i as in `wl_kernels`; divided by sqrt(k_h(a, a) k_h(b, b)) (Kriege, Giscard and Wilson, NeurIPS 2016,
    section 4). As in GraKeL's `WeisfeilerLehmanOptimalAssignment(n_iter=h, normalize=True)`, which loops over all pairs
    of graphs, and drops isolated nodes. Arguments and result as in `wl_kernels`.
    """
    return _normalised(graphs, [_unary(one) for one in wl_counts(graphs, iterations, labels)])


def first_labels(graphs: GraphData, labels: str = "given") -> Ints:
    """Return the labels of nodes before the first round, (N,).

    Args:
        graphs: with N nodes.
        labels: "given", the node labels of the data set (several columns make one label), or degrees where it has
            none; "constant", the same for all nodes; "degree", the number of outgoing edges; or "log-degree", the bin
            of the degree among 0, 1, 2-3, 4-7, 8-15 and so on, doubling.

    Raises:
        InputError: `labels` is none of these.
    """
    check_kernel({"labels": labels})
    if labels == "constant":
        return np.zeros(graphs.num_nodes, dtype=np.int64)
    if labels == "given" and graphs.node_label is not None:
        return np.unique(graphs.node_label.numpy(), axis=0, return_inverse=True)[1].ravel()
    found = degrees(graphs)
    # the exponent of the power of two above each degree, 0 for 0
    return np.frexp(found)[1].astype(np.int64) if labels == "log-degree" else found


def wl_counts(graphs: GraphData, iterations: int, labels: str = "given") -> list[csr_matrix]:
    """Return how many nodes of each graph have each label after 0 to `iterations` rounds.

    Returns:
        `iterations` + 1 matrices of shape (graphs that have nodes, labels of this round).
    """
    require("grakel")
    from grakel.kernels import VertexHistogram, WeisfeilerLehman  # noqa: PLC0415 - slow to import, and an extra

    # GraKeL wants at least one iteration; the features after each are kept by the base kernel of that iteration.
    kernel = WeisfeilerLehman(
        n_iter=max(iterations, 1), base_graph_kernel=(VertexHistogram, {"sparse": True})
    )
    kernel.fit(_grakel_graphs(graphs, first_labels(graphs, labels)))
    return [csr_matrix(kernel.X[number].X) for number in range(iterations + 1)]


def _normalised(graphs: GraphData, features: list[csr_matrix]) -> Floats:
    """Return the normalised kernels of the sums of dot products, one for each of H numbers of rounds, (H, G, G)."""
    has_nodes = np.flatnonzero(graphs.node_ptr.diff().numpy())
    kernels = np.zeros((len(features), graphs.num_graphs, graphs.num_graphs))
    total = np.zeros((len(has_nodes), len(has_nodes)))
    for number, one in enumerate(features):
        total += (one @ one.T).toarray()
        norms = np.diagonal(total)
        kernels[number][np.ix_(has_nodes, has_nodes)] = total / np.sqrt(np.outer(norms, norms))
    return kernels


def _unary(counts: csr_matrix) -> csr_matrix:
    """Return counts in unary, a count c among columns 0 to C - 1 as c ones and C - c zeros.

    The dot product of two such rows is the intersection of the histograms, since min(a, b) is the number of t with
    t < a and t < b (Barla, Odone and Verri, ICIP 2003).
    """
    repeats = counts.data.astype(np.int64)
    widths = counts.max(axis=0).toarray().ravel().astype(np.int64)
    starts = np.cumsum(widths) - widths
    places = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    rows = np.repeat(np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr)), repeats)
    columns = np.repeat(starts[counts.indices], repeats) + places
    shape = (counts.shape[0], int(widths.sum()))
    return csr_matrix((np.ones(len(rows)), (rows, columns)), shape=shape)


def _grakel_graphs(
    graphs: GraphData, labels: Ints
) -> list[tuple[dict[int, list[int]], dict[int, int]]]:
    """Return for each graph with nodes: node -> its neighbours, and node -> label."""
    ends = np.cumsum(degrees(graphs))
    neighbours = np.split(graphs.edge_index[1].numpy(), ends[:-1])  # the edges are sorted by source
    found = []
    for first, end in zip(graphs.node_ptr[:-1].tolist(), graphs.node_ptr[1:].tolist(), strict=True):
        if first < end:
            nodes = range(first, end)
            found.append(
                ({v: neighbours[v].tolist() for v in nodes}, {v: int(labels[v]) for v in nodes})
            )
    return found
