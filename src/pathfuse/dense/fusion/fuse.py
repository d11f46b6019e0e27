"""Pixel-level fusion: several models' logits of the same images become one mask, judged like any
study.

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
from pathfuse.dense.evaluation.confusion import ConfusionTable, write_confusions
from pathfuse.dense.evaluation.counting import Counted, Tally, classes_with_instances, open_count
from pathfuse.dense.evaluation.instance_table import write_instances
from pathfuse.dense.evaluation.masks import write_mask
from pathfuse.dense.evaluation.metrics import MEAN_DICE, Parity, metrics
from pathfuse.dense.evaluation.verdict import DenseVerdict, evaluate_columns
from pathfuse.dense.fusion.fused_model import BEST, FUSED, DenseFusion
from pathfuse.dense.fusion.pixel_sample import FitPixels, check_size, sample_pixels
from pathfuse.errors import InputError
from pathfuse.evaluation.rules import check_seed
from pathfuse.files.digests import files_digest
from pathfuse.files.manifest import software
from pathfuse.files.write import check_out, new_folder, write_json, write_table
from pathfuse.fusion.base import Fusion
from pathfuse.fusion.fitted import fit_methods
from pathfuse.fusion.inner_cv import inner_folds, strata_of
from pathfuse.fusion.method import AnyMethod
from pathfuse.fusion.methods import methods_of
from pathfuse.progress import Progress, silent

METHODS = ("static_product", "logitprod", "mean_probability", "best")
CHOOSE = "choose"
BESTS = ("best", BEST)
"""Names of the single model that did best on the fit images; it is always judged."""
REGISTERED = methods_of("multiclass")
FUSIONS = tuple(name for name in REGISTERED if name != BEST)


@dataclass(frozen=True)
class FuseOptions:
    """How to fuse; part of the manifest."""

    methods: tuple[str, ...] = METHODS
    """Fitted and judged; ``best`` is there in any case, in tables as ``best_expert``."""
    method: str = CHOOSE
    """What ``fused`` is: one of the methods, or ``choose``: the fusion with the lowest held-out NLL
    of pixels."""
    pixels: int = 20_000
    """Fit pixels."""
    balance: float = 0.5
    """0: fit pixels of classes as frequent as they are; 1: equally many of each."""
    pool_px: int = 1
    """Side of the square over which the features of ``logitprod``'s gate are averaged; odd."""
    n_resamples: int = 1000
    seed: int = 0
    parity: Parity = "fixed"
    """Of the metrics."""

    def checked(self) -> "FuseOptions":
        """The same with aliases resolved.

        Raises:
            InputError: A method is unknown, or a number out of range.
        """
        check_seed(self.seed)
        methods = tuple(name for name in dict.fromkeys(self.methods) if name not in BESTS)
        wrong = next(
            (name for name in (*methods, self.method) if name not in (*FUSIONS, CHOOSE)), None
        )
        if wrong is not None or CHOOSE in methods:
            raise InputError(
                f"method '{wrong or CHOOSE}' is not a fusion; choose among {', '.join(FUSIONS)}"
            )
        if self.method not in (CHOOSE, *methods):
            methods = (*methods, self.method)
        if not methods:
            raise InputError("there is nothing to fuse with: name a method beside best")
        for name, value, low, high in (
            ("pixels", self.pixels, 100, 10_000_000),
            ("balance", self.balance, 0, 1),
            ("pool_px", self.pool_px, 1, 999),
            ("resamples", self.n_resamples, 0, 1_000_000),
        ):
            if not low <= value <= high:
                raise InputError(f"{name} {value:g} is out of range: {low} to {high}")
        if self.pool_px % 2 == 0:
            raise InputError(f"pool_px {self.pool_px} has no middle; give an odd number")
        return FuseOptions(**{**self.__dict__, "methods": methods})


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
    options: FuseOptions = FuseOptions(),
    ignore: int = IGNORE,
    force: bool = False,
    cells: int = CHUNK_CELLS,
    command: str | None = None,
    progress: Progress = silent,
) -> DenseFuseResult:
    """Fits fusions on pixels of held-out images, segments the test images, judges, and writes a
    folder.

    Args:
        logits: Per model, a folder with ``<image_id>.npy``: float, (K, H, W), of the image's own
            size. A file may be absent: that model did not score the image.
        fit: Held-out images that no model was trained on, with masks: the validation split.
        test: Images to segment, and to judge on where they have a mask.
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
            be fitted or judged.
    """
    start = time.perf_counter()
    options = options.checked()
    files = open_logits(logits, classes, reserved=(*REGISTERED, *BESTS, CHOOSE, FUSED))
    check_out(Path(out), force, [*map(Path, logits.values()), *files_of([*fit, *test])])
    _check_items(fit, test)
    left_out: list[dict[str, Any]] = []
    fit_items = _usable(files, fit, "fit", left_out, needs_mask=True)
    test_items = _usable(files, test, "test", left_out, needs_mask=False)
    _check_models(files, fit_items)
    if not any(item.mask is not None for item in test_items):
        raise InputError("no test image has a mask and logits: there is nothing to judge on")
    for item in (*fit_items, *test_items):
        files.shape(item.image_id)  # all headers before any work
    progress("reading fit pixels", 0.0)
    pixels = sample_pixels(
        files, fit_items, options.pixels, options.balance, options.pool_px, options.seed, ignore
    )
    progress("fitting", 0.2)
    model, scores = _fit(pixels, files, classes, options)
    with new_folder(Path(out), force) as place:
        table, instances = _segment(
            model, files, test_items, place / "masks", ignore, cells, progress
        )
        progress("judging", 0.95)
        verdict = evaluate_columns(
            table,
            instances,
            {item.image_id: item.patient_id for item in test_items},
            options.n_resamples,
            options.seed,
            classes=classes,
            contrasts=_contrasts(model),
            parity=options.parity,
        )
        verdict = verdict._replace(
            warnings=[*_shared_patients(fit_items, test_items), *verdict.warnings]
        )
        certificate = model.methods[model.chosen].certificate_.as_dict(list(model.models))
        manifest = {
            **_about(options, classes),
            "models": {
                name: _coverage(files, name, fit_items, test_items) for name in files.folders
            },
            "masks_sha256": files_digest(
                item.mask for item in (*fit_items, *test_items) if item.mask is not None
            ),
            "images": {
                "fit": len(fit_items),
                "test": len(test_items),
                "judged": len(table.image_ids),
            },
            **_about_fit(model, pixels, scores),
            "left_out": left_out,
            "warnings": verdict.warnings,
            "command": command,
            "wall_time_s": round(time.perf_counter() - start, 3),
        }
        write_confusions(table, place / "confusion.parquet")
        if instances is not None:
            write_instances(instances, place / "instances.parquet")
        write_table(verdict.metrics, place / "metrics.csv")
        write_table(verdict.comparisons, place / "comparisons.csv")
        write_json(certificate, place / "certificate.json")
        model.save(place / "model")
        write_json(manifest, place / "manifest.json")
    progress("done", 1.0)
    return DenseFuseResult(Path(out), verdict, table, model, certificate, manifest)


