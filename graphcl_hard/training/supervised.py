"""Train an encoder and a head on targets: steps, early stopping, and the best epoch."""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import Module, ModuleDict

from graphcl_hard._tensor import full_precision
from graphcl_hard.exceptions import StopTraining
from graphcl_hard.loader.in_memory import GraphBatches, shuffled_rows
from graphcl_hard.losses.supervised import (
    MaskedSum,
    masked_binary_cross_entropy,
    masked_cross_entropy,
    masked_squared_error,
)
from graphcl_hard.nn.encoders.base import GraphEncoder
from graphcl_hard.nn.heads import PredictionHead
from graphcl_hard.training.fine_tuning import FineTuning
from graphcl_hard.training.loop import TrainingDiverged, embed

WARM_UP = 0.1
"""Share of the steps in which the cosine schedule rises."""


class FineTuneEpoch(NamedTuple):
    """The results of one epoch of supervised training."""

    epoch: int
    """From 1."""
    loss: float
    """Mean loss over the known entries of the training part, in the course of the epoch."""
    score: float
    """Mean accuracy, or R2, of the targets on the training part, in the course of the epoch."""
    valid_loss: float
    """Mean loss over the known entries of the validation part at the end of the epoch; NaN without one."""
    valid_score: float
    """Mean accuracy, or R2, of the targets on the validation part; NaN without one."""
    lr: float
    """Learning rate of the head in the last step."""
    seconds: float
    """Wall time in seconds."""


@dataclass(frozen=True)
class Task:
    """The kind of the targets, and the number of the head's outputs.

    Attributes:
        kind: "classes" of one target, "binary" for T targets of 0 and 1, or "regression" for T targets.
        outputs: number of classes C, or of targets T.
        weight: weights of the classes, (C,) or (T, 2) float; None: 1 each.
    """

    kind: Literal["classes", "binary", "regression"]
    outputs: int
    weight: Tensor | None = None

    def loss(self, outputs: Tensor, y: Tensor) -> MaskedSum:
        """Return the loss of outputs (B, C) or (B, T) for targets (B,) int64 or (B, T) float."""
        outputs = full_precision(outputs)
        if self.kind == "regression":
            return masked_squared_error(outputs, y)
        weight = None if self.weight is None else self.weight.to(outputs)
        if self.kind == "classes":
            return masked_cross_entropy(outputs, y, weight)
        return masked_binary_cross_entropy(outputs, y, weight)

    def score(self, outputs: Tensor, y: Tensor) -> float:
        """Return the accuracy, or R2, on the known entries; the mean over targets."""
        if self.kind == "classes":
            truth = y.double().where(y >= 0, math.nan).numpy()
            return masked_accuracy(outputs.argmax(dim=1).double().numpy(), truth)
        if self.kind == "binary":
            return masked_accuracy((outputs > 0).double().numpy(), y.double().numpy())
        return masked_r2(outputs.double().numpy(), y.double().numpy())


