"""Any saved encoder from its folder, of whichever class."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graphcl_hard.nn.encoders.base import GraphEncoder, saved_arguments
from graphcl_hard.nn.encoders.gin import GINEncoder
from graphcl_hard.nn.encoders.message_passing import MessagePassingEncoder


def load_encoder(folder: str | Path) -> GraphEncoder:
    """The encoder that a run, or `save_pretrained`, left in a folder, of whichever class. Nothing is unpickled.

    Args:
        folder: holds encoder.json and encoder.safetensors.

    Returns:
        A `GINEncoder` or `MessagePassingEncoder`, in evaluation mode, on the CPU, in its saved precision.

    Raises:
        InputError: a file is missing, cut short, or does not fit the other; or this version knows no such encoder.
    """
    return _class_of(saved_arguments(Path(folder))["encoder"]).from_pretrained(folder)


def make_encoder(arguments: Mapping[str, Any]) -> GraphEncoder:
    """A new encoder with the arguments that another one's `arguments` hold."""
    return _class_of(arguments["encoder"])._from_arguments(**arguments)


def _class_of(name: str) -> type[GraphEncoder]:
    return GINEncoder if name in GINEncoder.names else MessagePassingEncoder
