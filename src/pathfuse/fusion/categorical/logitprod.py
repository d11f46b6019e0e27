"""LogitProd: a product of experts whose weights a small gate reads from their logits (arXiv
2604.07779).

What differs from the published recipe, and why (docs/design/fusion.md, section 2): a free
sharpness, standardised gate features, an explicit ridge on the gate chosen by inner
cross-validation in place of tiny learning rates, and L-BFGS to convergence in place of epochs. With
the ridge at infinity it is the static product.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float

from pathfuse.distributions.likelihood import set_nll
from pathfuse.errors import InputError
from pathfuse.fusion.categorical.bin_gates import BinGates, BinGatesObjective
from pathfuse.fusion.categorical.experts import COMPACT_ROWS, Experts, spread_rows
from pathfuse.fusion.categorical.gating import Standardiser, gate_features, n_gate_features
from pathfuse.fusion.categorical.logpool import (
    Features,
    ProductObjective,
    product_weights,
    weighted_product,
)
from pathfuse.fusion.categorical.method import CategoricalMethod
from pathfuse.fusion.categorical.static_product import fit_static, one_hot_bias
from pathfuse.fusion.inner_cv import MAX_ROWS
from pathfuse.fusion.layout import Layout
from pathfuse.fusion.product import Product, equal_product
from pathfuse.fusion.works import GENEST_1984, LOGITPROD_2026
from pathfuse.types import LogProbs, Observed, Params, Weights

RHOS = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
"""Geometric grid of the gate's ridge, in nats."""


