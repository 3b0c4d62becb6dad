"""Convert any number of graphs to a folder of shards, from which graphcl_hard.run trains without loading all of them.

SOURCE is a file of molecules (.csv, .csv.gz or .parquet with a column of SMILES, .smi, .smi.gz, .sdf or .sdf.gz), a
folder of the Open Graph Benchmark (such as ogbg_molhiv, with its raw/edge.csv.gz), or the name or path of a TU data
set. Use graphcl_hard.write_shards for graphs in Python.

Examples:
  python -m graphcl_hard.convert molecules.csv --out data/molecules
  python -m graphcl_hard.convert molecules.parquet --smiles canonical --labels active --skip-invalid --out data/active
  python -m graphcl_hard.convert library.sdf --id name --jobs -1 --out data/library
  python -m graphcl_hard.convert tox21.csv --labels NR-AR NR-AhR SR-p53 --out data/tox21
  python -m graphcl_hard.convert dataset/ogbg_molpcba --labels all --out data/molpcba
  python -m graphcl_hard.run --dataset data/molecules --no-evaluate
"""

if __name__ == "__main__":
    from graphcl_hard.runs.early_signals import end_at_once

    end_at_once()

import dataclasses
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from graphcl_hard.data.tu.names import check_name, is_path, is_shards
from graphcl_hard.exceptions import InputError
from graphcl_hard.io.file_names import LEFT_OUT, MOLECULE_FILES, TABLES
from graphcl_hard.io.paths import user_path
from graphcl_hard.runs.cli import (
    as_called,
    check_unused,
    exit_status,
    handle_signals,
    one_sentence,
    prepare_stdout,
)

if TYPE_CHECKING:
    from graphcl_hard.data.graph_data import GraphData
    from graphcl_hard.data.molecules.featurize import LeftOut
    from graphcl_hard.data.shards import GraphShards
    from graphcl_hard.runs.display import Display

PROG = "python -m graphcl_hard.convert"


@dataclass(frozen=True)
class Arguments:
    """The arguments of the command.

    Attributes:
        source: File of molecules, folder of OGB, or name or path of a TU data set.
        out: Folder to make; it must be new or empty.
        smiles: Name of the column with the SMILES, in .csv and .parquet files.
        labels: The labels: names of columns, or numbers of OGB tasks, from 0, or all for all of OGB's. One column has
            classes or measured targets; several have numbers, such as 0 and 1. The default is none; train on such a
            data set with --no-evaluate. A TU data set has its own labels. An empty cell is a missing label.
        id: Name of a column with a different id in each row, which graphcl_hard.embed writes beside the vectors. The
            default is the number of the row, from 0; in a TU data set the number of the graph in its files, from 1.
        skip_invalid: Leave out rows that RDKit cannot read, and list them in the file left-out.csv of the folder.
        no_stereo: Leave out the chirality of atoms and the stereo of bonds, so that stereoisomers are equal.
        jobs: Number of processes that convert molecules; -1 takes one for each core.
        name: Name of the data set; the default is that of the source.
        data_dir: Folder that holds TU data sets, as in graphcl_hard.run.
        quiet: Print only the folder that was written, warnings and errors.
    """

    source: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE")]
    out: Path
    smiles: str = "smiles"
    labels: tuple[str, ...] = ()
    id: str | None = None
    skip_invalid: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    no_stereo: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    jobs: int = 1
    name: str | None = None
    data_dir: Path | None = None
    quiet: bool = False


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status, see `exit_status`."""
    words = list(sys.argv[1:] if argv is None else argv)

    def action() -> None:
        _convert(
            one_sentence(
                "",
                lambda: tyro.cli(Arguments, args=words, prog=as_called(PROG), description=__doc__),
            )
        )

    return exit_status(action, [field.name for field in dataclasses.fields(Arguments)])


def _convert(arguments: Arguments) -> None:
    from graphcl_hard.data.molecules.tables import describe_left_out
    from graphcl_hard.data.shard_writer import check_empty, write_shards
    from graphcl_hard.runs.display import Display

    handle_signals()
    out = user_path(arguments.out, "--out")
    check_empty(out)
    display = Display(arguments.quiet)
    # A file may have a name that a data set may not have.
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(arguments.source).name.partition(".")[0]).strip(
        "-_"
    )[:100]
    name = check_name(arguments.name or stem or "graphs")
    left_out: list[LeftOut] = []
    with display.bar("converting", None) as show:
        shards = write_shards(out, _chunks(arguments, display, left_out), name, show)
    if left_out:
        display.warn(describe_left_out(left_out, shards.num_graphs, out / LEFT_OUT))
    display.say(
        f"written: {out}: {shards.num_graphs} graphs, {shards.num_nodes} nodes, {shards.num_edges} directed edges; "
        f"{_describe_labels(shards)}"
    )
    if arguments.quiet:
        print(out)


def _describe_labels(shards: "GraphShards") -> str:
    if shards.targets:
        counts = (~shards.y.isnan()).sum(dim=0)
        least, most = int(counts.min()), int(counts.max())
        each = str(most) if least == most else f"{least} to {most}"
        return f"{len(shards.targets)} targets, each known for {each} graphs"
    missing = int((~(shards.y >= 0)).sum()) if shards.classes else int(shards.y.isnan().sum())
    known = f"{shards.num_graphs - missing} of {shards.num_graphs} graphs have " if missing else ""
    if shards.y.is_floating_point():
        return f"{known}measured targets"
    if not shards.classes:
        return "no labels, so train with --no-evaluate"
    names = ", ".join(map(str, shards.classes[:10])) + (", ..." if len(shards.classes) > 10 else "")
    found = f"{known}{'one of ' if known else ''}{shards.num_classes} classes: {names}"
    return (
        found
        if shards.num_classes > 1
        else f"{known}a single class, {names}, so train with --no-evaluate"
    )


def _chunks(
    arguments: Arguments, display: "Display", left_out: "list[LeftOut]"
) -> Iterator["GraphData"]:
    from graphcl_hard.data.load import load_graphs
    from graphcl_hard.data.molecules.tables import molecule_chunks, write_left_out
    from graphcl_hard.data.ogb import ogb_chunks, ogb_folder

    path = user_path(arguments.source, "SOURCE")
    if path.is_file() or path.name.endswith(MOLECULE_FILES):
        if not path.name.endswith(TABLES):
            check_unused(arguments, ["smiles"], f"for {arguments.source}, which has no columns")
        on_invalid = left_out.append if arguments.skip_invalid else None
        yield from molecule_chunks(
            path,
            arguments.smiles,
            arguments.labels,
            on_invalid,
            arguments.id,
            stereo=not arguments.no_stereo,
            jobs=arguments.jobs,
        )
        if left_out:  # before the index, without which the folder is no data set
            write_left_out(user_path(arguments.out) / LEFT_OUT, left_out)
        return
    of_molecules = ("smiles", "id", "skip_invalid", "no_stereo", "jobs")
    check_unused(arguments, of_molecules, f"for {arguments.source}, which is no file of molecules")
    raw = ogb_folder(path)
    if raw is not None:
        yield from ogb_chunks(raw, arguments.labels)
        return
    if is_shards(path):
        raise InputError(f"{path} is already a folder of shards; pass it to graphcl_hard.run.")
    check_unused(arguments, ["labels"], "for a TU data set, which has its own")
    source = (
        str(path.resolve()) if path.is_dir() and is_path(arguments.source) else arguments.source
    )
    with display.download(arguments.source) as progress:
        yield load_graphs(source, data_dir=arguments.data_dir, progress=progress)


if __name__ == "__main__":
    prepare_stdout()
    sys.exit(main())
