"""Score vectors of graphs by how well a probe predicts targets from them.

The scores come from nested, repeated cross-validation, or from given splits. The protocol is that of InfoGraph (Sun et
al., ICLR 2020) and GraphCL (You et al., NeurIPS 2020): an SVM over 10 folds, with C from 1e-3 to 1e3 chosen inside the
training folds. In addition, features are standardised inside each training part, the folds are reshuffled `repeats`
times, and the confidence interval accounts for overlapping training parts.
"""

import threading
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from joblib import effective_n_jobs
from threadpoolctl import threadpool_limits

from graphcl_hard.config import Scale
from graphcl_hard.evaluation.checks import (
    Floats,
    Ints,
    check_settings,
    check_vectors,
    rescale,
)
from graphcl_hard.evaluation.folds import Folds, inner_folds
from graphcl_hard.evaluation.nested import Nested, Outcome
from graphcl_hard.evaluation.probes import (
    Probe,
    check_estimator_task,
    find_probe,
    is_estimator,
)
from graphcl_hard.evaluation.rounding import float32_columns
from graphcl_hard.evaluation.scores import CrossValidation, Scored, TargetScores
from graphcl_hard.evaluation.scoring import Score, read_scoring
from graphcl_hard.evaluation.splitters import Split
from graphcl_hard.evaluation.targets import (
    Target,
    Task,
    check_task,
    read_targets,
    refuse,
    target_columns,
)
from graphcl_hard.exceptions import InputError, short_repr, user_stacklevel


class _Plan(NamedTuple):
    """The splits of one target."""

    target: Target
    splits: list[Split]
    inner: list[list[tuple[Ints, Ints]]]
    repeats: int


