"""Files that are written whole or not at all, and are on the disk itself before they take an older one's place."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARTIAL = ".part-"


@contextmanager
def atomic_write(path: Path, sync: bool = True) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well, and is removed when it does not.

    Args:
        path: the file.
        sync: whether to wait for the disk: without, a failure of power may leave a file of this name that is empty.
            It takes milliseconds, so that what each epoch writes anew does without.
    """
    partial = None
    try:
        # The suffix stays last: writers such as np.savez and matplotlib read the format from it.
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
        error.filename = str(path)  # a full disk does not say which file
        raise
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)


def sync_file(path: Path) -> None:
    """Wait until a file's content is on the disk."""
    _sync(path, os.O_RDWR)


def sync_folder(path: Path) -> None:
    """Wait until the names of a folder's files are on the disk, so that a renaming before comes before all after it."""
    if os.name != "nt":  # Windows opens no folders
        _sync(path, os.O_RDONLY)


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems cannot
            raise
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
