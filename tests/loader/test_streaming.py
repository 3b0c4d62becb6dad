"""Batches from disk equal those of the data set in memory, contain each graph once, and training is reproducible."""

import dataclasses
import functools
import gc
import itertools
import json
import tempfile
import threading
import weakref

import numpy as np
import pytest
import torch
from helpers.epochs import same_continued_epochs
from helpers.graphs import random_graphs, with_attributes
from torch.utils.data import Dataset, Subset
from torch_geometric.data import Data, OnDiskDataset

from graphcl_hard import HardInfoGraph, InputError, load_graphs, to_chunks, write_shards
from graphcl_hard.config import Config
from graphcl_hard.data import load
from graphcl_hard.data.collate import collate_chunks, to_graph_data
from graphcl_hard.data.graph_data import GraphData
from graphcl_hard.data.load import open_graphs
from graphcl_hard.data.shards import GraphShards
from graphcl_hard.embed import main as embed_main
from graphcl_hard.loader import streaming
from graphcl_hard.loader.features import FeatureMap
from graphcl_hard.loader.in_memory import EpochOrder, GraphBatches
from graphcl_hard.loader.streaming import StreamedBatches, make_batches
from graphcl_hard.run import main
from graphcl_hard.training.build import prepare
from graphcl_hard.training.devices import training_device
from graphcl_hard.training.loop import train


@pytest.fixture
def small_windows(monkeypatch):
    """Limit windows to 24 graphs, in blocks of 5."""
    for module in (streaming, load):
        monkeypatch.setattr(module, "WINDOW", 24)
    monkeypatch.setattr(streaming, "BLOCK", 5)


def graphs_with_numbers(count):
    """Return graphs whose node labels are the index of the graph, which identifies the graphs of a batch."""
    return with_attributes(
        random_graphs([2 + i % 5 for i in range(count)]),
        {"number": lambda i, _: i},
        {"bond": lambda i, edge: (i + sum(edge)) % 3},
    )


NAMES = {"node_label": "number", "edge_label": "bond"}


@pytest.fixture
def both(tmp_path, small_windows):
    """Return 109 graphs on disk and in memory, with their features."""
    graphs = graphs_with_numbers(109)
    shards = write_shards(tmp_path / "set", to_chunks(graphs, size=30, **NAMES), "numbers")
    whole = to_graph_data(graphs, **NAMES)
    features = FeatureMap.fit(whole, with_edges=True)
    return shards, whole, features


def numbers(batch):
    """Return the indices of a batch's graphs, in order."""
    return batch.x[torch.searchsorted(batch.batch, torch.arange(batch.num_graphs)), 0]


def same_batch(first, second):
    for name in ("x", "batch", "edge_attr"):
        assert torch.equal(getattr(first, name), getattr(second, name)), name
    assert torch.equal(first.adjacency.edge_index, second.adjacency.edge_index)
    assert first.num_graphs == second.num_graphs


@pytest.mark.parametrize("batch_size", [2, 9, 12, 36, 54, 108, 200])
def test_an_epoch_has_every_graph_once_in_full_batches(both, batch_size):
    """A single last graph joins the batch before it; each batch equals that of the data set in memory."""
    shards, whole, features = both
    memory = GraphBatches(whole, features.apply(whole), edge_attr=features.apply_edges(whole))
    batches = list(
        make_batches(shards, features).shuffled(batch_size, torch.Generator().manual_seed(3))
    )
    sizes = [batch.num_graphs for batch in batches]
    assert set(sizes[:-1]) <= {batch_size}
    assert 2 <= sizes[-1] <= batch_size + 1
    assert sorted(torch.cat([numbers(batch) for batch in batches]).tolist()) == list(range(109))
    for batch in batches:
        assert torch.equal(batch.graph_ids, numbers(batch))
        same_batch(batch, memory.select(batch.graph_ids))


