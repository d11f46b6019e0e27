"""What every fusion is, whatever it fuses: an estimator on what experts predict."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar, Generic, Self

import numpy as np

from pathfuse.errors import NotFittedError
from pathfuse.fusion.certificate import Certificate
from pathfuse.fusion.estimator import Estimator
from pathfuse.fusion.expert_table import E, Prediction, Truth
from pathfuse.fusion.family import AnyFamily
from pathfuse.references import Reference
from pathfuse.types import Weights


@cache
def _not_fitted() -> type[NotFittedError]:
    """What both libraries catch; made when it is raised, since it imports scikit-learn."""
    from sklearn.exceptions import NotFittedError as OfSklearn

    return type("NotFittedError", (NotFittedError, OfSklearn), {"__module__": __name__})


class Fusion(Estimator, ABC, Generic[E]):
    """Base of all fusions.

    Args:
        seed: Seed of the inner folds.
        n_jobs: Processes for inner cross-validation, as in joblib; results do not depend on it.

    Attributes:
        certificate_: Fit-row objective of every expert and of the fusion.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    """What it is, in one line that goes on from "The fused prediction was"; reports and the
    documentation print it."""
    references: ClassVar[tuple[Reference, ...]] = ()
    """The works it rests on."""
    family: ClassVar[AnyFamily]
    """The kind of predictions that it fuses."""
    certificate_: Certificate

    def __init__(self, seed: int = 0, n_jobs: int | None = None) -> None:
        self.seed = seed
        self.n_jobs = n_jobs

    @abstractmethod
    def fit_experts(self, experts: E, truth: Truth, groups: np.ndarray) -> Self:
        """Fits on what experts predicted of rows that they were not trained on.

        Args:
            experts: Predictions of the fit rows.
            truth: What was observed.
            groups: Int, (sample,). Patients.
        """

    @abstractmethod
    def combine(self, experts: E) -> Prediction:
        """The fused prediction; a row depends on nothing but itself."""

    def combine_known(self, experts: E, pooled: Mapping[str, Prediction]) -> Prediction:
        """``combine``, where it is known what some of the methods pool of the same samples."""
        return self.combine(experts)

    def combine_and_weigh(self, experts: E) -> tuple[Prediction, Weights]:
        """``combine`` and ``weigh``, with what both need worked out once."""
        parts = [(self.combine(block), self.weigh(block)) for _, block in experts.blocks()]
        predicted, weights = zip(*parts, strict=True)
        return np.concatenate(predicted), np.concatenate(weights)

    @abstractmethod
    def check_fitted(self, n_experts: int, n_columns: int) -> None:
        """Refuses fitted numbers that are of other experts or outcomes: a damaged model file.

        Args:
            n_experts: How many it fuses.
            n_columns: Outcomes, or targets.

        Raises:
            ValueError: They do not fit.
        """

    @property
    def parts(self) -> Mapping[str, "Fusion[E]"]:
        """The fitted methods that it weighs, by name; none of what is one method itself."""
        return {}

    @abstractmethod
    def weigh(self, experts: E) -> Weights:
        """The experts' weights in each sample."""

    def _need(self, attribute: str) -> Any:
        if not hasattr(self, attribute):
            raise _not_fitted()(f"{type(self).__name__} predicts only after fit")
        return getattr(self, attribute)
