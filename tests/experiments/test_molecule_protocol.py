"""The protocol of the study of molecules: held-out labels choose nothing, and records are made once."""

import hashlib
import json

import numpy as np
import pytest

from experiments.molecules import heads
from experiments.molecules.__main__ import main
from experiments.molecules.datasets import DATASETS, Dataset, Molecules
from experiments.molecules.protocol import CALLS, cells_of, compute, count_call, score
from experiments.molecules.representations import (
    FINGERPRINTS,
    RUN,
    Representation,
    read_representation,
)
from graphcl_hard import HardInfoGraph, molecule_graphs, write_shards
from graphcl_hard.exceptions import InputError
from graphcl_hard.io.vector_writer import write_vectors
from graphcl_hard.run import main as run
from graphcl_hard.sweeps.records import read_records

RINGS = tuple(f"C1{'C' * size}C1" for size in range(1, 19))
SMILES = tuple(f"{'C' * (1 + n % 9)}{RINGS[min(n % 25, 17)]}" for n in range(90))
EACH = ["knn", *(pytest.param(name, marks=pytest.mark.slow) for name in ("ridge", "rf"))]
"""All heads."""


@pytest.fixture(autouse=True)
def small_forests(monkeypatch):
    monkeypatch.setattr(heads, "TREES", 10)
    monkeypatch.setattr(heads, "INNER_TREES", 10)


def molecules(task="classification", seed=0):
    """Two targets, of which the second has gaps."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(90, 2))
    y = (values > 0).astype(float) if task == "classification" else values
    y[::7, 1] = np.nan
    dataset = Dataset("Rings", task, 90)
    return Molecules(dataset, np.arange(90), SMILES, ("a", "b"), y)


def vectors_of(found, informative, seed=1):
    noise = np.random.default_rng(seed).normal(size=(90, 4))
    return np.hstack([np.nan_to_num(found.y, nan=0.0), 0.1 * noise]) if informative else noise


@pytest.mark.parametrize("head", EACH)
@pytest.mark.parametrize("part", ["valid", "test"])
def test_informative_vectors_score_one_and_noise_does_not(head, part):
    found = molecules()
    record = score(found, vectors_of(found, True), "ogb", head, part)
    assert record["scores"] == {"a": 1.0, "b": 1.0}
    assert record["score"] == 1.0
    split = found.ogb_split
    train, valid, test = map(len, split)
    sizes = {"valid": (train, valid), "test": (train + valid, test)}
    assert (record["train_size"], record["held_out_size"]) == sizes[part]
    assert score(found, vectors_of(found, False), "ogb", head, part)["score"] < 0.95


@pytest.mark.parametrize("head", EACH)
def test_measured_values_have_r2_and_the_error(head):
    found = molecules("regression")
    x = vectors_of(found, True)
    record = score(found, x, "random-3", head, "test")
    assert record["score"] > (0.9 if head == "ridge" else 0.2)
    noise = score(found, vectors_of(found, False), "random-3", head, "test")
    assert record["rmse"] < noise["rmse"]
    assert record["score"] > noise["score"]


@pytest.mark.parametrize("head", EACH)
@pytest.mark.parametrize(
    ("part", "split"),
    [("valid", "ogb"), ("valid", "inner-1"), ("test", "ogb"), ("test", "random-2")],
)
def test_labels_of_held_out_parts_choose_nothing(head, part, split):
    """With other labels of OGB's test part, a validation record stays; with those of the scored part, choices stay."""
    found = molecules()
    x, parts = vectors_of(found, False), found.split(split)
    before = score(found, x, split, head, part)
    other = molecules()
    if part == "valid":
        unseen = found.ogb_split.test
        other.y[unseen] = 1 - other.y[unseen]
        after = score(other, x, split, head, part)
        assert {**after, "seconds": 0} == {**before, "seconds": 0}
    scored = parts.valid if part == "valid" else parts.test
    other.y[scored] = 1 - other.y[scored]
    after = score(other, x, split, head, part)
    for name in ("chosen", "inner_score", "tried", "train_size"):
        assert after[name] == before[name]
    assert after["score"] == pytest.approx(1 - before["score"])


