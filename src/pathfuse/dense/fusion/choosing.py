"""Which method the fused mask is made by: the simplest that is as good as the best on patients it
was not fitted on.

Masks are read image by image, so methods are held against each other by the mean over images of
their Dice, not by a likelihood of pixels: a method may be better there by a ten-thousandth because
it is surer where it is right. The fit images are divided into folds by patient; every method is
fitted on the others, with the settings that it chose, and segments the ones left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from joblib import delayed
from threadpoolctl import threadpool_limits

from pathfuse.dense.data.logit_files import LogitFiles
from pathfuse.dense.data.records import Item
from pathfuse.dense.evaluation.confusion import Confusions
from pathfuse.dense.evaluation.metrics import MEAN_DICE, metrics
from pathfuse.dense.fusion.methods.base import DenseMethod
from pathfuse.dense.fusion.patterns import Patterns
from pathfuse.dense.fusion.pixel_counts import PixelCounter
from pathfuse.dense.fusion.pixel_sample import FitPixels, read_mask_of
from pathfuse.dense.fusion.strips import PixelStrip, pixel_strips
from pathfuse.workers import in_parallel

N_FOLDS = 5
JUDGED_PIXELS = 2**16
"""Of an image, drawn where it has more: a square of 256 pixels; the Dice of a class that takes a
tenth of it is known to about .01, and to less between methods, which are judged on the same ones."""

DiceOfImages = Float[np.ndarray, " image"]


@dataclass(frozen=True)
class HeldOutDice:
    """Of one method, the mean over images that it was not fitted on."""

    mean: float
    standard_error: float
    """Over patients."""
    below_best: float
    """The mean difference of the best method to it, image by image."""
    below_best_standard_error: float
    """Over patients; 0 for the best itself."""


def folds_of(
    patients: Int[np.ndarray, " image"], seed: int
) -> list[Bool[np.ndarray, " image"]] | None:
    """Which images are left out in each fold, by patient; None where there is one patient.

    Examples:
        >>> [fold.tolist() for fold in folds_of(np.array([0, 0, 1]), 0)]
        [[True, True, False], [False, False, True]]
    """
    known = np.unique(patients)
    if len(known) < 2:
        return None
    shuffled = np.random.default_rng(seed).permutation(known)
    parts = np.array_split(shuffled, min(N_FOLDS, len(known)))
    return [np.isin(patients, part) for part in parts]


def held_out_dice(
    methods: Mapping[str, DenseMethod],
    pixels: FitPixels,
    files: LogitFiles,
    items: Sequence[Item],
    folds: Sequence[Bool[np.ndarray, " image"]],
    pool_px: int,
    seed: int,
    ignore: int,
    n_jobs: int | None,
) -> dict[str, DiceOfImages]:
    """Every method's Dice of every fit image, by a fit on other patients.

    Args:
        methods: Fitted on all fit pixels.
        pixels: The fit pixels.
        files: The models' logits.
        items: The fit images, as in ``pixels``.
        folds: From ``folds_of``.
        pool_px: Side of the square over which gate features are averaged.
        seed: Of the pixels that are judged.
        ignore: Value of the masks where pixels do not count.
        n_jobs: Images at a time, as in joblib; nothing depends on it.

    Returns:
        NaN where nothing can be said: the image has no pixel that counts, or the others have none.
    """
    tasks, left_out = [], []
    for fold in folds:
        data = pixels.data(~fold)
        if not len(data.groups):
            continue
        fitted = {name: method.refitted(data) for name, method in methods.items()}
        for i in np.flatnonzero(fold).tolist():
            tasks.append(delayed(judge)(fitted, files, items[i], pool_px, [seed, i], ignore))
            left_out.append(i)
    dice = np.full((len(items), len(methods)), np.nan)
    for i, cms in zip(left_out, in_parallel(n_jobs, tasks), strict=True):
        dice[i] = metrics(cms)[MEAN_DICE.name]
    return dict(zip(methods, dice.T, strict=True))


def judge(
    methods: Mapping[str, DenseMethod],
    files: LogitFiles,
    item: Item,
    pool_px: int,
    key: Sequence[int],
    ignore: int,
) -> Confusions:
    """Confusion matrices of one image's pixels, or of a sample of them, one per method."""
    truth, k = read_mask_of(files, item, ignore).ravel(), files.n_classes
    counts = np.flatnonzero(truth < k)
    if len(counts) > JUDGED_PIXELS:
        rng = np.random.default_rng(key)
        counts = np.sort(rng.choice(counts, size=JUDGED_PIXELS, replace=False))
    patterns, judged = Patterns(k), list[tuple[PixelStrip, PixelCounter]]()
    reads_patterns = any(method.reads_patterns for method in methods.values())
    for strip in pixel_strips(files, item.image_id, pool_px):
        if reads_patterns:
            patterns.add(strip.decisions[strip.present])
        first, last = (row * strip.width for row in (strip.rows.start, strip.rows.stop))
        inside = counts[(counts >= first) & (counts < last)]
        if len(inside):
            judged.append((strip.at(inside - first), PixelCounter(truth[inside], k)))
    cms = np.zeros((len(methods), k, k), dtype=np.int64)
    with threadpool_limits(1):  # small matrices: threads cost time, and must not change a bit
        for own, method in zip(cms, methods.values(), strict=True):
            segmenter = method.of_image(patterns if method.reads_patterns else None)
            for strip, counter in judged:
                own += counter.confusion(segmenter.classes(strip))
    return cms


def choose(
    dice: Mapping[str, DiceOfImages],
    patients: Int[np.ndarray, " image"],
    richness: Mapping[str, int],
) -> tuple[str, dict[str, HeldOutDice]]:
    """The simplest method whose Dice is within one standard error of the best one's.

    The standard error is that of the mean difference to the best over the same images: images
    differ in how hard they are by far more than methods do.

    Args:
        dice: Of each method.
        patients: Of the images.
        richness: ``DenseMethod.richness`` of each method; of equals the one with the higher Dice is
            taken.
    """
    means = {name: _mean(own, patients)[0] for name, own in dice.items()}
    best = max(means, key=lambda name: means[name])
    found = {}
    for name, own in dice.items():
        mean, error = _mean(own, patients)
        below, below_error = _mean(dice[best] - own, patients)
        found[name] = HeldOutDice(mean, error, below, below_error)
    near = [name for name, one in found.items() if one.below_best <= one.below_best_standard_error]
    return min(near, key=lambda name: (richness[name], -means[name])), found


def _mean(values: DiceOfImages, patients: Int[np.ndarray, " image"]) -> tuple[float, float]:
    """The mean over images, and its standard error over patients."""
    there = ~np.isnan(values)
    sums = np.bincount(patients[there], weights=values[there], minlength=patients.max() + 1)
    sizes = np.bincount(patients[there], minlength=patients.max() + 1)
    n_patients, n = int((sizes > 0).sum()), int(sizes.sum())
    if n == 0:
        return float("-inf"), 0.0
    mean = sums.sum() / n
    off = sums - sizes * mean
    spread = float(np.sqrt((off**2).sum() * n_patients / max(1, n_patients - 1)))
    return float(mean), spread / n
