"""Experts of a regression one by one: their likelihood on the fit rows, and who stands in for whom."""

import numpy as np

from pathfuse.fusion.gaussian.experts import Gaussian, GaussianExperts, Moments, Targets, nll


def expert_nll(experts: GaussianExperts, y: Targets) -> np.ndarray:
    """Mean NLL of each expert over the cells that it predicts."""
    return np.array(
        [
            np.nanmean(cells) if not np.isnan(cells := nll(alone(experts, m), y)).all() else np.inf
            for m in range(experts.mean.shape[1])
        ]
    )


def chain_nll(experts: GaussianExperts, y: Targets) -> np.ndarray:
    """Mean NLL over all cells of each expert, with the next best standing in where it is absent."""
    alone_nll = expert_nll(experts, y)
    if experts.present.all():
        return alone_nll
    order = np.argsort(alone_nll, kind="stable")
    chains = (np.concatenate([[m], order[order != m]]) for m in range(len(order)))
    return np.array([np.nanmean(nll(take_first(experts, chain), y)) for chain in chains])


def alone(experts: GaussianExperts, m: int) -> Gaussian:
    """One expert's predictions."""
    return Gaussian(experts.mean[:, m], experts.variance[:, m])


def one_hot(experts: GaussianExperts, order: np.ndarray) -> Moments:
    """Weight 1 on the first expert of an order that is present."""
    ranked = experts.present[:, order]
    first = ranked.argmax(axis=1)
    hot = (np.arange(len(order))[None, :, None] == first[:, None]) & ranked
    result = np.zeros(experts.mean.shape)
    result[:, order] = hot
    return result


def take_first(experts: GaussianExperts, order: np.ndarray) -> Gaussian:
    """The first expert of an order that is present, cell by cell; NaN where none is."""
    hot = one_hot(experts, order).astype(bool)
    predicted = hot.any(axis=1)
    mean = np.where(hot, experts.mean, 0.0).sum(axis=1)
    variance = np.where(hot, experts.variance, 0.0).sum(axis=1)
    return Gaussian(np.where(predicted, mean, np.nan), np.where(predicted, variance, np.nan))


def best_first(experts: GaussianExperts, y: Targets) -> np.ndarray:
    """The order in which the experts are trusted: the one with the lowest NLL over all cells first."""
    order = np.argsort(expert_nll(experts, y), kind="stable")
    first = int(np.argmin(chain_nll(experts, y)))
    return np.concatenate([[first], order[order != first]])
