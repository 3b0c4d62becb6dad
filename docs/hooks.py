"""What the site takes from outside of docs/, and mathematics as MathML; the hooks of mkdocs.yml."""

import html
import os
import re
import subprocess
import sys
import textwrap
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


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Publish the changelog, and the files of the repository that the pages link to, from where they lie."""
    files.append(File.generated(config, "changelog.md", abs_src_path=str(ROOT / "CHANGELOG.md")))
    pages = [file.content_string for file in files.documentation_pages() if "/" not in file.src_uri]
    for path in sorted({found for page in pages for found in OUTSIDE.findall(page)}):
        if (ROOT / path).is_file():  # what is missing stays a broken link, which a strict build refuses
            files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Links out of docs/ to the published copies, and the commands' --help where a page asks for it."""
    if "/" not in page.file.src_uri:
        markdown = OUTSIDE.sub(r"\1", markdown)
    return HELP.sub(lambda found: f"```text\n{_help(found[1])}\n```", markdown)


def on_page_content(content: str, **_: Any) -> str:
    """Mathematics as MathML, which browsers draw without a script."""

    def mathml(found: re.Match[str]) -> str:
        block = found[1] == "div"
        drawn = convert(html.unescape(found[2]), display="block" if block else "inline")
        return f'<div class="math">{drawn}</div>' if block else drawn

    return MATH.sub(mathml, content)


def _help(module: str) -> str:
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", module, "--help"]
    text = subprocess.run(command, check=True, capture_output=True, encoding="utf-8", env=environment).stdout.strip()
    # The boxes come as wide as COLUMNS; the prose above them as long as its paragraphs.
    return "\n".join(line if line.startswith(" ") else textwrap.fill(line, 80) for line in text.splitlines())
