"""Score graph embeddings by how well a small supervised probe reads the labels from them.

Nested, stratified, repeated cross-validation. The protocol is that of InfoGraph (Sun et al., ICLR 2020) and GraphCL
(You et al., NeurIPS 2020): an SVM over 10 folds, with C in 1e-3 .. 1e3 chosen inside the training folds. On top of it:
features standardised inside each training part, the folds shuffled anew `repeats` times, and an interval that knows
that training parts overlap.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from joblib import effective_n_jobs
from sklearn.metrics import f1_score
from sklearn.model_selection import RepeatedStratifiedKFold, StratifiedKFold
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from graphcl_hard.config import Scale
from graphcl_hard.evaluation.checks import check_embeddings, check_folds, check_settings, rescale
from graphcl_hard.evaluation.probes import Probe, find_probe
from graphcl_hard.evaluation.statistics import corrected_interval
from graphcl_hard.exceptions import InputError

INNER_FOLDS = 5  # fewer where the training part's smallest class has fewer graphs
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Summary(NamedTuple):
    """One score in four numbers."""

    mean: float
    """Over all folds of all repeats."""
    std: float | None
    """Over the repeats' means, ddof=1; None with one repeat. The shuffling's part of the noise only."""
    low: float
    """Of the 95% interval of the mean, not cut to [0, 1]."""
    high: float
    """Its other end."""


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """Every fold's scores of one set of embeddings; all arrays are (repeats, folds).

    Row r, column f is the same split of the graphs in every result of one `cross_validate` call.
    """

    probe: str
    """As it was asked for."""
    parameter: str
    """What `chosen` holds: "C" or "n_neighbors"."""
    seed: int
    """Of the shuffles."""
    accuracy: Floats
    """float64, share of the test fold that is right, in [0, 1]."""
    macro_f1: Floats
    """float64, mean of the classes' F1, in [0, 1]."""
    chosen: Floats
    """float64, picked by the inner folds of that training part."""
    inner_accuracy: Floats
    """float64, the chosen parameter's mean over those inner folds; it has seen no test fold."""
    train_sizes: Ints
    """int64, graphs in each training part."""
    test_sizes: Ints
    """int64, graphs in each test fold."""

    @property
    def test_train_ratio(self) -> float:
        """n_test / n_train, 1 / (folds - 1): what `statistics.paired_difference` asks for."""
        return float(self.test_sizes.sum() / self.train_sizes.sum())

    def summary(self, score: str = "accuracy") -> Summary:
        """Of "accuracy" or "macro_f1"; the interval is `statistics.corrected_interval` (Nadeau & Bengio 2003).

        Raises:
            InputError: another score.
        """
        if score not in ("accuracy", "macro_f1"):
            raise InputError(f"score must be 'accuracy' or 'macro_f1', got {score!r}; ask for one of the two.")
        values: Floats = getattr(self, score)
        std = float(values.mean(axis=1).std(ddof=1)) if len(values) > 1 else None
        return Summary(float(values.mean()), std, *corrected_interval(values, self.test_train_ratio))

    def to_dict(self) -> dict[str, Any]:
        """Plain Python for JSON (no NaN): both summaries, then every fold's numbers as nested lists."""
        scores = ("accuracy", "macro_f1")
        arrays = (*scores, "chosen", "inner_accuracy", "train_sizes", "test_sizes")
        return {
            "probe": self.probe,
            "parameter": self.parameter,
            "seed": self.seed,
            "repeats": self.accuracy.shape[0],
            "folds": self.accuracy.shape[1],
            "summary": {score: self.summary(score)._asdict() for score in scores},
            **{name: getattr(self, name).tolist() for name in arrays},
        }


