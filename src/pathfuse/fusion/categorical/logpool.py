"""The weighted product of experts: value, weights and analytic gradient.

``log q(c|x) = s * sum_m w_m(x) l[n,m,c] - log Z(x)`` with ``w(x) = softmax(b + A phi(x))`` over the
experts that scored the sample and a sharpness ``s > 0``. LogitProd (arXiv 2604.07779) is this
product with s = 1; the logarithmic opinion pool (Genest 1986) is the case of constant weights.
"""

import copy
from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float

from pathfuse.costs import add_flops
from pathfuse.distributions.lanes import added, by_sample, mapped, normalise, weighted
from pathfuse.fusion.categorical.anchor import PRIOR_ROWS, anchor_of
from pathfuse.fusion.categorical.experts import COMPACT_ROWS, Experts, row_blocks
from pathfuse.fusion.categorical.set_likelihood import ByOutcome, SetLikelihood
from pathfuse.fusion.product import Product
from pathfuse.types import LogProbs, Observed, Present, Weights

Features = Float[np.ndarray, "sample feature"]
Vector = Float[np.ndarray, " parameter"]


def masked_softmax(scores: Float[np.ndarray, "sample expert"], present: Present) -> Weights:
    """Softmax over the present experts; absent ones get exactly 0."""
    return _softmax_lanes(np.array(scores.T, order="C"), present.T).T


def _softmax_lanes(
    scores: Float[np.ndarray, "expert sample"], shown: Bool[np.ndarray, "expert sample"]
) -> Float[np.ndarray, "expert sample"]:
    """``masked_softmax`` with samples side by side; overwrites the scores."""
    scores[~shown] = -np.inf
    scores -= scores.max(axis=0)
    powers = np.exp(scores)
    powers /= added(powers)
    return powers


def product_weights(product: Product, phi: Features, present: Present) -> Weights:
    """The experts' weights of each sample."""
    add_flops(2 * len(phi) * product.gate.size)
    scores = mapped(product.gate, phi.T) + product.bias[:, None]
    return _softmax_lanes(scores, present.T).T


def weighted_product(experts: Experts, weights: Weights, sharpness: float = 1.0) -> LogProbs:
    """Multiplies the experts' distributions, each raised to its weight, and normalises."""
    add_flops(2 * experts.log_prob.size)
    pooled = weighted(np.ascontiguousarray(weights.T), experts.planes)
    pooled *= sharpness
    normalise(pooled)
    return by_sample(pooled)


Likelihood = Callable[[ByOutcome], tuple[float, ByOutcome]]
"""Pooled scores to their mean NLL and n times its gradient."""


