"""Cost of `effective_negatives`: the CPU time of a training step with beta given and with beta found, in turns.

    python -m benchmarks.speed.found_beta 60

prints the medians of 60 steps each and their ratio, for a batch of 128 graphs, on one thread.
"""

import functools
import statistics
import sys
import time
from typing import Any

import torch

from graphcl_hard import GINEncoder, GraphCL, InfoGraph, load_graphs, local_global_jsd, nt_xent
from graphcl_hard.loader.augment import with_views
from graphcl_hard.loader.features import node_features
from graphcl_hard.loader.in_memory import GraphBatches

METHODS: dict[str, tuple[Any, Any]] = {
    "infograph": (InfoGraph, local_global_jsd),
    "graphcl": (GraphCL, nt_xent),
}


def measure(dataset: str, method: str, steps: int) -> tuple[float, float]:
    """Return the median seconds of a step with beta given, and with beta found for a share of 20%."""
    graphs = load_graphs(dataset)
    features = node_features(graphs)
    batch = GraphBatches(graphs, features.x).select(torch.arange(128))
    if method == "graphcl":
        generator = torch.Generator().manual_seed(0)
        batch = with_views(batch, ("node-drop", "subgraph"), (0.2, 0.2), generator)
    trainings = []
    model_class, objective = METHODS[method]
    for share in (None, 0.2):
        torch.manual_seed(0)
        bound = functools.partial(objective, effective_negatives=share)
        model = model_class(GINEncoder(features.channels), bound)
        trainings.append((model, torch.optim.Adam(model.parameters(), lr=0.001, fused=True)))
    seconds: list[list[float]] = [[], []]
    for _ in range(steps):
        for (model, optimizer), times in zip(trainings, seconds, strict=True):
            start = time.process_time()
            optimizer.zero_grad()
            model(batch, beta=10.0)[0].backward()
            optimizer.step()
            times.append(time.process_time() - start)
    given, found = map(statistics.median, seconds)
    return given, found


def main() -> None:
    """Print a line for each data set and method."""
    torch.set_num_threads(1)
    for dataset in ("MUTAG", "PROTEINS"):
        for method in METHODS:
            given, found = measure(dataset, method, int(sys.argv[1]))
            ratio = f"{found / given:.2f}"
            print(dataset, method, f"{1e3 * given:.1f} ms, {1e3 * found:.1f} ms, ratio {ratio}")


if __name__ == "__main__":
    main()
