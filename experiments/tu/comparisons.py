"""The paired tests, the aim of the study, and the settings that were tried one at a time."""

from collections.abc import Mapping, Sequence

import pandas as pd

from experiments.tu.analysis import (
    FAMILIES,
    LEVEL,
    NAMES,
    SETS,
    Results,
    at_epoch,
    default_methods,
    estimate,
    ordered,
    paired,
    rank_table,
    signed_rank,
)
from experiments.tu.table import Table, shown_estimate, shown_seeds
from experiments.tu.tables import (
    BEST,
    LAST,
    PUBLISHED,
    best_epoch_lines,
    main_lines,
    selected_lines,
)

Pair = tuple[str, str]
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
TESTED = (
    "Difference of mean accuracies in points [95% interval], and p with Holm's correction over the data sets of the "
    f"comparison; * marks p below {LEVEL:g}. Corrected resampled t over the same folds of the seeds that both have. "
    "Last row: median difference, and p of Wilcoxon's signed-rank test over the data sets, not corrected or marked."
)
NUMBERS = ["first", "second", "dataset", "difference", "low", "high", "p", "p_holm", "seeds"]
OVER = "over the sets (median, Wilcoxon)"
POINTS = ["difference", "low", "high"]


def shown_p(p: float, mark: bool = True) -> str:
    """Return text such as "p = 0.032*" or "p < 0.001*"."""
    return ("p < 0.001" if p < 0.001 else f"p = {p:.3f}") + ("*" if mark and p < LEVEL else "")


def shown_difference(difference: float, low: float, high: float) -> str:
    """Return text such as "+2.0 [-0.3, +4.3]", in points."""
    # + 0.0 so that a rounded nothing is not written as -0.0
    mean, least, most = (round(100 * value, 1) + 0.0 for value in (difference, low, high))
    return f"{mean:+.1f} [{least:+.1f}, {most:+.1f}]"


def tests_tables(scores: pd.DataFrame) -> list[Table]:
    """Return the paired tests at fixed settings: against untrained, uniform, released and wl."""
    lines = main_lines(scores)
    return [
        tests_table(f"tests_{name}", title, f"Fixed settings, last epoch. {TESTED}", lines, pairs)
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
    return tests_table("selected_tests", "Tests of the chosen settings", note, lines, pairs)


def tests_table(
    name: str, title: str, note: str, lines: Mapping[str, Results], pairs: Sequence[Pair]
) -> Table:
    """Return data sets x comparisons; comparisons without shared cells are left out, and the note says so."""
    tests = {pair: paired(lines.get(pair[0], {}), lines.get(pair[1], {})) for pair in pairs}
    found = {pair: frame for pair, frame in tests.items() if len(frame)}
    names = {pair: " - ".join(NAMES.get(one, one) for one in pair) for pair in pairs}
    shown, values = [], []
    for dataset in ordered({dataset for frame in found.values() for dataset in frame.index}, SETS):
        row = {"data set": dataset}
        for pair, frame in found.items():
            here = frame.loc[dataset] if dataset in frame.index else None
            row[names[pair]] = (
                "absent"
                if here is None
                else f"{shown_difference(*here[POINTS])}, {shown_p(here['p_holm'])}"
            )
            if here is not None:
                points = {key: 100 * here[key] for key in POINTS}
                values.append(
                    {
                        "first": pair[0],
                        "second": pair[1],
                        "dataset": dataset,
                        **here.to_dict(),
                        **points,
                    }
                )
        row["seeds"] = shown_seeds(
            int(one.loc[dataset, "seeds"]) for one in found.values() if dataset in one.index
        )
        shown.append(row)
    over = {"data set": "over the sets"}
    for pair, frame in found.items():
        median, p = 100 * frame["difference"].median(), signed_rank(frame["difference"])
        over[names[pair]] = f"{round(median, 1) + 0.0:+.1f}, {shown_p(p, mark=False)}"
        values.append(
            {"first": pair[0], "second": pair[1], "dataset": OVER, "difference": median, "p": p}
        )
    missing = [names[pair] for pair in pairs if pair not in found]
    if missing:
        note += f" Without records on both sides: {', '.join(missing)}."
    frame = pd.DataFrame([*shown, over | {"seeds": ""}] if shown else [])
    return Table(
        name, title, note, frame, pd.DataFrame(values).reindex(columns=NUMBERS), int(bool(shown))
    )


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
    return tests_table(
        "other_tests", "Hard against its partners", f"Last epoch. {TESTED}", lines, pairs
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
