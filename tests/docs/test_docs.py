"""Every block of code in README, docs/ and docstrings runs; the tables are those of the committed records.

A page is for someone who stands in a fresh checkout: its blocks run from top to bottom in a copy of one, and its Python
shares a namespace. What cannot is in NOT_RUN; of that, Python compiles, and our own commands' parsers take the words.
"""

import functools
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from pathlib import Path

import numpy as np
import pytest
import tyro
from helpers.paths import DOCS, MUTAG, RESULTS, ROOT
from sybil.document import Document, PythonDocStringDocument
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer
from sybil.parsers.rest import DocTestParser

from graphcl_hard import InputError, embed, finetune, run, sweep
from graphcl_hard import evaluate as evaluate_command
from graphcl_hard.sweeps.plan import narrow, read_plan

README = ROOT / "README.md"
PAGES = [README, *sorted(DOCS.rglob("*.md"))]
MODULES = sorted((ROOT / "graphcl_hard").rglob("*.py"))
LIMIT = 1800  # seconds for a block of shell, so that one that hangs ends
INSTALLS = "sets up an environment, from the package index"
NOT_RUN = {
    "make run": INSTALLS,
    "python -m pip install torch": INSTALLS,
    "python3 -m venv .venv": INSTALLS,
    "python -m pip install --constraint constraints.txt torch": INSTALLS,
    "python -m pip wheel --constraint constraints.txt --wheel-dir wheels torch '.[sweep]'": INSTALLS,
    "python -m pip install --no-index --find-links wheels 'graphcl_hard[sweep]'": INSTALLS,
    "python -m graphcl_hard.run --dataset PROTEINS --seeds 5": "the web, a folder of the reader's, and minutes",
    "python -m graphcl_hard.run --dataset MUTAG --accelerator cuda": "a GPU",
    "python -m graphcl_hard.sweep experiments/tu/plan.yaml --dry-run": "all of the study: hours",
    "dask scheduler": "several machines",
    "torchrun --nnodes 2 --nproc-per-node 4 \\": "several machines",
    "#!/bin/bash": "SLURM",
    "from dask_jobqueue import SLURMCluster": "SLURM, Kubernetes",
}
"""First line of a block, without its comment -> what it takes that a test has not."""
PARSERS = {
    "graphcl_hard.run": lambda words: run.parse(words).settings.check(),
    "graphcl_hard.embed": lambda words: tyro.cli(embed.Arguments, args=words),
    "graphcl_hard.evaluate": lambda words: tyro.cli(evaluate_command.Arguments, args=words),
    "graphcl_hard.finetune": lambda words: tyro.cli(finetune.Arguments, args=words),
    "graphcl_hard.sweep": lambda words: part_of_a_plan(sweep.parse(words)),
}
NO_CODE = ("text", "yaml", "math", "latex", "bibtex", "mermaid")


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A fresh checkout to stand in, the test's `python` and `torchrun`, and a mirror with PTC_MR for the web."""
    shutil.copytree(
        ROOT / "graphcl_hard",
        tmp_path / "graphcl_hard",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    for part in ("datasets/MUTAG", "benchmarks", "experiments", "examples"):
        shutil.copytree(
            ROOT / part,
            tmp_path / part,
            ignore=shutil.ignore_patterns("results", "runs", "__pycache__"),
        )
    commands = tmp_path / ".bin"
    commands.mkdir()
    for name, words in (("python", ""), ("torchrun", "-m torch.distributed.run ")):
        (commands / name).write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {words}"$@"\n')
        (commands / name).chmod(0o755)
    mirror = tmp_path / ".mirror"
    mirror.mkdir()
    with zipfile.ZipFile(mirror / "PTC_MR.zip", "w") as zipped:
        for path in MUTAG.glob("MUTAG_*.txt"):
            zipped.write(path, "PTC_MR/" + path.name.replace("MUTAG", "PTC_MR"))
    # Without it the sum must be that of the real PTC_MR, which this is not.
    digest = hashlib.sha256((mirror / "PTC_MR.zip").read_bytes()).hexdigest()
    (mirror / "SHA256SUMS").write_text(f"{digest}  PTC_MR.zip\n")
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("GRAPHCL_HARD_MIRROR", str(mirror))
    monkeypatch.setattr(
        "graphcl_hard.data.tu.names.default_data_dir", lambda: tmp_path / "datasets"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def blocks(document):
    """The fenced blocks, of whatever language, as Sybil takes them."""
    for region in FencedCodeBlockLexer(language="[^\n]*")(document):
        region.parsed, region.evaluator = region.lexemes["source"], evaluate
        yield region


def evaluate(example):
    language, text = example.region.lexemes["language"], example.parsed
    if file := re.match(r"# (\w+\.(?:py|yaml))\n", text):  # a block that is a file
        Path(file[1]).write_text(text)
    if first_line(text) in NOT_RUN:
        check(language, text)
    elif language == "python":
        PythonEvaluator()(example)
    elif language == "shell":
        shell(text)
    elif language == "console":
        commands = "\n".join(re.findall(r"^\$ (.*)", text, re.MULTILINE))
        shown = [
            line
            for line in map(without_numbers, text.splitlines())
            if line and not line.startswith("$ ")
        ]
        printed = [without_numbers(line) for line in shell(commands).splitlines()]
        missing = [line for line in shown if line not in printed]
        assert not missing, f"{missing} not in {printed}"
    else:
        assert language in NO_CODE, (
            f"{language!r}: a block is python, shell, console or one of {NO_CODE}"
        )


def first_line(text):
    return re.sub(r"\s+#.*", "", text.partition("\n")[0])


def shell(text):
    done = subprocess.run(
        ["bash", "-euc", text], capture_output=True, text=True, timeout=LIMIT, check=False
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def without_numbers(line):
    return " ".join(re.sub(r"[-+]?\d+(\.\d+)?|─+", "0", line).split())


study = functools.cache(read_plan)


def part_of_a_plan(given):
    """The cells that the arguments of a sweep choose; a plan that is not in the checkout is the reader's own."""
    if (ROOT / given.plan).exists():
        narrow(study(ROOT / given.plan), given.datasets, given.methods, given.seeds)


def check(language, text):
    """What can be said of a block that does not run."""
    if language == "python":
        compile(text, "block", "exec")
        return
    extras = ConfigParser()
    extras.read(ROOT / "setup.cfg")
    assert set(re.findall(r"(?:\.|graphcl_hard)\[(\w+)\]", text)) <= set(
        extras["options.extras_require"]
    )
    for line in text.replace("\\\n", " ").splitlines():
        words = [
            word for word in shlex.split(line, comments=True) if not re.match(r"[A-Z_]+=", word)
        ]
        if "-m" in words:  # of python or torchrun, also under srun
            module, *rest = words[words.index("-m") + 1 :]
            if module.startswith("graphcl_hard"):
                PARSERS[module](rest)
        match [Path(word).name if number == 0 else word for number, word in enumerate(words)]:
            case ["make", target]:
                assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def parse(path):
    if path.suffix == ".py":
        return PythonDocStringDocument.parse(str(path), blocks, DocTestParser())
    return Document.parse(str(path), blocks)


def run_blocks(path):
    document = parse(path)
    for example in document:
        example.evaluate()
    return document.namespace


@pytest.mark.slow
def test_readme(checkout):
    names = run_blocks(README)
    assert names["vectors"].shape == (188, 96)
    assert np.isfinite(names["vectors"]).all()
    assert set(names["scores"]) == {"trained", "untrained"}
    assert names["scores"]["trained"].accuracy.mean() > 0.75  # the majority class has 66%


@pytest.mark.slow
def test_use_from_python(checkout):
    names = run_blocks(ROOT / "docs" / "python.md")
    assert names["embedding"].graph_embedding.shape == (2, 96)
    assert np.isfinite(
        names["loss"].item()
    )  # the inputs are random, and a debiased loss may well be 0
    assert names["loss"].requires_grad
    assert names["search"].best_score_ > 0.75  # the majority class has 66%
    assert set(names["search"].best_params_) == {"hardinfograph__beta", "svc__C"}


OF_THEIR_OWN = (README, ROOT / "docs" / "python.md")
WITH_BLOCKS = [path for path in PAGES + MODULES if path not in OF_THEIR_OWN and list(parse(path))]


@pytest.mark.slow
@pytest.mark.parametrize("path", WITH_BLOCKS, ids=lambda path: path.name)
def test_page(path, checkout):
    run_blocks(path)


def test_what_is_not_run_is_there():
    assert {
        first_line(example.parsed) for page in PAGES for example in parse(page)
    } >= NOT_RUN.keys()


@pytest.mark.parametrize(
    ("block", "error"),
    [
        ("python\nassert 1 == 2", AssertionError),
        ("shell\nfalse\ntrue", AssertionError),
        ("console\n$ echo 2 graphs\n2 nodes", AssertionError),
        ("bash\ntrue", AssertionError),
        ("\ntrue", AssertionError),
        ("python\nlisted\n1 +", SyntaxError),
        ("shell\nlisted\npython -m graphcl_hard.run --betta 2", InputError),
        (
            "shell\nlisted\npython -m graphcl_hard.embed runs/mine --data MUTAG --format csv",
            SystemExit,
        ),
        (
            "shell\nlisted\npython -m graphcl_hard.sweep experiments/tu/plan.yaml --methods softer",
            InputError,
        ),
        ("shell\nlisted\npython -m pip install '.[rain]'", AssertionError),
        ("shell\nlisted\nmake tea", AssertionError),
    ],
)
def test_a_block_can_fail(block, error, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(NOT_RUN, "listed", "for this test")
    (tmp_path / "page.md").write_text(f"Words.\n\n```{block}\n```\n")
    with pytest.raises(error):
        run_blocks(tmp_path / "page.md")


@pytest.mark.parametrize(
    "name", ["runs/times.md", "runs/scores.md", "speed/epochs.md", "hard_batches.md"]
)
def test_the_tables_are_the_committed_ones(name):
    text = (RESULTS / name).read_text()
    table = "".join(line + "\n" for line in text.splitlines() if line.startswith("|"))
    assert any(table in page.read_text() + "\n" for page in PAGES)
