"""The evaluation: `cross_validate` with default arguments against a plain grid search.

The plain way is scikit-learn's `GridSearchCV` over scaler and SVM inside every outer fold, one fit after
the other. The package shares the kernel among the values of C, and the folds among the cores.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from lightning_fabric import Fabric
from numpy.typing import NDArray
from sklearn.model_selection import GridSearchCV, RepeatedStratifiedKFold, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from benchmarks.speed import workloads
from graphcl_hard.evaluation.cross_validation import cross_validate
from graphcl_hard.evaluation.probes import C_GRID
from graphcl_hard.loader.in_memory import GraphBatches
from graphcl_hard.training.build import build_model
from graphcl_hard.training.devices import place
from graphcl_hard.training.loop import embed


def measure(
    name: str,
    folds: int,
    repeats: int,
    accelerator: workloads.Accelerator,
    fabric: Fabric,
    advance: Callable[[str], object],
) -> dict[str, Any]:
    """Return the seconds of both on the embeddings of an untrained encoder, in turns; their scores must be equal."""
    embedding, y = untrained_embedding(name, accelerator, fabric)
    ways = {"grid search": grid_search, "package": package_accuracy}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    accuracy: dict[str, NDArray] = {}
    for repeat in range(repeats):
        for way, run in ways.items():
            advance(f"{name}, {way}, repeat {repeat + 1}")
            start = time.perf_counter()
            accuracy[way] = run(embedding, y, folds)
            seconds[way].append(time.perf_counter() - start)
        if (accuracy["grid search"] != accuracy["package"]).any():
            raise AssertionError(f"The accuracies of a fold differ: {accuracy}")
    return {
        "name": name,
        "folds": folds,
        "seconds": seconds,
        "accuracy": accuracy["package"].tolist(),
    }


def untrained_embedding(
    name: str, accelerator: workloads.Accelerator, fabric: Fabric
) -> tuple[NDArray, NDArray]:
    """Return the seeded encoder's embeddings of a data set's graphs, (G, D), and the graphs' classes."""
    graphs, features, config = workloads.load(name, accelerator)
    encoder = build_model(config, features.channels).to(fabric.device).encoder
    batches = GraphBatches(graphs, features.x, *place(fabric, config))
    return embed(encoder, batches, config.batch_size), graphs.y.numpy()


def package_accuracy(embedding: NDArray, y: NDArray, folds: int) -> NDArray:
    """Return the accuracy of every fold by this package."""
    return cross_validate(embedding, y, cv=folds, repeats=1)["vectors"].accuracy.ravel()


def grid_search(embedding: NDArray, y: NDArray, folds: int) -> NDArray:
    """Return the same by scikit-learn only: its grid search over scaler and SVM in every outer fold."""
    x, accuracy = np.asarray(embedding, dtype=np.float64), []
    pipeline = Pipeline([("scale", StandardScaler()), ("svm", SVC(kernel="rbf", gamma="scale"))])
    for train, test in RepeatedStratifiedKFold(n_splits=folds, n_repeats=1, random_state=0).split(
        x, y
    ):
        inner = StratifiedKFold(5, shuffle=True, random_state=0)
        search = GridSearchCV(pipeline, {"svm__C": C_GRID}, cv=inner).fit(x[train], y[train])
        accuracy.append(search.score(x[test], y[test]))
    return np.array(accuracy)
