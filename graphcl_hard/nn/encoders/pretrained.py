"""Load saved encoders of any class, and the encoders that have a name."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from graphcl_hard._tensor import initial_state
from graphcl_hard.data.molecules.featurize import NAMES
from graphcl_hard.data.molecules.vocabulary import WITHOUT_STEREO
from graphcl_hard.exceptions import InputError
from graphcl_hard.io.file_names import FEATURES
from graphcl_hard.io.paths import Pathname, user_path
from graphcl_hard.loader.features import EdgeFeatureMap, FeatureMap, read_features
from graphcl_hard.nn.encoders.base import GraphEncoder, saved_arguments
from graphcl_hard.nn.encoders.gin import GINEncoder
from graphcl_hard.nn.encoders.initialisation import initialise
from graphcl_hard.nn.encoders.message_passing import MessagePassingEncoder


def load_encoder(folder: Pathname) -> GraphEncoder:
    """Load the encoder that a run, or `save_pretrained`, wrote to a folder. Nothing is unpickled.

    Args:
        folder: folder with encoder.json and encoder.safetensors.

    Returns:
        A `GINEncoder` or `MessagePassingEncoder`, in evaluation mode, on the CPU, in its saved precision.

    Raises:
        InputError: a file is missing, truncated, or does not fit the other; or this version knows no such encoder.

    Examples:
        >>> import tempfile
        >>> from graphcl_hard import GINEncoder, load_encoder
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     GINEncoder(in_channels=4, hidden_channels=8).save_pretrained(folder)
        ...     encoder = load_encoder(folder)
        >>> type(encoder).__name__, encoder.out_channels, encoder.training
        ('GINEncoder', 24, False)
    """
    path = user_path(folder, "folder")
    return _class_of(saved_arguments(path)["encoder"]).from_pretrained(path)


@initial_state()
def molecules_random() -> tuple[GraphEncoder, FeatureMap]:
    """Return "molecules-random": an untrained gine of 4 layers of 512 channels for molecules, and its features.

    Its weights are made on the fly from a fixed seed, so that its vectors are the same everywhere up to rounding. Batch
    norm has its initial statistics. It reads no stereochemistry, so that a molecule has one vector, however its SMILES
    is written.
    """
    features = FeatureMap(
        WITHOUT_STEREO.atom_values, edges=EdgeFeatureMap(WITHOUT_STEREO.bond_values), names=NAMES
    )
    in_channels, edge_channels = features.widths
    # PyTorch's own initial weights must not take the caller's random numbers.
    with torch.random.fork_rng(devices=[]):
        encoder = MessagePassingEncoder(
            "gine", in_channels, hidden_channels=512, num_layers=4, edge_channels=edge_channels
        )
    initialise(encoder, seed=0)
    return encoder.eval(), features


NAMED: dict[str, Callable[[], tuple[GraphEncoder, FeatureMap]]] = {
    "molecules-random": molecules_random
}
"""The encoders that come with the package."""


def load_pretrained(name_or_folder: Pathname) -> tuple[GraphEncoder, FeatureMap]:
    """Load an encoder, and how nodes and edges become its inputs.

    Args:
        name_or_folder: name of an encoder of the package, or the folder of a run or of `save_pretrained`. A folder that
            has such a name is given by a path with a "/".

    Raises:
        InputError: as in `load_encoder`; there is no features.json that fits the encoder; or a name is a folder too.
    """
    if isinstance(name_or_folder, str) and name_or_folder in NAMED:
        if Path(name_or_folder).exists():
            raise InputError(
                f"{name_or_folder!r} is an encoder of the package and a folder here; give './{name_or_folder}' for the "
                "folder, or rename it."
            )
        return NAMED[name_or_folder]()
    path = user_path(name_or_folder, "name_or_folder")
    if isinstance(name_or_folder, str) and not path.exists() and "/" not in name_or_folder:
        raise InputError(
            f"There is no folder and no encoder {name_or_folder!r}; the encoders of the package are "
            f"{', '.join(NAMED)}."
        )
    encoder, features = load_encoder(path), read_features(path)
    if encoder.edge_channels is not None and features.edges is None:
        raise InputError(
            f"{path} has the encoder gine but no map of the edge features, which an earlier version did not keep; run "
            "it again with its config.yaml."
        )
    if features.widths != (encoder.in_channels, encoder.edge_channels):
        raise InputError(
            f"{path / FEATURES} is of another encoder: it makes {features.channels} features of a node, and the "
            f"encoder reads {encoder.in_channels}; save both again."
        )
    return encoder, features


def make_encoder(arguments: Mapping[str, Any]) -> GraphEncoder:
    """Return a new encoder with the `arguments` of another one."""
    return _class_of(arguments["encoder"])._from_arguments(**arguments)


def _class_of(name: str) -> type[GraphEncoder]:
    return GINEncoder if name in GINEncoder.names else MessagePassingEncoder
