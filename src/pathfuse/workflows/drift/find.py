"""``drift``: are new samples like those that the model was fitted on, and from when on are they not?"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from pathfuse.drift.figures import Figure
from pathfuse.drift.patients import in_blocks, numbered, patient_means
from pathfuse.drift.reference import FEWEST_NEW, Reference
from pathfuse.drift.sequential import Watch, limit_of, simulate_streams, step_of, watch
from pathfuse.drift.verdict import FALSE_ALARMS, BatchVerdict, batch_test, check_enough
from pathfuse.errors import InputError
from pathfuse.evaluation.rules import check_seed
from pathfuse.files.manifest import software
from pathfuse.study.predictions import PredictionInput
from pathfuse.study.reading import DEFAULT, Reading
from pathfuse.types import PerSample
from pathfuse.workflows.drift.labels import About, only_listed, read_about
from pathfuse.workflows.drift.look import NOTHING_KEPT
from pathfuse.workflows.drift.result import DriftResult, Stream, table_of
from pathfuse.workflows.drift.windows import Labelled, windows_frame
from pathfuse.workflows.model import Combined, FusedModel
from pathfuse.workflows.model_file import load
from pathfuse.workflows.new_samples import NewSamples
from pathfuse.workflows.steps.figures import figures_of, losses

FEWEST_ALARMS, MOST_ALARMS = 0.002, 0.5
"""Rates that the simulations can tell."""
MOST_HORIZON = 100_000
"""Patients of the longest stream that is simulated at the wish of a horizon: memory grows with it."""


@dataclass(frozen=True)
class _Units:
    """Which sample is of which patient, in order of the patients' last samples."""

    number: np.ndarray
    last: list[str]
    """The last sample of each patient."""
    named: bool
    n_bare: int
    """Samples without a patient, which are patients of their own."""


def find_drift(
    model: FusedModel | str | Path,
    predictions: PredictionInput,
    samples: str | Path | Any | None = None,
    *,
    order: str | None = None,
    false_alarms: float = FALSE_ALARMS,
    horizon: int | None = None,
    seed: int = 0,
    reading: Reading = DEFAULT,
) -> DriftResult:
    """Compares new samples with those that a model was fitted on.

    A batch test looks at all new samples together, a sequential test at one patient after the
    other. Each has half of the stated rate of false alarms.

    Args:
        model: A fused model, or its folder.
        predictions: The experts' predictions of new samples, as in ``FusedModel.predict``.
        samples: Table with ``sample_id``; ``patient_id`` if a patient has several samples; target
            columns where truths are known; a column to order by.
        order: Column of ``samples`` by which samples are ordered; default: as the expert with the
            most samples has them in its file.
        false_alarms: How often an alarm may be given although nothing has changed, over all figures
            and both tests together.
        horizon: Patients after which the sequential test may have given a false alarm at that rate;
            default: those that there are. Neither fewer than these nor more than 100,000.
        seed: Of the simulations.
        reading: How the columns of ``samples`` are understood.

    Raises:
        InputError: The model keeps nothing of its fit rows, there are too few patients, or a table
            is wrong.
    """
    fused = model if isinstance(model, FusedModel) else load(model)
    reference = fused.reference
    if reference is None:
        raise InputError(NOTHING_KEPT)
    _check(false_alarms, horizon, order, samples is not None, seed)
    about = None if samples is None else read_about(samples, fused.endpoint, reading)
    new = fused.read(predictions)
    ids, n_unlisted = _in_order(new, about, order)
    with threadpool_limits(1):  # one core or many: the same bytes
        aligned = fused.aligned(new.read, ids)
        combined = fused.combined(aligned)
        loss = _loss(combined, about, ids)
        figures = figures_of(fused, aligned, combined.predicted, reference.scale, loss)
        features = reference.new_features(figures.select(reference.names))
        units, truth = _units(about, ids, reference), loss is not None
        _check_reaches(horizon, len(units.last))
        batch = batch_test(
            reference,
            features,
            units.number if units.named else None,
            truth=truth,
            rate=false_alarms / 2,
            seed=seed,
        )
        stream = _stream(reference, features, units, truth, false_alarms / 2, horizon, seed)
        windows = _windows(fused, reference, combined, about, ids, units, loss, seed)
    summary = {
        **software(),
        "command": None,
        "endpoint": fused.endpoint.kind,
        "experts": list(fused.experts),
        "false_alarms": false_alarms,
        "seed": seed,
        "order": order,
        "samples": len(ids),
        "patients": len(units.last),
        "patients_named": units.named,
        "samples_without_patient": units.n_bare if units.named else len(ids),
        "samples_as_one_patient": 1 if units.named else reference.block,
        "samples_not_listed": n_unlisted,
        "samples_seen_in_fit": int(fused.seen_in_fit(ids).sum()),
        "samples_with_truth": 0 if loss is None else int((~np.isnan(loss)).sum()),
        "fit_patients": reference.n_patients,
        "lacking": new.lacking,
        "batch": _batch_summary(batch),
        "stream": stream.as_dict(),
    }
    table = table_of(reference, batch, stream, truth)
    return DriftResult(table, windows, summary, batch, stream)


