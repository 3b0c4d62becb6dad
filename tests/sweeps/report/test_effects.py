"""Differences by graph in the report of a sweep: which hits are taken, and how they are shown."""

import numpy as np
import pandas as pd
import pytest

from graphcl_hard.evaluation.crossed import crossed_effect, pool, seed_effect, smallest_bound
from graphcl_hard.evaluation.statistics import holm
from graphcl_hard.exceptions import InputError
from graphcl_hard.sweeps.report import effects

SETS = {"A": 60, "B": 90}
PAIRS = [("hard", "uniform"), ("hard", "untrained")]


def record_of(dataset, method, seed, hits, labels, epoch=5, probe="svm"):
    """Return a record whose predictions (repeats, G) are right where hits are 1; the class 2 is always wrong."""
    predicted = np.where(hits, labels, 2).tolist()
    scores = {probe: {str(epoch): {"predicted": predicted}, "0": {"predicted": predicted[::-1]}}}
    return {
        "dataset": dataset, "method": method, "seed": seed, "last_epoch": epoch, "scores": scores,
        "labels": labels.tolist(),
    }  # fmt: skip


@pytest.fixture
def hits():
    """(data set, method) -> (seeds, repeats, G), with graphs that are hard for all."""
    generator = np.random.default_rng(0)
    found = {}
    for dataset, graphs in SETS.items():
        level = generator.normal(size=graphs)
        for method, gain in (("uniform", 0.5), ("hard", 1.0), ("untrained", 0.0)):
            found[dataset, method] = level + gain + generator.normal(size=(6, 2, graphs)) > 0
    return found


@pytest.fixture
def records(hits):
    labels = {dataset: np.arange(graphs) % 2 for dataset, graphs in SETS.items()}
    return [
        record_of(dataset, method, seed, one, labels[dataset])
        for (dataset, method), seeds in hits.items()
        for seed, one in enumerate(seeds)
    ]


def test_the_frame_has_both_effects_of_each_pair_and_their_mean(hits, records):
    frame = effects.effects_frame(records, PAIRS)
    assert list(frame.columns) == effects.COLUMNS
    assert len(frame) == len(PAIRS) * 2 * (len(SETS) + 1)
    for method, control in PAIRS:
        for _name, effect in (("seeds", seed_effect), ("graphs and seeds", crossed_effect)):
            each = {
                dataset: effect(*(hits[dataset, one].mean(axis=1) for one in (method, control)))
                for dataset in SETS
            }
            each["pooled"] = pool(each.values())
            rows = frame.query("method == @method and control == @control and question == @_name")
            assert list(rows["dataset"]) == ["A", "B", "pooled"]
            assert list(rows["graphs"]) == [60, 90, 150]
            assert list(rows["datasets"]) == [1, 1, 2]
            assert set(rows["seeds"]) == {6}
            for row in rows.itertuples():
                one = each[row.dataset]
                assert row[5:11] == pytest.approx(tuple(one))
                assert row.equivalence_bound == pytest.approx(smallest_bound(one))


def test_the_epoch_and_the_probe_are_those_asked_for(records):
    found = effects.hits_of(records)["A", "hard"][3]
    flipped = effects.hits_of(records, epoch=0)["A", "hard"][3]
    np.testing.assert_array_equal(found, flipped)  # the same repeats in another order
    assert set(np.unique(found)) == {0, 0.5, 1}
    assert effects.hits_of(records, epoch=3) == {}
    for record in records:
        other = {"knn": {"5": {"predicted": [record["labels"]]}}}
        record["scores"] = other | record["scores"]
    np.testing.assert_array_equal(effects.hits_of(records)["A", "hard"][3], found)
    assert effects.hits_of(records, probe="knn")["A", "hard"][3].min() == 1
    assert effects.hits_of(records, probe="ridge")["A", "hard"][3].min() == 1  # the first one


def test_common_seeds_are_compared_and_missing_pairs_named(records):
    kept = [
        one
        for one in records
        if not (one["method"] == "uniform" and one["seed"] >= (4 if one["dataset"] == "A" else 1))
    ]
    kept = [one | {"scores": {}} if one["seed"] == 0 else one for one in kept]
    kept = [
        {key: value for key, value in one.items() if key != "labels"}
        if one["method"] == "untrained"
        else one
        for one in kept
    ]
    frame = effects.effects_frame(kept, PAIRS)
    assert set(frame["dataset"]) == {"A"}
    assert set(frame["seeds"]) == {3}
    assert effects.without_effects(kept, frame, PAIRS) == [
        ("A", ("hard", "untrained")),
        ("B", ("hard", "untrained")),
    ]  # uniform has no scores on B
    parts, complete = effects.effect_parts(kept, "untrained", ["hard"], list(SETS))
    assert (parts, complete) == ([], False)
    one_seed = [one for one in records if one["dataset"] == "A" or one["seed"] == 0]
    (table, _), complete = effects.effect_parts(one_seed, "uniform", ["hard"], list(SETS))
    assert not complete
    assert table.note.endswith("Without 2 seeds with predictions on both sides: hard on B.")


