"""Read the text files of a TU folder as tables of numbers, and report errors by file and line."""

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphcl_hard.exceptions import InputError
from graphcl_hard.io.text_tables import is_missing

_INTEGER = re.compile(r"[+-]?[0-9]+")
_INT64 = np.iinfo(np.int64)
MAX_EXACT = 2.0**53  # floating point represents all integers up to here
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars", " ": "spaces"}
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_table(
    path: Path, dtype: Any, columns: int | None = None, may_be_empty: bool = False
) -> NDArray[Any]:
    """Read a file of numbers, none of them missing.

    Args:
        path: the file.
        dtype: np.int64 or np.float32.
        columns: the number of values that each line must have; None: that of the first line.
        may_be_empty: whether the file may have no lines.

    Returns:
        (lines, columns) of `dtype`, finite.

    Raises:
        InputError: the file is unreadable or malformed; the message gives the file and the line.
    """
    text = _read_text(path)
    body = text.rstrip()
    if not body:
        if not may_be_empty:
            raise InputError(
                f"{path} is empty, must have at least one line; fetch or write the file again."
            )
        return np.empty((0, columns or 0), dtype=dtype)
    number_type = np.int64 if dtype is np.int64 else np.float64
    table = _fast_table(path, body, number_type)
    if table is None:
        table = _read_lines(path, re.split(r"\r\n|\r|\n", body), number_type, columns)
    if columns is not None and table.shape[1] != columns:
        raise InputError(
            f"{path}, line 1: {table.shape[1]} comma-separated values, must be {columns}; correct the file."
        )
    if dtype is np.int64:
        return table
    with np.errstate(over="ignore"):
        narrow = table.astype(np.float32)
    if not np.isfinite(narrow).all():
        row, column = np.argwhere(~np.isfinite(narrow))[0]
        if np.isnan(table[row, column]):
            raise _missing(f"{path}, line {row + 1}", column, "nan")
        raise InputError(
            f"{path}, line {row + 1}: value {column + 1}, {table[row, column]:g}, is not a finite 32-bit number; "
            "replace it, or scale its column."
        )
    return narrow


def read_targets(path: Path, num_graphs: int, single: bool) -> NDArray[Any]:
    """Read a file of labels or measured targets, one line per graph, in which values may be missing.

    Args:
        path: the file.
        num_graphs: how many lines the file should have: blank lines beyond it do not count.
        single: whether each line must have one value.

    Returns:
        (lines, columns): int64 if no value is missing and all are integers, else float64 with NaN where one is missing.

    Raises:
        InputError: as in `read_table`.
    """
    text = _read_text(path)
    if not text.strip():
        raise InputError(
            f"{path} is empty, must have one line per graph; fill it in, or remove it for graphs without labels."
        )
    body = text.rstrip()
    table = _fast_table(path, body, np.int64)
    if table is None:
        table = _fast_table(path, body, np.float64)
    if table is None or len(table) < num_graphs:
        lines = re.split(r"\r\n|\r|\n", text)
        if not lines[-1].strip():
            del lines[-1]  # not a line: what follows the last newline
        while len(lines) > num_graphs and not lines[-1].strip():
            del lines[-1]
        filled = next(line for line in lines if line.strip())
        blank = "," * filled.count(",")  # a blank line: all of its values are missing
        lines = [line if line.strip() else blank for line in lines]
        table = _read_lines(path, lines, np.float64, 1 if single else None, missing=True)
    if (table == np.rint(table)).all() and (np.abs(table) <= MAX_EXACT).all():
        table = table.astype(np.int64)
    if single and table.shape[1] != 1:
        raise InputError(
            f"{path}, line 1: {table.shape[1]} comma-separated values, must be 1; write one label per line, with a "
            "point as the decimal mark."
        )
    if np.isinf(table).any():
        row = int(np.argwhere(np.isinf(table))[0, 0])
        raise InputError(
            f"{path}, line {row + 1}: a value is infinite, must be finite; replace it, or write nan for a missing one."
        )
    return table


