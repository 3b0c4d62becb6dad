"""Score saved vectors of graphs by how well probes predict labels, measured values or several targets from them.

By default the probes, folds and intervals are those of graphcl_hard.run: nested, stratified, repeated cross-validation.
All arrays of vectors in a file are scored on the same folds. With the settings of a run, its vectors have the scores of
the run. Labels that are numbers of which one is not whole are measured values, and the task is regression.

Examples:
  python -m graphcl_hard.evaluate vectors.npz      (of graphcl_hard.embed)
  python -m graphcl_hard.evaluate runs/mine/embeddings.npz --only untrained trained --compare trained untrained
  python -m graphcl_hard.evaluate mine.csv --labels target --scale linear
  python -m graphcl_hard.evaluate mine.npy --labels labels.txt
  python -m graphcl_hard.evaluate mine.parquet --labels solubility.csv:logS --probes ridge svm --scoring rmse r2
  python -m graphcl_hard.evaluate mine.parquet --only 'emb_*' --labels tox21.csv:NR-AR tox21.csv:SR-p53
  python -m graphcl_hard.evaluate vectors.npz --split splits.csv      (columns id and split: train, valid, test)
  python -m graphcl_hard.evaluate vectors.npz --scaffold molecules.csv:smiles
"""

if __name__ == "__main__":
    from graphcl_hard.runs.early_signals import end_at_once

    end_at_once()

import dataclasses
import importlib
import json
import math
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from graphcl_hard.config import Config, Scale, Scope, names_in
from graphcl_hard.exceptions import InputError, first_line
from graphcl_hard.io.atomic_write import atomic_write
from graphcl_hard.runs.cli import (
    as_called,
    check_new_file,
    check_unused,
    exit_status,
    handle_signals,
    one_sentence,
    prepare_stdout,
)
from graphcl_hard.runs.environment import environment
from graphcl_hard.runs.flags import with_flags

if TYPE_CHECKING:
    from graphcl_hard.evaluation.scores import CrossValidation
    from graphcl_hard.evaluation.statistics import PairedDifference
    from graphcl_hard.evaluation.targets import Target
    from graphcl_hard.io.vectors import VectorFile
    from graphcl_hard.runs.display import Display
    from graphcl_hard.runs.score_table import Results
    from graphcl_hard.runs.splits import Protocol

    Compared = tuple[Mapping[str, PairedDifference], Mapping[str, Mapping[str, PairedDifference]]]
    """Score -> difference of the means over the targets, and score -> target -> difference."""

PROG = "python -m graphcl_hard.evaluate"
SETTINGS = names_in(Scope.EVALUATION)
"""The settings of a run that say how it is scored; they have the same defaults and ranges here."""


