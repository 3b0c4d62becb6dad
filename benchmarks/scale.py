"""Data sets larger than memory: time and memory of an epoch from disk, against the same epoch from memory.

    python -m benchmarks.scale --folder /tmp/million       an hour on two cores; about 1 GB of disk

Makes a data set of 1,000,000 random graphs of 20 to 40 nodes, as shards; measures, and writes to --out after each step:

- readers: graphs a second, in shuffled batches without any training, from shards and from PyG's `OnDiskDataset`;
- rates: epochs over the first graphs from memory and from shards, in turns within one process;
- sizes: an epoch over more and more graphs from shards, each in a process of its own: its seconds and peak memory.
"""

import dataclasses
import json
import multiprocessing
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from torch_geometric.data import Batch, Data, OnDiskDataset

from graphcl_hard.config import Config
from graphcl_hard.data.graph_data import GraphData
from graphcl_hard.data.shard_writer import write_shards
from graphcl_hard.data.shards import SHARD_GRAPHS, GraphShards
from graphcl_hard.data.tu.names import is_shards
from graphcl_hard.io.paths import expand_paths
from graphcl_hard.loader.features import FeatureMap
from graphcl_hard.loader.streaming import make_batches
from graphcl_hard.runs.display import Display
from graphcl_hard.runs.environment import environment
from graphcl_hard.training.build import prepare
from graphcl_hard.training.devices import training_device
from graphcl_hard.training.loop import train
from graphcl_hard.training.state import Epoch

NODES, LABELS, REACH, EXTRA = (20, 40), 12, 4, 0.15


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Settings.

    Attributes:
        folder: Folder of the data set; an existing one is used.
        graphs: How many graphs it has.
        sizes: Over how many of them an epoch is measured.
        compared: How many are read, and trained on, from memory and from the disk in turns.
        repeats: Of these turns.
        out: The record.
    """

    folder: Path = Path("million")
    graphs: int = 1_000_000
    sizes: tuple[int, ...] = (125_000, 250_000, 500_000, 1_000_000)
    compared: int = 100_000
    repeats: int = 3
    out: Path = Path(__file__).parent / "results" / "scale" / "streaming.json"


def random_graphs(count: int, seed: int) -> GraphData:
    """Return random trees in which each node is attached to one of the few before it, with some additional edges."""
    random = np.random.default_rng(seed)
    sizes = random.integers(NODES[0], NODES[1] + 1, count)
    first = np.cumsum(sizes) - sizes
    place = np.arange(sizes.sum()) - np.repeat(first, sizes)
    child = np.flatnonzero(place)
    parent = (
        child - 1 - (random.random(child.size) * np.minimum(place[child], REACH)).astype(np.int64)
    )
    more = np.flatnonzero(random.random(place.size) < EXTRA)
    graph = np.repeat(np.arange(count), sizes)[more]
    other = first[graph] + (random.random(more.size) * sizes[graph]).astype(np.int64)
    ends = np.concatenate([child, more]), np.concatenate([parent, other])
    both = np.unique(np.stack([np.concatenate(ends), np.concatenate(ends[::-1])]), axis=1)
    edges = both[:, both[0] != both[1]]
    node_ptr = np.append(0, np.cumsum(sizes))
    return GraphData(
        name="random",
        node_ptr=torch.from_numpy(node_ptr),
        edge_index=torch.from_numpy(edges),
        edge_ptr=torch.from_numpy(np.searchsorted(edges[0], node_ptr)),
        y=torch.zeros(count, dtype=torch.int64),
        node_label=torch.from_numpy(random.integers(0, LABELS, (place.size, 1))),
        node_label_values=(tuple(range(LABELS)),),
    )


def make(arguments: Arguments, display: Display) -> GraphShards:
    """Return the data set of random graphs, which is made if it does not exist."""
    if is_shards(arguments.folder):
        return GraphShards(arguments.folder)
    starts = range(0, arguments.graphs, SHARD_GRAPHS)
    chunks = (random_graphs(min(SHARD_GRAPHS, arguments.graphs - start), start) for start in starts)
    with display.bar("making graphs", arguments.graphs) as show:
        return write_shards(arguments.folder, chunks, "random", show)


class Head(GraphShards):
    """The first graphs of a data set."""

    def __init__(self, path: Path, count: int) -> None:
        super().__init__(path)
        self.node_ptr, self.edge_ptr, self.y = (
            self.node_ptr[: count + 1],
            self.edge_ptr[: count + 1],
            self.y[:count],
        )

    def chunks(self) -> Iterator[GraphData]:
        """Yield the chunks of the data set up to the end."""
        for start, stop in zip(self._first[:-1].tolist(), self._first[1:].tolist(), strict=True):
            if start < self.num_graphs:
                yield self.read([(start, min(stop, self.num_graphs))])


def epoch_of(shards: GraphShards, from_disk: bool) -> Callable[[], float]:
    """Return a function that trains for one more epoch and returns its seconds."""
    config = Config(epochs=1, accelerator="cpu")
    graphs = shards if from_disk else shards.whole()
    features = FeatureMap.fit(graphs)
    with training_device(config) as fabric:
        batches, state = prepare(config, graphs, features, fabric)

    def run() -> float:
        found: list[Epoch] = []
        train(
            state,
            batches,
            dataclasses.replace(config, epochs=state.epoch + 1),
            fabric,
            found.append,
        )
        return found[0].seconds

    return run


def one_size(folder: Path, count: int) -> dict[str, float]:
    """Measure an epoch from disk; called in a process of its own."""
    before = _peak_mib()
    seconds = epoch_of(Head(folder, count), from_disk=True)()
    return {
        "graphs": count,
        "seconds": seconds,
        "graphs_per_second": count / seconds,
        "peak_mib": _peak_mib(),
        "peak_mib_of_imports": before,
    }


def _peak_mib() -> float:
    """Return Linux's peak of the process; getrusage's is inherited from the parent process."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def rates(shards: GraphShards, repeats: int) -> dict[str, Any]:
    """Return the seconds of epochs from memory and from disk, in turns after a warm-up of each."""
    runs = {"memory": epoch_of(shards, False), "disk": epoch_of(shards, True)}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(repeats + 1):
        for name, run in runs.items():
            found = run()
            if repeat:
                seconds[name].append(found)
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    return {
        "graphs": shards.num_graphs,
        "seconds": seconds,
        "disk_rate_of_memory_rate": medians["memory"] / medians["disk"],
    }


