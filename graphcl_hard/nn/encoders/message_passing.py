"""Encoders with other graph convolutions than GIN, by name."""

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import Linear, Module, ReLU, Sequential
from torch_geometric.nn import GATConv, GCNConv, GINEConv, PNAConv, SAGEConv

from graphcl_hard._tensor import one_hot
from graphcl_hard.data.adjacency import Adjacency, check_edge_index
from graphcl_hard.exceptions import InputError, short_repr
from graphcl_hard.nn.encoders.base import GraphEncoder, Readout

Convolution = Literal["gine", "gcn", "sage", "gat", "pna"]
PNA_AGGREGATORS, PNA_SCALERS = (
    ["mean", "min", "max", "std"],
    ["identity", "amplification", "attenuation"],
)


class MessagePassingEncoder(GraphEncoder):
    r"""`GINEncoder` with another convolution of PyG; ReLU, batch norm, readout and call are the same.

    .. math::
        x_i^{(l)} = \mathrm{BN}\Big(\mathrm{ReLU}\Big(\mathrm{conv}^{(l)}\big(x_i^{(l-1)},
                    \{(x_j^{(l-1)}, e_{ji}) : j \in \mathcal N(i)\}\big)\Big)\Big)

    "gine" is :math:`\mathrm{MLP}(x_i + \sum_j \mathrm{ReLU}(x_j + W e_{ji}))`, with the MLP of `GINEncoder`. It is the
    only one that reads the edge features e. "gcn", "sage" (mean over neighbours), "gat" (one head) and "pna" are the
    layers of PyG's `GCN`, `GraphSAGE`, `GAT` and `PNA` with their default arguments; "pna" has the aggregators (mean,
    min, max, std) and scalers (identity, amplification, attenuation) of the paper. Convolutions run in the precision of
    the weights, also under autocast.

    Args:
        encoder: "gine", "gcn", "sage", "gat" or "pna".
        in_channels: F, width of the node features, at least 1.
        hidden_channels: H, channels of each layer, at least 1.
        num_layers: L, at least 1.
        readout: "sum", "mean", "max" or "attention", as in `GINEncoder`.
        edge_channels: D, width of the edge features, at least 1; only for "gine".
        degree_histogram: number of nodes of the training set with 0, 1, 2, ... incoming neighbours, as counted by
            `GraphBatches.degree_histogram`; only for "pna", whose scalers it normalises.

    Raises:
        InputError: an argument is outside its range, missing, or belongs to another encoder.

    Sources: Hu et al., "Strategies for Pre-training Graph Neural Networks", ICLR 2020 (GINE); Kipf and Welling,
    "Semi-Supervised Classification with Graph Convolutional Networks", ICLR 2017; Hamilton, Ying, Leskovec, "Inductive
    Representation Learning on Large Graphs", NeurIPS 2017; Velickovic et al., "Graph Attention Networks", ICLR 2018;
    Corso et al., "Principal Neighbourhood Aggregation for Graph Nets", NeurIPS 2020.

    Examples:
        >>> import torch
        >>> from graphcl_hard import MessagePassingEncoder
        >>> encoder = MessagePassingEncoder("gine", in_channels=4, hidden_channels=8, num_layers=2, edge_channels=3)
        >>> edge_index = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])  # a path of 3 nodes
        >>> graphs, nodes = encoder(torch.rand(3, 4), edge_index, edge_attr=torch.rand(4, 3))
        >>> graphs.shape, nodes.shape
        (torch.Size([1, 16]), torch.Size([3, 16]))
    """

    names = get_args(Convolution)

    def __init__(
        self,
        encoder: Convolution,
        in_channels: int,
        hidden_channels: int = 32,
        num_layers: int = 3,
        readout: Readout = "sum",
        *,
        edge_channels: int | None = None,
        degree_histogram: Sequence[int] | Tensor | None = None,
    ) -> None:
        if encoder not in self.names:
            raise InputError(
                f"encoder must be one of {', '.join(self.names)}, got {short_repr(encoder)}; for gin use `GINEncoder`."
            )
        if (edge_channels is not None) != (encoder == "gine"):
            raise InputError(
                f"edge_channels must be the width of the edge features for gine, and None for the others, got "
                f"{edge_channels} for {encoder}; change one of them."
            )
        degrees = _checked_histogram(encoder, degree_histogram)

        def conv(width: int) -> Module:
            make: dict[Convolution, Callable[[], Module]] = {
                "gine": lambda: GINEConv(
                    Sequential(
                        Linear(width, hidden_channels),
                        ReLU(),
                        Linear(hidden_channels, hidden_channels),
                    ),
                    edge_dim=edge_channels,
                ),
                "gcn": lambda: GCNConv(width, hidden_channels),
                "sage": lambda: SAGEConv(width, hidden_channels),
                "gat": lambda: GATConv(width, hidden_channels),
                "pna": lambda: PNAConv(
                    width, hidden_channels, PNA_AGGREGATORS, PNA_SCALERS, degrees
                ),
            }
            return make[encoder]()

        super().__init__(
            encoder, in_channels, hidden_channels, num_layers, readout, conv, edge_channels
        )
        if edge_channels is not None:
            self.arguments["edge_channels"] = edge_channels
        if degrees is not None:
            self.arguments["degree_histogram"] = degrees.tolist()

    def _edges(
        self, edge_index: Tensor | Adjacency, num_nodes: int, edge_attr: Tensor | None
    ) -> dict[str, Tensor]:
        if isinstance(edge_index, Adjacency):
            edge_index = edge_index.edge_index
        else:
            check_edge_index(edge_index, num_nodes)
        edges = {"edge_index": edge_index.long()}
        return edges if edge_attr is None else edges | {"edge_attr": edge_attr.to(self._dtype)}

    def _convolve(self, conv: Module, x: Tensor, edges: dict[str, Tensor]) -> Tensor:
        if not x.is_floating_point():
            x = one_hot(x, self.in_channels)
        # PyG sums messages in their own precision, and bfloat16 cannot count beyond 256.
        with torch.autocast(x.device.type, enabled=False):
            out: Tensor = conv(x.to(self._dtype), **edges)
        return out

    @property
    def _dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype


def _checked_histogram(encoder: str, histogram: Sequence[int] | Tensor | None) -> Tensor | None:
    """Return the histogram as (largest degree + 1,) int64 on the CPU, or None for an encoder that takes none."""
    if (histogram is not None) != (encoder == "pna"):
        found = "None" if histogram is None else "one"
        raise InputError(
            f"degree_histogram must be the training set's for pna, and None for the others, got {found} for {encoder}; "
            "take it from `GraphBatches.degree_histogram`."
        )
    if histogram is None:
        return None
    degrees = torch.as_tensor(
        histogram, device="cpu"
    )  # also if the encoder is built on another device
    if (
        degrees.dim() != 1
        or degrees.is_floating_point()
        or bool((degrees < 0).any())
        or not bool(degrees[1:].any())
    ):
        raise InputError(
            "degree_histogram must be (largest degree + 1,) numbers of nodes, at least one of them with a neighbour, "
            f"got {str(degrees.tolist())[:60]}; data sets without edges need another encoder, such as gin."
        )
    return degrees
