"""What the estimators share: parameters, the reading of graphs, and threads."""

import difflib
import inspect
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator

from graphcl_hard.data.graph_data import GraphData, GraphSource, Names
from graphcl_hard.data.load import Graphs, open_graphs
from graphcl_hard.data.molecules.vocabulary import MOLECULES
from graphcl_hard.data.shards import GraphShards
from graphcl_hard.exceptions import InputError, short_repr
from graphcl_hard.loader.features import FeatureMap

Estimator = TypeVar("Estimator", bound="GraphEstimator")


def own_mistakes(params: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each of `random_state`, `n_jobs` and `on_epoch` that is wrong."""
    state, jobs, on_epoch = params["random_state"], params["n_jobs"], params["on_epoch"]
    drawn, wanted = short_repr(state), short_repr(jobs)
    if isinstance(state, bool) or not isinstance(state, (int, np.random.RandomState, type(None))):
        yield f"`random_state` must be an int, a RandomState or None, got {drawn}; take a small whole number."
    elif isinstance(state, int) and not 0 <= state < 2**32:
        yield f"`random_state` must lie in [0, {2**32 - 1}], got {drawn}; take a small whole number."
    if jobs is not None and (not isinstance(jobs, int) or isinstance(jobs, bool) or jobs == 0):
        yield f"`n_jobs` must be a number of threads, -1 for all cores, or None, got {wanted}; None is PyTorch's."
    if on_epoch is not None and not callable(on_epoch):
        yield f"`on_epoch` must be a function of an Epoch, or None, got {short_repr(on_epoch)}."


def describe_unknown(estimator: type, names: Iterable[str]) -> str:
    """Return a line for each name that is not a parameter of an estimator, with the closest one that is."""
    lines = []
    known = list(inspect.signature(estimator).parameters)
    for name in names:
        close = difflib.get_close_matches(name, known, n=1)
        advice = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(known)}."
        lines.append(f"{estimator.__name__} has no parameter {name!r}; {advice}")
    return "\n".join(lines)


def to_json_value(name: str, value: Any) -> Any:
    """Return a parameter's value in a form that JSON can hold.

    Raises:
        InputError: there is no such form.
    """
    plain = value.tolist() if isinstance(value, (np.generic, np.ndarray)) else value
    try:
        json.dumps(plain)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{name} must consist of strings, numbers and lists to be saved, got {value!r}; set it to such a value."
        ) from error
    return plain


def _name(column: str, given: Any, known: Any) -> Any:
    """Return the name of a column in graphs to transform: the parameter, or the name that it had in `fit`."""
    if given is None:
        return known
    # node_attr="node_attr" selects the attributes of flat tensors, whatever their graphs call them.
    selects = isinstance(given, (str, tuple, list)) and given in (column, (column,), [column])
    return known if selects and known else given


def _signature(estimator: type) -> inspect.Signature:
    """Return the signature of a subclass's constructor, by which scikit-learn finds parameters.

    Where the constructor takes **settings, the parameters of the constructor above it stand in their place.
    """
    named: dict[str, inspect.Parameter] = {}
    for one in estimator.__mro__:
        if "__init__" not in vars(one):
            continue
        own = inspect.signature(vars(one)["__init__"]).parameters.values()
        explicit = [parameter for parameter in own if parameter.kind is not parameter.VAR_KEYWORD]
        for parameter in explicit:
            # What belongs to a constructor above goes through **settings, by name.
            kind = parameter.kind if one is estimator else parameter.KEYWORD_ONLY
            named.setdefault(parameter.name, parameter.replace(kind=kind))
        if len(explicit) == len(own):
            break
    return inspect.Signature(list(named.values()))


class GraphEstimator(BaseEstimator):
    """Base of the estimators, which have node_label, node_attr, edge_label, edge_attr and n_jobs as parameters."""

    node_label: Any
    node_attr: Any
    edge_label: Any
    edge_attr: Any
    n_jobs: int | None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__init__" in cls.__dict__:
            cls.__init__.__signature__ = _signature(cls)  # type: ignore[attr-defined]

    def set_params(self: Estimator, **params: Any) -> Estimator:
        """Set parameters by name.

        Raises:
            InputError: parameters are unknown; the message names all of them.
        """
        unknown = [name for name in params if name not in self.get_params(deep=False)]
        if unknown:
            raise InputError(describe_unknown(type(self), unknown))
        super().set_params(**params)
        return self

    def _read(
        self,
        graphs: Graphs,
        encoder: str,
        features: FeatureMap | None = None,
        labelled: bool = False,
    ) -> GraphSource:
        """Read graphs; what the parameters do not name has the names of `features`, if it is given.

        With `labelled`, single graphs are read with their labels.
        """
        names = {column: getattr(self, column) for column in Names._fields}
        if features is not None:
            known = features.names or self._earlier_names(features)
            if isinstance(graphs, (GraphData, GraphShards)):  # their columns need no names
                wanted = features.has_node_attr and "node_attr" in graphs.columns
                node_attr = ("node_attr",) if wanted else None
                known = Names(None, node_attr, None, () if known.edge_attr == () else None)
            names = {
                column: _name(column, name, getattr(known, column))
                for column, name in names.items()
            }
        if encoder != "gine":  # edge features that the encoder does not read are not checked
            names |= {"edge_label": None, "edge_attr": ()}
        vocabulary = (None if features is None else features.vocabulary) or MOLECULES
        return open_graphs(graphs, identified=labelled, vocabulary=vocabulary, **names)

    def _earlier_names(self, features: FeatureMap) -> Names:
        """Return what earlier versions, which kept no names, read of `Data`: also integers as attributes."""
        with_edges = features.edges is not None and features.edges.mean
        return Names(
            None,
            ("x",) if features.has_node_attr and self.node_attr is None else None,
            None,
            ("edge_attr",) if with_edges and self.edge_attr is None else None,
        )

    @contextmanager
    def _threads(self) -> Iterator[None]:
        before = torch.get_num_threads()
        if self.n_jobs is not None:
            torch.set_num_threads(effective_n_jobs(self.n_jobs))
        try:
            yield
        finally:
            torch.set_num_threads(before)
