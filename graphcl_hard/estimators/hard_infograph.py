"""`HardInfoGraph`, a scikit-learn estimator that embeds graphs."""

import dataclasses
import logging
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted

from graphcl_hard.config import Config, Scale, Scope, View, names_in
from graphcl_hard.data.graph_data import GraphSource
from graphcl_hard.data.load import Graphs
from graphcl_hard.estimators.base import GraphEstimator, own_mistakes, to_json_value
from graphcl_hard.evaluation.checks import rescale
from graphcl_hard.exceptions import InputError, first_line, short_repr, user_stacklevel
from graphcl_hard.io.paths import Pathname, user_path
from graphcl_hard.loader.features import FeatureMap
from graphcl_hard.nn.encoders.base import GraphEncoder
from graphcl_hard.nn.encoders.pretrained import load_pretrained
from graphcl_hard.training.fitted import DAMAGED, Fitted
from graphcl_hard.training.state import Epoch
from graphcl_hard.training.warnings import caution

OWN = (
    "node_label",
    "node_attr",
    "edge_label",
    "edge_attr",
    "n_jobs",
    "random_state",
    "warm_start",
    "on_epoch",
)
SETTINGS = names_in(Scope.ESTIMATOR)
ENCODERS = ("encoder", "hidden_channels", "num_layers", "readout", "precision")
"""What a trained encoder determines."""


def to_config(params: Mapping[str, Any], draw: bool = False) -> Config:
    """Return the settings of a training, checked.

    Args:
        params: the estimator's parameters.
        draw: whether to draw a seed if `random_state` is not an int, as scikit-learn does; otherwise it is 0.

    Raises:
        InputError: with a line for each parameter outside its range.
    """
    # Parameter grids are arrays of NumPy numbers, and views may be a list.
    plain = {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in params.items()
    }
    if isinstance(plain["views"], list) or (
        isinstance(plain["views"], np.ndarray) and plain["views"].ndim
    ):
        plain["views"] = tuple(plain["views"])
    mistakes = list(own_mistakes(plain))
    state = plain["random_state"]
    seed = state if isinstance(state, int) and not mistakes else 0
    config = Config(**{name: plain[name] for name in SETTINGS}, seed=seed, score_epochs=())
    mistakes += config.mistakes()
    nothing = (str, tuple, list, type(None))
    named = [
        name
        for name in ("edge_label", "edge_attr")
        if not isinstance(plain[name], nothing) or plain[name]
    ]
    if named and isinstance(config.encoder, str) and config.encoder != "gine":
        found = " and ".join(f"{name} {short_repr(plain[name])}" for name in named)
        mistakes.append(
            f"`edge_label` and `edge_attr` are only read by `encoder=gine`, got {found} with {config.encoder}; "
            "take gine, or leave them out."
        )
    if mistakes:
        raise InputError("\n".join(mistakes))
    if draw and not isinstance(state, int):
        config = dataclasses.replace(config, seed=int(check_random_state(state).randint(2**31)))
    return config


logger = logging.getLogger("graphcl_hard")


