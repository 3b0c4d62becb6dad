"""Run the data sets x methods x seeds of a YAML plan, and report the results.

A cell is one method with one seed on one data set. It leaves a small record, and cells that have a record are not run
again. A sweep may be stopped at any moment; the same command resumes from the last checkpoints.

Exit status: 0 done; 1 a cell failed; 2 bad input, or a file that cannot be read or written; 130 Ctrl-C; 143 SIGTERM.

Examples:
  python -m graphcl_hard.sweep plan.yaml --dry-run
  python -m graphcl_hard.sweep plan.yaml --out results/mine
  python -m graphcl_hard.sweep plan.yaml --datasets MUTAG --methods untrained hard --seeds 0 1 --jobs 2
  python -m graphcl_hard.sweep plan.yaml --scheduler tcp://192.168.0.7:8786     (on a Dask cluster)
"""

if __name__ == "__main__":
    from graphcl_hard.runs.early_signals import end_at_once

    end_at_once()

import dataclasses
import shutil
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

from graphcl_hard.exceptions import InputError
from graphcl_hard.io.atomic_write import PARTIAL
from graphcl_hard.runs.cli import as_called, check_unused, exit_status, one_sentence, prepare_stdout
from graphcl_hard.runs.early_signals import end_process
from graphcl_hard.sweeps import engine
from graphcl_hard.sweeps.cell import Cell
from graphcl_hard.sweeps.extras import REPORT, require
from graphcl_hard.sweeps.methods import KINDS
from graphcl_hard.sweeps.outlook import (
    ProgressBar,
    Records,
    estimate,
    left_over,
    overview,
    read_outcomes,
)
from graphcl_hard.sweeps.plan import narrow, read_plan
from graphcl_hard.sweeps.records import key, pack_records, read_records, write_record

PROG = "python -m graphcl_hard.sweep"
LOCK = ".sweep.lock"
SOME_FAILED = 1
REASONS = 3  # of failed cells, that are printed


@dataclass(frozen=True)
class Arguments:
    """The cells of the plan to run, and where.

    Attributes:
        plan: YAML file with the plan.
        datasets: Only these data sets.
        methods: Only these methods, by name or by family.
        seeds: Only these seeds.
        jobs: Cells to run in parallel on this machine, which share its cores; the default is one for each core.
        out: Folder for records, run folders, tables and the report; the default is sweeps/ with the name of the plan.
        scheduler: Address of a Dask scheduler whose workers run the cells; they must share the disk of --out.
        dry_run: List the cells and the time that they may take, and exit.
        retry_failed: Run failed cells again.
        rerun_changed: Run cells again that have a record of other settings, or of another source of their method.
        few_labels: Also evaluate the embeddings with probes that see 1, 5, 10 and 100 per cent of the training labels;
            this takes longer than training.
        fine_tune: Also fine-tune the encoders of the runs on the same shares of the labels, beside what --few-labels
            does; from the control untrained, this is training from scratch.
        report_only: Run no cell, write the report.
        report: Write the report at the end.
    """

    plan: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="PLAN")]
    datasets: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    jobs: int | None = None
    out: Path | None = None
    scheduler: str | None = None
    dry_run: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    retry_failed: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    rerun_changed: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    few_labels: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    fine_tune: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    report_only: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    report: bool = True


CELLS_ONLY = (
    *("datasets", "methods", "seeds", "jobs", "scheduler", "dry_run", "retry_failed"),
    *("rerun_changed", "few_labels", "fine_tune", "report"),
)
"""Arguments that matter only if cells are run."""
FLAGS = tuple(field.name for field in dataclasses.fields(Arguments))


