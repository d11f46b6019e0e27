"""A method: something with parameters, whose one setting is chosen by inner cross-validation.

A method says which settings it could take (``candidates``), how it is fitted along them
(``fit_path``), and how fitted parameters pool experts (``pool``) and weigh them (``share``), all in
``method_base``. Everything else is here, once, for all families.
"""

from collections.abc import Sequence
from typing import Any, Self, TypeAlias

import numpy as np

from pathfuse.fusion.expert_table import E, Prediction, Truth, by_blocks
from pathfuse.fusion.inner_cv import inner_folds
from pathfuse.fusion.method_base import MethodBase
from pathfuse.fusion.out_of_fold import out_of_fold, path_to_best, predict_views, score_settings
from pathfuse.fusion.presence import corrected_exponents, fit_presence, normalised, views
from pathfuse.types import Params, Weights


class Method(MethodBase[E]):
    """Base of the methods: how each is fitted, held out and corrected for absent experts."""

    def fit_experts(self, experts: E, truth: Truth, groups: np.ndarray) -> Self:
        """Chooses the setting, fits on all rows, and learns what absent experts change."""
        candidates = self.candidates(experts.n_samples)
        folds = inner_folds(self.family.strata(truth), groups, self.seed)
        if len(candidates) == 1 or folds is None:
            self.refit(experts, truth, candidates[: (len(candidates) + 1) // 2], {})
        else:
            inner, known = self.family.narrow(experts.rows(folds.rows), truth[folds.rows])
            (held_out,) = out_of_fold([self], inner, known, folds, self.n_jobs)
            scores = score_settings(self, candidates, held_out, known)
            self.refit(experts, truth, path_to_best(scores), scores)
        if folds is not None and self.fits:
            inner, known = self.family.narrow(experts.rows(folds.rows), truth[folds.rows])
            seen = views(inner, self.seed)
            narrowed = inner.n_columns < experts.n_columns
            predicted = predict_views(self, seen, inner, known, folds, narrowed=narrowed)
            self.learn_presence(
                fit_presence(self.family, seen, predicted, inner, known), experts, truth
            )
        return self

    def refit(
        self, experts: E, truth: Truth, path: Sequence[float], scores: dict[float, float]
    ) -> Self:
        """Fits on all rows at the last setting of ``path`` and checks the guarantee."""
        self.setting_, self.scores_, self.presence_ = path[-1], scores, {}
        self.params_ = self.fit_last(experts, truth, path)
        self.certificate_ = self.family.certify(
            self.pool_blocks(experts, self.params_), experts, truth
        )
        if not self.certificate_.holds:
            for name, params in self.safeguards(experts, truth):
                self.params_ = params
                self.certificate_ = self.family.certify(
                    self.pool_blocks(experts, params), experts, truth, name
                )
                if self.certificate_.holds:
                    break
        return self

    def learn_presence(self, presence: Params, experts: E, truth: Truth) -> None:
        """Takes the correction for absent experts, unless it would break the guarantee on the fit
        rows.
        """
        self.presence_ = presence
        if experts.scored.all():
            return
        fallback = self.certificate_.fallback
        certificate = self.family.certify(self.combine(experts), experts, truth, fallback)
        if self.certificate_.holds and not certificate.holds:
            self.presence_ = {}
        else:
            self.certificate_ = certificate

    def combine(self, experts: E) -> Prediction:
        """The fused prediction of samples."""
        params: Params = self._need("params_")
        return by_blocks(experts, lambda _, block: self.correct(self.pool(block, params), block))

    def pool_blocks(self, experts: E, params: Params) -> Prediction:
        """``pool``, block by block."""
        return by_blocks(experts, lambda _, block: self.pool(block, params))

    def correct(self, pooled: Prediction, experts: E) -> Prediction:
        """What ``combine`` makes of what the method pools."""
        return self.family.corrected(pooled, self.completed(experts, self.params_), self.presence_)

    def completed(self, experts: E, params: Params) -> E:
        """The experts with what the fit learned about them, where they do not say all that is
        needed.
        """
        return experts

    def sharpness(self, params: Params) -> np.ndarray:
        """The power to which the whole product is raised; 1 for what is not a product."""
        return np.exp(params.get("log_sharpness", np.zeros(())))

    def exponents(self, experts: E) -> Weights:
        """The powers to which the experts are raised before absent ones are allowed for: sharpness
        x weight.
        """
        params: Params = self._need("params_")
        return np.asarray(self.sharpness(params) * self.share(experts, params))

    def weigh(self, experts: E) -> Weights:
        """Weights of the experts in each sample."""
        return by_blocks(experts, self._weigh_block)

    def _weigh_block(self, _: slice, block: E) -> Weights:
        powers = self.exponents(block)
        return normalised(corrected_exponents(powers, block.scored, self.presence_))


AnyMethod: TypeAlias = Method[Any]
