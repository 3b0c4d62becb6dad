"""Embedding methods of others, named by import path: checked before a sweep, and run in its cells."""

import difflib
import hashlib
import importlib
import inspect
import json
import random
import re
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from graphcl_hard.exceptions import InputError, first_line

if TYPE_CHECKING:
    import numpy.typing as npt

    from graphcl_hard.data.graph_data import GraphData

SEEDS = ("random_state", "seed")
"""Parameters that are the seed of the cell where the plan does not give them."""


@dataclass(frozen=True)
class Embedder:
    """A class that embeds graphs.

    Attributes:
        path: its import path, such as "package.module:Class".
        parameters: keyword arguments to create an object with.
        source: digest of the file that defines it, empty if there is no such file.
        folders: where its module is looked up, after Python's own path.
    """

    path: str
    parameters: dict[str, Any]
    source: str
    folders: tuple[str, ...] = field(compare=False)

    def identity(self) -> dict[str, Any]:
        """Return the part of a record that says what embedded the graphs."""
        return {"class": self.path, "parameters": self.parameters, "source": self.source}


def check_embedder(path: Any, parameters: Mapping[str, Any], folders: Sequence[str]) -> Embedder:
    """Import a class and check that it can embed graphs and takes the parameters; it is not called.

    Args:
        path: its import path.
        parameters: keyword arguments.
        folders: where its module is looked up, after Python's own path.

    Raises:
        InputError: it cannot be imported, is no class with `fit_transform` or with `fit` and `transform`, or does not
            take the parameters.
    """
    found = _imported(path, folders)
    if isinstance(found, type) and not (
        hasattr(found, "fit_transform") or (hasattr(found, "fit") and hasattr(found, "transform"))
    ):
        raise InputError(
            f"{path} must have a method fit_transform(graphs), or fit(graphs) and transform(graphs), got none; add one."
        )
    try:
        json.dumps(parameters, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{path}: parameters must be numbers, strings, lists and mappings, got {dict(parameters)!r}; change them."
        ) from error
    signature = _signature(found)
    if signature is not None:
        try:
            signature.bind(**parameters)
        except TypeError as error:
            raise InputError(
                f"{path}{signature} does not take the parameters {dict(parameters)!r}: {first_line(error)}."
            ) from error
    return Embedder(path, dict(parameters), _digest(found), tuple(folders))


def embed(embedder: Embedder, graphs: "GraphData", seed: int) -> "npt.NDArray[np.float64]":
    """Return the vectors of graphs, (G, D) float64.

    The random states of Python, NumPy and PyTorch start from the seed, and so does the method if it has a parameter
    `random_state` or `seed` that the plan does not set.

    Raises:
        InputError: what it returns is no finite two-dimensional array of numbers with a row for each graph.
    """
    import torch  # noqa: PLC0415 - not for the checks of a plan

    from graphcl_hard.evaluation.checks import check_vectors  # noqa: PLC0415

    found = _imported(embedder.path, embedder.folders)
    signature = _signature(found)
    taken = () if signature is None else signature.parameters
    seeded = {name: seed for name in SEEDS if name in taken and name not in embedder.parameters}
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    method = found(**{**seeded, **embedder.parameters})
    if hasattr(method, "fit_transform"):
        vectors = method.fit_transform(graphs)
    else:
        method.fit(graphs)
        vectors = method.transform(graphs)
    try:
        return check_vectors("vectors", vectors, graphs.num_graphs)
    except InputError as error:
        raise InputError(f"What {embedder.path} returns cannot be used: {error}") from error


def reason(error: BaseException) -> str:
    """Return an error as one line, with the last line of code that is not the package's or a library's."""
    if isinstance(error, InputError):
        return str(error)
    text = f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "site-packages" not in frame.filename
        and not Path(frame.filename).is_relative_to(Path(__file__).parents[1])
        and not frame.filename.startswith((sys.prefix, sys.base_prefix, "<"))
    ]
    return f"{text} ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else text


def _imported(path: Any, folders: Sequence[str]) -> Callable[..., Any]:
    if not isinstance(path, str) or not re.fullmatch(r"\w+(\.\w+)*:\w+(\.\w+)*", path):
        raise InputError(
            f"method must be an import path such as package.module:Class, got {path!r}; correct it."
        )
    module_name, _, names = path.partition(":")
    for folder in folders:
        if folder not in sys.path:
            sys.path.append(folder)
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(module_name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the module may do anything
        raise InputError(
            f"{path} cannot be imported: {reason(error)}; install its package, or put its file beside the plan."
        ) from error
    found: Any = module
    for name in names.split("."):
        if not hasattr(found, name):
            close = difflib.get_close_matches(name, dir(found), n=1)
            hint = f"did you mean {close[0]}?" if close else "correct the plan."
            where = getattr(module, "__file__", None) or module_name
            raise InputError(f"{path} cannot be imported: {where} has no {name}; {hint}")
        found = getattr(found, name)
    if not callable(found):
        raise InputError(f"{path} must be a class, got {type(found).__name__}; name a class.")
    result: Callable[..., Any] = found
    return result


def _signature(found: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(found)
    except (TypeError, ValueError):  # of some classes that are not written in Python
        return None


def _digest(found: Callable[..., Any]) -> str:
    try:
        path = inspect.getsourcefile(found)
        return hashlib.sha256(Path(str(path)).read_bytes()).hexdigest()[:16]
    except (TypeError, OSError):
        return ""
