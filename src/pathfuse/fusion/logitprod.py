"""LogitProd: a product of experts whose weights a small gate reads from their logits (arXiv 2604.07779).

What differs from the published recipe, and why (fusion.md, sections 2 and 5): a free sharpness, standardised gate
features, an explicit ridge on the gate chosen by inner cross-validation in place of tiny learning rates, and L-BFGS to
convergence in place of epochs. With the ridge at infinity it is the static product.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float

from pathfuse.endpoints.likelihood import set_nll
from pathfuse.fusion.experts import Experts
from pathfuse.fusion.gating import Standardiser, gate_features
from pathfuse.fusion.logpool import (
    Features,
    Product,
    ProductObjective,
    equal_product,
    product_weights,
    weighted_product,
)
from pathfuse.fusion.rung import Rung
from pathfuse.fusion.static_product import fit_static, one_hot_bias
from pathfuse.types import LogProbs, Observed, Params, Weights

RHOS = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
"""Geometric grid of the gate's ridge, in nats."""


class LogitProd(Rung):
    """Sample-adaptive weighted product with sharpness, shrunk towards the static product.

    Args:
        rho: Ridge on the gate; None: chosen by inner cross-validation from ``RHOS``.
        decorrelation: Strength of the published penalty ``w'Rw`` (the paper's code fixes 0.1); 0: off.
        seed: Seed of the inner folds.
        n_jobs: Processes for inner cross-validation (joblib).
    """

    name = "logitprod"

    def __init__(
        self, rho: float | None = None, decorrelation: float = 0.0, seed: int = 0, n_jobs: int | None = None
    ) -> None:
        super().__init__(seed, n_jobs)
        self.rho = rho
        self.decorrelation = decorrelation

    def candidates(self, n_samples: int) -> tuple[float, ...]:
        """Ridges on the gate."""
        return RHOS if self.rho is None else (self.rho,)

    def fit_path(self, experts: Experts, observed: Observed, settings: Sequence[float]) -> list[Params]:
        """See ``Rung``."""
        features, exists = gate_features(experts)
        standardiser = Standardiser.fit(features, exists)
        phi = standardiser.apply(features, exists)
        n, m, _ = experts.shape
        static = fit_static(experts, observed, 1.0, equal_product(m))
        product = Product(static.bias, static.log_sharpness, np.zeros((m, phi.shape[1])))
        correlation = self.decorrelation * error_correlation(experts, observed) if self.decorrelation else None
        objective, path = ProductObjective(experts, observed, phi, ridge=1 / n, correlation=correlation), []
        for rho in settings:
            product = objective.at(1 / n, rho).minimise(product)
            path.append(_as_params(product, standardiser))
        return path

    def pool(self, experts: Experts, params: Params) -> LogProbs:
        """See ``Rung``."""
        return weighted_product(experts, self.share(experts, params), float(np.exp(params["log_sharpness"])))

    def share(self, experts: Experts, params: Params) -> Weights:
        """The gate's weights."""
        phi = _standardiser(params).apply(*gate_features(experts))
        return product_weights(Product(params["bias"], 0.0, params["gate"]), phi, experts.present)

    def safeguards(self, experts: Experts, observed: Observed) -> Iterable[tuple[str, Params]]:
        """Less shrinkage of the gate, then the static product, then the best expert alone: all are in the family."""
        for rho in (r for r in RHOS if r < self.setting_):
            yield f"rho {rho:g}", self.fit_path(experts, observed, [rho])[0]
        features, exists = gate_features(experts)
        standardiser, m = Standardiser.fit(features, exists), experts.shape[1]
        closed = np.zeros((m, features.shape[1]))
        static = fit_static(experts, observed, 0.0, equal_product(m))
        yield "static_product", _as_params(Product(static.bias, static.log_sharpness, closed), standardiser)
        yield "best_expert", _as_params(Product(one_hot_bias(experts, observed), 0.0, closed), standardiser)

    def gate_input(self, experts: Experts) -> Features:
        """The standardised features that the fitted gate reads."""
        return _standardiser(self._need("params_")).apply(*gate_features(experts))


def _as_params(product: Product, standardiser: Standardiser) -> Params:
    return {
        "bias": product.bias,
        "log_sharpness": np.array(product.log_sharpness),
        "gate": product.gate,
        "feature_mean": standardiser.mean,
        "feature_scale": standardiser.scale,
    }


def _standardiser(params: Params) -> Standardiser:
    return Standardiser(params["feature_mean"], params["feature_scale"])


def error_correlation(experts: Experts, observed: Observed) -> Float[np.ndarray, "expert expert"]:
    """R of the published penalty: ``0.9 * max(corr(NLL_i, NLL_j), 0)``, diagonal 0 (logitprod.md, 1.4).

    Absent cells take the expert's mean NLL, so they add no correlation.
    """
    loss = np.stack([set_nll(experts.log_prob[:, m], observed) for m in range(experts.shape[1])], axis=1)
    count = np.maximum(experts.present.sum(axis=0), 1)
    centred = np.where(experts.present, loss - np.where(experts.present, loss, 0).sum(axis=0) / count, 0)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=0), 1e-12)
    correlation = 0.9 * np.maximum(unit.T @ unit, 0)
    np.fill_diagonal(correlation, 0.0)
    return np.asarray(correlation)
