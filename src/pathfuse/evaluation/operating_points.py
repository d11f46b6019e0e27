"""Decisions at one threshold: how it is chosen on one set of rows, and how it fares on another.

Source: Youden, Cancer 3 (1950), for the threshold of largest sensitivity + specificity - 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import logit

from pathfuse.errors import InputError
from pathfuse.evaluation.metrics.base import Metric, RowWeights, Values, ratio
from pathfuse.evaluation.scales import SHARE
from pathfuse.types import PerSample

YOUDEN, PROBABILITY = "youden", "probability"
REACHED = ("sensitivity", "specificity")
"""Figures that a rule can ask for."""
FIGURES = ("sensitivity", "specificity", "ppv", "npv")
TIED = 1e-9
"""A score this close below a threshold counts as on it."""


@dataclass(frozen=True)
class Rule:
    """How a threshold is chosen."""

    kind: str
    """``youden``, ``sensitivity``, ``specificity`` or ``probability``."""
    value: float = float("nan")
    """What is to be reached, or the probability itself."""

    @property
    def text(self) -> str:
        """As it is given: ``sensitivity=0.95``."""
        if self.kind == YOUDEN:
            return YOUDEN
        value = f"{self.value:g}"
        return value if self.kind == PROBABILITY else f"{self.kind}={value}"

    @property
    def learns(self) -> bool:
        """Whether it needs rows to choose on."""
        return self.kind != PROBABILITY


def parse_rule(text: str) -> Rule:
    """A rule as it is given.

    Raises:
        InputError: It is not one.

    Examples:
        >>> parse_rule("sensitivity=0.95").text
        'sensitivity=0.95'
    """
    word, equals, number = (part.strip() for part in text.partition("="))
    kind = word.lower() if equals else PROBABILITY
    if kind == PROBABILITY and word.lower() == YOUDEN:
        return Rule(YOUDEN)
    try:
        value = float(number if equals else word)
    except ValueError:
        value = np.nan
    inside = 0 < value < 1 or (kind in REACHED and value == 1)
    if kind not in (*REACHED, PROBABILITY) or (equals and kind == PROBABILITY) or not inside:
        raise InputError(
            f"--operating-point '{text}' is unknown: give youden, sensitivity=0.95, specificity=0.9, "
            "or a probability between 0 and 1"
        )
    return Rule(kind, value)


def choose_threshold(
    score: PerSample, positive: Bool[np.ndarray, " sample"], rule: Rule
) -> float | None:
    """The log-odds at and above which a row is called positive; None where the rule cannot be met.

    Candidates are the scores that occur. Youden: of equal ones the highest. A sensitivity: the
    highest threshold that reaches it, unless it calls every row positive. A specificity: the lowest
    that reaches it, unless it calls no positive row.

    Args:
        score: Float, (sample,), log-odds of the positive outcome.
        positive: Bool, (sample,).
        rule: How to choose.

    References:
        Youden (1950).

    Examples:
        >>> score, positive = np.array([3.0, 2.0, 1.0, 0.0]), np.array([True, False, True, False])
        >>> [choose_threshold(score, positive, Rule("sensitivity", s)) for s in (0.5, 1.0)]
        [3.0, 1.0]
    """
    if rule.kind == PROBABILITY:
        return float(logit(rule.value))
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return None
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    last = np.flatnonzero(np.append(ranked[:-1] != ranked[1:], True))  # of each distinct score
    sensitivity = np.cumsum(positive[order])[last] / n_positive
    specificity = 1 - np.cumsum(~positive[order])[last] / n_negative
    if rule.kind == YOUDEN:
        index = sensitivity + specificity - 1
        best = int(np.argmax(index > index.max() - TIED))
        return float(ranked[last[best]]) if index[best] > TIED else None
    if rule.kind == "sensitivity":
        met = (sensitivity >= rule.value - TIED) & (specificity > 0)
    else:
        met = (specificity >= rule.value - TIED) & (sensitivity > 0)
    found = np.flatnonzero(met)
    if not len(found):
        return None
    return float(ranked[last[found[0] if rule.kind == "sensitivity" else found[-1]]])


def called(score: PerSample, threshold: float) -> Bool[np.ndarray, " sample"]:
    """The rows at or above a threshold."""
    return np.asarray(score >= threshold - TIED)


def figure_of(figure: str, outcome: str) -> str:
    """What a figure of one outcome is called."""
    return f"{figure} of {outcome}"


@dataclass(frozen=True)
class DecisionScores:
    """Decisions on some rows, for one outcome or for each of several against the others.

    sensitivity = TP / positives            PPV = TP / called
    specificity = TN / negatives            NPV = TN / not called
    """

    called: Bool[np.ndarray, "sample outcome"]
    positive: Bool[np.ndarray, "sample outcome"]
    outcomes: Sequence[str]

    @cached_property
    def metrics(self) -> tuple[Metric, ...]:
        """See ``Scores``."""
        return tuple(
            Metric(figure_of(figure, outcome), figure, "", lambda _: np.zeros(0), scale=SHARE)
            for outcome in self.outcomes
            for figure in FIGURES
        )

    def values(self, weights: RowWeights) -> dict[str, Values]:
        """Every figure of every resample; NaN where nobody is at its bottom.

        Args:
            weights: Float, (resample, sample), non-negative.
        """
        n = weights.sum(axis=1)
        both = weights @ (self.called & self.positive).astype(np.float64)
        flagged = weights @ self.called.astype(np.float64)
        true = weights @ self.positive.astype(np.float64)
        found: dict[str, Values] = {}
        for k, outcome in enumerate(self.outcomes):
            neither = n - flagged[:, k] - true[:, k] + both[:, k]
            shares = (
                ratio(both[:, k], true[:, k]),
                ratio(neither, n - true[:, k]),
                ratio(both[:, k], flagged[:, k]),
                ratio(neither, n - flagged[:, k]),
            )
            found |= {
                figure_of(name, outcome): share for name, share in zip(FIGURES, shares, strict=True)
            }
        return found


def confusion(
    truth: np.ndarray, predicted: np.ndarray, n_outcomes: int
) -> Float[np.ndarray, "truth predicted"]:
    """How many rows of each true outcome (rows) were called which (columns).

    Examples:
        >>> confusion(np.array([0, 1, 1]), np.array([0, 0, 1]), 2).tolist()
        [[1, 0], [1, 1]]
    """
    cells = np.bincount(truth * n_outcomes + predicted, minlength=n_outcomes**2)
    return cells.reshape(n_outcomes, n_outcomes)
