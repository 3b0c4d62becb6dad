"""The estimator's parameters: those of a run, written once in `Config`, and a few of its own."""

import dataclasses
import difflib
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from graphcl_hard.config import Config
from graphcl_hard.errors import InputError

# What a run has and an estimator has not: the data set, the seeds, the judge, and the folder.
OF_RUNS = {
    *("dataset", "data_dir", "use_node_attr", "seed", "seeds", "score_epochs", "protocol", "folds", "repeats"),
    *("probes", "out", "overwrite", "resume", "checkpoint_seconds", "pictures", "quiet"),
}
SETTINGS = {field.name: field.default for field in dataclasses.fields(Config) if field.name not in OF_RUNS}
OWN = ("node_label", "node_attr", "n_jobs", "random_state", "warm_start", "on_epoch")


def to_config(params: Mapping[str, Any]) -> Config:
    """The settings of a training: a value for each of `SETTINGS`, and the seed.

    An int as `random_state` is the seed; else one is drawn, as scikit-learn does.

    Raises:
        InputError: with a line for each setting outside its range, by the parameter's name.
    """
    seed = params["random_state"]
    if not isinstance(seed, (int, np.integer)):
        seed = check_random_state(seed).randint(2**31)
    settings = {name: params[name] for name in SETTINGS}
    settings["views"] = tuple(settings["views"])  # a grid search may give a list
    config = Config(**settings, seed=int(seed), score_epochs=())
    mistakes = [
        re.sub(r"--([a-z][a-z-]*)", lambda found: found[1].replace("-", "_"), mistake) for mistake in config.mistakes()
    ]
    if config.encoder == "gine":
        mistakes.append("encoder must not be gine, since features of edges are not read from graphs yet; take another.")
    if mistakes:
        raise InputError("\n".join(mistakes).replace("seed must", "random_state must"))
    return config


def describe_unknown(names: Iterable[str]) -> str:
    """A line for each name that is no parameter, with the nearest that is."""
    lines = []
    known = [*OWN, *SETTINGS]
    for name in names:
        close = difflib.get_close_matches(name, known, n=1)
        advice = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(known)}."
        lines.append(f"HardInfoGraph has no parameter {name!r}; {advice}")
    return "\n".join(lines)


def signature(init: Callable[..., None]) -> inspect.Signature:
    """A constructor's signature with `SETTINGS` in place of its **settings: scikit-learn finds the parameters by it."""
    own = [p for p in inspect.signature(init).parameters.values() if p.kind is not p.VAR_KEYWORD]
    types = {field.name: field.type for field in dataclasses.fields(Config)}
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=types[name])
        for name, default in SETTINGS.items()
    ]
    return inspect.Signature([*own, *more])
