"""How far a run's training has come, on disk: one file, written whole, that carries its own sum."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from graphcl_hard.errors import InputError
from graphcl_hard.records import CHECKPOINT, replacing
from graphcl_hard.training import Epoch, TrainingState


@dataclass
class Progress:
    """What a training has left so far beside its state."""

    epochs: list[Epoch] = field(default_factory=list)
    embeddings: dict[int, npt.NDArray[np.floating]] = field(default_factory=dict)
    """Of the scored epochs, (G, L*H) each; 0 is untrained."""
    encoders: dict[int, dict[str, Tensor]] = field(default_factory=dict)
    """Weights by epoch, where the best epoch's are wanted."""


def write_checkpoint(folder: Path, state: TrainingState, progress: Progress) -> None:
    """Replace the folder's checkpoint, in safetensors with a SHA-256 of the content."""
    tensors = state.to_tensors()
    tensors |= {f"embedding.{epoch}": torch.from_numpy(array) for epoch, array in progress.embeddings.items()}
    for epoch, encoder in progress.encoders.items():
        tensors |= {f"encoder.{epoch}.{name}": tensor.cpu() for name, tensor in encoder.items()}
    text = json.dumps([epoch._asdict() for epoch in progress.epochs])
    write_summed(folder / CHECKPOINT, tensors, "epochs", text)


def read_checkpoint(folder: Path, state: TrainingState) -> Progress | None:
    """Put the folder's checkpoint into `state`; None, and an untouched state, where there is no checkpoint.

    Raises:
        InputError: the file cannot be read, or is not what was written.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    try:
        tensors, text = read_summed(path, "epochs")
    except InputError as error:
        raise InputError(f"The checkpoint {error}; remove it to start again.") from error
    progress = Progress([Epoch(**row) for row in json.loads(text)])
    for name, tensor in tensors.items():
        kind, _, rest = name.partition(".")
        if kind == "embedding":
            progress.embeddings[int(rest)] = tensor.numpy()
        elif kind == "encoder":
            epoch, _, parameter = rest.partition(".")
            progress.encoders.setdefault(int(epoch), {})[parameter] = tensor
    state.load_tensors(tensors, len(progress.epochs))
    return progress


def write_summed(path: Path, tensors: Mapping[str, Tensor], key: str, text: str) -> None:
    """Replace a file of tensors, and a text by this key, in safetensors with a SHA-256 of both."""
    content = save(dict(tensors), {key: text, "sha256": _digest(tensors, text)})
    with replacing(path) as partial:
        partial.write_bytes(content)


def read_summed(path: Path, key: str) -> tuple[dict[str, Tensor], str]:
    """The tensors, on the CPU, and the text that `write_summed` put there.

    Raises:
        InputError: the file cannot be read, or is not what was written; a sentence begun with the path, and no advice.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    text = metadata.get(key, "")
    if metadata.get("sha256") != _digest(tensors, text):
        raise InputError(f"{path} is not what was written (its sum differs)")
    return tensors, text


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    found = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        array: npt.NDArray[Any] = tensors[name].numpy()
        found.update(f"{name} {array.dtype} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()
