"""STAPLE: the truth and each model's reliability, estimated together from the models' decisions.

Source: Warfield, Zou, Wells (IEEE Trans Med Imaging 23, 2004), for several classes.
"""

from collections.abc import Mapping
from typing import Any, Self, TypeAlias

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array

from pathfuse.dense.fusion.methods.base import DenseMethod, FitData, Probabilities, Segmenter
from pathfuse.dense.fusion.patterns import Patterns
from pathfuse.dense.fusion.strips import Decisions, PixelClasses, PixelStrip, largest

RELIABLE = 0.99999
"""How often a model is right, of every class, where the estimation starts: Warfield's own start."""
TOLERANCE, MAX_STEPS = 1e-7, 1000
"""It ends when no reliability moves by more."""

Reliability: TypeAlias = Float[np.ndarray, "expert true said"]


class Staple(DenseMethod):
    """Expectation maximisation over each image by itself; no mask of the fit images is looked at.

        W[i, t] = f[t] Π_m θ[m, t, d[m, i]]  /  sum over t
        θ[m, t, s] = Σ_i W[i, t] [d[m, i] = s]  /  Σ_i W[i, t]

    ``d[m, i]`` is model m's class of pixel i, ``f[t]`` how often class t is given by the models
    (fixed, as published), ``θ[m, t, s]`` how often model m says s where the truth is t. Pixels with
    the same decisions have the same W, so that a table of the combinations of decisions and how
    often they occur stands for the image, exactly.
    """

    name = "staple"
    summary = "the truth that STAPLE estimates from the models' decisions in each image"
    richness = 1
    reads_patterns = True

    def fit(self, data: FitData, seed: int) -> Self:
        """Nothing is learned from the fit images."""
        return self

    def refitted(self, data: FitData) -> Self:
        """Nothing is learned from the fit images."""
        return self

    def of_image(self, patterns: Patterns | None) -> Segmenter:
        """See ``DenseMethod``."""
        assert patterns is not None  # noqa: S101 - it reads patterns
        return _StapleOfImage(patterns)

    def dump(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """See ``DenseMethod``."""
        return {}, {}

    @classmethod
    def restore(cls, content: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Self:
        """See ``DenseMethod``."""
        return cls()

    def check_fitted(self, n_models: int, n_classes: int) -> None:
        """See ``DenseMethod``: there are none."""


class _StapleOfImage(Segmenter):
    """The truth of one image's combinations, looked up pixel by pixel."""

    def __init__(self, patterns: Patterns) -> None:
        self._patterns = patterns
        self._truth, _ = staple(patterns.decisions, patterns.counts, patterns.n_classes)
        self._class = largest(self._truth.T)

    def classes(self, strip: PixelStrip) -> PixelClasses:
        """See ``Segmenter``."""
        return self._class[self._patterns.index(strip.decisions[strip.present])]

    def probabilities(self, strip: PixelStrip) -> Probabilities:
        """See ``Segmenter``."""
        return self._truth[self._patterns.index(strip.decisions[strip.present])]


def staple(
    decisions: Decisions, counts: Int[np.ndarray, " pattern"], n_classes: int
) -> tuple[Float[np.ndarray, "pattern true"], Reliability]:
    """The probability of each true class, and how reliable the models are.

    Args:
        decisions: Combinations of the models' classes, (expert, pattern).
        counts: Pixels of each.
        n_classes: K.

    Returns:
        W, (pattern, true class), and θ, (expert, true class, class said).

    Examples:
        >>> truth, reliability = staple(np.array([[0, 1, 1], [0, 1, 0], [0, 1, 1]]), np.array([60, 30, 10]), 2)
        >>> truth.round(3).tolist(), reliability[1].round(2).tolist()
        ([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]], [[1.0, 0.0], [0.25, 0.75]])
    """
    n_models, n_patterns = decisions.shape
    rows = decisions + n_classes * np.arange(n_models)[:, None]
    columns = np.tile(np.arange(n_patterns), n_models)
    shape = (n_models * n_classes, n_patterns)
    said = csr_array((np.ones(rows.size), (rows.ravel(), columns)), shape=shape)
    frequency = (said @ counts).reshape(n_models, n_classes).sum(axis=0)
    with np.errstate(divide="ignore"):
        log_frequency = np.log(frequency / frequency.sum())
    wrong = (1 - RELIABLE) / (n_classes - 1)
    theta = np.tile(np.where(np.eye(n_classes, dtype=bool), RELIABLE, wrong), (n_models, 1))
    said_by_pattern = said.T.tocsr()
    for _ in range(MAX_STEPS):
        truth = _truth(said_by_pattern, log_frequency, theta)
        pixels = counts[:, None] * truth
        total = pixels.sum(axis=0)
        found = np.where(total > 0, (said @ pixels) / np.where(total > 0, total, 1), theta)
        moved, theta = np.abs(found - theta).max(), found
        if moved < TOLERANCE:
            break
    by_model = theta.reshape(n_models, n_classes, n_classes).transpose(0, 2, 1)
    return _truth(said_by_pattern, log_frequency, theta), by_model


def _truth(
    said_by_pattern: csr_array,
    log_frequency: Float[np.ndarray, " true"],
    theta: Float[np.ndarray, "said true"],
) -> Float[np.ndarray, "pattern true"]:
    with np.errstate(divide="ignore"):
        scores = log_frequency + said_by_pattern @ np.log(theta)
    scores -= scores.max(axis=1, keepdims=True)
    powers = np.exp(scores)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
