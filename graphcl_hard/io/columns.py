"""Read the columns and arrays of files by their names, and bring them into the order of other rows."""

import csv
import difflib
import lzma
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from graphcl_hard.exceptions import InputError, user_stacklevel
from graphcl_hard.io.paths import user_path
from graphcl_hard.io.text_tables import read_csv, read_lines

TEXT = (".csv", ".tsv")
TABLES = (*TEXT, ".parquet")
READ = (".npz", ".npy", *TABLES)
LABELS, IDS = "y", "id"

Array = npt.NDArray[Any]
# What the readers raise for a damaged file. Encrypted members of a zip file and unknown compressions are RuntimeErrors.
DAMAGED = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError, OSError),
    *(RuntimeError, TypeError, ValueError),
    *(csv.Error, lzma.LZMAError, struct.error, zipfile.BadZipFile, zlib.error),
)


def read_columns(path: Path, suffixes: Iterable[str]) -> dict[str, Array]:
    """Return the columns of a table, (G,), or the arrays of a file, by their names.

    Raises:
        InputError: the file is missing, damaged, of another kind, or contains pickled objects.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; give a file, such as the embeddings.npz of a run.")
    if not path.exists():
        raise InputError(f"The file {path} does not exist; correct its name.")
    if path.suffix not in suffixes:
        raise InputError(f"{path} must end in {', '.join(suffixes)}; save it as one of them.")
    try:
        if path.suffix in TEXT:
            return {name: np.array(column) for name, column in read_csv(path).items()}
        if path.suffix == ".txt":
            return {LABELS: np.array(read_lines(path))}
        return _read_parquet(path) if path.suffix == ".parquet" else _read_numpy(path)
    except InputError:
        raise
    except DAMAGED as error:
        reason = (
            (isinstance(error, OSError) and error.strerror)
            or " ".join(str(error).split())
            or "it is truncated"
        )
        raise InputError(
            f"{path} cannot be read: {reason.rstrip('.')}; create the file again."
        ) from error


def _read_numpy(path: Path) -> dict[str, Array]:
    if path.suffix == ".npz" and not zipfile.is_zipfile(path):
        raise ValueError("it is not a .npz file, or is truncated")
    try:
        with path.open("rb") as file:  # np.load(path) would leave an unreadable file open
            loaded = np.load(file, allow_pickle=False)
            arrays = {path.stem: loaded} if isinstance(loaded, np.ndarray) else dict(loaded)
        return {name: array for name, array in arrays.items() if isinstance(array, np.ndarray)}
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise InputError(
            f"{path} contains pickled objects, which are never loaded as they can run arbitrary code; save arrays of "
            "numbers or strings, such as np.array(list(column), dtype=str)."
        ) from error


def _read_parquet(path: Path) -> dict[str, Array]:
    try:
        import pandas as pd

        frame = pd.read_parquet(path)
    except ImportError as error:
        raise InputError(
            ".parquet files need pandas and pyarrow; install them, or give .npz or .csv."
        ) from error
    if not len(frame):
        raise InputError(f"{path} has columns but no rows; create the file again.")
    if not isinstance(frame.index, pd.RangeIndex):  # an index is no vector, but may hold the ids
        levels = range(frame.index.nlevels)
        names = [
            IDS if frame.index.names[level] == IDS else f"__index_level_{level}__"
            for level in levels
        ]
        frame = frame.reset_index(names=names)
    return {str(name): frame[name].to_numpy() for name in frame.columns}


def split_column(text: str, what: str) -> tuple[Path, str | None]:
    """Return the file and the column of FILE:COLUMN, or the file and None of FILE."""
    before, colon, column = text.rpartition(":")
    if colon and Path(before).suffix in READ and not Path(text).exists():
        return user_path(before, what), column
    return user_path(text, what), None


def read_column(text: str, default: Sequence[str], what: str) -> tuple[Path, Array, Array | None]:
    """Return the file, the values and the ids of FILE:COLUMN, or of the first default column that FILE has.

    Raises:
        InputError: the file cannot be read, or has no such column.
    """
    file, column = split_column(text, what)
    named = read_columns(file, READ)
    names = [column] if column is not None else list(default)
    name = next((name for name in names if name in named), None)
    if name is None:
        raise InputError(
            f"{file} has no column {names[0]!r}, which {what} needs; give FILE:COLUMN: {nearest(names[0], named)}"
        )
    return file, named[name], named.get(IDS)


def aligned(
    file: Path, values: Array, ids: Array | None, own_ids: Array | None, rows: int
) -> Array:
    """Return a value for each of the rows of a file of vectors, (rows,) objects, None where there is none.

    Args:
        file: the file of the values, for messages.
        values: (K,).
        ids: (K,) ids of the values; None: they are in the order of the rows; or, if there are not as many, the ids of
            the rows number them from 0, as graphcl_hard.convert numbers the rows of a table.
        own_ids: (rows,) ids of the rows, or None.
        rows: number of rows.

    Raises:
        InputError: an id is there twice, no id is among those of the rows, or the order of the values is unknown.

    Warns:
        UserWarning: the rows have ids and the values have none, see `warn_of_order`.
    """
    found = np.full(rows, None, dtype=object)
    if ids is not None and own_ids is not None:
        names = [str(one) for one in ids.tolist()]
        wanted = [str(one) for one in own_ids.tolist()]
    elif len(values) == rows:
        warn_of_order(file, own_ids)
        found[:] = values.tolist()
        return found
    elif own_ids is not None and all(str(one).isdecimal() for one in own_ids.tolist()):
        names = [str(row) for row in range(len(values))]
        wanted = [str(int(one)) for one in own_ids.tolist()]
    else:
        raise InputError(
            f"{file} must have one value for each of {rows} rows of vectors, got {len(values)}; add or remove some, or "
            f"give both files a column {IDS!r}."
        )
    place = {name: row for row, name in enumerate(names)}
    if len(place) < len(names):
        twice = next(name for row, name in enumerate(names) if place[name] != row)
        raise InputError(f"{file} has the id {twice!r} twice, must have each id once; correct it.")
    known = [row for row, name in enumerate(wanted) if name in place]
    if not known:
        raise InputError(
            f"{file} has none of the ids of the vectors, such as {wanted[0]!r}, but {names[0]!r}; give the ids of the "
            "same graphs."
        )
    for row in known:
        found[row] = values[place[wanted[row]]]
    return found


def warn_of_order(file: Path, own_ids: Array | None) -> None:
    """Warn that values are taken in the order of rows of vectors whose ids are more than the numbers of the rows."""
    if own_ids is None:
        return
    names = [str(one) for one in own_ids.tolist()]
    if all(names != [str(row) for row in range(first, first + len(names))] for first in (0, 1)):
        warnings.warn(
            f"{file} has no column {IDS!r}, so its rows are taken in the order of the vectors, whose first id is "
            f"{names[0]!r}; name the column of the ids {IDS!r} to match them.",
            stacklevel=user_stacklevel(),
        )


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of an error message: the known name that is closest, or the known names."""
    names = list(known)
    lower = {other.lower(): other for other in names}
    close = difflib.get_close_matches(name.lower(), lower, n=1)
    if close:
        return f"did you mean {lower[close[0]]!r}?"
    return f"it has {', '.join(names[:6])}{', ...' if len(names) > 6 else ''}."