def _check(
    false_alarms: float, horizon: int | None, order: str | None, listed: bool, seed: int
) -> None:
    if not FEWEST_ALARMS <= false_alarms <= MOST_ALARMS:
        raise InputError(
            f"--false-alarms must be between {FEWEST_ALARMS} and {MOST_ALARMS}, not "
            f"{false_alarms:g}"
        )
    if horizon is not None and horizon < FEWEST_NEW:
        raise InputError(f"--horizon must be at least {FEWEST_NEW} patients, not {horizon}")
    if horizon is not None and horizon > MOST_HORIZON:
        raise InputError(f"--horizon must be at most {MOST_HORIZON:,} patients, not {horizon:,}")
    if order is not None and not listed:
        raise InputError(f"--order {order} names a column of --samples; give that table, too")
    check_seed(seed)


def _check_reaches(horizon: int | None, n_patients: int) -> None:
    if horizon is not None and horizon < n_patients:
        raise InputError(
            f"--horizon {horizon} is fewer than the {n_patients} patients that are there already; say how many there "
            "will be in the end, or leave it out"
        )


def _in_order(new: NewSamples, about: About | None, order: str | None) -> tuple[list[str], int]:
    """The samples as they came, and how many were left out because nobody lists them."""
    by_length = sorted(new.read.values(), key=lambda expert: -len(expert.ids))
    ids = list(dict.fromkeys(i for expert in by_length for i in expert.ids))
    if about is None:
        return ids, 0
    listed, n_gone = only_listed(about, ids)
    return (about.order(listed, order) if order is not None else listed), n_gone


def _units(about: About | None, ids: list[str], reference: Reference) -> _Units:
    patients = None if about is None or about.patients is None else about.patients
    if about is not None and patients is not None:
        number = numbered([patients[row] for row in about.of(ids)])
    else:
        number = in_blocks(len(ids), reference.block)
    last = dict(zip(number.tolist(), ids, strict=True))
    n_bare = 0 if about is None or patients is None else sum(i in about.bare for i in ids)
    return _Units(number, [last[p] for p in range(len(last))], patients is not None, n_bare)


def _loss(combined: Combined, about: About | None, ids: list[str]) -> PerSample | None:
    """The loss of the samples whose truth is known; None where too few are."""
    if about is None or about.truth is None:
        return None
    truth = {task: about.truth_of(ids, task) for task in combined.predicted}
    found = losses(combined.predicted, truth)
    return found if (~np.isnan(found)).sum() >= FEWEST_NEW else None


def _stream(
    reference: Reference,
    features: np.ndarray,
    units: _Units,
    truth: bool,
    rate: float,
    horizon: int | None,
    seed: int,
) -> Stream:
    means, _ = patient_means(features[:, reference.watched(truth)], units.number)
    check_enough(reference, len(means), len(features), named=units.named)
    length = max(len(means), horizon or 0)
    pool = reference.pool(named=units.named, truth=truth)
    step = step_of(length)
    limit = limit_of(simulate_streams(pool, length, seed), rate)
    found = watch(pool, means, limit, step)
    unit = "patient" if units.named else "sample" if reference.block == 1 else "group"
    return Stream(found, limit, length, units.last, _figure(reference, found, truth), unit)


def _figure(reference: Reference, found: Watch, truth: bool) -> tuple[Figure, bool] | None:
    if found.first < 0:
        return None
    return reference.figure(int(reference.watched(truth)[found.first]))


def _windows(
    model: FusedModel,
    reference: Reference,
    combined: Combined,
    about: About | None,
    ids: list[str],
    units: _Units,
    loss: PerSample | None,
    seed: int,
) -> pl.DataFrame | None:
    if loss is None or about is None:
        return None
    kept = np.flatnonzero(~np.isnan(loss))
    own = [ids[n] for n in kept]
    predicted: Mapping[str, np.ndarray] = {
        task: values[kept] for task, values in combined.predicted.items()
    }
    truth = {task: about.truth_of(own, task) for task in predicted}
    labelled = Labelled(own, units.number[kept], loss[kept], predicted, truth)
    return windows_frame(labelled, model.endpoint, reference, seed)


def _batch_summary(batch: BatchVerdict) -> dict[str, Any]:
    first = max(batch.findings, key=lambda one: abs(one.z))
    return {
        "alarm": bool(batch.drifted),
        "largest": abs(first.z),
        "limit": batch.limit,
        "p_value": first.p,
        "figures": [one.figure.words for one in batch.drifted],
    }
