"""The command that evaluates saved vectors."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from sklearn.tree import DecisionTreeRegressor

from graphcl_hard import cross_validate
from graphcl_hard.config import Config
from graphcl_hard.embed import main as embed
from graphcl_hard.evaluate import SETTINGS, Arguments, main
from graphcl_hard.evaluation.splitters import ScaffoldKFold, Split, scaffold_split

FOLDS = ["--folds", "3", "--repeats", "2"]


@pytest.fixture
def toy(tmp_path):
    """A file of 40 points in two classes that lie apart, in 3 dimensions."""
    generator = np.random.default_rng(0)
    y = np.arange(40) % 2
    vectors = generator.normal(size=(40, 3)) + 6 * y[:, None]
    np.savez(tmp_path / "toy.npz", vectors=vectors, noise=generator.normal(size=(40, 3)), y=y)
    return tmp_path / "toy.npz"


def load(path):
    return json.loads(path.read_text())


def test_the_settings_are_a_runs():
    defaults = {name: getattr(Config(), name) for name in SETTINGS}
    assert {name: getattr(Arguments, name) for name in SETTINGS} == defaults


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_the_vectors_of_embed_have_exactly_the_runs_scores(finished, tmp_path, suffix):
    vectors, out = tmp_path / f"vectors{suffix}", tmp_path / "scores.json"
    assert embed([str(finished), "--data", "MUTAG", "--out", str(vectors), "--quiet"]) == 0
    assert (
        main(
            [
                str(vectors),
                *FOLDS,
                "--seed",
                "5",
                "--probes",
                "svm",
                "knn",
                "--out",
                str(out),
                "--quiet",
            ]
        )
        == 0
    )
    found, result = load(out), load(finished / "result.json")
    for probe in ("svm", "knn"):
        (scores,) = found["scores"][probe].values()
        assert scores == result["scores"][probe]["trained"]
    assert found["config"] == {name: result["config"][name] for name in SETTINGS}
    assert (found["graphs"], found["classes"]) == (188, 2)


def test_a_csv_has_the_runs_scores_on_the_same_folds(finished, tmp_path):
    """Nine digits are not all of a float32's, so that a graph at the border of two classes may change sides."""
    vectors, out = tmp_path / "vectors.csv", tmp_path / "scores.json"
    assert embed([str(finished), "--data", "MUTAG", "--out", str(vectors), "--quiet"]) == 0
    assert main([str(vectors), *FOLDS, "--seed", "5", "--out", str(out), "--quiet"]) == 0
    found, expected = (
        load(out)["scores"]["svm"]["vectors"],
        load(finished / "result.json")["scores"]["svm"]["trained"],
    )
    assert found["test_sizes"] == expected["test_sizes"]
    np.testing.assert_allclose(found["accuracy"], expected["accuracy"], atol=2.5 / 62)


def test_a_runs_own_embeddings_have_its_scores(finished, tmp_path):
    out = tmp_path / "scores.json"
    assert (
        main(
            [str(finished / "embeddings.npz"), *FOLDS, "--seed", "5", "--out", str(out), "--quiet"]
        )
        == 0
    )
    scores, expected = load(out)["scores"]["svm"], load(finished / "result.json")["scores"]["svm"]
    assert set(scores) == {"untrained", "batch_norm", "trained"}
    assert all(scores[name] == expected[name] for name in scores)


def test_settings_reach_the_probes(toy, tmp_path):
    out = tmp_path / "scores.json"
    words = [
        "--folds",
        "4",
        "--repeats",
        "1",
        "--seed",
        "7",
        "--scale",
        "linear",
        "--probes",
        "linear-svm",
        "--quiet",
    ]
    assert main([str(toy), "--only", "noise", "--out", str(out), *words]) == 0
    arrays = np.load(toy)
    expected = cross_validate(
        {"noise": arrays["noise"]},
        arrays["y"],
        probe="linear-svm",
        cv=4,
        repeats=1,
        seed=7,
        scale="linear",
    )
    assert load(out)["scores"] == {"linear-svm": {"noise": expected["noise"].to_dict()}}
    assert {"versions", "git_commit"} <= set(load(out))


