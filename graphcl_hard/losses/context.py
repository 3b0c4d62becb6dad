"""What a model tells an objective beside the objective's public arguments."""

from typing import Any, NamedTuple, Protocol

from torch import Tensor


class BlockMap(Protocol):
    """A map of rows with parameters, (R, D) -> (R, D), that runs block by block, forward and backward."""

    parameters: tuple[Tensor, ...]

    def forward(self, rows: Tensor) -> tuple[Tensor, Any]:
        """Return the image of a block (B, D), and what `backward` needs of it."""

    def backward(self, grad: Tensor, rows: Tensor, kept: Any, out: Tensor, parameter_grads: list[Tensor]) -> None:
        """Write the gradient of `rows` to `out` (B, D), and add those of the parameters to `parameter_grads`."""


class LocalHead(Protocol):
    """A map of the nodes' vectors, (N, D) -> (N, D), that may run inside an objective's blocks."""

    def __call__(self, x: Tensor) -> Tensor:
        """Map the vectors by autograd."""

    def block_map(self) -> BlockMap | None:
        """Return the same map by blocks, or None where it must be called."""


class Parts(Protocol):
    """A batch in parts, each with a caller of its own; all of them make the same calls in the same order.

    A part may be empty. A caller computes its part's addend of a mean over all anchors.
    """

    @property
    def start(self) -> int:
        """Where this part's rows begin among those of `gather`."""

    @property
    def stop(self) -> int:
        """Where they end."""

    def gather(self, rows: Tensor) -> Tensor:
        """Return the rows (R, D) of all parts, in order; the gradients of all callers flow back to each part's rows."""

    def collect(self, value: Tensor) -> Tensor:
        """Return each part's `value`, (parts, *S) for one shape S; a constant for the gradient."""


class Context(NamedTuple):
    """How an objective's tensors stand for more than themselves.

    Attributes:
        node_weight: (N,) float, at least 0: how many nodes each row of `local` stands for, in the mean over nodes; a
            constant for the gradient. None: one. See `graphcl_hard.data.batch.sample_nodes`.
        local_head: maps `local` to the nodes' vectors. None: they are the nodes' vectors.
        parts: where the tensors are one part of a batch, say a process's: the summaries, or views, of all parts are
            gathered, and the result is this part's addend of the loss and of the diagnostics. None: they are the whole
            batch.
        queue: (K, D) float, summaries, or rows of unit length, of other graphs than the batch's: K more negatives for
            every anchor, constants for the gradient, the same in all parts. None: none.
    """

    node_weight: Tensor | None = None
    local_head: LocalHead | None = None
    parts: Parts | None = None
    queue: Tensor | None = None


NO_CONTEXT = Context()
