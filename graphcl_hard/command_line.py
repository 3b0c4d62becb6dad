"""What the commands share: complaints of one sentence, exit statuses, Ctrl-C."""

import contextlib
import io
import os
import re
import signal
import sys
from collections.abc import Callable
from typing import TypeVar

from graphcl_hard.display import silence_stdout
from graphcl_hard.errors import InputError

BAD_INPUT, INTERRUPTED, NOBODY_READS = 2, 130, 141
T = TypeVar("T")


def exit_status(action: Callable[[], None]) -> int:
    """Do what a command does; the status is 0, 2 for bad input, 130 for Ctrl-C, 141 where nobody reads the output.

    What went wrong is one sentence on stderr. A KeyboardInterrupt may carry the folder that holds what was finished.
    """
    try:
        action()
        sys.stdout.flush()
    except InputError as error:
        return _fail(str(error))
    except BrokenPipeError:
        silence_stdout()
        return NOBODY_READS
    except OSError as error:
        reason = error.strerror or str(error)
        name = error.filename or "A file"
        return _fail(f"{name} cannot be read or written: {reason}; make room or choose another --out.")
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "allocate" not in str(error).lower():
            raise
        return _fail("The memory is too small for this; lower --hidden-channels, --num-layers or --batch-size.")
    except KeyboardInterrupt as interrupt:
        what = f"{interrupt.args[0]} holds what was finished" if interrupt.args else "nothing was written"
        print(f"interrupted: {what}.", file=sys.stderr)
        return INTERRUPTED
    return 0


def one_sentence(prefix: str, parser: Callable[[], T]) -> T:
    """What tyro's parser gives, or its boxed complaint as an `InputError` of one sentence."""
    box = io.StringIO()
    try:
        with contextlib.redirect_stderr(box):
            return parser()
    except SystemExit as end:
        if not end.code:  # --help
            raise
        # The box is drawn in ASCII where the terminal is not UTF-8.
        lines = (line.strip("│|╭╮╰╯+ ") for line in box.getvalue().splitlines())
        parts = re.split(r"[─-]{9,}", "\n".join(lines))
        complaint, *rest = [" ".join(part.split()) for part in parts if part.strip(" \n─")][1:] or ["unknown flags"]
        close = re.findall(r"--[a-z-]+", next((part for part in rest if part.startswith("Perhaps")), ""))
        hint = f"did you mean {' or '.join(dict.fromkeys(close))}?" if close else "see --help."
        raise InputError(f"{prefix}{complaint.rstrip('.')}; {hint}") from None


def interrupt_once(*_: object) -> None:
    """A handler of SIGINT: the first is a KeyboardInterrupt, and the next must not break the tidying up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def prepare_stdout() -> None:
    """Make the output one that can be written to."""
    if sys.stdout is None:  # closed by whoever started this
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a table with a sign that the locale lacks is still a table


def _fail(sentence: str) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    return BAD_INPUT
