"""The records of the first study, `experiments/tu`, and the methods that the review is about."""

from functools import lru_cache
from pathlib import Path

import pandas as pd

from experiments.tu.families import SETS, study_frame
from graphcl_hard.sweeps.records import Record, read_records

RECORDS = Path(__file__).resolve().parents[2] / "tu" / "results" / "records"
SMALL = tuple(name for name in SETS if name not in ("DD", "REDDIT-BINARY"))
BATCH, EPOCHS = 128, 5
"""Graphs in a batch, and epochs of training, of the first study's main table."""
HARD, UNIFORM = "hard-beta10-tau0.1", "uniform"


@lru_cache(maxsize=1)
def old_records() -> list[Record]:
    """Return all records of the first study."""
    return read_records(RECORDS)


@lru_cache(maxsize=1)
def old_scores() -> pd.DataFrame:
    """Return the `score_frame` of the first study."""
    return study_frame(old_records())


def records_of(dataset: str, method: str) -> list[Record]:
    """Return the first study's records of a method on a data set, by seed."""
    found = [one for one in old_records() if (one["dataset"], one["method"]) == (dataset, method)]
    return sorted(found, key=lambda one: int(one["seed"]))
