"""Heads between the encoder and the objective."""

import torch
from torch import Tensor
from torch.nn import BatchNorm1d, Linear, Module, ReLU, Sequential, init

aten = torch.ops.aten


class ResidualHead(Module):
    r"""Local and global head of InfoGraph: three linear layers, each with a ReLU, and a linear shortcut.

    .. math:: \mathrm{head}(x) = \mathrm{MLP}(x) + W x + b

    Args:
        channels: D, width of the input and the output.

    Shapes: (M, D) -> (M, D).

    Source: Sun et al., "InfoGraph", ICLR 2020, section 3.2 and its code (class FF).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        layers = [layer for _ in range(3) for layer in (Linear(channels, channels), ReLU())]
        self.block = Sequential(*layers)
        self.linear_shortcut = Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (M, D) to (M, D)."""
        mapped: Tensor = self.block(x) + self.linear_shortcut(x)
        return mapped

    def block_map(self) -> "ResidualBlockMap | None":
        """Return the same map for `blockwise.contrast`, which runs it block by block, or None if it has to be called.

        In blocks, the `forward` of a subclass and hooks would not be called, and autocast would have no effect.
        """
        hooked = self._forward_hooks or self._forward_pre_hooks
        autocast = torch.is_autocast_enabled(self.linear_shortcut.weight.device.type)
        return (
            None if type(self) is not ResidualHead or hooked or autocast else ResidualBlockMap(self)
        )


class ResidualBlockMap:
    """A `ResidualHead` that runs forward and backward by blocks of rows, without autograd; see `context.BlockMap`."""

    def __init__(self, head: ResidualHead) -> None:
        linear = [
            *(layer for layer in head.block if isinstance(layer, Linear)),
            head.linear_shortcut,
        ]
        self.parameters: tuple[Tensor, ...] = tuple(
            p for layer in linear for p in (layer.weight, layer.bias)
        )

    def forward(self, rows: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the output of the head (B, D) for rows (B, D), and the outputs of its three ReLUs."""
        w1, b1, w2, b2, w3, b3, shortcut, shortcut_bias = self.parameters
        outputs = [rows]
        for weight, bias in ((w1, b1), (w2, b2), (w3, b3)):
            outputs.append(torch.addmm(bias, outputs[-1], weight.T).relu_())
        return torch.addmm(shortcut_bias, rows, shortcut.T).add_(outputs[3]), outputs[1:]

    def backward(
        self,
        grad: Tensor,
        rows: Tensor,
        kept: list[Tensor],
        out: Tensor,
        parameter_grads: list[Tensor],
    ) -> None:
        """Write the gradient of `rows` to `out` (B, D), and add those of the parameters to `parameter_grads`."""
        inputs = [rows, *kept]
        torch.mm(grad, self.parameters[6], out=out)
        parameter_grads[6].addmm_(grad.T, rows)
        parameter_grads[7] += grad.sum(dim=0)
        for layer in (2, 1, 0):
            grad = aten.threshold_backward(grad, inputs[layer + 1], 0)
            parameter_grads[2 * layer].addmm_(grad.T, inputs[layer])
            parameter_grads[2 * layer + 1] += grad.sum(dim=0)
            if layer:
                grad = grad @ self.parameters[2 * layer]
        out.addmm_(grad, self.parameters[0])


def reset_linear_layers(module: Module) -> None:
    """Set the weights of every linear layer to Xavier-uniform values and its bias to 0, as InfoGraph does."""
    for layer in module.modules():
        if isinstance(layer, Linear):
            init.xavier_uniform_(layer.weight)
            init.zeros_(layer.bias)


class PredictionHead(Module):
    r"""Head of a supervised model: graph embeddings to the outputs of the targets.

    .. math:: \mathrm{head}(v) = W_2\, \mathrm{dropout}(\mathrm{ReLU}(W_1 \mathrm{norm}(v) + b_1)) + b_2

    With `hidden_channels=0` it is linear, :math:`W\, \mathrm{dropout}(\mathrm{norm}(v)) + b`. The batch norm comes
    first because sums over nodes differ in scale by orders of magnitude.

    Args:
        channels: D, width of the graph embeddings.
        hidden_channels: width of the hidden layer; 0: none.
        out_channels: number of outputs.
        dropout: probability that an input of the last layer is set to zero in training.

    Shapes: (B, D) -> (B, `out_channels`).
    """

    def __init__(
        self, channels: int, hidden_channels: int, out_channels: int, dropout: float
    ) -> None:
        super().__init__()
        self.norm = BatchNorm1d(channels)
        self.hidden = Linear(channels, hidden_channels) if hidden_channels else None
        self.out = Linear(hidden_channels or channels, out_channels)
        self.dropout = dropout

    def forward(self, vectors: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Map (B, D) to (B, `out_channels`); `generator`, on the same device, draws the dropout in training."""
        x: Tensor = self.norm(vectors)
        if self.hidden is not None:
            x = self.hidden(x).relu()
        if self.training and self.dropout:
            # Not F.dropout: it draws from a generator that all threads share.
            keep = torch.empty_like(x).bernoulli_(1 - self.dropout, generator=generator)
            x = x * keep / (1 - self.dropout)
        mapped: Tensor = self.out(x)
        return mapped
