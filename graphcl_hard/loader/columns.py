"""Functions shared by node and edge features: standardised attributes and one-hot labels."""

import itertools
import math
import warnings
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from graphcl_hard.data.graph_data import GraphData, GraphSource
from graphcl_hard.data.molecules.vocabulary import is_of_vocabulary
from graphcl_hard.exceptions import InputError, user_stacklevel

Values = tuple[tuple[Hashable, ...], ...]
"""For each label column, the values that have an input column, in the order of these columns."""


def moments(chunks: Iterable[Tensor], keep_binary: bool = False) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation (A,) of the columns (N, A) over all chunks of rows.

    The standard deviation of a column is given as 1 if it is at most 4 machine epsilons of the mean: the column is then
    constant up to rounding. With `keep_binary`, columns that contain only 0 and 1 get mean 0 and standard deviation 1.
    """
    filled = (rows for rows in chunks if rows.size(0))
    first = next(filled)
    second = next(filled, None)
    if second is None:
        std, mean = torch.std_mean(first, dim=0, correction=0)
        binary = ((first == 0) | (first == 1)).all(dim=0)
    else:  # total variance = mean variance within the chunks + variance of the chunks' means
        each = [
            (
                rows.size(0),
                *torch.std_mean(rows.double(), 0, correction=0),
                ((rows == 0) | (rows == 1)).all(dim=0),
            )
            for rows in itertools.chain((first, second), filled)
        ]
        counts, stds, means, binaries = zip(*each, strict=True)
        share = torch.tensor(counts, dtype=torch.float64).unsqueeze(1) / sum(counts)
        mean = (share * torch.stack(means)).sum(dim=0)
        squares = torch.stack(stds).square() + (torch.stack(means) - mean).square()
        std = (share * squares).sum(dim=0).sqrt().to(first.dtype)
        mean, binary = mean.to(first.dtype), torch.stack(binaries).all(dim=0)
    std = torch.where(std > 4 * torch.finfo(std.dtype).eps * mean.abs(), std, 1.0)
    if not keep_binary:
        return mean, std
    return mean.masked_fill(binary, 0.0), std.masked_fill(binary, 1.0)


def standardise(columns: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return columns (N, A) minus their mean, divided by their standard deviation (A,)."""
    return (columns - torch.tensor(mean, dtype=columns.dtype)) / torch.tensor(
        std, dtype=columns.dtype
    )


def label_values(label: Tensor | None, values: Values | None) -> Values:
    """Return the values of label columns (N, K); without `values`, the labels are the values themselves."""
    if label is None:
        return ()
    if values is not None:
        return values
    return tuple(tuple(range(largest + 1)) for largest in label.amax(dim=0).tolist())


def label_values_of(graphs: GraphSource, what: str) -> Values:
    """Return the label values of a data set's nodes or edges (`what`), which are the same in all its chunks."""
    first = next((chunk for chunk in graphs.chunks() if getattr(chunk, f"num_{what}s")), None)
    return (
        ()
        if first is None
        else label_values(getattr(first, f"{what}_label"), getattr(first, f"{what}_label_values"))
    )


def label_columns(
    graphs: GraphData, what: str, known: Values, start: int = 0, warn: bool = True
) -> Tensor:
    """Return (N, K) int64 indices of the input columns for the labels of nodes or edges, -1 for unknown labels.

    Args:
        graphs: the data set.
        what: "node" or "edge".
        known: the values that have columns.
        start: index of the first of these columns.
        warn: whether to warn about unknown labels.

    Raises:
        InputError: the data set has a different number of label columns.
    """
    label, given = (
        (graphs.node_label, graphs.node_label_values)
        if what == "node"
        else (graphs.edge_label, graphs.edge_label_values)
    )
    found = label_values(label, given)
    if len(found) != len(known) or label is None:
        raise InputError(
            f"The data set {graphs.name!r} has {len(found) or 'no'} {what} label columns, but must have "
            f"{len(known) or 'none'} like the graphs that the features were fitted on; give the same labels."
        )
    is_fixed = is_of_vocabulary(found)
    columns: list[Tensor] = []
    unknown: set[Hashable] = set()
    for wanted, values, number in zip(known, found, label.unbind(dim=1), strict=True):
        column = {value: start + position for position, value in enumerate(wanted)}
        new = {value for value in values if value not in column}
        if new and is_fixed:  # most of a vocabulary's values may be in no graph
            new &= {values[place] for place in number.unique().tolist()}
        unknown |= new
        columns.append(torch.tensor([column.get(value, -1) for value in values])[number])
        start += len(wanted)
    if unknown and warn:
        shown = ", ".join(sorted(map(repr, unknown))[:5])
        warnings.warn(
            f"The data set {graphs.name!r} has {len(unknown)} {what} labels that the features were not fitted on "
            f"({shown}); {what}s with these labels get zeros instead of a one-hot encoding.",
            stacklevel=user_stacklevel(),
        )
    return torch.stack(columns, dim=1)


