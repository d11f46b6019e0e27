"""Fitting the methods of regression, the council over it, and what is left of both: parameters and a certificate."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn.model_selection import GroupKFold

from pathfuse.errors import InputError
from pathfuse.fusion.categorical.logpool import Product, equal_product
from pathfuse.fusion.certificate import Certificate
from pathfuse.fusion.gaussian.best_expert import GaussianBestExpert, chain_nll
from pathfuse.fusion.gaussian.covariance_product import GaussianCovarianceProduct
from pathfuse.fusion.gaussian.experts import Gaussian, GaussianExperts, Targets, mean_nll, pool, residual_variance
from pathfuse.fusion.gaussian.logitprod import GaussianLogitProd
from pathfuse.fusion.gaussian.mean_probability import GaussianMean
from pathfuse.fusion.gaussian.method import GaussianMethod, presence_in, with_presence
from pathfuse.fusion.gaussian.presence import (
    GaussianView,
    corrected_gaussian,
    fit_gaussian_presence,
    gaussian_views,
)
from pathfuse.fusion.gaussian.product import Cells, GaussianObjective, gaussian_weights, nothing_seen
from pathfuse.fusion.gaussian.stacking import GaussianStacking
from pathfuse.fusion.gaussian.static_product import GaussianStaticProduct
from pathfuse.fusion.gaussian.uniform_product import GaussianUniformProduct
from pathfuse.types import Params, Weights

GAUSSIAN_METHODS: dict[str, GaussianMethod] = {
    method.name: method
    for method in (
        GaussianBestExpert(),
        GaussianMean(),
        GaussianUniformProduct(),
        GaussianStaticProduct(),
        GaussianCovarianceProduct(),
        GaussianLogitProd(),
        GaussianStacking(),
    )
}
MAX_TARGETS = 50
"""Settings and council weights are shared by all targets, and chosen on at most so many of them, evenly spaced."""
N_SPLITS = 5


@dataclass(frozen=True)
class GaussianFittedMethods:
    """Fitted methods with what inner cross-validation said of them."""

    members: dict[str, Params]
    scores: dict[str, float]
    settings: dict[str, float]
    held_out: dict[str, Gaussian]
    """Of the rows and the targets that choices were made on."""
    targets: np.ndarray
    seen: list[GaussianView]
    """The rows with experts hidden; of those targets."""
    hidden: dict[str, list[Gaussian]]
    """What each method predicts of them, as it is: nothing is corrected."""
    seed: int


@dataclass(frozen=True)
class GaussianFusion:
    """A fitted regression fusion: some methods and the weights between them."""

    name: str
    members: dict[str, Params]
    council: Params
    """``bias`` and ``sharpness`` of the product over members."""
    certificate_: Certificate
    inner_scores_: dict[str, float] = field(default_factory=dict)

    def predict(self, experts: GaussianExperts) -> Gaussian:
        """Fused means and variances."""
        if len(self.members) == 1:
            ((name, params),) = self.members.items()
            return GAUSSIAN_METHODS[name].predict(experts, params)
        said = [GAUSSIAN_METHODS[name].predict_raw(experts, p) for name, p in self.members.items()]
        filled = experts.with_variance(next(iter(self.members.values()))["residual_variance"])
        return corrected_gaussian(combine(said, self.council), filled, presence_in(self.council))

    def weigh(self, experts: GaussianExperts) -> Weights:
        """Weights of the experts: those of the members, weighed by the council; mean over targets."""
        parts = [GAUSSIAN_METHODS[name].weigh(experts, params) for name, params in self.members.items()]
        weights = np.einsum("r,rnm->nm", list(council_weights(self).values()), np.stack(parts))
        return np.asarray(weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-300))

    def dump(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """JSON-ready description and arrays."""
        tensors = {f"{name}/{key}": a for name, params in self.members.items() for key, a in params.items()}
        tensors |= {f"council/{key}": a for key, a in self.council.items()}
        content = {"method": self.name, "gaussian": True, "members": list(self.members)}
        return {**content, "certificate": self.certificate_.as_dict(), "inner_scores": self.inner_scores_}, tensors

    @classmethod
    def restore(cls, content: dict[str, Any], tensors: dict[str, np.ndarray]) -> "GaussianFusion":
        """The inverse of ``dump``."""

        def below(name: str) -> Params:
            return {k.removeprefix(f"{name}/"): v for k, v in tensors.items() if k.startswith(f"{name}/")}

        members = {name: below(name) for name in content["members"]}
        certificate = Certificate.from_dict(content["certificate"])
        return cls(content["method"], members, below("council"), certificate, content["inner_scores"])


def combine(predictions: list[Gaussian], council: Params) -> Gaussian:
    """The product of methods' predictions under council weights."""
    if len(predictions) == 1:
        return predictions[0]
    stacked = as_experts(predictions)
    product = Product(council["bias"], 0.0, np.zeros((len(predictions), 0)))
    share = gaussian_weights(product, nothing_seen(stacked), stacked)
    return pool(stacked, share, float(council["sharpness"]))


