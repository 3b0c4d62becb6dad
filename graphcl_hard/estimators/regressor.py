"""`HardInfoGraphRegressor`, a scikit-learn regressor of graphs."""

import warnings
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from graphcl_hard.data.graph_data import GraphSource
from graphcl_hard.data.load import Graphs
from graphcl_hard.estimators.hard_infograph import HardInfoGraph
from graphcl_hard.estimators.supervised import SupervisedEstimator, TargetScale
from graphcl_hard.estimators.targets import Targets, measured_targets
from graphcl_hard.exceptions import user_stacklevel
from graphcl_hard.io.paths import Pathname
from graphcl_hard.training.supervised import FineTuneEpoch, Task, masked_r2


class HardInfoGraphRegressor(RegressorMixin, SupervisedEstimator):
    r"""Regressor of graphs: an encoder, pretrained or not, and a small head, trained together on measured targets.

    The targets `y` are (G,) or (G, T) numbers, None or NaN where they are missing. Each target is standardised over the
    known entries of the training part. The loss is the squared error, the mean over all known entries of a batch; so
    targets of different units count alike.

    .. math:: \ell = \frac{1}{|K|} \sum_{(g, t) \in K} \left(z_{gt} - \frac{y_{gt} - \mu_t}{\sigma_t}\right)^2

    Validation part, freezing and repeatability are as in `HardInfoGraphClassifier`.

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

    Attributes:
        encoder_: the fine-tuned encoder, a `torch.nn.Module`.
        head_: the head.
        features_: `FeatureMap`, how node features are made.
        history_: list of `FineTuneEpoch`, one for each epoch.
        best_epoch_: int, number of the epoch whose weights are kept, from 1.
        targets_: names of the targets, empty without names.
        validation_rows_: (n,) int64, positions in `X` of the graphs that chose the epoch; empty if they were given.
        n_features_in_: int, number of columns of the node features.

    Raises:
        InputError: (in `fit`) settings outside their range, with a line for each; graphs that cannot be used; targets
            that are infinite or no numbers.

    Examples:
        >>> from graphcl_hard import HardInfoGraphRegressor, load_graphs
        >>> graphs = load_graphs("MUTAG")
        >>> sizes = graphs.node_ptr.diff().double().numpy()
        >>> HardInfoGraphRegressor(epochs=3, random_state=0).fit(graphs, sizes).predict(graphs[:5]).shape
        (5,)
    """

    kind = "regressor"

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
    ) -> None:
        self._assign(locals())

    def predict(self, X: Graphs) -> npt.NDArray[np.float64]:
        """Return the targets of each graph in their own units, (G,), or (G, T) if `fit` had several."""
        check_is_fitted(self)
        return self._predict(self._read_again(X))

    def score(self, X: Graphs, y: object = None) -> float:
        """Return R2 on the known entries, for several targets the mean of theirs; `y` is as in `fit`.

        Raises:
            InputError: the graphs or `y` cannot be used.
            sklearn.exceptions.NotFittedError: before `fit`.
        """
        check_is_fitted(self)
        data = self._read_again(X, labelled=y is None)
        truth = self._truth(data, y)
        return masked_r2(self._predict(data), truth.y.numpy())

    def _predict(self, data: GraphSource) -> npt.NDArray[np.float64]:
        assert self._scale is not None
        found: npt.NDArray[np.float64]
        found = self._outputs(data) * self._scale.std.numpy() + self._scale.mean.numpy()
        return found[:, 0] if self._single else found

    def _encode(
        self, y: Any, names: tuple[str, ...], classes: npt.NDArray[Any] | None = None
    ) -> Targets:
        return measured_targets(y, names)

    def _check(self, targets: Targets) -> None:
        super()._check(targets)
        empty = targets.y.isnan().all(dim=0)
        if empty.any():
            first = int(empty.nonzero()[0])
            name = repr(targets.names[first]) if targets.names else str(first)
            warnings.warn(
                f"{int(empty.sum())} of {len(empty)} targets have no known value in y, first {name}, so nothing can be "
                "learnt of them.",
                stacklevel=user_stacklevel(),
            )

    def _prepare(self, y: Tensor, targets: Targets) -> tuple[TargetScale | None, Task]:
        known = ~y.isnan()
        count = known.sum(dim=0).clamp(min=1)
        mean = y.nansum(dim=0) / count
        std = (((y - mean).nan_to_num() ** 2).sum(dim=0) / count).sqrt()
        return TargetScale(mean, std.where(std > 0, 1)), Task("regression", y.shape[1])
