"""Embed graphs or molecules with the encoder of a run, those that it was trained on or new ones.

Node features, and for gine edge features, are made as in the run: labels have the same columns, and attributes are
standardised by the same mean and standard deviation. A label that the data of the run did not have has no column and
causes a warning; a degree above the largest one there counts as the largest.

Examples:
  python -m graphcl_hard.embed runs/mine --data MUTAG
  python -m graphcl_hard.embed runs/mine --data ./new_graphs --scale log --out vectors.csv
  python -m graphcl_hard.embed molecules-random --data library.csv --smiles smiles --id name --out vectors.parquet
"""

if __name__ == "__main__":
    from graphcl_hard.runs.early_signals import end_at_once

    end_at_once()

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from graphcl_hard.config import Scale
from graphcl_hard.data.tu.names import check_name, check_spelling, is_path
from graphcl_hard.exceptions import InputError
from graphcl_hard.io.file_names import TABLES
from graphcl_hard.io.paths import user_path
from graphcl_hard.runs.cli import (
    as_called,
    check_new_file,
    check_unused,
    exit_status,
    handle_signals,
    is_molecule_file,
    one_sentence,
    prepare_stdout,
)

if TYPE_CHECKING:
    from graphcl_hard.data.graph_data import GraphSource
    from graphcl_hard.loader.features import FeatureMap
    from graphcl_hard.runs.display import Display

PROG = "python -m graphcl_hard.embed"
WRITTEN = (".npz", ".csv", ".parquet")