def test_other_labels_of_the_training_part_change_a_choice():
    """The check above would see a label that is used."""
    found = molecules()
    before = score(found, vectors_of(found, False), "ogb", "knn", "valid")
    train = found.ogb_split.train
    found.y[train] = found.y[np.roll(train, 1)]
    after = score(found, vectors_of(found, False), "ogb", "knn", "valid")
    assert after["inner_score"] != before["inner_score"]


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_gcv_scores_validation_parts_and_chooses_nothing_by_folds(task):
    found = molecules(task)
    record = score(found, vectors_of(found, True), "ogb", "gcv", "valid")
    assert record["score"] > 0.9
    assert score(found, vectors_of(found, False), "ogb", "gcv", "valid")["score"] < record["score"]
    assert (record["chosen"], record["inner_score"], record["tried"]) == ({}, None, 0)


def test_an_untrained_encoder_is_on_the_log_scale_once():
    vectors = read_representation("untrained-4x2").embed(molecules(), 3)
    settings = {"encoder": "gine", "hidden_channels": 4, "num_layers": 2, "epochs": 0}
    graphs = molecule_graphs(SMILES, stereo=False)
    linear = HardInfoGraph(**settings, scale="linear", random_state=3).fit_transform(graphs)
    np.testing.assert_allclose(vectors, np.sign(linear) * np.log1p(np.abs(linear)), rtol=1e-6)


def test_an_encoder_in_a_folder_stands_for_a_molecule(tmp_path):
    """The record holds the settings of its run and the checksum of its weights, and no path."""
    out = tmp_path / "runs/mine-seed-3"
    words = ["--encoder", "gin", "--hidden-channels", "4", "--epochs", "1", "--no-evaluate"]
    write_shards(tmp_path / "graphs", list(SMILES), name="rings")
    given = ["--dataset", str(tmp_path / "graphs"), "--seed", "3", "--out", str(out), "--quiet"]
    assert run([*words, *given, "--no-pictures"]) == 0
    mine = read_representation(f"mine={tmp_path}/runs/mine-seed-{{seed}}")
    assert mine.seeded
    vectors = mine.embed(molecules(), 3)
    linear = HardInfoGraph.from_pretrained(out, scale="linear").transform(list(SMILES))
    np.testing.assert_allclose(vectors, np.sign(linear) * np.log1p(np.abs(linear)), rtol=1e-6)
    settings = mine.settings_of("Rings", 3)
    kept = {"hidden_channels": 4, "epochs": 1, "evaluate": False, "seed": 3}
    assert settings["settings"] == kept
    assert settings["dataset"]["graphs"] == 90
    assert set(RUN) < set(settings)
    (file,) = settings["files"]
    assert file["sha256"] == hashlib.sha256((out / "encoder.safetensors").read_bytes()).hexdigest()
    assert str(tmp_path) not in json.dumps(settings)
    with pytest.raises(InputError, match=r"mine-seed-4/encoder\.safetensors does not exist"):
        mine.settings_of("Rings", 4)


def test_records_are_made_once_and_hold_their_settings(tmp_path):
    found = molecules()
    calls = []

    def embed(_, seed):
        calls.append(seed)
        return vectors_of(found, False, seed)

    seeded = Representation("mine", embed, True, {"width": 4})
    made = {"mine": seeded, "ecfp": FINGERPRINTS["ecfp"]}
    cells = list(cells_of("Rings", made.values(), ("ogb", "inner-0"), ("knn",), "valid", (5, 6)))
    assert len(cells) == 6  # ecfp has no random numbers
    folder = tmp_path / "records"
    assert compute(cells[:3], found, made, folder) == 3
    assert compute(cells, found, made, folder) == 3
    assert compute(cells, found, made, folder) == 0
    assert calls == [5, 6, 6]
    records = read_records(folder)
    assert {(one["representation"], one["split"], one["seed"]) for one in records} == {
        (name, split, seed)
        for name, seed in (("mine", 5), ("mine", 6), ("ecfp", 5))
        for split in ("ogb", "inner-0")
    }
    first = next(one for one in records if one["representation"] == "mine")
    assert first["settings"] == {"width": 4}
    assert (first["columns"], first["molecules"], first["part"]) == (4, 90, "valid")
    assert set(first["scores"]) == {"a", "b"}
    assert first["rdkit"]
    assert first["versions"]["scikit-learn"]


