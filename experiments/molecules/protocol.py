"""The protocol: frozen vectors, a head tuned inside the training part, and a score on one held-out part.

- Validation: the head is tuned and fitted on the training part, and scored on the validation part. Everything that
  chooses a recipe uses these scores. No label of a test part is read.
- Test: the head is tuned and fitted on the training and the validation part, as in the published study, and scored on
  the test part. Each call is counted in a file beside the records.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from experiments.molecules.datasets import Molecules, check_split
from experiments.molecules.fine_tuning import HEAD
from experiments.molecules.heads import HEADS, PUBLISHED, choose, predict, scores_on
from experiments.molecules.representations import Representation
from graphcl_hard.exceptions import InputError
from graphcl_hard.io.atomic_write import atomic_write
from graphcl_hard.runs.environment import environment
from graphcl_hard.sweeps.records import Key, Record, key, read_records, write_record

Part = Literal["valid", "test"]
CALLS = "test_calls.json"


class Cell(NamedTuple):
    """One record to compute."""

    dataset: str
    representation: str
    split: str
    head: str
    part: Part
    seed: int

    @property
    def method(self) -> str:
        """Return the part of the record's key beside data set and seed."""
        return ".".join((self.representation, self.split, self.head, self.part))

    @property
    def key(self) -> Key:
        """Return the key of its record."""
        return self.dataset, self.method, self.seed


def cells_of(
    dataset: str,
    representations: Iterable[Representation],
    splits: Iterable[str],
    heads: Iterable[str],
    part: Part,
    seeds: Iterable[int],
) -> Iterator[Cell]:
    """Yield the cells of a data set; one that does not depend on the seed has only the first one.

    A representation that is trained on the labels has a head of its own.

    Raises:
        InputError: a test score of an inner split is asked for, which has none, or a validation score of a random
            split, whose validation part has molecules of OGB's test part; or a head or split is unknown.
    """
    seeds, heads, splits = tuple(seeds), tuple(heads), tuple(splits)
    known = HEADS if part == "valid" else PUBLISHED
    for head in heads:
        if head not in known:
            raise InputError(
                f"A head of a {part} score must be one of {', '.join(known)}, got {head!r}; correct it."
            )
    wrong = "inner-" if part == "test" else "random-"
    for split in splits:
        check_split(split)
        if split.startswith(wrong):
            raise InputError(
                f"A {part} score needs the split ogb or {'random-N' if part == 'test' else 'inner-N'}, got {split!r}; "
                "choose another split."
            )
    for one in representations:
        for seed in seeds if one.seeded else seeds[:1]:
            for split in splits:
                for head in heads if one.score is None else (HEAD,):
                    yield Cell(dataset, one.name, split, head, part, seed)


def lacking_cells(
    cells: Sequence[Cell], representations: Mapping[str, Representation], folder: Path
) -> list[Cell]:
    """Return the cells that have no record.

    Args:
        cells: of any data sets.
        representations: name -> representation.
        folder: of the records.

    Raises:
        InputError: records of a data set, representation and seed are of vectors of other files.
    """
    records = read_records(folder) if folder.exists() else []
    present = {key(record) for record in records}
    wanted = dict.fromkeys((one.dataset, one.representation, one.seed) for one in cells)
    found = {each: representations[each[1]].digests(each[0], each[2]) for each in wanted}
    for record in records:
        each = (record["dataset"], record["representation"], record["seed"])
        old = [one["sha256"] for one in record["settings"].get("files", [])]
        if each in found and old != found[each]:
            raise InputError(
                f"The files of {each[1]} for {each[0]}, seed {each[2]}, must have the SHA-256 of its records, "
                f"{_listed(old)}, got {_listed(found[each])}; give the new vectors another name."
            )
    return [cell for cell in cells if cell.key not in present]


def _listed(digests: Sequence[str]) -> str:
    return ", ".join(digests) or "none"


