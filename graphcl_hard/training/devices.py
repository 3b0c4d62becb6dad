"""The device, the precision and the processes of training."""

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
    """Yield a Fabric with the device and precision of the settings; operations are deterministic if they say so.

    With `together`, the process joins the others that torchrun started; the first call waits for all of them.

    Raises:
        InputError: the accelerator is not available, or not for every process.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(config.accelerator, True):
        raise InputError(
            f"`accelerator={config.accelerator}` needs such a device, but PyTorch finds none; give `accelerator=auto`, "
            f"which then takes the CPU, or {_remedy(config.accelerator)}."
        )
    # Fabric reports every process that it starts, and gives advice on the precision of a GPU.
    fabric_log = logging.getLogger("lightning_fabric")
    level = fabric_log.level
    fabric_log.setLevel(logging.WARNING)
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    if config.deterministic:
        os.environ.setdefault(
            "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
        )  # cuBLAS is deterministic only with a fixed workspace
        torch.use_deterministic_algorithms(True)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*available but not used.*")
            if together:
                fabric = _join(config)
            else:
                # Otherwise Fabric would detect SLURM or MPI and refuse a job of several tasks, although this process
                # trains on its own.
                single = LightningEnvironment()
                fabric = Fabric(
                    accelerator=config.accelerator,
                    devices=1,
                    precision=config.precision,
                    plugins=[single],
                )
        yield fabric
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        fabric_log.setLevel(level)


def _remedy(accelerator: str) -> str:
    """Return what makes PyTorch find a device."""
    if accelerator == "mps":
        return "use a Mac that has it, and a PyTorch for its processor"
    if torch.version.cuda is None and torch.version.hip is None:
        return "install a PyTorch for CUDA, as this one is for the CPU only"
    return "check the driver with nvidia-smi, and the variable CUDA_VISIBLE_DEVICES"


def place(fabric: Fabric, config: Config) -> tuple[torch.device, torch.dtype]:
    """Return the device and the floating-point type of the data set's tensors."""
    return fabric.device, torch.float64 if config.precision == "64-true" else torch.float32


def _join(config: Config) -> Fabric:
    on_machine, size = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
    accelerator = config.accelerator
    if accelerator == "auto":
        accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    devices = torch.cuda.device_count() if accelerator == "cuda" else 0
    if accelerator != "cpu" and devices < on_machine:
        raise InputError(
            f"Each process on a machine needs its own CUDA device, got {on_machine} processes and {devices} "
            "devices; lower torchrun's --nproc-per-node, or give `accelerator=cpu`."
        )
    if size % on_machine:
        raise InputError(
            f"torchrun must start the same number of processes on each machine, got {size} in total and {on_machine} "
            "on one; give the same --nproc-per-node everywhere."
        )
    fabric = Fabric(
        accelerator=accelerator,
        strategy="ddp",
        devices=on_machine,
        num_nodes=size // on_machine,
        precision=config.precision,
    )
    fabric.launch()
    return fabric
