"""Load data sets by name or path, and the user's own graphs in any number, in memory or on disk."""

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

from graphcl_hard._tensor import initial_state
from graphcl_hard.data.collate import (
    attribute_names,
    collate,
    collate_chunks,
    iterate_graphs,
    to_graph_data,
    unused_columns,
)
from graphcl_hard.data.graph_data import GraphData, GraphSource
from graphcl_hard.data.molecules.vocabulary import MOLECULES, Vocabulary
from graphcl_hard.data.shard_writer import write_shards
from graphcl_hard.data.shards import WINDOW, GraphShards
from graphcl_hard.data.tu.cache import read_cached
from graphcl_hard.data.tu.dataset import TUDataset, graph_data
from graphcl_hard.data.tu.download import Progress, fetch_dataset
from graphcl_hard.data.tu.names import (
    check_name,
    check_not_local,
    check_spelling,
    dataset_in_folder,
    default_data_dir,
    embedded_folder,
    is_path,
    is_shards,
    safe_name,
    writable_folder,
)
from graphcl_hard.data.tu.reader import read_tu_folder, tu_file
from graphcl_hard.exceptions import InputError
from graphcl_hard.io.paths import Pathname, user_path


@initial_state()
def load_graphs(
    name_or_path: Pathname, *, data_dir: Pathname | None = None, progress: Progress | None = None
) -> GraphData:
    """Load a TU data set by its name, or a folder in TU format by its path.

    A name is looked up in ``data_dir`` (``NAME/``, ``NAME/raw/``, ``NAME.zip``), inside the package (MUTAG), in the
    mirror that the environment variable GRAPHCL_HARD_MIRROR names (a folder or an http(s) address), and at PyG's
    official address. Downloaded files are kept in ``data_dir``, by default ``datasets/`` of a checkout, or else the
    user's cache folder; if that is not writable, they are not kept.

    What may be wrong with the files, such as edges in one direction only, is warned of by file and line.

    Args:
        name_or_path: name of a TU data set; or path, a string with a ``/`` or a `pathlib.Path`, of a folder that
            contains one ``*_graph_indicator.txt``, or that `write_shards` wrote, which must fit into memory here.
        data_dir: folder for data sets, created if necessary.
        progress: called during a download with the number of bytes received and the total (None if unknown).

    Returns:
        `GraphData`, flat tensors over the whole data set; `HardInfoGraph` takes it directly.

    Raises:
        InputError: the data set is unknown, its files are malformed, or no source can be reached.

    Source: Morris et al., "TUDataset: A collection of benchmark datasets for learning with graphs", 2020.

    Examples:
        >>> from graphcl_hard import load_graphs
        >>> graphs = load_graphs("MUTAG")
        >>> graphs.num_graphs, graphs.num_nodes, graphs.num_classes
        (188, 3371, 2)
        >>> graphs.node_label.shape
        torch.Size([3371, 1])
    """
    if is_path(name_or_path):
        path = user_path(name_or_path, "name_or_path")
        if is_shards(path):
            return GraphShards(path).whole()
        prefix = dataset_in_folder(path)
        return graph_data(safe_name(prefix), read_tu_folder(path, prefix))

    name = check_name(str(name_or_path))
    root = default_data_dir() if data_dir is None else user_path(data_dir, "data_dir")
    if root.exists() and not root.is_dir():
        raise InputError(
            f"The data folder {root} is a file, must be a folder; choose another `data_dir`."
        )
    fetched = tu_file(root / name / "raw", name, "A").is_file() or (root / f"{name}.zip").is_file()
    for folder in (root / name, None if fetched else embedded_folder(name)):
        if folder is not None and any(folder.glob(f"{name}_*.txt")):
            return graph_data(name, read_tu_folder(folder, name))
    if not fetched:
        check_spelling(name)
        check_not_local(name, root)
    with writable_folder(root / name) as base:
        if data_dir is not None and base != root / name and not fetched:
            raise InputError(f"The data folder {root} is not writable; choose another `data_dir`.")
        if not tu_file(base / "raw", name, "A").is_file():
            fetch_dataset(name, base / "raw", root, TUDataset.url, progress)
        return graph_data(name, read_cached(base / "raw", name, base / "processed"))


