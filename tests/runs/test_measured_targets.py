"""Runs on data sets with measured targets, or with several targets, are evaluated by the scores of the task."""

import json

import networkx as nx
import numpy as np
import pytest

from graphcl_hard import cross_validate, write_shards
from graphcl_hard.embed import main as embed
from graphcl_hard.evaluate import main as evaluate
from graphcl_hard.run import main as run

SMALL = [
    *("--hidden-channels", "4", "--num-layers", "2", "--epochs", "1", "--folds", "3"),
    *("--repeats", "1", "--scale", "log"),
]


def written(folder, values):
    """Write cycles and paths with these targets."""
    graphs = []
    for number, value in enumerate(values):
        graph = (nx.cycle_graph, nx.path_graph)[number % 2](4 + number // 2 % 6)
        nx.set_node_attributes(graph, number % 3, "kind")
        graph.graph.update(id=f"g{number}", y=value)
        graphs.append(graph)
    write_shards(folder, graphs, node_label="kind")
    return str(folder)


def result_of(data, out, *more):
    assert run(["--dataset", data, *SMALL, "--no-pictures", "--out", str(out), *more]) == 0
    return json.loads((out / "result.json").read_text())


SIZES = np.array([4 + number // 2 % 6 for number in range(48)], dtype=float)


@pytest.mark.parametrize("probe", ["ridge", "svm"])
def test_a_measured_target(tmp_path, capsys, probe):
    values = [None if number % 8 == 3 else size + 0.5 for number, size in enumerate(SIZES)]
    result = result_of(written(tmp_path / "set", values), tmp_path / "run", "--probes", probe)
    scores = result["scores"][probe]
    assert list(scores["trained"]["summary"]) == ["r2", "rmse", "mae", "spearman"]
    assert scores["trained"]["task"] == "regression"
    assert scores["trained"]["summary"]["r2"]["mean"] > 0.3  # sum-pooled vectors know the size
    saved = np.load(tmp_path / "run" / "embeddings.npz")
    encoders = ("untrained", "batch_norm", "trained")
    known = ~np.isnan(saved["y"])
    found = cross_validate(
        {name: saved[name][known] for name in encoders},
        saved["y"][known],
        probe=probe,
        cv=3,
        repeats=1,
        scale="log",
    )
    for name in encoders:
        assert scores[name] == found[name].to_dict()
    for score, told in scores["difference"].items():
        pair = found["trained"].compare(found["untrained"], score)
        assert told == pair._asdict()  # the sign is that of trained - untrained, also for rmse
    shown = capsys.readouterr()
    assert "6 of 48 graphs have no target" in shown.err
    for text in ("1 target,", "R2", "RMSE", "Spearman", "the p-value of the difference in R2"):
        assert text in shown.out
    assert "accuracy" not in shown.out


def test_several_targets_and_seeds(tmp_path, capsys):
    gaps = [
        [float(size > 6), None if number % 5 == 0 else float(number % 2)]
        for number, size in enumerate(SIZES)
    ]
    data = written(tmp_path / "set", gaps)
    assert run(["--dataset", data, *SMALL, "--seeds", "2", "--out", str(tmp_path / "run")]) == 0
    scores = json.loads((tmp_path / "run" / "seed-0" / "result.json").read_text())["scores"]["svm"]
    assert list(scores["trained"]["summary"]) == ["roc_auc", "average_precision"]
    assert list(scores["trained"]["targets"]) == ["0", "1"]
    assert scores["trained"]["targets"]["1"]["unlabelled"] == 10
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())["scores"]["svm"]
    assert list(summary["difference"]) == ["roc_auc", "average_precision"]
    assert (
        summary["trained"]["roc_auc"]["values"][0]
        == scores["trained"]["summary"]["roc_auc"]["mean"]
    )
    shown = capsys.readouterr().out
    assert "2 targets" in shown
    assert "ROC-AUC %" in shown


@pytest.mark.parametrize(
    ("values", "more", "sentence"),
    [
        (
            [[float(size > 6), size + 0.5] for size in SIZES],
            [],
            "must all be 0 and 1, or all be measured, got '0' of 0 and 1 and '1' with other values; give --no-evaluate",
        ),
        (
            SIZES + 0.5,
            ["--probes", "logistic"],
            "one of svm, ridge, knn for regression, got 'logistic'",
        ),
        (SIZES + 0.5, ["--folds", "30"], "--folds must lie in [2, 24]"),
        (
            ["ab"[number % 2] for number in range(48)],
            ["--probes", "ridge"],
            "for classification, got 'ridge'",
        ),
        (
            [[0.0, float(number == 0)] for number in range(48)],
            [],
            "target '0' must contain at least 2 classes",
        ),
    ],
)
def test_what_cannot_be_evaluated_is_refused_before_training(
    tmp_path, capsys, values, more, sentence
):
    data = written(tmp_path / "set", values)
    assert run(["--dataset", data, *SMALL, "--out", str(tmp_path / "run"), *more]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_scores_that_are_undefined_do_not_end_a_run(tmp_path, capsys):
    """Vectors of graphs that are all equal have equal predictions, whose rank correlation is undefined."""
    graphs = []
    for number in range(30):
        graph = nx.cycle_graph(5)
        nx.set_node_attributes(graph, 0, "kind")
        graph.graph.update(id=f"g{number}", y=number / 7)
        graphs.append(graph)
    write_shards(tmp_path / "set", graphs, node_label="kind")
    result = result_of(str(tmp_path / "set"), tmp_path / "run", "--probes", "ridge")
    told = result["scores"]["ridge"]
    assert told["trained"]["summary"]["spearman"]["mean"] is None
    assert told["difference"]["spearman"]["difference"] is None
    shown = capsys.readouterr()
    assert "Scores are undefined in" in shown.err
    assert "nan" not in shown.out


def test_evaluate_has_the_scores_of_a_run_on_whole_measured_values(tmp_path):
    """Whole numbers would be classes, if the files of vectors did not say that they are measured."""
    values = [[size, size + row % 2] for row, size in enumerate(SIZES)]
    data = written(tmp_path / "set", values)
    expected = result_of(data, tmp_path / "run", "--probes", "ridge")["scores"]["ridge"]
    words = ["--probes", "ridge", *SMALL[6:], "--quiet", "--out", str(tmp_path / "scores.json")]
    files = {"trained": tmp_path / "run" / "embeddings.npz"}
    for name in ("vectors", "table"):
        files[name] = tmp_path / ("vectors.npz" if name == "vectors" else "table.parquet")
        assert embed([str(tmp_path / "run"), "--data", data, "--out", str(files[name])]) == 0
    for name, file in files.items():
        assert evaluate([str(file), *words, "--overwrite"]) == 0
        found = json.loads((tmp_path / "scores.json").read_text())
        assert found["task"] == "regression"
        assert found["scores"]["ridge"][name]["rmse"] == expected["trained"]["rmse"]
