"""What the inputs of nodes and of edges share: attributes standardised, labels to columns with a 1."""

import itertools
import math
import warnings
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from graphcl_hard.data.graph_data import GraphData
from graphcl_hard.data.shards import GraphShards
from graphcl_hard.exceptions import InputError, user_stacklevel

Values = tuple[tuple[Hashable, ...], ...]
"""For each label column the values that have a column of the input, in its order."""


def moments(chunks: Iterable[Tensor], keep_binary: bool = False) -> tuple[Tensor, Tensor]:
    """Mean and deviation (A,) of columns (N, A), 1 for one that does not vary, over all chunks of rows.

    With `keep_binary`, 0 and 1 for columns of nothing but 0 and 1.
    """
    filled = (rows for rows in chunks if rows.size(0))
    first = next(filled)
    second = next(filled, None)
    if second is None:
        std, mean = torch.std_mean(first, dim=0, correction=0)
        binary = ((first == 0) | (first == 1)).all(dim=0)
    else:  # the mean of the squares within chunks, and the square of the means between them
        each = [
            (rows.size(0), *torch.std_mean(rows.double(), 0, correction=0), ((rows == 0) | (rows == 1)).all(dim=0))
            for rows in itertools.chain((first, second), filled)
        ]
        counts, stds, means, binaries = zip(*each, strict=True)
        share = torch.tensor(counts, dtype=torch.float64).unsqueeze(1) / sum(counts)
        mean = (share * torch.stack(means)).sum(dim=0)
        squares = torch.stack(stds).square() + (torch.stack(means) - mean).square()
        std = (share * squares).sum(dim=0).sqrt().to(first.dtype)
        mean, binary = mean.to(first.dtype), torch.stack(binaries).all(dim=0)
    std = torch.where(std > 0, std, 1.0)
    if not keep_binary:
        return mean, std
    return mean.masked_fill(binary, 0.0), std.masked_fill(binary, 1.0)


