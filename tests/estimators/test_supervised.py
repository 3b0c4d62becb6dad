"""The classifier and the regressor: what they learn, repeat, refuse, save and load."""

import json
import math
import warnings

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks
from torch_geometric.data import Data

from graphcl_hard import (
    HardInfoGraph,
    HardInfoGraphClassifier,
    HardInfoGraphRegressor,
    InputError,
    StopTraining,
    load_encoder,
    load_graphs,
)
from graphcl_hard.io.checksum import read_checksummed, write_checksummed
from graphcl_hard.io.file_names import HEAD

QUICK = {"epochs": 3, "random_state": 0, "hidden_channels": 8, "num_layers": 2}


@pytest.fixture(scope="module")
def mutag():
    return load_graphs("MUTAG")


@pytest.fixture(scope="module")
def pretrained(mutag):
    return HardInfoGraph(epochs=2, hidden_channels=8, random_state=0, scale="linear").fit(mutag)


@pytest.fixture(scope="module")
def table(mutag):
    """Two targets of MUTAG, its class and whether it has many nodes, with half of the entries missing."""
    sizes = mutag.node_ptr.diff().numpy()
    y = np.stack([mutag.y.numpy(), sizes > np.median(sizes)], axis=1).astype(float)
    return np.where(np.random.default_rng(0).random(y.shape) < 0.5, np.nan, y)


@pytest.fixture(scope="module")
def parts(mutag):
    """A stratified half of MUTAG for training, and the other half."""
    return train_test_split(np.arange(188), test_size=0.5, stratify=mutag.y, random_state=0)


def test_the_classifier_beats_the_majority_and_repeats(mutag, parts, pretrained):
    train, test = (mutag[part] for part in parts)
    models = [
        HardInfoGraphClassifier(init=pretrained, lr=0.01, dropout=0.2, random_state=1).fit(train)
        for _ in range(2)
    ]
    majority = DummyClassifier().fit(train.y, train.labels).score(test.y, test.labels)
    assert models[0].score(test) > majority + 0.1
    first, second = (model.predict_proba(test) for model in models)
    assert np.array_equal(first, second)
    assert [epoch[:6] for epoch in models[0].history_] == [
        epoch[:6] for epoch in models[1].history_
    ]
    predicted = models[0].classes_[first.argmax(axis=1)]
    assert np.array_equal(predicted, models[0].predict(test))
    assert models[0].score(test) == np.mean(predicted == test.labels)
    assert np.allclose(first.sum(axis=1), 1)


def test_two_targets_with_gaps_beat_the_majority_and_repeat(mutag, parts, table):
    train, test = parts
    models = [
        HardInfoGraphClassifier(lr=0.01, random_state=1).fit(mutag[train], table[train])
        for _ in range(2)
    ]
    majority = [
        np.nanmean(
            table[test, t] == (np.nanmean(table[train, t]) > 0.5), where=~np.isnan(table[test, t])
        )
        for t in range(2)
    ]
    assert models[0].score(mutag[test], table[test]) > np.mean(majority) + 0.1
    first, second = (model.predict_proba(mutag[test]) for model in models)
    assert np.array_equal(first, second)
    assert first.shape == (len(test), 2)
    assert np.array_equal(models[0].predict(mutag[test]), (first > 0.5).astype(int))


def test_the_regressor_learns_targets_with_gaps_in_their_own_units(mutag, parts):
    train, test = parts
    y = np.stack([mutag.node_ptr.diff(), 1e-4 * mutag.edge_ptr.diff() - 7], axis=1)
    y[np.random.default_rng(0).random(y.shape) < 0.5] = np.nan
    model = HardInfoGraphRegressor(lr=0.01, random_state=0).fit(mutag[train], y[train])
    assert model.score(mutag[test], y[test]) > 0.8
    known = ~np.isnan(y[test])
    assert np.abs(np.where(known, model.predict(mutag[test]) - y[test], 0)).max(axis=0)[1] < 1e-2
    assert is_regressor(model)
    single = HardInfoGraphRegressor(**QUICK).fit(mutag, y[:, 0])
    assert single.predict(mutag).shape == (188,)


