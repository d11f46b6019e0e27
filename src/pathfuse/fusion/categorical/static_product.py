"""The weighted product with constant weights and a free sharpness (logarithmic opinion pool; Genest
1986).

Convex weights can never sharpen, and independent evidence should: hence the sharpness
(docs/design/fusion.md, section 2.2).
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from pathfuse.fusion.categorical.anchor import PRIOR_ROWS
from pathfuse.fusion.categorical.chains import preference
from pathfuse.fusion.categorical.experts import COMPACT_ROWS, Experts, spread_rows
from pathfuse.fusion.categorical.logpool import (
    Likelihood,
    ProductObjective,
    no_features,
    product_weights,
    weighted_product,
)
from pathfuse.fusion.categorical.method import CategoricalMethod
from pathfuse.fusion.inner_cv import MAX_ROWS
from pathfuse.fusion.layout import Layout
from pathfuse.fusion.product import Product, equal_product
from pathfuse.fusion.works import GENEST_1984
from pathfuse.types import LogProbs, Observed, Params, Weights

RIDGES = (math.inf, 100.0, 10.0, 1.0)
"""Candidate pulls towards equal weights, times 1/n. Infinite: equal weights, only the sharpness is
fitted."""


class StaticProduct(CategoricalMethod):
    """Constant weights on the simplex and one sharpness, shrunk towards the uniform product.

        log q[n, c] = s Σ_m w[n, m] log p[n, m, c]  -  log Z[n]
        w[n] = softmax of b over the experts that scored sample n
        (b, s) = argmin of  mean nll + prior + (ridge / n) (|b|² + log² s)

    ``p[n, m, c]`` is expert m's probability of outcome c of sample n, (sample, expert, outcome);
    ``b``, (expert,), and the sharpness s > 0 are fitted on the n fit rows. ``prior`` stands for two
    rows drawn from the mean of the experts (``fusion.categorical.anchor``); at an infinite ridge b
    is 0 and only s is fitted.

    References:
        Genest (1984).

    Args:
        ridge: Pull towards equal weights, in units of 1/n; None: chosen by inner cross-validation
            from ``RIDGES``.
        seed: Seed of the inner folds.
        n_jobs: Processes for inner cross-validation (joblib).

    Examples:
        >>> import numpy as np
        >>> import pathfuse
        >>> y = np.arange(60) % 3
        >>> logits = np.random.default_rng(0).normal(size=(60, 4, 3))  # samples, experts, classes
        >>> logits[np.arange(60), :, y] += 1.5
        >>> model = pathfuse.StaticProduct(ridge=1.0).fit(logits, y)
        >>> weights = model.weights(logits)
        >>> bool((weights == weights[0]).all()), round(float(weights[0].sum()), 6)
        (True, 1.0)
    """

    name = "static_product"
    summary = "the product of the experts' probabilities with constant weights and a sharpness"
    references = (GENEST_1984,)
    richness = 1
    constant_powers = True
    open_end = False  # the weakest pull is that of one row: hardly any

    def __init__(
        self, ridge: float | None = None, seed: int = 0, n_jobs: int | None = None
    ) -> None:
        super().__init__(seed, n_jobs)
        self.ridge = ridge

    def layouts(self, n_experts: int, n_columns: int) -> tuple[Layout, ...]:
        """See ``MethodBase``."""
        return ({"bias": (n_experts,), "log_sharpness": ()},)

    def candidates(self, n_samples: int) -> tuple[float, ...]:
        """Ridges in units of 1/n."""
        return RIDGES if self.ridge is None else (self.ridge,)

    def fit_path(
        self, experts: Experts, observed: Observed, settings: Sequence[float]
    ) -> list[Params]:
        """See ``Method``."""
        product, path = equal_product(experts.shape[1]), []
        for ridge in settings:
            product = fit_static(experts, observed, ridge, product)
            path.append({"bias": product.bias, "log_sharpness": np.array(product.log_sharpness)})
        return path

    def fit_last(self, experts: Experts, truth: Observed, path: Sequence[float]) -> Params:
        """See ``Method``; a large table starts from what some of its rows lead to."""
        if experts.n_samples <= COMPACT_ROWS:
            return super().fit_last(experts, truth, path)
        some = spread_rows(experts.n_samples, MAX_ROWS)
        first = self.fit_path(experts.rows(some), truth[some], path)[-1]
        start = Product(
            first["bias"], float(first["log_sharpness"]), np.zeros((len(first["bias"]), 0))
        )
        product = fit_static(experts, truth, path[-1], start)
        return {"bias": product.bias, "log_sharpness": np.array(product.log_sharpness)}

    def pool(self, experts: Experts, params: Params) -> LogProbs:
        """See ``Method``."""
        return weighted_product(
            experts, self.share(experts, params), float(np.exp(params["log_sharpness"]))
        )

    def share(self, experts: Experts, params: Params) -> Weights:
        """Constant, renormalised over the experts present."""
        product = Product(params["bias"], 0.0, np.zeros((len(params["bias"]), 0)))
        return product_weights(product, no_features(experts.n_samples), experts.present)

    def safeguards(self, experts: Experts, observed: Observed) -> Iterable[tuple[str, Params]]:
        """Less shrinkage, then the best expert alone: it is in the family."""
        for ridge in (r for r in (*RIDGES, 0.0) if r < self.setting_):
            yield f"ridge {ridge:g}/n", self.fit_path(experts, observed, [ridge])[0]
        yield (
            "best_expert",
            {"bias": one_hot_bias(experts, observed), "log_sharpness": np.array(0.0)},
        )


def fit_static(
    experts: Experts,
    observed: Observed,
    ridge: float,
    start: Product,
    prior_rows: float = PRIOR_ROWS,
) -> Product:
    """Constant weights and sharpness at one ridge (in units of 1/n)."""
    return static_objective(experts, observed, ridge, prior_rows=prior_rows).minimise(start)


def static_objective(
    experts: Experts,
    observed: Observed,
    ridge: float,
    likelihood: Likelihood | None = None,
    prior_rows: float = PRIOR_ROWS,
) -> ProductObjective:
    """The objective of constant weights.

    At an infinite ridge only the sharpness moves, held by the prior alone.
    """
    only_sharpness = math.isinf(ridge)
    pull = 0.0 if only_sharpness else ridge / experts.n_samples
    phi = no_features(experts.n_samples)
    return ProductObjective(
        experts,
        observed,
        phi,
        ridge=pull,
        equal=only_sharpness,
        likelihood=likelihood,
        prior_rows=prior_rows,
    )


def one_hot_bias(experts: Experts, observed: Observed) -> np.ndarray:
    """Biases so far apart that the softmax is exactly the best expert present."""
    order = preference(experts, observed)
    bias = np.empty(len(order))
    bias[order] = -1000.0 * np.arange(len(order))
    return bias
