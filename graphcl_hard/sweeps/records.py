"""The record of a run: a JSON file while a sweep is at work, a row of a Parquet file once it has ended.

A record is a JSON object with at least "dataset", "method" and "seed". A run that ends writes
`<folder>/<dataset>/<method>/seed-<n>.json` at once, so a sweep can be killed at any moment. `pack_records` moves these
files into one Parquet file for each data set, `<folder>/<dataset>.parquet`, with a row for each record and a column for
each key. The columns of `PLAIN` hold strings and integers, all others JSON text, so reading gives back exactly what was
written; a key that a record lacks is null.
"""

import importlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from graphcl_hard.io.atomic_write import PARTIAL, atomic_write
from graphcl_hard.sweeps.extras import require

Record = dict[str, Any]
Key = tuple[str, str, int]
TEXTS = ("dataset", "method", "family", "status")
INTEGERS = ("seed", "last_epoch")
PLAIN = (*TEXTS, *INTEGERS)


def key(record: Mapping[str, Any]) -> Key:
    """Return what distinguishes a record from all others: data set, method and seed."""
    return record["dataset"], record["method"], record["seed"]


def record_path(folder: Path, record: Mapping[str, Any]) -> Path:
    """Return the JSON file of a record that is not packed yet."""
    dataset, method, seed = key(record)
    return folder / dataset / method / f"seed-{seed}.json"


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write a record's JSON file, whole or not at all."""
    path = record_path(folder, record)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as partial:
        partial.write_text(json.dumps(record, allow_nan=False) + "\n", encoding="utf-8")


def read_records(folder: Path) -> list[Record]:
    """Return all records of a folder by data set, method and seed; a JSON file replaces the row of its key."""
    packed = [
        _unpacked(row)
        for path in whole_files(folder, "*.parquet")
        for row in _parquet().read_table(path).to_pylist()
    ]
    found = {key(record): record for record in (*packed, *_loose(folder).values())}
    return [found[one] for one in sorted(found)]


def pack_records(folder: Path) -> None:
    """Move the JSON files of a folder into its Parquet files.

    It may be killed at any moment: a file goes when its record is in the Parquet file. No run may write records at the
    same time.
    """
    loose = _loose(folder)
    for dataset in sorted({record["dataset"] for record in loose.values()}):
        records = [record for record in read_records(folder) if record["dataset"] == dataset]
        with atomic_write(folder / f"{dataset}.parquet") as partial:
            _parquet().write_table(_table(records), partial, compression="zstd")
        for path in [path for path, record in loose.items() if record["dataset"] == dataset]:
            path.unlink()
    for path in sorted(folder.glob("**/"), reverse=True):
        if path != folder and not any(path.iterdir()):
            path.rmdir()


def whole_files(folder: Path, pattern: str) -> list[Path]:
    """Return the files that match, sorted, without those of a writer that is at work or was killed."""
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith(PARTIAL))


def _loose(folder: Path) -> dict[Path, Record]:
    return {
        path: json.loads(path.read_text(encoding="utf-8"))
        for path in whole_files(folder, "*/*/*.json")
    }


def _parquet() -> Any:
    """Return the module that reads and writes Parquet files, which is an extra."""
    require("pyarrow")
    return importlib.import_module("pyarrow.parquet")


def _table(records: Iterable[Record]) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - an extra

    rows = [
        {
            name: value if name in PLAIN else json.dumps(value, allow_nan=False)
            for name, value in record.items()
        }
        for record in records
    ]
    names = dict.fromkeys(name for row in rows for name in row)
    kinds = {name: pa.int64() if name in INTEGERS else pa.string() for name in names}
    return pa.Table.from_pylist(rows, pa.schema(list(kinds.items())))


def _unpacked(row: Mapping[str, Any]) -> Record:
    present = {name: value for name, value in row.items() if value is not None}
    return {name: value if name in PLAIN else json.loads(value) for name, value in present.items()}
