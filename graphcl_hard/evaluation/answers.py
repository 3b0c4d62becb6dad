"""What a fitted model says of the rows to be scored."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.metaestimators import available_if

from graphcl_hard.exceptions import InputError, first_line

Array = npt.NDArray[Any]


class Answers:
    """The predictions of a fitted model for M rows; each method of the model is called at most once.

    Args:
        model: fitted, with `predict`.
        rows: (M, ...), in the form that the methods of the model take.
        classes: (C,) all classes of the target as the model was given them; empty for measured values.
        names: (C,) these classes as the user gave them.
        mean: is added to predicted values.
        scale: predicted values are multiplied by it first.
        fitted: classes that the model was fitted on, if it does not say so by `classes_`; None: `classes`.
        own: name of an estimator of the user, whose errors become `InputError`; empty: they are not expected.
    """

    def __init__(
        self,
        model: Any,
        rows: Array,
        classes: Array,
        names: Array,
        mean: float = 0.0,
        scale: float = 1.0,
        fitted: Array | None = None,
        own: str = "",
    ) -> None:
        self.model, self.rows, self.classes, self.names = model, rows, classes, names
        self._mean, self._scale, self._own = mean, scale, own
        self.fitted = np.asarray(getattr(model, "classes_", classes if fitted is None else fitted))
        """The classes that the model was fitted on, in the order of its columns."""
        self.fits_own_labels = not len(classes) or classes is names
        """Whether the model was given labels as the user gave them, and not positions of classes."""
        self._said: dict[str, Array] = {}

    def call(self, method: str) -> Array:
        """Return what a method of the model returns for the rows, (M,) or (M, C)."""
        if method not in self._said:
            # The rows were checked before the model was fitted.
            with config_context(assume_finite=True, skip_parameter_validation=True):
                said = np.asarray(self._ask(method))
            if said.ndim == 2 and said.shape[1] == 1:
                said = said[:, 0]
            if method == "predict" and said.shape != (len(self.rows),):
                raise InputError(
                    f"{type(self.model).__name__}.predict must return shape ({len(self.rows)},), got {said.shape}; "
                    "choose another probe."
                )
            if not len(self.classes):
                said = said.ravel() * self._scale + self._mean
            self._said[method] = said
        return self._said[method]

    def _ask(self, method: str) -> Any:
        if not self._own:
            return getattr(self.model, method)(self.rows)
        with probe_errors(self._own, method):
            return getattr(self.model, method)(self.rows)

    def predicted(self) -> Array:
        """Return the predicted classes or values, (M,)."""
        return self.call("predict")

    def decision(self, label: Any) -> Array:
        """Return how much each row is thought to be of a class, (M,): the decision function, or else the probability.

        For a class that the model was not fitted on, all values are 0.

        Raises:
            InputError: the model has neither, or none with a column for each class.
        """
        methods = [m for m in ("decision_function", "predict_proba") if self.has(m)]
        if not methods:
            raise InputError(
                "roc_auc and average_precision need decision_function or predict_proba, but "
                f"{type(self.model).__name__} has neither; choose another probe or score."
            )
        count = len(self.fitted)
        for method in methods:
            if method == "decision_function" and count > 2 and _has_pairs(self.model):
                continue
            values = self.call(method)
            if (values.ndim == 1 and count <= 2) or values.shape[1:] == (count,):
                break
        else:
            raise InputError(
                f"roc_auc and average_precision need a column of {' or '.join(methods)} for each of {count} classes, "
                f"but {type(self.model).__name__} has others; choose another probe or score, or "
                'decision_function_shape="ovr".'
            )
        column = np.flatnonzero(self.fitted == label)
        if not len(column):
            return np.zeros(len(values))
        if values.ndim == 1:
            return values if column[0] == 1 else -values
        return values[:, column[0]]

    def has(self, method: str) -> bool:
        """Return whether the model has this method."""
        return hasattr(self.model, method)

    def take(self, rows: Array) -> "Answers":
        """Return the answers for some of the rows, given by position; the model is not asked again."""
        part = Answers(
            self.model,
            self.rows[rows],
            self.classes,
            self.names,
            self._mean,
            self._scale,
            self.fitted,
            self._own,
        )
        part._said = {method: said[rows] for method, said in self._said.items()}
        return part

    def own(self, labels: Array) -> Array:
        """Return labels as the user gave them."""
        return labels if self.fits_own_labels else self.names[labels]

    def as_estimator(self) -> Any:
        """Return an estimator of scikit-learn that answers with these predictions, whatever its input is."""
        return _Classifier(self) if len(self.classes) else _Regressor(self)


@contextmanager
def probe_errors(name: str, method: str) -> Iterator[None]:
    """Raise `InputError` with the name of an estimator of the user for any error that its method raises."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"The probe {name} fails in {method} with {type(error).__name__}: {first_line(error).rstrip('.')}; correct "
            "it, or choose another probe."
        ) from error


def _has_pairs(model: Any) -> bool:
    """Return whether the decision function has a column for each pair of classes, of which 3 classes have 3, too."""
    best = getattr(model, "best_estimator_", model)
    settings = best.get_params() if hasattr(best, "get_params") else {}
    return any(
        name.endswith("decision_function_shape") and value == "ovo"
        for name, value in settings.items()
    )


class _Regressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    def __init__(self, answers: Answers) -> None:
        self.answers = answers

    def predict(self, _: Array) -> Array:
        return self.answers.predicted()


def _has(method: str) -> Any:
    return available_if(lambda self: self.answers.has(method))


class _Classifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.classes_ = answers.own(answers.fitted)

    def predict(self, _: Array) -> Array:
        return self.answers.own(self.answers.predicted())

    @_has("decision_function")  # type: ignore[untyped-decorator]
    def decision_function(self, _: Array) -> Array:
        return self.answers.call("decision_function")

    @_has("predict_proba")  # type: ignore[untyped-decorator]
    def predict_proba(self, _: Array) -> Array:
        return self.answers.call("predict_proba")
