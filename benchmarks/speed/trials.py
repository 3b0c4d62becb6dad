"""Trials on top of the package's step: each changes one thing, in a fresh process.

A process trains on one data set and reports the median of its epochs without the first, which warms up. The trials
take turns, `repeats` times.
"""

import json
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.speed import workloads
from graphcl_hard.config import Config
from graphcl_hard.loader.in_memory import GraphBatches
from graphcl_hard.training.allocator import keep_freed_memory
from graphcl_hard.training.build import build_model
from graphcl_hard.training.devices import place, training_device
from graphcl_hard.training.loop import train
from graphcl_hard.training.state import Epoch, TrainingState

TRIALS = {
    "package": "as it is: freed memory kept, fused Adam, all cores, float32",
    "memory given back": "the C library's own way with freed memory",
    "Adam by loop": "torch.optim.Adam(fused=False)",
    "one thread": "torch.set_num_threads(1)",
    "compiled encoder": "torch.compile(encoder, dynamic=True); the first epoch, which compiles, is in its own column",
    "bf16 autocast": "--precision bf16-mixed; scores in float32",
    "bf16 products": "float32 products rounded to bfloat16 inside (fp32_precision of oneDNN)",
}
EPOCHS = 6
ROOT = Path(__file__).resolve().parents[2]


def measure(
    datasets: Sequence[str],
    trials: Sequence[str],
    repeats: int,
    accelerator: str,
    advance: Callable[[str], object],
) -> list[Any]:
    """Return for each data set and trial the seconds of an epoch and of the first, and the last loss, per repeat."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {
        (d, trial): [] for d in datasets for trial in trials
    }
    for repeat in range(repeats):
        for (dataset, trial), runs in found.items():
            advance(f"{dataset}, {trial}, repeat {repeat + 1}")
            task = json.dumps({"dataset": dataset, "trial": trial, "accelerator": accelerator})
            command = [sys.executable, "-m", "benchmarks.speed.trials", task]
            done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
            lines = (
                done.stdout.splitlines()
                if done.returncode == 0
                else done.stderr.strip().splitlines()
            )
            last = lines[-1] if lines else f"exit status {done.returncode}"
            runs.append(json.loads(last) if done.returncode == 0 else {"skipped": last[:200]})
    return [{"name": d, "trial": trial, "runs": runs} for (d, trial), runs in found.items()]


def main() -> None:
    """Do the task of the command line (JSON) and print its numbers (JSON)."""
    task = json.loads(sys.argv[1])
    trial = task["trial"]
    warnings.filterwarnings("ignore")  # the compiler's
    if trial != "memory given back":
        keep_freed_memory()
    if trial == "Adam by loop":
        adam = torch.optim.Adam
        torch.optim.Adam = lambda *args, **options: adam(*args, **{**options, "fused": False})  # type: ignore[misc]
    if trial == "one thread":
        torch.set_num_threads(1)
    if trial == "bf16 products":
        torch.backends.mkldnn.matmul.fp32_precision = "bf16"
    precision = "bf16-mixed" if trial == "bf16 autocast" else "32-true"
    workload = workloads.load(task["dataset"], task["accelerator"])
    config = Config(
        dataset=task["dataset"], epochs=EPOCHS, accelerator=task["accelerator"], precision=precision
    )
    epochs: list[Epoch] = []
    with training_device(config) as fabric:
        model = build_model(config, workload.features.channels)
        if trial == "compiled encoder":
            model.encoder.forward = torch.compile(model.encoder.forward, dynamic=True)  # type: ignore[method-assign]
        batches = GraphBatches(workload.graphs, workload.features.x, *place(fabric, config))
        start = time.perf_counter()
        train(TrainingState(model, config), batches, config, fabric, epochs.append)
    seconds = [epoch.seconds for epoch in epochs]
    numbers = {
        "first": seconds[0],
        "epoch": statistics.median(seconds[1:]),
        "loss": epochs[-1].loss,
    }
    print(json.dumps({**numbers, "in_all": time.perf_counter() - start}))


if __name__ == "__main__":
    main()
