"""What a release states in several places agrees, and what CI leaves out is left out by name."""

import configparser
import json
import re
import shutil
import subprocess
import sys

import pytest
import yaml
from helpers.lowest import LEFT_OUT, lowest
from helpers.paths import ROOT


def setup():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def test_setup_citation_and_changelog_name_one_version():
    version = setup()["metadata"]["version"]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings
    released = [heading for heading in headings if heading != "Unreleased"]
    assert headings[:1] == ["Unreleased"] or released[:1] == headings[:1] == [version]
    assert not released or released[0] == version


def test_the_declared_python_versions_are_those_that_ran():
    """Each has a record of the fast tests, in which none failed; that of CI's is beside the others."""
    results = ROOT / "benchmarks" / "results"
    ran = set()
    for path in (results / "tests" / "fast.json", *(results / "python").glob("*.json")):
        record = json.loads(path.read_text())
        assert (record["status"], record["failed"], record["error"]) == (0, 0, 0), path.name
        version = record["versions"]["python"].rpartition(".")[0]
        assert path.name in (f"{version}.json", "fast.json")
        ran.add(version)
    python = "Programming Language :: Python :: "
    classifiers = setup()["metadata"]["classifiers"].strip().splitlines()
    assert {
        line.removeprefix(python) for line in classifiers if line.startswith(f"{python}3.")
    } == ran
    lowest_minor = min(int(version.partition(".")[2]) for version in ran)
    assert setup()["options"]["python_requires"] == f">=3.{lowest_minor}"
    assert f'\ntarget-version = "py3{lowest_minor}"\n' in (ROOT / "pyproject.toml").read_text()


def test_the_changelog_keeps_its_form():
    """Keep a Changelog: under each version kinds of changes in one order, each at most once and with entries."""
    kinds = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
    versions = re.split(r"^## ", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)[1:]
    assert versions
    for version in versions:
        before, *parts = re.split(r"^### ", version, flags=re.MULTILINE)
        assert "- " not in before.partition("\n")[2]
        found = [part.partition("\n")[0] for part in parts]
        assert found == [kind for kind in kinds if kind in found]
        assert all(re.search(r"^- ", part, re.MULTILINE) for part in parts)


def test_the_lowest_versions_are_those_of_setup_cfg():
    found = dict(line.split("==") for line in lowest())
    wanted = [line for line in setup()["options"]["install_requires"].split() if line]
    names = {re.split("[<>=!~]", line)[0]: line for line in wanted}
    assert set(names) - LEFT_OUT <= set(found)
    for name, line in names.items():
        assert line == f"{name}>={found.get(name, '2.4')}"


@pytest.mark.slow
def test_long_tests_run_only_when_they_are_asked_for():
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "tests/losses/test_local_global.py",
    ]
    collected = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout
    assert "test_local_global_equals_the_oracle" in collected
    assert "test_the_first_call_of_a_process" not in collected
    assert "1 deselected" in collected


@pytest.mark.slow
def test_a_record_says_what_passed_and_what_did_not(tmp_path):
    """Also of an error before a test, which is neither."""
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    shutil.copytree(ROOT / "tests" / "helpers", tmp_path / "helpers")
    (tmp_path / "test_four.py").write_text(
        "import pytest\n"
        "def test_passes(): pass\n"
        "def test_fails(): assert False\n"
        "def test_skips(): pytest.skip('no')\n"
        "def test_lacks(nothing): pass\n"
    )
    record_to = ["--record", str(tmp_path / "records" / "four.json")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *record_to, "test_four.py"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
    )
    record = json.loads((tmp_path / "records" / "four.json").read_text())
    assert record["status"] == done.returncode == 1
    assert record["command"] == "python -m pytest -q test_four.py"
    assert [record[kind] for kind in ("passed", "failed", "error", "skipped")] == [1, 1, 1, 1]
    assert {name.partition("_")[2]: outcome for name, (outcome, _) in record["tests"].items()} == {
        "four.py::test_passes": "passed",
        "four.py::test_fails": "failed",
        "four.py::test_skips": "skipped",
        "four.py::test_lacks": "error",
    }
    assert "torch" in record["versions"]
