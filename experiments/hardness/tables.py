"""The tables of the study: what each arm was given and what it scored, and the answer to each claim."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from experiments.hardness.arms import ARMS, BOUND, CLAIMS, FEWEST, LARGE_SETS, SETS
from graphcl_hard.evaluation.crossed import (
    Effect,
    crossed_effect,
    detectable_difference,
    equivalence,
    seed_effect,
)
from graphcl_hard.sweeps.report.analysis import LEVEL, ordered
from graphcl_hard.sweeps.report.effects import BOTH, POOLED, QUESTIONS, SEEDS, hits_of
from graphcl_hard.sweeps.report.table import Table

Record = Mapping[str, Any]
LAST, BEFORE = 10, 25
"""Epochs at the end whose means are shown, and from which on the loss before them is averaged."""


def corrected(p: npt.NDArray[np.float64], tests: int) -> npt.NDArray[np.float64]:
    r"""Return p-values corrected for a family that holds two tests of each effect, of difference and of equivalence.

    An effect cannot be 0 and beyond the bound, so of n tests at most n / 2 can have a true hypothesis. Holm's method
    with this restriction takes, for the j-th smallest of the p-values,

    .. math:: \tilde p_{(j)} = \max_{i \le j} \min(1, \min(n / 2, n - i + 1) \, p_{(i)}) .

    Args:
        p: those of the tests that were made.
        tests: n, the tests of the family, made or not.

    Source: Shaffer, "Modified Sequentially Rejective Multiple Test Procedures", JASA 81, 1986.
    """
    order = np.argsort(p, kind="stable")
    factors = np.minimum(tests / 2, tests - np.arange(len(p)))
    found = np.empty(len(p))
    found[order] = np.maximum.accumulate(np.minimum(1.0, factors * p[order]))
    return found


def answers_frame(effects: pd.DataFrame, datasets: int = len(SETS)) -> pd.DataFrame:
    """Return a row for each claim and question: the pooled effect, its tests and the verdict.

    All tests of all claims, for both questions, are one family, whether they have records yet or not. A claim has a row
    once it has an effect on every data set, with `FEWEST` seeds or more.

    Args:
        effects: of `effects_frame` for the pairs of `CLAIMS`.
        datasets: how many data sets an answer is about.

    Returns:
        Columns: claim, method, control, question, difference, low, high, p_difference and p_equivalence (both
        corrected), equivalence_bound (at 5%, not corrected), detectable (at the level of the smallest p-value of the
        family), datasets, seeds, verdict; empty without a pooled effect.
    """
    pooled = effects[effects["dataset"] == POOLED].set_index(["method", "control", "question"])
    rows = []
    for claim in CLAIMS:
        for question in QUESTIONS:
            key = (claim.method, claim.control, question)
            if key not in pooled.index:
                continue
            row = pooled.loc[key]
            if row["datasets"] < datasets or row["seeds"] < FEWEST:
                continue
            effect = Effect(*(float(row[name]) for name in _EFFECT))
            rows.append(
                {
                    "claim": claim.question,
                    **dict(zip(("method", "control", "question"), key, strict=True)),
                    **{name: row[name] for name in ("difference", "low", "high")},
                    "p_difference": effect.p,
                    "p_equivalence": equivalence(effect, BOUND).p,
                    "equivalence_bound": row["equivalence_bound"],
                    "detectable": detectable_difference(effect, alpha=LEVEL / (TESTS / 2)),
                    **{name: int(row[name]) for name in ("datasets", "seeds")},
                }
            )
    frame = pd.DataFrame(rows)
    if len(frame):
        both = ["p_difference", "p_equivalence"]
        frame[both] = corrected(frame[both].to_numpy().ravel(), TESTS).reshape(-1, 2)
        frame["verdict"] = [_verdict(row) for row in frame.to_dict("records")]
    return frame


TESTS = 2 * len(QUESTIONS) * len(CLAIMS)
"""The tests of the page's family: of difference and of equivalence, for each question of each claim."""
_EFFECT = ("difference", "se", "df", "low", "high", "p")


