"""Logistic regression over feature vectors, kept as plain arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engines.reporter import Notes
from engines.settings import option

if TYPE_CHECKING:
    import numpy


@dataclass(frozen=True)
class Regression:
    """Logistic regression."""

    inverse_regularisation: float = option(
        1.0, "Inverse strength of the L2 penalty; lower generalises more, higher fits more.", minimum=1e-6
    )


class LinearHead:
    """Multinomial logistic regression over feature vectors, kept as plain arrays."""

    def __init__(self, coefficients: "numpy.ndarray", intercepts: "numpy.ndarray") -> None:
        self.coefficients = coefficients  # (classes, features), float64
        self.intercepts = intercepts  # (classes,), float64

    @classmethod
    def fit(
        cls, features: Any, true: Sequence[int], classes: int, regression: Regression, report: Notes
    ) -> "LinearHead":
        """Fit by scikit-learn on dense or sparse (items, features); a note says so where the solver did not converge.

        A class without an item in `true` is never predicted: its probability is 0.
        """
        import warnings

        import numpy
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            fitted = LogisticRegression(C=regression.inverse_regularisation, max_iter=1000).fit(features, list(true))
        if any(issubclass(w.category, ConvergenceWarning) for w in caught):
            report.note("logistic regression did not converge; lower classifier.inverse_regularisation", "warning")
        seen, rows, constants = fitted.classes_, fitted.coef_, fitted.intercept_
        if len(rows) == 1:  # two classes share one row: the first class is the reference, 0
            rows, constants = numpy.vstack([0 * rows, rows]), numpy.append(0.0, constants)
        coefficients, intercepts = numpy.zeros((classes, rows.shape[1])), numpy.full(classes, -numpy.inf)
        coefficients[seen], intercepts[seen] = rows, constants
        return cls(coefficients, intercepts)

    def probabilities(self, features: Any) -> "numpy.ndarray":
        """(items, classes) from dense or sparse (items, features)."""
        import numpy

        logits = features @ self.coefficients.T + self.intercepts
        powers = numpy.exp(logits - logits.max(axis=1, keepdims=True))
        return numpy.asarray(powers / powers.sum(axis=1, keepdims=True))
