"""One run, of one seed or several: train, embed, evaluate before and after, and leave a folder."""

import copy
import dataclasses
import statistics as plain_statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric import Fabric

from graphcl_hard.config import Config
from graphcl_hard.data.graph_data import GraphData
from graphcl_hard.data.shards import GraphShards
from graphcl_hard.evaluation.checks import rescale
from graphcl_hard.evaluation.effective_rank import effective_rank
from graphcl_hard.io import file_names
from graphcl_hard.io.atomic_write import atomic_write
from graphcl_hard.io.checksum import with_checksum
from graphcl_hard.loader.features import FeatureMap
from graphcl_hard.nn.encoders.base import GraphEncoder
from graphcl_hard.runs import plots
from graphcl_hard.runs.cli import Terminated, termination_waits
from graphcl_hard.runs.display import Display
from graphcl_hard.runs.environment import environment
from graphcl_hard.runs.folder import RunFolder
from graphcl_hard.runs.loggers import EpochLog
from graphcl_hard.runs.results import compare, evaluate_vectors, summarise
from graphcl_hard.runs.resume import check_same_settings, read_finished
from graphcl_hard.training.build import build_model, prepare
from graphcl_hard.training.checkpoint import Progress, read_checkpoint, remove_checkpoints, write_checkpoint
from graphcl_hard.training.devices import place, training_device
from graphcl_hard.training.distributed import Processes
from graphcl_hard.training.loop import TrainingDiverged, calibrate, embed, train
from graphcl_hard.training.state import Epoch
from graphcl_hard.training.warnings import caution

Array = npt.NDArray[np.floating]


def run_seeds(
    config: Config,
    graphs: GraphData | GraphShards,
    features: FeatureMap,
    out: Path,
    display: Display,
    processes: Processes | None = None,
) -> None:
    """Run the seeds that the settings ask for, and show and write the results in the folder `out`.

    One seed's files lie in the folder itself; several seeds have a folder each in it, beside a summary. Of several
    processes the first is here, and the others are in `following.follow`.
    """
    with RunFolder(out, config.overwrite, config.resume) as folder:
        if config.resume:
            check_same_settings(config, out)
        if config.seeds == 1:
            display.result(run_seed(config, graphs, features, folder, display, processes))
            return
        folder.write_text(file_names.CONFIG, config.to_yaml())
        results = []
        for seed in range(config.seed, config.seed + config.seeds):
            one = dataclasses.replace(config, seed=seed, seeds=1, out=out / f"seed-{seed}")
            with RunFolder(out / f"seed-{seed}", resume=config.resume) as inner:
                results.append(run_seed(one, graphs, features, inner, display, processes))
            display.result(results[-1])
        summary = summarise(results)
        folder.write_json(file_names.SUMMARY, summary)
        display.summary(summary)


