"""The data sets of the speed benchmark, real and synthetic, and how this package is trained on them."""

import dataclasses
import math
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from lightning_fabric import Fabric
from torch import Tensor

from benchmarks.speed import floor, textbook
from graphcl_hard._tensor import one_hot
from graphcl_hard.config import Config
from graphcl_hard.data.graph_data import GraphData
from graphcl_hard.data.load import load_graphs
from graphcl_hard.exceptions import InputError
from graphcl_hard.loader.features import NodeFeatures, node_features
from graphcl_hard.loader.in_memory import GraphBatches
from graphcl_hard.training.build import build_model
from graphcl_hard.training.devices import place
from graphcl_hard.training.loop import train
from graphcl_hard.training.state import TrainingState

SYNTHETIC = "synthetic-"
MIN_STEPS = 10  # of one timing; one epoch of a small data set is too short

Accelerator = Literal["auto", "cpu", "cuda"]


class Workload(NamedTuple):
    """A data set to train on, its inputs, and the settings."""

    graphs: GraphData
    features: NodeFeatures
    config: Config
    """Default settings; `epochs` is as many as make a timing of at least ten steps."""

    @property
    def one_hot(self) -> bool:
        """Whether the inputs are one-hot, given by their columns."""
        return not self.features.x.is_floating_point()

    def dense_x(self) -> Tensor:
        """(N, F) float32, as PyG holds the inputs."""
        x = self.features.x
        return one_hot(x, self.features.channels) if self.one_hot else x


def load(name: str, accelerator: Accelerator = "auto") -> Workload:
    """Return a TU data set by its name, or "synthetic-500" and the like."""
    if name.startswith(SYNTHETIC):
        size = name.removeprefix(SYNTHETIC)
        if not (size.isdecimal() and int(size) > 1):
            raise InputError(
                f"{SYNTHETIC}N must have at least N = 2 synthetic graphs, got {name!r}; use a larger N."
            )
        graphs = synthetic(int(size))
    else:
        graphs = load_graphs(name)
    config = Config(dataset=name, accelerator=accelerator)
    epochs = math.ceil(MIN_STEPS / math.ceil(graphs.num_graphs / config.batch_size))
    return Workload(graphs, node_features(graphs), dataclasses.replace(config, epochs=epochs))


def synthetic(num_graphs: int, seed: int = 0) -> GraphData:
    """Return random graphs of 20 to 40 nodes with a mean degree of about 4 and one label of 8 values a node.

    Two pairs of a graph's nodes are drawn for each node of it, every pair alike; pairs drawn twice count once.
    """
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.randint(20, 41, (num_graphs,), generator=generator)
    node_ptr = torch.cat([torch.zeros(1, dtype=torch.int64), sizes.cumsum(0)])
    nodes = int(node_ptr[-1])
    owner = torch.repeat_interleave(torch.arange(num_graphs), 2 * sizes)  # (pairs,)
    size = sizes[owner]
    # In float64, so that no product is rounded up to the size itself.
    first_draw, second_draw = torch.rand(2, owner.numel(), generator=generator, dtype=torch.float64)
    first = (first_draw * size).long()
    second = (first + 1 + (second_draw * (size - 1)).long()) % size  # another node than the first
    a, b = node_ptr[owner] + first, node_ptr[owner] + second
    key = torch.cat([a * nodes + b, b * nodes + a]).unique()  # sorted by source, then target
    edge_index = torch.stack([key // nodes, key % nodes])
    return GraphData(
        name=f"{SYNTHETIC}{num_graphs}",
        node_ptr=node_ptr,
        edge_index=edge_index,
        edge_ptr=torch.searchsorted(edge_index[0].contiguous(), node_ptr),
        y=torch.randint(2, (num_graphs,), generator=generator),
        node_label=torch.randint(8, (nodes, 1), generator=generator),
    )


def prepare_package(workload: Workload, fabric: Fabric) -> Callable[[], float]:
    """Make the flat data set; returns a function that trains a new model and returns the seconds per epoch.

    Timed are the epochs' steps, as `train` reports them; not timed are the flat data set's, the model's and the
    optimiser's making.
    """
    graphs, features, config = workload
    batches = GraphBatches(graphs, features.x, *place(fabric, config))

    def run() -> float:
        seconds: list[float] = []
        model = build_model(config, features.channels)
        train(
            TrainingState(model, config),
            batches,
            config,
            fabric,
            lambda epoch: seconds.append(epoch.seconds),
        )
        return sum(seconds) / len(seconds)

    return run


def cut_epoch(workload: Workload, fabric: Fabric) -> list[floor.Cut]:
    """Return the batches of the package's first epoch."""
    graphs, features, config = workload
    batches = GraphBatches(graphs, features.x, *place(fabric, config))
    epoch = batches.shuffled(config.batch_size, torch.Generator().manual_seed(config.seed))
    return [
        floor.Cut(batch.adjacency.edge_index, batch.batch.numel(), batch.num_graphs)
        for batch in epoch
    ]


def prepare(
    variant: str, workload: Workload, fabric: Fabric, nodes_per_graph: int
) -> Callable[[], float]:
    """Return a function that times one variant: "textbook", "package", "sampled" (nodes of each graph) or "floor"."""
    config = workload.config
    if variant == "textbook":
        return textbook.prepare(workload.graphs, workload.dense_x(), config, fabric.device)
    if variant == "floor":
        sizes = floor.Sizes(
            workload.features.channels, workload.one_hot, config.hidden_channels, config.num_layers
        )
        return floor.prepare(cut_epoch(workload, fabric), sizes, config.epochs, fabric.device)
    if variant == "sampled":
        workload = workload._replace(
            config=dataclasses.replace(config, nodes_per_graph=nodes_per_graph)
        )
    return prepare_package(workload, fabric)


def variants(workload: Workload, nodes_per_graph: int) -> tuple[str, ...]:
    """Return the variants to measure on a data set; "sampled" only where graphs have more nodes on average."""
    sampled = workload.graphs.num_nodes > nodes_per_graph * workload.graphs.num_graphs
    return ("textbook", "package", *(["sampled"] if sampled else []), "floor")


def device_name(device: torch.device) -> str:
    """Return the name of the device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