def cross_validate(
    embeddings: Mapping[str, npt.ArrayLike] | npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    probe: str = "svm",
    folds: int = 10,
    repeats: int = 3,
    seed: int = 0,
    scale: Scale = "linear",
    n_jobs: int = -1,
    progress: Callable[[int, int], object] | None = None,
) -> dict[str, CrossValidation]:
    """Cross-validated accuracy and macro-F1 of a probe on one or several sets of embeddings of the same graphs.

    Outer folds are `RepeatedStratifiedKFold(folds, repeats, random_state=seed)`, the same for every set of embeddings;
    more repeats keep the earlier ones. Inside each training part, `StratifiedKFold(5, shuffle=True,
    random_state=seed)` (fewer folds where its smallest class has fewer graphs) picks the parameter with the best mean
    accuracy, on a tie the first of the grid, and the probe is fitted again on the whole part. `StandardScaler` sees
    only the rows that a probe is fitted on. The scores are those of scikit-learn's `GridSearchCV` over that pipeline.

    Args:
        embeddings: name -> (G, D) numbers; D may differ between names. One array is taken for {"embeddings": array}.
            Computed in float64.
        labels: (G,), one class a graph: integers, strings or booleans.
        probe: "svm" (RBF kernel, gamma="scale"), "linear-svm", "logistic" (C in 1e-3 .. 1e3) or "knn".
        folds: k of the k-fold, from 2 to the smallest class's number of graphs.
        repeats: times that the k-fold is shuffled anew, at least 1.
        seed: of the shuffles, 0 to 2**32 - 1. The scores depend on it alone, not on n_jobs.
        scale: "log" takes sign(x) log(1 + |x|) of the embeddings first: sums over nodes span orders of magnitude.
        n_jobs: threads; -1 for all cores, -2 for all but one.
        progress: called as progress(done, total) in the caller's thread as each fold of each embedding ends.

    Returns:
        name -> `CrossValidation`, in the order of `embeddings`.

    Raises:
        InputError: for embeddings, labels or settings that cannot be scored.

    Source: for the intervals, Nadeau and Bengio, "Inference for the Generalization Error", Machine Learning 52, 2003.
    """
    chosen_probe = find_probe(probe)
    named = embeddings if isinstance(embeddings, Mapping) else {"embeddings": embeddings}
    if not named:
        raise InputError("embeddings is an empty mapping, but at least one set is needed; give name -> (G, D) array.")
    y = check_folds(labels, folds)
    arrays = {name: rescale(check_embeddings(name, value, len(y)), scale) for name, value in named.items()}
    check_settings(repeats, seed, n_jobs)

    outer = RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=seed)
    splits = list(outer.split(np.zeros(len(y)), y))
    scores = {name: np.empty((4, len(splits))) for name in arrays}
    stop = threading.Event()

    # Threads: libsvm and BLAS let go of the interpreter lock, and nothing has to be copied or started. Each keeps to
    # one core, or BLAS's and OpenMP's own threads would fight for them: BLAS's limit belongs to the process, so it is
    # set and given back here; OpenMP's belongs to the thread and ends with it.
    with threadpool_limits(1, "blas"):
        workers = min(effective_n_jobs(n_jobs), len(splits) * len(arrays))
        pool = ThreadPoolExecutor(workers, initializer=threadpool_limits, initargs=(1, "openmp"))
        try:
            futures = {
                pool.submit(_score_split, x, y, train, test, chosen_probe, seed, stop): (name, index)
                for index, (train, test) in enumerate(splits)
                for name, x in arrays.items()
            }
            for done, future in enumerate(as_completed(futures), start=1):
                name, index = futures[future]
                scores[name][:, index] = future.result()
                if progress is not None:
                    progress(done, len(futures))
        finally:
            stop.set()  # not waiting lets Ctrl-C through at once: a thread ends by itself after the fit that it is in
            pool.shutdown(wait=False, cancel_futures=True)

    sizes = np.array([[len(train), len(test)] for train, test in splits]).T.reshape(2, repeats, folds)
    results = {}
    for name, table in scores.items():
        parts = (*table.reshape(4, repeats, folds), *sizes)  # in the order of the fields
        results[name] = CrossValidation(probe, chosen_probe.parameter, int(seed), *parts)
    return results


def _score_split(
    x: Floats, y: Ints, train: Ints, test: Ints, probe: Probe, seed: int, stop: threading.Event
) -> tuple[float, float, float, float]:
    """One outer fold: accuracy, macro-F1, the parameter that the inner folds chose and its mean accuracy in them.

    Sees y[test] only to score.
    """
    x_train, y_train = x[train], y[train]
    inner_folds = min(INNER_FOLDS, int(np.bincount(y_train).min()))
    inner = list(StratifiedKFold(inner_folds, shuffle=True, random_state=seed).split(x_train, y_train))
    most = min(len(fitted) for fitted, _ in inner)  # knn cannot ask for more neighbours than there are rows
    grid = [value for value in probe.grid if probe.parameter != "n_neighbors" or value <= most]
    accuracy = np.empty((len(grid), inner_folds))
    for column, (fitted, held_out) in enumerate(inner):
        predictions = _predict(probe, x_train[fitted], y_train[fitted], x_train[held_out], grid)
        for row, predicted in enumerate(predictions):
            accuracy[row, column] = np.mean(predicted == y_train[held_out])
            if stop.is_set():
                raise InterruptedError
    means = np.average(accuracy, axis=1)  # the same sum as GridSearchCV's, to the last bit
    best = grid[int(np.argmax(means))]
    (predicted,) = _predict(probe, x_train, y_train, x[test], [best])
    macro_f1 = f1_score(y[test], predicted, average="macro", zero_division=0.0)
    return float(np.mean(predicted == y[test])), float(macro_f1), float(best), float(means.max())


def _predict(probe: Probe, x_fit: Floats, y_fit: Ints, x_new: Floats, grid: Sequence[float]) -> Iterator[Ints]:
    scaler = StandardScaler().fit(x_fit)
    return probe.predictor(scaler.transform(x_fit), y_fit, scaler.transform(x_new), grid)
