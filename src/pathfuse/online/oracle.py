"""What could have been reached, had the labels been known: the figures that adapting is held
against.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from pathfuse.online.base import CandidateWeights

Table = Float[np.ndarray, "label candidate"]
"""Log-probability of each label under each candidate; NaN: asleep."""
MOST_STEPS = 2_000
CLOSE = 1e-6
"""Nats per label: the best fixed mixture is known this well."""


@dataclass(frozen=True)
class Oracle:
    """One rival that knew the labels."""

    what: str
    """In words."""
    nll: float
    """Mean over the labels."""


def awake_everywhere(table: Table) -> Int[np.ndarray, " candidate"]:
    """The candidates that predicted every label."""
    return np.flatnonzero(~np.isnan(table).any(axis=0))


def best_fixed_mixture(table: Table) -> tuple[CandidateWeights, float]:
    """The weights of the best mixture that never changes, and its mean loss.

    By EM: each step multiplies a weight by the mean of p_k / p; the mean loss is at most
    ``log(max_k mean(p_k / p))`` above the best there is (Cover, An algorithm for maximizing expected
    log investment return, IEEE Transactions on Information Theory 30, 1984), which ends it.

    Args:
        table: Without NaN.

    Examples:
        >>> weights, loss = best_fixed_mixture(np.log([[0.9, 0.1], [0.1, 0.9]]))
        >>> weights.round(3).tolist(), round(loss, 3)
        ([0.5, 0.5], 0.693)
    """
    top = table.max(axis=1, keepdims=True)
    prob = np.exp(table - top)
    weights = np.full(table.shape[1], 1 / table.shape[1])
    for _ in range(MOST_STEPS):
        mixed = prob @ weights
        gain = (prob / mixed[:, None]).mean(axis=0)
        if np.log(gain.max()) <= CLOSE:
            break
        weights = weights * gain
    return weights, float(-(np.log(prob @ weights) + top[:, 0]).mean())


def best_sequence(table: Table, n_switches: int) -> tuple[Int[np.ndarray, " label"], float]:
    """The best sequence of candidates that changes at most so often, and its mean loss.

    By dynamic programming over labels, in time labels x candidates x switches.

    Args:
        table: Without NaN.
        n_switches: How often it may change.

    Examples:
        >>> path, loss = best_sequence(np.log([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9]]), 1)
        >>> path.tolist(), round(loss, 3)
        ([0, 0, 1], 0.105)
    """
    n, k = table.shape
    score = np.full((n_switches + 1, k), -np.inf)
    score[0] = table[0]
    came_from = np.zeros((n, n_switches + 1, k), dtype=np.int32)
    for t in range(1, n):
        best = score.argmax(axis=1)
        came_from[t] = np.arange(k)
        for s in range(n_switches, 0, -1):
            switched = score[s - 1, best[s - 1]]
            better = switched > score[s]
            came_from[t, s, better] = -1 - best[s - 1]  # negative: from one switch less
            score[s] = np.maximum(score[s], switched)
        score = score + table[t]
    s, c = divmod(int(score.argmax()), k)
    path, loss = np.zeros(n, dtype=np.int64), float(-score[s, c] / n)
    for t in range(n - 1, -1, -1):
        path[t] = c
        before = int(came_from[t, s, c])
        if t and before < 0:
            s, c = s - 1, -1 - before
    return path, loss


def oracle_table(
    table: Table, names: tuple[str, ...], switches: tuple[int, ...] = (1, 3)
) -> list[Oracle]:
    """The best candidate, the best fixed mixture and the best sequences, of candidates that were
    awake throughout.

    Args:
        table: At least one row.
        names: Of the candidates.
        switches: How often the sequences may change.
    """
    there = awake_everywhere(table)
    if not len(there):
        return []
    known, losses = table[:, there], -table[:, there].mean(axis=0)
    best = int(losses.argmin())
    found = [
        Oracle(f"best candidate: {names[there[best]]}", float(losses[best])),
        Oracle("best fixed mixture", best_fixed_mixture(known)[1]),
    ]
    for n in switches:
        path, loss = best_sequence(known, n)
        turns = [0, *(np.flatnonzero(np.diff(path)) + 1).tolist()]
        said = ", then ".join(
            names[there[path[t]]] + (f" from label {t + 1}" if t else "") for t in turns
        )
        changes = f"{n} change{'' if n == 1 else 's'}"
        found.append(Oracle(f"best sequence with at most {changes}: {said}", loss))
    return found
