"""The baselines that have no vectors: the majority class, and Weisfeiler-Lehman kernels with an SVM.

They are evaluated on the folds of `graphcl_hard.cross_validate`, with everything that can be chosen chosen inside the
training folds.
"""

import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn import config_context
from sklearn.metrics import f1_score
from sklearn.model_selection import RepeatedStratifiedKFold, StratifiedKFold
from sklearn.svm import SVC

from graphcl_hard.config import Config
from graphcl_hard.evaluation.checks import check_folds
from graphcl_hard.evaluation.folds import INNER_FOLDS
from graphcl_hard.evaluation.probes import c_grid
from graphcl_hard.exceptions import InputError
from graphcl_hard.loader.features import FeatureMap
from graphcl_hard.runs.experiment import describe
from graphcl_hard.sweeps.cell import KERNELS
from graphcl_hard.sweeps.data import labelled_graphs
from graphcl_hard.sweeps.plan_checks import check_kernel
from graphcl_hard.sweeps.wl_kernels import wl_kernels, wl_oa_kernels

FAMILIES = ("majority", *KERNELS)
ITERATIONS = (0, 1, 2, 3, 4, 5)

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class FoldScores(NamedTuple):
    """The scores of one outer fold."""

    correct: int  # of the test graphs
    macro_f1: float
    predicted: Ints  # classes of the test graphs
    inner_accuracy: float  # mean over the inner folds, of what was chosen by it
    chosen: dict[str, float]