def _verdict(row: Mapping[str, Any]) -> str:
    """Return what the two tests say; a difference may be both there and too small to matter."""
    differs = row["p_difference"] < LEVEL
    equivalent = row["p_equivalence"] < LEVEL
    side = "above" if row["difference"] > 0 else "below"
    if differs and equivalent:
        return f"{side}, by less than {100 * BOUND:g}"
    if differs:
        return side
    return "equivalent" if equivalent else "undecided"


def answers_table(answers: pd.DataFrame) -> Table | None:
    """Return the claims (rows) with the answers to both questions, of `answers_frame`; None if there is none."""
    if answers.empty:
        return None
    shown = []
    for claim in CLAIMS:
        rows = answers[(answers["method"] == claim.method) & (answers["control"] == claim.control)]
        if rows.empty:
            continue
        line = {"claim": claim.question, "arms": f"{claim.method} - {claim.control}"}
        for row in rows.to_dict("records"):
            name = {SEEDS: "these graphs", BOTH: "new graphs"}[row["question"]]
            low, high = (100 * row[end] for end in ("low", "high"))
            line["difference"] = f"{100 * row['difference']:+.2f}"
            line[name] = f"[{low:+.2f}, {high:+.2f}]"
            line[f"{name}: verdict"] = row["verdict"]
            line[f"{name}: within"] = f"{100 * row['equivalence_bound']:.2f}"
            line[f"{name}: detectable"] = f"{100 * row['detectable']:.2f}"
            line["data sets"], line["seeds"] = str(row["datasets"]), str(row["seeds"])
        shown.append(line)
    note = (
        "Difference of the accuracies in points, the mean over the data sets, with its 95% interval for other seeds on "
        "these graphs and for new graphs and seeds. Verdicts: above or below where the difference is not 0, equivalent "
        f"where it lies within {100 * BOUND:g} points to each side, at 5% with a correction for the {TESTS} tests of "
        "the page; undecided where neither is shown. Within: the smallest bound for which two one-sided tests at 5%, "
        "not corrected, find the arms equivalent. Detectable: the true difference that is found with a probability of "
        "80% if it has the smallest p-value of the page. Seeds: the fewest of the data sets."
    )
    points = ["difference", "low", "high", "equivalence_bound", "detectable"]
    values = answers.assign(**{name: 100 * answers[name] for name in points})
    return Table(
        "answers", "The claims, pooled over the data sets", note, pd.DataFrame(shown), values
    )


def arms_table(records: Iterable[Record], name: str = "arms", which: str = "Every arm") -> Table:
    """Return each arm on each data set: its accuracy with both intervals, and the treatment that it was given.

    Args:
        records: of the arms.
        name: as in `Table`.
        which: the arms, as a title begins.
    """
    held: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        if record["status"] == "finished":
            held.setdefault((record["dataset"], record["method"]), []).append(record)
    shown, values = [], []
    hits = hits_of([one for group in held.values() for one in group])
    for dataset in ordered({name for name, _ in held}, (*SETS, *LARGE_SETS)):
        for method in ordered({name for one, name in held if one == dataset}, ARMS):
            group = held[dataset, method]
            by_seed = hits.get((dataset, method), {})
            if len(by_seed) < 2:
                continue
            array = np.stack([by_seed[seed] for seed in sorted(by_seed)])
            seeds, graphs = seed_effect(array), crossed_effect(array)
            given = _treatment(group)
            shown.append(
                {
                    "data set": dataset,
                    "arm": method,
                    "accuracy": f"{100 * seeds.mean:.1f}",
                    "these graphs": f"[{100 * seeds.low:.1f}, {100 * seeds.high:.1f}]",
                    "new graphs": f"[{100 * graphs.low:.1f}, {100 * graphs.high:.1f}]",
                    "steps": f"{given['steps']:.0f}",
                    "moved": _percent(given["weight_change"]),
                    "effective": _percent(given["effective_negatives"]),
                    "beta": "" if np.isnan(given["beta"]) else f"{given['beta']:.3g}",
                    "at bound": _percent(given["clamped"]),
                    "loss": "" if np.isnan(given["loss"]) else f"{given['loss']:.2f}",
                    "seeds": str(len(by_seed)),
                }
            )
            values.append(
                {
                    "dataset": dataset,
                    "method": method,
                    "accuracy": 100 * seeds.mean,
                    **{f"{end}_seeds": 100 * getattr(seeds, end) for end in ("low", "high")},
                    **{f"{end}_graphs": 100 * getattr(graphs, end) for end in ("low", "high")},
                    **given,
                    "seeds": len(by_seed),
                }
            )
    note = (
        "Accuracy in % with two 95% intervals: for other seeds on these graphs, and for new graphs and seeds. Beside "
        "it what the arm was given, as means over its seeds: steps of the optimizer; how far the encoder's weights "
        f"moved, relative to the initial ones; over the last {LAST} epochs the share of effective negatives, the "
        "median of beta (where an arm sets the share, the one found, for the scores as they are) and the share of "
        "anchors whose debiased mean is at its lower bound; and the mean loss of the 15 epochs before these over "
        "theirs, which is 1 where the loss has levelled off."
    )
    return Table(
        name, f"{which}, and what it was given", note, pd.DataFrame(shown), pd.DataFrame(values)
    )


