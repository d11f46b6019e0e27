"""Pixels to fit a fusion on: a seeded sample of held-out images, stratified by class, grouped by
patient.

Neighbouring pixels are nearly the same, so a few thousand hold what millions would. The weights
of a product have no bias towards a class; how the sample is divided over classes decides only whose
errors count how much.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, UInt8

from pathfuse.dense.data.images import value_counts
from pathfuse.dense.data.logit_files import LogitFiles
from pathfuse.dense.data.records import IGNORE, Item
from pathfuse.dense.evaluation.confusion import Confusions, confusion
from pathfuse.dense.evaluation.masks import read_truth
from pathfuse.dense.fusion.local_gate import experts_of
from pathfuse.errors import InputError
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.types import Observed

CountsByClass = Int[np.ndarray, "image klass"]


@dataclass(frozen=True)
class FitPixels:
    """What a fusion is fitted on, and how the models did on the whole images that it comes from."""

    experts: Experts
    observed: Observed
    groups: Int[np.ndarray, " pixel"]
    """Patients, 0..P-1."""
    per_class: Int[np.ndarray, " klass"]
    """Sampled pixels of each class."""
    cms: dict[str, Confusions]
    """Per model, on all pixels of the fit images; all 0 where it did not score the image."""
    scored: dict[str, np.ndarray]
    """Per model, Bool, (image,)."""


def sample_pixels(
    files: LogitFiles,
    items: Sequence[Item],
    n_pixels: int,
    balance: float,
    pool_px: int,
    seed: int,
    ignore: int = IGNORE,
) -> FitPixels:
    """Draws pixels of the fit images and reads the models' logits of them.

    Args:
        files: The models' logits; some model scored each image.
        items: Fit images with masks.
        n_pixels: How many in all; fewer if there are not as many.
        balance: 0: classes as frequent as in the images; 1: equally frequent; in between their
            frequency to the power 1 - balance.
        pool_px: Side of the square over which gate features are averaged; 1: none.
        seed: Of the draw.
        ignore: Value of the masks where pixels do not count.

    Raises:
        InputError: A mask or a file of logits is wrong, or no pixel counts.
    """
    counts = np.stack([_class_counts(files, item, ignore) for item in items])
    quotas = class_quotas(counts.sum(axis=0), n_pixels, balance)
    if not quotas.any():
        raise InputError(
            "the fit images have no pixel that counts: their masks say to ignore every pixel"
        )
    shares = image_shares(counts, quotas, np.random.default_rng(seed))
    k, names = files.n_classes, list(files.folders)
    cms = {name: np.zeros((len(items), k, k), dtype=np.int64) for name in names}
    logits, truth, image_of = [], [], []
    for i, item in enumerate(items):
        mask = _mask(files, item, ignore)
        ranks = [np.sort(_draw(counts[i, c], shares[i, c], [seed, i, c])) for c in range(k)]
        for rows, experts, strip_logits in experts_of(files, item.image_id, pool_px):
            strip = mask[rows].ravel()
            for m, name in enumerate(names):
                if experts.present[0, m]:
                    predicted = strip_logits[:, m].argmax(axis=1)
                    cms[name][i] += confusion(strip[None], predicted[None], k)
            chosen = _take(strip, ranks)
            logits.append(experts.rows(chosen))
            truth.append(strip[chosen])
            image_of.append(np.full(len(chosen), i))
    labels, image = np.concatenate(truth), np.concatenate(image_of)
    patients = np.unique([item.patient_id for item in items], return_inverse=True)[1].reshape(-1)
    scored = {
        name: np.array([name in files.models(item.image_id) for item in items]) for name in names
    }
    observed = np.eye(k, dtype=bool)[labels]
    return FitPixels(
        _join(logits), observed, patients[image], np.bincount(labels, minlength=k), cms, scored
    )


def class_quotas(
    totals: Int[np.ndarray, " klass"], n_pixels: int, balance: float
) -> Int[np.ndarray, " klass"]:
    """How many pixels of each class to draw; what a rare class cannot give goes to the others.

    Examples:
        >>> class_quotas(np.array([9000, 900, 100, 0]), 300, 0.0).tolist()
        [270, 27, 3, 0]
        >>> class_quotas(np.array([9000, 900, 10, 0]), 300, 1.0).tolist()
        [145, 145, 10, 0]
    """
    quota = np.zeros(len(totals), dtype=np.int64)
    weight = np.where(totals > 0, np.maximum(totals, 1).astype(np.float64) ** (1 - balance), 0.0)
    open_ = totals > 0
    while open_.any():
        want = (n_pixels - quota.sum()) * weight * open_ / (weight * open_).sum()
        full = open_ & (want >= totals)
        if not full.any():
            quota[open_] = np.maximum(1, np.floor(want[open_] + 1e-9))
            break
        quota[full] = totals[full]
        open_ &= ~full
    return quota


def image_shares(
    counts: CountsByClass, quotas: Int[np.ndarray, " klass"], rng: np.random.Generator
) -> CountsByClass:
    """Divides each class's quota over images in proportion to their pixels of it (systematic
    sampling: unbiased).
    """
    shares = np.zeros_like(counts)
    for c, (own, quota) in enumerate(zip(counts.T, quotas, strict=True)):
        if quota:
            edges = np.floor(
                np.concatenate([[0.0], own.cumsum() * (quota / own.sum())]) + rng.random()
            )
            shares[:, c] = np.minimum(np.diff(edges).astype(np.int64), own)
    return shares


def _draw(count: int, n: int, key: Sequence[int]) -> Int[np.ndarray, " chosen"]:
    """Which of an image's pixels of one class, by their order from top left."""
    return (
        np.random.default_rng(key).choice(count, size=n, replace=False)
        if n
        else np.zeros(0, dtype=np.int64)
    )


def _take(
    strip: UInt8[np.ndarray, " pixel"], ranks: list[Int[np.ndarray, " chosen"]]
) -> Int[np.ndarray, " chosen"]:
    """The chosen pixels of one strip; ``ranks`` then count from the next strip on."""
    found = []
    for c, wanted in enumerate(ranks):
        if not len(wanted):
            continue
        there = np.flatnonzero(strip == c)
        inside = int(np.searchsorted(wanted, len(there)))
        found.append(there[wanted[:inside]])
        ranks[c] = wanted[inside:] - len(there)
    return np.sort(np.concatenate(found)) if found else np.zeros(0, dtype=np.int64)


def _join(parts: list[Experts]) -> Experts:
    context = [part.context for part in parts if part.context is not None]
    return Experts(
        np.concatenate([part.log_prob for part in parts]),
        np.concatenate([part.present for part in parts]),
        np.concatenate(context) if context else None,
    )


def _mask(files: LogitFiles, item: Item, ignore: int) -> UInt8[np.ndarray, "height width"]:
    mask = read_truth(item, files.n_classes, ignore)
    return check_size(mask, files.shape(item.image_id), item)


def check_size(
    mask: UInt8[np.ndarray, "height width"], shape: tuple[int, int], item: Item
) -> UInt8[np.ndarray, "height width"]:
    """The mask, if its size is that of the logits.

    Raises:
        InputError: It is not.
    """
    if mask.shape != shape:
        raise InputError(
            f"the mask {item.mask} has {mask.shape[0]} x {mask.shape[1]} pixels, but the logits of image "
            f"'{item.image_id}' have {shape[0]} x {shape[1]}; logits must have the size of the image"
        )
    return mask


def _class_counts(files: LogitFiles, item: Item, ignore: int) -> Int[np.ndarray, " klass"]:
    return value_counts(_mask(files, item, ignore))[: files.n_classes]
