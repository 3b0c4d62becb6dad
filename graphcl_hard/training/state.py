"""The state of a training: model, optimizer, random numbers and epoch."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from graphcl_hard.config import Config
from graphcl_hard.nn.graphcl import GraphCL
from graphcl_hard.nn.infograph import InfoGraph

Model = InfoGraph | GraphCL


class Epoch(NamedTuple):
    """The results of one epoch, a line of metrics.csv."""

    epoch: int
    """From 1."""
    beta: float
    """Hardness in this epoch, from `beta_schedule`; with `effective_negatives` the mean of those found."""
    loss: float
    """Mean loss over the nodes of all batches; for GraphCL over the graphs."""
    effective_negatives: float
    """Mean effective number of negatives, as a share of all negatives, in [0, 1]."""
    positive_score: float
    """Mean score of the positive pairs."""
    negative_score: float
    """Unweighted mean score of the negative pairs."""
    seconds: float = 0.0
    """Wall time of the steps in seconds."""
    clamped: float = 0.0
    """Share of the anchors whose debiased mean over negatives is at its lower bound; 0 in older files."""


def relative_change(initial: Iterable[Tensor], weights: Iterable[Tensor]) -> float:
    """Return how far weights have moved from the initial ones: the norm of the difference over that of the initial.

    .. math:: \\lVert W - W_0 \\rVert_2 / \\lVert W_0 \\rVert_2

    Both norms run over all numbers of all tensors; the initial ones must not all be 0.

    Examples:
        >>> relative_change([torch.tensor([3.0, 4.0])], [torch.tensor([3.0, 4.5])])
        0.1
    """
    before, after = (
        torch.cat([tensor.detach().double().flatten() for tensor in tensors])
        for tensors in (initial, weights)
    )
    return float((after - before).norm() / before.norm())


class TrainingState:
    """Everything that the next epoch depends on: model, optimizer, generator of the batches, and epoch.

    Args:
        model: the model, on the device on which it is trained in place.
        config: the settings, of which the learning rate and the seed are used.
    """

    def __init__(self, model: Model, config: Config) -> None:
        self.model = model
        kind = next(model.parameters()).device.type
        # One kernel for all parameters: no slower on a CPU (benchmarks/speed/trials.py), and one launch on a GPU.
        self.optimizer = torch.optim.Adam(
            model.parameters(), lr=config.lr, fused=kind in ("cpu", "cuda")
        )
        self.generator = torch.Generator().manual_seed(config.seed)
        self.epoch = 0

    @property
    def steps(self) -> int:
        """The number of steps of the optimizer so far."""
        return max((int(moments["step"]) for moments in self.optimizer.state.values()), default=0)

    def to_tensors(self) -> dict[str, Tensor]:
        """Return the state without the epoch, by name, on the CPU; tensors that are there already are shared."""
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{name}": tensor for name, tensor in moments.items()}
        tensors["generator"] = self.generator.get_state()
        return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}

    def load_tensors(self, tensors: Mapping[str, Tensor], epoch: int) -> None:
        """Load the state that `to_tensors` returned after an epoch; training continues with the next one."""
        weights: dict[str, Tensor] = {}
        moments: dict[int, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            kind, _, name = key.partition(".")
            if kind == "model":
                weights[name] = tensor
            elif kind == "adam":
                index, _, moment = name.partition(".")
                moments.setdefault(int(index), {})[moment] = tensor
        self.model.load_state_dict(weights)
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})
        self.generator.set_state(tensors["generator"])
        self.epoch = epoch
