"""Inner accuracy of all settings that were tried, and the choice of the inner folds among them.

The inner folds lie inside the training part of each outer fold, so they may decide on settings. The choice is evaluated
once, on the test fold, which had no influence on it.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from experiments.tu.families import FAMILIES, SETS, default_methods
from experiments.tu.tables import main_lines
from graphcl_hard.sweeps.report.analysis import Results, at_epoch, ordered, stacked
from graphcl_hard.sweeps.report.paired_tests import TESTED, paired_table
from graphcl_hard.sweeps.report.selection import chosen
from graphcl_hard.sweeps.report.table import INTERVAL, Table, by_set, shown_seeds

POOLS = ("untrained", "bn-only", "uniform", "hard")
PAIR = POOLS[2:]
BASE = "hard"


def inner_search_tables(scores: pd.DataFrame) -> list[Table]:
    """Return the inner accuracies, the choice among all settings and its tests; empty without such cells."""
    pools = _pools(scores)
    if not any(len(methods) > 1 for methods in pools.values()):
        return []
    candidates = _candidates(scores, pools)
    found = {
        f"{name}, any setting": _searched(rows)
        for name, rows in candidates.groupby("pool", sort=False)
    }
    lines = {name: results for name, (results, _) in found.items()}
    labels = pd.DataFrame(
        {"method": list(found), "candidates": [counts for _, counts in found.values()]}
    )
    note = (
        f"{INTERVAL} For each outer fold, the setting and the epoch with the largest inner accuracy, among all that "
        "ran for hard and for uniform with all else equal, with GraphCL's. The two baselines have fewer, so a gain "
        "over them may come from a setting that they do not have. Only seeds that have all candidates of a row on a "
        "data set count."
    )
    tests = paired_table(
        "searched_tests",
        "Tests of the choice among all settings",
        f"Settings and epochs chosen inside the training folds. {TESTED}",
        {
            **lines,
            **{name: results for name, results in main_lines(scores).items() if name == "wl"},
        },
        [
            ("hard, any setting", second)
            for second in (*(f"{name}, any setting" for name in POOLS[:-1]), "wl")
        ],
        SETS,
    )
    title = "Chosen among all settings inside the training folds"
    return [
        _inner_table(scores, pools),
        by_set("searched", title, note, labels, list(lines.values()), SETS),
        tests,
    ]


def _pools(scores: pd.DataFrame) -> dict[str, list[str]]:
    """Return the methods of each pool: the main one, those of its name in other families, and GraphCL's."""
    defaults = default_methods(scores)
    names = scores[["family", "method"]].drop_duplicates()
    # in a family of its own, a factor's methods are named after the pool; what has no uniform partner is left out
    partnered = {
        family for family, method in names.itertuples(index=False) if method.startswith("uniform-")
    }
    pools: dict[str, list[str]] = {
        name: [defaults[name]] if name in defaults else [] for name in POOLS
    }
    for family, method in names.itertuples(index=False):
        for pool in POOLS:
            if (
                family in partnered and method.startswith(f"{pool}-")
            ) or method == f"graphcl-{pool}":
                pools[pool].append(method)
    return {name: methods for name, methods in pools.items() if methods}


def _candidates(scores: pd.DataFrame, pools: Mapping[str, list[str]]) -> pd.DataFrame:
    """Return the rows of the pools' methods with their pools; rows of hard and uniform only in pairs.

    Both rows of a pair have the same family (the two families of the main methods count as one), data set, seed and
    epoch, so that neither has more to choose from.
    """
    pool = {method: name for name, methods in pools.items() for method in methods}
    rows = scores[scores["method"].isin(pool) & ((scores["epoch"] > 0) | scores["last"])]
    rows = rows.assign(
        pool=rows["method"].map(pool), factor=rows["family"].replace(list(FAMILIES), "main")
    )
    compared = rows[rows["pool"].isin(PAIR)]
    both = compared.groupby(["factor", "dataset", "seed", "epoch"])["pool"].transform(
        "nunique"
    ) == len(PAIR)
    rows = rows.drop(compared.index[~both])
    return rows.sort_values("pool", key=lambda names: names.map(POOLS.index), kind="stable")


def _searched(rows: pd.DataFrame) -> tuple[Results, str]:
    """Return the results of the choice and its number of candidates."""
    counts = rows.groupby(["dataset", "seed"])["epoch"].transform("size")
    whole = counts == counts.groupby(rows["dataset"]).transform("max")
    results, choices = chosen(rows[whole])
    return results, shown_seeds(choices["candidates"])


def _inner_table(scores: pd.DataFrame, pools: Mapping[str, list[str]]) -> Table:
    """Return each method's inner accuracy at its last epoch, minus that of hard at its defaults."""
    inner = scores.assign(accuracy=scores["inner_accuracy"])
    others = scores.loc[~scores["family"].isin(FAMILIES), "method"]
    methods = list(
        dict.fromkeys([method for methods in pools.values() for method in methods] + list(others))
    )
    base = at_epoch(inner, default_methods(scores).get(BASE, ""))
    values = []
    for method in methods:
        results = at_epoch(inner, method)
        for dataset in ordered(results.keys() & base.keys(), SETS):
            seeds = sorted(results[dataset].keys() & base[dataset].keys())
            if seeds:
                mine, other = (100 * stacked(one[dataset], seeds).mean() for one in (results, base))
                row = {
                    "method": method,
                    "dataset": dataset,
                    "inner accuracy": mine,
                    "difference": mine - other,
                }
                values.append(row | {"seeds": len(seeds)})
    columns = ["method", "dataset", "inner accuracy", "difference", "seeds"]
    frame = pd.DataFrame(values).reindex(columns=columns)
    wide = frame.pivot(index="method", columns="dataset", values="difference")
    wide = wide.reindex(
        index=[name for name in methods if name in wide.index], columns=ordered(wide.columns, SETS)
    )
    shown = wide.map(lambda points: "" if np.isnan(points) else f"{round(points, 1) + 0.0:+.1f}")
    shown["mean"] = [f"{round(points, 1) + 0.0:+.1f}" for points in wide.mean(axis=1)]
    shown["sets"] = wide.notna().sum(axis=1).astype(str)
    note = (
        "Mean accuracy of the inner folds at the last epoch, minus that of hard at its defaults on the same seeds, in "
        "points. No test fold is used. The mean is over the data sets that ran, so means over different data sets must "
        "not be compared."
    )
    shown = shown.rename_axis(columns=None).reset_index()
    return Table("inner", "Every setting on the inner folds", note, shown, frame)
