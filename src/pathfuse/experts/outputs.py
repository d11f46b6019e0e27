"""A head's raw outputs against the endpoint: how many there are, what the truth is, which columns
they become.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from jaxtyping import Bool, Float
from scipy.special import expit

from pathfuse.distributions.discrete_time import event_distribution, hazards
from pathfuse.distributions.likelihood import log_softmax
from pathfuse.endpoints.base import Endpoint, Truth
from pathfuse.types import Index

Raw = Float[np.ndarray, "sample output"]
"""Outputs of one model: class logits, log-odds per label, hazard logits per bin, or targets in
their own unit."""
TINY = 1e-7
"""Probabilities are kept this far from 0 and 1 when models are averaged (the contract floors at
e^-16)."""


@dataclass(frozen=True)
class Targets:
    """The truth of every sample in the form that a loss wants."""

    kind: str
    """Of the endpoint."""
    names: tuple[str, ...]
    """Of the outputs: classes, labels, bins or targets."""
    values: Float[np.ndarray, "sample column"]
    """Multiclass and survival: the set of outcomes that the truth allows; multilabel: 0 or 1;
    regression: numbers."""
    known: Bool[np.ndarray, "sample column"]
    """False where the truth is blank; one column where all outcomes are known together."""

    @property
    def n_outputs(self) -> int:
        """Length of a head's output."""
        return len(self.names)

    @property
    def usable(self) -> Bool[np.ndarray, " sample"]:
        """Samples that something is known of."""
        return np.asarray(self.known.any(axis=1))

    def strata(self, rows: Index) -> np.ndarray:
        """A small number of groups that folds should hold in equal shares.

        Nothing but the truth of these rows is looked at: quartiles over other rows would let
        held-out targets decide which rows a model is fitted on.

        Args:
            rows: The samples that are divided, each with some truth.

        Returns:
            Int, (row,): the group of each.
        """
        values, known = self.values[rows], self.known[rows]
        if self.kind == "survival":
            return np.asarray(
                (values.sum(axis=1) == 1).astype(np.int64)
            )  # observed, or followed to the end
        if self.kind == "multiclass":
            return np.asarray(values.argmax(axis=1))
        if self.kind == "multilabel":
            return np.asarray((values * known).any(axis=1).astype(np.int64))
        mean = _standard_mean(values, known)
        return np.asarray(np.searchsorted(np.quantile(mean, [0.25, 0.5, 0.75]), mean))


def _standard_mean(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Mean of a row's known targets, each in its standard deviations over these rows.

    0 where none is known.
    """
    count = np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, values - (values * known).sum(axis=0) / count, 0.0)
    sd = np.sqrt((centred**2).sum(axis=0) / count)
    scaled = centred / np.where(sd > 0, sd, 1.0)
    return np.asarray(scaled.sum(axis=1) / np.maximum(known.sum(axis=1), 1))


def targets_of(endpoint: Endpoint, truth: dict[str, Truth]) -> Targets:
    """The truth of a samples table."""
    if endpoint.of_labels:
        values = np.stack([truth[label].observed[:, 1] for label in endpoint.tasks], axis=1).astype(
            np.float64
        )
        known = np.stack([truth[label].known for label in endpoint.tasks], axis=1)
        return Targets(endpoint.trained_as, endpoint.tasks, values, known)
    one = truth["all"]
    values = one.observed.astype(np.float64)
    if endpoint.of_numbers:
        return Targets(
            endpoint.trained_as, endpoint.outcomes, np.nan_to_num(values), ~np.isnan(values)
        )
    names = (
        tuple(str(k + 1) for k in range(values.shape[1] - 1))
        if endpoint.in_time
        else endpoint.outcomes
    )
    return Targets(endpoint.trained_as, names, values, one.known[:, None])


def columns(
    kind: str, names: Sequence[str], raw: Raw, sd: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """The contract's prediction columns (docs/reference/tables.md)."""
    if kind == "regression":
        parts = {f"mean_{name}": raw[:, k] for k, name in enumerate(names)}
        if sd is None:
            return parts
        return parts | {f"sd_{name}": sd[:, k] for k, name in enumerate(names)}
    prefix = "hazard_logit_" if kind == "survival" else "logit_"
    return {f"{prefix}{name}": raw[:, k] for k, name in enumerate(names)}


def average(kind: str, raws: Sequence[Raw]) -> Raw:
    """The outputs of the mean of several models' distributions.

    Of regression the mean of their means.
    """
    if kind == "regression" or len(raws) == 1:
        return np.mean(raws, axis=0)
    if kind == "multiclass":
        return np.log(np.maximum(np.mean([np.exp(log_softmax(raw)) for raw in raws], axis=0), TINY))
    if kind == "multilabel":
        return _log_odds(np.mean([expit(raw) for raw in raws], axis=0))
    mean = np.mean([np.exp(event_distribution(raw)) for raw in raws], axis=0)
    return _log_odds(hazards(np.log(np.maximum(mean, TINY))))


def _log_odds(prob: np.ndarray) -> np.ndarray:
    kept = np.clip(prob, TINY, 1 - TINY)
    return np.asarray(np.log(kept) - np.log1p(-kept))


def frame(
    kind: str, names: Sequence[str], ids: Sequence[str], raw: Raw, sd: np.ndarray | None = None
) -> pl.DataFrame:
    """One expert's prediction table, sorted by ``sample_id``."""
    table = pl.DataFrame({"sample_id": list(ids), **columns(kind, names, raw, sd)})
    return table.sort("sample_id")
