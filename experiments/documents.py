"""Update the tables of the studies in Markdown documents, each between two marks.

<!-- table tu/main -->
| data set | ...
<!-- end of table -->
"""

import re
from pathlib import Path

from graphcl_hard.exceptions import InputError
from graphcl_hard.sweeps.table_files import write_text

EXPERIMENTS = Path(__file__).resolve().parent
DOCS = EXPERIMENTS.parent / "docs"
PLACE = re.compile(
    r"(<!-- table (?P<study>\w+)/(?P<name>[\w-]+) -->\n).*?(?P<end><!-- end of table -->)",
    re.DOTALL,
)


def fill_documents() -> None:
    """Replace the tables of all pages of docs/ by the committed ones."""
    for document in sorted(DOCS.glob("*.md")):
        fill_tables(document)


def fill_tables(document: Path, experiments: Path = EXPERIMENTS) -> None:
    """Replace the tables between the marks of a document by those of the reports; its other text stays.

    Args:
        document: a Markdown file.
        experiments: the folder of the studies, each with results/tables; only the lines of a table itself are taken.

    Raises:
        InputError: the document marks a place for a table that the report lacks.
    """

    def table(place: re.Match[str]) -> str:
        path = experiments / place["study"] / "results" / "tables" / f"{place['name']}.md"
        if not path.exists():
            raise InputError(
                f"{document} has a mark for the table {place['study']}/{place['name']}, got no {path}; make the "
                "report, or take that place out."
            )
        rows = [
            line
            for line in path.read_text(encoding="utf-8").splitlines(keepends=True)
            if line.startswith("|")
        ]
        return place[1] + "".join(rows) + place["end"]

    text = document.read_text(encoding="utf-8")
    filled = PLACE.sub(table, text)
    if filled != text:
        write_text(document, filled)
