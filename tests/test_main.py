"""The commands started by name, as `graphcl-hard run` and as `python -m graphcl_hard run`."""

import configparser
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import graphcl_hard
from graphcl_hard.__main__ import COMMANDS

ROOT = Path(graphcl_hard.__file__).parent.parent
SMALL = [
    "--folds",
    "2",
    "--repeats",
    "1",
    "--hidden-channels",
    "8",
    "--num-layers",
    "2",
    "--no-pictures",
]


@pytest.fixture(params=["graphcl-hard", "python -m graphcl_hard"])
def caller(request, tmp_path):
    """The words that start the package; the script is the one that pip makes of the entry point."""
    if request.param == "python -m graphcl_hard":
        return [sys.executable, "-m", "graphcl_hard"]
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    name, module, function = re.fullmatch(
        r"\s*(\S+) = (\S+):(\S+)", setup["options.entry_points"]["console_scripts"]
    ).groups()
    script = tmp_path / name
    script.write_text(f"import sys\nfrom {module} import {function}\nsys.exit({function}())\n")
    return [sys.executable, str(script)]


def done(words):
    return subprocess.run(words, capture_output=True, text=True, check=False)


def start(words, **options):
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def named(caller):
    return "python -m graphcl_hard" if "-m" in caller else "graphcl-hard"


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_without_a_command_all_are_listed(caller, words):
    found = done([*caller, *words])
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.startswith(f"usage: {named(caller)} COMMAND ...\n")
    assert re.findall(r"^  (\w+)  ", found.stdout, re.MULTILINE) == list(COMMANDS)


def test_every_command_is_known():
    package = Path(graphcl_hard.__file__).parent
    commands = {
        path.stem
        for path in package.glob("*.py")
        if 'if __name__ == "__main__":' in path.read_text()
    }
    assert commands - {"__main__"} == set(COMMANDS)


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("rnu", "did you mean run?"),
        ("convertt", "did you mean convert?"),
        ("--beta", "see --help."),
    ],
)
def test_an_unknown_command_is_refused(caller, word, hint):
    found = done([*caller, word, "--help"])
    assert (found.returncode, found.stdout) == (2, "")
    names = ", ".join(COMMANDS)
    assert found.stderr == f"error: The command must be one of {names}, got {word!r}; {hint}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_that_of_the_module(caller, command):
    by_name, by_module = (
        done([*words, "--help"])
        for words in ([*caller, command], [sys.executable, "-m", f"graphcl_hard.{command}"])
    )
    assert by_name.returncode == by_module.returncode == 0
    usage, _, rest = by_name.stdout.partition("\n")
    assert usage.startswith(f"usage: {named(caller)} {command} [-h]")
    assert rest == by_module.stdout.partition("\n")[2]


@pytest.mark.parametrize("words", [[], *([command, "--help"] for command in COMMANDS)])
def test_help_loads_no_pytorch(words):
    code = (
        f"import sys\nfrom graphcl_hard.__main__ import main\n"
        f"try:\n main({words})\nfinally:\n print('torch' in sys.modules, file=sys.stderr)"
    )
    found = done([sys.executable, "-c", code])
    assert "usage: " in found.stdout
    assert found.stderr == "False\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_bad_input_is_one_sentence_and_2(caller, command):
    found = done([*caller, command, "--no-such-flag"])
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith("error: ")
    assert found.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("caller", "number", "sentence"),
    [
        ("graphcl-hard", signal.SIGINT, "interrupted"),
        ("python -m graphcl_hard", signal.SIGTERM, "stopped by SIGTERM"),
    ],
    indirect=["caller"],
)
def test_a_signal_while_training_leaves_a_readable_folder(caller, tmp_path, number, sentence):
    out = tmp_path / "run"
    process = start([*caller, "run", *SMALL, "--epochs", "100000", "--out", str(out)])
    while not (out / "metrics.csv").exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    # A Ctrl-C in the middle of an epoch is answered with a sentence of its own first.
    assert error.endswith(
        f"{sentence}: {out} has the results so far; the same command with --out and --resume continues.\n"
    )
    assert json.loads((out / "result.json").read_text())["status"] == "interrupted"


@pytest.mark.slow
@pytest.mark.parametrize("caller", ["graphcl-hard"], indirect=True)
def test_a_reader_that_goes_away_does_not_end_the_run(caller, tmp_path):
    process = start([*caller, "run", *SMALL, "--epochs", "1", "--out", str(tmp_path / "run")])
    process.stdout.close()
    with process.stderr:
        error = process.stderr.read()
    assert process.wait(timeout=120) == 0
    assert error == ""
    assert json.loads((tmp_path / "run" / "result.json").read_text())["status"] == "finished"


def test_a_list_that_nobody_reads_ends_with_141(caller):
    process = start(caller)
    process.stdout.close()
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (141, "")
