"""Frozen features of a small H&E image without any learning: colour, texture, and a random
convolutional encoder."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

Pixels = np.ndarray
"""uint8, (row, column, 3)."""
STAINS = np.linalg.inv([[0.650, 0.704, 0.286], [0.072, 0.990, 0.105], [0.268, 0.570, 0.776]])
"""Optical density to haematoxylin, eosin, residual (Ruifrok and Johnston 2001)."""
QUANTILES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)
N_LEVELS = 16
AROUND = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))
SEED = 0
WIDTHS = (3, 24, 48, 96)


def stains(image: Pixels) -> np.ndarray:
    """Haematoxylin, eosin and the rest, (row, column, 3)."""
    return np.asarray(-np.log10((image.astype(np.float64) + 1) / 256) @ STAINS)


def colour(image: Pixels) -> np.ndarray:
    """Moments, quantiles and histograms of the colour channels and the stains, and their
    correlations."""
    parts = []
    for table, low, high in (
        (image.reshape(-1, 3) / 255.0, 0.0, 1.0),
        (stains(image).reshape(-1, 3), -0.3, 1.5),
    ):
        mean, sd = table.mean(axis=0), table.std(axis=0)
        scaled = (table - mean) / np.where(sd > 1e-8, sd, 1.0)
        parts += [mean, sd, (scaled**3).mean(axis=0), (scaled**4).mean(axis=0)]
        parts.append(np.quantile(table, QUANTILES, axis=0).ravel())
        parts.append((scaled.T @ scaled / len(scaled))[np.triu_indices(3, 1)])
        bins = np.clip((table - low) / (high - low) * N_LEVELS, 0, N_LEVELS - 1).astype(int)
        parts += [np.bincount(one, minlength=N_LEVELS) / len(one) for one in bins.T]
    return np.concatenate(parts)


def texture(image: Pixels) -> np.ndarray:
    """Local binary patterns at three radii and co-occurrence measures at three distances, of
    brightness and nuclei."""
    stain = stains(image)[..., 0]
    parts = [
        patterns(plane, radius) for plane in (image.mean(axis=2), stain) for radius in (1, 2, 4)
    ]
    levels = np.clip(image.mean(axis=2) / 256 * N_LEVELS, 0, N_LEVELS - 1).astype(int)
    darkness = np.clip((stain + 0.3) / 1.8 * N_LEVELS, 0, N_LEVELS - 1).astype(int)
    parts += [co_occurrence(plane, step) for plane in (levels, darkness) for step in (1, 2, 4)]
    return np.concatenate(parts)


def patterns(plane: np.ndarray, radius: int) -> np.ndarray:
    """Histogram of rotation-invariant uniform local binary patterns of 8 neighbours (Ojala et al.
    2002), 10 bins."""
    n, m = plane.shape
    centre = plane[radius : n - radius, radius : m - radius]
    higher = np.stack(
        [
            plane[radius * (1 + i) : n - radius * (1 - i), radius * (1 + j) : m - radius * (1 - j)]
            >= centre
            for i, j in AROUND
        ]
    )
    changes = (higher != np.roll(higher, 1, axis=0)).sum(axis=0)
    code = np.where(changes <= 2, higher.sum(axis=0), len(AROUND) + 1)
    return np.bincount(code.ravel(), minlength=len(AROUND) + 2) / code.size


def co_occurrence(levels: np.ndarray, step: int) -> np.ndarray:
    """Contrast, homogeneity, energy, entropy and correlation of grey levels (Haralick 1973), over
    four directions.

    Mean and range over the directions, so that turning the tile changes nothing.
    """
    n, m = levels.shape
    measures = []
    for down, right in ((0, step), (step, 0), (step, step), (step, -step)):
        first = levels[: n - down, max(0, -right) : m - max(0, right)]
        second = levels[down:, max(0, right) : m - max(0, -right)]
        pairs = np.bincount((first * N_LEVELS + second).ravel(), minlength=N_LEVELS**2).astype(
            float
        )
        joint = pairs.reshape(N_LEVELS, N_LEVELS)
        joint = (joint + joint.T) / (2 * joint.sum())
        i, j = np.indices(joint.shape)
        mean = (i * joint).sum()
        variance = ((i - mean) ** 2 * joint).sum()
        measures.append([
            ((i - j) ** 2 * joint).sum(), (joint / (1 + (i - j) ** 2)).sum(), (joint**2).sum(),
            -(joint * np.log(joint + 1e-12)).sum(),
            ((i - mean) * (j - mean) * joint).sum() / max(variance, 1e-12),
        ])  # fmt: skip
    table = np.array(measures)
    return np.concatenate([table.mean(axis=0), np.ptp(table, axis=0)])


def random_encoder() -> Callable[[Pixels], np.ndarray]:
    """Three convolutions with weights drawn once; means, deviations and maxima of every layer, at
    two scales."""
    generator = torch.Generator().manual_seed(SEED)
    kernels = []
    for inside, outside in pairwise(WIDTHS):
        kernel = torch.randn(outside, inside, 3, 3, generator=generator)
        kernel -= (
            kernel.mean(dim=(2, 3), keepdim=True) if inside == WIDTHS[0] else 0.0
        )  # edges, not brightness
        kernels.append(kernel * (2 / (inside * 9)) ** 0.5)

    def encode(image: Pixels) -> np.ndarray:
        with torch.inference_mode():
            start = torch.from_numpy(image.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
            parts = [
                part
                for scale in (1, 2)
                for part in _layers(functional.avg_pool2d(start, scale), kernels)
            ]
            return torch.cat(parts).double().numpy()

    return encode


def _layers(x: Tensor, kernels: list[Tensor]) -> list[Tensor]:
    parts = []
    for kernel in kernels:
        x = torch.relu(functional.conv2d(x, kernel))
        parts += [x.mean(dim=(2, 3))[0], x.std(dim=(2, 3))[0]]
        x = functional.max_pool2d(x, 2)
    return [*parts, x.amax(dim=(2, 3))[0]]
