"""Each score against scikit-learn's own, with its scorers and its grid search on the same folds."""

import warnings

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn import metrics
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Perceptron
from sklearn.model_selection import (
    GridSearchCV,
    RepeatedStratifiedKFold,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, label_binarize
from sklearn.svm import SVC, LinearSVC

from graphcl_hard.evaluation.answers import Answers
from graphcl_hard.evaluation.cross_validation import cross_validate
from graphcl_hard.evaluation.probes import C_GRID, NEIGHBOURS_GRID
from graphcl_hard.evaluation.scoring import OWN
from graphcl_hard.exceptions import InputError

CLASSES = ["accuracy", "macro_f1", "balanced_accuracy", "roc_auc", "average_precision", "mcc"]


def unbalanced(graphs=90, classes=2, seed=0):
    """Return noisy classes, the first of which has most rows."""
    rng = np.random.default_rng(seed)
    y = np.digitize(rng.random(graphs), [0.6, 0.85][: classes - 1])
    return rng.normal(size=(graphs, 4)) + 0.8 * y[:, None] * [1, -1, 0, 0], y


class Fixed:
    """A fitted model with the answers that it is given."""

    def __init__(self, predicted, decision=None, classes=None):
        self.predicted, self.classes_ = predicted, classes
        if decision is not None:
            self.decision_function = lambda rows: decision

    def predict(self, rows):
        return self.predicted


def own(name, truth, predicted, decision=None, classes=()):
    task = "classification" if len(classes) else "regression"
    classes = np.array(classes)
    model = Fixed(predicted, decision, classes)
    answers = Answers(model, np.zeros((len(truth), 1)), classes, classes)
    return OWN[task][name].compute(truth, answers)


def scikit_learn(name, truth, predicted, decision, classes):
    """Return the score with scikit-learn's functions, class against the rest where there are more than two."""
    if name == "macro_f1":
        return metrics.f1_score(truth, predicted, average="macro")
    if name == "mcc":
        return metrics.matthews_corrcoef(truth, predicted)
    if name in ("roc_auc", "average_precision"):
        measure = getattr(metrics, f"{name}_score")
        if len(classes) == 2:
            return measure(truth == classes[1], decision)
        return measure(label_binarize(truth, classes=classes), decision, average="macro")
    return getattr(metrics, f"{name}_score")(truth, predicted)


@pytest.mark.parametrize("classes", [2, 3, 9])
@pytest.mark.parametrize("name", CLASSES)
def test_scores_of_classes_are_scikit_learns(name, classes):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        truth = np.append(rng.integers(classes, size=60), np.arange(classes))
        predicted = np.where(
            rng.random(len(truth)) < 0.5, truth, rng.integers(classes, size=len(truth))
        )
        decision = np.round(rng.normal(size=(len(truth), classes)), 1)  # with ties
        decision[np.arange(len(truth)), truth] += 1
        decision = decision[:, 1] - decision[:, 0] if classes == 2 else decision
        names = np.arange(classes) * 3 - 5
        found = own(name, names[truth], names[predicted], decision, names)
        expected = scikit_learn(name, names[truth], names[predicted], decision, names)
        assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["r2", "rmse", "mae", "spearman"])
def test_scores_of_values_are_those_of_scikit_learn_and_scipy(name):
    expected = {
        "r2": metrics.r2_score,
        "rmse": metrics.root_mean_squared_error,
        "mae": metrics.mean_absolute_error,
        "spearman": lambda truth, predicted: spearmanr(truth, predicted).statistic,
    }[name]
    for seed in range(20):
        rng = np.random.default_rng(seed)
        truth = np.round(rng.normal(size=40), 1)  # with ties
        predicted = np.round(truth + rng.normal(size=40), 1)
        assert own(name, truth, predicted) == pytest.approx(expected(truth, predicted), rel=1e-12)


@pytest.mark.parametrize(
    ("name", "truth", "predicted", "expected"),
    [
        ("r2", [2.0, 2.0], [2.0, 2.0], 1.0),  # as scikit-learn
        ("r2", [2.0, 2.0], [2.0, 1.0], 0.0),
        ("r2", [2.0], [1.0], np.nan),
        ("spearman", [1.0, 2.0], [3.0, 3.0], np.nan),
        ("spearman", [1.0, 1.0], [3.0, 4.0], np.nan),
    ],
)
def test_values_without_spread(name, truth, predicted, expected):
    found = own(name, np.array(truth), np.array(predicted))
    assert found == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("classes", [[0, 1], [0, 1, 2]])
def test_test_rows_of_one_class(classes):
    """Areas under curves are undefined, Matthews' coefficient is 0 as in scikit-learn."""
    truth, predicted = np.ones(4, dtype=int), np.array([1, 1, 0, 1])
    decision = np.arange(4.0) if len(classes) == 2 else np.arange(12.0).reshape(4, 3)
    for name in ("roc_auc", "average_precision"):
        assert np.isnan(own(name, truth, predicted, decision, classes))
    assert own("mcc", truth, truth, decision, classes) == 0
    assert own("balanced_accuracy", truth, predicted, decision, classes) == 0.75


