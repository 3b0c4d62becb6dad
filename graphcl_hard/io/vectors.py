"""Read and check files of vectors and labels."""

import fnmatch
import math
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from graphcl_hard.exceptions import InputError, user_stacklevel
from graphcl_hard.io.columns import (
    IDS,
    LABELS,
    READ,
    TABLES,
    TEXT,
    nearest,
    read_columns,
    split_column,
    warn_of_order,
)
from graphcl_hard.io.paths import Pathname, user_path
from graphcl_hard.io.text_tables import (
    has_decimal_comma,
    is_code,
    is_missing,
    is_number,
)

TARGETS = "targets"
TARGET = "y."
"""What the name of a column begins with that holds one of several targets; its name follows."""
CHECKSUM = "data_sha256"
TASK = "task"
"""Name of the array, or of the metadata of Parquet, that is "regression" if the labels of the file are measured."""
# What pandas and pyarrow call a column or an index that has no name.
NAMELESS = re.compile(r"\s*|Unnamed: \d+|__index_level_\d+__")
NUMBERING = frozenset({"graph", "id", "idx", "index", "level_0", "row", "row_number"})

WITH_ONLY = "name the columns to use with `only`"

Array = npt.NDArray[Any]


class VectorFile(NamedTuple):
    """The content of a file of vectors with G rows."""

    vectors: dict[str, Array]
    """Name -> (G, D) array: the names of the arrays, or that of the file for a table."""
    labels: Array | dict[str, Array]
    """(G,) labels, with None or NaN where one is missing; or name -> (G,) for several targets."""
    ids: Array | None
    """(G,) ids, or None."""
    aside: dict[str, Array]
    """Name -> (G,) columns that were asked for beside the vectors, as they are in the file."""
    task: Literal["regression"] | None = None
    """What the file says of its own labels; None if it says nothing, or if other labels are used."""


def read_vectors(
    path: Pathname,
    labels: str | Sequence[str] | None = None,
    only: Sequence[str] = (),
    ignore: Sequence[str] = (),
    aside: Sequence[str] = (),
) -> VectorFile:
    """Read vectors and the labels of their rows.

    Ids (`id`) are not vectors. Nor are row numbers, as pandas and R write them: columns without a name, and columns
    that number the rows (see `numbers_rows`), in files whose rows are sorted by class, would give the labels away. Nor
    are `y` and columns `y.NAME`, which hold labels.

    Args:
        path: a .npz file, whose two-dimensional arrays are vectors; a .npy file with one such array; or a .csv or .tsv
            file with a header line, or a .parquet file, whose other columns form the vectors.
        labels: one or several of: the name of an array or column, which may leave out `y.`; a pattern of names, such as
            `y.*`; a file that contains nothing else but ids (.txt: one label per line); or FILE:COLUMN. None: `y`; or
            else the columns `y.NAME`; or else the only one-dimensional array. An array (G, T) has several labels, whose
            names are the array `targets`, or else their numbers.
        only: names of the arrays or columns to read, or patterns such as `emb_*`; empty: all of them but row numbers.
        ignore: names or patterns of arrays or columns that are not vectors.
        aside: names of columns to return as they are; they are not vectors. Those that are not there are left out.

    Raises:
        InputError: a file is missing, damaged or contains pickled objects; a name is unknown; a column is not numeric
            or not finite; or labels have other ids, or another number, than the rows.

    Warns:
        UserWarning: a column is left out because it holds row numbers, or has one value for each class; or labels of
            another file have no ids.
    """
    path = user_path(path)
    named = _with_targets(read_columns(path, READ))
    what = "column" if path.suffix in TABLES else "array"
    wanted = [labels] if isinstance(labels, str) else list(labels or ())
    inside = {label: _matching(label, named) for label in wanted}
    if not wanted:
        inside = {"": _default_labels(path, named)}
    used = {name for names in inside.values() for name in names}
    kept = {name: named[name] for name in aside if name in named}
    others = {name: array for name, array in named.items() if name not in used and name not in kept}
    for label, names in inside.items():
        if not names:  # before the vectors, whose columns may be wrong because of a misspelt label
            _label_file(path, named, label, what)
    vectors = _vectors(path, others, only, ignore, what)
    first, rows = next((name, len(array)) for name, array in vectors.items())
    pairs: list[tuple[str, Array]] = []
    for label, names in inside.items():
        pairs += [pair for name in names for pair in _label_columns(path, name, named)]
        pairs += [] if names else _labels_of(path, rows, named, label, what)
    found = _checked_labels(path, pairs, first, rows)
    if not only:
        tabular = {
            f"The column {name!r} of {path}": column
            for name, column in others.items()
            if what == "column" and not _is_beside(name) and not NAMELESS.fullmatch(name)
        }
        columns = tabular or _columns_of(path, vectors)
        for column in dict.fromkeys(
            one for target in found.values() for one in _holding_labels(columns, target)
        ):
            _warn(
                f"{column} has one value for each class, as labels have; name the others with `only` if it is no "
                "feature."
            )
    single = next(iter(found.values())) if len(found) == 1 else found
    are_own = all(names and all(map(_is_beside, names)) for names in inside.values())
    return VectorFile(
        vectors, single, named.get(IDS), kept, _task(path, named) if are_own else None
    )


