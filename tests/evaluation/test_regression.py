"""Measured values against scikit-learn's grid search on the same folds."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.model_selection import GridSearchCV, KFold, RepeatedKFold
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from graphcl_hard.evaluation.cross_validation import cross_validate
from graphcl_hard.evaluation.probes import ALPHA_GRID, C_GRID, NEIGHBOURS_GRID
from graphcl_hard.exceptions import InputError

MODELS = {
    "svm": (SVR(), "svr__C", C_GRID),
    "ridge": (Ridge(), "ridge__alpha", ALPHA_GRID),
    "knn": (KNeighborsRegressor(), "kneighborsregressor__n_neighbors", NEIGHBOURS_GRID),
}
SCORERS = {"r2": "r2", "rmse": "neg_root_mean_squared_error", "mae": "neg_mean_absolute_error"}


def measured(graphs, columns=6, noise=0.5, seed=0):
    """Return heavy-tailed features and a value that one of them determines, on a scale far from 1."""
    rng = np.random.default_rng(seed)
    x = np.exp(rng.normal(size=(graphs, columns)))
    return x, 300 + 40 * (np.log(x[:, 0]) + x[:, 1] / 5 + noise * rng.normal(size=graphs))


def grid_search(x, y, probe, folds, seed, scoring):
    model, parameter, grid = MODELS[probe]
    pipeline = TransformedTargetRegressor(
        make_pipeline(StandardScaler(), model), transformer=StandardScaler()
    )
    rows = []
    for train, test in RepeatedKFold(n_splits=folds, n_repeats=1, random_state=seed).split(x):
        most = min(len(fitted) for fitted, _ in KFold(5).split(train))
        values = [value for value in grid if probe != "knn" or value <= most]
        search = GridSearchCV(
            pipeline,
            {f"regressor__{parameter}": values},
            cv=KFold(5, shuffle=True, random_state=seed),
            scoring=SCORERS[scoring],
        ).fit(x[train], y[train])
        predicted = search.predict(x[test])
        rows.append(
            (
                r2_score(y[test], predicted),
                root_mean_squared_error(y[test], predicted),
                mean_absolute_error(y[test], predicted),
                spearmanr(y[test], predicted).statistic,
                search.best_params_[f"regressor__{parameter}"],
                abs(search.best_score_),
            )
        )
    return np.array(rows).T


@pytest.mark.parametrize("scoring", ["r2", "mae"])
@pytest.mark.parametrize("probe", MODELS)
def test_scores_are_those_of_grid_search(probe, scoring):
    x, y = measured(90)
    names = [scoring, *(name for name in ("r2", "rmse", "mae", "spearman") if name != scoring)]
    found = cross_validate(x, y, probe=probe, scoring=names, cv=3, repeats=1, seed=4)["vectors"]
    *expected, chosen, inner = grid_search(x, y, probe, 3, 4, scoring)
    target = found.targets["y"]
    assert target.chosen.ravel().tolist() == chosen.tolist()
    np.testing.assert_allclose(np.abs(target.inner_score.ravel()), inner, rtol=1e-6)
    for name, values in zip(("r2", "rmse", "mae", "spearman"), expected, strict=True):
        np.testing.assert_allclose(found.scores[name].ravel(), values, rtol=1e-6, err_msg=name)
    assert found.parameter == {"svm": "C", "ridge": "alpha", "knn": "n_neighbors"}[probe]


def test_defaults_are_all_four_scores_and_the_parameter_is_chosen_by_the_first():
    x, y = measured(60)
    default, named = (
        cross_validate(x, y, scoring=scoring, cv=3, repeats=1)["vectors"]
        for scoring in (None, ["r2", "rmse", "mae", "spearman"])
    )
    assert default.to_dict() == named.to_dict()
    assert default.to_dict()["task"] == "regression"
    assert {"r2", "inner_r2", "chosen"} <= default.to_dict().keys()


@pytest.mark.parametrize("probe", MODELS)
def test_the_scale_of_the_values_does_not_matter(probe):
    """Values are standardised on the rows that are fitted, so that C and epsilon mean the same for all units."""
    x, y = measured(60)
    one, other = (
        cross_validate(x, v, probe=probe, cv=3, repeats=1)["vectors"] for v in (y, 2.0**20 * y)
    )
    assert (one.targets["y"].chosen == other.targets["y"].chosen).all()
    np.testing.assert_allclose(one.scores["r2"], other.scores["r2"], rtol=1e-12)
    np.testing.assert_allclose(2.0**20 * one.scores["rmse"], other.scores["rmse"], rtol=1e-12)


@pytest.mark.parametrize("probe", MODELS)
def test_a_training_part_of_equal_values_predicts_this_value(probe):
    x, y = measured(40)
    y[:30] = 7.0
    split = [(np.arange(30), np.arange(30, 40))]
    found = cross_validate(x, y, probe=probe, cv=split, scoring="mae")["vectors"]
    assert found.scores["mae"][0, 0] == pytest.approx(np.abs(y[30:] - 7).mean(), abs=0.2)
    with pytest.raises(InputError, match="spearman is undefined in all folds"):
        cross_validate(x, y, probe="ridge", cv=split, scoring="spearman")


def test_whole_numbers_are_classes_unless_told_otherwise():
    x, y = measured(60)
    counts = np.rint(y / 10).astype(int)
    with pytest.raises(InputError, match=r'into classes first, or give task="regression"\.'):
        cross_validate(x, counts)
    with pytest.raises(InputError, match=r'into classes first, or give task="regression"\.'):
        cross_validate(x, counts.astype(float))
    one, other = (
        cross_validate(x, values, task="regression", cv=3, repeats=1)["vectors"].to_dict()
        for values in (counts, counts.astype(float))
    )
    assert one == other
    assert one["task"] == "regression"


@pytest.mark.parametrize(
    ("values", "settings", "sentence"),
    [
        (
            np.array(["a", "b"] * 20),
            {"task": "regression"},
            "labels must be numbers for regression, got .*'a'",
        ),
        (np.linspace(0, 1, 40), {"task": "numbers"}, "`task` must be one of classification, reg"),
        (np.linspace(0, 1, 40), {"cv": 21}, r"`cv` must lie in \[2, 20\], .* 40 values, got 21"),
        (np.linspace(0, 1, 40), {"cv": 1}, r"`cv` must lie in \[2, 20\]"),
        (
            np.linspace(0, 1, 40),
            {"probe": "logistic"},
            "one of svm, ridge, knn for regression, got",
        ),
        (
            np.arange(40) % 2,
            {"probe": "ridge"},
            "linear-svm, logistic, knn for classification, got",
        ),
        (
            np.append(np.linspace(0, 1, 39), np.inf),
            {},
            "labels must be finite, got inf for graph 39",
        ),
        (np.full(40, np.nan), {}, "labels must have values, got none"),
    ],
)
def test_what_cannot_be_evaluated_is_one_sentence(values, settings, sentence):
    with pytest.raises(InputError, match=sentence) as error:
        cross_validate(np.random.default_rng(0).normal(size=(40, 3)), values, **settings)
    assert "\n" not in str(error.value)
