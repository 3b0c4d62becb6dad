"""Graphs of PyG, networkx and SciPy are collated to the same flat tensors, or refused by name and index."""

import dataclasses

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from helpers.graphs import with_attributes
from torch_geometric.data import Batch, Data, HeteroData
from torch_geometric.utils import from_networkx

from graphcl_hard import to_chunks, write_shards
from graphcl_hard.data.collate import to_graph_data
from graphcl_hard.data.load import load_graphs, open_graphs
from graphcl_hard.data.tu.dataset import TUDataset
from graphcl_hard.exceptions import InputError

MATRIX = np.array([[0, 2, 0], [2, 0, -1], [0, 3, 0]], dtype=np.float32)
TENSOR = torch.from_numpy(MATRIX)
MATRICES = {
    "NumPy": lambda: MATRIX,
    "integers": lambda: MATRIX.astype(int),
    "masked": lambda: np.ma.masked_equal(MATRIX + 7 * np.eye(3, k=2), 7),
    "tensor": lambda: TENSOR.clone().requires_grad_(),
    "bfloat16": TENSOR.bfloat16,
    "COO": TENSOR.to_sparse,
    "CSR": TENSOR.to_sparse_csr,
    "LIL": lambda: scipy.sparse.lil_array(MATRIX),
}


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta:UserWarning")
@pytest.mark.parametrize("kind", MATRICES)
def test_any_square_matrix_is_a_graph(kind):
    expected = to_graph_data([scipy.sparse.csr_array(MATRIX)], edge_attr="weight")
    assert expected.edge_index.tolist() == [[0, 1, 1, 2], [1, 0, 2, 1]]
    assert expected.edge_attr.ravel().tolist() == [2, 2, -1, 3]
    assert_same(to_graph_data([MATRICES[kind]()], edge_attr="weight"), expected)


def test_a_matrix_that_is_not_finite_is_refused_with_its_place():
    bad = MATRIX.copy()
    bad[1, 2] = np.nan
    for matrix in (bad, scipy.sparse.csr_array(bad), torch.from_numpy(bad).to_sparse()):
        for options in ({}, {"edge_attr": "weight"}):
            with pytest.raises(
                InputError, match="Graph 1 is a matrix with a value that is not finite in row 1 and"
            ):
                to_graph_data([np.eye(3), matrix], **options)


def test_graphs_may_be_in_a_batch_a_table_or_a_stack():
    graphs = [
        Data(x=torch.full((2, 1), float(one)), edge_index=torch.tensor([[0], [1]]))
        for one in range(3)
    ]
    column = np.empty(3, dtype=object)
    column[:] = graphs
    expected = to_graph_data(graphs)
    for given in (
        Batch.from_data_list(graphs),
        pd.DataFrame({"graph": graphs}),
        pd.Series(graphs, index=list("abc")),
        column,
        column.reshape(3, 1),  # as scikit-learn's ColumnTransformer selects it
        (graph for graph in graphs),
    ):
        assert_same(to_graph_data(given), expected)
    stack = np.stack([MATRIX, MATRIX.T])
    expected = to_graph_data(list(stack), edge_attr="weight")
    for given in (stack, torch.from_numpy(stack)):
        assert_same(to_graph_data(given, edge_attr="weight"), expected)


def test_a_graph_may_have_an_empty_list_of_edges():
    graphs = [Data(num_nodes=2, edge_index=torch.tensor([[], []]))]
    assert to_graph_data(graphs).num_edges == 0


def some_graphs():
    graphs = [
        nx.cycle_graph(4),
        nx.star_graph(3),
        nx.empty_graph(2),
        nx.empty_graph(0),
        nx.path_graph(1),
    ]
    label, place = lambda i, node: "abc"[(node + i) % 3], lambda i, node: [i, -node]
    return with_attributes(
        graphs, {"label": label, "weight": lambda _, node: node + 0.5, "place": place}
    )


