"""Initial weights that depend on nothing but a seed: not on a version, the machine or earlier random numbers."""

import math

import numpy as np
import torch
from torch.nn import Module

from graphcl_hard._tensor import initial_state


@initial_state()
@torch.no_grad()
def initialise(module: Module, seed: int) -> None:
    r"""Set the weights and biases of all linear layers to numbers of a generator that stays the same.

    With k inputs, a layer has the distribution of PyTorch's `Linear`,

    .. math:: U\left(-1 / \sqrt k,\; 1 / \sqrt k\right),

    but drawn from the raw 64-bit numbers r of PCG64, whose stream NumPy keeps from version to version, as
    :math:`(2 \lfloor r / 2^{40} \rfloor / 2^{24} - 1) / \sqrt k`. Layers are filled in the order of their names.

    Args:
        module: a module whose other parameters have fixed initial values, as those of batch norm do.
        seed: at least 0.

    Sources: O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms for Random Number
    Generation", 2014; Kern, "Random number generator policy", NumPy Enhancement Proposal 19, 2018.
    """
    generator = np.random.PCG64(seed)
    parameters = dict(module.named_parameters())
    for name in sorted(parameters):
        weight = parameters[name]
        if weight.dim() != 2:
            continue
        bias = parameters.get(f"{name.removesuffix('weight')}bias")
        for tensor in (weight,) if bias is None else (weight, bias):
            raw = generator.random_raw(tensor.numel()) >> np.uint64(40)
            uniform = 2 * (raw.astype(np.float64) / 2**24) - 1
            values = torch.from_numpy(uniform / math.sqrt(weight.size(1)))
            tensor.copy_(values.reshape(tensor.shape))
