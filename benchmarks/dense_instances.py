"""Touching nuclei and glands told apart: AJI and PQ of connected pixels and of the watershed, and
what counting costs.

dsb2018_histology: 107 images, drawn into 60, 17 and 30; glas: its own train (17 drawn as
validation) and test images, at half size, whose masks do not number glands: connected pixels are
their truth, so that the watershed can only lose there on true masks. ``NECK`` and ``SMOOTHING`` of
the watershed were chosen on the 17 validation images of dsb2018 by the mean AJI over the three
kinds of mask; the figures are of the test images. ``dsb2018_half`` is dsb2018 at half size, to see
that nothing depends on scale.

Masks: ``true`` (what separation alone can reach), ``noisy`` (the true one blurred, with smooth
noise added, cut at a half), ``classifier`` (a boosted forest on the smoothed colours of a pixel,
fitted on the training images; on glas it finds no whole gland, so it is left out), ``prototypes``
(predictions of a weakly supervised model that come with glas, of its training images).

``difference`` is the paired difference in AJI, watershed less connected pixels, with a 95 %
percentile interval of 2000 resamples of images. ``chosen`` is the way that ``choose_separation``
takes by the true masks of the validation images. Seconds are of one core.
"""

import csv
import time
from collections.abc import Callable

import numpy as np
from PIL import Image
from scipy import ndimage
from sklearn.ensemble import HistGradientBoostingClassifier

from benchmarks.dense_data import DSB, DSB_TRAIN, GLAS, N_VAL, SEED
from benchmarks.feature_fusion import Row
from pathfuse.dense.evaluation.confusion import confusion
from pathfuse.dense.evaluation.instances import instance_metrics, overlaps
from pathfuse.dense.evaluation.separation import COMPONENTS, SEPARATIONS, WATERSHED, instances_of

Sample = tuple[np.ndarray, np.ndarray]
"""RGB and instances."""
REPEATS, RESAMPLES, PIXELS = 7, 2000, 600


def dense_instances() -> list[Row]:
    """AJI and PQ by data set and kind of mask."""
    rows: list[Row] = []
    if DSB.is_dir():
        for name, shrink in (("dsb2018", 1), ("dsb2018_half", 2)):
            train, val, test = _dsb(shrink)
            chosen = _chosen(val)
            sure = _classifier(train)
            kinds = {
                "true": [of > 0 for _, of in test],
                "noisy": _noisy(test, 1.5 / shrink),
                "classifier": [sure(image) for image, _ in test],
            }
            rows += [_row(name, kind, masks, test, chosen) for kind, masks in kinds.items()]
    if GLAS.is_dir():
        train, val, test = _glas()
        chosen = _chosen(val)
        rows.append(_row("glas", "true", [of > 0 for _, of in test], test, chosen))
        rows.append(_row("glas", "noisy", _noisy(test, 3.0), test, chosen))
        seen = _glas_part("train")
        rows.append(_row("glas", "prototypes", _prototypes(), seen, chosen))
    return rows or [{"dataset": "not run: neither data set is there"}]


def counting_speed() -> list[Row]:
    """CPU seconds per megapixel of what is done to every image, on dsb2018's test images."""
    if not DSB.is_dir():
        return [{"step": "not run: the data set is not there"}]
    test = _dsb(1)[2]
    megapixels = sum(of.size for _, of in test) / 1e6
    said = _noisy(test, 1.5)
    found = [instances_of(mask) for mask in said]
    pairs = [(of, labels) for (_, of), labels in zip(test, found, strict=True)]
    classes = [((of > 0).astype(np.uint8), (own > 0).astype(np.uint8)) for of, own in pairs]
    steps: dict[str, Callable[[], object]] = {
        "confusion": lambda: [confusion(*pair, 2) for pair in classes],
        "overlaps": lambda: [overlaps(*pair) for pair in pairs],
        **{
            way.name: lambda way=way: [instances_of(m, how=way) for m in said]
            for way in SEPARATIONS
        },
    }
    return [
        {"step": name, "cpu_s_per_mpx": round(_seconds(step) / megapixels, 4)}
        for name, step in steps.items()
    ]