class ProductObjective:
    """Penalised mean NLL of a weighted product, as a function of one flat vector (b, log s, A).

    ``mean NLL + ridge * (||b||^2 + log(s)^2) + rho * ||A||^2 + decorrelation * mean(w' R w)``, and
    a few pseudo-observations (``fusion.categorical.anchor``) that keep the sharpness finite where
    the rows are separable.

    Args:
        experts: Log-probabilities of the fit rows.
        observed: Their observed sets.
        phi: Gate features; zero columns for constant weights.
        ridge: Pull of (b, log s) towards 0.
        rho: Ridge on the gate.
        correlation: ``decorrelation * R`` of LogitProd's penalty, or None.
        equal: Hold the weights equal; only the sharpness moves.
        likelihood: Of the pooled scores; default: softmax over the observed sets, with the prior of
            ``fusion.categorical.anchor``.
        prior_rows: How many rows that prior counts as.
    """

    def __init__(
        self,
        experts: Experts,
        observed: Observed,
        phi: Features,
        ridge: float,
        rho: float = 0.0,
        correlation: Float[np.ndarray, "expert expert"] | None = None,
        equal: bool = False,
        likelihood: Likelihood | None = None,
        prior_rows: float = PRIOR_ROWS,
    ) -> None:
        self.ridge, self.rho, self.correlation, self.equal = ridge, rho, correlation, equal
        self.log_prob = experts.planes
        self.absent = None if experts.complete else np.where(experts.shown, 0.0, -np.inf)
        self.phi = np.ascontiguousarray(phi.T)
        n, (m, k, _) = experts.n_samples, self.log_prob.shape
        if likelihood is not None:
            self.parts = [(slice(0, n), likelihood)]
            return
        # Large tables are worked through in blocks that fit the cache; nothing as large as the
        # table is made on the way.
        large, pull, anchor = n > COMPACT_ROWS, prior_rows / n, anchor_of(experts)
        self.parts = [
            (rows, SetLikelihood.of(observed[rows], anchor[:, rows], pull, as_given=large))
            for rows in (row_blocks(n, m * k) if large else [slice(0, n)])
        ]

    def at(self, ridge: float, rho: float) -> "ProductObjective":
        """The same rows under other penalties."""
        other = copy.copy(self)
        other.ridge, other.rho = ridge, rho
        return other

    def pack(self, product: Product) -> Vector:
        """Parameters as one vector."""
        return np.concatenate([product.bias, [product.log_sharpness], product.gate.ravel()])

    def unpack(self, theta: Vector) -> Product:
        """One vector as parameters."""
        m = len(self.log_prob)
        return Product(theta[:m], float(theta[m]), theta[m + 1 :].reshape(m, -1))

    @property
    def flops(self) -> int:
        """Operations of one value with its gradient, as ``pathfuse.costs`` counts them."""
        m, k, n = self.log_prob.shape
        overlap = 2 * m * m + 2 * m if self.correlation is not None else 0
        return n * (4 * m * len(self.phi) + 4 * m * k + 2 * m + 2 * k + overlap)

    def __call__(self, theta: Vector) -> tuple[float, Vector]:
        """Value and gradient, in float64."""
        product, n = self.unpack(theta), self.log_prob.shape[2]
        value, sharpness_slope = 0.0, 0.0
        bias_slope, gate_slope = np.zeros_like(product.bias), np.zeros_like(product.gate)
        for rows, likelihood in self.parts:
            part, score_slope, by_sharpness, phi = self._of_rows(product, rows, likelihood)
            value += part
            sharpness_slope += by_sharpness
            bias_slope += score_slope.sum(axis=1)
            gate_slope += score_slope @ phi.T
        if self.equal:
            bias_slope[:] = 0.0
        value += self.ridge * float(product.bias @ product.bias + product.log_sharpness**2)
        value += self.rho * float((product.gate**2).sum())
        return value, np.concatenate(
            [
                bias_slope + 2 * self.ridge * product.bias,
                [sharpness_slope / n + 2 * self.ridge * product.log_sharpness],
                (gate_slope + 2 * self.rho * product.gate).ravel(),
            ]
        )

    def _of_rows(
        self, product: Product, rows: slice, likelihood: Likelihood
    ) -> tuple[float, Float[np.ndarray, "expert sample"], float, Features]:
        """What some rows add to the value, to the slopes by scores and by sharpness; their phi."""
        n, log_prob = self.log_prob.shape[2], self.log_prob[:, :, rows].astype(float, copy=False)
        phi = self.phi[:, rows].astype(float, copy=False)
        weights = self._weights(product, phi, rows)
        sharpness = np.exp(product.log_sharpness)
        pooled = np.einsum("mn,mkn->kn", weights, log_prob)
        pooled *= sharpness
        value, slope = likelihood(pooled)
        value *= log_prob.shape[2] / n
        score_slope = np.einsum("kn,mkn->mn", slope, log_prob)
        score_slope *= sharpness
        if self.correlation is not None:
            overlap = self.correlation @ weights
            value += float((overlap * weights).sum()) / n
            score_slope += 2 * overlap
        score_slope -= np.einsum("mn,mn->n", weights, score_slope)
        score_slope *= weights
        score_slope /= n
        return value, score_slope, float(np.einsum("kn,kn->", slope, pooled)), phi

    def _weights(
        self, product: Product, phi: Features, rows: slice
    ) -> Float[np.ndarray, "expert sample"]:
        scores = product.gate @ phi + product.bias[:, None]
        if self.absent is not None:
            scores += self.absent[:, rows]
        scores -= scores.max(axis=0)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=0)
        return scores

    def minimise(self, start: Product) -> Product:
        """L-BFGS from a given start: deterministic, no learning rate, no epochs."""
        from scipy.optimize import minimize  # not at the top: predict does without

        found = minimize(
            self,
            self.pack(start),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 500, "ftol": 1e-8, "gtol": 1e-5},
        )
        add_flops(found.nfev * self.flops)
        return self.unpack(found.x)


def no_features(n_samples: int) -> Features:
    """The gate input of a static product: nothing."""
    return np.zeros((n_samples, 0))
