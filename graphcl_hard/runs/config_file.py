"""Settings in a YAML file: read, checked by name and type, and turned into flags."""

import difflib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from graphcl_hard.config import EARLIER, RULES, Config, without_removed
from graphcl_hard.exceptions import InputError, short_repr
from graphcl_hard.runs.flags import flag

# Exceptions that PyYAML raises: a date such as 2001-99-99 is a ValueError, `!!bool x` a KeyError.
_NOT_YAML = (yaml.YAMLError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, but a key that occurs twice is refused instead of overwritten."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Construct a mapping whose keys are all different."""
        keys = [
            key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)
        ]  # before others are merged in
        if twice := [key for key in keys if keys.count(key) > 1]:
            raise ValueError(f"{short_repr(twice[0])} occurs twice")
        return super().construct_mapping(node, deep)


def load_yaml(text: str) -> Any:
    """Return the content of a YAML text.

    Raises:
        ValueError: it is no YAML, or a key occurs twice in a mapping.
    """
    try:
        return _Loader(text).get_single_data()
    except _NOT_YAML as error:
        raise ValueError(re.sub(r"\s+", " ", str(error))[:500]) from error


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the settings in a YAML file, by field name; the parser of the flags checks their values.

    Raises:
        InputError: the file cannot be read, is not a mapping, or has a key that is not a setting.
    """
    try:
        # YAML 1.1 takes numbers such as 1e-3 for strings, which the parser of the flags reads: scalars may be strings.
        content = load_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(
            f"--config {path} cannot be read: {reason}; give the config.yaml of a run."
        ) from error
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise InputError(
            f"--config {path} must have one setting per line, such as 'beta: 2', got {short_repr(content)}."
        )
    try:
        settings = without_removed(content)
    except InputError as error:
        raise InputError(f"--config {path}: {error}") from error
    names = list(RULES)
    if {
        "dataset",
        "protocol",
        "probes",
    } <= settings.keys():  # a run's own file, which has all settings of its version
        settings = {**EARLIER, **settings}
    for key in settings:
        if key not in names:
            close = difflib.get_close_matches(str(key), names, n=1)
            hint = (
                f"did you mean {close[0]!r}?" if close else f"the settings are {', '.join(names)}."
            )
            raise InputError(f"--config {path} has the unknown setting {short_repr(key)}; {hint}")
        kind, fits = _kind(getattr(Config(), key), get_type_hints(Config)[key])
        if not fits(settings[key]):
            raise InputError(
                f"--config {path}: {key} must be {kind}, got {short_repr(settings[key])}; fix that line."
            )
    return settings


def to_flags(settings: dict[str, Any]) -> list[str]:
    """Return settings as command-line arguments, so that a file is checked as flags are."""
    words = []
    for name, value in settings.items():
        if isinstance(value, bool):
            words.append(flag(name) if value else flag(name).replace("--", "--no-", 1))
        else:
            values = [str(v) for v in (value if isinstance(value, list) else [value])]
            # --name=value allows a value that begins with a dash
            words += [f"{flag(name)}={values[0]}"] if len(values) == 1 else [flag(name), *values]
    return words


def _kind(default: Any, hint: Any = None) -> tuple[str, Callable[[Any], bool]]:
    """Return what a setting with this default and type may be in a YAML file, in words and as a test."""
    if hint == float | None:
        _, is_number = _kind(0.0)
        return "a number or null", lambda value: value is None or is_number(value)
    if isinstance(default, bool):
        return "true or false", lambda value: isinstance(value, bool)
    if isinstance(default, (int, float)):
        return (
            "a number",
            lambda value: isinstance(value, (int, float, str)) and not isinstance(value, bool),
        )
    if isinstance(default, tuple):
        kind, fits = _kind(default[0])
        return (
            f"a list, each {kind}",
            lambda value: isinstance(value, list) and all(fits(v) for v in value),
        )
    if default is None:
        return "a path or null", lambda value: value is None or isinstance(value, str)
    return "a name", lambda value: isinstance(value, str)
