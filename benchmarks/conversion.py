"""Conversion of molecules to graphs: molecules a second, against PyTorch Geometric's `from_rdmol`, and equality.

    python -m benchmarks.conversion --folder /data/molecules       minutes on a busy core

The folder has moses_train.csv.gz and the tables of MoleculeNet that `experiments.molecules` reads. Both ways parse the
SMILES and end in flat tensors; they take turns. Then all graphs are compared: of the first molecules of MOSES, and of
all that PyTorch Geometric can read in the eight data sets.
"""

import dataclasses
import json
import statistics
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pandas as pd
import torch
import tyro
from rdkit import Chem, rdBase
from torch import Tensor
from torch_geometric.utils import from_rdmol

from experiments.molecules.datasets import DATASETS, read
from graphcl_hard import molecule_graphs, to_chunks
from graphcl_hard.data.graph_data import GraphData
from graphcl_hard.io.paths import expand_paths
from graphcl_hard.runs.environment import environment


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Settings.

    Attributes:
        folder: Folder of the tables of molecules.
        timed: Molecules of MOSES that are converted in each round.
        rounds: In which the two ways take turns.
        compared: Molecules of MOSES whose graphs are compared.
        jobs: Processes of one more measurement.
        out: The record.
    """

    folder: Path
    timed: int = 5000
    rounds: int = 5
    compared: int = 20_000
    jobs: int = 2
    out: Path = Path(__file__).parent / "results" / "conversion.json"


def by_pyg(smiles: Sequence[str]) -> list[GraphData]:
    """Return graphs as they were made before: by PyTorch Geometric, one after another, and then collated."""
    return list(to_chunks(from_rdmol(Chem.MolFromSmiles(one)) for one in smiles))


def values(label: Tensor | None, known: tuple[tuple[object, ...], ...] | None) -> Tensor:
    """Return labels by their values, (n, K); collated graphs number the values that they have."""
    assert label is not None
    assert known is not None
    columns = zip(known, label.unbind(1), strict=True)
    return torch.stack([torch.tensor(column)[number] for column, number in columns], dim=1)


def are_equal(smiles: Sequence[str]) -> bool:
    """Return whether both ways make the same graphs of molecules."""
    done = 0
    for old in by_pyg(smiles):
        new = molecule_graphs(smiles[done : done + old.num_graphs])
        done += old.num_graphs
        same = (
            torch.equal(old.node_ptr, new.node_ptr),
            torch.equal(old.edge_index, new.edge_index),
            torch.equal(
                values(old.node_label, old.node_label_values),
                values(new.node_label, new.node_label_values),
            ),
            torch.equal(
                values(old.edge_label, old.edge_label_values),
                values(new.edge_label, new.edge_label_values),
            ),
        )
        if not all(same):
            return False
    return done == len(smiles)


def is_known(smiles: str) -> bool:
    """Return whether PyTorch Geometric can convert a molecule."""
    try:
        from_rdmol(Chem.MolFromSmiles(smiles))
    except ValueError:
        return False
    return True


def rates(smiles: Sequence[str], rounds: int, jobs: int) -> dict[str, object]:
    """Return molecules a second of each way, medians, and the ratio within the rounds."""
    ways = {
        "before": lambda: by_pyg(smiles),
        "now": lambda: molecule_graphs(smiles),
        "parsing": lambda: [Chem.MolFromSmiles(one) for one in smiles],
        f"now, {jobs} processes": lambda: molecule_graphs(smiles, jobs=jobs),
    }
    found: dict[str, list[float]] = {way: [] for way in ways}
    molecule_graphs(smiles, jobs=jobs)  # starts the processes
    for _ in range(rounds):
        for way, run in ways.items():
            start = time.perf_counter()
            run()
            found[way].append(len(smiles) / (time.perf_counter() - start))
    ratios = [now / before for now, before in zip(found["now"], found["before"], strict=True)]
    return {
        "molecules_a_second": {way: statistics.median(each) for way, each in found.items()},
        "now / before": [statistics.median(ratios), min(ratios), max(ratios)],
    }


def main() -> None:
    """Measure, compare, and write the record."""
    arguments = expand_paths(tyro.cli(Arguments, description=__doc__))
    moses = pd.read_csv(
        arguments.folder / "moses_train.csv.gz", nrows=max(arguments.compared, arguments.timed)
    )["SMILES"].tolist()
    record: dict[str, object] = {"date": str(date.today()), **environment()}
    record |= rates(moses[: arguments.timed], arguments.rounds, arguments.jobs)
    compared = moses[: arguments.compared]
    equal = {"MOSES": {"molecules": len(compared), "equal": are_equal(compared)}}
    with rdBase.BlockLogs():
        for dataset in DATASETS.values():
            smiles = read(dataset, arguments.folder).smiles
            known = [one for one in smiles if is_known(one)]
            equal[dataset.name] = {
                "molecules": len(known),
                "refused by PyTorch Geometric": len(smiles) - len(known),
                "equal": are_equal(known),
            }
    record["equal"] = equal
    arguments.out.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
