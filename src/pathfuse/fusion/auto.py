"""``auto``: a council of all methods that vote. LogitProd's idea applied once more.

See docs/design/fusion.md, section 4.

Choosing one method by inner cross-validation is noise with a hundred patients. The council weighs
the methods' held-out predictions with a static product, shrunk towards equal weights, and
multiplies the refitted methods with those weights (super learner: van der Laan, Polley & Hubbard
2007, with a logarithmic in place of a linear pool).
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np

from pathfuse.fusion.base import Fusion
from pathfuse.fusion.certificate import Certificate
from pathfuse.fusion.expert_table import E, Prediction, Truth, by_blocks
from pathfuse.fusion.fitted import FittedMethods, fit_methods
from pathfuse.fusion.method import Method
from pathfuse.fusion.methods import new_methods
from pathfuse.fusion.presence import (
    check_presence,
    corrected_exponents,
    fit_presence,
    normalised,
)
from pathfuse.fusion.works import LOGITPROD_2026, VANDERLAAN_2007
from pathfuse.types import Params, Weights


class Council(Fusion[E]):
    """Weighted product of the methods, weighed on their held-out predictions.

    A family says what its product is, how it is weighed, and how predictions become the experts of
    a further product.

    Args:
        endpoint: Whose methods vote.
        seed: Seed of the inner folds.
        n_jobs: Processes for inner cross-validation (joblib).

    Attributes:
        members_: The methods in the council, by name.
        council_: The static product that weighs them.
        inner_scores_: Mean held-out NLL of every method that votes.
        presence_: What absent experts change (``fusion.presence``).
    """

    name = "auto"
    summary = (
        "a council of all methods named next: their weighted logarithmic pool, with weights "
        "learned from predictions held out in inner cross-validation"
    )
    references = (VANDERLAAN_2007, LOGITPROD_2026)
    members_: dict[str, Method[E]]
    council_: Method[E]
    presence_: Params
    inner_scores_: dict[str, float]

    def __init__(self, endpoint: str, seed: int = 0, n_jobs: int | None = None) -> None:
        super().__init__(seed, n_jobs)
        self.endpoint = endpoint

    @classmethod
    @abstractmethod
    def product(cls) -> Method[E]:
        """The family's static product, unfitted."""

    @classmethod
    @abstractmethod
    def stacked(cls, predictions: Sequence[Prediction]) -> E:
        """Predictions of methods as the experts of a further fusion."""

    @classmethod
    @abstractmethod
    def weigh_members(cls, held_out: Sequence[np.ndarray], truth: Truth, seed: int) -> Params:
        """Parameters of the product over methods, from their held-out predictions.

        Args:
            held_out: Per method, Float, (repeat, row, column).
            truth: Of the rows.
            seed: Of the cells that are taken where there are too many.
        """

    @classmethod
    @abstractmethod
    def alone(cls) -> Params:
        """Parameters of the product over one method: it is that method."""

    @classmethod
    def council_of(cls, params: Params) -> Method[E]:
        """A product over methods, with given parameters."""
        council = cls.product()
        council.params_, council.setting_, council.scores_, council.presence_ = params, 1.0, {}, {}
        council.certificate_ = Certificate(0.0, (0.0,), (0,))
        return council

    @classmethod
    def pooled(cls, council: Method[E], predictions: Sequence[Prediction]) -> Prediction:
        """Predictions of methods, pooled by a product."""
        return council.pool(cls.stacked(predictions), council.params_)

    def fit_experts(self, experts: E, truth: Truth, groups: np.ndarray) -> Self:
        """Fits all methods, then the council."""
        methods: list[Method[E]] = new_methods(self.seed, self.endpoint)
        return self.from_fitted(
            fit_methods(methods, experts, truth, groups, self.seed, self.n_jobs),
            experts,
            truth,
        )

    def from_fitted(self, fitted: FittedMethods[E], experts: E, truth: Truth) -> Self:
        """Weighs methods that are fitted already.

        Methods whose fit-row NLL lies above the best expert's are dropped, worst first, until the
        certificate holds; the best expert itself, who is a method, never has to be.
        """
        voting = fitted.voting
        self.inner_scores_ = {name: fitted.scores[name] for name in voting}
        own = {name: method.certificate_ for name, method in voting.items()}
        members = list(voting)
        dropped: list[str] = []
        while True:
            self._weigh(fitted, members)
            fused = self.combine(experts)
            note = f"left the council: {', '.join(dropped)}" if dropped else None
            self.certificate_ = self.family.certify(fused, experts, truth, note)
            worse = [name for name in members if not own[name].holds]
            if self.certificate_.holds or len(members) == 1:
                return self
            # All remaining methods hold but their sharpened product does not: go down to the best
            # expert.
            worst = max(
                worse or [n for n in members if n != "best_expert"],
                key=lambda name: own[name].fused,
            )
            members.remove(worst)
            dropped.append(worst)

    def _weigh(self, fitted: FittedMethods[E], members: list[str]) -> None:
        self.members_ = {name: fitted.members[name] for name in members}
        if len(members) == 1:
            self.council_ = self.council_of(self.alone())
            self.presence_ = self.members_[members[0]].presence_
            return
        params = self.weigh_members(
            [fitted.held_out[name] for name in members], fitted.truth, self.seed
        )
        self.council_ = self.council_of(params)
        hidden = ([fitted.hidden[name][v] for name in members] for v in range(len(fitted.seen)))
        predicted = [self.pooled(self.council_, predictions) for predictions in hidden]
        self.presence_ = fit_presence(
            self.family, fitted.seen, predicted, fitted.inner, fitted.truth
        )

    def _corrected(self, predictions: Sequence[Prediction], experts: E) -> Prediction:
        first = next(iter(self.members_.values()))
        complete = first.completed(experts, first.params_)
        return self.family.corrected(
            self.pooled(self.council_, predictions), complete, self.presence_
        )

    def combine(self, experts: E) -> Prediction:
        """See ``Fusion``."""
        return self.combine_known(experts, {})

    def combine_known(self, experts: E, pooled: Mapping[str, Prediction]) -> Prediction:
        """See ``Fusion``."""
        members: dict[str, Method[E]] = self._need("members_")

        def fused(rows: slice, block: E) -> Prediction:
            return self._corrected(
                [
                    pooled[name][rows] if name in pooled else method.pool(block, method.params_)
                    for name, method in members.items()
                ],
                block,
            )

        return by_blocks(experts, fused)

    def weigh(self, experts: E) -> Weights:
        """The effective weights: each member's sharpness x weights, weighed by the council.

        Exact where all members are products, since a product of products is one; of stacking, which
        has no weights, the share of the coefficients stands for them.
        """
        members: dict[str, Method[E]] = self._need("members_")
        shares = [self.council_sharpness_ * weight for weight in self.council_weights_.values()]

        def weighed(_: slice, block: E) -> Weights:
            powers = np.zeros(block.scored.shape)
            for share, method in zip(shares, members.values(), strict=True):
                powers += share * method.exponents(block)
            return normalised(corrected_exponents(powers, block.scored, self.presence_))

        return by_blocks(experts, weighed)

    def check_fitted(self, n_experts: int, n_columns: int) -> None:
        """See ``Fusion``."""
        for method in self.members_.values():
            method.check_fitted(n_experts, n_columns)
        self.council_.check_fitted(len(self.members_), n_columns)
        check_presence(self.name, self.presence_, n_experts, self.family)

    @property
    def parts(self) -> Mapping[str, Fusion[E]]:
        """See ``Fusion``."""
        members: dict[str, Method[E]] = self._need("members_")
        return dict(members) if len(members) > 1 else {}

    @property
    def council_weights_(self) -> dict[str, float]:
        """Weight of each member; they sum to 1."""
        powers = np.exp(self.council_.params_["bias"] - self.council_.params_["bias"].max())
        return dict(zip(self.members_, (float(x) for x in powers / powers.sum()), strict=True))

    @property
    def council_sharpness_(self) -> float:
        """The council's sharpness."""
        return float(self.council_.sharpness(self.council_.params_))
