"""The run folder: files complete or absent, nothing overwritten without consent, one writer at a time."""

import contextlib
import json
import math
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from graphcl_hard.exceptions import InputError
from graphcl_hard.io import atomic_write as atomic_write_module
from graphcl_hard.io import file_names
from graphcl_hard.io.atomic_write import atomic_write
from graphcl_hard.runs import environment as environment_module
from graphcl_hard.runs import folder as run_folder
from graphcl_hard.runs.folder import RunFolder


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail():
        with atomic_write(path) as partial:
            partial.write_text("ne")
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        fail()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]
    with atomic_write(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o666 & ~atomic_write_module._umask()


def test_rows_json_and_text(tmp_path):
    with RunFolder(tmp_path / "a" / "b") as folder:
        folder.add_rows("metrics.csv", [{"epoch": 1, "loss": 0.5}])
        folder.add_rows("metrics.csv", [{"epoch": 2, "loss": 0.25}])
        folder.write_json("result.json", {"x": [1, None]})
        with pytest.raises(ValueError, match="JSON"):
            folder.write_json("result.json", {"x": math.nan})
    files = {p.name: p.read_text() for p in folder.path.iterdir()}
    assert files == {
        "metrics.csv": "epoch,loss\n1,0.5\n2,0.25\n",
        "result.json": json.dumps({"x": [1, None]}, indent=2) + "\n",
    }


def test_a_run_is_replaced_only_when_asked(tmp_path):
    with RunFolder(tmp_path / "run") as folder:
        folder.write_text(file_names.CONFIG, "beta: 1\n")
        folder.write_text(file_names.RESULT, "{}")
        (folder.path / "seed-0").mkdir()
    with pytest.raises(InputError) as caught:
        RunFolder(tmp_path / "run")
    assert str(caught.value) == (
        f"The folder {tmp_path / 'run'} has a run in it; give --resume to continue it, --overwrite to replace it, or "
        "another --out."
    )
    with pytest.raises(InputError) as caught:
        RunFolder(tmp_path / "run", can_resume=False)
    assert str(caught.value) == (
        f"The folder {tmp_path / 'run'} has a run in it; give --overwrite to replace it, or another --out."
    )
    assert (tmp_path / "run" / file_names.CONFIG).read_text() == "beta: 1\n"
    with RunFolder(tmp_path / "run", overwrite=True) as folder:
        assert sorted(os.listdir(folder.path)) == [file_names.LOCK, file_names.REPLACED]
        folder.write_text(file_names.RESULT, "new")
    assert os.listdir(tmp_path / "run") == [file_names.RESULT]


def fail_to_replace(path):
    with RunFolder(path, overwrite=True) as folder:
        folder.write_text(file_names.CONFIG, "new")
        raise RuntimeError("diverged")


def test_a_run_that_fails_to_replace_another_loses_nothing(tmp_path):
    with RunFolder(tmp_path) as folder:
        folder.write_text(file_names.CONFIG, "old")
        folder.write_text(file_names.RESULT, "old")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="diverged"):
            fail_to_replace(tmp_path)
        assert (tmp_path / file_names.REPLACED / file_names.RESULT).read_text() == "old"
        assert (tmp_path / file_names.CONFIG).read_text() == "new"
    with RunFolder(tmp_path, overwrite=True) as folder:
        folder.write_text(file_names.RESULT, "newer")
    assert os.listdir(tmp_path) == [file_names.RESULT]


@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.parametrize("stop", range(5))
def test_a_run_that_is_set_aside_survives_a_kill_at_any_renaming(
    tmp_path, monkeypatch, stop, resume
):
    """If only some files of a run are set aside, a new run must not mistake the rest for a failed replacement."""
    path, rename, calls = tmp_path / "run", Path.rename, []
    with RunFolder(path) as folder:
        for name in (file_names.CONFIG, file_names.RESULT, file_names.METRICS):
            folder.write_text(name, name)
    before = {entry.name: entry.read_text() for entry in path.iterdir()}

    def dying(self, target):
        calls.append(1)
        if len(calls) > stop:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", dying)
    with contextlib.suppress(KeyboardInterrupt):
        RunFolder(path, overwrite=True)._release()
    assert len(calls) == min(stop + 1, 4)
    monkeypatch.undo()
    assert stop == 4 or {entry.read_text() for entry in path.rglob("*") if entry.is_file()} == set(
        before.values()
    )
    with pytest.raises(InputError, match="has a run in it; give --resume"):
        RunFolder(path)
    if resume and stop < 4:
        with RunFolder(path, resume=True):
            assert {
                entry.name: entry.read_text()
                for entry in path.iterdir()
                if entry.name != file_names.LOCK
            } == before
    elif not resume:
        with RunFolder(path, overwrite=True):
            old = path / file_names.REPLACED
            assert {entry.name: entry.read_text() for entry in old.iterdir()} == before


