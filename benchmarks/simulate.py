"""Seeded simulated experts: each is sharp and right in a soft region of its own.

See docs/design/logitprod.md, section 4.
"""

from typing import NamedTuple

import numpy as np

from pathfuse.distributions.discrete_time import event_distribution
from pathfuse.distributions.likelihood import floor_log_prob
from pathfuse.fusion.categorical.experts import Experts


def region_experts(
    n: int, n_experts: int, n_classes: int, seed: int, overfitted: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Logits (n, experts, classes) and labels.

    A hidden 2-d covariate places every sample; an expert's skill is 1.2 to 2.2 near its own centre
    and 0.15 to 0.55 elsewhere. Half of the noise is shared between experts, and logit scales run
    from e^-0.9 to e^0.9.

    Args:
        n: Samples.
        n_experts: Experts.
        n_classes: Classes.
        seed: Seed.
        overfitted: The first so many rows are rows that the experts were trained on: every expert
            is sure and right.
    """
    rng = np.random.default_rng(seed)
    place = rng.normal(size=(n, 2))
    angle = 2 * np.pi * np.arange(n_experts) / n_experts
    centres = 1.2 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    near = np.exp(-((place[:, None] - centres) ** 2).sum(axis=2) / 1.5)
    high, low = rng.uniform(1.2, 2.2, n_experts), rng.uniform(0.15, 0.55, n_experts)
    skill = low + (high - low) * near
    y = rng.integers(n_classes, size=n)
    shared, own = rng.normal(size=(n, 1, n_classes)), rng.normal(size=(n, n_experts, n_classes))
    noise = np.sqrt(0.5) * shared + np.sqrt(0.5) * own
    logits = 1.3 * skill[:, :, None] * np.eye(n_classes)[y][:, None] + skill[:, :, None] * noise
    logits[:overfitted] += 4.0 * np.eye(n_classes)[y[:overfitted]][:, None]
    return logits * np.exp(rng.uniform(-0.9, 0.9, n_experts))[:, None], y


class SurvivalTask(NamedTuple):
    """Simulated follow-up and what experts say of it."""

    hazard_logit: np.ndarray
    """(sample, expert, bin)"""
    observed: np.ndarray
    """Bool, (sample, bin and tail): the sets of outcomes that the follow-up allows."""
    time: np.ndarray
    """In units of one bin."""
    event: np.ndarray

    @property
    def experts(self) -> Experts:
        """Event distributions with their tail."""
        n, m, t = self.hazard_logit.shape
        log_prob = floor_log_prob(event_distribution(self.hazard_logit.reshape(n * m, t))).reshape(
            n, m, t + 1
        )
        return Experts(log_prob, np.ones((n, m), dtype=bool))


def region_survival(
    n: int, n_experts: int, n_bins: int, seed: int, overfitted: int = 0
) -> SurvivalTask:
    """Event times in bins (0, 1], (1, 2], ... with about 40 % censored, and experts that see the
    risk by region.

    A hidden risk moves the log-odds of the hazard in every bin; times are uniform inside their bin.
    Each expert sees the risk under noise, half of it shared, and is sharp in its own region; skill
    and logit scales as in ``region_experts``. Censoring is exponential; whoever outlives the last
    bin is censored there.

    Args:
        n: Samples.
        n_experts: Experts.
        n_bins: Bins T, each one unit of time long.
        seed: Seed.
        overfitted: The first so many rows are rows that the experts were trained on: every expert
            has learnt their follow-up by heart.
    """
    rng = np.random.default_rng(seed)
    place, risk = rng.normal(size=(n, 2)), rng.normal(size=n)
    angle = 2 * np.pi * np.arange(n_experts) / n_experts
    centres = 1.2 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    near = np.exp(-((place[:, None] - centres) ** 2).sum(axis=2) / 1.5)
    high, low = rng.uniform(1.2, 2.2, n_experts), rng.uniform(0.15, 0.55, n_experts)
    skill = low + (high - low) * near
    base, bins = np.linspace(-1.0, 0.0, n_bins), np.arange(n_bins)
    dies = rng.random((n, n_bins)) < 1 / (1 + np.exp(-(base + 1.2 * risk[:, None])))
    death = np.where(dies.any(axis=1), dies.argmax(axis=1), n_bins) + rng.random(n)
    leaves = np.minimum(rng.exponential(6.5, size=n), n_bins)
    time, event = np.minimum(death, leaves), death <= leaves
    last = np.minimum(np.ceil(time).astype(int) - 1, n_bins - 1)[:, None]
    outcome = np.arange(n_bins + 1)
    observed = np.where(event[:, None], outcome == last, outcome > last)
    shared, own = rng.normal(size=(n, 1, n_bins)), rng.normal(size=(n, n_experts, n_bins))
    noise = np.sqrt(0.5) * shared + np.sqrt(0.5) * own
    logits = base + skill[:, :, None] * (1.3 * risk[:, None, None] + noise)
    learnt = 4.0 * np.where(event[:, None] & (bins == last), 1.0, np.where(bins <= last, -1.0, 0.0))
    logits[:overfitted] += learnt[:overfitted, None]
    scale = np.exp(rng.uniform(-0.9, 0.9, n_experts))[:, None]
    return SurvivalTask(logits * scale, observed, time, event)
