"""The study's baselines and few-label probes equal naive computations, and choose nothing by test labels."""

import dataclasses
import itertools
import json
import shutil
from collections import Counter

import numpy as np
import pytest
from joblib.externals.loky import get_reusable_executor
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import GridSearchCV, RepeatedStratifiedKFold, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from graphcl_hard import cross_validate, load_graphs
from graphcl_hard.evaluation.probes import C_GRID, NEIGHBOURS_GRID, c_grid
from graphcl_hard.exceptions import InputError
from graphcl_hard.run import main
from graphcl_hard.runs.config_file import to_flags
from graphcl_hard.sweeps import baselines, few_labels
from graphcl_hard.sweeps.cell import Cell
from graphcl_hard.sweeps.wl_kernels import wl_kernels, wl_oa_kernels

SMALL = {"folds": 3, "repeats": 2}


def mutag_splits(seed):
    y = load_graphs("MUTAG").y.numpy()
    return y, list(RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=seed).split(y, y))


@pytest.mark.parametrize(
    ("family", "kernels", "labels", "max_c"),
    [("wl", wl_kernels, "given", 1e3), ("wl-oa", wl_oa_kernels, "log-degree", 1e4)],
)
def test_kernel_scores_equal_plain_grid_search(family, kernels, labels, max_c):
    y, splits = mutag_splits(seed=3)
    kernel = kernels(load_graphs("MUTAG"), 2, labels)[2]
    settings = {**SMALL, "iterations": [2], "labels": labels, "max_c": max_c, "epochs": 20}
    found = baselines.run_cell(family, "MUTAG", 3, settings)
    scores = found["scores"]["svm"]["0"]
    macro = []
    for index, (train, test) in enumerate(splits):
        inner = StratifiedKFold(5, shuffle=True, random_state=3)
        search = GridSearchCV(SVC(kernel="precomputed"), {"C": c_grid(max_c)}, cv=inner)
        search.fit(kernel[np.ix_(train, train)], y[train])
        predicted = search.predict(kernel[np.ix_(test, train)])
        repeat, fold = divmod(index, 3)
        assert scores["correct"][repeat][fold] == np.sum(predicted == y[test])
        assert np.array(scores["predicted"])[repeat, test].tolist() == predicted.tolist()
        assert scores["chosen"][repeat][fold] == search.best_params_["C"]
        assert scores["inner_accuracy"][repeat][fold] == round(search.best_score_, 6)
        assert found["test_sizes"][repeat][fold] == len(test)
        macro.append(f1_score(y[test], predicted, average="macro"))
    assert scores["chosen_iterations"] == [[2] * 3] * 2
    assert scores["macro_f1"] == pytest.approx(np.mean(macro), abs=1e-6)
    assert found["last_epoch"] == 0
    assert found["data"]["graphs"] == 188
    assert found["data"]["features"] == {"wl": "node labels", "wl-oa": "degrees"}[family]
    assert found["labels"] == y.tolist()
    assert found["seconds"]["total"] == pytest.approx(
        found["seconds"]["training"] + found["seconds"]["evaluation"]
    )
    json.dumps(found, allow_nan=False)


def test_iterations_and_c_are_chosen_together_and_ties_go_to_the_first():
    y, splits = mutag_splits(seed=0)
    several = wl_kernels(load_graphs("MUTAG"), 2)
    train, test = splits[0]
    single = [
        baselines.score_kernel(several, y, train, test, [number], C_GRID, 0) for number in range(3)
    ]
    both = baselines.score_kernel(several, y, train, test, [0, 1, 2], C_GRID, 0)
    best = max(single, key=lambda one: one.inner_accuracy)
    np.testing.assert_equal(both, best)
    assert len({one.inner_accuracy for one in single}) > 1
    tied = baselines.score_kernel(
        np.stack([several[1], several[1]]), y, train, test, [0, 1], C_GRID, 0
    )
    assert tied.chosen == {"chosen": single[1].chosen["chosen"], "chosen_iterations": 0}
    blank = baselines.score_kernel(np.stack([np.eye(len(y))]), y, train, test, [0], C_GRID, 0)
    assert blank.chosen["chosen"] == min(C_GRID)


