"""The heads of the study of molecules: each is scikit-learn's model, for all values of its grid at a time."""

import numpy as np
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from experiments.molecules import heads
from experiments.molecules.heads import (
    GCV_PENALTIES,
    HEADS,
    NEIGHBOURS,
    PATIENCE,
    PENALTIES,
    SPLITS,
    choose,
    cut_tree,
    filled,
    mean_score,
    predict,
    scores_of,
    tanimoto_distances,
)
from graphcl_hard.exceptions import InputError

RANDOM = np.random.default_rng(0)
X, NEW = RANDOM.normal(size=(90, 6)), RANDOM.normal(size=(30, 6))
Y = (X[:, :2] + RANDOM.normal(size=(90, 2)) > 0).astype(float)


def of_grid(name, task, x, y, new, grid, trees=20):
    return list(HEADS[name].predict(task, x, y, new, grid, trees))


def test_a_cut_forest_is_one_grown_with_more_samples_at_a_split():
    """All columns are tried and all values differ, so that a forest depends on its bootstrap samples only."""
    x, y = RANDOM.normal(size=(300, 3)), RANDOM.normal(size=300)
    settings = {"n_estimators": 8, "max_features": None, "random_state": 3}
    cut = RandomForestRegressor(min_samples_split=2, **settings).fit(x, y)
    for least in (20, 60):
        for tree in cut.estimators_:
            cut_tree(tree, least)
        grown = RandomForestRegressor(min_samples_split=least, **settings).fit(x, y)
        # A node sums its samples in the order in which splits leave them.
        expected = grown.predict(NEW[:, :3])
        np.testing.assert_allclose(cut.predict(NEW[:, :3]), expected, rtol=1e-12, atol=1e-15)


def test_the_forest_yields_the_grid_and_single_fits_agree_at_its_first_value():
    whole = of_grid("rf", "classification", X, Y, NEW, SPLITS)
    (first,) = of_grid("rf", "classification", X, Y, NEW, SPLITS[:1])
    assert len(whole) == len(SPLITS)
    np.testing.assert_array_equal(whole[0], first)
    assert not np.array_equal(whole[0], whole[-1])
    assert all(found.shape == (30, 2) for found in whole)
    (single,) = of_grid("rf", "classification", X, Y[:, :1], NEW, (4,))
    assert single.shape == (30, 1)
    assert roc_auc_score(NEW[:, 0] > 0, single[:, 0]) > 0.8


def test_logistic_regression_is_scikit_learns():
    scaler = StandardScaler().fit(X.astype(np.float32))
    for penalty in PENALTIES[::3]:
        (found,) = of_grid("ridge", "classification", X, Y, NEW, (penalty,))
        for column in (0, 1):
            model = LogisticRegression(C=1 / penalty, max_iter=5000)
            model.fit(scaler.transform(X.astype(np.float32)), Y[:, column])
            expected = model.decision_function(scaler.transform(NEW.astype(np.float32)))
            np.testing.assert_array_equal(found[:, column], expected)


def test_a_rotation_of_more_columns_than_rows_changes_no_minimum():
    """The solver stops at a gradient of 1e-4, at which scores are within 1e-3 of the minimum's here."""
    x, new = RANDOM.normal(size=(40, 70)), RANDOM.normal(size=(20, 70))
    scaler = StandardScaler().fit(x)
    (found,) = of_grid("ridge", "classification", x, Y[:40], new, (PENALTIES[2],))
    for column in (0, 1):
        model = LogisticRegression(C=1 / PENALTIES[2], max_iter=10_000, tol=1e-10)
        model.fit(scaler.transform(x), Y[:40, column])
        expected = model.decision_function(scaler.transform(new))
        np.testing.assert_allclose(found[:, column], expected, atol=1e-3)


def test_a_task_of_one_class_scores_nothing():
    y = np.column_stack([Y[:, 0], np.zeros(90)])
    for name in ("ridge", "rf", "knn"):
        for found in of_grid(name, "classification", X, y, NEW, HEADS[name].grid[:2]):
            assert np.ptp(found[:, 0]) > 0
            assert np.ptp(found[:, 1]) == 0


def test_ridge_regression_is_scikit_learns():
    y = X @ RANDOM.normal(size=(6, 2)) * 5 + 40
    found = of_grid("ridge", "regression", X, y, NEW, PENALTIES)
    for penalty, predicted in zip(PENALTIES, found, strict=True):
        model = make_pipeline(StandardScaler(), Ridge(alpha=penalty))
        expected = TransformedTargetRegressor(model, transformer=StandardScaler()).fit(X, y)
        np.testing.assert_allclose(predicted, expected.predict(NEW), rtol=1e-5)


def test_tanimoto_distances_are_their_definition():
    rows = np.array([[1.0, 0, 2], [0, 0, 0]])
    columns = np.array([[1.0, 0, 2], [3, 1, 0], [0, 0, 0]])
    expected = [[0, 1 - 3 / (5 + 10 - 3), 1], [1, 1, 0]]
    np.testing.assert_allclose(tanimoto_distances(rows, columns), expected)


