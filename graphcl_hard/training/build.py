"""Build a model, and a training that has not begun, from the settings."""

import copy
import functools
from typing import Any

import torch
from lightning_fabric import Fabric

from graphcl_hard.config import Config
from graphcl_hard.data.graph_data import GraphSource
from graphcl_hard.loader.features import FeatureMap
from graphcl_hard.loader.streaming import Batches, make_batches
from graphcl_hard.losses.local_global import local_global_info_nce, local_global_jsd
from graphcl_hard.losses.nt_xent import nt_xent
from graphcl_hard.nn.encoders.base import GraphEncoder
from graphcl_hard.nn.encoders.gin import GINEncoder
from graphcl_hard.nn.encoders.message_passing import MessagePassingEncoder
from graphcl_hard.nn.graphcl import GraphCL
from graphcl_hard.nn.infograph import InfoGraph
from graphcl_hard.training.devices import place
from graphcl_hard.training.state import Model, TrainingState


def build_model(
    config: Config,
    in_channels: int,
    batches: Batches | None = None,
    encoder: GraphEncoder | None = None,
) -> Model:
    """Build the model, with initial weights that depend only on the seed.

    Args:
        config: the settings.
        in_channels: F, width of the node features.
        batches: the data set, from which gine takes the width of the edge features and pna the degrees; other encoders
            do not need it.
        encoder: the encoder to use instead of the one that the settings name.
    """
    options: dict[str, Any] = {
        "effective_negatives": config.effective_negatives,
        "tau_plus": config.tau_plus,
        "debias": config.debias,
        "temperature": config.temperature,
        "detach_weights": config.detach_weights,
    }
    # The seed is only set inside this block, so that a caller's random numbers continue as they were.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(config.seed)
        encoder = encoder or _build_encoder(config, in_channels, batches)
        pairs = {**options, "critic": config.resolved_critic, "score_scale": config.score_scale}
        if config.objective == "jsd":
            objective = functools.partial(local_global_jsd, mode=config.mode, **pairs)
        else:
            objective = functools.partial(local_global_info_nce, **pairs)
        model = InfoGraph(encoder, objective, negative_queue=config.negative_queue)
        if config.method == "infograph":
            return model
        # A seed has the same untrained encoder for all methods, so that they are compared with the same baseline.
        weights = copy.deepcopy(encoder.state_dict())
        other = GraphCL(
            encoder, functools.partial(nt_xent, **options), negative_queue=config.negative_queue
        )
        encoder.load_state_dict(weights)
        return other


def _build_encoder(config: Config, in_channels: int, batches: Batches | None) -> GraphEncoder:
    sizes = in_channels, config.hidden_channels, config.num_layers, config.readout
    if config.encoder == "gin":
        return GINEncoder(*sizes)
    options: dict[str, Any] = {}
    if config.encoder == "gine" and batches is not None and batches.edge_channels is not None:
        options["edge_channels"] = batches.edge_channels
    if config.encoder == "pna" and batches is not None:
        options["degree_histogram"] = batches.degree_histogram()
    return MessagePassingEncoder(config.encoder, *sizes, **options)


def prepare(
    config: Config, graphs: GraphSource, features: FeatureMap, fabric: Fabric
) -> tuple[Batches, TrainingState]:
    """Return the batches of a data set on the device, and the state of a training that has not begun."""
    device, dtype = place(fabric, config)
    batches = make_batches(graphs, features, device, dtype)
    model = build_model(config, features.channels, batches)
    return batches, TrainingState(model.to(device, dtype), config)
