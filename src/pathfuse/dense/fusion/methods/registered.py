"""The fusions of class probabilities (``pathfuse.fusion.methods``) on pixels.

What a fusion says of itself saves work: where it keeps what all models say, only the other pixels
are looked at; where it is a product with the same powers everywhere, the order of the classes
follows from the logits as they are, without a logarithm or an exponential (the normalisation of a
model is one number per pixel, and changes no order). Both give the very classes that the fusion
itself gives: where the floor of probabilities could matter, or two classes are as good as equal,
it is asked.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from jaxtyping import Bool, Float
from threadpoolctl import threadpool_limits

from pathfuse.dense.fusion.methods.base import DenseMethod, FitData, Probabilities, Segmenter
from pathfuse.dense.fusion.patterns import Patterns
from pathfuse.dense.fusion.strips import PixelClasses, PixelStrip, largest
from pathfuse.distributions.likelihood import LOG_PROB_FLOOR, log_softmax
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.method import CategoricalMethod
from pathfuse.fusion.certificate import Certificate
from pathfuse.fusion.layout import check_numbers, made_up_presence
from pathfuse.fusion.presence import lacks_one
from pathfuse.fusion.store import dump, restore
from pathfuse.types import LogProbs

EQUAL = 1e-9
"""Scores nearer than this, as a share of their size, are told apart by the fusion itself."""
PRIOR = "log_prior"


class Registered(DenseMethod, Segmenter):
    """A fusion of class probabilities, pixel by pixel.

    Args:
        fusion: Fitted.
        log_prior: What is added to its log-probabilities of the classes, (class,): classes as
            frequent as in the images, whatever the fit pixels were.
    """

    of: ClassVar[type[CategoricalMethod]]
    """The fusion."""

    def __init__(
        self,
        fusion: CategoricalMethod | None = None,
        log_prior: Float[np.ndarray, " klass"] | None = None,
    ) -> None:
        self._fusion, self.log_prior = fusion, log_prior

    @property
    def fusion(self) -> CategoricalMethod:
        """The fitted fusion."""
        assert self._fusion is not None  # noqa: S101 - fitted before
        return self._fusion

    def fit(self, data: FitData, seed: int) -> Self:
        """See ``DenseMethod``."""
        return self.taking(self.of(seed=seed).fit_experts(data.experts, data.observed, data.groups), data)  # fmt: skip

    def taking(self, fusion: CategoricalMethod, data: FitData) -> Self:
        """The same method with a fusion that was fitted on these pixels."""
        return type(self)(fusion, data.log_prior if self.of.has_outcome_bias else None)

    def refitted(self, data: FitData) -> Self:
        """See ``DenseMethod``."""
        other = self.of(seed=self.fusion.seed)
        other.setting_, other.scores_ = self.fusion.setting_, {}
        other.presence_, other.certificate_ = self.fusion.presence_, self.fusion.certificate_
        (other.params_,) = other.fit_path(data.experts, data.observed, [other.setting_])
        return self.taking(other, data)

    def of_image(self, patterns: Patterns | None) -> Segmenter:
        """Itself: no pixel depends on the others."""
        return self

    def classes(self, strip: PixelStrip) -> PixelClasses:
        """See ``Segmenter``."""
        if not self.of.keeps_agreement:
            return self._scores(strip.experts).argmax(axis=1).astype(np.uint8)
        found = strip.agreed.copy()
        if not len(strip.disputed):
            return found
        powers = self._powers(strip.present)
        if powers is None:
            found[strip.disputed] = self._scores(strip.disputed_experts).argmax(axis=1)
            return found
        few, sure = by_powers(strip, powers)
        found[strip.disputed] = few
        if not sure.all():
            asked = strip.disputed[~sure]
            found[asked] = self._scores(strip.experts_at(asked)).argmax(axis=1)
        return found

    def probabilities(self, strip: PixelStrip) -> Probabilities:
        """See ``Segmenter``."""
        scores = self._scores(strip.experts)
        return np.exp(scores if self.log_prior is None else log_softmax(scores))

    def _scores(self, experts: Experts) -> LogProbs:
        """Log-probabilities of the classes, but for a number per pixel."""
        found = self.fusion.combine(experts)
        return found if self.log_prior is None else found + self.log_prior

    def _powers(self, present: Bool[np.ndarray, " expert"]) -> Float[np.ndarray, " expert"] | None:
        """The powers to which models are raised in an image; None where they are no constants."""
        if not self.of.constant_powers or lacks_one(present[None], self.fusion.presence_).any():
            return None
        nothing = Experts(np.zeros((1, len(present), 1)), present[None])
        return np.asarray(self.fusion.exponents(nothing))[0]

    @property
    def certificate(self) -> Certificate | None:
        """See ``DenseMethod``."""
        return self.fusion.certificate_

    def mean_weights(self, experts: Experts) -> Float[np.ndarray, " expert"] | None:
        """See ``DenseMethod``."""
        with threadpool_limits(1):  # threads must not change a bit
            return np.asarray(self.fusion.weigh(experts).mean(axis=0))

    def dump(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """See ``DenseMethod``."""
        content, tensors = dump(self.fusion)
        return content, tensors if self.log_prior is None else {**tensors, PRIOR: self.log_prior}

    @classmethod
    def restore(cls, content: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Self:
        """See ``DenseMethod``."""
        own = {key: value for key, value in tensors.items() if key != PRIOR}
        fusion = restore(dict(content), own)
        if not isinstance(fusion, cls.of):
            raise ValueError(f"'{cls.name}' holds the method '{fusion.name}'")
        return cls(fusion, tensors.get(PRIOR))

    def check_fitted(self, n_models: int, n_classes: int) -> None:
        """See ``DenseMethod``."""
        self.fusion.check_fitted(n_models, n_classes)
        if len(self.fusion.certificate_.experts) != n_models:
            raise ValueError(f"{self.name}: the certificate is of another number of models")
        if self.log_prior is not None and not self.of.has_outcome_bias:
            raise ValueError(f"{self.name}: '{PRIOR}' is unknown")
        if self.log_prior is not None:
            check_numbers(self.name, {PRIOR: self.log_prior}, ({PRIOR: (n_classes,)},))
        shown = made_up_presence(n_models)
        logits = np.random.default_rng(0).normal(size=(*shown.shape, n_classes))
        made_up = Experts.from_logits(np.where(shown[:, :, None], logits, np.nan))
        with np.errstate(all="ignore"):
            if not np.isfinite(self._scores(made_up)).all():
                raise ValueError(f"{self.name}: its predictions are not finite")


def by_powers(
    strip: PixelStrip, powers: Float[np.ndarray, " expert"]
) -> tuple[PixelClasses, Bool[np.ndarray, " disputed"]]:
    """The classes of the disputed pixels by a product with constant powers.

    Returns:
        The classes, and whether each is sure to be what the product of floored probabilities gives.
    """
    there = np.flatnonzero(strip.present)
    n_classes = strip.planes.shape[1]
    scores, sure = np.zeros((n_classes, len(strip.disputed))), np.ones(len(strip.disputed), bool)
    with np.errstate(invalid="ignore"):  # a logit of -inf: not sure
        for m in there:
            own = np.take(strip.planes[m], strip.disputed, axis=1).astype(np.float64)
            # a log-probability is at least the logit less the largest one less log K
            sure &= own.max(axis=0) - own.min(axis=0) < -LOG_PROB_FLOOR - np.log(n_classes)
            scores += powers[m] * own
        size = 1 + np.abs(scores).max(axis=0)
        found = largest(scores)
        place = np.arange(len(found))
        top = scores[found, place]
        scores[found, place] = -np.inf
        sure &= top - scores.max(axis=0) > EQUAL * size
    return found, sure


def wrapped(kind: type[CategoricalMethod]) -> type[Registered]:
    """A fusion of class probabilities as a method of segmentation, under its own name."""
    return type(
        f"Dense{kind.__name__}",
        (Registered,),
        {"of": kind, "name": kind.name, "summary": kind.summary, "richness": kind.richness, "__doc__": kind.__doc__},
    )  # fmt: skip
