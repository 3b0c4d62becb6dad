"""The settings of a supervised training, each declared once; loading them does not load PyTorch."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from graphcl_hard.config import Rule, Scope, wrong_ranges, wrong_types
from graphcl_hard.exceptions import short_repr


def _setting(default: Any, **rule: Any) -> Any:
    return dataclasses.field(default=default, metadata={"rule": Rule(Scope.ESTIMATOR, **rule)})


@dataclass(frozen=True)
class FineTuning:
    """Settings of a supervised training: parameters of the estimators, and flags of graphcl_hard.finetune.

    Attributes:
        head_channels: Width of the hidden layer of the head; 0: the head is linear.
        dropout: Share of the last layer's inputs that are set to zero in training, in [0, 1).
        epochs: Largest number of passes over the training part. 0 trains nothing.
        batch_size: Number of graphs in a batch, at least 2, since batch norm needs several.
        lr: Learning rate of AdamW, and of the encoder too unless --encoder-lr is given.
        encoder_lr: Learning rate of the encoder.
        weight_decay: Weight decay of AdamW.
        schedule: How the learning rates change over the steps: constant, or cosine: up from 0 over the first tenth,
            then down to 0 along a cosine.
        freeze: True keeps the encoder as it is, with the running statistics of its batch norm, and trains only the
            head. A number does so in that many epochs at the start (Kumar et al., ICLR 2022). False trains both from
            the first epoch on.
        validation_fraction: Share of the graphs that are left out of the training and choose its epoch, in [0, 1).
            0: none are, and the last epoch is kept.
        patience: Number of epochs without a lower validation loss after which training ends, counted from the end of
            the frozen ones. None: it never ends early.
    """

    head_channels: int = _setting(64, high=65536, advice="64 is usual, and 0 is a linear head")
    dropout: float = _setting(0.0, below=1, advice="0.5 is usual, and 0 is none")
    epochs: int = _setting(100, high=1_000_000, advice="100 is usual, and 0 trains nothing")
    batch_size: int = _setting(32, low=2, high=1_000_000, advice="32 is usual")
    lr: float = _setting(0.001, high=1000, advice="0.001 is usual")
    encoder_lr: float | None = _setting(None, high=1000, advice="None is that of the head")
    weight_decay: float = _setting(0.0, high=1000, advice="0.01 is usual, and 0 is none")
    schedule: Literal["constant", "cosine"] = _setting("constant")
    freeze: bool | int = _setting(False, high=1_000_000, advice="True freezes the encoder always")
    validation_fraction: float = _setting(0.1, below=1, advice="0.1 is usual, and 0 is none")
    patience: int | None = _setting(20, low=1, high=1_000_000, advice="None never ends early")

    @property
    def frozen_epochs(self) -> int:
        """Number of epochs in which the encoder is frozen."""
        return self.epochs if self.freeze is True else int(self.freeze)

    def mistakes(self) -> Iterator[str]:
        """Yield a sentence for each setting that has the wrong type or lies outside its range."""
        wrong = wrong_types(self, TUNING_RULES)
        if not isinstance(self.freeze, int):
            found = short_repr(self.freeze)
            wrong["freeze"] = (
                f"`freeze` must be True, False or a number of epochs, got {found}; True freezes the encoder always."
            )
        yield from wrong.values()
        yield from wrong_ranges(self, TUNING_RULES, wrong)


TUNING_RULES: dict[str, Rule] = {
    field.name: field.metadata["rule"] for field in dataclasses.fields(FineTuning)
}
"""The rule of each setting, in the order of the flags."""
