"""The pictures of theory.md, drawn by calling the objectives: `python docs/theory_pictures.py`."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from torch import Tensor

from graphcl_hard.io.atomic_write import atomic_write
from graphcl_hard.losses.local_global import local_global_jsd
from graphcl_hard.losses.weights import effective_negatives, hard_negative_weights

FOLDER = Path(__file__).parent / "pictures"
# Okabe and Ito's colours, which colour-blind readers can distinguish; the dashes repeat the distinction.
LINES = (
    ("#000000", "-"),
    ("#0072B2", "--"),
    ("#D55E00", "-."),
    ("#009E73", ":"),
    ("#CC79A7", (0, (6, 2, 1, 2, 1, 2))),
)
POSITIVE = 2.0


def loss(positive: Tensor | float, negatives: Tensor, **settings: float | str) -> Tensor:
    """`local_global_jsd` of one node with these scores: its summaries are the scores, its vector is 1."""
    summary = torch.cat([torch.as_tensor(positive, dtype=negatives.dtype).reshape(1), negatives])
    one, own = torch.ones(1, 1, dtype=negatives.dtype), torch.zeros(1, dtype=torch.int64)
    value = local_global_jsd(one, summary.unsqueeze(1), own, **settings)  # type: ignore[arg-type]
    assert isinstance(value, Tensor)
    return value


def weights(axes: Axes) -> None:
    """The weight of a negative against its score, as beta grows."""
    scores = torch.linspace(-1, 1, 101, dtype=torch.float64)
    for (colour, dash), beta in zip(LINES, (0.0, 0.5, 1.0, 2.0, 4.0), strict=True):
        axes.plot(
            scores,
            hard_negative_weights(scores[None], beta)[0],
            color=colour,
            ls=dash,
            label=f"beta {beta:g}",
        )
    axes.set(
        xlabel="score of the negative", ylabel="weight (mean one)", xticks=[-1, -0.5, 0, 0.5, 1]
    )


def debiasing(axes: Axes, beta: float) -> None:
    """The loss of a node, a tenth of whose negatives are false, against the score of the true ones."""
    scores = torch.linspace(-2, 2, 81, dtype=torch.float64)
    false = torch.full((10,), POSITIVE, dtype=torch.float64)
    hard = {"beta": beta, "score_scale": "none"}
    curves: Mapping[str, tuple[Tensor, float]] = {
        "true negatives": (false[:0], 0.0),
        "with a tenth false, tau_plus 0": (false, 0.0),
        "with a tenth false, tau_plus 0.1": (false, 0.1),
    }
    for (colour, dash), (label, (extra, tau_plus)) in zip(LINES, curves.items(), strict=False):
        losses = [
            loss(POSITIVE, torch.cat([score.repeat(90), extra]), tau_plus=tau_plus, **hard)
            for score in scores
        ]
        axes.plot(scores, losses, color=colour, ls=dash, label=label)
    axes.set(
        xlabel="score of the true negatives",
        ylabel="loss of the node",
        title=f"beta {beta:g}",
        ylim=(0, 2.4),
    )


FORMS: Mapping[str, dict[str, float | str]] = {
    "true negatives": {"tau_plus": 0.0},
    "no debiasing": {"tau_plus": 0.0},
    "paper": {"tau_plus": 0.1},
    "consistent": {"tau_plus": 0.1, "debias": "consistent"},
}


def normal(n: int) -> Tensor:
    """`n` scores that follow a standard normal distribution."""
    standard = torch.distributions.Normal(torch.zeros((), dtype=torch.float64), 1.0)
    return standard.icdf((torch.arange(n, dtype=torch.float64) + 0.5) / n)


def mean_over_negatives(
    positives: Tensor, negatives: Tensor, **settings: float | str
) -> tuple[float, float]:
    """The term of the negatives in `local_global_jsd`, averaged over nodes, and the share of them that is clamped.

    Each node has one of the positives, and all the negatives.
    """
    local = torch.stack([torch.ones_like(positives), positives], dim=1)
    summary = torch.stack([negatives, torch.zeros_like(negatives)], dim=1)
    summary = torch.cat([summary, torch.tensor([[0.0, 1.0]], dtype=summary.dtype)])
    own = torch.full((len(positives),), len(negatives))
    options: dict[str, Any] = {"score_scale": "none", "return_diagnostics": True, **settings}
    value, found = local_global_jsd(local, summary, own, **options)
    return float(value - torch.nn.functional.softplus(-positives).mean()), float(found.clamped)


def bias_against_beta(axes: Axes) -> None:
    """The mean over negatives, a tenth of which are false and score 3 as the positive does, against beta."""
    true, false = normal(9000), torch.full((1000,), 3.0, dtype=torch.float64)
    betas = torch.linspace(0, 2, 21).tolist()
    for (colour, dash), (label, form) in zip(LINES, FORMS.items(), strict=False):
        scores = true if label == "true negatives" else torch.cat([true, false])
        means = [mean_over_negatives(false[:1], scores, beta=beta, **form)[0] for beta in betas]
        axes.plot(betas, means, color=colour, ls=dash, label=label)
    axes.set(xlabel="beta", ylabel="mean over the negatives", title="all positives score 3")


def bias_against_separation(axes: Axes) -> None:
    """The same at beta 1, with one positive for each node, which varies, against the mean score of the positives."""
    true, one = normal(9000), torch.zeros(1, dtype=torch.float64)
    centres = torch.linspace(0, 5, 11).tolist()
    for (colour, dash), (label, form) in zip(LINES, FORMS.items(), strict=False):
        means = []
        for centre in centres:
            constant = form["tau_plus"] == 0  # the same for every node
            positives = one if constant else normal(499) + centre
            scores = true if label == "true negatives" else torch.cat([true, normal(1000) + centre])
            means.append(mean_over_negatives(positives, scores, beta=1.0, **form)[0])
        axes.plot(centres, means, color=colour, ls=dash, label=label)
    axes.set(
        xlabel="mean score of the positives (standard deviation 1)",
        ylabel="mean over the negatives",
        title="beta 1, one positive per node",
    )


def mean_over_the_batchs_positives(positives: Tensor, negatives: Tensor, beta: float) -> Tensor:
    """The consistent form with the mean over the batch's positives (B,) for the anchor's own, which was not taken.

    The negatives are (B, n), or (1, n) for all anchors; the means (B,) are 0 where they are clamped.
    """
    share, sp = 0.1, torch.nn.functional.softplus
    u, own = (beta * negatives).exp(), (beta * positives).exp()
    above = (u * sp(negatives)).mean(dim=1) - share * (own * sp(positives)).mean()
    floor = 0.1 * (1 - share) * u.mean(dim=1)
    return (above / (u.mean(dim=1) - share * own.mean()).maximum(floor)).clamp_min(0)


def trials_of_the_batchs_positives(beta: float, number: int = 100) -> dict[str, float]:
    """The mean over true negatives and the estimates by the batch's positives, of random scores.

    "large" estimates have 20,000 negatives for all of 400 nodes, "small" ones 127 for each of 128 nodes.
    """
    generator = torch.Generator().manual_seed(0)

    def scores(*size: int, false: float) -> Tensor:
        which = torch.rand(*size, generator=generator, dtype=torch.float64) < false
        return torch.randn(*size, generator=generator, dtype=torch.float64) + 2.0 * which

    rows = []
    for _ in range(number):
        true, false = scores(18_000, false=0.0), scores(2_000, false=1.0)
        truth = torch.softmax(beta * true, dim=0) @ torch.nn.functional.softplus(true)
        negatives = torch.cat([true, false])[None]
        large = mean_over_the_batchs_positives(scores(400, false=1.0), negatives, beta)[0]
        positives, negatives = scores(128, false=1.0), scores(128, 127, false=0.1)
        clamped = mean_over_the_batchs_positives(positives, negatives, beta) == 0
        rows.append(torch.stack([truth, large, clamped.double().mean()]))
    truth, large, clamped = torch.stack(rows).unbind(dim=1)
    return {
        "truth": float(truth.mean()),
        "large": float(large.mean()),
        "deviation": float(large.std()),
        "clamped": float(clamped.mean()),
    }


MODES: Mapping[str, dict[str, float | str]] = {
    "uniform (InfoGraph)": {"beta": 0.0, "tau_plus": 0.0},
    "hard, beta 2, tau_plus 0.1": {"beta": 2.0, "tau_plus": 0.1},
    "released, beta 2": {"beta": 2.0, "mode": "released"},
}


def push_on_negatives(axes: Axes) -> None:
    """How hard a step pushes a negative down, against the negative's score."""
    for (colour, dash), (label, settings) in zip(LINES, MODES.items(), strict=False):
        scores = torch.linspace(-2, 2, 101, dtype=torch.float64, requires_grad=True)
        (push,) = torch.autograd.grad(loss(POSITIVE, scores, **settings), scores)
        axes.plot(scores.detach(), push * scores.numel(), color=colour, ls=dash, label=label)
    axes.set(xlabel="score of the negative", ylabel="push down (n x dL / dq)", title="negatives")


