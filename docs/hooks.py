"""Hooks of mkdocs.yml: content from outside of docs/, mathematics as MathML, and line breaks."""

import html
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
# Links from docs/NAME.md out of docs/, as a code host follows them: ![...](../experiments/...). Pages have their own.
OUTSIDE = re.compile(r"(?<=\]\()\.\./(?!\.\.)([^)\s#]+)(?<!\.md)(?=\))")
HELP = re.compile(r"^<!-- help (\S+) -->$", re.MULTILINE)
# As pymdownx.arithmatex leaves it.
MATH = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
# latex2mathml leaves it to the browser, which takes a minus behind a parenthesis for one between two terms.
SIGN = re.compile(r"(<mo[^>]*>(?:&#x00028;|\()</mo>)<mo>(?=&#x02212;</mo>)")
CODE = re.compile(r"(?<=<code>)(?<!<span></span><code>)[^<]+(?=</code>)")  # in a line, not a block
CELL = re.compile(r"<td>[^<]+</td>")
# Flags in the text; in a table an interval, a p, and the names of data sets.
FLAG = re.compile(r"(?<!\S)--?[a-z][\w-]*")
WHOLE = re.compile(r"[-+]?\d[\d.]* \[[-+\d.]+, [-+\d.]+\],?|p (?:=|&lt;) [\d.]+\*?|[A-Z]+-[A-Z]+")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Publish the changelog, and the files of the repository that the pages link to, from where they lie."""
    files.append(File.generated(config, "changelog.md", abs_src_path=str(ROOT / "CHANGELOG.md")))
    pages = [file.content_string for file in files.documentation_pages() if "/" not in file.src_uri]
    for path in sorted({found for page in pages for found in OUTSIDE.findall(page)}):
        if (
            ROOT / path
        ).is_file():  # what is missing stays a broken link, which a strict build refuses
            files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Links out of docs/ to the published copies, and the commands' --help where a page asks for it."""
    if "/" not in page.file.src_uri:
        markdown = OUTSIDE.sub(r"\1", markdown)
    return HELP.sub(lambda found: f"```text\n{_help(found[1])}\n```", markdown)


def on_page_content(content: str, **_: Any) -> str:
    """Mathematics as MathML, which browsers draw without a script; what stays on one line marked."""

    def mathml(found: re.Match[str]) -> str:
        block = found[1] == "div"
        drawn = convert(html.unescape(found[2]), display="block" if block else "inline")
        drawn = SIGN.sub(r'\1<mo form="prefix">', drawn)
        return f'<div class="math">{drawn}</div>' if block else drawn

    def whole(parts: re.Pattern[str]) -> Callable[[re.Match[str]], str]:
        return lambda found: parts.sub(r'<span class="whole">\g<0></span>', found[0])

    return CELL.sub(whole(WHOLE), CODE.sub(whole(FLAG), MATH.sub(mathml, content)))


def on_post_template(output_content: str, *, template_name: str, **_: Any) -> str:
    """A page that is not there names the ways on; a theme's page has only a heading."""
    if template_name != "404.html":
        return output_content
    ways = '<p>There is no such page. The <a href="/index.html">home page</a> says where to go.</p>'
    return output_content.replace("</h1>\n", f"</h1>\n{ways}\n", 1)


def _help(module: str) -> str:
    environment = {
        **os.environ,
        "COLUMNS": "80",
        "NO_COLOR": "1",
        "PYTHONIOENCODING": "utf-8",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", module, "--help"]
    text = subprocess.run(
        command, check=True, capture_output=True, encoding="utf-8", env=environment
    ).stdout.strip()
    # The boxes come as wide as COLUMNS; the prose above them as long as its paragraphs.
    return "\n".join(
        line if line.startswith(" ") else textwrap.fill(line, 80) for line in text.splitlines()
    )
