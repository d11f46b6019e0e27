"""Loss and calibration over time, where truths are known: patients in order, in windows of as many."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from jaxtyping import Float, Int

from pathfuse.drift.reference import Reference
from pathfuse.endpoints.base import Endpoint, Truth
from pathfuse.evaluation.judged import Judged
from pathfuse.evaluation.slope import calibration_slope
from pathfuse.types import PerSample

PATIENTS, MOST_WINDOWS = 50, 12
"""At least so many patients in a window, and at most so many windows."""
N_RESAMPLES = 2000
SLOPE_RESAMPLES = 200
SCHEMA = {
    "window": pl.Int64,
    "first": pl.String,
    "last": pl.String,
    "output": pl.String,
    "figure": pl.String,
    "value": pl.Float64,
    "ci_low": pl.Float64,
    "ci_high": pl.Float64,
    "reference": pl.Float64,
    "difference": pl.Float64,
    "difference_low": pl.Float64,
    "difference_high": pl.Float64,
    "n": pl.Int64,
    "n_patients": pl.Int64,
}


@dataclass(frozen=True)
class Labelled:
    """New samples whose truth is known, in order."""

    ids: list[str]
    patients: Int[np.ndarray, " sample"]
    """Numbers that grow with the order."""
    loss: PerSample
    predicted: Mapping[str, np.ndarray]
    truth: Mapping[str, Truth]
    """Per task."""


def windows_frame(
    labelled: Labelled, endpoint: Endpoint, reference: Reference, seed: int
) -> pl.DataFrame:
    """``windows.csv``: per window the loss, beside that of the fit rows, and the calibration slopes.

    Args:
        labelled: The samples.
        endpoint: Of the model.
        reference: The fit rows.
        seed: Of the resamples.
    """
    patients = np.unique(labelled.patients)
    n_windows = int(np.clip(len(patients) // PATIENTS, 1, MOST_WINDOWS))
    known = reference.loss[~np.isnan(reference.loss)]
    rng = np.random.default_rng(seed)
    usual = known[rng.integers(len(known), size=(N_RESAMPLES, len(known)))].mean(axis=1)
    rows = []
    for number, members in enumerate(np.array_split(patients, n_windows), start=1):
        own = np.flatnonzero(np.isin(labelled.patients, members))
        about = {
            "window": number,
            "first": labelled.ids[own[0]],
            "last": labelled.ids[own[-1]],
            "n": len(own),
            "n_patients": len(members),
        }
        rows.append({**about, **_loss(labelled, own, float(known.mean()), usual, rng)})
        rows += [{**about, **slope} for slope in _slopes(labelled, own, endpoint, seed)]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _loss(
    labelled: Labelled,
    rows: Int[np.ndarray, " row"],
    reference: float,
    usual: Float[np.ndarray, " resample"],
    rng: np.random.Generator,
) -> dict[str, object]:
    """Mean over patients of their mean loss, with an interval by patient."""
    numbers = np.unique(labelled.patients[rows], return_inverse=True)[1]
    means = np.bincount(numbers, labelled.loss[rows]) / np.bincount(numbers)
    drawn = means[rng.integers(len(means), size=(len(usual), len(means)))].mean(axis=1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    apart = np.quantile(drawn - usual, (0.025, 0.975))
    return {
        "output": "all",
        "figure": "nll",
        "value": float(means.mean()),
        "ci_low": float(low),
        "ci_high": float(high),
        "reference": reference,
        "difference": float(means.mean()) - reference,
        "difference_low": float(apart[0]),
        "difference_high": float(apart[1]),
    }


def _slopes(
    labelled: Labelled, rows: Int[np.ndarray, " row"], endpoint: Endpoint, seed: int
) -> list[dict[str, object]]:
    """Calibration slopes of what is predicted as probabilities; 1 is perfect."""
    if endpoint.of_numbers:
        return []
    found: list[dict[str, object]] = []
    for task, predicted in labelled.predicted.items():
        truth = labelled.truth[task]
        own = rows[truth.known[rows] & ~np.isnan(predicted[rows, 0])]
        if not len(own):
            continue
        patients = np.unique(labelled.patients[own], return_inverse=True)[1]
        judged = Judged(
            truth.observed[own], patients, np.zeros(len(own), dtype=np.int64),
            {"fused": predicted[own]},
        )  # fmt: skip
        slope = calibration_slope(endpoint, judged, "fused", SLOPE_RESAMPLES, seed)
        ends = slope.interval("percentile")
        values = {"value": slope.point, "ci_low": ends.low, "ci_high": ends.high, "reference": 1.0}
        shown = {name: None if np.isnan(value) else value for name, value in values.items()}
        found.append({"output": task, "figure": "slope", **shown})
    return found
