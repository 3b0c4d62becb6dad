"""Peak memory, each number in a fresh process, so that no other variant's caches are in it.

On the CPU it is the largest resident set during the action minus the resident set just before it, both from Linux's
/proc: getrusage's peak would start at that of the process which started this one. On a GPU it is PyTorch's
`max_memory_allocated` minus what was allocated just before. The action runs on a tiny input first, so that libraries,
threads and caches are there, and memory that was given back is returned to the system before the first look.
"""

import ctypes
import gc
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from benchmarks.speed import workloads
from benchmarks.speed.textbook import hard_jsd
from graphcl_hard.config import Config
from graphcl_hard.losses.local_global import local_global_jsd
from graphcl_hard.training.allocator import keep_freed_memory
from graphcl_hard.training.devices import training_device

MIB = 2**20
DENSE_MATRICES = 6  # so many score matrices must be free before the dense objective is tried
PROC = Path("/proc/self")
ROOT = Path(__file__).resolve().parents[2]


def in_fresh_process(task: dict[str, Any]) -> dict[str, Any]:
    """Run `main` on a task; returns what it printed, or {"skipped": the reason}."""
    command = [sys.executable, "-m", "benchmarks.speed.memory", json.dumps(task)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return {
            "skipped": lines[-1] if lines else f"the process ended with status {done.returncode}"
        }
    return json.loads(done.stdout.splitlines()[-1])


def peak_over(action: Callable[[], object], device: torch.device) -> dict[str, float]:
    """Return the memory before an action and its largest growth, in MiB."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        action()
        torch.cuda.synchronize(device)
        peak = torch.cuda.max_memory_allocated(device)
    else:
        return_free_memory()
        (PROC / "clear_refs").write_text("5")  # reset the peak
        before = resident("VmRSS")
        action()
        peak = resident("VmHWM")
    return {"before_mib": before / MIB, "extra_mib": (peak - before) / MIB}


def resident(field: str) -> int:
    """Return the current ("VmRSS") or peak ("VmHWM") resident set of the process, in bytes."""
    lines = (PROC / "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024


def return_free_memory() -> None:
    """Return freed memory to the system, if the C library can; else its reuse would not be counted."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def epoch_peak(task: dict[str, Any], fabric: Fabric) -> dict[str, Any]:
    """Return the extra memory of training epochs of one variant, over the loaded data set."""
    arguments = (fabric, task["nodes_per_graph"])
    tiny = workloads.load("synthetic-16", task["accelerator"])
    workloads.prepare(task["variant"], tiny, *arguments)()
    workload = workloads.load(task["dataset"], task["accelerator"])
    run = workloads.prepare(task["variant"], workload, *arguments)
    return peak_over(run, fabric.device)


def objective_peak(task: dict[str, Any], fabric: Fabric) -> dict[str, Any]:
    """Return the extra memory of the objective, forward and backward, over its inputs.

    The inputs' gradients are part of it, since they appear while it runs; their size is given beside it.
    """
    nodes, graphs, channels = task["nodes"], task["graphs"], task["channels"]
    matrix = 4 * nodes * graphs
    sizes = {
        "gradients_mib": 4 * (nodes + graphs) * channels / MIB,
        "score_matrix_mib": matrix / MIB,
    }
    if task["variant"] == "textbook" and free_memory(fabric.device) < DENSE_MATRICES * matrix:
        reason = f"less than {DENSE_MATRICES * matrix / MIB:,.0f} MiB are free"
        return {"skipped": reason, **sizes}
    objective: Callable[..., Any] = hard_jsd if task["variant"] == "textbook" else local_global_jsd

    def inputs(nodes: int, graphs: int) -> tuple[Tensor, Tensor, Tensor]:
        local = torch.randn(nodes, channels, device=fabric.device, requires_grad=True)
        summary = torch.randn(graphs, channels, device=fabric.device, requires_grad=True)
        return local, summary, torch.arange(nodes, device=fabric.device) * graphs // nodes

    def run(local: Tensor, summary: Tensor, batch: Tensor) -> None:
        objective(local, summary, batch, beta=10.0, tau_plus=0.1).backward()

    run(*inputs(256, 16))
    tensors = inputs(nodes, graphs)
    return {**peak_over(lambda: run(*tensors), fabric.device), **sizes}


def free_memory(device: torch.device) -> int:
    """Return the number of free bytes."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) * 1024


def main() -> None:
    """Do the task of the command line (JSON) and print its numbers (JSON)."""
    task = json.loads(sys.argv[1])
    keep_freed_memory()  # as the command does
    measure = {"epoch": epoch_peak, "objective": objective_peak}[task["what"]]
    with training_device(Config(accelerator=task["accelerator"])) as fabric:
        if fabric.device.type != "cuda" and not (PROC / "clear_refs").exists():
            found: dict[str, Any] = {"skipped": "the peak of a process can be reset only on Linux"}
        else:
            found = measure(task, fabric)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
