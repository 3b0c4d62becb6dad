"""Few labels for encoders that are trained on them: fine-tuned from a run's encoder, on the folds of the frozen ones.

A run of an untrained encoder gives the curve of training from scratch.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import RepeatedStratifiedKFold

from graphcl_hard.data.graph_data import GraphData
from graphcl_hard.estimators.classifier import HardInfoGraphClassifier
from graphcl_hard.training.fine_tuning import FineTuning

EPOCHS, STEPS = 20, 200
"""At least so many passes over the labelled graphs, and steps."""

Ints = npt.NDArray[np.int64]


def epochs_for(labelled: int) -> int:
    """Return the number of epochs of a fine-tuning on so many labelled graphs.

    There are too few of them for a validation part, so it is fixed: 20, or as many as make 200 steps.
    """
    return max(EPOCHS, math.ceil(STEPS / math.ceil(labelled / FineTuning.batch_size)))


def fine_tuned_accuracy(
    graphs: GraphData,
    y: Ints,
    labelled: Sequence[Sequence[Ints]],
    init: Path,
    *,
    folds: int,
    repeats: int,
    seed: int,
) -> list[npt.NDArray[np.float64]]:
    """Return the accuracy of a classifier that is fine-tuned on labelled rows, (repeats, folds) for each share.

    Args:
        graphs: G graphs.
        y: (G,) classes.
        labelled: for each share of the labels and each outer fold, row by row of (repeats, folds), the positions in
            `graphs` of the graphs whose labels are seen.
        init: folder of the run whose encoder is the start.
        folds: of the outer cross-validation.
        repeats: of the outer cross-validation.
        seed: of the outer folds and of the fine-tuning.
    """
    splitter = RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=seed)
    found = [np.empty((repeats, folds)) for _ in labelled]
    for index, (_, test) in enumerate(splitter.split(y, y)):
        for values, rows in zip(found, labelled, strict=True):
            model = HardInfoGraphClassifier(
                init=init,
                epochs=epochs_for(len(rows[index])),
                validation_fraction=0,
                random_state=seed,
                n_jobs=1,
                accelerator="cpu",
            )
            model.fit(graphs[rows[index]], y[rows[index]])
            values[divmod(index, folds)] = model.score(graphs[test], y[test])
    return found
