"""A training before its first epoch, and the trainings of the processes that follow the first."""

import dataclasses

from lightning_fabric import Fabric

from graphcl_hard.config import Config
from graphcl_hard.devices import place, training_device
from graphcl_hard.features import FeatureMap
from graphcl_hard.graph_data import GraphData
from graphcl_hard.graph_shards import GraphShards
from graphcl_hard.processes import Processes
from graphcl_hard.streaming import Batches, make_batches
from graphcl_hard.training import TrainingDiverged, TrainingState, build_model, train


def prepare(
    config: Config, graphs: GraphData | GraphShards, features: FeatureMap, fabric: Fabric
) -> tuple[Batches, TrainingState]:
    """The set on the device, and a training that has not begun."""
    device, dtype = place(fabric, config)
    batches = make_batches(graphs, features, device, dtype)
    model = build_model(config, features.channels, batches)
    return batches, TrainingState(model.to(device, dtype), config)


def follow(config: Config, graphs: GraphData | GraphShards, features: FeatureMap, processes: Processes) -> None:
    """Take this process's share of each training that the first one starts, until that has no more to start."""
    while (message := processes.tell()) is not None:
        seed, epoch, tensors = message
        one = dataclasses.replace(config, seed=seed, seeds=1)
        with training_device(one, together=True) as fabric:
            batches, state = prepare(one, graphs, features, fabric)
            if epoch:
                state.load_tensors(tensors, epoch)
            try:
                train(state, batches, one, fabric, lambda _: None, processes)
            except TrainingDiverged:
                return  # in all processes; the first writes it down and says so
