"""The bootstrap over test rows: scores of rows drawn with replacement.

The probe is not fitted again: the bootstrap says how a score varies with the test rows, not with the training rows.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 6 and 13.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from graphcl_hard.evaluation.answers import Answers
from graphcl_hard.evaluation.scoring import Score
from graphcl_hard.exceptions import InputError

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
RESAMPLES = 2000
_ENTRIES = 2**20
"""So many counts are held at a time."""


def resamples(rows: int, seed: int) -> Iterator[Floats]:
    """Yield how often each of `RESAMPLES` resamples has each row, (B, rows), for some resamples at a time."""
    generator = np.random.default_rng(seed)
    many = max(1, _ENTRIES // rows)
    for start in range(0, RESAMPLES, many):
        count = min(many, RESAMPLES - start)
        drawn = generator.integers(rows, size=(count, rows)) + rows * np.arange(count)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=count * rows).reshape(count, rows)
        yield counts.astype(np.float64)


def resampled_scores(score: Score, truth: Array, answers: Answers, counts: Floats) -> Floats:
    """Return the score of each resample, (B,); NaN where it is undefined.

    Args:
        score: of the rows.
        truth: (M,) labels of the rows.
        answers: for the rows.
        counts: (B, M), how often each resample has each row.
    """
    if score.measure is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            return score.measure(truth, answers, counts)
    found = np.full(len(counts), np.nan)
    for number, row in enumerate(counts.astype(np.int64)):
        drawn = np.repeat(np.arange(len(truth)), row)
        if len(drawn):
            # Some scorers refuse rows of one class, of which they are undefined.
            with suppress(InputError):
                found[number] = score.compute(truth[drawn], answers.take(drawn))
    return found
