"""A method of the fitted for Gaussians; the counterpart of ``fusion.method`` on means and variances."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from pathfuse.fusion.gaussian.experts import Gaussian, GaussianExperts, Moments, Targets, residual_variance
from pathfuse.fusion.gaussian.presence import corrected_gaussian
from pathfuse.references import Reference
from pathfuse.types import Params, Weights

PRESENCE = "presence/"
"""How parameters about absent experts are named: this, then the name in ``fusion.presence``."""


class GaussianMethod(ABC):
    """Base of the regression methods: stateless, so that a fit is its parameters."""

    name: ClassVar[str]
    summary: ClassVar[str]
    references: ClassVar[tuple[Reference, ...]] = ()
    in_council: ClassVar[bool] = True
    chooses: ClassVar[bool] = False
    fits: ClassVar[bool] = True
    """Whether the weights or the sharpness are fitted; where not, absent experts change nothing."""
    open_end: ClassVar[bool] = True
    """Whether a setting beyond the last one would shrink less still."""
    settings: ClassVar[tuple[float, ...]] = (0.0,)
    """Candidates to choose among by inner cross-validation, strongest shrinkage first."""

    @abstractmethod
    def fit(self, experts: GaussianExperts, y: Targets, setting: float, seed: int = 0) -> Params:
        """Fits on experts whose variances are filled; ``seed`` is that of the cells where there are too many."""

    @abstractmethod
    def pool(self, experts: GaussianExperts, params: Params) -> Gaussian:
        """Fused means and variances."""

    @abstractmethod
    def share(self, experts: GaussianExperts, params: Params) -> Moments:
        """Weights of the experts per cell; 0 where absent."""

    def learn(self, experts: GaussianExperts, y: Targets, setting: float, seed: int = 0) -> Params:
        """``fit`` with the variances of experts that give none, estimated on the same rows."""
        residual = residual_variance(experts, y)
        return {**self.fit(experts.with_variance(residual), y, setting, seed), "residual_variance": residual}

    def predict(self, experts: GaussianExperts, params: Params) -> Gaussian:
        """``pool`` with the variances learned, and what was learned about absent experts."""
        filled = experts.with_variance(params["residual_variance"])
        return corrected_gaussian(self.pool(filled, params), filled, presence_in(params))

    def predict_raw(self, experts: GaussianExperts, params: Params) -> Gaussian:
        """``pool`` with the variances learned."""
        return self.pool(experts.with_variance(params["residual_variance"]), params)

    def weigh(self, experts: GaussianExperts, params: Params) -> Weights:
        """Mean weight of each expert over the targets of a sample that somebody predicts."""
        share = self.share(experts.with_variance(params["residual_variance"]), params)
        heard = experts.present.any(axis=1)
        return np.asarray(share.sum(axis=2) / np.maximum(heard.sum(axis=1), 1)[:, None])


def presence_in(params: Params) -> Params:
    """What parameters say about absent experts."""
    return {key.removeprefix(PRESENCE): value for key, value in params.items() if key.startswith(PRESENCE)}


def with_presence(params: Params, presence: Params) -> Params:
    """Parameters that say something about absent experts."""
    return {**params, **{f"{PRESENCE}{key}": value for key, value in presence.items()}}
