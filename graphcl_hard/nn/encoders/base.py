"""The protocol of an encoder, and the base class of the package's own encoders."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, TypeVar, get_args

import torch
from torch import Tensor
from torch.nn import BatchNorm1d, Linear, Module, ModuleList
from torch_geometric.nn import AttentionalAggregation

from graphcl_hard._tensor import full_precision, initial_state
from graphcl_hard.data.adjacency import Adjacency
from graphcl_hard.exceptions import InputError, first_line, short_repr
from graphcl_hard.io.atomic_write import atomic_write
from graphcl_hard.io.checksum import read_checksummed, write_checksummed
from graphcl_hard.io.file_names import ENCODER
from graphcl_hard.io.paths import Pathname, user_path
from graphcl_hard.loader.features import FeatureMap, write_features
from graphcl_hard.nn.functional import relu_batch_norm
from graphcl_hard.nn.readout import scatter

WEIGHTS_FILE, ARGUMENTS_FILE = ENCODER
Readout = Literal["sum", "mean", "max", "attention"]
T = TypeVar("T", bound="GraphEncoder")


class Embedding(NamedTuple):
    """Output of an encoder with L layers of H channels for a batch of G graphs with N nodes in total.

    Examples:
        >>> import torch
        >>> from graphcl_hard import GINEncoder
        >>> triangle = torch.tensor([[0, 1, 1, 2, 2, 0], [1, 0, 2, 1, 0, 2]])
        >>> embedding = GINEncoder(in_channels=4, hidden_channels=8, num_layers=2)(torch.rand(3, 4), triangle)
        >>> embedding.graph_embedding.shape, embedding.node_embedding.shape
        (torch.Size([1, 16]), torch.Size([3, 16]))
    """

    graph_embedding: Tensor
    """(G, L*H) float: the readout of the node embedding."""
    node_embedding: Tensor
    """(N, L*H) float: the concatenated outputs of all layers."""


class Encoder(Protocol):
    """An encoder that `InfoGraph` and `GraphCL` can train: any `torch.nn.Module` with this call and this attribute.

    A module whose `out_channels` is not an integer is refused with an `InputError`.

    Examples:
        >>> import functools
        >>> import torch
        >>> from graphcl_hard import Embedding, InfoGraph, local_global_jsd
        >>> class DeepSets(torch.nn.Module):
        ...     out_channels = 8
        ...
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.linear = torch.nn.Linear(7, 8)
        ...
        ...     def forward(self, x, edge_index, batch, batch_size):
        ...         nodes = self.linear(x).relu()
        ...         return Embedding(nodes.new_zeros(batch_size, 8).index_add(0, batch, nodes), nodes)
        >>> model = InfoGraph(DeepSets(), functools.partial(local_global_jsd, tau_plus=0.1))
        >>> model.encoder(torch.rand(5, 7), None, torch.tensor([0, 0, 0, 1, 1]), 2).graph_embedding.shape
        torch.Size([2, 8])
    """

    @property
    def out_channels(self) -> int:
        """D, the width of both embeddings."""

    def __call__(
        self, x: Tensor, edge_index: Adjacency, batch: Tensor, batch_size: int, /
    ) -> Embedding:
        """Return the embeddings of a `GraphBatch` of N nodes in G graphs.

        If the batches have edge features, these are a fifth argument, (E, edge channels) float in the order of PyG's
        (2, E) form.

        Args:
            x: as in the batches: (N, F) float, or (N, K) int64 columns of a one-hot input, see `GINEncoder.forward`.
            edge_index: the edges; the property `edge_index` of an `Adjacency` is PyG's form, (2, E) int64.
            batch: (N,) int64, the graph of each node, ascending.
            batch_size: G, including graphs without nodes.

        Returns:
            `Embedding`: (G, D) and (N, D), float.
        """


class GraphEncoder(Module):
    """Layers of graph convolution, ReLU and batch norm, whose outputs are concatenated, and a readout.

    Args:
        name: name in encoder.json.
        in_channels: see `GINEncoder`.
        hidden_channels: see `GINEncoder`.
        num_layers: see `GINEncoder`.
        readout: see `GINEncoder`.
        conv: makes the convolution of a layer to `hidden_channels`, given the width of its input.
        edge_channels: D, width of the edge features; None: the encoder reads none.

    Raises:
        InputError: an argument is outside its range.
    """

    names: ClassVar[tuple[str, ...]]
    """Names of this class in encoder.json."""

    def __init__(
        self,
        name: str,
        in_channels: int,
        hidden_channels: int,
        num_layers: int,
        readout: Readout,
        conv: Callable[[int], Module],
        edge_channels: int | None = None,
    ) -> None:
        super().__init__()
        sizes = {
            "in_channels": in_channels,
            "hidden_channels": hidden_channels,
            "num_layers": num_layers,
        }
        for size, value in (
            sizes if edge_channels is None else sizes | {"edge_channels": edge_channels}
        ).items():
            if value < 1:
                raise InputError(f"{size} must be at least 1, got {value}; use a positive integer.")
        if readout not in get_args(Readout):
            raise InputError(
                f"readout must be one of {', '.join(get_args(Readout))}, got {short_repr(readout)}."
            )
        self.in_channels = in_channels
        self.hidden_channels = hidden_channels
        self.num_layers = num_layers
        self.readout: Readout = readout
        self.edge_channels = edge_channels
        self.arguments: dict[str, Any] = {"encoder": name, **sizes, "readout": readout}
        """Content of encoder.json."""
        self.convs = ModuleList(
            conv(width) for width in [in_channels] + [hidden_channels] * (num_layers - 1)
        )
        self.bns = ModuleList(BatchNorm1d(hidden_channels) for _ in range(num_layers))
        if readout == "attention":
            self.attention = AttentionalAggregation(Linear(self.out_channels, 1))

    @property
    def out_channels(self) -> int:
        """L*H, the width of both embeddings."""
        return self.num_layers * self.hidden_channels

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor | Adjacency,
        batch: Tensor | None = None,
        batch_size: int | None = None,
        edge_attr: Tensor | None = None,
    ) -> Embedding:
        """Embed the nodes and graphs of a batch.

        Args:
            x: (N, F) float, node features; or (N, K) int64, the K columns of a one-hot input that hold a 1, ascending
                in each row, with -1 for none. Both give the same result.
            edge_index: (2, E) int64, messages flow from row 0 to row 1, and an undirected edge is listed in both
                directions; or the same edges as an `Adjacency`, which are not sorted again.
            batch: (N,) int64, the graph of each node, in any order; None: all nodes belong to one graph.
            batch_size: G, if the last graphs may have no nodes; None: the largest entry of `batch` plus 1.
            edge_attr: (E, D) float, edge features in the order of `edge_index`, or of the `edge_index` of an
                `Adjacency`; None for an encoder that reads none.

        Returns:
            `Embedding`. A graph without nodes has a graph embedding of zeros.

        Raises:
            InputError: `x` is not (N, `in_channels`) or names a column outside, `edge_index` names a node outside, or
                `edge_attr` is not what the encoder reads.
        """
        self._check(x)
        if batch is None:
            batch = torch.zeros(x.size(0), dtype=torch.int64, device=x.device)
            batch_size = 1 if batch_size is None else batch_size
        elif batch_size is None:
            batch_size = int(batch.max()) + 1 if batch.numel() else 0
        edges = self._edges(edge_index, x.size(0), edge_attr)
        self._check_edge_attr(edge_attr, edge_index)
        layers = []
        for conv, norm in zip(self.convs, self.bns, strict=True):
            x = relu_batch_norm(self._convolve(conv, x, edges), norm)  # (N, H)
            layers.append(x)
        node_embedding = torch.cat(layers, dim=1)  # (N, L*H)
        return Embedding(self._read_out(node_embedding, batch, batch_size), node_embedding)

    def _edges(
        self, edge_index: Tensor | Adjacency, num_nodes: int, edge_attr: Tensor | None
    ) -> Any:
        """Return the edges in the form that `_convolve` takes."""
        raise NotImplementedError

    def _convolve(self, conv: Any, x: Tensor, edges: Any) -> Tensor:
        """Map (N, F or H), or (N, K) int64, to a tensor (N, H) that may be overwritten."""
        raise NotImplementedError

    def _read_out(self, node_embedding: Tensor, batch: Tensor, batch_size: int) -> Tensor:
        if self.readout != "attention":
            return scatter(node_embedding, batch, batch_size, self.readout)
        # In full precision under autocast, like the other readouts: bfloat16 cannot count beyond 256.
        with torch.autocast(node_embedding.device.type, enabled=False):
            rows = node_embedding.to(self.attention.gate_nn.weight.dtype)
            return full_precision(self.attention(rows, batch, dim_size=batch_size))

    def _check(self, x: Tensor) -> None:
        if x.dim() != 2 or (x.is_floating_point() and x.size(1) != self.in_channels):
            raise InputError(
                f"x must be (N, {self.in_channels}), the encoder's in_channels, got {tuple(x.shape)}; give the "
                "features that the encoder was built for."
            )
        if x.is_floating_point():
            return
        # With as many columns as channels it would be a dense input that is not floating-point.
        if x.dtype != torch.int64 or not (x.size(1) == 1 or 1 < x.size(1) < self.in_channels):
            raise InputError(
                f"x must be (N, {self.in_channels}) floating-point, or (N, K) int64 with the K columns that hold a 1, "
                f"got {tuple(x.shape)} {x.dtype}; give features as floating-point numbers."
            )
        if (
            not x.numel() or x.device.type != "cpu" or torch.compiler.is_compiling()
        ):  # it synchronises GPUs
            return
        low, high = (int(bound) for bound in x.aminmax())
        if (
            low < -1
            or high >= self.in_channels
            or not bool(((x.diff(dim=1) > 0) | (x[:, 1:] < 0)).all())
        ):
            raise InputError(
                f"x of {x.dtype} must name columns in [0, {self.in_channels - 1}], ascending in each row, or -1 for "
                f"none, got {low} to {high}; give features as floating-point numbers."
            )

    def _check_edge_attr(self, edge_attr: Tensor | None, edge_index: Tensor | Adjacency) -> None:
        name, found = (
            self.arguments["encoder"],
            None if edge_attr is None else tuple(edge_attr.shape),
        )
        if self.edge_channels is None:
            if edge_attr is not None:
                raise InputError(
                    f"edge_attr must be None, since the encoder {name} reads no edge features, got {found}; leave it "
                    "out, or use gine."
                )
            return
        num_edges = (
            edge_index.target.numel() if isinstance(edge_index, Adjacency) else edge_index.size(-1)
        )
        if (
            edge_attr is None
            or found != (num_edges, self.edge_channels)
            or not edge_attr.is_floating_point()
        ):
            kind = "None" if edge_attr is None else f"{found} {edge_attr.dtype}"
            raise InputError(
                f"edge_attr must be ({num_edges}, {self.edge_channels}) floating-point, a row for each edge, which the "
                f"encoder {name} reads, got {kind}; give the features of the edges."
            )

    @initial_state()
    def save_pretrained(
        self, folder: Pathname, features: FeatureMap | None = None, *, sync: bool = True
    ) -> None:
        """Write the weights (safetensors, with a checksum) and the arguments (JSON) into an existing folder.

        Args:
            folder: an existing folder.
            features: how nodes and edges become inputs, also to be written (features.json). With it, `python -m
                graphcl_hard.embed` and `HardInfoGraph.from_pretrained` can embed other graphs.
            sync: whether to wait, for milliseconds, until the files are on the disk.

        Raises:
            InputError: the features are of another encoder, or a label among them is neither a string nor a number.
            OSError: the folder is missing or cannot be written.
        """
        folder = user_path(folder, "folder")
        if features is not None:
            if features.widths != (self.in_channels, self.edge_channels):
                raise InputError(
                    f"features must be those of the encoder, with (in_channels, edge_channels) "
                    f"{(self.in_channels, self.edge_channels)}, got {features.widths}; give the map of its training."
                )
            write_features(folder, features, sync)
        state = {
            name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()
        }
        with atomic_write(folder / ARGUMENTS_FILE, sync) as partial:
            partial.write_text(json.dumps(self.arguments, indent=2) + "\n")
        write_checksummed(folder / WEIGHTS_FILE, state, sync=sync)

    @classmethod
    @initial_state()
    def from_pretrained(cls: type[T], folder: Pathname) -> T:
        """Load the encoder that a run, or `save_pretrained`, wrote to a folder; in evaluation mode, on the CPU.

        Nothing is unpickled: the weights are safetensors, the arguments JSON. Weights without a checksum, as earlier
        versions wrote them, are accepted.

        Raises:
            InputError: a file is missing, truncated, changed, or does not fit the other; or the encoder is of another
                class.
        """
        folder = user_path(folder, "folder")
        arguments = saved_arguments(folder)
        name = arguments["encoder"]
        if name not in cls.names:
            raise InputError(
                f"{folder} holds the encoder {short_repr(name)}, and {cls.__name__} loads only {' '.join(cls.names)}; "
                "use load_encoder, which loads any that this version knows."
            )
        with _one_sentence(folder):
            state, _ = read_checksummed(folder / WEIGHTS_FILE, required=False)
            if arguments.get("num_layers", 0) > len(state):
                raise ValueError(f"{ARGUMENTS_FILE} has more layers than {WEIGHTS_FILE}")
            with torch.device("meta"):  # so that sizes in a damaged file allocate no memory
                encoder = cls._from_arguments(**arguments)
            wanted = {
                name: tensor.is_floating_point() for name, tensor in encoder.state_dict().items()
            }
            encoder.load_state_dict(
                {name: tensor.clone() for name, tensor in state.items()}, assign=True
            )
            dtypes = {tensor.dtype for tensor in state.values() if tensor.is_floating_point()}
            if len(dtypes) != 1 or any(
                tensor.is_floating_point() != wanted[name] for name, tensor in state.items()
            ):
                raise ValueError(f"{WEIGHTS_FILE} holds numbers of several kinds")
        return encoder.eval()

    @classmethod
    def _from_arguments(cls: type[T], **arguments: Any) -> T:
        return cls(**arguments)


def saved_arguments(folder: Path) -> dict[str, Any]:
    """Return the content of encoder.json in a folder; earlier versions did not name the encoder, a GIN.

    Raises:
        InputError: the file is missing or damaged.
    """
    with _one_sentence(folder):
        return {"encoder": "gin"} | dict(**json.loads((folder / ARGUMENTS_FILE).read_text()))


@contextmanager
def _one_sentence(folder: Path) -> Iterator[None]:
    """Raise any error in the files of an encoder as an `InputError`."""
    try:
        yield
    except (
        OSError,
        ArithmeticError,
        AssertionError,
        LookupError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        reason = first_line(error)
        if isinstance(error, FileNotFoundError) and error.filename and folder.is_dir():
            reason = f"it has no {Path(error.filename).name}"
        raise InputError(
            f"No encoder can be loaded from {folder}: {reason}; name a run's folder, which holds "
            f"{ARGUMENTS_FILE} and {WEIGHTS_FILE}."
        ) from error
