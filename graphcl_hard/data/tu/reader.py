"""Read a folder in TU format into NumPy arrays, and report errors by file and line.

A data set DS is a folder of comma-separated text: ``DS_A.txt`` (one edge per line), ``DS_graph_indicator.txt``
(one node per line), ``DS_graph_labels.txt`` (one graph per line), and optionally node and edge labels and attributes.

Source of the format: Morris et al., "TUDataset: A collection of benchmark datasets for learning with graphs", 2020,
https://arxiv.org/abs/2007.08663.
"""

import difflib
import glob
import hashlib
import os
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from graphcl_hard.data.adjacency import clean_edges
from graphcl_hard.data.tu.checks import check_edges, check_indicator, note_edges, note_graphs
from graphcl_hard.data.tu.tables import MAX_EXACT, read_bytes, read_table, read_targets
from graphcl_hard.exceptions import InputError, user_stacklevel

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
    "graph_attributes",
)


class TuArrays(NamedTuple):
    """A TU data set of G graphs, with N nodes numbered over all graphs and E directed edges.

    Attributes:
        num_graphs: G.
        node_graph: (N,) int64, the graph of each node, from 0, ascending.
        y: (G,) int64, the position of each graph's label in `classes`, -1 where the label is missing; or (G,) float64,
            measured targets, NaN where missing; or None, also where the targets are several columns of graph_attr.
        classes: (C,) int64, the class labels in the file, ascending; None unless the graphs have classes.
        graph_attr: (G, T) float64, the graph attributes, NaN where missing; or None.
        edge_index: (2, E) int64, without self-loops and duplicates, sorted by source and then target, hence by graph.
        node_label: (N, K) int64, the labels in the file, or None.
        node_attr: (N, A) float32, finite, or None.
        edge_attr: (E, D) float32, or None: the edge attributes, followed by the one-hot edge labels; the rows of a
            duplicated edge are summed, as in PyG.
        num_edge_attributes: the number of the D columns that are attributes.
        edge_label: (E, K) int64, the labels in the file, or None; a duplicated edge has those of its first line.
        notes: what may be wrong with the files, one sentence each that begins with the name of a file.
    """

    num_graphs: int
    node_graph: NDArray[np.int64]
    y: NDArray[np.int64] | NDArray[np.float64] | None
    classes: NDArray[np.int64] | None
    graph_attr: NDArray[np.float64] | None
    edge_index: NDArray[np.int64]
    node_label: NDArray[np.int64] | None
    node_attr: NDArray[np.float32] | None
    edge_attr: NDArray[np.float32] | None
    num_edge_attributes: int
    edge_label: NDArray[np.int64] | None = None
    notes: tuple[str, ...] = ()


def read_tu_folder(folder: Path, prefix: str) -> TuArrays:
    """Read and check the files ``prefix_*.txt`` in ``folder``, and warn of what may be wrong with them.

    The result is that of PyG's ``read_tu_data`` for a valid folder: self-loops are dropped and duplicates merged.
    Unlike PyG, this function reads a last line without a newline, one-line files and data sets without edges or labels,
    and takes a graph id that ``graph_indicator`` skips for a graph without nodes.

    The targets are the classes in ``graph_labels``, or measured targets if the numbers there are not integers, or else
    ``graph_attributes``: one column is read in the same way, several are measured targets. A blank line, or a value nan
    or NA, is a missing target.

    Raises:
        InputError: a file is missing, unreadable, malformed or inconsistent with another one; the message gives the
            file and the line.
    """
    arrays = _read(folder, prefix)
    warn_of(arrays.notes, folder)
    return arrays


def warn_of(notes: tuple[str, ...], folder: Path) -> None:
    """Issue the `TuArrays.notes` on the files in a folder as warnings, which point at the user's own line."""
    for note in notes:
        warnings.warn(f"{folder}{os.sep}{note}", stacklevel=user_stacklevel())


def _read(folder: Path, prefix: str) -> TuArrays:
    a_path, indicator_path = (tu_file(folder, prefix, kind) for kind in KINDS[:2])
    indicator = read_table(indicator_path, np.int64, columns=1)[:, 0]
    num_graphs, y, classes, graph_attr, notes = _read_targets(folder, prefix, indicator)
    node_graph = indicator - 1
    num_nodes = len(node_graph)

    edges = read_table(a_path, np.int64, columns=2, may_be_empty=True)
    check_edges(edges, node_graph, a_path, indicator_path)
    notes += _note_names(folder, prefix)
    notes += note_graphs(edges, node_graph, num_graphs, prefix)

    node_label = _read_optional(folder, prefix, "node_labels", np.int64, num_nodes, indicator_path)
    node_attr = _read_optional(
        folder, prefix, "node_attributes", np.float32, num_nodes, indicator_path
    )
    edge_label = _read_optional(folder, prefix, "edge_labels", np.int64, len(edges), a_path)
    edge_attr = _read_optional(folder, prefix, "edge_attributes", np.float32, len(edges), a_path)
    notes += note_edges(edges, edge_label, edge_attr, prefix)

    num_edge_attributes = 0 if edge_attr is None else edge_attr.shape[1]
    parts = [] if edge_attr is None else [edge_attr]
    if edge_label is not None:
        parts.append(one_hot_columns(edge_label, tu_file(folder, prefix, "edge_labels")))
    features = np.concatenate(parts, axis=1) if parts else None
    edge_index, features, edge_label = clean_edges(
        np.ascontiguousarray(edges.T - 1), features, edge_label, num_nodes
    )
    return TuArrays(
        num_graphs,
        node_graph,
        y,
        classes,
        graph_attr,
        edge_index,
        node_label,
        node_attr,
        features,
        num_edge_attributes,
        edge_label,
        tuple(notes),
    )