@pytest.mark.parametrize(
    ("split", "head", "part", "message"),
    [
        ("inner-0", "rf", "test", "test score needs the split ogb or random-N, got 'inner-0'"),
        ("random-0", "rf", "valid", "valid score needs the split ogb or inner-N, got 'random-0'"),
        ("ogb", "svm", "valid", "valid score must be one of ridge, rf, knn, gcv, got 'svm'"),
        ("ogb", "gcv", "test", "test score must be one of ridge, rf, knn, got 'gcv'"),
        ("rnd-1", "rf", "test", "must be ogb, random-N or inner-N, got 'rnd-1'"),
    ],
)
def test_a_score_that_would_show_test_labels_is_refused(split, head, part, message):
    with pytest.raises(InputError, match=message):
        list(cells_of("BACE", [FINGERPRINTS["ecfp"]], (split,), (head,), part, (0,)))


def test_calls_of_the_test_part_are_counted(tmp_path):
    cells = list(cells_of("BACE", [FINGERPRINTS["ecfp"]], ("ogb",), ("rf", "knn"), "test", (0,)))
    assert [count_call(tmp_path, cells), count_call(tmp_path, cells[:1])] == [1, 2]
    first, second = json.loads((tmp_path / CALLS).read_text())
    assert (first["head"], second["head"], second["cells"]) == (["rf", "knn"], ["rf"], 1)


@pytest.fixture
def words(tmp_path, monkeypatch):
    """Arguments of the command for a small table in place of BACE; records are in `out`."""
    table = [f"{smiles},{n % 3 % 2}" for n, smiles in enumerate(SMILES)]
    (tmp_path / "bace.csv").write_text("\n".join(["smiles,y", *table]) + "\n")
    monkeypatch.setitem(DATASETS, "BACE", Dataset("BACE", "classification", 90))
    data, out = str(tmp_path), str(tmp_path / "out")
    return ["--data", data, "--datasets", "BACE", "--heads", "knn", "--out", out]


