"""Read tables of SMILES as chunks of graphs, and number the classes of a table."""

import csv
import dataclasses
import gzip
import itertools
import math
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from graphcl_hard.data.collate import to_graph_data
from graphcl_hard.data.graph_data import GraphData
from graphcl_hard.data.shards import SHARD_GRAPHS
from graphcl_hard.exceptions import InputError, first_line, short_repr


class ClassLabels:
    """Numbers for the classes of a table that is read row by row.

    Integers are kept; names are numbered in the order of appearance.

    Args:
        column: name of the column, for error messages.
    """

    def __init__(self, column: object) -> None:
        self._column = column
        self._names: dict[str, int] = {}
        self._are_names: bool | None = None

    def number(self, value: object, where: str) -> int:
        """Return the number of the class of a row.

        Args:
            value: the entry of the column.
            where: name of the row, for error messages.

        Raises:
            InputError: the entry is missing, a number that is not an integer, a name among integers or an integer
                among names.
        """
        value = value.item() if isinstance(value, np.generic) else value
        text = (
            ""
            if value is None or (isinstance(value, float) and math.isnan(value))
            else str(value).strip()
        )
        is_whole = re.fullmatch(r"[+-]?\d{1,18}(\.0*)?", text) is not None
        is_number = is_whole or re.fullmatch(
            r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|nan|inf", text, re.IGNORECASE
        )
        if self._are_names is None:
            self._are_names = bool(text) and not is_number
        if not text or (is_number and not is_whole) or self._are_names == is_whole:
            raise InputError(
                f"{where} has the {self._column} {short_repr(value)}, must be a class: an integer in every "
                "row, or a name in every row; leave `label` out to convert without classes."
            )
        return (
            self._names.setdefault(text, len(self._names))
            if self._are_names
            else int(text.partition(".")[0])
        )


SUFFIXES = (".csv", ".csv.gz", ".parquet")


def smiles_chunks(
    path: Path,
    column: str = "smiles",
    label: str | None = None,
    on_invalid: Callable[[str], object] | None = None,
) -> Iterator[GraphData]:
    """Yield the molecules of a table as graphs, a few thousand at a time.

    Atoms have nine labels and bonds three, those of PyTorch Geometric's `from_rdmol`: atomic number, chirality, degree,
    charge, number of hydrogens, radical electrons, hybridisation, aromaticity and ring membership; bond type, stereo
    and conjugation. OGB's files have the same labels with other numbers (carbon is 5, not 6), so an encoder trained on
    one kind of file cannot be used for the other. Hydrogens are not nodes.

    Args:
        path: a .csv or .csv.gz file with a header line, or a .parquet file.
        column: name of the column with the SMILES.
        label: name of the column with the classes, integers or names; None: no classes.
        on_invalid: called with a sentence for each row that RDKit cannot read, or that has an atom without such labels
            (a charge outside -5 to 6); the row is skipped. None: such a row is an error.

    Yields:
        `GraphData` with node_label (N, 9), edge_label (E, 3) and the classes `y`, or 0 without classes.

    Raises:
        InputError: the file, a column or a row cannot be read; or RDKit, or pyarrow for .parquet, is not installed.

    Source: Hu et al., "Open Graph Benchmark", NeurIPS 2020 (the labels of atoms and bonds).
    """
    try:
        from rdkit import Chem, rdBase
        from torch_geometric.utils import from_rdmol
    except ImportError as error:
        raise InputError("Reading SMILES needs RDKit; install graphcl_hard[molecules].") from error
    rows = enumerate(_rows(path, [column] if label is None else [column, label]), 1)
    classes = ClassLabels(label)
    while some := list(itertools.islice(rows, SHARD_GRAPHS)):
        graphs, y = [], []
        for number, row in some:
            text = row[0]
            with rdBase.BlockLogs():  # RDKit would print what the message below says
                molecule = (
                    Chem.MolFromSmiles(text) if isinstance(text, str) and text.strip() else None
                )
            why = "which RDKit cannot read as SMILES"
            try:
                graph = None if molecule is None else from_rdmol(molecule)
            except ValueError:
                graph, why = (
                    None,
                    "with an atom that has no such labels, such as a charge outside -5 to 6",
                )
            if graph is None:
                where = f"Row {number} of {path} (from 1) holds {short_repr(text)}, {why}"
                if on_invalid is None:
                    raise InputError(
                        f"{where}; correct it, or skip such rows with `skip_invalid=True`."
                    )
                on_invalid(f"{where}; it is skipped.")
                continue
            graphs.append(graph)
            y.append(
                0 if label is None else classes.number(row[1], f"Row {number} of {path} (from 1)")
            )
        if graphs:
            chunk = to_graph_data(
                graphs, node_label="x", node_attr=(), edge_label="edge_attr", edge_attr=()
            )
            yield dataclasses.replace(chunk, y=torch.tensor(y))


def _rows(path: Path, columns: list[str]) -> Iterator[tuple[Any, ...]]:
    try:
        yield from _parquet(path, columns) if path.suffix == ".parquet" else _csv(path, columns)
    except InputError:
        raise
    except (csv.Error, EOFError, OSError, ValueError, zlib.error) as error:
        reason = first_line(error)
        raise InputError(
            f"{path} cannot be read: {reason.rstrip('.')}; give a table of molecules."
        ) from error


def _csv(path: Path, columns: list[str]) -> Iterator[tuple[Any, ...]]:
    with (gzip.open if path.suffix == ".gz" else open)(
        path, "rt", encoding="utf-8-sig", newline=""
    ) as file:
        table = csv.reader(
            file, strict=True
        )  # otherwise an unclosed quote would swallow all following rows
        names = next(table, [])
        _check(path, columns, names)
        places = [names.index(column) for column in columns]
        for number, row in enumerate(filter(None, table), 1):
            if len(row) != len(names):
                raise InputError(
                    f"Row {number} of {path} (from 1) has {len(row)} values, must have {len(names)}; correct it, "
                    "and quote values that contain a comma."
                )
            yield tuple(row[place] for place in places)


def _parquet(path: Path, columns: list[str]) -> Iterator[tuple[Any, ...]]:
    try:
        import pyarrow.parquet as pq
    except ImportError as error:
        raise InputError(
            ".parquet files need pyarrow; install graphcl_hard[parquet], or give a .csv."
        ) from error
    with pq.ParquetFile(path) as file:
        _check(path, columns, file.schema_arrow.names)
        for batch in file.iter_batches(SHARD_GRAPHS, columns=columns):
            yield from zip(*(batch.column(column).to_pylist() for column in columns), strict=True)


def _check(path: Path, columns: list[str], found: list[str]) -> None:
    for column in columns:
        flag = "`smiles`" if column == columns[0] else "`label`"
        if found.count(column) > 1:
            raise InputError(
                f"{path} has {found.count(column)} columns {column!r}; rename all but one."
            )
        if column not in found:
            raise InputError(
                f"{path} has no column {column!r}, it has {', '.join(map(str, found))[:300] or 'none'}; name one with "
                f"{flag}."
            )
