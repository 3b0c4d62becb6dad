"""Columns that are constant up to rounding in the training rows."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from graphcl_hard import cross_validate
from graphcl_hard.evaluation.effective_rank import effective_rank
from graphcl_hard.evaluation.rounding import flatten_constants, float32_columns
from graphcl_hard.sweeps.few_labels import score

ROWS, TEST = 60, np.array([7, 20, 41])
TRAIN = np.delete(np.arange(ROWS), TEST)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, 4)).astype(np.float32)
Y = X[:, 0] + 0.3 * RNG.normal(size=ROWS)


def rounded(value, ulps):
    """Return float32 numbers that differ by at most `ulps` units in the last place, and others in test rows."""
    steps = np.random.default_rng(1).integers(0, ulps + 1, ROWS)
    column = np.float32(value) + steps * np.spacing(np.float32(value))
    column[TEST[:2]] = 2 * value
    return column.astype(np.float32)


@pytest.mark.parametrize("widen", [np.float32, np.float64])
@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("probe", ["ridge", "svm", "knn"])
def test_a_column_that_is_rounding_does_not_move_predictions(probe, scale, widen):
    vectors = {
        "without": np.column_stack([X, np.zeros(ROWS)]),
        "rounding": np.column_stack([X, rounded(3.3, 2)]).astype(widen),
    }
    given = {"cv": [(TRAIN, TEST)], "scoring": "rmse", "n_jobs": 1}
    found = cross_validate(vectors, Y, probe=probe, scale=scale, **given)
    with_it, without = (found[name].targets["y"].predicted for name in ("rounding", "without"))
    np.testing.assert_array_equal(with_it, without)


def test_the_standard_pipeline_is_moved_by_it():
    """So that the test above can fail."""
    x = np.column_stack([X, rounded(3.3, 2)]).astype(float)
    plain = make_pipeline(StandardScaler(), Ridge(1e-3))
    assert abs(plain.fit(x[TRAIN], Y[TRAIN]).predict(x[TEST])[0]) > 1e3


def flat(column, others=X):
    """Return whether a column is flattened in the training rows beside other columns."""
    x = np.column_stack([others, column])
    fit, new = x[TRAIN], x[TEST]
    flatten_constants(fit, new, float32_columns(x))
    is_flat = not fit[:, -1].any()
    if is_flat:
        assert not new[:, -1].any()
    else:
        np.testing.assert_array_equal(new, x[TEST])
        np.testing.assert_array_equal(fit[:, -1], x[TRAIN, -1])
    np.testing.assert_array_equal(fit[:, :-1], x[TRAIN, :-1])  # bit for bit
    return is_flat


def test_only_rounding_is_flattened():
    steps = RNG.permutation(ROWS) % 10
    assert flat(rounded(3.3, 2))
    assert flat(rounded(1e-30, 2))
    assert not flat(rounded(3.3, 200))  # as far as 200 units apart
    # A temperature in kelvin beside a pressure in pascal has a small spread, and is data.
    kelvin = (300 + 0.1 * RNG.normal(size=ROWS)).astype(np.float32)
    pascal = (101325 + 50 * RNG.normal(size=(ROWS, 3))).astype(np.float32)
    assert not flat(kelvin, others=pascal)
    # A column of small units that varies is no rounding.
    assert not flat((1e-9 * RNG.uniform(size=ROWS)).astype(np.float32), others=1e3 * X)
    # Whole numbers are exact: years, identifiers.
    assert not flat(2020.0 + steps)
    assert not flat(1e7 + steps)
    # In float64 the same spread is no rounding of float32.
    assert not flat(3.3 * (1 + 1e-7 * RNG.uniform(size=ROWS)), others=X.astype(float))


def test_a_constant_is_treated_as_by_scikit_learn():
    constant = np.full(ROWS, 3.3, np.float32)
    constant[TEST] = 5
    x = np.column_stack([X, constant]).astype(float)
    fit, new = x[TRAIN], x[TEST]
    flatten_constants(fit, new, float32_columns(x))
    np.testing.assert_array_equal(new, x[TEST])
    np.testing.assert_array_equal(fit, x[TRAIN])


def test_which_columns_were_computed_in_float32():
    half = np.array([0.1, 0.2, 0.7])
    columns = {
        "float32": half.astype(np.float32).astype(float),
        "float64": half,
        "counts": np.array([0.0, 1, 2]),
        "beyond exact": np.array([2.0**25, 2.0**25 + 4, 0.0]),
        "text": np.array([float(f"{value:.9g}") for value in np.float32(half)]),
        "huge": np.array([1e300, 1.5, 2.5]),
    }
    found = dict(
        zip(columns, float32_columns(np.column_stack(list(columns.values()))), strict=True)
    )
    assert [name for name, is_single in found.items() if is_single] == ["float32", "beyond exact"]


def test_few_labels_and_the_rank_see_no_rounding():
    steps = np.random.default_rng(1).integers(0, 3, (ROWS, 30))
    noise = np.float32(3.3) + steps * np.spacing(np.float32(3.3))
    with_it, without = (np.column_stack([X, one]) for one in (noise, np.full((ROWS, 30), 3.3)))
    assert effective_rank(with_it) == effective_rank(without)
    assert effective_rank(with_it.astype(np.float32)) == pytest.approx(effective_rank(X))
    found = [score(x, Y > 0, folds=3, repeats=1, seed=0) for x in (with_it, without)]
    assert found[0] == found[1]
