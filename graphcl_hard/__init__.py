"""Graph representation learning without labels: InfoGraph with hard, debiased negatives."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphcl_hard.data import load_graphs as load_graphs
    from graphcl_hard.encoder import GINEncoder as GINEncoder
    from graphcl_hard.encoders import MessagePassingEncoder as MessagePassingEncoder
    from graphcl_hard.encoders import load_encoder as load_encoder
    from graphcl_hard.errors import InputError as InputError
    from graphcl_hard.estimator import HardInfoGraph as HardInfoGraph
    from graphcl_hard.evaluation import cross_validate as cross_validate
    from graphcl_hard.graph_encoder import Embedding as Embedding
    from graphcl_hard.graph_encoder import Encoder as Encoder
    from graphcl_hard.graph_shards import GraphShards as GraphShards
    from graphcl_hard.graphs import to_chunks as to_chunks
    from graphcl_hard.models import GraphCL as GraphCL
    from graphcl_hard.models import InfoGraph as InfoGraph
    from graphcl_hard.objectives import beta_schedule as beta_schedule
    from graphcl_hard.objectives import effective_negatives as effective_negatives
    from graphcl_hard.objectives import hard_negative_weights as hard_negative_weights
    from graphcl_hard.objectives import local_global_info_nce as local_global_info_nce
    from graphcl_hard.objectives import local_global_jsd as local_global_jsd
    from graphcl_hard.objectives import nt_xent as nt_xent
    from graphcl_hard.shard_writing import write_shards as write_shards

# A name is imported when it is first used, so that the command line's --help need not load PyTorch.
_HOMES = {
    "Embedding": "graph_encoder",
    "Encoder": "graph_encoder",
    "GINEncoder": "encoder",
    "GraphCL": "models",
    "GraphShards": "graph_shards",
    "HardInfoGraph": "estimator",
    "InfoGraph": "models",
    "InputError": "errors",
    "MessagePassingEncoder": "encoders",
    "beta_schedule": "objectives",
    "cross_validate": "evaluation",
    "effective_negatives": "objectives",
    "hard_negative_weights": "objectives",
    "load_encoder": "encoders",
    "load_graphs": "data",
    "local_global_info_nce": "objectives",
    "local_global_jsd": "objectives",
    "nt_xent": "objectives",
    "to_chunks": "graphs",
    "write_shards": "shard_writing",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
