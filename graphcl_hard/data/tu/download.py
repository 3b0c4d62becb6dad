"""Fetch the files of TU data sets from mirrors or from the official address."""

import contextlib
import hashlib
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urljoin

import requests
import urllib3
from filelock import FileLock, Timeout

from graphcl_hard.data.tu.archive import NEEDED, extract
from graphcl_hard.data.tu.names import MIRROR_VARIABLE, embedded_folder, mirror, suggest
from graphcl_hard.exceptions import InputError
from graphcl_hard.io.atomic_write import sync_file, sync_folder
from graphcl_hard.io.paths import user_path

ATTEMPTS = 3
BACKOFF_SECONDS = 1.0  # before the second attempt; doubles with each further one
TIMEOUT_SECONDS = (10.0, 60.0)  # to connect, and between two pieces of the body
ABSENT = (403, 404, 410)  # some stores answer 403 for files that they do not have
LOCK_SECONDS = (
    1800.0  # longer than any download takes; a process that hangs must not block the others forever
)

# Checksums of the official files as of 2024, for the data sets of the paper whose original files were available.
KNOWN_SHA256 = {
    "MUTAG": "20f52db82d6d85d5f67d2fa42c3fb705d05934be44329314ab17b05d0c012f7e",
    "PTC_MR": "2f935126a9ec684e13ed9ff5ea389f62c4c70f41dcedb3e1114c0b0947103200",
    "ENZYMES": "0ca7125d7978788346fc6ba5c3cc643b6122153b304220c2230bcb09f99f8ffb",
    "PROTEINS": "fe9d19741637486ea1fd285bf669fce0b117e10b03cdd379f6a5e6197fc830ae",
    "IMDB-BINARY": "2a4abb6431ec1ab025a6fbcd3b546607191f79a1e0aef0f42cd8bd4ec1546116",
    "IMDB-MULTI": "1d22bb88ee69f9f7c09eb7f072dadec56e3f91ad4b14cfd99231379b68073883",
}

Progress = Callable[[int, int | None], None]


class NotFetchedError(InputError):
    """No source has the data set, or none can be reached."""


class _UnavailableError(Exception):
    """This source does not have the file or cannot provide it; the next one may."""


class _AbsentError(_UnavailableError):
    """This source reports that it does not have the file."""


class _TransientError(Exception):
    """This attempt failed, but another one may succeed."""


def fetch(
    name: str,
    raw_dir: Path,
    *,
    mirrors: Sequence[str],
    official_url: str | None,
    progress: Progress | None = None,
    known_sha256: dict[str, str] = KNOWN_SHA256,
) -> None:
    """Fetch the files of the data set ``name`` into ``raw_dir``, unless ``raw_dir`` already contains them.

    Args:
        name: name of the data set; the caller has checked that it is safe in a path.
        raw_dir: folder for ``NAME_*.txt``; its parent folder holds a lock and temporary files meanwhile.
        mirrors: folders or http(s) addresses, tried in this order.
        official_url: address of the folder with the original ``NAME.zip``, tried last; None: not tried.
        progress: called during a download with the number of bytes received and the total (None if unknown).
        known_sha256: checksums of the original zip files. An entry in the ``SHA256SUMS`` file of a mirror takes
            precedence, as a mirror may have packed the files again.

    Raises:
        NotFetchedError: no source has the data set; the message lists all sources with reasons.
        InputError: a zip file is damaged, unsafe or does not match its checksum; or the folder cannot be written.
    """
    base = raw_dir.parent
    lock = base.parent / ".locks" / f"{name}.lock"  # never deleted: a process may be waiting for it
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock, timeout=LOCK_SECONDS):
            base.mkdir(exist_ok=True)
            try:
                if (raw_dir / f"{name}_A.txt").is_file():
                    return
                for stale in base.glob(
                    ".partial-*"
                ):  # left by a killed process, as this one has the lock
                    shutil.rmtree(stale, ignore_errors=True)
                with tempfile.TemporaryDirectory(prefix=".partial-", dir=base) as partial:
                    files = Path(partial) / "files"
                    files.mkdir()
                    _obtain(name, files, mirrors, official_url, progress, known_sha256)
                    _move_into_place(name, files, raw_dir)
            finally:
                with contextlib.suppress(OSError):  # not empty if the files were fetched
                    base.rmdir()
    except Timeout:
        raise InputError(
            f"{lock} was held by another process for {LOCK_SECONDS:.0f} seconds; end that process and retry."
        ) from None
    except OSError as error:
        raise InputError(
            f"{error.filename or base} cannot be read or written ({error.strerror}); check its permissions and the "
            "free space, or choose another `data_dir`."
        ) from error


