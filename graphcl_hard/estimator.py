"""`HardInfoGraph`: vectors for graphs in scikit-learn's interface."""

import dataclasses
import difflib
import inspect
import json
import logging
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted

from graphcl_hard.config import SETTINGS, Config
from graphcl_hard.data.graph_data import GraphData
from graphcl_hard.data.load import Graphs, open_graphs
from graphcl_hard.data.shards import GraphShards
from graphcl_hard.evaluation.checks import rescale
from graphcl_hard.exceptions import InputError, first_line, short_repr, user_stacklevel
from graphcl_hard.loader.features import FeatureMap
from graphcl_hard.nn.encoders.base import GraphEncoder
from graphcl_hard.training.fitted import DAMAGED, Fitted
from graphcl_hard.training.state import Epoch
from graphcl_hard.training.warnings import caution

OWN = ("node_label", "node_attr", "edge_label", "edge_attr", "n_jobs", "random_state", "warm_start", "on_epoch")


def to_config(params: Mapping[str, Any], draw: bool = False) -> Config:
    """The settings of a training: a value for each of `SETTINGS`, and the seed.

    Args:
        params: the estimator's parameters.
        draw: whether to draw a seed where `random_state` is no int, as scikit-learn does; if not, it is 0.

    Raises:
        InputError: with a line for each parameter outside its range.
    """
    # Grids come as arrays, whose entries are NumPy's numbers, and views as lists.
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in params.items()}
    if isinstance(plain["views"], list) or (isinstance(plain["views"], np.ndarray) and plain["views"].ndim):
        plain["views"] = tuple(plain["views"])
    mistakes = list(_own_mistakes(plain))
    state = plain["random_state"]
    seed = state if isinstance(state, int) and not mistakes else 0
    config = Config(**{name: plain[name] for name in SETTINGS}, seed=seed, score_epochs=())
    mistakes += [
        re.sub(r"--([a-z][a-z-]*)", lambda found: found[1].replace("-", "_"), mistake) for mistake in config.mistakes()
    ]
    nothing = (str, tuple, list, type(None))
    named = [name for name in ("edge_label", "edge_attr") if not isinstance(plain[name], nothing) or plain[name]]
    if named and isinstance(config.encoder, str) and config.encoder != "gine":
        found = " and ".join(f"{name} {short_repr(plain[name])}" for name in named)
        mistakes.append(
            f"edge_label and edge_attr are read by encoder gine alone, got {found} with {config.encoder}; "
            "take gine, or leave them out."
        )
    if mistakes:
        raise InputError("\n".join(mistakes))
    if draw and not isinstance(state, int):
        config = dataclasses.replace(config, seed=int(check_random_state(state).randint(2**31)))
    return config


def _own_mistakes(params: Mapping[str, Any]) -> Iterator[str]:
    state, jobs, on_epoch = params["random_state"], params["n_jobs"], params["on_epoch"]
    if isinstance(state, bool) or not isinstance(state, (int, np.random.RandomState, type(None))):
        yield f"random_state must be an int, a RandomState or None, got {short_repr(state)}; take a small whole number."
    elif isinstance(state, int) and not 0 <= state < 2**32:
        yield f"random_state must lie in [0, {2**32 - 1}], got {short_repr(state)}; take a small whole number."
    if jobs is not None and (not isinstance(jobs, int) or isinstance(jobs, bool) or jobs == 0):
        found = short_repr(jobs)
        yield f"n_jobs must be a number of threads, -1 for all cores, or None, got {found}; None is PyTorch's."
    if on_epoch is not None and not callable(on_epoch):
        yield f"on_epoch must be a function of an Epoch, or None, got {short_repr(on_epoch)}."


def describe_unknown(estimator: type, names: Iterable[str]) -> str:
    """A line for each name that is no parameter of an estimator, with the nearest that is."""
    lines = []
    known = [name for name in inspect.signature(estimator.__init__).parameters if name != "self"]  # type: ignore[misc]
    for name in names:
        close = difflib.get_close_matches(name, known, n=1)
        advice = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(known)}."
        lines.append(f"{estimator.__name__} has no parameter {name!r}; {advice}")
    return "\n".join(lines)


