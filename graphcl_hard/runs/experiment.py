"""A run of one seed or several: train, embed, evaluate before and after training, and write a folder."""

import copy
import dataclasses
import statistics as plain_statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric import Fabric

from graphcl_hard.config import Config
from graphcl_hard.data.graph_data import GraphSource
from graphcl_hard.evaluation.checks import rescale
from graphcl_hard.evaluation.effective_rank import effective_rank
from graphcl_hard.evaluation.scores import CrossValidation
from graphcl_hard.evaluation.targets import is_measured
from graphcl_hard.exceptions import StopTraining
from graphcl_hard.io import file_names
from graphcl_hard.io.atomic_write import atomic_write
from graphcl_hard.io.checksum import with_checksum
from graphcl_hard.loader.features import FeatureMap
from graphcl_hard.loader.streaming import Batches
from graphcl_hard.nn.encoders.base import GraphEncoder
from graphcl_hard.runs import plots
from graphcl_hard.runs.cli import signals_wait
from graphcl_hard.runs.display import Display
from graphcl_hard.runs.environment import environment
from graphcl_hard.runs.folder import RunFolder
from graphcl_hard.runs.loggers import EpochLog
from graphcl_hard.runs.results import (
    compare,
    evaluate_vectors,
    labelled,
    predicted_classes,
    summarise,
)
from graphcl_hard.runs.resume import (
    check_same_data,
    check_same_settings,
    environment_change,
    read_finished,
)
from graphcl_hard.training.batch_norm import recalibrate
from graphcl_hard.training.build import build_model, prepare
from graphcl_hard.training.checkpoint import (
    Progress,
    read_checkpoint,
    read_data_checksum,
    remove_checkpoints,
    write_checkpoint,
)
from graphcl_hard.training.devices import place, training_device
from graphcl_hard.training.distributed import Processes
from graphcl_hard.training.loop import TrainingDiverged, calibrate, embed, train
from graphcl_hard.training.state import Epoch, TrainingState, relative_change
from graphcl_hard.training.warnings import caution

Array = npt.NDArray[np.floating]
CHANGED = "restore it, or start a new run in another `out`"
STOPPED = "stopped_after_epoch"
WITHIN_EPOCH = 300.0  # seconds between two checkpoints within an epoch; shorter epochs have none


def run_seeds(
    config: Config,
    graphs: GraphSource,
    features: FeatureMap,
    display: Display,
    processes: Processes | None = None,
    on_epoch: Callable[[Epoch], object] | None = None,
) -> bool:
    """Run all seeds of the settings; show the results and write them into the folder `config.out`.

    Returns whether there was something to run: with `config.resume`, all seeds may be finished already.

    The files of a single seed lie in the folder itself. Several seeds have a subfolder each, beside a summary. If
    several processes train together, the first one calls this, and the others call `training.loop.follow`.

    `on_epoch` is called after each epoch of each seed, and with `config.resume` first again with the epochs that are
    already done. If it raises `StopTraining`, the last epoch so far is the trained one, and `stopped_after_epoch` in
    result.json names it.
    """
    assert config.out is not None
    with RunFolder(config.out, config.overwrite, config.resume) as folder:
        if config.seeds == 1:
            run = SeedRun(config, graphs, features, folder, display, processes, on_epoch)
            display.result(run.run())
            return not run.was_finished
        if config.resume:
            check_same_settings(config)
        folder.write_text(file_names.CONFIG, config.to_yaml())
        results, was_finished = [], True
        for seed in range(config.seed, config.seed + config.seeds):
            one = dataclasses.replace(config, seed=seed, seeds=1, out=config.out / f"seed-{seed}")
            with RunFolder(config.out / f"seed-{seed}", resume=config.resume) as inner:
                run = SeedRun(one, graphs, features, inner, display, processes, on_epoch)
                results.append(run.run())
                was_finished &= run.was_finished
            display.result(results[-1])
        summary = summarise(results)
        folder.write_json(file_names.SUMMARY, summary)
        display.summary(summary)
    return not was_finished


