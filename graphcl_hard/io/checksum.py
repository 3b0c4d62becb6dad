"""Files of tensors that carry their own sum, so that one that was cut short or changed is never taken for whole."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from graphcl_hard.exceptions import InputError, first_line
from graphcl_hard.io.atomic_write import atomic_write


def encode_checksummed(tensors: Mapping[str, Tensor], key: str | None = None, text: str = "") -> bytes:
    """Tensors, and a text by this key, in safetensors with a SHA-256 of both.

    Without a text the same tensors give the same bytes; safetensors puts the entries of its header in any order.
    """
    return save(dict(tensors), ({} if key is None else {key: text}) | {"sha256": tensors_checksum(tensors, text)})


def write_checksummed(
    path: Path, tensors: Mapping[str, Tensor], key: str | None = None, text: str = "", sync: bool = True
) -> None:
    """Replace a file by what `encode_checksummed` gives; `sync` as in `atomic_write`."""
    content = encode_checksummed(tensors, key, text)
    with atomic_write(path, sync) as partial:
        # Not safetensors' own writer, which hides a full disk behind an exception of its own.
        partial.write_bytes(content)


def read_checksummed(path: Path, key: str | None = None, required: bool = True) -> tuple[dict[str, Tensor], str]:
    """The tensors, on the CPU, and the text that `write_checksummed` put there.

    Args:
        path: the file.
        key: the text's; None: it has none.
        required: whether a file that carries no sum is refused; one that other software wrote has none.

    Raises:
        InputError: the file cannot be read, or is not what was written; a sentence begun with the path, and no advice.
    """
    try:
        content = path.read_bytes()
        tensors = load(content)  # not safe_open, which keeps 64 bytes of each tensor for ever
        metadata = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")]).get("__metadata__") or {}
        text = "" if key is None else metadata.get(key, "")
        found = metadata.get("sha256")
        whole = found == tensors_checksum(tensors, text) if required or found is not None else True
    except (OSError, SafetensorError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{path} cannot be read: {first_line(error)}") from error
    if not whole:
        raise InputError(f"{path} is not what was written (its sum differs)")
    return tensors, text


def tensors_checksum(tensors: Mapping[str, Tensor], text: str = "") -> str:
    """The SHA-256 that `write_checksummed` gives a file of these."""
    found = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        array: npt.NDArray[Any] = tensors[name].numpy()
        found.update(f"{name} {array.dtype} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def with_checksum(content: Mapping[str, Any]) -> dict[str, Any]:
    """What a JSON file is to hold, and by the name "sum" its sum."""
    return {**content, "sum": json_checksum(content)}


def json_checksum(content: Mapping[str, Any]) -> str:
    """The SHA-256 of what a JSON file holds, but for a sum of its own by the name "sum"."""
    held = {name: value for name, value in content.items() if name != "sum"}
    return hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()
