"""The behaviour that all commands share: errors of one sentence, exit statuses, Ctrl-C and SIGTERM."""

import contextlib
import dataclasses
import io
import os
import re
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from graphcl_hard.exceptions import InputError, short_repr
from graphcl_hard.io.file_names import MOLECULE_FILES
from graphcl_hard.io.paths import Arguments, expand_paths, user_path
from graphcl_hard.runs.display import silence_stdout
from graphcl_hard.runs.early_signals import end_process
from graphcl_hard.runs.flags import with_flags

# For a process that a signal ends, a shell reports 128 plus the number of the signal; schedulers look for these.
RESUMES = "the same command with --out and --resume continues"
BAD_INPUT, INTERRUPTED, NOBODY_READS, TERMINATED = 2, 130, 141, 143


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived, which a scheduler sends before it kills a process."""


def exit_status(action: Callable[[], None], flags: Iterable[str] = ()) -> int:
    """Run the action of a command, which has these flags beside the settings, and return its exit status.

    0: done. 2: bad input, or a file that cannot be read or written. 130: Ctrl-C. 141: the reader of the output is gone.
    143: SIGTERM, with the training saved. An error is one sentence on stderr. A KeyboardInterrupt may carry the folder
    with the results so far, and what continues it.
    """
    try:
        with _initial_state():
            action()
        sys.stdout.flush()
    except InputError as error:
        return _fail(with_flags(str(error), flags))
    except BrokenPipeError:
        silence_stdout()
        return NOBODY_READS
    except OSError as error:
        reason = error.strerror or str(error)
        name = error.filename or "A file"
        return _fail(
            f"{name} cannot be read or written: {reason}; make room or choose another --out."
        )
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "allocate" not in str(error).lower():
            raise
        return _fail(
            "The memory is too small for this; lower --hidden-channels, --num-layers or --batch-size."
        )
    except KeyboardInterrupt as interrupt:
        what = (
            f"{interrupt.args[0]} has the results so far; {(*interrupt.args, RESUMES)[1]}"
            if interrupt.args
            else "nothing was written"
        )
        terminated = isinstance(interrupt, Terminated)
        print(f"{'stopped by SIGTERM' if terminated else 'interrupted'}: {what}.", file=sys.stderr)
        return TERMINATED if terminated else INTERRUPTED
    return 0


def _initial_state() -> AbstractContextManager[None]:
    """Return the state of PyTorch in which the package works; a process that has not loaded it has no other."""
    if "torch" not in sys.modules:
        return nullcontext()
    from graphcl_hard._tensor import initial_state

    return initial_state()


def one_sentence(prefix: str, parser: Callable[[], Arguments]) -> Arguments:
    """Return the result of a tyro parser, with `~` expanded in its paths.

    An error message of the parser becomes an `InputError` of one sentence.
    """
    box = io.StringIO()
    try:
        with contextlib.redirect_stderr(box):
            return expand_paths(parser())
    except SystemExit as end:
        if not end.code:  # --help
            raise
        # The box is drawn in ASCII where the terminal is not UTF-8.
        lines = (line.strip("│|╭╮╰╯+ ") for line in box.getvalue().splitlines())
        parts = re.split(r"[─-]{9,}", "\n".join(lines))
        found = [" ".join(part.split()) for part in parts if part.strip(" \n─")]
        complaint = found[1] if len(found) > 1 else "unknown flags"
        # A flag begins a line; others are in its description.
        perhaps = next((part for part in parts if part.strip().startswith("Perhaps")), "")
        close = re.findall(r"^--[a-z-]+", perhaps, re.MULTILINE)
        hint = f"did you mean {' or '.join(dict.fromkeys(close))}?" if close else "see --help."
        raise InputError(f"{prefix}{complaint.rstrip('.')}; {hint}") from None


def is_molecule_file(data: str, flag: str) -> bool:
    """Return whether data are a file, and not a folder or a name; a name that ends like a file of molecules is one."""
    return user_path(data, flag).is_file() or data.endswith(MOLECULE_FILES)


def check_unused(arguments: Any, names: Iterable[str], where: str) -> None:
    """Raise `InputError` if an argument is given that the command would ignore.

    Args:
        arguments: a dataclass.
        names: of its fields that have no effect.
        where: why, such as "with `split`, which gives the parts".
    """
    defaults = {field.name: field.default for field in dataclasses.fields(arguments)}
    for name in names:
        value = getattr(arguments, name)
        if value != defaults[name]:
            shown = "" if isinstance(value, bool) else f", got {short_repr(value)}"
            given = f"{name}=False" if value is False else name
            raise InputError(f"`{given}` must be left out {where}{shown}; leave it out.")


def interrupt_once(*_: object) -> None:
    """Handle SIGINT: raise KeyboardInterrupt once, and ignore further signals during the clean-up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def terminate_once(*_: object) -> None:
    """Handle SIGTERM: raise `Terminated` once, and ignore further signals during the clean-up."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated


def handle_signals() -> bool:
    """Let Ctrl-C and SIGTERM raise, in a process that started as a command; return whether it did.

    `early_signals.end_at_once` marks such a process. In any other, signals are left as they are.
    """
    ours = signal.getsignal(signal.SIGTERM) is end_process
    if ours:
        signal.signal(signal.SIGINT, interrupt_once)
        signal.signal(signal.SIGTERM, terminate_once)
    return ours


@contextmanager
def signals_wait(
    saved: Callable[[], bool],
) -> Iterator[Callable[[], type[KeyboardInterrupt] | None]]:
    """Let Ctrl-C and SIGTERM, if the command handles them, end the block at once only if everything is saved.

    A second Ctrl-C ends it at once in any case.

    Args:
        saved: function that returns whether everything is saved at the moment.

    Yields:
        A function that returns the exception of a pending signal, or None; the block then saves and raises it.
    """
    pending: type[KeyboardInterrupt] | None = None

    def handler(number: int, _: object) -> None:
        nonlocal pending
        if saved():
            ends[number]()
        pending = pending or (Terminated if number == signal.SIGTERM else KeyboardInterrupt)
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, interrupt_once)
            os.write(
                2,
                b"interrupted: the training is saved first; Ctrl-C again ends at once.\n",
            )

    ends: dict[int, Callable[..., None]]
    ends = {signal.SIGINT: interrupt_once, signal.SIGTERM: terminate_once}
    # A command handles them in its main thread.
    ours = [number for number, end in ends.items() if signal.getsignal(number) is end]
    for number in ours:
        signal.signal(number, handler)
    try:
        yield lambda: pending
    finally:
        for number in ours:
            # Nothing interrupts the clean-up after one of them.
            signal.signal(number, ends[number] if pending is None else signal.SIG_IGN)
    if pending is not None:
        raise pending


def as_called(prog: str) -> str:
    """Return the name of a command for its help: `prog`, or how `graphcl_hard.__main__` was called."""
    caller = Path(sys.argv[0]).name
    if caller == "graphcl-hard":
        return prog.replace("python -m graphcl_hard", caller).replace(".", " ")
    is_package = caller == "__main__.py" and Path(sys.argv[0]).parent.name == "graphcl_hard"
    return prog.replace(".", " ") if is_package else prog


def prepare_stdout() -> None:
    """Make sure that stdout can be written to."""
    if sys.stdout is None:  # closed by the parent process
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(
            errors="replace"
        )  # print a table even if the locale lacks some characters


def _fail(sentence: str) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    return BAD_INPUT


def check_new_file(out: Path, suffixes: Iterable[str], overwrite: bool) -> None:
    """Raise `InputError` if --out is not a file that a command may write."""
    suffixes = tuple(suffixes)
    if out.suffix not in suffixes:
        raise InputError(
            f"--out must end in {', '.join(suffixes)}, got {str(out)!r}; choose one of them."
        )
    if out.exists() and not overwrite:
        raise InputError(
            f"The file {out} exists; give --overwrite to replace it, or another --out."
        )
    if not out.parent.is_dir():
        raise InputError(
            f"The folder {out.parent} for --out does not exist; create it, or choose another --out."
        )
