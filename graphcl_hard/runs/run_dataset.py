"""Run one data set with checked settings, as the command and the cells of a sweep do."""

import dataclasses
import os
import signal
from contextlib import nullcontext
from datetime import datetime
from typing import TYPE_CHECKING

from graphcl_hard.config import Config
from graphcl_hard.data.tu.names import check_name, check_spelling, is_path
from graphcl_hard.exceptions import InputError
from graphcl_hard.io.paths import user_path
from graphcl_hard.runs.cli import handle_signals
from graphcl_hard.runs.folder import default_folder
from graphcl_hard.runs.resume import check_out

if TYPE_CHECKING:
    from graphcl_hard.data.graph_data import GraphSource
    from graphcl_hard.runs.display import Display

MANY_GRAPHS = 20_000


def run_dataset(config: Config) -> None:
    """Load the data set, and run all seeds of the settings, which have been checked.

    Raises:
        InputError: the data set or the folder cannot be used.
    """
    config = _absolute(config)
    rank, size = launched()
    # Everything is checked before a folder is made or replaced, and quick checks come before the slow imports.
    if not rank:
        check_out(config)
    if not is_path(config.dataset) and not rank:
        check_spelling(check_name(config.dataset))

    from graphcl_hard.data.load import open_dataset
    from graphcl_hard.loader.features import FeatureMap
    from graphcl_hard.runs.display import Display
    from graphcl_hard.runs.experiment import run_seeds
    from graphcl_hard.runs.loggers import check_logger
    from graphcl_hard.training.allocator import keep_freed_memory
    from graphcl_hard.training.devices import training_device
    from graphcl_hard.training.distributed import Processes
    from graphcl_hard.training.loop import follow

    if handle_signals():
        keep_freed_memory()
    display = Display(config.quiet, silent=rank > 0)
    check_logger(config.logger)
    with training_device(config, together=size > 1):
        processes = Processes() if size > 1 else None
    with nullcontext() if processes is None else processes.first_alone():
        with display.download(config.dataset) as progress:
            graphs = open_dataset(config.dataset, data_dir=config.data_dir, progress=progress)
        features = FeatureMap.fit(graphs, config.use_node_attr, with_edges=config.encoder == "gine")
        if config.evaluate:
            _check_evaluation(config, graphs, display)
    if processes is not None and rank:
        # The first process decides when a signal ends the training: it may have an epoch to save.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        follow(config, graphs, features, processes)
        processes.leave()
        return
    out = config.out or default_folder(config.dataset, datetime.now())
    try:
        config = dataclasses.replace(config, out=out)
        is_new = run_seeds(config, graphs, features, display, processes)
    except KeyboardInterrupt as interrupt:
        raise type(interrupt)(out) from None
    if processes is not None:
        processes.tell(None)
        processes.leave()
    if is_new:
        display.say(f"written: {out}")
    else:
        display.say(
            f"nothing to do: the run in {out} was already finished; --overwrite runs it again"
        )
    if config.quiet:
        print(out)


def launched() -> tuple[int, int]:
    """Return the rank of this process, from 0, and the number of processes that torchrun started, or (0, 1)."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return 0, 1
    return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])


def _absolute(config: Config) -> Config:
    """Return the settings with absolute paths to the data, so that config.yaml works from any folder."""
    dataset = (
        str(user_path(config.dataset, "--dataset").resolve())
        if is_path(config.dataset)
        else config.dataset
    )
    data_dir = config.data_dir and config.data_dir.resolve()
    return dataclasses.replace(config, dataset=dataset, data_dir=data_dir)


def _check_evaluation(config: Config, graphs: "GraphSource", display: "Display") -> None:
    import numpy as np

    from graphcl_hard.evaluation.checks import check_target_folds
    from graphcl_hard.evaluation.probes import find_probe
    from graphcl_hard.evaluation.targets import read_targets, target_columns
    from graphcl_hard.runs.results import labelled

    if graphs.num_classes == 1:
        raise InputError(
            f"All labelled graphs of {graphs.name} have the class {graphs.classes[0]}, but an evaluation needs 2 "
            "classes; give --no-evaluate to only train."
        )
    known = labelled(graphs)
    y = known.y if graphs.y.is_floating_point() else np.array(graphs.classes)[known.y]
    for target in read_targets(target_columns(y), known.task):
        check_target_folds(target, config.folds, "folds")
    for probe in config.probes:
        find_probe(probe, known.task)
    missing = graphs.num_graphs - int(known.rows.sum())
    if missing:
        what = "target" if graphs.y.is_floating_point() else "class"
        display.warn(
            f"{missing} of {graphs.num_graphs} graphs have no {what}; the encoder is trained on all, and scored on "
            "the others."
        )
    if graphs.num_graphs > MANY_GRAPHS:
        display.warn(
            f"The evaluation of {graphs.num_graphs} graphs takes long; --no-evaluate only trains."
        )