def assert_same(one, other):
    for field in dataclasses.fields(one):
        first, second = getattr(one, field.name), getattr(other, field.name)
        if isinstance(first, torch.Tensor):
            assert torch.equal(first, second), field.name
        elif isinstance(first, np.ndarray):
            assert first.tolist() == second.tolist()
        elif field.name != "names":
            assert first == second, field.name


def test_three_kinds_give_the_same_tensors():
    graphs = some_graphs()
    from_nx = to_graph_data(graphs)
    assert from_nx.node_ptr.tolist() == [0, 4, 8, 10, 10, 11]
    assert from_nx.edge_ptr.tolist() == [0, 8, 14, 14, 14, 14]
    assert from_nx.node_label is from_nx.node_attr is None
    data = [
        Data(edge_index=from_networkx(graph).edge_index, num_nodes=len(graph)) for graph in graphs
    ]
    assert_same(from_nx, to_graph_data(data))
    assert_same(from_nx, to_graph_data(iter(data)))
    matrices = [
        nx.to_scipy_sparse_array(graph) if len(graph) else scipy.sparse.csr_array((0, 0))
        for graph in graphs
    ]
    assert_same(from_nx, to_graph_data(matrices))
    assert_same(from_nx, to_graph_data(from_nx))
    number = 0
    for graph, start in zip(graphs, from_nx.node_ptr.tolist(), strict=False):
        both = {
            (u + start, v + start) for u, v in [*graph.edges, *((v, u) for u, v in graph.edges)]
        }
        mine = from_nx.edge_index[:, number : number + len(both)]
        assert set(map(tuple, mine.T.tolist())) == both
        number += len(both)
    assert number == from_nx.num_edges


def test_labels_and_attributes_of_networkx():
    graphs = some_graphs()
    data = to_graph_data(graphs, node_label="label", node_attr=("weight", "place"))
    assert data.node_label_values == (("a", "b", "c"),)
    nodes = [values for graph in graphs for _, values in graph.nodes(data=True)]
    assert ["abc"[number] for number in data.node_label[:, 0].tolist()] == [
        values["label"] for values in nodes
    ]
    assert data.node_attr.tolist() == [[values["weight"], *values["place"]] for values in nodes]
    assert to_graph_data(graphs, node_attr="weight").node_attr.shape == (11, 1)


def test_labels_and_attributes_of_data():
    one = Data(
        x=torch.eye(2),
        edge_index=torch.tensor([[0, 1], [1, 0]]),
        kind=torch.tensor([7, 3]),
        heavy=torch.ones(2),
    )
    two = Data(x=torch.zeros(1, 2), kind=torch.tensor([5]), heavy=torch.zeros(1))
    data = to_graph_data([one, two], node_label="kind")
    assert data.node_label_values == ((3, 5, 7),)
    assert data.node_label.tolist() == [[2], [0], [1]]
    assert data.node_attr.tolist() == [[1, 0], [0, 1], [0, 0]]
    assert to_graph_data([one, two], node_attr=("heavy", "x")).node_attr.shape == (3, 3)
    assert to_graph_data([one, two], node_attr=()).node_attr is None
    pairs = [Data(kind=torch.tensor([[1, 2], [1, 3]])), Data(kind=torch.tensor([[4, 2]]))]
    assert to_graph_data(pairs, node_label="kind").node_label_values == ((1, 4), (2, 3))


def bonded():
    """Return graphs whose edges have a label and two attributes, including one without edges and one without nodes."""
    graphs = [
        nx.cycle_graph(4),
        nx.star_graph(3),
        nx.empty_graph(2),
        nx.empty_graph(0),
        nx.path_graph(3),
    ]
    for number, graph in enumerate(graphs):
        for u, v, values in graph.edges(data=True):
            values.update(
                bond="ab"[(u + v + number) % 2], weight=u + v + 0.5, place=[number, u * v]
            )
    return graphs


