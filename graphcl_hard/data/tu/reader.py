"""Read a folder in TU format into NumPy arrays, and report errors by file and line.

A data set DS is a folder of comma-separated text: ``DS_A.txt`` (one edge per line), ``DS_graph_indicator.txt``
(one node per line), ``DS_graph_labels.txt`` (one graph per line), and optionally node and edge labels and attributes.

Source of the format: Morris et al., "TUDataset: A collection of benchmark datasets for learning with graphs", 2020,
https://arxiv.org/abs/2007.08663.
"""

import hashlib
import re
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from graphcl_hard.data.adjacency import clean_edges
from graphcl_hard.exceptions import InputError

# More than any real data set needs (4 GiB of float32); one mistyped label could otherwise take terabytes.
MAX_ONE_HOT_ENTRIES = 2**30

KINDS = (
    "A",
    "graph_indicator",
    "graph_labels",
    "node_labels",
    "node_attributes",
    "edge_labels",
    "edge_attributes",
)

_INTEGER = re.compile(r"[+-]?[0-9]+")
_INT64 = np.iinfo(np.int64)


class TuArrays(NamedTuple):
    """A TU data set of G graphs, with N nodes numbered over all graphs and E directed edges.

    Attributes:
        node_graph: (N,) int64, the graph of each node, from 0, ascending.
        graph_label: (G,) int64, the class labels in the file.
        edge_index: (2, E) int64, without self-loops and duplicates, sorted by source and then target, hence by graph.
        node_label: (N, K) int64, the labels in the file, or None.
        node_attr: (N, A) float32, finite, or None.
        edge_attr: (E, D) float32, or None: the edge attributes, followed by the one-hot edge labels; the rows of a
            duplicated edge are summed, as in PyG.
        num_edge_attributes: the number of the D columns that are attributes.
        edge_label: (E, K) int64, the labels in the file, or None; a duplicated edge has those of its first line.
    """

    node_graph: NDArray[np.int64]
    graph_label: NDArray[np.int64]
    edge_index: NDArray[np.int64]
    node_label: NDArray[np.int64] | None
    node_attr: NDArray[np.float32] | None
    edge_attr: NDArray[np.float32] | None
    num_edge_attributes: int
    edge_label: NDArray[np.int64] | None = None


def read_tu_folder(folder: Path, prefix: str) -> TuArrays:
    """Read and check the files ``prefix_*.txt`` in ``folder``.

    The result is that of PyG's ``read_tu_data`` for a valid folder: self-loops are dropped and duplicates merged.
    Unlike PyG, this function reads a last line without a newline, one-line files and data sets without edges, and takes
    a graph id that ``graph_indicator`` skips for a graph without nodes.

    Raises:
        InputError: a file is missing, unreadable, malformed or inconsistent with another one; the message gives the
            file and the line.
    """
    a_path, indicator_path, labels_path = (tu_file(folder, prefix, kind) for kind in KINDS[:3])
    if not labels_path.is_file() and indicator_path.is_file():
        raise InputError(
            f"{labels_path} is missing, and evaluation needs a class label for every graph; add the file with one "
            "integer per line."
        )
    indicator = _read_table(indicator_path, np.int64, columns=1)[:, 0]
    graph_label = _read_table(labels_path, np.int64, columns=1)[:, 0]
    _check_indicator(indicator, len(graph_label), indicator_path, labels_path)
    node_graph = indicator - 1
    num_nodes = len(node_graph)

    edges = _read_table(a_path, np.int64, columns=2, may_be_empty=True)
    _check_edges(edges, node_graph, a_path, indicator_path)

    node_label = _read_optional(folder, prefix, "node_labels", np.int64, num_nodes, indicator_path)
    node_attr = _read_optional(
        folder, prefix, "node_attributes", np.float32, num_nodes, indicator_path
    )
    edge_label = _read_optional(folder, prefix, "edge_labels", np.int64, len(edges), a_path)
    edge_attr = _read_optional(folder, prefix, "edge_attributes", np.float32, len(edges), a_path)

    num_edge_attributes = 0 if edge_attr is None else edge_attr.shape[1]
    parts = [] if edge_attr is None else [edge_attr]
    if edge_label is not None:
        parts.append(one_hot_columns(edge_label, tu_file(folder, prefix, "edge_labels")))
    features = np.concatenate(parts, axis=1) if parts else None
    edge_index, features, edge_label = clean_edges(
        np.ascontiguousarray(edges.T - 1), features, edge_label, num_nodes
    )
    return TuArrays(
        node_graph,
        graph_label,
        edge_index,
        node_label,
        node_attr,
        features,
        num_edge_attributes,
        edge_label,
    )


