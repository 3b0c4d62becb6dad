"""Write tables and figures of the study of molecules from its records, or first compute what the records lack.

python -m experiments.molecules                           write tables and figures
python -m experiments.molecules --compute --data FOLDER   first score validation parts; test parts are not touched
python -m experiments.molecules --test --data FOLDER      first score test parts; each call is counted

A computation can be stopped and started again: records that are there are kept.
"""

import functools
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from experiments.documents import fill_documents
from experiments.molecules.datasets import DATASETS, data_folder, read
from experiments.molecules.figures import width_figure
from experiments.molecules.heads import PUBLISHED
from experiments.molecules.protocol import (
    CALLS,
    Part,
    cells_of,
    compute,
    count_call,
    lacking_cells,
)
from experiments.molecules.representations import read_representation
from experiments.molecules.tables import tables
from graphcl_hard.exceptions import InputError
from graphcl_hard.runs.cli import exit_status, one_sentence
from graphcl_hard.sweeps.records import pack_records, read_records
from graphcl_hard.sweeps.report.canvas import save
from graphcl_hard.sweeps.table_files import write_table

OUT = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True)
class Arguments:
    """What to compute, and where the records are.

    Attributes:
        compute: First score the validation parts that have no record.
        test: First score the test parts that have no record, once all choices are made.
        data: Folder with the tables of MoleculeNet, such as bace.csv; else the environment variable
            GRAPHCL_HARD_MOLECULES names it.
        representations: Of ecfp, atompair, untrained-CHANNELS (four layers), untrained-CHANNELSxLAYERS, NAME=FILES for
            vectors of graphcl_hard.embed, with {dataset} and {seed} in the path, and NAME=FOLDERS for the encoders of
            experiments.molecules.pretrain or graphcl_hard.run, with {seed}; + joins them side by side. Records hold the
            SHA-256 of the files or weights: others need another NAME. scratch-CHANNELS, and fine-tuned=ENCODER or
            fine-tuned-NAME=ENCODER, are trained on the labels, without --heads; ENCODER is a name of the package or a
            folder of a run.
        datasets: Names of data sets.
        heads: Of ridge, rf and knn; gcv, for validation parts, is faster.
        splits: ogb; random-N, for test parts; inner-N, for validation parts.
        seeds: Of representations with random numbers.
        out: Folder of the records and tables.
        documents: Also update the tables in the pages of docs/.
    """

    compute: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    test: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    data: Path | None = None
    representations: tuple[str, ...] = ("ecfp",)
    datasets: tuple[str, ...] = tuple(DATASETS)
    heads: tuple[str, ...] = PUBLISHED
    splits: tuple[str, ...] = ("ogb",)
    seeds: tuple[int, ...] = (0,)
    out: Path = OUT
    documents: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return exit_status(
        lambda: _run(one_sentence("", lambda: tyro.cli(Arguments, args=argv, description=__doc__)))
    )


def _run(arguments: Arguments) -> None:
    records = arguments.out / "records"
    for part, wanted in (("valid", arguments.compute), ("test", arguments.test)):
        if wanted:
            _compute(arguments, part, records)
            pack_records(records)
    found = read_records(records) if records.exists() else []
    calls = arguments.out / CALLS
    count = len(json.loads(calls.read_text(encoding="utf-8"))) if calls.exists() else 0
    (arguments.out / "tables").mkdir(parents=True, exist_ok=True)
    for name, (rows, notes) in tables(found, count).items():
        write_table(arguments.out / "tables", name, rows, notes)
    if (picture := width_figure(found)) is not None:
        (arguments.out / "figures").mkdir(exist_ok=True)
        save(picture.figure, arguments.out / "figures" / f"{picture.name}.png")
    if arguments.documents:
        fill_documents()
    print(f"{len(found)} records, tables and figures: {arguments.out}")


def _compute(arguments: Arguments, part: Part, records: Path) -> None:
    for name in arguments.datasets:
        if name not in DATASETS:
            raise InputError(
                f"A data set must be one of {', '.join(DATASETS)}, got {name!r}; correct it."
            )
    folder = data_folder(arguments.data)
    made = {one.name: one for one in map(read_representation, arguments.representations)}
    given = (made.values(), arguments.splits, arguments.heads, part, arguments.seeds)
    cells = [cell for name in arguments.datasets for cell in cells_of(name, *given)]
    lacking = lacking_cells(cells, made, records)
    # All tables are read before a call is counted.
    names = dict.fromkeys(cell.dataset for cell in lacking)
    sets = {name: read(DATASETS[name], folder) for name in names}

    @functools.cache
    def count() -> None:
        if part == "test":
            print(f"call {count_call(arguments.out, lacking)} of the test parts", flush=True)

    for name, molecules in sets.items():
        own = [cell for cell in lacking if cell.dataset == name]
        compute(own, molecules, made, records, before_score=count)


if __name__ == "__main__":
    sys.exit(main())
