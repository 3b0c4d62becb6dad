"""Read and check files of vectors and labels, and write them part by part."""

import csv
import difflib
import itertools
import lzma
import math
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from graphcl_hard.exceptions import InputError, user_stacklevel
from graphcl_hard.io.atomic_write import atomic_write
from graphcl_hard.io.paths import Pathname, user_path
from graphcl_hard.io.text_tables import (
    has_decimal_comma,
    is_code,
    is_missing,
    is_number,
    read_csv,
    read_lines,
)

TABLES = (".csv", ".parquet")
READ = (".npz", ".npy", *TABLES)
LABELS, TARGETS = "y", "targets"
TARGET = "y."
"""What the name of a column begins with that holds one of several targets; its name follows."""
IDS, CHECKSUM = "id", "data_sha256"
# What pandas and pyarrow call a column or an index that has no name.
NAMELESS = re.compile(r"\s*|Unnamed: \d+|__index_level_\d+__")
NUMBERING = frozenset({"graph", "id", "idx", "index", "level_0", "row", "row_number"})

WITH_ONLY = "name the columns to use with `only`"

Array = npt.NDArray[Any]
# What the readers raise for a damaged file. Encrypted members of a zip file and unknown compressions are RuntimeErrors.
DAMAGED = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError, OSError),
    *(RuntimeError, TypeError, ValueError),
    *(csv.Error, lzma.LZMAError, struct.error, zipfile.BadZipFile, zlib.error),
)


def read_vectors(
    path: Pathname, labels: str | None = None, only: Sequence[str] = ()
) -> tuple[dict[str, Array], Array]:
    """Read vectors and a label for each of their rows.

    Ids (`id`) are not vectors. Nor are row numbers, as pandas and R write them: columns without a name, and columns
    that number the rows (see `numbers_rows`), in files whose rows are sorted by class, would give the labels away.

    Args:
        path: a .npz file, whose two-dimensional arrays are vectors; a .npy file with one such array; or a .csv file
            with a header line, or a .parquet file, whose columns other than the labels and `y` form the vectors.
        labels: name of the array or column with the labels, or a file that contains nothing else but ids (.txt: one
            label per line). None: "y", or else the only one-dimensional array.
        only: names of the arrays or columns to read; empty: all of them but row numbers.

    Returns:
        name -> (G, D) array, with the arrays' names, or the file's name for a table; and the labels, (G,), with None
        or NaN where one is missing.

    Raises:
        InputError: a file is missing, damaged or contains pickled objects; a name is unknown; a column is not numeric
            or not finite; or a file of labels has other ids, or another number of rows.

    Warns:
        UserWarning: a column is left out because it holds row numbers, or has one value for each class.
    """
    path = user_path(path)
    named = _read(path, READ)
    what = "column" if path.suffix in TABLES else "array"
    file = None
    if labels is not None and labels not in named:
        file = user_path(labels, "`labels`")
        if file.suffix not in (*READ, ".txt"):
            raise InputError(
                f"{path} has no {what} {labels!r} for the labels; {_nearest(labels, named)}"
            )
    else:
        labels = _label_name(path, named) if labels is None else labels
        found = _label_values(path, named.pop(labels))
    ids = named.get(IDS)
    vectors = _vectors(path, named, only, what)
    if file is not None:
        found = _labels_of(path, len(next(iter(vectors.values()))), ids, file)
    if not only:
        tabular = {
            f"The column {name!r} of {path}": column
            for name, column in named.items()
            if what == "column" and name not in (IDS, LABELS) and not NAMELESS.fullmatch(name)
        }
        for column in _holding_labels(tabular or _columns_of(path, vectors), found):
            _warn(
                f"{column} has one value for each class, as labels have; name the others with `only` if it is no "
                "feature."
            )
    return vectors, found


def _vectors(
    path: Path, named: Mapping[str, Array], only: Sequence[str], what: str
) -> dict[str, Array]:
    for name in only:
        if name not in named:
            raise InputError(f"{path} has no {what} {name!r} of vectors; {_nearest(name, named)}")
    if what == "column":
        columns = {name: named[name] for name in only} or {
            # A y beside other labels would give them away.
            name: column
            for name, column in named.items()
            if name not in (IDS, LABELS)
        }
        numbers = table_columns(str(path), columns, keep=bool(only))
        vectors = {path.stem: np.column_stack(list(numbers.values()))} if numbers else {}
    elif only:
        vectors = {name: named[name] for name in only}
    else:
        vectors = {
            name: _without_row_numbers(path, name, array)
            for name, array in named.items()
            if array.ndim == 2 and array.dtype.kind in "biufc"
        }
    if not vectors:
        raise InputError(
            f"{path} has no vectors besides the labels; give a file with a (G, D) array, or a table whose columns are "
            "separated by commas, semicolons or tabs."
        )
    return vectors


