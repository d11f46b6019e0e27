"""Cohorts of every endpoint whose features are cut into three parts, as if of three encoders."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.feature_files import SHARED, write_bags, write_vectors
from benchmarks.porpoise import PLACE, Cases, cases

VIEWS, SEED, MOST = 3, 7, 110
"""MOST samples of each set, so that a training takes less than a second."""
FLAGS = ("TP53", "PIK3CA")
GENES = 4
"""Targets of the regression: the genes whose expression varies most in the middle half of cases."""


@dataclass(frozen=True)
class SmallCohort:
    """Samples, their truth, and three parts of their features."""

    endpoint: str
    head: str
    truth: pl.DataFrame
    """``sample_id``, sorted, and the target columns."""
    strata: np.ndarray
    """What fit and new samples have in equal shares, Int, (sample,)."""
    write: Callable[[Path], dict[str, Path]]
    """Writes the features into a folder and says where each part is."""
    recipe: dict[str, Any] = field(default_factory=dict)
    """Widths that differ from the head's default."""
    edges: tuple[float, ...] | None = None
    """Of survival."""


def bag_set(name: str) -> SmallCohort:
    """One of the classic sets of bags."""
    with np.load(SHARED / "mil_benchmarks" / f"{name}.npz") as data:
        features, bag, label = data["X"], data["bag"], data["bag_label"].astype(np.int64)
    drawn = np.sort(np.random.default_rng(SEED).permutation(len(label))[:MOST])
    label = label[drawn]
    ids = [f"{i:05d}" for i in range(len(label))]

    def write(place: Path) -> dict[str, Path]:
        found = {}
        for k, columns in enumerate(_parts(features.shape[1])):
            bags = [features[bag == i][:, columns] for i in drawn]
            found[f"part_{k}"] = place / f"part_{k}"
            write_bags(bags, label, found[f"part_{k}"])
        return found

    truth = pl.DataFrame({"sample_id": ids, "label": label.astype(str)})
    return SmallCohort("classes", "abmil", truth, label, write, {"hidden": 128, "attention": 32})


def survival(cancer: str) -> SmallCohort:
    """Survival from expression, in four bins with equally many events."""
    found = cases(cancer, MOST)
    time, event = found.table["survival_months"].to_numpy(), found.table["event"].to_numpy()
    inner = np.quantile(time[event == 1], [0.25, 0.5, 0.75]).round(2).tolist()
    truth = pl.DataFrame({"sample_id": found.ids, "time": time, "event": event})
    return _of_cases("survival", found, truth, event, edges=(0.0, *inner, np.inf))


def mutations(cancer: str) -> SmallCohort:
    """Two mutation flags from expression."""
    found = cases(cancer, MOST)
    flags = {name: found.table[f"{name}_mut"].cast(pl.Int64).to_numpy() for name in FLAGS}
    truth = pl.DataFrame(
        {"sample_id": found.ids, **{f"label_{name}": flags[name] for name in FLAGS}}
    )
    strata = np.sum([2**k * flags[name] for k, name in enumerate(FLAGS)], axis=0)
    return _of_cases("labels", found, truth, strata)


def genes(cancer: str) -> SmallCohort:
    """Expression of some genes from all others; targets in standard deviations, so that no unit
    decides."""
    found = cases(cancer, MOST)
    low, high = np.quantile(found.expression, [0.25, 0.75], axis=0)
    chosen = np.argsort(low - high, kind="stable")[:GENES]
    values = found.expression[:, chosen]
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    truth = pl.DataFrame(
        {"sample_id": found.ids, **{f"target_g{k}": values[:, k] for k in range(GENES)}}
    )
    others = Cases(found.table, np.delete(found.expression, chosen, axis=1))
    return _of_cases("numbers", others, truth, np.zeros(len(values), dtype=np.int64))


def small_cohorts() -> dict[str, Callable[[], SmallCohort]]:
    """How to read each cohort that is there, by name."""
    found: dict[str, Callable[[], SmallCohort]] = {}
    if (SHARED / "mil_benchmarks").is_dir():
        for name in ("musk1", "musk2", "tiger", "elephant"):
            found[name] = lambda name=name: bag_set(name)
    if PLACE.is_dir():
        found["survival_blca"] = lambda: survival("blca")
        found["mutations_brca"] = lambda: mutations("brca")
        found["genes_kirc"] = lambda: genes("kirc")
    return found


def _parts(n: int) -> list[np.ndarray]:
    """Columns of each part, drawn at random."""
    return np.array_split(np.random.default_rng(SEED).permutation(n), VIEWS)


def _of_cases(
    endpoint: str,
    found: Cases,
    truth: pl.DataFrame,
    strata: np.ndarray,
    edges: tuple[float, ...] | None = None,
) -> SmallCohort:
    """A cohort of vectors."""

    def write(place: Path) -> dict[str, Path]:
        parts = enumerate(_parts(found.expression.shape[1]))
        return {
            f"part_{k}": write_vectors(
                found.ids, found.expression[:, columns], place / f"part_{k}.parquet"
            )
            for k, columns in parts
        }

    return SmallCohort(endpoint, "tile_mlp", truth, strata, write, edges=edges)
