"""What is asked of estimators of the user, whatever they return."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from graphcl_hard.evaluation.cross_validation import cross_validate
from graphcl_hard.exceptions import InputError

RNG = np.random.default_rng(0)
Y = RNG.integers(3, size=90)
X = RNG.normal(size=(90, 3))
X[np.arange(90), Y] += 1.5
FOLDS = {"cv": 3, "repeats": 1}


class Plain(BaseEstimator):
    """Predicts a column, and has no `classes_`."""

    def fit(self, x, y):
        self.model_ = LogisticRegression().fit(x, y)
        return self

    def predict(self, x):
        return self.model_.predict(x)[:, None]

    def predict_proba(self, x):
        return self.model_.predict_proba(x)


class Broken(Plain):
    def __init__(self, where="fit"):
        self.where = where

    def fit(self, x, y):
        if self.where == "fit":
            raise KeyError("no such thing")
        return super().fit(x, y)

    def predict(self, x):
        raise ZeroDivisionError("division by zero")


class Pairs(Plain):
    def predict(self, x):
        return np.zeros((len(x), 2))


def summary(probe, scoring, y=Y):
    found = cross_validate(X, y, probe=probe, scoring=scoring, **FOLDS)
    return found["vectors"].summary().mean


@pytest.mark.parametrize("score", ["accuracy", "mcc", "roc_auc", "f1_weighted", "roc_auc_ovr"])
def test_columns_of_predictions_and_classes_that_are_not_said(score):
    y = np.array(["a", "b", "c"])[Y]
    expected = make_pipeline(LogisticRegression())  # its decision function orders rows otherwise
    if score != "roc_auc":
        assert summary(Plain(), score, y) == summary(expected, score, y)
    assert 0.5 < summary(Plain(), score, y) < 1


@pytest.mark.parametrize("classes", [3, 4])
def test_decisions_for_pairs_of_classes_are_not_those_for_classes(classes):
    y = Y if classes == 3 else np.where(np.arange(90) % 4 == 0, 3, Y)
    pairs = make_pipeline(SVC(decision_function_shape="ovo"))
    with pytest.raises(InputError, match=f"for each of {classes} classes, but Pipeline has others"):
        summary(pairs, "roc_auc", y)


def test_probabilities_are_asked_where_decisions_are_for_pairs():
    class Both(SVC):
        def predict_proba(self, x):
            return np.exp(SVC.decision_function(self.ovr_, x))

        def fit(self, x, y):
            self.ovr_ = SVC().fit(x, y)
            return super().fit(x, y)

    found = summary(Both(decision_function_shape="ovo"), "roc_auc")
    assert found == pytest.approx(summary(SVC(), "roc_auc"))


@pytest.mark.parametrize(
    ("probe", "sentence"),
    [
        (Broken(), r"The probe Broken\(\) fails in fit with KeyError: 'no such thing'; correct it"),
        (Broken("predict"), "fails in predict with ZeroDivisionError: division by zero"),
        (Pairs(), r"Pairs\.predict must return shape \(30,\), got \(30, 2\)"),
    ],
)
@pytest.mark.parametrize("score", ["accuracy", "f1_weighted"])
def test_errors_of_an_estimator_name_it(probe, sentence, score):
    with pytest.raises(InputError, match=sentence):
        summary(probe, score)
