"""The paired tests, the aim of the study, and the settings that were tried one at a time."""

import pandas as pd

from experiments.tu.families import FAMILIES, SETS, default_methods
from experiments.tu.tables import (
    BEST,
    LAST,
    PUBLISHED,
    best_epoch_lines,
    main_lines,
    selected_lines,
)
from graphcl_hard.sweeps.report.analysis import (
    LEVEL,
    Results,
    at_epoch,
    estimate,
    ordered,
    paired,
    rank_table,
)
from graphcl_hard.sweeps.report.paired_tests import (
    NUMBERS,
    POINTS,
    TESTED,
    Pair,
    paired_table,
    shown_difference,
)
from graphcl_hard.sweeps.report.table import Table, shown_estimate

GROUPS: dict[str, tuple[str, tuple[Pair, ...]]] = {
    "untrained": (
        "Against the untrained encoder",
        tuple((one, "untrained") for one in FAMILIES[2:]),
    ),
    "bn-only": (
        "Against the control in which batch norm's statistics move and no weight does",
        tuple((one, "bn-only") for one in ("wl", "uniform", "hard", "released")),
    ),
    "uniform": ("Against uniform", tuple((one, "uniform") for one in ("wl", "hard", "released"))),
    "hard": ("Hard against released and the WL kernel", (("hard", "released"), ("hard", "wl"))),
}


def tests_tables(scores: pd.DataFrame) -> list[Table]:
    """Return the paired tests at fixed settings: against untrained, uniform, released and wl."""
    lines = main_lines(scores)
    return [
        paired_table(
            f"tests_{name}", title, f"Fixed settings, last epoch. {TESTED}", lines, pairs, SETS
        )
        for name, (title, pairs) in GROUPS.items()
    ]


def selected_tests(scores: pd.DataFrame) -> Table:
    """Return the paired tests of the settings chosen inside the training folds."""
    lines = {f"{family} selected": results for family, results in selected_lines(scores)[0].items()}
    lines |= {
        family: results
        for family, results in main_lines(scores).items()
        if family in ("untrained", "wl")
    }
    seconds = ("bn-only selected", "uniform selected", "released selected", "untrained", "wl")
    note = f"Settings and epochs chosen inside the training folds. {TESTED}"
    pairs = [("hard selected", second) for second in seconds]
    return paired_table("selected_tests", "Tests of the chosen settings", note, lines, pairs, SETS)


def aim_table(scores: pd.DataFrame) -> Table:
    """Return the aim of the study beside the result."""
    lines, by_epoch = main_lines(scores), best_epoch_lines(scores)
    rows = []
    if {"hard", "uniform", "untrained"} <= lines.keys():
        uniform, untrained = (
            paired(lines["hard"], lines[name]) for name in ("uniform", "untrained")
        )
        both = [dataset for dataset in uniform.index if dataset in untrained.index]
        u, n = uniform.loc[both], untrained.loc[both]
        ahead = (u["difference"] > 0) & (n["difference"] > 0)
        sure = (u["p_holm"] < LEVEL, n["p_holm"] < LEVEL)
        rows += [
            _counted("hard above uniform and above untrained", "6 of 8", ahead),
            _counted("... significantly above both", "3 of 8", ahead & sure[0] & sure[1]),
            _counted("... significantly above uniform", "", (u["difference"] > 0) & sure[0]),
            _counted("... significantly above untrained", "", (n["difference"] > 0) & sure[1]),
            _counted("hard significantly below uniform", "", (u["difference"] < 0) & sure[0]),
            _counted("hard significantly below untrained", "", (n["difference"] < 0) & sure[1]),
        ]
    if {"hard", "bn-only"} <= lines.keys():
        control = paired(lines["hard"], lines["bn-only"])
        ahead = control["difference"] > 0
        rows += [
            _counted("hard above batch norm only", "", ahead),
            _counted("... significantly", "", ahead & (control["p_holm"] < LEVEL)),
        ]
    ranks = rank_table(lines).mean()
    if "hard" in ranks.index and len(ranks) > 1 and ranks.notna().all():
        best = ranks.drop("hard").idxmin()
        found = f"{ranks['hard']:.2f}; best of the others: {best}, {ranks[best]:.2f}"
        rows.append(("average rank of hard", "ahead of all", found, "", ranks["hard"]))
    for family in ("hard", "uniform"):
        for kind in (LAST, BEST) if family in by_epoch else ():
            reached = _reached(by_epoch[family][kind])
            target = "5 of 7" if (family, kind) == ("hard", LAST) else ""
            rows.append(
                _counted(
                    f"{family}, {kind}, at or above InfoGraph's published figure", target, reached
                )
            )
    frame = pd.DataFrame(rows, columns=["criterion", "aim", "found", "sets", "value"])
    note = (
        f"Fixed settings of the main table; significant is p below {LEVEL:g} after Holm's correction over the data "
        "sets. Only data sets with records on both sides count."
    )
    return Table("aim", "Aim and result", note, frame.drop(columns="value"), frame)


