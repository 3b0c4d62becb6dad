"""The files and names that CONTRIBUTING and the pages speak of exist."""

import ast
import re

import pytest
from helpers.paths import ROOT

PAGES = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]
FOLDERS = "graphcl_hard|tests|benchmarks|experiments|examples|docs|datasets"
MADE_LATER = {"experiments/tu/results/runs"}
"""What the pages name and a checkout does not have."""
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(
    r"^\| [^|]* \| .*`(\w+)`(?: of `(\w+)`)? in `(graphcl_hard/[\w/]+\.py)` \|$", TEXT, re.MULTILINE
)


def test_five_changes_have_an_example():
    assert len(EXAMPLES) == 5


@pytest.mark.parametrize(("name", "owner", "path"), EXAMPLES, ids=[name for name, *_ in EXAMPLES])
def test_an_example_names_what_is_there(name, owner, path):
    nodes = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
    if owner:
        nodes = next(
            node.body for node in nodes if isinstance(node, ast.ClassDef) and node.name == owner
        )
    names = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in nodes:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names |= {
            part.id
            for target in targets
            if target
            for part in ast.walk(target)
            if isinstance(part, ast.Name)
        }
    assert name in names


def test_the_folders_of_the_map_are_there():
    first = re.findall(r"^\| `([\w/]+/)`", TEXT, re.MULTILINE)
    assert "graphcl_hard/io/" in first
    assert not [folder for folder in first if not (ROOT / folder).is_dir()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_files_that_a_page_names_are_there(page):
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(rf"(?<![\w/.])(?:{FOLDERS})/[\w./-]*\w", text)) - MADE_LATER
    assert not [path for path in sorted(named) if not (ROOT / path).exists()]
