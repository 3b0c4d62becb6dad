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
        assert f"{10 * sum(CASES.values()):,} cases" in PAGE
