"""What the objectives take, and what they say of what they do not take."""

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from graphcl_hard._tensor import full_precision
from graphcl_hard.exceptions import InputError, short_repr
from graphcl_hard.losses.weights import check_beta

Critic = Literal["dot", "cosine"]
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

    Without `whole` they are a part of a batch, beside all summaries, and may have no node.
    """
    if local.dim() != 2 or summary.dim() != 2 or local.size(1) != summary.size(1):
        raise InputError(
            f"local must be (N, D) and summary (G, D) with one D, got {tuple(local.shape)} and {tuple(summary.shape)}."
        )
    if batch.shape != local.shape[:1] or batch.dtype != torch.int64:
        raise InputError(
            f"batch must be ({local.size(0)},) int64, one graph a node, got {tuple(batch.shape)} {batch.dtype}."
        )
    if not (local.is_floating_point() and summary.is_floating_point()):
        raise InputError(f"local and summary must be floating-point, got {local.dtype} and {summary.dtype}.")
    if summary.size(0) < 2:
        raise InputError(
            f"A local-global objective needs at least 2 graphs in a batch, got {summary.size(0)}: the other graphs of "
            "the batch are a node's negatives; use larger batches."
        )
    if local.size(0) == 0:
        if not whole:
            return
        raise InputError("A local-global objective needs at least 1 node in a batch, got 0; leave such a batch out.")
    if node_weight is not None and (node_weight.shape != batch.shape or not node_weight.is_floating_point()):
        raise InputError(
            f"node_weight must be ({local.size(0)},) float, one number a row of local, got "
            f"{tuple(node_weight.shape)} {node_weight.dtype}."
        )
    if node_weight is not None and node_weight.device.type == "cpu" and not torch.compiler.is_compiling():
        low, total = float(node_weight.min()), float(node_weight.sum())
        if not (low >= 0 and 0 < total < math.inf):
            raise InputError(f"node_weight must be at least 0, with a sum above 0, got {low} and a sum of {total}.")
    if batch.device.type == "cpu" and not torch.compiler.is_compiling():  # the look would stall a GPU
        low, high = (int(bound) for bound in batch.aminmax())
        if low < 0 or high >= summary.size(0):
            raise InputError(
                f"batch must lie in [0, {summary.size(0) - 1}], one of G graphs a node, got {low} to {high}."
            )


def check_views(view1: Tensor, view2: Tensor) -> None:
    """Raise `InputError` unless the two tensors are views of the same items, with rows of unit length."""
    if view1.dim() != 2 or view1.shape != view2.shape:
        raise InputError(f"view1 and view2 must both be (B, D), got {tuple(view1.shape)} and {tuple(view2.shape)}.")
    if view1.size(0) < 2:
        raise InputError(f"nt_xent needs at least 2 items, got {view1.size(0)}: the other items are the negatives.")
    for view in (view1, view2):
        _check_unit(view)


def _check_unit(rows: Tensor) -> None:
    if rows.device.type == "cpu" and not torch.compiler.is_compiling():  # the look would stall a GPU
        worst = (full_precision(rows.detach()).norm(dim=1) - 1).abs().max().item()
        if not worst < 0.02:  # rows rounded to bfloat16 pass
            raise InputError(
                f"The rows must have length 1, one is off by {worst:.3g}; pass them through "
                "torch.nn.functional.normalize first."
            )


def check_queue(queue: Tensor | None, candidates: Tensor, unit: bool = False) -> None:
    """Raise `InputError` unless the queue's rows are as wide as the candidates; with `unit`, of length 1 too."""
    if queue is None:
        return
    if queue.dim() != 2 or queue.size(1) != candidates.size(1) or not queue.is_floating_point():
        raise InputError(
            f"queue must be (K, {candidates.size(1)}) floating-point, as wide as what it is contrasted with, got "
            f"{tuple(queue.shape)} {queue.dtype}; give earlier rows of the same model."
        )
    if unit and queue.numel():
        _check_unit(queue)


def check_released(critic: str, queue: Tensor | None) -> None:
    """Raise `InputError` on what the authors' code has not."""
    if critic != "dot":
        raise InputError(f"mode='released' is defined for critic='dot' alone, got critic={critic!r}; drop one of them.")
    if queue is not None:
        raise InputError(
            f"mode='released' is the authors' code, which has no queue of negatives, got one of {queue.size(0)}; drop "
            "one of them."
        )


def check_range(beta: float, tau_plus: float, temperature: float) -> None:
    """Raise `InputError` on a number outside its range."""
    check_beta(beta)
    if not 0 <= tau_plus < 1:
        raise InputError(f"tau_plus must lie in [0, 1), got {tau_plus}; 0 switches the correction off.")
    if not 1e-6 <= temperature <= 1e6:
        raise InputError(f"temperature must lie in [1e-6, 1e6], got {temperature}; 0.5 is usual.")


def check_choices(**choices: tuple[str, object]) -> None:
    """Raise `InputError` on a (value, Literal) whose value is none of the literals."""
    for name, (value, kind) in choices.items():
        if value not in get_args(kind):
            raise InputError(f"{name} must be one of {', '.join(get_args(kind))}, got {short_repr(value)}.")
