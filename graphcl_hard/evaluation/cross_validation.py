"""Score graph embeddings by how well a simple classifier predicts the labels from them.

The scores come from nested, stratified, repeated cross-validation. The protocol is that of InfoGraph (Sun et al., ICLR
2020) and GraphCL (You et al., NeurIPS 2020): an SVM over 10 folds, with C from 1e-3 to 1e3 chosen inside the training
folds. In addition, features are standardised inside each training part, the folds are reshuffled `repeats` times, and
the confidence interval accounts for overlapping training parts.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any, Literal

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
    check_folds,
    check_settings,
    check_vectors,
    rescale,
)
from graphcl_hard.evaluation.probes import Probe, find_probe
from graphcl_hard.evaluation.scores import CrossValidation, TargetScores
from graphcl_hard.exceptions import InputError, short_repr

Task = Literal["classification", "regression"]
INNER_FOLDS = 5  # fewer if the smallest class of the training part has fewer graphs


def cross_validate(
    vectors: Mapping[str, npt.ArrayLike] | npt.ArrayLike,
    y: Any,
    *,
    probe: Any = "svm",
    scoring: Any = None,
    cv: Any = 10,
    groups: Any = None,
    task: Task | None = None,
    repeats: int = 3,
    seed: int = 0,
    scale: Scale = "linear",
    n_jobs: int = -1,
    progress: Callable[[int, int], object] | None = None,
) -> dict[str, CrossValidation]:
    """Return the cross-validated accuracy and macro-F1 of a probe on vectors of the same graphs.

    The outer folds are `RepeatedStratifiedKFold(cv, repeats, random_state=seed)`, the same for all vectors;
    increasing `repeats` keeps the earlier splits. Inside each training part, `StratifiedKFold(5, shuffle=True,
    random_state=seed)` (fewer folds if the smallest class has fewer graphs) selects the parameter with the best mean
    accuracy, the first of the grid on ties, and the classifier is refitted on the whole training part. `StandardScaler`
    is fitted only on the rows that the classifier is fitted on. The scores equal those of scikit-learn's `GridSearchCV`
    over this pipeline.

    Args:
        vectors: name -> (G, D) array; D may differ between names. A single array is treated as
            {"vectors": array}. Everything is computed in float64. An array may be a list, a PyTorch tensor, a SciPy
            matrix or a table of pandas, whose columns `id` and `y` and columns of row numbers are left out.
        y: (G,), the class of each graph: integers, strings, booleans or whole floats, none of them missing. Give
            the `labels` of a data set, not its `y`: the -1 there, for a missing label, would count as a class.
        probe: "svm" (RBF kernel, gamma="scale"), "linear-svm", "logistic" (C from 1e-3 to 1e3) or "knn".
        cv: number of folds, from 2 to the number of graphs in the smallest class.
        repeats: how many times the graphs are shuffled and split into folds, at least 1.
        seed: seed of the shuffles, 0 to 2**32 - 1. The scores depend on the seed, but not on n_jobs.
        scale: "log" first replaces x by sign(x) log(1 + |x|), since sums over nodes span orders of magnitude.
        n_jobs: number of threads; -1 for all cores, -2 for all but one.
        progress: called as progress(done, total) in the caller's thread after each fold of each array of vectors.

    Returns:
        name -> `CrossValidation`, in the order of `vectors`.

    Raises:
        InputError: the vectors, labels or settings are invalid; or the labels are measured values.

    Warns:
        UserWarning: a column of a table, other than `id`, is left out.

    Examples:
        >>> import numpy as np
        >>> from graphcl_hard import cross_validate
        >>> labels = np.arange(60) % 2
        >>> noise = np.random.default_rng(0).normal(size=(60, 8))
        >>> vectors = {"noise": noise, "informative": noise + labels[:, None]}
        >>> scores = cross_validate(vectors, labels, cv=5, repeats=2)
        >>> scores["informative"].accuracy.shape
        (2, 5)
        >>> scores["informative"].summary().mean > scores["noise"].summary().mean
        True

    Source: for the intervals, Nadeau and Bengio, "Inference for the Generalization Error", Machine Learning 52, 2003.
    """
    chosen_probe = find_probe(probe)
    named = vectors if isinstance(vectors, Mapping) else {"vectors": vectors}
    if not named:
        raise InputError(
            "vectors is an empty mapping, but needs at least one entry; give name -> (G, D) array."
        )
    if progress is not None and not callable(progress):
        raise InputError(
            f"progress must be a function, got {short_repr(progress)}; omit it to see nothing."
        )
    check_settings(repeats, seed, n_jobs)
    y = check_folds(y, cv, "cv")
    arrays = {
        name: rescale(check_vectors(name, value, len(y)), scale) for name, value in named.items()
    }

    outer = RepeatedStratifiedKFold(n_splits=cv, n_repeats=repeats, random_state=seed)
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

    sizes = np.array([[len(train), len(test)] for train, test in splits]).T.reshape(2, repeats, cv)
    results = {}
    for name, table in scores.items():
        accuracy, macro_f1, chosen, inner = table.reshape(4, repeats, cv)
        found = TargetScores(
            task="classification",
            scores={"accuracy": accuracy, "macro_f1": macro_f1},
            chosen=chosen,
            inner_score=inner,
            train_sizes=sizes[0],
            test_sizes=sizes[1],
            unlabelled=0,
        )
        results[name] = CrossValidation(probe, chosen_probe.parameter, int(seed), {"y": found})
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
