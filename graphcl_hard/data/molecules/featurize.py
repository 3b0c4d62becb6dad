"""Convert molecules, SMILES strings or RDKit's, to graphs."""

import dataclasses
import itertools
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from joblib import effective_n_jobs
from joblib.externals.loky import get_reusable_executor
from numpy.typing import NDArray

from graphcl_hard._tensor import initial_state
from graphcl_hard.data.adjacency import clean_edges
from graphcl_hard.data.graph_data import GraphData, Names
from graphcl_hard.data.molecules.vocabulary import (
    MOLECULES,
    WITHOUT_STEREO,
    Label,
    Vocabulary,
)
from graphcl_hard.exceptions import InputError, short_repr
from graphcl_hard.io.text_tables import is_missing_value

if TYPE_CHECKING:
    from rdkit.Chem import Mol

PART = 1024  # molecules that a worker converts at a time
NAMES = Names("x", (), "edge_attr", ())
"""The names of PyTorch Geometric's `from_smiles`."""


class LeftOut(NamedTuple):
    """A molecule that cannot be read."""

    row: int
    """From 0."""
    id: int | str
    smiles: str
    reason: str


def molecule_graphs(
    molecules: "Iterable[str | Mol]",
    *,
    stereo: bool = True,
    on_invalid: Callable[[LeftOut], object] | None = None,
    jobs: int = 1,
) -> GraphData:
    """Convert SMILES strings or RDKit molecules to graphs, without those that cannot be read if requested.

    Nodes are the atoms but hydrogens, which RDKit removes; edges are the bonds, in both directions. An
    atom has nine labels and a bond three, those of PyTorch Geometric's `from_rdmol` and with the same numbers: atomic
    number, chirality, degree, formal charge, number of hydrogens, radical electrons, hybridisation, aromaticity and
    ring membership; bond type, stereo and conjugation. A value that `from_rdmol` does not know, such as a charge of 7,
    has one more number, "other". The values of each label are fixed, see `graphcl_hard.data.molecules.vocabulary`.

    `HardInfoGraph.fit` and `transform` take the molecules themselves; this function is for leaving out those that
    cannot be read, for leaving out stereochemistry, and for several processes.

    Args:
        molecules: the molecules, which must fit into memory as graphs. For more, use
            `write_shards` on them, or `python -m graphcl_hard.convert`.
        stereo: whether atoms have the label of chirality and bonds that of stereo. RDKit's chirality of an atom refers
            to the order of its neighbours in the input: give canonical SMILES, or leave it out. Without both,
            stereoisomers are equal. `transform` of an encoder that was fitted on such graphs leaves them out too.
        on_invalid: called for each molecule that RDKit cannot read, which is then left out. None: such a molecule is an
            error.
        jobs: number of processes; -1: one for each core.

    Returns:
        `GraphData` without labels; its ids are the positions of the molecules, also where some are left out.

    Raises:
        InputError: a molecule cannot be read, all of them are left out, or RDKit is not installed.

    Source: Hu et al., "Open Graph Benchmark", NeurIPS 2020 (the labels of atoms and bonds).

    Examples:
        >>> from graphcl_hard import molecule_graphs
        >>> left_out = []
        >>> graphs = molecule_graphs(["CCO", "C(", "c1ccccc1"], on_invalid=left_out.append)
        >>> graphs.ids, graphs.node_label.shape, graphs.edge_label.shape
        (array([0, 2]), torch.Size([9, 9]), torch.Size([16, 3]))
        >>> left_out[0].row, left_out[0].reason
        (1, 'RDKit cannot read it as SMILES')
    """
    left_out: list[LeftOut] = []
    check_iterable(molecules)
    found = list(converted(molecules, MOLECULES if stereo else WITHOUT_STEREO, jobs))
    for done, part in found:
        left_out += [LeftOut(done + at, done + at, text, why) for at, text, why in part.invalid]
    if left_out and on_invalid is None:
        raise InputError(f"{describe_invalid(left_out[0])}; {REMEDY}.")
    for one in left_out:
        assert on_invalid is not None
        on_invalid(one)
    kept = [part.valid + done for done, part in found]
    ids = np.concatenate(kept) if kept else np.empty(0, dtype=np.int64)
    if not len(ids):
        raise InputError(
            f"molecules must have at least one that can be read, got {len(left_out)} that cannot; give SMILES strings."
        )
    return join([part for _, part in found], ids=ids)


