"""The tables of a sweep: scores, differences from the controls, settings chosen inside the training folds, methods."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from graphcl_hard.sweeps.cell import CONTROLS, KERNELS
from graphcl_hard.sweeps.report.analysis import (
    LEVEL,
    NAMES,
    Results,
    at_epoch,
    paired,
    rank_table,
    signed_rank,
)
from graphcl_hard.sweeps.report.paired_tests import NUMBERS, OVER, POINTS, shown_difference, shown_p
from graphcl_hard.sweeps.report.selection import chosen
from graphcl_hard.sweeps.report.table import (
    Table,
    Words,
    by_set,
    estimates,
    shown_estimate,
    shown_seeds,
    value_row,
)

Record = Mapping[str, Any]
FEWEST = 6
"""Data sets below which Wilcoxon's test over them cannot fall below the level of 0.05."""


def lines_of(scores: pd.DataFrame, methods: Sequence[str]) -> dict[str, Results]:
    """Return the results of each method at its last epoch, in the order of the plan; those without any are left out."""
    lines = {name: at_epoch(scores, name) for name in methods}
    return {name: results for name, results in lines.items() if results}


def main_table(lines: Mapping[str, Results], datasets: Sequence[str], words: Words) -> Table:
    """Return methods x data sets, with average ranks over the data sets that all methods have."""
    ranks = rank_table(lines) if len(lines) > 1 else pd.DataFrame()
    means = ranks.mean() if len(ranks) > 1 else pd.Series(dtype=float)
    shown, values = [], []
    for name, results in lines.items():
        found = estimates(results)
        row = {"method": NAMES.get(name, name)}
        row |= {one: shown_estimate(found.get(one)) or "absent" for one in datasets}
        row["seeds"] = shown_seeds(one.seeds for one in found.values())
        if len(means):
            row["rank"] = f"{means[name]:.2f}"
        shown.append(row)
        values += [
            {"method": name, "dataset": one, **value_row(found[one]), "rank": means.get(name)}
            for one in datasets
            if one in found
        ]
    note = f"{words.interval} At the last epoch, by {words.probes}."
    if len(means):
        note += (
            f" rank: the average over the {len(ranks)} data sets where all methods have records "
            f"({', '.join(ranks.index)}); 1 is the best, ties are averaged."
        )
    columns = ["method", "dataset", "accuracy", "low", "high", "seeds", "rank"]
    frame = renamed(pd.DataFrame(values).reindex(columns=columns), words)
    return Table("main", words.score.capitalize(), note, pd.DataFrame(shown), frame)


def control_tables(
    controls: Iterable[str], lines: Mapping[str, Results], datasets: Sequence[str], words: Words
) -> list[Table]:
    """Return for each control the differences of the other methods from it."""
    return [control_table(name, lines, datasets, words) for name in controls]


def compared(controls: Iterable[str], lines: Mapping[str, Results]) -> dict[str, list[str]]:
    """Return the controls that have results -> the methods to compare with them; none if there are controls only."""
    if not set(lines) - set(CONTROLS):
        return {}
    others = [name for name in lines if name not in CONTROLS or name in KERNELS]
    return {
        control: [name for name in others if name != control]
        for control in controls
        if control in lines
    }


def control_table(
    control: str, lines: Mapping[str, Results], datasets: Sequence[str], words: Words
) -> Table:
    """Return methods x data sets with the paired differences from a control on the same folds."""
    shown, values = [], []
    for name in compared([control], lines)[control]:
        tests = paired(lines[name], lines[control])
        row = {"method": NAMES.get(name, name)}
        for one in datasets:
            if one not in tests.index:
                row[one] = "absent"
                continue
            here = tests.loc[one]
            row[one] = f"{shown_difference(*here[POINTS])}, {shown_p(here['p_holm'])}"
            points = {key: 100 * here[key] for key in POINTS}
            known = {"first": name, "second": control, "dataset": one}
            values.append({**known, **here.to_dict(), **points})
        if words.alike and len(tests) >= FEWEST:
            median, p = 100 * tests["difference"].median(), signed_rank(tests["difference"])
            row["over the data sets"] = f"{median + 0.0:+.1f}, {shown_p(p, mark=False)}"
            known = {"first": name, "second": control, "dataset": OVER}
            values.append({**known, "difference": median, "p": p})
        shown.append(row)
    title = f"Against {NAMES.get(control, control)}"
    note = (
        f"Method minus control: difference of the mean {words.score} in points [95% interval], and p of the corrected "
        "resampled t test over the same folds of the seeds that both have, with Holm's correction over the data sets "
        f"of a row, not over the rows; * marks p below {LEVEL:g}."
    )
    if any("over the data sets" in row for row in shown):
        note += " Last column: median difference, and p of Wilcoxon's signed-rank test over the data sets."
    frame = pd.DataFrame(values).reindex(columns=NUMBERS)
    return Table(f"against_{control}", title, note, pd.DataFrame(shown).fillna(""), frame)


def chosen_table(scores: pd.DataFrame, datasets: Sequence[str], words: Words) -> Table | None:
    """Return the families of several settings or epochs, with one chosen for each fold inside its training part."""
    rows = scores[(scores["epoch"] > 0) | scores["last"]]
    lines, labels = [], []
    for family, group in rows.groupby("family", sort=False):
        if len(group[["method", "epoch"]].drop_duplicates()) < 2:
            continue
        results, choices = chosen(group)
        lines.append(results)
        counts = shown_seeds(choices["candidates"])
        labels.append({"family": NAMES.get(str(family), family), "candidates": counts})
    if not lines:
        return None
    note = (
        f"{words.interval} For each outer fold, the method of the family and the scored epoch with the largest inner "
        f"{words.score}, which depends only on the training folds. Do not mix these rows with those at fixed settings."
    )
    title = "Settings chosen inside the training folds"
    table = by_set("chosen", title, note, pd.DataFrame(labels), lines, datasets)
    return replace(table, values=renamed(table.values, words))


def renamed(values: pd.DataFrame, words: Words) -> pd.DataFrame:
    """Return numbers whose column of scores is not called accuracy where they are others."""
    return values if words.score == "accuracy" else values.rename(columns={"accuracy": "score"})


def methods_table(records: Iterable[Record], methods: Sequence[str]) -> Table:
    """Return what each method is: its family and settings, or its class, parameters and the digest of its source."""
    found = {record["method"]: record for record in records}
    rows = []
    for name in methods:
        if name not in found:
            continue
        record = found[name]
        embedder = record.get("embedder")
        what = {"settings": _shown(record["settings"])}
        if embedder is not None:
            given = _shown({**embedder["parameters"], **record["settings"]})
            what = {"settings": given, "class": embedder["class"], "source": embedder["source"]}
        rows.append({"method": name, "family": record["family"], **what})
    frame = pd.DataFrame(rows).fillna("")
    note = "The settings and parameters that the plan gives a method; source is a digest of the file with its class."
    return Table("methods", "Methods", note, frame.astype(str), frame)


def _shown(settings: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {json.dumps(value).strip(chr(34))}" for name, value in settings.items()
    )
