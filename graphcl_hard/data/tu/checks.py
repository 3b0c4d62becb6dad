"""Check that the files of a TU folder fit together: what cannot be right is refused, what may be wrong is noted."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphcl_hard.exceptions import InputError


def check_indicator(
    indicator: NDArray[np.int64], num_graphs: int | None, path: Path, counted: Path
) -> None:
    """Raise `InputError` unless the graph ids of the nodes ascend from 1 to at most `num_graphs`.

    Args:
        indicator: (N,), the graph ids.
        num_graphs: the number of lines of `counted`; None if there is no such file, for N.
        path: the file of the graph ids.
        counted: a file with one line per graph.
    """
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
    # Without a file that counts the graphs, one mistyped graph id could otherwise take terabytes.
    most = len(indicator) if num_graphs is None else num_graphs
    if indicator[-1] > most:
        row = int(np.argmax(indicator > most))
        source = path if num_graphs is None else counted
        raise InputError(
            f"{path}, line {row + 1}: graph id {indicator[row]} is above {most}, the number of lines in {source.name}; "
            "correct the file that is truncated or wrong."
        )


def check_edges(
    edges: NDArray[np.int64], node_graph: NDArray[np.int64], path: Path, indicator_path: Path
) -> None:
    """Raise `InputError` unless all edges, (E, 2) with nodes from 1, join nodes of one graph."""
    num_nodes = len(node_graph)
    outside = (edges < 1) | (edges > num_nodes)
    if outside.any():
        row = int(np.argmax(outside.any(axis=1)))
        value = edges[row][outside[row]][0]
        remedy = "correct the file that is truncated or wrong"
        if edges.min() == 0 and edges.max() < num_nodes:
            remedy = "add 1 to every node id, as nodes are numbered from 1"
        raise InputError(
            f"{path}, line {row + 1}: node id {value} is outside 1..{num_nodes}, the number of lines in "
            f"{indicator_path.name}; {remedy}."
        )
    graphs = node_graph[edges - 1]
    across = graphs[:, 0] != graphs[:, 1]
    if across.any():
        row = int(np.argmax(across))
        raise InputError(
            f"{path}, line {row + 1}: the edge {edges[row, 0]}, {edges[row, 1]} joins graphs {graphs[row, 0] + 1} and "
            f"{graphs[row, 1] + 1}, must join nodes of one graph; number the nodes from 1 over all graphs, as the "
            f"lines of {indicator_path.name} do."
        )


def note_graphs(
    edges: NDArray[np.int64], node_graph: NDArray[np.int64], num_graphs: int, prefix: str
) -> list[str]:
    """Return a note on graphs without nodes, and one if most graphs have no edges, as where node ids are wrong."""
    notes = []
    sizes = np.bincount(node_graph, minlength=num_graphs)
    empty = np.flatnonzero(sizes == 0) + 1
    if len(empty):
        notes.append(
            f"{prefix}_graph_indicator.txt lists no node of {len(empty)} of {num_graphs} graphs ({_some(empty)}), "
            "which are read as graphs without nodes; check that no file is truncated or has surplus lines."
        )
    num_edges = np.bincount(node_graph[edges[:, 0] - 1], minlength=num_graphs)
    larger = sizes > 1
    bare = np.flatnonzero(larger & (num_edges == 0)) + 1
    if len(bare) and 2 * len(bare) >= larger.sum():
        last = int(np.argmax(edges.max(axis=1))) if len(edges) else 0
        largest = (
            f", and its largest node id is {edges[last].max()} (line {last + 1}) of {len(node_graph)}"
            if len(edges)
            else ""
        )
        notes.append(
            f"{prefix}_A.txt has no edge in {len(bare)} of the {larger.sum()} graphs with 2 or more nodes "
            f"({_some(bare)}){largest}; check that node ids go on over all graphs and do not start again with each one."
        )
    return notes


def note_edges(
    edges: NDArray[np.int64],
    edge_label: NDArray[np.int64] | None,
    edge_attr: NDArray[np.float32] | None,
    prefix: str,
) -> list[str]:
    """Return notes on edges, (E, 2) with nodes from 1, that are listed in one direction only, or with other values.

    An edge between two nodes is two lines, one for each direction, with the same labels and attributes.
    """
    notes: list[str] = []
    if not len(edges):
        return notes
    values: list[tuple[str, NDArray[Any]]] = []
    if edge_label is not None:
        values.append(("labels", edge_label))
    if edge_attr is not None:
        values.append(("attributes", edge_attr))
    loops = np.flatnonzero(edges[:, 0] == edges[:, 1])
    if values and len(loops):
        notes.append(
            f"{prefix}_A.txt has {len(loops)} self-loops (the first in line {loops[0] + 1}), which are left out, with "
            f"their {' and '.join(name for name, _ in values)}."
        )
    base = int(edges.max()) + 1
    key, reverse = edges[:, 0] * base + edges[:, 1], edges[:, 1] * base + edges[:, 0]
    if not values and np.array_equal(_distinct(key), _distinct(reverse)):
        return notes
    order = np.argsort(key, kind="stable")
    in_order = key[order]
    place = np.minimum(np.searchsorted(in_order, reverse), len(edges) - 1)
    back = order[place]  # the first line of the reverse edge, if there is one
    first = order[np.searchsorted(in_order, key)]  # the first line of the edge itself
    both = in_order[place] == reverse
    lines = np.arange(len(edges))
    single = np.flatnonzero(~both)
    if len(single):
        one = edges[single[0]]
        notes.append(
            f"{prefix}_A.txt lists {len(single)} of {len(edges)} edges in one direction only (line {single[0] + 1}: "
            f"{one[0]}, {one[1]}), and messages pass only in that direction; for undirected graphs, add the reverse "
            "of each line."
        )
    for name, table in values:
        file = f"{prefix}_edge_{name}.txt"
        repeated = lines != first
        if name == "labels":
            repeated &= (table != table[first]).any(axis=1)
        again = np.flatnonzero(repeated)
        if len(again):
            what = "the first labels count" if name == "labels" else "their attributes are added up"
            other = "with other labels " if name == "labels" else ""
            notes.append(
                f"{file}: {len(again)} lines repeat an edge {other}(line {again[0] + 1} that of line "
                f"{first[again[0]] + 1}), and {what}; list each edge once per direction."
            )
        unlike = both & (lines == first) & (lines < back) & (table != table[back]).any(axis=1)
        pairs = np.flatnonzero(unlike)
        if len(pairs):
            notes.append(
                f"{file}: {len(pairs)} edges have other {name} than their reverse (lines {pairs[0] + 1} and "
                f"{back[pairs[0]] + 1}); correct them if the graphs are undirected."
            )
    return notes


def _distinct(key: NDArray[np.int64]) -> NDArray[np.int64]:
    in_order = np.sort(key)  # np.unique takes twenty times as long
    new: NDArray[np.bool_] = np.append(True, in_order[1:] != in_order[:-1])
    return in_order[new]


def _some(ids: NDArray[np.int64]) -> str:
    shown = ", ".join(str(number) for number in ids[:5])
    return f"{shown}, ..." if len(ids) > 5 else shown
