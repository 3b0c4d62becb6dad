"""The command: what it leaves, that it repeats, and what it says to bad input."""

import csv
import dataclasses
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time

import networkx as nx
import numpy as np
import pytest
import torch
import yaml
from helpers.runs import FINISHED, SMALL

from graphcl_hard import GINEncoder, cross_validate, load_graphs
from graphcl_hard.config import Config
from graphcl_hard.evaluation.effective_rank import effective_rank
from graphcl_hard.evaluation.statistics import paired_difference, t_interval
from graphcl_hard.exceptions import InputError
from graphcl_hard.loader.features import node_features
from graphcl_hard.run import main, parse
from graphcl_hard.runs import experiment
from graphcl_hard.runs.config_file import to_flags
from graphcl_hard.training import build


def load(folder):
    return json.loads((folder / "result.json").read_text())


def test_a_run_leaves_its_files(finished):
    assert sorted(os.listdir(finished)) == [
        "config.yaml",
        "embedding.png",
        "embeddings.npz",
        "encoder.json",
        "encoder.safetensors",
        "features.json",
        "metrics.csv",
        "predicted.npz",
        "result.json",
        "training.png",
    ]
    result = load(finished)
    assert result["status"] == "finished"
    assert result["epoch"] == 2
    assert result["config"]["beta"] == 10.0
    assert {"versions", "git_commit", "device", "seconds", "seed", "threads"} <= set(result)
    with (finished / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert 0 < float(rows[0]["effective_negatives"]) <= 1
    for name in ("embedding.png", "training.png"):
        assert (finished / name).read_bytes().startswith(b"\x89PNG")


def test_the_scores_are_those_of_the_saved_embeddings(finished):
    """Untrained, control and trained are scored on the same folds, and the differences are theirs."""
    saved = np.load(finished / "embeddings.npz")
    encoders = ("untrained", "batch_norm", "trained")
    found = cross_validate(
        {k: saved[k] for k in encoders}, saved["y"], cv=3, repeats=2, seed=5, scale="log"
    )
    scores = load(finished)["scores"]["svm"]
    for key in encoders:
        assert scores[key]["accuracy"] == found[key].accuracy.tolist()
        assert scores[key]["macro_f1"] == found[key].macro_f1.tolist()
    for score in ("accuracy", "macro_f1"):
        for name, other in (("difference", "untrained"), ("learnt", "batch_norm")):
            pair = paired_difference(
                *(getattr(found[key], score) for key in ("trained", other)), 1 / 2
            )
            assert scores[name][score] == pytest.approx(pair._asdict())


@pytest.mark.parametrize(
    "words", [[], ["--nodes-per-graph", "3"], ["--method", "graphcl", "--beta", "1"]]
)
def test_the_control_is_a_training_in_which_no_weight_moves(tmp_path, words):
    for name, more in (("run", []), ("still", ["--lr", "0"])):
        assert (
            main([*SMALL, *words, *more, "--no-pictures", "--out", str(tmp_path / name), "--quiet"])
            == 0
        )
    run, still = (np.load(tmp_path / name / "embeddings.npz") for name in ("run", "still"))
    np.testing.assert_allclose(run["batch_norm"], still["trained"], rtol=1e-4, atol=1e-4)
    assert not np.allclose(run["batch_norm"], run["trained"], rtol=1e-2)
    assert not np.allclose(run["batch_norm"], run["untrained"], rtol=1e-2)


@pytest.mark.parametrize("protocol", ["last-epoch", "best-epoch"])
def test_the_saved_encoder_makes_the_saved_embedding(finished, protocol, tmp_path, monkeypatch):
    if protocol == "best-epoch":
        # Whatever the scores are here, the first epoch shall have been the best.
        monkeypatch.setattr(experiment, "best_epoch", lambda _: 1)
        finished = tmp_path / "run"
        assert (
            main(
                [*SMALL, "--lr", "0.05", "--protocol", protocol, "--out", str(finished), "--quiet"]
            )
            == 0
        )
        assert load(finished)["epoch"] == 1
    encoder = GINEncoder.from_pretrained(finished)
    graphs = load_graphs("MUTAG")
    batch = torch.repeat_interleave(torch.arange(188), graphs.node_ptr.diff())
    with torch.no_grad():
        found = encoder(node_features(graphs).x, graphs.edge_index, batch).graph_embedding
    np.testing.assert_allclose(
        found, np.load(finished / "embeddings.npz")["trained"], rtol=1e-4, atol=1e-4
    )


def test_graphcl_runs_to_the_end_from_the_same_untrained_encoder(finished, tmp_path, monkeypatch):
    labels = []
    curves, embedding = experiment.plots.training_curves, experiment.plots.embedding_map
    monkeypatch.setattr(
        experiment.plots, "training_curves", lambda *args: labels.append(args[2]) or curves(*args)
    )
    monkeypatch.setattr(
        experiment.plots, "embedding_map", lambda *args: labels.extend(args[0]) or embedding(*args)
    )
    out = tmp_path / "run"
    words = [*FINISHED, "--method", "graphcl", "--beta", "1", "--views", "random", "subgraph"]
    assert main([*words, "--out", str(out)]) == 0
    assert sorted(os.listdir(out)) == sorted(os.listdir(finished))
    label = "MUTAG, graphcl, random and subgraph, beta 1, tau+ 0.1"
    assert labels == [label, f"{label}, epoch 2"]
    result = load(out)
    assert result["method"] == "graphcl"
    assert result["scores"]["svm"]["untrained"] == load(finished)["scores"]["svm"]["untrained"]
    first, second = (np.load(folder / "embeddings.npz")["trained"] for folder in (finished, out))
    assert first.shape == second.shape
    assert not np.allclose(first, second, rtol=1e-2)
    with (out / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[1]["positive_score"]) > float(rows[1]["negative_score"])
    assert (
        main(["--config", str(out / "config.yaml"), "--out", str(tmp_path / "again"), "--quiet"])
        == 0
    )
    assert load(tmp_path / "again")["scores"] == result["scores"]


@pytest.mark.slow
def test_the_folder_runs_again_exactly(finished, tmp_path):
    out = tmp_path / "again"
    assert main(["--config", str(finished / "config.yaml"), "--out", str(out), "--quiet"]) == 0
    first, second = np.load(finished / "embeddings.npz"), np.load(out / "embeddings.npz")
    for key in ("untrained", "trained", "y"):
        assert np.array_equal(first[key], second[key])
    assert load(finished)["scores"] == load(out)["scores"]
    assert (finished / "config.yaml").read_text() == (out / "config.yaml").read_text()


@pytest.mark.slow
def test_a_relative_path_runs_again_from_another_folder(tmp_path, monkeypatch):
    write_tu(tmp_path / "own", [nx.path_graph(4), nx.star_graph(4)] * 8, [0, 1] * 8)
    monkeypatch.chdir(tmp_path)
    assert main([*SMALL, "--dataset", "./own", "--out", "run", "--quiet"]) == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["--config", "../run/config.yaml", "--out", "again", "--quiet"]) == 0
    assert load(tmp_path / "run")["scores"] == load(tmp_path / "elsewhere" / "again")["scores"]


