"""Pixel-level fusion: several models' logits of the same images become one mask, evaluated like
any study.

Every pixel is a sample of the multiclass endpoint. Fusions are fitted on a seeded sample of pixels
of held-out images and applied in strips, so that memory is bounded (docs/design/densebench.md,
section 8).
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from pathfuse.dense.data.logit_files import CHUNK_CELLS, LogitFiles, open_logits
from pathfuse.dense.data.records import IGNORE, Item, files_of
from pathfuse.dense.evaluation.confusion import ConfusionTable
from pathfuse.dense.evaluation.counting import (
    Counted,
    CountedImages,
    classes_with_instances,
    open_count,
)
from pathfuse.dense.evaluation.evaluate import write_evaluation
from pathfuse.dense.evaluation.masks import write_mask
from pathfuse.dense.evaluation.metrics import MEAN_DICE, metrics
from pathfuse.dense.evaluation.verdict import DenseVerdict, evaluate_columns
from pathfuse.dense.fusion.fused_model import BEST, FUSED, DenseFusion
from pathfuse.dense.fusion.images import check_items, check_models, shared_patients, usable
from pathfuse.dense.fusion.options import BESTS, CHOOSE, DEFAULT, REGISTERED, DenseFuseOptions
from pathfuse.dense.fusion.pixel_sample import FitPixels, check_size, sample_pixels
from pathfuse.errors import InputError
from pathfuse.files.digests import files_digest
from pathfuse.files.manifest import software
from pathfuse.files.write import check_out, new_folder, write_json
from pathfuse.fusion.base import Fusion
from pathfuse.fusion.fitted import fit_methods
from pathfuse.fusion.inner_cv import inner_folds, strata_of
from pathfuse.fusion.method import AnyMethod
from pathfuse.progress import Progress, silent


@dataclass(frozen=True)
class DenseFuseResult:
    """What ``fuse_dense`` wrote, in memory."""

    folder: Path
    verdict: DenseVerdict
    confusions: ConfusionTable
    model: DenseFusion
    certificate: dict[str, Any]
    manifest: dict[str, Any]


def fuse_dense(
    logits: Mapping[str, str | Path],
    fit: Sequence[Item],
    test: Sequence[Item],
    out: str | Path,
    *,
    classes: Sequence[str],
    options: DenseFuseOptions = DEFAULT,
    ignore: int = IGNORE,
    force: bool = False,
    cells: int = CHUNK_CELLS,
    command: str | None = None,
    progress: Progress = silent,
) -> DenseFuseResult:
    """Fits fusions on pixels of held-out images, segments the test images, evaluates, and writes
    a folder.

    Args:
        logits: Per model, a folder with ``<image_id>.npy``: float, (K, H, W), of the image's own
            size, or ``.npz`` as nnU-Net writes it; probabilities are recognised. A file may be
            absent: that model did not score the image.
        fit: Held-out images that no model was trained on, with masks: the validation split.
        test: Images to segment, and to evaluate on where they have a mask.
        out: Output folder: ``confusion.parquet``, ``instances.parquet`` (AJI and PQ, where test
            images have instances), ``metrics.csv``, ``comparisons.csv``, ``certificate.json``,
            ``manifest.json``, ``model/``, ``masks/<image_id>.png`` (``fused``, 8 bits).
        classes: Names of the K classes, in the order of the masks' numbers.
        options: How to fuse.
        ignore: Value of the masks where pixels do not count.
        force: Overwrite ``out``.
        cells: Numbers held per strip; bounds memory.
        command: How the program was called, for the manifest.
        progress: Called with what is being done and the share that is behind.

    Raises:
        InputError: An option or a file is wrong, an image is fitted and tested on, or nothing can
            be fitted or evaluated.
    """
    start = time.perf_counter()
    options = options.checked()
    files = open_logits(
        logits,
        classes,
        (*REGISTERED, *BESTS, CHOOSE, FUSED),
        [item.image_id for item in (*fit, *test)],
    )
    check_out(Path(out), force, [*map(Path, logits.values()), *files_of([*fit, *test])])
    left_out: list[dict[str, Any]] = []
    fit_items, test_items = _images(files, fit, test, left_out)
    progress("reading fit pixels", 0.0)
    pixels = sample_pixels(
        files, fit_items, options.pixels, options.balance, options.pool_px, options.seed, ignore
    )
    progress("fitting", 0.2)
    model, scores = _fit(pixels, files, classes, options)
    with new_folder(Path(out), force) as place:
        counted = _segment(model, files, test_items, place / "masks", ignore, cells, progress)
        progress("evaluating", 0.95)
        verdict = _evaluate(counted, model, fit_items, test_items, options)
        certificate = model.methods[model.chosen].certificate_.as_dict(list(model.models))
        manifest = {
            **_about(options, classes),
            **_about_images(files, fit_items, test_items, len(counted.confusions.image_ids)),
            **_about_fit(model, pixels, scores),
            "left_out": left_out,
            "understood": files.notes([item.image_id for item in (*fit_items, *test_items)]),
            "warnings": verdict.warnings,
            "command": command,
            "wall_time_s": round(time.perf_counter() - start, 3),
        }
        write_evaluation(counted, verdict, place)
        write_json(certificate, place / "certificate.json")
        model.save(place / "model")
        write_json(manifest, place / "manifest.json")
    progress("done", 1.0)
    return DenseFuseResult(Path(out), verdict, counted.confusions, model, certificate, manifest)


def _images(
    files: LogitFiles,
    fit: Sequence[Item],
    test: Sequence[Item],
    left_out: list[dict[str, Any]],
) -> tuple[list[Item], list[Item]]:
    """Fit and test images that can be used; all that can be wrong with them is found here.

    Raises:
        InputError: An image is fitted and tested on, or nothing can be fitted or evaluated.
    """
    check_items(fit, test)
    fit_items = usable(files, fit, "fit", left_out, needs_mask=True)
    test_items = usable(files, test, "test", left_out, needs_mask=False)
    check_models(files, fit_items)
    if not any(item.mask is not None for item in test_items):
        raise InputError("no test image has a mask and logits: there is nothing to evaluate on")
    for item in (*fit_items, *test_items):
        files.shape(item.image_id)  # all headers before any work
    return fit_items, test_items


def _evaluate(
    counted: Counted,
    model: DenseFusion,
    fit: Sequence[Item],
    test: Sequence[Item],
    options: DenseFuseOptions,
) -> DenseVerdict:
    """Metrics and comparisons of all models and methods on the test images."""
    verdict = evaluate_columns(
        *counted,
        {item.image_id: item.patient_id for item in test},
        options.n_resamples,
        options.seed,
        classes=model.classes,
        contrasts=_contrasts(model),
        parity=options.parity,
    )
    return verdict._replace(warnings=[*shared_patients(fit, test), *verdict.warnings])


def _fit(
    pixels: FitPixels, files: LogitFiles, classes: Sequence[str], options: DenseFuseOptions
) -> tuple[DenseFusion, dict[str, float]]:
    """Every method on the fit pixels.

    ``fused`` is the one that was asked for or has the lowest held-out NLL.
    """
    unfitted = [REGISTERED[name](seed=options.seed) for name in options.methods]
    with threadpool_limits(1):  # small matrices: threads cost time, and must not change a bit
        if (
            inner_folds(strata_of(pixels.observed), pixels.groups, options.seed) is None
        ):  # one patient: nothing to hold out
            members: dict[str, AnyMethod] = {
                method.name: method.fit_experts(pixels.experts, pixels.observed, pixels.groups)
                for method in unfitted
            }
            scores: dict[str, float] = {}
            ranked = {name: method.certificate_.fused for name, method in members.items()}
        else:
            fitted = fit_methods(
                unfitted, pixels.experts, pixels.observed, pixels.groups, options.seed
            )
            members, scores, ranked = fitted.members, fitted.scores, fitted.scores
    chosen = (
        min(ranked, key=lambda name: ranked[name]) if options.method == CHOOSE else options.method
    )
    methods: dict[str, Fusion[Any]] = dict(members)
    order = _order(pixels, list(files.folders))
    return DenseFusion(
        tuple(classes), tuple(files.folders), methods, chosen, order, options.pool_px
    ), scores


def _order(pixels: FitPixels, names: list[str]) -> tuple[str, ...]:
    """Models from best to worst by mean Dice on the fit images that all scored.

    On their own ones if there is none.
    """
    common = np.logical_and.reduce([pixels.scored[name] for name in names])
    dice = {}
    for name in names:
        images = common if common.any() else pixels.scored[name]
        dice[name] = float(
            np.nan_to_num(metrics(pixels.cms[name][images].sum(axis=0))[MEAN_DICE.name])
        )
    return tuple(sorted(names, key=lambda name: -dice[name]))


def _segment(
    model: DenseFusion,
    files: LogitFiles,
    items: Sequence[Item],
    folder: Path,
    ignore: int,
    cells: int,
    progress: Progress,
) -> Counted:
    """Writes the fused masks and counts every method's pixels, image by image."""
    folder.mkdir()
    names = [*model.models, BEST, *model.methods, FUSED]
    things = classes_with_instances(items, len(model.classes), ignore)
    counted_images = CountedImages(
        [item for item in items if item.mask is not None], names, len(model.classes)
    )
    for done, item in enumerate(items):
        progress(f"segmenting {item.image_id}", 0.4 + 0.55 * done / len(items))
        shape = files.shape(item.image_id)
        count = open_count(item, len(model.classes), ignore, things)
        if count is not None:
            check_size(count.truth, shape, item)
        fused = np.empty(shape, dtype=np.uint8)
        for rows, masks in model.strips(files, item.image_id, cells):
            fused[rows] = masks[FUSED]
            if count is not None:
                for name, own in masks.items():
                    count.add(name, rows, own)
        write_mask(fused, folder / f"{item.image_id}.png")
        if count is not None:
            counted_images.put(item, count)
    return counted_images.tables()


