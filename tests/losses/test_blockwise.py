"""The walk over blocks against the dense objective with autograd: values, gradients and sizes."""

import gc

import pytest
import torch
from helpers.dense import local_global
from helpers.objectives import FORMS, LOCAL_GLOBAL, pairs
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from graphcl_hard.exceptions import InputError
from graphcl_hard.losses import blockwise as contrast
from graphcl_hard.losses import local_global as objectives
from graphcl_hard.losses.anchor_losses import jsd
from graphcl_hard.losses.context import Context
from graphcl_hard.losses.local_global import local_global_jsd
from graphcl_hard.losses.nt_xent import nt_xent
from graphcl_hard.nn.heads import ResidualHead, reset_linear_layers

NODES, GRAPHS, DIM = 37, 7, 5


@pytest.fixture(params=["one block", "blocks", "blocks, nothing kept"])
def blocks(request, monkeypatch):
    """37 nodes in one block or in ten, with and without the scores of the first walk at hand in the second."""
    if request.param != "one block":
        monkeypatch.setattr(contrast, "MIN_BLOCK", 1)
        monkeypatch.setattr(contrast, "MAX_BLOCK", 4)
    if request.param == "blocks, nothing kept":
        monkeypatch.setattr(contrast, "KEPT_SCORES", 0)


def run(function, **options):
    """Loss, and gradients of nodes, graphs and head, under a weighting of the output that is not all alike."""
    local, summary, batch = pairs(NODES, GRAPHS, DIM, seed=4)
    local.requires_grad_(), summary.requires_grad_()
    inputs, context = [local, summary], {}
    if options.pop("head", False):
        torch.manual_seed(2)
        context["local_head"] = head = ResidualHead(DIM).double()
        inputs += head.parameters()
    if options.pop("weighted", False):
        context["node_weight"] = torch.rand(NODES, generator=torch.Generator().manual_seed(1)) + 0.1
    if function is local_global:
        loss = function(local, summary, batch, **options, **context)
    else:
        loss = function(local, summary, batch, **options, _context=Context(**context))
    (
        loss * torch.linspace(0.5, 2, loss.numel(), dtype=torch.float64).reshape(loss.shape)
    ).sum().backward()
    return [loss.detach(), *(tensor.grad for tensor in inputs)]


@pytest.mark.parametrize(
    ("objective", "form"),
    [("released", {})] + [(objective, form) for objective in ("jsd", "info_nce") for form in FORMS],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else value,
)
@pytest.mark.parametrize(("beta", "tau_plus"), [(0.0, 0.0), (1.5, 0.3)])
@pytest.mark.parametrize(
    ("reduction", "extra"),
    [(r, e) for r in ("mean", "none") for e in ({}, {"head": True})] + [("mean", {"weighted": 1})],
)
def test_blocks_equal_the_dense_objective(
    blocks, objective, form, beta, tau_plus, reduction, extra
):
    shared = {"beta": beta, "reduction": reduction, **extra}
    form = {**form, "tau_plus": tau_plus}
    if objective == "released":
        found = run(local_global_jsd, mode="released", **shared)
        expected = run(local_global, objective="released", **shared)
    else:
        found = run(LOCAL_GLOBAL[objective], **form, **shared)
        expected = run(local_global, objective=objective, **form, **shared)
    assert len(found) == len(expected)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)


