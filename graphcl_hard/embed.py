"""Embed graphs by the encoder of a run: vectors of graphs that it has seen, or of new ones.

Nodes, and the edges of a gine, become inputs as in the run: its labels have their columns, its attributes its mean and
deviation. A label that the run's data lacks has no column, with a warning; a larger degree counts as the largest there.

Examples:
  python -m graphcl_hard.embed runs/mine --data MUTAG
  python -m graphcl_hard.embed runs/mine --data ./new_graphs --scale log --out vectors.csv
"""

if __name__ == "__main__":
    from graphcl_hard.runs.early_signals import end_at_once

    end_at_once()

import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from graphcl_hard.config import Scale
from graphcl_hard.data.tu.names import check_name, check_spelling, is_path
from graphcl_hard.exceptions import InputError
from graphcl_hard.io.file_names import FEATURES
from graphcl_hard.runs.cli import (
    as_called,
    check_new_file,
    exit_status,
    handle_signals,
    one_sentence,
    prepare_stdout,
)

if TYPE_CHECKING:
    from graphcl_hard.loader.features import FeatureMap

PROG = "python -m graphcl_hard.embed"
WRITTEN = (".npz", ".csv", ".parquet")


@dataclass(frozen=True)
class Arguments:
    """What the command line holds.

    Attributes:
        run: Folder of a run of graphcl_hard.run.
        data: TU data set by name, or the path of a folder in TU format or of one that graphcl_hard.convert made.
        data_dir: Folder that holds data sets, and to which downloads go; as in graphcl_hard.run.
        out: File to write: .npz (arrays vectors, G x D, and y), .csv or .parquet (columns v0, v1, ... and y). y is
            the class of each graph, 0, 1, ..., which graphcl_hard.evaluate reads.
        scale: linear is the embedding as it is; log is sign(x) log(1 + |x|) of it, which a run's probes see.
        batch_size: Graphs in a batch; it changes the memory, and not the vectors.
        overwrite: Replace the file --out.
        quiet: Print nothing but the file that was written, warnings and errors.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    data: Annotated[str, tyro.conf.arg(name="data")]
    data_dir: Path | None = None
    out: Path = Path("vectors.npz")
    scale: Scale = "linear"
    batch_size: int = 128
    overwrite: bool = False
    quiet: bool = False


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status, see `exit_status`."""
    words = list(sys.argv[1:] if argv is None else argv)

    def action() -> None:
        _embed(one_sentence("", lambda: tyro.cli(Arguments, args=words, prog=as_called(PROG), description=__doc__)))

    return exit_status(action)


def read_features(folder: Path) -> "FeatureMap":
    """The map from nodes and edges to inputs that a run left in its folder.

    Raises:
        InputError: there is none, or it is damaged.
    """
    import json

    from graphcl_hard.io.checksum import verify_checksum
    from graphcl_hard.loader.features import FeatureMap

    path = folder / FEATURES
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        verify_checksum(content)
        return FeatureMap.from_dict(content)
    except (OSError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        raise InputError(
            f"{path} cannot be read ({reason}); name the folder of a run, made by this version."
        ) from error


def _embed(arguments: Arguments) -> None:
    _check(arguments)
    if not is_path(arguments.data):
        check_spelling(check_name(arguments.data))

    from graphcl_hard.data.load import open_dataset
    from graphcl_hard.evaluation.checks import rescale
    from graphcl_hard.io.vectors import write_vectors
    from graphcl_hard.loader.streaming import make_batches
    from graphcl_hard.nn.encoders.pretrained import load_encoder
    from graphcl_hard.runs.display import Display
    from graphcl_hard.training.loop import embeddings

    handle_signals()
    display = Display(arguments.quiet)
    encoder = load_encoder(arguments.run)
    features = read_features(arguments.run)
    if encoder.edge_channels is not None and features.edges is None:
        raise InputError(
            f"{arguments.run} has the encoder gine and no map of the edges' features, which an earlier version did not "
            "keep; run it again by its config.yaml."
        )
    with display.download(arguments.data) as progress:
        graphs = open_dataset(arguments.data, data_dir=arguments.data_dir, progress=progress)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        batches = make_batches(graphs, features, dtype=next(encoder.parameters()).dtype)
    for warning in caught:
        display.warn(str(warning.message))
    with display.bar("embedding", graphs.num_graphs) as show:
        parts = embeddings(encoder, batches, arguments.batch_size, show)
        width = write_vectors(arguments.out, (rescale(part, arguments.scale) for part in parts), graphs.y.numpy())
    display.say(f"written: {arguments.out}: {graphs.num_graphs} graphs, {width} numbers each")
    if arguments.quiet:
        print(arguments.out)


def _check(arguments: Arguments) -> None:
    check_new_file(arguments.out, WRITTEN, arguments.overwrite)
    if arguments.batch_size < 1:
        raise InputError(f"--batch-size must be at least 1, got {arguments.batch_size}; 128 is usual.")


if __name__ == "__main__":
    prepare_stdout()
    sys.exit(main())
