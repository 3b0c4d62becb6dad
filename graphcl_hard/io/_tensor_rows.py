"""Read single rows of the tensors in a safetensors file, without loading the others."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

DTYPES: dict[str, np.dtype[Any]] = {
    "U8": np.dtype(np.uint8),
    "I16": np.dtype("<i2"),
    "I32": np.dtype("<i4"),
    "I64": np.dtype("<i8"),
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
}
MAX_HEADER = 2**20


class TensorRows:
    """A safetensors file whose header is read at once, and whose rows are read on request.

    The library's own `safe_open` maps the file and never frees a few bytes for every tensor it returned, so its memory
    grows over millions of small reads.

    Args:
        path: the file. The caller has verified its checksum.

    Attributes:
        metadata: the header's own metadata, beside the tensors.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not a safetensors file.

    Source: https://huggingface.co/docs/safetensors (the format).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if size > MAX_HEADER:
                raise ValueError("its header is too large")
            header: Any = json.loads(file.read(size))
        self._start = 8 + size
        self.metadata: Any = header.get("__metadata__") or {}
        self._entries = {
            name: self._entry(entry) for name, entry in header.items() if name != "__metadata__"
        }

    def read(self, bounds: Mapping[str, tuple[int, int] | None]) -> dict[str, Tensor]:
        """Read the rows [low, high) of each named tensor, or all of its rows for None.

        Returns:
            name -> (high - low, ...), in the dtype of the file.

        Raises:
            OSError: the file cannot be read.
            LookupError: there is no such tensor.
            ValueError: the file is truncated, or has no such rows.
        """
        found = {}
        with self._path.open("rb") as file:
            for name, rows in bounds.items():
                dtype, shape, offset = self._entries[name]
                low, high = (0, shape[0]) if rows is None else rows
                if not 0 <= low <= high <= shape[0]:
                    raise ValueError(f"it has no rows {low} to {high} of {name}")
                width = int(np.prod(shape[1:], dtype=np.int64))
                file.seek(self._start + offset + low * width * dtype.itemsize)
                content = file.read((high - low) * width * dtype.itemsize)
                array = np.frombuffer(bytearray(content), dtype)
                found[name] = torch.from_numpy(array.reshape(high - low, *shape[1:]))
        return found

    @staticmethod
    def _entry(entry: Any) -> tuple[np.dtype[Any], tuple[int, ...], int]:
        try:
            shape = tuple(map(int, entry["shape"]))
            (offset, end), dtype = entry["data_offsets"], DTYPES[entry["dtype"]]
            if (
                not shape
                or min(shape) < 0
                or end - offset != np.prod(shape, dtype=np.int64) * dtype.itemsize
            ):
                raise ValueError("the length of a tensor does not match its shape")
        except (AttributeError, LookupError, TypeError) as error:
            raise ValueError("its header is not one of safetensors") from error
        return dtype, shape, int(offset)
