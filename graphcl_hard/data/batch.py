"""A batch of graphs as tensors, and samples of the nodes of each graph."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from graphcl_hard.data.adjacency import Adjacency


class NodeSample(NamedTuple):
    """A sample of M nodes of a batch with N nodes."""

    node: Tensor
    """(M,) int64, indices of the nodes in the batch, ascending."""
    weight: Tensor
    """(M,) float32, the number of nodes that each represents; the weights sum to N."""


def sample_nodes(
    num_nodes: Tensor,
    nodes_per_graph: int,
    generator: torch.Generator | None,
    device: torch.device | str = "cpu",
) -> NodeSample:
    r"""Draw min(K, :math:`n_g`) distinct nodes of each graph by systematic sampling.

    The positions of the nodes in a graph are :math:`\lfloor (u_g + j)\, n_g / k_g \rfloor` for j = 0 .. :math:`k_g - 1`
    with :math:`k_g = \min(K, n_g)` and one uniform :math:`u_g \in [0, 1)`. The points are at least 1 apart, so no node
    is drawn twice, and every node is drawn with probability :math:`k_g / n_g`. The sum over the sample weighted by
    :math:`n_g / k_g` is therefore an unbiased estimate of the sum over all nodes. So is the mean of an objective in
    which the loss of a node depends only on that node and the summaries: all objectives except `score_scale="max"` and
    `mode="released"`, which use the largest score of the sample.

    Args:
        num_nodes: (G,) int64 on the CPU, :math:`n_g`.
        nodes_per_graph: K, at least 1.
        generator: random number generator on the CPU; None: PyTorch's default.
        device: device of the result.

    Returns:
        The sample; its nodes are numbered over the batch, graph after graph.

    Source: Madow and Madow, "On the theory of systematic sampling, I", Annals of Mathematical Statistics, 1944.
    """
    taken = num_nodes.clamp(max=nodes_per_graph)  # (G,)
    graph = torch.arange(num_nodes.numel(), device="cpu").repeat_interleave(taken)  # (M,)
    position = torch.arange(graph.numel(), device="cpu") - (taken.cumsum(0) - taken)[graph]  # j
    stride = num_nodes.double()[graph] / taken[graph]
    offset = torch.rand(num_nodes.numel(), dtype=torch.float64, device="cpu", generator=generator)
    # u + j may round up to the next integer, which for the last j would be a node of the next graph.
    node = ((offset[graph] + position) * stride).long().minimum(num_nodes[graph] - 1)
    index = (num_nodes.cumsum(0) - num_nodes)[graph] + node
    return NodeSample(index.to(device), stride.float().to(device))


class GraphBatch(NamedTuple):
    """A batch of G graphs with N nodes and E directed edges in all."""

    x: Tensor
    """(N, F) features, or (N, K) int64 indices of the ones in a one-hot input; see `GINEncoder.forward`."""
    adjacency: Adjacency
    """The edges, with nodes numbered over the batch; `adjacency.edge_index` is PyG's (2, E) form."""
    batch: Tensor
    """(N,) int64, the graph of each node, ascending."""
    num_graphs: int
    """G, including graphs without nodes."""
    sample: NodeSample | None = None
    """The nodes that the loss is computed from; None: all nodes."""
    edge_attr: Tensor | None = None
    """(E, D) edge features, in the order of `adjacency.edge_index`; None if the encoder uses none."""
    views: tuple["GraphBatch", "GraphBatch"] | None = None
    """Two random views of the same G graphs, for objectives that contrast views; see `augment.augment`."""
    graph_ids: Tensor | None = None
    """(G,) int64 on the CPU, indices of the graphs in the data set, by which a `NegativeQueue` identifies them."""

    @property
    def encoder_inputs(self) -> tuple[Any, ...]:
        """The arguments for the call of an `Encoder`; the edge features come last, if there are any."""
        edges = () if self.edge_attr is None else (self.edge_attr,)
        return self.x, self.adjacency, self.batch, self.num_graphs, *edges

    def part(self, start: int, stop: int) -> "GraphBatch":
        """Return the batch of the graphs in [`start`, `stop`), which may be empty, with their sample and views."""
        bounds = torch.tensor([start, stop], device=self.batch.device)
        first, last = torch.searchsorted(self.batch, bounds).tolist()
        # Edges stay within their graph, so a graph's edges have the same bounds in both orders of the edges.
        low, high = self.adjacency.ptr[[first, last]].tolist()

        def cut(ptr: Tensor, column: Tensor) -> tuple[Tensor, Tensor]:
            return ptr[first : last + 1] - low, column[low:high] - first

        receives = sends = cut(self.adjacency.ptr, self.adjacency.source)
        if not self.adjacency.is_symmetric:
            sends = cut(self.adjacency.transposed_ptr, self.adjacency.target)
        sample = None
        if self.sample is not None:
            bounds = torch.tensor([first, last], device=self.batch.device)
            inside = slice(*torch.searchsorted(self.sample.node, bounds).tolist())
            sample = NodeSample(self.sample.node[inside] - first, self.sample.weight[inside])
        return GraphBatch(
            self.x[first:last],
            Adjacency(*receives, *sends),
            self.batch[first:last] - start,
            stop - start,
            sample,
            None if self.edge_attr is None else self.edge_attr[low:high],
            self.views and (self.views[0].part(start, stop), self.views[1].part(start, stop)),
            None if self.graph_ids is None else self.graph_ids[start:stop],
        )
