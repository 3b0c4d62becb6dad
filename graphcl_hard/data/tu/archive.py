"""Unpack the zip file of a TU data set without trusting it."""

import errno
import lzma
import re
import shutil
import stat
import struct
import zipfile
import zlib
from pathlib import Path

from graphcl_hard.exceptions import InputError, first_line

NEEDED = ("A", "graph_indicator")

# The largest TU data sets unpack to hundreds of MB, and text shrinks about tenfold. Far more than that is a zip bomb.
MAX_UNPACKED_BYTES = 4 * 2**30
MAX_RATIO = 200
RATIO_FREE_BYTES = (
    64 * 2**20
)  # smaller files are harmless, and may have a high ratio if their lines repeat

# Exceptions that the standard library raises for invalid zip files.
_INVALID = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError),
    *(NotImplementedError, RuntimeError, ValueError, LookupError, OverflowError),
)


def extract(archive: Path, name: str, folder: Path) -> None:
    """Unpack only ``NAME_*.txt`` and ``README.txt`` from a zip file into ``folder``.

    Raises:
        InputError: the zip file is damaged, encrypted or too large when unpacked; it has a member that is outside its
            folder, is a link or occurs twice; or it lacks a required file.
        OSError: the zip file cannot be read or a file cannot be written.
    """
    advice = "do not use this file; download it again from a source that you trust"
    try:
        with zipfile.ZipFile(archive) as zipped:
            members = _wanted(zipped, name, archive, advice)
            for target, member in members.items():
                with zipped.open(member) as source, (folder / target).open("wb") as out:
                    shutil.copyfileobj(source, out, 2**20)
    except (*_INVALID, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (
            None,
            errno.EINVAL,
        ):  # bz2 and seeks raise these
            raise
        reason = first_line(error)  # some of these messages quote the file
        raise InputError(
            f"{archive.name} for {name} is not a valid zip file ({reason}); fetch it again."
        ) from error
    for part in NEEDED:
        if f"{name}_{part}.txt" not in members:
            raise InputError(
                f"{archive.name} for {name} does not contain {name}/{name}_{part}.txt; {advice}."
            )


def _wanted(
    zipped: zipfile.ZipFile, name: str, archive: Path, advice: str
) -> dict[str, zipfile.ZipInfo]:
    """Check every member of a zip file, and return file name -> member for the files of the data set."""
    members: dict[str, zipfile.ZipInfo] = {}
    for info in zipped.infolist():
        path = info.filename.replace("\\", "/")
        # The members of the official files are named "NAME//NAME_A.txt".
        parts = [part for part in path.split("/") if part not in ("", ".")]
        wanted = (
            bool(parts)
            and not path.endswith("/")
            and parts[:-1] in ([], [name])
            and _is_set_file(parts[-1], name)
        )
        what = None
        if path.startswith("/") or ".." in parts or re.match("[A-Za-z]:", path):
            what = "is outside its folder"
        elif stat.S_ISLNK(info.external_attr >> 16):
            what = "is a link"
        elif wanted and parts[-1] in members:
            what = "occurs twice"
        elif wanted and info.flag_bits & 1:
            what = "is encrypted"
        if what is not None:
            raise InputError(
                f"{archive.name} for {name}: its member {info.filename[:80]!r} {what}; {advice}."
            )
        if wanted:
            members[parts[-1]] = info
    total = sum(info.file_size for info in members.values())
    limit = max(RATIO_FREE_BYTES, min(MAX_UNPACKED_BYTES, MAX_RATIO * archive.stat().st_size))
    if total > limit:  # zipfile never unpacks more than the declared sizes
        raise InputError(
            f"{archive.name} for {name} unpacks to {total} bytes, must be at most {limit}; {advice}."
        )
    return members


def _is_set_file(file_name: str, name: str) -> bool:
    return file_name == "README.txt" or (
        file_name.startswith(f"{name}_") and file_name.endswith(".txt")
    )