def cross_validate(
    vectors: Mapping[str, npt.ArrayLike] | npt.ArrayLike,
    y: Any,
    *,
    probe: Any = "svm",
    scoring: Any = None,
    cv: Any = 10,
    groups: npt.ArrayLike | None = None,
    task: Task | None = None,
    repeats: int = 3,
    seed: int = 0,
    scale: Scale = "linear",
    max_c: float = 1e3,
    n_jobs: int = -1,
    progress: Callable[[int, int], object] | None = None,
) -> dict[str, CrossValidation]:
    """Return the cross-validated scores of a probe on vectors of the same graphs.

    With a number of folds they are `RepeatedStratifiedKFold(cv, repeats, random_state=seed)`, or `RepeatedKFold` for
    measured values, the same for all vectors; increasing `repeats` keeps the earlier splits. Inside each training part,
    `StratifiedKFold(5, shuffle=True, random_state=seed)` (fewer folds if the smallest class has fewer graphs), or
    `KFold`, selects the parameter with the best mean of the first score, the first of the grid on ties, and the probe
    is fitted again on the whole training part. `StandardScaler` is fitted only on the rows that the probe is fitted on,
    and so is a second one for measured values. The scores equal those of scikit-learn's `GridSearchCV` over
    `make_pipeline(StandardScaler(), SVC())`, or `TransformedTargetRegressor` of it with `transformer=StandardScaler()`.
    Columns of float32 that are constant up to rounding in the rows to fit become 0 before, see `flatten_constants`;
    float64 and whole numbers stay as they are.

    Args:
        vectors: name -> (G, D) array; D may differ between names. A single array is treated as {"vectors": array}.
            Everything is computed in float64. An array may be a list, a PyTorch tensor, a SciPy matrix or a table of
            pandas, whose columns `id`, `y` and `y.NAME` and columns of row numbers are left out.
        y: (G,), the class of each graph: integers, strings, booleans or whole floats; or its measured value: numbers
            of which one is not whole. Several targets are an array (G, T), a table of pandas or name -> (G,). A row
            whose value is None, NaN or an empty string is left out of this target. Give the `labels` of a data set, not
            its `y`: the -1 there, for a missing label, would count as a class.
        probe: "svm" (RBF kernel, gamma="scale"; C from 1e-3 to `max_c`) and "knn" for classes and measured values,
            "linear-svm" and "logistic" (the same C) for classes, "ridge" (alpha from 1e-3 to 1e5) for measured values;
            or an estimator of scikit-learn. An estimator is cloned and fitted on the training part as it is, without
            a choice of parameters other than its own and without standardised features.
        scoring: name of a score, list of names, name -> scorer, or a scorer of scikit-learn: an object of
            `make_scorer` or a function of (estimator, X, y). The first score chooses the parameter. For classes there
            are accuracy, macro_f1, balanced_accuracy, roc_auc, average_precision and mcc; for measured values r2, rmse,
            mae and spearman; and all names of `sklearn.metrics.get_scorer_names()`. Of more than two classes, roc_auc
            and average_precision are the means over the classes of the test part, each against the rest; both are
            undefined where all test rows are of one class. Of two classes, the positive one is the second in sorted
            order: 1 of 0 and 1, but "inactive" of "active" and "inactive". None: accuracy and macro_f1 for classes,
            roc_auc and average_precision for several targets of two classes each, and all four for measured values.
        cv: number of folds, from 2 to the number of graphs in the smallest class; a splitter of scikit-learn; `Split`;
            or a list of `Split` or of (train, test), each with positions of rows or a mask (G,). With a validation
            part, it chooses the parameter; where the first score is undefined on it, inner folds of the training part
            do. Numbered folds and splitters split the known rows of each target on their
            own; of a given split each target takes the rows that it knows.
        groups: (G,), for a splitter that keeps groups together; inner folds keep them together, too.
        task: "classification" or "regression", for all targets; None: regression if a value is not whole.
        repeats: how many times the graphs are shuffled and split into numbered folds, at least 1.
        seed: seed of the shuffles, 0 to 2**32 - 1. The scores depend on the seed, but not on n_jobs, unless an
            estimator of yours draws random numbers without a `random_state` of its own.
        scale: "log" first replaces x by sign(x) log(1 + |x|), since sums over nodes span orders of magnitude.
        max_c: largest C of the grid of "svm", "linear-svm" and "logistic", which holds the powers of ten from 1e-3 to
            it; in [1e-3, 1e9]. Where the largest C is chosen in many folds, a larger one may do better.
        n_jobs: number of threads; -1 for all cores, -2 for all but one.
        progress: called as progress(done, total) in the caller's thread after each fold of each target and array.

    Returns:
        name -> `CrossValidation`, in the order of `vectors`.

    Raises:
        InputError: the vectors, targets or settings are invalid; the targets are of two tasks; or the first score is
            undefined in all folds of all targets.

    Warns:
        UserWarning: a column of a table, other than `id`, is left out; a score is undefined in some folds, which are
            left out of means; or it is undefined on the rows that choose the parameter.

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
        >>> scores["informative"].compare(scores["noise"], "accuracy").p < 0.05
        True

        Two measured targets, of which one has gaps:

        >>> y = {"first": noise[:, 0] + 0.1, "gaps": np.where(labels, noise[:, 1], np.nan)}
        >>> found = cross_validate(noise, y, probe="ridge", cv=5, repeats=1)["vectors"]
        >>> found.targets["gaps"].unlabelled, round(found.summary("r2", "first").mean, 2)
        (30, 1.0)

    Source: for the intervals, Nadeau and Bengio, "Inference for the Generalization Error", Machine Learning 52, 2003.
    """
    named = vectors if isinstance(vectors, Mapping) else {"vectors": vectors}
    if not named:
        raise InputError(
            "vectors is an empty mapping, but needs at least one entry; give name -> (G, D) array."
        )
    if progress is not None and not callable(progress):
        raise InputError(
            f"progress must be a function, got {short_repr(progress)}; omit it to see nothing."
        )
    check_settings(repeats, seed, n_jobs, max_c)
    check_task(task)
    columns = target_columns(y)
    graphs = len(next(iter(columns.values())))
    given = {name: check_vectors(name, value, graphs) for name, value in named.items()}
    single = {name: float32_columns(array) for name, array in given.items()}
    arrays = {name: rescale(array, scale) for name, array in given.items()}
    targets = read_targets(columns, task)
    chosen_probe = _read_probe(probe, targets[0].task, max_c)
    scores = read_scoring(scoring, targets)
    folds = Folds(cv, graphs, groups, repeats, seed)
    plans = _read_plans(targets, folds, isinstance(chosen_probe, Probe), seed)
    outcomes = _run(arrays, single, plans, chosen_probe, scores, seed, n_jobs, progress)
    results = {
        name: CrossValidation(
            chosen_probe.name if isinstance(chosen_probe, Probe) else short_repr(probe),
            chosen_probe.parameter if isinstance(chosen_probe, Probe) else None,
            int(seed),
            {
                plan.target.name: _collect(plan, graphs, scores, outcomes[name, number])
                for number, plan in enumerate(plans)
            },
        )
        for name in arrays
    }
    _check_defined(results)
    return results