def test_labels_and_attributes_of_the_edges_of_networkx():
    graphs = bonded()
    data = to_graph_data(graphs, edge_label="bond", edge_attr=("weight", "place"))
    assert data.edge_label_values == (("a", "b"),)
    assert data.edge_label.shape == (data.num_edges, 1)
    for position, (u, v) in enumerate(data.edge_index.T.tolist()):
        number = int(torch.searchsorted(data.node_ptr, u, right=True)) - 1
        values = graphs[number].edges[
            u - int(data.node_ptr[number]), v - int(data.node_ptr[number])
        ]
        assert "ab"[data.edge_label[position, 0]] == values["bond"]
        assert data.edge_attr[position].tolist() == [values["weight"], *values["place"]]
    plain = to_graph_data(graphs)
    assert torch.equal(plain.edge_index, data.edge_index)
    assert plain.edge_label is plain.edge_attr is plain.edge_label_values is None


def test_features_of_the_edges_of_data_are_those_of_networkx():
    graphs = bonded()
    expected = to_graph_data(graphs, edge_attr="weight")
    with_labels = to_graph_data(graphs, edge_label="bond")
    generator, made = torch.Generator().manual_seed(0), []
    for graph in graphs:
        edges = [
            (u, v, values) for a, b, values in graph.edges(data=True) for u, v in ((a, b), (b, a))
        ]
        order = torch.randperm(len(edges), generator=generator).tolist()
        edge_index = torch.tensor([edges[i][:2] for i in order]).reshape(-1, 2).T.long()
        one = Data(edge_index=edge_index, num_nodes=len(graph))
        if edges:  # a graph without edges need not have what the others have
            one.edge_attr = torch.tensor([float(edges[i][2]["weight"]) for i in order])
            one.bond = torch.tensor(["ab".index(edges[i][2]["bond"]) for i in order])
        made.append(one)
    assert_same(to_graph_data(made), expected)
    assert_same(to_graph_data(made, edge_attr=()), to_graph_data(graphs))
    found = to_graph_data(made, edge_label="bond", edge_attr=())
    assert torch.equal(found.edge_label, with_labels.edge_label)
    assert found.edge_label_values == ((0, 1),)
    categories = [Data(edge_index=EDGES, num_nodes=2, edge_attr=torch.tensor([[3, 5]]))]
    assert to_graph_data(categories, edge_attr="edge_attr").edge_attr.tolist() == [[3, 5]]
    for named in (to_graph_data(categories), to_graph_data(categories, edge_label="edge_attr")):
        assert named.edge_attr is None
        assert named.edge_label_values == ((3,), (5,))
        assert named.names.edge_label == "edge_attr"


def test_the_values_of_a_matrix_are_an_attribute_on_request():
    graphs = [nx.cycle_graph(4), nx.path_graph(3, create_using=nx.DiGraph)]
    for graph in graphs:
        for u, v, values in graph.edges(data=True):
            values["weight"] = u + v + 0.5
    matrices = [nx.to_scipy_sparse_array(graph) for graph in graphs]
    assert_same(
        to_graph_data(matrices, edge_attr="weight"), to_graph_data(graphs, edge_attr="weight")
    )
    assert to_graph_data(matrices).edge_attr is None
    for wrong in ({"edge_label": "weight"}, {"node_attr": "weight"}):
        with pytest.raises(
            InputError,
            match="edge_label must be None for matrices, which have only numeric edges",
        ):
            to_graph_data(matrices, **wrong)
    with pytest.raises(
        InputError,
        match=r"edge_attr must be None or 'weight' for matrices, .* got \('bond',\)",
    ):
        to_graph_data(matrices, edge_attr="bond")
    with pytest.raises(InputError, match="Graph 0 is a matrix of complex128, must be real"):
        to_graph_data([matrices[0] * 1j], edge_attr="weight")