def _obtain(
    name: str,
    files: Path,
    mirrors: Sequence[str],
    official_url: str | None,
    progress: Progress | None,
    known_sha256: dict[str, str],
) -> None:
    tried = []
    for place in [*mirrors, *([] if official_url is None else [official_url])]:
        try:
            if _is_url(place):
                _from_url(name, place, files, progress, known_sha256, is_mirror=place in mirrors)
            else:
                _from_folder(name, user_path(place, MIRROR_VARIABLE), files, known_sha256)
            return
        except _UnavailableError as reason:
            tried.append(f"{_printable(place)} ({reason})")
    raise NotFetchedError(
        f"{name} could not be fetched: tried {' and '.join(tried) or 'no source'}; set GRAPHCL_HARD_MIRROR to a folder "
        f"or address that holds {name}.zip, or `data_dir` to a folder that holds {name}"
    )


def _from_folder(name: str, mirror: Path, files: Path, known_sha256: dict[str, str]) -> None:
    if not mirror.is_dir():
        raise _UnavailableError("no such folder")
    archive = mirror / f"{name}.zip"
    if archive.is_file():
        sums = mirror / "SHA256SUMS"
        listed = sums.read_text(encoding="utf-8", errors="replace") if sums.is_file() else None
        _check_sha256(name, archive, str(archive), listed, known_sha256)
        extract(archive, name, files)
        return
    for folder in (mirror / name, mirror / name / "raw"):
        if all((folder / f"{name}_{part}.txt").is_file() for part in NEEDED):
            for path in [*folder.glob(f"{name}_*.txt"), *folder.glob("README.txt")]:
                shutil.copyfile(path, files / path.name)
            return
    raise _UnavailableError(f"no {name}.zip and no {name}/{name}_A.txt in it")


def _from_url(
    name: str,
    url: str,
    files: Path,
    progress: Progress | None,
    known_sha256: dict[str, str],
    is_mirror: bool,
) -> None:
    url = url.rstrip("/")
    archive = files.parent / "download.zip"
    _download(f"{url}/{name}.zip", archive, progress)
    listed = None
    if is_mirror:
        try:
            _download(f"{url}/SHA256SUMS", files.parent / "SHA256SUMS", None)
            listed = (files.parent / "SHA256SUMS").read_text(encoding="utf-8", errors="replace")
        except _AbsentError:
            pass
        except _UnavailableError as error:
            raise _UnavailableError(f"its SHA256SUMS: {error}") from error
    _check_sha256(name, archive, f"{_printable(url)}/{name}.zip", listed, known_sha256)
    extract(archive, name, files)


def _download(url: str, target: Path, progress: Progress | None) -> None:
    # urllib3's Retry does not cover a body that breaks off, so this loop does all the retrying.
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(BACKOFF_SECONDS * 2 ** (attempt - 1))
        try:
            return _download_once(url, target, progress)
        except _TransientError as error:
            reason = str(error)
    raise _UnavailableError(f"{reason}, {ATTEMPTS} attempts")


