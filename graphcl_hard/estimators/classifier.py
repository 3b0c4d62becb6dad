"""`HardInfoGraphClassifier`, a scikit-learn classifier of graphs."""

import math
import warnings
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import expit, softmax
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from graphcl_hard.data.graph_data import GraphSource
from graphcl_hard.data.load import Graphs
from graphcl_hard.estimators.hard_infograph import HardInfoGraph
from graphcl_hard.estimators.supervised import SupervisedEstimator, TargetScale
from graphcl_hard.estimators.targets import Targets, check_same_kind, class_targets
from graphcl_hard.exceptions import InputError, short_repr, user_stacklevel
from graphcl_hard.io.paths import Pathname
from graphcl_hard.training.supervised import FineTuneEpoch, Task, masked_accuracy


class HardInfoGraphClassifier(ClassifierMixin, SupervisedEstimator):
    r"""Classifier of graphs: an encoder, pretrained or not, and a small head, trained together on labels.

    Graphs are those of `HardInfoGraph`. Their labels `y` are one of:

    - (G,) integers, strings, booleans or whole floats: one target with C classes. The loss is the cross-entropy.
    - (G, T) entries of 0 and 1, as an array, a table of pandas or a dictionary of columns: T targets. The loss is the
      binary cross-entropy, the mean over all known entries of a batch: each known entry counts alike.

    An entry is missing that is None, NaN or the empty string. Graphs without any known entry are left out.

    .. math:: \ell = \frac{\sum_{(g, t) \in K} w_{t y_{gt}} \ell_{gt}}{\sum_{(g, t) \in K} w_{t y_{gt}}}

    with the known entries K of the batch, their losses, and the class weights w (`losses.supervised`).

    A part of the graphs, stratified for one target, is left out of the training and chooses its epoch: the one with the
    lowest loss on this part is kept. With `init`, node and edge features are made as for the pretrained encoder: a
    label that it has not seen has no column and causes a warning.

    While the encoder is frozen, it is in evaluation mode: its batch norm uses the running statistics of the
    pretraining, and does not change them. While it is trained, batch norm uses the statistics of the batch and updates
    the running ones, as in pretraining.

    With an int as `random_state`, two fits give the same bits on the CPU.

    Args:
        init: the encoder to start from: a fitted `HardInfoGraph`, which is copied and not changed; the path of a
            run, of a folder of `save_pretrained`, or of a file of `HardInfoGraph.save`; or the name of an encoder of
            the package, see `HardInfoGraph.from_pretrained`. None: initial weights.
        node_label: as in `HardInfoGraph`.
        node_attr: as in `HardInfoGraph`.
        edge_label: as in `HardInfoGraph`.
        edge_attr: as in `HardInfoGraph`.
        n_jobs: as in `HardInfoGraph`.
        random_state: int, `RandomState` or None, for the initial weights, the validation part, the order of batches and
            dropout.
        on_epoch: function that is called with the `FineTuneEpoch` after each epoch. If it raises `StopTraining`, the
            training ends with this epoch, and the best one so far is kept.
        encoder: without `init`: "gin", "gine", "gcn", "sage", "gat" or "pna".
        hidden_channels: without `init`: H, number of channels of each layer.
        num_layers: without `init`: L, number of layers.
        readout: without `init`: "sum", "mean", "max" or "attention".
        head_channels: width of the head's hidden layer; 0: the head is linear.
        dropout: share of the last layer's inputs that are set to zero in training, in [0, 1).
        epochs: largest number of passes over the training part. 0 trains nothing.
        batch_size: number of graphs in a batch, at least 2.
        lr: learning rate of AdamW.
        encoder_lr: learning rate of the encoder. None: `lr`.
        weight_decay: weight decay of AdamW.
        schedule: "constant", or "cosine": the learning rates rise from 0 over the first tenth of the steps, then fall
            to 0 along a cosine.
        freeze: True trains only the head. A number does so in that many epochs at the start. False: both are trained.
        validation_fraction: share of the graphs that chooses the epoch. 0: the last epoch is kept.
        patience: number of epochs without a lower validation loss after which training ends, counted from the end of
            the frozen ones. None: it never ends early.
        accelerator: "auto", "cpu", "cuda" or "mps".
        precision: "32-true", "64-true" or "bf16-mixed".
        deterministic: whether to refuse operations that do not repeat bit for bit.
        class_weight: weights of the classes in the loss. "balanced": n / (C n_c), from the numbers of graphs n_c of the
            training part, for each target by itself; or a dictionary of classes and weights, 1 for others. None: 1
            each.

    Attributes:
        classes_: (C,) array, the classes in ascending order; for T targets (T, 2), 0 and 1 of each.
        encoder_: the fine-tuned encoder, a `torch.nn.Module`.
        head_: the head.
        features_: `FeatureMap`, how node features are made.
        history_: list of `FineTuneEpoch`, one for each epoch.
        best_epoch_: int, number of the epoch whose weights are kept, from 1.
        targets_: names of the targets, empty without names.
        validation_rows_: (n,) int64, positions in `X` of the graphs that chose the epoch; empty if they were given.
        n_features_in_: int, number of columns of the node features.

    Raises:
        InputError: (in `fit`) settings outside their range, with a line for each; graphs that cannot be used; labels
            that are measured values, or of one class only; a class with too few graphs for the validation part.

    Sources: Hu et al., "Strategies for Pre-training Graph Neural Networks", ICLR 2020; Kumar et al., "Fine-Tuning can
    Distort Pretrained Features and Underperform Out-of-Distribution", ICLR 2022, for `freeze` at the start.

    Examples:
        >>> from graphcl_hard import HardInfoGraph, HardInfoGraphClassifier, load_graphs
        >>> graphs = load_graphs("MUTAG")
        >>> pretrained = HardInfoGraph(epochs=1, random_state=0).fit(graphs)
        >>> model = HardInfoGraphClassifier(init=pretrained, epochs=3, random_state=0).fit(graphs[:150])
        >>> model.predict(graphs[150:]).shape
        (38,)
    """

    kind = "classifier"
    class_weight: Mapping[Any, float] | Literal["balanced"] | None
    classes_: Any

    def __init__(
        self,
        *,
        init: HardInfoGraph | Pathname | None = None,
        node_label: str | None = None,
        node_attr: str | tuple[str, ...] | None = None,
        edge_label: str | None = None,
        edge_attr: str | tuple[str, ...] | None = None,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        on_epoch: Callable[[FineTuneEpoch], object] | None = None,
        encoder: Literal["gin", "gine", "gcn", "sage", "gat", "pna"] = "gin",
        hidden_channels: int = 32,
        num_layers: int = 3,
        readout: Literal["sum", "mean", "max", "attention"] = "sum",
        head_channels: int = 64,
        dropout: float = 0.0,
        epochs: int = 100,
        batch_size: int = 32,
        lr: float = 0.001,
        encoder_lr: float | None = None,
        weight_decay: float = 0.0,
        schedule: Literal["constant", "cosine"] = "constant",
        freeze: bool | int = False,
        validation_fraction: float = 0.1,
        patience: int | None = 20,
        accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto",
        precision: Literal["32-true", "64-true", "bf16-mixed"] = "32-true",
        deterministic: bool = False,
        class_weight: Mapping[Any, float] | Literal["balanced"] | None = None,
    ) -> None:
        self._assign(locals())

    def predict(self, X: Graphs) -> npt.NDArray[Any]:
        """Return the most likely class of each graph, (G,); for T targets (G, T) int64 of 0 and 1."""
        check_is_fitted(self)
        return self._predict(self._read_again(X))

    def predict_proba(self, X: Graphs) -> npt.NDArray[np.float64]:
        """Return the probability of each class, (G, C); for T targets that of the class 1 of each, (G, T)."""
        check_is_fitted(self)
        outputs = self._outputs(self._read_again(X))
        found: npt.NDArray[np.float64]
        found = softmax(outputs, axis=1) if self._single else expit(outputs)
        return found

    def decision_function(self, X: Graphs) -> npt.NDArray[np.float64]:
        """Return (G,) log-odds of the second of two classes, else (G, C) scores; for T targets (G, T) log-odds."""
        check_is_fitted(self)
        outputs = self._outputs(self._read_again(X))
        return outputs[:, 1] - outputs[:, 0] if self._single and outputs.shape[1] == 2 else outputs

    def score(self, X: Graphs, y: object = None) -> float:
        """Return the accuracy on the known entries, for several targets the mean of theirs; `y` is as in `fit`.

        Raises:
            InputError: the graphs or `y` cannot be used.
            sklearn.exceptions.NotFittedError: before `fit`.
        """
        check_is_fitted(self)
        data = self._read_again(X, labelled=y is None)
        truth = self._truth(data, y)
        if truth.classes is not None:
            check_same_kind(truth.classes, self.classes_)
        predicted = self._predict(data)
        if truth.classes is None:
            return masked_accuracy(predicted.astype(np.float64), truth.y.numpy())
        known = truth.known.numpy()
        return float(np.mean(predicted[known] == truth.classes[truth.y.numpy()[known]]))

    def _predict(self, data: GraphSource) -> npt.NDArray[Any]:
        outputs = self._outputs(data)
        if not self._single:
            return (outputs > 0).astype(np.int64)
        found: npt.NDArray[Any] = self.classes_[outputs.argmax(axis=1)]
        return found

    def _encode(
        self, y: Any, names: tuple[str, ...], classes: npt.NDArray[Any] | None = None
    ) -> Targets:
        return class_targets(y, names, classes)

    def _check(self, targets: Targets) -> None:
        super()._check(targets)
        weight = self.class_weight
        is_balanced = isinstance(weight, str) and weight == "balanced"
        if weight is not None and not is_balanced and not isinstance(weight, Mapping):
            raise InputError(
                f"`class_weight` must be None, 'balanced' or a dictionary, got {short_repr(weight)}; give one of them."
            )
        classes = [0, 1] if targets.classes is None else targets.classes.tolist()
        if isinstance(weight, Mapping):
            for name, value in weight.items():
                is_number = isinstance(value, Real) and not isinstance(value, bool)
                if name not in classes or not is_number or not 0 <= value < math.inf:
                    raise InputError(
                        f"`class_weight` must map classes to numbers from 0 on, got {short_repr(value)} for "
                        f"{short_repr(name)}; the classes are {', '.join(map(repr, classes[:10]))}."
                    )
        if targets.classes is not None:
            if len(classes) < 2:
                raise InputError(
                    f"y must have at least 2 classes, got only {classes[0]!r}; add another."
                )
            return
        alike = torch.stack([(targets.y == value).any(dim=0) for value in (0, 1)]).all(
            dim=0
        )  # (T,)
        if not alike.any():
            raise InputError(
                "y must have 0 and 1 in a target, got only one of them in each; add the other."
            )
        if not alike.all():
            first = int((~alike).nonzero()[0])
            name = repr(targets.names[first]) if targets.names else str(first)
            warnings.warn(
                f"{int((~alike).sum())} of {len(alike)} targets have only one class in y, first {name}, so nothing can "
                "be learnt of them.",
                stacklevel=user_stacklevel(),
            )

    def _prepare(self, y: Tensor, targets: Targets) -> tuple[TargetScale | None, Task]:
        if targets.classes is not None:
            outputs, weight = len(targets.classes), None
            if self.class_weight == "balanced":
                count = torch.bincount(y, minlength=outputs)
                weight = len(y) / (outputs * count.clamp(min=1))
            elif self.class_weight is not None:
                named = self.class_weight
                weight = torch.tensor(
                    [float(named.get(one, 1)) for one in targets.classes.tolist()]
                )
            return None, Task("classes", outputs, weight)
        outputs, weight = y.shape[1], None
        if self.class_weight == "balanced":
            count = torch.stack([(y == value).sum(dim=0) for value in (0, 1)], dim=1)  # (T, 2)
            weight = count.sum(dim=1, keepdim=True) / (2 * count.clamp(min=1))
        elif self.class_weight is not None:
            pair = [float(self.class_weight.get(value, 1)) for value in (0, 1)]
            weight = torch.tensor(pair).repeat(outputs, 1)
        return None, Task("binary", outputs, weight)

    def _hold_targets(self, targets: Targets) -> None:
        classes = targets.classes
        self.classes_ = _binary(targets.y[:1].numel()) if classes is None else classes

    def _target_content(self) -> dict[str, Any]:
        return {"classes": self.classes_.tolist() if self._single else None}

    def _load_targets(self, content: Mapping[str, Any]) -> None:
        classes = content["classes"]
        outputs = self.head_.out.out_features
        if classes is not None and len(classes) != outputs:
            raise ValueError("it has another number of classes than outputs")
        self.classes_ = _binary(outputs) if classes is None else np.array(classes)


def _binary(targets: int) -> npt.NDArray[np.int64]:
    # (T, 2) rather than (T,) as in scikit-learn: with T = 2 its scorers would take that for two classes of one target.
    return np.tile(np.arange(2), (targets, 1))
