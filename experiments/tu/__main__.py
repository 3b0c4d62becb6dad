"""Write the report of the study of the eight TU data sets from its records.

The sweep computes the cells:
  python -m graphcl_hard.sweep experiments/tu/plan.yaml --out experiments/tu/results --no-report
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from experiments.documents import fill_documents
from experiments.tu.maps import draw_maps
from experiments.tu.sections import study_page
from graphcl_hard.runs.cli import exit_status, one_sentence
from graphcl_hard.sweeps.report.files import finished_records, write_report

HERE = Path(__file__).resolve().parent
PLAN, OUT = HERE / "plan.yaml", HERE / "results"
MAPPED_METHODS = ("bn-only", "uniform", "hard-beta10-tau0.1")


@dataclass(frozen=True)
class Arguments:
    """Where the study is, and where its report goes.

    Attributes:
        out: Folder of the sweep, which holds its records and run folders; the report is written there.
        documents: Also update the tables in the pages of docs/.
    """

    out: Path = OUT
    documents: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return exit_status(
        lambda: _report(
            one_sentence("", lambda: tyro.cli(Arguments, args=argv, description=__doc__))
        )
    )


def _report(arguments: Arguments) -> None:
    out = arguments.out.resolve()
    records = finished_records(out / "records")
    draw_maps(out / "runs", out, MAPPED_METHODS)
    *_, page = write_report(study_page(records, out), out)
    if arguments.documents:
        fill_documents()
    print(f"report: {page}")


if __name__ == "__main__":
    sys.exit(main())
