"""The figures over epochs and over shares of the labels."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from experiments.tu.families import (
    COLOURS,
    OVER_EPOCHS,
    SETS,
    default_methods,
    style,
    without_others,
)
from experiments.tu.tables import main_lines
from graphcl_hard.config import Config
from graphcl_hard.sweeps.report.analysis import NAMES, at_epoch, estimate, ordered
from graphcl_hard.sweeps.report.canvas import Picture, epoch_axis, error_bars, panels
from graphcl_hard.sweeps.report.curves import curves_of

Record = Mapping[str, Any]


def effective_negatives(records: Iterable[Record], scores: pd.DataFrame) -> Picture | None:
    """Draw the effective share of negatives over the epochs, a line for each beta, at hard's default tau_plus."""
    rows = without_others(scores, "hard")
    rows = rows[rows["tau_plus"] == Config().tau_plus]
    methods = dict(
        rows[["method", "beta"]].drop_duplicates().sort_values("beta").itertuples(index=False)
    )
    lines = curves_of(
        records,
        methods,
        lambda record: list(enumerate(record["training"]["effective_negatives"], start=1)),
    )
    if not lines:
        return None
    shades = colormaps["viridis"](
        np.linspace(0.0, 0.75, len(methods))
    )  # its light end is lost on white

    def draw(axes: Axes, dataset: str) -> None:
        for (method, beta), shade in zip(methods.items(), shades, strict=True):
            if (dataset, method) in lines:
                epochs, values = lines[dataset, method]
                axes.plot(
                    epochs, values.mean(axis=0), color=shade, linewidth=1.6, label=f"beta {beta:g}"
                )
        axes.set_ylim(0, 1.05)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        epoch_axis(axes)

    datasets = ordered({dataset for dataset, _ in lines}, SETS)
    figure = panels(datasets, draw, "epoch", "effective negatives, share of all")
    alt = f"Effective share of negatives over the epochs for each beta on {', '.join(datasets)}."
    note = (
        f"hard at tau_plus {Config().tau_plus:g}; mean over seeds. "
        "100% means that all negatives have the same weight."
    )
    return Picture("effective_negatives", "Effective negatives over epochs", alt, note, figure)


def effective_rank(records: Iterable[Record], scores: pd.DataFrame) -> Picture | None:
    """Draw the effective rank of the embedding over the epochs, for trained methods at default settings."""
    methods = _over_epochs(scores)
    lines = curves_of(
        records,
        methods,
        lambda record: sorted(
            (int(epoch), found["effective_rank"]) for epoch, found in record["embedding"].items()
        ),
    )
    if not lines:
        return None

    def draw(axes: Axes, dataset: str) -> None:
        for method, family in methods.items():
            if (dataset, method) in lines:
                epochs, values = lines[dataset, method]
                drawn = style(family) | {
                    "markersize": 5,
                    "linewidth": 1.4,
                    "label": NAMES.get(family, family),
                }
                axes.plot(epochs, values.mean(axis=0), **drawn)
                axes.fill_between(
                    epochs,
                    values.min(axis=0),
                    values.max(axis=0),
                    color=drawn["color"],
                    alpha=0.12,
                    linewidth=0,
                )
        axes.set_ylim(bottom=0)
        epoch_axis(axes)

    datasets = ordered({dataset for dataset, _ in lines}, SETS)
    figure = panels(datasets, draw, "epoch (0: untrained)", "effective rank")
    alt = f"Effective rank of the embedding over the epochs on {', '.join(datasets)}."
    note = "Settings of the main table; mean over seeds, band from the least to the largest."
    return Picture("effective_rank", "Effective rank of the embedding", alt, note, figure)


def _over_epochs(scores: pd.DataFrame) -> dict[str, str]:
    return {
        method: family
        for family, method in default_methods(scores).items()
        if family in OVER_EPOCHS
    }


def accuracy_epochs(scores: pd.DataFrame) -> Picture | None:
    """Draw accuracy over the scored epochs, for the trained methods at their default settings."""
    methods = _over_epochs(scores)
    if not methods:
        return None
    rows = scores[scores["method"].isin(methods)]
    epochs = sorted(int(epoch) for epoch in rows["epoch"].unique())
    found = {
        (method, epoch): at_epoch(scores, method, epoch) for method in methods for epoch in epochs
    }
    untrained = main_lines(scores).get("untrained", {})

    def draw(axes: Axes, dataset: str) -> None:
        for number, (method, family) in enumerate(methods.items()):
            here = [place for place, epoch in enumerate(epochs) if dataset in found[method, epoch]]
            each = [estimate(found[method, epochs[place]][dataset]) for place in here]
            if each:
                error_bars(
                    axes,
                    np.array(here) + 0.13 * (number - 1),
                    each,
                    style(family),
                    label=NAMES.get(family, family),
                )
        if dataset in untrained:
            mean = 100 * estimate(untrained[dataset]).mean
            axes.axhline(
                mean, color=COLOURS["untrained"], linestyle="--", linewidth=1.2, label="untrained"
            )
        axes.set_xticks(range(len(epochs)), [str(epoch) for epoch in epochs])

    datasets = ordered(rows["dataset"], SETS)
    figure = panels(datasets, draw, "epoch (0: untrained)", "accuracy, %")
    alt = f"Accuracy over the epochs with intervals on {', '.join(datasets)}."
    note = "Settings of the main table, 95% intervals. The epochs are evenly spaced on the axis, though not in time."
    return Picture("accuracy_epochs", "Accuracy over epochs", alt, note, figure)
