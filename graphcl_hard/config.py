"""The settings of a run, each declared once: default, type, range, advice, and where it applies."""

import dataclasses
import difflib
import enum
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import yaml

from graphcl_hard.exceptions import InputError, short_repr, short_str

View = Literal[
    "node-drop",
    "edge-perturb",
    "attribute-mask",
    "subgraph",
    "random2",
    "random3",
    "random",
    "none",
]
Probe = Literal["svm", "linear-svm", "logistic", "ridge", "knn"]
Scale = Literal["linear", "log"]
Logger = Literal["none", "csv", "tensorboard"]


class Scope(enum.Flag):
    """Where a setting applies; a run of the command line has all of them."""

    RUN = enum.auto()
    """The run only: its data, its seeds, its devices."""
    ESTIMATOR = enum.auto()
    """The model and its training, so that `HardInfoGraph` has it as a parameter."""
    EVALUATION = enum.auto()
    """How vectors are scored, so that `graphcl_hard.evaluate` has it."""
    OUTPUT = enum.auto()
    """Where and how a run writes; it changes no number, and is not part of config.yaml."""


@dataclass(frozen=True)
class Rule:
    """What is known of a setting beside its type and its default.

    Attributes:
        scope: where it applies.
        low: the least value of a number.
        high: the largest value of a number.
        below: the number that it must stay below, in place of `high`.
        advice: what an error message suggests.
        method: the method that has the setting; the other one leaves it at its default. None: both.
        refit: whether it may change from one fit of an estimator to the next, since the model is not built from it.
        earlier: its value in runs that were made before the setting existed. None: the default.
    """

    scope: Scope
    low: float = 0
    high: float | None = None
    below: float | None = None
    advice: str = "give one"
    method: Literal["infograph", "graphcl"] | None = None
    refit: bool = False
    earlier: Any = None

    @property
    def has_range(self) -> bool:
        """Whether the setting is a number with a range."""
        return self.high is not None or self.below is not None

    def allows(self, value: float) -> bool:
        """Whether a number lies in the range; nan does not."""
        if self.below is not None:
            return self.low <= value < self.below
        return self.high is None or self.low <= value <= self.high

    def range(self) -> str:
        """The range in mathematical notation."""
        return (
            f"[{self.low:g}, {self.below:g})"
            if self.below is not None
            else f"[{self.low:g}, {self.high:g}]"
        )


def _setting(default: Any, scope: Scope, **rule: Any) -> Any:
    return dataclasses.field(default=default, metadata={"rule": Rule(scope, **rule)})