def test_two_views_in_blocks_equal_one_block(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    views = torch.nn.functional.normalize(
        torch.randn(2, 9, DIM, generator=generator, dtype=torch.float64), dim=2
    )

    def run_views():
        first, second = (view.clone().requires_grad_() for view in views)
        loss = nt_xent(first, second, beta=1.5, tau_plus=0.2, detach_weights=False)
        loss.backward()
        return [loss.detach(), first.grad, second.grad]

    expected = run_views()
    monkeypatch.setattr(contrast, "MIN_BLOCK", 1)
    monkeypatch.setattr(contrast, "MAX_BLOCK", 4)
    torch.testing.assert_close(run_views(), expected)


class Largest(TorchDispatchMode):
    """The number of elements of the largest tensor that any operation makes."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        sizes = [leaf.numel() for leaf in tree_leaves(out) if isinstance(leaf, torch.Tensor)]
        self.elements = max([self.elements, *sizes])
        return out


@pytest.mark.parametrize("options", [{}, {"critic": "cosine"}, {"reduction": "none"}])
@pytest.mark.parametrize("head", [False, True])
def test_nothing_of_size_nodes_times_graphs_is_made(monkeypatch, options, head):
    monkeypatch.setattr(contrast, "KEPT_SCORES", 0)
    monkeypatch.setitem(contrast.BLOCK_SCORES, "cpu", 64 * 50)
    nodes, graphs, dim = 1000, 50, 3
    local, summary, batch = pairs(nodes, graphs, dim, dtype=torch.float32)
    if head:
        options = {**options, "_context": Context(local_head=ResidualHead(dim))}
    with Largest() as largest:
        loss = local_global_jsd(local.requires_grad_(), summary.requires_grad_(), batch, **options)
        loss.sum().backward()
    assert largest.elements <= 64 * 50


def test_a_block_map_equals_its_head_by_autograd():
    head = ResidualHead(4).double()
    reset_linear_layers(head)
    x, grad = torch.randn(2, 6, 4, dtype=torch.float64)
    expected = torch.autograd.grad(
        head(x.requires_grad_()), [x, *head.block_map().parameters], grad
    )
    block_map = head.block_map()
    with torch.no_grad():
        out, kept = block_map.forward(x)
        torch.testing.assert_close(out, head(x))
        x_grad, parameter_grads = (
            torch.empty_like(x),
            [torch.zeros_like(p) for p in block_map.parameters],
        )
        block_map.backward(grad, x, kept, x_grad, parameter_grads)
    torch.testing.assert_close([x_grad, *parameter_grads], list(expected))
    assert len(block_map.parameters) == len(list(head.parameters()))


def test_a_second_backward_gives_the_same_and_a_second_derivative_is_refused():
    local, summary, batch = pairs()
    loss = local_global_jsd(local.requires_grad_(), summary, batch)
    first = torch.autograd.grad(loss, local, retain_graph=True)[0].clone()
    assert torch.equal(torch.autograd.grad(loss, local, retain_graph=True)[0], first)
    with pytest.raises(
        RuntimeError, match="gradient of the objectives cannot be differentiated again"
    ):
        torch.autograd.grad(loss, local, create_graph=True)


def test_without_gradients_none_are_computed(monkeypatch):
    local, summary, batch = pairs()
    expected = local_global_jsd(local.clone().requires_grad_(), summary, batch)
    monkeypatch.setattr(contrast._Walk, "_backward", None)
    with torch.no_grad():
        found = local_global_jsd(local.requires_grad_(), summary, batch)
    assert not found.requires_grad
    assert torch.equal(found, expected)
    assert torch.equal(local_global_jsd(local.detach(), summary, batch), expected)


def test_what_a_second_walk_reads_may_not_change_meanwhile():
    local, summary, batch = pairs()
    head = ResidualHead(4).double()
    options = {"reduction": "none", "_context": Context(local_head=head)}
    for changed in (batch, head.linear_shortcut.weight):
        loss = local_global_jsd(local.requires_grad_(), summary, batch, **options)
        with torch.no_grad():
            changed.mul_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.sum().backward()


def test_released_takes_the_sign_of_the_largest_where_it_ties_with_its_opposite():
    local = torch.tensor([[1.0], [0.5], [0.25]], dtype=torch.float64, requires_grad=True)
    summary = torch.tensor([[-2.0], [2.0], [0.3]], dtype=torch.float64)
    batch = torch.tensor([2, 2, 2])

    def loss(x):
        return local_global_jsd(x, summary, batch, beta=1.0, mode="released")

    (gradient,) = torch.autograd.grad(loss(local), local)
    step = torch.tensor(
        [[1e-6], [0], [0]], dtype=torch.float64
    )  # the loss is smooth here: both move together
    expected = (loss(local + step) - loss(local - step)).item() / 2e-6
    assert gradient[0].item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("allowed", "tensors"), [(1000 * 50, 10), (1000 * 50 - 1, 0)])
def test_scores_are_kept_between_the_walks_only_up_to_a_bound(monkeypatch, allowed, tensors):
    monkeypatch.setattr(contrast, "KEPT_SCORES", allowed)
    monkeypatch.setattr(contrast, "MAX_BLOCK", 100)
    alive = []

    def count(scores, *arguments, **options):
        gc.collect()
        alive.append(
            sum(type(one) is torch.Tensor and one.shape == (100, 50) for one in gc.get_objects())
        )
        return jsd(scores, *arguments, **options)

    monkeypatch.setattr(objectives, "jsd", count)
    local_global_jsd(*pairs(1000, 50, 3))
    assert len(alive) == 10
    assert alive[0] - alive[-1] == max(tensors - 1, 0)


def test_the_bound_of_the_correction_has_no_gradient(blocks):
    """With one negative and a large prior the correction is bounded for most nodes."""
    form = {"beta": 50.0, "tau_plus": 0.5, "critic": "cosine"}
    found = run(LOCAL_GLOBAL["info_nce"], **form)
    expected = run(local_global, objective="info_nce", **form)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)


def test_weights_count_in_the_diagnostics():
    local, summary, batch = pairs()
    twice = torch.cat([torch.arange(17), torch.arange(5)])
    weight = torch.ones(17, dtype=torch.float64)
    weight[:5] = 2
    expected = local_global_jsd(
        local[twice], summary, batch[twice], beta=3.0, return_diagnostics=True
    )
    options = {"beta": 3.0, "return_diagnostics": True, "_context": Context(node_weight=weight)}
    found = local_global_jsd(local, summary, batch, **options)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (
            torch.ones(20),
            r"node_weight must be \(17,\) float, one number per row of local, got \(20,\)",
        ),
        (torch.ones(17, 1), r"got \(17, 1\)"),
        (torch.ones(17, dtype=torch.int64), "got .* torch.int64"),
        (torch.zeros(17), "at least 0, with a sum above 0, got 0.0 and a sum of 0.0"),
        (torch.linspace(-1, 2, 17), "got -1.0 and a sum"),
        (torch.full((17,), torch.nan), "sum of nan"),
    ],
)
def test_weights_that_do_not_fit_are_refused(weight, message):
    with pytest.raises(InputError, match=message):
        local_global_jsd(*pairs(), _context=Context(node_weight=weight))