def signature(estimator: type) -> inspect.Signature:
    """A constructor's signature with what its **settings stand for in their place; scikit-learn finds parameters by it.

    They stand for the parameters of the constructor above it, and at the top for `SETTINGS`.
    """
    keyword = inspect.Parameter.KEYWORD_ONLY  # what comes from above goes through **settings, by name
    found: dict[str, inspect.Parameter] = {}
    for above in estimator.__mro__[:-1]:
        if "__init__" not in above.__dict__:
            continue
        own = inspect.signature(above.__dict__["__init__"]).parameters.values()
        named = [parameter for parameter in own if parameter.kind is not parameter.VAR_KEYWORD]
        if not found:
            found = {parameter.name: parameter for parameter in named}
        for parameter in named:
            found.setdefault(parameter.name, parameter.replace(kind=keyword))
        if len(named) == len(own):
            return inspect.Signature(list(found.values()))
    for field in dataclasses.fields(Config):
        if field.name in SETTINGS:
            parameter = inspect.Parameter(field.name, keyword, default=field.default, annotation=field.type)
            found.setdefault(field.name, parameter)
    return inspect.Signature(list(found.values()))


def to_plain_value(name: str, value: Any) -> Any:
    """A parameter's value as JSON has it.

    Raises:
        InputError: it has no such form.
    """
    plain = value.tolist() if isinstance(value, (np.generic, np.ndarray)) else value
    try:
        json.dumps(plain)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be of strings, numbers and lists to be saved, got {value!r}; set it.") from error
    return plain


logger = logging.getLogger("graphcl_hard")


