"""The shared kernel against scikit-learn's SVC, point by point."""

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from graphcl_hard.evaluation import probes as kernel_svm
from graphcl_hard.evaluation.probes import C_GRID
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


@pytest.mark.parametrize("name", SETS)
def test_predictions_are_svcs(name):
    x, y = SETS[name]
    labels = 3 * y - 2  # any integers
    test = x + np.random.default_rng(1).normal(scale=0.3, size=x.shape)
    for value, predicted in zip(
        C_GRID, kernel_svm.svm_predictions(x, labels, test, C_GRID), strict=True
    ):
        np.testing.assert_array_equal(predicted, SVC(C=value).fit(x, labels).predict(test))


def test_a_caller_can_stop_between_two_fits(monkeypatch):
    fits = []
    monkeypatch.setattr(kernel_svm, "SVC", lambda C, **more: fits.append(C) or SVC(C=C, **more))
    x, y = SETS["overlapping"]
    answers = kernel_svm.svm_predictions(x, y, x, C_GRID)
    next(answers)
    next(answers)
    assert fits == [1e-3, 1e-2]


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["train", "test"])
def test_overflown_features_are_refused_instead_of_solved_for_ever(where, value):
    x, y = SETS["wide"]
    arrays = {"train": x.copy(), "test": x.copy()}
    arrays[where][3, 1] = value
    with pytest.raises(InputError, match="vectors overflow when they are standardised"):
        next(kernel_svm.svm_predictions(arrays["train"], y, arrays["test"], C_GRID))