def score(molecules: Molecules, x: npt.NDArray[Any], split: str, head: str, part: Part) -> Record:
    """Return the scores of a head on one part of a split, and what was chosen.

    Args:
        molecules: M of them.
        x: (M, D) their vectors.
        split: name of the split.
        head: name of the head.
        part: to score. The labels of other held-out parts are not looked at.

    Returns:
        "scores" (ROC AUC or R2 of each target, None where it is undefined), "score" (their mean), for measured values
        also "rmse"; "chosen", "inner_score" and "tried" of the head; the sizes of both parts, and D as "columns".
    """
    parts, task = molecules.split(split), molecules.dataset.task
    fit = parts.train if part == "valid" else np.concatenate([parts.train, parts.valid])
    held_out = parts.valid if part == "valid" else parts.test
    start = time.perf_counter()
    chosen = choose(HEADS[head], task, x[fit], molecules.y[fit])
    found = predict(HEADS[head], task, x[fit], molecules.y[fit], x[held_out], chosen.value)
    return {
        **scores_on(molecules, held_out, found),
        "chosen": {} if chosen.score is None else {HEADS[head].parameter: chosen.value},
        "inner_score": chosen.score,
        "tried": chosen.tried,
        "train_size": len(fit),
        "held_out_size": len(held_out),
        "columns": x.shape[1],
        "seconds": time.perf_counter() - start,
    }


def compute(
    cells: Sequence[Cell],
    molecules: Molecules,
    representations: Mapping[str, Representation],
    folder: Path,
    before_score: Callable[[], object] = lambda: None,
) -> int:
    """Compute the cells of one data set that have no record, and write each record at once.

    Args:
        cells: of the data set, in an order in which the cells of one representation and seed follow each other.
        molecules: of the data set.
        representations: name -> representation.
        folder: of the records.
        before_score: called before each score, when the vectors are there.

    Returns:
        How many records were written.

    Raises:
        InputError: there are records of other files, see `lacking_cells`; or a file of vectors is of other molecules.
    """
    lacking = lacking_cells(cells, representations, folder)
    made, x, seconds, settings = None, None, 0.0, dict[str, Any]()
    known = {**environment(), "rdkit": version("rdkit")}
    for cell in lacking:
        one = representations[cell.representation]
        if made != (cell.representation, cell.seed):
            start = time.perf_counter()
            x = None if one.score else one.embed(molecules, cell.seed)
            seconds, made = time.perf_counter() - start, (cell.representation, cell.seed)
            settings = one.settings_of(cell.dataset, cell.seed)
        before_score()
        if one.score is None:
            found = score(molecules, x, cell.split, cell.head, cell.part)
        else:
            found = one.score(molecules, cell.split, cell.part, cell.seed)
        record = {
            "dataset": cell.dataset,
            "method": cell.method,
            "seed": cell.seed,
            **{name: getattr(cell, name) for name in ("representation", "split", "head", "part")},
            "task": molecules.dataset.task,
            "settings": settings,
            "seeded": one.seeded,
            "molecules": len(molecules.rows),
            "unreadable": molecules.unreadable,
            **found,
            "embedding_seconds": seconds,
            "date": datetime.now(timezone.utc).date().isoformat(),
            **known,
        }
        write_record(folder, record)
        print(f"{cell.dataset} {cell.method} seed {cell.seed}: {found['score']:.4f}", flush=True)
    return len(lacking)


def count_call(out: Path, cells: Sequence[Cell]) -> int:
    """Note in a file that the test part is about to be scored; returns how often it was, with this call.

    Args:
        out: folder of the file.
        cells: that are to be computed.
    """
    path = out / CALLS
    calls = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    call: dict[str, Any] = {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "cells": len(cells),
    }
    for name in ("dataset", "representation", "split", "head"):
        call[name] = list(dict.fromkeys(getattr(cell, name) for cell in cells))
    out.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as partial:
        text = json.dumps([*calls, call], indent=2, allow_nan=False)
        partial.write_text(text + "\n", encoding="utf-8")
    return len(calls) + 1
