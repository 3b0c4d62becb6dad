"""The picture of molecules.md: the nearest neighbours of three molecules: `python docs/molecule_pictures.py`."""

from pathlib import Path

from rdkit import Chem, RDConfig
from rdkit.Chem import Draw
from sklearn.neighbors import NearestNeighbors

from graphcl_hard import HardInfoGraph, molecule_graphs
from graphcl_hard.io.atomic_write import atomic_write

PICTURE = Path(__file__).parent / "pictures" / "neighbours.svg"
LIBRARY = Path(RDConfig.RDDataDir, "NCI", "first_5K.smi")
QUERIES = ("CC(=O)Oc1ccccc1C(=O)O", "CN1CCC[C@H]1c1cccnc1", "O=C(O)CCc1ccccc1")
NAMES = ("aspirin", "nicotine", "hydrocinnamic acid")
SHOWN = 4


def main() -> None:
    """Embed the library and draw what is nearest to each query."""
    library = [line.split()[0] for line in LIBRARY.read_text(encoding="utf-8").splitlines()]
    graphs = molecule_graphs(library, on_invalid=lambda _: None)
    model = HardInfoGraph.from_pretrained("molecules-random")
    search = NearestNeighbors(n_neighbors=SHOWN).fit(model.transform(graphs))
    distances, rows = search.kneighbors(model.transform(QUERIES))
    molecules, legends = [], []
    for query, name, near, found in zip(QUERIES, NAMES, distances, rows, strict=True):
        molecules += [query, *(library[graphs.ids[row]] for row in found)]
        legends += [name, *(f"distance {distance:.1f}" for distance in near)]
    drawn = Draw.MolsToGridImage(
        [Chem.MolFromSmiles(one) for one in molecules],
        molsPerRow=SHOWN + 1,
        subImgSize=(190, 150),
        legends=legends,
        useSVG=True,
    )
    with atomic_write(PICTURE) as partial:
        partial.write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main()
