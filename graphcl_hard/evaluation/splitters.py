"""Splits of graphs into parts to train on and to test on: given ones, and those of molecules by their scaffolds."""

import gzip
import math
import random
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import GroupKFold

from graphcl_hard.exceptions import InputError, first_line, short_repr
from graphcl_hard.io.paths import Pathname, user_path
from graphcl_hard.io.text_tables import is_missing, is_missing_value

Ints = npt.NDArray[np.int64]
PARTS = ("train", "valid", "test")


class Split(NamedTuple):
    """The positions of graphs in three parts, each (n,) int64; `valid` may be empty.

    `cross_validate` fits on `train`, chooses the probe's parameter on `valid`, or by folds of `train` where `valid` is
    empty, and scores on `test`.
    """

    train: Ints
    valid: Ints
    test: Ints


NAMES = {"training": "train", "validation": "valid", "val": "valid"}
"""Other names of the parts."""


def named_split(parts: Iterable[Any], what: str = "split") -> Split:
    """Return the split that names the part of each row.

    Args:
        parts: (G,) "train" (or "training"), "valid" (or "validation", "val") or "test", in upper or lower case; a
            missing value for a row that is in no part.
        what: name of the split in an error message.

    Raises:
        InputError: there is another name, or no row in train or test.

    Examples:
        >>> from graphcl_hard.evaluation.splitters import named_split
        >>> named_split(["train", "Test", "train", None, "val"])
        Split(train=array([0, 2]), valid=array([4]), test=array([1]))
    """
    rows: dict[str, list[int]] = {part: [] for part in PARTS}
    for row, value in enumerate(parts):
        if is_missing_value(value) or (isinstance(value, str) and is_missing(value)):
            continue
        name = str(value).strip().lower()
        part = NAMES.get(name, name)
        if part not in rows:
            raise InputError(
                f"{what} has {short_repr(value)} in row {row} (from 0), must be one of {', '.join(PARTS)}, or empty; "
                "correct it."
            )
        rows[part].append(row)
    for part in ("train", "test"):
        if not rows[part]:
            raise InputError(f"{what} has no row of the part {part}; name some.")
    return Split(*(np.array(rows[part], dtype=np.int64) for part in PARTS))


def murcko_scaffolds(smiles: Iterable[str], *, chirality: bool = False) -> npt.NDArray[np.str_]:
    """Return the Bemis-Murcko scaffold of each molecule: its rings and what links them.

    Args:
        smiles: the G molecules.
        chirality: whether scaffolds that differ in chirality only are different.

    Returns:
        (G,) str, the scaffolds as canonical SMILES; "" for every molecule without a ring.

    Raises:
        InputError: RDKit is not installed, or cannot read one of the SMILES.

    Source: Bemis and Murcko, "The Properties of Known Drugs. 1. Molecular Frameworks", J. Med. Chem. 39, 1996.

    Examples:
        >>> from graphcl_hard.evaluation.splitters import murcko_scaffolds
        >>> murcko_scaffolds(["Cc1ccccc1", "OC(=O)c1ccccc1", "CCO"]).tolist()
        ['c1ccccc1', 'c1ccccc1', '']
    """
    try:
        from rdkit import Chem, rdBase
        from rdkit.Chem.Scaffolds.MurckoScaffold import MurckoScaffoldSmiles
    except ImportError as error:
        raise InputError("Scaffolds need RDKit; install graphcl_hard[molecules].") from error
    if isinstance(smiles, str):
        raise InputError(f"smiles must be a list of SMILES, got {short_repr(smiles)}; give a list.")
    found = []
    for row, text in enumerate(smiles):
        with rdBase.BlockLogs():  # RDKit would print what the message below says
            is_text = isinstance(text, str) and bool(text.strip())
            molecule = Chem.MolFromSmiles(text) if is_text else None
        if molecule is None:
            raise InputError(
                f"smiles has {short_repr(text)} in row {row} (from 0), which RDKit cannot read; correct it or leave "
                "the row out."
            )
        found.append(MurckoScaffoldSmiles(mol=molecule, includeChirality=chirality))
    return np.array(found, dtype=str)


