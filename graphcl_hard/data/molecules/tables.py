"""Read files of molecules as chunks of graphs: tables and lists of SMILES, and SDF."""

import csv
import dataclasses
import gzip
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from graphcl_hard.data.graph_data import GraphData
from graphcl_hard.data.labels import Labels, read_labels, read_targets
from graphcl_hard.data.molecules.featurize import (
    LeftOut,
    MolBlock,
    Part,
    check_rdkit,
    converted,
    join,
)
from graphcl_hard.data.molecules.vocabulary import MOLECULES, WITHOUT_STEREO
from graphcl_hard.data.shards import SHARD_GRAPHS
from graphcl_hard.exceptions import InputError, first_line, short_repr
from graphcl_hard.io.atomic_write import atomic_write
from graphcl_hard.io.file_names import MOLECULE_FILES, SDF, SMI, TABLES
from graphcl_hard.io.text_tables import read_rows

SMILES, NAME, END = "smiles", "name", "$$$$"
"""The columns of .smi; .sdf has `NAME`, the first line of a record, beside its properties."""


def molecule_chunks(
    path: Path,
    column: str = SMILES,
    labels: Sequence[str] = (),
    on_invalid: Callable[[LeftOut], object] | None = None,
    id_column: str | None = None,
    *,
    stereo: bool = True,
    jobs: int = 1,
) -> Iterator[GraphData]:
    """Yield the molecules of a file as graphs, a few thousand at a time, see `molecule_graphs`.

    OGB's files have the same labels with other numbers (carbon is 5, not 6), so an encoder trained on one kind of file
    cannot be used for the other.

    Args:
        path: a .csv or .csv.gz file with a header line, a .parquet file, a .smi or .smi.gz file (in each line a SMILES,
            and perhaps a name after a space), or a .sdf or .sdf.gz file. The rows of a text file, and so the ids, are
            those of pandas: blank lines are left out, see `io.text_tables.read_rows`.
        column: name of the column with the SMILES, in .csv and .parquet files.
        labels: names of the columns, or properties in .sdf files, with the labels; one column is read as in
            `read_labels`, several, of numbers, as in `read_targets`; empty: no labels.
        on_invalid: called for each row that RDKit cannot read; the row is left out. None: such a row is an error.
        id_column: name of the column with the ids; None: the ids are the numbers of the rows, from 0. In .smi and .sdf
            files "name" is the molecule's name.
        stereo: as in `molecule_graphs`.
        jobs: as in `molecule_graphs`.

    Yields:
        `GraphData` with node_label (N, 9), edge_label (E, 3), the labels and the ids.

    Raises:
        InputError: the file, a column or a row cannot be read, or all rows are left out; an id is missing or there
            twice; or RDKit, or pyarrow for .parquet, is not installed.
    """
    check_rdkit()
    if not path.is_file():
        raise InputError(f"The file {path} does not exist; name a file of molecules.")
    if not path.name.endswith(MOLECULE_FILES):
        raise InputError(f"{path} must end in {', '.join(MOLECULE_FILES)}; save it as one of them.")
    is_table = path.name.endswith(TABLES)
    named = [("`smiles`", column)] if is_table else []
    named += [("`labels`", label) for label in labels]
    named += [] if id_column is None else [("`id`", id_column)]
    # Labels and ids are read first, since a later row can make measured targets of numbers, or names of ids.
    found = _labels(path, named, labels) if labels else None
    ids = None if id_column is None else _ids(_column(path, named, id_column), path, id_column)
    if path.name.endswith(SDF):
        given: Iterator[Any] = _guarded(path, (record.block for record in _records(path)))
    else:
        given = _column(path, named, column if is_table else SMILES)
    parts: list[tuple[int, Part]] = []
    first: LeftOut | None = None
    rows = kept = 0
    for done, part in converted(given, MOLECULES if stereo else WITHOUT_STEREO, jobs):
        for position, text, reason in part.invalid:
            row = done + position
            one = LeftOut(row, row if ids is None else ids.of_left_out(row), text, reason)
            if on_invalid is None:
                raise InputError(
                    f"Row {row} of {path} (from 0) holds {short_repr(text)}, but {reason}; correct it, or leave such "
                    "rows out with `skip_invalid=True`."
                )
            on_invalid(one)
            first = first or one
        parts.append((done, part))
        kept += len(part.valid)
        rows = done + len(part.valid) + len(part.invalid)
        if sum(len(held.valid) for _, held in parts) >= SHARD_GRAPHS:
            yield _chunk(parts, ids, found)
            parts = []
    if any(len(part.valid) for _, part in parts):
        yield _chunk(parts, ids, found)
    if not rows:
        raise InputError(f"{path} has no molecules, must have at least one; fetch it again.")
    if first is not None and not kept:
        raise InputError(
            f"None of the {rows} rows of {path} is a molecule; the first, {short_repr(first.smiles)}, is left out "
            f"because {first.reason}; name the column of the SMILES with `smiles`, or correct it."
        )


