"""The tables of the speed benchmark, all made from the numbers in speed.json."""

import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed.picture import LABELS, draw
from benchmarks.speed.trials import TRIALS
from graphcl_hard.sweeps.table_files import write_table

RECORD, PICTURE = "speed.json", "speed.png"
Row = dict[str, str]


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the median, the minimum and the maximum."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def ratio(above: Sequence[float], below: Sequence[float]) -> dict[str, float]:
    """Return the spread of the ratios of times in the same repeat."""
    return spread([a / b for a, b in zip(above, below, strict=True)])


def power_law(sizes: Sequence[float], seconds: Sequence[float]) -> dict[str, float | None]:
    """Fit log(seconds) = log(factor) + exponent * log(size) by least squares; no error without a third size."""
    x, y = np.log(sizes), np.log(seconds)
    centred = x - x.mean()
    exponent = float(centred @ y / (centred @ centred))
    residuals = y - y.mean() - exponent * centred
    error = (
        math.sqrt(residuals @ residuals / (len(x) - 2) / (centred @ centred))
        if len(x) > 2
        else None
    )
    return {
        "exponent": exponent,
        "standard_error": error,
        "factor": math.exp(y.mean() - exponent * x.mean()),
    }


def write(out: Path) -> dict[str, str]:
    """Write every table and the picture from the record; returns the sections' tables as Markdown."""
    record = json.loads((out / RECORD).read_text())
    texts = dict.fromkeys(record, "")
    for table, (section, make_rows, make_notes) in TABLES.items():
        if section in record:
            rows, notes = make_rows(record[section]), make_notes(record[section])
            texts[section] += (
                write_table(out, table, rows, (*notes, made_on(record[section]))) + "\n"
            )
    if "epochs" in record and "fit" in record["epochs"]:
        draw(record["epochs"], out / PICTURE)
    return texts


def times_rows(section: Mapping[str, Any]) -> list[Row]:
    """Return a row per data set: the times of an epoch."""
    rows = []
    sampled = any("sampled" in one["seconds"] for one in section["sets"])
    for one in section["sets"]:
        summary = one["summary"]
        row = {
            "data set": one["name"],
            "graphs": f"{one['graphs']:,}",
            "nodes": f"{one['nodes']:,}",
        }
        row |= {
            f"{variant}, s": interval(summary[variant])
            for variant in ("textbook", "package", "floor")
        }
        row["textbook / package"] = interval(summary["textbook / package"])
        row["package / floor"] = interval(summary["package / floor"])
        row["package, graphs/s"] = f"{summary['package graphs/s']:,.0f}"
        if sampled:
            column = f"package, {section['nodes_per_graph']} nodes a graph, s"
            row[column] = interval(summary["sampled"]) if "sampled" in summary else ""
            row["textbook / sampled"] = (
                interval(summary["textbook / sampled"]) if "sampled" in summary else ""
            )
        rows.append(row)
    return rows


def times_notes(section: Mapping[str, Any]) -> list[str]:
    """Return the meaning of the columns, and the fitted growth."""
    notes = [
        f"Seconds an epoch and their ratios: median [least, largest] of {section['repeats']} interleaved repeats; "
        "ratios are of times in the same repeat. *textbook*: plain PyTorch Geometric; *package*: graphcl_hard; "
        "*floor*: only the matrix products."
    ]
    for variant, fit in section.get("fit", {}).items():
        notes.append(
            f"Time of an epoch, {LABELS[variant]}: grows as {law(fit)} over the synthetic data sets."
        )
    return notes


def peaks_rows(section: Mapping[str, Any]) -> list[Row]:
    """Return a row per data set: the peaks of training."""
    rows = []
    sampled = any("sampled" in one["peak"] for one in section["sets"])
    for one in section["sets"]:
        peak = one["peak"]
        row = {"data set": one["name"], "graphs": f"{one['graphs']:,}"}
        row |= {f"{variant}, MiB": mebibytes(peak[variant]) for variant in ("textbook", "package")}
        if sampled:
            column = f"package, {section['nodes_per_graph']} nodes a graph, MiB"
            row[column] = mebibytes(peak["sampled"]) if "sampled" in peak else ""
        rows.append(row)
    return rows


