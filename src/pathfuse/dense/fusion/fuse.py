"""Pixel-level fusion: several models' logits of the same images become one mask, evaluated like
any study.

Every pixel is a sample of the multiclass endpoint. Fusions are fitted on a seeded sample of pixels
of held-out images and applied in strips, so that memory is bounded (docs/design/densebench.md,
section 8).
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from pathfuse.dense.data.logit_files import CHUNK_CELLS, LogitFiles, open_logits
from pathfuse.dense.data.records import IGNORE, Item, files_of
from pathfuse.dense.evaluation.choice import choose_separation
from pathfuse.dense.evaluation.confusion import ConfusionTable
from pathfuse.dense.evaluation.counting import Counted, CountedImages, classes_with_instances
from pathfuse.dense.evaluation.evaluate import write_evaluation
from pathfuse.dense.evaluation.verdict import DenseVerdict, evaluate_columns
from pathfuse.dense.fusion.fitting import Scores, fit_fusion
from pathfuse.dense.fusion.fused_model import BEST, FUSED, DenseFusion
from pathfuse.dense.fusion.image_table import image_table, worst_images
from pathfuse.dense.fusion.images import check_items, check_models, shared_patients, usable
from pathfuse.dense.fusion.options import DEFAULT, RESERVED, DenseFuseOptions
from pathfuse.dense.fusion.pixel_sample import FitPixels, sample_pixels
from pathfuse.dense.fusion.segmenting import Job, enough_for_processes, segment
from pathfuse.errors import InputError
from pathfuse.files.digests import files_digest
from pathfuse.files.manifest import software
from pathfuse.files.write import check_out, new_folder, write_json, write_table
from pathfuse.progress import Progress, silent
from pathfuse.workers import check_jobs


@dataclass(frozen=True)
class DenseFuseResult:
    """What ``fuse_dense`` wrote, in memory."""

    folder: Path
    verdict: DenseVerdict
    confusions: ConfusionTable
    images: pl.DataFrame
    """Image by image, the worst first: ``images.csv``."""
    model: DenseFusion
    certificate: dict[str, Any] | None
    """None where ``fused`` is a method without one."""
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
    probabilities: bool = False,
    n_jobs: int | None = None,
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
            images have instances), ``metrics.csv``, ``comparisons.csv``, ``images.csv`` (the Dice
            of every image, the worst first), ``certificate.json`` (where the method behind
            ``fused`` has one), ``manifest.json``, ``model/``, ``masks/<image_id>.png`` (``fused``,
            8 bits), and with ``probabilities`` ``probabilities/<image_id>.npy`` (float16, (K, H,
            W)).
        classes: Names of the K classes, in the order of the masks' numbers.
        options: How to fuse.
        ignore: Value of the masks where pixels do not count.
        force: Overwrite ``out``.
        cells: Numbers held per strip; bounds memory.
        probabilities: Whether to write those of ``fused``, too; it is then a method that has them.
        n_jobs: Images at a time, each in a process, as in joblib (-1: all cores); every process
            holds a strip. No file depends on it.
        command: How the program was called, for the manifest.
        progress: Called with what is being done and the share that is behind.

    Raises:
        InputError: An option or a file is wrong, an image is fitted and tested on, or nothing can
            be fitted or evaluated.
    """
    start = time.perf_counter()
    options = options.checked()
    check_jobs(n_jobs)
    files = open_logits(logits, classes, RESERVED, [item.image_id for item in (*fit, *test)])
    check_out(Path(out), force, [*map(Path, logits.values()), *files_of([*fit, *test])])
    left_out: list[dict[str, Any]] = []
    fit_items, test_items = _images(files, fit, test, left_out)
    few = not enough_for_processes(files, [item.image_id for item in (*fit_items, *test_items)])
    n_jobs = 1 if few else n_jobs
    progress("reading fit pixels", 0.0)
    sampled = (options.pixels, options.balance, options.pool_px, options.seed)
    pixels = sample_pixels(files, fit_items, *sampled, ignore, n_jobs)
    progress("fitting", 0.2)
    model, scores = fit_fusion(
        pixels, files, fit_items, classes, options, ignore, probabilities=probabilities, n_jobs=n_jobs
    )  # fmt: skip
    things = classes_with_instances(test_items, len(classes), ignore)
    how = choose_separation(fit if things else (), len(classes), ignore)
    with new_folder(Path(out), force) as place:
        shares = place / "probabilities" if probabilities else None
        job = Job(
            model, files, place / "masks", shares, None, things, ignore, cells, how.separation
        )
        counted = _segment(job, test_items, n_jobs, progress)
        progress("evaluating", 0.95)
        verdict = _evaluate(counted, model, fit_items, test_items, options)
        images = image_table(
            counted.confusions,
            {item.image_id: item.patient_id for item in test_items},
            model.models,
        )
        held = model.methods[model.chosen].certificate
        certificate = None if held is None else held.as_dict(list(model.models))
        manifest = {
            **_about(options, classes),
            **_about_images(files, fit_items, test_items, len(counted.confusions.image_ids)),
            **_about_fit(model, pixels, scores),
            "instances": None if counted.instances is None else how.about(),
            "worst_images": worst_images(images),
            "left_out": left_out,
            "understood": [
                *files.notes([item.image_id for item in (*fit_items, *test_items)]),
                *([] if counted.instances is None else [how.note("every model and method")]),
            ],
            "warnings": verdict.warnings,
            "command": command,
            "wall_time_s": round(time.perf_counter() - start, 3),
        }
        write_evaluation(counted, verdict, place)
        write_table(images, place / "images.csv")
        if certificate is not None:
            write_json(certificate, place / "certificate.json")
        model.save(place / "model")
        write_json(manifest, place / "manifest.json")
    progress("done", 1.0)
    return DenseFuseResult(
        Path(out), verdict, counted.confusions, images, model, certificate, manifest
    )


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


