"""What choosing among the experts could reach at most: an oracle per sample."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pathfuse.distributions.likelihood import set_nll
from pathfuse.evaluation.judged import Judged, predicted
from pathfuse.types import PerSample


@dataclass(frozen=True)
class SampleOracle:
    """Who always picks, of the experts that scored a sample, the one that is nearest the truth."""

    loss: float
    """Mean loss: NLL, or the absolute error of continuous targets."""
    some_right: float | None
    """Share of samples whose outcome some expert finds most probable; None without one outcome."""
    n: int


def sample_oracle(judged: Judged, experts: Sequence[str], of_numbers: bool) -> SampleOracle | None:
    """The mean over samples of the smallest loss of any expert; it sees the truth, so nobody reaches it.

        oracle = (1 / n) Σ_i min_m loss(i, m)

    Args:
        judged: The judged rows, with the experts' predictions.
        experts: Their names.
        of_numbers: Whether predictions are mean and variance.

    Returns:
        None where no expert scored a row.
    """
    there = [name for name in experts if name in judged.predictions]
    if not there:
        return None
    losses = np.stack([_losses(judged, name, of_numbers) for name in there], axis=1)
    scored = ~np.isnan(losses).all(axis=1)
    if not scored.any():
        return None
    loss = float(np.nanmin(losses[scored], axis=1).mean())
    one_outcome = not of_numbers and (judged.observed.sum(axis=1) == 1).all()
    if not one_outcome or judged.context is not None:
        return SampleOracle(loss, None, int(scored.sum()))
    truth = judged.observed.argmax(axis=1)
    right = np.any([_called(judged, name) == truth for name in there], axis=0)[scored]
    return SampleOracle(loss, float(right.mean()), int(scored.sum()))


def _losses(judged: Judged, name: str, of_numbers: bool) -> PerSample:
    predictions = judged.predictions[name]
    found = np.full(len(predictions), np.nan)
    rows = predicted(predictions)
    if of_numbers:
        found[rows] = np.abs(judged.observed[rows, 0] - predictions[rows, 0])
    else:
        found[rows] = set_nll(predictions[rows], judged.observed[rows])
    return found


def _called(judged: Judged, name: str) -> Float[np.ndarray, " sample"]:
    """The outcome that an expert finds most probable; -1 where it is absent."""
    predictions = judged.predictions[name]
    return np.where(
        predicted(predictions), np.nan_to_num(predictions, nan=-np.inf).argmax(axis=1), -1
    )
