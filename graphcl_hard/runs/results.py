"""The scores in result.json and summary.json: those of each encoder, and the differences between encoders."""

import math
import statistics as plain_statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from graphcl_hard.config import Config, Probe
from graphcl_hard.data.graph_data import GraphSource
from graphcl_hard.evaluation.cross_validation import cross_validate
from graphcl_hard.evaluation.scores import CrossValidation
from graphcl_hard.evaluation.statistics import PairedDifference, t_interval
from graphcl_hard.evaluation.targets import NAME, Task
from graphcl_hard.exceptions import InputError
from graphcl_hard.runs.display import Display

ENCODERS = ("untrained", "batch_norm", "trained")
DIFFERENCES = {"difference": "untrained", "learnt": "batch_norm"}  # trained minus this encoder


class Labelled(NamedTuple):
    """The targets of a data set as `cross_validate` takes them."""

    rows: npt.NDArray[np.bool_]
    """(G,) bool, the graphs with a label or a target."""
    y: Any
    """(R,) the classes or values of these R graphs, or name -> (R,)."""
    task: Task
    """"classification" or "regression"."""


def labelled(graphs: GraphSource) -> Labelled:
    """Return the targets of a data set: its classes; or columns of 0 and 1 as classes, and others as measured values.

    Raises:
        InputError: there is no label or target, or there are columns of both kinds.
    """
    y = graphs.y.numpy()
    if y.dtype.kind != "f":
        rows = y >= 0
        if not rows.any():
            raise InputError(
                f"{graphs.name} has no classes to evaluate with; give --no-evaluate to only train."
            )
        return Labelled(rows, y[rows], "classification")
    columns = dict(zip(graphs.targets, y.T, strict=True)) if graphs.targets else {NAME: y}
    rows = ~np.all([np.isnan(column) for column in columns.values()], axis=0)
    binary = {
        name: bool(np.isin(column[~np.isnan(column)], (0, 1)).all())
        for name, column in columns.items()
    }
    if len(set(binary.values())) > 1:
        classes, measured = (
            next(n for n, is_it in binary.items() if is_it is k) for k in (True, False)
        )
        raise InputError(
            f"The targets of {graphs.name} must all be 0 and 1, or all be measured, got {classes!r} of 0 and 1 and "
            f"{measured!r} with other values; give --no-evaluate to only train, or a data set of one kind."
        )
    found = {name: column[rows] for name, column in columns.items()}
    task: Task = "classification" if next(iter(binary.values())) else "regression"
    return Labelled(rows, found if graphs.targets else found[NAME], task)


def evaluate_vectors(
    vectors: Mapping[str, npt.ArrayLike],
    y: Any,
    config: Config,
    display: Display,
    task: Task = "classification",
) -> Iterator[tuple[Probe, dict[str, CrossValidation]]]:
    """Yield each probe with its scores on all arrays of vectors (G, D), on the same folds; a bar shows the progress."""
    for probe in config.probes:
        with display.bar(f"evaluating, {probe}", None) as show, display.warnings():
            found = cross_validate(
                vectors,
                y,
                probe=probe,
                cv=config.folds,
                task=task,
                repeats=config.repeats,
                seed=config.seed,
                scale=config.scale,
                max_c=config.max_c,
                progress=lambda done, total: show(done, "", total),
            )
        yield probe, found


def predicted_classes(found: CrossValidation, y: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the predicted class of each labelled graph, (repeats, R), numbered as the classes (R,) of the data set."""
    (target,) = found.targets.values()
    return np.unique(y)[target.predicted.astype(np.int64)]


def compare(
    by_epoch: Mapping[int, CrossValidation], control: CrossValidation | None, best: int
) -> dict[str, Any]:
    """Return the scores of one probe for result.json.

    Args:
        by_epoch: epoch -> scores; epoch 0 is the untrained encoder.
        control: scores of the encoder in which only batch norm changed; None if it was not evaluated.
        best: the epoch to be called "trained".

    Returns:
        The scores of untrained, batch_norm and trained, and their paired differences, as far as they were evaluated;
        scores of other epochs under by_epoch.
    """
    others = dict(by_epoch)
    untrained, trained = others.pop(0, None), others.pop(best, None)
    encoders = dict(zip(ENCODERS, (untrained, control, trained), strict=True))
    scores: dict[str, Any] = {key: cv.to_dict() for key, cv in encoders.items() if cv is not None}
    for name, key in DIFFERENCES.items():
        other = encoders[key]
        if trained is not None and other is not None:
            scores[name] = {score: _difference(trained, other, score) for score in trained.scores}
    if others:
        scores["by_epoch"] = {str(epoch): cv.to_dict() for epoch, cv in others.items()}
    return scores


def _difference(trained: CrossValidation, other: CrossValidation, score: str) -> dict[str, Any]:
    try:
        pair = trained.compare(other, score)
    except InputError:  # undefined in all folds but one at most
        return dict.fromkeys(PairedDifference._fields)
    # JSON has no infinity: t becomes null if all differences are equal and not 0.
    return {**pair._asdict(), "t": pair.t if pair.t is not None and math.isfinite(pair.t) else None}


def summarise(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the mean, standard deviation and Student's interval over seeds of each probe's scores and differences."""
    scores: dict[str, Any] = {}
    for probe, first_scores in results[0]["scores"].items():
        rows: dict[str, Any] = {}
        for key in ENCODERS:
            if key in first_scores:
                rows[key] = {
                    score: [r["scores"][probe][key]["summary"][score]["mean"] for r in results]
                    for score in first_scores[key]["summary"]
                }
        for name, key in DIFFERENCES.items():
            if name in first_scores:
                rows[name] = {
                    score: [
                        None if a is None or b is None else a - b
                        for a, b in zip(values, rows[key][score], strict=True)
                    ]
                    for score, values in rows["trained"].items()
                }
        scores[probe] = {
            key: {score: _over_seeds(values) for score, values in row.items()}
            for key, row in rows.items()
        }
    first = results[0]
    shared = {key: first[key] for key in ("dataset", "method", "protocol", "optimistic")}
    shared["encoder"] = first.get("encoder", "gin")  # missing in runs of earlier versions
    return {**shared, "seeds": [result["seed"] for result in results], "scores": scores}


def _over_seeds(values: list[float | None]) -> dict[str, Any]:
    """Return the summary of the values that are defined."""
    defined = [value for value in values if value is not None]
    low, high = (t_interval(defined) if defined else None) or (None, None)
    std = plain_statistics.stdev(defined) if len(defined) > 1 else None
    return {
        "mean": plain_statistics.fmean(defined) if defined else None,
        "std": std,
        "low": low,
        "high": high,
        "values": values,
    }
