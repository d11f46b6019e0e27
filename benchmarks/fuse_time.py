"""CPU time of a whole ``pathfuse.fuse`` run: many targets, and more and more experts."""

import time

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

import pathfuse
from benchmarks.simulate import region_experts
from pathfuse.study.study import Study

EXPERTS = (5, 10, 20, 30)


def regression_study(
    n_targets: int, n_experts: int, n_fit: int = 1000, n_test: int = 1000
) -> Study:
    """A made-up study of correlated targets: experts with biases, scales and sds of their own.

    Targets are mixtures of ten hidden factors and noise. An expert sees each target with an error
    whose size depends on expert and target, a third of it shared, and states a sd that is right up
    to a factor of its own.
    """
    rng = np.random.default_rng([n_targets, n_experts])
    n = n_fit + n_test
    loadings = rng.normal(size=(10, n_targets)) / np.sqrt(10)
    truth = rng.normal(size=(n, 10)) @ loadings + 0.5 * rng.normal(size=(n, n_targets))
    shared = rng.normal(size=(n, n_targets))
    ids = [f"s{i:05d}" for i in range(n)]
    genes = [f"g{g:04d}" for g in range(n_targets)]
    split = ["fit"] * n_fit + ["test"] * n_test
    columns = {f"target_{gene}": truth[:, g] for g, gene in enumerate(genes)}
    samples = pl.DataFrame({"sample_id": ids, "split": split, **columns})
    experts = {}
    for m in range(n_experts):
        size = rng.uniform(0.5, 1.2) * rng.uniform(0.7, 1.3, n_targets)
        sharp = size * rng.uniform(0.6, 1.4, (n, 1))
        noise = np.sqrt(1 / 3) * shared + np.sqrt(2 / 3) * rng.normal(size=(n, n_targets))
        mean, sd = truth + sharp * noise, sharp * rng.uniform(0.6, 1.2)
        said = {f"mean_{gene}": mean[:, g] for g, gene in enumerate(genes)}
        said |= {f"sd_{gene}": sd[:, g] for g, gene in enumerate(genes)}
        experts[f"expert_{m:02d}"] = pl.DataFrame({"sample_id": ids, **said})
    return pathfuse.read_study(samples, experts)


def class_study(n_experts: int, n_fit: int = 800, n_test: int = 800, n_classes: int = 3) -> Study:
    """``region_experts`` as a study."""
    logits, y = region_experts(n_fit + n_test, n_experts, n_classes, seed=42)
    ids = [f"s{i:05d}" for i in range(n_fit + n_test)]
    names = [f"class_{k}" for k in range(n_classes)]
    split = ["fit"] * n_fit + ["test"] * n_test
    samples = pl.DataFrame({"sample_id": ids, "split": split, "label": [names[k] for k in y]})
    experts = {
        f"expert_{m:02d}": pl.DataFrame(
            {"sample_id": ids} | {f"logit_{c}": logits[:, m, k] for k, c in enumerate(names)}
        )
        for m in range(n_experts)
    }
    return pathfuse.read_study(samples, experts)


def cpu_seconds(study: Study) -> float:
    """Of one run with all defaults, on one thread."""
    with threadpool_limits(1):
        start = time.process_time()
        pathfuse.fuse(study)
        return time.process_time() - start


def fuse_time() -> list[dict[str, object]]:
    """400 targets by 5 experts; then 50 targets, and 3 classes, by 5 to 30 experts."""
    rows = [_row("regression, 400 targets", 5, cpu_seconds(regression_study(400, 5)), None)]
    studies = {
        "regression, 50 targets": lambda m: regression_study(50, m),
        "3 classes, 800 fit rows": class_study,
    }
    for what, make in studies.items():
        first = None
        for m in EXPERTS:
            seconds = cpu_seconds(make(m))
            first = first or seconds
            rows.append(_row(what, m, seconds, seconds / (first * m / EXPERTS[0])))
    return rows


def _row(what: str, n_experts: int, seconds: float, ratio: float | None) -> dict[str, object]:
    return {
        "study": what,
        "experts": n_experts,
        "cpu_seconds": round(seconds, 1),
        "to_linear_growth": None if ratio is None else round(ratio, 2),
    }
