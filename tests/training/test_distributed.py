"""Several processes train one model as one process does."""

import csv
import dataclasses
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import networkx as nx
import numpy as np
import psutil
import pytest
import torch
import torch.multiprocessing
from helpers.graphs import graph_data, random_graphs, with_attributes

from graphcl_hard.config import Config
from graphcl_hard.data.graph_data import GraphData
from graphcl_hard.data.shard_writer import write_shards
from graphcl_hard.exceptions import InputError, StopTraining
from graphcl_hard.io.file_names import CHECKPOINTS
from graphcl_hard.loader.features import FeatureMap
from graphcl_hard.loader.in_memory import GraphBatches
from graphcl_hard.run import main
from graphcl_hard.runs import experiment
from graphcl_hard.training.build import build_model
from graphcl_hard.training.devices import place, training_device
from graphcl_hard.training.distributed import Processes, ProcessLost, Share
from graphcl_hard.training.loop import train
from graphcl_hard.training.state import TrainingState

# One step over the whole data set. With lr 0 the last step's gradients are those of the same weights: Adam divides a
# gradient by its size, and turns a rounding error in a gradient of 0 into a noticeable step.
BASE = Config(
    hidden_channels=8,
    num_layers=2,
    epochs=1,
    batch_size=24,
    beta=2.0,
    lr=0.0,
    accelerator="cpu",
    precision="64-true",
)
FOUND = {"beta": 10.0, "effective_negatives": 0.3}
OBJECTIVES = {
    "jsd": {},
    "jsd, scale none": {"score_scale": "none", "beta": 0.05},
    "jsd, cosine": {"critic": "cosine"},
    "jsd, weights with gradients": {"detach_weights": False},
    "jsd, beta 0": {"beta": 0.0},
    "jsd, consistent": {"debias": "consistent", "detach_weights": False},
    "jsd, found beta": FOUND,
    "jsd, found beta, cosine": {**FOUND, "critic": "cosine", "detach_weights": False},
    "info-nce, found beta": {**FOUND, "objective": "info-nce"},
    "graphcl, found beta": {**FOUND, "method": "graphcl"},
    "released": {"mode": "released"},
    "released, beta 0": {"mode": "released", "beta": 0.0},
    "info-nce": {"objective": "info-nce"},
    "info-nce, weights with gradients": {"objective": "info-nce", "detach_weights": False},
    "info-nce, dot, scale max": {"objective": "info-nce", "critic": "dot"},
    "info-nce, dot, scale none": {
        "objective": "info-nce",
        "critic": "dot",
        "score_scale": "none",
        "beta": 0.05,
    },
    "graphcl": {"method": "graphcl"},
    "graphcl, weights with gradients": {"method": "graphcl", "detach_weights": False},
    "graphcl, consistent": {"method": "graphcl", "debias": "consistent", "detach_weights": False},
    "graphcl, random views": {"method": "graphcl", "views": ("edge-perturb", "random")},
}
SAMPLED = {
    f"{name}, sampled": {**change, "nodes_per_graph": 3}
    for name, change in OBJECTIVES.items()
    if change.get("method") != "graphcl"
}
QUEUED = {"batch_size": 7, "epochs": 2}
OTHERS = {
    "attention": {"readout": "attention"},
    "mean": {"readout": "mean"},
    "max": {"readout": "max"},
    "gat": {"encoder": "gat"},
    "pna": {"encoder": "pna"},
    "gcn": {"encoder": "gcn"},
    "sage": {"encoder": "sage"},
    "gine": {"encoder": "gine"},
    "gine, edges moved": {
        "encoder": "gine",
        "method": "graphcl",
        "views": ("edge-perturb", "subgraph"),
    },
    "many steps": {"epochs": 2, "batch_size": 7, "beta_schedule": "linear-up"},
    # Fewer graphs than 4 processes: some processes have none.
    "a last batch of two": {"batch_size": 11},
    "batches of three": {"batch_size": 3, "mode": "released"},
    "batches of three, sampled, info-nce": {
        "batch_size": 3,
        "objective": "info-nce",
        "nodes_per_graph": 2,
    },
    "batches of three, graphcl": {"batch_size": 3, "method": "graphcl"},
    "batches of three, attention": {"batch_size": 3, "readout": "attention", "encoder": "gat"},
    "batches of three, gine, graphcl": {"batch_size": 3, "encoder": "gine", "method": "graphcl"},
    "queue": {"negative_queue": 10, **QUEUED},
    "queue, cosine": {"negative_queue": 10, "critic": "cosine", **QUEUED},
    "queue, weights with gradients": {"negative_queue": 100, "detach_weights": False, **QUEUED},
    "queue, info-nce": {"negative_queue": 10, "objective": "info-nce", **QUEUED},
    "queue, graphcl": {"negative_queue": 20, "method": "graphcl", **QUEUED},
    "queue, found beta": {"negative_queue": 10, **FOUND, **QUEUED},
    "batches of three, found beta": {"batch_size": 3, **FOUND},
    "queue, batches of three, sampled": {
        "negative_queue": 4,
        "batch_size": 3,
        "nodes_per_graph": 2,
    },
    "graphcl, gine": {"method": "graphcl", "encoder": "gine"},
    "batches of three, queue": {"batch_size": 3, "negative_queue": 4},
    "similar graphs": {"similar_graphs": 3, "batch_size": 7},
    "batches of three, pna": {"batch_size": 3, "readout": "max", "encoder": "pna"},
}
EXACT = {**OBJECTIVES, **SAMPLED, **OTHERS}
MOVING = {"epochs": 3, "batch_size": 7, "lr": 0.001}
CLOSE = {
    "trained": (1e-6, MOVING),
    "trained, graphcl": (1e-6, {**MOVING, "method": "graphcl"}),
    "float32": (1e-4, {"precision": "32-true"}),
    "bf16": (0.1, {"precision": "bf16-mixed"}),
}


