"""What endpoints of classes have in common: how their predictions are judged."""

from pathfuse.endpoints.base import Endpoint
from pathfuse.evaluation.judged import Judged, Scores
from pathfuse.evaluation.metrics.classification import METRICS, ClassificationScores
from pathfuse.evaluation.metrics.survival import SurvivalTruth
from pathfuse.evaluation.notes import few_of_a_class
from pathfuse.evaluation.slope import of_classes
from pathfuse.types import LogProbs, Observed


class OfClasses(Endpoint):
    """One of several classes, or yes or no."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Those of classes, in the order of ``metrics.csv``."""
        return tuple(metric.name for metric in METRICS)

    def scores(
        self, log_prob: LogProbs, observed: Observed, context: SurvivalTruth | None
    ) -> Scores:
        """See ``Endpoint``."""
        return ClassificationScores(
            log_prob, observed, 1 if self.positive is None else self.positive
        )

    def slope_scores(self, log_prob: LogProbs, observed: Observed) -> Scores:
        """See ``Endpoint``."""
        return of_classes(log_prob, observed)

    @property
    def slope_in_words(self) -> tuple[str, tuple[str, ...]]:
        """See ``Endpoint``."""
        if len(self.outcomes) > 2:
            return "P in proportion to p to the power b", ("guo2017",)
        return "logit P = a + b logit p", ("cox1958", "vancalster2019")

    def too_few(self, judged: Judged, drawn: str) -> str | None:
        """See ``Endpoint``: fewer than two patients of one of two classes."""
        return few_of_a_class(judged, self.outcomes, drawn)
