"""Where the parts of the repository are."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks"
DOCS = ROOT / "docs"
EXAMPLES = ROOT / "examples"
EXPERIMENTS = ROOT / "experiments"
HELPERS = ROOT / "tests" / "helpers"
MUTAG = ROOT / "datasets" / "MUTAG"
ORACLES = ROOT / "tests" / "oracles"
RESULTS = BENCHMARKS / "results"
