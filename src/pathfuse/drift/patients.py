"""From samples to patients: the unit of every test."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

Features = Float[np.ndarray, "patient feature"]


def patient_means(
    features: Float[np.ndarray, "sample feature"], patients: Int[np.ndarray, " sample"]
) -> tuple[Features, Int[np.ndarray, " patient"]]:
    """The mean of each patient, and how many samples it has.

    Args:
        features: Of the samples.
        patients: 0..P-1, each with at least one sample.
    """
    size = np.bincount(patients)
    if len(size) == len(patients):
        means = np.empty_like(features)
        means[patients] = features
        return means, size
    order = np.argsort(patients, kind="stable")
    total = np.add.reduceat(features[order], np.cumsum(size) - size, axis=0)
    return total / size[:, None], size


def numbered(names: Sequence[object]) -> Int[np.ndarray, " sample"]:
    """Names as numbers from 0, in the order in which each of them occurs last."""
    last = {name: place for place, name in enumerate(names)}
    ordered = {name: number for number, name in enumerate(sorted(last, key=last.__getitem__))}
    return np.array([ordered[name] for name in names], dtype=np.int64)


def in_blocks(n_samples: int, size: int) -> Int[np.ndarray, " sample"]:
    """Samples of unknown patients in blocks of so many; what is left over joins the last one."""
    n_blocks = max(1, n_samples // size)
    return np.minimum(np.arange(n_samples) // size, n_blocks - 1)