def _contrasts(model: DenseFusion) -> list[tuple[str, str]]:
    """``fused`` and ``logitprod`` against every single model, ``best_expert`` and the other
    methods.
    """
    others = [*model.models, BEST, *model.methods]
    mine = [FUSED, *(name for name in model.methods if name == "logitprod")]
    return [(name, reference) for name in mine for reference in others if name != reference]


def _about_images(
    files: LogitFiles, fit: Sequence[Item], test: Sequence[Item], n_evaluated: int
) -> dict[str, Any]:
    masks = (item.mask for item in (*fit, *test) if item.mask is not None)
    return {
        "models": {name: _coverage(files, name, fit, test) for name in files.folders},
        "masks_sha256": files_digest(masks),
        "images": {"fit": len(fit), "test": len(test), "judged": n_evaluated},
    }


def _coverage(
    files: LogitFiles, name: str, fit: Sequence[Item], test: Sequence[Item]
) -> dict[str, Any]:
    shares = {
        f"coverage_{what}": float(np.mean([name in files.models(item.image_id) for item in items]))
        for what, items in (("fit", fit), ("test", test))
    }
    logits = (
        files.file(name, item.image_id)
        for item in (*fit, *test)
        if name in files.models(item.image_id)
    )
    return {"source": str(files.folders[name]), "sha256": files_digest(logits), **shares}


