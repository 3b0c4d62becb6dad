"""The shared kernel and the closed form of ridge against scikit-learn, point by point."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

from graphcl_hard.evaluation.probes import ALPHA_GRID, C_GRID, PROBES, shared_kernel
from graphcl_hard.exceptions import InputError


def overlapping(graphs, classes=2, columns=3, repeated=0, seed=0):
    """Return inseparable classes of unequal size; the last `repeated` points repeat the first ones."""
    rng = np.random.default_rng(seed)
    y = np.sort(rng.integers(0, classes, graphs) * rng.integers(0, 2, graphs))[
        rng.permutation(graphs)
    ]
    y[:classes] = np.arange(classes)
    x = np.exp(rng.normal(size=(graphs, columns)) + 0.3 * y[:, None])
    if repeated:
        x[-repeated:] = x[:repeated]
    return StandardScaler().fit_transform(x), y.astype(np.int64)


def separable(graphs):
    x, y = overlapping(graphs)
    x[:, 0] += 10 * y
    return x, y


SETS = {
    "overlapping": overlapping(70),
    "repeated": overlapping(60, repeated=25),
    "four-classes": overlapping(80, classes=4),
    "three-of-a-class": overlapping(50, classes=3, repeated=10, seed=3),
    "separable": separable(50),
    "wide": overlapping(40, columns=60),
    "constant": (np.zeros((20, 3)), np.arange(20) % 4 // 3),
}


def fits(probe, task, train, values, test):
    """Return the models that the probe's fitter yields for each value of its grid, with their predictions."""
    fitter = PROBES[probe].fitters[task]
    grid = PROBES[probe].grid
    return [(m, rows, m.predict(rows)) for m, rows in fitter(train, values, test, grid)]


@pytest.mark.parametrize("name", SETS)
def test_predictions_are_svcs(name):
    x, y = SETS[name]
    labels = 3 * y - 2  # any integers
    test = x + np.random.default_rng(1).normal(scale=0.3, size=x.shape)
    found = fits("svm", "classification", x, labels, test)
    for value, (model, rows, predicted) in zip(C_GRID, found, strict=True):
        plain = SVC(C=value).fit(x, labels)
        np.testing.assert_array_equal(predicted, plain.predict(test))
        np.testing.assert_allclose(
            model.decision_function(rows), plain.decision_function(test), rtol=1e-6, atol=1e-6
        )


@pytest.mark.parametrize("name", SETS)
def test_predicted_values_are_svrs(name):
    x, y = SETS[name]
    rng = np.random.default_rng(1)
    test = x + rng.normal(scale=0.3, size=x.shape)
    values = y + rng.normal(scale=0.5, size=len(x))
    for value, (_, _, predicted) in zip(
        C_GRID, fits("svm", "regression", x, values, test), strict=True
    ):
        plain = SVR(C=value).fit(x, values).predict(test)
        np.testing.assert_allclose(predicted, plain, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", SETS)
def test_closed_form_is_ridge_with_the_solver_of_most_digits(name):
    x, y = SETS[name]
    rng = np.random.default_rng(1)
    test, values = rng.normal(size=(30, x.shape[1])), y + rng.normal(size=len(x))
    x, values = StandardScaler().fit_transform(x), values - values.mean()
    for alpha, (_, _, predicted) in zip(
        ALPHA_GRID, fits("ridge", "regression", x, values, test), strict=True
    ):
        plain = Ridge(alpha, solver="svd").fit(x, values).predict(test)
        np.testing.assert_allclose(predicted, plain, rtol=1e-9, atol=1e-12)


def test_a_caller_can_stop_between_two_fits():
    made = []

    def make(c):
        made.append(c)
        return SVC(C=c, kernel="precomputed")

    x, y = SETS["overlapping"]
    answers = shared_kernel(make)(x, y, x, C_GRID)
    next(answers)
    next(answers)
    assert made == [1e-3, 1e-2]


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["train", "test"])
def test_overflown_features_are_refused_instead_of_solved_for_ever(where, value):
    x, y = SETS["wide"]
    arrays = {"train": x.copy(), "test": x.copy()}
    arrays[where][3, 1] = value
    with pytest.raises(InputError, match="vectors overflow when they are standardised"):
        fits("svm", "classification", arrays["train"], y, arrays["test"])
