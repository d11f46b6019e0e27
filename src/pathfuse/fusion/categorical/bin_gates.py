"""One gate per bin: LogitProd's published form for survival, an option here.

See docs/design/logitprod.md, section 1.5.

``log q(k|x) = s * sum_m w_{k,m}(x) l[n,m,k] - log Z(x)``. Weights that differ between bins give up
the per-sample bound of the shared gate, and have T + 1 times as many parameters.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pathfuse.costs import add_flops
from pathfuse.distributions.lanes import added, by_sample, mapped, normalise
from pathfuse.fusion.categorical.anchor import PRIOR_ROWS, anchor_of
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.logpool import Features, Vector, masked_softmax
from pathfuse.fusion.categorical.set_likelihood import SetLikelihood
from pathfuse.fusion.product import Product
from pathfuse.types import LogProbs, Observed, Weights


@dataclass(frozen=True)
class BinGates:
    """Parameters of one gate per outcome."""

    bias: Float[np.ndarray, "outcome expert"]
    log_sharpness: float
    gate: Float[np.ndarray, "outcome expert feature"]

    @classmethod
    def from_shared(cls, product: Product, n_outcomes: int) -> "BinGates":
        """Every bin starts with the shared gate."""
        gate = np.repeat(product.gate[None], n_outcomes, axis=0)
        return cls(np.repeat(product.bias[None], n_outcomes, axis=0), product.log_sharpness, gate)

    def weights(self, phi: Features, experts: Experts) -> list[Weights]:
        """The experts' weights, per outcome."""
        add_flops(2 * len(phi) * self.gate.size)
        lanes = np.ascontiguousarray(phi.T)
        return [
            masked_softmax((mapped(gate, lanes) + bias[:, None]).T, experts.present)
            for bias, gate in zip(self.bias, self.gate, strict=True)
        ]

    def pool(self, phi: Features, experts: Experts) -> LogProbs:
        """The fused distribution."""
        weights = self.weights(phi, experts)
        add_flops(2 * experts.log_prob.size)
        scores = np.stack([added(w.T * experts.planes[:, k]) for k, w in enumerate(weights)])
        scores *= np.exp(self.log_sharpness)
        normalise(scores)
        return by_sample(scores)


class BinGatesObjective:
    """Penalised mean NLL of one gate per outcome, as ``ProductObjective`` is for a shared gate."""

    def __init__(
        self,
        experts: Experts,
        observed: Observed,
        phi: Features,
        ridge: float,
        prior_rows: float = PRIOR_ROWS,
    ) -> None:
        self.log_prob = np.ascontiguousarray(experts.planes.transpose(1, 0, 2))
        self.absent = np.where(experts.present.T, 0.0, -np.inf)
        self.phi, self.ridge, self.rho = np.ascontiguousarray(phi.T), ridge, 0.0
        self.likelihood = SetLikelihood.of(
            observed, anchor_of(experts), prior_rows / experts.n_samples
        )

    def unpack(self, theta: Vector) -> BinGates:
        """One vector as parameters."""
        k, m, _ = self.log_prob.shape
        return BinGates(
            theta[: k * m].reshape(k, m), float(theta[k * m]), theta[k * m + 1 :].reshape(k, m, -1)
        )

    @property
    def flops(self) -> int:
        """Operations of one value with its gradient, as ``pathfuse.costs`` counts them."""
        k, m, n = self.log_prob.shape
        return n * k * (4 * m * len(self.phi) + 4 * m + 2)

    def __call__(self, theta: Vector) -> tuple[float, Vector]:
        """Value and gradient."""
        gates, n = self.unpack(theta), self.log_prob.shape[2]
        scores = gates.gate @ self.phi + gates.bias[:, :, None] + self.absent
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        weights = powers / powers.sum(axis=1, keepdims=True)
        sharpness = np.exp(gates.log_sharpness)
        pooled = sharpness * (weights * self.log_prob).sum(axis=1)
        value, slope = self.likelihood(pooled)
        value += self.ridge * float((gates.bias**2).sum() + gates.log_sharpness**2)
        value += self.rho * float((gates.gate**2).sum())
        weight_slope = sharpness * slope[:, None] * self.log_prob
        score_slope = (
            weights * (weight_slope - (weights * weight_slope).sum(axis=1, keepdims=True)) / n
        )
        return value, np.concatenate(
            [
                (score_slope.sum(axis=2) + 2 * self.ridge * gates.bias).ravel(),
                [float((slope * pooled).sum()) / n + 2 * self.ridge * gates.log_sharpness],
                (score_slope @ self.phi.T + 2 * self.rho * gates.gate).ravel(),
            ]
        )

    def minimise(self, start: BinGates) -> BinGates:
        """L-BFGS from a given start."""
        from scipy.optimize import minimize  # not at the top: predict does without

        first = np.concatenate([start.bias.ravel(), [start.log_sharpness], start.gate.ravel()])
        found = minimize(
            self,
            first,
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 500, "ftol": 1e-8, "gtol": 1e-5},
        )
        add_flops(found.nfev * self.flops)
        return self.unpack(found.x)
