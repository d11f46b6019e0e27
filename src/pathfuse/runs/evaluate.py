"""``evaluate``: judge and compare predictions, fit nothing."""

import time

import numpy as np
from threadpoolctl import threadpool_limits

from pathfuse.errors import InputError
from pathfuse.evaluation.judged import Judged
from pathfuse.evaluation.paired_tests import same_predictions
from pathfuse.evaluation.rules import Rules
from pathfuse.fusion.certificate import first_present, preference, take_expert
from pathfuse.fusion.experts import Experts
from pathfuse.fusion.gaussian.council import GAUSSIAN_RUNGS
from pathfuse.fusion.gaussian.experts import residual_variance
from pathfuse.fusion.mean_probability import MeanProbability
from pathfuse.fusion.uniform_product import UniformProduct
from pathfuse.runs.fitting import check_names, check_seed
from pathfuse.runs.judging import check_judging, check_patients, judge_all, judged_rows
from pathfuse.runs.manifest import describe
from pathfuse.runs.outer import Progress, silent
from pathfuse.runs.regression import align_moments, with_judged_targets
from pathfuse.runs.result import Result, comparisons_frame, metrics_frame, tests_frame
from pathfuse.runs.seen import seen_warnings
from pathfuse.runs.showing import show
from pathfuse.runs.twins import twin_warnings
from pathfuse.tables.samples import Partition, partitions
from pathfuse.tables.study import Study
from pathfuse.types import Index, LogProbs

POOLS = ("best_expert", "mean_probability", "uniform_product")
"""Methods that need no fit; ``best_expert`` only where there are fit rows to choose it on."""


def evaluate(
    study: Study,
    seed: int = 0,
    *,
    n_resamples: int = 2000,
    interval: str = "auto",
    margin: float = 0.01,
    unit: str = "sample",
    progress: Progress = silent,
) -> Result:
    """Judges every expert, and the two pools that need no fitting, on the ``test`` rows (all rows if no role is given).

    ``best_expert`` joins them where there are fit rows to choose it on. With ``fold`` every fold is judged on its own,
    and the best expert chosen on the others.

    Args:
        study: From ``read_study``; roles are optional here.
        seed: Seed of the bootstrap.
        n_resamples: Bootstrap resamples by patient.
        interval: ``auto`` (what covers among so many patients), ``percentile``, or ``bca``.
        margin: Largest acceptable loss to the best expert, for the test of non-inferiority.
        unit: ``sample`` or ``patient``.
        progress: Called as the work goes on.

    Raises:
        InputError: There is no row to judge.

    Examples:
        >>> import polars as pl
        >>> import pathfuse
        >>> ids = [f"s{i}" for i in range(20)]
        >>> samples = pl.DataFrame(
        ...     {"sample_id": ids, "split": ["fit"] * 10 + ["test"] * 10, "label": ["normal", "tumor"] * 10}
        ... )
        >>> uni = pl.DataFrame({"sample_id": ids, "logit_tumor": [-1.0, 2.0] * 10, "logit_normal": [0.5, 0.3] * 10})
        >>> conch = pl.DataFrame({"sample_id": ids, "prob_normal": [0.7, 0.2] * 10, "prob_tumor": [0.3, 0.8] * 10})
        >>> study = pathfuse.read_study(samples, {"uni": uni, "conch": conch.head(18)})
        >>> metrics = pathfuse.evaluate(study, n_resamples=0).metrics
        >>> metrics["method"].unique(maintain_order=True).to_list()
        ['conch', 'uni', 'best_expert', 'mean_probability', 'uniform_product']
    """
    start = time.perf_counter()
    check_patients(study, unit)
    check_names(study, POOLS)
    check_seed(seed)
    rules = Rules(n_resamples, seed, interval, margin)
    check_judging(unit, rules, study.endpoint.kind)
    parts, unjudged = _parts(study), list[str]()
    if study.endpoint.kind == "regression":
        study, unjudged = with_judged_targets(study, np.concatenate([part.judged for part in parts]))
    progress("judging", 0.1)
    with threadpool_limits(1):
        tasks: dict[str, Judged] = {}
        judged_of: dict[str, Index] = {}
        references: list[str] = []
        for task in study.endpoint.tasks:
            said = [_predictions(study, task, part.fit, part.judged) for part in parts]
            rows = [(part.fit if len(part.fit) else known, known) for part, (_, known) in zip(parts, said, strict=True)]
            heard = [(own, predictions) for own, (predictions, known) in zip(rows, said, strict=True) if len(known)]
            if heard:
                references = [name for name in POOLS if name in heard[0][1]]
                names = tuple(p.name for p, (_, known) in zip(parts, said, strict=True) if p.name and len(known))
                tasks |= judged_rows(study, task, [r for r, _ in heard], [p for _, p in heard], unit, names)
                judged_of[task] = np.concatenate([known for (_, known), _ in heard])
        same = [same_predictions(judged) for judged in tasks.values()]
        itself = {n for n in study.expert_names if all(one.get(n) == one.get("best_expert", "") for one in same)}
        contrasts = [
            (name, r) for name in study.expert_names for r in references if r != "best_expert" or name not in itself
        ]
        verdict = judge_all(study, tasks, contrasts, rules)
        shown = show(study, tasks, judged_of, unit)
    fitted, judged = np.zeros((2, len(study.samples.ids)), dtype=bool)
    judged[np.concatenate([part.judged for part in parts])] = True
    if len(parts) == 1:
        fitted[parts[0].fit] = True
    manifest = {
        **describe(study, fitted, judged),
        "seed": seed,
        "n_resamples": n_resamples,
        "interval": interval,
        "margin": margin,
        "unit": unit,
        "folds": len(parts) if len(parts) > 1 else 0,
        "command": None,
        "risk_groups": shown.risk_groups,
        "intervals": verdict.intervals,
        "notes": verdict.notes,
        "warnings": [*unjudged, *study.samples.warnings, *twin_warnings(study, parts), *seen_warnings(study, parts)],
        "wall_time_s": round(time.perf_counter() - start, 3),
    }
    progress("done", 1.0)
    return Result(
        metrics_frame(verdict),
        comparisons_frame(verdict),
        manifest,
        tests=tests_frame(verdict),
        curves=shown.curves,
        sites=shown.sites,
    )


