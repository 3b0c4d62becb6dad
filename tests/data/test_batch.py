"""Sampled nodes are distinct and equally likely, and give an unbiased estimate."""

import functools

import pytest
import torch
from helpers.objectives import LOCAL_GLOBAL, pairs

from graphcl_hard.data.batch import sample_nodes
from graphcl_hard.losses.context import Context

SIZES = torch.tensor([5, 0, 1, 12, 3, 40])


def draw(sizes, nodes_per_graph, seed=0):
    return sample_nodes(sizes, nodes_per_graph, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("nodes_per_graph", [1, 3, 7, 100])
@pytest.mark.parametrize("seed", range(5))
def test_every_graph_gives_different_nodes_that_stand_for_all(nodes_per_graph, seed):
    index, weight = draw(SIZES, nodes_per_graph, seed)
    taken = SIZES.clamp(max=nodes_per_graph)
    owner = torch.arange(6).repeat_interleave(SIZES)[index]
    assert torch.equal(torch.bincount(owner, minlength=6), taken)
    assert index.unique().numel() == index.numel()
    assert (index.diff() > 0).all()
    torch.testing.assert_close(weight, (SIZES / taken)[owner].float())
    assert weight.sum().item() == pytest.approx(SIZES.sum().item())


def test_more_nodes_than_there_are_gives_all():
    index, weight = draw(SIZES, 40)
    assert torch.equal(index, torch.arange(61))
    assert (weight == 1).all()


def test_a_draw_that_rounds_up_stays_in_its_graph(monkeypatch):
    monkeypatch.setattr(
        torch, "rand", lambda n, **_: torch.full((n,), 1 - 2**-53, dtype=torch.float64)
    )
    sizes = torch.tensor([100, 7])
    index, _ = sample_nodes(sizes, 100, None)
    assert index.max() == 106
    assert torch.bincount((index >= 100).long()).tolist() == [100, 7]


def test_the_largest_score_is_that_of_the_sample():
    """`score_scale="max"` scales by the largest score of the sample, so its estimate need not be unbiased."""
    local, summary, batch = pairs(24, 3)
    index, weight = sample_nodes(
        torch.bincount(batch, minlength=3), 2, torch.Generator().manual_seed(0)
    )
    scores = local[index] @ summary.T
    scale = 2 / scores.scatter(1, batch[index, None], 0.0).abs().max()
    common = {"tau_plus": 0.1, "_context": Context(node_weight=weight)}
    found = LOCAL_GLOBAL["jsd"](local[index], summary, batch[index], beta=2.0, **common)
    plain = LOCAL_GLOBAL["jsd"](
        local[index], summary, batch[index], beta=2 * scale.item(), score_scale="none", **common
    )
    torch.testing.assert_close(found, plain)


def test_every_node_has_the_same_chance():
    """A fine grid of u draws each of 12 nodes equally often, whatever K is."""
    for nodes_per_graph in (1, 3, 5, 7):
        hits = torch.zeros(12)
        for seed in range(3000):
            hits[draw(torch.tensor([12]), nodes_per_graph, seed).node] += 1
        expected = 3000 * nodes_per_graph / 12
        assert ((hits - expected).abs() < 5 * (expected * (1 - nodes_per_graph / 12)) ** 0.5).all()


@pytest.mark.parametrize("objective", LOCAL_GLOBAL)
def test_the_sampled_objective_is_an_unbiased_estimate(monkeypatch, objective):
    """The mean over a fine grid of u is the objective over all nodes, and so is its gradient."""
    local, summary, _ = pairs(24, 3)
    sizes = torch.tensor([12, 8, 4])
    batch = torch.arange(3).repeat_interleave(sizes)
    function = functools.partial(
        LOCAL_GLOBAL[objective], beta=2.0, tau_plus=0.1, score_scale="none"
    )
    expected = function(local.requires_grad_(), summary, batch)
    expected.backward()
    gradient, local.grad = local.grad, None
    steps, total = 240, 0.0
    for step in range(steps):
        # K = 5 makes the points 12/5 and 8/5 apart; a grid of 240 meets each node exactly as often as its chance is
        monkeypatch.setattr(
            torch, "rand", lambda n, step=step, **_: torch.full((n,), (step + 0.5) / steps).double()
        )
        index, weight = sample_nodes(sizes, 5, None)
        exact = (sizes.double() / sizes.clamp(max=5))[batch[index]]  # 12/5 is rounded in float32
        torch.testing.assert_close(weight, exact.float())
        loss = function(local[index], summary, batch[index], _context=Context(node_weight=exact))
        (loss / steps).backward()
        total += loss.item() / steps
    assert total == pytest.approx(expected.item(), rel=1e-12)
    torch.testing.assert_close(local.grad, gradient)
    assert abs(loss.item() - expected.item()) > 1e-3
