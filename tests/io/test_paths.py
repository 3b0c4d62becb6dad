"""Paths as users write them: `~` is expanded, and what cannot be a path is refused in one sentence."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import torch

from graphcl_hard import (
    GINEncoder,
    GraphShards,
    HardInfoGraph,
    InputError,
    convert,
    embed,
    load_encoder,
    load_graphs,
    run,
    write_shards,
)
from graphcl_hard.io.paths import expand_paths, user_path


class Named:
    """A path of another library, which has only the protocol of `os.PathLike`."""

    def __fspath__(self):
        return "~/graphs"


@pytest.fixture
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    "given", ["~/graphs", Path("~/graphs"), PurePosixPath("~/graphs"), Named()]
)
def test_home_is_expanded(home, given):
    assert user_path(given) == home / "graphs"


def test_only_a_first_tilde_is_the_home(home):
    assert user_path("~") == home
    for kept in ("./~/graphs", "a~", "a/~", "a b/ü 図"):
        assert user_path(kept) == Path(kept)


@pytest.mark.parametrize("given", ["", "a\0b", "\ud800", b"a", None, 3, 1.5, ["a"]], ids=repr)
def test_no_path(given):
    with pytest.raises(InputError, match=r"^folder must be .*, got .*; give") as raised:
        user_path(given, "folder")
    assert raised.value.__context__ is None or raised.value.__suppress_context__


def test_unknown_user():
    with pytest.raises(InputError, match=r"unknown user, got '~no-such-user/x'; give"):
        user_path("~no-such-user/x")


def test_arguments_of_a_command(home):
    @dataclass(frozen=True)
    class Arguments:
        data: str
        out_file: Path
        data_dir: Path | None = None

    @dataclass(frozen=True)
    class More:
        settings: Arguments
        config: Path

    arguments = expand_paths(More(Arguments("~/kept", Path("~/a b")), Path("~")))
    assert arguments == More(Arguments("~/kept", home / "a b"), home)
    with pytest.raises(InputError, match=r"^--out-file must be"):
        expand_paths(Arguments("", Path("a\0b")))


@pytest.fixture
def elsewhere(home, monkeypatch):
    """A working directory in which nothing may be written."""
    folder = home / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield folder
    assert not any(folder.iterdir())


def test_commands(home, elsewhere):
    (home / "a b").mkdir()
    (home / "a b" / "分子 ü.csv").write_text("smiles\nCC\nCCC\nCCO\n", encoding="utf-8")
    assert convert.main(["~/a b/分子 ü.csv", "--out=~/a b/graphs ü", "--quiet"]) == 0
    words = ["--dataset=~/a b/graphs ü", "--data-dir=~/none", "--out=~/a b/run ü"]
    assert run.main([*words, "--epochs=0", "--no-evaluate", "--quiet"]) == 0
    words = ["~/a b/run ü", "--data=~/a b/graphs ü", "--data-dir=~/none", "--quiet"]
    assert embed.main([*words, "--out=~/a b/vectors ü.npz"]) == 0
    assert np.load(home / "a b" / "vectors ü.npz")["vectors"].shape == (3, 96)
    assert run.main(["--config=~/a b/run ü/config.yaml", "--print-config"]) == 0


@pytest.mark.parametrize("kind", [str, Path], ids=["str", "Path"])
def test_functions(home, elsewhere, kind):
    graphs = load_graphs("MUTAG")[:20]
    write_shards(kind("~/a ü/graphs"), [graphs])
    assert GraphShards(kind("~/a ü/graphs")).path == home / "a ü" / "graphs"
    model = HardInfoGraph(epochs=0, random_state=0).fit(graphs)
    model.save(kind("~/a ü/model"))
    loaded = HardInfoGraph.load(kind("~/a ü/model"))
    assert np.array_equal(loaded.transform(graphs), model.transform(graphs))
    encoder = GINEncoder(in_channels=2, hidden_channels=3)
    encoder.save_pretrained(kind("~/a ü"))
    for loaded in (load_encoder(kind("~/a ü")), GINEncoder.from_pretrained(kind("~/a ü"))):
        for held, saved in zip(loaded.parameters(), encoder.parameters(), strict=True):
            assert torch.equal(held, saved)


@pytest.mark.parametrize(
    "call",
    [
        GraphShards,
        HardInfoGraph.load,
        load_encoder,
        GINEncoder.from_pretrained,
        GINEncoder(in_channels=2, hidden_channels=3).save_pretrained,
        lambda path: write_shards(path, []),
        lambda path: HardInfoGraph(epochs=0).fit(load_graphs("MUTAG")[:20]).save(path),
    ],
)
@pytest.mark.parametrize("path", ["", "a\0b", None, b"a"], ids=repr)
def test_functions_refuse_what_is_no_path(call, path):
    with pytest.raises(InputError, match=r"(path|folder) must be .*; give one"):
        call(path)
