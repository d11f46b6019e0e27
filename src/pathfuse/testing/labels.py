"""The truth of a made-up cohort as label columns: four endpoints, all from the same hidden states."""

from collections.abc import Callable

import numpy as np
import polars as pl
from jaxtyping import Float, Shaped

from pathfuse.errors import InputError
from pathfuse.testing.latent import CLASSES, LABELS, SPLIT, Patients, stream

Columns = dict[str, pl.Series]
TIME_EDGES = (0.0, 12.0, 24.0, 48.0, float("inf"))
"""Months."""
TEST_SHARE = 0.3
FOLLOW_UP = 96.0
"""Months from the first patient to the last look."""


def _with_blanks(
    values: Shaped[np.ndarray, " patient"], share: float, rng: np.random.Generator
) -> pl.Series:
    """Some cells empty, as a lab's table has them: at least one."""
    empty = rng.choice(len(values), max(1, round(share * len(values))), replace=False)
    cells: list[float | int | None] = values.tolist()
    for row in empty:
        cells[int(row)] = None
    return pl.Series(cells)


def _classes(patients: Patients, _: np.random.Generator) -> Columns:
    return {"label": pl.Series([CLASSES[k] for k in patients.kind])}


def _labels(patients: Patients, rng: np.random.Generator) -> Columns:
    adipose, stroma, tumor = patients.state.T
    odds = {"label_PIK3CA": 3 * (stroma - adipose), "label_TP53": 3 * (tumor - stroma)}
    n = len(patients.ids)
    drawn = {
        name: (rng.random(n) < 1 / (1 + np.exp(-o))).astype(np.int64) for name, o in odds.items()
    }
    return {name: _with_blanks(values, 0.08, rng) for name, values in drawn.items()}


def _follow_up(patients: Patients, rng: np.random.Generator) -> Columns:
    adipose, _, tumor = patients.state.T
    n = len(patients.ids)
    risk = 1.2 * (tumor - adipose)
    death = 36 * np.exp(-risk) * rng.weibull(1.3, n)
    censored = rng.uniform(6, FOLLOW_UP, n)
    event = death <= censored
    time = np.maximum(np.round(np.where(event, death, censored), 1), 0.5)
    return {"time": pl.Series(time), "event": pl.Series(event.astype(np.int64))}


def _numbers(patients: Patients, rng: np.random.Generator) -> Columns:
    adipose, stroma, tumor = patients.state.T
    means = {
        "target_ESR1": 4 + 2 * (stroma - tumor),
        "target_MKI67": 20 + 12 * (tumor - adipose),
    }
    scales = {"target_ESR1": 0.6, "target_MKI67": 4.0}
    n = len(patients.ids)
    drawn = {
        name: np.round(mean + rng.normal(0, scales[name], n), 3) for name, mean in means.items()
    }
    return {name: _with_blanks(values, 0.05, rng) for name, values in drawn.items()}


DRAWS: dict[str, Callable[[Patients, np.random.Generator], Columns]] = {
    "multiclass": _classes,
    "multilabel": _labels,
    "survival": _follow_up,
    "regression": _numbers,
}
"""How the target columns of each endpoint are drawn."""
ENDPOINTS = tuple(DRAWS)
"""A new one comes last: its place is that of its random numbers."""


def targets(patients: Patients, endpoint: str, seed: int) -> Columns:
    """The target columns of one endpoint."""
    return DRAWS[endpoint](patients, stream(seed, LABELS, ENDPOINTS.index(endpoint)))


def draw_split(patients: Patients, seed: int) -> list[str]:
    """``fit`` or ``test``, the same for every endpoint: stratified by class, and redrawn until no
    label is one-sided.

    Raises:
        InputError: A hundred draws did not do, so that there are too few patients.
    """
    rng = stream(seed, SPLIT)
    columns = [
        v
        for endpoint in ENDPOINTS[:3]
        for k, v in targets(patients, endpoint, seed).items()
        if k != "time"
    ]
    for _ in range(100):
        chance: Float[np.ndarray, " patient"] = rng.random(len(patients.ids))
        place = np.lexsort((chance, patients.kind)).argsort()
        # Every 10/3-th patient along the classes: each class gives its share
        split = np.where(
            np.floor((place + 1) * TEST_SHARE) > np.floor(place * TEST_SHARE), "test", "fit"
        )
        frame = pl.DataFrame({"split": split})
        if all(_both_sided(frame, column) for column in columns):
            return split.tolist()
    raise InputError(
        f"{len(patients.ids)} patients are too few for a fit and a test part with every label"
    )


def _both_sided(frame: pl.DataFrame, column: pl.Series) -> bool:
    """Whether every value occurs in both parts."""
    parts = (
        frame.with_columns(column.alias("value"))
        .drop_nulls()
        .group_by("value")
        .agg(pl.col("split").n_unique())
    )
    return parts.height > 1 and bool((parts["split"] == 2).all())
