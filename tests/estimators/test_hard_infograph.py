"""The estimator's contract: scikit-learn's conventions, for graphs in place of arrays."""

import dataclasses
import json
import linecache
import logging
import pickle
import resource
import warnings
from typing import get_type_hints

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from helpers.graphs import random_graphs, with_attributes
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    cross_val_predict,
    cross_val_score,
    learning_curve,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch_geometric.data import Data

from graphcl_hard import (
    HardInfoGraph,
    InputError,
    StopTraining,
    load_graphs,
    write_shards,
)
from graphcl_hard.config import Config, Scope, names_in
from graphcl_hard.data.tu.dataset import TUDataset
from graphcl_hard.embed import main as embed
from graphcl_hard.estimators.hard_infograph import OWN
from graphcl_hard.evaluation.checks import rescale
from graphcl_hard.io.checksum import read_checksummed, with_checksum, write_checksummed
from graphcl_hard.run import main as run


@pytest.fixture(scope="module")
def mutag():
    return load_graphs("MUTAG")


@pytest.fixture(scope="module")
def graphs():
    """A set that has what sets have: labels, a graph without edges, one of a single node."""
    generator = np.random.default_rng(0)
    sizes = generator.integers(4, 12, 30).tolist()
    found = random_graphs(sizes, 0.4, seeds=[size + i for i, size in enumerate(sizes)])
    return with_attributes(
        [*found, nx.empty_graph(3), nx.empty_graph(1)], {"element": lambda _, node: "CNO"[node % 3]}
    )


def estimator(**settings):
    return HardInfoGraph(**{"epochs": 2, "random_state": 3, "node_label": "element", **settings})


@pytest.fixture(scope="module")
def fitted(graphs):
    return estimator().fit(graphs)


def test_parameters_are_a_runs_settings_and_its_own():
    params = HardInfoGraph().get_params()
    settings = {name: getattr(Config(), name) for name in names_in(Scope.ESTIMATOR)}
    assert set(params) == set(settings) | set(OWN)
    assert {name: params[name] for name in settings} == settings
    types = get_type_hints(HardInfoGraph.__init__)
    assert {name: types[name] for name in settings} == {
        name: get_type_hints(Config)[name] for name in settings
    }


def test_an_int_gives_what_a_run_gives(mutag, tmp_path):
    out = tmp_path / "run"
    flags = [
        "--dataset",
        "MUTAG",
        "--seed",
        "4",
        "--epochs",
        "2",
        "--folds",
        "2",
        "--repeats",
        "1",
        "--scale",
        "linear",
    ]
    assert run([*flags, "--no-pictures", "--quiet", "--out", str(out)]) == 0
    expected = np.load(out / "embeddings.npz")["trained"]
    settings = {"random_state": 4, "epochs": 2, "scale": "linear"}
    assert np.array_equal(HardInfoGraph(**settings).fit_transform(mutag), expected)
    through_pyg = TUDataset(str(tmp_path), "MUTAG")
    assert np.array_equal(HardInfoGraph(**settings).fit_transform(through_pyg), expected)
    logarithms = HardInfoGraph(random_state=4, epochs=2).fit_transform(mutag)
    assert np.array_equal(logarithms, rescale(expected, "log"))


def test_fitted_attributes(fitted, graphs):
    vectors = fitted.transform(graphs)
    assert vectors.shape == (32, 96)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    assert fitted.n_features_in_ == fitted.encoder_.in_channels == 3
    assert [epoch.epoch for epoch in fitted.history_] == [1, 2]
    assert list(fitted.get_feature_names_out()[:2]) == ["hardinfograph0", "hardinfograph1"]
    assert estimator(precision="64-true").fit_transform(graphs).dtype == np.float64


def test_labels_are_not_looked_at(graphs, fitted):
    with_labels = estimator().fit(graphs, y=["not", "labels"])
    assert np.array_equal(with_labels.transform(graphs), fitted.transform(graphs))


def test_vectors_do_not_depend_on_the_other_graphs_of_a_call(fitted, graphs):
    vectors = fitted.transform(graphs)
    np.testing.assert_allclose(fitted.transform(graphs[5:7]), vectors[5:7], rtol=1e-5, atol=1e-6)
    relabelled = nx.relabel_nodes(graphs[0], {node: f"node {node}" for node in graphs[0]})
    np.testing.assert_allclose(fitted.transform([relabelled]), vectors[:1], rtol=1e-5, atol=1e-6)


def test_clone_pickle_and_refit(fitted, graphs):
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        copy.transform(graphs)
    expected = fitted.transform(graphs)
    assert np.array_equal(copy.fit(graphs).transform(graphs), expected)
    assert np.array_equal(copy.fit(graphs).transform(graphs), expected)  # not a warm start
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).transform(graphs), expected)
    assert np.array_equal(estimator().fit_transform(iter(graphs)), expected)


def test_random_state(graphs):
    state = np.random.RandomState(0)
    first, second = (estimator(random_state=state).fit_transform(graphs) for _ in range(2))
    assert not np.array_equal(first, second)
    again = estimator(random_state=np.random.RandomState(0)).fit_transform(graphs)
    assert np.array_equal(first, again)


def test_partial_fit_is_fit_by_epochs(fitted, graphs):
    one = estimator().partial_fit(graphs)
    assert len(one.history_) == 1
    one.partial_fit(graphs)
    assert np.array_equal(one.transform(graphs), fitted.transform(graphs))
    with pytest.raises(InputError, match="needs `beta_schedule=constant`, got 'linear-up'"):
        estimator(beta_schedule="linear-up").partial_fit(graphs)


def test_a_warm_start_goes_on(fitted, graphs):
    warm = estimator(warm_start=True, epochs=1).fit(graphs).fit(graphs)
    assert [epoch.epoch for epoch in warm.history_] == [1, 2]
    assert np.array_equal(warm.transform(graphs), fitted.transform(graphs))
    warm.set_params(lr=0.0)
    before = {name: value.clone() for name, value in warm.encoder_.named_parameters()}
    warm.fit(graphs)
    assert all(torch.equal(before[name], value) for name, value in warm.encoder_.named_parameters())


