"""A run from Python: its callback ends the training, and the run goes on with what was learnt."""

import csv
import dataclasses
import json
import math

import numpy as np
import pytest
from helpers.runs import without_times
from safetensors.torch import load_file

from graphcl_hard.config import Config
from graphcl_hard.exceptions import StopTraining
from graphcl_hard.io.file_names import CHECKPOINTS
from graphcl_hard.loader.features import FeatureMap
from graphcl_hard.runs import experiment
from graphcl_hard.runs.display import Display

SMALL = Config(
    hidden_channels=8,
    num_layers=2,
    epochs=2,
    batch_size=8,
    folds=2,
    repeats=1,
    pictures=False,
    accelerator="cpu",
)


def run(toy, config, on_epoch=None):
    features = FeatureMap.fit(toy)
    experiment.run_seeds(config, toy, features, Display(quiet=True), on_epoch=on_epoch)
    return json.loads((config.out / "result.json").read_text())


def stop_at_two(seen):
    def stop(epoch):
        seen.append(epoch.epoch)
        if epoch.epoch == 2:
            raise StopTraining

    return stop


@pytest.mark.parametrize("change", [{}, {"protocol": "best-epoch"}])
def test_a_stopped_run_is_a_run_of_fewer_epochs(toy, tmp_path, change):
    config = dataclasses.replace(SMALL, **change)
    run(toy, dataclasses.replace(config, out=tmp_path / "short"))
    seen = []
    longer = dataclasses.replace(config, epochs=7, out=tmp_path / "stopped")
    assert run(toy, longer, stop_at_two(seen))["stopped_after_epoch"] == 2
    assert seen == [1, 2]
    assert not list(longer.out.glob("checkpoint*"))
    (result, *found), (expected, *others) = map(without_times, (longer.out, tmp_path / "short"))
    assert found == others
    assert result["scores"] == expected["scores"]
    assert result["epoch"] == expected["epoch"]
    assert result["status"] == "finished"
    resumed = run(toy, dataclasses.replace(longer, resume=True), stop_at_two(seen))
    assert resumed["stopped_after_epoch"] == 2
    assert len(seen) == 2


