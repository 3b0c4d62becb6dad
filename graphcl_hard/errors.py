"""The one exception that a person should read without a traceback, and how its sentence shows a value."""

import reprlib


class InputError(ValueError):
    """Something that the user gave cannot be used.

    Its message is one sentence that carries the value, the allowed range and what to do. The command
    line prints it and ends with exit status 2.
    """


def first_line(error: BaseException) -> str:
    """What an exception says, in one line: its first, cut where it is long, or its kind where it says nothing."""
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


def shown(value: object) -> str:
    """A value as a sentence shows it: its `repr`, cut where it is long; what nests does not multiply."""
    cut = reprlib.Repr()
    cut.maxlevel, cut.maxstring, cut.maxother, cut.maxlong = 2, 200, 200, 200
    try:
        return " ".join(cut.repr(value).splitlines())
    except ValueError:  # Python writes no whole number of more than 4300 digits
        return f"a {type(value).__name__} of very many digits"


def brief(value: object) -> str:
    """A setting's value as it was written, cut where it is long."""
    try:
        return str(value)[:200]
    except ValueError:
        return shown(value)
