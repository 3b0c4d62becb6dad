"""Checkpoints of a training: the last one and the one before it, each with its own checksum."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from graphcl_hard.exceptions import InputError, first_line
from graphcl_hard.io.atomic_write import atomic_write
from graphcl_hard.io.checksum import encode_checksummed, read_checksummed
from graphcl_hard.io.file_names import CHECKPOINTS
from graphcl_hard.training.state import Epoch, TrainingState


@dataclass
class Progress:
    """The results of a training so far, in addition to its state."""

    epochs: list[Epoch] = field(default_factory=list)
    embeddings: dict[int, npt.NDArray[np.floating]] = field(default_factory=dict)
    """Embeddings of the scored epochs, (G, L*H) each; epoch 0 is untrained."""
    encoders: dict[int, dict[str, Tensor]] = field(default_factory=dict)
    """Weights of each epoch, if those of the best epoch are needed."""
    whole: dict[str, Tensor] = field(default_factory=dict)
    """Weights of the encoder after the last whole epoch; only a checkpoint within the next one holds them."""
    data: str | None = None
    """Checksum of the data set; None in a checkpoint of an earlier version."""
    complaint: str | None = None
    """Why the last checkpoint was not used, if the one before it was."""


def write_checkpoint(folder: Path, state: TrainingState, progress: Progress) -> None:
    """Write a checkpoint into the folder, in safetensors with a SHA-256 checksum, and keep the previous one.

    A process that is killed at any moment leaves at least one of the two complete.
    """
    tensors = state.to_tensors()
    tensors |= {
        f"embedding.{epoch}": torch.from_numpy(array)
        for epoch, array in progress.embeddings.items()
    }
    for epoch, encoder in progress.encoders.items():
        tensors |= {f"encoder.{epoch}.{name}": tensor.cpu() for name, tensor in encoder.items()}
    if state.partial is not None:
        tensors |= {f"whole.{name}": tensor.cpu() for name, tensor in progress.whole.items()}
    text = {"data": progress.data, "epochs": [epoch._asdict() for epoch in progress.epochs]}
    content = encode_checksummed(tensors, "epochs", json.dumps(text))
    latest, before = (folder / name for name in CHECKPOINTS)
    with atomic_write(latest) as partial:
        partial.write_bytes(content)
        if latest.exists():
            latest.replace(before)


def read_checkpoint(folder: Path, state: TrainingState) -> Progress | None:
    """Load the folder's last complete checkpoint into `state`; return None, and leave `state`, if there is none.

    A damaged checkpoint is removed if the one before it is complete, and `Progress.complaint` says so.

    Raises:
        InputError: no checkpoint can be read, or all are damaged.
    """
    complaints: list[str] = []
    paths = [path for path in (folder / name for name in CHECKPOINTS) if path.exists()]
    for path in paths:
        try:
            progress = _read(path, state)
        except InputError as error:
            complaints.append(str(error))
            continue
        if complaints:
            progress.complaint = (
                f"The checkpoint {complaints[0]}; the one before it is used, of {_place(state)}."
            )
            paths[
                0
            ].unlink()  # otherwise the next write would move it into the place of the good one
        return progress
    if complaints:
        raise InputError(f"The checkpoint {' and '.join(complaints)}; remove it to start again.")
    return None


def read_data_checksum(folder: Path) -> str | None:
    """Return the checksum of the data set in the folder's last complete checkpoint; None if there is none."""
    for path in (folder / name for name in CHECKPOINTS):
        try:
            content = json.loads(read_checksummed(path, "epochs")[1])
        except (InputError, ValueError):
            continue
        return content["data"] if isinstance(content, dict) else None
    return None


def remove_checkpoints(folder: Path) -> None:
    """Remove the checkpoints, which a finished run does not need."""
    for name in CHECKPOINTS:
        (folder / name).unlink(missing_ok=True)


def _place(state: TrainingState) -> str:
    """Return up to where a state is trained, for a message."""
    if state.partial is None:
        return f"epoch {state.epoch}"
    return f"step {len(state.partial.anchors)} of epoch {state.epoch + 1}"


def _read(path: Path, state: TrainingState) -> Progress:
    tensors, text = read_checksummed(path, "epochs")
    try:
        content = json.loads(text)
        if isinstance(content, list):  # of an earlier version
            content = {"data": None, "epochs": content}
        progress = Progress([Epoch(**row) for row in content["epochs"]], data=content["data"])
        for name, tensor in tensors.items():
            kind, _, rest = name.partition(".")
            if kind == "embedding":
                progress.embeddings[int(rest)] = tensor.numpy()
            elif kind == "encoder":
                epoch, _, parameter = rest.partition(".")
                progress.encoders.setdefault(int(epoch), {})[parameter] = tensor
            elif kind == "whole":
                progress.whole[rest] = tensor
        state.load_tensors(tensors, len(progress.epochs))
    except (ValueError, TypeError, KeyError, RuntimeError) as error:
        raise InputError(f"{path} is of another training: {first_line(error)}") from error
    return progress
