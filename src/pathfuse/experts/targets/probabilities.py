"""Probabilities and log-odds of averaged models."""

import numpy as np

TINY = 1e-7
"""Probabilities are kept this far from 0 and 1 when models are averaged (the contract floors at
e^-16)."""


def log_odds(prob: np.ndarray) -> np.ndarray:
    """Log-odds of probabilities, kept finite."""
    kept = np.clip(prob, TINY, 1 - TINY)
    return np.asarray(np.log(kept) - np.log1p(-kept))
