"""Few labels: evaluate the saved embeddings of runs by probes that see only a share of the training labels.

The encoder has seen no label, so only the probe changes from one share to the next; or it is fine-tuned on that share.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed
from sklearn import config_context
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RepeatedStratifiedKFold, StratifiedKFold
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from graphcl_hard.config import Scale
from graphcl_hard.evaluation.checks import check_folds, check_vectors, rescale
from graphcl_hard.evaluation.folds import INNER_FOLDS
from graphcl_hard.evaluation.probes import PROBES, Fitted
from graphcl_hard.evaluation.rounding import flatten_constants, float32_columns
from graphcl_hard.evaluation.targets import known_labels
from graphcl_hard.io.atomic_write import atomic_write
from graphcl_hard.io.file_names import EMBEDDINGS, RESULT
from graphcl_hard.sweeps.cell import Cell

FRACTIONS = (0.01, 0.05, 0.1, 1.0)
LABEL_PROBES = ("logistic", "svm", "knn")
FINE_TUNED = "fine-tuned"
"""In place of a probe: encoder and head are trained on the labelled rows."""
DEFAULTS = {"C": 1.0, "n_neighbors": 1}  # where there are too few labels to choose by

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Entry = dict[str, Any]


def run(
    cells: Iterable[Cell],
    runs: Path,
    out: Path,
    progress: Callable[[int, int, str], object] | None = None,
    jobs: int = 1,
    fine_tune: bool = False,
    skipped: Callable[[str], object] | None = None,
) -> None:
    """Score the embeddings of all finished runs among the cells, and write one file for each data set.

    The file `<dataset>.json` is a list of entries: "dataset", "method", "family", "settings", "seed", "probe",
    "fraction" (of the training labels), "epoch" (the run's last, 0 of an untrained encoder), "accuracy" (repeats,
    folds) to six digits, "defaulted", the number of folds that had too few labels to choose the parameter, and
    "source", a digest of what was scored. Scores of the same embeddings that a file already holds are kept. The file is
    written again after each run, so a call that was stopped resumes with the next one. Cells without a finished run of
    their settings are left out, and so is the fine-tuning of a run whose saved encoder is that of an earlier epoch,
    picked on the test folds.

    Args:
        cells: of the sweep.
        runs: folder of the run folders.
        out: folder of the files.
        progress: called as progress(done, total, name) when a run has been scored.
        jobs: processes, each with one thread.
        fine_tune: whether also to fine-tune the encoders of the runs, with the entry "fine-tuned" as "probe".
        skipped: called with a sentence for each run that is left out, or not fine-tuned.
    """
    cells = list(cells)
    files = {name: _read(out / f"{name}.json") for name in {cell.dataset for cell in cells}}
    probes_of: dict[tuple[str, str, int], tuple[str, ...]] = {}
    for cell in cells:
        reason = _unusable(runs / cell.path, cell)
        if reason is None:
            tuned = fine_tune and _keeps_last_epoch(runs / cell.path, cell)
            probes_of[cell.key] = (*LABEL_PROBES, FINE_TUNED) if tuned else LABEL_PROBES
            if tuned or not fine_tune:
                continue
            reason = "is not fine-tuned, since its encoder is of an epoch that was picked on the test folds"
        if skipped is not None and cell.kind == "run":
            skipped(f"{cell.label} {reason}")
    missing = [
        cell
        for cell in cells
        if cell.key in probes_of
        and not _is_done(files[cell.dataset], cell, runs, probes_of[cell.key])
    ]
    work = Parallel(n_jobs=jobs, return_as="generator_unordered")(
        delayed(score_run)(cell, runs, FINE_TUNED in probes_of[cell.key]) for cell in missing
    )
    for done, (cell, entries) in enumerate(work, start=1):
        kept = [
            entry
            for entry in files[cell.dataset]
            if (entry["method"], entry["seed"]) != (cell.method, cell.seed)
            or (
                # of an earlier call with --fine-tune
                entry["probe"] == FINE_TUNED
                and not fine_tune
                and entry["source"] == entries[0]["source"]
            )
        ]
        files[cell.dataset] = kept + entries
        _write(out / f"{cell.dataset}.json", files[cell.dataset])
        if progress is not None:
            progress(done, len(missing), cell.label)


def score_run(cell: Cell, runs: Path, fine_tune: bool = False) -> tuple[Cell, list[Entry]]:
    """Return the cell and the entries of its run's last epoch, for each probe and fraction; see `run`."""
    embedding, labels, source = _read_run(cell, runs)
    settings = {name: cell.config()[name] for name in ("folds", "repeats", "scale", "seed")}
    with threadpool_limits(1):
        scored = score(embedding, labels, **settings)
        if fine_tune:
            scored += _fine_tuned(cell, runs, labels)
    fixed = {**cell.identity(), "epoch": cell.config()["epochs"]}
    return cell, [{**fixed, **entry, "source": source} for entry in scored]


