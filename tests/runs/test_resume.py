"""A run that was stopped continues from its checkpoint and ends with the same results."""

import copy
import dataclasses
import functools
import json
import os
import signal
import subprocess
import time

import numpy as np
import pytest
import torch
from helpers.runs import command, without_times

from graphcl_hard import GINEncoder, GraphShards, write_shards
from graphcl_hard.config import Config
from graphcl_hard.exceptions import InputError
from graphcl_hard.io.checksum import read_checksummed, write_checksummed
from graphcl_hard.io.file_names import CHECKPOINTS
from graphcl_hard.loader import streaming
from graphcl_hard.loader.features import FeatureMap
from graphcl_hard.loader.streaming import make_batches
from graphcl_hard.run import main
from graphcl_hard.training.build import build_model
from graphcl_hard.training.checkpoint import Progress, read_checkpoint, write_checkpoint
from graphcl_hard.training.devices import place, training_device
from graphcl_hard.training.loop import train
from graphcl_hard.training.state import TrainingState

SMALL = Config(
    hidden_channels=8,
    num_layers=2,
    epochs=5,
    batch_size=8,
    beta_schedule="linear-up",
    accelerator="cpu",
)


@pytest.fixture
def setting(toy):
    """Return a function from settings, and a folder for shards, to (state, batches, fabric)."""

    def make(config, folder=None):
        low, high = toy.edge_index.sort(dim=0).values
        graphs = dataclasses.replace(toy, edge_label=((low + high) % 3).unsqueeze(1))
        features = FeatureMap.fit(graphs, with_edges=config.encoder == "gine")
        with training_device(config) as fabric:
            device, dtype = place(fabric, config)
            if folder is not None and not folder.exists():
                write_shards(folder, graphs.chunks())
            source = graphs if folder is None else GraphShards(folder)
            batches = make_batches(source, features, device, dtype)
            model = build_model(config, features.channels, batches).to(device, dtype)
            return TrainingState(model, config), batches, fabric

    return make


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"precision": "64-true"},
        {"precision": "bf16-mixed"},
        {"nodes_per_graph": 2},
        {"negative_queue": 7, "batch_size": 5},
        {"similar_graphs": 3},
        {"mode": "released"},
        {"effective_negatives": 0.3, "beta_schedule": "constant"},
        {"encoder": "gat", "readout": "attention"},
        {"method": "graphcl"},
        {"method": "graphcl", "views": ("random", "random"), "precision": "bf16-mixed"},
        {"method": "graphcl", "encoder": "gine", "views": ("random", "edge-perturb")},
    ],
)
@pytest.mark.parametrize("stop", [1, 3, 5])
def test_a_training_goes_on_bit_for_bit(setting, tmp_path, change, stop):
    """Training stopped after an epoch and resumed in another model gives the same numbers and tensors."""
    config = dataclasses.replace(SMALL, **change)
    state, batches, fabric = setting(config)
    whole = Progress()
    train(state, batches, config, fabric, whole.epochs.append)

    first, batches, fabric = setting(config)
    progress = Progress()

    def write(epoch):
        progress.epochs.append(epoch)
        if epoch.epoch == stop:
            progress.embeddings[stop] = np.full((3, 2), stop, np.float64)
            progress.encoders[stop] = copy.deepcopy(first.model.encoder.state_dict())
            write_checkpoint(tmp_path, first, progress)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(first, batches, config, fabric, write)

    second, batches, fabric = setting(
        dataclasses.replace(config, seed=7)
    )  # nothing of this state may remain
    found = read_checkpoint(tmp_path, second)
    assert second.epoch == stop
    assert np.array_equal(found.embeddings[stop], progress.embeddings[stop])
    for name, tensor in first.model.encoder.state_dict().items():
        assert torch.equal(found.encoders[stop][name], tensor)
    train(second, batches, config, fabric, found.epochs.append)
    assert [e._replace(seconds=0) for e in found.epochs] == [
        e._replace(seconds=0) for e in whole.epochs
    ]
    ends, expected = second.to_tensors(), state.to_tensors()
    assert set(ends) == set(expected)
    assert all(torch.equal(ends[name], expected[name]) for name in expected)


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        {"nodes_per_graph": 2, "effective_negatives": 0.3, "beta_schedule": "constant"},
        {"method": "graphcl", "views": ("random", "subgraph"), "negative_queue": 7},
        {"method": "graphcl", "encoder": "gine", "precision": "bf16-mixed"},
        {"similar_graphs": 2, "nodes_per_graph": 2},
        {"similar_graphs": 5, "method": "graphcl", "precision": "bf16-mixed"},
    ],
)
def test_a_training_goes_on_bit_for_bit_within_an_epoch(
    setting, tmp_path, monkeypatch, change, on_disk
):
    """Stopped and resumed after 2, 4, 5, 8 and 9 of the 10 steps; an epoch has 5, on disk in windows of 2, 2 and 1."""
    config = dataclasses.replace(SMALL, epochs=2, batch_size=5, **change)
    monkeypatch.setattr(streaming, "WINDOW", 10)
    monkeypatch.setattr(streaming, "BLOCK", 2)
    make = functools.partial(setting, folder=tmp_path / "set" if on_disk else None)
    state, batches, fabric = make(config)
    whole = []
    train(state, batches, config, fabric, whole.append)

    def train_to(stop, state, batches, fabric, progress):
        def write():
            if state.steps == stop:
                write_checkpoint(tmp_path, state, progress)
                raise KeyboardInterrupt

        train(state, batches, config, fabric, progress.epochs.append, on_step=write)

    progress, seconds = Progress(), 0.0
    for stop in (2, 4, 5, 8, 9):
        resumed, batches, fabric = make(dataclasses.replace(config, seed=7))
        if stop == 2:
            resumed, batches, fabric = make(config)
        else:
            progress = read_checkpoint(tmp_path, resumed)
        with pytest.raises(KeyboardInterrupt):
            train_to(stop, resumed, batches, fabric, progress)
        assert resumed.epoch == len(progress.epochs) == (stop > 5)
        assert len(resumed.partial.anchors) == (stop - 5 if stop > 5 else stop)
        assert resumed.partial.seconds > (seconds if stop in (4, 5, 9) else 0)
        seconds = resumed.partial.seconds
    last, batches, fabric = make(dataclasses.replace(config, seed=7))
    progress = read_checkpoint(tmp_path, last)
    train_to(None, last, batches, fabric, progress)
    assert [e._replace(seconds=0) for e in progress.epochs] == [
        e._replace(seconds=0) for e in whole
    ]
    ends, expected = last.to_tensors(), state.to_tensors()
    assert set(ends) == set(expected)
    assert all(torch.equal(ends[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    ("name", "tensor", "complaint"),
    [
        ("partial.table", torch.zeros(1, 6), r"2 steps have results of shape \(1, 6\)"),
        ("partial.seconds", None, "'seconds'"),
        ("partial.order.graphs", torch.zeros(3, dtype=torch.uint8), ".*"),
        ("partial.order.similar", torch.ones(24, dtype=torch.int64), ".* is not a permutation"),
    ],
)
def test_a_checkpoint_whose_steps_do_not_match_is_refused(
    setting, tmp_path, name, tensor, complaint
):
    config = dataclasses.replace(SMALL, similar_graphs=2 * name.endswith("similar"))
    state, batches, fabric = setting(config)

    def write():
        if state.steps == 2:
            write_checkpoint(tmp_path, state, Progress())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(state, batches, config, fabric, lambda _: None, on_step=write)
    path = tmp_path / CHECKPOINTS[0]
    tensors, text = read_checksummed(path, "epochs")
    del tensors[name]
    write_checksummed(path, tensors | ({} if tensor is None else {name: tensor}), "epochs", text)
    with pytest.raises(InputError, match=f"is of another training: {complaint}; remove it"):
        read_checkpoint(tmp_path, state)


def test_a_checkpoint_that_is_not_what_was_written_is_refused_or_the_one_before_it_used(
    setting, tmp_path
):
    state, batches, fabric = setting(SMALL)
    progress = Progress()
    assert read_checkpoint(tmp_path, state) is None

    def write(epoch):
        progress.epochs.append(epoch)
        write_checkpoint(tmp_path, state, progress)

    train(state, batches, dataclasses.replace(SMALL, epochs=1), fabric, write)
    path, before = (tmp_path / name for name in CHECKPOINTS)
    whole = path.read_bytes()
    assert not before.exists()
    for position in (len(whole) - 1, len(whole) // 2):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(
            InputError, match=r"its checksum does not match\); remove it to start again"
        ):
            read_checkpoint(tmp_path, state)
    path.write_bytes(whole[:-10])
    with pytest.raises(InputError, match=r"cannot be read: .*; remove it to start again"):
        read_checkpoint(tmp_path, state)

    path.write_bytes(whole)
    train(state, batches, dataclasses.replace(SMALL, epochs=2), fabric, write)
    assert before.read_bytes() == whole
    path.write_bytes(path.read_bytes()[:-10])
    found = read_checkpoint(tmp_path, state)
    assert (len(found.epochs), state.epoch) == (1, 1)
    assert found.complaint.startswith(f"The checkpoint {path} cannot be read: ")
    assert found.complaint.endswith("; the one before it is used, of epoch 1.")
    assert (path.exists(), before.read_bytes()) == (False, whole)
    assert (
        read_checkpoint(tmp_path, state).complaint is None
    )  # as if a writer was killed between its two renames


@pytest.fixture
def finished_words():
    return lambda out, *words: command(out, "--epochs", "1", "--resume", "--quiet", *words)[3:]


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["--score-epochs", "0", "7"],
        ["--protocol", "best-epoch", "--folds", "2"],
        ["--method", "graphcl", "--views", "random", "subgraph"],
    ],
)
def test_a_killed_run_ends_as_if_nothing_had_happened(tmp_path, words):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert subprocess.run(command(whole, *words, "--quiet"), check=False).returncode == 0
    process = subprocess.Popen(command(killed, *words, "--quiet"), stdout=subprocess.DEVNULL)
    metrics = killed / "metrics.csv"
    while process.poll() is None and not (
        metrics.exists() and len(metrics.read_text().splitlines()) > 10
    ):
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    (killed / ".part-torn.csv").write_text("half")  # left by a writer that was killed
    assert any(
        (killed / name).exists() for name in CHECKPOINTS
    )  # the process may be killed between two renames
    assert main(command(killed, *words, "--quiet", "--resume")[3:]) == 0
    result = json.loads((killed / "result.json").read_text())
    assert 9 <= result["resumed_after_epoch"] < 40
    assert result["seconds"]["total"] > result["seconds"]["training"]
    assert without_times(killed) == without_times(whole)
    assert sorted(os.listdir(killed)) == sorted(os.listdir(whole))


