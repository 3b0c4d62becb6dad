"""The files of a report: tables, figures and one HTML page.

The same records give the same bytes: files hold no dates and no versions of the drawing libraries.
"""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from graphcl_hard.exceptions import InputError
from graphcl_hard.sweeps.records import Record, read_records
from graphcl_hard.sweeps.report.canvas import save
from graphcl_hard.sweeps.report.page import Page, render
from graphcl_hard.sweeps.report.table import Table
from graphcl_hard.sweeps.table_files import to_markdown, write_text

LATEX = str.maketrans(
    {
        **{sign: "\\" + sign for sign in "_%&#{}$"},
        "\\": r"\textbackslash{}",
        "^": r"\^{}",
        "~": r"\~{}",
        "<": "$<$",
        ">": "$>$",
    }
)
PAGE, TABLES, FIGURES, MAPS = "report.html", "tables", "figures", "maps"


def finished_records(folder: Path) -> list[Record]:
    """Return all records of a folder.

    Raises:
        InputError: the folder has no record of a finished cell.
    """
    found = read_records(folder)
    if not any(record["scores"] for record in found):
        raise InputError(
            f"The folder {folder} must hold the record of a finished cell, got {len(found)} record(s) without scores; "
            "run the sweep first."
        )
    return found


def write_report(page: Page, out: Path) -> list[Path]:
    """Write all tables (CSV, Markdown, LaTeX with booktabs), all figures (PNG) and the page.

    Args:
        page: what to write.
        out: the folder to write: tables/, figures/ and report.html. Its maps/*.png are shown on the page, where there
            are any.

    Returns:
        The files that were written; others in the folder stay.
    """
    (out / FIGURES).mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    images: dict[str, Path] = {}
    for part in [part for section in page.sections for part in section.parts]:
        if isinstance(part, Table):
            written += write_table(part, out / TABLES)
        else:
            images[part.name] = out / FIGURES / f"{part.name}.png"
            save(part.figure, images[part.name])
    write_text(out / PAGE, render(page, images, out / MAPS))
    return [*written, *images.values(), out / PAGE]


def write_table(table: Table, folder: Path) -> list[Path]:
    """Write a table as CSV, Markdown and LaTeX into a folder, made if it is missing; returns the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    writers: dict[str, Callable[[Table], str]] = {".csv": _csv, ".md": _markdown, ".tex": _latex}
    paths = [folder / f"{table.name}{suffix}" for suffix in writers]
    for path, writer in zip(paths, writers.values(), strict=True):
        write_text(path, writer(table))
    return paths


def _csv(table: Table) -> str:
    """Return the values as CSV, one fact per row."""
    text: str = table.values.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    return text


def _markdown(table: Table) -> str:
    rows = to_markdown(list(table.shown.columns), table.shown.to_numpy().tolist())
    return f"**{table.title}**\n\n{rows}\n{table.note}\n"


def _latex(table: Table) -> str:
    """Return the table with booktabs' rules."""
    columns = pd.Index([_escaped(name) for name in table.shown.columns])
    body = table.shown.map(_escaped).set_axis(columns, axis=1)
    text: str = body.to_latex(
        index=False,
        escape=False,
        caption=_escaped(f"{table.title}. {table.note}"),
        label=f"tab:{table.name}",
        position="htbp",
    )
    return "% needs \\usepackage{booktabs}\n" + text


def _escaped(text: str) -> str:
    """Return text escaped for LaTeX."""
    return text.translate(LATEX)