def scaffold_split(
    smiles: Iterable[str],
    sizes: Sequence[float] = (0.8, 0.1, 0.1),
    *,
    balanced: bool = False,
    chirality: bool = False,
    seed: int = 0,
) -> Split:
    r"""Split molecules so that all molecules of one Bemis-Murcko scaffold are in one part.

    The groups of molecules with one scaffold are taken in an order, and each goes into the first part that it does not
    overfill. With G molecules and the shares :math:`s` of the parts, a group of n molecules goes

    .. math::
        \text{into train if } |\text{train}| + n \le s_\text{train} G, \quad
        \text{else into valid if it fits there, else into test.}

    Without `balanced` the split is DeepChem's `ScaffoldSplitter`, which MoleculeNet uses; with `chirality`, it is that
    of Hu et al. It may be OGB's, too: with it, ECFP counts have the published test ROC AUC of ridge on five data sets
    to three decimals, and those of random forests within 0.013. This was found by looking at test scores, with and
    without chirality, as `test_calls.json` of the study of molecules says. The largest group is first, of groups of one
    size the one whose first molecule comes last; and a group fits into valid if
    :math:`|\text{train}| + |\text{valid}| + n \le (s_\text{train} + s_\text{valid}) G`. The test part then has the
    rarest scaffolds. With `balanced`, it is `scaffold_balanced` of chemprop 1: the groups of more than half of the
    valid or test part are shuffled and come first, the others are shuffled after them, and a group fits into valid if
    :math:`|\text{valid}| + n \le s_\text{valid} G`.

    Args:
        smiles: the G molecules.
        sizes: shares of train, valid and test, which sum to 1; that of valid may be 0.
        balanced: whether the groups are shuffled, so that rare scaffolds are in all parts.
        chirality: whether scaffolds that differ in chirality only are different groups.
        seed: seed of the shuffles, used only with `balanced`.

    Returns:
        `Split`, with ascending positions.

    Raises:
        InputError: RDKit cannot read one of the SMILES; sizes are no shares; or a part stays empty.

    Source: Wu et al., "MoleculeNet: a benchmark for molecular machine learning", Chemical Science 9, 2018; Yang et al.,
    "Analyzing Learned Molecular Representations for Property Prediction", J. Chem. Inf. Model. 59, 2019 (balanced); Hu
    et al., "Strategies for Pre-training Graph Neural Networks", ICLR 2020 (chirality).

    Examples:
        >>> from graphcl_hard.evaluation.splitters import scaffold_split
        >>> smiles = ["c1ccccc1C", "c1ccccc1O", "c1ccccc1N", "C1CC1C", "CCO"]
        >>> scaffold_split(smiles, (0.6, 0.2, 0.2))
        Split(train=array([0, 1, 2]), valid=array([4]), test=array([3]))
    """
    shares = _check_sizes(sizes)
    groups = _groups(murcko_scaffolds(smiles, chirality=chirality))
    total = sum(map(len, groups))
    room = [share * total for share in shares]
    both = (shares[0] + shares[1]) * total
    if balanced:
        generator = random.Random(seed)
        large = [group for group in groups if 2 * len(group) > min(room[1:])]
        small = [group for group in groups if 2 * len(group) <= min(room[1:])]
        generator.shuffle(large)
        generator.shuffle(small)
        groups = large + small
    else:
        groups.sort(key=lambda group: (len(group), group[0]), reverse=True)
    train, valid, test = list[int](), list[int](), list[int]()
    for group in groups:
        size = len(group)
        used, free = (len(valid), room[1]) if balanced else (len(train) + len(valid), both)
        if len(train) + size <= room[0]:
            train += group
        elif used + size <= free:
            valid += group
        else:
            test += group
    for part, share, name in zip((train, valid, test), shares, PARTS, strict=True):
        if share > 0 and not part:
            raise InputError(
                f"The {name} part of the scaffold split stays empty, since its share of {total} molecules is {share:g} "
                f"and the largest of {len(groups)} scaffolds has {max(map(len, groups), default=0)}; change sizes, or "
                "give more molecules."
            )
    return Split(*(np.array(sorted(part), dtype=np.int64) for part in (train, valid, test)))


def _check_sizes(sizes: Sequence[float]) -> list[float]:
    try:
        shares = [float(share) for share in sizes]
    except (TypeError, ValueError):
        shares = []
    positive = len(shares) == 3 and shares[0] > 0 and shares[1] >= 0 and shares[2] > 0
    if not positive or not math.isclose(sum(shares), 1, abs_tol=1e-6):
        raise InputError(
            f"sizes must be the shares of train, valid and test, which sum to 1, got {short_repr(sizes)}; "
            "(0.8, 0.1, 0.1) is usual, and only that of valid may be 0."
        )
    return shares


