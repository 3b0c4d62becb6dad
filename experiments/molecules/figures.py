"""The figures of the study: scores against the length of the vectors, and against the molecules of pretraining."""

from collections.abc import Callable, Mapping, Sequence

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

Curves = Mapping[str, Sequence[str]]
"""Label -> representations."""
UNTRAINED = tuple(f"untrained-{channels}" for channels in (32, 64, 128, 256, 512, 1024, 2048))
WIDTHS: Curves = {
    "untrained": UNTRAINED,
    "GraphCL": ("channels-64", "graphcl-uniform", "channels-256", "channels-512"),
    "ECFP counts": ("ecfp",),
}


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


def columns(record: Record) -> float:
    """Return the length of the vectors."""
    return float(record["columns"])


def curve_figure(
    records: Sequence[Record],
    curves: Curves,
    x: Callable[[Record], float],
    x_label: str,
    picture: Mapping[str, str],
) -> Picture | None:
    """Draw the mean score of each representation against x, and a point for each seed; None without records.

    Args:
        records: of one part, kind of split and head.
        curves: what to draw.
        x: place of a record on the axis, which is logarithmic.
        x_label: label of the axis.
        picture: name, title, alt and note of the picture.
    """
    place = {one["representation"]: x(one) for one in records if one["representation"]}
    figure = new_figure(8.6, 4.0)
    drawn = False
    for axes, (label, datasets) in zip(
        figure.subplots(1, len(GROUPS)), GROUPS.items(), strict=True
    ):
        for number, (curve, names) in enumerate(curves.items()):
            found = points(records, names, datasets)
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
    figure.supxlabel(x_label, fontsize=11)
    shared_legend(figure)
    return Picture(**picture, figure=figure)


def width_figure(records: Sequence[Record]) -> Picture | None:
    """Draw validation scores against the length of the vectors, see `curve_figure`."""
    own = [
        one
        for one in records
        if one["part"] == "valid" and one["split"].startswith("inner-") and one["head"] == "gcv"
    ]
    return curve_figure(
        own,
        WIDTHS,
        columns,
        "numbers in a vector",
        {
            "name": "widths",
            "title": "Scores against the length of the vectors",
            "alt": "Validation scores of untrained and trained encoders of several widths, and of ECFP counts",
            "note": "Means over random scaffold splits without the molecules of the test part; small points are seeds.",
        },
    )
