"""Tables of molecules as SMILES to chunks of graphs, by RDKit and PyTorch Geometric."""

import csv
import dataclasses
import gzip
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from graphcl_hard.class_labels import ClassLabels
from graphcl_hard.errors import InputError, first_line, shown
from graphcl_hard.graph_data import GraphData
from graphcl_hard.graph_shards import SHARD_GRAPHS
from graphcl_hard.graphs import to_graph_data

SUFFIXES = (".csv", ".csv.gz", ".parquet")


def smiles_chunks(
    path: Path,
    column: str = "smiles",
    label: str | None = None,
    on_invalid: Callable[[str], object] | None = None,
) -> Iterator[GraphData]:
    """The molecules of a table, some thousands at a time.

    An atom has nine labels and a bond three, those of PyTorch Geometric's `from_rdmol`, which are OGB's: atomic number,
    chirality, degree, charge, hydrogens, radical electrons, hybridisation, aromatic, in a ring; kind of bond, stereo,
    conjugated. Hydrogens are not nodes.

    Args:
        path: .csv or .csv.gz, with a line of names, or .parquet.
        column: name of the column with the SMILES.
        label: name of the column with the classes, whole numbers or names; None: no classes.
        on_invalid: called with a sentence for each row that RDKit cannot read, which is left out; None: it is refused.

    Raises:
        InputError: the file, a column or a row cannot be read; or RDKit, or for .parquet pyarrow, is not installed.

    Source: Hu et al., "Open Graph Benchmark", NeurIPS 2020 (the labels of atoms and bonds).
    """
    try:
        from rdkit import Chem, rdBase
        from torch_geometric.utils import from_rdmol
    except ImportError as error:
        raise InputError("SMILES need RDKit; install graphcl_hard[molecules].") from error
    rows = enumerate(_rows(path, [column] if label is None else [column, label]), 1)
    classes = ClassLabels(label)
    while some := list(itertools.islice(rows, SHARD_GRAPHS)):
        graphs, y = [], []
        for number, row in some:
            text = row[0]
            with rdBase.BlockLogs():  # it prints what is told here
                molecule = Chem.MolFromSmiles(text) if isinstance(text, str) and text.strip() else None
            if molecule is None:
                where = f"Row {number} of {path} (from 1) holds {shown(text)}, which RDKit cannot read as SMILES"
                if on_invalid is None:
                    raise InputError(f"{where}; mend it, or leave such rows out by --skip-invalid.")
                on_invalid(f"{where}; it is left out.")
                continue
            graphs.append(from_rdmol(molecule))
            y.append(0 if label is None else classes.number(row[1], f"Row {number} of {path} (from 1)"))
        if graphs:
            chunk = to_graph_data(graphs, node_label="x", node_attr=(), edge_label="edge_attr", edge_attr=())
            yield dataclasses.replace(chunk, y=torch.tensor(y))


def _rows(path: Path, columns: list[str]) -> Iterator[tuple[Any, ...]]:
    try:
        yield from _parquet(path, columns) if path.suffix == ".parquet" else _csv(path, columns)
    except InputError:
        raise
    except (csv.Error, EOFError, OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or first_line(error)
        raise InputError(f"{path} cannot be read: {reason.rstrip('.')}; give a table of molecules.") from error


def _csv(path: Path, columns: list[str]) -> Iterator[tuple[Any, ...]]:
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8-sig", newline="") as file:
        table = csv.DictReader(file)
        _check(path, columns, list(table.fieldnames or ()))
        for row in table:
            yield tuple(row[column] for column in columns)


def _parquet(path: Path, columns: list[str]) -> Iterator[tuple[Any, ...]]:
    try:
        import pyarrow.parquet as pq
    except ImportError as error:
        raise InputError(".parquet needs pyarrow; install graphcl_hard[parquet], or give a .csv.") from error
    with pq.ParquetFile(path) as file:
        _check(path, columns, file.schema_arrow.names)
        for batch in file.iter_batches(SHARD_GRAPHS, columns=columns):
            yield from zip(*(batch.column(column).to_pylist() for column in columns), strict=True)


def _check(path: Path, columns: list[str], found: list[str]) -> None:
    for column in columns:
        if column not in found:
            flag = "--smiles" if column == columns[0] else "--label"
            raise InputError(
                f"{path} has no column {column!r}, it has {', '.join(map(str, found))[:300] or 'none'}; name one by "
                f"{flag}."
            )
