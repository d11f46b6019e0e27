"""``--ablation``: what the fusion owes to each expert, what disturbs it, and whether it finds
something in nothing.

Every variant is fitted anew with the same recipe and judged on the same rows as the fusion itself,
paired by patient.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from joblib import delayed
from threadpoolctl import threadpool_limits

from pathfuse.endpoints.base import Truth
from pathfuse.errors import InputError
from pathfuse.evaluation.judged import Judged
from pathfuse.evaluation.rules import Rules
from pathfuse.progress import Progress, silent
from pathfuse.study.predictions import Expert
from pathfuse.study.samples import Partition
from pathfuse.study.study import Study
from pathfuse.workers import in_parallel
from pathfuse.workflows.steps.evaluating import evaluate_study
from pathfuse.workflows.steps.fitting import FusionRecipe
from pathfuse.workflows.steps.outer import fit_all, judged_outputs, scored_parts

SCHEMA = {
    "variant": pl.String,
    "kind": pl.String,
    "output": pl.String,
    "metric": pl.String,
    "value": pl.Float64,
    "ci_low": pl.Float64,
    "ci_high": pl.Float64,
    "difference": pl.Float64,
    "difference_low": pl.Float64,
    "difference_high": pl.Float64,
    "p_value": pl.Float64,
    "note": pl.String,
}


@dataclass(frozen=True)
class Variant:
    """One way to fit otherwise."""

    name: str
    kind: str
    """``leave one out``, ``duplicate``, ``noise``, ``shuffled labels`` or ``in-sample``."""
    study: Study
    allow_in_sample: bool = False


def variants(study: Study, parts: Sequence[Partition], best: str, seed: int) -> list[Variant]:
    """All variants of a study.

    Args:
        study: As it was fused.
        parts: Its partitions; labels are shuffled among fit rows and among judged rows, never
            between them.
        best: The expert to copy, and to turn into noise by giving its predictions to the wrong
            samples.
        seed: Of the shuffles.
    """
    found: list[Variant] = []
    if len(study.experts) > 2:
        for expert in study.experts:
            others = tuple(e for e in study.experts if e.name != expert.name)
            found.append(
                Variant(f"without {expert.name}", "leave one out", replace(study, experts=others))
            )
    model = study.expert(best)
    twin = replace(model, name=f"{best} again")
    found.append(Variant(f"with {best} twice", "duplicate", _joined_by(study, twin)))
    found.append(
        Variant(f"with {best} shuffled", "noise", _joined_by(study, _shuffled(model, seed)))
    )
    found.append(Variant("labels shuffled", "shuffled labels", _mislabelled(study, parts, seed)))
    if study.samples.roles is not None and (study.samples.roles == "train").any():
        found.append(Variant("fitted on train rows too", "in-sample", study, allow_in_sample=True))
    return found


def _joined_by(study: Study, expert: Expert) -> Study:
    return replace(study, experts=tuple(sorted([*study.experts, expert], key=lambda e: e.name)))


def _shuffled(expert: Expert, seed: int) -> Expert:
    """The same predictions, each about another sample: as sure as before, and worth nothing."""
    order = np.random.default_rng(seed).permutation(len(expert.ids))
    return replace(expert, name=f"{expert.name} shuffled", ids=[expert.ids[i] for i in order])


def _mislabelled(study: Study, parts: Sequence[Partition], seed: int) -> Study:
    """Truths dealt out anew among the patients of each role, so that no prediction can be right but
    by chance.
    """
    rng = np.random.default_rng(seed)
    source = np.arange(len(study.samples.ids))
    groups = [p.judged for p in parts] if len(parts) > 1 else [parts[0].fit, parts[0].judged]
    for rows in groups:
        source[rows] = _swapped(rows, study.samples.patients, rng)
    return replace(
        study, truth={task: _dealt(truth, source) for task, truth in study.truth.items()}
    )


def _swapped(rows: np.ndarray, patients: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For each row a row of another patient: patients trade their truths as a whole, so that
    samples still cluster.
    """
    numbers = np.unique(patients[rows].astype(str), return_inverse=True)[1]
    partner = rng.permutation(numbers.max() + 1)
    own = [np.flatnonzero(numbers == p) for p in range(len(partner))]
    source = np.empty_like(rows)
    for p, members in enumerate(own):
        theirs = own[partner[p]]
        source[members] = rows[theirs[np.arange(len(members)) % len(theirs)]]
    return source


