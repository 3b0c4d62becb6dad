"""The views of a batch against networkx and plain loops: sizes, shares, directions, connectivity, probabilities."""

import dataclasses

import networkx as nx
import pytest
import torch
from helpers.graphs import graph_data

from graphcl_hard.data.adjacency import Adjacency
from graphcl_hard.data.batch import GraphBatch
from graphcl_hard.exceptions import InputError
from graphcl_hard.loader.augment import AUGMENTATIONS, POOLS, augment, with_views
from graphcl_hard.loader.in_memory import GraphBatches
from graphcl_hard.loader.random_walks import NEVER, PATIENCE, STEPS, first_visits

STRENGTHS = [0.0, 0.2, 0.5, 0.95]
NODES = ["node-drop", "subgraph"]  # views that drop nodes


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def batch_of(graphs, directed=False):
    """Return a batch whose x is the index of each node; if directed, with edges to larger indices and a few others."""
    data = graph_data(graphs, [0] * len(graphs))
    if directed:
        source, target = data.edge_index
        owner = torch.repeat_interleave(torch.arange(len(graphs)), data.edge_ptr.diff())
        kept = (source < target) | ((source + target - 2 * data.node_ptr[owner]) % 3 == 0)
        counts = torch.bincount(owner[kept], minlength=len(graphs))
        edge_ptr = torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)])
        data = dataclasses.replace(data, edge_index=data.edge_index[:, kept], edge_ptr=edge_ptr)
    x = torch.arange(data.num_nodes, dtype=torch.float64).unsqueeze(1)
    return GraphBatches(data, x, dtype=torch.float64).select(torch.arange(len(graphs)))


def mixed():
    """Return connected, disconnected and complete graphs, one without edges, one of one node, two without nodes."""
    graphs = [nx.gnp_random_graph(n, 0.3, seed=n) for n in (5, 12, 20, 31)]
    graphs += [
        nx.empty_graph(0),
        nx.complete_graph(6),
        nx.empty_graph(4),
        nx.empty_graph(1),
        nx.star_graph(12),
    ]
    return [*graphs, nx.path_graph(40), nx.path_graph(2), nx.empty_graph(0)]


def edges_of(batch):
    """Return the directed edges as pairs of node indices; both matrices must contain the same edges."""
    adjacency = batch.adjacency
    nodes = batch.batch.numel()
    pairs = set()
    for i in range(nodes):
        row = adjacency.source[adjacency.ptr[i] : adjacency.ptr[i + 1]].tolist()
        assert len(set(row)) == len(row)  # no repeated edge
        pairs |= {(j, i) for j in row}
    columns = {
        (j, i)
        for j in range(nodes)
        for i in adjacency.target[
            adjacency.transposed_ptr[j] : adjacency.transposed_ptr[j + 1]
        ].tolist()
    }
    assert pairs == columns
    assert len(pairs) == adjacency.source.numel() == adjacency.target.numel()
    assert all(batch.batch[i] == batch.batch[j] for i, j in pairs)
    return pairs


def split(batch, pairs):
    """Return (nodes, edges) of each graph."""
    nodes = torch.bincount(batch.batch, minlength=batch.num_graphs).tolist()
    edges = [set() for _ in nodes]
    for i, j in pairs:
        edges[int(batch.batch[i])].add((i, j))
    return nodes, edges


@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("view", NODES)
def test_what_is_kept_is_the_induced_subgraph_with_its_features(view, strength, directed):
    batch = batch_of(mixed(), directed)
    found = augment(batch, view, strength, seeded())
    old = found.x.squeeze(1).long().tolist()  # the old index of each kept node
    assert old == sorted(set(old))
    assert torch.equal(found.batch, batch.batch[old])
    assert found.num_graphs == batch.num_graphs
    kept = set(old)
    expected = {(i, j) for i, j in edges_of(batch) if i in kept and j in kept}
    assert {(old[i], old[j]) for i, j in edges_of(found)} == expected
    assert found.adjacency.is_symmetric != directed


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("directed", [False, True])
def test_nodes_go_by_the_share_and_the_last_one_stays(strength, directed):
    batch = batch_of(mixed(), directed)
    before = torch.bincount(batch.batch, minlength=12).tolist()
    for seed in range(20):
        after = torch.bincount(
            augment(batch, "node-drop", strength, seeded(seed)).batch, minlength=12
        ).tolist()
        for n, left in zip(before, after, strict=True):
            assert min(n, 1) <= left <= n
            assert abs(n * (1 - strength) - left) < 1 or left == 1


