"""Fit a probe on one split of one target and score it; its parameter is chosen without the test rows."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.preprocessing import StandardScaler

from graphcl_hard.evaluation.answers import Answers, probe_errors
from graphcl_hard.evaluation.folds import NONE, inner_folds
from graphcl_hard.evaluation.probes import Probe
from graphcl_hard.evaluation.rounding import flatten_constants
from graphcl_hard.evaluation.scoring import Score
from graphcl_hard.evaluation.splitters import Split
from graphcl_hard.evaluation.targets import Target
from graphcl_hard.exceptions import InputError, short_repr

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Outcome(NamedTuple):
    """The scores of one split."""

    scores: list[float]
    chosen: float
    """The value of the probe's parameter; NaN for an estimator of the user."""
    inner_score: float
    """Mean of the first score on the inner folds; NaN for an estimator of the user, or if it is undefined there."""
    predicted: Floats | None
    """(M,) predictions for the test rows: positions of classes, or values; None for a split with an empty part."""
    answers: Answers | None
    """The answers for the test rows, if they are kept; None for a split with an empty part."""


class Nested:
    """A probe with its scores, for all splits of all targets.

    Args:
        probe: `Probe`, or an estimator of scikit-learn.
        scores: the first one chooses the parameter.
        stop: once it is set, `score` raises `InterruptedError` after the current fit.
        seed: of inner folds where the score is undefined on a validation part.
    """

    def __init__(
        self, probe: Any, scores: Sequence[Score], stop: threading.Event, seed: int
    ) -> None:
        self.probe, self.scores, self.stop, self.seed = probe, scores, stop, seed
        self.is_own = isinstance(probe, Probe)
        self.fits_own_labels = not self.is_own or any(score.needs_model for score in scores)

    def score(
        self,
        x: Floats,
        target: Target,
        split: Split,
        inner: Sequence[tuple[Ints, Ints]],
        single: npt.NDArray[np.bool_],
        keep: bool = False,
    ) -> Outcome:
        """Return the scores of one split.

        Args:
            x: (G, D) vectors.
            target: whose values of the test rows are used for scoring only.
            split: positions among the target's rows.
            inner: (fitted, held out) positions among the target's rows; not used for an estimator of the user.
            single: (D,) which columns were computed in float32.
            keep: whether to return the answers.
        """
        if not (len(split.train) and len(split.test)):
            return Outcome([np.nan] * len(self.scores), np.nan, np.nan, None, None)
        x = x[target.rows] if len(target.rows) < len(x) else x
        grid: list[float] = [np.nan]
        chosen = inner_score = np.nan
        if self.is_own:
            grid = self._grid(inner)
            chosen, inner_score = self._choose(x, target, inner, grid, single)
            if np.isnan(inner_score) and len(split.valid):  # of one class, say
                with suppress(InputError):  # of a training part that is too small
                    inner = inner_folds(target, split._replace(valid=NONE), self.seed)
                    chosen, inner_score = self._choose(x, target, inner, self._grid(inner), single)
            grid = [chosen]
        (answers,) = self._answers(x, target, split.train, split.test, grid, single)
        truth = self._labels(target, split.test)
        scores = [score.compute(truth, answers) for score in self.scores]
        predicted = _positions(target, answers)
        if not any(score.needs_model for score in self.scores):
            answers.rows = answers.rows[:, :0]  # a kernel, say, is not needed any more
        return Outcome(scores, chosen, inner_score, predicted, answers if keep else None)

    def _grid(self, inner: Sequence[tuple[Ints, Ints]]) -> list[float]:
        most = min(len(fitted) for fitted, _ in inner)  # knn cannot use more neighbours than rows
        probe = self.probe
        return [value for value in probe.grid if probe.parameter != "n_neighbors" or value <= most]

    def _choose(
        self,
        x: Floats,
        target: Target,
        inner: Sequence[tuple[Ints, Ints]],
        grid: list[float],
        single: npt.NDArray[np.bool_],
    ) -> tuple[float, float]:
        """Return the value with the best mean of the first score, the first one on ties, and this mean.

        They are the first value and NaN if the score is undefined on all held-out rows.
        """
        first = self.scores[0]
        found = np.empty((len(grid), len(inner)))
        for column, (fitted, held_out) in enumerate(inner):
            truth = self._labels(target, held_out)
            found_answers = self._answers(x, target, fitted, held_out, grid, single)
            for row, answers in enumerate(found_answers):
                found[row, column] = first.compute(truth, answers)
                if self.stop.is_set():
                    raise InterruptedError
        defined = ~np.isnan(found).all(axis=0)
        if not defined.any():
            return grid[0], np.nan
        means = np.average(found[:, defined], axis=1)  # sums as GridSearchCV does, to the last bit
        best = int(np.argmax(np.where(np.isnan(means), -np.inf, first.sign * means)))
        return float(grid[best]), float(means[best])

    def _labels(self, target: Target, rows: Ints) -> Array:
        return target.own[rows] if self.fits_own_labels else target.y[rows]

    def _answers(
        self,
        x: Floats,
        target: Target,
        fitted: Ints,
        new: Ints,
        grid: Sequence[float],
        single: npt.NDArray[np.bool_],
    ) -> Iterator[Answers]:
        """Yield the answers for new rows of the probe fitted with each value of the grid."""
        x_fit, y_fit, x_new = x[fitted], self._labels(target, fitted), x[new]
        names = target.classes
        if not self.is_own:
            own = short_repr(self.probe)
            with probe_errors(own, "fit"):
                model = clone(self.probe).fit(x_fit, y_fit)
            fitted_classes = np.unique(y_fit) if len(names) else None
            yield Answers(model, x_new, names, names, fitted=fitted_classes, own=own)
            return
        flatten_constants(x_fit, x_new, single)  # both are copies
        is_constant = target.task == "classification" and (y_fit == y_fit[0]).all()
        if is_constant:  # of which most classifiers can learn nothing
            classes = names if self.fits_own_labels else np.arange(len(names))
            for _ in grid:
                yield Answers(DummyClassifier().fit(x_fit, y_fit), x_new, classes, names)
        elif self.fits_own_labels:
            for value in grid:
                model = self.probe.pipeline(target.task, value).fit(x_fit, y_fit)
                yield Answers(model, x_new, names, names)
        else:
            yield from self._standardised(x_fit, y_fit, x_new, target, grid)

    def _standardised(
        self, x_fit: Floats, y_fit: Array, x_new: Floats, target: Target, grid: Sequence[float]
    ) -> Iterator[Answers]:
        scaler = StandardScaler().fit(x_fit)
        mean, scale = 0.0, 1.0
        if target.task == "regression":
            values = StandardScaler().fit(y_fit[:, None])
            mean, scale = float(values.mean_[0]), float(values.scale_[0])
            y_fit = (y_fit - mean) / scale
        fitter = self.probe.fitters[target.task]
        positions = np.arange(len(target.classes))
        for model, rows in fitter(scaler.transform(x_fit), y_fit, scaler.transform(x_new), grid):
            yield Answers(model, rows, positions, target.classes, mean, scale)


def _positions(target: Target, answers: Answers) -> Floats:
    """Return the predictions, of classes their positions; NaN for what is no class of the target."""
    predicted = answers.predicted()
    if answers.fits_own_labels and len(target.classes):
        places = {label: place for place, label in enumerate(target.classes.tolist())}
        predicted = np.array([places.get(label, np.nan) for label in predicted.tolist()])
    return predicted.astype(np.float64)
