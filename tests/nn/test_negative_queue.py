"""A queue of negatives: the objectives with it against loops and autograd, and what the queue keeps."""

import dataclasses
import functools
import math

import networkx as nx
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import naive
from helpers.dense import local_global
from helpers.objectives import FORMS, LOCAL_GLOBAL, NAIVE, pairs, views

from graphcl_hard import HardInfoGraph, local_global_jsd, nt_xent
from graphcl_hard.config import Config
from graphcl_hard.exceptions import InputError
from graphcl_hard.loader.features import node_features
from graphcl_hard.loader.in_memory import GraphBatches
from graphcl_hard.losses import blockwise as contrast
from graphcl_hard.losses.context import Context
from graphcl_hard.nn.negative_queue import NegativeQueue
from graphcl_hard.training.build import build_model
from graphcl_hard.training.devices import training_device
from graphcl_hard.training.loop import train
from graphcl_hard.training.state import TrainingState

SMALL = Config(hidden_channels=4, num_layers=2, epochs=2, batch_size=5, beta=2.0, accelerator="cpu")


def queue_of(rows, dim, seed=9):
    return torch.randn(
        rows, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )


@pytest.fixture(params=["one block", "blocks"])
def blocks(request, monkeypatch):
    if request.param == "blocks":
        monkeypatch.setattr(contrast, "MIN_BLOCK", 1)
        monkeypatch.setattr(contrast, "MAX_BLOCK", 4)
        monkeypatch.setattr(contrast, "KEPT_SCORES", 0)
        monkeypatch.setattr(contrast, "KEPT_IMAGES", 0)


