"""Seeded simulated experts: each is sharp and right in a soft region of its own (logitprod.md, section 4)."""

import numpy as np


def region_experts(
    n: int, n_experts: int, n_classes: int, seed: int, overfitted: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Logits (n, experts, classes) and labels.

    A hidden 2-d covariate places every sample; an expert's skill is 1.2 to 2.2 near its own centre and 0.15 to 0.55
    elsewhere. Half of the noise is shared between experts, and logit scales run from e^-0.9 to e^0.9.

    Args:
        n: Samples.
        n_experts: Experts.
        n_classes: Classes.
        seed: Seed.
        overfitted: The first so many rows are rows that the experts were trained on: every expert is sure and right.
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
