"""The scores in result.json and summary.json: those of each encoder, and the differences between encoders."""

import math
import statistics as plain_statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy.typing as npt

from graphcl_hard.config import Config, Probe
from graphcl_hard.evaluation.cross_validation import cross_validate
from graphcl_hard.evaluation.scores import CrossValidation
from graphcl_hard.evaluation.statistics import paired_difference, t_interval
from graphcl_hard.runs.display import Display

SCORES = ("accuracy", "macro_f1")
ENCODERS = ("untrained", "batch_norm", "trained")
DIFFERENCES = {"difference": "untrained", "learnt": "batch_norm"}  # trained minus this encoder


def evaluate_vectors(
    vectors: Mapping[str, npt.ArrayLike], y: npt.ArrayLike, config: Config, display: Display
) -> Iterator[tuple[Probe, dict[str, CrossValidation]]]:
    """Yield each probe with its scores on all arrays of vectors (G, D), on the same folds; a bar shows the progress."""
    for probe in config.probes:
        with display.bar(
            f"evaluating, {probe}", len(vectors) * config.folds * config.repeats
        ) as show:
            found = cross_validate(
                vectors,
                y,
                probe=probe,
                cv=config.folds,
                repeats=config.repeats,
                seed=config.seed,
                scale=config.scale,
                progress=lambda done, _: show(done, ""),
            )
        yield probe, found


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
            scores[name] = {score: _difference(trained, other, score) for score in SCORES}
    if others:
        scores["by_epoch"] = {str(epoch): cv.to_dict() for epoch, cv in others.items()}
    return scores


def _difference(trained: CrossValidation, other: CrossValidation, score: str) -> dict[str, Any]:
    pair = paired_difference(
        getattr(trained, score), getattr(other, score), trained.test_train_ratio
    )
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
                    s: [r["scores"][probe][key]["summary"][s]["mean"] for r in results]
                    for s in SCORES
                }
        for name, key in DIFFERENCES.items():
            if name in first_scores:
                pairs = {s: zip(rows["trained"][s], rows[key][s], strict=True) for s in SCORES}
                rows[name] = {s: [a - b for a, b in pairs[s]] for s in SCORES}
        scores[probe] = {
            key: {s: _over_seeds(values[s]) for s in SCORES} for key, values in rows.items()
        }
    first = results[0]
    shared = {key: first[key] for key in ("dataset", "method", "protocol", "optimistic")}
    shared["encoder"] = first.get("encoder", "gin")  # missing in runs of earlier versions
    return {**shared, "seeds": [result["seed"] for result in results], "scores": scores}


def _over_seeds(values: list[float]) -> dict[str, Any]:
    low, high = t_interval(values) or (None, None)
    std = plain_statistics.stdev(values) if len(values) > 1 else None
    return {
        "mean": plain_statistics.fmean(values),
        "std": std,
        "low": low,
        "high": high,
        "values": values,
    }
