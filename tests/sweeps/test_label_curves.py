"""Curves over shares of the labels for frozen, fine-tuned and untrained encoders, on the same labelled rows."""

import json
import shutil

import numpy as np
import pytest
from sklearn.model_selection import RepeatedStratifiedKFold

from graphcl_hard import HardInfoGraphClassifier, load_graphs
from graphcl_hard.sweeps import few_labels, label_curves
from graphcl_hard.sweeps.methods import KINDS
from graphcl_hard.sweeps.plan import read_plan
from graphcl_hard.sweeps.report.label_shares import (
    label_curves_figure,
    label_shares_table,
    read_label_shares,
)

PLAN = """
datasets: [MUTAG]
seeds: 1
settings: {folds: 2, repeats: 1, epochs: 1, hidden_channels: 4, num_layers: 1, pictures: false}
methods: [untrained, {family: hard}]
"""


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """The cells of a plan, and the folder of their runs."""
    folder = tmp_path_factory.mktemp("sweep")
    (folder / "plan.yaml").write_text(PLAN)
    cells = read_plan(folder / "plan.yaml")
    for cell in cells:
        assert KINDS["run"].run(cell, folder / "runs", 1)["status"] == "finished"
    return cells, folder / "runs"


@pytest.fixture(scope="module")
def scored(swept, tmp_path_factory):
    """The folder of the scores, of two epochs of fine-tuning."""
    folder = tmp_path_factory.mktemp("scores")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(label_curves, "epochs_for", lambda _: 2)
        few_labels.run(*swept, folder, fine_tune=True)
    return folder


def test_the_number_of_epochs_makes_200_steps():
    assert [label_curves.epochs_for(size) for size in (2, 32, 33, 320, 32_000)] == [
        *(200, 200, 100),
        *(20, 20),
    ]


def test_accuracies_are_those_of_the_classifier_on_the_labelled_rows(swept, scored):
    cells, runs = swept
    entries = json.loads((scored / "MUTAG.json").read_text())
    graphs = load_graphs("MUTAG")
    y = graphs.y.numpy()
    splitter = RepeatedStratifiedKFold(n_splits=2, n_repeats=1, random_state=0)
    for cell in cells:
        (found,) = [
            entry
            for entry in entries
            if (entry["method"], entry["probe"], entry["fraction"])
            == (cell.method, few_labels.FINE_TUNED, 0.1)
        ]
        for index, (train, test) in enumerate(splitter.split(y, y)):
            place = divmod(index, 2)
            rows = train[few_labels.labelled_rows(y[train], 0.1, (0, *place))]
            model = HardInfoGraphClassifier(
                init=runs / cell.path, epochs=2, validation_fraction=0, random_state=0
            ).fit(graphs[rows], y[rows])
            accuracy = model.score(graphs[test], y[test])
            assert found["accuracy"][place[0]][place[1]] == round(accuracy, 6)


@pytest.mark.slow
def test_it_resumes_and_keeps_what_the_other_call_has_done(swept, scored, tmp_path):
    whole = (scored / "MUTAG.json").read_bytes()
    (tmp_path / "MUTAG.json").write_bytes(whole)
    told = []
    for fine_tune in (True, False):
        few_labels.run(*swept, tmp_path, lambda *state: told.append(state), fine_tune=fine_tune)
    assert not told
    left = [
        entry for entry in json.loads(whole) if (entry["method"], entry["probe"]) != ("hard", "knn")
    ]
    (tmp_path / "MUTAG.json").write_text(json.dumps(left))
    few_labels.run(*swept, tmp_path)  # again, for the probes only
    assert (tmp_path / "MUTAG.json").read_bytes() == whole


def test_an_encoder_picked_on_the_test_folds_is_not_fine_tuned(swept, tmp_path, monkeypatch):
    cells, runs = swept
    shutil.copytree(runs, tmp_path / "runs")
    path = tmp_path / "runs" / cells[1].path / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"epoch": 0}))
    monkeypatch.setattr(label_curves, "epochs_for", lambda _: 1)
    told = []
    few_labels.run(cells, tmp_path / "runs", tmp_path / "few", fine_tune=True, skipped=told.append)
    entries = json.loads((tmp_path / "few" / "MUTAG.json").read_text())
    tuned = {entry["method"] for entry in entries if entry["probe"] == few_labels.FINE_TUNED}
    assert tuned == {"untrained"}
    assert {entry["method"] for entry in entries} == {"untrained", "hard"}
    assert told == [
        "MUTAG hard seed 0 is not fine-tuned, since its encoder is of an epoch that was picked on the test folds"
    ]


def test_runs_without_classes_are_named(swept, tmp_path):
    cells, runs = swept
    shutil.copytree(runs, tmp_path / "runs")
    path = tmp_path / "runs" / cells[1].path / "result.json"
    result = json.loads(path.read_text())
    path.write_text(json.dumps(result | {"dataset": result["dataset"] | {"classes": 0}}))
    told = []
    few_labels.run(cells[1:], tmp_path / "runs", tmp_path / "few", skipped=told.append)
    assert told == ["MUTAG hard seed 0 has measured targets, and few labels are of classes"]


def test_the_report_has_the_curves(scored):
    frame = read_label_shares(scored)
    probes = frame[frame["probe"] != few_labels.FINE_TUNED]
    assert label_curves_figure(probes, ["untrained", "hard"]) is None
    picture = label_curves_figure(frame, ["untrained", "hard"])
    (axes,) = [one for one in picture.figure.axes if one.lines]
    names = {text.get_label() for text in axes.containers}
    assert names == {"untrained, frozen", "from scratch", "hard, frozen", "hard, fine-tuned"}
    values = label_shares_table(frame).values
    tuned = values[values["probe"] == few_labels.FINE_TUNED]
    assert sorted(tuned["fraction"].unique()) == list(few_labels.FRACTIONS)
    rows = frame[(frame["probe"] == few_labels.FINE_TUNED) & (frame["line"] == "hard")]
    wanted = [100 * np.mean(folds) for folds in rows["accuracy"]]
    assert tuned.loc[tuned["line"] == "hard", "accuracy"].tolist() == pytest.approx(wanted)
