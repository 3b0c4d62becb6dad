"""Adjacency and sums over neighbours, compared with a dense matrix product."""

import pytest
import torch

from graphcl_hard.data.adjacency import MANY_EDGES, Adjacency
from graphcl_hard.exceptions import InputError
from graphcl_hard.nn.functional import neighbour_sum


def graph(nodes=7, edges=20, seed=0):
    """Return a directed graph with repeated edges, self-loops and an isolated node."""
    generator = torch.Generator().manual_seed(seed)
    edge_index = torch.randint(nodes - 1, (2, edges), generator=generator)
    dense = torch.zeros(nodes, nodes, dtype=torch.float64)
    dense.index_put_(
        (edge_index[1], edge_index[0]), torch.ones(edges, dtype=torch.float64), accumulate=True
    )
    return edge_index, dense


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("own_weight", [None, 1.25])
@pytest.mark.parametrize("with_bias", [False, True])
def test_sums_equal_the_dense_product(dtype, own_weight, with_bias):
    edge_index, dense = graph()
    x = torch.randn(7, 3, dtype=dtype, requires_grad=True)
    bias = torch.randn(3, dtype=dtype, requires_grad=True) if with_bias else None
    weight = None if own_weight is None else torch.tensor([own_weight], dtype=dtype)
    matrix = dense.to(dtype) + (own_weight or 0) * torch.eye(7, dtype=dtype)
    found = neighbour_sum(x, Adjacency.from_edge_index(edge_index, 7), weight, bias)
    expected = matrix @ x + (bias if with_bias else 0)
    torch.testing.assert_close(found, expected)
    upstream = torch.randn(7, 3, dtype=dtype)
    inputs = [x, bias] if with_bias else [x]
    torch.testing.assert_close(
        torch.autograd.grad(found, inputs, upstream),
        torch.autograd.grad(expected, inputs, upstream),
    )


@pytest.mark.parametrize("in_order", [False, True])
def test_many_edges_are_sorted_as_few_are(in_order):
    """Edges are sorted by source and by target, and stably."""
    edge_index, _ = graph(nodes=1000, edges=MANY_EDGES + 5)
    if in_order:
        edge_index = edge_index[:, edge_index[0].argsort(stable=True)]
    found = Adjacency.from_edge_index(edge_index, 1000)
    for end, other, ptr, rows in (
        (1, 0, found.ptr, found.source),
        (0, 1, found.transposed_ptr, found.target),
    ):
        assert torch.equal(rows, edge_index[other][edge_index[end].argsort(stable=True)])
        assert torch.equal(ptr.diff(), torch.bincount(edge_index[end], minlength=1000))


def test_half_precision_is_summed_in_float32():
    edge_index = torch.stack([torch.arange(1, 1001), torch.zeros(1000, dtype=torch.int64)])
    found = neighbour_sum(
        torch.ones(1001, 1, dtype=torch.bfloat16), Adjacency.from_edge_index(edge_index, 1001)
    )
    assert found.dtype == torch.float32
    assert found[0].item() == 1000  # bfloat16 stops counting at 256


def test_edges_come_back_sorted_by_source():
    edge_index, _ = graph()
    found = Adjacency.from_edge_index(edge_index, 7).edge_index
    assert (found[0].diff() >= 0).all()
    assert sorted(found.T.tolist()) == sorted(edge_index.T.tolist())


@pytest.mark.parametrize("nodes", [0, 3])
def test_without_edges_sums_are_zero(nodes):
    adjacency = Adjacency.from_edge_index(torch.zeros(2, 0, dtype=torch.int64), nodes)
    x = torch.ones(nodes, 2, requires_grad=True)
    found = neighbour_sum(x, adjacency)
    assert found.shape == (nodes, 2)
    assert (found == 0).all()
    found.sum().backward()
    assert (x.grad == 0).all()


@pytest.mark.parametrize(
    ("edge_index", "message"),
    [
        (torch.tensor([[0, 3], [1, 1]]), r"must lie in \[0, 2\], the rows of x, got 0 to 3"),
        (torch.tensor([[0, 1], [-1, 1]]), "got -1 to 1"),
        (torch.tensor([[0, 1, 2]]), r"edge_index must be \(2, E\) int64, got \(1, 3\)"),
        (torch.tensor([[0.0], [1.0]]), r"got \(2, 1\) torch.float32"),
    ],
)
def test_wrong_edges_are_refused(edge_index, message):
    with pytest.raises(InputError, match=message):
        Adjacency.from_edge_index(edge_index, 3)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_sums_equal_the_cpus_and_repeat():
    edge_index, dense = graph(500, 5000)
    x = torch.randn(500, 32, dtype=torch.float64)
    adjacency = Adjacency.from_edge_index(edge_index.cuda(), 500)
    found = neighbour_sum(x.cuda(), adjacency)
    torch.testing.assert_close(found.cpu(), dense @ x)
    assert torch.equal(found, neighbour_sum(x.cuda(), adjacency))
