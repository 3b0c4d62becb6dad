"""The baselines that train no encoder: the majority class, and the Weisfeiler-Lehman subtree kernel with an SVM.

Both are evaluated on the folds of `graphcl_hard.cross_validate`, with everything that can be chosen chosen inside the
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
from graphcl_hard.data.graph_data import GraphData
from graphcl_hard.evaluation.checks import check_folds
from graphcl_hard.evaluation.folds import INNER_FOLDS
from graphcl_hard.evaluation.probes import C_GRID
from graphcl_hard.exceptions import InputError
from graphcl_hard.loader.features import FeatureMap
from graphcl_hard.runs.experiment import describe
from graphcl_hard.sweeps.data import labelled_graphs
from graphcl_hard.sweeps.extras import require

FAMILIES = ("majority", "wl")
ITERATIONS = (0, 1, 2, 3, 4, 5)

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Iterations = Sequence[int]


class FoldScores(NamedTuple):
    """The scores of one outer fold."""

    correct: int  # of the test graphs
    macro_f1: float
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
        family: "majority" or "wl".
        dataset: TU data set by name, or the path of a folder in TU format.
        seed: of the folds.
        settings: "folds" and "repeats", `Config`'s defaults where they are absent; for wl also "iterations", the
            numbers of Weisfeiler-Lehman iterations to choose from (0 to 5). Other settings, which are the encoder's,
            change nothing here.
        data_dir: folder of data sets, as for `load_graphs`.

    Raises:
        InputError: for a family, iterations or a data set that cannot be used.
    """
    start = time.perf_counter()
    if family not in FAMILIES:
        raise InputError(
            f"A baseline's family must be {' or '.join(FAMILIES)}, got {family!r}; name one of these."
        )
    if family == "wl":
        iterations = _check_iterations(settings.get("iterations", ITERATIONS))
        kernels = _kernels_of(dataset, data_dir, max(iterations))
    graphs, _, classes = labelled_graphs(dataset, data_dir)
    prepared = time.perf_counter()
    folds, repeats = (
        int(settings.get(name, getattr(Config, name))) for name in ("folds", "repeats")
    )
    y = check_folds(classes, folds)
    splits = list(
        RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=seed).split(y, y)
    )
    if family == "wl":
        found = [score_wl(kernels, y, train, test, iterations, seed) for train, test in splits]
    else:
        found = [score_majority(y, train, test, seed) for train, test in splits]

    def by_fold(values: Sequence[Any]) -> list[list[Any]]:
        lists: list[list[Any]] = np.reshape(values, (repeats, folds)).tolist()
        return lists

    scores = {
        "correct": by_fold([fold.correct for fold in found]),
        "inner_accuracy": by_fold([round(fold.inner_accuracy, 6) for fold in found]),
        **{name: by_fold([fold.chosen[name] for fold in found]) for name in found[0].chosen},
        "macro_f1": round(float(np.mean([fold.macro_f1 for fold in found])), 6),
    }
    features = {
        "majority": "none",
        "wl": "degrees" if graphs.node_label is None else "node labels",
    }[family]
    end = time.perf_counter()
    return {
        "scores": {"svm" if family == "wl" else family: {"0": scores}},
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


def score_wl(
    kernels: Floats, y: Ints, train: Ints, test: Ints, iterations: Iterations, seed: int
) -> FoldScores:
    """Score the kernel's SVM on one outer fold; y[test] is used only for the score.

    The number of iterations and C are those with the best mean accuracy over the inner folds, on a tie the fewest
    iterations, then the smallest C.

    Args:
        kernels: (H, G, G) `wl_kernels`, at least up to the largest of `iterations`.
        y: (G,) classes.
        train: indices of the training part.
        test: indices of the test part.
        iterations: to choose from, in ascending order.
        seed: of the inner folds.
    """
    inner = [(train[fitted], train[held_out]) for fitted, held_out in _inner_folds(y[train], seed)]
    accuracy = np.empty((len(iterations), len(C_GRID), len(inner)))
    for row, number in enumerate(iterations):
        for column, (fitted, held_out) in enumerate(inner):
            predicted = _predictions(kernels[number], y, fitted, held_out, C_GRID)
            accuracy[row, :, column] = np.mean(predicted == y[held_out], axis=1)
    means = np.average(accuracy, axis=2)
    best, c = divmod(int(np.argmax(means)), len(C_GRID))
    chosen = {"chosen": C_GRID[c], "chosen_iterations": iterations[best]}
    (predicted,) = _predictions(kernels[iterations[best]], y, train, test, [C_GRID[c]])
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


def wl_kernels(graphs: GraphData, iterations: int) -> Floats:
    """Return the normalised Weisfeiler-Lehman subtree kernels with 0 to `iterations` iterations.

    k_h(a, b) = sum over i <= h of <f_i(a), f_i(b)>, where f_i(a) counts the labels of a's nodes after i rounds of
    giving each node a new label for its own and those of its neighbours; divided by sqrt(k_h(a, a) k_h(b, b))
    (Shervashidze et al., JMLR 2011). As in GraKeL's `WeisfeilerLehman(n_iter=h, normalize=True)`, but all h out of one
    fit. The first labels are the node labels of the data set (several columns make one label), degrees where it has
    none: what the encoder sees too. Edge labels are not used. No class is seen, and an entry depends only on its two
    graphs, so the kernel of all graphs holds those of every training part.

    Args:
        graphs: G graphs; one without nodes is unlike all others (0).
        iterations: H - 1.

    Returns:
        (H, G, G) float64 in [0, 1].
    """
    require("grakel")
    from grakel.kernels import VertexHistogram, WeisfeilerLehman  # noqa: PLC0415 - slow to import, and an extra

    # GraKeL wants at least one iteration; the features after each are kept by the base kernel of that iteration.
    kernel = WeisfeilerLehman(
        n_iter=max(iterations, 1), base_graph_kernel=(VertexHistogram, {"sparse": True})
    )
    kernel.fit(_grakel_graphs(graphs))
    has_nodes = np.flatnonzero(graphs.node_ptr.diff().numpy())
    kernels = np.zeros((iterations + 1, graphs.num_graphs, graphs.num_graphs))
    total = np.zeros((len(has_nodes), len(has_nodes)))
    for number in range(iterations + 1):
        counts = kernel.X[number].X  # (graphs with nodes, labels), sparse
        total += (counts @ counts.T).toarray()
        norms = np.diagonal(total)
        kernels[number][np.ix_(has_nodes, has_nodes)] = total / np.sqrt(np.outer(norms, norms))
    return kernels


def _grakel_graphs(graphs: GraphData) -> list[tuple[dict[int, list[int]], dict[int, int]]]:
    """Return for each graph with nodes: node -> its neighbours, and node -> label."""
    if graphs.node_label is None:
        labels = np.bincount(graphs.edge_index[0].numpy(), minlength=graphs.num_nodes)
    else:
        labels = np.unique(graphs.node_label.numpy(), axis=0, return_inverse=True)[1].ravel()
    degrees = np.bincount(graphs.edge_index[0].numpy(), minlength=graphs.num_nodes)
    ends = np.cumsum(degrees)
    neighbours = np.split(graphs.edge_index[1].numpy(), ends[:-1])  # the edges are sorted by source
    found = []
    for first, end in zip(graphs.node_ptr[:-1].tolist(), graphs.node_ptr[1:].tolist(), strict=True):
        if first < end:
            nodes = range(first, end)
            found.append(
                ({v: neighbours[v].tolist() for v in nodes}, {v: int(labels[v]) for v in nodes})
            )
    return found


@lru_cache(maxsize=1)  # all seeds of a data set share them, and those of 2000 graphs take 190 MB
def _kernels_of(dataset: str, data_dir: str | Path | None, iterations: int) -> Floats:
    graphs, rows, _ = labelled_graphs(dataset, data_dir)
    return wl_kernels(graphs[rows], iterations)


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
    return FoldScores(int(np.sum(predicted == y)), macro_f1, float(inner_accuracy), chosen)


def _check_iterations(given: Any) -> list[int]:
    numbers = list(given) if isinstance(given, (list, tuple)) else []
    if not numbers or any(type(number) is not int or number < 0 for number in numbers):
        raise InputError(
            f"iterations must be a list of whole numbers of at least 0, got {given!r}; [0, 1, 2, 3, 4, 5] is usual."
        )
    return sorted(set(numbers))
