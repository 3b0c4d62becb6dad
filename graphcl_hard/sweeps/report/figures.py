"""The figure of the scores of a sweep."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from graphcl_hard.sweeps.report.analysis import NAMES, Results, estimate
from graphcl_hard.sweeps.report.canvas import PANELS_A_ROW, Picture, finish, line_style, new_figure
from graphcl_hard.sweeps.report.table import Words

MOST = 40  # methods in the figure


def intervals(
    lines: Mapping[str, Results],
    methods: Sequence[str],
    datasets: Sequence[str],
    words: Words,
) -> Picture | None:
    """Draw the score of each method with its interval, a panel for each data set; `methods` gives the styles."""
    names, left_out = list(lines)[:MOST], list(lines)[MOST:]
    shown = [one for one in datasets if any(one in lines[name] for name in names)]
    if len(names) < 2:
        return None
    columns = min(PANELS_A_ROW, len(shown))
    rows = -(-len(shown) // columns)
    figure = new_figure(max(2.6 * columns + 1.4, 6.0), rows * (0.26 * len(names) + 0.9))
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axes, dataset in zip(grid.ravel(), shown, strict=False):
        _panel(axes, dataset, names, lines, methods)
    for axes in grid.ravel()[len(shown) :]:
        axes.remove()
    figure.supxlabel(f"{words.score}, %", fontsize=11)
    alt = (
        f"{words.score.capitalize()} of {len(names)} methods with intervals on {', '.join(shown)}."
    )
    note = (
        "95% intervals, at the last epoch. Those of differences on the same folds are usually narrower: compare "
        "methods by the tables of differences."
    )
    if left_out:
        note += f" Not drawn: {', '.join(left_out)}."
    return Picture("intervals", f"{words.score.capitalize()} of all methods", alt, note, figure)


def _panel(
    axes: Axes,
    dataset: str,
    names: Sequence[str],
    lines: Mapping[str, Results],
    methods: Sequence[str],
) -> None:
    for place, name in enumerate(names):
        if dataset in lines[name]:
            found = estimate(lines[name][dataset])
            bars = 100 * np.array([[found.mean - found.low], [found.high - found.mean]])
            style = line_style(methods.index(name)) | {
                "linestyle": "none",
                "capsize": 2,
                "markersize": 5,
            }
            axes.errorbar(100 * found.mean, place, xerr=bars, **style)
    axes.set_yticks(range(len(names)), [NAMES.get(name, name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_title(dataset, fontsize=11)
    finish(axes)
    axes.grid(axis="y", visible=False)
