"""Soak test: one process works for an hour while its memory, files, threads and child processes are counted.

- sweep: cells, one after the other in this process as in a worker of `graphcl_hard.sweep`, each round in a new
  folder; every tenth round goes through the sweep's engine, which starts a process and ends it.
- estimator: `HardInfoGraph` fits, transforms, is saved and loaded, on new graphs of other sizes each round.

The slope of the resident memory is that of a least-squares line over all rounds after the warm-up. Its 95% interval is
that of independent rounds, and so too narrow. Memory is flat where the line rises, within an hour, by no more than
`FLAT` of the resident memory after the warm-up.

Examples:
  python -m benchmarks.soak --kind sweep
  python -m benchmarks.soak --kind estimator --minutes 5 --out /tmp/soak
"""

import gc
import json
import shlex
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal, NamedTuple

import networkx as nx
import numpy as np
import psutil
import tyro
from rich.progress import Progress
from scipy import stats

from graphcl_hard import HardInfoGraph
from graphcl_hard.io.atomic_write import atomic_write
from graphcl_hard.io.paths import expand_paths
from graphcl_hard.runs.environment import environment
from graphcl_hard.sweeps import engine, worker
from graphcl_hard.sweeps.cell import Cell
from graphcl_hard.training.allocator import keep_freed_memory

OUT = Path(__file__).resolve().parent / "results" / "soak"
MIB = 2**20
FLAT = 0.02
WARM_UP = 0.15  # of the time, or of the rounds
MOST_ROUNDS = 200_000
WRITE_SECONDS = 60
Kind = Literal["sweep", "estimator"]
SMALL = {
    "epochs": 2,
    "folds": 2,
    "repeats": 1,
    "hidden_channels": 8,
    "num_layers": 2,
    "checkpoint_seconds": 0,
}
METHODS: dict[str, dict[str, Any]] = {
    "untrained": {"epochs": 0},
    "uniform": {"beta": 0, "tau_plus": 0, "pictures": False, "logger": "csv"},
    "hard": {"beta": 10, "score_epochs": [1, 2]},
    "graphcl": {"method": "graphcl", "views": ["random", "subgraph"], "pictures": False},
}


@dataclass(frozen=True)
class Arguments:
    """The kind of work, and its duration.

    Attributes:
        kind: Kind of work.
        minutes: Duration.
        rounds: Number of rounds, in place of the minutes.
        datasets: Data sets of the sweep.
        out: Folder of the record, KIND.json; it is written each minute.
    """

    kind: Kind
    minutes: float = 60
    rounds: int | None = None
    datasets: tuple[str, ...] = ("MUTAG", "PTC_MR")
    out: Path = OUT


class Sample(NamedTuple):
    """Resources of the process after a round."""

    seconds: float
    resident_mib: float
    files: int
    threads: int
    children: int


def sample(process: psutil.Process, start: float) -> Sample:
    """Return the current resources of the process."""
    children = len(process.children(recursive=True))
    resident = process.memory_info().rss / MIB
    return Sample(
        time.monotonic() - start, resident, process.num_fds(), process.num_threads(), children
    )


def sweep_round(number: int, datasets: Sequence[str]) -> None:
    """Run every method on every data set, in a new folder."""
    cells = [
        Cell(dataset, method, method, settings, number, {**SMALL, **settings})
        for dataset in datasets
        for method, settings in METHODS.items()
    ]
    with tempfile.TemporaryDirectory() as folder:
        if number % 10:
            records = [worker.run_cell(cell, Path(folder), 1) for cell in cells]
        else:
            records = [
                record for _, record in engine.run_local(cells[:2], Path(folder), 1, lambda _: None)
            ]
    errors = [record["error"] for record in records if record["error"]]
    if errors:
        raise SystemExit(errors[0])


def estimator_round(number: int, _: Sequence[str]) -> None:
    """Fit, transform, save and load, on 2 to 80 new graphs of 1 to 60 nodes."""
    chance = np.random.default_rng(number)
    graphs = [
        nx.gnm_random_graph(
            nodes, int(chance.integers(2 * nodes)), seed=int(chance.integers(2**31))
        )
        for nodes in chance.integers(1, 61, int(chance.integers(2, 81))).tolist()
    ]
    method = "graphcl" if number % 3 == 0 else "infograph"
    model = HardInfoGraph(
        method=method, epochs=2, batch_size=16, hidden_channels=8, num_layers=2, random_state=number
    )
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few graphs are few negatives
        vectors = model.fit_transform(graphs)
        model.save(Path(folder) / "model.safetensors")
        loaded = HardInfoGraph.load(Path(folder) / "model.safetensors")
        if not np.array_equal(loaded.transform(graphs), vectors):
            raise SystemExit(f"Round {number}: the loaded estimator gives other vectors.")
        loaded.partial_fit(graphs)


