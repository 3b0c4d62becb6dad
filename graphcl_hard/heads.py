"""The heads between the encoder and the objective."""

from torch import Tensor
from torch.nn import Linear, Module, ReLU, Sequential, init


class ResidualHead(Module):
    r"""InfoGraph's local and global head: three linear layers, each with a ReLU, beside a linear shortcut.

    .. math:: \mathrm{head}(x) = \mathrm{MLP}(x) + W x + b

    Args:
        channels: D, width of the input and of the output.

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
        return self.block(x) + self.linear_shortcut(x)


def reset_linear_layers(module: Module) -> None:
    """Xavier-uniform weights and zero biases in every linear layer, as InfoGraph starts its model."""
    for layer in module.modules():
        if isinstance(layer, Linear):
            init.xavier_uniform_(layer.weight)
            init.zeros_(layer.bias)
