"""What a fitted model says of the rows to be scored."""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.metaestimators import available_if

from graphcl_hard.exceptions import InputError

Array = npt.NDArray[Any]


class Answers:
    """The predictions of a fitted model for M rows; each method of the model is called at most once.

    Args:
        model: fitted, with `predict`, and for classes with `classes_`.
        rows: (M, ...), in the form that the methods of the model take.
        classes: (C,) all classes of the target as the model was given them; empty for measured values.
        names: (C,) these classes as the user gave them.
        mean: is added to predicted values.
        scale: predicted values are multiplied by it first.
    """

    def __init__(
        self,
        model: Any,
        rows: Array,
        classes: Array,
        names: Array,
        mean: float = 0.0,
        scale: float = 1.0,
    ) -> None:
        self.model, self.rows, self.classes, self.names = model, rows, classes, names
        self._mean, self._scale = mean, scale
        self.fits_own_labels = not len(classes) or classes is names
        """Whether the model was given labels as the user gave them, and not positions of classes."""
        self._said: dict[str, Array] = {}

    def call(self, method: str) -> Array:
        """Return what a method of the model returns for the rows, (M,) or (M, C)."""
        if method not in self._said:
            # The rows were checked before the model was fitted.
            with config_context(assume_finite=True, skip_parameter_validation=True):
                said = np.asarray(getattr(self.model, method)(self.rows))
            if not len(self.classes):
                said = said.ravel() * self._scale + self._mean
            self._said[method] = said
        return self._said[method]

    def predicted(self) -> Array:
        """Return the predicted classes or values, (M,)."""
        return self.call("predict")

    def decision(self, label: Any) -> Array:
        """Return how much each row is thought to be of a class, (M,): the decision function, or else the probability.

        For a class that the model was not fitted on, all values are 0.

        Raises:
            InputError: the model has neither.
        """
        method = next((m for m in ("decision_function", "predict_proba") if self.has(m)), None)
        if method is None:
            raise InputError(
                "roc_auc and average_precision need decision_function or predict_proba, but "
                f"{type(self.model).__name__} has neither; choose another probe or score."
            )
        values = self.call(method)
        fitted = np.asarray(self.model.classes_)
        column = np.flatnonzero(fitted == label)
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
            self.model, self.rows[rows], self.classes, self.names, self._mean, self._scale
        )
        part._said = {method: said[rows] for method, said in self._said.items()}
        return part

    def own(self, labels: Array) -> Array:
        """Return labels as the user gave them."""
        return labels if self.fits_own_labels else self.names[labels]

    def as_estimator(self) -> Any:
        """Return an estimator of scikit-learn that answers with these predictions, whatever its input is."""
        return _Classifier(self) if len(self.classes) else _Regressor(self)


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
        self.classes_ = answers.own(np.asarray(answers.model.classes_))

    def predict(self, _: Array) -> Array:
        return self.answers.own(self.answers.predicted())

    @_has("decision_function")  # type: ignore[untyped-decorator]
    def decision_function(self, _: Array) -> Array:
        return self.answers.call("decision_function")

    @_has("predict_proba")  # type: ignore[untyped-decorator]
    def predict_proba(self, _: Array) -> Array:
        return self.answers.call("predict_proba")
