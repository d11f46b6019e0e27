"""The candidates that weights move between: the fusion, its methods, the experts, and the fusion
without each expert.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Float

from pathfuse.distributions.likelihood import set_nll
from pathfuse.errors import InputError
from pathfuse.fusion.base import Fusion
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.types import LogProbs, Observed
from pathfuse.workflows.model import FusedModel

FUSED = "fused"
"""The first candidate: the model as it was fitted."""
WITHOUT = "without_"
"""The fusion as if an expert had not scored."""
LABEL_SHIFT = "label_shift"
"""The fusion, corrected for outcomes that have become more or less frequent."""
CandidateTable = Float[np.ndarray, "sample candidate outcome"]


@dataclass(frozen=True)
class Candidates:
    """What each candidate predicts of each sample, for one task."""

    names: tuple[str, ...]
    log_prob: CandidateTable
    """NaN where a candidate sleeps: it has no prediction."""

    @property
    def awake(self) -> np.ndarray:
        """Bool, (sample, candidate)."""
        return ~np.isnan(self.log_prob[:, :, 0])

    def log_likelihood(
        self, observed: Float[np.ndarray, "sample outcome"]
    ) -> Float[np.ndarray, "sample candidate"]:
        """Log-probability of each label under each candidate.

        Args:
            observed: The sets that were observed; NaN where the label is not known.
        """
        found = np.full(self.log_prob.shape[:2], np.nan)
        known = ~np.isnan(observed[:, 0])
        for k in range(len(self.names)):
            found[known, k] = likelihood(self.log_prob[known, k], observed[known])
        return found


def likelihood(log_prob: LogProbs, observed: Observed) -> Float[np.ndarray, " sample"]:
    """Log-probability of observed sets; NaN where there is no prediction."""
    found = np.full(len(log_prob), np.nan)
    there = ~np.isnan(log_prob[:, 0])
    found[there] = -set_nll(log_prob[there], observed[there])
    return found


def candidates_of(
    model: FusedModel, task: str, logits: Float[np.ndarray, "sample expert outcome"]
) -> Candidates:
    """The candidates of one task.

    A row depends on nothing but itself, so that the same samples in other company give the same
    bytes.

    Args:
        model: Of anything but numbers.
        task: Which.
        logits: From ``FusedModel.aligned``.

    Raises:
        InputError: Two candidates have one name.
    """
    fusion = model.fusions[task]
    tables: dict[str, LogProbs] = {FUSED: _fused(fusion, logits)}
    named = [FUSED]
    for name, part in fusion.parts.items():
        tables[name] = _fused(part, logits)
        named.append(name)
    for m, name in enumerate(model.experts):
        tables[name] = _alone(logits[:, m])
        named.append(name)
    for m, name in enumerate(model.experts if len(model.experts) > 1 else ()):
        fewer = np.array(logits)
        fewer[:, m] = np.nan
        tables[WITHOUT + name] = _fused(fusion, fewer)
        named.append(WITHOUT + name)
    _check_names([*named, LABEL_SHIFT])
    return Candidates(tuple(named), np.stack([tables[name] for name in named], axis=1))


def _check_names(names: list[str]) -> None:
    twice = next((one for one, other in combinations(sorted(names), 2) if one == other), None)
    if twice is not None:
        raise InputError(
            f"an expert called '{twice}' has the name of another candidate for the weights; call it "
            "otherwise in the study that the model is fitted on"
        )


def _fused(fusion: Fusion[Any], logits: Float[np.ndarray, "sample expert outcome"]) -> LogProbs:
    """NaN where no expert is left."""
    result = np.full((len(logits), logits.shape[2]), np.nan)
    scored = ~np.isnan(logits[:, :, 0]).all(axis=1)
    if scored.any():
        result[scored] = fusion.combine(Experts.from_logits(logits[scored]))
    return result


def _alone(logits: LogProbs) -> LogProbs:
    """One expert's own distribution; NaN where it did not score."""
    result = np.full(logits.shape, np.nan)
    scored = ~np.isnan(logits[:, 0])
    if scored.any():
        result[scored] = Experts.from_logits(logits[scored][:, None]).log_prob[:, 0]
    return result


def with_label_shift(found: Candidates, corrected: LogProbs) -> Candidates:
    """One more candidate: the fusion, corrected for a shift."""
    return Candidates(
        (*found.names, LABEL_SHIFT),
        np.concatenate([found.log_prob, corrected[:, None]], axis=1),
    )


def check_adaptable(model: FusedModel) -> None:
    """Refuses a model of numbers.

    Raises:
        InputError: It predicts means, not probabilities of outcomes.
    """
    if model.endpoint.of_numbers:
        raise InputError(
            f"adapt weighs probabilities of outcomes, and the model predicts {model.endpoint.in_words}; "
            "fit it again on newer samples instead"
        )


def observed_of(truth: Mapping[str, Any], task: str, row: int) -> np.ndarray | None:
    """One sample's observed set as numbers; None where it is blank."""
    own = truth[task]
    return np.asarray(own.observed[row], dtype=np.float64) if own.known[row] else None
