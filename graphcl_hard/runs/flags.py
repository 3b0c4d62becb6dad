"""Names of settings as flags of the command line."""

import re
from collections.abc import Iterable

from graphcl_hard.config import RULES


def flag(name: str) -> str:
    """Return the command line's flag for a setting."""
    return "--" + name.replace("_", "-")


def with_flags(text: str, more: Iterable[str] = ()) -> str:
    """Return an error message with flags in place of the settings that it names in backticks.

    A command passes the names of `more` flags that it has.

    `beta` becomes --beta, `mode=released` --mode released, `resume=True` --resume and `evaluate=False` --no-evaluate.
    """

    def spelled(match: re.Match[str]) -> str:
        name, value = match[1], match[2]
        if name not in {*RULES, *more}:
            return match[0]
        if value == "False":
            return flag("no_" + name)
        return flag(name) if value in (None, "True") else f"{flag(name)} {value}"

    return re.sub(r"`([a-z_]+)(?:=([^`]*))?`", spelled, text)
