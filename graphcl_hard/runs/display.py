"""The terminal output of a run: progress bars while it works, and a table at the end."""

import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from graphcl_hard.runs.flags import with_flags
from graphcl_hard.runs.score_table import heading, interval, number

PROBE_NAMES = {
    "svm": "SVM (RBF)",
    "linear-svm": "linear SVM",
    "logistic": "logistic regression",
    "ridge": "ridge regression",
    "knn": "nearest neighbours",
}

DIFFERENCES = {"difference": "over untrained", "learnt": "over batch norm"}
CONTROL = (
    "batch norm only: the initial weights after the same number of epochs in which only the running statistics of "
    "batch norm change; a gain over this row is what training has learnt."
)


def silence_stdout() -> None:
    """Discard all further output, also that of the interpreter's last flush, after the reader closed the pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Console(Console):
    """A console that becomes silent, instead of ending the process, when the reader closes the pipe."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        silence_stdout()


class Display:
    """The terminal output of a run.

    Progress bars are shown only on a terminal, tables also in a file or pipe.

    Args:
        quiet: show only warnings.
        silent: show no warnings either, as another process does.
    """

    def __init__(self, quiet: bool = False, silent: bool = False) -> None:
        self._silent = silent
        # A pipe has no width; 100 columns fit the tables.
        width = None if sys.stdout.isatty() else 100
        self.console = _Console(quiet=quiet, highlight=False, width=width)
        self._warned: set[str] = set()

    def say(self, text: str) -> None:
        """Print a line."""
        self._show(text, markup=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """Print a warning on stderr, also when quiet; each text is printed only once."""
        text = with_flags(text)
        if text not in self._warned and not self._silent:
            self._warned.add(text)
            with suppress(OSError):
                print(f"warning: {text}", file=sys.stderr)

    def _show(self, *objects: Any, **options: Any) -> None:
        # A run of hours must not end because its table cannot be shown.
        try:
            self.console.print(*objects, **options)
        except OSError as error:
            self.console.quiet = True
            print(
                f"The table cannot be shown: {error.strerror}; it is saved in the run's folder.",
                file=sys.stderr,
            )

    @contextmanager
    def bar(self, name: str, total: int | None) -> Iterator[Callable[..., None]]:
        """Show a progress bar; call the yielded function with the number done, and with a note or a new total."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
        )
        with Progress(
            *columns, console=self.console, transient=True, disable=not self.console.is_terminal
        ) as progress:
            task = progress.add_task(name, total=total, note="")

            def show(done: int, note: str = "", total: int | None = total) -> None:
                progress.update(task, completed=done, note=note, total=total)

            yield show

    @contextmanager
    def warnings(self) -> Iterator[None]:
        """Show the warnings for users that the block causes."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                yield
            finally:  # also before an error, which they may explain
                for warning in caught:
                    if issubclass(warning.category, UserWarning):
                        self.warn(str(warning.message))

    @contextmanager
    def download(self, name: str) -> Iterator[Callable[[int, int | None], None]]:
        """Show a progress bar from the first bytes on; call the yielded function with the bytes done and in total."""
        with self.warnings(), ExitStack() as stack:
            bars: list[Callable[..., None]] = []

            def on_bytes(done: int, total: int | None) -> None:
                if not bars:
                    bars.append(stack.enter_context(self.bar(f"downloading {name}", total)))
                bars[0](done, "bytes", total)

            yield on_bytes

    def result(self, result: Mapping[str, Any]) -> None:
        """Print the table of one run: untrained and trained scores with their paired difference."""
        data = result["dataset"]
        if not result["scores"]:
            self.say(
                f"{data['name']}: {data['graphs']} graphs, seed {result['seed']}: trained, not evaluated."
            )
            return
        main = next(iter(result["scores"].values()))
        first = main.get("trained") or main["untrained"]
        targets = _targets(data["classes"], first)
        table = _table(
            f"{data['name']}: {data['graphs']} graphs, {targets}, seed {result['seed']}",
            first["summary"],
        )
        epoch = (
            f"best epoch, {result['epoch']}"
            if result["optimistic"]
            else f"trained, epoch {result['epoch']}"
        )
        for probe, scores in result["scores"].items():
            table.add_section()
            table.add_row(PROBE_NAMES[probe], style="dim")
            others = {} if result["optimistic"] else scores.get("by_epoch", {})
            rows = {f"epoch {epoch}": scored for epoch, scored in others.items()}
            rows = {
                _untrained(result): scores.get("untrained"),
                "batch norm only": scores.get("batch_norm"),
                **rows,
                epoch: scores.get("trained"),
            }
            for name, scored in rows.items():
                if scored is not None:
                    main_score, *more = _scores(scored["summary"])
                    table.add_row(name, main_score, "", *more)
            for key, name in DIFFERENCES.items():
                if key in scores:
                    main_score, *more = _scores(scores[key], "+")
                    p = next(iter(scores[key].values()))["p"]
                    shown_p = "" if p is None else f"{p:.2g}"
                    table.add_row(name, main_score, shown_p, *more, style="bold")
        self._show(table)
        self._optimistic(result)
        score = heading(next(iter(first["summary"]))).removesuffix(" %")
        self.say(
            protocol_text(first, f"[95% intervals] and the p-value of the difference in {score}")
        )
        if "batch_norm" in main:
            self.say(CONTROL)

    def table(self, table: Table) -> None:
        """Print a table."""
        self._show(table)

    def summary(self, summary: Mapping[str, Any]) -> None:
        """Print the table of a run over several seeds."""
        data, seeds = summary["dataset"], summary["seeds"]
        if not summary["scores"]:
            return
        first = next(iter(next(iter(summary["scores"].values())).values()))
        title = f"{data['name']}: mean over seeds {seeds[0]} to {seeds[-1]}"
        table = _table(title, first, with_p=False)
        names = {
            "untrained": _untrained(summary),
            "batch_norm": "batch norm only",
            "trained": "trained",
            **DIFFERENCES,
        }
        for probe, rows in summary["scores"].items():
            table.add_section()
            table.add_row(PROBE_NAMES[probe], style="dim")
            for key, name in names.items():
                if key not in rows:
                    continue
                sign = "+" if key in DIFFERENCES else ""
                table.add_row(name, *_scores(rows[key], sign), style="bold" if sign else "")
        self._show(table)
        self._optimistic(summary)
        self.say(
            "± and [95% intervals] (Student's t) are over seeds, which change the initial weights, batches and folds."
        )

    def _optimistic(self, result: Mapping[str, Any]) -> None:
        if result["optimistic"]:
            self._show(
                "OPTIMISTIC: the epoch was selected on the test folds (--protocol best-epoch).",
                style="red",
            )


def _untrained(result: Mapping[str, Any]) -> str:
    return f"untrained {result.get('encoder', 'gin').upper()}"


def protocol_text(scored: Mapping[str, Any], corrected: str, with_std: bool = True) -> str:
    """Return how the scores of a run or a file were made, in two sentences."""
    with_std = with_std and scored["repeats"] > 1
    noise = "± is the standard deviation over repeats; " if with_std else ""
    return (
        f"{scored['repeats']} x {scored['folds']}-fold cross-validation, parameters chosen inside the training folds. "
        f"{noise}{corrected} are corrected for overlapping training folds (Nadeau and Bengio)."
    )


def _targets(classes: int, scored: Mapping[str, Any]) -> str:
    if "targets" in scored:
        return f"{len(scored['targets'])} targets"
    return f"{classes} classes" if classes else "1 target"


def _table(title: str, scores: Iterable[str], rows: str = "encoder", with_p: bool = True) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False
    )
    table.add_column(rows)
    first, *others = map(heading, scores)
    table.add_column(first, justify="right", no_wrap=True)
    for name in (["p"] if with_p else []) + others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _scores(found: Mapping[str, Mapping[str, Any]], sign: str = "") -> list[str]:
    """Return a cell for each score; of more than two scores, all but the first are means only, to save room."""
    return [
        _score(name, summary, sign, only_mean=place > 0 and len(found) > 2)
        for place, (name, summary) in enumerate(found.items())
    ]


def _score(score: str, summary: Mapping[str, Any], sign: str, only_mean: bool) -> str:
    text = number(score, summary["mean"] if "mean" in summary else summary["difference"], sign)
    if only_mean:
        return text
    if summary.get("std") is not None:
        text += f" ± {number(score, summary['std'])}"
    return text + interval(score, summary["low"], summary["high"], sign)
