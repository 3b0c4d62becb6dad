"""Syncing: no file replaces another before its content is on the disk, and a run ends with all files synced."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from helpers.tu_files import FILES, zip_bytes

from graphcl_hard import HardInfoGraph
from graphcl_hard.data.tu.download import fetch
from graphcl_hard.io import atomic_write as atomic_write_module
from graphcl_hard.io.atomic_write import PARTIAL, atomic_write
from graphcl_hard.io.file_names import CHECKPOINTS, ENCODER, METRICS, RESULT
from graphcl_hard.io.vector_writer import write_vectors
from graphcl_hard.run import main

WORDS = ["--epochs", "3", "--folds", "2", "--repeats", "1", "--checkpoint-seconds", "0", "--quiet"]
EACH_EPOCH = (*ENCODER, METRICS)  # written anew each epoch, without waiting for the disk


@pytest.fixture
def calls(monkeypatch):
    """Record operations in order: ("sync", inode) and ("rename", inode, old path, new path)."""
    done, fsync, replace = [], os.fsync, Path.replace

    def syncing(handle):
        fsync(handle)
        done.append(("sync", os.fstat(handle).st_ino))

    def replacing(old, new):
        done.append(("rename", os.stat(old).st_ino, str(old), str(new)))
        return replace(old, new)

    monkeypatch.setattr(os, "fsync", syncing)
    monkeypatch.setattr(
        Path, "replace", replacing
    )  # Python 3.10 calls no os.replace that is set here
    return done


def renamings(calls):
    """Return, for each rename, the new name and whether the content was synced before and the folder right after."""
    for number, (what, inode, *paths) in enumerate(calls):
        if what == "rename":
            old, new = paths
            folder = os.stat(os.path.dirname(new)).st_ino
            yield (
                os.path.basename(new),
                ("sync", inode) in calls[:number],
                calls[number + 1 : number + 2],
                folder,
                old,
            )


def test_a_run_renames_no_file_before_it_is_on_the_disk_but_those_of_each_epoch(calls, tmp_path):
    assert main([*WORDS, "--out", str(tmp_path / "run")]) == 0
    names = []
    for name, synced, after, folder, old in renamings(calls):
        names.append(name)
        if name in EACH_EPOCH:
            continue
        assert synced, name
        assert after == [("sync", folder)] or PARTIAL not in old, (
            name
        )  # the last checkpoint makes way for a new one
    assert {
        RESULT,
        *CHECKPOINTS,
        *EACH_EPOCH,
        "config.yaml",
        "embeddings.npz",
        "training.png",
    } <= set(names)
    assert names.count(METRICS) == 3


def test_a_result_that_says_finished_comes_after_all_files_are_on_the_disk(calls, tmp_path):
    assert main([*WORDS, "--out", str(tmp_path / "run")]) == 0
    last = max(
        number
        for number, call in enumerate(calls)
        if call[0] == "rename" and call[3].endswith(RESULT)
    )
    synced = {call[1] for call in calls[: last + 1] if call[0] == "sync"}
    files = [
        path
        for path in (tmp_path / "run").iterdir()
        if path.is_file() and not path.name.startswith(".")
    ]
    assert {path.name for path in files} >= set(EACH_EPOCH)
    assert [path.name for path in files if path.stat().st_ino not in synced] == []


def test_vectors_estimators_and_encoders_that_are_saved_are_on_the_disk(calls, tmp_path, toy):
    model = HardInfoGraph(epochs=1, hidden_channels=4, num_layers=1).fit(toy)
    model.save(tmp_path / "model.safetensors")
    model._fitted.encoder.save_pretrained(tmp_path)
    write_vectors(tmp_path / "vectors.npz", [np.ones((3, 2))], ids=np.arange(3))
    found = list(renamings(calls))
    assert {name for name, *_ in found} == {"model.safetensors", "vectors.npz", *ENCODER}
    assert all(synced and after == [("sync", folder)] for _, synced, after, folder, _ in found)


def test_of_a_download_the_file_that_tells_it_is_whole_comes_after_all_others_are_on_the_disk(
    calls, tmp_path
):
    (tmp_path / "TINY.zip").write_bytes(zip_bytes())
    fetch("TINY", tmp_path / "raw", mirrors=[str(tmp_path)], official_url=None)
    found = [(name, synced) for name, synced, *_ in renamings(calls)]
    assert sorted(found) == [(name, True) for name in sorted(FILES)]
    assert found[-1][0] == "TINY_A.txt"
    around = ("sync", (tmp_path / "raw").stat().st_ino)
    assert [calls[-3], calls[-1]] == [around, around]
    assert calls[-2][0] == "rename"


def failing(code):
    def fsync(_):
        raise OSError(code, os.strerror(code))

    return fsync


def test_a_disk_that_fails_as_it_is_waited_for_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")
    monkeypatch.setattr(atomic_write_module.os, "fsync", failing(errno.EIO))
    with (
        pytest.raises(OSError, match="Input/output error") as caught,
        atomic_write(path) as partial,
    ):
        partial.write_text("new")
    assert caught.value.filename == str(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_that_cannot_sync_is_written_all_the_same(tmp_path, monkeypatch, code):
    monkeypatch.setattr(atomic_write_module.os, "fsync", failing(code))
    with atomic_write(tmp_path / "file") as partial:
        partial.write_text("new")
    assert (tmp_path / "file").read_text() == "new"