def test_a_class_that_was_not_trained_on_is_ranked_by_nothing():
    truth, classes = np.array([0, 1, 2, 0, 1, 2]), np.array([0, 1, 2])
    decision = np.array(
        [[2.0, 0], [0, 2], [0, 1], [1, 0], [0, 1], [1, 1]]
    )  # of the classes 0 and 1
    answers = Answers(Fixed(truth, decision, classes[:2]), np.zeros((6, 1)), classes, classes)
    areas = [metrics.roc_auc_score(truth == c, decision[:, c]) for c in (0, 1)]
    found = OWN["classification"]["roc_auc"].compute(truth, answers)
    assert found == pytest.approx((sum(areas) + 0.5) / 3)


PIPELINES = {
    "svm": (SVC(), "svc__C", C_GRID),
    "linear-svm": (LinearSVC(dual=False, max_iter=100_000), "linearsvc__C", C_GRID),
    "logistic": (LogisticRegression(max_iter=100_000), "logisticregression__C", C_GRID),
    "knn": (KNeighborsClassifier(), "kneighborsclassifier__n_neighbors", NEIGHBOURS_GRID),
}


@pytest.mark.parametrize("scoring", ["roc_auc", "average_precision", "balanced_accuracy", "f1"])
@pytest.mark.parametrize("probe", PIPELINES)
def test_the_first_score_chooses_as_in_grid_search(probe, scoring):
    """Of classes with names, whose second one in sorted order is the positive one."""
    x, y = unbalanced()
    labels = y if scoring == "f1" else np.array(["harmless", "toxic"])[y]
    model, parameter, grid = PIPELINES[probe]
    outer = RepeatedStratifiedKFold(n_splits=2, n_repeats=1, random_state=3)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), model),
        {parameter: grid},
        cv=StratifiedKFold(5, shuffle=True, random_state=3),
        scoring=scoring,
    )
    expected = cross_val_score(search, x, y, cv=outer, scoring=scoring)
    settings = {"probe": probe, "scoring": scoring, "cv": 2, "repeats": 1, "seed": 3}
    found = cross_validate(x, labels, **settings)["vectors"]
    np.testing.assert_allclose(found.scores[scoring].ravel(), expected, rtol=1e-9)


def test_scikit_learns_names_scorers_and_functions_agree():
    """A function of (estimator, X, y) sees a pipeline of scikit-learn and the labels as they were given."""
    x, y = unbalanced()
    y = np.array(["harmless", "toxic"])[y]

    def function(estimator, rows, labels):
        assert set(labels) == {"harmless", "toxic"}
        assert rows.shape[1] == 4
        return metrics.f1_score(labels, estimator.predict(rows), pos_label="toxic")

    scorer = metrics.make_scorer(metrics.f1_score, pos_label="toxic")
    settings = {"cv": 2, "repeats": 1}
    by_name = cross_validate(x, y == "toxic", scoring="f1", **settings)["vectors"]
    by_scorer = cross_validate(x, y, scoring={"f1": scorer}, **settings)["vectors"]
    by_function = cross_validate(x, y, scoring={"f1": function}, **settings)["vectors"]
    assert by_name.to_dict()["f1"] == by_scorer.to_dict()["f1"] == by_function.to_dict()["f1"]
    assert by_name.to_dict()["chosen"] == by_function.to_dict()["chosen"]
    assert list(cross_validate(x, y, scoring=function, **settings)["vectors"].scores) == [
        "function"
    ]


def test_measured_values_may_have_scikit_learns_names_too():
    x, _ = unbalanced()
    y = x[:, 0] + 0.1 * x[:, 1] ** 2
    settings = {"probe": "ridge", "cv": 3, "repeats": 1}
    found = cross_validate(x, y, scoring=["neg_mean_absolute_error", "mae"], **settings)["vectors"]
    np.testing.assert_allclose(-found.scores["neg_mean_absolute_error"], found.scores["mae"])
    other = cross_validate(x, y, scoring=lambda m, a, b: m.score(a, b), **settings)["vectors"]
    plain = cross_validate(x, y, scoring="r2", **settings)["vectors"]
    np.testing.assert_allclose(other.scores["<lambda>"], plain.scores["r2"], rtol=1e-9)


@pytest.mark.parametrize(
    "probe",
    [
        RandomForestClassifier(5, random_state=0),
        make_pipeline(StandardScaler(), LogisticRegression()),
        GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [1, 5]}, cv=3),
    ],
    ids=["forest", "pipeline", "search"],
)
@pytest.mark.parametrize("classes", [2, 3])
def test_estimators_of_scikit_learn_are_probes(probe, classes):
    x, y = unbalanced(classes=classes)
    y = np.array(["a", "b", "c"])[y]
    names = ["accuracy", "balanced_accuracy", "roc_auc" if classes == 2 else "roc_auc_ovr"]
    found = cross_validate(x, y, probe=probe, scoring=names, cv=3, repeats=1)["vectors"]
    outer = RepeatedStratifiedKFold(n_splits=3, n_repeats=1, random_state=0)
    for name in names:
        expected = cross_val_score(probe, x, y, cv=outer, scoring=name)
        np.testing.assert_allclose(found.scores[name].ravel(), expected, rtol=1e-12)
    told = found.to_dict()
    assert told["parameter"] is None
    assert not {"chosen", "inner_accuracy"} & told.keys()
    assert not hasattr(probe, "classes_")  # it was cloned


