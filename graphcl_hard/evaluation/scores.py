"""The scores of cross-validation, with their intervals and comparisons."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from graphcl_hard.evaluation.answers import Answers
from graphcl_hard.evaluation.resampling import resampled_scores, resamples
from graphcl_hard.evaluation.scoring import Score
from graphcl_hard.evaluation.statistics import (
    PairedDifference,
    bootstrap_difference,
    corrected_interval,
    holm,
    paired_difference,
    percentile_interval,
)
from graphcl_hard.evaluation.targets import Task
from graphcl_hard.exceptions import InputError, short_repr

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Summary(NamedTuple):
    """The mean of a score, its standard deviation and its confidence interval."""

    mean: float
    """Mean over all folds of all repeats in which the score is defined; of several targets, the mean of their means."""
    std: float | None
    """Standard deviation of the repeats' means (ddof=1), the noise of shuffling only; None with one repeat."""
    low: float | None
    """Lower end of the 95% confidence interval of the mean, not clipped to the range of the score; None if the score is
    defined in one of several folds only, or, for the mean of several targets, undefined for some of them in some
    folds: the means of these folds are those of other targets."""
    high: float | None
    """Upper end of this interval."""


class Scored(NamedTuple):
    """What is known of the test rows of a single split, for the bootstrap."""

    rows: Ints
    """(M,) int64, positions among the rows of the vectors."""
    truth: Array
    """(M,) labels as the probe was given them."""
    answers: Answers
    scores: Mapping[str, Score]


