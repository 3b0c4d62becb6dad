"""Update the study's tables in Markdown documents, each between two marks.

<!-- table main -->
| data set | ...
<!-- end of table -->
"""

import re
from pathlib import Path

from graphcl_hard.exceptions import InputError
from graphcl_hard.sweeps.table_files import write_text

PLACE = re.compile(r"(<!-- table (?P<name>[\w-]+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def fill_tables(document: Path, tables: Path) -> None:
    """Replace the tables between the marks of a document by those of a report; its other text stays.

    Args:
        document: a Markdown file.
        tables: the report's folder of tables; only the lines of the table itself are taken.

    Raises:
        InputError: the document marks a place for a table that the report lacks.
    """

    def table(place: re.Match[str]) -> str:
        path = tables / f"{place['name']}.md"
        if not path.exists():
            raise InputError(
                f"{document} has a mark for the table {place['name']!r}, got no {path}; make the report, or take that "
                "place out."
            )
        rows = [
            line
            for line in path.read_text(encoding="utf-8").splitlines(keepends=True)
            if line.startswith("|")
        ]
        return place[1] + "".join(rows) + place[3]

    text = document.read_text(encoding="utf-8")
    filled = PLACE.sub(table, text)
    if filled != text:
        write_text(document, filled)
