"""Unpack a TU set's zip file without trusting it."""

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

NEEDED = ("A", "graph_indicator", "graph_labels")

# The largest TU sets unpack to some hundreds of MB and text shrinks about tenfold: far above is a zip bomb.
MAX_UNPACKED_BYTES = 4 * 2**30
MAX_RATIO = 200
RATIO_FREE_BYTES = 64 * 2**20  # below this size any ratio is harmless, and small files of equal lines have a high one

# What the standard library raises while it reads a zip file that is not one.
_NOT_SOUND = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError),
    *(NotImplementedError, RuntimeError, ValueError, LookupError, OverflowError),
)


def extract(archive: Path, name: str, folder: Path) -> None:
    """Unpack ``NAME_*.txt`` and ``README.txt`` from a zip file into ``folder``, and nothing else.

    Raises:
        InputError: the zip file is damaged, encrypted, too large unpacked, has a member that leads out of its folder,
            is a link or comes twice, or lacks a file that every set has.
    """
    advice = "do not use this file; fetch it again from a source that you trust"
    try:
        with zipfile.ZipFile(archive) as zipped:
            members = _wanted(zipped, name, archive, advice)
            for target, member in members.items():
                with zipped.open(member) as source, (folder / target).open("wb") as out:
                    shutil.copyfileobj(source, out, 2**20)
    except (*_NOT_SOUND, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # bz2 and seeks raise these
            raise
        reason = first_line(error)  # some quote the file
        raise InputError(f"{archive.name} for {name} is not a sound zip file ({reason}); fetch it again.") from error
    for part in NEEDED:
        if f"{name}_{part}.txt" not in members:
            raise InputError(f"{archive.name} for {name} does not hold {name}/{name}_{part}.txt; {advice}.")


def _wanted(zipped: zipfile.ZipFile, name: str, archive: Path, advice: str) -> dict[str, zipfile.ZipInfo]:
    """Check every member of a zip file, and pick the set's own by the file names that they are to have."""
    members: dict[str, zipfile.ZipInfo] = {}
    for info in zipped.infolist():
        path = info.filename.replace("\\", "/")
        # The official files name their members "NAME//NAME_A.txt".
        parts = [part for part in path.split("/") if part not in ("", ".")]
        wanted = bool(parts) and not path.endswith("/") and parts[:-1] in ([], [name]) and _is_set_file(parts[-1], name)
        what = None
        if path.startswith("/") or ".." in parts or re.match("[A-Za-z]:", path):
            what = "leads out of its folder"
        elif stat.S_ISLNK(info.external_attr >> 16):
            what = "is a link"
        elif wanted and parts[-1] in members:
            what = "comes twice"
        elif wanted and info.flag_bits & 1:
            what = "is encrypted"
        if what is not None:
            raise InputError(f"{archive.name} for {name}: its member {info.filename[:80]!r} {what}; {advice}.")
        if wanted:
            members[parts[-1]] = info
    total = sum(info.file_size for info in members.values())
    limit = max(RATIO_FREE_BYTES, min(MAX_UNPACKED_BYTES, MAX_RATIO * archive.stat().st_size))
    if total > limit:  # zipfile never unpacks more than the sizes that the members declare
        raise InputError(f"{archive.name} for {name} unpacks to {total} bytes, must be at most {limit}; {advice}.")
    return members


def _is_set_file(file_name: str, name: str) -> bool:
    return file_name == "README.txt" or (file_name.startswith(f"{name}_") and file_name.endswith(".txt"))
