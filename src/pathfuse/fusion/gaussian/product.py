"""The weighted product of Gaussians with a gate: cells (sample, target) share the weights'
parameters.

``precision = s * sum_m w_m / v_m``, precision-weighted mean, ``w = softmax(b + A phi)`` over the
experts present.
Sharing over targets is what lets a thousand genes be fused: an expert that is good at one is mostly
good at others.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from pathfuse.costs import add_flops
from pathfuse.fusion.gaussian.experts import GaussianExperts, Moments, Targets
from pathfuse.fusion.product import Product

MAX_CELLS = 20_000
"""Weights are fitted on about so many cells, as many of every target: they have few parameters."""

BLOCK = 2**14
"""Cells whose weights are worked out together."""

GateInput = Float[np.ndarray, "feature sample target"]


@dataclass(frozen=True)
class Cells:
    """Known cells in one row, experts first: what the objective reads."""

    mean: Float[np.ndarray, "expert cell"]
    precision: Float[np.ndarray, "expert cell"]
    absent: Float[np.ndarray, "expert cell"] | None
    """-inf where the expert is absent, else 0; None where all are present."""
    phi: Float[np.ndarray, "feature cell"]
    y: Float[np.ndarray, " cell"]

    @classmethod
    def of(cls, experts: GaussianExperts, y: Targets, phi: GateInput, seed: int) -> "Cells":
        """The cells with a truth and an expert, thinned by target.

        Targets are scaled to unit variance.
        """
        present = experts.present
        n, g = sampled_cells(~np.isnan(y) & present.any(axis=1), seed)
        scale = np.nanstd(y, axis=0)[g] + 1e-12
        here = np.ascontiguousarray(present[n, :, g].T)
        mean = np.where(here, experts.mean[n, :, g].T / scale, 0.0)
        precision = np.where(here, scale**2 / np.where(here, experts.variance[n, :, g].T, 1.0), 0.0)
        absent = None if here.all() else np.where(here, 0.0, -np.inf)
        return cls(
            np.ascontiguousarray(mean),
            np.ascontiguousarray(precision),
            absent,
            np.ascontiguousarray(phi[:, n, g]),
            y[n, g] / scale,
        )


def sampled_cells(
    known: Bool[np.ndarray, "sample target"], seed: int
) -> tuple[Int[np.ndarray, " cell"], Int[np.ndarray, " cell"]]:
    """Rows and targets of known cells.

    Where there are more than ``MAX_CELLS``, equally many random rows per target.
    """
    if known.sum() <= MAX_CELLS:
        rows, targets = np.nonzero(known)
        return rows, targets
    rng, quota = np.random.default_rng(seed), max(1, MAX_CELLS // known.shape[1])
    kept = []
    for g in range(known.shape[1]):
        rows = np.flatnonzero(known[:, g])
        chosen = rows if len(rows) <= quota else np.sort(rng.choice(rows, quota, replace=False))
        kept.append(np.stack([chosen, np.full(len(chosen), g)]))
    cells = np.concatenate(kept, axis=1)
    return cells[0], cells[1]


@dataclass(frozen=True)
class GaussianObjective:
    """Penalised mean NLL as a function of (b, log s, A)."""

    cells: Cells
    ridge: float
    rho: float = 0.0

    def unpack(self, theta: Float[np.ndarray, " parameter"]) -> Product:
        """One vector as parameters."""
        m = len(self.cells.mean)
        return Product(theta[:m], float(theta[m]), theta[m + 1 :].reshape(m, -1))

    @property
    def flops(self) -> int:
        """Operations of one value with its gradient, as ``pathfuse.costs`` counts them."""
        return self.cells.mean.size * (4 * len(self.cells.phi) + 6)

    def __call__(
        self, theta: Float[np.ndarray, " parameter"]
    ) -> tuple[float, Float[np.ndarray, " parameter"]]:
        """Value and gradient."""
        product, c = self.unpack(theta), self.cells
        weights = self._weights(product)
        sharpness = np.exp(product.log_sharpness)
        weighted = weights * c.precision
        total = weighted.sum(axis=0)
        mean = np.einsum("mc,mc->c", weighted, c.mean) / total
        residual = c.y - mean
        precision = sharpness * total
        loss = 0.5 * (np.log(2 * np.pi) - np.log(precision) + precision * residual**2)
        value = float(loss.mean()) + self.ridge * float(
            product.bias @ product.bias + product.log_sharpness**2
        )
        value += self.rho * float((product.gate**2).sum())
        pull = c.mean - mean  # from here on in place: these tables are large
        pull *= -residual
        pull += 0.5 * (residual**2 - 1 / precision)
        weighted *= pull
        weighted *= sharpness / len(c.y)
        weights *= weighted.sum(axis=0)
        score_slope = np.subtract(weighted, weights, out=weighted)
        return value, np.concatenate(
            [
                score_slope.sum(axis=1) + 2 * self.ridge * product.bias,
                [
                    0.5 * float((precision * residual**2 - 1).mean())
                    + 2 * self.ridge * product.log_sharpness
                ],
                (score_slope @ c.phi.T + 2 * self.rho * product.gate).ravel(),
            ]
        )

    def _weights(self, product: Product) -> Float[np.ndarray, "expert cell"]:
        scores = product.gate @ self.cells.phi
        scores += product.bias[:, None]
        if self.cells.absent is not None:
            scores += self.cells.absent
        scores -= scores.max(axis=0)
        powers = np.exp(scores, out=scores)
        powers /= powers.sum(axis=0)
        return powers

    def minimise(self, start: Product) -> Product:
        """L-BFGS from a given start."""
        from scipy.optimize import minimize  # not at the top: predict does without

        first = np.concatenate([start.bias, [start.log_sharpness], start.gate.ravel()])
        found = minimize(
            self,
            first,
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 300, "ftol": 1e-8, "gtol": 1e-5},
        )
        add_flops(found.nfev * self.flops)
        return self.unpack(found.x)


def gate_input(experts: GaussianExperts) -> GateInput:
    """What the gate sees of each cell: per expert its log sd against the others' and its distance
    from their consensus.

    Then the disagreement of the means, in units of the mean sd. 0 for absent experts.
    """
    present = experts.present
    whole, count = bool(present.all()), np.maximum(present.sum(axis=1), 1)
    n, m, g = experts.mean.shape
    variance = experts.variance if whole else np.where(present, experts.variance, 1.0)
    means = experts.mean if whole else np.where(present, experts.mean, 0.0)
    log_sd = 0.5 * np.log(variance)
    if not whole:
        log_sd[~present] = 0.0
    typical, consensus = log_sd.sum(axis=1) / count, means.sum(axis=1) / count
    features, unit = np.zeros((2 * m + 1, n, g)), np.exp(typical)
    spread = np.zeros((n, g))
    for j in range(m):
        distance = np.abs(means[:, j] - consensus)
        distance /= unit
        np.subtract(log_sd[:, j], typical, out=features[j])
        if not whole:
            absent = ~present[:, j]
            distance[absent] = features[j][absent] = 0.0
        np.log1p(distance, out=features[m + j])
        distance /= m
        spread += distance
    np.log1p(spread, out=features[2 * m])
    return features


def nothing_seen(experts: GaussianExperts) -> GateInput:
    """The gate input of constant weights."""
    n, _, g = experts.mean.shape
    return np.zeros((0, n, g))


def gaussian_weights(product: Product, phi: GateInput, experts: GaussianExperts) -> Moments:
    """Softmax weights of each cell; 0 where absent."""
    n, m, g = experts.mean.shape
    add_flops(2 * n * m * g * len(phi))
    whole, result = bool(experts.present.all()), np.empty((n, m, g))
    if whole and not len(phi):
        result[:] = _softmax(np.array(product.bias)[None, :, None])
        return result
    step = max(1, BLOCK // max(g, 1))
    for start in range(0, n, step):  # few rows at a time stay in the processor's cache
        rows = slice(start, start + step)
        scores, part = result[rows], np.empty_like(result[rows, 0])
        for own, bias, gate in zip(scores.swapaxes(0, 1), product.bias, product.gate, strict=True):
            own[:] = bias
            # Feature by feature: a cell's bits do not depend on its neighbours.
            for weight, feature in zip(gate, phi[:, rows], strict=True):
                own += np.multiply(weight, feature, out=part)
        if not whole:
            scores[~experts.present[rows]] = -np.inf
        _softmax(scores)
    return result


def _softmax(scores: Moments) -> Moments:
    """Over the experts, in place; 0 where all scores are -inf."""
    top = scores.max(axis=1, keepdims=True)
    scores -= np.where(np.isinf(top), 0.0, top)
    np.exp(scores, out=scores)
    total = np.zeros_like(scores[:, 0])
    for m in range(scores.shape[1]):
        total += scores[:, m]
    scores /= np.maximum(total, 1e-300)[:, None]
    return scores