def _parts(study: Study) -> list[Partition]:
    """The rows to judge, fold by fold, and those that the best expert is chosen on (none without roles).

    Raises:
        InputError: There is nothing to judge.
    """
    samples, scored = study.samples, study.n_scored() > 0
    if samples.folds is not None:
        folds = [p for p in partitions(samples, allow_in_sample=False) if scored[p.judged].any()]
        parts = [Partition(p.name, p.fit[scored[p.fit]], p.judged[scored[p.judged]]) for p in folds]
    else:
        roles = samples.roles if samples.roles is not None else np.full(len(scored), "test")
        if not (roles == "test").any():
            raise InputError(f"{samples.source}, column 'split': no row has the role 'test'")
        fit, judged = (np.flatnonzero(scored & (roles == role)) for role in ("fit", "test"))
        parts = [Partition("", fit, judged)] if len(judged) else []
    if not parts:
        raise InputError(f"{samples.source}: the experts scored no row that could be judged")
    return parts


def _predictions(study: Study, task: str, fit_rows: Index, rows: Index) -> tuple[dict[str, LogProbs], Index]:
    """What the experts and the pools that need no fitting say of the judged rows with a truth."""
    fit_rows, rows = study.scored(task, fit_rows), study.scored(task, rows)
    if not len(rows):
        return {}, rows
    if study.endpoint.kind == "regression":
        return _moments(study, fit_rows, rows), rows
    frequency = np.maximum(study.frequency(task, fit_rows if len(fit_rows) else rows), 1e-7)
    logits = study.logits(task, frequency)
    experts = Experts.from_logits(logits[rows])
    alone = np.where(experts.present[:, :, None], experts.log_prob, np.nan)
    said: dict[str, LogProbs] = {e.name: alone[:, m] for m, e in enumerate(study.experts) if task in e.outputs}
    if len(fit_rows):
        order = preference(Experts.from_logits(logits[fit_rows]), study.truth[task].observed[fit_rows])
        said["best_expert"] = take_expert(experts, first_present(experts, order))
    said["mean_probability"] = MeanProbability().pool(experts, {})
    said["uniform_product"] = UniformProduct().pool(experts, {})
    return said, rows


def _moments(study: Study, fit_rows: Index, rows: Index) -> dict[str, np.ndarray]:
    """The same for a regression; experts that give no sd take it from the fit rows, or from the judged ones."""
    learned = fit_rows if len(fit_rows) else rows
    n_targets = len(study.endpoint.outcomes)
    y = study.truth["all"].observed[learned]
    known = align_moments(study.experts, study.samples.ids[learned].tolist(), n_targets)
    experts = align_moments(study.experts, study.samples.ids[rows].tolist(), n_targets)
    filled = experts.with_variance(residual_variance(known, y))
    said = {
        e.name: np.concatenate([filled.mean[:, m], filled.variance[:, m]], axis=1) for m, e in enumerate(study.experts)
    }
    for name in POOLS if len(fit_rows) else POOLS[1:]:
        rung = GAUSSIAN_RUNGS[name]
        said[name] = rung.predict(experts, rung.learn(known, y, 0.0)).flat()
    return said