def test_it_starts_from_the_vectors_of_the_pretrained_encoder(mutag, pretrained, tmp_path):
    wanted = pretrained.transform(mutag)
    pretrained.save(tmp_path / "file.safetensors")
    pretrained.save_pretrained(tmp_path / "folder")
    for init in (pretrained, tmp_path / "file.safetensors", str(tmp_path / "folder")):
        model = HardInfoGraphClassifier(init=init, epochs=0).fit(mutag)
        assert np.array_equal(model.transform(mutag), wanted)
        assert model.best_epoch_ == 0
    tuned = HardInfoGraphClassifier(init=pretrained, epochs=2).fit(mutag)
    assert not np.array_equal(tuned.transform(mutag), wanted)
    assert np.array_equal(
        pretrained.transform(mutag), wanted
    )  # the pretrained one is left as it is


def test_initial_weights_are_those_of_an_untrained_encoder(mutag):
    model = HardInfoGraphClassifier(epochs=0, random_state=3).fit(mutag)
    untrained = HardInfoGraph(epochs=0, random_state=3, scale="linear").fit(mutag)
    assert np.array_equal(model.transform(mutag), untrained.transform(mutag))


def test_a_frozen_encoder_and_its_running_statistics_stay(mutag, pretrained):
    before = {name: one.clone() for name, one in pretrained.encoder_.state_dict().items()}
    model = HardInfoGraphClassifier(init=pretrained, epochs=3, freeze=True).fit(mutag)
    after = model.encoder_.state_dict()
    assert all(torch.equal(after[name], one) for name, one in before.items())
    assert model.history_[-1].loss < model.history_[0].loss

    moved = []
    model = HardInfoGraphClassifier(init=pretrained, epochs=4, freeze=2, validation_fraction=0)
    model.set_params(on_epoch=moved.append, random_state=0).fit(mutag)
    short = clone(model).set_params(epochs=2, on_epoch=None).fit(mutag)
    assert all(torch.equal(short.encoder_.state_dict()[name], one) for name, one in before.items())
    assert not all(
        torch.equal(model.encoder_.state_dict()[name], one) for name, one in before.items()
    )
    assert [epoch.loss for epoch in moved[:2]] == [epoch.loss for epoch in short.history_]


def test_the_best_epoch_is_kept(mutag):
    settings = {**QUICK, "epochs": 40, "lr": 0.02, "patience": 3}
    validation = (mutag[:60], mutag.labels[:60])
    model = HardInfoGraphClassifier(**settings).fit(mutag[60:], validation=validation)
    losses = [epoch.valid_loss for epoch in model.history_]
    assert model.best_epoch_ == 1 + int(np.argmin(losses))
    assert len(losses) == model.best_epoch_ + 3 < 40
    best = model.history_[model.best_epoch_ - 1]
    assert model.score(mutag[:60]) == best.valid_score
    probabilities = model.predict_proba(mutag[:60])[np.arange(60), mutag.y[:60].numpy()]
    assert -np.log(probabilities).mean() == pytest.approx(best.valid_loss, rel=1e-5)
    last = HardInfoGraphClassifier(**QUICK, validation_fraction=0).fit(mutag)
    assert last.best_epoch_ == 3
    assert math.isnan(last.history_[-1].valid_loss)


def test_frozen_epochs_are_not_counted_as_patience(mutag):
    settings = {**QUICK, "epochs": 20, "lr": 0.02, "patience": 2}
    opposite = (mutag, -mutag.labels)  # so an early epoch is the best one
    for freeze, frozen in ((10, 10), (True, 0), (20, 0)):
        model = HardInfoGraphClassifier(**settings, freeze=freeze).fit(mutag, validation=opposite)
        assert len(model.history_) == max(model.best_epoch_, frozen) + 2 < 20


def test_on_epoch_may_stop_the_training(mutag):
    def stop(epoch):
        if epoch.epoch == 2:
            raise StopTraining

    model = HardInfoGraphClassifier(**{**QUICK, "epochs": 50}, on_epoch=stop).fit(mutag)
    assert len(model.history_) == 2


def test_class_weights(mutag):
    models = {
        str(weight): HardInfoGraphClassifier(
            **QUICK, class_weight=weight, validation_fraction=0
        ).fit(mutag)
        for weight in (None, {-1: 1.0}, "balanced", {-1: 188 / 2 / 63, 1: 188 / 2 / 125})
    }
    first = {name: model.history_[0].loss for name, model in models.items()}
    assert first["None"] == first["{-1: 1.0}"]
    balanced, by_hand = list(first.values())[2:]
    assert balanced == pytest.approx(by_hand, rel=1e-6)
    assert abs(balanced - first["None"]) > 1e-3