def test_a_finished_run_is_left_alone_and_other_settings_are_refused(tmp_path, capsys):
    out = tmp_path / "run"
    words = command(out, "--epochs", "2", "--resume")[3:]
    assert main(words) == 0  # there was nothing to continue from
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in out.iterdir()}
    capsys.readouterr()
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "trained, epoch 2" in shown
    assert f"nothing to do: the run in {out} was already finished" in shown.replace("\n", " ")
    assert "written" not in shown
    assert main([*words, "--beta", "3"]) == 2
    assert "has --beta 10.0, got --beta 3.0; give --config" in capsys.readouterr().err
    assert {
        path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in out.iterdir()
    } == before
    (out / "thesis.tex").write_text("mine")
    assert main(words) == 2
    assert "has something other than a run in it (thesis.tex)" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("embeddings.npz", None),
        ("embeddings.npz", 99),
        ("encoder.safetensors", 0),
        ("features.json", None),
    ],
)
def test_a_finished_run_that_lost_a_file_is_made_again(tmp_path, capsys, name, left):
    out = tmp_path / "run"
    words = command(out, "--epochs", "2", "--resume", "--quiet")[3:]
    assert main(words) == 0
    before = without_times(out)
    content = (out / name).read_bytes()
    (out / name).unlink()
    if left is not None:
        (out / name).write_bytes(content[:left])
    capsys.readouterr()
    assert main(words) == 0
    assert "; the run is made again." in capsys.readouterr().err
    assert (out / name).is_file()
    assert without_times(out) == before