@dataclass(frozen=True, eq=False)
class TargetScores:
    """Scores of one target on every fold, `target["accuracy"]` for one; all arrays are (repeats, folds)."""

    task: Task
    """"classification" or "regression"."""
    scores: Mapping[str, Floats]
    """Name of the score -> float64, NaN where it is undefined; the first one chose the parameter."""
    chosen: Floats
    """float64, parameter chosen inside the training part, or on the validation part; NaN for an own estimator."""
    inner_score: Floats
    """float64, mean of the first score of the chosen parameter on these rows, none of which is a test row."""
    train_sizes: Ints
    """int64, number of rows in each training part."""
    test_sizes: Ints
    """int64, number of rows in each test part."""
    unlabelled: int
    """Number of rows that were left out since their value is missing."""
    predicted: Floats
    """(repeats, G) float64, the prediction for each row of the vectors by the probe that was not fitted on it: the
    position of a class among the sorted ones, or a measured value. NaN where a row is in no test part; where it is in
    several of one repeat, the last one counts."""
    checksum: int
    """Of the values and of the positions in all parts: equal for equal targets and splits."""
    test_part: Scored | None = field(default=None, repr=False)
    """The test rows of a single split."""

    def __getitem__(self, score: str) -> Floats:
        return self.scores[score]

    @property
    def test_train_ratio(self) -> float:
        """n_test / n_train over all folds."""
        return float(self.test_sizes.sum() / self.train_sizes.sum())

    def resampled(self, score: str, rows: Ints, counts: Floats) -> Floats:
        """Return the score (B,) on each resample of a single split, given how often it has each of the rows, (B, R)."""
        part = self.test_part
        if part is None:  # without rows
            return np.full(len(counts), np.nan)
        columns = np.searchsorted(rows, part.rows)
        return resampled_scores(part.scores[score], part.truth, part.answers, counts[:, columns])


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """Scores of one array of vectors on every fold; all arrays of scores are (repeats, folds).

    All results of one `cross_validate` call have the same split of the rows in row r, column f.
    """

    probe: str
    """Name of the probe."""
    parameter: str | None
    """Name of the parameter in `chosen`: "C", "alpha" or "n_neighbors"; None for an own estimator."""
    seed: int
    """Seed of the shuffles and of the bootstrap."""
    targets: Mapping[str, TargetScores]
    """Name -> scores of this target; a single target without a name is "y"."""
    _cache: dict[tuple[str, str | None, int], Floats] = field(
        default_factory=dict, init=False, repr=False
    )

    @property
    def scores(self) -> dict[str, Floats]:
        """Name of the score -> float64, the mean over the targets for which it is defined, NaN if there is none."""
        targets = list(self.targets.values())
        if len(targets) == 1:
            return dict(targets[0].scores)
        names = targets[0].scores
        return {name: _defined_mean(np.stack([one[name] for one in targets])) for name in names}

    @property
    def accuracy(self) -> Floats:
        """float64, share of correct predictions on the test fold, in [0, 1]."""
        return self._values("accuracy", None)

    @property
    def macro_f1(self) -> Floats:
        """float64, unweighted mean of the F1 scores of the classes, in [0, 1]."""
        return self._values("macro_f1", None)

    @property
    def test_train_ratio(self) -> float:
        """n_test / n_train = 1 / (folds - 1), an argument of `paired_difference`."""
        targets = self.targets.values()
        test = sum(int(target.test_sizes.sum()) for target in targets)
        return test / sum(int(target.train_sizes.sum()) for target in targets)

    def summary(self, score: str | None = None, target: str | None = None) -> Summary:
        """Return the mean of a score with its 95% interval.

        The interval is the `corrected_interval` of Nadeau & Bengio (2003); for a single split the percentile interval
        of 2,000 bootstrap resamples of the test rows, without those in which the score is undefined. The latter says
        how the score varies with the test rows, not with the training rows.

        Args:
            score: name of the score; None: the first one, which chose the parameter.
            target: name of the target; None: the mean over the targets.

        Raises:
            InputError: there is no such score or target.
        """
        name, targets = self._named(score, target)
        known = [one[name] for one in targets if not np.isnan(one[name]).all()]
        if not known:  # one target of several
            return Summary(float("nan"), None, None, None)
        mean = float(np.mean([_mean(values) for values in known]))
        repeats = [
            [_mean(row) for row in rows if not np.isnan(row).all()]
            for rows in zip(*known, strict=True)
        ]
        means = np.array([np.mean(row) for row in repeats if row])
        std = float(means.std(ddof=1)) if len(means) > 1 else None
        low = high = None
        values = _defined_mean(np.stack(known))
        defined = values[~np.isnan(values)]
        if values.size == 1:
            is_known = [not np.isnan(one[name]).all() for one in targets]
            resampled = _defined_mean(self._resampled(name, target, self.seed)[is_known])
            low, high = percentile_interval(resampled[~np.isnan(resampled)])
        elif defined.size > 1 and (len(known) == 1 or not np.isnan(known).any()):
            low, high = corrected_interval(defined, self._ratio(target))
        return Summary(mean, std, low, high)

    def compare(
        self, other: "CrossValidation", score: str | None = None, target: str | None = None
    ) -> PairedDifference:
        """Return the paired test of this result minus another one on the same folds.

        It is the corrected resampled t-test, `paired_difference`, over the folds in which the score is defined for
        both; for a single split the paired bootstrap over test rows, `bootstrap_difference`. For the mean over the
        targets, the scores are subtracted for each target, and the mean of a fold is that of the targets for which the
        score is defined for both. The sign is that of self - other also for scores such as rmse, where lower is better.

        Args:
            other: of the same call, or of one with the same probe, targets, splits and scores.
            score: name of the score; None: the first one.
            target: name of the target; None: the mean over the targets.

        Raises:
            InputError: the probes, targets or splits differ, there is no such score or target, or fewer than 2 of
                several folds have it.
        """
        found = self._paired(other, score, target)
        if found is None:
            name, targets = self._named(score, target)
            folds = targets[0][name].size
            of = "" if target is None or len(self.targets) == 1 else f" of target {target!r}"
            raise InputError(
                f"The score {name}{of} must be defined for both results in at least {min(folds, 2)} of {folds} folds "
                "to be compared; choose another score or other splits."
            )
        return found

    def compare_targets(
        self, other: "CrossValidation", score: str | None = None
    ) -> dict[str, PairedDifference]:
        """Return `compare` for each target, with p-values that are corrected for the number of targets (`holm`).

        Targets whose score is defined for both results in fewer than 2 of several folds are left out.

        Raises:
            InputError: the probes, targets or splits differ, or there is no such score.
        """
        pairs = {name: self._paired(other, score, name) for name in self.targets}
        found = {name: pair for name, pair in pairs.items() if pair is not None}
        if not found:
            return {}
        corrected = holm([pair.p for pair in found.values()])
        return {
            name: pair._replace(p=float(p))
            for (name, pair), p in zip(found.items(), corrected, strict=True)
        }

    def _paired(
        self, other: "CrossValidation", score: str | None, target: str | None
    ) -> PairedDifference | None:
        """Return the paired test; None if the score is defined for both in too few folds."""
        self._check_comparable(other)
        name, mine = self._named(score, target)
        _, theirs = other._named(name, target)
        each = np.stack([a[name] - b[name] for a, b in zip(mine, theirs, strict=True)])
        folds = _defined_mean(each)
        defined = folds[~np.isnan(folds)]
        if folds.size > 1:
            if len(defined) < 2:
                return None
            return paired_difference(defined, np.zeros_like(defined), self._ratio(target))
        resampled = self._resampled(name, target, self.seed) - other._resampled(
            name, target, self.seed
        )
        differences = _defined_mean(resampled[~np.isnan(each.ravel())])
        differences = differences[~np.isnan(differences)]
        if not len(defined) or not len(differences):
            return None
        return bootstrap_difference(float(defined[0]), differences)

    def to_dict(self) -> dict[str, Any]:
        """Return all summaries and the scores of every fold as a dictionary for JSON; None stands for NaN.

        With several targets, the scores are the means over them, and "targets" has those of each.
        """
        first = next(iter(self.targets.values()))
        repeats, folds = first.chosen.shape
        about = {
            "probe": self.probe,
            "parameter": self.parameter,
            "task": first.task,
            "seed": self.seed,
            "repeats": repeats,
            "folds": folds,
        }
        if len(self.targets) == 1:
            return about | self._details(None)
        return {
            **about,
            "summary": self._summaries(None),
            **{score: _plain(values) for score, values in self.scores.items()},
            "targets": {name: self._details(name) for name in self.targets},
        }

    def _details(self, target: str | None) -> dict[str, Any]:
        found = self.targets[next(iter(self.targets)) if target is None else target]
        first, *_ = found.scores
        choice = {"chosen": _plain(found.chosen), f"inner_{first}": _plain(found.inner_score)}
        return {
            "summary": self._summaries(target),
            **{score: _plain(values) for score, values in found.scores.items()},
            **(choice if self.parameter is not None else {}),
            "train_sizes": found.train_sizes.tolist(),
            "test_sizes": found.test_sizes.tolist(),
            "unlabelled": found.unlabelled,
        }

    def _summaries(self, target: str | None) -> dict[str, Any]:
        found = {score: self.summary(score, target)._asdict() for score in self.scores}
        return {
            score: {name: None if value != value else value for name, value in summary.items()}  # noqa: PLR0124
            for score, summary in found.items()
        }

    def _named(self, score: str | None, target: str | None) -> tuple[str, list[TargetScores]]:
        if target is not None and target not in self.targets:
            raise InputError(
                f"target must be one of {', '.join(self.targets)}, got {short_repr(target)}; choose one of these."
            )
        targets = list(self.targets.values()) if target is None else [self.targets[target]]
        scores = targets[0].scores
        name = next(iter(scores)) if score is None else score
        if name not in scores:
            raise InputError(
                f"score must be one of {', '.join(scores)}, got {short_repr(score)}; choose one of these."
            )
        return name, targets

    def _values(self, score: str | None, target: str | None) -> Floats:
        name, targets = self._named(score, target)
        return self.scores[name] if target is None else targets[0][name]

    def _ratio(self, target: str | None) -> float:
        return self.test_train_ratio if target is None else self.targets[target].test_train_ratio

    def _resampled(self, score: str, target: str | None, seed: int) -> Floats:
        """Return the score of each target, (T, B), on each resample of the test rows of a single split.

        It is computed once, since summaries and comparisons need the same resamples.
        """
        key = (score, target, seed)
        if key not in self._cache:
            _, targets = self._named(score, target)
            parts = [one.test_part.rows for one in targets if one.test_part is not None]
            rows = np.unique(np.concatenate(parts)) if parts else np.zeros(1, dtype=np.int64)
            self._cache[key] = np.concatenate(
                [
                    np.stack([one.resampled(score, rows, counts) for one in targets])
                    for counts in resamples(len(rows), seed)
                ],
                axis=1,
            )
        return self._cache[key]

    def _check_comparable(self, other: "CrossValidation") -> None:
        mine, theirs = (
            {name: target.checksum for name, target in one.targets.items()} for one in (self, other)
        )
        if mine != theirs:
            raise InputError(
                "Two results must have the same targets and splits to be compared, got others; evaluate both in one "
                "call of cross_validate."
            )
        if self.probe != other.probe:
            raise InputError(
                f"Two results must have the same probe to be compared, got {self.probe} and {other.probe}; evaluate "
                "both in one call of cross_validate."
            )


def _mean(values: Floats) -> float:
    """Return the mean of the values that are not NaN, of which there are some."""
    return float(values[~np.isnan(values)].mean())


def _defined_mean(values: Floats) -> Floats:
    """Return the mean over the first dimension of the values that are not NaN; NaN if there is none."""
    defined = ~np.isnan(values)
    counts = defined.sum(axis=0)
    sums = np.where(defined, values, 0.0).sum(axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _plain(values: Floats) -> Any:
    objects = values.astype(object)
    objects[np.isnan(values)] = None
    return objects.tolist()
