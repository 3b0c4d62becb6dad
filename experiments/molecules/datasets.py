"""The eight data sets of MoleculeNet, read from a folder of the user.

Source: Wu et al., "MoleculeNet: a benchmark for molecular machine learning", Chemical Science 9, 2018.
"""

import os
import random
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from rdkit import Chem, rdBase

from graphcl_hard.evaluation.splitters import PARTS, Split, murcko_scaffolds, scaffold_split
from graphcl_hard.exceptions import InputError

Task = Literal["classification", "regression"]
FOLDER = "GRAPHCL_HARD_MOLECULES"
"""The environment variable that names the folder of the tables."""
SMILES = "smiles"
HELD_OUT = 0.2
"""Share of the molecules outside of OGB's test part that an inner split holds out."""


@dataclass(frozen=True)
class Dataset:
    """A table of molecules."""

    name: str
    task: Task
    rows: int
    """Of the table, with unreadable ones."""
    targets: tuple[str, ...] = ()
    """Names of columns; empty: all but the SMILES and the names of molecules."""

    @property
    def file(self) -> str:
        """Return the name of its file."""
        return f"{self.name.lower()}.csv"


DATASETS = {
    one.name: one
    for one in (
        Dataset("BACE", "classification", 1513, ("Class",)),
        Dataset("BBBP", "classification", 2050, ("p_np",)),
        Dataset("ClinTox", "classification", 1484, ("FDA_APPROVED", "CT_TOX")),
        Dataset("SIDER", "classification", 1427),
        Dataset("Tox21", "classification", 7831),
        Dataset("ESOL", "regression", 1128, ("measured log solubility in mols per litre",)),
        Dataset("FreeSolv", "regression", 642, ("expt",)),
        Dataset("Lipophilicity", "regression", 4200, ("exp",)),
    )
}
CLASSIFICATION = tuple(name for name, one in DATASETS.items() if one.task == "classification")
REGRESSION = tuple(name for name, one in DATASETS.items() if one.task == "regression")
NOT_TARGETS = (SMILES, "mol_id")


@dataclass(frozen=True)
class Molecules:
    """The readable molecules of a data set, M of them."""

    dataset: Dataset
    rows: npt.NDArray[np.int64]
    """(M,) positions in the table, ascending."""
    smiles: tuple[str, ...]
    targets: tuple[str, ...]
    y: npt.NDArray[np.float64]
    """(M, T): classes 0 and 1, or measured values; NaN where there is none."""

    @property
    def unreadable(self) -> int:
        """Return the number of rows that RDKit cannot read."""
        return self.dataset.rows - len(self.rows)

    @cached_property
    def ogb_split(self) -> Split:
        """Return OGB's deterministic scaffold split, 80 / 10 / 10, with chirality; see `scaffold_split` why."""
        return scaffold_split(self.smiles, chirality=True)

    @cached_property
    def scaffolds(self) -> npt.NDArray[np.str_]:
        """Return the Bemis-Murcko scaffolds (M,), without chirality."""
        return murcko_scaffolds(self.smiles)

    def split(self, name: str) -> Split:
        """Return a split by its name.

        - `ogb`: OGB's.
        - `random-N`: random scaffolds, seed N, 80 / 10 / 10, of all molecules. Recipes were chosen with labels of most
          molecules of its test part, namely those outside of OGB's.
        - `inner-N`: the same, 80 / 20 / 0, of the molecules outside of OGB's test part. It has no test part, so what
          chooses a recipe can use many of them.

        Raises:
            InputError: there is no such split.
        """
        check_split(name)
        kind, _, seed = name.partition("-")
        if kind == "ogb":
            return self.ogb_split
        if kind == "random":
            return random_scaffolds(self.scaffolds, (0.1, 0.1), int(seed))
        outside = np.sort(np.concatenate([self.ogb_split.train, self.ogb_split.valid]))
        found = random_scaffolds(self.scaffolds[outside], (HELD_OUT, 0), int(seed))
        return Split(outside[found.train], outside[found.valid], found.test)


