"""TU sets by name or path, as flat tensors over the whole set, and where their files come from.

`load_graphs` is what the rest of the package uses; `TUDataset` is PyG's class over the same files, for those who
want PyG's `Data` objects.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch_geometric.datasets
from torch import Tensor
from torch_geometric.data import Data, InMemoryDataset

from graphcl_hard.download import KNOWN_SHA256, NotFetchedError, Progress, fetch
from graphcl_hard.errors import InputError
from graphcl_hard.graph_data import GraphData, graph_data
from graphcl_hard.graph_shards import WINDOW, GraphShards
from graphcl_hard.sources import (
    check_name,
    check_spelling,
    default_data_dir,
    embedded_folder,
    is_path,
    is_shards,
    mirror,
    set_in_folder,
    suggest,
    writable_folder,
)
from graphcl_hard.tu_cache import read_cached
from graphcl_hard.tu_format import TuArrays, one_hot_columns, read_tu_folder, tu_file


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
        name = set_in_folder(path)
        return graph_data(name, read_tu_folder(path, name))

    name = check_name(name_or_path)
    root = default_data_dir() if data_dir is None else Path(os.path.expanduser(data_dir))
    if root.exists() and not root.is_dir():
        raise InputError(f"the data folder {root} is a file, must be a folder; choose another --data-dir.")
    fetched = tu_file(root / name / "raw", name, "A").is_file() or (root / f"{name}.zip").is_file()
    for folder in (root / name, None if fetched else embedded_folder(name)):
        if folder is not None and any(folder.glob(f"{name}_*.txt")):
            return graph_data(name, read_tu_folder(folder, name))
    if not fetched:
        check_spelling(name)
    with writable_folder(root / name) as base:
        if data_dir is not None and base != root / name and not fetched:
            raise InputError(f"the data folder {root} cannot be written; choose another --data-dir.")
        if not tu_file(base / "raw", name, "A").is_file():
            _fetch(name, base / "raw", root, TUDataset.url, progress)
        return graph_data(name, read_cached(base / "raw", name, base / "processed"))


def open_set(
    name_or_path: str, *, data_dir: str | Path | None = None, progress: Progress | None = None
) -> GraphData | GraphShards:
    """`load_graphs`, but a set of shards with more than 16,384 graphs stays on the disk."""
    if is_path(name_or_path) and is_shards(path := Path(os.path.expanduser(name_or_path))):
        shards = GraphShards(path)
        return shards if shards.num_graphs > WINDOW else shards.whole()
    return load_graphs(name_or_path, data_dir=data_dir, progress=progress)


class TUDataset(torch_geometric.datasets.TUDataset):
    """PyG's `TUDataset` with the same arguments and the same data, over this package's sources, reader and cache.

    Unlike PyG's, it finds the sources that `load_graphs` does, says what is wrong with a file, never unpickles
    objects, notices edited files, prints nothing, and lets processes share a ``root``. ``pre_transform`` and
    ``pre_filter`` run at each start, never out of a cache that was made with others.

    Raises:
        InputError: as for `load_graphs`.
    """

    def __init__(
        self,
        root: str,
        name: str,
        transform: Callable[[Any], Any] | None = None,
        pre_transform: Callable[[Any], Any] | None = None,
        pre_filter: Callable[[Any], bool] | None = None,
        force_reload: bool = False,
        use_node_attr: bool = False,
        use_edge_attr: bool = False,
        cleaned: bool = False,
    ) -> None:
        """Fetch and read the set, or take it from the cache; the arguments are PyG's."""
        self.name = check_name(name)
        self.cleaned = cleaned
        # Past PyG's own __init__, which loads its cache file and falls back to unpickling.
        InMemoryDataset.__init__(self, str(root), transform, pre_transform, pre_filter, False, force_reload)
        self.data, self.slices, self.sizes = _pyg_data(self.name, self.__dict__.pop("_arrays"))
        if pre_filter is not None or pre_transform is not None:
            graphs = [self.get(index) for index in range(self.len())]
            graphs = graphs if pre_filter is None else [graph for graph in graphs if pre_filter(graph)]
            graphs = graphs if pre_transform is None else [pre_transform(graph) for graph in graphs]
            self.data, self.slices = self.collate(graphs)
        if self._data.x is not None and not use_node_attr:
            self._data.x = self._data.x[:, self.num_node_attributes :]
        if self._data.edge_attr is not None and not use_edge_attr:
            self._data.edge_attr = self._data.edge_attr[:, self.num_edge_attributes :]

    def download(self) -> None:
        """Put the raw files into ``raw_dir``, from the embedded copy, a mirror or the official address."""
        if not Path(self.root, f"{self.name}.zip").is_file():
            check_spelling(self.name)
        url = self.cleaned_url if self.cleaned else self.url
        _fetch(self.name, Path(self.raw_dir), Path(self.root), url, None, cleaned=self.cleaned)

    def process(self) -> None:
        """Read the raw files, or the cache of exactly these files."""
        cache = None if self._is_flat else Path(self.processed_dir)
        self._arrays = read_cached(Path(self.raw_dir), self.name, cache, self.force_reload)

    @property
    def raw_dir(self) -> str:
        """PyG's ``root/name/raw``, or ``root/name`` if that is a TU folder of the user's, where nothing is written."""
        return str(Path(self.root, self.name)) if self._is_flat else super().raw_dir

    @property
    def _is_flat(self) -> bool:
        return not self.cleaned and any(Path(self.root, self.name).glob(f"{self.name}_*.txt"))

    def _download(self) -> None:  # PyG's makes raw_dir first, and leaves it behind when the download fails.
        if not self._is_flat and not tu_file(Path(self.raw_dir), self.name, "A").is_file():
            self.download()

    def _process(self) -> None:  # PyG's unpickles, prints and warns; the cache of `process` needs none of it.
        self.process()


