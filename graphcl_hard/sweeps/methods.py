"""The kinds of cells: what each may set, what its record says of the settings, and how it runs.

A method of a plan is a baseline by its family, an embedder by its import path, and otherwise a run of the package. A
further kind is an entry of `KINDS`, and the condition by which `Cell.kind` knows it.
"""

import contextlib
import io
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from graphcl_hard.config import Config, Scope, names_in
from graphcl_hard.io.file_names import LOCK, RESULT
from graphcl_hard.runs.cli import exit_status
from graphcl_hard.runs.environment import environment
from graphcl_hard.runs.run_dataset import run_dataset
from graphcl_hard.sweeps.cell import DESCRIPTORS, KERNELS, Cell, parsed
from graphcl_hard.sweeps.run_record import CURVES, record_of_run

if TYPE_CHECKING:
    from graphcl_hard.data.graph_data import GraphData

Record = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """How the cells of a kind run.

    Attributes:
        run: called as run(cell, run folders, threads); it returns the record of the cell, and may raise any error.
        packages: modules of the extra [sweep] that it needs.
    """

    run: Callable[[Cell, Path, int], Record]
    packages: tuple[str, ...] = ()


def versions() -> Record:
    """Return what a record says of the software and the machine."""
    found = environment()
    return {name: found[name] for name in ("versions", "git_commit", "platform")}


def failed_record(cell: Cell, error: str) -> Record:
    """Return the record of a cell that left only an error message."""
    empty: Record = {name: {} for name in ("seconds", "data", "embedding", "scores")}
    return {
        **cell.identity(),
        "status": "failed",
        "error": error,
        "config": cell.config(),
        **versions(),
        **empty,
        "training": {name: [] for name in CURVES},
        "test_sizes": [],
        "last_epoch": cell.config().get("epochs", 0),
    }


def _run(cell: Cell, runs: Path, threads: int) -> Record:
    """Run the package in the cell's run folder, or resume it."""
    from graphcl_hard.sweeps.data import graphs_of  # noqa: PLC0415 - it loads PyTorch

    folder = runs / cell.path
    settings = {**cell.given, "dataset": cell.source, "seed": cell.seed}
    measured = graphs_of(cell.source, cell.given.get("data_dir")).y.is_floating_point()
    settings |= {"evaluate": False} if measured else {}  # a run only evaluates classes
    config = parsed({**settings, "out": str(folder), "resume": True, "quiet": True})
    config.check()
    _wait_for(folder)
    complaint = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(complaint):
        status = exit_status(lambda: run_dataset(config))
    if status == 0 and measured:
        return _measured_run(cell, folder, threads)
    if status == 0:
        return record_of_run(folder, cell.identity())
    record = failed_record(
        cell, complaint.getvalue().rpartition("error: ")[2].strip() or f"It ended with {status}."
    )
    if (folder / RESULT).exists():
        left = record_of_run(folder, cell.identity())
        if left["status"] in ("failed", "diverged") and cell.difference(left) is None:
            return {**left, "error": record["error"]}
    return record


def _measured_run(cell: Cell, folder: Path, threads: int) -> Record:
    """Score the encoder of a run, at its last epoch, by the measured targets of its data set."""
    import numpy as np  # noqa: PLC0415 - not needed by a dry run, as the others

    from graphcl_hard._tensor import initial_state  # noqa: PLC0415
    from graphcl_hard.loader.streaming import make_batches  # noqa: PLC0415
    from graphcl_hard.nn.encoders.pretrained import load_pretrained  # noqa: PLC0415
    from graphcl_hard.sweeps.data import graphs_of  # noqa: PLC0415
    from graphcl_hard.sweeps.scoring import score_vectors  # noqa: PLC0415
    from graphcl_hard.training.loop import embeddings  # noqa: PLC0415

    record = record_of_run(folder, cell.identity())
    graphs = graphs_of(cell.source, cell.given.get("data_dir"))
    start = time.perf_counter()
    with initial_state():
        encoder, features = load_pretrained(folder)
        read = graphs if features.has_node_attr else graphs.without("node_attr")
        batches = make_batches(read, features, dtype=next(encoder.parameters()).dtype)
        vectors = np.concatenate(list(embeddings(encoder, batches, cell.config()["batch_size"])))
    found = score_vectors(vectors, graphs, _evaluation(cell), threads)
    spent = time.perf_counter() - start
    seconds = record["seconds"]
    seconds |= {"evaluation": spent, "total": seconds["total"] + spent}
    last = str(record["last_epoch"])
    scores = {probe: {last: one["0"]} for probe, one in found["scores"].items()}
    record["config"]["evaluate"] = cell.config()["evaluate"]
    return record | {"scores": scores, "test_sizes": found["test_sizes"]}


def _evaluation(cell: Cell) -> Config:
    """Return the settings of the evaluation of a cell."""
    given = {**Config().to_dict(), **cell.given, "seed": cell.seed}
    names = names_in(Scope.EVALUATION)
    return parsed({name: given[name] for name in names})


def _wait_for(folder: Path) -> None:
    """Wait while another process writes to the folder: it runs the same cell, and its result will be used.

    It is a worker of a sweep that was killed a moment ago, or, on a cluster, one that is finishing its cell.
    """
    if (folder / LOCK).exists():
        with FileLock(folder / LOCK):
            pass


