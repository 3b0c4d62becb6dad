"""Consistent debiasing: the truth by Monte Carlo and quadrature, every case of its bounds, and its limits."""

import functools
import math

import pytest
import torch
import torch.nn.functional as F
from helpers import naive
from helpers.objectives import LOCAL_GLOBAL, pairs, views
from scipy.integrate import quad

from graphcl_hard.losses.anchor_losses import _share, info_nce, jsd
from graphcl_hard.losses.context import Context
from graphcl_hard.losses.local_global import local_global_jsd
from graphcl_hard.losses.nt_xent import nt_xent

TAU = 0.1
LOSSES = {
    "jsd": functools.partial(jsd, lower=0.0),
    "info_nce": functools.partial(info_nce, log_lower=-math.inf),
}
# Scores of a positive and of three negatives, in each case that the bounds distinguish at beta 1 and tau_plus 0.1.
CASES = {
    "free": ([0.5], [0.3, 1.0, -0.4]),
    "at the floor": ([2.0], [2.2, -9.0, -8.0]),
    "clamped and free": ([2.0], [0.1, 0.0, 0.1]),
    "clamped at the floor": ([9.0], [0.1, 0.2, -0.3]),
}
CASE_TAU = {"at the floor": 0.4, "clamped and free": 0.1}


def block(case, dtype=torch.float64):
    positive, negatives = (torch.tensor([one], dtype=dtype) for one in CASES[case])
    return positive[0], negatives


def value(loss, positive, negatives, beta, tau_plus=TAU, weight=None, **options):
    """A loss of one block, whose candidate 0 is the positive."""
    scores = torch.cat([positive.unsqueeze(1), negatives], dim=1)
    excluded = torch.zeros(len(positive), 1, dtype=torch.int64)
    options = {"debias": "consistent", "detach_weights": True, **options}
    return LOSSES[loss](scores, positive, excluded, beta, weight, tau_plus=tau_plus, **options)


