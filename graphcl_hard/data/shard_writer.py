"""Write data sets to folders of shards, one chunk at a time and the index last."""

import json
import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from graphcl_hard.data.graph_data import GraphData
from graphcl_hard.data.shards import FORMAT, LABELS, PER_EDGE, PER_NODE, GraphShards
from graphcl_hard.data.tu.names import SHARDS_INDEX as INDEX
from graphcl_hard.data.tu.names import is_shards
from graphcl_hard.exceptions import InputError
from graphcl_hard.io.atomic_write import PARTIAL, atomic_write
from graphcl_hard.io.checksum import tensors_checksum, with_checksum, write_checksummed
from graphcl_hard.io.file_names import LOCK
from graphcl_hard.io.paths import Pathname, user_path

# Files that an interrupted call may leave in its folder, beside its lock; without an index they are replaced.
OURS = rf"\d{{6}}\.safetensors|{re.escape(PARTIAL)}\w+\.(safetensors|json)|{re.escape(LOCK)}"


def write_shards(
    path: Pathname,
    chunks: Iterable[GraphData],
    name: str = "graphs",
    progress: Callable[[int], object] | None = None,
) -> GraphShards:
    """Write a data set of any size to a new folder, with one chunk in memory at a time.

    Args:
        path: the folder. It must not exist, or contain nothing but the files of an interrupted call.
        chunks: the graphs, a few thousand per chunk; each chunk becomes a shard. Their `y`, (G,) int64, may number the
            classes with any integers.
        name: name of the data set.
        progress: called with the number of graphs written so far.

    Returns:
        The data set on disk.

    Raises:
        InputError: the folder is not empty; there are no graphs; a chunk has other columns than another; a label is
            neither a string nor a number; or an attribute is not a finite 32-bit number.
        OSError: the folder cannot be written.

    Examples:
        >>> import tempfile
        >>> import networkx as nx
        >>> from graphcl_hard import to_chunks, write_shards
        >>> rings = (nx.cycle_graph(nodes) for nodes in range(3, 103))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     shards = write_shards(f"{folder}/rings", to_chunks(rings, size=40), name="rings")
        ...     print(shards.num_graphs, [chunk.num_graphs for chunk in shards.chunks()])
        100 [40, 40, 20]
    """
    path = user_path(path)
    check_empty(path)
    is_new = not path.exists()
    path.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path / LOCK, timeout=0):
            return _write(path, chunks, name, progress)
    except Timeout as error:
        raise InputError(
            f"Another process is writing to {path}; wait until it ends, or choose another folder."
        ) from error
    except BaseException:
        for file in path.iterdir() if not is_shards(path) else ():
            if re.fullmatch(OURS, file.name):
                file.unlink(missing_ok=True)
        if is_new:
            with suppress(OSError):
                path.rmdir()
        raise


def _write(
    path: Path, chunks: Iterable[GraphData], name: str, progress: Callable[[int], object] | None
) -> GraphShards:
    check_empty(path)  # again, as another process may have written before this one had the lock
    for file in path.iterdir():  # left by an interrupted call
        if file.name != LOCK:
            file.unlink()
    numbers: dict[str, list[dict[Hashable, int]]] = {column: [] for column in LABELS}
    widths: dict[str, int] = {}
    shards: list[tuple[str, str]] = []
    done = 0
    for chunk in chunks:
        shard, tensors = f"{len(shards):06d}.safetensors", _shard(chunk, done, widths, numbers)
        write_checksummed(path / shard, tensors)
        shards.append((shard, tensors_checksum(tensors)))
        done += chunk.num_graphs
        if progress is not None:
            progress(done)
    if not done:
        raise InputError(
            f"A data set must have at least one graph, got none for {path}; give graphs."
        )
    values = {column: [sorted(known, key=_order) for known in numbers[column]] for column in LABELS}
    places = {
        column: [
            [{value: place for place, value in enumerate(ordered)}[value] for value in known]
            for known, ordered in zip(numbers[column], values[column], strict=True)
        ]
        for column in LABELS
    }
    held = [column for column, width in widths.items() if width]
    index = {
        "format": FORMAT,
        "name": name,
        "columns": held,
        "values": values,
        "places": places,
        "shards": shards,
    }
    with atomic_write(path / INDEX) as partial:
        partial.write_text(json.dumps(with_checksum(index)), encoding="utf-8")
    return GraphShards(path)


