"""Finding 1: how much training the first study gave, and how hard its hard negatives were.

Steps, and the shares of effective negatives at beta 10, come from the first study's records. What these do not hold
was computed: the movement of the weights, the loss beyond the 5th epoch, and the shares at beta 100. Runs have the
first study's settings; that their losses are those of its records, up to rounding, is tested.
"""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.hardness.review.computed import read_computed, write_computed
from experiments.hardness.review.old_study import BATCH, EPOCHS, HARD, SMALL, UNIFORM, records_of
from experiments.hardness.review.tests_question import seed_effects
from experiments.tu.families import SETS
from graphcl_hard.config import Config
from graphcl_hard.data.load import load_graphs
from graphcl_hard.evaluation.crossed import pool, smallest_bound
from graphcl_hard.loader.features import FeatureMap
from graphcl_hard.runs.environment import environment
from graphcl_hard.sweeps.report.table import Table, shown_seeds
from graphcl_hard.training.build import prepare
from graphcl_hard.training.devices import training_device
from graphcl_hard.training.loop import train
from graphcl_hard.training.state import Epoch, relative_change

COMPUTED = Path(__file__).resolve().parent / "treatment.json"
ARMS: dict[str, dict[str, float]] = {
    UNIFORM: {"beta": 0.0, "tau_plus": 0.0},
    HARD: {"beta": 10.0, "tau_plus": 0.1},
    "hard-beta100-tau0.1": {"beta": 100.0, "tau_plus": 0.1},
}
VERY_HARD = "hard-beta100-tau0.1"
LOWEST = {
    HARD: UNIFORM,
    "hard-cosine-beta3-epochs20": "uniform-cosine-epochs20",
    "hard-info-nce-beta1-epochs20": "uniform-info-nce-epochs20",
    "hard-unscaled-beta1": UNIFORM,
    "graphcl-hard-beta5": "graphcl-uniform",
}
"""Methods with low shares in the first study, with the uniform method that differs in nothing but hardness."""
SEEDS, LONG = (0, 1, 2), 100
SHOWN = (1, 5, 20, LONG)
Run = dict[str, Any]
Key = tuple[str, str, int]


def runs_wanted() -> Iterator[tuple[Key, int]]:
    """Yield the runs to compute, with their epochs: seed 0 is continued, except at beta 100."""
    for dataset in SMALL:
        for arm in ARMS:
            for seed in SEEDS:
                longer = seed == 0 and arm != VERY_HARD
                yield (dataset, arm, seed), LONG if longer else EPOCHS


def compute(told: Callable[[str], object] = print) -> None:
    """Compute the runs that the file lacks, and write it after each."""
    for key, epochs in runs_wanted():
        runs = computed_runs()
        if key not in runs:
            told(f"{key[0]} {key[1]} seed {key[2]}, {epochs} epochs")
            runs[key] = _trained(key, epochs)
            write_computed(COMPUTED, (runs[one] for one in sorted(runs)))


def computed_runs() -> dict[Key, Run]:
    """Return the computed runs by data set, arm and seed."""
    return {(one["dataset"], one["method"], one["seed"]): one for one in read_computed(COMPUTED)}


def _trained(key: Key, epochs: int) -> Run:
    dataset, arm, seed = key
    settings = {**ARMS[arm], "epochs": epochs, "batch_size": BATCH}
    config = Config(dataset=dataset, seed=seed, accelerator="cpu", **settings)  # type: ignore[arg-type]
    graphs = load_graphs(dataset)
    run: Run = {"dataset": dataset, "method": arm, "seed": seed, "settings": settings}
    run |= {"graphs": graphs.num_graphs, "loss": [], "effective_negatives": [], "movement": []}
    with training_device(config) as fabric:
        batches, state = prepare(config, graphs, FeatureMap.fit(graphs), fabric)
        encoder = state.model.encoder
        first = [one.detach().clone() for one in encoder.parameters()]

        def note(epoch: Epoch) -> None:
            run["loss"].append(_short(epoch.loss))
            run["effective_negatives"].append(_short(epoch.effective_negatives))
            run["movement"].append(_short(relative_change(first, encoder.parameters())))

        train(state, batches, config, fabric, note)
        run["steps"] = state.steps
    found = environment()
    return run | {name: found[name] for name in ("versions", "platform", "git_commit")}


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def steps(graphs: int, epochs: int = EPOCHS) -> int:
    """Return the number of Adam steps; a single graph left at the end joins the last batch."""
    return epochs * (math.ceil(graphs / BATCH) - (graphs > BATCH and graphs % BATCH == 1))


