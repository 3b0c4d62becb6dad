"""The README's table: untrained, uniform, hard and released on the eight TU sets, with default settings.

    python experiments/main_table.py                  run what is missing, then write the table
    python experiments/main_table.py --datasets MUTAG PTC_MR --jobs 1
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

from graphcl_hard.statistics import paired_difference, t_interval

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RUNS = HERE / "runs" / "main_table"
RESULTS = HERE / "results" / "main_table"
RECORDS = RESULTS / "records"
SETS = ("MUTAG", "PTC_MR", "ENZYMES", "IMDB-BINARY", "PROTEINS", "IMDB-MULTI", "DD", "REDDIT-BINARY")
LARGE = ("DD", "REDDIT-BINARY")  # one seed instead of five
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

    @property
    def name(self) -> str:
        """The name of the cell's folder and record."""
        return f"{self.dataset}-{self.method}-seed{self.seed}"

    def run(self, cores: int) -> str | None:
        """Run the cell on so many cores and keep its record; returns the error, if any."""
        folder = RUNS / self.name
        command = [sys.executable, "-m", "graphcl_hard.run", "--dataset", self.dataset, *METHODS[self.method]]
        command += ["--seed", str(self.seed), "--out", str(folder.relative_to(ROOT)), "--quiet", "--overwrite"]
        environment = {**os.environ, "OMP_NUM_THREADS": str(cores), "LOKY_MAX_CPU_COUNT": str(cores)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, cwd=ROOT)
        if done.returncode:
            return done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit status {done.returncode}"
        partial = RECORDS / f".{self.name}.json"
        shutil.copyfile(folder / "result.json", partial)
        partial.replace(RECORDS / f"{self.name}.json")
        return None


@dataclass(frozen=True)
class Arguments:
    """The README's table of the eight TU sets, with default settings.

    Attributes:
        datasets: The sets to run.
        jobs: Runs at a time; the cores are shared out among them.
        table_only: Run nothing, write the table from the records that are there.
    """

    datasets: tuple[str, ...] = SETS
    jobs: int = 2
    table_only: bool = False


def seeds_of(dataset: str) -> range:
    """Five seeds, or one on the two large sets."""
    return range(1 if dataset in LARGE else 5)


def run_missing(datasets: tuple[str, ...], jobs: int) -> int:
    """Run the cells that have no record yet; returns the number of failures."""
    RECORDS.mkdir(parents=True, exist_ok=True)
    cells = [Cell(dataset, method, seed) for dataset in datasets for seed in seeds_of(dataset) for method in METHODS]
    missing = [cell for cell in cells if not (RECORDS / f"{cell.name}.json").exists()]
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
    paths = (RECORDS / f"{Cell(dataset, method, seed).name}.json" for seed in seeds_of(dataset))
    return [json.loads(path.read_text()) for path in paths if path.exists()]


def fold_scores(record: dict, key: str) -> np.ndarray:
    """(repeats, folds) accuracies of "untrained" or "trained"."""
    return np.array(record["scores"]["svm"][key]["accuracy"])


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
            }
        )
        seconds = [run["seconds"] for runs in found.values() for run in runs]
        times.append(
            {
                "data set": dataset,
                "graphs": found["hard"][0]["dataset"]["graphs"],
                "nodes": found["hard"][0]["dataset"]["nodes"],
                "epoch, s": f"{statistics.median(s['epoch_median'] for s in seconds):.2f}",
                "evaluation, s": f"{statistics.median(s['evaluation'] for s in seconds):.1f}",
                "whole run, s": f"{statistics.median(s['total'] for s in seconds):.1f}",
            }
        )
    for name, lines in (("table", rows), ("times", times)):
        (RESULTS / f"{name}.md").write_text(markdown(lines))
        with (RESULTS / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(lines[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(lines)
        print(markdown(lines))


def markdown(rows: list[dict]) -> str:
    """Rows as a Markdown table."""
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    return "\n".join(lines + ["| " + " | ".join(str(value) for value in row.values()) + " |" for row in rows]) + "\n"


def main() -> int:
    """Run the command; returns the exit status: 0, or 1 where a run failed."""
    arguments = tyro.cli(Arguments, description=__doc__)
    failures = 0 if arguments.table_only else run_missing(arguments.datasets, arguments.jobs)
    if any(RECORDS.glob("*.json")):
        write_table()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