def _fetch(
    name: str, raw_dir: Path, root: Path, url: str, progress: Progress | None = None, cleaned: bool = False
) -> None:
    """Fill ``raw_dir`` from a zip file in ``root``, the embedded copy, the mirror, or the address ``url``."""
    embedded = embedded_folder(name)
    places = (root if (root / f"{name}.zip").is_file() else None, embedded and embedded.parent, mirror())
    # The cleaned sets are other graphs under the same names: no mirror has them, and no sum of ours is theirs.
    mirrors = [] if cleaned else [str(place) for place in places if place is not None]
    known_sha256 = {} if cleaned else KNOWN_SHA256
    try:
        fetch(name, raw_dir, mirrors=mirrors, official_url=url, progress=progress, known_sha256=known_sha256)
    except NotFetchedError as error:
        known, _ = suggest(name)
        hint = "." if known in (None, name) else f"; did you mean {known}?"
        raise NotFetchedError(f"{error}{hint}") from error


def _pyg_data(name: str, arrays: TuArrays) -> tuple[Data, dict[str, Tensor], dict[str, int]]:
    """What PyG's ``read_tu_data`` returns: one `Data` over the whole set, nodes numbered within each graph."""
    graphs = graph_data(name, arrays)
    parts = [] if arrays.node_attr is None else [arrays.node_attr]
    if arrays.node_label is not None:
        parts.append(one_hot_columns(arrays.node_label, f"{name}_node_labels.txt"))
    first_node = graphs.node_ptr[torch.from_numpy(arrays.node_graph[arrays.edge_index[0]])]
    data = Data(edge_index=graphs.edge_index - first_node, y=graphs.y)
    slices = {"edge_index": graphs.edge_ptr}
    if parts:
        data.x = torch.from_numpy(np.concatenate(parts, axis=1))
        slices["x"] = graphs.node_ptr
    else:
        data._num_nodes = graphs.node_ptr.diff().tolist()  # where PyG looks for each graph's number
        data.num_nodes = graphs.num_nodes
    if arrays.edge_attr is not None:
        data.edge_attr = torch.from_numpy(arrays.edge_attr)
        slices["edge_attr"] = graphs.edge_ptr
    slices["y"] = torch.arange(graphs.num_graphs + 1)
    num_node_attributes = 0 if arrays.node_attr is None else arrays.node_attr.shape[1]
    num_edge_columns = 0 if arrays.edge_attr is None else arrays.edge_attr.shape[1]
    sizes = {
        "num_node_attributes": num_node_attributes,
        "num_node_labels": (data.x.size(1) if parts else 0) - num_node_attributes,
        "num_edge_attributes": arrays.num_edge_attributes,
        "num_edge_labels": num_edge_columns - arrays.num_edge_attributes,
    }
    return data, slices, sizes
