"""An expert whose class columns have each other's names."""

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata

from pathfuse.evaluation.judged import Judged, predicted
from pathfuse.workflows.checks.base import Check
from pathfuse.workflows.checks.evidence import FEWEST, Evidence

BETTER = 0.15
"""So much higher must the AUROC be, on average over the classes that move."""
SURE = 4.0
"""Standard errors of all these gains together: the best of many orders is looked at."""
SHOWN = 3


class _Move(NamedTuple):
    """A class that another class's column ranks better than its own."""

    name: str
    column: str
    own: float
    """AUROC of its own column."""
    other: float
    gain_in_errors: tuple[float, float]
    """The gain, and the variance of an AUROC that knows nothing."""


class SwappedClasses(Check):
    """Three classes or more; of two, the check ``wrong way round`` sees it."""

    name: ClassVar[str] = "swapped classes"
    looks_for: ClassVar[str] = (
        "an expert of three or more classes whose columns have each other's names"
    )
    threshold: ClassVar[str] = (
        "in the order of its columns that ranks classes best on the fit rows, the AUROC (one class against "
        "the rest) of the classes that move is on average 0.15 higher than that of their own columns, "
        "together by 4 standard errors, with 10 rows of each: classes that are merely alike share "
        "their columns' ranks and gain nothing"
    )
    way_forward: ClassVar[str] = "give each column the name of its class"

    def sentences(self, evidence: Evidence) -> Iterator[str]:
        """One for each expert."""
        endpoint = evidence.study.endpoint
        if endpoint.of_numbers or endpoint.in_time or len(endpoint.outcomes) < 3:
            return
        for judged in evidence.outputs(evidence.open_rows).values():
            for name in judged.predictions:
                moves = _moves(judged, name, endpoint.outcomes)
                if moves:
                    shown = ", ".join(
                        f"'{m.name}' is ranked by the column of '{m.column}' (AUROC {m.other:.3f}), not by its own "
                        f"({m.own:.3f})"
                        for m in moves[:SHOWN]
                    )
                    more = f" and {len(moves) - SHOWN} more" if len(moves) > SHOWN else ""
                    yield (
                        f"{name} has its classes in another order: on the {evidence.open_words}, {shown}{more}; "
                        f"{self.way_forward}"
                    )


def _moves(judged: Judged, name: str, outcomes: tuple[str, ...]) -> list[_Move]:
    """The classes that move, if all of them gain and the gain is sure; else none."""
    there = predicted(judged.predictions[name])
    truth = np.asarray(judged.observed[there]).argmax(axis=1)
    auroc = aurocs(judged.predictions[name][there], truth)
    count = np.bincount(truth, minlength=len(outcomes))
    order = linear_sum_assignment(-np.nan_to_num(auroc, nan=0.5))[1]
    moves = [
        _Move(
            outcomes[k],
            outcomes[order[k]],
            float(auroc[k, k]),
            float(auroc[k, order[k]]),
            (float(auroc[k, order[k]] - auroc[k, k]), 1 / 6 / count[k]),
        )
        for k in range(len(outcomes))
        if order[k] != k and count[k] >= FEWEST
    ]
    gains = [move.gain_in_errors[0] for move in moves]
    error = sum(move.gain_in_errors[1] for move in moves) ** 0.5
    sure = len(moves) > 1 and sum(gains) >= BETTER * len(gains) and sum(gains) >= SURE * error
    return moves if sure else []


def aurocs(scores: np.ndarray, truth: np.ndarray) -> Float[np.ndarray, "class column"]:
    """How well each column ranks each class against the rest; NaN for a class without rows.

    Examples:
        >>> aurocs(np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]]), np.array([0, 0, 1])).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    n, n_classes = scores.shape
    ranks = np.stack([rankdata(column) for column in scores.T], axis=1)
    found = np.full((n_classes, n_classes), np.nan)
    for k in range(n_classes):
        n_k = int((truth == k).sum())
        if 0 < n_k < n:
            found[k] = (ranks[truth == k].mean(axis=0) - (n_k + 1) / 2) / (n - n_k)
    return found
