"""Any settings, parameters and graphs: taken as they are, or refused in sentences."""

import dataclasses
import math
import random
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import scipy.sparse
import torch
from helpers.fuzz import campaign, outcome
from hypothesis import strategies as st
from torch_geometric.data import Data

from graphcl_hard import HardInfoGraph
from graphcl_hard.config import RULES, Config
from graphcl_hard.data.collate import to_graph_data
from graphcl_hard.estimators.hard_infograph import OWN, SETTINGS, to_config
from graphcl_hard.exceptions import InputError
from graphcl_hard.loader.features import FeatureMap
from graphcl_hard.runs.config_file import to_flags

ANY = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-2, 12),
    st.floats(),
    st.complex_numbers(),
    st.text(max_size=6),
    st.binary(max_size=3),
    st.sampled_from(
        [
            "svm",
            "knn",
            "gin",
            "gine",
            "graphcl",
            "none",
            "random",
            "auto",
            "released",
            "best-epoch",
            "info-nce",
        ]
    ),
    st.lists(st.integers(-1, 9) | st.sampled_from(["svm", "none", "random"]), max_size=3),
    st.lists(st.integers(-1, 9) | st.sampled_from(["svm", "none", "random"]), max_size=3).map(
        tuple
    ),
    st.sampled_from(
        [
            np.float32(0.5),
            np.int64(3),
            np.array([1, 2]),
            np.array(2.0),
            torch.tensor(1),
            Path("x"),
            object,
            {},
            set(),
            len,
        ]
    ),
    st.sampled_from([math.nan, math.inf, 10**5000, "\0", "x" * 5000, [[]], {"a": []}]),
)
LINES = len(dataclasses.fields(Config)) + len(OWN)


@pytest.mark.slow
@campaign(
    "settings",
    st.dictionaries(
        st.sampled_from([field.name for field in dataclasses.fields(Config)]), ANY, max_size=4
    ),
)
def test_settings_are_in_range_or_refused(settings):
    config = Config(**settings)

    def checked():
        config.check()
        return True

    if outcome(checked, LINES):
        for name, rule in RULES.items():
            value = getattr(config, name)
            assert value is None or not rule.has_range or rule.allows(value)
        words = to_flags(
            {name: value for name, value in config.to_dict().items() if value is not None}
        )
        assert all(isinstance(word, str) for word in words)
        assert config.resolved_critic in ("dot", "cosine")
        assert config.scored_epochs[-1:] == ((config.epochs,) if config.evaluate else ())


@pytest.mark.parametrize(
    "more", [{}, {"mode": "released"}, {"score_epochs": (0, 0)}, {"method": "graphcl"}]
)
@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Config)])
def test_a_number_that_python_does_not_print_is_refused(name, more):
    """As the campaign found: more than 4300 digits, in a sentence about two settings."""
    with pytest.raises(InputError, match=r"got .*; "):
        Config(**{**more, name: 10**5000}).check()


@campaign(
    "an estimator's parameters",
    st.dictionaries(st.sampled_from([*SETTINGS, *OWN, "beat"]), ANY, max_size=4),
)
def test_an_estimators_parameters_are_in_range_or_refused(params):
    try:
        estimator = HardInfoGraph(**params)
    except TypeError as error:
        assert "beat" in params
        assert "unexpected keyword argument 'beat'" in str(error)  # noqa: PT017 - as any Python function
        return
    config = outcome(lambda: to_config(estimator.get_params(deep=False), draw=True), LINES)
    if config is not None:
        assert not list(config.mistakes())


@st.composite
def drawn_graphs(draw):
    """Graphs of 0 to 5 nodes as (number of nodes, directed edges), with loops and parallel edges."""
    found = []
    for _ in range(draw(st.integers(1, 4))):
        nodes = draw(st.integers(0, 5))
        node = st.integers(0, max(nodes - 1, 0))
        found.append((nodes, draw(st.lists(st.tuples(node, node), max_size=8)) if nodes else []))
    return found


def as_data(nodes, edges):
    return Data(edge_index=torch.tensor(edges, dtype=torch.int64).reshape(-1, 2).T, num_nodes=nodes)


def as_networkx(nodes, edges):
    graph = nx.MultiDiGraph()
    graph.add_nodes_from(range(nodes))
    graph.add_edges_from(edges)
    return graph


