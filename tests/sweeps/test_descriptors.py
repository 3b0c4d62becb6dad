"""Computed vectors of graphs equal plain loops over nodes and edges, and cells score them as they score runs."""

import dataclasses
import math
from collections import Counter

import networkx as nx
import numpy as np
import pytest
import torch
from helpers.graphs import graph_data, random_graphs, with_attributes

from graphcl_hard import cross_validate, load_graphs, sweep
from graphcl_hard.data.graph_data import GraphData
from graphcl_hard.exceptions import InputError
from graphcl_hard.sweeps import descriptors
from graphcl_hard.sweeps.cell import CONTROLS, DESCRIPTORS, Cell
from graphcl_hard.sweeps.methods import KINDS
from graphcl_hard.sweeps.plan import read_plan
from graphcl_hard.sweeps.records import read_records


def tiny_graphs(**options):
    """Return graphs with isolated nodes, one with a single node, a star of 40 nodes, and one of two components."""
    graphs = [
        *random_graphs([5, 7, 8], 0.4),
        nx.empty_graph(1),
        nx.star_graph(39),
        nx.disjoint_union(nx.path_graph(4), nx.cycle_graph(3)),
        nx.empty_graph(3),
    ]
    random = np.random.default_rng(0)
    with_attributes(graphs, {"label": lambda *_: int(random.integers(3))})
    return graph_data(graphs, [0, 1, 0, 1, 0, 1, 0], **options)


def one_way(graphs):
    """Return the graphs without the stored edge from node 1 to node 0 of the first graph, and with edge labels."""
    source, target = graphs.edge_index
    keep = ~((source > target) & (torch.arange(len(source)) < graphs.edge_ptr[1]))
    kept = torch.cat([torch.zeros(1, dtype=torch.int64), keep.cumsum(0)])
    edges = graphs.edge_index[:, keep]
    return dataclasses.replace(
        graphs,
        edge_index=edges,
        edge_ptr=kept[graphs.edge_ptr],
        edge_label=(edges.sum(dim=0) % 4)[:, None],
    )


def parts(graphs):
    """Yield for each graph its nodes, and its stored edges with their positions."""
    for number in range(graphs.num_graphs):
        nodes = range(*graphs.node_ptr[number : number + 2].tolist())
        places = range(*graphs.edge_ptr[number : number + 2].tolist())
        yield nodes, [(place, *graphs.edge_index[:, place].tolist()) for place in places]


def naive_size(graphs):
    return [
        [len(nodes), len({frozenset(edge[1:]) for edge in edges})] for nodes, edges in parts(graphs)
    ]


def naive_histograms(graphs, last_bin):
    """Return the rows by counting, with the ranges of degrees written out."""
    ranges = [(d, d) for d in range(17)] + [(17, 32), (33, 64), (65, 128)]
    rows = []
    for (nodes, edges), sizes in zip(parts(graphs), naive_size(graphs), strict=True):
        degree = Counter(source for _, source, _ in edges)
        row = [*sizes]
        for low, high in ranges[: last_bin + 1]:
            row.append(sum(low <= degree[node] <= high for node in nodes))
        if graphs.node_label is not None:
            for value in range(3):
                row.append(sum(graphs.node_label[node, 0].item() == value for node in nodes))
        if graphs.edge_label is not None:
            both = {(source, target) for _, source, target in edges}
            for value in range(4):
                row.append(
                    sum(
                        0.5 if (target, source) in both else 1.0
                        for place, source, target in edges
                        if graphs.edge_label[place, 0].item() == value
                    )
                )
        rows.append(row)
    return rows


@pytest.mark.parametrize("labels", [True, False])
@pytest.mark.parametrize("change", [lambda graphs: graphs, one_way], ids=["undirected", "one-way"])
def test_size_and_histograms_equal_loops(labels, change):
    graphs = change(tiny_graphs(node_labels=labels))
    assert descriptors.size(graphs).tolist() == naive_size(graphs)
    found = descriptors.histograms(graphs)
    assert found.dtype == np.float64
    assert found.tolist() == naive_histograms(
        graphs, last_bin=18
    )  # the star's centre has degree 39
    assert descriptors.size(graphs)[3].tolist() == [1, 0]


def test_one_way_edges_are_there():
    plain, changed = tiny_graphs(), one_way(tiny_graphs())
    assert changed.num_edges < plain.num_edges
    assert descriptors.size(changed).tolist() == descriptors.size(plain).tolist()