def readers(shards: GraphShards, folder: Path, repeats: int) -> dict[str, Any]:
    """Return graphs per second in shuffled batches of 128 from shards and from PyG's `OnDiskDataset`, in turns."""
    count = shards.num_graphs
    features = FeatureMap.fit(shards)
    streamed = make_batches(shards, features)
    shutil.rmtree(folder, ignore_errors=True)
    dataset = OnDiskDataset(str(folder), log=False)
    for chunk in shards.chunks():
        dataset.extend(list(_data(chunk)))
    generator = torch.Generator().manual_seed(0)

    def on_disk() -> None:
        for ids in torch.randperm(count, generator=generator).split(128):
            Batch.from_data_list(dataset.multi_get(ids.tolist()))

    ways = {
        "shards": lambda: [None for _ in streamed.shuffled(128, generator)],
        "OnDiskDataset": on_disk,
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, run in ways.items():
            start = time.perf_counter()
            run()
            found[name].append(count / (time.perf_counter() - start))
    dataset.close()
    shutil.rmtree(folder)
    return {"graphs": count, "graphs_per_second": found}


def _data(graphs: GraphData) -> Iterator[Data]:
    assert graphs.node_label is not None
    nodes, edges = graphs.node_ptr.tolist(), graphs.edge_ptr.tolist()
    for number in range(graphs.num_graphs):
        inside = slice(nodes[number], nodes[number + 1])
        edge_index = graphs.edge_index[:, edges[number] : edges[number + 1]] - nodes[number]
        yield Data(
            num_nodes=inside.stop - inside.start,
            x=graphs.node_label[inside].clone(),
            edge_index=edge_index,
        )


def main(arguments: Arguments) -> None:
    """Make the data set, measure, and write the record after each step."""
    display = Display()
    record: dict[str, Any] = {
        "date": date.today().isoformat(),
        "settings": dataclasses.asdict(arguments),
    }
    record["settings"] = {
        name: str(value)
        for name, value in record["settings"].items()
        if name not in ("folder", "out")
    }
    record |= environment() | {"threads": torch.get_num_threads()}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)

    def keep(name: str, found: Any) -> None:
        record[name] = found
        arguments.out.write_text(json.dumps(record, indent=1) + "\n")
        display.say(f"{name}: {json.dumps(found)}")

    start = time.perf_counter()
    shards = make(arguments, display)
    size = sum(file.stat().st_size for file in arguments.folder.iterdir()) / 2**20
    counts = {
        "graphs": shards.num_graphs,
        "nodes": shards.num_nodes,
        "directed_edges": shards.num_edges,
    }
    keep("set", counts | {"mib": size})
    display.say(f"made, or found, in {time.perf_counter() - start:.0f} s")
    head = Head(arguments.folder, arguments.compared)
    keep("readers", readers(head, arguments.folder.with_name("on_disk"), arguments.repeats))
    keep("rates", rates(head, arguments.repeats))
    found = []
    for count in arguments.sizes:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
            found.append(process.submit(one_size, arguments.folder, count).result())
        keep("sizes", found)


if __name__ == "__main__":
    main(expand_paths(tyro.cli(Arguments, description=__doc__)))
