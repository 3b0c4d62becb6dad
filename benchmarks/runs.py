"""Whole runs on the eight TU data sets: the time that they take, and the scores before and after the fast step.

    python -m benchmarks.runs                run what is missing for the scores, then write the tables
    python -m benchmarks.runs --times        one run of each data set, one at a time on all cores, for the times
    python -m benchmarks.runs --table-only   the tables again from the committed records

*before* are records of the step that kept dense scores (its commit is in each record); they cannot be made again. *now*
are the same runs with the code as it is. Differences are over the seeds that both have, with 95% intervals over seeds,
or over folds on DD and REDDIT-BINARY, which have one seed before. On these two, whose graphs have many nodes, there are
runs with `--nodes-per-graph` too. Every cell is one run of `python -m graphcl_hard.run`.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tyro
from rich.progress import Progress

from graphcl_hard.evaluation.statistics import paired_difference, t_interval
from graphcl_hard.sweeps.records import Key, Record, key, pack_records, read_records, write_record
from graphcl_hard.sweeps.run_record import record_of_run
from graphcl_hard.sweeps.table_files import write_table

RESULTS = Path(__file__).resolve().parent / "results" / "runs"
RECORDS = RESULTS / "records"
SETS = (
    "MUTAG",
    "PTC_MR",
    "ENZYMES",
    "IMDB-BINARY",
    "PROTEINS",
    "IMDB-MULTI",
    "DD",
    "REDDIT-BINARY",
)
LARGE = ("DD", "REDDIT-BINARY")  # three seeds instead of five
SETTINGS = ("--epochs", "20", "--scale", "linear")  # the defaults when the records before were made
NODES_PER_GRAPH = 16
SAMPLED = f"{NODES_PER_GRAPH} nodes a graph"
BEFORE, NOW, TIMES = "before", "now", "times"
FLAGS = {NOW: (), TIMES: (), SAMPLED: ("--nodes-per-graph", str(NODES_PER_GRAPH))}


class Cell(NamedTuple):
    """One run."""

    dataset: str
    method: str
    seed: int

    def run(self, cores: int) -> str | None:
        """Run the cell on so many cores and write its record; returns the error, if any."""
        with tempfile.TemporaryDirectory() as folder:
            command = [
                sys.executable,
                "-m",
                "graphcl_hard.run",
                "--dataset",
                self.dataset,
                *SETTINGS,
            ]
            command += [
                *FLAGS[self.method],
                "--seed",
                str(self.seed),
                "--out",
                folder,
                "--quiet",
                "--overwrite",
            ]
            environment = {
                **os.environ,
                "OMP_NUM_THREADS": str(cores),
                "LOKY_MAX_CPU_COUNT": str(cores),
            }
            done = subprocess.run(
                command, capture_output=True, text=True, env=environment, check=False
            )
            if done.returncode:
                return (
                    done.stderr.strip().splitlines()[-1]
                    if done.stderr.strip()
                    else f"exit status {done.returncode}"
                )
            write_record(RECORDS, record_of_run(Path(folder), self._asdict()))
        return None


@dataclass(frozen=True)
class Arguments:
    """Times and scores of whole runs.

    Attributes:
        datasets: The data sets to run.
        jobs: Runs at a time; the cores are shared out among them.
        times: Measure the times instead; nothing else should run on the machine.
        table_only: Run nothing, write the tables from the records that are there.
    """

    datasets: tuple[str, ...] = SETS
    jobs: int = 2
    times: bool = False
    table_only: bool = False


def cells_of(dataset: str) -> list[Cell]:
    """Return the runs of a data set for the scores: five seeds, or three on the two large ones."""
    methods = (NOW, SAMPLED) if dataset in LARGE else (NOW,)
    return [
        Cell(dataset, method, seed)
        for method in methods
        for seed in range(3 if dataset in LARGE else 5)
    ]


def run_missing(cells: Iterable[Cell], jobs: int) -> int:
    """Run the cells that have no record yet; returns the number of failures."""
    present = {key(record) for record in read_records(RECORDS)}
    missing = [cell for cell in cells if cell not in present]
    cores = max(1, len(os.sched_getaffinity(0)) // jobs)
    failures = 0
    with Progress() as progress, ThreadPoolExecutor(jobs) as pool:
        task = progress.add_task("runs", total=len(missing))
        futures = {pool.submit(cell.run, cores): cell for cell in missing}
        for future in as_completed(futures):
            error = future.result()
            progress.advance(task)
            if error:
                failures += 1
                progress.console.print(
                    f"{' '.join(map(str, futures[future]))}: {error}", markup=False
                )
    pack_records(RECORDS)
    return failures


def accuracy(record: Record) -> np.ndarray:
    """Return the (repeats, folds) accuracies of the trained encoder."""
    return np.divide(
        record["scores"]["svm"][str(record["last_epoch"])]["correct"], record["test_sizes"]
    )


def mean_and_spread(scores: Sequence[np.ndarray]) -> str:
    """Return the mean accuracy in per cent, with the standard deviation over seeds where there are several."""
    means = [100 * values.mean() for values in scores]
    return f"{statistics.fmean(means):.1f}" + (
        f" ± {statistics.stdev(means):.1f}" if len(means) > 1 else ""
    )


def difference(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> str:
    """Return the mean difference in points with its 95% interval: over seeds, or over folds (corrected) of one seed."""
    if len(first) == 1:
        pair = paired_difference(first[0], second[0], 1 / (first[0].shape[1] - 1))
        mean, low, high = pair.difference, pair.low, pair.high
    else:
        gaps = [a.mean() - b.mean() for a, b in zip(first, second, strict=True)]
        mean, (low, high) = statistics.fmean(gaps), t_interval(gaps)
    return f"{100 * mean:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


def score_row(dataset: str, records: dict[Key, Record]) -> dict[str, Any] | None:
    """Return a data set's row of the scores; None where a record is missing."""
    cells = cells_of(dataset)
    if not records.keys() >= set(cells):
        return None
    scores: dict[str, list[np.ndarray]] = {BEFORE: [], NOW: [], SAMPLED: []}
    for (name, method, _), record in sorted(records.items()):
        if name == dataset and method in scores:
            scores[method].append(accuracy(record))
    old, now, sampled = scores.values()
    return {
        "data set": dataset,
        "seeds": f"{len(old)}, {len(now)}",
        BEFORE: mean_and_spread(old),
        NOW: mean_and_spread(now),
        f"{NOW} - {BEFORE}": difference(now[: len(old)], old),
        SAMPLED: mean_and_spread(sampled) if sampled else "",
        f"{SAMPLED} - {NOW}": difference(sampled, now) if sampled else "",
    }


