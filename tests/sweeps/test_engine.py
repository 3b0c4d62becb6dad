"""The sweep: what is killed goes on with the same numbers, what fails does not stop the rest, a cluster agrees."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest
from filelock import FileLock
from joblib import effective_n_jobs
from threadpoolctl import threadpool_info

from graphcl_hard import sweep
from graphcl_hard.sweeps import engine, worker
from graphcl_hard.sweeps.cell import Cell
from graphcl_hard.sweeps.methods import KINDS, Kind
from graphcl_hard.sweeps.outlook import estimate
from graphcl_hard.sweeps.plan import read_plan
from graphcl_hard.sweeps.records import read_records

EPOCHS = 30
CELLS = 5
PLAN = f"""
datasets: [TOY]
seeds: 1
settings: {{epochs: {EPOCHS}, score_epochs: [1, 15], folds: 3, repeats: 1, hidden_channels: 4, num_layers: 2,
  batch_size: 8, checkpoint_seconds: 0, pictures: false, accelerator: cpu, data_dir: FOLDER}}
methods:
  - family: majority
  - {{family: untrained, settings: {{epochs: 0}}}}
  - {{family: uniform, settings: {{beta: 0, tau_plus: 0}}}}
  - {{family: hard, grid: {{beta: [1, 5]}}}}
