"""Write files completely or not at all, and sync them to disk before they replace older ones."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARTIAL = ".part-"


@contextmanager
def atomic_write(path: Path, sync: bool = True) -> Iterator[Path]:
    """Yield a temporary path that replaces `path` if the block succeeds, and is removed if it raises.

    Args:
        path: the file.
        sync: whether to wait until the file is on the disk. Without it, a power failure may leave an empty file under
            this name. Syncing takes milliseconds, so files that are rewritten every epoch do without.

    Raises:
        OSError: the file cannot be written; `filename` is `path`.
    """
    partial = None
    try:
        # The suffix stays last: np.savez and matplotlib derive the format from it.
        handle, name = tempfile.mkstemp(prefix=PARTIAL, suffix=path.suffix, dir=path.parent)
        os.close(handle)
        partial = Path(name)
        yield partial
        if sync:
            sync_file(partial)
        partial.chmod(0o666 & ~_umask())
        partial.replace(path)
        if sync:
            sync_folder(path.parent)
    except OSError as error:
        error.filename = str(path)  # the error of a full disk names no file
        raise
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)


def sync_file(path: Path) -> None:
    """Wait until a file's content is on the disk."""
    _sync(path, os.O_RDWR)


def sync_folder(path: Path) -> None:
    """Wait until the entries of a folder are on the disk, so that renames before this call precede those after it."""
    if os.name != "nt":  # Windows cannot open folders
        _sync(path, os.O_RDONLY)


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (
            errno.EINVAL,
            errno.ENOTSUP,
        ):  # some network file systems cannot sync
            raise
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
