"""The GIN encoder against the oracle, its invariances, and its life on disk."""

import copy
import json

import numpy as np
import pytest
import torch
from helpers.paths import ORACLES
from safetensors.torch import save
from torch_geometric.data import Batch, Data

from graphcl_hard import GINEncoder
from graphcl_hard._tensor import one_hot
from graphcl_hard.data.adjacency import Adjacency
from graphcl_hard.exceptions import InputError

ORACLE = np.load(ORACLES / "gin_encoder.npz")


def oracle(name):
    return torch.tensor(ORACLE[name])


def state(prefix):
    return {k.removeprefix(prefix): oracle(k) for k in ORACLE.files if k.startswith(prefix)}


def oracle_encoder():
    encoder = GINEncoder(6, 8, 3).double()
    encoder.load_state_dict(state("param/"))
    return encoder


def random_graphs(count=5, features=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    graphs = []
    for nodes in torch.randint(1, 9, (count,), generator=generator).tolist():
        edges = (
            torch.randint(nodes, (2, 2 * nodes), generator=generator)
            if nodes > 1
            else torch.empty(2, 0).long()
        )
        x = torch.randn(nodes, features, generator=generator, dtype=torch.float64)
        graphs.append(Data(x=x, edge_index=edges))
    return graphs


def test_equals_the_oracle_in_training_and_evaluation_mode():
    encoder = oracle_encoder()
    arguments = oracle("x"), oracle("edge_index"), oracle("batch")
    for mode in ("train", "eval"):
        encoder.train(mode == "train")
        found = encoder(*arguments)
        np.testing.assert_allclose(
            found.graph_embedding.detach(), ORACLE[f"{mode}_graph"], atol=1e-9, rtol=0
        )
        np.testing.assert_allclose(
            found.node_embedding.detach(), ORACLE[f"{mode}_node"], atol=1e-9, rtol=0
        )
    for name, tensor in state("after/").items():
        torch.testing.assert_close(encoder.state_dict()[name], tensor, atol=1e-9, rtol=0)


@pytest.mark.parametrize("readout", ["sum", "mean", "max"])
def test_a_batch_equals_its_graphs_one_by_one(readout):
    graphs = random_graphs()
    encoder = GINEncoder(4, 8, 2, readout).double().eval()
    batch = Batch.from_data_list(graphs)
    together = encoder(batch.x, batch.edge_index, batch.batch)
    alone = [encoder(g.x, g.edge_index) for g in graphs]
    torch.testing.assert_close(
        together.graph_embedding, torch.cat([a.graph_embedding for a in alone])
    )
    torch.testing.assert_close(
        together.node_embedding, torch.cat([a.node_embedding for a in alone])
    )
    reduce = {"sum": torch.sum, "mean": torch.mean, "max": torch.amax}[readout]
    torch.testing.assert_close(alone[0].graph_embedding[0], reduce(alone[0].node_embedding, dim=0))


def test_the_order_of_nodes_does_not_matter():
    (graph,) = random_graphs(1, seed=3)
    encoder = GINEncoder(4, 8, 2).double().eval()
    order = torch.randperm(graph.num_nodes)
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order))
    expected = encoder(graph.x, graph.edge_index)
    found = encoder(graph.x[order], place[graph.edge_index])
    torch.testing.assert_close(found.graph_embedding, expected.graph_embedding)
    torch.testing.assert_close(found.node_embedding, expected.node_embedding[order])


def test_isolated_nodes_and_empty_graphs():
    encoder = GINEncoder(3, 4, 2).double().eval()
    x = torch.randn(3, 3, dtype=torch.float64)
    no_edges = torch.empty(2, 0, dtype=torch.int64)
    batch = torch.tensor([0, 0, 2])
    found = encoder(x, no_edges, batch, batch_size=4)
    assert found.graph_embedding.shape == (4, 8)
    assert (found.graph_embedding[[1, 3]] == 0).all()
    torch.testing.assert_close(
        found.graph_embedding[2], encoder(x[2:], no_edges).graph_embedding[0]
    )
    torch.testing.assert_close(
        encoder(x, no_edges, batch).graph_embedding, found.graph_embedding[:3]
    )


