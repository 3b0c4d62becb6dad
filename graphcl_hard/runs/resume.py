"""Whether a run may go on, and whether it is finished."""

import zipfile
from pathlib import Path
from typing import Any

from graphcl_hard.config import EARLIER, Config, flag
from graphcl_hard.exceptions import InputError
from graphcl_hard.io.checksum import read_checksummed
from graphcl_hard.io.file_names import EMBEDDINGS, ENCODER, FEATURES, METRICS, RESULT
from graphcl_hard.runs.config_file import read_yaml
from graphcl_hard.runs.display import Display
from graphcl_hard.runs.folder import RunFolder


def check_same_settings(config: Config, folder: Path) -> None:
    """Raise `InputError` where the run in a folder has other settings, so that it cannot go on under these."""
    path = folder / "config.yaml"
    if not path.exists():
        return
    held = {**Config().to_dict(), **EARLIER, **read_yaml(path)}
    for name, value in config.identity().items():
        if held[name] != value:
            raise InputError(
                f"--resume: the run in {folder} has {flag(name)} {held[name]}, got {value}; give --config {path}, or "
                "choose another --out."
            )


def read_finished(config: Config, folder: RunFolder, display: Display) -> dict[str, Any] | None:
    """What result.json holds of a run with these settings that is finished, and whose files are there."""
    check_same_settings(config, folder.path)
    earlier = folder.read_json(RESULT)
    if earlier is None or earlier.get("status") != "finished":
        return None
    complaint = _damage(folder.path, config.evaluate)
    if complaint is not None:
        display.warn(f"{complaint}; the run is made again.")
        return None
    return earlier


def _damage(folder: Path, evaluated: bool) -> str | None:
    """What is wrong with the files of a run that is finished, in a clause; None: nothing that can be seen."""
    names = [METRICS, FEATURES, *ENCODER, *([EMBEDDINGS] if evaluated else [])]
    lost = [name for name in names if not (folder / name).is_file()]
    if lost:
        return f"{folder / lost[0]} is missing"
    if evaluated and not zipfile.is_zipfile(folder / EMBEDDINGS):
        return f"{folder / EMBEDDINGS} is cut short"
    try:
        read_checksummed(folder / ENCODER[0])
    except InputError as error:
        return str(error)
    return None
