"""Read a YAML plan into cells: data sets x methods x seeds, all checked before anything runs."""

import difflib
import itertools
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from graphcl_hard.config import Config
from graphcl_hard.data.tu.names import check_name, check_spelling
from graphcl_hard.exceptions import InputError
from graphcl_hard.runs.config_file import load_yaml
from graphcl_hard.sweeps.cell import (
    BASELINES,
    CONTROLS,
    DESCRIPTORS,
    EVALUATION,
    KERNELS,
    Cell,
    Settings,
    parsed,
)
from graphcl_hard.sweeps.embedder import Embedder, check_embedder
from graphcl_hard.sweeps.plan_checks import (
    as_number,
    check_kernel,
    check_known,
    check_once,
    is_whole,
    label,
    listed,
    mapping,
)

OWNED = ("dataset", "seed", "seeds", "out", "overwrite", "resume", "quiet")  # each cell's own
SETTINGS = tuple(field.name for field in fields(Config) if field.name not in OWNED)
SHARED = ("folds", "repeats")  # by all methods, which are compared fold by fold
PLAN_KEYS = ("datasets", "seeds", "seeds_of", "settings", "methods")
METHOD_KEYS = (
    *(
        "name",
        "family",
        "method",
        "parameters",
        "settings",
        "grid",
        "without",
        "datasets",
        "control",
    ),
)
DATASET_KEYS = ("name", "dataset")
SHORT = {"tau_plus": "tau"}  # in generated names


@dataclass(frozen=True)
class _Method:
    name: str
    family: str
    settings: Settings
    given: Settings
    datasets: tuple[str, ...]
    embedder: Embedder | None
    control: bool


def read_plan(path: Path) -> list[Cell]:
    """Return the cells of a YAML plan, data set by data set, and seed by seed within one.

    Paths in a plan are relative to its folder. The file holds:

    - `datasets`, a list. Each is a name, a path with a `/`, or {name: NAME, dataset: NAME OR PATH}.
    - `seeds`, a number or a list, and `seeds_of`, data set -> seeds where they differ.
    - `settings` (of `graphcl_hard.config.Config`) for all methods.
    - `methods`, a list. Each is the name of a control (a key of `graphcl_hard.sweeps.cell.CONTROLS`), the import path
      of a class, or a mapping. A mapping has a `family` or, for a class, `method`, its import path, and `parameters`
      for it; a `name` (that of the family or class, where there is none); `settings` of its own, which win over the
      shared ones; `datasets` where it is not for all; `control: true` if the report shall compare all others with it,
      as with the controls; and perhaps a `grid`, setting or parameter -> values: then each combination is a method, its
      values added to the name, but for those that `without` lists.

    Raises:
        InputError: the file cannot be read, or anything in it is unknown, out of range or there twice.
    """
    try:
        content = load_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else re.sub(r"\s+", " ", str(error))
        raise InputError(
            f"The plan {path} cannot be read: {reason}; give a YAML file with datasets and methods."
        ) from error
    try:
        return _cells(content, path.resolve().parent)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def narrow(
    cells: Sequence[Cell],
    datasets: Collection[str] = (),
    methods: Collection[str] = (),
    seeds: Collection[int] = (),
) -> list[Cell]:
    """Return the cells of these data sets, methods (names or families) and seeds; an empty collection takes all.

    Raises:
        InputError: the plan lacks one of them.
    """
    known_methods = dict.fromkeys(name for cell in cells for name in (cell.method, cell.family))
    check_known(datasets, dict.fromkeys(cell.dataset for cell in cells), "--datasets", "data set")
    check_known(methods, known_methods, "--methods", "method")
    check_known(seeds, dict.fromkeys(cell.seed for cell in cells), "--seeds", "seed")
    return [
        cell
        for cell in cells
        if (not datasets or cell.dataset in datasets)
        and (not methods or {cell.method, cell.family} & set(methods))
        and (not seeds or cell.seed in seeds)
    ]