def test_parallel_edges_have_the_sum_of_attributes_and_the_first_labels():
    graph = nx.MultiDiGraph()
    for u, v, bond, weight in (
        (0, 1, "b", 1.0),
        (1, 1, "z", 9.0),
        (0, 1, "c", 2.0),
        (2, 0, "a", 4.0),
    ):
        graph.add_edge(u, v, bond=bond, weight=weight)
    graph.add_edge(2, 2)  # a self-loop, which is dropped, needs nothing
    data = to_graph_data([graph], edge_label="bond", edge_attr="weight")
    assert data.edge_index.tolist() == [[0, 2], [1, 0]]
    assert data.edge_attr.tolist() == [[3.0], [4.0]]
    assert data.edge_label_values == (("a", "b"),)  # what no edge has is no label
    assert data.edge_label.tolist() == [[1], [0]]


def test_directed_edges_keep_their_direction_and_loops_and_parallels_go():
    graph = nx.MultiDiGraph([(0, 1), (0, 1), (1, 1), (2, 0)])
    expected = [[0, 2], [1, 0]]
    assert to_graph_data([graph]).edge_index.tolist() == expected
    edge_index = torch.tensor([[2, 0, 1, 0], [0, 1, 1, 1]])
    assert to_graph_data([Data(edge_index=edge_index, num_nodes=3)]).edge_index.tolist() == expected
    matrix = scipy.sparse.coo_array(
        ([2.0, 3.0, 1.0, 0.0], ([0, 1, 2, 1], [1, 1, 0, 2])), shape=(3, 3)
    )
    assert to_graph_data([matrix]).edge_index.tolist() == expected


def test_a_tu_set_through_pyg_is_the_set(tmp_path):
    dataset = TUDataset(str(tmp_path), "MUTAG")
    whole = load_graphs("MUTAG")
    data = to_graph_data(dataset)
    assert torch.equal(data.node_ptr, whole.node_ptr)
    assert torch.equal(data.edge_index, whole.edge_index)
    assert torch.equal(data.edge_ptr, whole.edge_ptr)
    assert torch.equal(data.node_attr.argmax(dim=1, keepdim=True), whole.node_label)


def test_a_whole_set_has_its_attributes_on_request(toy):
    toy = dataclasses.replace(toy, node_attr=torch.rand(toy.num_nodes, 2))
    assert to_graph_data(toy).node_attr is None
    assert (
        to_graph_data(toy, node_attr="node_attr")
        is to_graph_data(toy, node_attr=["node_attr"])
        is toy
    )
    for column, wrong in (("node_attr", "x"), ("node_label", "label")):
        with pytest.raises(
            InputError,
            match=f"{column} must be None or '{column}' for .*, got '{wrong}'; leave it out",
        ):
            to_graph_data(toy, **{column: wrong})
    toy = dataclasses.replace(toy, edge_attr=torch.rand(toy.num_edges, 2))
    assert to_graph_data(toy, node_attr="node_attr", edge_attr="edge_attr") is toy
    assert to_graph_data(toy).edge_attr is toy.edge_attr
    assert to_graph_data(toy, edge_attr=()).edge_attr is None
    with pytest.raises(
        InputError, match=r"edge_label must be None for .* without edge_label, got 'bond'"
    ):
        to_graph_data(toy, edge_label="bond")


PATH = nx.path_graph(3)
EDGES = torch.tensor([[0], [1]])


def some_set():
    return to_graph_data([nx.path_graph(2)])


def bond(value):
    """Return a graph of two nodes joined by an edge with this value."""
    return nx.Graph([(0, 1, {"bond": value})])