"""


def write_toy(folder):
    """A set in TU format: 15 rings and 15 stars of 4 to 8 nodes."""
    folder.mkdir(parents=True)
    edges, indicator, first = [], [], 1
    for number in range(30):
        nodes = 4 + number % 5
        pairs = [
            (i, (i + 1) % nodes) if number % 2 else (0, i) for i in range(number % 2 == 0, nodes)
        ]
        edges += [f"{first + u}, {first + v}" for a, b in pairs for u, v in ((a, b), (b, a))]
        indicator += [str(number + 1)] * nodes
        first += nodes
    labels = [str(number % 2) for number in range(30)]
    for part, lines in {"A": edges, "graph_indicator": indicator, "graph_labels": labels}.items():
        (folder / f"TOY_{part}.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_toy(folder / "TOY")
    path = folder / "plan.yaml"
    path.write_text(PLAN.replace("FOLDER", str(folder)))
    return path


def command(plan, out, *words):
    return [
        sys.executable,
        "-m",
        "graphcl_hard.sweep",
        str(plan),
        "--out",
        str(out),
        *words,
    ]


@pytest.fixture(scope="module")
def undisturbed(plan, tmp_path_factory):
    """The folder of a sweep that nobody disturbed."""
    out = tmp_path_factory.mktemp("undisturbed")
    done = subprocess.run(command(plan, out), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("to do)") == CELLS
    return out


def records_of(out):
    """All records without what belongs to the moment."""
    passing = ("seconds", "git_commit")
    records = [
        {k: v for k, v in record.items() if k not in passing}
        for record in read_records(out / "records")
    ]
    assert len(records) == CELLS
    assert all(record["status"] == "finished" for record in records)
    return records


def tables_of(out):
    """All tables but those that say how long it took, and on which commit."""
    passing = ("coverage", "provenance")
    return {
        path.name: path.read_text()
        for path in (out / "tables").iterdir()
        if path.stem not in passing
    }


def unfinished(out, rows=10):
    """The run folders that have trained for some epochs, and whose cell has no record yet."""
    found = []
    for path in (out / "runs").glob("*/*/*/metrics.csv"):
        folder = path.parent.relative_to(out / "runs")
        lines = len(path.read_text().splitlines())
        if rows < lines <= EPOCHS and not (out / "records" / f"{folder}.json").exists():
            found.append(path.parent)
    return found


def wait_until(condition, process, seconds=120):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert process.poll() is None, "the sweep ended before it could be disturbed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    return found


@pytest.mark.slow
def test_killed_twice_it_ends_with_the_same_records_and_report(plan, undisturbed, tmp_path):
    words = command(plan, tmp_path)
    workers = []
    for records in (1, 3):  # first when a record is there and a cell is being trained; then later
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        wait_until(
            lambda n=records: len(list(tmp_path.glob("records/*/*/seed-?.json"))) >= n, process
        )
        wait_until(  # with a checkpoint; looked for now, since a worker may end its cell after the kill
            lambda: [f for f in unfinished(tmp_path) if (f / "checkpoint.safetensors").exists()],
            process,
        )
        workers += psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)  # and start again at once, while workers may still die
        assert process.wait() == -signal.SIGKILL
    (tmp_path / "records" / ".part-torn.json").write_text(
        "{"
    )  # what a writer leaves that is killed
    finished = read_records(tmp_path / "records")
    assert 3 <= len(finished) < CELLS
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert psutil.wait_procs(workers, timeout=20)[1] == []  # they ended by themselves
    assert done.stdout.count("to do)") == CELLS - len(finished)
    assert [
        record for record in read_records(tmp_path / "records") if record in finished
    ] == finished
    assert [path.name for path in (tmp_path / "records").iterdir()] == ["TOY.parquet"]
    results = [json.loads(path.read_text()) for path in tmp_path.glob("runs/*/*/*/result.json")]
    assert any(result.get("resumed_after_epoch", 0) > 0 for result in results)
    assert records_of(tmp_path) == records_of(undisturbed)
    assert tables_of(tmp_path) == tables_of(undisturbed)


@pytest.mark.alone
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_and_its_workers_and_it_can_go_on(plan, tmp_path, number, status):
    words = command(plan, tmp_path, "--methods", "uniform", "--jobs", "1")
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    children = psutil.Process(process.pid).children
    # one while the worker trains, the other while it starts
    wait_until(lambda: unfinished(tmp_path) if number == signal.SIGINT else children(), process)
    workers = children(recursive=True)
    process.send_signal(number)
    _, complaints = process.communicate(timeout=60)
    assert process.returncode == status
    assert complaints == "stopped; the same command resumes from here.\n"
    assert psutil.wait_procs(workers, timeout=20)[1] == []
    with FileLock(tmp_path / "runs" / ".sweep.lock", timeout=0):
        pass
    assert bool(unfinished(tmp_path)) == (number == signal.SIGINT)


@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_does_every_cell_once(plan, undisturbed, tmp_path):
    """Two Dask workers in a folder of their own, without the study's modules; one is killed while it trains."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    file = elsewhere / "scheduler.json"
    local = ("--host", "127.0.0.1", "--scheduler-file", str(file))
    options = {"cwd": elsewhere, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    dask = [sys.executable, "-m", "dask"]
    alone = ("--nthreads", "1", "--no-nanny", "--no-dashboard")
    parts = [
        subprocess.Popen(
            [*dask, "scheduler", *local, "--port", "0", "--dashboard-address", ":0"], **options
        )
    ]
    parts += [
        subprocess.Popen([*dask, "worker", *local, *alone, "--name", str(i)], **options)
        for i in range(2)
    ]
    try:
        wait_until(lambda: file.exists() and file.read_text().endswith("}"), parts[0])
        address = json.loads(file.read_text())["address"]
        words = command(plan, tmp_path, "--scheduler", address, "--no-report")
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        killed = wait_until(lambda: at_work(parts[1:], tmp_path), process)
        killed.send_signal(signal.SIGKILL)
        output, complaints = process.communicate(timeout=120)
        assert process.returncode == 0, complaints
        assert sorted(part.poll() is None for part in parts) == [False, True, True]
    finally:
        for part in parts:
            part.kill()
            part.wait()
    assert "dashboard: http://" in output
    assert output.count("to do)") == CELLS
    assert records_of(tmp_path) == records_of(undisturbed)


def test_a_method_that_ended_its_process_is_not_said_to_want_memory():
    error = RuntimeError("The exit codes of the workers are {EXIT(7)}")
    record = engine._killed(cell("a"), 2, error)
    assert "(EXIT(7)); its method ended the process" in record["error"]
    assert "memory" not in record["error"]


def at_work(workers, out):
    """A worker that trains a cell: it holds the lock of the run folder."""
    folders = {str(folder / ".graphcl_hard.lock") for folder in unfinished(out)}
    for process in workers:
        if folders & {file.path for file in psutil.Process(process.pid).open_files()}:
            return process
    return None


def cell(name, seed=0):
    return Cell("TOY", name, "hard", {}, seed, {})


def collect(cells, runs, jobs):
    return {one.key: record for one, record in engine.run_local(cells, runs, jobs, lambda _: None)}


def share_seen(_cell, _runs, threads):
    import torch  # noqa: PLC0415

    with worker.share_of(threads):
        pools = [pool["num_threads"] for pool in threadpool_info()]
        return {
            "torch": torch.get_num_threads(),
            "joblib": effective_n_jobs(-1),
            "pools": pools,
            "pid": os.getpid(),
        }


@pytest.mark.slow
def test_workers_share_the_cores(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "run_cell", share_seen)
    monkeypatch.setattr(engine, "cpu_count", lambda: 4)
    found = collect([cell("a"), cell("b"), cell("c")], tmp_path, 2).values()
    assert len({one["pid"] for one in found}) <= 2
    for one in found:
        assert one["torch"] == one["joblib"] == 2
        assert 0 < max(one["pools"]) <= 2


def deadly(one, runs, _threads):
    """A cell that ends the process that computes it, always or the first time."""
    if one.method == "deadly" or (one.method == "unlucky" and not (runs / "unlucky").exists()):
        (runs / one.method).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"status": "finished"}


