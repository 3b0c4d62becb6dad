"""The state of a training: model, optimizer, random numbers and epoch."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from graphcl_hard.config import Config
from graphcl_hard.loader.in_memory import SIMILAR, EpochOrder
from graphcl_hard.nn.graphcl import GraphCL
from graphcl_hard.nn.infograph import InfoGraph

Model = InfoGraph | GraphCL
NUMBERS = 6  # of a step: its loss and the diagnostics


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


class PartialEpoch:
    """The steps of an epoch so far, from which its results are computed."""

    def __init__(self) -> None:
        self.order = EpochOrder()
        self.anchors: list[int] = []
        """The number of anchors of each step, (S,)."""
        self.seconds = 0.0
        """Wall time of the steps."""
        self._table = torch.empty(0, NUMBERS, dtype=torch.float64, device="cpu")
        self._rows: list[Tensor] = []

    def add(self, row: Tensor, anchors: int) -> None:
        """Add a step: its loss and diagnostics, (6,) on the device, and its number of anchors."""
        self._rows.append(row)
        self.anchors.append(anchors)

    def table(self, total: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Return the loss and the diagnostics of all steps, (S, 6) float64 on the CPU.

        They are read here and not in each step, which would synchronise the GPU. `total` sums those that were not read
        before over all processes.
        """
        if self._rows:
            rows = torch.stack(self._rows).double().cpu()
            self._table = torch.cat([self._table, rows if total is None else total(rows)])
            self._rows.clear()
        return self._table

    def to_tensors(self) -> dict[str, Tensor]:
        """Return the steps so far by name, on the CPU."""
        return {
            "table": self.table(),
            "anchors": torch.tensor(self.anchors, device="cpu"),
            "seconds": torch.tensor([self.seconds], dtype=torch.float64, device="cpu"),
            **{f"order.{name}": state for name, state in self.order.states.items()},
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> "PartialEpoch":
        """Return the steps that `to_tensors` returned; the epoch continues with the next one.

        Raises:
            ValueError: their shapes do not match.
            RuntimeError: a state is not that of a generator.
        """
        found = cls()
        found._table, found.anchors = tensors["table"], tensors["anchors"].tolist()
        found.seconds = float(tensors["seconds"])
        states = {
            name.removeprefix("order."): state
            for name, state in tensors.items()
            if name.startswith("order.")
        }
        for name, state in states.items():
            if name != SIMILAR:
                torch.Generator().set_state(state)
            elif not torch.equal(state.sort().values, torch.arange(state.numel(), device="cpu")):
                raise ValueError("the order of similar graphs is not a permutation")
        if not found.anchors or found._table.shape != (len(found.anchors), NUMBERS):
            raise ValueError(
                f"{len(found.anchors)} steps have results of shape {tuple(found._table.shape)}"
            )
        found.order.states = states
        return found


class TrainingState:
    """Everything that the next step depends on: model, optimizer, generator of the batches, epoch and steps in it.

    Args:
        model: the model, on the device on which it is trained in place.
        config: the settings, of which the learning rate and the seed are used.

    Attributes:
        epoch: the last complete epoch, from 1; 0 before.
        partial: the steps of the next epoch so far, if it has begun; else None.
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
        self.partial: PartialEpoch | None = None

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
        if self.partial is not None:
            steps = self.partial.to_tensors()
            tensors |= {f"partial.{name}": tensor for name, tensor in steps.items()}
        return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}

    def load_tensors(self, tensors: Mapping[str, Tensor], epoch: int) -> None:
        """Load what `to_tensors` returned after an epoch, or after steps of the next; training continues from there."""
        weights: dict[str, Tensor] = {}
        steps: dict[str, Tensor] = {}
        moments: dict[int, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            kind, _, name = key.partition(".")
            if kind == "model":
                weights[name] = tensor
            elif kind == "adam":
                index, _, moment = name.partition(".")
                moments.setdefault(int(index), {})[moment] = tensor
            elif kind == "partial":
                steps[name] = tensor
        self.model.load_state_dict(weights)
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})
        self.generator.set_state(tensors["generator"])
        self.partial = PartialEpoch.from_tensors(steps) if steps else None
        self.epoch = epoch