@pytest.mark.parametrize(
    ("graphs", "options", "message"),
    [
        (PATH, {}, "must be a list of graphs, got a single Graph"),
        (Data(), {}, "got a single Data"),
        (7, {}, "graphs must be a list of .*, got int"),
        ([], {}, "at least one graph, got none"),
        (np.array([]), {}, "at least one graph, got none"),
        ([PATH, None], {}, "Graph 1 must be one of .*, got NoneType; leave it out"),
        ([[PATH], [PATH]], {}, "Graph 0 must be one of .*, got list; give one flat list"),
        ("MUTAG", {}, "must be a list of graphs, got 'MUTAG'; .*load a data set with load_graphs"),
        (["MUTAG"], {}, "Molecule 0 .* is 'MUTAG', but RDKit cannot read it as SMILES"),
        ([b"CCO"], {}, "Graph 0 must be one of .*, got bytes; convert it"),
        ([PATH, "CCO"], {}, "got networkx for graph 0 and RDKit for graph 1"),
        ({"a": PATH}, {}, r"got a dict; give list\(graphs.values\(\)\)"),
        (HeteroData(), {}, "graphs must be a list of .*, got HeteroData"),
        ([HeteroData()], {}, r"Graph 0 must be .*, got HeteroData; give its to_homogeneous\(\)"),
        (
            Batch(edge_index=EDGES, num_nodes=2),
            {},
            "a Batch that was not made by `Batch.from_data_",
        ),
        (
            pd.DataFrame({"one": [PATH], "other": [PATH]}),
            {},
            r"must be one column of graphs, .* got an array of the shape \(1, 2\); select a column",
        ),
        (np.eye(3), {}, r"an array of the shape \(3, 3\); .* put a single matrix in a list"),
        ([np.eye(3)[0]], {}, r"Graph 0 is a matrix \(3,\), must be square"),
        ([np.full((2, 2), "a")], {}, "Graph 0 is a matrix of <U1, must be of numbers"),
        ([torch.eye(2, device="meta")], {}, "Graph 0 is a tensor on the meta device"),
        (
            [PATH, PATH, Data(num_nodes=1)],
            {},
            "got networkx for graph 0 and PyTorch Geometric for graph 2",
        ),
        (
            [scipy.sparse.csr_array(np.eye(3))],
            {"node_label": "a"},
            "must be None for matrices",
        ),
        (
            [scipy.sparse.coo_array(np.ones((2, 3)))],
            {},
            r"Graph 0 is a matrix \(2, 3\), must be square",
        ),
        ([PATH], {"node_label": "kind"}, "Graph 0 has no attribute 'kind' at its node 0; add it"),
        (
            [Data(edge_index=EDGES)],
            {},
            "one number of nodes, got no x and no num_nodes; set num_nodes",
        ),
        ([Data(x=torch.ones(2, 1), num_nodes=3)], {}, "one number of nodes, got 2 and 3"),
        (
            [Data(num_nodes=2)],
            {"node_label": "kind"},
            "has no 'kind', which is to be read as node_label; it has num_nodes",
        ),
        (
            [Data(kind=torch.ones(2))],
            {"node_label": "kind"},
            "'kind' of torch.float32, must be integers",
        ),
        ([Data(x="words", num_nodes=2)], {}, "Graph 0 has a 'x' that is not a tensor"),
        (
            [Data(num_nodes=2), Data(edge_index=EDGES, num_nodes=1)],
            {},
            r"Graph 1 has edges .* 0 to 1, .* in \[0, 0\]",
        ),
        (
            [Batch.from_data_list([Data(num_nodes=1)] * 2)],
            {},
            r"Graph 0 is a Batch, which has graphs of its own; pass it instead of a list, or put the graphs of its",
        ),
        ([Data(adj_t=EDGES, num_nodes=2)], {}, "Graph 0 has adj_t instead of edge_index"),
        (
            [Data(edge_index=[[0], [1]], num_nodes=2)],
            {},
            "an edge_index that is a list, must be a tensor",
        ),
        ([Data(edge_index=EDGES.bool(), num_nodes=2)], {}, r"an edge_index \(2, 1\) of torch.bool"),
        ([PATH], {"node_attr": 3}, "node_attr must be a name, a tuple of names or None, got 3"),
        ([PATH], {"node_attr": ("a", "b", "a")}, "node_attr must have each name once, got"),
        ([some_set()], {}, r"Graph 0 is a GraphData, .* put the graphs of its to_pyg\(\) into"),
        ([PATH], {"edge_attr": 3}, "edge_attr must be a name, a tuple of names or None, got 3"),
        (
            [PATH],
            {"edge_label": "bond"},
            r"Graph 0 has no attribute 'bond' at its edge \(0, 1\); add it",
        ),
        (
            [bond({})],
            {"edge_label": "bond"},
            r"the label \{\} at its edge \(0, 1\), which cannot be compared with others",
        ),
        (
            [bond("b")],
            {"edge_attr": "bond"},
            "bond that are not numbers, .* each edge .*name categories with edge_label",
        ),
        (
            [bond(1.0), bond(np.nan)],
            {"edge_attr": "bond"},
            "Graph 1 has an attribute that is not finite at its edge 0",
        ),
        (
            [bond([1.0]), nx.empty_graph(1), bond([1.0, 2.0])],
            {"edge_attr": "bond"},
            "All graphs must have the same attributes of edges, got 1 columns in graph 0 and 2 in graph 2",
        ),
        (
            [
                Data(edge_index=EDGES, num_nodes=2, edge_attr=torch.ones(1, 3)),
                Data(edge_index=EDGES, num_nodes=2),
            ],
            {},
            "attributes of edges, got 3 columns in graph 0 and none in graph 1",
        ),
        (
            [Data(edge_index=EDGES, num_nodes=2, edge_attr=torch.ones(3, 1))],
            {},
            "Graph 0 has a 'edge_attr' of 3 rows, must have one for each of its 1 edges; correct it",
        ),
        (
            [Data(edge_index=EDGES, num_nodes=2)],
            {"edge_attr": "heavy"},
            "Graph 0 has no 'heavy', which is to be read as edge_attr; it has edge_index, num_nodes",
        ),
        (
            [Data(edge_index=EDGES, num_nodes=2, bond=torch.ones(1))],
            {"edge_label": "bond"},
            "Graph 0 has a 'bond' of torch.float32, must be integers",
        ),
        (
            [Data(edge_index=EDGES, num_nodes=2, edge_attr=torch.ones(1, 1, 1))],
            {},
            "Graph 0 has a 'edge_attr' that is not",
        ),
        ([Data(edge_index=EDGES.T, num_nodes=2)], {}, r"an edge_index \(1, 2\) of torch.int64"),
        ([Data(edge_index=EDGES.float(), num_nodes=2)], {}, "of torch.float32, must be"),
        (
            [Data(x=torch.ones(2, 1)), Data(x=torch.ones(1, 2))],
            {},
            "got 1 columns in graph 0 and 2 in graph 1",
        ),
        (
            [Data(x=torch.ones(2, 1)), Data(num_nodes=1)],
            {},
            "got 1 columns in graph 0 and none in graph 1",
        ),
        (
            [Data(x=torch.ones(1, 1)), Data(x=torch.tensor([[1.0], [float("nan")]]))],
            {},
            "Graph 1 has an attribute that is not finite at its node 1",
        ),
        (
            [
                Data(kind=torch.ones(2, 1, dtype=torch.int64)),
                Data(kind=torch.ones(2, 2, dtype=torch.int64)),
            ],
            {"node_label": "kind"},
            "the same number of labels, got 1 and 2",
        ),
    ],
)
def test_bad_graphs_are_refused_by_number(graphs, options, message):
    with pytest.raises(InputError, match=message):
        to_graph_data(graphs, **options)