def test_the_table(toy, capsys):
    assert main([str(toy), *FOLDS, "--probes", "svm", "knn"]) == 0
    shown = capsys.readouterr().out
    for text in (
        "toy.npz: 40 graphs, 2 classes, seed 0",
        "vectors",
        "noise",
        "SVM (RBF)",
        "nearest neighbours",
    ):
        assert text in shown
    assert "2 x 3-fold cross-validation" in shown
    assert "The input of the probes was sign(x) log(1 + |x|) of the vectors (--scale log)." in shown
    assert "100.0" in shown
    assert "━" not in shown  # no progress bar off a terminal


def test_quiet_prints_the_file_alone(toy, tmp_path, capsys):
    assert main([str(toy), *FOLDS, "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    assert main([str(toy), *FOLDS, "--quiet", "--out", str(tmp_path / "s.json")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 's.json'}\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "VECTORS"),
        (["nothing.npz"], "The file nothing.npz does not exist"),
        (
            ["toy.npz", "--labels", "label"],
            "toy.npz has no array 'label' for the labels; it has vectors, noise, y.",
        ),
        (["toy.npz", "--only", "vector"], "did you mean 'vectors'?"),
        (["toy.npz", "--only", "noise", "noise"], "--only must name each once, got 'noise noise'"),
        (["toy.npz", "--only", "y"], "has no array 'y' of vectors"),
        (
            ["toy.npz", "--folds", "21"],
            "--folds must lie in [2, 20], got 21: class 0 has 20 graphs and every fold needs",
        ),
        (["toy.npz", "--folds", "1"], "--folds must lie in [2, 1000], got 1; 10 is usual."),
        (["toy.npz", "--repeats", "0"], "--repeats must lie in [1, 1000], got 0"),
        (["toy.npz", "--seed", "-1"], "--seed must lie in [0, 4.29497e+09], got -1"),
        (
            ["toy.npz", "--probes", "svm", "svm"],
            "--probes must name each once, got 'svm svm'",
        ),
        (
            ["toy.npz", "--probes", "forest"],
            "or one of svm, linear-svm, logistic, ridge, knn, got 'forest'",
        ),
        (["toy.npz", "--fold", "3"], "did you mean --folds or --scaffold"),
        (["toy.npz", "--out", "scores.csv"], "--out must end in .json, got 'scores.csv'"),
        (["toy.npz", "--out", "there.json"], "The file there.json exists; give --overwrite"),
        (["toy.npz", "--out", "no/s.json"], "The folder no for --out does not exist"),
        (
            ["nan.npz"],
            "must be finite, got NaN or infinity in 1 of 40 rows, first in row 3, column 0; leave",
        ),
        (["no-y.npz"], "no-y.npz has no graph with a label; name others with --labels."),
        (["no-y.npz", "--labels", "y"], "has no graph with a label in y; name others with"),
        (
            ["measured.npz", "--task", "classification"],
            "labels must be classes, got measured values, such as 1.5 for graph 1",
        ),
        (["toy.npz", "--scoring", "roc_acu"], "got 'roc_acu'; did you mean 'roc_auc'?"),
        (["toy.npz", "--scoring", "r2"], "must name a score for classification"),
        (["toy.npz", "--probes", "ridge"], "for classification, got 'ridge'; choose one of these"),
        (
            ["toy.npz", "--probes", "sklearn.svm:SVM"],
            "--probes has 'sklearn.svm:SVM', which must be",
        ),
        (["toy.npz", "--probes", "nosuch:Thing"], "No module named 'nosuch'"),
        (
            ["toy.npz", "--probes", "svm", "sklearn.svm:SVR"],
            "must be a classifier for classification",
        ),
        (["toy.npz", "--compare", "noise", "vector"], "got 'vector'; did you mean 'vectors'?"),
        (["toy.npz", "--ignore", "nois"], "no array 'nois' of vectors; did you mean 'noise'?"),
        (["toy.npz", "--split", "part"], "--split must be a column of the vectors' file, another"),
        (["toy.npz", "--split", "parts.csv"], "The file parts.csv does not exist"),
        (["toy.npz", "--scaffold", "smiles"], "--scaffold must be a column of the vectors' file"),
        (["toy.npz", "--split", "a", "--scaffold", "b"], "--split and --scaffold both split"),
        (["toy.npz", "--split", "a", "--folds", "5"], "--folds must be left out with --split"),
        (["toy.npz", "--scaffold", "a", "--repeats", "5"], "--repeats must be left out with --sca"),
        (["toy.npz", "--scaffold-folds", "3"], "--scaffold-folds needs the SMILES"),
        (["toy.npz", "--scaffold", "a", "--scaffold-folds", "1"], "must be at least 2, got 1"),
        (["toy.npz", "--labels", ""], "--labels must be the path of a file or folder, got ''"),
        (["one.npz"], "labels must contain at least 2 classes, got only 0"),
        (["short.npz"], "must have one label for each row of 'vectors', got 39 labels 'y' for 40"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_written(
    toy, tmp_path, monkeypatch, capsys, words, sentence
):
    monkeypatch.chdir(tmp_path)
    arrays = np.load(toy)
    vectors, y = arrays["vectors"], arrays["y"].astype(float)
    np.savez("nan.npz", vectors=np.where(np.arange(40)[:, None] == 3, np.nan, vectors), y=y)
    np.savez("no-y.npz", vectors=vectors, y=np.full(40, np.nan))
    np.savez("measured.npz", vectors=vectors, y=1.5 * y)
    np.savez("one.npz", vectors=vectors, y=0 * y)
    np.savez("short.npz", vectors=vectors, y=y[:-1])
    (tmp_path / "there.json").write_text("mine")
    before = sorted(os.listdir())
    assert main([*words, *([] if "--out" in words else ["--out", "scores.json"])]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert sentence in error
    assert error.count("\n") == 1
    assert sorted(os.listdir()) == before
    assert (tmp_path / "there.json").read_text() == "mine"


def test_graphs_without_a_label_are_left_out_of_the_scores(toy, tmp_path, capsys):
    arrays = np.load(toy)
    rows = [f"{a},{b},{c}" for a, b, c in arrays["vectors"].tolist()]
    labels = [["good", "bad"][y] for y in arrays["y"]]
    labels[3], labels[8] = "", "NA"
    path, out = tmp_path / "v.csv", tmp_path / "s.json"
    path.write_text("\n".join(["a,b,c,y", *map(",".join, zip(rows, labels, strict=True))]))
    assert main([str(path), *FOLDS, "--out", str(out)]) == 0
    shown = capsys.readouterr()
    sentence = "2 of 40 graphs have no label; the scores are those of the other 38."
    assert shown.err == f"warning: {sentence}\n"
    assert "v.csv: 38 graphs, 2 classes, seed 0" in shown.out
    found = load(out)
    assert (found["graphs"], found["unlabelled"], found["notes"]) == (38, 2, [sentence])
    assert (found["classes"], found["class_names"]) == (2, ["bad", "good"])
    known = ~np.isin(np.arange(40), [3, 8])
    expected = cross_validate(
        arrays["vectors"][known], arrays["y"][known], cv=3, repeats=2, scale="log"
    )
    assert found["scores"]["svm"]["v"]["accuracy"] == expected["vectors"].accuracy.tolist()
    path.write_text(path.read_text().replace(",NA\n", ",good\n"))
    assert main([str(path), *FOLDS, "--quiet"]) == 0
    assert "1 of 40 graphs has no label; the scores are" in capsys.readouterr().err


def test_messages_name_the_rows_of_the_file_beside_unlabelled_ones(toy, tmp_path, capsys):
    vectors = np.load(toy)["vectors"]
    vectors[5, 1] = np.inf
    np.savez(tmp_path / "v.npz", vectors=vectors, y=np.where(np.arange(40) < 3, np.nan, 1.0))
    assert main([str(tmp_path / "v.npz")]) == 2
    assert "first in row 5, column 1" in capsys.readouterr().err


@pytest.mark.parametrize("heading", ["", "index"])
def test_row_numbers_do_not_give_sorted_labels_away(tmp_path, capsys, heading):
    noise = np.random.default_rng(0).normal(size=(60, 2))
    table = np.column_stack([np.arange(60), noise, np.arange(60) // 30])
    path, out = tmp_path / "v.csv", tmp_path / "s.json"
    np.savetxt(path, table, delimiter=",", header=f"{heading},a,b,y", comments="")
    flags = [*FOLDS, "--probes", "knn", "--out", str(out), "--overwrite", "--quiet"]

    def accuracy(*more):
        assert main([str(path), *flags, *more]) == 0
        return load(out)["scores"]["knn"]["v"]["summary"]["accuracy"]["mean"]

    assert accuracy() < 0.7
    (note,) = load(out)["notes"]
    assert capsys.readouterr().err == f"warning: {note}\n"
    assert accuracy("--only", heading, "a", "b") > 0.8  # if it is named, it is used
    assert load(out)["notes"] == []


def test_paths_begin_at_home(toy, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    np.save(tmp_path / "l.npy", np.load(toy)["y"])
    words = ["~/toy.npz", "--labels", "~/l.npy", "--out", "~/s.json", "--quiet"]
    assert main([*words, *FOLDS, "--only", "vectors"]) == 0
    assert load(tmp_path / "s.json")["vectors"] == str(toy)


def test_one_repeat_has_no_standard_deviation(toy, capsys):
    assert main([str(toy), "--folds", "3", "--repeats", "1"]) == 0
    shown = capsys.readouterr().out
    assert "±" not in shown
    assert "[95% intervals] are corrected for overlapping training folds" in shown


def test_a_file_is_replaced_on_request(toy, tmp_path):
    out = tmp_path / "s.json"
    out.write_text("older")
    assert main([str(toy), *FOLDS, "--quiet", "--out", str(out), "--overwrite"]) == 0
    assert load(out)["graphs"] == 40


def test_help_teaches_and_loads_neither_pytorch_nor_scikit_learn():
    code = (
        "import sys\nfrom graphcl_hard.evaluate import main\n"
        "try:\n main(['--help'])\nfinally:\n print({'torch', 'sklearn', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.rstrip().endswith("set()")
    assert "python -m graphcl_hard.evaluate mine.csv --labels target" in done.stdout
    for name in ("labels", "only", "out", *SETTINGS):
        assert f"--{name.replace('_', '-')}" in done.stdout


# Regression, several targets, given splits, comparisons

FAST = ["--folds", "3", "--repeats", "2", "--probes", "knn"]
NAN = np.nan


@pytest.fixture
def tasks(tmp_path):
    """Sixty vectors with ids, two targets of classes with gaps, and a measured value."""
    generator = np.random.default_rng(1)
    vectors, noise = generator.normal(size=(2, 60, 3))
    y = np.stack([vectors[:, 0] > 0, vectors[:, 1] + generator.normal(size=60) > 0], axis=1)
    y = np.where(generator.random((60, 2)) < 0.2, NAN, y)
    ids = np.arange(60) + 100
    arrays = {"vectors": vectors, "noise": noise, "id": ids, "logP": vectors @ [1, 2, 0] + 0.25}
    np.savez(tmp_path / "t.npz", y=y, targets=np.array(["toxic", "active"]), **arrays)
    return tmp_path / "t.npz"


def scored(path, *words):
    out = path.with_name("scores.json")
    assert main([str(path), *words, "--out", str(out), "--overwrite", "--quiet"]) == 0
    return load(out)


def test_measured_values_have_the_scores_of_cross_validate(tasks):
    found = scored(tasks, "--labels", "logP", *FAST, "--probes", "ridge", "--scale", "linear")
    arrays = np.load(tasks)
    named = {name: arrays[name] for name in ("vectors", "noise")}
    expected = cross_validate(named, arrays["logP"], probe="ridge", cv=3, repeats=2)
    assert found["scores"]["ridge"] == {name: one.to_dict() for name, one in expected.items()}
    assert (found["task"], found["graphs"]) == ("regression", 60)
    assert found["scores"]["ridge"]["vectors"]["summary"]["r2"]["mean"] > 0.99
    assert "classes" not in found


def test_several_targets_have_the_scores_of_each_column(tasks):
    found = scored(tasks, *FAST, "--scale", "linear", "--scoring", "roc_auc", "accuracy")
    y = np.load(tasks)["y"]
    assert found["targets"] == {
        name: {"graphs": int((~np.isnan(column)).sum()), "positive_class": 1}
        for name, column in zip(("toxic", "active"), y.T, strict=True)
    }
    both = found["scores"]["knn"]["vectors"]
    for name in ("toxic", "active"):
        words = [*FAST, "--scale", "linear", "--scoring", "roc_auc", "accuracy"]
        own = scored(tasks, "--labels", name, *words)["scores"]["knn"]["vectors"]
        assert both["targets"][name]["roc_auc"] == own["roc_auc"]
        assert both["targets"][name]["summary"] == own["summary"]
    means = [both["targets"][name]["summary"]["roc_auc"]["mean"] for name in ("toxic", "active")]
    assert both["summary"]["roc_auc"]["mean"] == pytest.approx(np.mean(means))
    assert set(both["summary"]) == {"roc_auc", "accuracy"}


def test_labels_come_from_columns_of_another_file(tasks):
    y = np.load(tasks)["y"]
    lines = [f"{row + 100},{a},{b}" for row, (a, b) in enumerate(np.nan_to_num(y).astype(int))]
    tasks.with_name("l.tsv").write_text("\n".join(["id,a,b", *lines]).replace(",", "\t"))
    file = str(tasks.with_name("l.tsv"))
    found = scored(tasks, "--labels", f"{file}:b", f"{file}:a", *FAST, "--only", "noise")
    assert list(found["targets"]) == ["b", "a"]
    assert list(found["scores"]["knn"]) == ["noise"]


def test_a_given_split_is_matched_by_id(tasks, tmp_path, capsys):
    generator = np.random.default_rng(2)
    order = generator.permutation(60)
    parts = np.array(["train"] * 35 + ["Valid"] * 10 + ["test"] * 13 + [""] * 2)
    lines = [f"{100 + row},{part}" for row, part in zip(order, parts, strict=True)]
    (tmp_path / "s.csv").write_text("\n".join(["id,split", *lines]) + "\n")
    words = ["--labels", "logP", "--probes", "ridge", "--scale", "linear"]
    found = scored(tasks, "--split", str(tmp_path / "s.csv"), *words)
    assert found["notes"] == ["2 of 60 graphs are in no part of the split."]
    arrays = np.load(tasks)
    rows = [np.sort(order[np.char.lower(parts) == part]) for part in ("train", "valid", "test")]
    expected = cross_validate(
        arrays["vectors"], arrays["logP"], probe="ridge", cv=Split(*rows), seed=0
    )
    assert found["scores"]["ridge"]["vectors"] == expected["vectors"].to_dict()
    assert main([str(tasks), "--split", str(tmp_path / "s.csv"), *words]) == 0
    shown = capsys.readouterr().out
    assert "Given split: 35 graphs to train on, 10 to choose parameters, 13 to test on" in shown


def test_a_column_of_parts_is_no_vector(tasks, tmp_path):
    vectors = np.load(tasks)["vectors"]
    lines = [
        f"{a:.4f},{b:.4f},{row % 2},{['train', 'train', 'test'][row % 3]}"
        for row, (a, b, _) in enumerate(vectors)
    ]
    path = tmp_path / "v.csv"
    path.write_text("\n".join(["a,b,y,part", *lines]))
    found = scored(path, "--split", "part", "--probes", "knn")
    assert found["channels"] == {"v": 2}
    assert found["scores"]["knn"]["v"]["test_sizes"] == [[20]]


def test_molecules_are_split_by_scaffolds(tasks, tmp_path):
    pytest.importorskip("rdkit", reason="RDKit is not installed (the extra [molecules])")
    cores = ("c1ccccc1", "c1ccncc1", "C1CCCCC1", "C1CC1", "c1ccsc1", "C1CCNCC1", "c1ccoc1", "")
    smiles = [f"{'C' * (row % 5 + 1)}{cores[row % 8]}" for row in range(60)]
    rows = [f"{row + 100},{one}" for row, one in enumerate(smiles)][::-1]
    (tmp_path / "m.csv").write_text("\n".join(["id,smiles", *rows]))
    words = ["--labels", "logP", "--probes", "ridge", "--scale", "linear", "--scaffold"]
    found = scored(tasks, *words, str(tmp_path / "m.csv"))
    arrays = np.load(tasks)
    options = {"probe": "ridge", "seed": 0}
    expected = cross_validate(
        arrays["vectors"], arrays["logP"], cv=scaffold_split(smiles), **options
    )
    assert found["scores"]["ridge"]["vectors"] == expected["vectors"].to_dict()
    found = scored(tasks, *words, f"{tmp_path / 'm.csv'}:smiles", "--scaffold-folds", "4")
    expected = cross_validate(
        arrays["vectors"], arrays["logP"], cv=ScaffoldKFold(4), groups=smiles, **options
    )
    assert found["scores"]["ridge"]["vectors"] == expected["vectors"].to_dict()


def test_two_arrays_are_compared(tasks, capsys):
    words = [*FAST, "--scale", "linear", "--scoring", "roc_auc", "--compare", "vectors", "noise"]
    found = scored(tasks, *words)["difference"]
    arrays = np.load(tasks)
    expected = cross_validate(
        {"a": arrays["vectors"], "b": arrays["noise"]},
        dict(zip(("toxic", "active"), arrays["y"].T, strict=True)),
        probe="knn",
        scoring=["roc_auc"],
        cv=3,
        repeats=2,
    )
    pair = expected["a"].compare(expected["b"], "roc_auc")
    assert found["of"] == ["vectors", "noise"]
    assert found["knn"]["roc_auc"]["difference"] == pair.difference
    assert found["knn"]["roc_auc"]["p"] == pair.p
    each = expected["a"].compare_targets(expected["b"], "roc_auc")
    assert {name: one["p"] for name, one in found["knn"]["roc_auc"]["targets"].items()} == {
        name: one.p for name, one in each.items()
    }
    assert main([str(tasks), *words]) == 0
    shown = capsys.readouterr().out
    assert "vectors minus noise, paired" in shown
    assert "ROC-AUC %, mean" in shown
    assert "Holm" in shown


def test_an_estimator_by_its_import_path(tasks, capsys):
    path = "sklearn.tree:DecisionTreeRegressor"
    words = ["--labels", "logP", "--folds", "3", "--repeats", "1", "--probes", path]
    found = scored(tasks, *words, "--scale", "linear", "--seed", "4")
    arrays = np.load(tasks)
    expected = cross_validate(
        arrays["vectors"],
        arrays["logP"],
        probe=DecisionTreeRegressor(random_state=4),
        cv=3,
        repeats=1,
        seed=4,
    )
    assert found["scores"][path]["vectors"]["r2"] == expected["vectors"].to_dict()["r2"]
    assert main([str(tasks), *words]) == 0
    shown = capsys.readouterr().out
    assert "DecisionTreeRegressor" in shown
    assert "used as they are" in shown


@pytest.mark.parametrize("count", [1, 12])
def test_tables_fit_into_80_columns(tmp_path, capsys, count):
    generator = np.random.default_rng(0)
    y = (generator.random((48, count)) < 0.5).astype(float)
    names = np.array([f"NR-PPAR-gamma-{number}" for number in range(count)])
    vectors = generator.normal(size=(48, 8))
    np.savez(tmp_path / "t.npz", vectors=vectors, y=y if count > 1 else y[:, 0], targets=names)
    assert main([str(tmp_path / "t.npz"), "--folds", "3", "--repeats", "1", "--probes", "knn"]) == 0
    shown = capsys.readouterr().out
    table = shown.partition("cross-validation")[0].splitlines()[:-1]
    assert max(map(len, table)) <= 80
    assert "48 graphs" in shown
    assert "8 columns" in shown
    assert sum(line.startswith((" NR-", "NR-")) for line in table) == (12 if count > 1 else 0)


def test_the_result_is_written_whatever_can_be_compared(tmp_path, capsys):
    """One target has no test graphs, and a score is undefined in the only test part."""
    generator = np.random.default_rng(0)
    y = np.column_stack(
        [np.arange(60) % 2, np.where(np.arange(60) < 40, np.arange(60) % 2, np.nan)]
    )
    file, out = tmp_path / "v.npz", tmp_path / "scores.json"
    a, b = generator.normal(size=(2, 60, 3))
    np.savez(file, a=a, b=b, y=y, targets=np.array(["whole", "cut"]))
    (tmp_path / "split.csv").write_text("\n".join(["split", *["train"] * 40, *["test"] * 20]))
    words = ["--probes", "knn", "--compare", "a", "b", "--out", str(out)]
    assert main([str(file), "--split", str(tmp_path / "split.csv"), *words]) == 0
    found = load(out)
    difference = found["difference"]["knn"]["roc_auc"]
    assert list(difference["targets"]) == ["whole"]
    assert difference["difference"] == difference["targets"]["whole"]["difference"]
    assert any("roc_auc of knn is not compared for 1 targets, cut" in one for one in found["notes"])
    assert "ROC-AUC %, mean" in capsys.readouterr().out


def test_the_positive_class_is_told(toy, tmp_path, capsys):
    arrays, out = dict(np.load(toy)), tmp_path / "scores.json"
    np.savez(toy, **arrays | {"y": np.where(arrays["y"] == 1, "active", "inactive")})
    words = [*FOLDS, "--probes", "knn", "--only", "noise", "--scoring", "average_precision"]
    assert main([str(toy), *words, "--out", str(out)]) == 0
    assert load(out)["positive_class"] == "inactive"
    assert "The positive class is the second in sorted order: inactive." in capsys.readouterr().out
