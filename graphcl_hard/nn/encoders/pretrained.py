"""Load saved encoders of any class."""

from collections.abc import Mapping
from typing import Any

from graphcl_hard.io.paths import Pathname, user_path
from graphcl_hard.nn.encoders.base import GraphEncoder, saved_arguments
from graphcl_hard.nn.encoders.gin import GINEncoder
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


def make_encoder(arguments: Mapping[str, Any]) -> GraphEncoder:
    """Return a new encoder with the `arguments` of another one."""
    return _class_of(arguments["encoder"])._from_arguments(**arguments)


def _class_of(name: str) -> type[GraphEncoder]:
    return GINEncoder if name in GINEncoder.names else MessagePassingEncoder
