"""Score graph embeddings by how well a simple classifier predicts the labels from them.

The scores come from nested, stratified, repeated cross-validation. The protocol is that of InfoGraph (Sun et al., ICLR
2020) and GraphCL (You et al., NeurIPS 2020): an SVM over 10 folds, with C from 1e-3 to 1e3 chosen inside the training
folds. In addition, features are standardised inside each training part, the folds are reshuffled `repeats` times, and
the confidence interval accounts for overlapping training parts.
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
from graphcl_hard.evaluation.checks import (
    Floats,
    Ints,
    check_embeddings,
    check_folds,
    check_settings,
    rescale,
)
from graphcl_hard.evaluation.probes import Probe, find_probe
from graphcl_hard.evaluation.statistics import corrected_interval
from graphcl_hard.exceptions import InputError, short_repr

INNER_FOLDS = 5  # fewer if the smallest class of the training part has fewer graphs


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
class CrossValidation:
    """Scores of one array of embeddings on every fold; all arrays are (repeats, folds).

    All results of one `cross_validate` call have the same split of the graphs in row r, column f.
    """

    probe: str
    """Name of the classifier."""
    parameter: str
    """Name of the parameter in `chosen`: "C" or "n_neighbors"."""
    seed: int
    """Seed of the shuffles."""
    accuracy: Floats
    """float64, share of correct predictions on the test fold, in [0, 1]."""
    macro_f1: Floats
    """float64, unweighted mean of the F1 scores of the classes, in [0, 1]."""
    chosen: Floats
    """float64, parameter chosen by the inner folds of the training part."""
    inner_accuracy: Floats
    """float64, mean accuracy of the chosen parameter on these inner folds, which contain no test graph."""
    train_sizes: Ints
    """int64, number of graphs in each training part."""
    test_sizes: Ints
    """int64, number of graphs in each test fold."""

    @property
    def test_train_ratio(self) -> float:
        """n_test / n_train = 1 / (folds - 1), an argument of `paired_difference`."""
        return float(self.test_sizes.sum() / self.train_sizes.sum())

    def summary(self, score: str = "accuracy") -> Summary:
        """Return the summary of "accuracy" or "macro_f1" with the `corrected_interval` of Nadeau & Bengio (2003).

        Raises:
            InputError: the score is unknown.
        """
        if score not in ("accuracy", "macro_f1"):
            raise InputError(
                f"score must be 'accuracy' or 'macro_f1', got {short_repr(score)}; choose one of them."
            )
        values: Floats = getattr(self, score)
        std = float(values.mean(axis=1).std(ddof=1)) if len(values) > 1 else None
        return Summary(
            float(values.mean()), std, *corrected_interval(values, self.test_train_ratio)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return both summaries and the scores of every fold as a dictionary for JSON, without NaN."""
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
    """Return the cross-validated accuracy and macro-F1 of a classifier on embeddings of the same graphs.

    The outer folds are `RepeatedStratifiedKFold(folds, repeats, random_state=seed)`, the same for all embeddings;
    increasing `repeats` keeps the earlier splits. Inside each training part, `StratifiedKFold(5, shuffle=True,
    random_state=seed)` (fewer folds if the smallest class has fewer graphs) selects the parameter with the best mean
    accuracy, the first of the grid on ties, and the classifier is refitted on the whole training part. `StandardScaler`
    is fitted only on the rows that the classifier is fitted on. The scores equal those of scikit-learn's `GridSearchCV`
    over this pipeline.

    Args:
        embeddings: name -> (G, D) array; D may differ between names. A single array is treated as
            {"embeddings": array}. Everything is computed in float64. An array may be a list, a PyTorch tensor, a SciPy
            matrix or a table of pandas, whose columns `id` and `y` and columns of row numbers are left out.
        labels: (G,), the class of each graph: integers, strings, booleans or whole floats, none of them missing. Give
            the `labels` of a data set, not its `y`: the -1 there, for a missing label, would count as a class.
        probe: "svm" (RBF kernel, gamma="scale"), "linear-svm", "logistic" (C from 1e-3 to 1e3) or "knn".
        folds: number of folds, from 2 to the number of graphs in the smallest class.
        repeats: how many times the graphs are shuffled and split into folds, at least 1.
        seed: seed of the shuffles, 0 to 2**32 - 1. The scores depend on the seed, but not on n_jobs.
        scale: "log" first replaces x by sign(x) log(1 + |x|), since sums over nodes span orders of magnitude.
        n_jobs: number of threads; -1 for all cores, -2 for all but one.
        progress: called as progress(done, total) in the caller's thread after each fold of each embedding.

    Returns:
        name -> `CrossValidation`, in the order of `embeddings`.

    Raises:
        InputError: the embeddings, labels or settings are invalid; or the labels are measured values.

    Warns:
        UserWarning: a column of a table, other than `id`, is left out.

    Examples:
        >>> import numpy as np
        >>> from graphcl_hard import cross_validate
        >>> labels = np.arange(60) % 2
        >>> noise = np.random.default_rng(0).normal(size=(60, 8))
        >>> embeddings = {"noise": noise, "informative": noise + labels[:, None]}
        >>> scores = cross_validate(embeddings, labels, folds=5, repeats=2)
        >>> scores["informative"].accuracy.shape
        (2, 5)
        >>> scores["informative"].summary().mean > scores["noise"].summary().mean
        True

    Source: for the intervals, Nadeau and Bengio, "Inference for the Generalization Error", Machine Learning 52, 2003.
    """
    chosen_probe = find_probe(probe)
    named = embeddings if isinstance(embeddings, Mapping) else {"embeddings": embeddings}
    if not named:
        raise InputError(
            "embeddings is an empty mapping, but needs at least one entry; give name -> (G, D) array."
        )
    if progress is not None and not callable(progress):
        raise InputError(
            f"progress must be a function, got {short_repr(progress)}; omit it to see nothing."
        )
    check_settings(repeats, seed, n_jobs)
    y = check_folds(labels, folds)
    arrays = {
        name: rescale(check_embeddings(name, value, len(y)), scale) for name, value in named.items()
    }

    outer = RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=seed)
    splits = list(outer.split(np.zeros(len(y)), y))
    scores = {name: np.empty((4, len(splits))) for name in arrays}
    stop = threading.Event()

    # Threads are used because libsvm and BLAS release the interpreter lock, and threads copy no data and start fast.
    # Each thread is limited to one core, or the threads of BLAS and OpenMP would compete for cores. The limit of BLAS
    # applies to the process, so it is set and restored here; that of OpenMP applies to the thread and ends with it.
    with threadpool_limits(1, "blas"):
        workers = min(effective_n_jobs(n_jobs), len(splits) * len(arrays))
        pool = ThreadPoolExecutor(workers, initializer=threadpool_limits, initargs=(1, "openmp"))
        try:
            futures = {
                pool.submit(_score_split, x, y, train, test, chosen_probe, seed, stop): (
                    name,
                    index,
                )
                for index, (train, test) in enumerate(splits)
                for name, x in arrays.items()
            }
            for done, future in enumerate(as_completed(futures), start=1):
                name, index = futures[future]
                scores[name][:, index] = future.result()
                if progress is not None:
                    progress(done, len(futures))
        finally:
            stop.set()  # without waiting, Ctrl-C takes effect at once; each thread ends after its current fit
            pool.shutdown(wait=False, cancel_futures=True)

    sizes = np.array([[len(train), len(test)] for train, test in splits]).T.reshape(
        2, repeats, folds
    )
    results = {}
    for name, table in scores.items():
        parts = (*table.reshape(4, repeats, folds), *sizes)  # in the order of the dataclass fields
        results[name] = CrossValidation(probe, chosen_probe.parameter, int(seed), *parts)
    return results


