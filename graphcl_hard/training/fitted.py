"""The fitted part of an estimator: a model in training, its input features and its history."""

import copy
import dataclasses
import json
import threading
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from graphcl_hard._tensor import initial_state
from graphcl_hard.config import RULES, Config, Scope, names_in, without_removed
from graphcl_hard.data.graph_data import GraphSource
from graphcl_hard.data.shards import PER_EDGE
from graphcl_hard.exceptions import InputError
from graphcl_hard.io.checksum import read_checksummed, write_checksummed
from graphcl_hard.loader.features import FeatureMap
from graphcl_hard.loader.streaming import make_batches
from graphcl_hard.nn.encoders.base import GraphEncoder
from graphcl_hard.nn.encoders.pretrained import make_encoder
from graphcl_hard.training.batch_norm import recalibrate
from graphcl_hard.training.build import build_model
from graphcl_hard.training.devices import place, training_device
from graphcl_hard.training.loop import embed, train
from graphcl_hard.training.state import Epoch, Model, TrainingState

# Exceptions that building a model from a damaged file may raise.
DAMAGED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
# PyTorch's generator, which draws the initial weights, belongs to the process: one model at a time, or seeds mix.
ONE_AT_A_TIME = threading.Lock()


class Fitted:
    """A model in training, with its settings, input features and history.

    Args:
        config: the settings that the model was built with.
        features: how nodes, and edges for gine, become inputs.
        state: the model and the state of its training.
        history: an `Epoch` for each epoch so far.
    """

    def __init__(
        self, config: Config, features: FeatureMap, state: TrainingState, history: list[Epoch]
    ) -> None:
        self.config = config
        self.features = features
        self.state = state
        self.history = history

    @classmethod
    @initial_state()
    def start(cls, data: GraphSource, config: Config, left_out: Collection[str] = ()) -> "Fitted":
        """Build a model with initial weights, and fit the features of a data set.

        Args:
            data: the data set.
            config: the settings.
            left_out: columns that other graphs may have, although these graphs have been read without them.

        Raises:
            InputError: there are fewer than 2 graphs, or no inputs.
        """
        if data.num_graphs < 2:
            raise InputError(
                f"fit needs at least 2 graphs, got {data.num_graphs}: the others are the negatives."
            )
        features = fit_features(data, config.encoder == "gine", left_out)
        with ONE_AT_A_TIME, training_device(config) as fabric:
            device, dtype = place(fabric, config)
            batches = make_batches(data, features, device, dtype)
            state = TrainingState(
                build_model(config, features.channels, batches).to(device, dtype), config
            )
        return cls(config, features, state, [])

    @classmethod
    @initial_state()
    def resume(cls, encoder: GraphEncoder, features: FeatureMap, config: Config) -> "Fitted":
        """Continue with a trained encoder; the rest of the model has initial weights."""
        weights, dtype = copy.deepcopy(encoder.state_dict()), next(encoder.parameters()).dtype
        with ONE_AT_A_TIME:
            model = build_model(config, features.channels, encoder=encoder).to(dtype)
        encoder.load_state_dict(weights)  # a new model draws initial weights for its encoder
        return cls(config, features, TrainingState(model, config), [])

    @property
    def encoder(self) -> GraphEncoder:
        """The encoder in training."""
        assert isinstance(self.state.model.encoder, GraphEncoder)
        return self.state.model.encoder

    @initial_state()
    def train(
        self, data: GraphSource, config: Config, epochs: int, on_epoch: Callable[[Epoch], object]
    ) -> None:
        """Train for more epochs on a data set; if it fails, everything is left as it was.

        Raises:
            InputError: a setting that is built into the model differs, or the graphs have other attributes.
            TrainingDiverged: the loss or a weight is no longer finite.
        """
        for name, rule in RULES.items():
            built, given = getattr(self.config, name), getattr(config, name)
            if not rule.refit and built != given:
                raise InputError(
                    f"`{name}` cannot change from {built!r} to {given!r} once a model is fitted; fit again without "
                    "`warm_start`."
                )
        before = (
            {name: tensor.clone() for name, tensor in self.state.to_tensors().items()},
            self.state.epoch,
        )
        history = copy.copy(self.history)
        if self.state.model.queue is not None:
            self.state.model.queue.clear()  # these may be other graphs, with the same numbers
        for group in self.state.optimizer.param_groups:
            group["lr"] = config.lr

        def keep(epoch: Epoch) -> None:
            self.history.append(epoch)
            on_epoch(epoch)

        try:
            with training_device(config) as fabric:
                batches = make_batches(data, self.features, *place(fabric, config))
                train(
                    self.state,
                    batches,
                    dataclasses.replace(config, epochs=self.state.epoch + epochs),
                    fabric,
                    keep,
                )
                if config.recalibrate:
                    recalibrate(self.encoder, batches, config.batch_size)
        except BaseException:
            self.state.load_tensors(*before)
            self.history[:] = history
            raise

    @initial_state()
    def embed(self, data: GraphSource, batch_size: int) -> npt.NDArray[np.floating]:
        """Return the graph embeddings of a data set, (G, L*H)."""
        parameter = next(self.encoder.parameters())
        batches = make_batches(data, self.features, parameter.device, parameter.dtype)
        return embed(self.encoder, batches, batch_size)

    @initial_state()
    def save(self, path: Path, params: Mapping[str, Any]) -> None:
        """Write everything, with the parameters of the estimator, into one file, atomically.

        Raises:
            InputError: a label of the graphs is neither a string nor a number.
        """
        content = {
            "params": params,
            "config": {
                name: value
                for name, value in self.config.to_dict().items()
                if name in names_in(Scope.ESTIMATOR)
            },
            "features": self.features.to_dict(),
            "encoder": self.encoder.arguments,
            "history": [epoch._asdict() for epoch in self.history],
            "epoch": self.state.epoch,
        }
        write_checksummed(path, self.state.to_tensors(), "estimator", json.dumps(content))

    @classmethod
    @initial_state()
    def load(cls, path: Path) -> tuple["Fitted", dict[str, Any]]:
        """Load from a file of `save`, on the CPU; return the parameters of the estimator too."""
        tensors, text = read_checksummed(path, "estimator")
        content = json.loads(text)
        features = FeatureMap.from_dict(content["features"])
        config = Config(**as_tuples(without_removed(content["config"])), score_epochs=())
        if content["encoder"].get("num_layers", 0) > len(tensors):
            raise ValueError("it has more layers than weights")

        def make() -> Model:
            return build_model(config, features.channels, encoder=make_encoder(content["encoder"]))

        with ONE_AT_A_TIME, torch.random.fork_rng(devices=[]):
            with torch.device("meta"):  # so that sizes in a damaged file ask for no memory
                wanted = {
                    f"model.{name}": tensor.shape for name, tensor in make().state_dict().items()
                }
            if wanted != {
                name: tensor.shape for name, tensor in tensors.items() if name.startswith("model.")
            }:
                raise ValueError("its weights do not have the sizes of its settings")
            model = make()
        model.to(torch.float64 if config.precision == "64-true" else torch.float32)
        fitted = cls(
            config,
            features,
            TrainingState(model, config),
            [Epoch(**row) for row in content["history"]],
        )
        fitted.state.load_tensors(tensors, content["epoch"])
        return fitted, as_tuples(without_removed(content["params"]))


def fit_features(data: GraphSource, with_edges: bool, left_out: Collection[str]) -> FeatureMap:
    """Return the map of the inputs that an estimator fits on a data set; the arguments are those of `Fitted.start`.

    Raises:
        InputError: there are no inputs.
    """
    if with_edges and (data.num_edges == 0 or data.columns.isdisjoint(PER_EDGE)):
        raise InputError(
            "The graphs of fit must have edges with labels or attributes, which `encoder=gine` reads, got none; "
            "name them by `edge_label` or `edge_attr`, or take another encoder, such as gin."
        )
    features = FeatureMap.fit(
        data,
        "node_attr" in data.columns,
        keep_binary=True,
        with_edges=with_edges,
        left_out=left_out,
    )
    if features.channels == 0:
        raise InputError(
            "The graphs of fit must have a node, or an attribute, got none; give other graphs."
        )
    return features


def as_tuples(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with tuples in place of lists, into which JSON turned them."""
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()
    }