def test_flags_win_over_the_file_and_the_file_over_defaults(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("beta: 3\nlr: 1e-2\nprobes: [knn, svm]\ndetach_weights: false\nout: here\n")
    settings = parse(["--config", str(path), "--beta", "4"]).settings
    assert settings == dataclasses.replace(
        Config(), beta=4.0, lr=0.01, probes=("knn", "svm"), detach_weights=False, out=settings.out
    )
    assert str(settings.out) == "here"


def test_every_setting_survives_yaml_and_flags():
    changed = dataclasses.replace(
        Config(),
        dataset="DD",
        tau_plus=0.25,
        use_node_attr=True,
        probes=("logistic",),
        lr=1e-05,
        seeds=3,
        method="graphcl",
        views=("none", "random"),
        view_strength=0.1,
    )
    for one in (changed, dataclasses.replace(changed, second_view_strength=0.3)):
        plain = yaml.safe_load(yaml.safe_dump(one.to_dict()))
        assert parse(to_flags(plain)).settings == one


@pytest.mark.parametrize(
    ("value", "second"), [("null", None), ("0.3", 0.3), ("3e-1", 0.3), ("0", 0.0)]
)
def test_the_second_strength_is_the_first_where_none_is_given(tmp_path, value, second):
    path = tmp_path / "c.yaml"
    path.write_text(f"method: graphcl\nview_strength: 0.1\nsecond_view_strength: {value}\n")
    settings = parse(["--config", str(path)]).settings
    settings.check()
    assert settings.second_view_strength == second
    assert settings.view_strengths == (0.1, 0.1 if second is None else second)
    path.write_text("second_view_strength: true\n")
    with pytest.raises(InputError, match="second_view_strength must be a number or null, got True"):
        parse(["--config", str(path)])


def test_print_config_prints_yaml_and_makes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["--beta", "2", "--print-config"]) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["beta"] == 2.0
    assert "out" not in printed
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_several_seeds_are_runs_of_their_own_with_a_summary(tmp_path, capsys):
    out = tmp_path / "run"
    assert main([*SMALL, "--seeds", "2", "--seed", "5", "--out", str(out)]) == 0
    assert sorted(os.listdir(out)) == ["config.yaml", "seed-5", "seed-6", "summary.json"]
    summary = json.loads((out / "summary.json").read_text())
    means = [
        load(out / f"seed-{s}")["scores"]["svm"]["trained"]["summary"]["accuracy"]["mean"]
        for s in (5, 6)
    ]
    assert summary["scores"]["svm"]["trained"]["accuracy"]["values"] == means
    untrained = [
        load(out / f"seed-{s}")["scores"]["svm"]["untrained"]["summary"]["accuracy"]["mean"]
        for s in (5, 6)
    ]
    control = [
        load(out / f"seed-{s}")["scores"]["svm"]["batch_norm"]["summary"]["accuracy"]["mean"]
        for s in (5, 6)
    ]
    rows = {
        "trained": means,
        "untrained": untrained,
        "difference": np.subtract(means, untrained).tolist(),
    }
    rows |= {"batch_norm": control, "learnt": np.subtract(means, control).tolist()}
    for key, values in rows.items():
        low, high = t_interval(values)
        expected = {
            "mean": np.mean(values),
            "std": np.std(values, ddof=1),
            "low": low,
            "high": high,
        }
        found = dict(summary["scores"]["svm"][key]["accuracy"])
        assert found.pop("values") == pytest.approx(values)
        assert found == pytest.approx(expected)
    assert "mean over seeds 5 to 6" in capsys.readouterr().out
    alone = tmp_path / "alone"
    assert main([*SMALL, "--seed", "6", "--out", str(alone), "--quiet"]) == 0
    assert load(alone)["scores"] == load(out / "seed-6")["scores"]


