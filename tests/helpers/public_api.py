"""The public interface as text, a line for each name, parameter and flag, to be read as a diff.

`python tests/helpers/public_api.py` (or `make api`) writes it into public_api.txt, which test_public_api.py compares.
"""

import ast
import dataclasses
import inspect
import re
import textwrap
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import graphcl_hard
from graphcl_hard import convert, embed, evaluate, finetune, run
from graphcl_hard.config import Config
from graphcl_hard.runs.flags import flag
from graphcl_hard.training.fine_tuning import FineTuning

SNAPSHOT = Path(__file__).with_name("public_api.txt")
MARKS = {
    inspect.Parameter.POSITIONAL_ONLY: "(positional) ",
    inspect.Parameter.KEYWORD_ONLY: "(keyword) ",
    inspect.Parameter.VAR_POSITIONAL: "*",
    inspect.Parameter.VAR_KEYWORD: "**",
    inspect.Parameter.POSITIONAL_OR_KEYWORD: "",
}


def snapshot() -> str:
    """The whole interface."""
    commands = [
        line
        for command in (run, embed, evaluate, convert, finetune)
        for line in flags(command.PROG, command.Arguments)
    ]
    return "\n".join([*names(), *commands]) + "\n"


def names() -> Iterator[str]:
    """What `graphcl_hard` exports."""
    for name in sorted(graphcl_hard.__all__):
        thing = getattr(graphcl_hard, name)
        yield from (
            described_class(name, thing)
            if inspect.isclass(thing)
            else callable_(f"function {name}", thing)
        )
        yield ""


def callable_(title: str, function: Any, indent: str = "", bound: bool = False) -> Iterator[str]:
    """A function's parameters; a `bound` one's first is left out."""
    signature = inspect.signature(function)
    returns = kind(signature.return_annotation, function, "return")
    yield f"{indent}{title}{returns and ' -> ' + returns}"
    for parameter in list(signature.parameters.values())[1 if bound else 0 :]:
        if parameter.name.startswith("_"):
            continue
        hint = kind(parameter.annotation, function, parameter.name)
        hint = hint and ": " + hint
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        yield f"{indent}    {MARKS[parameter.kind]}{parameter.name}{hint}{default}"


def described_class(name: str, thing: type) -> Iterator[str]:
    """A class's bases, constructor, attributes and methods, as far as they are the package's own."""
    bases = ", ".join(base.__name__ for base in thing.__bases__ if base is not object)
    yield f"class {name}({bases})"
    fields = getattr(thing, "_fields", ())
    if not fields and ours(thing, "__init__") and not getattr(thing, "_is_protocol", False):
        yield from callable_("__init__", thing.__init__, "    ", bound=True)
    for field in fields:
        yield f"    {field}: {kind(typing.get_type_hints(thing)[field])}"
    for attribute in documented_attributes(thing):
        yield f"    {attribute} (documented)"
    for member in members(thing):
        value = inspect.getattr_static(thing, member)
        if isinstance(value, property):
            yield from callable_(f"property {member}", value.fget, "    ", bound=True)
        elif isinstance(value, classmethod):
            yield from callable_(f"classmethod {member}", value.__func__, "    ", bound=True)
        elif callable(value):
            yield from callable_(f"method {member}", value, "    ", bound=True)


def members(thing: type) -> list[str]:
    """Names of the methods and properties that the package defines, or that are the class's call."""
    fields = getattr(thing, "_fields", ())
    return [
        name
        for name in dir(thing)
        if ours(thing, name)
        and name not in fields
        and (name == "__call__" or not name.startswith("_"))
    ]


def ours(thing: type, name: str) -> bool:
    """Whether the package defines this member, and no library that it builds on."""
    owner = next((base for base in thing.__mro__ if name in vars(base)), None)
    value = inspect.getattr_static(thing, name)
    is_code = callable(value) or isinstance(value, (property, classmethod, staticmethod))
    return owner is not None and owner.__module__.partition(".")[0] == "graphcl_hard" and is_code


def documented_attributes(thing: type) -> list[str]:
    """The names under "Attributes:" in a class's docstring."""
    _, _, section = (inspect.getdoc(thing) or "").partition("Attributes:\n")
    return re.findall(r"^    (\w+):", section.partition("\n\n")[0], flags=re.MULTILINE)


def flags(prog: str, arguments: type) -> Iterator[str]:
    """A command's flags, with their types and defaults."""
    yield f"command {prog}"
    hints = typing.get_type_hints(arguments, include_extras=True)
    for field in dataclasses.fields(arguments):
        marks, hint = (), hints[field.name]
        if get_origin(hint) is typing.Annotated:
            hint, *marks = get_args(hint)
        if hint in (Config, FineTuning):
            types = typing.get_type_hints(hint)
            for setting in dataclasses.fields(hint):
                yield one_flag(flag(setting.name), setting, types[setting.name], True)
            continue
        is_word = any("Positional" in repr(mark) for mark in marks)
        name = field.name.upper() if is_word else flag(field.name)
        yield one_flag(
            name, field, hint, not any("FlagCreatePairsOff" in repr(mark) for mark in marks)
        )
    yield ""


def one_flag(name: str, field: Any, hint: Any, pairs: bool) -> str:
    """A line for a flag."""
    default = "" if field.default is dataclasses.MISSING else f" = {field.default!r}"
    if isinstance(field.default, Path):
        default = f" = {str(field.default)!r}"
    if hint is bool:
        other = ", " + name.replace("--", "--no-", 1) if pairs else ""
        return f"    {name}{other}{default}"
    return f"    {name}: {kind(hint)}{default}"


def kind(annotation: Any, function: Any = None, name: str = "") -> str:
    """A type without the modules' names; NumPy's, which differ from version to version, as the function writes them."""
    if annotation is inspect.Parameter.empty:
        return ""
    text = inspect.formatannotation(annotation)
    if "numpy" in text:
        node = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
        assert isinstance(node, ast.FunctionDef)
        arguments = {
            one.arg: one.annotation for one in (*node.args.args, *node.args.kwonlyargs)
        } | {"return": node.returns}
        text = ast.unparse(arguments[name])
    return re.sub(r"\b(?:[a-z_]\w*\.)+(?=[A-Za-z_])", "", text)


if __name__ == "__main__":
    SNAPSHOT.write_text(snapshot(), encoding="utf-8")
