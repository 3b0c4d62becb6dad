"""The figures of the study: its claims on one picture, and what the treatment did over the epochs."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from experiments.hardness.arms import BOUND, CLAIMS, SETS
from graphcl_hard.sweeps.report.canvas import (
    PALETTE,
    Picture,
    epoch_axis,
    finish,
    new_figure,
    panels,
)
from graphcl_hard.sweeps.report.effects import BOTH, SEEDS

VERDICTS = {"different": PALETTE[1], "equivalent": PALETTE[2], "undecided": "#ffffff"}
"""Colours of the points; "different" stands for above and below."""
CURVES = {
    "uniform": PALETTE[0],
    "hard-50": PALETTE[2],
    "hard-20": PALETTE[5],
    "hard-5": PALETTE[1],
    "released": PALETTE[3],
}


def claims_figure(answers: pd.DataFrame) -> Picture | None:
    """Draw the pooled difference of each claim with both intervals, and the band of equivalence.

    Args:
        answers: of `experiments.hardness.tables.answers_frame`.
    """
    if answers.empty:
        return None
    pooled = answers.set_index(["method", "control", "question"])
    drawn = [one for one in CLAIMS if (one.method, one.control, SEEDS) in pooled.index]
    figure = new_figure(8.6, 0.9 + 0.34 * len(drawn))
    axes = figure.subplots()
    axes.axvspan(-100 * BOUND, 100 * BOUND, color="#000000", alpha=0.07, linewidth=0)
    axes.axvline(0, color="#000000", linewidth=0.8)
    for place, claim in enumerate(drawn):
        for question, width, colour in ((BOTH, 1.2, "#8c8c8c"), (SEEDS, 4.0, PALETTE[0])):
            key = (claim.method, claim.control, question)
            if key not in pooled.index:
                continue
            row = pooled.loc[key]
            axes.plot(
                100 * np.array([row["low"], row["high"]]),
                [place, place],
                color=colour,
                linewidth=width,
                solid_capstyle="butt",
            )
        row = pooled.loc[(claim.method, claim.control, SEEDS)]
        colour = _colour(str(row["verdict"]))
        axes.plot(
            100 * row["difference"],
            place,
            "o",
            color="#000000",
            markerfacecolor=colour,
            markersize=6,
            zorder=3,
        )
    axes.set_yticks(
        range(len(drawn)), [f"{one.question}\n{one.method} − {one.control}" for one in drawn]
    )
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.set_xlabel("difference in accuracy, points, mean over the data sets")
    finish(axes)
    axes.tick_params(axis="y", labelsize=7.5)
    axes.grid(axis="y", visible=False)
    figure.legend(
        handles=[
            Line2D([], [], color=PALETTE[0], linewidth=4, label="95%, other seeds on these graphs"),
            Line2D([], [], color="#8c8c8c", linewidth=1.2, label="95%, new graphs and seeds"),
            Patch(color="#000000", alpha=0.07, label=f"{100 * BOUND:g} points to each side"),
            *(
                Line2D(
                    [],
                    [],
                    marker="o",
                    linestyle="",
                    color="#000000",
                    markerfacecolor=c,
                    label=label,
                )
                for label, c in VERDICTS.items()
            ),
        ],
        loc="outside upper center",
        ncols=3,
        frameon=False,
        fontsize=9,
    )
    return Picture(
        "claims",
        "All claims on one picture",
        "Difference in accuracy of each comparison, pooled over the data sets, with two 95% intervals and the band of "
        "equivalence",
        "Points are the differences, pooled over the data sets, coloured by the verdict on these graphs. Verdicts are "
        "corrected for all tests of the page, intervals are not.",
        figure,
    )


def _colour(verdict: str) -> str:
    """Return the colour of a verdict, which begins with a key of `VERDICTS` or with the side of a difference."""
    return VERDICTS.get(verdict, VERDICTS["different"])


def training_figure(records: Iterable[Mapping[str, Any]], curve: str, label: str) -> Picture | None:
    """Draw one curve of the training over the epochs, the mean over the seeds, a panel for each data set."""
    found: dict[tuple[str, str], list[list[float]]] = {}
    for record in records:
        values = record["training"].get(curve) or []
        if record["method"] in CURVES and record["status"] == "finished" and values:
            found.setdefault((record["dataset"], record["method"]), []).append(values)
    datasets = [name for name in SETS if any(dataset == name for dataset, _ in found)]
    if not datasets:
        return None

    def draw(axes: Axes, dataset: str) -> None:
        for method, colour in CURVES.items():
            if (dataset, method) in found:
                mean = np.mean(found[dataset, method], axis=0)
                mean = mean / mean[0] if curve == "loss" else mean
                axes.plot(np.arange(1, len(mean) + 1), mean, color=colour, label=method)
        epoch_axis(axes)
        if curve == "loss":
            axes.set_yscale("log")
        else:
            axes.set_ylim(0, 1.02)

    return Picture(
        curve,
        f"{label[0].upper()}{label[1:]} over the epochs",
        f"{label} over the epochs for each data set",
        "Mean over the seeds."
        + (" Each loss is divided by that of the first epoch." if curve == "loss" else ""),
        panels(datasets, draw, "epoch", label),
    )