def test_save_and_load(fitted, graphs, tmp_path):
    path = tmp_path / "estimator.safetensors"
    fitted.save(path)
    loaded = HardInfoGraph.load(path)
    assert loaded.get_params() == fitted.get_params()
    assert loaded.history_ == fitted.history_
    assert np.array_equal(loaded.transform(graphs), fitted.transform(graphs))
    further = pickle.loads(pickle.dumps(fitted)).partial_fit(graphs)
    assert np.array_equal(loaded.partial_fit(graphs).transform(graphs), further.transform(graphs))
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        InputError, match=r"its checksum does not match\); give a file that `save` wrote"
    ):
        HardInfoGraph.load(path)
    with pytest.raises(InputError, match=r"No estimator can be loaded: .*missing.*cannot be read"):
        HardInfoGraph.load(tmp_path / "missing")
    assert b"pickle" not in content


def test_a_saved_estimator_with_a_removed_setting_loads_where_the_setting_did_nothing(
    fitted, graphs, tmp_path
):
    fitted.save(tmp_path / "saved")
    tensors, text = read_checksummed(tmp_path / "saved", "estimator")
    content = json.loads(text)
    for kind in ("config", "params"):
        content[kind]["gradient_cache"] = 0
    write_checksummed(tmp_path / "older", tensors, "estimator", json.dumps(content))
    loaded = HardInfoGraph.load(tmp_path / "older")
    assert loaded.get_params() == fitted.get_params()
    assert np.array_equal(loaded.transform(graphs), fitted.transform(graphs))
    content["config"]["gradient_cache"] = 32
    write_checksummed(tmp_path / "older", tensors, "estimator", json.dumps(content))
    with pytest.raises(InputError, match="gradient_cache must be 0, got 32"):
        HardInfoGraph.load(tmp_path / "older")


def test_a_file_of_forged_sizes_asks_for_no_memory(fitted, tmp_path):
    fitted.save(tmp_path / "saved")
    tensors, text = read_checksummed(tmp_path / "saved", "estimator")
    for part, name, size in [
        ("encoder", "hidden_channels", 65536),
        ("encoder", "num_layers", 10**6),
        ("config", "negative_queue", 10**7),
    ]:
        content = json.loads(text)
        content[part][name] = size
        write_checksummed(tmp_path / "forged", tensors, "estimator", json.dumps(content))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(InputError, match=r"it has more layers|do not have the sizes"):
            HardInfoGraph.load(tmp_path / "forged")
        assert (
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**17
        )  # KiB; the sizes ask for gigabytes


@pytest.mark.parametrize("settings", [{"scale": "linear"}, {"precision": "64-true"}, {"gine": 1}])
def test_a_pretrained_encoder_embeds_as_the_estimator_that_saved_it(bonded, tmp_path, settings):
    scale = {"scale": settings["scale"]} if "scale" in settings else {}
    model = (gine() if "gine" in settings else estimator(**settings)).fit(bonded)
    vectors = model.transform(bonded)
    model.save_pretrained(tmp_path / "new" / "folder")
    assert {path.name for path in (tmp_path / "new" / "folder").iterdir()} == {
        "encoder.json", "encoder.safetensors", "features.json",
    }  # fmt: skip
    loaded = HardInfoGraph.from_pretrained(tmp_path / "new" / "folder", **scale)
    assert np.array_equal(loaded.transform(bonded), vectors)
    assert loaded.features_ == model.features_
    assert loaded.history_ == []
    assert np.array_equal(pickle.loads(pickle.dumps(loaded)).transform(bonded), vectors)
    loaded.save(tmp_path / "saved")
    assert np.array_equal(HardInfoGraph.load(tmp_path / "saved").transform(bonded), vectors)
    assert [epoch.epoch for epoch in loaded.partial_fit(bonded).history_] == [1]
    assert not np.array_equal(loaded.transform(bonded), vectors)


def test_a_runs_folder_is_a_pretrained_encoder(mutag, tmp_path):
    words = "--dataset MUTAG --seed 4 --epochs 1 --folds 2 --repeats 1 --no-pictures --quiet"
    assert run([*words.split(), "--out", str(tmp_path / "run")]) == 0
    expected = np.load(tmp_path / "run" / "embeddings.npz")["trained"]
    loaded = HardInfoGraph.from_pretrained(tmp_path / "run", scale="linear")
    assert np.array_equal(loaded.transform(mutag), expected)
    assert np.array_equal(loaded.transform(mutag.to_pyg()), expected)
    with pytest.raises(NotFittedError):
        HardInfoGraph().save_pretrained(tmp_path)
    loaded.fit(mutag[:20]).save_pretrained(tmp_path)
    words = [str(tmp_path), "--data", "MUTAG", "--out", str(tmp_path / "vectors.npz"), "--quiet"]
    assert embed(words) == 0
    vectors = np.load(tmp_path / "vectors.npz")["vectors"]
    assert np.array_equal(vectors, loaded.transform(mutag))
    assert not np.array_equal(vectors, expected)


def test_the_files_of_an_encoder_fit_each_other(fitted, graphs, tmp_path):
    fitted.save_pretrained(tmp_path)
    fewer = estimator(node_label=None, epochs=0).fit(graphs)
    with pytest.raises(
        InputError, match=r"features must be those of the encoder, .* got \(8, None\)"
    ):
        fitted.encoder_.save_pretrained(tmp_path, fewer.features_)
    fewer.encoder_.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"it makes 3 features of a node, and the encoder reads 8"):
        HardInfoGraph.from_pretrained(tmp_path)
    with pytest.raises(InputError, match="num_layers must be left out of `from_pretrained`"):
        HardInfoGraph.from_pretrained(tmp_path, num_layers=2)
    (tmp_path / "features.json").unlink()
    with pytest.raises(InputError, match=r"features.json cannot be read"):
        HardInfoGraph.from_pretrained(tmp_path)


