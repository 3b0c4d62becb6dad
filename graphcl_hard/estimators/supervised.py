"""What the classifier and the regressor of graphs share: an encoder and a head that are trained on targets."""

import copy
import dataclasses
import inspect
import json
import logging
import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from sklearn.base import (
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    clone,
)
from sklearn.model_selection import train_test_split
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from graphcl_hard._tensor import initial_state
from graphcl_hard.config import Config
from graphcl_hard.data.graph_data import GraphSource
from graphcl_hard.data.load import Graphs
from graphcl_hard.estimators.base import GraphEstimator, own_mistakes, to_json_value
from graphcl_hard.estimators.hard_infograph import HardInfoGraph
from graphcl_hard.estimators.targets import Targets, as_trained
from graphcl_hard.exceptions import InputError, first_line
from graphcl_hard.io.checksum import read_checksummed, tensors_checksum, write_checksummed
from graphcl_hard.io.file_names import HEAD
from graphcl_hard.io.paths import Pathname, user_path
from graphcl_hard.loader.features import FeatureMap
from graphcl_hard.loader.in_memory import GraphBatches
from graphcl_hard.loader.streaming import make_batches
from graphcl_hard.nn.encoders.base import GraphEncoder
from graphcl_hard.nn.encoders.pretrained import load_pretrained
from graphcl_hard.nn.heads import PredictionHead
from graphcl_hard.training.build import build_model
from graphcl_hard.training.devices import place, training_device
from graphcl_hard.training.fine_tuning import TUNING_RULES, FineTuning
from graphcl_hard.training.fitted import DAMAGED, ONE_AT_A_TIME, as_tuples, fit_features
from graphcl_hard.training.loop import embed
from graphcl_hard.training.supervised import (
    FineTuneEpoch,
    Part,
    Task,
    train_supervised,
)

ENCODER_SETTINGS = ("encoder", "hidden_channels", "num_layers", "readout")
DEVICE_SETTINGS = ("accelerator", "precision", "deterministic")
Model = TypeVar("Model", bound="SupervisedEstimator")
logger = logging.getLogger("graphcl_hard")


class TargetScale(NamedTuple):
    """Mean and standard deviation of measured targets over the training part, (T,) float64 each."""

    mean: Tensor
    std: Tensor


class SupervisedEstimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, GraphEstimator):
    """What `HardInfoGraphClassifier` and `HardInfoGraphRegressor` share."""

    kind: ClassVar[str]
    """Name of the kind in saved files."""
    init: HardInfoGraph | Pathname | None
    node_label: str | None
    node_attr: str | tuple[str, ...] | None
    edge_label: str | None
    edge_attr: str | tuple[str, ...] | None
    n_jobs: int | None
    random_state: int | np.random.RandomState | None
    on_epoch: Callable[[FineTuneEpoch], object] | None
    encoder: Literal["gin", "gine", "gcn", "sage", "gat", "pna"]
    hidden_channels: int
    num_layers: int
    readout: Literal["sum", "mean", "max", "attention"]
    head_channels: int
    dropout: float
    epochs: int
    batch_size: int
    lr: float
    encoder_lr: float | None
    weight_decay: float
    schedule: Literal["constant", "cosine"]
    freeze: bool | int
    validation_fraction: float
    patience: int | None
    accelerator: Literal["auto", "cpu", "cuda", "mps"]
    precision: Literal["32-true", "64-true", "bf16-mixed"]
    deterministic: bool
    encoder_: GraphEncoder
    head_: PredictionHead
    features_: FeatureMap
    history_: list[FineTuneEpoch]
    best_epoch_: int
    targets_: tuple[str, ...]
    validation_rows_: npt.NDArray[np.int64]
    n_features_in_: int
    _single: bool
    _scale: TargetScale | None

    def _assign(self, arguments: Mapping[str, Any]) -> None:
        """Set the arguments of a constructor as attributes of the same names."""
        for name in inspect.signature(type(self)).parameters:
            setattr(self, name, arguments[name])

    def fit(self: Model, X: Graphs, y: object = None, *, validation: Any = None) -> Model:
        """Learn the targets of the graphs `X`.

        Args:
            X: the graphs, as for `HardInfoGraph`; those with a target are held in memory.
            y: their targets, see the class. None: the labels or targets that the graphs hold.
            validation: the part that chooses the epoch, in place of `validation_fraction`: graphs with their own
                targets, or a tuple of graphs and their targets.

        Raises:
            InputError: a setting is outside its range, or the graphs or targets cannot be used.
            TrainingDiverged: the loss is no longer finite.
        """
        config, settings = self._settings(draw=True)
        init = None if self.init is None else self._load_init()
        encoder_name = config.encoder if init is None else init[0].arguments["encoder"]
        known_features = init and init[1]
        data = self._read(X, encoder_name, known_features, labelled=y is None)
        held_out: tuple[GraphSource, object] | None = None
        if validation is not None:
            pair = isinstance(validation, tuple) and len(validation) == 2
            graphs, own = validation if pair else (validation, None)
            held_out = self._read(graphs, encoder_name, known_features, labelled=own is None), own
        with initial_state():  # the caller's iterables are read by now
            self._fit((data, y), held_out, init, config, settings)
        return self

    def _fit(
        self,
        given: tuple[GraphSource, object],
        held_out: tuple[GraphSource, object] | None,
        init: tuple[GraphEncoder, FeatureMap] | None,
        config: Config,
        settings: FineTuning,
    ) -> None:
        data, y = given
        targets = self._targets(data, y)
        self._check(targets)
        known = torch.from_numpy(np.flatnonzero(targets.known.numpy()))
        valid: Tensor | None = None
        chosen: tuple[tuple[GraphSource, Tensor], tuple[GraphSource, Tensor] | None]
        if held_out is None:
            train, valid = self._split(targets, known, config.seed)
            chosen = (
                _rows(data, targets.y, train),
                None if valid is None else _rows(data, targets.y, valid),
            )
        else:
            chosen = _rows(data, targets.y, known), self._validation(held_out, targets)
        if init is None:
            left = [name for name in ("node_attr", "edge_attr") if getattr(self, name) in ((), [])]
            features = fit_features(chosen[0][0], config.encoder == "gine", left)
        else:
            features = init[1]
        self._train(chosen, targets, (init and init[0], features), config, settings)
        self.validation_rows_ = np.empty(0, dtype=np.int64) if valid is None else valid.numpy()

    def _train(
        self,
        chosen: tuple[tuple[GraphSource, Tensor], tuple[GraphSource, Tensor] | None],
        targets: Targets,
        start: tuple[GraphEncoder | None, FeatureMap],
        config: Config,
        settings: FineTuning,
    ) -> None:
        (graphs, y), valid = chosen
        encoder, features = start
        if graphs.num_graphs < 2:
            raise InputError(
                f"fit needs at least 2 graphs with a target for training, got {graphs.num_graphs}; give more."
            )
        scale, task = self._prepare(y, targets)
        with self._threads(), training_device(config) as fabric:
            device, dtype = place(fabric, config)

            def part(graphs: GraphSource, y: Tensor) -> Part:
                batches = make_batches(graphs.whole(), features, device, dtype)
                assert isinstance(batches, GraphBatches)
                if scale is not None:
                    y = (y - scale.mean) / scale.std
                return Part(batches, y.to(dtype) if y.is_floating_point() else y)

            train = part(graphs, y)
            with ONE_AT_A_TIME, torch.random.fork_rng(devices=[]):
                if encoder is None:
                    model = build_model(config, features.channels, train.batches)
                    assert isinstance(model.encoder, GraphEncoder)
                    encoder = model.encoder
                torch.default_generator.manual_seed(config.seed)
                head = PredictionHead(
                    encoder.out_channels, settings.head_channels, task.outputs, settings.dropout
                )
            encoder, head = encoder.to(device, dtype), head.to(device, dtype)
            history, best = train_supervised(
                encoder,
                head,
                task,
                (train, None if valid is None else part(*valid)),
                settings,
                config.seed,
                fabric,
                self._report,
            )
        self._hold(encoder, features, head)
        self.history_, self.best_epoch_ = history, best
        self.targets_, self._single, self._scale = targets.names, targets.single, scale
        self._hold_targets(targets)

    def transform(self, X: Graphs) -> npt.NDArray[np.floating]:
        """Return the vectors of the graphs `X` by the fine-tuned encoder, (G, L*H) float32, or float64 as `precision`.

        Raises:
            InputError: the graphs cannot be used, or their attributes differ from those of `fit`.
            sklearn.exceptions.NotFittedError: before `fit`.
        """
        check_is_fitted(self)
        return self._vectors(self._read_again(X))

    def save_pretrained(self, folder: Pathname) -> None:
        """Write the model into a folder, which is made if necessary; nothing is pickled.

        `from_pretrained` reads it, and `python -m graphcl_hard.embed` and `init` its encoder. Not kept are `on_epoch`,
        a `RandomState`, and an `init` that is no path.

        Raises:
            InputError: a label of the graphs, or a parameter, has no form in JSON.
            OSError: the folder cannot be written.
            sklearn.exceptions.NotFittedError: before `fit`.
        """
        check_is_fitted(self)
        path = user_path(folder, "folder")
        path.mkdir(parents=True, exist_ok=True)
        unkept = {"on_epoch"}
        if isinstance(self.init, GraphEstimator):
            unkept.add("init")
        if not isinstance(self.random_state, (int, np.integer)):
            unkept.add("random_state")
        params = self.get_params(deep=False) | {"init": str(self.init) if self.init else None}
        if isinstance(params.get("class_weight"), Mapping):  # the keys of JSON are strings
            params["class_weight"] = [
                [one.item() if isinstance(one, np.generic) else one for one in pair]
                for pair in params["class_weight"].items()
            ]
        content = {
            "kind": self.kind,
            "params": {
                name: None if name in unkept else to_json_value(name, value)
                for name, value in params.items()
            },
            "head": [
                self.head_.out.in_features if self.head_.hidden else 0,
                self.head_.out.out_features,
            ],
            "targets": self.targets_,
            "single": self._single,
            "history": [_plain(epoch) for epoch in self.history_],
            "best_epoch": self.best_epoch_,
            "validation_rows": self.validation_rows_.tolist(),
            "encoder": _checksum(self.encoder_),
            **self._target_content(),
        }
        tensors = _on_cpu(self.head_)
        if self._scale is not None:
            tensors |= {"target.mean": self._scale.mean, "target.std": self._scale.std}
        self.encoder_.save_pretrained(path, self.features_)
        write_checksummed(path / HEAD, tensors, "model", json.dumps(content, allow_nan=False))

    @classmethod
    def from_pretrained(cls: type[Model], folder: Pathname) -> Model:
        """Return the fitted estimator that `save_pretrained` wrote into a folder, on the CPU. Nothing is unpickled.

        Raises:
            InputError: a file is missing, damaged, or does not fit the others; or the model is of another kind.
        """
        path = user_path(folder, "folder")
        encoder, features = load_pretrained(path)
        try:
            tensors, text = read_checksummed(path / HEAD, "model")
            content = json.loads(text)
            if content["kind"] != cls.kind:
                raise ValueError(f"it is a {content['kind']}, not a {cls.kind}")
            if content["encoder"] != _checksum(encoder):
                raise ValueError(f"{HEAD} is of another encoder than the one in the folder")
            params = as_tuples(content["params"])
            if isinstance(params.get("class_weight"), tuple):
                params["class_weight"] = dict(params["class_weight"])
            estimator = cls(**params)
            estimator._load(encoder, features, tensors, content)
        except (*DAMAGED, SafetensorError) as why:
            raise InputError(
                f"No fine-tuned model can be loaded from {path}: {first_line(why)[:500]}; give a folder that "
                "`save_pretrained` of one, or graphcl_hard.finetune, wrote."
            ) from why
        return estimator

    @initial_state()
    def _load(
        self,
        encoder: GraphEncoder,
        features: FeatureMap,
        tensors: dict[str, Tensor],
        content: Mapping[str, Any],
    ) -> None:
        mean, std = tensors.pop("target.mean", None), tensors.pop("target.std", None)
        hidden, outputs = content["head"]
        with ONE_AT_A_TIME, torch.device("meta"):  # damaged sizes allocate no memory
            head = PredictionHead(encoder.out_channels, hidden, outputs, self.dropout)
        head.load_state_dict(
            {name: tensor.clone() for name, tensor in tensors.items()}, assign=True
        )
        self._hold(encoder, features, head.eval())
        self.history_ = [_epoch(row) for row in content["history"]]
        self.best_epoch_ = content["best_epoch"]
        self.validation_rows_ = np.array(content["validation_rows"], dtype=np.int64)
        self.targets_, self._single = tuple(content["targets"]), bool(content["single"])
        self._scale = None if mean is None or std is None else TargetScale(mean, std)
        self._load_targets(content)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "head_")

    def __sklearn_clone__(self: Model) -> Model:
        # scikit-learn would make an unfitted copy of `init`, and nothing would be left of what it has learnt.
        params = self.get_params(deep=False)
        init = params.pop("init")
        return type(self)(
            init=init, **{name: clone(one, safe=False) for name, one in params.items()}
        )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.target_tags.required = False
        tags.target_tags.multi_output = True
        tags.non_deterministic = self.random_state is None
        return tags

    @property
    def _n_features_out(self) -> int:
        return int(self.encoder_.out_channels)

    def _settings(self, draw: bool = False) -> tuple[Config, FineTuning]:
        params = {
            name: value.item() if isinstance(value, np.generic) else value
            for name, value in self.get_params(deep=False).items()
        }
        mistakes = list(own_mistakes(params))
        settings = FineTuning(**{name: params[name] for name in TUNING_RULES})
        mistakes += settings.mistakes()
        state = params["random_state"]
        config = Config(
            **{name: params[name] for name in (*ENCODER_SETTINGS, *DEVICE_SETTINGS)},
            seed=state if isinstance(state, int) and not mistakes else 0,
            score_epochs=(),
        )
        mistakes += config.mistakes()
        if mistakes:
            raise InputError("\n".join(mistakes))
        if draw and not isinstance(state, int):
            seed = int(check_random_state(state).randint(2**31))
            config = dataclasses.replace(config, seed=seed)
        return config, settings

    @initial_state()
    def _load_init(self) -> tuple[GraphEncoder, FeatureMap]:
        """Return a copy of the encoder that `init` names, and its features."""
        init: Any = self.init
        if not isinstance(init, GraphEstimator):
            path = user_path(init, "init")
            if path.is_file():
                init = HardInfoGraph.load(path)
            else:
                encoder, features = load_pretrained(init)
        if isinstance(init, GraphEstimator):
            if not init.__sklearn_is_fitted__():
                raise InputError(
                    f"`init` must be fitted, got {type(init).__name__} that is not; call its `fit` first, or, as a "
                    "value of a search, where scikit-learn clones it, give a path."
                )
            encoder, features = copy.deepcopy(init.encoder_), init.features_
        for name in ENCODER_SETTINGS:
            given, held = getattr(self, name), encoder.arguments[name]
            if given not in (held, getattr(Config, name)):
                raise InputError(
                    f"`{name}` must be left out with `init`, whose encoder has {held!r}, got {given!r}; leave it out."
                )
        return encoder, features

    def _targets(
        self, data: GraphSource, y: object, classes: npt.NDArray[Any] | None = None
    ) -> Targets:
        """Return the targets of graphs: `y`, or those that they hold; `classes` are those that there may be."""
        names: tuple[str, ...] = ()
        if y is None:
            names = getattr(data, "targets", ())
            y = data.labels
            if y is None:
                raise InputError(
                    "The graphs have no labels or targets of their own, which are used if y is None; give y."
                )
        targets = self._encode(y, names, classes)
        if len(targets.y) != data.num_graphs:
            raise InputError(
                f"y must have one row for each graph, got {len(targets.y)} for {data.num_graphs}; add or remove some."
            )
        return targets

    def _truth(self, data: GraphSource, y: object) -> Targets:
        """Return the targets of graphs to score, in the order of those of `fit`."""
        outputs = self.head_.out.out_features
        return as_trained(self._targets(data, y), self._single, self.targets_, outputs)

    def _split(self, targets: Targets, known: Tensor, seed: int) -> tuple[Tensor, Tensor | None]:
        """Return the rows of the training part and of the validation part."""
        fraction = self.validation_fraction
        if not fraction:
            return known, None
        size = max(1, round(fraction * len(known)))
        stratify = None
        if targets.classes is not None:
            stratify = targets.y[known].numpy()
            size = max(size, len(targets.classes))
            count = np.bincount(stratify)
            if count.min() < 2 or len(known) - size < len(count):
                few = int(count.argmin())
                raise InputError(
                    f"The validation part needs a graph of each class, and so does the training, but class "
                    f"{targets.classes[few]} has {count[few]} of {len(known)}; give more, leave that class out, or set "
                    "`validation_fraction=0`."
                )
        if len(known) - size < 2:
            raise InputError(
                f"The training needs at least 2 graphs, and the validation part takes {size} of {len(known)}; give "
                "more graphs, or set `validation_fraction=0`."
            )
        train, valid = train_test_split(
            known.numpy(), test_size=size, stratify=stratify, random_state=seed % 2**32
        )
        return torch.from_numpy(np.sort(train)), torch.from_numpy(np.sort(valid))

    def _validation(
        self, held_out: tuple[GraphSource, object], targets: Targets
    ) -> tuple[GraphSource, Tensor]:
        given = self._targets(*held_out, targets.classes)
        found = as_trained(given, targets.single, targets.names, targets.y[:1].numel())
        rows = torch.from_numpy(np.flatnonzero(found.known.numpy()))
        if not len(rows):
            raise InputError(
                "`validation` must have a graph with a target, got none; leave it out."
            )
        return _rows(held_out[0], found.y, rows)

    def _read_again(self, X: Graphs, labelled: bool = False) -> GraphSource:
        return self._read(X, self.encoder_.arguments["encoder"], self.features_, labelled)

    @initial_state()
    def _vectors(self, data: GraphSource) -> npt.NDArray[np.floating]:
        parameter = next(self.encoder_.parameters())
        with self._threads():
            batches = make_batches(data, self.features_, parameter.device, parameter.dtype)
            return embed(self.encoder_, batches, self.batch_size)

    def _outputs(self, data: GraphSource) -> npt.NDArray[np.float64]:
        """Return the outputs of the head, (G, C) or (G, T)."""
        vectors = torch.from_numpy(self._vectors(data)).to(next(self.head_.parameters()).device)
        with self._threads(), initial_state(), torch.no_grad():
            found: Tensor = self.head_(vectors)
        return found.double().cpu().numpy()

    def _report(self, epoch: FineTuneEpoch) -> None:
        logger.info(
            "epoch %d: loss %.6g, validation loss %.6g", epoch.epoch, epoch.loss, epoch.valid_loss
        )
        if self.on_epoch is not None:
            self.on_epoch(epoch)

    def _hold(self, encoder: GraphEncoder, features: FeatureMap, head: PredictionHead) -> None:
        self.encoder_, self.features_, self.head_ = encoder, features, head
        self.n_features_in_ = features.channels

    def _encode(
        self, y: Any, names: tuple[str, ...], classes: npt.NDArray[Any] | None = None
    ) -> Targets:
        raise NotImplementedError

    def _check(self, targets: Targets) -> None:
        """Raise `InputError` for targets of which nothing can be learnt."""
        if not targets.known.any():
            raise InputError("y must have a known target, got only missing ones; give targets.")

    def _prepare(self, y: Tensor, targets: Targets) -> tuple[TargetScale | None, Task]:
        raise NotImplementedError

    def _hold_targets(self, targets: Targets) -> None:
        pass

    def _target_content(self) -> dict[str, Any]:
        return {}

    def _load_targets(self, content: Mapping[str, Any]) -> None:
        pass


def _rows(data: GraphSource, y: Tensor, rows: Tensor) -> tuple[GraphSource, Tensor]:
    """Return these graphs, in memory, and their targets."""
    return (data, y) if len(rows) == data.num_graphs else (data[rows], y[rows])


def _on_cpu(module: torch.nn.Module) -> dict[str, Tensor]:
    return {name: one.detach().cpu().contiguous() for name, one in module.state_dict().items()}


def _checksum(encoder: GraphEncoder) -> str:
    return tensors_checksum(_on_cpu(encoder))


def _plain(epoch: FineTuneEpoch) -> dict[str, Any]:
    """Return an epoch for JSON, which has no NaN."""
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in epoch._asdict().items()
    }


def _epoch(row: Mapping[str, Any]) -> FineTuneEpoch:
    """Return the epoch that `_plain` turned into a dictionary."""
    values: dict[str, Any] = {
        name: math.nan if value is None else value for name, value in row.items()
    }
    return FineTuneEpoch(**values)
