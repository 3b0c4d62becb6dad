"""A TU folder's arrays in a cache file beside it, which is much faster to read than the text."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from graphcl_hard.download import LOCK_SECONDS
from graphcl_hard.records import replacing
from graphcl_hard.tu_format import TuArrays, read_tu_folder, tu_digest

CACHE_FORMAT = 2  # raise when TuArrays or the meaning of a field changes


def read_cached(raw_dir: Path, name: str, processed_dir: Path | None, force_reload: bool = False) -> TuArrays:
    """`read_tu_folder` with a cache in ``processed_dir``, valid for exactly the present content of the files.

    A damaged or outdated cache file is replaced. Where it cannot be written, or for None, there is no cache.
    """
    if processed_dir is None:
        return read_tu_folder(raw_dir, name)
    digest = f"{CACHE_FORMAT} {tu_digest(raw_dir, name)}"
    path = processed_dir / "tu_arrays.pt"
    arrays = None if force_reload else _load_cache(path, digest)
    if arrays is not None:
        return arrays
    arrays = read_tu_folder(raw_dir, name)
    content = io.BytesIO()  # torch reports a full disk as RuntimeError, which would hide mistakes of ours
    fields = {k: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for k, v in arrays._asdict().items()}
    torch.save({"digest": digest, **fields}, content)
    try:
        processed_dir.mkdir(parents=True, exist_ok=True)
        with FileLock(processed_dir / ".lock", timeout=LOCK_SECONDS), replacing(path) as partial:
            partial.write_bytes(content.getbuffer())
    except OSError:  # also the time-out of the lock
        pass
    return arrays


def _load_cache(path: Path, digest: str) -> TuArrays | None:
    try:
        content: dict[str, Any] = torch.load(path, weights_only=True)
        if content.pop("digest") != digest:
            return None
        fields: dict[str, Any] = {
            key: value.numpy() if isinstance(value, Tensor) else value for key, value in content.items()
        }
        return TuArrays(**fields)
    except Exception:  # a damaged file fails in as many ways as there are bytes; all mean: read the text again
        return None
