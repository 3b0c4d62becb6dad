"""The private argument of the objectives: what only the models pass to them."""

from typing import Any, NamedTuple, Protocol

from torch import Tensor


class BlockMap(Protocol):
    """A map of rows with parameters, (R, D) -> (R, D), that runs block by block, forward and backward."""

    parameters: tuple[Tensor, ...]

    def forward(self, rows: Tensor) -> tuple[Tensor, Any]:
        """Return the image of a block (B, D), and what `backward` needs."""

    def backward(
        self, grad: Tensor, rows: Tensor, kept: Any, out: Tensor, parameter_grads: list[Tensor]
    ) -> None:
        """Write the gradient of `rows` to `out` (B, D), and add those of the parameters to `parameter_grads`."""


class LocalHead(Protocol):
    """A map of the vectors of the nodes, (N, D) -> (N, D), that may run inside the blocks of an objective."""

    def __call__(self, x: Tensor) -> Tensor:
        """Map the vectors by autograd."""

    def block_map(self) -> BlockMap | None:
        """Return the same map by blocks, or None if it has to be called."""


class Parts(Protocol):
    """A batch in parts, each with its own caller; all callers make the same calls in the same order.

    A part may be empty. Each caller computes the addend of its part to a mean over all anchors.
    """

    @property
    def start(self) -> int:
        """Position of this part's first row in the result of `gather`."""

    @property
    def stop(self) -> int:
        """Position after this part's last row."""

    def gather(self, rows: Tensor) -> Tensor:
        """Return the rows (R, D) of all parts, in order; each part's rows receive the gradients of all callers."""

    def collect(self, value: Tensor) -> Tensor:
        """Return the `value` of each part, (parts, *S) for one shape S; a constant for the gradient."""


class Context(NamedTuple):
    """Sampling, local head, parts and queue of a batch.

    Attributes:
        node_weight: (N,) float, at least 0: how many nodes each row of `local` stands for, in the mean over nodes; a
            constant for the gradient. None: one. See `graphcl_hard.data.batch.sample_nodes`.
        local_head: maps `local` to the vectors of the nodes. None: `local` holds these vectors.
        parts: set if the tensors are one part of a batch, such as that of one process. The summaries, or views, of all
            parts are gathered, and loss and diagnostics are the addends of this part. None: they are the whole batch.
        queue: (K, D) float, summaries, or rows of unit length, of graphs outside the batch: K more negatives for every
            anchor, constants for the gradient, the same in all parts. None: no queue.
    """

    node_weight: Tensor | None = None
    local_head: LocalHead | None = None
    parts: Parts | None = None
    queue: Tensor | None = None


NO_CONTEXT = Context()