class HardInfoGraph(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Graphs to vectors, learnt without labels: InfoGraph with hard, debiased negatives, as a transformer.

    Graphs are a list, or any iterable, of PyTorch Geometric's `Data`, networkx graphs, or SciPy sparse adjacency
    matrices, all of one kind; `graphs.to_graph_data` says what is read of each. Or a set that `load_graphs` or
    `write_shards` gave, of which the node labels are used, and its attributes with `node_attr="node_attr"`. They may
    be more than memory holds, see `graph_sets.open_graphs`.

    Nodes have their attributes, standardised as the graphs of `fit` are but for columns of nothing but 0 and 1, and
    one-hot labels; where there are neither, one-hot degrees. In `transform` a label that `fit` has not seen has no
    column, with a warning, and a larger degree counts as the largest seen. Messages flow along directed edges;
    self-loops and parallel edges are dropped; a graph without nodes has a vector of zeros.

    With `encoder="gine"` edges have their attributes and labels in the same way: the `edge_attr` of `Data`, what
    `edge_label` and `edge_attr` name of networkx graphs, the labels and attributes of a set that `load_graphs` gave.
    The value of a SciPy matrix's entry is no label, and an attribute with `edge_attr="weight"`. Other encoders read
    nothing of edges but where they are.

    A subclass with a constructor of its own has the parameters that this constructor names; with **settings, which it
    gives on to this class's, also all the others. Settings that it fixes are not parameters.

    Warns:
        UserWarning: batches of fewer than 16 graphs; weights under which fewer than 2 negatives are effective; weights
            that are all alike though `beta` is not 0; (in `transform`) a label that `fit` has not seen. The warning
            points at the caller's line, outside of scikit-learn. Nothing is printed: a line an epoch goes to the logger
            "graphcl_hard" of `logging`, at INFO.

    Args:
        node_label: name of the nodes' categorical attribute, or None.
        node_attr: name, or names, of the nodes' numeric attributes; None: the `x` of `Data`.
        edge_label: name of the edges' categorical attribute, or None; for gine alone.
        edge_attr: name, or names, of the edges' numeric attributes; None: the `edge_attr` of `Data`, unless
            `edge_label` names it; for gine alone.
        n_jobs: threads of PyTorch while this estimator works; -1: a thread for each core; None: as PyTorch is set.
        random_state: int, `RandomState`, or None, for the initial weights and the order of batches. An int gives what
            `python -m graphcl_hard.run --seed` gives.
        warm_start: whether another `fit` goes on from the weights there are, by `epochs` more epochs, with the
            features of the first. Settings that are built into the model (`hidden_channels`, `objective`, `tau_plus`,
            ...) cannot change then; `beta_schedule` must be constant.
        on_epoch: called after each epoch with its `Epoch`, when `encoder_` holds that epoch's weights.
        **settings: settings of a run by the same names, defaults and ranges: `method`, `objective`, `mode`, `beta`,
            `beta_schedule`, `tau_plus`, `critic`, `temperature`, `score_scale`, `detach_weights`, `nodes_per_graph`,
            `negative_queue` (emptied when `fit` or `partial_fit` is called), `views`, `view_strength`,
            `second_view_strength`, `encoder`, `hidden_channels`, `num_layers`, `readout`, `epochs`, `batch_size`,
            `lr`, `scale`, `accelerator`, `precision`, `deterministic`. See `config.Config`.

    Attributes:
        encoder_: the encoder, a `torch.nn.Module`.
        history_: list of `Epoch`, one an epoch.
        features_: `FeatureMap`, how nodes become inputs; its `edges` are how edges do.
        n_features_in_: int, columns of these inputs.

    Raises:
        TypeError: a parameter that there is not.
        InputError: (in `fit`) settings outside their range, all of them named; graphs that cannot be used.

    Sources: Sun et al., "InfoGraph", ICLR 2020; Robinson et al., "Contrastive Learning with Hard Negative Samples",
    ICLR 2021; for `method="graphcl"` You et al., "Graph Contrastive Learning with Augmentations", NeurIPS 2020.
    """

    encoder_: GraphEncoder
    history_: list[Epoch]
    features_: FeatureMap
    n_features_in_: int
    _fitted: Fitted

    def __init__(
        self,
        *,
        node_label: str | None = None,
        node_attr: str | tuple[str, ...] | None = None,
        edge_label: str | None = None,
        edge_attr: str | tuple[str, ...] | None = None,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        warm_start: bool = False,
        on_epoch: Callable[[Epoch], object] | None = None,
        **settings: Any,
    ) -> None:
        unknown = [name for name in settings if name not in SETTINGS]
        if unknown:
            raise TypeError(describe_unknown(type(self), unknown))
        self.node_label = node_label
        self.node_attr = node_attr
        self.edge_label = edge_label
        self.edge_attr = edge_attr
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.warm_start = warm_start
        self.on_epoch = on_epoch
        for name, default in SETTINGS.items():
            setattr(self, name, settings.get(name, default))

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__init__" in cls.__dict__:
            cls.__init__.__signature__ = signature(cls)  # type: ignore[attr-defined]

    def set_params(self, **params: Any) -> "HardInfoGraph":
        """Set parameters by name.

        Raises:
            InputError: there are no such parameters; all of them are named.
        """
        unknown = [name for name in params if name not in self.get_params(deep=False)]
        if unknown:
            raise InputError(describe_unknown(type(self), unknown))
        return super().set_params(**params)

    def fit(self, graphs: Graphs, y: object = None) -> "HardInfoGraph":
        """Learn an encoder from graphs; `y` is not looked at.

        Raises:
            InputError: a setting is outside its range, or the graphs cannot be used; fewer than 2 graphs.
            TrainingDiverged: the loss, or a weight, is not finite any more.
        """
        config = self._config(draw=True)
        self._fit(self._read(graphs, config.encoder), config)
        return self

    def partial_fit(self, graphs: Graphs, y: object = None) -> "HardInfoGraph":
        """One more epoch, over these graphs; the first call fixes the features. `y` is not looked at.

        Raises:
            InputError: as `fit`; or `beta_schedule` is not "constant", since the number of epochs is not known.
        """
        fitted = self.__sklearn_is_fitted__()
        config = self._config(draw=not fitted)
        if config.beta_schedule != "constant":
            raise InputError(f"partial_fit needs beta_schedule 'constant', got {config.beta_schedule!r}; set it.")
        data = self._read(graphs, config.encoder)
        self._train(self._fitted if fitted else Fitted.start(data, config), data, config, 1)
        return self

    def transform(self, graphs: Graphs) -> npt.NDArray[np.floating]:
        """The graphs' vectors, (G, L*H) float32, or float64 with `precision="64-true"`, on the scale of `scale`.

        Raises:
            InputError: the graphs cannot be used, or have other attributes than those of `fit`.
            sklearn.exceptions.NotFittedError: before `fit`.
        """
        check_is_fitted(self)
        return self._transform(self._read(graphs, self._fitted.config.encoder), self._config())

    def fit_transform(self, graphs: Graphs, y: object = None) -> npt.NDArray[np.floating]:
        """`fit`, then `transform` of the same graphs, which are read once; returns and errors are theirs."""
        config = self._config(draw=True)
        data = self._read(graphs, config.encoder)
        self._fit(data, config)
        return self._transform(data, self._config())

    def save(self, path: str | Path) -> None:
        """Write everything that `transform`, and more training, need into one file, in safetensors; atomically.

        Of the parameters, `on_epoch` and a `RandomState` are not kept.

        Raises:
            InputError: a label of the graphs, or a subclass's own parameter, is nothing that JSON has.
            sklearn.exceptions.NotFittedError: before `fit`.
        """
        check_is_fitted(self)
        params = self.get_params(deep=False)
        unkept = {"on_epoch"}
        if not isinstance(self.random_state, (int, np.integer)):
            unkept.add("random_state")
        plain = {name: None if name in unkept else to_plain_value(name, value) for name, value in params.items()}
        self._fitted.save(Path(path), plain)

    @classmethod
    def load(cls, path: str | Path) -> "HardInfoGraph":
        """The estimator that `save` wrote, on the CPU. Nothing is unpickled.

        Raises:
            InputError: the file is missing, damaged, or another kind of file.
        """
        try:
            fitted, params = Fitted.load(Path(path))
            estimator = cls(**params)
            estimator._hold(fitted)
        except DAMAGED as why:
            raise InputError(
                f"No estimator can be loaded: {first_line(why)[:500]}; give a file that `save` wrote."
            ) from why
        return estimator

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "encoder_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.non_deterministic = self.random_state is None
        return tags

    @property
    def _n_features_out(self) -> int:
        return int(self.encoder_.out_channels)

    def get_feature_names_out(self, input_features: object = None) -> npt.NDArray[np.object_]:
        """The vectors' names, (L*H,): hardinfograph0 and so on; a list of graphs has no names to look at.

        Raises:
            sklearn.exceptions.NotFittedError: before `fit`.
        """
        names: npt.NDArray[np.object_] = super().get_feature_names_out()
        return names

    def _config(self, draw: bool = False) -> Config:
        # Not get_params: a subclass need not have all of these as parameters.
        return to_config({name: getattr(self, name) for name in (*OWN, *SETTINGS)}, draw)

    def _read(self, graphs: Graphs, encoder: str) -> GraphData | GraphShards:
        # What no encoder reads need not be sound.
        named = {"edge_label": self.edge_label, "edge_attr": self.edge_attr}
        edges: dict[str, Any] = named if encoder == "gine" else {"edge_attr": ()}
        return open_graphs(graphs, node_label=self.node_label, node_attr=self.node_attr, **edges)

    def _fit(self, data: GraphData | GraphShards, config: Config) -> None:
        warm = self.warm_start and self.__sklearn_is_fitted__()
        if warm and config.beta_schedule != "constant":
            raise InputError(f"A warm start needs beta_schedule 'constant', got {config.beta_schedule!r}; set it.")
        self._train(self._fitted if warm else Fitted.start(data, config), data, config, config.epochs)

    def _transform(self, data: GraphData | GraphShards, config: Config) -> npt.NDArray[np.floating]:
        with self._threads():
            return rescale(self._fitted.embed(data, config.batch_size), config.scale)

    def _hold(self, fitted: Fitted) -> None:
        self._fitted = fitted
        self.encoder_ = fitted.encoder
        self.history_ = fitted.history
        self.features_ = fitted.features
        self.n_features_in_ = fitted.features.channels

    def _train(self, fitted: Fitted, data: GraphData | GraphShards, config: Config, epochs: int) -> None:
        def on_epoch(epoch: Epoch) -> None:
            share = epoch.effective_negatives
            logger.info("epoch %d: loss %.6g, effective negatives %.3g", epoch.epoch, epoch.loss, share)
            if self.on_epoch is not None:
                self.on_epoch(epoch)

        before = self.__dict__.copy()
        try:
            self._hold(fitted)  # while it trains, so that `on_epoch` finds it
            with self._threads():
                fitted.train(data, config, epochs, on_epoch)
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise
        new = fitted.history[len(fitted.history) - epochs :]
        sentence = caution(data.num_graphs, config.batch_size, config.method, new, config.negative_queue)
        if sentence is not None:
            warnings.warn(sentence, stacklevel=user_stacklevel())

    @contextmanager
    def _threads(self) -> Iterator[None]:
        before = torch.get_num_threads()
        if self.n_jobs is not None:
            torch.set_num_threads(effective_n_jobs(self.n_jobs))
        try:
            yield
        finally:
            torch.set_num_threads(before)


HardInfoGraph.__init__.__signature__ = signature(HardInfoGraph)  # type: ignore[attr-defined]