def test_epochs_differ_seeds_repeat_and_a_batch_mixes_far_places(both):
    shards, _, features = both
    streamed = make_batches(shards, features)

    def order(generator):
        return torch.cat([numbers(batch) for batch in streamed.shuffled(12, generator)]).tolist()

    first, second = (torch.Generator().manual_seed(1) for _ in range(2))
    epochs = [order(first), order(first)]
    assert epochs == [order(second), order(second)]
    assert epochs[0] != epochs[1]
    assert torch.equal(first.get_state(), second.get_state())
    blocks = [
        {number // 5 for number in epochs[0][start : start + 12]} for start in range(0, 96, 12)
    ]
    assert np.mean([len(found) for found in blocks]) > 3.5  # of the five or six blocks of a window
    assert all(max(found) - min(found) > 3 for found in blocks)


@pytest.mark.parametrize("batch_size", [8, 9, 12, 36])
def test_an_epoch_continues_after_any_of_its_batches(both, batch_size):
    """Windows have 24, 18, 24 and 36 graphs; a single graph left, as with 9 and 36, joins the window before it."""
    shards, _, features = both
    same_continued_epochs(make_batches(shards, features), batch_size)


def test_an_epoch_that_continues_reads_no_earlier_window(both, monkeypatch):
    shards, _, features = both
    streamed, read, load_window = make_batches(shards, features), [], StreamedBatches._load
    monkeypatch.setattr(
        StreamedBatches, "_load", lambda self, runs: read.append(runs) or load_window(self, runs)
    )
    generator, order = torch.Generator().manual_seed(0), EpochOrder()
    for number, _ in enumerate(streamed.shuffled(6, generator, order=order), 1):
        if number == 10:  # the second of the third window's four
            state, states = generator.get_state(), dict(order.states)
    windows = list(read)
    read.clear()
    generator.set_state(state)
    assert len(list(streamed.shuffled(6, generator, order=EpochOrder(10, states)))) == number - 10
    assert len(windows) == 5
    assert read == windows[2:]


def test_a_sample_of_nodes_and_the_edges_degrees(both):
    shards, whole, features = both
    streamed = make_batches(shards, features)
    memory = make_batches(whole, features)
    batch = next(streamed.shuffled(12, torch.Generator().manual_seed(0), nodes_per_graph=2))
    assert batch.sample.node.numel() == 24
    assert torch.equal(streamed.degree_histogram(), memory.degree_histogram())
    assert streamed.edge_channels == memory.edge_channels == 3
    assert isinstance(streamed, StreamedBatches)
    assert isinstance(memory, GraphBatches)


@pytest.mark.parametrize("batch_size", [1, 10, 24, 50])
def test_in_order_is_the_sets_order(both, batch_size):
    shards, whole, features = both
    one, other = (make_batches(graphs, features).in_order(batch_size) for graphs in (shards, whole))
    for first, second in itertools.zip_longest(one, other):
        same_batch(first, second)
        assert torch.equal(first.graph_ids, second.graph_ids)


def test_a_reader_ends_with_the_epoch_that_is_left(both):
    shards, _, features = both
    epoch = make_batches(shards, features).shuffled(6, torch.Generator())
    next(epoch)
    assert any(thread.name.startswith("graphs") for thread in threading.enumerate())
    epoch.close()
    assert not any(thread.name.startswith("graphs") for thread in threading.enumerate())


def test_a_file_that_goes_bad_during_an_epoch_is_told(both, tmp_path):
    shards, _, features = both
    streamed = make_batches(shards, features)
    for path in (tmp_path / "set").glob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match="write the data set again"):
        list(streamed.shuffled(6, torch.Generator()))


def test_a_single_graph_is_refused(tmp_path, small_windows):
    shards = write_shards(tmp_path / "set", to_chunks(graphs_with_numbers(1), **NAMES))
    with pytest.raises(InputError, match="at least 2 graphs, got 1"):
        next(StreamedBatches(shards, FeatureMap.fit(shards)).shuffled(2, torch.Generator()))


