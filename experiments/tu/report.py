"""The report of the study, made only from records: tables, figures and one HTML page.

The same records give the same bytes: files hold no dates and no versions of the drawing libraries.
"""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from experiments.records import read_records
from experiments.table_files import to_markdown, write_text
from experiments.tu.canvas import save
from experiments.tu.page import MAPS, build_sections, render
from experiments.tu.table import Table
from graphcl_hard.exceptions import InputError

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
PAGE, TABLES, FIGURES = "report.html", "tables", "figures"


def write_report(records: Path, out: Path) -> list[Path]:
    """Write all tables (CSV, Markdown, LaTeX with booktabs), all figures (PNG) and the page.

    Args:
        records: the folder of records.
        out: the folder to write: tables/, figures/ and report.html. Its few_labels/*.json make the part on few labels,
            and its maps/*.png are shown on the page, where there are any.

    Returns:
        The files that were written; others in the folder stay.

    Raises:
        InputError: the folder has no record of a finished cell.
    """
    found = read_records(records)
    if not any(record["scores"] for record in found):
        raise InputError(
            f"The folder {records} must hold the record of a finished cell, got {len(found)} record(s) without scores; "
            "run the study first."
        )
    sections = build_sections(found, out)
    for folder in (out / TABLES, out / FIGURES):
        folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    images: dict[str, Path] = {}
    for part in [part for section in sections for part in section.parts]:
        if isinstance(part, Table):
            written += _write_table(part, out / TABLES)
        else:
            images[part.name] = out / FIGURES / f"{part.name}.png"
            save(part.figure, images[part.name])
    page = out / PAGE
    write_text(page, render(sections, images, out / MAPS))
    return [*written, *images.values(), page]


def _write_table(table: Table, folder: Path) -> list[Path]:
    writers: dict[str, Callable[[Table], str]] = {".csv": _csv, ".md": _markdown, ".tex": _latex}
    paths = [folder / f"{table.name}{suffix}" for suffix in writers]
    for path, writer in zip(paths, writers.values(), strict=True):
        write_text(path, writer(table))
    return paths


def _csv(table: Table) -> str:
    """Return the values as CSV, one fact per row."""
    return table.values.to_csv(index=False, float_format="%.6g", lineterminator="\n")


def _markdown(table: Table) -> str:
    rows = to_markdown(list(table.shown.columns), table.shown.to_numpy().tolist())
    return f"**{table.title}**\n\n{rows}\n{table.note}\n"


def _latex(table: Table) -> str:
    """Return the table with booktabs' rules."""
    columns = pd.Index([_escaped(name) for name in table.shown.columns])
    body = table.shown.map(_escaped).set_axis(columns, axis=1)
    return "% needs \\usepackage{booktabs}\n" + body.to_latex(
        index=False,
        escape=False,
        caption=_escaped(f"{table.title}. {table.note}"),
        label=f"tab:{table.name}",
        position="htbp",
    )


def _escaped(text: str) -> str:
    """Return text escaped for LaTeX."""
    return text.translate(LATEX)
