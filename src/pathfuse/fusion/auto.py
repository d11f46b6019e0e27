"""``auto``: a council of all methods. LogitProd's idea applied once more.

See docs/design/fusion.md, section 4.

Choosing one method by inner cross-validation is noise with a hundred patients. The council weighs the methods' held-out
predictions with a static product, shrunk towards equal weights, and multiplies the refitted methods with those weights
(super learner: van der Laan, Polley & Hubbard 2007, with a logarithmic in place of a linear pool).
"""

from collections.abc import Sequence
from typing import Self

import numpy as np

from pathfuse.endpoints.likelihood import floor_log_prob
from pathfuse.fusion.base import Fusion
from pathfuse.fusion.categorical.anchor import PRIOR_ROWS
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.logpool import equal_product
from pathfuse.fusion.categorical.static_product import StaticProduct, fit_static
from pathfuse.fusion.certificate import Certificate, certify
from pathfuse.fusion.fitted import FittedMethods, fit_methods
from pathfuse.fusion.method import Method
from pathfuse.fusion.methods import new_methods
from pathfuse.fusion.presence import corrected, corrected_exponents, fit_presence
from pathfuse.fusion.works import LOGITPROD_2026, VANDERLAAN_2007
from pathfuse.types import LogProbs, Observed, Params, Weights


class Auto(Fusion):
    """Weighted product of the methods, weighed on their held-out predictions.

    Args:
        endpoint: ``survival`` adds ``hazard_product`` to the methods; the outcomes are then T bins and a tail.
        seed: Seed of the inner folds.
        n_jobs: Processes for inner cross-validation (joblib).

    Attributes:
        members_: The methods that sit in the council, by name.
        council_: The static product that weighs them.
        inner_scores_: Mean held-out NLL of every method that may sit in it.
        presence_: What absent experts change (``fusion.presence``).

    Examples:
        >>> import numpy as np
        >>> import pathfuse
        >>> y = np.arange(8) % 2
        >>> logits = np.random.default_rng(0).normal(size=(8, 2, 2))
        >>> logits[np.arange(8), :, y] += 1.5
        >>> model = pathfuse.Auto().fit(logits, y)
        >>> sorted(model.council_weights_)[:3]
        ['best_expert', 'logitprod', 'mean_probability']
        >>> model.certificate_.holds
        True
    """

    name = "auto"
    summary = (
        "a council of all methods named next: their weighted logarithmic pool, with "
        "weights learned from predictions held out in inner cross-validation"
    )
    references = (VANDERLAAN_2007, LOGITPROD_2026)
    members_: dict[str, Method]
    council_: StaticProduct
    presence_: Params
    inner_scores_: dict[str, float]

    def __init__(self, endpoint: str = "multiclass", seed: int = 0, n_jobs: int | None = None) -> None:
        super().__init__(seed, n_jobs)
        self.endpoint = endpoint

    def fit_experts(self, experts: Experts, observed: Observed, groups: np.ndarray) -> Self:
        """Fits all methods, then the council."""
        return self.from_fitted(
            fit_methods(new_methods(self.seed, self.endpoint), experts, observed, groups, self.seed, self.n_jobs),
            experts,
            observed,
        )

    def from_fitted(self, fitted: FittedMethods, experts: Experts, observed: Observed) -> Self:
        """Seats the council over methods that are fitted already.

        Methods whose fit-row NLL lies above the best expert's leave, worst first, until the certificate holds; the best
        expert itself, who is a method, never has to.
        """
        voting = {name: method for name, method in fitted.members.items() if method.in_council}
        self.inner_scores_ = {name: fitted.scores[name] for name in voting}
        fit_rows = {name: method.pool(experts, method.params_) for name, method in voting.items()}
        own = {name: method.certificate_ for name, method in voting.items()}
        members = list(voting)
        left: list[str] = []
        while True:
            self._weigh_members(fitted, members, experts, observed)
            fused = corrected(self._pool_members([fit_rows[name] for name in members]), experts, self.presence_)
            self.certificate_ = certify(fused, experts, observed, _note(left))
            worse = [name for name in members if not own[name].holds]
            if self.certificate_.holds or len(members) == 1:
                return self
            # All remaining methods hold but their sharpened product does not: go down to the best expert.
            dropped = max(worse or [n for n in members if n != "best_expert"], key=lambda name: own[name].fused)
            members.remove(dropped)
            left.append(dropped)

    def _weigh_members(self, fitted: FittedMethods, members: list[str], experts: Experts, observed: Observed) -> None:
        self.members_ = {name: fitted.members[name] for name in members}
        if len(members) == 1:
            self.council_ = council_of({"bias": np.zeros(1), "log_sharpness": np.array(0.0)})
            self.presence_ = self.members_[members[0]].presence_
            return
        truth = observed[fitted.rows]
        self.council_ = council_of(fit_council([fitted.held_out[name] for name in members], truth))
        pooled = [self._pool_members([fitted.hidden[name][v] for name in members]) for v in range(len(fitted.seen))]
        self.presence_ = fit_presence(fitted.seen, pooled, truth, experts.present[fitted.rows])

    def _pool_members(self, predictions: list[LogProbs]) -> LogProbs:
        return self.council_.log_pool(all_present(floor_log_prob(np.stack(predictions, axis=1))))

    def log_pool(self, experts: Experts) -> LogProbs:
        """See ``Fusion``."""
        members: dict[str, Method] = self._need("members_")
        pooled = self._pool_members([method.pool(experts, method.params_) for method in members.values()])
        return corrected(pooled, experts, self.presence_)

    def weigh(self, experts: Experts) -> Weights:
        """The effective weights: each member's sharpness x weights, weighed by the council.

        Exact where all members are products, since a product of products is one; of stacking, which has no weights, the
        share of the coefficients stands for them.
        """
        members: dict[str, Method] = self._need("members_")
        powers = np.zeros(experts.present.shape)
        for weight, method in zip(self.council_weights_.values(), members.values(), strict=True):
            powers += self.council_sharpness_ * weight * method.exponents(experts)
        powers = corrected_exponents(powers, experts, self.presence_)
        return powers / powers.sum(axis=1, keepdims=True)

    @property
    def council_weights_(self) -> dict[str, float]:
        """Weight of each members method; they sum to 1."""
        powers = np.exp(self.council_.params_["bias"] - self.council_.params_["bias"].max())
        return dict(zip(self.members_, (float(x) for x in powers / powers.sum()), strict=True))

    @property
    def council_sharpness_(self) -> float:
        """The council's sharpness."""
        return float(np.exp(self.council_.params_["log_sharpness"]))


