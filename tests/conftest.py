"""What several test files share: a small data set, a finished run, a browser, the rule for tests that need the eight
data sets, and a record of what passed."""

import json
import os
import shlex
import shutil
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path

import networkx as nx
import pytest
import torch
from helpers.fuzz import TIMES
from helpers.graphs import graph_data
from helpers.runs import FINISHED

from graphcl_hard.io.atomic_write import atomic_write
from graphcl_hard.run import main
from graphcl_hard.runs.environment import environment


def pytest_addoption(parser):
    parser.addoption(
        "--record", metavar="FILE", type=Path, help="write what passed, and on what, as JSON"
    )


def pytest_terminal_summary(terminalreporter, exitstatus, config):
    path = config.getoption("--record")
    if path is None:
        return
    outcomes = ("passed", "failed", "error", "skipped")
    found = [(kind, report) for kind in outcomes for report in terminalreporter.stats.get(kind, [])]
    seconds = Counter()  # with what comes before and after each test
    for reports in terminalreporter.stats.values():
        for report in reports:
            seconds[getattr(report, "nodeid", "")] += getattr(report, "duration", 0)
    words = list(config.invocation_params.args)
    for word in [word for word in words if word.startswith("--record")]:
        place = words.index(word)  # where the record goes is no part of what was tested
        del words[place : place + (1 if "=" in word else 2)]
    record = {
        "command": shlex.join(["python", "-m", "pytest", *words]),
        "ended": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "status": int(exitstatus),
        **{kind: sum(kind == other for other, _ in found) for kind in outcomes},
        "fuzz_times": TIMES,
        "threads": torch.get_num_threads(),
        **environment(),
        "tests": {
            report.nodeid: [kind, round(seconds[report.nodeid], 1)] for kind, report in found
        },
        "counts": {
            name: value
            for _, report in found
            for name, value in getattr(report, "user_properties", ())
        },
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as partial:
        partial.write_text(json.dumps(record, indent=1) + "\n")


def pytest_collection_modifyitems(items):
    if os.environ.get("GRAPHCL_HARD_MIRROR"):
        return
    skip = pytest.mark.skip(
        reason="needs the eight TU sets: set GRAPHCL_HARD_MIRROR to a folder with their zip files"
    )
    for item in items:
        if "mirror" in item.keywords:
            item.add_marker(skip)


@pytest.fixture
def toy():
    """24 graphs in 2 classes: cycles and stars, with one isolated node, and one graph without edges."""
    graphs, labels = [], []
    for i in range(12):
        graphs += [nx.cycle_graph(4 + i % 5), nx.star_graph(3 + i % 5)]
        labels += [0, 1]
    for graph in graphs:
        for node in graph.nodes:
            graph.nodes[node]["label"] = graph.degree(node) % 3
    graphs[3].add_node(graphs[3].number_of_nodes())
    graphs[6] = nx.empty_graph(1)
    return graph_data(graphs, labels)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The folder of a finished run on MUTAG with the words `FINISHED`: copy it before you change anything in it."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    assert main([*FINISHED, "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    executable = (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    if executable is None:
        pytest.skip("there is no Chromium on the PATH")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-gpu"]
        )
        yield chromium
        chromium.close()
