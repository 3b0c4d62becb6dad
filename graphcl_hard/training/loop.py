"""The training loop, and the embeddings of a trained encoder."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.nn import Module

from graphcl_hard.config import Config
from graphcl_hard.data.batch import GraphBatch
from graphcl_hard.data.graph_data import GraphSource
from graphcl_hard.exceptions import InputError, StopTraining
from graphcl_hard.loader.augment import with_views
from graphcl_hard.loader.features import FeatureMap
from graphcl_hard.loader.in_memory import EpochOrder, GraphBatches, Grouping
from graphcl_hard.loader.similar import similar_groups
from graphcl_hard.loader.streaming import Batches
from graphcl_hard.losses.weights import beta_schedule
from graphcl_hard.training.build import prepare
from graphcl_hard.training.devices import training_device
from graphcl_hard.training.distributed import Processes
from graphcl_hard.training.state import Epoch, Model, PartialEpoch, TrainingState


class TrainingDiverged(InputError):
    """The loss or a weight is no longer finite."""


def epoch_batches(
    batches: Batches,
    config: Config,
    generator: torch.Generator,
    order: EpochOrder | None = None,
    group: Grouping | None = None,
) -> Iterator[GraphBatch]:
    """Yield the batches of an epoch, with a sample of nodes or two views if the method needs them.

    `group` orders the graphs, see `grouping`; None: at random.
    """
    shuffled = batches.shuffled(config.batch_size, generator, config.nodes_per_graph, order, group)
    for batch in shuffled:
        if config.method == "graphcl":
            yield with_views(batch, config.views, config.view_strengths, generator)
        else:
            yield batch


def grouping(
    encoder: Module, config: Config, processes: Processes | None = None
) -> Grouping | None:
    """Return what orders graphs so that similar ones enter a batch together; None if `similar_graphs` is 0.

    It embeds the graphs by the encoder as it is then, in evaluation mode, and groups the vectors by `similar_groups`,
    on the scale sign(x) log(1 + |x|), since sums over nodes span orders of magnitude. With `processes`, all use the
    order of the first.
    """
    if not config.similar_graphs:
        return None

    @torch.no_grad()
    def group(graphs: GraphBatches, generator: torch.Generator) -> Tensor:
        vectors = torch.cat(list(_graph_embeddings(encoder, graphs, config.batch_size)))
        scaled = vectors.sign() * vectors.abs().log1p()
        order = similar_groups(scaled, config.similar_graphs, generator)
        # Rounding may differ between processes.
        return order if processes is None else processes.tell(order)

    return group


def train(
    state: TrainingState,
    batches: Batches,
    config: Config,
    fabric: Fabric,
    on_epoch: Callable[[Epoch], object],
    processes: Processes | None = None,
    on_step: Callable[[], object] | None = None,
) -> None:
    """Train a model in place, from the state's epoch, and its steps in the next one, to the last.

    With `processes`, each process calls this with the same state, data set and settings, and each ends with the same
    weights: those of a single process, up to rounding.

    Args:
        state: the model and its state; its `epoch` counts up.
        batches: the data set, on the fabric's device.
        config: epochs, batch size, views, beta and its schedule.
        fabric: device and precision.
        on_epoch: function that is called at the end of each epoch, when the model has that epoch's weights. If it
            raises `StopTraining`, in any process, this epoch is the last one in all of them.
        processes: the processes that train together; None: only this one.
        on_step: function that is called after each step; during the call, `state.partial` holds the steps of the epoch
            so far, so that a training that loads `state.to_tensors()` continues with the next one. Not called by
            several processes, each of which has only its share of the results of a step.

    Raises:
        TrainingDiverged: a loss or a weight is not finite; the message names the epoch and the step.
        ProcessLost: another process has ended.
    """
    with (
        nullcontext()
        if processes is None
        else processes.training(state.model, config.sync_batch_norm)
    ):
        _train(state, batches, config, fabric, on_epoch, processes, on_step)


def follow(config: Config, graphs: GraphSource, features: FeatureMap, processes: Processes) -> None:
    """Take this process's share of each training that the first process starts, until it starts no more."""
    while (message := processes.tell()) is not None:
        seed, epoch, tensors = message
        one = dataclasses.replace(config, seed=seed, seeds=1)
        with training_device(one, together=True) as fabric:
            batches, state = prepare(one, graphs, features, fabric)
            if tensors is not None:
                state.load_tensors(tensors, epoch)
            try:
                train(state, batches, one, fabric, lambda _: None, processes)
            except TrainingDiverged:
                return  # in all processes; the first one records and reports it