def test_best_epoch_is_labelled_optimistic_and_never_below_the_last(tmp_path, capsys):
    out = tmp_path / "best"
    assert main([*SMALL, "--epochs", "4", "--protocol", "best-epoch", "--out", str(out)]) == 0
    assert "OPTIMISTIC" in capsys.readouterr().out
    result = load(out)
    assert result["optimistic"] is True
    scores = result["scores"]["svm"]
    assert sorted([*scores["by_epoch"], str(result["epoch"])]) == ["1", "2", "3", "4"]
    others = [np.mean(scored["accuracy"]) for scored in scores["by_epoch"].values()]
    assert np.mean(scores["trained"]["accuracy"]) >= max(others)
    assert min(others) < max(others)


@pytest.mark.slow
def test_chosen_epochs_are_scored_on_the_same_folds_and_kept(tmp_path, capsys):
    words = [*SMALL, "--epochs", "3", "--no-pictures", "--scale", "linear", "--out"]
    assert main([*words, str(tmp_path / "run"), "--score-epochs", "1", "2"]) == 0
    assert not list((tmp_path / "run").glob("*.png"))
    assert re.search(r"epoch 1 .*\n.*epoch 2 .*\n.*trained, epoch 3 ", capsys.readouterr().out)
    result, saved = load(tmp_path / "run"), np.load(tmp_path / "run" / "embeddings.npz")
    scores = result["scores"]["svm"]
    assert set(scores) == {"trained", "by_epoch"}
    assert set(result["embedding"]) == {"1", "2", "3"}
    names = {"1": "epoch_1", "2": "epoch_2", "3": "trained"}
    by_epoch = {epoch: saved[name] for epoch, name in names.items()}
    found = cross_validate(by_epoch, saved["y"], cv=3, repeats=2)
    for epoch, scored in {**scores["by_epoch"], "3": scores["trained"]}.items():
        assert scored == found[epoch].to_dict()
        assert result["embedding"][epoch]["effective_rank"] == effective_rank(saved[names[epoch]])
    # a training of two epochs is the beginning of one of three
    assert main([*SMALL, "--out", str(tmp_path / "shorter"), "--quiet"]) == 0
    assert np.array_equal(
        np.load(tmp_path / "shorter" / "embeddings.npz")["trained"], saved["epoch_2"]
    )


