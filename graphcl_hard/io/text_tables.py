"""Read tables and lists in text files, in the encodings and with the separators that programs write."""

import codecs
import csv
import gzip
import io
import itertools
import math
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from numbers import Real
from pathlib import Path

from graphcl_hard.exceptions import InputError

SEPARATORS = (",", ";", "\t", "|")
UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
MISSING = frozenset({"", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "<NA>", "#N/A"})
"""The texts that stand for a missing value in a file; others, such as Na or none, are names."""


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8, or in UTF-16 with a byte order mark, without the mark.

    A file that ends in .gz is decompressed.

    Raises:
        InputError: it has another encoding, or is no text.
        OSError: it cannot be read.
    """
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    where = 0
    try:
        text = content.decode("utf-16" if content.startswith(UTF16_MARKS) else "utf-8-sig")
        if "\0" not in text:
            return text
    except UnicodeDecodeError as error:
        where = error.start
    line = content.count(b"\n", 0, where) + 1
    raise InputError(f"{path} is not text in UTF-8, see line {line}; save it in this encoding.")


def separator(text: str) -> str:
    """Return what separates the columns of a table, by its first two lines: a comma, semicolon, tab or vertical bar."""
    lengths = {}
    for found in SEPARATORS:
        lines = filter(None, csv.reader(io.StringIO(text, newline=""), delimiter=found))
        lengths[found] = [len(line) for line in itertools.islice(lines, 2)]
    dividing = [found for found in SEPARATORS if min(lengths[found], default=1) > 1]
    evenly = [found for found in dividing if len(set(lengths[found])) == 1]
    return (evenly or dividing or [","])[0]


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file, see `read_text`."""
    lines = re.split("\r\n?|\n", read_text(path))
    return lines[:-1] if lines[-1] == "" else lines


def is_missing_value(value: object) -> bool:
    """Return whether a value is None, NaN, pandas' NA or NaT, or a string of nothing but spaces.

    Other strings are names, also "None" and "nan"; only in files they are not, see `is_missing`.
    """
    if isinstance(value, str):
        return not value.strip()
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (Real, Decimal)) and math.isnan(value)


def is_missing(text: str) -> bool:
    """Return whether a text of a file stands for a missing value, by its exact spelling in `MISSING`."""
    return text.strip() in MISSING


def is_code(text: str) -> bool:
    """Return whether a text has the form of a number, but is a name, which a number would not keep.

    It is if it has a leading zero, as 007 does, or is an integer beyond 2**53, which floating point does not hold.
    """
    digits = text.strip().lstrip("+-")
    if re.fullmatch(r"0\d+", digits):
        return True
    return digits.isdecimal() and int(digits[:25]) > 2**53  # Python refuses to read very long ones


def has_decimal_comma(text: str) -> bool:
    """Return whether a text is a number with a decimal comma."""
    return re.fullmatch(r"\s*[+-]?\d*,\d+([eE][+-]?\d+)?\s*", text) is not None


def read_rows(path: Path) -> Iterator[list[str]]:
    """Yield the texts in each line of a table, .csv or .csv.gz, one by one; those of the first line are column names.

    As in pandas, lines that are empty or blank are left out, also of a table of one column, where an empty cell is
    `""`. So is a first line such as ``sep=;``, which Excel writes to name the separator. Others are recognised, see
    `separator`, and encodings as in `read_text`.

    Raises:
        InputError: a line has another number of cells than the first, or `read_text` raises it.
        EOFError, OSError, zlib.error: it cannot be read.
        csv.Error: a quotation mark is missing or misplaced.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rb") as file:
        encoding = "utf-16" if file.read(2) in UTF16_MARKS else "utf-8-sig"
    try:
        with opened(path, "rt", encoding=encoding, newline="") as file:
            yield from _rows(path, file)
    except UnicodeDecodeError:
        read_text(path)  # whose message has the line
        raise


def _rows(path: Path, file: Iterable[str]) -> Iterator[list[str]]:
    text = _without_nul(path, file)
    head = list(itertools.islice(text, 10))
    named = re.fullmatch(r"sep=(.)\s*", head[0]) if head else None
    if named:
        del head[0]
    comma = named[1] if named else separator("".join(head))
    # Otherwise an unclosed quotation mark would swallow all following lines.
    lines = csv.reader(itertools.chain(head, text), delimiter=comma, strict=True)
    columns, row = 0, -1
    for cells in lines:
        if not cells or (len(cells) == 1 and cells[0].isspace()):
            continue
        if row < 0:
            columns = len(cells)
        elif len(cells) != columns:
            raise InputError(
                f"Row {row} of {path} (from 0) has {len(cells)} values, must have {columns}; correct line "
                f"{lines.line_num + bool(named)}, quote values that contain {comma!r}, or create the file again if it "
                "is truncated."
            )
        yield [name.strip() for name in cells] if row < 0 else cells
        row += 1


def _without_nul(path: Path, file: Iterable[str]) -> Iterator[str]:
    for line in file:
        if "\0" in line:
            read_text(path)  # refuses it
        yield line


def read_csv(path: Path) -> dict[str, list[str]]:
    """Return the columns of a table with a line of names, whose texts are not interpreted; see `read_rows`.

    Raises:
        InputError: the names are missing or not different, there are no other lines, or `read_rows` raises it.
        OSError: it cannot be read.
        csv.Error: a quotation mark is missing or misplaced.
    """
    lines = read_rows(path)
    names = next(lines, [])
    if not names or all(map(is_number, names)):
        found = ",".join(names[:3])
        raise InputError(
            f"{path} must begin with a line of column names, got {found!r}; add such a line."
        )
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{path} has more than one column {twice!r}; rename all but one.")
    rows = list(lines)
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
