"""A few nodes of each graph that stand for all of them."""

from typing import NamedTuple

import torch
from torch import Tensor


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
