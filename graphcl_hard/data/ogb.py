"""Read folders of the Open Graph Benchmark, such as ogbg_molhiv, as chunks of graphs."""

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from graphcl_hard.data.adjacency import clean_edges
from graphcl_hard.data.graph_data import GraphData, renumbered
from graphcl_hard.data.labels import Labels, read_labels, read_targets, without_labels
from graphcl_hard.data.shards import SHARD_GRAPHS
from graphcl_hard.exceptions import InputError, first_line

COUNTS = ("num-node-list", "num-edge-list")
AT_A_TIME = 2**18  # rows
EDGES, NODE_FEATURES, EDGE_FEATURES, LABELS = "edge", "node-feat", "edge-feat", "graph-label"


def ogb_folder(folder: Path) -> Path | None:
    """Return the subfolder with the raw files of a data set as OGB unpacks it, or None if there are none."""
    for raw in (folder / "raw", folder):
        if (raw / f"{EDGES}.csv.gz").is_file():
            return raw
    return None


def ogb_chunks(raw: Path, labels: Sequence[str] = ()) -> Iterator[GraphData]:
    """Yield the graphs of a data set, a few thousand at a time, with every edge in both directions.

    A feature file becomes labels if all of its numbers are integers, as for the molecules, and attributes otherwise.

    Args:
        raw: the folder with edge.csv.gz, num-node-list.csv.gz, num-edge-list.csv.gz and, optionally, node-feat.csv.gz,
            edge-feat.csv.gz and graph-label.csv.gz.
        labels: numbers of the columns of graph-label.csv.gz with the labels, from 0, or "all"; one column is read as in
            `read_labels`, several as in `read_targets`; empty: no labels.

    Yields:
        `GraphData` with the labels, and the numbers of the graphs, from 0, as ids.

    Raises:
        InputError: a file is missing, or too short or too long; an edge refers to a node that its graph does not have;
            labels are of several kinds; or pandas is not installed.

    Source: Hu et al., "Open Graph Benchmark", NeurIPS 2020; the package ogb describes the format in ogb/io.
    """
    counts = {name: _Table(raw, name) for name in COUNTS}
    rows = {name: _Table(raw, name) for name in (EDGES, NODE_FEATURES, EDGE_FEATURES)}
    found = _read_labels(raw, labels) if labels else None
    # Read completely beforehand, so that every chunk has the same columns.
    are_labels = {
        name: _Table(raw, name).is_integer()
        for name in (NODE_FEATURES, EDGE_FEATURES)
        if rows[name].is_there
    }
    done = 0
    while True:
        nodes, edges = (
            _integers(counts[name].read(SHARD_GRAPHS, exactly=False), raw, name) for name in COUNTS
        )
        if len(nodes) != len(edges):
            raise InputError(
                f"{raw} has {len(nodes)} and {len(edges)} lines left in {' and '.join(COUNTS)}, must be as many; fetch "
                "the files again."
            )
        if not len(nodes):
            break
        tables = {
            name: table.read(int((nodes if name == NODE_FEATURES else edges).sum()), exactly=True)
            for name, table in rows.items()
            if table.is_there or name == EDGES
        }
        chunk = _chunk(raw, nodes, edges, tables, are_labels, done)
        part = without_labels(len(nodes))
        if found is not None:
            if len(found.y) < done + len(nodes):
                raise InputError(
                    f"{raw / LABELS}.csv.gz has {len(found.y)} rows, must have one for each graph; fetch it again."
                )
            part = found._replace(y=found.y[done : done + len(nodes)])
        ids = np.arange(done, done + len(nodes))
        yield GraphData(**chunk, **part._asdict(), ids=ids)
        done += len(nodes)
    for name, table in rows.items():
        if table.is_there and len(table.read(1, exactly=False)):
            raise InputError(
                f"{raw / name}.csv.gz has more lines than {' and '.join(COUNTS)} count; fetch it again."
            )
    if found is not None and len(found.y) > done:
        raise InputError(
            f"{raw / LABELS}.csv.gz has {len(found.y)} rows, must have {done}, one for each graph; fetch it again."
        )


def _read_labels(raw: Path, labels: Sequence[str]) -> Labels:
    """Return the labels of all graphs from columns of graph-label.csv.gz, given by their numbers."""
    table = _Table(raw, LABELS)
    parts = []
    while len(part := table.read(AT_A_TIME, exactly=False)):
        parts.append(part)
    width = parts[0].shape[1] if parts else 0
    if list(labels) == ["all"]:
        labels = [str(column) for column in range(width)]
    for label in labels:
        if not label.isdecimal() or int(label) >= width:
            raise InputError(
                f"`labels` must be numbers of columns of {raw / LABELS}.csv.gz, 0 to {width - 1}, got {label!r}; give "
                "some of them, or all."
            )
    columns = {
        label: [value for part in parts for value in part[:, int(label)].tolist()]
        for label in labels
    }
    if len(columns) == 1:
        values = columns.popitem()[1]
        return read_labels(values, f"Label {labels[0]} of {raw}", "graph", from_file=True)
    return read_targets(columns, f"{raw / LABELS}.csv.gz, column", "graph")