def test_the_effective_rank_is_of_what_the_probes_see(finished):
    saved = np.load(finished / "embeddings.npz")["trained"]
    logarithms = np.sign(saved) * np.log1p(np.abs(saved))
    assert load(finished)["embedding"]["2"]["effective_rank"] == pytest.approx(
        effective_rank(logarithms), rel=1e-4
    )
    assert effective_rank(logarithms) != pytest.approx(effective_rank(saved), rel=1e-2)


def test_no_epochs_score_the_untrained_encoder_alone(finished, tmp_path):
    out = tmp_path / "run"
    assert main([*FINISHED, "--epochs", "0", "--seeds", "2", "--out", str(out)]) == 0
    scores = load(out / "seed-5")["scores"]["svm"]
    assert scores == {"untrained": load(finished)["scores"]["svm"]["untrained"]}
    assert set(json.loads((out / "summary.json").read_text())["scores"]["svm"]) == {"untrained"}
    assert not (out / "seed-5" / "training.png").exists()


@pytest.mark.slow
def test_the_table_shows_both_encoders_and_every_probe(tmp_path, capsys):
    assert (
        main(
            [
                *SMALL,
                "--probes",
                "svm",
                "knn",
                "logistic",
                "linear-svm",
                "--out",
                str(tmp_path / "run"),
            ]
        )
        == 0
    )
    shown = capsys.readouterr().out
    for text in (
        "untrained GIN",
        "batch norm only",
        "trained, epoch 2",
        "over untrained",
        "over batch norm",
        "SVM (RBF)",
        "nearest neighbours",
        "logistic",
        "linear SVM",
    ):
        assert text in shown
    assert f"written: {tmp_path / 'run'}" in shown.replace("\n", "")
    assert "━" not in shown  # no progress bar off a terminal


