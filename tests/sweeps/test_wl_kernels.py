"""Weisfeiler-Lehman kernels equal naive ones and GraKeL's own."""

import dataclasses
import itertools
import math
import operator
from collections import Counter

import networkx as nx
import numpy as np
import pytest
import torch
from grakel.kernels import WeisfeilerLehman, WeisfeilerLehmanOptimalAssignment
from helpers.graphs import graph_data, random_graphs, with_attributes
from scipy.optimize import linear_sum_assignment

from graphcl_hard.exceptions import InputError
from graphcl_hard.sweeps.wl_kernels import _grakel_graphs, first_labels, wl_kernels, wl_oa_kernels


def sparse_graphs(count=14, seed=0, **options):
    """Sparse random graphs with three node labels, some with isolated nodes, one with a single node."""
    random = np.random.default_rng(seed)
    graphs = [
        *random_graphs([int(random.integers(3, 9)) for _ in range(count - 1)], 0.35),
        nx.empty_graph(1),
    ]
    with_attributes(graphs, {"label": lambda *_: int(random.integers(3))})
    return graph_data(graphs, [number % 2 for number in range(count)], **options)


def naive_wl(graphs, given_labels, iterations, of_counts=operator.mul):
    """The normalised kernel from its definition, with strings for labels; `of_counts` is min for optimal assignment."""
    labels = [str(label) for label in given_labels]
    neighbours = [[] for _ in labels]
    for source, target in graphs.edge_index.T.tolist():
        neighbours[source].append(target)
    pointer = graphs.node_ptr.tolist()
    counts = [Counter() for _ in pointer[1:]]
    for iteration in range(iterations + 1):
        for count, first, end in zip(counts, pointer, pointer[1:], strict=False):
            count.update((iteration, label) for label in labels[first:end])
        labels = [
            f"({label}|{sorted(labels[v] for v in neighbours[node])})"
            for node, label in enumerate(labels)
        ]
    dot = [[float(sum(of_counts(a[key], b[key]) for key in a)) for b in counts] for a in counts]
    return np.array(
        [
            [row[j] / math.sqrt(row[i] * dot[j][j]) for j in range(len(dot))]
            for i, row in enumerate(dot)
        ]
    )


def assert_equals_naive(graphs, labels, name="given"):
    for kernels, of_counts in ((wl_kernels, operator.mul), (wl_oa_kernels, min)):
        found = kernels(graphs, 3, name)
        assert found.shape == (4, graphs.num_graphs, graphs.num_graphs)
        for iterations, kernel in enumerate(found):
            naive = naive_wl(graphs, labels, iterations, of_counts)
            np.testing.assert_array_equal(kernel, naive)
        assert (found[0] > found[3]).any()


def test_kernel_equals_a_naive_one_with_node_labels():
    graphs = sparse_graphs()
    assert_equals_naive(graphs, graphs.node_label[:, 0].tolist())


def test_kernel_takes_degrees_where_there_are_no_labels():
    graphs = sparse_graphs(node_labels=False)
    assert_equals_naive(
        graphs, torch.bincount(graphs.edge_index[0], minlength=graphs.num_nodes).tolist()
    )


def test_kernel_takes_several_label_columns_as_one_label():
    graphs = sparse_graphs()
    other = torch.arange(graphs.num_nodes)[:, None] % 2
    both = dataclasses.replace(graphs, node_label=torch.cat([graphs.node_label, other], dim=1))
    assert_equals_naive(both, [tuple(pair) for pair in both.node_label.tolist()])


@pytest.mark.parametrize("name", ["constant", "degree", "log-degree"])
def test_kernel_starts_from_other_labels(name):
    graphs = sparse_graphs()
    degree = torch.bincount(graphs.edge_index[0], minlength=graphs.num_nodes).tolist()
    bins = [d if d < 2 else 2 if d < 4 else 3 for d in degree]
    assert max(degree) < 8
    labels = {"constant": [0] * len(degree), "degree": degree, "log-degree": bins}[name]
    assert_equals_naive(graphs, labels, name)


