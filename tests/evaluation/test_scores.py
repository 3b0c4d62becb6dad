"""Summaries and comparisons against their formulas, and the bootstrap against a slow loop."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.metrics import f1_score, make_scorer
from sklearn.model_selection import GroupKFold

from graphcl_hard.evaluation.answers import Answers
from graphcl_hard.evaluation.cross_validation import cross_validate
from graphcl_hard.evaluation.resampling import RESAMPLES, resampled_scores, resamples
from graphcl_hard.evaluation.scoring import OWN, read_scoring
from graphcl_hard.evaluation.splitters import Split
from graphcl_hard.evaluation.statistics import corrected_interval, holm, paired_difference
from graphcl_hard.evaluation.targets import read_target
from graphcl_hard.exceptions import InputError

RNG = np.random.default_rng(0)
LATENT = RNG.normal(size=(90, 2))
X = {"good": LATENT + 0.3 * RNG.normal(size=(90, 2)), "noise": RNG.normal(size=(90, 2))}
CLASSES = np.where(RNG.random((90, 2)) < 0.2, np.nan, LATENT > 0.2)
VALUES = np.where(RNG.random((90, 2)) < 0.2, np.nan, LATENT)
SPLIT = Split(np.arange(50), np.arange(50, 60), np.arange(60, 90))


class Model:
    def __init__(self, predicted, decision, classes):
        self.predicted, self.classes_ = predicted, classes
        self.decision_function = lambda rows: decision

    def predict(self, rows):
        return self.predicted


def answers_for(truth, classes, seed):
    """Return imperfect answers with ties."""
    rng = np.random.default_rng(seed)
    if not classes:
        predicted = np.round(truth + rng.normal(size=len(truth)), 1)
        return Answers(
            Model(predicted, None, None), np.zeros((len(truth), 1)), np.empty(0), np.empty(0)
        )
    predicted = np.where(
        rng.random(len(truth)) < 0.6, truth, rng.integers(classes, size=len(truth))
    )
    decision = np.round(rng.normal(size=(len(truth), classes)), 1)
    decision[np.arange(len(truth)), truth] += 1
    decision = decision[:, 1] if classes == 2 else decision
    names = np.arange(classes)
    return Answers(Model(predicted, decision, names), np.zeros((len(truth), 1)), names, names)


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        *((name, k) for name in OWN["classification"] for k in (2, 3)),
        *((n, 0) for n in OWN["regression"]),
    ],
)
def test_resampled_scores_are_those_of_the_rows_drawn(name, classes):
    """Four rows, so that many resamples lack a class, or have equal values."""
    rng = np.random.default_rng(1)
    truth = rng.integers(classes, size=4) if classes else np.round(rng.normal(size=4), 1)
    truth[:2] = [0, 1]
    score = OWN["classification" if classes else "regression"][name]
    counts = next(resamples(4, seed=3))[:300]
    fast = resampled_scores(score, truth, answers_for(truth, classes, 2), counts)
    loop = []
    for row in counts.astype(int):
        drawn = np.repeat(np.arange(4), row)
        answers = answers_for(truth, classes, 2)
        answers.predicted()
        if classes:
            answers.decision(1)
        loop.append(score.compute(truth[drawn], answers.take(drawn)))
    np.testing.assert_allclose(fast, loop, rtol=1e-9, atol=1e-12)
    assert np.isnan(fast).any() == (name in ("roc_auc", "average_precision", "spearman"))


def test_resamples_draw_as_many_rows_as_there_are_all_equally_often():
    counts = np.concatenate(list(resamples(700, seed=0)))
    assert counts.shape == (RESAMPLES, 700)
    assert (counts.sum(axis=1) == 700).all()
    assert counts.mean(axis=0) == pytest.approx(1, abs=0.12)  # standard error 0.022
    assert np.var(counts) == pytest.approx(1 - 1 / 700, rel=0.01)
    assert (counts == np.concatenate(list(resamples(700, seed=0)))).all()


def test_repeated_folds_have_corrected_intervals_and_tests():
    found = cross_validate(X, VALUES, probe="ridge", cv=3, repeats=2)
    good, noise = found["good"], found["noise"]
    for score in ("r2", "mae"):
        for target in (None, "0", "1"):
            first, second = (
                one.scores[score] if target is None else one.targets[target][score]
                for one in (good, noise)
            )
            ratio = (
                good.test_train_ratio if target is None else good.targets[target].test_train_ratio
            )
            summary = good.summary(score, target)
            assert (summary.low, summary.high) == corrected_interval(first, ratio)
            assert summary.std == pytest.approx(first.mean(axis=1).std(ddof=1))
            expected = pytest.approx(paired_difference(first, second, ratio))
            assert good.compare(noise, score, target) == expected
    assert good.compare(noise, "r2").difference > 0 > good.compare(noise, "mae").difference
    each = good.compare_targets(noise, "r2")
    plain = {name: good.compare(noise, "r2", name) for name in each}
    assert [pair.p for pair in each.values()] == holm([pair.p for pair in plain.values()]).tolist()
    assert {n: p._replace(p=0) for n, p in each.items()} == {
        n: p._replace(p=0) for n, p in plain.items()
    }


def by_loop(found, score, target):
    """Return the score of each resample of the test rows of a single split, row by row."""
    rows = np.unique(np.concatenate([t.test_part.rows for t in found.targets.values()]))
    if target is not None:
        rows = found.targets[target].test_part.rows
    means = []
    for counts in np.concatenate(list(resamples(len(rows), found.seed))).astype(int):
        drawn = np.repeat(rows, counts)
        each = []
        for name, one in found.targets.items():
            part = one.test_part
            place = {row: position for position, row in enumerate(part.rows.tolist())}
            mine = np.array([place[row] for row in drawn.tolist() if row in place])
            if (target is None or name == target) and len(mine):
                each.append(part.scores[score].compute(part.truth[mine], part.answers.take(mine)))
        means.append(np.nanmean(each) if not np.isnan(each).all() else np.nan)
    return np.array(means)


@pytest.mark.parametrize(
    ("y", "score", "target"),
    [(CLASSES, "roc_auc", None), (CLASSES, "roc_auc", "1"), (VALUES, "spearman", None)],
)
def test_a_single_split_has_the_bootstrap_over_its_test_rows(y, score, target, monkeypatch):
    monkeypatch.setattr("graphcl_hard.evaluation.resampling.RESAMPLES", 200)
    found = cross_validate(X, y, cv=SPLIT, scoring=[score], seed=5)
    loops = [by_loop(one, score, target) for one in found.values()]
    summary = found["good"].summary(score, target)
    low, high = np.nanquantile(loops[0], [0.025, 0.975])
    assert (summary.low, summary.high) == pytest.approx((low, high))
    assert summary.std is None
    assert summary.low < summary.mean < summary.high
    pair = found["good"].compare(found["noise"], score, target)
    difference = loops[0] - loops[1]
    assert (pair.low, pair.high) == pytest.approx(tuple(np.nanquantile(difference, [0.025, 0.975])))
    tail = min((difference <= 0).sum(), (difference >= 0).sum())
    assert pair.p == pytest.approx(2 * (1 + tail) / (1 + np.isfinite(difference).sum()))
    assert (pair.t, pair.degrees_of_freedom) == (None, None)
    other = found["noise"].summary(score, target).mean
    assert pair.difference == pytest.approx(summary.mean - other)


def test_all_scorers_have_the_bootstrap(monkeypatch):
    """Those of scikit-learn, and functions, are called for each resample."""
    monkeypatch.setattr("graphcl_hard.evaluation.resampling.RESAMPLES", 50)
    y = LATENT[:, 0] > 0

    def function(estimator, rows, labels):
        return f1_score(labels, estimator.predict(rows), average="macro", zero_division=0.0)

    own = cross_validate(X["good"], y, cv=SPLIT, scoring="macro_f1")["vectors"].summary()
    scorer = make_scorer(f1_score, average="macro", zero_division=0.0)
    for other in (function, scorer):
        found = cross_validate(X["good"], y, cv=SPLIT, scoring={"other": other})["vectors"]
        assert found.summary() == pytest.approx(own, nan_ok=True)


def test_results_of_other_splits_are_not_compared():
    one, other = (
        cross_validate(X, CLASSES, probe="knn", cv=2, repeats=1, seed=seed)["good"]
        for seed in (0, 1)
    )
    with pytest.raises(InputError, match="must have the same targets and splits to be compared"):
        one.compare(other)
    with pytest.raises(InputError, match="target must be one of 0, 1, got '2'; choose"):
        one.compare(one, target="2")
    with pytest.raises(
        InputError, match="score must be one of roc_auc, average_precision, got 'mcc'"
    ):
        one.compare(one, "mcc")
    same = one.compare(one)
    assert (same.difference, same.p) == (0, 1)


def test_undefined_folds_are_left_out_of_both():
    y = CLASSES[:, 0].copy()
    y[60:75] = 1.0
    splits = [(np.arange(60), part) for part in np.split(np.arange(60, 90), 6)]
    with pytest.warns(UserWarning, match="undefined in"):
        found = cross_validate(X, y, probe="knn", cv=splits, scoring="roc_auc")
    first, second = (one.scores["roc_auc"] for one in found.values())
    defined = ~np.isnan(first)
    assert 1 < defined.sum() < 6
    ratio = found["good"].test_train_ratio
    expected = paired_difference(first[defined], second[defined], ratio)
    assert found["good"].compare(found["noise"]) == expected
    summary = found["good"].summary()
    assert (summary.low, summary.high) == corrected_interval(first[defined], ratio)
    assert summary.mean == pytest.approx(np.nanmean(first))


def test_scores_of_a_mapping_have_its_names():
    target = read_target("y", np.arange(20) % 2)
    scores = read_scoring({"area": "roc_auc", "f": "f1"}, [target])
    assert [(score.name, score.sign) for score in scores] == [("area", 1), ("f", 1)]


class Lazy(RegressorMixin, BaseEstimator):
    """Predicts the first feature, or a constant for targets that have little to do with it."""

    def fit(self, x, y):
        related = abs(np.corrcoef(x[:, 0], y)[0, 1]) > 0.4
        self.slope_ = float(related)
        return self

    def predict(self, x):
        return x[:, 0] * self.slope_


def easy_and_hard():
    rng = np.random.default_rng(3)
    easy, hard = rng.normal(size=(2, 120))
    first = easy + 1.2 * rng.normal(size=120)  # knows the easy target only
    second = 0.7 * easy + 0.6 * hard + 0.1 * rng.normal(size=120)  # is better on both
    return {"first": first[:, None], "second": second[:, None]}, {"easy": easy, "hard": hard}


@pytest.mark.parametrize("cv", [4, Split(np.arange(60), [], np.arange(60, 120))])
@pytest.mark.filterwarnings("ignore:Scores are undefined")
def test_differences_of_means_are_those_of_the_same_targets(cv):
    vectors, y = easy_and_hard()
    found = cross_validate(vectors, y, probe=Lazy(), scoring="spearman", cv=cv, repeats=1)
    first, second = found["first"], found["second"]
    assert np.isnan(first.targets["hard"]["spearman"]).all()
    assert not np.isnan(second.targets["hard"]["spearman"]).any()
    pair, easy = first.compare(second), first.compare(second, target="easy")
    assert (pair.difference, pair.low) == pytest.approx((easy.difference, easy.low))
    assert pair.difference < 0
    assert list(first.compare_targets(second)) == ["easy"]
    assert first.compare_targets(second)["easy"].p == easy.p  # Holm's correction for one
    with pytest.raises(InputError, match="The score spearman of target 'hard' must be defined for"):
        first.compare(second, target="hard")


@pytest.mark.filterwarnings("ignore:Scores are undefined")
def test_a_target_without_test_rows_is_left_out():
    y = {"whole": CLASSES[:, 0], "cut": np.where(np.arange(90) < 60, LATENT[:, 1] > 0, np.nan)}
    found = cross_validate(X, y, probe="knn", cv=SPLIT)
    pairs = found["good"].compare_targets(found["noise"])
    assert list(pairs) == ["whole"]
    assert found["good"].compare(found["noise"]).difference == pairs["whole"].difference


def test_results_of_two_seeds_draw_the_same_resamples():
    one, other = (
        cross_validate(X, CLASSES[:, 0], probe="knn", cv=SPLIT, seed=seed)["good"]
        for seed in (0, 1)
    )
    pair = one.compare(other)
    assert (pair.low, pair.high, pair.p) == (0, 0, 1)


def test_the_mean_of_targets_is_that_of_their_rows():
    y = CLASSES.copy()
    y[20:, 1] = 0.0
    groups = np.arange(90) // 10
    with pytest.warns(UserWarning, match="undefined"):
        found = cross_validate(
            X["good"], y, probe="knn", cv=GroupKFold(9), groups=groups, scoring="roc_auc"
        )["vectors"]
    each = [found.summary("roc_auc", name) for name in found.targets]
    summary = found.summary("roc_auc")
    assert summary.mean == pytest.approx(np.mean([one.mean for one in each]))
    assert summary.mean != pytest.approx(np.nanmean(found.scores["roc_auc"]))
    assert (summary.low, summary.high) == (None, None)


def test_results_of_other_values_or_probes_are_not_compared():
    one = cross_validate(X, LATENT[:, 0], probe="ridge", cv=2, repeats=1)["good"]
    for y, probe in ((LATENT[:, 1], "ridge"), (LATENT[:, 0], "knn")):
        other = cross_validate(X, y, probe=probe, cv=2, repeats=1)["good"]
        with pytest.raises(InputError, match=r"the same (targets and splits|probe) to be"):
            one.compare(other)


def test_the_bootstrap_asks_a_scorer_once_for_each_resample(monkeypatch):
    monkeypatch.setattr("graphcl_hard.evaluation.resampling.RESAMPLES", 20)
    calls = []

    def function(estimator, rows, labels):
        calls.append(len(labels))
        if len(np.unique(labels[:2])) < 2:
            raise ValueError("one class")
        return 1.0

    y = np.arange(90) % 2
    found = cross_validate(X["good"], y, probe="knn", cv=SPLIT, scoring=function)["vectors"]
    calls.clear()
    assert found.summary() == found.summary()
    assert len(calls) == 20