def treatment_table() -> Table:
    """Return the steps of the first study, the movement of the weights, and the loss as training goes on."""
    runs = computed_runs()
    shown, values = [], []
    for dataset in SETS:
        graphs = records_of(dataset, UNIFORM)[0]["data"]["graphs"]
        row = {"data set": dataset, "graphs": str(graphs), "Adam steps": str(steps(graphs))}
        facts: list[tuple[str, str, int, float]] = []
        for arm, name in ((UNIFORM, "uniform"), (HARD, "hard")):
            moved = [runs[dataset, arm, seed]["movement"] for seed in SEEDS if dataset in SMALL]
            here = [100 * one[EPOCHS - 1] for one in moved]
            row[f"weights moved, {name}"] = _span(here, 1)
            facts += [(name, "movement_percent", EPOCHS, one) for one in here]
            later = [100 * moved[0][LONG - 1]] if moved else []
            facts += [(name, "movement_percent", LONG, one) for one in later]
            row[f"... after {LONG} epochs, {name}"] = _span(later, 0)
            loss = runs[dataset, arm, 0]["loss"] if moved else []
            row[f"loss after {', '.join(map(str, SHOWN))} epochs, {name}"] = (
                ", ".join(f"{loss[epoch - 1]:.3g}" for epoch in SHOWN) if loss else "not computed"
            )
            facts += [(name, "loss", epoch, loss[epoch - 1]) for epoch in SHOWN if loss]
        shown.append(row)
        values.append(
            {"dataset": dataset, "what": "steps", "epoch": EPOCHS, "value": steps(graphs)}
        )
        values += [
            {"dataset": dataset, "arm": arm, "what": what, "epoch": epoch, "value": value}
            for arm, what, epoch, value in facts
        ]
    note = (
        f"Adam steps in the {EPOCHS} epochs of the first study. Movement: the distance of the encoder's weights from "
        "their initial values, as a share of the norm of these (L2 over all parameters), the least and the largest of "
        f"seeds 0 to 2; after {LONG} epochs, and the loss: seed 0."
    )
    columns = ["dataset", "arm", "what", "epoch", "value"]
    frame = pd.DataFrame(values).reindex(columns=columns)
    return Table("review_treatment", "The treatment", note, pd.DataFrame(shown), frame)


def shares_table() -> Table:
    """Return the effective share of negatives for each beta: 100 is computed, the others are in the records."""
    runs = computed_runs()
    shown, values = [], []
    for dataset in SETS:
        row = {"data set": dataset}
        for beta in (1, 2, 5, 10, 100):
            curves = [
                one["training"]["effective_negatives"]
                for one in records_of(dataset, f"hard-beta{beta}-tau0.1")
            ]
            if f"hard-beta{beta}-tau0.1" == VERY_HARD and dataset in SMALL:
                curves = [runs[dataset, VERY_HARD, seed]["effective_negatives"] for seed in SEEDS]
            percents = [[100 * share for share in curve] for curve in curves]
            row[f"beta {beta}"] = _span([share for curve in percents for share in curve], 0)
            values += [
                {"dataset": dataset, "beta": beta, "seed": seed, "epoch": epoch, "percent": share}
                for seed, curve in enumerate(percents)
                for epoch, share in enumerate(curve, start=1)
            ]
        shown.append(row)
    note = (
        f"Effective number of negatives in per cent of all, mean over an epoch: the least and the largest of the "
        f'{EPOCHS} epochs of all seeds. Score scale "max", tau_plus 0.1. Beta 100: seeds 0 to 2; the other betas: the '
        "first study's records, of 5 seeds, and 3 on DD and REDDIT-BINARY."
    )
    return Table(
        "review_shares", "How hard is hard", note, pd.DataFrame(shown), pd.DataFrame(values)
    )


def lowest_shares_table() -> Table:
    """Return the settings of the first study with the lowest shares, minus their uniform partners."""
    shown, values = [], []
    for method, partner in LOWEST.items():
        curves = [
            one["training"]["effective_negatives"]
            for dataset in SETS
            for one in records_of(dataset, method)
        ]
        shares = [100 * share for curve in curves for share in curve]
        last = [100 * curve[-1] for curve in curves]
        effects = seed_effects(method, partner)
        found, seeds = pool(effects.values()), [one.df + 1 for one in effects.values()]
        bound = 100 * smallest_bound(found)
        shown.append(
            {
                "method": method,
                "all epochs": _span(shares, 0),
                "last epoch": _span(last, 0),
                "minus": partner,
                "difference": f"{100 * found.mean:+.2f} [{100 * found.low:+.2f}, {100 * found.high:+.2f}]",
                "smallest bound": f"{bound:.2f}",
                "data sets": str(len(effects)),
                "seeds": shown_seeds(int(one) for one in seeds),
            }
        )
        values.append(
            {
                "method": method,
                "partner": partner,
                "least_percent": min(shares),
                "largest_percent": max(shares),
                "least_last_percent": min(last),
                "largest_last_percent": max(last),
                **{
                    name: 100 * value
                    for name, value in found._asdict().items()
                    if name not in ("df", "p")
                },
                "p": found.p,
                "bound": bound,
                "sets": len(effects),
            }
        )
    note = (
        "Effective negatives in per cent, the least and the largest over data sets and seeds. Difference in points "
        "[95% interval] by Student's t over the means of the seeds, the data sets pooled with equal weights; smallest "
        "bound: of equivalence, at the 5% level."
    )
    return Table(
        "review_lowest_shares",
        "The lowest shares of effective negatives that were tested",
        note,
        pd.DataFrame(shown),
        pd.DataFrame(values),
    )


def _span(values: list[float], decimals: int) -> str:
    """Return text such as "2.0 to 3.4%"."""
    if not values:
        return "not computed"
    ends = [f"{one:.{decimals}f}" for one in (min(values), max(values))]
    return f"{ends[0]}%" if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}%"