@pytest.mark.slow
def test_a_cell_fails_when_workers_died_on_it_twice_and_the_others_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "run_cell", deadly)
    names = ["sound", "deadly", "unlucky", "other"]
    found = collect([cell(name) for name in names], tmp_path, 2)
    assert {method: record["status"] for (_, method, _), record in found.items()} == {
        "sound": "finished",
        "deadly": "failed",
        "unlucky": "finished",
        "other": "finished",
    }
    assert (
        "2 workers died on this cell (SIGKILL(-9)); it may want"
        in found["TOY", "deadly", 0]["error"]
    )


@pytest.mark.slow
def test_a_failed_cell_is_recorded_and_tried_again_on_request_only(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GRAPHCL_HARD_MIRROR", str(tmp_path))
    data = tmp_path / "data"
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        PLAN.replace("FOLDER", str(data)).replace(
            f"epochs: {EPOCHS}, score_epochs: [1, 15]", "epochs: 1"
        )
    )
    words = [
        *command(
            plan,
            tmp_path / "out",
            "--seeds",
            "0",
            "--methods",
            "majority",
            "uniform",
            "--jobs",
            "1",
        )[3:]
    ]
    assert sweep.main(words) == 1
    records = read_records(tmp_path / "out" / "records")
    assert [record["status"] for record in records] == ["failed", "failed"]
    for record in records:
        assert "TOY" in record["error"]
        assert "\n" not in record["error"]
        assert record["scores"] == {}
    told = capsys.readouterr().out
    assert "2 of 2 cells failed" in told
    for record in records:
        assert f"TOY {record['method']} seed 0 failed: {record['error']}\n" in told
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Cells that did not finish" in page

    write_toy(data / "TOY")
    assert sweep.main(words) == 1
    assert "0 of 2 cells to do" in capsys.readouterr().out
    assert read_records(tmp_path / "out" / "records") == records
    assert sweep.main([*words, "--dry-run"]) == 0
    assert "0 of 2 cells to do\n" in capsys.readouterr().out
    assert sweep.main([*words, "--retry-failed", "--no-report"]) == 0
    assert [record["status"] for record in read_records(tmp_path / "out" / "records")] == [
        "finished",
        "finished",
    ]


def test_a_second_sweep_on_the_same_folder_is_refused(plan, tmp_path, capsys):
    (tmp_path / "runs").mkdir()
    with FileLock(tmp_path / "runs" / ".sweep.lock"):
        assert sweep.main(command(plan, tmp_path)[3:]) == 2
    assert (
        f"error: Another sweep is running in {tmp_path / 'runs'}; wait until it ends"
        in capsys.readouterr().err
    )


def test_a_record_of_another_data_set_under_the_same_name_is_not_taken(tmp_path):
    for number in (1, 2):
        write_toy(tmp_path / f"v{number}")
    here, there = (
        Cell("TOY", "majority", "majority", {}, 0, {"folds": 3}, str(tmp_path / f"v{number}"))
        for number in (1, 2)
    )
    record = worker.run_cell(here, tmp_path, 1)
    assert record["status"] == "finished"
    assert here.difference(record) is None
    assert there.difference(record) is None  # the same files elsewhere
    path = tmp_path / "v2" / "TOY_graph_labels.txt"
    path.write_text(path.read_text()[2:] + "0\n")
    assert "data_files " in there.difference(record)
    shutil.rmtree(tmp_path / "v2")  # a machine without the data set
    assert there.difference(record) is None
    del record["data_files"]  # of an earlier version
    assert here.difference(record) is None