def _treatment(group: Sequence[Record]) -> dict[str, float]:
    def last(curve: str) -> float:
        ends = [one["training"].get(curve, [])[-LAST:] for one in group]
        values = np.concatenate(ends) if ends else np.empty(0)
        # Where graphs are equal, a share may be out of reach, and the beta found is the largest.
        middle = np.median if curve == "beta" else np.mean
        return float(middle(values)) if len(values) else float("nan")

    trained = [one for one in group if one.get("steps") is not None]
    means = {
        name: float(np.mean([one[name] for one in trained])) if trained else float("nan")
        for name in ("steps", "weight_change")
    }
    ratios = [
        np.mean(one["training"]["loss"][-BEFORE:-LAST]) / np.mean(one["training"]["loss"][-LAST:])
        for one in group
        if len(one["training"]["loss"]) >= BEFORE
    ]
    given = {name: last(name) for name in ("effective_negatives", "beta", "clamped")}
    return means | given | {"loss": float(np.mean(ratios)) if ratios else float("nan")}


def _percent(share: float) -> str:
    return "" if np.isnan(share) else f"{100 * share:.0f}%"


def accuracies_table(
    records: Iterable[Record], name: str = "accuracies", title: str = "Accuracies"
) -> Table:
    """Return the mean accuracy of each arm (rows) on each data set, and over the data sets of all arms' seeds.

    Args:
        records: of the arms.
        name: as in `Table`.
        title: as in `Table`.
    """
    hits = hits_of(records)
    datasets = ordered({dataset for dataset, _ in hits}, (*SETS, *LARGE_SETS))
    counts = {len(by_seed) for by_seed in hits.values()}
    shown, values = [], []
    for method in ordered({name for _, name in hits}, ARMS):
        row, means = {"arm": method}, []
        for dataset in datasets:
            by_seed = hits.get((dataset, method), {})
            if by_seed:
                means.append(100 * float(np.mean([one.mean() for one in by_seed.values()])))
                values.append(
                    {
                        "method": method,
                        "dataset": dataset,
                        "accuracy": means[-1],
                        "seeds": len(by_seed),
                    }
                )
            few = f" ({len(by_seed)})" if len(counts) > 1 else ""
            row[dataset] = f"{means[-1]:.1f}{few}" if by_seed else ""
        comparable = len(counts) == 1 and len(means) == len(datasets)
        shown.append({**row, "mean": f"{np.mean(means):.1f}"} if comparable else row)
    note = (
        "Mean accuracy in % over the seeds, whose number is in parentheses where arms differ in it; a mean over the "
        "data sets is shown once they do not. Differences have their intervals in the other tables."
    )
    return Table(name, title, note, pd.DataFrame(shown), pd.DataFrame(values))
