"""The whole set as flat tensors, and batches of any graphs cut out of it without a loop over graphs."""

from collections.abc import Iterator

import torch
from torch import Tensor

from graphcl_hard._tensor import offsets
from graphcl_hard.data.adjacency import Adjacency
from graphcl_hard.data.batch import GraphBatch, sample_nodes
from graphcl_hard.data.graph_data import GraphData
from graphcl_hard.exceptions import InputError


class GraphBatches:
    """A set of graphs from which batches are cut.

    Args:
        graphs: the set.
        x: (N, F) features of all its nodes, or (N, K) int64 columns.
        device: where the tensors live.
        dtype: of the features; int64 stays int64.
        edge_attr: (E, D) features of the edges, in the order of the set's `edge_index`, for an encoder that reads them.
    """

    def __init__(
        self,
        graphs: GraphData,
        x: Tensor,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        edge_attr: Tensor | None = None,
    ) -> None:
        self.num_graphs = graphs.num_graphs
        self.x = x.to(device, dtype if x.is_floating_point() else None)
        # The offsets of graphs stay on the CPU, so that the sizes of a batch need not be read back from a GPU.
        self.node_ptr, self.edge_ptr = graphs.node_ptr, graphs.edge_ptr
        whole = Adjacency.from_edge_index(graphs.edge_index, graphs.num_nodes)
        # Most sets are undirected, and then one matrix is sliced and not two.
        self._symmetric = torch.equal(whole.ptr, whole.transposed_ptr) and torch.equal(whole.source, whole.target)
        self._degree = whole.ptr.diff().to(device)  # (N,) neighbours from which a node receives
        self._source = whole.source.to(device)
        self._transposed_degree = whole.transposed_ptr.diff().to(device)
        self._target = whole.target.to(device)
        self.edge_attr: Tensor | None = None
        if edge_attr is not None:
            # As `Adjacency.edge_index` sorts the edges, should the set's not be sorted.
            self.edge_attr = edge_attr[graphs.edge_index[0].argsort(stable=True)].to(device, dtype)

    @property
    def edge_channels(self) -> int | None:
        """D, width of the edges' features; None: they have none."""
        return None if self.edge_attr is None else self.edge_attr.size(1)

    def degree_histogram(self) -> Tensor:
        """(largest degree + 1,) int64: how many nodes of the set receive from so many neighbours."""
        return torch.bincount(self._degree)

    def select(
        self, graph_ids: Tensor, nodes_per_graph: int | None = None, generator: torch.Generator | None = None
    ) -> GraphBatch:
        """The batch of the graphs with these numbers, (G,) int64 on the CPU, in their order.

        With `nodes_per_graph`, a sample of so many nodes of each graph goes with it, drawn from `generator`; 0 and None
        take none.
        """
        nodes = _Slices(self.node_ptr, graph_ids, self.x.device)
        edges = _Slices(self.edge_ptr, graph_ids, self.x.device)
        rows, edge_rows = nodes.rows(), edges.rows()
        # A node's number in the batch is its number in the set, moved as its graph was.
        shift = edges.spread(nodes.shift)
        receives = sends = offsets(self._degree[rows]), self._source[edge_rows] + shift
        if not self._symmetric:
            sends = offsets(self._transposed_degree[rows]), self._target[edge_rows] + shift
        batch = nodes.spread(torch.arange(graph_ids.numel()))
        sample = None
        if nodes_per_graph:
            sample = sample_nodes(nodes.length, nodes_per_graph, generator, self.x.device)
        edge_attr = None if self.edge_attr is None else self.edge_attr[edge_rows]
        adjacency = Adjacency(*receives, *sends)
        return GraphBatch(self.x[rows], adjacency, batch, graph_ids.numel(), sample, edge_attr, graph_ids=graph_ids)

    def shuffled(
        self, batch_size: int, generator: torch.Generator, nodes_per_graph: int | None = None
    ) -> Iterator[GraphBatch]:
        """All graphs once, newly shuffled, in batches of `batch_size`.

        A last batch of a single graph, which would have no negatives, joins the batch before it.

        Raises:
            InputError: the set has a single graph.
        """
        check_enough(self.num_graphs)
        chunks = list(torch.randperm(self.num_graphs, generator=generator).split(batch_size))
        if chunks[-1].numel() == 1:
            last = chunks.pop()
            chunks[-1] = torch.cat([chunks[-1], last])
        for chunk in chunks:
            yield self.select(chunk, nodes_per_graph, generator)

    def in_order(self, batch_size: int) -> Iterator[GraphBatch]:
        """All graphs once, as they stand in the set, in batches of `batch_size`; the last may be smaller."""
        for chunk in torch.arange(self.num_graphs).split(batch_size):
            yield self.select(chunk)


def check_enough(num_graphs: int) -> None:
    """Raise `InputError` where so many graphs are too few to train on."""
    if num_graphs < 2:
        raise InputError(
            f"Training needs at least 2 graphs, got {num_graphs}: the other graphs of a batch are the negatives; give "
            "a larger set."
        )


class _Slices:
    """The chosen slices of (M,) rows, end to end; `ptr` (S + 1,) offsets and `chosen` (G,), both on the CPU."""

    def __init__(self, ptr: Tensor, chosen: Tensor, device: torch.device) -> None:
        start = ptr[chosen]
        self.length = ptr[chosen + 1] - start  # (G,)
        self.shift = self.length.cumsum(0) - self.length - start  # (G,) new start minus old start
        self.total = int(self.length.sum())
        self._device_length = self.length.to(device)

    def spread(self, values: Tensor) -> Tensor:
        """(G,) values, on the CPU, to (M,): each row gets its slice's, on the device."""
        values = values.to(self._device_length.device)
        return values.repeat_interleave(self._device_length, output_size=self.total)

    def rows(self) -> Tensor:
        """(M,) the old number of each row."""
        return torch.arange(self.total, device=self._device_length.device) - self.spread(self.shift)
