"""Train an InfoGraph encoder with hard, debiased negatives on a TU data set, and judge its embedding.

The same encoder is judged before and after training, on the same folds, since an untrained GIN is a strong baseline.
The run leaves a folder: config.yaml (run it again with --config), metrics.csv, result.json, encoder.safetensors,
embeddings.npz and two pictures.

Examples:
  python -m graphcl_hard.run --dataset MUTAG
  python -m graphcl_hard.run --dataset PROTEINS --beta 0 --tau-plus 0 --seeds 5     (uniform negatives)
  python -m graphcl_hard.run --dataset ./my_graphs --probes svm knn --out runs/mine
"""

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import tyro

from graphcl_hard.config import Config, read_yaml, to_flags
from graphcl_hard.errors import InputError

PROG = "python -m graphcl_hard.run"
BAD_INPUT, INTERRUPTED = 2, 130


@dataclass(frozen=True)
class Arguments:
    """What the command line holds beside the settings.

    Attributes:
        config: YAML file with settings, such as a run's config.yaml; flags that are given too win over it.
        print_config: Print the settings as YAML and end.
    """

    settings: Annotated[Config, tyro.conf.arg(name="")]
    config: Path | None = None
    print_config: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status: 0, 2 for bad input, 130 for Ctrl-C."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        arguments = parse(words)
        config = arguments.settings
        config.check()
        if arguments.print_config:
            print(config.to_yaml(), end="")
            return 0
        _run(config)
    except InputError as error:
        return _fail(str(error))
    except OSError as error:
        name = f" {error.filename}" if error.filename else ""
        return _fail(
            f"The file{name} cannot be read or written: {error.strerror or error}; make room or choose another place."
        )
    except KeyboardInterrupt:
        print("interrupted: the run's folder, if it was made, holds the last whole epoch.", file=sys.stderr)
        return INTERRUPTED
    return 0


def parse(words: Sequence[str]) -> Arguments:
    """The command line's words to settings: defaults, then the file that --config names, then the flags."""
    default = Config()
    path = _config_path(words)
    if path is not None:
        # The file's values go through the flags' own parser, which checks their types.
        default = tyro.cli(Config, args=to_flags(read_yaml(path)), prog=f"--config {path}", default=default)
    return tyro.cli(
        Arguments,
        args=words,
        prog=PROG,
        description=__doc__,
        default=Arguments(default, config=path),
    )


def _config_path(words: Sequence[str]) -> Path | None:
    path = None
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == "--config":
            path = following
        elif word.startswith("--config="):
            path = word.partition("=")[2]
    return Path(path) if path else None


def _run(config: Config) -> None:
    # The heavy imports are late, so that --help and a wrong flag are answered at once.
    from graphcl_hard import records
    from graphcl_hard.data import load_graphs
    from graphcl_hard.display import Display
    from graphcl_hard.evaluation import check_folds
    from graphcl_hard.experiment import run_seed, summarise
    from graphcl_hard.features import node_features
    from graphcl_hard.records import RunFolder
    from graphcl_hard.training import training_device

    # Everything that can be refused is, before a folder is made or replaced.
    display = Display(config.quiet)
    with display.bar(f"downloading {config.dataset}", None) as show:

        def on_bytes(done: int, total: int | None) -> None:
            show(done, "bytes", total)

        graphs = load_graphs(config.dataset, data_dir=config.data_dir, progress=on_bytes)
    features = node_features(graphs, config.use_node_attr)
    check_folds(graphs.y, config.folds)
    with training_device(config):
        pass
    out = config.out or records.default_folder(config.dataset, datetime.now())
    with RunFolder(out, config.overwrite) as folder:
        if config.seeds == 1:
            display.result(run_seed(config, graphs, features, folder, display))
        else:
            folder.write_text(records.CONFIG, config.to_yaml())
            results = []
            for seed in range(config.seed, config.seed + config.seeds):
                one = dataclasses.replace(config, seed=seed, seeds=1, out=out / f"seed-{seed}")
                with RunFolder(out / f"seed-{seed}") as inner:
                    results.append(run_seed(one, graphs, features, inner, display))
                    display.result(results[-1])
            summary = summarise(results)
            folder.write_json(records.SUMMARY, summary)
            display.summary(summary)
    display.say(f"written: {out}")
    if config.quiet:
        print(out)


def _fail(sentence: str) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    return BAD_INPUT


if __name__ == "__main__":
    sys.exit(main())
