"""The encoders by name against PyG's own models and a loop from the formula, the attention readout, and their disk."""

import dataclasses
import json

import networkx as nx
import numpy as np
import pytest
import torch
from helpers.graphs import graph_data
from torch_geometric.data import Batch, Data
from torch_geometric.nn.models import GAT, GCN, PNA, GraphSAGE

from graphcl_hard import GINEncoder, MessagePassingEncoder, load_encoder
from graphcl_hard._tensor import one_hot
from graphcl_hard.config import Config
from graphcl_hard.data.adjacency import Adjacency
from graphcl_hard.data.load import load_graphs
from graphcl_hard.exceptions import InputError
from graphcl_hard.loader.features import EdgeFeatureMap, node_features
from graphcl_hard.loader.in_memory import GraphBatches
from graphcl_hard.run import main
from graphcl_hard.training.build import build_model
from graphcl_hard.training.devices import place, training_device
from graphcl_hard.training.loop import calibrate, embed, train
from graphcl_hard.training.state import TrainingState

DEGREES = [1, 4, 6, 3, 2]
NAMES = ["gine", "gcn", "sage", "gat", "pna"]
MODELS = {"gcn": GCN, "sage": GraphSAGE, "gat": GAT, "pna": PNA}
SMALL = Config(hidden_channels=8, num_layers=2, epochs=3, batch_size=8, accelerator="cpu")


def make(name, in_channels=4, hidden_channels=6, num_layers=3, readout="sum"):
    torch.manual_seed(1)
    if name == "gin":
        return GINEncoder(in_channels, hidden_channels, num_layers, readout).double()
    options = {"gine": {"edge_channels": 3}, "pna": {"degree_histogram": DEGREES}}.get(name, {})
    return MessagePassingEncoder(
        name, in_channels, hidden_channels, num_layers, readout, **options
    ).double()


