"""Small tensor operations, and the state of PyTorch in which the package works, shared by several packages."""

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor


class _Thread(threading.local):
    """What is known of the OpenMP threads that PyTorch has started for a thread."""

    started = False
    """Whether there may be some."""
    lost = False
    """Whether this process is a fork, without them: OpenMP would wait for ever for their share of the work."""


_thread = _Thread()


def _note_fork() -> None:
    _thread.lost = _thread.started


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


@contextmanager
def initial_state() -> Iterator[None]:
    """Run a block, or as a decorator a function, in the state in which PyTorch starts; then restore the caller's.

    The default device is the CPU and the default dtype float32, gradients are recorded, and autocast is off, whatever
    the caller has set, so that results do not depend on it. What the caller asks of all operations stays: deterministic
    algorithms, anomaly detection, the number of threads; but in a process that was forked after work of more than one
    thread, this is 1. Iterables of the caller are read outside of such a block, and generators must not yield inside.
    """
    with ExitStack() as stack:
        if torch.empty(0).device.type != "cpu":
            stack.enter_context(torch.device("cpu"))
        stack.enter_context(torch.inference_mode(False))  # this also records gradients
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                # The cache of the outermost autocast would keep copies of weights from before a step.
                stack.enter_context(torch.autocast(kind, enabled=False, cache_enabled=False))
        stack.enter_context(_float32)
        threads = torch.get_num_threads()
        if _thread.lost:
            stack.callback(torch.set_num_threads, threads)
            torch.set_num_threads(1)
        _thread.started |= threads > 1
        yield


class _Float32:
    """Makes float32 the default; all threads share it, so the last one to leave restores what the first one found."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._found = torch.float32

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._found = torch.get_default_dtype()
                torch.set_default_dtype(torch.float32)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                torch.set_default_dtype(self._found)


_float32 = _Float32()


def refuse_second_derivatives(what: str) -> None:
    """Raise RuntimeError in a backward pass that is itself to be differentiated (`create_graph=True`).

    Autograd would otherwise treat a hand-written gradient as a constant and silently return a second derivative of 0.
    """
    if torch.is_grad_enabled():
        raise RuntimeError(
            f"The gradient of {what} cannot be differentiated again; omit create_graph=True."
        )


def full_precision(tensor: Tensor) -> Tensor:
    """Return the tensor in float32 if it is in half precision, else unchanged (float32 and float64)."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def unit_rows(x: Tensor) -> Tensor:
    """Return (R, D) rows scaled to length 1; rows of zeros are unchanged."""
    # Squaring a very small or large row would leave the range of float32; the gradient treats its scale as a constant.
    scale = x.detach().abs().amax(dim=1, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)
    return F.normalize(x / scale, dim=1)


def one_hot(index: Tensor, channels: int) -> Tensor:
    """Return (N, `channels`) float32 with a 1 at each column that `index`, (N, K) int64, names; -1 names none."""
    rows = torch.zeros(
        index.size(0), channels + 1, device=index.device
    )  # entries of -1 go to the last column
    return rows.scatter_(1, index.where(index >= 0, channels), 1.0)[:, :channels]


def offsets(length: Tensor) -> Tensor:
    """Return the (M + 1,) offsets, from 0, of (M,) lengths."""
    return torch.cat([length.new_zeros(1), length.cumsum(0)])