def table_columns(
    table: str, columns: Mapping[str, Array], keep: bool = False, remedy: str = WITH_ONLY
) -> dict[str, npt.NDArray[np.float64]]:
    """Return the columns of a table as numbers, without those of row numbers.

    Args:
        table: how messages name the table.
        columns: name -> (G,) numbers, or the texts of numbers.
        keep: whether to return row numbers, too.
        remedy: how messages say that other columns are chosen.

    Raises:
        InputError: a value is not a finite number.

    Warns:
        UserWarning: a column is left out.
    """
    found = {}
    for name, column in columns.items():
        if NAMELESS.fullmatch(name) and not keep:
            _warn(
                f"{table} has a column without a name{f' ({name})' if name.strip() else ''}, which is left out, since "
                "pandas and R write row numbers there; name it to use it as a vector."
            )
            continue
        numbers = _numbers(table, name, column, remedy)
        if not keep and numbers_rows(numbers, name):
            _warn(
                f"The column {name!r} of {table} is left out, since it numbers the rows and may give their order away; "
                f"{remedy} if it is a feature."
            )
            continue
        found[name] = numbers
    return found


def numbers_rows(column: Array, name: str = "") -> bool:
    """Return whether a column of at least 10 numbers numbers the rows.

    It does if its numbers are evenly spaced, or are whole and sorted, all different; or if they are n consecutive whole
    numbers in any order, as in a shuffled table. In a column with a name such as `index`, they need not be consecutive.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        steps = np.diff(column.astype(np.float64))
    if len(steps) < 9 or not np.isfinite(steps).all() or not steps.any():
        return False
    if (np.abs(steps - steps[0]) <= 1e-6 * np.abs(steps[0])).all():
        return True
    if (column != np.rint(column)).any():
        return False
    if (steps > 0).all() or (steps < 0).all():
        return True
    different = np.unique(column)
    consecutive = different[-1] - different[0] == len(column) - 1
    return len(different) == len(column) and bool(consecutive or name.lower() in NUMBERING)


def _columns_of(path: Path, arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {
        f"Column {place} of the array {name!r} of {path}": array[:, place]
        for name, array in arrays.items()
        for place in range(array.shape[1])
    }


def _holding_labels(columns: Mapping[str, Array], labels: Array) -> Iterator[str]:
    """Yield the names of columns that have equal values where, and only where, the labels are equal."""
    if labels.ndim != 1:
        return
    known = [label is not None and label == label for label in labels.tolist()]  # noqa: PLR0124
    found = labels[known].tolist()
    classes = len(set(found))
    if len(found) < 10 or not 1 < classes < len(found):
        return
    for name, column in columns.items():
        if len(column) != len(known) or len(set(column[:100].tolist())) > classes:
            continue  # in most arrays, the first rows suffice
        values = column[known].tolist()
        if len(set(values)) == len(set(zip(values, found, strict=True))) == classes:
            yield name


def _without_row_numbers(path: Path, name: str, array: Array) -> Array:
    if array.dtype.kind not in "iuf":
        return array
    counting = [column for column in range(array.shape[1]) if numbers_rows(array[:, column])]
    if len(counting) == array.shape[1] > 0:
        raise InputError(
            f"{path} has only row numbers in the array {name!r}; name it with `only` if they are features."
        )
    for column in counting:
        _warn(
            f"Column {column} of the array {name!r} of {path} is left out, since it numbers the rows and may give "
            f"their order away; name the array with `only` if the column is a feature."
        )
    return np.delete(array, counting, axis=1) if counting else array


def _warn(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=user_stacklevel())


def _read(path: Path, suffixes: Iterable[str]) -> dict[str, Array]:
    if path.is_dir():
        raise InputError(f"{path} is a folder; give a file, such as the embeddings.npz of a run.")
    if not path.exists():
        raise InputError(f"The file {path} does not exist; give a file of vectors or labels.")
    if path.suffix not in suffixes:
        raise InputError(f"{path} must end in {', '.join(suffixes)}; save it as one of them.")
    try:
        if path.suffix == ".csv":
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
            "numbers or strings."
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


def _label_name(path: Path, named: Mapping[str, Array]) -> str:
    if LABELS in named:
        return LABELS
    candidates = [
        name
        for name, array in named.items()
        if array.ndim == 1 and name != IDS and not NAMELESS.fullmatch(name)
    ]
    if len(candidates) != 1:
        raise InputError(
            f"{path} has no labels {LABELS!r}; name them, or a file of them, with `labels`: {_nearest(LABELS, named)}"
        )
    return candidates[0]


def _labels_of(path: Path, rows: int, ids: Array | None, file: Path) -> Array:
    """Return the labels in a file of their own after checking that they belong to the rows of `path`."""
    named = _read(file, (*READ, ".txt"))
    labels = named[_label_name(file, named)]
    hint = "add or remove some"
    if file.suffix == ".txt":
        while len(labels) > rows and not labels[-1].strip():  # empty lines at the end
            labels = labels[:-1]
        if len(labels) == rows + 1:
            heading = str(labels[0])
            if not is_number(heading) and all(
                is_number(text) or is_missing(text) for text in labels[1:].tolist()
            ):
                labels = labels[1:]
            else:
                hint = f"remove the first line, {heading[:40]!r}, if it is a heading"
    elif file.suffix == ".csv" and len(labels) == rows - 1:
        hint = "begin the file with a line of column names"
    if labels.ndim == 1 and len(labels) != rows:
        raise InputError(
            f"{file} must have one label for each row of {path}, got {len(labels)} for {rows}; {hint}."
        )
    others = named.get(IDS)
    if ids is not None and others is not None and ids.shape == others.shape == (rows,):
        for row, (own, other) in enumerate(zip(ids.tolist(), others.tolist(), strict=True)):
            if str(own) != str(other):
                raise InputError(
                    f"{file} has the id {other!r} at row {row} (counted from 0), where {path} has {own!r}; put both "
                    "files into the same order."
                )
    return _label_values(file, labels)


def _label_values(path: Path, labels: Array) -> Array:
    """Return labels with None in place of the texts for missing ones.

    Those of a text file become numbers if all of them are, and none is a code (see `is_code`), such as 007.
    """
    if labels.dtype.kind not in "OUST" or labels.ndim != 1:
        return labels
    values = []
    for label in labels.tolist():
        text = label.decode(errors="replace") if isinstance(label, bytes) else label
        text = text.strip() if isinstance(text, str) else text
        missing = is_missing(text) if isinstance(text, str) else type(text).__name__ == "NAType"
        values.append(None if missing else text)
    known = [value for value in values if value is not None]
    if path.suffix in (".csv", ".txt") and known:
        if all(map(has_decimal_comma, known)):
            raise InputError(
                f"{path} has labels with a decimal comma, such as {known[0]!r}; write them with a decimal point."
            )
        if all(map(is_number, known)) and not any(map(is_code, known)):
            values = [None if value is None else _number(value) for value in values]
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _numbers(table: str, name: str, column: Array, remedy: str) -> npt.NDArray[np.float64]:
    try:
        if column.dtype.kind not in "biufOUT":
            raise TypeError
        if column.dtype.kind in "OUT" and not all(map(is_number, column.tolist())):
            raise ValueError
        numbers = column.astype(np.float64)
        if not np.isfinite(numbers).all():
            raise ValueError
        return numbers
    except (TypeError, ValueError):
        values = column.tolist()
        row = next((row for row, value in enumerate(values) if not _is_finite(value)), 0)
        found = str(values[row])
        what = (
            "has a decimal comma"
            if has_decimal_comma(found)
            else "is not finite"
            if is_number(values[row])
            else "is not a number"
        )
        raise InputError(
            f"{table} has {found[:40]!r} at row {row} (counted from 0) of the column {name!r}, which {what}; correct "
            f"it, or {remedy}."
        ) from None


def _is_finite(value: Any) -> bool:
    return is_number(value) and math.isfinite(float(value))


def _nearest(name: str, known: Iterable[str]) -> str:
    names = list(known)
    lower = {other.lower(): other for other in names}
    close = difflib.get_close_matches(name.lower(), lower, n=1)
    if close:
        return f"did you mean {lower[close[0]]!r}?"
    return f"it has {', '.join(names[:6])}{', ...' if len(names) > 6 else ''}."


ROWS = 16384  # vectors in memory at a time, and in a row group of Parquet


def write_vectors(
    path: Path,
    parts: Iterable[Array],
    *,
    ids: Array,
    labels: Array | None = None,
    targets: Sequence[str] = (),
    checksum: str | None = None,
) -> int:
    """Write vectors with the identities and labels of their graphs to a file, completely or not at all.

    Args:
        path: the file; its suffix, .npz, .csv or .parquet, gives the format.
        parts: arrays (n, D), float32 or float64, in the order of the ids; at least one. They are consumed one by one,
            so that the arrays of an iterator need not fit into memory together.
        ids: (G,) int64 or str, written as the array, or the first column, `id`.
        labels: (G,) int, float64 or str, written as the array, or the last column, `y`; or (G, T) float64, written as
            the array `y`, or the last T columns, `y.NAME`. NaN and "" mean that a label is missing: a table has an
            empty cell (null) there, and integers if all other numbers of the column are whole.
        targets: the names of T labels, written as the array `targets`, or in the names of the columns.
        checksum: hex digest of the data set, written as the array, or the metadata of Parquet, `data_sha256`; a CSV
            has no place for it.

    Returns:
        the dimension D of the vectors.

    Raises:
        InputError: pyarrow is not installed and the file is .parquet.
        OSError: the file cannot be written.
    """
    write = {".npz": _write_npz, ".csv": _write_csv}.get(path.suffix) or _parquet_writer()
    with atomic_write(path) as partial:
        blocks = _blocks(parts)
        first = next(blocks)
        around = _Around(ids, labels, tuple(targets), checksum)
        write(partial, first.shape[1], first.dtype, itertools.chain([first], blocks), around)
    return int(first.shape[1])


def _blocks(parts: Iterable[Array]) -> Iterator[Array]:
    """Yield the same rows in blocks of at least `ROWS`, except for the last."""
    held: list[Array] = []
    for part in parts:
        held.append(part)
        if sum(map(len, held)) >= ROWS:
            yield np.concatenate(held)
            held = []
    if held:
        yield np.concatenate(held)


class _Around(NamedTuple):
    """What is written around the vectors."""

    ids: Array
    labels: Array | None
    targets: tuple[str, ...]
    checksum: str | None

    def names(self, width: int) -> list[str]:
        return [IDS, *(f"v{column}" for column in range(width)), *self.label_columns()]

    def label_columns(self) -> dict[str, Array]:
        """Return the columns of labels in a table, by their names."""
        if self.labels is None:
            return {}
        if self.labels.ndim == 1:
            return {LABELS: self.labels}
        return {
            f"{TARGET}{name}": column
            for name, column in zip(self.targets, self.labels.T, strict=True)
        }

    def beside(self, blocks: Iterable[Array]) -> Iterator[tuple[Array, list[Any], list[list[Any]]]]:
        """Yield each block with its ids, and with the columns of labels; None is a missing label."""
        labels = [(column, _is_whole(column)) for column in self.label_columns().values()]
        done = 0
        for block in blocks:
            rows = slice(done, done := done + len(block))
            columns = []
            for column, whole in labels:
                part = column[rows]
                values: list[Any] = part.tolist()
                if part.dtype.kind in "fUT":
                    missing = np.isnan(part) if part.dtype.kind == "f" else part == ""
                    values = [
                        None if gone else int(value) if whole else value
                        for value, gone in zip(values, missing.tolist(), strict=True)
                    ]
                columns.append(values)
            yield block, self.ids[rows].tolist(), columns


def _is_whole(labels: Array) -> bool:
    """Return whether the known labels of a column are written to a table as integers."""
    if labels.dtype.kind != "f":
        return labels.dtype.kind in "iu"
    known = labels[~np.isnan(labels)]
    return bool((np.abs(known) <= 2**53).all() and (known == np.rint(known)).all())


def _write_npz(
    path: Path, width: int, dtype: Any, blocks: Iterable[Array], around: _Around
) -> None:
    header = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": (len(around.ids), width),
    }
    targets = np.array(around.targets, dtype=str) if around.targets else None
    small = {IDS: around.ids, LABELS: around.labels, TARGETS: targets, CHECKSUM: around.checksum}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("vectors.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array_header_1_0(member, header)
            for block in blocks:
                member.write(block.tobytes())
        for name, array in small.items():
            if array is not None:
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)


def _write_csv(
    path: Path, width: int, dtype: Any, blocks: Iterable[Array], around: _Around
) -> None:
    # Nine digits identify every float32, seventeen every float64.
    line = ",".join(["%.9g" if dtype == np.float32 else "%.17g"] * width)
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(around.names(width))
        for block, ids, labels in around.beside(blocks):
            rows = ((line % tuple(row)).split(",") for row in block.tolist())
            table.writerows(
                [name, *row, *label] for name, row, *label in zip(ids, rows, *labels, strict=True)
            )


def _parquet_writer() -> Callable[[Path, int, Any, Iterable[Array], _Around], None]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise InputError(
            ".parquet files need pandas and pyarrow; install them, or write .npz or .csv."
        ) from error

    def kind(array: Array) -> Any:
        return pa.string() if array.dtype.kind in "UT" else pa.from_numpy_dtype(array.dtype)

    def write(path: Path, width: int, dtype: Any, blocks: Iterable[Array], around: _Around) -> None:
        kinds = [kind(around.ids)] + [pa.from_numpy_dtype(dtype)] * width
        for column in around.label_columns().values():
            kinds.append(pa.int64() if _is_whole(column) else kind(column))
        metadata = None if around.checksum is None else {CHECKSUM: around.checksum}
        schema = pa.schema(zip(around.names(width), kinds, strict=True), metadata)
        with pq.ParquetWriter(path, schema) as writer:
            for block, ids, labels in around.beside(blocks):
                columns = [ids, *np.ascontiguousarray(block.T), *labels]
                writer.write_table(pa.table(columns, schema=schema))

    return write