ROUNDS: dict[Kind, Callable[[int, Sequence[str]], None]] = {
    "sweep": sweep_round,
    "estimator": estimator_round,
}


def blocks() -> int:
    """Return the number of memory blocks that Python holds, without garbage."""
    gc.collect()
    return sys.getallocatedblocks()


def soak(arguments: Arguments) -> dict[str, Any]:
    """Run the rounds, write the record, and return it."""
    keep_freed_memory()  # as the command does
    process, start, written = psutil.Process(), time.monotonic(), 0.0
    held = np.ones((MOST_ROUNDS, len(Sample._fields)))  # all of it resident from the first round on
    warm, blocks_before, record = 0, 0, {}
    with Progress() as progress:
        task = progress.add_task(arguments.kind, total=1.0)
        for number in range(MOST_ROUNDS):
            ROUNDS[arguments.kind](number, arguments.datasets)
            held[number] = sample(process, start)
            done = held[number, 0] / (60 * arguments.minutes)
            if arguments.rounds is not None:
                done = (number + 1) / arguments.rounds
            progress.update(task, completed=done)
            if not warm and done >= WARM_UP:
                warm, blocks_before = number + 1, blocks()
            if (
                warm
                and number > warm + 2
                and (done >= 1 or held[number, 0] - written >= WRITE_SECONDS)
            ):
                written = held[number, 0]
                record = describe(arguments, held[: number + 1], warm, blocks_before)
                arguments.out.mkdir(parents=True, exist_ok=True)
                with atomic_write(arguments.out / f"{arguments.kind}.json") as partial:
                    partial.write_text(json.dumps(record, indent=1) + "\n")
            if done >= 1:
                break
    return record


def describe(
    arguments: Arguments, held: np.ndarray, warm: int, blocks_before: int
) -> dict[str, Any]:
    """Return the record: the line's slope, resources before and after, and a row per minute."""
    after, resident = held[warm:], held[warm:, 1]
    hourly = slope(after[:, 0] / 3600, resident)
    rows = np.unique(np.searchsorted(held[:, 0], np.arange(0, held[-1, 0], 60)))
    return {
        "command": shlex.join(["python", "-m", "benchmarks.soak", *sys.argv[1:]]),
        "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "rounds": len(held),
        "warm_up_rounds": warm,
        "minutes": held[-1, 0] / 60,
        "mib_per_hour": hourly,
        "mib_per_round": slope(np.arange(len(after)), resident),
        "flat": bool(hourly["slope"] <= FLAT * resident[0]),
        "before": dict(zip(Sample._fields, held[warm].tolist(), strict=True))
        | {"blocks": blocks_before},
        "after": dict(zip(Sample._fields, held[-1].tolist(), strict=True)) | {"blocks": blocks()},
        "most": dict(zip(Sample._fields, after.max(0).tolist(), strict=True)),
        "environment": environment(),
        "fields": Sample._fields,
        "samples": [[round(value, 2) for value in row] for row in held[rows].tolist()],
    }


def slope(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Return the slope of the least-squares line, with the 95% interval of independent errors."""
    line = stats.linregress(x, y)
    half = stats.t.ppf(0.975, len(x) - 2) * line.stderr
    return {"slope": line.slope, "low": line.slope - half, "high": line.slope + half}


def main() -> int:
    """Run the command; returns the exit status: 0, or 1 where memory is not flat or something is left open."""
    record = soak(expand_paths(tyro.cli(Arguments, description=__doc__)))
    hourly, before, after = record["mib_per_hour"], record["before"], record["after"]
    print(
        f"{record['rounds']} rounds, {record['minutes']:.1f} minutes: {before['resident_mib']:.0f} MiB, then "
        f"{after['resident_mib']:.0f} MiB; {hourly['slope']:.2f} MiB an hour (95%: {hourly['low']:.2f} to "
        f"{hourly['high']:.2f}), {1024 * record['mib_per_round']['slope']:.2f} KiB a round"
    )
    left = [
        f"{name} {before[name]:.0f} -> {after[name]:.0f}"
        for name in ("files", "threads", "children", "blocks")
    ]
    print("; ".join(left))
    return int(
        not record["flat"] or any(after[name] > before[name] for name in ("files", "children"))
    )


if __name__ == "__main__":
    sys.exit(main())
