"""The textbook: InfoGraph with hard, debiased negatives as one writes it with PyTorch Geometric.

A `DataLoader` over a list of `Data`, `GINConv` over `edge_index` with one-hot inputs, `global_add_pool`, the dense
scores of all nodes against all graphs under a boolean mask, autograd, Adam. Every step is vectorised and nothing is
slowed down on purpose; nothing is done that PyG's own examples do not do either. Loss and gradients are those of the
package (`tests/benchmarks/test_speed.py` holds them together in float64), parameters have the package's names.
"""

import math
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn import BatchNorm1d, Linear, Module, ModuleList, ReLU, Sequential, init
from torch_geometric.data import Batch, Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn import GINConv, global_add_pool

from graphcl_hard.config import Config
from graphcl_hard.data.graph_data import GraphData


class FF(Module):
    """InfoGraph's head: three linear layers with ReLUs beside a linear shortcut; (M, D) -> (M, D)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block = Sequential(
            *[layer for _ in range(3) for layer in (Linear(channels, channels), ReLU())]
        )
        self.linear_shortcut = Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the head's output for every row."""
        return self.block(x) + self.linear_shortcut(x)


class Encoder(Module):
    """GIN whose layers are all kept, read out by their sums over a graph."""

    def __init__(self, in_channels: int, hidden_channels: int, num_layers: int) -> None:
        super().__init__()
        self.convs, self.bns = ModuleList(), ModuleList()
        for layer in range(num_layers):
            width = in_channels if layer == 0 else hidden_channels
            mlp = Sequential(
                Linear(width, hidden_channels), ReLU(), Linear(hidden_channels, hidden_channels)
            )
            self.convs.append(GINConv(mlp))
            self.bns.append(BatchNorm1d(hidden_channels))

    def forward(self, data: Batch) -> tuple[Tensor, Tensor]:
        """Return embeddings of the nodes, (N, D), and of the graphs, (G, D)."""
        x, layers = data.x, []
        for conv, norm in zip(self.convs, self.bns, strict=True):
            x = norm(F.relu(conv(x, data.edge_index)))
            layers.append(x)
        nodes = torch.cat(layers, dim=1)
        return nodes, global_add_pool(nodes, data.batch, size=data.num_graphs)


class Textbook(Module):
    """Encoder, both heads and the loss, started as InfoGraph starts its model."""

    def __init__(self, in_channels: int, config: Config) -> None:
        super().__init__()
        channels = config.hidden_channels * config.num_layers
        self.encoder = Encoder(in_channels, config.hidden_channels, config.num_layers)
        self.local_head = FF(channels)
        self.global_head = FF(channels)
        self.beta, self.tau_plus = config.beta, config.tau_plus
        for layer in self.modules():
            if isinstance(layer, Linear):
                init.xavier_uniform_(layer.weight)
                init.zeros_(layer.bias)

    def forward(self, data: Batch) -> Tensor:
        """Return the loss () of a batch."""
        nodes, graphs = self.encoder(data)
        return hard_jsd(
            self.local_head(nodes), self.global_head(graphs), data.batch, self.beta, self.tau_plus
        )


def hard_jsd(local: Tensor, summary: Tensor, batch: Tensor, beta: float, tau_plus: float) -> Tensor:
    """Return the objective of `graphcl_hard.local_global_jsd` with its default settings, over the dense (N, G) scores.

    Args:
        local: (N, D) a vector for each node.
        summary: (G, D) a vector for each graph.
        batch: (N,) the graph of each node.
        beta: hardness.
        tau_plus: class prior.
    """
    scores = local @ summary.T  # (N, G)
    positive_mask = batch.unsqueeze(1) == torch.arange(
        summary.size(0), device=batch.device
    )  # (N, G)
    positive = scores.gather(1, batch.unsqueeze(1)).squeeze(1)  # (N,)
    constant = scores.detach()  # no gradient flows through the weights
    scale = 2 / constant.masked_fill(positive_mask, 0.0).abs().max()
    weights = torch.softmax((beta * scale * constant).masked_fill(positive_mask, -math.inf), dim=1)
    negative = (weights * F.softplus(scores)).sum(dim=1)  # (N,)
    debiased = ((negative - tau_plus * F.softplus(positive)) / (1 - tau_plus)).clamp(min=0)
    return (F.softplus(-positive) + debiased).mean()


def data_list(graphs: GraphData, x: Tensor) -> list[Data]:
    """Return the data set as PyG holds one in memory: a `Data` for each graph."""
    nodes, edges = graphs.node_ptr.tolist(), graphs.edge_ptr.tolist()
    return [
        Data(
            x=x[nodes[g] : nodes[g + 1]],
            edge_index=graphs.edge_index[:, edges[g] : edges[g + 1]] - nodes[g],
        )
        for g in range(graphs.num_graphs)
    ]


def train_epoch(
    model: Textbook, loader: DataLoader, optimizer: torch.optim.Optimizer, device: torch.device
) -> float:
    """Train for one pass over the data set; returns the mean loss."""
    model.train()
    total, nodes = torch.zeros((), device=device), 0
    for cpu_batch in loader:
        data = cpu_batch.to(device)
        optimizer.zero_grad()
        loss = model(data)
        loss.backward()
        optimizer.step()
        total += loss.detach() * data.num_nodes
        nodes += data.num_nodes
    return float(total) / nodes


def prepare(
    graphs: GraphData, x: Tensor, config: Config, device: torch.device
) -> Callable[[], float]:
    """Make the list of `Data`; returns a function that trains a new model and returns the seconds per epoch.

    Timed are the epochs' steps, loader included; not timed are the list, the model and the optimiser's making.
    """
    data = data_list(graphs, x)
    # A single graph in the last batch has no negatives, so that batch is left out.
    single = graphs.num_graphs % config.batch_size == 1

    def run() -> float:
        torch.manual_seed(config.seed)
        model = Textbook(x.size(1), config).to(device)
        optimizer = torch.optim.Adam(model.parameters(), lr=config.lr)
        loader = DataLoader(data, batch_size=config.batch_size, shuffle=True, drop_last=single)
        start = time.perf_counter()
        for _ in range(config.epochs):
            train_epoch(
                model, loader, optimizer, device
            )  # ends with a number on the CPU, so the device is done
        return (time.perf_counter() - start) / config.epochs

    return run
