"""Tables as Markdown and CSV files, for all experiments and benchmarks."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from graphcl_hard.io.atomic_write import atomic_write

Row = Mapping[str, Any]


def to_markdown(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a Markdown table."""
    lines = [
        columns,
        ["---"] * len(columns),
        *([str(cell).replace("|", "\\|") for cell in row] for row in rows),
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def to_csv(rows: Sequence[Row]) -> str:
    """Return rows, which all have the same keys, as CSV with a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_table(folder: Path, name: str, rows: Sequence[Row], notes: Iterable[str] = ()) -> str:
    """Write `<name>.md` and `<name>.csv`; returns the Markdown text.

    Args:
        folder: to write to.
        name: of the files, without suffix.
        rows: of the table, all with the same keys, which name the columns.
        notes: paragraphs below the table in the Markdown file.
    """
    text = "\n".join(
        [
            to_markdown(list(rows[0]), [list(row.values()) for row in rows]),
            *(f"{n}\n" for n in notes),
        ]
    )
    write_text(folder / f"{name}.md", text)
    write_text(folder / f"{name}.csv", to_csv(rows))
    return text


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")