@pytest.mark.filterwarnings(
    "ignore:.*should not be instantiated:DeprecationWarning"
)  # the compiler's own doing
def test_torch_compile_and_deepcopy_give_the_same():
    encoder = oracle_encoder().eval()
    arguments = oracle("x"), oracle("edge_index"), oracle("batch"), 5
    expected = encoder(*arguments)
    twin = copy.deepcopy(encoder)
    torch.testing.assert_close(twin(*arguments), expected)
    compiled = torch.compile(encoder, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(*arguments), expected)


def test_shapes_and_names():
    encoder = GINEncoder(5)
    assert encoder.out_channels == 96
    names = set(encoder.state_dict())
    assert {"convs.0.nn.0.weight", "convs.2.nn.2.bias", "bns.1.running_var"} <= names
    found = encoder(torch.randn(4, 5), torch.tensor([[0, 1], [1, 0]]), torch.tensor([0, 0, 1, 1]))
    assert found._fields == ("graph_embedding", "node_embedding")
    assert found.graph_embedding.shape == (2, 96)
    assert found.node_embedding.shape == (4, 96)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_round_trip_on_disk(tmp_path, dtype):
    encoder = GINEncoder(4, 8, 2, "mean").to(dtype).eval()
    encoder.bns[0].running_mean.fill_(0.5)
    encoder.save_pretrained(tmp_path)
    loaded = GINEncoder.from_pretrained(tmp_path)
    assert not loaded.training
    assert loaded.readout == "mean"
    graph = random_graphs(1)[0]
    arguments = graph.x.to(dtype), graph.edge_index
    assert torch.equal(loaded(*arguments).graph_embedding, encoder(*arguments).graph_embedding)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda folder: (folder / "encoder.json").unlink(), "it has no encoder.json"),
        (lambda folder: (folder / "encoder.json").write_text("{"), "Expecting"),
        (
            lambda folder: (folder / "encoder.json").write_text('{"hidden": 3}'),
            "unexpected keyword",
        ),
        (lambda folder: (folder / "encoder.json").write_text("[1]"), "must be a mapping"),
        (
            lambda folder: (folder / "encoder.safetensors").write_bytes(b"\x80\x04cos\nsystem\n"),
            "header",
        ),
        (
            lambda folder: (folder / "encoder.json").write_text(
                json.dumps({"in_channels": 9, "hidden_channels": 8, "num_layers": 2})
            ),
            "loading state_dict",
        ),
    ],
)
def test_a_damaged_folder_is_refused_in_one_sentence(tmp_path, damage, reason):
    GINEncoder(4, 8, 2).save_pretrained(tmp_path)
    damage(tmp_path)
    with pytest.raises(
        InputError, match=f"No encoder can be loaded from .*{reason}.*name a run's folder"
    ):
        GINEncoder.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "in_channels must be at least 1, got 0"),
        ((3, 0), "hidden_channels must be at least 1, got 0"),
        ((3, 4, 0), "num_layers must be at least 1, got 0"),
        ((3, 4, 1, "median"), "readout must be one of sum, mean, max, attention, got 'median'"),
    ],
)
def test_arguments_outside_their_range_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        GINEncoder(*arguments)


def test_features_of_another_width_are_refused():
    with pytest.raises(
        InputError, match=r"x must be \(N, 3\), the encoder's in_channels, got \(2, 4\)"
    ):
        GINEncoder(3)(torch.zeros(2, 4), torch.empty(2, 0, dtype=torch.int64))


@pytest.mark.parametrize("columns", [1, 3])
def test_one_hot_columns_as_integers_give_what_the_dense_input_gives(columns):
    torch.manual_seed(0)
    encoder = GINEncoder(4 * columns, 8, 2).double()
    index = torch.randint(4, (9, columns)) + 4 * torch.arange(columns)
    dense = one_hot(index, 4 * columns).double()
    index[3], dense[3] = -1, 0  # a masked node
    edge_index, batch = torch.randint(9, (2, 20)), torch.arange(3).repeat_interleave(3)
    results = []
    for x in (index, dense):
        encoder.zero_grad()
        found = encoder(x, edge_index, batch, 3)
        found.graph_embedding.square().sum().backward()
        results.append([*found, *(parameter.grad for parameter in encoder.parameters())])
    torch.testing.assert_close(*results, rtol=1e-12, atol=1e-12)