def test_the_command_scores_test_parts_only_when_told(tmp_path, words):
    out = tmp_path / "out"
    assert main(["--compute", *words]) == 0
    assert not (out / CALLS).exists()
    assert [one["part"] for one in read_records(out / "records")] == ["valid"]
    assert (out / "tables" / "valid.md").exists()
    for _ in range(2):  # the second call finds its record
        assert main(["--test", *words]) == 0
        assert len(json.loads((out / CALLS).read_text())) == 1
    assert len(read_records(out / "records")) == 2
    assert "scored in 1 call" in (out / "tables" / "ogb_test.md").read_text()
    assert main(["--compute", "--data", str(tmp_path), "--datasets", "QM9"]) == 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--splits", "ogb", "rnd-1"], "got 'rnd-1'"),
        (["--datasets", "BACE", "QM9"], "got 'QM9'"),
        (["--datasets", "BACE", "BBBP"], "bbbp.csv does not exist"),
        (["--representations", "ecfp", "maccs"], "got 'maccs'"),
        (["--representations", "mine=there/{name}.npz"], "got 'there/{name}.npz'"),
        (["--representations", "mine=there/{dataset}.npz"], "BACE.npz does not exist"),
    ],
)
def test_a_call_that_scores_nothing_is_not_counted(tmp_path, words, capsys, wrong, message):
    assert main(["--test", *words, *wrong]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_vectors_of_other_molecules_are_refused_before_a_call_is_counted(tmp_path, words, capsys):
    np.savez(tmp_path / "BACE.npz", vectors=np.ones((91, 2)), id=np.arange(91))
    assert main(["--test", *words, "--representations", f"mine={tmp_path}/{{dataset}}.npz"]) == 2
    assert "must have ids of the 90 rows of BACE, 0 to 89, got 90" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("suffix", ["npz", "parquet"])
def test_records_of_one_file_are_not_those_of_another(tmp_path, words, capsys, suffix):
    def write(folder, seed):
        (tmp_path / folder).mkdir()
        vectors = np.random.default_rng(seed).normal(size=(90, 3))
        path = tmp_path / folder / f"BACE.{suffix}"
        write_vectors(path, [vectors], ids=np.arange(90), checksum="ab12")
        return hashlib.sha256(path.read_bytes()).hexdigest()

    def call(folder, name="mine", *more):
        files = f"{name}={tmp_path}/{folder}/{{dataset}}.{suffix}"
        return main(["--compute", *words, "--representations", files, *more])

    old, new = write("old", 0), write("new", 1)
    assert call("old") == 0
    (record,) = read_records(tmp_path / "out" / "records")
    file = {"file": f"BACE.{suffix}", "sha256": old, "data_sha256": "ab12"}
    assert record["settings"] == {"files": [file]}
    assert call("old") == 0
    capsys.readouterr()
    for more in ((), ("--splits", "inner-0")):  # of a record that is there, or beside it
        assert call("new", "mine", *more) == 2
        error = capsys.readouterr().err
        assert f"must have the SHA-256 of its records, {old}, got {new}; give the new" in error
    assert read_records(tmp_path / "out" / "records") == [record]
    assert call("new", "other") == 0
    found = {one["representation"]: one for one in read_records(tmp_path / "out" / "records")}
    assert found["mine"] == record
    assert found["other"]["settings"]["files"][0]["sha256"] == new


def test_representations_are_read_from_their_names(tmp_path):
    found = molecules()
    ecfp, atompair = (read_representation(name) for name in ("ecfp", "atompair"))
    counts = ecfp.embed(found, 0)
    assert counts.shape == (90, 2048)
    assert counts.dtype.kind == "u"
    vectors = np.arange(180.0).reshape(90, 2)
    np.savez(tmp_path / "Rings-3.npz", vectors=vectors[::-1], id=np.arange(90)[::-1])
    mine = read_representation(f"mine={tmp_path}/{{dataset}}-{{seed}}.npz")
    assert mine.seeded
    np.testing.assert_array_equal(mine.embed(found, 3), vectors)
    both = read_representation(f"ecfp+mine={tmp_path}/{{dataset}}-{{seed}}.npz")
    assert both.name == "ecfp+mine"
    assert both.digests("Rings", 3) == mine.digests("Rings", 3)
    assert set(both.settings_of("Rings", 3)) == {"ecfp", "mine", "files"}
    np.testing.assert_array_equal(both.embed(found, 3), np.hstack([counts, vectors]))
    assert not np.array_equal(atompair.embed(found, 0), counts)
    np.savez(tmp_path / "Rings-4.npz", vectors=vectors[1:], id=np.arange(1, 90))
    with pytest.raises(InputError, match="lacks id 0; embed the whole table"):
        mine.embed(found, 4)
    with pytest.raises(
        InputError, match="must be ecfp, atompair, untrained-CHANNELS, NAME=FILES or NAME=FOLDERS"
    ):
        read_representation("maccs")


def test_an_untrained_encoder_has_its_width_and_depends_on_its_seed():
    found = molecules()
    encoder = read_representation("untrained-8x2")
    assert encoder.settings["num_layers"] == 2
    first = encoder.embed(found, 0)
    assert first.shape == (90, 16)
    np.testing.assert_array_equal(encoder.embed(found, 0), first)
    assert not np.allclose(encoder.embed(found, 1), first)
