"""Speed and memory of training and evaluation, against a textbook implementation and a lower bound (floor).

    python -m benchmarks.speed                all sections; tens of minutes, nothing else running
    python -m benchmarks.speed --sections epochs --datasets DD synthetic-2000 --repeats 3
    python -m benchmarks.speed --quick        all sections on tiny input, under a minute
    python -m benchmarks.speed --table-only   tables and picture again from the committed record

epochs: an epoch of (a) InfoGraph written with plain PyTorch Geometric (textbook.py), (b) this package, and (c) the
matrix products only (floor.py); (b) with some nodes of each graph too, where graphs are large; on TU data sets and
synthetic data sets of growing size. Peak memory of (a) and (b), each in a fresh process. neighbours: seven ways to sum
neighbours. memory: peak of the objective at 200,000 nodes x 1,024 graphs. evaluation: cross_validate against
scikit-learn's GridSearchCV. trials: changes on top of (b) (trials.py). views: GraphCL's views of a batch against the
encoder.

Variants that are compared are timed in one process, in turns. Each section writes its own part of speed.json when it
ends, then the tables and the picture are made again; other sections' numbers stay.
"""

import dataclasses
import gc
import json
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from lightning_fabric import Fabric
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from benchmarks.speed import evaluation, memory, neighbours, report, trials, views, workloads
from benchmarks.speed.report import ratio, spread
from benchmarks.speed.workloads import Accelerator, Workload
from graphcl_hard.config import Config
from graphcl_hard.exceptions import InputError
from graphcl_hard.io.paths import expand_paths
from graphcl_hard.runs.environment import environment
from graphcl_hard.sweeps.table_files import write_text
from graphcl_hard.training.allocator import keep_freed_memory
from graphcl_hard.training.devices import training_device

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "speed"
SETS = (
    "MUTAG",
    "PROTEINS",
    "DD",
    "REDDIT-BINARY",
    *(f"synthetic-{size}" for size in (500, 2000, 8000, 32000)),
)
QUICK_SETS = ("synthetic-50", "synthetic-200")
OBJECTIVE_SIZES = {"nodes": 200_000, "graphs": 1024, "channels": 96}
QUICK_OBJECTIVE_SIZES = {"nodes": 4000, "graphs": 64, "channels": 96}
Section = Literal["epochs", "neighbours", "memory", "evaluation", "trials", "views"]
Advance = Callable[[str], object]


@dataclass(frozen=True)
class Arguments:
    """The speed benchmark.

    Attributes:
        sections: Parts of the benchmark.
        datasets: Data sets of the epochs: TU data sets, or synthetic-500 for 500 synthetic graphs. --quick has others.
        repeats: Repeats of each timing; 2 with --quick.
        nodes_per_graph: Nodes of each graph that the package's sampled variant trains on.
        accelerator: Where to train. auto: a GPU where there is one.
        out: Folder to write; the default is benchmarks/results/speed, or runs/speed with --quick.
        quick: Tiny input, to see that everything runs; the numbers mean nothing.
        table_only: Measure nothing, write tables and picture from the record that is there.
    """

    sections: tuple[Section, ...] = (
        "epochs",
        "neighbours",
        "memory",
        "evaluation",
        "trials",
        "views",
    )
    datasets: tuple[str, ...] = SETS
    repeats: int = 5
    nodes_per_graph: int = 16
    accelerator: Accelerator = "auto"
    out: Path | None = None
    quick: bool = False
    table_only: bool = False

    @property
    def folder(self) -> Path:
        """The folder to write."""
        return self.out or (ROOT / "runs" / "speed" if self.quick else RESULTS)

    def check(self) -> None:
        """Raise `InputError` for what cannot be measured."""
        for name, value in (
            ("--repeats", self.repeats),
            ("--nodes-per-graph", self.nodes_per_graph),
        ):
            if value < 1:
                raise InputError(f"{name} must be at least 1, got {value}.")
        if self.table_only and not (self.folder / report.RECORD).is_file():
            raise InputError(
                f"The folder {self.folder} has no {report.RECORD}; run without --table-only first."
            )


