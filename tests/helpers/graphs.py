"""Small sets of graphs."""

import numpy as np
import torch

from graphcl_hard.data.graph_data import GraphData


def graph_data(graphs, labels, name="TOY", node_labels=True):
    """Undirected networkx graphs (nodes 0..n-1, attribute "label") as a set."""
    node_ptr = np.cumsum([0] + [g.number_of_nodes() for g in graphs])
    edges, edge_ptr = [], [0]
    for graph, start in zip(graphs, node_ptr, strict=False):
        both = sorted({(u, v) for a, b in graph.edges for u, v in ((a, b), (b, a))})
        edges += [(start + u, start + v) for u, v in both]
        edge_ptr.append(len(edges))
    label = [[g.nodes[v].get("label", 0)] for g in graphs for v in sorted(g.nodes)]
    return GraphData(
        name=name,
        node_ptr=torch.tensor(node_ptr),
        edge_index=torch.tensor(edges, dtype=torch.int64).reshape(-1, 2).T.contiguous(),
        edge_ptr=torch.tensor(edge_ptr),
        y=torch.tensor(labels),
        node_label=torch.tensor(label).reshape(-1, 1) if node_labels else None,
    )
