"""Node and edge features: labels, attributes and degrees as inputs of the encoder."""

import dataclasses
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from graphcl_hard._tensor import one_hot
from graphcl_hard.data.graph_data import STANDARD_NAMES, GraphData, GraphSource, Names
from graphcl_hard.data.molecules.featurize import without_stereo
from graphcl_hard.data.molecules.vocabulary import (
    MOLECULES,
    VOCABULARIES,
    WITHOUT_STEREO,
    Vocabulary,
    vocabulary_of,
)
from graphcl_hard.exceptions import InputError
from graphcl_hard.io.atomic_write import atomic_write
from graphcl_hard.io.checksum import verify_checksum, with_checksum
from graphcl_hard.io.file_names import FEATURES
from graphcl_hard.loader.columns import (
    Values,
    check_attributes,
    check_loaded,
    check_serialisable,
    describe,
    finite_attributes,
    label_columns,
    label_values_of,
    moments,
    standardise,
)


@dataclass(frozen=True)
class EdgeFeatureMap:
    """A map from edges to input columns: standardised attributes first, then one-hot labels.

    Attributes:
        label_values: for each label column, the values that have an input column, in the order of these columns.
        mean: (A,) mean of the attributes.
        std: (A,) standard deviation of the attributes, 1 for constant columns.
    """

    label_values: Values = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @classmethod
    def fit(cls, graphs: GraphSource, keep_binary: bool = False) -> "EdgeFeatureMap":
        """Return the map of all edge attributes and edge labels of a data set.

        Attributes are standardised over the data set, column by column. With `keep_binary`, columns that contain only 0
        and 1 stay unchanged.

        Raises:
            InputError: the edges have neither attributes nor labels, or an attribute is not finite.
        """
        mean = std = torch.zeros(0)
        if "edge_attr" in graphs.columns and graphs.num_edges:
            mean, std = moments(
                (finite_attributes(chunk, "edge") for chunk in graphs.chunks()), keep_binary
            )
        labels = label_values_of(graphs, "edge")
        if not labels and not mean.numel():
            raise InputError(
                f"The data set {graphs.name!r} has no edge labels or attributes, but the encoder gine needs them; "
                "choose another, such as gin."
            )
        return cls(labels, tuple(mean.tolist()), tuple(std.tolist()))

    @property
    def channels(self) -> int:
        """D, the number of input columns, `edge_channels` of the encoder."""
        return len(self.mean) + sum(map(len, self.label_values))

    @property
    def description(self) -> str:
        """A description of the input columns for people."""
        return describe(len(self.mean), self.label_values, "edge")

    def apply(self, graphs: GraphData, warn: bool = True) -> Tensor:
        """Return the encoder's input for the edges of any data set: (E, D) float32, in the order of `edge_index`.

        Edges with a label that the map does not know get a row of zeros; with `warn`, a warning reports them.

        Raises:
            InputError: the data set has a different number of edge attributes or edge label columns than the map.
        """
        if graphs.num_edges == 0:  # no attributes to compare either
            return torch.zeros(0, self.channels)
        parts = []
        if self.mean or graphs.edge_attr is not None:
            parts.append(
                standardise(check_attributes(graphs, "edge", len(self.mean)), self.mean, self.std)
            )
        if self.label_values or graphs.edge_label is not None:
            labels = label_columns(graphs, "edge", self.label_values, warn=warn)
            parts.append(one_hot(labels, sum(map(len, self.label_values))))
        # Not copied without need: this is the largest tensor of a window of molecules.
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    def check_serialisable(self) -> None:
        """Raise `InputError` if a label is neither a string nor a number."""
        check_serialisable(self.label_values, "edge")

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "EdgeFeatureMap":
        """Return the map from the dictionary of `dataclasses.asdict`, also after a round trip through JSON.

        Raises:
            ValueError: the values are not those of a map.
        """
        check_loaded(plain["label_values"], plain["mean"], plain["std"])
        labels = tuple(tuple(values) for values in plain["label_values"])
        return cls(labels, tuple(plain["mean"]), tuple(plain["std"]))


MAX_ONE_HOT_DEGREE = 1000