def _chunk(
    raw: Path,
    nodes: NDArray[np.int64],
    edges: NDArray[np.int64],
    tables: dict[str, NDArray[Any]],
    are_labels: dict[str, bool],
    done: int,
) -> dict[str, Any]:
    ends = _integers(tables[EDGES], raw, EDGES)
    if len(ends) and ends.shape[1:] != (2,):
        raise InputError(
            f"{raw / EDGES}.csv.gz must have two columns, the ends of an edge, got {ends.shape[1]}; fetch it again."
        )
    ends = ends.reshape(-1, 2)
    graph = np.repeat(np.arange(len(nodes)), edges)
    bad = np.flatnonzero(((ends < 0) | (ends >= nodes[graph, None])).any(axis=1))
    if len(bad):
        where = graph[bad[0]]
        raise InputError(
            f"Graph {done + where} of {raw} has an edge between nodes {ends[bad[0]].tolist()}, must lie in "
            f"[0, {nodes[where] - 1}]; number the nodes of each graph from 0."
        )
    node_ptr = np.append(0, np.cumsum(nodes))
    one_way = (ends + node_ptr[graph, None]).T
    features = tables.get(EDGE_FEATURES)
    both = None if features is None else features.repeat(2, axis=0)
    edge_index, _, places = clean_edges(
        np.stack([one_way, one_way[::-1]], axis=2).reshape(2, -1),
        None,
        np.arange(2 * len(ends)) if both is not None else None,
        int(node_ptr[-1]),
    )
    kept, given = None if both is None else both[places], tables.get(NODE_FEATURES)
    edge_label, edge_values = renumbered(_labels(kept, are_labels.get(EDGE_FEATURES)))
    node_label, node_values = renumbered(_labels(given, are_labels.get(NODE_FEATURES)))
    return {
        "name": "ogb",
        "node_ptr": torch.from_numpy(node_ptr),
        "edge_index": torch.from_numpy(edge_index),
        "edge_ptr": torch.from_numpy(np.searchsorted(edge_index[0], node_ptr)),
        "node_label": node_label,
        "node_label_values": node_values,
        "node_attr": _attributes(given, are_labels.get(NODE_FEATURES)),
        "edge_label": edge_label,
        "edge_label_values": edge_values,
        "edge_attr": _attributes(kept, are_labels.get(EDGE_FEATURES)),
    }


def _labels(features: NDArray[Any] | None, are_labels: bool | None) -> NDArray[np.int64] | None:
    return features if features is not None and are_labels and len(features) else None


def _attributes(features: NDArray[Any] | None, are_labels: bool | None) -> torch.Tensor | None:
    if features is None or are_labels or not len(features):
        return None
    return torch.from_numpy(features.astype(np.float32))


def _integers(table: NDArray[Any], raw: Path, name: str) -> NDArray[np.int64]:
    """Return a table after checking that it has nonnegative integers; the lists of counts as (n,)."""
    if table.dtype.kind != "i" or (table < 0).any():
        raise InputError(
            f"{raw / name}.csv.gz must contain only integers of at least 0; correct it."
        )
    return table[:, 0] if name in COUNTS else table


class _Table:
    """A .csv.gz file without a header line, read a few rows at a time."""

    def __init__(self, raw: Path, name: str) -> None:
        try:
            import pandas as pd
        except ImportError as error:
            raise InputError(
                "Reading OGB files needs pandas; install graphcl_hard[molecules]."
            ) from error
        self._path = raw / f"{name}.csv.gz"
        self.is_there = self._path.exists()
        self._empty = False
        self._done = 0
        self._damaged = (EOFError, OSError, ValueError, pd.errors.ParserError, zlib.error)
        try:
            self._file = (
                pd.read_csv(self._path, header=None, skip_blank_lines=False, iterator=True)
                if self.is_there
                else None
            )
        except pd.errors.EmptyDataError:
            self._file, self._empty = None, True
        except self._damaged as error:
            raise self._unreadable(error) from error

    def read(self, count: int, exactly: bool) -> NDArray[Any]:
        """Read the next rows, (count, K), or fewer at the end of the file unless `exactly` is true."""
        if self._file is None and not self._empty:
            raise InputError(f"The file {self._path} is missing; give a complete folder of OGB.")
        table: NDArray[Any] = np.zeros((0, 1), dtype=np.int64)
        if self._file is not None and count:
            try:
                table = self._file.get_chunk(count).to_numpy()
            except StopIteration:
                pass
            except self._damaged as error:
                raise self._unreadable(error) from error
        if exactly and len(table) != count:
            raise InputError(
                f"{self._path} ends {count - len(table)} rows too early; fetch it again."
            )
        if self._path.name != f"{LABELS}.csv.gz":
            self._check(table)
        self._done += len(table)
        return table

    def is_integer(self) -> bool:
        """Read the remaining rows and return whether all numbers are integers."""
        while len(table := self.read(AT_A_TIME, exactly=False)):
            if table.dtype.kind != "i":
                return False
        return True

    def _check(self, table: NDArray[Any]) -> None:
        if table.dtype.kind not in "if":
            raise InputError(
                f"{self._path} must contain only numbers, got {table.dtype}; correct it."
            )
        with np.errstate(over="ignore"):
            bad = np.flatnonzero(~np.isfinite(table.astype(np.float32)).all(axis=1))
        if len(bad):
            raise InputError(
                f"Row {self._done + bad[0]} of {self._path} (from 0) lacks a value, or has one that is not a "
                "finite 32-bit number; correct it."
            )

    def _unreadable(self, error: Exception) -> InputError:
        reason = first_line(error)
        return InputError(f"{self._path} cannot be read: {reason.rstrip('.')}; fetch it again.")