@pytest.mark.parametrize("encoder", ["gcn", "pna"])
def test_other_encoders(graphs, tmp_path, encoder):
    model = estimator(encoder=encoder, readout="attention", epochs=1)
    vectors = model.fit_transform(graphs)
    assert model.encoder_.arguments["encoder"] == encoder
    model.save(tmp_path / "saved")
    assert np.array_equal(HardInfoGraph.load(tmp_path / "saved").transform(graphs), vectors)


@pytest.fixture(scope="module")
def bonded(graphs):
    """The graphs, whose edges have a label and a number."""
    found = [graph.copy() for graph in graphs]
    for graph in found:
        for u, v, values in graph.edges(data=True):
            values.update(bond="-="[(u * v) % 2], length=0.1 * u + v)
    return found


def gine(**settings):
    return estimator(
        **{"encoder": "gine", "edge_label": "bond", "edge_attr": "length", "beta": 1.0, **settings}
    )


@pytest.mark.parametrize("method", ["infograph", "graphcl"])
def test_gine_gives_what_a_run_gives(mutag, tmp_path, method):
    words = f"--dataset MUTAG --seed 4 --epochs 2 --folds 2 --repeats 1 --scale linear --encoder gine --method {method}"
    assert run([*words.split(), "--no-pictures", "--quiet", "--out", str(tmp_path / "run")]) == 0
    expected = np.load(tmp_path / "run" / "embeddings.npz")["trained"]
    settings = {
        "random_state": 4,
        "epochs": 2,
        "scale": "linear",
        "encoder": "gine",
        "method": method,
    }
    assert np.array_equal(HardInfoGraph(**settings).fit_transform(mutag), expected)
    # The labels are four columns of 0 and 1 in PyG's form of the set.
    through_pyg = TUDataset(str(tmp_path), "MUTAG")
    assert np.array_equal(HardInfoGraph(**settings).fit_transform(through_pyg), expected)
    without = HardInfoGraph(**{**settings, "encoder": "gin"}).fit_transform(through_pyg)
    assert not np.allclose(without, expected, rtol=1e-2)


@pytest.mark.parametrize("method", ["infograph", "graphcl"])
def test_features_of_edges_are_kept_by_all_that_keeps_an_estimator(bonded, tmp_path, method):
    model = gine(method=method)
    vectors = model.fit_transform(bonded)
    assert model.features_.edges.label_values == (("-", "="),)
    assert model.encoder_.edge_channels == model.features_.edges.channels == 3
    assert np.array_equal(clone(model).fit_transform(bonded), vectors)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).transform(bonded), vectors)
    model.save(tmp_path / "saved")
    loaded = HardInfoGraph.load(tmp_path / "saved")
    assert loaded.features_ == model.features_
    assert loaded.get_params() == model.get_params()
    assert np.array_equal(loaded.transform(bonded), vectors)
    assert b"pickle" not in (tmp_path / "saved").read_bytes()
    parts = gine(method=method).partial_fit(bonded).partial_fit(bonded)
    assert np.array_equal(parts.transform(bonded), vectors)
    warm = gine(method=method, warm_start=True, epochs=1).fit(bonded).fit(bonded)
    assert np.array_equal(warm.transform(bonded), vectors)
    further = loaded.partial_fit(bonded[:20]).transform(bonded)
    assert np.array_equal(model.partial_fit(bonded[:20]).transform(bonded), further)


def test_edges_reach_the_vectors_and_their_order_does_not_matter(bonded):
    model = gine(edge_attr=None)
    vectors = model.fit_transform(bonded)
    swapped = [graph.copy() for graph in bonded]
    for graph in swapped:
        for *_, values in graph.edges(data=True):
            values["bond"] = {"-": "=", "=": "-"}[values["bond"]]
    assert not np.allclose(model.transform(swapped), vectors, rtol=1e-2)
    shuffled = []
    for graph in bonded:
        order = np.random.default_rng(0).permutation(len(graph)).tolist()
        moved = nx.Graph()
        moved.add_nodes_from((node, graph.nodes[node]) for node in order)
        moved.add_edges_from(reversed([(v, u, values) for u, v, values in graph.edges(data=True)]))
        shuffled.append(moved)
    np.testing.assert_allclose(model.transform(shuffled), vectors, rtol=1e-4, atol=1e-5)


def test_unseen_edges(bonded):
    model = gine().fit(bonded)
    strange = bonded[0].copy()
    nx.set_edge_attributes(strange, "#", "bond")
    with pytest.warns(UserWarning, match="1 edge labels that the features were not fitted on"):
        assert np.isfinite(model.transform([strange])).all()
    assert np.isfinite(model.transform(bonded[-2:])).all()  # no edges at all
    nx.set_edge_attributes(strange, [1.0, 2.0], "length")
    with pytest.raises(InputError, match="got 1 columns in graph 0 and 2 in graph 1"):
        model.transform([bonded[0], strange])
    with pytest.raises(
        InputError,
        match="The data set 'graphs' has 2 edge attributes, but must have 1 like the graphs that the features",
    ):
        model.transform([strange])
    bare = nx.create_empty_copy(bonded[0])
    bare.add_edge(0, 2)
    with pytest.raises(InputError, match=r"Graph 0 has no attribute 'bond' at its edge \(0, 2\)"):
        model.transform([bare])


def test_weights_of_matrices_are_attributes_on_request(bonded):
    matrices = [nx.to_scipy_sparse_array(graph, weight="length") for graph in bonded[:-1]]
    model = HardInfoGraph(encoder="gine", edge_attr="weight", epochs=1, random_state=0)
    same = HardInfoGraph(encoder="gine", edge_attr="length", epochs=1, random_state=0)
    graphs = [nx.Graph(graph) for graph in bonded[:-1]]
    for graph in graphs:  # a matrix has no entry of 0
        graph.remove_edges_from(
            [(u, v) for u, v, values in list(graph.edges(data=True)) if values["length"] == 0]
        )
    assert np.array_equal(model.fit_transform(matrices), same.fit_transform(graphs))
    with pytest.raises(InputError, match="got none; name them by `edge_label` or `edge_attr`"):
        HardInfoGraph(encoder="gine", epochs=1).fit(matrices)


