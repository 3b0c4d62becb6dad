"""Data sets larger than memory: a folder of shards, from which some ranges of graphs are read at a time.

A shard is a file with the flat tensors, as in `GraphData`, of a few thousand graphs. The index is written last, so a
folder that was not completed is never read as a data set.
"""

import copy
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import Data

from graphcl_hard._tensor import initial_state, offsets
from graphcl_hard.data.graph_data import (
    STANDARD_NAMES,
    GraphData,
    Index,
    Names,
    is_single,
    positions,
)
from graphcl_hard.data.labels import Class, Labels, number_integers, own_labels, with_classes
from graphcl_hard.data.tu.names import SHARDS_INDEX as INDEX
from graphcl_hard.exceptions import InputError, first_line, short_repr
from graphcl_hard.io._tensor_rows import TensorRows
from graphcl_hard.io.checksum import read_checksummed, verify_checksum, with_checksum
from graphcl_hard.io.paths import Pathname, user_path

FORMAT = 3
READABLE = (
    1,
    2,
    FORMAT,
)  # 1 had no names of classes and columns, and no ids; 2 had no several targets
SHARD_GRAPHS = 8192
WINDOW = 16384  # graphs in memory at a time; smaller data sets are read into memory completely
PER_NODE, PER_EDGE = ("node_label", "node_attr"), ("edge_label", "edge_attr")
LABELS = ("node_label", "edge_label")
CLASSES = "y"
REMEDY = "write the data set again, with graphcl_hard.convert or write_shards"