class SeedRun:
    """The run of one seed: its methods, from `run` downwards, are in the order in which they happen.

    Interrupted, or with a loss that is not finite, the folder holds the encoder of the last whole epoch, the metrics so
    far, and a result.json that says how the run ended.

    Args:
        config: the settings, with one seed.
        graphs: the data set.
        features: how its nodes and edges become inputs of the encoder.
        folder: the run's folder, locked.
        display: the terminal.
        processes: the processes that train together; None: only this one.
        on_epoch: see `run_seeds`.
    """

    fabric: Fabric
    batches: Batches
    state: TrainingState
    encoder: GraphEncoder
    initial: list[torch.Tensor]
    """The initial weights of the encoder."""

    def __init__(
        self,
        config: Config,
        graphs: GraphSource,
        features: FeatureMap,
        folder: RunFolder,
        display: Display,
        processes: Processes | None = None,
        on_epoch: Callable[[Epoch], object] | None = None,
    ) -> None:
        self.config, self.graphs, self.features = config, graphs, features
        self.folder, self.display, self.processes = folder, display, processes
        self.on_epoch = on_epoch
        self.progress = Progress(data=graphs.checksum)
        self.earlier: dict[str, Any] = {}
        """The content of result.json before, if the run is continued."""
        self.stops_late = False
        """Whether `on_epoch`, called again, has stopped the training within an epoch, which is finished first."""
        self.control: Array | None = None
        """The embedding of the control in which only batch norm moves, (G, L*H)."""
        self.result: dict[str, Any] = {}
        """The content of result.json."""
        self.was_finished = False
        """Whether the run was finished before, so that nothing was done."""
        self.seconds: dict[str, float] = {}
        self.log = EpochLog(config.logger, folder.path)

    def run(self) -> dict[str, Any]:
        """Run the seed, write its folder, and return the content of result.json.

        With `config.resume`, the run in the folder continues from its last checkpoint; a finished one is only read.
        """
        start = time.perf_counter()
        if self.config.resume:
            check_same_settings(self.config)
            self.earlier = self.folder.read_json(file_names.RESULT) or {}
            held = self.earlier.get("dataset", {}).get("sha256")
            for checksum in (held, read_data_checksum(self.folder.path)):
                check_same_data(self.folder.path, checksum, self.graphs, CHANGED)
            finished = read_finished(self.folder, self.config.evaluate, self.display)
            if finished is not None:
                remove_checkpoints(
                    self.folder.path
                )  # the process may have been killed before it did
                self.was_finished = True
                return finished
        self._begin()
        try:
            with training_device(self.config, together=self.processes is not None) as self.fabric:
                self._prepare()
                self._restore()
                self._train()
                self._embed_control()
            self._evaluate()
            self._write_embeddings()
            self._draw()
            self.result["status"] = "finished"
        except BaseException as error:
            self._note_failure(error)
            raise
        finally:
            self.seconds["total"] = (
                time.perf_counter() - start + self.result.pop("seconds_before", 0.0)
            )
            self._end()
        remove_checkpoints(self.folder.path)
        return self.result

    def _begin(self) -> None:
        """Write what is known before the training."""
        self.folder.write_text(file_names.CONFIG, self.config.to_yaml())
        self.folder.write_json(file_names.FEATURES, with_checksum(self.features.to_dict()))
        self.result = {
            "status": "running",
            "dataset": describe(self.graphs, self.features),
            "method": self.config.method,
            "encoder": self.config.encoder,
            "protocol": self.config.protocol,
            "optimistic": self.config.protocol == "best-epoch",
            "seed": self.config.seed,
            "epoch": 0,
            "config": self.config.to_dict(),
            **environment(),
        }

    def _prepare(self) -> None:
        """Put the data set on the device and build the model."""
        self.folder.write_json(file_names.RESULT, self.result)
        self.result |= {"device": str(self.fabric.device), "threads": torch.get_num_threads()}
        if self.processes is not None:
            self.result["processes"] = self.processes.size
        self.batches, self.state = prepare(self.config, self.graphs, self.features, self.fabric)
        encoder = self.state.model.encoder
        assert isinstance(encoder, GraphEncoder)
        self.encoder = encoder
        self.initial = [weight.detach().clone() for weight in encoder.parameters()]

    def _restore(self) -> None:
        """Go to the last checkpoint if there is one to continue from, and else embed with the untrained encoder."""
        progress = read_checkpoint(self.folder.path, self.state) if self.config.resume else None
        if progress is not None:
            progress.data = self.graphs.checksum
            self.progress = progress
            self._set_back()
            change = environment_change(self.earlier, self.result)
            if change is not None:
                self.display.warn(change)
            self.result |= {"epoch": self.state.epoch, "resumed_after_epoch": self.state.epoch}
            # Of the processes that were stopped.
            before = sum(epoch.seconds for epoch in progress.epochs)
            if self.state.partial is not None:
                self.result["resumed_after_step"] = len(self.state.partial.anchors)
                before += self.state.partial.seconds
            self.result["seconds_before"] = before
            for epoch in progress.epochs:
                self.log.epoch(epoch, self.config.lr)
                self._stops(epoch)
            if self.state.partial is not None:
                self.stops_late = self.result.pop(STOPPED, None) is not None
            if progress.complaint:
                self.display.warn(progress.complaint)
        else:
            self._recalibrate()
            self._set_back()
            if 0 in self.config.scored_epochs:
                self.progress.embeddings[0] = self._embed(self.encoder)
        if self.processes is not None and STOPPED not in self.result:
            tensors = None if progress is None else self.state.to_tensors()
            self.processes.tell((self.config.seed, self.state.epoch, tensors))

    def _set_back(self) -> None:
        """Write the metrics and the encoder of the last whole epoch; those in the folder may be of a later one."""
        if self.progress.epochs:
            rows = [epoch._asdict() for epoch in self.progress.epochs]
            self.folder.add_rows(file_names.METRICS, rows)
        else:
            (self.folder.path / file_names.METRICS).unlink(missing_ok=True)
        if self.state.partial is None:
            self._keep_encoder()
        else:
            whole = copy.deepcopy(self.encoder)
            whole.load_state_dict(self.progress.whole)
            whole.save_pretrained(self.folder.path, sync=False)

    def _train(self) -> None:
        """Train to the last epoch, with a checkpoint now and then, and before the process ends on a signal.

        Checkpoints are written at the ends of epochs, and within epochs of more than `WITHIN_EPOCH` seconds unless
        several processes train together.
        """
        config, state = self.config, self.state
        last_checkpoint = epoch_began = time.monotonic()  # a clock that cannot be set back
        saved = True
        waiting = signals_wait(lambda: saved)
        with self.display.bar("training", config.epochs) as show, waiting as pending:

            def save() -> None:
                nonlocal last_checkpoint, saved
                write_checkpoint(self.folder.path, state, self.progress)
                last_checkpoint, saved = time.monotonic(), True

            def on_step() -> None:
                nonlocal saved
                saved = False
                ended_by = pending()
                waited = time.monotonic() - max(last_checkpoint, epoch_began)
                if ended_by is not None or waited >= max(WITHIN_EPOCH, config.checkpoint_seconds):
                    save()
                if ended_by is not None:
                    raise ended_by

            def on_epoch(epoch: Epoch) -> None:
                nonlocal epoch_began, saved
                saved = False
                self._keep(epoch)
                stops = self._stops(epoch)
                due = (
                    stops
                    or pending() is not None
                    or time.monotonic() - last_checkpoint >= config.checkpoint_seconds
                )
                if due or epoch.epoch == config.epochs:
                    save()
                ended_by = pending()
                if ended_by is not None and saved:
                    raise ended_by
                show(
                    epoch.epoch,
                    f"loss {epoch.loss:.4g}  effective negatives {100 * epoch.effective_negatives:.0f}%",
                )
                epoch_began = time.monotonic()
                if stops:
                    raise StopTraining

            if STOPPED not in self.result:  # as a resumed run may be
                train(state, self.batches, config, self.fabric, on_epoch, self.processes, on_step)
        if state.epoch < config.epochs and config.recalibrate:  # it was stopped
            self._recalibrate()
            self.encoder.save_pretrained(self.folder.path, sync=False)
        if config.evaluate and state.epoch not in self.progress.embeddings:  # it was stopped
            self.progress.embeddings[state.epoch] = self._embed(self.encoder)
        epochs = self.progress.epochs
        self.result["steps"] = state.steps
        self.result["weight_change"] = relative_change(self.initial, self.encoder.parameters())
        sentence = caution(
            self.graphs.num_graphs,
            config.batch_size,
            config.method,
            epochs,
            config.negative_queue,
            config.effective_negatives,
        )
        if sentence is not None:
            self.display.warn(sentence)
        if epochs:
            self.seconds["training"] = sum(epoch.seconds for epoch in epochs)
            self.seconds["epoch_median"] = plain_statistics.median(
                epoch.seconds for epoch in epochs
            )

    def _keep(self, epoch: Epoch) -> None:
        """Write and remember the results of an epoch."""
        self.progress.epochs.append(epoch)
        self.result["epoch"] = epoch.epoch
        if epoch.epoch in (*self.config.scored_epochs, self.config.epochs):
            self._recalibrate()
        # Each epoch replaces the one before, so that the last whole epoch is on disk whatever happens.
        self._keep_encoder()
        self.folder.add_rows(file_names.METRICS, [epoch._asdict()])
        self.log.epoch(epoch, self.config.lr)
        if self.config.protocol == "best-epoch":
            self.progress.encoders[epoch.epoch] = copy.deepcopy(self.progress.whole)
        if epoch.epoch in self.config.scored_epochs:
            self.progress.embeddings[epoch.epoch] = self._embed(self.encoder)

    def _keep_encoder(self) -> None:
        """Write and remember the encoder of a whole epoch."""
        self.progress.whole = copy.deepcopy(self.encoder.state_dict())
        self.encoder.save_pretrained(self.folder.path, sync=False)

    def _stops(self, epoch: Epoch) -> bool:
        """Call `on_epoch`; return, and note in the result, whether it stops the training, now or before."""
        stops = self.stops_late
        try:
            if self.on_epoch is not None:
                self.on_epoch(epoch)
        except StopTraining:
            stops = True
        if stops:
            self.result[STOPPED] = self.state.epoch
        return stops

    def _embed_control(self) -> None:
        """Embed with the initial weights and trained batch norm, if untrained and trained encoders are compared.

        With exact statistics, that is what the untrained encoder is.
        """
        config = dataclasses.replace(self.config, epochs=self.state.epoch)
        if config.protocol == "best-epoch" or not config.epochs or 0 not in config.scored_epochs:
            return
        if config.recalibrate:
            return
        model = build_model(config, self.features.channels, self.batches).to(
            *place(self.fabric, config)
        )
        encoder = model.encoder
        assert isinstance(encoder, GraphEncoder)
        calibrate(encoder, self.batches, config, self.fabric)
        self.control = self._embed(encoder)

    def _evaluate(self) -> None:
        """Score all embeddings with each probe on the same folds, and choose the epoch that "trained" refers to."""
        config, embeddings = self.config, self.progress.embeddings
        self.result["embedding"] = {
            str(epoch): {"effective_rank": effective_rank(rescale(embedding, config.scale))}
            for epoch, embedding in embeddings.items()
        }
        start = time.perf_counter()
        scores: dict[str, Any] = {}
        predicted: dict[str, Any] = {}
        best = self.state.epoch
        if config.evaluate:
            named = {str(epoch): embedding for epoch, embedding in embeddings.items()}
            if self.control is not None:
                named["batch_norm"] = self.control
            known = labelled(self.graphs)
            seen = {name: array[known.rows] for name, array in named.items()}
            evaluated = evaluate_vectors(seen, known.y, config, self.display, known.task)
            for probe, found in evaluated:
                by_epoch = {epoch: found[str(epoch)] for epoch in embeddings}
                if self.graphs.classes:
                    predicted |= {
                        f"{probe}/{name}": predicted_classes(one, known.y)
                        for name, one in found.items()
                    }
                if config.protocol == "best-epoch" and probe == config.probes[0]:
                    best = best_epoch(by_epoch)
                scores[probe] = compare(by_epoch, found.get("batch_norm"), best)
        self.result |= {"scores": scores, "epoch": best}  # only once all probes are done
        if predicted:
            with atomic_write(self.folder.path / file_names.PREDICTED) as partial:
                np.savez_compressed(partial, row=np.flatnonzero(known.rows), y=known.y, **predicted)
        self.seconds["evaluation"] = time.perf_counter() - start
        self.log.scores(scores, best)

    def _write_embeddings(self) -> None:
        """Write the embeddings, and under best-epoch the encoder whose scores are reported."""
        best = self.result["epoch"]
        if self.progress.encoders:
            self.encoder.load_state_dict(self.progress.encoders[best])
            self.result["steps"] = self.state.steps * best // self.state.epoch
            self.result["weight_change"] = relative_change(self.initial, self.encoder.parameters())
            self.encoder.save_pretrained(self.folder.path, sync=False)
        names = {0: "untrained", best: "trained" if best else "untrained"}
        arrays: dict[str, Any] = {
            names.get(e, f"epoch_{e}"): array for e, array in self.progress.embeddings.items()
        }
        if self.control is not None:
            arrays["batch_norm"] = self.control
        if arrays:
            with atomic_write(self.folder.path / file_names.EMBEDDINGS) as partial:
                np.savez_compressed(partial, **identity(self.graphs), **arrays)

    def _draw(self) -> None:
        """Draw the two pictures, unless they are switched off."""
        start = time.perf_counter()
        if self.config.pictures:
            training, embedding = (self.folder.path / name for name in file_names.PICTURES)
            label = self._label()
            if self.progress.epochs:
                losses, shares = zip(
                    *((e.loss, e.effective_negatives) for e in self.progress.epochs), strict=True
                )
                plots.training_curves(losses, shares, label, training)
            best = self.result["epoch"]
            if best in self.progress.embeddings:
                title = f"{label}, epoch {best}" + (
                    ", picked on the test folds" if self.result["optimistic"] else ""
                )
                vectors = {title: self.progress.embeddings[best]}
                y, target = self.graphs.y, "target"
                if self.graphs.targets:  # the one that most graphs have
                    column = int((~y.isnan()).sum(dim=0).argmax())
                    y, target = y[:, column], self.graphs.targets[column]
                seed, classes = self.config.seed, self.graphs.classes
                plots.embedding_map(vectors, y.numpy(), embedding, seed, classes, target)
        self.seconds["pictures"] = time.perf_counter() - start

    def _label(self) -> str:
        """Return the title of the pictures."""
        config, name = self.config, self.graphs.name
        if not self.progress.epochs:
            return f"{name}, untrained"
        how = config.objective if config.method == "infograph" else " and ".join(config.views)
        if config.mode == "released":
            return f"{name}, {config.method}, {how}, released"
        share = config.effective_negatives
        hardness = f"beta {config.beta:g}" if share is None else f"{100 * share:g}% effective"
        form = ", consistent" if config.debias == "consistent" else ""
        return f"{name}, {config.method}, {how}, {hardness}, tau+ {config.tau_plus:g}{form}"

    def _recalibrate(self) -> None:
        """Set the exact statistics of batch norm, if the settings ask for them."""
        if self.config.recalibrate:
            recalibrate(self.encoder, self.batches, self.config.batch_size)

    def _embed(self, encoder: GraphEncoder) -> Array:
        return embed(encoder, self.batches, self.config.batch_size)

    def _note_failure(self, error: BaseException) -> None:
        """Put how the run failed into the result."""
        self.result["status"] = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        if isinstance(error, TrainingDiverged):
            self.result["status"] = "diverged"
        self.result["error"] = str(error) or type(error).__name__

    def _end(self) -> None:
        """Write the result, after all other files are on disk."""
        self.result["seconds"] = self.seconds
        self.folder.sync()  # before a result says that they are there
        self.folder.write_json(file_names.RESULT, self.result)
        self.log.close()


