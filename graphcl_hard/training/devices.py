"""Where a training runs: the device, the precision, and the processes that torchrun started."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment

from graphcl_hard.config import Config
from graphcl_hard.exceptions import InputError


@contextmanager
def training_device(config: Config, together: bool = False) -> Iterator[Fabric]:
    """The devices and precision that the settings ask for, and deterministic operations where they do.

    With `together` the processes that torchrun started are joined; the first call waits for all of them.

    Raises:
        InputError: the accelerator is not there, or not for each process.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(config.accelerator, True):
        raise InputError(
            f"`accelerator={config.accelerator}` needs such a device and PyTorch sees none; give cpu or auto, or "
            "install a PyTorch build for the device."
        )
    before = torch.are_deterministic_algorithms_enabled()
    if config.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS repeats only with a fixed workspace
        torch.use_deterministic_algorithms(True)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*available but not used.*")
            if together:
                fabric = _join(config)
            else:
                # Without it Fabric looks for SLURM or MPI around it, and refuses a job of several tasks, though this
                # process trains alone in it.
                alone = LightningEnvironment()
                fabric = Fabric(accelerator=config.accelerator, devices=1, precision=config.precision, plugins=[alone])
        yield fabric
    finally:
        torch.use_deterministic_algorithms(before)


def place(fabric: Fabric, config: Config) -> tuple[torch.device, torch.dtype]:
    """Where the set's tensors live, and in which floating-point type."""
    return fabric.device, torch.float64 if config.precision == "64-true" else torch.float32


def _join(config: Config) -> Fabric:
    on_machine, size = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
    accelerator = config.accelerator
    if accelerator == "auto":
        accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    devices = torch.cuda.device_count() if accelerator == "cuda" else 0
    if accelerator != "cpu" and devices < on_machine:
        raise InputError(
            f"Each process of a machine needs a CUDA device of its own, got {on_machine} processes and {devices} "
            "devices; lower torchrun's --nproc-per-node, or give `accelerator=cpu`."
        )
    if size % on_machine:
        raise InputError(
            f"torchrun must start as many processes on each machine, got {size} in all and {on_machine} on one; give "
            "the same --nproc-per-node everywhere."
        )
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it tells of every process that it starts
    fabric = Fabric(
        accelerator=accelerator,
        strategy="ddp",
        devices=on_machine,
        num_nodes=size // on_machine,
        precision=config.precision,
    )
    fabric.launch()
    return fabric
