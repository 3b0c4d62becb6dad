"""What stands for a molecule: fingerprints, encoders, files of vectors, and several of them side by side."""

import functools
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rdkit import Chem, rdBase
from rdkit.Chem.rdFingerprintGenerator import GetAtomPairGenerator, GetMorganGenerator

from experiments.molecules import fine_tuning
from experiments.molecules.datasets import Molecules
from graphcl_hard import HardInfoGraph, molecule_graphs
from graphcl_hard.config import Config
from graphcl_hard.exceptions import InputError
from graphcl_hard.io.columns import read_columns
from graphcl_hard.io.file_names import ENCODER, RESULT
from graphcl_hard.io.vectors import CHECKSUM
from graphcl_hard.nn.encoders.pretrained import NAMED
from graphcl_hard.sweeps.records import Record

Array = npt.NDArray[Any]
Embed = Callable[[Molecules, int], Array]
"""Takes M molecules and a seed; returns (M, D): integers for counts, else floats."""
Score = Callable[[Molecules, str, str, int], Record]
"""Takes M molecules, the name of a split, the part to score and a seed."""
BITS = 2048
LAYERS = 4
FILES = (".npz", ".parquet")
RUN = (
    "dataset",
    "epoch",
    "steps",
    "weight_change",
    "seconds",
    "git_commit",
    "versions",
    "device",
    "threads",
)
"""What records keep of the result.json of an encoder's run, beside its settings."""


@dataclass(frozen=True)
class Representation:
    """A row of the tables.

    Attributes:
        name: of the row.
        embed: makes the vectors.
        score: scores a part in place of `embed` and a head, see `fine_tuning`.
        seeded: whether the vectors depend on the seed.
        settings: what made them, for the records.
        files: paths of the files that hold the vectors or weights, with {dataset} and {seed}.
        run: returns what is known of the training with a seed.
    """

    name: str
    embed: Embed | None
    seeded: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    run: Callable[[int], Mapping[str, Any]] = lambda seed: {}
    score: Score | None = None

    def digests(self, dataset: str, seed: int) -> list[str]:
        """Return the SHA-256 of each file, in hexadecimal.

        Raises:
            InputError: a file is missing.
        """
        found = []
        for pattern in self.files:
            path = _path(pattern, dataset, seed)
            if not path.is_file():
                raise InputError(f"The file {path} does not exist; correct its name.")
            found.append(hashlib.sha256(path.read_bytes()).hexdigest())
        return found

    def settings_of(self, dataset: str, seed: int) -> dict[str, Any]:
        """Return the settings for the records of a data set and a seed, with what identifies the files."""
        if not self.files:
            return dict(self.settings)
        files = []
        for pattern, digest in zip(self.files, self.digests(dataset, seed), strict=True):
            path = _path(pattern, dataset, seed)
            checksum = _data_checksum(path)
            known = {CHECKSUM: checksum} if checksum else {}
            files.append({"file": path.name, "sha256": digest, **known})
        return {**self.settings, **self.run(seed), "files": files}


def _path(pattern: str, dataset: str, seed: int) -> Path:
    return Path(pattern.format(dataset=dataset, seed=seed))


def _data_checksum(path: Path) -> str:
    """Return the checksum of the data set that a file of vectors holds, or ""."""
    if path.name == ENCODER[0]:
        return ""
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq  # noqa: PLC0415 - an extra

        return (pq.read_schema(path).metadata or {}).get(CHECKSUM.encode(), b"").decode()
    return str(read_columns(path, FILES).get(CHECKSUM, ""))


def _counts(generator: Any) -> Embed:
    def embed(molecules: Molecules, seed: int) -> Array:
        with rdBase.BlockLogs():
            found = [
                generator.GetCountFingerprintAsNumPy(Chem.MolFromSmiles(one))
                for one in molecules.smiles
            ]
        return np.array(found)

    return embed


FINGERPRINTS = {
    "ecfp": Representation(
        "ecfp",
        _counts(GetMorganGenerator(radius=2, fpSize=BITS)),
        settings={"fingerprint": "Morgan counts", "radius": 2, "bits": BITS},
    ),
    "atompair": Representation(
        "atompair",
        _counts(GetAtomPairGenerator(fpSize=BITS)),
        settings={"fingerprint": "atom pair counts", "bits": BITS},
    ),
}


def untrained(channels: int, layers: int = LAYERS) -> Representation:
    """Return the untrained `gine` with the initial weights of a seed, on the log scale.

    It is fitted without an epoch, so batch norm has its initial statistics. Like the encoder `molecules-random`, it
    reads no stereochemistry.
    """
    settings = {"encoder": "gine", "hidden_channels": channels, "num_layers": layers, "epochs": 0}

    def embed(molecules: Molecules, seed: int) -> Array:
        graphs = molecule_graphs(molecules.smiles, stereo=False)
        encoder = HardInfoGraph(**settings, scale="log", random_state=seed)
        return encoder.fit(graphs).transform(graphs)

    name = f"untrained-{channels}" + (f"x{layers}" if layers != LAYERS else "")
    return Representation(name, embed, True, {**settings, "stereo": False, "scale": "log"})


def trained(name: str, settings: dict[str, Any], init: str | None = None) -> Representation:
    """Return an encoder that is trained on the labels.

    Args:
        name: of the row.
        settings: of the estimator.
        init: name of an encoder of the package, or a folder, with {dataset} and {seed} if it depends on them; records
            hold the name, or the SHA-256 of its weights.
    """
    files = () if init is None or init in NAMED else (str(Path(init, ENCODER[0])),)
    score = functools.partial(fine_tuning.score, settings={**settings, "init": init})
    known = settings if files else {**settings, "init": init}
    return Representation(name, None, True, known, files, score=score)