def read_bytes(path: Path) -> bytes:
    """Return the content of a file of a TU folder.

    Raises:
        InputError: it is missing or cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(
            f"{path} is missing, but a TU folder must contain it; add the file."
        ) from None
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}); check the file and its permissions."
        ) from None


def _read_text(path: Path) -> str:
    content = read_bytes(path)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in content[:2]:
        raise InputError(f"{path} is UTF-16 text, must be ASCII; save the file as ASCII or UTF-8.")
    body = content.removeprefix(_BYTE_ORDER_MARK)
    if not body.isascii():
        start = next(index for index, byte in enumerate(body) if byte > 127)
        line = body.count(b"\n", 0, start) + 1
        character = body[start : start + 4].decode("utf-8", errors="replace")[0]
        what = f"byte 0x{body[start]:02x}" if character == "\ufffd" else repr(character)
        raise InputError(
            f"{path}, line {line}: {what} is not ASCII text; replace it, or save the file as plain ASCII."
        )
    return body.decode("ascii")


def _fast_table(path: Path, body: str, number_type: Any) -> NDArray[Any] | None:
    """Read a file with NumPy, or return None where it must be read line by line: to be right, or to locate an error."""
    try:
        # NumPy parses a path much faster than lines. It only warns of numbers that are not quite integers.
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            table: NDArray[Any] = np.loadtxt(
                str(path.resolve()),
                dtype=number_type,
                delimiter=",",
                comments=None,
                ndmin=2,
                encoding="utf-8-sig",
            )
    except (ValueError, Warning):
        return None
    # NumPy skips blank lines, also before a lone \r.
    if len(table) != body.count("\n") + 1 or body.count("\r") != body.count("\r\n"):
        return None
    return table


def _read_lines(
    path: Path,
    lines: list[str],
    number_type: Any,
    columns: int | None = None,
    missing: bool = False,
) -> NDArray[Any]:
    """Read the numbers one line at a time, which is slow but gives the line of an error."""
    rows: list[list[float]] = []
    for number, line in enumerate(lines, start=1):
        place = f"{path}, line {number}"
        if not line.strip() and not missing:
            raise InputError(f"{place} is blank, must contain numbers; remove it or fill it in.")
        tokens = [token.strip() for token in line.split(",")]
        expected = len(rows[0]) if rows else columns or len(tokens)
        if len(tokens) != expected:
            for token in tokens:
                _check_separator(token, place)
            also = " as in line 1" if rows else ""
            remedy = "remove the comma at its end" if tokens[-1] == "" else "correct the line"
            raise InputError(
                f"{place}: {len(tokens)} comma-separated values, must be {expected}{also}; {remedy}."
            )
        row = []
        for column, token in enumerate(tokens):
            if is_missing(token) and not missing:
                raise _missing(place, column, token)
            value = float("nan") if is_missing(token) else _number(token, number_type)
            if value is None:
                raise _unreadable(token, number_type, path, number)
            row.append(value)
        rows.append(row)
    return np.array(rows, dtype=number_type)


def _number(token: str, number_type: Any) -> float | None:
    """Return the number that a token is, or None."""
    if number_type is np.int64 and _INTEGER.fullmatch(token) and len(token) <= 25:
        return int(token) if _INT64.min <= int(token) <= _INT64.max else None
    try:
        value = None if "_" in token else float(token)  # _ is Python's digit separator
    except ValueError:
        return None
    if number_type is np.float64 or value is None:
        return value
    # An id or a label may be written as 1.0.
    return int(value) if value == round(value, 0) and abs(value) <= MAX_EXACT else None


def _unreadable(token: str, number_type: Any, path: Path, number: int) -> InputError:
    """Return the error for a token that is no number of this type, in this line of a file."""
    place = f"{path}, line {number}"
    _check_separator(token, place)
    kind = "an integer of at most 64 bits" if number_type is np.int64 else "a number"
    remedy = "correct the line"
    if _number(token, np.float64) is not None and path.stem.endswith("_labels"):
        remedy = f"write measured numbers to {path.name.replace('_labels', '_attributes')}"
    elif re.search("[A-Za-z]", token):
        remedy = "write numbers instead of names"
        if number == 1:
            remedy = f"remove the line if it is a header, or {remedy}"
    return InputError(f"{place}: {token[:40]!r} is not {kind}; {remedy}.")


def _check_separator(token: str, place: str) -> None:
    for separator, plural in _SEPARATORS.items():
        parts = [part for part in token.split(separator) if part.strip()]
        if separator in token and all(_number(part, np.float64) is not None for part in parts):
            raise InputError(
                f"{place}: the values in {token[:40]!r} are separated by {plural}, must be separated by commas; "
                f"replace the {plural} in the file."
            )


def _missing(place: str, column: int, token: str) -> InputError:
    return InputError(
        f"{place}: value {column + 1} is missing ({token!r}), and every line must have all of its values; fill it in, "
        "or leave out its column."
    )