@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize("strength", STRENGTHS)
def test_as_many_edges_come_as_go_and_no_pair_twice(strength, directed):
    batch = batch_of(mixed(), directed)
    sizes, before = split(batch, edges_of(batch))
    for seed in range(20):
        found = augment(batch, "edge-perturb", strength, seeded(seed))
        assert torch.equal(found.x, batch.x)
        assert torch.equal(found.batch, batch.batch)
        for n, old, new in zip(sizes, before, split(found, edges_of(found))[1], strict=True):
            unit = 1 if directed else 2  # directed edges that are removed or added together
            absent = n * (n - 1) - len(old)
            gone, come = len(old - new), len(new - old)
            assert abs(gone - strength * len(old)) < unit
            assert come == min(gone, absent)
            assert all(i != j for i, j in new)
            assert directed or all((j, i) in new for i, j in new)


@pytest.mark.parametrize("directed", [False, True])
def test_every_edge_goes_and_every_pair_comes_with_the_same_chance(directed):
    copies, draws = 300, 10
    batch = batch_of([nx.gnp_random_graph(7, 0.4, seed=1)] * copies, directed)
    number, generator = batch.batch * 7, seeded()

    def counts(found):
        """Return (7, 7), how often each edge occurs."""
        source, target = found.adjacency.edge_index
        assert torch.equal(number[source], number[target])
        return torch.bincount((source - number[source]) * 7 + target - number[target], minlength=49)

    old = counts(batch).reshape(7, 7) > 0
    total = sum(
        counts(augment(batch, "edge-perturb", 0.3, generator)) for _ in range(draws)
    ).reshape(7, 7)
    absent = ~old & ~torch.eye(7, dtype=torch.bool)
    for pairs, chance in ((old, 0.7), (absent, 0.3 * old.sum() / absent.sum())):
        bound = 4.5 * (copies * draws * chance * (1 - chance)) ** 0.5
        assert ((total[pairs] - copies * draws * chance).abs() < bound).all()
    assert (total.diagonal() == 0).all()


def test_every_node_is_dropped_with_the_chance_that_is_the_strength():
    """The choice depends neither on the position nor on the graph's size; all subsets are equally likely."""
    copies = 4000
    batch = batch_of([nx.path_graph(7), nx.path_graph(2), nx.path_graph(1)] * copies)
    kept = torch.zeros(10 * copies, dtype=torch.bool)
    kept[augment(batch, "node-drop", 0.3, seeded()).x.squeeze(1).long()] = True
    kept = kept.reshape(copies, 10)
    bound = 4.5 * (copies * 0.3 * 0.7) ** 0.5
    assert ((kept[:, :9].sum(dim=0) - 0.7 * copies).abs() < bound).all()
    assert kept[:, 9].all()
    # 2 or 3 of 7 are dropped, as 0.3 * 7 = 2.1: a pair with probability (0.9 * 2 * 1 + 0.1 * 3 * 2) / (7 * 6)
    chance = (0.9 * 2 + 0.1 * 6) / 42
    bound = 4.5 * (copies * chance * (1 - chance)) ** 0.5
    for first, second in ((0, 1), (2, 6), (3, 5)):
        together = (~kept[:, first] & ~kept[:, second]).sum()
        assert (together - copies * chance).abs() < bound


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64])
def test_masked_nodes_lose_their_features_and_nothing_else(dtype):
    batch = batch_of(mixed())
    x = torch.randint(1, 5, (batch.batch.numel(), 3), generator=seeded()).to(dtype)
    batch = batch._replace(x=x)
    sizes = torch.bincount(batch.batch, minlength=12)
    for seed in range(20):
        found = augment(batch, "attribute-mask", 0.3, seeded(seed))
        masked = (found.x != x).any(dim=1)
        assert (found.x[masked] == (0 if dtype.is_floating_point else -1)).all()
        counts = torch.bincount(batch.batch[masked], minlength=12)
        assert ((counts - 0.3 * sizes).abs() < 1).all()
        assert found.adjacency is batch.adjacency
        assert found.batch is batch.batch


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("directed", [False, True])
def test_a_subgraph_is_connected_and_as_large_as_its_component_allows(strength, directed):
    graphs = mixed()
    batch = batch_of(graphs, directed)
    before, edges = split(batch, edges_of(batch))
    starts = torch.tensor([0, *before]).cumsum(0).tolist()
    for seed in range(10):
        found = augment(batch, "subgraph", strength, seeded(seed))
        old = found.x.squeeze(1).long().tolist()
        for number, n in enumerate(before):
            whole = nx.Graph(list(edges[number]))
            whole.add_nodes_from(range(starts[number], starts[number + 1]))
            part = [i for i in old if starts[number] <= i < starts[number + 1]]
            if n == 0:
                assert not part
                continue
            assert nx.is_connected(whole.subgraph(part))
            component = nx.node_connected_component(whole, part[0])
            assert len(part) <= max(1, n * (1 - strength) + 1)
            assert len(part) > n * (1 - strength) - 1 or len(part) == len(component)


