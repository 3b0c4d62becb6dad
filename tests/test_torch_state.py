"""What a caller has set in PyTorch changes no result, and is as it was after every call."""

import copy
import random
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.graphs import random_graphs, with_attributes
from torch_geometric.utils import from_networkx

from graphcl_hard import (
    GINEncoder,
    GraphCL,
    GraphShards,
    HardInfoGraph,
    HardInfoGraphClassifier,
    HardInfoGraphRegressor,
    InfoGraph,
    InputError,
    cross_validate,
    effective_negatives,
    hard_negative_weights,
    load_encoder,
    load_graphs,
    local_global_info_nce,
    local_global_jsd,
    nt_xent,
    run,
    to_chunks,
    write_shards,
)
from graphcl_hard._tensor import initial_state
from graphcl_hard.config import Config
from graphcl_hard.data.collate import to_graph_data
from graphcl_hard.data.tu.dataset import TUDataset
from graphcl_hard.loader.in_memory import GraphBatches
from graphcl_hard.training.loop import epoch_batches


@contextmanager
def default_dtype(dtype):
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def default_device():
    torch.set_default_device("meta")  # stands for any other device than the CPU
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextmanager
def deterministic(warn_only):
    torch.use_deterministic_algorithms(True, warn_only=warn_only)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


STATES = {
    "float64": lambda: default_dtype(torch.float64),
    "float16": lambda: default_dtype(torch.float16),
    "default device": default_device,
    "device context": lambda: torch.device("meta"),
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "deterministic": lambda: deterministic(False),
    "deterministic, warnings only": lambda: deterministic(True),
    "anomaly detection": lambda: torch.autograd.set_detect_anomaly(True),
    "other random numbers": lambda: torch.manual_seed(7) and torch.enable_grad(),
}
quiet = pytest.mark.filterwarnings("ignore:A batch has", "ignore:Anomaly Detection")
of_states = pytest.mark.parametrize("state", STATES.values(), ids=STATES.keys())


def state_now():
    """Return all that a call might leave behind in PyTorch, NumPy and Python."""
    return {
        "dtype": torch.get_default_dtype(),
        "device": torch.empty(0).device,
        "gradients": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "warnings only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "anomaly": torch.is_anomaly_enabled(),
        "threads": torch.get_num_threads(),
        "torch": torch.get_rng_state().tolist(),
        "numpy": repr(np.random.get_state()),
        "python": random.getstate(),
    }


@contextmanager
def unchanged(state):
    with state():
        before = state_now()
        yield
        assert state_now() == before


@pytest.fixture(scope="module")
def own():
    """Graphs in both forms that users have: networkx, and PyG with attributes of nodes and edges."""
    given = random_graphs([5, 8, 3, 6, 9, 4, 7, 5, 6, 8], 0.5)
    with_attributes(given, {"element": lambda _, node: "CNO"[node % 3]})
    data = [from_networkx(each) for each in random_graphs([5, 8, 3, 6, 9, 4], 0.6)]
    generator = torch.Generator().manual_seed(0)
    for each in data:
        each.x = torch.rand(each.num_nodes, 2, generator=generator)
        each.edge_attr = torch.rand(each.num_edges, 3, generator=generator)
    return given, data


def fields(graphs):
    return [value for _, value in sorted(vars(graphs).items()) if isinstance(value, torch.Tensor)]


def read(own, folder):
    """Return the tensors of everything that reads or writes graphs."""
    given, data = own
    found = [load_graphs("MUTAG"), load_graphs("MUTAG")[10:20], to_graph_data(data)]
    found += [*to_chunks(given, node_label="element", size=4)]
    shards = write_shards(folder / "data", found[3:])
    found += [shards[2:7], GraphShards(folder / "data").whole(), *shards.chunks()]
    tensors = [tensor for graphs in found for tensor in fields(graphs)]
    graphs, labelled = found[0][[5, -1]], to_graph_data(found[0][:4].to_pyg())
    for each in (graphs, labelled, labelled.with_classes((-1, 0, 1))):
        tensors += fields(each)
    single = [found[0][3], shards[2], *graphs, *shards]
    tensors += [value for data in single for value in data.to_dict().values()]
    tu = TUDataset(folder / "tu", "MUTAG")
    tensors = [tensor for tensor in tensors if isinstance(tensor, torch.Tensor)]
    return [*tensors, tu._data.x, tu._data.edge_index, tu._data.edge_attr, *tu.slices.values()]


