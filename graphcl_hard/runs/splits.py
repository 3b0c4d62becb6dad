"""How saved vectors are split into parts to train on and to test on: by numbered folds, given parts, or scaffolds."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from graphcl_hard.evaluation.splitters import (
    PARTS,
    ScaffoldKFold,
    Split,
    named_split,
    read_ogb_split,
    scaffold_split,
)
from graphcl_hard.evaluation.targets import target_columns
from graphcl_hard.exceptions import InputError
from graphcl_hard.io.columns import READ, Array, aligned, read_column, split_column
from graphcl_hard.io.paths import user_path
from graphcl_hard.io.text_tables import is_missing_value
from graphcl_hard.io.vectors import VectorFile

CORRECTED = "[95% intervals] are corrected for overlapping training folds (Nadeau and Bengio)."
BOOTSTRAP = "[95% intervals] are of bootstrap resamples of the test graphs."
INSIDE = "parameters chosen inside the training folds"


class Protocol(NamedTuple):
    """How vectors are split."""

    cv: Any
    """The argument of `cross_validate`."""
    groups: Array | None = None
    """(G,) SMILES, for folds of scaffolds."""
    text: str = ""
    """A description for people; empty for numbered folds."""
    note: str | None = None
    """What people should know of rows that are in no part."""


def read_protocol(
    file: VectorFile,
    folds: int,
    splits: Sequence[str] = (),
    scaffold: str | None = None,
    scaffold_folds: int | None = None,
) -> Protocol:
    """Return how the rows of a file of vectors are split.

    Args:
        file: the vectors, with the columns that `splits` and `scaffold` name.
        folds: number of folds where nothing else is given.
        splits: columns of the file with the part of each row; files with such a column, or FILE:COLUMN; or folders of
            splits of OGB.
        scaffold: column of the file with SMILES, or FILE:COLUMN.
        scaffold_folds: number of folds of scaffolds; None: one split.

    Raises:
        InputError: a column or file is missing or does not fit, or there are too few scaffolds.
    """
    rows = len(next(iter(file.vectors.values())))
    if scaffold is not None:
        smiles = _smiles(file, scaffold, rows)
        if scaffold_folds is None:
            split = scaffold_split(smiles.tolist())
            return Protocol(split, text=f"Split by scaffolds: {_sizes(file, split)}. {BOOTSTRAP}")
        how = f"{scaffold_folds}-fold cross-validation, all molecules of a scaffold in one fold"
        return Protocol(ScaffoldKFold(scaffold_folds), smiles, f"{how}, {INSIDE}. {CORRECTED}")
    if not splits:
        return Protocol(folds)
    found = [_split(file, text, rows) for text in splits]
    left_out = rows - len(np.unique(np.concatenate([np.concatenate(split) for split in found])))
    note = f"{left_out} of {rows} graphs are in no part of the split." if left_out else None
    if len(found) == 1:
        text = f"Given split: {_sizes(file, found[0])}. {BOOTSTRAP}"
        return Protocol(found[0], text=text, note=note)
    return Protocol(found, text=f"{len(found)} given splits. {CORRECTED}", note=note)


def _sizes(file: VectorFile, split: Split) -> str:
    """Return the numbers of graphs in the parts of a split, of those that have a label."""
    columns = target_columns(file.labels).values()
    known = [[not is_missing_value(one) for one in column.tolist()] for column in columns]
    labelled = np.any(known, axis=0)
    train, valid, test = (int(labelled[part].sum()) for part in split)
    choice = f"{valid} to choose parameters" if valid else INSIDE
    counts = f"{train} graphs to train on, {choice}, {test} to test on"
    return f"{counts}, fewer for a target with gaps" if len(known) > 1 else counts


def _split(file: VectorFile, text: str, rows: int) -> Split:
    if text in file.aside:
        return named_split(file.aside[text].tolist(), f"The column {text!r}")
    path = user_path(text, "`split`")
    if path.is_dir():
        given = read_ogb_split(path)
        names = np.full(1 + max(int(part.max(initial=-1)) for part in given), None, dtype=object)
        for part, name in zip(given, PARTS, strict=True):
            names[part] = name
        numbered = None if file.ids is None else np.arange(len(names))
        if numbered is None and len(names) < rows:  # the last graphs are in no part
            names = np.append(names, np.full(rows - len(names), None, dtype=object))
        return named_split(aligned(path, names, numbered, file.ids, rows).tolist(), str(path))
    _check_source(text, "split", "a folder of OGB")
    source, values, ids = read_column(text, ["split"], "`split`")
    return named_split(aligned(source, values, ids, file.ids, rows).tolist(), str(source))


def _smiles(file: VectorFile, text: str, rows: int) -> Array:
    """Return the SMILES of all rows."""
    where, found = f"The column {text!r}", file.aside.get(text)
    if found is None:
        _check_source(text, "scaffold", "FILE:COLUMN")
        source, values, ids = read_column(text, ["smiles", "SMILES"], "`scaffold`")
        where, found = str(source), aligned(source, values, ids, file.ids, rows)
    missing = [row for row, one in enumerate(found.tolist()) if is_missing_value(one)]
    if missing:
        raise InputError(
            f"{where} has no SMILES for {len(missing)} of {rows} graphs, first for row {missing[0]} (from 0) of the "
            "vectors; add them."
        )
    return np.array(found.tolist(), dtype=object)


def _check_source(text: str, flag: str, other: str) -> None:
    if split_column(text, f"`{flag}`")[0].suffix not in READ:
        raise InputError(
            f"`{flag}` must be a column of the vectors' file, another file ({', '.join(READ)}) or {other}, got "
            f"{text!r}; name one of these."
        )
