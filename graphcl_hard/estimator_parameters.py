"""The estimator's parameters: those of a run, written once in `Config`, and a few of its own."""

import dataclasses
import difflib
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from graphcl_hard.config import Config
from graphcl_hard.errors import InputError, shown

# What a run has and an estimator has not: the data set, the seeds, the judge, and the folder.
OF_RUNS = {
    *("dataset", "data_dir", "use_node_attr", "seed", "seeds", "score_epochs", "protocol", "folds", "repeats"),
    *("probes", "out", "overwrite", "resume", "checkpoint_seconds", "pictures", "quiet"),
}
SETTINGS = {field.name: field.default for field in dataclasses.fields(Config) if field.name not in OF_RUNS}
OWN = ("node_label", "node_attr", "n_jobs", "random_state", "warm_start", "on_epoch")


def to_config(params: Mapping[str, Any], draw: bool = False) -> Config:
    """The settings of a training: a value for each of `SETTINGS`, and the seed.

    Args:
        params: the estimator's parameters.
        draw: whether to draw a seed where `random_state` is no int, as scikit-learn does; if not, it is 0.

    Raises:
        InputError: with a line for each parameter outside its range.
    """
    # Grids come as arrays, whose entries are NumPy's numbers, and views as lists.
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in params.items()}
    if isinstance(plain["views"], list) or (isinstance(plain["views"], np.ndarray) and plain["views"].ndim):
        plain["views"] = tuple(plain["views"])
    mistakes = list(_own_mistakes(plain))
    state = plain["random_state"]
    seed = state if isinstance(state, int) and not mistakes else 0
    config = Config(**{name: plain[name] for name in SETTINGS}, seed=seed, score_epochs=())
    mistakes += [
        re.sub(r"--([a-z][a-z-]*)", lambda found: found[1].replace("-", "_"), mistake) for mistake in config.mistakes()
    ]
    if config.encoder == "gine":
        mistakes.append("encoder must not be gine, since features of edges are not read from graphs yet; take another.")
    if mistakes:
        raise InputError("\n".join(mistakes))
    if draw and not isinstance(state, int):
        config = dataclasses.replace(config, seed=int(check_random_state(state).randint(2**31)))
    return config


def _own_mistakes(params: Mapping[str, Any]) -> Iterator[str]:
    state, jobs, on_epoch = params["random_state"], params["n_jobs"], params["on_epoch"]
    if isinstance(state, bool) or not isinstance(state, (int, np.random.RandomState, type(None))):
        yield f"random_state must be an int, a RandomState or None, got {shown(state)}; take a small whole number."
    elif isinstance(state, int) and not 0 <= state < 2**32:
        yield f"random_state must lie in [0, {2**32 - 1}], got {shown(state)}; take a small whole number."
    if jobs is not None and (not isinstance(jobs, int) or isinstance(jobs, bool) or jobs == 0):
        yield f"n_jobs must be a number of threads, -1 for all cores, or None, got {shown(jobs)}; None is PyTorch's."
    if on_epoch is not None and not callable(on_epoch):
        yield f"on_epoch must be a function of an Epoch, or None, got {shown(on_epoch)}."


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
