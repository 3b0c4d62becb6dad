"""Fine-tune an encoder, pretrained or not, on the labels or targets of a data set, and score it on a test part.

The graphs are split into a training, a validation and a test part. The epoch is chosen by the loss on the validation
part; the test part is scored once, after that, beside a baseline that predicts the shares of the classes, or the mean,
of the training part. The folder holds result.json with the scores, metrics.csv with a line per epoch, predictions.csv
with all graphs, and the model, which HardInfoGraphClassifier.from_pretrained or HardInfoGraphRegressor.from_pretrained
loads. graphcl_hard.embed embeds other graphs with its encoder.

After Ctrl-C or SIGTERM the present epoch is finished, and the best one so far is scored and saved; a second Ctrl-C ends
at once.

Examples:
  python -m graphcl_hard.run --dataset MUTAG --out runs/mine
  python -m graphcl_hard.finetune --dataset MUTAG --init runs/mine --out runs/tuned
  python -m graphcl_hard.finetune --dataset ./my_graphs --targets toxic soluble --seeds 5
  python -m graphcl_hard.finetune --dataset my.csv --smiles smiles --targets logS --init molecules-random
"""

if __name__ == "__main__":
    from graphcl_hard.runs.early_signals import end_at_once

    end_at_once()

import dataclasses
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from graphcl_hard.config import Config
from graphcl_hard.data.tu.names import check_name, check_spelling, is_path
from graphcl_hard.exceptions import InputError
from graphcl_hard.io import file_names
from graphcl_hard.io.paths import user_path
from graphcl_hard.runs.cli import (
    as_called,
    check_unused,
    exit_status,
    handle_signals,
    is_molecule_file,
    one_sentence,
    prepare_stdout,
)
from graphcl_hard.runs.folder import RunFolder, check_vacant, default_folder
from graphcl_hard.training.fine_tuning import TUNING_RULES, FineTuning

if TYPE_CHECKING:
    from rich.table import Table

    from graphcl_hard.data.graph_data import GraphSource
    from graphcl_hard.data.molecules.featurize import LeftOut
    from graphcl_hard.estimators.fine_tune_run import Problem
    from graphcl_hard.estimators.supervised import SupervisedEstimator
    from graphcl_hard.evaluation.splitters import Split
    from graphcl_hard.runs.display import Display

PROG = "python -m graphcl_hard.finetune"
DEFAULTS = FineTuning()
OUTPUT = ("out", "overwrite", "quiet")


@dataclass(frozen=True)
class Arguments:
    """The arguments of the command: the settings of the training, and its own.

    Attributes:
        dataset: Name of a TU data set, path of a folder in TU format or of a folder that graphcl_hard.convert made, or
            a file of molecules: .csv, .csv.gz or .parquet with a column of SMILES, .smi, .smi.gz, .sdf or .sdf.gz.
        data_dir: Folder that holds data sets and receives downloads, as in graphcl_hard.run.
        smiles: Name of the column with the SMILES, in .csv and .parquet files.
        id: Name of a column of a file of molecules with a different id in each row, for --split and predictions.csv;
            "name" in .smi and .sdf files. The default is the number of the row, from 0.
        skip_invalid: Leave out rows that RDKit cannot read, and list them in the file left-out.csv of the folder.
        jobs: Number of processes that convert molecules; -1 takes one for each core.
        init: Folder of a run of graphcl_hard.run, or one that `save_pretrained` wrote, whose encoder is the start; or
            molecules-random, an untrained encoder of molecules that comes with the package. Without it, the encoder has
            initial weights and the settings below.
        targets: Names of the targets to learn, where the data set has several; the default is all. In a file of
            molecules they are names of columns, or properties of an SDF.
        task: auto: classification for classes and for targets of only 0 and 1, else regression.
        class_weight: balanced: classes weigh the inverse of their number of graphs.
        test_fraction: Share of the graphs in the test part, in (0, 1).
        split: The parts, instead of random ones: a file with the columns id and split (train, valid, test), such as
            the predictions.csv of another call, or FILE:COLUMN; or a folder of OGB, or split/NAME of it. Without graphs
            in valid, --validation-fraction of the training part are taken.
        seed: First seed; it determines the parts, the initial weights and the order of batches.
        seeds: Number of seeds: seed, seed + 1, and so on, each with a folder of its own, with a summary.
        use_node_attr: Also use the continuous attributes of nodes, without --init, which determines it.
        encoder: Type of the graph convolution, without --init.
        hidden_channels: Number of channels of each layer, without --init.
        num_layers: Number of layers of the encoder, without --init.
        readout: How node embeddings become the graph embedding, without --init.
        accelerator: Where to train. auto: a GPU if there is one.
        precision: Floating-point precision of training.
        deterministic: Refuse operations that do not repeat bit for bit. The CPU does not need it.
        out: Folder to write; the default is a new one under runs/.
        overwrite: Replace the run in the folder --out.
        quiet: Print only the folder that was written, warnings and errors.
    """

    settings: Annotated[FineTuning, tyro.conf.arg(name="")] = DEFAULTS
    dataset: str = "MUTAG"
    data_dir: Path | None = None
    smiles: str = "smiles"
    id: str | None = None
    skip_invalid: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    jobs: int = 1
    init: str | None = None
    targets: tuple[str, ...] = ()
    task: Literal["auto", "classification", "regression"] = "auto"
    class_weight: Literal["none", "balanced"] = "none"
    test_fraction: float = 0.1
    split: str | None = None
    seed: int = 0
    seeds: int = 1
    use_node_attr: bool = False
    encoder: Literal["gin", "gine", "gcn", "sage", "gat", "pna"] = Config.encoder
    hidden_channels: int = Config.hidden_channels
    num_layers: int = Config.num_layers
    readout: Literal["sum", "mean", "max", "attention"] = Config.readout
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = Config.accelerator
    precision: Literal["32-true", "64-true", "bf16-mixed"] = Config.precision
    deterministic: bool = Config.deterministic
    out: Path | None = None
    overwrite: bool = False
    quiet: bool = False


