"""The packages import in one order, and the public names are there."""

import ast
import graphlib
from pathlib import Path

import pytest

import graphcl_hard

PACKAGE = Path(graphcl_hard.__file__).parent
ORDER = (
    *(
        "exceptions",
        "_tensor",
        "io",
        "config",
        "data",
        "loader",
        "losses",
        "nn",
        "training",
        "evaluation",
    ),
    *("runs", "estimators", "sweeps", "commands"),
)
COMMANDS = {"run", "embed", "evaluate", "convert", "finetune", "sweep", "__main__"}
MODULES = sorted(
    path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"
)


def place(parts):
    """Where the package, or the module at the top, of a module's path stands in the order."""
    return ORDER.index("commands" if parts[0] in COMMANDS else parts[0])


def imports(path):
    """The paths of the modules of this package that a module imports, as tuples of names."""
    for node in ast.walk(ast.parse((PACKAGE / path).read_text())):
        names = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        yield from (name.split(".")[1:] for name in names if name.startswith("graphcl_hard."))


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_imports_run_downwards(path):
    own = path.with_suffix("").parts
    upwards = [
        ".".join(found)
        for found in imports(path)
        if found[0] != own[0] and place(found) >= place(own)
    ]
    assert not upwards


def test_no_modules_import_each_other():
    """Imports inside functions, and those of types only, count too."""
    names = {".".join(path.with_suffix("").parts) for path in MODULES if path.name != "__init__.py"}
    graph = {}
    for path in MODULES:
        own = ".".join(path.with_suffix("").parts)
        found = {
            ".".join(name[:length]) for name in imports(path) for length in range(1, len(name) + 1)
        }
        graph[own] = found & names - {own}
    tuple(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError


def test_the_top_level_stays_small():
    files = [path for path in PACKAGE.iterdir() if path.is_file()]
    assert len(files) <= 12
    packages = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    assert packages <= set(ORDER)


def test_the_public_names_import():
    for name in graphcl_hard.__all__:
        assert getattr(graphcl_hard, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'GINEncodr'"):
        graphcl_hard.GINEncodr  # noqa: B018
