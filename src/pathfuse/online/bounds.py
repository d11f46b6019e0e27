"""What the methods promise, as functions: how much more than a rival they may lose, in nats over all
labels.

The bounds hold for any sequence, without delay. With labels D samples late they would hold for D + 1
copies that take turns (Weinberger & Ordentlich, On delayed prediction of individual sequences, IEEE
Transactions on Information Theory 48, 2002), each of which learns D + 1 times more slowly; one copy,
which is what ``adapt`` uses, can be led astray by a sequence that turns every D samples, and what
delay costs is measured instead (``python -m benchmarks online``).

A candidate that slept is compared on the samples where it was awake.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from pathfuse.online.base import CandidateWeights
from pathfuse.online.boa import LARGEST_LOSS, LEARNING_RATES


def bayes_bound(prior: CandidateWeights, candidate: int) -> float:
    """Of the Bayes mixture against one candidate: ln(1 / prior), Vovk (1998).

    Examples:
        >>> round(bayes_bound(np.array([0.5, 0.25, 0.25]), 0), 3)
        0.693
    """
    return float(-np.log(prior[candidate]))


def fixed_share_bound(
    prior: CandidateWeights, rates: Sequence[float], path: Sequence[int]
) -> float:
    """Of fixed share against a sequence of candidates.

        ln R + ln(1 / prior[k_1]) + min over the R rates a of
            sum over switches of ln(1 / (a prior[k])) + (labels - 1 - switches) ln(1 / (1 - a))

    the negative log-probability of the sequence (Herbster & Warmuth 1998, theorem 3, with the draw
    from the prior).

    Args:
        prior: Of the candidates.
        rates: That are mixed.
        path: The candidate at each label.

    Examples:
        >>> round(fixed_share_bound(np.array([0.5, 0.5]), (0.1,), [0, 0, 1]), 3)
        3.794
    """
    steps = np.array(path)
    switched = steps[1:] != steps[:-1]
    n_switches, n_kept = int(switched.sum()), int((~switched).sum())
    drawn = -np.log(prior[steps[1:][switched]]).sum()
    with np.errstate(divide="ignore"):
        costs = [
            (n_switches * -np.log(rate) if n_switches else 0.0) - n_kept * np.log1p(-rate)
            for rate in np.array(rates, dtype=np.float64)
        ]
    return float(np.log(len(costs)) - np.log(prior[steps[0]]) + drawn + min(costs))


def boa_bound(
    prior: CandidateWeights, candidate: int, regrets: Float[np.ndarray, " label"]
) -> float:
    """Of BOA's weighted mean loss (and so, by Jensen's inequality, of the mixture's) against one
    candidate.

        min over learning rates e of (ln(1 / prior) + ln(number of rates)) / e + e sum l^2

    Since exp(-x - x^2) <= 1 - x for |x| <= 1/2, the sum of exp(state) never grows (Wintenberger
    2017, theorem 3.1).

    Args:
        prior: Of the candidates.
        candidate: Which.
        regrets: Its ``BOA.regret`` at each label.
    """
    rates, squares = np.array(LEARNING_RATES), float((regrets**2).sum())
    price = np.log(len(rates)) - np.log(prior[candidate])
    return float((price / rates + rates * squares).min())


def boa_worst_case(prior: CandidateWeights, candidate: int, n_labels: int) -> float:
    """``boa_bound`` with the largest regrets that there can be: grows with the square root of the
    labels, as far as the grid of learning rates reaches.
    """
    return boa_bound(prior, candidate, np.full(n_labels, LARGEST_LOSS))
