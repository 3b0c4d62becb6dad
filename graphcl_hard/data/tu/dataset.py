"""TU data sets as a PyTorch Geometric dataset, and as the flat tensors of this package."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch_geometric.datasets
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import Data, InMemoryDataset

from graphcl_hard._tensor import initial_state
from graphcl_hard.data.graph_data import GraphData, renumbered
from graphcl_hard.data.labels import Labels, numbered_targets, without_labels
from graphcl_hard.data.tu.cache import read_cached
from graphcl_hard.data.tu.download import fetch_dataset
from graphcl_hard.data.tu.names import check_name, check_spelling
from graphcl_hard.data.tu.reader import TuArrays, one_hot_columns, tu_file
from graphcl_hard.io.paths import Pathname, user_path


class TUDataset(torch_geometric.datasets.TUDataset):
    """PyG's `TUDataset`, with the same arguments and the same data, but this package's sources, reader and cache.

    Unlike PyG's, it uses the sources of `load_graphs`, reports what is wrong with a file, never unpickles objects,
    notices edited files, prints nothing, and lets processes share a ``root``. Labels that are real numbers are float32,
    and so are classes if some are missing: those are NaN. ``pre_transform`` and ``pre_filter`` run every time, so a
    cache made with other ones is never used.

    Raises:
        InputError: as in `load_graphs`.
    """

    def __init__(
        self,
        root: Pathname,
        name: str,
        transform: Callable[[Any], Any] | None = None,
        pre_transform: Callable[[Any], Any] | None = None,
        pre_filter: Callable[[Any], bool] | None = None,
        force_reload: bool = False,
        use_node_attr: bool = False,
        use_edge_attr: bool = False,
        cleaned: bool = False,
    ) -> None:
        """Download and read the data set, or read it from the cache; the arguments are PyG's."""
        self.name = check_name(name)
        self.cleaned = cleaned
        # Bypasses PyG's own __init__, which loads its cache file and falls back to unpickling.
        InMemoryDataset.__init__(
            self,
            str(user_path(root, "root")),
            transform,
            pre_transform,
            pre_filter,
            False,
            force_reload,
        )
        self.data, self.slices, self.sizes = _pyg_data(self.name, self.__dict__.pop("_arrays"))
        if pre_filter is not None or pre_transform is not None:
            graphs = [self.get(index) for index in range(self.len())]
            graphs = (
                graphs if pre_filter is None else [graph for graph in graphs if pre_filter(graph)]
            )
            graphs = graphs if pre_transform is None else [pre_transform(graph) for graph in graphs]
            self.data, self.slices = self.collate(graphs)
        if self._data.x is not None and not use_node_attr:
            self._data.x = self._data.x[:, self.num_node_attributes :]
        if self._data.edge_attr is not None and not use_edge_attr:
            self._data.edge_attr = self._data.edge_attr[:, self.num_edge_attributes :]

    def download(self) -> None:
        """Fetch the raw files into ``raw_dir``, from the embedded copy, a mirror or the official address."""
        if not Path(self.root, f"{self.name}.zip").is_file():
            check_spelling(self.name)
        url = self.cleaned_url if self.cleaned else self.url
        fetch_dataset(
            self.name, Path(self.raw_dir), Path(self.root), url, None, cleaned=self.cleaned
        )

    def process(self) -> None:
        """Read the raw files, or a cache of their current content."""
        cache = None if self._is_flat else Path(self.processed_dir)
        self._arrays = read_cached(Path(self.raw_dir), self.name, cache, self.force_reload)

    @property
    def raw_dir(self) -> str:
        """PyG's ``root/name/raw``, or ``root/name`` if that is a TU folder of the user, to which nothing is written."""
        return str(Path(self.root, self.name)) if self._is_flat else super().raw_dir

    @property
    def _is_flat(self) -> bool:
        return not self.cleaned and any(Path(self.root, self.name).glob(f"{self.name}_*.txt"))

    def _download(
        self,
    ) -> None:  # PyG's creates raw_dir first and leaves it behind if the download fails.
        if not self._is_flat and not tu_file(Path(self.raw_dir), self.name, "A").is_file():
            self.download()

    def _process(
        self,
    ) -> None:  # PyG's unpickles, prints and warns, which the cache of `process` does not need.
        self.process()