def test_quiet_prints_the_folder_alone(tmp_path, capsys):
    assert main([*SMALL, "--quiet", "--out", str(tmp_path / "run")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'run'}\n"


@pytest.mark.slow
def test_overwrite_replaces_a_run_and_without_it_nothing_is_lost(finished, tmp_path, capsys):
    before = {p.name: p.read_bytes() for p in finished.iterdir()}
    assert main([*FINISHED, "--out", str(finished)]) == 2
    assert "has a run in it; give --resume" in capsys.readouterr().err
    assert main([*FINISHED, "--out", str(finished), "--overwrite", "--dataset", "MUTAGG"]) == 2
    assert {p.name: p.read_bytes() for p in finished.iterdir()} == before
    out = tmp_path / "run"
    assert main([*SMALL, "--out", str(out), "--quiet"]) == 0
    assert main([*SMALL, "--seed", "1", "--out", str(out), "--overwrite", "--quiet"]) == 0
    assert load(out)["seed"] == 1
    assert sorted(os.listdir(out)) == sorted(before)


BAD = [
    (["--tau-plus", "1.2"], "--tau-plus must lie in [0, 1), got 1.2"),
    (["--tau-plus", "-0.1"], "--tau-plus must lie in [0, 1), got -0.1"),
    (["--beta", "-1"], "--beta must lie in [0, 1e+06], got -1.0; 0 is uniform"),
    (["--beta", "nan"], "got nan"),
    (["--beta", "1e308"], "got 1e+308"),
    (["--hidden-channels", "65537"], "--hidden-channels must lie in [1, 65536], got 65537"),
    (["--num-layers", "101"], "--num-layers must lie in [1, 100], got 101"),
    (["--out", ""], "--out must name a folder other than the current one"),
    (["--config", ""], "--config must be the path of a file or folder, got ''; give one."),
    (["--betta", "1"], "Unrecognized options: --betta, 1; did you mean --beta"),
    (["--beta", "much"], "Error parsing --beta: could not convert string to float: 'much'"),
    (
        ["--probes", "forest"],
        "invalid choice 'forest' for argument '--probes'. Expected one of ('svm', ",
    ),
    (["--epochs", "1.5"], "Error parsing --epochs"),
    (["stray"], "Unrecognized options: stray"),
    (
        ["--batch-size", "1"],
        "--batch-size must lie in [2, 1e+06], got 1; the other graphs of a batch are the negatives",
    ),
    (["--epochs", "-1"], "--epochs must lie in [0, 1e+06], got -1"),
    (
        ["--score-epochs", "6"],
        "--score-epochs must be epochs from 0 to --epochs 5, each once, got 6",
    ),
    (["--score-epochs", "1", "1"], "each once, got 1 1"),
    (
        ["--protocol", "best-epoch", "--score-epochs", "5"],
        "--protocol best-epoch scores all epochs",
    ),
    (
        ["--protocol", "best-epoch", "--epochs", "0"],
        "--protocol best-epoch scores all epochs and needs one",
    ),
    (["--resume"], "--resume needs the --out folder of a run, and not --overwrite, got no --out"),
    (["--resume", "--out", "run", "--overwrite"], "got --overwrite"),
    (["--checkpoint-seconds", "-1"], "--checkpoint-seconds must lie in [0, 1e+09], got -1.0"),
    (
        ["--lr", "-0.1"],
        "--lr must lie in [0, 1000], got -0.1; 0.001 is usual, and 0 only moves the statistics",
    ),
    (["--temperature", "inf"], "--temperature must lie in [1e-06, 1e+06], got inf"),
    (["--seeds", "0"], "--seeds must lie in [1, 10000], got 0"),
    (["--seed", "-3"], "--seed must lie in [0, 4.29497e+09], got -3"),
    (["--seed", "4294967295", "--seeds", "2"], "must stay below 2**32 together"),
    (["--folds", "1"], "--folds must lie in [2, 1000], got 1"),
    (["--folds", "64"], "class -1 has 63 graphs"),
    (["--repeats", "0"], "--repeats must lie in [1, 1000], got 0"),
    (
        ["--method", "graphcl", "--view-strength", "1"],
        "--view-strength must lie in [0, 1), got 1.0; 0.2 is usual",
    ),
    (
        ["--method", "graphcl", "--second-view-strength", "-1"],
        "--second-view-strength must lie in [0, 1), got -1.0; 0.2 is usual, and None is the first view's",
    ),
    (
        ["--second-view-strength", "0"],
        "--second-view-strength is a setting of --method graphcl only, got 0.0 with info",
    ),
    (
        ["--view-strength", "0.3"],
        "--view-strength is a setting of --method graphcl only, got 0.3 with infograph",
    ),
    (
        ["--views", "random", "none"],
        "--views is a setting of --method graphcl only, got random none with infograph",
    ),
    (["--method", "graphcl", "--views", "random"], "got 'random'; none is the graph"),
    (
        ["--method", "graphcl", "--views", "random", "drop"],
        "invalid choice 'drop' for argument '--views'",
    ),
    (
        ["--method", "graphcl", "--objective", "info-nce"],
        "--objective is a setting of --method infograph only",
    ),
    (
        ["--method", "graphcl", "--mode", "released"],
        "--mode is a setting of --method infograph only, got released",
    ),
    (
        ["--method", "graphcl", "--critic", "dot"],
        "--critic is a setting of --method infograph only, got dot",
    ),
    (
        ["--method", "graphcl", "--score-scale", "none"],
        "--score-scale is a setting of --method infograph only",
    ),
    (
        ["--method", "graphcl", "--nodes-per-graph", "4"],
        "--nodes-per-graph is a setting of --method infograph only",
    ),
    (["--mode", "released", "--critic", "cosine"], "--mode released is the authors' code"),
    (
        ["--mode", "released", "--negative-queue", "9"],
        "and no --negative-queue, got jsd, auto and 9; leave them out",
    ),
    (
        ["--negative-queue", "-1"],
        "--negative-queue must lie in [0, 1e+07], got -1; 0 takes the negatives of the batch",
    ),
    (
        ["--similar-graphs", "-1"],
        "--similar-graphs must lie in [0, 1e+06], got -1; 0 draws batches at random",
    ),
    (
        ["--similar-graphs", "65", "--batch-size", "64"],
        "--similar-graphs must be at most --batch-size 64, since these graphs enter a batch together, got 65; lower",
    ),
    (["--mode", "released", "--objective", "info-nce"], "--mode released is the authors' code"),
    (
        ["--mode", "released", "--debias", "consistent"],
        "which has its own debiasing, got --debias consistent; leave it out",
    ),
    (
        ["--mode", "released", "--effective-negatives", "0.2"],
        "whose --beta is given, got --effective-negatives 0.2; leave one of them out",
    ),
    (
        ["--beta", "2", "--effective-negatives", "0.2"],
        "so --beta and --beta-schedule must be left at 10 and constant, got 2.0 and constant",
    ),
    (
        ["--beta-schedule", "linear-up", "--effective-negatives", "0.2"],
        "must be left at 10 and constant, got 10.0 and linear-up; leave them out",
    ),
    (
        ["--effective-negatives", "0"],
        "--effective-negatives must lie in [1e-06, 1], got 0.0; 0.2 leaves a fifth",
    ),
    (["--probes", "svm", "svm"], "each once, got 'svm svm'"),
    (["--use-node-attr"], "The data set 'MUTAG' has no node attributes; leave --use-node-attr out"),
    (["--dataset", "MUTAGG"], "did you mean MUTAG"),
    (["--dataset", "imdb_binary"], "did you mean IMDB-BINARY"),
    (["--dataset", "./nowhere"], "nowhere"),
    (["--accelerator", "mps"], "--accelerator mps needs such a device, but PyTorch finds none"),
    (
        ["--config", "nowhere.yaml"],
        "--config nowhere.yaml cannot be read: No such file or directory",
    ),
]


@pytest.mark.parametrize(
    ("words", "sentence"), BAD, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_bad_input_is_one_sentence_status_2_and_nothing_written(
    words, sentence, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRAPHCL_HARD_MIRROR", str(tmp_path))
    monkeypatch.setattr("torch_geometric.datasets.TUDataset.url", "http://127.0.0.1:9")
    monkeypatch.setattr("graphcl_hard.data.tu.download.BACKOFF_SECONDS", 0.0)
    monkeypatch.setattr(
        "graphcl_hard.data.tu.names.default_data_dir",
        lambda: tmp_path.parent / f"{tmp_path.name}-data",
    )
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert sentence in error
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is there")
def test_a_gpu_that_is_not_there_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["--accelerator", "cuda"]) == 2
    error = capsys.readouterr().err
    assert "--accelerator cuda needs such a device" in error
    assert "give --accelerator auto, which then takes the CPU, or " in error
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("betta: 2\n", "has the unknown setting 'betta'; did you mean 'beta'?"),
        ("- beta\n", "must have one setting per line"),
        ("beta: [\n", "cannot be read"),
        ("beta: true\n", "beta must be a number, got True; fix that line"),
        ("beta: [1, 2]\n", "beta must be a number, got [1, 2]"),
        ("use_node_attr: 1\n", "use_node_attr must be true or false, got 1"),
        ("dataset: no\n", "dataset must be a name, got False"),
        ("dataset:\n", "dataset must be a name, got None"),
        ("probes: svm\n", "probes must be a list, each a name, got 'svm'"),
        ("epochs: many\n", "Error parsing --epochs: invalid literal for int"),
        ("dataset: -x\n", "-x"),
        ("beta: !!python/object/apply:os.system ['true']\n", "cannot be read"),
        (
            "seed: 2001-99-99\n",
            "cannot be read: month must be in 1..12",
        ),  # these three were tracebacks
        ("beta: !!int x\n", "cannot be read: invalid literal for int"),
        ("beta: 1\nseed: 3\nbeta: 2\n", "cannot be read: 'beta' occurs twice"),
        ("[" * 2000, "cannot be read: maximum recursion depth exceeded"),
    ],
)
def test_a_bad_config_file_is_refused(text, sentence, tmp_path, capsys):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    assert main(["--config", str(path)]) == 2
    assert sentence in capsys.readouterr().err


