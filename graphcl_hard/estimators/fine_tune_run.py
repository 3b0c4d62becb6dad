"""One fine-tuning with a test part: its split, scores beside a baseline, predictions and folder."""

import csv
import io
import math
import statistics
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.model_selection import train_test_split

from graphcl_hard.data.graph_data import GraphSource
from graphcl_hard.estimators.classifier import HardInfoGraphClassifier
from graphcl_hard.estimators.regressor import HardInfoGraphRegressor
from graphcl_hard.estimators.supervised import SupervisedEstimator
from graphcl_hard.estimators.targets import Targets, class_targets, measured_targets
from graphcl_hard.evaluation.answers import Answers
from graphcl_hard.evaluation.resampling import resampled_scores, resamples
from graphcl_hard.evaluation.scoring import OWN, Score
from graphcl_hard.evaluation.splitters import PARTS, Split, named_split, read_ogb_split
from graphcl_hard.evaluation.statistics import corrected_interval, percentile_interval
from graphcl_hard.exceptions import InputError, StopTraining, first_line
from graphcl_hard.io import file_names
from graphcl_hard.io.columns import aligned, read_column
from graphcl_hard.io.paths import user_path
from graphcl_hard.runs.cli import signals_wait
from graphcl_hard.runs.environment import environment
from graphcl_hard.runs.experiment import describe
from graphcl_hard.runs.folder import RunFolder
from graphcl_hard.training.supervised import FineTuneEpoch

Array = npt.NDArray[Any]
MOST_RESAMPLED = 200_000


@dataclass(frozen=True)
class Problem:
    """Graphs with the targets that are learnt.

    Attributes:
        graphs: the data set.
        y: (G,) or (G, T), the targets as the estimators take them.
        targets: the same, checked.
        is_regression: whether they are measured values.
    """

    graphs: GraphSource
    y: Array
    targets: Targets
    is_regression: bool

    def of(self, rows: Array) -> Any:
        """Return the targets of some graphs for an estimator, with their names."""
        names = self.targets.names
        if not names:
            return self.y[rows]
        return {name: self.y[rows, column] for column, name in enumerate(names)}

    @property
    def columns(self) -> list[tuple[str, npt.NDArray[np.float64]]]:
        """The name and the values, (G,) float64, NaN where missing, of each target; classes as positions."""
        y = self.targets.y
        if self.targets.classes is not None:
            return [("y", y.double().where(y >= 0, math.nan).numpy())]
        names = self.targets.names or tuple(map(str, range(y.shape[1])))
        if self.targets.single:
            names = ("y",)
        return list(zip(names, y.numpy().T, strict=True))


def read_problem(graphs: GraphSource, names: tuple[str, ...], task: str) -> Problem:
    """Return the graphs with their own labels or targets.

    Args:
        graphs: the data set.
        names: the targets to take; empty: all.
        task: "classification", "regression", or "auto": classification for classes and for targets of 0 and 1.

    Raises:
        InputError: there are no targets, or none with one of the names, or they are not of the task.
    """
    y = graphs.labels
    if y is None:
        raise InputError(f"{graphs.name} has no labels or targets; give a data set that has them.")
    held = graphs.targets
    unknown = [name for name in names if name not in held]
    if unknown:
        raise InputError(
            f"`targets` must be among {', '.join(held) or 'none, as there is one without a name'}, got {unknown[0]}; "
            "correct it."
        )
    if len(set(names)) < len(names):
        raise InputError(
            f"`targets` must be different, got {', '.join(names[:10])}; give each of them once."
        )
    if names:
        y, held = y[:, [held.index(name) for name in names]], names
    written = ("id", "split", *held, *(f"{name}_predicted" for name in held))
    twice = [name for name in held if written.count(name) > 1]
    if twice:
        raise InputError(
            f"Targets must not be called like other columns of {file_names.PREDICTIONS}, got {twice[0]!r}; rename it, "
            "or leave it out of `targets`."
        )
    measured = y.dtype.kind == "f" and not graphs.classes
    is_binary = measured and bool(np.isin(y[~np.isnan(y)], (0, 1)).all())
    is_regression = task == "regression" or (task == "auto" and measured and not is_binary)
    found = measured_targets(y, held) if is_regression else class_targets(y, held)
    return Problem(graphs, y, found, is_regression)


