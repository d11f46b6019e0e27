"""Absent experts: what is left must be as sharp as what is left deserves.

A product of five experts that agree sharpens all five; when a sample has one of them, the same sharpness makes that one
over-confident. So each method learns, for every set of present experts S, how far to trust itself and how far the equal
product u_S of those that are present:

    log q = a_S * log q_S + b_S * log u_S - log Z,     a_S, b_S >= 0

on held-out rows of the fit set from which the other experts are hidden. (a, b) = (1, 0) is the method as it is, (0, 1)
the equal product: neither can be much better on new rows than what is chosen. With more than ``MAX_EXPERTS`` experts
there are too many sets, and their number of experts stands for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int
from scipy.optimize import minimize

from pathfuse.costs import add_flops
from pathfuse.endpoints.likelihood import floor_log_prob, log_softmax
from pathfuse.fusion.categorical.anchor import equal_weights
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.logpool import SetLikelihood, Vector, weighted_product
from pathfuse.types import LogProbs, Observed, Params, Present, Weights

MAX_EXPERTS = 7
"""Up to 126 sets of present experts have numbers of their own."""
MAX_ROWS = 500
"""Two numbers are fitted per set: so many rows are enough."""
MIN_ROWS = 10
"""A set that fewer fit rows could show is left to the equal product."""
PRIOR_ROWS = 20.0
"""Pseudo-observations drawn from the equal product (as in ``fusion.categorical.anchor``): chosen among 2, 20,
40 and 80 on five development studies, where it costs the least while no set is much worse than the equal product."""


def group_of(present: Present) -> Int[np.ndarray, " sample"]:
    """The set of present experts as a number: a bit mask, or with many experts how many there are."""
    n_experts = present.shape[1]
    if n_experts <= MAX_EXPERTS:
        return np.asarray(present @ (1 << np.arange(n_experts)))
    return np.asarray(present.sum(axis=1))


def complete_group(n_experts: int) -> int:
    """The group of samples that every expert scored."""
    return (1 << n_experts) - 1 if n_experts <= MAX_EXPERTS else n_experts


@dataclass(frozen=True)
class View:
    """Some rows of the fit set, with all experts hidden but those of one group."""

    group: int
    rows: Int[np.ndarray, " row"]
    experts: Experts


@dataclass(frozen=True)
class Hidden:
    """Some rows of the fit set, and who is shown of them."""

    group: int
    rows: Int[np.ndarray, " row"]
    shown: Bool[np.ndarray, "row expert"]


def hide_all_but(present: Present, seed: int) -> list[Hidden]:
    """Rows for every group but the complete one.

    Args:
        present: Who scored the rows.
        seed: Of the rows that are taken where there are many, and of who is hidden where sets are counted.
    """
    known = known_experts(present)
    n, n_experts = len(present), len(known)
    rng = np.random.default_rng(seed)
    place = rng.permuted(np.tile(np.arange(n_experts), (n, 1)), axis=1)
    result = []
    for group in range(1, complete_group(n_experts)):
        if n_experts <= MAX_EXPERTS:
            kept = np.broadcast_to((group >> np.arange(n_experts)) & 1 == 1, (n, n_experts))
        else:
            kept = place < group
        rows = np.flatnonzero((present[:, known] | ~kept).all(axis=1))
        if len(rows) > MAX_ROWS:
            rows = np.sort(rng.choice(rows, MAX_ROWS, replace=False))
        shown = np.zeros((len(rows), present.shape[1]), dtype=bool)
        shown[:, known] = kept[rows]
        result.append(Hidden(group, rows, shown))
    return result


def known_experts(present: Present) -> Int[np.ndarray, " expert"]:
    """The experts that scored any of the rows; one that scored none is as if it were not there."""
    return np.flatnonzero(present.any(axis=0))


def views(experts: Experts, seed: int) -> list[View]:
    """The rows of every group but the complete one, with the others hidden; see ``hide_all_but``."""
    if experts.context is not None:  # features read around the samples know all experts
        return []
    result = []
    for hidden in hide_all_but(experts.present, seed):
        log_prob = np.where(hidden.shown[:, :, None], experts.log_prob[hidden.rows], 0.0)
        result.append(View(hidden.group, hidden.rows, Experts(log_prob, hidden.shown)))
    return result


def fit_presence(seen: Sequence[View], predictions: Sequence[LogProbs], observed: Observed, present: Present) -> Params:
    """The two numbers of every group.

    Args:
        seen: The views.
        predictions: What the method predicts of each, held out.
        observed: Observed sets of the rows that the views count in.
        present: Who scored those rows.

    Returns:
        ``group``, Int; ``own`` (a) and ``equal`` (b), Float, each (group,); ``known``, Int: the experts that count.
    """
    numbers = [
        _fit_pair(view.experts, predicted, observed[view.rows])
        for view, predicted in zip(seen, predictions, strict=True)
    ]
    own, equal = np.array(numbers).reshape(-1, 2).T
    groups = np.array([view.group for view in seen], dtype=np.int64)
    return {"group": groups, "own": own, "equal": equal, "known": known_experts(present)}


def _fit_pair(experts: Experts, predicted: LogProbs, observed: Observed) -> tuple[float, float]:
    if len(predicted) < MIN_ROWS:
        return 0.0, 1.0
    even = weighted_product(experts, equal_weights(experts.present))
    parts = np.stack([floor_log_prob(predicted).T, even.T])
    likelihood = SetLikelihood.of(observed, np.exp(even).T, PRIOR_ROWS / len(predicted))

    def value(theta: Vector) -> tuple[float, Vector]:
        loss, slope = likelihood(np.einsum("p,pkn->kn", theta, parts))
        return loss, np.einsum("kn,pkn->p", slope, parts) / len(predicted)

    found = minimize(value, np.array([0.5, 0.5]), jac=True, method="L-BFGS-B", bounds=[(0, None), (0, None)])
    add_flops(4 * parts.size * found.nfev)
    return float(found.x[0]), float(found.x[1])


def numbers_of(params: Params, present: Present) -> tuple[np.ndarray, np.ndarray]:
    """(a, b) of every sample; (1, 0) where all experts are present."""
    group = group_of(present[:, params["known"]])
    where = np.minimum(np.searchsorted(params["group"], group), len(params["group"]) - 1)
    known = params["group"][where] == group
    return np.where(known, params["own"][where], 1.0), np.where(known, params["equal"][where], 0.0)


def lacks_one(present: Present, params: Params) -> Bool[np.ndarray, " sample"]:
    """The samples that the correction is for; none if nothing was learned."""
    if not len(params.get("group", ())):
        return np.zeros(len(present), dtype=bool)
    return np.asarray(~present[:, params["known"]].all(axis=1))


def corrected(log_prob: LogProbs, experts: Experts, params: Params) -> LogProbs:
    """The predictions of samples that lack an expert, made as sharp as the others deserve; the rest as they are."""
    lacking = lacks_one(experts.present, params)
    if not lacking.any():
        return log_prob
    own, equal = numbers_of(params, experts.present[lacking])
    few = experts.rows(np.flatnonzero(lacking))
    even = weighted_product(few, equal_weights(few.present))
    result = log_prob.copy()
    result[lacking] = log_softmax(own[:, None] * floor_log_prob(log_prob[lacking]) + equal[:, None] * even)
    return result


def corrected_exponents(exponents: Weights, experts: Experts, params: Params) -> Weights:
    """The powers to which experts are raised, of a method whose own powers are ``exponents``."""
    if not lacks_one(experts.present, params).any():
        return exponents
    own, equal = numbers_of(params, experts.present)
    return own[:, None] * exponents + equal[:, None] * equal_weights(experts.present)