def time_row(record: Record) -> dict[str, Any]:
    """Return the times of a run, and what it ran on."""
    data, seconds = record["data"], record["seconds"]
    return {
        "data set": data["name"],
        "graphs": data["graphs"],
        "nodes": data["nodes"],
        "epoch, s": f"{seconds['epoch_median']:.2f}",
        "20 epochs, s": f"{seconds['training']:.1f}",
        "evaluation, s": f"{seconds['evaluation']:.1f}",
        "pictures, s": f"{seconds['pictures']:.1f}",
        "in all, s": f"{seconds['total']:.1f}",
        "threads": record["threads"],
    }


def write_tables() -> None:
    """Write the tables of the scores and of the times, for the data sets whose records are there."""
    records = {key(record): record for record in read_records(RECORDS)}
    rows = [score_row(dataset, records) for dataset in SETS]
    timed = [records.get(Cell(dataset, TIMES, 0)) for dataset in SETS]
    tables = {
        "scores": [row for row in rows if row],
        TIMES: [time_row(record) for record in timed if record],
    }
    for name, found in tables.items():
        if found:
            print(write_table(RESULTS, name, found))


def main() -> int:
    """Run the command; returns the exit status: 0, or 1 where a run failed."""
    arguments = tyro.cli(Arguments, description=__doc__)
    failures = 0
    if arguments.times:
        failures = run_missing([Cell(dataset, TIMES, 0) for dataset in arguments.datasets], jobs=1)
    elif not arguments.table_only:
        # The longest first, so that the jobs end together.
        cells = [
            cell
            for dataset in reversed(SETS)
            if dataset in arguments.datasets
            for cell in cells_of(dataset)
        ]
        failures = run_missing(cells, arguments.jobs)
    write_tables()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