def is_molecule(given: Any) -> bool:
    """Return whether an object is a molecule of RDKit, which is not imported for that."""
    chem = sys.modules.get("rdkit.Chem")
    return chem is not None and isinstance(given, chem.Mol)


def check_iterable(molecules: Any) -> None:
    """Raise `InputError` if molecules are a single one."""
    if isinstance(molecules, str) or not isinstance(molecules, Iterable):
        raise InputError(
            f"molecules must be a list of SMILES strings or RDKit molecules, got {short_repr(molecules)}; put a single "
            "one in a list."
        )


REMEDY = (
    "correct it, or leave such molecules out with `molecule_graphs` and its `on_invalid`, as in "
    "molecule_graphs(smiles, on_invalid=print)"
)


def describe_invalid(one: LeftOut) -> str:
    """Return the beginning of a sentence about a molecule that cannot be read."""
    return f"Molecule {one.row} (from 0) is {short_repr(one.smiles)}, but {one.reason}"


class Part(NamedTuple):
    """Some molecules as arrays, with N atoms and B bonds in all."""

    sizes: NDArray[np.int64]
    """(G,) numbers of atoms."""
    atoms: NDArray[np.int16]
    """(N, K) labels."""
    ends: NDArray[np.int64]
    """(2, B) atoms of each bond, numbered from 0 over the part."""
    bonds: NDArray[np.int16]
    """(B, K) labels."""
    valid: NDArray[np.int64]
    """(G,) positions of the molecules among those that were given."""
    invalid: list[tuple[int, str, str]]
    """Position, text and reason of those that cannot be read."""


def converted(
    molecules: "Iterable[Any]", vocabulary: Vocabulary = MOLECULES, jobs: int = 1
) -> Iterator[tuple[int, Part]]:
    """Yield molecules as arrays, `PART` at a time and in their order, each with the number of those before.

    Args:
        molecules: SMILES strings or RDKit molecules; anything else cannot be read.
        vocabulary: the labels.
        jobs: number of processes; -1: one for each core.

    Raises:
        InputError: RDKit is not installed, or `jobs` is no number of processes.
    """
    check_rdkit()
    if isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < -1 or jobs == 0:
        raise InputError(
            f"jobs must be a number of processes, or -1 for one on each core, got {short_repr(jobs)}; 1 is usual."
        )
    each = map(_prepared, molecules)
    given = iter(lambda: list(itertools.islice(each, PART)), [])
    done = 0
    count = effective_n_jobs(jobs)
    if count == 1:
        for some in given:
            yield done, convert_part(some, vocabulary)
            done += len(some)
        return
    pool = get_reusable_executor(count)
    waiting: deque[Any] = deque()
    for some in itertools.chain(given, [None] * 2 * count):
        if some is not None:
            waiting.append(pool.submit(convert_part, some, vocabulary))
        if waiting and (some is None or len(waiting) > 2 * count):
            part = waiting.popleft().result()
            yield done, part
            done += len(part.valid) + len(part.invalid)


def check_rdkit() -> None:
    """Raise `InputError` unless RDKit is installed."""
    try:
        import rdkit.Chem  # noqa: F401 - to see whether it is there
    except ImportError as error:
        raise InputError(
            "Reading molecules needs RDKit; install graphcl_hard[molecules]."
        ) from error