@pytest.mark.parametrize("key", [np.int64, int, str])
def test_class_weights_are_saved(mutag, tmp_path, key):
    weight = {key(-1): np.float32(2), key(1): 1}
    y = [key(label) for label in mutag.labels]
    HardInfoGraphClassifier(**QUICK, class_weight=weight).fit(mutag, y).save_pretrained(tmp_path)
    loaded = HardInfoGraphClassifier.from_pretrained(tmp_path)
    assert loaded.class_weight == weight
    assert clone(loaded).fit(mutag, y).score(mutag, y) == loaded.score(mutag, y)


def test_input_features_are_those_of_the_training_part():
    graphs = [nx.path_graph(3) for _ in range(40)]
    for number, graph in enumerate(graphs):
        nx.set_node_attributes(graph, float(number), "height")
    y = np.arange(40) % 2
    model = HardInfoGraphClassifier(**QUICK, node_attr="height").fit(graphs, y)
    train = np.delete(np.arange(40), model.validation_rows_)
    assert len(train) == 36
    assert model.features_.mean == pytest.approx((train.mean(),))


def test_class_weights_of_a_table(mutag, table):
    y = np.array([1.0, 1.0, 1.0, 0.0, np.nan] * 20)
    y = np.stack([y, 1 - y], axis=1)
    settings = {**QUICK, "validation_fraction": 0}
    weighted, plain = (
        HardInfoGraphClassifier(**settings, class_weight=weight).fit(mutag[:100], y)
        for weight in ("balanced", None)
    )
    assert (
        weighted.predict_proba(mutag[:100])[:, 1].mean()
        > plain.predict_proba(mutag[:100])[:, 1].mean()
    )


@pytest.mark.parametrize("labels", [["no", "yes"], [False, True], [3, 7], [0.0, 1.0]])
def test_classes_of_any_kind(mutag, labels, tmp_path):
    y = np.array(labels)[mutag.y.numpy()]
    given = [None if row % 5 == 0 else value for row, value in enumerate(y.tolist())]
    model = HardInfoGraphClassifier(**QUICK).fit(mutag, given)
    assert model.classes_.tolist() == labels
    assert set(model.predict(mutag).tolist()) <= set(labels)
    known = np.arange(188) % 5 != 0
    assert model.score(mutag, given) == np.mean(model.predict(mutag)[known] == y[known])
    model.save_pretrained(tmp_path)
    loaded = HardInfoGraphClassifier.from_pretrained(tmp_path)
    assert np.array_equal(loaded.predict(mutag), model.predict(mutag))
    assert loaded.classes_.dtype.kind == model.classes_.dtype.kind


def test_tables_of_pandas_and_dictionaries_name_the_targets(mutag, table):
    frame = pd.DataFrame(table, columns=["mutagenic", "large"])
    columns = {name: frame[name].to_numpy() for name in frame}
    models = [HardInfoGraphClassifier(**QUICK).fit(mutag, y) for y in (table, frame, columns)]
    first, *others = (model.predict_proba(mutag) for model in models)
    assert all(np.array_equal(first, other) for other in others)
    assert [model.targets_ for model in models] == [(), *[("mutagenic", "large")] * 2]
    assert [one.tolist() for one in models[0].classes_] == [[0, 1], [0, 1]]


def test_named_targets_may_come_in_any_order(mutag, table):
    columns = {"mutagenic": table[:, 0], "large": table[:, 1]}
    swapped = dict(reversed(columns.items()))
    fit = HardInfoGraphClassifier(**QUICK).fit
    models = [fit(mutag, columns, validation=(mutag, y)).history_ for y in (columns, swapped)]
    assert [one[:5] for one in models[0]] == [one[:5] for one in models[1]]
    for estimator in (HardInfoGraphClassifier, HardInfoGraphRegressor):
        model = estimator(**QUICK).fit(mutag, columns)
        assert model.score(mutag, swapped) == model.score(mutag, columns) != 0.5
        assert model.score(mutag, table) == model.score(mutag, columns)
        for names in (("a", "large"), ("mutagenic",), ("mutagenic", "large", "a")):
            other = dict.fromkeys(names, table[:, 0])
            with pytest.raises(InputError, match="the targets of `fit`, 'mutagenic', 'large', got"):
                model.score(mutag, other)
            with pytest.raises(InputError, match="the targets of `fit`"):
                estimator(**QUICK).fit(mutag, columns, validation=(mutag, other))


