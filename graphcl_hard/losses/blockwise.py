"""Contrast anchors with candidates block by block, value and gradient, without a matrix of anchors x candidates."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from graphcl_hard._tensor import refuse_second_derivatives
from graphcl_hard.losses.anchor_losses import AnchorLossFunction
from graphcl_hard.losses.context import BlockMap, Parts
from graphcl_hard.losses.weights import find_beta

# Scores in a block; a few tensors of this size exist at a time. On the CPU (1 MiB each in float32) larger blocks do not
# fit into the caches, and smaller ones spend their time on calls. On a GPU four of them take 256 MiB.
BLOCK_SCORES = {"cpu": 2**18, "gpu": 2**24}
MIN_BLOCK, MAX_BLOCK = 64, 2048
# Scores that may be kept within one step, between the search for the largest and the loss: 32 MiB in float32.
KEPT_SCORES = 2**23
# Numbers that may be kept likewise of the map's images and of what its backward pass needs: 128 MiB in float32. Beyond
# this bound the map runs again.
KEPT_IMAGES = 2**25
# Anchors whose scores determine the hardness for a share of effective negatives: one of each 256th of the batch.
SAMPLED_ANCHORS = 256


@dataclass(frozen=True)
class Contrast:
    """Everything that defines a contrast, except the tensors that have gradients.

    Attributes:
        anchor_loss: loss of a block.
        positive: (R,) int64, the candidate that is the positive of each anchor.
        excluded: (R, K) int64, the candidates that are not negatives of each anchor, including its positive.
        beta: factor of the scores in the exponent of the weights.
        by_largest: whether this factor is multiplied by 2 over the largest absolute score of a negative, a constant for
            the gradient.
        share: share of the negatives that the weights leave effective, for which the factor is found, in place of
            `beta` and `by_largest`; see `beta_for_share`.
        weight: (R,) weight of each anchor in the mean; None: all alike.
        mean: whether the result is the mean, or one value per anchor.
        parts: set if the anchors are one part of many, while the candidates are those of all parts. None: the anchors
            are complete.
        position: (R,) int64, ascending, the place of each anchor among those of all parts; needed with `parts` and
            `share`.
        constants: number of candidates, at the end, that need no gradient; theirs stays 0.
    """

    anchor_loss: AnchorLossFunction
    positive: Tensor
    excluded: Tensor
    beta: float
    by_largest: bool = False
    share: float | None = None
    weight: Tensor | None = None
    mean: bool = True
    parts: Parts | None = None
    position: Tensor | None = None
    constants: int = 0


class Outcome(NamedTuple):
    """Loss and means of a contrast; only the loss has a gradient. With `parts`, they are this part's addends."""

    loss: Tensor
    """() or (R,)."""
    effective: Tensor
    """(): mean effective number of negatives."""
    clamped: Tensor
    """(): share of the anchors whose mean over negatives is at its lower bound."""
    positive: Tensor
    """(): mean score of the positives."""
    total: Tensor
    """(): mean over the anchors of the sum of the scores of all candidates."""
    beta: Tensor
    """(): the hardness given or found, times the weight of this part's anchors."""


def contrast(
    setting: Contrast, anchors: Tensor, candidates: Tensor, block_map: BlockMap | None = None
) -> Outcome:
    """Contrast anchors (R, D) with candidates (C, D) by dot products; both float32 or float64.

    The gradients of a mean are computed together with its value, and have the size of the inputs. The gradients of
    single values take a second walk. Second derivatives are refused.
    """
    parameters = () if block_map is None else block_map.parameters
    with_grad = torch.is_grad_enabled() and any(
        t.requires_grad for t in (anchors, candidates, *parameters)
    )
    return Outcome(
        *_Contrast.apply(setting, block_map, with_grad, anchors, candidates, *parameters)
    )


class _Contrast(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        setting: Contrast,
        block_map: BlockMap | None,
        with_grad: bool,
        anchors: Tensor,
        candidates: Tensor,
        *parameters: Tensor,
    ) -> tuple[Tensor, ...]:
        ctx.setting, ctx.map = setting, block_map
        walk = _Walk(setting, block_map, anchors, candidates)
        weight = anchor_weights(anchors, setting.weight, setting.parts)
        losses, *means = walk(weight, with_grad and setting.mean)
        # Autograd's way of saving frees the gradients as soon as they are passed on, without a copy, and checks that
        # the inputs of the second walk have not changed in the meantime.
        second_walk = anchors, candidates, setting.positive, setting.excluded, *parameters
        ctx.save_for_backward(*(walk.grads if setting.mean else second_walk))
        ctx.mark_non_differentiable(*means)
        return losses @ weight if setting.mean else losses, *means

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        refuse_second_derivatives("the objectives")
        if not ctx.setting.mean:
            anchors, candidates, *_ = ctx.saved_tensors
            walk = _Walk(ctx.setting, ctx.map, anchors, candidates)
            walk(grad, True)
            return None, None, None, *walk.grads
        # On the CPU this comparison is free and saves a pass over all gradients; on a GPU it would synchronise.
        one = not torch.compiler.is_compiling() and grad.device.type == "cpu" and grad.item() == 1
        return None, None, None, *(g if one else g * grad for g in ctx.saved_tensors)