def test_walks_begin_anywhere_and_visits_follow_edges():
    batch = batch_of([nx.path_graph(30), nx.cycle_graph(5)])
    ptr = torch.tensor([0, 30, 35])
    firsts = torch.zeros(35)
    for seed in range(600):
        visit = first_visits(batch.adjacency, batch.batch, ptr, torch.tensor([10, 5]), seeded(seed))
        assert torch.bincount(batch.batch[visit == 0], minlength=2).tolist() == [1, 1]
        firsts[visit == 0] += 1
        for i in (visit > 0).nonzero().squeeze(1).tolist():
            row = batch.adjacency.source[batch.adjacency.ptr[i] : batch.adjacency.ptr[i + 1]]
            assert visit[i] == NEVER or visit[row].min() < visit[i]
    assert ((firsts[:30] - 20).abs() < 5 * 20**0.5).all()
    assert ((firsts[30:] - 120).abs() < 5 * 120**0.5).all()


def test_walks_end_at_the_bound_and_where_nothing_is_left_to_find(monkeypatch):
    batch = batch_of([nx.path_graph(3000)])
    ptr, wanted = torch.tensor([0, 3000]), torch.tensor([3000])
    monkeypatch.setattr("graphcl_hard.loader.random_walks.MAX_ROUNDS", 5)
    visit = first_visits(batch.adjacency, batch.batch, ptr, wanted, seeded())
    assert (
        1 < (visit < NEVER).sum() <= 2 * 5 * STEPS + 1
    )  # a path is found step by step, at both ends
    calls = []
    randint = torch.randint
    monkeypatch.setattr("graphcl_hard.loader.random_walks.MAX_ROUNDS", 256)
    monkeypatch.setattr(
        torch, "randint", lambda *args, **options: calls.append(1) or randint(*args, **options)
    )
    pairs = batch_of([nx.disjoint_union_all([nx.path_graph(2)] * 4)])
    visit = first_visits(
        pairs.adjacency, pairs.batch, torch.tensor([0, 8]), torch.tensor([8]), seeded()
    )
    assert (visit < NEVER).sum() == 2
    assert (
        len(calls) == 1 + 1 + PATIENCE
    )  # the first node, the round that finds the other, those that find no node


@pytest.mark.parametrize("view", [*AUGMENTATIONS, *POOLS])
def test_a_generator_fixes_the_view_and_goes_on(view):
    batch = batch_of(mixed())

    def signature(found: GraphBatch):
        return found.x.squeeze(1).tolist(), found.adjacency.edge_index.tolist()

    generator = seeded(1)
    first, second = (signature(augment(batch, view, 0.4, generator)) for _ in range(2))
    assert first == signature(augment(batch, view, 0.4, seeded(1)))
    assert first != second
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    augment(batch, view, 0.4, seeded(1))
    assert torch.equal(torch.rand(1), expected)  # the global generator is not used


@pytest.mark.parametrize(
    ("view", "pool"),
    [
        ("random2", {"node-drop", "subgraph"}),
        ("random3", {"node-drop", "subgraph", "edge-perturb"}),
        ("random", set(AUGMENTATIONS)),
    ],
)
def test_random_is_one_of_its_pool_for_the_whole_batch(view, pool):
    batch = batch_of([nx.path_graph(20)] * 3)
    generator, seen = seeded(), set()
    for _ in range(60):
        state = generator.get_state()
        found = augment(batch, view, 0.5, generator)
        same = []
        for one in AUGMENTATIONS:
            generator.set_state(state)
            torch.randint(len(pool), (1,), generator=generator)
            other = augment(batch, one, 0.5, generator)
            if torch.equal(other.x, found.x) and torch.equal(
                other.adjacency.source, found.adjacency.source
            ):
                same.append(one)
        assert len(same) == 1
        seen.update(same)
    assert seen == set(POOLS[view]) == pool