def convert_part(molecules: Sequence[Any], vocabulary: Vocabulary = MOLECULES) -> Part:
    """Return molecules as arrays, see `converted`."""
    from rdkit import Chem, rdBase

    # RDKit makes an object of each atom. Asking all of them for one label after another avoids a Python loop, and
    # indices are twice as fast as GetAtoms().
    of_atoms = _getters(vocabulary.atoms)
    of_bonds = [Chem.Bond.GetBeginAtomIdx, Chem.Bond.GetEndAtomIdx, *_getters(vocabulary.bonds)]
    atoms: list[list[Any]] = [[] for _ in of_atoms]
    bonds: list[list[Any]] = [[] for _ in of_bonds]
    sizes: list[tuple[int, int]] = []
    valid: list[int] = []
    invalid: list[tuple[int, str, str]] = []
    with rdBase.BlockLogs():  # RDKit would print what the message says
        for position, given in enumerate(molecules):
            if isinstance(given, Unreadable):
                invalid.append((position, *given))
                continue
            molecule = given if isinstance(given, Chem.Mol) else _parsed(given)
            if molecule is None or not molecule.GetNumAtoms():
                invalid.append((position, *_reason(given, molecule)))
                continue
            size = molecule.GetNumAtoms(), molecule.GetNumBonds()
            own = list(map(molecule.GetAtomWithIdx, range(size[0])))
            own_bonds = list(map(molecule.GetBondWithIdx, range(size[1])))
            found = [list(map(get, own)) for get in of_atoms]
            found_bonds = [list(map(get, own_bonds)) for get in of_bonds]
            for columns, values in ((atoms, found), (bonds, found_bonds)):
                for column, value in zip(columns, values, strict=True):
                    column.extend(value)
            sizes.append(size)
            valid.append(position)
    counts = np.array(sizes, dtype=np.int64).reshape(-1, 2)
    starts = np.repeat(np.cumsum(counts[:, 0]) - counts[:, 0], counts[:, 1])
    return Part(
        counts[:, 0],
        _numbers(atoms, vocabulary.atoms),
        np.stack([np.fromiter(column, np.int64, len(column)) for column in bonds[:2]]) + starts,
        _numbers(bonds[2:], vocabulary.bonds),
        np.array(valid, dtype=np.int64),
        invalid,
    )


class MolBlock(str):
    """The text of a record of an SDF file up to its properties."""


class Unreadable(NamedTuple):
    """What stands for a molecule of RDKit that cannot be converted."""

    smiles: str
    reason: str


def _prepared(given: Any) -> Any:
    """Return a molecule of RDKit without hydrogens as nodes, or why it is refused; other things as they are.

    This is before molecules are sent to other processes, since what RDKit has not computed is computed on the way.
    """
    if not is_molecule(given) or not given.GetNumAtoms():
        return given
    from rdkit import Chem

    if not _is_sanitised(given):
        return Unreadable(Chem.MolToSmiles(given), "it is not sanitised by Chem.SanitizeMol")
    return (
        Chem.RemoveHs(given) if any(one.GetAtomicNum() == 1 for one in given.GetAtoms()) else given
    )


def _is_sanitised(molecule: "Mol") -> bool:
    """Return whether RDKit has computed hydrogens, rings and hybridisations, which hydrogens and dummies may lack."""
    from rdkit.Chem import HybridizationType

    try:
        molecule.GetRingInfo().NumRings()
    except RuntimeError:
        return False
    return not molecule.NeedsUpdatePropertyCache() and all(
        atom.GetHybridization() != HybridizationType.UNSPECIFIED or atom.GetAtomicNum() < 2
        for atom in molecule.GetAtoms()
    )


def _parsed(given: Any) -> "Mol | None":
    from rdkit import Chem

    if not isinstance(given, str) or not given.strip():
        return None
    try:
        if isinstance(given, MolBlock):
            return Chem.MolFromMolBlock(given)
        return Chem.MolFromSmiles(given)
    except UnicodeEncodeError:  # half of a surrogate pair
        return None


def _reason(given: Any, molecule: "Mol | None") -> tuple[str, str]:
    """Return the text of what cannot be read, and why it cannot."""
    text = given if isinstance(given, str) and not isinstance(given, MolBlock) else ""
    if molecule is not None:
        return text, "it has no atoms"
    if isinstance(given, MolBlock):
        return text, "RDKit cannot read the record"
    if is_missing_value(given):
        return text, "it is empty"
    if text:
        return text, "RDKit cannot read it as SMILES"
    return short_repr(given), f"it is of type {type(given).__name__}, and not a SMILES string"


def _getters(labels: Sequence[Label]) -> list[Callable[[Any], Any]]:
    from rdkit.Chem import Atom, Bond

    methods = {
        "atomic_num": Atom.GetAtomicNum,
        "chirality": Atom.GetChiralTag,
        "degree": Atom.GetTotalDegree,
        "formal_charge": Atom.GetFormalCharge,
        "num_hs": Atom.GetTotalNumHs,
        "num_radical_electrons": Atom.GetNumRadicalElectrons,
        "hybridization": Atom.GetHybridization,
        "is_aromatic": Atom.GetIsAromatic,
        "is_in_ring": Atom.IsInRing,
        "bond_type": Bond.GetBondType,
        "stereo": Bond.GetStereo,
        "is_conjugated": Bond.GetIsConjugated,
    }
    return [methods[label.name] for label in labels]


