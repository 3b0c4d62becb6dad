"""The estimator's parameters: those of a run, written once in `Config`, and a few of its own."""

import dataclasses
import difflib
import inspect
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from graphcl_hard.config import Config
from graphcl_hard.errors import InputError, shown

# What a run has and an estimator has not: the data set, the seeds, the judge, and the folder.
OF_RUNS = {
    *("dataset", "data_dir", "use_node_attr", "seed", "seeds", "evaluate", "score_epochs", "protocol", "folds"),
    *("repeats", "probes", "out", "overwrite", "resume", "checkpoint_seconds", "pictures", "logger", "quiet"),
    "sync_batch_norm",
}
SETTINGS = {field.name: field.default for field in dataclasses.fields(Config) if field.name not in OF_RUNS}
OWN = ("node_label", "node_attr", "edge_label", "edge_attr", "n_jobs", "random_state", "warm_start", "on_epoch")


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
    nothing = (str, tuple, list, type(None))
    named = [name for name in ("edge_label", "edge_attr") if not isinstance(plain[name], nothing) or plain[name]]
    if named and isinstance(config.encoder, str) and config.encoder != "gine":
        found = " and ".join(f"{name} {shown(plain[name])}" for name in named)
        mistakes.append(
            f"edge_label and edge_attr are read by encoder gine alone, got {found} with {config.encoder}; "
            "take gine, or leave them out."
        )
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


def describe_unknown(estimator: type, names: Iterable[str]) -> str:
    """A line for each name that is no parameter of an estimator, with the nearest that is."""
    lines = []
    known = [name for name in inspect.signature(estimator.__init__).parameters if name != "self"]  # type: ignore[misc]
    for name in names:
        close = difflib.get_close_matches(name, known, n=1)
        advice = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(known)}."
        lines.append(f"{estimator.__name__} has no parameter {name!r}; {advice}")
    return "\n".join(lines)


def signature(estimator: type) -> inspect.Signature:
    """A constructor's signature with what its **settings stand for in their place; scikit-learn finds parameters by it.

    They stand for the parameters of the constructor above it, and at the top for `SETTINGS`.
    """
    keyword = inspect.Parameter.KEYWORD_ONLY  # what comes from above goes through **settings, by name
    found: dict[str, inspect.Parameter] = {}
    for above in estimator.__mro__[:-1]:
        if "__init__" not in above.__dict__:
            continue
        own = inspect.signature(above.__dict__["__init__"]).parameters.values()
        named = [parameter for parameter in own if parameter.kind is not parameter.VAR_KEYWORD]
        if not found:
            found = {parameter.name: parameter for parameter in named}
        for parameter in named:
            found.setdefault(parameter.name, parameter.replace(kind=keyword))
        if len(named) == len(own):
            return inspect.Signature(list(found.values()))
    for field in dataclasses.fields(Config):
        if field.name in SETTINGS:
            parameter = inspect.Parameter(field.name, keyword, default=field.default, annotation=field.type)
            found.setdefault(field.name, parameter)
    return inspect.Signature(list(found.values()))


def to_plain_value(name: str, value: Any) -> Any:
    """A parameter's value as JSON has it.

    Raises:
        InputError: it has no such form.
    """
    plain = value.tolist() if isinstance(value, (np.generic, np.ndarray)) else value
    try:
        json.dumps(plain)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be of strings, numbers and lists to be saved, got {value!r}; set it.") from error
    return plain