def plain(loss, positive, negatives, beta, tau_plus, detach_weights):
    """The formula with A and B, by autograd; (B,)."""
    f = torch.exp if loss == "info_nce" else F.softplus
    p, q = (x.detach() if detach_weights else x for x in (positive, negatives))
    u, u_plus = (beta * q).exp(), (beta * p).exp()
    a = (u * f(negatives)).mean(dim=1) - tau_plus * u_plus * f(positive)
    b = u.mean(dim=1) - tau_plus * u_plus
    rest = (a / torch.maximum(b, 0.1 * (1 - tau_plus) * u.mean(dim=1))).clamp_min(0.0)
    free, left = b > 0.1 * (1 - tau_plus) * u.mean(dim=1), rest > 0
    if loss == "info_nce":
        value = torch.log(positive.exp() + negatives.size(1) * rest) - positive
    else:
        value = F.softplus(-positive) + rest
    return value, bool(free), bool(left)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("detach_weights", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_every_case_of_the_bounds_has_the_value_and_gradient_of_the_formula(
    loss, detach_weights, case
):
    positive, negatives = (one.requires_grad_() for one in block(case))
    tau_plus = CASE_TAU.get(case, TAU)
    expected, free, left = plain(loss, positive, negatives, 1.0, tau_plus, detach_weights)
    assert (free, left) == ("floor" not in case, "clamped" not in case)
    grads = torch.autograd.grad(expected.sum(), [positive, negatives])
    with torch.no_grad():
        found = value(
            loss,
            positive,
            negatives,
            1.0,
            tau_plus,
            weight=torch.ones(1, dtype=torch.float64),
            detach_weights=detach_weights,
        )
    torch.testing.assert_close(found.loss, expected.detach(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.positive_grad, grads[0], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(found.grad[:, 1:], grads[1], rtol=1e-10, atol=1e-12)
    assert found.clamped.item() == (not left)


@pytest.mark.parametrize("objective", LOCAL_GLOBAL)
@pytest.mark.parametrize("critic", ["dot", "cosine"])
def test_gradients_through_the_weights_pass_gradcheck(objective, critic):
    local, summary, batch = pairs(9, 4)
    options = {"beta": 0.7, "tau_plus": 0.1, "critic": critic, "score_scale": "none"}
    options |= {"debias": "consistent", "detach_weights": False, "reduction": "none"}

    def loss(h, s):
        return LOCAL_GLOBAL[objective](h, s, batch, **options)

    assert torch.autograd.gradcheck(loss, (local.requires_grad_(), summary.requires_grad_()))
    paper = LOCAL_GLOBAL[objective](local, summary, batch, **{**options, "debias": "paper"})
    assert not torch.allclose(loss(local, summary), paper, rtol=1e-3)


def test_nt_xent_gradients_through_the_weights_pass_gradcheck():
    options = {"beta": 0.7, "tau_plus": 0.1, "debias": "consistent", "detach_weights": False}
    inputs = tuple(view.requires_grad_() for view in views(4))
    assert torch.autograd.gradcheck(lambda a, b: nt_xent(a, b, **options), inputs)


def gradients(objective, **options):
    if objective == "nt_xent":
        inputs = [view.requires_grad_() for view in views()]
        loss = nt_xent(*inputs, **options)
    else:
        local, summary, batch = pairs()
        inputs = [local.requires_grad_(), summary.requires_grad_()]
        loss = LOCAL_GLOBAL[objective](*inputs, batch, **options)
    return [loss.detach(), *torch.autograd.grad(loss, inputs)]


@pytest.mark.parametrize("objective", [*LOCAL_GLOBAL, "nt_xent"])
@pytest.mark.parametrize(("beta", "tau_plus"), [(0.0, 0.3), (2.0, 0.0)])
@pytest.mark.parametrize("detach_weights", [True, False])
def test_both_forms_are_equal_without_hardness_and_without_a_prior(
    objective, beta, tau_plus, detach_weights
):
    options = {"beta": beta, "tau_plus": tau_plus, "detach_weights": detach_weights}
    found, expected = (
        gradients(objective, debias=debias, **options) for debias in ("consistent", "paper")
    )
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("objective", LOCAL_GLOBAL)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("critic", "size", "scale"),
    [("dot", 0.0, "none"), ("dot", 1e4, "none"), ("dot", 1e4, "max"), ("cosine", 1e4, "none")],
)
@pytest.mark.parametrize("beta", [1.0, 1e4])
@pytest.mark.parametrize("detach_weights", [True, False])
def test_extreme_scores_stay_finite_in_value_and_gradient(
    objective, dtype, critic, size, scale, beta, detach_weights
):
    local, summary, batch = pairs(dtype=dtype)
    inputs = [(local * size).requires_grad_(), summary.requires_grad_()]
    loss, found = LOCAL_GLOBAL[objective](
        *inputs,
        batch,
        beta=beta,
        tau_plus=0.1,
        debias="consistent",
        critic=critic,
        temperature=1e-4,
        score_scale=scale,
        detach_weights=detach_weights,
        return_diagnostics=True,
    )
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(one.grad).all() for one in inputs)
    if size:
        assert 0 < found.clamped < 1  # both cases are there


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("positive", [-1e4, 0.0, 1e4])
def test_shares_that_overflow_are_clamped_without_nan(loss, positive):
    p, negatives = torch.tensor([positive]), torch.tensor([[-1e4, 1.0, 1e4]])
    for beta in (1e4, torch.tensor(3e38)):
        found = value(loss, p, negatives * 0, beta, weight=torch.ones(1), detach_weights=False)
        assert torch.isfinite(found.loss)
        assert torch.isfinite(found.grad).all()
        assert found.clamped == (positive > 0)
    found = value(loss, p, negatives, 1e4, weight=torch.ones(1), detach_weights=False)
    assert torch.isfinite(found.loss)
    assert torch.isfinite(found.positive_grad)


def mixture(n):
    """True negatives, U(-1, 0.5) or U(0, 1); a tenth of the `n` scores are positives, which all score 1."""
    generator = torch.Generator().manual_seed(1)
    first, second, which, false = torch.rand(4, n, generator=generator, dtype=torch.float64)
    true = torch.where(which < 0.7, 1.5 * first - 1, second)
    return torch.where(false < TAU, 1.0, true)


def expectation(f):
    """E[f] over the true negatives."""
    return 0.7 / 1.5 * quad(f, -1, 0.5)[0] + 0.3 * quad(f, 0, 1)[0]


def estimate(objective, negatives, beta, **options):
    """The mean over negatives that an objective of one positive, which scores 1, contains."""
    n, one = len(negatives), torch.ones(1, 1, dtype=torch.float64)
    options |= {"beta": beta, "tau_plus": TAU}
    if objective == "nt_xent":
        # All rows are alike, so that two items have the scores 1; the queue has the others.
        unit = torch.tensor([[1.0, 0.0]], dtype=torch.float64).expand(2, 2)
        queue = torch.stack([negatives, (1 - negatives.square()).sqrt()], dim=1)
        context = Context(queue=queue)
        loss, n = nt_xent(unit, unit, temperature=1.0, _context=context, **options), n + 2
    else:
        summary = torch.cat([one, negatives.unsqueeze(1)])
        options |= {"critic": "dot", "score_scale": "none"}
        loss = LOCAL_GLOBAL[objective](one, summary, torch.zeros(1, dtype=torch.int64), **options)
    if objective == "jsd":
        return loss.item() - naive.softplus(-1.0)
    return (math.exp(loss.item() + 1) - math.e) / n


@pytest.mark.parametrize("objective", [*LOCAL_GLOBAL, "nt_xent"])
@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 2.0, 5.0])
def test_it_recovers_the_mean_over_true_negatives_where_the_papers_form_does_not(objective, beta):
    """Within four standard errors of a quotient of means (the delta method)."""
    f = naive.softplus if objective == "jsd" else math.exp
    weight = expectation(lambda x: math.exp(beta * x))
    truth = expectation(lambda x: math.exp(beta * x) * f(x)) / weight
    negatives = mixture(200_000)
    values = F.softplus(negatives) if objective == "jsd" else negatives.exp()
    residual = (beta * negatives).exp() * (values - truth)
    error = (residual.std() / len(negatives) ** 0.5 / ((1 - TAU) * weight)).item()
    assert 0 < error < 0.01
    found = estimate(objective, negatives, beta, debias="consistent")
    assert found == pytest.approx(truth, rel=0, abs=4 * error)
    paper = estimate(objective, negatives, beta, debias="paper")
    if beta == 0:
        assert paper == pytest.approx(found, rel=1e-12)
    elif beta >= 1:
        assert paper - truth > 20 * error


