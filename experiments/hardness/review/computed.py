"""JSON files of small computations, a line for each, which are written again after each of them."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from graphcl_hard.sweeps.table_files import write_text

Row = dict[str, Any]


def read_computed(path: Path) -> list[Row]:
    """Return what was computed; nothing if there is no file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def write_computed(path: Path, rows: Iterable[Row]) -> None:
    """Write what was computed."""
    lines = ",\n".join(json.dumps(one) for one in rows)
    write_text(path, f"[\n{lines}\n]\n")