@pytest.mark.parametrize(
    "change",
    [{}, {"encoder": "pna"}, {"encoder": "gine"}, {"method": "graphcl"}, {"negative_queue": 30}],
)
def test_a_training_goes_on_where_it_stopped_bit_for_bit(both, change):
    shards, _, _ = both
    config = Config(
        hidden_channels=4, num_layers=2, epochs=4, batch_size=10, accelerator="cpu", **change
    )
    features = FeatureMap.fit(shards, with_edges=config.encoder == "gine")

    def trained(*stops):
        kept, epochs = None, []
        for stop in stops:
            one = dataclasses.replace(config, epochs=stop)
            with training_device(one) as fabric:
                batches, state = prepare(config, shards, features, fabric)
                if kept is not None:
                    state.load_tensors(kept, len(epochs))
                train(
                    state,
                    batches,
                    one,
                    fabric,
                    lambda epoch: epochs.append(epoch._replace(seconds=0)),
                )
            kept = {name: tensor.clone() for name, tensor in state.to_tensors().items()}
        return kept, epochs

    (one, first), (other, second) = trained(4), trained(1, 3, 4)
    assert first == second
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_set_no_larger_than_a_window_is_trained_on_as_in_memory(tmp_path, toy):
    """Both runs are equal bit for bit, in everything that a run writes."""
    write_shards(tmp_path / "set", [toy], "TOY")
    whole = load_graphs(str(tmp_path / "set"))
    words = [
        "--hidden-channels",
        "4",
        "--epochs",
        "2",
        "--folds",
        "3",
        "--repeats",
        "1",
        "--no-pictures",
        "--quiet",
    ]
    assert main(["--dataset", str(tmp_path / "set"), *words, "--out", str(tmp_path / "run")]) == 0
    estimator = HardInfoGraph(hidden_channels=4, epochs=2, random_state=0).fit(whole)
    with np.load(tmp_path / "run" / "embeddings.npz") as arrays:
        vectors = np.sign(arrays["trained"]) * np.log1p(np.abs(arrays["trained"]))
    assert np.array_equal(estimator.transform(whole), vectors)


def test_runs_over_the_disk_train_embed_and_evaluate(tmp_path, small_windows, toy, capsys):
    write_shards(tmp_path / "set", [toy] * 3, "three")
    words = [
        "--dataset",
        str(tmp_path / "set"),
        "--hidden-channels",
        "4",
        "--epochs",
        "2",
        "--batch-size",
        "10",
    ]
    assert main([*words, "--no-evaluate", "--out", str(tmp_path / "run"), "--seeds", "2"]) == 0
    assert "trained, not evaluated" in capsys.readouterr().out
    folder = tmp_path / "run" / "seed-1"
    result = json.loads((folder / "result.json").read_text())
    assert (result["status"], result["scores"], result["dataset"]["graphs"]) == ("finished", {}, 72)
    assert {path.name for path in folder.iterdir()} >= {
        "encoder.safetensors",
        "metrics.csv",
        "training.png",
    }
    assert not (folder / "embeddings.npz").exists()
    out = tmp_path / "vectors.npz"
    assert (
        embed_main(
            [str(folder), "--data", str(tmp_path / "set"), "--out", str(out), "--batch-size", "7"]
        )
        == 0
    )
    with np.load(out) as arrays:
        assert arrays["vectors"].shape == (72, 12)
        np.testing.assert_allclose(
            arrays["vectors"][:24], arrays["vectors"][48:], rtol=1e-5, atol=1e-5
        )
    evaluated = ["--folds", "3", "--repeats", "1", "--no-pictures"]
    assert main([*words, *evaluated, "--out", str(tmp_path / "evaluated")]) == 0
    with np.load(tmp_path / "evaluated" / "embeddings.npz") as arrays:
        assert set(arrays) == {"untrained", "trained", "batch_norm", "y", "id", "data_sha256"}


def test_a_set_without_classes_needs_no_evaluation(tmp_path, toy, capsys):
    write_shards(tmp_path / "set", [dataclasses.replace(toy, y=toy.y * 0 - 1, classes=())], "bare")
    words = [
        "--dataset",
        str(tmp_path / "set"),
        "--hidden-channels",
        "4",
        "--epochs",
        "1",
        "--quiet",
    ]
    assert main([*words, "--out", str(tmp_path / "run")]) == 2
    assert (
        capsys.readouterr().err
        == "error: bare has no classes to evaluate with; give --no-evaluate to only train.\n"
    )
    assert not (tmp_path / "run").exists()
    assert main([*words, "--no-evaluate", "--out", str(tmp_path / "run")]) == 0
    assert main([*words, "--no-evaluate", "--protocol", "best-epoch"]) == 2
    assert "picks an epoch by its scores, got --no-evaluate" in capsys.readouterr().err


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Return the folder for temporary data sets."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    return tmp_path / "temporary"


SETTINGS = {"hidden_channels": 4, "num_layers": 2, "epochs": 2, "batch_size": 20, "random_state": 0}