def test_attributes_that_are_no_numbers_are_refused():
    graph = nx.path_graph(2)
    nx.set_node_attributes(graph, {0: "red", 1: "blue"}, "colour")
    with pytest.raises(
        InputError, match=r"colour that are not numbers, .*name categories with node_label"
    ):
        to_graph_data([graph], node_attr="colour")
    nx.set_node_attributes(graph, {0: [1.0], 1: [1.0, 2.0]}, "colour")
    with pytest.raises(InputError, match="or not the same number of them at each node"):
        to_graph_data([graph], node_attr="colour")


def test_labels_that_cannot_be_told_apart_are_refused_and_numpys_are_pythons():
    graph = nx.path_graph(2)
    for label in (float("nan"), ["a"]):
        nx.set_node_attributes(graph, {0: 1, 1: label}, "kind")
        with pytest.raises(InputError, match="at its node 1, which cannot be compared with others"):
            to_graph_data([graph], node_label="kind")
    nx.set_node_attributes(graph, {0: np.int64(2), 1: np.str_("b")}, "kind")
    values = to_graph_data([graph], node_label="kind").node_label_values[0]
    assert [type(value) for value in values] == [int, str]


def test_attributes_of_two_dimensions_are_refused():
    graph = nx.path_graph(2)
    nx.set_node_attributes(graph, np.ones((2, 2)), "table")
    with pytest.raises(InputError, match="table that are not numbers"):
        to_graph_data([graph], node_attr="table")


