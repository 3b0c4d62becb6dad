"""The commands by name: `graphcl-hard run` is `python -m graphcl_hard run` and `python -m graphcl_hard.run`."""

import importlib
import sys
from collections.abc import Sequence

from graphcl_hard.runs.early_signals import end_at_once

COMMANDS = {
    "run": "train an encoder without labels and evaluate its embeddings",
    "embed": "embed graphs with the encoder of a run",
    "evaluate": "evaluate saved vectors with probes",
    "convert": "convert graphs to a folder of shards for streaming",
    "finetune": "fine-tune an encoder on labels or targets",
    "sweep": "run the data sets, methods and seeds of a plan, and report the results",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that the first word names, as this process; return its exit status."""
    end_at_once()
    from graphcl_hard.runs.cli import exit_status, prepare_stdout

    prepare_stdout()
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] not in COMMANDS:
        return exit_status(lambda: _no_command(words))
    command = importlib.import_module(f"graphcl_hard.{words[0]}")
    status: int = command.main(words[1:])
    return status


def _no_command(words: Sequence[str]) -> None:
    """Print the commands, where they are asked for; otherwise raise `InputError`."""
    from graphcl_hard.exceptions import InputError
    from graphcl_hard.runs.cli import as_called

    if words and words[0] not in ("-h", "--help"):
        import difflib

        close = difflib.get_close_matches(words[0], COMMANDS)
        hint = f"did you mean {' or '.join(close)}?" if close else "see --help."
        raise InputError(
            f"The command must be one of {', '.join(COMMANDS)}, got {words[0]!r}; {hint}"
        )
    prog = as_called("python -m graphcl_hard")
    print(
        f"usage: {prog} COMMAND ...\n\nGraph representation learning without labels.\n\ncommands:"
    )
    for name, text in COMMANDS.items():
        print(f"  {name:<10}{text}")
    print(f"\n`{prog} COMMAND --help` lists the options of a command.")


if __name__ == "__main__":
    sys.exit(main())
