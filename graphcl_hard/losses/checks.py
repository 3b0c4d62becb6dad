"""Checks of the arguments of the objectives."""

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from graphcl_hard._tensor import full_precision
from graphcl_hard.exceptions import InputError, short_repr
from graphcl_hard.losses.weights import (
    DEFAULT_BETA,
    check_beta,
    check_floating,
    check_share,
    is_number,
)

Critic = Literal["dot", "cosine"]
Debias = Literal["paper", "consistent"]
ScoreScale = Literal["max", "none"]
Mode = Literal["paper", "released"]
Reduction = Literal["mean", "none"]


def check_pairs(
    local: Tensor,
    summary: Tensor,
    batch: Tensor,
    node_weight: Tensor | None,
    whole: bool = True,
) -> None:
    """Raise `InputError` unless the tensors of a local-global objective fit together.

    Unless `whole`, the nodes are one part of a batch, and may be none; the summaries are those of all parts.
    """
    check_floating(local=local, summary=summary)
    if local.dim() != 2 or summary.dim() != 2 or local.size(1) != summary.size(1):
        raise InputError(
            f"local must be (N, D) and summary (G, D) with one D, got {tuple(local.shape)} and {tuple(summary.shape)}."
        )
    single = torch.float32  # in which half precision is computed
    if torch.promote_types(local.dtype, single) != torch.promote_types(summary.dtype, single):
        raise InputError(
            f"local and summary must have one dtype, got {local.dtype} and {summary.dtype}; convert one."
        )
    if (
        not isinstance(batch, Tensor)
        or batch.shape != local.shape[:1]
        or batch.dtype != torch.int64
        or batch.device != local.device
    ):
        found = (
            f"{tuple(batch.shape)} {batch.dtype} on {batch.device}"
            if isinstance(batch, Tensor)
            else f"a {type(batch).__name__}"
        )
        raise InputError(
            f"batch must be ({local.size(0)},) int64 on {local.device}, the graph of each node, got {found}; convert "
            "it."
        )
    if summary.size(0) < 2:
        raise InputError(
            f"A local-global objective needs at least 2 graphs in a batch, got {summary.size(0)}: the negatives of a "
            "node are the other graphs of the batch; use larger batches."
        )
    if local.size(0) == 0:
        if not whole:
            return
        raise InputError(
            "A local-global objective needs at least 1 node in a batch, got 0; skip such a batch."
        )
    if node_weight is not None and (
        node_weight.shape != batch.shape or not node_weight.is_floating_point()
    ):
        raise InputError(
            f"node_weight must be ({local.size(0)},) float, one number per row of local, got "
            f"{tuple(node_weight.shape)} {node_weight.dtype}."
        )
    if (
        node_weight is not None
        and node_weight.device.type == "cpu"
        and not torch.compiler.is_compiling()
    ):
        low, total = float(node_weight.min()), float(node_weight.sum())
        if not (low >= 0 and 0 < total < math.inf):
            raise InputError(
                f"node_weight must be at least 0, with a sum above 0, got {low} and a sum of {total}."
            )
    if (
        batch.device.type == "cpu" and not torch.compiler.is_compiling()
    ):  # it would synchronise the GPU
        low, high = (int(bound) for bound in batch.aminmax())
        if low < 0 or high >= summary.size(0):
            raise InputError(
                f"batch must lie in [0, {summary.size(0) - 1}], the graph of each node, got {low} to {high}; number "
                "the graphs of a batch from 0."
            )


def check_views(view1: Tensor, view2: Tensor) -> None:
    """Raise `InputError` unless both tensors are views of the same items, with rows of unit length."""
    check_floating(view1=view1, view2=view2)
    if view1.dim() != 2 or view1.shape != view2.shape:
        raise InputError(
            f"view1 and view2 must both be (B, D), got {tuple(view1.shape)} and {tuple(view2.shape)}."
        )
    if view1.size(0) < 2:
        raise InputError(
            f"nt_xent needs at least 2 items, got {view1.size(0)}: the other items are the negatives."
        )
    _check_unit("view1", view1)
    _check_unit("view2", view2)


