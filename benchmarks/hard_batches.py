"""Hard batches: what they cost, and how much harder the negatives are.

    python -m benchmarks.hard_batches --folder /data/molecules       minutes on a busy core

The folder has moses_train.csv.gz. Trainings with different `similar_graphs` take turns, an epoch each, on one thread.
The cost is the CPU time of an epoch as a multiple of that of random batches in the same round. Then the model that was
trained on random batches sees an epoch of each kind, with batch norm in training mode, as a training does, and in
evaluation mode.
"""

import copy
import dataclasses
import json
import statistics
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
import tyro

from graphcl_hard import load_graphs, molecule_graphs
from graphcl_hard.config import Config
from graphcl_hard.data.batch import GraphBatch
from graphcl_hard.data.graph_data import GraphData
from graphcl_hard.io.paths import expand_paths
from graphcl_hard.loader.features import FeatureMap
from graphcl_hard.loader.streaming import Batches
from graphcl_hard.nn.graphcl import GraphCL
from graphcl_hard.runs.environment import environment
from graphcl_hard.training.build import prepare
from graphcl_hard.training.devices import training_device
from graphcl_hard.training.loop import embed, epoch_batches, grouping, train
from graphcl_hard.training.state import Model, TrainingState

RESULTS = Path(__file__).parent / "results"
HEADER = (
    "| data set | method | similar graphs | cost | cosine | negative score | of the same group "
    "| evaluation mode | loss | effective |\n"
)
Record = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Settings.

    Attributes:
        folder: Folder of the tables of molecules.
        molecules: Number of molecules of MOSES, every 316th.
        epochs: In which the trainings take turns.
        out: Folder of the record and the table.
    """

    folder: Path
    molecules: int = 5000
    epochs: int = 5
    out: Path = RESULTS


def score_in_groups(model: GraphCL, batch: GraphBatch, size: int, temperature: float) -> float:
    """Return the mean score between views of different graphs of one group, or of all graphs if `size` is 0."""
    assert batch.views is not None
    rows = torch.cat([model._project(view) for view in batch.views])
    graph = torch.arange(batch.num_graphs).repeat(2)
    group = graph // (size or batch.num_graphs)
    pairs = (group[:, None] == group) & (graph[:, None] != graph)
    return float((rows @ rows.T)[pairs].mean()) / temperature


@torch.no_grad()
def seen(model: Model, batches: Batches, config: Config) -> Record:
    """Return means over an epoch of batches, with the model as it is.

    `cosine` is that between two graphs of a batch, by their standardised vectors.
    """
    vectors = torch.from_numpy(embed(model.encoder, batches, config.batch_size)).double()
    vectors = vectors.sign() * vectors.abs().log1p()
    vectors -= vectors.mean(dim=0)
    unit = F.normalize(vectors / vectors.std(dim=0).clamp_min(1e-6), dim=1)
    trains, evaluates = copy.deepcopy(model).train(), copy.deepcopy(model).eval()
    group = grouping(model.encoder, config)
    rows: list[dict[str, float]] = []
    graphs: list[int] = []
    for batch in epoch_batches(batches, config, torch.Generator().manual_seed(0), None, group):
        assert batch.graph_ids is not None
        count = batch.num_graphs
        total = float(unit[batch.graph_ids].sum(dim=0).square().sum())
        loss, diagnostics = trains(batch, config.beta)
        row = {
            "cosine": (total - count) / (count * (count - 1)),
            "negative_score": float(diagnostics.negative_score),
            "evaluation_mode": float(evaluates(batch, config.beta)[1].negative_score),
            "loss": float(loss),
            "effective_negatives": float(diagnostics.effective_negatives),
        }
        if isinstance(trains, GraphCL):
            size, temperature = config.similar_graphs, config.temperature
            row["same_group"] = score_in_groups(trains, batch, size, temperature)
        rows.append(row)
        graphs.append(count)
    return {
        name: sum(n * row[name] for n, row in zip(graphs, rows, strict=True)) / sum(graphs)
        for name in rows[0]
    }


def measure(graphs: GraphData, config: Config, sizes: Sequence[int], epochs: int) -> list[Record]:
    """Return what was measured for each number of similar graphs; the first is 0, the random batches."""
    features = FeatureMap.fit(graphs, with_edges=config.encoder == "gine")
    seconds: dict[int, list[float]] = {size: [] for size in sizes}
    kinds = {size: dataclasses.replace(config, similar_graphs=size) for size in sizes}
    states: dict[int, TrainingState] = {}
    with training_device(config) as fabric:
        for size, kind in kinds.items():
            batches, states[size] = prepare(kind, graphs, features, fabric)
        for epoch in range(1, epochs + 1):
            for size, kind in kinds.items():
                one = dataclasses.replace(kind, epochs=epoch)
                start = time.process_time()
                train(states[size], batches, one, fabric, lambda _: None)
                seconds[size].append(time.process_time() - start)
    rows = []
    for size, kind in kinds.items():
        ratios = [own / other for own, other in zip(seconds[size], seconds[0], strict=True)]
        rows.append(
            {
                "similar_graphs": size,
                "cost": [statistics.median(ratios), min(ratios), max(ratios)],
                "seconds": seconds[size],
                **seen(states[0].model, batches, kind),
            }
        )
    return rows


def table(record: Record) -> str:
    """Return the record as a table in Markdown."""
    lines = [HEADER, "| --- " * HEADER.count(" | ") + "| --- |\n"]
    for part in record["parts"]:
        for row in part["rows"]:
            cells = (
                part["dataset"],
                part["method"],
                row["similar_graphs"],
                "{:.2f} ({:.2f} to {:.2f})".format(*row["cost"]) if row["similar_graphs"] else 1,
                f"{row['cosine']:.2f}",
                f"{row['negative_score']:.2f}",
                f"{row['same_group']:.2f}" if "same_group" in row else "",
                f"{row['evaluation_mode']:.2f}",
                f"{row['loss']:.2f}",
                f"{100 * row['effective_negatives']:.0f}%",
            )
            lines.append("| " + " | ".join(map(str, cells)) + " |\n")
    return "".join(lines)


def main() -> None:
    """Measure, and write the record and the table."""
    arguments = expand_paths(tyro.cli(Arguments, description=__doc__))
    torch.set_num_threads(1)
    rows = 316 * arguments.molecules
    smiles = pd.read_csv(arguments.folder / "moses_train.csv.gz", nrows=rows)["SMILES"][::316]
    proteins, moses = load_graphs("PROTEINS"), molecule_graphs(smiles.tolist())
    base = Config(accelerator="cpu")
    graphcl = dataclasses.replace(base, method="graphcl", beta=1.0)
    gine = dataclasses.replace(graphcl, encoder="gine", hidden_channels=64, num_layers=4)
    parts = []
    for name, graphs, config in (
        ("PROTEINS", proteins, base),
        ("PROTEINS", proteins, graphcl),
        ("MOSES", moses, gine),
    ):
        found = measure(graphs, config, (0, 8, 32, 128), arguments.epochs)
        parts.append({"dataset": name, "method": config.method, "rows": found})
    record = {
        "date": str(date.today()),
        **environment(),
        "molecules": moses.num_graphs,
        "parts": parts,
    }
    path = arguments.out / "hard_batches.json"
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(table(record), encoding="utf-8")
    print(table(record))


if __name__ == "__main__":
    main()
