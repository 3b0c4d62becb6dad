"""Run cells in parallel: on the cores of one machine, or on a Dask cluster.

Both give each cell's future to an existing engine, joblib's loky or Dask, rather than all cells to one
`joblib.Parallel`: that call ends with the first worker that dies and takes all other cells along (with loky), or with
the first cell that nobody survives (with Dask), while here only that cell is concerned.
"""

import re
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from os import getpid
from pathlib import Path
from typing import Any

from joblib import cpu_count
from joblib.externals.loky import BrokenProcessPool, ProcessPoolExecutor

from graphcl_hard.exceptions import InputError
from graphcl_hard.sweeps.cell import Cell
from graphcl_hard.sweeps.methods import Record, failed_record
from graphcl_hard.sweeps.worker import run_cell, start_worker

DEATHS = 2  # of workers on one cell: the first may be bad luck
CONNECT_SECONDS = 20
Outcomes = Generator[tuple[Cell, Record], None, None]


def run_local(
    cells: Sequence[Cell], runs: Path, jobs: int, on_start: Callable[[Cell], object]
) -> Outcomes:
    """Run cells in processes of this machine, which keep PyTorch loaded from cell to cell.

    The cores are shared: each process has cores / jobs threads, at least one. A process that dies (out of memory, a
    crash in native code) is replaced, and its cell is run once more; if it dies again, the cell has failed. When the
    iterator is closed, the processes end at once.

    Args:
        cells: in the order in which they start.
        runs: folder of the run folders.
        jobs: processes.
        on_start: called with each cell that starts.

    Yields:
        Each cell with its record, as they end.
    """
    waiting, threads, deaths = (
        deque(cells),
        max(1, cpu_count() // jobs),
        Counter[tuple[str, str, int]](),
    )
    # A pool for each process, so that it is certain which cell a process died on.
    pools = [_pool() for _ in range(min(jobs, len(cells)))]
    idle = list(range(len(pools)))
    running: dict[Future[Record], tuple[Cell, int]] = {}
    try:
        while waiting or running:
            while waiting and idle:
                cell, place = waiting.popleft(), idle.pop()
                on_start(cell)
                running[_submit(pools, place, cell, runs, threads)] = cell, place
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                cell, place = running.pop(future)
                idle.append(place)
                try:
                    record = future.result()
                except BrokenProcessPool as error:
                    deaths[cell.key] += 1
                    if deaths[cell.key] < DEATHS:
                        waiting.appendleft(cell)
                        continue
                    record = _killed(cell, DEATHS, error)
                yield cell, record
    finally:
        for pool in pools:
            pool.shutdown(kill_workers=True)


def _pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, initializer=start_worker, initargs=(getpid(),))


def _submit(
    pools: list[ProcessPoolExecutor], place: int, cell: Cell, runs: Path, threads: int
) -> Future[Record]:
    """Submit the cell to its pool, which is replaced if its process has died."""
    try:
        future: Future[Record] = pools[place].submit(run_cell, cell, runs, threads)
    except BrokenProcessPool:
        pools[place].shutdown()
        pools[place] = _pool()
        future = pools[place].submit(run_cell, cell, runs, threads)
    return future


def _killed(cell: Cell, deaths: int, error: Exception) -> Record:
    codes = re.search(r"exit codes of the workers are \{(.*?)\}", str(error))
    how = f" ({codes[1]})" if codes else ""
    if how.startswith(" (EXIT"):
        advice = (
            "its method ended the process, for example by os._exit: let it raise an error instead."
        )
    else:
        advice = "it may want more memory: try --retry-failed with fewer --jobs, or larger workers."
    return failed_record(cell, f"{deaths} workers died on this cell{how}; {advice}")


def run_cluster(
    cells: Sequence[Cell], runs: Path, address: str, on_connect: Callable[[int, str], object]
) -> Outcomes:
    """Run cells on a Dask cluster, one at a time on each worker, with one thread.

    The folder of the run folders must be one that all workers share. Dask gives the cell of a worker that dies to
    another one, which resumes from the checkpoint; after some deaths (its setting
    distributed.scheduler.allowed-failures) the cell has failed.
    When the iterator is closed, no further cell starts; running ones are finished.

    Args:
        cells: in the order in which they start.
        runs: folder of the run folders.
        address: of the scheduler.
        on_connect: called with the number of workers and the address of Dask's dashboard.

    Yields:
        Each cell with its record, as they end.

    Raises:
        InputError: the extra [cluster] is missing, the scheduler cannot be reached or goes away, or the workers are
            not made for this.
    """
    try:
        from distributed import CancelledError, Client, KilledWorker, as_completed  # noqa: PLC0415 - an extra
    except ImportError:
        raise InputError(
            "--scheduler needs the extra [cluster]; pip install 'graphcl_hard[cluster]'."
        ) from None
    try:
        client = Client(address, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise InputError(
            f"--scheduler {address} cannot be reached: {error}; start dask scheduler there."
        ) from error
    with client:
        _check_workers(client)
        on_connect(len(client.nthreads()), client.dashboard_link)
        futures = client.map(run_cell, cells, runs=runs, threads=1, pure=False)
        cell_of = dict(zip(futures, cells, strict=True))
        del futures  # Dask keeps a result as long as there is a reference to it
        for future in as_completed(cell_of):
            cell = cell_of.pop(future)
            try:
                record = future.result()
            except KilledWorker as error:
                record = _killed(cell, error.allowed_failures + 1, error)
            except (
                Exception,
                CancelledError,
            ) as error:  # a cell that fails has a record, so this is the cluster's
                what = f"{type(error).__name__}: {' '.join(str(error).split())}"
                raise InputError(
                    f"--scheduler {address} could not run {cell.label} ({what}); see that scheduler and workers are "
                    "there and have the package, then start again."
                ) from error
            yield cell, record


def _check_workers(client: Any) -> None:
    for worker, threads in client.nthreads().items():
        if threads != 1:
            raise InputError(
                f"--scheduler: the worker {worker} must have 1 thread, got {threads}; start dask worker with "
                "--nthreads 1 and --nworkers for as many as it has cores."
            )
