"""Finding 3: the control in which only batch norm changes keeps a part of the initial statistics.

The first study's records hold the control `bn-only`. Beside it is `bn-exact`, the same initial weights with exact
statistics, on the same folds:
  python -m graphcl_hard.sweep experiments/hardness/review/batch_norm/plan.yaml \
    --out experiments/hardness/review/batch_norm --jobs 1 --no-report
How far the statistics of the two differ was computed for seed 0, by `compute`.
"""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.hardness.review.computed import read_computed, write_computed
from experiments.hardness.review.old_study import EPOCHS, HARD, records_of
from experiments.hardness.review.treatment import steps
from experiments.tu.families import SETS
from graphcl_hard.config import Config
from graphcl_hard.data.load import load_graphs
from graphcl_hard.loader.features import FeatureMap
from graphcl_hard.nn.encoders.base import GraphEncoder
from graphcl_hard.runs.environment import environment
from graphcl_hard.sweeps.records import read_records
from graphcl_hard.sweeps.report.analysis import at_epoch, estimate, paired, score_frame
from graphcl_hard.sweeps.report.table import Table, shown_estimate
from graphcl_hard.training.batch_norm import recalibrate
from graphcl_hard.training.build import prepare
from graphcl_hard.training.devices import training_device
from graphcl_hard.training.loop import calibrate

HERE = Path(__file__).resolve().parent / "batch_norm"
RECORDS, COMPUTED = HERE / "records", HERE / "statistics.json"
MOMENTUM = 0.1  # of PyTorch's batch norm
CONSTANT = 1e-8  # variance of a channel that is 0 or nearly so at all nodes
METHODS = {
    "untrained": "untrained",
    "bn-only": "batch norm only",
    "bn-exact": "batch norm only, exact",
    HARD: "hard",
}
PAIRS = {
    "exact - batch norm only": ("bn-exact", "bn-only"),
    "hard - batch norm only": (HARD, "bn-only"),
    "hard - exact": (HARD, "bn-exact"),
}


def data_share(updates: int) -> float:
    r"""Return the share of data in the running statistics after t updates, :math:`1 - (1 - m)^t`, m the momentum."""
    return 1 - (1 - MOMENTUM) ** updates


def compute(told: Callable[[str], object] = print) -> None:
    """Compare the statistics of the two controls on the data sets that the file lacks, and write it after each."""
    for dataset in SETS:
        found = computed()
        if dataset not in found:
            told(f"{dataset}, statistics of batch norm")
            found[dataset] = _compared(dataset)
            write_computed(COMPUTED, found.values())


def computed() -> dict[str, dict[str, Any]]:
    """Return the computed comparisons by data set."""
    return {one["dataset"]: one for one in read_computed(COMPUTED)}


def _compared(dataset: str) -> dict[str, Any]:
    """Return, by layer, the ratios of the running standard deviations to the exact ones, over the channels."""
    config = Config(dataset=dataset, epochs=EPOCHS, lr=0.0, beta=0.0, tau_plus=0.0)
    graphs = load_graphs(dataset)
    with training_device(config) as fabric:
        batches, state = prepare(config, graphs, FeatureMap.fit(graphs), fabric)
        moving = state.model.encoder
        exact = copy.deepcopy(moving)
        calibrate(moving, batches, config, fabric)
        recalibrate(exact, batches, config.batch_size)
    layers: list[dict[str, float]] = []
    assert isinstance(moving, GraphEncoder)
    assert isinstance(exact, GraphEncoder)
    for ours, theirs in zip(moving.bns, exact.bns, strict=True):
        varying = theirs.running_var > CONSTANT
        ratio = (ours.running_var / theirs.running_var)[varying].sqrt()
        least, median, largest = (
            float(f"{one:.4g}") for one in (ratio.min(), ratio.median(), ratio.max())
        )
        layers.append({"least": least, "median": median, "largest": largest})
        layers[-1]["channels"] = int(varying.sum())
    known = environment()
    return {
        "dataset": dataset,
        "seed": config.seed,
        "std_ratio": layers,
        **{name: known[name] for name in ("versions", "platform", "git_commit")},
    }


def batch_norm_table() -> Table:
    """Return the controls for batch norm, and what is above them, on the folds that all of them have."""
    exact = list(read_records(RECORDS))
    datasets = [name for name in SETS if any(one["dataset"] == name for one in exact)]
    old = [
        record
        for dataset in datasets
        for method in METHODS
        for record in records_of(dataset, method)
    ]
    scores = score_frame([*old, *exact])
    seeds = {name: at_epoch(scores, "bn-exact")[name].keys() for name in datasets}
    lines = {
        method: {
            name: {seed: folds for seed, folds in results.items() if seed in seeds[name]}
            for name, results in at_epoch(scores, method).items()
        }
        for method in METHODS
    }
    tests = {name: paired(lines[a], lines[b]) for name, (a, b) in PAIRS.items()}
    ratios, shown, values = computed(), [], []
    for dataset in datasets:
        graphs = next(one["data"]["graphs"] for one in exact if one["dataset"] == dataset)
        updates = steps(graphs)
        share, first = 100 * data_share(updates), ratios[dataset]["std_ratio"][0]
        row = {
            "data set": dataset,
            "updates": str(updates),
            "share of data": f"{share:.1f}%",
            "ratio of std, layer 1": f"{first['median']:.2f} (to {first['largest']:.3g})",
        }
        value = {"dataset": dataset, "updates": updates, "share": share}
        value |= {f"std ratio {name}": first[name] for name in ("least", "median", "largest")}
        for method, name in METHODS.items():
            found = estimate(lines[method][dataset])
            row[name] = shown_estimate(found)
            value |= {name: 100 * found.mean, f"{name} low": 100 * found.low}
            value[f"{name} high"] = 100 * found.high
        for name, test in tests.items():
            points = 100 * test.loc[dataset, ["difference", "low", "high"]]
            row[name] = "{:+.1f} [{:+.1f}, {:+.1f}]".format(*points)
            value |= dict(zip((name, f"{name} low", f"{name} high"), points, strict=True))
            value[f"{name} p"] = test.loc[dataset, "p"]
        value["seeds"] = int(tests["hard - exact"].loc[dataset, "seeds"])
        shown.append({**row, "seeds": str(value["seeds"])})
        values.append(value)
    note = (
        f"Mean accuracy in % [95% interval] after the {EPOCHS} epochs of the first study, and paired differences in "
        "points [95% interval] of its test, the corrected resampled t test over the folds of all seeds, without a "
        "correction for the number of tests. Share of data: 1 - 0.9^updates; the rest of the running mean and variance "
        "is the initial 0 and 1. Ratio of std: the running standard deviation of a channel of the first layer, over "
        "its exact one; the median over the channels, and the largest (seed 0). Exact: the initial weights with the "
        "mean and the variance over all nodes of the data set."
    )
    return Table(
        "review_batch_norm",
        "The control for batch norm",
        note,
        pd.DataFrame(shown),
        pd.DataFrame(values),
    )