def test_a_data_set_that_a_cell_fetches_has_its_files_in_the_record(tmp_path, monkeypatch):
    def fetching(cell, _runs, _threads):
        write_toy(tmp_path / cell.dataset)
        return {**cell.identity(), "status": "finished", "test_sizes": [], "config": {}}

    monkeypatch.setitem(KINDS, "majority", Kind(fetching))
    cell = Cell("TOY", "majority", "majority", {}, 0, {"data_dir": str(tmp_path)})
    record = worker.run_cell(cell, tmp_path, 1)
    assert record["data_files"] is not None
    assert cell.difference(record) is None


@pytest.mark.slow
def test_a_dry_run_leaves_finished_cells_out(plan, undisturbed, capsys):
    assert sweep.main(command(plan, undisturbed, "--dry-run", "--methods", "hard")[3:]) == 0
    assert "0 of 2 cells to do\n" in capsys.readouterr().out


@pytest.mark.slow
def test_a_record_of_other_settings_is_not_taken_for_the_cells(plan, undisturbed, tmp_path, capsys):
    changed = tmp_path / "plan.yaml"
    changed.write_text(plan.read_text().replace("beta: [1, 5]", "beta: [1, 5], batch_size: [8]"))
    assert (
        sweep.main(command(changed, undisturbed, "--dry-run")[3:]) == 0
    )  # other names, other methods
    capsys.readouterr()
    for old, new, sentence in [
        (
            "batch_size: 8",
            "batch_size: 9",
            "has a record with batch_size 8, now 9; choose another --out",
        ),
        ("folds: 3", "folds: 4", "TOY majority seed 0 has a record with folds 3, now 4"),
    ]:
        changed.write_text(plan.read_text().replace(old, new))
        assert sweep.main(command(changed, undisturbed)[3:]) == 2
        assert sentence in capsys.readouterr().err


def test_a_dry_run_lists_cells_and_the_time_that_they_may_take(plan, tmp_path, capsys):
    assert sweep.main(command(plan, tmp_path, "--dry-run")[3:]) == 0
    assert f"{CELLS} of {CELLS} cells to do; unknown time, " in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_the_time_left_is_that_of_like_cells(plan):
    cells = read_plan(plan)
    trained = [cell for cell in cells if cell.family == "hard"]

    def record(dataset, family, epochs, seconds):
        parts = {
            "dataset": dataset,
            "family": family,
            "last_epoch": epochs,
            "seconds": {"total": seconds},
        }
        return {"status": "finished", **parts}

    here = {1: record("TOY", "uniform", 20, 100.0), 2: record("TOY", "majority", 0, 1.0)}
    assert estimate(trained, here) == (200.0, 0, 0)
    assert estimate(trained, here).text(2) == "about 2 min"
    elsewhere = {1: record("DD", "uniform", 20, 50.0), 2: {"status": "failed"}}
    assert estimate(cells, elsewhere) == (150.0, 3, 2)
    assert "guessed from other data sets for 3, without 2 of unknown length" in estimate(
        cells, elsewhere
    ).text(1)


def test_jobs_and_addresses_out_of_range_are_refused(plan, tmp_path, monkeypatch, capsys):
    assert sweep.main(command(plan, tmp_path, "--jobs", "0")[3:]) == 2
    assert "--jobs must be at least 1, got 0" in capsys.readouterr().err
    assert sweep.main(command(plan, tmp_path, "--method", "hard")[3:]) == 2
    assert re.fullmatch("error: .*--method.* did you mean --methods.*\n", capsys.readouterr().err)
    monkeypatch.setattr(engine, "CONNECT_SECONDS", 0.2)
    assert sweep.main(command(plan, tmp_path, "--scheduler", "tcp://127.0.0.1:9")[3:]) == 2
    assert "--scheduler tcp://127.0.0.1:9 cannot be reached" in capsys.readouterr().err
