"""`make test`, `make test-slow` and `make test-long` run each test once, and the fast tests import every module."""

import ast
import itertools
import re

from helpers import slowest
from helpers.paths import ROOT

PACKAGE = ROOT / "graphcl_hard"
MARKS = ("slow", "alone", "long")


MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in PACKAGE.rglob("*.py")
    if not path.name.startswith("__")
}


def imported(path):
    """Return the package's modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found & MODULES.keys()


def has_fast_tests(path):
    """Return whether a test function of the file is marked neither slow nor alone nor long."""
    marks = {f"pytest.mark.{mark}" for mark in MARKS}
    tests = [
        node
        for node in ast.parse(path.read_text()).body
        if getattr(node, "name", "").startswith("test_")
    ]
    return any(marks.isdisjoint(map(ast.unparse, test.decorator_list)) for test in tests)


def test_the_fast_tests_reach_every_module():
    """A module is reached where a file with fast tests imports it, or a module does that is reached."""
    reached, new = set(), set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        if has_fast_tests(path):
            new |= imported(path)
    while new:
        reached |= new
        new = set().union(*(imported(MODULES[name]) for name in new)) - reached
    assert reached == MODULES.keys()


def test_every_folder_of_the_package_has_fast_tests_of_its_own():
    for folder in (path.parent.relative_to(PACKAGE) for path in PACKAGE.rglob("__init__.py")):
        files = (ROOT / "tests" / folder).glob("test_*.py")
        assert any(has_fast_tests(path) for path in files), folder


def test_every_test_is_of_one_tier():
    """What `make test` leaves out is what `make test-slow` and `make test-long` ask for."""
    chosen = re.findall(
        r"pytest (?:-n 2 --dist \w+ )?-m '?([a-z ]+[a-z])", (ROOT / "Makefile").read_text()
    )
    assert len(chosen) == 4
    for values in itertools.product([False, True], repeat=3):
        marks = dict(zip(MARKS, values, strict=True))
        assert sum(evaluate(words, marks) for words in chosen) == 1, marks


def evaluate(words, marks):
    """Return the value of an expression of marks as `-m` takes it."""
    return all(
        marks[word.removeprefix("not ")] != word.startswith("not ") for word in words.split(" and ")
    )


def test_the_slowest_tests_have_reasons():
    """The table is the one of the records; to make it raises KeyError where a reason is missing."""
    assert slowest.TABLE.read_text() == slowest.table()
    assert slowest.TABLE.read_text().count("\n| ") == slowest.COUNT + 1
