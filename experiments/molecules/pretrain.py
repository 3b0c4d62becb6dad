"""Pretrain encoders on molecules of MOSES, by the recipes of recipes.yaml.

python -m experiments.molecules.pretrain graphcl-uniform --data FOLDER --out FOLDER
python -m experiments.molecules.pretrain infograph-uniform graphcl-uniform --seeds 0 1 2 --data FOLDER --out FOLDER

The folder OUT/RECIPE-seed-S has the encoder of a recipe and a seed, as graphcl_hard.run writes it, and OUT/moses-N the
graphs of N molecules. The same command continues what was stopped or killed, and the weights are the same.
"""

if __name__ == "__main__":
    from graphcl_hard.runs.early_signals import end_at_once

    end_at_once()

import gzip
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import tyro

from experiments.molecules.datasets import data_folder
from graphcl_hard.convert import main as convert
from graphcl_hard.data.tu.names import is_shards
from graphcl_hard.exceptions import InputError
from graphcl_hard.io.atomic_write import atomic_write
from graphcl_hard.run import main as run
from graphcl_hard.runs.cli import exit_status, one_sentence
from graphcl_hard.runs.config_file import load_yaml, to_flags

RECIPES = Path(__file__).resolve().with_name("recipes.yaml")


@dataclass(frozen=True)
class Arguments:
    """What to pretrain, and where it goes.

    Attributes:
        recipes: Names of recipes.
        out: Folder of the graphs and the encoders.
        data: Folder with moses_train.csv.gz, the training part of MOSES; else the environment variable
            GRAPHCL_HARD_MOLECULES names it.
        seeds: Seeds of the initial weights and of the order of the molecules.
        file: YAML file of the recipes.
        jobs: Number of processes that convert molecules; -1 takes one for each core.
        quiet: Print only warnings and errors.
    """

    recipes: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RECIPE")]
    out: Path
    data: Path | None = None
    seeds: tuple[int, ...] = (0,)
    file: Path = RECIPES
    jobs: int = 1
    quiet: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False


def read_recipes(path: Path, names: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the table of molecules, and name -> settings of recipes, with `molecules`.

    Raises:
        InputError: the file cannot be read, or there is no such recipe.
    """
    if not path.is_file():
        raise InputError(f"--file {path} does not exist; correct its name.")
    try:
        read = load_yaml(path.read_text(encoding="utf-8"))
        table, recipes = read["table"], read["recipes"]
        whole = {name: {**read["common"], **settings} for name, settings in recipes.items()}
        lacking = [key for key in ("file", "column", "rows") if key not in table]
        lacking += [f"molecules of {name}" for name in whole if "molecules" not in whole[name]]
        if lacking:
            raise ValueError(f"it lacks {lacking[0]}")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"--file {path} must have table, common and recipes ({error}); see recipes.yaml of this study."
        ) from error
    if not names:
        raise InputError(f"RECIPE must be one of {', '.join(whole)}, got none; name some.")
    for name in names:
        if name not in whole:
            raise InputError(f"RECIPE must be one of {', '.join(whole)}, got {name!r}; correct it.")
    return table, {name: whole[name] for name in names}


def subset(smiles: Sequence[str], count: int) -> list[str]:
    """Return `count` of the molecules in a random order, so that a smaller subset is the start of a larger one.

    The order is that of the raw numbers of PCG64, which stay the same from version to version of NumPy.

    Raises:
        InputError: there are fewer molecules.
    """
    if not 0 < count <= len(smiles):
        raise InputError(
            f"`molecules` must lie in [1, {len(smiles)}], got {count}; correct the recipe."
        )
    order = np.argsort(np.random.PCG64(0).random_raw(len(smiles)), kind="stable")
    return [smiles[row] for row in order[:count]]


def write_subset(path: Path, folder: Path, table: Mapping[str, Any], count: int) -> None:
    """Write a file .csv.gz of `count` molecules of the table in a folder, see `subset`.

    Raises:
        InputError: the file of the table is missing, or is not whole.
    """
    source, rows = folder / table["file"], table["rows"]
    if not source.is_file():
        raise InputError(f"{source} does not exist; put this file of MOSES there.")
    read = pd.read_csv(source)
    if table["column"] not in read:
        raise InputError(
            f"{source} must have the column {table['column']}, got {', '.join(read)}; correct the recipes."
        )
    smiles = read[table["column"]].tolist()
    if len(smiles) != rows:
        raise InputError(f"{source} must have {rows} rows, got {len(smiles)}; give the whole file.")
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as partial, gzip.open(partial, "wt", encoding="utf-8") as file:
        file.write("\n".join(["smiles", *subset(smiles, count)]) + "\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    status = 0

    def action() -> None:
        nonlocal status
        arguments = one_sentence("", lambda: tyro.cli(Arguments, args=argv, description=__doc__))
        status = _pretrain(arguments)

    return exit_status(action) or status


def _pretrain(arguments: Arguments) -> int:
    table, recipes = read_recipes(arguments.file, arguments.recipes)
    quiet = ["--quiet"] if arguments.quiet else []
    for name, settings in recipes.items():
        graphs = arguments.out / f"moses-{settings['molecules']}"
        if not is_shards(graphs):
            part = graphs.with_name(f"{graphs.name}.csv.gz")
            if not part.exists():
                folder = data_folder(arguments.data)
                write_subset(part, folder, table, settings["molecules"])
            words = [str(part), "--out", str(graphs), "--no-stereo", "--jobs", str(arguments.jobs)]
            if status := convert([*words, *quiet]):
                return status
        for seed in arguments.seeds:
            print(f"{name}, seed {seed}", flush=True)
            words = run_words(settings, graphs, seed, arguments.out / f"{name}-seed-{seed}")
            if status := run([*words, *quiet]):
                return status
    return 0


def run_words(settings: Mapping[str, Any], graphs: Path, seed: int, out: Path) -> list[str]:
    """Return the arguments of graphcl_hard.run that pretrain by a recipe, or continue."""
    own = {name: value for name, value in settings.items() if name != "molecules"}
    fixed = {"dataset": str(graphs), "seed": seed, "evaluate": False, "pictures": False}
    return [*to_flags({**own, **fixed}), "--out", str(out), "--resume"]


if __name__ == "__main__":
    sys.exit(main())
