"""A module imports only from floors below its own, and stays small."""

import ast
from pathlib import Path

import pytest

import graphcl_hard

PACKAGE = Path(graphcl_hard.__file__).parent
# From the ground up; the modules of one floor do not know each other.
FLOORS = [
    {"errors", "allocator", "derivatives", "setting_ranges", "cautions", "whole_files", "early_signals"},
    {
        "hardness",
        "evaluation_arguments",
        "kernel_svm",
        "negative_queue",
        "row_losses",
        "sampling",
        "statistics",
        "spectrum",
        "config",
        "records",
        "tu_format",
        "unpack",
        "data_tensors",
        "class_labels",
    },
    {
        "summed_file",
        "tensor_rows",
        "settings_file",
        "estimator_parameters",
        "released",
        "contrast",
        "objective_arguments",
        "adjacency",
        "graph_data",
        "graph_readers",
        "layers",
        "synced_batch_norm",
        "scatter",
        "evaluation",
        "download",
        "sources",
        "display",
        "pictures",
        "vector_files",
    },
    {"pairs", "tu_cache", "results", "command_line", "graph_shards", "vector_writing"},
    {"objectives", "data", "graph_encoder", "columns", "shard_writing"},
    {"edge_features"},
    {"features", "graphs", "batching", "encoder", "heads", "walks"},
    {"graph_sets", "ogb", "smiles", "encoders", "gradient_cache", "augment", "devices", "processes"},
    {"models", "streaming"},
    {"training"},
    {"checkpoint", "following", "loggers"},
    {"experiment", "fitted"},
    {"run", "embed", "evaluate", "convert", "estimator"},
]
FLOOR = {module: number for number, floor in enumerate(FLOORS) for module in floor}
MODULES = sorted(path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__")


def imports(module):
    for node in ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "graphcl_hard":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("graphcl_hard."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith("graphcl_hard."))


def test_every_module_has_a_floor():
    assert set(MODULES) == set(FLOOR)


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_downwards(module):
    upwards = [name for name in imports(module) if FLOOR[name] >= FLOOR[module]]
    assert not upwards


@pytest.mark.parametrize("module", MODULES)
def test_modules_stay_small(module):
    assert len((PACKAGE / f"{module}.py").read_text().splitlines()) <= 300


def test_the_public_names_import():
    for name in graphcl_hard.__all__:
        assert getattr(graphcl_hard, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'GINEncodr'"):
        graphcl_hard.GINEncodr  # noqa: B018
