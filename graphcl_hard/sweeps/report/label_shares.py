"""Accuracy with few labels: the files of `few_labels` as one frame, one table and figures."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from graphcl_hard.sweeps.few_labels import FINE_TUNED
from graphcl_hard.sweeps.records import whole_files
from graphcl_hard.sweeps.report.analysis import Estimate, Folds, estimate, ordered
from graphcl_hard.sweeps.report.canvas import Picture, error_bars, line_style, panels
from graphcl_hard.sweeps.report.table import INTERVAL, Table, shown_estimate, value_row

KEYS = ["dataset", "probe", "line", "family"]


def read_label_shares(
    folder: Path,
    datasets: Sequence[str] = (),
    families: Sequence[str] = (),
    keep: Callable[[Mapping[str, Any]], bool] = lambda _: True,
) -> pd.DataFrame:
    """Return the scores with few labels, one row for each (dataset, probe, line, fraction, seed).

    A line is a method at its last epoch, or "untrained" for epoch 0 of a method that is trained: its initial weights
    are those of the seed.

    Args:
        folder: of the files.
        datasets: that come first, in this order.
        families: that come first within a data set, in this order.
        keep: whether an entry of the files is read.

    Returns:
        Columns dataset, probe, line, family, fraction, seed and the array accuracy (repeats, folds); empty where the
        folder has no files.
    """
    files = [json.loads(path.read_text(encoding="utf-8")) for path in whole_files(folder, "*.json")]
    frame = pd.DataFrame([entry for entries in files for entry in entries if keep(entry)])
    if frame.empty:
        return frame
    last = frame.groupby(["dataset", "method"])["epoch"].transform("max")
    untrained = (frame["epoch"] == 0) & (last > 0)  # of a method that is trained
    frame["line"] = frame["method"].mask(untrained, "untrained")
    frame["family"] = frame["family"].mask(untrained, "untrained")
    frame["accuracy"] = frame["accuracy"].map(lambda folds: np.asarray(folds, dtype=np.float64))
    frame = frame[untrained | (frame["epoch"] == last)]
    places = {
        name: {one: place for place, one in enumerate(order)}
        for name, order in _orders(frame, datasets, families).items()
    }
    frame = frame.sort_values(
        [*KEYS, "fraction", "seed"],
        key=lambda column: column.map(places[column.name]) if column.name in places else column,
        kind="stable",
    )
    frame = frame.drop_duplicates([*KEYS, "fraction", "seed"])
    return frame[[*KEYS, "fraction", "seed", "accuracy"]].reset_index(drop=True)


def _orders(
    frame: pd.DataFrame, datasets: Sequence[str], first: Sequence[str]
) -> dict[str, list[str]]:
    families = frame.drop_duplicates("line").set_index("line")["family"]
    ranked = ordered(families, first)
    lines = sorted(families.index, key=lambda line: (ranked.index(families[line]), line))
    return {"dataset": ordered(frame["dataset"], datasets), "line": lines}


def label_shares_table(frame: pd.DataFrame) -> Table:
    """Return the accuracy for each share of the training labels."""
    shown, values = [], []
    for keys, group in frame.groupby(KEYS, sort=False):
        label = dict(zip(KEYS, keys, strict=True))
        row = {"data set": label["dataset"], "probe": label["probe"], "method": label["line"]}
        for fraction, rows in group.groupby("fraction"):
            folds: Folds = dict(zip(rows["seed"], rows["accuracy"], strict=True))
            found = estimate(folds)
            row[f"{fraction:.0%} of the labels"] = shown_estimate(found)
            values.append({**label, "fraction": fraction, **value_row(found)})
        shown.append(row)
    note = (
        f"{INTERVAL} The probe is fitted on a share of the labels of each training part, at least one per class "
        "(on small data sets 1% is one per class); the encoder needs none. The correction of the intervals has the "
        "ratio n_test/n_train of whole training parts at every share, not that of the labelled graphs: at small shares "
        "the intervals are only a guide."
    )
    if (frame["probe"] == FINE_TUNED).any():
        note += (
            " Where it is fine-tuned, it is trained on these labels too; from the untrained encoder, that is training "
            "from scratch."
        )
    return Table(
        "few_labels", "Few labels", note, pd.DataFrame(shown).fillna(""), pd.DataFrame(values)
    )


def label_shares_figure(
    frame: pd.DataFrame, probe: str, style: Callable[[str, str, int], dict[str, Any]]
) -> Picture:
    """Draw accuracy against the share of the training labels, for one probe.

    Args:
        frame: of `read_label_shares`.
        probe: its name.
        style: called as style(line, family, number of the line), for its colour and marker.
    """
    rows = frame[frame["probe"] == probe]
    lines = rows[["line", "family"]].drop_duplicates().itertuples(index=False)
    fractions: Sequence[float] = sorted(rows["fraction"].unique())
    named = list(lines)

    def draw(axes: Axes, dataset: str) -> None:
        for number, (line, family) in enumerate(named):
            points = _points(rows, dataset, line)
            if points:
                places = np.array([fractions.index(fraction) for fraction in points])
                offset = 0.1 * (number - (len(named) - 1) / 2)
                drawn = style(line, family, number) | {"label": line}
                error_bars(axes, places + offset, list(points.values()), drawn)
        axes.set_xticks(range(len(fractions)), [f"{fraction:.0%}" for fraction in fractions])

    datasets = list(dict.fromkeys(rows["dataset"]))
    figure = panels(datasets, draw, "share of the training labels", "accuracy, %", legend=2)
    alt = f"Accuracy against the share of the training labels with the {probe} probe on {', '.join(datasets)}."
    note = f"Probe: {probe}. Last epoch, 95% intervals; the shares are evenly spaced on the axis."
    return Picture(f"few_labels_{probe}", f"Few labels: {probe}", alt, note, figure)


def label_curves_figure(
    frame: pd.DataFrame, methods: Sequence[str], probe: str = "svm"
) -> Picture | None:
    """Draw accuracy against the share of the labels for frozen and for fine-tuned encoders, on the same labelled rows.

    Args:
        frame: of `read_label_shares`.
        methods: all of the report, whose places are their colours and markers.
        probe: on the vectors of the frozen encoders.

    Returns:
        The figure, with the lines of the methods that have been fine-tuned; None if none has.
    """
    tuned = list(dict.fromkeys(frame.loc[frame["probe"] == FINE_TUNED, "line"]))
    if not tuned:
        return None
    rows = frame[frame["line"].isin(tuned) & frame["probe"].isin((probe, FINE_TUNED))]
    fractions: Sequence[float] = sorted(rows["fraction"].unique())
    lines = [(line, mode) for line in tuned for mode in (probe, FINE_TUNED)]

    def name(line: str, mode: str) -> str:
        if mode == probe:
            return f"{line}, frozen"
        return "from scratch" if line == "untrained" else f"{line}, fine-tuned"

    def draw(axes: Axes, dataset: str) -> None:
        for number, (line, mode) in enumerate(lines):
            points = _points(rows[rows["probe"] == mode], dataset, line)
            if points:
                places = np.array([fractions.index(fraction) for fraction in points])
                offset = 0.5 * (number - (len(lines) - 1) / 2) / len(lines)
                style = line_style(methods.index(line)) | {"label": name(line, mode)}
                style["linestyle"] = "--" if mode == probe else "-"
                error_bars(axes, places + offset, list(points.values()), style)
        axes.set_xticks(range(len(fractions)), [f"{fraction:.0%}" for fraction in fractions])

    datasets = list(dict.fromkeys(rows["dataset"]))
    figure = panels(datasets, draw, "share of the training labels", "accuracy, %", legend=2)
    alt = (
        "Accuracy against the share of the training labels, for frozen and fine-tuned encoders and training from "
        f"scratch, on {', '.join(datasets)}."
    )
    note = (
        f"95% intervals, on the same folds and labelled graphs. Frozen: the {probe} probe on the vectors. Fine-tuned: "
        "encoder and head, 20 epochs or 200 steps, whichever is more, without a validation part. The shares are evenly "
        "spaced on the axis."
    )
    return Picture("label_curves", "Frozen, fine-tuned, from scratch", alt, note, figure)


def _points(rows: pd.DataFrame, dataset: str, line: str) -> dict[float, Estimate]:
    """Return the accuracy of a line on a data set for each share of the labels."""
    here = rows[(rows["dataset"] == dataset) & (rows["line"] == line)]
    return {
        fraction: estimate(dict(zip(group["seed"], group["accuracy"], strict=True)))
        for fraction, group in here.groupby("fraction")
    }
