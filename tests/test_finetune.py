"""The command that fine-tunes: its parts, scores, files, refusals and signals."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

from graphcl_hard import (
    HardInfoGraph,
    HardInfoGraphClassifier,
    HardInfoGraphRegressor,
    InputError,
    load_graphs,
    write_shards,
)
from graphcl_hard.convert import main as convert
from graphcl_hard.embed import main as embed
from graphcl_hard.estimators import fine_tune_run
from graphcl_hard.evaluation.statistics import corrected_interval
from graphcl_hard.finetune import main

QUICK = ["--epochs", "3", "--hidden-channels", "8", "--num-layers", "2", "--lr", "0.01", "--quiet"]


@pytest.fixture(scope="module")
def mutag():
    return load_graphs("MUTAG")


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    out = tmp_path_factory.mktemp("tuned") / "run"
    assert main([*QUICK, "--epochs", "15", "--test-fraction", "0.3", "--out", str(out)]) == 0
    return out


def content(folder, name="result.json"):
    return json.loads((folder / name).read_text())


def test_the_folder_holds_scores_predictions_and_a_model(tuned, mutag):
    result, table = content(tuned), pd.read_csv(tuned / "predictions.csv")
    assert result["status"] == "finished"
    assert table["split"].value_counts().to_dict() == result["parts"]
    assert result["parts"]["test"] == 57
    test = table[table["split"] == "test"]
    scores = {name: one["mean"] for name, one in result["scores"]["test"].items()}
    assert scores["accuracy"] == accuracy_score(test["y"], test["y_predicted"])
    assert scores["macro_f1"] == f1_score(test["y"], test["y_predicted"], average="macro")
    assert scores["roc_auc"] == pytest.approx(roc_auc_score(test["y"], test["p_1"]))
    majority = table.loc[table["split"] == "train", "y"].mode()[0]
    baseline = result["scores"]["baseline"]["accuracy"]["mean"]
    assert baseline == np.mean(test["y"] == majority)
    assert scores["accuracy"] > baseline
    interval = result["scores"]["test"]["accuracy"]
    right = (test["y"] == test["y_predicted"]).to_numpy()
    resampled = right[np.random.default_rng(1).integers(57, size=(20_000, 57))].mean(axis=1)
    assert [interval["low"], interval["high"]] == pytest.approx(
        np.quantile(resampled, [0.025, 0.975]), abs=0.02
    )
    model = HardInfoGraphClassifier.from_pretrained(tuned)
    assert np.array_equal(model.predict(mutag), table["y_predicted"])
    assert np.array_equal(table["id"], mutag.ids)
    with (tuned / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == result["epochs_run"]
    best = min(rows, key=lambda row: float(row["valid_loss"]))
    assert result["epoch"] == int(best["epoch"]) == model.best_epoch_
    settings = yaml.safe_load((tuned / "config.yaml").read_text())
    assert (settings["epochs"], settings["test_fraction"]) == (15, 0.3)


def test_it_repeats_bit_for_bit_and_prints_its_folder(tuned, tmp_path, capsys):
    out = tmp_path / "again"
    assert main([*QUICK, "--epochs", "15", "--test-fraction", "0.3", "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert (out / "predictions.csv").read_bytes() == (tuned / "predictions.csv").read_bytes()


def test_its_encoder_embeds_and_starts_others(tuned, tmp_path, capsys, mutag):
    out = tmp_path / "vectors.npz"
    assert embed([str(tuned), "--data", "MUTAG", "--out", str(out), "--quiet"]) == 0
    model = HardInfoGraphClassifier.from_pretrained(tuned)
    assert np.array_equal(np.load(out)["vectors"], model.transform(mutag))
    assert capsys.readouterr().err == ""
    words = ["--init", str(tuned), "--epochs", "1", "--out", str(tmp_path / "b"), "--quiet"]
    assert main([*words, "--freeze", "True"]) == 0
    assert "was fine-tuned on labels" in capsys.readouterr().err
    frozen = HardInfoGraphClassifier.from_pretrained(tmp_path / "b")
    assert np.array_equal(frozen.transform(mutag), model.transform(mutag))


def test_several_seeds_have_a_summary(tmp_path, capsys, mutag):
    HardInfoGraph(epochs=1, hidden_channels=8, random_state=0).fit(mutag).save_pretrained(
        tmp_path / "init"
    )
    out = tmp_path / "run"
    words = ["--init", str(tmp_path / "init"), "--epochs", "2", "--seeds", "2", "--seed", "4"]
    assert main([*words, "--out", str(out)]) == 0
    shown = capsys.readouterr()
    assert "mean over seeds 4 to 5" in shown.out
    assert not shown.err
    assert "which change parts and weights; [95% intervals] are of the corrected" in shown.out
    summary = content(out, "summary.json")
    each = [content(out / f"seed-{seed}")["scores"]["test"]["accuracy"]["mean"] for seed in (4, 5)]
    assert summary["scores"]["test"]["accuracy"]["values"] == each
    assert summary["scores"]["test"]["accuracy"]["mean"] == pytest.approx(np.mean(each))
    found = summary["scores"]["test"]["accuracy"]
    assert [found["low"], found["high"]] == pytest.approx(corrected_interval(each, 19 / 169))
    assert main([*words, "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert (
        error
        == f"error: The folder {out} has a run in it; give --overwrite to replace it, or another --out.\n"
    )
    assert main([*words, "--out", str(out), "--overwrite", "--quiet"]) == 0


@pytest.fixture(scope="module")
def several(tmp_path_factory, mutag):
    """MUTAG with three targets with gaps: its class, whether it is large, and its number of nodes."""
    folder = tmp_path_factory.mktemp("several")
    generator, sizes = np.random.default_rng(0), mutag.node_ptr.diff().numpy()
    smiles = ["C" * size + "O" * int(one) for size, one in zip(sizes, mutag.y, strict=True)]
    table = pd.DataFrame(
        {"smiles": smiles, "oxygen": mutag.y.numpy(), "large": (sizes > 17).astype(int)}
    ).astype(object)
    for name in ("oxygen", "large"):
        table.loc[generator.random(188) < 0.5, name] = ""
    table["weight"] = sizes * 14.5
    table.to_csv(folder / "table.csv", index=False)
    pytest.importorskip("rdkit")
    words = [str(folder / "table.csv"), "--out", str(folder / "set"), "--quiet"]
    assert convert([*words, "--labels", "oxygen", "large", "weight"]) == 0
    return folder / "set"


def test_several_targets_with_gaps(several, tmp_path):
    out = tmp_path / "run"
    words = [*QUICK, "--dataset", str(several), "--out", str(out), "--epochs", "30"]
    assert main([*words, "--targets", "oxygen", "large", "--test-fraction", "0.3"]) == 0
    result, table = content(out), pd.read_csv(out / "predictions.csv")
    test = table[table["split"] == "test"]
    for name in ("oxygen", "large"):
        known = test[test[name].notna()]
        found = result["scores"]["test"]["targets"][name]
        assert found["roc_auc"] == pytest.approx(
            roc_auc_score(known[name], known[f"{name}_predicted"])
        )
        assert found["roc_auc"] > 0.8
    each = [one["roc_auc"] for one in result["scores"]["test"]["targets"].values()]
    assert result["scores"]["test"]["roc_auc"]["mean"] == pytest.approx(np.mean(each))
    assert HardInfoGraphClassifier.from_pretrained(out).targets_ == ("oxygen", "large")


def test_regression(several, tmp_path, capsys):
    out = tmp_path / "run"
    words = ["--dataset", str(several), "--targets", "weight", "--lr", "0.01", "--epochs", "40"]
    assert main([*words, "--out", str(out)]) == 0
    assert "The baseline predicts the mean of the training part." in " ".join(
        capsys.readouterr().out.split()
    )
    result, table = content(out), pd.read_csv(out / "predictions.csv")
    test = table[table["split"] == "test"]
    error = np.sqrt(np.mean((test["weight"] - test["weight_predicted"]) ** 2))
    assert result["scores"]["test"]["rmse"]["mean"] == pytest.approx(error)
    assert error < result["scores"]["baseline"]["rmse"]["mean"] / 2
    assert HardInfoGraphRegressor.from_pretrained(out).targets_ == ("weight",)


def test_a_given_split(tmp_path, mutag):
    ids = mutag.ids
    parts = np.where(np.arange(188) < 100, "train", np.where(np.arange(188) < 140, "valid", "test"))
    parts[:5] = ""
    pd.DataFrame({"id": ids, "split": parts}).to_csv(tmp_path / "split.csv", index=False)
    words = [*QUICK, "--split", str(tmp_path / "split.csv"), "--out", str(tmp_path / "run")]
    assert main(words) == 0
    table = pd.read_csv(tmp_path / "run" / "predictions.csv", keep_default_na=False)
    assert table["split"].tolist() == parts.tolist()


def test_seeds_on_a_given_split_have_no_interval(tuned, tmp_path, capsys):
    out = tmp_path / "run"
    words = ["--split", str(tuned / "predictions.csv"), "--seeds", "2", "--out", str(out)]
    assert main([*QUICK[:-1], *words]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "over seeds, which change the weights but not the test part, so there is no" in shown
    found = content(out, "summary.json")["scores"]["test"]["accuracy"]
    assert (found["low"], found["high"]) == (None, None)
    assert found["std"] == pytest.approx(np.std(found["values"], ddof=1))


def test_failed_scoring_is_a_failed_run(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("no scores")

    monkeypatch.setattr(fine_tune_run, "score_part", fail)
    with pytest.raises(RuntimeError, match="no scores"):
        main([*QUICK, "--out", str(tmp_path / "run")])
    assert content(tmp_path / "run")["status"] == "failed"


def test_predictions_are_a_split_for_another_call(tuned, tmp_path):
    given = tuned / "predictions.csv"
    assert main([*QUICK, "--split", str(given), "--out", str(tmp_path / "run")]) == 0
    tables = [pd.read_csv(folder / "predictions.csv") for folder in (tuned, tmp_path / "run")]
    assert tables[0]["split"].tolist() == tables[1]["split"].tolist()


def test_a_class_that_the_training_part_lacks_is_never_predicted(tmp_path, capsys):
    colours = ["black", "red", "white"]
    graphs = [nx.path_graph(2 + 4 * (number % 3 == 2)) for number in range(30)]
    for number, graph in enumerate(graphs):
        graph.graph["graph_label"] = colours[number % 3]
    write_shards(tmp_path / "set", graphs)
    graphs = load_graphs(tmp_path / "set")
    parts = ["test" if row % 3 == 0 or row >= 15 else "train" for row in range(30)]
    pd.DataFrame({"id": graphs.ids, "split": parts}).to_csv(tmp_path / "split.csv", index=False)
    out = tmp_path / "run"
    words = ["--dataset", str(tmp_path / "set"), "--split", str(tmp_path / "split.csv")]
    assert (
        main([*QUICK, *words, "--epochs", "60", "--validation-fraction", "0", "--out", str(out)])
        == 0
    )
    table = pd.read_csv(out / "predictions.csv")
    model = HardInfoGraphClassifier.from_pretrained(out)
    assert model.classes_.tolist() == ["red", "white"]
    assert table["y_predicted"].tolist() == model.predict(graphs).tolist()
    assert (table["p_black"] == 0).all()
    assert np.array_equal(table[["p_red", "p_white"]], model.predict_proba(graphs))
    test = table[table["split"] == "test"]
    scores = content(out)["scores"]
    assert (
        scores["test"]["accuracy"]["mean"] == accuracy_score(test["y"], test["y_predicted"]) > 0.4
    )
    assert scores["baseline"]["accuracy"]["mean"] == np.mean(test["y"] == "red")
    assert content(out)["protocol"].startswith("The last epoch was kept")


@pytest.mark.parametrize(
    "text", ["id,split\n1,train\n2,tst\n", "id,split\n1,train\n2,valid\n", "id,part\n1,train\n"]
)
def test_wrong_splits_are_one_sentence(tmp_path, capsys, text):
    (tmp_path / "split.csv").write_text(text)
    out = tmp_path / "run"
    assert main([*QUICK, "--split", str(tmp_path / "split.csv"), "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "split.csv" in error
    assert error.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--lr", "-1"], "--lr must lie in [0, 1000], got -1"),
        (["--test-fraction", "1"], "--test-fraction must lie in (0, 1), got 1.0"),
        (["--targets", "toxic"], "--targets must be among none"),
        (
            ["--task", "regression", "--init", "nowhere"],
            "There is no folder and no encoder 'nowhere'",
        ),
        (
            ["--split", "a.csv", "--test-fraction", "0.2"],
            "--test-fraction must be left out with --s",
        ),
        (["--freeze", "True", "--encoder-lr", "1"], "--encoder-lr must be left out with --freeze"),
        (["--init", "runs/a", "--encoder", "gcn"], "--encoder must be left out with --init"),
        (["--dataset", "MUTAC"], "did you mean MUTAG?"),
        (["--dataset", "m.csv"], "The targets are columns of m.csv, got none; name them with --t"),
        (["--dataset", "m.csv", "--targets", "a"], "The file m.csv does not exist"),
        (["--dataset", "m.smi", "--targets", "name", "--smiles", "s"], "--smiles must be left out"),
        (["--id", "name"], "--id must be left out for MUTAG, which is no file of molecules"),
        (["--jobs", "2"], "--jobs must be left out for MUTAG, which is no file of molecules"),
        (["--init", "molecule-random"], "no encoder 'molecule-random'; the encoders of the pack"),
        (["--test-fraction", "0.001"], "cannot be split with --test-fraction 0.001"),
        (["--freeze", "maybe"], "--freeze"),
        (
            ["--task", "regression", "--class-weight", "balanced"],
            "--class-weight must be none for regression",
        ),
    ],
)
def test_bad_input_is_one_sentence(tmp_path, capsys, words, found):
    out = tmp_path / "run"
    assert main([*words, "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert found in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_an_encoder_in_the_folder_to_replace_is_left(tuned, capsys):
    before = {path.name: path.read_bytes() for path in tuned.iterdir()}
    for init in (tuned, tuned / "seed-0", tuned / ".." / tuned.name):
        assert main([*QUICK, "--init", str(init), "--out", str(tuned), "--overwrite"]) == 2
        assert "--init must not be in the folder that is written" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in tuned.iterdir()} == before


@pytest.mark.parametrize(
    ("held", "given", "task", "words"),
    [
        ("ab", ("a", "a"), "auto", "`targets` must be different, got a, a"),
        (("a", "split"), (), "auto", "other columns of predictions.csv, got 'split'"),
        (("id", "b"), (), "regression", "other columns of predictions.csv, got 'id'"),
        (("a", "a_predicted"), (), "auto", "got 'a_predicted'; rename it, or leave it out"),
    ],
)
def test_targets_have_columns_of_their_own(held, given, task, words):
    graphs = SimpleNamespace(
        name="graphs", labels=np.eye(2)[[0, 1, 1]], targets=tuple(held), classes=()
    )
    with pytest.raises(InputError, match=words):
        fine_tune_run.read_problem(graphs, given, task)


def test_weights_of_classes_are_refused_for_measured_values(several, tmp_path, capsys):
    words = ["--dataset", str(several), "--targets", "weight", "--class-weight", "balanced"]
    assert main([*words, "--out", str(tmp_path / "run")]) == 2
    assert "--class-weight must be none for regression, got balanced" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_failed_training_says_so(tmp_path, capsys):
    words = ["--lr", "1000", "--weight-decay", "1000", "--out", str(tmp_path / "run")]
    assert main([*QUICK, *words]) == 2
    assert "lower --lr" in capsys.readouterr().err
    assert content(tmp_path / "run")["status"] == "failed"
    assert main([*QUICK, "--out", str(tmp_path / "run"), "--overwrite"]) == 0


@pytest.mark.slow
def test_ctrl_c_keeps_the_best_epoch_so_far(tmp_path, mutag):
    out = tmp_path / "run"
    words = ["--dataset", "MUTAG", "--epochs", "100000", "--patience", "100000", "--out", str(out)]
    process = subprocess.Popen(
        [sys.executable, "-m", "graphcl_hard.finetune", *words],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    deadline = time.monotonic() + 100
    while not (out / "metrics.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"interrupted: {out} has the results so far; --overwrite starts again." in error
    result = content(out)
    assert result["status"] == "interrupted"
    model = HardInfoGraphClassifier.from_pretrained(out)
    assert model.best_epoch_ == result["epoch"] >= 1
    assert 0 < model.score(mutag) <= 1


SMILES = ["CCO", "c1ccccc1", "CC(=O)O", "CN", "C#N", "O=C=O", "C1CC1", "CCl", "F[C@H](Cl)Br"] * 4


@pytest.fixture
def molecules(tmp_path, monkeypatch):
    """A table in the present folder; its last row is no molecule."""
    pytest.importorskip("rdkit", reason="RDKit is not installed (the extra [molecules])")
    monkeypatch.chdir(tmp_path)
    columns = {
        "name": [f"m{row}" for row in range(len(SMILES))],
        "structure": SMILES,
        "size": [len(one) + 0.5 for one in SMILES],
        "ring": [int("1" in one) for one in SMILES],
        "gaps": [None if row % 3 else int("C" in one) for row, one in enumerate(SMILES)],
    }
    table = pd.DataFrame(columns)
    pd.concat([table, table.tail(1).assign(name="bad", structure="C1CC")]).to_csv(
        "my.csv", index=False
    )
    words = ["--dataset", "my.csv", "--smiles", "structure", "--id", "name", "--skip-invalid"]
    return table, [*words, "--epochs", "1", "--out", "run", "--quiet"]


def test_a_table_of_molecules_fine_tunes_a_pretrained_encoder_by_its_name(molecules, capsys):
    table, words = molecules
    assert (
        main([*words, "--init", "molecules-random", "--freeze", "True", "--targets", "size"]) == 0
    )
    assert "1 of 37 rows are left out and listed in run/left-out.csv" in capsys.readouterr().err
    assert pd.read_csv("run/left-out.csv")["id"].tolist() == ["bad"]
    found = pd.read_csv("run/predictions.csv", keep_default_na=False)
    assert found["id"].tolist() == table["name"].tolist()
    assert found["y"].tolist() == table["size"].tolist()
    model = HardInfoGraphRegressor.from_pretrained("run")
    # Batches of other sizes round differently.
    assert model.predict(SMILES) == pytest.approx(found["y_predicted"].to_numpy(), abs=1e-4)
    expected = HardInfoGraph.from_pretrained("molecules-random", scale="linear").transform(SMILES)
    assert np.array_equal(model.transform(SMILES), expected)
    result = json.loads(Path("run/result.json").read_text())
    assert (result["init"], result["config"]["init"]) == ("molecules-random",) * 2
    assert main([*words, "--targets", "size", "--overwrite"]) == 0  # it is a run, with the list


def test_several_columns_of_molecules_have_gaps(molecules):
    table, words = molecules
    assert main([*words, "--targets", "ring", "gaps", "--encoder", "gine"]) == 0
    found = pd.read_csv("run/predictions.csv")
    assert found["ring"].tolist() == table["ring"].tolist()
    assert found["gaps"].isna().tolist() == table["gaps"].isna().tolist()
    assert HardInfoGraphClassifier.from_pretrained("run").targets_ == ("ring", "gaps")


def test_a_misspelt_column_of_targets_is_named_by_the_flag(molecules, capsys):
    assert main([*molecules[1], "--targets", "sise"]) == 2
    assert "has no column 'sise', it has name, structure" in (error := capsys.readouterr().err)
    assert "name one with --targets" in error
