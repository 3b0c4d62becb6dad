"""The walk over blocks against the dense objective with autograd: values, gradients and sizes."""

import pytest
import torch
from dense import local_global
from test_objectives import LOCAL_GLOBAL, pairs
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from graphcl_hard import contrast
from graphcl_hard.heads import ResidualHead, reset_linear_layers
from graphcl_hard.objectives import local_global_jsd, nt_xent

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
    inputs = [local, summary]
    if options.pop("head", False):
        torch.manual_seed(2)
        options["local_head"] = head = ResidualHead(DIM).double()
        inputs += head.parameters()
    if options.pop("weighted", False):
        options["node_weight"] = torch.rand(NODES, generator=torch.Generator().manual_seed(1)) + 0.1
    loss = function(local, summary, batch, **options)
    (loss * torch.linspace(0.5, 2, loss.numel(), dtype=torch.float64).reshape(loss.shape)).sum().backward()
    return [loss.detach(), *(tensor.grad for tensor in inputs)]


FORMS = [
    {"critic": critic, "score_scale": score_scale, "detach_weights": detach_weights}
    for critic, score_scale in (("dot", "max"), ("dot", "none"), ("cosine", "max"))
    for detach_weights in (True, False)
]


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
def test_blocks_equal_the_dense_objective(blocks, objective, form, beta, tau_plus, reduction, extra):
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
    views = torch.nn.functional.normalize(torch.randn(2, 9, DIM, generator=generator, dtype=torch.float64), dim=2)

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


@pytest.mark.parametrize("options", [{}, {"mode": "released"}, {"critic": "cosine"}, {"reduction": "none"}])
@pytest.mark.parametrize("head", [False, True])
def test_nothing_of_size_nodes_times_graphs_is_made(monkeypatch, options, head):
    monkeypatch.setattr(contrast, "KEPT_SCORES", 0)
    monkeypatch.setitem(contrast.BLOCK_SCORES, "cpu", 64 * 50)
    nodes, graphs, dim = 1000, 50, 3
    local, summary, batch = pairs(nodes, graphs, dim, dtype=torch.float32)
    if head:
        options = {**options, "local_head": ResidualHead(dim)}
    with Largest() as largest:
        loss = local_global_jsd(local.requires_grad_(), summary.requires_grad_(), batch, **options)
        loss.sum().backward()
    assert largest.elements <= 64 * 50


def test_a_block_map_equals_its_head_by_autograd():
    head = ResidualHead(4).double()
    reset_linear_layers(head)
    x, grad = torch.randn(2, 6, 4, dtype=torch.float64)
    expected = torch.autograd.grad(head(x.requires_grad_()), [x, *head.block_map().parameters], grad)
    block_map = head.block_map()
    with torch.no_grad():
        out, kept = block_map.forward(x)
        torch.testing.assert_close(out, head(x))
        x_grad, parameter_grads = torch.empty_like(x), [torch.zeros_like(p) for p in block_map.parameters]
        block_map.backward(grad, x, kept, x_grad, parameter_grads)
    torch.testing.assert_close([x_grad, *parameter_grads], list(expected))
    assert len(block_map.parameters) == len(list(head.parameters()))


def test_a_second_backward_gives_the_same_and_the_gradient_has_none():
    local, summary, batch = pairs()
    loss = local_global_jsd(local.requires_grad_(), summary, batch)
    first = torch.autograd.grad(loss, local, retain_graph=True)[0].clone()
    assert torch.equal(torch.autograd.grad(loss, local, retain_graph=True)[0], first)
    assert not torch.autograd.grad(loss, local, create_graph=True)[0].requires_grad


def test_without_gradients_none_are_computed():
    local, summary, batch = pairs()
    expected = local_global_jsd(local.clone().requires_grad_(), summary, batch)
    with torch.no_grad():
        found = local_global_jsd(local.requires_grad_(), summary, batch)
    assert not found.requires_grad
    assert torch.equal(found, expected)
