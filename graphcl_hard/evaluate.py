"""Judge saved vectors of graphs, by how well probes read the labels from them.

The probes, folds and intervals are those of graphcl_hard.run: nested, stratified, repeated cross-validation. All sets
of vectors of a file are judged on the same folds. With a run's settings, its vectors have the run's scores.

Examples:
  python -m graphcl_hard.evaluate vectors.npz      (of graphcl_hard.embed)
  python -m graphcl_hard.evaluate runs/mine/embeddings.npz --only untrained trained
  python -m graphcl_hard.evaluate mine.csv --labels target --scale linear
  python -m graphcl_hard.evaluate mine.npy --labels labels.txt
"""

if __name__ == "__main__":
    from graphcl_hard.runs.early_signals import end_at_once

    end_at_once()

import dataclasses
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from graphcl_hard.config import Config, Probe, Scale, Scope, names_in
from graphcl_hard.exceptions import InputError
from graphcl_hard.io.atomic_write import atomic_write
from graphcl_hard.runs.cli import (
    as_called,
    check_new_file,
    exit_status,
    handle_signals,
    one_sentence,
    prepare_stdout,
)
from graphcl_hard.runs.environment import environment

PROG = "python -m graphcl_hard.evaluate"
SETTINGS = names_in(Scope.EVALUATION)
"""The settings of a run that say how it is scored; they have the same defaults and ranges here."""


@dataclass(frozen=True)
class Arguments:
    """What the command line holds.

    Attributes:
        vectors: File of vectors, a graph a row: .npz (each array of two dimensions is a set of vectors), .npy, .csv
            with a line of names, or .parquet (all columns but the labels, and but y, are vectors).
        labels: Array or column of the labels, or a file of them: .npz, .npy, .csv, .parquet, or .txt with a label a
            line. The default is y, or in an .npz without y the only array of one dimension.
        only: Arrays or columns to take as vectors; the default is all.
        probes: Classifiers that judge the vectors; svm has an RBF kernel.
        folds: Folds of the stratified cross-validation.
        repeats: Repeats of the cross-validation with other shuffles.
        seed: Seed of the shuffles.
        scale: What the probes see: the vectors, or sign(x) log(1 + |x|) of them. Take linear for vectors that
            graphcl_hard.embed --scale log wrote, or where the log scale has no sense.
        out: File to write the result to, with every fold's score: .json.
        overwrite: Replace the file --out.
        quiet: Print nothing but the file that was written, and errors.
    """

    vectors: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="VECTORS")]
    labels: str | None = None
    only: tuple[str, ...] = ()
    probes: tuple[Probe, ...] = Config.probes
    folds: int = Config.folds
    repeats: int = Config.repeats
    seed: int = Config.seed
    scale: Scale = Config.scale
    out: Path | None = None
    overwrite: bool = False
    quiet: bool = False


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status, see `exit_status`."""
    words = list(sys.argv[1:] if argv is None else argv)

    def action() -> None:
        _evaluate(one_sentence("", lambda: tyro.cli(Arguments, args=words, prog=as_called(PROG), description=__doc__)))

    return exit_status(action)


def _evaluate(arguments: Arguments) -> None:
    config = _check(arguments)

    from graphcl_hard.evaluation.checks import check_folds
    from graphcl_hard.io.vectors import read_vectors
    from graphcl_hard.runs.display import Display
    from graphcl_hard.runs.results import evaluate_vectors

    handle_signals()
    display = Display(arguments.quiet)
    vectors, labels = read_vectors(arguments.vectors, arguments.labels, arguments.only)
    y = check_folds(labels, arguments.folds)
    scores: dict[str, dict[str, Any]] = {}
    for probe, found in evaluate_vectors(vectors, y, config, display):
        scores[probe] = {name: scored.to_dict() for name, scored in found.items()}
    classes = int(y.max()) + 1
    if arguments.out is not None:
        result = {
            "vectors": str(arguments.vectors),
            "labels": arguments.labels,
            "graphs": len(y),
            "classes": classes,
            "channels": {name: array.shape[1] for name, array in vectors.items()},
            "config": {name: getattr(arguments, name) for name in SETTINGS},
            "scores": scores,
            **environment(),
        }
        with atomic_write(arguments.out) as partial:
            partial.write_text(json.dumps(result, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    display.scores(f"{arguments.vectors.name}: {len(y)} graphs, {classes} classes, seed {arguments.seed}", scores)
    seen = "sign(x) log(1 + |x|) of the vectors" if arguments.scale == "log" else "the vectors as they are"
    display.say(f"The probes saw {seen} (--scale {arguments.scale}).")
    if arguments.out is not None:
        display.say(f"written: {arguments.out}")
        if arguments.quiet:
            print(arguments.out)


def _check(arguments: Arguments) -> Config:
    """The settings of a run that would be judged so."""
    config = dataclasses.replace(Config(), **{name: getattr(arguments, name) for name in SETTINGS})
    config.check()
    if len(set(arguments.only)) < len(arguments.only):
        raise InputError(f"--only must name each array or column once, got {' '.join(arguments.only)}.")
    if arguments.out is not None:
        check_new_file(arguments.out, (".json",), arguments.overwrite)
    return config


if __name__ == "__main__":
    prepare_stdout()
    sys.exit(main())
