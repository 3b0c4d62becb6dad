"""The folder of a run, whose files are each written completely or not at all."""

import csv
import io
import itertools
import json
import re
import shutil
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from graphcl_hard.exceptions import InputError, first_line, short_repr
from graphcl_hard.io.atomic_write import PARTIAL, atomic_write, sync_file, sync_folder
from graphcl_hard.io.file_names import (
    CONFIG,
    EVENTS,
    FEATURES,
    LOCK,
    LOGS,
    METRICS,
    MOVING,
    REPLACED,
    RESULT,
    RUN_FILES,
)


def check_vacant(
    path: Path, overwrite: bool, resume: bool = False, can_resume: bool = True
) -> None:
    """Raise `InputError` unless a run may be written to the folder; touch nothing.

    The folder must be missing or empty; with `overwrite` it may have a run in it and nothing else, and with `resume`
    what a run leaves when it is killed. `can_resume` says whether the command has --resume, to name it.
    """
    try:
        entries = [entry for entry in path.iterdir() if entry.name != LOCK] if path.exists() else []
    except OSError as error:
        raise InputError(
            f"The folder {path} cannot be read: {error.strerror}; choose another --out."
        ) from error
    if not entries:
        return
    strange = _strange(path)
    flags = "--overwrite and --resume do not" if can_resume else "--overwrite does not"
    if strange is not None or not (_is_stopped_run(path) if resume else _is_run(path)):
        raise InputError(
            f"The folder {path} has something other than a run in it ({strange or entries[0].name}), which "
            f"{flags} touch either; choose another --out."
        )
    if not (overwrite or resume):
        raise InputError(
            f"The folder {path} has a run in it; give {'--resume to continue it, ' if can_resume else ''}--overwrite "
            "to replace it, or another --out."
        )


class RunFolder:
    """The folder of one run, locked while the run writes to it; a context manager.

    Args:
        path: the folder. It is made and locked, and released again if `check_vacant` refuses it.
        overwrite: whether to replace the run in the folder. It is moved to the subfolder replaced-run until the new run
            has finished, and stays there if the new run fails.
        resume: whether to continue the run in the folder.
        can_resume: as in `check_vacant`.

    Raises:
        InputError: the folder is not vacant, cannot be made, or another run is writing to it.
    """

    def __init__(
        self, path: Path, overwrite: bool = False, resume: bool = False, can_resume: bool = True
    ) -> None:
        self.path = path
        self._rows: list[dict[str, Any]] = []
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(path / LOCK)
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise InputError(
                f"Another run is writing to {path}; wait until it ends or choose another --out."
            ) from error
        except OSError as error:
            raise InputError(
                f"The folder {path} cannot be written: {error.strerror}; choose another --out."
            ) from error
        try:
            check_vacant(path, overwrite, resume, can_resume)
            if resume:
                self._put_back()
                for partial in path.glob(PARTIAL + "*"):  # of a process that was killed
                    partial.unlink()
            else:
                self._set_aside()
        except BaseException:
            self._release()
            raise

    def _set_aside(self) -> None:
        old, moving = self.path / REPLACED, self.path / MOVING
        entries = [
            entry for entry in self.path.iterdir() if entry.name not in (LOCK, REPLACED, MOVING)
        ]
        if old.exists():  # the files here are of a run that failed to replace it
            for entry in entries:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        elif entries or moving.exists():
            moving.mkdir(exist_ok=True)
            for entry in entries:
                entry.rename(moving / entry.name)
            moving.rename(old)

    def _put_back(self) -> None:
        """Restore the run that a process was setting aside when it was killed."""
        moving = self.path / MOVING
        if moving.exists():
            for entry in moving.iterdir():
                entry.rename(self.path / entry.name)
            moving.rmdir()

    def _release(self) -> None:
        (self.path / LOCK).unlink(missing_ok=True)
        self._lock.release()
        if not any(self.path.iterdir()):
            self.path.rmdir()

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is None:
            shutil.rmtree(self.path / REPLACED, ignore_errors=True)
        self._release()

    def write_text(self, name: str, text: str, sync: bool = True) -> None:
        """Write a text file; `sync` as in `atomic_write`."""
        with atomic_write(self.path / name, sync) as partial:
            partial.write_text(text, encoding="utf-8")

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a JSON file; raise ValueError for numbers that JSON does not have (nan, infinity)."""
        self.write_text(name, json.dumps(content, indent=2, allow_nan=False) + "\n")

    def read_json(self, name: str) -> dict[str, Any] | None:
        """Return the content of a JSON file, or None if there is no such file.

        Raises:
            InputError: the file cannot be read, or does not contain an object.
        """
        path = self.path / name
        if not path.exists():
            return None
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, RecursionError, ValueError) as error:
            raise InputError(
                f"{path} cannot be read: {first_line(error)}; remove it, and it is made again."
            ) from error
        if not isinstance(content, dict):
            raise InputError(
                f"{path} must contain an object, got {short_repr(content)}; remove it, and it is made again."
            )
        return content

    def add_rows(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add rows to the run's CSV file; the first row determines the columns."""
        self._rows += [dict(row) for row in rows]
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(self._rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows)
        # The whole file is written each time: it is small, and no reader ever sees half a line.
        self.write_text(name, text.getvalue(), sync=False)

    def sync(self) -> None:
        """Wait until all files of the run are on disk, including those written without waiting."""
        for name in RUN_FILES:
            if (self.path / name).exists():
                sync_file(self.path / name)
        sync_folder(self.path)


def default_folder(dataset: str, now: datetime) -> Path:
    """Make a new folder under runs/, named after the data set and the time; no two processes get the same one."""
    stem, runs = f"{Path(dataset).name}-{now:%Y%m%d-%H%M%S}", Path("runs")
    try:
        runs.mkdir(exist_ok=True)
    except FileExistsError:
        raise InputError(
            "runs must be a folder, for runs without --out, got a file; remove it or give --out."
        ) from None
    for number in itertools.count(1):
        folder = runs / (stem if number == 1 else f"{stem}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        break
    return folder


def _is_run(folder: Path) -> bool:
    if (folder / MOVING).is_dir() or (
        folder / REPLACED
    ).is_dir():  # its own files may not be there yet
        return True
    if not (folder / CONFIG).is_file():
        return False
    return any((folder / name).is_file() for name in (RESULT, FEATURES)) or any(
        folder.glob("seed-*/" + CONFIG)
    )


def _is_stopped_run(folder: Path) -> bool:
    """Return whether a killed run may have left the folder like this: it writes its settings first."""
    others = [
        entry.name for entry in folder.iterdir() if not entry.name.startswith((LOCK, PARTIAL))
    ]
    return not others or not {CONFIG, REPLACED, MOVING}.isdisjoint(others)


def _strange(folder: Path) -> str | None:
    """Return the first entry of a folder that no run writes, or None."""
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and not entry.is_symlink():
            if entry.name not in (REPLACED, MOVING, LOGS) and not re.fullmatch(
                r"seed-\d+", entry.name
            ):
                return entry.name
            inner = _strange(entry)
            if inner is not None:
                return f"{entry.name}/{inner}"
        elif folder.name == LOGS:
            if entry.name != METRICS and not entry.name.startswith(EVENTS):
                return entry.name
        elif entry.name not in (*RUN_FILES, LOCK) and not entry.name.startswith(PARTIAL):
            return entry.name
    return None