def run_seed(
    config: Config,
    graphs: GraphData | GraphShards,
    features: FeatureMap,
    folder: RunFolder,
    display: Display,
    processes: Processes | None = None,
) -> dict[str, Any]:
    """Run one seed and write its folder; returns what result.json holds.

    With `config.resume`, the folder's run goes on from its last checkpoint, and a finished one is only read.
    Interrupted, or with a loss that is not finite, the folder holds the last whole epoch's encoder, the metrics so
    far, and a result.json that says how it ended.
    """
    start = time.perf_counter()
    if config.resume and (finished := read_finished(config, folder, display)) is not None:
        remove_checkpoints(folder.path)  # it may have been killed before it did
        return finished
    folder.write_text(file_names.CONFIG, config.to_yaml())
    folder.write_json(file_names.FEATURES, with_checksum(features.to_dict()))
    result: dict[str, Any] = {
        "status": "running",
        "dataset": describe(graphs, features),
        "method": config.method,
        "encoder": config.encoder,
        "protocol": config.protocol,
        "optimistic": config.protocol == "best-epoch",
        "seed": config.seed,
        "epoch": 0,
        "config": config.to_dict(),
        **environment(),
    }
    seconds: dict[str, Any] = {}
    log = EpochLog(config.logger, folder.path)
    try:
        folder.write_json(file_names.RESULT, result)
        with training_device(config, together=processes is not None) as fabric:
            result |= {"device": str(fabric.device), "threads": torch.get_num_threads()}
            result |= {} if processes is None else {"processes": processes.size}
            encoder, progress, control = _train(
                config, graphs, features, folder, display, result, log, fabric, processes
            )
        if progress.epochs:
            seconds["training"] = sum(epoch.seconds for epoch in progress.epochs)
            seconds["epoch_median"] = plain_statistics.median(epoch.seconds for epoch in progress.epochs)
        result["embedding"] = {
            str(epoch): {"effective_rank": effective_rank(rescale(embedding, config.scale))}
            for epoch, embedding in progress.embeddings.items()
        }
        y = graphs.y.numpy()
        evaluation_start = time.perf_counter()
        result["scores"], best = _evaluate(config, progress.embeddings, control, y, display)
        seconds["evaluation"] = time.perf_counter() - evaluation_start
        result["epoch"] = best
        log.scores(result["scores"], best)
        if progress.encoders:  # best-epoch: the encoder on disk is the one whose scores are reported
            encoder.load_state_dict(progress.encoders[best])
            encoder.save_pretrained(folder.path, sync=False)
        pictures_start = time.perf_counter()
        _leave(config, progress, control, y, folder, result)
        seconds["pictures"] = time.perf_counter() - pictures_start
        result["status"] = "finished"
    except BaseException as error:
        result["status"] = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        if isinstance(error, TrainingDiverged):
            result["status"] = "diverged"
        result["error"] = str(error) or type(error).__name__
        raise
    finally:
        seconds["total"] = time.perf_counter() - start + result.pop("seconds_before", 0.0)
        result["seconds"] = seconds
        folder.sync()  # before a result says that they are there
        folder.write_json(file_names.RESULT, result)
        log.close()
    remove_checkpoints(folder.path)
    return result


def describe(graphs: GraphData | GraphShards, features: FeatureMap) -> dict[str, Any]:
    """What result.json says of the data."""
    edges = {} if features.edges is None else {"edge_features": features.edges.description}
    return {
        "name": graphs.name,
        "graphs": graphs.num_graphs,
        "classes": graphs.num_classes,
        "nodes": graphs.num_nodes,
        "directed_edges": graphs.num_edges,
        "features": features.description,
        **edges,
    }


def _train(
    config: Config,
    graphs: GraphData | GraphShards,
    features: FeatureMap,
    folder: RunFolder,
    display: Display,
    result: dict[str, Any],
    log: EpochLog,
    fabric: Fabric,
    processes: Processes | None,
) -> tuple[GraphEncoder, Progress, Array | None]:
    """Train and embed, from the checkpoint where there is one to go on from.

    The last of the three is the control's embedding, where untrained and trained are compared.
    """
    batches, state = prepare(config, graphs, features, fabric)
    encoder = state.model.encoder
    assert isinstance(encoder, GraphEncoder)
    progress = read_checkpoint(folder.path, state) if config.resume else None
    if progress is None:
        progress = Progress()
    else:
        result["resumed_after_epoch"] = state.epoch
        result["seconds_before"] = sum(epoch.seconds for epoch in progress.epochs)  # of processes that were stopped
        folder.add_rows(file_names.METRICS, [epoch._asdict() for epoch in progress.epochs])
        for epoch in progress.epochs:
            log.epoch(epoch, config.lr)
        if progress.complaint:
            display.warn(progress.complaint)
    if state.epoch == 0 and 0 in config.scored_epochs:
        progress.embeddings[0] = embed(encoder, batches, config.batch_size)
    encoder.save_pretrained(folder.path, sync=False)
    if processes is not None:
        processes.tell((config.seed, state.epoch, state.to_tensors() if state.epoch else None))
    last_checkpoint, saved_epoch = time.monotonic(), state.epoch  # no clock that may be set back
    waiting = termination_waits(lambda: saved_epoch == state.epoch)
    with display.bar("training", config.epochs) as show, waiting as must_end:

        def on_epoch(epoch: Epoch) -> None:
            nonlocal last_checkpoint, saved_epoch
            progress.epochs.append(epoch)
            result["epoch"] = epoch.epoch
            # Each epoch replaces the one before, so that whatever happens the last whole epoch is on disk.
            encoder.save_pretrained(folder.path, sync=False)
            folder.add_rows(file_names.METRICS, [epoch._asdict()])
            log.epoch(epoch, config.lr)
            if config.protocol == "best-epoch":
                progress.encoders[epoch.epoch] = copy.deepcopy(encoder.state_dict())
            if epoch.epoch in config.scored_epochs:
                progress.embeddings[epoch.epoch] = embed(encoder, batches, config.batch_size)
            due = must_end() or time.monotonic() - last_checkpoint >= config.checkpoint_seconds
            if due or epoch.epoch == config.epochs:
                write_checkpoint(folder.path, state, progress)
                last_checkpoint, saved_epoch = time.monotonic(), epoch.epoch
            if must_end() and saved_epoch == epoch.epoch:
                raise Terminated
            note = f"loss {epoch.loss:.4g}  effective negatives {100 * epoch.effective_negatives:.0f}%"
            show(epoch.epoch, note)

        train(state, batches, config, fabric, on_epoch, processes)
    sentence = caution(graphs.num_graphs, config.batch_size, config.method, progress.epochs, config.negative_queue)
    if sentence is not None:
        display.warn(sentence)
    if config.protocol == "best-epoch" or not config.epochs or 0 not in config.scored_epochs:
        return encoder, progress, None
    control = build_model(config, features.channels, batches).to(*place(fabric, config)).encoder
    assert isinstance(control, GraphEncoder)
    calibrate(control, batches, config, fabric)
    return encoder, progress, embed(control, batches, config.batch_size)