def normal(f, mean):
    """E[f] under N(mean, 1)."""
    density = 1 / math.sqrt(2 * math.pi)
    return quad(lambda x: density * math.exp(-((x - mean) ** 2) / 2) * f(x), mean - 10, mean + 10)[
        0
    ]


@pytest.mark.parametrize("beta", [0.0, 1.0, 10.0])
def test_a_prior_near_one_keeps_its_digits_in_float32(beta):
    generator = torch.Generator().manual_seed(0)
    negatives = 0.9 + 0.2 * torch.rand(500, 127, generator=generator)
    positive, found = negatives.mean(dim=1), []
    for dtype in (torch.float32, torch.float64):
        p, q = positive.to(dtype), negatives.to(dtype)
        share = _share(q * beta, p, torch.zeros(500, 0), beta, 0.999, "consistent")
        found.append(share.denominator.double())
    torch.testing.assert_close(*found, rtol=1e-4, atol=0)


def test_the_share_of_positives_under_hardness():
    """Negatives N(0, 1) and positives N(2, 1) at beta 1, where weights shift a normal distribution by 1."""
    u, u_plus = normal(math.exp, 0), normal(math.exp, 2)
    assert (u, u_plus) == pytest.approx((math.exp(0.5), math.exp(2.5)))
    mixed = TAU * u_plus + (1 - TAU) * u
    share = TAU * u_plus / mixed
    assert share == pytest.approx(0.45, abs=0.005)
    truth, hard = normal(naive.softplus, 1), normal(naive.softplus, 3)
    assert truth == pytest.approx(1.407, abs=5e-4)
    biased = share * hard + (1 - share) * truth
    assert biased == pytest.approx(2.159, abs=5e-4)
    # The paper's form, with the positives weighted as in its text, and with the anchor's own.
    assert (biased - TAU * hard) / (1 - TAU) == pytest.approx(2.057, abs=5e-4)
    paper = (biased - TAU * normal(naive.softplus, 2)) / (1 - TAU)
    assert paper == pytest.approx(2.156, abs=5e-4)

    def with_one_positive(p):
        """The consistent form of an anchor with this positive, of infinitely many negatives."""
        left = mixed * biased - TAU * math.exp(p) * naive.softplus(p)
        return max(0.0, left / max(mixed - TAU * math.exp(p), 0.1 * (1 - TAU) * mixed))

    # A positive that varies leaves a part of the bias.
    consistent = normal(with_one_positive, 2)
    spread = math.sqrt(normal(lambda p: (with_one_positive(p) - consistent) ** 2, 2))
    assert truth + 0.2 < consistent < biased - 0.4

    generator = torch.Generator().manual_seed(0)
    n, anchors = 50_000, 400
    noise, false = (torch.randn(n, generator=generator), torch.rand(n, generator=generator) < TAU)
    negatives = (noise + 2 * false).double()
    positives = torch.randn(anchors, generator=generator).double() + 2
    local = torch.stack([torch.ones_like(positives), positives], dim=1)
    summary = torch.zeros(n + 1, 2, dtype=torch.float64)
    summary[:n, 0], summary[n, 1] = negatives, 1.0
    residual = negatives.exp() * (F.softplus(negatives) - biased)
    error = (residual.std() / n**0.5 / mixed).item()
    error_positives = (F.softplus(positives).std() / anchors**0.5).item()
    options = {"beta": 1.0, "score_scale": "none"}
    for form, expected, standard_error in (
        ({"tau_plus": 0.0}, biased, error),
        ({"tau_plus": TAU}, paper, math.hypot(error, TAU * error_positives) / (1 - TAU)),
        ({"tau_plus": TAU, "debias": "consistent"}, consistent, spread / anchors**0.5),
    ):
        loss = local_global_jsd(local, summary, torch.full((anchors,), n), **form, **options)
        found = (loss - F.softplus(-positives).mean()).item()
        assert found == pytest.approx(expected, rel=0, abs=4 * standard_error)


