"""What SECURITY.md promises: a pickle in any file that is read is not run, and no module could run one."""

import ast
import os
import pickle
import shutil

import pytest
import torch
from helpers.paths import MUTAG, ROOT
from helpers.runs import FINISHED

from graphcl_hard import HardInfoGraph, load_encoder
from graphcl_hard.convert import main as convert
from graphcl_hard.data.load import load_graphs
from graphcl_hard.data.tu.dataset import TUDataset
from graphcl_hard.embed import main as embed
from graphcl_hard.exceptions import InputError
from graphcl_hard.io.file_names import CHECKPOINTS
from graphcl_hard.run import main

WORDS = [
    "--epochs",
    "3",
    "--folds",
    "2",
    "--repeats",
    "1",
    "--no-pictures",
    "--quiet",
    "--checkpoint-seconds",
    "0",
]


class Evil:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture(params=["pickle", "torch"])
def plant(request, tmp_path):
    """A function that replaces a file by a pickle, and one that says whether any has run."""
    sign = tmp_path / "sign"

    def put(path):
        if request.param == "torch":
            torch.save(Evil(sign), path)
        else:
            path.write_bytes(pickle.dumps(Evil(sign)))

    put(tmp_path / "proof")
    loads = pickle.loads if request.param == "pickle" else None
    if loads is not None:
        loads((tmp_path / "proof").read_bytes())
        assert sign.exists()  # it is a pickle that would
        sign.rmdir()
    yield put
    assert not sign.exists()


READ = [
    "config.yaml",
    "result.json",
    "features.json",
    "encoder.json",
    "encoder.safetensors",
    *CHECKPOINTS,
]


@pytest.mark.parametrize("name", READ)
def test_a_pickle_in_a_runs_folder_is_not_run(finished, plant, tmp_path, name):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    plant(folder / name)
    if name in CHECKPOINTS:
        (folder / "result.json").unlink()
    if name in ("features.json", "encoder.json", "encoder.safetensors"):
        assert embed([str(folder), "--data", "MUTAG", "--out", str(tmp_path / "v.npz")]) == 2
    status = main([*FINISHED, "--out", str(folder), "--resume"])
    assert status == (2 if name in ("config.yaml", "result.json", *CHECKPOINTS) else 0)


@pytest.mark.parametrize("name", ["graphs.json", "000000.safetensors"])
def test_a_pickle_in_a_folder_of_shards_is_not_run(plant, tmp_path, name):
    assert convert(["MUTAG", "--out", str(tmp_path / "set"), "--quiet"]) == 0
    plant(tmp_path / "set" / name)
    assert main([*WORDS, "--dataset", str(tmp_path / "set"), "--out", str(tmp_path / "run")]) == 2


@pytest.mark.parametrize("name", ["m.csv", "m.csv.gz", "m.parquet", "raw/edge.csv.gz"])
def test_a_pickle_in_place_of_a_source_is_not_run(plant, tmp_path, name):
    (tmp_path / "raw").mkdir()
    plant(tmp_path / name)
    source = tmp_path if name.startswith("raw") else tmp_path / name
    assert convert([str(source), "--out", str(tmp_path / "set"), "--name", "set"]) == 2


def test_a_pickle_in_place_of_an_encoder_or_estimator_is_not_run(plant, tmp_path):
    plant(tmp_path / "encoder.safetensors")
    (tmp_path / "encoder.json").write_text('{"in_channels": 3}')
    with pytest.raises(InputError, match="No encoder can be loaded"):
        load_encoder(tmp_path)
    plant(tmp_path / "estimator")
    with pytest.raises(InputError, match="No estimator can be loaded"):
        HardInfoGraph.load(tmp_path / "estimator")


def test_a_pickle_among_the_files_of_a_set_is_not_run(plant, tmp_path, monkeypatch):
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    monkeypatch.setenv("GRAPHCL_HARD_MIRROR", str(mirror))
    monkeypatch.setattr(TUDataset, "url", "http://127.0.0.1:9")
    plant(mirror / "TINY.zip")
    with pytest.raises(InputError):
        load_graphs("TINY", data_dir=tmp_path / "data")
    source = MUTAG
    for path in source.glob("MUTAG_*.txt"):
        folder = tmp_path / "set"
        shutil.copytree(source, folder)
        plant(folder / path.name)
        with pytest.raises(InputError):
            load_graphs(str(folder))
        shutil.rmtree(folder)


def test_a_pickle_in_a_cache_is_not_run(plant, tmp_path):
    shutil.copytree(MUTAG, tmp_path / "TINY" / "raw")
    for path in (tmp_path / "TINY" / "raw").glob("MUTAG_*.txt"):
        path.rename(path.with_name(path.name.replace("MUTAG", "TINY")))
    expected = load_graphs("TINY", data_dir=tmp_path).edge_index
    processed = tmp_path / "TINY" / "processed"
    for name in (
        "tu_arrays.safetensors",
        "tu_arrays.pt",
        "data.pt",
        "pre_transform.pt",
        "pre_filter.pt",
    ):
        plant(processed / name)
    assert load_graphs("TINY", data_dir=tmp_path).edge_index.equal(expected)
    assert TUDataset(str(tmp_path), "TINY").len() == 188


FORBIDDEN = {
    *("pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal"),  # modules
    *(
        "eval",
        "exec",
        "compile",
        "torch.load",
        "yaml.load",
        "os.system",
        "os.popen",
        "joblib.load",
    ),  # calls
}


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "graphcl_hard").rglob("*.py")),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_no_module_unpickles_evaluates_or_starts_a_shell(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert FORBIDDEN.isdisjoint(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module not in FORBIDDEN
        elif isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in FORBIDDEN
            given = {word.arg: ast.unparse(word.value) for word in node.keywords}
            assert given.get("shell", "False") == "False"
            assert given.get("allow_pickle", "False") == "False"
            assert "verify" not in given  # certificates are checked


def test_the_official_address_has_tls():
    assert TUDataset.url.startswith("https://")
    assert TUDataset.cleaned_url.startswith("https://")
