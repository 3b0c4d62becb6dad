"""Paths as users write them."""

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from graphcl_hard.exceptions import InputError, short_repr

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Pathname = str | os.PathLike[str]
"""What every function of the package takes as a path."""
Arguments = TypeVar("Arguments", bound="DataclassInstance")


def user_path(path: Pathname, name: str = "path") -> Path:
    """Return a path that a user gave, with `~` and `~user` expanded.

    Args:
        path: the path; relative ones remain relative.
        name: name of the argument or flag for the message.

    Raises:
        InputError: it is neither a string nor a path, is empty, contains a character that no path may contain, or
            begins with `~` and the name of an unknown user.
    """
    try:
        text = os.fspath(path)
        if not isinstance(text, str):
            raise TypeError
    except TypeError:
        raise InputError(
            f"{name} must be a string or a pathlib.Path, got {short_repr(path)}; give one of them."
        ) from None
    try:
        os.fsencode(text)
        allowed = text != "" and "\0" not in text
    except UnicodeEncodeError:  # half of a surrogate pair
        allowed = False
    if not allowed:
        raise InputError(
            f"{name} must be the path of a file or folder, got {short_repr(text)}; give one."
        )
    expanded = os.path.expanduser(text)
    if expanded.startswith("~"):
        raise InputError(
            f"{name} begins with the home folder of an unknown user, got {short_repr(text)}; give the full path."
        )
    return Path(expanded)


def expand_paths(arguments: Arguments) -> Arguments:
    """Return the arguments of a command, a dataclass that may hold others, with `~` expanded in each path.

    Raises:
        InputError: as in `user_path`.
    """
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(arguments):
        value = getattr(arguments, field.name)
        if isinstance(value, Path):
            changes[field.name] = user_path(value, f"--{field.name.replace('_', '-')}")
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            changes[field.name] = expand_paths(value)
    return dataclasses.replace(arguments, **changes)
