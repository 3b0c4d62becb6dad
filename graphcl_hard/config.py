"""The settings of a run: one dataclass is the source of the flags, the YAML file and the record of a run."""

import dataclasses
import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import yaml

from graphcl_hard.exceptions import InputError, short_repr, short_str

Probe = Literal["svm", "linear-svm", "logistic", "knn"]
Scale = Literal["linear", "log"]
Logger = Literal["none", "csv", "tensorboard"]
METHOD_SETTINGS = {
    "infograph": ("objective", "mode", "critic", "score_scale", "nodes_per_graph"),
    "graphcl": ("views", "view_strength", "second_view_strength"),
}
"""The settings that one method alone has; with another one they keep their defaults."""
RANGES: dict[str, tuple[float, float]] = {
    "beta": (0, 1e6),
    "temperature": (1e-6, 1e6),
    "nodes_per_graph": (0, 1_000_000),
    "negative_queue": (0, 10_000_000),
    "hidden_channels": (1, 65536),
    "num_layers": (1, 100),
    "epochs": (0, 1_000_000),
    "batch_size": (2, 1_000_000),
    "lr": (0, 1000),
    "seed": (0, 2**32 - 1),
    "seeds": (1, 10_000),
    "folds": (2, 1000),
    "repeats": (1, 1000),
    "checkpoint_seconds": (0, 1e9),
}
BELOW_ONE = ("tau_plus", "view_strength", "second_view_strength")
"""The settings in [0, 1), or None."""
ADVICE = {
    "beta": "0 is uniform weights",
    "tau_plus": "0 switches the correction off",
    "temperature": "0.5 is usual",
    "nodes_per_graph": "0 takes all nodes",
    "negative_queue": "0 takes the negatives of the batch alone",
    "view_strength": "0.2 is usual",
    "second_view_strength": "0.2 is usual, and None is the first view's",
    "hidden_channels": "32 is usual",
    "num_layers": "3 is usual",
    "epochs": "5 is usual, and 0 scores the untrained encoder alone",
    "batch_size": "the other graphs of a batch are the negatives, and 128 is usual",
    "lr": "0.001 is usual, and 0 moves the statistics of batch norm alone",
    "seed": "take a small whole number",
    "seeds": "5 is usual",
    "folds": "10 is usual",
    "repeats": "3 is usual",
    "checkpoint_seconds": "10 is usual, and 0 writes one after every epoch",
}


View = Literal["node-drop", "edge-perturb", "attribute-mask", "subgraph", "random2", "random3", "random", "none"]
OUTPUT_SETTINGS = ("out", "overwrite", "resume", "checkpoint_seconds", "pictures", "quiet")
BEFORE: dict[str, Any] = {"scale": "linear"}
"""What a run did whose settings do not name these, since it is older than they are; the defaults are others."""
REMOVED: dict[str, Any] = {"gradient_cache": 0}
"""Settings that earlier versions had, each with the default at which it did nothing."""