def _evaluate(
    config: Config,
    embeddings: dict[int, Array],
    control: Array | None,
    y: npt.NDArray[np.integer],
    display: Display,
) -> tuple[dict[str, Any], int]:
    """Scores of each probe, untrained and trained on the same folds, and the epoch that "trained" is."""
    scores: dict[str, Any] = {}
    best = config.epochs
    if not config.evaluate:
        return scores, best
    named = {str(epoch): embedding for epoch, embedding in embeddings.items()}
    if control is not None:
        named["batch_norm"] = control
    for probe, found in evaluate_vectors(named, y, config, display):
        by_epoch = {epoch: found[str(epoch)] for epoch in embeddings}
        if config.protocol == "best-epoch" and probe == config.probes[0]:
            best = max((e for e in by_epoch if e > 0), key=lambda e: by_epoch[e].accuracy.mean())
        scores[probe] = compare(by_epoch, found.get("batch_norm"), best)
    return scores, best


def _leave(
    config: Config,
    progress: Progress,
    control: Array | None,
    y: npt.NDArray[np.integer],
    folder: RunFolder,
    result: Mapping[str, Any],
) -> None:
    """Write the embeddings and the plots."""
    best = result["epoch"]
    names = {0: "untrained", best: "trained" if best else "untrained"}
    arrays: dict[str, Any] = {names.get(e, f"epoch_{e}"): array for e, array in progress.embeddings.items()}
    if control is not None:
        arrays["batch_norm"] = control
    if arrays:
        with atomic_write(folder.path / file_names.EMBEDDINGS) as partial:
            np.savez_compressed(partial, y=y, **arrays)
    if not config.pictures:
        return
    name = result["dataset"]["name"]
    how = config.objective if config.method == "infograph" else " and ".join(config.views)
    label = f"{name}, {config.method}, {how}"
    label += ", released" if config.mode == "released" else f", beta {config.beta:g}, tau+ {config.tau_plus:g}"
    if progress.epochs:
        losses, shares = zip(*((e.loss, e.effective_negatives) for e in progress.epochs), strict=True)
        plots.training_curves(losses, shares, label, folder.path / file_names.PICTURES[0])
    else:
        label = f"{name}, untrained"
    if not arrays:
        return
    chosen = f"{label}, epoch {best}" + (", picked on the test folds" if result["optimistic"] else "")
    plots.embedding_map({chosen: progress.embeddings[best]}, y, folder.path / file_names.PICTURES[1], config.seed)
