"""Score saved vectors of graphs by how well probes predict the labels from them.

The probes, folds and intervals are those of graphcl_hard.run: nested, stratified, repeated cross-validation. All arrays
of vectors in a file are scored on the same folds. With the settings of a run, its vectors have the scores of the run.

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
import warnings
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
from graphcl_hard.runs.flags import with_flags

PROG = "python -m graphcl_hard.evaluate"
SETTINGS = names_in(Scope.EVALUATION)
"""The settings of a run that say how it is scored; they have the same defaults and ranges here."""


@dataclass(frozen=True)
class Arguments:
    """The arguments of the command.

    Attributes:
        vectors: File of vectors with one row per graph: .npz (all two-dimensional arrays are scored), .npy, .csv with a
            header, or .parquet (all columns except id, the labels and y are vectors). Columns of row numbers are left
            out, with a warning.
        labels: Array or column of the labels, or a file of labels: .npz, .npy, .csv, .parquet, or .txt with one label
            per line. The default is y, or the only one-dimensional array of an .npz file without y. Graphs without a
            label (an empty cell, NaN, NA, null) are not scored.
        only: Arrays or columns to use as vectors; the default is all but row numbers.
        probes: Classifiers that score the vectors; svm has an RBF kernel.
        folds: Number of folds of the stratified cross-validation.
        repeats: Number of times that the cross-validation is repeated with other shuffles.
        seed: Seed of the shuffles.
        scale: Input of the probes: the vectors, or sign(x) log(1 + |x|) of them. Use linear for vectors that
            graphcl_hard.embed --scale log wrote, or where a log scale makes no sense.
        out: JSON file to write the result to, with the scores of every fold.
        overwrite: Replace the file --out.
        quiet: Print only the file that was written, warnings and errors.
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


FLAGS = tuple(field.name for field in dataclasses.fields(Arguments))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status, see `exit_status`."""
    words = list(sys.argv[1:] if argv is None else argv)

    def action() -> None:
        _evaluate(
            one_sentence(
                "",
                lambda: tyro.cli(Arguments, args=words, prog=as_called(PROG), description=__doc__),
            )
        )

    return exit_status(action, FLAGS)


def _evaluate(arguments: Arguments) -> None:
    config = _check(arguments)

    import numpy as np

    from graphcl_hard.evaluation.checks import check_folds, check_vectors
    from graphcl_hard.evaluation.targets import known_labels
    from graphcl_hard.io.vectors import read_vectors
    from graphcl_hard.runs.display import Display
    from graphcl_hard.runs.results import evaluate_vectors

    handle_signals()
    display = Display(arguments.quiet)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        vectors, labels = read_vectors(arguments.vectors, arguments.labels, arguments.only)[:2]
    labels, known = known_labels(labels)
    if not known.any():
        raise InputError(f"{arguments.vectors} has no graph with a label; give them with --labels.")
    # Checked before unlabelled rows are left out, so that a message names a row of the file.
    checked = {name: check_vectors(name, array, len(known)) for name, array in vectors.items()}
    vectors = {name: array[known] for name, array in checked.items()}
    y = check_folds(labels, arguments.folds)
    notes = [with_flags(str(one.message), FLAGS) for one in caught if one.category is UserWarning]
    if not known.all():
        notes.append(_unlabelled(len(known), len(y)))
    for note in notes:
        display.warn(note)
    scores: dict[str, dict[str, Any]] = {}
    for probe, found in evaluate_vectors(vectors, y, config, display):
        scores[probe] = {name: scored.to_dict() for name, scored in found.items()}
    classes = int(y.max()) + 1
    if arguments.out is not None:
        result = {
            "vectors": str(arguments.vectors),
            "labels": arguments.labels,
            "graphs": len(y),
            "unlabelled": len(known) - len(y),
            "notes": notes,
            "classes": classes,
            "class_names": np.unique(labels).tolist(),
            "channels": {name: array.shape[1] for name, array in vectors.items()},
            "config": {name: getattr(arguments, name) for name in SETTINGS},
            "scores": scores,
            **environment(),
        }
        with atomic_write(arguments.out) as partial:
            partial.write_text(
                json.dumps(result, indent=2, allow_nan=False) + "\n", encoding="utf-8"
            )
    display.scores(
        f"{arguments.vectors.name}: {len(y)} graphs, {classes} classes, seed {arguments.seed}",
        scores,
    )
    seen = (
        "sign(x) log(1 + |x|) of the vectors"
        if arguments.scale == "log"
        else "the vectors themselves"
    )
    display.say(f"The input of the probes was {seen} (--scale {arguments.scale}).")
    if arguments.out is not None:
        display.say(f"written: {arguments.out}")
        if arguments.quiet:
            print(arguments.out)


def _unlabelled(graphs: int, labelled: int) -> str:
    missing = graphs - labelled
    have = "has" if missing == 1 else "have"
    return f"{missing} of {graphs} graphs {have} no label; the scores are those of the other {labelled}."


def _check(arguments: Arguments) -> Config:
    """Return the settings of a run that would be scored in the same way."""
    config = dataclasses.replace(Config(), **{name: getattr(arguments, name) for name in SETTINGS})
    config.check()
    if len(set(arguments.only)) < len(arguments.only):
        raise InputError(
            f"--only must name each array or column once, got {' '.join(arguments.only)}."
        )
    if arguments.out is not None:
        check_new_file(arguments.out, (".json",), arguments.overwrite)
    return config


if __name__ == "__main__":
    prepare_stdout()
    sys.exit(main())