def best_epoch(by_epoch: Mapping[int, CrossValidation]) -> int:
    """Return the trained epoch with the highest mean of the first score."""
    return max(
        (epoch for epoch in by_epoch if epoch > 0),
        key=lambda epoch: by_epoch[epoch].summary().mean,
    )


def identity(graphs: GraphSource) -> dict[str, Any]:
    """Return what embeddings.npz says of its rows: the graphs' ids and own labels, whether these are measured, and the
    checksum of the data."""
    labels = {} if graphs.labels is None else {"y": graphs.labels}
    labels |= {"targets": np.array(graphs.targets)} if graphs.targets else {}
    labels |= {"task": np.array("regression")} if is_measured(graphs.y.numpy()) else {}
    return {"id": graphs.ids, **labels, "data_sha256": np.array(graphs.checksum)}


def describe(graphs: GraphSource, features: FeatureMap) -> dict[str, Any]:
    """Return the description of a data set for result.json."""
    missing = graphs.y.isnan() if graphs.y.is_floating_point() else graphs.y < 0
    edges = {} if features.edges is None else {"edge_features": features.edges.description}
    return {
        "name": graphs.name,
        "graphs": graphs.num_graphs,
        "classes": graphs.num_classes,
        "class_names": list(graphs.classes),
        **({"targets": list(graphs.targets)} if graphs.targets else {}),
        "unlabelled": int(missing.view(graphs.num_graphs, -1).all(dim=1).sum()),
        "sha256": graphs.checksum,
        "nodes": graphs.num_nodes,
        "directed_edges": graphs.num_edges,
        "features": features.description,
        **edges,
    }
