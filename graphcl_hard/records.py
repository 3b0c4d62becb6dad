"""What a run leaves on disk: a folder whose files are each written whole or not at all."""

import csv
import importlib.metadata
import io
import json
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from graphcl_hard.errors import InputError

CONFIG, METRICS, RESULT = "config.yaml", "metrics.csv", "result.json"
SUMMARY, EMBEDDINGS = "summary.json", "embeddings.npz"
LOCK = ".lock"
PACKAGES = (
    "graphcl_hard",
    "torch",
    "torch-geometric",
    "torch-scatter",
    "lightning-fabric",
    "scikit-learn",
    "scipy",
    "numpy",
)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well, and is removed when it does not."""
    # The suffix stays last: writers such as np.savez and matplotlib read the format from it.
    handle, name = tempfile.mkstemp(prefix=".part-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        partial.chmod(0o666 & ~_umask())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


class RunFolder:
    """The folder of one run, locked while it is being written.

    Args:
        path: the folder; it must not exist, or be empty, unless `overwrite` is set.
        overwrite: replace the run that the folder holds. A folder that holds no run is never touched.

    Raises:
        InputError: the folder is taken, holds something else, cannot be made, or another run is writing to it.
    """

    def __init__(self, path: Path, overwrite: bool = False) -> None:
        self.path = path
        self._rows: list[dict[str, Any]] = []
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(path / LOCK)
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise InputError(f"Another run is writing to {path}; wait for its end or choose another --out.") from error
        except OSError as error:
            raise InputError(f"The folder {path} cannot be written: {error.strerror}; choose another --out.") from error
        try:
            self._make_room(overwrite)
        except BaseException:
            self.close()
            raise

    def _make_room(self, overwrite: bool) -> None:
        present = [entry for entry in self.path.iterdir() if entry.name != LOCK]
        if not present:
            return
        if not (self.path / CONFIG).exists():
            raise InputError(
                f"The folder {self.path} holds something other than a run ({present[0].name}), which --overwrite does "
                "not touch either; choose another --out."
            )
        if not overwrite:
            raise InputError(f"The folder {self.path} holds a run; give --overwrite to replace it, or another --out.")
        for entry in present:
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def close(self) -> None:
        """Give the folder free; one in which nothing was written is removed."""
        (self.path / LOCK).unlink(missing_ok=True)
        self._lock.release()
        if not any(self.path.iterdir()):
            self.path.rmdir()

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write_text(self, name: str, text: str) -> None:
        """Write a text file."""
        with replacing(self.path / name) as partial:
            partial.write_text(text, encoding="utf-8")

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a JSON file; numbers that JSON lacks (nan, infinity) are refused."""
        self.write_text(name, json.dumps(content, indent=2, allow_nan=False) + "\n")

    def add_row(self, name: str, row: Mapping[str, Any]) -> None:
        """Add a line to the run's CSV file; the first row names the columns."""
        self._rows.append(dict(row))
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(self._rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows)
        # The file is written anew each time: it is small, and no reader ever sees half a line.
        self.write_text(name, text.getvalue())


def default_folder(dataset: str, now: datetime) -> Path:
    """A folder under runs/ that does not exist yet, named by data set and time."""
    stem = f"{Path(dataset).name}-{now:%Y%m%d-%H%M%S}"
    folder, number = Path("runs") / stem, 1
    while folder.exists():
        number += 1
        folder = Path("runs") / f"{stem}-{number}"
    return folder


def environment() -> dict[str, Any]:
    """Versions of the packages, the platform, the cores, and the git commit of the package's own checkout."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "versions": versions,
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "git_commit": git_commit(Path(__file__).parent),
    }


def git_commit(folder: Path) -> str | None:
    """The commit of the checkout that tracks `folder`, with "-dirty" where tracked files differ; None outside one."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(folder), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()

    try:
        # An installed package may lie inside somebody else's repository, which does not track it.
        git("ls-files", "--error-unmatch", "__init__.py")
        return git("rev-parse", "HEAD") + ("-dirty" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
