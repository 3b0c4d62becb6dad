"""Groups of similar graphs, from their vectors."""

import torch
from torch import Tensor

ROWS = 4096  # that are projected at once, which bounds the memory


def similar_groups(vectors: Tensor, size: int, generator: torch.Generator) -> Tensor:
    r"""Return a random order of G vectors in which similar ones follow each other, in groups of `size`.

    The groups are the leaves of a random projection tree. The columns are standardised first, so that each counts
    alike; constant ones become 0. At each level of the tree, every node, a set S of more than one group, is divided at
    the median, rounded to whole groups, of the projections

    .. math:: \langle x_i,\, x_a - x_b \rangle, \qquad i \in S,

    where :math:`x_a` and :math:`x_b` are two members of S, drawn at random. So the directions follow the spread of each
    node. With as many random directions from :math:`\mathcal N(0, I)`, as in the paper, the members of a group were
    less similar. Equal projections are divided at random. At the end, the groups are shuffled. If `size` does not
    divide G, the one smaller group is the last.

    Args:
        vectors: (G, D) floating point, on any device.
        size: number of vectors in a group, at least 1.
        generator: generator of the random numbers, on the CPU; how many are drawn depends on G and `size` only.

    Returns:
        (G,) int64 on the CPU, a permutation.

    Source: Dasgupta and Freund, "Random projection trees and low dimensional manifolds", STOC 2008; with directions
    between two members, as in the library Annoy.

    Examples:
        >>> import torch
        >>> from graphcl_hard.loader.similar import similar_groups
        >>> vectors = torch.tensor([[0.0], [9.0], [0.1], [9.1]])
        >>> order = similar_groups(vectors, 2, torch.Generator().manual_seed(0))
        >>> sorted(sorted(group.tolist()) for group in order.split(2))
        [[0, 2], [1, 3]]
    """
    count, x = vectors.size(0), _standardised(vectors)
    order = torch.randperm(count, device="cpu", generator=generator).to(x.device)
    group = torch.arange(count, device=x.device) // size  # of each place in the order
    bounds = torch.tensor([0, -(-count // size)], device="cpu")  # each node's first group
    while int(bounds.diff().max()) > 1:
        node = torch.searchsorted(bounds[1:].to(x.device), group, right=True)
        first, second = (
            order[place.to(x.device)] for place in _pairs(bounds, size, count, generator)
        )
        direction = x[first] - x[second]  # (nodes, D)
        by_value = _products(x, order, direction, node).argsort(stable=True)
        order = order[by_value[node[by_value].argsort(stable=True)]]
        bounds = torch.cat([bounds, (bounds[1:] + bounds[:-1]) // 2]).unique()
    shuffled = torch.randperm(count // size, device="cpu", generator=generator)
    whole = order.cpu()[: shuffled.numel() * size].view(-1, size)[shuffled].flatten()
    return torch.cat([whole, order.cpu()[whole.numel() :]])


def _pairs(
    bounds: Tensor, size: int, count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw two places of each node, different ones if it has two; (nodes,) int64 each."""
    start = bounds[:-1] * size
    length = (bounds[1:] * size).clamp(max=count) - start
    uniform = torch.rand(2, start.numel(), dtype=torch.float64, device="cpu", generator=generator)
    first = (uniform[0] * length).long()
    second = (first + 1 + (uniform[1] * (length - 1)).long()) % length
    return start + first, start + second


def _products(x: Tensor, order: Tensor, direction: Tensor, node: Tensor) -> Tensor:
    """Return (G,), the scalar product of each row of `x`, in the order, and its node's direction."""
    parts = zip(order.split(ROWS), node.split(ROWS), strict=True)
    return torch.cat([(x[rows] * direction[nodes]).sum(dim=1) for rows, nodes in parts])


def _standardised(vectors: Tensor) -> Tensor:
    """Return the columns minus their mean, divided by their standard deviation; constant ones become 0."""
    centred = vectors - vectors.mean(dim=0)
    std = centred.square().mean(dim=0).sqrt()
    # The mean of equal numbers may differ from them in the last digits.
    constant = std <= 10 * torch.finfo(vectors.dtype).eps * vectors.abs().amax(dim=0)
    return (centred / std).masked_fill(constant, 0.0)
