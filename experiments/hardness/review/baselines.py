"""Finding 4: baselines that the first study lacked, the end of the grid of C, and graphs that no kernel separates.

Size, histograms and a Weisfeiler-Lehman kernel on log-binned degrees were run on the first study's folds:
  python -m graphcl_hard.sweep experiments/hardness/review/baselines/plan.yaml \
    --out experiments/hardness/review/baselines --jobs 1 --no-report
The shares of folds that choose the largest C come from the first study's records. Which graphs have equal colours was
computed, by `compute`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from experiments.hardness.review.computed import read_computed, write_computed
from experiments.hardness.review.old_study import HARD, UNIFORM, old_records, old_scores
from experiments.tu.families import SETS
from graphcl_hard.data.graph_data import GraphData
from graphcl_hard.data.load import load_graphs
from graphcl_hard.evaluation.probes import C_GRID
from graphcl_hard.sweeps.records import read_records
from graphcl_hard.sweeps.report.analysis import NAMES, Results, at_epoch, score_frame
from graphcl_hard.sweeps.report.paired_tests import TESTED, paired_table
from graphcl_hard.sweeps.report.table import INTERVAL, Table, by_set
from graphcl_hard.sweeps.wl_kernels import first_labels

HERE = Path(__file__).resolve().parent / "baselines"
RECORDS, TWINS = HERE / "records", HERE / "twins.json"
NEW = ("size", "histograms", "wl-log-degree")
OLD = ("majority", "wl", "untrained", UNIFORM, HARD)
SHOWN = {"wl-log-degree": "WL kernel, log-binned degrees", HARD: "hard"}
CHOSEN = ("wl", "untrained", "bn-only", UNIFORM, HARD)
Ints = npt.NDArray[np.int64]


def compute(told: Callable[[str], object] = print) -> None:
    """Find equal graphs in the data sets that the file lacks, and write it after each."""
    for dataset in SETS:
        found = computed()
        if dataset not in found:
            told(f"{dataset}, equal colours")
            found[dataset] = {"dataset": dataset, **twins(load_graphs(dataset))}
            write_computed(TWINS, found.values())


def computed() -> dict[str, dict[str, Any]]:
    """Return what `compute` wrote, by data set."""
    return {one["dataset"]: one for one in read_computed(TWINS)}


def stable_colours(graphs: GraphData, seed: int = 0) -> tuple[Ints, int]:
    """Return the stable colours of all nodes, (N,), and the rounds of refinement that they took.

    A round gives two nodes the same colour if theirs and the counts of their neighbours' were the same. The first
    colours are node labels, or degrees without any. The colours of neighbours are compared by sums of random 64-bit
    numbers, modulo 2^64, one for each colour: two of K different ones are taken for equal in a round with a probability
    of at most K^2 / 2^64, 4e-8 for the 860,000 nodes of REDDIT-BINARY.
    """
    generator = np.random.default_rng(seed)
    source, target = graphs.edge_index.numpy()
    colours, rounds = first_labels(graphs), 0
    count = len(np.unique(colours))
    while True:
        own, near = generator.integers(2**64, size=(2, int(colours.max()) + 1), dtype=np.uint64)
        keys = own[colours]
        np.add.at(keys, source, near[colours[target]])
        colours = np.unique(keys, return_inverse=True)[1]
        if int(colours.max()) + 1 == count:
            return colours, rounds
        count, rounds = int(colours.max()) + 1, rounds + 1


def twins(graphs: GraphData) -> dict[str, Any]:
    """Return how many graphs have a twin with the same stable colours, and the accuracy that this allows at most.

    Graphs with equal counts of stable colours are equal for a Weisfeiler-Lehman kernel and for any message-passing
    encoder that reads the same labels (Xu et al., ICLR 2019). So all graphs of such a group get the same prediction,
    which is right at most for its most frequent class.
    """
    colours, rounds = stable_colours(graphs)
    groups: dict[bytes, list[int]] = {}
    y = graphs.y.numpy()
    for number in range(graphs.num_graphs):
        part = np.sort(colours[slice(*graphs.node_ptr[number : number + 2].tolist())])
        groups.setdefault(part.tobytes(), []).append(int(y[number]))
    right = sum(int(np.bincount(classes).max()) for classes in groups.values())
    paired = sum(len(classes) for classes in groups.values() if len(classes) > 1)
    return {
        "graphs": graphs.num_graphs,
        "labels": "degrees" if graphs.node_label is None else "node labels",
        "rounds": rounds,
        "distinct": len(groups),
        "with_twin": paired,
        "right": right,
    }


def twins_table() -> Table:
    """Return the share of graphs with a twin, and the largest accuracy, for each data set."""
    shown, values = [], []
    for dataset, found in computed().items():
        share, bound = (100 * found[name] / found["graphs"] for name in ("with_twin", "right"))
        row = {"data set": dataset, "graphs": str(found["graphs"]), "labels": found["labels"]}
        row |= {"distinct": str(found["distinct"]), "with a twin": f"{share:.1f}%"}
        shown.append({**row, "largest accuracy": f"{bound:.1f}%"})
        values.append({**found, "with_twin_percent": share, "bound_percent": bound})
    note = (
        "Graphs with a twin have the same counts of stable Weisfeiler-Lehman colours, from the labels that the encoder "
        "reads, as another graph. Largest accuracy: that of the most frequent class of each group of equal graphs, "
        "which no Weisfeiler-Lehman kernel and no message-passing encoder on these labels can exceed."
    )
    title = "Graphs that no message passing separates"
    return Table("twins", title, note, pd.DataFrame(shown), pd.DataFrame(values))


def largest_c_table() -> Table:
    """Return the share of the first study's folds that choose the largest C of the grid."""
    shown, values = [], []
    for method in CHOSEN:
        row: dict[str, Any] = {"method": SHOWN.get(method, NAMES.get(method, method))}
        for dataset in SETS:
            found = [
                record["scores"]["svm"][str(record["last_epoch"])]["chosen"]
                for record in old_records()
                if (record["dataset"], record["method"]) == (dataset, method)
            ]
            share = 100 * float(np.mean(np.equal(found, C_GRID[-1])))
            row[dataset] = f"{share:.0f}%"
            values.append({"method": method, "dataset": dataset, "percent": share})
        shown.append(row)
    note = (
        "Share of the first study's outer folds, over all seeds, whose inner folds choose C = 1000, the largest of the "
        "grid. Where it is large, a larger C might score higher."
    )
    title = "Folds that choose the largest C"
    return Table("largest_c", title, note, pd.DataFrame(shown), pd.DataFrame(values))


