"""Does every 95 % interval cover? Every metric of every endpoint, few and many patients, made-up
and real ones.

A population is a finite set of patients, each with its rows and what two or three methods predict
of them. Its metrics are the truth. A repetition draws patients from it with replacement, as new
patients, and asks ``evaluate_tasks`` for
intervals: those of a method's figures, and of paired differences. A paired test at 5 % rejects a
true difference in 1 minus the coverage of its interval.

Simulated populations have 20,000 patients; the others are the test rows of the development studies
(``shared/data``; left out where they are not there), drawn at their own number of patients, at most
200. One seed for all, ``SEED``. ``python -m benchmarks.coverage 100 300`` runs 100 repetitions of
300 resamples.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from benchmarks.simulate import region_survival
from pathfuse.distributions.likelihood import floor_log_prob, log_softmax
from pathfuse.endpoints.base import Endpoint
from pathfuse.endpoints.multiclass import Multiclass
from pathfuse.endpoints.multilabel import Multilabel
from pathfuse.endpoints.regression import Regression
from pathfuse.endpoints.survival import Survival
from pathfuse.evaluation.censoring import Censoring
from pathfuse.evaluation.evaluate import evaluate_tasks
from pathfuse.evaluation.judged import Judged
from pathfuse.evaluation.metrics.registry import metric
from pathfuse.evaluation.metrics.survival import SurvivalTruth
from pathfuse.evaluation.rules import Rules
from pathfuse.fusion.categorical.best_expert import BestExpert
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.fusion.categorical.mean_probability import MeanProbability
from pathfuse.fusion.categorical.uniform_product import UniformProduct
from pathfuse.study.study import parse_edges, read_study
from pathfuse.workflows.steps.evaluating import judged_rows

SEED = 7
N_POPULATION = 20_000
SIZES = (15, 60, 200)
STUDIES = Path(__file__).parents[2] / "shared" / "data" / "studies"
MULTICLASS = ("bloodmnist", "breastmnist", "elephant", "kather", "tiger", "wdbc")
SURVIVAL = (
    "survival_blca",
    "survival_brca",
    "survival_coadread",
    "survival_gbmlgg",
    "survival_kirc",
    "survival_lusc",
)
WITHIN = 0.5
"""Share of the noise that the rows of one patient have in common."""
Row = dict[str, object]


@dataclass(frozen=True)
class Population:
    """Patients to draw from; every task has the same rows of the same patients."""

    name: str
    endpoint: Endpoint
    tasks: dict[str, Judged]
    contrasts: tuple[tuple[str, str], ...]

    def sample(self, n_patients: int, rng: np.random.Generator) -> dict[str, Judged]:
        """Patients drawn with replacement, each a new one."""
        some = next(iter(self.tasks.values()))
        rows_of = _rows_by_patient(some.patients)
        drawn = rng.integers(len(rows_of), size=n_patients)
        rows = np.concatenate([rows_of[p] for p in drawn])
        numbers = np.repeat(np.arange(n_patients), [len(rows_of[p]) for p in drawn])
        return {output: _at(judged, rows, numbers) for output, judged in self.tasks.items()}


def _rows_by_patient(patients: np.ndarray) -> list[np.ndarray]:
    order = np.argsort(patients, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(patients[order])) + 1)


def _at(judged: Judged, rows: np.ndarray, patients: np.ndarray) -> Judged:
    return replace(
        judged,
        observed=judged.observed[rows],
        patients=patients,
        folds=np.zeros(len(rows), dtype=np.int64),
        predictions={name: predictions[rows] for name, predictions in judged.predictions.items()},
        context=None if judged.context is None else judged.context.at(rows),
    )


def coverage(repetitions: int = 400, n_resamples: int = 600) -> list[Row]:
    """The table: one line per population, number of patients, kind and metric; the ECE has no
    interval."""
    cells = [
        (make, number, n) for number, (make, sizes) in enumerate(_populations()) for n in sizes
    ]
    cells.sort(key=lambda cell: -cell[2])
    work = Parallel(n_jobs=2)(delayed(_cell)(*cell, repetitions, n_resamples) for cell in cells)
    rows = [row for part in work for row in part]
    return sorted(
        rows, key=lambda row: (str(row["population"]), int(str(row["patients"])), str(row["kind"]))
    )


def summary(rows: list[Row]) -> list[Row]:
    """Smallest, mean and largest coverage over metrics, per population, number of patients and
    kind."""
    frame = pl.DataFrame(rows, infer_schema_length=None)
    keys = ["population", "patients", "kind"]
    covered = pl.col("coverage")
    lowest_metric = pl.col("metric").sort_by("coverage").first().alias("lowest_metric")
    table = frame.group_by(keys).agg(covered.min().alias("lowest"), lowest_metric, covered.mean().alias("mean"),
                                     covered.max().alias("highest"))  # fmt: skip
    return table.sort(keys).to_dicts()


def _cell(
    make: Callable[[], Population], number: int, n_patients: int, repetitions: int, n_resamples: int
) -> list[Row]:
    population = make()
    rng = np.random.default_rng([SEED, number, n_patients])
    covered: dict[tuple[str, str, str], list[float]] = {}
    with threadpool_limits(1):
        truth = _figures(population, population.tasks, Rules(0))
        for repetition in range(repetitions):
            sample = population.sample(n_patients, rng)
            found = _figures(population, sample, Rules(n_resamples, repetition))
            for key, (_, low, high) in found.items():
                inside = float(low <= truth[key][0] <= high) if np.isfinite(low) else np.nan
                kind, output, metric = key[0], key[-2], key[-1]
                covered.setdefault((kind, output, metric), []).append(inside)
    return [
        {
            "population": population.name,
            "patients": n_patients,
            "kind": kind,
            "output": output,
            "metric": metric,
            "coverage": float(np.nanmean(values)) if np.isfinite(values).any() else None,
            "refused": float(np.isnan(values).mean()),
            "intervals": int(np.isfinite(values).sum()),
        }
        for (kind, output, metric), values in covered.items()
    ]


def _figures(
    population: Population, tasks: dict[str, Judged], rules: Rules
) -> dict[tuple[str, ...], tuple[float, float, float]]:
    """Value and interval of every figure and paired difference, of ``all`` where there are several
    tasks."""
    verdict = evaluate_tasks(population.endpoint, tasks, population.contrasts, rules)
    wanted = {name for pair in population.contrasts for name in pair}
    found: dict[tuple[str, ...], tuple[float, float, float]] = {}
    for m in verdict.metrics:
        if m.method in wanted and m.output == "all" and not metric(m.metric).no_interval:
            found["absolute", m.method, m.output, m.metric] = m.value, m.ci_low, m.ci_high
    for c in verdict.comparisons:
        if c.output == "all" and not metric(c.metric).no_interval:
            found["paired", c.method, c.reference, c.output, c.metric] = (
                c.difference,
                c.ci_low,
                c.ci_high,
            )
    return found


def _populations() -> Iterator[tuple[Callable[[], Population], tuple[int, ...]]]:
    for rows in (1, 3):
        yield (lambda rows=rows: classes(2, rows)), SIZES
        yield (lambda rows=rows: classes(3, rows)), SIZES
        yield (lambda rows=rows: labels(rows)), SIZES
        yield (lambda rows=rows: follow_up(rows)), SIZES
        yield (lambda rows=rows: expression(rows)), SIZES
    for name in (*MULTICLASS, *SURVIVAL):
        if (STUDIES / name).is_dir():
            population = study(name)
            n = len(np.unique(next(iter(population.tasks.values())).patients))
            yield (lambda name=name: study(name)), (min(n, 200),)


PAIR = (("one", "other"),)


def _noise(
    rng: np.random.Generator, patients: np.ndarray, width: tuple[int, ...], rows: int
) -> np.ndarray:
    """Standard normal; the rows of a patient share a part."""
    shared = rng.normal(size=(N_POPULATION, *width))[patients]
    within = WITHIN if rows > 1 else 0.0
    return np.sqrt(within) * shared + np.sqrt(1 - within) * rng.normal(size=(len(patients), *width))


def _two(
    rng: np.random.Generator, patients: np.ndarray, signal: np.ndarray, rows: int
) -> dict[str, np.ndarray]:
    """Scores of two methods of unequal skill and scale, with a common part of the noise."""
    common = _noise(rng, patients, signal.shape[1:], rows)
    own = [_noise(rng, patients, signal.shape[1:], rows) for _ in range(2)]
    scores = [
        skill * signal + 0.7 * common + 0.7 * noise
        for skill, noise in zip((1.5, 1.2), own, strict=True)
    ]
    return {"one": scores[0], "other": 1.6 * scores[1]}


def classes(k: int, rows: int) -> Population:
    """Classes of unequal frequency; of several rows of a patient each has a class of its own
    (tiles)."""
    rng = np.random.default_rng([SEED, 1, k, rows])
    patients = np.repeat(np.arange(N_POPULATION), rows)
    frequency = np.array([0.65, 0.35] if k == 2 else [0.5, 0.35, 0.15])
    truth = rng.choice(k, size=len(patients), p=frequency)
    scores = _two(rng, patients, np.eye(k)[truth], rows)
    predictions = {
        name: floor_log_prob(log_softmax(s + np.log(frequency))) for name, s in scores.items()
    }
    judged = Judged(np.eye(k, dtype=bool)[truth], patients, np.zeros_like(patients), predictions)
    return Population(
        f"{k} classes, {rows} rows", Multiclass(tuple("abc"[:k])), {"all": judged}, PAIR
    )


def labels(rows: int) -> Population:
    """Two labels, of 40 % and 20 %."""
    rng = np.random.default_rng([SEED, 2, rows])
    patients, tasks = np.repeat(np.arange(N_POPULATION), rows), {}
    for name, frequency in (("braf", 0.4), ("kras", 0.2)):
        truth = (rng.random(len(patients)) < frequency).astype(int)
        scores = _two(rng, patients, np.eye(2)[truth], rows)
        prior = np.log([1 - frequency, frequency])
        predictions = {n: floor_log_prob(log_softmax(s + prior)) for n, s in scores.items()}
        tasks[name] = Judged(
            np.eye(2, dtype=bool)[truth], patients, np.zeros_like(patients), predictions
        )
    return Population(f"2 labels, {rows} rows", Multilabel(("braf", "kras")), tasks, PAIR)


def follow_up(rows: int) -> Population:
    """Discrete-time survival; the slides of a patient share its follow-up, and differ in what is
    predicted."""
    size = N_POPULATION // 20  # every pair of rows is compared
    task = region_survival(size, 2 * rows, 4, SEED + rows)
    patients = np.repeat(np.arange(size), rows)
    log_prob = task.experts.log_prob.reshape(size, 2, rows, -1)
    predictions = {
        name: log_prob[:, m].reshape(size * rows, -1) for m, name in enumerate(("one", "other"))
    }
    time, event = task.time[patients], task.event[patients].astype(np.float64)
    edges = np.arange(5.0)
    fitted = region_survival(400, 2, 4, SEED + 100)
    censoring = Censoring.fit(fitted.time, fitted.event.astype(np.float64))
    context = SurvivalTruth(time, event, edges, (censoring,))
    judged = Judged(
        task.observed[patients], patients, np.zeros_like(patients), predictions, context
    )
    return Population(
        f"survival, {rows} rows", Survival(tuple(edges.tolist())), {"all": judged}, PAIR
    )


def expression(rows: int) -> Population:
    """Two targets with stated variances."""
    rng = np.random.default_rng([SEED, 3, rows])
    patients, tasks = np.repeat(np.arange(N_POPULATION), rows), {}
    for name in ("cd3e", "erbb2"):
        truth = _noise(rng, patients, (1,), rows)
        means = _two(rng, patients, truth, rows)
        predictions = {
            n: np.concatenate([m / 2, np.full_like(m, 0.6)], axis=1) for n, m in means.items()
        }
        tasks[name] = Judged(truth, patients, np.zeros_like(patients), predictions)
    return Population(f"2 targets, {rows} rows", Regression(("cd3e", "erbb2")), tasks, PAIR)


def study(name: str) -> Population:
    """The test rows of a development study: the uniform product, and two methods against it."""
    place = STUDIES / name
    edges = place / "time_edges.txt"
    read = read_study(
        place / "samples.csv",
        [place / "predictions"],
        time_edges=parse_edges(edges.read_text().strip(), str(edges)) if edges.exists() else None,
    )
    fit, test = (
        read.scored("all", np.flatnonzero(read.samples.roles == role)) for role in ("fit", "test")
    )
    logits = read.logits("all", read.frequency("all", fit))
    experts = Experts.from_logits(logits[test])
    methods = {
        "mean_probability": MeanProbability(),
        "uniform_product": UniformProduct(),
        "best_expert": BestExpert(),
    }
    known, observed = Experts.from_logits(logits[fit]), read.truth["all"].observed[fit]
    predictions = {
        name: method.fit_experts(known, observed, fit).combine(experts)
        for name, method in methods.items()
    }
    tasks = judged_rows(read, "all", [(fit, test)], [predictions], "sample")
    contrasts = (("best_expert", "uniform_product"), ("mean_probability", "uniform_product"))
    return Population(name, read.endpoint, tasks, contrasts)


if __name__ == "__main__":
    table = coverage(*(int(number) for number in sys.argv[1:]))
    with pl.Config(tbl_rows=-1, tbl_cols=-1, fmt_str_lengths=80, tbl_width_chars=160):
        print(pl.DataFrame(table, infer_schema_length=None))
        print(pl.DataFrame(summary(table)))