def _baseline(cell: Cell, _runs: Path, threads: int) -> Record:
    from graphcl_hard.sweeps import baselines  # noqa: PLC0415 - they load PyTorch
    from graphcl_hard.sweeps.data import graphs_of  # noqa: PLC0415

    graphs = graphs_of(cell.source, cell.given.get("data_dir"))
    if cell.family == "majority" and not graphs.classes:
        return _mean(cell, threads)
    found = baselines.run_cell(
        cell.family, cell.source, cell.seed, cell.given, cell.given.get("data_dir")
    )
    return _without_training(cell, threads) | found


def _mean(cell: Cell, threads: int) -> Record:
    """Score the mean, or the more frequent class, of the training part: the majority of measured targets."""
    import numpy as np  # noqa: PLC0415 - not needed by a dry run, as the others
    from sklearn.dummy import DummyClassifier, DummyRegressor  # noqa: PLC0415

    from graphcl_hard.runs.results import labelled  # noqa: PLC0415
    from graphcl_hard.sweeps.data import graphs_of  # noqa: PLC0415
    from graphcl_hard.sweeps.scoring import score_vectors  # noqa: PLC0415

    graphs = graphs_of(cell.source, cell.given.get("data_dir"))
    task = labelled(graphs).task
    probe = DummyRegressor() if task == "regression" else DummyClassifier(strategy="prior")
    # a constant has no rank correlation
    scoring = ("r2", "rmse", "mae") if task == "regression" else None
    start = time.perf_counter()
    nothing = np.zeros((graphs.num_graphs, 1))
    found = score_vectors(nothing, graphs, _evaluation(cell), threads, {"majority": probe}, scoring)
    return _without_training(cell, threads) | found | _described(graphs, "none", start)


def _descriptor(cell: Cell, _runs: Path, threads: int) -> Record:
    """Score vectors that are computed from the graphs, as a run's vectors are scored."""
    from graphcl_hard.sweeps.data import graphs_of  # noqa: PLC0415 - they load PyTorch
    from graphcl_hard.sweeps.descriptors import vectors_of  # noqa: PLC0415
    from graphcl_hard.sweeps.scoring import score_vectors  # noqa: PLC0415

    graphs = graphs_of(cell.source, cell.given.get("data_dir"))
    start = time.perf_counter()
    vectors = vectors_of(cell.family, cell.source, cell.given.get("data_dir"))
    computed = time.perf_counter()
    found = score_vectors(vectors, graphs, _evaluation(cell), threads)
    described = _described(graphs, DESCRIPTORS[cell.family], start, computed)
    return _without_training(cell, threads) | found | described | {"channels": vectors.shape[1]}


def _embedder(cell: Cell, _runs: Path, threads: int) -> Record:
    """Embed the graphs, without their labels, by a class of the user's, and score the vectors as a run does."""
    from graphcl_hard._tensor import initial_state  # noqa: PLC0415 - they load PyTorch
    from graphcl_hard.sweeps.data import graphs_of, without_labels  # noqa: PLC0415
    from graphcl_hard.sweeps.embedder import embed  # noqa: PLC0415
    from graphcl_hard.sweeps.scoring import score_vectors  # noqa: PLC0415

    assert cell.embedder is not None
    graphs = graphs_of(cell.source, cell.given.get("data_dir"))
    start = time.perf_counter()
    quiet, folder = io.StringIO(), Path.cwd()
    try:
        with initial_state(), contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
            vectors = embed(cell.embedder, without_labels(graphs), cell.seed)
    finally:
        os.chdir(folder)
    embedded = time.perf_counter()
    found = score_vectors(vectors, graphs, _evaluation(cell), threads)
    described = _described(graphs, "chosen by the method", start, embedded)
    return _without_training(cell, threads) | found | described | {"channels": vectors.shape[1]}


def _described(
    graphs: "GraphData", features: str, start: float, trained: float | None = None
) -> Record:
    """Return the description of the data and the times of a cell that ends now."""
    from graphcl_hard.loader.features import FeatureMap  # noqa: PLC0415 - they load PyTorch
    from graphcl_hard.runs.experiment import describe  # noqa: PLC0415

    trained, end = start if trained is None else trained, time.perf_counter()
    seconds = {"training": trained - start, "evaluation": end - trained, "total": end - start}
    data = describe(graphs, FeatureMap.fit(graphs)) | {"features": features}
    return {"data": data, "seconds": seconds, "last_epoch": 0}


def _without_training(cell: Cell, threads: int) -> Record:
    untrained: Record = {"training": {name: [] for name in CURVES}, "embedding": {}}
    how = {"status": "finished", "error": None, **versions(), "threads": threads}
    return {**cell.identity(), **how, "config": cell.config(), **untrained}


KINDS = {
    "run": Kind(_run),
    "majority": Kind(_baseline),
    **dict.fromkeys(KERNELS, Kind(_baseline, ("grakel",))),
    **dict.fromkeys(DESCRIPTORS, Kind(_descriptor)),
    "embedder": Kind(_embedder),
}
"""`Cell.kind` -> how such cells run."""