def test_a_record_is_compared_with_the_labels_and_the_grid_of_the_plan():
    settings = {"labels": "degree"}
    cell = Cell("MUTAG", "wl", "wl", settings, 0, {**SMALL, **settings})
    record = {"family": "wl", "settings": settings, "config": {}, "test_sizes": [[1] * 3] * 2}
    assert cell.difference(record) is None
    wider = dataclasses.replace(cell, given={**cell.given, "max_c": 1e5})
    assert wider.difference(record) == "max_c 1000.0, now 100000.0"
    assert wider.difference({**record, "config": wider.config()}) is None
    other = dataclasses.replace(cell, settings={"labels": "constant"})
    assert other.difference(record).startswith("settings {'labels': 'degree'}, now")


def test_majority_equals_dummy_classifier():
    y, splits = mutag_splits(seed=1)
    found = baselines.run_cell("majority", "MUTAG", 1, SMALL)
    scores = found["scores"]["majority"]["0"]
    for index, (train, test) in enumerate(splits):
        dummy = DummyClassifier().fit(train[:, None], y[train])
        inner = GridSearchCV(
            DummyClassifier(), {}, cv=StratifiedKFold(5, shuffle=True, random_state=1)
        )
        repeat, fold = divmod(index, 3)
        assert scores["correct"][repeat][fold] == np.sum(dummy.predict(test[:, None]) == y[test])
        assert scores["inner_accuracy"][repeat][fold] == round(
            inner.fit(train[:, None], y[train]).best_score_, 6
        )
    assert scores["chosen"] == [[1] * 3] * 2


def test_folds_are_those_of_the_encoders_scores():
    labels = load_graphs("MUTAG").y.numpy()
    plain = cross_validate(np.eye(len(labels)), labels, probe="knn", cv=3, repeats=2, seed=5)[
        "vectors"
    ]
    told = baselines.run_cell("majority", "MUTAG", 5, SMALL)
    assert told["test_sizes"] == plain.targets["y"].test_sizes.tolist()


def test_test_labels_do_not_change_what_a_baseline_chooses():
    y, splits = mutag_splits(seed=0)
    several = wl_kernels(load_graphs("MUTAG"), 1)
    train, test = splits[0]
    flipped = y.copy()
    flipped[test] = 1 - y[test]
    for score in (
        lambda labels: baselines.score_kernel(several, labels, train, test, [0, 1], C_GRID, 0),
        lambda labels: baselines.score_majority(labels, train, test, 0),
    ):
        plain, other = score(y), score(flipped)
        assert (plain.chosen, plain.inner_accuracy) == (other.chosen, other.inner_accuracy)
        assert plain.correct == len(test) - other.correct


def test_all_seeds_of_a_set_share_one_kernel(monkeypatch):
    baselines._kernels_of.cache_clear()
    made = []
    plain = wl_kernels
    monkeypatch.setattr(baselines, "wl_kernels", lambda *given: made.append(1) or plain(*given))
    for seed in range(2):
        baselines.run_cell("wl", "MUTAG", seed, {"folds": 2, "repeats": 1, "iterations": [0]})
    assert len(made) == 1


@pytest.mark.parametrize(
    ("family", "settings", "message"),
    [
        (
            "wll",
            {},
            "A baseline's family must be majority or wl or wl-oa, got 'wll'; name one of these.",
        ),
        (
            "wl",
            {"iterations": []},
            r"iterations must be a list of whole numbers of at least 0, got \[\]",
        ),
        ("wl", {"iterations": [0, -1]}, r"of at least 0, got \[0, -1\]"),
        ("wl", {"iterations": 3}, "must be a list .* got 3"),
        ("wl", {"iterations": [1.5]}, r"whole numbers .* got \[1\.5\]"),
        ("wl-oa", {"labels": "log"}, "labels must be one of given, constant, degree, log-degree"),
        ("majority", {"folds": 100}, r"`folds` must lie in \[2, 63\], got 100"),
    ],
)
def test_bad_baselines_are_refused(family, settings, message):
    with pytest.raises(InputError, match=message) as caught:
        baselines.run_cell(family, "MUTAG", 0, settings)
    assert "\n" not in str(caught.value)


