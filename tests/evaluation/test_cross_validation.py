import json
import math
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from helpers.paths import ROOT
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import GridSearchCV, KFold, RepeatedStratifiedKFold, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from graphcl_hard.evaluation import statistics
from graphcl_hard.evaluation.cross_validation import cross_validate
from graphcl_hard.evaluation.probes import C_GRID, NEIGHBOURS_GRID, PROBES
from graphcl_hard.exceptions import InputError

REFERENCES = {
    "svm": (SVC(kernel="rbf", gamma="scale"), "C", C_GRID),
    "linear-svm": (LinearSVC(dual=False, max_iter=100_000), "C", C_GRID),
    "logistic": (LogisticRegression(max_iter=100_000), "C", C_GRID),
    "knn": (KNeighborsClassifier(), "n_neighbors", NEIGHBOURS_GRID),
}


def blobs(graphs, columns=4, classes=2, signal=4.0, seed=0):
    """Return points with classes `signal` standard deviations apart in the first column, of about the same size."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(graphs) % classes)
    x = rng.normal(size=(graphs, columns))
    x[:, 0] += signal * y
    return x, y


def sum_pooled(graphs, columns=24, classes=2, seed=0):
    """Return features like sum-pooled ReLU: heavy-tailed, non-negative, collinear, a dead column, repeated graphs."""
    rng = np.random.default_rng(seed)
    size = np.exp(rng.normal(3, 0.8, graphs))
    latent = rng.dirichlet(np.ones(4), graphs) * size[:, None]
    x = np.maximum(latent @ rng.normal(size=(4, columns)) + rng.normal(size=columns), 0)
    x[:, 0] = 0
    score = np.log(size) + 3 * latent[:, 0] / size + rng.logistic(size=graphs)
    y = np.digitize(score, np.quantile(score, np.arange(1, classes) / classes))
    x[: graphs // 4] = x[-(graphs // 4) :]  # repeated rows, half of them with different labels
    return x.astype(np.float32), y


X, Y = blobs(40)


def grid_search(x, y, folds, repeats, seed, probe="svm"):
    """Return accuracy, macro-F1, chosen parameter and inner accuracy of each fold, from scikit-learn only."""
    model, parameter, grid = REFERENCES[probe]
    x = np.asarray(x, dtype=np.float64)
    rows = []
    for train, test in RepeatedStratifiedKFold(
        n_splits=folds, n_repeats=repeats, random_state=seed
    ).split(x, y):
        inner_folds = min(5, np.unique(y[train], return_counts=True)[1].min())
        search = GridSearchCV(
            Pipeline([("scale", StandardScaler()), ("probe", model)]),
            {f"probe__{parameter}": grid},
            cv=StratifiedKFold(inner_folds, shuffle=True, random_state=seed),
        ).fit(x[train], y[train])
        predicted = search.predict(x[test])
        chosen = search.best_params_[f"probe__{parameter}"]
        macro_f1 = f1_score(y[test], predicted, average="macro")
        rows.append((search.score(x[test], y[test]), macro_f1, chosen, search.best_score_))
    return [list(column) for column in zip(*rows, strict=True)]


def assert_equal_to_grid_search(x, y, folds, repeats, seed, probe="svm"):
    result = cross_validate(x, y, probe=probe, cv=folds, repeats=repeats, seed=seed)["vectors"]
    accuracy, macro_f1, chosen, inner_accuracy = grid_search(x, y, folds, repeats, seed, probe)
    assert result.accuracy.ravel().tolist() == accuracy
    assert result.macro_f1.ravel().tolist() == macro_f1
    assert result.targets["y"].chosen.ravel().tolist() == chosen
    assert result.targets["y"].inner_score.ravel().tolist() == inner_accuracy
    return chosen


@pytest.mark.parametrize(
    ("data", "folds", "repeats", "seed"),
    [
        (sum_pooled(150), 3, 2, 0),
        (sum_pooled(150), 3, 1, 7),
        (sum_pooled(120, classes=4, seed=1), 3, 1, 3),
        (blobs(90, signal=1.0), 3, 1, 0),
        (blobs(60, columns=100, signal=1.5), 2, 1, 5),
        (sum_pooled(400, columns=48, seed=2), 2, 1, 1),
    ],
    ids=["sum-pooled", "another-seed", "four-classes", "noisy", "wide", "larger"],
)
def test_shared_kernel_svm_equals_plain_grid_search(data, folds, repeats, seed):
    chosen = assert_equal_to_grid_search(*data, folds, repeats, seed)
    assert set(chosen) <= set(C_GRID)


def test_ties_go_to_the_smallest_c_as_in_grid_search():
    chosen = assert_equal_to_grid_search(*blobs(60, columns=2, signal=30.0), 3, 1, 0)
    assert (
        max(chosen) < 1e3
    )  # all large C are right everywhere, so choosing the last best would give 1e3


def test_constant_embedding_equals_grid_search():
    x, y = np.full((40, 3), 5.0), np.arange(40) % 4 == 0
    assert_equal_to_grid_search(x, y, 3, 1, 0)


@pytest.mark.parametrize("probe", ["linear-svm", "logistic", "knn"])
def test_other_probes_equal_grid_search_and_solve_a_toy_set(probe):
    assert_equal_to_grid_search(*blobs(90, signal=1.0), 2, 1, 0, probe)
    result = cross_validate(*blobs(60, signal=8.0), probe=probe, cv=3, repeats=1)["vectors"]
    assert result.accuracy.mean() > 0.95
    assert result.parameter == REFERENCES[probe][1]


def test_inner_folds_follow_the_smallest_class():
    x, y = blobs(60, signal=3.0)
    y[y.argsort()[-7:]] = 2  # a third class of 7 graphs: 3 or 4 in each training part of 2 folds
    assert_equal_to_grid_search(x, y, 2, 1, 0)


def test_knn_never_asks_for_more_neighbours_than_rows():
    x, y = blobs(16, signal=8.0)
    result = cross_validate(x, y, probe="knn", cv=4, repeats=1)["vectors"]
    assert (
        result.targets["y"].chosen.max() <= 9
    )  # inner folds fit on 9 or 10 of the 12 rows of a training part


def test_planted_signal_is_found_and_shuffled_labels_give_chance():
    x, y = blobs(200, columns=4, signal=8.0)
    found = cross_validate(x, y, cv=3, repeats=1)["vectors"].summary()
    assert found.mean > 0.97
    shuffled = np.random.default_rng(0).permutation(y)
    chance = cross_validate(x, shuffled, cv=5, repeats=1)["vectors"].summary()
    assert 0.4 < chance.mean < 0.6  # 200 fair coins have a standard error of 0.035
    assert chance.low < 0.5 < chance.high


@pytest.mark.parametrize("probe", ["svm", "knn"])
def test_scaler_and_kernel_see_only_the_rows_that_are_fitted(probe, monkeypatch):
    """Every StandardScaler is fitted on part of a training part, never on a row of the test fold."""
    x, y = blobs(60)
    x[:, 3] = np.arange(60)  # identifies the row
    fitted = []
    plain_fit = StandardScaler.fit

    def spy(self, rows, *args, **kwargs):
        fitted.append((threading.get_ident(), frozenset(rows[:, 3].astype(int))))
        return plain_fit(self, rows, *args, **kwargs)

    monkeypatch.setattr(StandardScaler, "fit", spy)
    cross_validate(x, y, probe=probe, cv=3, repeats=1, n_jobs=1)
    splits = list(RepeatedStratifiedKFold(n_splits=3, n_repeats=1, random_state=0).split(x, y))
    assert len(fitted) == 3 * (5 + 1)
    for index, (train, test) in enumerate(splits):
        for position, (_, rows) in enumerate(fitted[index * 6 : index * 6 + 6]):
            assert not rows & set(test)
            assert len(rows) == (
                len(train) if position == 5 else 32
            )  # 4 of 5 inner folds, then the whole part


def test_huge_test_rows_do_not_move_the_scores_of_the_others():
    """If the scaler were fitted on test rows, one far outlier would squash all columns and hide the signal."""
    x, y = blobs(60, columns=2, signal=6.0)
    outlier = 5
    x[outlier] = 1e9
    result = cross_validate(x, y, probe="knn", cv=5, repeats=1)["vectors"]
    splits = list(RepeatedStratifiedKFold(n_splits=5, n_repeats=1, random_state=0).split(x, y))
    fold = next(index for index, (_, test) in enumerate(splits) if outlier in test)
    assert result.accuracy[0, fold] >= 1 - 1 / len(splits[fold][1])


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_parameter_is_chosen_without_the_test_values(task):
    """Changing every test value of a split changes its score, but not its chosen parameter."""
    x, y = sum_pooled(150, seed=4)
    train, test = next(RepeatedStratifiedKFold(n_splits=5, n_repeats=1, random_state=0).split(x, y))
    flipped = y.copy()
    flipped[test] = 1 - y[test]
    one, other = (
        cross_validate(x, values, cv=[(train, test)], task=task)["vectors"].targets["y"]
        for values in (y, flipped)
    )
    assert (one.chosen, one.inner_score) == (other.chosen, other.inner_score)
    first = next(iter(one.scores))
    assert one[first] != other[first]
    if task == "classification":
        assert other["accuracy"] == pytest.approx(1 - one["accuracy"])
        assert one["accuracy"] > 0.55


def test_the_log_scale_is_that_of_signed_logarithms():
    x, y = sum_pooled(90)
    x = x - 3
    found = cross_validate(x, y, cv=3, repeats=1, scale="log")["vectors"]
    logarithms = np.array(
        [[math.copysign(math.log(1 + abs(v)), v) for v in row] for row in x.tolist()]
    )
    assert found.to_dict() == cross_validate(logarithms, y, cv=3, repeats=1)["vectors"].to_dict()
    assert found.to_dict() != cross_validate(x, y, cv=3, repeats=1)["vectors"].to_dict()
    with pytest.raises(InputError, match="`scale` must be one of linear, log, got 'cube'"):
        cross_validate(x, y, scale="cube")


def test_scores_do_not_depend_on_threads_and_follow_the_seed():
    x, y = sum_pooled(120)
    one, three = (cross_validate(x, y, cv=3, repeats=2, n_jobs=jobs)["vectors"] for jobs in (1, 3))
    assert one.to_dict() == three.to_dict()
    assert (one.accuracy[0] != one.accuracy[1]).any()
    assert (
        cross_validate(x, y, cv=3, repeats=1, seed=1)["vectors"].accuracy != one.accuracy[:1]
    ).any()
    fewer = cross_validate(x, y, cv=3, repeats=1)["vectors"]
    np.testing.assert_array_equal(fewer.accuracy[0], one.accuracy[0])


def test_vectors_of_one_call_share_folds_and_do_not_touch_each_other():
    x, y = sum_pooled(100)
    other = np.random.default_rng(0).normal(size=(100, 3))
    both = cross_validate({"trained": x, "untrained": other, "copy": x}, y, cv=3, repeats=1)
    assert list(both) == ["trained", "untrained", "copy"]
    assert both["trained"].to_dict() == both["copy"].to_dict()
    assert (
        both["untrained"].to_dict()
        == cross_validate(other, y, cv=3, repeats=1)["vectors"].to_dict()
    )


def test_labels_may_be_strings_and_only_their_classes_matter():
    x, y = sum_pooled(90, classes=3)
    names = np.array(["b", "c", "a"])[y]
    numbers, strings = (
        cross_validate(x, labels, cv=3, repeats=1)["vectors"] for labels in (y, names)
    )
    np.testing.assert_array_equal(numbers.targets["y"].test_sizes, strings.targets["y"].test_sizes)
    assert strings.accuracy.mean() == pytest.approx(numbers.accuracy.mean(), abs=0.05)


def test_summary_and_sizes():
    x, y = sum_pooled(63)
    result = cross_validate(x, y, cv=4, repeats=3, probe="knn")["vectors"]
    assert (
        result.accuracy.shape == result.macro_f1.shape == result.targets["y"].chosen.shape == (3, 4)
    )
    assert (result.targets["y"].test_sizes + result.targets["y"].train_sizes == 63).all()
    assert result.test_train_ratio == pytest.approx(1 / 3)
    for score in ("accuracy", "macro_f1"):
        values = getattr(result, score)
        summary = result.summary(score)
        assert summary.mean == pytest.approx(values.mean())
        assert summary.std == pytest.approx(np.std(values.mean(axis=1), ddof=1))
        assert (summary.low, summary.high) == pytest.approx(
            statistics.corrected_interval(values, 1 / 3)
        )
    with pytest.raises(InputError, match="score must be one of accuracy, macro_f1, got 'f1'"):
        result.summary("f1")


def test_dictionary_is_plain_json_with_every_fold():
    result = cross_validate(*blobs(40), cv=4, repeats=1, seed=np.int64(3))["vectors"]
    read = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert read["accuracy"] == result.accuracy.tolist()
    assert read["summary"]["accuracy"] == result.summary()._asdict()
    assert read["summary"]["accuracy"]["std"] is None
    assert (read["probe"], read["seed"], read["repeats"], read["folds"]) == ("svm", 3, 1, 4)
    assert len(read["chosen"][0]) == len(read["train_sizes"][0]) == 4


def test_progress_counts_every_fold_in_the_callers_thread():
    seen = []
    x, y = blobs(40)
    cross_validate(
        {"a": x, "b": x},
        y,
        probe="knn",
        cv=4,
        repeats=2,
        progress=lambda *state: seen.append((*state, threading.get_ident())),
    )
    assert seen == [(done, 16, threading.get_ident()) for done in range(1, 17)]


def test_interrupt_stops_between_two_fits(monkeypatch):
    """After an interrupt each thread ends its current fit, not its fold of 36 fits, and starts no other fold."""
    fits, at_interrupt = [], []

    def slow(train, labels, test, grid):
        for _ in grid:
            time.sleep(0.01)
            fits.append(1)
            yield DummyClassifier().fit(train, labels), test

    def interrupt(done, total):
        at_interrupt.append(len(fits))
        raise KeyboardInterrupt

    monkeypatch.setitem(PROBES, "svm", PROBES["svm"]._replace(fitters={"classification": slow}))
    others = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        cross_validate(X, Y, n_jobs=2, progress=interrupt)
    for thread in set(threading.enumerate()) - others:
        thread.join(timeout=60)
        assert not thread.is_alive()
    assert len(fits) - at_interrupt[0] <= 8


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT to a child")
def test_interrupt_ends_a_long_run():
    code = (
        "import signal, sys; sys.path[:0] = ['tests', 'tests/evaluation']\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background jobs ignore it
        "from test_cross_validation import sum_pooled, cross_validate\n"
        "x, y = sum_pooled(400)\n"
        "cross_validate(x, y, repeats=1000, progress=lambda done, total: print(done, flush=True))\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout.readline() == "1\n"  # it is running now
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(
            timeout=120
        )  # a guard against a hang: 10,000 folds take far longer
    finally:
        child.kill()
    assert "KeyboardInterrupt" in errors
    assert child.returncode != 0


BAD_ROW = X.copy()
BAD_ROW[[7, 9], 2] = np.nan, np.inf
RARE = Y.copy()
RARE[Y.argsort()[-4:]] = 5


@pytest.mark.parametrize(
    ("vectors", "labels", "settings", "message"),
    [
        (
            BAD_ROW,
            Y,
            {},
            "vectors must be finite, got NaN or infinity in 2 of 40 rows, first in row 7, column 2; leave",
        ),
        (
            {"trained": X, "untrained": BAD_ROW},
            Y,
            {},
            "vectors 'untrained' must be finite, got NaN or infinity",
        ),
        (X[:39], Y, {}, "vectors must have one row for each label, got 39 for 40"),
        (X[:, 0], Y, {}, r"vectors must have shape \(G, D\) with D >= 1, got \(40,\)"),
        (X[:, :0], Y, {}, r"with D >= 1, got \(40, 0\)"),
        ([["a"]] * 40, Y, {}, r"vectors must be a \(G, D\) array of numbers, got list"),
        ({}, Y, {}, "vectors is an empty mapping"),
        (X, Y[:, None, None], {}, r"labels must have shape \(G,\) or \(G, T\), got \(40, 1, 1\)"),
        (X, Y[:, None][:, :0], {}, "y has no target, but needs at least one"),
        (X, np.where(Y == 0, np.inf, 1), {}, r"labels must be finite, got inf for graph"),
        (
            X,
            np.where(Y == 0, 5.1, 6),
            {"task": "classification"},
            r"labels must be classes, got measured values, such as 5.1 for graph \d+; group them",
        ),
        (
            X,
            np.arange(40) // 2,
            {},
            "labels must be classes with several graphs each, got 20 different values for 40 graphs",
        ),
        (
            X,
            [f"molecule {n}" for n in range(40)],
            {},
            "got 40 different values for 40 graphs, such as molecule 0; group them into classes",
        ),
        (X, np.ones(40, dtype=int), {}, "labels must contain at least 2 classes, got only 1"),
        (X[:0], Y[:0], {}, "labels must have values, got none"),
        (X, Y, {"cv": 1}, r"`cv` must lie in \[2, 20\], got 1"),
        (X, RARE, {"cv": 10}, r"`cv` must lie in \[2, 4\], got 10: class 5 has 4 graphs"),
        (
            X,
            np.array([2, 2, *[1] * 38]),
            {},
            r"class 2 has 2 graphs, but nested folds need at least 3 of each",
        ),
        (
            X,
            np.array([2] * 3 + [1] * 37),
            {"cv": 2},
            r"`cv` must lie in \[3, 3\], got 2: class 2 has 3 graphs",
        ),
        (X, [9] + [1] * 39, {}, "class 9 has 1 graph, but nested folds need at least 3 of each"),
        (X, Y, {"cv": "3"}, "`cv` must be a number of folds, a splitter .* got '3'; 10 is usual"),
        (X, Y, {"cv": 3.0}, "`cv` must be a number of folds, .* got 3.0"),
        (X, Y, {"cv": True}, "`cv` must be a whole number, got True"),
        (X, Y, {"cv": KFold}, r"`cv` must be a number of folds, a splitter .*KFold'>"),
        (X, Y, {"repeats": None}, "`repeats` must be a whole number, got None; 5 or 10 are usual"),
        (X, Y, {"seed": None}, "`seed` must be a whole number, got None"),
        (
            X,
            Y,
            {"seed": np.random.RandomState(0)},
            "`seed` must be a whole number, got RandomState",
        ),
        (X, Y, {"n_jobs": "all"}, "`n_jobs` must be a whole number, got 'all'; use -1 for all"),
        (
            X,
            Y,
            {"probe": ["svm"]},
            r"probe must be an estimator .* got \['svm'\]; did you mean 'svm'",
        ),
        (X, Y, {"probe": SVC}, r"probe must be an estimator .* got <class .*SVC'>; choose one"),
        (X, Y, {"scale": np.ones(2)}, r"`scale` must be one of linear, log, got array"),
        (X, Y, {"progress": True}, "progress must be a function, got True"),
        (X, Y, {"repeats": 0}, "`repeats` must be at least 1, got 0"),
        (X, Y, {"seed": -1}, r"`seed` must lie in \[0, 2\*\*32 - 1\], got -1"),
        (X, Y, {"n_jobs": 0}, "`n_jobs` must be at least 1, or negative .* got 0"),
        (X, Y, {"probe": "linear_svm"}, "got 'linear_svm'; did you mean 'linear-svm'?"),
        (X, Y, {"probe": "xyz"}, "one of svm, linear-svm, logistic, ridge, knn, got 'xyz'; choose"),
    ],
)
def test_bad_input_is_one_clear_sentence(vectors, labels, settings, message):
    with pytest.raises(InputError, match=message) as caught:
        cross_validate(vectors, labels, **settings)
    assert "\n" not in str(caught.value)


def test_three_graphs_of_a_class_are_enough_with_three_folds():
    x, y = blobs(40)
    y[y.argsort()[-3:]] = 5
    assert_equal_to_grid_search(x, y, 3, 1, 0)


def test_the_predictions_are_those_of_plain_cross_validation():
    x, y = blobs(60, signal=1.0)
    rows = np.arange(60) % 7 > 0  # row 0 and others have no label
    names = np.where(rows, np.array(["no", "yes"], dtype=object)[y], None)
    target = cross_validate(x, names, cv=3, repeats=2, seed=1)["vectors"].targets["y"]
    assert target.predicted.shape == (2, 60)
    assert np.isnan(target.predicted[:, ~rows]).all()
    splitter = RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=1)
    known = np.flatnonzero(rows)
    for number, (train, test) in enumerate(splitter.split(x[rows], y[rows])):
        model = make_pipeline(StandardScaler(), SVC(C=target.chosen.ravel()[number]))
        model.fit(x[known[train]], y[known[train]])
        found = target.predicted[number // 3, known[test]]
        assert found.tolist() == model.predict(x[known[test]]).tolist()
        accuracy = target["accuracy"].ravel()[number]
        assert np.mean(found == y[known[test]]) == pytest.approx(accuracy)


def test_an_estimator_of_the_user_has_predictions_too():
    x, y = blobs(60, signal=1.0)
    names = np.array(["no", "yes"])[y]
    plain = cross_validate(x, names, probe=DecisionTreeClassifier(random_state=0), cv=3, repeats=1)
    numbered = cross_validate(x, y, probe=DecisionTreeClassifier(random_state=0), cv=3, repeats=1)
    found, expected = (one["vectors"].targets["y"].predicted for one in (plain, numbered))
    assert found.tolist() == expected.tolist()
    assert set(found.ravel()) == {0.0, 1.0}


def test_the_grid_of_c_ends_at_max_c():
    x, y = sum_pooled(60, classes=3, seed=2)
    for max_c in (1e-2, 5.0, 1e5):
        found = cross_validate(x, y, cv=2, repeats=1, max_c=max_c)["vectors"].targets["y"]
        grid = [float(f"1e{power}") for power in range(-3, 6) if 10.0**power <= max_c]
        search = GridSearchCV(
            make_pipeline(StandardScaler(), SVC()),
            {"svc__C": grid},
            cv=StratifiedKFold(5, shuffle=True, random_state=0),
        )
        splitter = RepeatedStratifiedKFold(n_splits=2, n_repeats=1, random_state=0)
        chosen = [
            search.fit(x[train], y[train]).best_params_["svc__C"]
            for train, _ in splitter.split(x, y)
        ]
        assert found.chosen.ravel().tolist() == chosen
    with pytest.raises(InputError, match=r"`max_c` must lie in \[0.001, 1e\+09\], got nan"):
        cross_validate(x, y, max_c=float("nan"))
