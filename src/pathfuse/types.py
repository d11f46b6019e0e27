"""The vocabulary of pathfuse as array types; also its glossary.

sample   what the experts scored: a slide, a tile, a patient
patient  groups samples; the unit of every split, resample and interval
expert   one model's predictions, by name
tile     a small image cut from a slide
bag      the feature vectors of one slide's tiles, by one encoder
outcome  what can happen to a sample: one of K classes, an event in one of T bins or after the last
observed the set of outcomes that the truth allows (one class; for a censored case every later bin)
"""

from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Shaped

Logits: TypeAlias = Float[np.ndarray, "sample expert outcome"]
"""Raw scores of the experts; NaN where an expert did not score the sample."""

ExpertLogProbs: TypeAlias = Float[np.ndarray, "sample expert outcome"]
"""Log-probabilities, normalised over outcomes; 0 where the expert is absent (see ``Present``)."""

Present: TypeAlias = Bool[np.ndarray, "sample expert"]
"""True where the expert scored the sample."""

LogProbs: TypeAlias = Float[np.ndarray, "sample outcome"]
"""Log-probabilities of one predictor, normalised over outcomes."""

Observed: TypeAlias = Shaped[np.ndarray, "sample outcome"]
"""The set of outcomes that the truth allows, at least one per sample: Bool, or Float in [0, 1] for
shares."""

Weights: TypeAlias = Float[np.ndarray, "sample expert"]
"""Non-negative weights of the experts; rows sum to 1, absent experts have 0."""

PerSample: TypeAlias = Float[np.ndarray, " sample"]
"""One number per sample."""

Index: TypeAlias = Int[np.ndarray, " row"]
"""Row numbers."""

Bag: TypeAlias = Float32[np.ndarray, "tile dim"]
"""Feature vectors of one slide's tiles, or the one vector of the whole slide."""

Params: TypeAlias = dict[str, np.ndarray]
"""The fitted numbers of one fusion method, by name; what a model file stores."""