def test_records_of_other_graphs_are_refused(records):
    for record in records:
        if record["dataset"] == "A" and record["seed"] == 0:  # of all methods
            record["labels"] = record["labels"][:-1]
            for scored in record["scores"]["svm"].values():
                scored["predicted"] = [row[:-1] for row in scored["predicted"]]
    with pytest.raises(InputError, match="must have the same graphs, got 59, 60 graphs"):
        effects.effects_frame(records, [("hard", "uniform")])


@pytest.mark.parametrize("differs", ["labels", "repeats", "test_sizes"])
def test_records_of_a_seed_with_other_labels_repeats_or_folds_are_refused(records, differs):
    for one in records:
        one["test_sizes"] = [[20, 20, 20]] * 2
    record = next(
        one
        for one in records
        if (one["dataset"], one["method"], one["seed"]) == ("B", "uniform", 3)
    )
    scored = record["scores"]["svm"]["5"]
    record |= {
        "labels": {"labels": record["labels"][::-1]},
        "repeats": {"scores": {"svm": {"5": {"predicted": scored["predicted"][:1]}}}},
        "test_sizes": {"test_sizes": [[30, 30]] * 2},
    }[differs]
    message = f"hard and uniform on B, seed 3, .* differ in {differs}; run both with the same plan"
    with pytest.raises(InputError, match=message):
        effects.effects_frame(records, PAIRS)
    assert len(effects.effects_frame(records, PAIRS[1:])) == 6  # the others can be paired


def test_the_table_has_both_answers_side_by_side(records):
    frame = effects.effects_frame(records, PAIRS)
    table = effects.effects_table("effects", "Effects", frame, ["B", "A"])
    assert list(table.shown["data set"]) == ["B", "A", "pooled (2)"] * 2
    assert list(table.shown["method - control"])[::3] == ["hard - uniform", "hard - untrained"]
    np.testing.assert_allclose(table.values["p_holm"], holm(frame["p"]))
    np.testing.assert_allclose(table.values["difference"], 100 * frame["difference"])
    row = frame.query("dataset == 'B' and control == 'uniform'").set_index("question")
    for question, label in effects.LABELS.items():
        one = 100 * row.loc[question, ["difference", "low", "high"]].to_numpy(dtype=float)
        shown = f"{one[0]:+.1f} [{one[1]:+.1f}, {one[2]:+.1f}]"
        assert table.shown[label].iloc[0] == shown
    bounds = " / ".join(f"{100 * row.loc[one, 'equivalence_bound']:.1f}" for one in effects.LABELS)
    assert table.shown["within"].iloc[0] == bounds


def test_the_figure_draws_each_interval_once(records):
    frame = effects.effects_frame(records, PAIRS)
    picture = effects.forest_plot("forest", "Forest", frame, list(SETS), bound=0.005)
    assert "±0.5 or less" in picture.note
    assert len(picture.figure.axes) == 2
    labels = [one.get_text() for one in picture.figure.axes[0].get_yticklabels()]
    assert labels == ["A", "B", "pooled"]  # which both panels share
    for axes, (method, control) in zip(picture.figure.axes, PAIRS, strict=True):
        assert axes.get_title() == f"{method} - {control}"
        for container, _name in zip(axes.containers, effects.LABELS, strict=True):
            rows = frame.query("control == @control and question == @_name")
            points, _, (bars,) = container
            np.testing.assert_allclose(points.get_xdata(), 100 * rows["difference"])
            ends = np.array([segment[:, 0] for segment in bars.get_segments()])
            np.testing.assert_allclose(ends, 100 * rows[["low", "high"]])


def test_pairs_that_do_not_fit_the_figure_are_named(records):
    pairs = [("hard", "uniform")]
    frame = effects.effects_frame(records, pairs)
    frames = [frame.assign(method=f"m{number:02}") for number in range(effects.MOST + 1)]
    picture = effects.forest_plot("forest", "Forest", pd.concat(frames))
    assert len(picture.figure.axes) == effects.MOST
    assert picture.note.endswith("Not drawn: m12 - uniform.")