def _download_once(url: str, target: Path, progress: Progress | None) -> None:
    done = 0
    try:
        # Without compression, Content-Length is the length of the file.
        headers = {"Accept-Encoding": "identity"}
        with (
            _Session() as session,
            session.get(url, stream=True, timeout=TIMEOUT_SECONDS, headers=headers) as response,
        ):
            if response.status_code == 429 or response.status_code >= 500:
                raise _TransientError(f"HTTP status {response.status_code}")
            if response.status_code in ABSENT:
                raise _AbsentError(f"HTTP status {response.status_code}")
            if response.status_code != 200:
                raise _UnavailableError(f"HTTP status {response.status_code}")
            length = response.headers.get("Content-Length", "")
            total = int(length) if length.isdecimal() else None
            with target.open("wb") as file:
                for piece in response.iter_content(2**16):
                    file.write(piece)
                    done += len(piece)
                    if progress is not None:
                        progress(done, total)
    except requests.exceptions.ChunkedEncodingError as error:
        raise _TransientError(f"the body broke off after {done} bytes") from error
    except (requests.ConnectionError, requests.Timeout) as error:
        cause = getattr(error.args[0], "reason", error) if error.args else error
        raise _TransientError(str(cause).rsplit(": ", 1)[-1]) from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, UnicodeError) as error:
        raise _UnavailableError(
            str(error)
        ) from error  # for an invalid address requests passes on urllib3's error
    if total is not None and done != total:
        raise _TransientError(f"the body broke off after {done} of {total} bytes")


class _Session(requests.Session):
    """A session that does not follow redirects from TLS to an address without it."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return the target of a redirect, before it is requested."""
        target = super().get_redirect_target(resp)
        hops = [] if target is None else [resp.url.lower(), urljoin(resp.url, target).lower()]
        if hops and hops[0].startswith("https:") and not hops[1].startswith("https:"):
            raise _UnavailableError("it redirects to an address without TLS")
        return target


def _check_sha256(
    name: str, archive: Path, place: str, listed: str | None, known_sha256: dict[str, str]
) -> None:
    line = rf"^([0-9a-fA-F]{{64}}) [ *](?:\./)?{re.escape(name)}\.zip\s*$"
    match = re.search(line, listed or "", re.MULTILINE)
    expected = match[1].lower() if match else known_sha256.get(name)
    if expected is None:
        return
    digest = hashlib.sha256()
    with archive.open("rb") as file:
        while piece := file.read(2**20):
            digest.update(piece)
    found = digest.hexdigest()
    if found != expected:
        raise InputError(
            f"{place} has the SHA-256 checksum {found}, must have {expected}; fetch the file again, or, if it was "
            "repacked on purpose, list its checksum in a SHA256SUMS file beside it."
        )


def _move_into_place(name: str, files: Path, raw_dir: Path) -> None:
    # One file at a time, as raw_dir may exist; NAME_A.txt last, as its presence marks a complete data set.
    raw_dir.mkdir(exist_ok=True)
    last = f"{name}_A.txt"
    for path in sorted(files.iterdir(), key=lambda path: path.name == last):
        sync_file(path)
        if path.name == last:
            sync_folder(raw_dir)
        path.replace(raw_dir / path.name)
    sync_folder(raw_dir)


def _is_url(place: str) -> bool:
    return place.lower().startswith(("http://", "https://"))


def _printable(place: str) -> str:
    """Return the place without the password that an address may contain."""
    # A password ends at the last @ of the host; if it contains a slash, what follows the colon is not a port.
    return re.sub(r"(?<=://)(?:[^/]*@|[^/:]*:(?!\d*(?:/|$)).*@)", "", place)


def fetch_dataset(
    name: str,
    raw_dir: Path,
    root: Path,
    url: str,
    progress: Progress | None = None,
    cleaned: bool = False,
) -> None:
    """Fetch a data set into ``raw_dir`` from a zip file in ``root``, the embedded copy, the mirror or ``url``."""
    embedded = embedded_folder(name)
    places = (
        root if (root / f"{name}.zip").is_file() else None,
        embedded and embedded.parent,
        mirror(),
    )
    # The cleaned data sets are other graphs under the same names: no mirror has them, and the checksums differ.
    mirrors = [] if cleaned else [str(place) for place in places if place is not None]
    known_sha256 = {} if cleaned else KNOWN_SHA256
    try:
        fetch(
            name,
            raw_dir,
            mirrors=mirrors,
            official_url=url,
            progress=progress,
            known_sha256=known_sha256,
        )
    except NotFetchedError as error:
        known, _ = suggest(name)
        hint = "." if known in (None, name) else f"; did you mean {known}?"
        raise NotFetchedError(f"{error}{hint}") from error