def test_labels_without_an_order_are_numbered_as_they_come():
    graph = nx.path_graph(3)
    nx.set_node_attributes(graph, {0: 2j, 1: 1j, 2: 2j}, "kind")
    data = to_graph_data([graph], node_label="kind")
    assert data.node_label_values == ((2j, 1j),)
    assert data.node_label.tolist() == [[0], [1], [0]]


BOTH_WAYS = torch.tensor([[0, 1], [1, 0]])


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (
            Data(edge_index=BOTH_WAYS, num_nodes=[2]),
            r"Graph 0 has num_nodes \[2\], must be an int from 0 to",
        ),
        (Data(edge_index=BOTH_WAYS, num_nodes=torch.ones(2)), "Graph 0 has num_nodes tensor"),
        (Data(edge_index=BOTH_WAYS, num_nodes=-1), "Graph 0 has num_nodes -1, must"),
        (Data(edge_index=BOTH_WAYS, num_nodes=2.5), "Graph 0 has num_nodes 2.5, must"),
        (
            Data(edge_index=BOTH_WAYS, x=torch.eye(2).to_sparse(), num_nodes=2),
            "Graph 0 has a 'x' that is not a tensor",
        ),
        (
            Data(edge_index=BOTH_WAYS, x=torch.empty(2, 1, device="meta")),
            "Graph 0 has a 'x' that is not a tensor",
        ),
        (
            Data(edge_index=BOTH_WAYS.to_sparse(), num_nodes=2),
            "Graph 0 has an edge_index that is sparse or on the meta device",
        ),
    ],
)
def test_numbers_of_nodes_and_tensors_that_are_none_are_refused_and_were_tracebacks(graph, message):
    with pytest.raises(InputError, match=message):
        to_graph_data([graph])


def test_attributes_of_different_lengths_are_refused_and_were_a_traceback():
    graph = Data(edge_index=BOTH_WAYS, x=torch.ones(2, 1), z=torch.ones(3, 1))
    with pytest.raises(InputError, match="Graph 0 must have one number of nodes, got 2 and 3"):
        to_graph_data([graph], node_attr=("x", "z"))


def test_a_tensor_as_a_label_is_refused_and_was_another_label_at_each_node():
    graph = nx.path_graph(2)
    nx.set_node_attributes(graph, {0: torch.tensor(1), 1: torch.tensor(1)}, "label")
    with pytest.raises(
        InputError,
        match=r"Graph 0 has the label tensor\(1\) at its node 0, which cannot be compared",
    ):
        to_graph_data([graph], node_label="label")


