"""The beta that leaves a share of the negatives effective, on its own and inside the objectives."""

import functools
import math
import threading

import pytest
import torch
import torch.nn.functional as F
from helpers import naive
from helpers.objectives import LOCAL_GLOBAL, pairs, views
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from graphcl_hard import beta_for_share, local_global_info_nce, local_global_jsd, nt_xent
from graphcl_hard.exceptions import InputError
from graphcl_hard.losses.anchor_losses import jsd
from graphcl_hard.losses.blockwise import Contrast, contrast
from graphcl_hard.losses.context import Context
from graphcl_hard.nn.heads import ResidualHead


def effective(row, beta):
    """The effective number of negatives with these scores, a list of floats."""
    w = [math.exp(beta * (q - max(row))) for q in row]
    return sum(w) ** 2 / sum(x * x for x in w)


def share_at(rows, beta, weight=None):
    weight = [1.0] * len(rows) if weight is None else [float(x) for x in weight]
    shares = [effective(row, beta) / len(row) for row in rows]
    return sum(a * x for a, x in zip(weight, shares, strict=True)) / sum(weight)


def beta_of(rows, share, weight=None):
    """The root of the formula, found in log beta by another method."""
    return math.exp(
        brentq(lambda x: share_at(rows, math.exp(x), weight) - share, -30, 30, xtol=1e-13)
    )


def normal(rows=20, columns=30, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, columns, generator=generator, dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("share", [0.9, 0.5, 0.2, 0.1])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_beta_is_the_root_of_the_formula(share, masked, weighted):
    scores = normal() * torch.linspace(0.1, 3, 20, dtype=torch.float64).unsqueeze(1)
    mask = normal(seed=1) > -0.5 if masked else None
    weight = normal(1, 20, seed=2)[0].exp() if weighted else None
    rows = [row.tolist() if mask is None else row[mask[i]].tolist() for i, row in enumerate(scores)]
    found = beta_for_share(scores, share, mask, weight)
    assert found.dtype == torch.float64
    assert found.item() == pytest.approx(beta_of(rows, share, weight), rel=1e-6)


SHAPES = {
    "normal": lambda q: q,
    "rows of other sizes": lambda q: q * normal(256, 1, seed=1).mul(3).exp(),
    "heavy tails": lambda q: q * normal(256, 128, seed=2).mul(3).exp(),
    "steps": lambda q: q.mul(2).round(),
    "equal columns": lambda q: q[:, torch.arange(128) // 3],
    "far from 0": lambda q: q + 1e3,
    "low rank": lambda q: q[:, :3].exp() ** 2 @ q[:3].exp() ** 2,
    "one large row": lambda q: torch.cat([q[:255] * 1e-4, q[255:] * 1e3]),
    "few duplicates": lambda q: torch.where(torch.arange(128) == 64, 2.0, q * 0.02),
    "two values": lambda q: (torch.arange(128).expand(256, 128) % 43 == 0) * 1.0,
    "enormous": lambda q: q * 1e30,
}


@pytest.mark.parametrize("share", [0.99, 0.5, 0.2, 0.05])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_fixed_number_of_steps_reaches_the_share(shape, share):
    scores = SHAPES[shape](normal(256, 128)).float()
    mask = torch.ones(256, 128, dtype=torch.bool)
    mask[torch.arange(256), torch.arange(256) % 128] = False
    beta = beta_for_share(scores, share, mask).double()
    weights = (scores.double() * beta).masked_fill(~mask, -math.inf).softmax(dim=1)
    found = (1 / weights.square().sum(dim=1)).mean().item() / 127
    assert found == pytest.approx(share, abs=2e-6)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 1000),
    share=st.floats(0.1, 0.95),
    factor=st.floats(1e-4, 1e4),
    shift=st.floats(-10, 10),
)
def test_beta_falls_with_the_share_and_undoes_a_scale(seed, share, factor, shift):
    scores = normal(seed=seed)
    beta = beta_for_share(scores, share)
    assert beta_for_share(scores, share - 0.02) > beta > beta_for_share(scores, share + 0.02)
    moved = beta_for_share(scores * factor + shift * factor, share)
    assert moved.item() * factor == pytest.approx(beta.item(), rel=1e-6)


