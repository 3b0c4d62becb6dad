"""Sources of graphs, and the flat tensors that hold them."""

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    """Import `TUDataset` when it is first needed, so that `--help` does not load PyTorch Geometric."""
    if name != "TUDataset":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module("graphcl_hard.data.tu.dataset").TUDataset
