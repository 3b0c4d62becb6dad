"""Batches of a data set in memory, sliced from flat tensors without a loop over graphs."""

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from graphcl_hard._tensor import offsets
from graphcl_hard.data.adjacency import Adjacency
from graphcl_hard.data.batch import GraphBatch, sample_nodes
from graphcl_hard.data.graph_data import GraphData
from graphcl_hard.exceptions import InputError

SIMILAR = "similar"
"""The name of the order of similar graphs, (G,) int64, in `EpochOrder.states`."""


class EpochOrder:
    """How the random order of an epoch was drawn, so that the epoch can be continued after any of its batches.

    To continue, pass the `states` that the epoch had after its last batch, and to `shuffled` a generator in the state
    that it had then. The orders in use are drawn again from `states`, and everything else from the generator. An order
    that depends on more than random numbers cannot be drawn again, so it is a state itself.

    Args:
        done: the number of batches of the epoch that were used before, and are left out.
        states: the states of the generator from which the orders in use were drawn, and the order `SIMILAR` itself, by
            name; empty if `done` is 0.

    Examples:
        >>> import torch
        >>> from graphcl_hard import load_graphs
        >>> from graphcl_hard.loader.features import FeatureMap
        >>> graphs = load_graphs("MUTAG")
        >>> batches = GraphBatches(graphs, FeatureMap.fit(graphs).apply(graphs))
        >>> generator, order = torch.Generator().manual_seed(0), EpochOrder()
        >>> epoch = batches.shuffled(64, generator, order=order)
        >>> used, state = next(epoch), generator.get_state()
        >>> same = torch.Generator()
        >>> _ = same.set_state(state)
        >>> rest = batches.shuffled(64, same, order=EpochOrder(1, order.states))
        >>> all(torch.equal(a.graph_ids, b.graph_ids) for a, b in zip(epoch, rest, strict=True))
        True
    """

    def __init__(self, done: int = 0, states: Mapping[str, Tensor] | None = None) -> None:
        self.skip = done
        """The number of batches that are still to be left out."""
        self.states = dict(states or {})

    def permutation(self, name: str, count: int, generator: torch.Generator) -> Tensor:
        """Return a random permutation, (count,) int64: the one in use if batches are to be left out, else a new one."""
        if self.skip:
            generator = torch.Generator()
            generator.set_state(self.states[name])
        else:
            self.states[name] = generator.get_state()
        return torch.randperm(count, device="cpu", generator=generator)

    def similar(self, make: Callable[[], Tensor]) -> Tensor:
        """Return the order of similar graphs in use if batches are to be left out, else the one that `make` returns."""
        if not self.skip:
            self.states[SIMILAR] = make()
        return self.states[SIMILAR]

    def rest(self, batches: list[Tensor]) -> list[Tensor]:
        """Return the batches without those to be left out."""
        skip, self.skip = self.skip, 0
        return batches[skip:]