def a_set():
    """Return 24 graphs of different sizes, some without edges, one with a single node."""
    graphs = random_graphs([2 + (5 * i) % 13 for i in range(24)], 0.3)
    graphs[6] = nx.empty_graph(1)
    data = graph_data(
        with_attributes(graphs, {"label": lambda i, node: (node * (i % 5) + i) % 4}), [0, 1] * 12
    )
    source, target = data.edge_index
    return dataclasses.replace(
        data, edge_label=((source * target + source + target) % 3).unsqueeze(1)
    )


def a_training(config, processes=None, last=None):
    """Return name -> array: the gradients of the last step, the weights, the statistics, and the epochs' values.

    A callback stops the training after the epoch `last`.
    """
    data = a_set()
    features = FeatureMap.fit(data, with_edges=config.encoder == "gine")
    with training_device(config, together=processes is not None) as fabric:
        device, dtype = place(fabric, config)
        batches = GraphBatches(
            data, features.apply(data), device, dtype, features.apply_edges(data)
        )
        state = TrainingState(
            build_model(config, features.channels, batches).to(device, dtype), config
        )
        epochs, outcomes = [], []

        def on_epoch(epoch):
            epochs.append(epoch)
            if epoch.epoch == last:
                raise StopTraining

        # Fabric returns the loss in float32, so it is recorded where it is computed.
        state.model.register_forward_hook(
            lambda _, __, outcome: outcomes.append(torch.stack([outcome[0].detach(), *outcome[1]]))
        )
        train(state, batches, config, fabric, on_epoch, processes)
    found = {
        f"grad {name}": parameter.grad.numpy() for name, parameter in state.model.named_parameters()
    }
    found |= {f"state {name}": tensor.numpy() for name, tensor in state.model.state_dict().items()}
    found["generator"] = state.generator.get_state().numpy()
    found["outcomes"] = (
        torch.stack(outcomes).double().numpy()
    )  # (steps, 6), the addends of this process
    found["epochs"] = np.array([epoch._replace(seconds=0) for epoch in epochs])
    return found


