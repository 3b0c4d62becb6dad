"""The places that CONTRIBUTING names exist."""

import ast
import re

import pytest
from helpers.paths import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^\| [^|]* \| .*`(\w+)`(?: of `(\w+)`)? in `(graphcl_hard/[\w/]+\.py)` \|$", TEXT, re.MULTILINE)


def test_five_changes_have_an_example():
    assert len(EXAMPLES) == 5


@pytest.mark.parametrize(("name", "owner", "path"), EXAMPLES, ids=[name for name, *_ in EXAMPLES])
def test_an_example_names_what_is_there(name, owner, path):
    nodes = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
    if owner:
        nodes = next(node.body for node in nodes if isinstance(node, ast.ClassDef) and node.name == owner)
    names = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in nodes:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names |= {part.id for target in targets if target for part in ast.walk(target) if isinstance(part, ast.Name)}
    assert name in names


def test_the_folders_of_the_map_are_there():
    first = re.findall(r"^\| `([\w/]+/)`", TEXT, re.MULTILINE)
    assert "graphcl_hard/io/" in first
    assert not [folder for folder in first if not (ROOT / folder).is_dir()]
