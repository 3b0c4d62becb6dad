"""Train an encoder without labels, with hard, debiased negatives, on a TU data set, and score its embedding.

The encoder is scored before and after training on the same folds, since an untrained GIN is a strong baseline. The run
writes a folder with config.yaml (run it again with --config), metrics.csv, result.json, encoder.safetensors,
embeddings.npz and two pictures. graphcl_hard.embed embeds other graphs with its encoder.

Exit status: 0 done; 2 bad input, or a file that cannot be read or written; 130 Ctrl-C; 141 the reader of the output is
gone; 143 SIGTERM, which a scheduler sends before it kills. After Ctrl-C or SIGTERM the last step is saved
first (under torchrun the last whole epoch), and the same command with --out and --resume continues; a second Ctrl-C
ends at once.

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

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from graphcl_hard.config import Config
from graphcl_hard.exceptions import InputError
from graphcl_hard.io.paths import user_path
from graphcl_hard.runs.cli import (
    as_called,
    exit_status,
    one_sentence,
    prepare_stdout,
)
from graphcl_hard.runs.config_file import read_yaml, to_flags
from graphcl_hard.runs.display import silence_stdout
from graphcl_hard.runs.run_dataset import launched, run_dataset

PROG = "python -m graphcl_hard.run"


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
    rank, _ = launched()
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
            run_dataset(config)

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


if __name__ == "__main__":
    prepare_stdout()
    sys.exit(main())
