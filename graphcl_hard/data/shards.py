"""Sets of graphs larger than memory: a folder of shards, of which a few runs of graphs are read at a time.

A shard is a file of flat tensors, as `GraphData` has them, of a few thousand graphs; the index is written last, so that
a folder that was not finished is never taken for a whole set.
"""

import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from graphcl_hard._tensor import offsets
from graphcl_hard.data.graph_data import GraphData
from graphcl_hard.data.tu.names import SHARDS_INDEX as INDEX
from graphcl_hard.exceptions import InputError, first_line, short_repr
from graphcl_hard.io._tensor_rows import TensorRows
from graphcl_hard.io.checksum import read_checksummed, verify_checksum

FORMAT = 1
SHARD_GRAPHS = 8192
WINDOW = 16384  # graphs in memory at a time; smaller sets are read into it as a whole
PER_NODE, PER_EDGE = ("node_label", "node_attr"), ("edge_label", "edge_attr")
LABELS = ("node_label", "edge_label")


class GraphShards:
    """A set of G graphs that stays on the disk, in a folder that `write_shards` made.

    In memory are 24 bytes a graph: its class, and where its nodes and edges begin. The index holds its own sum, and
    each shard's, to which the shard's content is held when it is first read from.

    Args:
        path: the folder.

    Attributes:
        name: the set's name.
        node_ptr: (G + 1,) int64, from 0 to N, as in `GraphData`.
        edge_ptr: (G + 1,) int64, from 0 to E.
        y: (G,) int64, the class of each graph, 0..C-1.
        columns: which of node_label, node_attr, edge_label and edge_attr its graphs have.

    Raises:
        InputError: the folder holds no whole set, or its files are not what was written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            index = json.loads((self.path / INDEX).read_text(encoding="utf-8"))
            if index["format"] != FORMAT:
                found = short_repr(index["format"])
                raise InputError(f"{self.path} is a set of format {found}, must be {FORMAT}; convert it again.")
            verify_checksum(index)
            self.name = str(index["name"])
            self._shards = [(str(shard), str(digest)) for shard, digest in index["shards"]]
            self._values = {name: [tuple(values) for values in index["values"][name]] for name in LABELS}
            self._places = {name: [torch.tensor(p) for p in index["places"][name]] for name in LABELS}
            for values, places in ((self._values[name], self._places[name]) for name in LABELS):
                orders = [sorted(place.tolist()) for place in places]
                if orders != [list(range(len(column))) for column in values]:
                    raise ValueError("its labels have no order")
            self.columns = frozenset(index["columns"])
            if any(Path(shard).name != shard for shard, _ in self._shards) or not self.columns <= {
                *PER_NODE,
                *PER_EDGE,
            }:
                raise ValueError("it names what is no shard")
        except InputError:
            raise
        except (OSError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else first_line(error)
            raise InputError(
                f"{self.path / INDEX} cannot be read ({reason}), so that the folder holds no whole set of graphs; make "
                "the set again by graphcl_hard.convert."
            ) from error
        self._files: dict[int, TensorRows] = {}
        self._checked: set[int] = set()
        wanted = dict.fromkeys(("nodes", "edges", "y"))
        counts = [self._rows(number, wanted, check=False) for number in range(len(self._shards))]
        nodes, edges, y = (torch.cat([count[name] for count in counts]).long() for name in ("nodes", "edges", "y"))
        self.node_ptr, self.edge_ptr = offsets(nodes), offsets(edges)
        self.y = torch.unique(y, return_inverse=True)[1]
        self._first = offsets(torch.tensor([count["y"].numel() for count in counts]))  # graph of each shard

    @property
    def num_graphs(self) -> int:
        """Number of graphs G."""
        return self.y.numel()

    @property
    def num_nodes(self) -> int:
        """Number of nodes N in the whole set."""
        return int(self.node_ptr[-1])

    @property
    def num_edges(self) -> int:
        """Number of directed edges E in the whole set."""
        return int(self.edge_ptr[-1])

    @property
    def num_classes(self) -> int:
        """Number of classes C."""
        return int(self.y.max()) + 1

    def without(self, *columns: str) -> "GraphShards":
        """The same set, of whose graphs these columns are not read."""
        other = copy.copy(self)
        other.columns = self.columns - set(columns)
        return other

    def read(self, runs: Iterable[tuple[int, int]]) -> GraphData:
        """The graphs in these runs [start, stop), one run after the other, in memory.

        Raises:
            InputError: a shard cannot be read, or is not what was written.
        """
        parts = [part for start, stop in runs for part in self._within_shards(start, stop)]
        graphs = torch.cat([torch.arange(start, stop) for start, stop, *_ in parts] or [torch.empty(0).long()])
        node_ptr, edge_ptr = (offsets(ptr.diff()[graphs]) for ptr in (self.node_ptr, self.edge_ptr))
        found: dict[str, list[Tensor]] = {name: [] for name in ("source", "target", *sorted(self.columns))}
        done = 0
        for start, stop, shard in parts:
            tensors = self._read_part(shard, start, stop)
            shift = done - int(self.node_ptr[start] - self.node_ptr[self._first[shard]])
            for name, tensor in tensors.items():
                found[name].append(tensor.long() + shift if name in ("source", "target") else tensor)
            done += int(self.node_ptr[stop] - self.node_ptr[start])
        edges = [torch.cat(found.pop(end) or [torch.empty(0).long()]) for end in ("source", "target")]
        columns: dict[str, Any] = {name: self._joined(name, tensors) for name, tensors in found.items()}
        columns |= {f"{name}_values": tuple(self._values[name]) for name in LABELS if columns.get(name) is not None}
        return GraphData(self.name, node_ptr, torch.stack(edges), edge_ptr, self.y[graphs], **columns)

    def chunks(self) -> Iterator[GraphData]:
        """All graphs in their order, a shard at a time."""
        for start, stop in zip(self._first[:-1].tolist(), self._first[1:].tolist(), strict=True):
            yield self.read([(start, stop)])

    def whole(self) -> GraphData:
        """The set in memory."""
        return self.read([(0, self.num_graphs)])

    def _within_shards(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """The run cut at the shards' ends, each part with its shard."""
        while start < stop:
            shard = int(torch.searchsorted(self._first, start, right=True)) - 1
            end = min(stop, int(self._first[shard + 1]))
            yield start, end, shard
            start = end

    def _read_part(self, shard: int, start: int, stop: int) -> dict[str, Tensor]:
        first = int(self._first[shard])
        bounds: dict[str, tuple[int, int]] = {}
        for names, ptr in ((PER_NODE, self.node_ptr), (("source", "target", *PER_EDGE), self.edge_ptr)):
            low, high = (int(ptr[graph] - ptr[first]) for graph in (start, stop))
            bounds |= {name: (low, high) for name in names if high > low}
        wanted = {name: rows for name, rows in bounds.items() if name in ("source", "target") or name in self.columns}
        return self._rows(shard, wanted)

    def _rows(self, shard: int, bounds: Mapping[str, tuple[int, int] | None], check: bool = True) -> dict[str, Tensor]:
        name, digest = self._shards[shard]
        path = self.path / name
        try:
            if shard not in self._files:
                file = TensorRows(path)
                if file.metadata.get("sha256") != digest:
                    raise ValueError("it belongs to another set")
                self._files[shard] = file
            if check and shard not in self._checked:
                read_checksummed(path)
                self._checked.add(shard)
            return self._files[shard].read(bounds)
        except InputError as error:
            raise InputError(f"{error}; make the set again by graphcl_hard.convert.") from error
        except (OSError, LookupError, RecursionError, TypeError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else first_line(error)
            raise InputError(f"{path} cannot be read: {reason}; make the set again by graphcl_hard.convert.") from error

    def _joined(self, name: str, tensors: list[Tensor]) -> Tensor | None:
        """A column over all parts; of the labels the numbers are turned into places among the set's values."""
        if not tensors:
            return None
        whole = torch.cat([tensor.long() if name in LABELS else tensor for tensor in tensors])
        if name not in LABELS:
            return whole
        return torch.stack([place[c] for place, c in zip(self._places[name], whole.unbind(1), strict=True)], dim=1)
