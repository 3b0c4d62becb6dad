"""What is checked before a run is written: the folder is free, or holds a run that can continue."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphcl_hard.config import EARLIER, Config
from graphcl_hard.exceptions import InputError
from graphcl_hard.io.file_names import CONFIG, EMBEDDINGS, ENCODER, FEATURES, METRICS, RESULT
from graphcl_hard.runs.config_file import read_yaml
from graphcl_hard.runs.display import Display
from graphcl_hard.runs.folder import RunFolder, check_vacant

if TYPE_CHECKING:
    from graphcl_hard.data.graph_data import GraphSource


def check_out(config: Config) -> None:
    """Raise `InputError` if a run with these settings cannot be written to `config.out`; touch nothing.

    A command calls it before it loads or makes anything. `RunFolder` and `run_seeds` check again under the folder's
    lock, since another run may have come in between.
    """
    if config.out is not None:
        check_vacant(config.out, config.overwrite, config.resume)
        if config.resume:
            check_same_settings(config)


def check_same_settings(config: Config) -> None:
    """Raise `InputError` if the run in `config.out` has other settings, so that it cannot continue with these."""
    assert config.out is not None
    path = config.out / CONFIG
    if not path.exists():
        return
    held = {**Config().to_dict(), **EARLIER, **read_yaml(path)}
    for name, value in config.identity().items():
        if held[name] != value:
            raise InputError(
                f"`resume=True`: the run in {config.out} has `{name}={held[name]}`, got `{name}={value}`; give "
                f"--config {path}, or choose another `out`."
            )


def check_same_data(path: Path, held: str | None, graphs: "GraphSource", remedy: str) -> None:
    """Raise `InputError` if a run or file is of another data set than `graphs`, by its checksum.

    Args:
        path: what holds the checksum, for the error message.
        held: the checksum that it holds; None, as in runs of earlier versions, is not compared.
        graphs: the data set.
        remedy: what to do, for the error message.
    """
    if held is not None and held != graphs.checksum:
        raise InputError(
            f"The data set {graphs.name} has changed since {path} was written (checksum {graphs.checksum[:12]}, "
            f"expected {held[:12]}); {remedy}."
        )


def environment_change(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """Return a sentence that names what differs between two results and can change numbers, or None.

    Args:
        before: the result.json of a run.
        now: the result of the run that continues it, or what is known of it.
    """
    old, new = (
        {
            **result.get("versions", {}),
            **{key: result.get(key) for key in ("device", "threads")},
            "processes": result.get("processes", 1),
        }
        for result in (before, now)
    )
    changed = [
        f"{name} {old[name]} instead of {new[name]}"
        for name in old
        if None not in (old[name], new.get(name)) and old[name] != new[name]
    ]
    if not changed:
        return None
    return f"The run was made with {', '.join(changed)}; numbers can differ in their last digits."


def read_finished(folder: RunFolder, evaluated: bool, display: Display) -> dict[str, Any] | None:
    """Return the content of result.json if the run in the folder is finished and its files are there, else None."""
    earlier = folder.read_json(RESULT)
    if earlier is None or earlier.get("status") != "finished":
        return None
    complaint = _damage(folder.path, evaluated)
    if complaint is not None:
        display.warn(f"{complaint}; the run is made again.")
        return None
    return earlier


def _damage(folder: Path, evaluated: bool) -> str | None:
    """Describe in a clause what is wrong with the files of a finished run; None if nothing can be seen."""
    from graphcl_hard.io.checksum import read_checksummed

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
