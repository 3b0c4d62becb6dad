"""A cell of a sweep, and the settings of its run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import tyro

from graphcl_hard.config import EARLIER, Config, Scope, names_in
from graphcl_hard.runs.cli import one_sentence
from graphcl_hard.runs.config_file import to_flags
from graphcl_hard.sweeps.data_files import data_files
from graphcl_hard.sweeps.embedder import Embedder

CONTROLS: dict[str, dict[str, Any]] = {
    "majority": {},
    "size": {},
    "histograms": {},
    "netlsd": {},
    "fgsd": {},
    "wl": {},
    "wl-oa": {},
    "untrained": {"epochs": 0},
    "bn-only": {"lr": 0.0, "beta": 0.0, "tau_plus": 0.0},
    "bn-exact": {"epochs": 0, "recalibrate": True},
}
"""Families beside which a method is evaluated, with their settings."""
DESCRIPTORS = {
    "size": "numbers of nodes and edges",
    "histograms": "numbers of nodes and edges, degrees, labels",
    "netlsd": "spectrum of the normalised Laplacian",
    "fgsd": "distances by the normalised Laplacian",
}
"""Those of them that are functions of `graphcl_hard.sweeps.descriptors`, with what these read of the graphs."""
KERNELS = ("wl", "wl-oa")
"""Those of them that are kernels of `graphcl_hard.sweeps.wl_kernels`."""
WL_LABELS = ("given", "constant", "degree", "log-degree")
"""The labels of nodes that a kernel may start from."""
EVALUATION = tuple(name for name in names_in(Scope.EVALUATION) if name != "seed")
"""The settings of a method that only embeds graphs."""
BASELINES: dict[str, tuple[str, ...]] = {
    "majority": (),
    **dict.fromkeys(KERNELS, ("iterations", "labels", "max_c")),
    **dict.fromkeys(DESCRIPTORS, EVALUATION),
}
"""Those of them without an encoder, with the settings that they may have."""

Settings = dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """One run of a sweep: a method with one seed on one data set."""

    dataset: str
    method: str
    family: str
    settings: Settings  # the method's own
    seed: int
    given: Settings  # with those that the plan's methods share
    path_or_name: str = ""  # of the data set, where it is not its name
    embedder: Embedder | None = None
    control: bool = False  # whether the report compares the other methods with it

    @property
    def kind(self) -> str:
        """A key of `graphcl_hard.sweeps.methods.KINDS`."""
        if self.embedder is not None:
            return "embedder"
        return self.family if self.family in BASELINES else "run"

    @property
    def source(self) -> str:
        """The argument of `load_graphs` for its data set."""
        return self.path_or_name or self.dataset

    @property
    def key(self) -> tuple[str, str, int]:
        """Data set, method and seed, which identify the cell."""
        return self.dataset, self.method, self.seed

    @property
    def path(self) -> Path:
        """Its folder under the run folders."""
        return Path(self.dataset, self.method, f"seed-{self.seed}")

    @property
    def label(self) -> str:
        """The cell's name in messages."""
        return f"{self.dataset} {self.method} seed {self.seed}"

    def identity(self) -> dict[str, Any]:
        """Return the part of its record that is known before it runs."""
        names = ("dataset", "method", "family", "settings", "seed")
        known = {name: getattr(self, name) for name in names}
        return known if self.embedder is None else {**known, "embedder": self.embedder.identity()}

    def config(self) -> Settings:
        """Return all settings of its run or of its evaluation, as the record has them.

        Those of a baseline without vectors are only what its family and folds do not say.
        """
        if self.kind in KERNELS:
            return {"max_c": float(self.given.get("max_c", Config.max_c))}
        if self.kind == "majority":
            return {}
        plain = {**_plain(json.dumps(self.given)), "dataset": self.dataset, "seed": self.seed}
        if self.kind in ("embedder", *DESCRIPTORS):
            return {name: plain[name] for name in names_in(Scope.EVALUATION)}
        return {
            name: value
            for name, value in plain.items()
            if name not in (*names_in(Scope.OUTPUT), "data_dir")
        }

    def difference(self, record: Mapping[str, Any]) -> str | None:
        """Return the first difference between a record's settings and the cell's as text; None if there is none."""
        ours: Settings = {"family": self.family, "settings": self.settings}
        held = {name: record[name] for name in ours}
        ours |= {name: value for name, value in self.config().items() if name != "dataset"}
        # it may be older than a setting
        held |= Config().to_dict() | EARLIER | record["config"]
        if self.kind in ("majority", *KERNELS) and record["test_sizes"]:
            names = ("repeats", "folds")
            ours |= {name: self.given.get(name, getattr(Config, name)) for name in names}
            shape = (len(record["test_sizes"]), len(record["test_sizes"][0]))
            held |= dict(zip(names, shape, strict=True))
        ours |= self.identity().get("embedder", {"class": None})
        held |= record.get("embedder", {"class": None})
        if record.get("status") == "finished" and record.get("data_files") is not None:
            here = data_files(self.source, self.given.get("data_dir"))
            if here is not None:
                ours["data_files"], held["data_files"] = here, record["data_files"]
        return next(
            (f"{n} {held[n]!r}, now {value!r}" for n, value in ours.items() if held[n] != value),
            None,
        )


def parsed(settings: Settings) -> Config:
    """Return the settings as the command line's parser reads them.

    Raises:
        InputError: one is of the wrong type.
    """
    return one_sentence("", lambda: tyro.cli(Config, args=to_flags(settings)))


@lru_cache  # the parser is slow, and all cells of a method have the same settings
def _plain(given: str) -> Settings:
    return parsed(json.loads(given)).to_dict()