def test_a_loss_that_is_not_finite_leaves_the_last_whole_epoch(tmp_path, monkeypatch, capsys):
    original, calls = build.local_global_jsd, []

    def failing(*tensors, **options):
        calls.append(1)
        loss, diagnostics = original(*tensors, **options)
        return (loss * float("nan"), diagnostics) if len(calls) == 4 else (loss, diagnostics)

    monkeypatch.setattr(build, "local_global_jsd", failing)
    out = tmp_path / "run"
    assert main([*SMALL, "--epochs", "5", "--out", str(out), "--quiet"]) == 2
    assert "The loss is nan at step 2 of epoch 2" in capsys.readouterr().err
    result = load(out)
    assert (result["status"], result["epoch"]) == ("diverged", 1)
    assert "step 2 of epoch 2" in result["error"]
    encoder = GINEncoder.from_pretrained(out)
    assert all(torch.isfinite(parameter).all() for parameter in encoder.parameters())
    assert len((out / "metrics.csv").read_text().splitlines()) == 2


def start(tmp_path, *words, **options):
    command = [sys.executable, "-m", "graphcl_hard.run", *words, "--out", str(tmp_path / "run")]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


@pytest.mark.slow
def test_ctrl_c_leaves_a_readable_folder(tmp_path):
    process = start(tmp_path, "--epochs", "100000")
    metrics = tmp_path / "run" / "metrics.csv"
    while not metrics.exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error.endswith(
        f"interrupted: {tmp_path / 'run'} has the results so far; the same command with --out and --resume continues.\n"
    )
    result = load(tmp_path / "run")
    assert result["status"] == "interrupted"
    rows = list(csv.DictReader(metrics.read_text().splitlines()))
    assert int(rows[-1]["epoch"]) in (result["epoch"], result["epoch"] - 1)
    GINEncoder.from_pretrained(tmp_path / "run")
    assert not [name for name in os.listdir(tmp_path / "run") if name.startswith(".")]