@dataclass(frozen=True)
class Config:
    """Settings of one run. Each is a flag of the command line and a key of config.yaml.

    Attributes:
        dataset: Name of a TU data set (MUTAG, PTC_MR, ENZYMES, IMDB-BINARY, IMDB-MULTI, DD, REDDIT-BINARY, PROTEINS or
            any other), or path of a folder in TU format, or of a folder that graphcl_hard.convert made, which may be
            larger than memory. MUTAG comes with the package. The others are looked for in --data-dir, then in the
            mirror that the variable GRAPHCL_HARD_MIRROR names (a folder of zip files, or a URL), then at the official
            address.
        data_dir: Folder that holds data sets and receives downloads.
        use_node_attr: Also use the continuous attributes of nodes, standardised over the data set.
        method: How positive and negative pairs are made. infograph maximises agreement between the node and graph
            embeddings of a graph, graphcl between two views of a graph, by NT-Xent. objective, mode, critic,
            score-scale and nodes-per-graph belong to infograph; views, view-strength and second-view-strength belong to
            graphcl.
        objective: Jensen-Shannon (as in InfoGraph) or InfoNCE.
        mode: paper: hard negatives weigh more, as published. released: the authors' code, which weights the easiest
            negatives and fixes tau_plus at 0.5; for comparison.
        beta: Hardness, at least 0. 0 weights all negatives alike; larger values focus on the hardest ones. Under
            graphcl 1 is already hard.
        beta_schedule: How beta changes over the epochs: up from 0, or down to 0.
        effective_negatives: Share of the negatives that the weights leave effective, such as 0.2: beta is found for it
            in each batch, without labels, so that hard means the same on every data set and in every epoch. beta stays
            at its default then, and score-scale plays no part. See docs/choosing_beta.md.
        tau_plus: Class prior in [0, 1): the probability that a random graph has the anchor's class. 0 switches the
            correction of false negatives off.
        debias: Share of positives that tau_plus takes out of the weighted mean over negatives. paper: tau_plus itself,
            as published; right without hardness, too little with it. consistent: their estimated share among the
            weighted negatives. Without tau_plus both are alike.
        critic: Score of a node against a graph. auto: dot for jsd, cosine for info-nce.
        temperature: Divisor of cosine scores (the cosine critic and graphcl), above 0.
        score_scale: Scale of the dot critic's scores in the weights: 2 over the largest of the batch, or none.
        detach_weights: Treat the weights of the negatives as constants in the gradient.
        nodes_per_graph: Number of nodes of each graph that are contrasted, sampled again in each step: faster on graphs
            with many nodes. The loss is an unbiased estimate, except that score-scale max takes the largest score of
            the sample. 0: all nodes.
        negative_queue: Number of summaries of earlier batches that serve as additional negatives of every node, or
            under graphcl of every view: the most recent ones, one for each graph (two under graphcl), without those of
            the graphs in the batch. They are constants in the gradient, made by the weights of earlier steps. 0: only
            the batch. See docs/more_negatives.md.
        views: The two views that graphcl draws of each batch: node-drop removes nodes, edge-perturb moves edges,
            attribute-mask sets node features to zero, subgraph keeps what random walks reach. random2 draws node-drop
            or subgraph for each batch, random3 one of these or edge-perturb, random any of the four. none is the graph
            itself. You et al. (2020, section 4.2) found node-drop and subgraph good on every kind of data set,
            edge-perturb good on social networks and bad on some molecules, attribute-mask better on denser graphs.
        view_strength: Share of each graph's nodes or edges that a view changes, in [0, 1).
        second_view_strength: Share of the second view, if it differs from the first.
        encoder: Type of the graph convolution. gine also reads the labels and attributes of edges, and needs a data set
            that has them; gcn, sage (GraphSAGE), gat and pna are PyTorch Geometric's. All have ReLU and batch norm.
        hidden_channels: Number of channels of each layer.
        num_layers: Number of layers of the encoder.
        readout: How node embeddings become the graph embedding. attention: a mean with learnt weights.
        epochs: Number of passes over the data set. 0 trains nothing: only the untrained encoder is scored.
        batch_size: Number of graphs in a batch, at least 2: the other graphs of the batch are the negatives.
        similar_graphs: Number of similar graphs that enter a batch together: a batch of B graphs consists of
            B / similar-graphs such groups, drawn at random. The groups are made from the present embedding at the start
            of each epoch, or of each window of a data set on disk. They make negatives harder, and more often
            false. Take a number well below batch-size. 0: batches are drawn at random. See docs/hard_batches.md.
        lr: Learning rate of Adam. 0 only moves the running statistics of batch norm: a control that shows what learning
            adds to them.
        recalibrate: Before an encoder embeds, set the statistics of batch norm to the exact mean and variance over all
            nodes of the data set, in place of running averages over the batches of the training. It changes no weight.
            The untrained encoder is then a control for the statistics of batch norm, so the other control, batch norm
            only, is left out.
        seed: First seed; it determines the initial weights, the order of batches and the folds.
        seeds: Number of seeds: seed, seed + 1, and so on, each a run of its own, with a summary.
        evaluate: Score the embedding. Without it, only train and write the encoder: for a data set without classes, or
            one too large for a cross-validation.
        score_epochs: Epochs whose embedding is scored, in addition to the last; 0 is the untrained encoder, and the
            default.
        protocol: best-epoch picks the epoch on the test folds, as much of the literature does; the result is optimistic
            and labelled as such.
        folds: Number of folds of the stratified cross-validation.
        repeats: Number of times that the cross-validation is repeated with other shuffles.
        scale: Input of the probes: the embedding, or sign(x) log(1 + |x|) of it, since sums over nodes span orders of
            magnitude.
        max_c: Largest C of the SVMs and of logistic, from whose grid, the powers of ten from 1e-3 to it, C is chosen
            inside the training folds. Take 1e5 if many folds choose the largest. knn and ridge have no C and ignore it.
        probes: Models that score the embedding: svm (RBF kernel) and knn for classes and measured targets, linear-svm
            and logistic for classes, ridge for measured targets. The first one is the main one.
        accelerator: Where to train. auto: a GPU if there is one.
        sync_batch_norm: Under torchrun, compute batch norm over the nodes of all processes, so that the results are
            those of a single process; without it, over the nodes of each process. See docs/many_processes.md.
        precision: Floating-point precision of training.
        deterministic: Refuse operations that do not repeat bit for bit. The CPU does not need it.
        out: Folder to write; the default is a new one under runs/.
        overwrite: Replace the run in the folder --out.
        resume: Continue the run in the folder --out from its last checkpoint, with the numbers of a run that was never
            stopped; a finished run is left as it is.
        checkpoint_seconds: Minimum time between two checkpoints in seconds; 0 writes one after every epoch. Within an
            epoch they are written too, five minutes apart or more, but not under torchrun.
        pictures: Draw the two pictures; the map of the embedding takes seconds on a large data set.
        logger: Fabric logger for the values of each epoch and the scores: csv writes logs/metrics.csv in the run's
            folder, tensorboard an event file in logs/, for `tensorboard --logdir`.
        quiet: Print only the folder that was written, warnings and errors.
    """

    dataset: str = _setting("MUTAG", Scope.RUN)
    data_dir: Path | None = _setting(None, Scope.RUN)
    use_node_attr: bool = _setting(False, Scope.RUN)

    method: Literal["infograph", "graphcl"] = _setting("infograph", Scope.ESTIMATOR)
    objective: Literal["jsd", "info-nce"] = _setting("jsd", Scope.ESTIMATOR, method="infograph")
    mode: Literal["paper", "released"] = _setting("paper", Scope.ESTIMATOR, method="infograph")
    beta: float = _setting(
        10.0, Scope.ESTIMATOR, high=1e6, advice="0 is uniform weights", refit=True
    )
    beta_schedule: Literal["constant", "linear-up", "linear-down", "cosine-up", "cosine-down"] = (
        _setting("constant", Scope.ESTIMATOR, refit=True)
    )
    effective_negatives: float | None = _setting(
        None,
        Scope.ESTIMATOR,
        low=1e-6,
        high=1,
        advice="0.2 leaves a fifth of the negatives, and None gives `beta` instead",
    )
    tau_plus: float = _setting(
        0.1, Scope.ESTIMATOR, below=1, advice="0 switches the correction off"
    )
    debias: Literal["paper", "consistent"] = _setting("paper", Scope.ESTIMATOR)
    critic: Literal["auto", "dot", "cosine"] = _setting("auto", Scope.ESTIMATOR, method="infograph")
    temperature: float = _setting(0.5, Scope.ESTIMATOR, low=1e-6, high=1e6, advice="0.5 is usual")
    score_scale: Literal["max", "none"] = _setting("max", Scope.ESTIMATOR, method="infograph")
    detach_weights: bool = _setting(True, Scope.ESTIMATOR)
    nodes_per_graph: int = _setting(
        0,
        Scope.ESTIMATOR,
        high=1_000_000,
        advice="0 takes all nodes",
        refit=True,
        method="infograph",
    )
    negative_queue: int = _setting(
        0, Scope.ESTIMATOR, high=10_000_000, advice="0 takes the negatives of the batch only"
    )
    views: tuple[View, ...] = _setting(
        ("node-drop", "subgraph"), Scope.ESTIMATOR, refit=True, method="graphcl"
    )
    view_strength: float = _setting(
        0.2, Scope.ESTIMATOR, below=1, advice="0.2 is usual", refit=True, method="graphcl"
    )
    second_view_strength: float | None = _setting(
        None,
        Scope.ESTIMATOR,
        below=1,
        advice="0.2 is usual, and None is the first view's",
        refit=True,
        method="graphcl",
    )

    encoder: Literal["gin", "gine", "gcn", "sage", "gat", "pna"] = _setting("gin", Scope.ESTIMATOR)
    hidden_channels: int = _setting(32, Scope.ESTIMATOR, low=1, high=65536, advice="32 is usual")
    num_layers: int = _setting(3, Scope.ESTIMATOR, low=1, high=100, advice="3 is usual")
    readout: Literal["sum", "mean", "max", "attention"] = _setting("sum", Scope.ESTIMATOR)

    epochs: int = _setting(
        5,
        Scope.ESTIMATOR,
        high=1_000_000,
        advice="5 is usual, and 0 scores the untrained encoder only",
        refit=True,
    )
    batch_size: int = _setting(
        128,
        Scope.ESTIMATOR,
        low=2,
        high=1_000_000,
        advice="the other graphs of a batch are the negatives, and 128 is usual",
        refit=True,
    )
    similar_graphs: int = _setting(
        0,
        Scope.ESTIMATOR,
        high=1_000_000,
        advice="0 draws batches at random",
        refit=True,
    )
    lr: float = _setting(
        0.001,
        Scope.ESTIMATOR,
        high=1000,
        advice="0.001 is usual, and 0 only moves the statistics of batch norm",
        refit=True,
    )
    recalibrate: bool = _setting(False, Scope.ESTIMATOR, refit=True)
    seed: int = _setting(
        0,
        Scope.RUN | Scope.EVALUATION,
        high=2**32 - 1,
        advice="take a small whole number",
        refit=True,
    )
    seeds: int = _setting(1, Scope.RUN, low=1, high=10_000, advice="5 is usual")

    evaluate: bool = _setting(True, Scope.RUN)
    score_epochs: tuple[int, ...] = _setting((0,), Scope.RUN)
    protocol: Literal["last-epoch", "best-epoch"] = _setting("last-epoch", Scope.RUN)
    folds: int = _setting(10, Scope.EVALUATION, low=2, high=1000, advice="10 is usual")
    repeats: int = _setting(3, Scope.EVALUATION, low=1, high=1000, advice="3 is usual")
    scale: Scale = _setting("log", Scope.ESTIMATOR | Scope.EVALUATION, refit=True, earlier="linear")
    max_c: float = _setting(
        1e3, Scope.EVALUATION, low=1e-3, high=1e9, advice="1e3 is usual, and 1e5 a wider grid"
    )
    probes: tuple[Probe, ...] = _setting(("svm",), Scope.EVALUATION)

    accelerator: Literal["auto", "cpu", "cuda", "mps"] = _setting("auto", Scope.ESTIMATOR)
    sync_batch_norm: bool = _setting(True, Scope.RUN)
    precision: Literal["32-true", "64-true", "bf16-mixed"] = _setting("32-true", Scope.ESTIMATOR)
    deterministic: bool = _setting(False, Scope.ESTIMATOR, refit=True)

    out: Path | None = _setting(None, Scope.OUTPUT)
    overwrite: bool = _setting(False, Scope.OUTPUT)
    resume: bool = _setting(False, Scope.OUTPUT)
    checkpoint_seconds: float = _setting(
        10.0, Scope.OUTPUT, high=1e9, advice="10 is usual, and 0 writes one after every epoch"
    )
    pictures: bool = _setting(True, Scope.OUTPUT)
    logger: Logger = _setting("none", Scope.RUN)
    quiet: bool = _setting(False, Scope.OUTPUT)

    def check(self) -> None:
        """Raise `InputError` where settings are outside their range, with a line for each mistake.

        What depends on the data (the folds, say) is checked where the data is known.
        """
        mistakes = list(self.mistakes())
        if mistakes:
            raise InputError("\n".join(mistakes))

    def mistakes(self) -> Iterator[str]:
        """Yield a sentence for each setting that has the wrong type or lies outside its range.

        Settings are named as parameters in backticks, such as `beta` or `resume=True`; the command line turns them
        into flags.
        """
        of_wrong_type = wrong_types(self, RULES)
        yield from of_wrong_type.values()
        yield from wrong_ranges(self, RULES, of_wrong_type)
        if of_wrong_type:  # the comparisons below would fail
            return
        if self.seed + self.seeds > 2**32:
            found = f"{short_str(self.seed)} and {short_str(self.seeds)}"
            yield f"`seed` and `seeds` must stay below 2**32 together, got {found}; lower one."
        if self.out == Path():
            yield "`out` must name a folder other than the current one, got '.' or nothing; give a name."
        if self.similar_graphs > self.batch_size >= 2:
            yield (
                f"`similar_graphs` must be at most `batch_size={short_str(self.batch_size)}`, since these graphs enter "
                f"a batch together, got {short_str(self.similar_graphs)}; lower it, or raise `batch_size`."
            )
        yield from self._mistaken_method()
        if self.mode == "released" and (
            self.objective != "jsd" or self.critic == "cosine" or self.negative_queue
        ):
            found = f"{self.objective}, {self.critic} and {short_str(self.negative_queue)}"
            yield (
                "`mode=released` is the authors' code, which only has `objective=jsd` and `critic=dot`, and no "
                f"`negative_queue`, got {found}; leave them out."
            )
        if self.mode == "released" and self.debias != "paper":
            yield (
                "`mode=released` is the authors' code, which has its own debiasing, got "
                f"`debias={self.debias}`; leave it out."
            )
        if self.effective_negatives is not None:
            yield from self._mistaken_share()
        if self.epochs >= 0:
            yield from self._mistaken_epochs()
        if self.resume and (self.out is None or self.overwrite):
            found = "`overwrite=True`" if self.overwrite else "no `out`"
            yield f"`resume=True` needs the `out` folder of a run, and not `overwrite=True`, got {found}; change that."
        if not self.probes or len(set(self.probes)) < len(self.probes):
            yield f"`probes` must name at least one classifier, each once, got {' '.join(self.probes)!r}."

    def _mistaken_method(self) -> Iterator[str]:
        pair = isinstance(self.views, tuple) and len(self.views) == 2
        if not pair or not all(
            isinstance(view, str) and view in get_args(View) for view in self.views
        ):
            simple = isinstance(self.views, tuple) and all(
                isinstance(view, str) for view in self.views
            )
            found = repr(" ".join(self.views)) if simple else short_repr(self.views)
            yield f"`views` must be two of {', '.join(get_args(View))}, got {found}; none is the graph itself."
            return
        for name, rule in RULES.items():
            value = getattr(self, name)
            if rule.method not in (None, self.method) and value != getattr(Config, name):
                found = " ".join(value) if isinstance(value, tuple) else short_str(value)
                where = f"`method={rule.method}` only"
                yield f"`{name}` is a setting of {where}, got {found} with {self.method}; leave it out."

    def _mistaken_share(self) -> Iterator[str]:
        if self.beta != Config.beta or self.beta_schedule != Config.beta_schedule:
            found = f"{short_str(self.beta)} and {self.beta_schedule}"
            yield (
                f"`effective_negatives` finds beta, so `beta` and `beta_schedule` must be left at {Config.beta:g} and "
                f"{Config.beta_schedule}, got {found}; leave them out."
            )
        if self.mode == "released":
            yield (
                "`mode=released` is the authors' code, whose `beta` is given, got `effective_negatives="
                f"{short_str(self.effective_negatives)}`; leave one of them out."
            )

    def _mistaken_epochs(self) -> Iterator[str]:
        found = " ".join(map(short_str, self.score_epochs))
        twice = len(set(self.score_epochs)) < len(self.score_epochs)
        if twice or any(not 0 <= epoch <= self.epochs for epoch in self.score_epochs):
            yield (
                f"`score_epochs` must be epochs from 0 to `epochs={short_str(self.epochs)}`, each once, got {found}; 0 "
                "is the untrained encoder."
            )
        if self.protocol == "best-epoch" and not self.evaluate:
            yield "`protocol=best-epoch` picks an epoch by its scores, got `evaluate=False`; leave one of them out."
        if self.protocol == "best-epoch" and (self.epochs == 0 or self.score_epochs != (0,)):
            yield (
                f"`protocol=best-epoch` scores all epochs and needs one, got `epochs={self.epochs}` and "
                f"`score_epochs={found}`; change one of them."
            )

    @property
    def scored_epochs(self) -> tuple[int, ...]:
        """The epochs whose embedding is scored, ascending, with the last; empty where nothing is evaluated."""
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

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as a dictionary of strings, numbers, lists and None."""
        plain: dict[str, Any] = {}
        for name, value in dataclasses.asdict(self).items():
            plain[name] = (
                str(value)
                if isinstance(value, Path)
                else list(value)
                if isinstance(value, tuple)
                else value
            )
        return plain

    def identity(self) -> dict[str, Any]:
        """Return what `to_dict` does, without where and how the run writes: what config.yaml holds."""
        return {
            name: value
            for name, value in self.to_dict().items()
            if Scope.OUTPUT not in RULES[name].scope
        }

    def to_yaml(self) -> str:
        """Return the `identity` as YAML, a key a line, in the order of the flags.

        Without `out` and `overwrite`, running a run's config.yaml again does not replace that very run.
        """
        return yaml.safe_dump(self.identity(), sort_keys=False, allow_unicode=True)


RULES: dict[str, Rule] = {
    field.name: field.metadata["rule"] for field in dataclasses.fields(Config)
}
"""The rule of each setting, in the order of the flags."""
EARLIER: dict[str, Any] = {
    name: rule.earlier for name, rule in RULES.items() if rule.earlier is not None
}
"""The values of settings in runs that are older than the setting, where they are not the defaults."""


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
            raise InputError(
                f"{name} must be {default}, got {found}: this version has no such setting; remove it."
            )
    return {name: value for name, value in settings.items() if name not in REMOVED}


def names_in(scope: Scope) -> tuple[str, ...]:
    """Return the names of the settings of a scope, in the order of the flags."""
    return tuple(name for name, rule in RULES.items() if scope in rule.scope)


def _is_tuple_of(kind: Any, value: Any) -> bool:
    if not isinstance(value, tuple):
        return False
    if kind is int:
        return all(isinstance(item, Integral) and not isinstance(item, bool) for item in value)
    return all(isinstance(item, str) and item in get_args(kind) for item in value)


def wrong_types(settings: Any, rules: Mapping[str, Rule]) -> dict[str, str]:
    """Return a sentence for each setting of a dataclass that has the wrong type, by name."""
    found = {}
    for name, hint in get_type_hints(type(settings)).items():
        sentence = _wrong_type(name, hint, getattr(settings, name), rules[name].advice)
        if sentence is not None:
            found[name] = sentence
    return found


def wrong_ranges(
    settings: Any, rules: Mapping[str, Rule], but: Collection[str] = ()
) -> Iterator[str]:
    """Yield a sentence for each number of a dataclass of settings outside its range, without those in `but`."""
    for name, rule in rules.items():
        value = getattr(settings, name)
        if rule.has_range and name not in but and value is not None and not rule.allows(value):
            yield f"`{name}` must lie in {rule.range()}, got {short_str(value)}; {rule.advice}."


def _wrong_type(name: str, hint: Any, value: Any, advice: str) -> str | None:
    wanted = remedy = None
    if hint in (int | None, float | None):
        hint = get_args(hint)[0] if value is not None else None
    if get_origin(hint) is Literal:
        choices = get_args(hint)
        if not isinstance(value, str) or value not in choices:
            close = difflib.get_close_matches(short_repr(value), choices, n=1)
            wanted = f"one of {', '.join(choices)}"
            remedy = f"did you mean {close[0]!r}?" if close else "take one of them."
    elif hint in (int, float):
        kind, what = (Integral, "a whole number") if hint is int else (Real, "a number")
        if not isinstance(value, kind) or isinstance(value, bool):
            wanted, remedy = what, f"{advice}."
    elif hint is bool and not isinstance(value, bool):
        wanted, remedy = "True or False", "give one of them."
    elif get_origin(hint) is tuple and name != "views":
        if not _is_tuple_of(get_args(hint)[0], value):
            wanted, remedy = "a tuple of its kind", "see its description."
    elif hint is str and not isinstance(value, str):
        wanted, remedy = "a string", "give a name or a path."
    elif hint == Path | None and not isinstance(value, (str, Path, type(None))):
        wanted, remedy = "a path or None", "give one of them."
    return wanted and f"`{name}` must be {wanted}, got {short_repr(value)}; {remedy}"