def _read_targets(
    folder: Path, prefix: str, indicator: NDArray[np.int64]
) -> tuple[
    int, NDArray[Any] | None, NDArray[np.int64] | None, NDArray[np.float64] | None, list[str]
]:
    """Return num_graphs, y, classes and graph_attr as in `TuArrays`, and notes on the files that they come from."""
    indicator_path, labels_path, attr_path = (
        tu_file(folder, prefix, kind)
        for kind in ("graph_indicator", "graph_labels", "graph_attributes")
    )
    tables: list[NDArray[Any] | None] = []
    num_graphs = None
    for path in (labels_path, attr_path):
        table = None
        if os.path.lexists(path):
            table = read_targets(path, int(indicator.max()), single=path == labels_path)
            if num_graphs is not None and len(table) != num_graphs:
                raise InputError(
                    f"{path} has {len(table)} lines, must have {num_graphs} like {labels_path.name}; correct the file "
                    "that is truncated or wrong."
                )
            num_graphs = len(table)
        check_indicator(indicator, num_graphs, indicator_path, path)
        tables.append(table)
    labels, graph_attr = tables
    notes = []
    if labels is not None and graph_attr is not None:
        notes.append(
            f"{attr_path.name} is not used, as {labels_path.name} has the targets; remove one of the two files."
        )
    if graph_attr is not None:
        graph_attr = graph_attr.astype(np.float64)
    y, classes = None, None
    if labels is not None:
        y, classes = _classes(labels[:, 0], labels_path, notes)
    elif graph_attr is not None and graph_attr.shape[1] == 1:
        y, classes = _classes(graph_attr[:, 0], attr_path, [])
    return num_graphs or int(indicator[-1]), y, classes, graph_attr, notes


def _classes(
    labels: NDArray[Any], path: Path, notes: list[str]
) -> tuple[NDArray[Any] | None, NDArray[np.int64] | None]:
    """Return y and classes as in `TuArrays`, for the labels in the file, which are classes if all are integers."""
    present = ~np.isnan(labels)
    real = np.flatnonzero(present & (labels != np.rint(labels)))
    if not present.any():
        return None, None
    if not len(real):
        if labels.dtype != np.int64 and np.nanmax(np.abs(labels)) > MAX_EXACT:
            row = int(np.nanargmax(np.abs(labels)))
            raise InputError(
                f"{path}, line {row + 1}: {labels[row]:g} is too large for a class; number the classes from 0."
            )
        y = np.full(len(labels), -1, dtype=np.int64)
        classes, y[present] = np.unique(labels[present].astype(np.int64), return_inverse=True)
        return y, classes
    if 2 * len(real) < present.sum():
        notes.append(
            f"{path.name} has {len(real)} labels that are not integers (line {real[0] + 1}: {labels[real[0]]:g}), so "
            "that all are read as measured targets; correct them if the labels are classes."
        )
    return labels.astype(
        np.float64
    ), None  # a copy: the cache cannot hold two arrays that share memory


def tu_file(folder: Path, prefix: str, kind: str) -> Path:
    """Return the path of a file of a data set, for one of `KINDS`."""
    return folder / f"{prefix}_{kind}.txt"


def tu_digest(folder: Path, prefix: str) -> str:
    """Return the SHA-256, in hexadecimal, of what the result of `read_tu_folder` depends on: files and their names."""
    digest = hashlib.sha256()
    for kind in KINDS:
        path = tu_file(folder, prefix, kind)
        if os.path.lexists(path):
            content = read_bytes(path)
            digest.update(f"{kind} {len(content)}\n".encode())
            digest.update(content)
    digest.update("\n".join(_note_names(folder, prefix)).encode())
    return digest.hexdigest()


def _note_names(folder: Path, prefix: str) -> list[str]:
    """Return notes on files that are not read because their names are nearly, but not quite, those that are."""
    notes = []
    for path in sorted(folder.glob(f"{glob.escape(prefix)}_*")):
        kind = path.name.removeprefix(f"{prefix}_").partition(".")[0].lower()
        likely = next(iter(difflib.get_close_matches(kind, KINDS, n=1, cutoff=0.7)), None)
        if likely is not None and not os.path.lexists(tu_file(folder, prefix, likely)):
            notes.append(
                f"{path.name} is not read; name it {prefix}_{likely}.txt if it belongs to the data set."
            )
    return notes


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


def _read_optional(
    folder: Path, prefix: str, kind: str, dtype: Any, num_lines: int, reference: Path
) -> NDArray[Any] | None:
    """Read an optional file, which must have as many lines as ``reference`` if it exists."""
    path = tu_file(folder, prefix, kind)
    if not os.path.lexists(path):
        return None
    table = read_table(path, dtype, may_be_empty=num_lines == 0)
    if len(table) != num_lines:
        raise InputError(
            f"{path} has {len(table)} lines, must have {num_lines} like {reference.name}; correct the file that is "
            "truncated or wrong."
        )
    return table if num_lines else None
