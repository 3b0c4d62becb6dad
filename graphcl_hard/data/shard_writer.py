"""Write data sets to folders of shards, one chunk at a time and the index last."""

import itertools
import json
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from torch import Tensor

from graphcl_hard._tensor import initial_state
from graphcl_hard.data.collate import iterate_graphs, to_chunks
from graphcl_hard.data.graph_data import GraphData, Names
from graphcl_hard.data.shards import (
    CLASSES,
    FORMAT,
    LABELS,
    PER_EDGE,
    PER_NODE,
    SHARD_GRAPHS,
    GraphShards,
)
from graphcl_hard.data.tu.names import SHARDS_INDEX as INDEX
from graphcl_hard.data.tu.names import is_shards
from graphcl_hard.exceptions import InputError, short_repr
from graphcl_hard.io.atomic_write import PARTIAL, atomic_write
from graphcl_hard.io.checksum import tensors_checksum, with_checksum, write_checksummed
from graphcl_hard.io.file_names import LEFT_OUT, LOCK
from graphcl_hard.io.paths import Pathname, user_path

# Files that an interrupted call may leave in its folder, beside its lock; without an index they are replaced.
OURS = rf"\d{{6}}\.safetensors|{re.escape(PARTIAL)}\w+\.(safetensors|json|csv)|{re.escape(LOCK)}|{re.escape(LEFT_OUT)}"


def write_shards(
    path: Pathname,
    graphs: Iterable[Any],
    name: str | None = None,
    progress: Callable[[int], object] | None = None,
    **names: Any,
) -> GraphShards:
    """Write a data set of any size to a new folder, with one part of it in memory at a time.

    Args:
        path: the folder. It must not exist, or contain nothing but the files of an interrupted call.
        graphs: a data set; graphs as in `to_graph_data`, in a list or any iterable; or `GraphData`, one after another,
            of a few thousand graphs each. Each part becomes a shard.
        name: name of the data set; by default that of a data set, or "graphs".
        progress: called with the number of graphs written so far.
        names: node_label, node_attr, edge_label and edge_attr, as in `to_graph_data`, for single graphs.

    Returns:
        The data set on disk.

    Raises:
        InputError: the folder is not empty; there are no graphs; an id is there twice; a part has other columns than
            another; a label is neither a string nor a number; or an attribute is not a finite 32-bit number.
        OSError: the folder cannot be written.

    Examples:
        >>> import tempfile
        >>> import networkx as nx
        >>> from graphcl_hard import write_shards
        >>> rings = [nx.cycle_graph(nodes) for nodes in range(3, 103)]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     shards = write_shards(f"{folder}/rings", rings, name="rings")
        ...     print(shards.num_graphs, shards[40].num_nodes, shards.ids[40])
        100 43 40
    """
    path = user_path(path)
    check_empty(path)
    if isinstance(graphs, (GraphData, GraphShards)):
        name = name or graphs.name
    is_new = not path.exists()
    path.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path / LOCK, timeout=0):
            return _write(path, _parts(graphs, names), name or "graphs", progress)
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


def _parts(graphs: Iterable[Any], names: dict[str, Any]) -> Iterator[GraphData]:
    """Yield any graphs in parts of a few thousand."""
    if isinstance(graphs, (GraphData, GraphShards)):
        parts: Iterable[Any] = graphs.chunks()
    else:
        each = iter(iterate_graphs(graphs))
        first = list(itertools.islice(each, 1))
        parts = itertools.chain(first, each)
        if not any(isinstance(one, (GraphData, GraphShards)) for one in first):
            yield from to_chunks(parts, **names)
            return
    if names:
        raise InputError(
            f"{', '.join(names)} must be left out for graphs in flat tensors, whose columns are all written."
        )
    done = 0
    for part in parts:
        if not isinstance(part, (GraphData, GraphShards)):
            raise InputError(
                f"graphs must all be GraphData or all be single graphs, got a {type(part).__name__} after "
                f"{done} graphs in flat tensors; convert it by to_graph_data."
            )
        for chunk in part.chunks():
            for start in range(0, chunk.num_graphs, SHARD_GRAPHS):
                yield chunk[start : start + SHARD_GRAPHS]
        done += part.num_graphs


def _write(
    path: Path, chunks: Iterable[GraphData], name: str, progress: Callable[[int], object] | None
) -> GraphShards:
    check_empty(path)  # again, as another process may have written before this one had the lock
    for file in path.iterdir():  # left by an interrupted call
        if file.name != LOCK:
            file.unlink()
    known = _Known()
    shards: list[tuple[str, str]] = []
    for chunk in chunks:
        shard, tensors = f"{len(shards):06d}.safetensors", _shard(chunk, known)
        write_checksummed(path / shard, tensors)
        shards.append((shard, tensors_checksum(tensors)))
        known.graphs += chunk.num_graphs
        if progress is not None:
            progress(known.graphs)
    if not known.graphs:
        raise InputError(
            f"A data set must have at least one graph, got none for {path}; give graphs."
        )
    hashes = np.sort(np.concatenate(known.hashes))
    if (hashes[1:] == hashes[:-1]).any():
        raise InputError(
            f"The ids of the graphs for {path} must be different, got one of them twice; give each graph its own."
        )
    values = {
        column: [sorted(values, key=_order) for values in known.numbers[column]]
        for column in (*LABELS, CLASSES)
    }
    places = {
        column: [_places(*pair) for pair in zip(known.numbers[column], values[column], strict=True)]
        for column in (*LABELS, CLASSES)
    }
    index = {
        "format": FORMAT,
        "name": name,
        "columns": [column for column, width in known.widths.items() if width],
        "values": {column: values[column] for column in LABELS},
        "places": {column: places[column] for column in LABELS},
        "classes": values[CLASSES][0],
        "class_places": places[CLASSES][0],
        "ids": known.ids,
        "names": known.names,
        "targets": known.targets or (),
        "shards": shards,
    }
    with atomic_write(path / INDEX) as partial:
        partial.write_text(json.dumps(with_checksum(index)), encoding="utf-8")
    return GraphShards(path)