class Ids(NamedTuple):
    """The ids of all rows."""

    values: NDArray[Any]
    """(R,) int64 if all are integers, else str; arbitrary where there is none."""
    missing: NDArray[np.bool_]
    where: str

    def of(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Return the ids of some rows, or raise `InputError` if one has none."""
        if self.missing[rows].any():
            row = rows[self.missing[rows]][0]
            raise InputError(
                f"{self.where} has no id in row {row} (from 0); add it, or leave `id` out to number the rows."
            )
        return self.values[rows]

    def of_left_out(self, row: int) -> int | str:
        """Return the id of a row, or its number if it has none."""
        found: int | str = row if self.missing[row] else self.values[row].item()
        return found


def write_left_out(path: Path, left_out: Sequence[LeftOut]) -> None:
    """Write the molecules that were left out to a CSV file."""
    with atomic_write(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(LeftOut._fields)
        table.writerows(left_out)


def describe_left_out(left_out: Sequence[LeftOut], kept: int, path: Path) -> str:
    """Return a sentence about the molecules that were left out, which `write_left_out` wrote to a file."""
    first = left_out[0]
    return (
        f"{len(left_out)} of {len(left_out) + kept} rows are left out and listed in {path}; the first is row "
        f"{first.row} (from 0), {short_repr(first.smiles)}: {first.reason}."
    )


def _chunk(parts: Sequence[tuple[int, Part]], ids: Ids | None, labels: Labels | None) -> GraphData:
    rows = np.concatenate([part.valid + done for done, part in parts])
    graphs = join([part for _, part in parts], ids=rows if ids is None else ids.of(rows))
    if labels is None:
        return graphs
    return dataclasses.replace(graphs, **labels._replace(y=labels.y[rows])._asdict())


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


def _ids(values: Iterable[Any], path: Path, column: str) -> Ids:
    found: dict[str, int] = {}
    texts: list[str] = []
    where = f"The column {column!r} of {path}"
    for row, value in enumerate(values):
        text = "" if value is None else str(value).strip()
        texts.append(text)
        if text and found.setdefault(text, row) != row:
            raise InputError(
                f"{where} has the id {short_repr(text)} in rows {found[text]} and {row} (from 0), must have each id "
                "once; correct it, or leave `id` out to number the rows."
            )
    whole = all(re.fullmatch(r"0|-?[1-9]\d{0,17}", text) for text in found)
    missing = np.array([not text for text in texts], dtype=bool)
    if whole:
        return Ids(np.array([int(text or 0) for text in texts], dtype=np.int64), missing, where)
    return Ids(np.array(texts, dtype=str), missing, where)


def _column(path: Path, named: Sequence[tuple[str, str]], column: str) -> Iterator[Any]:
    """Yield a column of a file; `named` has the argument and the name of each column that must be there."""
    readers = dict.fromkeys(SMI, _smi) | dict.fromkeys(SDF, _sdf) | {".parquet": _parquet}
    read = next((one for end, one in readers.items() if path.name.endswith(end)), _csv)
    return _guarded(path, read(path, named, column))


def _guarded(path: Path, values: Iterator[Any]) -> Iterator[Any]:
    """Yield values, with a sentence for a file that cannot be read."""
    try:
        yield from values
    except InputError:
        raise
    except (csv.Error, EOFError, OSError, ValueError, zlib.error) as error:
        reason = first_line(error)
        raise InputError(
            f"{path} cannot be read: {reason.rstrip('.')}; give a file of molecules."
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


def _smi(path: Path, named: Sequence[tuple[str, str]], column: str) -> Iterator[Any]:
    _check(path, named, [SMILES, NAME])
    for number, line in enumerate(_lines(path)):
        found = LINE.fullmatch(line.rstrip())
        if found is None or not line.strip():
            continue
        smiles, name = found["smiles"], found["name"]
        if number == 0 and smiles is not None and smiles.lower().endswith(SMILES):  # a header
            continue
        yield smiles if column == SMILES else name


LINE = re.compile(r"(?: *(?P<smiles>[^\s]+(?:\s+\|[^|]*\|)?)|(?=\t))(?:\s+(?P<name>.*))?")
"""A SMILES, perhaps with the extensions of CXSMILES between bars, and a name."""


class Record(NamedTuple):
    """A record of an SDF file."""

    block: MolBlock
    title: str
    properties: dict[str, str]


def _sdf(path: Path, named: Sequence[tuple[str, str]], column: str) -> Iterator[Any]:
    names, values = {NAME}, []
    for row, record in enumerate(_records(path)):
        if NAME in record.properties and column == NAME:
            raise InputError(
                f"Row {row} of {path} (from 0) has a title and a property {NAME!r}, must have one of them; rename the "
                "property."
            )
        names |= record.properties.keys()
        values.append(record.title if column == NAME else record.properties.get(column))
    _check(path, named, sorted(names))
    yield from values


def _records(path: Path) -> Iterator[Record]:
    """Yield the records of an SDF file, each of which ends with $$$$."""
    lines: list[str] = []
    count = 0
    for line in _lines(path):
        if line.rstrip() != END:
            lines.append(line.rstrip("\r\n"))
            continue
        yield _record(lines)
        count += 1
        lines = []
    if any(line.strip() for line in lines):
        raise InputError(
            f"{path} ends within row {count} (from 0), must end with {END}; fetch it again if it is truncated, or add "
            "the line."
        )


def _record(lines: Sequence[str]) -> Record:
    heads = [at for at, line in enumerate(lines) if line.startswith(">")]
    properties = {}
    for head in heads:
        name = re.search(r"<([^>]*)>", lines[head])
        end = next((at for at in range(head, len(lines)) if not lines[at].strip()), len(lines))
        if name is not None:
            properties[name[1]] = "\n".join(lines[head + 1 : end])
    block = lines[: heads[0]] if heads else lines
    return Record(MolBlock("\n".join(block) + "\n"), lines[0].strip() if lines else "", properties)


def _lines(path: Path) -> Iterator[str]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8-sig") as file:
        yield from file


def _check(path: Path, named: Sequence[tuple[str, str]], found: Sequence[str]) -> None:
    for flag, column in named:
        if list(found).count(column) > 1:
            raise InputError(
                f"{path} has {list(found).count(column)} columns {column!r}; rename all but one."
            )
        if column not in found:
            raise InputError(
                f"{path} has no column {column!r}, it has {', '.join(map(str, found))[:300] or 'none'}; name one with "
                f"{flag}."
            )