def test_a_stopped_run_resumes_to_the_same_end(toy, tmp_path, monkeypatch):
    config = dataclasses.replace(SMALL, epochs=7)
    whole = dataclasses.replace(config, out=tmp_path / "whole")
    run(toy, whole, stop_at_two([]))
    killed = dataclasses.replace(config, out=tmp_path / "killed")

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(experiment, "evaluate_vectors", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(toy, killed, stop_at_two([]))
    seen = []
    assert run(toy, dataclasses.replace(killed, resume=True), stop_at_two(seen))["epoch"] == 2
    assert seen == [1, 2]  # of the checkpoint
    assert without_times(killed.out) == without_times(whole.out)


def test_a_stopped_run_without_an_evaluation(toy, tmp_path):
    config = dataclasses.replace(SMALL, epochs=7, evaluate=False, out=tmp_path / "run", seeds=2)
    features, seen = FeatureMap.fit(toy), []
    display = Display(quiet=True)
    experiment.run_seeds(config, toy, features, display, on_epoch=stop_at_two(seen))
    assert seen == [1, 2, 1, 2]
    for seed in (0, 1):
        result = json.loads((tmp_path / "run" / f"seed-{seed}" / "result.json").read_text())
        assert (result["stopped_after_epoch"], result["scores"]) == (2, {})


def test_another_exception_of_the_callback_fails_the_run(toy, tmp_path):
    config = dataclasses.replace(SMALL, out=tmp_path / "run")
    with pytest.raises(ZeroDivisionError):
        run(toy, config, lambda _: 1 / 0)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["status"] == "failed"
    assert "stopped_after_epoch" not in result
    assert result["epoch"] == 1


def test_under_best_epoch_steps_and_weight_change_are_those_of_the_chosen_encoder(
    toy, tmp_path, monkeypatch
):
    monkeypatch.setattr(experiment, "best_epoch", lambda _: 1)
    config = dataclasses.replace(SMALL, protocol="best-epoch", out=tmp_path / "best")
    result = run(toy, config)
    first = dataclasses.replace(SMALL, epochs=1, out=tmp_path / "first")
    expected = run(toy, first)
    assert (result["epoch"], result["steps"]) == (1, 3)
    assert result["weight_change"] == pytest.approx(expected["weight_change"], rel=1e-9)


@pytest.mark.parametrize("debias", ["paper", "consistent"])
def test_the_titles_of_pictures_say_consistent(toy, tmp_path, monkeypatch, debias):
    titles = []
    monkeypatch.setattr(experiment.plots, "training_curves", lambda *args: titles.append(args[2]))
    monkeypatch.setattr(experiment.plots, "embedding_map", lambda *args: None)
    run(toy, dataclasses.replace(SMALL, debias=debias, pictures=True, out=tmp_path / "run"))
    title = "TOY, infograph, jsd, beta 10, tau+ 0.1"
    assert titles == [title if debias == "paper" else f"{title}, consistent"]


def test_a_run_says_its_steps_how_far_weights_moved_and_what_the_probe_predicts(toy, tmp_path):
    config = dataclasses.replace(SMALL, score_epochs=(0,), repeats=2, out=tmp_path / "run")
    result = run(toy, config)
    assert result["steps"] == 2 * 3  # 24 graphs in batches of 8
    trained = load_file(tmp_path / "run" / "encoder.safetensors")
    untrained = run(toy, dataclasses.replace(config, epochs=0, out=tmp_path / "untrained"))
    initial = load_file(tmp_path / "untrained" / "encoder.safetensors")
    moved = total = 0.0
    for name, weight in initial.items():
        if "running" in name or "num_batches" in name:  # no weights
            continue
        moved += float((trained[name].double() - weight.double()).square().sum())
        total += float(weight.double().square().sum())
    assert result["weight_change"] == pytest.approx(math.sqrt(moved / total), rel=1e-9)
    assert result["weight_change"] > 0
    assert (untrained["steps"], untrained["weight_change"]) == (0, 0.0)
    with np.load(tmp_path / "run" / "predicted.npz") as arrays:
        assert sorted(arrays.files) == ["row", "svm/0", "svm/2", "svm/batch_norm", "y"]
        assert arrays["y"].tolist() == toy.y.tolist()
        right = (arrays["svm/2"] == arrays["y"]).mean(axis=1)
    assert right.tolist() == [
        pytest.approx(np.mean(r)) for r in result["scores"]["svm"]["trained"]["accuracy"]
    ]
    resumed = run(toy, dataclasses.replace(config, resume=True))
    assert resumed["weight_change"] == result["weight_change"]


STEPS = 3  # of an epoch of `toy` in batches of 8


@pytest.fixture
def checkpoints_after(monkeypatch):
    """Return a function that lets a run write a checkpoint after these steps only, and end after the step `last`."""
    write = experiment.write_checkpoint
    monkeypatch.setattr(experiment, "WITHIN_EPOCH", 0.0)

    def change(steps, last=None):
        def writing(folder, state, progress):
            ends = state.steps % STEPS == 0
            if state.steps in steps and ends == (state.partial is None):
                write(folder, state, progress)
            if state.steps == last:
                raise KeyboardInterrupt

        monkeypatch.setattr(experiment, "write_checkpoint", writing)

    return change


@pytest.mark.parametrize(
    ("steps", "damaged", "epoch", "protocol"),
    [
        ([], False, 0, "last-epoch"),
        ([1], False, 0, "last-epoch"),
        ([STEPS + 1], False, 1, "last-epoch"),
        ([STEPS + 1], False, 1, "best-epoch"),
        ([2 * STEPS], False, 2, "last-epoch"),
        ([1, 2 * STEPS], True, 0, "last-epoch"),
        ([STEPS, 2 * STEPS + 1], True, 1, "last-epoch"),
    ],
)
def test_a_run_that_is_resumed_and_stopped_again_has_files_of_one_epoch(
    toy, tmp_path, checkpoints_after, steps, damaged, epoch, protocol
):
    """A run was killed in epoch 3, long after its last checkpoint."""
    config = dataclasses.replace(
        SMALL, epochs=3, protocol=protocol, checkpoint_seconds=0.0, out=tmp_path / "run"
    )
    expected = tmp_path / "expected"
    checkpoints_after([], STEPS * epoch + 1)
    with pytest.raises(KeyboardInterrupt):
        run(toy, dataclasses.replace(config, out=expected))
    checkpoints_after(steps, 2 * STEPS + 2)
    with pytest.raises(KeyboardInterrupt):
        run(toy, config)
    assert found_in(config.out)[:2] == (2, [1, 2])
    if damaged:
        (config.out / CHECKPOINTS[0]).write_bytes(b"")
    start = 0 if not steps else steps[-2 if damaged else -1]
    checkpoints_after([], start + 1)
    with pytest.raises(KeyboardInterrupt):
        run(toy, dataclasses.replace(config, resume=True))
    assert found_in(config.out) == found_in(expected)
    assert found_in(expected)[:2] == (epoch, list(range(1, epoch + 1)))


def found_in(folder):
    """Return the epoch in result.json, those in metrics.csv and the content of encoder.safetensors."""
    result, metrics = json.loads((folder / "result.json").read_text()), folder / "metrics.csv"
    assert result["status"] == "interrupted"
    rows = csv.DictReader(metrics.read_text().splitlines()) if metrics.exists() else ()
    return (
        result["epoch"],
        [int(row["epoch"]) for row in rows],
        (folder / "encoder.safetensors").read_bytes(),
    )


def test_a_stop_that_is_repeated_within_an_epoch_waits_for_its_end(
    toy, tmp_path, checkpoints_after
):
    def stop(epoch):
        if epoch.epoch == 1:
            raise StopTraining

    config = dataclasses.replace(SMALL, epochs=5, checkpoint_seconds=0.0, out=tmp_path / "run")
    checkpoints_after([STEPS + 1], STEPS + 1)
    with pytest.raises(KeyboardInterrupt):
        run(toy, config)
    checkpoints_after([])
    resumed = run(toy, dataclasses.replace(config, resume=True), stop)
    assert resumed["resumed_after_step"] == 1
    assert resumed["stopped_after_epoch"] == 2
    run(toy, dataclasses.replace(SMALL, out=tmp_path / "short"))
    assert without_times(config.out)[1:] == without_times(tmp_path / "short")[1:]
