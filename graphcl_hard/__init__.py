"""Graph representation learning without labels: InfoGraph with hard, debiased negatives."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphcl_hard.data.collate import to_chunks as to_chunks
    from graphcl_hard.data.load import load_graphs as load_graphs
    from graphcl_hard.data.molecules.featurize import molecule_graphs as molecule_graphs
    from graphcl_hard.data.shard_writer import write_shards as write_shards
    from graphcl_hard.data.shards import GraphShards as GraphShards
    from graphcl_hard.estimators.classifier import (
        HardInfoGraphClassifier as HardInfoGraphClassifier,
    )
    from graphcl_hard.estimators.hard_infograph import HardInfoGraph as HardInfoGraph
    from graphcl_hard.estimators.regressor import HardInfoGraphRegressor as HardInfoGraphRegressor
    from graphcl_hard.evaluation.cross_validation import cross_validate as cross_validate
    from graphcl_hard.exceptions import InputError as InputError
    from graphcl_hard.exceptions import StopTraining as StopTraining
    from graphcl_hard.losses.local_global import local_global_info_nce as local_global_info_nce
    from graphcl_hard.losses.local_global import local_global_jsd as local_global_jsd
    from graphcl_hard.losses.nt_xent import nt_xent as nt_xent
    from graphcl_hard.losses.weights import beta_for_share as beta_for_share
    from graphcl_hard.losses.weights import beta_schedule as beta_schedule
    from graphcl_hard.losses.weights import effective_negatives as effective_negatives
    from graphcl_hard.losses.weights import hard_negative_weights as hard_negative_weights
    from graphcl_hard.nn.encoders.base import Embedding as Embedding
    from graphcl_hard.nn.encoders.base import Encoder as Encoder
    from graphcl_hard.nn.encoders.gin import GINEncoder as GINEncoder
    from graphcl_hard.nn.encoders.message_passing import (
        MessagePassingEncoder as MessagePassingEncoder,
    )
    from graphcl_hard.nn.encoders.pretrained import load_encoder as load_encoder
    from graphcl_hard.nn.graphcl import GraphCL as GraphCL
    from graphcl_hard.nn.infograph import InfoGraph as InfoGraph

# A name is imported when it is first used, so that the command line's --help need not load PyTorch.
_HOMES = {
    "Embedding": "nn.encoders.base",
    "Encoder": "nn.encoders.base",
    "GINEncoder": "nn.encoders.gin",
    "GraphCL": "nn.graphcl",
    "GraphShards": "data.shards",
    "HardInfoGraph": "estimators.hard_infograph",
    "HardInfoGraphClassifier": "estimators.classifier",
    "HardInfoGraphRegressor": "estimators.regressor",
    "InfoGraph": "nn.infograph",
    "InputError": "exceptions",
    "MessagePassingEncoder": "nn.encoders.message_passing",
    "StopTraining": "exceptions",
    "beta_for_share": "losses.weights",
    "beta_schedule": "losses.weights",
    "cross_validate": "evaluation.cross_validation",
    "effective_negatives": "losses.weights",
    "hard_negative_weights": "losses.weights",
    "load_encoder": "nn.encoders.pretrained",
    "load_graphs": "data.load",
    "local_global_info_nce": "losses.local_global",
    "local_global_jsd": "losses.local_global",
    "molecule_graphs": "data.molecules.featurize",
    "nt_xent": "losses.nt_xent",
    "to_chunks": "data.collate",
    "write_shards": "data.shard_writer",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
