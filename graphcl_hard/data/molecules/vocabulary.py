"""The fixed vocabulary of atoms and bonds: which labels they have, and which values each label can take.

Every data set of molecules has the same label values, whether its molecules use them or not. So encoders of different
data sets have the same input columns, and an encoder never lacks a column for a new molecule.
"""

from typing import Any, NamedTuple

Values = tuple[tuple[int, ...], ...]


class Label(NamedTuple):
    """A label of atoms or bonds."""

    name: str
    values: tuple[Any, ...]
    """In the order of their numbers, from 0."""
    has_other: bool = True
    """Whether one more number stands for all other values."""

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of the values, and of "other"."""
        return tuple(range(len(self.values) + self.has_other))


ATOM_LABELS = (
    Label("atomic_num", tuple(range(119))),
    Label(
        "chirality",
        (
            "CHI_UNSPECIFIED",
            "CHI_TETRAHEDRAL_CW",
            "CHI_TETRAHEDRAL_CCW",
            "CHI_OTHER",
            "CHI_TETRAHEDRAL",
            "CHI_ALLENE",
            "CHI_SQUAREPLANAR",
            "CHI_TRIGONALBIPYRAMIDAL",
            "CHI_OCTAHEDRAL",
        ),
    ),
    Label("degree", tuple(range(11))),
    Label("formal_charge", tuple(range(-5, 7))),
    Label("num_hs", tuple(range(9))),
    Label("num_radical_electrons", tuple(range(5))),
    Label(
        "hybridization",
        ("UNSPECIFIED", "S", "SP", "SP2", "SP3", "SP3D", "SP3D2", "OTHER"),
    ),
    Label("is_aromatic", (False, True), has_other=False),
    Label("is_in_ring", (False, True), has_other=False),
)
"""The labels of atoms. The degree counts the hydrogens, which are not nodes."""

BOND_LABELS = (
    Label(
        "bond_type",
        (
            "UNSPECIFIED",
            "SINGLE",
            "DOUBLE",
            "TRIPLE",
            "QUADRUPLE",
            "QUINTUPLE",
            "HEXTUPLE",
            "ONEANDAHALF",
            "TWOANDAHALF",
            "THREEANDAHALF",
            "FOURANDAHALF",
            "FIVEANDAHALF",
            "AROMATIC",
            "IONIC",
            "HYDROGEN",
            "THREECENTER",
            "DATIVEONE",
            "DATIVE",
            "DATIVEL",
            "DATIVER",
            "OTHER",
            "ZERO",
        ),
    ),
    Label(
        "stereo",
        ("STEREONONE", "STEREOANY", "STEREOZ", "STEREOE", "STEREOCIS", "STEREOTRANS"),
    ),
    Label("is_conjugated", (False, True), has_other=False),
)
STEREO = ("chirality", "stereo")
"""The labels of stereochemistry. Chirality is that of RDKit's atoms, which refers to the order of the neighbours in the
input, so that one molecule has other labels if its SMILES is written in another order."""


class Vocabulary(NamedTuple):
    """Labels of atoms and bonds under a name, which ends in the version.

    There are two: `MOLECULES`, with the labels of PyTorch Geometric's `from_rdmol`, and `WITHOUT_STEREO`, which lacks
    chirality and the stereo of bonds. The number of a value is its place in the label, as in `from_rdmol`; one more
    number stands for all other values.

    Examples:
        >>> from graphcl_hard.data.molecules.vocabulary import MOLECULES
        >>> MOLECULES.name, [len(numbers) for numbers in MOLECULES.bond_values]
        ('molecules-1', [23, 7, 2])
        >>> MOLECULES.atoms[3].name, MOLECULES.atoms[3].values[:6]
        ('formal_charge', (-5, -4, -3, -2, -1, 0))
    """

    name: str
    atoms: tuple[Label, ...]
    bonds: tuple[Label, ...]

    @property
    def atom_values(self) -> Values:
        """The numbers of each label of atoms."""
        return tuple(label.numbers for label in self.atoms)

    @property
    def bond_values(self) -> Values:
        """The numbers of each label of bonds."""
        return tuple(label.numbers for label in self.bonds)


def _without_stereo(labels: tuple[Label, ...]) -> tuple[Label, ...]:
    return tuple(label for label in labels if label.name not in STEREO)


MOLECULES = Vocabulary("molecules-1", ATOM_LABELS, BOND_LABELS)
WITHOUT_STEREO = Vocabulary(
    "molecules-without-stereo-1", _without_stereo(ATOM_LABELS), _without_stereo(BOND_LABELS)
)
VOCABULARIES = {one.name: one for one in (MOLECULES, WITHOUT_STEREO)}
"""A change of labels or values needs a new version, so that saved encoders keep their columns."""


def vocabulary_of(atom_values: Any, bond_values: Any = None) -> Vocabulary | None:
    """Return the vocabulary that has these label values; None if there is none.

    Args:
        atom_values: the values of each label of the nodes.
        bond_values: those of the edges; None if edges have no part in it.
    """
    for one in VOCABULARIES.values():
        if one.atom_values == atom_values and bond_values in (None, one.bond_values):
            return one
    return None


def is_of_vocabulary(values: Any) -> bool:
    """Return whether label values, of nodes or of edges, are those of a vocabulary."""
    return any(values in (one.atom_values, one.bond_values) for one in VOCABULARIES.values())
