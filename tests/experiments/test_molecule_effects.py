"""Differences and ranks of representations, by hand on a few records."""

import numpy as np
import pytest

from experiments.molecules.datasets import CLASSIFICATION, REGRESSION
from experiments.molecules.effects import (
    COMPARISONS,
    Comparison,
    effect_rows,
    paired,
    rank_rows,
)
from experiments.molecules.figures import UNTRAINED, WIDTHS
from experiments.molecules.pretrain import RECIPES
from experiments.molecules.representations import FINGERPRINTS
from graphcl_hard.runs.config_file import load_yaml

DATASETS = (*CLASSIFICATION, *REGRESSION)


def record(name, dataset, seed, split, score, head="ridge", part="test"):
    sizes = {"held_out_size": 10, "train_size": 40, "seeded": name != "ecfp"}
    keys = ("representation", "dataset", "seed", "split", "score", "head", "part")
    return {
        **dict(zip(keys, (name, dataset, seed, split, score, head, part), strict=True)),
        **sizes,
    }


def study(name, base, seeds=(0, 1, 2), splits=("random-0", "random-1")):
    """Each seed adds a hundredth, each split a thousandth, and each data set a tenth."""
    return [
        record(name, dataset, seed, split, base + 0.01 * s + 0.001 * r + 0.1 * d)
        for s, seed in enumerate(seeds)
        for r, split in enumerate(splits)
        for d, dataset in enumerate(DATASETS)
    ]


def test_differences_are_paired_by_seed_and_split():
    records = study("hard", 0.5) + study("uniform", 0.4, seeds=(0, 1, 5))
    records[0]["score"] += 0.05  # BACE, seed 0, split 0
    table, ratio = paired(records, Comparison("hard", "uniform"), CLASSIFICATION)
    np.testing.assert_allclose(table, [[0.11, 0.1], [0.1, 0.1]])  # the seeds 0 and 1
    assert ratio == pytest.approx(0.25)


def test_a_representation_without_seeds_is_compared_with_each_seed():
    records = study("hard", 0.5) + study("ecfp", 0.4, seeds=(0,))
    table, _ = paired(records, Comparison("hard", "ecfp"), CLASSIFICATION)
    np.testing.assert_allclose(table, [[0.1, 0.1], [0.11, 0.11], [0.12, 0.12]])
    once, _ = paired(
        records + study("once", 0.4, seeds=(0,)), Comparison("hard", "once"), CLASSIFICATION
    )
    assert once.shape == (1, 2)  # one training says nothing of other seeds
    backwards, _ = paired(records, Comparison("ecfp", "hard"), CLASSIFICATION)
    np.testing.assert_allclose(backwards, -table)


def test_a_seed_or_split_that_lacks_a_data_set_is_left_out():
    records = study("hard", 0.5) + study("uniform", 0.4)
    records = [
        one
        for one in records
        if (one["representation"], one["dataset"], one["seed"]) != ("hard", "BBBP", 1)
    ]
    assert paired(records, Comparison("hard", "uniform"), CLASSIFICATION)[0].shape == (2, 2)
    assert paired(records, Comparison("hard", "uniform"), REGRESSION)[0].shape == (3, 2)
    assert paired(records, Comparison("hard", "none"), REGRESSION)[0].size == 0
    more = [
        *records,
        *study("hard", 0.5, (0,), ("random-2",)),
        *study("uniform", 0.4, (0,), ("random-2",)),
    ]
    assert paired(more, Comparison("hard", "uniform"), REGRESSION)[0].shape == (3, 2)


def test_effects_have_students_interval_over_seeds():
    records = study("hard", 0.5) + study("uniform", 0.4)
    for one in records[:48]:
        one["score"] += 0.03 * (one["seed"] == 2)
    rows = effect_rows(records, [Comparison("hard", "uniform")], "test", "random")
    first = rows[0]
    assert [row["score"] for row in rows] == ["ROC AUC, five sets", "R2, three sets"]
    assert (first["difference"], first["head"], first["mean"]) == (
        "hard - uniform",
        "ridge",
        "+0.1100",
    )
    half = 4.302653 * np.std([0.1, 0.1, 0.13], ddof=1) / np.sqrt(3)
    assert first["95%, other seeds"] == f"[{0.11 - half:+.4f}, {0.11 + half:+.4f}]"
    assert first["95%, other splits"] == "[+0.1100, +0.1100]"
    assert (first["seeds"], first["splits"]) == (3, 2)
    assert effect_rows(records, [Comparison("hard", "uniform")], "test", "ogb") == []


def test_each_compared_representation_exists():
    recipes = load_yaml(RECIPES.read_text(encoding="utf-8"))["recipes"]
    drawn = [name for names in WIDTHS.values() for name in names]
    for name in {name for one in COMPARISONS for name in one} | set(drawn):
        assert name in recipes or name in FINGERPRINTS or name in UNTRAINED


def test_ranks_are_means_over_the_data_sets():
    records = study("a", 0.5) + study("b", 0.4) + study("c", 0.3)
    for one in records:
        if one["representation"] == "c" and one["dataset"] in ("BACE", "ESOL"):
            one["score"] = 2.0
    lacking = [one for one in study("d", 0.9) if one["dataset"] != "ESOL"]
    lacking += study("e", 0.9, splits=("random-0",))
    rows = rank_rows(records + lacking, "test", "random")
    assert rows == [
        {"representation": "a", "ridge": "1.25"},
        {"representation": "b", "ridge": "2.25"},
        {"representation": "c", "ridge": "2.50"},
    ]
