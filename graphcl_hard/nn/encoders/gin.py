"""The GIN encoder: embeddings of nodes and of whole graphs."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor
from torch.nn import Linear, ReLU, Sequential
from torch_geometric.nn import GINConv

from graphcl_hard.data.adjacency import Adjacency
from graphcl_hard.nn.encoders.base import GraphEncoder, Readout
from graphcl_hard.nn.functional import look_up, neighbour_sum


class GINEncoder(GraphEncoder):
    r"""Graph isomorphism network with batch norm, whose layers' outputs are all kept.

    .. math::
        x_i^{(l)} &= \mathrm{BN}\Big(\mathrm{ReLU}\Big(\mathrm{MLP}^{(l)}\Big((1 + \epsilon)\, x_i^{(l-1)}
                    + \sum_{j \in \mathcal N(i)} x_j^{(l-1)}\Big)\Big)\Big) \\
        X^{(l)} &= \mathrm{BN}(\mathrm{ReLU}(\mathrm{MLP}^{(l)}((A + (1 + \epsilon) I) X^{(l-1)})))

    with :math:`\epsilon = 0` and an MLP of two linear layers with a ReLU between. The node embedding is
    :math:`[x^{(1)}, \dots, x^{(L)}]`, the graph embedding its readout over the graph's nodes. Parameters are named as
    in InfoGraph's and the hard-negatives paper's encoders, whose state dicts load as they are. They are read where they
    lie: the forward hooks of `convs` and `bns` are not called, and a second derivative is refused.

    Args:
        in_channels: F, width of the node features, at least 1.
        hidden_channels: H, channels of each layer, at least 1.
        num_layers: L, at least 1.
        readout: "sum", "mean" or "max" over a graph's nodes; or "attention", the mean by the softmax, over the graph's
            nodes, of a linear layer's score of the node embedding.

    Raises:
        InputError: an argument outside its range.

    Sources: Xu, Hu, Leskovec, Jegelka, "How Powerful are Graph Neural Networks?", ICLR 2019, eq. 4.1; Sun et al.,
    "InfoGraph", ICLR 2020, eq. 2 and 3; for attention Li, Gu, Dullien, Vinyals, Kohli, "Graph Matching Networks", ICML
    2019, eq. 3, with one gate a node and no transform.
    """

    names = ("gin",)

    def __init__(
        self, in_channels: int, hidden_channels: int = 32, num_layers: int = 3, readout: Readout = "sum"
    ) -> None:
        def conv(width: int) -> GINConv:
            return GINConv(Sequential(Linear(width, hidden_channels), ReLU(), Linear(hidden_channels, hidden_channels)))

        super().__init__("gin", in_channels, hidden_channels, num_layers, readout, conv)

    @classmethod
    def _from_arguments(cls, **arguments: Any) -> "GINEncoder":
        return cls(**{name: value for name, value in arguments.items() if name != "encoder"})

    def _edges(self, edge_index: Tensor | Adjacency, num_nodes: int, edge_attr: Tensor | None) -> Adjacency:
        return edge_index if isinstance(edge_index, Adjacency) else Adjacency.from_edge_index(edge_index, num_nodes)

    def _convolve(self, conv: GINConv, x: Tensor, edges: Adjacency) -> Tensor:
        """What `conv(x, edge_index)` gives; the sum over neighbours runs over the fewer channels.

        That is before the first linear layer or after it. A one-hot input becomes a look-up in the layer's weight.
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
