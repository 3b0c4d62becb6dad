"""Rows whose encoder is trained on the labels, with a small network as head: fine-tuned, or from scratch.

The training stops early, on molecules that are no part of the score:

- Validation: the encoder is trained on the training part without a random tenth, which chooses the epoch, and scored on
  the validation part.
- Test: it is trained on the training part, the validation part chooses the epoch, and the test part is scored.

Nothing is tuned. The settings are in the records; `fine-tuned` trains only the head for 5 epochs before both, and the
encoder at a tenth of the head's learning rate (Kumar et al., "Fine-tuning can distort pretrained features and
underperform out-of-distribution", ICLR 2022). Where a target has a gap, nothing is learnt from it; frozen heads take it
as inactive.
"""

import functools
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.molecules.datasets import Molecules
from experiments.molecules.heads import scores_on
from graphcl_hard import HardInfoGraphClassifier, HardInfoGraphRegressor, molecule_graphs
from graphcl_hard.data.graph_data import GraphData
from graphcl_hard.sweeps.records import Record

HEAD = "network"
"""Stands in records and tables where other rows have the name of a head."""
SCRATCH = {"encoder": "gine", "epochs": 100, "patience": 20}
FINE_TUNED = {"freeze": 5, "encoder_lr": 1e-4, "epochs": 100, "patience": 20}


@functools.lru_cache(maxsize=1)
def _graphs(smiles: tuple[str, ...]) -> GraphData:
    return molecule_graphs(smiles)


def score(
    molecules: Molecules, split: str, part: str, seed: int, settings: Mapping[str, Any]
) -> Record:
    """Return the scores of a trained encoder on one part of a split, as `protocol.score` does those of a head.

    Args:
        molecules: of a data set.
        split: name of the split.
        part: "valid" or "test". The labels of other held-out parts are not looked at.
        seed: of the initial weights, the order of batches and the tenth that chooses the epoch.
        settings: of `HardInfoGraphClassifier` and `HardInfoGraphRegressor`; `init` may have {dataset} and {seed}.

    Returns:
        What `protocol.score` returns; "chosen" is the epoch, "tried" how many there were, and "inner_score" the mean
        score on the molecules that chose it, by their loss.
    """
    parts, task = molecules.split(split), molecules.dataset.task
    y = molecules.y[:, 0] if molecules.y.shape[1] == 1 else molecules.y
    graphs = _graphs(molecules.smiles)
    start = time.perf_counter()
    kind = HardInfoGraphClassifier if task == "classification" else HardInfoGraphRegressor
    model = kind(**settings, random_state=seed)
    if model.init is not None:
        model.init = model.init.format(dataset=molecules.dataset.name, seed=seed)
    validation = None if part == "valid" else (graphs[parts.valid], y[parts.valid])
    model.fit(graphs[parts.train], y[parts.train], validation=validation)
    predict = model.predict_proba if task == "classification" else model.predict

    def scores(rows: np.ndarray) -> Record:
        found = predict(graphs[rows])
        if task == "classification" and y.ndim == 1:
            found = found[:, 1]
        return scores_on(molecules, rows, found.reshape(len(rows), -1))

    inner = parts.train[model.validation_rows_] if part == "valid" else parts.valid
    held_out = parts.valid if part == "valid" else parts.test
    return {
        **scores(held_out),
        "chosen": {"epoch": model.best_epoch_},
        "inner_score": scores(inner)["score"],
        "tried": len(model.history_),
        "train_size": len(parts.train),
        "held_out_size": len(held_out),
        "columns": model.encoder_.out_channels,
        "seconds": time.perf_counter() - start,
    }