@pytest.mark.parametrize("name", ["node_label", "edge_label"])
@pytest.mark.parametrize("value", [{}, 3, ["a"]])
def test_a_label_that_is_no_name_is_refused_and_was_a_traceback(name, value):
    with pytest.raises(InputError, match=f"{name} must be a name or None, got"):
        to_graph_data([nx.path_graph(2)], **{name: value})


def test_a_list_of_data_sets_is_refused_with_the_remedy(toy):
    with pytest.raises(InputError, match=r"Graph 0 is a GraphData.*; pass it instead of a list"):
        to_graph_data([toy[:1], toy[1:2]])


def test_a_data_set_has_a_short_repr(toy):
    assert (
        repr(toy)
        == f"GraphData('TOY', 24 graphs, {toy.num_nodes} nodes, {toy.num_edges} directed edges)"
    )


def identified(values, name="id"):
    """Return graphs of two nodes, each with a value under a name unless it is None."""
    graphs = [Data(edge_index=EDGES, num_nodes=2) for _ in values]
    for graph, value in zip(graphs, values, strict=True):
        if value is not None:
            graph[name] = value
    return graphs


@pytest.mark.parametrize(
    ("ids", "found"),
    [
        ([3, 1], [3, 1]),
        ([torch.tensor([3]), np.int64(1)], [3, 1]),
        (["b", ""], ["b", ""]),
        ([2**63, 1], [str(2**63), "1"]),
        ([None, None], [0, 1]),
        ([torch.arange(2), torch.arange(2)], [0, 1]),  # ids of nodes
    ],
)
def test_ids_of_graphs(ids, found):
    assert to_graph_data(identified(ids)).ids.tolist() == found


@pytest.mark.parametrize("ids", [["a", None], [1, "a"], [1, torch.arange(2)], [None, 4]])
def test_ids_of_some_graphs_are_refused_but_not_where_nothing_needs_them(ids, tmp_path):
    with pytest.raises(
        InputError, match=r"Graph 0 has the id .*; give each graph an int, or each a"
    ):
        to_graph_data(identified(ids))
    with pytest.raises(InputError, match=r"Graph 1 has|same kind|All ids must be strings"):
        write_shards(tmp_path / "set", to_chunks(identified(ids), size=1))
    assert open_graphs(identified(ids)).ids.tolist() == [0, 1]


def test_labels_that_are_no_single_value_are_not_taken_for_missing():
    assert to_graph_data(identified([np.array([2]), torch.tensor([[1]])], "y")).classes == (1, 2)
    assert to_graph_data(identified([torch.arange(2), torch.arange(2)], "y")).classes == ()
    with pytest.raises(InputError, match=r"Graph 1 has the y tensor\(\[0, 1\]\), must be a single"):
        to_graph_data(identified([1, torch.arange(2)], "y"))
    assert open_graphs(identified([1, float("inf")], "y")).num_graphs == 2


def test_columns_of_nodes_and_edges_with_one_name_survive_the_way_to_pyg():
    graphs = bonded()
    for graph in graphs:
        nx.set_node_attributes(graph, {node: 7 + node % 2 for node in graph}, "label")
        nx.set_edge_attributes(graph, {edge: sum(edge) % 3 for edge in graph.edges}, "label")
    whole = to_graph_data(graphs, node_label="label", edge_label="label")
    assert whole[0].label.shape == (4, 1)
    again = to_graph_data(whole.to_pyg(), node_label="label", edge_label="label")
    assert torch.equal(again.node_label, whole.node_label)
    assert torch.equal(again.edge_label, whole.edge_label)
    reserved = dataclasses.replace(whole, names=whole.names._replace(node_label="y"))
    assert reserved[0].node_label.shape == (4, 1)


def test_class_names_survive_a_list_of_data(toy):
    named = dataclasses.replace(toy, classes=("cat", "dog"))
    assert to_graph_data(list(named)).labels.tolist() == named.labels.tolist()
    only = [graph for graph in named if graph.graph_label == "dog"]
    assert to_graph_data(only).classes == ("dog",)
