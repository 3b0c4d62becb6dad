"""Mathematics in docstrings, which Sphinx's roles mark for readers of the source, as the site's Markdown has it."""

import inspect
import re
from typing import Any

import griffe

INLINE = re.compile(r":math:`([^`]+)`")
BLOCK = re.compile(r"^\.\. math::[ ]*(.*(?:\n(?:[ ]+\S.*)?)*)", re.MULTILINE)


class DocstringMath(griffe.Extension):
    """:math:`x` to $x$, and the directive `math` to a block between $$; several lines of `&` are aligned."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Translate the docstring of an object, once it is loaded."""
        if obj.docstring is not None:
            obj.docstring.value = INLINE.sub(
                r"$\1$", BLOCK.sub(_block, inspect.cleandoc(obj.docstring.value))
            )


def _block(found: re.Match[str]) -> str:
    formula = found[1].strip()
    if "&" in formula:
        formula = rf"\begin{{align*}}{formula}\end{{align*}}"
    return f"\n$$\n{formula}\n$$\n\n"
