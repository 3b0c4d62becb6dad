"""The edges of a batch in compressed rows, and how edges are checked, sorted and cleaned."""

from typing import NamedTuple

import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray
from torch import Tensor

from graphcl_hard.exceptions import InputError

MANY_EDGES = 2**16  # of a whole set, rather than a batch


class Adjacency(NamedTuple):
    """The E directed edges among N nodes, sorted by target; the graph convolutions' matrix A in CSR form.

    Both matrices hold the same edges. An undirected graph's matrix is its own transpose, so that the four fields are
    two tensors.
    """

    ptr: Tensor
    """(N + 1,) int64, from 0 to E: node i receives from `source[ptr[i]:ptr[i + 1]]`."""
    source: Tensor
    """(E,) int64."""
    transposed_ptr: Tensor
    """(N + 1,) int64, from 0 to E: node j sends to `target[transposed_ptr[j]:transposed_ptr[j + 1]]`."""
    target: Tensor
    """(E,) int64."""

    @classmethod
    def from_edge_index(cls, edge_index: Tensor, num_nodes: int) -> "Adjacency":
        """Sort (2, E) int64 edges, source above target, in any order; a repeated edge counts each time.

        Raises:
            InputError: as `check_edge_index` does.
        """
        check_edge_index(edge_index, num_nodes)
        source, target = edge_index.long()
        return cls(*compress(target, source, num_nodes), *compress(source, target, num_nodes))

    def target_rows(self) -> Tensor:
        """(E,) int64, the target of each edge in the order of `source`."""
        return _rows(self.ptr, self.source.numel())

    @property
    def is_symmetric(self) -> bool:
        """Whether the edges are known to be undirected, since both matrices are the same tensors."""
        return self.ptr is self.transposed_ptr and self.source is self.target

    @property
    def edge_index(self) -> Tensor:
        """(2, E) int64, source above target, sorted by source."""
        return torch.stack([_rows(self.transposed_ptr, self.target.numel()), self.target])


def check_edge_index(edge_index: Tensor, num_nodes: int) -> None:
    """Raise `InputError` where edges are not (2, E) integers, or name a node outside [0, `num_nodes`).

    The names are looked at on the CPU only, as the look would stall a GPU.
    """
    if edge_index.dim() != 2 or edge_index.size(0) != 2 or edge_index.dtype not in (torch.int32, torch.int64):
        raise InputError(
            f"edge_index must be (2, E) int64, source above target, got {tuple(edge_index.shape)} {edge_index.dtype}."
        )
    if edge_index.numel() and edge_index.device.type == "cpu" and not torch.compiler.is_compiling():
        low, high = (int(bound) for bound in edge_index.aminmax())
        if low < 0 or high >= num_nodes:
            raise InputError(f"edge_index must name nodes in [0, {num_nodes - 1}], the rows of x, got {low} to {high}.")


def compress(row: Tensor, column: Tensor, num_rows: int) -> tuple[Tensor, Tensor]:
    """(E,), (E,) -> the offsets (num_rows + 1,) of the rows and the columns (E,) sorted by row."""
    ptr, order = sort_rows(row, num_rows)
    return ptr, column[order]


def sort_rows(row: Tensor, num_rows: int) -> tuple[Tensor, Tensor]:
    """(E,) -> the offsets (num_rows + 1,) of the rows, and the entries' places (E,) in the order of their rows."""
    order = _stable_order(row, num_rows)
    ptr = torch.zeros(num_rows + 1, dtype=torch.int64, device=row.device)
    ptr[1:] = torch.bincount(row, minlength=num_rows).cumsum(0)
    return ptr, order


def _stable_order(row: Tensor, num_rows: int) -> Tensor:
    if row.device.type != "cpu" or row.numel() < MANY_EDGES:
        return row.argsort(stable=True)
    if bool((row[1:] >= row[:-1]).all()):  # as the edges of a set are, by source
        return torch.arange(row.numel())
    # SciPy counts where PyTorch sorts, which on the CPU takes four times as long.
    entries = np.ones(row.numel(), dtype=np.int8), (row.numpy(), np.arange(row.numel()))
    return torch.from_numpy(scipy.sparse.coo_array(entries, shape=(num_rows, row.numel())).tocsr().indices).long()


def _rows(ptr: Tensor, total: int) -> Tensor:
    """(R + 1,) offsets to (`total`,): the row of each entry."""
    return torch.arange(ptr.numel() - 1, device=ptr.device).repeat_interleave(ptr.diff(), output_size=total)


def clean_edges(
    edge_index: NDArray[np.int64],
    edge_attr: NDArray[np.float32] | None,
    edge_label: NDArray[np.int64] | None,
    num_nodes: int,
) -> tuple[NDArray[np.int64], NDArray[np.float32] | None, NDArray[np.int64] | None]:
    """Drop self-loops, sort by (row, column) and merge duplicates: attributes are summed, the first labels stay."""
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
    return np.ascontiguousarray(edge_index[:, first]), edge_attr, None if edge_label is None else edge_label[first]