def _fit(
    pixels: FitPixels, files: LogitFiles, classes: Sequence[str], options: FuseOptions
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
    tally = Tally([item for item in items if item.mask is not None], names, len(model.classes))
    for done, item in enumerate(items):
        progress(f"segmenting {item.image_id}", 0.4 + 0.55 * done / len(items))
        shape = files.shape(item.image_id)
        count = open_count(item, len(model.classes), ignore, things)
        if count is not None:
            check_size(count.truth, shape, item)
        fused = np.empty(shape, dtype=np.uint8)
        for rows, said in model.strips(files, item.image_id, cells):
            fused[rows] = said[FUSED]
            if count is not None:
                for name, own in said.items():
                    count.add(name, rows, own)
        write_mask(fused, folder / f"{item.image_id}.png")
        if count is not None:
            tally.put(item, count)
    return tally.tables()


def _contrasts(model: DenseFusion) -> list[tuple[str, str]]:
    """``fused`` and ``logitprod`` against every single model, ``best_expert`` and the other
    methods.
    """
    others = [*model.models, BEST, *model.methods]
    mine = [FUSED, *(name for name in model.methods if name == "logitprod")]
    return [(name, reference) for name in mine for reference in others if name != reference]


def _check_items(fit: Sequence[Item], test: Sequence[Item]) -> None:
    for what, items in (("fit", fit), ("test", test)):
        seen: set[str] = set()
        for item in items:
            if item.image_id in seen:
                raise InputError(f"the {what} images hold '{item.image_id}' twice")
            if Path(item.image_id).name != item.image_id:
                raise InputError(f"the image id '{item.image_id}' is not a plain file name")
            seen.add(item.image_id)
    both = {item.image_id for item in fit} & {item.image_id for item in test}
    if both:
        raise InputError(f"image '{min(both)}' is both a fit and a test image")


def _usable(
    files: LogitFiles,
    items: Sequence[Item],
    what: str,
    left_out: list[dict[str, Any]],
    *,
    needs_mask: bool,
) -> list[Item]:
    """The images that can be used; the others are told, with the reason."""
    unseen = [item.image_id for item in items if not files.models(item.image_id)]
    bare = [
        item.image_id
        for item in items
        if needs_mask and item.mask is None and item.image_id not in unseen
    ]
    for reason, ids in (("scored by no model", unseen), ("no mask", bare)):
        if ids:
            left_out.append({"reason": f"{what} image: {reason}", "n": len(ids), "first": ids[:5]})
    kept = [item for item in items if item.image_id not in {*unseen, *bare}]
    if not kept:
        need = "a mask and logits" if needs_mask else "logits"
        raise InputError(f"no {what} image has {need}: of {len(items)} images, none can be used")
    return kept


def _check_models(files: LogitFiles, fit: Sequence[Item]) -> None:
    for name, folder in files.folders.items():
        if not any(name in files.models(item.image_id) for item in fit):
            raise InputError(
                f"the model {name} has no logits of any fit image in {folder}, so it cannot be weighed"
            )


def _shared_patients(fit: Sequence[Item], test: Sequence[Item]) -> list[str]:
    both = sorted({item.patient_id for item in fit} & {item.patient_id for item in test})
    if not both:
        return []
    few = ", ".join(both[:3]) + (" and others" if len(both) > 3 else "")
    return [
        f"{len(both)} patients have both fit and test images ({few}): the figures are too good for new patients"
    ]


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


def _about(options: FuseOptions, classes: Sequence[str]) -> dict[str, Any]:
    return {
        "kind": "dense fusion",
        **software(),
        "classes": list(classes),
        "options": {**options.__dict__, "methods": list(options.methods)},
        "seed": options.seed,
    }