LABELS = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [100, 60, 8]))


def blobs(signal=2.0, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(len(LABELS), 6)) + signal * np.eye(6)[LABELS]


def test_labelled_rows_are_stratified_and_nested():
    parts = [
        few_labels.labelled_rows(LABELS, fraction, (1, 0, 2)) for fraction in few_labels.FRACTIONS
    ]
    sizes = [np.bincount(LABELS[rows]).tolist() for rows in parts]
    assert sizes == [[1, 1, 1], [5, 3, 1], [10, 6, 1], [100, 60, 8]]
    for smaller, larger in itertools.pairwise(parts):
        assert set(smaller) < set(larger)
    np.testing.assert_array_equal(parts[-1], np.arange(len(LABELS)))
    again, other = (few_labels.labelled_rows(LABELS, 0.05, seed) for seed in ((1, 0, 2), (1, 0, 3)))
    np.testing.assert_array_equal(again, parts[1])
    assert set(other) != set(again)


def reference(probe, folds, fewest, seed):
    """What a probe is in scikit-learn's words, with the parameter chosen by that many inner folds, or fixed."""
    if probe == "knn":
        grid = {"n_neighbors": [k for k in NEIGHBOURS_GRID if k <= fewest]}
        estimator = KNeighborsClassifier(1)
    else:
        grid = {"C": C_GRID}
        estimator = (
            SVC(C=1) if probe == "svm" else LogisticRegression(C=1, max_iter=100_000, tol=1e-8)
        )
    return (
        estimator
        if folds == 1
        else GridSearchCV(
            estimator, grid, cv=StratifiedKFold(folds, shuffle=True, random_state=seed)
        )
    )


