"""The cost of GraphCL's views of a batch, against the encoder's forward and backward pass on it.

The encoder is the untrained one of the default settings. A training step of GraphCL draws two views and runs the
encoder forward and backward on both.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from lightning_fabric import Fabric

from benchmarks.speed import workloads
from benchmarks.speed.floor import synchronise
from graphcl_hard.loader.augment import AUGMENTATIONS, augment
from graphcl_hard.loader.in_memory import GraphBatches
from graphcl_hard.training.build import build_model
from graphcl_hard.training.devices import place

CALLS = 5  # of one timing
STRENGTH = 0.2


def measure(
    names: Sequence[str],
    repeats: int,
    accelerator: workloads.Accelerator,
    fabric: Fabric,
    advance: Callable[[str], object],
) -> list[dict[str, Any]]:
    """Return seconds of the encoder and of every view on a batch of each data set, in turns after an untimed one."""
    return [
        _measure_set(name, workloads.load(name, accelerator), repeats, fabric, advance)
        for name in names
    ]


def _measure_set(
    name: str,
    workload: workloads.Workload,
    repeats: int,
    fabric: Fabric,
    advance: Callable[[str], object],
) -> dict[str, Any]:
    graphs, features, config = workload
    batches = GraphBatches(graphs, features.x, *place(fabric, config))
    generator = torch.Generator().manual_seed(config.seed)
    batch = next(batches.shuffled(config.batch_size, generator))
    encoder = build_model(config, features.channels).to(fabric.device).encoder

    def step() -> None:
        encoder.zero_grad()
        encoder(
            batch.x, batch.adjacency, batch.batch, batch.num_graphs
        ).graph_embedding.sum().backward()

    runs: dict[str, Callable[[], object]] = {"encoder": step}
    for view in AUGMENTATIONS:
        runs[view] = lambda view=view: augment(batch, view, STRENGTH, generator)
    seconds: dict[str, list[float]] = {way: [] for way in runs}
    for repeat in range(repeats + 1):
        for way, run in runs.items():
            advance(f"{name}, {way}, " + (f"repeat {repeat}" if repeat else "warming up"))
            synchronise(fabric.device)
            start = time.perf_counter()
            for _ in range(CALLS):
                run()
            synchronise(fabric.device)
            if repeat:
                seconds[way].append((time.perf_counter() - start) / CALLS)
    sizes = {
        "graphs": batch.num_graphs,
        "nodes": batch.batch.numel(),
        "directed_edges": batch.adjacency.source.numel(),
    }
    return {"name": name, **sizes, "seconds": seconds}
