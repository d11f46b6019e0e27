"""Sums over experts and outcomes for many samples at once, and always in the same order.

Here samples lie along the last axis, one beside the other in memory: with a handful of outcomes
every operation then runs along memory, and adding up outcomes is a few long additions in place of
many short ones (several times faster).

A sample's sum must not depend, down to the last bit, on how many samples are beside it. numpy
chooses the order of a sum by the shape of the array; these functions do not let it choose.
"""

from typing import TypeAlias

import numpy as np
from jaxtyping import Float

FEW = 64
"""Sums of fewer samples than this cost the calls, not the additions."""
Lanes: TypeAlias = Float[np.ndarray, "term ..."]


def added(terms: Lanes) -> Float[np.ndarray, "..."]:
    """The sum over the first axis, first term first."""
    if terms[0].size < FEW and terms.dtype.kind == "f":
        return np.add.accumulate(terms, axis=0)[-1]  # the same order, in one call
    total = np.array(terms[0])
    for term in terms[1:]:
        total += term
    return total


def weighted(
    weights: Float[np.ndarray, "expert sample"], lanes: Float[np.ndarray, "expert outcome sample"]
) -> Float[np.ndarray, "outcome sample"]:
    """The sum over experts, each outcome times the expert's weight in the sample."""
    if lanes.shape[2] == 1:
        return weighted(_twice(weights), _twice(lanes))[:, :1]
    return np.einsum("mn,mkn->kn", weights, lanes)


def mapped(
    matrix: Float[np.ndarray, "row column"], lanes: Float[np.ndarray, "column sample"]
) -> Float[np.ndarray, "row sample"]:
    """A matrix times every sample.

    Not by BLAS, whose order of summation depends on the number of samples; with two samples or
    more, ``einsum`` runs along them and adds up column by column.
    """
    if lanes.shape[1] == 1:
        return mapped(matrix, _twice(lanes))[:, :1]
    return np.einsum("rc,cn->rn", np.ascontiguousarray(matrix), lanes)


def normalise(scores: Lanes) -> None:
    """Turns scores into log-probabilities over the first axis, in place."""
    with np.errstate(over="ignore"):  # scores near the largest float: a difference of -inf is right
        scores -= scores.max(axis=0)
    scores -= np.log(added(np.exp(scores)))


def by_sample(lanes: Float[np.ndarray, "column sample"]) -> Float[np.ndarray, "sample column"]:
    """The same numbers with samples along the first axis, row by row in memory."""
    return np.ascontiguousarray(lanes.T)


def _twice(lanes: np.ndarray) -> np.ndarray:
    """A sample alone, and the same again: one sample is an axis that numpy would leave out."""
    return np.repeat(lanes, 2, axis=-1)