@pytest.mark.slow
def test_a_full_disk_is_one_sentence_and_leaves_no_torn_file(tmp_path):
    def limit():  # files may not grow past 10 kB: the encoder does not fit
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    process = start(tmp_path, *SMALL, "--hidden-channels", "32", "--quiet", preexec_fn=limit)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 2
    assert error.startswith(
        f"error: {tmp_path / 'run' / 'encoder.safetensors'} cannot be read or written: File too large"
    )
    assert "Traceback" not in error
    assert load(tmp_path / "run")["status"] == "failed"
    assert sorted(os.listdir(tmp_path / "run")) == [
        "config.yaml",
        "encoder.json",
        "features.json",
        "result.json",
    ]


def test_no_arguments_at_all_runs_mutag(tmp_path, monkeypatch, capsys):
    assert parse([]).settings == Config()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("graphcl_hard.training.loop.train", lambda *_: None)
    monkeypatch.setattr("sys.argv", ["run", "--out", "taken"])
    (tmp_path / "taken").write_text("")
    assert main() == 2
    assert "taken" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("delay", [1.0, 2.0, 3.0, 4.0])
def test_ctrl_c_while_starting_up_ends_with_130(tmp_path, delay):
    process = start(tmp_path, "--epochs", "100000")
    time.sleep(delay)  # sooner, the interpreter itself may be starting
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        time.sleep(0.01)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error.startswith("interrupted: ")
    assert "Traceback" not in error


@pytest.mark.slow
def test_a_reader_that_goes_away_does_not_end_the_run(tmp_path):
    process = start(tmp_path, *SMALL, "--seeds", "2")
    process.stdout.close()
    with process.stderr:
        error = process.stderr.read()
    assert process.wait(timeout=120) == 0
    assert "Traceback" not in error
    assert "error" not in error
    assert (tmp_path / "run" / "summary.json").exists()


