"""Pixels to fit a fusion on: a seeded sample of held-out images, stratified by class, grouped by
patient.

Neighbouring pixels are nearly the same, so a few thousand hold what millions would. The weights
of a product have no bias towards a class; how the sample is divided over classes decides only whose
errors count how much. A regression has such a bias, and is told how frequent the classes are
(``FitData.log_prior``).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int, UInt8
from joblib import delayed

from pathfuse.dense.data.images import value_counts
from pathfuse.dense.data.logit_files import LogitFiles
from pathfuse.dense.data.records import IGNORE, Item
from pathfuse.dense.evaluation.confusion import Confusions
from pathfuse.dense.evaluation.masks import read_truth
from pathfuse.dense.evaluation.metrics import MEAN_DICE, metrics
from pathfuse.dense.fusion.methods.base import FitData
from pathfuse.dense.fusion.pixel_counts import PixelCounter
from pathfuse.dense.fusion.strips import pixel_strips
from pathfuse.errors import InputError
from pathfuse.fusion.categorical.experts import Experts
from pathfuse.types import Observed
from pathfuse.workers import in_parallel

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
    patients: Int[np.ndarray, " image"]
    """Patients of the images, numbered as in ``groups``."""
    counts: CountsByClass
    """All pixels of each class, (image, class)."""

    def data(self, images: Bool[np.ndarray, " image"] | None = None) -> FitData:
        """What methods are fitted on: the pixels of all images, or of those of some patients."""
        if images is None:
            images = np.ones(len(self.patients), dtype=bool)
        rows = np.flatnonzero(np.isin(self.groups, self.patients[images]))
        observed = self.observed[rows]
        sampled, true = observed.sum(axis=0), self.counts[images].sum(axis=0)
        seen = (sampled > 0) & (true > 0)
        ratio = np.where(seen, true, 1) / np.where(seen, sampled, 1)
        log_prior = np.where(seen, np.log(ratio * sampled.sum() / max(1, true.sum())), 0.0)
        experts = self.experts if len(rows) == len(self.groups) else self.experts.rows(rows)
        names = list(self.cms)
        order = tuple(names.index(name) for name in self.order(images))
        return FitData(experts, observed, self.groups[rows], log_prior, order)

    def order(self, images: Bool[np.ndarray, " image"] | None = None) -> tuple[str, ...]:
        """Models from best to worst by mean Dice on those of the images that all scored.

        On their own ones if there is none.
        """
        if images is None:
            images = np.ones(len(self.patients), dtype=bool)
        common = images & np.logical_and.reduce(list(self.scored.values()))
        dice = {}
        for name, cms in self.cms.items():
            own = cms[common if common.any() else self.scored[name] & images].sum(axis=0)
            dice[name] = float(np.nan_to_num(metrics(own)[MEAN_DICE.name]))
        return tuple(sorted(dice, key=lambda name: -dice[name]))


def sample_pixels(
    files: LogitFiles,
    items: Sequence[Item],
    n_pixels: int,
    balance: float,
    pool_px: int,
    seed: int,
    ignore: int = IGNORE,
    n_jobs: int | None = None,
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
        n_jobs: Images at a time, as in joblib; what is drawn does not depend on it.

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
    tasks = (
        delayed(_one_image)(files, item, counts[i], shares[i], pool_px, [seed, i], ignore)
        for i, item in enumerate(items)
    )
    experts, truth, cms = zip(*in_parallel(n_jobs, tasks), strict=True)
    labels = np.concatenate(truth)
    image = np.repeat(np.arange(len(items)), [len(own) for own in truth])
    patients = np.unique([item.patient_id for item in items], return_inverse=True)[1].reshape(-1)
    return FitPixels(
        experts=_join(experts),
        observed=np.eye(k, dtype=bool)[labels],
        groups=patients[image],
        per_class=np.bincount(labels, minlength=k),
        cms={name: np.stack([own[m] for own in cms]) for m, name in enumerate(names)},
        scored={
            name: np.array([name in files.models(item.image_id) for item in items])
            for name in names
        },
        patients=patients,
        counts=counts,
    )


def _one_image(
    files: LogitFiles,
    item: Item,
    counts: Int[np.ndarray, " klass"],
    shares: Int[np.ndarray, " klass"],
    pool_px: int,
    key: list[int],
    ignore: int,
) -> tuple[Experts, UInt8[np.ndarray, " chosen"], Confusions]:
    """The chosen pixels of one image and their truth; how each model did on all of it."""
    mask, k = read_mask_of(files, item, ignore), files.n_classes
    ranks = [np.sort(_draw(counts[c], shares[c], [*key, c])) for c in range(k)]
    cms = np.zeros((len(files.folders), k, k), dtype=np.int64)
    experts, truth = [], []
    for strip in pixel_strips(files, item.image_id, pool_px):
        labels = mask[strip.rows].ravel()
        count = PixelCounter(labels, k)
        for m in np.flatnonzero(strip.present):
            cms[m] += count.confusion(strip.decisions[m])
        chosen = _take(labels, ranks)
        experts.append(strip.experts_at(chosen))
        truth.append(labels[chosen])
    return _join(experts), np.concatenate(truth), cms


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


def _join(parts: Sequence[Experts]) -> Experts:
    context = [part.context for part in parts if part.context is not None]
    return Experts(
        np.concatenate([part.log_prob for part in parts]),
        np.concatenate([part.present for part in parts]),
        np.concatenate(context) if context else None,
    )


def read_mask_of(files: LogitFiles, item: Item, ignore: int) -> UInt8[np.ndarray, "height width"]:
    """The classes of an image, 255 where a pixel does not count, of the size of its logits.

    Raises:
        InputError: There is no mask, or it is wrong.
    """
    if item.mask is None:
        raise InputError(f"image '{item.image_id}' has no mask")
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
    return value_counts(read_mask_of(files, item, ignore))[: files.n_classes]