def masked_accuracy(predicted: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Return the share of correct entries among the known ones, (G,) or (G, T); the mean over targets.

    Entries of `y` are NaN where they are missing. Targets without a known entry are left out; without any, it is NaN.
    """
    known, right = (~np.isnan(y)).reshape(len(y), -1), (predicted == y).reshape(len(y), -1)
    count = known.sum(axis=0)
    shares = right.sum(axis=0)[count > 0] / count[count > 0]
    return float(shares.mean()) if len(shares) else math.nan


def masked_r2(predicted: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Return R2 on the known entries, (G,) or (G, T); the mean over targets.

    Entries of `y` are NaN where they are missing. Targets with fewer than 2 known entries have no R2 and are left out;
    without any other, it is NaN. For equal true values it is, as in scikit-learn, 1 if they are met, else 0.
    """
    y, predicted = y.reshape(len(y), -1), predicted.reshape(len(y), -1)
    known = ~np.isnan(y)
    count = known.sum(axis=0)
    truth = np.where(known, y, 0)
    centred = np.where(known, truth - truth.sum(axis=0) / count.clip(1), 0)
    error = (np.where(known, predicted - truth, 0) ** 2).sum(axis=0)
    spread = (centred**2).sum(axis=0)
    is_equal = np.where(known, y, -np.inf).max(axis=0) == np.where(known, y, np.inf).min(axis=0)
    scores = np.where(error == 0, 1.0, 0.0)
    np.divide(error, spread, out=scores, where=~is_equal & (spread > 0))
    scores = np.where(is_equal, scores, 1 - scores)[count > 1]
    return float(scores.mean()) if len(scores) else math.nan


class Part(NamedTuple):
    """A part of the data."""

    batches: GraphBatches
    """Its graphs, on the device."""
    y: Tensor
    """(G,) int64, -1 where missing, or (G, T) float, NaN where missing; on the CPU."""


def train_supervised(
    encoder: GraphEncoder,
    head: PredictionHead,
    task: Task,
    parts: tuple[Part, Part | None],
    settings: FineTuning,
    seed: int,
    fabric: Fabric,
    on_epoch: Callable[[FineTuneEpoch], object],
) -> tuple[list[FineTuneEpoch], int]:
    """Train an encoder and its head in place, and leave both in the best epoch, in evaluation mode.

    The best epoch has the lowest loss on the validation part, the first of several; without a validation part it is
    the last one. While the encoder is frozen, it is in evaluation mode and its vectors are computed only once.

    Args:
        encoder: the encoder, on the fabric's device.
        head: the head, on the same device. The running statistics of its batch norm start at the mean and variance of
            the vectors of the training part.
        task: the kind of the targets.
        parts: the training part, and the validation part or None.
        settings: the settings.
        seed: seed of the order of the graphs and of dropout.
        fabric: device and precision.
        on_epoch: function that is called at the end of each epoch. If it raises `StopTraining`, this is the last one.

    Returns:
        The epochs, and the number of the best one, from 1; 0 if there was none.

    Raises:
        TrainingDiverged: a loss or a weight is not finite.
    """
    train, valid = parts
    trainer = _Trainer(encoder, head, task, train, settings, seed, fabric)
    history: list[FineTuneEpoch] = []
    best, best_loss, kept = 0, math.inf, None
    for epoch in range(1, settings.epochs + 1):
        start = time.perf_counter()
        if epoch == settings.frozen_epochs + 1:
            trainer.unfreeze()
        loss, score = trainer.run_epoch(epoch)
        valid_loss = valid_score = math.nan
        if valid is not None:
            outputs = trainer.validate(valid)
            valid_loss = float(task.loss(outputs, valid.y).mean)
            valid_score = task.score(outputs, valid.y)
        if not math.isfinite(loss) or (valid is not None and not math.isfinite(valid_loss)):
            raise TrainingDiverged(
                f"The loss is {loss} on the training part and {valid_loss} on the validation part in epoch {epoch}; "
                "lower `lr`."
            )
        if valid is None:
            best = epoch
        elif valid_loss < best_loss:
            best, best_loss = epoch, valid_loss
            kept = copy.deepcopy(trainer.model.state_dict())
        history.append(
            FineTuneEpoch(
                *(epoch, loss, score, valid_loss, valid_score),
                *(trainer.lr, time.perf_counter() - start),
            )
        )
        try:
            on_epoch(history[-1])
        except StopTraining:
            break
        # An encoder that is to be trained later has not had its chance in the frozen epochs.
        frozen = settings.frozen_epochs if settings.frozen_epochs < settings.epochs else 0
        if settings.patience is not None and epoch - max(best, frozen) >= settings.patience:
            break
    if kept is not None:
        trainer.model.load_state_dict(kept)
    if not all(bool(one.isfinite().all()) for one in trainer.model.state_dict().values()):
        raise TrainingDiverged(f"A weight is not finite after epoch {best}; lower `lr`.")
    trainer.model.eval()
    return history, best


class _Trainer:
    """The steps of a supervised training; the arguments are those of `train_supervised`."""

    def __init__(
        self,
        encoder: GraphEncoder,
        head: PredictionHead,
        task: Task,
        train: Part,
        settings: FineTuning,
        seed: int,
        fabric: Fabric,
    ) -> None:
        self.model: Module = ModuleDict({"encoder": encoder, "head": head})
        self._encoder, self._head, self._task, self._train = encoder, head, task, train
        self._settings, self._fabric = settings, fabric
        self._device = next(head.parameters()).device
        self._order = torch.Generator().manual_seed(seed)
        self._dropout = torch.Generator(self._device).manual_seed(seed)
        self._y = train.y.to(self._device)
        encoder_lr = settings.lr if settings.encoder_lr is None else settings.encoder_lr
        self._base = (settings.lr, encoder_lr)
        self._optimizer = torch.optim.AdamW(
            [{"params": list(head.parameters())}, {"params": list(encoder.parameters())}],
            weight_decay=settings.weight_decay,
            fused=self._device.type in ("cpu", "cuda"),
        )
        size = settings.batch_size
        count = len(shuffled_rows(train.batches.num_graphs, size, torch.Generator()))
        self._step, self._steps = 0, settings.epochs * count
        self.lr = settings.lr
        vectors = self._vectors(train)
        for statistic, value in (
            ("running_mean", vectors.mean(dim=0)),
            ("running_var", vectors.var(dim=0)),
        ):
            head.norm.get_buffer(statistic).copy_(value)
        self._frozen: Tensor | None = vectors if settings.frozen_epochs else None
        self._frozen_valid: Tensor | None = None

    def unfreeze(self) -> None:
        """Train the encoder from now on."""
        self._frozen = self._frozen_valid = None

    def _vectors(self, part: Part) -> Tensor:
        found = embed(self._encoder, part.batches, self._settings.batch_size)
        return torch.from_numpy(found).to(self._device)

    def run_epoch(self, epoch: int) -> tuple[float, float]:
        """Train for one epoch; return the mean loss and the score in its course."""
        self._encoder.train(self._frozen is None)
        self._head.train()
        sums, outputs, order = [], [], []
        for rows in shuffled_rows(len(self._y), self._settings.batch_size, self._order):
            self._set_lr()
            self._optimizer.zero_grad()
            on_device = rows.to(self._device)
            with self._fabric.autocast():
                if self._frozen is None:
                    inputs = self._train.batches.select(rows).encoder_inputs
                    vectors = self._encoder(*inputs).graph_embedding  # (B, D)
                else:
                    vectors = self._frozen[on_device]
                found = self._head(vectors, self._dropout)  # (B, C) or (B, T)
            loss = self._task.loss(found, self._y[on_device])
            loss.mean.backward()
            self._optimizer.step()
            sums.append(torch.stack([loss.total.detach(), loss.weight]))
            outputs.append(full_precision(found.detach()))
            order.append(rows)
        # The numbers are read once per epoch: reading them in each step would synchronise the GPU.
        total, weight = torch.stack(sums).double().sum(dim=0).tolist()
        score = self._task.score(torch.cat(outputs).cpu(), self._train.y[torch.cat(order)])
        return total / weight if weight else math.nan, score

    def _set_lr(self) -> None:
        self._step += 1
        share = 1.0
        if self._settings.schedule == "cosine":
            share = cosine_share(self._step, self._steps)
        for group, base in zip(self._optimizer.param_groups, self._base, strict=True):
            group["lr"] = share * base
        self.lr = share * self._settings.lr

    @torch.no_grad()
    def validate(self, part: Part) -> Tensor:
        """Return the outputs (G, C) or (G, T) on the validation part, in evaluation mode, on the CPU."""
        vectors = self._vectors(part) if self._frozen_valid is None else self._frozen_valid
        if self._frozen is not None:
            self._frozen_valid = vectors
        self._head.eval()
        found: Tensor = self._head(vectors)
        return found.cpu()


def cosine_share(step: int, steps: int) -> float:
    """Return the share of the learning rate in a step, from 1 to `steps`: up linearly, then down along a cosine.

    Source: Loshchilov and Hutter, "SGDR", ICLR 2017, equation 5, after a linear rise over the first tenth.
    """
    rise = max(1, math.ceil(WARM_UP * steps))
    if step <= rise:
        return step / rise
    return (1 + math.cos(math.pi * (step - rise) / (steps - rise))) / 2