@pytest.mark.slow
def test_a_locale_without_the_signs_still_has_its_table(tmp_path):
    process = start(tmp_path, *SMALL, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    shown, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    assert "untrained GIN" in shown
    assert "written: " in shown


def test_help_teaches_and_loads_no_pytorch(tmp_path):
    code = (
        "import sys\nfrom graphcl_hard.run import main\n"
        "try:\n main(['--help'])\nfinally:\n print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.rstrip().endswith("False")
    for field in [*dataclasses.fields(Config), "config", "print_config"]:
        name = field if isinstance(field, str) else field.name
        assert f"--{name.replace('_', '-')}" in done.stdout
    assert "python -m graphcl_hard.run --dataset MUTAG" in done.stdout


def write_tu(folder, graphs, labels, name="OWN"):
    """networkx graphs in TU format; nodes have no labels."""
    folder.mkdir()
    lines = {"A": [], "graph_indicator": [], "graph_labels": [str(label) for label in labels]}
    first = 1
    for number, graph in enumerate(graphs, start=1):
        lines["A"] += [
            f"{first + u}, {first + v}" for a, b in graph.edges for u, v in ((a, b), (b, a))
        ]
        lines["graph_indicator"] += [str(number)] * graph.number_of_nodes()
        first += graph.number_of_nodes()
    for part, text in lines.items():
        (folder / f"{name}_{part}.txt").write_text("\n".join(text) + "\n")


def test_gine_is_refused_before_a_folder_is_made_where_edges_have_no_labels(tmp_path, capsys):
    write_tu(tmp_path / "own", [nx.path_graph(4), nx.star_graph(4)] * 8, [0, 1] * 8)
    words = [
        *SMALL,
        "--encoder",
        "gine",
        "--dataset",
        str(tmp_path / "own"),
        "--out",
        str(tmp_path / "run"),
    ]
    assert main(words) == 2
    assert (
        "error: The data set 'OWN' has no edge labels or attributes, but the encoder gine needs them"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "run").exists()


def accuracies(folder):
    return {
        key: np.mean(load(folder)["scores"]["svm"][key]["accuracy"])
        for key in ("untrained", "trained")
    }


@pytest.mark.slow
def test_a_planted_signal_is_found_and_shuffled_labels_give_chance(tmp_path):
    sizes = np.random.default_rng(0).integers(6, 15, 60)
    graphs = [nx.cycle_graph(n) if i % 2 else nx.star_graph(n) for i, n in enumerate(sizes)]
    labels = np.arange(60) % 2
    write_tu(tmp_path / "planted", graphs, labels)
    write_tu(tmp_path / "shuffled", graphs, np.random.default_rng(1).permutation(labels))
    for name in ("planted", "shuffled"):
        words = [
            *SMALL,
            "--folds",
            "5",
            "--repeats",
            "3",
            "--dataset",
            str(tmp_path / name),
            "--out",
            str(tmp_path / "out" / name),
        ]
        assert main([*words, "--quiet"]) == 0
    assert min(accuracies(tmp_path / "out" / "planted").values()) > 0.97
    for accuracy in accuracies(tmp_path / "out" / "shuffled").values():
        assert 0.3 < accuracy < 0.7


def test_a_broken_folder_names_file_and_line_and_nothing_is_written(tmp_path, capsys):
    write_tu(tmp_path / "own", [nx.path_graph(4)] * 12, [0, 1] * 6)
    adjacency = tmp_path / "own" / "OWN_A.txt"
    adjacency.write_text(adjacency.read_text().replace("3, 2", "3, 99", 1))
    assert main([*SMALL, "--dataset", str(tmp_path / "own"), "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "OWN_A.txt" in error
    assert "line 4" in error
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.mirror
@pytest.mark.parametrize(
    ("dataset", "features"),
    [
        ("PTC_MR", "18 node labels, one-hot"),
        ("ENZYMES", "3 node labels, one-hot"),
        ("PROTEINS", "3 node labels, one-hot"),
        ("IMDB-BINARY", "degrees 0 to 135, one-hot"),
        ("IMDB-MULTI", "degrees 0 to 88, one-hot"),
        ("DD", "82 node labels, one-hot"),
        ("REDDIT-BINARY", "degree, standardised (the largest is 3062)"),
    ],
)
def test_each_of_the_sets_runs_to_the_end(dataset, features, tmp_path):
    words = [
        "--dataset",
        dataset,
        "--epochs",
        "1",
        "--folds",
        "2",
        "--repeats",
        "1",
        "--data-dir",
        str(tmp_path / "data"),
    ]
    assert main([*words, "--out", str(tmp_path / "run"), "--quiet"]) == 0
    result = load(tmp_path / "run")
    assert result["status"] == "finished"
    assert result["dataset"]["features"] == features
    assert accuracies(tmp_path / "run")["trained"] > 1 / result["dataset"]["classes"]


@pytest.mark.slow
@pytest.mark.mirror
def test_node_attributes_are_used_on_request(tmp_path):
    words = [
        "--dataset",
        "ENZYMES",
        "--use-node-attr",
        *SMALL,
        "--repeats",
        "1",
        "--data-dir",
        str(tmp_path / "data"),
    ]
    assert main([*words, "--out", str(tmp_path / "run"), "--quiet"]) == 0
    assert (
        load(tmp_path / "run")["dataset"]["features"]
        == "18 node attributes, standardised; 3 node labels, one-hot"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--batch-size", "8"], "A batch has 8 graphs, so 7 negatives; 128 graphs are usual."),
        (["--beta", "1e6", "--batch-size", "16"], "of 15 negatives effective; lower --beta."),
        (
            ["--beta", "1e-6"],
            "The weights of the negatives are all alike; a larger --beta would distinguish them.",
        ),
    ],
)
def test_a_pointless_training_is_a_warning_of_one_line_and_no_error(
    tmp_path, capsys, words, sentence
):
    more = ["--seeds", "2"] if "8" in words else []
    assert (
        main([*SMALL, *words, *more, "--no-pictures", "--quiet", "--out", str(tmp_path / "run")])
        == 0
    )
    shown = capsys.readouterr()
    assert shown.out == f"{tmp_path / 'run'}\n"
    assert shown.err.startswith("warning: ")
    assert shown.err.endswith(f"{sentence}\n")
    assert shown.err.count("\n") == 1


def test_a_usual_run_warns_of_nothing(tmp_path, capsys):
    assert main([*SMALL, "--no-pictures", "--out", str(tmp_path / "run")]) == 0
    assert capsys.readouterr().err == ""
