"""Write the tables of the review of the first study from committed records.

python -m experiments.hardness.review            write the tables
python -m experiments.hardness.review --compute  first compute what the records lack
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from experiments.hardness.review import (
    baselines,
    batch_norm,
    graphcl_claim,
    tests_question,
    treatment,
)
from graphcl_hard.sweeps.report.files import write_table
from graphcl_hard.sweeps.report.table import Table

TABLES = Path(__file__).resolve().parents[1] / "results" / "tables"  # with those of the study


@dataclass(frozen=True)
class Arguments:
    """The review's tables.

    Attributes:
        compute: First make what is missing of the small computations.
    """

    compute: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False


def tables() -> list[Table]:
    """Return all tables of the review, in the order of its findings."""
    return [
        treatment.treatment_table(),
        treatment.shares_table(),
        treatment.lowest_shares_table(),
        tests_question.tests_table(),
        batch_norm.batch_norm_table(),
        baselines.baselines_table(),
        baselines.against_size_table(),
        baselines.largest_c_table(),
        baselines.twins_table(),
        graphcl_claim.graphcl_table(),
        graphcl_claim.signed_rank_table(),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    arguments = tyro.cli(Arguments, args=argv, description=__doc__)
    if arguments.compute:
        treatment.compute()
        batch_norm.compute()
        baselines.compute()
    for table in tables():
        for path in write_table(table, TABLES):
            print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
