"""Run the data sets x methods x seeds of a YAML plan, and report the results.

A cell is one method with one seed on one data set. It is a run folder of graphcl_hard.run and leaves a small record.
Cells that have a record are not run again. A sweep may be stopped at any moment; the same command resumes from the last
checkpoints.

Examples:
  python -m experiments.tu --dry-run
  python -m experiments.tu --datasets MUTAG PTC_MR --methods untrained hard --seeds 0 1 --jobs 2
  python -m experiments.tu --config my.yaml --out results/mine
  python -m experiments.tu --scheduler tcp://192.168.0.7:8786     (on a Dask cluster)
"""

if __name__ == "__main__":
    from graphcl_hard.runs.early_signals import end_at_once

    end_at_once()

import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from filelock import FileLock, Timeout
from joblib import cpu_count
from rich.console import Console

from experiments.records import pack_records, write_record
from experiments.tu import engine, few_labels
from experiments.tu.cell import Cell
from experiments.tu.documents import fill_tables
from experiments.tu.maps import draw_maps
from experiments.tu.outlook import (
    ProgressBar,
    Records,
    estimate,
    left_over,
    overview,
    read_outcomes,
)
from experiments.tu.plan import narrow, read_plan
from graphcl_hard.exceptions import InputError
from graphcl_hard.io.atomic_write import PARTIAL
from graphcl_hard.runs.cli import one_sentence

HERE = Path(__file__).resolve().parent
OUT, RUNS = HERE / "results", HERE / "runs"
DOCS = HERE.parents[1] / "docs"  # whose pages hold tables of the study
MAPPED_METHODS = ("bn-only", "uniform", "hard-beta10-tau0.1")
SOME_FAILED, BAD_INPUT = 1, 2


@dataclass(frozen=True)
class Arguments:
    """The cells of the plan to run, and where.

    Attributes:
        config: YAML file with the plan.
        datasets: Only these data sets.
        methods: Only these methods, by name or by family.
        seeds: Only these seeds.
        jobs: Cells to run in parallel on this machine, which share its cores; the default is one for each core.
        out: Folder for records, tables and the report; run folders are in its subfolder runs, or in experiments/tu/runs
            for the default.
        scheduler: Address of a Dask scheduler whose workers run the cells; they must share the disk of the run folders.
        dry_run: List the cells and the time that they may take, and exit.
        retry_failed: Run failed cells again.
        few_labels: Also evaluate the embeddings with probes that see 1, 5, 10 and 100 per cent of the training labels;
            this takes longer than training.
        report_only: Run no cell, write the report.
        report: Write the report at the end.
        documents: Also update the tables in the pages of docs/.
    """

    config: Path = HERE / "plan.yaml"
    datasets: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    jobs: int | None = None
    out: Path = OUT
    scheduler: str | None = None
    dry_run: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    retry_failed: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    few_labels: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    report_only: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    report: bool = True
    documents: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False


class Stopped(KeyboardInterrupt):
    """A signal that asks the sweep to stop; its argument is the number."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status: 0, 1 where a cell failed, 2 for bad input, 130 or 143 when stopped."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    try:
        arguments = one_sentence("", lambda: tyro.cli(Arguments, args=argv, description=__doc__))
        return _sweep(arguments, console)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt as stop:
        print("stopped; the same command resumes from here.", file=sys.stderr)
        return 128 + (stop.args[0] if stop.args else signal.SIGINT)


def _sweep(arguments: Arguments, console: Console) -> int:
    if arguments.jobs is not None and arguments.jobs < 1:
        raise InputError(
            f"--jobs must be at least 1, got {arguments.jobs}; leave it out for one for each core."
        )
    out = arguments.out.expanduser().resolve()
    runs = RUNS if out == OUT else out / "runs"
    records_folder = out / "records"
    if arguments.report_only:
        _report(records_folder, out, runs, arguments.documents, console)
        return 0
    cells = narrow(
        read_plan(arguments.config), arguments.datasets, arguments.methods, arguments.seeds
    )
    if arguments.dry_run:
        records = read_outcomes(records_folder, cells)
        todo = left_over(cells, records, arguments.retry_failed)
        console.print(overview(cells, todo, records))
        jobs = arguments.jobs or cpu_count()
        time = f"; {estimate(todo, records).text(jobs)}, {jobs} in parallel" if todo else ""
        console.print(f"{len(todo)} of {len(cells)} cells to do{time}", soft_wrap=True)
        return 0
    with _locked(runs):
        for partial in records_folder.rglob(f"{PARTIAL}*"):  # of a writer that was killed
            partial.unlink()
        records = read_outcomes(records_folder, cells)
        _compute(cells, records, runs, arguments, console)
        pack_records(records_folder)
        if arguments.few_labels:
            _few_labels(cells, runs, out, arguments.jobs or cpu_count(), console)
        if arguments.report and any(record["scores"] for record in records.values()):
            _report(records_folder, out, runs, arguments.documents, console)
    failed = sum(records[cell.key]["status"] != "finished" for cell in cells)
    if failed:
        console.print(
            f"{failed} of {len(cells)} cells failed; their records say why, --retry-failed runs them again."
        )
    return SOME_FAILED if failed else 0


def _compute(
    cells: Sequence[Cell], records: Records, runs: Path, arguments: Arguments, console: Console
) -> None:
    todo = left_over(cells, records, arguments.retry_failed)
    console.print(f"{len(todo)} of {len(cells)} cells to do", soft_wrap=True)
    if not todo:
        return
    jobs = arguments.jobs or cpu_count()
    bar = ProgressBar(console, todo, records, jobs)
    if arguments.scheduler:
        outcomes = engine.run_cluster(todo, runs, arguments.scheduler, bar.connect)
    else:
        outcomes = engine.run_local(todo, runs, jobs, bar.start)
    folder = arguments.out.expanduser().resolve() / "records"
    with bar.progress, closing(outcomes):
        for cell, record in outcomes:
            write_record(folder, record)
            bar.end(cell, record)


def _few_labels(cells: Sequence[Cell], runs: Path, out: Path, jobs: int, console: Console) -> None:
    def progress(done: int, total: int, label: str) -> None:
        console.print(f"few labels: {done} of {total}, {label}", soft_wrap=True)

    few_labels.run(cells, runs, out / "few_labels", progress, jobs)


def _report(records: Path, out: Path, runs: Path, documents: bool, console: Console) -> None:
    from experiments.tu.report import write_report  # noqa: PLC0415 - its imports take seconds

    draw_maps(runs, out, MAPPED_METHODS)
    *_, page = write_report(records, out)
    if documents:
        for document in sorted(DOCS.glob("*.md")):
            fill_tables(document, out / "tables")
    console.print(f"report: {page}", soft_wrap=True)


@contextmanager
def _locked(runs: Path) -> Iterator[None]:
    """Hold the lock of the run folders, which the system releases even if this process is killed."""
    try:
        runs.mkdir(parents=True, exist_ok=True)
        with FileLock(runs / ".tu.lock", timeout=0):
            yield
    except Timeout:
        raise InputError(
            f"Another sweep is running in {runs}; wait until it ends or choose another --out."
        ) from None
    except OSError as error:
        raise InputError(
            f"{error.filename or runs} cannot be written: {error.strerror}; make room or choose another --out."
        ) from error


def _stop(number: int, _: Any) -> None:
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)  # a second signal must not interrupt the clean-up
    raise Stopped(number)


if __name__ == "__main__":
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, _stop)
    # loky frees memory by replacing a process that has grown
    warnings.filterwarnings("ignore", "A worker stopped while some jobs were given")
    sys.exit(main())