def work(rank, size, folder, port):
    """Run every setting in one of several processes and save its results to its own file."""
    torch.set_num_threads(1)
    where = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "TORCHELASTIC_RUN_ID": "test",
        "GROUP_RANK": 0,
    }
    ranks = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size}
    os.environ.update({name: str(value) for name, value in (where | ranks).items()})
    with training_device(BASE, together=True):
        processes = Processes()
    for name, change in (EXACT | {name: change for name, (_, change) in CLOSE.items()}).items():
        np.savez(
            folder / f"{name}-{rank}.npz",
            **a_training(dataclasses.replace(BASE, **change), processes),
        )
    unsynced = dataclasses.replace(BASE, sync_batch_norm=False)
    np.savez(folder / f"unsynced-{rank}.npz", **a_training(unsynced, processes))
    last = 2 if rank == 1 else None
    stopped = a_training(dataclasses.replace(BASE, **MOVING), processes, last)
    np.savez(folder / f"stopped-{rank}.npz", **stopped)
    if size == 4:
        with pytest.raises(
            InputError, match=r"at least 2 nodes of a batch in each process, got 0 of 3 graphs in 4"
        ):
            a_training(dataclasses.replace(unsynced, batch_size=3), processes)
    processes.wait()
    if rank == 1:
        os._exit(0)  # silently
    with pytest.raises(
        ProcessLost, match=rf"Process {rank} of {size} \(from 0\) can no longer reach another one"
    ):
        a_training(BASE, processes)
    os._exit(0)  # what joined them is broken, and cannot be left as `Processes.leave` does


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


@pytest.fixture(scope="module", params=[2, pytest.param(4, marks=pytest.mark.slow)])
def found(request, tmp_path_factory):
    """Return (number of processes, folder with their results)."""
    folder = tmp_path_factory.mktemp("found")
    torch.multiprocessing.spawn(work, (request.param, folder, free_port()), nprocs=request.param)
    return request.param, folder


def load(folder, name, rank=0):
    with np.load(folder / f"{name}-{rank}.npz") as arrays:
        return dict(arrays)


def largest_difference(first, second):
    """Return the largest difference of all arrays, relative to each array's largest value if that is above 1."""
    assert first.keys() == second.keys()
    differences = {}
    for name, array in first.items():
        assert array.shape == second[name].shape
        assert array.dtype == second[name].dtype
        scale = max(1.0, float(np.abs(array).max()))
        differences[name] = (
            float(np.abs(array.astype(float) - second[name].astype(float)).max()) / scale
        )
    worst = max(differences, key=differences.get)
    return differences[worst], worst


def together(folder, name, size):
    """Return the results of each process, with summed outcomes."""
    each = [load(folder, name, rank) for rank in range(size)]
    total = sum(one["outcomes"] for one in each)
    return [{**one, "outcomes": total} for one in each]


@pytest.mark.parametrize("name", EXACT)
def test_loss_and_gradients_are_those_of_one_process(found, name):
    """So are the diagnostics, the final weights, the statistics of batch norm and the random numbers."""
    size, folder = found
    alone = a_training(dataclasses.replace(BASE, **EXACT[name]))
    first, *others = together(folder, name, size)
    for other in others:
        assert largest_difference(first, other)[0] == 0
    assert np.allclose(
        alone.pop("epochs"), first.pop("epochs"), rtol=1e-6, atol=1e-6
    )  # sums of float32
    assert max(np.abs(array).max() for key, array in alone.items() if key.startswith("grad")) > 1e-3
    assert largest_difference(alone, first)[0] < 1e-9, largest_difference(alone, first)


@pytest.mark.parametrize("name", CLOSE)
def test_a_training_ends_as_that_of_one_process(found, name):
    """The results agree up to rounding, which Adam and low precision amplify."""
    size, folder = found
    tolerance, change = CLOSE[name]
    alone, (first, *_) = (
        a_training(dataclasses.replace(BASE, **change)),
        together(folder, name, size),
    )
    assert largest_difference(alone, first)[0] < tolerance, largest_difference(alone, first)


def test_batch_norm_by_process_gives_other_gradients(found):
    """All processes take the same step, that of the mean loss; each has its own statistics."""
    size, folder = found
    alone, (first, second, *_) = a_training(BASE), together(folder, "unsynced", size)
    for name in first:
        assert np.array_equal(first[name], second[name]) == ("running" not in name), name
    assert largest_difference(alone, first)[0] > 1e-3


def test_all_processes_stop_where_one_stops(found):
    size, folder = found
    alone = a_training(dataclasses.replace(BASE, **{**MOVING, "epochs": 2}))
    for one in together(folder, "stopped", size):
        assert len(one["epochs"]) == 2
        assert largest_difference(alone, one)[0] < 1e-6