class HardInfoGraph(ClassNamePrefixFeaturesOutMixin, TransformerMixin, GraphEstimator):
    """Graph embeddings learnt without labels, as a scikit-learn transformer.

    It trains an encoder by InfoGraph (or GraphCL) with hard, debiased negatives. Graphs are a list, or any iterable, of
    PyTorch Geometric `Data`, networkx graphs, molecules (SMILES strings or RDKit's objects), or adjacency matrices
    (SciPy, NumPy or PyTorch), all of one kind; `data.collate.to_graph_data` describes what is read of each. A data set
    from `load_graphs` or `write_shards` works too: its node labels are used, and its node attributes with
    `node_attr="node_attr"`. The graphs may need more memory than there is, see `data.load.open_graphs`.

    The input features of a node are its attributes, standardised over the graphs of `fit` (columns of only 0 and 1 stay
    as they are), and its one-hot labels; nodes that have neither get one-hot degrees. In `transform`, a label that
    `fit` has not seen has no column and causes a warning, and a degree above the largest one seen counts as the
    largest. Labels or attributes that the graphs of `fit` did not have are refused, unless `()` leaves them out.
    Messages flow along directed edges. Self-loops and parallel edges are dropped. A graph without nodes has a vector of
    zeros.

    With `encoder="gine"`, edges have features in the same way: the `edge_attr` of `Data`, what `edge_label` and
    `edge_attr` name in networkx graphs, and the edge labels and attributes of a data set from `load_graphs`. An entry
    of a matrix is an attribute with `edge_attr="weight"`, and never a label. Other encoders ignore edge features.

    A subclass with a constructor of its own has the parameters that the constructor names. If the constructor passes
    **settings on to this class, the subclass has all other parameters too. Settings that it fixes are not parameters.

    Warns:
        UserWarning: batches of fewer than 16 graphs; weights that leave fewer than 2 effective negatives; weights that
            are all alike although `beta` is not 0; (in `transform`) a label that `fit` has not seen. The warning points
            at the caller's line, outside of scikit-learn. Nothing is printed: each epoch is one line at level INFO in
            the logger "graphcl_hard" of `logging`.

    Args:
        node_label: name of the nodes' categorical attribute, or None.
        node_attr: name or names of the nodes' numeric attributes. None: the `x` of `Data`, but as labels if it holds
            integers. `()`: none.
        edge_label: name of the edges' categorical attribute, or None; only for gine.
        edge_attr: name or names of the edges' numeric attributes; only for gine. None: the `edge_attr` of `Data`, but
            as labels if it holds integers. `()`: none.
        n_jobs: number of PyTorch threads while this estimator works. -1: one for each core; None: as PyTorch is set.
            It is 1 in a process that was forked after work of several threads.
        random_state: int, `RandomState` or None, for the initial weights and the order of batches. An int gives the
            same result as `python -m graphcl_hard.run --seed`.
        warm_start: whether another `fit` continues from the present weights for `epochs` more epochs, with the features
            of the first fit. Settings that are built into the model (`hidden_channels`, `objective`, `tau_plus`, ...)
            cannot change then, and `beta_schedule` must be "constant".
        on_epoch: function that is called with the `Epoch` after each epoch, when `encoder_` has the weights of that
            epoch. If it raises `StopTraining`, the training ends with this epoch.
        method: "infograph" contrasts nodes with graphs, "graphcl" two random views of each graph.
        objective: "jsd" (Jensen-Shannon) or "info-nce"; for infograph.
        mode: "paper", or "released" for the authors' code; for infograph.
        beta: hardness, at least 0. 0 weights all negatives alike.
        beta_schedule: how beta changes over the epochs.
        effective_negatives: share of the negatives that the weights leave effective, such as 0.2; beta is found for it
            in each batch, and `beta` and `beta_schedule` stay at their defaults. None: `beta` holds.
        tau_plus: class prior in [0, 1), which corrects false negatives. 0 switches the correction off.
        debias: "paper" for the published correction, "consistent" for one that is also right under hardness if the
            anchor's positive is representative; with one positive for each anchor a part of the bias stays, at large
            beta most of it. Without effect if `tau_plus` is 0.
        critic: "dot", "cosine", or "auto": dot for jsd, cosine for info-nce; for infograph.
        temperature: divisor of cosine scores, above 0.
        score_scale: scale of the dot critic's scores in the weights, "max" or "none"; for infograph.
        detach_weights: whether the weights of the negatives are constants in the gradient.
        nodes_per_graph: number of nodes of each graph to sample in each step. 0: all; for infograph.
        negative_queue: number of summaries of earlier batches that serve as additional negatives; emptied by each call
            of `fit` or `partial_fit`. 0: none.
        views: the two augmentations; for graphcl.
        view_strength: share of each graph that a view changes, in [0, 1); for graphcl.
        second_view_strength: share for the second view. None: as for the first; for graphcl.
        encoder: "gin", "gine", "gcn", "sage", "gat" or "pna".
        hidden_channels: H, number of channels of each layer.
        num_layers: L, number of layers.
        readout: "sum", "mean", "max" or "attention".
        epochs: number of passes over the graphs.
        batch_size: number of graphs in a batch, at least 2.
        similar_graphs: number of similar graphs, by the present embedding, that enter a batch together. 0: batches are
            drawn at random.
        lr: learning rate of Adam.
        recalibrate: whether `fit` and `partial_fit` end by setting the statistics of batch norm to the exact mean and
            variance over all nodes of their graphs, see `training.batch_norm.recalibrate`.
        scale: scale of the vectors, "linear" or "log": sign(x) log(1 + |x|).
        accelerator: "auto", "cpu", "cuda" or "mps".
        precision: "32-true", "64-true" or "bf16-mixed".
        deterministic: whether to refuse operations that do not repeat bit for bit.

    Attributes:
        encoder_: the encoder, a `torch.nn.Module`.
        history_: list of `Epoch`, one for each epoch.
        features_: `FeatureMap`, how node features are made; its `edges` does so for edge features.
        n_features_in_: int, number of columns of the node features.

    Raises:
        TypeError: an unknown parameter.
        InputError: (in `fit`) settings outside their range, with a line for each; graphs that cannot be used.

    Sources: Sun et al., "InfoGraph", ICLR 2020; Robinson et al., "Contrastive Learning with Hard Negative Samples",
    ICLR 2021; for `method="graphcl"` You et al., "Graph Contrastive Learning with Augmentations", NeurIPS 2020.

    Examples:
        >>> from graphcl_hard import HardInfoGraph, load_graphs
        >>> graphs = load_graphs("MUTAG")
        >>> HardInfoGraph(epochs=1, random_state=0).fit_transform(graphs).shape
        (188, 96)
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
        method: Literal["infograph", "graphcl"] = "infograph",
        objective: Literal["jsd", "info-nce"] = "jsd",
        mode: Literal["paper", "released"] = "paper",
        beta: float = 10.0,
        beta_schedule: Literal[
            "constant", "linear-up", "linear-down", "cosine-up", "cosine-down"
        ] = "constant",
        effective_negatives: float | None = None,
        tau_plus: float = 0.1,
        debias: Literal["paper", "consistent"] = "paper",
        critic: Literal["auto", "dot", "cosine"] = "auto",
        temperature: float = 0.5,
        score_scale: Literal["max", "none"] = "max",
        detach_weights: bool = True,
        nodes_per_graph: int = 0,
        negative_queue: int = 0,
        views: tuple[View, ...] = ("node-drop", "subgraph"),
        view_strength: float = 0.2,
        second_view_strength: float | None = None,
        encoder: Literal["gin", "gine", "gcn", "sage", "gat", "pna"] = "gin",
        hidden_channels: int = 32,
        num_layers: int = 3,
        readout: Literal["sum", "mean", "max", "attention"] = "sum",
        epochs: int = 5,
        batch_size: int = 128,
        similar_graphs: int = 0,
        lr: float = 0.001,
        recalibrate: bool = False,
        scale: Scale = "log",
        accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto",
        precision: Literal["32-true", "64-true", "bf16-mixed"] = "32-true",
        deterministic: bool = False,
    ) -> None:
        self.node_label = node_label
        self.node_attr = node_attr
        self.edge_label = edge_label
        self.edge_attr = edge_attr
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.warm_start = warm_start
        self.on_epoch = on_epoch
        self.method = method
        self.objective = objective
        self.mode = mode
        self.beta = beta
        self.beta_schedule = beta_schedule
        self.effective_negatives = effective_negatives
        self.tau_plus = tau_plus
        self.debias = debias
        self.critic = critic
        self.temperature = temperature
        self.score_scale = score_scale
        self.detach_weights = detach_weights
        self.nodes_per_graph = nodes_per_graph
        self.negative_queue = negative_queue
        self.views = views
        self.view_strength = view_strength
        self.second_view_strength = second_view_strength
        self.encoder = encoder
        self.hidden_channels = hidden_channels
        self.num_layers = num_layers
        self.readout = readout
        self.epochs = epochs
        self.batch_size = batch_size
        self.similar_graphs = similar_graphs
        self.lr = lr
        self.recalibrate = recalibrate
        self.scale = scale
        self.accelerator = accelerator
        self.precision = precision
        self.deterministic = deterministic

    def fit(self, X: Graphs, y: object = None) -> "HardInfoGraph":
        """Learn an encoder from the graphs `X`; `y` is ignored.

        Raises:
            InputError: a setting is outside its range, or the graphs cannot be used; fewer than 2 graphs.
            TrainingDiverged: the loss or a weight is no longer finite.
        """
        config = self._config(draw=True)
        warm = self.warm_start and self.__sklearn_is_fitted__()
        self._fit(self._read(X, config.encoder, self.features_ if warm else None), config)
        return self

    def partial_fit(self, X: Graphs, y: object = None) -> "HardInfoGraph":
        """Train for one more epoch on the graphs `X`; the first call fixes the features. `y` is ignored.

        Raises:
            InputError: as for `fit`; or `beta_schedule` is not "constant", since the number of epochs is unknown.
        """
        fitted = self.__sklearn_is_fitted__()
        config = self._config(draw=not fitted)
        if config.beta_schedule != "constant":
            raise InputError(
                f"partial_fit needs `beta_schedule=constant`, got {config.beta_schedule!r}; set it."
            )
        data = self._read(X, config.encoder, self.features_ if fitted else None)
        self._train(self._fitted if fitted else self._start(data, config), data, config, 1)
        return self

    def transform(self, X: Graphs) -> npt.NDArray[np.floating]:
        """Return the vectors of the graphs `X`, (G, L*H) float32, or float64 with `precision="64-true"`, on `scale`.

        Labels and attributes that no parameter names are looked for under the names that they have in the graphs of
        `fit`.

        Raises:
            InputError: the graphs cannot be used, or their attributes differ from those of `fit`.
            sklearn.exceptions.NotFittedError: before `fit`.
        """
        check_is_fitted(self)
        data = self._read(X, self._fitted.config.encoder, self.features_)
        return self._transform(data, self._config())

    def fit_transform(self, X: Graphs, y: object = None) -> npt.NDArray[np.floating]:
        """Call `fit`, then `transform` on the same graphs, which are read only once."""
        config = self._config(draw=True)
        warm = self.warm_start and self.__sklearn_is_fitted__()
        data = self._read(X, config.encoder, self.features_ if warm else None)
        self._fit(data, config)
        return self._transform(data, self._config())

    def save(self, path: Pathname) -> None:
        """Write what `transform` and further training need into one safetensors file, atomically.

        The parameter `on_epoch` and a `RandomState` are not kept.

        Raises:
            InputError: a label of the graphs, or a parameter of a subclass, has no form in JSON.
            sklearn.exceptions.NotFittedError: before `fit`.
        """
        check_is_fitted(self)
        params = self.get_params(deep=False)
        unkept = {"on_epoch"}
        if not isinstance(self.random_state, (int, np.integer)):
            unkept.add("random_state")
        plain = {
            name: None if name in unkept else to_json_value(name, value)
            for name, value in params.items()
        }
        self._fitted.save(user_path(path), plain)

    @classmethod
    def load(cls, path: Pathname) -> "HardInfoGraph":
        """Load an estimator that `save` wrote, on the CPU. Nothing is unpickled.

        Raises:
            InputError: the file is missing, damaged, or of another kind.
        """
        file = user_path(path)
        try:
            fitted, params = Fitted.load(file)
            estimator = cls(**params)
            estimator._hold(fitted)
        except DAMAGED as why:
            reason = first_line(why)[:500]
            where = "" if str(file) in reason else f" from {file}"
            raise InputError(
                f"No estimator can be loaded{where}: {reason}; give a file that `save` wrote, or load a folder of "
                "`save_pretrained` by `from_pretrained`."
            ) from why
        return estimator

    def save_pretrained(self, folder: Pathname) -> None:
        """Write the encoder, and how nodes and edges become its inputs, into a folder, which is made if necessary.

        `from_pretrained` and `python -m graphcl_hard.embed` read it. Unlike `save`, this keeps neither the parameters
        nor the state of the training.

        Raises:
            InputError: a label of the graphs is neither a string nor a number.
            OSError: the folder cannot be written.
            sklearn.exceptions.NotFittedError: before `fit`.
        """
        check_is_fitted(self)
        path = user_path(folder, "folder")
        path.mkdir(parents=True, exist_ok=True)
        self.encoder_.save_pretrained(path, self.features_)

    @classmethod
    def from_pretrained(cls, name_or_folder: Pathname, **params: Any) -> "HardInfoGraph":
        """Return a fitted estimator with an encoder of the package, of `save_pretrained` or of a run, on the CPU.

        Nothing is unpickled. `history_` is empty; `partial_fit` continues with initial weights of all but the encoder.

        Args:
            name_or_folder: "molecules-random", an untrained gine of 4 layers of 512 channels for molecules; or a folder
                of `save_pretrained` or of a run.
            params: parameters of the estimator, such as `scale`, except those of the encoder.

        Raises:
            InputError: a file is missing, damaged, or does not fit the others; or a parameter is one of the encoder.

        Examples:
            >>> import tempfile
            >>> from graphcl_hard import HardInfoGraph, load_graphs
            >>> graphs = load_graphs("MUTAG")
            >>> model = HardInfoGraph(epochs=1, random_state=0).fit(graphs)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     model.save_pretrained(folder)
            ...     other = HardInfoGraph.from_pretrained(folder)
            >>> bool((other.transform(graphs) == model.transform(graphs)).all())
            True
        """
        fixed = [name for name in ENCODERS if name in params]
        if fixed:
            raise InputError(
                f"{', '.join(fixed)} must be left out of `from_pretrained`, as the encoder has them; "
                "fit another estimator for other ones."
            )
        encoder, features = load_pretrained(name_or_folder)
        is_double = next(encoder.parameters()).dtype == torch.float64
        kind, precision = encoder.arguments["encoder"], "64-true" if is_double else "32-true"
        sizes = encoder.hidden_channels, encoder.num_layers, encoder.readout
        built: dict[str, Any] = dict(zip(ENCODERS, (kind, *sizes, precision), strict=True))
        estimator = cls(**built, **params)
        estimator._hold(Fitted.resume(encoder, features, estimator._config()))
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
        """Return the names of the vectors' columns, (L*H,): hardinfograph0 and so on; `input_features` is ignored.

        Raises:
            sklearn.exceptions.NotFittedError: before `fit`.
        """
        names: npt.NDArray[np.object_] = super().get_feature_names_out()
        return names

    def _config(self, draw: bool = False) -> Config:
        # Not get_params: a subclass need not have all of these as parameters.
        return to_config({name: getattr(self, name) for name in (*OWN, *SETTINGS)}, draw)

    def _start(self, data: GraphSource, config: Config) -> Fitted:
        left_out = [name for name in ("node_attr", "edge_attr") if getattr(self, name) in ((), [])]
        return Fitted.start(data, config, left_out)

    def _fit(self, data: GraphSource, config: Config) -> None:
        warm = self.warm_start and self.__sklearn_is_fitted__()
        if warm and config.beta_schedule != "constant":
            raise InputError(
                f"A warm start needs `beta_schedule=constant`, got {config.beta_schedule!r}; set it."
            )
        self._train(
            self._fitted if warm else self._start(data, config), data, config, config.epochs
        )

    def _transform(self, data: GraphSource, config: Config) -> npt.NDArray[np.floating]:
        with self._threads():
            return rescale(self._fitted.embed(data, config.batch_size), config.scale)

    def _hold(self, fitted: Fitted) -> None:
        self._fitted = fitted
        self.encoder_ = fitted.encoder
        self.history_ = fitted.history
        self.features_ = fitted.features
        self.n_features_in_ = fitted.features.channels

    def _train(self, fitted: Fitted, data: GraphSource, config: Config, epochs: int) -> None:
        def on_epoch(epoch: Epoch) -> None:
            share = epoch.effective_negatives
            logger.info(
                "epoch %d: loss %.6g, effective negatives %.3g", epoch.epoch, epoch.loss, share
            )
            if self.on_epoch is not None:
                self.on_epoch(epoch)

        before, done = self.__dict__.copy(), len(fitted.history)
        try:
            self._hold(fitted)  # already during training, for `on_epoch`
            with self._threads():
                fitted.train(data, config, epochs, on_epoch)
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise
        new = fitted.history[done:]
        sentence = caution(
            data.num_graphs,
            config.batch_size,
            config.method,
            new,
            config.negative_queue,
            config.effective_negatives,
        )
        if sentence is not None:
            warnings.warn(sentence, stacklevel=user_stacklevel())