class GraphShards:
    """A data set of G graphs on disk, in a folder that `write_shards` wrote.

    Only 16 bytes per graph, for the offsets of its nodes and edges, and 8 for each of its labels are in memory. The
    index contains the checksums of itself and of every shard; a shard is verified when it is first read.

    Args:
        path: the folder.

    Attributes:
        name: name of the data set.
        node_ptr: (G + 1,) int64, from 0 to N, as in `GraphData`.
        edge_ptr: (G + 1,) int64, from 0 to E.
        y: (G,) int64, the class of each graph, 0..C-1, -1 where it is missing; or float64, measured targets, (G,) or
            (G, T).
        classes: the C classes as they were given, as in `GraphData`.
        targets: the names of the T targets, as in `GraphData`.
        names: the names by which single graphs hold the columns.
        columns: those of node_label, node_attr, edge_label and edge_attr that the graphs have.

    Raises:
        InputError: the folder contains no complete data set, or its files were changed or damaged.

    Examples:
        >>> import tempfile
        >>> from graphcl_hard import GraphShards, load_graphs, write_shards
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     written = write_shards(f"{folder}/mutag", load_graphs("MUTAG").chunks(), name="MUTAG")
        ...     shards = GraphShards(f"{folder}/mutag")
        ...     graphs = shards.read([(0, 10), (100, 110)])
        >>> shards.num_graphs, graphs.num_graphs
        (188, 20)
    """

    @initial_state()
    def __init__(self, path: Pathname) -> None:
        self.path = user_path(path)
        try:
            index = json.loads((self.path / INDEX).read_text(encoding="utf-8"))
            if index["format"] not in READABLE:
                found = short_repr(index["format"])
                raise InputError(
                    f"{self.path} is a data set of format {found}, must be {FORMAT}; write it again."
                )
            verify_checksum(index)
            self.name = str(index["name"])
            # The name does not count, as in `GraphData`.
            self.checksum = str(with_checksum({**index, "name": ""})["sum"])
            self._shards = [(str(shard), str(digest)) for shard, digest in index["shards"]]
            self._values = {
                name: [tuple(values) for values in index["values"][name]] for name in LABELS
            }
            self._places = {
                name: [torch.tensor(p) for p in index["places"][name]] for name in LABELS
            }
            classes: list[Class] = index.get("classes", [])
            places = torch.tensor(index.get("class_places", []), dtype=torch.int64)
            names = index.get("names")
            self.targets = tuple(map(str, index.get("targets", [])))
            self._ids: str | None = index.get("ids")
            numbered = [(self._values[name], self._places[name]) for name in LABELS]
            for columns, orders in (*numbered, ([tuple(classes)], [places])):
                ascending = [list(range(len(column))) for column in columns]
                if [sorted(order.tolist()) for order in orders] != ascending:
                    raise ValueError("the order of its labels is invalid")
            self.columns = frozenset(index["columns"])
            if any(Path(shard).name != shard for shard, _ in self._shards) or not self.columns <= {
                *PER_NODE,
                *PER_EDGE,
            }:
                raise ValueError("it names a file or a column that a data set cannot have")
        except InputError:
            raise
        except (
            OSError,
            AttributeError,
            LookupError,
            RecursionError,
            TypeError,
            ValueError,
        ) as error:
            raise InputError(
                f"{self.path / INDEX} cannot be read ({first_line(error)}), so the folder has no complete data "
                f"set; {REMEDY}."
            ) from error
        self._files: dict[int, TensorRows] = {}
        self._checked: set[int] = set()
        wanted = dict.fromkeys(("nodes", "edges", CLASSES))
        counts = [self._rows(number, wanted, check=False) for number in range(len(self._shards))]
        nodes, edges = (
            torch.cat([count[name] for count in counts]).long() for name in ("nodes", "edges")
        )
        self.node_ptr, self.edge_ptr = offsets(nodes), offsets(edges)
        self._first = offsets(
            torch.tensor([len(count[CLASSES]) for count in counts])
        )  # graph of each shard
        self.y: Tensor
        self.classes: tuple[Class, ...]
        parts = [count[CLASSES] for count in counts]
        if self.targets:
            self.y, self.classes = _targets(parts, len(self.targets)), ()
        else:
            self.y, self.classes = _labels(parts, classes, places)
        self.names = STANDARD_NAMES if not names else Names(*map(_tupled, names))

    @cached_property
    def ids(self) -> NDArray[Any]:
        """(G,) int64 or str, the identity of each graph, as in `GraphData`; read when they are first needed."""
        each = enumerate(self._first.diff().tolist())
        return np.concatenate([self._ids_of(shard, 0, graphs) for shard, graphs in each])

    def _ids_of(self, shard: int, start: int, stop: int) -> NDArray[Any]:
        """Return the ids of some graphs of a shard, given by their positions in it."""
        first = int(self._first[shard])
        if self._ids is None:
            return np.arange(first + start, first + stop)
        if self._ids == "int":
            return self._rows(shard, {"ids": (start, stop)}, check=False)["ids"].long().numpy()
        # The UTF-8 bytes of all ids, one after another.
        lengths = self._rows(shard, {"id_lengths": None}, check=False)["id_lengths"].long()
        ends = offsets(lengths)[start : stop + 1].tolist()
        content = self._rows(shard, {"ids": (ends[0], ends[-1])}, check=False)["ids"].numpy()
        texts = np.split(content, [end - ends[0] for end in ends[1:-1]])
        return np.array([text.tobytes().decode() for text in texts], dtype=str)

    @property
    def labels(self) -> NDArray[Any] | None:
        """(G,) or (G, T), the labels as they were given; None if there are none, see `GraphData.labels`."""
        return own_labels(self.y, self.classes)

    @property
    def num_graphs(self) -> int:
        """Number of graphs G."""
        return len(self.y)

    @property
    def num_nodes(self) -> int:
        """Number of nodes N in all graphs."""
        return int(self.node_ptr[-1])

    @property
    def num_edges(self) -> int:
        """Number of directed edges E in all graphs."""
        return int(self.edge_ptr[-1])

    @property
    def num_classes(self) -> int:
        """Number of classes C; 0 without labels and with measured targets."""
        return len(self.classes)

    @property
    def shape(self) -> tuple[int]:
        """(G,), by which scikit-learn recognises what it may index with arrays."""
        return (self.num_graphs,)

    def __repr__(self) -> str:
        graphs, nodes = f"{self.num_graphs} graphs", f"{self.num_nodes} nodes"
        return f"GraphShards({self.name!r}, {graphs}, {nodes}, {self.num_edges} directed edges)"

    def __len__(self) -> int:
        return self.num_graphs

    @overload
    def __getitem__(self, index: int) -> Data: ...
    @overload
    def __getitem__(self, index: Index) -> GraphData: ...
    def __getitem__(self, index: int | Index) -> Data | GraphData:
        """Read a graph, as `Data`, or the graphs of a slice or array into memory; see `GraphData.__getitem__`."""
        graphs = positions(index, self.num_graphs)
        each, places = graphs.unique(return_inverse=True)
        # Runs of consecutive graphs are read at once.
        starts = each[each.diff(prepend=each.new_full((1,), -2)) != 1]
        stops = each[each.diff(append=each.new_full((1,), self.num_graphs + 1)) != 1] + 1
        read = self.read(zip(starts.tolist(), stops.tolist(), strict=True))
        if is_single(index):
            return read[0]
        return read if torch.equal(graphs, each) else read[places.numpy()]

    def __iter__(self) -> Iterator[Data]:
        return (graph for chunk in self.chunks() for graph in chunk)

    def to_pyg(self) -> list[Data]:
        """Return all graphs as `torch_geometric.data.Data`, see `GraphData.to_pyg`; iterating needs less memory."""
        return list(self)

    def with_classes(self, classes: Sequence[Class]) -> "GraphShards":
        """Return the same data set with its classes numbered as in another one, see `GraphData.with_classes`."""
        other = copy.copy(self)
        other.y, other.classes, _ = with_classes(Labels(self.y, self.classes), classes, self.name)
        return other

    def without(self, *columns: str) -> "GraphShards":
        """Return the same data set without these columns, which are then not read."""
        other = copy.copy(self)
        other.columns = self.columns - set(columns)
        return other

    @initial_state()
    def read(self, ranges: Iterable[tuple[int, int]]) -> GraphData:
        """Read the graphs in the ranges [start, stop), one range after the other, into memory.

        Raises:
            InputError: a shard cannot be read, or was changed or damaged.
        """
        parts = [part for start, stop in ranges for part in self._within_shards(start, stop)]
        graphs = torch.cat(
            [torch.arange(start, stop) for start, stop, *_ in parts] or [torch.empty(0).long()]
        )
        node_ptr, edge_ptr = (offsets(ptr.diff()[graphs]) for ptr in (self.node_ptr, self.edge_ptr))
        found: dict[str, list[Tensor]] = {
            name: [] for name in ("source", "target", *sorted(self.columns))
        }
        done = 0
        ids: list[NDArray[Any]] = []
        for start, stop, shard in parts:
            first = int(self._first[shard])
            ids.append(self._ids_of(shard, start - first, stop - first))
            tensors = self._read_part(shard, start, stop)
            shift = done - int(self.node_ptr[start] - self.node_ptr[self._first[shard]])
            for name, tensor in tensors.items():
                found[name].append(
                    tensor.long() + shift if name in ("source", "target") else tensor
                )
            done += int(self.node_ptr[stop] - self.node_ptr[start])
        edges = [
            torch.cat(found.pop(end) or [torch.empty(0).long()]) for end in ("source", "target")
        ]
        columns: dict[str, Any] = {
            name: self._joined(name, tensors) for name, tensors in found.items()
        }
        columns |= {
            f"{name}_values": tuple(self._values[name])
            for name in LABELS
            if columns.get(name) is not None
        }
        return GraphData(
            self.name,
            node_ptr,
            torch.stack(edges),
            edge_ptr,
            self.y[graphs],
            **columns,
            classes=self.classes,
            ids=np.concatenate(ids) if ids else np.empty(0, dtype=np.int64),
            names=self.names,
            targets=self.targets,
        )

    def chunks(self) -> Iterator[GraphData]:
        """Yield all graphs in order, one shard at a time."""
        for start, stop in zip(self._first[:-1].tolist(), self._first[1:].tolist(), strict=True):
            yield self.read([(start, stop)])

    def whole(self) -> GraphData:
        """Read the whole data set into memory."""
        return self.read([(0, self.num_graphs)])

    def _within_shards(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Yield the range split at the bounds of shards, as (start, stop, shard)."""
        while start < stop:
            shard = int(torch.searchsorted(self._first, start, right=True)) - 1
            end = min(stop, int(self._first[shard + 1]))
            yield start, end, shard
            start = end

    def _read_part(self, shard: int, start: int, stop: int) -> dict[str, Tensor]:
        first = int(self._first[shard])
        bounds: dict[str, tuple[int, int]] = {}
        for names, ptr in (
            (PER_NODE, self.node_ptr),
            (("source", "target", *PER_EDGE), self.edge_ptr),
        ):
            low, high = (int(ptr[graph] - ptr[first]) for graph in (start, stop))
            bounds |= {name: (low, high) for name in names if high > low}
        wanted = {
            name: rows
            for name, rows in bounds.items()
            if name in ("source", "target") or name in self.columns
        }
        return self._rows(shard, wanted)

    def _rows(
        self, shard: int, bounds: Mapping[str, tuple[int, int] | None], check: bool = True
    ) -> dict[str, Tensor]:
        name, digest = self._shards[shard]
        path = self.path / name
        try:
            if shard not in self._files:
                file = TensorRows(path)
                if file.metadata.get("sha256") != digest:
                    raise ValueError("it belongs to another data set")
                self._files[shard] = file
            if check and shard not in self._checked:
                read_checksummed(path)
                self._checked.add(shard)
            return self._files[shard].read(bounds)
        except InputError as error:
            raise InputError(f"{error}; {REMEDY}.") from error
        except (OSError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise InputError(f"{path} cannot be read: {first_line(error)}; {REMEDY}.") from error

    def _joined(self, name: str, tensors: list[Tensor]) -> Tensor | None:
        """Return a column of all parts; label numbers are converted to positions among the values of the data set."""
        if not tensors:
            return None
        whole = torch.cat([tensor.long() if name in LABELS else tensor for tensor in tensors])
        if name not in LABELS:
            return whole
        return torch.stack(
            [place[c] for place, c in zip(self._places[name], whole.unbind(1), strict=True)], dim=1
        )


def _labels(
    parts: list[Tensor], classes: list[Class], places: Tensor
) -> tuple[Tensor, tuple[Class, ...]]:
    """Return the labels of all shards; their numbers of classes are converted to positions among the classes."""
    if not classes and not any(part.is_floating_point() for part in parts):
        return number_integers(torch.cat(parts).long())[:2]  # also of the first format
    ordered = torch.cat([places, places.new_full((1,), -1)])  # the last one for missing labels
    numbered = [part if part.is_floating_point() else ordered[part.long()] for part in parts]
    if not any(part.is_floating_point() for part in parts):
        return torch.cat(numbered), tuple(classes)
    # Some shards of measured targets have only whole numbers.
    values = torch.tensor([*classes, torch.nan], dtype=torch.float64)
    return torch.cat([part if part.is_floating_point() else values[part] for part in numbered]), ()


def _targets(parts: list[Tensor], width: int) -> Tensor:
    """Return the targets (G, T) of all shards, NaN for those of graphs without labels."""
    return torch.cat(
        [part if part.dim() == 2 else torch.full((len(part), width), torch.nan) for part in parts]
    ).double()


def _tupled(name: Any) -> Any:
    return tuple(name) if isinstance(name, list) else name