def _numbers(columns: Sequence[Sequence[Any]], labels: Sequence[Label]) -> NDArray[np.int16]:
    """Return the labels that RDKit gave, one column each, as numbers of the vocabulary, (n, K)."""
    found = [
        _number(np.fromiter(column, np.int64, len(column)), label)
        for column, label in zip(columns, labels, strict=True)
    ]
    return np.stack(found, axis=1).astype(np.int16)


def _number(given: NDArray[np.int64], label: Label) -> NDArray[np.int64]:
    """Return the number of each value; those of an enumeration are given as RDKit's own numbers."""
    from rdkit import Chem

    kinds: dict[str, Any] = {
        "chirality": Chem.ChiralType,
        "hybridization": Chem.HybridizationType,
        "bond_type": Chem.BondType,
        "stereo": Chem.BondStereo,
    }
    other = len(label.values)
    if label.name in kinds:
        of_rdkit = kinds[label.name].values
        table = np.full(max(of_rdkit) + 1, other)
        for number, value in of_rdkit.items():
            if str(value) in label.values:
                table[number] = label.values.index(str(value))
        return table[given]
    number = given - int(label.values[0])  # the values are consecutive
    return np.where((number < 0) | (number >= other), other, number)


@initial_state()
def join(parts: Sequence[Part], *, ids: NDArray[Any], bonds: bool = True) -> GraphData:
    """Return converted molecules in flat tensors, without labels.

    Args:
        parts: the molecules, all of one vocabulary.
        ids: (G,) the identity of each.
        bonds: whether edges have the labels of bonds.
    """
    vocabulary = MOLECULES if parts[0].atoms.shape[1] == len(MOLECULES.atoms) else WITHOUT_STEREO
    node_ptr = np.append(0, np.cumsum(np.concatenate([part.sizes for part in parts])))
    first = np.cumsum([0, *(len(part.atoms) for part in parts)])
    ends = np.concatenate([part.ends + at for part, at in zip(parts, first, strict=False)], axis=1)
    both = np.concatenate([ends, ends[::-1]], axis=1)
    edge_index, _, places = clean_edges(both, None, np.arange(both.shape[1]), int(node_ptr[-1]))
    label = None
    if bonds:
        every = np.concatenate([part.bonds for part in parts])
        assert places is not None
        label = torch.from_numpy(every[places % max(len(every), 1)].astype(np.int64))
    return GraphData(
        name="graphs",
        node_ptr=torch.from_numpy(node_ptr),
        edge_index=torch.from_numpy(edge_index),
        edge_ptr=torch.from_numpy(np.searchsorted(edge_index[0], node_ptr).astype(np.int64)),
        y=torch.full((len(node_ptr) - 1,), -1),
        node_label=torch.from_numpy(
            np.concatenate([part.atoms for part in parts]).astype(np.int64)
        ),
        node_label_values=vocabulary.atom_values,
        edge_label=label,
        edge_label_values=vocabulary.bond_values if bonds else None,
        ids=ids,
        names=NAMES if bonds else NAMES._replace(edge_label=None),
    )


def without_stereo(graphs: GraphData) -> GraphData:
    """Return molecules of the vocabulary `MOLECULES` without the labels of stereochemistry."""
    assert graphs.node_label is not None
    atoms, bonds = (
        [place for place, label in enumerate(labels) if label in kept]
        for labels, kept in (
            (MOLECULES.atoms, WITHOUT_STEREO.atoms),
            (MOLECULES.bonds, WITHOUT_STEREO.bonds),
        )
    )
    has_bonds = graphs.edge_label is not None
    return dataclasses.replace(
        graphs,
        node_label=graphs.node_label[:, atoms],
        node_label_values=WITHOUT_STEREO.atom_values,
        edge_label=None if graphs.edge_label is None else graphs.edge_label[:, bonds],
        edge_label_values=WITHOUT_STEREO.bond_values if has_bonds else None,
    )