def _lines() -> dict[str, Results]:
    """Return the results of the baselines and of the first study's methods, each at its last epoch."""
    new = score_frame(read_records(RECORDS), SETS, NEW)
    return {
        **{name: at_epoch(old_scores(), name) for name in OLD},
        **{name: at_epoch(new, name) for name in NEW},
    }


def baselines_table() -> Table:
    """Return the accuracy of the baselines and of the first study's methods, each on all the seeds that it has."""
    lines = {name: results for name, results in _lines().items() if results}
    labels = pd.DataFrame({"method": [SHOWN.get(name, NAMES.get(name, name)) for name in lines]})
    note = (
        f"{INTERVAL} By an RBF SVM or the kernel's, on the first study's folds, with C up to 1000. In parentheses: the "
        "number of seeds, where other rows have more on the data set."
    )
    table = by_set("baselines", "Baselines", note, labels, list(lines.values()), SETS)
    for dataset in table.shown.columns.drop("method"):
        counts = [len(results.get(dataset, {})) for results in lines.values()]
        table.shown[dataset] = [
            f"{cell} ({count})" if 0 < count < max(counts) else cell
            for cell, count in zip(table.shown[dataset], counts, strict=True)
        ]
    return table


def against_size_table() -> Table:
    """Return the paired differences of trained encoders, and of untrained ones, from size.

    All are compared on the seeds that all have. Data sets with fewer than 2 of them are left out, also of the
    signed-rank test, since one seed's folds do not say what another seed would.
    """
    methods = ("untrained", UNIFORM, HARD)
    found = _lines()
    lines = {name: found[name] for name in (*methods, "size")}
    seeds = {
        dataset: set.intersection(*({*one.get(dataset, {})} for one in lines.values()))
        for dataset in SETS
    }
    few = [dataset for dataset in SETS if len(seeds[dataset]) < 2]
    common = {
        name: {
            dataset: {seed: folds for seed, folds in by_seed.items() if seed in seeds[dataset]}
            for dataset, by_seed in results.items()
            if dataset not in few
        }
        for name, results in lines.items()
    }
    note = TESTED + " size is an SVM on the numbers of nodes and edges."
    if few:
        note += f" Left out, with fewer than 2 seeds of all methods: {', '.join(few)}."
    pairs = [(name, "size") for name in methods]
    return paired_table("against_size", "Against size", note, common, pairs, SETS)
