"""The record of a cell: what the tables need of one run, small enough to be committed (`graphcl_hard.sweeps.records`).

Scores are probe -> epoch ("0" is untrained) -> arrays (repeats, folds): "correct", how many test graphs, of
"test_sizes", were classified correctly; "inner_accuracy", by which settings can be chosen inside the training folds, to
six digits; "chosen", the probe's parameter; and the mean "macro_f1". Where a data set has classes, "predicted",
(repeats, R), is the class that the probe predicts for each labelled graph when it is in the test fold, and "labels",
(R,), of the record the true one, both by number.
"""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from graphcl_hard.config import Scope, names_in
from graphcl_hard.io.file_names import METRICS, PREDICTED, RESULT

CURVES = ("loss", "beta", "effective_negatives", "positive_score", "negative_score", "clamped")
TAKEN_OVER = (
    "config",
    "versions",
    "git_commit",
    "platform",
    "threads",
    "seconds",
    "embedding",
    "error",
    "steps",
    "weight_change",
)


def record_of_run(folder: Path, cell: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of a run's folder; `cell` holds dataset, method, family, settings and seed.

    A run that did not finish has a record without scores, which says how it ended.
    """
    result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    record = {**cell, "status": result["status"], "error": None}
    record |= {key: result[key] for key in TAKEN_OVER if key in result}
    for name in (*names_in(Scope.OUTPUT), "data_dir"):  # of the machine, not of the method
        record["config"].pop(name, None)
    record["config"]["dataset"] = cell["dataset"]  # may be a path of the machine
    record["data"] = result["dataset"]
    record["training"] = _curves(folder / METRICS)
    record |= {"last_epoch": record["config"]["epochs"], "scores": {}, "test_sizes": []}
    if result["status"] != "finished":
        return record
    predicted = _predicted(folder / PREDICTED)
    if predicted:
        record["labels"] = predicted.pop("y")
    for probe, scored in result["scores"].items():
        by_epoch = {**scored.get("by_epoch", {})}
        if "untrained" in scored:
            by_epoch["0"] = scored["untrained"]
        if "trained" in scored:
            by_epoch[str(result["epoch"])] = scored["trained"]
        for epoch in by_epoch:
            by_epoch[epoch] |= {"predicted": predicted.get(f"{probe}/{epoch}")}
        record["scores"][probe] = {
            epoch: compact(by_epoch[epoch]) for epoch in sorted(by_epoch, key=int)
        }
        record["test_sizes"] = next(iter(by_epoch.values()))["test_sizes"]
    return record


def compact(scored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the scores of one array of vectors, as `CrossValidation.to_dict` has them, for a record.

    The predictions, if there are any, are under "predicted", which `to_dict` does not have.
    """
    correct = np.rint(np.multiply(scored["accuracy"], scored["test_sizes"])).astype(int)
    predicted = scored.get("predicted")
    return {
        **({} if predicted is None else {"predicted": predicted}),
        "correct": correct.tolist(),
        "inner_accuracy": np.round(scored["inner_accuracy"], 6).tolist(),
        "chosen": scored["chosen"],
        "macro_f1": round(scored["summary"]["macro_f1"]["mean"], 6),
    }


def _predicted(path: Path) -> dict[str, list[Any]]:
    """Return the arrays of a run's predictions, of which there are none where an earlier version made the run."""
    if not path.exists():
        return {}
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name].tolist() for name in arrays.files}


def _curves(path: Path) -> dict[str, list[float]]:
    if not path.exists():
        return {name: [] for name in CURVES}
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {  # a column that an earlier version did not write is empty
        name: [float(f"{float(row[name]):.6g}") for row in rows if name in row] for name in CURVES
    }
