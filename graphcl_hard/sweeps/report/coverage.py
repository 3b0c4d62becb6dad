"""Tables of the cells behind the report: their number, failures, versions and times."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from graphcl_hard.sweeps.report.analysis import ordered
from graphcl_hard.sweeps.report.table import Table

Record = Mapping[str, Any]


def coverage_table(records: Sequence[Record], datasets: Sequence[str] = ()) -> Table:
    """Return the data sets with the number of finished and unfinished cells, and the time that they took.

    Args:
        records: of the cells.
        datasets: that come first, in this order; the note names those that have no record.
    """
    rows = []
    for dataset in ordered((record["dataset"] for record in records), datasets):
        cells = [record for record in records if record["dataset"] == dataset]
        finished = [record for record in cells if record["scores"]]
        data: Mapping[str, Any] = next(
            (record["data"] for record in cells if record.get("data")), {}
        )
        hours = sum(record.get("seconds", {}).get("total", 0) for record in finished) / 3600
        rows.append(
            {
                "data set": dataset,
                **{key: data.get(key, np.nan) for key in ("graphs", "classes", "nodes")},
                "methods": len({record["method"] for record in finished}),
                "seeds": len({record["seed"] for record in finished}),
                "cells finished": len(finished),
                "not finished": len(cells) - len(finished),
                "hours": hours,
            }
        )
    values = pd.DataFrame(rows)
    shown = values.assign(hours=values["hours"].map("{:.2f}".format))
    for name in ("graphs", "classes", "nodes"):
        shown[name] = ["" if np.isnan(value) else f"{value:,.0f}" for value in values[name]]
    absent = [name for name in datasets if name not in set(values["data set"])]
    note = "A cell is one method with one seed on one data set; hours are the sum over its cells."
    if 0 < len(absent) < len(datasets):
        note += f" Without any record: {', '.join(absent)}."
    return Table("coverage", "Data sets and cells", note, shown.astype(str), values)


def failures_table(records: Iterable[Record]) -> Table | None:
    """Return the cells that did not finish, with their errors; None if all did."""
    keys = ["dataset", "method", "seed", "status", "error"]
    rows = [{key: record[key] for key in keys} for record in records if not record["scores"]]
    if not rows:
        return None
    values = pd.DataFrame(rows).fillna("")
    note = "These cells are in no table of scores; every comparison takes the seeds that both sides have."
    return Table(
        "failures",
        "Cells that did not finish",
        note,
        values.astype(str).rename(columns={"dataset": "data set"}),
        values,
    )


def other_settings_table(records: Iterable[Record]) -> Table | None:
    """Return the cells whose record is of other settings than the plan's, with "difference"; None if there is none."""
    keys = ["dataset", "method", "seed", "difference"]
    values = pd.DataFrame([{key: record[key] for key in keys} for record in records])
    if values.empty:
        return None
    note = "The records of these cells do not belong to the plan, and are in no other table; --rerun-changed runs them."
    shown = values.astype(str).rename(columns={"dataset": "data set"})
    return Table("other_settings", "Cells of other settings", note, shown, values)


def provenance_table(records: Sequence[Record]) -> Table:
    """Return versions, commits, platforms and threads of the records, and the time of all cells."""
    found: dict[str, Counter[str]] = {}
    for record in records:
        for name, version in record.get("versions", {}).items():
            found.setdefault(name, Counter())[str(version)] += 1
        for name in ("git_commit", "platform", "threads"):
            if record.get(name) is not None:
                found.setdefault(name.replace("_", " "), Counter())[str(record[name])] += 1
    hours = sum(record.get("seconds", {}).get("total", 0) for record in records) / 3600
    rows = [("records", str(len(records))), ("hours of all cells", f"{hours:.2f}")]
    rows += [(name, _with_counts(values)) for name, values in found.items()]
    frame = pd.DataFrame(rows, columns=["what", "value"])
    return Table("provenance", "Versions and time", "As the records name them.", frame, frame)


def _with_counts(values: Mapping[str, int]) -> str:
    """Return text such as "1.0", or "1.0 (3 records), 1.1 (5 records)"."""
    if len(values) == 1:
        return next(iter(values))
    return ", ".join(f"{value} ({count} records)" for value, count in sorted(values.items()))
