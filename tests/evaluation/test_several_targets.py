"""Several targets with gaps against each of them evaluated without the others."""

import numpy as np
import pandas as pd
import pytest
import torch

from graphcl_hard.evaluation.cross_validation import cross_validate
from graphcl_hard.evaluation.splitters import Split
from graphcl_hard.exceptions import InputError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 5))
KNOWN = RNG.random((120, 3)) < 0.7
TOXIC = np.where(KNOWN, X[:, :3] + RNG.normal(size=(120, 3)) > 0.3, np.nan)  # 0, 1 or NaN
VALUES = np.where(KNOWN, X[:, :3] + 0.3 * RNG.normal(size=(120, 3)), np.nan)
SPLIT = Split(np.arange(70), np.arange(70, 90), np.arange(90, 120))


def alone(values, column, **settings):
    known = ~np.isnan(values[:, column])
    return cross_validate(X[known], values[known, column], **settings)["vectors"]


@pytest.mark.parametrize(
    ("values", "settings"),
    [
        (TOXIC, {"cv": 2, "repeats": 2, "scoring": ["roc_auc", "accuracy"]}),
        (TOXIC, {"cv": 2, "repeats": 1, "probe": "linear-svm", "scoring": "average_precision"}),
        (VALUES, {"cv": 4, "repeats": 2, "probe": "ridge"}),
        (VALUES, {"cv": 3, "repeats": 1}),
    ],
    ids=["classes", "linear-svm", "ridge", "values"],
)
def test_each_column_has_the_scores_that_it_has_alone(values, settings):
    found = cross_validate(X, values, **settings)["vectors"]
    assert list(found.targets) == ["0", "1", "2"]
    columns = [alone(values, column, **settings) for column in range(3)]
    for name, column in zip("012", columns, strict=True):
        target, single = found.targets[name], column.targets["y"]
        assert {k: v.tolist() for k, v in target.scores.items()} == {
            k: v.tolist() for k, v in single.scores.items()
        }
        assert (target.chosen == single.chosen).all()
        assert target.unlabelled == 120 - int(KNOWN[:, int(name)].sum())
        assert found.summary(target=name) == column.summary()
    for score, mean in found.scores.items():
        np.testing.assert_allclose(mean, np.mean([one.scores[score] for one in columns], axis=0))


def test_given_rows_are_taken_as_far_as_their_value_is_known():
    found = cross_validate(X, TOXIC, cv=SPLIT)["vectors"]
    assert list(found.scores) == ["roc_auc", "average_precision"]
    for column in range(3):
        known = np.flatnonzero(KNOWN[:, column])
        own = Split(*(np.flatnonzero(np.isin(known, part)) for part in SPLIT))
        single = alone(TOXIC, column, cv=own, scoring=["roc_auc", "average_precision"])
        target = found.targets[str(column)]
        assert target["roc_auc"].tolist() == single.scores["roc_auc"].tolist()
        assert target.test_sizes.tolist() == [[len(own.test)]]
        assert target.train_sizes.tolist() == [[len(own.train)]]


@pytest.mark.parametrize(
    "form",
    [
        lambda y: {"a": y[:, 0], "b": y[:, 1], "c": y[:, 2]},
        lambda y: pd.DataFrame(y, columns=["a", "b", "c"], index=range(7, 127)),
        lambda y: pd.DataFrame(y, columns=["a", "b", "c"]).astype("Int64"),
        lambda y: {
            "a": [None if np.isnan(v) else int(v) for v in y[:, 0]],
            "b": y[:, 1],
            "c": y[:, 2],
        },
        lambda y: {
            name: np.where(np.isnan(v), "", np.where(v == 1, "toxic", "harmless"))
            for name, v in zip("abc", y.T, strict=True)
        },
    ],
    ids=["mapping", "table", "integers", "list", "names"],
)
def test_targets_in_any_form(form):
    plain = cross_validate(X, TOXIC, probe="knn", cv=SPLIT)["vectors"]
    found = cross_validate(X, form(TOXIC), probe="knn", cv=SPLIT)["vectors"]
    assert list(found.targets) == ["a", "b", "c"]
    assert found.scores["roc_auc"].tolist() == plain.scores["roc_auc"].tolist()


@pytest.mark.parametrize("form", [torch.tensor, np.ndarray.tolist, np.ma.masked_invalid])
def test_unnamed_targets_in_any_form(form):
    plain = cross_validate(X, TOXIC, probe="knn", cv=SPLIT)["vectors"]
    found = cross_validate(X, form(TOXIC), probe="knn", cv=SPLIT)["vectors"]
    assert found.to_dict() == plain.to_dict()


def test_one_target_with_gaps_leaves_its_rows_out():
    found = cross_validate(X, TOXIC[:, 0], probe="knn", cv=2, repeats=1)["vectors"]
    assert (
        found.to_dict()["accuracy"]
        == alone(TOXIC, 0, probe="knn", cv=2, repeats=1).accuracy.tolist()
    )
    assert found.to_dict()["unlabelled"] == int((~KNOWN[:, 0]).sum())


def test_the_dictionary_has_the_means_and_each_target():
    found = cross_validate(X, TOXIC, probe="knn", cv=SPLIT)["vectors"]
    told = found.to_dict()
    assert told["roc_auc"] == found.scores["roc_auc"].tolist()
    assert told["summary"]["roc_auc"]["mean"] == found.summary().mean
    assert told["targets"]["1"]["roc_auc"] == found.targets["1"]["roc_auc"].tolist()
    assert told["targets"]["1"]["summary"]["roc_auc"] == found.summary(target="1")._asdict()


def test_progress_counts_the_folds_of_all_targets():
    seen = []
    cross_validate(X, TOXIC, probe="knn", cv=3, repeats=1, progress=lambda *s: seen.append(s))
    assert seen == [(done, 9) for done in range(1, 10)]


@pytest.mark.parametrize(
    ("y", "settings", "sentence"),
    [
        (
            {"a": TOXIC[:, 0], "b": VALUES[:, 0]},
            {},
            "Targets must be of one task, got 'a' for classification and 'b' for regression; evaluate them in two",
        ),
        ({"a": [0, 1], "b": [0, 1, 1]}, {}, "Targets must have the same length, got a: 2, b: 3"),
        ({"a": TOXIC[:100, 0]}, {}, "vectors must have one row for each label, got 120 for 100"),
        (VALUES[:, :1], {"task": "classification"}, "target '0' must be classes, got measured"),
        ({"a": TOXIC[:, :2]}, {}, r"target 'a' must have shape \(G,\), got \(120, 2\)"),
        ({}, {}, "y has no target"),
        (pd.DataFrame(TOXIC, columns=["a", "a", "b"]), {}, "different names, got a, a, b"),
        (
            {"a": np.arange(120) % 2, "b": np.ones(120), "c": np.zeros(120)},
            {},
            "target 'b' must contain at least 2 classes, got only 1; .*; 1 more targets are refused, c",
        ),
        (
            {"a": np.arange(120) % 2, "b": np.arange(120) < 5},
            {"cv": 6},
            r"`cv` must lie in \[2, 5\], got 6: class True of target 'b' has 5 graphs",
        ),
    ],
)
def test_what_cannot_be_evaluated_is_one_sentence(y, settings, sentence):
    with pytest.raises(InputError, match=sentence) as error:
        cross_validate(X, y, **settings)
    assert "\n" not in str(error.value)


def test_the_number_of_rows_is_compared_before_the_labels_are_read():
    with pytest.raises(InputError, match="vectors must have one row for each label, got 120 for 3"):
        cross_validate(X, [1j, 2, "a"])