def fit_council(held_out: Sequence[np.ndarray], observed: Observed) -> Params:
    """Weights of methods from their held-out predictions.

    Args:
        held_out: Per method, Float, (repeat, row, outcome).
        observed: Observed sets of the rows.
    """
    stacked = np.stack(held_out, axis=2)
    repeats, rows, n_methods, outcomes = stacked.shape
    council = all_present(floor_log_prob(stacked.reshape(repeats * rows, n_methods, outcomes)))
    # A pull of 1/n and a prior of so many rows, with n the distinct rows and not their repeats. No fallback to one
    # method here: the council is judged as a whole, on the fit rows.
    truth, start = np.concatenate([observed] * repeats), equal_product(n_methods)
    product = fit_static(council, truth, float(repeats), start, PRIOR_ROWS * repeats)
    return {"bias": product.bias, "log_sharpness": np.array(product.log_sharpness)}


def all_present(log_prob: np.ndarray) -> Experts:
    """Predictions that nobody missed."""
    return Experts(log_prob, np.ones(log_prob.shape[:2], dtype=bool))


def council_of(params: Params) -> StaticProduct:
    """A static product over methods, with given parameters."""
    council = StaticProduct(ridge=1.0)
    council.params_, council.setting_, council.scores_, council.presence_ = params, 1.0, {}, {}
    council.certificate_ = Certificate(0.0, (0.0,), (0,))
    return council


def _note(left: list[str]) -> str | None:
    return f"left the council: {', '.join(left)}" if left else None