@pytest.mark.parametrize("counts", [False, True])
def test_neighbours_are_found_by_the_distance_of_the_vectors(counts):
    x, new = (RANDOM.poisson(2, (50, 5)), RANDOM.poisson(2, (9, 5))) if counts else (X, NEW)
    scaler = StandardScaler().fit(x)
    y = Y[: len(x)]
    found = of_grid("knn", "classification", x, y, new, NEIGHBOURS)
    for place, row in enumerate(scaler.transform(new)):
        distances = []
        for other in scaler.transform(x):
            product, first, second = row @ other, row @ row, other @ other
            both = (
                product / (first + second - product)
                if counts
                else product / np.sqrt(first * second)
            )
            distances.append(1 - both)
        order = np.argsort(np.round(distances, 5), kind="stable")
        for k, predicted in zip(NEIGHBOURS, found, strict=True):
            np.testing.assert_allclose(predicted[place], y[order[:k]].mean(axis=0))


def test_the_folds_choose_as_grid_search_does():
    model = make_pipeline(StandardScaler(), KNeighborsClassifier(metric="cosine"))
    search = GridSearchCV(
        model, {"kneighborsclassifier__n_neighbors": NEIGHBOURS}, cv=5, scoring="roc_auc"
    ).fit(X, Y[:, 0])
    chosen = choose(HEADS["knn"], "classification", X, Y[:, :1])
    assert chosen.value == search.best_params_["kneighborsclassifier__n_neighbors"]
    np.testing.assert_allclose(chosen.score, search.best_score_)
    assert chosen.tried == len(NEIGHBOURS)


def test_a_grid_in_order_is_left_after_values_without_a_better_score(monkeypatch):
    """Noise of many columns is fitted best under the strongest penalty."""
    x = np.hstack([X[:, :1], RANDOM.normal(size=(90, 40))])
    chosen = choose(HEADS["ridge"], "classification", x, Y[:, :1])
    place = PENALTIES.index(chosen.value)
    assert chosen.tried == min(len(PENALTIES), place + 1 + PATIENCE)
    monkeypatch.setattr(heads, "PATIENCE", 100)
    assert choose(HEADS["ridge"], "classification", x, Y[:, :1]).tried == len(PENALTIES)


def test_scores_are_of_the_known_rows():
    y = np.array([[1, np.nan, 1], [0, 1, 1], [1, 0, 1], [np.nan, 1, np.nan]])
    predicted = np.array([[0.9, 0.2, 0.5], [0.1, 0.3, 0.1], [0.8, 0.9, 0.2], [0.0, 0.1, 0.3]])
    found = scores_of("classification", y, predicted)
    assert found[:2] == [1.0, 0.0]
    assert np.isnan(found[2])
    assert mean_score(found) == 0.5
    np.testing.assert_array_equal(filled(y[0]), [1, 0, 1])
    measured = scores_of("regression", np.array([[1.0], [2], [4]]), np.array([[1.0], [2], [3]]))
    np.testing.assert_allclose(measured, 1 - 1 / (14 / 3))


def test_a_training_part_of_one_class_is_refused():
    with pytest.raises(InputError, match="must be defined on an inner fold"):
        choose(HEADS["knn"], "classification", X, np.zeros((90, 2)))


@pytest.mark.parametrize(("name", "task"), [("ridge", "regression"), ("knn", "classification")])
def test_a_column_that_is_constant_up_to_rounding_moves_no_prediction(name, task):
    noise = np.float32(3.3) + np.arange(90) % 3 * np.spacing(np.float32(3.3))
    x, new = (
        np.column_stack([rows, one]).astype(np.float32)
        for rows, one in ((X, noise), (NEW, np.full(30, 7)))
    )
    grid = PENALTIES[-1:] if name == "ridge" else NEIGHBOURS[2:3]
    (found,) = of_grid(name, task, x, Y, new, grid)
    (expected,) = of_grid(name, task, X.astype(np.float32), Y, NEW.astype(np.float32), grid)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("columns", [6, 120], ids=["few columns", "more columns than rows"])
def test_gcv_is_the_loop_over_penalties_and_targets(columns):
    random = np.random.default_rng(columns)
    x, new = random.normal(size=(90, columns)), random.normal(size=(7, columns))
    x[:, 0] = 3.0  # a constant column has no singular value
    y = np.stack([Y[:, 0], x[:, 1] + random.normal(size=90), random.normal(size=90)], axis=1)
    (found,) = of_grid("gcv", "classification", x, y, new, (0.0,))
    scaler = StandardScaler().fit(x.astype(np.float32))
    z = scaler.transform(x.astype(np.float32)).astype(np.float64)
    rows = scaler.transform(new.astype(np.float32)).astype(np.float64)
    chosen = set()
    for column, target in enumerate(y.T):
        best = (np.inf, 0.0, rows[:, 0])
        for penalty in GCV_PENALTIES:
            inverse = np.linalg.inv(z.T @ z + penalty * np.eye(columns))
            hat = z @ inverse @ z.T
            residuals = target - target.mean() - hat @ (target - target.mean())
            error = (residuals**2).sum() / (90 - 1 - np.trace(hat)) ** 2
            if error < best[0]:
                predicted = target.mean() + rows @ inverse @ z.T @ (target - target.mean())
                best = (error, penalty, predicted)
        chosen.add(best[1])
        np.testing.assert_allclose(found[:, column], best[2], rtol=1e-6, atol=1e-7)
    assert len(chosen) > 1


@pytest.mark.parametrize("name", ["ridge", "gcv"])
def test_measured_values_are_clipped_to_those_of_the_training_part(name):
    x = RANDOM.normal(size=(90, 3))
    y, far = x[:, :1], np.array([[50.0, 0, 0], [-50, 0, 0], [0, 0, 0]])
    found = predict(HEADS[name], "regression", x, y, far, 1e-3)[:, 0]
    assert found[:2].tolist() == [y.max(), y.min()]
    assert abs(found[2]) < 0.1