def draw_split(problem: Problem, test_fraction: float, seed: int) -> Split:
    """Return a random split without a valid part, stratified for classes; graphs without a target are in no part.

    Raises:
        InputError: a class or a part would have too few graphs.
    """
    known = np.flatnonzero(problem.targets.known.numpy())
    classes = problem.targets.classes
    stratify = None if classes is None else problem.targets.y.numpy()[known]
    try:
        train, test = train_test_split(
            known, test_size=test_fraction, stratify=stratify, random_state=seed
        )
    except ValueError as error:
        raise InputError(
            f"The {len(known)} graphs with a target cannot be split with `test_fraction={test_fraction}`: "
            f"{first_line(error).rstrip('.')}; change it, or give `split`."
        ) from error
    return Split(np.sort(train), np.empty(0, dtype=np.int64), np.sort(test))


def read_split(text: str, ids: Array) -> Split:
    """Return a given split.

    Args:
        text: a folder of OGB, or a file with the columns id and split, or FILE:COLUMN.
        ids: (G,) the ids of the graphs, by which the file names them. Graphs that it does not name are in no part.

    Raises:
        InputError: the file cannot be read or is of another data set, or has no training or test part.
    """
    path = user_path(text, "`split`")
    if path.is_dir():
        split = read_ogb_split(path)
        if max(int(part.max(initial=-1)) for part in split) >= len(ids):
            raise InputError(
                f"{path} is of another data set, as it has more than {len(ids)} graphs; correct `split`."
            )
        return split
    source, values, named = read_column(text, ["split"], "`split`")
    return named_split(aligned(source, values, named, ids, len(ids)).tolist(), str(source))


def run_seed(
    problem: Problem,
    split: Split,
    model: SupervisedEstimator,
    folder: RunFolder,
    known: Mapping[str, Any],
    show: Callable[[FineTuneEpoch], object],
) -> dict[str, Any]:
    """Fine-tune a model on a split, score it, write its folder, and return the content of result.json.

    A signal ends the training after the present epoch; the best epoch so far is scored and kept, and the signal raised.

    Args:
        problem: the graphs and their targets.
        split: the parts; without a valid part the model takes its own share of the training part.
        model: the estimator with its settings.
        folder: the folder, locked.
        known: more content of result.json.
        show: function that is called after each epoch.
    """
    graphs = problem.graphs
    train, valid, test = split
    result: dict[str, Any] = {"status": "running", **known}
    folder.write_json(file_names.RESULT, result)

    with signals_wait(lambda: False) as pending:

        def on_epoch(epoch: FineTuneEpoch) -> None:
            row = {
                name: "" if isinstance(value, float) and math.isnan(value) else value
                for name, value in epoch._asdict().items()
            }
            folder.add_rows(file_names.METRICS, [row])
            show(epoch)
            if pending() is not None:
                raise StopTraining

        model.set_params(on_epoch=on_epoch)
        validation = (graphs[valid], problem.of(valid)) if len(valid) else None
        try:
            model.fit(graphs[train], problem.of(train), validation=validation)
            model.set_params(on_epoch=None)
            if not len(valid):
                chosen = model.validation_rows_
                train, valid = np.delete(train, chosen), train[chosen]
            split = Split(train, valid, test)
            model.save_pretrained(folder.path)
            outputs = model_outputs(model, problem)
            scores = {
                "test": score_part(problem, test, *outputs, seed=known["seed"]),
                "baseline": score_part(problem, test, *baseline_outputs(problem, train)),
                **({"valid": score_part(problem, valid, *outputs)} if len(valid) else {}),
            }
            folder.write_text(file_names.PREDICTIONS, predictions_csv(problem, split, *outputs))
        except BaseException as error:
            failed = {"status": "failed", "error": first_line(error)}
            folder.write_json(file_names.RESULT, result | failed)
            raise
        result |= {
            "status": "finished" if pending() is None else "interrupted",
            "dataset": describe(graphs, model.features_),
            "encoder": model.encoder_.arguments,
            "epoch": model.best_epoch_,
            "epochs_run": len(model.history_),
            "parts": {part: len(rows) for part, rows in zip(PARTS, split, strict=True)},
            "protocol": protocol(len(model.history_), len(valid)),
            "scores": scores,
            "device": str(next(model.encoder_.parameters()).device),
            "threads": torch.get_num_threads(),
            **environment(),
        }
        folder.write_json(file_names.RESULT, result)
        folder.sync()
    return result