def measure_epochs(arguments: Arguments, fabric: Fabric, advance: Advance) -> dict[str, Any]:
    """Return times and peaks of every data set, and the growth of the time with the synthetic data sets."""
    # All are loaded before anything is timed, so that a wrong name is reported at once.
    loaded = {name: workloads.load(name, arguments.accelerator) for name in arguments.datasets}
    sets = [
        measure_set(name, workload, arguments, fabric, advance) for name, workload in loaded.items()
    ]
    result: dict[str, Any] = {"nodes_per_graph": arguments.nodes_per_graph, "sets": sets}
    growing = [one for one in sets if one["synthetic"]]
    if len({one["graphs"] for one in growing}) > 1:
        sizes = [one["graphs"] for one in growing]
        result["fit"] = {
            variant: report.power_law(sizes, [one["summary"][variant]["median"] for one in growing])
            for variant in ("textbook", "package")
        }
    return result


def measure_set(
    name: str, workload: Workload, arguments: Arguments, fabric: Fabric, advance: Advance
) -> dict[str, Any]:
    """Return seconds per epoch of every variant, in turns after an untimed turn, and peaks in fresh processes."""
    names = workloads.variants(workload, arguments.nodes_per_graph)
    runs, preparing = {}, {}
    for variant in names:
        start = time.perf_counter()
        runs[variant] = workloads.prepare(variant, workload, fabric, arguments.nodes_per_graph)
        preparing[variant] = time.perf_counter() - start
    seconds: dict[str, list[float]] = {variant: [] for variant in names}
    for repeat in range(arguments.repeats + 1):
        for variant, run in runs.items():
            advance(f"{name}, {variant}, " + (f"repeat {repeat}" if repeat else "warming up"))
            gc.collect()  # one variant's garbage is not another's work
            found = run()
            if repeat:
                seconds[variant].append(found)
    advance(f"{name}, memory")
    task: dict[str, Any] = {"what": "epoch", "dataset": name, "accelerator": arguments.accelerator}
    task["nodes_per_graph"] = arguments.nodes_per_graph
    measured = [variant for variant in names if variant != "floor"]
    peak: dict[str, Any] = {
        variant: {"skipped": "a quick run starts few processes"} for variant in measured
    }
    if not arguments.quick or name == arguments.datasets[-1]:
        peak = fresh_peaks(measured, task)
    graphs = workload.graphs
    return {
        "name": name,
        "synthetic": name.startswith(workloads.SYNTHETIC),
        "graphs": graphs.num_graphs,
        "nodes": graphs.num_nodes,
        "directed_edges": graphs.num_edges,
        "in_channels": workload.features.channels,
        "one_hot": workload.one_hot,
        "epochs_per_timing": workload.config.epochs,
        "seconds": seconds,
        "prepare_seconds": preparing,
        "peak": peak,
        "summary": summarise_set(seconds, graphs.num_graphs),
    }


def fresh_peaks(variants: Sequence[str], task: dict[str, Any]) -> dict[str, Any]:
    """Return the peak memory of each variant, measured one after the other."""
    return {variant: memory.in_fresh_process({**task, "variant": variant}) for variant in variants}


def summarise_set(seconds: dict[str, list[float]], graphs: int) -> dict[str, Any]:
    """Return medians and ranges of the times and of their ratios, and graphs per second."""
    summary: dict[str, Any] = {variant: spread(times) for variant, times in seconds.items()}
    summary["textbook / package"] = ratio(seconds["textbook"], seconds["package"])
    summary["package / floor"] = ratio(seconds["package"], seconds["floor"])
    if "sampled" in seconds:
        summary["textbook / sampled"] = ratio(seconds["textbook"], seconds["sampled"])
    for variant in ("textbook", "package"):
        summary[f"{variant} graphs/s"] = graphs / summary[variant]["median"]
    return summary


def measure_neighbours(arguments: Arguments, fabric: Fabric, advance: Advance) -> dict[str, Any]:
    """Return the times of all ways to sum neighbours, on the first batch of a data set."""
    batches, channels = [], 32
    for name in ("MUTAG",) if arguments.quick else ("DD", "REDDIT-BINARY"):
        cut = workloads.cut_epoch(workloads.load(name, arguments.accelerator), fabric)[0]
        advance(name)
        found = neighbours.measure(cut, channels, arguments.repeats)
        sizes = {"nodes": cut.nodes, "graphs": cut.graphs, "directed_edges": cut.edge_index.size(1)}
        batches.append({"name": name, **sizes, "seconds": found})
    return {"channels": channels, "batches": batches}