def graphs():
    """Directed graphs with features of edges: one of one node, one without edges, one without nodes."""
    generator, made = torch.Generator().manual_seed(0), []
    for nodes, edges in ((5, 9), (1, 0), (4, 0), (0, 0), (7, 16)):
        order = torch.randperm(nodes * nodes, generator=generator)
        pairs = torch.stack([order // max(nodes, 1), order % max(nodes, 1)])
        pairs = pairs[:, pairs[0] != pairs[1]][:, :edges]
        x = torch.randn(nodes, 4, generator=generator, dtype=torch.float64)
        edge_attr = torch.randn(edges, 3, generator=generator, dtype=torch.float64)
        made.append(Data(x=x, edge_index=pairs, edge_attr=edge_attr))
    return made


def call(encoder, data, x=None):
    batch = data.batch if "batch" in data else None
    extra = (data.edge_attr,) if encoder.edge_channels else ()
    return encoder(
        data.x if x is None else x,
        data.edge_index,
        batch,
        data.num_graphs if "batch" in data else 1,
        *extra,
    )


def gine_by_hand(encoder, x, data):
    """Node by node and edge by edge, in plain PyTorch; batch norm from its formula."""
    layers = []
    for conv, norm in zip(encoder.convs, encoder.bns, strict=True):
        first, _, second = conv.nn
        rows = []
        for node in range(x.size(0)):
            total = x[node]
            for edge, (source, target) in enumerate(data.edge_index.T.tolist()):
                if target == node:
                    total = total + (
                        x[source] + conv.lin.weight @ data.edge_attr[edge] + conv.lin.bias
                    ).clamp_min(0)
            rows.append(
                second.weight @ (first.weight @ total + first.bias).clamp_min(0) + second.bias
            )
        active = torch.stack(rows).clamp_min(0)
        mean, var = norm.running_mean, norm.running_var
        if encoder.training:
            mean, var = active.mean(dim=0), active.var(dim=0, correction=0)
        x = (active - mean) / (var + norm.eps).sqrt() * norm.weight + norm.bias
        layers.append(x)
    return torch.cat(layers, dim=1)


def pygs_model(name, encoder, x, data):
    """PyG's own model, with all layers side by side and the encoder's weights."""
    options = {
        "aggregators": ["mean", "min", "max", "std"],
        "scalers": ["identity", "amplification", "attenuation"],
        "deg": torch.tensor(DEGREES),
    }
    options = options if name == "pna" else {}
    model = MODELS[name](4, 6, 3, norm="batch_norm", act_first=True, jk="cat", **options).double()
    model.lin = torch.nn.Identity()
    model.train(encoder.training)
    parameters = dict(encoder.named_parameters())
    buffers = {key: tensor.clone() for key, tensor in encoder.named_buffers()}
    theirs = {
        key: {**parameters, **buffers}[key.replace("norms.", "bns.").replace(".module.", ".")]
        for key in model.state_dict()
    }
    assert len(theirs) == len(parameters) + len(buffers)
    return torch.func.functional_call(model, theirs, (x, data.edge_index))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_values_and_gradients_are_pygs_in_float64(name, training):
    encoder, data = make(name), Batch.from_data_list(graphs())
    for norm in encoder.bns:  # other statistics than a new layer's
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
        torch.nn.init.normal_(norm.weight)
    encoder.train(training)
    x = data.x.clone().requires_grad_()
    by_hand = (
        gine_by_hand(encoder, x, data) if name == "gine" else pygs_model(name, encoder, x, data)
    )
    sums = torch.zeros(5, 18, dtype=torch.float64)
    for node, graph in enumerate(data.batch.tolist()):
        sums = torch.cat([sums[:graph], sums[graph : graph + 1] + by_hand[node], sums[graph + 1 :]])
    weights = (
        torch.randn(by_hand.shape, dtype=torch.float64),
        torch.randn(sums.shape, dtype=torch.float64),
    )
    inputs = [x, *encoder.parameters()]
    expected = torch.autograd.grad((by_hand * weights[0]).sum() + (sums * weights[1]).sum(), inputs)
    found = call(encoder, data, x)
    torch.testing.assert_close(found.node_embedding, by_hand, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found.graph_embedding, sums, rtol=1e-9, atol=1e-9)
    loss = (found.node_embedding * weights[0]).sum() + (found.graph_embedding * weights[1]).sum()
    torch.testing.assert_close(torch.autograd.grad(loss, inputs), expected, rtol=1e-7, atol=1e-8)
    assert all(gradient.abs().sum() > 0 for gradient in expected[:1])


@pytest.mark.parametrize("readout", ["sum", "mean", "max", "attention"])
@pytest.mark.parametrize("name", ["gin", *NAMES])
def test_a_batch_equals_its_graphs_one_by_one(name, readout):
    encoder, made = make(name, readout=readout).eval(), graphs()
    together = call(encoder, Batch.from_data_list(made))
    alone = [call(encoder, graph) for graph in made]
    torch.testing.assert_close(
        together.graph_embedding, torch.cat([one.graph_embedding for one in alone])
    )
    torch.testing.assert_close(
        together.node_embedding, torch.cat([one.node_embedding for one in alone])
    )
    assert (together.graph_embedding[3] == 0).all()
    torch.testing.assert_close(together.graph_embedding[1], alone[1].node_embedding[0])


@pytest.mark.parametrize("name", ["gin", *NAMES])
def test_the_order_of_nodes_and_edges_does_not_matter(name):
    encoder, data = make(name, readout="attention").eval(), Batch.from_data_list(graphs())
    order, edges = torch.randperm(data.num_nodes), torch.randperm(data.num_edges)
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order))
    moved = [data.x[order], place[data.edge_index][:, edges], data.batch[order], 5]
    found = encoder(*moved, *((data.edge_attr[edges],) if name == "gine" else ()))
    expected = call(encoder, data)
    torch.testing.assert_close(found.graph_embedding, expected.graph_embedding)
    torch.testing.assert_close(found.node_embedding, expected.node_embedding[order])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("columns", [1, 2])