def _task(path: Path, named: Mapping[str, Array]) -> Literal["regression"] | None:
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        text = (pq.read_schema(path).metadata or {}).get(TASK.encode(), b"").decode()
    else:
        text = str(named.get(TASK, ""))
    return "regression" if text == "regression" else None


def _checked_labels(
    path: Path, pairs: Iterable[tuple[str, Array]], first: str, rows: int
) -> dict[str, Array]:
    """Return labels by their names after checking that there is one of each for each row of the first vectors."""
    found: dict[str, Array] = {}
    for name, column in pairs:
        if name in found:
            raise InputError(
                f"`labels` must name each label once, got {name!r} twice; leave one of them out."
            )
        if column.ndim == 1 and len(column) != rows:
            raise InputError(
                f"{path} must have one label for each row of {first!r}, got {len(column)} labels {name!r} for {rows} "
                "rows; add or remove some."
            )
        found[name] = column
    return found


def _is_beside(name: str) -> bool:
    """Return whether a column or array holds ids or labels by its name; other labels would give labels away."""
    return name in (IDS, LABELS) or name.startswith(TARGET)


def _matching(name: str, named: Iterable[str]) -> list[str]:
    """Return the columns or arrays with this name, also without the `y.` that it begins with, or of this pattern."""
    names = list(named)
    for exact in (name, TARGET + name):
        if exact in names:
            return [exact]
    if name == LABELS:
        return [one for one in names if one.startswith(TARGET)]
    return fnmatch.filter(names, name) if re.search(r"[*?[]", name) else []


def _chosen(path: Path, names: Sequence[str], named: Mapping[str, Array], what: str) -> list[str]:
    """Return the columns or arrays of vectors with these names or patterns, each once."""
    found: dict[str, None] = {}
    for name in names:
        matching = _matching(name, named)
        if not matching:
            raise InputError(f"{path} has no {what} {name!r} of vectors; {nearest(name, named)}")
        found |= dict.fromkeys(matching)
    return list(found)


def _vectors(
    path: Path,
    named: Mapping[str, Array],
    only: Sequence[str],
    ignore: Sequence[str],
    what: str,
) -> dict[str, Array]:
    ignored = _chosen(path, ignore, named, what)
    wanted = _chosen(path, only, named, what)
    named = {
        name: named[name]
        for name in wanted or named
        if name not in ignored and (wanted or not _is_beside(name))
    }
    if what == "column":
        numbers = table_columns(str(path), named, keep=bool(only))
        vectors = {path.stem: np.column_stack(list(numbers.values()))} if numbers else {}
    elif only:
        vectors = named
    else:
        vectors = {
            name: _without_row_numbers(path, name, array)
            for name, array in named.items()
            if array.ndim == 2 and array.dtype.kind in "biufc"
        }
    if not vectors:
        raise InputError(
            f"{path} has no vectors besides the labels; give a file with a (G, D) array, or a table whose columns are "
            "separated by commas, semicolons or tabs."
        )
    return vectors


def table_columns(
    table: str, columns: Mapping[str, Array], keep: bool = False, remedy: str = WITH_ONLY
) -> dict[str, npt.NDArray[np.float64]]:
    """Return the columns of a table as numbers, without those of row numbers.

    Args:
        table: how messages name the table.
        columns: name -> (G,) numbers, or the texts of numbers.
        keep: whether to return row numbers, too.
        remedy: how messages say that other columns are chosen.

    Raises:
        InputError: a value is not a finite number.

    Warns:
        UserWarning: a column is left out.
    """
    found = {}
    for name, column in columns.items():
        if NAMELESS.fullmatch(name) and not keep:
            _warn(
                f"{table} has a column without a name{f' ({name})' if name.strip() else ''}, which is left out, since "
                "pandas and R write row numbers there; name it to use it as a vector."
            )
            continue
        numbers = _numbers(table, name, column, remedy)
        if not keep and numbers_rows(numbers, name):
            _warn(
                f"The column {name!r} of {table} is left out, since it numbers the rows and may give their order away; "
                f"{remedy} if it is a feature."
            )
            continue
        found[name] = numbers
    return found


