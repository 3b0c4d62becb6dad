"""The kinds of cells: what each may set, what its record says of the settings, and how it runs.

A method of a plan is a baseline by its family, an embedder by its import path, and otherwise a run of the package. A
further kind is an entry of `KINDS`, and the condition by which `Cell.kind` knows it.
"""

import contextlib
import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from graphcl_hard.config import Config
from graphcl_hard.io.file_names import LOCK, RESULT
from graphcl_hard.runs.cli import exit_status
from graphcl_hard.runs.environment import environment
from graphcl_hard.runs.run_dataset import run_dataset
from graphcl_hard.sweeps.cell import Cell, parsed
from graphcl_hard.sweeps.run_record import CURVES, compact, record_of_run

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


def _run(cell: Cell, runs: Path, _threads: int) -> Record:
    """Run the package in the cell's run folder, or resume it."""
    folder = runs / cell.path
    settings = {**cell.given, "dataset": cell.source, "seed": cell.seed}
    config = parsed({**settings, "out": str(folder), "resume": True, "quiet": True})
    config.check()
    _wait_for(folder)
    complaint = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(complaint):
        status = exit_status(lambda: run_dataset(config))
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


def _wait_for(folder: Path) -> None:
    """Wait while another process writes to the folder: it runs the same cell, and its result will be used.

    It is a worker of a sweep that was killed a moment ago, or, on a cluster, one that is finishing its cell.
    """
    if (folder / LOCK).exists():
        with FileLock(folder / LOCK):
            pass


def _baseline(cell: Cell, _runs: Path, threads: int) -> Record:
    from graphcl_hard.sweeps import baselines  # noqa: PLC0415 - it loads PyTorch

    found = baselines.run_cell(
        cell.family, cell.source, cell.seed, cell.given, cell.given.get("data_dir")
    )
    return _without_training(cell, threads) | found


def _embedder(cell: Cell, _runs: Path, threads: int) -> Record:
    """Embed the graphs, without their labels, by a class of the user's, and score the vectors as a run does."""
    from graphcl_hard._tensor import initial_state  # noqa: PLC0415 - they load PyTorch
    from graphcl_hard.evaluation.cross_validation import cross_validate  # noqa: PLC0415
    from graphcl_hard.loader.features import FeatureMap  # noqa: PLC0415
    from graphcl_hard.runs.experiment import describe  # noqa: PLC0415
    from graphcl_hard.sweeps.data import labelled_graphs, without_labels  # noqa: PLC0415
    from graphcl_hard.sweeps.embedder import embed  # noqa: PLC0415

    assert cell.embedder is not None
    graphs, rows, y = labelled_graphs(cell.source, cell.given.get("data_dir"))
    start = time.perf_counter()
    quiet = io.StringIO()
    with initial_state(), contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        vectors = embed(cell.embedder, without_labels(graphs), cell.seed)
    embedded = time.perf_counter()
    config = Config(**{**cell.config(), "probes": tuple(cell.config()["probes"])})
    scores, test_sizes = {}, []
    for probe in config.probes:
        (found,) = cross_validate(
            vectors[rows],
            y,
            probe=probe,
            cv=config.folds,
            repeats=config.repeats,
            seed=cell.seed,
            scale=config.scale,
            n_jobs=threads,
        ).values()
        scored = found.to_dict()
        scores[probe] = {"0": compact(scored)}
        test_sizes = scored["test_sizes"]
    end = time.perf_counter()
    return _without_training(cell, threads) | {
        "scores": scores,
        "test_sizes": test_sizes,
        "data": describe(graphs, FeatureMap.fit(graphs)) | {"features": "chosen by the method"},
        "channels": vectors.shape[1],
        "seconds": {
            "training": embedded - start,
            "evaluation": end - embedded,
            "total": end - start,
        },
        "last_epoch": 0,
    }


def _without_training(cell: Cell, threads: int) -> Record:
    untrained: Record = {"training": {name: [] for name in CURVES}, "embedding": {}}
    how = {"status": "finished", "error": None, **versions(), "threads": threads}
    return {**cell.identity(), **how, "config": cell.config(), **untrained}


KINDS = {
    "run": Kind(_run),
    "majority": Kind(_baseline),
    "wl": Kind(_baseline, ("grakel",)),
    "embedder": Kind(_embedder),
}
"""`Cell.kind` -> how such cells run."""