def test_one_hot_columns_as_integers_give_exactly_what_the_dense_input_gives(name, columns):
    encoder, data = make(name), Batch.from_data_list(graphs())
    index = torch.randint(2, (data.num_nodes, columns)) + 2 * torch.arange(columns)
    dense = one_hot(index, 4).double()
    assert torch.equal(
        call(encoder, data, index).node_embedding, call(encoder, data, dense).node_embedding
    )


@pytest.mark.parametrize("name", ["gine", "gcn"])
def test_an_adjacency_gives_what_its_edges_give(name):
    encoder, data = make(name), Batch.from_data_list(graphs())
    adjacency = Adjacency.from_edge_index(data.edge_index, data.num_nodes)
    sort = data.edge_index[0].argsort(stable=True)
    assert torch.equal(adjacency.edge_index, data.edge_index[:, sort])
    extra = (data.edge_attr[sort],) if name == "gine" else ()
    found = encoder(data.x, adjacency, data.batch, 5, *extra).node_embedding
    torch.testing.assert_close(found, call(encoder, data).node_embedding)


@pytest.mark.parametrize("name", ["gin", "sage"])
def test_attention_is_the_mean_by_the_softmax_of_the_gate(name):
    encoder, data = make(name, readout="attention"), Batch.from_data_list(graphs())
    assert {"attention.gate_nn.weight", "attention.gate_nn.bias"} < set(encoder.state_dict())
    assert not any("attention" in key for key in make(name).state_dict())
    found = call(encoder, data)
    gate = encoder.attention.gate_nn
    for graph in (0, 1, 2, 4):
        rows = found.node_embedding[data.batch == graph]
        weight = torch.softmax(rows @ gate.weight[0] + gate.bias, dim=0)
        torch.testing.assert_close(found.graph_embedding[graph], weight @ rows)
    (found.graph_embedding * torch.randn_like(found.graph_embedding)).sum().backward()
    assert gate.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("readout", ["sum", "attention"])
@pytest.mark.parametrize("name", ["gin", *NAMES])
def test_round_trip_on_disk(name, readout, tmp_path):
    encoder, data = make(name, readout=readout), Batch.from_data_list(graphs())
    call(encoder.train(), data)  # moves the statistics
    encoder.eval().save_pretrained(tmp_path)
    assert json.loads((tmp_path / "encoder.json").read_text())["encoder"] == name
    for loaded in (load_encoder(tmp_path), type(encoder).from_pretrained(tmp_path)):
        assert type(loaded) is type(encoder)
        assert not loaded.training
        assert loaded.arguments == encoder.arguments
        assert torch.equal(call(loaded, data).graph_embedding, call(encoder, data).graph_embedding)


