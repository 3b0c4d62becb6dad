"""Neighbour sums: ways to compute, for every node of a batch, the sum of its neighbours' rows.

Each way first makes what it needs from the batch's edges, then sums (N, H) rows: forward without a gradient, and
forward and backward. All must give the same sums and gradients. The making is timed on its own, since in training every
batch has other edges; this package makes it once for the data set and slices it, which is part of its epochs' times.
"""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.utils import scatter

from benchmarks.speed.floor import Cut, csr_matrix, synchronise
from graphcl_hard.data.adjacency import Adjacency
from graphcl_hard.nn.functional import neighbour_sum

Sum = Callable[[Tensor], Tensor]
CALLS = 5  # of one timing


class NotOfferedError(RuntimeError):
    """A way that this environment does not have; the message says why."""


def gather_scatter(cut: Cut) -> Sum:
    """Sum as PyG's `MessagePassing` does over a plain `edge_index`."""
    source, target = cut.edge_index
    return lambda x: scatter(x.index_select(0, source), target, dim=0, dim_size=cut.nodes)


def gather_index_add(cut: Cut) -> Sum:
    """Sum by `index_add`."""
    source, target = cut.edge_index
    return lambda x: x.new_zeros(cut.nodes, x.size(1)).index_add(
        0, target, x.index_select(0, source)
    )


def edge_index_matmul(cut: Cut) -> Sum:
    """Sum by PyG's `EdgeIndex`, sorted by target, its cache filled, known to be undirected."""
    edges = EdgeIndex(cut.edge_index, sparse_size=(cut.nodes, cut.nodes), is_undirected=True)
    adjacency = edges.sort_by("col").values.fill_cache_()
    return lambda x: adjacency.matmul(x, transpose=True)


def csr_autograd(cut: Cut) -> Sum:
    """Sum by PyTorch's sparse CSR product, differentiated by PyTorch."""
    matrix = csr_matrix(cut.edge_index, cut.nodes)
    return lambda x: matrix @ x


def csr_reduce(cut: Cut) -> Sum:
    """Sum by PyTorch's `torch.sparse.mm` with a reduction."""
    if cut.edge_index.is_cuda:
        raise NotOfferedError("torch.sparse.mm takes a reduction only on the CPU")
    matrix = csr_matrix(cut.edge_index, cut.nodes)
    return lambda x: torch.sparse.mm(matrix, x, "sum")


def segment_csr(cut: Cut) -> Sum:
    """Sum by torch-scatter's `segment_csr` over gathered rows."""
    try:
        from torch_scatter import segment_csr as reduce  # noqa: PLC0415
    except ImportError as error:
        raise NotOfferedError("torch-scatter is not installed") from error
    matrix = csr_matrix(cut.edge_index, cut.nodes)
    rows, column = matrix.crow_indices(), matrix.col_indices()
    return lambda x: reduce(x.index_select(0, column), rows, reduce="sum")


def package(cut: Cut) -> Sum:
    """Sum by this package."""
    adjacency = Adjacency.from_edge_index(cut.edge_index, cut.nodes)
    return lambda x: neighbour_sum(x, adjacency)


WAYS: dict[str, Callable[[Cut], Sum]] = {
    "gather + scatter (PyG)": gather_scatter,
    "gather + index_add": gather_index_add,
    "EdgeIndex matmul (PyG)": edge_index_matmul,
    "sparse CSR @ x": csr_autograd,
    "torch.sparse.mm(reduce)": csr_reduce,
    "gather + segment_csr (torch-scatter)": segment_csr,
    "graphcl_hard": package,
}


def measure(cut: Cut, channels: int, repeats: int) -> dict[str, Any]:
    """Return interleaved seconds of every way on one batch: {way: {"prepare", "forward", "both": [one per repeat]}}.

    A way that cannot be used is {way: {"skipped": why}}.
    """
    device = cut.edge_index.device
    x = torch.randn(cut.nodes, channels, device=device, requires_grad=True)
    gradient = torch.randn_like(x)
    expected = _sum_and_gradient(gather_index_add(cut), x, gradient)
    sums: dict[str, Sum] = {}
    found: dict[str, Any] = {}
    for way, make in WAYS.items():
        try:
            sums[way] = make(cut)
            result = _sum_and_gradient(sums[way], x, gradient)
        except RuntimeError as error:  # NotOfferedError, or PyTorch says that it cannot
            sums.pop(way, None)
            found[way] = {"skipped": str(error).splitlines()[0]}
            continue
        for mine, other in zip(result, expected, strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4)
        found[way] = {"prepare": [], "forward": [], "both": []}
    for _ in range(repeats):
        for way, way_sum in sums.items():
            times = found[way]
            times["prepare"].append(_seconds(lambda make=WAYS[way]: make(cut), device))
            with torch.no_grad():
                times["forward"].append(_seconds(lambda f=way_sum: f(x), device))
            times["both"].append(
                _seconds(lambda f=way_sum: _sum_and_gradient(f, x, gradient), device)
            )
    return found


def _sum_and_gradient(way_sum: Sum, x: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    result = way_sum(x)
    return result.detach(), torch.autograd.grad(result, x, gradient)[0]


def _seconds(call: Callable[[], object], device: torch.device) -> float:
    synchronise(device)
    start = time.perf_counter()
    for _ in range(CALLS):
        call()
    synchronise(device)
    return (time.perf_counter() - start) / CALLS
