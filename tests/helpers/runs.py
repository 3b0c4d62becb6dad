"""A small run's command; its folder's numbers without the times, and a check that each of its files is whole."""

import csv
import json
import sys

import numpy as np
import yaml

from graphcl_hard.config import Scope, names_in
from graphcl_hard.io.checksum import read_checksummed

SMALL = [
    "--epochs",
    "2",
    "--folds",
    "3",
    "--repeats",
    "2",
    "--hidden-channels",
    "8",
    "--num-layers",
    "2",
]
FINISHED = [*SMALL, "--seed", "5", "--probes", "svm", "knn", "--quiet"]
WORDS = [
    "--folds",
    "3",
    "--repeats",
    "1",
    "--hidden-channels",
    "8",
    "--num-layers",
    "2",
    "--epochs",
    "40",
]


def command(out, *words):
    return [
        sys.executable,
        "-m",
        "graphcl_hard.run",
        *WORDS,
        "--out",
        str(out),
        "--checkpoint-seconds",
        "0",
        *words,
    ]


def without_times(folder):
    """What a run of one seed left, without what belongs to the moment."""
    result = json.loads((folder / "result.json").read_text())
    for name in ("seconds", "resumed_after_epoch", "resumed_after_step", "git_commit"):
        result.pop(name, None)
    result["config"] = {
        k: v for k, v in result["config"].items() if k not in names_in(Scope.OUTPUT)
    }
    with (folder / "metrics.csv").open(newline="") as file:
        metrics = list(csv.DictReader(file))
    for row in metrics:
        del row["seconds"]
    arrays = {name: array.tolist() for name, array in np.load(folder / "embeddings.npz").items()}
    return result, metrics, arrays, (folder / "encoder.safetensors").read_bytes()


def left_by(folder):
    """What a run of any number of seeds left, without its times: its files' names, and their content."""
    seeds = sorted(folder.glob("seed-*")) or [folder]
    summary = folder / "summary.json"
    return (
        sorted(str(path.relative_to(folder)) for path in folder.rglob("*")),
        [without_times(seed) for seed in seeds],
        summary.read_text() if summary.exists() else None,
    )


def assert_whole(folder):
    """Each file that has its name is whole; a writer that was killed leaves no other than .part- files."""
    for path in (
        path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")
    ):
        if path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".yaml":
            assert len(yaml.safe_load(path.read_text())) > 30
        elif path.suffix == ".safetensors":
            read_checksummed(path, "epochs" if "checkpoint" in path.name else None)
        elif path.suffix == ".npz":
            with np.load(path) as arrays:
                assert all(array.size for array in arrays.values())
        elif path.suffix == ".csv":
            rows = list(csv.DictReader(path.read_text().splitlines()))
            assert [int(row["epoch"]) for row in rows] == list(range(1, len(rows) + 1))
            assert all(None not in row.values() for row in rows)
        else:
            assert path.suffix == ".png"
            assert path.read_bytes().endswith(b"IEND\xaeB`\x82")