def test_none_and_no_strength_are_the_batch_itself():
    batch = batch_of(mixed())
    for view in ("none", *AUGMENTATIONS):
        found = augment(batch, view, 0.0, seeded())
        if view != "subgraph":  # which keeps one component
            assert torch.equal(found.x, batch.x)
            assert edges_of(found) == edges_of(batch)
    whole = batch_of([nx.complete_graph(5), nx.cycle_graph(9)])
    assert torch.equal(augment(whole, "subgraph", 0.0, seeded()).x, whole.x)


def test_a_batch_gets_two_views_and_keeps_the_rest():
    batch = batch_of(mixed())
    found = with_views(batch, ("node-drop", "none"), (0.5, 0.5), seeded())
    first, second = found.views
    assert torch.equal(first.x, augment(batch, "node-drop", 0.5, seeded()).x)
    assert torch.equal(second.x, batch.x)
    generator = seeded()
    expected = [augment(batch, "node-drop", strength, generator).x for strength in (0.1, 0.7)]
    two = with_views(batch, ("node-drop", "node-drop"), (0.1, 0.7), seeded()).views
    assert [view.x.tolist() for view in two] == [x.tolist() for x in expected]
    assert first.views is second.views is None
    assert found.x is batch.x


def test_edges_that_are_not_known_to_be_undirected_go_one_by_one():
    batch = batch_of([nx.cycle_graph(12)])
    plain = Adjacency.from_edge_index(batch.adjacency.edge_index, 12)
    assert batch.adjacency.is_symmetric
    assert not plain.is_symmetric
    found = edges_of(augment(batch._replace(adjacency=plain), "edge-perturb", 0.5, seeded()))
    assert any((j, i) not in found for i, j in found)


def with_edge_attr(batch):
    """Each directed edge has the indices of its ends in the batch and a unique third number as features."""
    edges = batch.adjacency.edge_index
    number = torch.arange(edges.size(1))
    return batch._replace(edge_attr=torch.cat([edges, number.unsqueeze(0)]).T.double())


def features_of(batch):
    """Return (source, target) -> features of the edge, read from the batch edge by edge."""
    assert batch.edge_attr.size(0) == batch.adjacency.edge_index.size(1)
    edges = [tuple(edge) for edge in batch.adjacency.edge_index.T.tolist()]
    return dict(zip(edges, [tuple(row) for row in batch.edge_attr.tolist()], strict=True))


@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("view", [*NODES, "attribute-mask", "none"])
def test_edges_that_are_kept_keep_their_features(view, strength, directed):
    batch = with_edge_attr(batch_of(mixed(), directed))
    before = features_of(batch)
    for seed in range(5):
        found = augment(batch, view, strength, seeded(seed))
        old = (
            found.x.squeeze(1).long().tolist()
            if view in NODES
            else list(range(batch.batch.numel()))
        )
        after = features_of(found)
        assert after == {(i, j): before[old[i], old[j]] for i, j in after}


@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize("strength", STRENGTHS)
def test_an_edge_that_moves_takes_its_features_along(strength, directed):
    """Kept edges keep their features; a new edge has those of an edge removed from its graph, in each direction."""
    batch = with_edge_attr(batch_of(mixed(), directed))
    before, owner = features_of(batch), batch.batch.tolist()
    for seed in range(10):
        after = features_of(augment(batch, "edge-perturb", strength, seeded(seed)))
        taken = []
        for (i, j), row in after.items():
            source, target, _ = (int(number) for number in row)
            assert row == before[source, target]
            if (i, j) in before:
                assert (source, target) == (i, j)
                continue
            assert (source, target) not in after
            assert owner[source] == owner[i]
            taken.append((source, target))
            if not directed:
                assert (source < target) == (i < j)
                assert after[j, i] == before[target, source]
        assert len(set(taken)) == len(taken)