def test_scores_that_are_alike_and_a_share_of_one_give_zero():
    assert beta_for_share(torch.full((3, 5), 7.3), 0.2) == 0
    assert beta_for_share(torch.zeros(3, 5), 0.2) == 0
    assert beta_for_share(normal(), 1.0) == 0
    assert beta_for_share(torch.tensor([[1.0], [2.0]]), 0.2) == 0  # a single negative
    assert beta_for_share(normal(), 0.2, weight=torch.zeros(20)) == 0  # no row counts


def test_two_negatives_stay_effective_and_the_unreachable_is_finite():
    scores = normal(50, 40)
    assert beta_for_share(scores, 0.001) == beta_for_share(scores, 2 / 40)
    alike = scores[:, torch.arange(40) // 10]  # each score ten times, so that ten stay effective
    beta = beta_for_share(alike, 0.1)
    assert 1e3 < beta <= 1e6
    assert share_at(alike.tolist(), beta.item()) == pytest.approx(0.25, abs=0.01)
    assert beta_for_share(alike * 1e-6, 0.1) == 1e6  # the largest that can be given


def test_rows_without_negatives_do_not_count_and_half_precision_is_computed_in_float32():
    scores, mask = normal(), torch.ones(20, 30, dtype=torch.bool)
    mask[3] = False
    rest = torch.arange(20) != 3
    assert beta_for_share(scores, 0.3, mask).item() == pytest.approx(
        beta_for_share(scores[rest], 0.3).item(), rel=1e-12
    )
    low = scores.bfloat16()
    assert beta_for_share(low, 0.3) == beta_for_share(low.float(), 0.3)


def test_bad_arguments_are_refused():
    for share in (0.0, 1.1, torch.nan, "half", None):
        with pytest.raises(InputError, match=r"effective_negatives must lie in \[1e-06, 1\], got"):
            beta_for_share(normal(), share)
    with pytest.raises(InputError, match=r"weight must be \(20,\), .*, got \(3,\); None"):
        beta_for_share(normal(), 0.5, weight=torch.ones(3))
    for value in (-1.0, math.nan, math.inf):
        with pytest.raises(InputError, match=r"weight must be finite and at least 0, got"):
            beta_for_share(normal(), 0.5, weight=torch.full((20,), value))
    with pytest.raises(InputError, match=r"must have a row and a column, got \(0, 4\); give"):
        beta_for_share(torch.zeros(0, 4), 0.5)


# In the objectives.

SHARE = 0.4


def negatives_of(local, summary, batch, critic, queue):
    rows = naive.scores(local, [*summary, *queue], critic, 0.3)
    return [[x for g, x in enumerate(q) if g != batch[i]] for i, q in enumerate(rows)]


@pytest.mark.parametrize("objective", LOCAL_GLOBAL)
@pytest.mark.parametrize("critic", ["dot", "cosine"])
@pytest.mark.parametrize("queued", [0, 6])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("detach_weights", [True, False])
def test_local_global_is_that_of_the_root(objective, critic, queued, weighted, detach_weights):
    local, summary, batch = pairs(40, 8, 4, seed=3)
    queue = normal(queued, 4, seed=5) if queued else None
    weight = normal(1, 40, seed=6)[0].exp() if weighted else None
    context = Context(node_weight=weight, queue=queue)
    rows = negatives_of(local, summary, batch.tolist(), critic, [] if queue is None else queue)
    beta = beta_of(rows, SHARE, weight)

    def gradients(**options):
        inputs = [local.clone().requires_grad_(), summary.clone().requires_grad_()]
        loss, found = LOCAL_GLOBAL[objective](
            *inputs,
            batch,
            critic=critic,
            temperature=0.3,
            detach_weights=detach_weights,
            return_diagnostics=True,
            _context=context,
            **options,
        )
        loss.backward()
        return [loss.detach(), *(tensor.grad for tensor in inputs), *found]

    found = gradients(effective_negatives=SHARE)
    expected = gradients(beta=beta, score_scale="none")
    assert found[6].item() == pytest.approx(beta, rel=1e-8)
    assert found[3].item() == pytest.approx(SHARE, abs=1e-9)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("queued", [0, 6])
@pytest.mark.parametrize("detach_weights", [True, False])
def test_nt_xent_is_that_of_the_root(queued, detach_weights):
    first, second = views(9)
    queue = F.normalize(normal(queued, 5, seed=5)) if queued else None
    everything = [*first, *second, *([] if queue is None else queue)]
    rows = [
        [
            naive.dot(z, other) / 0.3
            for j, other in enumerate(everything)
            if j >= 18 or j % 9 != i % 9
        ]
        for i, z in enumerate([*first, *second])
    ]
    beta = beta_of(rows, SHARE)

    def gradients(**options):
        inputs = [first.clone().requires_grad_(), second.clone().requires_grad_()]
        loss, found = nt_xent(
            *inputs,
            temperature=0.3,
            detach_weights=detach_weights,
            return_diagnostics=True,
            _context=Context(queue=queue),
            **options,
        )
        loss.backward()
        return [loss.detach(), *(tensor.grad for tensor in inputs), *found]

    found = gradients(effective_negatives=SHARE)
    assert found[6].item() == pytest.approx(beta, rel=1e-8)
    torch.testing.assert_close(found, gradients(beta=beta), rtol=1e-6, atol=1e-9)


def test_one_value_per_node_has_the_same_beta_in_both_walks():
    local, summary, batch = pairs(40, 8, 4)
    local.requires_grad_()
    options = {"effective_negatives": SHARE, "reduction": "none"}
    loss = local_global_jsd(local, summary, batch, **options)
    mean = local_global_jsd(local, summary, batch, effective_negatives=SHARE)
    torch.testing.assert_close(
        torch.autograd.grad(loss.mean(), local), torch.autograd.grad(mean, local)
    )


@pytest.mark.parametrize("nodes", [100, 256, 1000])
def test_the_sample_has_a_node_of_each_256th_and_passes_the_local_head(nodes):
    local, summary, batch = pairs(nodes, 9, 4)
    torch.manual_seed(0)
    head = ResidualHead(4).double()
    golden = [k * 40503 % 65536 / 65536 for k in range(256)]
    sample = [int((k + golden[k]) * max(nodes, 256) / 256) for k in range(min(nodes, 256))]
    scores = (head(local) @ summary.T).detach()[sample]
    mask = torch.arange(9) != batch[sample].unsqueeze(1)
    assert len(set(sample)) == len(sample)
    _, found = local_global_jsd(
        local,
        summary,
        batch,
        effective_negatives=SHARE,
        return_diagnostics=True,
        _context=Context(local_head=head),
    )
    torch.testing.assert_close(found.beta, beta_for_share(scores, SHARE, mask))


class Part:
    """One of several threads that share a batch, as `context.Parts`; without gradients."""

    def __init__(self, number, bounds, shared, barrier):
        self.number, self.bounds, self.shared, self.barrier = number, bounds, shared, barrier
        self.start, self.stop = bounds[number : number + 2]

    def _all(self, value):
        self.shared[self.number] = value
        self.barrier.wait(60)
        found = list(self.shared)
        self.barrier.wait(60)
        return found

    def gather(self, rows):
        return torch.cat(self._all(rows))

    def collect(self, value):
        return torch.stack(self._all(value))


def in_parts(bounds, call):
    """Return what `call` returns for each part, when all run at the same time."""
    number, found = len(bounds) - 1, {}
    shared, barrier = [None] * number, threading.Barrier(number)

    def work(part):
        with torch.no_grad():
            found[part.number] = call(part)

    threads = [
        threading.Thread(target=work, args=[Part(i, bounds, shared, barrier)])
        for i in range(number)
    ]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    return [found[i] for i in range(number)]


@pytest.mark.parametrize("nodes", [100, 1000])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("queued", [0, 6])
def test_parts_find_the_beta_of_the_whole(nodes, weighted, queued):
    local, summary, batch = pairs(nodes, 9, 4)
    queue = normal(queued, 4, seed=5) if queued else None
    weight = normal(1, nodes, seed=6)[0].exp() if weighted else None
    options = {"effective_negatives": SHARE, "return_diagnostics": True}

    def of_part(part):
        own = (batch >= part.start) & (batch < part.stop)
        context = Context(None if weight is None else weight[own], None, part, queue)
        rows = summary[part.start : part.stop]
        return local_global_jsd(
            local[own], rows, batch[own] - part.start, **options, _context=context
        )

    whole = local_global_jsd(
        local, summary, batch, **options, _context=Context(weight, None, None, queue)
    )
    parts = in_parts([0, 2, 2, 8, 9], of_part)  # the second one is empty
    total = [
        sum(loss for loss, _ in parts),
        tuple(map(sum, zip(*(d for _, d in parts), strict=True))),
    ]
    torch.testing.assert_close(total, [whole[0], tuple(whole[1])], rtol=1e-10, atol=1e-12)


def test_a_part_copies_no_number_from_the_host(monkeypatch):
    """Such a copy would synchronise a GPU."""
    local, summary, batch = pairs()
    expected = local_global_jsd(local, summary, batch, effective_negatives=SHARE)
    alone = Part(0, [0, len(summary)], [None], threading.Barrier(1))
    monkeypatch.setattr(torch, "tensor", None)
    found = local_global_jsd(
        local, summary, batch, effective_negatives=SHARE, _context=Context(parts=alone)
    )
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)


