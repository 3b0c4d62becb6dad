"""Times of a run, and an early table: untrained, uniform, hard and released on the eight TU sets, 20 epochs.

    python experiments/main_table.py                  run what is missing, then write the table
    python experiments/main_table.py --datasets MUTAG PTC_MR --jobs 1
    python experiments/main_table.py --times          one run a set, alone on all cores, for the times
    python experiments/main_table.py --table-only     the table again from the committed records

Every cell is one run of `python -m graphcl_hard.run`, in a folder under experiments/runs/. A finished cell's
result.json is copied to experiments/results/main_table/records/ and never computed again.
"""

import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from rich.progress import Progress

from graphcl_hard.evaluation.statistics import paired_difference, t_interval
from graphcl_hard.io.atomic_write import atomic_write

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RUNS = HERE / "runs" / "main_table"
RESULTS = HERE / "results" / "main_table"
RECORDS, TIMES = RESULTS / "records", RESULTS / "times"
SETS = ("MUTAG", "PTC_MR", "ENZYMES", "IMDB-BINARY", "PROTEINS", "IMDB-MULTI", "DD", "REDDIT-BINARY")
LARGE = ("DD", "REDDIT-BINARY")  # one seed instead of five
AS_THEN = ["--epochs", "20", "--scale", "linear"]  # the defaults of the time
METHODS = {
    "uniform": ["--beta", "0", "--tau-plus", "0"],
    "hard": [],
    "released": ["--mode", "released"],
}


@dataclass(frozen=True)
class Cell:
    """One run: a data set, a method and a seed."""

    dataset: str
    method: str
    seed: int
    alone: bool = False

    @property
    def name(self) -> str:
        """The name of the cell's folder."""
        return f"{self.dataset}-{self.method}-seed{self.seed}" + ("-alone" if self.alone else "")

    @property
    def record(self) -> Path:
        """Where the cell's result is kept."""
        return (TIMES if self.alone else RECORDS) / f"{self.name}.json"

    @property
    def flags(self) -> list[str]:
        """What makes the method."""
        return METHODS[self.method]

    def run(self, cores: int) -> str | None:
        """Run the cell on so many cores and keep its record; returns the error, if any."""
        folder = RUNS / self.name
        command = [sys.executable, "-m", "graphcl_hard.run", "--dataset", self.dataset, *AS_THEN, *self.flags]
        command += ["--seed", str(self.seed), "--out", str(folder.relative_to(ROOT)), "--quiet", "--overwrite"]
        environment = {**os.environ, "OMP_NUM_THREADS": str(cores), "LOKY_MAX_CPU_COUNT": str(cores)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, cwd=ROOT)
        if done.returncode:
            return done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit status {done.returncode}"
        self.record.parent.mkdir(parents=True, exist_ok=True)
        # The result comes last: it is what says that the cell is done.
        for name, kept in (("metrics.csv", self.record.with_suffix(".csv")), ("result.json", self.record)):
            with atomic_write(kept) as partial:
                shutil.copyfile(folder / name, partial)
        return None


@dataclass(frozen=True)
class Arguments:
    """The README's table of the eight TU sets, with default settings.

    Attributes:
        datasets: The sets to run.
        jobs: Runs at a time; the cores are shared out among them.
        times: Measure the times instead; nothing else should run on the machine.
        table_only: Run nothing, write the table from the records that are there.
    """

    datasets: tuple[str, ...] = SETS
    jobs: int = 2
    times: bool = False
    table_only: bool = False


def seeds_of(dataset: str) -> range:
    """Five seeds, or one on the two large sets."""
    return range(1 if dataset in LARGE else 5)


def run_missing(cells: list[Cell], jobs: int) -> int:
    """Run the cells that have no record yet; returns the number of failures."""
    missing = [cell for cell in cells if not cell.record.exists()]
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
                progress.console.print(f"{futures[future].name}: {error}", markup=False)
    return failures


def records(dataset: str, method: str) -> list[dict]:
    """The records of a set and method, by seed."""
    paths = (Cell(dataset, method, seed).record for seed in seeds_of(dataset))
    return [json.loads(path.read_text()) for path in paths if path.exists()]


