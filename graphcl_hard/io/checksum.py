"""Tensor and JSON files that contain their own checksum, so that truncated or changed files are detected."""

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


def encode_checksummed(
    tensors: Mapping[str, Tensor], key: str | None = None, text: str = ""
) -> bytes:
    """Return tensors, and a text under `key`, in the safetensors format, with the SHA-256 of both in the header.

    The bytes are reproducible only without a text, as safetensors orders the entries of its metadata arbitrarily.
    """
    return save(
        dict(tensors),
        ({} if key is None else {key: text}) | {"sha256": tensors_checksum(tensors, text)},
    )


def write_checksummed(
    path: Path,
    tensors: Mapping[str, Tensor],
    key: str | None = None,
    text: str = "",
    sync: bool = True,
) -> None:
    """Write the bytes of `encode_checksummed` to a file; `sync` as in `atomic_write`."""
    content = encode_checksummed(tensors, key, text)
    with atomic_write(path, sync) as partial:
        # safetensors' own writer would hide a full disk behind an exception of its own.
        partial.write_bytes(content)


def read_checksummed(
    path: Path, key: str | None = None, required: bool = True
) -> tuple[dict[str, Tensor], str]:
    """Read the tensors, on the CPU, and the text that `write_checksummed` wrote.

    Args:
        path: the file.
        key: the key of the text, or None if there is none.
        required: whether to refuse files without a checksum, such as those of other software.

    Raises:
        InputError: the file cannot be read or does not match its checksum. The message begins with the path and has no
            remedy, which the caller appends.
    """
    try:
        content = path.read_bytes()
        tensors = load(content)  # safe_open would never free 64 bytes of each tensor
        metadata = (
            json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")]).get("__metadata__")
            or {}
        )
        text = "" if key is None else metadata.get(key, "")
        found = metadata.get("sha256")
        matches = (found is None and not required) or found == tensors_checksum(tensors, text)
    except (OSError, SafetensorError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{path} cannot be read: {first_line(error)}") from error
    if not matches:
        raise InputError(f"{path} was changed or damaged (its checksum does not match)")
    return tensors, text


def tensors_checksum(tensors: Mapping[str, Tensor], text: str = "") -> str:
    """Return the SHA-256 that `write_checksummed` stores with these tensors and this text."""
    found = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        array: npt.NDArray[Any] = tensors[name].numpy()
        found.update(f"{name} {array.dtype} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def with_checksum(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a JSON file with its checksum added under the key "sum"."""
    return {**content, "sum": _json_checksum(content)}


def verify_checksum(content: Mapping[str, Any]) -> None:
    """Raise ValueError if the content of a JSON file has no checksum from `with_checksum`, or does not match it."""
    if "sum" not in content:
        raise ValueError("it has no checksum")
    if content["sum"] != _json_checksum(content):
        raise ValueError("its checksum does not match")


def _json_checksum(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the content of a JSON file, without the key "sum"."""
    rest = {name: value for name, value in content.items() if name != "sum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