@dataclass(frozen=True)
class Arguments:
    """The arguments of the command.

    Attributes:
        vectors: File of vectors with one row per graph: .npz (all two-dimensional arrays are scored), .npy, .csv or
            .tsv with a header, or .parquet (all columns except id, the labels and y are vectors). Columns of row
            numbers are left out, with a warning.
        labels: The labels, or several targets: arrays or columns, patterns of their names, a file of labels (.npz,
            .npy, .csv, .tsv, .parquet, or .txt with one label per line), or FILE:COLUMN. The default is y, or all
            columns y.NAME, or the only one-dimensional array of an .npz file without y. Graphs without a label (an
            empty cell, NaN, NA, null) are not scored; of several targets each has the graphs that have it.
        only: Arrays or columns to use as vectors, or patterns such as 'emb_*'; the default is all but row numbers.
        ignore: Arrays or columns, or patterns of them, that are not vectors.
        task: classification or regression; the default is what the file of vectors says, as files of measured targets
            by graphcl_hard.run and graphcl_hard.embed do, and else regression where a label is not whole.
        scoring: Scores; the first one chooses the probe's parameter. For classes: accuracy, macro_f1,
            balanced_accuracy, roc_auc, average_precision, mcc; for measured values: r2, rmse, mae, spearman; and the
            names of scikit-learn. The default is accuracy and macro_f1; of several targets of two classes roc_auc and
            average_precision; of measured values all four. Of two classes, the positive one is the second in sorted
            order.
        probes: Models that score the vectors: svm (RBF kernel), linear-svm, logistic, ridge (measured values), knn;
            or an estimator of scikit-learn, as sklearn.ensemble:RandomForestClassifier, which is used as it is.
        folds: Number of folds of the cross-validation, which is stratified for classes.
        repeats: Number of times that the cross-validation is repeated with other shuffles.
        seed: Seed of the shuffles, and of the bootstrap of a single split.
        scale: Input of the probes: the vectors, or sign(x) log(1 + |x|) of them. Use linear for vectors that
            graphcl_hard.embed --scale log wrote, or where a log scale makes no sense.
        max_c: Largest C of the SVMs and of logistic; the grid holds the powers of ten from 1e-3 to it.
        split: Given splits instead of folds: a column of the file with train, valid or test in each row; a file with
            the columns id and split, or FILE:COLUMN, matched by id; or a folder of OGB, or split/NAME of it. On the
            valid part the parameter is chosen.
        scaffold: Split molecules by scaffolds: the column of their SMILES, or FILE:COLUMN, matched by id. 80% are for
            training, 10% for validation and 10%, with the rarest scaffolds, for the test.
        scaffold_folds: Number of folds by --scaffold instead of one split.
        compare: Two arrays of the file, first minus second: paired differences with their tests. The p-values of
            several targets are corrected by Holm's method.
        out: JSON file to write the result to, with the scores of every fold.
        overwrite: Replace the file --out.
        quiet: Print only the file that was written, warnings and errors.
    """

    vectors: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="VECTORS")]
    labels: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    task: Literal["classification", "regression"] | None = None
    scoring: tuple[str, ...] = ()
    probes: tuple[str, ...] = Config.probes
    folds: int = Config.folds
    repeats: int = Config.repeats
    seed: int = Config.seed
    scale: Scale = Config.scale
    max_c: float = Config.max_c
    split: tuple[str, ...] = ()
    scaffold: str | None = None
    scaffold_folds: int | None = None
    compare: tuple[str, str] | None = None
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
    _check(arguments)

    from graphcl_hard.runs.display import Display

    handle_signals()
    display = Display(arguments.quiet)
    notes: list[str] = []
    with _noted(notes, display):
        file, targets, protocol = _read(arguments)
    with _noted(notes, display):
        results = _score(arguments, file, protocol, display)
        compared = _compare(arguments, results)
    if arguments.out is not None:
        record = _record(arguments, file, targets, results, compared)
        with atomic_write(arguments.out) as partial:
            text = json.dumps(
                {**record, "notes": notes, **environment()}, indent=2, allow_nan=False
            )
            partial.write_text(text + "\n", encoding="utf-8")
    _show(arguments, file, targets, protocol, results, compared, display)
    if arguments.out is not None:
        display.say(f"written: {arguments.out}")
        if arguments.quiet:
            print(arguments.out)


def _check(arguments: Arguments) -> None:
    """Raise `InputError` for settings that are wrong whatever the vectors are."""
    own = {name: getattr(arguments, name) for name in SETTINGS if name != "probes"}
    dataclasses.replace(Config(), **own).check()
    for name in ("probes", "scoring", "only", "ignore", "labels", "split"):
        given = getattr(arguments, name)
        if len(set(given)) < len(given) or (name == "probes" and not given):
            raise InputError(f"`{name}` must name each once, got {' '.join(given)!r}; correct it.")
    if arguments.split and arguments.scaffold is not None:
        raise InputError("`split` and `scaffold` both split the graphs, got both; leave one out.")
    if arguments.scaffold_folds is not None:
        if arguments.scaffold is None:
            raise InputError(
                "`scaffold_folds` needs the SMILES; name their column with `scaffold`."
            )
        if arguments.scaffold_folds < 2:
            raise InputError(
                f"`scaffold_folds` must be at least 2, got {arguments.scaffold_folds}; 5 is usual."
            )
    for name in ("split", "scaffold"):
        if getattr(arguments, name):
            check_unused(arguments, ["folds", "repeats"], f"with `{name}`, which splits the graphs")
    if arguments.out is not None:
        check_new_file(arguments.out, (".json",), arguments.overwrite)