def _seconds(step: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        step()
        times.append(time.process_time() - start)
    return min(times)


def _row(
    dataset: str, kind: str, masks: list[np.ndarray], samples: list[Sample], chosen: str
) -> Row:
    scores = {
        way.name: [
            instance_metrics(of, instances_of(mask, how=way))
            for mask, (_, of) in zip(masks, samples, strict=True)
        ]
        for way in SEPARATIONS
    }
    aji = {name: np.array([one["aji"] for one in own]) for name, own in scores.items()}
    pq = {name: np.array([one["pq"] for one in own]) for name, own in scores.items()}
    less = aji[WATERSHED.name] - aji[COMPONENTS.name]
    drawn = np.random.default_rng(SEED).integers(0, len(less), (RESAMPLES, len(less)))
    low, high = np.nanpercentile(np.nanmean(less[drawn], axis=1), [2.5, 97.5])
    return {
        "dataset": dataset,
        "masks": kind,
        "images": len(samples),
        **{f"aji_{name}": round(float(np.nanmean(own)), 3) for name, own in aji.items()},
        **{f"pq_{name}": round(float(np.nanmean(own)), 3) for name, own in pq.items()},
        "difference": f"{np.nanmean(less):.3f} ({low:.3f} to {high:.3f})",
        "chosen": chosen,
    }


def _chosen(val: list[Sample]) -> str:
    """As ``choose_separation``, of arrays."""
    aji = {
        way.name: np.mean(
            [instance_metrics(of, instances_of(of > 0, how=way))["aji"] for _, of in val]
        )
        for way in SEPARATIONS
    }
    return max(aji, key=lambda name: (aji[name], name == COMPONENTS.name))


def _dsb(shrink: int) -> tuple[list[Sample], list[Sample], list[Sample]]:
    with (DSB / "manifest.csv").open(encoding="utf-8") as file:
        names = sorted(row["name"] for row in csv.DictReader(file))
    samples = []
    for name in names:
        image = Image.open(DSB / "images" / f"{name}.png").convert("RGB").reduce(shrink)
        of = np.array(Image.open(DSB / "instances" / f"{name}.png")).astype(np.int32)
        samples.append((np.array(image), of[shrink // 2 :: shrink, shrink // 2 :: shrink]))
    order = np.random.default_rng(SEED).permutation(len(samples))
    drawn = [samples[k] for k in order]
    end = DSB_TRAIN + N_VAL
    return drawn[:DSB_TRAIN], drawn[DSB_TRAIN:end], drawn[end:]


def _glas() -> tuple[list[Sample], list[Sample], list[Sample]]:
    samples = _glas_part("train")
    order = np.random.default_rng(SEED).permutation(len(samples))
    drawn = [samples[k] for k in order]
    return drawn[N_VAL:], drawn[:N_VAL], [*_glas_part("testA"), *_glas_part("testB")]


def _glas_part(part: str) -> list[Sample]:
    masks = sorted((GLAS / part / "masks").iterdir())
    return [(np.empty(0), _connected(_half(file))) for file in masks]


def _prototypes() -> list[np.ndarray]:
    return [_half(file) for file in sorted((GLAS / "train" / "pseudo_masks").iterdir())]


def _half(file) -> np.ndarray:
    return np.array(Image.open(file))[::2, ::2] > 0


def _connected(mask: np.ndarray) -> np.ndarray:
    return instances_of(mask, how=COMPONENTS)


def _noisy(samples: list[Sample], blur: float) -> list[np.ndarray]:
    rng = np.random.default_rng(SEED + 1)
    found = []
    for _, of in samples:
        noise = ndimage.gaussian_filter(rng.normal(size=of.shape), 2 * blur)
        sure = ndimage.gaussian_filter((of > 0).astype(float), blur) + 0.15 * noise / noise.std()
        found.append(sure > 0.5)
    return found


def _features(image: np.ndarray) -> np.ndarray:
    channels = []
    for values in np.moveaxis(image.astype(np.float32) / 255, 2, 0):
        channels += [ndimage.gaussian_filter(values, sigma) for sigma in (0.7, 1.5, 3.0, 6.0)]
        channels.append(ndimage.gaussian_gradient_magnitude(values, 1.0))
        channels.append(ndimage.gaussian_laplace(values, 2.0))
    return np.stack(channels, axis=2).reshape(-1, len(channels))


def _classifier(train: list[Sample]) -> Callable[[np.ndarray], np.ndarray]:
    rng = np.random.default_rng(SEED)
    rows, labels = [], []
    for image, of in train:
        drawn = rng.choice(of.size, PIXELS, replace=False)
        rows.append(_features(image)[drawn])
        labels.append(of.ravel()[drawn] > 0)
    model = HistGradientBoostingClassifier(max_iter=60, random_state=SEED)
    model.fit(np.concatenate(rows), np.concatenate(labels))
    return lambda image: model.predict(_features(image)).reshape(image.shape[:2])