def protocol(epochs: int, valid: int) -> str:
    """Return how the epoch was chosen, for numbers of epochs and of graphs in the validation part."""
    chosen = "The last epoch was kept, since there was no validation part."
    if valid:
        chosen = "The epoch was chosen by the loss on the validation part."
    if not epochs:
        chosen = "Nothing was trained."
    return f"{chosen} The test part was scored once, after that."


def model_outputs(model: SupervisedEstimator, problem: Problem) -> tuple[Array, Array | None]:
    """Return the predictions (G, T), classes as positions, and the probabilities (G, C) or (G, T), if there are any.

    Positions and columns are those of the problem's classes, also where the training part has only some of them.
    """
    graphs, classes = problem.graphs, problem.targets.classes
    if isinstance(model, HardInfoGraphRegressor):
        return model.predict(graphs).reshape(graphs.num_graphs, -1), None
    assert isinstance(model, HardInfoGraphClassifier)
    shares = model.predict_proba(graphs)
    if classes is None:
        return (shares > 0.5).astype(float), shares
    places = np.searchsorted(classes, model.classes_)
    return places[shares.argmax(axis=1)][:, None], _scattered(shares, places, len(classes))


def _scattered(shares: Array, places: Array, classes: int) -> Array:
    """Return shares of all classes, (G, C), from those of the classes at some places; the others have 0."""
    found = np.zeros((len(shares), classes))
    found[:, places] = shares
    return found


def baseline_outputs(problem: Problem, train: Array) -> tuple[Array, Array | None]:
    """Return the outputs of scikit-learn's dummy models: the mean or the shares of the classes in the training part."""
    nothing = np.zeros((problem.graphs.num_graphs, 1))
    predicted, shares = [], []
    for _, y in problem.columns:
        rows = train[~np.isnan(y[train])]
        if problem.targets.classes is not None:
            dummy = DummyClassifier(strategy="prior").fit(nothing[rows], y[rows])
            shares_of = dummy.predict_proba(nothing)
            every = _scattered(shares_of, dummy.classes_.astype(int), len(problem.targets.classes))
            return dummy.predict(nothing)[:, None], every
        dummy = DummyRegressor().fit(nothing[rows], y[rows]) if len(rows) else None
        predicted.append(nothing[:, 0] if dummy is None else dummy.predict(nothing))
        shares.append(predicted[-1])  # of 0 and 1 the mean is the share of 1
    table = np.stack(predicted, axis=1)
    return (table, None) if problem.is_regression else ((table > 0.5).astype(float), table)


class _Given:
    """A model that answers with what another one has said of all graphs, for rows given by position."""

    def __init__(self, predicted: Array, shares: Array | None, classes: int) -> None:
        self.classes_ = np.arange(classes)
        self._predicted, self._shares = predicted, shares
        if shares is not None:
            self.predict_proba = shares.__getitem__

    def predict(self, rows: Array) -> Array:
        return self._predicted[rows]


def _answers(
    problem: Problem, target: int, rows: Array, predicted: Array, shares: Array | None
) -> Answers:
    """Return the answers of the model for some rows of a target."""
    if shares is not None and problem.targets.classes is None:
        shares = np.stack([1 - shares[:, target], shares[:, target]], axis=1)
    classes = 0 if shares is None else shares.shape[1]
    model = _Given(predicted[:, target], shares, classes)
    return Answers(model, rows, model.classes_, model.classes_)


