"""The scores of cross-validation, with their intervals."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from graphcl_hard.evaluation.statistics import corrected_interval
from graphcl_hard.exceptions import InputError, short_repr

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Summary(NamedTuple):
    """The mean of a score, its standard deviation and its confidence interval."""

    mean: float
    """Mean over all folds of all repeats."""
    std: float | None
    """Standard deviation of the repeats' means (ddof=1), the noise of shuffling only; None with one repeat."""
    low: float
    """Lower end of the 95% confidence interval of the mean, not clipped to [0, 1]."""
    high: float
    """Upper end of this interval."""


@dataclass(frozen=True, eq=False)
class TargetScores:
    """Scores of one target on every fold, `target["accuracy"]` for one; all arrays are (repeats, folds)."""

    task: str
    """"classification" or "regression"."""
    scores: Mapping[str, Floats]
    """Name of the score -> float64; the first one chose the parameter."""
    chosen: Floats
    """float64, parameter chosen by the inner folds of the training part."""
    inner_score: Floats
    """float64, mean of the first score of the chosen parameter on these inner folds, which contain no test row."""
    train_sizes: Ints
    """int64, number of rows in each training part."""
    test_sizes: Ints
    """int64, number of rows in each test part."""
    unlabelled: int
    """Number of rows that were left out since their value is missing."""

    def __getitem__(self, score: str) -> Floats:
        return self.scores[score]

    @property
    def test_train_ratio(self) -> float:
        """n_test / n_train over all folds."""
        return float(self.test_sizes.sum() / self.train_sizes.sum())


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """Scores of one array of vectors on every fold; all arrays of scores are (repeats, folds).

    All results of one `cross_validate` call have the same split of the rows in row r, column f.
    """

    probe: str
    """Name of the probe."""
    parameter: str
    """Name of the parameter in `chosen`: "C" or "n_neighbors"."""
    seed: int
    """Seed of the shuffles."""
    targets: Mapping[str, TargetScores]
    """Name -> scores of this target; a single target without a name is "y"."""

    @property
    def scores(self) -> dict[str, Floats]:
        """Name of the score -> float64, the mean over the targets."""
        first = next(iter(self.targets.values()))
        return {
            name: np.mean([target[name] for target in self.targets.values()], axis=0)
            for name in first.scores
        }

    @property
    def accuracy(self) -> Floats:
        """float64, share of correct predictions on the test fold, in [0, 1]."""
        return self.scores["accuracy"]

    @property
    def macro_f1(self) -> Floats:
        """float64, unweighted mean of the F1 scores of the classes, in [0, 1]."""
        return self.scores["macro_f1"]

    @property
    def test_train_ratio(self) -> float:
        """n_test / n_train = 1 / (folds - 1), an argument of `paired_difference`."""
        targets = self.targets.values()
        test = sum(int(target.test_sizes.sum()) for target in targets)
        return test / sum(int(target.train_sizes.sum()) for target in targets)

    def summary(self, score: str | None = None, target: str | None = None) -> Summary:
        """Return the summary of a score with the `corrected_interval` of Nadeau & Bengio (2003).

        Args:
            score: name of the score; None: the first one, which chose the parameter.
            target: name of the target; None: the mean over the targets.

        Raises:
            InputError: there is no such score or target.
        """
        values = self._values(score, target)
        std = float(values.mean(axis=1).std(ddof=1)) if len(values) > 1 else None
        return Summary(
            float(values.mean()), std, *corrected_interval(values, self.test_train_ratio)
        )

    def _values(self, score: str | None, target: str | None) -> Floats:
        if target is not None and target not in self.targets:
            raise InputError(
                f"target must be one of {', '.join(self.targets)}, got {short_repr(target)}; choose one of these."
            )
        scores = self.scores if target is None else self.targets[target].scores
        name = next(iter(scores)) if score is None else score
        if name not in scores:
            raise InputError(
                f"score must be one of {', '.join(scores)}, got {short_repr(score)}; choose one of these."
            )
        return scores[name]

    def to_dict(self) -> dict[str, Any]:
        """Return all summaries and the scores of every fold as a dictionary for JSON, without NaN."""
        (found,) = self.targets.values()
        first, *_ = found.scores
        repeats, folds = found.chosen.shape
        return {
            "probe": self.probe,
            "parameter": self.parameter,
            "seed": self.seed,
            "repeats": repeats,
            "folds": folds,
            "summary": {score: self.summary(score)._asdict() for score in found.scores},
            **{score: values.tolist() for score, values in found.scores.items()},
            "chosen": found.chosen.tolist(),
            f"inner_{first}": found.inner_score.tolist(),
            "train_sizes": found.train_sizes.tolist(),
            "test_sizes": found.test_sizes.tolist(),
        }
