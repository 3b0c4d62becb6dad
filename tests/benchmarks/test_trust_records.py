"""The committed records of hours of soak, of the long tests and of the long fuzz campaign are what the pages say."""

import json

import pytest
from helpers.fuzz import CASES
from helpers.paths import DOCS, RESULTS

PAGE = " ".join((DOCS / "reliability.md").read_text().split())


@pytest.mark.parametrize("kind", ["sweep", "estimator"])
def test_memory_was_flat_for_an_hour_and_nothing_was_left_open(kind):
    record = json.loads((RESULTS / "soak" / f"{kind}.json").read_text())
    assert record["flat"]
    assert record["minutes"] >= 60
    hourly, before, after = record["mib_per_hour"], record["before"], record["after"]
    for name in ("files", "children"):
        assert after[name] <= before[name]
    counts = " | ".join(
        f"{before[name]:.0f}, then {after[name]:.0f}" for name in ("files", "threads", "children")
    )
    slope = f"{hourly['slope']:.1f} ({hourly['low']:.1f} to {hourly['high']:.1f})"
    assert (
        f"| {record['rounds']:,} | {before['resident_mib']:.0f} MiB | {slope} | {counts} |" in PAGE
    )


@pytest.mark.parametrize("name", ["long", "fuzz"])
def test_the_long_tests_passed(name):
    record = json.loads((RESULTS / "long" / f"{name}.json").read_text())
    assert record["status"] == record["failed"] == record["error"] == record["skipped"] == 0
    assert record["git_commit"]
    assert len(record["tests"]) == record["passed"]
    if name == "long":
        assert sum("test_killed_at_a_random_moment" in test for test in record["tests"]) == 60
        assert f"{record['passed']} passed" in PAGE
    else:
        assert record["fuzz_times"] == 10
        # The campaigns of identity came later, and are in a record of their own.
        cases = sum(count for name, count in CASES.items() if not name.startswith("identity"))
        assert f"{10 * cases:,} cases" in PAGE


def test_the_inputs_of_the_kinds_that_lose_rows_are_counted():
    record = json.loads((RESULTS / "inputs.json").read_text())
    assert record["status"] == record["failed"] == record["skipped"] == 0
    right, refused = (
        sum(found[outcome] for found in record["counts"].values())
        for outcome in ("right", "refused")
    )
    assert right + refused >= 300
    assert f"{right} were read right, {refused} refused" in PAGE


def test_the_tests_of_gpus_passed_and_the_page_has_the_times():
    folder, page = RESULTS / "gpu" / "nvidia-h200", (DOCS / "gpus.md").read_text()
    record = json.loads((folder / "tests.json").read_text())
    assert record["status"] == record["failed"] == record["skipped"] == 0
    assert f"the {record['passed']} tests of GPUs passed" in page
    for line in (folder / "epochs.md").read_text().splitlines()[2:4]:
        name, _, _, textbook, package, _, ratio, *_ = line.strip("| ").split(" | ")
        medians = [seconds.partition(" ")[0] for seconds in (textbook, package)]
        assert f"| {' | '.join([name, *medians, ratio])} |" in page