def tu_file(folder: Path, prefix: str, kind: str) -> Path:
    """Return the path of a file of a data set, for one of `KINDS`."""
    return folder / f"{prefix}_{kind}.txt"


def tu_digest(folder: Path, prefix: str) -> str:
    """Return the SHA-256, in hexadecimal, of the names and contents of the files that `read_tu_folder` reads."""
    digest = hashlib.sha256()
    for kind in KINDS:
        path = tu_file(folder, prefix, kind)
        if path.is_file():
            content = _read_bytes(path)
            digest.update(f"{kind} {len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()


def one_hot_columns(labels: NDArray[np.int64], source: Path | str) -> NDArray[np.float32]:
    """Encode each label column one-hot, from its smallest to its largest value, and concatenate them, as PyG does.

    Args:
        labels: (R, K) int64, R >= 1.
        source: name of the labels in an error message.

    Returns:
        (R, W) float32, with W the sum of the K ranges.

    Raises:
        InputError: the range of the labels is so wide that the result would not fit into memory.
    """
    low = labels.min(axis=0)
    widths = [
        int(high) - int(least) + 1 for high, least in zip(labels.max(axis=0), low, strict=True)
    ]
    if sum(widths) * len(labels) > MAX_ONE_HOT_ENTRIES:
        raise InputError(
            f"{source}: labels from {labels.min()} to {labels.max()} would need {sum(widths)} one-hot columns for "
            f"{len(labels)} lines, more than {MAX_ONE_HOT_ENTRIES} entries; renumber the labels from 0."
        )
    offsets = np.cumsum([0, *widths[:-1]])
    out = np.zeros((len(labels), sum(widths)), dtype=np.float32)
    np.put_along_axis(out, labels - low + offsets, 1.0, axis=1)
    return out


def _check_indicator(
    indicator: NDArray[np.int64], num_graphs: int, path: Path, labels_path: Path
) -> None:
    if indicator[0] != 1:
        raise InputError(
            f"{path}, line 1: the first graph id is {indicator[0]}, must be 1; number the graphs from 1."
        )
    decreasing = np.flatnonzero(indicator[1:] < indicator[:-1])
    if len(decreasing):
        row = int(decreasing[0]) + 1
        raise InputError(
            f"{path}, line {row + 1}: graph id {indicator[row]} comes after {indicator[row - 1]}, must not decrease; "
            "list the nodes graph by graph."
        )
    if indicator[-1] > num_graphs:
        row = int(np.argmax(indicator > num_graphs))
        raise InputError(
            f"{path}, line {row + 1}: graph id {indicator[row]} is above {num_graphs}, the number of lines in "
            f"{labels_path.name}; correct the file that is truncated or wrong."
        )


def _check_edges(
    edges: NDArray[np.int64], node_graph: NDArray[np.int64], path: Path, indicator_path: Path
) -> None:
    num_nodes = len(node_graph)
    outside = (edges < 1) | (edges > num_nodes)
    if outside.any():
        row = int(np.argmax(outside.any(axis=1)))
        value = edges[row][outside[row]][0]
        raise InputError(
            f"{path}, line {row + 1}: node id {value} is outside 1..{num_nodes}, the number of lines in "
            f"{indicator_path.name}; correct the file that is truncated or wrong."
        )
    graphs = node_graph[edges - 1]
    across = graphs[:, 0] != graphs[:, 1]
    if across.any():
        row = int(np.argmax(across))
        raise InputError(
            f"{path}, line {row + 1}: the edge {edges[row, 0]}, {edges[row, 1]} joins graphs {graphs[row, 0] + 1} and "
            f"{graphs[row, 1] + 1}, must join nodes of one graph; correct it or {indicator_path.name}."
        )


def _read_optional(
    folder: Path, prefix: str, kind: str, dtype: Any, num_lines: int, reference: Path
) -> NDArray[Any] | None:
    """Read an optional file, which must have as many lines as ``reference`` if it exists."""
    path = tu_file(folder, prefix, kind)
    if not path.is_file():
        return None
    table = _read_table(path, dtype, may_be_empty=num_lines == 0)
    if len(table) != num_lines:
        raise InputError(
            f"{path} has {len(table)} lines, must have {num_lines} like {reference.name}; correct the file that is "
            "truncated or wrong."
        )
    return table if num_lines else None


def _read_table(
    path: Path, dtype: Any, columns: int | None = None, may_be_empty: bool = False
) -> NDArray[Any]:
    """Read a file of numbers as (lines, columns); ``dtype`` is np.int64 or np.float32."""
    content = _read_bytes(path)
    if not content.isascii():
        _reject_bytes(path, content)
    body = content.rstrip()
    if not body:
        if not may_be_empty:
            raise InputError(
                f"{path} is empty, must have at least one line; fetch or write the file again."
            )
        return np.empty((0, columns or 0), dtype=dtype)
    number_type = np.int64 if dtype is np.int64 else np.float64
    try:
        # NumPy parses a path much faster than lines. It only warns of numbers that are not quite integers.
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            table = np.loadtxt(
                str(path.resolve()),
                dtype=number_type,
                delimiter=",",
                comments=None,
                ndmin=2,
                encoding="ascii",
            )
    except (ValueError, Warning):
        table = None
    # NumPy skips blank lines, also before a lone \r. In that case, or to locate an error, read line by line.
    if (
        table is None
        or len(table) != body.count(b"\n") + 1
        or body.count(b"\r") != body.count(b"\r\n")
    ):
        table = _read_lines(path, body.decode("ascii"), number_type)
    if columns is not None and table.shape[1] != columns:
        raise InputError(
            f"{path}, line 1: {table.shape[1]} comma-separated values, must be {columns}; correct the file."
        )
    if dtype is np.int64:
        return table
    with np.errstate(over="ignore"):
        table = table.astype(np.float32)
    if not np.isfinite(table).all():
        row = int(np.argmax(~np.isfinite(table).all(axis=1)))
        raise InputError(
            f"{path}, line {row + 1}: a value is not a finite 32-bit number; replace or remove it before loading."
        )
    return table


def _read_lines(path: Path, text: str, number_type: Any) -> NDArray[Any]:
    """Read the numbers one line at a time, which is slow but gives the line of an error."""
    rows: list[list[float]] = []
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        if not line.strip():
            raise InputError(
                f"{path}, line {number} is blank, must contain numbers; remove it or fill it in."
            )
        tokens = [token.strip() for token in line.split(",")]
        rows.append([_number(token, number_type, f"{path}, line {number}") for token in tokens])
        if len(tokens) != len(rows[0]):
            raise InputError(
                f"{path}, line {number}: {len(tokens)} comma-separated values, must be {len(rows[0])} as in line 1; "
                "correct the line."
            )
    return np.array(rows, dtype=number_type)


def _number(token: str, number_type: Any, place: str) -> float:
    if number_type is np.int64:
        if (
            not _INTEGER.fullmatch(token)
            or not _INT64.min <= int(token[:25]) <= _INT64.max
            or len(token) > 25
        ):
            raise InputError(
                f"{place}: {token[:40]!r} is not an integer of at most 64 bits; correct the line."
            )
        return int(token)
    try:
        if "_" in token:  # Python's digit separator, which is not meant in a data file
            raise ValueError
        return float(token)
    except ValueError:
        raise InputError(f"{place}: {token[:40]!r} is not a number; correct the line.") from None


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(
            f"{path} is missing, but a TU folder must contain it; add the file."
        ) from None
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}); check the file and its permissions."
        ) from None


def _reject_bytes(path: Path, content: bytes) -> None:
    start = next(index for index, byte in enumerate(content) if byte > 127)
    line = content.count(b"\n", 0, start) + 1
    marked = content.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"))
    what = "a byte order mark" if marked else f"byte 0x{content[start]:02x}"
    raise InputError(
        f"{path}, line {line}: {what} is not ASCII text; save the file as plain ASCII."
    )
