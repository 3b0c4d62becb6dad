"""What `Data` of PyTorch Geometric holds, checked: anything may stand there."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

from graphcl_hard.errors import InputError, shown


def is_plain(value: Tensor) -> bool:
    """Whether its numbers are there, one by one: not sparse, not on the device meta."""
    return value.layout is torch.strided and value.device.type != "meta"


def count(value: Any, index: int) -> int:
    """The `num_nodes` of the graph of this number.

    Raises:
        InputError: it is no whole number.
    """
    value = value.item() if isinstance(value, Tensor) and value.numel() == 1 and is_plain(value) else value
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or not 0 <= value < 2**31:
        raise InputError(f"Graph {index} has num_nodes {shown(value)}, must be a number from 0 to 2**31 - 1; mend it.")
    return int(value)


def column_of(data: Data, name: str, index: int) -> Tensor:
    """An attribute of the graph of this number as (n, K), on the CPU.

    Raises:
        InputError: it is no tensor of numbers.
    """
    value = data[name]
    if not isinstance(value, Tensor) or value.dim() not in (1, 2) or value.is_complex() or not is_plain(value):
        raise InputError(f"Graph {index} has a {name!r} that is not a tensor (n, K) of numbers; convert it.")
    return (value.unsqueeze(1) if value.dim() == 1 else value).detach().cpu()
