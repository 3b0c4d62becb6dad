"""The review's tables of baselines follow from the records, and its bound from the definition."""

import itertools

import networkx as nx
import numpy as np
import pytest
from helpers.graphs import graph_data, random_graphs

from experiments.hardness.review import baselines
from experiments.hardness.review.old_study import HARD, UNIFORM
from graphcl_hard import load_graphs
from graphcl_hard.evaluation.statistics import paired_difference
from graphcl_hard.sweeps.report.analysis import signed_rank


def naive_colours(graphs, labels, rounds):
    """Return nested tuples of labels after some rounds."""
    neighbours = [[] for _ in labels]
    for source, target in graphs.edge_index.T.tolist():
        neighbours[source].append(target)
    colours = list(labels)
    for _ in range(rounds):
        colours = [
            hash((colours[v], tuple(sorted(colours[u] for u in neighbours[v]))))
            for v in range(len(colours))
        ]
    return colours


def same_partition(first, second):
    pairs = set(zip(first, second, strict=True))
    return len(pairs) == len(set(first)) == len(set(second))


def test_stable_colours_equal_a_naive_refinement():
    graphs = load_graphs("MUTAG")[list(range(30))]
    found, rounds = baselines.stable_colours(graphs)
    labels = graphs.node_label[:, 0].tolist()
    assert rounds > 1
    assert same_partition(found.tolist(), naive_colours(graphs, labels, rounds))
    assert same_partition(found.tolist(), naive_colours(graphs, labels, rounds + 3))
    assert not same_partition(found.tolist(), naive_colours(graphs, labels, rounds - 1))


def test_twins_are_graphs_that_message_passing_cannot_separate():
    """Two triangles and a hexagon are twins, and so are isomorphic paths; their classes bound the accuracy."""
    triangles = nx.disjoint_union(nx.cycle_graph(3), nx.cycle_graph(3))
    hexagon, path, star = nx.cycle_graph(6), nx.path_graph(5), nx.star_graph(4)
    graphs = graph_data(
        [triangles, hexagon, path, path, path, star], [0, 1, 1, 1, 0, 0], node_labels=False
    )
    found = baselines.twins(graphs)
    assert (found["with_twin"], found["distinct"], found["right"]) == (5, 3, 1 + 2 + 1)


def test_labels_of_nodes_separate_what_degrees_do_not():
    cycles = [nx.cycle_graph(4), nx.cycle_graph(4)]
    nx.set_node_attributes(cycles[1], {0: 1}, "label")
    assert baselines.twins(graph_data(cycles, [0, 1]))["with_twin"] == 0
    assert baselines.twins(graph_data(cycles, [0, 1], node_labels=False))["with_twin"] == 2


def test_isomorphic_graphs_are_twins():
    graphs = random_graphs([6, 7, 8], 0.5)
    relabelled = [nx.relabel_nodes(one, {v: len(one) - 1 - v for v in one}) for one in graphs]
    found = baselines.twins(graph_data([*graphs, *relabelled], [0, 1, 0, 1, 1, 0]))
    assert found["with_twin"] == 6


def test_tables_hold_what_the_records_hold():
    largest = baselines.largest_c_table()
    assert set(largest.values["percent"].between(0, 100)) == {True}
    record = next(one for one in baselines.old_records() if one["method"] == "untrained")
    rows = [
        one
        for one in baselines.old_records()
        if (one["method"], one["dataset"]) == ("untrained", record["dataset"])
    ]
    chosen = list(itertools.chain(*(np.ravel(one["scores"]["svm"]["0"]["chosen"]) for one in rows)))
    here = largest.values.query("method == 'untrained'").set_index("dataset")["percent"]
    assert here[record["dataset"]] == pytest.approx(100 * chosen.count(1000.0) / len(chosen))
    bound = baselines.twins_table().values.set_index("dataset")
    assert (bound["right"] <= bound["graphs"]).all()
    assert (bound["distinct"] + bound["with_twin"] >= bound["graphs"]).all()


@pytest.fixture
def lines(monkeypatch):
    """Results where size has all five seeds on MUTAG and DD, three on PROTEINS and one on ENZYMES."""
    generator = np.random.default_rng(4)
    counts = {"MUTAG": 5, "ENZYMES": 1, "PROTEINS": 3, "DD": 5}
    found = {
        method: {
            dataset: {
                seed: generator.uniform(0.6, 0.9, (1, 10))
                for seed in range(count if method == "size" else 5)
            }
            for dataset, count in counts.items()
        }
        for method in ("majority", "untrained", UNIFORM, HARD, "size")
    }
    monkeypatch.setattr(baselines, "_lines", lambda: found)
    return found


def test_cells_with_fewer_seeds_say_how_many(lines):
    shown = baselines.baselines_table().shown.set_index("method")
    counts = {"MUTAG": "", "ENZYMES": " (1)", "PROTEINS": " (3)", "DD": ""}
    for dataset, end in counts.items():
        assert shown.loc["size", dataset].endswith("]" + end)
        assert shown.loc["uniform", dataset].endswith("]")


def test_all_methods_are_compared_with_size_on_the_seeds_that_all_have(lines):
    del lines["untrained"]["DD"][4]
    table = baselines.against_size_table()
    assert list(table.shown["data set"]) == ["MUTAG", "PROTEINS", "DD", "over the sets"]
    assert list(table.shown["seeds"]) == ["5", "3", "4", ""]
    assert "fewer than 2 seeds of all methods: PTC_MR, ENZYMES, IMDB-BINARY" in table.note
    values = table.values.query("first == @HARD").set_index("dataset")
    for dataset, seeds in (("PROTEINS", 3), ("DD", 4)):
        arrays = [
            np.concatenate([lines[name][dataset][seed] for seed in range(seeds)])
            for name in (HARD, "size")
        ]
        expected = paired_difference(*arrays, 1 / 9)
        assert values.loc[dataset, "difference"] == pytest.approx(100 * expected.difference)
        assert values.loc[dataset, "p"] == pytest.approx(expected.p)
    tested = values.loc[["MUTAG", "PROTEINS", "DD"], "difference"]
    assert values["p"].iloc[-1] == pytest.approx(signed_rank(tested))
