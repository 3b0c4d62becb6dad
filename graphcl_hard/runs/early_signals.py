"""Handlers of Ctrl-C and SIGTERM while the modules of a command load, which takes seconds."""

import os
import signal


def end_at_once() -> None:
    """Make both signals end the process with a message and the exit status of `cli.exit_status`.

    At this point nothing has been written. The import system may swallow an exception raised while modules load, so the
    handler raises none.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end_process)


def end_process(number: int, _: object) -> None:
    """End the process with a message and the exit status of the signal."""
    os.write(2, b"interrupted: nothing was written.\n")
    os._exit(128 + number)
