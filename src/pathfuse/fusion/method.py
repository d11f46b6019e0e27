"""A method of the fitted: a method with parameters, whose one setting is chosen by inner cross-validation.

A method says which settings it could take (``candidates``), how it is fitted along them (``fit_path``), and how fitted
parameters pool experts (``pool``) and weigh them (``share``). Everything else is here, once.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, Self

import numpy as np
from jaxtyping import Float
from joblib import delayed

from pathfuse.costs import Tally, absorb, tallied
from pathfuse.endpoints.likelihood import set_nll
from pathfuse.fusion.base import Fusion
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.certificate import certify
from pathfuse.fusion.inner_cv import LARGE, InnerFolds, inner_folds
from pathfuse.fusion.presence import View, corrected, corrected_exponents, fit_presence, views
from pathfuse.types import LogProbs, Observed, Params, Weights
from pathfuse.workers import in_parallel

HeldOut = Float[np.ndarray, "setting repeat row outcome"]
Tick = Callable[[float], None]
"""Called with the share of the work that is done."""


def no_tick(share: float) -> None:
    """Nobody watches."""


class Method(Fusion):
    """Base of the simple methods.

    Attributes:
        params_: Fitted numbers by name.
        setting_: The chosen candidate.
        scores_: Mean held-out NLL of each candidate; empty if there was nothing to choose.
        presence_: What absent experts change (``fusion.presence``); empty: nothing.
    """

    in_council: ClassVar[bool] = True
    """Whether it votes in ``auto`` and may be what ``choose`` picks; where not, it is fitted and judged beside them."""
    endpoints: ClassVar[tuple[str, ...]] = ()
    """The endpoints that it is for; none named: every one of its family."""
    fits: ClassVar[bool] = True
    """Whether the weights or the sharpness are fitted; where not, absent experts change nothing."""
    chooses: ClassVar[bool] = False
    """Whether it picks among the experts by their fit rows, with or without a fit."""
    open_end: ClassVar[bool] = True
    """Whether a setting beyond the last candidate would shrink less still."""
    params_: Params
    presence_: Params
    setting_: float
    scores_: dict[float, float]

    def candidates(self, n_samples: int) -> tuple[float, ...]:
        """Settings to choose among, strongest shrinkage first. One candidate: nothing to choose."""
        return (0.0,)

    def at_edge(self, n_samples: int) -> bool:
        """Whether the chosen setting is the one that shrinks least: an even weaker one might have been chosen."""
        candidates = self.candidates(n_samples)
        return self.open_end and len(candidates) > 1 and self.setting_ == candidates[-1]

    @abstractmethod
    def fit_path(self, experts: Experts, observed: Observed, settings: Sequence[float]) -> list[Params]:
        """Fits the method at each setting in turn, each warm-started from the one before."""

    @abstractmethod
    def pool(self, experts: Experts, params: Params) -> LogProbs:
        """Fused log-probabilities; a row depends on nothing but itself."""

    @abstractmethod
    def share(self, experts: Experts, params: Params) -> Weights:
        """The experts' weights in each sample."""

    def safeguards(self, experts: Experts, observed: Observed) -> Iterable[tuple[str, Params]]:
        """Parameters to fall back along, by name, if the certificate does not hold."""
        return ()

    def fit_experts(self, experts: Experts, observed: Observed, groups: np.ndarray) -> Self:
        """``fit`` on floored log-probabilities and observed sets."""
        candidates = self.candidates(experts.n_samples)
        folds = inner_folds(observed, groups, self.seed)
        if len(candidates) == 1 or folds is None:
            self.refit(experts, observed, candidates[: (len(candidates) + 1) // 2], {})
        else:
            (held_out,) = out_of_fold([self], experts, observed, folds, self.n_jobs)
            scores = score_settings(candidates, held_out, observed[folds.rows])
            self.refit(experts, observed, path_to_best(scores), scores)
        if folds is not None and self.fits:
            seen = views(experts.rows(folds.rows), self.seed)
            said = predict_views(self, seen, experts, observed, folds)
            self.learn_presence(
                fit_presence(seen, said, observed[folds.rows], experts.present[folds.rows]), experts, observed
            )
        return self

    def refit(self, experts: Experts, observed: Observed, path: Sequence[float], scores: dict[float, float]) -> Self:
        """Fits on all rows at the last setting of ``path`` and checks the guarantee."""
        self.setting_, self.scores_, self.presence_ = path[-1], scores, {}
        self.params_ = self.fit_path(experts, observed, path)[-1]
        self.certificate_ = certify(self.pool(experts, self.params_), experts, observed)
        if not self.certificate_.holds:
            for name, params in self.safeguards(experts, observed):
                self.params_ = params
                self.certificate_ = certify(self.pool(experts, params), experts, observed, fallback=name)
                if self.certificate_.holds:
                    break
        return self

    def learn_presence(self, presence: Params, experts: Experts, observed: Observed) -> None:
        """Takes the correction for absent experts, unless it would break the guarantee on the fit rows."""
        self.presence_ = presence
        if experts.present.all():
            return
        certificate = certify(self.log_pool(experts), experts, observed, self.certificate_.fallback)
        if self.certificate_.holds and not certificate.holds:
            self.presence_ = {}
        else:
            self.certificate_ = certificate

    def log_pool(self, experts: Experts) -> LogProbs:
        """Fused log-probabilities of samples."""
        return corrected(self.pool(experts, self._need("params_")), experts, self.presence_)

    def exponents(self, experts: Experts) -> Weights:
        """The powers to which the experts are raised before absent ones are allowed for: sharpness x weight."""
        params: Params = self._need("params_")
        return np.asarray(np.exp(params.get("log_sharpness", np.zeros(()))) * self.share(experts, params))

    def weigh(self, experts: Experts) -> Weights:
        """Weights of the experts in each sample."""
        powers = corrected_exponents(self.exponents(experts), experts, self.presence_)
        return powers / powers.sum(axis=1, keepdims=True)


def _out_of_fold(
    method: Method, experts: Experts, observed: Observed, train: np.ndarray, test: np.ndarray
) -> tuple[np.ndarray, Tally]:
    settings = method.candidates(len(train))
    with tallied() as tally:  # a worker process counts for the one that waits for it
        fitted = method.fit_path(experts.rows(train), observed[train], settings)
        judged = experts.rows(test)
        said = np.stack([method.pool(judged, params) for params in fitted])
    return said, tally


def out_of_fold(
    methods: Sequence[Method],
    experts: Experts,
    observed: Observed,
    folds: InnerFolds,
    n_jobs: int | None,
    tick: Tick = no_tick,
) -> list[HeldOut]:
    """Held-out log-probabilities of each method at each of its settings, on the same folds for all.

    Runs through ``joblib.Parallel``: the caller's ``parallel_config`` chooses the backend; results do not depend on it.
    """
    inner, truth = experts.rows(folds.rows), observed[folds.rows]
    jobs = [(m, r, train, test) for m in methods for r, split in enumerate(folds.splits) for train, test in split]
    tasks = (delayed(_out_of_fold)(method, inner, truth, train, test) for method, _, train, test in jobs)
    parts = in_parallel(n_jobs, tasks)
    shape = (len(folds.splits), inner.n_samples, inner.shape[2])
    results = [np.full((len(m.candidates(inner.n_samples)), *shape), np.nan) for m in methods]
    position = {id(m): i for i, m in enumerate(methods)}
    for done, ((method, repeat, _, test), (part, tally)) in enumerate(zip(jobs, parts, strict=True), start=1):
        absorb(tally)
        results[position[id(method)]][:, repeat, test] = part
        tick(done / len(jobs))
    return results


def predict_views(
    method: Method, seen: Sequence[View], experts: Experts, observed: Observed, folds: InnerFolds
) -> list[LogProbs]:
    """What a fitted method predicts of views of its fit rows, held out in the first repeat of the inner folds.

    Above ``LARGE`` rows, and for methods without anything to fit, by the method itself: it has seen too many rows, or
    learned too little, to know one of them.
    """
    if not seen:
        return []
    if not method.fits or len(folds.rows) > LARGE:
        return [method.pool(view.experts, method.params_) for view in seen]
    inner, truth = experts.rows(folds.rows), observed[folds.rows]
    result = [np.full((len(view.rows), experts.shape[2]), np.nan) for view in seen]
    for train, test in folds.splits[0]:
        (params,) = method.fit_path(inner.rows(train), truth[train], [method.setting_])
        chosen = [np.flatnonzero(np.isin(view.rows, test)) for view in seen]
        parts = [view.experts.rows(rows) for view, rows in zip(seen, chosen, strict=True)]
        said = method.pool(Experts.joined(parts), params)
        ends = np.cumsum([len(rows) for rows in chosen])
        for own, rows, part in zip(result, chosen, np.split(said, ends[:-1]), strict=True):
            own[rows] = part
    return result


def score_settings(settings: Sequence[float], held_out: HeldOut, observed: Observed) -> dict[float, float]:
    """Mean held-out NLL of each setting."""
    return {
        setting: float(np.mean([set_nll(repeat, observed).mean() for repeat in predictions]))
        for setting, predictions in zip(settings, held_out, strict=True)
    }


def path_to_best(scores: dict[float, float]) -> list[float]:
    """The settings down to the one with the lowest score; of equals the first, which shrinks most."""
    settings = list(scores)
    return settings[: 1 + min(range(len(settings)), key=lambda i: scores[settings[i]])]
