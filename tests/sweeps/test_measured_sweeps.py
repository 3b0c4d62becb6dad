"""Sweeps on data sets with measured targets: the scores are those of `cross_validate`, and of plain computations."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score
from sklearn.model_selection import RepeatedKFold

from graphcl_hard import cross_validate, load_graphs, sweep
from graphcl_hard.data.shard_writer import write_shards
from graphcl_hard.sweeps import worker
from graphcl_hard.sweeps.cell import CONTROLS, Cell
from graphcl_hard.sweeps.descriptors import size
from graphcl_hard.sweeps.embedder import Embedder
from graphcl_hard.sweeps.records import read_records

FOLDS, REPEATS = 3, 2
GIVEN = {"folds": FOLDS, "repeats": REPEATS, "scale": "linear"}


class Sizes:
    def fit_transform(self, graphs):
        return np.stack([np.diff(graphs.node_ptr), np.diff(graphs.edge_ptr)], axis=1)


@pytest.fixture(scope="module")
def graphs():
    """MUTAG with a noisy number of nodes, and with two targets of 0 and 1, one of which has gaps."""
    given = load_graphs("MUTAG")
    sizes = np.diff(given.node_ptr.numpy())
    noise = np.random.default_rng(0).normal(size=len(sizes))
    two = np.stack([np.where(np.arange(188) % 3, sizes > 17, np.nan), given.y.numpy()], axis=1)
    return {
        name: dataclasses.replace(given, name=name, y=torch.tensor(y), classes=())
        for name, y in (("measured", sizes + noise), ("two", two.astype(float)))
    }


@pytest.fixture(scope="module")
def folder(graphs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    for name, one in graphs.items():
        write_shards(folder / name, [one])
    return folder


def record_of(folder, name, method, tmp_path, seed=0, **given):
    embedder = Embedder(f"{__name__}:Sizes", {}, "", ()) if method == "Sizes" else None
    settings = CONTROLS.get(method, {})
    source = str(folder / name)
    all_given = {**GIVEN, **settings, **given}
    cell = Cell(name, method, method, settings, seed, all_given, source, embedder)
    record = worker.run_cell(cell, tmp_path, 1)
    assert cell.difference(record) is None
    return record


def vectors_of(graphs):
    return Sizes().fit_transform(graphs).astype(float)


@pytest.mark.parametrize(("method", "vectors"), [("Sizes", vectors_of), ("size", size)])
def test_a_method_has_the_scores_of_cross_validate(folder, graphs, tmp_path, method, vectors):
    for name, one in graphs.items():
        record = record_of(folder, name, method, tmp_path, seed=3)
        y = one.y.numpy()
        columns = {"y": y} if y.ndim == 1 else {"0": y[:, 0], "1": y[:, 1]}
        options = {"cv": FOLDS, "repeats": REPEATS, "seed": 3}
        found = cross_validate(vectors(one), columns, **options)["vectors"]
        held = record["scores"]["svm"]["0"]
        assert held["score"] == {"measured": "r2", "two": "roc_auc"}[name]
        assert held["folds"].keys() == found.scores.keys()
        for score, values in found.scores.items():
            np.testing.assert_allclose(held["folds"][score], values, atol=5e-7)


def test_the_majority_of_measured_values_is_their_mean(folder, graphs, tmp_path):
    record = record_of(folder, "measured", "majority", tmp_path)
    y = graphs["measured"].y.numpy()
    splits = RepeatedKFold(n_splits=FOLDS, n_repeats=REPEATS, random_state=0).split(y)
    expected = [r2_score(y[test], np.full(len(test), y[train].mean())) for train, test in splits]
    found = record["scores"]["majority"]["0"]["folds"]["r2"]
    np.testing.assert_allclose(np.ravel(found), expected, atol=5e-7)
    two = record_of(folder, "two", "majority", tmp_path)
    assert set(np.ravel(two["scores"]["majority"]["0"]["folds"]["roc_auc"])) == {0.5}


def test_the_kernel_is_only_scored_on_classes(folder, tmp_path):
    record = worker.run_cell(
        Cell("two", "wl", "wl", {}, 0, GIVEN, str(folder / "two")), tmp_path, 1
    )
    assert record["status"] == "failed"
    assert "has measured targets, but this method is only scored on classes" in record["error"]


@pytest.mark.parametrize("method", ["majority", "untrained", "Sizes"])
def test_whole_numbers_beside_columns_of_0_and_1_are_refused(graphs, tmp_path, method):
    given = graphs["measured"]
    y = torch.stack([torch.arange(188) % 2, torch.arange(188) % 5], dim=1).double()
    mixed = dataclasses.replace(given, name="mixed", y=y, targets=("a", "b"))
    write_shards(tmp_path / "mixed", [mixed])
    embedder = Embedder(f"{__name__}:Sizes", {}, "", ()) if method == "Sizes" else None
    cell = Cell("mixed", method, method, {}, 0, GIVEN, str(tmp_path / "mixed"), embedder)
    record = worker.run_cell(cell, tmp_path / "runs", 1)
    assert "must all be 0 and 1, or all be measured, got 'a' of 0 and 1 and 'b'" in record["error"]
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_a_run_is_scored_at_its_last_epoch_and_reported(folder, tmp_path):
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        f"datasets: [{folder}/measured, {folder}/two, MUTAG]\n"
        "settings: {epochs: 1, score_epochs: [1], folds: 3, repeats: 1, hidden_channels: 4, num_layers: 2}\n"
        "methods: [majority, untrained, {family: hard}]\n"
    )
    out = tmp_path / "out"
    words = [str(plan), "--out", str(out), "--jobs", "1"]
    assert sweep.main(words) == 0
    records = {(one["dataset"], one["method"]): one for one in read_records(out / "records")}
    assert set(records["measured", "hard"]["scores"]["svm"]) == {"1"}
    assert set(records["measured", "untrained"]["scores"]["svm"]) == {"0"}
    text = (out / "tables" / "main.md").read_text()
    assert (
        "Mean score in % [95% interval]: r2 on measured, roc_auc on two, accuracy on MUTAG." in text
    )
    for (dataset, method), record in records.items():
        assert record["status"] == "finished", (dataset, method)
        assert record["config"].get("evaluate", True)
    assert sweep.main([*words, "--no-report"]) == 0  # the records are those of the plan
