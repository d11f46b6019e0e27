"""Absent experts: what is left must be as sharp as what is left deserves.

A product of five experts that agree sharpens all five; when a sample has one of them, the same
sharpness makes that one over-confident. So each method learns, for every set of present experts S,
how far to trust itself and how far the equal product u_S of those that are present:

    log q = a_S * log q_S + b_S * log u_S - log Z,     a_S, b_S >= 0              (categorical)
    precision = a_S / v_S + b_S / u_S, and the mean weighed by the two terms      (Gaussian)

on held-out rows of the fit set from which the other experts are hidden. (a, b) = (1, 0) is the
method as it is, (0, 1)
the equal product: neither can be much better on new rows than what is chosen. With more than
``MAX_EXPERTS`` experts there are too many sets, and their number of experts stands for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from pathfuse.distributions.lanes import added
from pathfuse.fusion.expert_table import E, Prediction, Truth, View
from pathfuse.fusion.family import AnyFamily
from pathfuse.fusion.layout import check_integers, check_numbers
from pathfuse.types import Params, Present, Weights

MAX_EXPERTS = 7
"""Up to 126 sets of present experts have numbers of their own."""
MAX_ROWS = 500
"""Two numbers are fitted per set: so many rows are enough."""
MIN_ROWS = 10
"""A set that fewer fit rows could show is left to the equal product."""
PRIOR_ROWS = 20.0
"""Pseudo-observations drawn from the equal product (as in ``fusion.categorical.anchor``): chosen
among 2, 20, 40 and 80 on five development studies, where it costs the least while no set is much
worse than the equal product."""


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
class Hidden:
    """Some rows of the fit set, and who is shown of them."""

    group: int
    rows: Int[np.ndarray, " row"]
    shown: Bool[np.ndarray, "row expert"]


def hide_all_but(present: Present, seed: int) -> list[Hidden]:
    """Rows for every group but the complete one.

    Args:
        present: Who scored the rows.
        seed: Of the rows that are taken where there are many, and of who is hidden where sets are
            counted.
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


def views(experts: E, seed: int) -> list[View[E]]:
    """The rows of every group but the complete one, with the others hidden; see ``hide_all_but``."""
    if not experts.can_hide:
        return []
    return [
        View(hidden.group, hidden.rows, experts.only(hidden.rows, hidden.shown))
        for hidden in hide_all_but(experts.scored, seed)
    ]


def fit_presence(
    family: AnyFamily,
    seen: Sequence[View[E]],
    predictions: Sequence[Prediction],
    experts: E,
    truth: Truth,
) -> Params:
    """The two numbers of every group.

    Args:
        family: Of the predictions.
        seen: The views.
        predictions: What the method predicts of each, held out.
        experts: Of the rows that the views count in.
        truth: Of the same rows.

    Returns:
        ``group``, Int; ``own`` (a) and ``equal`` (b), Float, each (group,); ``known``, Int: the
        experts that count.
    """
    own, equal = np.array(family.fit_pairs(seen, predictions, experts, truth)).reshape(-1, 2).T
    groups = np.array([view.group for view in seen], dtype=np.int64)
    return {"group": groups, "own": own, "equal": equal, "known": known_experts(experts.scored)}


def check_presence(name: str, params: Params, n_experts: int, family: AnyFamily) -> None:
    """Refuses what ``fit_presence`` can not have made.

    Args:
        name: Whose numbers they are.
        params: As they were read; empty: nothing was learned.
        n_experts: How many there are.
        family: Of the predictions.

    Raises:
        ValueError: They do not fit one another, or the experts.
    """
    if not params:
        return
    what, missing = f"{name}, absent experts", {"group", "own", "equal", "known"} - set(params)
    if missing:
        raise ValueError(f"{what}: '{min(missing)}' is missing")
    check_integers(f"{what}: 'known'", params["known"], 0, n_experts - 1)
    groups = params["group"]
    check_integers(f"{what}: 'group'", groups, 1, complete_group(len(params["known"])) - 1)
    if (np.diff(groups) <= 0).any() or (np.diff(params["known"]) <= 0).any():
        raise ValueError(f"{what}: the numbers do not increase")
    powers = {key: array for key, array in params.items() if key not in ("group", "known")}
    check_numbers(what, powers, ({"own": groups.shape, "equal": groups.shape},))
    flat = (sum(powers.values()) == 0) & (not family.may_be_flat)
    if any((array < 0).any() for array in powers.values()) or np.any(flat):
        raise ValueError(f"{what}: a power is below 0, or both are 0")


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


def equal_weights(present: Present) -> Weights:
    """1 / (number of experts present), 0 for absent ones."""
    return present / present.sum(axis=1, keepdims=True)


def corrected_exponents(exponents: Weights, present: Present, params: Params) -> Weights:
    """The powers to which experts are raised, of a method whose own powers are ``exponents``."""
    if not lacks_one(present, params).any():
        return exponents
    own, equal = numbers_of(params, present)
    return own[:, None] * exponents + equal[:, None] * equal_weights(present)


def normalised(powers: Float[np.ndarray, "sample expert"]) -> Weights:
    """Powers as weights that sum to 1."""
    return np.ascontiguousarray(powers / np.maximum(added(powers.T), 1e-300)[:, None])
