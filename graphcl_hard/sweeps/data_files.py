"""Which files a data set of a sweep is read from, without reading its graphs."""

import hashlib
import json
from functools import lru_cache
from pathlib import Path

from graphcl_hard.data.tu.names import SHARDS_INDEX, default_data_dir, embedded_folder, is_path


def data_files(source: str, data_dir: str | Path | None = None) -> str | None:
    """Return a digest of the files of a data set, the name of an embedded one, or None without files.

    A data set has no files where it has not been fetched yet, as on a machine that only writes the report.

    Args:
        source: name or path, the argument of `load_graphs`.
        data_dir: as for `load_graphs`.
    """
    if is_path(source):
        folder = Path(source)
        index = folder / SHARDS_INDEX  # of shards; it has the checksums of the others
        files = [index] if index.is_file() else sorted(folder.glob("*.txt"))
    elif data_dir is None and embedded_folder(source) is not None:
        return source
    else:
        folder = default_data_dir() if data_dir is None else Path(data_dir)
        files = sorted((folder / source).glob(f"{source}_*.txt"))
    if not files:
        return None
    return _digest(
        tuple((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in files)
    )


@lru_cache(maxsize=16)  # all cells of a data set ask for it
def _digest(files: tuple[tuple[str, int, int], ...]) -> str:
    found = {}
    for name, _, _ in files:
        found[Path(name).name] = hashlib.sha256(Path(name).read_bytes()).hexdigest()
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()[:16]
