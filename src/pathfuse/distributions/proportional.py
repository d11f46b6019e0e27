"""A risk per patient as hazards of bins: proportional hazards in discrete time.

    h_k(z) = 1 - exp(-exp(a_k + b z)),   z = (risk - mean) / sd

``a_k`` (one per bin) and ``b`` maximise the likelihood of the fit rows, as Breslow's baseline does in
continuous time (docs/design/fusion.md, section 6.5).
"""

from dataclasses import dataclass
from typing import Annotated, Any, Self

import numpy as np
from jaxtyping import Float
from pydantic import Field

from pathfuse.distributions.discrete_time import event_distribution
from pathfuse.distributions.likelihood import floor_log_prob
from pathfuse.files.schema import Stored, checked
from pathfuse.types import LogProbs, Observed, PerSample

LEAST_SLOPE = 1e-3
"""Of b: an expert that ranks the wrong way round keeps its order, and its hazards are those of
everybody."""
PRECISION = 1.0
"""Of the normal prior of b around 0: one more patient hardly matters."""
STEPS = 100
CLOSE = 1e-10
FIXED_HAZARD = 0.2
"""Of every bin, where there are no fit rows."""


@dataclass(frozen=True)
class Baseline:
    """What turns an expert's risks into hazards."""

    mean: float
    sd: float
    slope: float
    """b, as it is used."""
    log_hazards: Float[np.ndarray, " bin"]
    """a_k."""
    found: float
    """b as it was estimated: negative where a higher risk goes with later events."""

    def log_prob(self, risk: PerSample) -> LogProbs:
        """Log-probabilities of an event in each bin and of none, (sample, bin + 1)."""
        z = (risk - self.mean) / self.sd
        rate = np.exp(np.clip(self.log_hazards[None, :] + self.slope * z[:, None], -30, 5))
        logit = np.log(-np.expm1(-rate)) + rate
        return floor_log_prob(event_distribution(np.clip(logit, -50, 50)))

    @classmethod
    def fit(cls, risk: PerSample, observed: Observed) -> Self:
        """The baseline of some rows.

        One patient of mean risk and average hazard is added to each bin, so that a bin without an
        event has a hazard above 0.

        Args:
            risk: Float, (sample,).
            observed: (sample, bin + 1), 1 where an outcome is possible; only whole outcomes count.

        Examples:
            >>> rng = np.random.default_rng(0)
            >>> risk = rng.normal(size=400)
            >>> event = rng.random(400) < 1 - np.exp(-np.exp(risk - 1))
            >>> found = Baseline.fit(risk, np.stack([event, ~event], axis=1))
            >>> round(found.slope / found.sd, 1), found.log_hazards.round(1).tolist()
            (1.0, [-1.2])
        """
        mean, sd = _scale(risk)
        at_risk, events = _person_bins(observed)
        average = events.sum() / max(at_risk.sum(), 1)
        z = np.append((risk - mean) / sd, 0.0)
        at_risk = np.concatenate([at_risk, np.ones((1, at_risk.shape[1]))])
        events = np.concatenate([events, np.full((1, at_risk.shape[1]), average)])
        a, b = _most_likely(z, at_risk, events)
        if b < LEAST_SLOPE:
            a, _ = _most_likely(0 * z, at_risk, events)
        return cls(mean, sd, max(b, LEAST_SLOPE), a, b)

    @classmethod
    def fixed(cls, risk: PerSample, n_bins: int) -> Self:
        """Without fit rows: the order is right, the hazards mean nothing."""
        return cls(*_scale(risk), 1.0, np.full(n_bins, np.log(-np.log1p(-FIXED_HAZARD))), 1.0)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "mean": self.mean, "sd": self.sd, "slope": self.slope, "found": self.found,
            "log_hazards": self.log_hazards.tolist(),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """The inverse of ``as_dict``."""
        stored = checked(StoredBaseline, content).model_dump()
        return cls(**{**stored, "log_hazards": np.array(stored["log_hazards"])})


def _scale(risk: PerSample) -> tuple[float, float]:
    sd = float(risk.std())
    return float(risk.mean()), sd if sd > 0 else 1.0


def _person_bins(
    observed: Observed,
) -> tuple[Float[np.ndarray, "sample bin"], Float[np.ndarray, "sample bin"]]:
    """Which bins each sample entered and left observed, and in which it had its event."""
    whole = np.asarray(observed) == 1
    first, n_bins = whole.argmax(axis=1), whole.shape[1] - 1
    alone = (whole.sum(axis=1) == 1) & (first < n_bins)
    events = np.zeros((len(whole), n_bins))
    events[alone, first[alone]] = 1.0
    return (np.arange(n_bins) < first[:, None]) + events, events


def _most_likely(
    z: PerSample,
    at_risk: Float[np.ndarray, "sample bin"],
    events: Float[np.ndarray, "sample bin"],
) -> tuple[Float[np.ndarray, " bin"], float]:
    """A and b by Fisher's scoring, with half steps where a whole one makes it worse."""
    n_bins = at_risk.shape[1]
    share = events.sum(axis=0) / at_risk.sum(axis=0)
    a, b = np.log(-np.log1p(-np.clip(share, 1e-6, 1 - 1e-6))), 0.0
    best = _log_posterior(a, b, z, at_risk, events)
    for _ in range(STEPS):
        rate = np.exp(np.clip(a[None, :] + b * z[:, None], -30, 5))
        hazard = -np.expm1(-rate)
        odds = rate * np.exp(-rate) / hazard
        score = events * odds - (at_risk - events) * rate  # derivative by a_k + b z
        weight = at_risk * rate * odds  # expected curvature
        gradient = np.append(score.sum(axis=0), (score * z[:, None]).sum() - PRECISION * b)
        curvature = np.zeros((n_bins + 1, n_bins + 1))
        curvature[range(n_bins), range(n_bins)] = weight.sum(axis=0) + 1e-9
        curvature[:n_bins, n_bins] = curvature[n_bins, :n_bins] = (weight * z[:, None]).sum(axis=0)
        curvature[n_bins, n_bins] = (weight * z[:, None] ** 2).sum() + PRECISION
        step = np.linalg.solve(curvature, gradient)
        for half in range(30):
            size = 0.5**half
            value = _log_posterior(a + size * step[:-1], b + size * step[-1], z, at_risk, events)
            if value >= best:
                break
        else:
            break
        gain, best = value - best, value
        a, b = a + size * step[:-1], float(b + size * step[-1])
        if gain < CLOSE:
            break
    return a, b


def _log_posterior(
    a: Float[np.ndarray, " bin"],
    b: float,
    z: PerSample,
    at_risk: Float[np.ndarray, "sample bin"],
    events: Float[np.ndarray, "sample bin"],
) -> float:
    rate = np.exp(np.clip(a[None, :] + b * z[:, None], -30, 5))
    inside = events * np.log(-np.expm1(-rate)) - (at_risk - events) * rate
    return float(inside.sum() - PRECISION * b**2 / 2)


class StoredBaseline(Stored):
    """As ``as_dict`` writes it."""

    mean: float
    sd: Annotated[float, Field(gt=0)]
    slope: float
    found: float
    log_hazards: Annotated[list[float], Field(min_length=1)]