def test_graphs_of_other_kinds_bring_their_labels():
    graphs = [
        Data(edge_index=torch.tensor([[0, 1], [1, 0]]), num_nodes=2 + number % 2, y=number % 2)
        for number in range(30)
    ]
    model = HardInfoGraphClassifier(**QUICK, batch_size=8).fit(graphs)
    assert model.classes_.tolist() == [0, 1]
    assert model.score(graphs) == model.score(graphs, [graph.y for graph in graphs])
    with pytest.raises(InputError, match="no labels or targets of their own"):
        HardInfoGraphClassifier(**QUICK).fit([nx.path_graph(size) for size in (3, 4, 5)])


@pytest.mark.parametrize("kind", ["table", "classes", "regression"])
def test_a_saved_model_predicts_the_same(mutag, table, pretrained, tmp_path, kind):
    y = {"table": table, "classes": None, "regression": np.arange(188.0) ** 2}[kind]
    estimator = HardInfoGraphRegressor if kind == "regression" else HardInfoGraphClassifier
    model = estimator(init=pretrained, epochs=2, random_state=0, dropout=0.1, head_channels=5)
    model.fit(mutag, y).save_pretrained(tmp_path / "model")
    loaded = estimator.from_pretrained(tmp_path / "model")
    assert np.array_equal(loaded.predict(mutag), model.predict(mutag))
    assert np.array_equal(loaded.transform(mutag), model.transform(mutag))
    assert loaded.history_ == model.history_
    assert loaded.best_epoch_ == model.best_epoch_
    kept = {name: value for name, value in model.get_params(deep=False).items() if name != "init"}
    assert {**loaded.get_params(deep=False), "init": None} == {**kept, "init": None}
    # Its encoder is one like any other.
    encoder = load_encoder(tmp_path / "model")
    assert encoder.out_channels == 24
    again = HardInfoGraphClassifier(init=tmp_path / "model", epochs=0).fit(mutag)
    assert np.array_equal(again.transform(mutag), model.transform(mutag))


def test_damaged_and_foreign_files_are_refused(mutag, pretrained, tmp_path):
    model = HardInfoGraphClassifier(**QUICK).fit(mutag)
    model.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="it is a classifier, not a regressor"):
        HardInfoGraphRegressor.from_pretrained(tmp_path)
    tensors, text = read_checksummed(tmp_path / HEAD, "model")
    for change in ({"head": [1 << 30, 1 << 30]}, {"classes": [1]}, {"params": {"lrr": 1}}):
        write_checksummed(tmp_path / HEAD, tensors, "model", json.dumps(json.loads(text) | change))
        with pytest.raises(InputError, match="No fine-tuned model can be loaded"):
            HardInfoGraphClassifier.from_pretrained(tmp_path)
    write_checksummed(tmp_path / HEAD, tensors, "model", text)
    assert HardInfoGraphClassifier.from_pretrained(tmp_path).score(mutag) == model.score(mutag)
    HardInfoGraphClassifier(**QUICK, lr=0.1).fit(mutag).encoder_.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="is of another encoder"):
        HardInfoGraphClassifier.from_pretrained(tmp_path)
    pretrained.save_pretrained(tmp_path / "other")
    with pytest.raises(InputError, match="No fine-tuned model can be loaded"):
        HardInfoGraphClassifier.from_pretrained(tmp_path / "other")


def nothing(graphs):
    return np.full(len(graphs), np.nan)


