"""The picture of the speed benchmark: growth of time and memory with the data set."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from graphcl_hard.io.atomic_write import atomic_write

LABELS = {"textbook": "PyG textbook", "package": "graphcl_hard"}
DRAWN = {
    "textbook": ("#D55E00", "s"),
    "package": ("#0072B2", "o"),
}  # distinguishable without red and green
FLAT = 20  # the least ratio of a memory axis's ends, so that a flat line looks flat


def draw(section: Mapping[str, Any], path: Path) -> None:
    """Draw time per epoch and peak memory against the number of synthetic graphs into a PNG file."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    times, memory = figure.subplots(1, 2)
    sets = [one for one in section["sets"] if one["synthetic"]]
    graphs = np.array([one["graphs"] for one in sets])
    for variant, (colour, marker) in DRAWN.items():
        style = {"color": colour, "marker": marker, "markersize": 6, "linestyle": "none"}
        summary = [one["summary"][variant] for one in sets]
        median = np.array([one["median"] for one in summary])
        bars = [median - [one["min"] for one in summary], [one["max"] for one in summary] - median]
        fit = section["fit"][variant]
        error = "" if fit["standard_error"] is None else rf" \pm {fit['standard_error']:.2f}"
        label = rf"{LABELS[variant]}: graphs$^{{{fit['exponent']:.2f}{error}}}$"
        times.errorbar(graphs, median, yerr=bars, capsize=3, label=label, **style)
        times.plot(graphs, fit["factor"] * graphs ** fit["exponent"], color=colour, linewidth=1)
        peaks = [one["peak"][variant].get("extra_mib", math.nan) for one in sets]
        memory.plot(
            graphs, peaks, label=LABELS[variant], **style | {"linestyle": "-", "linewidth": 1}
        )
    times.set(ylabel="seconds an epoch", title="time: median, range and fitted power of the size")
    memory.set(ylabel="MiB", title="peak memory of training, beyond the loaded set")
    for axes in (times, memory):
        _finish(axes, graphs)
    figure.suptitle(
        f"Training on synthetic graphs of 20 to 40 nodes ({section['device']})", fontsize=11
    )
    with atomic_write(path) as partial:
        figure.savefig(partial, dpi=130)


def _finish(axes: Axes, graphs: np.ndarray) -> None:
    """Make both axes logarithmic, with plain numbers at the data sets' sizes."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    if high / low < FLAT:
        middle = math.sqrt(low * high)
        axes.set_ylim(middle / FLAT, middle * FLAT)
    axes.set_xlabel("graphs")
    axes.set_xticks(graphs, [f"{size:,}" for size in graphs])
    axes.set_xticks([], minor=True)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.title.set_fontsize(10)
    axes.legend(frameon=False, fontsize=9, loc="upper left")