@pytest.mark.parametrize(("size", "num_graphs"), [(1, 5), (2, 5), (4, 24), (4, 2), (7, 3)])
def test_shares_are_runs_of_nearly_one_size(size, num_graphs):
    shares = [Share(rank, size, num_graphs) for rank in range(size)]
    assert [i for share in shares for i in range(share.start, share.stop)] == list(
        range(num_graphs)
    )
    counts = [share.stop - share.start for share in shares]
    assert max(counts) - min(counts) <= 1
    assert counts[0] == max(counts)


@pytest.mark.parametrize(
    ("accelerator", "sizes", "message"),
    [
        ("cuda", (4, 4), "got 4 processes and 2 devices"),
        ("auto", (4, 4), "got 4 processes and 2 devices"),
        ("mps", (2, 2), "got 2 processes and 0 devices"),
        ("cpu", (2, 3), "got 3 in total and 2 on one"),
    ],
)
def test_what_cannot_be_joined_is_refused(monkeypatch, accelerator, sizes, message):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(sizes[0]))
    monkeypatch.setenv("WORLD_SIZE", str(sizes[1]))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with (
        pytest.raises(InputError, match=message),
        training_device(dataclasses.replace(BASE, accelerator=accelerator), together=True),
    ):
        pass


WORDS = [
    "--folds",
    "3",
    "--repeats",
    "1",
    "--hidden-channels",
    "8",
    "--num-layers",
    "2",
    "--precision",
    "64-true",
]
WORDS += ["--accelerator", "cpu", "--no-pictures", "--checkpoint-seconds", "0", "--quiet"]


def torchrun(*words):
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        "-m",
        "graphcl_hard.run",
    ]
    return subprocess.Popen(
        [*command, *WORDS, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ended(process):
    """Return (status, stdout, stderr)."""
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def same_run(first, second):
    """Assert that two folders contain the same numbers up to rounding; the scores are of 188 graphs."""
    assert {p.name for p in first.iterdir()} == {p.name for p in second.iterdir()}
    rows = [
        list(csv.DictReader((folder / "metrics.csv").read_text().splitlines()))
        for folder in (first, second)
    ]
    for one, other in zip(*rows, strict=True):
        assert float(one["loss"]) == pytest.approx(float(other["loss"]), rel=1e-5)
        assert float(one["effective_negatives"]) == pytest.approx(
            float(other["effective_negatives"]), rel=1e-5
        )
    with np.load(first / "embeddings.npz") as one, np.load(second / "embeddings.npz") as other:
        assert set(one) == set(other)
        for name in one:
            if one[name].dtype.kind == "U":  # the checksum of the data
                assert np.array_equal(one[name], other[name])
            else:
                np.testing.assert_allclose(one[name], other[name], rtol=1e-5, atol=1e-4)
    results = [json.loads((folder / "result.json").read_text()) for folder in (first, second)]
    means = [
        result["scores"]["svm"]["trained"]["summary"]["accuracy"]["mean"] for result in results
    ]
    assert means[0] == pytest.approx(means[1], abs=0.02)
    assert results[0]["status"] == results[1]["status"] == "finished"
    return results


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], ["--recalibrate"]])
def test_one_command_on_two_processes(tmp_path, more):
    """One process writes, whatever the number of seeds; all numbers equal those of one process."""
    words = ["--epochs", "2", "--seeds", "2", "--batch-size", "50", *more]
    assert main([*WORDS, *words, "--out", str(tmp_path / "alone")]) == 0
    status, out, err = ended(torchrun(*words, "--out", str(tmp_path / "together")))
    assert status == 0, err
    assert out == f"{tmp_path / 'together'}\n"
    assert "Traceback" not in err
    assert "Warning" not in err
    for seed in ("seed-0", "seed-1"):
        alone, both = same_run(tmp_path / "alone" / seed, tmp_path / "together" / seed)
        assert both["processes"] == 2
        assert "processes" not in alone
    assert (tmp_path / "together" / "summary.json").exists()