def check_attributes(graphs: GraphData, what: str, width: int) -> Tensor:
    """Return the (N, `width`) attributes of a data set's nodes or edges (`what`), all of them finite.

    Raises:
        InputError: the number of attributes is not `width`, or an attribute is not finite.
    """
    attributes = graphs.node_attr if what == "node" else graphs.edge_attr
    found = 0 if attributes is None else attributes.size(1)
    if attributes is None or found != width:
        raise InputError(
            f"The data set {graphs.name!r} has {found or 'no'} {what} attributes, but must have {width or 'none'} like "
            "the graphs that the features were fitted on; give the same attributes."
        )
    check_finite(graphs, attributes, what)
    return attributes


def finite_attributes(graphs: GraphData, what: str) -> Tensor:
    """Return the attributes (N, A) of a data set's nodes or edges (`what`); (0, 0) where it has no nodes or edges.

    Raises:
        InputError: an attribute is not finite.
    """
    attributes = graphs.node_attr if what == "node" else graphs.edge_attr
    if attributes is None:
        return torch.zeros(0, 0)
    check_finite(graphs, attributes, what)
    return attributes


def check_finite(graphs: GraphData, attributes: Tensor, what: str = "node") -> None:
    """Raise `InputError` if an attribute of a node or an edge is not finite."""
    bad = (~torch.isfinite(attributes)).any(dim=1).nonzero()
    if bad.numel():
        row, ptr = int(bad[0]), graphs.node_ptr if what == "node" else graphs.edge_ptr
        graph = int(torch.searchsorted(ptr, row, right=True)) - 1
        raise InputError(
            f"The data set {graphs.name!r} has an attribute that is not finite at {what} {row - int(ptr[graph])} of "
            f"graph {graph} (counted from 0); fix the value or leave the graph out."
        )


def check_serialisable(known: Values, what: str) -> None:
    """Raise `InputError` if a label is neither a string nor a number, the only values that JSON preserves."""
    for value in (value for values in known for value in values):
        if not isinstance(value, (str, int, float, bool)):
            raise InputError(
                f"{what.capitalize()} labels must be strings or numbers to be saved, got {value!r}; rename them."
            )


def describe(attributes: int, known: Values, what: str) -> str:
    """Return a description of the input columns for people."""
    parts = [f"{attributes} {what} attributes, standardised"] if attributes else []
    if known:
        parts.append(f"{sum(map(len, known))} {what} labels, one-hot")
    return "; ".join(parts)


def check_loaded(values: Any, mean: Any, std: Any) -> None:
    """Raise `ValueError` if label values, means or standard deviations read from a file are not those of a map."""
    if not all(isinstance(column, (list, tuple)) for column in (values, mean, std, *values)):
        raise ValueError("label_values, mean and std must be lists")
    if not all(isinstance(value, (str, int, float, bool)) for column in values for value in column):
        raise ValueError("a label must be a string or a number")
    if any(len(set(column)) < len(column) or not column for column in values):
        raise ValueError("a column of labels must contain each value once")
    if (
        len(mean) != len(std)
        or not all(_is_finite(number) for number in (*mean, *std))
        or min(std, default=1) <= 0
    ):
        raise ValueError(
            "mean and std must be finite numbers of the same count, those of std above 0"
        )


def _is_finite(number: Any) -> bool:
    return (
        isinstance(number, (int, float)) and not isinstance(number, bool) and math.isfinite(number)
    )
