"""The exception that a person reads without a traceback, how its sentence shows a value, and where a warning points."""

import importlib.util
import os
import reprlib
import sys


class InputError(ValueError):
    """Something that the user gave cannot be used.

    Its message is one sentence that carries the value, the allowed range and what to do. The command
    line prints it and ends with exit status 2.
    """


def first_line(error: BaseException) -> str:
    """What an exception says, in one line: its first, cut where it is long, or its kind where it says nothing."""
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


def short_repr(value: object) -> str:
    """A value as a sentence shows it: its `repr`, cut where it is long; what nests does not multiply."""
    cut = reprlib.Repr()
    cut.maxlevel, cut.maxstring, cut.maxother, cut.maxlong = 2, 200, 200, 200
    try:
        return " ".join(cut.repr(value).splitlines())
    except ValueError:  # Python writes no whole number of more than 4300 digits
        return f"a {type(value).__name__} of very many digits"


def short_str(value: object) -> str:
    """A setting's value as it was written, cut where it is long."""
    try:
        return str(value)[:200]
    except ValueError:
        return short_repr(value)


def _folder(package: str) -> str:
    """The folder of an installed package, with a separator at its end, found without importing the package."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return os.path.join(os.path.dirname(spec.origin), "")


# As the argument skip_file_prefixes of warnings.warn, which Python has from 3.12 on.
_NOT_THE_USERS = (os.path.join(os.path.dirname(__file__), ""), _folder("sklearn"), _folder("joblib"))


def user_stacklevel() -> int:
    """The stacklevel with which the caller's `warnings.warn` points outside of this package, scikit-learn and joblib.

    So `fit` inside a Pipeline, or behind scikit-learn's wrappers, points at the line that a person wrote.
    """
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_NOT_THE_USERS):
        level, frame = level + 1, frame.f_back
    return level
