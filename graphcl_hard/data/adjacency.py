"""The adjacency matrix of a batch in CSR form; checks, sorting and cleaning of edges."""

from typing import NamedTuple

import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray
from torch import Tensor

from graphcl_hard.exceptions import InputError

MANY_EDGES = 2**16  # from here on SciPy sorts: a whole data set rather than a batch


class Adjacency(NamedTuple):
    """The adjacency matrix A of N nodes with E directed edges in CSR form, and its transpose.

    The matrix of an undirected graph is its own transpose; the four fields are then only two tensors.
    """

    ptr: Tensor
    """(N + 1,) int64, from 0 to E: node i receives messages from `source[ptr[i]:ptr[i + 1]]`."""
    source: Tensor
    """(E,) int64, sorted by target."""
    transposed_ptr: Tensor
    """(N + 1,) int64, from 0 to E: node j sends messages to `target[transposed_ptr[j]:transposed_ptr[j + 1]]`."""
    target: Tensor
    """(E,) int64, sorted by source."""

    @classmethod
    def from_edge_index(cls, edge_index: Tensor, num_nodes: int) -> "Adjacency":
        """Return the adjacency of edges in any order; repeated edges are kept.

        Args:
            edge_index: (2, E) int32 or int64, sources in row 0 and targets in row 1.
            num_nodes: N.

        Raises:
            InputError: as in `check_edge_index`.
        """
        check_edge_index(edge_index, num_nodes)
        source, target = edge_index.long()
        return cls(*compress(target, source, num_nodes), *compress(source, target, num_nodes))

    def target_rows(self) -> Tensor:
        """Return the target of each edge, (E,) int64, in the order of `source`."""
        return _rows(self.ptr, self.source.numel())

    @property
    def is_symmetric(self) -> bool:
        """Whether the graph is known to be undirected, as both matrices are the same tensors."""
        return self.ptr is self.transposed_ptr and self.source is self.target

    @property
    def edge_index(self) -> Tensor:
        """(2, E) int64, sources in row 0 and targets in row 1, sorted by source."""
        return torch.stack([_rows(self.transposed_ptr, self.target.numel()), self.target])


def check_edge_index(edge_index: Tensor, num_nodes: int) -> None:
    """Raise `InputError` unless edges are (2, E) int32 or int64 with all nodes in [0, `num_nodes`).

    The range is checked only on the CPU, as the check would synchronise a GPU.
    """
    if (
        edge_index.dim() != 2
        or edge_index.size(0) != 2
        or edge_index.dtype not in (torch.int32, torch.int64)
    ):
        raise InputError(
            f"edge_index must be (2, E) int64, got {tuple(edge_index.shape)} {edge_index.dtype}; put sources in row "
            "0 and targets in row 1."
        )
    if edge_index.numel() and edge_index.device.type == "cpu" and not torch.compiler.is_compiling():
        low, high = (int(bound) for bound in edge_index.aminmax())
        if low < 0 or high >= num_nodes:
            raise InputError(
                f"edge_index must lie in [0, {num_nodes - 1}], the rows of x, got {low} to {high}; number the nodes of "
                "the batch from 0."
            )


def compress(row: Tensor, column: Tensor, num_rows: int) -> tuple[Tensor, Tensor]:
    """Return a matrix with entries at `row` and `column`, both (E,), in CSR form.

    Returns:
        the offsets of the rows, (num_rows + 1,) int64, and the columns, (E,), stably sorted by row.
    """
    ptr, order = sort_rows(row, num_rows)
    return ptr, column[order]


def sort_rows(row: Tensor, num_rows: int) -> tuple[Tensor, Tensor]:
    """Return the row offsets, (num_rows + 1,) int64, and the stable order, (E,) int64, that sorts `row`, (E,)."""
    order = _stable_order(row, num_rows)
    ptr = torch.zeros(num_rows + 1, dtype=torch.int64, device=row.device)
    ptr[1:] = torch.bincount(row, minlength=num_rows).cumsum(0)
    return ptr, order


def _stable_order(row: Tensor, num_rows: int) -> Tensor:
    if row.device.type != "cpu" or row.numel() < MANY_EDGES:
        return row.argsort(stable=True)
    if bool((row[1:] >= row[:-1]).all()):  # as the edges of a data set are, by source
        return torch.arange(row.numel(), device="cpu")
    # SciPy uses a counting sort; the sort of PyTorch takes four times as long on the CPU.
    entries = np.ones(row.numel(), dtype=np.int8), (row.numpy(), np.arange(row.numel()))
    return torch.from_numpy(
        scipy.sparse.coo_array(entries, shape=(num_rows, row.numel())).tocsr().indices
    ).long()


def _rows(ptr: Tensor, total: int) -> Tensor:
    """Return the row of each entry, (`total`,) int64, for (R + 1,) offsets."""
    return torch.arange(ptr.numel() - 1, device=ptr.device).repeat_interleave(
        ptr.diff(), output_size=total
    )


def clean_edges(
    edge_index: NDArray[np.int64],
    edge_attr: NDArray[np.float32] | None,
    edge_label: NDArray[np.int64] | None,
    num_nodes: int,
) -> tuple[NDArray[np.int64], NDArray[np.float32] | None, NDArray[np.int64] | None]:
    """Drop self-loops, sort edges by (source, target) and merge duplicates.

    Args:
        edge_index: (2, E).
        edge_attr: (E, A), or None; the attributes of duplicates are summed.
        edge_label: (E,) or (E, K), or None; the label of the first duplicate is kept.
        num_nodes: N.

    Returns:
        the arguments for the edges that remain.
    """
    keep = edge_index[0] != edge_index[1]
    if not keep.all():
        edge_index = edge_index[:, keep]
        edge_attr = None if edge_attr is None else edge_attr[keep]
        edge_label = None if edge_label is None else edge_label[keep]
    key = edge_index[0] * num_nodes + edge_index[1]
    if (key[1:] > key[:-1]).all():
        return edge_index, edge_attr, edge_label
    order = np.argsort(key, kind="stable")
    key = key[order]
    starts = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
    if edge_attr is not None:
        edge_attr = np.add.reduceat(edge_attr[order], starts, axis=0)
    first = order[starts]
    return (
        np.ascontiguousarray(edge_index[:, first]),
        edge_attr,
        None if edge_label is None else edge_label[first],
    )