class Stopped(KeyboardInterrupt):
    """A signal that asks the sweep to stop; its argument is the number."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if signal.getsignal(signal.SIGTERM) is end_process:  # this process started as a command
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _stop)
        # loky frees memory by replacing a process that has grown
        warnings.filterwarnings("ignore", "A worker stopped while some jobs were given")
    status = 0

    def action() -> None:
        nonlocal status
        try:
            status = _sweep(parse(words))
        except KeyboardInterrupt as stop:
            print("stopped; the same command resumes from here.", file=sys.stderr)
            status = 128 + (stop.args[0] if isinstance(stop, Stopped) else signal.SIGINT)

    return exit_status(action, FLAGS) or status


def parse(words: Sequence[str]) -> Arguments:
    """Return the arguments of a command line.

    Raises:
        InputError: an unknown flag, or a value of the wrong type.
    """
    return one_sentence(
        "", lambda: tyro.cli(Arguments, args=words, prog=as_called(PROG), description=__doc__)
    )


def _check(arguments: Arguments) -> None:
    if arguments.jobs is not None and arguments.jobs < 1:
        raise InputError(
            f"--jobs must be at least 1, got {arguments.jobs}; leave it out for one for each core."
        )
    if arguments.report_only:
        check_unused(arguments, CELLS_ONLY, "with `report_only=True`, which runs no cell")


def _sweep(arguments: Arguments) -> int:
    _check(arguments)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    out = (arguments.out or Path("sweeps", arguments.plan.stem)).resolve()
    runs, records_folder = out / "runs", out / "records"
    plan = read_plan(arguments.plan)
    if arguments.report_only:
        require(*REPORT)
        _report(plan, out, console)
        return 0
    cells = narrow(plan, arguments.datasets, arguments.methods, arguments.seeds)
    jobs = arguments.jobs or cpu_count()
    if arguments.dry_run:
        records = read_outcomes(records_folder, cells, arguments.rerun_changed)
        todo = left_over(cells, records, arguments.retry_failed)
        console.print(overview(cells, todo, records))
        time = f"; {estimate(todo, records).text(jobs)}, {jobs} in parallel" if todo else ""
        console.print(f"{len(todo)} of {len(cells)} cells to do{time}", soft_wrap=True)
        return 0
    kinds = {cell.kind for cell in cells}
    packages = {name for kind in kinds for name in KINDS[kind].packages}
    require("pyarrow", *sorted(packages), *(REPORT if arguments.report else ()))
    with _locked(runs):
        for partial in records_folder.rglob(f"{PARTIAL}*"):  # of a writer that was killed
            partial.unlink()
        records = read_outcomes(records_folder, cells, arguments.rerun_changed)
        todo = left_over(cells, records, arguments.retry_failed)
        if arguments.rerun_changed:
            held = {key(record) for record in read_records(records_folder)}
            for cell in todo:
                if (
                    cell.key in held
                ):  # its run folder may have other settings, and could not be resumed
                    shutil.rmtree(runs / cell.path, ignore_errors=True)
        console.print(f"{len(todo)} of {len(cells)} cells to do", soft_wrap=True)
        if todo:
            _compute(todo, records, out, arguments.scheduler, jobs, console)
        pack_records(records_folder)
        if arguments.few_labels or arguments.fine_tune:
            _few_labels(cells, out, jobs, arguments.fine_tune, console)
        if arguments.report:
            _report(plan, out, console)
    reasons = [
        f"{cell.label} failed: {records[cell.key]['error']}"
        for cell in cells
        if records[cell.key]["status"] != "finished"
    ]
    failed = len(reasons)
    if failed:
        for reason in reasons[:REASONS]:
            console.print(reason, soft_wrap=True, markup=False)
        console.print(
            f"{failed} of {len(cells)} cells failed; their records say why, --retry-failed runs them again."
        )
    return SOME_FAILED if failed else 0


def _compute(
    todo: Sequence[Cell],
    records: Records,
    out: Path,
    scheduler: str | None,
    jobs: int,
    console: Console,
) -> None:
    bar = ProgressBar(console, todo, records, jobs)
    if scheduler:
        outcomes = engine.run_cluster(todo, out / "runs", scheduler, bar.connect)
    else:
        outcomes = engine.run_local(todo, out / "runs", jobs, bar.start)
    with bar.progress, closing(outcomes):
        for cell, record in outcomes:
            write_record(out / "records", record)
            bar.end(cell, record)


def _few_labels(
    cells: Sequence[Cell], out: Path, jobs: int, fine_tune: bool, console: Console
) -> None:
    from graphcl_hard.sweeps import few_labels

    def progress(done: int, total: int, label: str) -> None:
        console.print(f"few labels: {done} of {total}, {label}", soft_wrap=True)

    def skipped(sentence: str) -> None:
        console.print(f"few labels: {sentence}.", soft_wrap=True)

    few_labels.run(cells, out / "runs", out / "few_labels", progress, jobs, fine_tune, skipped)


def _report(plan: Sequence[Cell], out: Path, console: Console) -> None:
    from graphcl_hard.sweeps.report.files import write_report
    from graphcl_hard.sweeps.report.sections import sweep_page

    records = read_records(out / "records")
    if not records:
        raise InputError(
            f"The folder {out} must hold the record of a cell, got none; run the sweep first."
        )
    page = sweep_page(records, plan, out)
    console.print(f"report: {write_report(page, out)[-1]}", soft_wrap=True)


@contextmanager
def _locked(runs: Path) -> Iterator[None]:
    """Hold the lock of the run folders, which the system releases even if this process is killed."""
    try:
        runs.mkdir(parents=True, exist_ok=True)
        with FileLock(runs / LOCK, timeout=0):
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
    prepare_stdout()
    sys.exit(main())