@pytest.mark.parametrize("debias", ["paper", "consistent"])
@pytest.mark.parametrize("critic", ["dot", "cosine"])
@pytest.mark.parametrize("objective", LOCAL_GLOBAL)
def test_clamped_is_the_share_of_nodes_at_the_lower_bound(objective, critic, debias):
    local, summary, batch = pairs()
    f = naive.softplus if objective == "jsd" else math.exp
    lower = f(-1 / 0.4) if critic == "cosine" else 0.0
    shares = {}
    for tau_plus in (0.0, 0.6):
        options = {"beta": 1.5, "tau_plus": tau_plus, "temperature": 0.4, "critic": critic}
        found = LOCAL_GLOBAL[objective](
            local,
            summary,
            batch,
            debias=debias,
            score_scale="none",
            return_diagnostics=True,
            **options,
        )[1]
        shares[tau_plus] = found.clamped.item()
    expected = []
    for q, own in zip(naive.scores(local, summary, critic, 0.4), batch.tolist(), strict=True):
        negatives = [x for g, x in enumerate(q) if g != own]
        rest = naive.debiased(f, q[own], negatives, 1.5, 0.6, debias, lower)
        expected.append(rest == lower)
    assert shares == {0.0: 0.0, 0.6: pytest.approx(sum(expected) / len(expected))}
    assert 0 < sum(expected) < len(expected)


def test_the_least_softplus_of_a_cosine_score_bounds_the_mean():
    local = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    summary = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    for debias in ("paper", "consistent"):
        loss = local_global_jsd(
            local, summary, torch.tensor([0]), critic="cosine", temperature=0.5, debias=debias
        )
        assert loss.item() == pytest.approx(2 * naive.softplus(-2.0), rel=1e-12)
