"""Read and check files of vectors and labels, and write them part by part."""

import csv
import difflib
import itertools
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from graphcl_hard.exceptions import InputError
from graphcl_hard.io.atomic_write import atomic_write

TABLES = (".csv", ".parquet")
READ = (".npz", ".npy", *TABLES)
LABELS = "y"
IDS, CHECKSUM = "id", "data_sha256"

Array = npt.NDArray[Any]
# What the readers raise for a damaged file. Encrypted members of a zip file and unknown compressions are RuntimeErrors.
DAMAGED = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError, OSError),
    *(RuntimeError, TypeError, ValueError),
    *(csv.Error, lzma.LZMAError, struct.error, zipfile.BadZipFile, zlib.error),
)


def read_vectors(
    path: Path, labels: str | None = None, only: Sequence[str] = ()
) -> tuple[dict[str, Array], Array]:
    """Read vectors and a label for each of their rows.

    Args:
        path: a .npz file, whose two-dimensional arrays are vectors; a .npy file with one such array; or a .csv file
            with a header line, or a .parquet file, whose columns other than the labels and `y` form the vectors.
        labels: name of the array or column with the labels, or a file that contains nothing else (.txt: one label per
            line). None: "y", or else the only one-dimensional array.
        only: names of the arrays or columns to read; empty: all of them.

    Returns:
        name -> (G, D) array, with the arrays' names, or the file's name for a table; and the labels, (G,).

    Raises:
        InputError: a file is missing, damaged or contains pickled objects; a name is unknown; a column is not numeric;
            or a label is missing.
    """
    named = _read(path, READ)
    what = "column" if path.suffix in TABLES else "array"
    if labels is not None and labels not in named:
        file = Path(labels)
        if file.suffix not in (*READ, ".txt"):
            raise InputError(
                f"{path} has no {what} {labels!r} for the labels; {_nearest(labels, named)}"
            )
        found = _labels(file, _read(file, (*READ, ".txt")), None)
    else:
        found = _labels(path, named, labels)
        named.pop(labels or _label_name(path, named))
    if IDS not in only:
        named.pop(IDS, None)
    if (
        LABELS not in only
    ):  # a y beside other labels: as part of the vectors it would leak the labels
        named.pop(LABELS, None)
    for name in only:
        if name not in named:
            raise InputError(f"{path} has no {what} {name!r} of vectors; {_nearest(name, named)}")
    chosen = {name: named[name] for name in only} or named
    if what == "column":
        columns = [_numbers(path, name, column) for name, column in chosen.items()]
        chosen = {path.stem: np.column_stack(columns)} if columns else {}
    elif not only:
        chosen = {
            name: array
            for name, array in chosen.items()
            if array.ndim == 2 and array.dtype.kind in "biuf"
        }
    if not chosen:
        raise InputError(
            f"{path} has no vectors besides the labels; give a file with a (G, D) array or columns."
        )
    return chosen, found


def _read(path: Path, suffixes: Iterable[str]) -> dict[str, Array]:
    if path.is_dir():
        raise InputError(f"{path} is a folder; give a file, such as the embeddings.npz of a run.")
    if not path.exists():
        raise InputError(f"The file {path} does not exist; give a file of vectors or labels.")
    if path.suffix not in suffixes:
        raise InputError(f"{path} must end in {', '.join(suffixes)}; save it as one of them.")
    try:
        if path.suffix == ".csv":
            return _read_csv(path)
        if path.suffix == ".txt":
            return {LABELS: np.array(path.read_text(encoding="utf-8").rstrip().splitlines())}
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


def _read_csv(path: Path) -> dict[str, Array]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, strict=True)
        names = next(lines, [])
        if not names or all(_is_number(name) for name in names):
            found = ",".join(names[:3])
            raise InputError(
                f"{path} must begin with a line of column names, got {found!r}; add such a line."
            )
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise InputError(f"{path} has more than one column {twice!r}; rename all but one.")
        rows = []
        for row in lines:
            if not row:
                continue
            if len(row) != len(names):
                raise InputError(
                    f"{path} has {len(row)} values in line {lines.line_num}, must have {len(names)}; correct the line, "
                    "or create the file again if it is truncated."
                )
            rows.append(row)
    if not rows:
        raise InputError(f"{path} has a line of names but no values; create the file again.")
    return {
        name: np.array(column, dtype=str)
        for name, column in zip(names, zip(*rows, strict=True), strict=True)
    }


def _read_parquet(path: Path) -> dict[str, Array]:
    try:
        import pandas as pd

        frame = pd.read_parquet(path)
    except ImportError as error:
        raise InputError(
            ".parquet files need pandas and pyarrow; install them, or give .npz or .csv."
        ) from error
    return {str(name): frame[name].to_numpy() for name in frame.columns}


