"""Splitters and given splits: the same rows as scikit-learn's, and what is no split."""

import numpy as np
import pytest
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    PredefinedSplit,
    RepeatedKFold,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from graphcl_hard.evaluation.cross_validation import cross_validate
from graphcl_hard.evaluation.folds import Folds, inner_folds
from graphcl_hard.evaluation.probes import C_GRID
from graphcl_hard.evaluation.splitters import ScaffoldKFold, Split
from graphcl_hard.evaluation.targets import read_target
from graphcl_hard.exceptions import InputError

RNG = np.random.default_rng(0)
Y = np.array([*[0] * 35, *[1] * 25])[RNG.permutation(60)]
X = RNG.normal(size=(60, 4)) + Y[:, None]
GROUPS = np.arange(60) // 6
TRAIN, VALID, TEST = np.arange(30), np.arange(30, 45), np.arange(45, 60)


def search(inner):
    pipeline = make_pipeline(StandardScaler(), SVC())
    return GridSearchCV(pipeline, {"svc__C": C_GRID}, cv=inner, refit=True)


@pytest.mark.parametrize(
    ("cv", "groups", "shape"),
    [
        (KFold(3), None, (1, 3)),
        (StratifiedKFold(3, shuffle=True, random_state=1), None, (1, 3)),
        (RepeatedKFold(n_splits=2, n_repeats=3, random_state=1), None, (3, 2)),
        (ShuffleSplit(2, random_state=1), None, (1, 2)),
        (LeaveOneGroupOut(), GROUPS // 5, (1, 2)),
        (PredefinedSplit(np.where(np.arange(60) < 20, -1, np.arange(60) % 2)), None, (1, 2)),
        ([(TRAIN, TEST), (TEST, TRAIN)], None, (1, 2)),
    ],
)
def test_folds_of_splitters_are_scored_as_by_scikit_learn(cv, groups, shape):
    inner = StratifiedKFold(5, shuffle=True, random_state=0)
    expected = cross_val_score(search(inner), X, Y, cv=cv, groups=groups)
    found = cross_validate(X, Y, cv=cv, groups=groups)["vectors"]
    assert found.accuracy.shape == shape
    assert found.accuracy.ravel().tolist() == expected.tolist()


def test_a_validation_part_chooses_and_is_not_fitted():
    found = cross_validate(X, Y, cv=Split(TRAIN, VALID, TEST))["vectors"].targets["y"]
    accuracy = [
        make_pipeline(StandardScaler(), SVC(C=c)).fit(X[TRAIN], Y[TRAIN]).score(X[VALID], Y[VALID])
        for c in C_GRID
    ]
    best = C_GRID[int(np.argmax(accuracy))]
    model = make_pipeline(StandardScaler(), SVC(C=best)).fit(X[TRAIN], Y[TRAIN])
    assert found.chosen.tolist() == [[best]]
    assert found.inner_score.tolist() == [[max(accuracy)]]
    assert found["accuracy"].tolist() == [[model.score(X[TEST], Y[TEST])]]
    assert found.train_sizes.tolist() == [[30]]
    without = cross_validate(X, Y, cv=Split(TRAIN, np.array([], dtype=int), TEST))["vectors"]
    pair = cross_validate(X, Y, cv=[(TRAIN, TEST)])["vectors"]
    assert without.to_dict() == pair.to_dict()


def test_masks_lists_and_generators_are_positions():
    plain = cross_validate(X, Y, probe="knn", cv=[(TRAIN, TEST)])["vectors"].to_dict()
    places = np.arange(60)
    for cv in (
        [(np.isin(places, TRAIN), np.isin(places, TEST))],
        [(TRAIN.tolist(), TEST.tolist())],
        (pair for pair in [(TRAIN, TEST)]),
        Split(TRAIN.astype(np.uint8), [], TEST),
        [Split(TRAIN, [], TEST)],
    ):
        assert cross_validate(X, Y, probe="knn", cv=cv)["vectors"].to_dict() == plain


def test_a_target_splits_its_known_rows_with_their_groups():
    gaps = np.where(np.arange(60) % 7 == 0, np.nan, Y)
    known = ~np.isnan(gaps)
    both = cross_validate(
        X, {"all": Y, "gaps": gaps}, probe="knn", cv=GroupKFold(3), groups=GROUPS, scoring="mcc"
    )["vectors"]
    alone = cross_validate(
        X[known], Y[known], probe="knn", cv=GroupKFold(3), groups=GROUPS[known], scoring="mcc"
    )["vectors"]
    assert both.targets["gaps"]["mcc"].tolist() == alone.scores["mcc"].tolist()


def test_a_given_part_without_known_rows_is_undefined():
    gaps = np.where(np.arange(60) >= 45, np.nan, Y)
    with pytest.warns(UserWarning, match="undefined in 1 folds, first accuracy of target 'gaps'"):
        found = cross_validate(
            X, {"all": Y, "gaps": gaps}, probe="knn", cv=[(TRAIN, TEST)], scoring="accuracy"
        )["vectors"]
    assert np.isnan(found.targets["gaps"]["accuracy"]).all()
    assert found.accuracy.tolist() == found.targets["all"]["accuracy"].tolist()
    assert found.to_dict()["targets"]["gaps"]["summary"]["accuracy"]["mean"] is None


def test_few_rows_in_the_training_part():
    """One row of a class: it is in some inner folds only; two rows: each inner fold is fitted on one."""
    rare = np.flatnonzero(Y == 1)[0]
    train = np.append(np.flatnonzero(Y == 0)[:10], rare)
    test = np.setdiff1d(np.arange(60), train)
    found = cross_validate(X, Y, cv=[(train, test)])["vectors"]
    assert 0 < found.accuracy[0, 0] < 1
    pair = np.array([np.flatnonzero(Y == 0)[0], rare])
    with pytest.raises(
        InputError, match="The training part of labels has 2 rows, too few for the inner"
    ):
        cross_validate(X, Y, cv=[(pair, np.setdiff1d(np.arange(60), pair))])
    valid = cross_validate(X, Y, cv=Split(pair, VALID, np.setdiff1d(TEST, pair)))["vectors"]
    assert valid.accuracy.shape == (1, 1)
    with pytest.raises(InputError, match="The training part of labels has 1 rows, too few"):
        cross_validate(X, X[:, 0], cv=[([0], TEST)])


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"cv": [(TRAIN, np.arange(29, 40))]},
            "each row in one part of a split, got row 29 in test",
        ),
        (
            {"cv": Split(TRAIN, TRAIN[:3], TEST)},
            "each row in one part of a split, got row 0 in valid",
        ),
        (
            {"cv": [(TRAIN, np.array([60]))]},
            r"test part in `cv` must have positions in \[0, 59\], got 60",
        ),
        ({"cv": [(TRAIN, np.array([-1]))]}, r"must have positions in \[0, 59\], got -1"),
        ({"cv": [(TRAIN, [])]}, "`cv` has an empty test part, but needs rows there"),
        ({"cv": [([], TEST)]}, "`cv` has an empty train part"),
        ({"cv": []}, "`cv` must have at least one split, got none"),
        ({"cv": (TRAIN, TEST)}, r"got an entry array\(.*; give \(train, test\)"),
        (
            {"cv": [(TRAIN, [0.5])]},
            r"test part in `cv` must be positions, whole numbers \(n,\), got \[0.5\]",
        ),
        (
            {"cv": [(np.ones(59, dtype=bool), TEST)]},
            r"A mask in `cv` must have shape \(60,\), got \(59,\)",
        ),
        (
            {"cv": GroupKFold(3)},
            r"`cv` GroupKFold\(.*\) cannot split labels: The 'groups' parameter",
        ),
        ({"cv": KFold(70)}, "cannot split labels: Cannot have number of splits n_splits=70"),
        ({"groups": GROUPS}, "groups are for a splitter .*; give cv=GroupKFold"),
        (
            {"groups": GROUPS[:5], "cv": GroupKFold(3)},
            r"groups must have shape \(60,\), got \(5,\)",
        ),
    ],
)
def test_what_is_no_split_is_one_sentence(settings, sentence):
    with pytest.raises(InputError, match=sentence) as error:
        cross_validate(X, Y, **settings)
    assert "\n" not in str(error.value)