WRONG = {
    "measured values": (HardInfoGraphClassifier, lambda g: np.linspace(0, 1, len(g))),
    "at least 2 classes": (HardInfoGraphClassifier, lambda g: np.ones(len(g))),
    "only missing ones": (HardInfoGraphClassifier, nothing),
    "known target": (HardInfoGraphRegressor, nothing),
    "must be finite": (HardInfoGraphRegressor, lambda g: [np.inf] * len(g)),
    "convert it": (HardInfoGraphRegressor, lambda g: ["a"] * len(g)),
    "one row for each graph": (HardInfoGraphRegressor, lambda g: [1.0] * 3),
    "hold 0, 1 and missing": (HardInfoGraphClassifier, lambda g: np.full((len(g), 2), 2)),
    "0 and 1 in a target": (HardInfoGraphClassifier, lambda g: np.ones((len(g), 2))),
    "class b has 1 of 188": (HardInfoGraphClassifier, lambda g: ["a"] * (len(g) - 1) + ["b"]),
    r"shape \(G,\) or \(G, T\)": (HardInfoGraphClassifier, lambda g: np.ones((len(g), 2, 2))),
}


@pytest.mark.parametrize("words", WRONG)
def test_wrong_targets_are_refused_before_anything_trains(mutag, words):
    estimator, y = WRONG[words]
    model = estimator(**QUICK, on_epoch=lambda _: pytest.fail("it trains"))
    with pytest.raises(InputError, match=words):
        model.fit(mutag, y(mutag))
    assert not hasattr(model, "encoder_")


def test_wrong_settings_are_refused(mutag, pretrained):
    with pytest.raises(InputError) as caught:
        HardInfoGraphClassifier(lr=-1, n_jobs=0, encoder="gim", freeze="a").fit(mutag)
    assert len(str(caught.value).splitlines()) == 4
    with pytest.raises(InputError, match="`num_layers` must be left out with `init`"):
        HardInfoGraphClassifier(init=pretrained, num_layers=2).fit(mutag)
    with pytest.raises(InputError, match=r"call its `fit` first, or, .* clones it, give a path"):
        HardInfoGraphClassifier(init=HardInfoGraph()).fit(mutag)
    with pytest.raises(InputError, match="no encoder 'nowhere'"):
        HardInfoGraphClassifier(init="nowhere").fit(mutag)
    for weight in ("even", np.ones(2), {5: 1}, {1: -1}, {1: "a"}, {1: True}, {1: math.nan}):
        with pytest.raises(InputError, match="`class_weight` must"):
            HardInfoGraphClassifier(class_weight=weight).fit(mutag)
    with pytest.raises(InputError, match="the classes of the training"):
        HardInfoGraphClassifier(**QUICK).fit(mutag, validation=(mutag[:2], [1, 5]))
    model = HardInfoGraphClassifier(**QUICK).fit(mutag)
    with pytest.raises(InputError, match="training, -1, 1, got '-1', which is of another type"):
        model.score(mutag, [str(label) for label in mutag.labels])
    with pytest.raises(InputError, match="training, -1, 1, got 'a', which is of another type"):
        HardInfoGraphClassifier(**QUICK).fit(mutag, validation=(mutag[:2], ["a", "b"]))
    with pytest.raises(InputError, match=r"y must be \(G,\) as in `fit`"):
        model.score(mutag, np.ones((188, 2)))
    with pytest.raises(NotFittedError):
        HardInfoGraphClassifier().predict(mutag)


def test_a_target_of_one_class_is_warned_of(mutag, table):
    table = table.copy()
    table[table[:, 1] == 0, 1] = np.nan
    with pytest.warns(UserWarning, match="1 of 2 targets have only one class in y, first 1"):
        HardInfoGraphClassifier(**QUICK).fit(mutag, table)


def test_a_measured_target_without_a_value_is_warned_of(mutag, table):
    y = {"a": table[:, 0], "b": nothing(mutag)}
    with pytest.warns(UserWarning, match="1 of 2 targets have no known value in y, first 'b'"):
        HardInfoGraphRegressor(**QUICK).fit(mutag, y)


def test_scikit_learn_clones_it_with_what_init_has_learnt(mutag, pretrained):
    model = HardInfoGraphClassifier(init=pretrained, epochs=2, random_state=0)
    twin = clone(model)
    assert twin.init is pretrained
    assert is_classifier(twin)
    assert {**twin.get_params(deep=False)} == {**model.get_params(deep=False)}
    search = GridSearchCV(model, {"freeze": [True, False], "lr": [0.001, 0.01]}, cv=2)
    search.fit(mutag, mutag.labels)
    assert 0.5 < search.best_score_ <= 1
    assert search.predict(mutag).shape == (188,)
    scores = cross_val_score(model, mutag, mutag.labels, cv=StratifiedKFold(3))
    own = cross_val_score(model, mutag, cv=StratifiedKFold(3).split(mutag.y, mutag.y))
    assert np.array_equal(scores, own)
    auc = cross_val_score(model, mutag, mutag.labels, cv=2, scoring="roc_auc")
    assert (auc > 0.5).all()