def test_what_an_encoder_does_not_read_need_not_be_sound(graphs):
    torch.manual_seed(0)
    made = [
        Data(x=torch.rand(3, 2), edge_index=torch.tensor([[0, 1], [1, 0]]), edge_attr="words")
        for _ in range(20)
    ]
    assert HardInfoGraph(epochs=1, random_state=0).fit_transform(made).shape == (20, 96)
    with pytest.raises(InputError, match="Graph 0 has a 'edge_attr' that is not a tensor"):
        HardInfoGraph(epochs=1, encoder="gine").fit(made)


def test_pandas_output(graphs):
    frame = estimator().set_output(transform="pandas").fit_transform(graphs)
    assert frame.shape == (32, 96)
    assert frame.columns[0] == "hardinfograph0"


def test_a_pipeline_under_a_grid_search_over_beta(tmp_path):
    dataset = list(TUDataset(str(tmp_path), "MUTAG"))
    y = [int(data.y) for data in dataset]
    pipeline = make_pipeline(HardInfoGraph(epochs=1, random_state=0), StandardScaler(), SVC(C=10))
    search = GridSearchCV(
        pipeline, {"hardinfograph__beta": [0, 10]}, cv=3, error_score="raise"
    ).fit(dataset, y)
    assert search.best_score_ > 0.75  # the majority class has 66%
    assert search.predict(dataset).shape == (188,)
    scores = cross_val_score(search.best_estimator_, dataset, y, cv=3, error_score="raise")
    assert scores.mean() == pytest.approx(search.best_score_)


@pytest.fixture(scope="module")
def on_disk(mutag, tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("sets") / "mutag", mutag)


@pytest.mark.parametrize("kind", ["mutag", "on_disk"])
def test_scikit_learn_splits_a_data_set_in_flat_tensors(kind, request):
    graphs = request.getfixturevalue(kind)
    y, options = graphs.labels, {"cv": 3, "error_score": "raise"}
    pipeline = make_pipeline(HardInfoGraph(epochs=1, random_state=0, hidden_channels=8), SVC(C=10))
    scores = cross_val_score(pipeline, graphs, y, **options)
    assert scores.mean() > 0.75  # the majority class has 66%
    search = GridSearchCV(pipeline, {"svc__C": [10]}, **options).fit(graphs, y)
    assert search.best_score_ == pytest.approx(scores.mean())
    predicted = cross_val_predict(pipeline, graphs, y, cv=3)
    assert set(predicted) == {-1, 1}
    assert np.mean(predicted == y) == pytest.approx(scores.mean(), abs=0.01)
    sizes = learning_curve(pipeline, graphs, y, train_sizes=[0.5, 1.0], shuffle=True, **options)[0]
    assert sizes.tolist() == [62, 125]
    train, test, of_train, of_test = train_test_split(graphs, y, test_size=47, random_state=0)
    assert (len(train), len(test)) == (141, 47)
    assert np.array_equal(train.labels, of_train)
    assert np.array_equal(test.labels, of_test)
    assert set(train.ids) | set(test.ids) == set(graphs.ids)
    assert [len(test) for _, test in KFold(3).split(graphs)] == [63, 63, 62]


def test_unseen_graphs(fitted, graphs):
    strange = nx.path_graph(3)
    nx.set_node_attributes(strange, "Xe", "element")
    with pytest.warns(UserWarning, match="1 node labels that the features were not fitted on"):
        assert np.isfinite(fitted.transform([strange])).all()
    assert (fitted.transform([nx.empty_graph(0), graphs[0]])[0] == 0).all()
    assert (fitted.transform([nx.empty_graph(0)]) == np.zeros((1, 96))).all()
    wide = [Data(x=torch.rand(4, 2), edge_index=torch.tensor([[0, 1], [1, 0]])) for _ in range(20)]
    numeric = HardInfoGraph(epochs=1, random_state=0).fit(wide)
    with pytest.raises(
        InputError, match="The data set 'graphs' has 3 node attributes, but must have 2"
    ):
        numeric.transform([Data(x=torch.rand(4, 3))])


def numbered(x=None, **values):
    """Return a path of three nodes with these attributes."""
    edge_index = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    return Data(x=x, edge_index=edge_index, num_nodes=3, **values)


@pytest.mark.parametrize(
    ("settings", "fit_on", "refused", "message"),
    [
        (
            {},
            {},
            {"x": torch.rand(3, 2)},
            "The data set 'graphs' has node attributes, but must have none like",
        ),
        ({}, {}, {"x": torch.ones(3, 1, dtype=torch.int64)}, "has node labels, but must have none"),
        ({}, {}, {"node_label": torch.tensor([1, 0, 1])}, "has node labels, but must have none"),
        (
            {"node_label": "kind"},
            {"kind": torch.tensor([1, 0, 1])},
            {"kind": torch.tensor([1, 0, 1]), "x": torch.rand(3, 2)},
            "The data set 'graphs' has node attributes, but must have none like",
        ),
        (
            {"node_attr": "size"},
            {"size": torch.rand(3)},
            {"size": torch.rand(3), "kind": torch.tensor([1, 0, 1])},
            None,  # what neither fit nor transform names
        ),
        (
            {"node_attr": ()},
            {"x": torch.rand(3, 2)},
            {"x": torch.rand(3, 4)},
            None,
        ),
        (
            {"node_attr": "size", "node_label": "kind"},
            {"size": torch.rand(3), "kind": torch.tensor([1, 0, 1])},
            {"size": torch.rand(3)},
            "Graph 0 has no 'kind', which is to be read as node_label",
        ),
        (
            {"encoder": "gine"},
            {"edge_attr": torch.rand(4, 2)},
            {"edge_attr": torch.ones(4, 2, dtype=torch.int64), "edge_label": torch.ones(4).long()},
            None,  # integers are numbers where fit has read numbers, under the same name
        ),
        (
            {"encoder": "gine", "edge_label": "bond"},
            {"bond": torch.tensor([0, 1, 1, 0])},
            {"bond": torch.tensor([0, 1, 1, 0]), "edge_attr": torch.rand(4, 1)},
            "The data set 'graphs' has 1 edge attributes, but must have none like",
        ),
    ],
)
@pytest.mark.parametrize("how", ["itself", "pretrained"])
def test_what_is_transformed_has_the_columns_that_were_fitted(
    tmp_path, settings, fit_on, refused, message, how
):
    model = HardInfoGraph(epochs=0, random_state=0, **settings).fit([numbered(**fit_on)] * 2)
    vectors = model.transform([numbered(**fit_on)])
    if how == "pretrained":  # has no names of its own
        model.save_pretrained(tmp_path)
        model = HardInfoGraph.from_pretrained(tmp_path)
    assert np.array_equal(model.transform([numbered(**fit_on)]), vectors)
    if message is None:
        assert model.transform([numbered(**refused)]).shape == (1, 96)
        return
    with pytest.raises(InputError, match=message):
        model.transform([numbered(**refused)])


