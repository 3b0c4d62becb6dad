"""Faults: whenever and however a run ends, resuming its folder gives the numbers of an uninterrupted run."""

import ctypes
import errno
import itertools
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.paths import ROOT
from helpers.runs import assert_whole, left_by

from graphcl_hard import load_graphs, write_shards
from graphcl_hard.data import load
from graphcl_hard.io import atomic_write as atomic_write_module
from graphcl_hard.io.file_names import CHECKPOINTS
from graphcl_hard.loader import streaming
from graphcl_hard.run import main
from graphcl_hard.runs import experiment
from graphcl_hard.runs.cli import Terminated, interrupt_once, signals_wait, terminate_once
from graphcl_hard.runs.early_signals import end_at_once
from graphcl_hard.training import loop

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
    "--quiet",
]
QUICK = [*SMALL, "--checkpoint-seconds", "0"]
KINDS = {
    "one seed": ["--epochs", "25", "--score-epochs", "0", "7"],
    "two seeds": ["--epochs", "8", "--seeds", "2"],
    "graphcl": ["--epochs", "10", "--method", "graphcl", "--views", "random", "subgraph"],
}
MOMENTS = 20
SEED = 20260

# One process loads the modules and each run is a fork of it, which saves seconds per run.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(
    ["graphcl_hard.run", "graphcl_hard.runs.experiment", "graphcl_hard.data.load"]
)


def words(out, *more):
    return [*QUICK, *more, "--out", str(out)]


def in_fork(log, argv, dies_at=None, batch=None, number=None, window=None):
    """Run the command; with `dies_at`, only until the rename with this number, counted from 0.

    With `batch`, a signal of this `number` comes during the step of that batch, counted from 1, and every step writes a
    checkpoint if the signal is SIGKILL; with `window`, data on disk are read in windows of so many graphs.
    """
    sys.stdout = sys.stderr = log.open("a", buffering=1)
    if number is not None:
        end_at_once()  # as in a process that starts as the command
    if number == signal.SIGKILL:
        experiment.WITHIN_EPOCH = 0.0
    if batch is not None:
        yielded, batches = iter(range(1, 10**9)), loop.epoch_batches

        def signalling(*arguments):
            for one in batches(*arguments):
                if next(yielded) == batch:
                    os.kill(os.getpid(), number)
                yield one

        loop.epoch_batches = signalling
    if window is not None:
        load.WINDOW = streaming.WINDOW = window
        streaming.BLOCK = window // 8
    if dies_at is not None:
        renamings, replace = iter(range(10**9)), Path.replace

        def dying(self, target):
            if next(renamings) == dies_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return replace(self, target)

        Path.replace = dying
    sys.exit(main(argv))


