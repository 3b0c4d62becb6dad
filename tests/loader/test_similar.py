"""Groups of similar vectors: those of a loop over the tree, of the right sizes, and more alike than random ones."""

import itertools

import pytest
import torch

from graphcl_hard.loader import similar
from graphcl_hard.loader.similar import similar_groups

SIZES = [(2, 1), (2, 2), (3, 2), (5, 8), (17, 3), (24, 4), (40, 7), (64, 8), (101, 1), (130, 16)]


def rows(count, columns=6, seed=0):
    return torch.randn(
        count, columns, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )


def by_a_loop(vectors, size, generator):
    """Return the groups, in order, by a tree of lists with the random numbers of `similar_groups`."""
    count = len(vectors)
    columns = (vectors - vectors.mean(0)) / vectors.std(0, unbiased=False)
    nodes = [torch.randperm(count, generator=generator).tolist()]
    while any(len(node) > size for node in nodes):
        first, second = torch.rand(2, len(nodes), dtype=torch.float64, generator=generator).tolist()
        parts = []
        for node, u, v in zip(nodes, first, second, strict=True):
            a = int(u * len(node))
            b = (a + 1 + int(v * (len(node) - 1))) % len(node)
            direction = columns[node[a]] - columns[node[b]]
            ordered = sorted(node, key=lambda row: float(columns[row] @ direction))
            groups = -(-len(node) // size)
            middle = groups // 2 * size
            parts += [part for part in (ordered[:middle], ordered[middle:]) if part]
        nodes = parts
    whole = [node for node in nodes if len(node) == size]
    moved = [whole[i] for i in torch.randperm(len(whole), generator=generator).tolist()]
    return moved + [node for node in nodes if len(node) < size]


def as_groups(order, size):
    return [group.tolist() for group in order.split(size)]


@pytest.mark.parametrize(("count", "size"), SIZES)
def test_the_groups_are_those_of_a_loop(count, size, monkeypatch):
    monkeypatch.setattr(similar, "ROWS", 16)
    vectors = rows(count)
    ours, theirs = (torch.Generator().manual_seed(1) for _ in range(2))
    order = similar_groups(vectors, size, ours)
    assert order.dtype == torch.int64
    assert sorted(order.tolist()) == list(range(count))
    found, expected = as_groups(order, size), by_a_loop(vectors, size, theirs)
    assert [sorted(group) for group in found] == [sorted(group) for group in expected]
    assert torch.equal(ours.get_state(), theirs.get_state())


@pytest.mark.parametrize("size", [2, 5, 8])
def test_far_clusters_are_the_groups(size):
    """Cluster k is around a far corner; the rows are mixed."""
    corner = 1e4 * rows(30, seed=2)
    mixed = torch.randperm(30 * size, generator=torch.Generator().manual_seed(3))
    vectors = (corner.repeat_interleave(size, 0) + rows(30 * size, seed=4))[mixed]
    order = similar_groups(vectors, size, torch.Generator().manual_seed(5))
    clusters = [
        set((mixed[torch.tensor(group)] // size).tolist()) for group in as_groups(order, size)
    ]
    assert sorted(map(sorted, clusters)) == [[k] for k in range(30)]


def mean_distance(vectors, order, size):
    pairs = [
        (vectors[a] - vectors[b]).norm()
        for group in as_groups(order, size)
        for a, b in itertools.combinations(group, 2)
    ]
    return float(torch.stack(pairs).mean())


def test_members_are_closer_than_at_random_and_groups_are_in_random_order():
    vectors = rows(200, 4)
    generator = torch.Generator().manual_seed(0)
    order = similar_groups(vectors, 8, generator)
    at_random = torch.randperm(200, generator=generator)
    assert mean_distance(vectors, order, 8) < 0.6 * mean_distance(vectors, at_random, 8)
    # Neighbouring groups are no closer than any two.
    centres = vectors[order].view(25, 8, 4).mean(1)
    steps = centres.diff(dim=0).norm(dim=1).mean()
    assert steps > 0.8 * torch.pdist(centres).mean()
    assert order.tolist() != similar_groups(vectors, 8, generator).tolist()


def test_columns_count_alike_and_constant_ones_not():
    """Units play no part; neither does a column of equal numbers whose mean is rounded."""
    vectors = rows(60).float()
    constant = torch.tensor([0.1, 0.3, 0.7, 1.1, 1.7]).expand(60, 5)
    assert bool((constant - constant.mean(0)).any())
    others = torch.cat([vectors * 2.0 ** torch.arange(-9, 9, 3), constant], dim=1)
    one, other = (
        similar_groups(columns, 4, torch.Generator().manual_seed(0))
        for columns in (vectors, others)
    )
    assert torch.equal(one, other)


@pytest.mark.parametrize("value", [0.0, 0.1, float("nan")])
def test_equal_vectors_and_nan_are_divided_at_random(value):
    """Graphs of a class often follow each other in a data set, so their order must not be that of a group."""
    order = similar_groups(torch.full((64, 3), value), 8, torch.Generator().manual_seed(0))
    assert sorted(order.tolist()) == list(range(64))
    spread = [max(group) - min(group) for group in as_groups(order, 8)]
    assert min(spread) > 20
