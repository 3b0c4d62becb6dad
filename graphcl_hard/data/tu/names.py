"""Names of TU data sets, and the folders where they are looked up."""

import difflib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_cache_path

from graphcl_hard.exceptions import InputError, first_line, short_repr
from graphcl_hard.io.paths import Pathname

SHARDS_INDEX = "graphs.json"
MIRROR_VARIABLE = "GRAPHCL_HARD_MIRROR"

# Only for suggestions: any other name is looked up as it is.
_NAMES = """
MUTAG PTC_MR ENZYMES IMDB-BINARY IMDB-MULTI DD REDDIT-BINARY PROTEINS
AIDS BZR BZR_MD COIL-DEL COIL-RAG COLLAB COLORS-3 COX2 COX2_MD Cuneiform DBLP_v1 DHFR DHFR_MD ER_MD FIRSTMM_DB
FRANKENSTEIN Fingerprint KKI Letter-high Letter-low Letter-med MCF-7 MOLT-4 MSRC_21 MSRC_21C MSRC_9 Mutagenicity NCI1
NCI109 NCI-H23 OHSU OVCAR-8 P388 PC-3 PROTEINS_full PTC_FM PTC_FR PTC_MM Peking_1 REDDIT-MULTI-12K REDDIT-MULTI-5K
SF-295 SN12C SW-620 SYNTHETIC SYNTHETICnew Synthie TRIANGLES TWITTER-Real-Graph-Partial UACC257 Yeast deezer_ego_nets
github_stargazers reddit_threads twitch_egos
"""
KNOWN_NAMES = tuple(_NAMES.split())
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}(?<!\.)")


def check_name(name: str) -> str:
    """Return ``name`` if it is safe as the name of a folder.

    Raises:
        InputError: it is not.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        shown = repr(name[:100]) if isinstance(name, str) else short_repr(name)
        raise InputError(
            f"The data set name {shown} must be 1 to 100 letters, digits, '.', '_' and '-', beginning with a "
            "letter or digit and not ending with '.'; rename the data set, or, for a folder, give a path that contains "
            "a '/'."
        )
    return name


def check_spelling(name: str) -> None:
    """Raise `InputError` for a misspelt name of a known data set, such as ``mutag``, before any source is queried."""
    known, same = suggest(name)
    if same and known != name:
        raise InputError(f"There is no data set {name!r}; did you mean {known}?")


def suggest(name: str) -> tuple[str | None, bool]:
    """Return the known name closest to ``name``, or None, and whether they differ only in case, '-', '_' and '.'."""
    known = {_plain(candidate): candidate for candidate in KNOWN_NAMES}
    if _plain(name) in known:
        return known[_plain(name)], True
    close = difflib.get_close_matches(_plain(name), known, n=1)
    return (known[close[0]], False) if close else (None, False)


def is_path(name_or_path: Pathname) -> bool:
    """Return whether a data set is given by its folder and not by its name.

    It is if it is a `pathlib.Path`, contains a separator, begins with ``~``, or is the name of a folder with a data
    set; so is the name of any file or folder that no data set can have.
    """
    if not isinstance(name_or_path, str):
        return True
    if any(separator in name_or_path for separator in ("/", os.sep, os.altsep) if separator):
        return True
    try:
        folder = Path(name_or_path)
        return name_or_path != "" and (
            name_or_path.startswith("~")
            or any(folder.glob("*_graph_indicator.txt"))
            or is_shards(folder)
            or (not _NAME.fullmatch(name_or_path) and folder.exists())
        )
    except (OSError, ValueError):  # too long for a path, or with a null character
        return False


def is_shards(folder: Path) -> bool:
    """Return whether a folder contains a data set in shards."""
    try:
        return (folder / SHARDS_INDEX).is_file()
    except (OSError, ValueError):
        return False


def dataset_in_folder(folder: Path) -> str:
    """Return the prefix of the files, such as ``MUTAG``, of the only data set in TU format in a folder.

    Raises:
        InputError: the folder cannot be read, or contains no data set or several.
    """
    wanted = (
        "a folder in TU format, with one *_graph_indicator.txt, or one that graphcl_hard.convert wrote, or the name of "
        "a data set"
    )
    if os.path.isfile(folder):
        raise InputError(f"{str(folder)!r} is a file; give {wanted}.")
    try:
        names = [path.name for path in folder.iterdir()]
        inner = [path.name for path in (folder / "raw").glob("*_graph_indicator.txt")]
    except (OSError, ValueError) as error:
        raise InputError(
            f"The data folder {str(folder)[:200]!r} cannot be read ({first_line(error)}); give {wanted}."
        ) from None
    found = [name for name in names if name.endswith("_graph_indicator.txt")]
    if not names:
        raise InputError(f"The data folder {str(folder)!r} is empty; give {wanted}.")
    if not found and len(inner) == 1:
        raise InputError(
            f"The data folder {str(folder)!r} has its data set in the folder raw; give {str(folder / 'raw')!r}."
        )
    if len(found) != 1:
        raise InputError(
            f"The data folder {str(folder)!r} contains {len(found)} files *_graph_indicator.txt, must contain exactly "
            f"1; give {wanted}."
        )
    return found[0].removesuffix("_graph_indicator.txt")


def safe_name(prefix: str) -> str:
    """Return a name for the data set whose files have this prefix: the prefix itself if it is safe as one."""
    if _NAME.fullmatch(prefix):
        return prefix
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", prefix).strip("._-")
    return plain[:100].rstrip(".") or "data"


def check_not_local(name: str, root: Path) -> None:
    """Raise `InputError` if a name that would be looked up on the network is that of a file or folder here.

    The names of known data sets are exempt, and the folder of the data set itself in the data folder ``root``.
    """
    here = Path(name)
    if (
        name not in KNOWN_NAMES
        and here.exists()
        and not (here.is_dir() and here.resolve() == (root / name).resolve())
    ):
        dataset_in_folder(here)  # which has none, or it would have been a path


def default_data_dir() -> Path:
    """Return ``datasets/`` of the checkout if the package runs from a writable one, else the user's cache folder."""
    checkout = Path(__file__).resolve().parents[3] / "datasets"
    if (checkout / "MUTAG" / "MUTAG_A.txt").is_file() and os.access(checkout, os.W_OK):
        return checkout
    return user_cache_path("graphcl_hard")


def embedded_folder(name: str) -> Path | None:
    """Return the read-only folder of a data set that comes with the package (MUTAG), or None."""
    if name != "MUTAG":
        return None
    package = Path(__file__).resolve().parents[2]
    folders = (package / "datasets" / name, package.parent / "datasets" / name)
    return next((folder for folder in folders if (folder / f"{name}_A.txt").is_file()), None)


def mirror() -> str | None:
    """Return the folder or http(s) address in the environment variable GRAPHCL_HARD_MIRROR, or None."""
    return os.environ.get(MIRROR_VARIABLE) or None


@contextmanager
def writable_folder(folder: Path) -> Iterator[Path]:
    """Yield the folder itself if it is writable or already contains the data set, else a temporary folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError:
        if not folder.is_dir() or not any((folder / "raw").glob("*_A.txt")):
            with tempfile.TemporaryDirectory(prefix="graphcl_hard-") as temporary:
                yield Path(temporary)
            return
    yield folder


def _plain(name: str) -> str:
    return re.sub("[-_.]", "", name).casefold()