def same(found, expected):
    """Assert that values are equal bit for bit, and that tensors can be used in any mode."""
    for one, other in zip(found, expected, strict=True):
        if isinstance(one, torch.Tensor):
            assert one.device.type == "cpu"
            assert not one.is_inference()
            assert one.dtype == other.dtype
            assert torch.equal(one, other)
        else:
            np.testing.assert_array_equal(one, other, strict=True)


@of_states
def test_graphs(own, state, tmp_path):
    with unchanged(state):
        found = read(own, tmp_path / "inside")
    same(found, read(own, tmp_path / "outside"))


def trained(own, folder, **settings):
    """Return what an estimator gives in its life."""
    data = own[1]
    model = HardInfoGraph(random_state=2, epochs=2, batch_size=3, hidden_channels=4, **settings)
    found = [model.fit_transform(data), *model.encoder_.state_dict().values()]
    folder.mkdir()
    model.save(folder / "model")
    loaded = HardInfoGraph.load(folder / "model")
    found += [loaded.transform(data), loaded.partial_fit(data).transform(data)]
    model.encoder_.save_pretrained(folder)
    encoder = load_encoder(folder)
    return [
        *found,
        *encoder.state_dict().values(),
        [epoch._replace(seconds=0.0) for epoch in model.history_],
    ]


@pytest.fixture(scope="module")
def plain(own, tmp_path_factory):
    return trained(own, tmp_path_factory.mktemp("plain") / "model", negative_queue=4)


@of_states
@quiet
def test_estimator(own, plain, state, tmp_path):
    with unchanged(state):
        found = trained(own, tmp_path / "inside", negative_queue=4)
    same(found, plain)


def fine_tuned(own, folder):
    """Return what a classifier and a regressor give in their lives."""
    data = own[1]
    found = []
    targets = ([0, 1] * 3, [[0, 1], [1, None], [None, 0]] * 2, np.arange(6.0))
    for place, y in enumerate(targets):
        kind = HardInfoGraphClassifier if place < 2 else HardInfoGraphRegressor
        model = kind(random_state=2, epochs=2, batch_size=3, hidden_channels=4, dropout=0.5)
        model.set_params(validation_fraction=0.4).fit(data, y)
        model.save_pretrained(folder / str(place))
        loaded = kind.from_pretrained(folder / str(place))
        again = kind(init=loaded, random_state=0, epochs=1, freeze=True).fit(
            data, y, validation=(data, y)
        )
        for one in (model, loaded, again):
            found += [one.predict(data), one.transform(data), one.score(data, y)]
            found += [*one.encoder_.state_dict().values(), *one.head_.state_dict().values()]
        found += [model.predict_proba(data)] if place < 2 else []
        found += [[epoch._replace(seconds=0.0) for epoch in model.history_]]
    return found


@pytest.fixture(scope="module")
def plainly_tuned(own, tmp_path_factory):
    return fine_tuned(own, tmp_path_factory.mktemp("tuned"))


@of_states
@quiet
def test_fine_tuning(own, plainly_tuned, state, tmp_path):
    with unchanged(state):
        found = fine_tuned(own, tmp_path)
    same(found, plainly_tuned)


@contextmanager
def everything():
    names = ("float64", "default device", "inference_mode", "autocast", "deterministic")
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(STATES[name]())
        yield


@pytest.mark.parametrize(
    "settings",
    [
        {"objective": "info-nce", "readout": "attention", "precision": "64-true"},
        {"mode": "released", "nodes_per_graph": 3, "precision": "bf16-mixed"},
        {"method": "graphcl", "views": ("random", "edge-perturb"), "beta": 1.0},
        {"method": "graphcl", "views": ("subgraph", "attribute-mask"), "encoder": "gine"},
        {"encoder": "pna", "deterministic": True, "n_jobs": 1},
    ],
    ids=lambda settings: " ".join(map(str, settings.values())),
)
@quiet
def test_settings(own, settings, tmp_path):
    with unchanged(everything):
        found = trained(own, tmp_path / "inside", **settings)
    same(found, trained(own, tmp_path / "outside", **settings))


@quiet
def test_what_was_made_in_inference_mode_can_be_trained(own, tmp_path):
    with torch.inference_mode():
        model = HardInfoGraph(random_state=2, epochs=1).fit(own[1])
        model.encoder_.save_pretrained(tmp_path)
        encoder = load_encoder(tmp_path).train()
    whole = HardInfoGraph(random_state=2, epochs=2).fit_transform(own[1])
    same([model.partial_fit(own[1]).transform(own[1])], [whole])
    graphs, _ = encoder(torch.rand(3, 2), torch.tensor([[0, 1], [1, 2]]))
    graphs.sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())


