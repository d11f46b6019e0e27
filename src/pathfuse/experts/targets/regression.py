"""Continuous targets: standardised numbers, squared error, a mean and a standard deviation."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pathfuse.endpoints.base import Endpoint, Truth
from pathfuse.experts.targets.base import Encoded, Linear, Raw, Scales, TargetKind
from pathfuse.experts.targets.linear import fit_ridge
from pathfuse.types import Index

if TYPE_CHECKING:
    from torch import Tensor

    from pathfuse.experts.targets.distances import Distance, Pair


class RegressionTargets(TargetKind):
    """See the module."""

    name: ClassVar[str] = "regression"
    measure: ClassVar[str] = "half the mean squared error, in standard deviations of the targets"
    scaled: ClassVar[bool] = True
    likelihoods: ClassVar[Mapping[str, str]] = {
        name: name for name in ("poisson", "negative_binomial", "gaussian_spread")
    }

    def encode(self, endpoint: Endpoint, truth: Mapping[str, Truth]) -> Encoded:
        """See ``TargetKind``."""
        values = truth["all"].observed.astype(np.float64)
        return endpoint.outcomes, np.nan_to_num(values), ~np.isnan(values)

    def strata(self, values: np.ndarray, known: np.ndarray) -> np.ndarray:
        """See ``TargetKind``: quartiles of the mean of a row's targets."""
        mean = _standard_mean(values, known)
        return np.asarray(np.searchsorted(np.quantile(mean, [0.25, 0.5, 0.75]), mean))

    def columns(
        self, names: Sequence[str], raw: Raw, sd: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """See ``TargetKind``: ``mean_<target>``, and ``sd_<target>`` where it is given."""
        found = {f"mean_{name}": raw[:, k] for k, name in enumerate(names)}
        if sd is not None:
            found |= {f"sd_{name}": sd[:, k] for k, name in enumerate(names)}
        return found

    def mean_of(self, raws: Sequence[Raw]) -> Raw:
        """See ``TargetKind``: the mean of the means."""
        return np.mean(raws, axis=0)

    def loss(self, outputs: "Tensor", values: "Tensor", known: "Tensor") -> "Tensor":
        """Half the mean squared error of the known targets."""
        return 0.5 * ((outputs - values) ** 2 * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)

    def fit_linear(
        self, table: np.ndarray, values: np.ndarray, known: np.ndarray, strength: float
    ) -> Linear:
        """Ridge regression of each target."""
        return fit_ridge(table, values, known, strength)

    def counts(self, values: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See ``TargetKind``: the sum of the known values."""
        return values * known, known.astype(np.float64)

    def link(self, rate: np.ndarray) -> Raw:
        """See ``TargetKind``: a mean is its own output."""
        return rate

    def distance(self, pair: "Pair", known: "Tensor | None", how: "Distance") -> "Tensor":
        """That of the embeddings."""
        from pathfuse.experts.targets.distances import of_embeddings

        return of_embeddings(pair, how)

    def scale(
        self, values: np.ndarray, known: np.ndarray, rows: Index
    ) -> tuple[np.ndarray, Scales]:
        """By mean and standard deviation of the training rows."""
        mean, sd = target_moments(values, known, rows)
        return np.where(known, (values - mean) / sd, 0.0), {"target_mean": mean, "target_sd": sd}

    def scale_outputs(self, outputs: np.ndarray, scales: Scales) -> np.ndarray:
        """See ``TargetKind``."""
        return np.asarray((outputs - scales["target_mean"]) / scales["target_sd"])

    def in_own_unit(self, outputs: np.ndarray, scales: Scales) -> np.ndarray:
        """See ``TargetKind``."""
        return np.asarray(outputs * scales["target_sd"] + scales["target_mean"])


def target_moments(
    values: np.ndarray, known: np.ndarray, rows: Index
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each target over some rows; a constant target has 1."""
    filled = np.where(known[rows], values[rows], np.nan)
    count = np.maximum(known[rows].sum(axis=0), 1)
    mean = np.nansum(filled, axis=0) / count
    sd = np.sqrt(np.nansum((filled - mean) ** 2, axis=0) / count)
    return mean, np.where(sd > 1e-12, sd, 1.0)


def _standard_mean(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Mean of a row's known targets, each in its standard deviations over these rows.

    0 where none is known.
    """
    count = np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, values - (values * known).sum(axis=0) / count, 0.0)
    sd = np.sqrt((centred**2).sum(axis=0) / count)
    scaled = centred / np.where(sd > 0, sd, 1.0)
    return np.asarray(scaled.sum(axis=1) / np.maximum(known.sum(axis=1), 1))