def test_degrees_are_binned_by_powers_of_two():
    graphs = graph_data([nx.star_graph(n) for n in (1, 2, 3, 4, 7, 8, 1023, 1024)], [0, 1] * 4)
    found = first_labels(graphs, "log-degree")[graphs.node_ptr[:-1]]
    assert found.tolist() == [1, 2, 2, 3, 3, 4, 10, 11]


def test_kernel_equals_grakels_own_normalised_one():
    graphs = sparse_graphs()
    plain = WeisfeilerLehman(n_iter=2, normalize=True).fit_transform(
        _grakel_graphs(graphs, first_labels(graphs))
    )
    np.testing.assert_array_equal(wl_kernels(graphs, 2)[2], plain)


def test_assignment_kernel_equals_grakels_own_normalised_one():
    """GraKeL drops isolated nodes from this kernel, so there are none here."""
    given = sparse_graphs(count=40)
    degree = torch.bincount(given.edge_index[0], minlength=given.num_nodes)
    parts = itertools.pairwise(given.node_ptr.tolist())
    graphs = given[[number for number, (a, b) in enumerate(parts) if (degree[a:b] > 0).all()]]
    assert graphs.num_graphs > 10
    plain = WeisfeilerLehmanOptimalAssignment(n_iter=2, normalize=True).fit_transform(
        _grakel_graphs(graphs, first_labels(graphs))
    )
    np.testing.assert_array_equal(wl_oa_kernels(graphs, 2)[2], plain)


def test_assignment_is_the_best_one_of_all():
    """The kernel without its norm is the largest sum over assignments of how long two nodes have equal labels."""
    graphs = sparse_graphs(count=6)
    rounds = 2
    labels = [str(label) for label in graphs.node_label[:, 0].tolist()]
    neighbours = [[] for _ in labels]
    for source, target in graphs.edge_index.T.tolist():
        neighbours[source].append(target)
    history = []
    for _ in range(rounds + 1):
        history.append(labels)
        around = [sorted(labels[v] for v in near) for near in neighbours]
        labels = [f"({label}|{near})" for label, near in zip(labels, around, strict=True)]
    parts = [range(a, b) for a, b in itertools.pairwise(graphs.node_ptr.tolist())]

    def best(a, b):
        alike = [[sum(one[u] == one[v] for one in history) for v in b] for u in a]
        rows, columns = linear_sum_assignment(alike, maximize=True)
        return np.array(alike)[rows, columns].sum()

    found = wl_oa_kernels(graphs, rounds)[rounds]
    for i, a in enumerate(parts):
        for j, b in enumerate(parts):
            expected = best(a, b) / math.sqrt(best(a, a) * best(b, b))
            assert found[i, j] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("kernels", [wl_kernels, wl_oa_kernels])
def test_an_entry_depends_only_on_its_two_graphs(kernels):
    graphs = sparse_graphs()
    np.testing.assert_array_equal(kernels(graphs[:8], 3), kernels(graphs, 3)[:, :8, :8])


@pytest.mark.parametrize("kernels", [wl_kernels, wl_oa_kernels])
def test_a_graph_without_nodes_is_unlike_all_others(kernels):
    graphs = sparse_graphs()
    more = dataclasses.replace(
        graphs,
        node_ptr=torch.cat([graphs.node_ptr[:1], graphs.node_ptr]),
        edge_ptr=torch.cat([graphs.edge_ptr[:1], graphs.edge_ptr]),
        y=torch.cat([graphs.y[:1], graphs.y]),
        ids=np.arange(graphs.num_graphs + 1),
    )
    found = kernels(more, 2)
    assert not found[:, 0].any()
    assert not found[:, :, 0].any()
    np.testing.assert_array_equal(found[:, 1:, 1:], kernels(graphs, 2))


def test_unknown_labels_are_refused():
    message = (
        "labels must be one of given, constant, degree, log-degree, got 'log'; given is usual."
    )
    with pytest.raises(InputError, match=message):
        first_labels(sparse_graphs(), "log")
