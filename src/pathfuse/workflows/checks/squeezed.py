"""An expert that ranks well, but whose probabilities are pressed together."""

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from pathfuse.evaluation.judged import predicted
from pathfuse.workflows.checks.base import Check
from pathfuse.workflows.checks.evidence import FEWEST, Evidence

SPAN = 0.1
"""Of the middle 98 % of the probabilities of any outcome."""
STEEP = 5.0
"""Calibration slope: logits must be so many times further apart to fit the truth."""
SURE = 3.3
"""Standard errors of its discrimination above chance."""
ENDS = (0.01, 0.99)


class Squeezed(Check):
    """What ranks well and says nothing has been scaled on its way into the table."""

    name: ClassVar[str] = "squeezed"
    looks_for: ClassVar[str] = "an expert that ranks well although its probabilities hardly differ"
    threshold: ClassVar[str] = (
        "98 % of the probabilities of each class (or bin) lie within 0.1, the calibration slope on the "
        "fit rows is above 5, and AUROC or C-index are 3.3 standard errors above chance. An "
        "expert that knows little has a narrow range, too, but a slope of about 1"
    )
    way_forward: ClassVar[str] = (
        "give its logits, or its probabilities before they were scaled or averaged with a constant"
    )

    def sentences(self, evidence: Evidence) -> Iterator[str]:
        """One for each expert and label."""
        if evidence.study.endpoint.of_numbers:
            return
        rows = evidence.open_rows
        for group, (output,) in evidence.groups.items():
            for name in evidence.study.expert_names:
                span = _span(evidence, name, output)
                if span is None or span[1] - span[0] > SPAN:
                    continue
                slope = evidence.slope(name, output, rows)
                found = evidence.discrimination(name, group, rows)
                if found is None or slope <= STEEP or found.metric.chance is None:
                    continue
                above = found.value - found.metric.chance
                if not above > SURE * evidence.error_of_discrimination(name, group, rows):
                    continue
                yield (
                    f"{name} is squeezed{group}: it ranks well ({found.metric.label} {found.value:.3f} on the "
                    f"{evidence.open_words}), but 98 % of its probabilities of {_outcome(evidence, span[2])} "
                    f"lie between {span[0]:.4f} and {span[1]:.4f}, so it says the same of all; "
                    f"{self.way_forward}"
                )


def _outcome(evidence: Evidence, k: int) -> str:
    return str(evidence.study.endpoint.outcomes[k])


def _span(evidence: Evidence, name: str, output: str) -> tuple[float, float, int] | None:
    """Ends of the widest range of an outcome's probabilities, and the outcome.

    None where there are few rows, or the expert does not vary.
    """
    judged = evidence.outputs(evidence.open_rows).get(output)
    if judged is None or name not in judged.predictions:
        return None
    prob = np.exp(judged.predictions[name][predicted(judged.predictions[name])])
    if len(prob) < FEWEST or np.ptp(prob, axis=0).max() < 1e-9:
        return None
    low, high = np.quantile(prob, ENDS, axis=0)
    k = int((high - low).argmax())
    if prob.shape[1] == 2:  # both are as wide: that of the positive class
        positive = evidence.study.endpoint.positive
        k = k if positive is None else positive
    return float(low[k]), float(high[k]), k