def fold_scores(record: dict, key: str) -> np.ndarray:
    """(repeats, folds) accuracies of "untrained" or "trained"."""
    return np.array(record["scores"]["svm"][key]["accuracy"])


def effective_negatives(dataset: str) -> str:
    """The hard runs' effective negatives in the first and last epoch, in per cent of all, medians over seeds."""
    shares = []
    for seed in seeds_of(dataset):
        with Cell(dataset, "hard", seed).record.with_suffix(".csv").open() as file:
            rows = list(csv.DictReader(file))
        shares.append([100 * float(rows[epoch]["effective_negatives"]) for epoch in (0, -1)])
    first, last = (statistics.median(column) for column in zip(*shares, strict=True))
    return f"{first:.0f} to {last:.0f}"


def mean_and_spread(scores: list[np.ndarray]) -> str:
    """Mean accuracy in per cent, and the deviation over seeds where there are several."""
    means = [100 * values.mean() for values in scores]
    return f"{statistics.fmean(means):.1f}" + (f" ± {statistics.stdev(means):.1f}" if len(means) > 1 else "")


def difference(first: list[np.ndarray], second: list[np.ndarray]) -> str:
    """Mean difference in points with its 95% interval: over seeds, or over folds (corrected) with one seed."""
    if len(first) == 1:
        pair = paired_difference(first[0], second[0], 1 / (first[0].shape[1] - 1))
        mean, low, high = pair.difference, pair.low, pair.high
    else:
        gaps = [a.mean() - b.mean() for a, b in zip(first, second, strict=True)]
        mean, (low, high) = statistics.fmean(gaps), t_interval(gaps)
    return f"{100 * mean:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


def write_table() -> None:
    """Write table.md and table.csv, accuracies and times, from the records."""
    rows, times = [], []
    for dataset in SETS:
        found = {method: records(dataset, method) for method in METHODS}
        if not all(len(runs) == len(seeds_of(dataset)) for runs in found.values()):
            continue
        trained = {method: [fold_scores(run, "trained") for run in runs] for method, runs in found.items()}
        untrained = [fold_scores(run, "untrained") for run in found["hard"]]
        # The three methods start from the same weights, so their untrained rows must be the same number for number.
        for runs in found.values():
            assert all((fold_scores(run, "untrained") == u).all() for run, u in zip(runs, untrained, strict=True))
        rows.append(
            {
                "data set": dataset,
                "seeds": len(untrained),
                "untrained": mean_and_spread(untrained),
                **{method: mean_and_spread(scores) for method, scores in trained.items()},
                "hard - untrained": difference(trained["hard"], untrained),
                "hard - uniform": difference(trained["hard"], trained["uniform"]),
                "hard - released": difference(trained["hard"], trained["released"]),
                "effective negatives %": effective_negatives(dataset),
            }
        )
    for dataset in SETS:
        record = Cell(dataset, "hard", 0, alone=True).record
        if record.exists():
            times.append(time_row(json.loads(record.read_text())))
    for name, lines in (("table", rows), ("times", times)):
        if not lines:
            continue
        (RESULTS / f"{name}.md").write_text(markdown(lines))
        with (RESULTS / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(lines[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(lines)
        print(markdown(lines))


def time_row(record: dict) -> dict:
    """The times of a run, and what it ran on."""
    data, seconds = record["dataset"], record["seconds"]
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


def markdown(rows: list[dict]) -> str:
    """Rows as a Markdown table."""
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    return "\n".join(lines + ["| " + " | ".join(str(value) for value in row.values()) + " |" for row in rows]) + "\n"


def main() -> int:
    """Run the command; returns the exit status: 0, or 1 where a run failed."""
    arguments = tyro.cli(Arguments, description=__doc__)
    failures = 0
    if arguments.times:
        failures = run_missing([Cell(dataset, "hard", 0, alone=True) for dataset in arguments.datasets], jobs=1)
    elif not arguments.table_only:
        cells = [Cell(d, method, seed) for d in arguments.datasets for seed in seeds_of(d) for method in METHODS]
        failures = run_missing(cells, arguments.jobs)
    write_table()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