def test_an_encoder_of_another_class_is_refused_and_an_older_folder_holds_a_gin(tmp_path):
    make("gcn").save_pretrained(tmp_path)
    with pytest.raises(
        InputError, match="holds the encoder 'gcn', and GINEncoder loads only gin; use load_encoder"
    ):
        GINEncoder.from_pretrained(tmp_path)
    gin = make("gin")
    gin.save_pretrained(tmp_path)
    with pytest.raises(
        InputError,
        match="the encoder 'gin', and MessagePassingEncoder loads only gine gcn sage gat",
    ):
        MessagePassingEncoder.from_pretrained(tmp_path)
    arguments = json.loads((tmp_path / "encoder.json").read_text())
    del arguments["encoder"]
    (tmp_path / "encoder.json").write_text(json.dumps(arguments))
    for loaded in (load_encoder(tmp_path), GINEncoder.from_pretrained(tmp_path)):
        assert all(map(torch.equal, loaded.state_dict().values(), gin.state_dict().values()))
    (tmp_path / "encoder.json").write_text(json.dumps({**arguments, "encoder": "gcnn"}))
    with pytest.raises(
        InputError,
        match=r"holds the encoder 'gcnn', .* use load_encoder, which loads any that this",
    ):
        load_encoder(tmp_path)
    (tmp_path / "encoder.json").unlink()
    with pytest.raises(InputError, match=r"No encoder can be loaded from .*it has no encoder.json"):
        load_encoder(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (
            ("gin", 3),
            {},
            "encoder must be one of gine, gcn, sage, gat, pna, got 'gin'; for gin use `GINEncoder`",
        ),
        (("gcn", 0), {}, "in_channels must be at least 1, got 0"),
        (
            ("gcn", 3, 4, 1, "median"),
            {},
            "readout must be one of sum, mean, max, attention, got 'median'",
        ),
        (
            ("gine", 3),
            {},
            "edge_channels must be the width of the edge features for gine.* got None for gine",
        ),
        (("gine", 3), {"edge_channels": 0}, "edge_channels must be at least 1, got 0"),
        (("gat", 3), {"edge_channels": 2}, "None for the others, got 2 for gat"),
        (("pna", 3), {}, "degree_histogram must be the training set's for pna.* got None for pna"),
        (("gcn", 3), {"degree_histogram": DEGREES}, "None for the others, got one for gcn"),
        (
            ("pna", 3),
            {"degree_histogram": [7]},
            r"at least one of them with a neighbour, got \[7\]; data sets without edges",
        ),
        (("pna", 3), {"degree_histogram": [7, -1]}, r"got \[7, -1\]"),
        (("pna", 3), {"degree_histogram": [7.0, 1.0]}, r"got \[7.0, 1.0\]"),
    ],
)
def test_arguments_outside_their_range_are_refused(arguments, options, message):
    with pytest.raises(InputError, match=message):
        MessagePassingEncoder(*arguments, **options)


@pytest.mark.parametrize(
    ("name", "edge_attr", "message"),
    [
        (
            "gin",
            torch.zeros(2, 3),
            r"None, since the encoder gin reads no edge features, got \(2, 3\); leave it out",
        ),
        ("gcn", torch.zeros(2, 3), "the encoder gcn reads no edge features"),
        (
            "gine",
            None,
            r"edge_attr must be \(2, 3\) floating-point, a row for each edge, .* gine reads, got None",
        ),
        ("gine", torch.zeros(1, 3), r"got \(1, 3\) torch.float32; give the features of the edges"),
        ("gine", torch.zeros(2, 4), r"got \(2, 4\)"),
        ("gine", torch.zeros(2, 3, dtype=torch.int64), r"got \(2, 3\) torch.int64"),
    ],
)
def test_features_of_edges_that_do_not_fit_are_refused(name, edge_attr, message):
    edges = torch.tensor([[0, 1], [1, 0]])
    for edge_index in (edges, Adjacency.from_edge_index(edges, 2)):
        with pytest.raises(InputError, match=message):
            make(name)(torch.zeros(2, 4).double(), edge_index, None, None, edge_attr)


@pytest.mark.parametrize("name", ["gcn", "pna"])
def test_inputs_that_do_not_fit_are_refused(name):
    with pytest.raises(InputError, match=r"x must be \(N, 4\)"):
        make(name)(torch.zeros(2, 5).double(), torch.zeros(2, 0, dtype=torch.int64))
    with pytest.raises(
        InputError, match=r"edge_index must lie in \[0, 1\], the rows of x, got 0 to 2"
    ):
        make(name)(torch.zeros(2, 4).double(), torch.tensor([[0], [2]]))


@pytest.fixture
def bonds(toy):
    """The toy set with labels of edges, alike in both directions."""
    low, high = toy.edge_index.sort(dim=0).values
    return dataclasses.replace(toy, edge_label=((low + high) % 3).unsqueeze(1))


def prepared(graphs, config):
    """A model of the settings and the batches that it is trained on."""
    features = node_features(graphs)
    edge_attr = EdgeFeatureMap.fit(graphs).apply(graphs) if config.encoder == "gine" else None
    with training_device(config) as fabric:
        device, dtype = place(fabric, config)
        batches = GraphBatches(graphs, features.x, device, dtype, edge_attr)
        return build_model(config, features.channels, batches).to(device, dtype), batches, fabric