class LogitProd(CategoricalMethod):
    """Sample-adaptive weighted product with sharpness, shrunk towards the static product.

        log q[n, c] = s Σ_m w[n, m] log p[n, m, c]  -  log Z[n]
        w[n] = softmax of (b + A φ[n]) over the experts that scored sample n
        (b, s, A) = argmin of  mean nll + prior + (1 / n) (|b|² + log² s) + rho |A|²

    ``p[n, m, c]`` is expert m's probability of outcome c of sample n, (sample, expert, outcome);
    ``φ[n]`` are the standardised gate features of ``gating.py``, (sample, feature); ``b``,
    (expert,), ``A``, (expert, feature), and the sharpness s > 0 are fitted on the n fit rows.
    ``prior`` stands for two rows drawn from the mean of the experts
    (``fusion.categorical.anchor``).

    References:
        Huang et al. (2026), who have s = 1; Genest (1984) for constant weights.

    Args:
        rho: Ridge on the gate; None: chosen by inner cross-validation from ``RHOS``.
        gate: ``shared``: one gate for all outcomes; ``per_bin``: one per outcome, the published
            form for survival.
        dropout: Share of the experts' predictions that is hidden from the fit at random, so that
            the gate learns to do without any of them; 0: off.
        decorrelation: Strength of the published penalty ``w'Rw`` (published: 0.1), shared gate
            only; 0: off.
        seed: Seed of the inner folds and of ``dropout``; of the published recipe's validation part
            and batches.
        n_jobs: Processes for inner cross-validation (joblib).
        variant: ``default``, or ``published``: the authors' own training, for comparison
            (``published.py``; needs the torch extra). It brings its own gate and penalty, so the
            options above the seed are not read, and the fit stays as it came out: its certificate
            may fail.
        recipe: Published hyper-parameters: ``classification``, ``mutation``, ``survival`` or
            ``tile``.
        quirks: Accidents of the published code to repeat: ``no_survival_gradient``, ``last_epoch``,
            ``unnormalised_mutation``, ``dropped_rows``; what each does is in
            ``published_recipe.QUIRKS``.
        epochs: At most so many published epochs; None: as published.

    Examples:
        >>> import numpy as np
        >>> import pathfuse
        >>> y = np.arange(60) % 3
        >>> logits = np.random.default_rng(0).normal(size=(60, 4, 3))  # samples, experts, classes
        >>> logits[np.arange(60), :, y] += 1.5
        >>> logits[0, 2] = np.nan  # the third expert did not score the first sample
        >>> model = pathfuse.LogitProd(rho=0.1).fit(logits, y)
        >>> model.predict_proba(logits).shape
        (60, 3)
        >>> model.weights(logits)[0].round(2).tolist()[2]
        0.0
        >>> model.certificate_.holds
        True
    """

    name = "logitprod"
    summary = "the product of the experts' probabilities with weights that a gate reads from each sample's logits"
    references = (LOGITPROD_2026, GENEST_1984)

    def __init__(
        self,
        rho: float | None = None,
        gate: str = "shared",
        dropout: float = 0.0,
        decorrelation: float = 0.0,
        seed: int = 0,
        n_jobs: int | None = None,
        variant: str = "default",
        recipe: str = "classification",
        quirks: tuple[str, ...] = (),
        epochs: int | None = None,
    ) -> None:
        super().__init__(seed, n_jobs)
        self.rho = rho
        self.gate = gate
        self.dropout = dropout
        self.decorrelation = decorrelation
        self.variant = variant
        self.recipe = recipe
        self.quirks = quirks
        self.epochs = epochs

    @property
    def _published(self) -> bool:
        if self.variant not in ("default", "published"):
            raise InputError(f"variant '{self.variant}' is unknown; choose default or published")
        if self.gate not in ("shared", "per_bin"):
            raise InputError(f"gate '{self.gate}' is unknown; choose shared or per_bin")
        if self.quirks and self.variant == "default":
            raise InputError("quirks belong to variant='published'; the default variant has none")
        return self.variant == "published"

    def layouts(self, n_experts: int, n_columns: int) -> tuple[Layout, ...]:
        """See ``MethodBase``."""
        n_features = n_gate_features(n_experts, n_columns)
        scaled: Layout = {
            "log_sharpness": (),
            "feature_mean": (n_features,),
            "feature_scale": (n_features,),
        }
        shapes: tuple[tuple[int, ...], ...] = ((), (n_columns,))  # one gate, or one per outcome
        return tuple(
            {**scaled, "bias": (*of, n_experts), "gate": (*of, n_experts, n_features)}
            for of in shapes
        )

    def candidates(self, n_samples: int) -> tuple[float, ...]:
        """Ridges on the gate; the published recipe has nothing to choose."""
        if self._published:
            return (0.0,)
        return RHOS if self.rho is None else (self.rho,)

    def fit_path(
        self, experts: Experts, observed: Observed, settings: Sequence[float]
    ) -> list[Params]:
        """See ``Method``."""
        if self._published:
            from pathfuse.fusion.categorical.published import fit_published

            published = fit_published(
                experts, observed, self.recipe, self.quirks, self.seed, self.epochs
            )
            return [published for _ in settings]
        experts = hide(experts, self.dropout, self.seed)
        standardiser, phi = _standardised(experts)
        n, m, k = experts.shape
        static = fit_static(experts, observed, 1.0, equal_product(m))
        product = Product(static.bias, static.log_sharpness, np.zeros((m, phi.shape[1])))
        if self.gate == "per_bin":
            return self._fit_bins(
                experts, observed, phi, BinGates.from_shared(product, k), standardiser, settings
            )
        correlation, path = self._correlation(experts, observed), []
        objective = ProductObjective(experts, observed, phi, ridge=1 / n, correlation=correlation)
        for rho in settings:
            product = objective.at(1 / n, rho).minimise(product)
            path.append(_as_params(product, standardiser))
        return path

    def fit_last(self, experts: Experts, truth: Observed, path: Sequence[float]) -> Params:
        """See ``Method``; a large table starts from what some of its rows lead to."""
        if experts.n_samples <= COMPACT_ROWS or self._published or self.gate == "per_bin":
            return super().fit_last(experts, truth, path)
        some = spread_rows(experts.n_samples, MAX_ROWS)
        first = self.fit_path(experts.rows(some), truth[some], path)[-1]
        experts = hide(experts, self.dropout, self.seed)
        standardiser, phi = _standardised(experts)
        # The gate and bias found on some rows read those rows' standardised features.
        found = Standardiser(first["feature_mean"], first["feature_scale"])
        gate, shift = standardiser.as_read_by(first["gate"], found)
        start = Product(first["bias"] + shift, float(first["log_sharpness"]), gate)
        pull = 1 / experts.n_samples
        correlation = self._correlation(experts, truth)
        objective = ProductObjective(experts, truth, phi, pull, path[-1], correlation)
        return _as_params(objective.minimise(start), standardiser)

    def _correlation(
        self, experts: Experts, observed: Observed
    ) -> Float[np.ndarray, "expert expert"] | None:
        if not self.decorrelation:
            return None
        return self.decorrelation * error_correlation(experts, observed)

    def _fit_bins(
        self,
        experts: Experts,
        observed: Observed,
        phi: Features,
        gates: BinGates,
        standardiser: Standardiser,
        settings: Sequence[float],
    ) -> list[Params]:
        objective, path = BinGatesObjective(experts, observed, phi, ridge=1 / experts.n_samples), []
        for rho in settings:
            objective.rho = rho
            gates = objective.minimise(gates)
            path.append(_as_params(gates, standardiser))
        return path

    def pool(self, experts: Experts, params: Params) -> LogProbs:
        """See ``Method``."""
        if params["bias"].ndim == 2:
            return _bin_gates(params).pool(_features(experts, params), experts)
        return weighted_product(
            experts, self.share(experts, params), float(np.exp(params["log_sharpness"]))
        )

    def share(self, experts: Experts, params: Params) -> Weights:
        """The gate's weights; with one gate per bin their mean over bins."""
        phi = _features(experts, params)
        if params["bias"].ndim == 2:
            weights = _bin_gates(params).weights(phi, experts)
            return np.asarray(sum(weights) / len(weights))
        return product_weights(Product(params["bias"], 0.0, params["gate"]), phi, experts.present)

    def safeguards(self, experts: Experts, observed: Observed) -> Iterable[tuple[str, Params]]:
        """Less shrinkage of the gate, then the static product, then the best expert alone: all are
        in the family.

        None for the published variant, which is shown as it is.
        """
        if self._published:
            return
        for rho in (r for r in RHOS if r < self.setting_):
            yield f"rho {rho:g}", self.fit_path(experts, observed, [rho])[0]
        standardiser, phi = _standardised(experts)
        m = experts.shape[1]
        closed = np.zeros((m, phi.shape[1]))
        static = fit_static(experts, observed, 0.0, equal_product(m))
        yield (
            "static_product",
            _as_params(Product(static.bias, static.log_sharpness, closed), standardiser),
        )
        yield (
            "best_expert",
            _as_params(Product(one_hot_bias(experts, observed), 0.0, closed), standardiser),
        )