def as_matrix(nodes, edges):
    source, target = zip(*edges, strict=True) if edges else ((), ())
    return scipy.sparse.coo_array((np.ones(len(edges)), (source, target)), shape=(nodes, nodes))


@campaign(
    "graphs, written and read", drawn_graphs(), st.sampled_from([as_data, as_networkx, as_matrix])
)
def test_graphs_are_read_as_they_were_made(drawn, kind):
    found = to_graph_data([kind(*graph) for graph in drawn])
    assert found.node_ptr.diff().tolist() == [nodes for nodes, _ in drawn]
    for number, (_, edges) in enumerate(drawn):
        part = (
            found.edge_index[:, found.edge_ptr[number] : found.edge_ptr[number + 1]]
            - found.node_ptr[number]
        )
        assert part.T.tolist() == sorted(list(edge) for edge in {*edges} if edge[0] != edge[1])
    assert found.num_edges == found.edge_ptr[-1]


TENSORS = st.sampled_from(
    [
        *(torch.zeros(size) for size in [(), (0,), (2,), (2, 0), (0, 2), (3, 1), (2, 3, 1)]),
        *(
            torch.tensor([[0, 1], [1, 0]], dtype=kind)
            for kind in (torch.int8, torch.int64, torch.float32, torch.bool)
        ),
        torch.tensor([[0, 1], [1, 2**62]]),
        torch.tensor([[-1], [0]]),
        torch.tensor([[math.nan], [1.0], [2.0]]),
        torch.tensor([[1e300], [1.0], [2.0]], dtype=torch.float64),
        torch.ones(3, 2, dtype=torch.complex64),
        torch.tensor([[0, 1], [1, 0]]).to_sparse(),
        torch.empty(2, 2, device="meta"),
    ]
)


def strange_data(draw_from: random.Random, values):
    data = Data(
        edge_index=torch.tensor([[0, 1], [1, 0]]),
        x=torch.ones(3, 1),
        num_nodes=3,
        label=torch.arange(3),
    )
    for _ in range(draw_from.randint(1, 2)):
        data[draw_from.choice(["edge_index", "x", "num_nodes", "label"])] = draw_from.choice(values)
    return data


def strange_networkx(draw_from: random.Random, values):
    graph = draw_from.choice([nx.Graph, nx.DiGraph, nx.MultiGraph])()
    for node in draw_from.sample([0, 1, "a", (1, 2), 2.5, None.__class__, frozenset()], 3):
        graph.add_node(
            node,
            label=draw_from.choice(values),
            x=draw_from.choice([1.0, draw_from.choice(values)]),
        )
    nodes = list(graph)
    graph.add_edge(nodes[0], nodes[1], weight=draw_from.choice(values))
    return graph


def strange_matrix(draw_from: random.Random, values):
    kind = draw_from.choice(
        [
            scipy.sparse.csr_array,
            scipy.sparse.coo_matrix,
            scipy.sparse.lil_array,
            scipy.sparse.dia_array,
        ]
    )
    shape = draw_from.choice([(0, 0), (1, 1), (2, 2), (2, 3)])
    return kind(np.full(shape, draw_from.choice([0.0, 1.0, math.nan, 1j, True])))


@campaign(
    "graphs, damaged",
    st.lists(
        st.tuples(st.sampled_from([strange_data, strange_networkx, strange_matrix]), TENSORS, ANY),
        min_size=1,
        max_size=2,
    ),
    st.sampled_from([None, "label", "lable", 3]),
    st.sampled_from([None, "x", ("x", "label"), (), ["x"], 5]),
    st.randoms(use_true_random=False),
)
def test_strange_graphs_are_read_or_refused(made, label, attr, chance):
    graphs = [kind(chance, [tensor, value, 1, "a"]) for kind, tensor, value in made]
    found = outcome(lambda: to_graph_data(graphs, node_label=label, node_attr=attr))
    if found is None:
        return
    assert found.num_graphs == len(graphs)
    assert (
        found.edge_index.numel() == 0
        or 0 <= int(found.edge_index.min()) <= int(found.edge_index.max()) < found.num_nodes
    )
    assert found.node_attr is None or (
        len(found.node_attr) == found.num_nodes and bool(found.node_attr.isfinite().all())
    )
    assert found.node_label is None or len(found.node_label) == found.num_nodes
    features = outcome(lambda: FeatureMap.fit(found, found.node_attr is not None))
    if features is not None and features.channels:
        assert len(features.apply(found)) == found.num_nodes
