"""The graphs of a cell, and the labels that it is scored by."""

import dataclasses
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from graphcl_hard.data.graph_data import GraphData
from graphcl_hard.data.load import load_graphs
from graphcl_hard.exceptions import InputError
from graphcl_hard.runs.results import labelled

Ints = npt.NDArray[np.int64]


@lru_cache(maxsize=1)  # the cells of a data set follow one another
def graphs_of(source: str, data_dir: str | Path | None) -> GraphData:
    """Return a data set.

    Raises:
        InputError: it cannot be read, or has no labels, or has targets of both kinds.
    """
    graphs = load_graphs(source, data_dir=data_dir)
    if graphs.labels is None:
        raise InputError(
            f"{graphs.name} has no labels, by which the methods of a sweep are scored; add labels."
        )
    try:
        labelled(graphs)
    except InputError as error:
        raise InputError(
            str(error).replace("give --no-evaluate to only train, or a data set", "give a data set")
        ) from None
    return graphs


def labelled_graphs(source: str, data_dir: str | Path | None) -> tuple[GraphData, Ints, Ints]:
    """Return a data set, the positions of its graphs that have a class, and their classes, 0..C-1.

    Raises:
        InputError: the data set cannot be read, or has no classes.
    """
    graphs = graphs_of(source, data_dir)
    if not graphs.classes:
        raise InputError(
            f"{graphs.name} has measured targets, but this method is only scored on classes; name its data sets in the "
            "plan with `datasets`."
        )
    rows = np.flatnonzero(graphs.y.numpy() >= 0)
    return graphs, rows, graphs.y.numpy()[rows]


def without_labels(graphs: GraphData) -> GraphData:
    """Return a copy of the graphs without labels, so that a method can neither see them nor change the graphs."""
    y = torch.full((graphs.num_graphs,), -1)
    changed: dict[str, Any] = {"y": y, "classes": (), "targets": (), "ids": graphs.ids.copy()}
    for field in dataclasses.fields(graphs):
        value = getattr(graphs, field.name)
        if isinstance(value, torch.Tensor) and field.name != "y":
            changed[field.name] = value.clone()
    return dataclasses.replace(graphs, **changed)
