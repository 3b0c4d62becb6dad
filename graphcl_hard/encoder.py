"""The GIN encoder: embeddings of nodes and of whole graphs."""

import json
from pathlib import Path
from typing import NamedTuple, get_args

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor
from torch.nn import BatchNorm1d, Linear, Module, ModuleList, ReLU, Sequential
from torch_geometric.nn import GINConv

from graphcl_hard.adjacency import Adjacency, neighbour_sum
from graphcl_hard.errors import InputError
from graphcl_hard.layers import look_up, relu_batch_norm
from graphcl_hard.records import ENCODER, replacing
from graphcl_hard.scatter import Reduce, scatter

WEIGHTS_FILE, ARGUMENTS_FILE = ENCODER


class Embedding(NamedTuple):
    """What an encoder makes of a batch of G graphs with N nodes in all; L layers of H channels."""

    graph_embedding: Tensor
    """(G, L*H): the readout of every layer, side by side."""
    node_embedding: Tensor
    """(N, L*H): the outputs of every layer, side by side."""


class GINEncoder(Module):
    r"""Graph isomorphism network with batch norm, whose layers' outputs are all kept.

    .. math::
        x_i^{(l)} = \mathrm{BN}\Big(\mathrm{ReLU}\Big(\mathrm{MLP}^{(l)}\Big((1 + \epsilon)\, x_i^{(l-1)}
                    + \sum_{j \in \mathcal N(i)} x_j^{(l-1)}\Big)\Big)\Big), \qquad
        X^{(l)} = \mathrm{BN}(\mathrm{ReLU}(\mathrm{MLP}^{(l)}((A + (1 + \epsilon) I) X^{(l-1)})))

    with :math:`\epsilon = 0` and an MLP of two linear layers with a ReLU between. The node embedding is
    :math:`[x^{(1)}, \dots, x^{(L)}]`, the graph embedding its readout over the graph's nodes. Parameters are named as
    in InfoGraph's and the hard-negatives paper's encoders, whose state dicts load as they are. They are read where they
    lie: the forward hooks of `convs` and `bns` are not called, and a second derivative is refused.

    Args:
        in_channels: F, width of the node features, at least 1.
        hidden_channels: H, channels of each layer, at least 1.
        num_layers: L, at least 1.
        readout: "sum", "mean" or "max" over a graph's nodes.

    Raises:
        InputError: an argument outside its range.

    Sources: Xu, Hu, Leskovec, Jegelka, "How Powerful are Graph Neural Networks?", ICLR 2019, eq. 4.1; Sun et al.,
    "InfoGraph", ICLR 2020, eq. 2 and 3.
    """

    def __init__(
        self, in_channels: int, hidden_channels: int = 32, num_layers: int = 3, readout: Reduce = "sum"
    ) -> None:
        super().__init__()
        arguments = {"in_channels": in_channels, "hidden_channels": hidden_channels, "num_layers": num_layers}
        for name, value in arguments.items():
            if value < 1:
                raise InputError(f"{name} must be at least 1, got {value}.")
        if readout not in get_args(Reduce):
            raise InputError(f"readout must be one of {', '.join(get_args(Reduce))}, got {readout!r}.")
        self.in_channels = in_channels
        self.hidden_channels = hidden_channels
        self.num_layers = num_layers
        self.readout: Reduce = readout
        widths = [in_channels] + [hidden_channels] * num_layers
        self.convs = ModuleList(
            GINConv(Sequential(Linear(width, hidden_channels), ReLU(), Linear(hidden_channels, hidden_channels)))
            for width in widths[:-1]
        )
        self.bns = ModuleList(BatchNorm1d(hidden_channels) for _ in range(num_layers))

    @property
    def out_channels(self) -> int:
        """L*H, the width of both embeddings."""
        return self.num_layers * self.hidden_channels

    def forward(
        self, x: Tensor, edge_index: Tensor | Adjacency, batch: Tensor | None = None, batch_size: int | None = None
    ) -> Embedding:
        """Embed the nodes and graphs of a batch.

        Args:
            x: (N, F) node features, float. Or (N, K) int64: the K columns of a one-hot input that hold a 1, rising in
                each row, which gives what the (N, F) input of zeros and ones gives and never builds it; -1 is none.
            edge_index: (2, E) int64, messages flow from row 0 to row 1; an undirected edge stands in both directions.
                Or the same edges as an `Adjacency`, which saves sorting them.
            batch: (N,) int64, the graph of each node, in any order; None: all nodes are of one graph.
            batch_size: G, where the last graphs may have no nodes; None: the largest entry of `batch` plus 1.

        Returns:
            `Embedding`. A graph without nodes has a graph embedding of zeros.

        Raises:
            InputError: `x` is not (N, `in_channels`), or names a column outside of them; or `edge_index` a node.
        """
        self._check(x)
        if batch is None:
            batch = torch.zeros(x.size(0), dtype=torch.int64, device=x.device)
            batch_size = 1 if batch_size is None else batch_size
        elif batch_size is None:
            batch_size = int(batch.max()) + 1 if batch.numel() else 0
        if isinstance(edge_index, Adjacency):
            adjacency = edge_index
        else:
            adjacency = Adjacency.from_edge_index(edge_index, x.size(0))
        layers = []
        for conv, norm in zip(self.convs, self.bns, strict=True):
            x = relu_batch_norm(_convolve(conv, x, adjacency), norm)  # (N, H)
            layers.append(x)
        node_embedding = torch.cat(layers, dim=1)  # (N, L*H)
        return Embedding(scatter(node_embedding, batch, batch_size, self.readout), node_embedding)

    def _check(self, x: Tensor) -> None:
        if x.dim() != 2 or (x.is_floating_point() and x.size(1) != self.in_channels):
            raise InputError(f"x must be (N, {self.in_channels}), the encoder's in_channels, got {tuple(x.shape)}.")
        if x.is_floating_point():
            return
        # As many columns as channels would be a dense input that is not floating-point.
        if x.dtype != torch.int64 or not (x.size(1) == 1 or 1 < x.size(1) < self.in_channels):
            raise InputError(
                f"x must be (N, {self.in_channels}) floating-point, or (N, K) int64 with the K columns that hold a 1, "
                f"got {tuple(x.shape)} {x.dtype}; give features as floating-point numbers."
            )
        if not x.numel() or x.device.type != "cpu" or torch.compiler.is_compiling():  # a look would stall a GPU
            return
        low, high = (int(bound) for bound in x.aminmax())
        if low < -1 or high >= self.in_channels or not bool(((x.diff(dim=1) > 0) | (x[:, 1:] < 0)).all()):
            raise InputError(
                f"x of {x.dtype} must name columns in [0, {self.in_channels - 1}], rising in each row, or -1 for none, "
                f"got {low} to {high}; give features as floating-point numbers."
            )

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the weights (safetensors) and the arguments (JSON) into a folder that exists."""
        folder = Path(folder)
        arguments = {
            "in_channels": self.in_channels,
            "hidden_channels": self.hidden_channels,
            "num_layers": self.num_layers,
            "readout": self.readout,
        }
        state = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        with replacing(folder / ARGUMENTS_FILE) as partial:
            partial.write_text(json.dumps(arguments, indent=2) + "\n")
        with replacing(folder / WEIGHTS_FILE) as partial:
            # Not safetensors' own writer, which hides a full disk behind an exception of its own.
            partial.write_bytes(save(state))

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> "GINEncoder":
        """The encoder that a run, or `save_pretrained`, left in a folder; in evaluation mode, on the CPU.

        Nothing is unpickled: the weights are safetensors, the arguments JSON.

        Raises:
            InputError: a file is missing, cut short, or does not fit the other.
        """
        folder = Path(folder)
        try:
            encoder = cls(**json.loads((folder / ARGUMENTS_FILE).read_text()))
            state = load_file(folder / WEIGHTS_FILE)
            # float64 runs come back in float64
            dtype = next(tensor.dtype for tensor in state.values() if tensor.is_floating_point())
            encoder.to(dtype).load_state_dict(state)
        except (OSError, ValueError, TypeError, RuntimeError, StopIteration, SafetensorError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(
                f"No encoder can be loaded from {folder}: {reason}; name a run's folder, which holds "
                f"{ARGUMENTS_FILE} and {WEIGHTS_FILE}."
            ) from error
        return encoder.eval()


def _convolve(conv: GINConv, x: Tensor, adjacency: Adjacency) -> Tensor:
    """What `conv(x, edge_index)` gives; the sum over neighbours runs over the fewer channels.

    That is before the first linear layer or after it. A one-hot input becomes a look-up in the layer's weight.
    """
    first, _, second = conv.nn
    own_weight = 1 + conv.eps
    if x.is_floating_point() and x.size(1) < first.out_features:
        x = first(neighbour_sum(x, adjacency, own_weight).to(first.weight.dtype))
    else:
        x = F.linear(x, first.weight) if x.is_floating_point() else look_up(x, first.weight)
        x = neighbour_sum(x, adjacency, own_weight, first.bias)
    return second(F.relu(x, inplace=True).to(second.weight.dtype))