def _shard(
    chunk: GraphData,
    done: int,
    widths: dict[str, int],
    numbers: dict[str, list[dict[Hashable, int]]],
) -> dict[str, Tensor]:
    """Return the tensors of a chunk for its file; adds new labels to `numbers` and new columns to `widths`."""
    source, target = chunk.edge_index
    tensors = {"nodes": chunk.node_ptr.diff(), "edges": chunk.edge_ptr.diff(), "y": chunk.y}
    tensors |= {"source": source, "target": target}
    for names, rows, things in (
        (PER_NODE, chunk.num_nodes, "nodes"),
        (PER_EDGE, chunk.num_edges, "edges"),
    ):
        for column in names if rows else ():
            tensor: Tensor | None = getattr(chunk, column)
            width = 0 if tensor is None else tensor.size(1)
            if widths.setdefault(column, width) != width:
                raise InputError(
                    f"All graphs must have the same number of columns of {column}, got {widths[column]} and, for the "
                    f"{things} of graphs {done} to {done + chunk.num_graphs - 1}, {width}; correct them."
                )
            if tensor is None:
                continue
            if column in LABELS:
                tensor = _numbered(
                    tensor, getattr(chunk, f"{column}_values"), numbers[column], column
                )
            elif not tensor.float().isfinite().all():
                raise InputError(
                    f"The {column} of graphs {done} to {done + chunk.num_graphs - 1} must be finite 32-bit numbers, "
                    "got one that is not; replace it."
                )
            tensors[column] = tensor
    return {name: _small(tensor).contiguous() for name, tensor in tensors.items()}


def _numbered(
    labels: Tensor,
    values: Sequence[Sequence[Hashable]] | None,
    numbers: list[dict[Hashable, int]],
    what: str,
) -> Tensor:
    """Convert (N, K) positions among the values of a chunk to numbers in the order of appearance in the data set."""
    if values is None:
        values = [range(int(column.max()) + 1) for column in labels.unbind(1)]
    numbers += [{} for _ in values[len(numbers) :]]
    columns = []
    for column, known, label in zip(values, numbers, labels.unbind(1), strict=True):
        for value in column:
            if not isinstance(value, (str, int, float)):
                raise InputError(
                    f"A {what} must be a string or a number to be written, got {value!r}; convert it."
                )
            known.setdefault(value, len(known))
        columns.append(torch.tensor([known[value] for value in column])[label])
    return torch.stack(columns, dim=1)


def _order(value: Any) -> tuple[str, Any]:
    """Return the sort key of a label as in `to_graph_data`, so that data sets on disk and in memory agree."""
    return type(value).__name__, value


def _small(tensor: Tensor) -> Tensor:
    """Return integers in the smallest dtype that holds them, and other numbers in float32."""
    if tensor.is_floating_point():
        return tensor.float()
    low, high = tensor.aminmax() if tensor.numel() else (0, 0)
    for dtype in (torch.uint8, torch.int16, torch.int32):
        if torch.iinfo(dtype).min <= int(low) and int(high) <= torch.iinfo(dtype).max:
            return tensor.to(dtype)
    return tensor


def check_empty(path: Path) -> None:
    """Raise `InputError` if a folder has files other than those of an interrupted `write_shards`."""
    found = sorted(entry.name for entry in path.iterdir()) if path.is_dir() else []
    foreign = [name for name in found if LOCK not in found or not re.fullmatch(OURS, name)]
    if path.exists() and (not path.is_dir() or foreign):
        what = f"contains {foreign[0]}" if foreign else "is a file"
        raise InputError(f"The folder {path} {what}, must be new or empty; choose another.")
