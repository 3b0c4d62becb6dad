"""Records of runs come back from JSON and Parquet exactly as they were written, wherever a writer is killed."""

import json
from pathlib import Path

import pyarrow.parquet
import pyarrow.parquet as pq
import pytest
from helpers.paths import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from graphcl_hard.sweeps import records

COMMITTED = sorted(ROOT.glob("*/*/results/records")) + sorted(ROOT.glob("*/results/*/records"))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda values: (
        st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=3), values, max_size=3)
    ),
    max_leaves=8,
)
RECORDS = st.dictionaries(
    st.tuples(st.sampled_from(["A", "B"]), st.sampled_from(["uniform", "hard"]), st.integers(0, 3)),
    st.fixed_dictionaries(
        {"scores": JSON}, optional={"error": JSON, "threads": JSON, "last_epoch": st.integers(0, 9)}
    ),
    max_size=6,
)


def record(dataset, method, seed, **values):
    return {"dataset": dataset, "method": method, "seed": seed, **values}


def exact(value):
    """The value with its types, which equality alone does not see: 1, 1.0 and True are equal."""
    return json.dumps(value, sort_keys=True)


@settings(deadline=None, max_examples=50)
@given(found=RECORDS)
def test_what_is_packed_comes_back_exactly(found, tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    written = [record(*key, **values) for key, values in sorted(found.items())]
    for one in written:
        records.write_record(folder, one)
    for _ in range(2):  # loose, then packed
        assert exact(records.read_records(folder)) == exact(written)
        records.pack_records(folder)
    assert {path.name for path in folder.iterdir()} == {
        f"{dataset}.parquet" for dataset, _, _ in found
    }


def test_a_record_written_again_replaces_the_packed_one_and_others_stay(tmp_path):
    for seed in (0, 1, 10, 2):
        records.write_record(tmp_path, record("A", "hard", seed, status="failed"))
    records.pack_records(tmp_path)
    records.write_record(tmp_path, record("A", "hard", 1, status="finished", threads=2))
    expected = [
        record("A", "hard", 0, status="failed"),
        record("A", "hard", 1, status="finished", threads=2),
    ]
    expected += [record("A", "hard", seed, status="failed") for seed in (2, 10)]
    assert records.read_records(tmp_path) == expected
    records.pack_records(tmp_path)
    assert records.read_records(tmp_path) == expected
    assert pq.read_table(tmp_path / "A.parquet").num_rows == 4


class Killed(BaseException):
    """Ends the writer where it stands."""


@pytest.mark.parametrize("at", ["write_table", "replace", "unlink"])
def test_a_killed_packer_loses_nothing(tmp_path, monkeypatch, at):
    written = [record(dataset, "hard", seed) for dataset in ("A", "B") for seed in (0, 1)]
    for one in written[:3]:
        records.write_record(tmp_path, one)
    records.pack_records(tmp_path)
    records.write_record(tmp_path, written[3])

    def killed(*_, **__):
        raise Killed

    with monkeypatch.context() as patch:
        if at == "write_table":
            patch.setattr(pyarrow.parquet, at, killed)
        else:
            patch.setattr(Path, at, killed)
        with pytest.raises(Killed):
            records.pack_records(tmp_path)
    assert records.read_records(tmp_path) == written
    records.pack_records(tmp_path)
    assert records.read_records(tmp_path) == written
    assert [path.name for path in records.whole_files(tmp_path, "*")] == ["A.parquet", "B.parquet"]


def test_half_written_files_are_not_read(tmp_path):
    records.write_record(tmp_path, record("A", "hard", 0))
    (tmp_path / ".part-abc.parquet").write_bytes(b"PAR1")
    (tmp_path / "A" / "hard" / ".part-abc.json").write_text('{"torn')
    assert records.read_records(tmp_path) == [record("A", "hard", 0)]


@pytest.mark.slow
@pytest.mark.parametrize("folder", COMMITTED, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_the_committed_records_are_packed_and_pack_again_to_themselves(folder, tmp_path):
    found = records.read_records(folder)
    assert found
    assert not list(folder.rglob("*.json"))
    for one in found:
        records.write_record(tmp_path, one)
    records.pack_records(tmp_path)
    assert exact(records.read_records(tmp_path)) == exact(found)


def test_all_committed_sets_of_records_were_found():
    assert len(COMMITTED) == 5
