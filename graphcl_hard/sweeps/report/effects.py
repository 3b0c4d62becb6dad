"""Differences between methods from the predictions of each graph: for other seeds, and for new graphs and seeds.

See `graphcl_hard.evaluation.crossed` for the two questions. Records without predictions have no effects.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes

from graphcl_hard.evaluation.crossed import (
    Effect,
    crossed_effect,
    detectable_difference,
    pool,
    seed_effect,
    smallest_bound,
)
from graphcl_hard.evaluation.statistics import holm
from graphcl_hard.exceptions import InputError
from graphcl_hard.sweeps.report.analysis import LEVEL, NAMES, PROBE
from graphcl_hard.sweeps.report.canvas import PALETTE, Picture, finish, new_figure, shared_legend
from graphcl_hard.sweeps.report.paired_tests import Pair, shown_difference, shown_p
from graphcl_hard.sweeps.report.table import Table

Record = Mapping[str, Any]
Hits = dict[tuple[str, str], dict[int, npt.NDArray[np.float64]]]
Facts = dict[tuple[str, str, int], dict[str, Any]]

SEEDS, BOTH, POOLED = "seeds", "graphs and seeds", "pooled"
QUESTIONS: dict[str, Callable[..., Effect]] = {SEEDS: seed_effect, BOTH: crossed_effect}
LABELS = {SEEDS: "other seeds, these graphs", BOTH: "other seeds, new graphs"}
PAIR = ["dataset", "method", "control", "question"]
VALUES = ["difference", "se", "df", "low", "high", "p", "detectable", "equivalence_bound"]
COLUMNS = [*PAIR, *VALUES, "seeds", "graphs", "datasets"]
BOUND = 0.01
"""Difference, in shares of 1, that is drawn as practically none."""
MOST = 12  # pairs in a figure
EXPLAINED = (
    "Two questions, each with its own interval. Would other seeds give the same answer on these graphs? Student's t "
    "over the seeds, of which each has one mean over all graphs. Would they on new graphs of the same kind? Crossed "
    "random effects of graphs and seeds; from five seeds on this interval is the wider one, and with fewer it may be "
    "too narrow and is not to be trusted. Neither says what another training sample would change. Pooled is the mean "
    "over the data sets, whose number stands in parentheses, each with the same weight: an answer about these data "
    "sets."
)
NOTE = (
    "Method minus control: difference of the accuracies in points [95% interval] on the seeds that both have, and p "
    f"with Holm's correction over all rows and both questions of the table; * marks p below {LEVEL:g}. Detectable: the "
    "true difference that the test finds with a probability of 80%. Within: the smallest bound for which two one-sided "
    "tests at 5% find the methods equivalent."
)


def hits_of(records: Iterable[Record], probe: str = PROBE, epoch: int | None = None) -> Hits:
    """Return (data set, method) -> seed -> hits (G,): the share of repeats in which each graph is predicted right.

    Args:
        records: of the cells; those without predictions at the epoch are left out.
        probe: that made the predictions; where a record has others only, its first one.
        epoch: None: the last one of each record.
    """
    found: Hits = {}
    for record, predicted in _predicted(records, probe, epoch):
        right = np.equal(predicted, record["labels"])
        key = record["dataset"], record["method"]
        found.setdefault(key, {})[record["seed"]] = right.mean(axis=0)
    return found


def _predicted(
    records: Iterable[Record], probe: str, epoch: int | None
) -> Iterator[tuple[Record, Sequence[Any]]]:
    """Yield the records that have predictions, (repeats, G), with these."""
    for record in records:
        scores = record["scores"]
        if not scores or "labels" not in record:
            continue
        scored = scores[probe if probe in scores else next(iter(scores))]
        one = scored.get(str(record["last_epoch"] if epoch is None else epoch), {})
        if "predicted" in one:
            yield record, one["predicted"]


def effects_frame(
    records: Iterable[Record], pairs: Iterable[Pair], probe: str = PROBE, epoch: int | None = None
) -> pd.DataFrame:
    """Return the differences of pairs of methods on each data set and pooled, for both questions.

    Pairs are compared on the seeds that both have; with fewer than 2 on a data set there is no row. All numbers are
    shares of 1.

    Args:
        records: of the cells, whose data sets come in this order.
        pairs: (method, control) by name, in the order of the rows.
        probe: as in `hits_of`.
        epoch: as in `hits_of`.

    Returns:
        Columns: dataset ("pooled" for the mean over 2 or more data sets), method, control, question ("seeds", or
        "graphs and seeds"), difference, se, df, low, high, p, detectable (with power 0.8), equivalence_bound (the
        smallest, at 5%), seeds (in a pooled row the fewest of its data sets), graphs (in a pooled row of all), datasets
        (how many a row pools; 1 in the others).

    Raises:
        InputError: records of a pair and seed have different labels, repeats or sizes of test folds, or those of a data
            set different numbers of graphs.
    """
    records = list(records)
    hits = hits_of(records, probe, epoch)
    facts = _facts_of(records, probe, epoch)
    datasets = list(dict.fromkeys(dataset for dataset, _ in hits))
    rows = []
    for method, control in pairs:
        for dataset in datasets:
            _check_pair(dataset, method, control, facts)
        pairs_of_hits = {
            dataset: _common(hits.get((dataset, method), {}), hits.get((dataset, control), {}))
            for dataset in datasets
        }
        shared = {dataset: both for dataset, both in pairs_of_hits.items() if both.shape[1] > 1}
        sizes: dict[str, tuple[int, ...]] = {
            dataset: (*both.shape[1:], 1) for dataset, both in shared.items()
        }
        if len(sizes) > 1:
            seeds, graphs, ones = zip(*sizes.values(), strict=True)
            sizes[POOLED] = (min(seeds), sum(graphs), sum(ones))
        for question, effect in QUESTIONS.items():
            found = {dataset: effect(*both) for dataset, both in shared.items()}
            if len(found) > 1:
                found[POOLED] = pool(found.values())
            rows += [
                (dataset, method, control, question, *_values(one), *sizes[dataset])
                for dataset, one in found.items()
            ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _common(
    first: Mapping[int, npt.NDArray[np.float64]], second: Mapping[int, npt.NDArray[np.float64]]
) -> npt.NDArray[np.float64]:
    """Return the hits of both on the seeds that both have, (2, S, G); (2, 0) without such seeds."""
    seeds = sorted(first.keys() & second.keys())
    arrays = [one[seed] for one in (first, second) for seed in seeds]
    if len({len(array) for array in arrays}) > 1:
        counts = ", ".join(sorted({str(len(array)) for array in arrays}))
        raise InputError(
            f"All records of a data set must have the same graphs, got {counts} graphs; run them on the same data set."
        )
    return np.reshape(arrays, (2, len(seeds), -1)) if seeds else np.empty((2, 0))


def _facts_of(records: Iterable[Record], probe: str, epoch: int | None) -> Facts:
    """Return what two records of a seed must have in common for their graphs and folds to be the same."""
    return {
        (record["dataset"], record["method"], record["seed"]): {
            "labels": record["labels"],
            "repeats": len(predicted),
            "test_sizes": record.get("test_sizes"),
        }
        for record, predicted in _predicted(records, probe, epoch)
    }


def _check_pair(dataset: str, method: str, control: str, facts: Facts) -> None:
    """Raise if records of a seed cannot be paired."""
    for (_, _, seed), ours in [
        (key, one) for key, one in facts.items() if key[:2] == (dataset, method)
    ]:
        theirs = facts.get((dataset, control, seed), ours)
        differ = [name for name in ours if not np.array_equal(ours[name], theirs[name])]
        if differ:
            raise InputError(
                f"Records of {method} and {control} on {dataset}, seed {seed}, must have the same graphs and folds, "
                f"but differ in {' and '.join(differ)}; run both with the same plan."
            )


def _values(effect: Effect) -> tuple[float, ...]:
    return (*effect, detectable_difference(effect), smallest_bound(effect))


def without_effects(
    records: Iterable[Record], frame: pd.DataFrame, pairs: Iterable[Pair]
) -> list[tuple[str, Pair]]:
    """Return the (data set, pair) where both methods have scores and `effects_frame` has no row."""
    scored = dict.fromkeys((one["dataset"], one["method"]) for one in records if one["scores"])
    found = set(zip(frame["dataset"], frame["method"], frame["control"], strict=True))
    return [
        (dataset, (method, control))
        for method, control in pairs
        for dataset in dict.fromkeys(dataset for dataset, _ in scored)
        if {(dataset, method), (dataset, control)} <= scored.keys()
        and (dataset, method, control) not in found
    ]


def effects_table(
    name: str, title: str, frame: pd.DataFrame, datasets: Sequence[str] = (), note: str = NOTE
) -> Table:
    """Return pairs and data sets (rows) with the answers to both questions side by side.

    Args:
        name: as in `Table`.
        title: as in `Table`.
        frame: of `effects_frame`, not empty.
        datasets: that come first, in this order; pooled comes last, with the number of data sets.
        note: as in `Table`.

    Returns:
        The table, whose values are the frame with "p_holm", corrected over all its rows; differences are in points.
    """
    frame = frame.assign(p_holm=holm(frame["p"]))
    shown = []
    for (method, control), rows in frame.groupby(["method", "control"], sort=False):
        pair = f"{NAMES.get(method, method)} - {NAMES.get(control, control)}"
        for dataset in _datasets(rows, datasets):
            here = rows[rows["dataset"] == dataset].set_index("question")
            row = {"method - control": pair, "data set": dataset}
            if dataset == POOLED:
                row["data set"] += f" ({here['datasets'].iloc[0]})"
            for question, label in LABELS.items():
                one = here.loc[question]
                row[label] = shown_difference(*one[["difference", "low", "high"]])
                row[f"p, {label}"] = shown_p(one["p_holm"]).removeprefix("p ").removeprefix("= ")
            for column, heading in (("detectable", "detectable"), ("equivalence_bound", "within")):
                row[heading] = " / ".join(f"{100 * here.loc[one, column]:.1f}" for one in LABELS)
            row["seeds"] = str(here["seeds"].iloc[0])
            shown.append(row)
    points = ["difference", "se", "low", "high", "detectable", "equivalence_bound"]
    values = frame.assign(**{column: 100 * frame[column] for column in points})
    return Table(name, title, note, pd.DataFrame(shown), values)


def _datasets(frame: pd.DataFrame, first: Sequence[str]) -> list[str]:
    """Return the data sets of a frame, pooled last."""
    names = [*dict.fromkeys(frame["dataset"])]
    return sorted(
        names,
        key=lambda name: (name == POOLED, list(first).index(name) if name in first else len(names)),
    )


def forest_plot(
    name: str,
    title: str,
    frame: pd.DataFrame,
    datasets: Sequence[str] = (),
    bound: float = BOUND,
) -> Picture:
    """Draw both intervals of each pair, on each data set and pooled, a panel for each pair.

    Args:
        name: as in `Picture`.
        title: as in `Picture`.
        frame: of `effects_frame`, not empty.
        datasets: that come first, in this order; pooled comes last.
        bound: differences within it, in shares of 1, are shaded.
    """
    groups = [(pair, rows) for pair, rows in frame.groupby(["method", "control"], sort=False)]
    drawn, left_out = groups[:MOST], groups[MOST:]
    names = _datasets(pd.concat([rows for _, rows in drawn]), datasets)
    columns = min(3, len(drawn))
    lines = -(-len(drawn) // columns)
    size = max(3.2 * columns + 1.2, 6.0), lines * (0.38 * len(names) + 0.7) + 0.8
    figure = new_figure(*size)
    grid = figure.subplots(lines, columns, squeeze=False, sharey=True, sharex=True)
    for axes, ((method, control), rows) in zip(grid.ravel(), drawn, strict=False):
        _panel(axes, rows, names, bound)
        axes.tick_params(labelbottom=True)
        axes.set_title(f"{NAMES.get(method, method)} - {NAMES.get(control, control)}", fontsize=10)
    for axes in grid.ravel()[len(drawn) :]:
        axes.remove()
    figure.supxlabel("difference of accuracy, points", fontsize=11)
    shared_legend(figure)
    pairs = ", ".join(f"{method} and {control}" for (method, control), _ in drawn)
    alt = f"Differences of accuracy of {pairs}, with two intervals each, on {', '.join(names)}."
    note = f"95% intervals. Shaded: differences of ±{100 * bound:g} or less."
    if left_out:
        note += " Not drawn: " + ", ".join(f"{one} - {two}" for (one, two), _ in left_out) + "."
    return Picture(name, title, alt, note, figure)


def _panel(axes: Axes, rows: pd.DataFrame, names: Sequence[str], bound: float) -> None:
    axes.axvspan(
        -100 * bound,
        100 * bound,
        color="#8c8c8c",
        alpha=0.2,
        linewidth=0,
        label=f"±{100 * bound:g} or less",
    )
    axes.axvline(0, color="#59616b", linewidth=0.8)
    for question, offset, colour, shape in (
        (SEEDS, -0.15, PALETTE[0], "o"),
        (BOTH, 0.15, PALETTE[1], "s"),
    ):
        here = rows[rows["question"] == question].set_index("dataset")
        here = here.loc[[name for name in names if name in here.index]]
        means, low, high = (100 * here[one].to_numpy() for one in ("difference", "low", "high"))
        places = [names.index(name) + offset for name in here.index]
        axes.errorbar(
            means,
            places,
            xerr=[means - low, high - means],
            fmt=shape,
            color=colour,
            capsize=2,
            elinewidth=1.2,
            markersize=4,
            label=LABELS[question],
        )
    if POOLED in names:
        axes.axhline(len(names) - 1.5, color="#59616b", linewidth=0.8, linestyle=":")
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    finish(axes)
    axes.grid(axis="y", visible=False)


def effect_parts(
    records: Sequence[Record], control: str, methods: Iterable[str], datasets: Sequence[str]
) -> tuple[list[Table | Picture], bool]:
    """Return a table and a figure of the differences of methods from a control.

    Args:
        records: of the plan's cells.
        control: name of a method.
        methods: names of others.
        datasets: in the order of the plan.

    Returns:
        The parts, none without a pair that has two seeds with predictions; and whether they have all pairs that have
        scores. The note names those that are missing.
    """
    pairs = [(method, control) for method in methods]
    frame = effects_frame(records, pairs)
    missing = without_effects(records, frame, pairs)
    if frame.empty:
        return [], not missing
    title, note = f"Graph by graph against {NAMES.get(control, control)}", NOTE
    if missing:
        each = ", ".join(f"{NAMES.get(pair[0], pair[0])} on {dataset}" for dataset, pair in missing)
        note += f" Without 2 seeds with predictions on both sides: {each}."
    return [
        effects_table(f"effects_{control}", title, frame, datasets, note),
        forest_plot(f"forest_{control}", f"{title}: intervals", frame, datasets),
    ], not missing