def _label_name(path: Path, named: Mapping[str, Array]) -> str:
    if LABELS in named:
        return LABELS
    candidates = [name for name, array in named.items() if array.ndim == 1 and name != IDS]
    if len(candidates) != 1:
        raise InputError(
            f"{path} has no labels {LABELS!r}; name them, or a file of them, with `labels`: {_nearest(LABELS, named)}"
        )
    return candidates[0]


def _labels(path: Path, named: Mapping[str, Array], name: str | None) -> Array:
    """Return the labels after checking that none is missing; strings that are all numbers become float64."""
    array = named[name or _label_name(path, named)]
    if array.dtype.kind not in "OUST":
        return array
    texts = ["" if label is None else str(label).strip() for label in array.ravel().tolist()]
    missing = next(
        (row for row, text in enumerate(texts) if text.lower() in ("", "nan", "none", "<na>")), None
    )
    if missing is not None:
        raise InputError(
            f"{path} has no label for graph {missing} (counted from 0); leave unlabelled graphs out."
        )
    if all(map(_is_number, texts)):
        return np.array(texts, dtype=np.float64).reshape(array.shape)
    return np.array(texts, dtype=str).reshape(array.shape)


def _numbers(path: Path, name: str, column: Array) -> npt.NDArray[np.float64]:
    try:
        if column.dtype.kind not in "biufOUT":
            raise TypeError
        if column.dtype.kind in "OUT" and not all(map(_is_number, column.tolist())):
            raise ValueError
        return column.astype(np.float64)
    except (TypeError, ValueError):
        row = next((row for row, value in enumerate(column.tolist()) if not _is_number(value)), 0)
        raise InputError(
            f"{path} has {str(column[row])[:40]!r} at row {row} (counted from 0) of the column {name!r}, which is not "
            "a number; correct it, or select the numeric columns with `only`."
        ) from None


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return not (
        isinstance(value, str) and "_" in value
    )  # Python reads 2020_01 as a number, people as a name


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
    checksum: str | None = None,
) -> int:
    """Write vectors with the identities and labels of their graphs to a file, completely or not at all.

    Args:
        path: the file; its suffix, .npz, .csv or .parquet, gives the format.
        parts: arrays (n, D), float32 or float64, in the order of the ids; at least one. They are consumed one by one,
            so that the arrays of an iterator need not fit into memory together.
        ids: (G,) int64 or str, written as the array, or the first column, `id`.
        labels: (G,) int, float64 or str, written as the array, or the last column, `y`. NaN and "" mean that a label
            is missing: a table has an empty cell (null) there, and integers if all other numbers are whole.
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
        around = _Around(ids, labels, checksum)
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
    checksum: str | None

    def names(self, width: int) -> list[str]:
        names = [IDS, *(f"v{column}" for column in range(width))]
        return names if self.labels is None else [*names, LABELS]

    def whole(self) -> bool:
        """Return whether all labels of a table are written as integers."""
        if self.labels is None or self.labels.dtype.kind != "f":
            return self.labels is not None and self.labels.dtype.kind in "iu"
        known = self.labels[~np.isnan(self.labels)]
        return bool((np.abs(known) <= 2**53).all() and (known == np.rint(known)).all())

    def beside(self, blocks: Iterable[Array]) -> Iterator[tuple[Array, list[Any], list[list[Any]]]]:
        """Yield each block with its ids, and with no column of labels or one; None is a missing label."""
        whole, done = self.whole(), 0
        for block in blocks:
            rows = slice(done, done := done + len(block))
            columns = []
            if self.labels is not None:
                part = self.labels[rows]
                values: list[Any] = part.tolist()
                if part.dtype.kind in "fUT":
                    missing = np.isnan(part) if part.dtype.kind == "f" else part == ""
                    values = [
                        None if gone else int(value) if whole else value
                        for value, gone in zip(values, missing.tolist(), strict=True)
                    ]
                columns.append(values)
            yield block, self.ids[rows].tolist(), columns


def _write_npz(
    path: Path, width: int, dtype: Any, blocks: Iterable[Array], around: _Around
) -> None:
    header = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": (len(around.ids), width),
    }
    small = {IDS: around.ids, LABELS: around.labels, CHECKSUM: around.checksum}
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
        if around.labels is not None:
            kinds.append(pa.int64() if around.whole() else kind(around.labels))
        metadata = None if around.checksum is None else {CHECKSUM: around.checksum}
        schema = pa.schema(zip(around.names(width), kinds, strict=True), metadata)
        with pq.ParquetWriter(path, schema) as writer:
            for block, ids, labels in around.beside(blocks):
                columns = [ids, *np.ascontiguousarray(block.T), *labels]
                writer.write_table(pa.table(columns, schema=schema))

    return write
