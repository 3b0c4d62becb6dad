"""Run one cell in a worker of either engine, from its settings to its record."""

import contextlib
import io
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock
from threadpoolctl import threadpool_limits

from graphcl_hard.io.file_names import LOCK, RESULT
from graphcl_hard.runs.cli import exit_status
from graphcl_hard.runs.environment import environment
from graphcl_hard.runs.run_dataset import run_dataset
from graphcl_hard.sweeps.cell import BASELINES, Cell, parsed
from graphcl_hard.sweeps.run_record import CURVES, record_of_run
from graphcl_hard.training.allocator import keep_freed_memory

Record = dict[str, Any]

# Random state, threads and standard error belong to the process: in a Dask worker of several threads cells take turns.
_one_at_a_time = threading.Lock()


def start_worker(parent: int) -> None:
    """Prepare a process of the local engine: it ends with its parent and ignores Ctrl-C, which the parent handles."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_freed_memory()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(1)

    # loky's workers notice that their parent was killed only when they ask for the next task
    threading.Thread(target=watch, daemon=True).start()


def run_cell(cell: Cell, runs: Path, threads: int) -> Record:
    """Run a cell, or resume it from its run folder; returns its record, also if the cell fails.

    Args:
        cell: to run.
        runs: folder of the run folders.
        threads: that PyTorch, BLAS, OpenMP and the cross-validation may use.
    """
    with _one_at_a_time, share_of(threads):
        try:
            return (
                _baseline(cell, threads)
                if cell.family in BASELINES
                else _trained(cell, runs / cell.path)
            )
        except Exception as error:  # of any kind: the other cells still run
            return failed_record(cell, f"{type(error).__name__}: {' '.join(str(error).split())}")


@contextlib.contextmanager
def share_of(threads: int) -> Iterator[None]:
    """Limit this process to its share of the machine's cores."""
    import torch  # noqa: PLC0415 - the main process, which imports this module too, does without

    os.environ["LOKY_MAX_CPU_COUNT"] = str(threads)  # joblib's number of all cores
    torch.set_num_threads(threads)
    with threadpool_limits(threads):
        yield


def failed_record(cell: Cell, error: str) -> Record:
    """Return the record of a cell that left only an error message."""
    empty: Record = {name: {} for name in ("seconds", "data", "embedding", "scores")}
    return {
        **cell.identity(),
        "status": "failed",
        "error": error,
        "config": cell.config(),
        **_versions(),
        **empty,
        "training": {name: [] for name in CURVES},
        "test_sizes": [],
        "last_epoch": cell.config().get("epochs", 0),
    }


def _trained(cell: Cell, folder: Path) -> Record:
    settings = {**cell.given, "dataset": cell.dataset, "seed": cell.seed}
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


def _baseline(cell: Cell, threads: int) -> Record:
    from graphcl_hard.sweeps import baselines  # noqa: PLC0415 - GraKeL is slow to import, and only its cells need it

    found = baselines.run_cell(
        cell.family, cell.dataset, cell.seed, cell.given, cell.given.get("data_dir")
    )
    untrained: Record = {"config": {}, "training": {name: [] for name in CURVES}, "embedding": {}}
    how = {"status": "finished", "error": None, **_versions(), "threads": threads}
    return {**cell.identity(), **how, **untrained, **found}


def _versions() -> Record:
    found = environment()
    return {name: found[name] for name in ("versions", "git_commit", "platform")}
