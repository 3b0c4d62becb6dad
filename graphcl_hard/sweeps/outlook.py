"""Finished and remaining cells of a plan, and the time that the rest may take."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from graphcl_hard.exceptions import InputError
from graphcl_hard.sweeps.cell import BASELINES, Cell
from graphcl_hard.sweeps.records import key, read_records

Records = dict[tuple[str, str, int], dict[str, Any]]


class Estimate(NamedTuple):
    """Seconds that cells may take one after another."""

    seconds: float
    guessed: int  # cells whose time is that of other data sets
    unknown: int  # cells of which nothing is known; they count as 0 s

    def text(self, jobs: int) -> str:
        """Return the time as text, for so many cells in parallel."""
        if self.unknown and not self.seconds:
            return "unknown time"
        remarks = [f"guessed from other data sets for {self.guessed}"] if self.guessed else []
        remarks += [f"without {self.unknown} of unknown length"] if self.unknown else []
        how = "at least" if self.unknown else "about"
        return f"{how} {_duration(self.seconds / jobs)}" + (
            f" ({', '.join(remarks)})" if remarks else ""
        )


def read_outcomes(folder: Path, cells: Iterable[Cell], drop_changed: bool = False) -> Records:
    """Return all records of a folder by (data set, method, seed).

    A cell that failed in an embedder whose source or parameters have changed since has no record any more.

    Args:
        folder: of the records.
        cells: of the plan.
        drop_changed: leave out records of other settings, so that their cells are run again.

    Raises:
        InputError: one of the cells has a record of other settings, so it does not belong to the plan.
    """
    records = {key(record): record for record in read_records(folder)}
    for cell in cells:
        difference = cell.difference(records[cell.key]) if cell.key in records else None
        if difference is None:
            continue
        failed = cell.embedder is not None and records[cell.key]["status"] != "finished"
        if not (drop_changed or failed):
            raise InputError(
                f"{cell.label} has a record with {difference}; choose another --out, give the method another name, or "
                "run it again with --rerun-changed."
            )
        del records[cell.key]
    return records


def left_over(cells: Iterable[Cell], records: Records, retry_failed: bool) -> list[Cell]:
    """Return the cells that have to be run."""
    return [
        cell
        for cell in cells
        if cell.key not in records or (retry_failed and records[cell.key]["status"] != "finished")
    ]


def estimate(cells: Iterable[Cell], records: Mapping[Any, Mapping[str, Any]]) -> Estimate:
    """Return the time that cells may take, from finished ones of their kind on the same or other data sets."""
    seconds: dict[tuple[str | None, str], list[float]] = {}
    for record in records.values():
        if record["status"] == "finished":
            kind, spent = _kind(record, record["last_epoch"]), record["seconds"]["total"]
            for dataset in (record["dataset"], None):
                seconds.setdefault((dataset, kind), []).append(spent)
    total, guessed, unknown = 0.0, 0, 0
    for cell in cells:
        kind = _kind(cell.identity(), cell.config().get("epochs", 0))
        here, anywhere = seconds.get((cell.dataset, kind)), seconds.get((None, kind))
        total += fmean(here or anywhere or [0.0])
        guessed += here is None and anywhere is not None
        unknown += anywhere is None
    return Estimate(total, guessed, unknown)


def overview(cells: Sequence[Cell], todo: Collection[Cell], records: Records) -> Table:
    """Return a table with a row for each data set and method: seeds done, failed and to do, and the time left."""
    table = Table("data set", "method", "done", "failed", "to do", "one after another")
    keys = {cell.key for cell in todo}
    rows: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        rows.setdefault((cell.dataset, cell.method), []).append(cell)
    for (dataset, method), row in rows.items():
        seeds: dict[str, list[str]] = {"done": [], "failed": [], "to do": []}
        for cell in row:
            finished = cell.key in records and records[cell.key]["status"] == "finished"
            seeds["to do" if cell.key in keys else "done" if finished else "failed"].append(
                str(cell.seed)
            )
        left = [cell for cell in row if cell.key in keys]
        time = estimate(left, records).text(1) if left else ""
        table.add_row(dataset, method, *map(" ".join, seeds.values()), time)
    return table


class ProgressBar:
    """A bar over cells with the time left and the running cells; without a terminal, a line for each cell.

    Args:
        console: to draw on.
        todo: the cells to run.
        records: those that exist; the records of cells that end are added.
        jobs: cells in parallel.
    """

    def __init__(self, console: Console, todo: Sequence[Cell], records: Records, jobs: int) -> None:
        self.console, self.records, self.jobs = console, records, jobs
        self.left = {cell.key: cell for cell in todo}
        self.running: dict[tuple[str, str, int], str] = {}
        one_line = Column(
            no_wrap=True, ratio=1
        )  # the list of running cells may be long: it is cut, not the bar
        text = TextColumn("{task.description}", markup=False, table_column=one_line)
        columns = (BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn(), text)
        self.progress = Progress(
            *columns, console=console, transient=True, expand=True, disable=not console.is_terminal
        )
        self.task = self.progress.add_task("", total=len(todo))

    def connect(self, workers: int, dashboard: str) -> None:
        """Show a cluster, whose dashboard shows the running cells."""
        self.jobs = max(1, workers)
        self.console.print(
            f"{workers} workers; dashboard: {dashboard}", markup=False, soft_wrap=True
        )
        self._update()

    def start(self, cell: Cell) -> None:
        """Show that a cell has started."""
        self.running[cell.key] = cell.label
        self._update()

    def end(self, cell: Cell, record: dict[str, Any]) -> None:
        """Show that a cell has ended, and how."""
        self.running.pop(cell.key, None)
        del self.left[cell.key]
        self.records[cell.key] = record
        finished = record["status"] == "finished"
        if not finished or not self.console.is_terminal:
            how = (
                f"{record['seconds']['total']:.1f} s"
                if finished
                else f"{record['status']}: {record['error']}"
            )
            self.console.print(
                f"{cell.label}: {how} ({len(self.left)} to do)", markup=False, soft_wrap=True
            )
        self.progress.advance(self.task)
        self._update()

    def _update(self) -> None:
        left = estimate(self.left.values(), self.records).text(self.jobs).partition(" (")[0]
        self.progress.update(
            self.task, description="; ".join([f"{left} left", *self.running.values()])
        )


def _kind(identity: Mapping[str, Any], epochs: int) -> str:
    """Return the kind of a cell; cells of one kind take about the same time on a data set."""
    if "embedder" in identity:
        return str(identity["embedder"]["class"])
    family = str(identity["family"])
    return family if family in BASELINES else "trained" if epochs else "untrained"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
