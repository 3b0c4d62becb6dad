"""Checks of a plan's keys, lists and names; each error is one sentence with the value found and the remedy."""

import difflib
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from graphcl_hard.exceptions import InputError
from graphcl_hard.sweeps.cell import WL_LABELS


def label(given: Any, what: str) -> str:
    """Return a name that is safe as a folder's; else raise `InputError`."""
    if not isinstance(given, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}", given):
        raise InputError(
            f"a method's {what} must be 1 to 100 letters, digits, '.', '_', '+' and '-', beginning with a letter or "
            f"digit, since folders are named after it, got {given!r}; change it."
        )
    return given


def mapping(given: Any, where: str, allowed: Collection[str] | None = None) -> dict[str, Any]:
    """Return a mapping whose keys are strings, and allowed, an empty one for None; else raise `InputError`."""
    given = {} if given is None else given
    if not isinstance(given, dict):
        raise InputError(
            f"{where} must hold keys with values, such as 'beta: 2', got {given!r}; fix that line."
        )
    check_known(given, [str(key) for key in given] if allowed is None else allowed, where, "key")
    return given


def listed(given: Any, where: str, kind: str) -> list[Any]:
    """Return a list that is not empty; else raise `InputError`."""
    if not isinstance(given, list) or not given:
        raise InputError(f"{where} must be a list of {kind}, got {given!r}; fix that line.")
    return given


def check_known(given: Collection[Any], known: Collection[Any], where: str, what: str) -> None:
    """Raise `InputError` for the first name that is not known."""
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(str(name), [str(one) for one in known], n=1)
            names = ", ".join(map(str, known))
            hint = f"choose from {names}." if names else "leave it out."
            hint = f"did you mean {close[0]!r}?" if close else hint
            raise InputError(f"{where} has the unknown {what} {name!r}; {hint}")


def check_once(names: Sequence[Any], where: str, advice: str) -> None:
    """Raise `InputError` if a name occurs twice."""
    for name, count in Counter(map(str, names)).items():
        if count > 1:
            raise InputError(
                f"{where} must each be there once, got {name!r} {count} times; {advice}."
            )


def check_kernel(settings: Mapping[str, Any], where: str = "") -> None:
    """Raise `InputError` if the iterations or the labels of a Weisfeiler-Lehman kernel are wrong."""
    given, labels = settings.get("iterations", [0]), settings.get("labels", WL_LABELS[0])
    numbers = list(given) if isinstance(given, (list, tuple)) else []
    if not numbers or not all(is_whole(number) and number >= 0 for number in numbers):
        raise InputError(
            f"{where}iterations must be a list of whole numbers of at least 0, got {given!r}; [0, 1, 2, 3, 4, 5] is "
            "usual."
        )
    if labels not in WL_LABELS:
        raise InputError(
            f"{where}labels must be one of {', '.join(WL_LABELS)}, got {labels!r}; given is usual."
        )


def is_whole(value: Any) -> bool:
    """Return whether the value is an integer, and not a boolean."""
    return isinstance(value, int) and not isinstance(value, bool)


def as_number(value: Any) -> Any:
    """Return the number that a string such as "1e-3" holds, which YAML 1.1 does not take for one, else the value."""
    is_number = isinstance(value, str) and re.fullmatch(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+", value)
    return float(value) if is_number else value