def peaks_notes(section: Mapping[str, Any]) -> list[str]:
    """Return the meaning of the columns."""
    reasons = {
        p["skipped"]: None
        for one in section["sets"]
        for p in one["peak"].values()
        if "skipped" in p
    }
    counted = "Peak memory of training beyond the loaded data set, each number in a fresh process."
    return [counted, *(f"Skipped: {reason}." for reason in reasons)]


def neighbours_rows(section: Mapping[str, Any]) -> list[Row]:
    """Return a row per batch and way; times in milliseconds."""
    rows = []
    columns = {"prepare": "prepare, ms", "forward": "forward, ms", "both": "forward + backward, ms"}
    for batch in section["batches"]:
        for way, times in batch["seconds"].items():
            row = {"batch of": batch["name"], "way": way}
            for key, column in columns.items():
                row[column] = interval(spread(times[key]), 1000) if key in times else "skipped"
            rows.append(row)
    return rows


def neighbours_notes(section: Mapping[str, Any]) -> list[str]:
    """Return the meaning of the columns, the batches' sizes, and why a way is skipped."""
    notes = [
        f"{section['channels']} channels; median [least, largest] of {section['repeats']} interleaved repeats. "
        "*prepare*: from the batch's edges to the input of the way; in training the package slices the data set's."
    ]
    for batch in section["batches"]:
        sizes = f"{batch['nodes']:,} nodes, {batch['directed_edges']:,} directed edges"
        notes.append(f"Batch of {batch['name']}: {batch['graphs']} graphs, {sizes}.")
    skipped = {
        (way, t["skipped"]): None
        for b in section["batches"]
        for way, t in b["seconds"].items()
        if "skipped" in t
    }
    return notes + [f"Skipped, {way}: {reason}." for way, reason in skipped]


def objective_rows(section: Mapping[str, Any]) -> list[Row]:
    """Return a row per objective."""
    rows = []
    for variant, found in section["objectives"].items():
        row = {"objective": LABELS[variant], "peak over the inputs, MiB": mebibytes(found)}
        row["of it the inputs' gradients, MiB"] = number(found.get("gradients_mib"))
        row["one dense score matrix, MiB"] = number(found.get("score_matrix_mib"))
        rows.append(row)
    return rows


def objective_notes(section: Mapping[str, Any]) -> list[str]:
    """Return the meaning of the columns, and why one is skipped."""
    notes = [
        f"Forward and backward over {section['nodes']:,} nodes x {section['graphs']:,} graphs, {section['channels']} "
        "channels, float32, each in a fresh process."
    ]
    found = section["objectives"].items()
    return notes + [
        f"Skipped, {LABELS[name]}: {one['skipped']}." for name, one in found if "skipped" in one
    ]


def evaluation_rows(section: Mapping[str, Any]) -> list[Row]:
    """Return one row."""
    seconds = section["seconds"]
    return [
        {
            "data set": section["name"],
            "folds": str(section["folds"]),
            "GridSearchCV, s": interval(spread(seconds["grid search"])),
            "cross_validate, s": interval(spread(seconds["package"])),
            "GridSearchCV / cross_validate": interval(
                ratio(seconds["grid search"], seconds["package"])
            ),
            "accuracy of both, %": f"{100 * statistics.fmean(section['accuracy']):.2f}",
        }
    ]


def evaluation_notes(section: Mapping[str, Any]) -> list[str]:
    """Return the meaning of the columns."""
    return [
        f"Embeddings of an untrained encoder; median [least, largest] of {section['repeats']} interleaved repeats, "
        "GridSearchCV one fit after the other, cross_validate as by default, on all cores. The accuracies are equal "
        "fold by fold."
    ]