def _segment(job: Job, items: Sequence[Item], n_jobs: int | None, progress: Progress) -> Counted:
    """Writes the fused masks and counts every method's pixels, image by image."""
    model = job.fusion
    names = [*model.models, BEST, *model.methods, FUSED]
    job.masks.mkdir()
    if job.probabilities is not None:
        job.probabilities.mkdir()
    counted_images = CountedImages(
        [item for item in items if item.mask is not None], names, len(model.classes)
    )
    for done, (item, judged) in enumerate(segment(job, items, n_jobs), start=1):
        progress(f"segmented {item.image_id}", 0.4 + 0.55 * done / len(items))
        if judged is not None:
            counted_images.put(item, judged)
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


def _about_fit(model: DenseFusion, pixels: FitPixels, scores: Scores) -> dict[str, Any]:
    def by_class(counts: np.ndarray) -> dict[str, int]:
        return {label: int(n) for label, n in zip(model.classes, counts, strict=True)}

    certificates = {name: one.certificate for name, one in model.methods.items()}
    weights = {name: one.mean_weights(pixels.experts) for name, one in model.methods.items()}
    return {
        "fit_pixels": {
            "n": len(pixels.observed),
            "patients": len(np.unique(pixels.groups)),
            "per_class": by_class(pixels.per_class),
            "per_class_in_images": by_class(pixels.counts.sum(axis=0)),
        },
        "fused": model.chosen,
        "held_out_dice": {name: asdict(one) for name, one in scores.dice.items()},
        "held_out_nll": scores.nll,
        "best_expert_order": list(model.order),
        "weights": {
            name: dict(zip(model.models, map(float, own), strict=True))
            for name, own in weights.items()
            if own is not None
        },
        "certificates_hold": {
            name: one.holds for name, one in certificates.items() if one is not None
        },
    }


def _about(options: DenseFuseOptions, classes: Sequence[str]) -> dict[str, Any]:
    return {
        "kind": "dense fusion",
        **software(),
        "classes": list(classes),
        "options": {**options.__dict__, "methods": list(options.methods)},
        "seed": options.seed,
    }