@contextmanager
def _noted(notes: list[str], display: "Display") -> Iterator[None]:
    """Show the warnings for users that the block causes, unless it fails, and add them to the notes."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for one in caught:
        text = with_flags(str(one.message), FLAGS)
        if issubclass(one.category, UserWarning) and text not in notes:
            notes.append(text)
            display.warn(text)


def _read(arguments: Arguments) -> "tuple[VectorFile, list[Target], Protocol]":
    """Return the vectors, the targets and the splits, after checking that they fit."""
    from graphcl_hard.evaluation.checks import check_target_folds, check_vectors
    from graphcl_hard.evaluation.probes import check_estimator_task, find_probe
    from graphcl_hard.evaluation.targets import read_target, target_columns
    from graphcl_hard.io.columns import nearest
    from graphcl_hard.io.text_tables import is_missing_value
    from graphcl_hard.io.vectors import read_vectors
    from graphcl_hard.runs.splits import read_protocol

    beside = [*arguments.split, *([arguments.scaffold] if arguments.scaffold else [])]
    path = arguments.vectors
    file = read_vectors(path, arguments.labels, arguments.only, arguments.ignore, beside)
    columns = target_columns(file.labels)
    rows = len(next(iter(columns.values())))
    for name, array in file.vectors.items():  # first, so that a message names a row of the file
        check_vectors(name, array, rows)
    if all(is_missing_value(one) for column in columns.values() for one in column.tolist()):
        named = f" in {' '.join(arguments.labels)}" if arguments.labels else ""
        raise InputError(f"{path} has no graph with a label{named}; name others with --labels.")
    targets = [
        read_target(name, column, arguments.task or file.task) for name, column in columns.items()
    ]
    for probe in arguments.probes:
        if ":" in probe:
            check_estimator_task(_estimator(probe, arguments.seed), targets[0].task)
        else:
            find_probe(probe, targets[0].task)
    for name in arguments.compare or ():
        if name not in file.vectors:
            raise InputError(
                f"`compare` must name two arrays of {path}, got {name!r}; {nearest(name, file.vectors)}"
            )
    protocol = read_protocol(
        file, arguments.folds, arguments.split, arguments.scaffold, arguments.scaffold_folds
    )
    if isinstance(protocol.cv, int):
        for target in targets:
            check_target_folds(target, protocol.cv, "folds")
    missing = rows - len(targets[0].rows)
    if len(targets) == 1 and missing:
        have = "has" if missing == 1 else "have"
        warnings.warn(
            f"{missing} of {rows} graphs {have} no label; the scores are those of the other {rows - missing}.",
            stacklevel=2,
        )
    if protocol.note is not None:
        warnings.warn(protocol.note, stacklevel=2)
    return file, targets, protocol


def _score(
    arguments: Arguments, file: "VectorFile", protocol: "Protocol", display: "Display"
) -> "Results":
    """Return the scores of each probe on each array of vectors."""
    from graphcl_hard.evaluation.cross_validation import cross_validate

    results: dict[str, Mapping[str, CrossValidation]] = {}
    for name in arguments.probes:
        probe = _estimator(name, arguments.seed) if ":" in name else name
        with display.bar(f"evaluating, {name}", None) as show:
            results[name] = cross_validate(
                file.vectors,
                file.labels,
                probe=probe,
                scoring=list(arguments.scoring) or None,
                cv=protocol.cv,
                groups=protocol.groups,
                task=arguments.task or file.task,
                repeats=arguments.repeats,
                seed=arguments.seed,
                scale=arguments.scale,
                max_c=arguments.max_c,
                progress=lambda done, total, show=show: show(done, "", total),  # type: ignore[misc]
            )
    return results


def _estimator(path: str, seed: int) -> Any:
    """Return an estimator of the class that an import path names, with the seed if it draws random numbers."""
    module, _, name = path.partition(":")
    try:
        estimator = getattr(importlib.import_module(module), name)()
        parameters = estimator.get_params()
    except (AttributeError, ImportError, TypeError, ValueError) as error:
        raise InputError(
            f"`probes` has {path!r}, which must be MODULE:CLASS of a scikit-learn estimator without required "
            f"arguments: {first_line(error).rstrip('.')}; correct it."
        ) from error
    return estimator.set_params(random_state=seed) if "random_state" in parameters else estimator


def _compare(arguments: Arguments, results: "Results") -> "dict[str, Compared]":
    """Return, for each probe, the paired differences of the means and of each target."""
    if arguments.compare is None:
        return {}
    compared: dict[str, Compared] = {}
    for probe, by_name in results.items():
        first, second = (by_name[name] for name in arguments.compare)
        means: dict[str, PairedDifference] = {}
        each: dict[str, Mapping[str, PairedDifference]] = {}
        for score in first.scores:
            try:
                means[score] = first.compare(second, score)
            except InputError as error:  # a score is undefined in too many folds
                warnings.warn(f"{probe} is not compared: {error}", stacklevel=2)
                continue
            each[score] = first.compare_targets(second, score)
            left = [name for name in first.targets if name not in each[score]]
            if left:
                warnings.warn(
                    f"{score} of {probe} is not compared for {len(left)} targets, {', '.join(left[:10])}, since it is "
                    "undefined in too many folds.",
                    stacklevel=2,
                )
        if means:
            compared[probe] = (means, each)
    return compared


def _record(
    arguments: Arguments,
    file: "VectorFile",
    targets: "list[Target]",
    results: "Results",
    compared: "dict[str, Compared]",
) -> dict[str, Any]:
    """Return the result for JSON."""
    rows, one = len(next(iter(file.vectors.values()))), targets[0]
    known = len(one.rows) if len(targets) == 1 else rows
    record: dict[str, Any] = {
        "vectors": str(arguments.vectors),
        "labels": list(arguments.labels),
        "task": one.task,
        "graphs": known,
        "unlabelled": rows - known,
    }
    if len(targets) > 1:
        record["targets"] = {
            target.name: {"graphs": len(target.rows), **_positive(target)} for target in targets
        }
    elif one.task == "classification":
        record |= {
            "classes": len(one.classes),
            "class_names": one.classes.tolist(),
            **_positive(one),
        }
    record |= {
        "channels": {name: array.shape[1] for name, array in file.vectors.items()},
        "config": {name: getattr(arguments, name) for name in SETTINGS},
        "split": list(arguments.split),
        "scaffold": arguments.scaffold,
        "scaffold_folds": arguments.scaffold_folds,
        "scores": {
            probe: {name: found.to_dict() for name, found in by_name.items()}
            for probe, by_name in results.items()
        },
    }
    if compared:
        record["difference"] = {
            "of": list(arguments.compare or ()),
            **{
                probe: {
                    score: {
                        **_plain(pair),
                        "targets": {name: _plain(own) for name, own in each[score].items()},
                    }
                    for score, pair in means.items()
                }
                for probe, (means, each) in compared.items()
            },
        }
    return record


def _positive(target: "Target") -> dict[str, Any]:
    """Return the positive one of two classes, for scores such as roc_auc."""
    return {"positive_class": target.classes[1:].tolist()[0]} if len(target.classes) == 2 else {}


def _plain(pair: "PairedDifference") -> dict[str, Any]:
    # JSON has no infinity: t becomes null if all differences are equal and not 0.
    finite = pair.t is not None and math.isfinite(pair.t)
    return {**pair._asdict(), "t": pair.t if finite else None}


def _show(
    arguments: Arguments,
    file: "VectorFile",
    targets: "list[Target]",
    protocol: "Protocol",
    results: "Results",
    compared: "dict[str, Compared]",
    display: "Display",
) -> None:
    from graphcl_hard.runs.display import PROBE_NAMES, protocol_text
    from graphcl_hard.runs.score_table import comparison_table, score_table

    rows, one = len(next(iter(file.vectors.values()))), targets[0]
    known = len(one.rows) if len(targets) == 1 else rows
    what = f"{len(one.classes)} classes" if one.task == "classification" else "measured values"
    what = what if len(targets) == 1 else f"{len(targets)} targets"
    widths = sorted({array.shape[1] for array in file.vectors.values()})
    columns = " to ".join(map(str, dict.fromkeys((widths[0], widths[-1]))))
    columns += " column" if widths[-1] == 1 else " columns"
    title = f"{arguments.vectors.name}: {known} graphs, {what}, seed {arguments.seed}, {columns}"
    display.table(score_table(title, results, rows, PROBE_NAMES))
    found = next(iter(next(iter(results.values())).values()))
    shown_positive = {str(positive) for one in targets for positive in _positive(one).values()}
    if shown_positive and {"roc_auc", "average_precision"} & set(found.scores):
        display.say(
            f"The positive class is the second in sorted order: {', '.join(sorted(shown_positive))}."
        )
    first_score = next(iter(found.scores))
    if compared:
        first, second = arguments.compare or ("", "")
        shown = {
            probe: (means, each.get(first_score, {})) for probe, (means, each) in compared.items()
        }
        title = f"{first} minus {second}, paired"
        several = len(targets) > 1
        display.table(comparison_table(title, shown, first_score, PROBE_NAMES, several=several))
        if len(targets) > 1:
            display.say("The p-values of the targets are corrected by Holm's method.")
    folds = {"repeats": arguments.repeats, "folds": arguments.folds}
    with_std = len(targets) == 1
    display.say(protocol.text or protocol_text(folds, "[95% intervals]", with_std))
    if any(":" in probe for probe in arguments.probes):
        display.say(
            "Estimators that are named by MODULE:CLASS are used as they are, without a choice of parameters."
        )
    seen = "sign(x) log(1 + |x|) of the vectors"
    seen = seen if arguments.scale == "log" else "the vectors themselves"
    display.say(f"The input of the probes was {seen} (--scale {arguments.scale}).")


if __name__ == "__main__":
    prepare_stdout()
    sys.exit(main())
