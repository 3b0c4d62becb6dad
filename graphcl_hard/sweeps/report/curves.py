"""The figures over epochs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from graphcl_hard.sweeps.report.analysis import NAMES, at_epoch, estimate
from graphcl_hard.sweeps.report.canvas import Picture, epoch_axis, error_bars, line_style, panels
from graphcl_hard.sweeps.report.table import Words

Record = Mapping[str, Any]
Curves = dict[tuple[str, str], tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]
MOST = 12  # lines in a figure


def score_epochs(
    scores: pd.DataFrame, methods: Sequence[str], datasets: Sequence[str], words: Words
) -> Picture | None:
    """Draw the score over the scored epochs of the methods that have several."""
    counts = scores.groupby("method")["epoch"].nunique()
    lines = [name for name in methods if counts.get(name, 0) > 1]
    drawn, left_out = lines[:MOST], lines[MOST:]
    if not drawn:
        return None
    rows = scores[scores["method"].isin(drawn)]
    epochs = sorted(int(epoch) for epoch in rows["epoch"].unique())
    found = {(name, epoch): at_epoch(scores, name, epoch) for name in drawn for epoch in epochs}

    def draw(axes: Axes, dataset: str) -> None:
        for number, name in enumerate(drawn):
            here = [place for place, epoch in enumerate(epochs) if dataset in found[name, epoch]]
            each = [estimate(found[name, epochs[place]][dataset]) for place in here]
            if each:
                offset = 0.5 * (number - (len(drawn) - 1) / 2) / len(drawn)
                style = line_style(methods.index(name)) | {"label": NAMES.get(name, name)}
                error_bars(axes, np.array(here) + offset, each, style)
        axes.set_xticks(range(len(epochs)), [str(epoch) for epoch in epochs])

    shown = [name for name in datasets if (rows["dataset"] == name).any()]
    figure = panels(
        shown, draw, "epoch (0: untrained)", f"{words.score}, %", legend=-(-len(drawn) // 4)
    )
    alt = f"{words.score.capitalize()} over the epochs with intervals on {', '.join(shown)}."
    note = (
        "95% intervals. The epochs are evenly spaced on the axis, though not in time."
        + _without(left_out)
    )
    return Picture("score_epochs", f"{words.score.capitalize()} over epochs", alt, note, figure)


def training_curve(
    name: str,
    title: str,
    records: Iterable[Record],
    methods: Sequence[str],
    datasets: Sequence[str],
    share: bool = False,
) -> Picture | None:
    """Draw what training recorded in each epoch, a line for each method: the mean over its seeds.

    Args:
        name: of the curve in the records.
        title: of the figure and its axis.
        records: of the cells.
        methods: in the order of the plan.
        datasets: in the order of the plan.
        share: whether the values are shares, from 0 to 1.
    """
    found = curves_of(
        records, methods, lambda record: enumerate(record["training"].get(name, ()), start=1)
    )
    lines = [method for method in methods if any(key[1] == method for key in found)]
    drawn, left_out = lines[:MOST], lines[MOST:]
    if not drawn:
        return None

    def draw(axes: Axes, dataset: str) -> None:
        for method in drawn:
            if (dataset, method) in found:
                epochs, values = found[dataset, method]
                style = line_style(methods.index(method)) | {"markersize": 4, "linewidth": 1.4}
                axes.plot(epochs, values.mean(axis=0), label=NAMES.get(method, method), **style)
        if share:
            axes.set_ylim(0, 1.05)
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        epoch_axis(axes)

    shown = [one for one in datasets if any(key[0] == one for key in found)]
    figure = panels(shown, draw, "epoch", title, legend=-(-len(drawn) // 4))
    alt = f"{title} over the epochs on {', '.join(shown)}."
    return Picture(
        name, f"{title} over epochs", alt, "Mean over seeds." + _without(left_out), figure
    )


def _without(left_out: Sequence[str]) -> str:
    return f" Not drawn: {', '.join(left_out)}." if left_out else ""


def curves_of(
    records: Iterable[Record], methods: Iterable[str], read: Callable[[Record], Any]
) -> Curves:
    """Return (data set, method) -> epochs (E,) and values (seeds, E), over the epochs that all seeds have."""
    found: dict[tuple[str, str], list[dict[int, float]]] = {}
    for record in records:
        if record["method"] in methods and record["scores"]:
            curve = dict(read(record))
            if curve:
                found.setdefault((record["dataset"], record["method"]), []).append(curve)
    lines = {}
    for key, curves in found.items():
        epochs = sorted(set.intersection(*(set(curve) for curve in curves)))
        lines[key] = (
            np.array(epochs),
            np.array([[curve[epoch] for epoch in epochs] for curve in curves]),
        )
    return lines
