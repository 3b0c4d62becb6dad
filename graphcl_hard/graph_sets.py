"""Anyone's graphs, in any number: a set in memory where it is small, or was there, and else one on the disk."""

import itertools
import shutil
import tempfile
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import Subset
from torch_geometric.data import InMemoryDataset

from graphcl_hard.graph_data import GraphData
from graphcl_hard.graph_shards import WINDOW, GraphShards
from graphcl_hard.graphs import one_by_one, read_names, to_chunks, to_graph_data, unwanted
from graphcl_hard.shard_writing import write_shards

Graphs = Iterable[Any] | GraphData | GraphShards
"""What is read: see `graphs.to_graph_data`."""


def open_graphs(graphs: Graphs, **names: Any) -> GraphData | GraphShards:
    """What `to_graph_data` gives, for sets of any size.

    A set on the disk stays there if it has more than 16,384 graphs. An iterable, or a dataset that is not known to be
    in memory, is gone through once; where it has more than so many, they are written to a temporary folder, which is
    removed when nothing refers to the set any more.

    Args:
        graphs: the graphs.
        names: as for `to_graph_data`.

    Raises:
        InputError: as `to_graph_data` does.
        OSError: the temporary folder cannot be written.
    """
    if isinstance(graphs, GraphShards) and graphs.num_graphs > WINDOW:
        return graphs.without(*unwanted(graphs, read_names(**names)))
    held: Any = graphs
    while isinstance(held, Subset):
        held = held.dataset
    in_memory = isinstance(held, (list, tuple, np.ndarray, InMemoryDataset))
    if isinstance(graphs, (GraphData, GraphShards)) or in_memory:
        return to_graph_data(graphs, **names)
    each = one_by_one(graphs)
    first = deque(itertools.islice(each, WINDOW + 1))
    if len(first) <= WINDOW:
        return to_graph_data(first, **names)
    folder = Path(tempfile.mkdtemp(prefix="graphcl_hard-"))
    try:
        shards = write_shards(folder, to_chunks(itertools.chain(_emptied(first), each), **names))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(shards, shutil.rmtree, folder, ignore_errors=True)
    return shards


def _emptied(first: deque[Any]) -> Iterator[Any]:
    while first:
        yield first.popleft()  # so that it is in memory no longer than it must be
