"""Stacking: a ridge softmax regression on all experts' log-probabilities (Wolpert 1992; Breiman
1996).

The richest method: it may read one expert's confusion between two classes as evidence for a third.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float

from pathfuse.costs import add_flops
from pathfuse.distributions.lanes import added, by_sample, mapped, normalise
from pathfuse.fusion.categorical.anchor import PRIOR_ROWS, anchor_of
from pathfuse.fusion.categorical.experts import COMPACT_ROWS, Experts, spread_rows
from pathfuse.fusion.categorical.imputation import GaussianImputer, Table, patterns
from pathfuse.fusion.categorical.method import CategoricalMethod
from pathfuse.fusion.categorical.set_likelihood import ByOutcome, SetLikelihood
from pathfuse.fusion.layout import Layout
from pathfuse.fusion.works import WOLPERT_1992
from pathfuse.types import Index, LogProbs, Observed, Params, Weights

ScoreMap: TypeAlias = tuple[Float[np.ndarray, "outcome column"], Float[np.ndarray, "outcome one"]]
"""Matrix and constant that turn what present experts said into scores."""
CS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Candidate inverse penalties, in scikit-learn's sense: mean NLL + ||W||^2 / (2 C n)."""


class Stacking(CategoricalMethod):
    """Softmax regression on standardised, centred log-probabilities; absent experts are imputed.

        log q[n, c] = a[c] + Σ_j W[c, j] z[n, j]  -  log Z[n]
        z[n, (m, k)] = standardised  log p[n, m, k] - mean over k of log p[n, m, k]
        (a, W) = argmin of  mean nll + prior + |W|² / (2 C n)

    ``p[n, m, k]`` is expert m's probability of outcome k of sample n, (sample, expert, outcome);
    ``z``, (sample, expert x outcome), ``a``, (outcome,), ``W``, (outcome, expert x outcome).
    ``prior`` stands for two rows drawn from the mean of the experts
    (``fusion.categorical.anchor``).

    References:
        Wolpert (1992).

    Args:
        C: Inverse penalty; None: chosen by inner cross-validation from ``CS``.
        seed: Seed of the inner folds.
        n_jobs: Processes for inner cross-validation (joblib).

    Examples:
        >>> import numpy as np
        >>> import pathfuse
        >>> y = np.arange(60) % 3
        >>> logits = np.random.default_rng(0).normal(size=(60, 4, 3))  # samples, experts, classes
        >>> logits[np.arange(60), :, y] += 1.5
        >>> pathfuse.Stacking(C=0.1).fit(logits, y).predict(logits)[:3]
        array([0, 1, 2])
    """

    name = "stacking"
    summary = "ridge regression on all experts' log-probabilities"
    references = (WOLPERT_1992,)
    richness = 3
    keeps_agreement = False
    has_outcome_bias = True

    def __init__(self, C: float | None = None, seed: int = 0, n_jobs: int | None = None) -> None:
        super().__init__(seed, n_jobs)
        self.C = C

    def layouts(self, n_experts: int, n_columns: int) -> tuple[Layout, ...]:
        """See ``MethodBase``."""
        width = n_experts * self.columns_per_expert(n_columns)
        table = dict.fromkeys(("mean", "scale", "imputer_mean"), (width,))
        square, slope = {"imputer_covariance": (width, width)}, {"coefficients": (width, n_columns)}
        return ({**table, **square, **slope, "intercept": (n_columns,)},)

    def columns_per_expert(self, n_outcomes: int) -> int:
        """How many columns of an expert the regression reads."""
        return n_outcomes

    def candidates(self, n_samples: int) -> tuple[float, ...]:
        """Inverse penalties."""
        return CS if self.C is None else (self.C,)

    def fit_path(
        self, experts: Experts, observed: Observed, settings: Sequence[float]
    ) -> list[Params]:
        """See ``Method``."""
        raw = self.features(experts)
        imputer = GaussianImputer.fit(raw)
        table = imputer.fill(raw)
        mean, sd = table.mean(axis=0), table.std(axis=0)
        scale = np.where(sd > 1e-9, 1 / np.where(sd > 1e-9, sd, 1), 0.0)
        table, theta, path = (table - mean) * scale, None, []
        objective = RidgeObjective(table, observed, 0.0, anchor_of(experts))
        for inverse_penalty in settings:
            objective.penalty = 1 / (2 * inverse_penalty * len(table))
            theta = objective.minimise(theta)
            path.append(
                {
                    "coefficients": theta[:, 1:].T.copy(),
                    "intercept": theta[:, 0].copy(),
                    "mean": mean,
                    "scale": scale,
                    "imputer_mean": imputer.mean,
                    "imputer_covariance": imputer.covariance,
                }
            )
        return path

    def fit_last(self, experts: Experts, truth: Observed, path: Sequence[float]) -> Params:
        """See ``Method``; of a large table half of ``COMPACT_ROWS``, evenly spread.

        They are hundreds of rows to a coefficient, and the table of all is several times as large
        as what was given.
        """
        if experts.n_samples > COMPACT_ROWS:
            some = spread_rows(experts.n_samples, COMPACT_ROWS // 2)
            experts, truth = experts.rows(some), truth[some]
        return super().fit_last(experts, truth, path)

    def pool(self, experts: Experts, params: Params) -> LogProbs:
        """See ``Method``."""
        columns, n = self.columns(experts), experts.n_samples
        add_flops(2 * n * params["coefficients"].size)
        known = self._by_pattern(experts, params)
        order, parts = presence_parts(experts)
        scores = np.empty((experts.n_columns, n))
        table = columns.reshape(columns.shape[0] * columns.shape[1], n)
        if order is not None:
            table = np.take(table, order, axis=1)
        for present, rows in parts:
            key = present.tobytes()
            if key not in known:
                known[key] = score_map(params, np.repeat(present, columns.shape[1]))
            matrix, constant = known[key]
            scores[:, rows] = mapped(matrix, table[:, rows]) + constant
        normalise(scores)
        if order is None:
            return by_sample(scores)
        result = np.empty((n, experts.n_columns))
        result[order] = scores.T
        return result

    def _by_pattern(self, experts: Experts, params: Params) -> dict[bytes, ScoreMap]:
        """The maps of ``score_map`` by who is present; all blocks of a table share them."""
        owner, known = experts.notes.setdefault(("stacking", id(params)), (params, {}))
        return known if owner is params else {}

    def columns(self, experts: Experts) -> Float[np.ndarray, "expert column sample"]:
        """What the regression reads of each expert; finite where an expert is absent."""
        return centred(experts)

    def features(self, experts: Experts) -> Table:
        """Columns that the regression reads, grouped by expert, NaN where an expert is absent."""
        columns = np.where(experts.shown[:, None], self.columns(experts), np.nan)
        return columns.reshape(-1, experts.n_samples).T

    def share(self, experts: Experts, params: Params) -> Weights:
        """Size of each expert's coefficients, over the experts present: a summary, since stacking
        has no weights.
        """
        by_expert = params["coefficients"].reshape(experts.shape[1], -1)
        size = np.linalg.norm(by_expert, axis=1) + 1e-12
        shown = np.where(experts.present, size, 0.0)
        return np.asarray(shown / shown.sum(axis=1, keepdims=True))


def centred(experts: Experts) -> Float[np.ndarray, "expert outcome sample"]:
    """Log-probabilities minus their mean over outcomes."""
    if "centred" not in experts.own_notes:
        planes = experts.planes
        mean = added(planes.transpose(1, 0, 2)) / planes.shape[1]
        experts.own_notes["centred"] = planes - mean[:, None]
    return np.asarray(experts.own_notes["centred"])


def presence_parts(
    experts: Experts,
) -> tuple[Index | None, list[tuple[Bool[np.ndarray, " expert"], slice]]]:
    """The samples in an order in which those that lack the same experts lie together.

    Returns:
        The order, None if it is the samples' own; and who is present in which part of it.
    """
    if experts.complete:
        return None, [(np.ones(experts.shape[1], dtype=bool), slice(0, experts.n_samples))]
    if "presence_parts" not in experts.own_notes:
        absent = ~experts.present
        found = [
            (np.zeros(experts.shape[1], dtype=bool), np.flatnonzero(experts.present.all(axis=1)))
        ]
        found += patterns(absent)
        ends = np.cumsum([len(rows) for _, rows in found])
        experts.own_notes["presence_parts"] = (
            np.concatenate([rows for _, rows in found]),
            [
                (~gap, slice(int(end) - len(rows), int(end)))
                for (gap, rows), end in zip(found, ends, strict=True)
                if len(rows)
            ],
        )
    order, parts = experts.own_notes["presence_parts"]
    return order, parts


def score_map(params: Params, known: Bool[np.ndarray, " column"]) -> ScoreMap:
    """The regression on the columns that are known, with stand-ins for the others worked in.

    Standardising and imputing are linear, so that the scores of a sample are one matrix, that of
    its set of present experts, times what these said.

    Returns:
        Matrix, (outcome, column), with 0 in the columns of absent experts, and constant,
        (outcome, 1).
    """
    matrix = (params["coefficients"] * params["scale"][:, None]).T
    constant = params["intercept"] - matrix @ params["mean"]
    if not known.all():
        imputer = GaussianImputer(params["imputer_mean"], params["imputer_covariance"])
        slope, intercept = imputer.regression(~known)
        constant = constant + matrix[:, ~known] @ intercept
        matrix[:, known] += matrix[:, ~known] @ slope
        matrix[:, ~known] = 0.0
    return np.ascontiguousarray(matrix), constant[:, None]


class RidgeObjective:
    """Mean NLL of a softmax regression over observed sets, with a ridge on all but the intercept.

    Args:
        table: Standardised features.
        observed: Observed sets.
        penalty: Ridge.
        anchor: What pseudo-observations are drawn from (``fusion.categorical.anchor``).
    """

    def __init__(
        self, table: Table, observed: Observed, penalty: float, anchor: ByOutcome | None = None
    ) -> None:
        self.table, self.penalty, self.n_outcomes = (
            np.ascontiguousarray(table.T),
            penalty,
            observed.shape[1],
        )
        self.likelihood = SetLikelihood.of(observed, anchor, PRIOR_ROWS / len(table))

    @property
    def flops(self) -> int:
        """Operations of one value with its gradient, as ``pathfuse.costs`` counts them."""
        return 4 * self.table.size * self.n_outcomes

    def __call__(
        self, theta: Float[np.ndarray, " parameter"]
    ) -> tuple[float, Float[np.ndarray, " parameter"]]:
        """Value and gradient."""
        matrix = theta.reshape(self.n_outcomes, -1)
        value, slope = self.likelihood(matrix[:, 1:] @ self.table + matrix[:, :1])
        slope /= slope.shape[1]
        gradient = np.concatenate([slope.sum(axis=1)[:, None], slope @ self.table.T], axis=1)
        gradient[:, 1:] += 2 * self.penalty * matrix[:, 1:]
        return value + self.penalty * float((matrix[:, 1:] ** 2).sum()), gradient.ravel()

    def minimise(
        self, start: Float[np.ndarray, "outcome parameter"] | None
    ) -> Float[np.ndarray, "outcome parameter"]:
        """L-BFGS. Each row of the result is an outcome's intercept and its coefficients."""
        from scipy.optimize import minimize  # not at the top: predict does without

        first = np.zeros((self.n_outcomes, len(self.table) + 1)) if start is None else start
        found = minimize(
            self,
            first.ravel(),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 500, "ftol": 1e-7, "gtol": 1e-4},
        )
        add_flops(found.nfev * self.flops)
        return found.x.reshape(first.shape)
