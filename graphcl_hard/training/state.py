"""The state of a training: model, optimizer, random numbers and epoch."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from graphcl_hard.config import Config
from graphcl_hard.nn.graphcl import GraphCL
from graphcl_hard.nn.infograph import InfoGraph

Model = InfoGraph | GraphCL


class Epoch(NamedTuple):
    """One line of metrics.csv."""

    epoch: int
    """From 1."""
    beta: float
    """The hardness in it, as `beta_schedule` gives it."""
    loss: float
    """Mean over the nodes of the epoch's batches; GraphCL's over the graphs."""
    effective_negatives: float
    """Mean, over the same, of the effective number of negatives as a share of all, in [0, 1]."""
    positive_score: float
    """Mean score of the positives."""
    negative_score: float
    """Unweighted mean score of the negatives."""
    seconds: float
    """Wall time of the epoch's steps."""


class TrainingState:
    """All that the next epoch depends on: the model, Adam, the random numbers of the batches, and the epoch.

    Args:
        model: on the device that it is trained on; trained in place.
        config: learning rate and seed.
    """

    def __init__(self, model: Model, config: Config) -> None:
        self.model = model
        kind = next(model.parameters()).device.type
        # One kernel for all parameters: no slower on a CPU (benchmarks/speed/trials.py), and one launch on a GPU.
        self.optimizer = torch.optim.Adam(model.parameters(), lr=config.lr, fused=kind in ("cpu", "cuda"))
        self.generator = torch.Generator().manual_seed(config.seed)
        self.epoch = 0

    def to_tensors(self) -> dict[str, Tensor]:
        """The state but the epoch, name -> tensor on the CPU; the tensors are shared where they lie there."""
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{name}": tensor for name, tensor in moments.items()}
        tensors["generator"] = self.generator.get_state()
        return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}

    def load_tensors(self, tensors: Mapping[str, Tensor], epoch: int) -> None:
        """Take the state that `to_tensors` gave after an epoch; training goes on with the next."""
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
