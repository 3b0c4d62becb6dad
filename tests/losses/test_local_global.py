"""The objectives against the formulas, the oracles of other people's code, and their own limits."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import naive
from helpers.objectives import LOCAL_GLOBAL, NAIVE, pairs, views
from helpers.paths import HELPERS, ORACLES

from graphcl_hard.exceptions import InputError
from graphcl_hard.losses.local_global import local_global_info_nce, local_global_jsd
from graphcl_hard.losses.nt_xent import nt_xent


def cases(name):
    data = np.load(ORACLES / name)
    return [
        {k.partition("_")[2]: data[k] for k in data.files if k.startswith(f"case{i}_")}
        for i in range(int(data["num_cases"]))
    ]


@pytest.mark.parametrize(
    "case", cases("local_global_released.npz"), ids=lambda c: f"{c['measure']}-{c['beta']}"
)
def test_local_global_equals_the_oracle(case):
    local = torch.tensor(case["local"], requires_grad=True)
    summary = torch.tensor(case["summary"], requires_grad=True)
    plain = str(case["measure"]) == "JSD"
    options = (
        {"beta": 0.0, "tau_plus": 0.0}
        if plain
        else {"beta": float(case["beta"]), "mode": "released"}
    )
    loss = local_global_jsd(local, summary, torch.tensor(case["batch"]), **options)
    loss.backward()
    expected = float(case["loss"]) + (2 * math.log(2) if plain else 0.0)
    assert loss.item() == pytest.approx(expected, abs=1e-9)
    np.testing.assert_allclose(local.grad, case["grad_local"], atol=1e-9, rtol=0)
    np.testing.assert_allclose(summary.grad, case["grad_summary"], atol=1e-9, rtol=0)


@pytest.mark.parametrize(
    "case",
    cases("nt_xent_released.npz"),
    ids=lambda c: f"{c['estimator']}-{c['beta']}-{c['tau_plus']}-{c['temperature']}",
)
def test_nt_xent_equals_the_oracle(case):
    view1 = torch.tensor(case["view1"], requires_grad=True)
    view2 = torch.tensor(case["view2"], requires_grad=True)
    hard = str(case["estimator"]) == "hard"
    loss = nt_xent(
        view1,
        view2,
        beta=float(case["beta"]) if hard else 0.0,
        tau_plus=float(case["tau_plus"]) if hard else 0.0,
        temperature=float(case["temperature"]),
        detach_weights=False,
    )
    loss.backward()
    assert loss.item() == pytest.approx(float(case["loss"]), abs=1e-9)
    np.testing.assert_allclose(view1.grad, case["grad_view1"], atol=1e-9, rtol=0)
    np.testing.assert_allclose(view2.grad, case["grad_view2"], atol=1e-9, rtol=0)


@pytest.mark.parametrize("objective", LOCAL_GLOBAL)
@pytest.mark.parametrize("critic", ["dot", "cosine"])
@pytest.mark.parametrize("score_scale", ["max", "none"])
@pytest.mark.parametrize("debias", ["paper", "consistent"])
@pytest.mark.parametrize("beta", [0.0, 0.5, 3.0])
@pytest.mark.parametrize("tau_plus", [0.0, 0.1, 0.6])
@pytest.mark.parametrize(("nodes", "graphs"), [(2, 2), (17, 5)])
def test_local_global_equals_the_naive_loop(
    objective, critic, score_scale, debias, beta, tau_plus, nodes, graphs
):
    local, summary, batch = pairs(nodes, graphs, seed=3)
    loss = LOCAL_GLOBAL[objective](
        local,
        summary,
        batch,
        beta=beta,
        tau_plus=tau_plus,
        debias=debias,
        critic=critic,
        temperature=0.4,
        score_scale=score_scale,
        reduction="none",
    )
    expected = NAIVE[objective](
        local, summary, batch, beta, tau_plus, critic, 0.4, score_scale, debias
    )
    np.testing.assert_allclose(loss, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("beta", [0.0, 1.0, 5.0])
@pytest.mark.parametrize("tau_plus", [0.0, 0.1, 0.6])
@pytest.mark.parametrize("debias", ["paper", "consistent"])
@pytest.mark.parametrize("items", [2, 6])
def test_nt_xent_equals_the_naive_loop(beta, tau_plus, debias, items):
    view1, view2 = views(items)
    loss = nt_xent(view1, view2, beta=beta, tau_plus=tau_plus, debias=debias, temperature=0.3)
    expected = naive.nt_xent(view1, view2, beta, tau_plus, 0.3, debias=debias)
    assert loss.item() == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("beta", [0.0, 2.0])
def test_released_equals_the_naive_loop_and_its_mean_over_nodes(beta):
    local, summary, batch = pairs()
    loss = local_global_jsd(local, summary, batch, beta=beta, mode="released", reduction="none")
    assert loss.shape == (17,)
    assert loss.mean().item() == pytest.approx(
        naive.released(local, summary, batch, beta), rel=1e-11
    )


@pytest.mark.parametrize("objective", LOCAL_GLOBAL)
@pytest.mark.parametrize("critic", ["dot", "cosine"])
@pytest.mark.parametrize("tau_plus", [0.0, 0.1])
def test_gradients_through_the_weights_pass_gradcheck(objective, critic, tau_plus):
    local, summary, batch = pairs(9, 4)

    def loss(h, s):
        # score_scale="none": the constant c has no gradient by definition, which finite differences would see
        return LOCAL_GLOBAL[objective](
            h,
            s,
            batch,
            beta=1.5,
            tau_plus=tau_plus,
            critic=critic,
            score_scale="none",
            detach_weights=False,
        )

    assert torch.autograd.gradcheck(loss, (local.requires_grad_(), summary.requires_grad_()))


@pytest.mark.parametrize("objective", LOCAL_GLOBAL)
def test_detached_weights_have_the_gradient_of_constants(objective):
    """The gradient is that of the formula with the weights computed beforehand and held fixed."""
    local, summary, batch = pairs(9, 4)
    kwargs = {"beta": 2.0, "tau_plus": 0.1, "critic": "dot"}
    h, s = local.clone().requires_grad_(), summary.clone().requires_grad_()
    LOCAL_GLOBAL[objective](h, s, batch, **kwargs).backward()

    rows = naive.scores(local, summary, "dot", 1.0)
    c = naive.scale_of(rows, batch.tolist(), "dot", "max")
    weights = torch.tensor(
        [naive.weights_of(q, int(b), 2.0, c) for q, b in zip(rows, batch, strict=True)]
    )
    h2, s2 = local.clone().requires_grad_(), summary.clone().requires_grad_()
    q = h2 @ s2.T
    p = q.gather(1, batch[:, None]).squeeze(1)
    n = len(summary) - 1
    if objective == "jsd":
        mean = (weights * torch.log1p(q.exp())).sum(1) / n
        loss = torch.log1p((-p).exp()) + ((mean - 0.1 * torch.log1p(p.exp())) / 0.9).clamp_min(0)
    else:
        mean = (weights * q.exp()).sum(1) / n
        loss = torch.log(p.exp() + n * ((mean - 0.1 * p.exp()) / 0.9).clamp_min(0)) - p
    loss.mean().backward()
    torch.testing.assert_close(h.grad, h2.grad)
    torch.testing.assert_close(s.grad, s2.grad)


def test_nt_xent_gradients_pass_gradcheck():
    view1, view2 = (v.requires_grad_() for v in views(4))
    assert torch.autograd.gradcheck(
        lambda a, b: nt_xent(a, b, beta=1.5, tau_plus=0.1, temperature=0.5, detach_weights=False),
        (view1, view2),
    )
    plain = torch.autograd.grad(nt_xent(view1, view2, beta=1.5), view1)[0]
    through = torch.autograd.grad(nt_xent(view1, view2, beta=1.5, detach_weights=False), view1)[0]
    assert not torch.allclose(plain, through)


def test_released_gradients_pass_gradcheck():
    local, summary, batch = pairs(9, 4)

    def loss(h, s):
        return local_global_jsd(h, s, batch, beta=2.0, mode="released")

    inputs = local.requires_grad_(), summary.requires_grad_()
    assert torch.autograd.gradcheck(loss, inputs)
    assert torch.autograd.gradgradcheck(loss, inputs)


@pytest.mark.parametrize("options", [{}, {"mode": "released"}, {"critic": "cosine"}])
def test_the_order_of_nodes_and_graphs_does_not_matter(options):
    local, summary, batch = pairs()
    expected = local_global_jsd(local, summary, batch, beta=2.0, **options)
    nodes, graphs = torch.randperm(len(local)), torch.randperm(len(summary))
    renamed = torch.empty_like(graphs)
    renamed[graphs] = torch.arange(len(graphs))
    shuffled = local_global_jsd(
        local[nodes], summary[graphs], renamed[batch[nodes]], beta=2.0, **options
    )
    torch.testing.assert_close(shuffled, expected)


def test_beta_grows_to_the_hardest_negative():
    local, summary, batch = pairs()
    q = local @ summary.T
    hardest = q.scatter(1, batch[:, None], -math.inf).amax(dim=1)
    p = q.gather(1, batch[:, None]).squeeze(1)
    expected = F.softplus(-p) + F.softplus(hardest)
    loss = local_global_jsd(local, summary, batch, beta=1e5, tau_plus=0.0, reduction="none")
    torch.testing.assert_close(loss, expected, rtol=1e-7, atol=1e-7)
    released = local_global_jsd(
        local, summary, batch, beta=1e5, mode="released", return_diagnostics=True
    )[1]
    assert released.effective_negatives < 1  # the easiest alone, but still few


def test_released_weights_the_easiest_where_the_paper_weights_the_hardest():
    local = torch.tensor([[1.0]] * 3, dtype=torch.float64)
    summary = torch.tensor([[0.0], [3.0], [-3.0]], dtype=torch.float64, requires_grad=True)
    batch = torch.zeros(3, dtype=torch.int64)
    gradients = {}
    for mode in ("paper", "released"):
        loss = local_global_jsd(local, summary, batch, beta=2.0, tau_plus=0.0, mode=mode)
        gradients[mode] = torch.autograd.grad(loss, summary)[0].squeeze(1)
    assert gradients["paper"][1] > 10 * gradients["paper"][2].abs()
    assert gradients["released"][1] < gradients["paper"][1] / 10


@pytest.mark.parametrize("objective", [*LOCAL_GLOBAL, "released"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [0.0, 1e-30, 1e4])
@pytest.mark.parametrize("beta", [0.0, 1.0, 50.0])
def test_extreme_scores_stay_finite_in_value_and_gradient(objective, dtype, size, beta):
    local, summary, batch = pairs(dtype=dtype)
    local = (local * size).requires_grad_()
    summary.requires_grad_()
    if objective == "released":
        loss = local_global_jsd(local, summary, batch, beta=beta, mode="released")
    else:
        loss = LOCAL_GLOBAL[objective](local, summary, batch, beta=beta, tau_plus=0.1, critic="dot")
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(local.grad).all()
    assert torch.isfinite(summary.grad).all()


@pytest.mark.parametrize("objective", [*LOCAL_GLOBAL, "released"])
@pytest.mark.parametrize("beta", [0.0, 2.0])
def test_large_scores_in_float32_are_those_of_float64(objective, beta):
    """Not only finite: nothing is clamped on the way."""
    results = []
    for dtype in (torch.float32, torch.float64):
        local, summary, batch = pairs(dtype=dtype)
        local, summary = (local * 1e3).requires_grad_(), summary.requires_grad_()
        if objective == "released":
            loss = local_global_jsd(local, summary, batch, beta=beta, mode="released")
        else:
            loss = LOCAL_GLOBAL[objective](
                local, summary, batch, beta=beta, tau_plus=0.1, critic="dot"
            )
        assert loss > 100
        loss.backward()
        results.append((loss.double(), local.grad.double(), summary.grad.double()))
    torch.testing.assert_close(*results, rtol=1e-3, atol=1e-2)


def test_a_small_info_nce_does_not_cancel_in_float32():
    local = torch.tensor([[1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    summary, batch = torch.tensor([[25.0, 0.0], [0.0, 25.0]]), torch.tensor([0, 1])
    options = {"beta": 0.0, "tau_plus": 0.0, "critic": "dot"}
    loss = local_global_info_nce(local, summary, batch, **options)
    loss.backward()
    assert loss.item() == pytest.approx(math.log1p(math.exp(-25)), rel=1e-5)
    assert local.grad[0, 0].item() == pytest.approx(-25 * math.exp(-25) / 2, rel=1e-5)
    views = torch.eye(2)
    expected = math.log1p(2 * math.exp(-25))
    assert nt_xent(views, views, beta=0.0, tau_plus=0.0, temperature=0.04).item() == pytest.approx(
        expected, rel=1e-5
    )


@pytest.mark.parametrize("size", [1e-30, 1e-13, 1e20])
def test_the_cosine_critic_does_not_see_the_length_of_rows(size):
    local, summary, batch = pairs(dtype=torch.float32)
    expected = local_global_jsd(local, summary, batch, critic="cosine")
    torch.testing.assert_close(
        local_global_jsd(local * size, summary * size, batch, critic="cosine"), expected
    )


def test_autocast_scores_in_float32():
    local, summary, batch = pairs(dtype=torch.float32)
    expected = local_global_jsd(local, summary, batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert local_global_jsd(local, summary, batch).dtype == torch.float32
        torch.testing.assert_close(local_global_jsd(local, summary, batch), expected)
        half = local_global_jsd(local.bfloat16(), summary.bfloat16(), batch)
    assert half.dtype == torch.float32


@pytest.mark.parametrize("objective", LOCAL_GLOBAL)
def test_diagnostics_are_those_of_the_scores(objective):
    local, summary, batch = pairs()
    loss, found = LOCAL_GLOBAL[objective](
        local, summary, batch, beta=0.0, critic="dot", return_diagnostics=True
    )
    rows = naive.scores(local, summary, "dot", 1.0)
    negatives = [x for q, b in zip(rows, batch, strict=True) for g, x in enumerate(q) if g != b]
    positives = [q[b] for q, b in zip(rows, batch, strict=True)]
    assert found.effective_negatives.item() == pytest.approx(1.0)
    assert found.negative_score.item() == pytest.approx(np.mean(negatives))
    assert found.positive_score.item() == pytest.approx(np.mean(positives))
    assert (
        loss.item() == LOCAL_GLOBAL[objective](local, summary, batch, beta=0.0, critic="dot").item()
    )
    hard = LOCAL_GLOBAL[objective](
        local, summary, batch, beta=1e6, critic="dot", return_diagnostics=True
    )[1]
    assert hard.effective_negatives.item() == pytest.approx(1 / 4)


@pytest.mark.parametrize("beta", [0.0, 2.0])
def test_nt_xents_diagnostics_are_those_of_the_scores_and_leave_the_loss(beta):
    first, second = views(5)
    options = {"beta": beta, "tau_plus": 0.1, "temperature": 0.3}
    loss, found = nt_xent(first.requires_grad_(), second, return_diagnostics=True, **options)
    assert torch.equal(loss, nt_xent(first, second, **options))
    assert loss.requires_grad
    assert not any(value.requires_grad for value in found)
    rows = [*first.detach(), *second]
    positives = [naive.dot(rows[i], rows[(i + 5) % 10]) / 0.3 for i in range(10)]
    negatives = [
        [naive.dot(rows[i], rows[j]) / 0.3 for j in range(10) if j % 5 != i % 5] for i in range(10)
    ]
    weights = [[math.exp(beta * q) for q in row] for row in negatives]
    shares = [sum(w) ** 2 / sum(x * x for x in w) / 8 for w in weights]
    assert found.effective_negatives.item() == pytest.approx(np.mean(shares))
    assert found.positive_score.item() == pytest.approx(np.mean(positives))
    assert found.negative_score.item() == pytest.approx(np.mean(negatives))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"beta": -1.0}, "beta must lie in .* got -1.0"),
        ({"beta": math.nan}, "got nan"),
        ({"tau_plus": 1.2}, r"tau_plus must lie in \[0, 1\), got 1.2"),
        ({"tau_plus": -0.1}, "got -0.1"),
        ({"temperature": 0.0}, "temperature must lie in .1e-6, 1e6., got 0.0"),
        ({"critic": "euclid"}, "critic must be one of dot, cosine, got 'euclid'"),
        ({"score_scale": "mean"}, "score_scale must be one of max, none"),
        ({"mode": "fast"}, "mode must be one of paper, released"),
        ({"reduction": "sum"}, "reduction must be one of mean, none"),
        (
            {"mode": "released", "critic": "cosine"},
            "defined only for critic='dot', got critic='cosine'",
        ),
        ({"mode": "released", "debias": "consistent"}, "own debiasing, got debias='consistent'"),
        ({"debias": "none"}, "debias must be one of paper, consistent, got 'none'"),
    ],
)
def test_arguments_outside_their_range_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        local_global_jsd(*pairs(), **change)


def test_tensors_that_do_not_fit_are_refused():
    local, summary, batch = pairs()
    with pytest.raises(
        InputError, match="at least 2 graphs in a batch, got 1: the negatives of a node are"
    ):
        local_global_jsd(local, summary[:1], torch.zeros_like(batch))
    with pytest.raises(InputError, match="at least 1 node"):
        local_global_jsd(local[:0], summary, batch[:0])
    with pytest.raises(InputError, match=r"batch must be \(17,\) int64"):
        local_global_info_nce(local, summary, batch[:3])
    for wrong in (batch - 1, batch + 1):
        with pytest.raises(InputError, match=r"batch must lie in \[0, 4\]"):
            local_global_jsd(local, summary, wrong)
    with pytest.raises(InputError, match="must be a floating-point tensor"):
        local_global_jsd(local.long(), summary, batch)
    with pytest.raises(InputError, match="with one D"):
        local_global_jsd(local[:, :2], summary, batch)
    view1, view2 = views()
    with pytest.raises(InputError, match="at least 2 items, got 1"):
        nt_xent(view1[:1], view2[:1])
    with pytest.raises(InputError, match="must both be"):
        nt_xent(view1, view2[:3])
    with pytest.raises(InputError, match="rows of view1 must have length 1"):
        nt_xent(view1 * 2, view2)


@pytest.mark.long
def test_the_first_call_of_a_process_is_as_good_as_the_next():
    """Two threads that set up MKL at once would round differently in about 2 of 100 processes."""
    program = HELPERS / "first_calls.py"
    done = subprocess.run(
        [sys.executable, program, "400"], capture_output=True, text=True, check=True
    )
    assert len(done.stdout.splitlines()) == 1, done.stdout


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("options", [{}, {"mode": "released"}, {"critic": "cosine"}])
def test_cuda_equals_cpu(options):
    local, summary, batch = pairs()
    expected = local_global_jsd(local, summary, batch, **options)
    torch.testing.assert_close(
        local_global_jsd(local.cuda(), summary.cuda(), batch.cuda(), **options).cpu(), expected
    )