def pull_on_positive(axes: Axes) -> None:
    """How hard a step pulls the positive up, against the positive's score."""
    negatives = torch.linspace(-2, 2, 101, dtype=torch.float64)
    for (colour, dash), (label, settings) in zip(LINES, MODES.items(), strict=False):
        positives = torch.linspace(-4, 4, 81, dtype=torch.float64, requires_grad=True)
        total = torch.stack([loss(positive, negatives, **settings) for positive in positives]).sum()
        (gradient,) = torch.autograd.grad(total, positives)
        axes.plot(positives.detach(), -gradient, color=colour, ls=dash, label=label)
    axes.axhline(0, color="#8c8c8c", linewidth=0.8)
    axes.set(xlabel="score of the positive", ylabel="pull up (-dL / dp)", title="the positive")


def effective(axes: Axes) -> None:
    """The share of 127 negatives that is left, against beta, for scores spread more or less widely."""
    scores = normal(127)
    betas = torch.logspace(-1, 2, 91, dtype=torch.float64)
    for (colour, dash), spread in zip(LINES, (0.1, 0.3, 1.0), strict=False):
        left = [
            effective_negatives(hard_negative_weights(spread * scores[None], float(beta)))
            for beta in betas
        ]
        axes.plot(
            betas,
            torch.cat(left) / 127,
            color=colour,
            ls=dash,
            label=f"standard deviation {spread:g}",
        )
    axes.axhline(1 / 127, color="#8c8c8c", linewidth=0.8)
    axes.set(xscale="log", ylim=(0, 1.03), xlabel="beta", ylabel="effective negatives (share)")
    axes.set_xticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])


