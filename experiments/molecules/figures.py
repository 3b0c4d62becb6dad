"""The figure of the study: scores against the length of the vectors."""

from collections.abc import Mapping, Sequence

import numpy as np

from experiments.molecules.effects import GROUPS
from graphcl_hard.sweeps.records import Record
from graphcl_hard.sweeps.report.canvas import (
    Picture,
    finish,
    line_style,
    new_figure,
    shared_legend,
)

UNTRAINED = tuple(f"untrained-{channels}" for channels in (32, 64, 128, 256, 512, 1024, 2048))
WIDTHS: Mapping[str, Sequence[str]] = {
    "untrained": UNTRAINED,
    "GraphCL": ("channels-64", "graphcl-uniform", "channels-256", "channels-512"),
    "ECFP counts": ("ecfp",),
}
"""Label of a line -> representations."""


def points(
    records: Sequence[Record], names: Sequence[str], datasets: Sequence[str]
) -> dict[str, dict[int, float]]:
    """Return representation -> seed -> mean score over the data sets and splits, where none is lacking.

    Args:
        records: of one part, kind of split and head.
        names: of representations.
        datasets: names.
    """
    splits = {one["split"] for one in records}
    found: dict[str, dict[int, dict[tuple[str, str], float]]] = {}
    for one in records:
        if one["representation"] in names and one["dataset"] in datasets:
            by_seed = found.setdefault(one["representation"], {})
            by_seed.setdefault(one["seed"], {})[one["dataset"], one["split"]] = one["score"]
    return {
        name: whole
        for name in names
        if (
            whole := {
                seed: float(np.mean(list(scores.values())))
                for seed, scores in found.get(name, {}).items()
                if len(scores) == len(datasets) * len(splits)
            }
        )
    }


def width_figure(records: Sequence[Record]) -> Picture | None:
    """Draw validation scores against the length of the vectors, and a point for each seed; None without records.

    Args:
        records: of the study.
    """
    own = [
        one
        for one in records
        if one["part"] == "valid" and one["split"].startswith("inner-") and one["head"] == "gcv"
    ]
    place = {one["representation"]: one["columns"] for one in own}
    figure = new_figure(8.6, 4.0)
    drawn = False
    for axes, (label, datasets) in zip(
        figure.subplots(1, len(GROUPS)), GROUPS.items(), strict=True
    ):
        for number, (curve, names) in enumerate(WIDTHS.items()):
            found = points(own, names, datasets)
            if not found:
                continue
            drawn, style = True, line_style(number)
            where = sorted(found, key=lambda name: place[name])
            means = [np.mean(list(found[name].values())) for name in where]
            axes.plot([place[name] for name in where], means, label=curve, markersize=6, **style)
            for name in where:
                seeds = list(found[name].values())
                if len(seeds) > 1:
                    axes.plot(
                        [place[name]] * len(seeds), seeds, ".", color=style["color"], alpha=0.5
                    )
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set_title(label, fontsize=11)
        finish(axes)
    if not drawn:
        return None
    figure.supxlabel("numbers in a vector", fontsize=11)
    shared_legend(figure)
    return Picture(
        "widths",
        "Scores against the length of the vectors",
        "Validation scores of untrained and trained encoders of several widths, and of ECFP counts",
        "Means over random scaffold splits without the molecules of the test part; small points are seeds.",
        figure,
    )