def test_graphs_and_flat_tensors_of_the_same_set_have_the_same_vectors(mutag, tmp_path):
    some, flat = mutag.to_pyg(), mutag
    settings = {"epochs": 1, "random_state": 0, "encoder": "gine"}
    on_list, on_flat = (HardInfoGraph(**settings).fit(graphs) for graphs in (some, flat))
    expected = on_flat.transform(flat)
    for model in (on_list, on_flat):
        model.save(tmp_path / "saved")
        for one in (model, HardInfoGraph.load(tmp_path / "saved")):
            assert np.array_equal(one.transform(some), expected)
            assert np.array_equal(one.transform(flat), expected)
    attributes = dataclasses.replace(flat, node_attr=torch.rand(flat.num_nodes, 2))
    model = HardInfoGraph(epochs=1, random_state=0, node_attr="node_attr").fit(attributes)
    expected = model.transform(attributes)
    model.save_pretrained(tmp_path)
    loaded = HardInfoGraph.from_pretrained(tmp_path)
    assert np.array_equal(loaded.transform(attributes), expected)
    assert np.array_equal(loaded.transform(attributes.to_pyg()), expected)
    with pytest.raises(
        InputError, match="The data set 'MUTAG' has no node attributes, but must have 2 like"
    ):
        loaded.transform(flat)


def test_attributes_of_flat_tensors_keep_the_names_of_their_graphs(tmp_path):
    graphs = [numbered(torch.rand(3, 1), place=torch.rand(3, 2)) for _ in range(6)]
    names = ("x", "place")
    shards = write_shards(tmp_path / "set", graphs, node_attr=names)
    settings = {"epochs": 0, "random_state": 0}
    on_list = HardInfoGraph(node_attr=names, **settings).fit(graphs)
    on_shards = HardInfoGraph(node_attr="node_attr", **settings).fit(shards)
    expected = on_list.transform(graphs)
    for model in (on_list, on_shards):
        assert model.features_.names.node_attr == names
        assert np.array_equal(model.transform(graphs), expected)
        assert np.array_equal(model.transform(shards), expected)


def test_an_attribute_that_is_named_as_a_label_is_not_read_as_numbers_too():
    graphs = [numbered(torch.tensor([[1], [0], [one]])) for one in range(3)]
    for settings in ({"node_label": "x"}, {}):
        model = HardInfoGraph(epochs=0, **settings).fit(graphs)
        assert model.features_.description == "3 node labels, one-hot"
    model = HardInfoGraph(epochs=0, node_attr="x").fit(graphs)
    assert model.features_.description == "1 node attributes, standardised"


def test_an_estimator_of_an_earlier_version_reads_integers_as_attributes(tmp_path):
    """That version kept no names, and standardised the integers in `x` and `edge_attr` of `Data`."""
    graphs = [
        numbered(torch.tensor([[1], [6], [one]]), edge_attr=torch.tensor([[2], [0], [1], [one]]))
        for one in range(3)
    ]
    model = HardInfoGraph(
        epochs=0, random_state=0, encoder="gine", node_attr="x", edge_attr="edge_attr"
    ).fit(graphs)
    model.set_params(node_attr=None, edge_attr=None).save(tmp_path / "saved")
    tensors, text = read_checksummed(tmp_path / "saved", "estimator")
    content = json.loads(text)
    del content["features"]["names"]
    write_checksummed(tmp_path / "older", tensors, "estimator", json.dumps(content))
    loaded = HardInfoGraph.load(tmp_path / "older")
    assert np.array_equal(loaded.transform(graphs), model.transform(graphs))
    loaded.set_params(node_attr="other")  # a name of the caller's own comes first
    with pytest.raises(InputError, match="has no 'other', which is to be read as node_attr"):
        loaded.transform(graphs)


def test_an_estimator_of_an_earlier_version_has_no_names(fitted, graphs, tmp_path):
    fitted.save(tmp_path / "saved")
    tensors, text = read_checksummed(tmp_path / "saved", "estimator")
    content = json.loads(text)
    assert content["features"].pop("names")["node_label"] == "element"
    write_checksummed(tmp_path / "older", tensors, "estimator", json.dumps(content))
    loaded = HardInfoGraph.load(tmp_path / "older")
    assert np.array_equal(loaded.transform(graphs), fitted.transform(graphs))
    nameless = dataclasses.replace(fitted.features_, names=None)
    fitted.encoder_.save_pretrained(tmp_path, nameless)
    loaded = HardInfoGraph.from_pretrained(tmp_path, node_label="element")
    assert loaded.features_ == nameless
    assert np.array_equal(loaded.transform(graphs), fitted.transform(graphs))


