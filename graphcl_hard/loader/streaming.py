"""Batches of a set in memory, or of one on the disk, of which two windows are in memory at a time."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import torch
from torch import Tensor

from graphcl_hard.data.batch import GraphBatch
from graphcl_hard.data.graph_data import GraphData
from graphcl_hard.data.shards import WINDOW, GraphShards
from graphcl_hard.loader.features import FeatureMap
from graphcl_hard.loader.in_memory import GraphBatches, check_enough

BLOCK = 256  # graphs that are read at once; more read faster, and mix less


class Batches(Protocol):
    """What a training, and an embedding, ask of a set."""

    num_graphs: int

    @property
    def edge_channels(self) -> int | None:
        """D, width of the edges' features; None: they have none."""

    def degree_histogram(self) -> Tensor:
        """(largest degree + 1,) int64: how many nodes of the set receive from so many neighbours."""

    def shuffled(
        self, batch_size: int, generator: torch.Generator, nodes_per_graph: int | None = None
    ) -> Iterator[GraphBatch]:
        """All graphs once, newly shuffled; see `GraphBatches.shuffled`."""

    def in_order(self, batch_size: int) -> Iterator[GraphBatch]:
        """All graphs once, as they stand in the set."""


def make_batches(
    graphs: GraphData | GraphShards,
    features: FeatureMap,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Batches:
    """The set with its features, on a device, in memory or from the disk as it is given.

    Raises:
        InputError: the set has other attributes, or another number of label columns, than the features.
    """
    if isinstance(graphs, GraphShards):
        return StreamedBatches(graphs, features, device, dtype)
    return GraphBatches(graphs, features.apply(graphs), device, dtype, features.apply_edges(graphs))


class StreamedBatches:
    """Batches of a set on the disk, whose next window a thread reads while the present one is trained on.

    Shuffled: the set is cut into blocks of 256 graphs that lie together, the blocks are shuffled, and each 64 of them,
    a window of 16,384 graphs, are shuffled graph by graph, as `GraphBatches` does. So a batch holds graphs of up to 64
    places of the set, anew in each epoch. Every batch but the epoch's last is full.

    Args:
        shards: the set.
        features: from nodes, and edges for gine, to inputs.
        device: where the batches' tensors are.
        dtype: of the features; int64 stays int64.
    """

    def __init__(
        self,
        shards: GraphShards,
        features: FeatureMap,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.num_graphs = shards.num_graphs
        self._shards, self._features, self._placed = shards, features, (device, dtype)
        self._device = device
        # What does not fit is refused, and labels that are not known are told, here and not in a thread.
        first = next(shards.chunks())
        features.apply(first)
        features.apply_edges(first)

    @property
    def edge_channels(self) -> int | None:
        """D, width of the edges' features; None: they have none."""
        return None if self._features.edges is None else self._features.edges.channels

    def degree_histogram(self) -> Tensor:
        """(largest degree + 1,) int64: how many nodes of the set receive from so many neighbours."""
        counts = torch.zeros(1, dtype=torch.int64)
        for chunk in self._shards.chunks():
            found = torch.bincount(torch.bincount(chunk.edge_index[1], minlength=chunk.num_nodes))
            longer, shorter = (counts, found) if counts.numel() > found.numel() else (found, counts)
            longer[: shorter.numel()] += shorter
            counts = longer
        return counts.to(self._device)

    def shuffled(
        self, batch_size: int, generator: torch.Generator, nodes_per_graph: int | None = None
    ) -> Iterator[GraphBatch]:
        """All graphs once, newly shuffled, in batches of `batch_size`; see `GraphBatches.shuffled`.

        Raises:
            InputError: the set has a single graph; or a file of it cannot be read.
        """
        check_enough(self.num_graphs)
        starts = torch.arange(0, self.num_graphs, BLOCK)
        starts = starts[torch.randperm(starts.numel(), generator=generator)]
        blocks = torch.stack([starts, (starts + BLOCK).clamp(max=self.num_graphs)], dim=1)
        for window, graph_ids in self._windows(blocks.tolist(), batch_size):
            for batch in window.shuffled(batch_size, generator, nodes_per_graph):
                yield _numbered(batch, graph_ids)

    def in_order(self, batch_size: int) -> Iterator[GraphBatch]:
        """All graphs once, as they stand in the set, in batches of `batch_size`; the last may be smaller."""
        for window, graph_ids in self._windows([[0, self.num_graphs]], batch_size):
            for batch in window.in_order(batch_size):
                yield _numbered(batch, graph_ids)

    def _windows(self, runs: list[list[int]], batch_size: int) -> Iterator[tuple[GraphBatches, Tensor]]:
        """The runs of graphs, cut into windows of whole batches, with their numbers in the set.

        While one is used, the next is read.
        """
        size = max(1, WINDOW // batch_size) * batch_size
        windows = list(_cut(runs, size))
        if len(windows) > 1 and windows[-1][-1][1] - windows[-1][0][0] == 1:  # a single graph has no negatives
            windows[-2].extend(windows.pop())
        with ThreadPoolExecutor(1, "graphs") as reader:
            coming = reader.submit(self._load, windows[0])
            for number in range(len(windows)):
                window = coming.result()
                if number + 1 < len(windows):
                    coming = reader.submit(self._load, windows[number + 1])
                yield window, torch.cat([torch.arange(start, stop) for start, stop in windows[number]])
                del window  # so that there are two in memory, and not three

    def _load(self, runs: list[tuple[int, int]]) -> GraphBatches:
        graphs = self._shards.read(runs)
        x, edge_attr = self._features.apply(graphs, warn=False), self._features.apply_edges(graphs, warn=False)
        return GraphBatches(graphs, x, *self._placed, edge_attr)


def _numbered(batch: GraphBatch, graph_ids: Tensor) -> GraphBatch:
    """A window's batch with the graphs' numbers in the set."""
    assert batch.graph_ids is not None
    return batch._replace(graph_ids=graph_ids[batch.graph_ids])


def _cut(runs: list[list[int]], size: int) -> Iterator[list[tuple[int, int]]]:
    """Runs [start, stop) of graphs to lists of runs with `size` graphs in all; the last may have fewer."""
    window: list[tuple[int, int]] = []
    room = size
    for first, stop in runs:
        done = first
        while done < stop:
            end = min(stop, done + room)
            window.append((done, end))
            room -= end - done
            done = end
            if not room:
                yield window
                window, room = [], size
    if window:
        yield window
