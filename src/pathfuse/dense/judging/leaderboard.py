"""Ranks of models over data sets, with what the images can tell and what they cannot.

A leaderboard that orders 17 models by a Dice hides that on average 14 of them reach the winner
(docs/design/densebench.md, section 6). Here each study (a data set under one strategy) resamples
its patients once for all models; a model outranks another only where the interval of their paired
difference excludes 0, and models that nothing separates share a place.

For published tables without confusion matrices see ``pathfuse.rank``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Float

from pathfuse.dense.judging.confusion import Confusions
from pathfuse.dense.judging.judge import resampled_sums
from pathfuse.dense.judging.metrics import METRICS, Parity, metrics
from pathfuse.errors import InputError
from pathfuse.evaluation.intervals import percentile_interval
from pathfuse.evaluation.ranking import mean_rank_intervals, ranks
from pathfuse.evaluation.resampling import MIN_PATIENTS, draw


@dataclass(frozen=True)
class RankedStudy:
    """One data set under one strategy."""

    name: str
    cohort: str
    """The data set: studies of one cohort share their images, and are resampled together."""
    cms: Mapping[str, Confusions]
    """Per model, (image, K, K); the same images in the same order."""
    patients: Sequence[str]
    """(image,)."""


class Leaderboard(NamedTuple):
    """Ranks inside studies, and over them."""

    places: pl.DataFrame
    """One row per study and model, best first: ``study, cohort, method, value, ci_low, ci_high, rank, rank_ci_low,
    rank_ci_high, place, worst_place``. ``place`` is 1 + the models that are resolved to be better, so unresolved models
    share it; ``worst_place`` is the number of models less those resolved to be worse."""
    summary: pl.DataFrame
    """One row per model, best first: ``method, mean_rank, rank_ci_low, rank_ci_high, cohort_ci_low, cohort_ci_high,
    place, wins, mean_value, n_studies``. The first interval is over patients of these data sets, the second over data
    sets; ``place`` as above, from the paired differences of mean ranks."""


def leaderboard(
    studies: Sequence[RankedStudy],
    *,
    metric: str = "mDice",
    n_resamples: int = 1000,
    seed: int = 0,
    parity: Parity = "fixed",
) -> Leaderboard:
    """Ranks models inside studies and over them.

    Args:
        studies: At least one. Mean ranks are over the models that all studies have.
        metric: One of ``METRICS``.
        n_resamples: Bootstrap resamples of patients; none in studies with fewer than ``MIN_PATIENTS``.
        seed: Of the draws. Studies of one cohort with the same patients have the same draw.
        parity: Of the metric.

    Raises:
        InputError: The metric is unknown, or the studies have fewer than two models in common.
    """
    if metric not in METRICS:
        raise InputError(f"the metric '{metric}' is unknown; choose among {', '.join(METRICS)}")
    if not studies:
        raise InputError("there is no study to rank")
    shared = [name for name in studies[0].cms if all(name in study.cms for study in studies)]
    if len(shared) < 2:
        raise InputError(f"the studies have {len(shared)} models in common; ranking needs two")
    cohorts = list(dict.fromkeys(study.cohort for study in studies))
    values, drawn, frames = [], [], []
    for study in studies:
        own, resampled = _resampled(study, metric, n_resamples, seed + cohorts.index(study.cohort), parity)
        frames.append(_places(study, own, resampled))
        at = [list(study.cms).index(name) for name in shared]
        values.append(own[at])
        drawn.append(resampled[:, at])
    board, cohort_of = np.stack(values), np.array([cohorts.index(study.cohort) for study in studies])
    return Leaderboard(pl.concat(frames), _summary(shared, board, drawn, cohort_of, n_resamples, seed))


def tied_places(
    difference_low: Float[np.ndarray, "method reference"], difference_high: Float[np.ndarray, "method reference"]
) -> tuple[np.ndarray, np.ndarray]:
    """First and last place that each model may have, from intervals of paired differences (higher is better).

    NaN is no interval and resolves nothing.

    Examples:
        >>> low = np.array([[0.0, -0.1, 0.2], [-0.3, 0.0, -0.1], [-0.6, -0.5, 0.0]])
        >>> first, last = tied_places(low, -low.T)  # the first beats the third; nothing else is resolved
        >>> first.tolist(), last.tolist()
        ([1, 1, 2], [2, 3, 3])
    """
    beaten = (difference_high < 0).sum(axis=1)
    beats = (difference_low > 0).sum(axis=1)
    return 1 + beaten, len(difference_low) - beats


def _resampled(
    study: RankedStudy, metric: str, n_resamples: int, seed: int, parity: Parity
) -> tuple[Float[np.ndarray, " method"], Float[np.ndarray, "resample method"]]:
    """The metric of every model on all images and on each draw; draws are NaN where there are too few patients."""
    patients = np.unique(np.asarray(study.patients).astype(str), return_inverse=True)[1].reshape(-1)
    shapes = {cms.shape for cms in study.cms.values()}
    shape = next(iter(shapes))
    if len(shapes) > 1 or shape[0] != len(patients):
        raise InputError(f"study '{study.name}': the models' tables have the shapes {sorted(shapes)}")
    flat = [cms.reshape(len(patients), -1) for cms in study.cms.values()]
    k = shape[-1]
    values = np.array([float(metrics(own.sum(axis=0).reshape(k, k), parity=parity)[metric]) for own in flat])
    if patients.max() + 1 < MIN_PATIENTS:
        return values, np.full((n_resamples, len(flat)), np.nan)
    counts = draw(patients, np.zeros_like(patients), n_resamples, seed).counts
    sums = [resampled_sums(own, patients, counts).reshape(-1, k, k) for own in flat]
    return values, np.stack([metrics(one, parity=parity)[metric] for one in sums], axis=1)


def _places(
    study: RankedStudy, values: Float[np.ndarray, " method"], drawn: Float[np.ndarray, "resample method"]
) -> pl.DataFrame:
    limits, rank_limits = _intervals(drawn), _intervals(_ranks(drawn))
    first, last = tied_places(*_paired(drawn))
    columns = {
        "method": list(study.cms),
        "value": values,
        "ci_low": limits[:, 0],
        "ci_high": limits[:, 1],
        "rank": ranks(values[None])[0],
        "rank_ci_low": rank_limits[:, 0],
        "rank_ci_high": rank_limits[:, 1],
        "place": first,
        "worst_place": last,
    }
    frame = pl.DataFrame(columns).with_columns(pl.col(pl.Float64).fill_nan(None))
    named = frame.select(pl.lit(study.name).alias("study"), pl.lit(study.cohort).alias("cohort"), pl.all())
    return named.sort("rank", maintain_order=True, nulls_last=True)


def _summary(
    names: list[str],
    values: Float[np.ndarray, "study method"],
    drawn: list[Float[np.ndarray, "resample method"]],
    cohorts: np.ndarray,
    n_resamples: int,
    seed: int,
) -> pl.DataFrame:
    table = ranks(values)
    known = [own for own in drawn if not np.isnan(own).all()]
    # Patients are resampled in every study at once; studies too small for that would add no spread, and none is shown.
    everywhere = len(known) == len(drawn)
    mean_ranks = np.mean([_ranks(own) for own in drawn], axis=0) if everywhere else np.full(drawn[0].shape, np.nan)
    limits, over_cohorts = _intervals(mean_ranks), mean_rank_intervals(table, cohorts, n_resamples, seed)
    columns = {
        "method": names,
        "mean_rank": np.nanmean(table, axis=0),
        "rank_ci_low": limits[:, 0],
        "rank_ci_high": limits[:, 1],
        "cohort_ci_low": over_cohorts[:, 0],
        "cohort_ci_high": over_cohorts[:, 1],
        "place": tied_places(*_paired(-mean_ranks))[0],
        "wins": (table == np.nanmin(table, axis=1, keepdims=True)).sum(axis=0),
        "mean_value": np.nanmean(values, axis=0),
        "n_studies": (~np.isnan(values)).sum(axis=0),
    }
    frame = pl.DataFrame(columns).with_columns(pl.col(pl.Float64).fill_nan(None))
    return frame.sort("mean_rank", maintain_order=True)


def _ranks(drawn: Float[np.ndarray, "resample method"]) -> Float[np.ndarray, "resample method"]:
    return np.full_like(drawn, np.nan) if np.isnan(drawn).all() else ranks(drawn)


def _intervals(drawn: Float[np.ndarray, "resample column"]) -> Float[np.ndarray, "column 2"]:
    found = [percentile_interval(column) for column in drawn.T]
    return np.array([[one.low, one.high] for one in found])


def _paired(drawn: Float[np.ndarray, "resample method"]) -> tuple[np.ndarray, np.ndarray]:
    """Limits of the difference of every two models."""
    limits = np.stack([_intervals(own[:, None] - drawn) for own in drawn.T])
    return limits[:, :, 0], limits[:, :, 1]