def _score_split(
    x: Floats, y: Ints, train: Ints, test: Ints, probe: Probe, seed: int, stop: threading.Event
) -> tuple[float, float, float, float]:
    """Return accuracy, macro-F1, chosen parameter and its mean inner accuracy for one outer fold.

    y[test] is used for scoring only.
    """
    x_train, y_train = x[train], y[train]
    inner_folds = min(INNER_FOLDS, int(np.bincount(y_train).min()))
    inner = list(
        StratifiedKFold(inner_folds, shuffle=True, random_state=seed).split(x_train, y_train)
    )
    most = min(
        len(fitted) for fitted, _ in inner
    )  # knn cannot use more neighbours than there are rows
    grid = [value for value in probe.grid if probe.parameter != "n_neighbors" or value <= most]
    accuracy = np.empty((len(grid), inner_folds))
    for column, (fitted, held_out) in enumerate(inner):
        predictions = _predict(probe, x_train[fitted], y_train[fitted], x_train[held_out], grid)
        for row, predicted in enumerate(predictions):
            accuracy[row, column] = np.mean(predicted == y_train[held_out])
            if stop.is_set():
                raise InterruptedError
    means = np.average(accuracy, axis=1)  # sums as GridSearchCV does, to the last bit
    best = grid[int(np.argmax(means))]
    (predicted,) = _predict(probe, x_train, y_train, x[test], [best])
    macro_f1 = f1_score(y[test], predicted, average="macro", zero_division=0.0)
    return float(np.mean(predicted == y[test])), float(macro_f1), float(best), float(means.max())


def _predict(
    probe: Probe, x_fit: Floats, y_fit: Ints, x_new: Floats, grid: Sequence[float]
) -> Iterator[Ints]:
    scaler = StandardScaler().fit(x_fit)
    return probe.predictor(scaler.transform(x_fit), y_fit, scaler.transform(x_new), grid)