def numbers_rows(column: Array, name: str = "") -> bool:
    """Return whether a column of at least 10 numbers numbers the rows.

    It does if its numbers are evenly spaced, or are whole and sorted, all different; or if they are n consecutive whole
    numbers in any order, as in a shuffled table. In a column with a name such as `index`, they need not be consecutive.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        steps = np.diff(column.astype(np.float64))
    if len(steps) < 9 or not np.isfinite(steps).all() or not steps.any():
        return False
    if (np.abs(steps - steps[0]) <= 1e-6 * np.abs(steps[0])).all():
        return True
    if (column != np.rint(column)).any():
        return False
    if (steps > 0).all() or (steps < 0).all():
        return True
    different = np.unique(column)
    consecutive = different[-1] - different[0] == len(column) - 1
    return len(different) == len(column) and bool(consecutive or name.lower() in NUMBERING)


def _columns_of(path: Path, arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {
        f"Column {place} of the array {name!r} of {path}": array[:, place]
        for name, array in arrays.items()
        for place in range(array.shape[1])
    }


def _holding_labels(columns: Mapping[str, Array], labels: Array) -> Iterator[str]:
    """Yield the names of columns that have equal values where, and only where, the labels are equal."""
    if labels.ndim != 1:
        return
    given = labels.tolist()
    known = [row for row, label in enumerate(given) if label is not None and label == label]  # noqa: PLR0124
    found = [given[row] for row in known]
    if len(known) < 10 or not 1 < len(set(found)) < len(known):
        return

    def are_equal(column: Array, count: int) -> bool:
        values = column[known[:count]].tolist()
        pairs = len(set(zip(values, found[:count], strict=True)))
        return pairs == len(set(values)) == len(set(found[:count]))

    for name, column in columns.items():
        # The first rows suffice to exclude nearly all columns, of which there may be thousands.
        if len(column) == len(labels) and are_equal(column, 100) and are_equal(column, len(known)):
            yield name


def _without_row_numbers(path: Path, name: str, array: Array) -> Array:
    if array.dtype.kind not in "iuf":
        return array
    counting = [column for column in range(array.shape[1]) if numbers_rows(array[:, column])]
    if len(counting) == array.shape[1] > 0:
        raise InputError(
            f"{path} has only row numbers in the array {name!r}; name it with `only` if they are features."
        )
    for column in counting:
        _warn(
            f"Column {column} of the array {name!r} of {path} is left out, since it numbers the rows and may give "
            f"their order away; name the array with `only` if the column is a feature."
        )
    return np.delete(array, counting, axis=1) if counting else array


def _warn(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=user_stacklevel())


def _with_targets(named: dict[str, Array]) -> dict[str, Array]:
    """Return columns or arrays with one column `y.NAME` for each column of `y` (G, T)."""
    y = named.get(LABELS)
    if y is None or y.ndim != 2 or y.shape[1] < 2:
        return named
    others = {name: array for name, array in named.items() if name != LABELS}
    targets = others.get(TARGETS)
    if targets is not None and targets.shape == y.shape[1:]:
        others.pop(TARGETS)
        names = targets.tolist()
    else:
        names = list(range(y.shape[1]))
    return others | {f"{TARGET}{name}": column for name, column in zip(names, y.T, strict=True)}


def _default_labels(path: Path, named: Mapping[str, Array]) -> list[str]:
    """Return the names of the arrays or columns with labels where none are named."""
    if LABELS in named:
        return [LABELS]
    targets = [name for name in named if name.startswith(TARGET)]
    if targets:
        return targets
    candidates = [
        name
        for name, array in named.items()
        if array.ndim == 1 and name != IDS and not NAMELESS.fullmatch(name)
    ]
    if len(candidates) != 1:
        raise InputError(
            f"{path} has no labels {LABELS!r}; name them, or a file of them, with `labels`: {nearest(LABELS, named)}"
        )
    return candidates


def _label_columns(
    path: Path, name: str, named: Mapping[str, Array]
) -> Iterator[tuple[str, Array]]:
    """Yield the name and the values, (G,), of each label in an array or column."""
    array = named[name]
    if array.ndim != 2:
        yield name.removeprefix(TARGET), _label_values(path, array)
    elif array.shape[1] == 1:
        yield name, _label_values(path, array[:, 0])
    else:
        yield from ((str(number), column) for number, column in enumerate(array.T))


def _label_file(
    path: Path, named: Mapping[str, Array], label: str, what: str
) -> tuple[Path, str | None]:
    """Return the file, and the column if one is named, that has a label which is not in the file of vectors."""
    file, column = split_column(label, "`labels`")
    if file.suffix not in (*READ, ".txt"):
        raise InputError(f"{path} has no {what} {label!r} for the labels; {nearest(label, named)}")
    return file, column


def _labels_of(
    path: Path, rows: int, own: Mapping[str, Array], label: str, what: str
) -> list[tuple[str, Array]]:
    """Return the labels in a file of their own after checking that they belong to the rows of `path`."""
    file, column = _label_file(path, own, label, what)
    named = _with_targets(read_columns(file, (*READ, ".txt")))
    names = _default_labels(file, named) if column is None else _matching(column, named)
    if not names:
        raise InputError(
            f"{file} has no column {column!r} of labels; {nearest(str(column), named)}"
        )
    ids, others = own.get(IDS), named.get(IDS)
    if others is None:
        warn_of_order(file, ids)
    found: list[tuple[str, Array]] = []
    for name in names:
        labels = named[name]
        hint = "add or remove some"
        if file.suffix == ".txt":
            labels, hint = _without_heading(labels, rows)
        elif file.suffix in TEXT and len(labels) == rows - 1:
            hint = "begin the file with a line of column names"
        if labels.ndim == 1 and len(labels) != rows:
            raise InputError(
                f"{file} must have one label for each row of {path}, got {len(labels)} for {rows}; {hint}."
            )
        found += _label_columns(file, name, {**named, name: labels})
    if ids is not None and others is not None and ids.shape == others.shape == (rows,):
        for row, (one, other) in enumerate(zip(ids.tolist(), others.tolist(), strict=True)):
            if str(one) != str(other):
                raise InputError(
                    f"{file} has the id {other!r} at row {row} (counted from 0), where {path} has {one!r}; put both "
                    "files into the same order."
                )
    return found


def _without_heading(labels: Array, rows: int) -> tuple[Array, str]:
    """Return the lines of a text file of labels without a heading and empty lines, and a hint if they are too many."""
    while len(labels) > rows and not labels[-1].strip():  # empty lines at the end
        labels = labels[:-1]
    if len(labels) != rows + 1:
        return labels, "add or remove some"
    heading = str(labels[0])
    if not is_number(heading) and all(
        is_number(text) or is_missing(text) for text in labels[1:].tolist()
    ):
        return labels[1:], ""
    return labels, f"remove the first line, {heading[:40]!r}, if it is a heading"


def _label_values(path: Path, labels: Array) -> Array:
    """Return labels with None in place of the texts for missing ones.

    Those of a text file become numbers if all of them are, and none is a code (see `is_code`), such as 007.
    """
    if labels.dtype.kind not in "OUST" or labels.ndim != 1:
        return labels
    values = []
    for label in labels.tolist():
        text = label.decode(errors="replace") if isinstance(label, bytes) else label
        text = text.strip() if isinstance(text, str) else text
        missing = is_missing(text) if isinstance(text, str) else type(text).__name__ == "NAType"
        values.append(None if missing else text)
    known = [value for value in values if value is not None]
    if path.suffix in (*TEXT, ".txt") and known:
        if all(map(has_decimal_comma, known)):
            raise InputError(
                f"{path} has labels with a decimal comma, such as {known[0]!r}; write them with a decimal point."
            )
        if all(map(is_number, known)) and not any(map(is_code, known)):
            values = [None if value is None else _number(value) for value in values]
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _numbers(table: str, name: str, column: Array, remedy: str) -> npt.NDArray[np.float64]:
    try:
        if column.dtype.kind not in "biufOUT":
            raise TypeError
        if column.dtype.kind in "OUT" and not all(map(is_number, column.tolist())):
            raise ValueError
        numbers = column.astype(np.float64)
        if not np.isfinite(numbers).all():
            raise ValueError
        return numbers
    except (TypeError, ValueError):
        values = column.tolist()
        row = next((row for row, value in enumerate(values) if not _is_finite(value)), 0)
        found = str(values[row])
        what = (
            "has a decimal comma"
            if has_decimal_comma(found)
            else "is not finite"
            if is_number(values[row])
            else "is not a number"
        )
        raise InputError(
            f"{table} has {found[:40]!r} at row {row} (counted from 0) of the column {name!r}, which {what}; correct "
            f"it, or {remedy}."
        ) from None


def _is_finite(value: Any) -> bool:
    return is_number(value) and math.isfinite(float(value))