@pytest.mark.parametrize(
    "names", [5, {"node_label": 5}, {"node_label": ["a"]}, {"node_attr": "a"}, {"size": "a"}]
)
def test_damaged_names_are_refused(fitted, tmp_path, names):
    content = fitted.features_.to_dict() | {"names": names}
    fitted.save_pretrained(tmp_path)
    (tmp_path / "features.json").write_text(json.dumps(with_checksum(content)))
    with pytest.raises(InputError, match=r"features.json cannot be read"):
        HardInfoGraph.from_pretrained(tmp_path)


def test_direction_counts():
    there = [nx.gnp_random_graph(8, 0.3, seed=seed, directed=True) for seed in range(20)]
    model = HardInfoGraph(epochs=1, random_state=0).fit(there)
    back = [graph.reverse() for graph in there]
    assert not np.allclose(model.transform(there), model.transform(back))


def test_all_mistakes_at_once(graphs):
    with pytest.raises(TypeError) as error:
        HardInfoGraph(betta=1, taus=0.1)
    assert "unexpected keyword argument 'betta'" in str(error.value)
    with pytest.raises(InputError, match="no parameter 'epoch'; did you mean 'epochs'"):
        HardInfoGraph().set_params(epoch=3)
    with pytest.raises(InputError) as error:
        estimator(beta=-1, tau_plus=2).fit(graphs)
    assert str(error.value).splitlines() == [
        "`beta` must lie in [0, 1e+06], got -1; 0 is uniform weights.",
        "`tau_plus` must lie in [0, 1), got 2; 0 switches the correction off.",
    ]
    with pytest.raises(InputError) as error:
        estimator(critic="dott", epochs="5", detach_weights=1).fit(graphs)
    assert str(error.value).splitlines() == [
        "`critic` must be one of auto, dot, cosine, got 'dott'; did you mean 'dot'?",
        "`detach_weights` must be True or False, got 1; give one of them.",
        "`epochs` must be a whole number, got '5'; 5 is usual, and 0 scores the untrained encoder only.",
    ]
    with pytest.raises(InputError) as error:
        estimator(
            beta=-1, score_scale="x", random_state="a", n_jobs=0, on_epoch=3, tau_plus=None
        ).fit(graphs)
    assert [line.split()[0] for line in str(error.value).splitlines()] == [
        "`random_state`", "`n_jobs`", "`on_epoch`", "`tau_plus`", "`score_scale`", "`beta`",
    ]  # fmt: skip
    with pytest.raises(
        InputError,
        match=r"`second_view_strength` must be a number, got '0.3'; 0.2 is usual, and None is",
    ):
        estimator(method="graphcl", second_view_strength="0.3").fit(graphs)
    for views in (None, 5, "random", ("none", ["a"])):
        with pytest.raises(InputError, match="`views` must be two of node-drop"):
            estimator(views=views).fit(graphs)
    with pytest.raises(
        InputError,
        match=r"`edge_label` and `edge_attr` are only read by `encoder=gine`, got edge_label 'bond'",
    ):
        estimator(edge_label="bond").fit(graphs)
    with pytest.raises(
        InputError,
        match="must have edges with labels or attributes, which `encoder=gine` reads, got none",
    ):
        estimator(encoder="gine").fit(graphs)
    with pytest.raises(InputError, match=r"`random_state` must lie in \[0, .*\], got -1"):
        estimator(random_state=-1).fit(graphs)
    with pytest.raises(InputError, match="at least 2 graphs, got 1"):
        estimator().fit(graphs[:1])


def test_a_saved_model_is_the_one_that_was_built(graphs, fitted, tmp_path):
    model = pickle.loads(pickle.dumps(fitted)).set_params(
        method="graphcl", precision="64-true", hidden_channels=5
    )
    expected = model.transform(graphs)
    model.save(tmp_path / "saved")
    loaded = HardInfoGraph.load(tmp_path / "saved")
    assert loaded.get_params() == model.get_params()
    assert np.array_equal(loaded.transform(graphs), expected)
    for setting, value in (("objective", "info-nce"), ("tau_plus", 0.5), ("hidden_channels", 8)):
        changed = pickle.loads(pickle.dumps(fitted)).set_params(warm_start=True, **{setting: value})
        with pytest.raises(
            InputError, match=f"`{setting}` cannot change from .* once a model is fitted"
        ):
            changed.fit(graphs)
        with pytest.raises(InputError, match="fit again"):
            changed.partial_fit(graphs)
        assert len(changed.set_params(warm_start=False).fit(graphs).history_) == 2
    with pytest.raises(InputError, match="A warm start needs `beta_schedule=constant`"):
        pickle.loads(pickle.dumps(fitted)).set_params(
            warm_start=True, beta_schedule="linear-up"
        ).fit(graphs)


def test_numbers_of_numpy_are_numbers(graphs):
    settings = {
        "hidden_channels": 8,
        "num_layers": 2,
        "batch_size": 16,
        "deterministic": False,
        "beta": 1.0,
    }
    expected = estimator(**settings).fit_transform(graphs)
    arrays = {name: np.array([value])[0] for name, value in settings.items()}
    assert np.array_equal(estimator(**arrays).fit_transform(graphs), expected)


def test_fit_alone_draws_random_numbers(graphs, tmp_path):
    model = estimator(random_state=None).fit(graphs)
    model.save(tmp_path / "saved")
    np.random.seed(0)
    before = np.random.get_state()[2]
    model.transform(graphs)
    HardInfoGraph.load(tmp_path / "saved").transform(graphs)
    assert np.random.get_state()[2] == before


def test_a_seed_holds_in_threads(graphs):
    def vectors(seed):
        return estimator(random_state=seed, epochs=1).fit_transform(graphs)

    expected = [vectors(seed) for seed in range(4)]
    found = Parallel(n_jobs=2, backend="threading")(delayed(vectors)(seed) for seed in range(4))
    assert all(map(np.array_equal, expected, found))


def test_graphs_are_passed_by_the_name_that_scikit_learn_gives_them(graphs, fitted):
    expected = fitted.transform(graphs)
    model = estimator()
    assert np.array_equal(model.fit(X=graphs).transform(X=graphs), expected)
    assert np.array_equal(model.fit_transform(X=graphs, y=None), expected)
    assert len(estimator().partial_fit(X=graphs).history_) == 1


