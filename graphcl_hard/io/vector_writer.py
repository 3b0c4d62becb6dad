"""Write files of vectors with the ids and labels of their rows, part by part."""

import csv
import itertools
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from graphcl_hard.exceptions import InputError
from graphcl_hard.io.atomic_write import atomic_write
from graphcl_hard.io.columns import IDS, LABELS
from graphcl_hard.io.vectors import CHECKSUM, TARGET, TARGETS, TASK

Array = npt.NDArray[Any]
ROWS = 16384  # vectors in memory at a time, and in a row group of Parquet


def write_vectors(
    path: Path,
    parts: Iterable[Array],
    *,
    ids: Array,
    labels: Array | None = None,
    targets: Sequence[str] = (),
    checksum: str | None = None,
    task: str | None = None,
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
        task: "regression" for measured labels, of which whole numbers would be read as classes; written as `checksum`
            is.

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
        around = _Around(ids, labels, tuple(targets), checksum, task)
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
    task: str | None

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
    small: dict[str, Any] = {IDS: around.ids, LABELS: around.labels, TARGETS: targets}
    small |= {CHECKSUM: around.checksum, TASK: around.task}
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
        said = {CHECKSUM: around.checksum, TASK: around.task}
        metadata = {name: text for name, text in said.items() if text is not None}
        schema = pa.schema(zip(around.names(width), kinds, strict=True), metadata)
        with pq.ParquetWriter(path, schema) as writer:
            for block, ids, labels in around.beside(blocks):
                columns = [ids, *np.ascontiguousarray(block.T), *labels]
                writer.write_table(pa.table(columns, schema=schema))

    return write
