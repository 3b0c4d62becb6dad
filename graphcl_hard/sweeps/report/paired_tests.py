"""Tables of paired tests of methods on the same folds."""

from collections.abc import Mapping, Sequence

import pandas as pd

from graphcl_hard.sweeps.report.analysis import LEVEL, NAMES, Results, ordered, paired, signed_rank
from graphcl_hard.sweeps.report.table import Table, shown_seeds

Pair = tuple[str, str]
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


def paired_table(
    name: str,
    title: str,
    note: str,
    lines: Mapping[str, Results],
    pairs: Sequence[Pair],
    order: Sequence[str] = (),
) -> Table:
    """Return data sets x comparisons; comparisons without shared cells are left out, and the note says so."""
    tests = {pair: paired(lines.get(pair[0], {}), lines.get(pair[1], {})) for pair in pairs}
    found = {pair: frame for pair, frame in tests.items() if len(frame)}
    names = {pair: " - ".join(NAMES.get(one, one) for one in pair) for pair in pairs}
    shown, values = [], []
    for dataset in ordered({dataset for frame in found.values() for dataset in frame.index}, order):
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
