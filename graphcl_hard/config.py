"""The settings of a run: one dataclass is the source of the flags, the YAML file and the record of a run."""

import dataclasses
import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from graphcl_hard.errors import InputError
from graphcl_hard.setting_ranges import ADVICE, BELOW_ONE, METHOD_SETTINGS, RANGES

Probe = Literal["svm", "linear-svm", "logistic", "knn"]
View = Literal["node-drop", "edge-perturb", "attribute-mask", "subgraph", "random", "none"]
OUTPUT_SETTINGS = ("out", "overwrite", "resume", "checkpoint_seconds", "pictures", "quiet")
BEFORE: dict[str, Any] = {"scale": "linear"}
"""What a run did whose settings do not name these, since it is older than they are; the defaults are others."""


@dataclass(frozen=True)
class Config:
    """Settings of one run. Each is a flag of the command line and a key of config.yaml.

    Attributes:
        dataset: TU data set by name (MUTAG, PTC_MR, ENZYMES, IMDB-BINARY, IMDB-MULTI, DD, REDDIT-BINARY, PROTEINS,
            or any other), or the path of a folder in TU format. MUTAG comes with the package; the others are taken
            from --data-dir, then from the mirror that the variable GRAPHCL_HARD_MIRROR names (a folder of zip
            files, or a URL), then from the official address.
        data_dir: Folder that holds data sets, and to which downloads go.
        use_node_attr: Use the nodes' continuous attributes too, standardised over the set, where it has them.
        method: How pairs are made. infograph tells the parts of a graph from those of others by the whole graph.
            graphcl tells two views of a graph from those of others, by NT-Xent; objective, mode, critic, score-scale
            and nodes-per-graph are infograph's alone, views and view-strength graphcl's.
        objective: Jensen-Shannon (InfoGraph's) or InfoNCE.
        mode: paper: hard negatives weigh more, as published. released: the authors' code, which weights the easiest
            negatives and fixes tau_plus at 0.5; for comparison.
        beta: Hardness, at least 0. 0 weights all negatives alike; the larger, the more the hardest count.
        beta_schedule: How beta moves over the epochs: up from 0 or down to 0.
        tau_plus: Class prior in [0, 1): the chance that a random graph is of the anchor's class. 0 switches the
            correction of false negatives off.
        critic: Score of a node against a graph. auto: dot for jsd, cosine for info-nce.
        temperature: Divisor of cosine scores, which the cosine critic and graphcl have, above 0.
        score_scale: Scale of the dot critic's scores in the weights: 2 over the batch's largest, or none.
        detach_weights: Treat the weights of the negatives as constants in the gradient.
        nodes_per_graph: Nodes of each graph, sampled anew in each step, that are contrasted: faster on graphs with many
            nodes. The loss is an unbiased estimate, but that score-scale max takes the sample's largest. 0: all nodes.
        views: The two views that graphcl draws of each batch: node-drop leaves nodes out, edge-perturb moves edges,
            attribute-mask puts zeros for nodes' features, subgraph keeps what random walks reach; random is one of
            these four, drawn for each batch; none is the graph itself. The default are the two that GraphCL's authors
            find to help on all sets.
        view_strength: Share of each graph's nodes or edges that a view changes, in [0, 1).
        hidden_channels: Channels of each layer.
        num_layers: Layers of the encoder.
        readout: How a graph's nodes become the graph's vector.
        epochs: Passes over the set. 0 trains nothing: the untrained encoder alone is scored.
        batch_size: Graphs in a batch, at least 2: the other graphs of the batch are the negatives.
        lr: Learning rate of Adam. 0 moves nothing but the running statistics of batch norm: a control that tells what
            learning adds to them.
        seed: First seed; it fixes the initial weights, the order of batches and the folds.
        seeds: Number of seeds: seed, seed + 1, and so on, each a run of its own, with a summary.
        score_epochs: Epochs whose embedding is scored, beside the last; 0 is the untrained encoder. The default is 0.
        protocol: best-epoch picks the epoch on the test folds, as much of the literature does: optimistic, and
            labelled so.
        folds: Folds of the stratified cross-validation.
        repeats: Repeats of the cross-validation with other shuffles.
        scale: What the probes see: the embedding, or sign(x) log(1 + |x|) of it, since sums over nodes span orders
            of magnitude.
        probes: Classifiers that judge the embedding; svm has an RBF kernel. The first one leads.
        accelerator: Where to train. auto: a GPU where there is one.
        precision: Floating-point numbers in training.
        deterministic: Refuse operations that do not repeat bit for bit; the CPU needs no such switch.
        out: Folder to write; the default is a new one under runs/.
        overwrite: Replace the run that the folder --out holds.
        resume: Go on with the run that the folder --out holds, from its last checkpoint, with the numbers of a run that
            was never stopped; a finished one is left as it is.
        checkpoint_seconds: Least time between two checkpoints; 0 writes one after every epoch.
        pictures: Draw the two pictures; the map of the embedding takes seconds on a large set.
        quiet: Print nothing but the folder that was written, and errors.
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
    views: tuple[View, ...] = ("node-drop", "subgraph")
    view_strength: float = 0.2

    hidden_channels: int = 32
    num_layers: int = 3
    readout: Literal["sum", "mean", "max"] = "sum"

    epochs: int = 5
    batch_size: int = 128
    lr: float = 0.001
    seed: int = 0
    seeds: int = 1

    score_epochs: tuple[int, ...] = (0,)
    protocol: Literal["last-epoch", "best-epoch"] = "last-epoch"
    folds: int = 10
    repeats: int = 3
    scale: Literal["linear", "log"] = "log"
    probes: tuple[Probe, ...] = ("svm",)

    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["32-true", "64-true", "bf16-mixed"] = "32-true"
    deterministic: bool = False

    out: Path | None = None
    overwrite: bool = False
    resume: bool = False
    checkpoint_seconds: float = 10.0
    pictures: bool = True
    quiet: bool = False

    def check(self) -> None:
        """Raise `InputError` on the first setting that is outside its range.

        What depends on the data (the folds, say) is checked where the data is known.
        """
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:  # so written, nan is refused too
                raise InputError(f"{_flag(name)} must lie in [{low:g}, {high:g}], got {value}; {ADVICE[name]}.")
        if self.seed + self.seeds > 2**32:
            raise InputError(f"--seed and --seeds must stay below 2**32 together, got {self.seed} and {self.seeds}.")
        for name in BELOW_ONE:
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{_flag(name)} must lie in [0, 1), got {getattr(self, name)}; {ADVICE[name]}.")
        if self.out == Path():
            raise InputError("--out must name a folder other than the current one, got '.' or nothing; give a name.")
        self._check_method()
        if self.mode == "released" and (self.objective != "jsd" or self.critic == "cosine"):
            raise InputError(
                "--mode released is the authors' code, which has --objective jsd and --critic dot alone, got "
                f"{self.objective} and {self.critic}; leave these two out."
            )
        self._check_epochs()
        if self.resume and (self.out is None or self.overwrite):
            found = "--overwrite" if self.overwrite else "no --out"
            raise InputError(f"--resume needs the --out folder of a run, and not --overwrite, got {found}; mend that.")
        if not self.probes or len(set(self.probes)) < len(self.probes):
            raise InputError(f"--probes must name at least one classifier, each once, got {' '.join(self.probes)!r}.")

    def _check_method(self) -> None:
        if len(self.views) != 2:
            raise InputError(f"--views must name two views, got {' '.join(self.views)!r}; none is the graph itself.")
        for method, names in METHOD_SETTINGS.items():
            for name in names:
                value = getattr(self, name)
                if method != self.method and value != getattr(Config, name):
                    shown = " ".join(value) if isinstance(value, tuple) else value
                    raise InputError(
                        f"{_flag(name)} is a setting of --method {method} alone, got {shown} with {self.method}; "
                        "leave it out."
                    )

    def _check_epochs(self) -> None:
        if len(set(self.score_epochs)) < len(self.score_epochs) or any(
            not 0 <= epoch <= self.epochs for epoch in self.score_epochs
        ):
            raise InputError(
                f"--score-epochs must be epochs from 0 to --epochs {self.epochs}, each once, got "
                f"{' '.join(map(str, self.score_epochs))}; 0 is the untrained encoder."
            )
        if self.protocol == "best-epoch" and (self.epochs == 0 or self.score_epochs != (0,)):
            raise InputError(
                f"--protocol best-epoch scores all epochs and needs one, got --epochs {self.epochs} and --score-epochs "
                f"{' '.join(map(str, self.score_epochs))}; change one of them."
            )

    @property
    def scored_epochs(self) -> tuple[int, ...]:
        """The epochs whose embedding is scored, rising; the last is one of them."""
        if self.protocol == "best-epoch":
            return tuple(range(self.epochs + 1))
        return tuple(sorted({*self.score_epochs, self.epochs}))

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


def to_plain(config: Config) -> dict[str, Any]:
    """The settings as a dictionary of strings, numbers, lists and None."""
    plain: dict[str, Any] = {}
    for name, value in dataclasses.asdict(config).items():
        plain[name] = str(value) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value
    return plain


def check_same_settings(config: Config, folder: Path) -> None:
    """Raise `InputError` where the run in a folder has other settings, so that it cannot go on under these."""
    path = folder / "config.yaml"
    if not path.exists():
        return
    held = {**to_plain(Config()), **BEFORE, **read_yaml(path)}
    for name, value in to_plain(config).items():
        if name not in OUTPUT_SETTINGS and held[name] != value:
            raise InputError(
                f"--resume: the run in {folder} has {_flag(name)} {held[name]}, got {value}; give --config {path}, or "
                "choose another --out."
            )


def read_yaml(path: Path) -> dict[str, Any]:
    """The settings that a YAML file holds, by field name; their values are checked by whoever parses the flags.

    Raises:
        InputError: the file cannot be read, is no mapping, or has a key that is no setting.
    """
    try:
        # Numbers such as 1e-3 are strings to YAML 1.1; the flags' parser reads them, so all scalars may be strings.
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = error.strerror if isinstance(error, OSError) else re.sub(r"\s+", " ", str(error))
        raise InputError(f"--config {path} cannot be read: {reason}; give the config.yaml of a run.") from error
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise InputError(f"--config {path} must hold one setting a line, such as 'beta: 2', got {content!r}.")
    names = [field.name for field in dataclasses.fields(Config)]
    if {"dataset", "protocol", "probes"} <= content.keys():  # a run's own file, which names all settings of its time
        content = {**BEFORE, **content}
    for key in content:
        if key not in names:
            close = difflib.get_close_matches(str(key), names, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"the settings are {', '.join(names)}."
            raise InputError(f"--config {path} has the unknown setting {key!r}; {hint}")
        kind, fits = _kind(getattr(Config(), key))
        if not fits(content[key]):
            raise InputError(f"--config {path}: {key} must be {kind}, got {content[key]!r}; mend that line.")
    return content


def to_flags(settings: dict[str, Any]) -> list[str]:
    """Settings as the command-line words that stand for them, so that a file is checked as flags are."""
    words = []
    for name, value in settings.items():
        if isinstance(value, bool):
            words.append(_flag(name) if value else _flag(name).replace("--", "--no-", 1))
        else:
            values = [str(v) for v in (value if isinstance(value, list) else [value])]
            # --name=value, so that a value may begin with a dash
            words += [f"{_flag(name)}={values[0]}"] if len(values) == 1 else [_flag(name), *values]
    return words


def _kind(default: Any) -> tuple[str, Callable[[Any], bool]]:
    """What a setting with this default may be in a YAML file, in words and as a test."""
    if isinstance(default, bool):
        return "true or false", lambda value: isinstance(value, bool)
    if isinstance(default, (int, float)):
        return "a number", lambda value: isinstance(value, (int, float, str)) and not isinstance(value, bool)
    if isinstance(default, tuple):
        kind, fits = _kind(default[0])
        return f"a list, each {kind}", lambda value: isinstance(value, list) and all(fits(v) for v in value)
    if default is None:
        return "a path or null", lambda value: value is None or isinstance(value, str)
    return "a name", lambda value: isinstance(value, str)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
