"""What every way to fuse segmentations is: fitted on pixels of held-out images, applied to strips."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from jaxtyping import Float, Int

from pathfuse.dense.fusion.patterns import Patterns
from pathfuse.dense.fusion.strips import PixelClasses, PixelStrip
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.certificate import Certificate
from pathfuse.types import Observed

Probabilities = Float[np.ndarray, "pixel outcome"]


@dataclass(frozen=True)
class FitData:
    """What a method may be fitted on."""

    experts: Experts
    """The models' distributions at the fit pixels."""
    observed: Observed
    groups: Int[np.ndarray, " pixel"]
    """Patients, 0..P-1."""
    log_prior: Float[np.ndarray, " klass"]
    """Logarithm of how frequent the classes are in the images, less that of how frequent they are
    among the fit pixels: not 0 where pixels were drawn with ``balance``."""
    order: tuple[int, ...]
    """Models from best to worst on the fit images."""


class Segmenter(ABC):
    """What turns the strips of one image into classes."""

    @abstractmethod
    def classes(self, strip: PixelStrip) -> PixelClasses:
        """The class of each pixel."""

    @abstractmethod
    def probabilities(self, strip: PixelStrip) -> Probabilities:
        """Of each class in each pixel; the class is the first with the largest one.

        Asked only of methods that give them.
        """


class DenseMethod(ABC):
    """Base of the methods."""

    name: ClassVar[str]
    summary: ClassVar[str]
    """What it is, in one line that goes on from "The fused mask is"."""
    richness: ClassVar[int]
    """What is fitted, as ``CategoricalMethod.richness``: of methods that are as good as each other
    the one with the least is chosen."""
    gives_probabilities: ClassVar[bool] = True
    reads_patterns: ClassVar[bool] = False
    """Whether it needs to know which classes the models give together in the whole image."""

    @abstractmethod
    def fit(self, data: FitData, seed: int) -> Self:
        """Fits the method by itself."""

    @abstractmethod
    def refitted(self, data: FitData) -> Self:
        """Another one, fitted on other pixels, with the settings that this one chose."""

    @abstractmethod
    def of_image(self, patterns: Patterns | None) -> Segmenter:
        """The method, ready for the strips of one image.

        Args:
            patterns: Of the image; None for a method that does not read them.
        """

    @property
    def certificate(self) -> Certificate | None:
        """What is guaranteed on the fit pixels; None of what is not fitted by a likelihood."""
        return None

    def mean_weights(self, experts: Experts) -> Float[np.ndarray, " expert"] | None:
        """The models' mean weights over pixels; None where there are no weights."""
        return None

    @abstractmethod
    def dump(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """All that was fitted: what JSON takes, and arrays."""

    @classmethod
    @abstractmethod
    def restore(cls, content: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Self:
        """The inverse of ``dump``.

        Raises:
            ValueError: No version wrote this.
        """

    @abstractmethod
    def check_fitted(self, n_models: int, n_classes: int) -> None:
        """Refuses fitted numbers that are of other models or classes: a damaged model file.

        Raises:
            ValueError: They do not fit.
        """