@pytest.mark.parametrize("objective", LOCAL_GLOBAL)
@pytest.mark.parametrize(
    ("critic", "score_scale"), [("dot", "max"), ("dot", "none"), ("cosine", "max")]
)
@pytest.mark.parametrize(("beta", "tau_plus"), [(0.0, 0.0), (0.5, 0.1), (3.0, 0.6)])
@pytest.mark.parametrize("debias", ["paper", "consistent"])
@pytest.mark.parametrize("queued", [0, 1, 8])
def test_local_global_equals_the_naive_loop(
    objective, critic, score_scale, beta, tau_plus, debias, queued
):
    local, summary, batch = pairs(seed=3)
    queue = queue_of(queued, 4) * 2  # the largest score is among its
    settings = {
        "beta": beta,
        "tau_plus": tau_plus,
        "critic": critic,
        "temperature": 0.4,
        "score_scale": score_scale,
        "debias": debias,
    }
    loss = LOCAL_GLOBAL[objective](
        local, summary, batch, reduction="none", _context=Context(queue=queue), **settings
    )
    expected = NAIVE[objective](local, [*summary, *queue], batch, *settings.values())
    np.testing.assert_allclose(loss, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("beta", [0.0, 1.0, 5.0])
@pytest.mark.parametrize("tau_plus", [0.0, 0.1, 0.6])
@pytest.mark.parametrize("debias", ["paper", "consistent"])
@pytest.mark.parametrize("queued", [0, 1, 7])
def test_nt_xent_equals_the_naive_loop(beta, tau_plus, debias, queued):
    (view1, view2), queue = views(), F.normalize(queue_of(queued, 5), dim=1)
    options = {"beta": beta, "tau_plus": tau_plus, "temperature": 0.3, "debias": debias}
    loss = nt_xent(view1, view2, _context=Context(queue=queue), **options)
    assert loss.item() == pytest.approx(
        naive.nt_xent(view1, view2, queue=queue, **options), rel=1e-11
    )


@pytest.mark.parametrize("objective", LOCAL_GLOBAL)
@pytest.mark.parametrize("form", FORMS, ids=lambda form: "-".join(map(str, form.values())))
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_gradients_are_autograds_and_the_queue_has_none(blocks, objective, form, reduction):
    options = {"beta": 1.5, "tau_plus": 0.3, "reduction": reduction, **form}

    def gradients(function, **more):
        local, summary, batch = pairs(37, 7, 5, seed=4)
        local.requires_grad_(), summary.requires_grad_()
        queue = queue_of(6, 5).requires_grad_()
        loss = function(local, summary, batch, queue, **options, **more)
        (
            loss * torch.linspace(0.5, 2, loss.numel(), dtype=torch.float64).reshape(loss.shape)
        ).sum().backward()
        assert queue.grad is None
        return [loss.detach(), local.grad, summary.grad]

    function = LOCAL_GLOBAL[objective]
    found = gradients(
        lambda h, s, batch, queue, **o: function(h, s, batch, _context=Context(queue=queue), **o)
    )
    dense = functools.partial(local_global, objective=objective)
    expected = gradients(
        lambda h, s, batch, queue, **o: dense(h, torch.cat([s, queue.detach()]), batch, **o)
    )
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("detach_weights", [False, True])
def test_nt_xents_gradients_pass_gradcheck(blocks, detach_weights):
    (view1, view2), queue = (
        (view.requires_grad_() for view in views(4)),
        F.normalize(queue_of(3, 5), dim=1),
    )
    # Without hardness detached weights are constants, as finite differences see them.
    options = {"detach_weights": detach_weights, "beta": 0.0 if detach_weights else 1.5}
    options["_context"] = Context(queue=queue)
    assert torch.autograd.gradcheck(lambda a, b: nt_xent(a, b, **options), (view1, view2))


@pytest.mark.parametrize("objective", LOCAL_GLOBAL)
def test_diagnostics_are_of_all_negatives(objective):
    (local, summary, batch), queue = pairs(), queue_of(6, 4)
    options = {"critic": "dot", "_context": Context(queue=queue), "return_diagnostics": True}
    found = LOCAL_GLOBAL[objective](local, summary, batch, beta=0.0, **options)[1]
    rows = naive.scores(local, [*summary, *queue], "dot", 1.0)
    negatives = [x for q, b in zip(rows, batch, strict=True) for g, x in enumerate(q) if g != b]
    assert found.effective_negatives.item() == pytest.approx(1.0)
    assert found.negative_score.item() == pytest.approx(np.mean(negatives))
    assert found.positive_score.item() == pytest.approx(
        np.mean([q[b] for q, b in zip(rows, batch, strict=True)])
    )
    hard = LOCAL_GLOBAL[objective](local, summary, batch, beta=1e6, **options)[1]
    assert hard.effective_negatives.item() == pytest.approx(1 / 10)


def test_nt_xents_diagnostics_are_of_all_negatives():
    (first, second), queue = views(5), F.normalize(queue_of(4, 5), dim=1)
    found = nt_xent(
        first,
        second,
        beta=2.0,
        temperature=0.3,
        _context=Context(queue=queue),
        return_diagnostics=True,
    )[1]
    rows = [*first, *second, *queue]
    scores = [
        [naive.dot(a, b) / 0.3 for j, b in enumerate(rows) if j > 9 or j % 5 != i % 5]
        for i, a in enumerate(rows[:10])
    ]
    weights = [[math.exp(2 * q) for q in row] for row in scores]
    shares = [sum(w) ** 2 / sum(x * x for x in w) / 12 for w in weights]
    assert found.effective_negatives.item() == pytest.approx(np.mean(shares))
    assert found.negative_score.item() == pytest.approx(np.mean(scores))


@pytest.mark.parametrize("objective", LOCAL_GLOBAL)
def test_a_summary_without_nodes_is_a_negative_as_one_of_the_queue(objective):
    (local, summary, batch), queue = pairs(), queue_of(6, 4)
    options = {"beta": 2.0, "return_diagnostics": True}
    loss, found = LOCAL_GLOBAL[objective](
        local, summary, batch, _context=Context(queue=queue), **options
    )
    plain, expected = LOCAL_GLOBAL[objective](local, torch.cat([summary, queue]), batch, **options)
    torch.testing.assert_close((loss, *found), (plain, *expected))


def test_a_queue_that_does_not_fit_is_refused():
    (local, summary, batch), (view1, view2) = pairs(), views()
    with pytest.raises(InputError, match=r"queue must be \(K, 4\) floating-point.* got \(3, 5\)"):
        local_global_jsd(local, summary, batch, _context=Context(queue=queue_of(3, 5)))
    with pytest.raises(InputError, match=r"got \(2, 4\) torch.int64"):
        local_global_jsd(
            local, summary, batch, _context=Context(queue=torch.ones(2, 4, dtype=torch.int64))
        )
    with pytest.raises(InputError, match="no queue of negatives, got one of 3 rows; drop"):
        local_global_jsd(
            local, summary, batch, mode="released", _context=Context(queue=queue_of(3, 4))
        )
    with pytest.raises(InputError, match="rows of queue must have length 1"):
        nt_xent(view1, view2, _context=Context(queue=2 * F.normalize(queue_of(3, 5), dim=1)))
    for size, channels in ((0, 3), (3, 0)):
        with pytest.raises(InputError, match="of a queue must be at least 1, got 0"):
            NegativeQueue(size, channels)


def test_a_queue_keeps_the_last_rows_one_a_graph():
    queue = NegativeQueue(4, 1)
    assert queue.others(torch.tensor([0])).shape == (0, 1)

    def push(*graphs):
        queue.push(torch.tensor([[100.0 * step + graph] for graph in graphs]), torch.tensor(graphs))

    step = 1
    push(0, 1, 2)
    step = 2
    push(2, 3)
    assert queue.others(torch.tensor([], dtype=torch.int64)).flatten().tolist() == [
        202,
        203,
        100,
        101,
    ]
    assert queue.others(torch.tensor([3, 0, 9])).flatten().tolist() == [202, 101]
    step = 3
    push(4)
    assert queue.others(torch.tensor([9])).flatten().tolist() == [304, 202, 203, 100]
    push(*range(5, 12))  # more than there is room for
    assert queue.others(torch.tensor([9])).flatten().tolist() == [305, 306, 307, 308]
    queue.clear()
    assert queue.others(torch.tensor([9])).shape == (0, 1)
    push(1)
    assert queue.others(torch.tensor([9])).flatten().tolist() == [301]


@pytest.fixture
def batches(toy):
    return GraphBatches(toy, node_features(toy).x)


@pytest.mark.parametrize("method", ["infograph", "graphcl"])
def test_a_model_contrasts_with_the_summaries_of_earlier_batches(toy, batches, method, monkeypatch):
    """The objective gets what it got in the steps before, but for the graphs of this batch."""
    config = dataclasses.replace(SMALL, method=method, negative_queue=1000, views=("none", "none"))
    model, seen = build_model(config, node_features(toy).channels), {}
    objective = model.objective

    def spy(*tensors, _context, **options):
        queue = _context.queue
        rows = torch.cat(tensors) if method == "graphcl" else tensors[1]
        others = [graph for graph in seen if graph[0] not in ids.tolist()]
        expected = torch.stack([seen[graph] for graph in others]) if others else queue[:0]
        assert not queue.requires_grad
        assert torch.equal(queue.sort(dim=0).values, expected.sort(dim=0).values)
        seen.update(
            {
                (int(ids[i % len(ids)]), i // len(ids)): row.detach().clone()
                for i, row in enumerate(rows)
            }
        )
        return objective(*tensors, _context=_context, **options)

    monkeypatch.setattr(model, "objective", spy)
    for ids in (torch.tensor([0, 1, 2]), torch.tensor([2, 3, 4]), torch.tensor([0, 5])):
        batch = batches.select(ids)
        model(batch._replace(views=(batch, batch)), 1.0)[0].backward()
    kept = [tensor.clone() for tensor in model.queue.buffers()]
    model.eval()
    ids = torch.tensor([6, 7])
    batch = batches.select(ids)
    model(batch._replace(views=(batch, batch)), 1.0)
    assert all(torch.equal(*pair) for pair in zip(kept, model.queue.buffers(), strict=True))
    with pytest.raises(
        InputError, match="queue of negatives needs the graph_ids of a batch, got None"
    ):
        model(batch._replace(views=(batch, batch), graph_ids=None), 1.0)


def trained(batches, channels, config):
    with training_device(config) as fabric:
        state, epochs = TrainingState(build_model(config, channels, batches), config), []
        train(state, batches, config, fabric, epochs.append)
    return state, epochs


def test_a_queue_that_stays_empty_changes_nothing(toy, batches):
    """Where every batch is the whole set; and otherwise it does."""
    channels = node_features(toy).channels
    for batch_size, same in ((24, True), (5, False)):
        config = dataclasses.replace(SMALL, batch_size=batch_size)
        plain, _ = trained(batches, channels, config)
        queued, _ = trained(batches, channels, dataclasses.replace(config, negative_queue=8))
        before, after = plain.model.state_dict(), queued.model.state_dict()
        assert set(after) - set(before) == {"queue.rows", "queue.owners"}
        assert all(torch.equal(tensor, after[name]) for name, tensor in before.items()) is same


def test_an_estimators_queue_is_of_one_call():
    """Another list's numbers mean other graphs; a call that fails leaves the queue as it was."""
    graphs = [nx.gnp_random_graph(5 + i % 4, 0.5, seed=i) for i in range(24)]
    estimator = HardInfoGraph(
        negative_queue=100, batch_size=5, hidden_channels=4, num_layers=2, random_state=0
    )
    queue = estimator.partial_fit(graphs)._fitted.state.model.queue
    owners = queue.owners.tolist()
    assert sorted(owners)[-25:] == list(range(-1, 24))
    estimator.set_params(on_epoch=lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        estimator.partial_fit(graphs[:20])
    assert queue.owners.tolist() == owners
    estimator.set_params(on_epoch=None).partial_fit(graphs[:20])
    assert sorted(queue.owners.tolist())[-21:] == list(range(-1, 20))