def _dealt(truth: Truth, source: np.ndarray) -> Truth:
    time = truth.time[source] if truth.time is not None else None
    event = truth.event[source] if truth.event is not None else None
    return Truth(truth.observed[source], truth.known[source], time, event)


def ablate(
    study: Study,
    parts: Sequence[Partition],
    tasks: Sequence[str],
    judged: dict[str, Judged],
    best: str,
    recipe: FusionRecipe,
    rules: Rules,
    *,
    unit: str = "sample",
    progress: Progress = silent,
) -> pl.DataFrame:
    """Fits and evaluates every variant.

    Args:
        study: As it was fused.
        parts: Its partitions.
        tasks: What could be fused.
        judged: The fusion's own judged rows, by output.
        best: The best expert on the fit rows.
        recipe: How the fusion was fitted.
        rules: How it was judged.
        unit: ``sample`` or ``patient``.
        progress: Called after each variant.

    Returns:
        ``ablation.csv``: per variant, output and metric the value with its interval, and the
        difference to the fusion.
    """
    todo = variants(study, parts, best, recipe.seed)
    inner = replace(recipe, n_jobs=None)
    jobs = (delayed(_refit)(study, parts, variant, tasks, inner, unit) for variant in todo)
    fused = {output: {"fused": rows.predictions["fused"]} for output, rows in judged.items()}
    rows: list[dict[str, Any]] = []
    for n, (variant, found) in enumerate(
        zip(todo, in_parallel(recipe.n_jobs, jobs), strict=True), start=1
    ):
        progress(f"ablation: {variant.name}", n / len(todo))
        if isinstance(found, str):
            rows.append(
                {
                    "variant": variant.name,
                    "kind": variant.kind,
                    "output": "all",
                    "metric": "",
                    "note": found,
                }
            )
            continue
        own = {o: {variant.name: j.predictions["fused"]} for o, j in found.items()}
        if variant.kind == "shuffled labels":  # another truth: nothing to pair with
            verdict = evaluate_study(study, {o: _only(found[o], own[o]) for o in found}, [], rules)
        else:
            both = {o: _only(judged[o], {**fused[o], **own[o]}) for o in found}
            verdict = evaluate_study(study, both, [(variant.name, "fused")], rules)
        rows += _rows(variant, verdict.metrics, verdict.comparisons)
    return pl.DataFrame(rows, schema=SCHEMA, orient="row").with_columns(
        pl.col(pl.Float64).fill_nan(None)
    )


def _only(judged: Judged, predictions: dict[str, np.ndarray]) -> Judged:
    return replace(judged, predictions=predictions, sets=None)


def _refit(
    study: Study,
    parts: Sequence[Partition],
    variant: Variant,
    tasks: Sequence[str],
    recipe: FusionRecipe,
    unit: str,
) -> dict[str, Judged] | str:
    """The rows that the fusion is judged on, as a variant predicts them.

    Or why it cannot be fitted.
    """
    truth = variant.study if variant.kind == "shuffled labels" else study
    try:
        with threadpool_limits(1):
            own = scored_parts(variant.study, variant.allow_in_sample, skip_unscored=True)
            fits = fit_all(variant.study, own, tasks, recipe, final=False)
            outputs = [
                judged_outputs(truth, task, parts, fits, unit, variant.study) for task in tasks
            ]
    except InputError as error:
        return str(error)
    return {output: judged for by_output in outputs for output, judged in by_output.items()}


def _rows(
    variant: Variant, metrics: Sequence[Any], comparisons: Sequence[Any]
) -> list[dict[str, Any]]:
    pairs = {(c.output, c.metric): c for c in comparisons}
    rows = []
    for m in metrics:
        if m.method != variant.name:
            continue
        pair = pairs.get((m.output, m.metric))
        rows.append(
            {
                "variant": variant.name,
                "kind": variant.kind,
                "output": m.output,
                "metric": m.metric,
                "value": m.value,
                "ci_low": m.ci_low,
                "ci_high": m.ci_high,
                "difference": pair.difference if pair else None,
                "difference_low": pair.ci_low if pair else None,
                "difference_high": pair.ci_high if pair else None,
                "p_value": pair.p_value if pair else None,
                "note": None,
            }
        )
    return rows