def _cells(content: Any, folder: Path) -> list[Cell]:
    plan = mapping(content, "the plan", PLAN_KEYS)
    datasets = _datasets(plan, folder)
    seeds = {name: _seeds(plan.get("seeds", 1), "seeds") for name in datasets}
    for name, given in mapping(plan.get("seeds_of"), "seeds_of", datasets).items():
        seeds[name] = _seeds(given, f"seeds_of {name}")
    shared = _checked(mapping(plan.get("settings"), "settings", SETTINGS), "settings", folder)
    entries = listed(
        plan.get("methods"), "methods", "methods such as {family: hard, settings: {beta: 2}}"
    )
    methods = [
        method for entry in entries for method in _methods(entry, shared, tuple(datasets), folder)
    ]
    check_once([method.name for method in methods], "methods", "give one of them another name")
    return [
        Cell(
            dataset,
            method.name,
            method.family,
            method.settings,
            seed,
            method.given,
            source,
            method.embedder,
            method.control,
        )
        for dataset, source in datasets.items()
        for seed in seeds[dataset]
        for method in methods
        if dataset in method.datasets
    ]


def _datasets(plan: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Return the names of the data sets, and what `load_graphs` takes for each."""
    entries = listed(plan.get("datasets"), "datasets", "names such as [MUTAG, PROTEINS]")
    found = [_dataset(entry, folder) for entry in entries]
    check_once([name for name, _ in found], "datasets", "name it once")
    return dict(found)


def _dataset(entry: Any, folder: Path) -> tuple[str, str]:
    if isinstance(entry, dict):
        entry = mapping(entry, "datasets", DATASET_KEYS)
        given = entry.get("dataset", entry.get("name"))
    else:
        given = entry
    text = str(given)
    if "/" not in text and not text.startswith("~"):
        check_spelling(check_name(text))
        return check_name(str(entry.get("name", text) if isinstance(entry, dict) else text)), text
    path = folder / Path(text).expanduser()
    if not path.is_dir():
        raise InputError(
            f"datasets: there is no folder {path}; paths in a plan are relative to its folder."
        )
    name = str(entry.get("name", path.name) if isinstance(entry, dict) else path.name)
    return check_name(name), str(path.resolve())


def _seeds(given: Any, where: str) -> tuple[int, ...]:
    if is_whole(given) and 1 <= given <= 10_000:
        return tuple(range(given))
    if (
        not isinstance(given, list)
        or not given
        or not all(is_whole(s) and 0 <= s < 2**32 for s in given)
    ):
        raise InputError(
            f"{where} must be their number, from 1 to 10000, or a list of whole numbers from 0 to 2**32 - 1, got "
            f"{given!r}; 5 is usual."
        )
    check_once(given, where, "name it once")
    return tuple(given)


def _methods(
    entry: Any, shared: Settings, datasets: Sequence[str], folder: Path
) -> Iterator[_Method]:
    """Yield the methods of one entry of the list."""
    entry = mapping(_as_mapping(entry), "methods", METHOD_KEYS)
    path = entry.get("method")
    family = label(entry.get("family", _class_name(path)), "family")
    _check_family(family, path)
    prefix = label(entry.get("name", family), "name")
    where = f"method {prefix}"
    allowed = _allowed(family, path)
    for part in ("settings", "grid"):
        _check_shared(entry.get(part), f"{where}, {part}")
    settings = mapping(entry.get("settings"), f"{where}, settings", allowed)
    if path is None:
        settings = {**CONTROLS.get(family, {}), **settings}
    check_known(["parameters"] * (path is None and "parameters" in entry), (), where, "key")
    parameters = {
        name: as_number(value)
        for name, value in mapping(entry.get("parameters"), f"{where}, parameters").items()
    }
    free = None if path else [name for name in allowed if name not in settings]
    grid = mapping(entry.get("grid"), f"{where}, grid", free)
    for name, values in grid.items():
        what = f"{where}, grid {name}"
        check_once(listed(values, what, "values"), what, "name it once")
    chosen = entry.get("datasets", list(datasets))
    chosen = listed(chosen, f"{where}, datasets", "names of the plan's data sets")
    check_known(chosen, datasets, f"{where}, datasets", "data set")

    def checked(point: Settings, where: str) -> Settings:
        if path is None:
            return _checked(point, where, folder)
        return {name: as_number(value) for name, value in point.items()}

    without = entry.get("without", [{}])
    left_out = [
        checked(mapping(point, f"{where}, without", grid), f"{where}, without")
        for point in listed(without, f"{where}, without", "points of the grid")
        if point != {}
    ]
    unused = list(left_out)
    folders = [str(folder), str(Path.cwd())]
    control = entry.get("control", family in CONTROLS and family == prefix)
    if not isinstance(control, bool):
        raise InputError(f"{where}, control must be true or false, got {control!r}; fix that line.")
    for values in itertools.product(*grid.values()):
        point = checked(dict(zip(grid, values, strict=True)), where)
        matching = [one for one in left_out if one.items() <= point.items()]
        unused = [one for one in unused if one not in matching]
        if matching:
            continue
        name = label("-".join([prefix, *itertools.starmap(_short, point.items())]), "name")
        own, embedder = _checked(settings, where, folder), None
        if path is None:
            own |= point
        else:
            embedder = check_embedder(path, {**parameters, **point}, folders)
        given = _merged(shared, own, f"method {name}", family if path is None else "")
        yield _Method(name, family, own, given, tuple(chosen), embedder, control)
    if unused:
        raise InputError(
            f"{where}, without: the grid has no point {unused[0]}; name values that it has."
        )


def _as_mapping(entry: Any) -> Any:
    """Return the mapping that an entry of one word stands for: a control, or the import path of a class."""
    if not isinstance(entry, str):
        return entry
    if ":" in entry:
        return {"method": entry}
    check_known([entry], CONTROLS, "methods", "control")
    return {"family": entry}


def _class_name(path: Any) -> str | None:
    return path.rpartition(":")[2].rpartition(".")[2] if isinstance(path, str) else None


def _check_family(family: str, path: Any) -> None:
    """Refuse what would silently be a family of encoders, or a class under the name of a control."""
    close = difflib.get_close_matches(family.lower(), BASELINES, n=1, cutoff=0.8)
    if path is None and close and family not in BASELINES:
        raise InputError(f"methods has the unknown family {family!r}; did you mean {close[0]!r}?")
    if path is not None and family in CONTROLS:
        raise InputError(f"methods has {path!r} in the family of a control, {family!r}; rename it.")


def _check_shared(given: Any, where: str) -> None:
    """Refuse folds of a method's own: no test could pair its scores with those of other methods."""
    for name in SHARED:
        if isinstance(given, dict) and name in given:
            raise InputError(
                f"{where} has {name} {given[name]!r}, but all methods must have the same folds; set it in the "
                "plan's own settings."
            )


def _allowed(family: str, path: Any) -> Sequence[str]:
    """Return the settings that a method may have."""
    if path is None:
        return BASELINES.get(family, SETTINGS)
    return EVALUATION


def _merged(shared: Settings, own: Settings, where: str, family: str) -> Settings:
    given = {**shared, **own}
    if family in KERNELS:
        check_kernel(own, f"{where}: ")
    if family in BASELINES and family not in DESCRIPTORS:
        read = {name: given[name] for name in EVALUATION if name in given}
    else:
        if "score_epochs" in shared and "score_epochs" not in own:
            # a method that trains for less has fewer to score
            last = given.get("epochs", Config.epochs)
            kept = [epoch for epoch in shared["score_epochs"] if epoch <= last]
            given["score_epochs"] = kept or [last]
        read = given
    try:
        parsed(read).check()
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return given


def _checked(settings: Settings, where: str, folder: Path) -> Settings:
    """Return the settings with the types of `Config`: 2 is 2.0 for beta, and "1e-3" a number."""
    known = {name: value for name, value in settings.items() if name in SETTINGS}
    for name, value in known.items():
        if isinstance(value, dict):
            raise InputError(
                f"{where}: {name} must be one value or a list of them, got {value!r}; fix that line."
            )
    try:
        plain = parsed(known).to_dict()
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    if plain["data_dir"] is not None:
        # Workers may have another working directory.
        plain["data_dir"] = str((folder / Path(plain["data_dir"]).expanduser()).resolve())
    return {name: plain[name] if name in known else value for name, value in settings.items()}


def _short(name: str, value: Any) -> str:
    """Return a value of the grid as it is in a method's name: beta10, tau0.1, critic-cosine."""
    name = SHORT.get(name, name).replace("_", "-")
    if isinstance(value, bool):
        return name if value else f"no-{name}"
    if isinstance(value, (int, float)):
        return f"{name}{value:g}"
    return f"{name}-" + ("-".join(map(str, value)) if isinstance(value, list) else str(value))