def test_what_no_run_left_is_refused_in_a_sentence(tmp_path, capsys):
    out = tmp_path / "run"
    words = command(out, "--epochs", "1", "--resume", "--quiet")[3:]
    out.mkdir()
    (out / "result.json").write_text('{"accuracy": 1}')
    assert main(words) == 2
    assert "has something other than a run in it (result.json)" in capsys.readouterr().err
    (out / "result.json").unlink()
    assert main(words) == 0
    for text, sentence in (
        ("", "result.json cannot be read"),
        ("[1]", "result.json must contain an object, got [1]"),
    ):
        (out / "result.json").write_text(text)
        assert main(words) == 2
        assert sentence in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_from_before_the_log_scale_was_linear(finished_words, tmp_path, capsys):
    out = tmp_path / "run"
    assert main(finished_words(out, "--scale", "linear")) == 0
    config = out / "config.yaml"
    config.write_text(config.read_text().replace("scale: linear\n", ""))
    assert main(finished_words(out)) == 2
    assert "has --scale linear, got --scale log" in capsys.readouterr().err
    assert main(["--config", str(config), "--out", str(tmp_path / "again"), "--quiet"]) == 0
    scores = [
        json.loads((folder / "result.json").read_text())["scores"]
        for folder in (out, tmp_path / "again")
    ]
    assert scores[0] == scores[1]