def test_metadata_goes_past_the_graphs_to_the_step_that_asks_for_it(graphs):
    y = [graph.number_of_edges() > 10 for graph in graphs]
    weights = np.arange(1.0, 33)
    with sklearn.config_context(enable_metadata_routing=True):
        routing = estimator().get_metadata_routing()
        assert not any(getattr(routing, method).requests for method in ("fit", "transform"))
        classifier = SVC().set_fit_request(sample_weight=True)
        classifier.set_score_request(sample_weight=True)
        pipeline = make_pipeline(estimator(epochs=1), classifier).set_output(transform="pandas")
        expected = pipeline.fit(graphs, y, sample_weight=weights)
        vectors = clone(pipeline[0]).fit_transform(graphs)
        alone = SVC().fit(vectors, y, sample_weight=weights)
        found = expected[-1].decision_function(vectors)
        np.testing.assert_allclose(found, alone.decision_function(vectors))
        search = GridSearchCV(pipeline, {"svc__C": [1, 2]}, cv=2, error_score="raise")
        assert search.fit(graphs, y, sample_weight=weights).predict(graphs).shape == (32,)


def test_columns_of_graphs(graphs):
    columns = ColumnTransformer([("graph", estimator(epochs=1), "graph")]).set_output(
        transform="pandas"
    )
    frame = columns.fit_transform(pd.DataFrame({"graph": graphs}))
    assert frame.columns[0] == "graph__hardinfograph0"
    again = ColumnTransformer([("graph", estimator(epochs=1), ["graph"])])
    assert np.array_equal(again.fit_transform(pd.DataFrame({"graph": graphs})), frame.to_numpy())


@pytest.mark.parametrize("changes", [{"warm_start": False}, {"warm_start": True}])
def test_a_failed_fit_leaves_the_fitted_state(graphs, fitted, changes):
    model = pickle.loads(pickle.dumps(fitted)).set_params(**changes)
    expected, history = model.transform(graphs), list(model.history_)

    def stop(epoch):
        raise KeyboardInterrupt

    for wrong, settings in (([*graphs, None], {}), (graphs[:1], {}), (graphs, {"on_epoch": stop})):
        with pytest.raises((InputError, KeyboardInterrupt)):
            model.set_params(**settings).fit(wrong)
        assert np.array_equal(model.transform(graphs), expected)
        assert model.history_ == history
    fresh = estimator(on_epoch=stop)
    with pytest.raises(KeyboardInterrupt):
        fresh.fit(graphs)
    with pytest.raises(NotFittedError):
        fresh.transform(graphs)


