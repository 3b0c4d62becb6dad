"""The exceptions for invalid input and to stop a training, how messages show values, and where warnings point."""

import contextlib
import importlib.util
import os
import reprlib
import sys


class InputError(ValueError):
    """Raised for invalid input: an argument, a setting, a file or a data set that cannot be used.

    The message is one sentence with the value, the allowed range and a remedy. The commands print it without a
    traceback and exit with status 2.

    Examples:
        >>> from graphcl_hard import InputError, load_graphs
        >>> try:
        ...     load_graphs("mutag")
        ... except InputError as error:
        ...     print(error)
        There is no data set 'mutag'; did you mean MUTAG?
    """


class StopTraining(Exception):
    """Raised by a function `on_epoch` to end the training after this epoch and keep what was learnt.

    `HardInfoGraph` is then fitted, with the weights of this epoch, and its `history_` ends with it. After any other
    exception everything is as it was before.

    Examples:
        >>> from graphcl_hard import HardInfoGraph, StopTraining, load_graphs
        >>> def stop(epoch):
        ...     if epoch.epoch == 2:
        ...         raise StopTraining
        >>> model = HardInfoGraph(epochs=100, random_state=0, on_epoch=stop).fit(load_graphs("MUTAG"))
        >>> len(model.history_)
        2
    """


def first_line(error: BaseException) -> str:
    """Return the message of an exception in one line of at most 200 characters, or its type if it has none.

    The message of an OSError is its reason, without the number and the file's name.
    """
    message = (isinstance(error, OSError) and error.strerror) or str(error)
    return message.splitlines()[0][:200] if message else type(error).__name__


def short_repr(value: object) -> str:
    """Return the `repr` of a value on one line, shortened where it is long or deeply nested."""
    short = reprlib.Repr()
    short.maxlevel, short.maxstring, short.maxother, short.maxlong = 2, 200, 200, 200
    try:
        return " ".join(short.repr(value).splitlines())
    except ValueError:  # Python refuses to print integers of more than 4300 digits
        return f"a {type(value).__name__} of very many digits"


def short_str(value: object) -> str:
    """Return the `str` of a value, at most 200 characters."""
    try:
        return str(value)[:200]
    except ValueError:
        return short_repr(value)


def _folder(package: str) -> str:
    """Return the folder of an installed package, with a trailing separator, without importing the package."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return os.path.join(os.path.dirname(spec.origin), "")


# What the argument skip_file_prefixes of warnings.warn does from Python 3.12 on.
# Functions that `contextlib` decorates have a frame of it.
_SKIPPED = (
    os.path.join(os.path.dirname(__file__), ""),
    *(_folder(package) for package in ("sklearn", "joblib", "torch_geometric")),
    contextlib.__file__,
)


def user_stacklevel() -> int:
    """Return the stacklevel at which `warnings.warn` points outside this package and those that call it.

    A warning from `fit` then points at the user's own line, even if a Pipeline or a wrapper of scikit-learn called it.
    """
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_SKIPPED):
        level, frame = level + 1, frame.f_back
    return level