def without_removed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings that an earlier version saved, without those in `REMOVED`.

    Raises:
        InputError: one of these had another value than its default.
    """
    for name, default in REMOVED.items():
        if settings.get(name, default) != default:
            found = short_repr(settings[name])
            raise InputError(f"{name} must be {default}, got {found}: this version has no such setting; remove it.")
    return {name: value for name, value in settings.items() if name not in REMOVED}


@dataclass(frozen=True)
class Config:
    """Settings of one run. Each is a flag of the command line and a key of config.yaml.

    Attributes:
        dataset: TU data set by name (MUTAG, PTC_MR, ENZYMES, IMDB-BINARY, IMDB-MULTI, DD, REDDIT-BINARY, PROTEINS,
            or any other), or the path of a folder in TU format, or of one that graphcl_hard.convert made, which may be
            larger than memory. MUTAG comes with the package; the others are taken
            from --data-dir, then from the mirror that the variable GRAPHCL_HARD_MIRROR names (a folder of zip
            files, or a URL), then from the official address.
        data_dir: Folder that holds data sets, and to which downloads go.
        use_node_attr: Use the nodes' continuous attributes too, standardised over the set, where it has them.
        method: How pairs are made. infograph tells the parts of a graph from those of others by the whole graph.
            graphcl tells two views of a graph from those of others, by NT-Xent; objective, mode, critic, score-scale
            and nodes-per-graph are infograph's alone, views, view-strength and second-view-strength graphcl's.
        objective: Jensen-Shannon (InfoGraph's) or InfoNCE.
        mode: paper: hard negatives weigh more, as published. released: the authors' code, which weights the easiest
            negatives and fixes tau_plus at 0.5; for comparison.
        beta: Hardness, at least 0. 0 weights all negatives alike; the larger, the more the hardest count. 1 is hard
            already under graphcl.
        beta_schedule: How beta moves over the epochs: up from 0 or down to 0.
        tau_plus: Class prior in [0, 1): the chance that a random graph is of the anchor's class. 0 switches the
            correction of false negatives off.
        critic: Score of a node against a graph. auto: dot for jsd, cosine for info-nce.
        temperature: Divisor of cosine scores, which the cosine critic and graphcl have, above 0.
        score_scale: Scale of the dot critic's scores in the weights: 2 over the batch's largest, or none.
        detach_weights: Treat the weights of the negatives as constants in the gradient.
        nodes_per_graph: Nodes of each graph, sampled anew in each step, that are contrasted: faster on graphs with many
            nodes. The loss is an unbiased estimate, but that score-scale max takes the sample's largest. 0: all nodes.
        negative_queue: Summaries of earlier batches that are more negatives of every node, or under graphcl of every
            view: the last so many, one a graph (under graphcl two), without those of the batch's own graphs. Constants
            for the gradient, made by the weights of earlier steps. 0: the batch alone. See docs/more_negatives.md.
        views: The two views that graphcl draws of each batch: node-drop leaves nodes out, edge-perturb moves edges,
            attribute-mask puts zeros for nodes' features, subgraph keeps what random walks reach. Drawn anew for each
            batch, random2 is node-drop or subgraph, random3 one of these and edge-perturb, random any of the four. none
            is the graph itself. You et al. (2020, section 4.2) found node-drop and subgraph good on every kind of set,
            edge-perturb good on social networks and bad on some molecules, attribute-mask better on denser graphs.
        view_strength: Share of each graph's nodes or edges that a view changes, in [0, 1).
        second_view_strength: The share of the second view, where it is not that of the first.
        encoder: Kind of its layers. gine reads the labels and attributes of edges too, and needs a set with them; gcn,
            sage (GraphSAGE), gat and pna are PyTorch Geometric's. All have ReLU and batch norm.
        hidden_channels: Channels of each layer.
        num_layers: Layers of the encoder.
        readout: How a graph's nodes become the graph's vector. attention: a mean with learnt weights.
        epochs: Passes over the set. 0 trains nothing: the untrained encoder alone is scored.
        batch_size: Graphs in a batch, at least 2: the other graphs of the batch are the negatives.
        lr: Learning rate of Adam. 0 moves nothing but the running statistics of batch norm: a control that tells what
            learning adds to them.
        seed: First seed; it fixes the initial weights, the order of batches and the folds.
        seeds: Number of seeds: seed, seed + 1, and so on, each a run of its own, with a summary.
        evaluate: Judge the embedding. Without, train and write the encoder alone: for a set without classes, or too
            large for a cross-validation.
        score_epochs: Epochs whose embedding is scored, beside the last; 0 is the untrained encoder. The default is 0.
        protocol: best-epoch picks the epoch on the test folds, as much of the literature does: optimistic, and
            labelled so.
        folds: Folds of the stratified cross-validation.
        repeats: Repeats of the cross-validation with other shuffles.
        scale: What the probes see: the embedding, or sign(x) log(1 + |x|) of it, since sums over nodes span orders
            of magnitude.
        probes: Classifiers that judge the embedding; svm has an RBF kernel. The first one leads.
        accelerator: Where to train. auto: a GPU where there is one.
        sync_batch_norm: Under torchrun, batch norm over the nodes of all processes, so that the numbers are those of
            one; without, over each process's own. See docs/many_processes.md.
        precision: Floating-point numbers in training.
        deterministic: Refuse operations that do not repeat bit for bit; the CPU needs no such switch.
        out: Folder to write; the default is a new one under runs/.
        overwrite: Replace the run that the folder --out holds.
        resume: Go on with the run that the folder --out holds, from its last checkpoint, with the numbers of a run that
            was never stopped; a finished one is left as it is.
        checkpoint_seconds: Least time between two checkpoints; 0 writes one after every epoch.
        pictures: Draw the two pictures; the map of the embedding takes seconds on a large set.
        logger: Fabric's logger of each epoch's values, and of the scores: csv writes logs/metrics.csv in the run's
            folder, tensorboard an event file in logs/, for `tensorboard --logdir`.
        quiet: Print nothing but the folder that was written, warnings and errors.
    """

    dataset: str = "MUTAG"
    data_dir: Path | None = None
    use_node_attr: bool = False

    method: Literal["infograph", "graphcl"] = "infograph"
    objective: Literal["jsd", "info-nce"] = "jsd"
    mode: Literal["paper", "released"] = "paper"
    beta: float = 10.0
    beta_schedule: Literal["constant", "linear-up", "linear-down", "cosine-up", "cosine-down"] = "constant"
    tau_plus: float = 0.1
    critic: Literal["auto", "dot", "cosine"] = "auto"
    temperature: float = 0.5
    score_scale: Literal["max", "none"] = "max"
    detach_weights: bool = True
    nodes_per_graph: int = 0
    negative_queue: int = 0
    views: tuple[View, ...] = ("node-drop", "subgraph")
    view_strength: float = 0.2
    second_view_strength: float | None = None

    encoder: Literal["gin", "gine", "gcn", "sage", "gat", "pna"] = "gin"
    hidden_channels: int = 32
    num_layers: int = 3
    readout: Literal["sum", "mean", "max", "attention"] = "sum"

    epochs: int = 5
    batch_size: int = 128
    lr: float = 0.001
    seed: int = 0
    seeds: int = 1

    evaluate: bool = True
    score_epochs: tuple[int, ...] = (0,)
    protocol: Literal["last-epoch", "best-epoch"] = "last-epoch"
    folds: int = 10
    repeats: int = 3
    scale: Scale = "log"
    probes: tuple[Probe, ...] = ("svm",)

    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    sync_batch_norm: bool = True
    precision: Literal["32-true", "64-true", "bf16-mixed"] = "32-true"
    deterministic: bool = False

    out: Path | None = None
    overwrite: bool = False
    resume: bool = False
    checkpoint_seconds: float = 10.0
    pictures: bool = True
    logger: Logger = "none"
    quiet: bool = False

    def check(self) -> None:
        """Raise `InputError` where settings are outside their range, with a line for each mistake.

        What depends on the data (the folds, say) is checked where the data is known.
        """
        mistakes = list(self.mistakes())
        if mistakes:
            raise InputError("\n".join(mistakes))

    def mistakes(self) -> Iterator[str]:
        """A sentence for each setting that is of the wrong kind, or outside its range."""
        of_wrong_kind = dict(self._of_wrong_kind())
        yield from of_wrong_kind.values()
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if name not in of_wrong_kind and not low <= value <= high:  # so written, nan is refused too
                yield f"{flag(name)} must lie in [{low:g}, {high:g}], got {short_str(value)}; {ADVICE[name]}."
        for name in BELOW_ONE:
            value = getattr(self, name)
            if name not in of_wrong_kind and value is not None and not 0 <= value < 1:
                yield f"{flag(name)} must lie in [0, 1), got {short_str(value)}; {ADVICE[name]}."
        if of_wrong_kind:  # the comparisons below would fail
            return
        if self.seed + self.seeds > 2**32:
            found = f"{short_str(self.seed)} and {short_str(self.seeds)}"
            yield f"--seed and --seeds must stay below 2**32 together, got {found}; lower one."
        if self.out == Path():
            yield "--out must name a folder other than the current one, got '.' or nothing; give a name."
        yield from self._mistaken_method()
        if self.mode == "released" and (self.objective != "jsd" or self.critic == "cosine" or self.negative_queue):
            found = f"{self.objective}, {self.critic} and {short_str(self.negative_queue)}"
            yield (
                "--mode released is the authors' code, which has --objective jsd and --critic dot alone, and no "
                f"--negative-queue, got {found}; leave them out."
            )
        if self.epochs >= 0:
            yield from self._mistaken_epochs()
        if self.resume and (self.out is None or self.overwrite):
            found = "--overwrite" if self.overwrite else "no --out"
            yield f"--resume needs the --out folder of a run, and not --overwrite, got {found}; mend that."
        if not self.probes or len(set(self.probes)) < len(self.probes):
            yield f"--probes must name at least one classifier, each once, got {' '.join(self.probes)!r}."

    def _of_wrong_kind(self) -> Iterator[tuple[str, str]]:
        for name, hint in get_type_hints(Config).items():
            value = getattr(self, name)
            if get_origin(hint) is Literal:
                choices = get_args(hint)
                if not isinstance(value, str) or value not in choices:
                    close = difflib.get_close_matches(short_repr(value), choices, n=1)
                    advice = f"did you mean {close[0]!r}?" if close else "take one of them."
                    yield name, f"{flag(name)} must be one of {', '.join(choices)}, got {short_repr(value)}; {advice}"
            elif hint in (int, float) or (hint == float | None and value is not None):
                kind, what = (Integral, "a whole number") if hint is int else (Real, "a number")
                if not isinstance(value, kind) or isinstance(value, bool):
                    yield name, f"{flag(name)} must be {what}, got {short_repr(value)}; {ADVICE.get(name, 'give one')}."
            elif hint is bool and not isinstance(value, bool):
                yield name, f"{flag(name)} must be True or False, got {short_repr(value)}; give one of them."
            elif get_origin(hint) is tuple and name != "views" and not _is_tuple_of(get_args(hint)[0], value):
                yield name, f"{flag(name)} must be a tuple of its kind, got {short_repr(value)}; see its description."
            elif hint is str and not isinstance(value, str):
                yield name, f"{flag(name)} must be a string, got {short_repr(value)}; give a name or a path."
            elif name in ("data_dir", "out") and not isinstance(value, (str, Path, type(None))):
                yield name, f"{flag(name)} must be a path or None, got {short_repr(value)}; give one of them."

    def _mistaken_method(self) -> Iterator[str]:
        pair = isinstance(self.views, tuple) and len(self.views) == 2
        if not pair or not all(isinstance(view, str) and view in get_args(View) for view in self.views):
            simple = isinstance(self.views, tuple) and all(isinstance(view, str) for view in self.views)
            found = repr(" ".join(self.views)) if simple else short_repr(self.views)
            yield f"--views must be two of {', '.join(get_args(View))}, got {found}; none is the graph itself."
            return
        for method, names in METHOD_SETTINGS.items():
            for name in names:
                value = getattr(self, name)
                if method != self.method and value != getattr(Config, name):
                    found = " ".join(value) if isinstance(value, tuple) else short_str(value)
                    yield (
                        f"{flag(name)} is a setting of --method {method} alone, got {found} with {self.method}; leave "
                        "it out."
                    )

    def _mistaken_epochs(self) -> Iterator[str]:
        if len(set(self.score_epochs)) < len(self.score_epochs) or any(
            not 0 <= epoch <= self.epochs for epoch in self.score_epochs
        ):
            yield (
                f"--score-epochs must be epochs from 0 to --epochs {short_str(self.epochs)}, each once, got "
                f"{' '.join(map(short_str, self.score_epochs))}; 0 is the untrained encoder."
            )
        if self.protocol == "best-epoch" and not self.evaluate:
            yield "--protocol best-epoch picks an epoch by its scores, got --no-evaluate; leave one of them out."
        if self.protocol == "best-epoch" and (self.epochs == 0 or self.score_epochs != (0,)):
            yield (
                f"--protocol best-epoch scores all epochs and needs one, got --epochs {self.epochs} and --score-epochs "
                f"{' '.join(map(short_str, self.score_epochs))}; change one of them."
            )

    @property
    def scored_epochs(self) -> tuple[int, ...]:
        """The epochs whose embedding is scored, rising; the last is one of them. None where nothing is evaluated."""
        if not self.evaluate:
            return ()
        if self.protocol == "best-epoch":
            return tuple(range(self.epochs + 1))
        return tuple(sorted({*self.score_epochs, self.epochs}))

    @property
    def view_strengths(self) -> tuple[float, float]:
        """The shares that the two views change."""
        second = self.second_view_strength
        return self.view_strength, self.view_strength if second is None else second

    @property
    def resolved_critic(self) -> Literal["dot", "cosine"]:
        """The critic that "auto" stands for."""
        if self.critic != "auto":
            return self.critic
        return "dot" if self.objective == "jsd" else "cosine"

    def to_yaml(self) -> str:
        """The settings as YAML, a key a line, in the order of the flags; without where and how the run writes.

        Were --out and --overwrite kept, running a run's config.yaml again would replace that very run.
        """
        plain = {name: value for name, value in to_plain(self).items() if name not in OUTPUT_SETTINGS}
        return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)


def _is_tuple_of(kind: Any, value: Any) -> bool:
    if not isinstance(value, tuple):
        return False
    if kind is int:
        return all(isinstance(item, Integral) and not isinstance(item, bool) for item in value)
    return all(isinstance(item, str) and item in get_args(kind) for item in value)


def to_plain(config: Config) -> dict[str, Any]:
    """The settings as a dictionary of strings, numbers, lists and None."""
    plain: dict[str, Any] = {}
    for name, value in dataclasses.asdict(config).items():
        plain[name] = str(value) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value
    return plain


def flag(name: str) -> str:
    """The command line's flag for a setting."""
    return "--" + name.replace("_", "-")


# What a run has and an estimator has not: the data set, the seeds, the judge, and the folder.
OF_RUNS = {
    *("dataset", "data_dir", "use_node_attr", "seed", "seeds", "evaluate", "score_epochs", "protocol", "folds"),
    *("repeats", "probes", "out", "overwrite", "resume", "checkpoint_seconds", "pictures", "logger", "quiet"),
    "sync_batch_norm",
}
SETTINGS = {field.name: field.default for field in dataclasses.fields(Config) if field.name not in OF_RUNS}
