"""Whether the fast step changes the scores: the eight sets before it and with it, and with sampled nodes.

    python experiments/speed_scores.py                run what is missing, then write the table
    python experiments/speed_scores.py --table-only   the table again from the committed records

*before* are records of the main table's method "hard", made by the step that kept dense scores (its commit is in each
record). *now* are the same runs with the code as it is, and differences are over the seeds that both have: with 95%
intervals over seeds, or, on DD and REDDIT-BINARY with one seed before, over folds. On these two, whose graphs have many
nodes, there are runs with `--nodes-per-graph` too. Every cell is one run of `python -m graphcl_hard.run`; its
result.json is kept under experiments/results/speed/scores/.
"""

import csv
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import main_table
import numpy as np
import tyro
from main_table import LARGE, SETS, Cell, difference, fold_scores, markdown, mean_and_spread

RESULTS = main_table.HERE / "results" / "speed"
NODES_PER_GRAPH = 16
SAMPLED = f"{NODES_PER_GRAPH} nodes a graph"


class NewCell(Cell):
    """A run with the code as it is; the method is "now" or SAMPLED."""

    @property
    def name(self) -> str:
        """The name of the cell's folder."""
        return f"{self.dataset}-{self.method.replace(' ', '-')}-seed{self.seed}"

    @property
    def record(self) -> Path:
        """Where the cell's result is kept."""
        return RESULTS / "scores" / f"{self.name}.json"

    @property
    def flags(self) -> list[str]:
        """What makes the method."""
        return ["--nodes-per-graph", str(NODES_PER_GRAPH)] if self.method == SAMPLED else []


@dataclass(frozen=True)
class Arguments:
    """The scores before and with the fast step.

    Attributes:
        datasets: The sets to run.
        jobs: Runs at a time; the cores are shared out among them.
        table_only: Run nothing, write the table from the records that are there.
    """

    datasets: tuple[str, ...] = SETS
    jobs: int = 2
    table_only: bool = False


def seeds_of(dataset: str) -> range:
    """Five seeds, or three on the two large sets."""
    return range(3 if dataset in LARGE else 5)


def cells_of(dataset: str) -> list[NewCell]:
    """The runs of a set."""
    methods = ["now", *([SAMPLED] if dataset in LARGE else [])]
    return [NewCell(dataset, method, seed) for method in methods for seed in seeds_of(dataset)]


def scores(cells: list[Cell]) -> list[np.ndarray]:
    """(repeats, folds) accuracies of the trained encoder, a cell each."""
    return [fold_scores(json.loads(cell.record.read_text()), "trained") for cell in cells]


def write_table() -> None:
    """Write scores.md and scores.csv for the sets all of whose records are there."""
    rows = []
    for dataset in SETS:
        before = [Cell(dataset, "hard", seed) for seed in main_table.seeds_of(dataset)]
        cells = cells_of(dataset)
        if not all(cell.record.exists() for cell in [*before, *cells]):
            continue
        old, now = scores(before), scores([cell for cell in cells if cell.method == "now"])
        row = {
            "data set": dataset,
            "seeds": f"{len(old)}, {len(now)}",
            "before": mean_and_spread(old),
            "now": mean_and_spread(now),
        }
        row |= {"now - before": difference(now[: len(old)], old), SAMPLED: "", f"{SAMPLED} - now": ""}
        sampled = scores([cell for cell in cells if cell.method == SAMPLED])
        if sampled:
            row |= {SAMPLED: mean_and_spread(sampled), f"{SAMPLED} - now": difference(sampled, now)}
        rows.append(row)
    if not rows:
        return
    (RESULTS / "scores.md").write_text(markdown(rows))
    with (RESULTS / "scores.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(markdown(rows))


def main() -> int:
    """Run the command; returns the exit status: 0, or 1 where a run failed."""
    arguments = tyro.cli(Arguments, description=__doc__)
    failures = 0
    if not arguments.table_only:
        # The longest first, so that the jobs end together.
        cells = [cell for dataset in reversed(SETS) if dataset in arguments.datasets for cell in cells_of(dataset)]
        failures = main_table.run_missing(cells, arguments.jobs)
    write_table()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