@initial_state()
def _pyg_data(name: str, arrays: TuArrays) -> tuple[Data, dict[str, Tensor], dict[str, int]]:
    """Return what PyG's ``read_tu_data`` returns: one `Data` of all graphs, with nodes numbered within each graph."""
    graphs = graph_data(name, arrays)
    parts = [] if arrays.node_attr is None else [arrays.node_attr]
    if arrays.node_label is not None:
        parts.append(one_hot_columns(arrays.node_label, f"{name}_node_labels.txt"))
    first_node = graphs.node_ptr[torch.from_numpy(arrays.node_graph[arrays.edge_index[0]])]
    data = Data(edge_index=graphs.edge_index - first_node, y=_pyg_targets(arrays))
    slices = {"edge_index": graphs.edge_ptr}
    if parts:
        data.x = torch.from_numpy(np.concatenate(parts, axis=1))
        slices["x"] = graphs.node_ptr
    else:
        data._num_nodes = (
            graphs.node_ptr.diff().tolist()
        )  # where PyG looks up the number of each graph
        data.num_nodes = graphs.num_nodes
    if arrays.edge_attr is not None:
        data.edge_attr = torch.from_numpy(arrays.edge_attr)
        slices["edge_attr"] = graphs.edge_ptr
    if data.y is not None:
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


def _pyg_targets(arrays: TuArrays) -> Tensor | None:
    """Return PyG's y: the graph attributes, or else the classes, numbered from 0; NaN for a missing label."""
    if arrays.graph_attr is not None:
        return torch.from_numpy(arrays.graph_attr).float().squeeze(-1)
    if arrays.y is None:
        return None
    y = torch.from_numpy(arrays.y)
    if arrays.classes is None:
        return y.float()
    return y if (y >= 0).all() else y.float().masked_fill(y < 0, torch.nan)


def graph_data(name: str, arrays: TuArrays) -> GraphData:
    """Convert the arrays of a TU folder to flat tensors."""
    num_graphs = arrays.num_graphs
    node_label, values = renumbered(arrays.node_label)
    edge_label, edge_values = renumbered(arrays.edge_label)
    edge_attr = arrays.edge_attr
    if edge_attr is not None:  # the one-hot labels follow the attributes
        edge_attr = (
            edge_attr[:, : arrays.num_edge_attributes] if arrays.num_edge_attributes else None
        )
    labels = without_labels(num_graphs)
    if arrays.y is not None:
        classes = () if arrays.classes is None else tuple(arrays.classes.tolist())
        labels = Labels(torch.from_numpy(arrays.y), classes)
    elif arrays.graph_attr is not None and arrays.graph_attr.shape[1] > 1:
        y = torch.from_numpy(arrays.graph_attr)
        labels = Labels(y, targets=numbered_targets(y))
    return GraphData(
        name=name,
        node_ptr=_group_offsets(arrays.node_graph, num_graphs),
        edge_index=torch.from_numpy(arrays.edge_index),
        edge_ptr=_group_offsets(arrays.node_graph[arrays.edge_index[0]], num_graphs),
        **labels._asdict(),
        ids=np.arange(1, num_graphs + 1),
        node_label=node_label,
        node_attr=None if arrays.node_attr is None else torch.from_numpy(arrays.node_attr),
        node_label_values=values,
        edge_label=edge_label,
        edge_attr=None if edge_attr is None else torch.from_numpy(edge_attr).contiguous(),
        edge_label_values=edge_values,
    )


def _group_offsets(index: NDArray[np.int64], size: int) -> Tensor:
    """Return the (size + 1,) int64 offsets of ``size`` groups, for the group of each element, ascending."""
    return torch.from_numpy(
        np.append(0, np.cumsum(np.bincount(index, minlength=size))).astype(np.int64)
    )