@pytest.mark.parametrize("extra", ["notes.md", "seed-0/notes.md", "data/x", ".lock"])
def test_a_run_with_anything_of_the_users_in_it_is_never_replaced(tmp_path, extra):
    with RunFolder(tmp_path) as folder:
        folder.write_text(file_names.CONFIG, "old")
        folder.write_text(file_names.RESULT, "old")
    (tmp_path / extra).parent.mkdir(exist_ok=True)
    (tmp_path / extra).write_text("mine")
    with pytest.raises(
        InputError, match=f"something other than a run in it .{extra.split('/', maxsplit=1)[0]}"
    ):
        RunFolder(tmp_path, overwrite=True)
    assert (tmp_path / extra).read_text() == "mine"
    assert (tmp_path / file_names.RESULT).read_text() == "old"


def test_a_config_file_alone_is_no_run(tmp_path):
    (tmp_path / file_names.CONFIG).write_text("my: app")
    with pytest.raises(InputError, match="something other than a run"):
        RunFolder(tmp_path, overwrite=True)
    assert os.listdir(tmp_path) == [file_names.CONFIG]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_with_other_things_is_never_touched(tmp_path, overwrite):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"has something other than a run in it \(thesis.tex\)"):
        RunFolder(tmp_path, overwrite)
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_a_second_writer_is_refused(tmp_path):
    with RunFolder(tmp_path / "run") as folder:
        folder.write_text(file_names.CONFIG, "")
        folder.write_text(file_names.RESULT, "")
        code = (
            "import sys; from pathlib import Path; from graphcl_hard.runs.folder import RunFolder\n"
            "RunFolder(Path(sys.argv[1]), overwrite=True)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(folder.path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Another run is writing to" in done.stderr
        assert (folder.path / file_names.CONFIG).exists()


def test_a_folder_in_which_nothing_was_written_goes_again(tmp_path):
    with RunFolder(tmp_path / "run"):
        pass
    assert not (tmp_path / "run").exists()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        InputError, match="file/run cannot be written: Not a directory; choose another --out"
    ):
        RunFolder(tmp_path / "file" / "run")


def test_default_folders_are_new_each_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    now = datetime(2026, 1, 2, 3, 4, 5)
    first = run_folder.default_folder("some/where/MUTAG", now)
    assert str(first) == "runs/MUTAG-20260102-030405"
    assert first.is_dir()
    assert str(run_folder.default_folder("MUTAG", now)) == "runs/MUTAG-20260102-030405-2"


@pytest.mark.parametrize("link", [False, True])
def test_a_default_folder_that_cannot_be_is_refused(tmp_path, monkeypatch, link):
    monkeypatch.chdir(tmp_path)
    Path("runs").symlink_to("gone/far") if link else Path("runs").write_text("mine")
    with pytest.raises(InputError, match="runs must be a folder, for runs without --out"):
        run_folder.default_folder("MUTAG", datetime(2026, 1, 2))


def test_environment_names_versions_and_the_commit_of_the_packages_own_checkout(tmp_path):
    found = environment_module.environment()
    assert found["versions"]["torch"]
    assert found["cpu_count"] >= 1
    # A package installed inside an unrelated repository must not report the commit of that repository.
    git = ["git", "-C", str(tmp_path)]
    for command in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x"],
    ):
        subprocess.run([*git, *command], check=True)
    (tmp_path / "__init__.py").write_text("")
    assert environment_module.git_commit(tmp_path) is None
    subprocess.run([*git, "add", "__init__.py"], check=True)
    commit = environment_module.git_commit(tmp_path)
    assert commit is not None
    assert commit.endswith("-dirty")
    assert len(commit) == 40 + len("-dirty")