def from_file(name: str, pattern: str) -> Representation:
    """Return the vectors of files that `python -m graphcl_hard.embed` wrote, a file for each data set.

    Args:
        name: of the row.
        pattern: path of the files, with {dataset} and, where the vectors depend on it, {seed}. A file has the ids of
            the table's rows. Records hold its SHA-256, so that other files need another name.
    """

    def embed(molecules: Molecules, seed: int) -> Array:
        path = _path(pattern, molecules.dataset.name, seed)
        columns = read_columns(path, FILES)
        if "vectors" in columns:
            vectors = columns["vectors"]
        else:
            numbered = sorted(
                (name for name in columns if re.fullmatch(r"v\d+", name)),
                key=lambda one: int(one[1:]),
            )
            vectors = np.stack([columns[name] for name in numbered], axis=1)
        places = {row: place for place, row in enumerate(columns["id"].tolist())}
        if missing := [row for row in molecules.rows.tolist() if row not in places]:
            raise InputError(
                f"{path} must have a row for each readable molecule of {molecules.dataset.name}, lacks id "
                f"{missing[0]}; embed the whole table."
            )
        rows = molecules.dataset.rows
        # All data sets number their rows from 0, and no two have the same number of rows.
        if others := [row for row in places if row not in range(rows)]:
            raise InputError(
                f"{path} must have ids of the {rows} rows of {molecules.dataset.name}, 0 to {rows - 1}, got "
                f"{others[0]!r}; give the vectors of this table."
            )
        return vectors[[places[row] for row in molecules.rows.tolist()]]

    return Representation(name, embed, "{seed}" in pattern, files=(pattern,))


def from_folder(name: str, pattern: str) -> Representation:
    """Return the vectors of encoders in folders, on the log scale.

    Args:
        name: of the row.
        pattern: path of the folders that `python -m graphcl_hard.run` or `save_pretrained` wrote, with {seed} where
            there is one for each seed. Records hold the settings and the results of the run, and the SHA-256 of the
            weights, so that other weights need another name.
    """

    def embed(molecules: Molecules, seed: int) -> Array:
        folder = _path(pattern, molecules.dataset.name, seed)
        encoder = HardInfoGraph.from_pretrained(folder, scale="log")
        return encoder.transform(list(molecules.smiles))

    def run(seed: int) -> dict[str, Any]:
        path = _path(pattern, "", seed) / RESULT
        result = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        found = {name: result[name] for name in RUN if name in result}
        default, given = Config().identity(), result.get("config", {})
        found["settings"] = {
            name: given[name]
            for name in default
            if name != "dataset" and given.get(name, default[name]) != default[name]
        }
        return found

    files = (f"{pattern}/{ENCODER[0]}",)
    return Representation(name, embed, "{seed}" in pattern, {"scale": "log"}, files, run)


def _side_by_side(parts: list[Representation]) -> Representation:
    def embed(molecules: Molecules, seed: int) -> Array:
        return np.hstack([one.embed(molecules, seed).astype(np.float32) for one in parts])

    def run(seed: int) -> dict[str, Any]:
        return {one.name: {**one.settings, **one.run(seed)} for one in parts}

    return Representation(
        "+".join(one.name for one in parts),
        embed,
        any(one.seeded for one in parts),
        {one.name: dict(one.settings) for one in parts},
        tuple(pattern for one in parts for pattern in one.files),
        run,
    )


def read_representation(text: str) -> Representation:
    """Return the representation that a word of the command names.

    Args:
        text: `ecfp`, `atompair`, `untrained-CHANNELS`, `untrained-CHANNELSxLAYERS`, `NAME=FILES` as in `from_file`,
            `NAME=FOLDERS` as in `from_folder`, or several of them joined by +; or `scratch-CHANNELS`,
            `scratch-CHANNELSxLAYERS`, `fine-tuned=ENCODER` or `fine-tuned-NAME=ENCODER`, with the name of an encoder of
            the package or a folder.

    Raises:
        InputError: there is no such representation.
    """
    parts = [_read(one) for one in text.split("+")]
    if len(parts) > 1 and any(one.score for one in parts):
        raise InputError(
            f"A representation that is trained on the labels has no vectors, got {text!r}; give it by itself."
        )
    return parts[0] if len(parts) == 1 else _side_by_side(parts)


def _read(text: str) -> Representation:
    if text in FINGERPRINTS:
        return FINGERPRINTS[text]
    if found := re.fullmatch(r"untrained-(\d+)(?:x(\d+))?", text):
        return untrained(int(found[1]), int(found[2] or LAYERS))
    if found := re.fullmatch(r"scratch-(\d+)(?:x(\d+))?", text):
        sizes = {"hidden_channels": int(found[1]), "num_layers": int(found[2] or LAYERS)}
        return trained(text, {**fine_tuning.SCRATCH, **sizes})
    name, equals, pattern = text.partition("=")
    if equals and re.fullmatch(r"[\w.-]+", name) and pattern:
        if re.search(r"[{}]", re.sub(r"{(dataset|seed)}", "", pattern)):
            raise InputError(
                f"The files of {name} may have {{dataset}} and {{seed}} in braces, got {pattern!r}; correct it."
            )
        if name.startswith("fine-tuned"):
            return trained(name, fine_tuning.FINE_TUNED, pattern)
        return (from_file if pattern.endswith(FILES) else from_folder)(name, pattern)
    raise InputError(
        f"A representation must be {', '.join(FINGERPRINTS)}, untrained-CHANNELS, NAME=FILES or NAME=FOLDERS, got "
        f"{text!r}; correct it."
    )