def trials_rows(section: Mapping[str, Any]) -> list[Row]:
    """Return a row per data set and trial; times over those of the package in the same turn."""
    rows = []
    for one in section["trials"]:
        row = {"data set": one["name"], "trial": one["trial"]}
        base = next(
            o["runs"]
            for o in section["trials"]
            if (o["name"], o["trial"]) == (one["name"], "package")
        )
        if any("skipped" in run for run in (*base, *one["runs"])):
            rows.append(
                row
                | {
                    "epoch, s": "failed",
                    "over the package's": "",
                    "first epoch, s": "",
                    "last loss": "",
                }
            )
            continue
        epochs, firsts = ([run[key] for run in one["runs"]] for key in ("epoch", "first"))
        row["epoch, s"] = interval(spread(epochs))
        row["over the package's"] = interval(ratio(epochs, [run["epoch"] for run in base]))
        row["first epoch, s"] = digits(statistics.median(firsts))
        row["last loss"] = digits(one["runs"][0]["loss"])
        rows.append(row)
    return rows


def trials_notes(section: Mapping[str, Any]) -> list[str]:
    """Return the meaning of each trial, and why one failed."""
    notes = [f"*{name}*: {what}." for name, what in TRIALS.items()]
    failed = {
        (o["trial"], run["skipped"]): None
        for o in section["trials"]
        for run in o["runs"]
        if "skipped" in run
    }
    return notes + [f"Failed, {trial}: {reason}." for trial, reason in failed]


def views_rows(section: Mapping[str, Any]) -> list[Row]:
    """Return a row per batch and view; times in milliseconds, and over those of the encoder in the same turn."""
    rows = []
    for batch in section["batches"]:
        encoder = batch["seconds"]["encoder"]
        for way, times in batch["seconds"].items():
            row = {
                "batch of": batch["name"],
                "what": "encoder, forward + backward" if way == "encoder" else way,
            }
            row["ms"] = interval(spread(times), 1000)
            rows.append(row | {"over the encoder's": interval(ratio(times, encoder))})
    return rows


def views_notes(section: Mapping[str, Any]) -> list[str]:
    """Return the meaning of the columns, and the batches' sizes."""
    repeats = section["repeats"]
    notes = [
        f"One view of a batch at strength 0.2; median [least, largest] of {repeats} interleaved repeats."
    ]
    for batch in section["batches"]:
        sizes = f"{batch['nodes']:,} nodes, {batch['directed_edges']:,} directed edges"
        notes.append(f"Batch of {batch['name']}: {batch['graphs']} graphs, {sizes}.")
    return notes


def made_on(section: Mapping[str, Any]) -> str:
    """Return device, threads and version."""
    versions, quick = (
        section["environment"]["versions"],
        " Tiny input: means nothing." if section["quick"] else "",
    )
    return f"On {section['device']}, threads: {section['threads']}, PyTorch {versions['torch']}.{quick}"


TABLES: dict[str, tuple[str, Callable[[Any], list[Row]], Callable[[Any], list[str]]]] = {
    "epochs": ("epochs", times_rows, times_notes),
    "epochs_memory": ("epochs", peaks_rows, peaks_notes),
    "neighbours": ("neighbours", neighbours_rows, neighbours_notes),
    "objective_memory": ("memory", objective_rows, objective_notes),
    "evaluation": ("evaluation", evaluation_rows, evaluation_notes),
    "trials": ("trials", trials_rows, trials_notes),
    "views": ("views", views_rows, views_notes),
}


def law(fit: Mapping[str, float | None]) -> str:
    """Return a fitted power law as text."""
    error = "" if fit["standard_error"] is None else f" ± {fit['standard_error']:.2f}"
    return f"graphs^({fit['exponent']:.2f}{error})"


def interval(found: Mapping[str, float], factor: float = 1.0) -> str:
    """Return "median [minimum, maximum]", with three digits."""
    median, low, high = (digits(factor * found[key]) for key in ("median", "min", "max"))
    return f"{median} [{low}, {high}]"


def digits(value: float) -> str:
    """Return three significant digits, without an exponent."""
    places = 2 - math.floor(math.log10(abs(value))) if value else 0
    return f"{value:,.{max(places, 0)}f}"


def mebibytes(found: Mapping[str, Any]) -> str:
    """Return a peak, or "skipped"."""
    return "skipped" if "skipped" in found else number(found["extra_mib"])


def number(value: float | None) -> str:
    """Return whole MiB."""
    return "" if value is None else f"{value:,.0f}"
