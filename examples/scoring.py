"""Scoring shared by the examples: probes of frozen vectors, and tables of scores over seeds.

Every seed draws its own split, so training parts overlap between seeds, and intervals and differences are corrected for
that (`graphcl_hard.evaluation.statistics`). Scores are in per cent, and higher is better.
"""

import csv
import platform
import shlex
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.linear_model import RidgeClassifierCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import normalize

from graphcl_hard.evaluation.statistics import corrected_interval, paired_difference

Vectors = np.ndarray | csr_matrix
Scores = dict[str, dict[str, list[float]]]  # encoder -> probe -> one score a split
TEST_SHARE = 0.25
FEW_LABELS = 100
OBJECTIVES = ("uniform", "debiased", "hard")
DIFFERENCES = (
    *(("uniform", "untrained"), ("hard", "untrained"), ("hard", "batch norm only")),
    *(("debiased", "uniform"), ("hard", "uniform")),
)


@dataclass(frozen=True)
class Arguments:
    """Settings.

    Attributes:
        seeds: How many, at least 2.
        epochs: Passes over the training part.
        beta: Hardness of *hard*.
        tau_plus: Class prior of *debiased* and *hard*.
        out: The folder for the table.
    """

    seeds: int
    epochs: int
    beta: float = 1.0
    tau_plus: float = 0.1
    out: Path = Path(__file__).parent / "results"

    def of(self, objective: str) -> dict[str, float]:
        """Return the arguments of `nt_xent` for an objective: *debiased* has no hardness, *uniform* no prior either."""
        beta = self.beta if objective == "hard" else 0.0
        return {"beta": beta, "tau_plus": 0.0 if objective == "uniform" else self.tau_plus}


def classify(
    train: Vectors, train_labels: np.ndarray, test: Vectors, test_labels: np.ndarray
) -> dict[str, float]:
    """Return test accuracies of ridge (penalty chosen in the training part), 10-NN, and 1-NN of few labels.

    Args:
        train: (M, D) vectors, dense or sparse, in random order; all probes see rows of unit length.
        train_labels: (M,); the third probe sees only the first FEW_LABELS.
        test: (K, D).
        test_labels: (K,).
    """
    train, test = normalize(train), normalize(test)
    neighbours, nearest = (KNeighborsClassifier(k, metric="cosine") for k in (10, 1))
    fitted = {
        "linear, %": RidgeClassifierCV(np.logspace(-4, 2, 13)).fit(train, train_labels),
        "10-NN, %": neighbours.fit(train, train_labels),
        f"1-NN of {FEW_LABELS} labels, %": nearest.fit(
            train[:FEW_LABELS], train_labels[:FEW_LABELS]
        ),
    }
    return {name: 100 * float(probe.score(test, test_labels)) for name, probe in fitted.items()}


def add(scores: Scores, encoder: str, found: dict[str, float]) -> None:
    """Append one split's scores of an encoder, by probe, to those of the splits before."""
    for probe, score in found.items():
        scores.setdefault(encoder, {}).setdefault(probe, []).append(score)


def table(scores: Scores) -> str:
    """Return mean scores with 95% intervals, a row per encoder, and paired differences below them."""
    ratio = TEST_SHARE / (1 - TEST_SHARE)
    probes = list(scores["untrained"])
    lines = [["encoder", *probes], ["---"] * (1 + len(probes))]
    for encoder, found in scores.items():
        mean_low_high = [
            (np.mean(found[probe]), *corrected_interval(found[probe], ratio)) for probe in probes
        ]
        lines.append(
            [encoder, *(f"{mean:.1f} [{low:.1f}, {high:.1f}]" for mean, low, high in mean_low_high)]
        )
    for one, other in (pair for pair in DIFFERENCES if scores.keys() >= set(pair)):
        pairs = [
            paired_difference(scores[one][probe], scores[other][probe], ratio) for probe in probes
        ]
        lines.append(
            [
                f"{one} - {other}",
                *(f"{d.difference:+.1f} [{d.low:+.1f}, {d.high:+.1f}]" for d in pairs),
            ]
        )
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write(
    name: str, scores: Scores, out: Path, splits: str, packages: tuple[str, ...], start: float
) -> None:
    """Write OUT/NAME.md, the table with its command, and OUT/NAME.csv, the scores of every split; print the table.

    Args:
        name: the example.
        scores: of splits 0, 1 and so on.
        out: the folder, made where it is missing.
        splits: description of the splits.
        packages: packages whose versions are written down besides Python's.
        start: `time.perf_counter()` when the example began.
    """
    out = out.expanduser()
    out.mkdir(parents=True, exist_ok=True)
    command = shlex.join(["python", f"examples/{name}.py", *sys.argv[1:]])
    versions = ", ".join(
        [f"Python {platform.python_version()}", *(f"{each} {version(each)}" for each in packages)]
    )
    text = (
        f"{table(scores)}\n(Means over {splits}; 95% intervals and\n"
        "paired differences are corrected for overlapping training parts, not for the number of comparisons.\n"
        f"`{command}`; {versions}; {time.perf_counter() - start:.0f} s.)\n"
    )
    (out / f"{name}.md").write_text(text)
    with (out / f"{name}.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["encoder", "probe", "split", "score"])
        for encoder, by_probe in scores.items():
            for probe, values in by_probe.items():
                writer.writerows([encoder, probe, *pair] for pair in enumerate(values))
    print(text)
