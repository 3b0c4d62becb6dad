"""What a release states in several places agrees, and what CI leaves out is left out by name."""

import configparser
import re
import subprocess
import sys
from pathlib import Path

import yaml
from lowest import LEFT_OUT, lowest

ROOT = Path(__file__).resolve().parent.parent


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


def test_the_lowest_versions_are_those_of_setup_cfg():
    found = dict(line.split("==") for line in lowest())
    wanted = [line for line in setup()["options"]["install_requires"].split() if line]
    names = {re.split("[<>=!~]", line)[0]: line for line in wanted}
    assert set(names) - LEFT_OUT <= set(found)
    for name, line in names.items():
        assert line == f"{name}>={found.get(name, '2.4')}"


def test_long_tests_run_only_when_they_are_asked_for():
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "tests/test_soak.py"]
    collected = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    assert "test_rounds_of_work" in collected
    assert "test_memory_is_flat" not in collected
    assert "2 deselected" in collected
