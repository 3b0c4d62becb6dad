"""Fabric's loggers contain the values of each epoch exactly once, whatever stops the run."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from helpers.runs import command, without_times

from graphcl_hard.exceptions import InputError
from graphcl_hard.run import main
from graphcl_hard.runs.loggers import EpochLog, check_logger
from graphcl_hard.training.state import Epoch

SMALL = [
    "--epochs",
    "3",
    "--folds",
    "3",
    "--repeats",
    "1",
    "--hidden-channels",
    "8",
    "--num-layers",
    "2",
    "--quiet",
]


def logged(folder):
    """Return step -> name -> value of a log folder, each pair once; TensorBoard stores float32."""
    found = {}
    pairs = []
    if (folder / "metrics.csv").exists():
        for row in csv.DictReader((folder / "metrics.csv").read_text().splitlines()):
            step = int(row.pop("step"))
            pairs += [(step, name, float(value)) for name, value in row.items() if value]
    else:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: PLC0415

        events = EventAccumulator(str(folder))
        events.Reload()
        for name in events.Tags()["scalars"]:
            pairs += [(event.step, name, event.value) for event in events.Scalars(name)]
    for step, name, value in pairs:
        assert name not in found.setdefault(step, {}), f"{name} of step {step} is there twice"
        found[step][name] = value
    return found


def expected(folder):
    """Return the values that a logger should contain, from the run's metrics.csv and result.json."""
    found = {}
    for row in csv.DictReader((folder / "metrics.csv").read_text().splitlines()):
        step = int(row.pop("epoch"))
        found[step] = {"lr": 0.001, **{name: float(value) for name, value in row.items()}}
    result = json.loads((folder / "result.json").read_text())
    for probe, scores in result["scores"].items():
        by_epoch = {
            **scores.get("by_epoch", {}),
            "0": scores["untrained"],
            str(result["epoch"]): scores["trained"],
        }
        for epoch, scored in by_epoch.items():
            means = {
                f"{probe}/{name}": summary["mean"] for name, summary in scored["summary"].items()
            }
            found.setdefault(int(epoch), {}).update(means)
    return found


def assert_same(found, wanted):
    assert found.keys() == wanted.keys()
    for step in wanted:
        assert found[step] == pytest.approx(wanted[step], rel=1e-6), step


@pytest.fixture(scope="module")
def without_logger(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "none"
    assert (
        main([*SMALL, "--score-epochs", "0", "2", "--probes", "svm", "knn", "--out", str(folder)])
        == 0
    )
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("logger", ["csv", "tensorboard"])
def test_a_log_has_every_epoch_and_score_and_changes_no_number(without_logger, tmp_path, logger):
    out = tmp_path / "run"
    words = [*SMALL, "--score-epochs", "0", "2", "--probes", "svm", "knn", "--logger", logger]
    assert main([*words, "--out", str(out)]) == 0
    (name,) = os.listdir(out / "logs")
    assert name == "metrics.csv" if logger == "csv" else name.startswith("events.out.tfevents.")
    assert_same(logged(out / "logs"), expected(out))
    assert {"loss", "effective_negatives", "positive_score", "negative_score", "lr"} <= set(
        logged(out / "logs")[1]
    )
    (result, *others), (plain, *plain_others) = without_times(out), without_times(without_logger)
    assert result["config"].pop("logger") == logger
    assert plain["config"].pop("logger") == "none"
    assert result == plain
    assert others == plain_others
    assert not (without_logger / "logs").exists()


@pytest.mark.slow
@pytest.mark.parametrize("logger", ["csv", "tensorboard"])
def test_a_run_that_is_one_of_many_tasks_of_a_job_has_its_log(tmp_path, logger):
    """Each of several tasks of `srun` is its own run."""
    tasks = {
        "SLURM_JOB_ID": "1",
        "SLURM_JOB_NAME": "runs",
        "SLURM_NTASKS": "2",
        "SLURM_PROCID": "1",
    }
    found = subprocess.run(
        [
            sys.executable,
            "-m",
            "graphcl_hard.run",
            *SMALL,
            "--logger",
            logger,
            "--out",
            str(tmp_path / "run"),
        ],
        env={
            **os.environ,
            **tasks,
            "SLURM_LOCALID": "1",
            "SLURM_NODEID": "0",
            "SLURM_NODELIST": "node",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert_same(logged(tmp_path / "run" / "logs"), expected(tmp_path / "run"))


@pytest.mark.slow
@pytest.mark.parametrize("logger", ["csv", "tensorboard"])
def test_a_killed_run_has_every_epoch_once(tmp_path, logger):
    killed = tmp_path / "killed"
    words = command(
        killed, "--epochs", "40", "--quiet", "--logger", logger, "--checkpoint-seconds", "0.2"
    )
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    metrics, checkpoint = killed / "metrics.csv", killed / "checkpoint.safetensors"
    while process.poll() is None and not (
        checkpoint.exists() and len(metrics.read_text().splitlines()) > 10
    ):
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert (killed / "logs").exists()
    assert main([*words[3:], "--resume"]) == 0
    assert json.loads((killed / "result.json").read_text())["resumed_after_epoch"] >= 1
    assert_same(logged(killed / "logs"), expected(killed))
    assert len(os.listdir(killed / "logs")) == 1


@pytest.mark.slow
def test_seeds_have_logs_of_their_own_and_a_run_is_replaced_with_its_log(tmp_path):
    out = tmp_path / "run"
    assert main([*SMALL, "--seeds", "2", "--logger", "csv", "--out", str(out)]) == 0
    for seed in (0, 1):
        assert_same(logged(out / f"seed-{seed}" / "logs"), expected(out / f"seed-{seed}"))
    assert main([*SMALL, "--overwrite", "--out", str(out)]) == 0
    assert not list(out.rglob("logs"))


def test_what_is_no_log_is_not_replaced(tmp_path, capsys):
    out = tmp_path / "run"
    assert main([*SMALL, "--logger", "csv", "--out", str(out)]) == 0
    (out / "logs" / "thesis.tex").write_text("mine")
    assert main([*SMALL, "--overwrite", "--out", str(out)]) == 2
    assert "has something other than a run in it (logs/thesis.tex)" in capsys.readouterr().err


def test_a_run_goes_on_with_its_logger(tmp_path, capsys):
    out = tmp_path / "run"
    assert main([*SMALL, "--logger", "csv", "--out", str(out)]) == 0
    assert main([*SMALL, "--resume", "--out", str(out)]) == 2
    assert "has --logger csv, got --logger none; give --config" in capsys.readouterr().err


def test_a_missing_package_is_one_sentence_and_nothing_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    assert main([*SMALL, "--logger", "tensorboard", "--out", "run"]) == 2
    assert capsys.readouterr().err == (
        "error: --logger tensorboard needs the package tensorboard, which is not installed; install the extra "
        "graphcl_hard[tensorboard], or give csv.\n"
    )
    assert os.listdir(tmp_path) == []
    with pytest.raises(InputError):
        EpochLog("tensorboard", tmp_path)
    check_logger("csv")


def test_an_interrupted_log_is_whole(tmp_path):
    log = EpochLog("tensorboard", tmp_path)
    log.epoch(Epoch(1, 10.0, 0.5, 0.25, 2.0, 1.0, 0.125, 0.0625), lr=0.01)
    log.close()
    names = {
        "beta": 10,
        "loss": 0.5,
        "effective_negatives": 0.25,
        "positive_score": 2,
        "negative_score": 1,
        "clamped": 0.0625,
    }
    assert logged(tmp_path / "logs") == {1: pytest.approx({**names, "seconds": 0.125, "lr": 0.01})}
