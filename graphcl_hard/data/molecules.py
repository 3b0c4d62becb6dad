"""Read tables of SMILES as chunks of graphs."""

import csv
import dataclasses
import itertools
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from graphcl_hard.data.collate import to_graph_data
from graphcl_hard.data.graph_data import GraphData
from graphcl_hard.data.labels import Labels, read_labels, read_targets
from graphcl_hard.data.shards import SHARD_GRAPHS
from graphcl_hard.exceptions import InputError, first_line, short_repr
from graphcl_hard.io.text_tables import read_rows

SUFFIXES = (".csv", ".csv.gz", ".parquet")


class LeftOut(NamedTuple):
    """A row of a table that is not among the graphs."""

    row: int
    """From 0."""
    id: int | str
    smiles: str
    reason: str


def smiles_chunks(
    path: Path,
    column: str = "smiles",
    labels: Sequence[str] = (),
    on_invalid: Callable[[LeftOut], object] | None = None,
    id_column: str | None = None,
) -> Iterator[GraphData]:
    """Yield the molecules of a table as graphs, a few thousand at a time.

    Atoms have nine labels and bonds three, those of PyTorch Geometric's `from_rdmol`: atomic number, chirality, degree,
    charge, number of hydrogens, radical electrons, hybridisation, aromaticity and ring membership; bond type, stereo
    and conjugation. OGB's files have the same labels with other numbers (carbon is 5, not 6), so an encoder trained on
    one kind of file cannot be used for the other. Hydrogens are not nodes.

    Args:
        path: a .csv or .csv.gz file with a header line, or a .parquet file. The rows of a text file, and so the ids,
            are those of pandas: blank lines are left out, see `io.text_tables.read_rows`.
        column: name of the column with the SMILES.
        labels: names of the columns with the labels; one column is read as in `read_labels`, several, of numbers, as in
            `read_targets`; empty: no labels.
        on_invalid: called for each row that RDKit cannot read, or that has an atom or bond without such labels (a
            charge outside -5 to 6); the row is left out. None: such a row is an error.
        id_column: name of the column with the ids; None: the ids are the numbers of the rows, from 0.

    Yields:
        `GraphData` with node_label (N, 9), edge_label (E, 3), the labels and the ids.

    Raises:
        InputError: the file, a column or a row cannot be read; an id is missing or there twice; or RDKit, or pyarrow
            for .parquet, is not installed.

    Source: Hu et al., "Open Graph Benchmark", NeurIPS 2020 (the labels of atoms and bonds).
    """
    try:
        from rdkit import Chem, rdBase
        from torch_geometric.utils import from_rdmol
    except ImportError as error:
        raise InputError("Reading SMILES needs RDKit; install graphcl_hard[molecules].") from error
    named = [("`smiles`", column), *(("`labels`", label) for label in labels)]
    named += [] if id_column is None else [("`id`", id_column)]
    # Labels and ids are read first, since a later row can make measured targets of numbers, or names of ids.
    found = _labels(path, named, labels) if labels else None
    ids = None if id_column is None else _ids(_column(path, named, id_column), path, id_column)
    rows = enumerate(_column(path, named, column))
    while some := list(itertools.islice(rows, SHARD_GRAPHS)):
        graphs, kept = [], []
        for row, text in some:
            with rdBase.BlockLogs():  # RDKit would print what the message below says
                molecule = (
                    Chem.MolFromSmiles(text) if isinstance(text, str) and text.strip() else None
                )
            reason = "RDKit cannot read it as SMILES"
            graph = None
            if molecule is not None:
                try:
                    graph = from_rdmol(molecule)
                except ValueError:
                    reason = f"it has {_unknown_value(molecule)}, for which there is no label"
            if graph is not None:
                graphs.append(graph)
                kept.append(row)
                continue
            if on_invalid is None:
                raise InputError(
                    f"Row {row} of {path} (from 0) holds {short_repr(text)}, but {reason}; correct it, or leave such "
                    "rows out with `skip_invalid=True`."
                )
            name = row if ids is None else ids[row].item()
            on_invalid(LeftOut(row, name, "" if text is None else str(text), reason))
        if graphs:
            chunk = to_graph_data(
                graphs, node_label="x", node_attr=(), edge_label="edge_attr", edge_attr=()
            )
            values: dict[str, Any] = {"ids": np.array(kept) if ids is None else ids[kept]}
            if found is not None:
                values |= found._replace(y=found.y[kept])._asdict()
            yield dataclasses.replace(chunk, **values)


