"""Experts one by one: their likelihood on the fit rows, and who stands in for whom."""

import numpy as np
from jaxtyping import Float, Int

from pathfuse.distributions.likelihood import set_nll
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.types import LogProbs, Observed


def expert_nll(experts: Experts, observed: Observed) -> Float[np.ndarray, " expert"]:
    """Mean NLL of each expert on the rows that it scored; inf for one that scored none."""
    return np.array(
        [
            loss[shown].mean() if shown.any() else np.inf
            for loss, shown in zip(_losses(experts, observed), experts.shown, strict=True)
        ]
    )


def _losses(experts: Experts, observed: Observed) -> Float[np.ndarray, "expert sample"]:
    """NLL of each expert in each row, means nothing where it is absent."""
    kept, losses = experts.own_notes.get("losses", (None, None))
    if kept is not observed:  # asked for by the certificate of every method
        losses = np.empty(experts.shown.shape)
        for rows, block in experts.blocks():
            for m, planes in enumerate(block.planes):
                losses[m, rows] = set_nll(planes.T, observed[rows])
        experts.own_notes["losses"] = observed, losses
    return np.asarray(losses)


def first_present(
    experts: Experts, order: Int[np.ndarray, " expert"]
) -> Int[np.ndarray, " sample"]:
    """For each sample the first expert of ``order`` that scored it."""
    choice = np.empty(experts.n_samples, dtype=order.dtype)
    for expert in order[::-1]:
        choice[experts.shown[expert]] = expert
    return choice


def leading(order: Int[np.ndarray, " expert"], expert: int) -> Int[np.ndarray, " expert"]:
    """``order`` with one expert moved to the front."""
    return np.concatenate([[expert], order[order != expert]])


def take_expert(experts: Experts, choice: Int[np.ndarray, " sample"]) -> LogProbs:
    """The log-probabilities of one chosen expert per sample."""
    taken = np.empty((experts.n_samples, experts.n_columns))
    for expert, planes in enumerate(experts.planes):
        rows = choice == expert
        taken[rows] = planes.T if rows.all() else planes.T[rows]
    return taken


def preference(experts: Experts, observed: Observed) -> Int[np.ndarray, " expert"]:
    """The order in which ``best_expert`` trusts the experts: the one with the lowest NLL over all
    fit rows first.
    """
    order = np.argsort(expert_nll(experts, observed), kind="stable")
    return leading(order, int(np.argmin(chain_nll(experts, observed))))


def chain_nll(experts: Experts, observed: Observed) -> Float[np.ndarray, " expert"]:
    """Mean NLL over all rows of each expert with a stand-in where it is absent: comparable between
    experts.
    """
    order = np.argsort(expert_nll(experts, observed), kind="stable")
    losses = _losses(experts, observed)
    if experts.complete:
        return losses.mean(axis=1)
    stand_in = np.take_along_axis(losses, first_present(experts, order)[None], axis=0)[0]
    return np.where(experts.shown, losses, stand_in).mean(axis=1)