def _read_probe(probe: Any, task: Task, max_c: float) -> Any:
    if not is_estimator(probe):
        return find_probe(probe, task, max_c)
    check_estimator_task(probe, task)
    return probe


def _read_plans(targets: Sequence[Target], folds: Folds, chooses: bool, seed: int) -> list[_Plan]:
    plans, refused = [], {}
    for target in targets:
        try:
            splits, repeats = folds.of(target)
            groups = folds.groups_of(target) if chooses else None
            inner = [
                inner_folds(target, split, seed, groups) if chooses and len(split.train) else []
                for split in splits
            ]
            plans.append(_Plan(target, splits, inner, repeats))
        except InputError as error:
            refused[target.name] = error
    refuse(refused)
    counts = {(len(plan.splits), plan.repeats) for plan in plans}
    if len(counts) > 1:
        raise InputError(
            f"`cv` must split all targets into the same number of folds, got {short_repr(folds.cv)} with other "
            "numbers; give a list of (train, test)."
        )
    return plans


def _run(
    arrays: Mapping[str, Floats],
    single: Mapping[str, npt.NDArray[np.bool_]],
    plans: Sequence[_Plan],
    probe: Any,
    scores: Sequence[Score],
    seed: int,
    n_jobs: int,
    progress: Callable[[int, int], object] | None,
) -> dict[tuple[str, int], list[Outcome]]:
    """Return the outcomes of all splits, for each array and number of a target."""
    jobs = [
        (name, number, index)
        for number, plan in enumerate(plans)
        for index in range(len(plan.splits))
        for name in arrays
    ]
    found: dict[tuple[str, int, int], Outcome] = {}
    stop = threading.Event()
    nested = Nested(probe, scores, stop, seed)

    # Threads are used because libsvm and BLAS release the interpreter lock, and threads copy no data and start fast.
    # Each thread is limited to one core, or the threads of BLAS and OpenMP would compete for cores. The limit of BLAS
    # applies to the process, so it is set and restored here; that of OpenMP applies to the thread and ends with it.
    with _restored_warnings(), threadpool_limits(1, "blas"):
        workers = min(effective_n_jobs(n_jobs), len(jobs))
        pool = ThreadPoolExecutor(workers, initializer=threadpool_limits, initargs=(1, "openmp"))
        try:
            futures = {}
            for name, number, index in jobs:
                plan = plans[number]
                arguments = (
                    arrays[name],
                    plan.target,
                    plan.splits[index],
                    plan.inner[index],
                    single[name],
                )
                keep = len(plan.splits) == 1  # for the bootstrap
                futures[pool.submit(nested.score, *arguments, keep)] = (name, number, index)
            for done, future in enumerate(as_completed(futures), start=1):
                found[futures[future]] = future.result()
                if progress is not None:
                    progress(done, len(futures))
        finally:
            stop.set()  # without waiting, Ctrl-C takes effect at once; each thread ends after its current fit
            pool.shutdown(wait=False, cancel_futures=True)
    return {
        (name, number): [found[name, number, index] for index in range(len(plan.splits))]
        for number, plan in enumerate(plans)
        for name in arrays
    }


