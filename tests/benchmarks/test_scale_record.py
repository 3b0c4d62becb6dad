"""The committed record of a million graphs holds what docs/scale.md says of it."""

import json
import statistics

from helpers.paths import DOCS, RESULTS

RECORD = json.loads((RESULTS / "scale" / "streaming.json").read_text())
PAGE = " ".join((DOCS / "scale.md").read_text().split())


def test_an_epoch_of_a_million_graphs_takes_less_than_two_gib_and_time_that_grows_with_the_set():
    *_, largest = RECORD["sizes"]
    assert largest["graphs"] == RECORD["set"]["graphs"] == 1_000_000
    assert largest["peak_mib"] < 2048
    rates = [size["graphs_per_second"] for size in RECORD["sizes"]]
    assert max(rates) < 1.3 * min(rates)
    for size in RECORD["sizes"]:
        cells = (
            f"{size['graphs']:,} | {size['seconds']:.0f} | "
            f"{size['graphs_per_second']:,.0f} | {size['peak_mib']:.0f}"
        )
        assert f"| {cells} |" in PAGE


def test_the_rate_from_the_disk_is_that_from_memory():
    medians = {name: statistics.median(found) for name, found in RECORD["rates"]["seconds"].items()}
    ratio = medians["memory"] / medians["disk"]
    assert ratio == RECORD["rates"]["disk_rate_of_memory_rate"]
    assert ratio >= 0.7
    assert f"{ratio:.2f} times the rate from memory" in PAGE


def test_shards_are_read_faster_than_a_data_base():
    medians = {
        name: statistics.median(found)
        for name, found in RECORD["readers"]["graphs_per_second"].items()
    }
    assert f"{medians['shards']:,.0f} graphs a second" in PAGE
    assert f"{medians['OnDiskDataset']:,.0f} by PyG's `OnDiskDataset`" in PAGE
    assert medians["shards"] > 10 * medians["OnDiskDataset"]
