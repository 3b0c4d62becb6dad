"""Processes that train one model together: their shares of a batch, and their communication.

torchrun starts them, Fabric connects them, and PyTorch's DistributedDataParallel averages their gradients. Each process
selects the same batch from the same random numbers, and takes a contiguous share of its graphs.
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

# How long the others wait while the first evaluates and writes. A dead process is noticed at once, without it.
PATIENCE = timedelta(days=30)


class ProcessLost(InputError):
    """Another process of the training has ended or cannot be reached."""


class Processes:
    """This process and the others of a training; created in every process, once they are connected.

    Attributes:
        rank: number of this process, from 0; the first one embeds, evaluates and writes.
        size: number of processes.
    """

    def __init__(self) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        # Steps keep the usual timeout of minutes; this group is for work that may take hours.
        self._patient = dist.new_group(timeout=PATIENCE, backend="gloo")

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that embeds, evaluates and writes."""
        return self.rank == 0

    def wait(self) -> None:
        """Return when all processes have called this."""
        self.total(torch.zeros(1))

    def any(self, value: bool) -> bool:
        """Return whether the value is true in any process, when all processes have called this."""
        return bool(self.total(torch.tensor([float(value)])))

    @contextmanager
    def first_alone(self) -> Iterator[None]:
        """Let the first process run the block, and then the others."""
        with self.seeing_losses():
            if not self.is_first:
                self.wait()
            yield
            if self.is_first:
                self.wait()

    def leave(self) -> None:
        """Disconnect; the last call in each process.

        Otherwise a gloo thread that releases a tensor while the interpreter exits would abort the process.
        """
        dist.destroy_process_group()

    def tell(self, message: Any = None) -> Any:
        """Return the message that the first process passes, in all processes; it is pickled between them."""
        messages = [message]
        with self.seeing_losses():
            dist.broadcast_object_list(messages, src=0, group=self._patient)
        return messages[0]

    def total(self, value: Tensor) -> Tensor:
        """Return the sum over all processes of a CPU tensor, which has the same shape in each."""
        value = value.clone()
        dist.all_reduce(value, group=self._patient)
        return value

    @contextmanager
    def training(self, model: Module, sync_batch_norm: bool) -> Iterator[None]:
        """Synchronise batch norm over the whole batch inside the block, and raise `ProcessLost` as `seeing_losses`."""
        with self.seeing_losses(), synchronised(model) if sync_batch_norm else nullcontext():
            yield

    @contextmanager
    def seeing_losses(self) -> Iterator[None]:
        """Raise `ProcessLost` if a communication inside the block fails."""
        try:
            yield
        except RuntimeError as error:
            # Gloo has no exception of its own.
            if not isinstance(error, dist.DistError) and "gloo" not in str(error):
                raise
            reason = first_line(error).rpartition("] ")[2].rstrip(".")
            raise ProcessLost(
                f"Process {self.rank} of {self.size} (from 0) can no longer reach another one ({reason}); see the "
                "last message of that one, and continue with `resume=True`."
            ) from error

    def divide(self, batch: GraphBatch, sync_batch_norm: bool) -> tuple[GraphBatch, "Share"]:
        """Return this process's part of a batch, and its share; shares differ by at most one graph.

        Raises:
            InputError: batch norm is not synchronised and a process has too few nodes; raised in all processes.
        """
        share = Share(self.rank, self.size, batch.num_graphs)
        for seen in () if sync_batch_norm else batch.views or (batch,):
            nodes = torch.searchsorted(
                seen.batch, torch.tensor(share.bounds, device=seen.batch.device)
            ).diff()
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
        # Rounded up, so that the first process gets a graph even if there are fewer graphs than processes.
        self.bounds = [-(-number * num_graphs // size) for number in range(size + 1)]
        self.start, self.stop, self.num_graphs = (
            self.bounds[rank],
            self.bounds[rank + 1],
            num_graphs,
        )

    def gather(self, rows: Tensor) -> Tensor:
        """Return the rows (G, D) of the whole batch from those of each share, (R, D), with gradients."""
        whole: Tensor = _Gather.apply(rows, self)
        return whole

    def collect(self, value: Tensor) -> Tensor:
        """See `context.Parts`."""
        return collect(value)


class _Gather(torch.autograd.Function):
    """Gather the rows of all processes; backward, sum the gradients of all and take the own rows.

    Both use all-reduce: shares differ in size, which all-gather does not allow, and gloo has no reduce-scatter.
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
