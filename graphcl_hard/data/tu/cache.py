"""Cache the arrays of a TU folder in a file that is much faster to read than the text files."""

import json
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock

from graphcl_hard.data.tu.download import LOCK_SECONDS
from graphcl_hard.data.tu.reader import TuArrays, read_tu_folder, tu_digest, warn_of
from graphcl_hard.exceptions import InputError
from graphcl_hard.io.checksum import read_checksummed, write_checksummed

CACHE_FORMAT = 6  # increase when TuArrays or the meaning of a field changes
PLAIN = ("num_graphs", "num_edge_attributes", "notes")  # the fields that are not arrays


def read_cached(
    raw_dir: Path, name: str, processed_dir: Path | None, force_reload: bool = False
) -> TuArrays:
    """Read a TU folder as `read_tu_folder` does, through a cache file in ``processed_dir``.

    The cache is valid only for the current content of the files; a damaged or outdated cache file is replaced. What may
    be wrong with the files is warned of each time. There is no cache if ``processed_dir`` is None or cannot be written.

    Args:
        raw_dir: folder with the files.
        name: name of the data set.
        processed_dir: folder for the cache file.
        force_reload: whether to ignore an existing cache file.

    Raises:
        InputError: as in `read_tu_folder`.
    """
    if processed_dir is None:
        return read_tu_folder(raw_dir, name)
    digest = f"{CACHE_FORMAT} {tu_digest(raw_dir, name)}"
    path = processed_dir / "tu_arrays.safetensors"
    arrays = None if force_reload else _load_cache(path, digest)
    if arrays is not None:
        warn_of(arrays.notes, raw_dir)
        return arrays
    arrays = read_tu_folder(raw_dir, name)
    tensors = {
        key: torch.from_numpy(v).contiguous()
        for key, v in arrays._asdict().items()
        if isinstance(v, np.ndarray)
    }
    text = json.dumps({"digest": digest, **{key: getattr(arrays, key) for key in PLAIN}})
    try:
        processed_dir.mkdir(parents=True, exist_ok=True)
        with FileLock(processed_dir / ".lock", timeout=LOCK_SECONDS):
            write_checksummed(path, tensors, "set", text)
    except OSError:  # including a timeout of the lock
        pass
    return arrays


def _load_cache(path: Path, digest: str) -> TuArrays | None:
    try:
        tensors, text = read_checksummed(path, "set")
        content = json.loads(text)
        known, others = content["digest"], {key: content[key] for key in PLAIN}
    except (
        InputError,
        LookupError,
        TypeError,
        ValueError,
    ):  # missing, damaged, or another kind of file
        return None
    if known != digest:
        return None
    arrays = {key: tensors[key].numpy() if key in tensors else None for key in TuArrays._fields}
    return TuArrays(**arrays | others | {"notes": tuple(others["notes"])})
