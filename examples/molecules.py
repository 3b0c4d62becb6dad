"""Molecules: predict an activity from SMILES, with vectors learnt without labels (the extra [molecules]: RDKit).

    python examples/molecules.py           write examples/results/molecules.md and .csv; 6 minutes on a busy core

`HardInfoGraph` (InfoGraph: Sun et al., ICLR 2020; hard, debiased negatives: Robinson et al., ICLR 2021) serves as a
step before a regression. The molecules are those of RDKit's Free-Wilson example: 1,017, nearly all sulfonamides, with
an activity from ChEMBL (CHEMBL2321810, CC BY-SA 3.0), 4.3 to 9.2 on the log scale; RDKit does not describe it further.
Atom features are those of PyTorch Geometric's `from_smiles`, one-hot; bond types are not used. In every fold, encoder
and regression see only the training molecules, and the encoder sees no activity. Baselines are the untrained encoder,
*batch norm only*, in which only batch norm's statistics are updated, and counts of Morgan fragments. Settings are the
package's defaults; nothing was tuned.
"""

import csv
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from rdkit import Chem, RDConfig
from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator
from scoring import Scores, add, write
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import RepeatedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVR
from torch_geometric.utils import from_smiles

from graphcl_hard import HardInfoGraph

DATA = Path(RDConfig.RDContribDir, "FreeWilson", "data")
ENCODERS = {
    "untrained": {"epochs": 0},
    "batch norm only": {"lr": 0.0},
    "uniform": {"beta": 0.0, "tau_plus": 0.0},
    "hard": {},
}


@dataclass(frozen=True)
class Arguments:
    """Settings.

    Attributes:
        repeats: How often the 4-fold cross-validation is repeated.
        molecules: How many molecules, from the first on.
        out: The folder for the table.
    """

    repeats: int = 3
    molecules: int = 1017
    out: Path = Path(__file__).parent / "results"


def molecules() -> tuple[list[str], np.ndarray]:
    """Return SMILES, and the activity of each."""
    with (DATA / "CHEMBL2321810_act.csv").open() as file:
        activity = {row["Name"]: float(row["Act"]) for row in csv.DictReader(file)}
    pairs = [line.split() for line in (DATA / "CHEMBL2321810.smi").read_text().splitlines()]
    return [smiles for smiles, _ in pairs], np.array([activity[name] for _, name in pairs])


def regress(
    vectors: np.ndarray, target: np.ndarray, seen: np.ndarray, unseen: np.ndarray
) -> dict[str, float]:
    """Return R2 on the unseen molecules, in per cent; the penalty of ridge is chosen on the seen ones."""
    probes = {"ridge, R2 in %": RidgeCV(np.logspace(-2, 5, 15)), "SVR, R2 in %": SVR(C=1.0)}
    # Cut at 5 standard deviations: by a column that is all but constant in training, ridge would miss by thousands.
    cut = FunctionTransformer(np.clip, kw_args={"a_min": -5, "a_max": 5})
    fitted = {
        name: make_pipeline(StandardScaler(), cut, probe).fit(vectors[seen], target[seen])
        for name, probe in probes.items()
    }
    return {
        name: 100 * float(probe.score(vectors[unseen], target[unseen]))
        for name, probe in fitted.items()
    }


def main() -> None:
    """Run all folds and write the table."""
    arguments, start, scores = (
        tyro.cli(Arguments, description=__doc__),
        time.perf_counter(),
        Scores(),
    )
    smiles, activity = molecules()
    smiles, activity = smiles[: arguments.molecules], activity[: arguments.molecules]
    graphs = [from_smiles(each) for each in smiles]
    morgan = GetMorganGenerator(radius=2, fpSize=2048)
    counts = np.array(
        [morgan.GetCountFingerprintAsNumPy(Chem.MolFromSmiles(each)) for each in smiles],
        dtype=float,
    )
    folds = RepeatedKFold(n_splits=4, n_repeats=arguments.repeats, random_state=0)
    for number, (seen, unseen) in enumerate(folds.split(graphs)):
        add(scores, "Morgan counts", regress(counts, activity, seen, unseen))
        for row, settings in ENCODERS.items():
            encoder = HardInfoGraph(node_label="x", node_attr=(), random_state=number, **settings)
            vectors = encoder.fit([graphs[each] for each in seen]).transform(graphs)
            add(scores, row, regress(vectors, activity, seen, unseen))
    splits = f"{arguments.repeats} repeats of 4-fold cross-validation"
    write(
        "molecules",
        scores,
        arguments.out,
        splits,
        ("torch", "torch-geometric", "rdkit", "scikit-learn"),
        start,
    )


if __name__ == "__main__":
    main()