def partners_table(scores: pd.DataFrame) -> Table | None:
    """Return the tests of hard against uniform and batch norm only, all else equal, for the other settings."""
    rows = scores[~scores["family"].isin(FAMILIES)]
    names = rows[["family", "method"]].drop_duplicates()
    pairs = [
        (hard, other)
        for family, group in names.groupby("family", sort=False)
        for hard in group["method"]
        for other in group["method"]
        if hard.startswith("hard") and other.startswith(("uniform", "bn-only"))
    ]
    if not pairs:
        return None
    lines = {
        method: at_epoch(scores, method)
        for method in dict.fromkeys(name for pair in pairs for name in pair)
    }
    return paired_table(
        "other_tests", "Hard against its partners", f"Last epoch. {TESTED}", lines, pairs, SETS
    )


def _counted(criterion: str, aim: str, holds: pd.Series) -> tuple[str, str, str, str, float]:
    names = ", ".join(holds.index[holds.to_numpy(dtype=bool)])
    return criterion, aim, f"{int(holds.sum())} of {len(holds)}", names, float(holds.sum())


def _reached(results: Results) -> pd.Series:
    # published figures have one decimal; ours are compared as they would be printed
    reached = {
        dataset: round(100 * estimate(results[dataset]).mean, 1) >= figure
        for dataset, figure in PUBLISHED.items()
        if dataset in results
    }
    return pd.Series(reached, dtype=bool)


def other_table(scores: pd.DataFrame) -> Table | None:
    """Return the settings changed one at a time, with their differences from hard at its defaults."""
    rows = scores[~scores["family"].isin([*FAMILIES, "graphcl"])]
    if rows.empty:
        return None
    default = default_methods(scores).get("hard")
    base = at_epoch(scores, default) if default else {}
    datasets = ordered(rows["dataset"], SETS)
    shown, values = [], []
    for family, method in rows[["family", "method"]].drop_duplicates().itertuples(index=False):
        results = at_epoch(scores, method)
        tests = paired(results, base)
        row = {"family": family, "method": method} | dict.fromkeys(datasets, "")
        for dataset in ordered(results, SETS):
            found = estimate(results[dataset])
            row[dataset] = shown_estimate(found)
            numbers = {"accuracy": 100 * found.mean}
            if dataset in tests.index:
                here = tests.loc[dataset]
                row[dataset] = f"{100 * found.mean:.1f}, {shown_difference(*here[POINTS])}"
                numbers |= here.to_dict() | {key: 100 * here[key] for key in POINTS}
            values.append({"family": family, "method": method, "dataset": dataset, **numbers})
        shown.append(row)
    note = (
        f"Mean accuracy in %, then the difference from {default or 'hard'} in points [95% interval], at the last epoch "
        "and on the same folds. The CSV file has p, with Holm's correction over the data sets of each row."
    )
    columns = ["family", "method", "dataset", "accuracy", *NUMBERS[3:]]
    return Table(
        "other",
        "Other settings",
        note,
        pd.DataFrame(shown),
        pd.DataFrame(values).reindex(columns=columns),
    )
