"""Exact statistics of batch norm over a whole data set."""

import torch
from torch import Tensor
from torch.nn import Module
from torch.nn.modules.batchnorm import _BatchNorm

from graphcl_hard.exceptions import InputError
from graphcl_hard.loader.streaming import Batches
from graphcl_hard.nn.synced_batch_norm import merge, moments


@torch.no_grad()
def recalibrate(encoder: Module, batches: Batches, batch_size: int) -> None:
    r"""Set the running statistics of batch norm to the mean and the variance over all nodes of a data set.

    Training moves the running statistics by a share (the momentum, 0.1) at each step: after :math:`t` steps,
    :math:`0.9^t` of them are still the initial 0 and 1, and the rest is of batches that earlier weights made. This
    function replaces them by what one forward pass in training mode over the data set as a single batch would leave at
    momentum 1. For the inputs :math:`x_1, \ldots, x_N` of a layer of batch norm,

    .. math:: \mu = \tfrac1N \textstyle\sum_i x_i, \qquad
              \sigma^2 = \tfrac1{N-1} \textstyle\sum_i (x_i - \mu)^2 .

    The inputs of a layer depend on the statistics of the layers before it. So the layers are set one after the other,
    in the order in which the encoder calls them, each in a pass over the data set in evaluation mode: L passes for L
    layers. During the passes, the earlier layers divide by N, as batch norm in training mode does; the running variance
    is the unbiased one, as PyTorch's. A pass merges means and squared deviations of the batches in float64 (Chan,
    Golub, LeVeque, 1979). The result depends on neither the batch size nor the order of the graphs, up to the rounding
    of the encoder.

    `torch.optim.swa_utils.update_bn` is not exact: it takes the plain mean of the batches' means and variances,
    whatever their numbers of nodes, which omits the variance between batches, and its deeper layers see inputs that
    were normalised batch by batch.

    Weights, numbers of batches tracked and mode of the encoder stay as they are. Nothing happens to an encoder without
    batch norm, or to batch norm without running statistics. Training mode does not read running statistics.

    Args:
        encoder: an encoder of the package or any other; each layer of batch norm is called once in a forward pass.
        batches: the data set, on the encoder's device.
        batch_size: number of graphs in a batch, which only determines the use of memory.

    Raises:
        InputError: the data set has fewer than 2 nodes.

    Examples:
        >>> from graphcl_hard import GINEncoder, load_graphs
        >>> from graphcl_hard.loader.features import FeatureMap
        >>> from graphcl_hard.loader.streaming import make_batches
        >>> from graphcl_hard.training.batch_norm import recalibrate
        >>> graphs = load_graphs("MUTAG")
        >>> features = FeatureMap.fit(graphs)
        >>> encoder = GINEncoder(features.channels)
        >>> recalibrate(encoder, make_batches(graphs, features), batch_size=128)
        >>> encoder.bns[0].running_mean.shape
        torch.Size([32])
    """
    remaining = {
        module
        for module in encoder.modules()
        if isinstance(module, _BatchNorm) and module.running_mean is not None
    }
    current: _BatchNorm | None = None
    parts: list[Tensor] = []

    def note(norm: Module, inputs: tuple[Tensor, ...]) -> None:
        nonlocal current
        if current is None and norm in remaining:
            assert isinstance(norm, _BatchNorm)
            current = norm
        if norm is current:
            parts.append(moments(inputs[0].double()))

    unbiased: dict[_BatchNorm, Tensor] = {}
    hooks = [norm.register_forward_pre_hook(note) for norm in remaining]
    was_training = encoder.training
    encoder.eval()
    try:
        while remaining:
            for batch in batches.in_order(batch_size):
                encoder(*batch.encoder_inputs)
            if current is None:  # the encoder does not call the others
                break
            mean, squares, count = merge(torch.stack(parts))
            if count < 2:
                raise InputError(
                    f"`recalibrate=True` needs at least 2 nodes, got {int(count)}; give more graphs, or leave it out."
                )
            assert current.running_mean is not None
            assert current.running_var is not None
            current.running_mean.copy_(mean)
            current.running_var.copy_(squares / count)
            unbiased[current] = squares / (count - 1)
            remaining.discard(current)
            current = None
            parts.clear()
        for norm, variance in unbiased.items():
            assert norm.running_var is not None
            norm.running_var.copy_(variance)
    finally:
        for hook in hooks:
            hook.remove()
        encoder.train(was_training)
