"""The tables of the study of molecules: known records give known cells, and the committed ones are up to date."""

import numpy as np
import pytest
from helpers.paths import EXPERIMENTS

from experiments.molecules.__main__ import main
from experiments.molecules.datasets import CLASSIFICATION
from experiments.molecules.published import SETS, published
from experiments.molecules.tables import MEAN, tables
from graphcl_hard.evaluation.statistics import corrected_interval

RESULTS = EXPERIMENTS / "molecules" / "results"


def record(dataset, score, representation="ecfp", split="ogb", head="rf", part="test", seed=0):
    return {
        "dataset": dataset,
        "representation": representation,
        "split": split,
        "head": head,
        "part": part,
        "seed": seed,
        "score": score,
        "seeded": representation not in ("ecfp", "atompair"),
        "rmse": 1 - score,
        "chosen": {"k": 3},
        "train_size": 90,
        "held_out_size": 10,
    }


def test_published_rows_are_marked_and_ours_come_first():
    records = [record(name, 0.5 + place / 10) for place, name in enumerate(CLASSIFICATION)]
    records.append(record("BACE", 0.9, "mine", seed=0))
    records.append(record("BACE", 0.7, "mine", seed=1))
    rows, notes = tables(records, 3)["ogb_test"]
    assert rows[0] == {
        "representation": "ecfp",
        "head": "rf",
        **dict(zip(CLASSIFICATION, ("0.500", "0.600", "0.700", "0.800", "0.900"), strict=True)),
        MEAN: "0.700",
    }
    assert (rows[1]["BACE"], rows[1]["BBBP"], rows[1][MEAN]) == ("0.800", "", "")
    others = rows[2:]
    assert len(others) == len(published()) / len(SETS)
    assert all(row["representation"].endswith("(published)") for row in others)
    assert "Test parts were scored in 3 calls." in notes


def test_the_published_scores_are_those_of_the_paper():
    assert published()["ECFP counts", "BACE", "ridge"] == 0.808
    assert published()["CLAMP", "Tox21", "rf"] == 0.832
    assert len(published()) == 8 * 5 * 2


def test_differences_are_ours_minus_the_published():
    rows, _ = tables([record("BACE", 0.85), record("BACE", 0.9, head="knn")], 1)[
        "published_differences"
    ]
    (only,) = rows
    assert only["here"] == "0.850"
    assert only["published"] == "0.860"
    assert only["difference"] == "-0.010"
    assert only["chosen here"] == "k 3"


def test_random_splits_have_corrected_intervals():
    scores = [0.5, 0.6, 0.8]
    records = [
        record("ESOL", score + shift, split=f"random-{place}", seed=seed)
        for place, score in enumerate(scores)
        for seed, shift in enumerate((-0.1, 0.1))
    ]
    found = tables([*records, record("BACE", 0.7, split="random-0")], 1)
    (row,) = found["random_splits"][0]
    low, high = corrected_interval(scores, 1 / 9)
    assert row["mean [95% interval]"] == f"{np.mean(scores):.3f} [{low:.3f}, {high:.3f}]"
    assert (row["splits"], row["score"], row["data set"]) == (3, "R2", "ESOL")


def test_measured_sets_and_validation_parts_have_tables_of_their_own():
    records = [
        record("ESOL", 0.6, part="valid"),
        record("ESOL", 0.25, part="valid", split="inner-0"),
    ]
    found = tables(records, 0)
    assert set(found) == {"valid_measured", "inner_measured"}
    (row,) = found["valid_measured"][0]
    assert (row["ESOL R2"], row["ESOL RMSE"], row["FreeSolv R2"]) == ("0.600", "0.400", "")


@pytest.mark.parametrize("suffix", ["md", "csv"])
def test_the_committed_tables_are_those_of_the_committed_records(tmp_path, suffix):
    for name in ("records", "test_calls.json"):
        (tmp_path / name).symlink_to(RESULTS / name)
    assert main(["--out", str(tmp_path)]) == 0
    committed = sorted((RESULTS / "tables").glob(f"*.{suffix}"))
    assert [path.name for path in committed] == sorted(
        path.name for path in (tmp_path / "tables").glob(f"*.{suffix}")
    )
    assert len(committed) > 0
    for path in committed:
        assert (tmp_path / "tables" / path.name).read_text() == path.read_text()
