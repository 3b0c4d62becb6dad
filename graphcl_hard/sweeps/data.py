"""The graphs of a cell, and the labels that it is scored by."""

import dataclasses
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from graphcl_hard.data.graph_data import GraphData
from graphcl_hard.data.load import load_graphs
from graphcl_hard.exceptions import InputError

Ints = npt.NDArray[np.int64]


@lru_cache(maxsize=1)  # the cells of a data set follow one another
def labelled_graphs(source: str, data_dir: str | Path | None) -> tuple[GraphData, Ints, Ints]:
    """Return a data set, the positions of its graphs that have a class, and their classes, 0..C-1.

    Raises:
        InputError: the data set cannot be read, or has no classes.
    """
    graphs = load_graphs(source, data_dir=data_dir)
    if not graphs.classes:
        raise InputError(
            f"{graphs.name} has no classes, by which the methods of a sweep are scored; add labels."
        )
    rows = np.flatnonzero(graphs.y.numpy() >= 0)
    return graphs, rows, graphs.y.numpy()[rows]


def without_labels(graphs: GraphData) -> GraphData:
    """Return the same graphs without labels, so that no method can see them."""
    y = torch.full((graphs.num_graphs,), -1)
    return dataclasses.replace(graphs, y=y, classes=(), targets=())