def test_an_adjacency_gives_what_its_edges_give():
    encoder, edge_index = oracle_encoder().eval(), oracle("edge_index")
    adjacency = Adjacency.from_edge_index(edge_index, len(oracle("x")))
    expected = encoder(oracle("x"), edge_index, oracle("batch"))
    assert torch.equal(
        encoder(oracle("x"), adjacency, oracle("batch")).node_embedding, expected.node_embedding
    )


def test_eps_counts_as_in_pygs_layer():
    encoder = GINEncoder(3, 4, 1).double().eval()
    encoder.convs[0].eps.fill_(0.7)
    x, edge_index = torch.randn(5, 3, dtype=torch.float64), torch.tensor([[0, 1, 3], [1, 2, 3]])
    expected = encoder.bns[0](torch.relu(encoder.convs[0](x, edge_index)))
    torch.testing.assert_close(encoder(x, edge_index).node_embedding, expected)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.tensor([[0], [5]]), r"x of torch.int64 must name columns in \[0, 4\].* got 0 to 5"),
        (
            torch.tensor([[-2], [2]]),
            "or -1 for none, got -2 to 2; give features as floating-point numbers",
        ),
        (torch.tensor([[2, 2], [0, 1]]), r"ascending in each row, or -1 for none, got 0 to 2"),
        (torch.eye(5, dtype=torch.int64), r"x must be \(N, 5\) floating-point, or \(N, K\) int64"),
        (torch.eye(5, dtype=torch.bool), "torch.bool; give features as floating-point numbers"),
        (torch.zeros(2, 0, dtype=torch.int64), r"got \(2, 0\)"),
        (torch.zeros(2, 4), r"x must be \(N, 5\)"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(x, message):
    with pytest.raises(InputError, match=message):
        GINEncoder(5)(x, torch.zeros(2, 0, dtype=torch.int64))


def test_an_edge_to_nowhere_is_refused():
    with pytest.raises(InputError, match=r"edge_index must lie in \[0, 1\]"):
        GINEncoder(5)(torch.zeros(2, 5), torch.tensor([[0], [2]]))


@pytest.mark.parametrize("width", [3, 40])
def test_an_encoder_in_half_precision_comes_close(width):
    torch.manual_seed(0)
    encoder = GINEncoder(width, 16, 2).eval()
    x, edge_index = torch.randn(6, width), torch.randint(6, (2, 12))
    expected = encoder(x, edge_index).node_embedding
    found = encoder.bfloat16()(x.bfloat16(), edge_index).node_embedding
    torch.testing.assert_close(found.float(), expected, rtol=0.05, atol=0.05)


def test_32_bit_edges_and_a_refused_second_derivative():
    encoder = GINEncoder(3, 8, 2)
    x, edge_index = torch.randn(6, 3, requires_grad=True), torch.randint(6, (2, 12))
    found = encoder(x, edge_index.int()).node_embedding
    torch.testing.assert_close(found, encoder(x, edge_index).node_embedding)
    with pytest.raises(RuntimeError, match="cannot be differentiated again"):
        torch.autograd.grad(found.sum(), x, create_graph=True)


def test_a_flipped_bit_in_the_weights_is_found_and_weights_without_a_sum_are_taken(tmp_path):
    """It gave other vectors without a word."""
    encoder = GINEncoder(4, 8, 2).eval()
    encoder.save_pretrained(tmp_path)
    path = tmp_path / "encoder.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(
        InputError,
        match=r"encoder.safetensors was changed or damaged \(its checksum does not match\)",
    ):
        GINEncoder.from_pretrained(tmp_path)
    path.write_bytes(
        save({name: tensor.contiguous() for name, tensor in encoder.state_dict().items()})
    )
    loaded = GINEncoder.from_pretrained(tmp_path)
    assert all(map(torch.equal, loaded.state_dict().values(), encoder.state_dict().values()))


@pytest.mark.parametrize("changes", [{"hidden_channels": 10**6}, {"num_layers": 10**9}])
def test_sizes_in_a_damaged_file_ask_for_no_memory_and_no_time(tmp_path, changes):
    GINEncoder(4, 8, 2).save_pretrained(tmp_path)
    arguments = json.loads((tmp_path / "encoder.json").read_text())
    (tmp_path / "encoder.json").write_text(json.dumps(arguments | changes))
    with pytest.raises(InputError, match="No encoder can be loaded from"):
        GINEncoder.from_pretrained(tmp_path)
