"""The scores of a probe's predictions: own ones, those of scikit-learn, and functions of the user.

A score that is undefined, such as the area under a curve where all rows are of one class, is NaN.
"""

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.metrics import get_scorer, get_scorer_names

from graphcl_hard.evaluation import measures
from graphcl_hard.evaluation.answers import Answers
from graphcl_hard.evaluation.measures import Measure
from graphcl_hard.evaluation.targets import Target, Task
from graphcl_hard.exceptions import InputError, first_line, short_repr, short_str

Array = npt.NDArray[Any]


class Score(NamedTuple):
    """A score with a name."""

    name: str
    sign: int
    """1 if higher is better, -1 if lower is."""
    compute: Callable[[Array, Answers], float]
    """Takes the true labels, (M,), as the model was given them, and the answers; returns NaN if it is undefined."""
    measure: Measure | None = None
    """The same for many resamples at a time."""
    needs_model: bool = False
    """Whether it calls the model itself, with rows and labels as the user gave them."""


def _own(measure: Measure, sign: int = 1) -> Score:
    def compute(truth: Array, answers: Answers) -> float:
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(measure(truth, answers, np.ones((1, len(truth))))[0])

    return Score(measure.__name__, sign, compute, measure)


_CLASSES = (
    _own(measures.accuracy),
    _own(measures.macro_f1),
    _own(measures.balanced_accuracy),
    _own(measures.roc_auc),
    _own(measures.average_precision),
    _own(measures.mcc),
)
_VALUES = (
    _own(measures.r2),
    _own(measures.rmse, -1),
    _own(measures.mae, -1),
    _own(measures.spearman),
)
OWN: dict[Task, dict[str, Score]] = {
    "classification": {score.name: score for score in _CLASSES},
    "regression": {score.name: score for score in _VALUES},
}
"""The own scores of each task."""
_SCORER = type(get_scorer("accuracy"))


def default_scoring(targets: Sequence[Target]) -> tuple[str, ...]:
    """Return the names of the scores of targets of one task; the first one chooses the parameter."""
    if targets[0].task == "regression":
        return tuple(OWN["regression"])
    if len(targets) > 1 and all(len(target.classes) == 2 for target in targets):
        return ("roc_auc", "average_precision")
    return ("accuracy", "macro_f1")


def read_scoring(scoring: Any, targets: Sequence[Target]) -> list[Score]:
    """Return the scores that are asked for; None: `default_scoring`.

    Args:
        scoring: name, list of names, name -> scorer, or a scorer: an object of `sklearn.metrics.make_scorer`, or a
            function that takes a fitted estimator, X and y.
        targets: of one task.

    Raises:
        InputError: a name is unknown or of the other task, or there is no score.
    """
    if scoring is None:
        scoring = default_scoring(targets)
    task = targets[0].task
    if isinstance(scoring, Mapping):
        scores = [_read(scorer, task, str(name)) for name, scorer in scoring.items()]
    elif isinstance(scoring, str) or callable(scoring):
        scores = [_read(scoring, task)]
    elif isinstance(scoring, (list, tuple)):
        scores = [_read(scorer, task) for scorer in scoring]
    else:
        raise InputError(
            f"scoring must be a name, a list of names, a mapping or a scorer, got {short_repr(scoring)}; give a name."
        )
    names = [score.name for score in scores]
    if not names or len(set(names)) < len(names):
        raise InputError(
            f"scoring must name at least one score, each once, got {short_repr(scoring)}; correct it."
        )
    return scores


def _read(scorer: Any, task: Task, name: str | None = None) -> Score:
    if isinstance(scorer, str):
        if scorer in OWN[task]:
            return OWN[task][scorer]._replace(name=name or scorer)
        known = [*OWN[task], *(n for n in get_scorer_names() if n not in OWN[task])]
        if scorer not in known or any(scorer in own for own in OWN.values()):
            close = difflib.get_close_matches(scorer, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else "choose one of these."
            raise InputError(
                f"scoring must name a score for {task}: {', '.join(OWN[task])}, or one of "
                f"sklearn.metrics.get_scorer_names(), got {short_repr(scorer)}; {hint}"
            )
        return _of_scikit_learn(get_scorer(scorer), name or scorer)
    if isinstance(scorer, _SCORER):
        return _of_scikit_learn(scorer, name or short_str(scorer))
    if not callable(scorer):
        raise InputError(
            f"scoring must be names or scorers, got {short_repr(scorer)}; give a name or a function."
        )
    called = name or str(getattr(scorer, "__name__", type(scorer).__name__))
    return Score(called, 1, _call(scorer, called), needs_model=True)


def _of_scikit_learn(scorer: Any, name: str) -> Score:
    def compute(truth: Array, answers: Answers) -> float:
        try:
            return float(scorer(answers.as_estimator(), truth, answers.own(truth)))
        except InputError:
            raise
        except AttributeError as error:  # of a model without this kind of answer
            raise InputError(
                f"The score {name} needs another kind of prediction than {type(answers.model).__name__} has; choose "
                "another probe or score."
            ) from error
        except ValueError as error:  # where classes are missing, say
            if len(np.unique(truth)) < max(2, len(answers.classes)):
                return math.nan
            raise InputError(
                f"The score {name} cannot be computed: {first_line(error).rstrip('.')}; choose another."
            ) from error

    return Score(name, 1, compute)


def _call(
    scorer: Callable[[Any, Array, Array], Any], name: str
) -> Callable[[Array, Answers], float]:
    def compute(truth: Array, answers: Answers) -> float:
        try:
            value = scorer(answers.model, answers.rows, truth)
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                f"The score {name} cannot be computed: {first_line(error).rstrip('.')}; correct the function."
            ) from error
        if not isinstance(value, Real):
            raise InputError(
                f"A scorer must return a number, got {short_repr(value)}; give one function for each score."
            )
        return float(value)

    return compute