def started(log, argv, **options):
    process = processes.Process(target=in_fork, args=(log, argv), kwargs=options)
    process.start()
    return process


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Return the folder and the duration of a run of each kind."""
    folder, found = tmp_path_factory.mktemp("undisturbed"), {}
    started(folder / "log", ["--print-config"]).join()  # the modules are loaded
    for kind, more in KINDS.items():
        start = time.monotonic()
        process = started(folder / "log", words(folder / kind, *more))
        process.join()
        assert process.exitcode == 0, (folder / "log").read_text()
        found[kind] = left_by(folder / kind), time.monotonic() - start
    return found


def random_moments():
    """Return the cases: the first for every change, twenty more of each kind for `make test-long`."""
    chance = random.Random(SEED)
    kinds = list(KINDS)
    for number in range(MOMENTS + MOMENTS * len(kinds)):
        marks = [pytest.mark.long] if number >= MOMENTS else []
        yield pytest.param(
            kinds[number % len(kinds)], round(chance.uniform(0.02, 0.98), 3), marks=marks
        )


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "moment"), list(random_moments()))
def test_killed_at_a_random_moment_it_goes_on_to_the_same_numbers(
    undisturbed, tmp_path, kind, moment
):
    expected, seconds = undisturbed[kind]
    out, log = tmp_path / "run", tmp_path / "log"
    while True:
        process = started(log, words(out, *KINDS[kind]))
        process.join(moment * seconds)
        process.kill()
        process.join()
        if process.exitcode == -signal.SIGKILL:
            break
        assert process.exitcode == 0, log.read_text()
        shutil.rmtree(out)  # the run ended before the signal
        moment *= 0.8
    if out.exists():
        assert_whole(out)
    process = started(log, words(out, *KINDS[kind], "--resume"))
    process.join()
    assert process.exitcode == 0, log.read_text()
    assert left_by(out) == expected


METHODS = {
    "infograph": ["--nodes-per-graph", "4", "--effective-negatives", "0.3"],
    "graphcl": ["--method", "graphcl", "--views", "random", "subgraph", "--negative-queue", "40"],
    "hard batches": ["--similar-graphs", "8"],
}


@pytest.fixture(scope="module")
def mutag_on_disk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards") / "MUTAG"
    write_shards(folder, load_graphs("MUTAG").chunks())
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("window", [None, 64])
@pytest.mark.parametrize("method", METHODS)
def test_killed_within_an_epoch_it_goes_on_to_the_same_numbers(
    mutag_on_disk, tmp_path, method, window
):
    """An epoch has 6 steps; on disk in windows of 2. The second process starts after 3 and ends in epoch 2."""
    more = [*METHODS[method], "--epochs", "3", "--batch-size", "32", "--score-epochs", "0", "2"]
    more += ["--dataset", str(mutag_on_disk)]
    whole, out, log = tmp_path / "whole", tmp_path / "run", tmp_path / "log"
    process = started(log, words(whole, *more), window=window)
    process.join()
    assert process.exitcode == 0, log.read_text()
    for batch, resume in ((4, []), (6, ["--resume"])):
        process = started(
            log, words(out, *more, *resume), batch=batch, number=signal.SIGKILL, window=window
        )
        process.join()
        assert process.exitcode == -signal.SIGKILL, log.read_text()
        assert_whole(out)
    process = started(log, words(out, *more, "--resume"), window=window)
    process.join()
    assert process.exitcode == 0, log.read_text()
    result = json.loads((out / "result.json").read_text())
    assert (result["resumed_after_epoch"], result["resumed_after_step"]) == (1, 2)
    assert left_by(out) == left_by(whole)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_within_an_epoch_saves_its_steps(tmp_path, number):
    more = ["--epochs", "2", "--batch-size", "32", "--checkpoint-seconds", "1000"]
    out, log = tmp_path / "run", tmp_path / "log"
    process = started(log, words(out, *more), batch=10, number=number)
    process.join()
    assert process.exitcode == 128 + number, log.read_text()
    result = json.loads((out / "result.json").read_text())
    assert (result["status"], result["epoch"]) == ("interrupted", 1)
    process = started(log, words(out, *more, "--resume"), batch=1, number=number)
    process.join()
    # Nothing was done that is not saved, so that it ended at once.
    assert process.exitcode == 128 + number, log.read_text()
    result = json.loads((out / "result.json").read_text())
    assert (result["resumed_after_epoch"], result["resumed_after_step"]) == (1, 4)
    assert (result["status"], result["epoch"]) == ("interrupted", 1)
    assert main(words(out, *more, "--resume")) == 0
    assert main(words(tmp_path / "whole", *more)) == 0
    assert left_by(out) == left_by(tmp_path / "whole")


RENAMINGS = 17  # renames in a run of 2 epochs


@pytest.mark.slow
def test_killed_at_any_renaming_of_a_file_it_goes_on_to_the_same_numbers(tmp_path):
    """This includes the time between the two renames that rotate the checkpoints."""
    short, log = ["--epochs", "2"], tmp_path / "log"
    assert main(words(tmp_path / "whole", *short)) == 0
    expected = left_by(tmp_path / "whole")
    out = tmp_path / "run"
    for number in range(RENAMINGS):
        process = started(log, words(out, *short), dies_at=number)
        process.join()
        assert process.exitcode == -signal.SIGKILL, (number, log.read_text())
        assert_whole(out)
        assert main(words(out, *short, "--resume")) == 0
        assert left_by(out) == expected
        shutil.rmtree(out)
    process = started(log, words(out, *short), dies_at=RENAMINGS)
    process.join()
    assert process.exitcode == 0  # there were no more renames


@pytest.mark.slow
@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_disk_that_fails_at_any_file_is_one_sentence_and_the_run_goes_on_later(
    reason, tmp_path, monkeypatch, capsys
):
    short = ["--epochs", "2"]
    assert main(words(tmp_path / "whole", *short)) == 0
    expected = left_by(tmp_path / "whole")
    make = atomic_write_module.tempfile.mkstemp
    out, files = tmp_path / "run", 0
    for number in range({errno.ENOSPC: 0, errno.EROFS: 1, errno.EIO: 2}[reason], 99, 3):
        made = iter(range(10**9))

        def failing(number=number, made=made, **options):
            if next(made) >= number:
                raise OSError(reason, os.strerror(reason))
            return make(**options)

        monkeypatch.setattr(atomic_write_module.tempfile, "mkstemp", failing)
        status = main(words(out, *short))
        monkeypatch.setattr(atomic_write_module.tempfile, "mkstemp", make)
        error = capsys.readouterr().err
        if status == 0:
            break
        files += 1
        assert status == 2
        assert error.count("\n") == 1
        assert (
            f" cannot be read or written: {os.strerror(reason)}; make room or choose another --out."
            in error
        )
        if out.exists():
            assert_whole(out)
        assert main(words(out, *short, "--resume")) == 0
        assert left_by(out) == expected
        shutil.rmtree(out)
    assert files >= 5


def run(argv, **options):
    command = [sys.executable, "-m", "graphcl_hard.run", *argv]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


@pytest.mark.slow
def test_a_disk_that_fills_up_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    """Each evaluated epoch makes the checkpoint longer; the file size is limited to that of the third."""
    more = ["--epochs", "5", "--score-epochs", *"01234"]
    sizes, write = [], experiment.write_checkpoint
    last = tmp_path / "whole" / CHECKPOINTS[0]
    monkeypatch.setattr(
        experiment,
        "write_checkpoint",
        lambda *args: sizes.append(write(*args) or last.stat().st_size),
    )
    assert main(words(tmp_path / "whole", *more)) == 0
    monkeypatch.undo()
    most = (sizes[2] + sizes[3]) // 2

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    out = tmp_path / "run"
    process = run(words(out, *more), preexec_fn=limit)
    _, error = process.communicate(timeout=300)
    assert process.returncode == 2
    where = out / CHECKPOINTS[0]
    assert (
        error
        == f"error: {where} cannot be read or written: File too large; make room or choose another --out.\n"
    )
    assert_whole(out)
    assert main(words(out, *more, "--resume")) == 0
    assert json.loads((out / "result.json").read_text())["resumed_after_epoch"] == 3
    assert left_by(out) == left_by(tmp_path / "whole")


def without_privilege():
    """Drop the capabilities by which root may write anywhere."""
    if os.geteuid() == 0:
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            assert ctypes.CDLL(None).prctl(24, capability, 0, 0, 0) == 0  # PR_CAPBSET_DROP


@pytest.mark.slow
@pytest.mark.parametrize("what", ["the folder around it", "the folder of a run"])
def test_a_read_only_folder_is_one_sentence_and_nothing_changes(what, tmp_path):
    out = tmp_path / "around" / "run"
    out.parent.mkdir()
    if what == "the folder of a run":
        assert main(words(out, "--epochs", "1")) == 0
    folder = out if out.exists() else out.parent
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    folder.chmod(0o555)
    try:
        process = run(words(out, "--epochs", "1", "--resume"), preexec_fn=without_privilege)
        _, error = process.communicate(timeout=300)
    finally:
        folder.chmod(0o755)
    assert process.returncode == 2
    assert (
        error
        == f"error: The folder {out} cannot be written: Permission denied; choose another --out.\n"
    )
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


@pytest.fixture
def stopped(tmp_path, monkeypatch, capsys):
    """Return a run of 8 epochs that was stopped after the fifth, and its arguments."""
    calls, write = [], experiment.write_checkpoint

    def stopping(*arguments):
        write(*arguments)
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(experiment, "write_checkpoint", stopping)
    out = words(tmp_path / "run", "--epochs", "8")
    assert main(out) == 130
    monkeypatch.undo()
    assert main(words(tmp_path / "whole", "--epochs", "8")) == 0
    capsys.readouterr()
    return tmp_path / "run", [*out, "--resume"], left_by(tmp_path / "whole")


def flipped(content):
    return content[:-9] + bytes([content[-9] ^ 4]) + content[-8:]


DAMAGE = {
    "flipped": (flipped, "was changed or damaged (its checksum does not match)"),
    "cut short": (lambda content: content[: len(content) // 2], "cannot be read: "),
    "empty": (lambda _: b"", "cannot be read: "),
    "zeros": (lambda content: bytes(len(content)), "cannot be read: "),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_of_a_damaged_checkpoint_the_one_before_is_used_and_it_says_so(damage, stopped, capsys):
    out, argv, expected = stopped
    last, before = (out / name for name in CHECKPOINTS)
    change, complaint = DAMAGE[damage]
    last.write_bytes(change(last.read_bytes()))
    assert main(argv) == 0
    error = capsys.readouterr().err
    assert error.startswith(f"warning: The checkpoint {last} {complaint}")
    assert error.endswith("; the one before it is used, of epoch 4.\n")
    assert json.loads((out / "result.json").read_text())["resumed_after_epoch"] == 4
    assert left_by(out) == expected
    assert not before.exists()


@pytest.mark.slow
def test_of_a_damaged_checkpoint_within_an_epoch_the_one_before_is_used(
    tmp_path, monkeypatch, capsys
):
    more = ["--epochs", "1", "--batch-size", "32"]
    out, calls, write = tmp_path / "run", [], experiment.write_checkpoint

    def stopping(*arguments):
        write(*arguments)
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(experiment, "WITHIN_EPOCH", 0.0)
    monkeypatch.setattr(experiment, "write_checkpoint", stopping)
    assert main(words(out, *more)) == 130
    monkeypatch.undo()
    assert main(words(tmp_path / "whole", *more)) == 0
    last = out / CHECKPOINTS[0]
    last.write_bytes(flipped(last.read_bytes()))
    capsys.readouterr()
    assert main(words(out, *more, "--resume")) == 0
    error = capsys.readouterr().err
    assert error.startswith(f"warning: The checkpoint {last} was changed or damaged")
    assert error.endswith("; the one before it is used, of step 2 of epoch 1.\n")
    assert left_by(out) == left_by(tmp_path / "whole")


def test_an_epoch_of_less_than_five_minutes_has_no_checkpoint_within(tmp_path, monkeypatch):
    """Each look at the clock is a minute later, so that an epoch of 4 steps has none and one of 6 has one."""
    more = ["--epochs", "1", "--no-evaluate"]
    saved, write = [], experiment.write_checkpoint

    def noting(folder, state, progress):
        saved.append((state.epoch, state.partial and len(state.partial.anchors)))
        write(folder, state, progress)

    monkeypatch.setattr(experiment, "write_checkpoint", noting)
    for size, expected in ((47, [(1, None)]), (32, [(0, 5), (1, None)])):
        clock = SimpleNamespace(
            monotonic=itertools.count(0, 60).__next__, perf_counter=time.perf_counter
        )
        monkeypatch.setattr(experiment, "time", clock)
        assert main(words(tmp_path / str(size), *more, "--batch-size", str(size))) == 0
        assert saved == expected
        saved.clear()


def test_without_a_whole_checkpoint_it_is_refused_and_after_removing_them_starts_again(
    stopped, capsys
):
    out, argv, expected = stopped
    paths = [out / name for name in CHECKPOINTS]
    for path in paths:
        path.write_bytes(flipped(path.read_bytes()))
    assert main(argv) == 2
    error = capsys.readouterr().err
    assert error.count("its checksum does not match") == 2
    assert error.endswith("; remove it to start again.\n")
    assert all(path.exists() for path in paths)
    for path in paths:
        path.unlink()
    assert main(argv) == 0
    assert left_by(out) == expected


def test_a_checkpoint_of_another_model_is_refused(stopped, tmp_path, capsys):
    out, argv, _ = stopped
    other = tmp_path / "other"
    shutil.copytree(out, other)
    (other / "config.yaml").write_text(
        (other / "config.yaml").read_text().replace("num_layers: 2", "num_layers: 1")
    )
    words_of_other = [*argv, "--num-layers", "1", "--out", str(other)]
    assert main(words_of_other) == 2
    error = capsys.readouterr().err
    assert error.count("is of another training: Error(s) in loading state_dict") == 2
    assert error.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], ["--resume"], ["--overwrite"]])
def test_of_two_runs_with_one_folder_one_is_refused_and_one_is_whole(more, undisturbed, tmp_path):
    expected, _ = undisturbed["one seed"]
    out, logs = tmp_path / "run", [tmp_path / "log-0", tmp_path / "log-1"]
    both = [started(log, words(out, *KINDS["one seed"], *more)) for log in logs]
    for process in both:
        process.join()
    statuses = sorted(process.exitcode for process in both)
    # A process that starts after the other has ended finds a run, and continues or replaces it.
    assert statuses == [0, 2] or (more and statuses == [0, 0])
    for process, log in zip(both, logs, strict=True):
        if process.exitcode:
            found = log.read_text()
            assert found.startswith(
                (f"error: Another run is writing to {out}; ", f"error: The folder {out} has ")
            )
            assert found.count("\n") == 1
    assert left_by(out) == expected


def test_a_clock_that_is_set_back_keeps_no_checkpoint_from_being_written(tmp_path, monkeypatch):
    hours = iter(range(10**9, 0, -3600))
    monkeypatch.setattr(time, "time", lambda: float(next(hours)))
    written, write = [], experiment.write_checkpoint
    monkeypatch.setattr(
        experiment, "write_checkpoint", lambda *args: (written.append(1), write(*args))[1]
    )
    assert main(words(tmp_path / "run", "--epochs", "4")) == 0
    assert len(written) == 4
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert all(seconds >= 0 for seconds in result["seconds"].values())


def wait_for(process, condition):
    while process.poll() is None and not condition():
        time.sleep(0.002)


def rows(out):
    path = out / "metrics.csv"
    return len(path.read_text().splitlines()) - 1 if path.exists() else 0


WAITS = "interrupted: the training is saved first; Ctrl-C again ends at once.\n"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_saves_the_last_whole_epoch(tmp_path, number):
    more = ["--epochs", "60", "--checkpoint-seconds", "1000"]
    assert main(words(tmp_path / "whole", *more)) == 0
    out = tmp_path / "run"
    process = run(words(out, *more))
    wait_for(process, lambda: rows(out) >= 5)
    # A second SIGTERM must not interrupt saving; a second Ctrl-C asks for it.
    for _ in range(1 if number == signal.SIGINT else 2):
        process.send_signal(number)
    _, error = process.communicate(timeout=300)
    assert process.returncode == 128 + number
    says = "interrupted" if number == signal.SIGINT else "stopped by SIGTERM"
    # Only a Ctrl-C in the middle of an epoch is answered with a sentence of its own first.
    assert error.removeprefix(WAITS if number == signal.SIGINT else "") == (
        f"{says}: {out} has the results so far; the same command with --out and --resume continues.\n"
    )
    done = rows(out)
    assert 5 <= done < 60
    result = json.loads((out / "result.json").read_text())
    assert (result["status"], result["epoch"]) == ("interrupted", done)
    assert_whole(out)
    assert main(words(out, *more, "--resume")) == 0
    assert json.loads((out / "result.json").read_text())["resumed_after_epoch"] == done
    assert left_by(out) == left_by(tmp_path / "whole")


@pytest.mark.slow
def test_sigterm_while_it_evaluates_ends_at_once_with_143(tmp_path):
    out = tmp_path / "run"
    process = run(words(out, "--epochs", "2", "--folds", "10", "--repeats", "20"))
    wait_for(process, lambda: rows(out) == 2 and (out / CHECKPOINTS[1]).exists())
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=300)
    assert process.returncode == 143
    assert "Traceback" not in error
    assert json.loads((out / "result.json").read_text())["status"] == "interrupted"
    assert (out / CHECKPOINTS[0]).exists()


@pytest.mark.parametrize("delay", [1.0, 2.5])
def test_sigterm_while_starting_up_ends_with_143(tmp_path, delay):
    process = run(words(tmp_path / "run", "--epochs", "100000"))
    time.sleep(delay)  # earlier, the interpreter itself may be starting
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=300)
    assert process.returncode == 143
    assert error.startswith(("interrupted: ", "stopped by SIGTERM: "))
    assert error.count("\n") == 1


COMMANDS = [
    *(["-m", f"graphcl_hard.{name}"] for name in ("run", "embed", "evaluate", "convert", "sweep")),
    *(["-m", "graphcl_hard", name] for name in ("run", "embed", "evaluate", "convert", "sweep")),
]


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="needs /proc, to see when a signal is handled"
)
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[-1])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_while_modules_load_is_one_sentence(tmp_path, command, number):
    words = ["MUTAG", "--out", str(tmp_path / "out"), "--data", "MUTAG"]
    process = subprocess.Popen(
        [sys.executable, *command, *words], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    status = Path(f"/proc/{process.pid}/status")
    while (
        not int(status.read_text().partition("SigCgt:")[2].split()[0], 16) >> signal.SIGTERM - 1 & 1
    ):
        pass  # the interpreter itself is starting
    process.send_signal(number)
    _, error = process.communicate(timeout=300)
    assert (process.returncode, error) == (128 + number, "interrupted: nothing was written.\n")
    assert not (tmp_path / "out").exists()


ENDS = {signal.SIGINT: interrupt_once, signal.SIGTERM: terminate_once}
RAISES = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}


@pytest.fixture
def handled():
    before = {number: signal.signal(number, end) for number, end in ENDS.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def interrupted(saved, *numbers):
    """Raise signals in a block; return what is pending before each, and after the last, and what the block raises."""
    seen = []

    def block():
        with signals_wait(lambda: saved) as pending:
            seen.append(pending())
            for number in numbers:
                signal.raise_signal(number)
                seen.append(pending())

    with pytest.raises(KeyboardInterrupt) as raised:
        block()
    return seen, raised.type


@pytest.mark.usefixtures("handled")
@pytest.mark.parametrize("number", ENDS, ids=lambda number: number.name)
def test_a_signal_waits_only_while_something_is_not_saved(number, capfd):
    raises = RAISES[number]
    assert interrupted(True, number) == ([None], raises)
    signal.signal(number, ENDS[number])
    assert interrupted(False, number) == ([None, raises], raises)
    assert capfd.readouterr().err == (WAITS if number == signal.SIGINT else "")
    assert signal.getsignal(number) == signal.SIG_IGN  # during the clean-up


@pytest.mark.usefixtures("handled")
def test_a_second_ctrl_c_ends_at_once():
    twice = interrupted(False, signal.SIGINT, signal.SIGINT)
    assert twice == ([None, KeyboardInterrupt], KeyboardInterrupt)


@pytest.mark.usefixtures("handled")
def test_after_the_block_signals_end_at_once_again():
    with signals_wait(lambda: False):
        pass
    assert {number: signal.getsignal(number) for number in ENDS} == ENDS


def test_handlers_that_are_not_the_commands_are_left_as_they_are():
    before = {number: signal.getsignal(number) for number in ENDS}
    with signals_wait(lambda: False):
        assert {number: signal.getsignal(number) for number in ENDS} == before