@dataclass(frozen=True)
class Arguments:
    """The arguments of the command.

    Attributes:
        run: Folder of a run of graphcl_hard.run, or one that `save_pretrained` of a `HardInfoGraph` wrote; or
            molecules-random, an untrained encoder of molecules that comes with the package.
        data: Name of a TU data set, path of a folder in TU format or of one that graphcl_hard.convert made, or a file
            of molecules: .csv, .csv.gz or .parquet with a column of SMILES, .smi, .smi.gz, .sdf or .sdf.gz.
        smiles: Name of the column with the SMILES, in .csv and .parquet files.
        labels: Names of columns of a file of molecules, or properties of an SDF, that are kept as y beside the vectors.
        id: Name of a column of a file of molecules with a different id in each row, which is kept beside the vectors;
            "name" in .smi and .sdf files. The default is the number of the row, from 0.
        skip_invalid: Leave out rows that RDKit cannot read, and list them in a file beside --out, vectors.left-out.csv.
        jobs: Number of processes that convert molecules; -1 takes one for each core.
        data_dir: Folder that holds data sets and receives downloads, as in graphcl_hard.run.
        out: File to write: .npz (arrays vectors, G x D, id and y), .csv or .parquet (columns id, v0, v1, ... and y).
            id is the identity of each graph: the row of a table, or the number in a TU folder. y is its label as the
            data have it, which graphcl_hard.evaluate reads; there is none without labels. Several targets are y, G x T,
            with their names in targets, or columns y.NAME.
        scale: linear: the embedding itself; log: sign(x) log(1 + |x|) of it, the input of a run's probes.
        batch_size: Number of graphs in a batch; it changes the memory, and not the vectors.
        overwrite: Replace the file --out.
        quiet: Print only the file that was written, warnings and errors.
    """

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    data: Annotated[str, tyro.conf.arg(name="data")]
    smiles: str = "smiles"
    labels: tuple[str, ...] = ()
    id: str | None = None
    skip_invalid: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    jobs: int = 1
    data_dir: Path | None = None
    out: Path = Path("vectors.npz")
    scale: Scale = "linear"
    batch_size: int = 128
    overwrite: bool = False
    quiet: bool = False


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status, see `exit_status`."""
    words = list(sys.argv[1:] if argv is None else argv)

    def action() -> None:
        _embed(
            one_sentence(
                "",
                lambda: tyro.cli(Arguments, args=words, prog=as_called(PROG), description=__doc__),
            )
        )

    return exit_status(action, [field.name for field in dataclasses.fields(Arguments)])


def _embed(arguments: Arguments) -> None:
    _check(arguments)
    if not is_molecule_file(arguments.data, "--data"):
        if not is_path(arguments.data):
            check_spelling(check_name(arguments.data))
        of_molecules = ("smiles", "labels", "id", "skip_invalid", "jobs")
        where = f"for {arguments.data}, which is no file of molecules"
        check_unused(arguments, of_molecules, where)
    elif not arguments.data.endswith(TABLES):
        check_unused(arguments, ["smiles"], f"for {arguments.data}, which has no columns")

    from graphcl_hard.data.load import open_dataset
    from graphcl_hard.evaluation.checks import rescale
    from graphcl_hard.evaluation.targets import is_measured
    from graphcl_hard.io.vector_writer import write_vectors
    from graphcl_hard.loader.streaming import make_batches
    from graphcl_hard.nn.encoders.pretrained import load_pretrained
    from graphcl_hard.runs.display import Display
    from graphcl_hard.training.loop import embeddings

    handle_signals()
    display = Display(arguments.quiet)
    encoder, features = load_pretrained(arguments.run)
    if is_molecule_file(arguments.data, "--data"):
        graphs = _molecules(arguments, features, display)
    else:
        with display.download(arguments.data) as progress:
            graphs = open_dataset(arguments.data, data_dir=arguments.data_dir, progress=progress)
    _compare_with_run(arguments, graphs, display)
    # The attributes of nodes are only read on request.
    read = graphs if features.has_node_attr else graphs.without("node_attr")
    with display.warnings():
        batches = make_batches(read, features, dtype=next(encoder.parameters()).dtype)
    with display.bar("embedding", graphs.num_graphs) as show:
        parts = embeddings(encoder, batches, arguments.batch_size, show)
        width = write_vectors(
            arguments.out,
            (rescale(part, arguments.scale) for part in parts),
            ids=graphs.ids,
            labels=graphs.labels,
            targets=graphs.targets,
            checksum=graphs.checksum,
            task="regression" if is_measured(graphs.y.numpy()) else None,
        )
    display.say(f"written: {arguments.out}: {graphs.num_graphs} graphs, {width} numbers each")
    if arguments.quiet:
        print(arguments.out)


def _molecules(arguments: Arguments, features: "FeatureMap", display: "Display") -> "GraphSource":
    """Read a file of molecules with the labels that the encoder knows."""
    from graphcl_hard.data.load import open_chunks
    from graphcl_hard.data.molecules.featurize import LeftOut
    from graphcl_hard.data.molecules.tables import (
        describe_left_out,
        molecule_chunks,
        write_left_out,
    )
    from graphcl_hard.data.molecules.vocabulary import WITHOUT_STEREO

    left_out: list[LeftOut] = []
    path = arguments.out.with_suffix(".left-out.csv")
    if arguments.skip_invalid and path.exists() and not arguments.overwrite:
        raise InputError(
            f"The file {path} exists, where rows that are left out are listed; give --overwrite to replace it, or "
            "another --out."
        )
    graphs = open_chunks(
        molecule_chunks(
            user_path(arguments.data, "--data"),
            arguments.smiles,
            arguments.labels,
            left_out.append if arguments.skip_invalid else None,
            arguments.id,
            stereo=features.vocabulary != WITHOUT_STEREO,
            jobs=arguments.jobs,
        )
    )
    if arguments.skip_invalid:
        path.unlink(missing_ok=True)
    if left_out:
        write_left_out(path, left_out)
        display.warn(describe_left_out(left_out, graphs.num_graphs, path))
    return graphs


def _compare_with_run(arguments: Arguments, graphs: "GraphSource", display: "Display") -> None:
    """Refuse the run's own data set if it has changed since; warn about other classes and another environment."""
    import json

    import torch

    from graphcl_hard.io.file_names import RESULT
    from graphcl_hard.nn.encoders.pretrained import NAMED
    from graphcl_hard.runs.environment import environment
    from graphcl_hard.runs.resume import check_same_data, environment_change

    if arguments.run in NAMED:
        return
    run = user_path(arguments.run, "RUN")
    try:
        result = json.loads((run / RESULT).read_text(encoding="utf-8"))
        dataset, own = result["dataset"], result["config"]["dataset"]
    except (OSError, LookupError, RecursionError, TypeError, ValueError):
        return  # an encoder that was not trained by a run, or by an earlier version
    if result.get("status") != "finished":
        epochs = f"{result.get('epoch')} of {result['config'].get('epochs')} epochs"
        display.warn(f"The run in {run} has not finished; its encoder is that of {epochs}.")
    data = arguments.data
    if is_path(data):
        data = str(user_path(data, "--data").resolve())
    if data == own:
        remedy = "restore it, or copy the new data to another folder"
        check_same_data(run, dataset.get("sha256"), graphs, remedy)
    known = dataset.get("class_names", [])
    if known and not set(graphs.classes) <= set(known):
        display.warn(
            f"{graphs.name} has the classes {_listed(graphs.classes)}, and the data of the run {_listed(known)}; y "
            "keeps the names of the file."
        )
    now = {**environment(), "device": "cpu", "threads": torch.get_num_threads()}
    now["processes"] = result.get("processes", 1)  # which embedding does not depend on
    change = environment_change(result, now)
    if change is not None:
        display.warn(change)


def _listed(classes: Sequence[object]) -> str:
    return ", ".join(map(repr, classes[:10])) + (", ..." if len(classes) > 10 else "")


def _check(arguments: Arguments) -> None:
    check_new_file(arguments.out, WRITTEN, arguments.overwrite)
    if arguments.batch_size < 1:
        raise InputError(
            f"--batch-size must be at least 1, got {arguments.batch_size}; 128 is usual."
        )


if __name__ == "__main__":
    prepare_stdout()
    sys.exit(main())