def standardise(columns: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Columns (N, A) by a mean and a deviation (A,)."""
    return (columns - torch.tensor(mean, dtype=columns.dtype)) / torch.tensor(std, dtype=columns.dtype)


def label_values(label: Tensor | None, values: Values | None) -> Values:
    """The values of label columns (N, K), of which none are the numbers themselves."""
    if label is None or values is not None:
        return values or ()
    return tuple(tuple(range(largest + 1)) for largest in label.amax(dim=0).tolist())


def label_values_of(graphs: GraphData | GraphShards, what: str) -> Values:
    """The values of the labels of the nodes or edges of a set, "node" or "edge", which all its chunks have alike."""
    first = next((chunk for chunk in graphs.chunks() if getattr(chunk, f"num_{what}s")), None)
    return (
        () if first is None else label_values(getattr(first, f"{what}_label"), getattr(first, f"{what}_label_values"))
    )


def label_columns(graphs: GraphData, what: str, known: Values, start: int = 0, warn: bool = True) -> Tensor:
    """(N, K) int64 columns of the input for the labels of the nodes or edges, -1 for a label that is not known.

    Args:
        graphs: the set.
        what: "node" or "edge".
        known: the values that have columns.
        start: number of the first of these columns.
        warn: whether a warning tells of labels that are not known.

    Raises:
        InputError: the set has another number of label columns.
    """
    label, given = (
        (graphs.node_label, graphs.node_label_values)
        if what == "node"
        else (graphs.edge_label, graphs.edge_label_values)
    )
    found = label_values(label, given)
    if len(found) != len(known) or label is None:
        raise InputError(
            f"{graphs.name} has {len(found) or 'no'} {what} labels, must have {_as_many(len(known))} the graphs that "
            "the features were made for; give the same labels."
        )
    columns, unknown = [], set()
    for wanted, values, number in zip(known, found, label.unbind(dim=1), strict=True):
        column = {value: start + position for position, value in enumerate(wanted)}
        unknown |= {value for value in values if value not in column}
        columns.append(torch.tensor([column.get(value, -1) for value in values])[number])
        start += len(wanted)
    if unknown and warn:
        shown = ", ".join(sorted(map(repr, unknown))[:5])
        warnings.warn(
            f"{graphs.name} has {len(unknown)} {what} labels that the features were not made for ({shown}); their "
            f"{what}s have zeros in place of a 1.",
            stacklevel=user_stacklevel(),
        )
    return torch.stack(columns, dim=1)


def check_attributes(graphs: GraphData, what: str, width: int) -> Tensor:
    """The (N, `width`) attributes of the nodes or edges of a set, "node" or "edge", all of them finite.

    Raises:
        InputError: there are none, or as many others, or one is not finite.
    """
    attributes = graphs.node_attr if what == "node" else graphs.edge_attr
    found = 0 if attributes is None else attributes.size(1)
    if attributes is None or found != width:
        raise InputError(
            f"{graphs.name} has {found or 'no'} {what} attributes, must have {_as_many(width)} the graphs that the "
            "features were made for; give the same attributes."
        )
    check_finite(graphs, attributes, what)
    return attributes


def finite_attributes(graphs: GraphData, what: str) -> Tensor:
    """The attributes (N, A) of the nodes or edges of a set that has them, or (0, 0) of one without nodes or edges.

    Raises:
        InputError: one is not finite.
    """
    attributes = graphs.node_attr if what == "node" else graphs.edge_attr
    if attributes is None:
        return torch.zeros(0, 0)
    check_finite(graphs, attributes, what)
    return attributes


def check_finite(graphs: GraphData, attributes: Tensor, what: str = "node") -> None:
    """Raise `InputError` where an attribute of a node or an edge is not finite."""
    bad = (~torch.isfinite(attributes)).any(dim=1).nonzero()
    if bad.numel():
        row, ptr = int(bad[0]), graphs.node_ptr if what == "node" else graphs.edge_ptr
        graph = int(torch.searchsorted(ptr, row, right=True)) - 1
        raise InputError(
            f"{graphs.name} has an attribute that is not finite at {what} {row - int(ptr[graph])} of graph {graph} "
            "(counted from 0); mend the value or leave the graph out."
        )


def _as_many(number: int) -> str:
    return f"the {number} of" if number else "none, as"


def check_serialisable(known: Values, what: str) -> None:
    """Raise `InputError` where a label is neither a string nor a number, which is all that JSON keeps."""
    for value in (value for values in known for value in values):
        if not isinstance(value, (str, int, float, bool)):
            raise InputError(
                f"{what.capitalize()} labels must be strings or numbers to be saved, got {value!r}; rename them."
            )


def describe(attributes: int, known: Values, what: str) -> str:
    """What the columns are, for people."""
    parts = [f"{attributes} {what} attributes, standardised"] if attributes else []
    if known:
        parts.append(f"{sum(map(len, known))} {what} labels, one-hot")
    return "; ".join(parts)


def check_loaded(values: Any, mean: Any, std: Any) -> None:
    """Raise `ValueError` where no map has these label values, means and deviations, which a file held."""
    if not all(isinstance(column, (list, tuple)) for column in (values, mean, std, *values)):
        raise ValueError("label_values, mean and std must be lists")
    if not all(isinstance(value, (str, int, float, bool)) for column in values for value in column):
        raise ValueError("a label must be a string or a number")
    if any(len(set(column)) < len(column) or not column for column in values):
        raise ValueError("a column of labels must hold each value once")
    if len(mean) != len(std) or not all(_is_finite(number) for number in (*mean, *std)) or min(std, default=1) <= 0:
        raise ValueError("mean and std must be as many finite numbers, those of std above 0")


def _is_finite(number: Any) -> bool:
    return isinstance(number, (int, float)) and not isinstance(number, bool) and math.isfinite(number)
