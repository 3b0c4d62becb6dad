"""The GIN encoder: embeddings of nodes and graphs."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor
from torch.nn import Linear, ReLU, Sequential
from torch_geometric.nn import GINConv

from graphcl_hard.data.adjacency import Adjacency
from graphcl_hard.nn.encoders.base import GraphEncoder, Readout
from graphcl_hard.nn.functional import look_up, neighbour_sum


class GINEncoder(GraphEncoder):
    r"""Graph isomorphism network with batch norm, whose layer outputs are concatenated.

    .. math::
        x_i^{(l)} &= \mathrm{BN}\Big(\mathrm{ReLU}\Big(\mathrm{MLP}^{(l)}\Big((1 + \epsilon)\, x_i^{(l-1)}
                    + \sum_{j \in \mathcal N(i)} x_j^{(l-1)}\Big)\Big)\Big) \\
        X^{(l)} &= \mathrm{BN}(\mathrm{ReLU}(\mathrm{MLP}^{(l)}((A + (1 + \epsilon) I) X^{(l-1)})))

    with :math:`\epsilon = 0` and an MLP of two linear layers with a ReLU between. The node embedding is
    :math:`[x^{(1)}, \dots, x^{(L)}]`, the graph embedding its readout over the nodes of the graph. Parameters are named
    as in the encoders of InfoGraph and of the hard-negatives paper, whose state dicts can be loaded. The parameters are
    read directly: forward hooks of `convs` and `bns` are not called. Second derivatives are refused.

    Args:
        in_channels: F, width of the node features, at least 1.
        hidden_channels: H, channels of each layer, at least 1.
        num_layers: L, at least 1.
        readout: "sum", "mean" or "max" over the nodes of a graph; or "attention", a weighted mean whose weights are the
            softmax, over these nodes, of a linear layer's score of the node embedding.

    Raises:
        InputError: an argument is outside its range.

    Sources: Xu, Hu, Leskovec, Jegelka, "How Powerful are Graph Neural Networks?", ICLR 2019, eq. 4.1; Sun et al.,
    "InfoGraph", ICLR 2020, eq. 2 and 3; for attention Li, Gu, Dullien, Vinyals, Kohli, "Graph Matching Networks", ICML
    2019, eq. 3, with one gate per node and no transform.

    Examples:
        >>> import torch
        >>> from graphcl_hard import GINEncoder
        >>> encoder = GINEncoder(in_channels=4, hidden_channels=8, num_layers=2)
        >>> edge_index = torch.tensor([[0, 1, 1, 2, 3, 4], [1, 0, 2, 1, 4, 3]])  # paths of 3 and of 2 nodes
        >>> graphs, nodes = encoder(torch.rand(5, 4), edge_index, torch.tensor([0, 0, 0, 1, 1]))
        >>> graphs.shape, nodes.shape
        (torch.Size([2, 16]), torch.Size([5, 16]))
    """

    names = ("gin",)

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int = 32,
        num_layers: int = 3,
        readout: Readout = "sum",
    ) -> None:
        def conv(width: int) -> GINConv:
            return GINConv(
                Sequential(
                    Linear(width, hidden_channels), ReLU(), Linear(hidden_channels, hidden_channels)
                )
            )

        super().__init__("gin", in_channels, hidden_channels, num_layers, readout, conv)

    @classmethod
    def _from_arguments(cls, **arguments: Any) -> "GINEncoder":
        return cls(**{name: value for name, value in arguments.items() if name != "encoder"})

    def _edges(
        self, edge_index: Tensor | Adjacency, num_nodes: int, edge_attr: Tensor | None
    ) -> Adjacency:
        return (
            edge_index
            if isinstance(edge_index, Adjacency)
            else Adjacency.from_edge_index(edge_index, num_nodes)
        )

    def _convolve(self, conv: GINConv, x: Tensor, edges: Adjacency) -> Tensor:
        """Return `conv(x, edge_index)`; the sum over neighbours runs over the smaller number of channels.

        That is before or after the first linear layer. A one-hot input becomes a look-up in the weight of the layer.
        """
        first, _, second = conv.nn
        own_weight = 1 + conv.eps
        if x.is_floating_point() and x.size(1) < first.out_features:
            x = first(neighbour_sum(x, edges, own_weight).to(first.weight.dtype))
        else:
            x = F.linear(x, first.weight) if x.is_floating_point() else look_up(x, first.weight)
            x = neighbour_sum(x, edges, own_weight, first.bias)
        out: Tensor = second(F.relu(x, inplace=True).to(second.weight.dtype))
        return out