def _places(found: Iterable[Hashable], ordered: Sequence[Hashable]) -> list[int]:
    """Return the position of each value among the ordered ones."""
    place = {value: number for number, value in enumerate(ordered)}
    return [place[value] for value in found]


@dataclass
class _Known:
    """What the shards so far have in common."""

    graphs: int = 0
    widths: dict[str, int] = field(default_factory=dict)
    numbers: dict[str, list[dict[Hashable, int]]] = field(
        default_factory=lambda: {**{column: [] for column in LABELS}, CLASSES: [{}]}
    )
    """For each column of labels, and for the classes, the number of each value in the order of appearance."""
    ids: str | None = None
    hashes: list[NDArray[np.int64]] = field(default_factory=list)
    """The ids so far, as their hashes, which need less memory."""
    names: Names | None = None
    has_measured: bool = False
    targets: tuple[str, ...] | None = None
    """The names of several targets; empty for one; None as long as no graph has a label."""


@initial_state()
def _shard(chunk: GraphData, known: _Known) -> dict[str, Tensor]:
    """Return the tensors of a chunk for its file; adds what is new in it to `known`."""
    where = f"graphs {known.graphs} to {known.graphs + chunk.num_graphs - 1}"
    source, target = chunk.edge_index
    tensors = {"nodes": chunk.node_ptr.diff(), "edges": chunk.edge_ptr.diff()}
    tensors |= {"source": source, "target": target, **_ids(chunk, known, where)}
    known.names = known.names or chunk.names
    for names, rows, things in (
        (PER_NODE, chunk.num_nodes, "nodes"),
        (PER_EDGE, chunk.num_edges, "edges"),
    ):
        for column in names if rows else ():
            tensor: Tensor | None = getattr(chunk, column)
            width = 0 if tensor is None else tensor.size(1)
            if known.widths.setdefault(column, width) != width:
                raise InputError(
                    f"All graphs must have the same number of columns of {column}, got {known.widths[column]} and, for "
                    f"the {things} of {where}, {width}; correct them."
                )
            if tensor is None:
                continue
            if column in LABELS:
                tensor = _numbered(
                    tensor, getattr(chunk, f"{column}_values"), known.numbers[column], column
                )
            elif not tensor.float().isfinite().all():
                raise InputError(
                    f"The {column} of {where} must be finite 32-bit numbers, got one that is not; replace it."
                )
            tensors[column] = tensor
    small = {name: _small(tensor).contiguous() for name, tensor in tensors.items()}
    return {**small, CLASSES: _labels(chunk, known, where)}


def _labels(chunk: GraphData, known: _Known, where: str) -> Tensor:
    """Return the measured targets of a chunk, or its classes as numbers in the order of appearance."""
    (numbers,) = known.numbers[CLASSES]
    if chunk.classes or chunk.y.is_floating_point():  # graphs without labels go with any others
        known.targets = chunk.targets if known.targets is None else known.targets
        if chunk.targets != known.targets:
            raise InputError(
                f"All graphs must have the same targets, got {_listed(known.targets)} and, for {where}, "
                f"{_listed(chunk.targets)}; give each graph the same ones, in one order."
            )
    if chunk.targets:
        return chunk.y.contiguous()
    known.has_measured |= chunk.y.is_floating_point()
    used = [] if chunk.y.is_floating_point() else chunk.y[chunk.y >= 0].unique().tolist()
    for name in [chunk.classes[place] for place in used]:
        numbers.setdefault(name, len(numbers))
    names = [name for name in numbers if isinstance(name, str)]
    if names and (known.has_measured or len(names) < len(numbers)):
        other = next((name for name in numbers if not isinstance(name, str)), "measured targets")
        raise InputError(
            f"All graphs must have labels of one kind, got {other!r} and, up to {where}, {names[0]!r}; use names or "
            "numbers for all."
        )
    if chunk.y.is_floating_point():
        return chunk.y.contiguous()
    return _small(torch.tensor([*(numbers.get(name, -1) for name in chunk.classes), -1])[chunk.y])


def _listed(targets: Sequence[str]) -> str:
    return short_repr(targets) if targets else "a single label"


def _ids(chunk: GraphData, known: _Known, where: str) -> dict[str, Tensor]:
    """Return the ids of a chunk: integers, or strings as their bytes and the number of bytes of each."""
    ids = chunk.ids
    if known.graphs and np.array_equal(ids, np.arange(len(ids))):
        ids = ids + known.graphs  # positions in the part, and not in the data set
    kind = "str" if ids.dtype.kind == "U" else "int"
    known.ids = known.ids or kind
    if kind != known.ids:
        raise InputError(
            f"All ids must be strings or all be integers, got another kind for {where}; convert them."
        )
    known.hashes.append(np.array([hash(one) for one in ids.tolist()], dtype=np.int64))
    if kind == "int":
        return {"ids": torch.from_numpy(ids)}
    texts = [text.encode() for text in ids.tolist()]
    joined = np.frombuffer(b"".join(texts), dtype=np.uint8).copy()
    return {"ids": torch.from_numpy(joined), "id_lengths": torch.tensor([*map(len, texts)])}


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
        raise InputError(f"The folder {path} {what}, but must be new or empty; choose another.")
