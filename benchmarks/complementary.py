"""Fusion of features and of predictions where each encoder sees one part of the truth, in three
made-up worlds.

Four encoders, each with a part of its own of the hidden state, under noise and a random projection:

- "parts add up": the log-odds of a class are a sum over the parts. A product of experts, and a
  linear model of all features, can be exact.
- "parts interact": the log-odds are products of two encoders' parts. No expert alone knows
  anything, so no fusion of predictions can; only a model that reads the features together, and is
  not linear in them, can.
- "own region": every part shows the class, but only in the quarter of the samples that is the
  encoder's region; it also sees whether it is there.

Half of the samples are fitted on, the others judged. Figures are means over seeds of world and
models, with the standard deviation over seeds; ``accuracy_less_pca`` is the paired difference to
principal components and logistic regression of all features. "best single" is chosen on the test
rows, which favours it; "mean single" is the mean of the four, and the last columns are gains over
it in per cent (of the NLL: how much less). Recipes are defaults; "without linear path" is the
Meta-Encoder as it was before. FuseCPath clusters tiles, and there are none.

The worlds have two classes and 16 features since a first try with three and 32, where
self_attention had an accuracy of 0.38 in "parts interact" (the linear models 0.33), 0.87 (0.80) in
"own region" and 0.75 (0.80) in "parts add up".
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
from joblib import Parallel, delayed
from scipy.special import softmax

from benchmarks.class_fusion import class_study
from benchmarks.feature_files import write_vectors
from benchmarks.feature_fusion import (
    FUSECPATH,
    MEAN_SINGLE,
    PCA_RIDGE,
    Row,
    further_rivals,
    gain_in_percent,
    one_core,
)

N, ENCODERS, CLASSES, PART, DIM = 1600, 4, 2, 4, 16
"""Samples, encoders, classes, length of a part of the state and of a feature vector."""
NOISE, GAIN = 0.3, 3.0
"""Spread of a feature's noise where that of its signal is 1, and of the log-odds."""
NEAR, FAR = 2.5, 0.3
"""How far the classes lie apart in the part of an encoder in its region, and elsewhere."""
SEEDS, JOBS = 3, 2
World = Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]
"""Draws the parts, (sample, encoder, PART), and the classes."""


def complementary() -> list[Row]:
    """Mean accuracy and NLL by world and method."""
    runs = [(world, seed) for world in WORLDS for seed in range(SEEDS)]
    found = Parallel(n_jobs=JOBS)(delayed(_study)(world, seed) for world, seed in runs)
    rows: list[Row] = []
    for world in WORLDS:
        rows += _means(
            world, [scores for (name, _), scores in zip(runs, found, strict=True) if name == world]
        )
    return rows


def _add_up(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    parts = rng.normal(size=(N, ENCODERS, PART))
    return parts, _draw(rng, GAIN * parts[:, :, :CLASSES].sum(axis=1) / np.sqrt(ENCODERS))


def _interact(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    parts = rng.normal(size=(N, ENCODERS, PART))
    products = parts[:, 0::2, :CLASSES] * parts[:, 1::2, :CLASSES]
    return parts, _draw(rng, GAIN * products.sum(axis=1) / np.sqrt(ENCODERS / 2))


def _region(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    label, region = rng.integers(CLASSES, size=N), rng.integers(ENCODERS, size=N)
    there = region[:, None] == np.arange(ENCODERS)
    parts = rng.normal(size=(N, ENCODERS, PART))
    parts[:, :, :CLASSES] += (
        np.where(there, NEAR, FAR)[:, :, None] * np.eye(CLASSES)[label][:, None]
    )
    parts[:, :, CLASSES] += NEAR * there
    return parts, label


def _draw(rng: np.random.Generator, log_odds: np.ndarray) -> np.ndarray:
    """A class of each row."""
    return (softmax(log_odds, axis=1).cumsum(axis=1) < rng.random(len(log_odds))[:, None]).sum(
        axis=1
    )


WORLDS: dict[str, World] = {
    "parts add up": _add_up,
    "parts interact": _interact,
    "own region": _region,
}


def _study(world: str, seed: int) -> dict[str, tuple[float, float, float]]:
    """Accuracy, NLL and seconds by method."""
    rng = np.random.default_rng([seed, list(WORLDS).index(world)])
    parts, label = WORLDS[world](rng)
    ids = [f"{n:04d}" for n in range(N)]
    with tempfile.TemporaryDirectory() as folder, one_core():
        place = Path(folder)
        features = {}
        for m in range(ENCODERS):
            seen = parts[:, m] @ rng.normal(0, 1 / np.sqrt(PART), (PART, DIM)) + NOISE * rng.normal(
                size=(N, DIM)
            )
            features[f"encoder_{m + 1}"] = write_vectors(
                ids, seen, place / "features" / f"encoder_{m + 1}.parquet"
            )
        split = ["fit" if n < N // 2 else "test" for n in range(N)]
        samples = pl.DataFrame(
            {"sample_id": ids, "split": split, "label": [f"class_{k}" for k in label]}
        )
        found = class_study(features, samples, place, more=further_rivals())
    truth = np.array([found.classes.index(name) for name in found.test["label"]])
    scores = {}
    for name, predictions in found.held_out.items():
        right = float((predictions.argmax(axis=1) == truth).mean())
        scores[name] = (
            right,
            float(-predictions[np.arange(len(truth)), truth].mean()),
            found.cost[name].wall_s or 0.0,
        )
    best = max(found.singles, key=lambda name: scores[name][0])
    middle = np.mean([scores[name] for name in found.singles], axis=0).tolist()
    return {
        "best single": scores[best],
        MEAN_SINGLE: (middle[0], middle[1], middle[2]),
        **{name: one for name, one in scores.items() if name not in found.singles},
    }


def _means(world: str, runs: list[dict[str, tuple[float, float, float]]]) -> list[Row]:
    rows: list[Row] = []
    single = np.mean([run[MEAN_SINGLE] for run in runs], axis=0)
    for name in runs[0]:
        values, base = (np.array([run[which] for run in runs]) for which in (name, PCA_RIDGE))
        mean, sd, gain = values.mean(axis=0), _sd(values), values - base
        rows.append(
            {
                "world": world,
                "method": name,
                "accuracy": round(float(mean[0]), 4),
                "accuracy_sd": round(float(sd[0]), 4),
                "accuracy_less_pca": round(float(gain[:, 0].mean()), 4),
                "less_sd": round(float(_sd(gain)[0]), 4),
                "nll": round(float(mean[1]), 4),
                "nll_sd": round(float(sd[1]), 4),
                "seconds": round(float(mean[2]), 1),
                "seeds": len(runs),
                "accuracy_gain_percent": gain_in_percent(float(mean[0]), float(single[0])),
                "nll_gain_percent": -gain_in_percent(float(mean[1]), float(single[1])),
            }
        )
    return [*rows, {"world": world, "method": f"{FUSECPATH}: for bags of tiles only"}]


def _sd(values: np.ndarray) -> np.ndarray:
    """Over seeds; 0 of one."""
    return values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros(values.shape[1])