def _check_unit(name: str, rows: Tensor) -> None:
    if (
        rows.device.type == "cpu" and not torch.compiler.is_compiling()
    ):  # it would synchronise the GPU
        lengths = full_precision(rows.detach()).norm(dim=1)
        row = int((lengths - 1).abs().argmax())  # nan counts as the largest
        length = lengths[row].item()
        if not abs(length - 1) < 0.02:  # rows rounded to bfloat16 pass
            remedy = "normalise them with torch.nn.functional.normalize first"
            if length == 0:
                remedy = "zeros have no direction, so normalising keeps them; leave the item out or check its embedding"
            elif not math.isfinite(length):
                remedy = "its embedding has a number that is not finite; check it"
            raise InputError(
                f"The rows of {name} must have length 1, got length {length:.3g} of row {row}; {remedy}."
            )


def check_queue(queue: Tensor | None, candidates: Tensor, unit: bool = False) -> None:
    """Raise `InputError` unless the rows of the queue are as wide as the candidates and, with `unit`, of length 1."""
    if queue is None:
        return
    if queue.dim() != 2 or queue.size(1) != candidates.size(1) or not queue.is_floating_point():
        raise InputError(
            f"queue must be (K, {candidates.size(1)}) floating-point, as wide as the batch's rows, got "
            f"{tuple(queue.shape)} {queue.dtype}; use earlier rows of the same model."
        )
    if unit and queue.numel():
        _check_unit("queue", queue)


def check_released(
    critic: str, queue: Tensor | None, debias: str, effective_negatives: float | None
) -> None:
    """Raise `InputError` if the authors' code does not have this critic, queue, debiasing, or share of negatives."""
    if effective_negatives is not None:
        raise InputError(
            f"mode='released' is the authors' code, whose beta is given, got effective_negatives="
            f"{short_repr(effective_negatives)}; drop one of them."
        )
    if critic != "dot":
        raise InputError(
            f"mode='released' is defined only for critic='dot', got critic={critic!r}; drop one of them."
        )
    if queue is not None:
        raise InputError(
            f"mode='released' is the authors' code, which has no queue of negatives, got one of {queue.size(0)} rows; "
            "drop one of them."
        )
    if debias != "paper":
        raise InputError(
            f"mode='released' is the authors' code, which has its own debiasing, got debias={debias!r}; drop one of "
            "them."
        )


def check_range(
    beta: float, tau_plus: float, temperature: float, effective_negatives: float | None
) -> None:
    """Raise `InputError` if a number is outside its range, or both `beta` and `effective_negatives` are given."""
    check_beta(beta)
    if effective_negatives is not None:
        check_share(effective_negatives)
        if beta != DEFAULT_BETA:
            raise InputError(
                f"beta must be left at {DEFAULT_BETA:g} with effective_negatives, which finds it, got "
                f"{short_repr(beta)} and {short_repr(effective_negatives)}; give one of them."
            )
    if not is_number(tau_plus) or not 0 <= tau_plus < 1:
        raise InputError(
            f"tau_plus must lie in [0, 1), got {short_repr(tau_plus)}; 0 switches the correction off."
        )
    if not is_number(temperature) or not 1e-6 <= temperature <= 1e6:
        raise InputError(
            f"temperature must lie in [1e-6, 1e6], got {short_repr(temperature)}; 0.5 is usual."
        )


def check_choices(**choices: tuple[str, object]) -> None:
    """Raise `InputError` if the value of a pair (value, Literal) is not one of the literals."""
    for name, (value, kind) in choices.items():
        if value not in get_args(kind):
            raise InputError(
                f"{name} must be one of {', '.join(get_args(kind))}, got {short_repr(value)}."
            )