@initial_state()
def open_dataset(
    name_or_path: Pathname, *, data_dir: Pathname | None = None, progress: Progress | None = None
) -> GraphSource:
    """Load a data set as `load_graphs` does, but leave shards with more than 16,384 graphs on disk."""
    if is_path(name_or_path) and is_shards(path := user_path(name_or_path, "name_or_path")):
        shards = GraphShards(path)
        return shards if shards.num_graphs > WINDOW else shards.whole()
    return load_graphs(name_or_path, data_dir=data_dir, progress=progress)


Graphs = Iterable[Any] | GraphSource
"""Graphs of any source; `to_graph_data` lists the kinds."""


def open_graphs(
    graphs: Graphs,
    *,
    identified: bool = False,
    vocabulary: Vocabulary = MOLECULES,
    **names: Any,
) -> GraphSource:
    """Collate graphs as `to_graph_data` does, in memory or on disk, depending on their number.

    `GraphShards` of more than 16,384 graphs stay on disk. Iterables, and datasets that are not known to be in memory,
    are read once; if there are more than 16,384 graphs, they are written to a temporary folder, which is removed when
    the result is garbage collected.

    Args:
        graphs: the graphs.
        identified: whether to read the labels and ids of single graphs, which nothing that embeds graphs needs.
        vocabulary: the labels of molecules.
        names: node_label, node_attr, edge_label and edge_attr, as in `to_graph_data`.

    Returns:
        `GraphData` if the graphs are in memory, `GraphShards` if they are on disk.

    Raises:
        InputError: as in `to_graph_data`.
        OSError: the temporary folder cannot be written.
    """
    if isinstance(graphs, GraphShards) and graphs.num_graphs > WINDOW:
        return graphs.without(*unused_columns(graphs, attribute_names(**names)))
    held: Any = graphs
    while isinstance(held, Subset):
        held = held.dataset
    in_memory = isinstance(held, (list, tuple, np.ndarray, InMemoryDataset))
    if in_memory and len(held) > WINDOW and isinstance(held[0], str):
        in_memory = False  # SMILES, whose graphs are many times as large
    if isinstance(graphs, (GraphData, GraphShards)):
        return to_graph_data(graphs, **names)
    read: dict[str, Any] = {
        "names": attribute_names(**names),
        "identified": identified,
        "vocabulary": vocabulary,
    }
    if in_memory:
        return collate(graphs, **read)
    each = iterate_graphs(graphs)
    first = deque(itertools.islice(each, WINDOW + 1))
    if len(first) <= WINDOW:
        return collate(first, **read)
    return _temporary_shards(collate_chunks(itertools.chain(_emptied(first), each), **read))


def open_chunks(chunks: Iterable[GraphData]) -> GraphSource:
    """Return graphs that come in parts: in memory, or in a temporary folder if there are more than 16,384."""
    each, first, count = iter(chunks), list[GraphData](), 0
    for chunk in each:
        first.append(chunk)
        count += chunk.num_graphs
        if count > WINDOW:
            return _temporary_shards(itertools.chain(first, each))
    return first[0] if len(first) == 1 else _temporary_shards(first).whole()


def _temporary_shards(chunks: Iterable[GraphData]) -> GraphShards:
    """Write parts of a data set to a temporary folder, which is removed when the result is garbage collected."""
    folder = Path(tempfile.mkdtemp(prefix="graphcl_hard-"))
    try:
        shards = write_shards(folder, chunks)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(shards, shutil.rmtree, folder, ignore_errors=True)
    return shards


def _emptied(first: deque[Any]) -> Iterator[Any]:
    while first:
        yield first.popleft()  # frees each graph as soon as it has been written
