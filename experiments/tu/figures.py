"""The figures over data sets and settings: accuracy against beta, gains over uniform, ranks."""

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from experiments.tu.families import COLOURS, SETS, style, without_others
from experiments.tu.tables import main_lines
from graphcl_hard.config import Config
from graphcl_hard.sweeps.report.analysis import (
    NAMES,
    Estimate,
    Folds,
    at_epoch,
    estimate,
    ordered,
    paired,
)
from graphcl_hard.sweeps.report.canvas import (
    Picture,
    error_bars,
    finish,
    new_figure,
    panels,
    shared_legend,
)
from graphcl_hard.sweeps.report.ranks import rank_diagram

GAINS = ("untrained", "bn-only", "wl", "hard", "released")


def accuracy_beta(scores: pd.DataFrame) -> Picture | None:
    """Draw accuracy against beta on each data set: hard at each tau_plus, released, and the two without beta."""
    rows = without_others(scores, "hard", "released")
    if rows.empty:
        return None
    lines = _beta_lines(scores, rows)
    betas = sorted({beta for line in lines.values() for points in line.values() for beta in points})
    datasets = ordered(rows["dataset"], SETS)
    constant = {
        name: results
        for name, results in main_lines(scores).items()
        if name in ("untrained", "uniform")
    }

    def draw(axes: Axes, dataset: str) -> None:
        # Seeds that not all points have would show as a difference between the points.
        curves = [points for curve in lines.values() for points in curve.get(dataset, {}).values()]
        everywhere = [
            *curves,
            *(results[dataset] for results in constant.values() if dataset in results),
        ]
        seeds = set.intersection(*(set(folds) for folds in everywhere))
        axes.annotate(
            f"seeds: {len(seeds)}",
            (0.02, 0.02),
            xycoords="axes fraction",
            fontsize=8,
            color="#555555",
        )
        axes.set_xlim(-0.5, len(betas) - 0.5)
        axes.set_xticks(range(len(betas)), [f"{beta:g}" for beta in betas])
        if not seeds:
            return
        for family, results in constant.items():
            if dataset in results:
                found = _estimate_over(results[dataset], seeds)
                axes.axhspan(
                    100 * found.low,
                    100 * found.high,
                    color=COLOURS[family],
                    alpha=0.09,
                    linewidth=0,
                )
                label = f"{family} (band: interval)"
                line = "--" if family == "untrained" else ":"
                axes.axhline(
                    100 * found.mean,
                    color=COLOURS[family],
                    linestyle=line,
                    linewidth=1.4,
                    label=label,
                )
        for number, ((family, tau_plus), curve) in enumerate(lines.items()):
            points = curve.get(dataset, {})
            each = [_estimate_over(points[beta], seeds) for beta in sorted(points)]
            places = np.array([betas.index(beta) for beta in sorted(points)]) + 0.13 * (
                number - (len(lines) - 1) / 2
            )
            dashed = family == "hard" and tau_plus != Config().tau_plus
            options: dict[str, Any] = (
                {"linestyle": "--", "markerfacecolor": "white"} if dashed else {}
            )
            label = family if family == "released" else f"{family}, tau_plus {tau_plus:g}"
            if each:
                error_bars(axes, places, each, style(family), label=label, **options)

    figure = panels(datasets, draw, "beta (hardness)", "accuracy, %", legend=2)
    alt = f"Accuracy against beta with intervals on {', '.join(datasets)}, for hard and released negatives."
    note = (
        "Last epoch, 95% intervals, over the seeds that all points of a data set have. The point at beta 0 and "
        "tau_plus 0 is uniform. Intervals are of the accuracy; those of differences on the same folds are narrower."
    )
    return Picture("accuracy_beta", "Accuracy against beta", alt, note, figure)


def _estimate_over(folds: Folds, seeds: Collection[int]) -> Estimate:
    return estimate({seed: folds[seed] for seed in seeds})


def _beta_lines(
    scores: pd.DataFrame, rows: pd.DataFrame
) -> dict[tuple[str, float], dict[str, dict[float, Folds]]]:
    """Return (family, tau_plus) -> data set -> beta -> results; uniform is the start of tau_plus 0."""
    lines: dict[tuple[str, float], dict[str, dict[float, Folds]]] = {}
    uniform = main_lines(scores).get("uniform", {})
    keys = rows[["family", "beta", "tau_plus", "method"]].drop_duplicates()
    for family, beta, tau_plus, method in keys.sort_values(
        ["family", "tau_plus", "beta"]
    ).itertuples(index=False):
        line = lines.setdefault((family, tau_plus if family == "hard" else 0.5), {})
        for dataset, folds in at_epoch(scores, method).items():
            points = line.setdefault(dataset, {})
            points[beta] = folds
            if (family, tau_plus) == ("hard", 0) and dataset in uniform:
                points.setdefault(0.0, uniform[dataset])
    return lines


def gains(scores: pd.DataFrame) -> Picture | None:
    """Draw the gain of each method over uniform on each data set, with intervals."""
    lines = main_lines(scores)
    shown = {family: lines[family] for family in GAINS if family in lines}
    tests = {family: paired(results, lines.get("uniform", {})) for family, results in shown.items()}
    tests = {family: frame for family, frame in tests.items() if len(frame)}
    datasets = ordered({dataset for frame in tests.values() for dataset in frame.index}, SETS)
    if not datasets:
        return None
    figure = new_figure(8.5, 0.72 * len(datasets) + 1.4)
    axes = figure.subplots()
    for number, (family, frame) in enumerate(tests.items()):
        offset = 0.18 * (number - (len(tests) - 1) / 2)
        places = np.array([datasets.index(dataset) for dataset in frame.index]) + offset
        points = 100 * frame["difference"].to_numpy()
        bars = [points - 100 * frame["low"].to_numpy(), 100 * frame["high"].to_numpy() - points]
        drawn = style(family) | {"linestyle": "none", "capsize": 2, "markersize": 6}
        axes.errorbar(points, places, xerr=bars, label=NAMES.get(family, family), **drawn)
    axes.axvline(0, color=COLOURS["uniform"], linewidth=1.4, label="uniform")
    for place in range(len(datasets) - 1):
        axes.axhline(place + 0.5, color="#cccccc", linewidth=0.6)
    axes.set_yticks(range(len(datasets)), datasets)
    axes.set_ylim(len(datasets) - 0.5, -0.5)
    axes.set_xlabel("accuracy - accuracy of uniform, points")
    finish(axes)
    axes.grid(axis="y", visible=False)
    shared_legend(figure)
    alt = f"Differences from uniform with 95% intervals on {', '.join(datasets)}."
    note = "Fixed settings, last epoch, same folds; each interval holds 95% for itself, without Holm's correction."
    return Picture("gain_over_uniform", "Gain over uniform", alt, note, figure)


def critical_difference(scores: pd.DataFrame) -> Picture | None:
    """Draw the average ranks of the main table."""
    lines = main_lines(scores)
    labels = {family: NAMES.get(family, family) for family in lines}
    return rank_diagram(lines, labels, COLOURS)