def as_experts(predictions: list[Gaussian]) -> GaussianExperts:
    """Predictions as the experts of a further fusion."""
    return GaussianExperts(
        np.stack([p.mean for p in predictions], axis=1), np.stack([p.variance for p in predictions], axis=1)
    )


def fit_gaussian_methods(
    experts: GaussianExperts, y: Targets, groups: np.ndarray, seed: int, tick: Callable[[float], None]
) -> GaussianFittedMethods:
    """Fits every method at the setting that inner cross-validation, grouped by patient, prefers.

    Raises:
        InputError: All fit rows belong to one patient.
    """
    n_groups = len(np.unique(groups))
    if n_groups < 2:
        raise InputError("the fit rows belong to one patient; inner cross-validation needs at least two")
    targets = np.unique(np.linspace(0, y.shape[1] - 1, min(MAX_TARGETS, y.shape[1])).astype(int))
    few, truth = GaussianExperts(experts.mean[:, :, targets], experts.variance[:, :, targets]), y[:, targets]
    splits = list(GroupKFold(min(N_SPLITS, n_groups), shuffle=True, random_state=seed).split(y, groups=groups))
    members: dict[str, Params] = {}
    scores, settings, held_out, hidden = {}, {}, {}, {}
    seen = gaussian_views(few, seed)
    for r, (name, method) in enumerate(GAUSSIAN_METHODS.items()):
        tried = {setting: _out_of_fold(method, few, truth, splits, setting, seed) for setting in method.settings}
        judged = {setting: mean_nll(prediction, truth) for setting, prediction in tried.items()}
        settings[name] = min(judged, key=lambda s: judged[s])
        scores[name], held_out[name] = judged[settings[name]], tried[settings[name]]
        members[name] = method.learn(experts, y, settings[name], seed)
        hidden[name] = _out_of_fold_views(method, few, truth, splits, settings[name], seen, seed)
        if method.fits:
            residual = residual_variance(few, truth)
            presence = fit_gaussian_presence(seen, hidden[name], residual, truth, few.scored)
            members[name] = with_presence(members[name], presence)
        tick((r + 1) / len(GAUSSIAN_METHODS))
    return GaussianFittedMethods(members, scores, settings, held_out, targets, seen, hidden, seed)


def _out_of_fold(
    method: GaussianMethod, experts: GaussianExperts, y: Targets, splits: list[Any], setting: float, seed: int
) -> Gaussian:
    mean, variance = np.full(y.shape, np.nan), np.full(y.shape, np.nan)
    for train, test in splits:
        said = method.predict(experts.rows(test), method.learn(experts.rows(train), y[train], setting, seed))
        mean[test], variance[test] = said.mean, said.variance
    return Gaussian(mean, variance)


def _out_of_fold_views(
    method: GaussianMethod,
    experts: GaussianExperts,
    y: Targets,
    splits: list[Any],
    setting: float,
    seen: list[GaussianView],
    seed: int,
) -> list[Gaussian]:
    """What a method predicts of the views, from fits that did not see their rows."""
    shapes = [(len(view.rows), y.shape[1]) for view in seen]
    mean, variance = ([np.full(shape, np.nan) for shape in shapes] for _ in range(2))
    for train, test in splits if seen else []:
        params = method.learn(experts.rows(train), y[train], setting, seed)
        for v, view in enumerate(seen):
            own = np.flatnonzero(np.isin(view.rows, test))
            said = method.predict(view.experts.rows(own), params)
            mean[v][own], variance[v][own] = said.mean, said.variance
    return [Gaussian(m, v) for m, v in zip(mean, variance, strict=True)]