def _train(
    state: TrainingState,
    batches: Batches,
    config: Config,
    fabric: Fabric,
    on_epoch: Callable[[Epoch], object],
    processes: Processes | None,
    on_step: Callable[[], object] | None,
) -> None:
    model = state.model
    stepping, optimizer = fabric.setup(model, state.optimizer)
    group = grouping(model.encoder, config, processes)
    stopped = False
    for epoch in range(state.epoch + 1, config.epochs + 1):
        if processes is not None:
            # This also waits for the first process, which embeds and writes between epochs.
            stopped = processes.any(stopped)
        if stopped:
            return
        beta = beta_schedule(epoch - 1, config.epochs, config.beta, config.beta_schedule)
        steps, state.partial = state.partial or PartialEpoch(), None
        steps.order.skip = len(steps.anchors)
        start = time.perf_counter() - steps.seconds
        model.train()
        for batch in epoch_batches(batches, config, state.generator, steps.order, group):
            optimizer.zero_grad()
            if processes is None:
                loss, diagnostics = stepping(batch, beta)
                fabric.backward(loss)
            else:
                model.check(batch)
                part, share = processes.divide(batch, config.sync_batch_norm)
                loss, diagnostics = stepping(part, beta, share)
                # The loss of the batch is the sum over processes, but DDP takes the mean of their gradients.
                fabric.backward(loss * processes.size)
            optimizer.step()
            anchors = batch.batch.numel() if batch.views is None else batch.num_graphs
            steps.add(torch.stack([loss.detach(), *diagnostics]), anchors)
            if on_step is not None and processes is None:
                steps.seconds = time.perf_counter() - start
                state.partial = steps
                on_step()
                state.partial = None
        table = steps.table(None if processes is None else processes.total)
        _check_finite(table[:, 0], model, epoch)
        weights = torch.tensor(steps.anchors, dtype=torch.float64)
        loss_mean, share, positive, negative, found, clamped = (
            weights @ table / weights.sum()
        ).tolist()
        if config.effective_negatives is not None:
            beta = found
        seconds = time.perf_counter() - start
        state.epoch = epoch
        try:
            on_epoch(Epoch(epoch, beta, loss_mean, share, positive, negative, seconds, clamped))
        except StopTraining:
            stopped = True


@torch.no_grad()
def calibrate(encoder: Module, batches: Batches, config: Config, fabric: Fabric) -> None:
    """Update the running statistics of batch norm as `train` does, and nothing else.

    An encoder that was never trained has the statistics 0 and 1, which fit no data. Training updates them on the way,
    so that scores rise or fall without anything being learnt; this control separates the two effects. It sees the
    batches, or their views, of a training with the same settings, in the same order, so it equals a training with a
    learning rate of 0.
    """
    generator, group = torch.Generator().manual_seed(config.seed), grouping(encoder, config)
    encoder.train()
    for _ in range(config.epochs):
        for batch in epoch_batches(batches, config, generator, None, group):
            for seen in batch.views or (batch,):
                with fabric.autocast():
                    encoder(*seen.encoder_inputs)


@torch.no_grad()
def embeddings(
    encoder: Module,
    batches: Batches,
    batch_size: int,
    progress: Callable[[int], object] | None = None,
) -> Iterator[npt.NDArray[np.floating]]:
    """Yield the graph embeddings of a data set in evaluation mode, batch by batch, (B, L*H), in its order.

    `progress` is called with the number of graphs done.
    """
    done = 0
    for vectors in _graph_embeddings(encoder, batches, batch_size):
        yield vectors.cpu().numpy()
        done += vectors.size(0)
        if progress is not None:
            progress(done)


def _graph_embeddings(encoder: Module, batches: Batches, batch_size: int) -> Iterator[Tensor]:
    """Yield the graph embeddings in evaluation mode, batch by batch, (B, L*H), in the data set's order."""
    was_training = encoder.training
    encoder.eval()
    try:
        for batch in batches.in_order(batch_size):
            yield encoder(*batch.encoder_inputs).graph_embedding
    finally:
        encoder.train(was_training)


def embed(encoder: Module, batches: Batches, batch_size: int) -> npt.NDArray[np.floating]:
    """Return the graph embeddings of a data set in one array, (G, L*H)."""
    return np.concatenate(list(embeddings(encoder, batches, batch_size)))


def _check_finite(losses: torch.Tensor, model: Model, epoch: int) -> None:
    bad = (~torch.isfinite(losses)).nonzero()
    if bad.numel():
        where = f"The loss is {losses[bad[0]].item()} at step {int(bad[0]) + 1} of epoch {epoch}"
    elif not all(bool(torch.isfinite(tensor).all()) for tensor in model.state_dict().values()):
        where = f"A weight is not finite after the last step of epoch {epoch}"
    else:
        return
    raise TrainingDiverged(f"{where}; lower `lr` or `beta`, or raise `temperature`.")
