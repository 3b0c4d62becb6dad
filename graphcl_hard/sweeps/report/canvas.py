"""Helpers of all figures: colours and markers, a panel for each data set, reproducible files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from graphcl_hard.io.atomic_write import atomic_write

PANELS_A_ROW = 4
# Okabe and Ito's colours, which colour-blind readers can distinguish; markers repeat the distinction
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#8c8c8c")
SHAPES = "os^Dv<>Pp"


@dataclass(frozen=True)
class Picture:
    """A figure with the stem of its file, its title, its alternative text and a note."""

    name: str
    title: str
    alt: str
    note: str
    figure: Figure


def line_style(number: int) -> dict[str, Any]:
    """Return colour and marker of a line by its number; the first 72 differ."""
    return {"color": PALETTE[number % len(PALETTE)], "marker": SHAPES[number % len(SHAPES)]}


def panels(
    datasets: Sequence[str], draw: Callable[[Axes, str], None], x: str, y: str, legend: int = 1
) -> Figure:
    """Draw a panel for each data set, with one legend above all.

    Args:
        datasets: one a panel, in this order.
        draw: draws a data set into its axes.
        x: label of the x axis.
        y: label of the y axis.
        legend: rows of the legend.
    """
    columns = min(PANELS_A_ROW, len(datasets))
    rows = -(-len(datasets) // columns)
    width = max(2.9 * columns, 6.0)
    figure = new_figure(width, 2.5 * rows + 0.9 + 0.25 * legend)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, dataset in zip(grid.ravel(), datasets, strict=False):
        draw(axes, dataset)
        axes.set_title(dataset, fontsize=11)
        finish(axes)
    for axes in grid.ravel()[len(datasets) :]:
        axes.remove()
    figure.supxlabel(x, fontsize=11)
    figure.supylabel(y, fontsize=11)
    shared_legend(figure, legend)
    return figure


def shared_legend(figure: Figure, rows: int = 1) -> None:
    """Draw one legend above all panels, with each label once, in at least so many rows."""
    found: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    for columns in range(-(-len(found) // rows), 0, -1):
        legend = figure.legend(
            found.values(),
            found.keys(),
            loc="outside upper center",
            ncols=columns,
            frameon=False,
            fontsize=10,
        )
        if columns == 1 or legend.get_window_extent().width <= figure.bbox.width:
            more = -(-len(found) // columns) - rows
            figure.set_figheight(figure.get_figheight() + 0.25 * max(0, more))
            break
        legend.remove()  # it would be cut off


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of this size in inches, independent of pyplot's state."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def epoch_axis(axes: Axes) -> None:
    """Place ticks at round numbers of whole epochs."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))


def finish(axes: Axes) -> None:
    """Draw a grid, and no box."""
    axes.grid(alpha=0.3, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)


def error_bars(
    axes: Axes, x: Any, found: Sequence[Any], style: dict[str, Any], **options: Any
) -> None:
    """Draw estimates as points with their intervals, in per cent, joined by a line."""
    means, low, high = (
        100 * np.array([getattr(one, name) for one in found]) for name in ("mean", "low", "high")
    )
    drawn = {"capsize": 2, "elinewidth": 0.8, "linewidth": 1.4, "markersize": 5} | style | options
    axes.errorbar(x, means, yerr=[means - low, high - means], **drawn)


def save(figure: Figure, path: Path) -> None:
    """Write a PNG file without date or library version."""
    with atomic_write(path) as partial:
        figure.savefig(partial, dpi=140, metadata={"Software": None})