@pytest.mark.parametrize("items", [9, 200])
def test_parts_of_views_find_the_beta_of_the_whole(items):
    first, second = views(items)
    options = {"effective_negatives": SHARE, "return_diagnostics": True}
    whole = nt_xent(first, second, **options)
    parts = in_parts(
        [0, 2, 2, items],
        lambda part: nt_xent(
            first[part.start : part.stop],
            second[part.start : part.stop],
            **options,
            _context=Context(parts=part),
        ),
    )
    total = [
        sum(loss for loss, _ in parts),
        tuple(map(sum, zip(*(d for _, d in parts), strict=True))),
    ]
    torch.testing.assert_close(total, [whole[0], tuple(whole[1])], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("graphs", [2, 3])
def test_few_graphs_leave_all_negatives(graphs):
    """One negative has no hardness, and two are the least that stay effective."""
    local, summary, batch = pairs(20, graphs, 4)
    options = {"return_diagnostics": True}
    loss, found = local_global_info_nce(local, summary, batch, effective_negatives=0.2, **options)
    plain, _ = local_global_info_nce(local, summary, batch, beta=0.0, **options)
    assert found.beta == 0
    assert loss == plain


def test_diagnostics_have_the_beta_that_is_given():
    local, summary, batch = pairs()
    for options in ({}, {"critic": "cosine"}, {"mode": "released"}):
        _, found = local_global_jsd(
            local, summary, batch, beta=3.0, return_diagnostics=True, **options
        )
        assert found.beta == 3.0
    assert nt_xent(*views(), beta=0.5, return_diagnostics=True)[1].beta == 0.5


def test_contradictions_are_refused():
    local, summary, batch = pairs()
    with pytest.raises(InputError, match=r"beta must be left at 10 .* got 1\.0 and 0\.2"):
        local_global_jsd(local, summary, batch, beta=1.0, effective_negatives=0.2)
    with pytest.raises(InputError, match=r"beta must be left at 10 .* got 1\.0 and 0\.2"):
        nt_xent(*views(), beta=1.0, effective_negatives=0.2)
    with pytest.raises(InputError, match=r"mode='released' .* got effective_negatives=0\.2"):
        local_global_jsd(local, summary, batch, mode="released", effective_negatives=0.2)
    with pytest.raises(InputError, match=r"effective_negatives must lie in \[1e-06, 1\], got 2"):
        local_global_info_nce(local, summary, batch, effective_negatives=2)


@pytest.mark.parametrize("weighted", [False, True])
def test_no_number_is_read_from_the_device(weighted):
    """Reading one would synchronise a GPU; the device "meta" has none to read, and raises."""
    local, summary, batch = (tensor.to("meta") for tensor in pairs())
    weight = local[:, 0] if weighted else None
    loss = functools.partial(jsd, tau_plus=0.1, debias="paper", detach_weights=True, lower=0.0)
    setting = Contrast(loss, batch, batch.unsqueeze(1), 10.0, share=SHARE, weight=weight)
    found = contrast(setting, local.requires_grad_(), summary)
    found.loss.backward()
    assert found.beta.shape == ()
    assert local.grad.shape == local.shape


@pytest.mark.slow  # the compiler needs seconds
@pytest.mark.filterwarnings("ignore")  # the compiler's own doing
def test_torch_compile_gives_the_same():
    local, summary, batch = pairs(40, 8, 4)

    def loss(local, summary):
        return local_global_jsd(local, summary, batch, effective_negatives=SHARE)

    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(local, summary), loss(local, summary))