def _groups(scaffolds: npt.NDArray[np.str_]) -> list[list[int]]:
    """Return the positions of each scaffold, in the order of its first position."""
    found: dict[str, list[int]] = {}
    for row, scaffold in enumerate(scaffolds.tolist()):
        found.setdefault(scaffold, []).append(row)
    return list(found.values())


class ScaffoldKFold(GroupKFold):
    """K folds of molecules in which all molecules of one Bemis-Murcko scaffold are in one fold.

    It is scikit-learn's `GroupKFold` over the scaffolds, for `cross_validate` and for everything in scikit-learn that
    takes a splitter.

    Args:
        n_splits: number of folds, at least 2.
        shuffle: whether the scaffolds are assigned to folds at random, and not so that the folds have equal sizes.
        random_state: seed of the shuffle.

    Examples:
        >>> import numpy as np
        >>> from graphcl_hard.evaluation.splitters import ScaffoldKFold
        >>> smiles = ["c1ccccc1C", "c1ccccc1O", "C1CC1C", "C1CC1O", "CCO", "CCN"]
        >>> folds = ScaffoldKFold(n_splits=3)
        >>> sorted(test.tolist() for _, test in folds.split(np.zeros(6), groups=smiles))
        [[0, 1], [2, 3], [4, 5]]
    """

    def __init__(
        self, n_splits: int = 5, *, shuffle: bool = False, random_state: int | None = None
    ) -> None:
        super().__init__(n_splits, shuffle=shuffle, random_state=random_state)

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[Ints, Ints]]:
        """Yield the positions to train on and to test on, each (n,) int64, of each fold.

        Args:
            X: (G, ...), of which only the number of rows counts.
            y: not used.
            groups: (G,) SMILES of the molecules.

        Raises:
            InputError: there are no SMILES, fewer scaffolds than folds, or RDKit cannot read one of the SMILES.
        """
        if groups is None:
            raise InputError(
                "ScaffoldKFold needs the SMILES of the molecules; give them as groups."
            )
        scaffolds = murcko_scaffolds(np.asarray(groups).tolist())
        count = len(set(scaffolds.tolist()))
        if count < self.n_splits:
            raise InputError(
                f"n_splits must be at most {count}, the number of scaffolds, got {self.n_splits}; use fewer folds."
            )
        yield from super().split(X, y, scaffolds)


def read_ogb_split(folder: Pathname, name: str | None = None) -> Split:
    """Read a split that a data set of the Open Graph Benchmark has in its folder ``split``.

    Args:
        folder: the folder of the data set, such as ogbg_molhiv, or one with train.csv.gz, valid.csv.gz and test.csv.gz.
        name: name of the split, such as "scaffold"; None: the only one.

    Returns:
        `Split`, the positions of the graphs in the order of the files.

    Raises:
        InputError: there is no such split, or several and no name; or a file cannot be read or has other values than
            positions, each in one part.

    Source: Hu et al., "Open Graph Benchmark", NeurIPS 2020.
    """
    path = user_path(folder)
    if not (path / "train.csv.gz").is_file():
        found = sorted(one.parent.name for one in (path / "split").glob("*/train.csv.gz"))
        if not found:
            raise InputError(
                f"{path} has no split/NAME/train.csv.gz; name a folder as OGB unpacks it."
            )
        if name is None and len(found) > 1:
            raise InputError(f"{path} has the splits {', '.join(found)}; name one of them.")
        if name is not None and name not in found:
            raise InputError(
                f"{path} has no split {name!r}, it has {', '.join(found)}; name one of these."
            )
        path = path / "split" / (name or found[0])
    split = Split(*(_read_positions(path / f"{part}.csv.gz") for part in PARTS))
    values, counts = np.unique(np.concatenate(split), return_counts=True)
    if (counts > 1).any():
        twice = values[counts > 1][0]
        raise InputError(
            f"{path} has the graph {twice} in its parts twice, must have it once; fetch it again."
        )
    return split


def _read_positions(path: Path) -> Ints:
    try:
        with gzip.open(path, "rt", encoding="ascii") as file:
            numbers = [int(line) for line in file.read().split()]
    except (EOFError, OSError, ValueError, zlib.error) as error:
        raise InputError(
            f"{path} cannot be read: {first_line(error)}; fetch it again, as it must have the number of a graph in "
            "each line."
        ) from error
    if min(numbers, default=0) < 0:
        raise InputError(
            f"{path} has the number {min(numbers)}, must be at least 0; fetch it again."
        )
    return np.array(numbers, dtype=np.int64)