def fuse_gaussian(fitted: GaussianFittedMethods, method: str, experts: GaussianExperts, y: Targets) -> GaussianFusion:
    """The fused method over methods that are fitted already.

    The certificate is the mean NLL over all known cells of the fit rows. A council loses the methods with the highest
    fit-row NLL until it holds; a single product falls back on the best expert.
    """
    if method == "choose":
        method = min(fitted.scores, key=lambda name: fitted.scores[name])
        return GaussianFusion(
            "choose", {method: fitted.members[method]}, _lone(), *_certified(fitted, method, experts, y)
        )
    if method != "auto":
        return _single(fitted, method, experts, y)
    said = {name: GAUSSIAN_METHODS[name].predict_raw(experts, p) for name, p in fitted.members.items()}
    own = {name: mean_nll(prediction, y) for name, prediction in said.items()}
    members = list(fitted.members)
    left: list[str] = []
    while True:
        council = _weigh_members(fitted, members, y)
        note = f"left the council: {', '.join(left)}" if left else None
        certificate = certify_gaussian(combine([said[name] for name in members], council), experts, y, note)
        if certificate.holds or len(members) == 1:
            kept = {name: fitted.members[name] for name in members}
            fusion = GaussianFusion("auto", kept, council, certificate, fitted.scores)
            return _with_presence(fusion, fitted, experts, y)
        dropped = max((name for name in members if name != "best_expert"), key=lambda name: own[name])
        members.remove(dropped)
        left.append(dropped)


def _with_presence(
    fusion: GaussianFusion, fitted: GaussianFittedMethods, experts: GaussianExperts, y: Targets
) -> GaussianFusion:
    """A council that knows what absent experts change, unless that would break its certificate."""
    if len(fusion.members) == 1 or not fitted.seen:
        return fusion
    pooled = [
        combine([fitted.hidden[name][v] for name in fusion.members], fusion.council) for v in range(len(fitted.seen))
    ]
    few = GaussianExperts(experts.mean[:, :, fitted.targets], experts.variance[:, :, fitted.targets])
    truth = y[:, fitted.targets]
    presence = fit_gaussian_presence(fitted.seen, pooled, residual_variance(few, truth), truth, few.scored)
    aware = replace(fusion, council=with_presence(fusion.council, presence))
    if experts.scored.all():
        return aware
    certificate = certify_gaussian(aware.predict(experts), experts, y, fusion.certificate_.fallback)
    return replace(aware, certificate_=certificate) if certificate.holds or not fusion.certificate_.holds else fusion


def _lone() -> Params:
    return {"bias": np.zeros(1), "sharpness": np.array(1.0)}


def _certified(
    fitted: GaussianFittedMethods, method: str, experts: GaussianExperts, y: Targets
) -> tuple[Certificate, dict[str, float]]:
    said = GAUSSIAN_METHODS[method].predict(experts, fitted.members[method])
    return certify_gaussian(said, experts, y), fitted.scores


def _single(fitted: GaussianFittedMethods, method: str, experts: GaussianExperts, y: Targets) -> GaussianFusion:
    certificate, scores = _certified(fitted, method, experts, y)
    members = {method: fitted.members[method]}
    if not certificate.holds and method in ("static_product", "logitprod"):
        best = GAUSSIAN_METHODS["best_expert"].learn(experts, y, 0.0)
        said = GAUSSIAN_METHODS["best_expert"].predict(experts, best)
        certificate = certify_gaussian(said, experts, y, "best_expert")
        members = {"best_expert": best}
    return GaussianFusion(method, members, _lone(), certificate, scores)


def _weigh_members(fitted: GaussianFittedMethods, members: list[str], y: Targets) -> Params:
    if len(members) == 1:
        return _lone()
    experts = as_experts([fitted.held_out[name] for name in members])
    cells = Cells.of(experts, y[:, fitted.targets], nothing_seen(experts), fitted.seed)
    product = GaussianObjective(cells, ridge=1 / len(y)).minimise(equal_product(len(members)))
    return {"bias": product.bias, "sharpness": np.exp(np.array(product.log_sharpness))}


def certify_gaussian(
    prediction: Gaussian, experts: GaussianExperts, y: Targets, fallback: str | None = None
) -> Certificate:
    """The certificate of fit-row predictions; an expert without variances has those of its residuals."""
    chains = chain_nll(experts.with_variance(residual_variance(experts, y)), y)
    return Certificate(
        mean_nll(prediction, y),
        tuple(float(x) for x in chains),
        tuple(int(n) for n in experts.present.any(axis=2).sum(axis=0)),
        fallback,
    )


def council_weights(fusion: GaussianFusion) -> dict[str, float]:
    """Weight of each members method; they sum to 1."""
    powers = np.exp(fusion.council["bias"] - fusion.council["bias"].max())
    return dict(zip(fusion.members, (float(x) for x in powers / powers.sum()), strict=True))
