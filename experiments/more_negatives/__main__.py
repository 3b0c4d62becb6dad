"""Effect of a negative queue and of larger batches on the effective negatives and the scores.

    python -m experiments.more_negatives               run what is missing, then write the table
    python -m experiments.more_negatives --table-only  the table again from the committed records

A cell of the scores is one run of `python -m graphcl_hard.run`, 10 folds once, at the defaults except for the settings
in its name. A queue that holds all graphs outside of a batch is run once; larger ones would do the same. *whole* is a
batch of the whole data set with the epochs of the others, and so fewer steps; *whole, steps* has as many steps as the
others. In the table, SVM is the mean and the standard deviation over seeds, and the difference is seed by seed with a
95% interval. The committed records of batches above 128 have a flag in their command, --gradient-cache, which was
removed: it changed only memory, time and rounding.
"""

import csv
import json
import math
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from scipy import stats

from graphcl_hard.run import main as run
from graphcl_hard.sweeps.records import Key, Record, key, pack_records, read_records, write_record
from graphcl_hard.sweeps.table_files import write_table

RESULTS = Path(__file__).resolve().parent / "results"
RECORDS = RESULTS / "records"
GRAPHS = {"MUTAG": 188, "PTC_MR": 344, "ENZYMES": 600, "IMDB-BINARY": 1000}
METHODS = {"infograph": [], "graphcl": ["--method", "graphcl", "--beta", "1"]}
QUEUES, BATCH, EPOCHS, SEEDS = (0, 128, 512, 2048), 128, 5, range(3)


@dataclass(frozen=True)
class Arguments:
    """Negatives and scores.

    Attributes:
        methods: The methods to run.
        table_only: Run nothing, write the table from the records that are there.
    """

    methods: tuple[str, ...] = tuple(METHODS)
    table_only: bool = False


class Cell:
    """One run of the scores: a data set, a method, a seed, and the source of its negatives."""

    def __init__(
        self,
        dataset: str,
        method: str,
        seed: int,
        queue: int = 0,
        batch: int = BATCH,
        steps: bool = False,
    ):
        self.dataset, self.method, self.seed, self.queue = dataset, method, seed, queue
        graphs = GRAPHS[dataset]
        self.batch = min(batch, graphs)
        self.epochs = EPOCHS * math.ceil(graphs / BATCH) if steps else EPOCHS
        whole = "whole, steps" if steps else "whole"
        self.source = (
            f"queue {queue}" if queue else whole if self.batch == graphs else f"batch {batch}"
        )
        self.key: Key = (
            dataset,
            f"{method}-{self.source}".replace(", ", "-").replace(" ", "-"),
            seed,
        )
        others = (self.batch - 1) * (2 if method == "graphcl" else 1)
        self.negatives = others + min(
            queue, (graphs - self.batch) * (2 if method == "graphcl" else 1)
        )
        """Of an anchor in a full batch, once the queue is full."""

    def run(self) -> None:
        """Run it and write its record."""
        words = [
            "--dataset",
            self.dataset,
            "--seed",
            str(self.seed),
            "--epochs",
            str(self.epochs),
            "--repeats",
            "1",
        ]
        words += [
            "--batch-size",
            str(self.batch),
            "--negative-queue",
            str(self.queue),
            *METHODS[self.method],
        ]
        words += ["--score-epochs", str(self.epochs)]  # the trained encoder's only
        with tempfile.TemporaryDirectory() as folder:
            if run([*words, "--no-pictures", "--quiet", "--out", folder, "--overwrite"]):
                raise SystemExit(f"{' '.join(map(str, self.key))} failed")
            result = json.loads((Path(folder) / "result.json").read_text())
            rows = list(csv.DictReader((Path(folder) / "metrics.csv").read_text().splitlines()))
        share = float(rows[-1]["effective_negatives"])
        accuracy = result["scores"]["svm"]["trained"]["summary"]["accuracy"]["mean"]
        record = {
            **dict(zip(("dataset", "method", "seed"), self.key, strict=True)),
            "command": ["python", "-m", "graphcl_hard.run", *words],
            "source": self.source,
            "negatives": self.negatives,
            "effective_share": share,
            "effective_negatives": share * self.negatives,
            "accuracy": accuracy,
            "seconds": result["seconds"],
            "date": datetime.now(timezone.utc).date().isoformat(),
            **{name: result[name] for name in ("versions", "git_commit", "threads")},
        }
        write_record(RECORDS, record)


def cells_of(dataset: str, method: str) -> Iterator[Cell]:
    """Yield the runs of a data set by a method."""
    graphs = GRAPHS[dataset]
    outside = (graphs - BATCH) * (2 if method == "graphcl" else 1)
    for seed in SEEDS:
        for number, queue in enumerate(QUEUES):
            if number == 0 or QUEUES[number - 1] < outside:
                yield Cell(dataset, method, seed, queue)
        if graphs > 512:
            yield Cell(dataset, method, seed, batch=512)
        yield Cell(dataset, method, seed, batch=graphs)
        yield Cell(dataset, method, seed, batch=graphs, steps=True)


def score_rows(records: Mapping[Key, Record]) -> Iterator[dict[str, Any]]:
    """Yield a row for each source of negatives all of whose seeds have a record."""
    for method in METHODS:
        for dataset in GRAPHS:
            by_source: dict[str, list[Cell]] = {}
            for cell in cells_of(dataset, method):
                by_source.setdefault(cell.source, []).append(cell)
            for source, cells in by_source.items():
                plain = by_source["batch 128"]
                if not records.keys() >= {cell.key for cell in (*cells, *plain)}:
                    continue
                found = [records[cell.key] for cell in cells]
                before = [records[cell.key] for cell in plain]
                accuracy = np.array([100 * one["accuracy"] for one in found])
                change = accuracy - [100 * one["accuracy"] for one in before]
                half = stats.t.ppf(0.975, len(change) - 1) * change.std(ddof=1) / len(change) ** 0.5
                yield {
                    "method": method,
                    "data set": dataset,
                    "negatives from": source,
                    "negatives": cells[0].negatives,
                    "effective": f"{np.mean([one['effective_negatives'] for one in found]):.1f}",
                    "SVM, %": f"{accuracy.mean():.1f} ± {accuracy.std(ddof=1):.1f}",
                    "minus batch 128": ""
                    if source == "batch 128"
                    else f"{change.mean():+.1f} ± {half:.1f}",
                }


def main() -> int:
    """Run the command; returns the exit status."""
    arguments = tyro.cli(Arguments, description=__doc__)
    if not arguments.table_only:
        present = {key(record) for record in read_records(RECORDS)}
        for method in arguments.methods:
            for dataset in GRAPHS:
                for cell in cells_of(dataset, method):
                    if cell.key not in present:
                        cell.run()
        pack_records(RECORDS)
    if rows := list(score_rows({key(record): record for record in read_records(RECORDS)})):
        print(write_table(RESULTS, "scores", rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
