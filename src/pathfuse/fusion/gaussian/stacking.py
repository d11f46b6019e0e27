"""Stacking for continuous targets: ridge regression on the experts' means, shrunk towards their
plain average.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int

from pathfuse.costs import add_flops, solve_flops
from pathfuse.fusion.gaussian.experts import (
    Gaussian,
    GaussianExperts,
    Moments,
    Targets,
    equal_share,
)
from pathfuse.fusion.gaussian.method import GaussianMethod
from pathfuse.fusion.layout import Layout
from pathfuse.fusion.works import WOLPERT_1992
from pathfuse.types import Params


@dataclass(frozen=True)
class Normal:
    """The normal equations of all targets, which the fits at all ridges have in common."""

    centre: Float[np.ndarray, "expert target"]
    centre_y: Float[np.ndarray, " target"]
    design: Moments
    """Means about their centre; 0 where the truth is blank."""
    centred: Targets
    """The truth about its centre; 0 where blank."""
    count: Int[np.ndarray, " target"]
    """Rows with a truth."""
    gram: Float[np.ndarray, "target expert expert"]
    pull: Float[np.ndarray, "target expert"]
    """The design times what the plain average leaves."""


class GaussianStacking(GaussianMethod):
    """Ridge regression on the experts' means, target by target, shrunk towards their average.

        μ[n, g] = ȳ[g] + Σ_m β[m, g] (μ[n, m, g] - μ̄[m, g])
        β[g] = argmin of  Σ_n (y[n, g] - μ[n, g])² + λ Σ_m (β[m, g] - 1 / M)²
        v[g] = Σ_n (y[n, g] - μ[n, g])² / (N - M - 1)

    ``μ[n, m, g]`` is expert m's mean of target g of sample n, (sample, expert, target), with mean
    ``μ̄`` over the N fit rows; ``y[n, g]`` is the truth, (sample, target), with mean ``ȳ``. λ is the
    setting times the mean over m of Σ_n (μ[n, m, g] - μ̄[m, g])². An absent expert takes the mean of
    those present.

    References:
        Wolpert (1992).

    Examples:
        >>> import numpy as np
        >>> from pathfuse.fusion.gaussian.experts import GaussianExperts
        >>> rng = np.random.default_rng(0)
        >>> truth = rng.normal(size=(12, 1))  # 12 samples, one target
        >>> error = rng.normal(size=(12, 2, 1)) * [[0.1], [1.0]]  # of two experts
        >>> experts = GaussianExperts(truth[:, None] + error, np.full((12, 2, 1), 0.5))
        >>> model = GaussianStacking().fit_experts(experts, truth, groups=np.arange(12) % 2)
        >>> weights = model.weigh(experts)  # (sample, expert)
        >>> bool((weights[:, 0] > weights[:, 1]).all())
        True
    """

    name = "stacking"
    summary = "ridge regression on all experts' means"
    references = (WOLPERT_1992,)
    settings: ClassVar[tuple[float, ...]] = (10.0, 1.0, 0.1, 0.01, 0.001)

    def own_layout(self, n_experts: int, n_targets: int) -> Layout:
        """See ``GaussianMethod``."""
        cells, targets = (n_experts, n_targets), (n_targets,)
        return {"slope": cells, "centre": cells, "centre_y": targets, "variance": targets}

    def prepare(self, experts: GaussianExperts, y: Targets) -> Normal:
        """See ``GaussianMethod``."""
        means, known = _filled(experts), ~np.isnan(y)
        n_experts = means.shape[1]
        count = np.maximum(known.sum(axis=0), 1)
        truth = np.where(known, y, 0.0)
        centre_y = truth.sum(axis=0) / count
        centre = np.where(known[:, None], means, 0.0).sum(axis=0) / count
        design = np.where(known[:, None], means - centre, 0.0)
        centred = np.where(known, y - centre_y, 0.0)
        by_target = np.ascontiguousarray(design.transpose(2, 1, 0))
        add_flops(means.size * (2 * n_experts + 2))
        rest = (centred - design.mean(axis=1)).T
        return Normal(
            centre,
            centre_y,
            design,
            centred,
            count,
            by_target @ by_target.transpose(0, 2, 1),
            (by_target @ rest[:, :, None])[:, :, 0],
        )

    def fit_cells(
        self, experts: GaussianExperts, y: Targets, setting: float, prepared: Normal
    ) -> Params:
        """See ``GaussianMethod``."""
        n_experts = prepared.design.shape[1]
        add_flops(2 * prepared.design.size + y.shape[1] * solve_flops(n_experts, 1))
        size = np.einsum("gmm->g", prepared.gram) / n_experts + 1e-12
        gram = prepared.gram + (setting * size)[:, None, None] * np.eye(n_experts)
        shift = np.linalg.solve(gram, prepared.pull[:, :, None])[:, :, 0]
        slope = (1 / n_experts + shift).T
        error = prepared.centred.copy()
        for m in range(n_experts):
            error -= prepared.design[:, m] * slope[m]
        variance = (error**2).sum(axis=0) / np.maximum(prepared.count - n_experts - 1, 1)
        floor = 1e-9 * (np.nanvar(y, axis=0) + 1e-12)
        return {
            "slope": slope,
            "centre": prepared.centre,
            "centre_y": prepared.centre_y,
            "variance": np.maximum(variance, floor),
        }

    def pool_cells(self, experts: GaussianExperts, params: Params) -> Gaussian:
        """See ``GaussianMethod``."""
        add_flops(2 * experts.mean.size)
        mean = params["centre_y"] + ((_filled(experts) - params["centre"]) * params["slope"]).sum(
            axis=1
        )
        predicted = experts.present.any(axis=1)
        return Gaussian(
            np.where(predicted, mean, np.nan), np.where(predicted, params["variance"], np.nan)
        )

    def share_cells(self, experts: GaussianExperts, params: Params) -> Moments:
        """Size of the experts' coefficients, over those present: a summary, since stacking has no
        weights.
        """
        shown = np.where(experts.present, np.abs(params["slope"]) + 1e-12, 0.0)
        return shown / np.maximum(shown.sum(axis=1, keepdims=True), 1e-300)


def _filled(experts: GaussianExperts) -> Moments:
    """Means; absent ones take the mean of the experts present."""
    share = equal_share(experts)
    present = experts.present
    add_flops(2 * share.size)
    typical = (share * np.where(present, experts.mean, 0.0)).sum(axis=1, keepdims=True)
    return np.where(present, experts.mean, typical)