def random_scaffolds(
    scaffolds: npt.NDArray[np.str_], shares: tuple[float, float], seed: int
) -> Split:
    """Return a split whose validation and test part have random scaffolds.

    The scaffolds are taken in random order, and each goes into the test part if it fits there, else into the validation
    part, else into the training part. Those of more than half of a held-out part always go into the training part, as
    in `scaffold_split` with `balanced`. A molecule without a ring is a scaffold of its own: together they are more than
    half of FreeSolv, and would be most of a held-out part or none of it.

    Args:
        scaffolds: (M,) those of the molecules; "" without a ring.
        shares: of the validation and the test part, which may be 0.
        seed: seed of the order.

    Raises:
        InputError: a part with a share stays empty.
    """
    groups: dict[str, list[int]] = {}
    for row, scaffold in enumerate(scaffolds.tolist()):
        groups.setdefault(scaffold or f"without a ring {row}", []).append(row)
    order = list(groups.values())
    random.Random(seed).shuffle(order)
    valid, test = ([share * len(scaffolds), list[int]()] for share in shares)
    train = list[int]()
    for group in order:
        for part in (test, valid):
            room, rows = part
            if 2 * len(group) <= room and len(rows) + len(group) <= room:
                rows += group
                break
        else:
            train += group
    for name, share, (_, rows) in zip(PARTS[1:], shares, (valid, test), strict=True):
        if share and not rows:
            raise InputError(
                f"The {name} part must have a scaffold, got none: each of {len(groups)} has more than half of "
                f"{share:g} of {len(scaffolds)} molecules; give more molecules."
            )
    parts = (train, valid[1], test[1])
    return Split(*(np.array(sorted(rows), dtype=np.int64) for rows in parts))


def check_split(name: str) -> None:
    """Raise an `InputError` unless a split has this name, see `Molecules.split`."""
    if not re.fullmatch(r"ogb|(random|inner)-\d+", name):
        raise InputError(f"A split must be ogb, random-N or inner-N, got {name!r}; correct it.")


def data_folder(given: Path | None) -> Path:
    """Return the folder of the tables: the given one, or the one that the environment names.

    Raises:
        InputError: neither is there.
    """
    named = given or os.environ.get(FOLDER)
    if not named:
        raise InputError(
            f"The folder of the tables is not known; give `data`, or set the variable {FOLDER}."
        )
    return Path(named)


def read(dataset: Dataset, folder: Path) -> Molecules:
    """Return the readable molecules of a data set.

    Args:
        dataset: what to read.
        folder: with the file `<name>.csv`, the name in lower case. Its columns are `smiles` and the data set's targets;
            for SIDER and Tox21 these are all other columns but `mol_id`. It has all rows, in MoleculeNet's order.

    Raises:
        InputError: the file is missing, lacks a column or has another number of rows.
    """
    path = folder / dataset.file
    if not path.is_file():
        raise InputError(f"{path} does not exist; put the table of {dataset.name} there.")
    table = pd.read_csv(path)
    if len(table) != dataset.rows:
        raise InputError(
            f"{path} must have {dataset.rows} rows, got {len(table)}; give all rows of {dataset.name}, once each."
        )
    targets = dataset.targets or tuple(name for name in table if name not in NOT_TARGETS)
    if missing := [name for name in (SMILES, *targets) if name not in table]:
        raise InputError(
            f"{path} must have the columns {', '.join(missing)}; add them, or rename those that hold them."
        )
    smiles = table[SMILES].tolist()
    with rdBase.BlockLogs():
        readable = [  # an empty cell is NaN, and RDKit would read a blank one as no atoms
            isinstance(one, str) and bool(one.strip()) and Chem.MolFromSmiles(one) is not None
            for one in smiles
        ]
    rows = np.flatnonzero(readable)
    y = table[list(targets)].to_numpy(np.float64)[rows]
    return Molecules(dataset, rows, tuple(smiles[row] for row in rows), targets, y)