def run_cell(
    family: str,
    dataset: str,
    seed: int,
    settings: Mapping[str, Any],
    data_dir: str | Path | None = None,
) -> dict[str, Any]:
    """Score a baseline on a data set; returns the baseline's part of a record (`graphcl_hard.sweeps.run_record`).

    Scores have the epoch "0" and the probe "majority" ("chosen" is the class that is always predicted, 0..C-1) or
    "svm" ("chosen" is C, "chosen_iterations" the kernel's number of iterations).

    Args:
        family: "majority", "wl" or "wl-oa".
        dataset: TU data set by name, or the path of a folder in TU format.
        seed: of the folds.
        settings: "folds" and "repeats", `Config`'s defaults where they are absent; for kernels also "max_c", by which
            the grid of C ends, "iterations", the numbers of Weisfeiler-Lehman iterations to choose from (0 to 5), and
            "labels", those before the first iteration (see `graphcl_hard.sweeps.wl_kernels.first_labels`). Other
            settings, which are the encoder's, change nothing here.
        data_dir: folder of data sets, as for `load_graphs`.

    Raises:
        InputError: for a family, iterations, labels or a data set that cannot be used.
    """
    start = time.perf_counter()
    if family not in FAMILIES:
        raise InputError(
            f"A baseline's family must be {' or '.join(FAMILIES)}, got {family!r}; name one of these."
        )
    labels = settings.get("labels", "given")
    if family in KERNELS:
        check_kernel(settings)
        iterations = sorted(set(settings.get("iterations", ITERATIONS)))
        grid = c_grid(settings.get("max_c", Config.max_c))
        kernels = _kernels_of(family, dataset, data_dir, max(iterations), labels)
    graphs, _, classes = labelled_graphs(dataset, data_dir)
    prepared = time.perf_counter()
    folds, repeats = (
        int(settings.get(name, getattr(Config, name))) for name in ("folds", "repeats")
    )
    y = check_folds(classes, folds)
    splits = list(
        RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=seed).split(y, y)
    )
    if family in KERNELS:
        found = [
            score_kernel(kernels, y, train, test, iterations, grid, seed) for train, test in splits
        ]
    else:
        found = [score_majority(y, train, test, seed) for train, test in splits]

    def by_fold(values: Sequence[Any]) -> list[list[Any]]:
        lists: list[list[Any]] = np.reshape(values, (repeats, folds)).tolist()
        return lists

    predicted = np.empty((repeats, len(y)), dtype=np.int64)
    for index, ((_, test), fold) in enumerate(zip(splits, found, strict=True)):
        predicted[index // folds, test] = fold.predicted
    scores = {
        "predicted": np.unique(classes)[predicted].tolist(),
        "correct": by_fold([fold.correct for fold in found]),
        "inner_accuracy": by_fold([round(fold.inner_accuracy, 6) for fold in found]),
        **{name: by_fold([fold.chosen[name] for fold in found]) for name in found[0].chosen},
        "macro_f1": round(float(np.mean([fold.macro_f1 for fold in found])), 6),
    }
    has_labels = labels == "given" and graphs.node_label is not None
    read = "node labels" if has_labels else "none" if labels == "constant" else "degrees"
    features = read if family in KERNELS else "none"
    end = time.perf_counter()
    return {
        "scores": {"svm" if family in KERNELS else family: {"0": scores}},
        "labels": classes.tolist(),
        "test_sizes": by_fold([len(test) for _, test in splits]),
        "data": describe(graphs, FeatureMap.fit(graphs)) | {"features": features},
        "seconds": {
            "training": prepared - start,
            "evaluation": end - prepared,
            "total": end - start,
        },
        "last_epoch": 0,
    }


def score_majority(y: Ints, train: Ints, test: Ints, seed: int) -> FoldScores:
    """Score the largest class of the training part on one outer fold; ties go to the first class."""
    means = [
        np.mean(y[train[held_out]] == _largest(y[train[fitted]]))
        for fitted, held_out in _inner_folds(y[train], seed)
    ]
    told = _largest(y[train])
    return _fold_scores(y[test], np.full(len(test), told), np.average(means), {"chosen": told})


def score_kernel(
    kernels: Floats,
    y: Ints,
    train: Ints,
    test: Ints,
    iterations: Sequence[int],
    grid: Sequence[float],
    seed: int,
) -> FoldScores:
    """Score the kernel's SVM on one outer fold; y[test] is used only for the score.

    The number of iterations and C are those with the best mean accuracy over the inner folds, on a tie the fewest
    iterations, then the smallest C.

    Args:
        kernels: (H, G, G) kernels with 0 to H - 1 iterations, at least up to the largest of `iterations`.
        y: (G,) classes.
        train: indices of the training part.
        test: indices of the test part.
        iterations: to choose from, in ascending order.
        grid: values of C to choose from, in ascending order.
        seed: of the inner folds.
    """
    inner = [(train[fitted], train[held_out]) for fitted, held_out in _inner_folds(y[train], seed)]
    accuracy = np.empty((len(iterations), len(grid), len(inner)))
    for row, number in enumerate(iterations):
        for column, (fitted, held_out) in enumerate(inner):
            predicted = _predictions(kernels[number], y, fitted, held_out, grid)
            accuracy[row, :, column] = np.mean(predicted == y[held_out], axis=1)
    means = np.average(accuracy, axis=2)
    best, c = divmod(int(np.argmax(means)), len(grid))
    chosen = {"chosen": grid[c], "chosen_iterations": iterations[best]}
    (predicted,) = _predictions(kernels[iterations[best]], y, train, test, [grid[c]])
    return _fold_scores(y[test], predicted, means[best, c], chosen)


def _predictions(kernel: Floats, y: Ints, fitted: Ints, new: Ints, grid: Sequence[float]) -> Ints:
    """Return the predictions of an SVM for new graphs, (len(grid), len(new)), for each C of the grid."""
    # libsvm takes the points class by class; in that order it reads the kernel as it lies in memory
    fitted = fitted[np.argsort(y[fitted], kind="stable")]
    train_kernel, cross_kernel = kernel[np.ix_(fitted, fitted)], kernel[np.ix_(new, fitted)]
    # the kernel is finite, and checking it at every C would take longer than short fits
    with config_context(assume_finite=True, skip_parameter_validation=True):
        machines = (SVC(C=c, kernel="precomputed").fit(train_kernel, y[fitted]) for c in grid)
        return np.stack([machine.predict(cross_kernel) for machine in machines])


@lru_cache(maxsize=1)  # all seeds of a data set share them, and those of 2000 graphs take 190 MB
def _kernels_of(
    family: str, dataset: str, data_dir: str | Path | None, iterations: int, labels: str
) -> Floats:
    graphs, rows, _ = labelled_graphs(dataset, data_dir)
    kernels = {"wl": wl_kernels, "wl-oa": wl_oa_kernels}[family]
    return kernels(graphs[rows], iterations, labels)


def _largest(labels: Ints) -> int:
    return int(np.argmax(np.bincount(labels)))


def _inner_folds(labels: Ints, seed: int) -> list[tuple[Ints, Ints]]:
    """Return the (fitted, held out) positions of the inner folds of `graphcl_hard.evaluation.cross_validation`."""
    folds = min(INNER_FOLDS, int(np.bincount(labels).min()))
    return list(StratifiedKFold(folds, shuffle=True, random_state=seed).split(labels, labels))


def _fold_scores(
    y: Ints, predicted: Ints, inner_accuracy: float, chosen: dict[str, float]
) -> FoldScores:
    macro_f1 = float(f1_score(y, predicted, average="macro", zero_division=0.0))
    correct = int(np.sum(predicted == y))
    return FoldScores(correct, macro_f1, predicted, float(inner_accuracy), chosen)