PICTURES = {
    "weights": [weights],
    "debiasing": [lambda axes: debiasing(axes, 0.0), lambda axes: debiasing(axes, 1.0)],
    "consistent_debiasing": [bias_against_beta, bias_against_separation],
    "released": [push_on_negatives, pull_on_positive],
    "effective_negatives": [effective],
}


def draw(folder: Path) -> None:
    """Draw every picture into a folder, as NAME.svg."""
    for name, panels in PICTURES.items():
        # One seed for the names inside the file, so that the same picture has the same bytes.
        with matplotlib.rc_context({"svg.hashsalt": name, "font.size": 11, "lines.linewidth": 2}):
            figure = Figure(figsize=(5.4, 0.8 + 3.2 * len(panels)), layout="constrained")
            FigureCanvasSVG(figure)
            for axes, panel in zip(
                figure.subplots(len(panels), 1, squeeze=False)[:, 0], panels, strict=True
            ):
                panel(axes)
                axes.grid(alpha=0.3)
                axes.spines[["top", "right"]].set_visible(False)
            handles, labels = figure.axes[0].get_legend_handles_labels()
            columns = 3 if len(labels) > 3 else 1
            figure.legend(
                handles,
                labels,
                loc="outside upper center",
                ncols=columns,
                frameon=False,
                handlelength=3,
            )
            with atomic_write(folder / f"{name}.svg") as partial:
                figure.savefig(partial, format="svg", metadata={"Date": None})


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    draw(FOLDER if len(sys.argv) == 1 else Path(sys.argv[1]))