def test_threads_restore_the_filters_of_warnings_and_show_what_the_probe_warns_of():
    class Warner(DummyClassifier):
        def predict(self, rows):
            warnings.warn("predicted", UserWarning, stacklevel=1)
            warnings.warn("sklearn.utils.parallel.delayed should be used", stacklevel=1)
            warnings.simplefilter("always", ImportWarning)  # as a thread that restores too late
            return super().predict(rows)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        filters = list(warnings.filters)
        cross_validate(X, Y, probe=Warner(), cv=4, repeats=1, n_jobs=2)
        assert list(warnings.filters) == filters
    assert {str(one.message) for one in caught} == {"predicted"}


def test_undefined_scores_are_left_out_with_one_warning():
    x, y = unbalanced(60)
    y[-10:] = 0
    splits = [(np.arange(30), np.arange(30, 50)), (np.arange(30), np.arange(50, 60))]
    with pytest.warns(
        UserWarning, match="undefined in 2 folds, first roc_auc of target 'y'"
    ) as all_:
        found = cross_validate(x, y, cv=splits, scoring=["roc_auc", "average_precision"])["vectors"]
    assert len(all_) == 1
    assert np.isnan(found.scores["roc_auc"][0]).tolist() == [False, True]
    assert found.summary().mean == found.scores["roc_auc"][0, 0]
    assert (found.summary().low, found.summary().high) == (None, None)
    assert found.to_dict()["roc_auc"][0][1] is None
    with pytest.raises(InputError, match="roc_auc is undefined in all folds of 'vectors'"):
        cross_validate(x, y, cv=splits[1:], scoring="roc_auc")


@pytest.mark.parametrize("probe", ["svm", "logistic", "knn", "linear-svm"])
def test_a_training_part_of_one_class_or_without_one_of_the_test_part(probe):
    x, y = unbalanced(60, classes=3)
    one, both = (np.flatnonzero(np.isin(y, c)) for c in ([0], [0, 1]))
    test = np.flatnonzero(y == 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = cross_validate(
            x,
            y,
            probe=probe,
            cv=[(one[5:], np.append(test, one[:5])), (both[8:], np.append(test, both[:8]))],
            scoring=["accuracy", "roc_auc", "macro_f1"],
        )["vectors"]
    assert found.accuracy[0, 0] == pytest.approx(5 / (5 + len(test)))
    assert found.scores["roc_auc"][0, 0] == 0.5
    assert found.accuracy[0, 1] <= 8 / (8 + len(test))


X, Y = unbalanced(40)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"scoring": "rocauc"},
            "scoring must name a score for classification: .* did you mean 'roc_auc'",
        ),
        ({"scoring": "r2"}, "scoring must name a score for classification"),
        ({"scoring": []}, "scoring must name at least one score, each once"),
        ({"scoring": ["mcc", "mcc"]}, "scoring must name at least one score, each once"),
        ({"scoring": 5}, "scoring must be a name, a list of names, a mapping or a scorer, got 5"),
        ({"scoring": [5]}, "scoring must be names or scorers, got 5"),
        ({"scoring": lambda m, a, b: "good"}, "A scorer must return a number, got 'good'"),
        (
            {"scoring": "neg_log_loss"},
            "The score neg_log_loss needs another kind of prediction than",
        ),
        (
            {"probe": LinearRegression()},
            r"probe must be a classifier for classification, got Linear",
        ),
    ],
)
def test_what_cannot_be_scored_is_one_sentence(settings, sentence):
    with pytest.raises(InputError, match=sentence) as error:
        cross_validate(X, Y, cv=3, repeats=1, **settings)
    assert "\n" not in str(error.value)


def test_a_score_that_the_estimator_cannot_have_is_one_sentence():
    class Hard(DummyClassifier):
        predict_proba = property()

    with pytest.raises(
        InputError, match="need decision_function or predict_proba, but Hard has neither"
    ):
        cross_validate(X, Y, cv=3, repeats=1, probe=Hard(), scoring="roc_auc")
    with pytest.raises(
        InputError, match="neg_log_loss needs another kind of prediction than Perceptron"
    ):
        cross_validate(X, Y, cv=3, repeats=1, probe=Perceptron(), scoring="neg_log_loss")
    with pytest.raises(InputError, match="The score f1 cannot be computed: Target is multiclass"):
        cross_validate(*unbalanced(60, classes=3), cv=3, repeats=1, scoring="f1")
