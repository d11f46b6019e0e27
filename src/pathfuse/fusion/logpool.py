"""The weighted product of experts: value, weights and analytic gradient.

``log q(c|x) = s * sum_m w_m(x) l[n,m,c] - log Z(x)`` with ``w(x) = softmax(b + A phi(x))`` over the experts that scored
the sample and a sharpness ``s > 0``. LogitProd (arXiv 2604.07779) is this product with s = 1; the logarithmic opinion
pool (Genest 1986) is the case of constant weights.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize

from pathfuse.endpoints.likelihood import log_softmax
from pathfuse.fusion.experts import Experts
from pathfuse.types import LogProbs, Observed, Present, Weights

Features = Float[np.ndarray, "sample feature"]
Vector = Float[np.ndarray, " parameter"]


@dataclass(frozen=True)
class Product:
    """The parameters of a weighted product."""

    bias: Float[np.ndarray, " expert"]
    log_sharpness: float
    gate: Float[np.ndarray, "expert feature"]
    """Zero columns: constant weights."""


def masked_softmax(scores: Float[np.ndarray, "sample expert"], present: Present) -> Weights:
    """Softmax over the present experts; absent ones get exactly 0."""
    shown = np.where(present, scores, -np.inf)
    powers = np.exp(shown - shown.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def product_weights(product: Product, phi: Features, present: Present) -> Weights:
    """The experts' weights of each sample. ``einsum`` keeps a row's bits independent of its neighbours."""
    return masked_softmax(product.bias + np.einsum("nf,mf->nm", phi, product.gate), present)


def weighted_product(experts: Experts, weights: Weights, sharpness: float = 1.0) -> LogProbs:
    """Multiplies the experts' distributions, each raised to its weight, and normalises."""
    return log_softmax(sharpness * np.einsum("nm,nmk->nk", weights, experts.log_prob))


def set_nll_gradient(scores: LogProbs, observed: Observed) -> tuple[float, LogProbs]:
    """Mean NLL of ``softmax(scores)`` over the observed sets, and its gradient times n.

    The gradient of one row is ``q - q(. | observed)``.
    """
    top = scores.max(axis=1, keepdims=True)
    powers = np.exp(scores - top)
    total = powers.sum(axis=1, keepdims=True)
    log_q = scores - top - np.log(total)
    allowed = np.where(observed, log_q, -np.inf)
    peak = allowed.max(axis=1, keepdims=True)
    conditional = np.exp(allowed - peak)
    mass = conditional.sum(axis=1, keepdims=True)
    return -float((peak + np.log(mass)).mean()), powers / total - conditional / mass


@dataclass(frozen=True)
class ProductObjective:
    """Penalised mean NLL of a weighted product, as a function of one flat vector (b, log s, A).

    ``mean NLL + ridge * (||b||^2 + log(s)^2) + rho * ||A||^2 + decorrelation * mean(w' R w)``
    """

    experts: Experts
    observed: Observed
    phi: Features
    ridge: float
    rho: float = 0.0
    correlation: Float[np.ndarray, "expert expert"] | None = None
    """``decorrelation * R`` of LogitProd's penalty, or None."""
    equal: bool = False
    """Hold the weights equal; only the sharpness moves."""

    def pack(self, product: Product) -> Vector:
        """Parameters as one vector."""
        return np.concatenate([product.bias, [product.log_sharpness], product.gate.ravel()])

    def unpack(self, theta: Vector) -> Product:
        """One vector as parameters."""
        m = self.experts.log_prob.shape[1]
        return Product(theta[:m], float(theta[m]), theta[m + 1 :].reshape(m, -1))

    def __call__(self, theta: Vector) -> tuple[float, Vector]:
        """Value and gradient, in float64."""
        product, log_prob, n = self.unpack(theta), self.experts.log_prob, self.experts.n_samples
        scores = np.broadcast_to(product.bias, self.experts.present.shape)
        if product.gate.size:
            scores = scores + self.phi @ product.gate.T
        weights = masked_softmax(scores, self.experts.present)
        sharpness = np.exp(product.log_sharpness)
        pooled = sharpness * np.matmul(weights[:, None, :], log_prob)[:, 0]
        value, slope = set_nll_gradient(pooled, self.observed)
        weight_slope = sharpness * np.matmul(log_prob, slope[:, :, None])[:, :, 0]
        value += self.ridge * float(product.bias @ product.bias + product.log_sharpness**2)
        value += self.rho * float((product.gate**2).sum())
        if self.correlation is not None:
            overlap = weights @ self.correlation
            value += float((overlap * weights).sum()) / n
            weight_slope = weight_slope + 2 * overlap
        score_slope = weights * (weight_slope - (weights * weight_slope).sum(axis=1, keepdims=True)) / n
        bias_slope = np.zeros_like(product.bias) if self.equal else score_slope.sum(axis=0)
        return value, np.concatenate(
            [
                bias_slope + 2 * self.ridge * product.bias,
                [float((slope * pooled).sum()) / n + 2 * self.ridge * product.log_sharpness],
                (score_slope.T @ self.phi + 2 * self.rho * product.gate).ravel(),
            ]
        )

    def minimise(self, start: Product) -> Product:
        """L-BFGS from a given start: deterministic, no learning rate, no epochs."""
        found = minimize(
            self, self.pack(start), jac=True, method="L-BFGS-B", options={"maxiter": 500, "ftol": 1e-8, "gtol": 1e-5}
        )
        return self.unpack(found.x)


def equal_product(n_experts: int, n_features: int = 0) -> Product:
    """Equal weights, sharpness 1: the uniform product, where every fit starts."""
    return Product(np.zeros(n_experts), 0.0, np.zeros((n_experts, n_features)))


def no_features(n_samples: int) -> Features:
    """The gate input of a static product: nothing."""
    return np.zeros((n_samples, 0))
