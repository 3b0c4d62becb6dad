"""The floor of a training epoch: the matrix products that a step cannot do without, and nothing else.

For every batch of one shuffled epoch, with N nodes, E directed edges and G graphs, L layers of H channels, D = L*H, F
input channels and the neighbour sum's matrix A (N x N, E ones), these products are done, in float32:

- neighbour sums, A times (N x H), sparse CSR: in layers 2 to L forward and backward. In layer 1 the same where the
  inputs are one-hot: its first linear layer is then a look-up of rows before the sum, so its products with the one-hot
  matrix are not counted, but the gradient flows back through the sum. Other inputs are summed first, A times (N x F),
  forward only, since they need no gradient.
- linear layers of the encoder: (N x H)(H x H) forward, the input's gradient, the weight's gradient; two a layer, but
  for layer 1's first one: none where the inputs are one-hot, (N x F)(F x H) without the input's gradient elsewhere.
- local head: four linear layers (N x D)(D x D), three products each. Global head: the same with G rows.
- scores: (N x D)(D x G), and its two gradients, (N x G)(G x D) and (G x N)(N x D).

Left out: everything elementwise (biases, ReLU, softplus, softmax), batch norm, sums over a graph, the optimiser, the
cutting of batches, and scores that are computed a second time in the backward pass. All operands and results are
allocated beforehand and as large as a batch's, and the edges are the batches' own.
"""

import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Cut(NamedTuple):
    """The parts of a batch that the floor needs."""

    edge_index: Tensor
    """(2, E) int64, sorted by row 0, both directions of every edge."""
    nodes: int
    graphs: int


class Sizes(NamedTuple):
    """The model's sizes."""

    in_channels: int
    one_hot: bool
    hidden_channels: int = 32
    num_layers: int = 3


def csr_matrix(edge_index: Tensor, nodes: int, dtype: torch.dtype = torch.int64) -> Tensor:
    """Return the (N, N) sparse CSR matrix of ones that sums neighbours, from edges sorted by row 0."""
    rows = torch.zeros(nodes + 1, dtype=dtype, device=edge_index.device)
    rows[1:] = torch.bincount(edge_index[0], minlength=nodes).cumsum(0)
    ones = torch.ones(edge_index.size(1), device=edge_index.device)
    return torch.sparse_csr_tensor(
        rows, edge_index[1].to(dtype), ones, (nodes, nodes), check_invariants=False
    )


def csr_product(matrix: Tensor, x: Tensor, out: Tensor) -> Tensor:
    """Write `matrix` times `x` into `out`, where PyTorch's other CSR products allocate and copy."""
    return torch.addmm(out, matrix, x, beta=0, out=out)


def bag_product(matrix: Tensor, x: Tensor, _: Tensor) -> Tensor:
    """Return the same product by a kernel that knows that the values are ones; it allocates its result."""
    return F.embedding_bag(
        matrix.col_indices(), x, matrix.crow_indices(), mode="sum", include_last_offset=True
    )


def faster_product(
    matrix: Tensor, x: Tensor, out: Tensor
) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Return the product that is faster on this machine, the best of six."""
    best: dict[Callable[[Tensor, Tensor, Tensor], Tensor], float] = {}
    for product in (csr_product, bag_product):
        for _ in range(6):
            synchronise(x.device)
            start = time.perf_counter()
            product(matrix, x, out)
            synchronise(x.device)
            best[product] = min(best.get(product, math.inf), time.perf_counter() - start)
    return min(best, key=best.__getitem__)


class Linear:
    """The products of a linear layer with preallocated operands, for up to `rows` rows."""

    def __init__(self, rows: int, width: int, channels: int, device: torch.device) -> None:
        self.weight = torch.randn(width, channels, device=device)
        self.input, self.input_gradient = torch.randn(2, rows, width, device=device)
        self.output = torch.randn(rows, channels, device=device)
        self.weight_gradient = torch.empty_like(self.weight)

    def products(self, rows: int, needs_input_gradient: bool = True) -> None:
        """Run the forward product, and those of the input's and the weight's gradient."""
        x, y = self.input[:rows], self.output[:rows]
        torch.mm(x, self.weight, out=y)
        if needs_input_gradient:
            torch.mm(
                y, self.weight.T, out=self.input_gradient[:rows]
            )  # the output stands in for its gradient
        torch.mm(x.T, y, out=self.weight_gradient)


class Floor:
    """The products of the module's docstring, batch by batch."""

    def __init__(self, cuts: Sequence[Cut], sizes: Sizes, device: torch.device) -> None:
        most, graphs = max(cut.nodes for cut in cuts), max(cut.graphs for cut in cuts)
        hidden, width = sizes.hidden_channels, sizes.hidden_channels * sizes.num_layers
        self.sizes = sizes
        # 32-bit indices save the product a conversion.
        self.batches = [
            (csr_matrix(c.edge_index, c.nodes, torch.int32), c.nodes, c.graphs) for c in cuts
        ]
        self.sum_input, self.sum_output = torch.randn(2, most, hidden, device=device)
        self.first_input, self.first_output = torch.randn(2, most, sizes.in_channels, device=device)
        self.first = Linear(most, sizes.in_channels, hidden, device)
        self.layer = Linear(most, hidden, hidden, device)
        self.local_head = Linear(most, width, width, device)
        self.global_head = Linear(graphs, width, width, device)
        matrix, nodes, _ = self.batches[0]
        self.sparse_product = faster_product(
            matrix, self.sum_input[:nodes], self.sum_output[:nodes]
        )
        # The summaries stand where a layer has its weight. The last batch has another number of graphs, and its
        # scores' rows must lie as close as those of any other.
        rows = {
            c.graphs: max(other.nodes for other in cuts if other.graphs == c.graphs) for c in cuts
        }
        self.scores = {graphs: Linear(rows[graphs], width, graphs, device) for graphs in rows}

    def epoch(self) -> None:
        """Run all products of all batches."""
        for matrix, nodes, graphs in self.batches:
            self._first_layer(matrix, nodes)
            for _ in range(self.sizes.num_layers - 1):
                self._sum(matrix, nodes)
                self._sum(matrix, nodes)
                self.layer.products(nodes)
                self.layer.products(nodes)
            for _ in range(4):
                self.local_head.products(nodes)
                self.global_head.products(graphs)
            self.scores[graphs].products(nodes)

    def _first_layer(self, matrix: Tensor, nodes: int) -> None:
        if self.sizes.one_hot:
            self._sum(matrix, nodes)
            self._sum(matrix, nodes)
        else:
            self.sparse_product(matrix, self.first_input[:nodes], self.first_output[:nodes])
            self.first.products(nodes, needs_input_gradient=False)
        self.layer.products(nodes)

    def _sum(self, matrix: Tensor, nodes: int) -> None:
        self.sparse_product(matrix, self.sum_input[:nodes], self.sum_output[:nodes])


def prepare(
    cuts: Sequence[Cut], sizes: Sizes, epochs: int, device: torch.device
) -> Callable[[], float]:
    """Allocate everything; returns a function that runs the products of some epochs and returns seconds per epoch."""
    floor = Floor(cuts, sizes, device)

    def run() -> float:
        synchronise(device)
        start = time.perf_counter()
        for _ in range(epochs):
            floor.epoch()
        synchronise(device)
        return (time.perf_counter() - start) / epochs

    return run


def synchronise(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
