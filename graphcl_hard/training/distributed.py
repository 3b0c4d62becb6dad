"""The processes that train one model together: their shares of a batch, and what they tell each other.

torchrun starts them, Fabric joins them, and PyTorch's DistributedDataParallel takes the mean of their gradients. Each
cuts the same whole batch from the same random numbers, and takes a run of its graphs.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import Module

from graphcl_hard._tensor import refuse_second_derivatives
from graphcl_hard.data.batch import GraphBatch
from graphcl_hard.exceptions import InputError, first_line
from graphcl_hard.nn.synced_batch_norm import collect, synchronised

# How long the others wait while the first evaluates and writes. That a process died is seen at once, and not by this.
PATIENCE = timedelta(days=30)


class ProcessLost(InputError):
    """Another process of the training has ended, or cannot be reached any more."""


class Processes:
    """This process among all of a training; made by every one of them, once they are joined.

    Attributes:
        rank: this one's number, from 0; the first embeds, evaluates and writes.
        size: how many they are.
    """

    def __init__(self) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        # The steps keep the usual timeout, of minutes; this group is for what may take hours.
        self._patient = dist.new_group(timeout=PATIENCE, backend="gloo")

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that embeds, evaluates and writes."""
        return self.rank == 0

    def wait(self) -> None:
        """Return when all processes have come here."""
        self.total(torch.zeros(1))

    @contextmanager
    def first_alone(self) -> Iterator[None]:
        """The block is done by the first process, and after that by the others."""
        with self.seeing_losses():
            if not self.is_first:
                self.wait()
            yield
            if self.is_first:
                self.wait()

    def leave(self) -> None:
        """The last act of each: end what joins them.

        While the interpreter ends, a thread of gloo that still lets go of a tensor would abort the process.
        """
        dist.destroy_process_group()

    def tell(self, message: Any = None) -> Any:
        """What the first process passes here, for all; pickled, from process to process."""
        messages = [message]
        with self.seeing_losses():
            dist.broadcast_object_list(messages, src=0, group=self._patient)
        return messages[0]

    def total(self, value: Tensor) -> Tensor:
        """The sum of all processes' values, tensors on the CPU of one shape."""
        value = value.clone()
        dist.all_reduce(value, group=self._patient)
        return value

    @contextmanager
    def training(self, model: Module, sync_batch_norm: bool) -> Iterator[None]:
        """Around the steps: batch norm sees the whole batch, and a process that is lost is told in one sentence."""
        with self.seeing_losses(), synchronised(model) if sync_batch_norm else nullcontext():
            yield

    @contextmanager
    def seeing_losses(self) -> Iterator[None]:
        """Where an exchange fails, raise `ProcessLost`."""
        try:
            yield
        except RuntimeError as error:
            # Gloo has no exception of its own.
            if not isinstance(error, dist.DistError) and "gloo" not in str(error):
                raise
            reason = first_line(error).rpartition("] ")[2].rstrip(".")
            raise ProcessLost(
                f"Process {self.rank} of {self.size} (from 0) cannot reach another one any more ({reason}); see what "
                "that one said last, and continue with `resume=True`."
            ) from error

    def divide(self, batch: GraphBatch, sync_batch_norm: bool) -> tuple[GraphBatch, "Share"]:
        """This process's graphs of a whole batch, whose numbers differ by at most 1, and its place among all.

        Raises:
            InputError: batch norm is not synchronised and a process has too few nodes; in all processes alike.
        """
        share = Share(self.rank, self.size, batch.num_graphs)
        for seen in () if sync_batch_norm else batch.views or (batch,):
            nodes = torch.searchsorted(seen.batch, torch.tensor(share.bounds, device=seen.batch.device)).diff()
            if int(nodes.min()) < 2:
                raise InputError(
                    f"`sync_batch_norm=False` needs at least 2 nodes of a batch in each process, got "
                    f"{int(nodes.min())} of {batch.num_graphs} graphs in {self.size} processes; start fewer, or leave "
                    "`sync_batch_norm` at True."
                )
        return batch.part(share.start, share.stop), share


class Share:
    """A process's run of a batch's graphs; what `context.Parts` asks for."""

    def __init__(self, rank: int, size: int, num_graphs: int) -> None:
        # Rounded up, so that of a batch with fewer graphs than processes the first still gets one.
        self.bounds = [-(-number * num_graphs // size) for number in range(size + 1)]
        self.start, self.stop, self.num_graphs = self.bounds[rank], self.bounds[rank + 1], num_graphs

    def gather(self, rows: Tensor) -> Tensor:
        """(R, D), a row for each graph of the share, to (G, D), those of the whole batch, with their gradients."""
        whole: Tensor = _Gather.apply(rows, self)
        return whole

    def collect(self, value: Tensor) -> Tensor:
        """See `context.Parts`."""
        return collect(value)


class _Gather(torch.autograd.Function):
    """All rows to everyone; backward, the sum of everyone's gradients, of which each takes its own rows.

    Both are sums: shares differ in size, which an all-gather does not take, and gloo has no reduce-scatter.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, share: Share) -> Tensor:
        ctx.share = share
        whole = rows.new_zeros(share.num_graphs, rows.size(1))
        whole[share.start : share.stop] = rows
        dist.all_reduce(whole)
        return whole

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        refuse_second_derivatives("a gathering")
        grad = grad.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(grad)
        return grad[ctx.share.start : ctx.share.stop], None
