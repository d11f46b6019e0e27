"""Base of the methods for Gaussians: they work on cells (sample, target) with means and variances."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from pathfuse.fusion.gaussian.chains import best_first
from pathfuse.fusion.gaussian.experts import (
    Gaussian,
    GaussianExperts,
    Moments,
    Targets,
    residual_variance,
)
from pathfuse.fusion.gaussian.family import GAUSSIAN
from pathfuse.fusion.layout import Layout
from pathfuse.fusion.method import Method
from pathfuse.types import Params, Weights

RESIDUAL = "residual_variance"
"""Name of the parameter that stands for the variances of experts that give none, (expert, target)."""


def check_variances(name: str, params: Params) -> None:
    """Refuses a variance that is not above 0.

    Raises:
        ValueError: There is one.
    """
    for key in (RESIDUAL, "variance", "sharpness"):
        if key in params and (params[key] <= 0).any():
            raise ValueError(f"{name}: '{key}' must be above 0")


class GaussianMethod(Method[GaussianExperts]):
    """A method that sees experts with variances.

    Those that an expert does not give are those of its residuals.
    """

    family = GAUSSIAN
    settings: ClassVar[tuple[float, ...]] = (0.0,)
    """Candidates to choose among, strongest shrinkage first."""

    def prepare(self, experts: GaussianExperts, y: Targets) -> Any:
        """What the fits at all settings have in common; by itself nothing."""
        return None

    def own_layout(self, n_experts: int, n_targets: int) -> Layout:
        """The fitted numbers beside the experts' variances."""
        return {}

    def layouts(self, n_experts: int, n_columns: int) -> tuple[Layout, ...]:
        """See ``MethodBase``: a council's product has no variances of experts."""
        own = self.own_layout(n_experts, n_columns)
        return {**own, RESIDUAL: (n_experts, n_columns)}, own

    def check_fitted(self, n_experts: int, n_columns: int) -> None:
        """See ``Fusion``: variances are above 0."""
        super().check_fitted(n_experts, n_columns)
        check_variances(self.name, self.params_)

    @abstractmethod
    def fit_cells(
        self, experts: GaussianExperts, y: Targets, setting: float, prepared: Any
    ) -> Params:
        """Fits on experts whose variances are filled, with what ``prepare`` made of them."""

    @abstractmethod
    def pool_cells(self, experts: GaussianExperts, params: Params) -> Gaussian:
        """Fused means and variances."""

    @abstractmethod
    def share_cells(self, experts: GaussianExperts, params: Params) -> Moments:
        """Weights of the experts per cell; 0 where absent."""

    def candidates(self, n_samples: int) -> tuple[float, ...]:
        """See ``Method``."""
        return self.settings

    def fit_path(
        self, experts: GaussianExperts, truth: Targets, settings: Sequence[float]
    ) -> list[Params]:
        """See ``Method``; the variances are estimated on the same rows."""
        residual = residual_variance(experts, truth)
        filled = experts.with_variance(residual)
        prepared = self.prepare(filled, truth)
        return [
            {**self.fit_cells(filled, truth, setting, prepared), RESIDUAL: residual}
            for setting in settings
        ]

    def fit_last(self, experts: GaussianExperts, truth: Targets, path: Sequence[float]) -> Params:
        """See ``Method``; no fit starts from another."""
        return self.fit_path(experts, truth, path[-1:])[0]

    def completed(self, experts: GaussianExperts, params: Params) -> GaussianExperts:
        """The experts with the variances that the fit learned."""
        return experts.with_variance(params[RESIDUAL]) if RESIDUAL in params else experts

    def pool(self, experts: GaussianExperts, params: Params) -> np.ndarray:
        """See ``Method``: means, then variances, (sample, 2 G)."""
        return self.pool_cells(self.completed(experts, params), params).flat()

    def sharpness(self, params: Params) -> np.ndarray:
        """See ``Method``; one per target, or one for all."""
        return np.asarray(params.get("sharpness", np.ones(())))

    def share(self, experts: GaussianExperts, params: Params) -> Weights:
        """Mean weight of each expert over the targets of a sample that somebody predicts."""
        return _over_targets(self.share_cells(self.completed(experts, params), params), experts)

    def exponents(self, experts: GaussianExperts) -> Weights:
        """See ``Method``; mean over targets."""
        params: Params = self._need("params_")
        cells = self.share_cells(self.completed(experts, params), params)
        return _over_targets(cells * self.sharpness(params), experts)


def _over_targets(cells: Moments, experts: GaussianExperts) -> Weights:
    predicted = experts.present.any(axis=1)
    return np.asarray(cells.sum(axis=2) / np.maximum(predicted.sum(axis=1), 1)[:, None])


class GaussianProduct(GaussianMethod):
    """A weighted product with a bias per expert: it can be the best expert alone, and falls back on
    that.
    """

    def safeguards(self, experts: GaussianExperts, truth: Targets) -> Iterable[tuple[str, Params]]:
        """Less shrinkage, then the best expert alone: it is in the family."""
        for setting in (s for s in self.settings if s < self.setting_):
            yield f"setting {setting:g}", self.fit_path(experts, truth, [setting])[0]
        order = best_first(self.completed(experts, self.params_), truth)
        bias = np.empty(len(order))
        bias[order] = -1000.0 * np.arange(
            len(order)
        )  # so far apart that the softmax is exactly one expert
        alone = {"bias": bias, "sharpness": np.ones(truth.shape[1])}
        if "gate" in self.params_:
            alone["gate"] = np.zeros_like(self.params_["gate"])
        yield "best_expert", {**self.params_, **alone}