@quiet
def test_graphs_of_inference_mode(own):
    model = HardInfoGraph(random_state=2, epochs=1)
    with torch.inference_mode():
        copies = [each.clone() for each in own[1]]
    same([model.fit_transform(copies)], [model.fit_transform(own[1])])


@of_states
@quiet
def test_a_call_that_raises(own, state):
    def stop(_):
        raise KeyboardInterrupt

    with unchanged(state):
        for graphs in ([], own[1][:1]):
            with pytest.raises(InputError):
                HardInfoGraph(random_state=0).fit(graphs)
        with pytest.raises(KeyboardInterrupt):
            HardInfoGraph(random_state=0, on_epoch=stop, deterministic=True, n_jobs=1).fit(own[1])


@pytest.mark.parametrize("probe", ["svm", "linear-svm", "logistic", "knn"])
def test_scores(probe):
    vectors, y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 2
    setting = {"probe": probe, "cv": 2, "repeats": 1, "n_jobs": 1}
    with unchanged(everything):
        found = cross_validate(vectors, y, **setting)["vectors"]
    same([found.accuracy], [cross_validate(vectors, y, **setting)["vectors"].accuracy])


def test_a_run(tmp_path):
    flags = [
        "--epochs",
        "1",
        "--folds",
        "2",
        "--repeats",
        "1",
        "--quiet",
        "--no-pictures",
        "--hidden-channels",
        "4",
    ]
    assert run.main([*flags, "--out", str(tmp_path / "outside")]) == 0
    with everything():
        assert run.main([*flags, "--out", str(tmp_path / "inside")]) == 0
    found, expected = (
        np.load(tmp_path / name / "embeddings.npz") for name in ("inside", "outside")
    )
    same([found[name] for name in expected], [expected[name] for name in expected])


@of_states
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_objectives(state, dtype):
    given = torch.rand(12, 3, dtype=dtype, generator=torch.Generator().manual_seed(0))
    batch, summary = torch.arange(12) // 3, given[:4].flip(1)

    def results():
        rows = given.clone().requires_grad_(torch.is_grad_enabled())
        found = [
            objective(rows, summary, batch, critic=critic, return_diagnostics=True)
            for objective in (local_global_jsd, local_global_info_nce)
            for critic in ("dot", "cosine")
        ]
        found.append(
            local_global_jsd(rows, summary, batch, mode="released", return_diagnostics=True)
        )
        found.append(nt_xent(F.normalize(rows[:6]), F.normalize(rows[6:]), return_diagnostics=True))
        losses, diagnostics = zip(*found, strict=True)
        weights = hard_negative_weights(given, 2.0, mask=given < 0.9)
        return rows, [*losses, *sum(diagnostics, ()), weights, effective_negatives(weights)]

    with unchanged(state):
        rows, values = results()
    expected_rows, expected = results()
    for found, value in zip(values, expected, strict=True):
        assert found.dtype == dtype
        assert torch.equal(found, value)
    if rows.requires_grad:
        sum(values[:6]).backward()
        sum(expected[:6]).backward()
        assert torch.equal(rows.grad, expected_rows.grad)


@pytest.mark.parametrize("state", [default_device, lambda: default_dtype(torch.float64)])
@pytest.mark.parametrize("method", ["infograph", "graphcl"])
def test_a_training_loop_of_ones_own(own, state, method):
    graphs = load_graphs("MUTAG")[:12]

    def losses():
        config = Config(
            method=method, nodes_per_graph=3 * (method == "infograph"), negative_queue=4
        )
        model = copy.deepcopy(models[method])
        batches = GraphBatches(graphs, features)
        generator = torch.Generator().manual_seed(1)
        return [
            model(batch, 1.0)[0].detach()
            for _ in range(2)
            for batch in epoch_batches(batches, config, generator)
        ]

    features = torch.rand(graphs.num_nodes, 2, generator=torch.Generator().manual_seed(0))
    encoder = GINEncoder(in_channels=2, hidden_channels=4)
    models = {
        "infograph": InfoGraph(encoder, local_global_jsd, negative_queue=4),
        "graphcl": GraphCL(encoder, nt_xent, negative_queue=4),
    }
    expected = losses()
    with unchanged(state):
        found = losses()
    same(found, expected)


def test_threads_share_the_default_dtype():
    """The first thread leaves while the second is inside; then the second one leaves."""
    first, second = initial_state(), initial_state()
    with default_dtype(torch.float64):
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert torch.get_default_dtype() == torch.float32
        second.__exit__(None, None, None)
        assert torch.get_default_dtype() == torch.float64
