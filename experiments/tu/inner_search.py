"""All settings that were tried, as the inner folds see them, and what the inner folds choose among them all.

The inner folds lie inside the training part of each outer fold: what they say may decide on settings, and what is
decided so is judged once, on the test fold that had no say.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from experiments.tu.analysis import FAMILIES, SETS, Results, at_epoch, default_methods, ordered, stacked
from experiments.tu.comparisons import TESTED, tests_table
from experiments.tu.selection import chosen
from experiments.tu.table import INTERVAL, Table, by_set, shown_seeds
from experiments.tu.tables import main_lines

POOLS = ("untrained", "bn-only", "uniform", "hard")
PAIR = POOLS[2:]
BASE = "hard"


def inner_search_tables(scores: pd.DataFrame) -> list[Table]:
    """What the inner folds say of each setting, what they choose among all, and its tests; none without such cells."""
    pools = _pools(scores)
    if not any(len(methods) > 1 for methods in pools.values()):
        return []
    candidates = _candidates(scores, pools)
    found = {f"{name}, any setting": _searched(rows) for name, rows in candidates.groupby("pool", sort=False)}
    lines = {name: results for name, (results, _) in found.items()}
    labels = pd.DataFrame({"method": list(found), "candidates": [counts for _, counts in found.values()]})
    note = (
        f"{INTERVAL} For each outer fold, the setting and the epoch with the largest inner accuracy, among all that "
        "ran for hard and for uniform with all else equal, GraphCL's included. The two baselines have fewer, those of "
        "their own that ran, so a gain over them may be that of a setting which they were not given. Only the seeds "
        "that have all candidates of a row on a data set count."
    )
    tests = tests_table(
        "searched_tests",
        "Tests of what the inner folds choose among all settings",
        f"Settings and epochs chosen inside the training folds. {TESTED}",
        {**lines, **{name: results for name, results in main_lines(scores).items() if name == "wl"}},
        [("hard, any setting", second) for second in (*(f"{name}, any setting" for name in POOLS[:-1]), "wl")],
    )
    title = "Chosen among all settings inside the training folds"
    return [_inner_table(scores, pools), by_set("searched", title, note, labels, list(lines.values())), tests]


def _pools(scores: pd.DataFrame) -> dict[str, list[str]]:
    """Pool -> its methods: the main one, those of its name in other families, and GraphCL's."""
    defaults = default_methods(scores)
    names = scores[["family", "method"]].drop_duplicates()
    # in a family of its own, a factor's methods are named after the pool; what has no uniform partner is left out
    partnered = {family for family, method in names.itertuples(index=False) if method.startswith("uniform-")}
    pools: dict[str, list[str]] = {name: [defaults[name]] if name in defaults else [] for name in POOLS}
    for family, method in names.itertuples(index=False):
        for pool in POOLS:
            if (family in partnered and method.startswith(f"{pool}-")) or method == f"graphcl-{pool}":
                pools[pool].append(method)
    return {name: methods for name, methods in pools.items() if methods}


def _candidates(scores: pd.DataFrame, pools: Mapping[str, list[str]]) -> pd.DataFrame:
    """The rows of the pools' methods, each with its pool; of hard and uniform, those alone that have the other beside.

    One beside the other is of the same family (the two families of the main methods count as one), data set, seed and
    epoch, so that neither has more to choose from.
    """
    pool = {method: name for name, methods in pools.items() for method in methods}
    rows = scores[scores["method"].isin(pool) & ((scores["epoch"] > 0) | scores["last"])]
    rows = rows.assign(pool=rows["method"].map(pool), factor=rows["family"].replace(list(FAMILIES), "main"))
    compared = rows[rows["pool"].isin(PAIR)]
    both = compared.groupby(["factor", "dataset", "seed", "epoch"])["pool"].transform("nunique") == len(PAIR)
    rows = rows.drop(compared.index[~both])
    return rows.sort_values("pool", key=lambda names: names.map(POOLS.index), kind="stable")


def _searched(rows: pd.DataFrame) -> tuple[Results, str]:
    """The results of the choice, and how many candidates it had."""
    counts = rows.groupby(["dataset", "seed"])["epoch"].transform("size")
    whole = counts == counts.groupby(rows["dataset"]).transform("max")
    results, choices = chosen(rows[whole])
    return results, shown_seeds(choices["candidates"])


def _inner_table(scores: pd.DataFrame, pools: Mapping[str, list[str]]) -> Table:
    """Inner accuracy of each method at its last epoch, less that of hard at its defaults, over the seeds of both."""
    inner = scores.assign(accuracy=scores["inner_accuracy"])
    others = scores.loc[~scores["family"].isin(FAMILIES), "method"]
    methods = list(dict.fromkeys([method for methods in pools.values() for method in methods] + list(others)))
    base = at_epoch(inner, default_methods(scores).get(BASE, ""))
    values = []
    for method in methods:
        results = at_epoch(inner, method)
        for dataset in ordered(results.keys() & base.keys(), SETS):
            seeds = sorted(results[dataset].keys() & base[dataset].keys())
            if seeds:
                mine, other = (100 * stacked(one[dataset], seeds).mean() for one in (results, base))
                row = {"method": method, "dataset": dataset, "inner accuracy": mine, "difference": mine - other}
                values.append(row | {"seeds": len(seeds)})
    columns = ["method", "dataset", "inner accuracy", "difference", "seeds"]
    frame = pd.DataFrame(values).reindex(columns=columns)
    wide = frame.pivot(index="method", columns="dataset", values="difference")
    wide = wide.reindex(index=[name for name in methods if name in wide.index], columns=ordered(wide.columns, SETS))
    shown = wide.map(lambda points: "" if np.isnan(points) else f"{round(points, 1) + 0.0:+.1f}")
    shown["mean"] = [f"{round(points, 1) + 0.0:+.1f}" for points in wide.mean(axis=1)]
    shown["sets"] = wide.notna().sum(axis=1).astype(str)
    note = (
        "Mean accuracy of the inner folds at the last epoch, less that of hard at its defaults on the same seeds, in "
        "points. No test fold has a part in it. The mean is over the sets that ran, so means over different sets must "
        "not be compared."
    )
    shown = shown.rename_axis(columns=None).reset_index()
    return Table("inner", "Every setting as the inner folds see it", note, shown, frame)
