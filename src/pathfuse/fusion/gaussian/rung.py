"""A rung of the ladder for Gaussians; the counterpart of ``fusion.rung`` on means and variances."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from pathfuse.fusion.gaussian.experts import Gaussian, GaussianExperts, Moments, Targets, residual_variance
from pathfuse.types import Params, Weights


class GaussianRung(ABC):
    """Base of the regression methods: stateless, so that a fit is its parameters."""

    name: ClassVar[str]
    settings: ClassVar[tuple[float, ...]] = (0.0,)
    """Candidates to choose among by inner cross-validation, strongest shrinkage first."""

    @abstractmethod
    def fit(self, experts: GaussianExperts, y: Targets, setting: float) -> Params:
        """Fits on experts whose variances are filled."""

    @abstractmethod
    def pool(self, experts: GaussianExperts, params: Params) -> Gaussian:
        """Fused means and variances."""

    @abstractmethod
    def share(self, experts: GaussianExperts, params: Params) -> Moments:
        """Weights of the experts per cell; 0 where absent."""

    def learn(self, experts: GaussianExperts, y: Targets, setting: float) -> Params:
        """``fit`` with the variances of experts that give none, estimated on the same rows."""
        residual = residual_variance(experts, y)
        return {**self.fit(experts.with_variance(residual), y, setting), "residual_variance": residual}

    def predict(self, experts: GaussianExperts, params: Params) -> Gaussian:
        """``pool`` with the variances learned."""
        return self.pool(experts.with_variance(params["residual_variance"]), params)

    def weigh(self, experts: GaussianExperts, params: Params) -> Weights:
        """Mean weight of each expert over the targets of a sample that somebody predicts."""
        share = self.share(experts.with_variance(params["residual_variance"]), params)
        heard = experts.present.any(axis=1)
        return np.asarray(share.sum(axis=2) / np.maximum(heard.sum(axis=1), 1)[:, None])


def equal_share(experts: GaussianExperts) -> Moments:
    """1 / (number of experts present) per cell."""
    present = experts.present
    return present / np.maximum(present.sum(axis=1, keepdims=True), 1)
