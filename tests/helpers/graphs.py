"""Small sets of graphs."""

import networkx as nx
import numpy as np
import torch

from graphcl_hard.data.graph_data import GraphData


def random_graphs(sizes, probability=0.5, seeds=None, directed=()):
    """Return random networkx graphs; `directed` holds the numbers of the directed ones."""
    return [
        nx.gnp_random_graph(size, probability, seed=seed, directed=number in directed)
        for number, (size, seed) in enumerate(zip(sizes, seeds or range(len(sizes)), strict=True))
    ]


def with_attributes(graphs, nodes=None, edges=None):
    """Set attributes, name -> function of the graph's number and the node, or edge; return the graphs."""
    for number, graph in enumerate(graphs):
        for name, value in (nodes or {}).items():
            nx.set_node_attributes(graph, {node: value(number, node) for node in graph}, name)
        for name, value in (edges or {}).items():
            nx.set_edge_attributes(graph, {edge: value(number, edge) for edge in graph.edges}, name)
    return graphs


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
