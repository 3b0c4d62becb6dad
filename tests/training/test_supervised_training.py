"""The scores, the schedule, and the settings of supervised training."""

import dataclasses
import inspect
import math
import re
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, r2_score

from graphcl_hard import HardInfoGraphClassifier
from graphcl_hard.evaluation.answers import Answers
from graphcl_hard.evaluation.measures import r2
from graphcl_hard.training.fine_tuning import FineTuning
from graphcl_hard.training.supervised import cosine_share, masked_accuracy, masked_r2


def test_scores_are_those_of_scikit_learn_column_by_column():
    generator = np.random.default_rng(0)
    y, predicted = generator.normal(size=(2, 40, 3))
    y[generator.random(y.shape) < 0.5] = np.nan
    known = ~np.isnan(y)
    columns = [(y[known[:, t], t], predicted[known[:, t], t]) for t in range(3)]
    assert masked_r2(predicted, y) == pytest.approx(np.mean([r2_score(*pair) for pair in columns]))
    signs = [(truth > 0, found > 0) for truth, found in columns]
    truth = np.where(known, y > 0, np.nan)
    expected = np.mean([accuracy_score(*pair) for pair in signs])
    assert masked_accuracy((predicted > 0).astype(float), truth) == pytest.approx(expected)


def test_targets_without_a_score_are_left_out_of_the_mean():
    y = np.array([[1.0, np.nan, 2.0], [3.0, np.nan, 2.0]])
    assert masked_r2(y.copy(), y) == 1
    assert math.isnan(masked_accuracy(np.zeros((2, 3)), np.full((2, 3), np.nan)))
    assert np.isnan(masked_r2(np.zeros(2), np.full(2, np.nan)))
    assert math.isnan(masked_r2(np.zeros(1), np.ones(1)))


@pytest.mark.parametrize("predicted", [[0.5, 0.5, 0.5], [0.5, 0.5, 0.75]])
def test_r2_of_equal_true_values_is_that_of_scikit_learn_and_of_the_evaluation(predicted):
    truth, found = np.full(3, 0.5), np.array(predicted)
    wanted = r2_score(truth, found)
    assert masked_r2(found, truth) == wanted
    model = SimpleNamespace(predict=lambda rows: found[rows])
    answers = Answers(model, np.arange(3), np.empty(0), np.empty(0))
    with np.errstate(all="ignore"):  # as its callers do
        assert r2(truth, answers, np.ones((1, 3)))[0] == wanted


def test_the_cosine_rises_over_a_tenth_of_the_steps_and_ends_at_zero():
    shares = [cosine_share(step, 100) for step in range(1, 101)]
    assert shares[:10] == pytest.approx(np.arange(1, 11) / 10)
    assert shares[54] == pytest.approx(0.5)
    assert shares[99] == pytest.approx(0)
    assert cosine_share(1, 1) == 1


def test_the_estimators_have_the_settings_with_their_defaults():
    parameters = inspect.signature(HardInfoGraphClassifier).parameters
    for field in dataclasses.fields(FineTuning):
        assert parameters[field.name].default == field.default, field.name


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"lr": -1}, r"`lr` must lie in \[0, 1000\], got -1"),
        ({"batch_size": 1}, r"`batch_size` must lie in \[2, "),
        ({"dropout": 1}, r"`dropout` must lie in \[0, 1\)"),
        ({"freeze": "yes"}, "`freeze` must be True, False or a number of epochs, got 'yes'"),
        ({"freeze": -1}, "`freeze` must lie in"),
        ({"patience": 0}, "`patience` must lie in"),
        ({"patience": 1.5}, "`patience` must be a whole number, got 1.5"),
        ({"schedule": "cosin"}, "did you mean 'cosine'"),
        ({"validation_fraction": None}, "`validation_fraction` must be a number"),
    ],
)
def test_mistakes_are_named(settings, words):
    (mistake,) = FineTuning(**settings).mistakes()
    assert re.search(words, mistake)