def trained(graphs, config):
    model, batches, fabric = prepared(graphs, config)
    train(TrainingState(model, config), batches, config, fabric, lambda epoch: None)
    return embed(model.encoder, batches, 7)


@pytest.mark.parametrize("readout", ["sum", "attention"])
@pytest.mark.parametrize("name", ["gin", *NAMES])
def test_the_control_is_a_training_in_which_no_weight_moves(bonds, name, readout):
    config = dataclasses.replace(
        SMALL, encoder=name, readout=readout, nodes_per_graph=2, precision="64-true"
    )
    model, batches, fabric = prepared(bonds, config)
    before = embed(model.encoder, batches, 24)
    calibrate(model.encoder, batches, config, fabric)
    control = embed(model.encoder, batches, 7)
    np.testing.assert_allclose(
        trained(bonds, dataclasses.replace(config, lr=0)), control, rtol=1e-9, atol=1e-12
    )
    assert not np.allclose(before, control, rtol=1e-2)
    assert not np.allclose(trained(bonds, dataclasses.replace(config, lr=0.01)), control, rtol=1e-2)


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_repeats_bit_for_bit_and_half_precision_comes_close(bonds, name):
    config = dataclasses.replace(SMALL, encoder=name, readout="attention")
    first = trained(bonds, config)
    assert np.array_equal(first, trained(bonds, config))
    assert not np.array_equal(first, trained(bonds, dataclasses.replace(config, seed=1)))
    half = trained(bonds, dataclasses.replace(config, precision="bf16-mixed"))
    assert not np.array_equal(first, half)
    assert np.corrcoef(first.ravel(), half.ravel())[0, 1] > 0.99


def test_edges_reach_gine_and_it_needs_them(bonds):
    config = dataclasses.replace(SMALL, encoder="gine")
    others = dataclasses.replace(bonds, edge_label=bonds.edge_label.flip(0))
    assert not np.allclose(trained(bonds, config), trained(others, config), rtol=1e-2)
    with pytest.raises(
        InputError,
        match="The data set 'TOY' has no edge labels or attributes, but the encoder gine needs them; choo",
    ):
        prepared(dataclasses.replace(bonds, edge_label=None), config)


def test_pna_counts_the_degrees_of_the_set(bonds):
    model, batches, _ = prepared(bonds, dataclasses.replace(SMALL, encoder="pna"))
    received = torch.bincount(bonds.edge_index[1], minlength=bonds.num_nodes)
    assert batches.degree_histogram().tolist() == torch.bincount(received).tolist()
    assert model.encoder.arguments["degree_histogram"] == torch.bincount(received).tolist()
    graphs = graph_data([nx.empty_graph(2)] * 3, [0, 1, 0])
    with pytest.raises(InputError, match="data sets without edges need another encoder"):
        prepared(graphs, dataclasses.replace(SMALL, encoder="pna"))


@pytest.mark.parametrize("name", ["gine", "pna"])
def test_a_run_on_mutag(name, tmp_path):
    words = [
        "--encoder",
        name,
        "--epochs",
        "1",
        "--folds",
        "3",
        "--repeats",
        "1",
        "--hidden-channels",
        "8",
    ]
    assert main([*words, "--no-pictures", "--out", str(tmp_path / "run"), "--quiet"]) == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["encoder"] == result["config"]["encoder"] == name
    assert result["dataset"].get("edge_features") == (
        "4 edge labels, one-hot" if name == "gine" else None
    )
    encoder = load_encoder(tmp_path / "run")
    assert encoder.arguments["encoder"] == name
    graphs = load_graphs("MUTAG")
    edge_attr = EdgeFeatureMap.fit(graphs).apply(graphs) if name == "gine" else None
    found = embed(encoder, GraphBatches(graphs, node_features(graphs).x, edge_attr=edge_attr), 50)
    np.testing.assert_allclose(
        found, np.load(tmp_path / "run" / "embeddings.npz")["trained"], rtol=1e-4, atol=1e-4
    )