def _about_fit(model: DenseFusion, pixels: FitPixels, scores: dict[str, float]) -> dict[str, Any]:
    per_class = {label: int(n) for label, n in zip(model.classes, pixels.per_class, strict=True)}
    return {
        "fit_pixels": {
            "n": len(pixels.observed),
            "patients": len(np.unique(pixels.groups)),
            "per_class": per_class,
        },
        "fused": model.chosen,
        "held_out_nll": scores,
        "best_expert_order": list(model.order),
        "weights": _mean_weights(model, pixels),
        "certificates_hold": {
            name: fusion.certificate_.holds for name, fusion in model.methods.items()
        },
    }


def _mean_weights(model: DenseFusion, pixels: FitPixels) -> dict[str, dict[str, float]]:
    """Each model's mean weight over the fit pixels, per method."""
    with threadpool_limits(1):
        means = {
            name: fusion.weigh(pixels.experts).mean(axis=0)
            for name, fusion in model.methods.items()
        }
    return {
        name: dict(zip(model.models, map(float, own), strict=True)) for name, own in means.items()
    }


def _about(options: DenseFuseOptions, classes: Sequence[str]) -> dict[str, Any]:
    return {
        "kind": "dense fusion",
        **software(),
        "classes": list(classes),
        "options": {**options.__dict__, "methods": list(options.methods)},
        "seed": options.seed,
    }