def _read_run(cell: Cell, runs: Path) -> tuple[Floats, Ints, str]:
    """Return the embedding of the last epoch, the labels, and a digest of both and of the settings of the scores."""
    config = cell.config()
    # "trained" is another epoch where it was picked on the test folds
    names = (f"epoch_{config['epochs']}", "trained") if config["epochs"] else ("untrained",)
    with np.load(runs / cell.path / EMBEDDINGS) as arrays:
        embedding, labels = next(arrays[name] for name in names if name in arrays), arrays["y"]
    known = known_labels(labels)[1]
    if not known.all():
        embedding, labels = embedding[known], labels[known]
    digest = hashlib.sha256(
        " ".join(str(config[name]) for name in ("scale", "folds", "repeats")).encode()
    )
    for array in (embedding, labels):
        digest.update(array.tobytes())
    return embedding, labels, digest.hexdigest()[:16]


def score(
    embedding: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    folds: int,
    repeats: int,
    seed: int,
    scale: Scale = "linear",
    probes: Sequence[str] = LABEL_PROBES,
    fractions: Sequence[float] = FRACTIONS,
) -> list[Entry]:
    """Return the cross-validated accuracy of probes that are fitted on a share of each training part's labels.

    The outer folds are those of `graphcl_hard.cross_validate`; `labelled_rows` says which labels are seen.
    Where every class has at least 2 of them, C or k is chosen by stratified inner folds among the labelled rows, 5 or
    as many as the smallest class has rows, on a tie the first of the grid; elsewhere it is C = 1 or k = 1.
    Features are standardised over the whole training part: its embeddings are there without labels, and a few labelled
    rows only would give a poor scale (two of them: -1 and +1 in every column).

    Args:
        embedding: (G, D) numbers.
        labels: (G,), one class a graph.
        folds: of the outer cross-validation.
        repeats: of the outer cross-validation.
        seed: of all folds and of the choice of labels.
        scale: of the features, as for `cross_validate`.
        probes: names of `graphcl_hard.evaluation.probes.PROBES`.
        fractions: shares of the training labels, in (0, 1].

    Returns:
        For each probe and fraction "probe", "fraction", "accuracy" (repeats, folds) as nested lists, "defaulted".

    Raises:
        InputError: for embeddings or labels that cannot be scored.
    """
    y = check_folds(labels, folds)
    given = check_vectors("vectors", embedding, len(y))
    single, x = float32_columns(given), rescale(given, scale)
    splitter = RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=seed)
    accuracy = {
        (probe, fraction): np.empty((repeats, folds)) for probe in probes for fraction in fractions
    }
    defaulted = dict.fromkeys(accuracy, 0)
    for index, (train, test) in enumerate(splitter.split(x, y)):
        place = divmod(index, folds)
        x_train, x_test = x[train], x[test]
        flatten_constants(x_train, x_test, single)
        scaler = StandardScaler().fit(x_train)
        x_train, x_test = scaler.transform(x_train), scaler.transform(x_test)
        for (probe, fraction), values in accuracy.items():
            rows = labelled_rows(y[train], fraction, (seed, *place))
            # the embeddings are finite, and looking again at every fit would take longer than short fits
            with config_context(assume_finite=True, skip_parameter_validation=True):
                predicted, chosen = _predict(probe, x_train[rows], y[train][rows], x_test, seed)
            values[place] = np.mean(predicted == y[test])
            defaulted[probe, fraction] += not chosen
    return [
        {
            "probe": probe,
            "fraction": fraction,
            "accuracy": np.round(values, 6).tolist(),
            "defaulted": defaulted[probe, fraction],
        }
        for (probe, fraction), values in accuracy.items()
    ]


def _fine_tuned(cell: Cell, runs: Path, labels: Ints) -> list[Entry]:
    """Return an entry for each fraction, of classifiers that are fine-tuned on the same labelled rows as the probes."""
    from graphcl_hard.data.load import load_graphs  # noqa: PLC0415 - they load PyTorch
    from graphcl_hard.sweeps.label_curves import fine_tuned_accuracy  # noqa: PLC0415

    config = cell.config()
    folds, repeats, seed = config["folds"], config["repeats"], config["seed"]
    y = check_folds(labels, folds)
    splitter = RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=seed)
    training = [train for train, _ in splitter.split(y, y)]
    labelled = [
        [
            train[labelled_rows(y[train], fraction, (seed, *divmod(index, folds)))]
            for index, train in enumerate(training)
        ]
        for fraction in FRACTIONS
    ]
    graphs = load_graphs(cell.source, data_dir=cell.given.get("data_dir"))
    found = fine_tuned_accuracy(
        graphs, y, labelled, runs / cell.path, folds=folds, repeats=repeats, seed=seed
    )
    return [
        {
            "probe": FINE_TUNED,
            "fraction": fraction,
            "accuracy": np.round(values, 6).tolist(),
            "defaulted": 0,
        }
        for fraction, values in zip(FRACTIONS, found, strict=True)
    ]


