"""``evaluate``: judge and compare predictions, fit nothing."""

import time

import numpy as np
from threadpoolctl import threadpool_limits

from pathfuse.errors import InputError
from pathfuse.evaluation.judge import Judged, Verdict, average_patients, judge
from pathfuse.fusion.certificate import first_present, preference, take_expert
from pathfuse.fusion.experts import Experts
from pathfuse.fusion.mean_probability import MeanProbability
from pathfuse.fusion.uniform_product import UniformProduct
from pathfuse.runs.fitting import check_names
from pathfuse.runs.fuse import Progress, silent
from pathfuse.runs.manifest import describe
from pathfuse.runs.result import Result, comparisons_frame, metrics_frame
from pathfuse.tables.study import Study
from pathfuse.types import LogProbs


def evaluate(
    study: Study, seed: int = 0, *, n_resamples: int = 2000, unit: str = "sample", progress: Progress = silent
) -> Result:
    """Judges every expert, and the two pools that need no fitting, on the ``test`` rows (all rows if no role is given).

    ``best_expert`` joins them where there are fit rows to choose it on.

    Args:
        study: From ``read_study``; roles are optional here.
        seed: Seed of the bootstrap.
        n_resamples: Bootstrap resamples by patient.
        unit: ``sample`` or ``patient``.
        progress: Called as the work goes on.

    Raises:
        InputError: There is no row to judge.
    """
    start = time.perf_counter()
    check_names(study, ["best_expert", "mean_probability", "uniform_product"])
    scored = study.n_scored() > 0
    roles = study.samples.roles
    judged = scored & (roles == "test") if roles is not None and (roles == "test").any() else scored.copy()
    fitted = scored & (roles == "fit") if roles is not None else np.zeros(len(scored), dtype=bool)
    fitted &= ~judged
    if not judged.any():
        raise InputError(f"{study.samples.source}: the experts scored no row that could be judged")
    progress("judging", 0.1)
    with threadpool_limits(1):
        verdicts = [_judge(study, task, fitted, judged, n_resamples, unit, seed) for task in study.endpoint.tasks]
    manifest = {
        **describe(study, fitted, judged),
        "seed": seed,
        "n_resamples": n_resamples,
        "unit": unit,
        "notes": [note for v in verdicts for note in v.notes],
        "warnings": [],
        "wall_time_s": round(time.perf_counter() - start, 3),
    }
    progress("done", 1.0)
    return Result(metrics_frame(verdicts), comparisons_frame(verdicts), manifest)


def _judge(
    study: Study, task: str, fitted: np.ndarray, judged: np.ndarray, n_resamples: int, unit: str, seed: int
) -> Verdict:
    truth = study.truth[task]
    fit_rows, rows = np.flatnonzero(fitted & truth.known), np.flatnonzero(judged & truth.known)
    frequency = study.frequency(task, fit_rows if len(fit_rows) else rows)
    logits = study.logits(task, np.maximum(frequency, 1e-7))
    experts = Experts.from_logits(logits[rows])
    alone = np.where(experts.present[:, :, None], experts.log_prob, np.nan)
    predictions: dict[str, LogProbs] = {name: alone[:, m] for m, name in enumerate(study.expert_names)}
    references = []
    if len(fit_rows):
        order = preference(Experts.from_logits(logits[fit_rows]), truth.observed[fit_rows])
        predictions["best_expert"] = take_expert(experts, first_present(experts, order))
        references.append("best_expert")
    predictions["mean_probability"] = MeanProbability().pool(experts, {})
    predictions["uniform_product"] = UniformProduct().pool(experts, {})
    references += ["mean_probability", "uniform_product"]
    rows_judged = Judged(
        truth.observed[rows],
        np.unique(study.samples.patients[rows].astype(str), return_inverse=True)[1],
        np.zeros(len(rows), dtype=np.int64) if study.samples.folds is None
        else np.unique(study.samples.folds[rows], return_inverse=True)[1],
        predictions,
    )  # fmt: skip
    rows_judged = average_patients(rows_judged) if unit == "patient" else rows_judged
    contrasts = [(name, r) for name in study.expert_names for r in references]
    return judge(study.endpoint, task, rows_judged, contrasts, n_resamples, seed)
