"""Write the report of the study of hardness from its records, or compute what the records lack.

python -m experiments.hardness             write the report
python -m experiments.hardness --compute   first run the plans, seed by seed; it can be stopped and started again
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from experiments.documents import fill_documents
from experiments.hardness.sections import study_page
from graphcl_hard.runs.cli import exit_status, one_sentence
from graphcl_hard.sweep import SOME_FAILED
from graphcl_hard.sweep import main as sweep
from graphcl_hard.sweeps.plan import read_plan
from graphcl_hard.sweeps.report.files import finished_records, write_report

HERE = Path(__file__).resolve().parent
PLANS = tuple(HERE / f"{name}.yaml" for name in ("plan", "controls", "wide", "large"))
OUT = HERE / "results"


@dataclass(frozen=True)
class Arguments:
    """Where the study is, and where its report goes.

    Attributes:
        out: Folder of the sweep, which holds its records; the report is written there.
        compute: First run the cells that have no record, all methods of a seed before the next seed.
        jobs: Cells to run in parallel; the default is one for each core.
        documents: Also update the tables in the pages of docs/.
    """

    out: Path = OUT
    compute: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    jobs: int | None = None
    documents: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    status = 0

    def action() -> None:
        nonlocal status
        status = _run(one_sentence("", lambda: tyro.cli(Arguments, args=argv, description=__doc__)))

    return exit_status(action) or status


def _run(arguments: Arguments) -> int:
    out, status = arguments.out.resolve(), 0
    cells = [read_plan(plan) for plan in PLANS]
    if arguments.compute:
        jobs = [] if arguments.jobs is None else ["--jobs", str(arguments.jobs)]
        for plan, its in zip(PLANS, cells, strict=True):
            for seed in sorted({cell.seed for cell in its}):
                words = [str(plan), "--out", str(out), "--no-report", "--seeds", str(seed), *jobs]
                status = max(status, sweep(words))
                if status > SOME_FAILED:  # it was stopped, say, and not only a cell failed
                    return status
    page = study_page(finished_records(out / "records"), [cell for its in cells for cell in its])
    *_, path = write_report(page, out)
    if arguments.documents:
        fill_documents()
    print(f"report: {path}")
    return status


if __name__ == "__main__":
    sys.exit(main())