@pytest.mark.parametrize(
    ("settings", "count", "message"),
    [
        ({}, 10, "A batch has 10 graphs, so 9 negatives"),
        ({"method": "graphcl"}, 10, "A batch has 10 graphs, so 18 negatives"),
        ({"beta": 1e6}, 32, "of 31 negatives effective; lower `beta`"),
        ({"beta": 1e-5}, 32, "are all alike; a larger `beta`"),
    ],
)
@pytest.mark.parametrize("how", ["fit", "fit_transform", "partial_fit", "pipeline", "search"])
def test_warnings_of_what_makes_a_training_pointless_point_at_the_users_line(
    graphs, settings, count, message, how
):
    few = [graph for graph in graphs if graph.number_of_nodes()][:count]
    model = estimator(**settings, epochs=1)
    pipeline = make_pipeline(model, StandardScaler()).set_output(transform="pandas")
    search = GridSearchCV(
        make_pipeline(model, SVC()), {"svc__C": [1]}, cv=[(range(count), range(count))]
    )
    calls = {
        "fit": lambda: model.fit(few),  # the user's line
        "fit_transform": lambda: model.fit_transform(few),  # the user's line
        "partial_fit": lambda: model.partial_fit(few),  # the user's line
        "pipeline": lambda: pipeline.fit_transform(few),  # the user's line
        "search": lambda: search.fit(few, [0, 1] * (count // 2)),  # the user's line
    }
    with pytest.warns(UserWarning, match=message) as caught:
        calls[how]()
    assert all(line_of(warning).endswith("# the user's line") for warning in caught)


def line_of(warning):
    return linecache.getline(warning.filename, warning.lineno).rstrip()


def test_a_warning_of_unseen_labels_points_at_the_users_line(fitted):
    strange = nx.path_graph(3)
    nx.set_node_attributes(strange, "Xe", "element")
    with pytest.warns(UserWarning, match="1 node labels") as caught:
        fitted.transform([strange])
    assert line_of(caught[0]) == "        fitted.transform([strange])"


def test_a_warning_that_is_an_error_leaves_the_fitted_model(graphs):
    model = estimator()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="A batch has 10 graphs"):
            model.fit(graphs[:10])
    assert len(model.history_) == 2


def test_a_usual_training_does_not_warn_or_print(graphs, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator().fit(graphs)
    assert capfd.readouterr() == ("", "")


def test_callback_and_log(graphs, caplog):
    seen = []
    model = estimator(
        on_epoch=lambda epoch: seen.append(
            (epoch.epoch, model.encoder_.bns[0].num_batches_tracked.item())
        )
    )
    with caplog.at_level(logging.INFO, logger="graphcl_hard"):
        model.fit(graphs)
    assert seen == [(1, 1), (2, 2)]
    assert [record.message.split(":")[0] for record in caplog.records] == ["epoch 1", "epoch 2"]


def test_a_callback_ends_the_training_and_what_was_learnt_is_kept(fitted, graphs, tmp_path):
    def stop(epoch):
        if epoch.epoch >= 2:
            raise StopTraining

    expected = fitted.transform(graphs)
    model = estimator(epochs=50, on_epoch=stop)
    assert np.array_equal(model.fit_transform(graphs), expected)
    assert [epoch.epoch for epoch in model.history_] == [1, 2]
    model.save(tmp_path / "saved")
    loaded = HardInfoGraph.load(tmp_path / "saved")
    further = pickle.loads(pickle.dumps(fitted)).partial_fit(graphs).transform(graphs)
    assert np.array_equal(loaded.partial_fit(graphs).transform(graphs), further)
    model.set_params(warm_start=True).fit(graphs)  # stops at once, after one more epoch
    assert [epoch.epoch for epoch in model.history_] == [1, 2, 3]
    assert np.array_equal(model.transform(graphs), further)
    assert len(model.partial_fit(graphs).history_) == 4
    rising = {"beta_schedule": "linear-up", "beta": 4.0, "epochs": 5}
    betas = [epoch.beta for epoch in estimator(**rising, on_epoch=stop).fit(graphs).history_]
    assert betas == [0.0, 1.0]


def test_threads_are_set_and_put_back(graphs):
    before = torch.get_num_threads()
    seen = []
    estimator(n_jobs=before + 1, on_epoch=lambda _: seen.append(torch.get_num_threads())).fit(
        graphs
    )
    assert seen == [before + 1] * 2
    assert torch.get_num_threads() == before


class Chemist(HardInfoGraph):
    """A few parameters, one setting fixed."""

    def __init__(self, beta=3.0, *, charge=0, epochs=1, node_label="element"):
        super().__init__(
            beta=beta, epochs=epochs, node_label=node_label, hidden_channels=8, random_state=0
        )
        self.charge = charge


class Extended(HardInfoGraph):
    """Every parameter, and one more."""

    def __init__(self, *, charge=0, epochs=1, **settings):
        super().__init__(epochs=epochs, **settings)
        self.charge = charge


class Mixed(Extended):
    def __init__(self, mass=1.0, **settings):
        super().__init__(**settings)
        self.mass = mass


class Bare(Extended):
    pass


def test_a_subclass_with_explicit_parameters(graphs, tmp_path):
    model = Chemist(2.0, charge=1)
    assert model.get_params() == {"beta": 2.0, "charge": 1, "epochs": 1, "node_label": "element"}
    settings = {"beta": 2.0, "epochs": 1, "hidden_channels": 8, "random_state": 0}
    expected = HardInfoGraph(node_label="element", **settings).fit_transform(graphs)
    assert expected.shape == (32, 24)
    copy = clone(model)
    assert (copy.charge, copy.hidden_channels) == (1, 8)
    assert np.array_equal(copy.fit_transform(graphs), expected)
    assert np.array_equal(pickle.loads(pickle.dumps(copy)).transform(graphs), expected)
    copy.save(tmp_path / "saved")
    loaded = Chemist.load(tmp_path / "saved")
    assert loaded.get_params() == model.get_params()
    assert np.array_equal(loaded.transform(graphs), expected)
    assert repr(model) == "Chemist(beta=2.0, charge=1)"
    assert copy.get_feature_names_out()[0] == "chemist0"
    with pytest.raises(
        InputError,
        match="Chemist has no parameter 'hidden_channels'; it has beta, charge, epochs, node_",
    ):
        model.set_params(hidden_channels=3)
    with pytest.raises(TypeError):
        Chemist(hidden_channels=3)


@pytest.mark.parametrize("kind", [Extended, Mixed, Bare])
def test_a_subclass_that_passes_the_rest_on(graphs, tmp_path, kind):
    more = {"mass"} if kind is Mixed else set()
    model = kind(charge=2, beta=4.0, node_label="element", random_state=0, hidden_channels=8)
    params = model.get_params()
    assert set(params) == set(HardInfoGraph().get_params()) | {"charge"} | more
    assert (params["charge"], params["beta"], params["epochs"], params["hidden_channels"]) == (
        2,
        4.0,
        1,
        8,
    )
    copy = clone(model)
    assert copy.get_params() == params
    expected = HardInfoGraph(
        beta=4.0, epochs=1, node_label="element", random_state=0, hidden_channels=8
    ).fit_transform(graphs)
    assert np.array_equal(copy.fit_transform(graphs), expected)
    copy.save(tmp_path / "saved")
    assert kind.load(tmp_path / "saved").get_params() == params
    assert model.set_params(charge=5, tau_plus=0.2).get_params()["charge"] == 5
    assert model.tau_plus == 0.2
    assert "charge=5" in repr(model)
    with pytest.raises(TypeError, match="unexpected keyword argument 'betta'"):
        kind(betta=1)
    with pytest.raises(
        InputError, match=f"{kind.__name__} has no parameter 'charg'; did you mean 'charge'"
    ):
        model.set_params(charg=1)


def test_a_parameter_that_json_lacks_is_refused_by_save(graphs, tmp_path):
    model = Extended(charge=object(), node_label="element", random_state=0).fit(graphs)
    with pytest.raises(
        InputError,
        match="charge must consist of strings, numbers and lists to be saved, got <object",
    ):
        model.save(tmp_path / "saved")
    assert not list(tmp_path.iterdir())


class Passing:
    def __init__(self, **rest):
        super().__init__(**rest)


class BehindAMixin(Passing, HardInfoGraph):
    def __init__(self, *, extra=1, **settings):
        super().__init__(**settings)
        self.extra = extra


def test_a_subclass_behind_a_mixin_has_all_parameters():
    model = BehindAMixin(extra=2, beta=3.0)
    assert set(model.get_params()) == {"extra", *HardInfoGraph().get_params()}
    assert clone(model).get_params() == model.get_params()
    assert (model.extra, model.beta, model.tau_plus) == (2, 3.0, 0.1)


def test_a_subclass_in_a_grid_search(graphs):
    y = [graph.number_of_edges() > 10 for graph in graphs]
    search = GridSearchCV(
        make_pipeline(Extended(node_label="element", random_state=0), SVC()),
        {"extended__charge": [0, 1], "extended__beta": [1.0]},
        cv=2,
        error_score="raise",
    )
    assert search.fit(graphs, y).best_params_["extended__charge"] == 0