def test_bins_of_degrees_double_above_16():
    bins = descriptors.degree_bins(np.arange(5000))
    assert bins[:17].tolist() == list(range(17))
    for degree in range(17, 5000):
        assert bins[degree] == 16 + next(k for k in range(1, 20) if degree <= 16 * 2**k)


def test_graphs_without_edges_or_without_nodes_have_zeros():
    nothing = GraphData(
        name="TOY",
        node_ptr=torch.tensor([0, 0, 2]),
        edge_index=torch.zeros(2, 0, dtype=torch.int64),
        edge_ptr=torch.tensor([0, 0, 0]),
        y=torch.tensor([0, 1]),
    )
    assert descriptors.size(nothing).tolist() == [[0, 0], [2, 0]]
    assert descriptors.histograms(nothing).tolist() == [[0, 0, 0], [2, 0, 2]]
    assert descriptors.netlsd(nothing).tolist() == [[0] * 250, [1] * 250]
    assert descriptors.fgsd(nothing)[:, 0].tolist() == [0, 1]


def laplacians(graphs):
    """Yield the normalised Laplacian of each graph, entry by entry."""
    for nodes, edges in parts(graphs):
        joined = {frozenset(edge[1:]) for edge in edges}
        degree = {u: sum(u in pair for pair in joined) for u in nodes}
        yield np.array(
            [
                [
                    float(degree[u] > 0)
                    if u == v
                    else -1 / math.sqrt(degree[u] * degree[v])
                    if {u, v} in joined
                    else 0.0
                    for v in nodes
                ]
                for u in nodes
            ]
        )


@pytest.mark.parametrize("change", [lambda graphs: graphs, one_way], ids=["undirected", "one-way"])
def test_heat_traces_equal_loops(change):
    graphs = change(tiny_graphs())
    found = descriptors.netlsd(graphs)
    assert found.shape == (graphs.num_graphs, 250)
    for row, matrix in zip(found, laplacians(graphs), strict=True):
        values = np.linalg.eigh(matrix)[0].tolist()
        for place in range(250):
            time = 10 ** (-2 + 4 * place / 249)
            trace = sum(math.exp(-time * value) for value in values) / len(values)
            assert row[place] == pytest.approx(trace, rel=1e-10)


def test_heat_trace_of_a_complete_graph_has_a_closed_form():
    graphs = graph_data([nx.complete_graph(6), nx.empty_graph(4)], [0, 1])
    found = descriptors.netlsd(graphs)
    expected = (1 + 5 * np.exp(-np.logspace(-2, 2, 250) * 6 / 5)) / 6
    np.testing.assert_allclose(found[0], expected, rtol=1e-12)
    np.testing.assert_array_equal(found[1], 1.0)


@pytest.mark.parametrize("change", [lambda graphs: graphs, one_way], ids=["undirected", "one-way"])
def test_histograms_of_distances_equal_loops(change):
    graphs = change(tiny_graphs())
    found = descriptors.fgsd(graphs)
    assert found.shape == (graphs.num_graphs, 200)
    for row, matrix in zip(found, laplacians(graphs), strict=True):
        values, vectors = np.linalg.eigh(matrix)
        expected = [0] * 200
        for x in range(len(matrix)):
            for y in range(x):
                distance = sum(
                    (vector[x] - vector[y]) ** 2 / value
                    for value, vector in zip(values, vectors.T, strict=True)
                    if value > 1e-9
                )
                expected[min(int(round(distance, 7) * 10 + 1e-6), 199)] += 1
        assert row.tolist() == expected
    assert found[0].sum() == 10
    assert found[3].sum() == 0


def test_distances_on_the_border_of_a_bin_and_beyond_the_last_one():
    graphs = graph_data([nx.path_graph(2), nx.path_graph(200), nx.path_graph(2)], [0, 1, 0])
    found = descriptors.fgsd(graphs)
    assert np.flatnonzero(found[0]).tolist() == [10]  # L+ = L / 4: 1/4 + 1/4 + 1/2 = 1
    assert found[1].sum() == 199 * 100
    assert found[1, -1] > 1000


@pytest.mark.parametrize("family", DESCRIPTORS)
def test_vectors_of_a_graph_do_not_depend_on_others_nor_on_classes(family):
    graphs, vectors = tiny_graphs(), getattr(descriptors, family)
    whole = vectors(graphs)
    assert np.isfinite(whole).all()
    other_classes = dataclasses.replace(graphs, y=1 - graphs.y)
    np.testing.assert_array_equal(vectors(other_classes), whole)
    some = vectors(graphs[[4, 1]])  # the star has all columns
    np.testing.assert_array_equal(some[:, : some.shape[1]], whole[[4, 1]])