@pytest.mark.parametrize("directed", [False, True])
def test_every_removed_edge_moves_to_every_pair_with_the_same_chance(directed):
    """Also if a graph has fewer unconnected pairs than removed edges, so that some edges are lost."""
    copies, draws = 300, 10
    nearly_complete = nx.complete_graph(6)
    nearly_complete.remove_edges_from([(0, 3), (2, 4)])
    for graph in (nx.gnp_random_graph(6, 0.4, seed=1), nearly_complete):
        batch = with_edge_attr(batch_of([graph] * copies, directed))
        start, generator = batch.batch * 6, seeded()
        source, target = batch.adjacency.edge_index
        first = start[source] == 0
        old = torch.zeros(36, dtype=torch.bool)
        old[(source * 6 + target)[first]] = True
        counts = torch.zeros(36, 36)
        for _ in range(draws):
            found = augment(batch, "edge-perturb", 0.5, generator)
            source, target = found.adjacency.edge_index
            shift = start[source]
            code = (source - shift) * 6 + target - shift
            origin = ((found.edge_attr[:, 0] - shift) * 6 + found.edge_attr[:, 1] - shift).long()
            new = (code != origin) & ((source < target) if not directed else True)
            counts += torch.bincount(origin[new] * 36 + code[new], minlength=1296).reshape(36, 36)
        ordered = torch.arange(36)
        pair = (ordered // 6 < ordered % 6) if not directed else (ordered // 6 != ordered % 6)
        table = counts[old & pair][:, ~old & pair]
        assert table.sum() == counts.sum() > 0
        assert ((table - table.mean()).abs() < 4.5 * table.mean() ** 0.5).all()


@pytest.mark.parametrize("view", [*AUGMENTATIONS, *POOLS])
def test_features_of_edges_change_nothing_else_and_repeat(view):
    plain = batch_of(mixed())
    batch = with_edge_attr(plain)
    one, other, without = (
        augment(graphs, view, 0.4, seeded(2)) for graphs in (batch, batch, plain)
    )
    assert torch.equal(one.edge_attr, other.edge_attr)
    assert torch.equal(one.x, without.x)
    assert all(map(torch.equal, one.adjacency, without.adjacency))
    assert without.edge_attr is None


@pytest.mark.parametrize("directed", [False, True])
def test_a_view_of_a_view_keeps_features_and_edges_together(directed):
    """The edges of a node are not sorted in a perturbed view, so no order may be assumed."""
    batch = with_edge_attr(batch_of(mixed(), directed))
    once = augment(batch, "edge-perturb", 0.5, seeded(1))
    before = features_of(once)
    after = features_of(augment(once, "edge-perturb", 0.3, seeded(2)))
    kept = {edge: row for edge, row in after.items() if edge in before}
    assert kept
    assert all(row == before[edge] for edge, row in kept.items())
    assert set(after.values()) <= set(before.values())


@pytest.mark.parametrize(
    ("view", "strength", "message"),
    [
        ("node-drop", 1.0, r"strength must lie in \[0, 1\), got 1.0"),
        ("node-drop", float("nan"), "got nan"),
        ("subgraph", -0.1, "got -0.1"),
        ("drop", 0.2, "view must be one of node-drop, .*, none, got 'drop'"),
    ],
)
def test_what_is_no_view_is_refused(view, strength, message):
    with pytest.raises(InputError, match=message):
        augment(batch_of([nx.path_graph(3)]), view, strength)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("view", AUGMENTATIONS)
@pytest.mark.parametrize("directed", [False, True])
def test_a_gpu_draws_the_same_view(view, directed):
    batch = with_edge_attr(batch_of(mixed(), directed))
    there = batch._replace(
        x=batch.x.cuda(),
        adjacency=Adjacency(*(t.cuda() for t in batch.adjacency)),
        batch=batch.batch.cuda(),
        edge_attr=batch.edge_attr.cuda(),
    )
    if batch.adjacency.is_symmetric:
        ptr, source = there.adjacency[:2]
        there = there._replace(adjacency=Adjacency(ptr, source, ptr, source))
    found, expected = (augment(one, view, 0.3, seeded()) for one in (there, batch))
    assert torch.equal(found.x.cpu(), expected.x)
    assert torch.equal(found.edge_attr.cpu(), expected.edge_attr)
    assert all(
        torch.equal(a.cpu(), b) for a, b in zip(found.adjacency, expected.adjacency, strict=True)
    )
