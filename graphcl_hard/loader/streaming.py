"""Batches of a data set on disk, with two windows in memory at a time, or of one in memory."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import torch
from torch import Tensor

from graphcl_hard.data.batch import GraphBatch
from graphcl_hard.data.graph_data import GraphSource
from graphcl_hard.data.molecules.vocabulary import is_of_vocabulary
from graphcl_hard.data.shards import WINDOW, GraphShards
from graphcl_hard.loader.features import FeatureMap
from graphcl_hard.loader.in_memory import EpochOrder, GraphBatches, Grouping, check_enough

BLOCK = 256  # graphs read at once; larger blocks read faster but shuffle less


class Batches(Protocol):
    """The interface of a data set for training and embedding."""

    num_graphs: int

    @property
    def edge_channels(self) -> int | None:
        """D, the number of edge features; None without edge features."""

    def degree_histogram(self) -> Tensor:
        """Return (largest degree + 1,) int64, the number of nodes of each in-degree."""

    def shuffled(
        self,
        batch_size: int,
        generator: torch.Generator,
        nodes_per_graph: int | None = None,
        order: EpochOrder | None = None,
        group: Grouping | None = None,
    ) -> Iterator[GraphBatch]:
        """Yield all graphs once, in a new random order; see `GraphBatches.shuffled`."""

    def in_order(self, batch_size: int) -> Iterator[GraphBatch]:
        """Yield all graphs once, in the order of the data set."""


def make_batches(
    graphs: GraphSource,
    features: FeatureMap,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Batches:
    """Return the batches of a data set with its features, on a device; a data set on disk is streamed.

    Raises:
        InputError: the data set has other attributes, or another number of label columns, than the features.
    """
    if isinstance(graphs, GraphShards):
        return StreamedBatches(graphs, features, device, dtype)
    whole = graphs.whole()
    return GraphBatches(whole, features.apply(whole), device, dtype, features.apply_edges(whole))


class StreamedBatches:
    """Batches of a data set on disk; a thread reads the next window while the current one is used.

    To shuffle, the data set is divided into blocks of 256 consecutive graphs, and the blocks are shuffled. Every 64
    blocks form a window of 16,384 graphs, which `GraphBatches` shuffles graph by graph. So a batch holds graphs from up
    to 64 places of the data set, different in each epoch. Every batch but the last of an epoch is full.

    Args:
        shards: the data set.
        features: map from nodes, and for gine edges, to inputs.
        device: device of the batches.
        dtype: type of the features; int64 stays int64.
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
        # Errors about features that do not fit and warnings about unknown labels come from here, not from the thread.
        for chunk in shards.chunks():
            features.apply(chunk)
            features.apply_edges(chunk)
            # Chunks have the labels of the whole data set, but of a vocabulary only their own are looked at.
            if features.vocabulary is not None or not is_of_vocabulary(chunk.node_label_values):
                break

    @property
    def edge_channels(self) -> int | None:
        """D, the number of edge features; None without edge features."""
        return None if self._features.edges is None else self._features.edges.channels

    def degree_histogram(self) -> Tensor:
        """Return (largest degree + 1,) int64, the number of nodes of each in-degree."""
        counts = torch.zeros(1, dtype=torch.int64, device="cpu")
        for chunk in self._shards.chunks():
            found = torch.bincount(torch.bincount(chunk.edge_index[1], minlength=chunk.num_nodes))
            longer, shorter = (counts, found) if counts.numel() > found.numel() else (found, counts)
            longer[: shorter.numel()] += shorter
            counts = longer
        return counts.to(self._device)

    def shuffled(
        self,
        batch_size: int,
        generator: torch.Generator,
        nodes_per_graph: int | None = None,
        order: EpochOrder | None = None,
        group: Grouping | None = None,
    ) -> Iterator[GraphBatch]:
        """Yield all graphs once, in a new random order, in batches of `batch_size`; see `GraphBatches.shuffled`.

        An epoch that is continued reads none of the windows before its next batch. `group` orders each window, when its
        first batch is asked for.

        Raises:
            InputError: the data set has a single graph, or one of its files cannot be read.
        """
        check_enough(self.num_graphs)
        order = order or EpochOrder()
        starts = torch.arange(0, self.num_graphs, BLOCK, device="cpu")
        starts = starts[order.permutation("blocks", starts.numel(), generator)]
        blocks = torch.stack([starts, (starts + BLOCK).clamp(max=self.num_graphs)], dim=1)
        done, order.skip = divmod(order.skip, _batches_in_a_window(batch_size))
        for window, graph_ids in self._windows(blocks.tolist(), batch_size, done):
            for batch in window.shuffled(batch_size, generator, nodes_per_graph, order, group):
                yield _numbered(batch, graph_ids)

    def in_order(self, batch_size: int) -> Iterator[GraphBatch]:
        """Yield all graphs once, in the order of the data set, in batches of `batch_size`; the last may be smaller."""
        for window, graph_ids in self._windows([[0, self.num_graphs]], batch_size):
            for batch in window.in_order(batch_size):
                yield _numbered(batch, graph_ids)

    def _windows(
        self, runs: list[list[int]], batch_size: int, done: int = 0
    ) -> Iterator[tuple[GraphBatches, Tensor]]:
        """Yield windows of whole batches, cut from runs [start, stop) of graphs, and the indices of their graphs.

        The first `done` windows are left out. While one window is used, the next is read.
        """
        windows = list(_cut(runs, _batches_in_a_window(batch_size) * batch_size))
        if (
            len(windows) > 1 and windows[-1][-1][1] - windows[-1][0][0] == 1
        ):  # a single graph has no negatives
            windows[-2].extend(windows.pop())
        del windows[:done]
        if not windows:  # the epoch was at its end
            return
        with ThreadPoolExecutor(1, "graphs") as reader:
            coming = reader.submit(self._load, windows[0])
            for number in range(len(windows)):
                window = coming.result()
                if number + 1 < len(windows):
                    coming = reader.submit(self._load, windows[number + 1])
                yield (
                    window,
                    torch.cat(
                        [torch.arange(start, stop, device="cpu") for start, stop in windows[number]]
                    ),
                )
                del window  # so that two windows are in memory, not three

    def _load(self, runs: list[tuple[int, int]]) -> GraphBatches:
        graphs = self._shards.read(runs)
        x, edge_attr = (
            self._features.apply(graphs, warn=False),
            self._features.apply_edges(graphs, warn=False),
        )
        return GraphBatches(graphs, x, *self._placed, edge_attr)


def _batches_in_a_window(batch_size: int) -> int:
    return max(1, WINDOW // batch_size)


def _numbered(batch: GraphBatch, graph_ids: Tensor) -> GraphBatch:
    """Return a batch of a window with the indices of its graphs in the data set."""
    assert batch.graph_ids is not None
    return batch._replace(graph_ids=graph_ids[batch.graph_ids])


def _cut(runs: list[list[int]], size: int) -> Iterator[list[tuple[int, int]]]:
    """Yield lists of runs [start, stop) with `size` graphs in total, cut from `runs`; the last may have fewer."""
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