def score_part(
    problem: Problem,
    rows: Array,
    predicted: Array,
    shares: Array | None,
    seed: int | None = None,
) -> dict[str, Any]:
    """Return the scores of predictions on the known entries of a part, by name, and those of each of several targets.

    A score is "mean", its mean over targets, and with a `seed` "low" and "high", the 95% interval of bootstrap
    resamples of the graphs. A score that is undefined (the area under the curve of one class) is None, and left out of
    the mean. There is no interval for more than 200,000 graphs and targets.
    """
    scores = OWN["regression" if problem.is_regression else "classification"]
    columns: list[Array] = []
    each: dict[str, tuple[Array, Answers]] = {}
    for target, (name, y) in enumerate(problem.columns):
        column = np.flatnonzero(~np.isnan(y[rows]))
        if len(column):
            known = rows[column]
            truth = y[known] if problem.is_regression else y[known].astype(np.int64)
            each[name] = truth, _answers(problem, target, known, predicted, shares)
            columns.append(column)
    table = {
        name: {score.name: score.compute(*pair) for score in scores.values()}
        for name, pair in each.items()
    }
    content: dict[str, Any] = {
        score: {
            "mean": _mean([found[score] for found in table.values()]),
            "low": None,
            "high": None,
        }
        for score in scores
    }
    if seed is not None and len(rows) * len(each) <= MOST_RESAMPLED:
        for score in scores.values():
            low, high = _interval(score, list(each.values()), columns, len(rows), seed)
            content[score.name] |= {"low": low, "high": high}
    if problem.targets.single:
        return content
    targets = {
        name: {score: None if math.isnan(value) else value for score, value in found.items()}
        for name, found in table.items()
    }
    return {**content, "targets": targets}


def _interval(
    score: Score, each: list[tuple[Array, Answers]], columns: list[Array], rows: int, seed: int
) -> tuple[float | None, float | None]:
    """Return the 95% bootstrap interval of the mean of a score over targets."""
    means = []
    for counts in resamples(rows, seed):
        values = [
            resampled_scores(score, *pair, counts[:, column])
            for pair, column in zip(each, columns, strict=True)
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # where all are undefined
            means.append(np.nanmean(values, axis=0))
    found = np.concatenate(means)
    defined = found[~np.isnan(found)]
    return percentile_interval(defined) if len(defined) else (None, None)


def _mean(values: list[float]) -> float | None:
    defined = [value for value in values if not math.isnan(value)]
    return statistics.fmean(defined) if defined else None


def predictions_csv(problem: Problem, split: Split, predicted: Array, shares: Array | None) -> str:
    """Return a table of all graphs: id, split, and of each target its value and what the model predicts."""
    part = np.full(problem.graphs.num_graphs, "", dtype=object)
    for name, rows in zip(PARTS, split, strict=True):
        part[rows] = name
    columns: dict[str, list[Any]] = {"id": problem.graphs.ids.tolist(), "split": part.tolist()}
    classes = problem.targets.classes
    for target, (name, y) in enumerate(problem.columns):
        if classes is None:
            values = y.astype(object)
            columns[name] = np.where(np.isnan(y), "", values).tolist()
            best = predicted if shares is None else shares
            columns[f"{name}_predicted"] = best[:, target].tolist()
            continue
        named = [*classes.tolist(), ""]
        columns[name] = [named[place] for place in problem.targets.y.tolist()]
        columns[f"{name}_predicted"] = [named[int(place)] for place in predicted[:, target]]
        assert shares is not None
        for place, one in enumerate(classes.tolist()):
            columns[f"p_{one}"] = shares[:, place].tolist()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue()


def summarise(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the mean, standard deviation and interval over seeds of the scores on the test part.

    For one seed the interval is that of the bootstrap. For several it is the `corrected_interval` of drawn splits,
    whose training parts overlap, with all graphs that are not in the test part as training part. A given split has
    none: its test part is always the same, and other weights say nothing of other graphs.
    """
    scores: dict[str, Any] = {}
    parts = results[0]["parts"]
    ratio = parts["test"] / (parts["train"] + parts["valid"])
    is_drawn = results[0]["config"]["split"] is None
    for part in ("test", "baseline"):
        for score, first in results[0]["scores"][part].items():
            if score == "targets":
                continue
            values = [result["scores"][part][score]["mean"] for result in results]
            if None in values:
                continue
            row = {**first, "std": None}
            if len(values) > 1:
                low, high = corrected_interval(values, ratio) if is_drawn else (None, None)
                std = statistics.stdev(values)
                row = {"mean": statistics.fmean(values), "std": std, "low": low, "high": high}
            scores.setdefault(part, {})[score] = {**row, "values": values}
    first = results[0]
    return {
        "dataset": first["dataset"],
        "seeds": [result["seed"] for result in results],
        "scores": scores,
    }
