"""Ctrl-C and SIGTERM while a command's modules load, which takes seconds."""

import os
import signal


def end_at_once() -> None:
    """Let both end the process with a sentence and the status that `cli.exit_status` gives.

    Nothing is on the disk yet, and an exception while modules load may be swallowed by the import system.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end_process)


def end_process(number: int, _: object) -> None:
    """End the process with a sentence and the status of the signal."""
    os.write(2, b"interrupted: nothing was written.\n")
    os._exit(128 + number)
