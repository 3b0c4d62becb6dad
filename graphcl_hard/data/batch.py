"""A batch of graphs as tensors, and a sample of a few nodes of each graph."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from graphcl_hard.data.adjacency import Adjacency


class NodeSample(NamedTuple):
    """M nodes of a batch with N nodes."""

    node: Tensor
    """(M,) int64, the numbers of the nodes in the batch, rising."""
    weight: Tensor
    """(M,) float32, how many nodes each stands for; they sum to N."""


def sample_nodes(
    num_nodes: Tensor, nodes_per_graph: int, generator: torch.Generator | None, device: torch.device | str = "cpu"
) -> NodeSample:
    r"""Draw min(K, :math:`n_g`) different nodes of each graph, every node of a graph with the same chance.

    Node positions in a graph are :math:`\lfloor (u_g + j)\, n_g / k_g \rfloor` for j = 0 .. :math:`k_g - 1` with
    :math:`k_g = \min(K, n_g)` and one uniform :math:`u_g \in [0, 1)`: systematic sampling. The points lie at least 1
    apart, so no node is drawn twice, and each unit interval is hit with chance :math:`k_g / n_g`; so the sum over the
    sample weighted by :math:`n_g / k_g` is an unbiased estimate of the sum over all nodes. So is an objective's mean,
    where a node's loss depends on that node and the summaries alone: all but `score_scale="max"` and
    `mode="released"`, which take the largest score of the sample.

    Args:
        num_nodes: (G,) int64 on the CPU, :math:`n_g`.
        nodes_per_graph: K, at least 1.
        generator: of the random numbers, on the CPU; None: PyTorch's own.
        device: where the sample lies.

    Source: Madow and Madow, "On the theory of systematic sampling, I", Annals of Mathematical Statistics, 1944.
    """
    taken = num_nodes.clamp(max=nodes_per_graph)  # (G,)
    graph = torch.arange(num_nodes.numel()).repeat_interleave(taken)  # (M,)
    position = torch.arange(graph.numel()) - (taken.cumsum(0) - taken)[graph]  # j, from 0 in each graph
    stride = num_nodes.double()[graph] / taken[graph]
    offset = torch.rand(num_nodes.numel(), dtype=torch.float64, generator=generator)
    # u + j may round up to the next whole number, which for the last j would be the next graph's node.
    node = ((offset[graph] + position) * stride).long().minimum(num_nodes[graph] - 1)
    index = (num_nodes.cumsum(0) - num_nodes)[graph] + node
    return NodeSample(index.to(device), stride.float().to(device))


class GraphBatch(NamedTuple):
    """G graphs with N nodes and E directed edges in all, side by side."""

    x: Tensor
    """(N, F) features, or (N, K) int64 columns of a one-hot input that hold a 1; see `GINEncoder.forward`."""
    adjacency: Adjacency
    """The edges, nodes numbered over the batch; `adjacency.edge_index` is PyG's (2, E) form."""
    batch: Tensor
    """(N,) int64, the graph of each node, rising."""
    num_graphs: int
    """G; graphs without nodes count."""
    sample: NodeSample | None = None
    """The nodes whose pairs stand for all of them; None: all nodes."""
    edge_attr: Tensor | None = None
    """(E, D) features of the edges, in the order of `adjacency.edge_index`; None: the encoder reads none."""
    views: tuple["GraphBatch", "GraphBatch"] | None = None
    """Two random views of the same G graphs, where they are what is contrasted; see `augment.augment`."""
    graph_ids: Tensor | None = None
    """(G,) int64 on the CPU, the graphs' numbers in the set; a `NegativeQueue` knows graphs by them."""

    @property
    def encoder_inputs(self) -> tuple[Any, ...]:
        """What an `Encoder` is called with; the features of the edges are the last, where there are any."""
        edges = () if self.edge_attr is None else (self.edge_attr,)
        return self.x, self.adjacency, self.batch, self.num_graphs, *edges

    def part(self, start: int, stop: int) -> "GraphBatch":
        """The batch of the graphs in [`start`, `stop`), which may be none, with their sample and views."""
        bounds = torch.tensor([start, stop], device=self.batch.device)
        first, last = torch.searchsorted(self.batch, bounds).tolist()
        # An edge stays within its graph, so that both orders of the edges have a graph's at the same place.
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