@pytest.mark.slow
def test_two_processes_stream_one_set(tmp_path):
    """Each process reads every window; the numbers of the epochs equal those of one process."""
    graphs = 17_000  # more than a window
    first = torch.arange(graphs) * 3
    edges = torch.stack([first, first + 1, first + 1, first + 2], dim=1).flatten()
    others = torch.stack([first + 1, first, first + 2, first + 1], dim=1).flatten()
    label = torch.randint(3, (3 * graphs, 1), generator=torch.Generator().manual_seed(0))
    offsets, y = torch.arange(graphs + 1), torch.zeros(graphs, dtype=torch.int64)
    paths = GraphData("paths", 3 * offsets, torch.stack([edges, others]), 4 * offsets, y, label)
    write_shards(tmp_path / "set", (paths[at : at + 5000] for at in range(0, graphs, 5000)))
    words = [
        "--dataset",
        str(tmp_path / "set"),
        "--no-evaluate",
        "--epochs",
        "2",
        "--batch-size",
        "3000",
    ]
    assert main([*WORDS, *words, "--out", str(tmp_path / "alone")]) == 0
    status, _, err = ended(torchrun(*words, "--out", str(tmp_path / "together")))
    assert status == 0, err
    alone, both = (
        list(csv.DictReader((tmp_path / name / "metrics.csv").read_text().splitlines()))
        for name in ("alone", "together")
    )
    assert len(alone) == len(both) == 2
    for one, other in zip(alone, both, strict=True):
        assert float(one["loss"]) == pytest.approx(float(other["loss"]), rel=1e-5)
        assert float(one["effective_negatives"]) == pytest.approx(
            float(other["effective_negatives"]), rel=1e-5
        )


@pytest.mark.alone
def test_a_dead_process_ends_the_others_and_any_number_goes_on(tmp_path):
    """No process waits for one that was killed; one or two processes continue from the checkpoint."""
    words = ["--epochs", "40"]
    folder = tmp_path / "killed"
    process = torchrun(*words, "--out", str(folder))
    while not (folder / CHECKPOINTS[0]).exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    workers = psutil.Process(process.pid).children()
    next(worker for worker in workers if worker.environ()["RANK"] == "1").send_signal(
        signal.SIGKILL
    )
    status, _, err = ended(process)
    assert status != 0
    assert "exitcode  : -9" in err  # of the killed process, as torchrun reports it
    assert not psutil.wait_procs(workers, timeout=60)[1]
    assert json.loads((folder / "result.json").read_text())["status"] != "finished"

    shutil.copytree(folder, tmp_path / "two")
    assert main([*WORDS, *words, "--out", str(tmp_path / "alone")]) == 0
    assert main([*WORDS, *words, "--out", str(folder), "--resume"]) == 0
    status, _, err = ended(torchrun(*words, "--out", str(tmp_path / "two"), "--resume"))
    assert status == 0, err
    for resumed in (folder, tmp_path / "two"):
        _, result = same_run(tmp_path / "alone", resumed)
        assert result["resumed_after_epoch"] >= 1


@pytest.mark.slow
def test_processes_go_on_within_an_epoch_that_one_had_begun(tmp_path, monkeypatch):
    words, write = ["--epochs", "2", "--batch-size", "32"], experiment.write_checkpoint

    def stopping(folder, state, progress):
        write(folder, state, progress)
        if state.steps == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(experiment, "WITHIN_EPOCH", 0.0)
    monkeypatch.setattr(experiment, "write_checkpoint", stopping)
    assert main([*WORDS, *words, "--out", str(tmp_path / "two")]) == 130
    monkeypatch.undo()
    assert main([*WORDS, *words, "--out", str(tmp_path / "alone")]) == 0
    status, _, err = ended(torchrun(*words, "--out", str(tmp_path / "two"), "--resume"))
    assert status == 0, err
    _, result = same_run(tmp_path / "alone", tmp_path / "two")
    assert (result["resumed_after_epoch"], result["resumed_after_step"]) == (0, 3)
    assert result["processes"] == 2


def test_the_first_process_speaks_for_all():
    environment = {**os.environ, "TORCHELASTIC_RUN_ID": "test", "WORLD_SIZE": "2"}
    for rank, (status, words) in enumerate(
        [(2, "error: --beta must lie in [0, 1e+06], got -1"), (0, "")]
    ):
        found = subprocess.run(
            [sys.executable, "-m", "graphcl_hard.run", "--beta", "-1"],
            env={**environment, "RANK": str(rank)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert found.returncode == status
        assert found.stderr[: len(words) or None] == words
        assert found.stdout == ""