@pytest.mark.slow
def test_a_run_from_before_there_were_encoders_to_choose_was_a_gin(
    finished_words, tmp_path, capsys
):
    out = tmp_path / "run"
    assert main(finished_words(out)) == 0
    config, encoder = out / "config.yaml", out / "encoder.json"
    config.write_text(config.read_text().replace("encoder: gin\n", ""))
    encoder.write_text(encoder.read_text().replace('"encoder": "gin",', ""))
    assert main([*finished_words(out), "--encoder", "gcn"]) == 2
    assert "has --encoder gin, got --encoder gcn; give --config" in capsys.readouterr().err
    assert main(finished_words(out)) == 0
    assert main(["--config", str(config), "--out", str(tmp_path / "again"), "--quiet"]) == 0
    scores = [
        json.loads((folder / "result.json").read_text())["scores"]
        for folder in (out, tmp_path / "again")
    ]
    assert scores[0] == scores[1]
    older, newer = (
        GINEncoder.from_pretrained(folder).state_dict() for folder in (out, tmp_path / "again")
    )
    assert all(map(torch.equal, older.values(), newer.values()))


@pytest.mark.slow
def test_a_run_from_before_the_views_goes_on_and_runs_again(finished_words, tmp_path):
    out = tmp_path / "run"
    assert main(finished_words(out)) == 0
    config = out / "config.yaml"
    lines = config.read_text().splitlines()
    start = lines.index("views:")
    assert lines[start + 3].startswith("view_strength: ")
    config.write_text("\n".join(lines[:start] + lines[start + 4 :]))
    (out / "result.json").unlink()
    assert main(finished_words(out)) == 0
    assert main(["--config", str(config), "--out", str(tmp_path / "again"), "--quiet"]) == 0
    assert (
        main(
            [
                "--config",
                str(config),
                "--method",
                "graphcl",
                "--out",
                str(tmp_path / "other"),
                "--quiet",
            ]
        )
        == 0
    )
    found = [
        json.loads((tmp_path / name / "result.json").read_text())
        for name in ("run", "again", "other")
    ]
    assert found[0]["scores"] == found[1]["scores"]
    assert found[2]["config"]["views"] == ["node-drop", "subgraph"]


@pytest.mark.slow
def test_a_run_with_a_removed_setting_goes_on_where_the_setting_did_nothing(
    finished_words, tmp_path, capsys
):
    out = tmp_path / "run"
    assert main(finished_words(out)) == 0
    config = out / "config.yaml"
    content = config.read_text()
    config.write_text(content + "gradient_cache: 0\n")
    (out / "result.json").unlink()
    assert main(finished_words(out)) == 0
    assert main(["--config", str(config), "--out", str(tmp_path / "again"), "--quiet"]) == 0
    assert (tmp_path / "again" / "config.yaml").read_text() == content
    config.write_text(content + "gradient_cache: 32\n")
    for words in (finished_words(out), ["--config", str(config), "--quiet"]):
        assert main(words) == 2
        found = capsys.readouterr().err
        assert (
            "gradient_cache must be 0, got 32: this version has no such setting; remove it."
            in found
        ), found


@pytest.mark.slow
def test_several_seeds_go_on_where_they_were(tmp_path, capsys):
    words = ["--epochs", "2", "--seeds", "3", "--quiet"]
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert main(command(whole, *words)[3:]) == 0
    assert main(command(stopped, *words)[3:]) == 0
    (stopped / "summary.json").unlink()
    (stopped / "seed-2" / "result.json").unlink()
    kept = (stopped / "seed-1" / "result.json").stat().st_mtime_ns
    assert main(command(stopped, *words, "--resume")[3:]) == 0
    assert (stopped / "seed-1" / "result.json").stat().st_mtime_ns == kept
    assert (stopped / "summary.json").read_text() == (whole / "summary.json").read_text()
    foreign = stopped / "seed-1" / "config.yaml"
    foreign.write_text(foreign.read_text().replace("beta: 10.0", "beta: 0.0"))
    assert main(command(stopped, *words, "--resume")[3:]) == 2
    assert f"the run in {foreign.parent} has --beta 0.0, got --beta 10.0" in capsys.readouterr().err