SHARED = ("encoder", "hidden_channels", "num_layers", "readout", "accelerator", "precision")
"""Settings that a run of graphcl_hard.run has too, with the same ranges."""
UNWEIGHTED = "`class_weight` must be none for regression, got balanced; leave it out."
FLAGS = (*(field.name for field in dataclasses.fields(Arguments)), *TUNING_RULES)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status, see `exit_status`."""
    words = list(sys.argv[1:] if argv is None else argv)

    def action() -> None:
        _fine_tune(
            one_sentence(
                "",
                lambda: tyro.cli(Arguments, args=words, prog=as_called(PROG), description=__doc__),
            )
        )

    return exit_status(action, FLAGS)


def _mistakes(arguments: Arguments) -> Iterator[str]:
    yield from arguments.settings.mistakes()
    shared = {name: getattr(arguments, name) for name in (*SHARED, "seed", "seeds")}
    yield from dataclasses.replace(Config(), **shared).mistakes()
    if not 0 < arguments.test_fraction < 1:
        yield f"`test_fraction` must lie in (0, 1), got {arguments.test_fraction}; 0.1 is usual."
    if arguments.task == "regression" and arguments.class_weight != "none":
        yield UNWEIGHTED
    if arguments.init is not None and arguments.out is not None:
        init, out = user_path(arguments.init, "`init`").resolve(), arguments.out.resolve()
        if out in (init, *init.parents):
            yield f"`init` must not be in the folder that is written, got {arguments.init}; choose another `out`."
    if arguments.init is not None:
        for name in (*SHARED[:4], "use_node_attr"):
            given = getattr(arguments, name)
            if given != getattr(Arguments, name):
                yield f"`{name}` must be left out with `init`, which determines it, got {given}; leave it out."


def _check(arguments: Arguments) -> None:
    """Raise `InputError` for arguments that are wrong whatever the data are."""
    mistakes = list(_mistakes(arguments))
    if mistakes:
        raise InputError("\n".join(mistakes))
    if arguments.split is not None:
        check_unused(arguments, ["test_fraction"], "with `split`, which gives the parts")
    if arguments.settings.freeze is True:
        where = "with `freeze=True`, which keeps the encoder"
        check_unused(arguments.settings, ["encoder_lr"], where)
    if arguments.out is not None:
        check_vacant(arguments.out, arguments.overwrite, can_resume=False)
    if not is_molecule_file(arguments.dataset, "`dataset`"):
        if not is_path(arguments.dataset):
            check_spelling(check_name(arguments.dataset))
        of_molecules = ("smiles", "id", "skip_invalid", "jobs")
        where = f"for {arguments.dataset}, which is no file of molecules"
        check_unused(arguments, of_molecules, where)
        return
    if not arguments.targets:
        raise InputError(
            f"The targets are columns of {arguments.dataset}, got none; name them with `targets`."
        )
    if not arguments.dataset.endswith(file_names.TABLES):
        check_unused(arguments, ["smiles"], f"for {arguments.dataset}, which has no columns")


def _read(
    arguments: Arguments, stereo: bool, left_out: "list[LeftOut]", display: "Display"
) -> "GraphSource":
    """Return the graphs of the data set; those of a file of molecules have its columns `targets`."""
    from graphcl_hard.data.load import open_chunks, open_dataset
    from graphcl_hard.data.molecules.tables import molecule_chunks

    if is_molecule_file(arguments.dataset, "`dataset`"):
        path = user_path(arguments.dataset, "`dataset`")
        chunks = molecule_chunks(
            path,
            arguments.smiles,
            arguments.targets,
            left_out.append if arguments.skip_invalid else None,
            arguments.id,
            stereo=stereo,
            jobs=arguments.jobs,
        )
        try:
            return open_chunks(chunks)
        except InputError as error:  # the columns have another name here
            raise InputError(str(error).replace("`labels`", "`targets`")) from error
    with display.download(arguments.dataset) as progress:
        return open_dataset(arguments.dataset, data_dir=arguments.data_dir, progress=progress)


def _fine_tune(arguments: Arguments) -> None:
    # Everything is checked before a folder is made or replaced, and quick checks come before the slow imports.
    _check(arguments)

    from graphcl_hard.data.molecules.tables import describe_left_out, write_left_out
    from graphcl_hard.data.molecules.vocabulary import WITHOUT_STEREO
    from graphcl_hard.estimators.fine_tune_run import read_problem, summarise
    from graphcl_hard.runs.display import Display

    handle_signals()
    display = Display(arguments.quiet)
    stereo = True
    left_out: list[LeftOut] = []
    if arguments.init is not None:
        from graphcl_hard.nn.encoders.pretrained import load_pretrained

        _, features = load_pretrained(arguments.init)
        stereo = features.vocabulary != WITHOUT_STEREO
        if (user_path(arguments.init, "`init`") / file_names.HEAD).is_file():
            display.warn(
                f"The encoder in {arguments.init} was fine-tuned on labels; if graphs of the test part were among "
                "them, the scores are too good."
            )
    graphs = _read(arguments, stereo, left_out, display)
    is_file = is_molecule_file(arguments.dataset, "`dataset`")
    names = arguments.targets if graphs.targets or not is_file else ()  # one column has no name
    problem = read_problem(graphs, names, arguments.task)
    if problem.is_regression and arguments.class_weight != "none":
        raise InputError(UNWEIGHTED)
    seeds = range(arguments.seed, arguments.seed + arguments.seeds)
    splits = [_split(arguments, problem, seed) for seed in seeds]
    out = arguments.out or default_folder(arguments.dataset, datetime.now())
    results = []
    try:
        with RunFolder(out, arguments.overwrite, can_resume=False) as folder:
            if left_out:
                write_left_out(out / file_names.LEFT_OUT, left_out)
                kept = graphs.num_graphs
                display.warn(describe_left_out(left_out, kept, out / file_names.LEFT_OUT))
            if arguments.seeds == 1:
                results.append(
                    _run_seed(arguments, problem, splits[0], arguments.seed, folder, display)
                )
            else:
                folder.write_text(file_names.CONFIG, _to_yaml(arguments))
                for seed, split in zip(seeds, splits, strict=True):
                    with RunFolder(out / f"seed-{seed}") as inner:
                        results.append(_run_seed(arguments, problem, split, seed, inner, display))
                folder.write_json(file_names.SUMMARY, summarise(results))
    except KeyboardInterrupt as interrupt:
        raise type(interrupt)(out, "--overwrite starts again") from None
    summary = summarise(results)
    data = Path(arguments.dataset).name if is_file else summary["dataset"]["name"]
    shown = f"seed {seeds[0]}" if len(seeds) == 1 else f"mean over seeds {seeds[0]} to {seeds[-1]}"
    title = f"{data}: {results[0]['parts']['test']} graphs in the test part, {shown}"
    display.table(_table(title, summary["scores"]))
    display.say(_intervals(arguments, splits[0]))
    display.say(
        f"{results[0]['protocol']} The baseline predicts the {_baseline(problem)} of the training part."
    )
    display.say(f"written: {out}")
    if arguments.quiet:
        print(out)


def _intervals(arguments: Arguments, split: "Split") -> str:
    """Return what is behind the ± and the intervals of the table."""
    if arguments.seeds == 1:
        return "[95% intervals] are of bootstrap resamples of the test graphs."
    if arguments.split is None:
        return (
            "± is over seeds, which change parts and weights; [95% intervals] are of the corrected resampled t, since "
            "the parts overlap."
        )
    valid = len(split.valid) or not arguments.settings.validation_fraction
    changed = "the weights" if valid else "the weights and the validation part"
    return f"± is over seeds, which change {changed} but not the test part, so there is no interval for other graphs."


def _table(title: str, scores: Mapping[str, Any]) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title), title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for number, name in enumerate(("score", "fine-tuned", "baseline")):
        table.add_column(name, justify="right" if number else "left")
    for name in scores["test"]:
        table.add_row(
            name, *(escape(_shown(scores[part].get(name))) for part in ("test", "baseline"))
        )
    return table


def _shown(score: Mapping[str, Any] | None) -> str:
    if score is None:
        return ""
    text = f"{score['mean']:.4g}"
    if score["std"]:
        text += f" ± {score['std']:.2g}"
    if score["low"] is not None and score["std"] != 0:
        text += f" [{score['low']:.4g}, {score['high']:.4g}]"
    return text


def _baseline(problem: "Problem") -> str:
    return "mean" if problem.is_regression else "shares of the classes"


def _split(arguments: Arguments, problem: "Problem", seed: int) -> "Split":
    from graphcl_hard.estimators.fine_tune_run import draw_split, read_split

    if arguments.split is None:
        return draw_split(problem, arguments.test_fraction, seed)
    return read_split(arguments.split, problem.graphs.ids)


def _run_seed(
    arguments: Arguments,
    problem: "Problem",
    split: "Split",
    seed: int,
    folder: RunFolder,
    display: "Display",
) -> dict[str, Any]:
    from graphcl_hard.estimators.fine_tune_run import run_seed

    folder.write_text(file_names.CONFIG, _to_yaml(arguments, seed))
    known = {
        "seed": seed,
        "config": _plain(arguments),
        "init": arguments.init,
    }
    epochs = arguments.settings.epochs
    with display.warnings(), display.bar(f"fine-tuning, seed {seed}", epochs) as show:
        return run_seed(
            problem,
            split,
            _model(arguments, problem.is_regression, seed),
            folder,
            known,
            lambda epoch: show(epoch.epoch, f"loss {epoch.loss:.4g}, valid {epoch.valid_loss:.4g}"),
        )


def _model(arguments: Arguments, is_regression: bool, seed: int) -> "SupervisedEstimator":
    from graphcl_hard.estimators.classifier import HardInfoGraphClassifier
    from graphcl_hard.estimators.regressor import HardInfoGraphRegressor

    settings: dict[str, Any] = {
        **dataclasses.asdict(arguments.settings),
        **{name: getattr(arguments, name) for name in (*SHARED, "deterministic")},
        "init": arguments.init,
        "random_state": seed,
    }
    if arguments.init is None and arguments.use_node_attr:
        settings["node_attr"] = "node_attr"
    if is_regression:
        return HardInfoGraphRegressor(**settings)
    if arguments.class_weight == "balanced":
        settings["class_weight"] = "balanced"
    return HardInfoGraphClassifier(**settings)


def _plain(arguments: Arguments) -> dict[str, Any]:
    """Return the arguments for JSON and YAML, without where and how the command writes."""
    content = {
        name: value
        for name, value in dataclasses.asdict(arguments).items()
        if name not in (*OUTPUT, "settings")
    }
    if is_path(arguments.dataset) or is_molecule_file(arguments.dataset, "`dataset`"):
        content["dataset"] = str(user_path(arguments.dataset, "--dataset").resolve())
    content |= dataclasses.asdict(arguments.settings)
    return {
        name: str(value)
        if isinstance(value, Path)
        else list(value)
        if isinstance(value, tuple)
        else value
        for name, value in content.items()
    }


def _to_yaml(arguments: Arguments, seed: int | None = None) -> str:
    import yaml

    content = _plain(arguments)
    if seed is not None:
        content |= {"seed": seed, "seeds": 1}
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


if __name__ == "__main__":
    prepare_stdout()
    sys.exit(main())