def labelled_rows(labels: Ints, fraction: float, seed: Sequence[int]) -> Ints:
    """Return the labelled rows, sorted: the given fraction of each class, rounded, at least one row of each.

    A smaller fraction's rows are among those of a larger one.

    Args:
        labels: (N,) classes of the training part.
        fraction: in (0, 1].
        seed: of the random order of each class.
    """
    random = np.random.default_rng(seed)
    parts = []
    for label in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == label))
        parts.append(rows[: max(1, round(fraction * len(rows)))])
    return np.sort(np.concatenate(parts))


def _predict(name: str, x: Floats, y: Ints, x_test: Floats, seed: int) -> tuple[Ints, bool]:
    """Return the predicted classes of the test rows, and whether the parameter could be chosen."""
    probe = PROBES[name]
    fitter = _logistic if name == "logistic" else probe.fitters["classification"]
    best: float = DEFAULTS[probe.parameter]
    inner_folds = min(INNER_FOLDS, int(np.bincount(y)[np.unique(y)].min()))
    if inner_folds > 1:
        inner = list(StratifiedKFold(inner_folds, shuffle=True, random_state=seed).split(x, y))
        most = min(
            len(fitted) for fitted, _ in inner
        )  # knn cannot ask for more neighbours than there are rows
        grid = [value for value in probe.grid if probe.parameter != "n_neighbors" or value <= most]
        accuracy = np.empty((len(grid), inner_folds))
        for column, (fitted, held_out) in enumerate(inner):
            accuracy[:, column] = [
                np.mean(model.predict(rows) == y[held_out])
                for model, rows in fitter(x[fitted], y[fitted], x[held_out], grid)
            ]
        best = grid[int(np.argmax(np.average(accuracy, axis=1)))]
    ((model, rows),) = fitter(x, y, x_test, [best])
    return model.predict(rows), inner_folds > 1


def _logistic(train: Floats, labels: Ints, test: Floats, grid: Sequence[float]) -> Iterator[Fitted]:
    # the optimum that the package's "logistic" goes to, in tens of Newton steps and not thousands of gradient steps
    for c in grid:
        model = LogisticRegression(C=c, solver="newton-cholesky", max_iter=1000)
        yield model.fit(train, labels), test


def _unusable(folder: Path, cell: Cell) -> str | None:
    """Return why the folder holds no finished run with the cell's settings and labels; None if it does."""
    path = folder / RESULT
    if not (path.is_file() and (folder / EMBEDDINGS).is_file()):
        return "has no run folder with vectors"
    result = json.loads(path.read_text(encoding="utf-8"))
    if not result["dataset"].get("classes", 1):
        return "has measured targets, and few labels are of classes"
    if result["status"] != "finished":
        return "has no finished run"
    difference = cell.difference({**result, **cell.identity()})
    return None if difference is None else f"has a run with {difference}"


def _keeps_last_epoch(folder: Path, cell: Cell) -> bool:
    """Return whether the encoder that a run saved is that of its last epoch."""
    result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    return bool(result["epoch"] == cell.config()["epochs"])


def _is_done(entries: Iterable[Entry], cell: Cell, runs: Path, probes: Sequence[str]) -> bool:
    """Return whether all scores of the run's present embedding exist."""
    expected = {**cell.identity(), "source": _read_run(cell, runs)[2]}
    found = {
        (entry["probe"], entry["fraction"])
        for entry in entries
        if all(entry[key] == value for key, value in expected.items())
    }
    return found >= {(probe, fraction) for probe in probes for fraction in FRACTIONS}


def _read(path: Path) -> list[Entry]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def _write(path: Path, entries: list[Entry]) -> None:
    """Write a data set's entries, one a line, in an order that does not depend on which run was ready first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    places = {probe: place for place, probe in enumerate((*LABEL_PROBES, FINE_TUNED))}
    entries.sort(
        key=lambda entry: (
            entry["method"],
            entry["seed"],
            places[entry["probe"]],
            entry["fraction"],
        )
    )
    with atomic_write(path) as partial:
        partial.write_text(
            "[\n" + ",\n".join(json.dumps(entry) for entry in entries) + "\n]\n", encoding="utf-8"
        )
