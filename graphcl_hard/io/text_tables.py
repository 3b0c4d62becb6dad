"""Read tables and lists in text files, in the encodings and with the separators that programs write."""

import codecs
import csv
import io
import itertools
import re
from pathlib import Path

from graphcl_hard.exceptions import InputError

SEPARATORS = (",", ";", "\t", "|")
MISSING = frozenset({"", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "<NA>", "#N/A"})
"""The texts that stand for a missing value in a file; others, such as Na or none, are names."""


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8, or in UTF-16 with a byte order mark, without the mark.

    Raises:
        InputError: it has another encoding, or is no text.
        OSError: it cannot be read.
    """
    content = path.read_bytes()
    marks = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    where = 0
    try:
        text = content.decode("utf-16" if content.startswith(marks) else "utf-8-sig")
        if "\0" not in text:
            return text
    except UnicodeDecodeError as error:
        where = error.start
    line = content.count(b"\n", 0, where) + 1
    raise InputError(f"{path} is not text in UTF-8, see line {line}; save it in this encoding.")


def separator(text: str) -> str:
    """Return what separates the columns of a table, by its first two lines: a comma, semicolon, tab or vertical bar."""
    for found in SEPARATORS:
        lines = itertools.islice(csv.reader(io.StringIO(text, newline=""), delimiter=found), 2)
        lengths = {len(line) for line in lines}
        if len(lengths) == 1 and lengths != {1}:
            return found
    return ","


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file, see `read_text`."""
    lines = re.split("\r\n?|\n", read_text(path))
    return lines[:-1] if lines[-1] == "" else lines


def is_missing(text: str) -> bool:
    """Return whether a text of a file stands for a missing value, by its exact spelling in `MISSING`."""
    return text.strip() in MISSING


def is_code(text: str) -> bool:
    """Return whether a text has the form of a number, but is a name, which a number would not keep.

    It is if it has a leading zero, as 007 does, or is an integer beyond 2**53, which floating point does not hold.
    """
    digits = text.strip().lstrip("+-")
    if re.match(r"0\d", digits):
        return True
    return (
        re.fullmatch(r"\d{16,}(\.0*)?", digits) is not None
        and int(digits.partition(".")[0]) > 2**53
    )


def has_decimal_comma(text: str) -> bool:
    """Return whether a text is a number with a decimal comma."""
    return re.fullmatch(r"\s*[+-]?\d*,\d+([eE][+-]?\d+)?\s*", text) is not None


def read_csv(path: Path) -> dict[str, list[str]]:
    """Return the columns of a table with a line of names, whose texts are not interpreted.

    An empty line is left out, except from a table of one column, where it is an empty cell.

    Raises:
        InputError: the names are missing or not different, a line has another number of cells, there are no lines, or
            `read_text` raises it.
        OSError: it cannot be read.
        csv.Error: a quotation mark is missing or misplaced.
    """
    text = re.sub(r"\Asep=.\s*\n", "", read_text(path))  # Excel's own first line
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator(text), strict=True)
    names = [name.strip() for name in next(lines, [])]
    if not names or all(map(is_number, names)):
        found = ",".join(names[:3])
        raise InputError(
            f"{path} must begin with a line of column names, got {found!r}; add such a line."
        )
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{path} has more than one column {twice!r}; rename all but one.")
    rows = []
    for cells in lines:
        row = cells or [""] * (len(names) == 1)
        if row and len(row) != len(names):
            raise InputError(
                f"Line {lines.line_num} of {path} must have as many values as there are names, got {len(row)} for "
                f"{len(names)}; correct it, or create the file again if it is truncated."
            )
        if row:
            rows.append(row)
    if not rows:
        raise InputError(f"{path} has a line of names but no values; create the file again.")
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def is_number(value: object) -> bool:
    """Return whether a value, or the text of one, is a number."""
    if isinstance(value, str) and "_" in value:
        return False  # Python reads 2020_01 as a number, people as a name
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True