def _labels(path: Path, named: Sequence[tuple[str, str]], labels: Sequence[str]) -> Labels:
    """Return the labels of all rows: those of one column, or several targets."""
    if len(labels) == 1:
        column = _column(path, named, labels[0])
        return read_labels(column, f"The column {labels[0]!r} of {path}", from_file=True)
    columns = {label: _column(path, named, label) for label in labels}
    if len(columns) < len(labels):
        raise InputError(
            f"`labels` must name each column once, got {' '.join(labels)}; leave the repeated one out."
        )
    return read_targets(columns, f"In {path}, the column")


def _unknown_value(molecule: Any) -> str:
    """Describe the first value of an atom or a bond of an RDKit molecule that PyG's labels do not have."""
    from torch_geometric.utils.smiles import e_map, x_map

    for atom in molecule.GetAtoms():
        values = {
            "chirality": str(atom.GetChiralTag()),
            "degree": atom.GetTotalDegree(),
            "formal_charge": atom.GetFormalCharge(),
            "num_hs": atom.GetTotalNumHs(),
            "num_radical_electrons": atom.GetNumRadicalElectrons(),
            "hybridization": str(atom.GetHybridization()),
        }
        for name, value in values.items():
            if value not in x_map[name]:
                return f"an atom {atom.GetSymbol()} of {name.replace('_', ' ')} {value}"
    for bond in molecule.GetBonds():
        for name, value in (("bond_type", bond.GetBondType()), ("stereo", bond.GetStereo())):
            if str(value) not in e_map[name]:
                return f"a bond of {name.replace('_', ' ')} {value}"
    return "an atom or a bond of an unknown kind"


def _ids(values: Iterable[Any], path: Path, column: str) -> NDArray[Any]:
    """Return the ids of all rows: int64 if all are integers, else str."""
    found: dict[str, int] = {}
    where = f"The column {column!r} of {path}"
    for row, value in enumerate(values):
        text = "" if value is None else str(value).strip()
        if not text:
            raise InputError(
                f"{where} has no id in row {row} (from 0); add it, or leave `id` out to number the rows."
            )
        if found.setdefault(text, row) != row:
            raise InputError(
                f"{where} has the id {short_repr(text)} in rows {found[text]} and {row} (from 0), must have each id "
                "once; correct it, or leave `id` out to number the rows."
            )
    whole = all(re.fullmatch(r"0|-?[1-9]\d{0,17}", text) for text in found)
    return np.array(list(found), dtype=np.int64 if whole else str)


def _column(path: Path, named: Sequence[tuple[str, str]], column: str) -> Iterator[Any]:
    """Yield a column of a table; `named` has the argument and the name of each column that must be there."""
    try:
        yield from (
            _parquet(path, named, column)
            if path.suffix == ".parquet"
            else _csv(path, named, column)
        )
    except InputError:
        raise
    except (csv.Error, EOFError, OSError, ValueError, zlib.error) as error:
        reason = first_line(error)
        raise InputError(
            f"{path} cannot be read: {reason.rstrip('.')}; give a table of molecules."
        ) from error


def _csv(path: Path, named: Sequence[tuple[str, str]], column: str) -> Iterator[Any]:
    rows = read_rows(path)
    names = next(rows, [])
    _check(path, named, names)
    place = names.index(column)
    for row in rows:
        yield row[place]


def _parquet(path: Path, named: Sequence[tuple[str, str]], column: str) -> Iterator[Any]:
    try:
        import pyarrow.parquet as pq
    except ImportError as error:
        raise InputError(
            ".parquet files need pyarrow; install graphcl_hard[parquet], or give a .csv."
        ) from error
    with pq.ParquetFile(path) as file:
        _check(path, named, file.schema_arrow.names)
        for batch in file.iter_batches(SHARD_GRAPHS, columns=[column]):
            yield from batch.column(column).to_pylist()


def _check(path: Path, named: Sequence[tuple[str, str]], found: list[str]) -> None:
    for flag, column in named:
        if found.count(column) > 1:
            raise InputError(
                f"{path} has {found.count(column)} columns {column!r}; rename all but one."
            )
        if column not in found:
            raise InputError(
                f"{path} has no column {column!r}, it has {', '.join(map(str, found))[:300] or 'none'}; name one with "
                f"{flag}."
            )