def test_scores_equal_plain_grid_search_on_the_labelled_rows():
    """Where a class has a single labelled row, as at 1%, nothing can be chosen."""
    x, seed = blobs(), 4
    found = few_labels.score(x, LABELS, folds=3, repeats=1, seed=seed, fractions=(0.01, 0.3))
    assert [(one["probe"], one["fraction"], one["defaulted"]) for one in found] == [
        (probe, *rest) for probe in ("logistic", "svm", "knn") for rest in ((0.01, 3), (0.3, 0))
    ]
    splits = RepeatedStratifiedKFold(n_splits=3, n_repeats=1, random_state=seed).split(x, LABELS)
    for fold, (train, test) in enumerate(splits):
        scaler = StandardScaler().fit(x[train])  # of the whole training part
        for entry in found:
            rows = train[
                few_labels.labelled_rows(LABELS[train], entry["fraction"], (seed, 0, fold))
            ]
            folds = min(5, np.bincount(LABELS[rows]).min())
            estimator = reference(entry["probe"], folds, len(rows) // 2, seed)
            estimator.fit(scaler.transform(x[rows]), LABELS[rows])
            accuracy = estimator.score(scaler.transform(x[test]), LABELS[test])
            assert entry["accuracy"][0][fold] == pytest.approx(accuracy, abs=1e-6)
            assert folds == (1 if entry["fraction"] == 0.01 else 2)


def test_planted_signal_is_found_with_more_labels_and_noise_is_not():
    found = few_labels.score(
        blobs(signal=6.0), LABELS, folds=2, repeats=1, seed=0, fractions=(0.05, 1.0)
    )
    means = {(one["probe"], one["fraction"]): np.mean(one["accuracy"]) for one in found}
    for probe in few_labels.LABEL_PROBES:
        assert means[probe, 1.0] > 0.95
        assert means[probe, 1.0] > means[probe, 0.05] > 0.6
    noise = few_labels.score(
        blobs(signal=0.0), LABELS, folds=2, repeats=1, seed=0, fractions=(1.0,)
    )
    assert all(np.mean(one["accuracy"]) < 0.7 for one in noise)  # the largest class holds 0.6


def test_labels_that_are_not_in_the_share_change_nothing(monkeypatch):
    """Probes are fitted on the labelled rows alone: the others' labels and the test labels do not reach them."""
    x, seen = blobs(), []
    plain = few_labels.PROBES["knn"]

    def spy(train, labels, test, grid):
        seen.append((len(train), Counter(labels.tolist())))
        return plain.fitters["classification"](train, labels, test, grid)

    monkeypatch.setitem(few_labels.PROBES, "knn", plain._replace(fitters={"classification": spy}))
    few_labels.score(x, LABELS, folds=4, repeats=1, seed=0, probes=("knn",), fractions=(0.1,))
    # 126 training rows: 75, 45 and 6; each fold fits once, with k = 1, since the last class has one labelled row
    assert seen == [(8 + 4 + 1, Counter({0: 8, 1: 4, 2: 1}))] * 4


SHARED = {
    "pictures": False,
    "probes": ["knn"],
    "hidden_channels": 4,
    "folds": 3,
    "repeats": 1,
    "epochs": 2,
}
CELLS = [
    Cell("MUTAG", method, family, settings, seed, SHARED | settings)
    for method, family, settings in (
        ("hard-beta2", "hard", {"beta": 2.0}),
        ("untrained", "untrained", {"epochs": 0}),
        ("wl", "wl", {}),
    )
    for seed in (0, 1)
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs with seed 0, and for `wl`, as in the study, no run folder."""
    folder = tmp_path_factory.mktemp("runs")
    for cell in CELLS[0:4:2]:
        assert main([*to_flags(cell.given), "--quiet", "--out", str(folder / cell.path)]) == 0
    return folder


def embedding_sum(runs, method, name):
    with np.load(runs / "MUTAG" / method / "seed-0" / "embeddings.npz") as arrays:
        return float(arrays[name].sum())


@pytest.fixture
def quick(monkeypatch):
    """Scores that say which embedding they are of, in no time."""

    def score(embedding, labels, *, folds, repeats, seed, scale):
        accuracy = [[float(embedding.sum())] * folds] * repeats
        every = itertools.product(few_labels.LABEL_PROBES, few_labels.FRACTIONS)
        return [{"probe": p, "fraction": f, "accuracy": accuracy, "defaulted": 0} for p, f in every]

    monkeypatch.setattr(few_labels, "score", score)


@pytest.mark.usefixtures("quick")
def test_files_hold_all_finished_runs_and_are_completed_not_made_again(runs, tmp_path):
    told = []
    few_labels.run(CELLS, runs, tmp_path, lambda *state: told.append(state))
    assert told == [(1, 2, "MUTAG hard-beta2 seed 0"), (2, 2, "MUTAG untrained seed 0")]
    path = tmp_path / "MUTAG.json"
    whole = path.read_bytes()
    entries = json.loads(whole)
    assert Counter((one["method"], one["seed"], one["epoch"]) for one in entries) == {
        ("hard-beta2", 0, 2): 12,
        ("untrained", 0, 0): 12,
    }
    assert all(np.shape(one["accuracy"]) == (1, 3) for one in entries)
    assert entries[0].keys() == {
        *(
            "dataset",
            "method",
            "family",
            "settings",
            "seed",
            "epoch",
            "probe",
            "fraction",
            "accuracy",
            "defaulted",
        ),
        "source",
    }
    for one in entries:  # each of its own run and its own embedding
        assert one["accuracy"][0][0] == embedding_sum(
            runs, one["method"], "trained" if one["epoch"] else "untrained"
        )

    few_labels.run(CELLS, runs, tmp_path, lambda *state: told.append(state))
    assert len(told) == 2  # nothing was missing
    path.write_text(
        json.dumps([one for one in entries if one["method"] == "untrained"] + entries[:5])
    )
    few_labels.run(CELLS, runs, tmp_path, lambda *state: told.append(state))
    assert told[2:] == [(1, 1, "MUTAG hard-beta2 seed 0")]
    assert path.read_bytes() == whole


@pytest.mark.usefixtures("quick")
def test_other_settings_of_a_method_replace_its_scores(runs, tmp_path):
    few_labels.run(CELLS[:1], runs, tmp_path)
    path = tmp_path / "MUTAG.json"
    entries = json.loads(path.read_text())
    path.write_text(
        json.dumps([{**one, "settings": {"beta": 3.0}, "accuracy": [[0.0] * 3]} for one in entries])
    )
    few_labels.run(CELLS[:1], runs, tmp_path)
    assert json.loads(path.read_text()) == entries


@pytest.mark.usefixtures("quick")
def test_a_run_that_was_made_again_is_scored_again(runs, tmp_path):
    cell, copy = CELLS[0], tmp_path / "runs" / CELLS[0].path
    shutil.copytree(runs / cell.path, copy)
    few_labels.run([cell], tmp_path / "runs", tmp_path)
    with np.load(copy / "embeddings.npz") as arrays:
        np.savez(copy / "embeddings.npz", **{**arrays, "trained": arrays["trained"] + 1})
    few_labels.run([cell], tmp_path / "runs", tmp_path)
    entries = json.loads((tmp_path / "MUTAG.json").read_text())
    assert len(entries) == 12
    assert all(
        one["accuracy"][0][0] == embedding_sum(tmp_path / "runs", cell.method, "trained")
        for one in entries
    )


@pytest.mark.slow
def test_probes_see_the_scale_that_the_runs_probes_see(runs):
    cell = CELLS[0]
    embedding, labels, _ = few_labels._read_run(cell, runs)
    given = {"folds": 3, "repeats": 1, "seed": 0, "probes": ["knn"], "fractions": [1.0]}
    log = few_labels.score(embedding, labels, **given, scale="log")
    by_hand = np.sign(embedding) * np.log1p(np.abs(embedding.astype(np.float64)))
    assert log == few_labels.score(by_hand, labels, **given)
    entries = few_labels.score_run(cell, runs)[1]
    assert cell.config()["scale"] == "log"
    assert [one["accuracy"] for one in entries if one["probe"] == "knn"][-1] == log[0]["accuracy"]


@pytest.mark.usefixtures("quick")
def test_a_run_with_other_settings_than_the_cells_is_left_out(runs, tmp_path):
    settings = {"beta": 3.0}
    few_labels.run(
        [dataclasses.replace(CELLS[0], settings=settings, given=SHARED | settings)], runs, tmp_path
    )
    assert not list(tmp_path.iterdir())


def test_unfinished_runs_and_absent_ones_are_left_out(runs, tmp_path):
    folder = tmp_path / "runs" / "MUTAG" / "untrained" / "seed-0"
    folder.mkdir(parents=True)
    source = runs / "MUTAG" / "untrained" / "seed-0"
    (folder / "embeddings.npz").write_bytes((source / "embeddings.npz").read_bytes())
    result = json.loads((source / "result.json").read_text())
    (folder / "result.json").write_text(json.dumps({**result, "status": "diverged"}))
    few_labels.run(CELLS, tmp_path / "runs", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_processes_give_the_same_files_as_one(runs, tmp_path, monkeypatch):
    cells = CELLS[0:4:2]
    for cell in cells:  # a part of the graphs is scored sooner
        folder = tmp_path / "runs" / cell.path
        folder.mkdir(parents=True)
        (folder / "result.json").write_bytes((runs / cell.path / "result.json").read_bytes())
        with np.load(runs / cell.path / "embeddings.npz") as arrays:
            np.savez(
                folder / "embeddings.npz",
                **{name: array[:36] for name, array in arrays.items() if array.ndim},
            )
    for jobs in (1, 2):
        few_labels.run(cells, tmp_path / "runs", tmp_path / str(jobs), jobs=jobs)
    get_reusable_executor().shutdown(wait=True)
    assert (tmp_path / "1" / "MUTAG.json").read_bytes() == (
        tmp_path / "2" / "MUTAG.json"
    ).read_bytes()
