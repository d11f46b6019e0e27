"""A rung of the ladder: a method with parameters, whose one setting is chosen by inner cross-validation.

A method says which settings it could take (``candidates``), how it is fitted along them (``fit_path``), and how fitted
parameters pool experts (``pool``) and weigh them (``share``). Everything else is here, once.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Self

import numpy as np
from jaxtyping import Float
from joblib import delayed

from pathfuse.costs import Tally, absorb, tallied
from pathfuse.endpoints.likelihood import set_nll
from pathfuse.fusion.base import Fusion
from pathfuse.fusion.certificate import certify
from pathfuse.fusion.experts import Experts
from pathfuse.fusion.inner_cv import InnerFolds, inner_folds
from pathfuse.types import LogProbs, Observed, Params, Weights
from pathfuse.workers import in_parallel

HeldOut = Float[np.ndarray, "setting repeat row outcome"]
Tick = Callable[[float], None]
"""Called with the share of the work that is done."""


def no_tick(share: float) -> None:
    """Nobody watches."""


class Rung(Fusion):
    """Base of the simple methods.

    Attributes:
        params_: Fitted numbers by name.
        setting_: The chosen candidate.
        scores_: Mean held-out NLL of each candidate; empty if there was nothing to choose.
    """

    params_: Params
    setting_: float
    scores_: dict[float, float]

    def candidates(self, n_samples: int) -> tuple[float, ...]:
        """Settings to choose among, strongest shrinkage first. One candidate: nothing to choose."""
        return (0.0,)

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
            return self.refit(experts, observed, candidates[: (len(candidates) + 1) // 2], {})
        (held_out,) = hold_out([self], experts, observed, folds, self.n_jobs)
        scores = score_settings(candidates, held_out, observed[folds.rows])
        return self.refit(experts, observed, path_to_best(scores), scores)

    def refit(self, experts: Experts, observed: Observed, path: Sequence[float], scores: dict[float, float]) -> Self:
        """Fits on all rows at the last setting of ``path`` and checks the guarantee."""
        self.setting_, self.scores_ = path[-1], scores
        self.params_ = self.fit_path(experts, observed, path)[-1]
        self.certificate_ = certify(self.pool(experts, self.params_), experts, observed)
        if not self.certificate_.holds:
            for name, params in self.safeguards(experts, observed):
                self.params_ = params
                self.certificate_ = certify(self.pool(experts, params), experts, observed, fallback=name)
                if self.certificate_.holds:
                    break
        return self

    def log_pool(self, experts: Experts) -> LogProbs:
        """Fused log-probabilities of samples."""
        return self.pool(experts, self._need("params_"))

    def weigh(self, experts: Experts) -> Weights:
        """Weights of the experts in each sample."""
        return self.share(experts, self._need("params_"))


def _hold_out_fold(
    method: Rung, experts: Experts, observed: Observed, train: np.ndarray, test: np.ndarray
) -> tuple[np.ndarray, Tally]:
    settings = method.candidates(len(train))
    with tallied() as tally:  # a worker process counts for the one that waits for it
        fitted = method.fit_path(experts.rows(train), observed[train], settings)
        judged = experts.rows(test)
        said = np.stack([method.pool(judged, params) for params in fitted])
    return said, tally


def hold_out(
    methods: Sequence[Rung],
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
    tasks = (delayed(_hold_out_fold)(method, inner, truth, train, test) for method, _, train, test in jobs)
    parts = in_parallel(n_jobs, tasks)
    shape = (len(folds.splits), inner.n_samples, inner.shape[2])
    results = [np.full((len(m.candidates(inner.n_samples)), *shape), np.nan) for m in methods]
    position = {id(m): i for i, m in enumerate(methods)}
    for done, ((method, repeat, _, test), (part, tally)) in enumerate(zip(jobs, parts, strict=True), start=1):
        absorb(tally)
        results[position[id(method)]][:, repeat, test] = part
        tick(done / len(jobs))
    return results


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