class _Walk:
    """One walk over all blocks, or two if the largest score has to be known first."""

    def __init__(
        self, setting: Contrast, block_map: BlockMap | None, anchors: Tensor, candidates: Tensor
    ) -> None:
        self.setting, self.map, self.anchors, self.candidates = (
            setting,
            block_map,
            anchors,
            candidates,
        )
        size = _block_size(anchors, candidates)
        self.blocks = [slice(start, start + size) for start in range(0, anchors.size(0), size)]
        self.grads: list[Tensor] = []
        """After a call with gradients: those of the anchors, the candidates and the parameters of the map."""

    def __call__(self, weight: Tensor, with_grad: bool) -> tuple[Tensor, ...]:
        """Return the losses (R,) and five means; `weight` (R,) is the gradient of the result by each loss."""
        setting, candidates = self.setting, self.candidates
        if with_grad:
            parameters = () if self.map is None else self.map.parameters
            self.grads = [
                torch.empty_like(self.anchors),
                *(torch.zeros_like(t) for t in (candidates, *parameters)),
            ]
        share = setting.share
        beta = hardness = setting.beta if share is None else self._find_hardness(share)
        if setting.by_largest and share is None:
            scored, largest = self._find_largest()
            if setting.parts is not None:
                largest = setting.parts.collect(largest).amax()
            # If all scores are 0, the weights are equal; the bound keeps the quotient finite.
            bound = torch.finfo(largest.dtype).tiny * max(1.0, 2 * setting.beta)
            hardness = 2 * setting.beta / largest.clamp_min(bound)
        else:
            scored = map(self._score, self.blocks)
        losses = self.anchors.new_empty(self.anchors.size(0))
        effective, clamped, positive_mean = weight.new_zeros(3).unbind()
        image_mean = weight.new_zeros(candidates.size(1))
        for rows, (image, kept, scores) in zip(self.blocks, scored, strict=True):
            own, block_weight = setting.positive[rows].unsqueeze(1), weight[rows]
            positive = scores.gather(1, own).squeeze(1)
            found = setting.anchor_loss(
                scores,
                positive,
                setting.excluded[rows],
                hardness,
                block_weight if with_grad else None,
            )
            losses[rows] = found.loss
            effective += found.effective @ block_weight
            clamped += found.clamped @ block_weight
            positive_mean += positive @ block_weight
            image_mean.addmv_(image.T, block_weight)
            if found.grad is not None and found.positive_grad is not None:
                self._backward(
                    rows, image, kept, found.grad.scatter_(1, own, found.positive_grad.unsqueeze(1))
                )
        total = image_mean @ candidates.sum(dim=0)
        whole = 1.0 if setting.parts is None else weight.sum()
        in_use = weight.new_ones(()) * beta * whole
        return losses, effective, clamped, positive_mean, total, in_use

    def _map(self, rows: slice) -> tuple[Tensor, Any]:
        """Return the image of a block (B, D), and what its backward pass needs."""
        return (
            (self.anchors[rows], None) if self.map is None else self.map.forward(self.anchors[rows])
        )

    def _score(self, rows: slice, out: Tensor | None = None) -> tuple[Tensor, Any, Tensor]:
        """Return the image (B, D) of a block, what its backward needs, and its scores (B, C), in `out` if given."""
        image, kept = self._map(rows)
        return image, kept, torch.mm(image, self.candidates.T, out=out)

    def _find_largest(self) -> tuple[Iterator[tuple[Tensor, Any, Tensor]], Tensor]:
        """Return an iterator over `_score` of the blocks, and the largest absolute score of a negative, ()."""
        keep = self.anchors.size(0) * self.candidates.size(0) <= KEPT_SCORES
        keep_images = 4 * self.anchors.numel() <= KEPT_IMAGES  # a head's image, and three layers
        images, scores = [], []
        # One buffer for all scores: a new one for each block would fragment the free memory between the images, which
        # are small and stay.
        place = self.anchors.new_empty(
            0 if keep or not self.blocks else self.blocks[0].stop, self.candidates.size(0)
        )
        largest = self.anchors.new_zeros(())  # an empty part has no block
        for rows in self.blocks:
            image, kept, block_scores = self._score(
                rows, None if keep else place[: self.anchors[rows].size(0)]
            )
            if self.map is not None and keep_images:
                images.append((image, kept))
            if keep:
                scores.append(block_scores.clone())
            low, high = block_scores.scatter_(1, self.setting.excluded[rows], 0.0).aminmax()
            largest = torch.maximum(largest, torch.maximum(high, -low))

        def scored() -> Iterator[tuple[Tensor, Any, Tensor]]:
            for rows in self.blocks:
                # Popped, so that the memory of finished blocks is free at once.
                image, kept = images.pop(0) if images else self._map(rows)
                yield image, kept, scores.pop(0) if scores else image @ self.candidates.T

        return scored(), largest

    def _find_hardness(self, share: float) -> Tensor:
        """Return the hardness () for the share, from a sample of the anchors that does not depend on the parts."""
        setting, rows = self.setting, self.anchors.size(0)
        place = torch.arange(rows, device=self.anchors.device)
        if setting.parts is None:
            total, slots = torch.full_like(place[:1], rows), min(SAMPLED_ANCHORS, rows)
        else:
            assert setting.position is not None
            place, slots = setting.position, SAMPLED_ANCHORS
            total = setting.parts.collect(torch.full((1,), rows, device=place.device)).sum()
        # Multiples of the golden ratio, modulo 1, move the place within each 256th. At equal distances the sample would
        # be the first and third of four nodes in every graph, and nodes have an order: at a target of 5%, 7% of the
        # negatives of all nodes stayed effective.
        slot = torch.arange(slots, device=place.device)
        fraction = slot * 40503 % 65536  # of 65536
        wanted = (slot * 65536 + fraction) * total.clamp_min(SAMPLED_ANCHORS)
        wanted //= SAMPLED_ANCHORS * 65536
        # The last column holds the weights of the anchors: 0 where another part has the anchor, or none does.
        table = self.anchors.new_zeros(slots, self.candidates.size(0) + 1)
        if rows:
            row = torch.searchsorted(place, wanted).clamp_max(rows - 1)
            image = self.anchors[row]
            image = image if self.map is None else self.map.forward(image)[0]
            table[:, :-1] = (image @ self.candidates.T).scatter_(
                1, setting.excluded[row], -math.inf
            )
            table[:, -1] = 1.0 if setting.weight is None else setting.weight[row]
            table.masked_fill_((place[row] != wanted).unsqueeze(1), 0.0)
        if setting.parts is not None:
            table = setting.parts.collect(table).sum(dim=0)
        return find_beta(table[:, :-1], share, table[:, -1])

    def _backward(self, rows: slice, image: Tensor, kept: Any, grad: Tensor) -> None:
        """Add the gradients of the inputs, given that of a block's scores."""
        live = self.candidates.size(0) - self.setting.constants
        self.grads[1][:live].addmm_(grad[:, :live].T, image)
        if self.map is None:
            torch.mm(grad, self.candidates, out=self.grads[0][rows])
        else:
            image_grad = grad @ self.candidates
            self.map.backward(
                image_grad, self.anchors[rows], kept, self.grads[0][rows], self.grads[2:]
            )


