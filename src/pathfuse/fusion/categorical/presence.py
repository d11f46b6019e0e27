"""Absent experts of classes: ``fusion.presence`` for distributions over outcomes."""

import numpy as np

from pathfuse.costs import add_flops
from pathfuse.distributions.lanes import normalise
from pathfuse.distributions.likelihood import floor_log_prob, floor_normalised
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.logpool import Vector, weighted_product
from pathfuse.fusion.categorical.set_likelihood import SetLikelihood
from pathfuse.fusion.presence import MIN_ROWS, PRIOR_ROWS, equal_weights, lacks_one, numbers_of
from pathfuse.types import LogProbs, Observed, Params


def fit_pair(experts: Experts, predicted: LogProbs, observed: Observed) -> tuple[float, float]:
    """The two numbers of one view: a, of what was predicted, and b, of the equal product."""
    from scipy.optimize import minimize  # not at the top: predict does without

    if len(predicted) < MIN_ROWS:
        return 0.0, 1.0
    even = weighted_product(experts, equal_weights(experts.present))
    parts = np.stack([floor_log_prob(predicted).T, even.T])
    likelihood = SetLikelihood.of(observed, np.exp(even).T, PRIOR_ROWS / len(predicted))

    def value(theta: Vector) -> tuple[float, Vector]:
        loss, slope = likelihood(np.einsum("p,pkn->kn", theta, parts))
        return loss, np.einsum("kn,pkn->p", slope, parts) / len(predicted)

    found = minimize(
        value, np.array([0.5, 0.5]), jac=True, method="L-BFGS-B", bounds=[(0, None), (0, None)]
    )
    add_flops(4 * parts.size * found.nfev)
    return float(found.x[0]), float(found.x[1])


def corrected_log_prob(log_prob: LogProbs, experts: Experts, params: Params) -> LogProbs:
    """The predictions of samples that lack an expert, made as sharp as the others deserve.

    The rest as they are.
    """
    lacking = lacks_one(experts.present, params)
    if not lacking.any():
        return log_prob
    own, equal = numbers_of(params, experts.present[lacking])
    few = experts.rows(np.flatnonzero(lacking))
    predicted = np.array(log_prob[lacking].T, order="C")
    floor_normalised(predicted)
    predicted *= own
    predicted += equal * few.even
    normalise(predicted)
    result = log_prob.copy()
    result[lacking] = predicted.T
    return result
