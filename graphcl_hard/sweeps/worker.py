"""Run one cell in a worker of either engine, from its settings to its record."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from threadpoolctl import threadpool_limits

from graphcl_hard.sweeps.cell import Cell
from graphcl_hard.sweeps.data_files import data_files
from graphcl_hard.sweeps.embedder import reason
from graphcl_hard.sweeps.methods import KINDS, Record, failed_record
from graphcl_hard.training.allocator import keep_freed_memory

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
            record = KINDS[cell.kind].run(cell, runs, threads)
            # Only now, since the cell may have fetched them.
            return record | {"data_files": data_files(cell.source, cell.given.get("data_dir"))}
        except BaseException as error:  # of any kind: the other cells still run
            return failed_record(cell, reason(error))


@contextlib.contextmanager
def share_of(threads: int) -> Iterator[None]:
    """Limit this process to its share of the machine's cores."""
    import torch  # noqa: PLC0415 - the main process, which imports this module too, does without

    os.environ["LOKY_MAX_CPU_COUNT"] = str(threads)  # joblib's number of all cores
    torch.set_num_threads(threads)
    with threadpool_limits(threads):
        yield
