"""Train an encoder without labels, with hard, debiased negatives, on a TU data set, and score its embedding.

The encoder is scored before and after training on the same folds, since an untrained GIN is a strong baseline. The run
writes a folder with config.yaml (run it again with --config), metrics.csv, result.json, encoder.safetensors,
embeddings.npz and two pictures. graphcl_hard.embed embeds other graphs with its encoder.

Exit status: 0 done; 2 bad input, or a file that cannot be read or written; 130 Ctrl-C; 141 the reader of the output is
gone; 143 SIGTERM, which a scheduler sends before it kills. After Ctrl-C or SIGTERM the last complete epoch is saved
first, and the same command with --out and --resume continues; a second Ctrl-C ends at once.

Examples:
  python -m graphcl_hard.run --dataset MUTAG
  python -m graphcl_hard.run --dataset PROTEINS --beta 0 --tau-plus 0 --seeds 5     (uniform negatives)
  python -m graphcl_hard.run --dataset MUTAG --method graphcl --beta 1             (two views of each graph)
  python -m graphcl_hard.run --dataset ./my_graphs --probes svm knn --out runs/mine
  torchrun --nproc-per-node 4 -m graphcl_hard.run --dataset DD                     (four processes, one training)
"""

if __name__ == "__main__":
    from graphcl_hard.runs.early_signals import end_at_once

    end_at_once()

import dataclasses
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from graphcl_hard.config import Config
from graphcl_hard.data.tu.names import check_name, check_spelling, is_path
from graphcl_hard.exceptions import InputError
from graphcl_hard.io.paths import user_path
from graphcl_hard.runs.cli import (
    as_called,
    exit_status,
    handle_signals,
    one_sentence,
    prepare_stdout,
)
from graphcl_hard.runs.config_file import read_yaml, to_flags
from graphcl_hard.runs.display import silence_stdout
from graphcl_hard.runs.folder import default_folder
from graphcl_hard.runs.resume import check_out

if TYPE_CHECKING:
    from graphcl_hard.data.graph_data import GraphSource
    from graphcl_hard.runs.display import Display

PROG = "python -m graphcl_hard.run"
MANY_GRAPHS = 20_000


@dataclass(frozen=True)
class Arguments:
    """The arguments of the command: the settings, and two of its own.

    Attributes:
        config: YAML file with settings, such as the config.yaml of a run; flags take precedence over it.
        print_config: Print the settings as YAML and exit.
    """

    settings: Annotated[Config, tyro.conf.arg(name="")]
    config: Path | None = None
    print_config: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status, see `exit_status`."""
    words = list(sys.argv[1:] if argv is None else argv)
    rank, _ = _launched()
    if rank:  # only the first process prints
        silence_stdout()

    def action() -> None:
        try:
            arguments = parse(words)
            config = arguments.settings
            config.check()
        except InputError:
            if rank:
                return
            raise
        if arguments.print_config:
            print(config.to_yaml(), end="")
        else:
            _run(_absolute(config))

    return exit_status(action)


def parse(words: Sequence[str]) -> Arguments:
    """Return the settings of a command line: defaults, then the file of --config, then the flags.

    Raises:
        InputError: an unknown flag or setting, or a value of the wrong type.
    """
    default = Config()
    path = _config_path(words)
    if path is not None:
        # The values in the file go through the parser of the flags, which checks their types.
        flags = to_flags(read_yaml(path))
        default = one_sentence(
            f"--config {path}: ", lambda: tyro.cli(Config, args=flags, default=default)
        )
    arguments = Arguments(default, config=path)
    prog = as_called(PROG)
    return one_sentence(
        "",
        lambda: tyro.cli(Arguments, args=words, prog=prog, description=__doc__, default=arguments),
    )


def _config_path(words: Sequence[str]) -> Path | None:
    path = None
    for number, word in enumerate(words):
        if word == "--config" and number + 1 < len(words):
            path = words[number + 1]
        elif word.startswith("--config="):
            path = word.partition("=")[2]
    return None if path is None else user_path(path, "--config")


def _absolute(config: Config) -> Config:
    """Return the settings with absolute paths to the data, so that config.yaml works from any folder."""
    dataset = (
        str(user_path(config.dataset, "--dataset").resolve())
        if is_path(config.dataset)
        else config.dataset
    )
    data_dir = config.data_dir and config.data_dir.resolve()
    return dataclasses.replace(config, dataset=dataset, data_dir=data_dir)


def _launched() -> tuple[int, int]:
    """Return the rank of this process, from 0, and the number of processes that torchrun started, or (0, 1)."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return 0, 1
    return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])


def _run(config: Config) -> None:
    rank, size = _launched()
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


def _check_evaluation(config: Config, graphs: "GraphSource", display: "Display") -> None:
    from graphcl_hard.evaluation.checks import check_folds

    if graphs.y.is_floating_point():
        raise InputError(
            f"The labels of {graphs.name} are measured values, not classes, which is all that is evaluated; give "
            "--no-evaluate to only train."
        )
    if graphs.num_classes == 1:
        raise InputError(
            f"All labelled graphs of {graphs.name} have the class {graphs.classes[0]}, but an evaluation needs 2 "
            "classes; give --no-evaluate to only train."
        )
    if not graphs.classes:
        raise InputError(
            f"{graphs.name} has no classes to evaluate with; give --no-evaluate to only train."
        )
    labelled = graphs.y >= 0
    labels = graphs.labels
    assert labels is not None
    check_folds(labels[labelled.numpy()], config.folds)
    missing = graphs.num_graphs - int(labelled.sum())
    if missing:
        display.warn(
            f"{missing} of {graphs.num_graphs} graphs have no class; the encoder is trained on all, and scored on "
            "the others."
        )
    if graphs.num_graphs > MANY_GRAPHS:
        display.warn(
            f"The evaluation of {graphs.num_graphs} graphs takes long; --no-evaluate only trains."
        )


if __name__ == "__main__":
    prepare_stdout()
    sys.exit(main())
