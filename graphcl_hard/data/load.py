"""Data sets by name or path, and anyone's graphs in any number: in memory, or on disk where they are many."""

import itertools
import os
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

from graphcl_hard.data.collate import attribute_names, iterate_graphs, to_chunks, to_graph_data, unused_columns
from graphcl_hard.data.graph_data import GraphData
from graphcl_hard.data.shard_writer import write_shards
from graphcl_hard.data.shards import WINDOW, GraphShards
from graphcl_hard.data.tu.cache import read_cached
from graphcl_hard.data.tu.dataset import TUDataset, graph_data
from graphcl_hard.data.tu.download import Progress, fetch_dataset
from graphcl_hard.data.tu.names import (
    check_name,
    check_spelling,
    dataset_in_folder,
    default_data_dir,
    embedded_folder,
    is_path,
    is_shards,
    writable_folder,
)
from graphcl_hard.data.tu.reader import read_tu_folder, tu_file
from graphcl_hard.exceptions import InputError


def load_graphs(
    name_or_path: str, *, data_dir: str | Path | None = None, progress: Progress | None = None
) -> GraphData:
    """Load a TU set by its name, or a folder in TU format by its path.

    A name is looked for in ``data_dir`` (``NAME/``, ``NAME/raw/``, ``NAME.zip``), inside the package (MUTAG), in the
    mirror that the environment variable GRAPHCL_HARD_MIRROR names (a folder or an http(s) address), and at PyG's
    official address. What is fetched stays in ``data_dir``; without one, in the checkout's ``datasets/`` or else the
    user's cache folder; where that cannot be written, nowhere.

    Args:
        name_or_path: the name of a TU set, or the path of a folder that holds one ``*_graph_indicator.txt``, or of one
            that `write_shards` made, which must fit into memory here.
        data_dir: folder for data sets, created if need be.
        progress: called with the bytes done and the bytes in all (None if unknown) during a download.

    Returns:
        `GraphData`, flat tensors over the whole set; `HardInfoGraph` takes it as it is.

    Raises:
        InputError: the name is unknown everywhere, the files are wrong, or nothing can be reached.

    Source: Morris et al., "TUDataset: A collection of benchmark datasets for learning with graphs", 2020.
    """
    if is_path(name_or_path):
        path = Path(os.path.expanduser(name_or_path))
        if is_shards(path):
            return GraphShards(path).whole()
        name = dataset_in_folder(path)
        return graph_data(name, read_tu_folder(path, name))

    name = check_name(name_or_path)
    root = default_data_dir() if data_dir is None else Path(os.path.expanduser(data_dir))
    if root.exists() and not root.is_dir():
        raise InputError(f"the data folder {root} is a file, must be a folder; choose another `data_dir`.")
    fetched = tu_file(root / name / "raw", name, "A").is_file() or (root / f"{name}.zip").is_file()
    for folder in (root / name, None if fetched else embedded_folder(name)):
        if folder is not None and any(folder.glob(f"{name}_*.txt")):
            return graph_data(name, read_tu_folder(folder, name))
    if not fetched:
        check_spelling(name)
    with writable_folder(root / name) as base:
        if data_dir is not None and base != root / name and not fetched:
            raise InputError(f"the data folder {root} cannot be written; choose another `data_dir`.")
        if not tu_file(base / "raw", name, "A").is_file():
            fetch_dataset(name, base / "raw", root, TUDataset.url, progress)
        return graph_data(name, read_cached(base / "raw", name, base / "processed"))


def open_dataset(
    name_or_path: str, *, data_dir: str | Path | None = None, progress: Progress | None = None
) -> GraphData | GraphShards:
    """`load_graphs`, but a set of shards with more than 16,384 graphs stays on the disk."""
    if is_path(name_or_path) and is_shards(path := Path(os.path.expanduser(name_or_path))):
        shards = GraphShards(path)
        return shards if shards.num_graphs > WINDOW else shards.whole()
    return load_graphs(name_or_path, data_dir=data_dir, progress=progress)


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
        return graphs.without(*unused_columns(graphs, attribute_names(**names)))
    held: Any = graphs
    while isinstance(held, Subset):
        held = held.dataset
    in_memory = isinstance(held, (list, tuple, np.ndarray, InMemoryDataset))
    if isinstance(graphs, (GraphData, GraphShards)) or in_memory:
        return to_graph_data(graphs, **names)
    each = iterate_graphs(graphs)
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