@contextmanager
def _restored_warnings() -> Iterator[None]:
    """Restore the filters of warnings after a block with threads, and show its warnings then.

    Some estimators of scikit-learn change the filters of the whole process while they work. In several threads they
    leave them changed, and warn of filters that another thread has just emptied.
    """
    with warnings.catch_warnings(record=True) as caught:
        yield
    for one in caught:
        if "sklearn.utils.parallel.delayed" not in str(one.message):
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


def _collect(
    plan: _Plan, graphs: int, scores: Sequence[Score], outcomes: Sequence[Outcome]
) -> TargetScores:
    target = plan.target
    shape = (plan.repeats, len(outcomes) // plan.repeats)
    table = np.array([outcome.scores for outcome in outcomes]).T
    part = None
    if outcomes[0].answers is not None:
        test = plan.splits[0].test
        own = outcomes[0].answers.fits_own_labels
        truth = (target.own if own else target.y)[test]
        answers = outcomes[0].answers
        part = Scored(target.rows[test], truth, answers, {one.name: one for one in scores})
    checksum = zlib.crc32(repr(target.classes.tolist()).encode() + target.y.tobytes())
    for split in plan.splits:
        for positions in split:
            checksum = zlib.crc32(target.rows[positions].astype("<i8").tobytes() + b"|", checksum)
    sizes = np.array([[len(split.train), len(split.test)] for split in plan.splits]).T
    return TargetScores(
        task=target.task,
        scores={score.name: row.reshape(shape) for score, row in zip(scores, table, strict=True)},
        chosen=np.array([outcome.chosen for outcome in outcomes]).reshape(shape),
        inner_score=np.array([outcome.inner_score for outcome in outcomes]).reshape(shape),
        train_sizes=sizes[0].reshape(shape),
        test_sizes=sizes[1].reshape(shape),
        unlabelled=graphs - len(target.rows),
        checksum=checksum,
        predicted=_predicted(plan, graphs, outcomes),
        test_part=part,
    )


def _predicted(plan: _Plan, graphs: int, outcomes: Sequence[Outcome]) -> Floats:
    """Return the prediction for each row in each repeat, (repeats, G); see `TargetScores.predicted`."""
    found = np.full((plan.repeats, graphs), np.nan)
    folds = len(outcomes) // plan.repeats
    for index, (split, outcome) in enumerate(zip(plan.splits, outcomes, strict=True)):
        if outcome.predicted is not None:
            found[index // folds, plan.target.rows[split.test]] = outcome.predicted
    return found


def _check_defined(results: Mapping[str, CrossValidation]) -> None:
    """Warn once of undefined scores.

    Raises:
        InputError: the first score is undefined in all folds of all targets.
    """
    missing, first, unchosen = 0, "", 0
    for name, result in results.items():
        for one in result.targets.values():
            unchosen += int((~np.isnan(one.chosen) & np.isnan(one.inner_score)).sum())
        for score in result.scores:
            found = {one: np.isnan(t[score]) for one, t in result.targets.items()}
            is_first = score == next(iter(result.scores))
            if is_first and all(undefined.all() for undefined in found.values()):
                raise InputError(
                    f"The score {score} is undefined in all folds of {name!r}, since the test parts have too few rows "
                    "or only one class, or all predictions are equal; choose another score or other splits."
                )
            missing += sum(int(undefined.sum()) for undefined in found.values())
            if missing and not first:
                target = next(one for one, undefined in found.items() if undefined.any())
                first = f"{score} of target {target!r} on {name!r}"
    if missing:
        warnings.warn(
            f"Scores are undefined in {missing} folds, first {first}, and left out of means: their test parts have too "
            "few rows or only one class, or all predictions are equal.",
            stacklevel=user_stacklevel(),
        )
    if unchosen:
        warnings.warn(
            f"The probe's parameter is the first of its grid in {unchosen} folds, since the score that chooses it is "
            "undefined on all rows held out for the choice.",
            stacklevel=user_stacklevel(),
        )