class NodeFeatures(NamedTuple):
    """The encoder's inputs for the nodes of a data set."""

    x: Tensor
    """(N, F) float32; or, if all columns are one-hot, (N, K) int64, the ascending indices of the 1s, -1 for none."""
    channels: int
    """F, `in_channels` of the encoder."""
    description: str
    """A description of the columns for people."""


@dataclass(frozen=True)
class FeatureMap:
    """A map from nodes to input columns: standardised attributes first, then one-hot labels; degrees if it has neither.

    Attributes:
        label_values: for each label column, the values that have an input column, in the order of these columns.
        mean: (A,) mean of the attributes, or of the degree if `standardised_degree` is set.
        std: (A,) standard deviation of the attributes or the degree, 1 for constant columns.
        largest_degree: degrees from 0 to this one are one-hot; None if degrees are not used.
        standardised_degree: whether the standardised degree is the only input.
        edges: the map of the edges; None for encoders that do not use edge features.
        names: the names by which single graphs hold what is read: None for what the graphs did not have, `()` for what
            was left out. As a whole None in files of earlier versions.
    """

    label_values: Values = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    largest_degree: int | None = None
    standardised_degree: bool = False
    edges: EdgeFeatureMap | None = None
    names: Names | None = None

    @classmethod
    def fit(
        cls,
        graphs: GraphSource,
        use_node_attr: bool = False,
        keep_binary: bool = False,
        with_edges: bool = False,
        left_out: Collection[str] = ("node_attr",),
    ) -> "FeatureMap":
        """Return the map of a data set's labels, with `use_node_attr` also its attributes, or else its degrees.

        Degrees are one-hot up to the largest of the data set; if that is 1000 or more, one standardised column is used.
        Attributes are standardised over the data set, column by column, since their units differ. With `keep_binary`,
        columns that contain only 0 and 1 stay unchanged. `with_edges` also fits `edges`. What is neither used nor in
        `left_out` must be missing in all other graphs too.

        Raises:
            InputError: attributes are requested but the data set has none, an attribute is not finite, or
                `EdgeFeatureMap.fit` fails.
        """
        edges = EdgeFeatureMap.fit(graphs, keep_binary) if with_edges else None
        used = {"node_label"} | ({"node_attr"} if use_node_attr else set())
        used |= {"edge_label", "edge_attr"} if with_edges else set()
        names: dict[str, Any] = {
            column: (getattr(graphs.names, column) or getattr(STANDARD_NAMES, column))
            if column in used & graphs.columns
            else (() if column in left_out else None)
            for column in Names._fields
        }
        nodes = cls._of_nodes(graphs, use_node_attr, keep_binary)
        return dataclasses.replace(nodes, edges=edges, names=Names(**names))

    @classmethod
    def _of_nodes(cls, graphs: GraphSource, use_node_attr: bool, keep_binary: bool) -> "FeatureMap":
        if use_node_attr:
            if "node_attr" not in graphs.columns:
                raise InputError(
                    f"The data set {graphs.name!r} has no node attributes; leave `use_node_attr=True` out."
                )
            mean, std = moments(
                (finite_attributes(chunk, "node") for chunk in graphs.chunks()), keep_binary
            )
            return cls(label_values_of(graphs, "node"), tuple(mean.tolist()), tuple(std.tolist()))
        if "node_label" in graphs.columns:
            return cls(label_values_of(graphs, "node"))
        largest = max(
            (int(_degree(chunk).max()) for chunk in graphs.chunks() if chunk.num_nodes), default=0
        )
        if largest < MAX_ONE_HOT_DEGREE:
            return cls(largest_degree=largest)
        mean, std = moments(_degree(chunk).double() for chunk in graphs.chunks())
        return cls((), tuple(mean.tolist()), tuple(std.tolist()), largest, standardised_degree=True)

    @property
    def channels(self) -> int:
        """F, the number of input columns, `in_channels` of the encoder."""
        if self.largest_degree is not None and not self.standardised_degree:
            return self.largest_degree + 1
        return len(self.mean) + sum(len(values) for values in self.label_values)

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The fixed vocabulary of molecules whose labels the map reads; None if it reads others."""
        if self.mean or (self.edges is not None and self.edges.mean):
            return None
        return vocabulary_of(
            self.label_values, None if self.edges is None else self.edges.label_values
        )

    @property
    def description(self) -> str:
        """A description of the input columns for people."""
        if self.standardised_degree:
            return f"degree, standardised (the largest is {self.largest_degree})"
        if self.largest_degree is not None:
            return f"degrees 0 to {self.largest_degree}, one-hot"
        return describe(len(self.mean), self.label_values, "node")

    def apply(self, graphs: GraphData, warn: bool = True) -> Tensor:
        """Return the encoder's input for the nodes of any data set, (N, F) float32 or (N, K) int64; see `NodeFeatures`.

        Nodes with a label that the map does not know get zeros for that label; with `warn`, a warning reports them. A
        degree above the largest known degree counts as the largest.

        Raises:
            InputError: the data set has a different number of attributes or label columns than the map.
        """
        if graphs.num_nodes == 0:  # no attributes to compare either
            return torch.zeros(0, self.channels)
        self._check_columns(graphs)
        graphs = self._without_stereo(graphs)
        if self.largest_degree is not None:
            degree = _degree(graphs)
            if self.standardised_degree:
                return standardise(degree.double(), self.mean, self.std).float()
            return degree.clamp(max=self.largest_degree)
        labels = None
        if self.label_values:
            labels = label_columns(graphs, "node", self.label_values, len(self.mean), warn)
        if not self.mean:
            assert labels is not None
            return labels
        attributes = check_attributes(graphs, "node", len(self.mean))
        if labels is None:
            return self._one_hot_columns(attributes)
        # Attributes come first, so the label columns start after them.
        dense = one_hot(labels, self.channels)[:, len(self.mean) :]
        return torch.cat([standardise(attributes, self.mean, self.std), dense], dim=1)

    def _check_columns(self, graphs: GraphData) -> None:
        """Raise `InputError` if a data set has labels of another kind, or more of them, than the graphs of the map."""
        self._check_vocabulary(graphs)
        for column, what in (("node_label", "labels"), ("node_attr", "attributes")):
            if (
                self.names is not None
                and getattr(self.names, column) is None
                and getattr(graphs, column) is not None
            ):
                raise InputError(
                    f"The data set {graphs.name!r} has node {what}, but must have none like the graphs that the "
                    "features were fitted on; leave them out, or fit again with them."
                )

    def _check_vocabulary(self, graphs: GraphData) -> None:
        """Raise `InputError` if either the map or a data set has the labels of molecules and the other has not.

        Numbers of other labels, such as OGB's, would be read as those of the vocabulary. The graphs of PyG's
        `from_smiles`, whose labels are named x, have its numbers.
        """
        if self.names is None or graphs.node_label is None:
            return
        theirs, own = vocabulary_of(graphs.node_label_values), self.vocabulary
        if own is MOLECULES and theirs is WITHOUT_STEREO:
            raise InputError(
                f"The molecules {graphs.name!r} have no labels of stereochemistry, but those that the features were "
                "fitted on have; convert them with stereo."
            )
        named = {self.names.node_label if own is None else graphs.names.node_label}
        if (own is None) != (theirs is None) and named != {"x"}:
            are = "are not" if theirs is None else "are"
            raise InputError(
                f"The labels of the data set {graphs.name!r} {are} those of molecules that this package converted, "
                "unlike the graphs that the features were fitted on; convert both in the same way, since a number may "
                "stand for another element, as in OGB's files."
            )

    @property
    def widths(self) -> tuple[int, int | None]:
        """`in_channels` and `edge_channels` of the encoder."""
        return self.channels, None if self.edges is None else self.edges.channels

    @property
    def has_node_attr(self) -> bool:
        """Whether the attributes of nodes are read."""
        return bool(self.mean) and not self.standardised_degree

    def apply_edges(self, graphs: GraphData, warn: bool = True) -> Tensor | None:
        """Return the encoder's input for the edges, see `EdgeFeatureMap.apply`; None without a map of the edges."""
        return None if self.edges is None else self.edges.apply(self._without_stereo(graphs), warn)

    def _without_stereo(self, graphs: GraphData) -> GraphData:
        """Return molecules without the labels of stereochemistry if the map does not read them."""
        if self.vocabulary is WITHOUT_STEREO and graphs.node_label_values == MOLECULES.atom_values:
            return without_stereo(graphs)
        return graphs

    def _one_hot_columns(self, attributes: Tensor) -> Tensor:
        """Return attributes that are already one-hot as (N, 1) int64 indices, which is faster, others standardised."""
        plain = not any(self.mean) and all(value == 1 for value in self.std)
        is_one_hot = (
            plain
            and bool(((attributes != 0).sum(dim=1) == 1).all())
            and bool((attributes.sum(dim=1) == 1).all())
        )
        if is_one_hot:
            return attributes.argmax(dim=1, keepdim=True)
        return standardise(attributes, self.mean, self.std)

    def to_dict(self) -> dict[str, Any]:
        """Return the map as dictionaries, lists, strings and numbers for JSON.

        Raises:
            InputError: a label is neither a string nor a number.
        """
        check_serialisable(self.label_values, "node")
        if self.edges is not None:
            self.edges.check_serialisable()
        vocabulary = {} if self.vocabulary is None else {"vocabulary": self.vocabulary.name}
        return dataclasses.asdict(self) | {
            "names": self.names and self.names._asdict(),
            **vocabulary,
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "FeatureMap":
        """Return the map from a dictionary of `to_dict`, also one of an earlier version, without edges or names.

        Raises:
            ValueError: the values are not those of a map.
        """
        values, mean, std = plain["label_values"], plain["mean"], plain["std"]
        largest, standardised = plain["largest_degree"], plain["standardised_degree"]
        check_loaded(values, mean, std)
        if largest is not None and (
            isinstance(largest, bool) or not isinstance(largest, int) or largest < 0
        ):
            raise ValueError("largest_degree must be a whole number or null")
        by_degree = largest is not None and not values and len(mean) == (1 if standardised else 0)
        by_content = largest is None and not standardised and (values or mean)
        if not isinstance(standardised, bool) or not (by_degree or by_content):
            raise ValueError("it must map either degrees, or labels and attributes")
        edges = None if plain.get("edges") is None else EdgeFeatureMap.from_dict(plain["edges"])
        names = None if plain.get("names") is None else _loaded_names(plain["names"])
        found = cls(
            tuple(map(tuple, values)), tuple(mean), tuple(std), largest, standardised, edges, names
        )
        wanted = plain.get("vocabulary")
        if wanted is not None and (found.vocabulary is None or found.vocabulary.name != wanted):
            known = " and ".join(VOCABULARIES)
            raise ValueError(f"this version has the vocabularies {known}, not {wanted!r}")
        return found


def write_features(folder: Path, features: FeatureMap, sync: bool = True) -> None:
    """Write a map, with its checksum, into a folder; `sync` as in `atomic_write`.

    Raises:
        InputError: a label is neither a string nor a number.
    """
    content = with_checksum(features.to_dict())
    with atomic_write(folder / FEATURES, sync) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_features(folder: Path) -> FeatureMap:
    """Return the map that a run or `write_features` wrote into a folder.

    Raises:
        InputError: there is none, or it is damaged.
    """
    path = folder / FEATURES
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        verify_checksum(content)
        return FeatureMap.from_dict(content)
    except (
        OSError,
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        reason = (
            error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        )
        raise InputError(
            f"{path} cannot be read ({reason}); give the folder of a run that this version made."
        ) from error


def _loaded_names(plain: Mapping[str, Any]) -> Names:
    """Return the names from a dictionary that was read from a file, or raise `ValueError`."""
    names: dict[str, Any] = {
        name: tuple(held) if isinstance(held, list) else held for name, held in plain.items()
    }
    for column, held in names.items():
        every = (held,) if column.endswith("label") else held
        if held is not None and not (
            isinstance(every, tuple) and all(isinstance(name, str) for name in every)
        ):
            raise ValueError("labels must have a name, and attributes a list of names")
    return Names(**names)


def node_features(graphs: GraphData, use_node_attr: bool = False) -> NodeFeatures:
    """Return the node features of a data set by the map that `FeatureMap.fit` returns for it.

    Raises:
        InputError: attributes are requested but the data set has none, or an attribute is not finite.
    """
    features = FeatureMap.fit(graphs, use_node_attr)
    return NodeFeatures(features.apply(graphs), features.channels, features.description)


def _degree(graphs: GraphData) -> Tensor:
    """Return the number of outgoing edges of each node, (N, 1) int64."""
    return torch.bincount(graphs.edge_index[0], minlength=graphs.num_nodes).unsqueeze(1)
