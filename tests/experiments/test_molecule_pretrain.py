"""Pretraining by recipes: subsets that contain each other, and weights that do not depend on a kill."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from experiments.molecules.pretrain import RECIPES, main, read_recipes, run_words, subset
from graphcl_hard.exceptions import InputError
from graphcl_hard.run import parse
from graphcl_hard.runs.config_file import load_yaml

SMILES = [f"{'C' * (1 + n % 9)}{'O' * (n // 9 % 2)}C1{'C' * (1 + n % 5)}C1" for n in range(60)]
TINY = """
table: {file: all.csv.gz, column: SMILES, rows: 60}
common: {molecules: 40, encoder: gine, hidden_channels: 4, num_layers: 2, batch_size: 8}
recipes:
  few: {epochs: 1}
  long: {epochs: 60, method: graphcl, beta: 0}
"""


@pytest.fixture
def recipes(tmp_path):
    with gzip.open(tmp_path / "all.csv.gz", "wt") as file:
        file.write("\n".join(["SMILES", *SMILES]))
    path = tmp_path / "recipes.yaml"
    path.write_text(TINY)
    return ["--file", str(path), "--data", str(tmp_path), "--quiet", "--out"]


def test_a_smaller_subset_is_the_start_of_a_larger_one_and_order_is_pinned():
    letters = [chr(97 + n) for n in range(26)]
    assert subset(letters, 4) == subset(letters, 26)[:4]
    assert sorted(subset(letters, 26)) == letters
    assert "".join(subset(letters, 8)) == "lduncvpb"
    for count in (0, 27):
        with pytest.raises(InputError, match=rf"must lie in \[1, 26\], got {count}"):
            subset(letters, count)


def test_every_recipe_has_settings_of_a_run(tmp_path):
    names = list(load_yaml(RECIPES.read_text(encoding="utf-8"))["recipes"])
    _, recipes = read_recipes(RECIPES, names)
    assert "infograph-uniform" in recipes
    for settings in recipes.values():
        config = parse(run_words(settings, tmp_path, 3, tmp_path / "out")).settings
        config.check()
        assert (config.seed, config.evaluate, config.resume) == (3, False, True)


def test_a_recipe_makes_an_encoder_and_is_made_once(recipes, tmp_path):
    out = tmp_path / "made"
    assert main(["few", "--seeds", "0", "1", *recipes, str(out)]) == 0
    table = pd.read_csv(out / "moses-40.csv.gz")
    assert table["smiles"].tolist() == subset(SMILES, 40)
    weights = [(out / f"few-seed-{seed}/encoder.safetensors").read_bytes() for seed in (0, 1)]
    assert weights[0] != weights[1]
    assert main(["few", "--seeds", "0", "1", *recipes, str(out)]) == 0
    again = [(out / f"few-seed-{seed}/encoder.safetensors").read_bytes() for seed in (0, 1)]
    assert again == weights


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fwe"], "RECIPE must be one of few, long, got 'fwe'"),
        ([], "RECIPE must be one of few, long, got none"),
    ],
)
def test_another_recipe_is_refused(words, message, recipes, tmp_path, capsys):
    assert main([*words, *recipes, str(tmp_path / "made")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("molecules: 40, ", "", "lacks molecules of few"),
        ("rows: 60", "", "lacks rows"),
        ("few: {epochs: 1}", "few:", "must have table, common and recipes"),
        ("recipes:", "others:", "must have table, common and recipes ('recipes')"),
        ("column: SMILES", "column: smiles", "must have the column smiles, got SMILES"),
        ("table:", "table: [", "must have table, common and recipes"),
    ],
)
def test_a_file_of_recipes_that_lacks_something_is_refused(
    old, new, message, recipes, tmp_path, capsys
):
    (tmp_path / "recipes.yaml").write_text(TINY.replace(old, new))
    assert main(["few", *recipes, str(tmp_path / "made")]) == 2
    assert message in capsys.readouterr().err
    (tmp_path / "recipes.yaml").unlink()
    assert main(["few", *recipes, str(tmp_path / "made")]) == 2
    assert "recipes.yaml does not exist" in capsys.readouterr().err


def test_a_table_that_is_not_whole_is_refused(recipes, tmp_path, capsys):
    with gzip.open(tmp_path / "all.csv.gz", "wt") as file:
        file.write("\n".join(["SMILES", *SMILES[:50]]))
    assert main(["few", *recipes, str(tmp_path / "made")]) == 2
    assert "must have 60 rows, got 50" in capsys.readouterr().err
    (tmp_path / "all.csv.gz").unlink()
    assert main(["few", *recipes, str(tmp_path / "made")]) == 2
    assert "all.csv.gz does not exist" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 143)]
)
def test_a_stopped_pretraining_continues_with_the_same_weights(number, status, recipes, tmp_path):
    assert main(["long", *recipes, str(tmp_path / "whole")]) == 0
    out = tmp_path / "stopped"
    command = [sys.executable, "-m", "experiments.molecules.pretrain", "long", *recipes, str(out)]
    folder = out / "long-seed-0"
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
    while not (folder / "metrics.csv").exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(number)
    assert process.wait() == status
    assert json.loads((folder / "result.json").read_text())["status"] != "finished"
    assert subprocess.run(command, check=False).returncode == 0
    one, two = (
        load_file(tmp_path / name / "long-seed-0/encoder.safetensors")
        for name in ("whole", "stopped")
    )
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
