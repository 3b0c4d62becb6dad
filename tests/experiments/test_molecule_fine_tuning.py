"""Rows of the study of molecules whose encoder is trained on the labels."""

import json

import numpy as np
import pytest

from experiments.molecules import fine_tuning
from experiments.molecules.__main__ import main
from experiments.molecules.datasets import DATASETS, Dataset, Molecules
from experiments.molecules.fine_tuning import score
from experiments.molecules.representations import read_representation
from graphcl_hard import HardInfoGraph, molecule_graphs
from graphcl_hard.exceptions import InputError
from graphcl_hard.sweeps.records import read_records

SMILES = tuple(
    f"{'C' * (1 + n % 9)}C1{'C' * (1 + n % 18)}C1{'O' if n % 5 < 2 else ''}" for n in range(90)
)
SMALL = {"encoder": "gine", "hidden_channels": 4, "num_layers": 2, "epochs": 2, "lr": 0.01}


def molecules(task="classification", targets=2, seed=0):
    """The first target is whether there is an oxygen, or a number about it; the second is noise with gaps."""
    noise = np.random.default_rng(seed).normal(size=90)
    y = np.stack([np.arange(90) % 5 < 2, noise > 0], axis=1).astype(float)
    if task == "regression":
        y += 0.1 * noise[:, None]
    y[::7, 1] = np.nan
    names = ("oxygen", "noise")[:targets]
    return Molecules(Dataset("Rings", task, 90), np.arange(90), SMILES, names, y[:, :targets])


@pytest.mark.slow
@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize(("part", "split"), [("valid", "ogb"), ("test", "ogb")])
def test_what_the_structure_shows_is_learnt(task, part, split):
    found = molecules(task)
    settings = {**SMALL, "hidden_channels": 16, "epochs": 30, "batch_size": 16}
    record = score(found, split, part, 0, settings)
    # Chance is an AUC of 0.5, and an R2 of at most 0.
    assert record["scores"]["oxygen"] > (0.7 if task == "classification" else 0.3)
    parts = found.split(split)
    assert record["train_size"] == len(parts.train)
    assert record["held_out_size"] == len(parts.valid if part == "valid" else parts.test)
    assert record["columns"] == 32
    assert 1 <= record["chosen"]["epoch"] <= record["tried"] <= 30
    assert ("rmse" in record) == (task == "regression")


@pytest.mark.parametrize("targets", [1, 2])
def test_labels_of_held_out_parts_choose_nothing(targets):
    """A validation record looks at no label but of its two parts, and a test record only scores the test part."""
    for part, split in (("valid", "ogb"), ("test", "ogb")):
        found, other = molecules(targets=targets), molecules(targets=targets)
        parts = found.split(split)
        before = score(found, split, part, 0, SMALL)
        scored = parts.valid if part == "valid" else parts.test
        other.y[scored] = 1 - other.y[scored]
        if part == "valid":
            other.y[parts.test] = 1 - other.y[parts.test]
        after = score(other, split, part, 0, SMALL)
        for name in ("chosen", "inner_score", "tried"):
            assert after[name] == before[name]
        assert after["score"] == pytest.approx(1 - before["score"])
        other.y[parts.train] = 1 - other.y[parts.train]  # so that the check can fail
        assert score(other, split, part, 0, SMALL)["inner_score"] != before["inner_score"]


def test_the_test_score_stops_by_the_validation_part():
    found, other = molecules(), molecules()
    valid = found.ogb_split.valid
    other.y[valid] = 1 - other.y[valid]
    first, second = (score(one, "ogb", "test", 0, SMALL) for one in (found, other))
    assert second["inner_score"] == pytest.approx(1 - first["inner_score"])


def test_the_command_writes_records_once(tmp_path, monkeypatch, capsys):
    table = [f"{smiles},{n % 2}" for n, smiles in enumerate(SMILES)]
    (tmp_path / "bace.csv").write_text("\n".join(["smiles,y", *table]) + "\n")
    monkeypatch.setitem(DATASETS, "BACE", Dataset("BACE", "classification", 90))
    for settings in (fine_tuning.SCRATCH, fine_tuning.FINE_TUNED):
        monkeypatch.setitem(settings, "epochs", 1)
    encoder = HardInfoGraph(epochs=0, encoder="gine", hidden_channels=4, random_state=0)
    encoder.fit(molecule_graphs(SMILES)).save_pretrained(tmp_path / "encoder-0")
    init = f"fine-tuned-mine={tmp_path}/encoder-{{seed}}"
    words = ["--compute", "--data", str(tmp_path), "--datasets", "BACE", "--out", str(tmp_path)]
    words += ["--representations", "scratch-4x2", init]
    assert main(words) == 0
    records = {one["representation"]: one for one in read_records(tmp_path / "records")}
    assert set(records) == {"scratch-4x2", "fine-tuned-mine"}
    assert {one["head"] for one in records.values()} == {"network"}
    assert records["scratch-4x2"]["settings"]["hidden_channels"] == 4
    tuned = records["fine-tuned-mine"]
    assert tuned["settings"]["freeze"] == 5
    assert tuned["columns"] == 12
    (file,) = tuned["settings"]["files"]
    assert file["file"] == "encoder.safetensors"
    assert str(tmp_path) not in json.dumps(tuned)
    assert "fine-tuned-mine | network" in (tmp_path / "tables" / "valid.md").read_text()
    date = {one["seconds"] for one in records.values()}
    assert main(words) == 0
    assert {one["seconds"] for one in read_records(tmp_path / "records")} == date
    capsys.readouterr()
    HardInfoGraph(epochs=0, encoder="gine", hidden_channels=4, random_state=1).fit(
        molecule_graphs(SMILES)
    ).save_pretrained(tmp_path / "encoder-0")
    assert main([*words, "--splits", "inner-0"]) == 2
    assert "must have the SHA-256 of its records" in capsys.readouterr().err


def test_an_encoder_that_is_trained_has_no_vectors_beside_others():
    assert read_representation("fine-tuned=molecules-random").settings["init"] == "molecules-random"
    with pytest.raises(InputError, match="has no vectors, got 'ecfp\\+scratch-8'"):
        read_representation("ecfp+scratch-8")
