"""Files of vectors and labels: written part by part, and whole or not at all."""

import itertools
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from graphcl_hard.errors import InputError
from graphcl_hard.vector_files import LABELS
from graphcl_hard.whole_files import replacing

ROWS = 16384  # of vectors in memory at a time, and in a row group of Parquet

Array = npt.NDArray[Any]


def write_vectors(path: Path, parts: Iterable[Array], y: Array) -> int:
    """Write vectors and labels to a .npz, .csv or .parquet file, whole or not at all.

    Args:
        path: the file; its ending says which kind.
        parts: vectors (n, D), float32 or float64, in the order of the labels; taken one by one, so that an iterator's
            need not fit in memory together. There is at least one.
        y: (G,) int, the labels of all parts' rows; the array, or the last column, `y`.

    Returns:
        D.

    Raises:
        InputError: .parquet without pyarrow.
    """
    write = {".npz": _write_npz, ".csv": _write_csv}.get(path.suffix) or _parquet_writer()
    with replacing(path) as partial:
        blocks = _blocks(parts)
        first = next(blocks)
        write(partial, first.shape[1], first.dtype, itertools.chain([first], blocks), y)
    return int(first.shape[1])


def _blocks(parts: Iterable[Array]) -> Iterator[Array]:
    """The same rows in blocks of at least `ROWS`, but for the last."""
    held: list[Array] = []
    for part in parts:
        held.append(part)
        if sum(map(len, held)) >= ROWS:
            yield np.concatenate(held)
            held = []
    if held:
        yield np.concatenate(held)


def _labelled(blocks: Iterable[Array], y: Array) -> Iterator[tuple[Array, Array]]:
    done = 0
    for block in blocks:
        yield block, y[done : done + len(block)]
        done += len(block)


def _names(width: int) -> list[str]:
    return [f"v{column}" for column in range(width)]


def _write_npz(path: Path, width: int, dtype: Any, blocks: Iterable[Array], y: Array) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (len(y), width)}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("vectors.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array_header_1_0(member, header)
            for block in blocks:
                member.write(block.tobytes())
        with archive.open(f"{LABELS}.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array(member, y, allow_pickle=False)


def _write_csv(path: Path, width: int, dtype: Any, blocks: Iterable[Array], y: Array) -> None:
    # Nine digits give every float32 back, seventeen every float64.
    formats = ["%.9g" if dtype == np.float32 else "%.17g"] * width + ["%d"]
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join([*_names(width), LABELS]) + "\n")
        for block, labels in _labelled(blocks, y):
            np.savetxt(file, np.column_stack([block.astype(np.float64), labels]), formats, ",")


def _parquet_writer() -> Callable[[Path, int, Any, Iterable[Array], Array], None]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise InputError(".parquet needs pandas and pyarrow; install them, or write .npz or .csv.") from error

    def write(path: Path, width: int, dtype: Any, blocks: Iterable[Array], y: Array) -> None:
        kinds = [pa.from_numpy_dtype(dtype)] * width + [pa.from_numpy_dtype(y.dtype)]
        schema = pa.schema(zip([*_names(width), LABELS], kinds, strict=True))
        with pq.ParquetWriter(path, schema) as writer:
            for block, labels in _labelled(blocks, y):
                writer.write_table(pa.table([*np.ascontiguousarray(block.T), labels], schema=schema))

    return write