def cell_of(family, **settings):
    given = {"folds": 3, "repeats": 2, "probes": ["knn"], **settings}
    return Cell("MUTAG", family, family, settings, 5, given)


@pytest.mark.parametrize("family", DESCRIPTORS)
def test_cells_have_the_scores_of_cross_validate_on_the_folds_of_a_run(family, tmp_path):
    cell = cell_of(family, scale="linear", probes=["svm"])
    record = KINDS[cell.kind].run(cell, tmp_path, 1)
    graphs = load_graphs("MUTAG")
    vectors = getattr(descriptors, family)(graphs)
    plain = cross_validate(vectors, graphs.labels, cv=3, repeats=2, seed=5)["vectors"]
    sizes = plain.targets["y"].test_sizes
    assert record["test_sizes"] == sizes.tolist()
    correct = np.array(record["scores"]["svm"]["0"]["correct"])
    np.testing.assert_array_equal(correct, np.rint(plain.accuracy * sizes))
    assert record["scores"]["svm"]["0"]["predicted"] == plain.targets["y"].predicted.tolist()
    assert record["labels"] == graphs.y.tolist()
    assert record["status"] == "finished"
    assert record["channels"] == vectors.shape[1]
    assert record["data"]["features"] == DESCRIPTORS[family]


def test_a_record_is_compared_with_the_settings_of_the_plan(tmp_path):
    cell = cell_of("size")
    record = KINDS["size"].run(cell, tmp_path, 1)
    assert cell.difference(record) is None
    assert cell_of("size", scale="linear").difference(record) is not None
    other_folds = dataclasses.replace(cell, given={**cell.given, "folds": 4})
    assert other_folds.difference(record) == "folds 3, now 4"


def plan_of(folder, methods):
    path = folder / "plan.yaml"
    path.write_text(f"datasets: [MUTAG]\nsettings: {{folds: 3, epochs: 2}}\nmethods: {methods}\n")
    return read_plan(path)


def test_plans_list_them_as_controls_with_settings_of_the_evaluation(tmp_path):
    cells = plan_of(tmp_path, "[size, {family: histograms, name: h, settings: {scale: linear}}]")
    assert [(cell.kind, cell.control) for cell in cells] == [("size", True), ("histograms", False)]
    assert cells[1].config()["scale"] == "linear"
    assert "epochs" not in cells[0].config()
    assert set(DESCRIPTORS) < set(CONTROLS)


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        (
            "[{family: size, settings: {beta: 1}}]",
            "method size, settings has the unknown key 'beta'",
        ),
        ("[{family: sizes}]", "the unknown family 'sizes'; did you mean 'size'?"),
        ("[{family: size, settings: {probes: [svn]}}]", "svn"),
        ("[sizee]", "the unknown control 'sizee'; did you mean 'size'?"),
    ],
)
def test_bad_plans_are_refused(methods, message, tmp_path):
    with pytest.raises(InputError) as caught:
        plan_of(tmp_path, methods)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_sweep_of_baselines_computes_each_once_and_refuses_other_labels(tmp_path, capsys):
    def swept(labels):
        kernel = f"{{family: wl-oa, settings: {{iterations: [0], labels: {labels}}}}}"
        plan_of(tmp_path, f"[size, histograms, netlsd, fgsd, {kernel}]")
        arguments = [str(tmp_path / "plan.yaml"), "--out", str(tmp_path / "out"), "--jobs", "1"]
        return sweep.main([*arguments, "--no-report"]), capsys.readouterr()

    status, first = swept("degree")
    assert status == 0
    assert "5 of 5 cells to do" in first.out + first.err
    records = read_records(tmp_path / "out" / "records")
    assert [record["status"] for record in records] == ["finished"] * 5
    assert len({str(record["test_sizes"]) for record in records}) == 1
    assert all(len(record["scores"]["svm"]["0"]["predicted"][0]) == 188 for record in records)
    status, again = swept("degree")
    assert status == 0
    assert "0 of 5 cells to do" in again.out + again.err
    assert read_records(tmp_path / "out" / "records") == records
    status, other = swept("constant")
    assert status != 0
    assert "has a record with settings" in other.err
