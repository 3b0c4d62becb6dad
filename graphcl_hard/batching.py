"""The whole set as flat tensors, and batches of any graphs cut out of it without a loop over graphs."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from graphcl_hard.data import GraphData
from graphcl_hard.errors import InputError


class GraphBatch(NamedTuple):
    """G graphs with N nodes and E directed edges in all, side by side."""

    x: Tensor
    """(N, F) node features."""
    edge_index: Tensor
    """(2, E) int64, nodes numbered over the batch."""
    batch: Tensor
    """(N,) int64, the graph of each node, rising."""
    num_graphs: int
    """G; graphs without nodes count."""


class GraphBatches:
    """A set of graphs from which batches are cut.

    Args:
        graphs: the set.
        x: (N, F) features of all its nodes.
        device: where the tensors live.
        dtype: of the features.
    """

    def __init__(
        self,
        graphs: GraphData,
        x: Tensor,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.num_graphs = graphs.num_graphs
        self.x = x.to(device, dtype)
        self.edge_index = graphs.edge_index.to(device)
        self.node_ptr = graphs.node_ptr.to(device)
        self.edge_ptr = graphs.edge_ptr.to(device)

    def select(self, graph_ids: Tensor) -> GraphBatch:
        """The batch of the graphs with these numbers, (G,) int64, in their order."""
        nodes, batch, shift = _slices(self.node_ptr, graph_ids)
        edges, edge_graph, _ = _slices(self.edge_ptr, graph_ids)
        # A node's number in the batch is its number in the set, moved as its graph was.
        edge_index = self.edge_index[:, edges] + shift[edge_graph]
        return GraphBatch(self.x[nodes], edge_index, batch, graph_ids.numel())

    def shuffled(self, batch_size: int, generator: torch.Generator) -> Iterator[GraphBatch]:
        """All graphs once, newly shuffled, in batches of `batch_size`.

        A last batch of a single graph, which would have no negatives, joins the batch before it.

        Raises:
            InputError: the set has a single graph.
        """
        if self.num_graphs < 2:
            raise InputError(
                f"Training needs at least 2 graphs, got {self.num_graphs}: the other graphs of a batch are the "
                "negatives; give a larger set."
            )
        order = torch.randperm(self.num_graphs, generator=generator).to(self.node_ptr.device)
        chunks = list(order.split(batch_size))
        if chunks[-1].numel() == 1:
            last = chunks.pop()
            chunks[-1] = torch.cat([chunks[-1], last])
        for chunk in chunks:
            yield self.select(chunk)

    def in_order(self, batch_size: int) -> Iterator[GraphBatch]:
        """All graphs once, as they stand in the set, in batches of `batch_size`; the last may be smaller."""
        for chunk in torch.arange(self.num_graphs, device=self.node_ptr.device).split(batch_size):
            yield self.select(chunk)


def _slices(ptr: Tensor, graph_ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of the chosen slices end to end, the slice of each, and how far each slice has moved.

    `ptr` is (S + 1,) offsets; `graph_ids` (G,). Returns (M,), (M,) and (G,), all int64.
    """
    start = ptr[graph_ids]
    length = ptr[graph_ids + 1] - start
    shift = length.cumsum(0) - length - start  # new start minus old start
    owner = torch.repeat_interleave(torch.arange(graph_ids.numel(), device=ptr.device), length)
    rows = torch.arange(owner.numel(), device=ptr.device) - shift[owner]
    return rows, owner, shift