def test_fit_and_transform_take_an_iterable_of_any_length(both, temporary):
    """The result is that of the data set on disk; temporary files are deleted after their last use."""
    shards, whole, _ = both
    graphs = graphs_with_numbers(109)
    on_disk = HardInfoGraph(**SETTINGS).fit(shards)
    found = HardInfoGraph(node_label="number", **SETTINGS).fit(graph for graph in graphs)
    assert [epoch.loss for epoch in found.history_] == [epoch.loss for epoch in on_disk.history_]
    vectors = found.transform(iter(graphs))
    assert np.array_equal(vectors, on_disk.transform(shards))
    np.testing.assert_allclose(vectors, on_disk.transform(whole), rtol=1e-5, atol=1e-5)
    gc.collect()
    assert not list(temporary.iterdir())
    few = HardInfoGraph(node_label="number", **SETTINGS).fit_transform(iter(graphs[:24]))
    assert np.array_equal(
        few, HardInfoGraph(node_label="number", **SETTINGS).fit_transform(graphs[:24])
    )


def test_what_cannot_be_read_late_in_an_iterable_leaves_nothing(small_windows, temporary):
    def graphs():
        yield from graphs_with_numbers(60)
        yield b"no graph"

    with pytest.raises(InputError, match="Graph 60 must be one of"):
        HardInfoGraph(node_label="number").fit(graphs())
    assert not list(temporary.iterdir())


def test_labels_that_fit_has_not_seen_are_told_once_and_at_the_users_line(both):
    shards, _, _ = both
    estimator = HardInfoGraph(node_label="number", **SETTINGS).fit(graphs_with_numbers(30))
    estimator.set_params(node_label=None)
    with pytest.warns(
        UserWarning, match="79 node labels that the features were not fitted on"
    ) as caught:
        estimator.transform(shards)
    assert [warning.filename for warning in caught] == [__file__]


def test_a_set_on_the_disk_has_the_names_that_its_graphs_had(both):
    HardInfoGraph(node_label="number", **SETTINGS).fit(both[0])
    with pytest.raises(
        InputError,
        match=r"node_label must be None or 'number' for numbers, a data set in flat tensors, got 'other'",
    ):
        HardInfoGraph(node_label="other").fit(both[0])
    with pytest.raises(
        InputError, match=r"edge_attr must be None for numbers, .* without edge_attr, got 'weight'"
    ):
        HardInfoGraph(encoder="gine", edge_attr="weight").fit(both[0])


def test_a_dataset_of_pyg_that_is_not_in_memory(tmp_path, small_windows, temporary):
    dataset = OnDiskDataset(str(tmp_path / "pyg"), log=False)
    graphs = [
        Data(x=torch.rand(4, 2), edge_index=torch.tensor([[0, 1], [1, 0]]), num_nodes=4)
        for _ in range(60)
    ]
    dataset.extend(graphs)
    found = HardInfoGraph(**SETTINGS).fit_transform(dataset)
    assert found.shape == (60, 8)
    assert np.array_equal(found, HardInfoGraph(**SETTINGS).fit_transform(iter(graphs)))
    part = Subset(Subset(dataset, range(59)), range(1, 50))
    assert isinstance(open_graphs(part), GraphShards)
    assert isinstance(open_graphs(Subset(graphs, range(1, 50))), GraphData)
    found = HardInfoGraph(**SETTINGS).fit_transform(part)
    assert np.array_equal(found, HardInfoGraph(**SETTINGS).fit_transform(iter(graphs[1:50])))
    dataset.close()


def test_a_dataset_that_does_not_say_where_it_ends(small_windows, temporary):
    class Endless(Dataset):
        def __len__(self):
            return 50

        def __getitem__(self, index):
            return graph_of(index)

    def graph_of(index):
        return Data(edge_index=torch.tensor([[0, 1], [1, 0]]), num_nodes=2 + index % 5)

    found = HardInfoGraph(**SETTINGS).fit_transform(Endless())
    assert np.array_equal(
        found, HardInfoGraph(**SETTINGS).fit_transform(graph_of(index) for index in range(50))
    )


def test_of_an_iterable_only_a_part_is_in_memory(small_windows, temporary, monkeypatch):
    monkeypatch.setattr(load, "collate_chunks", functools.partial(collate_chunks, size=20))
    gone, most = [], 0

    def graphs():
        nonlocal most
        for number in range(500):
            graph = Data(edge_index=torch.tensor([[0, 1], [1, 0]]), num_nodes=2)
            weakref.finalize(graph, gone.append, number)
            most = max(most, number + 1 - len(gone))
            yield graph

    assert open_graphs(graphs()).num_graphs == 500
    assert most <= 45  # a window and the graph after it, or two chunks
