"""Sound studies to plant faults in."""

from typing import NamedTuple

import numpy as np
import polars as pl
import pytest

EDGES = (0.0, 12.0, 24.0, 48.0, np.inf)


class Made(NamedTuple):
    """A study in memory that no check has anything to say about."""

    samples: pl.DataFrame
    experts: dict[str, pl.DataFrame]
    edges: tuple[float, ...] | None = None


def classes(n: int = 240, n_classes: int = 3, seed: int = 0) -> Made:
    """Three experts of some classes; every other row is a fit row."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(n_classes, size=n)
    ids = [f"s{i:03d}" for i in range(n)]
    names = [f"c{k}" for k in range(n_classes)]
    samples = pl.DataFrame(
        {
            "sample_id": ids,
            "split": ["fit", "test"] * (n // 2),
            "label": [names[k] for k in truth],
        }
    )
    experts = {}
    for expert, strength in (("conch", 1.2), ("uni", 1.6), ("virchow2", 2.0)):
        logits = rng.normal(size=(n, n_classes)) + strength * np.eye(n_classes)[truth]
        experts[expert] = pl.DataFrame(
            {"sample_id": ids, **{f"logit_{c}": logits[:, k] for k, c in enumerate(names)}}
        )
    return Made(samples, experts)


def survival(n: int = 300, seed: int = 0) -> Made:
    """Two experts with the risk that times were drawn from, in months."""
    rng = np.random.default_rng(seed)
    risk = rng.normal(size=n)
    time = rng.exponential(36 * np.exp(-1.2 * risk)) + 0.5
    censored = rng.uniform(6, 90, n)
    ids = [f"s{i:03d}" for i in range(n)]
    samples = pl.DataFrame(
        {
            "sample_id": ids,
            "split": ["fit", "fit", "test"] * (n // 3),
            "time": np.minimum(time, censored).round(2),
            "event": (time <= censored).astype(int),
        }
    )
    experts = {}
    for expert, noise in (("conch", 0.9), ("uni", 0.6)):
        logit = 0.9 * (risk + rng.normal(scale=noise, size=n)) - 1.1
        jitter = rng.normal(scale=0.05, size=(n, 4))
        experts[expert] = pl.DataFrame(
            {
                "sample_id": ids,
                **{f"hazard_logit_{k + 1}": logit + jitter[:, k] for k in range(4)},
            }
        )
    return Made(samples, experts, EDGES)


def numbers(n: int = 240, seed: int = 0) -> Made:
    """Two experts of two genes, 24 patients."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(n, 2))
    ids = [f"s{i:03d}" for i in range(n)]
    patients = np.arange(n) // 10
    samples = pl.DataFrame(
        {
            "sample_id": ids,
            "patient_id": [f"p{k}" for k in patients],
            "split": ["fit" if k % 2 else "test" for k in patients],
            "target_a": truth[:, 0],
            "target_b": truth[:, 1],
        }
    )
    experts = {}
    for expert in ("conch", "uni"):
        mean = truth + rng.normal(size=(n, 2))
        experts[expert] = pl.DataFrame(
            {"sample_id": ids, "mean_a": mean[:, 0], "mean_b": mean[:, 1]}
        )
    return Made(samples, experts)


def labels(n: int = 240, seed: int = 0) -> Made:
    """Two experts of three labels, of which some are not known."""
    rng = np.random.default_rng(seed)
    truth = (rng.random((n, 3)) < [0.5, 0.4, 0.3]).astype(int)
    ids = [f"s{i:03d}" for i in range(n)]
    cells = {
        f"label_{name}": [None if i % 17 == k else int(truth[i, k]) for i in range(n)]
        for k, name in enumerate("abc")
    }
    samples = pl.DataFrame({"sample_id": ids, "split": ["fit", "test"] * (n // 2), **cells})
    experts = {}
    for expert, strength in (("conch", 1.5), ("uni", 2.0)):
        logit = rng.normal(size=(n, 3)) + strength * (2 * truth - 1)
        columns = {f"logit_{name}": logit[:, k] for k, name in enumerate("abc")}
        experts[expert] = pl.DataFrame({"sample_id": ids, **columns})
    return Made(samples, experts)


def in_folds() -> Made:
    """Two classes in four folds, no roles."""
    made = classes(n_classes=2)
    fold = pl.Series("fold", np.arange(made.samples.height) % 4)
    return made._replace(samples=made.samples.drop("split").with_columns(fold))


@pytest.fixture
def sound():
    """Studies by the kind of their endpoint."""
    return {
        "two classes": classes(n_classes=2),
        "classes": classes(),
        "labels": labels(),
        "survival": survival(),
        "numbers": numbers(),
        "folds": in_folds(),
    }