def measure_memory(arguments: Arguments, fabric: Fabric, advance: Advance) -> dict[str, Any]:
    """Return the peaks of the package's and the textbook's objective, each in one fresh process."""
    sizes = QUICK_OBJECTIVE_SIZES if arguments.quick else OBJECTIVE_SIZES
    advance("the objective, package and textbook")
    shared: dict[str, Any] = {"what": "objective", "accelerator": arguments.accelerator, **sizes}
    return {**sizes, "objectives": fresh_peaks(("package", "textbook"), shared)}


def measure_evaluation(arguments: Arguments, fabric: Fabric, advance: Advance) -> dict[str, Any]:
    """Return the times of the cross-validation of one embedding."""
    name, folds = ("MUTAG", 3) if arguments.quick else ("PROTEINS", 10)
    return evaluation.measure(
        name, folds, arguments.repeats, arguments.accelerator, fabric, advance
    )


def measure_trials(arguments: Arguments, fabric: Fabric, advance: Advance) -> dict[str, Any]:
    """Return the times of the trials."""
    datasets, names = ("MUTAG", "DD"), tuple(trials.TRIALS)
    if arguments.quick:
        datasets, names = ("synthetic-50",), ("package", "one thread")
    repeats = 1 if arguments.quick else min(3, arguments.repeats)
    return {"trials": trials.measure(datasets, names, repeats, arguments.accelerator, advance)}


def measure_views(arguments: Arguments, fabric: Fabric, advance: Advance) -> dict[str, Any]:
    """Return the times of each of GraphCL's views on one batch of a data set."""
    names = ("MUTAG",) if arguments.quick else ("MUTAG", "PROTEINS", "DD")
    batches = views.measure(names, arguments.repeats, arguments.accelerator, fabric, advance)
    return {"batches": batches}


MEASURES = {
    "epochs": measure_epochs,
    "neighbours": measure_neighbours,
    "memory": measure_memory,
    "evaluation": measure_evaluation,
    "trials": measure_trials,
    "views": measure_views,
}


def keep(folder: Path, section: str, result: dict[str, Any]) -> str:
    """Replace a section's numbers in the record, write tables and picture; returns the section's table."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / report.RECORD
    record = json.loads(path.read_text()) if path.exists() else {}
    record[section] = result
    write_text(path, json.dumps(record, indent=2, allow_nan=False) + "\n")
    return report.write(folder)[section]


def run_section(
    section: Section, arguments: Arguments, fabric: Fabric, advance: Advance
) -> dict[str, Any]:
    """Measure one section; returns its record, with device, threads and environment."""
    about = {
        "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "device": workloads.device_name(fabric.device),
        "threads": torch.get_num_threads(),
        "repeats": arguments.repeats,
        "quick": arguments.quick,
        "environment": environment(),
    }
    return about | MEASURES[section](arguments, fabric, advance)


def run_sections(arguments: Arguments) -> None:
    """Measure, store and show the given sections."""
    keep_freed_memory()  # as the command does; it serves whatever is timed
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with (
        training_device(Config(accelerator=arguments.accelerator)) as fabric,
        Progress(*columns) as progress,
    ):
        task = progress.add_task("starting")
        for section in arguments.sections:

            def advance(what: str, section: str = section) -> None:
                progress.update(task, description=f"{section}: {what}")

            result = run_section(section, arguments, fabric, advance)
            progress.console.print(
                keep(arguments.folder, section, result), markup=False, soft_wrap=True
            )


def main() -> int:
    """Run the command; returns the exit status: 0, or 2 for bad arguments."""
    arguments = expand_paths(tyro.cli(Arguments, description=__doc__))
    if arguments.quick:
        arguments = dataclasses.replace(
            arguments, datasets=QUICK_SETS, nodes_per_graph=8, repeats=2
        )
    warnings.filterwarnings(
        "ignore", message="Sparse (CSR|CSC|invariant)"
    )  # that PyTorch's are in beta
    try:
        arguments.check()
        if arguments.table_only:
            report.write(arguments.folder)
        else:
            run_sections(arguments)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