def anchor_weights(anchors: Tensor, weight: Tensor | None, parts: Parts | None) -> Tensor:
    """Return the weights (R,) of the anchors in a mean, which sum to 1 over all parts; arguments as in `Contrast`."""
    if weight is None and parts is None:
        return anchors.new_full((anchors.size(0),), 1 / anchors.size(0))
    weight = anchors.new_ones(anchors.size(0)) if weight is None else weight.to(anchors.dtype)
    total = weight.sum()
    return weight / (total if parts is None else parts.collect(total).sum())


def _block_size(anchors: Tensor, candidates: Tensor) -> int:
    """Return the number of anchors in a block: as many as allowed, in blocks of one size."""
    if anchors.device.type == "cpu":
        most = max(MIN_BLOCK, min(MAX_BLOCK, BLOCK_SCORES["cpu"] // candidates.size(0)))
    else:
        most = max(MIN_BLOCK, BLOCK_SCORES["gpu"] // candidates.size(0))
    rows = max(1, anchors.size(0))  # an empty part has no block, whatever the size
    return math.ceil(rows / math.ceil(rows / most))


def with_queue(rows: Tensor, queue: Tensor | None) -> Tensor:
    """Return candidates (C, D), followed by the rows (K, D) of the queue, if any, which have no gradient."""
    return rows if queue is None else torch.cat([rows, queue.detach().to(rows.dtype)])
