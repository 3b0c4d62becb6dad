"""Classes as a table has them, whole numbers or names, to numbers."""

import math
import re

import numpy as np

from graphcl_hard.errors import InputError, shown


class ClassLabels:
    """The classes of a set that is read row by row: whole numbers are kept, names are numbered as they come.

    Args:
        column: what the column is called, for complaints.
    """

    def __init__(self, column: object) -> None:
        self._column = column
        self._names: dict[str, int] = {}
        self._are_names: bool | None = None

    def number(self, value: object, where: str) -> int:
        """The class of a row, by a number.

        Raises:
            InputError: it is missing, a number that is not whole, or a name among numbers.
        """
        value = value.item() if isinstance(value, np.generic) else value
        text = "" if value is None or (isinstance(value, float) and math.isnan(value)) else str(value).strip()
        is_whole = re.fullmatch(r"[+-]?\d{1,18}(\.0*)?", text) is not None
        is_number = is_whole or re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|nan|inf", text, re.IGNORECASE)
        if self._are_names is None:
            self._are_names = bool(text) and not is_number
        if not text or (is_number and not is_whole) or self._are_names == is_whole:
            raise InputError(
                f"{where} has the {self._column} {shown(value)}, must be a class, all of them whole numbers or all "
                "names; leave --label out to convert without classes."
            )
        return self._names.setdefault(text, len(self._names)) if self._are_names else int(text.partition(".")[0])
