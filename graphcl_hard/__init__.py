"""Graph representation learning without labels: InfoGraph with hard, debiased negatives."""

import importlib
from typing import Any

# A name is imported when it is first used, so that the command line's --help need not load PyTorch.
_HOMES = {
    "Embedding": "encoder",
    "GINEncoder": "encoder",
    "InfoGraph": "models",
    "InputError": "errors",
    "beta_schedule": "objectives",
    "cross_validate": "evaluation",
    "effective_negatives": "objectives",
    "hard_negative_weights": "objectives",
    "load_graphs": "data",
    "local_global_info_nce": "objectives",
    "local_global_jsd": "objectives",
    "nt_xent": "objectives",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