class GraphBatches:
    """A data set from which batches are sliced.

    Args:
        graphs: the data set.
        x: (N, F) features of all nodes, or (N, K) int64 column indices.
        device: device of the tensors.
        dtype: type of the features; int64 stays int64.
        edge_attr: (E, D) features of the edges in the order of `edge_index`, for encoders that use them.
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
        # The offsets stay on the CPU, so that reading the sizes of a batch does not synchronise the GPU.
        self.node_ptr, self.edge_ptr = graphs.node_ptr, graphs.edge_ptr
        whole = Adjacency.from_edge_index(graphs.edge_index, graphs.num_nodes)
        # Most data sets are undirected, so that slicing one matrix is enough.
        self._symmetric = torch.equal(whole.ptr, whole.transposed_ptr) and torch.equal(
            whole.source, whole.target
        )
        self._degree = whole.ptr.diff().to(device)  # (N,) in-degree
        self._source = whole.source.to(device)
        self._transposed_degree = whole.transposed_ptr.diff().to(device)
        self._target = whole.target.to(device)
        self.edge_attr: Tensor | None = None
        if edge_attr is not None:
            source = graphs.edge_index[0]
            if bool((source.diff() < 0).any()):  # the order of `Adjacency.edge_index`
                edge_attr = edge_attr[source.argsort(stable=True)]
            self.edge_attr = edge_attr.to(device, dtype)

    @property
    def edge_channels(self) -> int | None:
        """D, the number of edge features; None without edge features."""
        return None if self.edge_attr is None else self.edge_attr.size(1)

    def degree_histogram(self) -> Tensor:
        """Return (largest degree + 1,) int64, the number of nodes of each in-degree."""
        return torch.bincount(self._degree)

    def select(
        self,
        graph_ids: Tensor,
        nodes_per_graph: int | None = None,
        generator: torch.Generator | None = None,
    ) -> GraphBatch:
        """Return the batch of the graphs with these indices, (G,) int64 on the CPU, in the given order.

        With `nodes_per_graph`, the batch includes a sample of that many nodes of each graph, drawn with `generator`;
        with 0 or None it has no sample.
        """
        nodes = _Slices(self.node_ptr, graph_ids, self.x.device)
        edges = _Slices(self.edge_ptr, graph_ids, self.x.device)
        rows, edge_rows = nodes.rows(), edges.rows()
        # The index of a node in the batch is its index in the data set plus the shift of its graph.
        shift = edges.spread(nodes.shift)
        receives = sends = offsets(self._degree[rows]), self._source[edge_rows] + shift
        if not self._symmetric:
            sends = offsets(self._transposed_degree[rows]), self._target[edge_rows] + shift
        batch = nodes.spread(torch.arange(graph_ids.numel(), device="cpu"))
        sample = None
        if nodes_per_graph:
            sample = sample_nodes(nodes.length, nodes_per_graph, generator, self.x.device)
        edge_attr = None if self.edge_attr is None else self.edge_attr[edge_rows]
        adjacency = Adjacency(*receives, *sends)
        return GraphBatch(
            self.x[rows],
            adjacency,
            batch,
            graph_ids.numel(),
            sample,
            edge_attr,
            graph_ids=graph_ids,
        )

    def shuffled(
        self,
        batch_size: int,
        generator: torch.Generator,
        nodes_per_graph: int | None = None,
        order: EpochOrder | None = None,
        group: "Grouping | None" = None,
    ) -> Iterator[GraphBatch]:
        """Yield all graphs once, in a new random order, in batches of `batch_size`.

        A single graph left at the end, which would have no negatives, is added to the batch before it. With `order`,
        the epoch can be continued later, or is one that is continued. With `group`, the order is what it returns, when
        the first batch is asked for.

        Raises:
            InputError: the data set has a single graph.
        """
        check_enough(self.num_graphs)
        order = order or EpochOrder()
        if group is None:
            shuffled = order.permutation("graphs", self.num_graphs, generator)
        else:
            shuffled = order.similar(lambda: group(self, generator))
        for chunk in order.rest(in_batches(shuffled, batch_size)):
            yield self.select(chunk, nodes_per_graph, generator)

    def in_order(self, batch_size: int) -> Iterator[GraphBatch]:
        """Yield all graphs once, in the order of the data set, in batches of `batch_size`; the last may be smaller."""
        for chunk in torch.arange(self.num_graphs, device="cpu").split(batch_size):
            yield self.select(chunk)


Grouping = Callable[[GraphBatches, torch.Generator], Tensor]
"""Returns a random order, (G,) int64 on the CPU, of the graphs of a data set or window, in which similar ones follow
each other."""


def shuffled_rows(num_graphs: int, batch_size: int, generator: torch.Generator) -> list[Tensor]:
    """Return the positions of all graphs in a new random order, in batches; see `in_batches`."""
    return in_batches(torch.randperm(num_graphs, device="cpu", generator=generator), batch_size)


def in_batches(rows: Tensor, batch_size: int) -> list[Tensor]:
    """Return rows, (G,) int64, in batches of `batch_size`; a single one at the end joins the last batch."""
    chunks = list(rows.split(batch_size))
    if len(chunks) > 1 and chunks[-1].numel() == 1:
        last = chunks.pop()
        chunks[-1] = torch.cat([chunks[-1], last])
    return chunks


def check_enough(num_graphs: int) -> None:
    """Raise `InputError` if there are too few graphs for training."""
    if num_graphs < 2:
        raise InputError(
            f"Training needs at least 2 graphs, got {num_graphs}: the other graphs of a batch are the negatives; give "
            "more graphs."
        )


class _Slices:
    """The concatenation of selected slices of rows; `ptr` (S + 1,) offsets and `chosen` (G,), both on the CPU."""

    def __init__(self, ptr: Tensor, chosen: Tensor, device: torch.device) -> None:
        start = ptr[chosen]
        self.length = ptr[chosen + 1] - start  # (G,)
        self.shift = self.length.cumsum(0) - self.length - start  # (G,) new start minus old start
        self.total = int(self.length.sum())
        self._device_length = self.length.to(device)

    def spread(self, values: Tensor) -> Tensor:
        """Return (M,) on the device: for each row the value of its slice, from (G,) values on the CPU."""
        values = values.to(self._device_length.device)
        return values.repeat_interleave(self._device_length, output_size=self.total)

    def rows(self) -> Tensor:
        """Return (M,), the old index of each row."""
        return torch.arange(self.total, device=self._device_length.device) - self.spread(self.shift)