def test_targets_with_other_numbers_of_folds_are_refused():
    gaps = np.where(GROUPS == 0, np.nan, Y)
    with pytest.raises(
        InputError, match="`cv` must split all targets into the same number of folds"
    ):
        cross_validate(X, {"all": Y, "gaps": gaps}, cv=LeaveOneGroupOut(), groups=GROUPS)


def test_inner_folds_keep_groups_together_as_the_outer_ones_do():
    found = cross_validate(X, Y, cv=GroupKFold(3), groups=GROUPS)["vectors"]
    expected = []
    for train, test in GroupKFold(3).split(X, Y, GROUPS):
        inner = StratifiedGroupKFold(5, shuffle=True, random_state=0)
        pairs = list(inner.split(X[train], Y[train], GROUPS[train]))
        expected.append(search(pairs).fit(X[train], Y[train]).score(X[test], Y[test]))
    assert found.accuracy.ravel().tolist() == expected


def test_inner_folds_of_measured_values_keep_scaffolds_together():
    pytest.importorskip("rdkit")
    rings = ["c1ccccc1", "c1ccncc1", "C1CCCCC1", "C1CC1"]
    smiles = np.array([f"{'C' * (1 + row // 4)}{rings[row % 4]}" for row in range(40)])
    target = read_target("y", RNG.normal(size=40))
    folds = Folds(ScaffoldKFold(2), 40, smiles, 1, 0)
    splits, _ = folds.of(target)
    for fitted, held_out in inner_folds(target, splits[0], 0, folds.groups_of(target)):
        assert not {row % 4 for row in fitted} & {row % 4 for row in held_out}


def test_a_score_undefined_on_the_validation_part_is_chosen_inside_the_training_part():
    y = Y.copy()
    y[VALID] = 1
    found = cross_validate(X, y, cv=Split(TRAIN, VALID, TEST), scoring="roc_auc", probe="knn")
    inside = cross_validate(X, y, cv=[(TRAIN, TEST)], scoring="roc_auc", probe="knn")
    one, other = (each["vectors"].targets["y"] for each in (found, inside))
    assert one.chosen == other.chosen > 1
    assert one.inner_score == other.inner_score


def test_few_measured_values_have_inner_folds_of_two_rows():
    target = read_target("y", RNG.normal(size=5))
    inner = inner_folds(target, Split(np.arange(5), [], []), 0)
    assert [len(held_out) for _, held_out in inner] == [3, 2]


def test_a_parameter_that_no_score_chose_is_told():
    y = Y.copy()
    y[VALID] = 1
    y[:2] = 0, 1  # so that each inner fold holds out one row
    with pytest.warns(UserWarning, match="parameter is the first of its grid in 1 folds"):
        cross_validate(X, y, cv=Split(TRAIN[:2], VALID, TEST), scoring="roc_auc", probe="logistic")


def test_a_row_is_given_once():
    with pytest.raises(InputError, match="each row once, got row 0 2 times in train"):
        cross_validate(X, Y, cv=[(np.r_[TRAIN, 0], TEST)])
