"""The wheel, installed away from the checkout, carries MUTAG and runs without the network."""

import json
import os
import subprocess
import sys
import zipfile

import pytest
from helpers.paths import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(folder),
    ]
    subprocess.run([*command, str(ROOT)], check=True, capture_output=True, text=True)
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_holds_the_package_and_mutag(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for name in (
        "graphcl_hard/run.py",
        "graphcl_hard/py.typed",
        "graphcl_hard/sweeps/report/page.html.j2",
        "graphcl_hard/datasets/README.md",
        "graphcl_hard/datasets/MUTAG/MUTAG_A.txt",
        "graphcl_hard/datasets/MUTAG/MUTAG_graph_labels.txt",
    ):
        assert name in names
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "graphcl_hard").rglob("*.py")}
    assert modules == {name for name in names if name.endswith(".py")}
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"graphcl_hard"}


@pytest.mark.slow
def test_the_installed_wheel_runs_elsewhere(wheel, tmp_path):
    site, work = tmp_path / "site", tmp_path / "work"
    work.mkdir()
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        str(site),
    ]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True, text=True)
    # The installed copy stands before the checkout; a cache folder that cannot be made must not matter.
    environment = {
        **os.environ,
        "PYTHONPATH": str(site),
        "XDG_CACHE_HOME": "/proc/nowhere",
        "GRAPHCL_HARD_MIRROR": "",
    }
    words = ["--epochs", "1", "--folds", "2", "--repeats", "1", "--quiet"]
    command = [sys.executable, "-m", "graphcl_hard.run", "--dataset", "MUTAG", *words]
    done = subprocess.run(
        command, cwd=work, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((work / done.stdout.strip() / "result.json").read_text())
    assert result["dataset"]["graphs"] == 188
    assert result["git_commit"] is None
    script = [str(site / "bin" / "graphcl-hard"), "run", "--print-config"]
    done = subprocess.run(
        script, cwd=work, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "dataset: MUTAG\n" in done.stdout
    where = "import graphcl_hard, sys; print(graphcl_hard.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", where],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.startswith(str(site))