def hide(experts: Experts, share: float, seed: int) -> Experts:
    """Marks a random share of the predictions as absent, but never all of a sample's."""
    if not share:
        return experts
    rng = np.random.default_rng(seed)
    kept = experts.present & (rng.random(experts.present.shape) >= share)
    kept = np.where(kept.any(axis=1, keepdims=True), kept, experts.present)
    return Experts(np.where(kept[:, :, None], experts.log_prob, 0.0), kept, experts.context)


def _standardised(experts: Experts) -> tuple[Standardiser, Features]:
    features, exists = gate_features(experts)
    standardiser = Standardiser.fit(features, exists)
    return standardiser, standardiser.apply(features, exists)


def _features(experts: Experts, params: Params) -> Features:
    return Standardiser(params["feature_mean"], params["feature_scale"]).apply(
        *gate_features(experts)
    )


def _bin_gates(params: Params) -> BinGates:
    return BinGates(params["bias"], float(params["log_sharpness"]), params["gate"])


def _as_params(product: Product | BinGates, standardiser: Standardiser) -> Params:
    return {
        "bias": product.bias,
        "log_sharpness": np.array(product.log_sharpness),
        "gate": product.gate,
        "feature_mean": standardiser.mean,
        "feature_scale": standardiser.scale,
    }


def error_correlation(experts: Experts, observed: Observed) -> Float[np.ndarray, "expert expert"]:
    """R of the published penalty: ``0.9 * max(corr(NLL_i, NLL_j), 0)``, diagonal 0.

    See docs/design/logitprod.md, section 1.4.

    Absent cells take the expert's mean NLL, so they add no correlation.
    """
    loss = np.stack(
        [set_nll(experts.log_prob[:, m], observed) for m in range(experts.shape[1])], axis=1
    )
    count = np.maximum(experts.present.sum(axis=0), 1)
    centred = np.where(
        experts.present, loss - np.where(experts.present, loss, 0).sum(axis=0) / count, 0
    )
    unit = centred / np.maximum(np.linalg.norm(centred, axis=0), 1e-12)
    correlation = 0.9 * np.maximum(unit.T @ unit, 0)
    np.fill_diagonal(correlation, 0.0)
    return np.asarray(correlation)