CHECKS = (
    estimator_checks.check_parameters_default_constructible,
    estimator_checks.check_no_attributes_set_in_init,
    estimator_checks.check_do_not_raise_errors_in_init_or_set_params,
    estimator_checks.check_get_params_invariance,
    estimator_checks.check_set_params,
    estimator_checks.check_estimator_cloneable,
    estimator_checks.check_estimator_repr,
    estimator_checks.check_mixin_order,
    estimator_checks.check_valid_tag_types,
    estimator_checks.check_estimator_tags_renamed,
)
"""Those of scikit-learn's checks that give no data; the others give arrays of numbers in place of graphs."""


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize(
    "estimator", [HardInfoGraph, HardInfoGraphClassifier, HardInfoGraphRegressor]
)
def test_scikit_learns_checks_without_data_pass(estimator, check):
    check(estimator.__name__, estimator())


def test_scorers_of_scikit_learn_take_several_targets(mutag, table):
    model = HardInfoGraphClassifier(**QUICK)
    assert np.isfinite(cross_val_score(model, mutag, table, cv=KFold(2))).all()
    full = np.nan_to_num(table)
    auc = cross_val_score(model, mutag, full, cv=KFold(2), scoring="roc_auc", error_score="raise")
    assert ((auc > 0) & (auc < 1)).all()
    for method in ("predict_proba", "decision_function"):
        found = cross_val_predict(model, mutag, full, cv=KFold(2), method=method)
        fitted = clone(model).fit(mutag[:94], full[:94])
        assert np.array_equal(found[94:], getattr(fitted, method)(mutag[94:]))


def test_a_pipeline_ends_with_it(mutag):
    class Passing(HardInfoGraph):
        """Passes the graphs on."""

        def fit(self, X, y=None):
            return self

        def transform(self, X):
            return X

        def fit_transform(self, X, y=None):
            return X

    pipeline = make_pipeline(Passing(), HardInfoGraphClassifier(**QUICK)).fit(mutag, mutag.labels)
    assert 0 < pipeline.score(mutag, mutag.labels) <= 1


def test_a_failed_fit_leaves_the_fitted_model(mutag):
    model = HardInfoGraphClassifier(**QUICK).fit(mutag)
    before = model.predict_proba(mutag)
    for fraction in (0, 0.1):
        wild = {"lr": 1000, "weight_decay": 1000, "epochs": 5, "validation_fraction": fraction}
        with pytest.raises(InputError, match="lower `lr`"):
            clone(model).set_params(**wild).fit(mutag)

    def fail(_):
        raise RuntimeError("in the third epoch")

    with pytest.raises(RuntimeError, match="in the third epoch"):
        model.set_params(on_epoch=fail).fit(mutag)
    assert np.array_equal(model.predict_proba(mutag), before)


def test_a_usual_training_draws_from_no_generator_of_the_caller(mutag):
    before = torch.get_rng_state(), np.random.get_state()[1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        HardInfoGraphClassifier(**QUICK, dropout=0.5).fit(mutag).predict(mutag)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])


@pytest.mark.parametrize("precision", ["64-true", "bf16-mixed"])
def test_precisions(mutag, precision):
    model = HardInfoGraphClassifier(**QUICK, precision=precision, accelerator="cpu").fit(mutag)
    assert np.isfinite(model.predict_proba(mutag)).all()
    assert model.transform(mutag).dtype == (np.float64 if precision == "64-true" else np.float32)
    assert model.get_feature_names_out()[0] == "hardinfographclassifier0"


@pytest.mark.parametrize("shape", [(0,), (0, 2)])
def test_a_validation_part_without_graphs_is_refused(shape):
    graphs = load_graphs("MUTAG")
    y = np.zeros((40, *shape[1:]))
    with pytest.raises(InputError, match="`validation` must have a graph with a target, got none"):
        HardInfoGraphRegressor(epochs=1).fit(
            graphs[:40], y, validation=(graphs[:0], np.zeros(shape))
        )
